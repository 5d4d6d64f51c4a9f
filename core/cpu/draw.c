/* SPDX-License-Identifier: MIT */
/* See draw.h. Work is shared out in blocks, so that results do not depend on threads. */
#include <math.h>
#include "cpu/draw.h"
#include "cpu/parallel.h"

#define GRAIN 2048 /* blocks */

typedef struct {
    const DlhDraw *draw;
    const void *p;
    void *out;
    gsize n;
} Job;

static inline void
words (const DlhDraw *draw, gsize block, guint32 plane, guint32 w[4])
{
    const guint32 c[4] = {(guint32) block, draw->index | plane, (guint32) draw->counter,
                          (guint32) (draw->counter >> 32)};

    dlh_philox (c, draw->key, w);
}

// 24 and 53 bits, multiples of 2^-24 and 2^-53 in [0, 1).
static inline void
uniform4_f32 (const DlhDraw *draw, gsize block, float u[4])
{
    guint32 w[4];

    words (draw, block, 0, w);
    for (int j = 0; j < 4; j++)
        u[j] = (float) (w[j] >> 8) * 0x1p-24f;
}

static inline void
bits53 (const DlhDraw *draw, gsize block, double k[4])
{
    guint32 high[4], low[4];

    words (draw, block, 0, high);
    words (draw, block, 1u << 31, low);
    for (int j = 0; j < 4; j++)
        k[j] = (double) (((guint64) high[j] << 21) | (low[j] >> 11));
}

static inline void
uniform4_f64 (const DlhDraw *draw, gsize block, double u[4])
{
    bits53 (draw, block, u);
    for (int j = 0; j < 4; j++)
        u[j] *= 0x1p-53;
}

// Box and Muller: a pair of words gives a pair of normals. The radius comes from a word at its full
// precision near 0, never 0 itself, so tails reach 6.7 (f32) and 8.6 (f64).
static inline void
normal4_f32 (const DlhDraw *draw, gsize block, float z[4])
{
    guint32 w[4];

    words (draw, block, 0, w);
    for (int j = 0; j < 4; j += 2) {
        float r = sqrtf (-2 * logf (((float) w[j] + 0.5f) * 0x1p-32f));
        float angle = (float) (gint32) w[j + 1] * (float) (G_PI * 0x1p-31);

        z[j] = r * cosf (angle);
        z[j + 1] = r * sinf (angle);
    }
}

static inline void
normal4_f64 (const DlhDraw *draw, gsize block, double z[4])
{
    double k[4];

    bits53 (draw, block, k);
    for (int j = 0; j < 4; j += 2) {
        double r = sqrt (-2 * log ((k[j] + 0.5) * 0x1p-53));
        // As for f32, the upper half of the words are the negative angles.
        double turns = k[j + 1] < 0x1p52 ? k[j + 1] : k[j + 1] - 0x1p53;

        z[j] = r * cos (turns * (G_PI * 0x1p-52));
        z[j + 1] = r * sin (turns * (G_PI * 0x1p-52));
    }
}

#define DRAW_LOOPS(T, name)                                                                        \
    static void uniform_##name (gsize begin, gsize end, guint thread, gpointer data)               \
    {                                                                                              \
        const Job *job = data;                                                                     \
                                                                                                   \
        (void) thread;                                                                             \
        for (gsize b = begin; b < end; b++) {                                                      \
            T *out = (T *) job->out + 4 * b, u[4];                                                 \
                                                                                                   \
            uniform4_##name (job->draw, b, u);                                                     \
            for (gsize j = 0; j < MIN (4, job->n - 4 * b); j++)                                    \
                out[j] = u[j];                                                                     \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void normal_##name (gsize begin, gsize end, guint thread, gpointer data)                \
    {                                                                                              \
        const Job *job = data;                                                                     \
                                                                                                   \
        (void) thread;                                                                             \
        for (gsize b = begin; b < end; b++) {                                                      \
            T *out = (T *) job->out + 4 * b, z[4];                                                 \
                                                                                                   \
            normal4_##name (job->draw, b, z);                                                      \
            for (gsize j = 0; j < MIN (4, job->n - 4 * b); j++)                                    \
                out[j] = z[j];                                                                     \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void bernoulli_##name (gsize begin, gsize end, guint thread, gpointer data)             \
    {                                                                                              \
        const Job *job = data;                                                                     \
                                                                                                   \
        (void) thread;                                                                             \
        for (gsize b = begin; b < end; b++) {                                                      \
            const T *p = (const T *) job->p + 4 * b;                                               \
            T *out = (T *) job->out + 4 * b, u[4];                                                 \
                                                                                                   \
            uniform4_##name (job->draw, b, u);                                                     \
            for (gsize j = 0; j < MIN (4, job->n - 4 * b); j++)                                    \
                out[j] = u[j] < p[j];                                                              \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void rademacher_##name (gsize begin, gsize end, guint thread, gpointer data)            \
    {                                                                                              \
        const Job *job = data;                                                                     \
                                                                                                   \
        (void) thread;                                                                             \
        for (gsize b = begin; b < end; b++) {                                                      \
            T *out = (T *) job->out + 128 * b;                                                     \
            guint32 w[4];                                                                          \
                                                                                                   \
            words (job->draw, b, 0, w);                                                            \
            for (gsize j = 0; j < MIN (128, job->n - 128 * b); j++)                                \
                out[j] = (w[j / 32] >> (j % 32)) & 1 ? (T) 1 : (T) -1;                             \
        }                                                                                          \
    }

DRAW_LOOPS (float, f32)
DRAW_LOOPS (double, f64)

void
dlh_draw_uniform (const DlhDraw *draw, DlhDType dtype, void *out, gsize n)
{
    Job job = {draw, NULL, out, n};

    dlh_parallel_for ((n + 3) / 4, GRAIN, dtype == DLH_F64 ? uniform_f64 : uniform_f32, &job);
}

void
dlh_draw_normal (const DlhDraw *draw, DlhDType dtype, void *out, gsize n)
{
    Job job = {draw, NULL, out, n};

    dlh_parallel_for ((n + 3) / 4, GRAIN / 4, dtype == DLH_F64 ? normal_f64 : normal_f32, &job);
}

void
dlh_draw_bernoulli (const DlhDraw *draw, DlhDType dtype, const void *p, void *out, gsize n)
{
    Job job = {draw, p, out, n};

    dlh_parallel_for ((n + 3) / 4, GRAIN, dtype == DLH_F64 ? bernoulli_f64 : bernoulli_f32, &job);
}

void
dlh_draw_rademacher (const DlhDraw *draw, DlhDType dtype, void *out, gsize n)
{
    Job job = {draw, NULL, out, n};

    dlh_parallel_for ((n + 127) / 128, GRAIN / 4,
                      dtype == DLH_F64 ? rademacher_f64 : rademacher_f32, &job);
}

// Fisher and Yates from the end. 64 random bits a step: the bias towards a position is below n 2^-64.
void
dlh_draw_permutation (const DlhDraw *draw, gint64 *out, gsize n)
{
    for (gsize i = 0; i < n; i++)
        out[i] = (gint64) i;
    for (gsize i = n; i > 1; i--) {
        guint32 w[4];
        guint64 bits;
        gsize j;
        gint64 taken;

        words (draw, i / 2, 0, w);
        bits = ((guint64) w[i % 2 * 2] << 32) | w[i % 2 * 2 + 1];
        j = (gsize) (((unsigned __int128) bits * i) >> 64);
        taken = out[j];
        out[j] = out[i - 1];
        out[i - 1] = taken;
    }
}
