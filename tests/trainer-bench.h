/* SPDX-License-Identifier: MIT */
/* Plugins through the real loader, and a trainer on one batch: what tests of models and optimizers
 * begin with. */
#pragma once

#include "test.h"

/* (transfer full): @settings are pairs that end with NULL. */
static inline DlhComponent *
load_plugin (DlhRegistry *registry, DlhPluginKind kind, const char *name,
             const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings && settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    c = dlh_registry_load (registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

/* (transfer full): @text: "mlp hidden=[5,4] activation=tanh". */
static inline DlhComponent *
load_plugin_line (DlhRegistry *registry, DlhPluginKind kind, const char *text)
{
    g_autoptr (GPtrArray) pairs = g_ptr_array_new_with_free_func (g_free);
    g_auto (GStrv) words = g_strsplit (text, " ", -1);

    for (guint i = 1; words[i]; i++) {
        const char *equals = strchr (words[i], '=');

        g_ptr_array_add (pairs, g_strndup (words[i], (gsize)(equals - words[i])));
        g_ptr_array_add (pairs, g_strdup (equals + 1));
    }
    g_ptr_array_add (pairs, NULL);
    return load_plugin (registry, kind, words[0], (const char *const *)pairs->pdata);
}

typedef struct {
    DlhRegistry *registry;
    DlhStore *store; /* f64 */
    DlhComponent *model;
    DlhTrainer *trainer;
    DlhTensor *x, *y;
    DlhGraph *graph; /* of a test that builds the model itself */
} Bench;

static inline void
bench_clear (Bench *b)
{
    dlh_trainer_free (b->trainer);
    dlh_tensor_unref (b->x);
    dlh_tensor_unref (b->y);
    if (b->graph)
        dlh_graph_unref (b->graph);
    dlh_component_unref (b->model);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static inline void
bench_open (Bench *b, guint64 seed)
{
    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    b->store = dlh_store_new (seed, DLH_F64);
}

/* A trainer of the model that is there; @training: (nullable): as it comes. */
static inline void
bench_train (Bench *b, const char *optimizer, const char *const *settings,
             const DlhProblem *problem, const DlhTraining *training)
{
    const DlhTraining plain = {.size = sizeof plain, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    g_autoptr (DlhComponent) o = load_plugin (b->registry, DLH_OPTIMIZER, optimizer, settings);
    g_autoptr (GError) error = NULL;

    b->trainer =
        dlh_trainer_new (b->store, b->model, o, problem, training ? training : &plain, &error);
    g_assert_no_error (error);
}

static inline void
bench_step (Bench *b)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (b->trainer, b->x, b->y, &error);
    g_assert_no_error (error);
}
