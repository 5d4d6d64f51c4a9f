/* SPDX-License-Identifier: MIT */
/* Distributions against independent double arithmetic: densities by closed form, totals by enumeration
 * or quadrature, scores, Fisher information, entropies and divergences by enumeration or sampling. */
#include "test.h"

#define N_SAMPLES 40000

/* The value of an unparametrised node, as doubles. */
static double *
value_of (DlhNode *node, gsize n)
{
    g_autoptr (DlhTensor) out = test_run (node, NULL, 0);

    if (!out || dlh_tensor_count (out) != (gint64) n) {
        test_fail ("%zu values expected", n);
        return g_new0 (double, n);
    }
    return test_values (out);
}

static DlhNode *
constant (DlhGraph *graph, DlhShape shape, const double *values)
{
    g_autoptr (DlhTensor) t =
        test_tensor_from (DLH_F64, shape, values, (gsize) dlh_shape_count (shape));

    return dlh_constant (graph, t);
}

static void
check_node (const char *what, DlhNode *node, const double *want, gsize n, double tolerance)
{
    g_autofree double *got = value_of (node, n);

    for (gsize i = 0; i < n; i++)
        if (got[i] != want[i] && !(fabs (got[i] - want[i]) <= tolerance))
            test_fail ("%s: element %zu is %.17g, should be %.17g, tolerance %.3g", what, i, got[i],
                       want[i], tolerance);
}

static void
check_error (DlhGraph *graph, DlhErrorCode code, const char *text)
{
    g_autoptr (GError) error = NULL;

    g_assert_false (dlh_graph_check (graph, &error));
    test_assert_error (&error, code, text);
}

/* Categorical. */

#define K 4

static const double z_cat[2][K] = {{0.3, -1.2, 2, 0}, {-0.5, 0.25, 0.1, 1.5}};
static const double y_cat[2][K] = {{1, 0.5, -0.3, 0.2}, {0, 0, -2, 1}};

static void
softmax (const double *z, double *p)
{
    double sum = 0;

    for (guint k = 0; k < K; k++)
        sum += p[k] = exp (z[k]);
    for (guint k = 0; k < K; k++)
        p[k] /= sum;
}

static void
categorical_closed_forms (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *z = constant (graph, dlh_shape (2, K), z_cat[0]);
    DlhDistribution *d = dlh_categorical (z);
    DlhDistribution *other = dlh_categorical (constant (graph, dlh_shape (2, K), y_cat[0]));
    double entropy[2] = {0}, kl[2] = {0}, p[2][K], q[2][K], fisher[2][K][K];

    for (guint c = 0; c < 2; c++) {
        softmax (z_cat[c], p[c]);
        softmax (y_cat[c], q[c]);
        for (guint k = 0; k < K; k++) {
            entropy[c] -= p[c][k] * log (p[c][k]);
            kl[c] += p[c][k] * log (p[c][k] / q[c][k]);
            for (guint j = 0; j < K; j++)
                fisher[c][k][j] = (j == k) * p[c][k] - p[c][k] * p[c][j];
        }
    }
    for (guint k = 0; k < K; k++) {
        double want[2] = {log (p[0][k]), log (p[1][k])};
        DlhNode *y = dlh_full (graph, DLH_I64, dlh_shape (2), k);

        check_node ("log_prob", dlh_log_prob (d, y), want, 2, 1e-14);
        check_node ("log_prob i32", dlh_log_prob (d, dlh_cast (y, DLH_I32)), want, 2, 1e-14);
    }
    check_node ("entropy", dlh_entropy (d), entropy, 2, 1e-14);
    check_node ("kl", dlh_kl (d, other), kl, 2, 1e-14);
    check_node ("kl to itself", dlh_kl (d, d), (double[]){0, 0}, 2, 1e-15);
    check_node ("mean", dlh_distribution_mean (d), p[0], 2 * K, 1e-15);
    check_node ("mode", dlh_distribution_mode (d), (double[]){2, 3}, 2, 0);
    check_node ("fisher", dlh_fisher (d), fisher[0][0], 2 * K * K, 1e-15);
    g_assert_true (dlh_distribution_outputs (d) == z);
    g_assert_cmpstr (dlh_distribution_name (d), ==, "categorical");
}

static void
categorical_large_logits (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *d = dlh_categorical (
        constant (graph, dlh_shape (2, 3), (double[]){1e4, 0, -1e4, -1e4, -1e4, -1e4}));
    DlhNode *y = dlh_full (graph, DLH_I64, dlh_shape (2), 2);

    check_node ("log_prob", dlh_log_prob (d, y), (double[]){-2e4, -log (3)}, 2, 1e-11);
    check_node ("entropy", dlh_entropy (d), (double[]){0, log (3)}, 2, 1e-12);
}

/* Bernoulli. */

static void
bernoulli_closed_forms (void)
{
    const double z[2][3] = {{0.5, -2, 0}, {1, 3, -0.7}}, w[2][3] = {{0, 1, 0.2}, {1, -1, 2}};
    const double y[2][3] = {{1, 0, 1}, {0, 0.25, 1}};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *d = dlh_bernoulli (constant (graph, dlh_shape (2, 3), z[0]), 1);
    DlhDistribution *other = dlh_bernoulli (constant (graph, dlh_shape (2, 3), w[0]), 1);
    double lp[2] = {0}, entropy[2] = {0}, kl[2] = {0}, mean[6], fisher[2][3][3] = {{{0}}};

    for (guint c = 0; c < 2; c++)
        for (guint i = 0; i < 3; i++) {
            double p = 1 / (1 + exp (-z[c][i])), q = 1 / (1 + exp (-w[c][i]));

            lp[c] += y[c][i] * log (p) + (1 - y[c][i]) * log (1 - p);
            entropy[c] -= p * log (p) + (1 - p) * log (1 - p);
            kl[c] += p * log (p / q) + (1 - p) * log ((1 - p) / (1 - q));
            mean[3 * c + i] = p;
            fisher[c][i][i] = p * (1 - p);
        }
    check_node ("log_prob", dlh_log_prob (d, constant (graph, dlh_shape (2, 3), y[0])), lp, 2,
                1e-14);
    check_node ("entropy", dlh_entropy (d), entropy, 2, 1e-14);
    check_node ("kl", dlh_kl (d, other), kl, 2, 1e-14);
    check_node ("mean", dlh_distribution_mean (d), mean, 6, 1e-15);
    check_node ("mode", dlh_distribution_mode (d), (double[]){1, 0, 0, 1, 1, 0}, 6, 0);
    check_node ("fisher", dlh_fisher (d), fisher[0][0], 18, 1e-15);
}

static void
bernoulli_large_logits (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *d =
        dlh_bernoulli (constant (graph, dlh_shape (4), (double[]){1e4, -1e4, 1e4, -1e4}), 0);
    DlhNode *y = constant (graph, dlh_shape (4), (double[]){1, 0, 0, 1});

    check_node ("log_prob", dlh_log_prob (d, y), (double[]){0, 0, -1e4, -1e4}, 4, 1e-11);
    check_node ("entropy", dlh_entropy (d), (double[]){0, 0, 0, 0}, 4, 1e-11);
}

/* Continuous families. */

static void
gaussian_closed_forms (void)
{
    const double m[2][2] = {{0.5, -1}, {2, 0}}, s[2] = {-0.3, 0.4};
    const double n[2][2] = {{0, -1.5}, {1, 1}}, r[2] = {0.1, 0.2};
    const double x[2][2] = {{1, 1}, {-0.5, 0.3}};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *d = dlh_gaussian (constant (graph, dlh_shape (2, 2), m[0]),
                                       constant (graph, dlh_shape (2), s), 1);
    DlhDistribution *other = dlh_gaussian (constant (graph, dlh_shape (2, 2), n[0]),
                                           constant (graph, dlh_shape (2), r), 1);
    double lp[2] = {0}, entropy[2] = {0}, kl[2] = {0}, fisher[2][2][2] = {{{0}}};

    for (guint c = 0; c < 2; c++)
        for (guint i = 0; i < 2; i++) {
            double v = exp (2 * s[i]), u = exp (2 * r[i]);

            lp[c] -= pow (x[c][i] - m[c][i], 2) / (2 * v) + log (2 * G_PI * v) / 2;
            entropy[c] += log (2 * G_PI * G_E * v) / 2;
            kl[c] += (v / u + pow (m[c][i] - n[c][i], 2) / u - 1 + log (u / v)) / 2;
            fisher[c][i][i] = 1 / v;
        }
    check_node ("log_prob", dlh_log_prob (d, constant (graph, dlh_shape (2, 2), x[0])), lp, 2,
                1e-14);
    check_node ("entropy", dlh_entropy (d), entropy, 2, 1e-14);
    check_node ("kl", dlh_kl (d, other), kl, 2, 1e-14);
    check_node ("kl to itself", dlh_kl (d, d), (double[]){0, 0}, 2, 0);
    check_node ("fisher", dlh_fisher (d), fisher[0][0], 8, 1e-14);
    check_node ("mean", dlh_distribution_mean (d), m[0], 4, 0);
    check_node ("mode", dlh_distribution_mode (d), m[0], 4, 0);
}

static void
laplace_closed_forms (void)
{
    const double m[3] = {0.5, -1, 2}, s[3] = {-0.3, 0.4, 0}, n[3] = {0, -1, 5}, r[3] = {0.2, 0, 1};
    const double x[3] = {1, -2, 2};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *d = dlh_laplace (constant (graph, dlh_shape (3), m),
                                      constant (graph, dlh_shape (3), s), 0);
    DlhDistribution *other = dlh_laplace (constant (graph, dlh_shape (3), n),
                                          constant (graph, dlh_shape (3), r), 0);
    double lp[3], entropy[3], kl[3], fisher[3];

    for (guint i = 0; i < 3; i++) {
        double b = exp (s[i]), c = exp (r[i]), a = fabs (m[i] - n[i]);

        lp[i] = -fabs (x[i] - m[i]) / b - log (2 * b);
        entropy[i] = 1 + log (2 * b);
        kl[i] = log (c / b) + a / c + b / c * exp (-a / b) - 1;
        fisher[i] = 1 / (b * b);
    }
    check_node ("log_prob", dlh_log_prob (d, constant (graph, dlh_shape (3), x)), lp, 3, 1e-14);
    check_node ("entropy", dlh_entropy (d), entropy, 3, 1e-14);
    check_node ("kl", dlh_kl (d, other), kl, 3, 1e-14);
    check_node ("fisher", dlh_fisher (d), fisher, 3, 1e-14);
}

static void
uniform_closed_forms (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *low = constant (graph, dlh_shape (4), (double[]){0, -1, 0, 0});
    DlhNode *high = constant (graph, dlh_shape (4), (double[]){2, 3, 2, 0.5});
    DlhNode *x = constant (graph, dlh_shape (4), (double[]){0, 0, 2, -0.1});
    DlhDistribution *d = dlh_uniform_on (low, high, 0);
    DlhDistribution *wider = dlh_uniform_on (dlh_offset (low, -1), dlh_offset (high, 1), 0);

    check_node ("log_prob", dlh_log_prob (d, x),
                (double[]){-log (2), -log (4), -INFINITY, -INFINITY}, 4, 1e-15);
    check_node ("entropy", dlh_entropy (d), (double[]){log (2), log (4), log (2), log (.5)}, 4,
                1e-15);
    check_node ("kl", dlh_kl (d, wider),
                (double[]){log (2), log (1.5), log (2), log (5)}, 4, 1e-14);
    check_node ("kl from a wider one", dlh_kl (wider, d),
                (double[]){INFINITY, INFINITY, INFINITY, INFINITY}, 4, 0);
    check_node ("mean", dlh_distribution_mean (d), (double[]){1, 1, 1, .25}, 4, 1e-15);
}

// Riemann sums over a wide interval: spectral accuracy for smooth densities; a kink on a grid point
// leaves h^2.
static void
quadrature_one (void)
{
    const gint64 n = 4001;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *grid = dlh_offset (dlh_scale (dlh_arange (graph, DLH_F64, n), 0.01), -20);
    DlhNode *m = dlh_full (graph, DLH_F64, dlh_shape (n), 0.5);
    DlhNode *s = dlh_full (graph, DLH_F64, dlh_shape (n), 0.2);
    DlhNode *gaussian = dlh_sum_all (dlh_exp (dlh_log_prob (dlh_gaussian (m, s, 0), grid)));
    DlhNode *laplace = dlh_sum_all (dlh_exp (dlh_log_prob (dlh_laplace (m, s, 0), grid)));

    g_assert_cmpfloat_with_epsilon (0.01 * test_value (gaussian), 1, 1e-12);
    g_assert_cmpfloat_with_epsilon (0.01 * test_value (laplace), 1, 1e-4);
}

/* The full Gaussian, against sums over explicit inverses of 2 x 2 matrices. */

typedef struct {
    double m[2], l[3]; /* l00, l10, l11 */
} Gauss2;

static double
full_kl_reference (const Gauss2 *p, const Gauss2 *q)
{
    double sp[3] = {p->l[0] * p->l[0], p->l[0] * p->l[1], p->l[1] * p->l[1] + p->l[2] * p->l[2]};
    double sq[3] = {q->l[0] * q->l[0], q->l[0] * q->l[1], q->l[1] * q->l[1] + q->l[2] * q->l[2]};
    double dp = sp[0] * sp[2] - sp[1] * sp[1], dq = sq[0] * sq[2] - sq[1] * sq[1];
    double i[3] = {sq[2] / dq, -sq[1] / dq, sq[0] / dq};
    double u = p->m[0] - q->m[0], v = p->m[1] - q->m[1];
    double trace = i[0] * sp[0] + 2 * i[1] * sp[1] + i[2] * sp[2];

    return (trace + i[0] * u * u + 2 * i[1] * u * v + i[2] * v * v - 2 + log (dq / dp)) / 2;
}

static double
full_log_prob_reference (const Gauss2 *p, const double *x)
{
    double u = (x[0] - p->m[0]) / p->l[0], v = (x[1] - p->m[1] - p->l[1] * u) / p->l[2];

    return -(u * u + v * v) / 2 - log (p->l[0] * p->l[2]) - log (2 * G_PI);
}

static const Gauss2 full_p[3] = {{{0, 1}, {1, 0.5, 2}}, {{2, -1}, {0.7, -0.4, 1.1}},
                                 {{0.3, 0.3}, {1.5, 0, 0.6}}};
static const Gauss2 full_q[3] = {{{1, 1}, {2, 0, 1}}, {{0, -1}, {1, 1, 1}}, {{0, 0}, {1, 0.2, 3}}};

// With a factor for each of the three cases, or the first for all.
static DlhDistribution *
full_distribution (DlhGraph *graph, const Gauss2 *g, gboolean shared)
{
    double m[6], l[12];

    for (guint c = 0; c < 3; c++) {
        const Gauss2 *of = shared ? g : g + c;

        m[2 * c] = g[c].m[0];
        m[2 * c + 1] = g[c].m[1];
        // What is above the diagonal does not count.
        memcpy (l + 4 * c, (double[]){of->l[0], 99, of->l[1], of->l[2]}, 4 * sizeof *l);
    }
    return dlh_gaussian_full (
        constant (graph, dlh_shape (3, 2), m),
        constant (graph, shared ? dlh_shape (2, 2) : dlh_shape (3, 2, 2), l));
}

static void
full_closed_forms_of (gboolean shared_p, gboolean shared_q)
{
    const double x[3][2] = {{0.5, 0.5}, {-1, 2}, {0, 1}};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *p = full_distribution (graph, full_p, shared_p);
    DlhDistribution *q = full_distribution (graph, full_q, shared_q);
    double lp[3], entropy[3], kl[3], fisher[3][4];

    for (guint c = 0; c < 3; c++) {
        Gauss2 a = full_p[c], b = full_q[c];
        double s[3], det;

        memcpy (a.l, full_p[shared_p ? 0 : c].l, sizeof a.l);
        memcpy (b.l, full_q[shared_q ? 0 : c].l, sizeof b.l);
        lp[c] = full_log_prob_reference (&a, x[c]);
        kl[c] = full_kl_reference (&a, &b);
        s[0] = a.l[0] * a.l[0], s[1] = a.l[0] * a.l[1], s[2] = a.l[1] * a.l[1] + a.l[2] * a.l[2];
        det = s[0] * s[2] - s[1] * s[1];
        entropy[c] = log (2 * G_PI * G_E) + log (det) / 2;
        memcpy (fisher[c], (double[]){s[2] / det, -s[1] / det, -s[1] / det, s[0] / det},
                sizeof fisher[c]);
    }
    check_node ("log_prob", dlh_log_prob (p, constant (graph, dlh_shape (3, 2), x[0])), lp, 3,
                1e-13);
    check_node ("entropy", dlh_entropy (p), entropy, 3, 1e-13);
    check_node ("kl", dlh_kl (p, q), kl, 3, 1e-12);
    check_node ("fisher", dlh_fisher (p), fisher[0], 12, 1e-13);
}

static void
full_closed_forms (void)
{
    full_closed_forms_of (FALSE, FALSE);
    full_closed_forms_of (TRUE, FALSE);
    full_closed_forms_of (FALSE, TRUE);
    full_closed_forms_of (TRUE, TRUE);
}

static void
full_equals_diagonal (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *m = constant (graph, dlh_shape (3), (double[]){1, 2, 3});
    DlhNode *s = constant (graph, dlh_shape (3), (double[]){-1, 0, 0.5});
    DlhNode *x = constant (graph, dlh_shape (3), (double[]){1.2, 1, 3.5});
    DlhDistribution *full = dlh_gaussian_full (m, dlh_diag (dlh_exp (s)));
    DlhDistribution *diagonal = dlh_gaussian (m, s, 1);
    double want = test_value (dlh_log_prob (diagonal, x));

    check_node ("log_prob", dlh_log_prob (full, x), &want, 1, 1e-13);
}

/* All families at once: identities that hold whatever the family. */

typedef struct {
    DlhDistribution *d, *other; /* of one family, N_SAMPLES equal cases */
    DlhNode *inputs[4];         /* of d, then of other, repeated N_SAMPLES times */
    guint dim;                  /* of z */
    gboolean smooth;            /* score has mean zero and the Fisher's variance */
} Family;

static DlhNode *
repeated (DlhGraph *graph, guint n, const double *values)
{
    DlhNode *row = constant (graph, dlh_shape (n), values);

    return dlh_broadcast (row, dlh_shape (N_SAMPLES, n));
}

static const char *const family_names[] = {"categorical", "bernoulli", "gaussian",
                                           "full",        "laplace",   "uniform"};

static Family
make_family (DlhGraph *graph, guint which)
{
    DlhNode *a = repeated (graph, 3, (double[]){0.5, -0.4, 1}), *l, *lq;
    DlhNode *b = repeated (graph, 3, (double[]){-0.2, 0.3, 0.1});
    DlhNode *c = repeated (graph, 3, (double[]){0.1, 0, 0.9});
    DlhNode *e = repeated (graph, 3, (double[]){0.1, 0.2, 0.4});

    switch (which) {
    case 0:
        return (Family){dlh_categorical (a), dlh_categorical (b), {a}, 3, TRUE};
    case 1:
        return (Family){dlh_bernoulli (a, 1), dlh_bernoulli (b, 1), {a}, 3, TRUE};
    case 2:
        return (Family){dlh_gaussian (a, b, 1), dlh_gaussian (c, e, 1), {a, b}, 3, TRUE};
    case 3:
        l = constant (graph, dlh_shape (3, 3), (double[]){1, 0, 0, 0.5, 0.8, 0, -0.3, 0.2, 1.1});
        lq = constant (graph, dlh_shape (3, 3), (double[]){2, 0, 0, 0, 1, 0, 0.3, 0, 1});
        return (Family){dlh_gaussian_full (a, l), dlh_gaussian_full (c, lq), {a}, 3, TRUE};
    case 4:
        return (Family){dlh_laplace (a, b, 1), dlh_laplace (c, e, 1), {a, b}, 3, TRUE};
    default:
        return (Family){dlh_uniform_on (b, dlh_offset (dlh_exp (a), 1), 1),
                        dlh_uniform_on (dlh_offset (b, -1), dlh_offset (dlh_exp (a), 2), 1),
                        {b},
                        3,
                        FALSE};
    }
}

static void
check_sample_mean (const char *what, const double *x, gsize n, gsize stride, double want)
{
    double sum = 0, squares = 0, mean, std;

    for (gsize i = 0; i < n; i++)
        sum += x[i * stride];
    mean = sum / (double) n;
    for (gsize i = 0; i < n; i++)
        squares += pow (x[i * stride] - mean, 2);
    std = sqrt (squares / (double) (n - 1) / (double) n);
    // Rounding of the sum where all terms are equal: below n eps / 2.
    if (!(fabs (mean - want) <= 5 * std + 1e-11 * fabs (want)))
        test_fail ("%s: %.8g, should be %.8g, standard error %.3g", what, mean, want, std);
}

// The score's mean is 0, its covariance the Fisher information; entropy is E [-log p] and the
// divergence E [log p - log q] under draws. |z| <= 5 each: below 1e-6.
static void
family_by_sampling (gconstpointer data)
{
    guint which = GPOINTER_TO_UINT (data), n;
    const char *name = family_names[which];
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    Family f = make_family (graph, which);
    DlhNode *z = dlh_distribution_outputs (f.d);
    DlhNode *x = dlh_sample_from (f.d, dlh_store_stream (store, "x"));
    DlhNode *lp = dlh_log_prob (f.d, x), *lq = dlh_log_prob (f.other, x);
    DlhNode *outputs[6] = {lp, dlh_sub (lp, lq), dlh_entropy (f.d), dlh_kl (f.d, f.other),
                           NULL, NULL};
    g_autoptr (DlhFunction) function = NULL;
    g_autoptr (GError) error = NULL;
    double *v[6] = {NULL};

    n = f.smooth ? 6 : 4;
    if (f.smooth) {
        outputs[4] = dlh_gradient (lp, z);
        outputs[5] = dlh_fisher (f.d);
    }
    function = dlh_graph_compile (graph, outputs, n, &error);
    if (!function || !dlh_function_run (function, NULL, 0, &error)) {
        test_fail ("%s: %s", name, error->message);
        return;
    }
    for (guint i = 0; i < n; i++)
        v[i] = test_values (dlh_function_output (function, i));
    for (gsize i = 0; i < N_SAMPLES; i++)
        v[0][i] = -v[0][i];
    check_sample_mean (name, v[0], N_SAMPLES, 1, v[2][0]);
    check_sample_mean (name, v[1], N_SAMPLES, 1, v[3][0]);
    for (guint i = 0; f.smooth && i < f.dim; i++) {
        check_sample_mean (name, v[4] + i, N_SAMPLES, f.dim, 0);
        for (guint j = 0; j < f.dim; j++) {
            g_autofree double *products = g_new (double, N_SAMPLES);

            for (gsize c = 0; c < N_SAMPLES; c++)
                products[c] = v[4][c * f.dim + i] * v[4][c * f.dim + j];
            check_sample_mean (name, products, N_SAMPLES, 1, v[5][i * f.dim + j]);
        }
    }
    for (guint i = 0; i < 6; i++)
        g_free (v[i]);
}

static void
sample_means (gconstpointer data)
{
    guint which = GPOINTER_TO_UINT (data);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (4, DLH_F64);
    Family f = make_family (graph, which);
    DlhNode *x = dlh_sample_from (f.d, dlh_store_stream (store, "x"));
    g_autoptr (DlhTensor) draws = NULL, means = NULL;
    g_autofree double *v = NULL;

    // Of the one-hot vector.
    if (which == 0)
        x = dlh_one_hot (x, 3, DLH_F64);
    draws = test_run (x, NULL, 0);
    means = test_run (dlh_distribution_mean (f.d), NULL, 0);
    v = test_values (draws);
    for (guint i = 0; i < 3; i++)
        check_sample_mean (family_names[which], v + i, N_SAMPLES, 3, dlh_tensor_get (means, i));
}

// F v without F, against F.
static void
fisher_products (gconstpointer data)
{
    guint which = GPOINTER_TO_UINT (data);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    Family f = make_family (graph, which);
    DlhNode *v = repeated (graph, 3, (double[]){1, -2, 0.7});
    DlhNode *product = dlh_reshape (dlh_matmul (dlh_fisher (f.d), dlh_expand (v, 2)),
                                    dlh_shape (N_SAMPLES, 3));
    DlhNode *error = dlh_sub (product, dlh_fisher_multiply (f.d, v));

    g_assert_cmpfloat (test_value (dlh_norm2 (error)), <, N_SAMPLES * 1e-26);
}

// R R' v = F v, with R' v as the gradient of <v, R u> by u.
static void
fisher_roots (gconstpointer data)
{
    guint which = GPOINTER_TO_UINT (data);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    Family f = make_family (graph, which);
    DlhNode *v = repeated (graph, 3, (double[]){1, -2, 0.7}), *adjoint, *error;
    DlhNode *u = dlh_parameter (graph, store, "u", dlh_shape (N_SAMPLES, 3),
                                (DlhInit){DLH_INIT_CONSTANT, 1, 0});

    dlh_gradients (dlh_fisher_root_multiply (f.d, u), &u, 1, v, &adjoint);
    error = dlh_sub (dlh_fisher_root_multiply (f.d, adjoint), dlh_fisher_multiply (f.d, v));
    g_assert_cmpfloat (test_value (dlh_norm2 (error)), <, N_SAMPLES * 1e-26);
}

// E x^2 and its gradient through a reparameterised draw: d E x^2 / dm = 2 m.
static void
rsample_gradients (gconstpointer data)
{
    guint which = GPOINTER_TO_UINT (data);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    Family f = make_family (graph, which);
    DlhNode *x = dlh_rsample (f.d, dlh_store_stream (store, "x"));
    DlhNode *outputs[2] = {NULL, dlh_gradient (dlh_sample_from (f.d, dlh_store_stream (store, "x")),
                                               f.inputs[0])};
    g_autoptr (DlhTensor) gradient = NULL, nothing = NULL;
    g_autofree double *v = NULL;

    outputs[0] = dlh_gradient (dlh_square (x), f.inputs[0]);
    gradient = test_run (outputs[0], NULL, 0);
    nothing = test_run (outputs[1], NULL, 0);
    v = test_values (gradient);
    for (guint i = 0; i < 3; i++)
        check_sample_mean (family_names[which], v + i, N_SAMPLES, 3,
                           2 * (const double[]){0.5, -0.4, 1}[i]);
    for (gint64 i = 0; i < dlh_tensor_count (nothing); i++)
        g_assert_cmpfloat (dlh_tensor_get (nothing, i), ==, 0);
}

// dx / ds = x - m for a scale exp s.
static void
rsample_scale_gradient (void)
{
    for (guint which = 2; which <= 4; which += 2) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
        Family f = make_family (graph, which);
        DlhNode *x = dlh_rsample (f.d, dlh_store_stream (store, "x"));
        DlhNode *error =
            dlh_sub (dlh_gradient (x, f.inputs[1]), dlh_sub (x, f.inputs[0]));

        g_assert_cmpfloat (test_value (dlh_norm2 (error)), <, N_SAMPLES * 1e-28);
    }
}

/* Gradients of every formula by every parameter, by differences. */

static void
formula_gradients (void)
{
    const DlhShape shape = dlh_shape (2, 3);
    double draws[24];

    test_random (1, draws, 24);
    for (guint which = 0; which < 4; which++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *in[4], *value = constant (graph, shape, draws);
        g_autoptr (GPtrArray) tensors =
            g_ptr_array_new_with_free_func ((GDestroyNotify) dlh_tensor_unref);
        DlhDistribution *p, *q;
        DlhNode *y;

        for (guint i = 0; i < 4; i++) {
            in[i] = dlh_input (graph, "in", DLH_F64, shape);
            g_ptr_array_add (tensors, test_tensor_random (DLH_F64, shape, 10 + i));
        }
        switch (which) {
        case 0:
            p = dlh_categorical (in[0]), q = dlh_categorical (in[1]);
            value = dlh_cast (constant (graph, dlh_shape (2), (double[]){2, 0}), DLH_I64);
            break;
        case 1:
            p = dlh_bernoulli (in[0], 1), q = dlh_bernoulli (in[1], 1);
            break;
        case 2:
            p = dlh_gaussian (in[0], in[1], 1), q = dlh_gaussian (in[2], in[3], 1);
            break;
        default:
            p = dlh_laplace (in[0], in[1], 1), q = dlh_laplace (in[2], in[3], 1);
        }
        y = dlh_add (dlh_add (dlh_log_prob (p, value), dlh_entropy (p)), dlh_kl (p, q));
        y = dlh_add (y, dlh_sum_axis (dlh_reshape (dlh_fisher (p), dlh_shape (2, 9)), -1));
        test_gradient_check (family_names[which == 3 ? 4 : which], y, in,
                             (const guint[]){0, 1, 2, 3}, which < 2 ? 2 : 4,
                             (DlhTensor **) tensors->pdata, 4, 2);
    }
}

/* Refusals. */

static void
refusals (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    DlhStream *stream = dlh_store_stream (store, "s");

    for (guint which = 0; which < 8; which++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_full (graph, DLH_F64, dlh_shape (2, 3), 0);
        DlhNode *y = dlh_full (graph, DLH_F64, dlh_shape (3), 0);

        switch (which) {
        case 0:
            dlh_rsample (dlh_categorical (x), stream);
            check_error (graph, DLH_ERROR_GRAPH,
                         "reparameterised sample: the categorical distribution has none");
            break;
        case 1:
            dlh_kl (dlh_gaussian (x, x, 1), dlh_laplace (x, x, 1));
            check_error (graph, DLH_ERROR_GRAPH, "no closed form from Gaussian to Laplace");
            break;
        case 2:
            dlh_kl (dlh_gaussian (x, x, 1), dlh_gaussian (x, x, 0));
            check_error (graph, DLH_ERROR_SHAPE, "[2,3] with event rank 1 does not fit [2,3]");
            break;
        case 3:
            dlh_log_prob (dlh_gaussian (x, x, 1), y);
            check_error (graph, DLH_ERROR_SHAPE,
                         "the value is [3], a draw of this Gaussian distribution is [2,3]");
            break;
        case 4:
            dlh_gaussian (y, x, 1);
            check_error (graph, DLH_ERROR_SHAPE, "Gaussian: scale [2,3] does not broadcast to [3]");
            break;
        case 5:
            dlh_gaussian_full (x, dlh_full (graph, DLH_F64, dlh_shape (2, 2), 1));
            check_error (graph, DLH_ERROR_SHAPE, "factor [2,2] does not fit mean [2,3]");
            break;
        case 6:
            dlh_fisher (dlh_uniform_on (x, x, 0));
            check_error (graph, DLH_ERROR_GRAPH, "Fisher information: the uniform distribution");
            break;
        default:
            dlh_bernoulli (y, 2);
            check_error (graph, DLH_ERROR_SHAPE, "Bernoulli: event rank 2 of parameters [3]");
        }
    }
}

static void
add_families (const char *path, GTestDataFunc test, guint from, guint to)
{
    for (guint i = from; i <= to; i++) {
        g_autofree char *name = g_strdup_printf (path, family_names[i]);

        g_test_add_data_func (name, GUINT_TO_POINTER (i), test);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/distribution/categorical/closed-forms", categorical_closed_forms);
    g_test_add_func ("/distribution/categorical/large-logits", categorical_large_logits);
    g_test_add_func ("/distribution/bernoulli/closed-forms", bernoulli_closed_forms);
    g_test_add_func ("/distribution/bernoulli/large-logits", bernoulli_large_logits);
    g_test_add_func ("/distribution/gaussian/closed-forms", gaussian_closed_forms);
    g_test_add_func ("/distribution/laplace/closed-forms", laplace_closed_forms);
    g_test_add_func ("/distribution/uniform/closed-forms", uniform_closed_forms);
    g_test_add_func ("/distribution/full/closed-forms", full_closed_forms);
    g_test_add_func ("/distribution/full/equals-diagonal", full_equals_diagonal);
    g_test_add_func ("/distribution/density/integrates-to-1", quadrature_one);
    add_families ("/distribution/%s/entropy-kl-fisher-by-sampling", family_by_sampling, 0, 5);
    add_families ("/distribution/%s/draws-have-the-mean", sample_means, 0, 5);
    add_families ("/distribution/%s/fisher-product", fisher_products, 0, 4);
    add_families ("/distribution/%s/fisher-root", fisher_roots, 0, 4);
    add_families ("/distribution/%s/rsample-gradient", rsample_gradients, 2, 4);
    g_test_add_func ("/distribution/rsample/scale-gradient", rsample_scale_gradient);
    g_test_add_func ("/distribution/formulas/gradients", formula_gradients);
    g_test_add_func ("/distribution/wrong-use/is-refused", refusals);
    return g_test_run ();
}
