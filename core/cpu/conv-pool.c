/* SPDX-License-Identifier: MIT */
/* Max and average pooling, planes shared out among threads. */
#include "cpu/conv.h"

#include <string.h>

#include "cpu/conv-kernels.h"
#include "cpu/parallel.h"

/* Planes in a part: enough elements to be worth waking a thread. */
#define GRAIN 16384

typedef struct {
    const DlhPoolSize *s;
    DlhPoolKind kind;
    DlhDType dtype;
    const void *a, *b;
    void *out;
    const DlhConvKernels *kernels; /* NULL where the plain loops serve */
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

static gboolean
is_max (DlhPoolKind kind)
{
    return kind == DLH_POOL_MAX || kind == DLH_POOL_MAX_PICK || kind == DLH_POOL_MAX_GRAD;
}

static gboolean
by_two (const DlhPoolSize *s)
{
    return s->kh == 2 && s->kw == 2 && s->sh == 2 && s->sw == 2 && s->ph == 0 && s->pw == 0;
}

// Every row of windows of one plane by the vector loops.
static void
plane_by_two (const Job *job, gsize n)
{
    const DlhPoolSize *s = job->s;
    const gboolean f64 = job->dtype == DLH_F64, grad = job->kind == DLH_POOL_MAX_GRAD;
    const gsize size = f64 ? 8 : 4, nx = s->ih * s->iw * size, ny = s->oh * s->ow * size;
    const char *x = (const char *) job->a + n * nx;
    const char *values = (const char *) job->b + n * (grad ? ny : nx);
    char *out = (char *) job->out + n * (grad ? nx : ny);

    if (grad && (s->ih % 2 || s->iw % 2))
        memset (out, 0, nx); // no window reaches the last row or column
    for (gsize i = 0; i < s->oh; i++) {
        const gsize rx = 2 * i * s->iw * size, ry = i * s->ow * size;

        if (grad)
            job->kernels->grad2[f64] (x + rx, values + ry, s->iw, out + rx, s->ow);
        else
            job->kernels->pick2[f64] (x + rx, values + rx, s->iw, out + ry, s->ow);
    }
}

static void
run_planes (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const Job *job = user_data;

    for (gsize n = begin; n < end; n++)
        if (job->kernels)
            plane_by_two (job, n);
        else if (job->dtype == DLH_F32)
            plane_f32 (job, n);
        else
            plane_f64 (job, n);
}

void
dlh_pool_run (DlhPoolKind kind, const DlhPoolSize *s, DlhDType dtype, const void *a, const void *b,
              void *out)
{
    Job job = {s, kind, dtype, a, kind == DLH_POOL_MAX ? a : b, out, NULL};

    if (is_max (kind) && by_two (s))
        job.kernels = dlh_conv_kernels ();
    dlh_parallel_for (s->planes, GRAIN / (s->ih * s->iw) + 1, run_planes, &job);
}
