/* SPDX-License-Identifier: MIT */
/* Convolution as a product with the matrix of patches. Pictures are shared out among threads, each
 * product is one BLAS call in its thread. */
#include "cpu/conv.h"

#include <cblas.h>
#include <string.h>

#include "cpu/parallel.h"

/* Pictures of a weight gradient are added up in at most so many slices. Their number depends on the
 * shape alone, so the sum does not depend on threads. */
#define MAX_SLICES 16
/* ... nor should the partial sums outgrow a cache. */
#define MAX_PARTIAL (1 << 20)

typedef struct {
    const DlhConvSize *s;
    DlhConvKind kind;
    DlhDType dtype;
    const void *a, *b, *bias;
    void *out;
    char *cols; /* one buffer of cols_bytes for each part */
    gsize cols_bytes;
    void *partial; /* sums of the slices but the first */
    gsize slices, parts;
} Job;

#define T float
#define NAME(f) f##_f32
#define GEMM cblas_sgemm
#include "cpu/conv-im2col-loops.h"
#undef T
#undef NAME
#undef GEMM
#define T double
#define NAME(f) f##_f64
#define GEMM cblas_dgemm
#include "cpu/conv-im2col-loops.h"
#undef T
#undef NAME
#undef GEMM

static gsize
n_slices (DlhConvKind kind, const DlhConvSize *s)
{
    if (kind != DLH_CONV_WEIGHT)
        return s->B;
    return MIN (s->B, CLAMP (MAX_PARTIAL / (s->O * dlh_conv_k (s) + 1), 4, MAX_SLICES));
}

static gsize
cols_bytes (const DlhConvSize *s, DlhDType dtype)
{
    if (dlh_conv_is_matmul (s))
        return 0;
    return DLH_CONV_ALIGN (dlh_conv_k (s) * dlh_conv_p (s) * dlh_dtype_size (dtype));
}

gsize
dlh_im2col_workspace (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype, guint parts)
{
    const gsize slices = n_slices (kind, s);
    gsize bytes = parts * cols_bytes (s, dtype);

    if (kind == DLH_CONV_WEIGHT && slices > 1)
        bytes += (slices - 1) * s->O * dlh_conv_k (s) * dlh_dtype_size (dtype);
    return bytes;
}

static void
run_slice (const Job *job, gsize slice, void *cols)
{
    if (job->kind == DLH_CONV_WEIGHT)
        (job->dtype == DLH_F32 ? slice_f32 : slice_f64) (job, slice, cols);
    else
        (job->dtype == DLH_F32 ? image_f32 : image_f64) (job, slice, cols);
}

static void
run_parts (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const Job *job = user_data;

    for (gsize part = begin; part < end; part++) {
        const gsize last = (part + 1) * job->slices / job->parts;

        for (gsize i = part * job->slices / job->parts; i < last; i++)
            run_slice (job, i, job->cols + part * job->cols_bytes);
    }
}

static void
run_empty (const Job *job)
{
    const DlhConvSize *s = job->s;
    const gsize n = job->kind == DLH_CONV_FORWARD ? dlh_conv_p (s) : s->ih * s->iw;
    const gsize channels = job->kind == DLH_CONV_FORWARD ? s->O : s->C;
    const gsize size = dlh_dtype_size (job->dtype);

    if (job->kind == DLH_CONV_WEIGHT) {
        memset (job->out, 0, s->O * dlh_conv_k (s) * size);
        return;
    }
    for (gsize b = 0; b < s->B; b++) {
        char *y = (char *) job->out + b * channels * n * size;

        if (job->dtype == DLH_F32)
            fill_f32 ((float *) y, job->bias, channels, n);
        else
            fill_f64 ((double *) y, job->bias, channels, n);
    }
}

void
dlh_im2col_run (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype, guint parts, const void *a,
                const void *b, const void *bias, void *out, void *work)
{
    Job job = {s, kind, dtype, a, b, bias, out, work, cols_bytes (s, dtype), NULL, 0, parts};

    if (s->B == 0 || s->C == 0 || s->O == 0) { // BLAS refuses empty matrices
        run_empty (&job);
        return;
    }
    job.slices = n_slices (kind, s);
    job.partial = job.cols + parts * job.cols_bytes;
    dlh_parallel_for (parts, 1, run_parts, &job);
    if (kind != DLH_CONV_WEIGHT)
        return;
    (dtype == DLH_F32 ? add_slices_f32 : add_slices_f64) (out, job.partial,
                                                          s->O * dlh_conv_k (s), job.slices);
}

typedef struct {
    const DlhConvSize *s;
    DlhDType dtype;
    const char *from;
    char *to;
    gboolean adjoint;
} PatchJob;

static void
run_patches (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const PatchJob *job = user_data;
    const DlhConvSize *s = job->s;
    const gsize size = dlh_dtype_size (job->dtype);
    const gsize x = s->C * s->ih * s->iw * size, p = dlh_conv_p (s) * s->C * s->kh * s->kw * size;

    for (gsize b = begin; b < end; b++) {
        const void *from = job->from + b * (job->adjoint ? p : x);
        void *to = job->to + b * (job->adjoint ? x : p);

        if (job->dtype == DLH_F32)
            (job->adjoint ? patches_adjoint_f32 : patches_f32) (s, from, to);
        else
            (job->adjoint ? patches_adjoint_f64 : patches_f64) (s, from, to);
    }
}

void
dlh_conv_patches (const DlhConvSize *s, DlhDType dtype, const void *x, void *p)
{
    PatchJob job = {s, dtype, x, p, FALSE};

    dlh_parallel_for (s->B, 1, run_patches, &job);
}

void
dlh_conv_patches_adjoint (const DlhConvSize *s, DlhDType dtype, const void *p, void *x)
{
    PatchJob job = {s, dtype, p, x, TRUE};

    dlh_parallel_for (s->B, 1, run_patches, &job);
}
