/* SPDX-License-Identifier: MIT */
/* The maximum mean discrepancy against loops over pairs, and its expectation in closed form; and
 * whether generators find all modes of a mixture. */
#include "trainer-bench.h"

static void
bench_init (Bench *b, const char *model, const char *const *settings, const char *const *adam,
            gint64 batch, gint64 width)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (width)};

    bench_open (b, 8);
    b->model = load_plugin (b->registry, DLH_MODEL, model, settings);
    bench_train (b, "adam", adam, &problem, NULL);
    b->x = test_tensor_random (DLH_F64, dlh_shape (batch, width), 21);
}

static double
value (Bench *b, const char *name)
{
    for (guint i = 0; i < dlh_trainer_n_values (b->trainer); i++)
        if (strcmp (dlh_trainer_value_name (b->trainer, i), name) == 0)
            return dlh_trainer_value (b->trainer, i);
    return NAN;
}

static void
evaluate (Bench *b)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_evaluate (b->trainer, b->x, NULL, &error);
    g_assert_no_error (error);
}

static DlhTensor *
parameter (Bench *b, const char *name)
{
    g_autofree char *full =
        g_strdup_printf ("%s/generator/%s", dlh_component_name (b->model), name);

    return dlh_variable_tensor (dlh_store_lookup (b->store, full));
}

/* By definition, with two bandwidths. */

#define N 5
#define M 7
#define D 3

static double
kernel (const double *a, const double *b)
{
    double square = 0;

    for (guint i = 0; i < D; i++)
        square += (a[i] - b[i]) * (a[i] - b[i]);
    return exp (-square / (2 * 0.7)) + exp (-square / (2 * 3));
}

// Sum over pairs, those of an example with itself included or not.
static double
pairs (const double *a, guint n, const double *b, guint m, gboolean own)
{
    double sum = 0;

    for (guint i = 0; i < n; i++)
        for (guint j = 0; j < m; j++)
            if (own || i != j)
                sum += kernel (a + i * D, b + j * D);
    return sum;
}

// A generator x = W z + c, so that the draws are known.
static void
check_definition (gboolean unbiased, gboolean root)
{
    const char *settings[] = {"latents",    "2",
                              "decoder",    "[]",
                              "output",     "identity",
                              "samples",    "7",
                              "bandwidths", "[0.7,3]",
                              "estimator",  unbiased ? "unbiased" : "biased",
                              "root",       root ? "true" : "false",
                              NULL};
    g_auto (Bench) b = {0};
    g_autoptr (DlhStore) fresh = dlh_store_new (8, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (DlhTensor) z =
        test_run (dlh_normal (g, dlh_store_stream (fresh, "gmmn/latents_evaluated"), DLH_F64,
                              dlh_shape (M, 2)),
                  NULL, 0);
    const double *x, *w, *c, *zs = dlh_tensor_get_data (z);
    double y[M * D], xx, yy, xy, want;

    bench_init (&b, "gmmn", settings, NULL, N, D);
    evaluate (&b);
    x = dlh_tensor_get_data (b.x);
    w = dlh_tensor_get_data (parameter (&b, "output/weight"));
    c = dlh_tensor_get_data (parameter (&b, "output/bias"));
    for (guint i = 0; i < M; i++)
        for (guint j = 0; j < D; j++)
            y[i * D + j] = c[j] + w[j * 2] * zs[i * 2] + w[j * 2 + 1] * zs[i * 2 + 1];
    xx = pairs (x, N, x, N, !unbiased) / (unbiased ? N * (N - 1) : N * N);
    yy = pairs (y, M, y, M, !unbiased) / (unbiased ? M * (M - 1) : M * M);
    xy = pairs (x, N, y, M, TRUE) / (N * M);
    want = xx + yy - 2 * xy;
    // 1e-13: squares of distances come from |a|^2 + |b|^2 - 2 a'b, of about 10.
    test_assert_within ((double[]){value (&b, "mmd2")}, &want, 1, 1e-13);
    want = root ? sqrt (want) : want;
    test_assert_within ((double[]){value (&b, "loss")}, &want, 1, 1e-13);
}

static void
definition (void)
{
    check_definition (FALSE, TRUE);
    check_definition (FALSE, FALSE);
    check_definition (TRUE, FALSE);
}

/* x ~ N (1, 0.6^2), y ~ N (-0.5, 0.9^2): x - y is N (mu, v), and of a bandwidth s
 * E exp (-(x - y)^2 / 2s) = sqrt (s / (s + v)) exp (-mu^2 / (2 (s + v))). */
static double
mean_kernel (double mu, double v)
{
    static const double s[] = {0.5, 4};
    double sum = 0;

    for (guint i = 0; i < 2; i++)
        sum += sqrt (s[i] / (s[i] + v)) * exp (-mu * mu / (2 * (s[i] + v)));
    return sum;
}

static void
unbiased_expectation (void)
{
    static const char *const settings[] = {
        "latents", "1",          "decoder", "[]",        "output",   "identity", "root",
        "false",   "bandwidths", "[0.5,4]", "estimator", "unbiased", NULL};
    const guint runs = 3000;
    const double want =
        mean_kernel (0, 2 * 0.36) + mean_kernel (0, 2 * 0.81) - 2 * mean_kernel (1.5, 0.36 + 0.81);
    g_auto (Bench) b = {0};
    double mean = 0, square = 0, *x;

    bench_init (&b, "gmmn", settings, NULL, 12, 1);
    x = dlh_tensor_get_data (b.x);
    evaluate (&b);
    dlh_tensor_set (parameter (&b, "output/weight"), 0, 0.9);
    dlh_tensor_set (parameter (&b, "output/bias"), 0, -0.5);
    for (guint r = 0; r < runs; r++) {
        double got;

        dlh_random_fill_normal (4, "data", r, x, 12);
        for (guint i = 0; i < 12; i++)
            x[i] = 1 + 0.6 * x[i];
        evaluate (&b);
        got = value (&b, "mmd2");
        mean += got / runs;
        square += got * got / runs;
    }
    test_assert_mean (mean, want, sqrt ((square - mean * mean) / runs));
}

// Draws and data the same to rounding: the root's derivative is cut off, not infinite.
static void
root_of_nothing (void)
{
    static const char *const settings[] = {"latents", "1",        "decoder", "[]",
                                           "output",  "identity", NULL};
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    bench_init (&b, "gmmn", settings, NULL, 4, 1);
    evaluate (&b);
    dlh_tensor_set (parameter (&b, "output/weight"), 0, 0);
    dlh_tensor_set (parameter (&b, "output/bias"), 0, 0);
    for (guint i = 0; i < 4; i++)
        dlh_tensor_set (b.x, i, 0);
    dlh_trainer_step (b.trainer, b.x, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat (value (&b, "loss"), <=, 1e-6);
    g_assert_true (isfinite (dlh_tensor_get (parameter (&b, "output/bias"), 0)));
}

static void
refusals (void)
{
    static const char *const one[] = {"estimator", "unbiased", "root", "false", NULL};
    g_autoptr (GHashTable) root = g_hash_table_new (g_str_hash, g_str_equal);
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    bench_init (&b, "gmmn", one, NULL, 1, 1);
    g_hash_table_insert (root, (gpointer) "estimator", (gpointer) "unbiased");
    g_assert_null (dlh_registry_load (b.registry, DLH_MODEL, "gmmn", root, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "'estimator' is unbiased, which may be negative");
    g_assert_false (dlh_trainer_evaluate (b.trainer, b.x, NULL, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "a batch of 1 examples and 1 draws");
}

/* Eight modes on a circle of radius 2, each N (mode, 0.1^2 I). */

#define MODES 8

static void
ring (DlhTensor *x, guint64 batch)
{
    const gsize n = (gsize)dlh_tensor_get_shape (x).dims[0];
    double *values = dlh_tensor_get_data (x);
    g_autofree double *u = g_new (double, n);

    dlh_random_fill_uniform (4, "modes", batch, u, n);
    dlh_random_fill_normal (4, "noise", batch, values, 2 * n);
    for (gsize i = 0; i < n; i++) {
        const double angle = 2 * G_PI / MODES * floor (u[i] * MODES);

        values[2 * i] = 2 * cos (angle) + 0.1 * values[2 * i];
        values[2 * i + 1] = 2 * sin (angle) + 0.1 * values[2 * i + 1];
    }
}

// Of 1000 draws of the prior, decoded: shares within 0.5 of each mode.
static void
shares (Bench *b, double share[MODES])
{
    const DlhModel *m = dlh_component_interface (b->model);
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (2)};
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhBuild in = {.size = sizeof in, .graph = g, .store = b->store};
    g_autoptr (DlhTensor) x = NULL;
    DlhNode *z;

    dlh_graph_push_scope (g, dlh_component_name (b->model));
    z = dlh_sample_from (m->latent->prior (&in, &problem, dlh_component_options (b->model), 1000),
                         dlh_store_stream (b->store, "test"));
    x = test_run (dlh_distribution_mean (
                      m->latent->decode (&in, &problem, dlh_component_options (b->model), z)),
                  NULL, 0);
    memset (share, 0, MODES * sizeof *share);
    for (gint64 i = 0; i < 1000; i++)
        for (guint k = 0; k < MODES; k++)
            if (hypot (dlh_tensor_get (x, 2 * i) - 2 * cos (2 * G_PI / MODES * k),
                       dlh_tensor_get (x, 2 * i + 1) - 2 * sin (2 * G_PI / MODES * k)) < 0.5)
                share[k] += 1e-3;
}

static void
check_modes (const char *model, const char *const *settings, const char *const *adam, guint n_steps)
{
    g_auto (Bench) b = {0};
    double share[MODES], all = 0;

    bench_init (&b, model, settings, adam, 128, 2);
    for (guint i = 0; i < n_steps; i++) {
        g_autoptr (GError) error = NULL;

        ring (b.x, i);
        dlh_trainer_step (b.trainer, b.x, NULL, &error);
        g_assert_no_error (error);
    }
    shares (&b, share);
    for (guint k = 0; k < MODES; k++) {
        g_test_message ("mode %u: %g", k, share[k]);
        g_assert_cmpfloat (share[k], >, 0.03); // of 0.125
        all += share[k];
    }
    g_assert_cmpfloat (all, >, 0.7);
}

static void
modes_gmmn (void)
{
    static const char *const settings[] = {"latents", "2",        "decoder",    "[32,32]",
                                           "output",  "identity", "bandwidths", "[0.02,0.1,0.5,2]",
                                           NULL};

    check_modes ("gmmn", settings, (const char *[]){"lr", "0.003", NULL}, 1500);
}

static void
modes_wgan (void)
{
    static const char *const settings[] = {
        "latents",  "2",          "decoder", "[32,32]",       "output",
        "identity", "activation", "relu",    "discriminator", "[32,32]",
        "penalty",  "0.1",        NULL};

    check_modes ("wgan_gp", settings,
                 (const char *[]){"lr", "0.002", "beta1", "0", "beta2", "0.9", NULL}, 6000);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/gmmn/discrepancy/definition", definition);
    g_test_add_func ("/gmmn/discrepancy/unbiased", unbiased_expectation);
    g_test_add_func ("/gmmn/discrepancy/root-of-nothing", root_of_nothing);
    g_test_add_func ("/gmmn/refusals", refusals);
    g_test_add_func ("/gmmn/modes/gmmn", modes_gmmn);
    g_test_add_func ("/gmmn/modes/wgan", modes_wgan);
    return g_test_run ();
}
