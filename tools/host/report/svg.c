/* SPDX-License-Identifier: MIT */
/* gnuplot's SVG, made fit for readers and for a page. */
#include <string.h>
#include "report.h"

static char *
replaced (char *text, const char *pattern, const char *by)
{
    g_autofree char *owned = text;
    g_autoptr (GRegex) regex = g_regex_new (pattern, G_REGEX_DOTALL | G_REGEX_RAW, 0, NULL);

    return g_regex_replace (regex, owned, -1, 0, by, 0, NULL);
}

static char *
replaced_literally (char *text, const char *from, const char *by)
{
    g_autofree char *owned = text;
    g_auto (GStrv) parts = g_strsplit (owned, from, -1);

    return g_strjoinv (by, parts);
}

char *
svg_described (const char *svg, const Figure *figure)
{
    const char *open = strstr (svg, "<title>"), *close = strstr (svg, "</desc>");
    GString *out;

    if (!open || !close || close < open)
        return g_strdup (svg);
    out = g_string_new_len (svg, open - svg);
    g_string_append (out, "<title>");
    append_escaped (out, figure->title);
    g_string_append (out, "</title>\n<desc>");
    append_escaped (out, figure->alt);
    g_string_append (out, close);
    // gnuplot leaves '>' as it is, which XML forbids here.
    return replaced_literally (g_string_free (out, FALSE), "]]>", "]]&gt;");
}

// Inside tags alone, which no text can forge: gnuplot writes '<' of a text as "&lt;".
char *
svg_inline (const char *svg, const Figure *figure, guint id)
{
    const char *start = strstr (svg, "<svg");
    g_autofree char *by_id = g_strdup_printf ("\\1f%u-", id);
    g_autofree char *head = NULL;
    g_autoptr (GString) alt = g_string_new (NULL);
    char *text, *out;

    g_return_val_if_fail (start, g_strdup (""));
    append_escaped (alt, figure->alt);
    head = g_strdup_printf ("<svg class=plot role=img aria-label=\"%s\"", alt->str);
    text = g_strdup (start);
    text = replaced (text, "<title>.*?</desc>", "");
    text = replaced (text, "<title>[^<]*</title>", ""); // of each curve: "gnuplot_plot_1"
    text = replaced (text, "(<[^<>]*\\sid=['\"])", by_id);
    text = replaced (text, "(<[^<>]*\\sxlink:href=['\"]#)", by_id);
    text = replaced (text, "(<rect [^<>]*)fill=\"#ffffff\"", "\\1fill=\"none\"");
    text = replaced_literally (text, "font-family=\"DejaVu Sans\"", "");
    out = g_strconcat (head, text + strlen ("<svg"), NULL);
    g_free (text);
    return out;
}
