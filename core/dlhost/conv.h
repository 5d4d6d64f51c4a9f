/* SPDX-License-Identifier: MIT */
/* Convolution and pooling. Pictures are (batch, channel, height, width). Sizes are given for height
 * and width in this order. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/* How a kernel moves over a picture. */
typedef struct {
    gint64 stride[2];
    gint64 padding[2];  /* zeros on both sides */
    gint64 dilation[2]; /* 1: none */
    gint64 groups;
} DlhConv;

/** DLH_CONV_DEFAULT: stride 1, no padding, no dilation, one group. */
#define DLH_CONV_DEFAULT {{1, 1}, {0, 0}, {1, 1}, 1}

/**
 * dlh_conv2d:
 * @x: (B, C, H, W)
 * @w: (O, C / groups, kh, kw)
 * @b: (nullable): (O)
 * Returns: (B, O, H', W'), H' = (H + 2 padding - dilation (kh - 1) - 1) / stride + 1; a single node.
 */
DLH_EXPORT DlhNode *dlh_conv2d (DlhNode *x, DlhNode *w, DlhNode *b, DlhConv conv);
/**
 * dlh_conv_transpose2d:
 * @x: (B, O, H', W')
 * @w: (O, C / groups, kh, kw), as the convolution's that it is the adjoint of
 * @b: (nullable): (C)
 * Returns: (B, C, @height, @width): the gradient of conv2d by its input at @x, plus @b.
 */
DLH_EXPORT DlhNode *dlh_conv_transpose2d (DlhNode *x, DlhNode *w, DlhNode *b, DlhConv conv,
                                          gint64 height, gint64 width);
/** dlh_conv2d_weight: the gradient of conv2d by its weight (O, C / groups, kh, kw) at @dy. */
DLH_EXPORT DlhNode *dlh_conv2d_weight (DlhNode *x, DlhNode *dy, DlhConv conv, gint64 kernel_height,
                                       gint64 kernel_width);
/** dlh_patches: (B, C, H, W) to (B, H' W', C kh kw): the rows that conv2d multiplies by w. */
DLH_EXPORT DlhNode *dlh_patches (DlhNode *x, gint64 kernel_height, gint64 kernel_width,
                                 DlhConv conv);
/** dlh_patches_adjoint: sums patches back into (B, C, @height, @width). */
DLH_EXPORT DlhNode *dlh_patches_adjoint (DlhNode *p, gint64 kernel_height, gint64 kernel_width,
                                         DlhConv conv, gint64 channels, gint64 height,
                                         gint64 width);

/* A window and how it moves. */
typedef struct {
    gint64 kernel[2];
    gint64 stride[2];
    gint64 padding[2];
} DlhPool;

/** dlh_max_pool2d: padding never wins; ties give the first element the gradient. */
DLH_EXPORT DlhNode *dlh_max_pool2d (DlhNode *x, DlhPool pool);
/** dlh_avg_pool2d: divides by kernel height times width, padding included. */
DLH_EXPORT DlhNode *dlh_avg_pool2d (DlhNode *x, DlhPool pool);

G_END_DECLS
