/* SPDX-License-Identifier: MIT */
/* Compiling: from nodes to a function with every address resolved. */
#include <stdlib.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "exec/private.h"

static void
compiler_clear (DlhCompiler *c)
{
    for (guint i = 0; c->groups && i < c->groups->len; i++) {
        DlhGroup *g = c->groups->pdata[i];

        g_ptr_array_unref (g->members);
        g_free (g);
    }
    for (guint i = 0; c->steps && i < c->steps->len; i++) {
        DlhStep *s = c->steps->pdata[i];

        g_array_unref (s->after);
        g_free (s);
    }
    g_clear_pointer (&c->groups, g_ptr_array_unref);
    g_clear_pointer (&c->steps, g_ptr_array_unref);
    g_clear_pointer (&c->assignments, g_array_unref);
    g_clear_pointer (&c->buffers, g_array_unref);
    g_free (c->outputs);
    g_free (c->live);
    g_free (c->use_start);
    g_free (c->uses);
    g_free (c->group);
    g_free (c->in_memory);
    g_free (c->values);
    g_free (c->producer);
    g_free (c->order);
    g_free (c->buffer);
    g_free (c->work);
    g_free (c->stage);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DlhCompiler, compiler_clear)

static void
find_uses (DlhCompiler *c)
{
    guint *fill;

    c->use_start = g_new0 (guint, c->n + 2);
    for (guint id = 0; id < c->n; id++) {
        DlhNode *node = dlh_graph_node (c->graph, id);

        for (guint k = 0; c->live[id] && k < node->n_inputs; k++)
            c->use_start[node->inputs[k]->id + 1]++;
    }
    for (guint id = 0; id < c->n; id++)
        c->use_start[id + 1] += c->use_start[id];
    c->uses = g_new (DlhNode *, c->use_start[c->n] + 1);
    fill = g_memdup2 (c->use_start, (c->n + 1) * sizeof *fill);
    for (guint id = 0; id < c->n; id++) {
        DlhNode *node = dlh_graph_node (c->graph, id);

        for (guint k = 0; c->live[id] && k < node->n_inputs; k++)
            c->uses[fill[node->inputs[k]->id]++] = node;
    }
    g_free (fill);
}

static void
compiler_init (DlhCompiler *c, DlhGraph *graph, DlhNode *const *outputs, guint n_outputs,
               DlhCompileFlags flags)
{
    c->graph = graph;
    c->flags = flags;
    c->outputs = g_new (DlhNode *, n_outputs + 1);
    c->n_outputs = n_outputs;
    dlh_simplify (graph, outputs, n_outputs, flags, c->outputs);
    c->live = dlh_graph_ancestors (c->outputs, n_outputs, &c->n);
    find_uses (c);
    c->group = g_new (int, c->n + 1);
    c->in_memory = g_new0 (gboolean, c->n + 1);
    c->values = g_new0 (DlhValue, c->n + 1);
    c->assignments = g_array_new (FALSE, TRUE, sizeof (DlhAssignment));
    c->steps = g_ptr_array_new ();
    c->buffers = g_array_new (FALSE, TRUE, sizeof (DlhBuffer));
    c->producer = g_new (int, c->n + 1);
    c->buffer = g_new (int, c->n + 1);
    memset (c->producer, -1, (c->n + 1) * sizeof (int));
    memset (c->buffer, -1, (c->n + 1) * sizeof (int));
}

// Two values for one variable would leave it to chance which one it keeps.
static gboolean
check_assignments (DlhCompiler *c, GError **error)
{
    g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

    for (guint id = 0; id < c->n; id++) {
        DlhNode *node = c->live[id] ? dlh_graph_node (c->graph, id) : NULL;

        if (!node || node->op != &dlh_op_assign || g_hash_table_add (seen, node->variable))
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_GRAPH,
                     "compile: variable '%s' is assigned twice in one function",
                     node->variable->name);
        return FALSE;
    }
    return TRUE;
}

/* Binding. */

typedef struct {
    DlhCompiler *c;
    DlhFunction *f;
    GHashTable *tensors; /* root node -> DlhTensor, of constants and outputs */
} Binder;

static DlhTensor *
tensor_of_root (Binder *b, DlhNode *root)
{
    DlhTensor *t = g_hash_table_lookup (b->tensors, root);

    if (t)
        return t;
    if (root->op == &dlh_op_constant)
        t = dlh_tensor_ref (root->value);
    else if (!(t = dlh_tensor_new (root->dtype, root->shape, NULL)))
        g_error ("out of memory for an output or constant");
    if (root->op == &dlh_op_fill) {
        DlhCall call = {.node = root, .out = dlh_tensor_get_data (t)};

        dlh_op_fill.run (&call, NULL);
    }
    g_hash_table_insert (b->tensors, root, t);
    g_ptr_array_add (b->f->constants, t);
    return t;
}

static void *
buffer_address (Binder *b, int buffer)
{
    return (char *)b->f->arena + g_array_index (b->c->buffers, DlhBuffer, buffer).at;
}

// Writes the address of @node's value to @where, now or at each run.
static void
bind (Binder *b, DlhNode *node, void **where)
{
    const DlhValue *v = &b->c->values[node->id];
    char *base = NULL;

    switch (v->place) {
    case DLH_AT_INPUT:
        for (guint i = 0; i < b->f->n_inputs; i++)
            if (b->f->inputs[i] == v->root) {
                DlhPatch patch = {where, i, v->offset};

                b->f->input_used[i] = TRUE;
                g_array_append_val (b->f->patches, patch);
            }
        *where = NULL;
        return;
    case DLH_AT_CONSTANT:
    case DLH_AT_OUTPUT:
        base = dlh_tensor_get_data (tensor_of_root (b, v->root));
        break;
    case DLH_AT_VARIABLE:
        base = dlh_tensor_get_data (v->root->variable->tensor);
        break;
    case DLH_AT_BUFFER:
        base = buffer_address (b, b->c->buffer[v->root->id]);
        break;
    case DLH_AT_NOWHERE:
        g_assert_not_reached ();
    }
    *where = base + v->offset;
}

static double
bytes_of (const DlhNode *node)
{
    return (double)dlh_shape_count (node->shape) * (double)dlh_dtype_size (node->dtype);
}

static void
add_link (Binder *b, guint to, DlhNode *operand)
{
    DlhCompiler *c = b->c;
    DlhNode *root = c->values[operand->id].root;
    int step = c->producer[root->id];
    DlhLink link = {step < 0 ? -1 : (int)((DlhStep *)c->steps->pdata[step])->position, to, root};

    g_array_append_val (b->f->links, link);
}

static void
bind_fused (Binder *b, guint at, DlhStep *s, DlhInstruction *in)
{
    g_autoptr (GPtrArray) slots = g_ptr_array_new ();
    GString *name = g_string_new ("fused(");

    in->program = dlh_fuse_program (b->c, s->group, s->n_rows, slots);
    in->slots = g_new0 (void *, slots->len + 1);
    for (guint i = 0; i < slots->len; i++) {
        bind (b, slots->pdata[i], &in->slots[i]);
        if (!g_ptr_array_find (s->group->members, slots->pdata[i], NULL))
            add_link (b, at, slots->pdata[i]);
        in->bytes += bytes_of (slots->pdata[i]);
    }
    for (guint i = 0; i < s->group->members->len; i++) {
        DlhNode *m = s->group->members->pdata[i];

        g_string_append_printf (name, "%s%s", i ? "," : "", m->op->name);
    }
    in->node = s->group->members->pdata[s->group->members->len - 1];
    in->name = g_string_free (g_string_append_c (name, ')'), FALSE);
}

static gboolean
bind_kernel (Binder *b, guint step, DlhStep *s, DlhInstruction *in, GError **error)
{
    DlhNode *node = s->node;

    in->in = g_new0 (void *, node->n_inputs + 1);
    in->call.node = in->node = node;
    in->call.in = (const void *const *)in->in;
    for (guint k = 0; k < node->n_inputs; k++) {
        bind (b, node->inputs[k], &in->in[k]);
        in->bytes += bytes_of (node->inputs[k]);
    }
    bind (b, node, &in->call.out);
    if (b->c->work[step] >= 0)
        in->call.work = buffer_address (b, b->c->work[step]);
    in->bytes += bytes_of (node);
    in->name = g_strdup (node->op->name);
    if (!node->op->prepare || node->op->prepare (node, &in->call.state, error))
        return TRUE;
    g_prefix_error (error, "%s: ", node->scope);
    return FALSE;
}

static void
bind_copy (Binder *b, DlhStep *s, DlhInstruction *in)
{
    in->node = s->node;
    in->name = g_strdup ("copy");
    in->copy_bytes = (gsize)bytes_of (s->node);
    in->bytes = 2 * bytes_of (s->node);
    bind (b, s->node, &in->copy_from);
    if (s->target < 0) {
        in->copy_to = buffer_address (b, b->c->stage[-1 - s->target]);
        return;
    }
    b->f->outputs[s->target] = dlh_tensor_new (s->node->dtype, s->node->shape, NULL);
    in->copy_to = dlh_tensor_get_data (b->f->outputs[s->target]);
}

static void
bind_outputs (Binder *b)
{
    DlhCompiler *c = b->c;

    for (guint i = 0; i < c->n_outputs; i++) {
        DlhNode *node = c->outputs[i];
        const DlhValue *v = &c->values[node->id];
        DlhTensor *root;

        if (node->op == &dlh_op_assign || b->f->outputs[i])
            continue;
        root = tensor_of_root (b, v->root);
        b->f->outputs[i] = dlh_tensor_new_take (
            node->dtype, node->shape, (char *)dlh_tensor_get_data (root) + v->offset,
            (GDestroyNotify)dlh_tensor_unref, dlh_tensor_ref (root));
    }
}

static void
bind_commits (Binder *b)
{
    // Patches hold addresses of commits: the array must not move.
    g_array_set_size (b->f->commits, b->c->assignments->len);
    g_array_set_size (b->f->commits, 0);
    for (guint i = 0; i < b->c->assignments->len; i++) {
        DlhAssignment *a = &g_array_index (b->c->assignments, DlhAssignment, i);
        DlhCommit commit = {.to = dlh_tensor_get_data (a->node->variable->tensor),
                            .bytes = dlh_tensor_bytes (a->node->variable->tensor)};

        if (a->in_place)
            continue;
        g_array_append_val (b->f->commits, commit);
        if (a->staged)
            g_array_index (b->f->commits, DlhCommit, b->f->commits->len - 1).from =
                buffer_address (b, b->c->stage[i]);
        else
            bind (b, a->node->inputs[0],
                  &g_array_index (b->f->commits, DlhCommit, b->f->commits->len - 1).from);
    }
}

static void
find_inputs (DlhCompiler *c, DlhFunction *f)
{
    GPtrArray *inputs = g_ptr_array_new ();

    for (guint id = 0; id < c->n; id++)
        if (dlh_graph_node (c->graph, id)->op == &dlh_op_input)
            g_ptr_array_add (inputs, dlh_graph_node (c->graph, id));
    f->n_inputs = inputs->len;
    f->input_used = g_new0 (gboolean, inputs->len + 1);
    f->inputs = (DlhNode **)g_ptr_array_free (inputs, FALSE);
}

static void
find_counters (DlhCompiler *c, DlhFunction *f)
{
    for (guint id = 0; id < c->n; id++) {
        DlhStream *stream = c->live[id] ? dlh_node_stream (dlh_graph_node (c->graph, id)) : NULL;

        if (stream && !g_ptr_array_find (f->counters, stream->counter, NULL))
            g_ptr_array_add (f->counters, stream->counter);
    }
}

// Where the operands of step @i in the schedule come from; of fused ones the program says.
static void
link_step (Binder *b, guint i, const DlhStep *s)
{
    if (s->kind == DLH_STEP_COPY)
        add_link (b, i, s->node);
    for (guint k = 0; s->kind == DLH_STEP_KERNEL && k < s->node->n_inputs; k++)
        add_link (b, i, s->node->inputs[k]);
}

static gboolean
bind_steps (Binder *b, GError **error)
{
    DlhCompiler *c = b->c;

    b->f->instructions = g_new0 (DlhInstruction, c->steps->len + 1);
    b->f->n_before_writes = c->steps->len;
    for (guint i = 0; i < c->steps->len; i++) {
        DlhStep *s = c->steps->pdata[c->order[i]];
        DlhInstruction *in = &b->f->instructions[b->f->n_instructions++];

        if (s->writes && b->f->n_before_writes == c->steps->len)
            b->f->n_before_writes = i;
        in->kind = s->kind;
        in->flops = s->flops;
        in->n_beside = s->position == s->begin ? s->end - s->begin + 1 : 0;
        in->n_rows = s->n_rows;
        in->rows = s->kind == DLH_STEP_KERNEL ? dlh_op_rows (s->node->op) : NULL;
        link_step (b, i, s);
        if (s->kind == DLH_STEP_FUSED)
            bind_fused (b, i, s, in);
        else if (s->kind == DLH_STEP_COPY)
            bind_copy (b, s, in);
        else if (!bind_kernel (b, c->order[i], s, in, error))
            return FALSE;
    }
    b->f->most_threads = MAX (dlh_get_threads (), (guint)g_get_num_processors ());
    b->f->side = g_new0 (guint, c->steps->len + 1);
    b->f->failures = g_new0 (GError *, c->steps->len + 1);
    bind_outputs (b);
    bind_commits (b);
    return TRUE;
}

DlhFunction *
dlh_graph_compile_full (DlhGraph *graph, DlhNode *const *outputs, guint n_outputs,
                        DlhCompileFlags flags, GError **error)
{
    g_auto (DlhCompiler) c = {0};
    g_autoptr (GHashTable) tensors = g_hash_table_new (NULL, NULL);
    g_autoptr (DlhFunction) f = g_new0 (DlhFunction, 1);
    Binder b = {&c, f, tensors};

    f->ref_count = 1;
    f->graph = dlh_graph_ref (graph);
    f->nodes = g_memdup2 (outputs, n_outputs * sizeof *outputs);
    f->n_outputs = n_outputs;
    f->outputs = g_new0 (DlhTensor *, n_outputs + 1);
    f->patches = g_array_new (FALSE, FALSE, sizeof (DlhPatch));
    f->links = g_array_new (FALSE, FALSE, sizeof (DlhLink));
    f->commits = g_array_new (FALSE, TRUE, sizeof (DlhCommit));
    f->counters = g_ptr_array_new ();
    f->constants = g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);
    if (!dlh_graph_check (graph, error))
        return NULL;
    compiler_init (&c, graph, outputs, n_outputs, flags);
    if (!dlh_graph_check (graph, error) || !check_assignments (&c, error))
        return NULL;
    dlh_fuse (&c);
    dlh_plan (&c);
    find_inputs (&c, f);
    find_counters (&c, f);
    f->arena_size = MAX (c.arena_size, 64);
    if (!(f->arena = aligned_alloc (64, f->arena_size))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "compile: cannot allocate %" G_GSIZE_FORMAT " bytes for intermediate values",
                     f->arena_size);
        return NULL;
    }
    if (!bind_steps (&b, error))
        return NULL;
    return g_steal_pointer (&f);
}

DlhFunction *
dlh_graph_compile (DlhGraph *graph, DlhNode *const *outputs, guint n_outputs, GError **error)
{
    return dlh_graph_compile_full (graph, outputs, n_outputs, DLH_COMPILE_DEFAULT, error);
}
