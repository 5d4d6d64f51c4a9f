/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <dlhost/dlhost.h>
#include "../report/metrics.h"
#include "members.h"

#define MAX_NAME 60 /* characters of a folder's name */

static const char *
separator (const Members *m)
{
    return *m->where ? ": " : "";
}

gboolean
members_open (Members *m, const char *path, char *where, JsonNode *node, GError **error)
{
    m->path = path;
    m->where = where;
    m->taken = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    if (node && JSON_NODE_HOLDS_OBJECT (node)) {
        m->object = json_node_get_object (node);
        return TRUE;
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: '%s' must be an object", path, where);
    return FALSE;
}

void
members_clear (Members *m)
{
    g_free (m->where);
    g_clear_pointer (&m->taken, g_hash_table_unref);
}

gboolean
members_end (const Members *m, GError **error)
{
    g_autoptr (GPtrArray) known = g_ptr_array_new ();
    JsonObjectIter iter;
    GHashTableIter taken;
    const char *key, *near;
    gpointer name;
    JsonNode *value;

    json_object_iter_init (&iter, m->object);
    while (json_object_iter_next (&iter, &key, &value)) {
        if (g_hash_table_contains (m->taken, key))
            continue;
        g_hash_table_iter_init (&taken, m->taken);
        while (g_hash_table_iter_next (&taken, &name, NULL))
            g_ptr_array_add (known, name);
        near = dlh_nearest_name (key, (const char *const *)known->pdata, known->len);
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: %s%sunknown member '%s'%s%s%s",
                     m->path, m->where, separator (m), key, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
        return FALSE;
    }
    return TRUE;
}

char *
members_place (const Members *m, const char *name)
{
    return g_strdup_printf ("%s%s%s", m->where, *m->where ? "." : "", name);
}

gboolean
members_refuse (const Members *m, const char *name, const char *wanted, GError **error)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: %s%s'%s' must be %s", m->path, m->where,
                 separator (m), name, wanted);
    return FALSE;
}

JsonNode *
members_take (Members *m, const char *name)
{
    g_hash_table_add (m->taken, g_strdup (name));
    return json_object_get_member (m->object, name);
}

gboolean
members_text (Members *m, const char *name, gboolean needed, char **out, GError **error)
{
    JsonNode *node = members_take (m, name);

    if (!node && !needed)
        return TRUE;
    if (!node || !JSON_NODE_HOLDS_VALUE (node) ||
        json_node_get_value_type (node) != G_TYPE_STRING || !*json_node_get_string (node))
        return members_refuse (m, name, "a text", error);
    g_free (*out);
    *out = json_node_dup_string (node);
    return TRUE;
}

gboolean
members_count (Members *m, const char *name, gint64 min, gint64 max, gint64 *out, GError **error)
{
    JsonNode *node = members_take (m, name);
    g_autofree char *wanted = NULL;

    if (!node)
        return TRUE;
    if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64 &&
        json_node_get_int (node) >= min && json_node_get_int (node) <= max) {
        *out = json_node_get_int (node);
        return TRUE;
    }
    wanted =
        g_strdup_printf ("a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, min, max);
    return members_refuse (m, name, wanted, error);
}

gboolean
members_choice (Members *m, const char *name, const char *const *choices, int first, int *out,
                GError **error)
{
    JsonNode *node = members_take (m, name);
    const char *text = node && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_string (node) : NULL;
    g_autofree char *all = g_strjoinv (", ", (char **)choices);
    g_autofree char *wanted = g_strdup_printf ("one of %s", all);

    for (int i = 0; choices[i]; i++)
        if (!node || g_strcmp0 (text, choices[i]) == 0) {
            *out = node ? first + i : *out;
            return TRUE;
        }
    return members_refuse (m, name, wanted, error);
}

gboolean
members_name (Members *m, char **out, GError **error)
{
    gsize n;

    if (!members_text (m, "name", TRUE, out, error))
        return FALSE;
    n = strspn (*out, "abcdefghijklmnopqrstuvwxyz0123456789-_");
    if ((*out)[n] == '\0' && n <= MAX_NAME)
        return TRUE;
    return members_refuse (m, "name",
                           "made of at most 60 of a-z, 0-9, - and _, as it names a folder", error);
}

char *
value_text (JsonNode *node)
{
    if (JSON_NODE_HOLDS_ARRAY (node)) {
        JsonArray *array = json_node_get_array (node);
        GString *s = g_string_new ("[");

        for (guint i = 0; i < json_array_get_length (array); i++) {
            g_autofree char *item = value_text (json_array_get_element (array, i));

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
        return shortest_number (json_node_get_double (node));
    default:
        return json_node_dup_string (node);
    }
}
