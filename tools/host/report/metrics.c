/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "../config.h"
#include "metrics.h"

#define MAX_METRICS_BYTES ((gsize)1 << 32)

/* Names and numbers. */

gboolean
metric_higher_is_better (const char *name)
{
    static const char *const higher[] = {"accuracy", "reward",  "return",       "elbo",
                                         "score",    "log_lik", "log-lik",      "r2",
                                         "mig",      "auc",     "log_evidence", "dci_"};
    static const char *const whole[] = {"log_p", "sap", NULL};
    const char *slash = strrchr (name, '/');
    g_autofree char *last = g_ascii_strdown (slash ? slash + 1 : name, -1);

    if (g_str_has_prefix (last, "neg"))
        return FALSE;
    if (g_strv_contains (whole, last))
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS (higher); i++)
        if (strstr (last, higher[i]))
            return TRUE;
    return FALSE;
}

char *
shortest_number (double value)
{
    char format[16], text[G_ASCII_DTOSTR_BUF_SIZE];

    for (int digits = 1; digits <= 17; digits++) {
        g_snprintf (format, sizeof format, "%%.%dg", digits);
        g_ascii_formatd (text, sizeof text, format, value);
        if (g_ascii_strtod (text, NULL) == value)
            break;
    }
    return g_strdup (text);
}

char *
printable (const char *text)
{
    g_autofree char *valid = g_utf8_make_valid (text, -1);
    GString *out = g_string_new (NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char (p)) {
        gunichar c = g_utf8_get_char (p);

        // Marks of direction would reorder what follows them.
        if (g_unichar_iscntrl (c) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
            c == 0x2028 || c == 0x2029 || c == 0xfffe || c == 0xffff)
            c = ' ';
        g_string_append_unichar (out, c);
    }
    return g_string_free (out, FALSE);
}

/* Records. */

typedef struct {
    RunData *run;
    GHashTable *by_name; /* name -> Series */
    double step, wall, cpu;
    gboolean has_step, is_final, is_evaluation;
    GPtrArray *names; /* char*: of this record */
    GArray *values;   /* double */
} Reader;

static void
series_free (gpointer data)
{
    Series *s = data;

    g_free (s->name);
    g_array_unref (s->points);
    g_free (s);
}

static void
see_member (const char *key, double value, const char *text, gpointer data)
{
    Reader *r = data;
    const char *flag = "/not_finite";

    if (strcmp (key, "event") == 0) {
        r->is_final = text && strcmp (text, "final") == 0;
        r->is_evaluation = text && strcmp (text, "eval") == 0;
    } else if (strcmp (key, "step") == 0) {
        r->step = value;
        r->has_step = isfinite (value);
    } else if (strcmp (key, "wall") == 0) {
        r->wall = value;
    } else if (strcmp (key, "cpu") == 0) {
        r->cpu = value;
    } else if (g_str_has_suffix (key, flag) && text) {
        // "loss": null, "loss/not_finite": "inf"
        double which = strcmp (text, "inf") == 0    ? INFINITY
                       : strcmp (text, "-inf") == 0 ? -INFINITY
                                                    : NAN;

        for (guint i = 0; i < r->names->len; i++)
            if (strlen (r->names->pdata[i]) == strlen (key) - strlen (flag) &&
                g_str_has_prefix (key, r->names->pdata[i]))
                g_array_index (r->values, double, i) = which;
    } else if (!text) {
        g_ptr_array_add (r->names, g_strdup (key));
        g_array_append_val (r->values, value);
    }
}

static void
keep_record (Reader *r)
{
    for (guint i = 0; i < r->names->len; i++) {
        Series *s = g_hash_table_lookup (r->by_name, r->names->pdata[i]);
        Point point = {r->step, g_array_index (r->values, double, i), r->wall, r->cpu};

        if (!s) {
            s = g_new0 (Series, 1);
            s->name = g_strdup (r->names->pdata[i]);
            s->points = g_array_new (FALSE, FALSE, sizeof (Point));
            s->evaluated = NAN;
            g_ptr_array_add (r->run->series, s);
            g_hash_table_insert (r->by_name, s->name, s);
        }
        g_array_append_val (s->points, point);
        s->repeated |= r->is_evaluation && s->evaluated == r->step;
        if (r->is_evaluation)
            s->evaluated = r->step;
    }
    r->run->finished |= r->is_final;
    r->run->steps = MAX (r->run->steps, r->step);
    if (isfinite (r->wall))
        r->run->wall = MAX (r->run->wall, r->wall);
    if (isfinite (r->cpu))
        r->run->cpu = MAX (r->run->cpu, r->cpu);
}

static void
read_line (Reader *r, const char *line, gsize n)
{
    g_ptr_array_set_size (r->names, 0);
    g_array_set_size (r->values, 0);
    r->has_step = r->is_final = r->is_evaluation = FALSE;
    r->wall = r->cpu = NAN;
    r->run->lines++;
    if (record_scan (line, n, see_member, r) && r->has_step)
        keep_record (r);
    else
        r->run->damaged++;
}

static int
by_step (gconstpointer a, gconstpointer b)
{
    const Point *p = a, *q = b;

    return (p->step > q->step) - (p->step < q->step);
}

// Rising steps, one point each; of several at a step the last written counts.
static void
tidy (Series *s)
{
    Point *points = (Point *)(gpointer)s->points->data;
    guint n = 0;

    g_array_sort (s->points, by_step); // stable
    for (guint i = 0; i < s->points->len; i++) {
        if (n && points[n - 1].step == points[i].step)
            n--;
        points[n++] = points[i];
    }
    g_array_set_size (s->points, n);
}

static gboolean
read_metrics (RunData *run, GError **error)
{
    g_autofree char *path = g_build_filename (run->dir, "metrics.jsonl", NULL);
    g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GArray) values = g_array_new (FALSE, FALSE, sizeof (double));
    g_autoptr (GBytes) bytes = NULL;
    Reader r = {.run = run, .by_name = by_name, .names = names, .values = values};
    const char *p, *end;
    gsize n;

    // A run that has only begun has no record yet.
    if (!g_file_test (path, G_FILE_TEST_EXISTS))
        return TRUE;
    if (!(bytes = dlh_file_read (path, MAX_METRICS_BYTES, error)))
        return FALSE;
    p = g_bytes_get_data (bytes, &n);
    end = p ? p + n : NULL;
    while (p && p < end) {
        const char *newline = memchr (p, '\n', (gsize)(end - p));
        const char *stop = newline ? newline : end;

        if (stop > p)
            read_line (&r, p, (gsize)(stop - p));
        p = stop + 1;
    }
    for (guint i = 0; i < run->series->len; i++)
        tidy (run->series->pdata[i]);
    return TRUE;
}

/* Configuration. */

static void
add_key (RunData *run, const char *kind, const char *option, const char *text)
{
    char *key = g_strdup_printf ("%s%s%s", kind, option ? "." : "", option ? option : "");
    char *end;
    double value = g_ascii_strtod (text, &end);

    g_ptr_array_add (run->keys, key);
    // 0.1 is stored as 0.10000000000000001.
    g_hash_table_insert (run->config, key,
                         *text && !*end && isfinite (value) && strpbrk (text, ".e")
                             ? shortest_number (value)
                             : printable (text));
}

static int
by_text (gconstpointer a, gconstpointer b)
{
    return strcmp (a, b);
}

static gboolean
read_config (RunData *run, GError **error)
{
    g_autofree char *path = g_build_filename (run->dir, "config.json", NULL);
    g_autofree char *seed = NULL, *threads = NULL;
    g_auto (Config) config = {0};

    if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: not a run folder: it has no config.json", run->dir);
        return FALSE;
    }
    config_init (&config);
    if (!config_read (&config, path, error))
        return FALSE;
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        const char *name = dlh_plugin_kind_name (kind);
        g_autoptr (GList) options =
            g_list_sort (g_hash_table_get_keys (config.parts[kind].settings), by_text);

        if (config.parts[kind].name)
            add_key (run, name, "plugin", config.parts[kind].name);
        for (GList *l = options; l; l = l->next)
            add_key (run, name, l->data,
                     g_hash_table_lookup (config.parts[kind].settings, l->data));
    }
    seed = g_strdup_printf ("%" G_GUINT64_FORMAT, config.seed);
    threads = g_strdup_printf ("%" G_GINT64_FORMAT, config.threads);
    add_key (run, "dtype", NULL, dlh_dtype_name (config.dtype));
    add_key (run, "threads", NULL, threads);
    add_key (run, "seed", NULL, seed);
    return TRUE;
}

/* Files beside them. */

// "step-9.png" before "step-10.png".
static int
by_number (gconstpointer a, gconstpointer b)
{
    g_autofree char *x = g_utf8_collate_key_for_filename (*(char *const *)a, -1);
    g_autofree char *y = g_utf8_collate_key_for_filename (*(char *const *)b, -1);

    return strcmp (x, y);
}

static void
find_images (RunData *run)
{
    g_autofree char *dir = g_build_filename (run->dir, "images", NULL);
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries)))
        if (g_str_has_suffix (entry, ".png") && g_utf8_validate (entry, -1, NULL))
            g_ptr_array_add (run->images, g_build_filename (dir, entry, NULL));
    g_ptr_array_sort (run->images, by_number);
}

// The newest checkpoint says how many parameters there are: the variables under the name of the
// model. What optimizers and samplers keep stands under their names.
static void
count_parameters (RunData *run)
{
    const char *plugin = g_hash_table_lookup (run->config, "model.plugin");
    g_autofree char *base = plugin ? g_path_get_basename (plugin) : NULL;
    g_autofree char *newest = NULL, *prefix = NULL;
    g_autoptr (DlhSafetensors) file = NULL;
    g_autoptr (GDir) entries = g_dir_open (run->dir, 0, NULL);
    const char *entry;
    gint64 step = -1;

    run->parameters = -1;
    while (base && entries && (entry = g_dir_read_name (entries))) {
        if (g_str_has_prefix (entry, "checkpoint-") && g_str_has_suffix (entry, ".safetensors") &&
            g_ascii_strtoll (entry + strlen ("checkpoint-"), NULL, 10) > step) {
            step = g_ascii_strtoll (entry + strlen ("checkpoint-"), NULL, 10);
            g_free (newest);
            newest = g_build_filename (run->dir, entry, NULL);
        }
    }
    if (!newest || !(file = dlh_safetensors_read (newest, NULL)))
        return;
    if (g_str_has_suffix (base, ".so"))
        base[strlen (base) - 3] = '\0';
    prefix = g_strconcat (base, "/", NULL);
    for (guint i = 0; i < dlh_safetensors_names (file)->len; i++) {
        const char *name = dlh_safetensors_names (file)->pdata[i];

        if (!g_str_has_prefix (name, prefix))
            continue;
        run->parameters = MAX (run->parameters, 0) +
                          dlh_shape_count (dlh_tensor_get_shape (dlh_safetensors_get (file, name)));
    }
}

/* Runs. */

RunData *
run_data_read (const char *dir, GError **error)
{
    g_autoptr (RunData) run = g_new0 (RunData, 1);
    g_autofree char *base = g_path_get_basename (dir);

    run->dir = g_strdup (dir);
    run->name = printable (base);
    run->keys = g_ptr_array_new ();
    run->config = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    run->series = g_ptr_array_new_with_free_func (series_free);
    run->images = g_ptr_array_new_with_free_func (g_free);
    if (!read_config (run, error) || !read_metrics (run, error))
        return NULL;
    find_images (run);
    count_parameters (run);
    return g_steal_pointer (&run);
}

void
run_data_free (RunData *run)
{
    if (!run)
        return;
    g_free (run->dir);
    g_free (run->name);
    g_clear_pointer (&run->keys, g_ptr_array_unref);
    g_clear_pointer (&run->config, g_hash_table_unref);
    g_clear_pointer (&run->series, g_ptr_array_unref);
    g_clear_pointer (&run->images, g_ptr_array_unref);
    g_free (run);
}

void
run_data_adopt (RunData *run, RunData *from, const char *prefix)
{
    g_ptr_array_set_free_func (from->series, NULL);
    for (guint i = 0; i < from->series->len; i++) {
        Series *s = from->series->pdata[i];
        g_autofree char *name = g_steal_pointer (&s->name);

        s->name = g_strdup_printf ("%s/%s", prefix, name);
        g_ptr_array_add (run->series, s);
    }
    g_ptr_array_set_size (from->series, 0);
}

const Series *
run_data_series (const RunData *run, const char *name)
{
    for (guint i = 0; i < run->series->len; i++)
        if (strcmp (((Series *)run->series->pdata[i])->name, name) == 0)
            return run->series->pdata[i];
    return NULL;
}

double
run_data_last (const RunData *run, const char *name)
{
    const Series *s = run_data_series (run, name);

    return s && s->points->len ? g_array_index (s->points, Point, s->points->len - 1).value : NAN;
}

gboolean
run_data_best (const RunData *run, const char *name, double *value, double *step)
{
    const Series *s = run_data_series (run, name);
    gboolean found = FALSE;

    for (guint i = 0; s && i < s->points->len; i++) {
        const Point *p = &g_array_index (s->points, Point, i);

        if (!isfinite (p->value) ||
            (found && (metric_higher_is_better (name) ? p->value <= *value : p->value >= *value)))
            continue;
        found = TRUE;
        *value = p->value;
        *step = p->step;
    }
    return found;
}
