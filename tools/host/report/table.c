/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "figure.h"
#include "metrics.h"
#include "table.h"

#define PLUS_MINUS "\302\261"

typedef struct {
    char *text;
    CellFlags flags;
} Cell;

static void
cell_clear (gpointer data)
{
    g_free (((Cell *)data)->text);
}

Table *
table_new (const char *title)
{
    Table *t = g_new0 (Table, 1);

    t->title = g_strdup (title);
    t->header = g_ptr_array_new_with_free_func (g_free);
    t->rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_array_unref);
    t->styles = g_array_new (FALSE, FALSE, sizeof (int));
    return t;
}

void
table_free (Table *t)
{
    if (!t)
        return;
    g_free (t->title);
    g_free (t->note);
    g_ptr_array_unref (t->header);
    g_ptr_array_unref (t->rows);
    g_array_unref (t->styles);
    g_free (t);
}

void
table_add_column (Table *t, const char *name)
{
    g_ptr_array_add (t->header, printable (name));
}

void
table_add_row (Table *t, int style)
{
    GArray *row = g_array_new (FALSE, FALSE, sizeof (Cell));

    g_array_set_clear_func (row, cell_clear);
    g_ptr_array_add (t->rows, row);
    g_array_append_val (t->styles, style);
}

void
table_add_cell (Table *t, char *text, CellFlags flags)
{
    Cell cell = {printable (text), flags};

    g_free (text);
    g_array_append_val ((GArray *)t->rows->pdata[t->rows->len - 1], cell);
}

/* Text. A table that is far too wide for a terminal shows where it begins. */

#define MOST_COLUMNS 40
#define SHOWN_COLUMNS 13

static const Cell *
cell_at (const Table *t, guint row, guint column)
{
    GArray *cells = t->rows->pdata[row];

    return column < cells->len ? &g_array_index (cells, Cell, column) : NULL;
}

static void
append_padded (GString *out, const char *text, guint width, gboolean right)
{
    guint n = (guint)g_utf8_strlen (text, -1);

    g_string_append_printf (out, "%*s%s%*s", right ? (int)(width - n) : 0, "", text,
                            right ? 0 : (int)(width - n), "");
}

static guint
column_width (const Table *t, guint column)
{
    glong width = g_utf8_strlen (t->header->pdata[column], -1);

    for (guint i = 0; i < t->rows->len; i++) {
        const Cell *cell = cell_at (t, i, column);

        if (cell)
            width = MAX (width, g_utf8_strlen (cell->text, -1) + (cell->flags & CELL_BEST ? 2 : 0));
    }
    return (guint)width;
}

char *
table_to_text (const Table *t)
{
    GString *out = g_string_new (NULL);
    const guint n = t->header->len > MOST_COLUMNS ? SHOWN_COLUMNS : t->header->len;

    for (guint r = 0; r <= t->rows->len; r++) {
        for (guint c = 0; c < n; c++) {
            const Cell *cell = r ? cell_at (t, r - 1, c) : NULL;
            const Cell *below = t->rows->len ? cell_at (t, r ? r - 1 : 0, c) : NULL;
            g_autofree char *text = g_strdup (!r ? t->header->pdata[c] : cell ? cell->text : "");

            if (cell && cell->flags & CELL_BEST) {
                g_free (text);
                text = g_strconcat ("* ", cell->text, NULL);
            }
            g_string_append (out, c ? "  " : "");
            append_padded (out, text, column_width (t, c), below && below->flags & CELL_NUMBER);
        }
        while (out->len && out->str[out->len - 1] == ' ')
            g_string_truncate (out, out->len - 1);
        g_string_append_c (out, '\n');
    }
    if (n < t->header->len)
        g_string_append_printf (out, "(and %u more columns in the files)\n", t->header->len - n);
    return g_string_free (out, FALSE);
}

/* Markdown: the best cells are bold; the note is left to the caller. */

static void
append_markdown_cell (GString *out, const char *text, gboolean best)
{
    g_string_append (out, best ? "| **" : "| ");
    for (const char *p = text; *p; p++)
        g_string_append_printf (out, strchr ("|\\*_`<", *p) ? "\\%c" : "%c", *p);
    g_string_append (out, best ? "** " : " ");
}

void
table_append_markdown (const Table *t, GString *out)
{
    for (guint c = 0; c < t->header->len; c++)
        append_markdown_cell (out, t->header->pdata[c], FALSE);
    g_string_append (out, "|\n");
    for (guint c = 0; c < t->header->len; c++) {
        const Cell *below = t->rows->len ? cell_at (t, 0, c) : NULL;

        g_string_append (out, below && below->flags & CELL_NUMBER ? "|---:" : "|---");
    }
    g_string_append (out, "|\n");
    for (guint r = 0; r < t->rows->len; r++) {
        for (guint c = 0; c < t->header->len; c++) {
            const Cell *cell = cell_at (t, r, c);

            append_markdown_cell (out, cell ? cell->text : "", cell && cell->flags & CELL_BEST);
        }
        g_string_append (out, "|\n");
    }
}

/* HTML. */

void
append_escaped (GString *out, const char *text)
{
    g_autofree char *clean = printable (text);
    g_autofree char *escaped = g_markup_escape_text (clean, -1);

    g_string_append (out, escaped);
}

// A mean and its error are two pieces, between which a line may end.
static void
append_html_text (GString *out, const char *text)
{
    const char *error = strstr (text, PLUS_MINUS);
    g_autofree char *mean = error ? g_strndup (text, (gsize)(error - text)) : NULL;

    if (!mean) {
        append_escaped (out, text);
        return;
    }
    append_escaped (out, mean);
    g_string_append (out, "<span>");
    append_escaped (out, error);
    g_string_append (out, "</span>");
}

static void
append_html_cell (GString *out, const Cell *cell, int style)
{
    const char *tag = cell->flags & CELL_HEAD ? "th" : "td";
    const char *number = strstr (cell->text, PLUS_MINUS) ? "n m" : "n";

    g_string_append_printf (out, "<%s%s%s%s%s%s>", tag, cell->flags & CELL_HEAD ? " scope=row" : "",
                            cell->flags ? " class=\"" : "", cell->flags & CELL_NUMBER ? number : "",
                            cell->flags & CELL_BEST     ? " best"
                            : cell->flags & CELL_MARKED ? " diff"
                                                        : "",
                            cell->flags ? "\"" : "");
    if (style >= 0 && cell->flags & CELL_HEAD)
        g_string_append_printf (out, "<span class=key style=\"background:%s\"></span>",
                                palette[style % N_COLOURS]);
    append_html_text (out, cell->text);
    if (cell->flags & CELL_BEST)
        g_string_append (out, "<span class=star title=best>\302\240\342\230\205</span>");
    g_string_append_printf (out, "</%s>", tag);
}

// A line may end behind each slash of "test/accuracy".
static void
append_heading (GString *out, const char *text)
{
    g_auto (GStrv) parts = g_strsplit (text, "/", -1);

    for (guint i = 0; parts[i]; i++) {
        g_string_append (out, i ? "/<wbr>" : "");
        append_escaped (out, parts[i]);
    }
}

void
table_append_html (const Table *t, GString *out)
{
    g_string_append (out, "<section><h2>");
    append_escaped (out, t->title);
    g_string_append (out, "</h2>\n<div class=wide tabindex=0 role=region aria-label=\"");
    append_escaped (out, t->title);
    g_string_append (out, "\"><table><thead><tr>");
    for (guint c = 0; c < t->header->len; c++) {
        const Cell *below = t->rows->len ? cell_at (t, 0, c) : NULL;

        g_string_append_printf (out, "<th scope=col%s>",
                                below && below->flags & CELL_NUMBER ? " class=n" : "");
        append_heading (out, t->header->pdata[c]);
        g_string_append (out, "</th>");
    }
    g_string_append (out, "</tr></thead>\n<tbody>\n");
    for (guint r = 0; r < t->rows->len; r++) {
        g_string_append (out, "<tr>");
        for (guint c = 0; c < t->header->len; c++)
            if (cell_at (t, r, c))
                append_html_cell (out, cell_at (t, r, c), g_array_index (t->styles, int, r));
        g_string_append (out, "</tr>\n");
    }
    g_string_append (out, "</tbody></table></div>\n");
    if (t->note) {
        g_string_append (out, "<p class=note>");
        append_escaped (out, t->note);
        g_string_append (out, "</p>\n");
    }
    g_string_append (out, "</section>\n");
}

/* Numbers. */

char *
table_number (double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (isnan (value))
        return g_strdup ("-");
    return g_strdup (g_ascii_formatd (text, sizeof text, "%.4g", value));
}

// As many decimals as the error has at two digits.
char *
table_mean (double mean, double error)
{
    char format[16], a[G_ASCII_DTOSTR_BUF_SIZE], b[G_ASCII_DTOSTR_BUF_SIZE];
    int decimals;

    if (!isfinite (mean) || !isfinite (error))
        return table_number (mean);
    if (!(error > 0) || error < fabs (mean) * 1e-6 || fabs (mean) < 1e-4 || fabs (mean) >= 1e6) {
        g_ascii_formatd (a, sizeof a, "%.4g", mean);
        g_ascii_formatd (b, sizeof b, "%.2g", error);
        return g_strdup_printf ("%s " PLUS_MINUS " %s", a, b);
    }
    decimals = CLAMP (1 - (int)floor (log10 (error)), 0, 8);
    g_snprintf (format, sizeof format, "%%.%df", decimals);
    g_ascii_formatd (a, sizeof a, format, mean);
    g_ascii_formatd (b, sizeof b, format, error);
    return g_strdup_printf ("%s " PLUS_MINUS " %s", a, b);
}

char *
table_duration (double seconds)
{
    guint64 s;

    if (!isfinite (seconds) || seconds < 0)
        return g_strdup ("-");
    if (seconds < 60)
        return g_strdup_printf (seconds < 10 ? "%.2f s" : "%.1f s", seconds);
    s = (guint64)(seconds + 0.5);
    return s >= 3600 ? g_strdup_printf ("%" G_GUINT64_FORMAT ":%02u:%02u", s / 3600,
                                        (guint)(s / 60 % 60), (guint)(s % 60))
                     : g_strdup_printf ("%u:%02u", (guint)(s / 60), (guint)(s % 60));
}
