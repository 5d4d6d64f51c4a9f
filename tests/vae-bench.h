/* SPDX-License-Identifier: MIT */
/* A model of the family of variational autoencoders, built through the real loader and run: what
 * its tests share. */
#pragma once

#include "test.h"

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhGraph *graph;
    GPtrArray *updates;
    DlhComponent *model;
    DlhProblem problem;
    DlhObjective objective;
    DlhTensor *x;
    DlhFunction *function; /* loss, metrics, updates */
} Fixture;

static G_GNUC_UNUSED void
fixture_clear (Fixture *f)
{
    dlh_function_unref (f->function);
    g_clear_pointer (&f->x, dlh_tensor_unref);
    dlh_component_unref (f->model);
    g_ptr_array_unref (f->updates);
    dlh_graph_unref (f->graph);
    dlh_store_unref (f->store);
    dlh_registry_free (f->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

// @settings: "latents=2;likelihood=gaussian".
static G_GNUC_UNUSED void
load (Fixture *f, const char *model, const char *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_auto (GStrv) words = g_strsplit (settings, ";", -1);
    g_autoptr (GError) error = NULL;

    for (guint i = 0; words[i] && *words[i]; i++) {
        g_auto (GStrv) pair = g_strsplit (words[i], "=", 2);

        g_hash_table_insert (table, g_strdup (pair[0]), g_strdup (pair[1]));
    }
    f->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    f->store = dlh_store_new (1, DLH_F64);
    f->graph = dlh_graph_new ();
    f->updates = g_ptr_array_new ();
    f->model = dlh_registry_load (f->registry, DLH_MODEL, model, table, &error);
    g_assert_no_error (error);
    f->objective.size = sizeof f->objective;
}

static G_GNUC_UNUSED gboolean
build (Fixture *f, DlhTensor *x, gint64 n_examples, gboolean training, GError **error)
{
    const DlhModel *model = dlh_component_interface (f->model);
    const DlhBuild b = {sizeof b, f->graph, f->store, training, f->updates};
    DlhNode *input = dlh_input (f->graph, "x", DLH_F64, dlh_tensor_get_shape (x));
    gboolean ok;

    f->x = x;
    f->problem = (DlhProblem){.size = sizeof f->problem,
                              .input_shape = dlh_shape_remove (dlh_tensor_get_shape (x), 0),
                              .n_examples = n_examples};
    dlh_graph_push_scope (f->graph, "m");
    ok = model->supervised->build ((DlhBuild *)&b, &f->problem, dlh_component_options (f->model),
                                   input, NULL, &f->objective, error);
    dlh_graph_pop_scope (f->graph);
    return ok;
}

static G_GNUC_UNUSED void
fixture_init (Fixture *f, const char *model, const char *settings, DlhTensor *x, gint64 n_examples,
              gboolean training)
{
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();
    g_autoptr (GError) error = NULL;

    load (f, model, settings);
    build (f, x, n_examples, training, &error);
    g_assert_no_error (error);
    g_ptr_array_add (outputs, f->objective.loss);
    for (guint i = 0; i < 8 && f->objective.metrics[i].name; i++)
        g_ptr_array_add (outputs, f->objective.metrics[i].value);
    for (guint i = 0; i < f->updates->len; i++)
        g_ptr_array_add (outputs, f->updates->pdata[i]);
    f->function = dlh_graph_compile (f->graph, (DlhNode **)outputs->pdata, outputs->len, &error);
    g_assert_no_error (error);
}

static G_GNUC_UNUSED void
run (Fixture *f)
{
    g_autoptr (GError) error = NULL;

    dlh_function_run (f->function, &f->x, 1, &error);
    g_assert_no_error (error);
}

// Of the last run.
static G_GNUC_UNUSED double
value (Fixture *f, const char *name)
{
    if (strcmp (name, "loss") == 0)
        return dlh_function_scalar (f->function, 0);
    for (guint i = 0; i < 8 && f->objective.metrics[i].name; i++)
        if (strcmp (f->objective.metrics[i].name, name) == 0)
            return dlh_function_scalar (f->function, 1 + i);
    test_fail ("no metric '%s'", name);
    return NAN;
}

static G_GNUC_UNUSED DlhTensor *
variable (Fixture *f, const char *name)
{
    DlhVariable *v = dlh_store_lookup (f->store, name);

    if (!v)
        g_error ("no variable '%s'", name);
    return dlh_variable_tensor (v);
}

static G_GNUC_UNUSED void
fill (Fixture *f, const char *name, double x)
{
    DlhTensor *t = variable (f, name);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, x);
}

static G_GNUC_UNUSED void
near (double got, double want, double tolerance)
{
    test_assert_within (&got, &want, 1, tolerance);
}

// q(z | x) = N (x, sigma^2), for a linear encoder with as many latents as inputs.
static G_GNUC_UNUSED void
copy_inputs (Fixture *f, double sigma)
{
    const gint64 d = dlh_tensor_count (variable (f, "m/mean/bias"));

    fill (f, "m/mean/weight", 0);
    fill (f, "m/mean/bias", 0);
    fill (f, "m/log_std/weight", 0);
    fill (f, "m/log_std/bias", log (sigma));
    for (gint64 i = 0; i < d; i++)
        dlh_tensor_set (variable (f, "m/mean/weight"), i * d + i, 1);
}

#define LINEAR "encoder=[];decoder=[];likelihood=gaussian;variance=1"

typedef struct {
    double sum, square;
    guint n;
} Mean;

static G_GNUC_UNUSED void
mean_add (Mean *m, double x)
{
    m->sum += x;
    m->square += x * x;
    m->n++;
}
