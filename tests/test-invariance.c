/* SPDX-License-Identifier: MIT */
/* The task invariance: which optimizers agree on a network and its reparameterised twin. Bounds are
 * those of the method's sheet; the theorem is arXiv 1808.10340's. */
#include "test.h"

enum { N = 640, MAX_SETTINGS = 12 };

/* A run and what it has reported. */
typedef struct {
    DlhData *data;
    double worst, moved, start;
    gint64 n_steps;
    guint n_short; /* layers that the batch is too small for */
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

    (void)step, (void)error;
    h->n_steps += strcmp (event, "step") == 0;
    for (guint i = 0; i < n; i++)
        if (strcmp (names[i], "invariance/worst") == 0)
            h->worst = values[i];
        else if (strcmp (names[i], "invariance/start") == 0)
            h->start = values[i];
        else if (strcmp (names[i], "invariance/moved") == 0)
            h->moved = values[i];
    return TRUE;
}

static void
host_message (gpointer host, const char *text)
{
    ((Host *)host)->n_short += strstr (text, "second moment is singular and") != NULL;
    g_test_message ("%s", text);
}

static void
host_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    (void)host, (void)done, (void)total, (void)examples;
}

static gboolean
host_should_stop (gpointer host)
{
    (void)host;
    return FALSE;
}

static const DlhHost host_functions = {.size = sizeof (DlhHost),
                                       .data = host_data,
                                       .log = host_log,
                                       .progress = host_progress,
                                       .message = host_message,
                                       .should_stop = host_should_stop};

/* Normal inputs of a shape; the class follows from the first input. */
static DlhData *
make_data (DlhShape shape, gint64 classes)
{
    const DlhShape all = dlh_shape_insert (shape, 0, N);
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, all, 11);
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_I64, dlh_shape (N), NULL);
    g_autoptr (GError) error = NULL;
    DlhData *data = dlh_data_new ();

    for (gint64 i = 0; i < N; i++)
        dlh_tensor_set (
            y, i,
            (double)((int)(1000 + 3 * dlh_tensor_get (x, i * dlh_shape_count (shape))) % classes));
    dlh_data_set_targets (data, DLH_TARGET_CLASS, classes);
    dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, y, &error);
    g_assert_no_error (error);
    return data;
}

// A plugin from "name,option=value,.."; lists keep their commas in brackets.
static DlhComponent *
load (DlhPluginKind kind, const char *text)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GHashTable) table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr (GError) error = NULL;
    g_auto (GStrv) parts = NULL;
    g_autofree char *copy = g_strdup (text);
    int depth = 0;
    DlhComponent *c;

    for (char *p = copy; *p; p++) {
        depth += (*p == '[') - (*p == ']');
        if (*p == ',' && depth == 0)
            *p = ';';
    }
    parts = g_strsplit (copy, ";", MAX_SETTINGS);
    for (guint i = 1; parts[i]; i++) {
        char *equals = strchr (parts[i], '=');

        g_hash_table_insert (table, g_strndup (parts[i], (gsize)(equals - parts[i])),
                             g_strdup (equals + 1));
    }
    c = dlh_registry_load (registry, kind, parts[0], table, &error);
    g_assert_no_error (error);
    return c;
}

static gboolean
run (Host *host, const char *task, const char *model, const char *optimizer, GError **error)
{
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhRun) r = dlh_run_new (&host_functions, host, store);
    g_autoptr (DlhComponent) t = load (DLH_TASK, task), m = load (DLH_MODEL, model);
    g_autoptr (DlhComponent) o = load (DLH_OPTIMIZER, optimizer);

    dlh_run_set_component (r, t);
    dlh_run_set_component (r, m);
    dlh_run_set_component (r, o);
    return dlh_run_execute (r, error);
}

/* @most: the largest deviation allowed; or @least: the smallest wanted. Where the theory speaks it
 * has to agree. */
static void
expect (DlhShape inputs, const char *task, const char *model, const char *optimizer, double least,
        double most)
{
    g_autoptr (DlhData) data = make_data (inputs, 4);
    g_autofree char *settings = g_strdup_printf ("invariance,expect=theory,tolerance=%g,%s",
                                                 least > 0 ? least : most, task);
    g_autoptr (GError) error = NULL;
    Host host = {.data = data};

    run (&host, settings, model, optimizer, &error);
    g_assert_no_error (error);
    g_test_message ("%s, %s: %.3g, moved %.3g", task, optimizer, host.worst, host.moved);
    if (!(host.start <= 1e-11) || !(host.worst <= most) || !(host.worst >= least) ||
        !(host.moved > 1e-3))
        test_fail ("%s, %s: deviation %g (at the start %g), wanted [%g, %g]; moved %g", task,
                   optimizer, host.worst, host.start, least, most, host.moved);
}

#define NET "mlp,hidden=[7,6],activation=tanh"
#define KFAC "kfac,lr=0.1,momentum=0.9,kl_clip=1e-4,statistics=1"
#define UNDAMPED KFAC ",inverses=1,inverse=eigen,damping=0"

static const char *const families[] = {"affine", "linear", "orthogonal", "diagonal", "shift"};

/* Fully connected: 5-7-6-4, 20 steps. */

static void
dense_undamped (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
        g_autofree char *task = g_strdup_printf ("maps=%s,steps=20,batch=64", families[i]);

        expect (dlh_shape (5), task, NET, UNDAMPED, 0, 1e-10);
    }
    expect (dlh_shape (5), "batch=64", NET, KFAC ",inverses=5,inverse=eigen,damping=0", 0, 1e-10);
    expect (dlh_shape (5), "batch=64", NET, UNDAMPED ",fisher=exact", 0, 1e-10);
    expect (dlh_shape (5), "batch=64", NET, UNDAMPED ",fisher=propagated", 0, 1e-10);
}

static void
dense_orthogonal (void)
{
    static const char *const pass[] = {
        KFAC ",inverses=1,damping=0.03",
        KFAC ",inverses=1,inverse=eigen,damping=0.03",
        KFAC ",inverses=5,inverse=ekfac,damping=0.03",
        "sgd,lr=0.1",
        "sgd,lr=0.1,nesterov=true",
        "aggmo,lr=0.1",
    };

    for (guint i = 0; i < G_N_ELEMENTS (pass); i++)
        expect (dlh_shape (5), "maps=orthogonal", NET, pass[i], 0, 1e-11);
    expect (dlh_shape (5), "maps=orthogonal", NET, "adam,lr=0.01", 1e-4, INFINITY);
    expect (dlh_shape (5), "maps=orthogonal", NET, "sgd,lr=0.1,weight_decay=0.1", 1e-4, INFINITY);
}

static void
dense_others_fail (void)
{
    static const char *const fail[] = {
        KFAC ",inverses=1,damping=0.01",
        KFAC ",inverses=1,inverse=eigen,damping=0.01",
        KFAC ",inverses=5,inverse=ekfac,damping=0.01",
        KFAC ",inverses=5,inverse=ekfac,damping=1e-6",
        UNDAMPED ",weight_decay=0.01",
        "sgd,lr=0.1",
        "aggmo,lr=0.1",
        "adam,lr=0.01",
    };

    for (guint f = 0; f < G_N_ELEMENTS (families); f++) {
        g_autofree char *task = g_strdup_printf ("maps=%s,steps=5", families[f]);

        for (guint i = 0; strcmp (families[f], "orthogonal") && i < G_N_ELEMENTS (fail); i++)
            expect (dlh_shape (5), task, NET, fail[i], 1e-6, INFINITY);
    }
}

/* Convolutions: two of 3 x 3. The factor of a layer has condition numbers that grow as
 * (1 + |om|^2)^2 with the shift of a whole patch, 9 channels long: shifts of 0.3 and not of 1 keep
 * rounding out of a bound of 1e-12. */

#define CONV "convnet,channels=[3,3],kernel=3,pool=1,hidden=[],activation=tanh"

static void
conv_undamped (void)
{
    const DlhShape pictures = dlh_shape (2, 5, 5);

    expect (pictures, "steps=15,batch=320,shift=0.3", CONV, UNDAMPED, 0, 1e-12);
    expect (pictures, "steps=15,batch=320,maps=linear", CONV, UNDAMPED, 0, 1e-12);
    expect (pictures, "steps=15,batch=320", CONV, UNDAMPED, 0, 1e-10);
    expect (pictures, "maps=orthogonal", CONV, KFAC ",inverses=1,damping=0.03", 0, 1e-12);
    expect (pictures, "steps=5", CONV, KFAC ",inverses=1,damping=0.03", 1e-4, INFINITY);
    expect (pictures, "steps=5", CONV, "sgd,lr=0.1", 1e-4, INFINITY);
}

// With zeros around them: shifted with the activations; or kept, where nothing is shifted.
static void
conv_padded (void)
{
    const DlhShape pictures = dlh_shape (2, 4, 4);
    g_autoptr (DlhData) data = make_data (pictures, 4);
    g_autoptr (GError) error = NULL;
    Host host = {.data = data};

    expect (pictures, "steps=8,batch=320,shift=0.3", CONV ",padding=same", UNDAMPED, 0, 1e-10);
    expect (pictures, "steps=8,batch=320,maps=linear,padding=zeros", CONV ",padding=same", UNDAMPED,
            0, 1e-10);
    g_assert_false (
        run (&host, "invariance,padding=zeros", CONV ",padding=same", UNDAMPED, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "zeros around pictures are no shifted zeros");
}

/* Recurrent: four steps of five numbers, the weights' blocks in three variants. */

#define RNN "rnn,hidden=3"

static void
recurrent_undamped (void)
{
    static const char *const variants[] = {"independence", "option1", "option2"};

    for (guint i = 0; i < G_N_ELEMENTS (variants); i++) {
        g_autofree char *kfac = g_strdup_printf (UNDAMPED ",recurrent=%s", variants[i]);
        g_autofree char *damped =
            g_strdup_printf (KFAC ",inverses=1,damping=0.03,recurrent=%s", variants[i]);

        expect (dlh_shape (4, 5), "steps=15,batch=320,shift=0.3", RNN, kfac, 0, 1e-10);
        expect (dlh_shape (4, 5), "steps=5", RNN, damped, 1e-4, INFINITY);
        expect (dlh_shape (4, 5), "maps=orthogonal", RNN, damped, 0, 1e-10);
    }
}

// Gates multiply the cell element by element: it is part of phi, the products around it are mapped.
static void
gated_products (void)
{
    static const char *const cells[] = {"lstm", "gru"};

    for (guint i = 0; i < G_N_ELEMENTS (cells); i++) {
        g_autofree char *model = g_strdup_printf (RNN ",cell=%s", cells[i]);

        expect (dlh_shape (4, 5), "maps=orthogonal", model, KFAC ",inverses=1,damping=0.03", 0,
                1e-10);
        expect (dlh_shape (4, 5), "maps=orthogonal", model, "sgd,lr=0.1", 0, 1e-11);
        expect (dlh_shape (4, 5), "steps=3,batch=320,shift=0.3", model,
                KFAC ",inverses=1,inverse=eigen,damping=0", 0, 1e-10);
        expect (dlh_shape (4, 5), "steps=5", model, "sgd,lr=0.1", 1e-4, INFINITY);
    }
}

/* Maps with a meaning. */

static void
presets_undamped (void)
{
    static const char *const presets[] = {"activation", "centred", "batchnorm"};

    for (guint i = 0; i < G_N_ELEMENTS (presets); i++) {
        g_autofree char *task = g_strdup_printf ("preset=%s", presets[i]);

        expect (dlh_shape (5), task, NET, UNDAMPED, 0, 1e-10);
        expect (dlh_shape (5), task, NET, KFAC ",inverses=1,damping=0.03", 1e-4, INFINITY);
        expect (dlh_shape (5), task, NET, "sgd,lr=0.1", 1e-4, INFINITY);
        expect (dlh_shape (5), task, NET, "adam,lr=0.01", 1e-4, INFINITY);
    }
    expect (dlh_shape (5), "preset=activation", "mlp,hidden=[3],activation=sigmoid", UNDAMPED, 0,
            1e-10);
}

// Fewer cases than inputs: the second moment is singular, nothing is promised, and the run says so.
static void
short_batches (void)
{
    g_autoptr (DlhData) data = make_data (dlh_shape (5), 4);
    g_autoptr (GError) error = NULL;
    Host host = {.data = data};

    g_assert_true (run (&host, "invariance,batch=5,expect=theory,steps=3", NET, UNDAMPED, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (host.n_short, ==, 3);
    g_assert_cmpfloat (host.worst, >, 1e-6);
}

/* What the run says. */

static void
verdict_as_expected (void)
{
    g_autoptr (DlhData) data = make_data (dlh_shape (5), 4);
    g_autoptr (GError) error = NULL;
    Host host = {.data = data};

    g_assert_false (run (&host, "invariance,steps=3", NET, "sgd,lr=0.1", &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC,
                       "which is more than 1e-10; expected was that "
                       "they agree");
    g_assert_true (run (&host, "invariance,steps=3,expect=different", NET, "sgd,lr=0.1", &error));
    g_assert_false (run (&host, "invariance,steps=3,expect=different", NET, UNDAMPED, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "expected was that they differ");
    g_assert_false (run (&host, "invariance,steps=1", NET, UNDAMPED, &error)); // collects only
    test_assert_error (&error, DLH_ERROR_NUMERIC, "which says nothing");
    host.n_steps = 0;
    g_assert_true (run (&host, "invariance,steps=3,expect=any", NET, "sgd,lr=0.1", &error));
    g_assert_cmpint (host.n_steps, ==, 4); // the start is recorded, too
}

/* Components that wrap others, and rewriting what a model has made. */

static void
note_freed (gpointer data)
{
    *(gboolean *)data = TRUE;
}

static void
wrapping_component (void)
{
    static const DlhSupervised empty = {.size = sizeof (DlhSupervised)};
    static const DlhModel broken = {.size = sizeof (DlhModel), .supervised = &empty};
    g_autoptr (DlhComponent) base = load (DLH_MODEL, NET), inner = NULL, outer = NULL;
    gconstpointer interface = dlh_component_interface (base);
    g_autoptr (GError) error = NULL;
    gboolean freed = FALSE, freed_outer = FALSE;
    g_autofree char *hidden = NULL;

    g_assert_null (dlh_component_new_wrapping (base, &broken, &freed, note_freed, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "wrapping mlp: its interface has no function");
    g_assert_false (freed); // still the caller's
    inner = dlh_component_new_wrapping (base, interface, &freed, note_freed, &error);
    g_assert_no_error (error);
    outer = dlh_component_new_wrapping (inner, interface, &freed_outer, note_freed, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (dlh_component_name (outer), ==, "mlp");
    g_assert_true (dlh_component_options (outer) == &freed_outer);
    hidden = dlh_component_option_text (outer, 0); // of the innermost
    g_assert_cmpstr (hidden, ==, "[7,6]");
    g_clear_pointer (&inner, dlh_component_unref);
    g_assert_false (freed); // the outer one holds it
    g_clear_pointer (&outer, dlh_component_unref);
    g_assert_true (freed && freed_outer);
}

static DlhNode *
double_inputs (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    (void)inputs, (void)data;
    return dlh_node_is (node, "input") && dlh_dtype_is_float (dlh_node_dtype (node))
               ? dlh_scale (node, 2)
               : NULL;
}

// The objective of x with 2 x in its place is the objective of 2 x.
static void
rewriting_objective (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhNode *z = dlh_input (graph, "z", DLH_F64, dlh_shape (2, 3));
    DlhNode *y = dlh_input (graph, "y", DLH_I64, dlh_shape (2));
    DlhObjective got = {.size = sizeof got}, want = {.size = sizeof want};

    dlh_objective_classify (&got, z, y);
    g_ptr_array_add (updates, dlh_square (z));
    dlh_objective_rewrite (&got, updates, double_inputs, NULL);
    z = dlh_scale (z, 2);
    dlh_objective_classify (&want, z, y);
    // Equal pure nodes are one node.
    g_assert_true (got.loss == want.loss && got.target == y);
    g_assert_true (got.metrics[0].value == want.metrics[0].value);
    g_assert_true (dlh_distribution_outputs (got.prediction) == z);
    g_assert_true (updates->pdata[0] == dlh_square (z));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/invariance/dense-undamped/passes", dense_undamped);
    g_test_add_func ("/invariance/dense-orthogonal/as-theory-says", dense_orthogonal);
    g_test_add_func ("/invariance/dense-others/fail", dense_others_fail);
    g_test_add_func ("/invariance/conv-undamped/passes", conv_undamped);
    g_test_add_func ("/invariance/conv-padded/passes", conv_padded);
    g_test_add_func ("/invariance/recurrent-undamped/passes", recurrent_undamped);
    g_test_add_func ("/invariance/gated/as-theory-says", gated_products);
    g_test_add_func ("/invariance/presets-undamped/pass", presets_undamped);
    g_test_add_func ("/invariance/short-batch/says-so", short_batches);
    g_test_add_func ("/invariance/verdict/as-expected", verdict_as_expected);
    g_test_add_func ("/component/wrapping/as-documented", wrapping_component);
    g_test_add_func ("/objective/rewriting/everything", rewriting_objective);
    return g_test_run ();
}
