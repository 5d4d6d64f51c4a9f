/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "jsonout.h"

void
json_out_init (JsonOut *json)
{
    *json = (JsonOut){g_string_new ("{"), 1, FALSE};
}

void
json_out_clear (JsonOut *json)
{
    if (json->text)
        g_string_free (json->text, TRUE);
    json->text = NULL;
}

static void
append_quoted (GString *out, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid (text, -1);

    g_string_append_c (out, '"');
    for (const char *p = valid; *p; p++)
        if (*p == '"' || *p == '\\')
            g_string_append_printf (out, "\\%c", *p);
        else if ((guchar)*p < 32 || *p == 127)
            g_string_append_printf (out, "\\u%04x", (guint)(guchar)*p);
        else
            g_string_append_c (out, *p);
    g_string_append_c (out, '"');
}

static void
begin_member (JsonOut *json, const char *name)
{
    g_string_append_printf (json->text, "%s\n%*s", json->filled ? "," : "", (int)(2 * json->depth),
                            "");
    json->filled = TRUE;
    if (!name)
        return;
    append_quoted (json->text, name);
    g_string_append (json->text, ": ");
}

static void
begin (JsonOut *json, const char *name, char bracket)
{
    begin_member (json, name);
    g_string_append_c (json->text, bracket);
    json->depth++;
    json->filled = FALSE;
}

static void
end (JsonOut *json, char bracket)
{
    json->depth--;
    if (json->filled)
        g_string_append_printf (json->text, "\n%*s", (int)(2 * json->depth), "");
    g_string_append_c (json->text, bracket);
    json->filled = TRUE;
}

char *
json_out_finish (JsonOut *json)
{
    GString *text = json->text;

    end (json, '}');
    json->text = NULL;
    return g_string_free (g_string_append_c (text, '\n'), FALSE);
}

void
json_out_object (JsonOut *json, const char *name)
{
    begin (json, name, '{');
}

void
json_out_end_object (JsonOut *json)
{
    end (json, '}');
}

void
json_out_array (JsonOut *json, const char *name)
{
    begin (json, name, '[');
}

void
json_out_end_array (JsonOut *json)
{
    end (json, ']');
}

void
json_out_string (JsonOut *json, const char *name, const char *value)
{
    begin_member (json, name);
    if (value)
        append_quoted (json->text, value);
    else
        g_string_append (json->text, "null");
}

void
json_out_bool (JsonOut *json, const char *name, gboolean value)
{
    begin_member (json, name);
    g_string_append (json->text, value ? "true" : "false");
}

void
json_out_count (JsonOut *json, const char *name, gint64 value)
{
    begin_member (json, name);
    g_string_append_printf (json->text, "%" G_GINT64_FORMAT, value);
}

static void
append_value (GString *out, double value)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    if (!isfinite (value)) {
        g_string_append (out, "null");
        return;
    }
    // The shorter text, where it says the same number.
    g_ascii_formatd (number, sizeof number, "%.15g", value);
    if (g_ascii_strtod (number, NULL) != value)
        g_ascii_dtostr (number, sizeof number, value);
    g_string_append (out, number);
}

void
json_out_number (JsonOut *json, const char *name, double value)
{
    begin_member (json, name);
    append_value (json->text, value);
}

void
json_out_numbers (JsonOut *json, const char *name, const double *values, gsize n)
{
    begin_member (json, name);
    g_string_append_c (json->text, '[');
    for (gsize i = 0; i < n; i++) {
        g_string_append (json->text, i ? ", " : "");
        append_value (json->text, values[i]);
    }
    g_string_append_c (json->text, ']');
}
