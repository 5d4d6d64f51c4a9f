/* SPDX-License-Identifier: MIT */
/* R-hat, effective sample sizes and standard errors. Letters: S draws in all, N a (half) chain, m
 * (half) chains; W within, B between; rho autocorrelation; tau integrated autocorrelation time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <dlhost/diagnostics.h>

/* Autocovariance by the fast Fourier transform. */

// In place, n a power of two; re and im interleaved.
static void
fourier (double *a, gsize n)
{
    for (gsize i = 1, j = 0; i < n; i++) {
        gsize bit = n >> 1;

        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        for (guint k = 0; i < j && k < 2; k++) {
            double swap = a[2 * i + k];

            a[2 * i + k] = a[2 * j + k];
            a[2 * j + k] = swap;
        }
    }
    for (gsize length = 2; length <= n; length *= 2)
        for (gsize k = 0; k < length / 2; k++) {
            double angle = -2 * G_PI * (double)k / (double)length, c = cos (angle), s = sin (angle);

            for (gsize i = k; i < n; i += length) {
                double *u = a + 2 * i, *v = a + 2 * (i + length / 2);
                double re = v[0] * c - v[1] * s, im = v[0] * s + v[1] * c;

                v[0] = u[0] - re, v[1] = u[1] - im;
                u[0] += re, u[1] += im;
            }
        }
}

static double
mean_of (const double *x, gsize n)
{
    double sum = 0;

    for (gsize i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

// Sample variance, two passes.
static double
variance_of (const double *x, gsize n)
{
    double mean = mean_of (x, n), sum = 0;

    for (gsize i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum / (double)(n - 1);
}

void
dlh_autocovariance (const double *x, gsize n, double *out)
{
    double mean = mean_of (x, n);
    g_autofree double *a = NULL;
    gsize size = 1;

    // Zeros behind keep the ends from meeting.
    while (size < 2 * n)
        size *= 2;
    a = g_new0 (double, 2 * size);
    for (gsize i = 0; i < n; i++)
        a[2 * i] = x[i] - mean;
    fourier (a, size);
    for (gsize i = 0; i < size; i++) {
        a[2 * i] = a[2 * i] * a[2 * i] + a[2 * i + 1] * a[2 * i + 1];
        a[2 * i + 1] = 0;
    }
    fourier (a, size); // its own inverse for a real even sequence, times size
    for (gsize i = 0; i < n; i++)
        out[i] = a[2 * i] / (double)size / (double)n;
}

/* Forms of the draws. */

static gboolean
is_usable (const double *x, gsize n, gsize m)
{
    gboolean constant = TRUE;

    if (n < 4 || m < 1)
        return FALSE;
    for (gsize i = 0; i < n * m; i++) {
        if (!isfinite (x[i]))
            return FALSE;
        constant = constant && x[i] == x[0];
    }
    return !constant;
}

// 2 m chains of n / 2 draws; the middle one of an odd number is left out.
static double *
split (const double *x, gsize n, gsize m)
{
    gsize half = n / 2;
    double *out = g_new (double, 2 * m * half);

    for (gsize c = 0; c < m; c++) {
        memcpy (out + 2 * c * half, x + c * n, half * sizeof *x);
        memcpy (out + (2 * c + 1) * half, x + (c + 1) * n - half, half * sizeof *x);
    }
    return out;
}

static int
compare (const void *a, const void *b)
{
    double x = **(const double *const *)a, y = **(const double *const *)b;

    return (x > y) - (x < y);
}

// Pointers to the numbers in ascending order.
static const double **
sorted (const double *x, gsize S)
{
    const double **order = g_new (const double *, S);

    for (gsize i = 0; i < S; i++)
        order[i] = x + i;
    qsort (order, S, sizeof *order, compare);
    return order;
}

// Normal scores of average ranks, in place.
static void
rank_normalize (double *x, gsize S)
{
    g_autofree const double **order = sorted (x, S);
    g_autofree double *z = g_new (double, S);

    for (gsize i = 0, j; i < S; i = j) {
        double rank;

        for (j = i + 1; j < S && *order[j] == *order[i]; j++)
            ;
        rank = 0.5 * (double)(i + 1 + j); // ranks i + 1 .. j
        for (gsize k = i; k < j; k++)
            z[order[k] - x] = dlh_normal_quantile ((rank - 0.375) / ((double)S + 0.25));
    }
    memcpy (x, z, S * sizeof *x);
}

double
dlh_quantile (const double *x, gsize n, double p)
{
    g_autofree const double **order = NULL;
    double at, fraction;
    gsize i;

    if (n == 0 || !(p >= 0 && p <= 1))
        return NAN;
    order = sorted (x, n);
    at = (double)(n - 1) * p;
    i = (gsize)at;
    fraction = at - (double)i;
    return i + 1 < n ? *order[i] + fraction * (*order[i + 1] - *order[i]) : *order[n - 1];
}

/* R-hat. */

double
dlh_rhat (const double *x, gsize n, gsize m)
{
    g_autofree double *means = NULL;
    double W = 0, N = (double)n;

    if (!is_usable (x, n, m) || m < 2)
        return NAN;
    means = g_new (double, m);
    for (gsize c = 0; c < m; c++) {
        means[c] = mean_of (x + c * n, n);
        W += variance_of (x + c * n, n) / (double)m;
    }
    return sqrt ((N * variance_of (means, m) / W + N - 1) / N);
}

double
dlh_rhat_split (const double *x, gsize n, gsize m)
{
    g_autofree double *halves = split (x, n, m);

    return is_usable (x, n, m) ? dlh_rhat (halves, n / 2, 2 * m) : NAN;
}

double
dlh_rhat_rank (const double *x, gsize n, gsize m)
{
    g_autofree double *z = NULL;
    g_autofree double *folded = NULL;
    gsize S = n / 2 * 2 * m;
    double bulk, median;

    if (!is_usable (x, n, m))
        return NAN;
    z = split (x, n, m);
    folded = g_memdup2 (z, S * sizeof *z);
    rank_normalize (z, S);
    bulk = dlh_rhat (z, n / 2, 2 * m);
    median = dlh_quantile (folded, S, 0.5);
    for (gsize i = 0; i < S; i++)
        folded[i] = fabs (folded[i] - median);
    rank_normalize (folded, S);
    return fmax (bulk, dlh_rhat (folded, n / 2, 2 * m));
}

/* Effective sample size. */

// Of m chains as they are, by Geyer's initial monotone sequence.
static double
ess (const double *x, gsize n, gsize m)
{
    g_autofree double *mean_acov = NULL;
    g_autofree double *acov = NULL;
    g_autofree double *means = NULL;
    g_autofree double *rho = NULL;
    double W, vplus, even = 1, odd, tau = -1, S = (double)(n * m);
    gsize t = 0;

    if (!is_usable (x, n, m))
        return NAN;
    mean_acov = g_new0 (double, n);
    acov = g_new (double, n);
    means = g_new (double, m);
    rho = g_new0 (double, n + 2);
    for (gsize c = 0; c < m; c++) {
        dlh_autocovariance (x + c * n, n, acov);
        for (gsize k = 0; k < n; k++)
            mean_acov[k] += acov[k] / (double)m;
        means[c] = mean_of (x + c * n, n);
    }
    W = mean_acov[0] * (double)n / (double)(n - 1);
    vplus = mean_acov[0] + (m > 1 ? variance_of (means, m) : 0);
    rho[0] = 1;
    rho[1] = odd = 1 - (W - mean_acov[1]) / vplus;
    while (t + 5 < n && even + odd > 0) {
        t += 2;
        even = 1 - (W - mean_acov[t]) / vplus;
        odd = 1 - (W - mean_acov[t + 1]) / vplus;
        if (even + odd >= 0)
            rho[t] = even, rho[t + 1] = odd;
    }
    if (even > 0)
        rho[t] = even;
    for (gsize k = 2; k + 2 <= t; k += 2)
        if (rho[k] + rho[k + 1] > rho[k - 2] + rho[k - 1])
            rho[k] = rho[k + 1] = (rho[k - 2] + rho[k - 1]) / 2;
    for (gsize k = 0; k < t; k++)
        tau += 2 * rho[k];
    tau += rho[t];
    return S / fmax (tau, 1 / log10 (S));
}

double
dlh_ess_mean (const double *x, gsize n, gsize m)
{
    g_autofree double *halves = split (x, n, m);

    return is_usable (x, n, m) ? ess (halves, n / 2, 2 * m) : NAN;
}

double
dlh_ess_bulk (const double *x, gsize n, gsize m)
{
    g_autofree double *z = NULL;

    if (!is_usable (x, n, m))
        return NAN;
    z = split (x, n, m);
    rank_normalize (z, n / 2 * 2 * m);
    return ess (z, n / 2, 2 * m);
}

// Of the indicator of the lower @p share.
static double
ess_quantile (const double *x, gsize n, gsize m, double p)
{
    g_autofree double *below = NULL;
    double q;

    if (!is_usable (x, n, m))
        return NAN;
    q = dlh_quantile (x, n * m, p);
    below = split (x, n, m);
    for (gsize i = 0; i < n / 2 * 2 * m; i++)
        below[i] = below[i] <= q;
    return ess (below, n / 2, 2 * m);
}

double
dlh_ess_tail (const double *x, gsize n, gsize m)
{
    double low = ess_quantile (x, n, m, 0.05), high = ess_quantile (x, n, m, 0.95);

    return isnan (low) || isnan (high) ? NAN : fmin (low, high);
}

double
dlh_mcse_mean (const double *x, gsize n, gsize m)
{
    return is_usable (x, n, m) ? sqrt (variance_of (x, n * m) / dlh_ess_mean (x, n, m)) : NAN;
}

double
dlh_mcse_quantile (const double *x, gsize n, gsize m, double p)
{
    const double one_sigma[] = {0.15865525393145707, 0.8413447460685429};
    g_autofree const double **order = NULL;
    double S = (double)(n * m), e, low, high;

    if (!is_usable (x, n, m) || !(p > 0 && p < 1))
        return NAN;
    e = ess_quantile (x, n, m, p);
    if (isnan (e))
        return NAN;
    low = dlh_beta_quantile (one_sigma[0], e * p + 1, e * (1 - p) + 1);
    high = dlh_beta_quantile (one_sigma[1], e * p + 1, e * (1 - p) + 1);
    order = sorted (x, n * m);
    return (*order[(gsize)fmin (ceil (high * S), S) - 1] -
            *order[(gsize)fmax (floor (low * S), 1) - 1]) /
           2;
}

double
dlh_ebfmi (const double *energy, gsize n)
{
    double sum = 0;

    if (!is_usable (energy, n, 1))
        return NAN;
    for (gsize i = 1; i < n; i++)
        sum += (energy[i] - energy[i - 1]) * (energy[i] - energy[i - 1]);
    return sum / (variance_of (energy, n) * (double)(n - 1));
}

void
dlh_summarize (const double *x, gsize n, gsize m, DlhSummary *summary)
{
    DlhSummary s = {.size = summary->size};
    gsize S = n * m;

    s.mean = S ? mean_of (x, S) : NAN;
    s.sd = S > 1 ? sqrt (variance_of (x, S)) : NAN;
    s.q05 = dlh_quantile (x, S, 0.05);
    s.median = dlh_quantile (x, S, 0.5);
    s.q95 = dlh_quantile (x, S, 0.95);
    s.rhat = dlh_rhat_rank (x, n, m);
    s.ess_bulk = dlh_ess_bulk (x, n, m);
    s.ess_tail = dlh_ess_tail (x, n, m);
    s.mcse_mean = dlh_mcse_mean (x, n, m);
    memcpy (summary, &s, MIN (summary->size, sizeof s));
}
