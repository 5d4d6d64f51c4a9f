/* SPDX-License-Identifier: MIT */
/* Phases beside the steps: stored at the step that was said, whoever is faster; the same bytes
 * after a resume; errors at the step that wanted the result. */
#include "test.h"

static gboolean
mean_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    DlhNode *theta =
        dlh_parameter (b->graph, b->store, "theta", dlh_shape (1), (DlhInit){DLH_INIT_ZEROS, 0, 0});

    (void)problem, (void)options, (void)y, (void)error;
    objective->loss = dlh_mean_all (dlh_square (dlh_sub (x, theta)));
    return TRUE;
}

static const DlhSupervised mean_role = {sizeof mean_role, mean_build};
static const DlhModel mean_model = {sizeof mean_model, &mean_role};
static const DlhManifest mean_manifest = {sizeof (DlhManifest),
                                          sizeof (DlhOption),
                                          0,
                                          DLH_ABI_MAJOR,
                                          DLH_ABI_MINOR,
                                          DLH_MODEL,
                                          1,
                                          0,
                                          "mean",
                                          "1",
                                          "MIT",
                                          "",
                                          "test objective"};
static const DlhPlugin mean = {sizeof mean, &mean_manifest, &mean_model};

typedef enum { LATE_COUNT, LATE_NAN, LATE_BATCH, LATE_DRAW } Late;

// What the late phase stores: the number of steps it has seen, or something it must not.
static DlhNode *
late_value (DlhUpdate *u, DlhNode *count, Late kind)
{
    switch (kind) {
    case LATE_NAN: // from the sixth step on
        return dlh_assert_finite (dlh_log (dlh_sub (dlh_full_like (count, 5.5), count)), "log");
    case LATE_BATCH:
        return dlh_add (count, dlh_sum_all (dlh_update_gradient (u, 0)));
    case LATE_DRAW:
        return dlh_add (count, dlh_normal (dlh_update_graph (u), dlh_update_stream (u, "n"),
                                           DLH_F64, dlh_shape ()));
    default:
        return count;
    }
}

static gboolean
build_late (DlhUpdate *u, Late kind)
{
    const DlhInit zeros = {.kind = DLH_INIT_ZEROS};
    DlhNode *count = dlh_update_state_full (u, "count", DLH_F64, dlh_shape (), zeros);
    DlhNode *seen = dlh_update_state_full (u, "seen", DLH_F64, dlh_shape (), zeros);

    dlh_update_assign (u, count, dlh_offset (count, 1));
    dlh_update_move (u, 0, dlh_update_gradient (u, 0));
    dlh_update_phase (u, "late", DLH_PHASE_AFTER, 4, 1);
    dlh_update_phase_delay (u, "late", 2);
    dlh_update_phase_assign (u, "late", seen, late_value (u, count, kind));
    return TRUE;
}

#define LATE_PLUGIN(name, kind)                                                                    \
    static gboolean name##_build (DlhUpdate *u, gconstpointer options, GError **error)             \
    {                                                                                              \
        (void)options, (void)error;                                                                \
        return build_late (u, kind);                                                               \
    }                                                                                              \
    static const DlhOptimizer name##_optimizer = {sizeof name##_optimizer, name##_build};          \
    static const DlhManifest name##_manifest = {sizeof (DlhManifest),                              \
                                                sizeof (DlhOption),                                \
                                                0,                                                 \
                                                DLH_ABI_MAJOR,                                     \
                                                DLH_ABI_MINOR,                                     \
                                                DLH_OPTIMIZER,                                     \
                                                1,                                                 \
                                                0,                                                 \
                                                #name,                                             \
                                                "1",                                               \
                                                "MIT",                                             \
                                                "",                                                \
                                                "test"};                                           \
    static const DlhPlugin name = {sizeof name, &name##_manifest, &name##_optimizer}

LATE_PLUGIN (count, LATE_COUNT);
LATE_PLUGIN (nan_later, LATE_NAN);
LATE_PLUGIN (batch, LATE_BATCH);
LATE_PLUGIN (draw, LATE_DRAW);

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
bench_late (Bench *b, const DlhPlugin *optimizer)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) m = dlh_component_new_static (&mean, NULL, &error);
    g_autoptr (DlhComponent) c = dlh_component_new_static (optimizer, NULL, &error);
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (1)};

    b->store = dlh_store_new (1, DLH_F64);
    b->trainer = dlh_trainer_new (b->store, m, c, &problem, &training, &error);
    g_assert_no_error (error);
    b->x = test_tensor (DLH_F64, dlh_shape (2, 1), 1, 2);
}

static gpointer
value (Bench *b, const char *name)
{
    DlhVariable *v = dlh_store_lookup (b->store, name);

    if (!v)
        g_error ("no variable %s", name);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

static void
step (Bench *b)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (b->trainer, b->x, b->y, &error);
    g_assert_no_error (error);
}

// Begun after steps 1, 5, 9: the first is stored at once, the others two steps later.
static void
stored_when_said (void)
{
    static const double want[] = {0, 2, 2, 2, 2, 2, 2, 6, 6, 6, 6, 10, 10};
    g_auto (Bench) b = {0};

    bench_late (&b, &count);
    for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
        step (&b);
        test_assert_close ((double *)value (&b, "count/seen"), want + i, 1, 0);
    }
}

static void
step_until_error (Bench *b, guint n, GError **error)
{
    for (guint i = 0; i < n; i++)
        step (b);
    g_assert_false (dlh_trainer_step (b->trainer, b->x, NULL, error));
}

static void
error_at_its_step (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    bench_late (&b, &nan_later);
    step_until_error (&b, 7, &error);
    test_assert_error (&error, DLH_ERROR_NUMERIC, "step 7: late, begun after step 5: ");
}

static void
batch_is_refused (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    bench_late (&b, &batch);
    step_until_error (&b, 0, &error);
    test_assert_error (&error, DLH_ERROR_GRAPH,
                       "phase 'late' is computed beside the steps and depends on the batch: store "
                       "what it needs in a state, in a phase with the step");
}

static void
draws_are_refused (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    bench_late (&b, &draw);
    step_until_error (&b, 0, &error);
    test_assert_error (&error, DLH_ERROR_GRAPH, "depends on random numbers");
}

/* K-FAC with its inverses beside the steps. */

enum { BATCH = 20, INPUTS = 6, CLASSES = 3 };

static DlhComponent *
load (Bench *b, DlhPluginKind kind, const char *name, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    c = dlh_registry_load (b->registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

static void
bench_kfac (Bench *b, const char *inverse)
{
    const char *const settings[] = {"inverses", "5",       "inverse_delay", "3", "statistics",
                                    "2",        "inverse", inverse,         NULL};
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (INPUTS),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = CLASSES};
    g_autoptr (DlhComponent) m = NULL;
    g_autoptr (DlhComponent) c = NULL;
    g_autoptr (GError) error = NULL;

    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    b->store = dlh_store_new (3, DLH_F64);
    m = load (b, DLH_MODEL, "mlp", (const char *[]){"hidden", "[7]", NULL});
    c = load (b, DLH_OPTIMIZER, "kfac", settings);
    b->trainer = dlh_trainer_new (b->store, m, c, &problem, &training, &error);
    g_assert_no_error (error);
    b->x = test_tensor_random (DLH_F64, dlh_shape (BATCH, INPUTS), 1);
    b->y = dlh_tensor_new (DLH_I64, dlh_shape (BATCH), NULL);
    for (gint64 i = 0; i < BATCH; i++)
        dlh_tensor_set (b->y, i, (double)(i % CLASSES));
}

static double
mean_eigenvalue (const double *m, guint n)
{
    double sum = 0;

    for (guint i = 0; i < n; i++)
        sum += m[i * n + i] / n;
    return sum;
}

// Stored after step 8, which began with step 5: the inverse of what A was then, not of A.
static void
inverse_of_the_copy (void)
{
    enum { N = INPUTS + 1 };
    const char *a_name = "kfac/inverses/copy/mlp/hidden1/weight/A";
    g_auto (Bench) b = {0};
    const double *a, *inverse;
    double a5[N * N], before[N * N], want[N * N] = {0}, got[N * N] = {0}, c;

    bench_kfac (&b, "cholesky");
    for (guint i = 0; i < 8; i++) {
        step (&b);
        inverse = value (&b, "kfac/mlp/hidden1/weight/inverse_A");
        if (i == 5)
            memcpy (a5, value (&b, "kfac/mlp/hidden1/weight/A"), sizeof a5);
        if (i == 0)
            memcpy (before, inverse, sizeof before);
        test_assert_close (inverse, before, N * N, 0);
    }
    step (&b);
    a = value (&b, a_name);
    test_assert_close (a, a5, N * N, 0);
    c = sqrt (0.1 * mean_eigenvalue (a, N) /
              mean_eigenvalue (value (&b, "kfac/inverses/copy/mlp/hidden1/weight/G"), 7));
    for (guint i = 0; i < N; i++) {
        want[i * N + i] = 1;
        for (guint j = 0; j < N; j++)
            for (guint k = 0; k < N; k++)
                got[i * N + j] += (a[i * N + k] + (i == k ? c : 0)) * inverse[k * N + j];
    }
    test_assert_within (got, want, N * N, 1e-10);
}

static void
assert_same_store (Bench *a, Bench *b)
{
    g_assert_cmpuint (dlh_store_n_variables (a->store), ==, dlh_store_n_variables (b->store));
    for (guint i = 0; i < dlh_store_n_variables (a->store); i++) {
        DlhVariable *v = dlh_store_get_variable (a->store, i);

        test_assert_tensors_equal (dlh_variable_tensor (v), dlh_variable_tensor (dlh_store_lookup (
                                                                b->store, dlh_variable_name (v))));
    }
}

// Stopped after every step from one inversion to beyond the next, whether it was stored or not.
static void
resume_same_bytes (gconstpointer inverse)
{
    enum { STEPS = 16 };
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "state.safetensors", NULL);
    g_auto (Bench) whole = {0};
    g_autoptr (GError) error = NULL;

    bench_kfac (&whole, inverse);
    for (guint i = 0; i < STEPS; i++)
        step (&whole);
    for (guint stop = 5; stop < 12; stop++) {
        g_auto (Bench) first = {0};
        g_auto (Bench) rest = {0};

        bench_kfac (&first, inverse);
        for (guint i = 0; i < stop; i++)
            step (&first);
        g_assert_true (dlh_store_save (first.store, path, NULL, &error));
        bench_kfac (&rest, inverse);
        g_assert_true (dlh_store_load (rest.store, path, NULL, &error));
        for (guint i = stop; i < STEPS; i++)
            step (&rest);
        assert_same_store (&whole, &rest);
    }
}

// A store that is loaded under a trainer: what its thread was doing no longer counts.
static void
loaded_while_under_way (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "state.safetensors", NULL);
    g_auto (Bench) a = {0};
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;

    bench_kfac (&a, "cholesky");
    bench_kfac (&b, "cholesky");
    for (guint i = 0; i < 12; i++) {
        if (i == 3)
            g_assert_true (dlh_store_save (a.store, path, NULL, &error));
        if (i >= 3)
            step (&b);
        step (&a);
    }
    g_assert_true (dlh_store_load (b.store, path, NULL, &error));
    for (guint i = 3; i < 12; i++)
        step (&b);
    assert_same_store (&a, &b);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/beside/store/when-said", stored_when_said);
    g_test_add_func ("/beside/error/at-its-step", error_at_its_step);
    g_test_add_func ("/beside/batch/refused", batch_is_refused);
    g_test_add_func ("/beside/draws/refused", draws_are_refused);
    g_test_add_func ("/beside/kfac/inverse-of-the-copy", inverse_of_the_copy);
    g_test_add_data_func ("/beside/kfac/resume-same-bytes", "cholesky", resume_same_bytes);
    g_test_add_data_func ("/beside/ekfac/resume-same-bytes", "ekfac", resume_same_bytes);
    g_test_add_func ("/beside/load/forgets-the-thread", loaded_while_under_way);
    return g_test_run ();
}
