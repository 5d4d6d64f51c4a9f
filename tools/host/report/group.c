/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "group.h"

#define MAX_LABEL 64 /* characters */

static void
group_free (gpointer data)
{
    Group *g = data;

    g_ptr_array_unref (g->runs);
    g_free (g->label);
    g_free (g);
}

const char *
group_setting (const Group *group, const char *key)
{
    const char *text = g_hash_table_lookup (((const RunData *)group->runs->pdata[0])->config, key);

    return text ? text : "";
}

static gboolean
same_but_for_seed (const RunData *a, const RunData *b)
{
    if (a->keys->len != b->keys->len)
        return FALSE;
    for (guint i = 0; i < a->keys->len; i++)
        if (strcmp (a->keys->pdata[i], "seed") != 0 &&
            g_strcmp0 (g_hash_table_lookup (a->config, a->keys->pdata[i]),
                       g_hash_table_lookup (b->config, a->keys->pdata[i])) != 0)
            return FALSE;
    return TRUE;
}

// A second run of one seed says nothing about the spread over seeds: it stands alone.
static gboolean
has_seed (const Group *group, const char *seed)
{
    for (guint i = 0; i < group->runs->len; i++)
        if (g_strcmp0 (g_hash_table_lookup (((RunData *)group->runs->pdata[i])->config, "seed"),
                       seed) == 0)
            return TRUE;
    return FALSE;
}

static void
add_run (GPtrArray *groups, RunData *run)
{
    Group *g;

    for (guint i = 0; i < groups->len; i++) {
        g = groups->pdata[i];
        if (same_but_for_seed (g->runs->pdata[0], run) &&
            !has_seed (g, g_hash_table_lookup (run->config, "seed"))) {
            g_ptr_array_add (g->runs, run);
            return;
        }
    }
    g = g_new0 (Group, 1);
    g->runs = g_ptr_array_new ();
    g_ptr_array_add (g->runs, run);
    g_ptr_array_add (groups, g);
}

static void
add_key (GPtrArray *keys, const char *key)
{
    for (guint i = 0; i < keys->len; i++)
        if (strcmp (keys->pdata[i], key) == 0)
            return;
    g_ptr_array_add (keys, (gpointer)key);
}

// Keys in which @groups differ; of plugins first.
static GPtrArray *
differing (GPtrArray *groups)
{
    g_autoptr (GPtrArray) all = g_ptr_array_new ();
    GPtrArray *out = g_ptr_array_new ();

    for (guint i = 0; i < groups->len; i++) {
        GPtrArray *keys = ((RunData *)((Group *)groups->pdata[i])->runs->pdata[0])->keys;

        for (guint k = 0; k < keys->len; k++)
            add_key (all, keys->pdata[k]);
    }
    for (guint pass = 0; pass < 2; pass++)
        for (guint k = 0; k < all->len; k++) {
            gboolean differs = FALSE;

            if (g_str_has_suffix (all->pdata[k], ".plugin") != (pass == 0) ||
                strcmp (all->pdata[k], "seed") == 0)
                continue;
            for (guint i = 1; i < groups->len && !differs; i++)
                differs = strcmp (group_setting (groups->pdata[i], all->pdata[k]),
                                  group_setting (groups->pdata[0], all->pdata[k])) != 0;
            if (differs)
                g_ptr_array_add (out, all->pdata[k]);
        }
    return out;
}

GPtrArray *
groups_differing_keys (GPtrArray *groups)
{
    g_autoptr (GPtrArray) keys = differing (groups);
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);

    for (guint i = 0; i < keys->len; i++)
        g_ptr_array_add (out, g_strdup (keys->pdata[i]));
    return out;
}

/* Labels: the plugins that differ, then whatever else tells groups of the same plugins apart. */

static char *
plugins_label (const Group *group, GPtrArray *keys)
{
    g_autoptr (GString) s = g_string_new (NULL);

    for (guint k = 0; k < keys->len; k++) {
        const char *text = group_setting (group, keys->pdata[k]);

        if (!g_str_has_suffix (keys->pdata[k], ".plugin") || !*text)
            continue;
        g_string_append_printf (s, "%s%s", s->len ? ", " : "", text);
        if (g_str_has_suffix (s->str, ".so"))
            g_string_truncate (s, s->len - 3);
    }
    return g_strdup (s->str);
}

static char *
shortened (const char *text)
{
    g_autofree char *head = NULL;

    if (g_utf8_strlen (text, -1) <= MAX_LABEL)
        return g_strdup (text);
    head = g_utf8_substring (text, 0, MAX_LABEL - 1);
    return g_strconcat (head, "\342\200\246", NULL);
}

static char *
full_label (const Group *group, GPtrArray *alike, const char *plugins)
{
    g_autoptr (GPtrArray) keys = differing (alike);
    g_autoptr (GString) s = g_string_new (plugins);

    for (guint k = 0; k < keys->len; k++) {
        const char *key = keys->pdata[k], *dot = strrchr (key, '.');

        g_string_append_printf (s, "%s%s=%s", s->len ? ", " : "", dot ? dot + 1 : key,
                                group_setting (group, key));
    }
    if (!s->len)
        g_string_append (s, ((RunData *)group->runs->pdata[0])->name);
    return shortened (s->str);
}

// Two runs of the same configuration and seed: the folders' names differ.
static void
tell_twins_apart (GPtrArray *groups)
{
    g_autoptr (GHashTable) count = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < groups->len; i++) {
        Group *g = groups->pdata[i];
        guint n = GPOINTER_TO_UINT (g_hash_table_lookup (count, g->label)) + 1;

        g_hash_table_insert (count, g_strdup (g->label), GUINT_TO_POINTER (n));
        if (n > 1) {
            char *label = g_strdup_printf ("%s (%u)", g->label, n);

            g_free (g->label);
            g->label = label;
        }
    }
}

GPtrArray *
groups_new (GPtrArray *runs)
{
    GPtrArray *groups = g_ptr_array_new_with_free_func (group_free);
    g_autoptr (GPtrArray) keys = NULL, plugins = g_ptr_array_new_with_free_func (g_free);

    for (guint i = 0; i < runs->len; i++)
        add_run (groups, runs->pdata[i]);
    keys = differing (groups);
    for (guint i = 0; i < groups->len; i++)
        g_ptr_array_add (plugins, plugins_label (groups->pdata[i], keys));
    for (guint i = 0; i < groups->len; i++) {
        g_autoptr (GPtrArray) alike = g_ptr_array_new ();

        for (guint j = 0; j < groups->len; j++)
            if (strcmp (plugins->pdata[i], plugins->pdata[j]) == 0)
                g_ptr_array_add (alike, groups->pdata[j]);
        ((Group *)groups->pdata[i])->label =
            full_label (groups->pdata[i], alike, plugins->pdata[i]);
    }
    tell_twins_apart (groups);
    return groups;
}

void
mean_and_error (const double *values, guint n, double *mean, double *error)
{
    double sum = 0, squares = 0;

    for (guint i = 0; i < n; i++)
        sum += values[i];
    *mean = n ? sum / n : NAN;
    for (guint i = 0; i < n; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *error = n > 1 ? sqrt (squares / (n - 1) / n) : NAN;
}
