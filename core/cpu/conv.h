/* SPDX-License-Identifier: MIT */
/* Convolution kernels. A plan is made once for a shape; it picks the kernel, and running it allocates
 * nothing. Three products share one geometry:
 *
 *     forward   y  (B, O, oh, ow)       from x, w and maybe a bias (O)
 *     data      dx (B, C, ih, iw)       from dy, w and maybe a bias (C)
 *     weight    dw (O, C/g, kh, kw)     from x, dy
 *
 * Core-internal: graph/op-conv.c makes plans, cpu/conv*.c run them. */
#pragma once

#include <dlhost/op.h>

/* Letters as in the formulas: C, O channels in and out, g groups. */
typedef struct {
    gsize B, C, O, g;
    gsize ih, iw; /* picture in */
    gsize oh, ow; /* picture out */
    gsize kh, kw; /* kernel */
    gsize sh, sw; /* stride */
    gsize ph, pw; /* padding */
    gsize dh, dw; /* dilation */
} DlhConvSize;

typedef enum {
    DLH_CONV_FORWARD = 1,
    DLH_CONV_DATA,
    DLH_CONV_WEIGHT,
} DlhConvKind;

typedef struct _DlhConvPlan DlhConvPlan;

/* Returns: NULL with DLH_ERROR_SHAPE when a size is beyond what BLAS counts with. */
DlhConvPlan *dlh_conv_plan_new (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype,
                                GError **error);
void dlh_conv_plan_free (gpointer plan);
/* Bytes that a run needs beside its operands. */
gsize dlh_conv_workspace (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype);
/* forward: a = x, b = w; data: a = dy, b = w; weight: a = x, b = dy. bias may be NULL. */
gboolean dlh_conv_plan_run (const DlhConvPlan *plan, const void *a, const void *b, const void *bias,
                            void *out, void *work, GError **error);

/* Patches of x (B, C, ih, iw) as rows (B, oh ow, C kh kw), and the adjoint. */
void dlh_conv_patches (const DlhConvSize *size, DlhDType dtype, const void *x, void *p);
void dlh_conv_patches_adjoint (const DlhConvSize *size, DlhDType dtype, const void *p, void *x);

/* Pooling works on planes: pictures times channels. */
typedef struct {
    gsize planes;
    gsize ih, iw, oh, ow;
    gsize kh, kw, sh, sw, ph, pw;
} DlhPoolSize;

typedef enum {
    DLH_POOL_MAX = 1,  /* a = x, out = y */
    DLH_POOL_MAX_GRAD, /* a = x, b = dy, out = dx */
    DLH_POOL_MAX_PICK, /* a = x, b like x, out = b where x has its maxima */
    DLH_POOL_AVG,      /* a = x, out = y */
    DLH_POOL_AVG_GRAD, /* a = dy, out = dx */
} DlhPoolKind;

void dlh_pool_run (DlhPoolKind kind, const DlhPoolSize *size, DlhDType dtype, const void *a,
                   const void *b, void *out);

/* What the cpu/conv*.c files have in common. */

#define DLH_CONV_ALIGN(bytes) (((gsize) (bytes) + 63) & ~(gsize) 63)

/* Rows of K = C/g kh kw that a filter has; positions of an output picture. */
static inline gsize
dlh_conv_k (const DlhConvSize *s)
{
    return s->C / s->g * s->kh * s->kw;
}

static inline gsize
dlh_conv_p (const DlhConvSize *s)
{
    return s->oh * s->ow;
}

/* Whether the patches are the picture itself: a product of matrices. */
static inline gboolean
dlh_conv_is_matmul (const DlhConvSize *s)
{
    return s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->ph == 0 && s->pw == 0;
}

/* cpu/conv-im2col.c: patches and BLAS; every shape, f32 and f64. Work is split into @parts, each with
 * a buffer of its own. */
gsize dlh_im2col_workspace (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype, guint parts);
void dlh_im2col_run (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype, guint parts,
                     const void *a, const void *b, const void *bias, void *out, void *work);
