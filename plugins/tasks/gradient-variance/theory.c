/* SPDX-License-Identifier: MIT */
// The theorem (arXiv 1803.04386, section 3.2.1) and what is fitted to measured variances.
//   alpha   variance of one example's gradient
//   shared  covariance of two examples' gradients in a batch: beta + gamma where they have the
//   noise
//           in common, gamma where they have the draw but not the signs, 0 where they have nothing
#include <math.h>
#include "gradient-variance.h"

#define Z95 1.6448536269514722

// The 95 % quantile of Student's t: exact for 1 and 2 degrees, else by Cornish and Fisher (to 0.1
// %).
static double
t95 (double degrees)
{
    const double z = Z95, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z, v = degrees;

    if (degrees < 1.5)
        return 6.313751514675043;
    if (degrees < 2.5)
        return 2.919985580353726;
    return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v);
}

Interval
interval_of (const double *values, gsize n)
{
    double mean = 0, squares = 0, half;

    for (gsize i = 0; i < n; i++)
        mean += values[i] / (double)n;
    for (gsize i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    half = n > 1 ? t95 ((double)n - 1) * sqrt (squares / ((double)(n - 1) * (double)n)) : NAN;
    return (Interval){mean, mean - half, mean + half};
}

double
slope_of (const double *batches, const double *variances, gsize n)
{
    double x = 0, y = 0, xx = 0, xy = 0;

    for (gsize i = 0; i < n; i++) {
        x += log (batches[i]) / (double)n;
        y += log (variances[i]) / (double)n;
    }
    for (gsize i = 0; i < n; i++) {
        xx += (log (batches[i]) - x) * (log (batches[i]) - x);
        xy += (log (batches[i]) - x) * (log (variances[i]) - y);
    }
    return n > 1 ? xy / xx : NAN;
}

double
parts_predict (Parts parts, double n)
{
    return parts.alpha / n + (n - 1) / n * parts.shared;
}

Parts
parts_mean (const Parts *parts, gsize n)
{
    Parts mean = {0, 0};

    for (gsize i = 0; i < n; i++) {
        mean.alpha += parts[i].alpha / (double)n;
        mean.shared += parts[i].shared / (double)n;
    }
    return mean;
}
