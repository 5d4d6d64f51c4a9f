/* SPDX-License-Identifier: MIT */
/* y (n + 2): D, then a and b. With s = softplus rho and e standard normal,
 *
 *   D_i = s_i e_i        a = sum_i (mean_i^2 + s_i^2)        b = sum_i log s_i
 *   drho_i = (dD_i D_i + db + 2 da s_i^2) s_i' / s_i         dmean_i = 2 da mean_i
 *
 * where D_i / s_i stands for e_i: nothing but D need be kept for the gradient. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/axes.h"
#include "graph/elementwise-private.h"
#include "graph/random.h"

static gboolean
softplus_normal_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *mean = node->inputs[1], *rho = node->inputs[2];

    *dtype = rho->dtype;
    *shape = dlh_shape ();
    if (mean->dtype != rho->dtype || !dlh_shape_equal (mean->shape, rho->shape)) {
        g_autofree char *m = dlh_shape_to_string (mean->shape);
        g_autofree char *r = dlh_shape_to_string (rho->shape);

        return dlh_refuse (node, error, "mean %s %s and rho %s %s must be alike",
                           dlh_dtype_name (mean->dtype), m, dlh_dtype_name (rho->dtype), r);
    }
    if (!dlh_draw_check (node, *dtype, rho->shape, error))
        return FALSE;
    *shape = dlh_shape (dlh_shape_count (rho->shape) + 2);
    return TRUE;
}

/* A gradient is laid side by side from its parts; whoever wants a part back takes it as it was. */
static DlhNode *
part_of (DlhNode *dy, gint64 start, gint64 n)
{
    gint64 at = 0;

    if (dlh_node_is (dy, "concat"))
        for (guint i = 0; i < dy->n_inputs; at += dy->inputs[i++]->shape.dims[0])
            if (at == start && dy->inputs[i]->shape.dims[0] == n)
                return dy->inputs[i];
    if (dlh_node_is (dy, "slice_scatter")) {
        const gint64 *a = dy->attrs; // axis, start, step, size

        at = a[1];
        if (at == start && a[2] == 1 && dy->inputs[0]->shape.dims[0] == n)
            return dy->inputs[0];
        if (at >= start + n || at + dy->inputs[0]->shape.dims[0] <= start)
            return dlh_full (dy->graph, dy->dtype, dlh_shape (n), 0);
    }
    return dlh_slice (dy, 0, start, start + n, 1);
}

static DlhNode *
scalar_of (DlhNode *dy, gint64 at)
{
    return dlh_reshape (part_of (dy, at, 1), dlh_shape ());
}

static DlhNode *
draw_of (DlhNode *y, DlhShape shape)
{
    return dlh_reshape (dlh_slice (y, 0, 0, y->shape.dims[0] - 2, 1), shape);
}

static void
softplus_normal_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *mean = dlh_node_input (y, 1), *rho = dlh_node_input (y, 2);
    const DlhShape shape = rho->shape;
    const gint64 n = dlh_shape_count (shape);
    DlhNode *d_draw = dlh_reshape (part_of (dy, 0, n), shape);
    DlhNode *twice = dlh_scale (scalar_of (dy, n), 2);
    DlhNode *u = dlh_add (dlh_mul (d_draw, draw_of (y, shape)), scalar_of (dy, n + 1));

    dx[1] = dlh_mul (mean, twice);
    dx[2] = dlh_softplus_grad (rho, u, twice);
}

static gsize
softplus_normal_workspace (const DlhNode *node)
{
    return dlh_draw_softplus_work ((gsize)dlh_shape_count (node->inputs[2]->shape));
}

static gboolean
softplus_normal_run (const DlhCall *call, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);

    (void)error;
    dlh_draw_softplus_normal (&draw, call->node->dtype, call->in[1], call->in[2], call->out,
                              (gsize)dlh_shape_count (call->node->inputs[2]->shape), call->work);
    return TRUE;
}

// A normal number, an exponential and a logarithm (counted as ten each), products and sums.
static double
softplus_normal_flops (const DlhNode *node)
{
    return 45 * (double)dlh_shape_count (node->inputs[2]->shape);
}

static DlhNode *
make (DlhStream *stream, DlhNode *mean, DlhNode *rho)
{
    DlhNode *inputs[3] = {NULL, mean, rho};

    if (dlh_node_failed (mean) || dlh_node_failed (rho))
        return dlh_add (mean, rho);
    return dlh_draw_node (&dlh_op_softplus_normal, rho->graph, stream, inputs, rho->dtype,
                          rho->shape);
}

static DlhNode *
softplus_normal_sample (DlhSample *s, guint which)
{
    DlhShape shape = which == 0 ? dlh_sample_shape (s, 3, 5) : dlh_sample_shape (s, 13, 11);

    if (which > 1)
        return NULL;
    return make (dlh_sample_stream (s), dlh_sample_uniform (s, -2, 2, shape),
                 dlh_sample_uniform (s, -5, 2, shape));
}

static DlhNode *
softplus_normal_reject (DlhSample *s, guint which)
{
    DlhStream *stream = dlh_sample_stream (s);
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return make (stream, x, dlh_sample_uniform (s, -2, 2, dlh_shape (3, 2)));
    if (which == 1)
        return make (stream, x, dlh_cast (x, DLH_F32));
    return which == 2 ? make (stream, dlh_cast (x, DLH_I64), dlh_cast (x, DLH_I64)) : NULL;
}

const DlhOp dlh_op_softplus_normal = {
    .size = sizeof (DlhOp),
    .name = "softplus_normal",
    .n_inputs = 3,
    .attrs_size = sizeof (DlhDrawAttrs),
    .flags = DLH_OP_NOT_SMOOTH, // differentiable, but another run draws other numbers
    .infer = softplus_normal_infer,
    .vjp = softplus_normal_vjp,
    .workspace = softplus_normal_workspace,
    .run = softplus_normal_run,
    .flops = softplus_normal_flops,
    .sample = softplus_normal_sample,
    .reject = softplus_normal_reject,
};

// Where draws are made by rows, in several passes.
static DlhNode *
by_rows (DlhStream *stream, DlhNode *mean, DlhNode *rho, DlhNode **squares, DlhNode **log_std)
{
    DlhNode *s = dlh_softplus (rho);

    *squares = dlh_sum_all (dlh_add (dlh_square (mean), dlh_square (s)));
    *log_std = dlh_sum_all (dlh_log (s));
    return dlh_mul (s, dlh_normal (rho->graph, stream, rho->dtype, rho->shape));
}

DlhNode *
dlh_softplus_normal (DlhStream *stream, DlhNode *mean, DlhNode *rho, DlhNode **squares,
                     DlhNode **log_std)
{
    DlhNode *unused[2], *y;

    squares = squares ? squares : &unused[0];
    log_std = log_std ? log_std : &unused[1];
    if (!dlh_node_failed (mean) && !dlh_node_failed (rho) &&
        dlh_shape_equal (mean->shape, rho->shape) && dlh_draw_rows (rho->graph, rho->shape))
        return by_rows (stream, mean, rho, squares, log_std);
    y = make (stream, mean, rho);
    *squares = *log_std = y;
    if (dlh_node_failed (y))
        return y;
    *squares = dlh_index (y, 0, y->shape.dims[0] - 2);
    *log_std = dlh_index (y, 0, y->shape.dims[0] - 1);
    return draw_of (y, rho->shape);
}
