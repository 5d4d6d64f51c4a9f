/* SPDX-License-Identifier: MIT */
/* What the tests of perturbations share: small models of every kind of product, and a perturbed
 * copy. */
#pragma once

#include "test.h"

enum { N = 6, STEPS = 7 };

static const DlhInit start = {DLH_INIT_UNIFORM, -0.7, 0.7};

typedef struct {
    const char *name;
    gint64 n_in; /* of an example */
    DlhNode *(*layers) (DlhBuild *b, DlhNode *x);
} Net;

static inline DlhNode *
weight (DlhBuild *b, const char *name, DlhShape shape)
{
    return dlh_parameter (b->graph, b->store, name, shape, start);
}

static inline DlhNode *
net_fc (DlhBuild *b, DlhNode *x)
{
    x = dlh_tanh (
        dlh_linear (x, weight (b, "w", dlh_shape (5, 4)), weight (b, "b", dlh_shape (5))));
    return dlh_linear (x, weight (b, "v", dlh_shape (3, 5)), NULL);
}

static inline DlhNode *
net_matmul (DlhBuild *b, DlhNode *x)
{
    x = dlh_tanh (dlh_matmul (x, weight (b, "w", dlh_shape (4, 5))));
    return dlh_matmul_t (x, FALSE, weight (b, "v", dlh_shape (3, 5)), TRUE);
}

static inline DlhNode *
net_conv (DlhBuild *b, DlhNode *x)
{
    const DlhConv odd = {{2, 1}, {1, 2}, {1, 2}, 1}, groups = {{1, 1}, {1, 0}, {1, 1}, 2};

    x = dlh_reshape (x, dlh_shape (-1, 2, 5, 4));
    x = dlh_tanh (dlh_conv2d (x, weight (b, "w", dlh_shape (4, 2, 3, 2)),
                              weight (b, "b", dlh_shape (4)), odd));
    x = dlh_conv2d (x, weight (b, "v", dlh_shape (6, 2, 2, 2)), weight (b, "c", dlh_shape (6)),
                    groups);
    return dlh_flatten (x, 1);
}

static inline DlhNode *
net_transposed (DlhBuild *b, DlhNode *x)
{
    const DlhConv conv = {{2, 1}, {1, 0}, {1, 1}, 2};

    x = dlh_reshape (x, dlh_shape (-1, 4, 3, 2));
    x = dlh_conv_transpose2d (x, weight (b, "w", dlh_shape (4, 3, 2, 3)),
                              weight (b, "b", dlh_shape (6)), conv, 4, 4);
    return dlh_flatten (x, 1);
}

// (B, T n) to (T, B, n)
static inline DlhNode *
time_first (DlhNode *x)
{
    return dlh_transpose (dlh_reshape (x, dlh_shape (-1, STEPS, 3)), (const guint[]){1, 0, 2}, 3);
}

static inline DlhNode *
batch_first (DlhNode *h)
{
    return dlh_flatten (dlh_transpose (h, (const guint[]){1, 0, 2}, 3), 1);
}

static inline DlhNode *
net_lstm (DlhBuild *b, DlhNode *x)
{
    return batch_first (dlh_lstm (b, "cell", time_first (x), 3, NULL, NULL, NULL, NULL));
}

static inline DlhNode *
net_gru (DlhBuild *b, DlhNode *x)
{
    return batch_first (dlh_gru (b, "cell", time_first (x), 3, NULL, NULL));
}

// One table for tokens and outputs, and steps folded into the axis of the examples.
static inline DlhNode *
net_tied (DlhBuild *b, DlhNode *x)
{
    DlhNode *table = weight (b, "w", dlh_shape (5, 3)), *h;
    DlhNode *index = dlh_cast (dlh_scale (dlh_sigmoid (x), 4.999), DLH_I64);

    h = dlh_transpose (dlh_embedding (table, index), (const guint[]){1, 0, 2}, 3);
    h = dlh_tanh (dlh_reshape (h, dlh_shape (-1, 3)));
    h = dlh_linear (h, table, weight (b, "b", dlh_shape (5)));
    h = dlh_reshape (h, dlh_shape (4, -1, 5));
    return batch_first (h);
}

static const Net nets[] = {
    {"fc", 4, net_fc},
    {"matmul", 4, net_matmul},
    {"conv", 40, net_conv},
    {"transposed", 24, net_transposed},
    {"lstm", 3 * STEPS, net_lstm},
    {"gru", 3 * STEPS, net_gru},
    {"tied-embedding", 4, net_tied},
};

/* A model that is one of them. */

static const Net *current_net;

static gboolean
net_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
           DlhObjective *objective, GError **error)
{
    DlhNode *z = current_net->layers (b, x),
            *zero = dlh_full (b->graph, dlh_store_get_dtype (b->store), dlh_shape (1), 0);

    (void)problem, (void)options, (void)error;
    dlh_objective_predict (objective, dlh_gaussian (z, zero, 1), y ? y : dlh_full_like (z, 0.3));
    return TRUE;
}

static const DlhSupervised net_role = {sizeof net_role, net_build};
static const DlhModel net_interface = {sizeof net_interface, &net_role};
static const DlhManifest net_manifest = {.size = sizeof (DlhManifest),
                                         .option_size = sizeof (DlhOption),
                                         .abi_major = DLH_ABI_MAJOR,
                                         .abi_minor = DLH_ABI_MINOR,
                                         .kind = DLH_MODEL,
                                         .options_bytes = 1,
                                         .name = "net",
                                         .version = "1",
                                         .licence = "MIT",
                                         .summary = "test model"};
static const DlhPlugin net_plugin = {sizeof net_plugin, &net_manifest, &net_interface};

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhGraph *graph;
    DlhNode *x;
    DlhObjective objective;
    GPtrArray *notes;
    DlhComponent *noise; /* (nullable): a plugin's */
} Bench;

static inline void
bench_clear (Bench *b)
{
    dlh_component_unref (b->noise);
    dlh_graph_unref (b->graph);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
    g_clear_pointer (&b->notes, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

// "noise=fixed sigma=1" to a table.
static inline GHashTable *
settings_of (const char *text)
{
    GHashTable *table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_auto (GStrv) parts = g_strsplit (text, " ", -1);

    for (guint i = 0; parts[i]; i++) {
        char *equals = strchr (parts[i], '=');

        if (equals)
            g_hash_table_insert (table, g_strndup (parts[i], (gsize)(equals - parts[i])),
                                 g_strdup (equals + 1));
    }
    return table;
}

// The net with its products perturbed, for @n examples. FALSE with the error of whoever refuses.
static inline gboolean
bench_open (Bench *b, const Net *net, const char *estimator, const char *settings,
            gboolean training, gint64 n, GError **error)
{
    g_autoptr (GHashTable) table = settings_of (settings);
    g_autoptr (DlhComponent) plain = NULL, perturb = NULL, model = NULL;
    DlhProblem problem = {.size = sizeof problem, .target_std = 1};
    DlhBuild build = {.size = sizeof build, .training = training};

    current_net = net;
    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    if (!b->store)
        b->store = dlh_store_new (11, DLH_F64);
    b->graph = dlh_graph_new ();
    b->notes = g_ptr_array_new_with_free_func (g_free);
    b->x = dlh_input (b->graph, "x", dlh_store_get_dtype (b->store), dlh_shape (n, net->n_in));
    b->objective.size = sizeof b->objective;
    build.graph = b->graph;
    build.store = b->store;
    build.notes = b->notes;
    plain = dlh_component_new_static (&net_plugin, NULL, error);
    perturb = plain ? dlh_registry_load (b->registry, DLH_PERTURB, estimator, table, error) : NULL;
    model = perturb ? dlh_perturb_model (plain, perturb, b->noise, error) : NULL;
    return model && ((const DlhModel *)dlh_component_interface (model))
                        ->supervised->build (&build, &problem, dlh_component_options (model), b->x,
                                             NULL, &b->objective, error);
}
