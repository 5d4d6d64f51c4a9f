/* SPDX-License-Identifier: MIT */
/* Kernels along one axis: softmax, extrema and their places, cumulative sums. They are compiled
 * once for each instruction set from rows.c, like the element-wise loops. Core-internal. */
#pragma once

#include <dlhost/shape.h>

typedef enum {
    DLH_ROWS_SOFTMAX,
    DLH_ROWS_LOG_SOFTMAX,
    DLH_ROWS_LOGSUMEXP,
    DLH_ROWS_MAX, /* these four also of integers */
    DLH_ROWS_MIN,
    DLH_ROWS_ARGMAX, /* i64, the first */
    DLH_ROWS_ARGMIN,
    DLH_ROWS_CUMSUM,
    DLH_ROWS_CUMSUM_REVERSE,
    DLH_ROWS_N,
} DlhRowsOp;

#define DLH_ROWS_WIDTH                                                                             \
    512 /* elements that pass through the cache together; most columns of a call */

/* Works on @lines lines of @n elements. With @inner 1 a line is a row, its elements next to each
 * other and the lines as well. Otherwise it is a column: neighbours are @inner apart, the lines lie
 * side by side, DLH_ROWS_WIDTH at most. A reduction writes y[line], the others where x has the
 * element; those may be given y == x. */
typedef void (*DlhRowsKernel) (void *y, const void *x, gint64 lines, gint64 n, gint64 inner);

typedef struct {
    DlhRowsKernel kernels[DLH_ROWS_N][4]; /* by dtype - 1 */
} DlhRows;

extern const DlhRows dlh_rows_baseline, dlh_rows_avx2, dlh_rows_avx512;

/* x (outer, n, inner), along n, on all threads. The result does not depend on their number. */
void dlh_rows_run (DlhRowsOp op, DlhDType dtype, gint64 outer, gint64 n, gint64 inner,
                   const void *x, void *y);
