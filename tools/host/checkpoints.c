/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <glib/gstdio.h>
#include "checkpoints.h"

#define PREFIX "checkpoint-"
#define SUFFIX ".safetensors"

GHashTable *
checkpoint_origin (DlhComponent *const *components)
{
    GHashTable *origin = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
    g_autoptr (GString) plugins = g_string_new (NULL);

    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
        if (components[kind]) {
            const DlhManifest *m = dlh_component_manifest (components[kind]);

            g_string_append_printf (plugins, "%s%s %s %s", plugins->len ? ", " : "",
                                    dlh_plugin_kind_name (kind),
                                    dlh_component_name (components[kind]), m->version);
        }
    g_hash_table_insert (origin, "dlhost", g_strdup (DLH_VERSION));
    g_hash_table_insert (origin, "plugins", g_strdup (plugins->str));
    g_hash_table_insert (origin, "cpu", g_strdup (dlh_cpu_level ()));
    g_hash_table_insert (origin, "threads", g_strdup_printf ("%u", dlh_get_threads ()));
    return origin;
}

char *
checkpoint_plugins_difference (GHashTable *origin, GHashTable *metadata)
{
    const char *now = g_hash_table_lookup (origin, "plugins");
    const char *then = g_hash_table_lookup (metadata, "plugins");

    if (!then || strcmp (now, then) == 0)
        return NULL;
    return g_strdup_printf (
        "the result may differ from an uninterrupted run's: the checkpoint is of "
        "'%s', the plugins are '%s'",
        then, now);
}

char *
checkpoint_model (GHashTable *metadata)
{
    const char *plugins = g_hash_table_lookup (metadata, "plugins");
    g_auto (GStrv) parts = g_strsplit (plugins ? plugins : "", ", ", -1);

    for (guint i = 0; parts[i]; i++) {
        g_auto (GStrv) words = g_strsplit (parts[i], " ", -1);

        if (g_strv_length (words) > 1 && strcmp (words[0], "model") == 0)
            return g_strdup (words[1]);
    }
    return NULL;
}

// -1 when it is not the name of a checkpoint of this program: no sign, no leading zero.
static gint64
step_of (const char *name)
{
    const char *digits = name + strlen (PREFIX);
    guint64 step;
    g_autofree char *number = NULL;

    if (!g_str_has_prefix (name, PREFIX) || !g_str_has_suffix (digits, SUFFIX))
        return -1;
    number = g_strndup (digits, strlen (digits) - strlen (SUFFIX));
    if (!g_ascii_string_to_unsigned (number, 10, 0, G_MAXINT64, &step, NULL) ||
        (number[0] == '0' && number[1]))
        return -1;
    return (gint64)step;
}

static int
newest_first (gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

static GArray *
list_steps (const char *dir)
{
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    GArray *steps = g_array_new (FALSE, FALSE, sizeof (gint64));
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries))) {
        gint64 step = step_of (entry);

        if (step >= 0)
            g_array_append_val (steps, step);
    }
    g_array_sort (steps, newest_first);
    return steps;
}

static char *
path_of (const char *dir, gint64 step)
{
    g_autofree char *name = g_strdup_printf (PREFIX "%" G_GINT64_FORMAT SUFFIX, step);

    return g_build_filename (dir, name, NULL);
}

char *
checkpoint_latest (const char *dir, gint64 *step, GError **error)
{
    g_autoptr (GArray) steps = list_steps (dir);

    if (steps->len)
        return path_of (dir, *step = g_array_index (steps, gint64, 0));
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%s: no checkpoint-<step>.safetensors in this folder", dir);
    return NULL;
}

// A file that cannot be removed is no reason to lose the run.
static void
prune (const char *dir, gint64 step, guint keep)
{
    g_autoptr (GArray) steps = list_steps (dir);
    guint n = 0;

    for (guint i = 0; i < steps->len; i++) {
        gint64 of = g_array_index (steps, gint64, i);
        g_autofree char *path = path_of (dir, of);
        GStatBuf st;

        if (of <= step && ++n > keep && g_lstat (path, &st) == 0 && S_ISREG (st.st_mode))
            g_unlink (path);
    }
}

gboolean
checkpoint_write (const char *dir, DlhStore *store, gint64 step, guint keep, GHashTable *metadata,
                  GError **error)
{
    g_autofree char *path = path_of (dir, step);

    if (!dlh_store_save (store, path, metadata, error))
        return FALSE;
    if (keep)
        prune (dir, step, keep);
    return TRUE;
}

gboolean
checkpoint_write_best (const char *dir, DlhStore *store, gint64 step, GHashTable *metadata,
                       GError **error)
{
    g_autofree char *path = g_build_filename (dir, PREFIX "best" SUFFIX, NULL);
    g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, step);
    gboolean done;

    g_hash_table_insert (metadata, "step", g_strdup (text));
    done = dlh_store_save (store, path, metadata, error);
    g_hash_table_remove (metadata, "step");
    return done;
}

gboolean
checkpoint_load_latest (const char *dir, DlhStore *store, gint64 *step, GHashTable **metadata,
                        GPtrArray *notes, GError **error)
{
    g_autoptr (GArray) steps = list_steps (dir);

    for (guint i = 0; i < steps->len; i++) {
        g_autofree char *path = path_of (dir, *step = g_array_index (steps, gint64, i));
        g_autoptr (GError) cause = NULL;

        if (dlh_store_load (store, path, metadata, &cause))
            return TRUE;
        if (!g_error_matches (cause, DLH_ERROR, DLH_ERROR_DATA) || i + 1 == steps->len) {
            g_propagate_error (error, g_steal_pointer (&cause));
            return FALSE;
        }
        g_ptr_array_add (notes, g_strdup_printf ("note: %s; going on from the checkpoint before it",
                                                 cause->message));
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%s: no checkpoint-<step>.safetensors in this folder: nothing to resume from",
                 dir);
    return FALSE;
}

void
checkpoint_remove_leftovers (const char *dir)
{
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    g_autoptr (GRegex) leftover =
        g_regex_new ("^\\.(checkpoint-(\\d+|best)\\.safetensors|config\\.json|metrics\\.jsonl)"
                     "\\.[0-9a-f]{8}$",
                     0, 0, NULL);
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries)))
        if (g_regex_match (leftover, entry, 0, NULL)) {
            g_autofree char *path = g_build_filename (dir, entry, NULL);

            g_unlink (path);
        }
}
