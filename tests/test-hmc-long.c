/* SPDX-License-Identifier: MIT */
/* Long runs of Hamiltonian Monte Carlo on densities of which means, variances and quantiles are
 * known: a correlated normal, a banana, a mixture, Neal's funnel in its non-centred form. Each
 * estimate within 4.5 of its own standard errors, of more than 400 effective draws. */
#include "trainer-bench.h"

enum { C = 16, N = 1500, WARMUP = 300, S = N * C };

#define BEND 0.5
#define RADIUS 2.0
#define COMPONENTS 5

/* Distribution functions of one coordinate. */

static double
normal (double x)
{
    return 0.5 * erfc (-x / sqrt (2));
}

typedef double (*Given) (double a, double x);

// E P (coordinate <= x | a) over a ~ N (0, 1), by the trapezoid rule on 4001 points.
static double
over_normal (Given given, double x)
{
    const double h = 0.005;
    double sum = 0;

    for (double a = -10; a <= 10; a += h)
        sum += h * exp (-0.5 * a * a) / sqrt (2 * G_PI) * given (a, x);
    return sum;
}

static double
banana_given (double a, double x)
{
    return normal (x - BEND * (a * a - 1));
}

static double
banana (double x)
{
    return over_normal (banana_given, x);
}

// v = 3 a, x | v ~ N (0, exp v)
static double
funnel_given (double a, double x)
{
    return normal (x * exp (-1.5 * a));
}

static double
funnel (double x)
{
    return over_normal (funnel_given, x);
}

static double
third (double x)
{
    return normal (x / 3);
}

static double
mixture0 (double x)
{
    double sum = 0;

    for (guint k = 0; k < COMPONENTS; k++)
        sum += normal (x - RADIUS * cos (2 * G_PI * k / COMPONENTS)) / COMPONENTS;
    return sum;
}

static double
mixture1 (double x)
{
    double sum = 0;

    for (guint k = 0; k < COMPONENTS; k++)
        sum += normal (x - RADIUS * sin (2 * G_PI * k / COMPONENTS)) / COMPONENTS;
    return sum;
}

static double
quantile (double (*cdf) (double), double p)
{
    double low = -1000, high = 1000;

    for (guint i = 0; i < 60; i++) {
        double middle = (low + high) / 2;

        *(cdf (middle) < p ? &low : &high) = middle;
    }
    return low;
}

/* What is known of a coordinate. */
typedef struct {
    double (*cdf) (double);
    double mean, variance;
} Known;

static double
far (double got, double want, double error)
{
    return fabs (got - want) / error;
}

// The largest |z| of mean, variance and three quantiles of the draws @x.
static double
worst_of (const double *x, const Known *known)
{
    g_autofree double *squares = g_new (double, S);
    DlhSummary d = {.size = sizeof d};
    double worst;

    dlh_summarize (x, N, C, &d);
    g_assert_cmpfloat (d.ess_bulk, >, 400);
    g_assert_cmpfloat (d.rhat, <, 1.02);
    for (guint i = 0; i < S; i++)
        squares[i] = (x[i] - known->mean) * (x[i] - known->mean);
    worst = far (d.mean, known->mean, d.mcse_mean);
    dlh_summarize (squares, N, C, &d);
    worst = fmax (worst, far (d.mean, known->variance, d.mcse_mean));
    for (guint k = 0; k < 3 && known->cdf; k++) {
        const double p = (double[]){0.05, 0.5, 0.95}[k];

        worst = fmax (worst, far (dlh_quantile (x, S, p), quantile (known->cdf, p),
                                  dlh_mcse_quantile (x, N, C, p)));
    }
    return worst;
}

// As it is; and draws that are 6 % too wide must be seen.
static void
expect (const char *what, double *x, const Known *known)
{
    double right = worst_of (x, known), wrong;

    for (guint i = 0; i < S; i++)
        x[i] = known->mean + 1.06 * (x[i] - known->mean);
    wrong = worst_of (x, known);
    g_test_message ("%s: %.2f standard errors; too wide: %.2f", what, right, wrong);
    if (!(right < 4.5) || !(wrong > 4.5))
        test_fail ("%s: %g standard errors from the truth, %g if too wide", what, right, wrong);
}

// (transfer full): S draws of one coordinate after another.
static double *
draws_of (const char *density, gint64 *width)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhComponent) model = load_plugin_line (registry, DLH_MODEL, density);
    g_autoptr (DlhComponent) hmc = load_plugin_line (registry, DLH_SAMPLER, "hmc target=0.9");
    g_autoptr (DlhStore) store = dlh_store_new (21, DLH_F64);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTarget) target = dlh_target_new_density (store, model, C, &error);
    g_autoptr (DlhChains) chains = dlh_chains_new (target, hmc, WARMUP, &error);
    g_autoptr (DlhDraws) draws = dlh_draws_new (chains, N, &error);
    double *x;

    g_assert_no_error (error);
    while (dlh_draws_count (draws) < N)
        if (!dlh_chains_transition (chains, &error) ||
            (dlh_chains_done (chains) > WARMUP && !dlh_draws_append (draws, &error)))
            break;
    g_assert_no_error (error);
    *width = dlh_draws_width (draws, 0);
    x = g_new (double, *width *S);
    for (gint64 k = 0; k < *width; k++)
        dlh_draws_column (draws, 0, k, x + k * S);
    return x;
}

static void
expect_columns (const char *density, const Known *known)
{
    gint64 width;
    g_autofree double *x = draws_of (density, &width);

    for (gint64 k = 0; k < width; k++) {
        g_autofree char *what = g_strdup_printf ("%s, x[%d]", density, (int)k);

        expect (what, x + k * S, &known[k]);
    }
}

static void
correlated (void)
{
    const Known known[] = {{normal, 0, 1}, {normal, 0, 1}};

    expect_columns ("density kind=normal2 correlation=0.9", known);
}

static void
bent (void)
{
    const Known known[] = {{normal, 0, 1}, {banana, 0, 1 + 2 * BEND * BEND}};

    expect_columns ("density kind=banana bend=0.5", known);
}

static void
mixed (void)
{
    const double variance = 1 + RADIUS * RADIUS / 2;
    const Known known[] = {{mixture0, 0, variance}, {mixture1, 0, variance}};

    expect_columns ("density kind=mixture dims=2 radius=2", known);
}

/* Non-centred: ten unit normals a, and of them v = 3 a_0, x_i = exp (v / 2) a_i. A variance that is
 * estimated of x_i has no standard error to speak of (x^4 has the mean 3 exp 18), so that log |x_i|
 * is looked at beside its quantiles: mean -(Euler's gamma + log 2) / 2, variance 9 / 4 + pi^2 / 8.
 */
static void
funnelled (void)
{
    const Known neck = {third, 0, 9}, width = {funnel, 0, 0},
                size = {NULL, -0.635181422730739, 2.25 + G_PI * G_PI / 8};
    gint64 n;
    g_autofree double *v = draws_of ("density kind=gaussian dims=10 condition=1", &n);

    g_assert_cmpint (n, ==, 10);
    for (guint i = 0; i < S; i++)
        v[i] *= 3;
    for (gint64 k = 1; k < n; k++) {
        g_autofree char *what = g_strdup_printf ("funnel, log |x[%d]|", (int)k);
        double *x = v + k * S;

        for (guint i = 0; i < S; i++)
            x[i] *= exp (v[i] / 2);
        for (guint q = 0; q < 3; q++) {
            const double p = (double[]){0.05, 0.5, 0.95}[q];

            g_assert_cmpfloat (far (dlh_quantile (x, S, p), quantile (width.cdf, p),
                                    dlh_mcse_quantile (x, N, C, p)),
                               <, 4.5);
        }
        for (guint i = 0; i < S; i++)
            x[i] = log (fabs (x[i]));
        expect (what, x, &size);
    }
    expect ("funnel, v", v, &neck);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/hmc-long/correlated/moments-and-quantiles", correlated);
    g_test_add_func ("/hmc-long/banana/moments-and-quantiles", bent);
    g_test_add_func ("/hmc-long/mixture/moments-and-quantiles", mixed);
    g_test_add_func ("/hmc-long/funnel/moments-and-quantiles", funnelled);
    return g_test_run ();
}
