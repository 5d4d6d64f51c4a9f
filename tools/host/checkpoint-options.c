/* SPDX-License-Identifier: MIT */
/* In what a run's model differs from the one whose parameters a checkpoint holds. */
#include <string.h>
#include <json-glib/json-glib.h>
#include "checkpoints.h"
#include "jsontext.h"
#include "report/metrics.h"

// The configuration in what goes into checkpoints; a file of others may hold anything.
static JsonNode *
config_of (GHashTable *origin)
{
    const char *text = g_hash_table_lookup (origin, "config");
    g_autoptr (JsonParser) parser = json_parser_new ();
    gsize at;

    if (!text || json_text_problem (text, strlen (text), &at) ||
        !json_parser_load_from_data (parser, text, -1, NULL))
        return NULL;
    return json_parser_steal_root (parser);
}

static JsonObject *
object_of (JsonNode *node)
{
    return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static void
add_setting (GString *out, const char *name, JsonNode *value)
{
    GType type = json_node_get_value_type (value);
    g_autofree char *text = type == G_TYPE_DOUBLE   ? shortest_number (json_node_get_double (value))
                            : type == G_TYPE_STRING ? json_node_dup_string (value)
                                                    : json_to_string (value, FALSE);

    g_string_append_printf (out, "%s%s=%s", out->len ? "," : "", name, text);
}

// Options that both have: one of them may be of another version.
static void
compare (JsonObject *mine, JsonObject *theirs, GString *here, GString *there)
{
    g_autoptr (GList) names = mine && theirs ? json_object_get_members (mine) : NULL;

    for (GList *l = names; l; l = l->next) {
        JsonNode *a = json_object_get_member (mine, l->data);
        JsonNode *b = json_object_get_member (theirs, l->data);

        // A place is nothing that parameters depend on.
        if (!b || json_node_equal (a, b) || strcmp (l->data, "dir") == 0)
            continue;
        add_setting (here, l->data, a);
        add_setting (there, l->data, b);
    }
}

static void
compare_members (JsonNode *mine, JsonNode *theirs, const char *kind, GString *here, GString *there)
{
    JsonObject *a = object_of (mine), *b = object_of (theirs);

    if (a && b)
        compare (object_of (json_object_get_member (a, kind)),
                 object_of (json_object_get_member (b, kind)), here, there);
}

static void
compare_dtypes (JsonNode *mine, JsonNode *theirs, GString *here, GString *there)
{
    JsonObject *a = object_of (mine), *b = object_of (theirs);
    JsonNode *x = a ? json_object_get_member (a, "dtype") : NULL;
    JsonNode *y = b ? json_object_get_member (b, "dtype") : NULL;

    if (x && y && !json_node_equal (x, y)) {
        add_setting (here, "dtype", x);
        add_setting (there, "dtype", y);
    }
}

char *
checkpoint_options_difference (GHashTable *origin, GHashTable *metadata)
{
    g_autoptr (JsonNode) mine = config_of (origin), theirs = config_of (metadata);
    g_autoptr (GString) here = g_string_new (NULL), there = g_string_new (NULL);

    compare_members (mine, theirs, "model", here, there);
    compare_dtypes (mine, theirs, here, there);
    // What a model is like depends on the data as well.
    if (!here->len)
        compare_members (mine, theirs, "dataset", here, there);
    return here->len ? g_strdup_printf ("its run had %s, this one has %s", there->str, here->str)
                     : NULL;
}
