/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling against what is known: log p(x) of the linear Gaussian model of the
 * paper's sheet, x = W z + b + noise, and of a nonlinear one by quadrature. */
#include "latent-bench.h"

// Bounds of @n simulated examples less the truth: means and standard errors over examples.
static void
deviations (gint64 n, gint64 n_chains, const char *const *ais, double *low, double *se_low,
            double *high, double *se_high)
{
    const Linear m = linear (20, 5, 0.1);
    g_autofree double *z = g_new (double, n * 5);
    g_autofree double *x = g_new (double, n * 20);
    g_autofree double *lower = g_new (double, n);
    g_autofree double *upper = g_new (double, n);
    g_auto (Bench) b = {0};

    simulate (&m, n, z, x);
    bench_init (&b, &m, n, n_chains, FALSE, ais, 1);
    set_examples (&b, x, 0);
    transitions (&b, 2 * b.path);
    estimates (&b, lower);
    go_back (&b, z, 5);
    estimates (&b, upper);
    for (gint64 e = 0; e < n; e++) {
        double truth = evidence (&m, x + e * 20);

        lower[e] -= truth;
        upper[e] = -upper[e] - truth;
    }
    mean_and_error (lower, n, low, se_low);
    mean_and_error (upper, n, high, se_high);
    g_test_message ("lower %g +- %g, upper %g +- %g", *low, *se_low, *high, *se_high);
}

/* 20 simulated examples by 8 chains: lower bound below the truth and upper above it, 5 standard
 * errors over examples allowed: false alarms 3e-7 each. Ideal transitions leave a gap of 0.3, real
 * ones at 100 temperatures 1.5 in the sheet. */
static void
bracketing (void)
{
    static const char *const ais[] = {"temperatures", "100", NULL};
    double low, high, se_low, se_high;

    deviations (20, 8, ais, &low, &se_low, &high, &se_high);
    g_assert_cmpfloat (low, <=, 5 * se_low);
    g_assert_cmpfloat (high, >=, -5 * se_high);
    g_assert_cmpfloat (high - low, <, 2);
    g_assert_cmpfloat (high - low, >, 0);
}

/* The sheet's: at 1000 temperatures, all else by default, bounds of 50 examples by 16 chains are
 * within 0.1 nat of the truth and of each other. Standard errors are 0.03. */
static void
default_meets_truth (void)
{
    static const char *const ais[] = {"temperatures", "1000", NULL};
    double low, high, se_low, se_high;

    deviations (50, 16, ais, &low, &se_low, &high, &se_high);
    g_assert_cmpfloat (fabs (low), <, 0.1);
    g_assert_cmpfloat (fabs (high), <, 0.1);
    g_assert_cmpfloat (high - low, <, 0.1);
    g_assert_cmpfloat (se_low, <, 0.05);
    g_assert_cmpfloat (se_high, <, 0.05);
}

/* Mean of exp (w - log p (x)) over 20 000 chains with a frozen table: 1 within 5 standard errors.
 * Both ways: back from exact draws of the posterior, of exp (log p (x) + w). */
static void
check_unbiased (const char *const *ais)
{
    const gint64 n = 20000;
    const Linear m = linear (3, 1, 1);
    g_auto (Bench) b = {0};
    g_autofree double *ratio = g_new (double, n);
    g_autofree double *noise = g_new (double, n);
    double x[3] = {1, -0.5, 0.8}, truth = evidence (&m, x), mean, error, precision = 1, centre = 0;

    bench_init (&b, &m, 1, n, FALSE, ais, 1);
    set_examples (&b, x, 0);
    transitions (&b, 2 * b.path);
    for (gint64 c = 0; c < n; c++)
        ratio[c] = exp (column (&b, "log_weight")[c] - truth);
    mean_and_error (ratio, n, &mean, &error);
    g_test_message ("forward %g +- %g", mean, error);
    near (mean, 1, 5 * error);
    g_assert_cmpfloat (error, <, 0.02);
    for (guint i = 0; i < 3; i++) {
        precision += m.W[i][0] * m.W[i][0];
        centre += m.W[i][0] * (x[i] - m.b[i]);
    }
    test_random (13, noise, (gsize)n);
    for (gint64 c = 0; c < n; c++)
        dlh_tensor_set (variable (&b, "chains/z"), c,
                        centre / precision + noise[c] / sqrt (precision));
    dlh_tensor_set (variable (&b, "ais/reverse"), 0, 1);
    dlh_tensor_set (variable (&b, "chains/step"), 0, (double)b.path);
    transitions (&b, b.path);
    for (gint64 c = 0; c < n; c++)
        ratio[c] = exp (column (&b, "log_weight")[c] + truth);
    mean_and_error (ratio, n, &mean, &error);
    g_test_message ("reverse %g +- %g", mean, error);
    near (mean, 1, 5 * error);
    g_assert_cmpfloat (error, <, 0.02);
}

static void
unbiased (void)
{
    static const char *const ais[] = {"temperatures", "20", "steps", "4", NULL};

    check_unbiased (ais);
}

static void
unbiased_adaptive (void)
{
    static const char *const ais[] = {"temperatures", "12",       "steps", "3",
                                      "schedule",     "adaptive", NULL};

    check_unbiased (ais);
}

// One leapfrog step for each temperature, momenta that last; a third of the proposals is rejected.
static void
unbiased_kept (void)
{
    static const char *const ais[] = {"temperatures", "40",        "steps", "1",        "momentum",
                                      "kept",         "step_size", "1.6",   "max_step", "1.6",
                                      "min_step",     "1.5",       NULL};

    check_unbiased (ais);
}

/* The sheet's nonlinear decoder g (z) = (tanh 2z, tanh (1.5 z - 1), sin 2z). */

typedef struct {
    char none;
} NoOptions;

static DlhDistribution *
bent_prior (DlhBuild *build, const DlhProblem *problem, gconstpointer options, gint64 n)
{
    DlhNode *zero = dlh_full (build->graph, DLH_F64, dlh_shape (n, 1), 0);

    (void)problem, (void)options;
    return dlh_gaussian (zero, zero, 1);
}

static DlhDistribution *
bent_decode (DlhBuild *build, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    DlhNode *g[] = {dlh_tanh (dlh_scale (z, 2)), dlh_tanh (dlh_offset (dlh_scale (z, 1.5), -1)),
                    dlh_sin (dlh_scale (z, 2))};

    (void)problem, (void)options;
    return dlh_gaussian (dlh_concat (g, 3, 1), dlh_scalar (build->graph, DLH_F64, 0.5 * log (0.01)),
                         1);
}

static const DlhLatent bent_latent = {
    .size = sizeof (DlhLatent), .prior = bent_prior, .decode = bent_decode};
static const DlhModel bent = {.size = sizeof (DlhModel), .latent = &bent_latent};
static const DlhManifest bent_manifest = {.size = sizeof (DlhManifest),
                                          .option_size = sizeof (DlhOption),
                                          .abi_major = DLH_ABI_MAJOR,
                                          .abi_minor = DLH_ABI_MINOR,
                                          .kind = DLH_MODEL,
                                          .options_bytes = sizeof (NoOptions),
                                          .name = "bent",
                                          .version = "1.0",
                                          .licence = "MIT",
                                          .summary = "Nonlinear"};
static const DlhPlugin bent_plugin = {sizeof (DlhPlugin), &bent_manifest, &bent};

// By quadrature of the sheet: log p (x) = 0.994049; 1000 chains, one of which may sit in a side
// mode.
static void
nonlinear (void)
{
    static const char *const ais[] = {"temperatures", "1000", "steps", "5", NULL};
    const double x[3] = {.7, -.3, .8};
    g_auto (Bench) b = {.registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"))};
    g_autoptr (GError) error = NULL;
    double got;

    bench_init_model (&b, dlh_component_new_static (&bent_plugin, NULL, &error), 3, 1, 1000, FALSE,
                      "ais", ais, 1);
    g_assert_no_error (error);
    set_examples (&b, x, 0);
    transitions (&b, 2 * b.path);
    estimates (&b, &got);
    g_test_message ("%g", got);
    near (got, .994049230077, 0.05);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/ais/bounds/bracket-truth", bracketing);
    g_test_add_func ("/ais/bounds/default-meets-truth", default_meets_truth);
    g_test_add_func ("/ais/weights/unbiased", unbiased);
    g_test_add_func ("/ais/weights/unbiased-adaptive", unbiased_adaptive);
    g_test_add_func ("/ais/weights/unbiased-kept-momenta", unbiased_kept);
    g_test_add_func ("/ais/nonlinear/quadrature", nonlinear);
    return g_test_run ();
}
