/* SPDX-License-Identifier: MIT */
/* The plan: steps, which of them write variables in place, and their order. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "exec/private.h"

#define FEW_FLOPS 1000

/* Where values lie. */

typedef struct {
    gint64 axis, start, stop, step;
} SliceAttrs;

gboolean
dlh_is_view (const DlhNode *node)
{
    const SliceAttrs *a = node->attrs;

    if (node->op->flags & DLH_OP_VIEW)
        return TRUE;
    if (!dlh_node_is (node, "slice") || a->step != 1)
        return FALSE;
    // A slice is contiguous when nothing but sizes of 1 stands before its axis.
    for (gint64 i = 0; i < a->axis; i++)
        if (node->shape.dims[i] != 1)
            return FALSE;
    return TRUE;
}

gsize
dlh_view_offset (const DlhNode *node)
{
    const SliceAttrs *a = node->attrs;
    gint64 n;

    if (node->op->flags & DLH_OP_VIEW)
        return 0;
    n = a->start;
    for (guint i = (guint)a->axis + 1; i < node->shape.rank; i++)
        n *= node->shape.dims[i];
    return (gsize)n * dlh_dtype_size (node->dtype);
}

gsize
dlh_plan_bytes_of (const DlhNode *node)
{
    return (gsize)dlh_shape_count (node->shape) * dlh_dtype_size (node->dtype);
}

static void
place_values (DlhCompiler *c)
{
    for (guint id = 0; id < c->n; id++) {
        DlhNode *node = dlh_graph_node (c->graph, id);
        DlhValue *v = &c->values[id];

        if (!c->live[id] || !c->in_memory[id] || node->op == &dlh_op_assign)
            continue;
        v->root = node;
        if (node->op == &dlh_op_input)
            v->place = DLH_AT_INPUT;
        else if (node->op == &dlh_op_read)
            v->place = DLH_AT_VARIABLE;
        else if (node->op == &dlh_op_constant || node->op == &dlh_op_fill)
            v->place = DLH_AT_CONSTANT;
        else if (dlh_is_view (node)) {
            *v = c->values[node->inputs[0]->id];
            v->offset += dlh_view_offset (node);
        } else
            v->place = DLH_AT_BUFFER;
    }
    // A computed output keeps its memory to itself.
    for (guint i = 0; i < c->n_outputs; i++) {
        DlhValue *v = &c->values[c->outputs[i]->id];

        if (c->outputs[i]->op != &dlh_op_assign && v->place == DLH_AT_BUFFER)
            c->values[v->root->id].place = DLH_AT_OUTPUT;
    }
    for (guint id = 0; id < c->n; id++)
        if (c->values[id].root)
            c->values[id].place = c->values[c->values[id].root->id].place;
}

/* Steps. */

static DlhStep *
new_step (DlhCompiler *c, DlhStepKind kind, DlhNode *node)
{
    DlhStep *s = g_new0 (DlhStep, 1);

    s->kind = kind;
    s->node = node;
    s->key = node->id;
    s->after = g_array_new (FALSE, FALSE, sizeof (guint));
    g_ptr_array_add (c->steps, s);
    return s;
}

static void
make_steps (DlhCompiler *c)
{
    for (guint g = 0; g < c->groups->len; g++) {
        DlhGroup *group = c->groups->pdata[g];
        DlhStep *s = new_step (c, DLH_STEP_FUSED, group->members->pdata[0]);

        s->group = group;
        for (guint i = 0; i < group->members->len; i++)
            c->producer[((DlhNode *)group->members->pdata[i])->id] = (int)c->steps->len - 1;
    }
    for (guint id = 0; id < c->n; id++) {
        DlhNode *node = c->live[id] ? dlh_graph_node (c->graph, id) : NULL;

        if (!node || c->group[id] != DLH_NO_GROUP || node->op == &dlh_op_input ||
            node->op == &dlh_op_read || node->op == &dlh_op_constant || node->op == &dlh_op_fill ||
            node->op == &dlh_op_assign || !node->op->run ||
            (dlh_is_lazy (node) && !c->in_memory[id]) || (dlh_is_view (node) && !node->op->run) ||
            (dlh_node_is (node, "slice") && dlh_is_view (node)))
            continue;
        new_step (c, DLH_STEP_KERNEL, node);
        c->producer[id] = (int)c->steps->len - 1;
    }
    // Outputs that are leaves are copied before anything is written.
    for (guint i = 0; i < c->n_outputs; i++) {
        DlhPlace place = c->values[c->outputs[i]->id].place;

        if (c->outputs[i]->op != &dlh_op_assign &&
            (place == DLH_AT_INPUT || place == DLH_AT_VARIABLE))
            new_step (c, DLH_STEP_COPY, c->outputs[i])->target = (int)i;
    }
}

static void
add_edge (DlhCompiler *c, guint from, guint to)
{
    DlhStep *s = c->steps->pdata[from];

    if (from != to)
        g_array_append_val (s->after, to);
}

void
dlh_plan_for_operands (DlhCompiler *c, guint step,
                       void (*visit) (DlhCompiler *, guint, DlhNode *, gpointer), gpointer data)
{
    DlhStep *s = c->steps->pdata[step];
    guint n = s->kind == DLH_STEP_FUSED ? s->group->members->len : 1;

    if (s->kind == DLH_STEP_COPY) {
        visit (c, step, s->node, data);
        return;
    }
    for (guint i = 0; i < n; i++) {
        DlhNode *m = s->kind == DLH_STEP_FUSED ? s->group->members->pdata[i] : s->node;

        for (guint k = 0; k < m->n_inputs; k++) {
            DlhNode *x = m->inputs[k];

            if (s->kind == DLH_STEP_FUSED) {
                double value;

                if (c->producer[x->id] == (int)step || dlh_node_constant_value (x, &value))
                    continue;
                if (x->op == &dlh_op_broadcast)
                    x = x->inputs[0];
            }
            visit (c, step, x, data);
        }
    }
}

// A view with a step of its own (a check) is done before others use the value it checks.
static void
depend (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    (void)data;
    while (TRUE) {
        if (c->producer[x->id] >= 0)
            add_edge (c, (guint)c->producer[x->id], step);
        if (c->values[x->id].root == x || !x->n_inputs)
            return;
        x = x->inputs[0];
    }
}

static gboolean
step_reaches (DlhCompiler *c, guint from, guint to, guint8 *seen)
{
    DlhStep *s = c->steps->pdata[from];

    if (from == to)
        return TRUE;
    if (seen[from])
        return FALSE;
    seen[from] = TRUE;
    for (guint i = 0; i < s->after->len; i++)
        if (step_reaches (c, g_array_index (s->after, guint, i), to, seen))
            return TRUE;
    return FALSE;
}

/* Assignment in place: the step that computes the new value stores it in the variable, after every
 * other step that reads the old one. */

typedef struct {
    DlhVariable *variable;
    guint writer;
    gboolean allowed;
    GArray *readers;
} InPlace;

static void
find_reader (DlhCompiler *c, guint step, DlhNode *x, gpointer data)
{
    InPlace *p = data;
    DlhNode *root = c->values[x->id].root;

    if (!root || root->op != &dlh_op_read || root->variable != p->variable)
        return;
    if (step != p->writer) {
        g_array_append_val (p->readers, step);
        return;
    }
    // The writer itself may read element i before it stores element i, and nothing else.
    if (((DlhStep *)c->steps->pdata[step])->kind != DLH_STEP_FUSED || c->values[x->id].offset ||
        !dlh_shape_equal (x->shape, ((DlhStep *)c->steps->pdata[step])->group->domain))
        p->allowed = FALSE;
}

static gboolean
can_write (DlhCompiler *c, DlhNode *assign)
{
    DlhNode *value = assign->inputs[0];
    DlhStep *s;

    if ((c->flags & DLH_COMPILE_NO_IN_PLACE) || c->values[value->id].place != DLH_AT_BUFFER ||
        c->values[value->id].root != value || c->producer[value->id] < 0 ||
        !dlh_plan_bytes_of (value))
        return FALSE;
    s = c->steps->pdata[c->producer[value->id]];
    // A sum is kept in its program until the pass is over: not at the place of an operand.
    return s->kind == DLH_STEP_KERNEL || value->op != &dlh_op_sum;
}

static gboolean
is_fallible (const DlhStep *s)
{
    return s->kind == DLH_STEP_KERNEL && (s->node->op->flags & DLH_OP_FALLIBLE);
}

// Whether something that can fail needs what step @writer computes, and so comes after it.
static gboolean
precedes_failure (DlhCompiler *c, guint writer, guint8 *seen)
{
    for (guint f = 0; f < c->steps->len; f++) {
        memset (seen, 0, c->steps->len);
        if (f != writer && is_fallible (c->steps->pdata[f]) && step_reaches (c, writer, f, seen))
            return TRUE;
    }
    return FALSE;
}

static gboolean
write_in_place (DlhCompiler *c, DlhNode *assign)
{
    DlhNode *value = assign->inputs[0];
    g_autoptr (GArray) readers = g_array_new (FALSE, FALSE, sizeof (guint));
    InPlace p = {assign->variable, 0, TRUE, readers};
    g_autofree guint8 *seen = g_new (guint8, c->steps->len);

    if (!can_write (c, assign))
        return FALSE;
    p.writer = (guint)c->producer[value->id];
    if (precedes_failure (c, p.writer, seen))
        return FALSE;
    for (guint s = 0; s < c->steps->len; s++)
        dlh_plan_for_operands (c, s, find_reader, &p);
    for (guint i = 0; i < readers->len && p.allowed; i++) {
        memset (seen, 0, c->steps->len);
        p.allowed = !step_reaches (c, p.writer, g_array_index (readers, guint, i), seen);
    }
    if (!p.allowed)
        return FALSE;
    for (guint i = 0; i < readers->len; i++)
        add_edge (c, g_array_index (readers, guint, i), p.writer);
    c->values[value->id] = (DlhValue){DLH_AT_VARIABLE, assign, 0};
    for (guint id = value->id + 1; id < c->n; id++)
        if (c->values[id].root == value) {
            c->values[id].place = DLH_AT_VARIABLE;
            c->values[id].root = assign;
        }
    ((DlhStep *)c->steps->pdata[p.writer])->writes = TRUE;
    return TRUE;
}

// Steps that can fail come before the first write, so that a failed run changes nothing.
static void
order_failures_first (DlhCompiler *c)
{
    g_autofree guint8 *seen = g_new (guint8, c->steps->len);

    for (guint f = 0; f < c->steps->len; f++) {
        if (!is_fallible (c->steps->pdata[f]))
            continue;
        for (guint w = 0; w < c->steps->len; w++) {
            memset (seen, 0, c->steps->len);
            if (w != f && ((DlhStep *)c->steps->pdata[w])->writes && !step_reaches (c, w, f, seen))
                add_edge (c, f, w);
        }
    }
}

static void
place_assignments (DlhCompiler *c)
{
    for (guint id = 0; id < c->n; id++) {
        DlhNode *node = c->live[id] ? dlh_graph_node (c->graph, id) : NULL;
        DlhAssignment a = {.node = node};

        if (!node || node->op != &dlh_op_assign)
            continue;
        a.in_place = write_in_place (c, node);
        g_array_append_val (c->assignments, a);
    }
    for (guint i = 0; i < c->assignments->len; i++) {
        DlhAssignment *a = &g_array_index (c->assignments, DlhAssignment, i);
        DlhNode *root = c->values[a->node->inputs[0]->id].root;

        if (a->in_place || root->op != &dlh_op_read)
            continue;
        // The source is another variable, which this run may change too.
        a->staged = TRUE;
        new_step (c, DLH_STEP_COPY, a->node->inputs[0])->target = -1 - (int)i;
    }
}

// Staging copies are readers as well; they were not there when writes in place were decided.
static void
order_copies_first (DlhCompiler *c)
{
    for (guint s = 0; s < c->steps->len; s++) {
        DlhStep *copy = c->steps->pdata[s];
        DlhNode *root;

        if (copy->kind != DLH_STEP_COPY)
            continue;
        root = c->values[copy->node->id].root;
        for (guint i = 0; root->op == &dlh_op_read && i < c->assignments->len; i++) {
            DlhAssignment *a = &g_array_index (c->assignments, DlhAssignment, i);

            if (a->in_place && a->node->variable == root->variable)
                add_edge (c, s, (guint)c->producer[a->node->inputs[0]->id]);
        }
    }
}

/* Order: Kahn's algorithm; single numbers first, which would stand between steps that go by rows;
 * writes as soon as they can be, to free what they consumed; else in the order of making. Serial
 * steps wait until nothing else can be done; those that are ready by then do not need each other
 * and run side by side. */

static gboolean
is_serial (const DlhStep *s)
{
    return s->kind == DLH_STEP_KERNEL && (s->node->op->flags & DLH_OP_SERIAL) &&
           dlh_get_threads () > 1;
}

static gboolean
is_number (const DlhStep *s)
{
    const DlhShape shape = s->kind == DLH_STEP_FUSED ? s->group->domain : s->node->shape;

    return dlh_shape_count (shape) == 1 && s->flops <= FEW_FLOPS;
}

static guint
best_ready (DlhCompiler *c, GArray *ready)
{
    guint best = 0;

    for (guint i = 1; i < ready->len; i++) {
        DlhStep *a = c->steps->pdata[g_array_index (ready, guint, i)];
        DlhStep *b = c->steps->pdata[g_array_index (ready, guint, best)];

        if (is_serial (a) != is_serial (b)) {
            if (is_serial (b))
                best = i;
            continue;
        }
        if (is_number (a) != is_number (b)) {
            if (is_number (a))
                best = i;
            continue;
        }
        if (a->writes != b->writes ? a->writes : a->key < b->key)
            best = i;
    }
    return best;
}

// Appends the best step that is ready to the order.
static DlhStep *
take_step (DlhCompiler *c, GArray *ready, guint position)
{
    guint i = best_ready (c, ready), s = g_array_index (ready, guint, i);
    DlhStep *step = c->steps->pdata[s];

    g_array_remove_index_fast (ready, i);
    step->position = position;
    c->order[position] = s;
    return step;
}

// What waited for @step alone is ready now.
static void
release (DlhCompiler *c, const DlhStep *step, GArray *ready)
{
    for (guint k = 0; k < step->after->len; k++) {
        guint t = g_array_index (step->after, guint, k);

        if (--((DlhStep *)c->steps->pdata[t])->n_before == 0)
            g_array_append_val (ready, t);
    }
}

static void
schedule (DlhCompiler *c)
{
    g_autoptr (GArray) ready = g_array_new (FALSE, FALSE, sizeof (guint));
    guint n = 0;

    for (guint s = 0; s < c->steps->len; s++) {
        DlhStep *step = c->steps->pdata[s];

        step->flops = dlh_plan_flops (step);
        for (guint i = 0; i < step->after->len; i++)
            ((DlhStep *)c->steps->pdata[g_array_index (step->after, guint, i)])->n_before++;
    }
    for (guint s = 0; s < c->steps->len; s++)
        if (!((DlhStep *)c->steps->pdata[s])->n_before)
            g_array_append_val (ready, s);
    c->order = g_new (guint, c->steps->len + 1);
    while (ready->len) {
        guint begin = n, n_others = ready->len - 1;
        // A serial step is the best only when all that are ready are.
        gboolean serial = is_serial (take_step (c, ready, n++));

        for (guint k = 0; serial && k < n_others; k++)
            take_step (c, ready, n++);
        for (guint k = begin; k < n; k++) {
            DlhStep *step = c->steps->pdata[c->order[k]];

            step->begin = begin;
            step->end = n - 1;
            release (c, step, ready);
        }
    }
    g_assert (n == c->steps->len);
}

void
dlh_plan (DlhCompiler *c)
{
    place_values (c);
    make_steps (c);
    for (guint s = 0; s < c->steps->len; s++)
        dlh_plan_for_operands (c, s, depend, NULL);
    place_assignments (c);
    for (guint s = 0; s < c->steps->len; s++)
        if (((DlhStep *)c->steps->pdata[s])->kind == DLH_STEP_COPY)
            dlh_plan_for_operands (c, s, depend, NULL);
    order_copies_first (c);
    order_failures_first (c);
    schedule (c);
    dlh_plan_rows (c);
    dlh_plan_memory (c);
}
