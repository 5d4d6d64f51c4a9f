/* SPDX-License-Identifier: MIT */
/* Points under mixtures of diagonal Gaussians: the kernels behind dlh_gaussian_mixture(). They are
 * compiled once for each instruction set from mixture.c. Core-internal. */
#pragma once

#include <dlhost/mixture.h>

/* One point's coordinate and K components; arrays (K) of the element type. */
typedef struct {
    /* t = (z - mean) inv, l = c - t^2 / 2, joint += l; t may be NULL. */
    void (*terms) (void *t, void *l, void *joint, const void *mean, const void *inv, const void *c,
                   double z, gint64 n);
    /* y = exp (y + shift) */
    void (*weigh) (void *y, double shift, gint64 n);
    /* a = g p + joint_g q; mean += a t; log_std += a t^2 - a. Returns: the sum of a t inv. */
    double (*back) (void *p, const void *t, const void *q, const void *inv, void *mean,
                    void *log_std, double g, double joint_g, gint64 n);
    double (*logsumexp) (const void *x, gint64 n);
} DlhMixtureKernels;

extern const DlhMixtureKernels dlh_mixture_baseline[2], dlh_mixture_avx2[2], dlh_mixture_avx512[2];

/* Sizes and memory of a run. */
typedef struct {
    DlhDType dtype;
    gint64 m, k, d;
    DlhMixtureWeights weights;
} DlhMixture;

/* Bytes of workspace. */
gsize dlh_mixture_workspace (const DlhMixture *mixture, gboolean backward);
/* z (m, d), mean and log_std (k, d), y (m, d + 1). */
void dlh_mixture_forward (const DlhMixture *mixture, const void *z, const void *mean,
                          const void *log_std, void *y, void *work);
/* @dy (m, d + 1); @grad (m + 2 k, d): by z, mean, log_std. */
void dlh_mixture_backward (const DlhMixture *mixture, const void *z, const void *mean,
                           const void *log_std, const void *y, const void *dy, void *grad,
                           void *work);
