/* SPDX-License-Identifier: MIT */
/* Weights known by their logarithms. */
#include <math.h>
#include <dlhost/dlhost.h>

// Largest of @n, NaN if one is.
static double
largest (const double *x, gsize n)
{
    double m = -INFINITY;

    for (gsize i = 0; i < n; i++) {
        if (isnan (x[i]))
            return NAN;
        m = fmax (m, x[i]);
    }
    return m;
}

double
dlh_log_mean_exp (const double *log_weights, gsize n)
{
    double m = largest (log_weights, n), sum = 0;

    if (!isfinite (m))
        return m;
    for (gsize i = 0; i < n; i++)
        sum += exp (log_weights[i] - m);
    return m + log (sum / (double)n);
}

double
dlh_ess_weights (const double *log_weights, gsize n)
{
    double m = largest (log_weights, n), sum = 0, square = 0;

    if (!isfinite (m))
        return NAN;
    for (gsize i = 0; i < n; i++) {
        double w = exp (log_weights[i] - m);

        sum += w;
        square += w * w;
    }
    return sum * sum / square;
}
