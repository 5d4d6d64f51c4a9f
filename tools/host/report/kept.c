/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <json-glib/json-glib.h>
#include "../jsonout.h"
#include "../jsontext.h"
#include "group.h"
#include "kept.h"

#define MAX_BYTES (256 << 20)
#define SUFFIX ".json"

/* Writing. */

static void
format_curve (JsonOut *json, const DlhCurve *c, guint colour)
{
    json_out_object (json, NULL);
    json_out_string (json, "label", c->label);
    json_out_string (json, "style", c->style == DLH_CURVE_POINTS ? "points" : "line");
    json_out_count (json, "colour", colour);
    json_out_bool (json, "faint", c->faint);
    json_out_numbers (json, "x", c->x, c->n);
    json_out_numbers (json, "y", c->y, c->n);
    if (c->low) {
        json_out_numbers (json, "low", c->low, c->n);
        json_out_numbers (json, "high", c->high, c->n);
    }
    json_out_end_object (json);
}

char *
kept_figure_format (const DlhFigure *f)
{
    g_auto (JsonOut) json = {0};

    json_out_init (&json);
    json_out_string (&json, "kind", "curves");
    json_out_string (&json, "name", f->name);
    json_out_string (&json, "title", f->title);
    json_out_string (&json, "caption", f->caption);
    json_out_string (&json, "x_label", f->x_label);
    json_out_string (&json, "y_label", f->y_label);
    json_out_bool (&json, "log_x", f->log_x);
    json_out_bool (&json, "log_y", f->log_y);
    json_out_array (&json, "curves");
    for (guint i = 0; i < f->n_curves; i++)
        format_curve (&json, &f->curves[i], f->curves[i].colour ? f->curves[i].colour : i + 1);
    json_out_end_array (&json);
    return json_out_finish (&json);
}

/* Reading: anybody may have written the file. */

static const char *
text_of (JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member (object, name);

    return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
               ? json_node_get_string (node)
               : NULL;
}

static gboolean
flag_of (JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member (object, name);

    return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_boolean (node);
}

static JsonArray *
list_of (JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member (object, name);

    return node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

static double
number_at (JsonArray *list, guint i)
{
    JsonNode *node = json_array_get_element (list, i);
    GType type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;

    return type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double (node) : NAN;
}

static gboolean
is_rising (const GArray *dots)
{
    for (guint i = 1; i < dots->len; i++)
        if (!(g_array_index (dots, Dot, i).x >= g_array_index (dots, Dot, i - 1).x))
            return FALSE;
    return TRUE;
}

static gboolean
parse_curve (Figure *f, JsonNode *node, guint i)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
    JsonArray *x = object ? list_of (object, "x") : NULL, *y = x ? list_of (object, "y") : NULL;
    JsonArray *low = y ? list_of (object, "low") : NULL,
              *high = y ? list_of (object, "high") : NULL;
    guint n = y ? json_array_get_length (y) : 0;
    JsonNode *colour;
    Curve *c;

    if (!y || json_array_get_length (x) != n || !low != !high ||
        (low && (json_array_get_length (low) != n || json_array_get_length (high) != n)))
        return FALSE;
    colour = json_object_get_member (object, "colour");
    if (colour && JSON_NODE_HOLDS_VALUE (colour) && json_node_get_int (colour) > 0)
        i = (guint)((json_node_get_int (colour) - 1) % G_MAXINT);
    c = figure_add_curve (f, text_of (object, "label"), i);
    c->faint = flag_of (object, "faint");
    c->points = g_strcmp0 (text_of (object, "style"), "points") == 0;
    c->bars = c->points && low;
    c->band = !c->points && low;
    for (guint k = 0; k < n; k++) {
        Dot dot = {number_at (x, k), number_at (y, k), 0, 0};

        dot.low = low ? number_at (low, k) : dot.y;
        dot.high = high ? number_at (high, k) : dot.y;
        g_array_append_val (c->dots, dot);
    }
    // A trajectory has no columns to be thinned by.
    if (is_rising (c->dots) && !c->points)
        curve_thin (c, f->log_x);
    return TRUE;
}

static gboolean
parse_curves (Figure *f, JsonObject *root)
{
    JsonArray *curves = list_of (root, "curves");
    guint n = curves ? json_array_get_length (curves) : 0;

    for (guint i = 0; i < n; i++)
        if (!parse_curve (f, json_array_get_element (curves, i), i))
            return FALSE;
    return n > 0;
}

static Figure *
parse_root (JsonObject *root)
{
    const char *name = text_of (root, "name"), *title = text_of (root, "title");
    const char *x = text_of (root, "x_label"), *y = text_of (root, "y_label");
    Figure *f;

    if (!name || !title || !x || !y || g_strcmp0 (text_of (root, "kind"), "curves") != 0)
        return NULL;
    f = figure_new (name, title);
    f->caption = g_strdup (text_of (root, "caption"));
    f->x_label = g_strdup (x);
    f->y_label = g_strdup (y);
    f->log_x = flag_of (root, "log_x");
    f->log_y = flag_of (root, "log_y");
    if (!parse_curves (f, root)) {
        figure_free (f);
        return NULL;
    }
    f->alt = g_strdup_printf ("%s: %s by %s, %u %s", title, y, x, f->curves->len,
                              f->curves->len == 1 ? "curve" : "curves");
    return f;
}

Figure *
kept_figure_parse (const char *text, gsize n, GError **error)
{
    g_autoptr (JsonParser) parser = json_parser_new ();
    gsize at = 0;
    const char *problem = json_text_problem (text, n, &at);
    JsonNode *root = NULL;
    Figure *f = NULL;

    if (!problem && n <= MAX_BYTES && json_parser_load_from_data (parser, text, (gssize)n, NULL))
        root = json_parser_get_root (parser);
    if (root && JSON_NODE_HOLDS_OBJECT (root))
        f = parse_root (json_node_get_object (root));
    if (!f)
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "not a figure: wanted are kind, name, title, x_label, y_label and curves of x "
                     "and y");
    return f;
}

/* On a report. */

static int
by_name (gconstpointer a, gconstpointer b)
{
    return strcmp (*(char *const *)a, *(char *const *)b);
}

// (element-type utf8) (transfer full): paths of the run's figures, sorted.
static GPtrArray *
figure_paths (const char *run)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
    g_autofree char *dir = g_build_filename (run, "figures", NULL);
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries)))
        if (g_str_has_suffix (entry, SUFFIX) && *entry != '.' && g_utf8_validate (entry, -1, NULL))
            g_ptr_array_add (paths, g_build_filename (dir, entry, NULL));
    g_ptr_array_sort (paths, by_name);
    return paths;
}

// A damaged file has a figure, too: what is missing is seen.
static Figure *
damaged (const char *path, const GError *cause)
{
    g_autofree char *base = g_path_get_basename (path);
    Figure *f = figure_new (base, base);

    f->caption = g_strdup_printf ("%s: %s", base, cause->message);
    f->alt = g_strdup (f->caption);
    f->x_label = g_strdup ("");
    f->y_label = g_strdup ("");
    return f;
}

static Figure *
read_figure (const char *path)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_BYTES, &error);
    gsize n = 0;
    const char *text = bytes ? g_bytes_get_data (bytes, &n) : NULL;
    Figure *f = bytes ? kept_figure_parse (text ? text : "", n, &error) : NULL;

    return f ? f : damaged (path, error);
}

GPtrArray *
kept_figures (GPtrArray *groups)
{
    GPtrArray *figures = g_ptr_array_new_with_free_func ((GDestroyNotify)figure_free);

    for (guint i = 0; i < groups->len; i++) {
        const Group *g = groups->pdata[i];
        g_autoptr (GPtrArray) paths = figure_paths (((RunData *)g->runs->pdata[0])->dir);

        for (guint r = 1; r < g->runs->len && !paths->len; r++) {
            g_ptr_array_unref (paths);
            paths = figure_paths (((RunData *)g->runs->pdata[r])->dir);
        }
        for (guint k = 0; k < paths->len; k++) {
            Figure *f = read_figure (paths->pdata[k]);

            if (groups->len > 1) {
                char *title = g_strdup_printf ("%s (%s)", f->title, g->label);

                g_free (f->title);
                f->title = title;
            }
            g_ptr_array_add (figures, f);
        }
    }
    return figures;
}
