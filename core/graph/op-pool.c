/* SPDX-License-Identifier: MIT */
/* Max and average pooling. Gradients are ops as well:
 *
 *     max_pool2d_grad (x, dy)    dy placed at the maxima of x
 *     max_pool2d_pick (x, z)     z read at the maxima of x: the adjoint in dy, not a function of x's
 *                                values but where two of them are equal
 *     avg_pool2d_grad (dy)       the adjoint of avg_pool2d */
#include <dlhost/dlhost.h>
#include "cpu/conv.h"
#include "graph/private.h"

#define MAX_SIZE G_MAXINT32

typedef struct {
    DlhPool pool;
    gint64 size[2]; /* of the picture */
} SizedAttrs;

static gboolean
check_attrs (const char *op, const DlhPool *p, GError **error)
{
    for (guint i = 0; i < 2; i++) {
        if (p->kernel[i] < 1 || p->kernel[i] > MAX_SIZE || p->stride[i] < 1 ||
            p->stride[i] > MAX_SIZE) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: kernel %" G_GINT64_FORMAT " and stride %" G_GINT64_FORMAT
                         " must be from 1 to %d", op, p->kernel[i], p->stride[i], MAX_SIZE);
            return FALSE;
        }
        if (p->padding[i] < 0 || p->padding[i] >= p->kernel[i]) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: padding is %" G_GINT64_FORMAT
                         ", must be at least 0 and less than the kernel, %" G_GINT64_FORMAT, op,
                         p->padding[i], p->kernel[i]);
            return FALSE;
        }
    }
    return TRUE;
}

// Sets *@s for pictures of shape @x (B, C, H, W).
static gboolean
pool_sizes (const char *op, const DlhPool *p, DlhShape x, DlhPoolSize *s, GError **error)
{
    gint64 out[2] = {0, 0};
    gboolean fits = x.rank == 4;

    if (!check_attrs (op, p, error))
        return FALSE;
    for (guint i = 0; i < 2 && fits; i++) {
        fits = x.dims[2 + i] > 0 && x.dims[2 + i] <= G_MAXINT64 / 2 &&
               x.dims[2 + i] + 2 * p->padding[i] >= p->kernel[i];
        out[i] = (x.dims[2 + i] + 2 * p->padding[i] - p->kernel[i]) / p->stride[i] + 1;
    }
    if (!fits) {
        g_autofree char *xs = dlh_shape_to_string (x);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: kernel [%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT
                     "] does not fit into input %s (batch, channel, height, width)", op,
                     p->kernel[0], p->kernel[1], xs);
        return FALSE;
    }
    *s = (DlhPoolSize){
        .planes = (gsize) (x.dims[0] * x.dims[1]),
        .ih = (gsize) x.dims[2],      .iw = (gsize) x.dims[3],
        .oh = (gsize) out[0],         .ow = (gsize) out[1],
        .kh = (gsize) p->kernel[0],   .kw = (gsize) p->kernel[1],
        .sh = (gsize) p->stride[0],   .sw = (gsize) p->stride[1],
        .ph = (gsize) p->padding[0],  .pw = (gsize) p->padding[1],
    };
    return TRUE;
}

static DlhShape
output_shape (DlhShape x, const DlhPoolSize *s)
{
    return dlh_shape (x.dims[0], x.dims[1], (gint64) s->oh, (gint64) s->ow);
}

static gboolean
check_dtypes (const char *op, const DlhNode *node, GError **error)
{
    for (guint i = 0; i < node->n_inputs; i++)
        if (!dlh_dtype_is_float (node->inputs[i]->dtype) ||
            node->inputs[i]->dtype != node->inputs[0]->dtype) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: input %u is %s, all must be f32 or all f64", op, i,
                         dlh_dtype_name (node->inputs[i]->dtype));
            return FALSE;
        }
    return TRUE;
}

static gboolean
check_like (const char *op, const char *what, DlhShape got, DlhShape want, GError **error)
{
    g_autofree char *a = NULL, *b = NULL;

    if (dlh_shape_equal (got, want))
        return TRUE;
    a = dlh_shape_to_string (got);
    b = dlh_shape_to_string (want);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "%s: %s %s must be %s", op, what, a, b);
    return FALSE;
}

static gboolean
run_kind (const DlhCall *call, DlhPoolKind kind, const DlhPool *pool, DlhShape x)
{
    DlhPoolSize s;
    const gboolean ok = pool_sizes ("pool", pool, x, &s, NULL);

    g_assert (ok); // infer() has seen the same shapes
    dlh_pool_run (kind, &s, call->node->dtype, call->in[0],
                  call->node->n_inputs > 1 ? call->in[1] : NULL, call->out);
    return TRUE;
}

static double
window_flops (DlhShape y, const DlhPool *pool)
{
    return (double) dlh_shape_count (y) * (double) (pool->kernel[0] * pool->kernel[1]);
}

/* Sample cases. */

typedef struct {
    gint64 h, w;
    DlhPool pool;
} PoolCase;

static const PoolCase cases[] = {
    {4, 6, {{2, 2}, {2, 2}, {0, 0}}},
    {5, 4, {{3, 2}, {1, 2}, {1, 0}}},
    {7, 5, {{2, 3}, {3, 2}, {0, 2}}},
    {3, 1, {{1, 1}, {1, 1}, {0, 0}}},
};

// Picture and kernel keep their sizes: a kernel must fit.
static const PoolCase *
pool_case (DlhSample *s, guint which, DlhShape *x, DlhShape *y)
{
    const PoolCase *c = &cases[MIN (which, G_N_ELEMENTS (cases) - 1)];
    DlhPoolSize size;

    if (which >= G_N_ELEMENTS (cases))
        return NULL;
    *x = dlh_shape (dlh_sample_dim (s, 2), dlh_sample_dim (s, 3), c->h, c->w);
    pool_sizes ("sample", &c->pool, *x, &size, NULL);
    *y = output_shape (*x, &size);
    return c;
}

static DlhNode *
sample_input (DlhSample *s, DlhShape shape)
{
    return dlh_sample_uniform (s, -2, 2, shape);
}

static DlhPool
bad_pool (guint which)
{
    DlhPool p = {{2, 2}, {2, 2}, {0, 0}};

    if (which == 0)
        p.kernel[0] = 5; // pictures of 4 by 4
    else if (which == 1)
        p.stride[1] = 0;
    else if (which == 2)
        p.padding[0] = 2;
    else
        p.kernel[1] = G_MAXINT64;
    return p;
}

/* max_pool2d */

static gboolean
max_pool2d_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhPoolSize s;

    if (!check_dtypes ("max_pool2d", node, error) ||
        !pool_sizes ("max_pool2d", node->attrs, node->inputs[0]->shape, &s, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    *shape = output_shape (node->inputs[0]->shape, &s);
    return TRUE;
}

static gboolean
max_pool2d_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_kind (call, DLH_POOL_MAX, call->node->attrs, call->node->inputs[0]->shape);
}

static double
pool_flops (const DlhNode *node)
{
    return window_flops (node->shape, node->attrs);
}

static double
pool_grad_flops (const DlhNode *node)
{
    return window_flops (node->inputs[node->n_inputs - 1]->shape, node->attrs);
}

static DlhNode *max_pool2d_grad (DlhNode *x, DlhNode *dy, const DlhPool *pool);
static DlhNode *max_pool2d_pick (DlhNode *x, DlhNode *z, const DlhPool *pool);
static DlhNode *avg_pool2d_grad (DlhNode *dy, const DlhPool *pool, gint64 height, gint64 width);

static void
max_pool2d_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = max_pool2d_grad (dlh_node_input (y, 0), dy, dlh_node_attrs (y));
}

static DlhNode *
max_pool2d_sample (DlhSample *s, guint which)
{
    DlhShape x, y;
    const PoolCase *c = pool_case (s, which, &x, &y);

    return c ? dlh_max_pool2d (sample_input (s, x), c->pool) : NULL;
}

static DlhNode *
max_pool2d_reject (DlhSample *s, guint which)
{
    if (which < 4)
        return dlh_max_pool2d (sample_input (s, dlh_shape (2, 3, 4, 4)), bad_pool (which));
    if (which == 4)
        return dlh_max_pool2d (sample_input (s, dlh_shape (3, 4, 4)), cases[0].pool);
    if (which == 5)
        return dlh_max_pool2d (dlh_sample_index (s, 9, dlh_shape (1, 1, 4, 4)), cases[0].pool);
    return NULL;
}

static const DlhOp op_max_pool2d = {
    .size = sizeof (DlhOp),
    .name = "max_pool2d",
    .n_inputs = 1,
    .attrs_size = sizeof (DlhPool),
    .flags = DLH_OP_STEPWISE,
    .infer = max_pool2d_infer,
    .vjp = max_pool2d_vjp,
    .run = max_pool2d_run,
    .flops = pool_flops,
    .sample = max_pool2d_sample,
    .reject = max_pool2d_reject,
};

DlhNode *
dlh_max_pool2d (DlhNode *x, DlhPool pool)
{
    return dlh_node_new (&op_max_pool2d, &x, 1, &pool);
}

/* max_pool2d_grad */

static gboolean
max_pool2d_grad_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhPoolSize s;

    if (!check_dtypes ("max_pool2d_grad", node, error) ||
        !pool_sizes ("max_pool2d_grad", node->attrs, node->inputs[0]->shape, &s, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return check_like ("max_pool2d_grad", "gradient", node->inputs[1]->shape,
                       output_shape (*shape, &s), error);
}

static gboolean
max_pool2d_grad_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_kind (call, DLH_POOL_MAX_GRAD, call->node->attrs, call->node->inputs[0]->shape);
}

static void
max_pool2d_grad_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[1] = max_pool2d_pick (dlh_node_input (y, 0), dy, dlh_node_attrs (y));
}

static DlhNode *
max_pool2d_grad_sample (DlhSample *s, guint which)
{
    DlhShape x, y;
    const PoolCase *c = pool_case (s, which, &x, &y);
    DlhNode *input;

    if (!c)
        return NULL;
    input = sample_input (s, x);
    return max_pool2d_grad (input, sample_input (s, y), &c->pool);
}

static DlhNode *
max_pool2d_grad_reject (DlhSample *s, guint which)
{
    DlhNode *x = sample_input (s, dlh_shape (2, 3, 4, 4));

    return which ? NULL
                 : max_pool2d_grad (x, sample_input (s, dlh_shape (2, 3, 2, 4)), &cases[0].pool);
}

static const DlhOp op_max_pool2d_grad = {
    .size = sizeof (DlhOp),
    .name = "max_pool2d_grad",
    .n_inputs = 2,
    .attrs_size = sizeof (DlhPool),
    .flags = DLH_OP_STEPWISE,
    .infer = max_pool2d_grad_infer,
    .vjp = max_pool2d_grad_vjp,
    .run = max_pool2d_grad_run,
    .flops = pool_grad_flops,
    .sample = max_pool2d_grad_sample,
    .reject = max_pool2d_grad_reject,
};

static DlhNode *
max_pool2d_grad (DlhNode *x, DlhNode *dy, const DlhPool *pool)
{
    return dlh_node_new (&op_max_pool2d_grad, (DlhNode *[]){x, dy}, 2, pool);
}

/* max_pool2d_pick */

static gboolean
max_pool2d_pick_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhShape x = node->inputs[0]->shape;
    DlhPoolSize s;

    if (!check_dtypes ("max_pool2d_pick", node, error) ||
        !pool_sizes ("max_pool2d_pick", node->attrs, x, &s, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    *shape = output_shape (x, &s);
    return check_like ("max_pool2d_pick", "second input", node->inputs[1]->shape, x, error);
}

static gboolean
max_pool2d_pick_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_kind (call, DLH_POOL_MAX_PICK, call->node->attrs, call->node->inputs[0]->shape);
}

static void
max_pool2d_pick_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[1] = max_pool2d_grad (dlh_node_input (y, 0), dy, dlh_node_attrs (y));
}

static DlhNode *
max_pool2d_pick_sample (DlhSample *s, guint which)
{
    DlhShape x, y;
    const PoolCase *c = pool_case (s, which, &x, &y);
    DlhNode *input;

    if (!c)
        return NULL;
    input = sample_input (s, x);
    return max_pool2d_pick (input, sample_input (s, x), &c->pool);
}

static DlhNode *
max_pool2d_pick_reject (DlhSample *s, guint which)
{
    DlhNode *x = sample_input (s, dlh_shape (2, 3, 4, 4));

    return which ? NULL
                 : max_pool2d_pick (x, sample_input (s, dlh_shape (2, 3, 4, 5)), &cases[0].pool);
}

static const DlhOp op_max_pool2d_pick = {
    .size = sizeof (DlhOp),
    .name = "max_pool2d_pick",
    .n_inputs = 2,
    .attrs_size = sizeof (DlhPool),
    .flags = DLH_OP_STEPWISE,
    .infer = max_pool2d_pick_infer,
    .vjp = max_pool2d_pick_vjp,
    .run = max_pool2d_pick_run,
    .flops = pool_flops,
    .sample = max_pool2d_pick_sample,
    .reject = max_pool2d_pick_reject,
};

static DlhNode *
max_pool2d_pick (DlhNode *x, DlhNode *z, const DlhPool *pool)
{
    return dlh_node_new (&op_max_pool2d_pick, (DlhNode *[]){x, z}, 2, pool);
}

/* avg_pool2d */

static gboolean
avg_pool2d_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhPoolSize s;

    if (!check_dtypes ("avg_pool2d", node, error) ||
        !pool_sizes ("avg_pool2d", node->attrs, node->inputs[0]->shape, &s, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    *shape = output_shape (node->inputs[0]->shape, &s);
    return TRUE;
}

static gboolean
avg_pool2d_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_kind (call, DLH_POOL_AVG, call->node->attrs, call->node->inputs[0]->shape);
}

static void
avg_pool2d_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (y, 0);

    dx[0] = avg_pool2d_grad (dy, dlh_node_attrs (y), dlh_node_dim (x, 2), dlh_node_dim (x, 3));
}

static DlhNode *
avg_pool2d_sample (DlhSample *s, guint which)
{
    DlhShape x, y;
    const PoolCase *c = pool_case (s, which, &x, &y);

    return c ? dlh_avg_pool2d (sample_input (s, x), c->pool) : NULL;
}

static DlhNode *
avg_pool2d_reject (DlhSample *s, guint which)
{
    return which < 4 ? dlh_avg_pool2d (sample_input (s, dlh_shape (2, 3, 4, 4)), bad_pool (which))
                     : NULL;
}

static const DlhOp op_avg_pool2d = {
    .size = sizeof (DlhOp),
    .name = "avg_pool2d",
    .n_inputs = 1,
    .attrs_size = sizeof (DlhPool),
    .infer = avg_pool2d_infer,
    .vjp = avg_pool2d_vjp,
    .run = avg_pool2d_run,
    .flops = pool_flops,
    .sample = avg_pool2d_sample,
    .reject = avg_pool2d_reject,
};

DlhNode *
dlh_avg_pool2d (DlhNode *x, DlhPool pool)
{
    return dlh_node_new (&op_avg_pool2d, &x, 1, &pool);
}

/* avg_pool2d_grad */

static gboolean
avg_pool2d_grad_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const SizedAttrs *a = node->attrs;
    const DlhShape dy = node->inputs[0]->shape;
    DlhPoolSize s;

    if (!check_dtypes ("avg_pool2d_grad", node, error))
        return FALSE;
    *shape = dlh_shape (dy.dims[0], dy.rank > 1 ? dy.dims[1] : 0, a->size[0], a->size[1]);
    if (!pool_sizes ("avg_pool2d_grad", &a->pool, *shape, &s, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    return check_like ("avg_pool2d_grad", "gradient", dy, output_shape (*shape, &s), error);
}

static gboolean
avg_pool2d_grad_run (const DlhCall *call, GError **error)
{
    (void) error;
    return run_kind (call, DLH_POOL_AVG_GRAD, &((const SizedAttrs *) call->node->attrs)->pool,
                     call->node->shape);
}

static void
avg_pool2d_grad_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_avg_pool2d (dy, ((const SizedAttrs *) dlh_node_attrs (y))->pool);
}

static DlhNode *
avg_pool2d_grad_sample (DlhSample *s, guint which)
{
    DlhShape x, y;
    const PoolCase *c = pool_case (s, which, &x, &y);

    return c ? avg_pool2d_grad (sample_input (s, y), &c->pool, c->h, c->w) : NULL;
}

static DlhNode *
avg_pool2d_grad_reject (DlhSample *s, guint which)
{
    return which ? NULL
                 : avg_pool2d_grad (sample_input (s, dlh_shape (2, 3, 2, 4)), &cases[0].pool, 4, 4);
}

static const DlhOp op_avg_pool2d_grad = {
    .size = sizeof (DlhOp),
    .name = "avg_pool2d_grad",
    .n_inputs = 1,
    .attrs_size = sizeof (SizedAttrs),
    .infer = avg_pool2d_grad_infer,
    .vjp = avg_pool2d_grad_vjp,
    .run = avg_pool2d_grad_run,
    .flops = pool_grad_flops,
    .sample = avg_pool2d_grad_sample,
    .reject = avg_pool2d_grad_reject,
};

static DlhNode *
avg_pool2d_grad (DlhNode *dy, const DlhPool *pool, gint64 height, gint64 width)
{
    const SizedAttrs a = {*pool, {height, width}};

    return dlh_node_new (&op_avg_pool2d_grad, &dy, 1, &a);
}

const DlhOp *const dlh_ops_pool[] = {
    &op_max_pool2d, &op_max_pool2d_grad, &op_max_pool2d_pick,
    &op_avg_pool2d, &op_avg_pool2d_grad, NULL,
};
