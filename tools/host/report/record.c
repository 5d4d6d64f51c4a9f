/* SPDX-License-Identifier: MIT */
/* A line of metrics.jsonl. A general JSON parser takes 20 times as long, and files of a million
 * lines are not rare. */
#include <math.h>
#include <string.h>
#include "metrics.h"

#define MAX_DEPTH 16

typedef struct {
    const char *p, *end;
    GString *key, *text;
} Scanner;

static void
skip_space (Scanner *s)
{
    while (s->p < s->end && strchr (" \t\r", *s->p) && *s->p)
        s->p++;
}

static gboolean
take (Scanner *s, char c)
{
    skip_space (s);
    if (s->p >= s->end || *s->p != c)
        return FALSE;
    s->p++;
    return TRUE;
}

static gboolean
scan_hex (Scanner *s, guint *code)
{
    *code = 0;
    for (guint i = 0; i < 4; i++, s->p++) {
        if (s->p >= s->end || !g_ascii_isxdigit (*s->p))
            return FALSE;
        *code = *code * 16 + (guint)g_ascii_xdigit_value (*s->p);
    }
    return TRUE;
}

// After "\u": a character, or a pair of surrogates.
static gboolean
scan_unicode (Scanner *s, GString *out)
{
    guint code, low;

    if (!scan_hex (s, &code))
        return FALSE;
    if (code >= 0xd800 && code < 0xdc00) {
        if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
            return FALSE;
        s->p += 2;
        if (!scan_hex (s, &low) || low < 0xdc00 || low > 0xdfff)
            return FALSE;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (!code || (code >= 0xd800 && code < 0xe000))
        return FALSE;
    g_string_append_unichar (out, code);
    return TRUE;
}

static gboolean
scan_string (Scanner *s, GString *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;

    g_string_truncate (out, 0);
    if (!take (s, '"'))
        return FALSE;
    while (s->p < s->end && *s->p != '"') {
        const char *start = s->p;

        while (s->p < s->end && *s->p != '"' && *s->p != '\\' && (guchar)*s->p >= 0x20)
            s->p++;
        g_string_append_len (out, start, s->p - start);
        if (s->p >= s->end || (guchar)*s->p < 0x20)
            return FALSE;
        if (*s->p == '"')
            break;
        if (++s->p >= s->end)
            return FALSE;
        if (*s->p == 'u') {
            s->p++;
            if (!scan_unicode (s, out))
                return FALSE;
        } else if (*s->p && (found = strchr (from, *s->p))) {
            g_string_append_c (out, to[found - from]);
            s->p++;
        } else
            return FALSE;
    }
    return take (s, '"');
}

static gboolean
scan_number (Scanner *s, double *value)
{
    char text[64], *end;
    gsize n = 0;

    while (s->p + n < s->end && s->p[n] && strchr ("+-.0123456789eE", s->p[n]))
        n++;
    if (!n || n >= sizeof text || *s->p == '+' || *s->p == '.')
        return FALSE;
    memcpy (text, s->p, n);
    text[n] = '\0';
    *value = g_ascii_strtod (text, &end);
    s->p += n;
    return *end == '\0';
}

static gboolean
scan_word (Scanner *s)
{
    static const char *const words[] = {"null", "true", "false"};

    for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
        gsize n = strlen (words[i]);

        if ((gsize)(s->end - s->p) >= n && memcmp (s->p, words[i], n) == 0) {
            s->p += n;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean scan_value (Scanner *s, guint depth, double *value, gboolean *is_text);

// Lists and objects inside a record are passed over.
static gboolean
skip_nested (Scanner *s, char close, guint depth)
{
    gboolean is_text;
    double value;

    s->p++;
    if (take (s, close))
        return TRUE;
    do {
        if (close == '}' && (!scan_string (s, s->text) || !take (s, ':')))
            return FALSE;
        if (!scan_value (s, depth + 1, &value, &is_text))
            return FALSE;
    } while (take (s, ','));
    return take (s, close);
}

static gboolean
scan_value (Scanner *s, guint depth, double *value, gboolean *is_text)
{
    *value = NAN;
    *is_text = FALSE;
    skip_space (s);
    if (s->p >= s->end || depth > MAX_DEPTH)
        return FALSE;
    if (*s->p == '"') {
        *is_text = TRUE;
        return scan_string (s, s->text);
    }
    if (*s->p == '[' || *s->p == '{')
        return skip_nested (s, *s->p == '[' ? ']' : '}', depth);
    return scan_word (s) || scan_number (s, value);
}

static gboolean
scan_members (Scanner *s, RecordFunc func, gpointer data)
{
    gboolean is_text;
    double value;

    if (!take (s, '{'))
        return FALSE;
    if (take (s, '}'))
        return TRUE;
    do {
        if (!scan_string (s, s->key) || !take (s, ':') || !scan_value (s, 0, &value, &is_text))
            return FALSE;
        func (s->key->str, value, is_text ? s->text->str : NULL, data);
    } while (take (s, ','));
    return take (s, '}');
}

gboolean
record_scan (const char *line, gsize n, RecordFunc func, gpointer data)
{
    g_autoptr (GString) key = g_string_new (NULL), text = g_string_new (NULL);
    Scanner s = {line, line + n, key, text};

    if (!scan_members (&s, func, data))
        return FALSE;
    skip_space (&s);
    return s.p == s.end;
}
