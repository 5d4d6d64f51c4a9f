/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <glib/gstdio.h>
#include <dlhost/dlhost.h>
#include "kept.h"
#include "report.h"

/* Which runs. */

static gboolean
is_run (const char *dir)
{
    g_autofree char *config = g_build_filename (dir, "config.json", NULL);

    return g_file_test (config, G_FILE_TEST_EXISTS);
}

static int
by_name (gconstpointer a, gconstpointer b)
{
    return strcmp (*(char *const *)a, *(char *const *)b);
}

static gboolean
read_one (GPtrArray *runs, const char *dir, GError **error)
{
    RunData *run = run_data_read (dir, error);

    if (run)
        g_ptr_array_add (runs, run);
    return run != NULL;
}

static gboolean
read_folder (GPtrArray *runs, const char *dir, GError **error)
{
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
    const char *entry;

    if (!entries) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: no such folder: give run folders", dir);
        return FALSE;
    }
    while ((entry = g_dir_read_name (entries))) {
        g_autofree char *path = g_build_filename (dir, entry, NULL);

        if (is_run (path))
            g_ptr_array_add (found, g_steal_pointer (&path));
    }
    if (!found->len) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: neither a run folder (it has no config.json) nor a folder of them", dir);
        return FALSE;
    }
    g_ptr_array_sort (found, by_name);
    for (guint i = 0; i < found->len; i++)
        if (!read_one (runs, found->pdata[i], error))
            return FALSE;
    return TRUE;
}

GPtrArray *
report_read (GPtrArray *paths, GError **error)
{
    g_autoptr (GPtrArray) runs = g_ptr_array_new_with_free_func ((GDestroyNotify)run_data_free);

    for (guint i = 0; i < paths->len; i++)
        if (!(is_run (paths->pdata[i]) ? read_one : read_folder) (runs, paths->pdata[i], error))
            return NULL;
    return g_steal_pointer (&runs);
}

/* Files. */

// "test/loss" as a part of a file's name.
static char *
file_stem (const char *name)
{
    char *stem = g_strndup (name, 100);

    for (char *p = stem; *p; p++)
        if (!g_ascii_isalnum (*p) && *p != '.' && *p != '_')
            *p = '-';
    if (*stem == '.')
        *stem = '-';
    return stem;
}

static gboolean
write_figures (GPtrArray *figures, GPtrArray *drawings, const char *dir,
               const ReportOptions *options, GError **error)
{
    g_autoptr (GHashTable) used = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < figures->len; i++) {
        const Drawing *d = drawings->pdata[i];
        char *stem = file_stem (((Figure *)figures->pdata[i])->stem);
        g_autofree char *svg = NULL, *png = NULL, *text = NULL;

        // "a b" and "a/b" are one name of a file.
        if (g_hash_table_contains (used, stem)) {
            char *other = g_strdup_printf ("%s-%u", stem, i);

            g_free (stem);
            stem = other;
        }
        g_hash_table_add (used, stem);
        svg = g_strdup_printf ("%s/%s.svg", dir, stem);
        png = g_strdup_printf ("%s/%s.png", dir, stem);
        text = svg_described (d->svg, figures->pdata[i]);
        if (options->svg && !dlh_file_write (svg, text, strlen (text), error))
            return FALSE;
        if (options->png && !dlh_file_write (png, g_bytes_get_data (d->png, NULL),
                                             g_bytes_get_size (d->png), error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
write_page (GPtrArray *groups, GPtrArray *tables, GPtrArray *figures, GPtrArray *drawings,
            const char *dir, const char *title, GError **error)
{
    g_autofree char *html = page_html (groups, tables, figures, drawings, title);
    g_autofree char *path = g_build_filename (dir, "index.html", NULL);

    return dlh_file_write (path, html, strlen (html), error);
}

static GPtrArray *
report_tables (GPtrArray *groups, const ReportOptions *options, const char *note)
{
    GPtrArray *tables = g_ptr_array_new ();

    for (guint i = 0; options->tables && i < options->tables->len; i++)
        g_ptr_array_add (tables, options->tables->pdata[i]);
    g_ptr_array_add (tables, summary_of_groups (groups, note));
    g_ptr_array_add (tables, summary_of_runs (groups));
    return tables;
}

gboolean
report_write (GPtrArray *runs, const char *dir, const ReportOptions *options, char **summary,
              GError **error)
{
    g_autoptr (GPtrArray) groups = groups_new (runs);
    g_autoptr (GPtrArray) kept = kept_figures (groups);
    g_autoptr (GPtrArray) all = g_ptr_array_new (), figures = NULL, tables = NULL, drawings = NULL;
    g_autofree char *note = NULL;
    gboolean ok;

    if (!metrics_pick (groups, options->metrics, &note, error) ||
        !(figures = curves_figures (groups, &options->curves, error)))
        return FALSE;
    for (guint i = 0; options->figures && i < options->figures->len; i++)
        g_ptr_array_add (all, options->figures->pdata[i]);
    for (guint i = 0; i < kept->len; i++)
        g_ptr_array_add (all, kept->pdata[i]);
    for (guint i = 0; i < figures->len; i++)
        g_ptr_array_add (all, figures->pdata[i]);
    if (!(drawings = figures_draw (all, options->png, error)))
        return FALSE;
    if (g_mkdir_with_parents (dir, 0777) != 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot make the folder: %s", dir,
                     g_strerror (errno));
        return FALSE;
    }
    tables = report_tables (groups, options, note);
    ok = write_figures (all, drawings, dir, options, error) &&
         (!options->html || write_page (groups, tables, all, drawings, dir, options->title, error));
    if (summary && ok) {
        g_autofree char *text = table_to_text (tables->pdata[tables->len - 2]);

        *summary = g_strconcat (text, note, note ? "\n" : NULL, NULL);
    }
    for (guint i = options->tables ? options->tables->len : 0; i < tables->len; i++)
        table_free (tables->pdata[i]);
    return ok;
}
