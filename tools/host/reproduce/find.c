/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "find.h"

#define SUFFIX ".json"

// Beside the program, wherever the installation has been moved to; else where it was configured.
static char *
installed_dir (void)
{
    g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
    g_autofree char *bin = program ? g_path_get_dirname (program) : NULL;
    g_autofree char *near =
        bin ? g_build_filename (bin, DLHOST_RECIPE_DIR_FROM_PROGRAM, NULL) : NULL;

    if (near && *DLHOST_RECIPE_DIR_FROM_PROGRAM && g_file_test (near, G_FILE_TEST_IS_DIR))
        return g_canonicalize_filename (near, NULL);
    return g_strdup (DLHOST_RECIPE_DIR);
}

GPtrArray *
recipe_dirs (const Config *config)
{
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GArray) plugins = search_dirs (config);

    for (guint i = 0; i < plugins->len; i++)
        g_ptr_array_add (
            out, g_build_filename (g_array_index (plugins, SearchDir, i).dir, "reproduce", NULL));
    g_ptr_array_add (out, g_build_filename (g_get_user_data_dir (), "dlhost", "reproduce", NULL));
    g_ptr_array_add (out, installed_dir ());
    return out;
}

static int
by_text (gconstpointer a, gconstpointer b)
{
    return strcmp (*(char *const *)a, *(char *const *)b);
}

GPtrArray *
recipe_names (const Config *config)
{
    g_autoptr (GPtrArray) dirs = recipe_dirs (config);
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);

    for (guint i = 0; i < dirs->len; i++) {
        g_autoptr (GDir) entries = g_dir_open (dirs->pdata[i], 0, NULL);
        const char *entry;

        while (entries && (entry = g_dir_read_name (entries))) {
            g_autofree char *name = g_str_has_suffix (entry, SUFFIX)
                                        ? g_strndup (entry, strlen (entry) - strlen (SUFFIX))
                                        : NULL;

            if (name && *name && g_utf8_validate (name, -1, NULL) &&
                !g_ptr_array_find_with_equal_func (out, name, g_str_equal, NULL))
                g_ptr_array_add (out, g_steal_pointer (&name));
        }
    }
    g_ptr_array_sort (out, by_text);
    return out;
}

char *
recipe_find (const char *name, const Config *config, GError **error)
{
    g_autoptr (GPtrArray) dirs = recipe_dirs (config), names = NULL;
    g_autofree char *file = g_strconcat (name, SUFFIX, NULL), *all = NULL;
    const char *near;

    if (strchr (name, '/') || g_str_has_suffix (name, SUFFIX))
        return g_strdup (name);
    for (guint i = 0; i < dirs->len; i++) {
        g_autofree char *path = g_build_filename (dirs->pdata[i], file, NULL);

        if (g_file_test (path, G_FILE_TEST_IS_REGULAR))
            return g_steal_pointer (&path);
    }
    names = recipe_names (config);
    near = dlh_nearest_name (name, (const char *const *)names->pdata, names->len);
    g_ptr_array_add (names, NULL);
    all = g_strjoinv (", ", (char **)names->pdata);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "reproduce: no recipe '%s'%s%s%s; there are %s; give one of them, or a file", name,
                 near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "",
                 *all ? all : "none");
    return NULL;
}
