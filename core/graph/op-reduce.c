/* SPDX-License-Identifier: MIT */
/* Sums over axes, and what is made of them. */
#include <math.h>
#include <dlhost/dlhost.h>
#include "cpu/ew.h"
#include "graph/axes.h"

static gboolean
sum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhSumAttrs *a = node->attrs;
    DlhShape from = node->inputs[0]->shape;

    *dtype = node->inputs[0]->dtype;
    *shape = dlh_shape ();
    for (guint i = 0; i < DLH_MAX_RANK; i++) {
        if (a->reduced[i] && !dlh_check_axis (node, i, error))
            return FALSE;
        if (i < from.rank && (!a->reduced[i] || a->keep))
            shape->dims[shape->rank++] = a->reduced[i] ? 1 : from.dims[i];
    }
    return dlh_check_float (node, error);
}

// The sum with its axes kept as ones repeats over x.
static void
sum_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const DlhSumAttrs *a = y->attrs;
    DlhShape shape = y->inputs[0]->shape, ones = shape;

    for (guint i = 0; i < shape.rank; i++)
        if (a->reduced[i])
            ones.dims[i] = 1;
    dx[0] = dlh_reshape (dy, ones);
    if (a->scale != 1)
        dx[0] = dlh_scale (dx[0], a->scale);
    dx[0] = dlh_broadcast (dx[0], shape);
}

// The same program as behind a fused chain, so that fused and unfused sums have the same bits.
static gboolean
sum_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    const DlhSumAttrs *a = node->attrs;
    DlhShape domain = node->inputs[0]->shape;
    DlhEwLoad load = {.reg = 0, .slot = 0, .dtype = node->dtype};
    DlhEwSum sum = {.reg = 0, .slot = 1, .dtype = node->dtype, .scale = a->scale};
    gint64 step = 1;

    (void) error;
    for (guint i = domain.rank; i-- > 0; step *= domain.dims[i]) {
        load.strides[i] = domain.dims[i] == 1 ? 0 : step;
        sum.reduced[i] = a->reduced[i] != 0;
    }
    *state = dlh_ew_program_new (domain, 1, &load, 1, NULL, 0, NULL, 0, NULL, 0, &sum, 1, 0);
    return TRUE;
}

static void
sum_release (gpointer state)
{
    dlh_ew_program_free (state);
}

static gboolean
sum_run (const DlhCall *call, GError **error)
{
    void *slots[] = {(void *) call->in[0], call->out};

    (void) error;
    dlh_ew_program_run (call->state, slots);
    return TRUE;
}

static DlhNode *
sum_sample (DlhSample *s, guint which)
{
    static const int axes[][3] = {{0}, {1}, {-1}, {0, 2}, {1, 2}, {0, 1, 2}};
    static const guint n[] = {1, 1, 1, 2, 2, 3};
    DlhNode *x;

    if (which > 2 * G_N_ELEMENTS (n))
        return NULL;
    x = dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4));
    if (which == 2 * G_N_ELEMENTS (n))
        return dlh_sum_to (x, dlh_shape (dlh_node_dim (x, 1), 1));
    if (which % 2 || dlh_sample_small (s))
        return dlh_sum (x, axes[which / 2], n[which / 2], TRUE);
    return dlh_mean (x, axes[which / 2], n[which / 2], FALSE);
}

static DlhNode *
sum_reject (DlhSample *s, guint which)
{
    if (which == 0)
        return dlh_sum_axis (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2);
    if (which == 1)
        return dlh_sum (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), (const int[]){1, -1}, 2,
                        FALSE);
    if (which == 2)
        return dlh_sum_axis (dlh_sample_index (s, 3, dlh_shape (2, 3)), 0);
    return which == 3 ? dlh_sum_to (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), dlh_shape (2))
                      : NULL;
}

const DlhOp dlh_op_sum = {
    .size = sizeof (DlhOp),
    .name = "sum",
    .n_inputs = 1,
    .attrs_size = sizeof (DlhSumAttrs),
    .infer = sum_infer,
    .vjp = sum_vjp,
    .prepare = sum_prepare,
    .release = sum_release,
    .run = sum_run,
    .flops = dlh_flops_input,
    .sample = sum_sample,
    .reject = sum_reject,
};

// The sum of @n equal numbers, when that is a number of @x's type; else NULL.
static DlhNode *
sum_of_fill (DlhNode *x, const DlhSumAttrs *a, gboolean mean, gint64 n, DlhShape shape)
{
    double v, sum;

    if (!dlh_node_constant_value (x, &v) || (mean && !n))
        return NULL;
    if (x->dtype == DLH_F32)
        v = (float) v;
    sum = mean ? v : v * (double) n * a->scale;
    if (!isfinite (v) || !isfinite (x->dtype == DLH_F32 ? (float) sum : sum))
        return NULL;
    return dlh_full (x->graph, x->dtype, shape, sum);
}

static DlhNode *
make_sum (DlhNode *x, const char *op, const int *axes, guint n, gboolean keep)
{
    DlhSumAttrs a = {.scale = 1, .keep = keep != FALSE};
    gboolean mean = op[0] == 'm';
    DlhShape shape = dlh_shape ();
    gint64 count = 1;
    DlhNode *failed, *simple;

    if (dlh_node_failed (x) || (!n && dlh_dtype_is_float (x->dtype)))
        return x;
    failed = dlh_axes_mark (x, op, axes, n, a.reduced);
    if (failed)
        return failed;
    for (guint i = 0; i < x->shape.rank; i++) {
        count *= a.reduced[i] ? x->shape.dims[i] : 1;
        if (!a.reduced[i] || keep)
            shape.dims[shape.rank++] = a.reduced[i] ? 1 : x->shape.dims[i];
    }
    if (mean)
        a.scale = 1 / (double) count;
    if (!dlh_dtype_is_float (x->dtype))
        return dlh_node_new (&dlh_op_sum, &x, 1, &a);
    if (count == 1)
        return dlh_reshape (x, shape);
    simple = sum_of_fill (x, &a, mean, count, shape);
    return simple ? simple : dlh_node_new (&dlh_op_sum, &x, 1, &a);
}

DlhNode *
dlh_sum (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    return make_sum (x, "sum", axes, n, keep);
}

DlhNode *
dlh_mean (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    return make_sum (x, "mean", axes, n, keep);
}

DlhNode *
dlh_sum_axis (DlhNode *x, int axis)
{
    return dlh_sum (x, &axis, 1, FALSE);
}

DlhNode *
dlh_mean_axis (DlhNode *x, int axis)
{
    return dlh_mean (x, &axis, 1, FALSE);
}

static const int every_axis[DLH_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};

DlhNode *
dlh_sum_all (DlhNode *x)
{
    return dlh_sum (x, every_axis, x->shape.rank, FALSE);
}

DlhNode *
dlh_mean_all (DlhNode *x)
{
    return dlh_mean (x, every_axis, x->shape.rank, FALSE);
}

DlhNode *
dlh_sum_last (DlhNode *x, guint n)
{
    guint rank = x->shape.rank;

    if (dlh_node_failed (x))
        return x;
    if (n > rank) {
        g_autofree char *s = dlh_shape_to_string (x->shape);

        return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "sum_last: %s has no %u axes", s, n);
    }
    return dlh_sum (x, every_axis + rank - n, n, FALSE);
}

DlhNode *
dlh_sum_to (DlhNode *x, DlhShape shape)
{
    guint before = x->shape.rank - shape.rank, n = 0;
    gboolean fits = x->shape.rank >= shape.rank;
    int axes[DLH_MAX_RANK];

    if (dlh_node_failed (x))
        return x;
    for (guint i = 0; fits && i < x->shape.rank; i++) {
        gint64 want = i < before ? 1 : shape.dims[i - before];

        if (i < before || want != x->shape.dims[i])
            axes[n++] = (int) i;
        fits = want == 1 || want == x->shape.dims[i];
    }
    if (!fits) {
        g_autofree char *s = dlh_shape_to_string (x->shape), *t = dlh_shape_to_string (shape);

        return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "sum_to: %s does not broadcast to %s", t,
                               s);
    }
    return n ? dlh_reshape (dlh_sum (x, axes, n, FALSE), shape) : x;
}

DlhNode *
dlh_norm2 (DlhNode *x)
{
    return dlh_sum_all (dlh_square (x));
}

DlhNode *
dlh_dot (DlhNode *a, DlhNode *b)
{
    if (dlh_node_failed (a) || dlh_node_failed (b))
        return dlh_node_failed (a) ? a : b;
    if (!dlh_shape_equal (a->shape, b->shape)) {
        g_autofree char *s = dlh_shape_to_string (a->shape), *t = dlh_shape_to_string (b->shape);

        return dlh_graph_fail (a->graph, DLH_ERROR_SHAPE, "dot: %s and %s differ", s, t);
    }
    return dlh_sum_all (dlh_mul (a, b));
}

const DlhOp *const dlh_ops_reduce[] = {&dlh_op_sum, NULL};
