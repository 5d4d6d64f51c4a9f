/* SPDX-License-Identifier: MIT */
/* Maxima and minima over axes, their places, and cumulative sums. The axis of a row is the middle
 * one of (outer, n, inner). NaN is larger and smaller than every number: it is not lost. */
#include <dlhost/dlhost.h>
#include "cpu/rows.h"
#include "graph/axes.h"

static gboolean
run_along (const DlhCall *call, DlhRowsOp op, gint64 axis)
{
    const DlhNode *x = call->node->inputs[0];
    DlhAround a = dlh_around (x->shape, axis);

    dlh_rows_run (op, x->dtype, a.outer, a.n, a.inner, call->in[0], call->out);
    return TRUE;
}

static gboolean
check_number (const DlhNode *node, GError **error)
{
    if (node->inputs[0]->dtype != DLH_BOOL)
        return TRUE;
    return dlh_refuse (node, error, "the input is bool, must be numbers");
}

/* argmax. */

typedef struct {
    gint64 axis, least;
} ArgAttrs;

static gboolean
arg_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ArgAttrs *a = node->attrs;
    const DlhNode *x = node->inputs[0];
    g_autofree char *s = NULL;

    if (!dlh_check_axis (node, a->axis, error))
        return FALSE;
    *dtype = DLH_I64;
    *shape = dlh_shape_remove (x->shape, (guint) a->axis);
    if (x->shape.dims[a->axis] > 0)
        return check_number (node, error);
    s = dlh_shape_to_string (x->shape);
    return dlh_refuse (node, error, "axis %" G_GINT64_FORMAT " of %s is empty", a->axis, s);
}

static gboolean
arg_run (const DlhCall *call, GError **error)
{
    const ArgAttrs *a = call->node->attrs;

    (void) error;
    return run_along (call, a->least ? DLH_ROWS_ARGMIN : DLH_ROWS_ARGMAX, a->axis);
}

// The place of the first least element: the gradient of a minimum goes there.
static DlhNode *argmin (DlhNode *x, int axis);

static DlhNode *
arg_sample (DlhSample *s, guint which)
{
    DlhNode *x;

    if (which > 3 || !dlh_sample_dim (s, 4))
        return NULL;
    x = dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4));
    return which == 3 ? argmin (x, 1) : dlh_argmax (x, (int) which);
}

static DlhNode *
arg_reject (DlhSample *s, guint which)
{
    if (which == 0)
        return dlh_argmax (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2);
    return which == 1 ? dlh_argmax (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 0)), 1) : NULL;
}

static const DlhOp op_argmax = {
    .size = sizeof (DlhOp),
    .name = "argmax",
    .n_inputs = 1,
    .attrs_size = sizeof (ArgAttrs),
    .flags = DLH_OP_NOT_SMOOTH,
    .infer = arg_infer,
    .run = arg_run,
    .flops = dlh_flops_input,
    .sample = arg_sample,
    .reject = arg_reject,
};

DlhNode *
dlh_argmax (DlhNode *x, int axis)
{
    ArgAttrs a = {.axis = dlh_axis (x, axis)};

    return dlh_node_new (&op_argmax, &x, 1, &a);
}

static DlhNode *
argmin (DlhNode *x, int axis)
{
    ArgAttrs a = {.axis = dlh_axis (x, axis), .least = 1};

    return dlh_node_new (&op_argmax, &x, 1, &a);
}

/* max and min, along the middle axis of three. */

static gboolean
extremum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *x = node->inputs[0];

    *dtype = x->dtype;
    *shape = dlh_shape ();
    if (x->shape.rank != 3)
        return dlh_refuse (node, error, "the input has %u axes, must have 3", x->shape.rank);
    *shape = dlh_shape_remove (x->shape, 1);
    if (x->shape.dims[1] == 0)
        return dlh_refuse (node, error, "of nothing: an axis has size 0");
    return check_number (node, error);
}

// All of a group's gradient goes to its first extremum.
static void
extremum_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = y->inputs[0];
    DlhNode *index = dlh_node_is (y, "reduce_max") ? dlh_argmax (x, 1) : argmin (x, 1);

    dx[0] = dlh_put_along (dy, index, x->shape.dims[1]);
    dx[0] = dlh_transpose (dx[0], (const guint[]){0, 2, 1}, 3);
}

static gboolean
max_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_along (call, DLH_ROWS_MAX, 1);
}

static gboolean
min_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_along (call, DLH_ROWS_MIN, 1);
}

static DlhNode *
extremum_sample (DlhSample *s, guint which,
                 DlhNode *(*make) (DlhNode *, const int *, guint, gboolean))
{
    static const int axes[][3] = {{0}, {1}, {-1}, {0, 2}, {1, 2}, {0, 1, 2}};
    static const guint n[] = {1, 1, 1, 2, 2, 3};

    if (which >= G_N_ELEMENTS (n) || !dlh_sample_dim (s, 4))
        return NULL;
    return make (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)), axes[which],
                 n[which], which % 2);
}

static DlhNode *
extremum_reject (DlhSample *s, guint which,
                 DlhNode *(*make) (DlhNode *, const int *, guint, gboolean))
{
    if (which == 0)
        return make (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), (const int[]){2}, 1, FALSE);
    if (which == 1)
        return make (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 0)), (const int[]){1}, 1, FALSE);
    return which == 2 ? make (dlh_sample_bool (s, dlh_shape (2, 3)), (const int[]){1}, 1, FALSE)
                      : NULL;
}

static DlhNode *
max_sample (DlhSample *s, guint which)
{
    return extremum_sample (s, which, dlh_reduce_max);
}

static DlhNode *
max_reject (DlhSample *s, guint which)
{
    return extremum_reject (s, which, dlh_reduce_max);
}

static DlhNode *
min_sample (DlhSample *s, guint which)
{
    return extremum_sample (s, which, dlh_reduce_min);
}

static DlhNode *
min_reject (DlhSample *s, guint which)
{
    return extremum_reject (s, which, dlh_reduce_min);
}

static const DlhOp op_max = {
    .size = sizeof (DlhOp),
    .name = "reduce_max",
    .n_inputs = 1,
    .flags = DLH_OP_STEPWISE,
    .infer = extremum_infer,
    .vjp = extremum_vjp,
    .run = max_run,
    .flops = dlh_flops_input,
    .sample = max_sample,
    .reject = max_reject,
};

static const DlhOp op_min = {
    .size = sizeof (DlhOp),
    .name = "reduce_min",
    .n_inputs = 1,
    .flags = DLH_OP_STEPWISE,
    .infer = extremum_infer,
    .vjp = extremum_vjp,
    .run = min_run,
    .flops = dlh_flops_input,
    .sample = min_sample,
    .reject = min_reject,
};

static DlhNode *
extremum (const DlhOp *op, DlhNode *x, const int *axes, guint n, gboolean keep)
{
    gint64 reduced[DLH_MAX_RANK];
    DlhShape shape;
    DlhNode *failed;

    if (dlh_node_failed (x))
        return x;
    failed = dlh_axes_mark (x, op->name, axes, n, reduced);
    if (failed)
        return failed;
    x = dlh_axes_join (x, reduced, keep, &shape);
    if (!dlh_node_failed (x) && x->shape.dims[1] == 1 && x->dtype != DLH_BOOL)
        return dlh_reshape (x, shape);
    return dlh_reshape (dlh_node_new (op, &x, 1, NULL), shape);
}

DlhNode *
dlh_reduce_max (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    return extremum (&op_max, x, axes, n, keep);
}

DlhNode *
dlh_reduce_min (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    return extremum (&op_min, x, axes, n, keep);
}

/* cumsum. */

typedef struct {
    gint64 axis, reverse;
} CumsumAttrs;

static gboolean
cumsum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return dlh_check_axis (node, ((const CumsumAttrs *) node->attrs)->axis, error) &&
           dlh_check_float (node, error);
}

static void
cumsum_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const CumsumAttrs *a = y->attrs;

    dx[0] = dlh_cumsum (dy, (int) a->axis, !a->reverse);
}

static gboolean
cumsum_run (const DlhCall *call, GError **error)
{
    const CumsumAttrs *a = call->node->attrs;

    (void) error;
    return run_along (call, a->reverse ? DLH_ROWS_CUMSUM_REVERSE : DLH_ROWS_CUMSUM, a->axis);
}

static DlhNode *
cumsum_sample (DlhSample *s, guint which)
{
    if (which > 5)
        return NULL;
    return dlh_cumsum (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)),
                       (int) which / 2, which % 2);
}

static DlhNode *
cumsum_reject (DlhSample *s, guint which)
{
    if (which == 0)
        return dlh_cumsum (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2, FALSE);
    return which == 1 ? dlh_cumsum (dlh_sample_uniform (s, -2, 2, dlh_shape ()), 0, FALSE) : NULL;
}

static const DlhOp op_cumsum = {
    .size = sizeof (DlhOp),
    .name = "cumsum",
    .n_inputs = 1,
    .attrs_size = sizeof (CumsumAttrs),
    .flags = DLH_OP_IN_PLACE,
    .infer = cumsum_infer,
    .vjp = cumsum_vjp,
    .run = cumsum_run,
    .sample = cumsum_sample,
    .reject = cumsum_reject,
};

DlhNode *
dlh_cumsum (DlhNode *x, int axis, gboolean reverse)
{
    CumsumAttrs a = {dlh_axis (x, axis), reverse != FALSE};

    return dlh_node_new (&op_cumsum, &x, 1, &a);
}

const DlhOp *const dlh_ops_extremum[] = {&op_max, &op_min, &op_argmax, &op_cumsum, NULL};
