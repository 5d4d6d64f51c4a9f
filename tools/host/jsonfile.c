/* SPDX-License-Identifier: MIT */
#include <dlhost/dlhost.h>
#include "jsonfile.h"
#include "jsontext.h"

#define MAX_BYTES (1 << 20)

/* Of a member that is there twice json-glib keeps the last and says nothing. */
typedef struct {
    GHashTable *seen; /* "OBJECT NAME" */
    char *twice;
} Members;

static void
members_clear (Members *members)
{
    g_hash_table_unref (members->seen);
    g_free (members->twice);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Members, members_clear)

static void
on_member (JsonParser *parser, JsonObject *object, const char *name, gpointer data)
{
    Members *members = data;

    (void)parser;
    if (!g_hash_table_add (members->seen, g_strdup_printf ("%p %s", (gpointer)object, name)) &&
        !members->twice)
        members->twice = g_strdup (name);
}

JsonNode *
json_file_read (const char *path, const char *what, GError **error)
{
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_BYTES, error);
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_auto (Members)
        members = {.seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL)};
    g_autoptr (GError) cause = NULL;
    const char *text, *problem;
    JsonNode *root;
    gsize n, at = 0;

    if (!bytes)
        return NULL;
    text = g_bytes_get_data (bytes, &n);
    problem = json_text_problem (text, n, &at);
    if (problem) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: not a JSON %s: byte %zu: %s", path,
                     what, at, problem);
        return NULL;
    }
    g_signal_connect (parser, "object-member", G_CALLBACK (on_member), &members);
    if (!n || !json_parser_load_from_data (parser, text, (gssize)n, &cause) ||
        !(root = json_parser_get_root (parser)) || !JSON_NODE_HOLDS_OBJECT (root)) {
        // json-glib quotes the byte that it stumbles over, which may be half a letter.
        g_autofree char *why =
            g_utf8_make_valid (cause ? cause->message : "it must be one object", -1);

        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: not a JSON %s: %s", path, what, why);
        return NULL;
    }
    if (members.twice) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: '%s' is there twice", path,
                     members.twice);
        return NULL;
    }
    return json_node_copy (root);
}
