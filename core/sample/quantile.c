/* SPDX-License-Identifier: MIT */
/* Inverse distribution functions to double precision: a start, then safeguarded Newton steps on the
 * distribution function itself. */
#include <float.h>
#include <math.h>
#include <dlhost/diagnostics.h>

double
dlh_normal_quantile (double p)
{
    double tail = MIN (p, 1 - p), t, x;

    if (!(p > 0 && p < 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    // Abramowitz and Stegun 26.2.23 for the upper tail, good to 4.5e-4; Halley's method does the
    // rest.
    t = sqrt (-2 * log (tail));
    x = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    for (guint i = 0; i < 4; i++) {
        double density = exp (-x * x / 2) / sqrt (2 * G_PI);
        double u = (0.5 * erfc (x / G_SQRT2) - tail) / density;

        x += u / (1 - x * u / 2);
    }
    return p < 0.5 ? -x : x;
}

// The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method.
static double
beta_fraction (double x, double a, double b)
{
    const double tiny = 1e-300;
    double f = 1, c = 1, d = 0;

    for (guint k = 0; k < 10000; k++) {
        double m = k / 2, term;

        if (k == 0)
            term = 1;
        else if (k % 2 == 0)
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        else
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + term * d;
        d = 1 / (fabs (d) < tiny ? tiny : d);
        c = 1 + term / c;
        c = fabs (c) < tiny ? tiny : c;
        f *= c * d;
        if (fabs (c * d - 1) < DBL_EPSILON)
            break;
    }
    return f - 1;
}

// I_x (a, b), from the side where the fraction converges fast.
static double
beta_probability (double x, double a, double b)
{
    double front;

    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    if (x > (a + 1) / (a + b + 2))
        return 1 - beta_probability (1 - x, b, a);
    front = exp (a * log (x) + b * log1p (-x) + lgamma (a + b) - lgamma (a) - lgamma (b));
    return front / a * beta_fraction (x, a, b);
}

double
dlh_beta_quantile (double p, double a, double b)
{
    double lo = 0, hi = 1, x = a / (a + b);

    if (!(p >= 0 && p <= 1) || !(a > 0) || !(b > 0))
        return NAN;
    for (guint i = 0; i < 200 && hi - lo > 2 * DBL_EPSILON * hi; i++) {
        double error = beta_probability (x, a, b) - p;
        double slope = exp ((a - 1) * log (x) + (b - 1) * log1p (-x) + lgamma (a + b) - lgamma (a) -
                            lgamma (b));
        double next = x - error / slope;

        if (error > 0)
            hi = x;
        else
            lo = x;
        if (!(next > lo && next < hi))
            next = (lo + hi) / 2;
        if (fabs (next - x) <= DBL_EPSILON * x)
            return next;
        x = next;
    }
    return x;
}
