/* SPDX-License-Identifier: MIT */
/* Members of a JSON object, each checked as it is taken; messages say where. */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    const char *path; /* of the file */
    char *where;      /* "experiments[0].arms[1]"; "" at the top */
    JsonObject *object;
    GHashTable *taken; /* names */
} Members;

/* @node: FALSE with @error when it is no object. */
gboolean members_open (Members *m, const char *path, char *where, JsonNode *node, GError **error);
void members_clear (Members *m);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Members, members_clear)
/* FALSE when there is a member that nobody took. */
gboolean members_end (const Members *m, GError **error);
/* (transfer full): "experiments[0].arms" */
char *members_place (const Members *m, const char *name);
/* Sets "FILE: experiments[0].arms[1]: 'name' must be WANTED". Returns FALSE. */
gboolean members_refuse (const Members *m, const char *name, const char *wanted, GError **error);

/* (nullable): NULL where there is none. */
JsonNode *members_take (Members *m, const char *name);
/* @out: unchanged where there is none, which is an error when @needed. */
gboolean members_text (Members *m, const char *name, gboolean needed, char **out, GError **error);
gboolean members_count (Members *m, const char *name, gint64 min, gint64 max, gint64 *out,
                        GError **error);
/* The index in @choices (ends with NULL), plus @first. */
gboolean members_choice (Members *m, const char *name, const char *const *choices, int first,
                         int *out, GError **error);
/* A name that can be a folder's. */
gboolean members_name (Members *m, char **out, GError **error);
/* (transfer full) (nullable): a value as it would be typed: 0.1, true, [1,2]; NULL: it is no such.
 */
char *value_text (JsonNode *node);
