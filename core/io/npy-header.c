/* SPDX-License-Identifier: MIT */
/* The header of NumPy's format: a Python dictionary of three known keys, spaces and a newline.
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
 *
 * NumPy reads it with Python's own parser. Here it is scanned for what it may be and nothing else.
 */
#include <string.h>
#include "io/file-private.h"
#include "io/npy-private.h"

// Real ones have about 100 bytes; those of structured types, which are not read, grow longer.
#define MAX_HEADER 65535

typedef struct {
    const char *start, *p, *end;
    GError **error;
} Scanner;

G_GNUC_PRINTF (2, 3)
static gboolean
fail (Scanner *s, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error (s->error, DLH_ERROR, DLH_ERROR_DATA, "header, byte %zu: %s",
                 (gsize)(s->p - s->start), text);
    return FALSE;
}

static void
skip_space (Scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n'))
        s->p++;
}

static gboolean
next_is (Scanner *s, char c)
{
    skip_space (s);
    if (s->p == s->end || *s->p != c)
        return FALSE;
    s->p++;
    return TRUE;
}

static gboolean
expect (Scanner *s, char c)
{
    return next_is (s, c) || fail (s, "'%c' is wanted", c);
}

// A string without escapes: no key and no element type that is read has one.
static char *
scan_string (Scanner *s)
{
    char quote = next_is (s, '\'') ? '\'' : next_is (s, '"') ? '"' : 0;
    const char *first = s->p, *last = quote ? memchr (first, quote, (gsize)(s->end - first)) : NULL;

    if (!last || memchr (first, '\\', (gsize)(last - first))) {
        fail (s, "a string in quotes is wanted");
        return NULL;
    }
    s->p = last + 1;
    return g_strndup (first, (gsize)(last - first));
}

static const struct {
    char name[3];
    DlhElement element;
} types[] = {
    {"b1", DLH_ELEMENT_BOOL}, {"f2", DLH_ELEMENT_F16}, {"f4", DLH_ELEMENT_F32},
    {"f8", DLH_ELEMENT_F64},  {"i1", DLH_ELEMENT_I8},  {"i2", DLH_ELEMENT_I16},
    {"i4", DLH_ELEMENT_I32},  {"i8", DLH_ELEMENT_I64}, {"u1", DLH_ELEMENT_U8},
    {"u2", DLH_ELEMENT_U16},  {"u4", DLH_ELEMENT_U32}, {"u8", DLH_ELEMENT_U64},
};

// Why an element type is not read, by its letter.
static const char *
describe_type (char letter)
{
    switch (letter) {
    case 'O':
        return "Python objects, which only pickle reads, and pickle can run code";
    case 'c':
        return "complex numbers";
    case 'S':
    case 'a':
    case 'U':
        return "text";
    case 'M':
    case 'm':
        return "dates or durations";
    case 'V':
        return "records or raw bytes";
    case 'f':
        return "floats of another size";
    default:
        return "unknown";
    }
}

static gboolean
scan_type (Scanner *s, DlhNpyHeader *header)
{
    g_autofree char *text = NULL, *quoted = NULL;

    if (next_is (s, '[') || next_is (s, '('))
        return fail (s, "the elements are records (a structured type): save each field as an array "
                        "of its own");
    text = scan_string (s);
    if (!text)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
        gsize size = dlh_element_size (types[i].element);

        // One byte has no order, so NumPy writes '|'; two have.
        if (*text && strchr (size > 1 ? "<>" : "<>|", *text) &&
            strcmp (text + 1, types[i].name) == 0) {
            header->element = types[i].element;
            header->big_endian = *text == '>';
            return TRUE;
        }
    }
    quoted = dlh_name_quote (text);
    return fail (s,
                 "element type %s (%s) is not read: save it as '<f4', '<f8', '<i4', '<i8', '|b1' "
                 "or another whole or float type",
                 quoted,
                 describe_type (*text && text[1] && strchr ("<>|=", *text) ? text[1] : *text));
}

static gboolean
scan_truth (Scanner *s, gboolean *out)
{
    static const char *const words[] = {"False", "True"};

    skip_space (s);
    for (guint i = 0; i < 2; i++) {
        gsize n = strlen (words[i]);

        if ((gsize)(s->end - s->p) >= n && memcmp (s->p, words[i], n) == 0) {
            s->p += n;
            *out = i > 0;
            return TRUE;
        }
    }
    return fail (s, "True or False is wanted");
}

static gboolean
scan_size (Scanner *s, gint64 *out)
{
    const char *first = s->p;

    *out = 0;
    for (; s->p < s->end && g_ascii_isdigit (*s->p); s->p++)
        if (__builtin_mul_overflow (*out, 10, out) ||
            __builtin_add_overflow (*out, *s->p - '0', out))
            return fail (s, "a size above 9223372036854775807");
    if (s->p == first || (*first == '0' && s->p > first + 1))
        return fail (s, "a size must be a whole number, 0 or more");
    // Python 2 wrote long numbers so.
    if (s->p < s->end && *s->p == 'L')
        s->p++;
    return TRUE;
}

static gboolean
scan_shape (Scanner *s, DlhShape *shape)
{
    gint64 dims[DLH_MAX_RANK];
    guint rank = 0;
    gboolean comma = TRUE;

    if (!expect (s, '('))
        return FALSE;
    while (!next_is (s, ')')) {
        if (!comma)
            return fail (s, "',' or ')' is wanted");
        if (rank == DLH_MAX_RANK)
            return fail (s, "the array has more than %d axes", DLH_MAX_RANK);
        if (!scan_size (s, &dims[rank++]))
            return FALSE;
        comma = next_is (s, ',');
    }
    if (rank == 1 && !comma)
        return fail (s, "a shape of one axis is written with a comma: (3,)");
    *shape = dlh_shape_make (rank, dims);
    if (!dlh_shape_valid (*shape)) {
        g_autofree char *text = dlh_shape_to_string (*shape);

        return fail (s, "shape %s has too many elements", text);
    }
    return TRUE;
}

enum { SEEN_TYPE = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4, SEEN_ALL = 7 };

static gboolean
scan_item (Scanner *s, DlhNpyHeader *header, guint *seen)
{
    g_autofree char *key = scan_string (s), *quoted = NULL;
    guint bit;

    if (!key || !expect (s, ':'))
        return FALSE;
    bit = strcmp (key, "descr") == 0           ? SEEN_TYPE
          : strcmp (key, "fortran_order") == 0 ? SEEN_ORDER
          : strcmp (key, "shape") == 0         ? SEEN_SHAPE
                                               : 0;
    quoted = dlh_name_quote (key);
    if (bit == 0)
        return fail (s, "unknown key %s", quoted);
    if (*seen & bit)
        return fail (s, "key %s is there twice", quoted);
    *seen |= bit;
    return bit == SEEN_TYPE    ? scan_type (s, header)
           : bit == SEEN_ORDER ? scan_truth (s, &header->fortran)
                               : scan_shape (s, &header->shape);
}

gboolean
dlh_npy_parse_header (const char *text, gsize n, DlhNpyHeader *header, GError **error)
{
    Scanner s = {text, text, text + n, error};
    guint seen = 0;
    gboolean comma = TRUE;

    *header = (DlhNpyHeader){0};
    if (n == 0 || text[n - 1] != '\n') {
        s.p = s.end;
        return fail (&s, "it does not end with a newline");
    }
    if (!expect (&s, '{'))
        return FALSE;
    while (!next_is (&s, '}')) {
        if (!comma)
            return fail (&s, "',' or '}' is wanted");
        if (!scan_item (&s, header, &seen))
            return FALSE;
        comma = next_is (&s, ',');
    }
    skip_space (&s);
    if (s.p != s.end)
        return fail (&s, "more text after the '}'");
    if (seen != SEEN_ALL)
        return fail (&s, "'descr', 'fortran_order' or 'shape' is missing");
    return TRUE;
}

gboolean
dlh_npy_read_header (DlhSource *source, DlhNpyHeader *header, GError **error)
{
    guint8 start[8], length[4] = {0};
    g_autofree char *text = NULL;
    guint32 n;

    if (!dlh_source_read (source, start, 8, "the magic number", error))
        return FALSE;
    if (memcmp (start, "\x93NUMPY", 6) != 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "is not an npy file: it does not begin with \\x93NUMPY");
        return FALSE;
    }
    if (start[6] < 1 || start[6] > 3 || start[7] != 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "has npy version %u.%u, 1.0, 2.0 and 3.0 are read", start[6], start[7]);
        return FALSE;
    }
    if (!dlh_source_read (source, length, start[6] == 1 ? 2 : 4, "the header's length", error))
        return FALSE;
    n = length[0] | (guint32)length[1] << 8 | (guint32)length[2] << 16 | (guint32)length[3] << 24;
    if (n > MAX_HEADER) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "says that its header has %u bytes, %d is the limit", n, MAX_HEADER);
        return FALSE;
    }
    text = g_malloc (MAX (n, 1));
    return dlh_source_read (source, text, n, "the header", error) &&
           dlh_npy_parse_header (text, n, header, error);
}
