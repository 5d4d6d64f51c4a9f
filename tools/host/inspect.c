/* SPDX-License-Identifier: MIT */
#include "inspect.h"

#include <math.h>
#include <string.h>
#include "jsonout.h"
#include "text.h"

const char *
inspect_type_name (const DlhOption *option)
{
    static const char *const names[] = {
        [DLH_OPTION_BOOL] = "bool",     [DLH_OPTION_INT] = "integer",
        [DLH_OPTION_DOUBLE] = "number", [DLH_OPTION_STRING] = "text",
        [DLH_OPTION_CHOICE] = "choice", [DLH_OPTION_DOUBLES] = "numbers",
        [DLH_OPTION_INTS] = "integers",
    };

    return names[option->type];
}

char *
inspect_preset (const DlhOption *option)
{
    gboolean list = option->type == DLH_OPTION_DOUBLES || option->type == DLH_OPTION_INTS;

    if (option->type == DLH_OPTION_STRING && !*option->preset)
        return g_strdup ("''");
    if (list && option->preset[0] != '[')
        return g_strdup_printf ("[%s]", option->preset);
    // A plugin's source may say TRUE.
    return option->type == DLH_OPTION_BOOL ? g_ascii_strdown (option->preset, -1)
                                           : g_strdup (option->preset);
}

// "1804.00325": four digits, a point, four or five digits.
static gboolean
is_arxiv_id (const char *paper)
{
    gsize n = strlen (paper);

    if ((n != 9 && n != 10) || paper[4] != '.')
        return FALSE;
    for (gsize i = 0; i < n; i++)
        if (i != 4 && !g_ascii_isdigit (paper[i]))
            return FALSE;
    return TRUE;
}

/* (transfer full) (nullable): where the paper can be read. */
static char *
paper_url (const char *paper)
{
    return is_arxiv_id (paper) ? g_strconcat ("https://arxiv.org/abs/", paper, NULL) : NULL;
}

/* Parameters: one line each where the table fits, else the details below the meaning. */

static void
fill_wide (TextTable *table, const DlhPluginInfo *info)
{
    table_row (table, "name", "type", "default", "range", "unit", "meaning");
    for (guint i = 0; i < info->manifest->n_options; i++) {
        const DlhOption *option = &info->options[i];
        g_autofree char *range = dlh_option_range (option), *preset = inspect_preset (option);

        table_row (table, option->name, inspect_type_name (option), preset, range ? range : "",
                   option->unit, option->doc);
    }
}

/* "number in (0, 100], 1/s", "one of l1, l2": (transfer full). */
static char *
option_details (const DlhOption *option)
{
    g_autofree char *found = dlh_option_range (option);
    g_auto (GStrv) ends = g_strsplit (found ? found : "", " ", -1);
    g_autofree char *range = found ? g_strjoinv (TEXT_FIXED_SPACE, ends) : NULL;
    gboolean list = option->type == DLH_OPTION_DOUBLES || option->type == DLH_OPTION_INTS;
    GString *s = g_string_new (NULL);

    if (option->type == DLH_OPTION_CHOICE) {
        g_auto (GStrv) choices = g_strsplit (option->choices, "|", -1);
        g_autofree char *joined = g_strjoinv (", ", choices);

        g_string_append_printf (s, "one of %s", joined);
    } else {
        g_string_append (s, inspect_type_name (option));
        if (range)
            g_string_append_printf (s, "%s in" TEXT_FIXED_SPACE "%s", list ? ", each" : "", range);
    }
    if (*option->unit)
        g_string_append_printf (s, "; unit: %s", option->unit);
    return g_string_free (s, FALSE);
}

static void
append_narrow (GString *out, const DlhPluginInfo *info, guint width)
{
    guint columns[2] = {4, 7}, start;

    for (guint i = 0; i < info->manifest->n_options; i++) {
        g_autofree char *preset = inspect_preset (&info->options[i]);

        columns[0] = MAX (columns[0], (guint)g_utf8_strlen (info->options[i].name, -1));
        columns[1] = MAX (columns[1], (guint)g_utf8_strlen (preset, -1));
    }
    columns[1] = MIN (columns[1], 16);
    start = 2 + columns[0] + 2 + columns[1] + 2;
    for (guint i = 0; i <= info->manifest->n_options; i++) {
        const DlhOption *option = i ? &info->options[i - 1] : NULL;
        g_autofree char *preset = option ? inspect_preset (option) : g_strdup ("default");
        g_autofree char *details = option ? option_details (option) : NULL;

        g_string_append (out, "  ");
        text_pad (out, option ? option->name : "name", columns[0] + 2);
        text_pad (out, preset, columns[1] + 2);
        if (g_utf8_strlen (preset, -1) > columns[1])
            g_string_append_printf (out, "\n%*s", (int)start, "");
        text_wrap (out, option ? option->doc : "meaning", start, start, width);
        if (!details)
            continue;
        g_string_append_printf (out, "%*s", (int)start, "");
        text_wrap (out, details, start, start, width);
    }
}

static void
append_parameters (GString *out, const DlhPluginInfo *info, guint width)
{
    g_auto (TextTable) table = {0};

    table_init (&table, "llllll");
    fill_wide (&table, info);
    if (table_width (&table, 2) < width)
        table_append (&table, out, 2, width);
    else
        append_narrow (out, info, width);
}

static void
append_header (GString *out, const DlhPluginInfo *info, guint width)
{
    const DlhManifest *m = info->manifest;
    g_autofree char *file = g_filename_display_name (info->path);
    g_autofree char *url = paper_url (m->paper);

    g_string_append_printf (out, "%s %s, %s\n", m->name, m->version,
                            dlh_plugin_kind_name (m->kind));
    if (*m->summary) {
        g_string_append (out, "  ");
        text_wrap (out, m->summary, 2, 2, width);
    }
    g_string_append_printf (out, "\n  file       %s\n", file);
    if (*m->licence)
        g_string_append_printf (out, "  licence    %s\n", m->licence);
    if (*m->paper)
        g_string_append_printf (out, "  paper      %s%s%s%s\n", url ? "arXiv:" : "", m->paper,
                                url ? ", " : "", url ? url : "");
    g_string_append_printf (out, "  interface  %u.%u\n", m->abi_major, m->abi_minor);
}

static char *
inspect_plain (const DlhPluginInfo *info, guint width)
{
    const DlhManifest *m = info->manifest;
    const char *kind = dlh_plugin_kind_name (m->kind);
    g_autofree char *hint = NULL, *preset = NULL;
    GString *out = g_string_new (NULL);

    append_header (out, info, width);
    if (m->n_options == 0) {
        g_string_append (out, "\nno parameters\n");
        return g_string_free (out, FALSE);
    }
    g_string_append (out, "\nparameters\n");
    append_parameters (out, info, width);
    preset = inspect_preset (&info->options[0]);
    hint = g_strdup_printf (
        "set them as --%s=%s,%s=%s or --%s.%s=%s; an end of a range is included "
        "at [ and ], excluded at ( and )",
        kind, m->name, info->options[0].name, preset, kind, info->options[0].name, preset);
    g_string_append_c (out, '\n');
    text_wrap (out, hint, 0, 0, width);
    return g_string_free (out, FALSE);
}

/* JSON. */

/* An absent end is null: JSON has no infinity, and the widest integer stands for no limit. */
static void
add_end (JsonOut *json, const char *name, double end)
{
    json_out_number (json, name, fabs (end) < (double)G_MAXINT64 ? end : INFINITY);
}

static void
add_parameter (JsonOut *json, const DlhOption *option)
{
    g_autofree char *range = dlh_option_range (option);
    g_autofree char *truth = g_ascii_strdown (option->preset, -1);

    json_out_object (json, NULL);
    json_out_string (json, "name", option->name);
    json_out_string (json, "type", inspect_type_name (option));
    json_out_string (json, "default", option->type == DLH_OPTION_BOOL ? truth : option->preset);
    if (option->type == DLH_OPTION_CHOICE) {
        g_auto (GStrv) choices = g_strsplit (option->choices, "|", -1);

        json_out_array (json, "choices");
        for (guint i = 0; choices[i]; i++)
            json_out_string (json, NULL, choices[i]);
        json_out_end_array (json);
    } else if (range) {
        add_end (json, "min", option->min);
        add_end (json, "max", option->max);
        json_out_bool (json, "min_open", (option->flags & DLH_MIN_OPEN) != 0);
        json_out_bool (json, "max_open", (option->flags & DLH_MAX_OPEN) != 0);
    }
    if (*option->unit)
        json_out_string (json, "unit", option->unit);
    json_out_string (json, "doc", option->doc);
    json_out_end_object (json);
}

static void
add_manifest (JsonOut *json, const DlhPluginInfo *info)
{
    const DlhManifest *m = info->manifest;
    g_autofree char *file = g_filename_display_name (info->path), *url = paper_url (m->paper);
    g_autofree char *interface = g_strdup_printf ("%u.%u", m->abi_major, m->abi_minor);

    json_out_string (json, "name", m->name);
    json_out_string (json, "kind", dlh_plugin_kind_name (m->kind));
    json_out_string (json, "version", m->version);
    json_out_string (json, "licence", m->licence);
    json_out_string (json, "paper", m->paper);
    if (url)
        json_out_string (json, "paper_url", url);
    json_out_string (json, "summary", m->summary);
    json_out_string (json, "file", file);
    json_out_string (json, "interface", interface);
}

static char *
inspect_json (const DlhPluginInfo *info)
{
    g_auto (JsonOut) json = {0};

    json_out_init (&json);
    add_manifest (&json, info);
    json_out_array (&json, "parameters");
    for (guint i = 0; i < info->manifest->n_options; i++)
        add_parameter (&json, &info->options[i]);
    json_out_end_array (&json);
    return json_out_finish (&json);
}

char *
inspect_plugin_text (DlhRegistry *registry, const char *name, InspectForm form, guint width,
                     GError **error)
{
    const DlhPluginInfo *info = dlh_registry_find (registry, 0, name, error);

    if (!info)
        return NULL;
    return form == INSPECT_JSON ? inspect_json (info) : inspect_plain (info, width);
}

/* Lists. */

static char *
list_json (DlhRegistry *registry, GPtrArray *list)
{
    GPtrArray *rejects = dlh_registry_rejects (registry);
    g_auto (JsonOut) json = {0};

    json_out_init (&json);
    json_out_array (&json, "plugins");
    for (guint i = 0; i < list->len; i++) {
        json_out_object (&json, NULL);
        add_manifest (&json, list->pdata[i]);
        json_out_count (&json, "n_parameters",
                        ((DlhPluginInfo *)list->pdata[i])->manifest->n_options);
        json_out_end_object (&json);
    }
    json_out_end_array (&json);
    json_out_array (&json, "refused");
    for (guint i = 0; i < rejects->len; i++) {
        const DlhPluginReject *reject = rejects->pdata[i];
        g_autofree char *file = g_filename_display_name (reject->path);

        json_out_object (&json, NULL);
        json_out_string (&json, "file", file);
        json_out_string (&json, "reason", reject->error->message);
        json_out_end_object (&json);
    }
    json_out_end_array (&json);
    return json_out_finish (&json);
}

static void
append_long_entry (GString *out, const DlhPluginInfo *info, guint width)
{
    const DlhManifest *m = info->manifest;
    g_autofree char *file = g_filename_display_name (info->path);

    g_string_append_printf (out, "  %s %s, %u parameter%s%s%s%s%s\n", m->name, m->version,
                            m->n_options, m->n_options == 1 ? "" : "s", *m->licence ? ", " : "",
                            m->licence,
                            !*m->paper               ? ""
                            : is_arxiv_id (m->paper) ? ", arXiv:"
                                                     : ", ",
                            m->paper);
    g_string_append (out, "      ");
    text_wrap (out, m->summary, 6, 6, width);
    g_string_append_printf (out, "      %s\n", file);
}

static void
append_entry (GString *out, const DlhPluginInfo *info, guint column, guint width)
{
    g_string_append (out, "  ");
    text_pad (out, info->manifest->name, column - 2);
    if (*info->manifest->summary)
        text_wrap (out, info->manifest->summary, column, column, width);
    else
        text_end_line (out);
}

char *
inspect_list_text (DlhRegistry *registry, DlhPluginKind kind, InspectForm form, guint width)
{
    g_autoptr (GPtrArray) list = dlh_registry_list (registry, kind);
    GString *out;
    guint column = 0, last = 0;

    if (form == INSPECT_JSON)
        return list_json (registry, list);
    out = g_string_new (NULL);
    for (guint i = 0; i < list->len; i++)
        column =
            MAX (column, 4 + (guint)strlen (((DlhPluginInfo *)list->pdata[i])->manifest->name));
    for (guint i = 0; i < list->len; i++) {
        const DlhPluginInfo *info = list->pdata[i];

        if (info->manifest->kind != last)
            g_string_append_printf (out, "%s%s\n", i ? "\n" : "",
                                    dlh_plugin_kind_name (info->manifest->kind));
        last = info->manifest->kind;
        if (form == INSPECT_LONG)
            append_long_entry (out, info, width);
        else
            append_entry (out, info, column, width);
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
