/* SPDX-License-Identifier: MIT */
/* Fusion: element-wise nodes of one shape join the group of a consumer, so that a chain, its
 * branches, and a sum behind it are one pass over memory. Nodes are visited from the outputs back:
 * a value is then computed where it is used, not where its operands happen to be ready. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "exec/private.h"

// Programs have DLH_EW_MAX_REGISTERS registers; a member brings at most three operands.
#define MAX_MEMBERS 24
#define MAX_OPERANDS 20

gboolean
dlh_is_elementwise (const DlhNode *node)
{
    return node->op->body != NULL;
}

static gboolean
is_member (const DlhCompiler *c, const DlhNode *node, int group)
{
    return c->group[node->id] == group;
}

// Whether a path leads from @from into @target, groups being entered and left as wholes.
static gboolean
reaches (DlhCompiler *c, DlhNode *from, int target, guint8 *seen, guint8 *seen_group)
{
    g_autoptr (GPtrArray) stack = g_ptr_array_new ();

    g_ptr_array_add (stack, from);
    while (stack->len) {
        DlhNode *node = g_ptr_array_steal_index_fast (stack, stack->len - 1);
        int group = c->group[node->id];

        if (group == target)
            return TRUE;
        if (seen[node->id])
            continue;
        seen[node->id] = TRUE;
        for (guint u = c->use_start[node->id]; u < c->use_start[node->id + 1]; u++)
            g_ptr_array_add (stack, c->uses[u]);
        if (group != DLH_NO_GROUP && !seen_group[group]) {
            DlhGroup *g = c->groups->pdata[group];

            seen_group[group] = TRUE;
            for (guint i = 0; i < g->members->len; i++)
                g_ptr_array_add (stack, g->members->pdata[i]);
        }
    }
    return FALSE;
}

static gboolean
makes_cycle (DlhCompiler *c, DlhNode *node, int group)
{
    g_autofree guint8 *seen = NULL, *seen_group = NULL;

    for (guint u = c->use_start[node->id]; u < c->use_start[node->id + 1]; u++) {
        if (is_member (c, c->uses[u], group))
            continue;
        if (!seen) {
            seen = g_new0 (guint8, c->n);
            seen_group = g_new0 (guint8, c->groups->len);
        }
        if (reaches (c, c->uses[u], group, seen, seen_group))
            return TRUE;
    }
    return FALSE;
}

static guint
count_operands (DlhCompiler *c, DlhGroup *g, int group, DlhNode *extra)
{
    g_autoptr (GHashTable) set = g_hash_table_new (NULL, NULL);

    for (guint i = 0; i <= g->members->len; i++) {
        DlhNode *m = i < g->members->len ? g->members->pdata[i] : extra;

        for (guint k = 0; m && k < m->n_inputs; k++)
            if (m->inputs[k] != extra && !is_member (c, m->inputs[k], group))
                g_hash_table_add (set, m->inputs[k]);
    }
    return g_hash_table_size (set);
}

static int
new_group (DlhCompiler *c, DlhNode *node, DlhShape domain)
{
    DlhGroup *g = g_new0 (DlhGroup, 1);

    g->members = g_ptr_array_new ();
    g->domain = domain;
    g_ptr_array_add (g->members, node);
    g_ptr_array_add (c->groups, g);
    return (int)c->groups->len - 1;
}

static int
find_group (DlhCompiler *c, DlhNode *node)
{
    if (c->flags & DLH_COMPILE_NO_FUSION)
        return DLH_NO_GROUP;
    for (guint u = c->use_start[node->id]; u < c->use_start[node->id + 1]; u++) {
        int group = c->group[c->uses[u]->id];
        DlhGroup *g = group == DLH_NO_GROUP ? NULL : c->groups->pdata[group];

        if (g && g->members->len < MAX_MEMBERS && dlh_shape_equal (g->domain, node->shape) &&
            count_operands (c, g, group, node) <= MAX_OPERANDS && !makes_cycle (c, node, group))
            return group;
    }
    return DLH_NO_GROUP;
}

// Nodes that only exist when somebody needs their value in memory.
gboolean
dlh_is_lazy (const DlhNode *node)
{
    return node->op == &dlh_op_broadcast || (dlh_is_view (node) && !node->op->run);
}

// Which values other steps need to find in memory.
static void
mark_in_memory (DlhCompiler *c)
{
    for (guint i = 0; i < c->n_outputs; i++)
        c->in_memory[c->outputs[i]->id] = TRUE;
    for (guint id = c->n; id-- > 0;) {
        DlhNode *node = c->live[id] ? dlh_graph_node (c->graph, id) : NULL;
        int group = c->group[id];
        double value;

        if (!node || (!c->in_memory[id] && dlh_is_lazy (node)))
            continue;
        for (guint k = 0; k < node->n_inputs; k++) {
            DlhNode *x = node->inputs[k];

            if (group == DLH_NO_GROUP)
                c->in_memory[x->id] = TRUE;
            else if (!is_member (c, x, group) && !dlh_node_constant_value (x, &value))
                c->in_memory[x->op == &dlh_op_broadcast ? x->inputs[0]->id : x->id] = TRUE;
        }
    }
}

void
dlh_fuse (DlhCompiler *c)
{
    c->groups = g_ptr_array_new ();
    // Operands are asked for their group before they are visited.
    for (guint id = 0; id < c->n; id++)
        c->group[id] = DLH_NO_GROUP;
    for (guint id = c->n; id-- > 0;) {
        DlhNode *node = c->live[id] ? dlh_graph_node (c->graph, id) : NULL;

        if (!node)
            continue;
        if (dlh_is_elementwise (node)) {
            int group = find_group (c, node);

            if (group == DLH_NO_GROUP)
                group = new_group (c, node, node->shape);
            else
                g_ptr_array_add (((DlhGroup *)c->groups->pdata[group])->members, node);
            c->group[id] = group;
        } else if (node->op == &dlh_op_sum && dlh_dtype_is_float (node->dtype) &&
                   !(c->flags & DLH_COMPILE_NO_FUSION)) {
            c->group[id] = new_group (c, node, node->inputs[0]->shape);
        }
    }
    mark_in_memory (c);
}

/* Programs. */

typedef struct {
    DlhCompiler *c;
    int group;
    GPtrArray *slots;
    GArray *loads, *constants, *instructions, *stores, *sums;
    GHashTable *registers; /* node -> register + 1 */
    guint n_registers;
} Builder;

// Each register is written once; the machine finds out which ones share a buffer. MAX_MEMBERS and
// MAX_OPERANDS keep their number below DLH_EW_MAX_REGISTERS.
static guint16
take_register (Builder *b)
{
    g_assert (b->n_registers < DLH_EW_MAX_REGISTERS);
    return (guint16)b->n_registers++;
}

static guint16
new_slot (Builder *b, DlhNode *node)
{
    g_ptr_array_add (b->slots, node);
    return (guint16)(b->slots->len - 1);
}

// Strides of @x, aligned at the last axis as broadcasting does, over the domain's axes.
static void
broadcast_strides (DlhShape domain, DlhShape x, gint64 *strides)
{
    gint64 step = 1;

    memset (strides, 0, DLH_MAX_RANK * sizeof *strides);
    for (guint i = 0; i < x.rank; i++) {
        guint axis = x.rank - 1 - i;

        strides[domain.rank - 1 - i] = x.dims[axis] == 1 ? 0 : step;
        step *= x.dims[axis];
    }
}

// The register that holds operand @x, loading it when it comes from outside.
static guint16
operand (Builder *b, DlhNode *x)
{
    guint found = GPOINTER_TO_UINT (g_hash_table_lookup (b->registers, x));
    DlhGroup *g = b->c->groups->pdata[b->group];
    guint16 reg;
    double value;

    if (found)
        return (guint16)(found - 1);
    reg = take_register (b);
    g_hash_table_insert (b->registers, x, GUINT_TO_POINTER (reg + 1u));
    if (dlh_node_constant_value (x, &value)) {
        DlhEwConstant constant = {reg, x->dtype, value};

        g_array_append_val (b->constants, constant);
    } else {
        DlhNode *source = x->op == &dlh_op_broadcast ? x->inputs[0] : x;
        DlhEwLoad load = {.reg = reg, .slot = new_slot (b, source), .dtype = x->dtype};

        broadcast_strides (g->domain, source->shape, load.strides);
        // A size of 1 in the domain itself: any stride will do; say contiguous.
        for (guint i = 0; i < g->domain.rank; i++)
            if (g->domain.dims[i] == 1)
                load.strides[i] = 0;
        g_array_append_val (b->loads, load);
    }
    return reg;
}

static void
add_sum (Builder *b, DlhNode *node, guint16 x)
{
    const DlhSumAttrs *a = node->attrs;
    DlhEwSum sum = {.reg = x, .slot = new_slot (b, node), .dtype = node->dtype, .scale = a->scale};

    for (guint i = 0; i < node->inputs[0]->shape.rank; i++)
        sum.reduced[i] = a->reduced[i] != 0;
    g_array_append_val (b->sums, sum);
}

static void
add_member (Builder *b, DlhNode *node)
{
    DlhEwInstruction in = {.dtype = node->dtype, .x = {0xffff, 0xffff, 0xffff}};

    for (guint k = 0; k < node->n_inputs; k++)
        in.x[k] = operand (b, node->inputs[k]);
    if (node->op == &dlh_op_sum) {
        add_sum (b, node, in.x[0]);
        return;
    }
    in.loop = dlh_ew_loop (node);
    in.y = take_register (b);
    if (node->op->attrs_size)
        memcpy (in.p, node->attrs, MIN (node->op->attrs_size, sizeof in.p));
    g_hash_table_insert (b->registers, node, GUINT_TO_POINTER (in.y + 1u));
    g_array_append_val (b->instructions, in);
    if (b->c->in_memory[node->id]) {
        DlhEwStore store = {in.y, new_slot (b, node), node->dtype};

        g_array_append_val (b->stores, store);
    }
}

static int
by_id (gconstpointer a, gconstpointer b)
{
    const DlhNode *x = *(DlhNode *const *)a, *y = *(DlhNode *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

DlhEwProgram *
dlh_fuse_program (DlhCompiler *c, DlhGroup *group, gint64 n_rows, GPtrArray *slots)
{
    GPtrArray *members = group->members;
    g_autoptr (GArray) loads = g_array_new (FALSE, TRUE, sizeof (DlhEwLoad));
    g_autoptr (GArray) constants = g_array_new (FALSE, TRUE, sizeof (DlhEwConstant));
    g_autoptr (GArray) instructions = g_array_new (FALSE, TRUE, sizeof (DlhEwInstruction));
    g_autoptr (GArray) stores = g_array_new (FALSE, TRUE, sizeof (DlhEwStore));
    g_autoptr (GArray) sums = g_array_new (FALSE, TRUE, sizeof (DlhEwSum));
    g_autoptr (GHashTable) registers = g_hash_table_new (NULL, NULL);
    Builder b = {c,         c->group[((DlhNode *)members->pdata[0])->id],
                 slots,     loads,
                 constants, instructions,
                 stores,    sums,
                 registers, 0};

    g_ptr_array_sort (members, by_id);
    for (guint i = 0; i < members->len; i++)
        add_member (&b, members->pdata[i]);
    return dlh_ew_program_new (group->domain, b.n_registers, (void *)loads->data, loads->len,
                               (void *)constants->data, constants->len, (void *)instructions->data,
                               instructions->len, (void *)stores->data, stores->len,
                               (void *)sums->data, sums->len, (gsize)n_rows);
}
