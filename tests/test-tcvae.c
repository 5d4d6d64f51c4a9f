/* SPDX-License-Identifier: MIT */
/* beta-TCVAE: identities of its objective, the weights of its estimators, and what enumeration says
 * of four Gaussians in the plane. */
#include "vae-bench.h"

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

// The share 0.95 - t / 4 of the dimension-wise divergences is left out at step t, none when
// evaluated.
static void
lambda_fades (void)
{
    static const char settings[] = "latents=3;beta=2;gamma=3;warmup=2;lambda_warmup=4";
    g_auto (Fixture) f = {0}, evaluated = {0};

    fixture_init (&f, "beta_tcvae", settings, test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40,
                  TRUE);
    for (guint t = 0; t < 7; t++) {
        run (&f);
        near (value (&f, "beta"), 2 * MIN (1, t / 2.0), 1e-12);
        near (value (&f, "lambda"), MAX (0, 0.95 - t / 4.0), 1e-12);
        near (value (&f, "loss"),
              value (&f, "mutual_information") - value (&f, "log_likelihood") +
                  value (&f, "beta") * value (&f, "total_correlation") +
                  3 * (1 - MAX (0, 0.95 - t / 4.0)) * value (&f, "dimension_kl"),
              1e-10);
    }
    fixture_init (&evaluated, "beta_tcvae", settings,
                  test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, FALSE);
    run (&evaluated);
    near (value (&evaluated, "lambda"), 0, 0);
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

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/tcvae/telescoping/sums-to-elbo", telescoping);
    g_test_add_func ("/tcvae/weights/of-terms", weights_of_terms);
    g_test_add_func ("/tcvae/warm-up/linear-then-constant", warm_up);
    g_test_add_func ("/tcvae/lambda/fades-then-zero", lambda_fades);
    g_test_add_func ("/tcvae/resolved/own-weights", resolved);
    g_test_add_func ("/tcvae/pairs/sums-of-weights", pairs_of_weights);
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        g_autofree char *path = g_strdup_printf ("/tcvae/enumerable/%s", rows[i].path);

        g_test_add_data_func (path, &rows[i], enumerable);
    }
    g_test_add_func ("/tcvae/enumerable/whole-set-terms", whole_set_terms);
    return g_test_run ();
}
