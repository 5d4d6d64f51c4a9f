/* SPDX-License-Identifier: MIT */
/* The sweeps that a recipe means. */
#include <string.h>
#include "reproduce.h"

static int
by_text (gconstpointer a, gconstpointer b)
{
    return strcmp (a, b);
}

static void
merge (GHashTable *into, GHashTable *from)
{
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init (&iter, from);
    while (g_hash_table_iter_next (&iter, &key, &value))
        g_hash_table_insert (into, key, value);
}

static char *
grid_text (const SweepAxis *axis)
{
    GString *s = g_string_new (NULL);

    g_string_append_printf (s, "--grid=%s=[", axis->key);
    for (guint i = 0; i < axis->values->len; i++)
        g_string_append_printf (s, "%s%s", i ? "," : "", (char *)axis->values->pdata[i]);
    return g_string_free (g_string_append_c (s, ']'), FALSE);
}

// (transfer container): what runs of @phase are given.
static GHashTable *
settings (const RecipeExperiment *e, const RecipeArm *arm, const RecipePhase *phase,
          GPtrArray *chosen)
{
    GHashTable *all = g_hash_table_new (g_str_hash, g_str_equal);

    merge (all, e->options);
    merge (all, arm->options);
    merge (all, phase->options);
    for (guint i = 0; chosen && i < chosen->len; i++) {
        const SweepSetting *s = chosen->pdata[i];

        g_hash_table_insert (all, s->key, s->value);
    }
    return all;
}

static GPtrArray *
arguments (GHashTable *all, const RecipePhase *phase, gint64 threads)
{
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (all), by_text);

    for (GList *l = keys; l; l = l->next)
        g_ptr_array_add (out, g_strdup_printf ("--%s=%s", (char *)l->data,
                                               (char *)g_hash_table_lookup (all, l->data)));
    g_ptr_array_add (out, g_strdup_printf ("--threads=%" G_GINT64_FORMAT, threads));
    g_ptr_array_add (out, g_strdup_printf ("--seed=%" G_GINT64_FORMAT, phase->seed));
    g_ptr_array_add (out, g_strdup_printf ("--seeds=%" G_GINT64_FORMAT, phase->seeds));
    return out;
}

GPtrArray *
reproduce_arguments (const RecipeExperiment *e, const RecipeArm *arm, const RecipePhase *phase,
                     GPtrArray *chosen, gint64 threads)
{
    g_autoptr (GHashTable) all = settings (e, arm, phase, chosen);
    GPtrArray *out = arguments (all, phase, threads);

    for (guint i = 0; !chosen && i < arm->grid->len; i++)
        g_ptr_array_add (out, grid_text (arm->grid->pdata[i]));
    if (!chosen && phase->random)
        g_ptr_array_add (out, g_strdup_printf ("--random=%" G_GINT64_FORMAT, phase->random));
    return out;
}

/* Evaluations. */

// Another plugin of a kind has other options: those of the run's are left out.
static gboolean
is_replaced (gpointer key, G_GNUC_UNUSED gpointer value, gpointer data)
{
    const RecipeEvaluation *evaluation = data;
    const char *dot = strchr (key, '.');
    g_autofree char *kind = dot ? g_strndup (key, (gsize)(dot - (char *)key)) : g_strdup (key);

    return strcmp (kind, "dtype") != 0 && g_hash_table_contains (evaluation->options, kind);
}

GPtrArray *
reproduce_evaluation_arguments (const RecipeExperiment *e, const RecipeArm *arm,
                                const RecipeEvaluation *evaluation, GPtrArray *chosen,
                                gint64 threads)
{
    g_autoptr (GHashTable) all = settings (e, arm, &e->final, chosen);

    g_hash_table_foreach_remove (all, is_replaced, (gpointer)evaluation);
    merge (all, evaluation->options);
    return arguments (all, &e->final, threads);
}
