/* SPDX-License-Identifier: MIT */
/* The theorem of arXiv 1808.10340: K-FAC's path in function space does not depend on affine changes
 * of activations and pre-activations. A net and its twin, whose nonlinearities are
 *
 *     phi'_l (s) = Om_l phi (Ph_l s + tau_l) + om_l,      x' = Om_0 x + om_0,
 *     W'_l = Ph_l^-1 (W_l Ombar_{l-1}^-1 - [0 | tau_l]),  Ombar = [Om om; 0 1],
 *
 * compute the same function; both are trained on the same batches with the same draws, and the
 * twin's weights are mapped back and compared. The last layer's map is the identity. */
#include "test.h"

enum { LAYERS = 3, BATCH = 256, MAX = 8 };

static const gint64 sizes[LAYERS + 1] = {5, 7, 6, 4};

typedef struct {
    double om[MAX * MAX], shift[MAX]; /* Om_l, om_l of the activations of layer l */
    double ph[MAX * MAX], tau[MAX];   /* Ph_l, tau_l of its pre-activations */
} Map;

static Map maps[LAYERS + 1];         /* maps[0] acts on the input */
static gboolean convolution, padded; /* padded: with zeros, to the same size */

/* The model: dense layers, or 3 x 3 convolutions without padding whose maps act on channels. */

static DlhNode *
constant (DlhGraph *graph, const double *v, DlhShape shape)
{
    g_autoptr (DlhTensor) t = test_tensor_from (DLH_F64, shape, v, (gsize)dlh_shape_count (shape));

    return dlh_constant (graph, t);
}

// m x + v, on the last axis, or on channels
static DlhNode *
affine (DlhNode *x, const double *m, const double *v, gint64 n)
{
    DlhGraph *graph = dlh_node_graph (x);
    DlhNode *b = constant (graph, v, dlh_shape (n));

    if (!convolution)
        return dlh_linear (x, constant (graph, m, dlh_shape (n, n)), b);
    return dlh_conv2d (x, constant (graph, m, dlh_shape (n, n, 1, 1)), b,
                       (DlhConv)DLH_CONV_DEFAULT);
}

static gint64
taps (guint layer)
{
    return convolution && layer < LAYERS ? 9 : 1;
}

static DlhNode *
layer_of (DlhBuild *b, DlhNode *x, guint l)
{
    g_autofree char *w = g_strdup_printf ("w%u", l), *c = g_strdup_printf ("b%u", l);
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.5};
    DlhShape shape = taps (l) == 9 ? dlh_shape (sizes[l], sizes[l - 1], 3, 3)
                                   : dlh_shape (sizes[l], sizes[l - 1]);
    DlhNode *weight = dlh_parameter (b->graph, b->store, w, shape, init);
    DlhNode *bias = dlh_parameter (b->graph, b->store, c, dlh_shape (sizes[l]), init);

    if (taps (l) == 9) {
        DlhConv conv = DLH_CONV_DEFAULT;

        conv.padding[0] = conv.padding[1] = padded;
        return dlh_conv2d (x, weight, bias, conv);
    }
    return dlh_linear (x, weight, bias);
}

static void
build (DlhBuild *b, DlhNode *x, DlhNode *y, DlhObjective *objective, gboolean twin)
{
    for (guint l = 0; l <= LAYERS; l++) {
        const gint64 n = sizes[l];

        if (l > 0)
            x = layer_of (b, x, l);
        if (twin && l > 0 && l < LAYERS)
            x = affine (x, maps[l].ph, maps[l].tau, n);
        if (l > 0 && l < LAYERS)
            x = dlh_tanh (x);
        if (twin && l < LAYERS)
            x = affine (x, maps[l].om, maps[l].shift, n);
        if (convolution && l == LAYERS - 1) // the head sees one position, or the mean of all
            x = padded ? dlh_mean_axis (dlh_mean_axis (x, 3), 2)
                       : dlh_reshape (x, dlh_shape (BATCH, n));
    }
    dlh_objective_classify (objective, x, y);
}

static gboolean
plain_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    (void)problem, (void)options, (void)error;
    build (b, x, y, objective, FALSE);
    return TRUE;
}

static gboolean
twin_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    (void)problem, (void)options, (void)error;
    build (b, x, y, objective, TRUE);
    return TRUE;
}

static const DlhSupervised roles[2] = {{sizeof (DlhSupervised), plain_build},
                                       {sizeof (DlhSupervised), twin_build}};
static const DlhModel models[2] = {{sizeof (DlhModel), &roles[0]}, {sizeof (DlhModel), &roles[1]}};
static const DlhManifest manifest = {
    .size = sizeof (DlhManifest),
    .option_size = sizeof (DlhOption),
    .abi_major = DLH_ABI_MAJOR,
    .abi_minor = DLH_ABI_MINOR,
    .kind = DLH_MODEL,
    .options_bytes = 1,
    .name = "m",
    .version = "1",
    .licence = "MIT",
    .summary = "test net",
};
static const DlhPlugin plugins[2] = {{sizeof (DlhPlugin), &manifest, &models[0]},
                                     {sizeof (DlhPlugin), &manifest, &models[1]}};

/* Small matrices, row-major. */

// r (n x k) <- a^-1 r
static void
solve (const double *matrix, gsize n, double *r, gsize k)
{
    g_autofree double *a = g_memdup2 (matrix, n * n * sizeof *a);

    for (gsize p = 0; p < n; p++) {
        gsize best = p;

        for (gsize i = p + 1; i < n; i++)
            if (fabs (a[i * n + p]) > fabs (a[best * n + p]))
                best = i;
        for (gsize j = 0; j < n; j++) {
            const double t = a[p * n + j];

            a[p * n + j] = a[best * n + j];
            a[best * n + j] = t;
        }
        for (gsize j = 0; j < k; j++) {
            const double t = r[p * k + j];

            r[p * k + j] = r[best * k + j];
            r[best * k + j] = t;
        }
        for (gsize i = 0; i < n; i++) {
            const double f = i == p ? 0 : a[i * n + p] / a[p * n + p];

            for (gsize j = 0; j < n; j++)
                a[i * n + j] -= f * a[p * n + j];
            for (gsize j = 0; j < k; j++)
                r[i * k + j] -= f * r[p * k + j];
        }
    }
    for (gsize p = 0; p < n; p++)
        for (gsize j = 0; j < k; j++)
            r[p * k + j] /= a[p * n + p];
}

static void
orthonormalise (double *m, gsize n)
{
    for (gsize i = 0; i < n; i++)
        for (gsize pass = 0; pass < 2; pass++) {
            double norm = 0;

            for (gsize j = 0; j < i; j++) {
                double dot = 0;

                for (gsize k = 0; k < n; k++)
                    dot += m[i * n + k] * m[j * n + k];
                for (gsize k = 0; k < n; k++)
                    m[i * n + k] -= dot * m[j * n + k];
            }
            for (gsize k = 0; k < n; k++)
                norm += m[i * n + k] * m[i * n + k];
            for (gsize k = 0; k < n; k++)
                m[i * n + k] /= sqrt (norm);
        }
}

// An orthogonal matrix, or one with rows stretched by exp (0.7 z).
static void
random_matrix (double *m, gsize n, guint64 seed, gboolean orthogonal)
{
    double stretch[MAX];

    test_random (seed, m, n * n);
    orthonormalise (m, n);
    test_random (seed + 1, stretch, n);
    for (gsize i = 0; i < n * n && !orthogonal; i++)
        m[i] *= exp (0.7 * stretch[i / n]);
}

static void
draw_maps (gboolean orthogonal)
{
    memset (maps, 0, sizeof maps);
    for (guint l = 0; l < LAYERS; l++) {
        random_matrix (maps[l].om, (gsize)sizes[l], 10 * l + 1, orthogonal);
        random_matrix (maps[l].ph, (gsize)sizes[l], 10 * l + 3, orthogonal);
        test_random (10 * l + 5, maps[l].tau, (gsize)sizes[l]);
        if (!orthogonal)
            test_random (10 * l + 6, maps[l].shift, (gsize)sizes[l]);
    }
    for (gsize i = 0; i < (gsize)sizes[LAYERS]; i++)
        maps[LAYERS].ph[i * (gsize)sizes[LAYERS] + i] = 1;
}

/* Weights of one layer as (n_out, taps, n_in) and a bias; convolutions are stored (out, in, taps).
 */

typedef struct {
    double *w, *b;
} Weights;

static double *
tensor (DlhStore *store, const char *format, guint l)
{
    g_autofree char *name = g_strdup_printf (format, l);
    DlhVariable *v = dlh_store_lookup (store, name);

    g_assert_nonnull (v);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

// Element (o, i) of tap t.
static double *
at (double *w, guint l, gsize o, gsize i, gsize t)
{
    return w + (o * (gsize)sizes[l - 1] + i) * (gsize)taps (l) + t;
}

// The plain net's weights of layer @l behind the twin's: W = (Ph W' + [0 | tau]) Ombar_{l-1}.
static void
map_back (DlhStore *twin, guint l, double *w, double *b)
{
    const gsize out = (gsize)sizes[l], in = (gsize)sizes[l - 1], T = (gsize)taps (l);
    double *from = tensor (twin, "m/w%u", l), *bias = tensor (twin, "m/b%u", l);
    const Map *m = &maps[l], *before = &maps[l - 1];
    g_autofree double *s = g_new0 (double, out *in *T);

    for (gsize o = 0; o < out; o++) {
        b[o] = m->tau[o];
        for (gsize p = 0; p < out; p++) {
            b[o] += m->ph[o * out + p] * bias[p];
            for (gsize i = 0; i < in; i++)
                for (gsize t = 0; t < T; t++)
                    *at (s, l, o, i, t) += m->ph[o * out + p] * *at (from, l, p, i, t);
        }
        for (gsize i = 0; i < in; i++)
            for (gsize t = 0; t < T; t++) {
                double sum = 0;

                b[o] += *at (s, l, o, i, t) * before->shift[i];
                for (gsize j = 0; j < in; j++)
                    sum += *at (s, l, o, j, t) * before->om[j * in + i];
                *at (w, l, o, i, t) = sum;
            }
    }
}

// Sets the twin's weights from the plain net's: undoes map_back() by solving.
static void
map_forth (DlhStore *plain, DlhStore *twin, guint l)
{
    const gsize out = (gsize)sizes[l], in = (gsize)sizes[l - 1], T = (gsize)taps (l);
    double *from = tensor (plain, "m/w%u", l), *bias = tensor (plain, "m/b%u", l);
    double *to = tensor (twin, "m/w%u", l), *b = tensor (twin, "m/b%u", l);
    const Map *m = &maps[l], *before = &maps[l - 1];
    double transposed[MAX * MAX];
    g_autofree double *column = g_new (double, in *out);

    for (gsize i = 0; i < in; i++)
        for (gsize j = 0; j < in; j++)
            transposed[i * in + j] = before->om[j * in + i];
    for (gsize o = 0; o < out; o++)
        b[o] = bias[o] - m->tau[o];
    for (gsize t = 0; t < T; t++) {
        for (gsize i = 0; i < in; i++)
            for (gsize o = 0; o < out; o++)
                column[i * out + o] = *at (from, l, o, i, t);
        solve (transposed, in, column, out); // rows i of (W Om^-1)'
        for (gsize o = 0; o < out; o++)
            for (gsize i = 0; i < in; i++) {
                b[o] -= column[i * out + o] * before->shift[i];
                *at (to, l, o, i, t) = column[i * out + o];
            }
    }
    solve (m->ph, out, b, 1);
    solve (m->ph, out, to, in * T);
}

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTrainer *trainer;
} Net;

static void
net_clear (Net *n)
{
    dlh_trainer_free (n->trainer);
    dlh_store_unref (n->store);
    dlh_registry_free (n->registry);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Net, net_clear)

static void
net_open (Net *n, gboolean twin, const char *optimizer, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (DlhComponent) c = NULL, m = NULL;
    g_autoptr (GError) error = NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape =
                              convolution ? dlh_shape (sizes[0], 5, 5) : dlh_shape (sizes[0]),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = sizes[LAYERS],
                          .target_std = 1};

    for (guint i = 0; settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    n->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    n->store = dlh_store_new (5, DLH_F64);
    c = dlh_registry_load (n->registry, DLH_OPTIMIZER, optimizer, table, &error);
    g_assert_no_error (error);
    m = dlh_component_new_static (&plugins[twin], NULL, &error);
    g_assert_no_error (error);
    n->trainer = dlh_trainer_new (n->store, m, c, &problem, &training, &error);
    g_assert_no_error (error);
}

static void
step (Net *n, DlhTensor *x, DlhTensor *y)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (n->trainer, x, y, &error);
    g_assert_no_error (error);
}

// The largest difference of a weight, relative to the largest weight of its layer.
static double
deviation (DlhStore *plain, DlhStore *twin)
{
    double worst = 0;

    for (guint l = 1; l <= LAYERS; l++) {
        const gsize n = (gsize)(sizes[l] * sizes[l - 1] * taps (l)), m = (gsize)sizes[l];
        g_autofree double *w = g_new (double, n), *b = g_new (double, m);
        const double *want_w = tensor (plain, "m/w%u", l), *want_b = tensor (plain, "m/b%u", l);
        double scale = 0, d = 0;

        map_back (twin, l, w, b);
        for (gsize i = 0; i < n; i++) {
            scale = MAX (scale, fabs (want_w[i]));
            d = MAX (d, fabs (w[i] - want_w[i]));
        }
        for (gsize i = 0; i < m; i++)
            d = MAX (d, fabs (b[i] - want_b[i]));
        worst = !(d / scale <= worst) ? d / scale : worst;
    }
    return worst;
}

// Trains both nets. Returns: the largest deviation over the steps.
static double
run_pair (const char *optimizer, const char *const *settings, guint steps)
{
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_I64, dlh_shape (BATCH), NULL);
    const gint64 n_in = sizes[0] * (convolution ? 25 : 1);
    double worst = 0, moved;
    g_autofree double *start = NULL;
    g_auto (Net) plain = {0}, twin = {0};

    net_open (&plain, FALSE, optimizer, settings);
    net_open (&twin, TRUE, optimizer, settings);
    for (guint l = 1; l <= LAYERS; l++)
        for (guint i = 0; i < 2; i++) {
            g_autofree char *w = g_strdup_printf ("m/w%u", l), *b = g_strdup_printf ("m/b%u", l);
            DlhStore *store = i ? twin.store : plain.store;
            const DlhInit init = {DLH_INIT_NORMAL, 0, 0.5};
            DlhShape shape = taps (l) == 9 ? dlh_shape (sizes[l], sizes[l - 1], 3, 3)
                                           : dlh_shape (sizes[l], sizes[l - 1]);

            g_assert_nonnull (dlh_store_variable (store, w, DLH_F64, shape, init, NULL));
            g_assert_nonnull (
                dlh_store_variable (store, b, DLH_F64, dlh_shape (sizes[l]), init, NULL));
        }
    for (guint l = 1; l <= LAYERS; l++)
        map_forth (plain.store, twin.store, l);
    g_assert_cmpfloat (deviation (plain.store, twin.store), <, 1e-12);
    start = g_memdup2 (tensor (plain.store, "m/w%u", 1), sizeof (double));
    for (guint t = 0; t < steps; t++) {
        g_autoptr (DlhTensor) x = test_tensor_random (
            DLH_F64, convolution ? dlh_shape (BATCH, sizes[0], 5, 5) : dlh_shape (BATCH, sizes[0]),
            50 + t);

        for (gint64 i = 0; i < BATCH; i++)
            dlh_tensor_set (
                y, i, (double)((int)(1000 + 3 * dlh_tensor_get (x, i * n_in)) % sizes[LAYERS]));
        step (&plain, x, y);
        step (&twin, x, y);
        worst = MAX (worst, deviation (plain.store, twin.store));
    }
    moved = fabs (tensor (plain.store, "m/w%u", 1)[0] - *start);
    g_assert_cmpfloat (moved, >, 1e-4); // both really trained
    g_test_message ("%s: deviation %.3g over %u steps", optimizer, worst, steps);
    return worst;
}

#define SETTINGS(...)                                                                              \
    (const char *const[])                                                                          \
    {                                                                                              \
        "momentum", "0.9", "kl_clip", "1e-3", "statistics", "1", "inverses", "1", "lr", "0.1",     \
            __VA_ARGS__, NULL                                                                      \
    }

static void
undamped_passes (void)
{
    static const char *const metrics[] = {"sampled", "exact", "propagated"};

    for (guint i = 0; i < G_N_ELEMENTS (metrics); i++) {
        double d;

        draw_maps (FALSE);
        d = run_pair ("kfac", SETTINGS ("inverse", "eigen", "damping", "0", "fisher", metrics[i]),
                      20);
        if (!(d <= 1e-10))
            test_fail ("%s: deviation %g, at most 1e-10", metrics[i], d);
    }
}

// Stale statistics and inverses do not matter either.
static void
stale_passes (void)
{
    const char *const settings[] = {"momentum", "0.9",      "kl_clip", "1e-3",       "lr",
                                    "0.1",      "inverses", "5",       "statistics", "2",
                                    "inverse",  "eigen",    "damping", "0",          NULL};
    double d;

    draw_maps (FALSE);
    d = run_pair ("kfac", settings, 20);
    if (!(d <= 1e-10))
        test_fail ("deviation %g, at most 1e-10", d);
}

// The correlations between layers transform with the layers.
static void
tridiagonal_passes (void)
{
    static const char *const metrics[] = {"sampled", "exact"};

    for (guint i = 0; i < G_N_ELEMENTS (metrics); i++) {
        double d;

        draw_maps (FALSE);
        d = run_pair ("kfac",
                      SETTINGS ("structure", "tridiagonal", "inverse", "eigen", "damping", "0",
                                "fisher", metrics[i]),
                      20);
        if (!(d <= 1e-10))
            test_fail ("%s: deviation %g, at most 1e-10", metrics[i], d);
    }
    draw_maps (TRUE);
    g_assert_cmpfloat (
        run_pair ("kfac", SETTINGS ("structure", "tridiagonal", "damping", "0.03"), 15), <=, 1e-11);
    draw_maps (FALSE);
    g_assert_cmpfloat (
        run_pair ("kfac", SETTINGS ("structure", "tridiagonal", "damping", "0.03"), 5), >, 1e-4);
}

static void
damped_fails (void)
{
    draw_maps (FALSE);
    g_assert_cmpfloat (run_pair ("kfac", SETTINGS ("inverse", "cholesky", "damping", "0.01"), 5), >,
                       1e-4);
    g_assert_cmpfloat (run_pair ("kfac", SETTINGS ("inverse", "eigen", "damping", "0.01"), 5), >,
                       1e-4);
}

// With step size and momentum from the quadratic model; the undamped run is violent, so few steps.
static void
quadratic_passes (void)
{
    const char *const settings[] = {
        "step",    "quadratic", "statistics",     "1", "inverses",     "1", "inverse", "eigen",
        "damping", "0",         "damping_period", "0", "gamma_period", "0", NULL};
    double d;

    draw_maps (FALSE);
    d = run_pair ("kfac", settings, 5);
    if (!(d <= 1e-9))
        test_fail ("deviation %g, at most 1e-9", d);
}

// While its basis is older than its eigenvalues: right after a refresh it is K-FAC.
static void
ekfac_fails (void)
{
    const char *const settings[] = {"momentum", "0.9",      "kl_clip", "1e-3",       "lr",
                                    "0.1",      "inverses", "5",       "statistics", "1",
                                    "inverse",  "ekfac",    "damping", "0",          NULL};

    draw_maps (FALSE);
    g_assert_cmpfloat (run_pair ("kfac", settings, 5), >, 1e-4);
}

static void
descent_fails (void)
{
    draw_maps (FALSE);
    g_assert_cmpfloat (run_pair ("sgd", (const char *const[]){"lr", "0.1", NULL}, 5), >, 1e-4);
    g_assert_cmpfloat (run_pair ("adam", (const char *const[]){"lr", "0.01", NULL}, 5), >, 1e-4);
}

static void
orthogonal_damped_passes (void)
{
    static const char *const inverses[] = {"cholesky", "eigen", "ekfac"};

    for (guint i = 0; i < G_N_ELEMENTS (inverses); i++) {
        double d;

        draw_maps (TRUE);
        d = run_pair ("kfac", SETTINGS ("inverse", inverses[i], "damping", "0.03"), 15);
        if (!(d <= 1e-11))
            test_fail ("%s: deviation %g, at most 1e-11", inverses[i], d);
    }
}

static void
conv_undamped_passes (void)
{
    double d;

    convolution = TRUE;
    draw_maps (FALSE);
    d = run_pair ("kfac", SETTINGS ("inverse", "eigen", "damping", "0"), 15);
    convolution = FALSE;
    if (!(d <= 1e-10))
        test_fail ("deviation %g, at most 1e-10", d);
}

// Zeros around pictures are what they are only to linear maps of channels.
static void
conv_zero_padding (void)
{
    const char *const *settings = SETTINGS ("inverse", "eigen", "damping", "0");
    double linear, shifted;

    convolution = padded = TRUE;
    draw_maps (FALSE);
    for (guint l = 0; l <= LAYERS; l++)
        memset (maps[l].shift, 0, sizeof maps[l].shift);
    linear = run_pair ("kfac", settings, 15);
    draw_maps (FALSE);
    shifted = run_pair ("kfac", settings, 3);
    convolution = padded = FALSE;
    if (!(linear <= 1e-10))
        test_fail ("deviation %g, at most 1e-10", linear);
    g_assert_cmpfloat (shifted, >, 1e-4);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac-invariance/undamped/passes", undamped_passes);
    g_test_add_func ("/kfac-invariance/stale/passes", stale_passes);
    g_test_add_func ("/kfac-invariance/quadratic/passes", quadratic_passes);
    g_test_add_func ("/kfac-invariance/tridiagonal/passes-as-the-diagonal", tridiagonal_passes);
    g_test_add_func ("/kfac-invariance/damped/fails", damped_fails);
    g_test_add_func ("/kfac-invariance/ekfac/fails", ekfac_fails);
    g_test_add_func ("/kfac-invariance/descent/fails", descent_fails);
    g_test_add_func ("/kfac-invariance/orthogonal-damped/passes", orthogonal_damped_passes);
    g_test_add_func ("/kfac-invariance/convolution/passes", conv_undamped_passes);
    g_test_add_func ("/kfac-invariance/zero-padding/passes-without-shifts", conv_zero_padding);
    return g_test_run ();
}
