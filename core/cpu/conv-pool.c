/* SPDX-License-Identifier: MIT */
/* Max and average pooling, planes shared out among threads. */
#include "cpu/conv.h"

#include <string.h>

#include "cpu/parallel.h"

/* Planes in a part: enough elements to be worth waking a thread. */
#define GRAIN 16384

typedef struct {
    const DlhPoolSize *s;
    DlhPoolKind kind;
    DlhDType dtype;
    const void *a, *b;
    void *out;
} Job;

/* The part of a window that lies in the picture; never empty, as padding is less than the kernel. */
typedef struct {
    gsize top, bottom, left, right;
} Window;

static inline Window
window (const DlhPoolSize *s, gsize i, gsize j)
{
    const gsize top = i * s->sh, left = j * s->sw;

    return (Window){
        top > s->ph ? top - s->ph : 0, MIN (top + s->kh - s->ph, s->ih),
        left > s->pw ? left - s->pw : 0, MIN (left + s->kw - s->pw, s->iw),
    };
}

#define T float
#define NAME(f) f##_f32
#include "cpu/conv-pool-loops.h"
#undef T
#undef NAME
#define T double
#define NAME(f) f##_f64
#include "cpu/conv-pool-loops.h"
#undef T
#undef NAME

static void
run_planes (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const Job *job = user_data;

    for (gsize n = begin; n < end; n++)
        if (job->dtype == DLH_F32)
            plane_f32 (job, n);
        else
            plane_f64 (job, n);
}

void
dlh_pool_run (DlhPoolKind kind, const DlhPoolSize *s, DlhDType dtype, const void *a, const void *b,
              void *out)
{
    Job job = {s, kind, dtype, a, b, out};

    dlh_parallel_for (s->planes, GRAIN / (s->ih * s->iw) + 1, run_planes, &job);
}
