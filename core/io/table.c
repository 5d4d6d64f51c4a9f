/* SPDX-License-Identifier: MIT */
/* Tables of numbers as text. The decimal point is a point in every locale. */
#include <math.h>
#include <string.h>
#include <dlhost/io.h>

#define MAX_BYTES ((gsize)4 << 30)
#define MAX_NUMBER 400 /* characters */

typedef struct {
    const char *path;
    const char *p, *end;
    guint64 line; /* from 1 */
    double *values;
    gsize n_values, room;
    guint64 columns; /* of the first row */
    gint64 rows;
} Table;

G_GNUC_PRINTF (4, 5)
static gboolean
fail (const Table *t, guint64 column, GError **error, const char *format, ...)
{
    g_autofree char *name = g_filename_display_name (t->path), *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    if (column)
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: line %" G_GUINT64_FORMAT ", column %" G_GUINT64_FORMAT ": %s", name,
                     t->line, column, text);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: line %" G_GUINT64_FORMAT ": %s", name,
                     t->line, text);
    return FALSE;
}

static gboolean
is_blank (char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

// When both the digits and the power of ten are exact doubles (up to 2^53 and 10^22), one division
// or product rounds correctly (Clinger 1990). Others are left to the slower g_ascii_strtod().
static gboolean
parse_simple (const char *p, const char *end, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    gboolean negative = p < end && *p == '-';
    guint64 digits = 0;
    int exponent = 0, n_digits = 0;

    p += negative;
    for (; p < end && g_ascii_isdigit (*p); p++, n_digits++)
        digits = digits * 10 + (guint64)(*p - '0');
    if (p < end && *p == '.')
        for (p++; p < end && g_ascii_isdigit (*p); p++, n_digits++, exponent--)
            digits = digits * 10 + (guint64)(*p - '0');
    if (n_digits == 0 || n_digits > 19)
        return FALSE;
    if (p + 1 < end && (*p == 'e' || *p == 'E')) {
        gboolean down = p[1] == '-';
        int value = 0;

        p += 1 + (p[1] == '-' || p[1] == '+');
        if (p == end || end - p > 3)
            return FALSE;
        for (; p < end && g_ascii_isdigit (*p); p++)
            value = value * 10 + (*p - '0');
        exponent += down ? -value : value;
    }
    if (p != end || digits > (G_GUINT64_CONSTANT (1) << 53) || exponent < -22 || exponent > 22)
        return FALSE;
    *out = exponent < 0 ? (double)digits / powers[-exponent] : (double)digits * powers[exponent];
    *out = negative ? -*out : *out;
    return TRUE;
}

static gboolean
parse_number (const char *p, gsize n, double *out)
{
    char text[MAX_NUMBER + 1], *end;

    if (parse_simple (p, p + n, out))
        return TRUE;
    if (n == 0 || n > MAX_NUMBER)
        return FALSE;
    memcpy (text, p, n);
    text[n] = '\0';
    // strtod() also reads "inf", "nan" and hexadecimal numbers, which no table means.
    if (strspn (text, "0123456789+-.eE") < n)
        return FALSE;
    *out = g_ascii_strtod (text, &end);
    return *end == '\0' && isfinite (*out);
}

static gboolean
add_number (Table *t, const char *first, guint64 column, GError **error)
{
    gsize n = (gsize)(t->p - first);
    double value;

    if (!parse_number (first, n, &value)) {
        g_autofree char *shown = g_strndup (first, MIN (n, 40));
        g_autofree char *escaped = g_strescape (shown, NULL);

        return fail (t, column, error, "'%s' is not a finite number", escaped);
    }
    if (t->n_values == t->room) {
        gsize room = MAX (t->room * 2, 1024);
        double *values = g_try_renew (double, t->values, room);

        if (!values) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                         "%s: cannot allocate room for %zu numbers", t->path, room);
            return FALSE;
        }
        t->values = values;
        t->room = room;
    }
    t->values[t->n_values++] = value;
    return TRUE;
}

// One line; t->p moves to its end. An empty line has no columns.
static gboolean
read_row (Table *t, guint64 *columns, GError **error)
{
    gboolean after_comma = FALSE;

    *columns = 0;
    for (;;) {
        const char *first;

        while (t->p < t->end && is_blank (*t->p))
            t->p++;
        if (t->p == t->end || *t->p == '\n')
            break;
        first = t->p;
        while (t->p < t->end && !is_blank (*t->p) && *t->p != ',' && *t->p != '\n')
            t->p++;
        if (!add_number (t, first, *columns + 1, error))
            return FALSE;
        ++*columns;
        while (t->p < t->end && is_blank (*t->p))
            t->p++;
        after_comma = t->p < t->end && *t->p == ',';
        t->p += after_comma;
    }
    return !after_comma || fail (t, *columns + 1, error, "a number is missing after the comma");
}

static gboolean
read_rows (Table *t, guint header_rows, GError **error)
{
    // t->p comes back at the end of a line, or of the text.
    for (; t->p < t->end; t->p += t->p < t->end, t->line++) {
        guint64 columns;

        if (t->line <= header_rows) {
            const char *newline = memchr (t->p, '\n', (gsize)(t->end - t->p));

            t->p = newline ? newline : t->end;
            continue;
        }
        if (!read_row (t, &columns, error))
            return FALSE;
        if (columns > 0 && t->rows > 0 && columns != t->columns)
            return fail (t, 0, error,
                         "%" G_GUINT64_FORMAT " numbers, the rows before have %" G_GUINT64_FORMAT,
                         columns, t->columns);
        if (columns > 0) {
            t->columns = columns;
            t->rows++;
        }
    }
    return t->rows > 0 || fail (t, 0, error, "the table has no rows");
}

DlhTensor *
dlh_table_read (const char *path, guint header_rows, GError **error)
{
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_BYTES, error);
    g_autofree double *values = NULL;
    Table t = {.path = path, .line = 1};
    DlhTensor *tensor = NULL;
    gboolean ok;
    gsize n;

    if (!bytes)
        return NULL;
    t.p = g_bytes_get_data (bytes, &n);
    t.end = t.p + n;
    // The byte order mark that some editors put before UTF-8.
    if (n >= 3 && memcmp (t.p, "\xef\xbb\xbf", 3) == 0)
        t.p += 3;
    ok = read_rows (&t, header_rows, error);
    values = t.values;
    if (!ok)
        return NULL;
    tensor = dlh_tensor_new (DLH_F64, dlh_shape (t.rows, (gint64)t.columns), error);
    if (!tensor)
        g_prefix_error (error, "%s: ", path);
    else
        memcpy (dlh_tensor_get_data (tensor), values, dlh_tensor_bytes (tensor));
    return tensor;
}
