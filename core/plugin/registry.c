/* SPDX-License-Identifier: MIT */
/* The plugins on a search path. Files are only read until a plugin is asked for by name. */
#include "plugin/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SUFFIX ".so"

struct _DlhRegistry {
    GPtrArray *dirs; /* char*, canonical */
    gboolean scanned;
    GPtrArray *plugins;  /* DlhPluginFile*, found on the path */
    GPtrArray *rejects;  /* DlhPluginReject* */
    GHashTable *by_path; /* char* -> DlhPluginFile*, asked for by path */
};

static const char *const kind_names[] = {
    [DLH_OPTIMIZER] = "optimizer",     [DLH_MODEL] = "model",
    [DLH_SAMPLER] = "sampler",         [DLH_DATASET] = "dataset",
    [DLH_ENVIRONMENT] = "environment", [DLH_TASK] = "task",
    [DLH_BACKEND] = "backend",         [DLH_COMM] = "comm",
    [DLH_PERTURB] = "perturb",         [DLH_OBJECTIVE] = "objective",
};

const char *
dlh_plugin_kind_name (DlhPluginKind kind)
{
    return kind >= DLH_OPTIMIZER && kind <= DLH_LAST_KIND ? kind_names[kind] : "plugin";
}

DlhPluginKind
dlh_plugin_kind_from_name (const char *name)
{
    for (guint kind = DLH_OPTIMIZER; kind <= DLH_LAST_KIND; kind++)
        if (strcmp (name, kind_names[kind]) == 0)
            return kind;
    return 0;
}

static void
reject_free (gpointer data)
{
    DlhPluginReject *reject = data;

    g_free (reject->path);
    g_error_free (reject->error);
    g_free (reject);
}

/* Takes @error. */
static void
add_reject (DlhRegistry *registry, const char *path, GError *error)
{
    DlhPluginReject *reject = g_new0 (DlhPluginReject, 1);

    reject->path = g_strdup (path);
    reject->error = error;
    g_ptr_array_add (registry->rejects, reject);
}

DlhRegistry *
dlh_registry_new (const char *path)
{
    DlhRegistry *registry = g_new0 (DlhRegistry, 1);
    g_auto (GStrv) dirs = g_strsplit (path ? path : "", ":", -1);

    registry->dirs = g_ptr_array_new_with_free_func (g_free);
    registry->plugins = g_ptr_array_new_with_free_func (dlh_plugin_file_unref);
    registry->rejects = g_ptr_array_new_with_free_func (reject_free);
    registry->by_path =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, dlh_plugin_file_unref);
    for (guint i = 0; dirs[i]; i++) {
        g_autofree char *dir = NULL;

        // An empty entry is not the working directory, as it would be in PATH.
        if (!*dirs[i])
            continue;
        dir = g_canonicalize_filename (dirs[i], NULL);
        if (!g_ptr_array_find_with_equal_func (registry->dirs, dir, g_str_equal, NULL))
            g_ptr_array_add (registry->dirs, g_steal_pointer (&dir));
    }
    return registry;
}

void
dlh_registry_free (DlhRegistry *registry)
{
    if (!registry)
        return;
    g_ptr_array_unref (registry->dirs);
    g_ptr_array_unref (registry->plugins);
    g_ptr_array_unref (registry->rejects);
    g_hash_table_unref (registry->by_path);
    g_free (registry);
}

/* Who may write to a directory may put a plugin there, also one of the name of another. */
static gboolean
check_directory (const char *dir, GError **error)
{
    struct stat st;

    if (stat (dir, &st) != 0 || !(st.st_mode & S_IWOTH))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                 "lies in %s, which can be written by everyone; run chmod o-w on that directory or "
                 "move the plugin",
                 dir);
    return FALSE;
}

/* Reads the plugin at @path, but does not look at the directory that @path names. */
static DlhPluginFile *
read_plugin (const char *path, GError **error)
{
    DlhNote *note = NULL;
    struct stat st;

    if (lstat (path, &st) == 0 && S_ISLNK (st.st_mode)) {
        g_autofree char *real = realpath (path, NULL);
        g_autofree char *dir = real ? g_path_get_dirname (real) : NULL;

        if (dir && !check_directory (dir, error))
            return NULL;
    }
    note = dlh_note_read (path, error);
    return note ? dlh_plugin_file_new (path, note) : NULL;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static DlhPluginFile *
lookup (DlhRegistry *registry, const char *name)
{
    for (guint i = 0; i < registry->plugins->len; i++) {
        DlhPluginFile *plugin = registry->plugins->pdata[i];

        if (strcmp (plugin->note->manifest.name, name) == 0)
            return plugin;
    }
    return NULL;
}

/* Takes @plugin. */
static void
add_plugin (DlhRegistry *registry, DlhPluginFile *plugin)
{
    const DlhPluginFile *first = lookup (registry, plugin->note->manifest.name);

    if (!first) {
        g_ptr_array_add (registry->plugins, plugin);
        return;
    }
    add_reject (registry, plugin->info.path,
                g_error_new (DLH_ERROR, DLH_ERROR_PLUGIN,
                             "is another plugin '%s'; %s comes first and is used",
                             plugin->note->manifest.name, first->info.path));
    dlh_plugin_file_unref (plugin);
}

/* Returns: (nullable): the names of the files to look at, sorted. */
static GPtrArray *
list_directory (const char *dir, GError **error)
{
    GPtrArray *names;
    struct dirent *entry;
    struct stat st;
    DIR *d;

    if (stat (dir, &st) == 0 && st.st_mode & S_IWOTH) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "can be written by everyone; run chmod o-w on it");
        return NULL;
    }
    d = opendir (dir);
    if (!d) {
        // Not every directory of the path needs to be there.
        if (errno != ENOENT)
            g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "cannot be listed: %s",
                         g_strerror (errno));
        return NULL;
    }
    names = g_ptr_array_new_with_free_func (g_free);
    while ((entry = readdir (d)))
        if (entry->d_name[0] != '.' && g_str_has_suffix (entry->d_name, SUFFIX))
            g_ptr_array_add (names, g_strdup (entry->d_name));
    closedir (d);
    g_ptr_array_sort (names, compare_names);
    return names;
}

static void
scan_directory (DlhRegistry *registry, const char *dir)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) names = list_directory (dir, &error);
    g_autoptr (GPtrArray) renamed = g_ptr_array_new ();

    if (error)
        add_reject (registry, dir, g_steal_pointer (&error));
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree char *path = g_build_filename (dir, names->pdata[i], NULL);
        g_autoptr (GError) why = NULL;
        DlhPluginFile *plugin = read_plugin (path, &why);
        g_autofree char *own = NULL;

        if (!plugin) {
            add_reject (registry, path, g_steal_pointer (&why));
            continue;
        }
        // In one directory NAME.so comes before a renamed copy of it, whatever the alphabet says.
        own = g_strconcat (plugin->note->manifest.name, SUFFIX, NULL);
        if (strcmp (names->pdata[i], own) == 0)
            add_plugin (registry, plugin);
        else
            g_ptr_array_add (renamed, plugin);
    }
    for (guint i = 0; i < renamed->len; i++)
        add_plugin (registry, renamed->pdata[i]);
}

static int
compare_plugins (gconstpointer a, gconstpointer b)
{
    const DlhPluginFile *p = *(DlhPluginFile *const *)a, *q = *(DlhPluginFile *const *)b;

    if (p->note->manifest.kind != q->note->manifest.kind)
        return p->note->manifest.kind < q->note->manifest.kind ? -1 : 1;
    return strcmp (p->note->manifest.name, q->note->manifest.name);
}

static void
scan (DlhRegistry *registry)
{
    if (registry->scanned)
        return;
    registry->scanned = TRUE;
    for (guint i = 0; i < registry->dirs->len; i++)
        scan_directory (registry, registry->dirs->pdata[i]);
    g_ptr_array_sort (registry->plugins, compare_plugins);
}

GPtrArray *
dlh_registry_list (DlhRegistry *registry, DlhPluginKind kind)
{
    GPtrArray *list = g_ptr_array_new ();

    scan (registry);
    for (guint i = 0; i < registry->plugins->len; i++) {
        DlhPluginFile *plugin = registry->plugins->pdata[i];

        if (!kind || plugin->note->manifest.kind == kind)
            g_ptr_array_add (list, &plugin->info);
    }
    return list;
}

GPtrArray *
dlh_registry_rejects (DlhRegistry *registry)
{
    scan (registry);
    return registry->rejects;
}

static DlhPluginFile *
find_path (DlhRegistry *registry, const char *name, GError **error)
{
    g_autofree char *path = g_canonicalize_filename (name, NULL);
    g_autofree char *dir = g_path_get_dirname (path);
    g_autofree char *shown = dlh_path_show (name);
    DlhPluginFile *plugin = g_hash_table_lookup (registry->by_path, path);

    if (plugin)
        return plugin;
    if (check_directory (dir, error))
        plugin = read_plugin (path, error);
    if (plugin)
        g_hash_table_insert (registry->by_path, g_steal_pointer (&path), plugin);
    else
        g_prefix_error (error, "%s: ", shown);
    return plugin;
}

/* The plugin of the wanted kind (any, if there is none) whose name is nearest. */
static const char *
nearest_plugin (DlhRegistry *registry, DlhPluginKind kind, const char *name)
{
    g_autoptr (GPtrArray) list = dlh_registry_list (registry, kind);
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    const char *nearest;

    for (guint i = 0; i < list->len; i++)
        g_ptr_array_add (names, (gpointer)((DlhPluginInfo *)list->pdata[i])->manifest->name);
    nearest = dlh_nearest_name (name, (const char *const *)names->pdata, names->len);
    return nearest || !kind ? nearest : nearest_plugin (registry, 0, name);
}

static void
not_found (DlhRegistry *registry, DlhPluginKind kind, const char *id, const char *name,
           GError **error)
{
    g_autofree char *shown = dlh_text_show (id);
    const char *near = nearest_plugin (registry, kind, id);
    GString *text = g_string_new (NULL);

    g_string_append_printf (text, "no %s '%s'", dlh_plugin_kind_name (kind), shown);
    if (near)
        g_string_append_printf (text, "; did you mean '%s'?", near);
    else if (!dlh_name_valid (id))
        g_string_append (text, "; a plugin's name has only a-z, 0-9, '_' and '-'");
    for (guint i = 0; i < registry->dirs->len; i++) {
        g_autofree char *dir = dlh_text_show (registry->dirs->pdata[i]);
        gboolean there = g_file_test (registry->dirs->pdata[i], G_FILE_TEST_IS_DIR);

        g_string_append_printf (text, "%s%s%s",
                                i      ? ", "
                                : near ? " (searched "
                                       : "; searched ",
                                dir, there ? "" : " (not there)");
    }
    if (near && registry->dirs->len)
        g_string_append_c (text, ')');
    if (registry->dirs->len == 0)
        g_string_append (text, "; the plugin path is empty");
    if (*name && g_file_test (name, G_FILE_TEST_IS_REGULAR))
        g_string_append_printf (text, "; for the file in the working directory write ./%s%s", shown,
                                strlen (name) > strlen (id) ? SUFFIX : "");
    g_set_error_literal (error, DLH_ERROR, DLH_ERROR_PLUGIN, text->str);
    g_string_free (text, TRUE);
}

static DlhPluginFile *
find_name (DlhRegistry *registry, DlhPluginKind kind, const char *name, GError **error)
{
    gsize n = strlen (name), cut = g_str_has_suffix (name, SUFFIX) ? strlen (SUFFIX) : 0;
    g_autofree char *id = g_strndup (name, n - cut), *file = g_strconcat (id, SUFFIX, NULL);
    DlhPluginFile *plugin;

    scan (registry);
    plugin = lookup (registry, id);
    if (plugin)
        return plugin;
    for (guint i = 0; i < registry->rejects->len; i++) {
        const DlhPluginReject *reject = registry->rejects->pdata[i];
        g_autofree char *base = g_path_get_basename (reject->path);
        g_autofree char *shown = dlh_path_show (reject->path);

        if (strcmp (base, file) == 0) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "%s: %s", shown,
                         reject->error->message);
            return NULL;
        }
    }
    not_found (registry, kind, id, name, error);
    return NULL;
}

static DlhPluginFile *
find_plugin (DlhRegistry *registry, DlhPluginKind kind, const char *name, GError **error)
{
    DlhPluginFile *plugin = strchr (name, '/') ? find_path (registry, name, error)
                                               : find_name (registry, kind, name, error);
    const char *is, *want;

    if (!plugin || !kind || plugin->note->manifest.kind == kind)
        return plugin;
    is = dlh_plugin_kind_name (plugin->note->manifest.kind);
    want = dlh_plugin_kind_name (kind);
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "'%s' is %s %s, not %s %s (%s)",
                 plugin->note->manifest.name, strchr ("aeiou", is[0]) ? "an" : "a", is,
                 strchr ("aeiou", want[0]) ? "an" : "a", want, plugin->info.path);
    return NULL;
}

const DlhPluginInfo *
dlh_registry_find (DlhRegistry *registry, DlhPluginKind kind, const char *name, GError **error)
{
    DlhPluginFile *plugin = find_plugin (registry, kind, name, error);

    return plugin ? &plugin->info : NULL;
}

DlhComponent *
dlh_registry_load (DlhRegistry *registry, DlhPluginKind kind, const char *name,
                   GHashTable *settings, GError **error)
{
    DlhPluginFile *plugin = find_plugin (registry, kind, name, error);

    return plugin ? dlh_component_open (plugin, settings, error) : NULL;
}
