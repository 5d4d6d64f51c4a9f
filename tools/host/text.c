/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "text.h"

#define GAP 2        /* spaces between columns */
#define MIN_LAST 24u /* a last column narrower than this is not wrapped */

guint
text_width (void)
{
    struct winsize size;
    const char *columns = getenv ("COLUMNS");
    guint64 n = 0;

    if (columns && g_ascii_string_to_unsigned (columns, 10, 1, 10000, &n, NULL))
        return (guint)CLAMP (n, 40, 200);
    if (isatty (STDOUT_FILENO) && ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        return CLAMP (size.ws_col, 40, 200);
    return TEXT_WIDTH;
}

void
text_wrap (GString *out, const char *text, guint column, guint indent, guint width)
{
    g_auto (GStrv) words = g_strsplit (text, " ", -1);
    guint at = column;

    for (guint i = 0; words[i]; i++) {
        guint n = (guint)g_utf8_strlen (words[i], -1);

        if (i && at + 1 + n >= width) {
            g_string_append_printf (out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (i) {
            g_string_append_c (out, ' ');
            at++;
        }
        g_string_append (out, words[i]);
        // A space that holds words together has done its work.
        g_string_replace (out, TEXT_FIXED_SPACE, " ", 0);
        at += n;
    }
    g_string_append_c (out, '\n');
}

void
text_pad (GString *out, const char *text, guint width)
{
    g_string_append (out, text);
    for (guint n = (guint)g_utf8_strlen (text, -1); n < width; n++)
        g_string_append_c (out, ' ');
}

void
text_end_line (GString *out)
{
    while (out->len && out->str[out->len - 1] == ' ')
        g_string_truncate (out, out->len - 1);
    g_string_append_c (out, '\n');
}

/* Numbers with a unit. */

static char *
scaled (double n, const char *const *units, guint n_units, double step)
{
    guint i = 0;

    // What would be printed as 1000 goes to the next unit.
    while (n >= step * 0.9995 && i + 1 < n_units) {
        n /= step;
        i++;
    }
    return g_strdup_printf (i == 0      ? "%.0f%s"
                            : n < 9.995 ? "%.2f%s"
                            : n < 99.95 ? "%.1f%s"
                                        : "%.0f%s",
                            n, units[i]);
}

char *
text_bytes (double n)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB"};

    return scaled (n, units, G_N_ELEMENTS (units), 1000);
}

char *
text_count (double n)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};

    return scaled (n, units, G_N_ELEMENTS (units), 1000);
}

char *
text_seconds (double s)
{
    static const char *const units[] = {" ns", " us", " ms", " s"};

    return scaled (s * 1e9, units, G_N_ELEMENTS (units), 1000);
}

/* Tables. */

void
table_init (TextTable *table, const char *columns)
{
    table->n_columns = (guint)strlen (columns);
    table->right = 0;
    for (guint c = 0; c < table->n_columns; c++)
        table->right |= columns[c] == 'r' ? 1u << c : 0;
    table->rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
}

void
table_clear (TextTable *table)
{
    g_clear_pointer (&table->rows, g_ptr_array_unref);
}

void
table_row (TextTable *table, ...)
{
    char **row = g_new0 (char *, table->n_columns + 1);
    va_list args;

    va_start (args, table);
    for (guint c = 0; c < table->n_columns; c++)
        row[c] = g_strdup (va_arg (args, const char *));
    va_end (args);
    g_ptr_array_add (table->rows, row);
}

// 0 for a column that is left out.
static guint
column_width (const TextTable *table, guint c)
{
    guint width = 0, filled = 0;

    for (guint r = 0; r < table->rows->len; r++) {
        guint n = (guint)g_utf8_strlen (((char **)table->rows->pdata[r])[c], -1);

        width = MAX (width, n);
        filled += r && n;
    }
    return filled || table->rows->len == 1 ? width : 0;
}

guint
table_width (const TextTable *table, guint indent)
{
    guint width = indent;

    for (guint c = 0; c < table->n_columns; c++) {
        guint n = column_width (table, c);

        width += n ? n + GAP : 0;
    }
    return width - GAP;
}

void
table_append (const TextTable *table, GString *out, guint indent, guint width)
{
    g_autofree guint *widths = g_new0 (guint, table->n_columns + 1);
    guint last = table->n_columns - 1, start = indent;

    for (guint c = 0; c <= last; c++) {
        widths[c] = column_width (table, c);
        start += c < last && widths[c] ? widths[c] + GAP : 0;
    }
    for (guint r = 0; r < table->rows->len; r++) {
        char **row = table->rows->pdata[r];

        g_string_append_printf (out, "%*s", (int)indent, "");
        for (guint c = 0; c < last; c++) {
            guint n = (guint)g_utf8_strlen (row[c], -1);

            if (!widths[c])
                continue;
            if (table->right & (1u << c))
                g_string_append_printf (out, "%*s%s%*s", (int)(widths[c] - n), "", row[c], GAP, "");
            else
                text_pad (out, row[c], widths[c] + GAP);
        }
        if (!widths[last] || !*row[last]) {
            text_end_line (out);
        } else if (table->right & (1u << last)) {
            guint n = (guint)g_utf8_strlen (row[last], -1);

            g_string_append_printf (out, "%*s%s\n", (int)(widths[last] - n), "", row[last]);
        } else {
            text_wrap (out, row[last], start, start, start + MIN_LAST <= width ? width : G_MAXUINT);
        }
    }
}
