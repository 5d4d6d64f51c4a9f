/* SPDX-License-Identifier: MIT */
// For a curvature lambda and x = lr lambda, with u_i = lr shares_i v_i / n, a step is linear:
//   u_i' = beta_i u_i - shares_i x / n theta          theta' = theta + sum_i u_i'
// and the rate of convergence is the largest modulus among the eigenvalues of its matrix (the
// linear systems of arXiv 1804.00325, section 4, after 1408.3595).
#include <math.h>
#include "quadratics.h"

extern void dgeev_ (const char *left, const char *right, const int *n, double *a, const int *lda,
                    double *re, double *im, double *vl, const int *ldvl, double *vr,
                    const int *ldvr, double *work, const int *lwork, int *info, size_t, size_t);

#define SIDE (MAX_VELOCITIES + 1)

double
spectral_roots (const Method *m, double x, double *re, double *im)
{
    double a[SIDE * SIDE] = {0}, work[8 * SIDE], radius = 0; // a: by columns
    const int side = (int)m->n + 1, lwork = 8 * SIDE, one = 1;
    int info;

    a[0] = 1;
    for (guint i = 0; i < m->n; i++) {
        const double pull = m->shares[i] * x / m->n;
        const guint row = i + 1;

        a[0] -= pull;
        a[row] = -pull;
        a[row * (guint)side] = m->betas[i];
        a[row * (guint)side + row] = m->betas[i];
    }
    dgeev_ ("N", "N", &side, a, &side, re, im, NULL, &one, NULL, &one, work, &lwork, &info, 1, 1);
    if (info != 0)
        return NAN;
    for (int i = 0; i < side; i++)
        radius = fmax (radius, hypot (re[i], im[i]));
    return radius;
}

double
spectral_radius (const Method *m, double x)
{
    double re[SIDE], im[SIDE];

    return spectral_roots (m, x, re, im);
}

// The characteristic equation (z - 1) + x z / n sum_i shares_i / (z - beta_i) = 0 at z = -1.
double
spectral_edge (const Method *m)
{
    double sum = 0;

    for (guint i = 0; i < m->n; i++)
        sum += m->shares[i] / (1 + m->betas[i]);
    return 2 * m->n / sum;
}
