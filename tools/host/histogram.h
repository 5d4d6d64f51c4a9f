/* SPDX-License-Identifier: MIT */
/* Histograms with TensorBoard's buckets: limits 1e-12 * 1.1^k up to 1e20, the same with a minus, 0,
 * and the largest double at both ends. A bucket counts the values from the limit before it
 * (included) to its own (excluded). */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    double min, max, n, sum, sum_squares;
    GArray *limits, *counts; /* double; runs of empty buckets are one */
} Histogram;

/* Counts the finite values; FALSE when there is none. */
gboolean histogram_fill (Histogram *h, const DlhTensor *values);
void histogram_clear (Histogram *h);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Histogram, histogram_clear)
