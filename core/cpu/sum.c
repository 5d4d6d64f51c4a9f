/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "cpu/parallel.h"
#include "cpu/sum.h"

#define BLOCK 4096     /* elements of a run that are summed at a time */
#define WIDTH 256      /* columns that are summed at a time */
#define PART 65536     /* elements that are worth a thread */
#define MAX_PARTS 64

// Joins neighbours that are both summed or both kept, and drops axes of one.
static guint
collapse (DlhShape shape, const gint64 *reduced, gint64 *dims, gboolean *summed)
{
    guint n = 0;

    for (guint i = 0; i < shape.rank; i++) {
        if (shape.dims[i] == 1)
            continue;
        if (n && summed[n - 1] == (reduced[i] != 0)) {
            dims[n - 1] *= shape.dims[i];
            continue;
        }
        dims[n] = shape.dims[i];
        summed[n++] = reduced[i] != 0;
    }
    return n;
}

void
dlh_sum_plan (DlhSumPlan *plan, DlhShape shape, const gint64 reduced[DLH_MAX_RANK])
{
    DlhSumPlan p = {.run = 1, .columns = 1, .kept_count = 1, .items = 1, .parts = 1};
    gint64 dims[DLH_MAX_RANK], step = 1, units;
    gboolean summed[DLH_MAX_RANK];
    guint n = collapse (shape, reduced, dims, summed);

    if (n) {
        *(summed[n - 1] ? &p.run : &p.columns) = dims[n - 1];
        step = dims[--n];
    }
    for (guint i = 0; i < n; i++)
        *(summed[i] ? &p.items : &p.kept_count) *= dims[i];
    // From the inside out, for the steps; stored outermost first.
    for (guint i = 0; i < n; i++)
        *(summed[i] ? &p.n_reduced : &p.n_kept) += 1;
    for (guint i = n, k = p.n_kept, r = p.n_reduced; i-- > 0; step *= dims[i]) {
        if (summed[i]) {
            p.reduced[--r].n = dims[i];
            p.reduced[r].step = step;
        } else {
            p.kept[--k].n = dims[i];
            p.kept[k].step = step;
        }
    }
    units = p.kept_count * ((p.columns + WIDTH - 1) / WIDTH);
    if (p.run > BLOCK)
        p.items *= (p.run + BLOCK - 1) / BLOCK;
    // Few sums of many terms: threads share the terms of each.
    if (units && units < 32)
        p.parts = CLAMP (p.items * MIN (p.run, BLOCK) * MIN (p.columns, WIDTH) / PART, 1,
                         MIN (MAX_PARTS, MAX (p.items, 1)));
    *plan = p;
}

gsize
dlh_sum_workspace (const DlhSumPlan *plan)
{
    return plan->parts > 1
               ? (gsize) (plan->parts * plan->kept_count * plan->columns) * sizeof (double)
               : 0;
}

typedef struct {
    const DlhSumPlan *plan;
    DlhDType dtype;
    double scale;
    const void *x;
    void *out;
    double *work;
    gint64 units;
} Job;

static void
put (const Job *job, gint64 at, gint64 part, const double *sums, gint64 n)
{
    const DlhSumPlan *p = job->plan;

    if (p->parts > 1) {
        memcpy (job->work + part * p->kept_count * p->columns + at, sums, (gsize) n * sizeof *sums);
        return;
    }
    for (gint64 j = 0; j < n; j++) {
        if (job->dtype == DLH_F32)
            ((float *) job->out)[at + j] = (float) (job->scale * sums[j]);
        else
            ((double *) job->out)[at + j] = job->scale * sums[j];
    }
}

static gint64
kept_offset (const DlhSumPlan *p, gint64 k)
{
    gint64 offset = 0;

    for (guint i = p->n_kept; i-- > 0; k /= p->kept[i].n)
        offset += k % p->kept[i].n * p->kept[i].step;
    return offset;
}

static gint64
reduced_offset (const DlhSumPlan *p, gint64 k)
{
    gint64 offset = 0;

    if (p->n_reduced == 1)
        return k * p->reduced[0].step;
    for (guint i = p->n_reduced; i-- > 0; k /= p->reduced[i].n)
        offset += k % p->reduced[i].n * p->reduced[i].step;
    return offset;
}

// Eight doubles: a register of AVX-512, or two or four narrower ones.
typedef double Doubles __attribute__ ((vector_size (64)));
typedef float Floats __attribute__ ((vector_size (32)));

#define LOAD_float(v, at)                                                                          \
    do {                                                                                           \
        Floats f_;                                                                                 \
        memcpy (&f_, at, sizeof f_);                                                               \
        v = __builtin_convertvector (f_, Doubles);                                                 \
    } while (0)
#define LOAD_double(v, at) memcpy (&(v), at, sizeof (v))

#define DEFINE_SUM(T)                                                                              \
    static double sum_run_##T (const T *x, gint64 n)                                               \
    {                                                                                              \
        Doubles a = {0}, b = {0}, u, v;                                                            \
        double sum = 0;                                                                            \
        gint64 i = 0;                                                                              \
                                                                                                   \
        for (; i + 16 <= n; i += 16) {                                                             \
            LOAD_##T (u, x + i);                                                                   \
            LOAD_##T (v, x + i + 8);                                                               \
            a += u;                                                                                \
            b += v;                                                                                \
        }                                                                                          \
        a += b;                                                                                    \
        for (; i < n; i++)                                                                         \
            sum += x[i];                                                                           \
        for (int k = 0; k < 8; k++)                                                                \
            sum += a[k];                                                                           \
        return sum;                                                                                \
    }                                                                                              \
                                                                                                   \
    static void add_row_##T (double *restrict sums, const T *restrict x, gint64 n)                 \
    {                                                                                              \
        Doubles u, v;                                                                              \
        gint64 i = 0;                                                                              \
                                                                                                   \
        for (; i + 8 <= n; i += 8) {                                                               \
            LOAD_##T (u, x + i);                                                                   \
            memcpy (&v, sums + i, sizeof v);                                                       \
            v += u;                                                                                \
            memcpy (sums + i, &v, sizeof v);                                                       \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            sums[i] += x[i];                                                                       \
    }                                                                                              \
                                                                                                   \
    static void sum_unit_##T (const Job *job, gint64 unit, gint64 begin, gint64 end,               \
                              double sums[WIDTH], gint64 *at, gint64 *n)                           \
    {                                                                                              \
        const DlhSumPlan *p = job->plan;                                                           \
        gint64 blocks = (p->run + BLOCK - 1) / BLOCK, wide = (p->columns + WIDTH - 1) / WIDTH;     \
        gint64 column = unit % wide * WIDTH, kept = unit / wide;                                   \
        const T *x = (const T *) job->x + kept_offset (p, kept) + column;                          \
                                                                                                   \
        *n = MIN (WIDTH, p->columns - column);                                                     \
        *at = kept * p->columns + column;                                                          \
        memset (sums, 0, (gsize) *n * sizeof *sums);                                               \
        if (p->columns > 1)                                                                        \
            for (gint64 k = begin; k < end; k++)                                                   \
                add_row_##T (sums, x + reduced_offset (p, k), *n);                                 \
        else if (blocks <= 1)                                                                      \
            for (gint64 k = begin; k < end; k++)                                                   \
                sums[0] += sum_run_##T (x + reduced_offset (p, k), p->run);                        \
        else                                                                                       \
            for (gint64 k = begin; k < end; k++)                                                   \
                sums[0] +=                                                                         \
                    sum_run_##T (x + reduced_offset (p, k / blocks) + k % blocks * BLOCK,          \
                                 MIN (BLOCK, p->run - k % blocks * BLOCK));                        \
    }

DEFINE_SUM (float)
DEFINE_SUM (double)

static void
work (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhSumPlan *p = job->plan;
    double sums[WIDTH];

    (void) thread;
    for (gint64 k = (gint64) begin; k < (gint64) end; k++) {
        gint64 part = k / job->units, at, n;
        gint64 first = p->items * part / p->parts, last = p->items * (part + 1) / p->parts;

        if (job->dtype == DLH_F32)
            sum_unit_float (job, k % job->units, first, last, sums, &at, &n);
        else
            sum_unit_double (job, k % job->units, first, last, sums, &at, &n);
        put (job, at, part, sums, n);
    }
}

void
dlh_sum_run (const DlhSumPlan *plan, DlhDType dtype, double scale, const void *x, void *out,
             double *work_space)
{
    gint64 n = plan->kept_count * plan->columns;
    Job job = {plan, dtype, scale, x, out, work_space, 0};
    DlhSumPlan whole = *plan;
    gsize cost;

    job.units = plan->kept_count * ((plan->columns + WIDTH - 1) / WIDTH);
    if (!job.units)
        return;
    cost = (gsize) (plan->items / plan->parts * MIN (plan->run, BLOCK) *
                    MIN (plan->columns, WIDTH));
    dlh_parallel_for ((gsize) (job.units * plan->parts), MAX (1, PART / MAX (cost, 1)), work, &job);
    if (plan->parts == 1)
        return;
    whole.parts = 1;
    job.plan = &whole;
    for (gint64 at = 0; at < n; at++) {
        double sum = 0;

        for (gint64 part = 0; part < plan->parts; part++)
            sum += work_space[part * n + at];
        put (&job, at, 0, &sum, 1);
    }
}
