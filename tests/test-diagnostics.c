/* SPDX-License-Identifier: MIT */
/* Convergence diagnostics: a published table on a reproducible AR(1) process, closed forms, and
 * what must be refused. */
#include "test.h"

#define N 1000
#define M 4

// y_t = phi y_(t-1) + u - 1/2 with u from Knuth's generator; shift moves whole chains apart.
static void
autoregressive (double phi, double shift, double *x)
{
    guint32 s = 12345;

    for (guint c = 0; c < M; c++) {
        double y = 0;

        for (guint t = 0; t < N; t++) {
            s = 1664525u * s + 1013904223u;
            y = phi * y + (((double)s + 0.5) / 4294967296.0 - 0.5);
            x[c * N + t] = y + shift * c;
        }
    }
}

// Values from an implementation in another language of the same formulas; 10 digits are given.
static void
diagnostics_ar1_table (void)
{
    const struct {
        double phi, shift, values[7];
    } rows[] = {
        {0.9,
         0,
         {1.006407799, 1.010974767, 1.011069513, 186.021385, 186.4391172, 378.9898639,
          .04620698163}},
        {0,
         0,
         {.9998119378, .9995748391, .9996553022, 4370.594718, 4289.915637, 3952.999266,
          .004349485616}},
        {0.9,
         0.5,
         {1.401625131, 1.358537261, 1.353669568, 9.673383661, 9.762996182, 74.8605186,
          .2647483101}},
        {-0.5,
         0,
         {.9995990677, .9991856876, 1.000441207, 14408.23997, 14408.23997, 3647.840958,
          .002816420333}},
    };
    g_autofree double *x = g_new (double, N *M);

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        double got[7];

        autoregressive (rows[i].phi, rows[i].shift, x);
        got[0] = dlh_rhat (x, N, M);
        got[1] = dlh_rhat_split (x, N, M);
        got[2] = dlh_rhat_rank (x, N, M);
        got[3] = dlh_ess_mean (x, N, M);
        got[4] = dlh_ess_bulk (x, N, M);
        got[5] = dlh_ess_tail (x, N, M);
        got[6] = dlh_mcse_mean (x, N, M);
        for (guint k = 0; k < 7; k++)
            test_assert_within (&got[k], &rows[i].values[k], 1, 1e-8 * fabs (rows[i].values[k]));
    }
    autoregressive (0.9, 0, x);
    test_assert_within (&x[0], &(double){-.4795973141}, 1, 1e-10);
    test_assert_within (&x[N * M - 1], &(double){.5199627879}, 1, 1e-10);
}

// (B / W + n - 1) / n = (5 / (55/6) + 9) / 10 for 0..9 beside 1..10.
static void
diagnostics_rhat_closed_form (void)
{
    double x[20], want = sqrt ((5.0 / (55.0 / 6) + 9) / 10), got;

    for (guint i = 0; i < 20; i++)
        x[i] = i % 10 + i / 10;
    got = dlh_rhat (x, 10, 2);
    test_assert_close (&got, &want, 1, 1);
}

static void
diagnostics_autocovariance_published (void)
{
    // Unbiased values 8.25 6.42 4.25 1.75 -1.08 -4.25; ours divide by n, not by n - lag.
    const double want[] = {82.5, 57.75, 34, 12.25, -6.5, -21.25};
    double x[10], got[10];

    for (guint i = 0; i < 10; i++)
        x[i] = i;
    dlh_autocovariance (x, 10, got);
    for (guint i = 0; i < 6; i++)
        got[i] *= 10;
    test_assert_within (got, want, 6, 1e-11);
}

static void
diagnostics_ebfmi_closed_form (void)
{
    const double energy[] = {1, 2, 4, 3, 0}; // differences 1 4 1 9; mean 2, deviations 1 0 4 1 4
    double got = dlh_ebfmi (energy, 5), want = 1.5;

    test_assert_close (&got, &want, 1, 4);
}

static void
diagnostics_unusable_is_nan (void)
{
    double x[40];

    for (guint i = 0; i < 40; i++)
        x[i] = 3;
    g_assert_true (isnan (dlh_rhat_rank (x, 10, 4)) && isnan (dlh_ess_bulk (x, 10, 4)));
    g_assert_true (isnan (dlh_mcse_mean (x, 10, 4)) && isnan (dlh_ebfmi (x, 10)));
    for (guint i = 0; i < 40; i++)
        x[i] = i * 7 % 40;
    g_assert_true (isfinite (dlh_ess_bulk (x, 10, 4)));
    x[5] = NAN;
    g_assert_true (isnan (dlh_rhat_rank (x, 10, 4)) && isnan (dlh_ess_tail (x, 10, 4)));
    x[5] = INFINITY;
    g_assert_true (isnan (dlh_ess_mean (x, 10, 4)));
    g_assert_true (isnan (dlh_rhat (x, 0, 4)) && isnan (dlh_ess_bulk (x, 3, 1)));
    g_assert_true (isnan (dlh_quantile (x, 0, 0.5)));
}

// One chain stuck in another mode: R-hat says so.
static void
diagnostics_modes_are_caught (void)
{
    g_autofree double *x = g_new (double, N *M);

    autoregressive (0, 0, x);
    for (guint i = 0; i < N; i++)
        x[i] += 5;
    g_assert_cmpfloat (dlh_rhat_rank (x, N, M), >, 1.5);
    autoregressive (0.99, 0, x);
    g_assert_cmpfloat (dlh_ess_bulk (x, N, M), <, 400);
}

static void
quantile_normal_inverts (void)
{
    // P (N <= 1.959963984540054) = 0.975, and one sigma.
    const double p[] = {0.975, 0.5, 0.8413447460685429, 0.025, 1e-10};
    const double want[] = {1.959963984540054, 0, 1, -1.959963984540054, -6.361340902404056};

    for (guint i = 0; i < G_N_ELEMENTS (p); i++) {
        double got = dlh_normal_quantile (p[i]);

        test_assert_within (&got, &want[i], 1, 1e-13 * MAX (1, fabs (want[i])));
    }
}

// I_x (a, 1) = x^a; I_x (1, b) = 1 - (1 - x)^b; I_x (2, 2) = x^2 (3 - 2 x).
static void
quantile_beta_inverts (void)
{
    const double ps[] = {1e-6, 0.16, 0.5, 0.84, 0.999};

    for (guint i = 0; i < G_N_ELEMENTS (ps); i++) {
        double p = ps[i], x = dlh_beta_quantile (p, 7, 1), want = pow (p, 1.0 / 7);

        test_assert_within (&x, &want, 1, 1e-13);
        x = dlh_beta_quantile (p, 1, 300);
        want = -expm1 (log1p (-p) / 300);
        test_assert_within (&x, &want, 1, 1e-13);
        x = dlh_beta_quantile (p, 2, 2);
        want = x * x * (3 - 2 * x);
        test_assert_within (&p, &want, 1, 1e-13);
    }
}

// For independent draws the standard error of the median is sd sqrt (pi / (2 S)), to a third here:
// the estimate comes from the gap of two order statistics.
static void
quantile_mcse_of_the_median (void)
{
    g_autofree double *x = g_new (double, N *M);
    double got, want = sqrt (G_PI / 2 / (N * M));

    test_random (5, x, N * M);
    got = dlh_mcse_quantile (x, N, M, 0.5);
    test_assert_within (&got, &want, 1, want / 3);
}

static void
windows_as_published (void)
{
    const struct {
        gint64 n, ends[8];
    } rows[] = {{1000, {75, 100, 150, 250, 450, 950, 1000}},
                {500, {75, 100, 150, 250, 450, 500}},
                {100, {15, 90, 100}},
                {150, {75, 100, 150}},
                {19, {19}},
                {20, {3, 18, 20}},
                {1, {1}},
                {0, {0}}};
    gint64 ends[64];

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        guint n = dlh_warmup_windows (rows[i].n, ends), want = 0;

        while (want < 8 && rows[i].ends[want])
            want++;
        g_assert_cmpuint (n, ==, want);
        for (guint k = 0; k < MIN (n, want); k++)
            g_assert_cmpint (ends[k], ==, rows[i].ends[k]);
    }
    // No length of a warm-up leaves the array or misses its end.
    for (gint64 n = 1; n < 3000; n++) {
        guint k = dlh_warmup_windows (n, ends);

        g_assert_true (k >= 1 && k <= 64 && ends[k - 1] == n);
        for (guint i = 1; i < k; i++)
            g_assert_cmpint (ends[i], >, ends[i - 1]);
    }
    g_assert_cmpuint (dlh_warmup_windows (G_MAXINT64 / 8, ends), <=, 64);
}

// Of chains that hardly move, what users are told must speak against them: fewer than 100 effective
// draws a chain. Of chains that move it must not.
static void
slow_chains_are_caught (void)
{
    g_autofree double *x = g_new (double, N *M);

    autoregressive (0.99, 0, x);
    g_assert_cmpfloat (dlh_ess_bulk (x, N, M), <, 100 * M);
    g_assert_cmpfloat (dlh_rhat_rank (x, N, M), >, 1.01);
    autoregressive (0, 0, x);
    g_assert_cmpfloat (dlh_ess_bulk (x, N, M), >, 100 * M);
    g_assert_cmpfloat (dlh_rhat_rank (x, N, M), <, 1.01);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/diagnostics/ar1/published-table", diagnostics_ar1_table);
    g_test_add_func ("/diagnostics/rhat/closed-form", diagnostics_rhat_closed_form);
    g_test_add_func ("/diagnostics/autocovariance/published", diagnostics_autocovariance_published);
    g_test_add_func ("/diagnostics/ebfmi/closed-form", diagnostics_ebfmi_closed_form);
    g_test_add_func ("/diagnostics/unusable/is-nan", diagnostics_unusable_is_nan);
    g_test_add_func ("/diagnostics/modes/are-caught", diagnostics_modes_are_caught);
    g_test_add_func ("/diagnostics/slow-chains/are-caught", slow_chains_are_caught);
    g_test_add_func ("/quantile/normal/inverts", quantile_normal_inverts);
    g_test_add_func ("/quantile/beta/inverts", quantile_beta_inverts);
    g_test_add_func ("/quantile/mcse/of-the-median", quantile_mcse_of_the_median);
    g_test_add_func ("/windows/warm-up/as-published", windows_as_published);
    return g_test_run ();
}
