/* SPDX-License-Identifier: MIT */
/* The hot loop allocates nothing: counted by a hook under malloc, in every thread and library. OpenBLAS
 * is not counted: it allocates inside a product that it shares among threads (the list of parts), and
 * in its kernels for small matrices on some processors. */
#include "test.h"

#include "alloc-hook.h"

#define WARM_UP 3
#define RUNS 10
#define STEPS 30 /* of a trainer */

// A freed block would be no proof of anything; a count that stays at 0 by mistake neither.
static void
hook_counts (void)
{
    unsigned long before = test_allocations ();
    gpointer *volatile memory = g_malloc (64);

    g_free (memory);
    g_assert_cmpuint (test_allocations () - before, ==, 1);
}

static unsigned long
count (void)
{
    return test_allocations () - test_blas_allocations ();
}

static void
assert_quiet (DlhFunction *function, DlhTensor *const *inputs, guint n)
{
    g_autoptr (GError) error = NULL;
    unsigned long before;

    for (guint i = 0; i < WARM_UP; i++)
        if (!dlh_function_run (function, inputs, n, &error)) {
            test_fail ("running: %s", error->message);
            return;
        }
    before = count ();
    for (guint i = 0; i < RUNS; i++)
        dlh_function_run (function, inputs, n, NULL);
    if (count () != before)
        test_fail ("%lu allocations in %d runs, should be 0", count () - before, RUNS);
}

// A two-layer net with its gradients and a step of descent on each parameter.
static DlhFunction *
descent (DlhGraph *graph, DlhStore *store, DlhNode *x, DlhNode *(*forward) (DlhBuild *, DlhNode *))
{
    DlhBuild build = {.size = sizeof (DlhBuild), .graph = graph, .store = store, .training = TRUE};
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();
    g_autoptr (GPtrArray) reads = g_ptr_array_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *gradients[16], *loss;
    DlhFunction *function;

    build.updates = updates;
    loss = dlh_mean_all (dlh_square (forward (&build, x)));
    g_ptr_array_add (outputs, loss);
    for (guint i = 0; i < dlh_store_n_variables (store); i++)
        if (dlh_variable_is_trainable (dlh_store_get_variable (store, i)))
            g_ptr_array_add (reads, dlh_read (graph, dlh_store_get_variable (store, i)));
    dlh_gradients (loss, (DlhNode **)reads->pdata, reads->len, NULL, gradients);
    for (guint i = 0; i < reads->len; i++) {
        DlhNode *read = g_ptr_array_index (reads, i);

        g_ptr_array_add (outputs, dlh_assign (dlh_node_variable (read),
                                              dlh_sub (read, dlh_scale (gradients[i], 0.01))));
    }
    for (guint i = 0; i < updates->len; i++)
        g_ptr_array_add (outputs, g_ptr_array_index (updates, i));
    function = dlh_graph_compile (graph, (DlhNode **)outputs->pdata, outputs->len, &error);
    if (!function)
        test_fail ("compiling: %s", error->message);
    return function;
}

static DlhNode *
dense_net (DlhBuild *b, DlhNode *x)
{
    const DlhInit init = {DLH_INIT_GLOROT, 1, 0};
    DlhNode *h = dlh_tanh (dlh_dense (b, "hidden", dlh_flatten (x, 1), 200, init, TRUE));

    h = dlh_dropout (b, "drop", h, 0.5);
    return dlh_log_softmax (dlh_dense (b, "out", h, 10, init, TRUE), -1);
}

static DlhNode *
conv_net (DlhBuild *b, DlhNode *x)
{
    const DlhConv conv = DLH_CONV_DEFAULT;
    const DlhPool pool = {{2, 2}, {2, 2}, {0, 0}};
    const DlhInit init = {DLH_INIT_HE, 1, 0};
    DlhNode *h = dlh_relu (dlh_conv_layer (b, "conv", x, 8, 5, 5, conv, init, TRUE));

    return dense_net (b, dlh_max_pool2d (dlh_batch_norm (b, "norm", h, 1, 0.1, 1e-5), pool));
}

// Steps enough for threads to take rows through all of them.
static DlhNode *
deep_net (DlhBuild *b, DlhNode *x)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    const DlhInit init = {DLH_INIT_GLOROT, 1, 0};
    DlhNode *h = dlh_flatten (x, 1);

    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        h = dlh_tanh (dlh_dense (b, names[i], h, 200, init, TRUE));
    return dlh_log_softmax (dlh_dense (b, "out", h, 10, init, TRUE), -1);
}

typedef struct {
    const char *name;
    DlhNode *(*forward) (DlhBuild *b, DlhNode *x);
    const char *optimizer, *model; /* without @forward: a trainer's step */
    guint n_threads;
    const char *delay; /* of K-FAC's inverses */
} Job;

static void
function_quiet (const Job *job)
{
    DlhShape shape = dlh_shape (64, 1, 28, 28);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F32, shape, 1);
    g_autoptr (DlhFunction) function =
        descent (graph, store, dlh_input (graph, "x", DLH_F32, shape), job->forward);

    if (function)
        assert_quiet (function, &in, 1);
}

static DlhComponent *
load (DlhRegistry *registry, DlhPluginKind kind, const char *name, const char *delay)
{
    g_autoptr (GHashTable) settings = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *component;

    if (delay)
        g_hash_table_insert (settings, (gpointer)"inverse_delay", (gpointer)delay);
    component = dlh_registry_load (registry, kind, name, settings, &error);
    if (!component)
        test_fail ("%s", error->message);
    return component;
}

static void
warm_and_count (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y)
{
    g_autoptr (GError) error = NULL;
    unsigned long before = 0;

    // Both parts are longer than any phase's period, so that every phase is in them.
    for (guint i = 0; i < 2 * STEPS; i++) {
        if (i == STEPS)
            before = count ();
        if (!dlh_trainer_step (trainer, x, y, &error)) {
            test_fail ("step %u: %s", i, error->message);
            return;
        }
    }
    if (count () != before)
        test_fail ("%lu allocations in %d steps, should be 0", count () - before, STEPS);
}

static void
trainer_quiet (const Job *job)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhComponent) model = load (registry, DLH_MODEL, job->model, NULL);
    g_autoptr (DlhComponent) optimizer =
        load (registry, DLH_OPTIMIZER, job->optimizer, job->delay);
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F32, dlh_shape (32, 1, 28, 28), 1);
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_I64, dlh_shape (32), NULL);
    g_autoptr (DlhTrainer) trainer = NULL;
    g_autoptr (GError) error = NULL;
    DlhProblem problem = {.size = sizeof (DlhProblem),
                          .input_shape = dlh_shape (1, 28, 28),
                          .target_shape = dlh_shape (),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = 10,
                          .target_std = 1};
    DlhTraining training = {.size = sizeof (DlhTraining),
                            .schedule = {.kind = DLH_SCHEDULE_CONSTANT}};

    if (!model || !optimizer)
        return;
    for (gint64 i = 0; i < 32; i++)
        dlh_tensor_set (y, i, (double) (i % 10));
    trainer = dlh_trainer_new (store, model, optimizer, &problem, &training, &error);
    if (trainer)
        warm_and_count (trainer, x, y);
    else
        test_fail ("%s", error->message);
}

static void
quiet (gconstpointer data)
{
    const Job *job = data;

    if (test_under_sanitizer ()) {
        test_skip ("a sanitizer has an allocator of its own");
        return;
    }
    dlh_set_threads (job->n_threads);
    if (job->forward)
        function_quiet (job);
    else
        trainer_quiet (job);
}

static const Job jobs[] = {
    {"dense-net/one-thread", dense_net, NULL, NULL, 1},
    {"dense-net/two-threads", dense_net, NULL, NULL, 2},
    {"deep-net/two-threads", deep_net, NULL, NULL, 2},
    {"conv-net/one-thread", conv_net, NULL, NULL, 1},
    {"conv-net/two-threads", conv_net, NULL, NULL, 2},
    {"sgd-mlp/one-thread", NULL, "sgd", "mlp", 1},
    {"adam-mlp/one-thread", NULL, "adam", "mlp", 1},
    {"aggmo-mlp/one-thread", NULL, "aggmo", "mlp", 1},
    {"kfac-mlp/one-thread", NULL, "kfac", "mlp", 1},
    {"kfac-mlp/inverses-beside", NULL, "kfac", "mlp", 1, "5"},
    {"kfac-convnet/one-thread", NULL, "kfac", "convnet", 1},
    {"kfac-convnet/two-threads", NULL, "kfac", "convnet", 2},
};

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    test_find_blas ();
    if (!test_under_sanitizer ())
        g_test_add_func ("/no-alloc/hook/counts", hook_counts);
    for (guint i = 0; i < G_N_ELEMENTS (jobs); i++) {
        g_autofree char *path = g_strdup_printf ("/no-alloc/%s", jobs[i].name);

        g_test_add_data_func (path, &jobs[i], quiet);
    }
    return g_test_run ();
}
