/* SPDX-License-Identifier: MIT */
/* The model plugins, through the real loader: losses against double loops where the model is small
 * enough to write down, gradients by differences, learning, and messages for problems that do not
 * fit. */
#include "test.h"

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhGraph *graph;
    GPtrArray *updates;
    DlhComponent *model;
    DlhObjective objective;
    DlhNode *x, *y;
    DlhTensor *inputs[2];
    guint n_inputs;
} Fixture;

static void
fixture_clear (Fixture *f)
{
    g_clear_pointer (&f->inputs[0], dlh_tensor_unref);
    g_clear_pointer (&f->inputs[1], dlh_tensor_unref);
    dlh_component_unref (f->model);
    g_ptr_array_unref (f->updates);
    dlh_graph_unref (f->graph);
    dlh_store_unref (f->store);
    dlh_registry_free (f->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

// @settings: "hidden=[3,2] activation=tanh".
static GHashTable *
parse_settings (const char *settings)
{
    GHashTable *table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_auto (GStrv) words = g_strsplit (settings, " ", -1);

    for (guint i = 0; words[i] && *words[i]; i++) {
        g_auto (GStrv) pair = g_strsplit (words[i], "=", 2);

        g_hash_table_insert (table, g_strdup (pair[0]), g_strdup (pair[1]));
    }
    return table;
}

static gboolean
fixture_build (Fixture *f, const char *model, const char *settings, const DlhProblem *problem,
               DlhTensor *x, DlhTensor *y, gboolean training, GError **error)
{
    g_autoptr (GHashTable) table = parse_settings (settings);
    const DlhModel *role;
    DlhBuild b;

    f->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    f->store = dlh_store_new (1, DLH_F64);
    f->graph = dlh_graph_new ();
    f->updates = g_ptr_array_new ();
    f->inputs[0] = x;
    f->inputs[1] = y;
    f->n_inputs = y ? 2 : 1;
    f->model = dlh_registry_load (f->registry, DLH_MODEL, model, table, error);
    if (!f->model)
        return FALSE;
    role = dlh_component_interface (f->model);
    b = (DlhBuild){sizeof b, f->graph, f->store, training, f->updates};
    f->objective.size = sizeof f->objective;
    f->x = dlh_input (f->graph, "x", dlh_tensor_get_dtype (x), dlh_tensor_get_shape (x));
    if (y)
        f->y = dlh_input (f->graph, "y", dlh_tensor_get_dtype (y), dlh_tensor_get_shape (y));
    return role->supervised->build (&b, problem, dlh_component_options (f->model), f->x, f->y,
                                    &f->objective, error);
}

static double
metric (Fixture *f, const char *name)
{
    g_autoptr (DlhTensor) out = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (f->objective.metrics) && f->objective.metrics[i].name; i++)
        if (strcmp (f->objective.metrics[i].name, name) == 0) {
            out = test_run (f->objective.metrics[i].value, f->inputs, f->n_inputs);
            return out ? dlh_tensor_get (out, 0) : NAN;
        }
    test_fail ("no metric '%s'", name);
    return NAN;
}

static double
loss (Fixture *f)
{
    g_autoptr (DlhTensor) out = test_run (f->objective.loss, f->inputs, f->n_inputs);

    return out ? dlh_tensor_get (out, 0) : NAN;
}

static const double *
parameter (Fixture *f, const char *name)
{
    DlhVariable *v = dlh_store_lookup (f->store, name);

    g_assert_nonnull (v);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

// The loss's gradient by every parameter.
static void
check_gradient (Fixture *f)
{
    g_autoptr (GPtrArray) variables = dlh_graph_variables (&f->objective.loss, 1);
    g_autoptr (GPtrArray) from = g_ptr_array_new (), to = g_ptr_array_new ();
    g_autoptr (GPtrArray) values = g_ptr_array_new ();
    g_autoptr (GArray) positions = g_array_new (FALSE, FALSE, sizeof (guint));
    DlhNode *y;

    for (guint i = 0; i < f->n_inputs; i++)
        g_ptr_array_add (values, f->inputs[i]);
    for (guint i = 0; i < variables->len; i++) {
        DlhVariable *v = variables->pdata[i];
        guint position = values->len;

        if (!dlh_variable_is_trainable (v))
            continue;
        g_ptr_array_add (from, dlh_read (f->graph, v));
        g_ptr_array_add (to, dlh_input (f->graph, "p", DLH_F64, dlh_variable_shape (v)));
        g_ptr_array_add (values, dlh_variable_tensor (v));
        g_array_append_val (positions, position);
    }
    g_assert_cmpuint (from->len, >, 0);
    dlh_graph_substitute (&f->objective.loss, 1, (DlhNode **) from->pdata, (DlhNode **) to->pdata,
                          from->len, &y);
    test_gradient_check (dlh_component_name (f->model), y, (DlhNode **) to->pdata,
                         (guint *) positions->data, to->len, (DlhTensor **) values->pdata,
                         values->len, 1);
}

static DlhTensor *
classes (DlhShape shape, gint64 n)
{
    DlhTensor *t = dlh_tensor_new (DLH_I64, shape, NULL);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, (double) (i * 7 % 5 % n));
    return t;
}

static DlhProblem
class_problem (DlhShape input, gint64 n)
{
    return (DlhProblem){.size = sizeof (DlhProblem), .input_shape = input,
                        .target_shape = dlh_shape (), .target_kind = DLH_TARGET_CLASS,
                        .n_classes = n, .target_std = 1};
}

/* mlp */

static void
mlp_classes (void)
{
    g_auto (Fixture) f = {0};
    DlhProblem problem = class_problem (dlh_shape (2, 2), 3);
    g_autoptr (GError) error = NULL;
    const double *w, *c, *v, *d;
    double want = 0, hits = 0;

    fixture_build (&f, "mlp", "hidden=[5] activation=tanh", &problem,
                   test_tensor_random (DLH_F64, dlh_shape (6, 2, 2), 1),
                   classes (dlh_shape (6), 3), TRUE, &error);
    g_assert_no_error (error);
    w = parameter (&f, "hidden1/weight"), c = parameter (&f, "hidden1/bias");
    v = parameter (&f, "output/weight"), d = parameter (&f, "output/bias");
    for (guint b = 0; b < 6; b++) {
        double h[5], z[3], sum = 0;
        guint y = (guint) dlh_tensor_get (f.inputs[1], b), best = 0;

        for (guint k = 0; k < 5; k++) {
            h[k] = c[k];
            for (guint i = 0; i < 4; i++)
                h[k] += w[4 * k + i] * dlh_tensor_get (f.inputs[0], 4 * b + i);
            h[k] = tanh (h[k]);
        }
        for (guint k = 0; k < 3; k++) {
            z[k] = d[k];
            for (guint i = 0; i < 5; i++)
                z[k] += v[5 * k + i] * h[i];
            sum += exp (z[k]);
            best = z[k] > z[best] ? k : best;
        }
        want -= (z[y] - log (sum)) / 6;
        hits += best == y;
    }
    g_assert_cmpfloat_with_epsilon (loss (&f), want, 1e-13);
    g_assert_cmpfloat_with_epsilon (metric (&f, "accuracy"), hits / 6, 1e-15);
    g_assert_cmpfloat (f.objective.n_cases, ==, 6);
    check_gradient (&f);
}

static DlhProblem
real_problem (double std)
{
    return (DlhProblem){.size = sizeof (DlhProblem), .input_shape = dlh_shape (3),
                        .target_shape = dlh_shape (2), .target_kind = DLH_TARGET_REAL,
                        .target_std = std};
}

// Without hidden layers the mean is linear, and all of it can be written down.
static void
mlp_real_of (double noise, const char *settings)
{
    g_auto (Fixture) f = {0};
    DlhProblem problem = real_problem (5);
    g_autoptr (GError) error = NULL;
    const double *w, *c;
    double want = 0, squares = 0, s = noise;

    fixture_build (&f, "mlp", settings, &problem, test_tensor_random (DLH_F64, dlh_shape (4, 3), 1),
                   test_tensor_random (DLH_F64, dlh_shape (4, 2), 2), TRUE, &error);
    g_assert_no_error (error);
    w = parameter (&f, "output/weight"), c = parameter (&f, "output/bias");
    for (guint b = 0; b < 4; b++)
        for (guint o = 0; o < 2; o++) {
            double e = c[o] - dlh_tensor_get (f.inputs[1], 2 * b + o);

            for (guint i = 0; i < 3; i++)
                e += w[3 * o + i] * dlh_tensor_get (f.inputs[0], 3 * b + i);
            want += (e * e / (2 * s * s) + log (2 * G_PI * s * s) / 2) / 4;
            squares += 25 * e * e / 4;
        }
    g_assert_cmpfloat_with_epsilon (loss (&f), want, 1e-12);
    g_assert_cmpfloat_with_epsilon (metric (&f, "squared_error"), squares, 1e-11);
    // The density of 5 y is that of y over 5 for each of two columns.
    g_assert_cmpfloat_with_epsilon (metric (&f, "log_likelihood"), -want - 2 * log (5), 1e-12);
    g_assert_true ((dlh_store_lookup (f.store, "log_std") != NULL) == (noise == 1));
    check_gradient (&f);
}

static void
mlp_real (void)
{
    mlp_real_of (1, "hidden=[]");
    mlp_real_of (0.25, "hidden=[] noise=0.25");
}

static void
mlp_dropout_in_training (void)
{
    DlhProblem problem = class_problem (dlh_shape (4), 3);

    for (guint training = 0; training < 2; training++) {
        g_auto (Fixture) f = {0};

        g_assert_true (fixture_build (&f, "mlp", "hidden=[8] dropout=0.5", &problem,
                                      test_tensor_random (DLH_F64, dlh_shape (6, 4), 1),
                                      classes (dlh_shape (6), 3), training, NULL));
        g_assert_true ((loss (&f) != loss (&f)) == training);
    }
}

/* autoencoder */

static void
autoencoder_loss (void)
{
    const char *const settings[] = {"hidden=[5,4] code=2 loss=sum", "hidden=[5,4] code=2 loss=mean"};

    for (guint s = 0; s < 2; s++) {
        g_auto (Fixture) f = {0};
        DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (1, 3, 2),
                              .target_shape = dlh_shape (), .target_kind = DLH_TARGET_NONE};
        DlhTensor *x = dlh_tensor_new (DLH_F64, dlh_shape (4, 1, 3, 2), NULL);
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhTensor) z = NULL;
        double want = 0, squares = 0;

        for (gint64 i = 0; i < 24; i++)
            dlh_tensor_set (x, i, (double) (i * 5 % 7) / 6);
        fixture_build (&f, "autoencoder", settings[s], &problem, x, NULL, TRUE, &error);
        g_assert_no_error (error);
        z = test_run (dlh_distribution_outputs (f.objective.prediction), f.inputs, 1);
        for (gint64 i = 0; i < 24; i++) {
            double p = 1 / (1 + exp (-dlh_tensor_get (z, i))), t = dlh_tensor_get (x, i);

            want -= (t * log (p) + (1 - t) * log (1 - p)) / 4 / (s ? 6 : 1);
            squares += (p - t) * (p - t) / 4;
        }
        g_assert_cmpfloat_with_epsilon (loss (&f), want, 1e-13);
        g_assert_cmpfloat_with_epsilon (metric (&f, "squared_error"), squares, 1e-13);
        check_gradient (&f);
    }
}

// 784-1000-500-250-30-250-500-1000-784.
static void
autoencoder_default_layers (void)
{
    g_auto (Fixture) f = {0};
    DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (784),
                          .target_kind = DLH_TARGET_NONE};
    const gint64 sizes[] = {784, 1000, 500, 250, 30, 250, 500, 1000, 784};

    g_assert_true (fixture_build (&f, "autoencoder", "", &problem,
                                  dlh_tensor_new (DLH_F64, dlh_shape (1, 784), NULL), NULL, TRUE,
                                  NULL));
    g_assert_cmpuint (dlh_store_n_variables (f.store), ==, 16);
    for (guint i = 0; i < 8; i++) {
        DlhShape shape = dlh_variable_shape (dlh_store_get_variable (f.store, 2 * i));

        g_assert_true (dlh_shape_equal (shape, dlh_shape (sizes[i + 1], sizes[i])));
    }
}

static void
autoencoder_sparse (void)
{
    g_auto (Fixture) f = {0};
    DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (20),
                          .target_kind = DLH_TARGET_NONE};
    const double *w;

    g_assert_true (fixture_build (&f, "autoencoder",
                                  "hidden=[10] code=4 init=sparse sparse_links=7", &problem,
                                  dlh_tensor_new (DLH_F64, dlh_shape (1, 20), NULL), NULL, TRUE,
                                  NULL));
    w = parameter (&f, "encoder1/weight");
    for (guint o = 0; o < 10; o++) {
        guint links = 0;

        for (guint i = 0; i < 20; i++)
            links += w[20 * o + i] != 0;
        g_assert_cmpuint (links, ==, 7);
    }
}

/* convnet */

static void
convnet_variants (void)
{
    const struct {
        const char *settings;
        DlhShape input;
        gint64 n_dense; /* inputs of the first dense layer */
        const char *first;
    } cases[] = {
        // 10 - 3 + 1 = 8, pooled 4; - 3 + 1 = 2, pooled 1; 4 channels.
        {"channels=[3,4] kernel=3 hidden=[5] activation=tanh", dlh_shape (2, 10, 10), 4,
         "dense1/weight"},
        // Same size, one pooling after two: 6 x 4 over 2 is 3 x 2; 3 channels.
        {"channels=[2,3] kernel=3 padding=same pool_every=2 hidden=[] activation=tanh",
         dlh_shape (6, 4), 18, "output/weight"},
        {"channels=[2] kernel=3 pool=1 hidden=[4] batch_norm=true activation=tanh",
         dlh_shape (1, 4, 5), 12, "dense1/weight"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Fixture) f = {0};
        DlhProblem problem = class_problem (cases[i].input, 3);
        DlhShape batch = dlh_shape_insert (cases[i].input, 0, 4);
        g_autoptr (GError) error = NULL;

        fixture_build (&f, "convnet", cases[i].settings, &problem,
                       test_tensor_random (DLH_F64, batch, 1), classes (dlh_shape (4), 3), TRUE,
                       &error);
        g_assert_no_error (error);
        g_assert_cmpint (
            dlh_variable_shape (dlh_store_lookup (f.store, cases[i].first)).dims[1], ==,
            cases[i].n_dense);
        g_assert_cmpuint (f.updates->len, ==, i == 2 ? 4 : 0);
        g_assert_true ((dlh_store_lookup (f.store, "conv1/bias") == NULL) == (i == 2));
        g_assert_true (loss (&f) > 0);
        check_gradient (&f);
    }
}

/* lstm */

static void
lstm_language (void)
{
    const char *const settings[] = {"embedding=3 hidden=4 layers=2",
                                    "embedding=3 hidden=4 cell=gru"};

    for (guint s = 0; s < 2; s++) {
        g_auto (Fixture) f = {0};
        DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (5),
                              .target_shape = dlh_shape (5), .target_kind = DLH_TARGET_SEQUENCE,
                              .n_classes = 6, .vocabulary = 6};
        g_autoptr (GError) error = NULL;

        fixture_build (&f, "lstm", settings[s], &problem, classes (dlh_shape (3, 5), 5),
                       classes (dlh_shape (3, 5), 4), TRUE, &error);
        g_assert_no_error (error);
        g_assert_cmpfloat (f.objective.n_cases, ==, 15);
        g_assert_cmpfloat_with_epsilon (metric (&f, "bits_per_token"), loss (&f) / log (2), 1e-14);
        check_gradient (&f);
    }
}

// What a lane reads must be scored on its own targets: with one lane swapped out, the other's loss
// stays.
static void
lstm_lanes (void)
{
    DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (3),
                          .target_shape = dlh_shape (3), .target_kind = DLH_TARGET_SEQUENCE,
                          .n_classes = 4, .vocabulary = 4};
    const double x[6] = {0, 1, 2, 3, 3, 1}, y[6] = {1, 2, 3, 0, 2, 2};
    double parts = 0, whole = 0;

    for (guint lane = 0; lane < 3; lane++) {
        g_auto (Fixture) f = {0};
        DlhShape shape = dlh_shape (lane < 2 ? 1 : 2, 3);
        gsize first = lane < 2 ? 3 * lane : 0, n = lane < 2 ? 3 : 6;

        g_assert_true (fixture_build (&f, "lstm", "embedding=3 hidden=4", &problem,
                                      test_tensor_from (DLH_I64, shape, x + first, n),
                                      test_tensor_from (DLH_I64, shape, y + first, n), TRUE, NULL));
        if (lane < 2)
            parts += loss (&f) / 2;
        else
            whole = loss (&f);
    }
    g_assert_cmpfloat_with_epsilon (whole, parts, 1e-13);
}

static void
lstm_classifier (void)
{
    g_auto (Fixture) f = {0};
    DlhProblem problem = class_problem (dlh_shape (4, 2), 3);
    g_autoptr (GError) error = NULL;

    fixture_build (&f, "lstm", "hidden=4", &problem,
                   test_tensor_random (DLH_F64, dlh_shape (5, 4, 2), 1),
                   classes (dlh_shape (5), 3), TRUE, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat (f.objective.n_cases, ==, 5);
    check_gradient (&f);
}

/* rnn */

// A picture's rows, top first, all channels of a row at once.
static void
rnn_reads_rows (void)
{
    enum { N = 2, C = 2, ROWS = 3, W = 2, H = 2, IN = C * W };
    g_auto (Fixture) f = {0};
    DlhProblem problem = class_problem (dlh_shape (C, ROWS, W), 3);
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (N, C, ROWS, W), 1);
    const double *data = dlh_tensor_get_data (x), *w, *u, *out;
    g_autoptr (GError) error = NULL;
    double want = 0;

    fixture_build (&f, "rnn", "hidden=2", &problem, dlh_tensor_ref (x), classes (dlh_shape (N), 3),
                   TRUE, &error);
    g_assert_no_error (error);
    w = parameter (&f, "layer1/input/weight");
    u = parameter (&f, "layer1/hidden/weight");
    out = parameter (&f, "output/weight");
    for (guint n = 0; n < N; n++) { // all biases are zeros
        double h[H] = {0}, z[3] = {0}, sum = 0;

        for (guint t = 0; t < ROWS; t++) {
            double next[H];

            for (guint k = 0; k < H; k++) {
                double s = u[k * H] * h[0] + u[k * H + 1] * h[1];

                for (guint i = 0; i < IN; i++)
                    s += w[k * IN + i] * data[((n * C + i / W) * ROWS + t) * W + i % W];
                next[k] = tanh (s);
            }
            memcpy (h, next, sizeof h);
        }
        for (guint k = 0; k < 3; k++) {
            z[k] = out[k * H] * h[0] + out[k * H + 1] * h[1];
            sum += exp (z[k]);
        }
        want += (log (sum) - z[(guint) dlh_tensor_get (f.inputs[1], n)]) / N;
    }
    g_assert_cmpfloat_with_epsilon (loss (&f), want, 1e-14);
    check_gradient (&f);
}

static void
rnn_cells (void)
{
    const char *const settings[] = {"hidden=3 layers=2", "hidden=3 cell=lstm", "hidden=3 cell=gru",
                                    "hidden=3 cell=softplus"};

    for (guint s = 0; s < G_N_ELEMENTS (settings); s++) {
        g_auto (Fixture) f = {0};
        DlhProblem problem = class_problem (dlh_shape (4, 2), 3);
        g_autoptr (GError) error = NULL;

        fixture_build (&f, "rnn", settings[s], &problem,
                       test_tensor_random (DLH_F64, dlh_shape (5, 4, 2), 1),
                       classes (dlh_shape (5), 3), TRUE, &error);
        if (s == 3) {
            test_assert_error (&error, DLH_ERROR_OPTION, "'cell' is 'softplus'");
            continue;
        }
        g_assert_no_error (error);
        g_assert_cmpfloat (f.objective.n_cases, ==, 5);
        check_gradient (&f);
    }
}

/* Every model learns something with plain gradient steps through the trainer. */

static void
learns (const char *model, const char *settings, const DlhProblem *problem, DlhTensor *x,
        DlhTensor *y)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (GHashTable) table = parse_settings (settings), rate = parse_settings ("lr=0.05");
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) m = dlh_registry_load (registry, DLH_MODEL, model, table, &error);
    g_autoptr (DlhComponent) sgd =
        dlh_registry_load (registry, DLH_OPTIMIZER, "adam", rate, &error);
    DlhTraining training = {.size = sizeof training, .schedule = {.kind = DLH_SCHEDULE_CONSTANT}};
    g_autoptr (DlhTrainer) trainer =
        dlh_trainer_new (store, m, sgd, problem, &training, &error);
    double first = NAN, last;

    g_assert_no_error (error);
    for (guint i = 0; i < 100; i++) {
        if (!dlh_trainer_step (trainer, x, y, &error)) {
            test_fail ("%s: %s", model, error->message);
            break;
        }
        first = i ? first : dlh_trainer_value (trainer, 0);
    }
    last = dlh_trainer_value (trainer, 0);
    if (!(last < 0.5 * first))
        test_fail ("%s: loss %g after 100 steps, %g before", model, last, first);
    dlh_tensor_unref (x);
    if (y)
        dlh_tensor_unref (y);
}

static void
all_learn (void)
{
    DlhProblem pictures = class_problem (dlh_shape (1, 8, 8), 4);
    DlhProblem text = {.size = sizeof text, .input_shape = dlh_shape (5),
                       .target_shape = dlh_shape (5), .target_kind = DLH_TARGET_SEQUENCE,
                       .n_classes = 6, .vocabulary = 6};
    DlhTensor *pixels = test_tensor_random (DLH_F32, dlh_shape (8, 1, 8, 8), 1);

    learns ("mlp", "hidden=[16]", &pictures, dlh_tensor_ref (pixels), classes (dlh_shape (8), 4));
    learns ("convnet", "channels=[4] kernel=3 hidden=[8]", &pictures, dlh_tensor_ref (pixels),
            classes (dlh_shape (8), 4));
    learns ("convnet", "channels=[4] kernel=3 hidden=[8] batch_norm=true dropout=0.1", &pictures,
            dlh_tensor_ref (pixels), classes (dlh_shape (8), 4));
    learns ("rnn", "hidden=16", &pictures, dlh_tensor_ref (pixels), classes (dlh_shape (8), 4));
    learns ("lstm", "hidden=16 embedding=8", &text, classes (dlh_shape (4, 5), 5),
            classes (dlh_shape (4, 5), 5));
    for (gint64 i = 0; i < dlh_tensor_count (pixels); i++)
        dlh_tensor_set (pixels, i, dlh_tensor_get (pixels, i) > 0);
    pictures.target_kind = DLH_TARGET_NONE;
    learns ("autoencoder", "hidden=[32] code=8", &pictures, pixels, NULL);
}

/* Problems that do not fit. */

static void
misfit (const char *model, const char *settings, DlhProblem problem, DlhShape x, DlhErrorCode code,
        const char *text)
{
    g_auto (Fixture) f = {0};
    DlhDType dtype = problem.vocabulary > 0 ? DLH_I64 : DLH_F64;
    DlhTensor *y = problem.target_kind == DLH_TARGET_CLASS ? classes (dlh_shape (2), 2) : NULL;
    g_autoptr (GError) error = NULL;

    g_assert_false (fixture_build (&f, model, settings, &problem, dlh_tensor_new (dtype, x, NULL),
                                   y, TRUE, &error));
    test_assert_error (&error, code, text);
}

static void
misfits (void)
{
    DlhProblem tokens = class_problem (dlh_shape (5), 2), rows = class_problem (dlh_shape (5), 2);
    DlhProblem none = rows, tiny = class_problem (dlh_shape (1, 4, 4), 2);

    tokens.vocabulary = 10;
    none.target_kind = DLH_TARGET_NONE;
    misfit ("mlp", "", tokens, dlh_shape (2, 5), DLH_ERROR_SHAPE, "try --model=lstm");
    misfit ("mlp", "", none, dlh_shape (2, 5), DLH_ERROR_SHAPE, "try --model=autoencoder");
    misfit ("autoencoder", "", tokens, dlh_shape (2, 5), DLH_ERROR_SHAPE, "the inputs are tokens");
    misfit ("convnet", "", rows, dlh_shape (2, 5), DLH_ERROR_SHAPE,
            "inputs [5], must be pictures [channels,height,width]");
    misfit ("convnet", "", none, dlh_shape (2, 5), DLH_ERROR_SHAPE, "inputs [5] without classes");
    misfit ("convnet", "kernel=4 padding=same", tiny, dlh_shape (2, 1, 4, 4), DLH_ERROR_OPTION,
            "'kernel' is 4, must be odd");
    misfit ("convnet", "kernel=5", tiny, dlh_shape (2, 1, 4, 4), DLH_ERROR_SHAPE, "conv1: conv2d");
    misfit ("lstm", "", none, dlh_shape (2, 5), DLH_ERROR_SHAPE, "a class for each step");
    misfit ("lstm", "", rows, dlh_shape (2, 5), DLH_ERROR_SHAPE,
            "inputs [5], must be tokens [time] or numbers [time,n]");
    misfit ("rnn", "", tokens, dlh_shape (2, 5), DLH_ERROR_SHAPE, "of tokens, must be");
    misfit ("rnn", "", none, dlh_shape (2, 5), DLH_ERROR_SHAPE,
            "inputs [5] without classes, must be pictures");
    misfit ("rnn", "", rows, dlh_shape (2, 5), DLH_ERROR_SHAPE, "try --model=mlp");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/models/mlp/cross-entropy-and-gradient", mlp_classes);
    g_test_add_func ("/models/mlp/gaussian-and-gradient", mlp_real);
    g_test_add_func ("/models/mlp/dropout-in-training-only", mlp_dropout_in_training);
    g_test_add_func ("/models/autoencoder/loss-and-gradient", autoencoder_loss);
    g_test_add_func ("/models/autoencoder/default-layers", autoencoder_default_layers);
    g_test_add_func ("/models/autoencoder/sparse-links", autoencoder_sparse);
    g_test_add_func ("/models/convnet/sizes-and-gradient", convnet_variants);
    g_test_add_func ("/models/lstm/language-gradient", lstm_language);
    g_test_add_func ("/models/lstm/lanes-keep-their-targets", lstm_lanes);
    g_test_add_func ("/models/lstm/classifier-gradient", lstm_classifier);
    g_test_add_func ("/models/rnn/reads-rows", rnn_reads_rows);
    g_test_add_func ("/models/rnn/cells-gradient", rnn_cells);
    g_test_add_func ("/models/all/learn", all_learn);
    g_test_add_func ("/models/misfit/is-refused", misfits);
    return g_test_run ();
}
