/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>

/* The columns of the table of parameters; the last is not padded. */
enum { NAME, TYPE, PRESET, RANGE, UNIT, DOC, N_COLUMNS };

static const char *
type_name (const DlhOption *option)
{
    static const char *const names[] = {
        [DLH_OPTION_BOOL] = "bool",     [DLH_OPTION_INT] = "integer",
        [DLH_OPTION_DOUBLE] = "number", [DLH_OPTION_STRING] = "text",
        [DLH_OPTION_CHOICE] = "choice", [DLH_OPTION_DOUBLES] = "numbers",
        [DLH_OPTION_INTS] = "integers",
    };

    return names[option->type];
}

/* The default as it would be typed: lists in brackets, and an empty text visible. */
static char *
preset_text (const DlhOption *option)
{
    gboolean list = option->type == DLH_OPTION_DOUBLES || option->type == DLH_OPTION_INTS;

    if (option->type == DLH_OPTION_STRING && !*option->preset)
        return g_strdup ("''");
    if (list && option->preset[0] != '[')
        return g_strdup_printf ("[%s]", option->preset);
    return g_strdup (option->preset);
}

static void
append_padded (GString *out, const char *text, gsize width)
{
    gsize n = (gsize)g_utf8_strlen (text, -1);

    g_string_append (out, text);
    for (; n < width; n++)
        g_string_append_c (out, ' ');
}

/* Removes the spaces that an empty last cell leaves. */
static void
end_line (GString *out)
{
    while (out->len && out->str[out->len - 1] == ' ')
        g_string_truncate (out, out->len - 1);
    g_string_append_c (out, '\n');
}

static void
append_table (GString *out, char *(*rows)[N_COLUMNS], guint n_rows)
{
    gsize widths[N_COLUMNS] = {0};

    for (guint r = 0; r < n_rows; r++)
        for (guint c = 0; c < N_COLUMNS; c++)
            widths[c] = MAX (widths[c], (gsize)g_utf8_strlen (rows[r][c], -1));
    for (guint r = 0; r < n_rows; r++) {
        g_string_append (out, "  ");
        for (guint c = 0; c < N_COLUMNS; c++)
            // A column that is empty throughout takes no room: its heading was left out as well.
            if (widths[c])
                append_padded (out, rows[r][c], widths[c] + 2);
        end_line (out);
    }
}

static void
append_parameters (GString *out, const DlhPluginInfo *info)
{
    static const char *const heading[] = {"name", "type", "default", "range", "unit", "meaning"};
    guint n = info->manifest->n_options + 1;
    g_autofree gpointer memory = g_new0 (char *, n * N_COLUMNS);
    char *(*rows)[N_COLUMNS] = memory;
    gboolean units = FALSE;

    for (guint i = 1; i < n; i++) {
        const DlhOption *option = &info->options[i - 1];
        char *range = dlh_option_range (option);

        rows[i][NAME] = g_strdup (option->name);
        rows[i][TYPE] = g_strdup (type_name (option));
        rows[i][PRESET] = preset_text (option);
        rows[i][RANGE] = range ? range : g_strdup ("");
        rows[i][UNIT] = g_strdup (option->unit);
        rows[i][DOC] = g_strdup (option->doc);
        units |= option->unit[0] != '\0';
    }
    for (guint c = 0; c < N_COLUMNS; c++)
        rows[0][c] = g_strdup (c == UNIT && !units ? "" : heading[c]);
    append_table (out, rows, n);
    for (guint i = 0; i < n; i++)
        for (guint c = 0; c < N_COLUMNS; c++)
            g_free (rows[i][c]);
}

static char *
inspect_plain (const DlhPluginInfo *info)
{
    const DlhManifest *m = info->manifest;
    g_autofree char *file = g_filename_display_name (info->path);
    GString *out = g_string_new (NULL);

    g_string_append_printf (out, "%s %s, %s\n", m->name, m->version,
                            dlh_plugin_kind_name (m->kind));
    if (*m->summary)
        g_string_append_printf (out, "  %s\n", m->summary);
    g_string_append_printf (out, "\n  file       %s\n", file);
    if (*m->licence)
        g_string_append_printf (out, "  licence    %s\n", m->licence);
    if (*m->paper)
        g_string_append_printf (out, "  paper      %s\n", m->paper);
    g_string_append_printf (out, "  interface  %u.%u\n", m->abi_major, m->abi_minor);
    if (m->n_options == 0) {
        g_string_append (out, "\nno parameters\n");
        return g_string_free (out, FALSE);
    }
    g_string_append (out, "\nparameters\n");
    append_parameters (out, info);
    g_string_append_printf (out,
                            "\nset them as --%s=%s,%s=VALUE; an end of a range is included at [ "
                            "and ], excluded at ( and )\n",
                            dlh_plugin_kind_name (m->kind), m->name, info->options[0].name);
    return g_string_free (out, FALSE);
}

static void
add_string (JsonBuilder *json, const char *name, const char *value)
{
    json_builder_set_member_name (json, name);
    json_builder_add_string_value (json, value);
}

/* JSON has no infinity: an absent end is null. */
static void
add_end (JsonBuilder *json, const char *name, double end)
{
    json_builder_set_member_name (json, name);
    // The widest integer stands for no limit.
    if (isfinite (end) && fabs (end) < (double)G_MAXINT64)
        json_builder_add_double_value (json, end);
    else
        json_builder_add_null_value (json);
}

static void
add_flag (JsonBuilder *json, const char *name, gboolean value)
{
    json_builder_set_member_name (json, name);
    json_builder_add_boolean_value (json, value);
}

static void
add_choices (JsonBuilder *json, const DlhOption *option)
{
    g_auto (GStrv) choices = g_strsplit (option->choices, "|", -1);

    json_builder_set_member_name (json, "choices");
    json_builder_begin_array (json);
    for (guint i = 0; choices[i]; i++)
        json_builder_add_string_value (json, choices[i]);
    json_builder_end_array (json);
}

static void
add_parameter (JsonBuilder *json, const DlhOption *option)
{
    g_autofree char *range = dlh_option_range (option);

    json_builder_begin_object (json);
    add_string (json, "name", option->name);
    add_string (json, "type", type_name (option));
    add_string (json, "default", option->preset);
    if (option->type == DLH_OPTION_CHOICE) {
        add_choices (json, option);
    } else if (range) {
        add_end (json, "min", option->min);
        add_end (json, "max", option->max);
        add_flag (json, "min_open", (option->flags & DLH_MIN_OPEN) != 0);
        add_flag (json, "max_open", (option->flags & DLH_MAX_OPEN) != 0);
    }
    if (*option->unit)
        add_string (json, "unit", option->unit);
    add_string (json, "doc", option->doc);
    json_builder_end_object (json);
}

static char *
inspect_json (const DlhPluginInfo *info)
{
    g_autoptr (JsonBuilder) json = json_builder_new ();
    g_autoptr (JsonNode) root = NULL;
    g_autofree char *file = g_filename_display_name (info->path), *text = NULL;
    g_autofree char *interface =
        g_strdup_printf ("%u.%u", info->manifest->abi_major, info->manifest->abi_minor);

    json_builder_begin_object (json);
    add_string (json, "name", info->manifest->name);
    add_string (json, "kind", dlh_plugin_kind_name (info->manifest->kind));
    add_string (json, "version", info->manifest->version);
    add_string (json, "licence", info->manifest->licence);
    add_string (json, "paper", info->manifest->paper);
    add_string (json, "summary", info->manifest->summary);
    add_string (json, "file", file);
    add_string (json, "interface", interface);
    json_builder_set_member_name (json, "parameters");
    json_builder_begin_array (json);
    for (guint i = 0; i < info->manifest->n_options; i++)
        add_parameter (json, &info->options[i]);
    json_builder_end_array (json);
    json_builder_end_object (json);
    root = json_builder_get_root (json);
    text = json_to_string (root, TRUE);
    return g_strconcat (text, "\n", NULL);
}

char *
inspect_plugin_text (DlhRegistry *registry, const char *name, gboolean json, GError **error)
{
    const DlhPluginInfo *info = dlh_registry_find (registry, 0, name, error);

    if (!info)
        return NULL;
    return json ? inspect_json (info) : inspect_plain (info);
}

char *
inspect_list_text (DlhRegistry *registry, DlhPluginKind kind)
{
    g_autoptr (GPtrArray) list = dlh_registry_list (registry, kind);
    GString *out = g_string_new (NULL);
    gsize width = 0;
    guint last = 0;

    for (guint i = 0; i < list->len; i++)
        width = MAX (width, strlen (((DlhPluginInfo *)list->pdata[i])->manifest->name));
    for (guint i = 0; i < list->len; i++) {
        const DlhManifest *m = ((DlhPluginInfo *)list->pdata[i])->manifest;

        if (m->kind != last)
            g_string_append_printf (out, "%s%s\n", i ? "\n" : "", dlh_plugin_kind_name (m->kind));
        last = m->kind;
        g_string_append (out, "  ");
        append_padded (out, m->name, width + 2);
        g_string_append (out, m->summary);
        end_line (out);
    }
    if (list->len == 0)
        g_string_append_printf (out, "no %s found\n",
                                kind ? dlh_plugin_kind_name (kind) : "plugin");
    return g_string_free (out, FALSE);
}

char *
inspect_rejects_text (DlhRegistry *registry)
{
    GPtrArray *rejects = dlh_registry_rejects (registry);
    GString *out = g_string_new (NULL);

    for (guint i = 0; i < rejects->len; i++) {
        const DlhPluginReject *reject = rejects->pdata[i];
        g_autofree char *file = g_filename_display_name (reject->path);
        g_autofree char *shown = g_strescape (file, NULL);

        g_string_append_printf (out, "refused: %s %s\n", shown, reject->error->message);
    }
    return g_string_free (out, FALSE);
}

void
inspect_list (DlhRegistry *registry, DlhPluginKind kind)
{
    g_autofree char *list = inspect_list_text (registry, kind);
    g_autofree char *rejects = inspect_rejects_text (registry);

    fputs (list, stdout);
    fflush (stdout);
    fputs (rejects, stderr);
}

gboolean
inspect_plugin (DlhRegistry *registry, const char *name, gboolean json, GError **error)
{
    g_autofree char *text = inspect_plugin_text (registry, name, json, error);

    if (text)
        fputs (text, stdout);
    return text != NULL;
}
