/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "cpu/move.h"
#include "cpu/parallel.h"

#define TILE 64          /* elements of a side: few pages are touched at once */
#define PART_BYTES 65536 /* less is not worth a thread */

void
dlh_move_axis (DlhMove *move, gint64 n, gint64 to, gint64 from)
{
    move->dims[move->rank] = n;
    move->to[move->rank] = to;
    move->from[move->rank++] = from;
}

void
dlh_strides (DlhShape shape, gint64 strides[DLH_MAX_RANK])
{
    gint64 step = 1;

    for (guint i = shape.rank; i-- > 0; step *= shape.dims[i])
        strides[i] = step;
}

static void
drop_axis (DlhMove *m, guint i)
{
    gsize after = (--m->rank - i) * sizeof (gint64);

    memmove (m->dims + i, m->dims + i + 1, after);
    memmove (m->to + i, m->to + i + 1, after);
    memmove (m->from + i, m->from + i + 1, after);
}

static void
insert_axis (DlhMove *m, guint i, gint64 n, gint64 to, gint64 from)
{
    gsize after = (m->rank++ - i) * sizeof (gint64);

    memmove (m->dims + i + 1, m->dims + i, after);
    memmove (m->to + i + 1, m->to + i, after);
    memmove (m->from + i + 1, m->from + i, after);
    m->dims[i] = n;
    m->to[i] = to;
    m->from[i] = from;
}

// The same copy with few axes, outermost first as the target lies. FALSE when it is empty.
static gboolean
simplify (const DlhMove *move, DlhMove *m)
{
    m->rank = 0;
    for (guint i = 0; i < move->rank; i++) {
        guint at = 0;

        if (move->dims[i] == 0)
            return FALSE;
        if (move->dims[i] == 1)
            continue;
        while (at < m->rank && llabs (m->to[at]) >= llabs (move->to[i]))
            at++;
        insert_axis (m, at, move->dims[i], move->to[i], move->from[i]);
    }
    for (guint i = m->rank; i-- > 1;)
        if (m->to[i - 1] == m->dims[i] * m->to[i] && m->from[i - 1] == m->dims[i] * m->from[i]) {
            m->dims[i] *= m->dims[i - 1];
            drop_axis (m, i - 1);
        }
    return TRUE;
}

// Innermost loops: n elements of a line, or a strip of a transposed plane:
// to[i * to_step + j] = from[i + j * from_step], i < TILE or less, j < n.

typedef struct {
    gint64 n, to_step, from_step;
    gint64 rows; /* of the strip */
} Inner;

#define DEFINE_LOOPS(T, SUFFIX)                                                                    \
    static void line_##SUFFIX (void *to, const void *from, const Inner *p)                         \
    {                                                                                              \
        T *restrict y = to;                                                                        \
        const T *restrict x = from;                                                                \
                                                                                                   \
        if (p->to_step == 1 && p->from_step == 0) {                                                \
            T v = *x;                                                                              \
                                                                                                   \
            for (gint64 i = 0; i < p->n; i++)                                                      \
                y[i] = v;                                                                          \
            return;                                                                                \
        }                                                                                          \
        for (gint64 i = 0; i < p->n; i++)                                                          \
            y[i * p->to_step] = x[i * p->from_step];                                               \
    }                                                                                              \
                                                                                                   \
    static void part_##SUFFIX (T *restrict y, const T *restrict x, const Inner *p, gint64 i0,      \
                               gint64 i1, gint64 j0, gint64 j1)                                    \
    {                                                                                              \
        const gint64 step = p->from_step;                                                          \
                                                                                                   \
        for (gint64 i = i0; i < i1; i++) {                                                         \
            T *restrict row = y + i * p->to_step;                                                  \
            const T *column = x + i + j0 * step;                                                   \
                                                                                                   \
            for (gint64 j = j0; j < j1; j++, column += step)                                       \
                row[j] = *column;                                                                  \
        }                                                                                          \
    }

DEFINE_LOOPS (guint8, 1)
DEFINE_LOOPS (guint32, 4)
DEFINE_LOOPS (guint64, 8)

static void
line_copy (void *to, const void *from, const Inner *p)
{
    memcpy (to, from, (gsize) p->n);
}

typedef guint32 Four __attribute__ ((vector_size (16)));
typedef guint64 Two __attribute__ ((vector_size (16)));

// A 4 x 4 block of 4-byte elements, transposed in registers.
static inline void
block_4 (guint32 *y, const guint32 *x, gint64 to_step, gint64 from_step)
{
    Four r[4], s[4];

    for (int k = 0; k < 4; k++)
        memcpy (&r[k], x + k * from_step, sizeof r[k]);
    s[0] = __builtin_shufflevector (r[0], r[1], 0, 4, 1, 5);
    s[1] = __builtin_shufflevector (r[2], r[3], 0, 4, 1, 5);
    s[2] = __builtin_shufflevector (r[0], r[1], 2, 6, 3, 7);
    s[3] = __builtin_shufflevector (r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector (s[0], s[1], 0, 1, 4, 5);
    r[1] = __builtin_shufflevector (s[0], s[1], 2, 3, 6, 7);
    r[2] = __builtin_shufflevector (s[2], s[3], 0, 1, 4, 5);
    r[3] = __builtin_shufflevector (s[2], s[3], 2, 3, 6, 7);
    for (int k = 0; k < 4; k++)
        memcpy (y + k * to_step, &r[k], sizeof r[k]);
}

static inline void
block_8 (guint64 *y, const guint64 *x, gint64 to_step, gint64 from_step)
{
    Two r0, r1, s0, s1;

    memcpy (&r0, x, sizeof r0);
    memcpy (&r1, x + from_step, sizeof r1);
    s0 = __builtin_shufflevector (r0, r1, 0, 2);
    s1 = __builtin_shufflevector (r0, r1, 1, 3);
    memcpy (y, &s0, sizeof s0);
    memcpy (y + to_step, &s1, sizeof s1);
}

static void
strip_1 (void *to, const void *from, const Inner *p)
{
    part_1 (to, from, p, 0, p->rows, 0, p->n);
}

// Square by square, so that the lines of both sides stay in the cache until they are done.
#define DEFINE_STRIP(T, SUFFIX, BLOCK)                                                             \
    static void strip_##SUFFIX (void *to, const void *from, const Inner *p)                        \
    {                                                                                              \
        T *y = to;                                                                                 \
        const T *x = from;                                                                         \
        gint64 n = p->n / BLOCK * BLOCK, rows = p->rows / BLOCK * BLOCK;                           \
                                                                                                   \
        for (gint64 j0 = 0; j0 < n; j0 += TILE)                                                    \
            for (gint64 i = 0; i < rows; i += BLOCK)                                               \
                for (gint64 j = j0; j < MIN (n, j0 + TILE); j += BLOCK)                            \
                    block_##SUFFIX (y + i * p->to_step + j, x + i + j * p->from_step, p->to_step,  \
                                    p->from_step);                                                 \
        part_##SUFFIX (y, x, p, rows, p->rows, 0, n);                                              \
        part_##SUFFIX (y, x, p, 0, p->rows, n, p->n);                                              \
    }

DEFINE_STRIP (guint32, 4, 4)
DEFINE_STRIP (guint64, 8, 2)

typedef struct {
    DlhMove outer;    /* without the axes of the inner loop */
    guint strip;      /* the outer axis that is cut into strips, or rank */
    gint64 strip_end; /* its size in elements */
    gsize element;
    char *to;
    const char *from;
    Inner inner;
    void (*loop) (void *to, const void *from, const Inner *p);
} Job;

static void
work (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhMove *m = &job->outer;
    Inner inner = job->inner;

    (void) thread;
    for (gsize k = begin; k < end; k++) {
        gint64 rest = (gint64) k, to = 0, from = 0;

        for (guint i = m->rank; i-- > 0;) {
            gint64 at = rest % m->dims[i];

            rest /= m->dims[i];
            to += at * m->to[i];
            from += at * m->from[i];
            if (i == job->strip)
                inner.rows = MIN (TILE, job->strip_end - at * TILE);
        }
        job->loop (job->to + to * (gint64) job->element, job->from + from * (gint64) job->element,
                   &inner);
    }
}

// Chooses the inner loop for the last axis of @m, perhaps with a second one.
static void
plan (Job *job, DlhMove *m)
{
    guint last = m->rank - 1, s = 0;
    gboolean four = job->element == 4, eight = job->element == 8;

    job->inner = (Inner){m->dims[last], m->to[last], m->from[last], 0};
    job->loop = four ? line_4 : eight ? line_8 : line_1;
    job->strip = DLH_MAX_RANK + 1;
    while (s < last && m->from[s] != 1)
        s++;
    if (m->to[last] == 1 && m->from[last] == 1) {
        // A call of memcpy costs more than the loop for a few elements.
        if (m->dims[last] * (gint64) job->element > 64) {
            job->inner.n *= (gint64) job->element;
            job->loop = line_copy;
        }
    } else if (m->to[last] == 1 && m->from[last] != 0 && s < last) {
        job->inner.to_step = m->to[s];
        job->loop = four ? strip_4 : eight ? strip_8 : strip_1;
        job->strip = s;
        job->strip_end = m->dims[s];
        m->dims[s] = (m->dims[s] + TILE - 1) / TILE;
        m->to[s] *= TILE;
        m->from[s] = TILE;
    }
    drop_axis (m, last);
}

void
dlh_move_run (const DlhMove *move, gsize element, void *to, const void *from)
{
    Job job = {.element = element, .to = to, .from = from};
    gint64 n = 1;
    gsize bytes;

    if (!simplify (move, &job.outer))
        return;
    if (job.outer.rank == 0) {
        memcpy (to, from, element);
        return;
    }
    bytes = (gsize) job.outer.dims[job.outer.rank - 1] * element;
    plan (&job, &job.outer);
    for (guint i = 0; i < job.outer.rank; i++)
        n *= job.outer.dims[i];
    if (job.strip <= DLH_MAX_RANK)
        bytes *= TILE;
    dlh_parallel_for ((gsize) n, MAX (1, PART_BYTES / bytes), work, &job);
}
