/* SPDX-License-Identifier: MIT */
/* The scores of the task disentangle on codes for which they are known. Numbers with six digits and
 * more come from quadratures and sums that share no code with the task. */
#include "test.h"
#include "../plugins/tasks/disentangle/decompose.h"
#include "../plugins/tasks/disentangle/information.h"
#include "../plugins/tasks/disentangle/scores.h"

#define LOG4 1.38629436111989061883

/* Two factors of four values, each pair @copies times; latent j has the mean sum_k map[j][k] v_k.
 */
static void
make_codes (Codes *c, guint d, const double (*map)[2], double s, gint64 copies, guint64 seed)
{
    const DlhFactor factors[] = {{.name = "a", .n_values = 4}, {.name = "b", .n_values = 4}};
    gint64 n = 16 * copies;
    g_autofree gint64 *v = g_new (gint64, 2 * n);

    g_assert_true (codes_init (c, n, d, NULL));
    test_random (seed, c->z, (gsize)n * d);
    for (gint64 i = 0; i < n; i++) {
        v[2 * i] = i % 4;
        v[2 * i + 1] = i / 4 % 4;
        for (guint j = 0; j < d; j++) {
            gsize at = j * (gsize)n + (gsize)i;

            c->mean[at] = map[j][0] * (double)v[2 * i] + map[j][1] * (double)v[2 * i + 1];
            c->log_std[at] = log (s);
            c->z[at] = c->mean[at] + s * c->z[at];
        }
    }
    codes_add_factor (c, &factors[0], v, 2);
    codes_add_factor (c, &factors[1], v + 1, 2);
}

static double
gap_by_grid (const Codes *c, double *mi)
{
    g_auto (Information) information = {0};
    g_autoptr (GError) error = NULL;
    gboolean fits = FALSE;

    information_init (&information, c);
    g_assert_true (information_by_grid (c, 4096, &information, &fits, NULL, NULL, &error));
    g_assert_true (fits);
    if (mi)
        memcpy (mi, information.mi, c->d * c->k * sizeof *mi);
    return information_gap (c, &information, NULL);
}

static double
gap_by_samples (const Codes *c)
{
    g_auto (Information) information = {0};

    information_init (&information, c);
    g_assert_true (information_by_samples (c, 10000, 3, &information, NULL, NULL, NULL));
    return information_gap (c, &information, NULL);
}

static const double aligned[][2] = {{1, 0}, {0, 1}, {0, 0}};
static const double quarter[][2] = {{G_SQRT2 / 2, -G_SQRT2 / 2}, {G_SQRT2 / 2, G_SQRT2 / 2}};
static const double ten[][2] = {{0.98480775301220806, -0.17364817766693035},
                                {0.17364817766693035, 0.98480775301220806}};
static const double permuted[][2] = {{0, 0}, {0, -1}, {-1, 0}};
static const double duplicate[][2] = {{1, 0}, {0, 1}, {1, 0}};
static const double noise[][2] = {{0, 0}, {0, 0}};

typedef struct {
    const char *name;
    guint d;
    const double (*map)[2];
    double s, gap, tolerance;
    gint64 copies; /* for samples, 0: that is left out */
} Known;

static const Known known[] = {
    {"aligned-0.1", 3, aligned, 0.1, 0.9999991, 1e-7, 0},
    {"aligned-0.25", 3, aligned, 0.25, 0.934617, 1e-6, 1000},
    {"aligned-0.5", 3, aligned, 0.5, 0.609707, 1e-6, 0},
    {"rotated-45", 2, quarter, 0.25, 0, 1e-9, 0},
    {"rotated-10", 2, ten, 0.25, 0.760474, 1e-6, 1000},
    {"duplicate", 3, duplicate, 0.1, 0.5, 1e-6, 200},
    {"noise", 2, noise, 0.5, 0, 1e-9, 200},
};

static void
known_gap (gconstpointer testdata)
{
    const Known *t = testdata;
    g_auto (Codes) few = {0}, many = {0};
    double gap, sampled;

    make_codes (&few, t->d, t->map, t->s, 1, 1);
    gap = gap_by_grid (&few, NULL);
    test_assert_within (&gap, &t->gap, 1, t->tolerance);
    if (!t->copies)
        return;
    make_codes (&many, t->d, t->map, t->s, t->copies, 1);
    sampled = gap_by_samples (&many);
    test_assert_within (&sampled, &gap, 1, 0.01);
}

static void
rotated_information (void)
{
    g_auto (Codes) c = {0};
    const double want[] = {0.391931, 0.391931, 0.391931, 0.391931};
    double mi[4];

    make_codes (&c, 2, quarter, 0.25, 1, 1);
    gap_by_grid (&c, mi);
    test_assert_within (mi, want, 4, 1e-6);
}

static void
order_and_signs (void)
{
    g_auto (Codes) c = {0}, other = {0};
    double a, b;

    make_codes (&c, 3, aligned, 0.25, 1, 1);
    make_codes (&other, 3, permuted, 0.25, 1, 1);
    a = gap_by_grid (&c, NULL);
    b = gap_by_grid (&other, NULL);
    test_assert_within (&a, &b, 1, 1e-9);
}

// A factor that is known but not asked for, and one of a single value, change nothing.
static void
nuisance (void)
{
    g_auto (Codes) c = {0};
    const DlhFactor shape = {.name = "shape", .n_values = 2, .nuisance = TRUE};
    const DlhFactor constant = {.name = "constant", .n_values = 3};
    gint64 v[16] = {0}, one[16];
    double a, b;

    make_codes (&c, 3, aligned, 0.25, 1, 1);
    a = gap_by_grid (&c, NULL);
    for (guint i = 0; i < 16; i++) {
        v[i] = i % 3 == 0;
        one[i] = 2;
    }
    codes_add_factor (&c, &shape, v, 1);
    codes_add_factor (&c, &constant, one, 1);
    b = gap_by_grid (&c, NULL);
    test_assert_within (&a, &b, 1, 0);
}

static void
negative_is_none (void)
{
    g_auto (Codes) c = {0};
    double mi[] = {-0.3, 0.2, -0.1, -0.2}, gaps[2], gap;
    const Information information = {.mi = mi};
    const double want[] = {0, 0.2 / LOG4};

    make_codes (&c, 2, noise, 0.25, 1, 1);
    gap = information_gap (&c, &information, gaps);
    test_assert_close (gaps, want, 2, 1);
    test_assert_close (&gap, &(double){want[1] / 2}, 1, 1);
}

// The sampler's entropies are those of z: with means in their place another number comes out.
static void
means_for_samples (void)
{
    g_auto (Codes) c = {0};

    make_codes (&c, 3, aligned, 0.5, 100, 1);
    memcpy (c.z, c.mean, (gsize)c.n * c.d * sizeof (double));
    g_assert_cmpfloat (fabs (gap_by_samples (&c) - 0.609707), >, 0.05);
}

/* An example of weight w counts as w examples. */
static void
weights (void)
{
    g_auto (Codes) c = {0}, repeated = {0};
    const DlhFactor a = {.name = "a", .n_values = 4}, b = {.name = "b", .n_values = 4};
    double w[16], gap, want, by_samples;
    gint64 total = 0, at = 0;
    gint64 v[16][2], r[100][2];

    make_codes (&c, 3, aligned, 0.5, 1, 1);
    for (gint64 i = 0; i < 16; i++) {
        w[i] = (double)(1 + i % 3 + i / 8);
        total += (gint64)w[i];
        v[i][0] = i % 4;
        v[i][1] = i / 4;
    }
    g_assert_true (codes_init (&repeated, total, 3, NULL));
    for (gint64 i = 0; i < 16; i++)
        for (gint64 copy = 0; copy < (gint64)w[i]; copy++, at++) {
            for (guint j = 0; j < 3; j++) {
                repeated.mean[j * total + at] = c.mean[j * 16 + i];
                repeated.log_std[j * total + at] = c.log_std[j * 16 + i];
            }
            memcpy (r[at], v[i], sizeof r[at]);
        }
    codes_add_factor (&repeated, &a, &r[0][0], 2);
    codes_add_factor (&repeated, &b, &r[0][1], 2);
    codes_clear (&c);
    make_codes (&c, 3, aligned, 0.5, 400, 1);
    {
        g_autofree double *all = g_new (double, 6400);
        g_autofree gint64 *values = g_new (gint64, 12800);

        for (gint64 i = 0; i < 6400; i++) {
            all[i] = w[i % 16];
            memcpy (values + 2 * i, v[i % 16], sizeof v[0]);
        }
        codes_set_weights (&c, all);
        for (guint k = 0; k < c.k; k++) {
            g_free (c.factors[k].value);
            g_free (c.factors[k].mass);
            g_free (c.factors[k].order);
            g_free (c.factors[k].start);
        }
        c.k = 0;
        codes_add_factor (&c, &a, values, 2);
        codes_add_factor (&c, &b, values + 1, 2);
    }
    gap = gap_by_grid (&c, NULL);
    want = gap_by_grid (&repeated, NULL);
    by_samples = gap_by_samples (&c);
    test_assert_within (&gap, &want, 1, 1e-9);
    test_assert_within (&by_samples, &want, 1, 0.01);
}

static void
narrow (void)
{
    g_auto (Codes) c = {0};
    g_auto (Information) information = {0};
    gboolean fits = TRUE;

    make_codes (&c, 3, aligned, 1e-5, 1, 1);
    information_init (&information, &c);
    g_assert_true (information_by_grid (&c, 4096, &information, &fits, NULL, NULL, NULL));
    g_assert_false (fits);
}

/* Mixtures of four Gaussians of deviation 0.5 whose parts of the divergence are known by
 * quadrature.
 */
typedef struct {
    const char *name;
    double means[4][2];
    double information, correlation;
} Mixture4;

static const Mixture4 mixtures[] = {
    {"corners", {{1, 1}, {1, -1}, {-1, 1}, {-1, -1}}, 1.265440, 0},
    {"diagonal", {{1, 1}, {1, 1}, {-1, -1}, {-1, -1}}, 0.686536, 0.578905},
};

static void
known_parts (gconstpointer testdata)
{
    const Mixture4 *t = testdata;
    g_auto (Codes) c = {0};
    g_autoptr (GError) error = NULL;
    double zero[] = {0, 0};
    const CodePrior prior = {zero, zero, FALSE};
    const gint64 copies = 3000, n = 4 * copies;
    Decomposition d;

    g_assert_true (codes_init (&c, n, 2, NULL));
    test_random (7, c.z, (gsize)n * 2);
    for (gint64 i = 0; i < n; i++)
        for (guint j = 0; j < 2; j++) {
            c.mean[j * n + i] = t->means[i % 4][j];
            c.log_std[j * n + i] = log (0.5);
            c.z[j * n + i] = c.mean[j * n + i] + 0.5 * c.z[j * n + i];
        }
    g_assert_true (decompose (&c, &prior, 5000, 1, NULL, &d, NULL, &error));
    g_assert_no_error (error);
    // Without correlation both densities are equal at each sample.
    g_assert_cmpfloat (fabs (d.information - t->information), <, 4 * d.information_se);
    g_assert_cmpfloat (fabs (d.correlation - t->correlation), <, 4 * d.correlation_se + 1e-9);
    g_assert_cmpfloat (fabs (d.dimensions - 0.370854), <, 4 * d.dimensions_se);
    g_assert_cmpfloat (d.information_se, <, 0.02);
    g_assert_cmpfloat (fabs (d.kl - 1.636294), <, 1e-6);
    g_assert_cmpfloat (fabs (d.information + d.correlation + d.dimensions - d.kl), <, 1e-10);
}

// E [-log p (z)] for z ~ N (mean, s^2), by the trapezoidal rule.
static void
cross_entropy (void)
{
    static const double means[] = {-1.5, 0, 0.7}, deviations[] = {0.05, 0.6, 2};
    double location = 0.3, log_scale = log (1.7);
    const double h = 1e-4;

    for (guint laplace = 0; laplace < 2; laplace++) {
        const CodePrior prior = {&location, &log_scale, laplace};

        for (guint i = 0; i < 9; i++) {
            double mean = means[i % 3], s = deviations[i / 3], want = 0;

            for (double z = mean - 10 * s; z <= mean + 10 * s; z += h * s) {
                double r = (z - mean) / s, t = (z - location) / 1.7;
                double p = laplace ? fabs (t) + log (2 * 1.7)
                                   : 0.5 * t * t + log (1.7) + 0.5 * log (2 * G_PI);

                want += h * exp (-0.5 * r * r) / sqrt (2 * G_PI) * p;
            }
            g_assert_cmpfloat (fabs (prior_cross (&prior, 0, mean, log (s)) - want), <, 1e-7);
        }
    }
}

// 1000 apart, each example is alone: I = log n, and the correlation (d - 1) log n.
static void
resolved (void)
{
    g_auto (Codes) c = {0};
    double zero[] = {0, 0, 0};
    const CodePrior prior = {zero, zero, FALSE};
    const gint64 n = 50;
    Decomposition d;

    g_assert_true (codes_init (&c, n, 3, NULL));
    for (gint64 i = 0; i < 3 * n; i++) {
        c.mean[i] = 1000.0 * (double)(i % n);
        c.log_std[i] = 0;
        c.z[i] = c.mean[i];
    }
    g_assert_true (decompose (&c, &prior, 100, 1, NULL, &d, NULL, NULL));
    // At the means, where log q (z|n) exceeds minus the entropy by half a nat a dimension.
    g_assert_cmpfloat (fabs (d.information + 1.5 - log (50)), <, 1e-9);
    g_assert_cmpfloat (fabs (d.correlation - 2 * log (50)), <, 1e-9);
}

/* Predictors. The values of the two factors are 0 .. 3 as numbers unless they are to be categories.
 */
static const double numbers[] = {0, 1, 2, 3};
static const ScoreOptions few_cases = {2000, 1000, 32, 5};

static void
make_numbered (Codes *c, guint d, const double (*map)[2], gint64 copies)
{
    make_codes (c, d, map, 0.1, copies, 1);
    for (guint k = 0; k < c->k; k++)
        c->factors[k].values = numbers;
}

typedef struct {
    const char *name;
    guint d;
    const double (*map)[2];
    gboolean categories;
    double sap, disentanglement, completeness, factor_vae, beta_vae;
    double slack; /* of DCI */
} Predicted;

static const Predicted predicted[] = {
    {"aligned", 2, aligned, FALSE, 1, 1, 1, 1, 1, 0.01},
    {"categories", 2, aligned, TRUE, 0.75, 1, 1, 1, 1, 0.01},
    {"permuted", 3, permuted, FALSE, 1, 1, 1, 1, 1, 0.01},
    // Each explains half of the variance of both factors.
    {"rotated-45", 2, quarter, FALSE, 0, 0, 0, NAN, NAN, 0.05},
};

static void
known_scores (gconstpointer testdata)
{
    const Predicted *t = testdata;
    g_auto (Codes) c = {0};
    double sap, factor_vae, beta_vae;
    Dci dci;

    make_numbered (&c, t->d, t->map, 20);
    for (guint k = 0; k < c.k && t->categories; k++)
        c.factors[k].values = NULL;
    sap = score_sap (&c);
    dci = score_dci (&c, &few_cases);
    factor_vae = score_factor_vae (&c, &few_cases);
    beta_vae = score_beta_vae (&c, &few_cases);
    // Of a category a latent that knows nothing is right once in four times.
    test_assert_within (&sap, &t->sap, 1, 0.03);
    test_assert_within (&dci.disentanglement, &t->disentanglement, 1, t->slack);
    test_assert_within (&dci.completeness, &t->completeness, 1, t->slack);
    g_assert_cmpfloat (dci.informativeness, >, 0.99);
    if (isnan (t->factor_vae))
        return;
    test_assert_within (&factor_vae, &t->factor_vae, 1, 1e-9);
    test_assert_within (&beta_vae, &t->beta_vae, 1, 0.01);
}

// Codes that know nothing: both factors are told apart by chance alone.
static void
chance (void)
{
    g_auto (Codes) c = {0};
    double factor_vae, beta_vae, deviation = sqrt (0.25 / 1000);

    make_numbered (&c, 2, noise, 500);
    test_random (11, c.mean, (gsize)c.n * 2);
    factor_vae = score_factor_vae (&c, &few_cases);
    beta_vae = score_beta_vae (&c, &few_cases);
    g_assert_cmpfloat (fabs (factor_vae - 0.5), <, 5 * deviation + 0.02);
    g_assert_cmpfloat (fabs (beta_vae - 0.5), <, 5 * deviation + 0.02);
    g_assert_cmpfloat (score_sap (&c), <, 0.05);
    g_assert_cmpfloat (score_dci (&c, &few_cases).informativeness, <, 0.3);
}

static void
unused_latents (void)
{
    g_auto (Codes) c = {0};

    make_codes (&c, 2, noise, 0.1, 20, 1);
    g_assert_cmpfloat (score_factor_vae (&c, &few_cases), ==, 0);
}

// A latent that hardly moves at all is not the one that a factor holds still.
static void
relative_variance (void)
{
    g_auto (Codes) c = {0};
    g_autofree double *e = NULL;

    make_numbered (&c, 3, aligned, 200);
    e = g_new (double, 3 * c.n);
    test_random (12, e, (gsize)c.n * 3);
    for (gint64 i = 0; i < 3 * c.n; i++)
        c.mean[i] += (i < 2 * c.n ? 0.4 : 0.15) * e[i];
    g_assert_cmpfloat (score_factor_vae (&c, &few_cases), >, 0.99);
}

// Worked out by hand: 1 - H(3/4, 1/4) / log 2, and shares that lie in one place or in all.
static void
importance (void)
{
    const double some[] = {0.75, 0.25, 0.25, 0.75}, one[] = {1, 0, 0, 1}, all[] = {1, 1, 1, 1};
    const double uneven[] = {3, 0, 0.5, 0.5}, part = 0.18872187554086717;
    Dci dci;

    dci_of_importance (some, 2, 2, &dci);
    test_assert_close (&dci.disentanglement, &part, 1, 2);
    test_assert_close (&dci.completeness, &part, 1, 2);
    dci_of_importance (one, 2, 2, &dci);
    g_assert_cmpfloat (dci.disentanglement, ==, 1);
    dci_of_importance (all, 2, 2, &dci);
    test_assert_close (&dci.disentanglement, &(double){0}, 1, 1);
    // The first latent has three quarters of all importance and one factor, the other has none.
    dci_of_importance (uneven, 2, 2, &dci);
    test_assert_close (&dci.disentanglement, &(double){0.75}, 1, 2);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
        g_autofree char *path = g_strdup_printf ("/disentangle/gap/%s", known[i].name);

        g_test_add_data_func (path, &known[i], known_gap);
    }
    g_test_add_func ("/disentangle/prior/cross-entropies", cross_entropy);
    g_test_add_func ("/disentangle/information/rotated", rotated_information);
    g_test_add_func ("/disentangle/gap/order-and-signs", order_and_signs);
    g_test_add_func ("/disentangle/gap/nuisance-is-left-out", nuisance);
    g_test_add_func ("/disentangle/gap/negative-is-none", negative_is_none);
    g_test_add_func ("/disentangle/gap/means-are-no-samples", means_for_samples);
    g_test_add_func ("/disentangle/gap/weights-are-copies", weights);
    g_test_add_func ("/disentangle/grid/too-narrow", narrow);
    for (guint i = 0; i < G_N_ELEMENTS (mixtures); i++) {
        g_autofree char *path = g_strdup_printf ("/disentangle/parts/%s", mixtures[i].name);

        g_test_add_data_func (path, &mixtures[i], known_parts);
    }
    g_test_add_func ("/disentangle/parts/resolved", resolved);
    for (guint i = 0; i < G_N_ELEMENTS (predicted); i++) {
        g_autofree char *path = g_strdup_printf ("/disentangle/scores/%s", predicted[i].name);

        g_test_add_data_func (path, &predicted[i], known_scores);
    }
    g_test_add_func ("/disentangle/scores/chance", chance);
    g_test_add_func ("/disentangle/scores/unused-latents", unused_latents);
    g_test_add_func ("/disentangle/scores/relative-variance", relative_variance);
    g_test_add_func ("/disentangle/dci/importance", importance);
    return g_test_run ();
}
