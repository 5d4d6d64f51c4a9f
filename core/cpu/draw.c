/* SPDX-License-Identifier: MIT */
/* See draw.h. Work is shared out in groups of blocks, so that results do not depend on threads. */
#include <string.h>
#include "cpu/draw.h"
#include "cpu/loops.h"
#include "cpu/parallel.h"

#define N_FLOATS (4 * DLH_PHILOX_LANES)  /* elements of a group */
#define N_SIGNS (128 * DLH_PHILOX_LANES)
#define GRAIN 128 /* groups: some microseconds */

typedef struct {
    const DlhDraw *draw;
    DlhPhiloxFill fill;
    const void *p;
    char *out;
    gsize n, n_group; /* elements in all, and in a group */
    gsize size;       /* of an element */
} Job;

static void
fill_groups (const Job *job, char *out, gsize first, gsize n)
{
    guint64 block = (guint64) job->draw->index << 32 | first * DLH_PHILOX_LANES;

    job->fill (out, job->draw->key, job->draw->counter, block, n);
}

// Groups that fit go straight to memory; the last may be longer than what is wanted.
static void
fill_part (gsize begin, gsize end, guint thread, gpointer data)
{
    const Job *job = data;
    gsize full = MIN (end, job->n / job->n_group);
    double rest[N_SIGNS];

    (void) thread;
    if (begin < full)
        fill_groups (job, job->out + begin * job->n_group * job->size, begin, full - begin);
    if (full < end) {
        gsize done = MAX (begin, full) * job->n_group;

        fill_groups (job, (char *) rest, MAX (begin, full), 1);
        memcpy (job->out + done * job->size, rest, (job->n - done) * job->size);
    }
}

static void
bernoulli_f32 (float *out, const float *u, const float *p, gsize n)
{
    for (gsize i = 0; i < n; i++)
        out[i] = u[i] < p[i] ? 1.0f : 0.0f;
}

static void
bernoulli_f64 (double *out, const double *u, const double *p, gsize n)
{
    for (gsize i = 0; i < n; i++)
        out[i] = u[i] < p[i] ? 1.0 : 0.0;
}

static void
bernoulli_part (gsize begin, gsize end, guint thread, gpointer data)
{
    const Job *job = data;

    (void) thread;
    for (gsize g = begin; g < end; g++) {
        gsize at = g * N_FLOATS, n = MIN (N_FLOATS, job->n - at);
        double u[N_FLOATS];

        fill_groups (job, (char *) u, g, 1);
        if (job->size == sizeof (float))
            bernoulli_f32 ((float *) job->out + at, (float *) u, (const float *) job->p + at, n);
        else
            bernoulli_f64 ((double *) job->out + at, u, (const double *) job->p + at, n);
    }
}

static void
run (const DlhDraw *draw, DlhDType dtype, const DlhPhiloxFill *fills, const void *p, void *out,
     gsize n, gsize n_group)
{
    Job job = {draw, fills[dtype == DLH_F64], p, out, n, n_group, dlh_dtype_size (dtype)};

    dlh_parallel_for ((n + n_group - 1) / n_group, MAX (GRAIN * N_FLOATS / n_group, 1),
                      p ? bernoulli_part : fill_part, &job);
}

void
dlh_draw_uniform (const DlhDraw *draw, DlhDType dtype, void *out, gsize n)
{
    run (draw, dtype, dlh_loops ()->philox_uniform, NULL, out, n, N_FLOATS);
}

void
dlh_draw_normal (const DlhDraw *draw, DlhDType dtype, void *out, gsize n)
{
    run (draw, dtype, dlh_loops ()->philox_normal, NULL, out, n, N_FLOATS);
}

void
dlh_draw_bernoulli (const DlhDraw *draw, DlhDType dtype, const void *p, void *out, gsize n)
{
    run (draw, dtype, dlh_loops ()->philox_uniform, p, out, n, N_FLOATS);
}

void
dlh_draw_rademacher (const DlhDraw *draw, DlhDType dtype, void *out, gsize n)
{
    run (draw, dtype, dlh_loops ()->philox_rademacher, NULL, out, n, N_SIGNS);
}

/* With the scale and sums. Pieces are the same whatever the threads, and so are the sums. */

#define N_PIECE (64 * N_FLOATS)

typedef struct {
    const DlhDraw *draw;
    DlhSoftplusDraw fill;
    const char *mean, *rho;
    char *out;
    double *sums; /* two a piece */
    gsize n, size;
} Scaled;

static void
scaled_part (gsize begin, gsize end, guint thread, gpointer data)
{
    const Scaled *s = data;

    (void) thread;
    for (gsize piece = begin; piece < end; piece++) {
        const gsize at = piece * N_PIECE, n = MIN (N_PIECE, s->n - at);

        s->fill (s->out + at * s->size, s->sums + 2 * piece, s->mean + at * s->size,
                 s->rho + at * s->size, s->draw->key, s->draw->counter,
                 (guint64) s->draw->index << 32 | at / N_FLOATS * DLH_PHILOX_LANES, n);
    }
}

gsize
dlh_draw_softplus_work (gsize n)
{
    return 2 * sizeof (double) * ((n + N_PIECE - 1) / N_PIECE);
}

void
dlh_draw_softplus_normal (const DlhDraw *draw, DlhDType dtype, const void *mean, const void *rho,
                          void *out, gsize n, void *work)
{
    const gsize n_pieces = (n + N_PIECE - 1) / N_PIECE;
    Scaled s = {draw, dlh_loops ()->softplus_draw[dtype == DLH_F64], mean, rho, out, work, n,
                dlh_dtype_size (dtype)};
    double total[2] = {0};

    dlh_parallel_for (n_pieces, 1, scaled_part, &s);
    for (gsize i = 0; i < 2 * n_pieces; i++)
        total[i % 2] += s.sums[i];
    for (guint i = 0; i < 2; i++)
        if (dtype == DLH_F64)
            ((double *) out)[n + i] = total[i];
        else
            ((float *) out)[n + i] = (float) total[i];
}

/* Rows, each from a group of its own. */

typedef struct {
    Job job;
    const gint64 *rows;
    gsize width, n_groups; /* of a row */
} Rows;

gint64
dlh_draw_row_size (gint64 width)
{
    return (width + N_FLOATS - 1) / N_FLOATS * N_FLOATS;
}

static void
rows_part (gsize begin, gsize end, guint thread, gpointer data)
{
    const Rows *r = data;
    gsize full = r->width / N_FLOATS, left = r->width % N_FLOATS, size = r->job.size;
    double rest[N_FLOATS];

    (void) thread;
    for (gsize i = begin; i < end; i++) {
        gsize first = (gsize) r->rows[i] * r->n_groups;
        char *out = r->job.out + i * r->width * size;

        if (full)
            fill_groups (&r->job, out, first, full);
        if (left) {
            fill_groups (&r->job, (char *) rest, first + full, 1);
            memcpy (out + full * N_FLOATS * size, rest, left * size);
        }
    }
}

static void
run_rows (const DlhDraw *draw, DlhDType dtype, const DlhPhiloxFill *fills, const gint64 *rows,
          gsize n_rows, gsize width, void *out)
{
    gsize n_groups = (gsize) dlh_draw_row_size ((gint64) width) / N_FLOATS;
    Rows r = {{draw, fills[dtype == DLH_F64], NULL, out, 0, N_FLOATS, dlh_dtype_size (dtype)},
              rows, width, n_groups};

    if (width)
        dlh_parallel_for (n_rows, MAX (GRAIN / n_groups, 1), rows_part, &r);
}

void
dlh_draw_uniform_rows (const DlhDraw *draw, DlhDType dtype, const gint64 *rows, gsize n_rows,
                       gsize width, void *out)
{
    run_rows (draw, dtype, dlh_loops ()->philox_uniform, rows, n_rows, width, out);
}

void
dlh_draw_normal_rows (const DlhDraw *draw, DlhDType dtype, const gint64 *rows, gsize n_rows,
                      gsize width, void *out)
{
    run_rows (draw, dtype, dlh_loops ()->philox_normal, rows, n_rows, width, out);
}

// Fisher and Yates from the end. 64 random bits a step: the bias towards a position is below n 2^-64.
void
dlh_draw_permutation (const DlhDraw *draw, gint64 *out, gsize n)
{
    for (gsize i = 0; i < n; i++)
        out[i] = (gint64) i;
    for (gsize i = n; i > 1; i--) {
        const guint32 block[4] = {(guint32) (i / 2), draw->index, (guint32) draw->counter,
                                  (guint32) (draw->counter >> 32)};
        guint32 w[4];
        guint64 bits;
        gsize j;
        gint64 taken;

        dlh_philox (block, draw->key, w);
        bits = ((guint64) w[i % 2 * 2] << 32) | w[i % 2 * 2 + 1];
        j = (gsize) (((unsigned __int128) bits * i) >> 64);
        taken = out[j];
        out[j] = out[i - 1];
        out[i - 1] = taken;
    }
}
