/* SPDX-License-Identifier: MIT */
/* Plugins and programs built with other headers of the same major version. Structs of theirs are
 * shorter or longer than this tree's; what lies beyond their size is filled with bytes that no
 * correct reader can take for a value. */
#include "test.h"

#define POISON 0xa5

/* A model, an optimizer and a task, each as a sound plugin of this version has it. */

static gboolean
line_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    (void)problem;
    (void)options;
    (void)y;
    objective->loss =
        dlh_mean_all (dlh_dense (b, "w", x, 1, (DlhInit){DLH_INIT_CONSTANT, 1, 0}, FALSE));
    objective->n_cases = 1;
    return dlh_graph_check (b->graph, error);
}

static gboolean
descend_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    (void)options;
    (void)error;
    dlh_update_move (u, 0, dlh_neg (dlh_mul (dlh_update_gradient (u, 0), dlh_update_rate (u, 1))));
    return TRUE;
}

static gboolean
talk_run (DlhRun *run, gconstpointer options, GError **error)
{
    const double one = 1;

    (void)options;
    dlh_run_message (run, "spoken");
    dlh_run_progress (run, 1, 2, 3);
    return dlh_run_log (run, "step", 1, (const char *const[]){"x"}, &one, 1, error) &&
           dlh_run_checkpoint (run, 1, error) && !dlh_run_should_stop (run) &&
           !dlh_run_data (run, NULL);
}

static const DlhSupervised line_role = {sizeof line_role, line_build};
static const DlhModel line = {.size = sizeof line, .supervised = &line_role};
static const DlhOptimizer descend = {.size = sizeof descend, .build = descend_build};
static const DlhTask talk = {.size = sizeof talk, .run = talk_run};

/* Loads @interface as if it were in the program. */
static DlhComponent *
load_interface (DlhPluginKind kind, gconstpointer interface, GError **error)
{
    DlhManifest manifest = {.size = sizeof manifest,
                            .option_size = sizeof (DlhOption),
                            .abi_major = DLH_ABI_MAJOR,
                            .abi_minor = DLH_ABI_MINOR,
                            .kind = kind,
                            .options_bytes = 1,
                            .name = "other"};
    DlhPlugin plugin = {sizeof plugin, &manifest, interface};

    return dlh_component_new_static (&plugin, NULL, error);
}

/* (transfer full): the first @size bytes of a struct, its size set so, then poison. */
static gpointer
shortened (gconstpointer whole, gsize size)
{
    guint8 *bytes = g_malloc (size + 256);

    memset (bytes, POISON, size + 256);
    memcpy (bytes, whole, size);
    memcpy (bytes, &size, sizeof size);
    return bytes;
}

/* Interfaces. */

// A member that the plugin's struct only half covers is not there.
static void
interface_shorter (void)
{
    g_autofree gpointer none = shortened (&line, sizeof (gsize) + 4);
    g_autofree gpointer no_task = shortened (&talk, sizeof (gsize) + 4);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) model = load_interface (DLH_MODEL, none, &error);

    g_assert_no_error (error);
    for (gsize i = sizeof (gsize) + sizeof (gpointer); i < sizeof (DlhModel); i++)
        g_assert_cmpuint (((const guint8 *)dlh_component_interface (model))[i], ==, 0);
    g_assert_null (((const DlhModel *)dlh_component_interface (model))->supervised);
    g_assert_null (load_interface (DLH_TASK, no_task, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "its interface has no function 'run'");
}

static void
interface_longer (void)
{
    struct {
        DlhOptimizer known;
        guint8 later[64];
    } longer;
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) c = NULL;

    memset (&longer, POISON, sizeof longer);
    longer.known = descend;
    longer.known.size = sizeof longer;
    c = load_interface (DLH_OPTIMIZER, &longer, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_component_interface (c) == &longer);
}

static void
interface_without_function (void)
{
    const DlhOptimizer optimizer = {.size = sizeof optimizer};
    const DlhDataset dataset = {.size = sizeof dataset};
    const DlhEnvironment environment = {.size = sizeof environment};
    const DlhTask task = {.size = sizeof task};
    const DlhSupervised role = {.size = sizeof role};
    const DlhModel model = {.size = sizeof model, .supervised = &role};
    const struct {
        DlhPluginKind kind;
        gconstpointer interface;
        const char *function;
    } cases[] = {{DLH_OPTIMIZER, &optimizer, "'build'"},
                 {DLH_DATASET, &dataset, "'load'"},
                 {DLH_ENVIRONMENT, &environment, "'open'"},
                 {DLH_TASK, &task, "'run'"},
                 {DLH_MODEL, &model, "'build'"}};

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_null (load_interface (cases[i].kind, cases[i].interface, &error));
        test_assert_error (&error, DLH_ERROR_PLUGIN, cases[i].function);
    }
}

// A model without any role is no error of loading: whoever needs a role says which.
static void
interface_without_role (void)
{
    const DlhModel bare = {.size = sizeof bare};
    const DlhProblem problem = {.size = sizeof problem};
    const DlhTraining training = {.size = sizeof training};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) model = load_interface (DLH_MODEL, &bare, &error);
    g_autoptr (DlhStore) store = dlh_store_new (0, DLH_F64);

    g_assert_no_error (error);
    g_assert_null (dlh_trainer_new (store, model, NULL, &problem, &training, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "does not offer the supervised role");
}

/* Plugins of other versions in files of their own. */

static DlhComponent *
load_fixture (const char *name, GError **error)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autofree char *path = g_build_filename (g_getenv ("DLHOST_TEST_FIXTURES"), name, NULL);

    return dlh_registry_load (registry, DLH_MODEL, path, NULL, error);
}

static void
file_other_size (gconstpointer name)
{
    const DlhProblem problem = {.size = sizeof problem};
    const DlhTraining training = {.size = sizeof training};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) model = load_fixture (name, &error);
    g_autoptr (DlhStore) store = dlh_store_new (0, DLH_F64);
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (2, 1), 1, 1);
    g_autoptr (DlhTrainer) trainer = NULL;

    g_assert_no_error (error);
    trainer = dlh_trainer_new (store, model, NULL, &problem, &training, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_trainer_evaluate (trainer, x, NULL, &error));
    g_assert_cmpfloat (dlh_trainer_value (trainer, 0), ==, 4); // (1 - 3)^2
}

static void
file_later_minor (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (load_fixture ("abi-minor.so", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN,
                       "is built for plugin interface 1.7, newer than this dlhost's (1.0); install "
                       "a later dlhost");
}

static void
file_without_function (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (load_fixture ("abi-null.so", &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN,
                       "abi-null.so: its interface has no function 'build'");
}

/* Programs that embed the library. */

static int n_spoken;

static DlhData *
host_data (gpointer host, GError **error)
{
    (void)host;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "none");
    return NULL;
}

static gboolean
host_log (gpointer host, const char *event, gint64 step, const char *const *names,
          const double *values, guint n, GError **error)
{
    (void)host;
    (void)event;
    (void)names;
    (void)error;
    return step == 1 && n == 1 && values[0] == 1;
}

static void
host_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    (void)host;
    n_spoken += done == 1 && total == 2 && examples == 3;
}

static void
host_message (gpointer host, const char *text)
{
    (void)host;
    n_spoken += strcmp (text, "spoken") == 0;
}

static gboolean
host_checkpoint (gpointer host, gint64 step, GError **error)
{
    (void)host;
    (void)error;
    return step == 1;
}

static gboolean
host_should_stop (gpointer host)
{
    (void)host;
    return FALSE;
}

// The host's struct may go once the run is made, and may end where version 1.0 ended.
static void
host_shorter (void)
{
    const DlhHost whole = {.data = host_data,
                           .log = host_log,
                           .progress = host_progress,
                           .message = host_message,
                           .checkpoint = host_checkpoint,
                           .should_stop = host_should_stop};
    g_autofree gpointer host =
        shortened (&whole, G_STRUCT_OFFSET (DlhHost, should_stop) + sizeof (gpointer));
    g_autoptr (DlhStore) store = dlh_store_new (0, DLH_F64);
    g_autoptr (DlhRun) run = dlh_run_new (host, NULL, store);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) task = load_interface (DLH_TASK, &talk, &error);

    memset (host, POISON, sizeof (gsize) + 8);
    g_assert_no_error (error);
    dlh_run_set_component (run, task);
    n_spoken = 0;
    g_assert_true (dlh_run_execute (run, &error));
    g_assert_no_error (error);
    g_assert_cmpint (n_spoken, ==, 2);
    g_assert_null (dlh_run_load (run, DLH_OPTIMIZER, "sgd", NULL, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "loads optimizer 'sgd' beside the run's own");
}

// Poison as a decoupled weight decay would take the parameter out of this world.
static void
training_shorter (void)
{
    const DlhProblem whole_problem = {.target_std = 1};
    const DlhTraining whole = {.schedule.kind = DLH_SCHEDULE_CONSTANT};
    g_autofree gpointer problem =
        shortened (&whole_problem, G_STRUCT_OFFSET (DlhProblem, vocabulary));
    g_autofree gpointer training =
        shortened (&whole, G_STRUCT_OFFSET (DlhTraining, decoupled_weight_decay));
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) model = load_interface (DLH_MODEL, &line, &error);
    g_autoptr (DlhComponent) optimizer = load_interface (DLH_OPTIMIZER, &descend, &error);
    g_autoptr (DlhStore) store = dlh_store_new (0, DLH_F64);
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (1, 1), 2);
    g_autoptr (DlhTrainer) trainer =
        dlh_trainer_new (store, model, optimizer, problem, training, &error);

    g_assert_no_error (error);
    g_assert_true (dlh_trainer_step (trainer, x, NULL, &error));
    g_assert_no_error (error);
    // w <- 1 - d (2 w) / dw
    g_assert_cmpfloat (
        dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (store, "other/w/weight")), 0), ==,
        -1);
}

static void
problem_shorter (void)
{
    g_autoptr (DlhData) data = dlh_data_new ();
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (2, 3), 1, 2, 3, 4, 5, 6);
    const DlhProblem whole = {.size = 0};
    gsize size = G_STRUCT_OFFSET (DlhProblem, target_kind);
    g_autofree guint8 *problem = shortened (&whole, size);
    g_autoptr (GError) error = NULL;

    dlh_data_set_targets (data, DLH_TARGET_NONE, 0);
    g_assert_true (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, NULL, &error));
    dlh_problem_describe (data, (DlhProblem *)problem);
    g_assert_cmpuint (((DlhProblem *)problem)->size, ==, size);
    g_assert_true (dlh_shape_equal (((DlhProblem *)problem)->input_shape, dlh_shape (3)));
    for (gsize i = size; i < sizeof (DlhProblem); i++)
        g_assert_cmpuint (problem[i], ==, POISON);
    g_assert_cmpint (dlh_problem_of (data).target_kind, ==, DLH_TARGET_NONE);
}

/* Rows and classes that plugins give. */

static void
rows_incomplete (void)
{
    const DlhOp op = {.size = 24, .name = "short", .n_inputs = 1, .infer = dlh_infer_same};
    const DlhOp blank = {.size = sizeof blank, .name = "blank", .n_inputs = 1};
    const DlhDistributionClass family = {.size = 16, .name = "short"};
    const DlhOp *const ops[] = {&op, &blank};

    for (guint i = 0; i < 3; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_scalar (graph, DLH_F64, 1);
        g_autoptr (GError) error = NULL;

        if (i < 2)
            dlh_node_new (ops[i], &x, 1, NULL);
        else
            g_assert_true (dlh_node_failed (
                dlh_log_prob (dlh_distribution_new (&family, &x, 1, 0), dlh_scale (x, 2))));
        g_assert_false (dlh_graph_check (graph, &error));
        test_assert_error (&error, DLH_ERROR_PLUGIN, "incomplete: set .size");
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/abi/interface/shorter/missing-members-are-null", interface_shorter);
    g_test_add_func ("/abi/interface/longer/tail-is-passed-over", interface_longer);
    g_test_add_func ("/abi/interface/missing-function/refused", interface_without_function);
    g_test_add_func ("/abi/interface/no-role/said-when-needed", interface_without_role);
    g_test_add_data_func ("/abi/file/larger/works", "abi-larger.so", file_other_size);
    g_test_add_data_func ("/abi/file/smaller/works", "abi-smaller.so", file_other_size);
    g_test_add_func ("/abi/file/later-minor/refused", file_later_minor);
    g_test_add_func ("/abi/file/missing-function/refused", file_without_function);
    g_test_add_func ("/abi/host/shorter/works", host_shorter);
    g_test_add_func ("/abi/training/shorter/rest-is-zero", training_shorter);
    g_test_add_func ("/abi/problem/shorter/written-up-to-its-size", problem_shorter);
    g_test_add_func ("/abi/rows/incomplete/sticky-error", rows_incomplete);
    return g_test_run ();
}
