/* SPDX-License-Identifier: MIT */
/* Convolution and its two gradients, each linear in both operands, hence gradients of each other:
 *
 *     conv2d (x, w)              dx = transpose (dy, w)    dw = weight (x, dy)
 *     conv_transpose2d (g, w)    dg = conv2d (dz, w)       dw = weight (dz, g)
 *     conv2d_weight (x, g)       dx = transpose (g, dv)    dg = conv2d (x, dv)
 *
 * so derivatives of any order need no more ops. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "cpu/conv.h"
#include "graph/op-conv.h"
#include "graph/private.h"

/* Strides, paddings and dilations beyond this are mistakes, and could overflow. */
#define MAX_SIZE G_MAXINT32

typedef struct {
    DlhConv conv;
    gint64 size[2]; /* of the picture; of the kernel in conv2d_weight */
} SizedAttrs;

static gboolean
check_attrs (const char *op, const DlhConv *c, GError **error)
{
    for (guint i = 0; i < 2; i++) {
        const char *what = NULL;
        gint64 value = 0;

        if (c->stride[i] < 1 || c->stride[i] > MAX_SIZE)
            what = "stride", value = c->stride[i];
        else if (c->dilation[i] < 1 || c->dilation[i] > MAX_SIZE)
            what = "dilation", value = c->dilation[i];
        else if (c->groups < 1 || c->groups > MAX_SIZE)
            what = "groups", value = c->groups;
        if (what) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: %s is %" G_GINT64_FORMAT ", must be from 1 to %d", op, what, value,
                         MAX_SIZE);
            return FALSE;
        }
        if (c->padding[i] < 0 || c->padding[i] > MAX_SIZE) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: padding is %" G_GINT64_FORMAT ", must be from 0 to %d", op,
                         c->padding[i], MAX_SIZE);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
dlh_conv_check_dtypes (const char *op, const DlhNode *node, GError **error)
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

// Sets *@out to the positions of the kernel along one axis; FALSE when it does not fit once.
static gboolean
output_size (gint64 n, gint64 kernel, gint64 stride, gint64 padding, gint64 dilation, gint64 *out)
{
    gint64 reach;

    if (n < 0 || kernel < 1 || __builtin_mul_overflow (dilation, kernel - 1, &reach) ||
        n > G_MAXINT64 - 2 * padding || n + 2 * padding - 1 < reach)
        return FALSE;
    *out = (n + 2 * padding - 1 - reach) / stride + 1;
    return TRUE;
}

// Sets *@s from shapes x (B, C, H, W) and w (O, C / g, kh, kw); FALSE when they do not fit.
static gboolean
fill_sizes (const DlhConv *c, DlhShape x, DlhShape w, DlhConvSize *s)
{
    gint64 out[2], channels;

    if (x.rank != 4 || w.rank != 4 || w.dims[0] % c->groups ||
        __builtin_mul_overflow (w.dims[1], c->groups, &channels) || channels != x.dims[1])
        return FALSE;
    for (guint i = 0; i < 2; i++)
        if (!output_size (x.dims[2 + i], w.dims[2 + i], c->stride[i], c->padding[i], c->dilation[i],
                          &out[i]))
            return FALSE;
    *s = (DlhConvSize){
        .B = (gsize)x.dims[0],
        .C = (gsize)x.dims[1],
        .O = (gsize)w.dims[0],
        .g = (gsize)c->groups,
        .ih = (gsize)x.dims[2],
        .iw = (gsize)x.dims[3],
        .oh = (gsize)out[0],
        .ow = (gsize)out[1],
        .kh = (gsize)w.dims[2],
        .kw = (gsize)w.dims[3],
        .sh = (gsize)c->stride[0],
        .sw = (gsize)c->stride[1],
        .ph = (gsize)c->padding[0],
        .pw = (gsize)c->padding[1],
        .dh = (gsize)c->dilation[0],
        .dw = (gsize)c->dilation[1],
    };
    return TRUE;
}

// The same with checks of the attributes, and an error that says what does not fit.
gboolean
dlh_conv_sizes (const char *op, const DlhConv *c, DlhShape x, DlhShape w, DlhConvSize *s,
                GError **error)
{
    g_autofree char *xs = NULL, *ws = NULL;

    if (!check_attrs (op, c, error))
        return FALSE;
    if (fill_sizes (c, x, w, s))
        return TRUE;
    xs = dlh_shape_to_string (x);
    ws = dlh_shape_to_string (w);
    if (x.rank != 4 || w.rank != 4)
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: input %s and weight %s must be (batch, channel, height, width) and "
                     "(out, in / groups, height, width)",
                     op, xs, ws);
    else if (w.dims[1] != x.dims[1] / c->groups || x.dims[1] % c->groups)
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: weight %s does not fit input %s: %" G_GINT64_FORMAT
                     " * groups %" G_GINT64_FORMAT " != %" G_GINT64_FORMAT " channels",
                     op, ws, xs, w.dims[1], c->groups, x.dims[1]);
    else if (w.dims[0] % c->groups)
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: weight %s: %" G_GINT64_FORMAT
                     " filters are not a multiple of groups %" G_GINT64_FORMAT,
                     op, ws, w.dims[0], c->groups);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: kernel of weight %s with dilation %" G_GINT64_FORMAT ",%" G_GINT64_FORMAT
                     " does not fit into input %s with padding %" G_GINT64_FORMAT
                     ",%" G_GINT64_FORMAT,
                     op, ws, c->dilation[0], c->dilation[1], xs, c->padding[0], c->padding[1]);
    return FALSE;
}

static DlhShape
output_shape (const DlhConvSize *s)
{
    return dlh_shape ((gint64)s->B, (gint64)s->O, (gint64)s->oh, (gint64)s->ow);
}

static gboolean
check_bias (const char *op, const DlhNode *node, gint64 channels, GError **error)
{
    g_autofree char *shape = NULL;

    if (node->n_inputs < 3)
        return TRUE;
    if (dlh_shape_equal (node->inputs[2]->shape, dlh_shape (channels)))
        return TRUE;
    shape = dlh_shape_to_string (node->inputs[2]->shape);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "%s: bias %s must be [%" G_GINT64_FORMAT "], one number a channel", op, shape,
                 channels);
    return FALSE;
}

/* What the three products share: everything but the rule for shapes. */

static DlhConvKind
node_size (const DlhNode *node, DlhConvSize *s)
{
    const DlhShape a = node->inputs[0]->shape, b = node->inputs[1]->shape;
    DlhConvKind kind = DLH_CONV_WEIGHT;
    gboolean ok;

    if (dlh_node_is (node, "conv2d")) {
        kind = DLH_CONV_FORWARD;
        ok = fill_sizes (node->attrs, a, b, s);
    } else if (dlh_node_is (node, "conv_transpose2d")) {
        kind = DLH_CONV_DATA;
        ok = fill_sizes (&((const SizedAttrs *)node->attrs)->conv, node->shape, b, s);
    } else {
        ok = fill_sizes (&((const SizedAttrs *)node->attrs)->conv, a, node->shape, s);
    }
    g_assert (ok); // infer() has seen the same shapes
    return kind;
}

static gsize
product_workspace (const DlhNode *node)
{
    DlhConvSize s;
    const DlhConvKind kind = node_size (node, &s);

    return dlh_conv_workspace (kind, &s, node->dtype);
}

static gboolean
product_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    DlhConvSize s;
    const DlhConvKind kind = node_size (node, &s);

    *state = dlh_conv_plan_new (kind, &s, node->dtype, error);
    return *state != NULL;
}

static gboolean
product_run (const DlhCall *call, GError **error)
{
    const void *bias = call->node->n_inputs == 3 ? call->in[2] : NULL;

    return dlh_conv_plan_run (call->state, call->in[0], call->in[1], bias, call->out, call->work,
                              error);
}

static double
product_flops (const DlhNode *node)
{
    DlhConvSize s;

    node_size (node, &s);
    return 2.0 * (double)s.B * (double)s.O * (double)dlh_conv_p (&s) * (double)dlh_conv_k (&s);
}

/* conv2d */

static gboolean
conv2d_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhConvSize s;

    if (!dlh_conv_check_dtypes ("conv2d", node, error) ||
        !dlh_conv_sizes ("conv2d", node->attrs, node->inputs[0]->shape, node->inputs[1]->shape, &s,
                         error) ||
        !check_bias ("conv2d", node, (gint64)s.O, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    *shape = output_shape (&s);
    return TRUE;
}

static void
conv2d_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (y, 0), *w = dlh_node_input (y, 1);
    const DlhConv *conv = dlh_node_attrs (y);

    dx[0] = dlh_conv_transpose2d (dy, w, NULL, *conv, dlh_node_dim (x, 2), dlh_node_dim (x, 3));
    dx[1] = dlh_conv2d_weight (x, dy, *conv, dlh_node_dim (w, 2), dlh_node_dim (w, 3));
    if (dlh_node_n_inputs (y) == 3)
        dx[2] = dlh_sum (dy, (int[]){0, 2, 3}, 3, FALSE);
}

/* Sample sizes: batch, channels a group, filters a group; picture and kernel. */
static const DlhConvCase cases[] = {
    {2, 3, 2, 5, 6, 3, 2, DLH_CONV_DEFAULT},
    {2, 2, 3, 5, 4, 3, 3, {{2, 1}, {1, 2}, {1, 1}, 1}},
    {1, 2, 1, 6, 7, 2, 3, {{1, 2}, {0, 1}, {2, 1}, 2}},
    {3, 3, 2, 3, 4, 1, 1, DLH_CONV_DEFAULT},
};

// Picture and kernel keep their sizes: a kernel must fit.
const DlhConvCase *
dlh_conv_case (DlhSample *s, guint which, DlhShape *x, DlhShape *w)
{
    const DlhConvCase *c = &cases[MIN (which, G_N_ELEMENTS (cases) - 1)];
    const gint64 C = dlh_sample_dim (s, c->C), O = dlh_sample_dim (s, c->O);

    if (which >= G_N_ELEMENTS (cases))
        return NULL;
    *x = dlh_shape (dlh_sample_dim (s, c->B), C * c->conv.groups, c->h, c->w);
    *w = dlh_shape (O * c->conv.groups, C, c->kh, c->kw);
    return c;
}

DlhShape
dlh_conv_case_output (const DlhConvCase *c, DlhShape x, DlhShape w)
{
    DlhConvSize s;

    dlh_conv_sizes ("sample", &c->conv, x, w, &s, NULL);
    return output_shape (&s);
}

DlhNode *
dlh_conv_sample_input (DlhSample *s, DlhShape shape)
{
    return dlh_sample_uniform (s, -2, 2, shape);
}

static DlhNode *
conv2d_sample (DlhSample *s, guint which)
{
    DlhShape x, w;
    const DlhConvCase *c = dlh_conv_case (s, which, &x, &w);
    DlhNode *input, *weight;

    if (!c)
        return NULL;
    input = dlh_conv_sample_input (s, x);
    weight = dlh_conv_sample_input (s, w);
    return dlh_conv2d (input, weight,
                       which % 2 ? NULL : dlh_conv_sample_input (s, dlh_shape (w.dims[0])),
                       c->conv);
}

static DlhNode *
conv2d_reject (DlhSample *s, guint which)
{
    DlhNode *x = dlh_conv_sample_input (s, dlh_shape (2, 4, 5, 5));
    DlhNode *w = dlh_conv_sample_input (s, dlh_shape (6, 4, 3, 3));
    DlhConv conv = DLH_CONV_DEFAULT;

    switch (which) {
    case 0:
        return dlh_conv2d (x, dlh_conv_sample_input (s, dlh_shape (6, 3, 3, 3)), NULL, conv);
    case 1:
        return dlh_conv2d (x, w, dlh_conv_sample_input (s, dlh_shape (4)), conv);
    case 2:
        return dlh_conv2d (x, dlh_conv_sample_input (s, dlh_shape (6, 4, 6, 3)), NULL, conv);
    case 3:
        return dlh_conv2d (dlh_sample_index (s, 3, dlh_shape (2, 4, 5, 5)), w, NULL, conv);
    case 4:
        return dlh_conv2d (x, dlh_conv_sample_input (s, dlh_shape (4, 3, 3)), NULL, conv);
    case 5:
        conv.stride[1] = 0;
        return dlh_conv2d (x, w, NULL, conv);
    case 6:
        conv.padding[0] = -1;
        return dlh_conv2d (x, w, NULL, conv);
    case 7:
        conv.groups = 4; // 6 filters
        return dlh_conv2d (x, dlh_conv_sample_input (s, dlh_shape (6, 1, 3, 3)), NULL, conv);
    case 8:
        conv.dilation[0] = G_MAXINT64;
        return dlh_conv2d (x, w, NULL, conv);
    default:
        return NULL;
    }
}

static const DlhOp op_conv2d = {
    .size = sizeof (DlhOp),
    .name = "conv2d",
    .n_inputs = DLH_VARIADIC, // x, w and maybe a bias
    .attrs_size = sizeof (DlhConv),
    .infer = conv2d_infer,
    .vjp = conv2d_vjp,
    .workspace = product_workspace,
    .prepare = product_prepare,
    .release = dlh_conv_plan_free,
    .run = product_run,
    .flops = product_flops,
    .sample = conv2d_sample,
    .reject = conv2d_reject,
};

DlhNode *
dlh_conv2d (DlhNode *x, DlhNode *w, DlhNode *b, DlhConv conv)
{
    return dlh_node_new (&op_conv2d, (DlhNode *[]){x, w, b}, b ? 3 : 2, &conv);
}

/* conv_transpose2d */

static gboolean
conv_transpose2d_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const SizedAttrs *a = node->attrs;
    const DlhShape g = node->inputs[0]->shape, w = node->inputs[1]->shape;
    gint64 channels = 0;
    DlhConvSize s;

    if (!dlh_conv_check_dtypes ("conv_transpose2d", node, error))
        return FALSE;
    if (w.rank == 4 && __builtin_mul_overflow (w.dims[1], a->conv.groups, &channels))
        channels = -1; // conv_sizes() refuses it
    *shape = dlh_shape (g.rank == 4 ? g.dims[0] : 0, channels, a->size[0], a->size[1]);
    if (!dlh_conv_sizes ("conv_transpose2d", &a->conv, *shape, w, &s, error))
        return FALSE;
    if (!dlh_shape_equal (g, output_shape (&s))) {
        g_autofree char *got = dlh_shape_to_string (g), *ws = dlh_shape_to_string (w);
        g_autofree char *out = dlh_shape_to_string (*shape);
        g_autofree char *want = dlh_shape_to_string (output_shape (&s));

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "conv_transpose2d: input %s does not fit weight %s and result %s, "
                     "it must be %s",
                     got, ws, out, want);
        return FALSE;
    }
    *dtype = node->inputs[0]->dtype;
    return check_bias ("conv_transpose2d", node, channels, error);
}

static void
conv_transpose2d_vjp (DlhNode *z, DlhNode *dz, DlhNode **dx)
{
    DlhNode *g = dlh_node_input (z, 0), *w = dlh_node_input (z, 1);
    const SizedAttrs *a = dlh_node_attrs (z);

    dx[0] = dlh_conv2d (dz, w, NULL, a->conv);
    dx[1] = dlh_conv2d_weight (dz, g, a->conv, dlh_node_dim (w, 2), dlh_node_dim (w, 3));
    if (dlh_node_n_inputs (z) == 3)
        dx[2] = dlh_sum (dz, (int[]){0, 2, 3}, 3, FALSE);
}

static DlhNode *
conv_transpose2d_sample (DlhSample *s, guint which)
{
    DlhShape x, w;
    const DlhConvCase *c = dlh_conv_case (s, which, &x, &w);
    DlhNode *input, *weight;

    if (!c)
        return NULL;
    input = dlh_conv_sample_input (s, dlh_conv_case_output (c, x, w));
    weight = dlh_conv_sample_input (s, w);
    return dlh_conv_transpose2d (
        input, weight, which % 2 ? NULL : dlh_conv_sample_input (s, dlh_shape (x.dims[1])), c->conv,
        c->h, c->w);
}

static DlhNode *
conv_transpose2d_reject (DlhSample *s, guint which)
{
    DlhNode *g = dlh_conv_sample_input (s, dlh_shape (2, 6, 3, 3));
    DlhNode *w = dlh_conv_sample_input (s, dlh_shape (6, 4, 3, 3));
    const DlhConv conv = DLH_CONV_DEFAULT;

    switch (which) {
    case 0:
        return dlh_conv_transpose2d (g, w, NULL, conv, 5, 6);
    case 1:
        return dlh_conv_transpose2d (g, w, NULL, conv, -1, 5);
    case 2:
        return dlh_conv_transpose2d (g, dlh_conv_sample_input (s, dlh_shape (5, 4, 3, 3)), NULL,
                                     conv, 5, 5);
    case 3:
        return dlh_conv_transpose2d (g, w, dlh_conv_sample_input (s, dlh_shape (6)), conv, 5, 5);
    default:
        return NULL;
    }
}

static const DlhOp op_conv_transpose2d = {
    .size = sizeof (DlhOp),
    .name = "conv_transpose2d",
    .n_inputs = DLH_VARIADIC,
    .attrs_size = sizeof (SizedAttrs),
    .infer = conv_transpose2d_infer,
    .vjp = conv_transpose2d_vjp,
    .workspace = product_workspace,
    .prepare = product_prepare,
    .release = dlh_conv_plan_free,
    .run = product_run,
    .flops = product_flops,
    .sample = conv_transpose2d_sample,
    .reject = conv_transpose2d_reject,
};

DlhNode *
dlh_conv_transpose2d (DlhNode *x, DlhNode *w, DlhNode *b, DlhConv conv, gint64 height, gint64 width)
{
    const SizedAttrs a = {conv, {height, width}};

    return dlh_node_new (&op_conv_transpose2d, (DlhNode *[]){x, w, b}, b ? 3 : 2, &a);
}

/* conv2d_weight */

static gboolean
conv2d_weight_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const SizedAttrs *a = node->attrs;
    const DlhShape x = node->inputs[0]->shape, g = node->inputs[1]->shape;
    DlhConvSize s;

    if (!dlh_conv_check_dtypes ("conv2d_weight", node, error) ||
        !check_attrs ("conv2d_weight", &a->conv, error))
        return FALSE;
    // A remainder would be lost in the division, so it must not fit.
    *shape = dlh_shape (g.rank == 4 ? g.dims[1] : 0, x.rank == 4 ? x.dims[1] / a->conv.groups : 0,
                        a->size[0], a->size[1]);
    if (!dlh_conv_sizes ("conv2d_weight", &a->conv, x, *shape, &s, error))
        return FALSE;
    if (!dlh_shape_equal (g, output_shape (&s))) {
        g_autofree char *got = dlh_shape_to_string (g), *xs = dlh_shape_to_string (x);
        g_autofree char *out = dlh_shape_to_string (*shape);
        g_autofree char *want = dlh_shape_to_string (output_shape (&s));

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "conv2d_weight: gradient %s does not fit input %s and weight %s, "
                     "it must be %s",
                     got, xs, out, want);
        return FALSE;
    }
    *dtype = node->inputs[0]->dtype;
    return TRUE;
}

static void
conv2d_weight_vjp (DlhNode *v, DlhNode *dv, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (v, 0), *g = dlh_node_input (v, 1);
    const SizedAttrs *a = dlh_node_attrs (v);

    dx[0] = dlh_conv_transpose2d (g, dv, NULL, a->conv, dlh_node_dim (x, 2), dlh_node_dim (x, 3));
    dx[1] = dlh_conv2d (x, dv, NULL, a->conv);
}

static DlhNode *
conv2d_weight_sample (DlhSample *s, guint which)
{
    DlhShape x, w;
    const DlhConvCase *c = dlh_conv_case (s, which, &x, &w);
    DlhNode *input;

    if (!c)
        return NULL;
    input = dlh_conv_sample_input (s, x);
    return dlh_conv2d_weight (input, dlh_conv_sample_input (s, dlh_conv_case_output (c, x, w)),
                              c->conv, c->kh, c->kw);
}

static DlhNode *
conv2d_weight_reject (DlhSample *s, guint which)
{
    DlhNode *x = dlh_conv_sample_input (s, dlh_shape (2, 3, 5, 5));
    DlhNode *g = dlh_conv_sample_input (s, dlh_shape (2, 4, 3, 3));
    DlhConv conv = DLH_CONV_DEFAULT;

    switch (which) {
    case 0:
        return dlh_conv2d_weight (x, g, conv, 3, 2);
    case 1:
        return dlh_conv2d_weight (x, g, conv, 0, 3);
    case 2:
        conv.groups = 2; // 3 channels
        return dlh_conv2d_weight (x, g, conv, 3, 3);
    case 3:
        return dlh_conv2d_weight (x, dlh_conv_sample_input (s, dlh_shape (1, 4, 3, 3)), conv, 3, 3);
    default:
        return NULL;
    }
}

static const DlhOp op_conv2d_weight = {
    .size = sizeof (DlhOp),
    .name = "conv2d_weight",
    .n_inputs = 2,
    .attrs_size = sizeof (SizedAttrs),
    .infer = conv2d_weight_infer,
    .vjp = conv2d_weight_vjp,
    .workspace = product_workspace,
    .prepare = product_prepare,
    .release = dlh_conv_plan_free,
    .run = product_run,
    .flops = product_flops,
    .sample = conv2d_weight_sample,
    .reject = conv2d_weight_reject,
};

DlhNode *
dlh_conv2d_weight (DlhNode *x, DlhNode *dy, DlhConv conv, gint64 kernel_height, gint64 kernel_width)
{
    const SizedAttrs a = {conv, {kernel_height, kernel_width}};

    return dlh_node_new (&op_conv2d_weight, (DlhNode *[]){x, dy}, 2, &a);
}

const DlhOp *const dlh_ops_conv[] = {&op_conv2d, &op_conv_transpose2d, &op_conv2d_weight, NULL};
