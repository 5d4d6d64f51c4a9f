/* SPDX-License-Identifier: MIT */
/* Writing JSON. json-glib 1.6 writes 1e-08 as "1e-08.0", which no parser takes, and needs GObject's
 * types to be set up; the outputs of commands need neither. */
#pragma once

#include <glib.h>

typedef struct {
    GString *text;
    guint depth;
    gboolean filled; /* the innermost object or array has a member */
} JsonOut;

/* Begins with the outermost object. */
void json_out_init (JsonOut *json);
void json_out_clear (JsonOut *json);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (JsonOut, json_out_clear)
/* (transfer full): closes the outermost object. */
char *json_out_finish (JsonOut *json);

/* @name: NULL within an array. */
void json_out_object (JsonOut *json, const char *name);
void json_out_end_object (JsonOut *json);
void json_out_array (JsonOut *json, const char *name);
void json_out_end_array (JsonOut *json);
/* (nullable): NULL is null. What is not UTF-8 is replaced. */
void json_out_string (JsonOut *json, const char *name, const char *value);
void json_out_bool (JsonOut *json, const char *name, gboolean value);
void json_out_count (JsonOut *json, const char *name, gint64 value);
/* JSON has no NaN and no infinity: they are null. */
void json_out_number (JsonOut *json, const char *name, double value);
/* A list on one line. */
void json_out_numbers (JsonOut *json, const char *name, const double *values, gsize n);
