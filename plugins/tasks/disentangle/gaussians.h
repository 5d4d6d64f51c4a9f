/* SPDX-License-Identifier: MIT */
/* Sums of very many Gaussians, by the instructions that the processor has. Numbers go in vectors of
 * LANES. */
#pragma once

#include <glib.h>

#define LANES 8

/* Without the factor 1 / sqrt (2 pi), which the sums' users take into account. */
typedef struct {
    /* Adds weight / sigma * exp (-(x - mu)^2 / (2 sigma^2)) at the points x = low + i * step to
     * each of rows[..][i], @begin <= i < @end, both multiples of LANES. Needs step < sigma. */
    void (*add) (double mu, double sigma, double weight, double low, double step, gint64 begin,
                 gint64 end, double *const *rows, guint n_rows);
    /* Adds to sums[s] what the components c = 0 .. n - 1 give at x[s], amplitude a[c], mean m[c],
     * 1 / sigma = r[c]. n_x is a multiple of LANES. */
    void (*sum) (const double *x, gsize n_x, const double *m, const double *r, const double *a,
                 gsize n, double *sums);
    /* @x: (d, LANES). For each component c, with m, r (n, d): adds to marginals (d, LANES) what
     * weight[c] r exp (..) is in each dimension, and to joint (LANES)
     *   exp (log_weight[c] + sum_d (log r - ((x - m) r)^2 / 2) - shift)
     * where log_weight holds the sum of the log r as well. */
    void (*joint) (const double *x, guint d, const double *m, const double *r, const double *weight,
                   const double *log_weight, gsize n, const double *shift, double *marginals,
                   double *joint);
} Gaussians;

/* As dlh_cpu_level() says. */
const Gaussians *gaussians_get (void);
