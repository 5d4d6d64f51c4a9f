/* SPDX-License-Identifier: MIT */
/* The patches of a picture as rows, and their adjoint: each the gradient of the other. Groups play
 * no part, so they are kept at 1. */
#include <dlhost/dlhost.h>
#include "cpu/conv.h"
#include "graph/op-conv.h"
#include "graph/private.h"

typedef struct {
    DlhConv conv;
    gint64 kernel[2];
    gint64 channels;
    gint64 size[2];
} PatchAttrs;

static gboolean
patch_sizes (const char *op, const PatchAttrs *a, gint64 batch, DlhConvSize *s, GError **error)
{
    const DlhShape x = dlh_shape (batch, a->channels, a->size[0], a->size[1]);

    return dlh_conv_sizes (op, &a->conv, x, dlh_shape (1, a->channels, a->kernel[0], a->kernel[1]),
                           s, error);
}

static gboolean
patch_shape (const char *op, const DlhConvSize *s, DlhShape *shape, GError **error)
{
    gint64 positions, row;

    if (__builtin_mul_overflow ((gint64)s->oh, (gint64)s->ow, &positions) ||
        __builtin_mul_overflow ((gint64)s->kh, (gint64)s->kw, &row) ||
        __builtin_mul_overflow (row, (gint64)s->C, &row)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "%s: the result is too large to count", op);
        return FALSE;
    }
    *shape = dlh_shape ((gint64)s->B, positions, row);
    return TRUE;
}

static gboolean
patches_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhShape x = node->inputs[0]->shape;
    DlhConvSize s;

    if (!dlh_conv_check_dtypes ("patches", node, error))
        return FALSE;
    if (x.rank != 4) {
        g_autofree char *xs = dlh_shape_to_string (x);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "patches: input %s must be (batch, channel, height, width)", xs);
        return FALSE;
    }
    *dtype = node->inputs[0]->dtype;
    return patch_sizes ("patches", node->attrs, x.dims[0], &s, error) &&
           patch_shape ("patches", &s, shape, error);
}

static gboolean
patches_run (const DlhCall *call, GError **error)
{
    DlhConvSize s;

    (void)error;
    patch_sizes ("patches", call->node->attrs, call->node->shape.dims[0], &s, NULL);
    dlh_conv_patches (&s, call->node->dtype, call->in[0], call->out);
    return TRUE;
}

static void
patches_vjp (DlhNode *p, DlhNode *dp, DlhNode **dx)
{
    const PatchAttrs *a = dlh_node_attrs (p);

    dx[0] = dlh_patches_adjoint (dp, a->kernel[0], a->kernel[1], a->conv, a->channels, a->size[0],
                                 a->size[1]);
}

static DlhNode *
patches_sample (DlhSample *s, guint which)
{
    DlhShape x, w;
    const DlhConvCase *c = dlh_conv_case (s, which, &x, &w);

    return c ? dlh_patches (dlh_conv_sample_input (s, x), c->kh, c->kw, c->conv) : NULL;
}

static DlhNode *
patches_reject (DlhSample *s, guint which)
{
    const DlhConv conv = DLH_CONV_DEFAULT;

    switch (which) {
    case 0:
        return dlh_patches (dlh_conv_sample_input (s, dlh_shape (2, 3, 4, 4)), 5, 3, conv);
    case 1:
        return dlh_patches (dlh_conv_sample_input (s, dlh_shape (2, 3, 4)), 3, 3, conv);
    case 2:
        return dlh_patches (dlh_conv_sample_input (s, dlh_shape (2, 3, 4, 4)), 0, 3, conv);
    default:
        return NULL;
    }
}

static const DlhOp op_patches = {
    .size = sizeof (DlhOp),
    .name = "patches",
    .n_inputs = 1,
    .attrs_size = sizeof (PatchAttrs),
    .infer = patches_infer,
    .vjp = patches_vjp,
    .run = patches_run,
    .sample = patches_sample,
    .reject = patches_reject,
};

DlhNode *
dlh_patches (DlhNode *x, gint64 kernel_height, gint64 kernel_width, DlhConv conv)
{
    PatchAttrs a = {.conv = conv, .kernel = {kernel_height, kernel_width}};

    if (dlh_node_failed (x))
        return x;
    a.conv.groups = 1;
    if (dlh_node_rank (x) == 4) {
        a.channels = dlh_node_dim (x, 1);
        a.size[0] = dlh_node_dim (x, 2);
        a.size[1] = dlh_node_dim (x, 3);
    }
    return dlh_node_new (&op_patches, &x, 1, &a);
}

static gboolean
patches_adjoint_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const PatchAttrs *a = node->attrs;
    const DlhShape p = node->inputs[0]->shape;
    DlhShape want;
    DlhConvSize s;

    if (!dlh_conv_check_dtypes ("patches_adjoint", node, error) ||
        !patch_sizes ("patches_adjoint", a, p.rank == 3 ? p.dims[0] : 0, &s, error) ||
        !patch_shape ("patches_adjoint", &s, &want, error))
        return FALSE;
    *shape = dlh_shape ((gint64)s.B, a->channels, a->size[0], a->size[1]);
    *dtype = node->inputs[0]->dtype;
    if (!dlh_shape_equal (p, want)) {
        g_autofree char *got = dlh_shape_to_string (p), *out = dlh_shape_to_string (*shape);
        g_autofree char *expected = dlh_shape_to_string (want);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "patches_adjoint: input %s does not fit result %s, it must be %s", got, out,
                     expected);
        return FALSE;
    }
    return TRUE;
}

static gboolean
patches_adjoint_run (const DlhCall *call, GError **error)
{
    DlhConvSize s;

    (void)error;
    patch_sizes ("patches_adjoint", call->node->attrs, call->node->shape.dims[0], &s, NULL);
    dlh_conv_patches_adjoint (&s, call->node->dtype, call->in[0], call->out);
    return TRUE;
}

static void
patches_adjoint_vjp (DlhNode *x, DlhNode *dx, DlhNode **dp)
{
    const PatchAttrs *a = dlh_node_attrs (x);

    dp[0] = dlh_patches (dx, a->kernel[0], a->kernel[1], a->conv);
}

static DlhNode *
patches_adjoint_sample (DlhSample *s, guint which)
{
    DlhShape x, w, y;
    const DlhConvCase *c = dlh_conv_case (s, which, &x, &w);

    if (!c)
        return NULL;
    y = dlh_conv_case_output (c, x, w);
    return dlh_patches_adjoint (
        dlh_conv_sample_input (
            s, dlh_shape (x.dims[0], y.dims[2] * y.dims[3], x.dims[1] * c->kh * c->kw)),
        c->kh, c->kw, c->conv, x.dims[1], c->h, c->w);
}

static DlhNode *
patches_adjoint_reject (DlhSample *s, guint which)
{
    const DlhConv conv = DLH_CONV_DEFAULT;
    DlhNode *p = dlh_conv_sample_input (s, dlh_shape (2, 6, 12));

    switch (which) {
    case 0:
        return dlh_patches_adjoint (p, 2, 2, conv, 3, 3, 5);
    case 1:
        return dlh_patches_adjoint (p, 2, 2, conv, -3, 3, 4);
    default:
        return NULL;
    }
}

static const DlhOp op_patches_adjoint = {
    .size = sizeof (DlhOp),
    .name = "patches_adjoint",
    .n_inputs = 1,
    .attrs_size = sizeof (PatchAttrs),
    .infer = patches_adjoint_infer,
    .vjp = patches_adjoint_vjp,
    .run = patches_adjoint_run,
    .sample = patches_adjoint_sample,
    .reject = patches_adjoint_reject,
};

DlhNode *
dlh_patches_adjoint (DlhNode *p, gint64 kernel_height, gint64 kernel_width, DlhConv conv,
                     gint64 channels, gint64 height, gint64 width)
{
    PatchAttrs a = {conv, {kernel_height, kernel_width}, channels, {height, width}};

    a.conv.groups = 1;
    return dlh_node_new (&op_patches_adjoint, &p, 1, &a);
}

const DlhOp *const dlh_ops_patches[] = {&op_patches, &op_patches_adjoint, NULL};
