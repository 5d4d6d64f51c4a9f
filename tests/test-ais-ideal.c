/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling whose transitions are ideal: before each of them the chains are set
 * to independent draws of the density that they come from, of the linear Gaussian model of the
 * paper's sheet. Then the mean of the weights is known in both directions. */
#include "latent-bench.h"

enum { T = 10, C = 20000 };

static double
temperature (gint64 row)
{
    const double low = 1 / (1 + exp (4)), t = -4 + 8.0 * (double)row / (T - 1);

    return (1 / (1 + exp (-t)) - low) / (1 - 2 * low);
}

// Lower triangle L with L L' = @V.
static void
root_of (double (*V)[MOST], gint64 n, double (*L)[MOST])
{
    for (gint64 i = 0; i < n; i++)
        for (gint64 j = 0; j <= i; j++) {
            double sum = V[i][j];

            for (gint64 k = 0; k < j; k++)
                sum -= L[i][k] * L[j][k];
            L[i][j] = i == j ? sqrt (sum) : sum / L[j][j];
        }
}

// C draws of N (0, I) N (x; W z + b, variance)^temperature.
static void
exact_draws (const Linear *m, const double *x, double at, guint64 seed, double *z)
{
    double A[MOST][MOST], V[MOST][MOST], L[MOST][MOST], mean[MOST] = {0};
    g_autofree double *noise = g_new (double, C * m->d);

    for (gint64 j = 0; j < m->d; j++)
        for (gint64 k = 0; k < m->d; k++) {
            A[j][k] = j == k;
            for (gint64 i = 0; i < m->D; i++)
                A[j][k] += at * m->W[i][j] * m->W[i][k] / m->variance;
        }
    invert (A, m->d, V);
    root_of (V, m->d, L);
    for (gint64 j = 0; j < m->d; j++)
        for (gint64 k = 0; k < m->d; k++)
            for (gint64 i = 0; i < m->D; i++)
                mean[j] += V[j][k] * at * m->W[i][k] * (x[i] - m->b[i]) / m->variance;
    test_random (seed, noise, (gsize)(C * m->d));
    for (gint64 c = 0; c < C; c++)
        for (gint64 j = 0; j < m->d; j++) {
            z[c * m->d + j] = mean[j];
            for (gint64 k = 0; k <= j; k++)
                z[c * m->d + j] += L[j][k] * noise[c * m->d + k];
        }
}

// Chains stand at @z, with what the sampler keeps of a position.
static void
put (Bench *b, const Linear *m, const double *x, const double *z)
{
    for (gint64 c = 0; c < C; c++) {
        double start = -0.5 * (double)m->d * log (2 * G_PI);

        for (gint64 j = 0; j < m->d; j++) {
            dlh_tensor_set (variable (b, "chains/z"), c * m->d + j, z[c * m->d + j]);
            start -= z[c * m->d + j] * z[c * m->d + j] / 2;
        }
        dlh_tensor_set (variable (b, "ais/log_start"), c, start);
        dlh_tensor_set (variable (b, "ais/log_density"), c,
                        start + log_likelihood (m, x, z + c * m->d));
    }
}

// Mean of the weights less (@back: the negative of it less) log p (x), and its standard error.
static double
deviation (gboolean back, double *error)
{
    static const char *const ais[] = {"temperatures", "10", "steps", "1", NULL};
    const Linear m = linear (20, 5, 0.1);
    g_autofree double *z = g_new (double, C * 5);
    g_auto (Bench) b = {0};
    double x[20], mean;

    sheet_point (x, 20);
    bench_init (&b, &m, 1, C, FALSE, ais, 0);
    set_examples (&b, x, 0);
    dlh_tensor_set (variable (&b, "ais/reverse"), 0, back);
    for (gint64 k = 0; k < T - 1; k++) {
        const gint64 from = back ? T - 1 - k : k, to = back ? from - 1 : from + 1;

        exact_draws (&m, x, temperature (from), (guint64)k + 40, z);
        put (&b, &m, x, z);
        transitions (&b, 1);
        near (column (&b, "temperature")[0], temperature (to), 1e-12);
    }
    mean_and_error (column (&b, "log_weight"), C, &mean, error);
    return (back ? -mean : mean) - evidence (&m, x);
}

/* The sheet's deviations for 10 temperatures: 5 standard errors, a false alarm in a million. */
static void
weights_as_derived (void)
{
    static const double want[] = {-5.005794, 2.839870};

    for (guint back = 0; back < 2; back++) {
        double error, got = deviation (back, &error);

        g_test_message ("%g +- %g, must be %g", got, error, want[back]);
        near (got, want[back], 5 * error);
        g_assert_cmpfloat (error, <, 0.05);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/ais-ideal/weights/as-derived", weights_as_derived);
    return g_test_run ();
}
