/* SPDX-License-Identifier: MIT */
/* The task gradient-variance on two losses of which the theorem's parts are known in closed form,
 * and on networks. */
#include "trainer-bench.h"

enum { D = 10, N = 1000, REPEATS = 20 };

/* Of 20 repeats the mean is so many standard errors from the truth once in 6 million (t, 19
 * degrees). */
#define FAR 8.0
#define T95 1.729132811521367 /* what the task's intervals have, for 19 degrees */

typedef struct {
    DlhData *data;
    GHashTable *values; /* name or name@batch -> double */
    guint n_figures, n_left_out;
} Host;

static DlhData *
host_data (gpointer host, GError **error)
{
    (void)error;
    return dlh_data_ref (((Host *)host)->data);
}

static gboolean
host_log (gpointer host, const char *event, gint64 step, const char *const *names,
          const double *values, guint n, GError **error)
{
    Host *h = host;

    (void)event, (void)step, (void)error;
    for (guint i = 0; i < n; i++)
        g_hash_table_insert (h->values,
                             g_str_equal (names[0], "batch")
                                 ? g_strdup_printf ("%s@%g", names[i], values[0])
                                 : g_strdup (names[i]),
                             g_memdup2 (&values[i], sizeof (double)));
    return TRUE;
}

static void
host_message (gpointer host, const char *text)
{
    ((Host *)host)->n_left_out += strstr (text, "is left out") != NULL;
    g_test_message ("%s", text);
}

static void
host_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    (void)host, (void)examples;
    if (done > total)
        test_fail ("%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, done, total);
}

static gboolean
host_should_stop (gpointer host)
{
    (void)host;
    return FALSE;
}

static gboolean
host_figure (gpointer host, const DlhFigure *figure, GError **error)
{
    (void)figure, (void)error;
    ((Host *)host)->n_figures++;
    return TRUE;
}

static DlhRegistry *registry;

static DlhComponent *
host_load (gpointer host, DlhPluginKind kind, const char *name, GHashTable *settings,
           GError **error)
{
    (void)host;
    return dlh_registry_load (registry, kind, name, settings, error);
}

static const DlhHost host_functions = {.size = sizeof (DlhHost),
                                       .data = host_data,
                                       .log = host_log,
                                       .progress = host_progress,
                                       .message = host_message,
                                       .should_stop = host_should_stop,
                                       .figure = host_figure,
                                       .load = host_load};

static double
value (Host *h, const char *format, ...)
{
    va_list args;
    g_autofree char *name = NULL;
    const double *v;

    va_start (args, format);
    name = g_strdup_vprintf (format, args);
    va_end (args);
    v = g_hash_table_lookup (h->values, name);
    if (!v)
        test_fail ("%s was not logged", name);
    return v ? *v : NAN;
}

/* A mean over repeats: near the truth, and known well enough for that to say something. */
static void
expect (Host *h, const char *what, const char *where, double want, double scale)
{
    const double got = value (h, "%s/%s", what, where);
    g_autofree char *at = g_strdup (where), *batch = strchr (at, '@');
    double low, high, error;

    if (batch) { // "name@batch" has its ends as "name/low@batch"
        g_autofree char *copy = g_strdup (batch);

        *batch = '\0';
        low = value (h, "%s/%s/low%s", what, at, copy);
        high = value (h, "%s/%s/high%s", what, at, copy);
        batch = NULL;
    } else {
        low = value (h, "%s/%s/low", what, where);
        high = value (h, "%s/%s/high", what, where);
    }
    error = (high - low) / (2 * T95);
    if (!(fabs (got - want) <= FAR * error) || !(error < 0.06 * scale))
        test_fail ("%s/%s is %.5g with a standard error of %.2g, must be %.5g", what, where, got,
                   error, want);
}

/* Models. */

static DlhNode *
weight (DlhBuild *b, gint64 n)
{
    return dlh_parameter (b->graph, b->store, "w", dlh_shape (1, n),
                          (DlhInit){DLH_INIT_CONSTANT, n == 1 ? 1 : 0.5, 0});
}

// y = w x, loss (y - t)^2 / 2
static gboolean
linear_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
              DlhObjective *objective, GError **error)
{
    (void)problem, (void)options;
    objective->loss = dlh_scale (
        dlh_mean_all (dlh_square (dlh_sub (dlh_linear (x, weight (b, D), NULL), y))), 0.5);
    return dlh_graph_check (b->graph, error);
}

// x = 1: loss w^3 / 3, gradient w^2
static gboolean
cubic_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    DlhNode *w = dlh_linear (x, weight (b, 1), NULL);

    (void)problem, (void)options, (void)y;
    objective->loss = dlh_scale (dlh_mean_all (dlh_mul (w, dlh_square (w))), 1.0 / 3);
    return dlh_graph_check (b->graph, error);
}

#define STATIC_MODEL(what)                                                                         \
    static const DlhSupervised what##_role = {sizeof (DlhSupervised), what##_build};               \
    static const DlhModel what##_model = {.size = sizeof (DlhModel), .supervised = &what##_role};  \
    static const DlhManifest what##_manifest = {.size = sizeof (DlhManifest),                      \
                                                .option_size = sizeof (DlhOption),                 \
                                                .abi_major = DLH_ABI_MAJOR,                        \
                                                .abi_minor = DLH_ABI_MINOR,                        \
                                                .kind = DLH_MODEL,                                 \
                                                .options_bytes = 1,                                \
                                                .name = #what,                                     \
                                                .version = "1.0",                                  \
                                                .licence = "MIT",                                  \
                                                .summary = "For a test"};                          \
    static const DlhPlugin what = {sizeof (DlhPlugin), &what##_manifest, &what##_model}

STATIC_MODEL (linear);
STATIC_MODEL (cubic);

/* Runs. */

static DlhComponent *
load (DlhPluginKind kind, const char *text)
{
    return load_plugin_line (registry, kind, text);
}

static gboolean
run_with (Host *host, const char *settings, DlhComponent *model, DlhComponent *optimizer,
          DlhComponent *perturb, GError **error)
{
    g_autofree char *text = g_strconcat ("gradient-variance ", settings, NULL);
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    g_autoptr (DlhRun) r = dlh_run_new (&host_functions, host, store);
    g_autoptr (DlhComponent) task = load (DLH_TASK, text);

    dlh_run_set_component (r, task);
    dlh_run_set_component (r, model);
    if (optimizer)
        dlh_run_set_component (r, optimizer);
    if (perturb)
        dlh_run_set_component (r, perturb);
    return dlh_run_execute (r, error);
}

static void
host_init (Host *h, DlhData *data)
{
    *h = (Host){data, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free), 0, 0};
}

static void
host_clear (Host *h)
{
    g_hash_table_unref (h->values);
    dlh_data_unref (h->data);
}

static DlhData *
data_of (DlhTensor *x, DlhTensor *y, gint64 classes)
{
    DlhData *data = dlh_data_new ();
    g_autoptr (GError) error = NULL;

    dlh_data_set_targets (data, classes ? DLH_TARGET_CLASS : DLH_TARGET_REAL, classes);
    dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, y, &error);
    g_assert_no_error (error);
    return data;
}

static const char *const all_estimators[] = {"flipout", "shared", "per_example", "local_reparam"};

/* "/gradient-variance/linear/closed-form": the parts over the examples that there are. */
static void
linear_closed_form (void)
{
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (N, D), 3);
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_F64, dlh_shape (N, 1), NULL);
    g_autoptr (DlhComponent) model = dlh_component_new_static (&linear, NULL, NULL);
    g_autoptr (GError) error = NULL;
    double moment[D][D] = {{0}}, alpha = 0, beta = 0;
    Host h;

    for (gint64 n = 0; n < N; n++) {
        const double *row = (const double *)dlh_tensor_get_data (x) + n * D;
        double sum = 0, squares = 0;

        for (guint i = 0; i < D; i++) {
            sum += row[i];
            squares += row[i] * row[i];
            for (guint k = 0; k < D; k++)
                moment[i][k] += row[i] * row[k] / N;
        }
        dlh_tensor_set (y, n, 0.5 * sum);
        alpha += squares * squares / N / D;
    }
    for (guint i = 0; i < D; i++)
        for (guint k = 0; k < D; k++)
            beta += moment[i][k] * moment[i][k] / D;
    g_assert_cmpfloat (fabs (alpha - (D + 2)), <, 1); // sigma^2 (d + 2) and sigma^2 of the law
    g_assert_cmpfloat (fabs (beta - 1), <, 0.2);
    host_init (&h, data_of (x, y, 0));
    run_with (&h,
              "noise=fixed sigma=1 batches=[1,10,100] samples=100 cheap=1 repeats=20 nested=200 "
              "inner=60 pass=30",
              model, NULL, NULL, &error);
    g_assert_no_error (error);
    for (guint e = 0; e < 4 && !error; e++) {
        const double shared = e == 1 ? beta : 0;
        g_autofree char *where = g_strconcat (all_estimators[e], "/linear/w", NULL);

        expect (&h, "alpha", where, alpha, alpha);
        expect (&h, "shared", where, shared, beta);
        for (double n = 1; n <= 100; n *= 10) {
            const double want = alpha / n + (n - 1) / n * shared;
            g_autofree char *at = g_strdup_printf ("%s@%g", where, n);

            expect (&h, "variance", at, want, want);
        }
    }
    g_assert_cmpfloat (fabs (value (&h, "theorem/beta/linear/w") - beta), <, 0.2 * beta);
    g_assert_cmpuint (h.n_figures, ==, 2);
    host_clear (&h);
}

/* "/gradient-variance/cubic/gamma-above-zero": flipout levels at gamma = 2 sigma^4. */
static void
cubic_gamma (void)
{
    const double s2 = 0.01, alpha = 4 * s2 + 2 * s2 * s2, beta = 4 * s2, gamma = 2 * s2 * s2;
    g_autoptr (DlhTensor) x = dlh_tensor_new (DLH_F64, dlh_shape (4, 1), NULL);
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_F64, dlh_shape (4, 1), NULL);
    g_autoptr (DlhComponent) model = dlh_component_new_static (&cubic, NULL, NULL);
    g_autoptr (GError) error = NULL;
    Host h;

    for (gint64 n = 0; n < 4; n++)
        dlh_tensor_set (x, n, 1);
    host_init (&h, data_of (x, y, 0));
    run_with (&h,
              "noise=fixed sigma=0.1 batches=[1,10,1000] samples=200 cheap=1 repeats=20 nested=400 "
              "inner=2000 pass=2000 estimators=flipout|shared",
              model, NULL, NULL, &error);
    g_assert_no_error (error);
    if (!error) {
        expect (&h, "alpha", "flipout/cubic/w", alpha, alpha);
        expect (&h, "shared", "flipout/cubic/w", gamma, gamma);
        expect (&h, "shared", "shared/cubic/w", beta + gamma, beta);
        expect (&h, "variance", "flipout/cubic/w@10", alpha / 10 + 0.9 * gamma, alpha / 10);
        expect (&h, "variance", "flipout/cubic/w@1000", alpha / 1e3 + 0.999 * gamma, 1.2 * gamma);
        expect (&h, "variance", "shared/cubic/w@10", alpha / 10 + 0.9 * (beta + gamma), beta);
    }
    host_clear (&h);
}

/* Classes that follow from the first input. */
static DlhData *
pictures (DlhShape shape)
{
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape_insert (shape, 0, 64), 11);
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_I64, dlh_shape (64), NULL);

    for (gint64 i = 0; i < 64; i++)
        dlh_tensor_set (y, i, dlh_tensor_get (x, i * dlh_shape_count (shape)) > 0);
    return data_of (x, y, 2);
}

#define QUICK                                                                                      \
    "batches=[1,4] samples=4 repeats=2 nested=4 inner=4 pass=3 cheap=1 train=[0,3] batch=8"

/* Every layer under every estimator that is defined; another seed's data stays as it is. */
static void
expect_layers (DlhShape shape, const char *model_text, const char *const *layers, guint n_layers,
               guint n_estimators)
{
    g_autoptr (DlhComponent) model = load (DLH_MODEL, model_text);
    g_autoptr (DlhComponent) optimizer = load (DLH_OPTIMIZER, "sgd lr=0.05");
    g_autoptr (GError) error = NULL;
    Host h;

    host_init (&h, pictures (shape));
    run_with (&h, QUICK, model, optimizer, NULL, &error);
    g_assert_no_error (error);
    for (guint e = 0; e < n_estimators; e++)
        for (guint l = 0; l < n_layers; l++)
            g_assert_cmpfloat (value (&h, "variance/%s/%s@4", all_estimators[e], layers[l]), >, 0);
    g_assert_cmpuint (h.n_left_out, ==, 4 - n_estimators);
    g_assert_cmpuint (h.n_figures, ==, 4 * n_layers);
    g_assert_cmpfloat (value (&h, "trained"), ==, 3);
    host_clear (&h);
}

static void
networks_mlp (void)
{
    expect_layers (dlh_shape (6), "mlp hidden=[5]",
                   (const char *const[]){"mlp/hidden1/weight", "mlp/output/weight"}, 2, 4);
}

static void
networks_conv (void)
{
    expect_layers (dlh_shape (1, 8, 8), "convnet channels=[2] kernel=3 hidden=[]",
                   (const char *const[]){"convnet/conv1/weight", "convnet/output/weight"}, 2, 3);
}

static void
networks_lstm (void)
{
    expect_layers (dlh_shape (1, 4, 5), "rnn cell=lstm hidden=3",
                   (const char *const[]){"rnn/layer1/input/weight", "rnn/layer1/hidden/weight",
                                         "rnn/output/weight"},
                   3, 3);
}

/* (transfer full) (nullable): 4000 pictures; NULL after the test is skipped. */
static DlhData *
mnist (void)
{
    g_autofree char *dir = test_data ("mnist");
    g_autofree char *text = dir ? g_strdup_printf ("mnist limit=4000 dir=%s", dir) : NULL;
    g_autoptr (DlhComponent) dataset = dir ? load (DLH_DATASET, text) : NULL;
    g_autoptr (GError) error = NULL;
    DlhData *data = dir ? dlh_data_new () : NULL;

    if (data)
        ((const DlhDataset *)dlh_component_interface (dataset))
            ->load (data, DLH_F64, dlh_component_options (dataset), &error);
    g_assert_no_error (error);
    return data;
}

/* "/gradient-variance/mnist/slopes": flipout falls like 1 / N where gamma is small, shared noise
 * levels off, both as the theorem says. The slopes' standard errors are below 0.01, so one that is
 * 0.05 off is a chance of one in a million at most. */
static void
mnist_slopes (void)
{
    g_autoptr (DlhComponent) model = load (DLH_MODEL, "mlp hidden=[64]");
    g_autoptr (GError) error = NULL;
    const char *const layers[] = {"mlp/hidden1/weight", "mlp/output/weight"};
    DlhData *data = mnist ();
    gboolean flat = FALSE;
    Host h;

    if (!data)
        return;
    host_init (&h, data);
    run_with (&h,
              "estimators=flipout|shared batches=[1,4,16,64,256] samples=8 repeats=6 cheap=128 "
              "nested=12 inner=128 elements=500",
              model, NULL, NULL, &error);
    g_assert_no_error (error);
    for (guint l = 0; l < 2; l++) {
        const double slope = value (&h, "slope_ideal/flipout/%s", layers[l]);

        g_test_message ("%s: slope %.3f up to %g, %.3f and %.3f of the theorem", layers[l], slope,
                        value (&h, "ideal_until/flipout/%s", layers[l]),
                        value (&h, "apart/flipout/%s", layers[l]),
                        value (&h, "apart/shared/%s", layers[l]));
        g_assert_cmpfloat (fabs (slope + 1), <, 0.05);
        g_assert_cmpfloat (value (&h, "apart/flipout/%s", layers[l]), <, 0.1);
        flat |= value (&h, "variance/shared/%s@256", layers[l]) >
                0.7 * value (&h, "variance/shared/%s@64", layers[l]);
    }
    g_assert_true (flat);
    host_clear (&h);
}

/* Parts from pairs of batches of 16 say what flipout's variance is at all sizes, within the sheet's
 * 10 %, in every layer. */
static void
expect_theorem (const char *model_text, const char *const *layers, guint n_layers)
{
    g_autoptr (DlhComponent) model = load (DLH_MODEL, model_text);
    g_autoptr (GError) error = NULL;
    DlhData *data = mnist ();
    Host h;

    if (!data)
        return;
    host_init (&h, data);
    run_with (&h,
              "estimators=flipout batches=[1,8,64] samples=80 cheap=64 repeats=4 nested=300 "
              "inner=16 elements=500",
              model, NULL, NULL, &error);
    g_assert_no_error (error);
    for (guint l = 0; l < n_layers; l++) {
        g_test_message ("%s: within %.3f", layers[l], value (&h, "apart/flipout/%s", layers[l]));
        g_assert_cmpfloat (value (&h, "apart/flipout/%s", layers[l]), <, 0.1);
    }
    host_clear (&h);
}

static void
theorem_conv (void)
{
    expect_theorem ("convnet channels=[4,8] kernel=5 hidden=[]",
                    (const char *const[]){"convnet/conv1/weight", "convnet/conv2/weight",
                                          "convnet/output/weight"},
                    3);
}

static void
theorem_lstm (void)
{
    expect_theorem ("rnn cell=lstm hidden=8",
                    (const char *const[]){"rnn/layer1/input/weight", "rnn/layer1/hidden/weight",
                                          "rnn/output/weight"},
                    3);
}

static void
expect_error (const char *settings, DlhComponent *perturb, DlhErrorCode code, const char *text)
{
    g_autoptr (DlhComponent) model = load (DLH_MODEL, "mlp hidden=[3]");
    g_autoptr (GError) error = NULL;
    Host h;

    host_init (&h, pictures (dlh_shape (4)));
    g_assert_false (run_with (&h, settings, model, NULL, perturb, &error));
    test_assert_error (&error, code, text);
    host_clear (&h);
}

static void
options_refused (void)
{
    g_autoptr (DlhComponent) flipout = load (DLH_PERTURB, "flipout");

    expect_error ("batches=[4,2]", NULL, DLH_ERROR_OPTION, "batches: 2 after 4, must be in rising");
    expect_error ("train=[3,3]", NULL, DLH_ERROR_OPTION, "train: 3 after 3, must be in rising");
    expect_error ("train=[3]", NULL, DLH_ERROR_OPTION, "--optimizer");
    expect_error ("layers=none", NULL, DLH_ERROR_OPTION,
                  "layers=none names no perturbed weight: there are mlp/hidden1/weight");
    expect_error ("weights=none", NULL, DLH_ERROR_OPTION, "nothing that can be perturbed");
    expect_error ("estimators=nothere", NULL, DLH_ERROR_OPTION, "estimators: ");
    expect_error ("estimators=shared|shared", NULL, DLH_ERROR_OPTION, "names 'shared' twice");
    expect_error ("noise=dropconnect rate=0.3", NULL, DLH_ERROR_OPTION, "symmetric");
    expect_error ("samples=2", flipout, DLH_ERROR_OPTION, "--task.estimators=flipout instead");
}

int
main (int argc, char **argv)
{
    int status;

    test_init (&argc, &argv);
    registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_test_add_func ("/gradient-variance/linear/closed-form", linear_closed_form);
    g_test_add_func ("/gradient-variance/cubic/gamma-above-zero", cubic_gamma);
    g_test_add_func ("/gradient-variance/mlp/every-layer-and-estimator", networks_mlp);
    g_test_add_func ("/gradient-variance/conv/every-layer-and-estimator", networks_conv);
    g_test_add_func ("/gradient-variance/lstm/every-layer-and-estimator", networks_lstm);
    g_test_add_func ("/gradient-variance/mnist/slopes", mnist_slopes);
    g_test_add_func ("/gradient-variance/conv/theorem", theorem_conv);
    g_test_add_func ("/gradient-variance/lstm/theorem", theorem_lstm);
    g_test_add_func ("/gradient-variance/options/refused", options_refused);
    status = g_test_run ();
    dlh_registry_free (registry);
    return status;
}
