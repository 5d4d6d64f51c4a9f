/* SPDX-License-Identifier: MIT */
/* softmax, log-softmax and logsumexp along an axis. */
#include <dlhost/dlhost.h>
#include "cpu/rows.h"
#include "graph/axes.h"
#include "graph/rows.h"

typedef struct {
    gint64 axis;
} AxisAttrs;

static gint64
axis_of (const DlhNode *node)
{
    return ((const AxisAttrs *) node->attrs)->axis;
}

static gboolean
softmax_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return dlh_check_axis (node, axis_of (node), error) && dlh_check_float (node, error);
}

// The sum along y's axis, repeated over it.
static DlhNode *
sum_along (DlhNode *y, DlhNode *x)
{
    int axis = (int) axis_of (y);

    return dlh_sum (x, &axis, 1, TRUE);
}

// y (dy - sum dy y)
static void
softmax_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (y, dlh_sub (dy, sum_along (y, dlh_mul (dy, y))));
}

// dy - softmax sum dy
static void
log_softmax_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_sub (dy, dlh_mul (dlh_exp (y), sum_along (y, dy)));
}

static gboolean
softmax_run (const DlhCall *call, DlhRowsOp op, gint64 axis)
{
    DlhAround a = dlh_around (call->node->inputs[0]->shape, axis);

    dlh_rows_run (op, call->node->dtype, a.outer, a.n, a.inner, call->in[0], call->out);
    return TRUE;
}

static gboolean
plain_run (const DlhCall *call, GError **error)
{
    (void) error;
    return softmax_run (call, DLH_ROWS_SOFTMAX, axis_of (call->node));
}

static gboolean
log_run (const DlhCall *call, GError **error)
{
    (void) error;
    return softmax_run (call, DLH_ROWS_LOG_SOFTMAX, axis_of (call->node));
}

static gboolean
logsumexp_run (const DlhCall *call, GError **error)
{
    (void) error;
    return softmax_run (call, DLH_ROWS_LOGSUMEXP, 1);
}

// Along any axis but the first.
static guint32
softmax_rows (const DlhNode *node)
{
    return axis_of (node) > 0 ? DLH_BY_ROWS | 1 : 0;
}

static guint32
logsumexp_rows (const DlhNode *node)
{
    (void)node;
    return DLH_BY_ROWS | 1;
}

static void
run_some_rows (const DlhCall *call, DlhRowsOp op, gint64 axis, gint64 first, gint64 n)
{
    const DlhShape x = call->node->inputs[0]->shape, y = call->node->shape;
    const DlhAround a = dlh_around (x, axis);
    const gsize from = (gsize)(first * (dlh_shape_count (x) / x.dims[0]));
    const gsize to = (gsize)(first * (dlh_shape_count (y) / y.dims[0]));
    const gsize size = dlh_dtype_size (call->node->dtype);

    dlh_rows_run (op, call->node->dtype, a.outer / x.dims[0] * n, a.n, a.inner,
                  (const char *)call->in[0] + from * size, (char *)call->out + to * size);
}

static void
plain_run_rows (const DlhCall *call, gint64 first, gint64 n)
{
    run_some_rows (call, DLH_ROWS_SOFTMAX, axis_of (call->node), first, n);
}

static void
log_run_rows (const DlhCall *call, gint64 first, gint64 n)
{
    run_some_rows (call, DLH_ROWS_LOG_SOFTMAX, axis_of (call->node), first, n);
}

static void
logsumexp_run_rows (const DlhCall *call, gint64 first, gint64 n)
{
    run_some_rows (call, DLH_ROWS_LOGSUMEXP, 1, first, n);
}

// A difference, an exponential (counted as ten), a sum and a quotient.
static double
softmax_flops (const DlhNode *node)
{
    return 13 * dlh_flops_input (node);
}

static DlhNode *
softmax_sample (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *, int) )
{
    if (which > 3)
        return NULL;
    if (which == 3)
        return make (dlh_sample_uniform (s, -20, 20, dlh_sample_shape (s, 5)), -1);
    return make (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)), (int) which);
}

static DlhNode *
softmax_reject (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *, int) )
{
    if (which == 0)
        return make (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2);
    return which == 1 ? make (dlh_sample_index (s, 3, dlh_shape (2, 3)), 1) : NULL;
}

static DlhNode *
plain_sample (DlhSample *s, guint which)
{
    return softmax_sample (s, which, dlh_softmax);
}

static DlhNode *
plain_reject (DlhSample *s, guint which)
{
    return softmax_reject (s, which, dlh_softmax);
}

static DlhNode *
log_sample (DlhSample *s, guint which)
{
    return softmax_sample (s, which, dlh_log_softmax);
}

static DlhNode *
log_reject (DlhSample *s, guint which)
{
    return softmax_reject (s, which, dlh_log_softmax);
}

static const DlhOp op_softmax = {
    .size = sizeof (DlhOp),
    .name = "softmax",
    .n_inputs = 1,
    .attrs_size = sizeof (AxisAttrs),
    .flags = DLH_OP_IN_PLACE,
    .infer = softmax_infer,
    .vjp = softmax_vjp,
    .run = plain_run,
    .flops = softmax_flops,
    .sample = plain_sample,
    .reject = plain_reject,
};

static const DlhOp op_log_softmax = {
    .size = sizeof (DlhOp),
    .name = "log_softmax",
    .n_inputs = 1,
    .attrs_size = sizeof (AxisAttrs),
    .flags = DLH_OP_IN_PLACE,
    .infer = softmax_infer,
    .vjp = log_softmax_vjp,
    .run = log_run,
    .flops = softmax_flops,
    .sample = log_sample,
    .reject = log_reject,
};

DlhNode *
dlh_softmax (DlhNode *x, int axis)
{
    AxisAttrs a = {dlh_axis (x, axis)};

    return dlh_node_new (&op_softmax, &x, 1, &a);
}

DlhNode *
dlh_log_softmax (DlhNode *x, int axis)
{
    AxisAttrs a = {dlh_axis (x, axis)};

    return dlh_node_new (&op_log_softmax, &x, 1, &a);
}

/* logsumexp, along the middle axis of three. */

static gboolean
logsumexp_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *x = node->inputs[0];

    *dtype = x->dtype;
    *shape = dlh_shape ();
    if (x->shape.rank != 3)
        return dlh_refuse (node, error, "the input has %u axes, must have 3", x->shape.rank);
    *shape = dlh_shape_remove (x->shape, 1);
    if (x->shape.dims[1] == 0)
        return dlh_refuse (node, error, "of nothing: an axis has size 0");
    return dlh_check_float (node, error);
}

static void
logsumexp_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dlh_expand (dy, 1), dlh_softmax (y->inputs[0], 1));
}

static DlhNode *
logsumexp_sample (DlhSample *s, guint which)
{
    static const int axes[][3] = {{0}, {1}, {-1}, {0, 2}, {1, 2}, {0, 1, 2}};
    static const guint n[] = {1, 1, 1, 2, 2, 3};

    if (which >= G_N_ELEMENTS (n) || !dlh_sample_dim (s, 4))
        return NULL;
    return dlh_logsumexp (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)), axes[which],
                          n[which], which % 2);
}

static DlhNode *
logsumexp_reject (DlhSample *s, guint which)
{
    int axis = which == 0 ? 2 : 1;

    if (which > 2)
        return NULL;
    return dlh_logsumexp (which == 2 ? dlh_sample_index (s, 3, dlh_shape (2, 3))
                                     : dlh_sample_uniform (s, -2, 2, dlh_shape (2, which ? 0 : 3)),
                          &axis, 1, FALSE);
}

static const DlhOp op_logsumexp = {
    .size = sizeof (DlhOp),
    .name = "logsumexp",
    .n_inputs = 1,
    .infer = logsumexp_infer,
    .vjp = logsumexp_vjp,
    .run = logsumexp_run,
    .flops = softmax_flops,
    .sample = logsumexp_sample,
    .reject = logsumexp_reject,
};

DlhNode *
dlh_logsumexp (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    gint64 reduced[DLH_MAX_RANK];
    DlhShape shape;
    DlhNode *failed;

    if (dlh_node_failed (x))
        return x;
    failed = dlh_axes_mark (x, "logsumexp", axes, n, reduced);
    if (failed)
        return failed;
    x = dlh_axes_join (x, reduced, keep, &shape);
    return dlh_reshape (dlh_node_new (&op_logsumexp, &x, 1, NULL), shape);
}

const DlhOpRows dlh_rows_softmax[] = {
    {&op_softmax, softmax_rows, plain_run_rows},
    {&op_log_softmax, softmax_rows, log_run_rows},
    {&op_logsumexp, logsumexp_rows, logsumexp_run_rows},
    {0},
};
const DlhOp *const dlh_ops_softmax[] = {&op_softmax, &op_log_softmax, &op_logsumexp, NULL};
