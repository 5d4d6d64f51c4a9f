/* SPDX-License-Identifier: MIT */
/* Mixtures, row by row: what one point needs of all components is a few arrays (K), which stay in
 * the cache. Rows are cut into parts by M alone, so that sums do not depend on the number of
 * threads; a part has its own arrays and, going backwards, its own sums over points. */
#include <math.h>
#include <string.h>
#include "cpu/loops.h"
#include "cpu/mixture.h"
#include "cpu/parallel.h"

#define MAX_PARTS 16
#define PART_ROWS 32     /* fewest of a part */
#define PART_TERMS 16384 /* (point, component, axis) that are worth a thread */
#define TILE 128         /* components */
#define HALF_LOG_2PI 0.91893853320467274178

typedef struct {
    const DlhMixture *m;
    const DlhMixtureKernels *kernels;
    const char *z, *y, *dy;
    char *out;
    char *mean, *inv, *c; /* (d, k): transposed means, 1 / sigma and - log (sigma sqrt (2 pi)) */
    char *arrays;         /* of all parts */
    gsize row;            /* bytes of an array (k) */
    guint n_parts;
} Job;

static const DlhMixtureKernels *
kernels (DlhDType dtype)
{
    const DlhLoops *loops = dlh_loops ();

#if defined __x86_64__
    if (loops == &dlh_loops_avx512)
        return &dlh_mixture_avx512[dtype - 1];
    if (loops == &dlh_loops_avx2)
        return &dlh_mixture_avx2[dtype - 1];
#endif
    (void)loops;
    return &dlh_mixture_baseline[dtype - 1];
}

static guint
n_parts (const DlhMixture *m)
{
    return (guint)CLAMP (m->m / PART_ROWS, 1, MAX_PARTS);
}

// Arrays are cut at cache lines.
static gsize
row_bytes (const DlhMixture *m)
{
    return ((gsize)m->k * dlh_dtype_size (m->dtype) + 63) / 64 * 64;
}

static gsize
tile_bytes (const DlhMixture *m)
{
    return TILE * dlh_dtype_size (m->dtype);
}

// Forward: terms and joint. Backward: the two sums of each axis; of a tile t and terms of each
// axis, and joint.
static gsize
part_bytes (const DlhMixture *m, gboolean backward)
{
    const gsize d = (gsize)m->d;

    return backward ? 2 * d * row_bytes (m) + (2 * d + 1) * tile_bytes (m) : 2 * row_bytes (m);
}

gsize
dlh_mixture_workspace (const DlhMixture *m, gboolean backward)
{
    return 3 * (gsize)m->d * row_bytes (m) + n_parts (m) * part_bytes (m, backward);
}

static double
get (DlhDType dtype, const void *x, gint64 i)
{
    return dtype == DLH_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static void
put (DlhDType dtype, void *x, gint64 i, double value)
{
    if (dtype == DLH_F32)
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

static void
set_components (Job *job, const void *mean, const void *log_std, void *work)
{
    const DlhMixture *m = job->m;
    const gsize all = job->row * (gsize)m->d;

    job->mean = work;
    job->inv = job->mean + all;
    job->c = job->inv + all;
    job->arrays = job->c + all;
    for (gint64 d = 0; d < m->d; d++)
        for (gint64 j = 0; j < m->k; j++) {
            const double l = get (m->dtype, log_std, j * m->d + d);
            const gsize at = (gsize)d * job->row;

            put (m->dtype, job->mean + at, j, get (m->dtype, mean, j * m->d + d));
            put (m->dtype, job->inv + at, j, exp (-l));
            put (m->dtype, job->c + at, j, -l - HALF_LOG_2PI);
        }
}

// The components whose weights differ from the others', for point @i; @x holds @n from @first on.
static void
add_weights (const Job *job, void *x, gint64 i, gint64 first, gint64 n)
{
    const DlhMixture *m = job->m;
    const DlhMixtureWeights *w = &m->weights;
    const gint64 own = i - first, next = (i + 1) % m->k - first;

    if (w->own == w->others && w->next == w->others)
        return;
    if (own >= 0 && own < n)
        put (m->dtype, x, own, get (m->dtype, x, own) + w->own - w->others);
    if (m->k > 1 && next >= 0 && next < n)
        put (m->dtype, x, next, get (m->dtype, x, next) + w->next - w->others);
}

static void
forward (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhMixture *m = job->m;

    (void)thread;
    for (gsize part = begin; part < end; part++) {
        const gint64 first = m->m * (gint64)part / job->n_parts;
        const gint64 last = m->m * (gint64)(part + 1) / job->n_parts;
        char *terms = job->arrays + part * part_bytes (m, FALSE), *joint = terms + job->row;

        for (gint64 i = first; i < last; i++) {
            memset (joint, 0, job->row);
            for (gint64 d = 0; d <= m->d; d++) {
                const gsize at = (gsize)d * job->row;
                char *x = d < m->d ? terms : joint;

                if (d < m->d)
                    job->kernels->terms (NULL, terms, joint, job->mean + at, job->inv + at,
                                         job->c + at, get (m->dtype, job->z, i * m->d + d), m->k);
                add_weights (job, x, i, 0, m->k);
                put (m->dtype, job->out, i * (m->d + 1) + d,
                     m->weights.others + job->kernels->logsumexp (x, m->k));
            }
        }
    }
}

/* A tile of a part. */
typedef struct {
    gint64 first, n;         /* components */
    char *mean, *log_std;    /* (d, k): the part's sums */
    char *t, *terms, *joint; /* (d, TILE), (d, TILE), (TILE) */
} Tile;

// One point: its own gradient to job->out, the components' added to the part's sums.
static void
back_point (const Job *job, const Tile *tile, gint64 i)
{
    const DlhMixture *m = job->m;
    const DlhMixtureKernels *k = job->kernels;
    const gsize start = (gsize)tile->first * dlh_dtype_size (m->dtype), step = tile_bytes (m);
    const gint64 y = i * (m->d + 1);
    const double joint_g = get (m->dtype, job->dy, y + m->d);

    memset (tile->joint, 0, step);
    for (gint64 d = 0; d <= m->d; d++) {
        const gsize at = (gsize)d * job->row + start, here = (gsize)d * step;
        char *x = d < m->d ? tile->terms + here : tile->joint;

        if (d < m->d)
            k->terms (tile->t + here, x, tile->joint, job->mean + at, job->inv + at, job->c + at,
                      get (m->dtype, job->z, i * m->d + d), tile->n);
        add_weights (job, x, i, tile->first, tile->n);
        k->weigh (x, m->weights.others - get (m->dtype, job->y, y + d), tile->n);
    }
    for (gint64 d = 0; d < m->d; d++) {
        const gsize at = (gsize)d * job->row + start, here = (gsize)d * step;
        const double before = tile->first ? get (m->dtype, job->out, i * m->d + d) : 0;
        const double sum = k->back (tile->terms + here, tile->t + here, tile->joint, job->inv + at,
                                    tile->mean + at, tile->log_std + at,
                                    get (m->dtype, job->dy, y + d), joint_g, tile->n);

        put (m->dtype, job->out, i * m->d + d, before - sum);
    }
}

static void
backward (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhMixture *m = job->m;
    const gsize all = job->row * (gsize)m->d;

    (void)thread;
    for (gsize part = begin; part < end; part++) {
        const gint64 first = m->m * (gint64)part / job->n_parts;
        const gint64 last = m->m * (gint64)(part + 1) / job->n_parts;
        Tile tile = {.mean = job->arrays + part * part_bytes (m, TRUE)};

        tile.log_std = tile.mean + all;
        tile.t = tile.log_std + all;
        tile.terms = tile.t + (gsize)m->d * tile_bytes (m);
        tile.joint = tile.terms + (gsize)m->d * tile_bytes (m);
        memset (tile.mean, 0, 2 * all);
        for (; tile.first < m->k; tile.first += TILE) {
            tile.n = MIN (TILE, m->k - tile.first);
            for (gint64 i = first; i < last; i++)
                back_point (job, &tile, i);
        }
    }
}

// The parts' sums, in order, to the rows behind the points'.
static void
add_parts (const Job *job)
{
    const DlhMixture *m = job->m;
    const gsize step = part_bytes (m, TRUE), all = job->row * (gsize)m->d;

    for (gint64 d = 0; d < m->d; d++)
        for (gint64 j = 0; j < m->k; j++) {
            const gsize at = (gsize)d * job->row;
            double mean = 0, log_std = 0;

            for (guint p = 0; p < job->n_parts; p++) {
                const char *sums = job->arrays + p * step + at;

                mean += get (m->dtype, sums, j);
                log_std += get (m->dtype, sums + all, j);
            }
            put (m->dtype, job->out, (m->m + j) * m->d + d,
                 mean * get (m->dtype, job->inv + at, j));
            put (m->dtype, job->out, (m->m + m->k + j) * m->d + d, log_std);
        }
}

static gsize
grain (const DlhMixture *m, guint parts)
{
    const gint64 terms = MAX (1, m->m / parts * m->k * (m->d + 1));

    return (gsize)(1 + PART_TERMS / terms);
}

void
dlh_mixture_forward (const DlhMixture *m, const void *z, const void *mean, const void *log_std,
                     void *y, void *work)
{
    Job job = {.m = m,
               .kernels = kernels (m->dtype),
               .z = z,
               .out = y,
               .row = row_bytes (m),
               .n_parts = n_parts (m)};

    set_components (&job, mean, log_std, work);
    dlh_parallel_for (job.n_parts, grain (m, job.n_parts), forward, &job);
}

void
dlh_mixture_backward (const DlhMixture *m, const void *z, const void *mean, const void *log_std,
                      const void *y, const void *dy, void *grad, void *work)
{
    Job job = {.m = m,
               .kernels = kernels (m->dtype),
               .z = z,
               .y = y,
               .dy = dy,
               .out = grad,
               .row = row_bytes (m),
               .n_parts = n_parts (m)};

    set_components (&job, mean, log_std, work);
    dlh_parallel_for (job.n_parts, grain (m, job.n_parts), backward, &job);
    add_parts (&job);
}
