/* SPDX-License-Identifier: MIT */
/* Averages of parameters: the recursion in plain loops, evaluation with the averages and training
 * without, the same bits after a resume, and checkpoints that have none. */
#include "test.h"

enum { IN = 3, OUT = 2, CASES = 6, N = OUT * IN };

#define DECAY 0.8
#define WEIGHT "mlp/output/weight"

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

static DlhComponent *
load (Bench *b, DlhPluginKind kind, const char *name, const char *option, const char *value)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    g_hash_table_insert (table, (gpointer)option, (gpointer)value);
    c = dlh_registry_load (b->registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

// Linear regression, so that its predictions are x W' + bias. @optimizer NULL: only evaluation.
static void
bench_init (Bench *b, const char *optimizer, double average)
{
    const DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .average = average};
    const DlhProblem problem = {.size = sizeof problem,
                                .input_shape = dlh_shape (IN),
                                .target_kind = DLH_TARGET_REAL,
                                .target_shape = dlh_shape (OUT)};
    g_autoptr (DlhComponent) model = NULL;
    g_autoptr (DlhComponent) c = NULL;
    g_autoptr (GError) error = NULL;

    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    b->store = dlh_store_new (5, DLH_F64);
    model = load (b, DLH_MODEL, "mlp", "hidden", "[]");
    c = optimizer ? load (b, DLH_OPTIMIZER, optimizer, "lr", "0.1") : NULL;
    b->trainer = dlh_trainer_new (b->store, model, c, &problem, &training, &error);
    g_assert_no_error (error);
    b->x = test_tensor_random (DLH_F64, dlh_shape (CASES, IN), 1);
    b->y = test_tensor_random (DLH_F64, dlh_shape (CASES, OUT), 2);
}

static void
steps (Bench *b, guint n)
{
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < n; i++) {
        dlh_trainer_step (b->trainer, b->x, b->y, &error);
        g_assert_no_error (error);
    }
}

static double *
value (Bench *b, const char *name)
{
    DlhVariable *v = dlh_store_lookup (b->store, name);

    g_assert_nonnull (v);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

static double
evaluated (Bench *b)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_evaluate (b->trainer, b->x, b->y, &error);
    g_assert_no_error (error);
    return dlh_trainer_value (b->trainer, 0);
}

// The mean of the first iterates, from the 5th on exponential: 1 - 1/5 is the decay.
static void
recursion (void)
{
    static const char *const optimizers[] = {"sgd", "adam", "kfac"};

    for (guint o = 0; o < G_N_ELEMENTS (optimizers); o++) {
        double want[N] = {0};
        g_auto (Bench) b = {0};

        bench_init (&b, optimizers[o], DECAY);
        for (guint k = 1; k <= 12; k++) {
            const double w = MIN (1 - 1.0 / k, DECAY);

            steps (&b, 1);
            for (guint i = 0; i < N; i++)
                want[i] = w * want[i] + (1 - w) * value (&b, WEIGHT)[i];
            test_assert_within (value (&b, "average/" WEIGHT), want, N, 1e-14);
        }
    }
}

// The loss and the predictions are those of a model whose parameters are the averages.
static void
is_evaluated (void)
{
    g_autoptr (GError) error = NULL;
    const DlhTensor *prediction;
    g_auto (Bench) b = {0};
    double before[N], loss, want[CASES * OUT];

    bench_init (&b, "sgd", DECAY);
    evaluated (&b); // there is no average before the first step: that is no error
    steps (&b, 7);
    memcpy (before, value (&b, WEIGHT), sizeof before);
    loss = evaluated (&b);
    test_assert_close (value (&b, WEIGHT), before, N, 0);
    dlh_trainer_predict (b.trainer, b.x, b.y, &prediction, &error);
    g_assert_no_error (error);
    for (guint c = 0; c < CASES; c++)
        for (guint o = 0; o < OUT; o++) {
            want[c * OUT + o] = value (&b, "average/mlp/output/bias")[o];
            for (guint i = 0; i < IN; i++)
                want[c * OUT + o] += dlh_tensor_get (b.x, (gint64)(c * IN + i)) *
                                     value (&b, "average/" WEIGHT)[o * IN + i];
        }
    test_assert_within (dlh_tensor_get_data ((DlhTensor *)prediction), want, CASES * OUT, 1e-14);
    // And with the averages written over the parameters, the plain loss is the same.
    for (guint i = 0; i < dlh_store_n_variables (b.store); i++) {
        DlhVariable *v = dlh_store_get_variable (b.store, i);
        g_autofree char *name = g_strconcat ("average/", dlh_variable_name (v), NULL);

        if (dlh_store_lookup (b.store, name))
            memcpy (dlh_tensor_get_data (dlh_variable_tensor (v)), value (&b, name),
                    dlh_tensor_bytes (dlh_variable_tensor (v)));
    }
    g_assert_cmpfloat (fabs (evaluated (&b) - loss), <=, 0);
}

// Training does not know of it; a run that is saved and loaded goes on with the same bits.
static void
same_training (void)
{
    g_autofree char *dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c.safetensors", NULL);
    g_autoptr (GError) error = NULL;
    g_auto (Bench) plain = {0}, whole = {0}, resumed = {0}, scored = {0};

    bench_init (&plain, "adam", 0);
    bench_init (&whole, "adam", DECAY);
    steps (&plain, 9);
    steps (&whole, 5);
    dlh_store_save (whole.store, path, NULL, &error);
    g_assert_no_error (error);
    evaluated (&whole);
    steps (&whole, 4);
    test_assert_close (value (&whole, WEIGHT), value (&plain, WEIGHT), N, 0);
    g_assert_null (dlh_store_lookup (plain.store, "average/" WEIGHT));
    bench_init (&resumed, "adam", DECAY);
    dlh_store_load (resumed.store, path, NULL, &error);
    g_assert_no_error (error);
    steps (&resumed, 4);
    test_assert_close (value (&resumed, "average/" WEIGHT), value (&whole, "average/" WEIGHT), N,
                       0);
    dlh_store_save (resumed.store, path, NULL, &error);
    g_assert_no_error (error);
    bench_init (&scored, NULL, DECAY);
    dlh_store_load (scored.store, path, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat (fabs (evaluated (&scored) - evaluated (&whole)), <=, 0);
    test_remove_dir (g_steal_pointer (&dir));
}

static void
none_to_evaluate (void)
{
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};

    bench_init (&b, NULL, DECAY);
    g_assert_false (dlh_trainer_evaluate (b.trainer, b.x, b.y, &error));
    test_assert_error (&error, DLH_ERROR_STATE, "give a checkpoint of a run with --task.average");
}

// A step that is taken back is not averaged: the mean begins anew.
static void
begins_anew (void)
{
    g_auto (Bench) b = {0};
    double largest = 0;

    bench_init (&b, "kfac", DECAY);
    steps (&b, 3);
    value (&b, "mlp/output/bias")[0] = 1e200; // the square of what is predicted is no number
    value (&b, "kfac/mlp/output/bias/velocity")[0] = -1e200;
    *value (&b, "kfac/rate") = 1;
    steps (&b, 1);
    g_assert_cmpfloat (*value (&b, "kfac/recoveries"), ==, 1);
    for (guint i = 0; i < OUT; i++)
        largest = MAX (largest, fabs (value (&b, "average/mlp/output/bias")[i] -
                                      value (&b, "mlp/output/bias")[i]));
    g_assert_cmpfloat (largest, <=, 0);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/average/recursion/plain-loops", recursion);
    g_test_add_func ("/average/evaluation/uses-it", is_evaluated);
    g_test_add_func ("/average/training/same-bits", same_training);
    g_test_add_func ("/average/none/is-refused", none_to_evaluate);
    g_test_add_func ("/average/recovery/begins-anew", begins_anew);
    return g_test_run ();
}
