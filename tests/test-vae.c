/* SPDX-License-Identifier: MIT */
/* The family of variational autoencoders: objectives that must agree, gradients by differences,
 * IWAE where log p(x) is known, the two players of FactorVAE, and the convolutional networks. */
#include "vae-bench.h"

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

// Said once, of the first batch, and only where the likelihood is one of bits.
static void
warned_of_numbers_beyond (void)
{
    static const struct {
        const char *settings;
        double scale;
        guint want;
    } rows[] = {{"latents=2", 1, 1}, {"latents=2", 0, 0}, {"latents=2;likelihood=gaussian", 1, 0}};

    for (guint k = 0; k < G_N_ELEMENTS (rows); k++) {
        const DlhTraining training = {.size = sizeof training,
                                      .schedule.kind = DLH_SCHEDULE_CONSTANT};
        const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (4)};
        g_autoptr (DlhComponent) sgd = NULL;
        g_autoptr (DlhTrainer) trainer = NULL;
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (5, 4), 3);
        g_autoptr (GError) error = NULL;
        g_auto (Fixture) f = {0};
        guint n = 0;

        load (&f, "vae", rows[k].settings);
        for (gint64 i = 0; i < 20; i++)
            dlh_tensor_set (x, i, rows[k].scale * dlh_tensor_get (x, i) + (i % 2 ? 0 : 1));
        sgd = dlh_registry_load (f.registry, DLH_OPTIMIZER, "sgd", NULL, &error);
        trainer = dlh_trainer_new (f.store, f.model, sgd, &problem, &training, &error);
        g_assert_no_error (error);
        for (guint i = 0; i < 2; i++) {
            dlh_trainer_step (trainer, x, NULL, &error);
            g_assert_no_error (error);
        }
        for (guint i = 0; i < dlh_trainer_notes (trainer)->len; i++)
            n += strstr (dlh_trainer_notes (trainer)->pdata[i], "--dataset.normalize=unit") != NULL;
        g_assert_cmpuint (n, ==, rows[k].want);
    }
}

// Latents of evaluation are its own draws: who looks between two steps changes neither.
static void
evaluation_leaves_training_alone (void)
{
    static const char *const models[] = {"vae", "iwae", "factor_vae"};
    static const char *const settings[] = {"latents=2", "latents=2;samples=3",
                                           "latents=2;discriminator=[3]"};
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (4)};

    for (guint m = 0; m < G_N_ELEMENTS (models); m++) {
        double loss[2];

        for (guint looks = 0; looks < 2; looks++) {
            g_autoptr (DlhComponent) sgd = NULL;
            g_autoptr (DlhTrainer) trainer = NULL;
            g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (5, 4), 3);
            g_autoptr (GError) error = NULL;
            g_auto (Fixture) f = {0};

            load (&f, models[m], settings[m]);
            sgd = dlh_registry_load (f.registry, DLH_OPTIMIZER, "sgd", NULL, &error);
            trainer = dlh_trainer_new (f.store, f.model, sgd, &problem, &training, &error);
            g_assert_no_error (error);
            g_assert_true (dlh_trainer_step (trainer, x, NULL, &error));
            g_assert_true (!looks || dlh_trainer_evaluate (trainer, x, NULL, &error));
            g_assert_true (dlh_trainer_step (trainer, x, NULL, &error));
            loss[looks] = dlh_trainer_value (trainer, 0);
        }
        g_assert_cmpfloat (loss[0], ==, loss[1]);
    }
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

// KL (N (mean, s^2) || Laplace) by the trapezoidal rule.
static double
laplace_divergence (double mean, double s)
{
    const double h = 1e-4;
    double sum = 0;

    for (double z = mean - 10 * s; z <= mean + 10 * s; z += h) {
        double r = (z - mean) / s, log_q = -0.5 * r * r - log (s) - 0.5 * log (2 * G_PI);

        sum += h * exp (log_q) * (log_q + fabs (z) + log (2));
    }
    return sum;
}

static void
laplace_prior (void)
{
    static const double x[] = {-1.3, 0.2, 2.1, 0};
    static const char *const models[] = {"vae", "beta_vae", "factor_vae"};
    double want = 0;

    for (guint i = 0; i < 4; i++)
        want += laplace_divergence (x[i], 0.4) / 2;
    for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
        g_auto (Fixture) f = {0};

        fixture_init (&f, models[i], LINEAR ";latents=2;prior=laplace",
                      test_tensor_from (DLH_F64, dlh_shape (2, 2), x, 4), 40, TRUE);
        copy_inputs (&f, 0.4);
        run (&f);
        near (value (&f, "kl"), want, 1e-7);
        near (value (&f, "elbo"), value (&f, "log_likelihood") - want, 1e-7);
    }
}

// At a draw: of beta-TCVAE, whose terms sum to log q - log p.
static void
laplace_draw (void)
{
    static const double x[] = {-1.3, 0.2, 2.1, 0};
    double want = 0;
    Mean m = {0};
    g_auto (Fixture) f = {0};

    for (guint i = 0; i < 4; i++)
        want += laplace_divergence (x[i], 0.4) / 2;
    fixture_init (&f, "beta_tcvae", LINEAR ";latents=2;prior=laplace",
                  test_tensor_from (DLH_F64, dlh_shape (2, 2), x, 4), 40, TRUE);
    copy_inputs (&f, 0.4);
    for (guint r = 0; r < 4000; r++) {
        run (&f);
        mean_add (&m, value (&f, "kl"));
    }
    // |z| < 5: a false alarm in a million.
    near (m.sum / m.n, want, 5 * sqrt ((m.square / m.n - want * want) / m.n));
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
    g_test_add_func ("/vae/evaluation/leaves-training-alone", evaluation_leaves_training_alone);
    g_test_add_func ("/vae/bernoulli/warned-of-numbers-beyond", warned_of_numbers_beyond);
    g_test_add_func ("/vae/one-sample/same-in-all", one_sample_elbo);
    g_test_add_func ("/vae/beta-vae/weighs-kl", beta_vae_weight);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path = g_strdup_printf ("/vae/gradients/%s", cases[i].path);

        g_test_add_data_func (path, &cases[i], gradients);
    }
    g_test_add_func ("/vae/laplace/divergence-by-quadrature", laplace_prior);
    g_test_add_func ("/vae/laplace/draws-agree", laplace_draw);
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
