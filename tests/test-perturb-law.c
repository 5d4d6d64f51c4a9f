/* SPDX-License-Identifier: MIT */
/* What perturbed products draw: laws, unbiased gradients, and variances that are known in closed
 * form. Everything is a linear net whose outputs are read, or a loss built upon them. */
#include "perturb-bench.h"

static DlhNode *
net_linear (DlhBuild *b, DlhNode *x)
{
    return dlh_linear (x, weight (b, "w", dlh_shape (3, 4)), NULL);
}

static DlhNode *
net_row (DlhBuild *b, DlhNode *x)
{
    return dlh_linear (x, weight (b, "w", dlh_shape (1, dlh_node_dim (x, 1))), NULL);
}

// 2-2-1 with tanh: six weights.
static DlhNode *
net_small (DlhBuild *b, DlhNode *x)
{
    x = dlh_tanh (dlh_linear (x, weight (b, "w", dlh_shape (2, 2)), NULL));
    return dlh_linear (x, weight (b, "v", dlh_shape (1, 2)), NULL);
}

static const Net linear = {"linear", 4, net_linear};
static const Net row10 = {"row", 10, net_row}, row1 = {"row", 1, net_row};
static const Net small = {"small", 2, net_small};

static DlhNode *
outputs_of (const Bench *b)
{
    return dlh_distribution_outputs (b->objective.prediction);
}

static void
open_bench (Bench *b, const Net *net, const char *estimator, const char *settings, gint64 n)
{
    g_autoptr (GError) error = NULL;

    if (!bench_open (b, net, estimator, settings, TRUE, n, &error))
        g_error ("%s: %s", estimator, error->message);
}

static double *
variable_data (const Bench *b, const char *name)
{
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (b->store, name)));
}

static void
run (DlhFunction *f, DlhTensor *x)
{
    g_autoptr (GError) error = NULL;

    if (!dlh_function_run (f, &x, 1, &error))
        g_error ("%s", error->message);
}

/* sigma = 0 */

static void
no_noise (void)
{
    static const char *const estimators[] = {"flipout", "shared", "per_example"};

    for (guint i = 0; i < G_N_ELEMENTS (nets); i++)
        for (guint k = 0; k < G_N_ELEMENTS (estimators); k++) {
            g_auto (Bench) b = {0};
            g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (N, nets[i].n_in), 5);
            g_autoptr (DlhTensor) got = NULL, want = NULL;
            g_autofree double *plain = NULL;
            g_autoptr (DlhGraph) graph = dlh_graph_new ();
            DlhBuild build = {.size = sizeof build, .graph = graph};

            open_bench (&b, &nets[i], estimators[k], "noise=fixed sigma=0 bias=fresh", N);
            build.store = b.store;
            got = test_run (outputs_of (&b), &x, 1);
            want = test_run (
                nets[i].layers (&build, dlh_input (graph, "x", DLH_F64, dlh_tensor_get_shape (x))),
                &x, 1);
            plain = test_values (want);
            test_assert_tensor (got, plain, (gsize)dlh_tensor_count (want), 8);
        }
}

/* Signs that are all 1 */

static DlhNode *
ones_for_signs (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    (void)inputs;
    if (!dlh_node_is (node, "rademacher"))
        return NULL;
    ++*(guint *)data;
    return dlh_full_like (node, 1);
}

// Then flipout is the shared method with the same draws, but for the order of what is summed.
static void
signs_of_one (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (nets); i++) {
        g_auto (Bench) flipout = {0}, shared = {0};
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (N, nets[i].n_in), 5);
        g_autoptr (DlhTensor) got = NULL, want = NULL, other = NULL;
        g_autofree double *values = NULL;
        DlhNode *from, *to;
        guint n_signs = 0, n_differ = 0;

        open_bench (&flipout, &nets[i], "flipout", "noise=fixed sigma=0.3 bias=none", N);
        open_bench (&shared, &nets[i], "shared", "noise=fixed sigma=0.3 bias=none", N);
        from = outputs_of (&flipout);
        dlh_graph_rewrite (&from, 1, ones_for_signs, &n_signs, &to);
        g_assert_cmpuint (n_signs, >=, 2);
        got = test_run (to, &x, 1);
        want = test_run (outputs_of (&shared), &x, 1);
        values = test_values (want);
        // A handful of products of some ten terms, each of order 1.
        test_assert_tensor (got, values, (gsize)dlh_tensor_count (want), 64);
        other = test_run (from, &x, 1);
        for (gint64 k = 0; k < dlh_tensor_count (other); k++)
            n_differ += fabs (dlh_tensor_get (other, k) - values[k]) > 1e-3;
        g_assert_cmpuint (n_differ, >, 0);
    }
}

/* Memory */

enum { WIDE = 64 };

static DlhNode *
net_wide (DlhBuild *b, DlhNode *x)
{
    return dlh_linear (x, weight (b, "w", dlh_shape (WIDE, WIDE)), NULL);
}

static const Net wide = {"wide", WIDE, net_wide};

// Of the gradient with the weight and the inputs.
static gsize
plan_of (const char *estimator)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) f = NULL;
    DlhNode *xs[2], *dx[2];

    open_bench (&b, &wide, estimator, "noise=multiplicative", WIDE);
    xs[0] = b.x;
    xs[1] = dlh_read (b.graph, dlh_store_lookup (b.store, "w"));
    dlh_gradients (b.objective.loss, xs, 2, NULL, dx);
    f = dlh_graph_compile (b.graph, dx, 2, &error);
    g_assert_no_error (error);
    return dlh_function_memory (f);
}

// One weight for each example would be WIDE times as large as all that flipout has.
static void
no_weight_an_example (void)
{
    const gsize weights = WIDE * WIDE * sizeof (double);

    g_assert_cmpuint (plan_of ("flipout"), <, 16 * weights);
    g_assert_cmpuint (plan_of ("shared"), <, plan_of ("flipout"));
    g_assert_cmpuint (plan_of ("per_example"), >, WIDE * weights);
}

/* The law of one element as an example sees it: inputs are unit vectors. */

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

enum { DRAWS = 100000 };

// Element (1, 2) of the second example's perturbation.
static double *
draws_of (const char *estimator, const char *noise)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (2, 4), 0, 1, 0, 0, 0, 0, 1, 0);
    g_autoptr (DlhFunction) f = NULL;
    double *values = g_new (double, DRAWS), w;
    DlhNode *z;

    open_bench (&b, &linear, estimator, noise, 2);
    z = outputs_of (&b);
    f = dlh_graph_compile (b.graph, &z, 1, NULL);
    w = variable_data (&b, "w")[1 * 4 + 2];
    for (guint i = 0; i < DRAWS; i++) {
        run (f, x);
        values[i] = dlh_tensor_get (dlh_function_output (f, 0), 1 * 3 + 1) - w;
    }
    qsort (values, DRAWS, sizeof (double), compare_doubles);
    return values;
}

// Two-sample Kolmogorov-Smirnov; sqrt (n / 2) D > 1.95 has p = 1e-3.
static void
marginal_is_the_noise (void)
{
    static const char *const noises[] = {"noise=fixed sigma=0.7", "noise=multiplicative sigma=0.7"};

    for (guint k = 0; k < G_N_ELEMENTS (noises); k++) {
        g_autofree double *a = draws_of ("flipout", noises[k]), *b = draws_of ("shared", noises[k]);
        double distance = 0;

        for (guint i = 0, j = 0; i < DRAWS && j < DRAWS;) {
            if (a[i] <= b[j])
                i++;
            else
                j++;
            distance = MAX (distance, fabs ((double)i - (double)j) / DRAWS);
        }
        if (!(distance * sqrt (DRAWS / 2.0) < 1.95))
            test_fail ("%s: distance %g", noises[k], distance);
    }
}

static void
dropconnect_cuts_or_keeps (void)
{
    static const struct {
        const char *estimator, *settings;
        double kept; /* share of weights */
    } cases[] = {{"flipout", "noise=dropconnect", 0.5},
                 {"shared", "noise=dropconnect", 0.5},
                 {"per_example", "noise=dropconnect", 0.5},
                 {"per_example", "noise=dropconnect rate=0.25", 0.75},
                 {"shared", "noise=dropconnect rate=0.25", 0.75}};

    for (guint k = 0; k < G_N_ELEMENTS (cases); k++) {
        g_auto (Bench) b = {0};
        g_autoptr (DlhTensor) x =
            test_tensor (DLH_F64, dlh_shape (4, 4), 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
        g_autoptr (DlhFunction) f = NULL;
        const double *w;
        double kept = 0;
        DlhNode *z;

        open_bench (&b, &linear, cases[k].estimator, cases[k].settings, 4);
        z = outputs_of (&b);
        f = dlh_graph_compile (b.graph, &z, 1, NULL);
        w = variable_data (&b, "w");
        for (guint r = 0; r < 2000; r++) {
            run (f, x);
            for (gint64 i = 0; i < 12; i++) {
                const double y = dlh_tensor_get (dlh_function_output (f, 0), i);
                const double want = w[i % 3 * 4 + i / 3];

                if (!(fabs (y) < 1e-15 || fabs (y - want) < 1e-15))
                    test_fail ("%s: %g is neither 0 nor %g", cases[k].estimator, y, want);
                kept += fabs (y) >= 1e-15;
            }
        }
        // 12 weights, 2000 draws that are independent at least from run to run.
        test_assert_mean (kept / 24000, cases[k].kept, 0.5 / sqrt (2000));
    }
}

/* A noise that a plugin adds: uniform in [-a, a], a the option sigma. */

static DlhNode *
uniform_draw (DlhWeight *w, DlhStream *stream, gint64 n)
{
    DlhShape shape = dlh_variable_shape (dlh_weight_variable (w));
    DlhNode *value = dlh_weight_value (w);
    DlhNode *u = dlh_uniform (dlh_node_graph (value), stream, dlh_node_dtype (value),
                              n ? dlh_shape_insert (shape, 0, n) : shape);

    return dlh_scale (dlh_offset (u, -0.5), 2 * dlh_weight_sigma (w, 1));
}

static void
plugin_noise_has_its_law (void)
{
    static const DlhNoise noise = {.size = sizeof noise,
                                   .name = "uniform",
                                   .flags = DLH_NOISE_SYMMETRIC,
                                   .draw = uniform_draw};
    static const DlhPerturbation perturbation = {.size = sizeof perturbation, .noise = &noise};
    static const DlhManifest manifest = {.size = sizeof (DlhManifest),
                                         .option_size = sizeof (DlhOption),
                                         .abi_major = DLH_ABI_MAJOR,
                                         .abi_minor = DLH_ABI_MINOR,
                                         .kind = DLH_PERTURB,
                                         .options_bytes = 1,
                                         .name = "uniform",
                                         .version = "1",
                                         .licence = "MIT",
                                         .summary = "test noise"};
    static const DlhPlugin plugin = {sizeof plugin, &manifest, &perturbation};
    static const char *const estimators[] = {"flipout", "shared", "per_example"};

    for (guint k = 0; k < G_N_ELEMENTS (estimators); k++) {
        g_auto (Bench) b = {.noise = dlh_component_new_static (&plugin, NULL, NULL)};
        g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (2, 4), 0, 1, 0, 0, 0, 0, 1, 0);
        g_autoptr (DlhFunction) f = NULL;
        const double a = 0.6, n = 20000;
        double mean = 0, square = 0, largest = 0, w;
        DlhNode *z;

        open_bench (&b, &linear, estimators[k], "noise=uniform sigma=0.6", 2);
        z = outputs_of (&b);
        f = dlh_graph_compile (b.graph, &z, 1, NULL);
        w = variable_data (&b, "w")[1 * 4 + 2];
        for (guint r = 0; r < n; r++) {
            double d;

            run (f, x);
            d = dlh_tensor_get (dlh_function_output (f, 0), 4) - w;
            mean += d / n;
            square += d * d / n;
            largest = MAX (largest, fabs (d));
        }
        g_assert_true (largest <= a);
        test_assert_mean (mean, 0, a / sqrt (3 * n));
        // E d^4 - (E d^2)^2 = a^4 (1/5 - 1/9)
        test_assert_mean (square, a * a / 3, a * a * sqrt ((0.2 - 1.0 / 9) / n));
    }
}

/* Gradients over many draws. */

typedef struct {
    double mean[16], variance[16]; /* of the gradient by w */
    guint n;
} Moments;

typedef DlhNode *(*Loss) (DlhNode *z);
typedef void (*Fill) (guint64 run, double *x, gsize n);

static DlhNode *
half_square (DlhNode *z)
{
    return dlh_scale (dlh_mean_all (dlh_square (z)), 0.5);
}

static DlhNode *
third_cube (DlhNode *z)
{
    return dlh_scale (dlh_mean_all (dlh_mul (z, dlh_square (z))), 1.0 / 3);
}

static void
gradient_moments (Bench *b, const char *by, Loss loss, Fill fill, DlhTensor *x, guint runs,
                  Moments *m)
{
    g_autoptr (DlhFunction) f = NULL;
    DlhVariable *v = dlh_store_lookup (b->store, by);
    DlhNode *g = dlh_gradient (loss (outputs_of (b)), dlh_read (b->graph, v));

    *m = (Moments){.n = (guint)dlh_shape_count (dlh_variable_shape (v))};
    f = dlh_graph_compile (b->graph, &g, 1, NULL);
    for (guint r = 0; r < runs; r++) {
        if (fill)
            fill (r, dlh_tensor_get_data (x), (gsize)dlh_tensor_count (x));
        run (f, x);
        for (guint i = 0; i < m->n; i++) {
            const double value = dlh_tensor_get (dlh_function_output (f, 0), i);
            const double d = value - m->mean[i];

            m->mean[i] += d / (r + 1);
            m->variance[i] += d * (value - m->mean[i]);
        }
    }
    for (guint i = 0; i < m->n; i++)
        m->variance[i] /= runs;
}

static double
mean_variance (const Moments *m)
{
    double sum = 0;

    for (guint i = 0; i < m->n; i++)
        sum += m->variance[i] / m->n;
    return sum;
}

static void
normal_inputs (guint64 run, double *x, gsize n)
{
    dlh_random_fill_normal (4, "inputs", run, x, n);
}

// y = x'(W + D), loss y^2 / 2, W = 0, x ~ N(0, I), d = 10, sigma = 1: alpha = d + 2, beta = 1,
// gamma = 0. 20000 draws give variances to some 2 %.
static void
known_variance (gconstpointer data)
{
    static const struct {
        const char *estimator;
        double want;
    } cases[] = {
        {"shared", 1.11}, {"flipout", 0.12}, {"per_example", 0.12}, {"local_reparam", 0.12}};

    (void)data;
    for (guint k = 0; k < G_N_ELEMENTS (cases); k++) {
        g_auto (Bench) b = {0};
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (100, 10), 1);
        Moments m;
        double got;

        open_bench (&b, &row10, cases[k].estimator, "noise=fixed sigma=1", 100);
        memset (variable_data (&b, "w"), 0, 10 * sizeof (double));
        gradient_moments (&b, "w", half_square, normal_inputs, x, 20000, &m);
        got = mean_variance (&m);
        if (!(fabs (got / cases[k].want - 1) < 0.06))
            test_fail ("%s: variance %g, must be %g", cases[k].estimator, got, cases[k].want);
    }
}

// The "gradient" (w + D)^2, w = 1, sigma = 0.1, N = 10: shared noise 0.0402, flipout levels at
// gamma = 2 sigma^4, which is within 0.0042.
static void
known_floor (gconstpointer data)
{
    static const struct {
        const char *estimator;
        double want;
    } cases[] = {{"shared", 0.0402}, {"flipout", 0.0042}, {"per_example", 0.00402}};

    (void)data;
    for (guint k = 0; k < G_N_ELEMENTS (cases); k++) {
        g_auto (Bench) b = {0};
        g_autoptr (DlhTensor) x =
            test_tensor (DLH_F64, dlh_shape (10, 1), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
        Moments m;

        open_bench (&b, &row1, cases[k].estimator, "noise=fixed sigma=0.1", 10);
        *variable_data (&b, "w") = 1;
        gradient_moments (&b, "w", third_cube, NULL, x, 50000, &m);
        // The variance of 50000 draws has a relative error of 0.7 %: five times that.
        if (!(fabs (m.variance[0] / cases[k].want - 1) < 0.035))
            test_fail ("%s: variance %g, must be %g", cases[k].estimator, m.variance[0],
                       cases[k].want);
    }
}

// With a square loss noise of mean 0 leaves the mean gradient: (W x) x', averaged.
static void
linear_gradient_is_unbiased (void)
{
    static const char *const estimators[] = {"flipout", "shared", "per_example", "local_reparam"};

    for (guint k = 0; k < G_N_ELEMENTS (estimators); k++) {
        g_auto (Bench) b = {0};
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (5, 10), 2);
        const double *values = dlh_tensor_get_data (x), *w;
        double want[10] = {0};
        Moments m;

        open_bench (&b, &row10, estimators[k], "noise=fixed sigma=1", 5);
        w = variable_data (&b, "w");
        for (guint n = 0; n < 5; n++) {
            double y = 0;

            for (guint i = 0; i < 10; i++)
                y += values[n * 10 + i] * w[i];
            for (guint i = 0; i < 10; i++)
                want[i] += y * values[n * 10 + i] / 5;
        }
        gradient_moments (&b, "w", half_square, NULL, x, DRAWS, &m);
        for (guint i = 0; i < 10; i++)
            test_assert_mean (m.mean[i], want[i], sqrt (m.variance[i] / DRAWS));
    }
}

/* Six Gaussian weights by quadrature: E d/dv (v tanh (W x))^2 / 2 = E (v h) h. */

static void
expected_gradient (const double *w, const double *v, const double *x, double sigma, double *out)
{
    // Gauss-Hermite, 7 nodes, for exp (-t^2): Abramowitz and Stegun, table 25.10.
    static const double node[] = {-2.651961356835233, -1.673551628767471, -0.8162878828589647, 0,
                                  0.8162878828589647, 1.673551628767471,  2.651961356835233};
    static const double weight7[] = {
        0.0009717812450995192, 0.05451558281912703, 0.4256072526101278,   0.8102646175568073,
        0.4256072526101278,    0.05451558281912703, 0.0009717812450995192};
    const double scale = sigma * G_SQRT2;

    out[0] = out[1] = 0;
    for (guint code = 0; code < 117649; code++) {
        double p = 1, t[6], h[2], y;

        for (guint i = 0, c = code; i < 6; i++, c /= 7) {
            t[i] = scale * node[c % 7];
            p *= weight7[c % 7] / sqrt (G_PI);
        }
        h[0] = tanh ((w[0] + t[0]) * x[0] + (w[1] + t[1]) * x[1]);
        h[1] = tanh ((w[2] + t[2]) * x[0] + (w[3] + t[3]) * x[1]);
        y = (v[0] + t[4]) * h[0] + (v[1] + t[5]) * h[1];
        out[0] += p * y * h[0];
        out[1] += p * y * h[1];
    }
}

static void
tanh_gradient_is_unbiased (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (2, 2), 0.9, -0.4, 0.3, 1.1);
    double want[2] = {0};
    Moments m;

    open_bench (&b, &small, "flipout", "noise=fixed sigma=0.5", 2);
    for (guint n = 0; n < 2; n++) {
        double one[2];

        expected_gradient (variable_data (&b, "w"), variable_data (&b, "v"),
                           (double *)dlh_tensor_get_data (x) + 2 * n, 0.5, one);
        want[0] += one[0] / 2;
        want[1] += one[1] / 2;
    }
    gradient_moments (&b, "v", half_square, NULL, x, DRAWS, &m);
    for (guint i = 0; i < 2; i++)
        test_assert_mean (m.mean[i], want[i], sqrt (m.variance[i] / DRAWS));
}

// Outputs of the local reparameterisation: mean x W', variance (x o x) sigma^2.
static void
outputs_have_the_moments (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (1, 4), 0.5, -1, 2, 0.25);
    g_autoptr (DlhFunction) f = NULL;
    const double *values = dlh_tensor_get_data (x), *w;
    double mean[3] = {0}, square[3] = {0}, squares = 0;
    DlhNode *z;

    open_bench (&b, &linear, "local_reparam", "noise=gaussian sigma=0.3", 1);
    z = outputs_of (&b);
    f = dlh_graph_compile (b.graph, &z, 1, NULL);
    w = variable_data (&b, "w");
    for (guint i = 0; i < 4; i++)
        squares += values[i] * values[i];
    for (guint r = 0; r < DRAWS; r++) {
        run (f, x);
        for (guint o = 0; o < 3; o++) {
            double d = dlh_tensor_get (dlh_function_output (f, 0), o);

            for (guint i = 0; i < 4; i++)
                d -= w[o * 4 + i] * values[i];
            mean[o] += d / DRAWS;
            square[o] += d * d / DRAWS;
        }
    }
    for (guint o = 0; o < 3; o++) {
        const double variance = 0.09 * squares;

        test_assert_mean (mean[o], 0, sqrt (variance / DRAWS));
        test_assert_mean (square[o], variance, variance * sqrt (2.0 / DRAWS));
    }
}

// Equal streams in two layers would give equal signs.
static void
layers_have_streams_of_their_own (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    static const char *const names[] = {"perturb/w/signs0", "perturb/w/signs1", "perturb/v/signs0",
                                        "perturb/v/signs1"};
    double *values[4];

    open_bench (&b, &nets[0], "flipout", "", N);
    for (guint i = 0; i < 4; i++) {
        g_autofree char *counter = g_strdup_printf ("random/%s", names[i]);
        g_autoptr (DlhTensor) t = NULL;

        g_assert_nonnull (dlh_store_lookup (b.store, counter));
        t = test_run (
            dlh_rademacher (graph, dlh_store_stream (b.store, names[i]), DLH_F64, dlh_shape (4096)),
            NULL, 0);
        values[i] = test_values (t);
    }
    for (guint i = 0; i < 4; i++)
        for (guint j = 0; j < i; j++) {
            double sum = 0;

            for (guint k = 0; k < 4096; k++)
                sum += values[i][k] * values[j][k];
            test_assert_mean (sum / 4096, 0, 1 / 64.0);
        }
    for (guint i = 0; i < 4; i++)
        g_free (values[i]);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/perturb-law/sigma-zero/is-the-plain-net", no_noise);
    g_test_add_func ("/perturb-law/signs-of-one/is-the-shared-method", signs_of_one);
    g_test_add_func ("/perturb-law/memory/no-weight-an-example", no_weight_an_example);
    g_test_add_func ("/perturb-law/one-element/has-the-law-of-the-noise", marginal_is_the_noise);
    g_test_add_func ("/perturb-law/dropconnect/cuts-or-keeps", dropconnect_cuts_or_keeps);
    g_test_add_func ("/perturb-law/plugin-noise/has-its-law", plugin_noise_has_its_law);
    g_test_add_data_func ("/perturb-law/linear/variance-is-alpha-beta-gamma", NULL, known_variance);
    g_test_add_data_func ("/perturb-law/cubic/flipout-levels-at-gamma", NULL, known_floor);
    g_test_add_func ("/perturb-law/linear/gradient-is-unbiased", linear_gradient_is_unbiased);
    g_test_add_func ("/perturb-law/tanh/gradient-is-that-of-quadrature", tanh_gradient_is_unbiased);
    g_test_add_func ("/perturb-law/local-reparam/outputs-have-the-moments",
                     outputs_have_the_moments);
    g_test_add_func ("/perturb-law/streams/are-keyed-by-the-parameter",
                     layers_have_streams_of_their_own);
    return g_test_run ();
}
