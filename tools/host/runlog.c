/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <json-glib/json-glib.h>
#include <glib/gstdio.h>
#include "pictures.h"
#include "report/kept.h"
#include "report/report.h"
#include "runlog.h"
#include "setup.h"

static gboolean
io_error (const char *what, const char *path, GError **error)
{
    int code = errno;

    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: %s: %s", path, what, g_strerror (code));
    return FALSE;
}

static char *
new_folder (const char *hint)
{
    g_autoptr (GDateTime) now = g_date_time_new_now_local ();
    g_autofree char *time = g_date_time_format (now, "%Y%m%d-%H%M%S");

    for (guint i = 1;; i++) {
        g_autofree char *suffix = i > 1 ? g_strdup_printf ("-%u", i) : g_strdup ("");
        char *dir = g_strdup_printf ("runs/%s-%s%s", time, hint, suffix);

        if (!g_file_test (dir, G_FILE_TEST_EXISTS))
            return dir;
        g_free (dir);
    }
}

// Of all threads of this process.
static double
cpu_seconds (void)
{
    struct timespec t;

    return clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t) == 0
               ? (double)t.tv_sec + (double)t.tv_nsec * 1e-9
               : 0;
}

static gboolean
open_metrics (RunLog *log, const char *mode, GError **error)
{
    g_autofree char *path = g_build_filename (log->dir, "metrics.jsonl", NULL);

    log->start = g_get_monotonic_time ();
    log->cpu_start = cpu_seconds ();
    log->metrics = fopen (path, mode);
    return log->metrics ? TRUE : io_error ("cannot open for writing", path, error);
}

// Held until the process ends, however it ends. A file system without locks does without.
static gboolean
lock_folder (RunLog *log, GError **error)
{
    log->lock = open (log->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->lock < 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: cannot open the run folder: %s",
                     log->dir, g_strerror (errno));
        return FALSE;
    }
    if (flock (log->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "%s: another dlhost is running in this folder: wait for it, or stop it", log->dir);
    return FALSE;
}

gboolean
run_log_lock (RunLog *log, const char *dir, GError **error)
{
    log->dir = g_strdup (dir);
    return lock_folder (log, error);
}

gboolean
run_log_create (RunLog *log, const char *dir, const char *hint, GError **error)
{
    g_autofree char *config = NULL;

    log->dir = dir ? g_strdup (dir) : new_folder (hint);
    config = g_build_filename (log->dir, "config.json", NULL);
    if (g_file_test (config, G_FILE_TEST_EXISTS)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--out: '%s' holds a run already: give another folder, or go on with "
                     "`dlhost resume %s`",
                     log->dir, log->dir);
        return FALSE;
    }
    log->made = !g_file_test (log->dir, G_FILE_TEST_EXISTS);
    if (g_mkdir_with_parents (log->dir, 0777) != 0)
        return io_error ("cannot make the run folder", log->dir, error);
    return lock_folder (log, error);
}

gboolean
run_log_begin (RunLog *log, const char *config_json, GError **error)
{
    log->begun = TRUE;
    return run_log_set_config (log, config_json, error) && open_metrics (log, "we", error) &&
           events_open (&log->events, log->dir, FALSE, -1, FALSE, error);
}

void
run_log_discard (RunLog *log)
{
    g_autofree char *events = log->events.path ? g_path_get_basename (log->events.path) : NULL;
    const char *const own[] = {"config.json", MACHINE_FILE, "metrics.jsonl", events, NULL};
    g_autoptr (GDir) entries = log->begun ? g_dir_open (log->dir, 0, NULL) : NULL;
    const char *entry;

    if (!entries || (log->metrics && ftell (log->metrics) > 0))
        return;
    while ((entry = g_dir_read_name (entries)))
        if (!g_strv_contains (own, entry))
            return;
    for (guint i = 0; own[i]; i++) {
        g_autofree char *path = g_build_filename (log->dir, own[i], NULL);

        g_unlink (path);
    }
    if (log->made)
        g_rmdir (log->dir);
}

// The number after "key": in a record that this program wrote.
static gboolean
record_number (const char *line, const char *key, double *value)
{
    g_autofree char *pattern = g_strdup_printf ("\"%s\":", key);
    const char *found = strstr (line, pattern);

    if (!found)
        return FALSE;
    *value = g_ascii_strtod (found + strlen (pattern), NULL);
    return TRUE;
}

gboolean
run_log_set_config (RunLog *log, const char *config_json, GError **error)
{
    g_autofree char *config = g_build_filename (log->dir, "config.json", NULL);

    return dlh_file_write (config, config_json, strlen (config_json), error);
}

gboolean
run_log_reopen (RunLog *log, gint64 step, const char *config_json, GError **error)
{
    g_autofree char *path = g_build_filename (log->dir, "metrics.jsonl", NULL);
    g_autoptr (GString) kept = g_string_new (NULL);
    g_autofree char *text = NULL;
    g_auto (GStrv) lines = NULL;
    gboolean finished = FALSE;

    // The run's length may have changed.
    if (!run_log_set_config (log, config_json, error))
        return FALSE;
    if (g_file_test (path, G_FILE_TEST_EXISTS)) {
        if (!g_file_get_contents (path, &text, NULL, error))
            return FALSE;
        lines = g_strsplit (text, "\n", -1);
        for (guint i = 0; lines[i]; i++) {
            gboolean final = g_str_has_prefix (lines[i], "{\"event\":\"final\"");
            double at, wall, cpu;

            // A line cut off by a kill does not end in a brace.
            if (!g_str_has_suffix (lines[i], "}") || !record_number (lines[i], "step", &at) ||
                at > (double)step)
                continue;
            finished |= final && at == (double)step;
            if (final)
                continue;
            if (record_number (lines[i], "wall", &wall))
                log->before = MAX (log->before, wall);
            if (record_number (lines[i], "cpu", &cpu))
                log->cpu_before = MAX (log->cpu_before, cpu);
            g_string_append_printf (kept, "%s\n", lines[i]);
        }
        if (!dlh_file_write (path, kept->str, kept->len, error))
            return FALSE;
    }
    return open_metrics (log, "ae", error) &&
           events_open (&log->events, log->dir, TRUE, step, finished, error);
}

void
run_log_clear (RunLog *log)
{
    if (log->metrics)
        fclose (log->metrics);
    events_close (&log->events);
    if (log->dir && log->lock >= 0)
        close (log->lock);
    g_free (log->dir);
}

double
run_log_seconds (const RunLog *log)
{
    return log->before + (double)(g_get_monotonic_time () - log->start) * 1e-6;
}

gboolean
run_log_write (RunLog *log, const char *event, gint64 step, const char *const *names,
               const double *values, guint n, GError **error)
{
    g_autoptr (GString) s = g_string_new (NULL);
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf (s, "{\"event\":\"%s\",\"step\":%" G_GINT64_FORMAT ",\"wall\":%s", event,
                            step,
                            g_ascii_formatd (number, sizeof number, "%.3f", run_log_seconds (log)));
    g_string_append_printf (s, ",\"cpu\":%s",
                            g_ascii_formatd (number, sizeof number, "%.3f",
                                             log->cpu_before + cpu_seconds () - log->cpu_start));
    for (guint i = 0; i < n; i++) {
        g_autofree char *name = g_strescape (names[i], NULL);

        // JSON has no NaN or infinity: null, and a flag that says which.
        if (isfinite (values[i]))
            g_string_append_printf (s, ",\"%s\":%s", name,
                                    g_ascii_formatd (number, sizeof number, "%.9g", values[i]));
        else
            g_string_append_printf (s, ",\"%s\":null,\"%s/not_finite\":\"%s\"", name, name,
                                    isnan (values[i]) ? "nan"
                                    : values[i] > 0   ? "inf"
                                                      : "-inf");
    }
    g_string_append (s, "}\n");
    if (fwrite (s->str, 1, s->len, log->metrics) == s->len && fflush (log->metrics) == 0)
        return events_scalars (&log->events, step, names, values, n, error);
    return io_error ("cannot write metrics.jsonl", log->dir, error);
}

gboolean
run_log_histogram (RunLog *log, gint64 step, const char *name, const DlhTensor *values,
                   GError **error)
{
    return events_histogram (&log->events, step, name, values, error);
}

gboolean
run_log_image (RunLog *log, gint64 step, const char *name, const DlhTensor *pictures,
               GError **error)
{
    guint width, height;
    g_autoptr (GBytes) png = pictures_to_png (pictures, &width, &height, error);
    g_autofree char *folder = g_build_filename (log->dir, "images", NULL);
    g_autofree char *file = pictures_file_name (name, step);
    g_autofree char *path = g_build_filename (folder, file, NULL);

    if (!png)
        return FALSE;
    if (g_mkdir_with_parents (folder, 0777) != 0)
        return io_error ("cannot make the folder", folder, error);
    // Not dlh_file_write(): a picture that a crash of the machine loses is not worth a wait.
    if (!g_file_set_contents_full (path, g_bytes_get_data (png, NULL),
                                   (gssize)g_bytes_get_size (png), G_FILE_SET_CONTENTS_CONSISTENT,
                                   0666, NULL))
        return io_error ("cannot write", path, error);
    return events_image (&log->events, step, name, width, height, png, error);
}

// The drawings of a figure, or none: an older one of other data would be a lie.
static gboolean
draw_figure (const char *stem, const char *json, GError **error)
{
    g_autoptr (GPtrArray) figures = g_ptr_array_new_with_free_func ((GDestroyNotify)figure_free);
    g_autoptr (GPtrArray) drawings = NULL;
    g_autofree char *svg = g_strconcat (stem, ".svg", NULL);
    g_autofree char *png = g_strconcat (stem, ".png", NULL);
    g_autofree char *text = NULL;
    Figure *figure = kept_figure_parse (json, strlen (json), error);
    const Drawing *d;

    g_unlink (svg);
    g_unlink (png);
    if (!figure)
        return FALSE;
    g_ptr_array_add (figures, figure);
    if (!(drawings = figures_draw (figures, TRUE, error)))
        return FALSE;
    d = drawings->pdata[0];
    text = svg_described (d->svg, figure);
    return g_file_set_contents_full (svg, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0666, error) &&
           g_file_set_contents_full (png, g_bytes_get_data (d->png, NULL),
                                     (gssize)g_bytes_get_size (d->png),
                                     G_FILE_SET_CONTENTS_CONSISTENT, 0666, error);
}

// The data are the figure, and must be kept; a drawing of them can be had later.
gboolean
run_log_figure (RunLog *log, const DlhFigure *figure, char **note, GError **error)
{
    g_autofree char *folder = g_build_filename (log->dir, "figures", NULL);
    g_autofree char *stem = g_build_filename (folder, figure->name, NULL);
    g_autofree char *path = g_strconcat (stem, ".json", NULL);
    g_autofree char *json = kept_figure_format (figure);
    g_autoptr (GError) cause = NULL;

    *note = NULL;
    if (g_mkdir_with_parents (folder, 0777) != 0)
        return io_error ("cannot make the folder", folder, error);
    if (!g_file_set_contents_full (path, json, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0666, NULL))
        return io_error ("cannot write", path, error);
    if (!draw_figure (stem, json, &cause) && !log->undrawn) {
        *note = g_strdup_printf ("%s is kept, but not drawn: %s", path, cause->message);
        log->undrawn = TRUE;
    }
    return TRUE;
}

gboolean
run_log_sync (RunLog *log, GError **error)
{
    // Some files cannot be synced, and say so with EINVAL.
    if (fdatasync (fileno (log->metrics)) == 0 || errno == EINVAL)
        return events_sync (&log->events, error);
    return io_error ("cannot write metrics.jsonl", log->dir, error);
}
