/* SPDX-License-Identifier: MIT */
/* The JSON header of a safetensors file:
 *
 *     {"__metadata__": {"key": "value"},
 *      "conv1/weight": {"dtype": "F32", "shape": [6, 1, 5, 5], "data_offsets": [0, 600]}}
 *
 * Its grammar is small and fixed, and a reader of files from anywhere must refuse what a general
 * JSON library lets pass: duplicate keys, comments, numbers that overflow or have a fraction,
 * nesting. So it is read here directly; nothing recurses. */
#include <string.h>
#include "io/file-private.h"
#include "io/safetensors-private.h"

const DlhSafetensorsType dlh_safetensors_types[] = {
    {"BOOL", DLH_ELEMENT_BOOL}, {"F16", DLH_ELEMENT_F16},
    {"BF16", DLH_ELEMENT_BF16}, {"F32", DLH_ELEMENT_F32},
    {"F64", DLH_ELEMENT_F64},   {"I8", DLH_ELEMENT_I8},
    {"U8", DLH_ELEMENT_U8},     {"I16", DLH_ELEMENT_I16},
    {"U16", DLH_ELEMENT_U16},   {"I32", DLH_ELEMENT_I32},
    {"U32", DLH_ELEMENT_U32},   {"I64", DLH_ELEMENT_I64},
    {"U64", DLH_ELEMENT_U64},   {""},
};

typedef struct {
    const char *start, *p; /* the text ends in NUL */
    GError **error;
} Scanner;

void
dlh_safetensors_entry_free (gpointer data)
{
    DlhSafetensorsEntry *entry = data;

    if (!entry)
        return;
    dlh_tensor_unref (entry->tensor);
    g_free (entry->name);
    g_free (entry);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhSafetensorsEntry, dlh_safetensors_entry_free)

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
    while (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')
        s->p++;
}

static gboolean
next_is (Scanner *s, char c)
{
    skip_space (s);
    if (*s->p != c)
        return FALSE;
    s->p++;
    return TRUE;
}

static gboolean
expect (Scanner *s, char c)
{
    return next_is (s, c) || fail (s, "'%c' is wanted", c);
}

// After an element of a list or object: TRUE for another one, FALSE at the end or after an error.
static gboolean
another (Scanner *s, char close, gboolean *ok)
{
    if (next_is (s, ','))
        return TRUE;
    *ok = next_is (s, close) || fail (s, "',' or '%c' is wanted", close);
    return FALSE;
}

static gboolean
scan_hex4 (Scanner *s, gunichar *out)
{
    *out = 0;
    for (guint i = 0; i < 4; i++, s->p++) {
        if (!g_ascii_isxdigit (*s->p))
            return fail (s, "four hexadecimal digits are wanted after \\u");
        *out = *out * 16 + (gunichar)g_ascii_xdigit_value (*s->p);
    }
    return TRUE;
}

static gboolean
scan_unicode (Scanner *s, GString *out)
{
    gunichar c, low;

    if (!scan_hex4 (s, &c))
        return FALSE;
    if (c >= 0xd800 && c < 0xdc00) {
        if (s->p[0] != '\\' || s->p[1] != 'u')
            return fail (s, "half of a surrogate pair");
        s->p += 2;
        if (!scan_hex4 (s, &low))
            return FALSE;
        if (low < 0xdc00 || low > 0xdfff)
            return fail (s, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c < 0xe000) {
        return fail (s, "half of a surrogate pair");
    }
    if (c == 0)
        return fail (s, "a string with a NUL character is not read");
    g_string_append_unichar (out, c);
    return TRUE;
}

static gboolean
scan_escape (Scanner *s, GString *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (*s->p == 'u') {
        s->p++;
        return scan_unicode (s, out);
    }
    at = *s->p ? strchr (from, *s->p) : NULL;
    if (!at)
        return fail (s, "unknown escape in a string");
    g_string_append_c (out, to[at - from]);
    s->p++;
    return TRUE;
}

static char *
scan_string (Scanner *s)
{
    g_autoptr (GString) out = g_string_new (NULL);

    if (!expect (s, '"'))
        return NULL;
    for (;;) {
        gsize plain = 0;

        while ((guint8)s->p[plain] >= 0x20 && s->p[plain] != '"' && s->p[plain] != '\\')
            plain++;
        g_string_append_len (out, s->p, (gssize)plain);
        s->p += plain;
        if (*s->p == '"') {
            s->p++;
            return g_string_free (g_steal_pointer (&out), FALSE);
        }
        if (*s->p != '\\') {
            fail (s, *s->p ? "a control character in a string" : "a string without an end");
            return NULL;
        }
        s->p++;
        if (!scan_escape (s, out))
            return NULL;
    }
}

static gboolean
scan_count (Scanner *s, gint64 *out)
{
    const char *first;

    skip_space (s);
    first = s->p;
    *out = 0;
    for (; g_ascii_isdigit (*s->p); s->p++)
        if (__builtin_mul_overflow (*out, 10, out) ||
            __builtin_add_overflow (*out, *s->p - '0', out))
            return fail (s, "a number above 9223372036854775807");
    if (s->p == first || (*first == '0' && s->p > first + 1) || *s->p == '.' || *s->p == 'e' ||
        *s->p == 'E')
        return fail (s, "a whole number without sign is wanted");
    return TRUE;
}

// @out has room for @room numbers. Returns: how many there are, or -1.
static int
scan_counts (Scanner *s, gint64 *out, guint room)
{
    gboolean ok = FALSE;
    guint n = 0;

    if (!expect (s, '['))
        return -1;
    if (next_is (s, ']'))
        return 0;
    do {
        gint64 value;

        if (!scan_count (s, &value))
            return -1;
        if (n == room) {
            fail (s, "more than %u numbers", room);
            return -1;
        }
        out[n++] = value;
    } while (another (s, ']', &ok));
    return ok ? (int)n : -1;
}

static const DlhSafetensorsType *
scan_type (Scanner *s)
{
    g_autofree char *name = scan_string (s), *quoted = NULL;

    if (!name)
        return NULL;
    for (const DlhSafetensorsType *t = dlh_safetensors_types; *t->name; t++)
        if (strcmp (t->name, name) == 0)
            return t;
    quoted = dlh_name_quote (name);
    fail (s, "element type %s is not known", quoted);
    return NULL;
}

enum { SEEN_TYPE = 1, SEEN_SHAPE = 2, SEEN_OFFSETS = 4, SEEN_ALL = 7 };

static gboolean
scan_field (Scanner *s, DlhSafetensorsEntry *entry, guint *seen)
{
    g_autofree char *key = scan_string (s), *quoted = NULL;
    gint64 numbers[DLH_MAX_RANK] = {0};
    guint bit;
    int n = 0;

    if (!key || !expect (s, ':'))
        return FALSE;
    bit = strcmp (key, "dtype") == 0          ? SEEN_TYPE
          : strcmp (key, "shape") == 0        ? SEEN_SHAPE
          : strcmp (key, "data_offsets") == 0 ? SEEN_OFFSETS
                                              : 0;
    quoted = dlh_name_quote (key);
    if (bit == 0)
        return fail (s, "unknown field %s", quoted);
    if (*seen & bit)
        return fail (s, "field %s is there twice", quoted);
    *seen |= bit;
    if (bit == SEEN_TYPE)
        return (entry->type = scan_type (s)) != NULL;
    n = scan_counts (s, numbers, bit == SEEN_SHAPE ? DLH_MAX_RANK : 2);
    if (n < 0)
        return FALSE;
    if (bit == SEEN_SHAPE) {
        entry->shape = dlh_shape_make ((guint)n, numbers);
        return TRUE;
    }
    entry->begin = (guint64)numbers[0];
    entry->end = (guint64)numbers[1];
    return n == 2 || fail (s, "data_offsets must be two numbers");
}

static gboolean
scan_entry (Scanner *s, DlhSafetensorsEntry *entry)
{
    gboolean ok = FALSE;
    guint seen = 0;

    if (!expect (s, '{'))
        return FALSE;
    do
        if (!scan_field (s, entry, &seen))
            return FALSE;
    while (another (s, '}', &ok));
    if (ok && seen != SEEN_ALL)
        return fail (s, "dtype, shape or data_offsets is missing");
    return ok;
}

static gboolean
scan_metadata (Scanner *s, GHashTable *metadata)
{
    gboolean ok = FALSE;

    if (!expect (s, '{'))
        return FALSE;
    if (next_is (s, '}'))
        return TRUE;
    do {
        g_autofree char *key = scan_string (s), *value = NULL;
        g_autofree char *quoted = key ? dlh_name_quote (key) : NULL;

        if (!key || !expect (s, ':'))
            return FALSE;
        skip_space (s);
        if (*s->p != '"')
            return fail (s, "metadata %s: a string is wanted", quoted);
        value = scan_string (s);
        if (!value)
            return FALSE;
        if (g_hash_table_contains (metadata, key))
            return fail (s, "metadata %s is there twice", quoted);
        g_hash_table_insert (metadata, g_steal_pointer (&key), g_steal_pointer (&value));
    } while (another (s, '}', &ok));
    return ok;
}

static gboolean
scan_header (Scanner *s, GPtrArray *entries, GHashTable *metadata)
{
    g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
    gboolean ok = FALSE, seen_metadata = FALSE;

    if (*s->p != '{')
        return fail (s, "'{' must come first");
    s->p++;
    if (next_is (s, '}'))
        return TRUE;
    do {
        g_autoptr (DlhSafetensorsEntry) entry = g_new0 (DlhSafetensorsEntry, 1);
        g_autofree char *quoted = NULL;
        gboolean is_metadata;

        entry->name = scan_string (s);
        if (!entry->name || !expect (s, ':'))
            return FALSE;
        quoted = dlh_name_quote (entry->name);
        is_metadata = strcmp (entry->name, "__metadata__") == 0;
        if (is_metadata ? seen_metadata : g_hash_table_contains (names, entry->name))
            return fail (s, "%s is there twice", quoted);
        if (is_metadata ? !scan_metadata (s, metadata) : !scan_entry (s, entry)) {
            g_prefix_error (s->error, "%s: ", quoted);
            return FALSE;
        }
        seen_metadata |= is_metadata;
        if (is_metadata)
            continue;
        g_hash_table_add (names, entry->name);
        g_ptr_array_add (entries, g_steal_pointer (&entry));
    } while (another (s, '}', &ok));
    return ok;
}

static int
compare_places (gconstpointer a, gconstpointer b)
{
    const DlhSafetensorsEntry *x = *(DlhSafetensorsEntry *const *)a;
    const DlhSafetensorsEntry *y = *(DlhSafetensorsEntry *const *)b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static char *
what_is_wrong (const DlhSafetensorsEntry *e, guint64 data_size)
{
    g_autofree char *shape = NULL;
    guint64 bytes;

    if (e->begin > e->end)
        return g_strdup_printf ("begins at byte %" G_GUINT64_FORMAT
                                " but ends before, at %" G_GUINT64_FORMAT,
                                e->begin, e->end);
    if (e->end > data_size)
        return g_strdup_printf ("ends at byte %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                                ": is the file cut off?",
                                e->end, data_size);
    shape = dlh_shape_to_string (e->shape);
    if (!dlh_shape_valid (e->shape))
        return g_strdup_printf ("shape %s has too many elements", shape);
    bytes = (guint64)dlh_shape_count (e->shape) * dlh_element_size (e->type->element);
    if (bytes != e->end - e->begin)
        return g_strdup_printf ("%s %s takes %" G_GUINT64_FORMAT
                                " bytes, but its place has %" G_GUINT64_FORMAT,
                                e->type->name, shape, bytes, e->end - e->begin);
    return NULL;
}

// The tensors must fill the data area: no hole, where anything could hide, and no overlap.
static gboolean
check_places (GPtrArray *entries, guint64 data_size, guint64 *n_stray, GError **error)
{
    g_autoptr (GPtrArray) sorted = g_ptr_array_copy (entries, NULL, NULL);
    guint64 at = 0;

    g_ptr_array_set_free_func (sorted, NULL);
    g_ptr_array_sort (sorted, compare_places);
    for (guint i = 0; i < sorted->len; i++) {
        const DlhSafetensorsEntry *e = sorted->pdata[i];
        g_autofree char *wrong = what_is_wrong (e, data_size);
        g_autofree char *quoted = dlh_name_quote (e->name);

        if (!wrong && e->begin != at)
            wrong = g_strdup_printf ("begins at byte %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                                     " is wanted: tensors may not %s",
                                     e->begin, at, e->begin > at ? "leave holes" : "overlap");
        if (wrong) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: %s", quoted, wrong);
            return FALSE;
        }
        at = e->end;
    }
    if (n_stray)
        *n_stray = data_size - at;
    if (at == data_size || n_stray)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%" G_GUINT64_FORMAT " bytes follow after the last tensor", data_size - at);
    return FALSE;
}

gboolean
dlh_safetensors_parse_header (const char *text, gsize n, guint64 data_size, guint64 *n_stray,
                              GPtrArray *entries, GHashTable *metadata, GError **error)
{
    g_autoptr (GError) failure = NULL;
    Scanner s = {text, text, &failure};
    const char *bad;
    gboolean ok;

    if (!g_utf8_validate_len (text, n, &bad)) {
        s.p = bad;
        ok = fail (&s, "not UTF-8");
    } else {
        ok = scan_header (&s, entries, metadata);
    }
    skip_space (&s);
    if (ok && s.p != text + n)
        ok = fail (&s, "more text after the last '}'");
    if (ok)
        return check_places (entries, data_size, n_stray, error);
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
}
