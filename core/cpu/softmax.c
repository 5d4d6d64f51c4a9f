/* SPDX-License-Identifier: MIT */
/* The maximum is subtracted first, so that nothing overflows; where it is infinite or NaN, nothing is
 * subtracted, and -inf, inf and NaN come out by themselves. Sums are carried in double. */
#include <math.h>
#include <string.h>
#include "cpu/loops.h"
#include "cpu/parallel.h"
#include "cpu/softmax.h"

#define BLOCK 512  /* elements that pass through the cache together */
#define PART 16384 /* elements that are worth a thread */

typedef struct {
    DlhSoftmaxKind kind;
    gint64 n, inner;
    gint64 width; /* rows, or columns when inner > 1, of a unit of work */
    gint64 units; /* per outer index when inner > 1, else of all */
    gint64 rows;
    const void *x;
    void *y;
} Job;

#define T float
#define DTYPE DLH_F32
#define FN(name) name##_f32
#include "cpu/softmax-type.h"
#undef T
#undef DTYPE
#undef FN

#define T double
#define DTYPE DLH_F64
#define FN(name) name##_f64
#include "cpu/softmax-type.h"
#undef T
#undef DTYPE
#undef FN

void
dlh_softmax_run (DlhSoftmaxKind kind, DlhDType dtype, gint64 outer, gint64 n, gint64 inner,
                 const void *x, void *y)
{
    Job job = {.kind = kind, .n = n, .inner = inner, .rows = outer, .x = x, .y = y};
    gint64 count;

    if (outer == 0 || inner == 0 || n == 0)
        return;
    job.width = inner > 1 ? MIN (inner, BLOCK) : MAX (1, BLOCK / n);
    job.units = ((inner > 1 ? inner : outer) + job.width - 1) / job.width;
    count = inner > 1 ? outer * job.units : job.units;
    dlh_parallel_for ((gsize) count, MAX (1, PART / (gsize) (job.width * n)),
                      dtype == DLH_F32 ? inner > 1 ? columns_work_f32 : rows_work_f32
                      : inner > 1      ? columns_work_f64
                                       : rows_work_f64,
                      &job);
}
