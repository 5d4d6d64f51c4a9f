/* SPDX-License-Identifier: MIT */
/* Langevin dynamics: the stationary law that its step size implies, the size of its noise, and
 * posteriors from batches. */
#include "trainer-bench.h"

static DlhComponent *
load (DlhPluginKind kind, const char *name, const char *const *settings)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));

    return load_plugin (registry, kind, name, settings);
}

/* N(0, 1), its gradient with noise of variance *user_data. */
static DlhNode *
noisy_normal (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    double variance = *(const double *)user_data;
    DlhNode *x = dlh_index (q[0], 1, 0);
    DlhNode *noise = dlh_normal (b->graph, dlh_store_stream (b->store, "test/noise"), DLH_F64,
                                 dlh_node_shape (x));

    return dlh_add (dlh_scale (dlh_square (x), -0.5),
                    dlh_mul (x, dlh_scale (noise, sqrt (variance))));
}

static DlhNode *
flat (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    (void)b, (void)user_data;
    return dlh_scale (dlh_sum_axis (q[0], 1), 0);
}

/* q' = (1 - eps / 2) q + noise of variance eps + eps^2 V / 4: an AR(1) process. */
static void
variance_as_derived (void)
{
    const struct {
        const char *eps;
        double V, want;
    } rows[] = {{"0.1", 0, 1.0256410}, {"0.1", 5, 1.1538462}, {"0.5", 0, 1.1428571}};
    enum { C = 400, BURN = 400, N = 20000 };

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        const char *settings[] = {"step_size", rows[i].eps, NULL};
        const DlhBlock block = {"x", dlh_shape (1), {DLH_INIT_NORMAL, 0, 1}};
        double rho = 1 - g_ascii_strtod (rows[i].eps, NULL) / 2, sum = 0, error_of;
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhStore) store = dlh_store_new (4, DLH_F64);
        g_autoptr (DlhTarget) target =
            dlh_target_new (store, C, &block, 1, noisy_normal, (gpointer)&rows[i].V, &error);
        g_autoptr (DlhComponent) sampler = load (DLH_SAMPLER, "sgld", settings);
        g_autoptr (DlhChains) chains = dlh_chains_new (target, sampler, 0, &error);
        const double *x = dlh_tensor_get_data (dlh_chains_value (chains, 0));

        g_assert_no_error (error);
        for (guint t = 0; t < BURN + N; t++) {
            g_assert_true (dlh_chains_transition (chains, &error));
            for (guint c = 0; c < C && t >= BURN; c++)
                sum += x[c] * x[c] / ((double)C * N);
        }
        // Squares of an AR(1) process are correlated by rho^2 a step.
        error_of = rows[i].want * sqrt (2 * (1 + rho * rho) / (1 - rho * rho) / ((double)C * N));
        g_assert_cmpfloat (error_of, <, 0.003);
        test_assert_mean (sum, rows[i].want, error_of);
    }
}

/* On a flat density increments are the noise alone: variance eps T G, G = 1 / damping after a
 * warm-up that saw no gradient. */
static void
noise_has_its_size (void)
{
    const char *const settings[][9] = {
        {"step_size", "0.01", NULL},
        {"step_size", "0.01", "temperature", "0.25", NULL},
        {"step_size", "0.01", "precondition", "true", "damping", "0.5", NULL}};
    const double want[] = {0.01, 0.0025, 0.02};
    enum { N = 100000 };

    for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
        const DlhBlock block = {"x", dlh_shape (2), {DLH_INIT_ZEROS, 0, 0}};
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhStore) store = dlh_store_new (4, DLH_F64);
        g_autoptr (DlhTarget) target = dlh_target_new (store, N / 2, &block, 1, flat, NULL, &error);
        g_autoptr (DlhComponent) sampler = load (DLH_SAMPLER, "sgld", settings[i]);
        g_autoptr (DlhChains) chains = dlh_chains_new (target, sampler, 1, &error);
        const double *x = dlh_tensor_get_data (dlh_chains_value (chains, 0));
        double sum = 0;

        g_assert_no_error (error);
        for (guint t = 0; t < 3; t++)
            g_assert_true (dlh_chains_transition (chains, &error));
        for (guint k = 0; k < N; k++)
            sum += x[k] * x[k] / N;
        test_assert_mean (sum, 3 * want[i], 3 * want[i] * sqrt (2.0 / N));
    }
}

static void
schedule_as_documented (void)
{
    const char *settings[] = {"step_size", "0.1", "exponent", "0.55", "period", "10", NULL};
    const DlhBlock block = {"x", dlh_shape (1), {DLH_INIT_ZEROS, 0, 0}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (4, DLH_F64);
    g_autoptr (DlhTarget) target = dlh_target_new (store, 1, &block, 1, flat, NULL, &error);
    g_autoptr (DlhComponent) sampler = load (DLH_SAMPLER, "sgld", settings);
    g_autoptr (DlhChains) chains = dlh_chains_new (target, sampler, 0, &error);

    g_assert_no_error (error);
    for (guint t = 0; t < 30; t++) {
        double want = 0.1 * pow (1 + t / 10.0, -0.55);

        g_assert_true (dlh_chains_transition (chains, &error));
        test_assert_within (dlh_chains_find_report (chains, "step_size"), &want, 1, 1e-15);
    }
}

static void
refused_without_warmup (void)
{
    const char *settings[] = {"precondition", "true", NULL};
    const DlhBlock block = {"x", dlh_shape (1), {DLH_INIT_ZEROS, 0, 0}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (4, DLH_F64);
    g_autoptr (DlhTarget) target = dlh_target_new (store, 1, &block, 1, flat, NULL, &error);
    g_autoptr (DlhComponent) sampler = load (DLH_SAMPLER, "sgld", settings);

    g_assert_null (dlh_chains_new (target, sampler, 0, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "learns its scales in the warm-up");
}

/* Posteriors: linear regression with known noise, whose posterior is Gaussian. */

#define N_DATA 12
#define NOISE 0.5
#define PRECISION 2.0

static DlhData *
line_data (double *x, double *y)
{
    g_autoptr (DlhTensor) tx = NULL;
    g_autoptr (DlhTensor) ty = NULL;
    DlhData *data = dlh_data_new ();

    test_random (77, x, N_DATA);
    test_random (78, y, N_DATA);
    for (guint i = 0; i < N_DATA; i++)
        y[i] = 0.8 * x[i] - 0.3 + NOISE * y[i];
    tx = test_tensor_from (DLH_F64, dlh_shape (N_DATA, 1), x, N_DATA);
    ty = test_tensor_from (DLH_F64, dlh_shape (N_DATA, 1), y, N_DATA);
    dlh_data_set_targets (data, DLH_TARGET_REAL, 0);
    g_assert_true (dlh_data_set_split (data, DLH_SPLIT_TRAIN, tx, ty, NULL));
    return data;
}

typedef struct {
    DlhStore *store;
    DlhTarget *target;
    DlhChains *chains;
} Line;

static void
line_clear (Line *l)
{
    dlh_chains_free (l->chains);
    dlh_target_free (l->target);
    dlh_store_unref (l->store);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Line, line_clear)

static void
line_init (Line *l, const char *sampler, const char *const *settings, gint64 batch, gint64 C,
           gint64 n_warmup, double *x, double *y)
{
    const char *model_settings[] = {"hidden", "[]", "noise", "0.5", NULL};
    DlhPosterior posterior = {sizeof posterior, PRECISION, batch, 0.5, 3};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) model = load (DLH_MODEL, "mlp", model_settings);
    g_autoptr (DlhComponent) s = load (DLH_SAMPLER, sampler, settings);
    g_autoptr (DlhData) data = line_data (x, y);

    l->store = dlh_store_new (6, DLH_F64);
    l->target = dlh_target_new_posterior (l->store, model, data, &posterior, C, &error);
    g_assert_no_error (error);
    l->chains = dlh_chains_new (l->target, s, n_warmup, &error);
    g_assert_no_error (error);
}

// Posterior precision [[a, b], [b, d]] of (weight, bias), its right-hand side (r, s).
static void
line_truth (const double *x, const double *y, double mean[2], double variance[2])
{
    double a = PRECISION, b = 0, d = PRECISION, r = 0, s = 0, det;

    for (guint i = 0; i < N_DATA; i++) {
        a += x[i] * x[i] / (NOISE * NOISE);
        b += x[i] / (NOISE * NOISE);
        d += 1 / (NOISE * NOISE);
        r += x[i] * y[i] / (NOISE * NOISE);
        s += y[i] / (NOISE * NOISE);
    }
    det = a * d - b * b;
    mean[0] = (d * r - b * s) / det;
    mean[1] = (a * s - b * r) / det;
    variance[0] = d / det;
    variance[1] = a / det;
}

static double
line_log_density (const double *x, const double *y, double w, double c)
{
    double sum = -PRECISION * (w * w + c * c) / 2 + log (PRECISION / (2 * G_PI));

    for (guint i = 0; i < N_DATA; i++) {
        double z = (y[i] - w * x[i] - c) / NOISE;

        sum -= z * z / 2 + log (NOISE) + log (2 * G_PI) / 2;
    }
    return sum;
}

static void
posterior_hmc_conjugate (void)
{
    enum { C = 8, N = 1000 };
    double x[N_DATA], y[N_DATA], mean[2], variance[2];
    g_autofree double *q = g_new (double, C *N);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhDraws) draws = NULL;
    g_auto (Line) l = {0};

    line_init (&l, "hmc", NULL, 0, C, 200, x, y);
    line_truth (x, y, mean, variance);
    draws = dlh_draws_new (l.chains, N, &error);
    g_assert_no_error (error);
    while (dlh_draws_count (draws) < N)
        if (!dlh_chains_transition (l.chains, &error) ||
            (dlh_chains_done (l.chains) > 200 && !dlh_draws_append (draws, &error)))
            break;
    g_assert_no_error (error);
    for (guint k = 0; k < 2; k++) {
        // The order of the blocks is that of the model's parameters.
        guint i = g_str_has_suffix (dlh_draws_array_name (draws, k), "bias") ? 1 : 0;
        DlhSummary d = {.size = sizeof d};

        dlh_draws_column (draws, k, 0, q);
        dlh_summarize (q, N, C, &d);
        test_assert_mean (d.mean, mean[i], d.mcse_mean);
        for (guint t = 0; t < C * N; t++)
            q[t] = (q[t] - mean[i]) * (q[t] - mean[i]);
        dlh_summarize (q, N, C, &d);
        test_assert_mean (d.mean, variance[i], d.mcse_mean);
    }
    // The monitored predictions are w x + b of the draw.
    g_assert_cmpstr (dlh_draws_array_name (draws, dlh_draws_n_arrays (draws) - 1), ==, "monitor");
    for (guint e = 0; e < 3; e++) {
        g_autofree double *w = g_new (double, C *N);
        gboolean weight_first = g_str_has_suffix (dlh_draws_array_name (draws, 0), "weight");

        dlh_draws_column (draws, weight_first ? 0 : 1, 0, w);
        dlh_draws_column (draws, weight_first ? 1 : 0, 0, q);
        for (guint t = 0; t < C * N; t++)
            w[t] = w[t] * x[e] + q[t];
        dlh_draws_column (draws, dlh_draws_n_arrays (draws) - 1, e, q);
        test_assert_within (q, w, C * N, 1e-12);
    }
}

/* The log density that a sampler sees: exactly the sum over all data and the prior, and from
 * batches the same on average: N / n and prior are where they belong. */
static void
posterior_batches_unbiased (void)
{
    enum { C = 64, N = 400 };
    const char *still[] = {"step_size", "1e-30", NULL};
    double x[N_DATA], y[N_DATA], exact[C];

    for (guint batch = 0; batch < 2; batch++) {
        g_autoptr (GError) error = NULL;
        g_auto (Line) l = {0};
        double sums[C] = {0}, squares[C] = {0};
        gboolean weight_first;
        const double *w, *b, *seen;

        line_init (&l, "sgld", still, batch ? 5 : 0, C, 0, x, y);
        g_assert_true (dlh_chains_n_examples (l.chains) == N_DATA);
        g_assert_true (dlh_chains_is_estimate (l.chains) == (batch > 0));
        weight_first = g_str_has_suffix (dlh_chains_block_name (l.chains, 0), "weight");
        w = dlh_tensor_get_data (dlh_chains_value (l.chains, weight_first ? 0 : 1));
        b = dlh_tensor_get_data (dlh_chains_value (l.chains, weight_first ? 1 : 0));
        for (guint t = 0; t < (batch ? N : 1); t++) {
            g_assert_true (dlh_chains_transition (l.chains, &error));
            seen = dlh_chains_find_report (l.chains, "log_density");
            for (guint c = 0; c < C; c++) {
                sums[c] += seen[c];
                squares[c] += seen[c] * seen[c];
            }
        }
        for (guint c = 0; c < C; c++) {
            exact[c] = line_log_density (x, y, w[c], b[c]);
            if (!batch) {
                test_assert_within (&seen[c], &exact[c], 1, 1e-11 * (1 + fabs (exact[c])));
                continue;
            }
            sums[c] /= N;
            test_assert_mean (sums[c], exact[c], sqrt ((squares[c] / N - sums[c] * sums[c]) / N));
        }
    }
}

/* The preconditioner's V after one gradient is (g / N)^2: of the mean loss, so that its damping
 * means the same for any number of examples. */
static void
preconditioner_by_mean_gradient (void)
{
    static const char *const settings[] = {"precondition", "true", "step_size", "1e-3", NULL};
    static const char *const blocks[] = {"mlp/output/weight", "mlp/output/bias"};
    double x[N_DATA], y[N_DATA];
    g_autoptr (GError) error = NULL;
    g_auto (Line) l = {0};

    line_init (&l, "sgld", settings, 0, 1, 5, x, y);
    g_assert_true (dlh_chains_transition (l.chains, &error));
    for (guint i = 0; i < G_N_ELEMENTS (blocks); i++) {
        g_autofree char *g = g_strdup_printf ("sgld/%s/gradient", blocks[i]);
        g_autofree char *V = g_strdup_printf ("sgld/%s/mean_square", blocks[i]);
        double mean = dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (l.store, g)), 0);
        double want = mean / N_DATA * (mean / N_DATA);

        test_assert_tensor_within (dlh_variable_tensor (dlh_store_lookup (l.store, V)), &want, 1,
                                   1e-14 * want);
    }
}

static void
posterior_estimate_is_refused_by_hmc (void)
{
    const char *model_settings[] = {"hidden", "[]", "noise", "0.5", NULL};
    DlhPosterior posterior = {sizeof posterior, PRECISION, 3, 0.5, 0};
    double x[N_DATA], y[N_DATA];
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) model = load (DLH_MODEL, "mlp", model_settings);
    g_autoptr (DlhComponent) hmc = load (DLH_SAMPLER, "hmc", NULL);
    g_autoptr (DlhData) data = line_data (x, y);
    g_autoptr (DlhStore) store = dlh_store_new (6, DLH_F64);
    g_autoptr (DlhTarget) target =
        dlh_target_new_posterior (store, model, data, &posterior, 2, &error);

    g_assert_no_error (error);
    g_assert_null (dlh_chains_new (target, hmc, 0, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "an estimate from a batch");
    g_assert_null (dlh_target_new_density (store, model, 2, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "does not offer the density role");
    posterior.precision = 0;
    g_assert_null (dlh_target_new_posterior (store, model, data, &posterior, 2, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "precision 0 must be above 0");
}

/* Linear regression as a density of its own, so that many chains are one product of matrices. With
 * precision A, the stationary covariance at step size eps is A^-1 (1 - eps A / 4)^-1 = A^-1 +
 * eps / 4 + eps^2 A / 16 + ..: linear in small eps, through the posterior's at 0. */

typedef struct {
    DlhTensor *x, *y; /* (2, n) rows x and 1; (n) */
} Regression;

static DlhNode *
regression_density (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    const Regression *r = user_data;
    DlhNode *z =
        dlh_sub (dlh_matmul (q[0], dlh_constant (b->graph, r->x)), dlh_constant (b->graph, r->y));
    DlhNode *fit = dlh_scale (dlh_sum_axis (dlh_square (z), 1), -0.5 / (NOISE * NOISE));

    return dlh_add (fit, dlh_scale (dlh_sum_axis (dlh_square (q[0]), 1), -PRECISION / 2));
}

// Of weight and bias over chains and time, with the standard error that the chains' spread leaves.
static void
stationary_variance (const Regression *r, const char *eps, const double mean[2], double variance[2],
                     double error_of[2])
{
    enum { C = 4000, BURN = 400, N = 1500 };
    const char *settings[] = {"step_size", eps, NULL};
    const DlhBlock block = {"q", dlh_shape (2), {DLH_INIT_NORMAL, 0, 0.3}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (4, DLH_F64);
    g_autoptr (DlhTarget) target =
        dlh_target_new (store, C, &block, 1, regression_density, (gpointer)r, &error);
    g_autoptr (DlhComponent) sampler = load (DLH_SAMPLER, "sgld", settings);
    g_autoptr (DlhChains) chains = dlh_chains_new (target, sampler, 0, &error);
    const double *q = dlh_tensor_get_data (dlh_chains_value (chains, 0));
    g_autofree double *sums = g_new0 (double, 2 * C);

    g_assert_no_error (error);
    for (guint t = 0; t < BURN + N; t++) {
        g_assert_true (dlh_chains_transition (chains, &error));
        for (guint i = 0; i < 2 * C && t >= BURN; i++)
            sums[i] += (q[i] - mean[i % 2]) * (q[i] - mean[i % 2]) / N;
    }
    for (guint k = 0; k < 2; k++) {
        double sum = 0, squares = 0;

        for (guint c = 0; c < C; c++) {
            sum += sums[2 * c + k] / C;
            squares += sums[2 * c + k] * sums[2 * c + k] / C;
        }
        variance[k] = sum;
        error_of[k] = sqrt ((squares - sum * sum) / C);
    }
}

static void
regression_extrapolates (void)
{
    static const char *const eps[] = {"0.002", "0.004", "0.006"};
    // Of a line through three equally spaced values: its value one step before the first.
    static const double weight[] = {4 / 3., 1 / 3., -2 / 3.};
    double x[N_DATA], y[N_DATA], mean[2], want[2], got[3][2], error_of[3][2];
    double design[2 * N_DATA];
    Regression r;

    dlh_data_unref (line_data (x, y));
    line_truth (x, y, mean, want);
    for (guint i = 0; i < N_DATA; i++) {
        design[i] = x[i];
        design[N_DATA + i] = 1;
    }
    r.x = test_tensor_from (DLH_F64, dlh_shape (2, N_DATA), design, 2 * N_DATA);
    r.y = test_tensor_from (DLH_F64, dlh_shape (N_DATA), y, N_DATA);
    for (guint e = 0; e < 3; e++)
        stationary_variance (&r, eps[e], mean, got[e], error_of[e]);
    for (guint k = 0; k < 2; k++) {
        double limit = 0, square = 0;
        // eps^2 A / 16 is not linear: with A below 60 the line misses 10/3 of it at the first eps.
        const double curved = 10 / 3. * 0.002 * 0.002 * 60 / 16;

        for (guint e = 0; e < 3; e++) {
            limit += weight[e] * got[e][k];
            square += weight[e] * weight[e] * error_of[e][k] * error_of[e][k];
        }
        // 5 standard errors: a false alarm in a million.
        g_assert_cmpfloat (fabs (limit - want[k]), <, 5 * sqrt (square) + curved);
        g_assert_cmpfloat (5 * sqrt (square) + curved, <, 0.05 * want[k]);
        // At the largest step size the bias is seen.
        g_assert_cmpfloat (got[2][k] - want[k], >, 10 * error_of[2][k]);
    }
    dlh_tensor_unref (r.x);
    dlh_tensor_unref (r.y);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/sgld/variance/as-derived", variance_as_derived);
    g_test_add_func ("/sgld/noise/has-its-size", noise_has_its_size);
    g_test_add_func ("/sgld/schedule/as-documented", schedule_as_documented);
    g_test_add_func ("/sgld/refused/without-warmup", refused_without_warmup);
    g_test_add_func ("/posterior/hmc/conjugate", posterior_hmc_conjugate);
    g_test_add_func ("/sgld/regression/extrapolates-to-posterior", regression_extrapolates);
    g_test_add_func ("/sgld/preconditioner/by-mean-gradient", preconditioner_by_mean_gradient);
    g_test_add_func ("/posterior/batches/unbiased", posterior_batches_unbiased);
    g_test_add_func ("/posterior/estimate/is-refused-by-hmc", posterior_estimate_is_refused_by_hmc);
    return g_test_run ();
}
