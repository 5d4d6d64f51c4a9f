/* SPDX-License-Identifier: MIT */
/* softmax and its logarithms along one axis. Core-internal. */
#pragma once

#include <dlhost/shape.h>

typedef enum {
    DLH_SOFTMAX = 1,
    DLH_LOG_SOFTMAX,
    DLH_LOGSUMEXP, /* the axis goes */
} DlhSoftmaxKind;

/* x (outer, n, inner), along n. y may be x for the first two kinds. */
void dlh_softmax_run (DlhSoftmaxKind kind, DlhDType dtype, gint64 outer, gint64 n, gint64 inner,
                      const void *x, void *y);
