/* SPDX-License-Identifier: MIT */
/* What is wrong with an experiment, found before anything runs. */
#include <string.h>
#include "../setup.h"
#include "reproduce.h"

static gboolean
check_arguments (GPtrArray *arguments, const RecipeArm *arm, DlhRegistry *registry, GError **error)
{
    g_auto (Sweep) sweep = {.arguments = g_ptr_array_ref (arguments)};

    if (sweep_plan_arguments (&sweep, error) && sweep_check (&sweep, registry, error))
        return TRUE;
    g_prefix_error (error, "arm '%s': ", arm->name);
    return FALSE;
}

static gboolean
check_evaluations (const RecipeExperiment *e, const RecipeArm *arm, const ReproduceOptions *options,
                   GError **error)
{
    g_autoptr (GPtrArray) none = g_ptr_array_new ();

    for (guint i = 0; i < arm->then->len; i++) {
        const RecipeEvaluation *evaluation = arm->then->pdata[i];
        g_autoptr (GPtrArray) arguments =
            reproduce_evaluation_arguments (e, arm, evaluation, none, options->threads);
        g_auto (Sweep) sweep = {.arguments = g_ptr_array_ref (arguments)};

        if (sweep_plan_arguments (&sweep, error) && sweep_check (&sweep, options->registry, error))
            continue;
        g_prefix_error (error, "arm '%s': evaluation '%s': ", arm->name, evaluation->name);
        return FALSE;
    }
    return TRUE;
}

gboolean
reproduce_check (const RecipeExperiment *e, const ReproduceOptions *options, GError **error)
{
    for (guint i = 0; i < e->arms->len; i++) {
        const RecipeArm *arm = e->arms->pdata[i];
        g_autoptr (GPtrArray) none = g_ptr_array_new ();
        g_autoptr (GPtrArray) tune = reproduce_arguments (e, arm, &e->tune, NULL, options->threads);
        g_autoptr (GPtrArray) last =
            reproduce_arguments (e, arm, &e->final, none, options->threads);

        if ((!arm->grid->len || check_arguments (tune, arm, options->registry, error)) &&
            check_arguments (last, arm, options->registry, error) &&
            check_evaluations (e, arm, options, error))
            continue;
        g_prefix_error (error, "experiment '%s': ", e->name);
        return FALSE;
    }
    return TRUE;
}

/* Data. */

// The options of the runs' data set, without what is varied; empty where they have none.
static GPtrArray *
data_arguments (GPtrArray *arguments)
{
    GPtrArray *out = g_ptr_array_new ();
    gboolean named = FALSE;

    g_ptr_array_add (out, (gpointer) "dlhost");
    for (guint i = 0; i < arguments->len; i++) {
        const char *text = arguments->pdata[i];

        named |= g_str_has_prefix (text, "--dataset=");
        if (g_str_has_prefix (text, "--dataset") || g_str_has_prefix (text, "--dtype="))
            g_ptr_array_add (out, arguments->pdata[i]);
    }
    if (!named)
        g_ptr_array_set_size (out, 0);
    return out;
}

// The sweeps of an arm: GPtrArray of arguments.
static GPtrArray *
all_arguments (const RecipeExperiment *e, const RecipeArm *arm, gint64 threads)
{
    GPtrArray *out = g_ptr_array_new_with_free_func ((GDestroyNotify)g_ptr_array_unref);
    g_autoptr (GPtrArray) none = g_ptr_array_new ();

    g_ptr_array_add (out, reproduce_arguments (e, arm, &e->tune, none, threads));
    g_ptr_array_add (out, reproduce_arguments (e, arm, &e->final, none, threads));
    for (guint i = 0; i < arm->then->len; i++)
        g_ptr_array_add (
            out, reproduce_evaluation_arguments (e, arm, arm->then->pdata[i], none, threads));
    return out;
}

// Loads the data set that @argv names, unless it is in @seen.
static gboolean
check_data (GPtrArray *argv, DlhRegistry *registry, GHashTable *seen, GError **error)
{
    DlhComponent *components[DLH_LAST_KIND + 1] = {NULL};
    g_autoptr (DlhData) data = NULL;
    g_auto (Invocation) run = {0};
    g_autofree char *key = NULL;

    if (!argv->len)
        return TRUE;
    g_ptr_array_add (argv, NULL);
    key = g_strjoinv (" ", (char **)argv->pdata);
    if (!g_hash_table_add (seen, g_steal_pointer (&key)))
        return TRUE;
    if (command_line_parse (&run, (int)argv->len - 1, (char *const *)argv->pdata, error) &&
        invocation_complete (&run, NULL, error) &&
        setup_components (&run.config, registry, components, error))
        data = setup_data (&run.config, registry, components, error);
    for (guint i = 0; i < G_N_ELEMENTS (components); i++)
        dlh_component_unref (components[i]);
    return data != NULL;
}

gboolean
reproduce_check_data (const RecipeExperiment *e, const ReproduceOptions *options, GHashTable *seen,
                      GError **error)
{
    for (guint i = 0; i < e->arms->len; i++) {
        const RecipeArm *arm = e->arms->pdata[i];
        g_autoptr (GPtrArray) all = all_arguments (e, arm, options->threads);

        for (guint k = 0; k < all->len; k++) {
            g_autoptr (GPtrArray) argv = data_arguments (all->pdata[k]);

            if (check_data (argv, options->registry, seen, error))
                continue;
            g_prefix_error (error, "experiment '%s': ", e->name);
            return FALSE;
        }
    }
    return TRUE;
}
