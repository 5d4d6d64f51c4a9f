/* SPDX-License-Identifier: MIT */
/* Evaluations of what the final runs of an arm left. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "recipe-reader.h"

static RecipeEvaluation *
find (GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++)
        if (strcmp (((RecipeEvaluation *)list->pdata[i])->name, name) == 0)
            return list->pdata[i];
    return NULL;
}

// A metric NAME/METRIC is the evaluation's: it must not look like one of the runs themselves.
static gboolean
check_name (const Members *m, const RecipeEvaluation *e, GError **error)
{
    static const char *const splits[] = {"train", "valid", "test"};

    for (guint i = 0; i < G_N_ELEMENTS (splits); i++)
        if (strcmp (e->name, splits[i]) == 0)
            return members_refuse (m, "name", "another than train, valid and test", error);
    return TRUE;
}

static gboolean
read_evaluation (Reader *r, gpointer into, char *where, JsonNode *node, GError **error)
{
    RecipeEvaluation *evaluation = recipe_evaluation_new ();
    GPtrArray *out = into;
    g_auto (Members) m = {0};
    gboolean twice;

    g_ptr_array_add (out, evaluation);
    if (!members_open (&m, r->path, where, node, error) ||
        !members_name (&m, &evaluation->name, error) || !check_name (&m, evaluation, error) ||
        !reader_options (r, &m, "options", evaluation->options, error) || !members_end (&m, error))
        return FALSE;
    twice = find (out, evaluation->name) != evaluation;
    return !twice || members_refuse (&m, "name", "another than those before", error);
}

gboolean
reader_then (Reader *r, Members *m, GPtrArray *out, GError **error)
{
    return reader_list (r, m, "then", FALSE, out, read_evaluation, error);
}

void
scaled_evaluation_free (gpointer data)
{
    ScaledEvaluation *s = data;

    recipe_evaluation_free (s->evaluation);
    g_free (s->where);
    g_free (s);
}

gboolean
reader_scaled_then (Reader *r, Members *m, gboolean used, GError **error)
{
    g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (recipe_evaluation_free);

    if (!reader_then (r, m, list, error))
        return FALSE;
    g_ptr_array_set_free_func (list, NULL);
    for (guint i = 0; i < list->len; i++) {
        ScaledEvaluation *s = g_new0 (ScaledEvaluation, 1);

        s->evaluation = list->pdata[i];
        s->where = g_strdup (m->where);
        s->used = used;
        g_ptr_array_add (r->scaled, s);
    }
    return TRUE;
}

/* The evaluations of each arm. */

static void
merge (GHashTable *into, GHashTable *from)
{
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init (&iter, from);
    while (g_hash_table_iter_next (&iter, &key, &value))
        g_hash_table_insert (into, g_strdup (key), g_strdup (value));
}

static void
merge_evaluation (GPtrArray *into, const RecipeEvaluation *from)
{
    RecipeEvaluation *evaluation = find (into, from->name);

    if (!evaluation) {
        evaluation = recipe_evaluation_new ();
        evaluation->name = g_strdup (from->name);
        g_ptr_array_add (into, evaluation);
    }
    merge (evaluation->options, from->options);
}

static gboolean
check_scaled (const Reader *r, const RecipeExperiment *e, GError **error)
{
    for (guint i = 0; i < r->scaled->len; i++) {
        const ScaledEvaluation *s = r->scaled->pdata[i];
        gboolean found = FALSE;

        for (guint k = 0; k < e->arms->len && !found; k++)
            found = find (((RecipeArm *)e->arms->pdata[k])->then, s->evaluation->name) != NULL;
        if (found)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s: %s.then: '%s' is an evaluation of no arm: a scale changes those that "
                     "the experiment or its arms have in 'then'",
                     r->path, s->where, s->evaluation->name);
        return FALSE;
    }
    return TRUE;
}

gboolean
reader_resolve_then (Reader *r, RecipeExperiment *e, GError **error)
{
    for (guint i = 0; i < e->arms->len; i++) {
        RecipeArm *arm = e->arms->pdata[i];
        g_autoptr (GPtrArray) own = g_steal_pointer (&arm->then);

        arm->then = g_ptr_array_new_with_free_func (recipe_evaluation_free);
        for (guint k = 0; k < e->then->len; k++)
            merge_evaluation (arm->then, e->then->pdata[k]);
        for (guint k = 0; k < own->len; k++)
            merge_evaluation (arm->then, own->pdata[k]);
        for (guint k = 0; k < r->scaled->len; k++) {
            const ScaledEvaluation *s = r->scaled->pdata[k];

            if (s->used && find (arm->then, s->evaluation->name))
                merge_evaluation (arm->then, s->evaluation);
        }
    }
    return check_scaled (r, e, error);
}
