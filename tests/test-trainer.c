/* SPDX-License-Identifier: MIT */
/* Looking at a trainer without training: predictions and gradients of softmax regression in closed
 * form. With logits z = x W and p = softmax (z): dloss / dW = x' (p - onehot (y)) / B. */
#include "test.h"

#define B 5
#define D 3
#define K 4

typedef struct {
    double dropout;
    gboolean distribution;
} Options;

static gboolean
regression_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                  DlhNode *y, DlhObjective *objective, GError **error)
{
    const Options *opt = options;
    DlhNode *W =
        dlh_parameter (b->graph, b->store, "W", dlh_shape (D, K), (DlhInit){DLH_INIT_NORMAL, 0, 1});
    DlhNode *z;

    (void)problem;
    if (opt->dropout > 0)
        x = dlh_dropout (b, "drop", x, opt->dropout);
    z = dlh_matmul (x, W);
    if (opt->distribution)
        dlh_objective_classify (objective, z, y);
    else {
        objective->loss = dlh_mean_all (dlh_square (z));
        objective->n_cases = (double)dlh_node_dim (x, 0);
    }
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised role = {.size = sizeof role, .build = regression_build};
static const DlhModel model = {.size = sizeof model, .supervised = &role};

DLH_PLUGIN_DEFINE (DLH_MODEL, model, Options,
                   DLH_OPTIONS (DLH_DOUBLE (Options, dropout, 0, 0.0, 0.9, "Of the inputs"),
                                DLH_BOOL_OPTION (Options, distribution, true,
                                                 "Predict, or lose without predicting")),
                   .name = "regression", .version = "1", .summary = "Softmax regression");

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x, *y;
} Bench;

static void
bench_clear (Bench *b)
{
    dlh_trainer_free (b->trainer);
    dlh_tensor_unref (b->x);
    dlh_tensor_unref (b->y);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static void
bench_init (Bench *b, const char *option, const char *value, const DlhTraining *training)
{
    static const double classes[B] = {0, 3, 1, 1, 2};
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) optimizer = NULL;
    g_autoptr (DlhComponent) regression = NULL;
    DlhTraining plain = {.size = sizeof plain, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (D),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = K};

    if (option)
        g_hash_table_insert (table, (gpointer)option, (gpointer)value);
    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    b->store = dlh_store_new (3, DLH_F64);
    optimizer = dlh_registry_load (b->registry, DLH_OPTIMIZER, "adam", NULL, &error);
    g_assert_no_error (error);
    regression = dlh_component_new_static (&dlhost_plugin, table, &error);
    g_assert_no_error (error);
    b->trainer = dlh_trainer_new (b->store, regression, optimizer, &problem,
                                  training ? training : &plain, &error);
    g_assert_no_error (error);
    b->x = test_tensor_random (DLH_F64, dlh_shape (B, D), 7);
    b->y = test_tensor_from (DLH_I64, dlh_shape (B), classes, B);
}

static void
step (Bench *b)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (b->trainer, b->x, b->y, &error);
    g_assert_no_error (error);
}

static const double *
weights (Bench *b)
{
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (b->store, "regression/W")));
}

/* The definitions. */

static void
probabilities (Bench *b, double p[B * K])
{
    const double *W = weights (b), *x = dlh_tensor_get_data (b->x);

    for (guint i = 0; i < B; i++) {
        double sum = 0;

        for (guint k = 0; k < K; k++) {
            double z = 0;

            for (guint d = 0; d < D; d++)
                z += x[i * D + d] * W[d * K + k];
            p[i * K + k] = exp (z);
            sum += p[i * K + k];
        }
        for (guint k = 0; k < K; k++)
            p[i * K + k] /= sum;
    }
}

static void
gradient (Bench *b, double g[D * K])
{
    const double *x = dlh_tensor_get_data (b->x);
    const gint64 *y = dlh_tensor_get_data (b->y);
    double p[B * K];

    probabilities (b, p);
    for (guint d = 0; d < D; d++)
        for (guint k = 0; k < K; k++) {
            g[d * K + k] = 0;
            for (guint i = 0; i < B; i++)
                g[d * K + k] += x[i * D + d] * (p[i * K + k] - (y[i] == (gint64)k)) / B;
        }
}

static double
norm (const double *g)
{
    double sum = 0;

    for (guint i = 0; i < D * K; i++)
        sum += g[i] * g[i];
    return sqrt (sum);
}

static void
assert_gradient (Bench *b, const double *want)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) got = dlh_trainer_gradients (b->trainer, b->x, b->y, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (got->len, ==, 1);
    g_assert_cmpstr (dlh_variable_name (g_array_index (got, DlhGradient, 0).variable), ==,
                     "regression/W");
    // Exponentials and a quotient, then a sum of B terms of size about 1.
    test_assert_tensor_within (g_array_index (got, DlhGradient, 0).gradient, want, D * K, 1e-14);
}

/* Tests. */

static void
predicts_probabilities (void)
{
    static const char *const dropout[] = {NULL, "0.5"};

    for (guint i = 0; i < G_N_ELEMENTS (dropout); i++) {
        g_auto (Bench) b = {0};
        g_autoptr (GError) error = NULL;
        const DlhTensor *got = NULL;
        double want[B * K];

        bench_init (&b, dropout[i] ? "dropout" : NULL, dropout[i], NULL);
        for (guint t = 0; t < 2; t++) {
            g_assert_true (dlh_trainer_predict (b.trainer, b.x, b.y, &got, &error));
            g_assert_no_error (error);
            g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (got), dlh_shape (B, K)));
            probabilities (&b, want);
            test_assert_tensor_within (got, want, B * K, 1e-14);
            step (&b);
        }
    }
}

static void
nothing_to_predict (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;
    const DlhTensor *got = (const DlhTensor *)&b;

    bench_init (&b, "distribution", "false", NULL);
    g_assert_true (dlh_trainer_predict (b.trainer, b.x, b.y, &got, &error));
    g_assert_no_error (error);
    g_assert_null (got);
}

static void
plain_gradient (void)
{
    g_auto (Bench) b = {0};
    double want[D * K];

    bench_init (&b, NULL, NULL, NULL);
    step (&b);
    gradient (&b, want);
    assert_gradient (&b, want);
    // After another step they are those of the new parameters.
    step (&b);
    gradient (&b, want);
    assert_gradient (&b, want);
}

static void
decayed_gradient (void)
{
    const DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .weight_decay = 0.3};
    g_auto (Bench) b = {0};
    double want[D * K];

    bench_init (&b, NULL, NULL, &training);
    step (&b);
    gradient (&b, want);
    for (guint i = 0; i < D * K; i++)
        want[i] += 0.3 * weights (&b)[i];
    assert_gradient (&b, want);
}

static void
clipped_norm (void)
{
    const DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .clip_norm = 0.01};
    g_auto (Bench) b = {0};
    double want[D * K], factor;

    bench_init (&b, NULL, NULL, &training);
    step (&b);
    gradient (&b, want);
    factor = 0.01 / norm (want);
    g_assert_cmpfloat (factor, <, 1);
    for (guint i = 0; i < D * K; i++)
        want[i] *= factor;
    assert_gradient (&b, want);
}

static void
clipped_values (void)
{
    const DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .clip_value = 0.05};
    g_auto (Bench) b = {0};
    double want[D * K];

    bench_init (&b, NULL, NULL, &training);
    step (&b);
    gradient (&b, want);
    for (guint i = 0; i < D * K; i++)
        want[i] = CLAMP (want[i], -0.05, 0.05);
    assert_gradient (&b, want);
}

// A wrong batch is refused, and the trainer goes on.
static void
wrong_batch (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) wide = test_tensor_random (DLH_F64, dlh_shape (B, D + 1), 8);
    g_autoptr (GError) error = NULL;
    const DlhTensor *got = (const DlhTensor *)&b;
    double want[D * K];

    bench_init (&b, NULL, NULL, NULL);
    step (&b);
    g_assert_false (dlh_trainer_predict (b.trainer, wide, b.y, &got, &error));
    g_assert_null (got);
    test_assert_error (&error, DLH_ERROR_SHAPE, "[5,4]");
    g_assert_null (dlh_trainer_gradients (b.trainer, wide, b.y, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "[5,4]");
    gradient (&b, want);
    assert_gradient (&b, want);
}

static GPtrArray *
values (Bench *b)
{
    GPtrArray *all = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);

    for (guint i = 0; i < dlh_store_n_variables (b->store); i++) {
        DlhTensor *t = dlh_variable_tensor (dlh_store_get_variable (b->store, i));

        g_ptr_array_add (all, g_bytes_new (dlh_tensor_get_data (t), (gsize)dlh_tensor_bytes (t)));
    }
    return all;
}

static void
assert_same (GPtrArray *got, GPtrArray *want)
{
    g_assert_cmpuint (got->len, ==, want->len);
    for (guint i = 0; i < want->len; i++)
        g_assert_true (g_bytes_equal (got->pdata[i], want->pdata[i]));
}

static void
look (Bench *b)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) gradients = dlh_trainer_gradients (b->trainer, b->x, b->y, &error);
    const DlhTensor *prediction = NULL;

    g_assert_no_error (error);
    g_assert_nonnull (gradients);
    dlh_trainer_predict (b->trainer, b->x, b->y, &prediction, &error);
    g_assert_no_error (error);
}

// With dropout, so that random positions would move.
static void
leaves_no_trace (void)
{
    g_auto (Bench) watched = {0};
    g_auto (Bench) alone = {0};

    bench_init (&watched, "dropout", "0.5", NULL);
    bench_init (&alone, "dropout", "0.5", NULL);
    for (guint t = 0; t < 3; t++) {
        g_autoptr (GPtrArray) before = NULL;
        g_autoptr (GPtrArray) after = NULL;
        g_autoptr (GPtrArray) other = NULL;

        step (&watched);
        step (&alone);
        before = values (&watched);
        other = values (&alone);
        assert_same (before, other);
        look (&watched);
        look (&watched);
        after = values (&watched);
        assert_same (after, before);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/trainer/predict/closed-form", predicts_probabilities);
    g_test_add_func ("/trainer/predict/no-distribution-no-tensor", nothing_to_predict);
    g_test_add_func ("/trainer/gradients/closed-form", plain_gradient);
    g_test_add_func ("/trainer/gradients/weight-decay-included", decayed_gradient);
    g_test_add_func ("/trainer/gradients/norm-clipped", clipped_norm);
    g_test_add_func ("/trainer/gradients/values-clipped", clipped_values);
    g_test_add_func ("/trainer/look/wrong-batch-refused", wrong_batch);
    g_test_add_func ("/trainer/look/no-variable-changes", leaves_no_trace);
    return g_test_run ();
}
