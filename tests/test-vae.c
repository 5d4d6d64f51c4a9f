/* SPDX-License-Identifier: MIT */
/* The family of variational autoencoders through the real loader: identities of their objectives,
 * what enumeration and closed forms say of small ones, gradients by differences. */
#include "test.h"

#define MAX_VALUES 9

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhGraph *graph;
    GPtrArray *updates;
    DlhComponent *model;
    DlhProblem problem;
    DlhObjective objective;
    DlhTensor *x;
    DlhFunction *function; /* loss, metrics, updates */
} Fixture;

static void
fixture_clear (Fixture *f)
{
    dlh_function_unref (f->function);
    g_clear_pointer (&f->x, dlh_tensor_unref);
    dlh_component_unref (f->model);
    g_ptr_array_unref (f->updates);
    dlh_graph_unref (f->graph);
    dlh_store_unref (f->store);
    dlh_registry_free (f->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

// @settings: "latents=2;likelihood=gaussian".
static void
load (Fixture *f, const char *model, const char *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_auto (GStrv) words = g_strsplit (settings, ";", -1);
    g_autoptr (GError) error = NULL;

    for (guint i = 0; words[i] && *words[i]; i++) {
        g_auto (GStrv) pair = g_strsplit (words[i], "=", 2);

        g_hash_table_insert (table, g_strdup (pair[0]), g_strdup (pair[1]));
    }
    f->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    f->store = dlh_store_new (1, DLH_F64);
    f->graph = dlh_graph_new ();
    f->updates = g_ptr_array_new ();
    f->model = dlh_registry_load (f->registry, DLH_MODEL, model, table, &error);
    g_assert_no_error (error);
    f->objective.size = sizeof f->objective;
}

static gboolean
build (Fixture *f, DlhTensor *x, gint64 n_examples, gboolean training, GError **error)
{
    const DlhModel *model = dlh_component_interface (f->model);
    const DlhBuild b = {sizeof b, f->graph, f->store, training, f->updates};
    DlhNode *input = dlh_input (f->graph, "x", DLH_F64, dlh_tensor_get_shape (x));
    gboolean ok;

    f->x = x;
    f->problem = (DlhProblem){.size = sizeof f->problem,
                              .input_shape = dlh_shape_remove (dlh_tensor_get_shape (x), 0),
                              .n_examples = n_examples};
    dlh_graph_push_scope (f->graph, "m");
    ok = model->supervised->build ((DlhBuild *)&b, &f->problem, dlh_component_options (f->model),
                                   input, NULL, &f->objective, error);
    dlh_graph_pop_scope (f->graph);
    return ok;
}

static void
fixture_init (Fixture *f, const char *model, const char *settings, DlhTensor *x, gint64 n_examples,
              gboolean training)
{
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();
    g_autoptr (GError) error = NULL;

    load (f, model, settings);
    build (f, x, n_examples, training, &error);
    g_assert_no_error (error);
    g_ptr_array_add (outputs, f->objective.loss);
    for (guint i = 0; i < 8 && f->objective.metrics[i].name; i++)
        g_ptr_array_add (outputs, f->objective.metrics[i].value);
    for (guint i = 0; i < f->updates->len; i++)
        g_ptr_array_add (outputs, f->updates->pdata[i]);
    f->function = dlh_graph_compile (f->graph, (DlhNode **)outputs->pdata, outputs->len, &error);
    g_assert_no_error (error);
}

static void
run (Fixture *f)
{
    g_autoptr (GError) error = NULL;

    dlh_function_run (f->function, &f->x, 1, &error);
    g_assert_no_error (error);
}

// Of the last run.
static double
value (Fixture *f, const char *name)
{
    if (strcmp (name, "loss") == 0)
        return dlh_function_scalar (f->function, 0);
    for (guint i = 0; i < 8 && f->objective.metrics[i].name; i++)
        if (strcmp (f->objective.metrics[i].name, name) == 0)
            return dlh_function_scalar (f->function, 1 + i);
    test_fail ("no metric '%s'", name);
    return NAN;
}

static DlhTensor *
variable (Fixture *f, const char *name)
{
    DlhVariable *v = dlh_store_lookup (f->store, name);

    if (!v)
        g_error ("no variable '%s'", name);
    return dlh_variable_tensor (v);
}

static void
fill (Fixture *f, const char *name, double x)
{
    DlhTensor *t = variable (f, name);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, x);
}

static void
near (double got, double want, double tolerance)
{
    test_assert_within (&got, &want, 1, tolerance);
}

// q(z | x) = N (x, sigma^2), for a linear encoder with as many latents as inputs.
static void
copy_inputs (Fixture *f, double sigma)
{
    const gint64 d = dlh_tensor_count (variable (f, "m/mean/bias"));

    fill (f, "m/mean/weight", 0);
    fill (f, "m/mean/bias", 0);
    fill (f, "m/log_std/weight", 0);
    fill (f, "m/log_std/bias", log (sigma));
    for (gint64 i = 0; i < d; i++)
        dlh_tensor_set (variable (f, "m/mean/weight"), i * d + i, 1);
}

#define LINEAR "encoder=[];decoder=[];likelihood=gaussian;variance=1"

/* Identities, at random weights. */

static void
telescoping (void)
{
    static const char *const estimators[] = {"mws", "mss", "equal"};
    static const gint64 batches[] = {1, 2, 5};

    for (guint e = 0; e < 3; e++)
        for (guint i = 0; i < 3; i++) {
            g_autofree char *one = g_strdup_printf (
                "encoder=[6];decoder=[6];latents=3;beta=1;estimator=%s", estimators[e]);
            g_auto (Fixture) f = {0};
            double kl;

            fixture_init (&f, "beta_tcvae", one,
                          test_tensor_random (DLH_F64, dlh_shape (batches[i], 4), 3), 40, TRUE);
            run (&f);
            kl = value (&f, "mutual_information") + value (&f, "total_correlation") +
                 value (&f, "dimension_kl");
            near (-value (&f, "loss"), value (&f, "elbo"), 1e-10);
            near (value (&f, "kl"), kl, 1e-10);
            near (value (&f, "elbo"), value (&f, "log_likelihood") - kl, 1e-10);
        }
}

static void
weights_of_terms (void)
{
    g_auto (Fixture) f = {0};

    fixture_init (&f, "beta_tcvae", "latents=3;alpha=0.5;beta=4;gamma=2;estimator=mss",
                  test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, TRUE);
    run (&f);
    near (-value (&f, "loss"),
          value (&f, "elbo") + 0.5 * value (&f, "mutual_information") -
              3 * value (&f, "total_correlation") - value (&f, "dimension_kl"),
          1e-10);
}

// The one-sample ELBO is that of beta_vae and iwae too: the stream and the weights are the same.
static void
one_sample_elbo (void)
{
    static const char *const models[] = {"beta_tcvae", "beta_vae", "iwae"};
    static const char *const settings[] = {"latents=3;beta=1", "latents=3;beta=1;kl=sample",
                                           "latents=3;samples=1"};
    double loss[3];

    for (guint i = 0; i < 3; i++) {
        g_auto (Fixture) f = {0};

        fixture_init (&f, models[i], settings[i], test_tensor_random (DLH_F64, dlh_shape (5, 4), 3),
                      40, TRUE);
        run (&f);
        loss[i] = value (&f, "loss");
        near (-value (&f, "elbo"), loss[i], 1e-10);
    }
    near (loss[1], loss[0], 1e-10);
    near (loss[2], loss[0], 1e-10);
}

static void
beta_vae_weight (void)
{
    g_auto (Fixture) f = {0};

    fixture_init (&f, "beta_vae", "latents=3;beta=5",
                  test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, TRUE);
    run (&f);
    near (value (&f, "loss"), 5 * value (&f, "kl") - value (&f, "log_likelihood"), 1e-10);
    near (value (&f, "elbo"), value (&f, "log_likelihood") - value (&f, "kl"), 1e-10);
}

// beta t / 4 at step t, then beta; all of it when evaluated.
static void
warm_up (void)
{
    g_auto (Fixture) f = {0}, evaluated = {0};

    fixture_init (&f, "beta_tcvae", "latents=3;beta=6;warmup=4",
                  test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, TRUE);
    for (guint t = 0; t < 7; t++) {
        run (&f);
        near (value (&f, "beta"), 6 * MIN (1, t / 4.0), 1e-12);
        near (-value (&f, "loss"),
              value (&f, "elbo") - (value (&f, "beta") - 1) * value (&f, "total_correlation"),
              1e-10);
    }
    fixture_init (&evaluated, "beta_tcvae", "latents=3;beta=6;warmup=4",
                  test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, FALSE);
    run (&evaluated);
    near (value (&evaluated, "beta"), 6, 0);
}

/* Encoders that do not overlap: of all components a draw has only its own, and its weight is seen.
 */

static void
resolved (void)
{
    static const double x[] = {0, 0, 0, 1000, 1000, 1000, 2000, 2000, 2000, 3000, 3000, 3000};
    const DlhShape shape = dlh_shape (4, 3);
    const double n = 50, b = 4;
    // Own weights; of mss in the marginals as well, so each is log N.
    const double own[] = {log (n * b), log (n), log (n)};
    static const char *const estimators[] = {"mws", "mss", "equal"};

    for (guint e = 0; e < 3; e++) {
        g_autofree char *settings =
            g_strdup_printf (LINEAR ";latents=3;estimator=%s", estimators[e]);
        g_auto (Fixture) f = {0};

        fixture_init (&f, "beta_tcvae", settings, test_tensor_from (DLH_F64, shape, x, 12),
                      (gint64)n, TRUE);
        copy_inputs (&f, 1);
        run (&f);
        // Beside squares of 3000.
        near (value (&f, "mutual_information"), own[e], 1e-9);
        near (value (&f, "total_correlation"), 2 * own[e], 1e-9);
    }
}

// Examples 0 and 1 share a code: 0 has its own and the next one's weight, 1 its own and another's.
static void
pairs_of_weights (void)
{
    static const double x[] = {0, 0, 1000, 2000};
    const double n = 50, b = 4, m = 3;
    const double mss[] = {log (1 / n + (n - m) / (n * m)), log (1 / n + 1 / m), log (1 / n)};
    const double equal[] = {log (1 / n + (n - 1) / (n * m)), log (1 / n + (n - 1) / (n * m)),
                            log (1 / n)};
    const double mws[] = {log (2 / (n * b)), log (2 / (n * b)), log (1 / (n * b))};
    const double *const want[] = {mws, mss, equal};
    static const char *const estimators[] = {"mws", "mss", "equal"};

    for (guint e = 0; e < 3; e++) {
        g_autofree char *settings =
            g_strdup_printf (LINEAR ";latents=1;estimator=%s", estimators[e]);
        g_auto (Fixture) f = {0};
        double information = -(want[e][0] + want[e][1] + 2 * want[e][2]) / 4;

        fixture_init (&f, "beta_tcvae", settings,
                      test_tensor_from (DLH_F64, dlh_shape (4, 1), x, 4), (gint64)n, TRUE);
        copy_inputs (&f, 1);
        run (&f);
        near (value (&f, "mutual_information"), information, 1e-9);
        near (value (&f, "total_correlation"), 0, 1e-9);
    }
}

/* Four Gaussians in the plane, sigma 0.5: E log q(z) and TC over all batches, by the sheet's
 * enumeration and quadrature; here by Monte Carlo through the model. */

typedef struct {
    const char *path, *estimator;
    gint64 batch;
    gboolean replace; /* draws of the batch */
    double log_q[2], correlation[2];
} Row;

static const double sets[2][4][2] = {{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}},
                                     {{1, 1}, {1, 1}, {-1, -1}, {-1, -1}}};

static const Row rows[] = {
    {"mws-2", "mws", 2, TRUE, {-3.325871, -3.181145}, {1.531021, 1.675747}},
    {"mws-4", "mws", 4, TRUE, {-3.687365, -3.373669}, {1.522406, 1.836102}},
    {"mss-2", "mss", 2, FALSE, {-2.760495, -2.367889}, {0.392606, 0.785212}},
    {"mss-3", "mss", 3, FALSE, {-2.736247, -2.233278}, {0.158597, 0.661566}},
    {"mss-4", "mss", 4, FALSE, {-2.721694, -2.170258}, {0.055384, 0.606820}},
    {"whole-set", "equal", 4, FALSE, {-2.717023, -2.138119}, {0, 0.578905}},
};

static void
draw_batch (const Row *row, guint set, guint run_number, DlhTensor *x)
{
    gint64 order[4];
    double u[4];

    dlh_random_permutation (11, "batch", run_number, order, 4);
    dlh_random_fill_uniform (12, "batch", run_number, u, 4);
    for (gint64 i = 0; i < row->batch; i++) {
        const gint64 n = row->replace ? (gint64)(4 * u[i]) : order[i];

        for (gint64 d = 0; d < 2; d++)
            dlh_tensor_set (x, 2 * i + d, sets[set][n][d]);
    }
}

typedef struct {
    double sum, square;
    guint n;
} Mean;

static void
mean_add (Mean *m, double x)
{
    m->sum += x;
    m->square += x * x;
    m->n++;
}

static void
mean_check (const Mean *m, double want)
{
    const double mean = m->sum / m->n, variance = m->square / m->n - mean * mean;

    // The table has six digits.
    if (sqrt (variance / m->n) < 1e-5)
        near (mean, want, 2e-6);
    else
        test_assert_mean (mean, want, sqrt (variance / m->n));
}

static void
enumerable (gconstpointer data)
{
    const Row *row = data;
    // E log q(z | n) and the terms that both sets share.
    const double given = -log (2 * G_PI * 0.25) - 1;

    for (guint set = 0; set < 2; set++) {
        g_autofree char *settings =
            g_strdup_printf (LINEAR ";latents=2;estimator=%s", row->estimator);
        g_auto (Fixture) f = {0};
        Mean information = {0}, correlation = {0}, kl = {0};

        fixture_init (&f, "beta_tcvae", settings,
                      dlh_tensor_new (DLH_F64, dlh_shape (row->batch, 2), NULL), 4, TRUE);
        copy_inputs (&f, 0.5);
        for (guint i = 0; i < 20000; i++) {
            draw_batch (row, set, i, f.x);
            run (&f);
            mean_add (&information, value (&f, "mutual_information"));
            mean_add (&correlation, value (&f, "total_correlation"));
            mean_add (&kl, value (&f, "kl"));
        }
        mean_check (&information, given - row->log_q[set]);
        mean_check (&correlation, row->correlation[set]);
        // In closed form, as of any batch: 2 x 0.818147.
        mean_check (&kl, 1.636294);
    }
}

// The whole set as a batch: MI, TC and DWKL are those of the enumeration.
static void
whole_set_terms (void)
{
    static const double want[2][3] = {{1.265440, 0, 0.370854}, {0.686536, 0.578905, 0.370854}};
    static const char *const names[] = {"mutual_information", "total_correlation", "dimension_kl"};

    for (guint set = 0; set < 2; set++) {
        g_auto (Fixture) f = {0};
        Mean means[3] = {0};

        fixture_init (&f, "beta_tcvae", LINEAR ";latents=2;estimator=equal",
                      test_tensor_from (DLH_F64, dlh_shape (4, 2), &sets[set][0][0], 8), 4, TRUE);
        copy_inputs (&f, 0.5);
        for (guint i = 0; i < 20000; i++) {
            run (&f);
            for (guint k = 0; k < 3; k++)
                mean_add (&means[k], value (&f, names[k]));
        }
        for (guint k = 0; k < 3; k++)
            mean_check (&means[k], want[set][k]);
    }
}

/* Gradients by central differences; the stream is put back before each run. */

typedef struct {
    const char *path, *model, *settings;
} Case;

static const Case cases[] = {
    {"mws", "beta_tcvae", "beta=3;estimator=mws"},
    {"mss", "beta_tcvae", "beta=3;alpha=0.5;gamma=2;estimator=mss"},
    {"equal", "beta_tcvae", "beta=3;estimator=equal"},
    {"beta-vae", "beta_vae", "beta=3"},
    {"beta-vae-sample", "beta_vae", "beta=3;kl=sample"},
    {"iwae", "iwae", "samples=4"},
};

static double
loss_again (Fixture *f)
{
    dlh_tensor_set (variable (f, "random/m/latents"), 0, 0);
    run (f);
    return value (f, "loss");
}

static void
gradients (gconstpointer data)
{
    const Case *c = data;
    g_autofree char *settings =
        g_strdup_printf ("latents=3;encoder=[4];decoder=[4];%s", c->settings);
    g_autoptr (GPtrArray) variables = NULL, nodes = g_ptr_array_new ();
    g_auto (Fixture) f = {0};
    g_autoptr (DlhFunction) g = NULL;
    DlhNode *out[16];

    fixture_init (&f, c->model, settings, test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40,
                  TRUE);
    variables = dlh_graph_variables (&f.objective.loss, 1);
    for (guint i = variables->len; i-- > 0;)
        if (!dlh_variable_is_trainable (variables->pdata[i]))
            g_ptr_array_remove_index (variables, i);
    g_assert_cmpuint (variables->len, ==, 10);
    for (guint i = 0; i < variables->len; i++)
        g_ptr_array_add (nodes, dlh_read (f.graph, variables->pdata[i]));
    dlh_gradients (f.objective.loss, (DlhNode **)nodes->pdata, nodes->len, NULL, out);
    g = dlh_graph_compile (f.graph, out, nodes->len, NULL);
    dlh_tensor_set (variable (&f, "random/m/latents"), 0, 0);
    g_assert_true (dlh_function_run (g, &f.x, 1, NULL));
    for (guint v = 0; v < variables->len; v++) {
        DlhTensor *t = dlh_variable_tensor (variables->pdata[v]);

        for (gint64 i = 0; i < dlh_tensor_count (t); i++) {
            const double x = dlh_tensor_get (t, i), h = 1e-4;
            double d[2];

            for (guint k = 0; k < 2; k++) {
                dlh_tensor_set (t, i, x + (double)(k + 1) * h);
                d[k] = loss_again (&f);
                dlh_tensor_set (t, i, x - (double)(k + 1) * h);
                d[k] = (d[k] - loss_again (&f)) / (2 * (double)(k + 1) * h);
                dlh_tensor_set (t, i, x);
            }
            // Fourth order; the loss is of order 10.
            d[0] = (4 * d[0] - d[1]) / 3;
            near (dlh_tensor_get (dlh_function_output (g, v), i), d[0],
                  1e-6 * MAX (1, fabs (d[0])));
        }
    }
}

/* IWAE, with a linear decoder x_d = 2 z_d + b + noise, whose posterior and evidence are known. */

#define SLOPE 2
#define NOISE 0.5 /* variance */

static double
evidence (const DlhTensor *x)
{
    const gint64 n = dlh_tensor_count (x);
    const double variance = SLOPE * SLOPE + NOISE;
    double sum = 0;

    for (gint64 i = 0; i < n; i++)
        sum += -0.5 * dlh_tensor_get (x, i) * dlh_tensor_get (x, i) / variance -
               0.5 * log (2 * G_PI * variance);
    return sum / (double)(n / 2);
}

static void
iwae_init (Fixture *f, gint64 k, double mean_scale, double std_scale)
{
    g_autofree char *settings = g_strdup_printf ("latents=2;encoder=[];decoder=[];likelihood="
                                                 "gaussian;variance=0.5;samples=%" G_GINT64_FORMAT,
                                                 k);

    fixture_init (f, "iwae", settings, test_tensor_random (DLH_F64, dlh_shape (3, 2), 8), 40, TRUE);
    copy_inputs (f, std_scale * sqrt (NOISE / (SLOPE * SLOPE + NOISE)));
    fill (f, "m/output/weight", 0);
    fill (f, "m/output/bias", 0);
    for (gint64 i = 0; i < 2; i++) {
        dlh_tensor_set (variable (f, "m/output/weight"), 3 * i, SLOPE);
        dlh_tensor_set (variable (f, "m/mean/weight"), 3 * i,
                        mean_scale * SLOPE / (SLOPE * SLOPE + NOISE));
    }
}

// All weights are p(x) then, whatever is drawn.
static void
iwae_exact_posterior (void)
{
    for (gint64 k = 1; k <= 7; k += 3) {
        g_auto (Fixture) f = {0};

        iwae_init (&f, k, 1, 1);
        run (&f);
        near (-value (&f, "loss"), evidence (f.x), 1e-12);
        near (value (&f, "bound"), evidence (f.x), 1e-12);
        near (value (&f, "elbo"), evidence (f.x), 1e-12);
    }
}

// L_1 < L_5 < L_50 < log p(x), each by more than five standard errors.
static void
iwae_tightens (void)
{
    static const gint64 ks[] = {1, 5, 50};
    double last = -INFINITY, last_error = 0, want = 0;

    for (guint i = 0; i < 3; i++) {
        g_auto (Fixture) f = {0};
        Mean m = {0};
        double mean, error;

        iwae_init (&f, ks[i], 0.6, 0.7);
        for (guint r = 0; r < 4000; r++) {
            run (&f);
            mean_add (&m, value (&f, "bound"));
        }
        mean = m.sum / m.n;
        error = sqrt ((m.square / m.n - mean * mean) / m.n);
        g_assert_cmpfloat (mean - last, >, 5 * hypot (error, last_error));
        last = mean;
        last_error = error;
        want = evidence (f.x);
    }
    g_assert_cmpfloat (last, <, want);
    g_assert_cmpfloat (last, >, want - 0.5);
}

/* FactorVAE: two players in one loss. */

#define FACTOR "latents=2;encoder=[4];decoder=[4];discriminator=[3,3];gamma=7"

static void
factor_losses (void)
{
    g_auto (Fixture) f = {0};

    fixture_init (&f, "factor_vae", FACTOR, test_tensor_random (DLH_F64, dlh_shape (6, 4), 3), 40,
                  TRUE);
    run (&f);
    near (value (&f, "loss"),
          7 * value (&f, "total_correlation") - value (&f, "elbo") +
              value (&f, "discriminator_loss"),
          1e-10);
    fill (&f, "m/discriminator/output/weight", 0);
    run (&f);
    near (value (&f, "total_correlation"), 0, 0);
    near (value (&f, "discriminator_loss"), log (2), 1e-12);
}

// What the gradient by a parameter is of: the discriminator's own loss, or all the rest.
static double
player_value (Fixture *f, gboolean discriminator)
{
    dlh_tensor_set (variable (f, "random/m/latents"), 0, 0);
    dlh_tensor_set (variable (f, "random/m/orders"), 0, 0);
    run (f);
    return discriminator ? value (f, "discriminator_loss")
                         : value (f, "loss") - value (f, "discriminator_loss");
}

static void
factor_gradients (void)
{
    static const char *const names[] = {"m/discriminator/hidden1/weight",
                                        "m/discriminator/output/weight", "m/encoder1/weight",
                                        "m/log_std/bias", "m/decoder1/weight"};
    g_auto (Fixture) f = {0};
    g_autoptr (DlhFunction) g = NULL;
    DlhNode *reads[G_N_ELEMENTS (names)], *out[G_N_ELEMENTS (names)];

    fixture_init (&f, "factor_vae", FACTOR, test_tensor_random (DLH_F64, dlh_shape (6, 4), 3), 40,
                  TRUE);
    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        reads[i] = dlh_read (f.graph, dlh_store_lookup (f.store, names[i]));
    dlh_gradients (f.objective.loss, reads, G_N_ELEMENTS (names), NULL, out);
    g = dlh_graph_compile (f.graph, out, G_N_ELEMENTS (names), NULL);
    player_value (&f, TRUE);
    dlh_tensor_set (variable (&f, "random/m/latents"), 0, 0);
    dlh_tensor_set (variable (&f, "random/m/orders"), 0, 0);
    g_assert_true (dlh_function_run (g, &f.x, 1, NULL));
    for (guint v = 0; v < G_N_ELEMENTS (names); v++) {
        DlhTensor *t = variable (&f, names[v]);

        for (gint64 i = 0; i < dlh_tensor_count (t); i++) {
            const double x = dlh_tensor_get (t, i), h = 1e-6;
            double d;

            dlh_tensor_set (t, i, x + h);
            d = player_value (&f, v < 2);
            dlh_tensor_set (t, i, x - h);
            d = (d - player_value (&f, v < 2)) / (2 * h);
            dlh_tensor_set (t, i, x);
            near (dlh_tensor_get (dlh_function_output (g, v), i), d, 1e-6 * MAX (1, fabs (d)));
        }
    }
}

// Codes (v, v) with little noise, and a discriminator of |z_0 - z_1|: it tells permuted ones apart,
// because the two columns have orders of their own.
static void
factor_permutes (void)
{
    static const double x[] = {-4, -4, -3, -3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3, 3};
    g_auto (Fixture) f = {0};
    DlhTensor *hidden, *output;

    fixture_init (&f, "factor_vae", LINEAR ";latents=2;discriminator=[2];slope=0",
                  test_tensor_from (DLH_F64, dlh_shape (8, 2), x, 16), 40, TRUE);
    copy_inputs (&f, 1e-3);
    hidden = variable (&f, "m/discriminator/hidden1/weight");
    output = variable (&f, "m/discriminator/output/weight");
    for (gint64 i = 0; i < 4; i++) {
        dlh_tensor_set (hidden, i, i == 0 || i == 3 ? 1 : -1);
        dlh_tensor_set (output, i, i < 2 ? -10 : 10);
    }
    dlh_tensor_set (variable (&f, "m/discriminator/output/bias"), 0, 5);
    run (&f);
    // Logits 5 - 10 |.| and 10 |.|: right for all 8 codes; of the permuted ones about one is equal.
    g_assert_cmpfloat (value (&f, "total_correlation"), >, 4.9);
    g_assert_cmpfloat (value (&f, "discriminator_loss"), <, 0.5 * 3.0 / 8 * 5.1);
}

/* Networks. */

static void
conv_shapes (void)
{
    static const char *const names[] = {
        "m/encoder1/weight", "m/encoder5/weight", "m/encoder5_norm/scale", "m/mean/weight",
        "m/decoder1/weight", "m/decoder2/weight", "m/decoder6/weight"};
    const DlhShape shapes[] = {dlh_shape (32, 1, 4, 4), dlh_shape (512, 64, 4, 4),
                               dlh_shape (512),         dlh_shape (10, 512),
                               dlh_shape (512, 10),     dlh_shape (512, 64, 4, 4),
                               dlh_shape (32, 1, 4, 4)};
    g_auto (Fixture) f = {0};

    fixture_init (&f, "beta_tcvae", "network=conv",
                  test_tensor_random (DLH_F64, dlh_shape (2, 64, 64), 3), 40, TRUE);
    run (&f);
    g_assert_true (isfinite (value (&f, "loss")));
    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (variable (&f, names[i])), shapes[i]));
}

// Evaluated, an encoding does not depend on the rest of the batch.
static void
conv_evaluation (void)
{
    double loss[2];

    for (guint i = 0; i < 2; i++) {
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (2, 1, 64, 64), 3);
        g_auto (Fixture) f = {0};
        g_autoptr (DlhTensor) first = dlh_tensor_rows (x, 0, 1);
        DlhTensor *part = dlh_tensor_copy (first, NULL);
        const DlhModel *model;
        DlhBuild b;
        DlhDistribution *q;
        g_autoptr (DlhTensor) out = NULL;

        load (&f, "vae", "network=conv");
        model = dlh_component_interface (f.model);
        b = (DlhBuild){sizeof b, f.graph, f.store, FALSE, NULL};
        f.x = part;
        f.problem = (DlhProblem){.size = sizeof f.problem, .input_shape = dlh_shape (1, 64, 64)};
        q = model->latent->encode (&b, &f.problem, dlh_component_options (f.model),
                                   dlh_constant (f.graph, i ? x : part));
        out = test_run (dlh_distribution_mean (q), NULL, 0);
        loss[i] = dlh_tensor_get (out, 0);
    }
    near (loss[1], loss[0], 1e-12);
}

static void
refusals (void)
{
    g_auto (Fixture) size = {0}, unknown = {0};
    g_autoptr (GError) error = NULL, none = NULL;

    load (&size, "beta_vae", "network=conv");
    g_assert_false (
        build (&size, test_tensor_random (DLH_F64, dlh_shape (2, 1, 28, 28), 3), 9, TRUE, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "[1,28,28]: use network=mlp");
    load (&unknown, "beta_tcvae", "");
    g_assert_false (
        build (&unknown, test_tensor_random (DLH_F64, dlh_shape (2, 4), 3), 0, TRUE, &none));
    test_assert_error (&none, DLH_ERROR_OPTION, "set 'examples'");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/vae/telescoping/sums-to-elbo", telescoping);
    g_test_add_func ("/vae/weights/of-terms", weights_of_terms);
    g_test_add_func ("/vae/one-sample/same-in-all", one_sample_elbo);
    g_test_add_func ("/vae/beta-vae/weighs-kl", beta_vae_weight);
    g_test_add_func ("/vae/warm-up/linear-then-constant", warm_up);
    g_test_add_func ("/vae/resolved/own-weights", resolved);
    g_test_add_func ("/vae/pairs/sums-of-weights", pairs_of_weights);
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        g_autofree char *path = g_strdup_printf ("/vae/enumerable/%s", rows[i].path);

        g_test_add_data_func (path, &rows[i], enumerable);
    }
    g_test_add_func ("/vae/enumerable/whole-set-terms", whole_set_terms);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path = g_strdup_printf ("/vae/gradients/%s", cases[i].path);

        g_test_add_data_func (path, &cases[i], gradients);
    }
    g_test_add_func ("/vae/iwae/exact-posterior", iwae_exact_posterior);
    g_test_add_func ("/vae/iwae/tightens-with-samples", iwae_tightens);
    g_test_add_func ("/vae/factor/losses", factor_losses);
    g_test_add_func ("/vae/factor/gradients-of-players", factor_gradients);
    g_test_add_func ("/vae/factor/permutes-each-column", factor_permutes);
    g_test_add_func ("/vae/conv/shapes", conv_shapes);
    g_test_add_func ("/vae/conv/evaluation-alone", conv_evaluation);
    g_test_add_func ("/vae/refusals/say-what-to-do", refusals);
    return g_test_run ();
}
