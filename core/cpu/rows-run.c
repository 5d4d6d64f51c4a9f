/* SPDX-License-Identifier: MIT */
#include "cpu/loops.h"
#include "cpu/parallel.h"
#include "cpu/rows.h"

#define PART 16384 /* elements that are worth a thread */

typedef struct {
    DlhRowsKernel kernel;
    gint64 outer, n, inner;
    gint64 width; /* lines of a unit of work */
    gint64 wide;  /* units of an outer index; of all, when lines are rows */
    gsize x_size, y_size;
    gboolean reduces;
    const char *x;
    char *y;
} Job;

static void
work (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;

    (void) thread;
    for (gsize u = begin; u < end; u++) {
        gint64 outer = (gint64) u / job->wide, first = (gint64) u % job->wide * job->width;
        gint64 all = job->inner > 1 ? job->inner : job->outer;
        gint64 from = job->inner > 1 ? outer * job->n * job->inner + first : first * job->n;
        gint64 to = job->reduces ? outer * job->inner + first : from;

        job->kernel (job->y + (gsize) to * job->y_size, job->x + (gsize) from * job->x_size,
                     MIN (job->width, all - first), job->n, job->inner);
    }
}

static const DlhRows *
rows (void)
{
    const DlhLoops *loops = dlh_loops ();

#if defined __x86_64__
    if (loops == &dlh_loops_avx512)
        return &dlh_rows_avx512;
    if (loops == &dlh_loops_avx2)
        return &dlh_rows_avx2;
#endif
    (void) loops;
    return &dlh_rows_baseline;
}

void
dlh_rows_run (DlhRowsOp op, DlhDType dtype, gint64 outer, gint64 n, gint64 inner, const void *x,
              void *y)
{
    gboolean arg = op == DLH_ROWS_ARGMAX || op == DLH_ROWS_ARGMIN;
    Job job = {.outer = outer,
               .n = n,
               .inner = inner,
               .x_size = dlh_dtype_size (dtype),
               .y_size = dlh_dtype_size (arg ? DLH_I64 : dtype),
               .reduces =
                   arg || op == DLH_ROWS_LOGSUMEXP || op == DLH_ROWS_MAX || op == DLH_ROWS_MIN,
               .x = x,
               .y = y};

    if (outer == 0 || n == 0 || inner == 0)
        return;
    job.kernel = rows ()->kernels[op][dtype - 1];
    job.width = inner > 1 ? MIN (inner, DLH_ROWS_WIDTH) : MAX (1, DLH_ROWS_WIDTH / n);
    job.wide = ((inner > 1 ? inner : outer) + job.width - 1) / job.width;
    dlh_parallel_for ((gsize) (inner > 1 ? outer * job.wide : job.wide),
                      MAX (1, PART / (gsize) (job.width * n)), work, &job);
}
