/* SPDX-License-Identifier: MIT */
/* Reductions and scans. @axes is an array of @n axes; negative ones count from the last. With
 * @keep the reduced axes stay with size 1. An empty sum is 0; an empty max is refused. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/** dlh_sum, dlh_mean, dlh_reduce_max, dlh_reduce_min, dlh_logsumexp: over @axes; ties of a maximum
 * give the first element the gradient; logsumexp does not overflow. */
DLH_EXPORT DlhNode *dlh_sum (DlhNode *x, const int *axes, guint n, gboolean keep);
DLH_EXPORT DlhNode *dlh_mean (DlhNode *x, const int *axes, guint n, gboolean keep);
DLH_EXPORT DlhNode *dlh_reduce_max (DlhNode *x, const int *axes, guint n, gboolean keep);
DLH_EXPORT DlhNode *dlh_reduce_min (DlhNode *x, const int *axes, guint n, gboolean keep);
DLH_EXPORT DlhNode *dlh_logsumexp (DlhNode *x, const int *axes, guint n, gboolean keep);

/* The same along one axis, without keeping it, and over everything. */
/** dlh_sum_axis, dlh_mean_axis, dlh_sum_all, dlh_mean_all: "all" gives a scalar. */
DLH_EXPORT DlhNode *dlh_sum_axis (DlhNode *x, int axis);
DLH_EXPORT DlhNode *dlh_mean_axis (DlhNode *x, int axis);
DLH_EXPORT DlhNode *dlh_sum_all (DlhNode *x);
DLH_EXPORT DlhNode *dlh_mean_all (DlhNode *x);
/** dlh_sum_last: sums the last @n axes. */
DLH_EXPORT DlhNode *dlh_sum_last (DlhNode *x, guint n);
/** dlh_sum_to: the adjoint of broadcasting @shape to @x's shape. */
DLH_EXPORT DlhNode *dlh_sum_to (DlhNode *x, DlhShape shape);

/** dlh_argmax: i64 index of the first maximum along @axis, which is removed. */
DLH_EXPORT DlhNode *dlh_argmax (DlhNode *x, int axis);
/** dlh_softmax, dlh_log_softmax: along @axis, of @x's shape, without overflow. */
DLH_EXPORT DlhNode *dlh_softmax (DlhNode *x, int axis);
DLH_EXPORT DlhNode *dlh_log_softmax (DlhNode *x, int axis);
/** dlh_cumsum: y_i = sum of x_j, j <= i; with @reverse j >= i. */
DLH_EXPORT DlhNode *dlh_cumsum (DlhNode *x, int axis, gboolean reverse);
/** dlh_norm2: the sum of squares of everything, a scalar. */
DLH_EXPORT DlhNode *dlh_norm2 (DlhNode *x);
/** dlh_dot: the sum of products of everything, a scalar. */
DLH_EXPORT DlhNode *dlh_dot (DlhNode *a, DlhNode *b);

G_END_DECLS
