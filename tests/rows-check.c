/* SPDX-License-Identifier: MIT */
#include "rows-check.h"
#include "cpu/ew-private.h"

typedef struct {
    const char *begin, *end;
    gboolean writes, whole;
    guint at;
} Access;

static void
add_access (GArray *all, guint at, const void *memory, const DlhNode *node, gboolean writes,
            gboolean whole)
{
    const gsize bytes = (gsize)dlh_shape_count (node->shape) * dlh_dtype_size (node->dtype);
    const Access a = {memory, (const char *)memory + bytes, writes, whole, at};

    g_array_append_val (all, a);
}

static void
add_program (GArray *all, guint at, const DlhInstruction *in, gint64 n_rows)
{
    const DlhEwProgram *p = in->program;
    const gsize rows = (gsize)n_rows;

    for (guint i = 0; i < p->n_full; i++) {
        const char *x = in->slots[p->full[i].slot];
        const Access a = {x, x + p->count * p->full[i].size, FALSE, FALSE, at};

        g_array_append_val (all, a);
    }
    for (guint i = 0; i < p->n_stores; i++) {
        const char *y = in->slots[p->stores[i].slot];
        const Access a = {y, y + p->count * p->stores[i].size, TRUE, FALSE, at};

        g_array_append_val (all, a);
    }
    for (guint i = 0; i < p->n_sums; i++) {
        const char *y = in->slots[p->sums[i].slot];
        const Access a = {y, y + p->sums[i].of_row * rows * dlh_dtype_size (p->sums[i].out), TRUE,
                          FALSE, at};

        g_array_append_val (all, a);
    }
}

static void
add_expanded (GArray *all, guint at, const DlhInstruction *in, const EwExpand *e)
{
    gsize n = 1;
    const char *x = in->slots[e->slot];

    for (guint i = 0; i < e->rank; i++)
        n += (gsize)((e->dims[i] - 1) * e->strides[i]);
    const Access a = {x, x + n * e->size, FALSE, e->strides[0] == 0, at};

    g_array_append_val (all, a);
}

static void
check_run (DlhFunction *f, guint first)
{
    g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (Access));

    for (guint i = first; i < first + f->instructions[first].n_beside; i++) {
        const DlhInstruction *in = &f->instructions[i];
        const guint32 rows = in->kind == DLH_STEP_KERNEL ? in->rows->inputs (in->node) : 0;

        if (in->kind == DLH_STEP_FUSED) {
            add_program (all, i, in, in->n_rows);
            for (guint k = 0; k < in->program->n_expand; k++)
                add_expanded (all, i, in, &in->program->expand[k]);
            for (guint k = 0; k < in->program->n_once; k++)
                add_expanded (all, i, in, &in->program->once[k]);
            continue;
        }
        add_access (all, i, in->call.out, in->node, TRUE, FALSE);
        for (guint k = 0; k < in->node->n_inputs; k++)
            add_access (all, i, in->in[k], in->node->inputs[k], FALSE, !(rows >> k & 1));
    }
    for (guint i = 0; i < all->len; i++)
        for (guint k = 0; k < all->len; k++) {
            const Access *a = &g_array_index (all, Access, i), *b = &g_array_index (all, Access, k);
            const gboolean same = a->begin == b->begin && a->end == b->end && !b->whole;

            if (i != k && a->writes && !same && a->begin < b->end && b->begin < a->end)
                test_fail ("step %u (%s) writes what step %u (%s) uses for other rows", a->at,
                           f->instructions[a->at].name, b->at, f->instructions[b->at].name);
        }
}

guint
rows_check (DlhFunction *f)
{
    guint n = 0;

    for (guint i = 0; i < f->n_instructions; i++)
        if (f->instructions[i].n_rows && f->instructions[i].n_beside) {
            check_run (f, i);
            n += f->instructions[i].n_beside;
        }
    return n;
}
