/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <json-glib/json-glib.h>
#include "config.h"
#include "jsonfile.h"

static const char *const common[] = {"seed", "threads", "dtype", "out", "checkpoint"};

void
config_init (Config *config)
{
    memset (config, 0, sizeof *config);
    for (guint i = 0; i < G_N_ELEMENTS (config->parts); i++)
        config->parts[i].settings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    config->dtype = DLH_F32;
}

void
config_clear (Config *config)
{
    for (guint i = 0; i < G_N_ELEMENTS (config->parts); i++) {
        g_free (config->parts[i].name);
        g_clear_pointer (&config->parts[i].settings, g_hash_table_unref);
    }
    g_free (config->out);
    g_free (config->checkpoint);
    g_free (config->named_by);
    g_free (config->plugin_path);
}

// The end of the item at @p: the next comma outside brackets.
static const char *
item_end (const char *p)
{
    int depth = 0;

    for (; *p && (depth || *p != ','); p++)
        depth += *p == '[' ? 1 : *p == ']' && depth ? -1 : 0;
    return p;
}

gboolean
config_set_part (Config *config, DlhPluginKind kind, const char *text, GError **error)
{
    Part *part = &config->parts[kind];
    const char *end = item_end (text);
    g_autofree char *name = g_strndup (text, (gsize)(end - text));

    if (!*name || strchr (name, '=')) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--%s: '%s' must begin with the plugin's name, as in --%s=NAME,option=value",
                     dlh_plugin_kind_name (kind), text, dlh_plugin_kind_name (kind));
        return FALSE;
    }
    while (*end) {
        const char *start = end + 1;
        g_autofree char *item = NULL;
        char *equals;

        end = item_end (start);
        item = g_strndup (start, (gsize)(end - start));
        if (!(equals = strchr (item, '=')) || equals == item) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "--%s: '%s' is not of the form option=value", dlh_plugin_kind_name (kind),
                         item);
            return FALSE;
        }
        *equals = '\0';
        if (!g_hash_table_insert (part->settings, g_strdup (item), g_strdup (equals + 1))) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s: '%s' is given twice",
                         dlh_plugin_kind_name (kind), item);
            return FALSE;
        }
    }
    g_free (part->name);
    part->name = g_steal_pointer (&name);
    return TRUE;
}

gboolean
config_is_common (const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS (common); i++)
        if (strcmp (name, common[i]) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
parse_count (const char *name, const char *value, guint64 max, guint64 *out, GError **error)
{
    g_autoptr (GError) cause = NULL;

    if (g_ascii_string_to_unsigned (value, 10, 0, max, out, &cause))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "--%s: '%s' must be a whole number from 0 to %" G_GUINT64_FORMAT, name, value,
                 max);
    return FALSE;
}

gboolean
config_set (Config *config, const char *name, const char *value, GError **error)
{
    guint64 n;

    if (strcmp (name, "seed") == 0)
        return parse_count (name, value, G_MAXUINT64, &config->seed, error);
    if (strcmp (name, "threads") == 0) {
        if (!parse_count (name, value, 1024, &n, error))
            return FALSE;
        config->threads = (gint64)n;
        return TRUE;
    }
    if (strcmp (name, "dtype") == 0) {
        config->dtype = dlh_dtype_from_name (value);
        if (config->dtype && dlh_dtype_is_float (config->dtype))
            return TRUE;
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--dtype: '%s' must be f32 or f64", value);
        return FALSE;
    }
    if (!*value) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s: the value is empty", name);
        return FALSE;
    }
    if (strcmp (name, "out") == 0) {
        g_free (config->out);
        config->out = g_strdup (value);
        return TRUE;
    }
    g_return_val_if_fail (strcmp (name, "checkpoint") == 0, FALSE);
    g_free (config->checkpoint);
    config->checkpoint = g_strdup (value);
    return TRUE;
}

/* JSON. */

// The text that the command line would have for a JSON value; NULL for objects and null.
static char *
json_text (JsonNode *node)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    if (JSON_NODE_HOLDS_ARRAY (node)) {
        JsonArray *array = json_node_get_array (node);
        GString *s = g_string_new ("[");

        for (guint i = 0; i < json_array_get_length (array); i++) {
            g_autofree char *item = json_text (json_array_get_element (array, i));

            g_string_append_printf (s, "%s%s", i ? "," : "", item ? item : "");
        }
        return g_string_free (g_string_append_c (s, ']'), FALSE);
    }
    if (!JSON_NODE_HOLDS_VALUE (node))
        return NULL;
    switch (json_node_get_value_type (node)) {
    case G_TYPE_BOOLEAN:
        return g_strdup (json_node_get_boolean (node) ? "true" : "false");
    case G_TYPE_INT64:
        return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
    case G_TYPE_DOUBLE:
        return g_strdup (g_ascii_dtostr (number, sizeof number, json_node_get_double (node)));
    default:
        return g_strdup (json_node_get_string (node));
    }
}

static gboolean
read_part (Config *config, DlhPluginKind kind, JsonNode *node, const char *path, GError **error)
{
    Part *part = &config->parts[kind];
    JsonObject *object;
    JsonObjectIter iter;
    const char *key;
    JsonNode *value;

    if (!JSON_NODE_HOLDS_OBJECT (node) ||
        !json_object_has_member (json_node_get_object (node), "plugin")) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s: '%s' must be an object with the member \"plugin\"", path,
                     dlh_plugin_kind_name (kind));
        return FALSE;
    }
    object = json_node_get_object (node);
    json_object_iter_init (&iter, object);
    while (json_object_iter_next (&iter, &key, &value)) {
        char *text = json_text (value);

        if (!text) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "%s: '%s.%s' must be a number, string, boolean or list", path,
                         dlh_plugin_kind_name (kind), key);
            return FALSE;
        }
        if (strcmp (key, "plugin") == 0) {
            g_free (part->name);
            part->name = text;
        } else
            g_hash_table_insert (part->settings, g_strdup (key), text);
    }
    return TRUE;
}

// (transfer full): without links and dots, as far as it is there.
static char *
real_path (const char *path)
{
    char *real = realpath (path, NULL);
    g_autofree char *whole = g_canonicalize_filename (path, NULL);
    g_autofree char *parent = g_path_get_dirname (whole), *name = g_path_get_basename (whole);
    g_autofree char *real_parent = NULL;

    if (real || strcmp (parent, whole) == 0)
        return real ? real : g_steal_pointer (&whole);
    real_parent = real_path (parent);
    return g_build_filename (real_parent, name, NULL);
}

// A file says where the checkpoint is as seen from its own folder.
static void
place_checkpoint (Config *config, const char *path)
{
    g_autofree char *folder = g_path_get_dirname (path), *real = real_path (folder);
    g_autofree char *named = g_steal_pointer (&config->checkpoint);

    config->checkpoint = g_canonicalize_filename (named, real);
    g_free (config->named_by);
    config->named_by = g_strdup (path);
}

// Of a member that names a file or folder: a number or a list is no name.
static gboolean
check_name (JsonNode *value, const char *key, const char *path, GError **error)
{
    const gboolean text =
        JSON_NODE_HOLDS_VALUE (value) && json_node_get_value_type (value) == G_TYPE_STRING;

    if (text && *json_node_get_string (value))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: '%s' must be a string%s", path, key,
                 text ? " that is not empty" : "");
    return FALSE;
}

static gboolean
read_member (Config *config, const char *key, JsonNode *value, const char *path, GError **error)
{
    DlhPluginKind kind = dlh_plugin_kind_from_name (key);
    g_autofree char *text = NULL;
    const char *near;

    if (kind)
        return read_part (config, kind, value, path, error);
    if (!config_is_common (key)) {
        near = dlh_nearest_name (key, common, G_N_ELEMENTS (common));
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: unknown member '%s'%s%s%s", path, key,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return FALSE;
    }
    if ((strcmp (key, "checkpoint") == 0 || strcmp (key, "out") == 0) &&
        !check_name (value, key, path, error))
        return FALSE;
    if (!(text = json_text (value))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: '%s' has no value", path, key);
        return FALSE;
    }
    if (!config_set (config, key, text, error)) {
        g_prefix_error (error, "%s: ", path);
        return FALSE;
    }
    if (strcmp (key, "checkpoint") == 0)
        place_checkpoint (config, path);
    return TRUE;
}

gboolean
config_read (Config *config, const char *path, GError **error)
{
    g_autoptr (JsonNode) root = json_file_read (path, "configuration", error);
    JsonObjectIter iter;
    JsonNode *value;
    const char *key;

    if (!root)
        return FALSE;
    json_object_iter_init (&iter, json_node_get_object (root));
    while (json_object_iter_next (&iter, &key, &value))
        if (!read_member (config, key, value, path, error))
            return FALSE;
    return TRUE;
}

/* Writing. json-glib 1.6 writes 1e-08 as "1e-08.0", which no parser takes: numbers are written
 * here, as they would be typed. */

static void
append_string (GString *out, const char *text)
{
    g_autoptr (JsonNode) node = json_node_init_string (json_node_alloc (), text);
    g_autofree char *quoted = json_to_string (node, FALSE);

    g_string_append (out, quoted);
}

static void
append_option (GString *out, const DlhOption *option, const char *text)
{
    g_string_append_printf (out, ",\n    \"%s\": ", option->name);
    // The text of numbers, lists and truth values is JSON already, but for those that JSON lacks.
    if (option->type == DLH_OPTION_STRING || option->type == DLH_OPTION_CHOICE ||
        strpbrk (text, "IiNn") == text || strstr (text, "inf"))
        append_string (out, text);
    else
        g_string_append (out, text);
}

static void
append_component (GString *out, DlhComponent *component, const char *name)
{
    const DlhManifest *m = dlh_component_manifest (component);
    const DlhOption *options = dlh_component_option_table (component);

    g_string_append_printf (out, "  \"%s\": {\n    \"plugin\": ", dlh_plugin_kind_name (m->kind));
    append_string (out, name);
    for (guint i = 0; i < m->n_options; i++) {
        g_autofree char *text = dlh_component_option_text (component, i);

        append_option (out, &options[i], text);
    }
    g_string_append (out, "\n  },\n");
}

// (transfer full): @path as seen from @folder, links followed.
static char *
seen_from (const char *folder, const char *path)
{
    g_autofree char *from = real_path (folder), *to = real_path (path);
    g_auto (GStrv) a = g_strsplit (from, "/", -1), b = g_strsplit (to, "/", -1);
    g_autoptr (GString) out = g_string_new (NULL);
    guint same = 0;

    while (a[same] && b[same] && strcmp (a[same], b[same]) == 0)
        same++;
    for (guint i = same; a[i]; i++)
        g_string_append (out, *a[i] ? "../" : "");
    for (guint i = same; b[i]; i++)
        g_string_append_printf (out, "%s%s", i > same ? "/" : "", b[i]);
    return g_utf8_make_valid (out->len ? out->str : ".", -1);
}

char *
config_to_json (const Config *config, DlhComponent *const *components, const char *folder)
{
    GString *out = g_string_new ("{\n");

    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
        if (components[kind])
            append_component (out, components[kind], config->parts[kind].name);
    if (folder && config->checkpoint) {
        g_autofree char *path = seen_from (folder, config->checkpoint);

        g_string_append (out, "  \"checkpoint\": ");
        append_string (out, path);
        g_string_append (out, ",\n");
    }
    // A seed above 2^63 does not fit the integers of JSON parsers: as text.
    g_string_append_printf (out,
                            config->seed > G_MAXINT64 ? "  \"seed\": \"%" G_GUINT64_FORMAT "\",\n"
                                                      : "  \"seed\": %" G_GUINT64_FORMAT ",\n",
                            config->seed);
    g_string_append_printf (out, "  \"threads\": %" G_GINT64_FORMAT ",\n  \"dtype\": \"%s\"\n}\n",
                            config->threads, dlh_dtype_name (config->dtype));
    return g_string_free (out, FALSE);
}
