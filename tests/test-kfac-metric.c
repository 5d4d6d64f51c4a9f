/* SPDX-License-Identifier: MIT */
/* The coordinate-free construction (sheet 3.10): the metric of a layer is built from its
 * definition, two bilinear forms from samples, with a forward and backward pass in loops; the
 * natural gradient under it, by one dense solve, is K-FAC's step. For each metric on the outputs,
 * of distributions of the library and of this test. A tanh net 3-4-2. */
#include "kfac-bench.h"

enum { B = 30, I = 3, H = 4, Z = 2, COLUMNS = 2, N1 = H * (I + 1), N2 = Z * (H + 1) };

static const double log_std[Z] = {0.3, -0.4};

/* Families of the test. */

// - log p = r + 2 softplus (-r), r = y - z: Fisher 1/3, another Hessian for each y.
static DlhNode *
residual (DlhDistribution *d, DlhNode *value)
{
    return dlh_sub (value, dlh_distribution_outputs (d));
}

static DlhNode *
logistic_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *r = residual (d, value);

    return dlh_sum_last (dlh_neg (dlh_add (r, dlh_scale (dlh_softplus (dlh_neg (r)), 2))), 1);
}

static DlhNode *
logistic_sample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *z = dlh_distribution_outputs (d);
    DlhNode *u = dlh_uniform (dlh_node_graph (z), stream, dlh_node_dtype (z), dlh_node_shape (z));

    u = dlh_offset (dlh_scale (u, 1 - 2e-9), 1e-9);
    return dlh_add (z, dlh_sub (dlh_log (u), dlh_log1p (dlh_neg (u))));
}

static DlhNode *
logistic_multiply (DlhDistribution *d, DlhNode *v)
{
    (void)d;
    return dlh_scale (v, 1.0 / 3);
}

static DlhNode *
logistic_root_multiply (DlhDistribution *d, DlhNode *v)
{
    (void)d;
    return dlh_scale (v, sqrt (1.0 / 3));
}

static const DlhDistributionClass logistic = {
    .size = sizeof (DlhDistributionClass),
    .name = "logistic",
    .log_prob = logistic_log_prob,
    .sample = logistic_sample,
    .fisher_multiply = logistic_multiply,
    .fisher_root_multiply = logistic_root_multiply,
};

// - log p = (r1^2 + r1 r2 + r2^2) / 2 + log cosh (r1 - r2), up to a constant; no draws, no root.
static DlhNode *
coupled_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *r = residual (d, value), *a = dlh_index (r, 1, 0), *b = dlh_index (r, 1, 1);
    DlhNode *c = dlh_sub (a, b);
    DlhNode *square = dlh_add (dlh_add (dlh_square (a), dlh_mul (a, b)), dlh_square (b));

    c = dlh_log (dlh_add (dlh_exp (c), dlh_exp (dlh_neg (c))));
    return dlh_neg (dlh_add (dlh_scale (square, 0.5), c));
}

static const DlhDistributionClass coupled = {
    .size = sizeof (DlhDistributionClass),
    .name = "coupled",
    .log_prob = coupled_log_prob,
};

// - log p = log (1 + r^2): not convex.
static DlhNode *
cauchy_log_prob (DlhDistribution *d, DlhNode *value)
{
    return dlh_neg (dlh_sum_last (dlh_log1p (dlh_square (residual (d, value))), 1));
}

static const DlhDistributionClass cauchy = {
    .size = sizeof (DlhDistributionClass),
    .name = "Cauchy",
    .log_prob = cauchy_log_prob,
};

typedef enum { BERNOULLI = 1, GAUSSIAN, LAPLACE, LOGISTIC, COUPLED, CAUCHY } Family;

static Family family; /* of the net that is built next */

static DlhDistribution *
predict (DlhNode *z)
{
    g_autoptr (DlhTensor) s = test_tensor_from (DLH_F64, dlh_shape (Z), log_std, Z);

    switch (family) {
    case BERNOULLI:
        return dlh_bernoulli (z, 1);
    case GAUSSIAN:
        return dlh_gaussian (z, dlh_constant (dlh_node_graph (z), s), 1);
    case LAPLACE:
        return dlh_laplace (z, dlh_constant (dlh_node_graph (z), s), 1);
    case LOGISTIC:
        return dlh_distribution_new (&logistic, &z, 1, 1);
    case COUPLED:
        return dlh_distribution_new (&coupled, &z, 1, 1);
    default:
        return dlh_distribution_new (&cauchy, &z, 1, 1);
    }
}

static gboolean
net (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
     DlhObjective *objective, GError **error)
{
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.6};

    (void)problem, (void)options, (void)error;
    x = dlh_tanh (dlh_dense (b, "l0", x, H, init, TRUE));
    dlh_objective_predict (objective, predict (dlh_dense (b, "l1", x, Z, init, TRUE)), y);
    return TRUE;
}

static void
open_net (Bench *b, Family which, const char *settings)
{
    DlhTensor *x = test_tensor_random (DLH_F64, dlh_shape (B, I), 1);
    DlhTensor *y = test_tensor_random (DLH_F64, dlh_shape (B, Z), 2);

    for (gint64 i = 0; which == BERNOULLI && i < B * Z; i++)
        dlh_tensor_set (y, i, dlh_tensor_get (y, i) > 0);
    family = which;
    bench_open (b, net, "kfac", settings, x, y);
}

/* Roots of the metric on the outputs, by formulas: @v (column, z). */

static double
logistic_function (double x)
{
    return 1 / (1 + exp (-x));
}

// Eigenvectors of [a c; c b], scaled by the roots of the positive parts of their eigenvalues.
static void
root_of_2x2 (double a, double b, double c, double v[COLUMNS][Z])
{
    const double mean = (a + b) / 2, half = hypot ((a - b) / 2, c);
    const double angle = atan2 (2 * c, a - b) / 2;

    for (guint k = 0; k < 2; k++) {
        const double s = sqrt (MAX (k ? mean - half : mean + half, 0));

        v[k][0] = s * (k ? -sin (angle) : cos (angle));
        v[k][1] = s * (k ? cos (angle) : sin (angle));
    }
}

static void
metric_root (const char *fisher, const double *z, const double *y, double v[COLUMNS][Z])
{
    memset (v, 0, COLUMNS * Z * sizeof (double));
    for (guint i = 0; i < Z; i++) {
        const double p = logistic_function (z[i]), r = y[i] - z[i], q = logistic_function (r);

        if (strcmp (fisher, "euclidean") == 0)
            v[i][i] = 1;
        else if (strcmp (fisher, "empirical") == 0 && family == BERNOULLI)
            v[0][i] = p - y[i]; // one column
        else if (family == BERNOULLI)
            v[i][i] = sqrt (p * (1 - p));
        else if (family == GAUSSIAN || family == LAPLACE)
            v[i][i] = exp (-log_std[i]);
        else if (family == LOGISTIC)
            v[i][i] = strcmp (fisher, "exact") == 0 ? sqrt (1.0 / 3) : sqrt (2 * q * (1 - q));
        else if (family == CAUCHY)
            v[i][i] = sqrt (MAX (2 * (1 - r * r), 0)) / (1 + r * r);
    }
    if (family == COUPLED && strcmp (fisher, "gauss_newton") == 0) {
        const double s = 1 / cosh (y[0] - z[0] - y[1] + z[1]);

        root_of_2x2 (1 + s * s, 1 + s * s, 0.5 - s * s, v);
    }
}

/* Samples of both layers: abar, and the pull-backs Ds of the metric's columns. */

typedef struct {
    double a[B][H + 1];
    double s[B * COLUMNS][H]; /* as many rows a case as columns; their sum over columns counts */
    gsize n_in, n_out;
} Samples;

static void
sample_layers (Bench *b, const char *fisher, Samples *l0, Samples *l1)
{
    const double *x = dlh_tensor_get_data (b->x), *y = dlh_tensor_get_data (b->y);
    const double *w0 = bench_value (b, "m/l0/weight"), *b0 = bench_value (b, "m/l0/bias");
    const double *w1 = bench_value (b, "m/l1/weight"), *b1 = bench_value (b, "m/l1/bias");

    *l0 = (Samples){.n_in = I + 1, .n_out = H};
    *l1 = (Samples){.n_in = H + 1, .n_out = Z};
    for (guint n = 0; n < B; n++) {
        double z[Z], v[COLUMNS][Z];

        for (guint i = 0; i <= I; i++)
            l0->a[n][i] = i < I ? x[n * I + i] : 1;
        for (guint h = 0; h < H; h++) {
            double s = b0[h];

            for (guint i = 0; i < I; i++)
                s += w0[h * I + i] * x[n * I + i];
            l1->a[n][h] = tanh (s);
        }
        l1->a[n][H] = 1;
        for (guint o = 0; o < Z; o++) {
            z[o] = b1[o];
            for (guint h = 0; h < H; h++)
                z[o] += w1[o * H + h] * l1->a[n][h];
        }
        metric_root (fisher, z, y + n * Z, v);
        for (guint c = 0; c < COLUMNS; c++)
            for (guint o = 0; o < Z; o++) {
                l1->s[n * COLUMNS + c][o] = v[c][o];
                for (guint h = 0; h < H; h++)
                    l0->s[n * COLUMNS + c][h] +=
                        (1 - l1->a[n][h] * l1->a[n][h]) * w1[o * H + h] * v[c][o];
            }
    }
}

// The metric's matrix in the basis (pre-activation o, covector i): E[e_i (abar) e_j (abar)] times
// E[Ds (e_o) Ds (e_p)].
static double *
metric_matrix (const Samples *l)
{
    const gsize n = l->n_in * l->n_out;
    double *m = g_new (double, n *n);

    for (gsize r = 0; r < n; r++)
        for (gsize c = 0; c < n; c++) {
            const gsize o = r / l->n_in, i = r % l->n_in, p = c / l->n_in, j = c % l->n_in;
            double on_covectors = 0, on_outputs = 0;

            for (gsize k = 0; k < B; k++)
                on_covectors += l->a[k][i] * l->a[k][j] / B;
            for (gsize k = 0; k < B * COLUMNS; k++)
                on_outputs += l->s[k][o] * l->s[k][p] / B;
            m[r * n + c] = on_covectors * on_outputs;
        }
    return m;
}

// g (delta, delta) = E[(Ds (delta abar))^2], abar and Ds drawn independently: all pairs.
static double
length_from_samples (const Samples *l, const double *delta)
{
    double sum = 0;

    for (gsize i = 0; i < B; i++)
        for (gsize k = 0; k < B * COLUMNS; k++) {
            double ds = 0;

            for (gsize o = 0; o < l->n_out; o++)
                for (gsize j = 0; j < l->n_in; j++)
                    ds += l->s[k][o] * delta[o * l->n_in + j] * l->a[i][j];
            sum += ds * ds / (B * B);
        }
    return sum;
}

// delta' (A kron G) delta with K-FAC's factors.
static double
length_from_factors (Bench *b, guint layer, const Samples *l, const double *delta)
{
    const double *a = bench_value (b, "kfac/m/l%u/weight/A", layer);
    const double *g = bench_value (b, "kfac/m/l%u/weight/G", layer);
    double sum = 0;

    for (gsize o = 0; o < l->n_out; o++)
        for (gsize p = 0; p < l->n_out; p++)
            for (gsize i = 0; i < l->n_in; i++)
                for (gsize j = 0; j < l->n_in; j++)
                    sum += delta[o * l->n_in + i] * g[o * l->n_out + p] * a[i * l->n_in + j] *
                           delta[p * l->n_in + j];
    return sum;
}

// (n_out, n_in) with the bias as the last column, from two arrays.
static void
join (const double *w, const double *c, const Samples *l, double *out)
{
    for (gsize o = 0; o < l->n_out; o++)
        for (gsize i = 0; i < l->n_in; i++)
            out[o * l->n_in + i] = i + 1 < l->n_in ? w[o * (l->n_in - 1) + i] : c[o];
}

#define UNDAMPED                                                                                   \
    "lr=1 momentum=0 kl_clip=0 statistics=1 inverses=1 damping=0 inverse=eigen strict=true "       \
    "fisher="

static void
check_metric (Family which, const char *fisher)
{
    g_autofree char *settings = g_strconcat (UNDAMPED, fisher, NULL);
    g_autofree Samples *l = g_new (Samples, 2);
    double before[2][N1], want[2][N1];
    g_auto (Bench) b = {0};

    open_net (&b, which, settings);
    bench_step (&b); // collects
    sample_layers (&b, fisher, &l[0], &l[1]);
    for (guint k = 0; k < 2; k++) {
        g_autofree char *weight = g_strdup_printf ("m/l%u/weight", k);
        g_autofree char *bias = g_strdup_printf ("m/l%u/bias", k);
        g_autofree double *w = bench_gradient (&b, weight), *c = bench_gradient (&b, bias);
        g_autofree double *m = metric_matrix (&l[k]);

        join (w, c, &l[k], want[k]);
        for (guint i = 0; i < l[k].n_in * l[k].n_out; i++)
            want[k][i] = -want[k][i];
        dense_solve (m, l[k].n_in * l[k].n_out, want[k], 1);
        join (bench_value (&b, "m/l%u/weight", k), bench_value (&b, "m/l%u/bias", k), &l[k],
              before[k]);
    }
    bench_step (&b);
    for (guint k = 0; k < 2; k++) {
        const gsize n = l[k].n_in * l[k].n_out;
        double delta[N1], scale = 0, length;

        join (bench_value (&b, "m/l%u/weight", k), bench_value (&b, "m/l%u/bias", k), &l[k], delta);
        for (gsize i = 0; i < n; i++) {
            delta[i] -= before[k][i];
            scale = MAX (scale, fabs (want[k][i]));
        }
        if (!test_close_at (G_STRLOC, delta, want[k], n, 1e-12 * MAX (scale, 1)))
            test_fail ("family %d, fisher=%s, layer %u", (int)which, fisher, k);
        length = length_from_samples (&l[k], delta);
        // Factors are those of the second step, at the parameters from before it.
        g_assert_cmpfloat_with_epsilon (length_from_factors (&b, k, &l[k], delta), length,
                                        1e-12 * length);
    }
}

static void
natural_gradient (void)
{
    check_metric (BERNOULLI, "exact");
    check_metric (GAUSSIAN, "exact");
    check_metric (LAPLACE, "exact");
}

static void
other_metrics (void)
{
    check_metric (BERNOULLI, "euclidean");
    check_metric (GAUSSIAN, "euclidean");
    check_metric (COUPLED, "euclidean"); // needs nothing of the family
}

// Where the outputs are natural parameters the Hessian is the Fisher.
static void
gauss_newton_natural (void)
{
    check_metric (BERNOULLI, "gauss_newton");
    check_metric (GAUSSIAN, "gauss_newton");
}

static void
gauss_newton_hessian (void)
{
    check_metric (LOGISTIC, "gauss_newton");
    check_metric (COUPLED, "gauss_newton");
    check_metric (CAUCHY, "gauss_newton"); // its positive part
}

static void
custom_root (void)
{
    check_metric (LOGISTIC, "exact");
}

// Softmax: the Hessian does depend on the target in the graph, but not in value.
static gboolean
softmax_net (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.6};

    (void)problem, (void)options, (void)error;
    x = dlh_tanh (dlh_dense (b, "l0", x, H, init, TRUE));
    dlh_objective_classify (objective, dlh_dense (b, "l1", x, 3, init, TRUE), y);
    return TRUE;
}

static void
gauss_newton_softmax (void)
{
    g_autofree double *g = NULL;

    for (guint i = 0; i < 2; i++) {
        DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (B), NULL);
        g_auto (Bench) b = {0};

        for (gint64 k = 0; k < B; k++)
            dlh_tensor_set (y, k, (double)(k * 5 % 7 % 3));
        bench_open (&b, softmax_net, "kfac", i ? "fisher=gauss_newton" : "fisher=exact",
                    test_tensor_random (DLH_F64, dlh_shape (B, I), 1), y);
        bench_step (&b);
        if (i)
            test_assert_within (bench_value (&b, "kfac/m/l0/weight/G"), g, H * H, 1e-14);
        else
            g = g_memdup2 (bench_value (&b, "kfac/m/l0/weight/G"), H * H * sizeof *g);
    }
}

/* A family of a third party goes through every mode, with both kinds of step, and learns. */
static void
custom_every_mode (void)
{
    static const char *const modes[] = {"sampled",    "exact",     "gauss_newton",
                                        "propagated", "empirical", "euclidean"};
    static const char *const steps[] = {"step=fixed lr=0.3 damping=0.1", "step=quadratic"};

    for (guint i = 0; i < G_N_ELEMENTS (modes) * G_N_ELEMENTS (steps); i++) {
        g_autofree char *settings = g_strdup_printf ("%s fisher=%s", steps[i % 2], modes[i / 2]);
        double first = NAN, last = NAN;
        g_auto (Bench) b = {0};

        open_net (&b, LOGISTIC, settings);
        for (guint t = 0; t < 60; t++) {
            bench_step (&b);
            last = dlh_trainer_value (b.trainer, 0);
            first = t ? first : last;
        }
        g_test_message ("%s: loss %g to %g", settings, first, last);
        if (!(last < first - 0.1))
            test_fail ("%s: loss %g to %g", settings, first, last);
    }
}

/* What a family lacks is said. */
static void
lacking_families (void)
{
    static const struct {
        Family family;
        const char *settings, *message;
    } cases[] = {
        {COUPLED, "fisher=exact",
         "fisher=exact needs a root of the Fisher information, and the model's coupled "
         "distribution has none: give fisher=sampled"},
        {COUPLED, "fisher=propagated", "fisher=propagated needs a root"},
        {COUPLED, "fisher=sampled", "fisher=sampled needs draws, and the model's coupled"},
        {LAPLACE, "fisher=gauss_newton",
         "there is no curvature in the outputs of the model's "
         "Laplace distribution: give fisher=exact"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Bench) b = {0};

        open_net (&b, cases[i].family, cases[i].settings);
        bench_refuses (&b, DLH_ERROR_OPTION, cases[i].message);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac-metric/fisher/natural-gradient-is-the-step", natural_gradient);
    g_test_add_func ("/kfac-metric/euclidean/natural-gradient-is-the-step", other_metrics);
    g_test_add_func ("/kfac-metric/gauss-newton/is-fisher-when-natural", gauss_newton_natural);
    g_test_add_func ("/kfac-metric/gauss-newton/is-the-hessian", gauss_newton_hessian);
    g_test_add_func ("/kfac-metric/gauss-newton/is-fisher-of-softmax", gauss_newton_softmax);
    g_test_add_func ("/kfac-metric/custom-family/natural-gradient-is-the-step", custom_root);
    g_test_add_func ("/kfac-metric/custom-family/every-mode-learns", custom_every_mode);
    g_test_add_func ("/kfac-metric/lacking-family/is-said", lacking_families);
    return g_test_run ();
}
