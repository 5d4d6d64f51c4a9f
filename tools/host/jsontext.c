/* SPDX-License-Identifier: MIT */
/* json-glib reads more than JSON: comments, strings in single quotes, octal escapes that give bytes
 * which are no text. And it recurses, so that deep nesting overflows its stack; a quote within a
 * comment could hide that from whoever counts brackets. So a text is looked through before. */
#include <string.h>
#include "jsontext.h"

#define MAX_DEPTH 16 /* no configuration has more than a list in a component's object */

// The 16-bit number of \uXXXX at @p; -1 when it is none.
static int
unicode_escape (const char *p, gsize n)
{
    int value = 0;

    if (n < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (guint i = 2; i < 6; i++) {
        if (!g_ascii_isxdigit (p[i]))
            return -1;
        value = value * 16 + g_ascii_xdigit_value (p[i]);
    }
    return value;
}

// How many bytes the escape at @p takes; 0 when JSON has none such, or it stands for half a
// character or for NUL.
static gsize
escape_length (const char *p, gsize n)
{
    int first = unicode_escape (p, n), second;

    if (n >= 2 && p[1] && strchr ("\"\\/bfnrt", p[1]))
        return 2;
    if (first <= 0 || (first >= 0xdc00 && first <= 0xdfff))
        return 0;
    if (first < 0xd800 || first > 0xdfff)
        return 6;
    second = unicode_escape (p + 6, n - 6);
    return second >= 0xdc00 && second <= 0xdfff ? 12 : 0;
}

// The byte after the string that begins at text[i]; 0 when something in it is wrong.
static gsize
string_end (const char *text, gsize n, gsize i, const char **problem, gsize *at)
{
    for (i++; i < n && text[i] != '"';) {
        gsize length = text[i] == '\\' ? escape_length (text + i, n - i) : 1;

        if (length == 0 || (guint8)text[i] < 0x20) {
            *problem = length == 0 ? "an escape that JSON does not have"
                                   : "a control character in a string";
            *at = i;
            return 0;
        }
        i += length;
    }
    if (i >= n) {
        *problem = "a string without an end";
        *at = n;
        return 0;
    }
    return i + 1;
}

const char *
json_text_problem (const char *text, gsize n, gsize *at)
{
    const char *bad, *problem = NULL;
    guint depth = 0;

    if (n > 0 && !g_utf8_validate_len (text, n, &bad)) {
        *at = (gsize)(bad - text);
        return "it is not UTF-8";
    }
    for (gsize i = 0; i < n;) {
        *at = i;
        if (text[i] == '"') {
            i = string_end (text, n, i, &problem, at);
            if (problem)
                return problem;
            continue;
        }
        if (!g_ascii_isalnum (text[i]) && !strchr ("[]{}:,+-. \t\r\n", text[i]))
            return "a character that JSON does not have outside of strings (it has no comments)";
        if ((text[i] == '[' || text[i] == '{') && ++depth > MAX_DEPTH)
            return "it is nested too deeply";
        if ((text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
        i++;
    }
    return NULL;
}
