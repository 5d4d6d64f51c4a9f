/* SPDX-License-Identifier: MIT */
/* Option values: from text to the plugin's struct and back. Numbers are read strictly and never by
 * the locale: what is not wholly a number is an error, not its first digits. */
#include "plugin/note.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include <dlhost/registry.h>

#define MAX_NAME 64  /* longer names get no suggestion */
#define MAX_SHOWN 60 /* characters of a value in a message */

/* One parsed value; what it points to belongs to the arena. */
typedef union {
    gboolean truth;
    gint64 whole;
    double real;
    const char *text;
    DlhDoubles reals;
    DlhInts wholes;
} Value;

static const struct {
    gsize size, align;
} type_layouts[] = {
    [DLH_OPTION_BOOL] = {sizeof (gboolean), _Alignof(gboolean)},
    [DLH_OPTION_INT] = {sizeof (gint64), _Alignof(gint64)},
    [DLH_OPTION_DOUBLE] = {sizeof (double), _Alignof(double)},
    [DLH_OPTION_STRING] = {sizeof (char *), _Alignof(char *)},
    [DLH_OPTION_CHOICE] = {sizeof (char *), _Alignof(char *)},
    [DLH_OPTION_DOUBLES] = {sizeof (DlhDoubles), _Alignof(DlhDoubles)},
    [DLH_OPTION_INTS] = {sizeof (DlhInts), _Alignof(DlhInts)},
};

static char *
show (const char *text, guint max)
{
    g_autofree char *valid = g_utf8_make_valid (text, -1);
    GString *shown = g_string_new (NULL);
    guint n = 0;

    for (const char *p = valid; *p; p = g_utf8_next_char (p)) {
        gunichar c = g_utf8_get_char (p);

        if (n++ == max) {
            g_string_append (shown, "...");
            break;
        }
        if (c == '\n')
            g_string_append (shown, "\\n");
        else if (g_unichar_iscntrl (c))
            g_string_append_printf (shown, "\\x%02x", c);
        else
            g_string_append_unichar (shown, c);
    }
    return g_string_free (shown, FALSE);
}

char *
dlh_text_show (const char *text)
{
    return show (text, MAX_SHOWN);
}

char *
dlh_path_show (const char *path)
{
    return show (path, PATH_MAX);
}

gboolean
dlh_name_valid (const char *name)
{
    gsize n = strlen (name);

    return n > 0 && strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

/* The shortest text that reads back as @x. */
static char *
double_text (double x)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    for (int digits = 15; digits <= 17; digits++) {
        char format[] = {'%', '.', '1', (char)('0' + digits - 10), 'g', '\0'};

        g_ascii_formatd (text, sizeof text, format, x);
        if (g_ascii_strtod (text, NULL) == x)
            break;
    }
    return g_strdup (text);
}

static gboolean
is_numeric (guint32 type)
{
    return type == DLH_OPTION_INT || type == DLH_OPTION_INTS || type == DLH_OPTION_DOUBLE ||
           type == DLH_OPTION_DOUBLES;
}

static gboolean
is_list (guint32 type)
{
    return type == DLH_OPTION_INTS || type == DLH_OPTION_DOUBLES;
}

/* The bound of a 64-bit integer stands for none. */
static double
bound (const DlhOption *o, double end)
{
    gboolean whole = o->type == DLH_OPTION_INT || o->type == DLH_OPTION_INTS;

    return whole && fabs (end) >= 0x1p63 ? copysign (INFINITY, end) : end;
}

char *
dlh_option_range (const DlhOption *option)
{
    double lo = bound (option, option->min), hi = bound (option, option->max);
    gboolean inf = (option->flags & DLH_ALLOW_INF) != 0;
    g_autofree char *low = double_text (lo), *high = double_text (hi);

    if (option->type == DLH_OPTION_CHOICE)
        return g_strdup (option->choices);
    if (!is_numeric (option->type) || (isinf (lo) && isinf (hi)))
        return NULL;
    return g_strdup_printf ("%c%s, %s%c",
                            option->flags & DLH_MIN_OPEN || (isinf (lo) && !inf) ? '(' : '[', low,
                            high, option->flags & DLH_MAX_OPEN || (isinf (hi) && !inf) ? ')' : ']');
}

/* "'lr' is 'fast', must be a number" */
static gboolean
bad_value (const DlhOption *o, const char *text, const char *want, GError **error)
{
    g_autofree char *shown = dlh_text_show (text);
    gboolean bracket = is_list (o->type) && text[0] != '[' && strchr (text, ',');

    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "'%s' is %s%s%s, %s", o->name,
                 bracket ? "[" : "'", shown, bracket ? "]" : "'", want);
    return FALSE;
}

/* "'betas' is [0, 1.2], each must be in [0, 1)" */
static gboolean
out_of_range (const DlhOption *o, const char *text, GError **error)
{
    g_autofree char *shown = dlh_text_show (text);
    double lo = bound (o, o->min), hi = bound (o, o->max);
    gboolean low = isfinite (lo), high = isfinite (hi);
    gboolean bracket = is_list (o->type) && text[0] != '[';
    g_autofree char *end = double_text (low ? lo : hi);
    g_autofree char *range = dlh_option_range (o);
    g_autofree char *must = NULL;

    if (low && high)
        must = g_strdup_printf ("in %s", range);
    else if (low)
        must = g_strdup_printf ("%s %s", o->flags & DLH_MIN_OPEN ? "above" : "at least", end);
    else if (high)
        must = g_strdup_printf ("%s %s", o->flags & DLH_MAX_OPEN ? "below" : "at most", end);
    else
        must = g_strdup ("finite");
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "'%s' is %s%s%s, %smust be %s%s%s", o->name,
                 bracket ? "[" : "", shown, bracket ? "]" : "", is_list (o->type) ? "each " : "",
                 must, o->unit[0] ? " " : "", o->unit);
    return FALSE;
}

static const char *
skip_digits (const char *p)
{
    while (g_ascii_isdigit (*p))
        p++;
    return p;
}

/* Whether @text is [+-] digits [. digits] [e [+-] digits] from end to end. */
static gboolean
is_decimal (const char *text)
{
    const char *p = text + (*text == '+' || *text == '-'), *start = p;
    gsize n;

    p = skip_digits (p);
    n = (gsize)(p - start);
    if (*p == '.') {
        start = ++p;
        p = skip_digits (p);
        n += (gsize)(p - start);
    }
    if (n == 0)
        return FALSE;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        start = p;
        p = skip_digits (p);
        if (p == start)
            return FALSE;
    }
    return *p == '\0';
}

/* Returns: NULL, or what the text should have been. */
static const char *
read_double (const char *text, double *x)
{
    const char *unsigned_text = text + (*text == '+' || *text == '-');

    if (g_ascii_strcasecmp (unsigned_text, "inf") == 0 ||
        g_ascii_strcasecmp (unsigned_text, "infinity") == 0) {
        *x = *text == '-' ? -INFINITY : INFINITY;
        return NULL;
    }
    if (!is_decimal (text))
        return "must be a number";
    *x = g_ascii_strtod (text, NULL);
    if (isinf (*x))
        return "must be a number of at most 1.8e308";
    if (*x == 0 && strcspn (text, "123456789") < strcspn (text, "eE"))
        return "must be 0 or a number of at least 4.9e-324";
    return NULL;
}

static const char *
read_whole (const char *text, gint64 *x)
{
    const char *digits = text + (*text == '+' || *text == '-');

    if (!*digits || *skip_digits (digits))
        return "must be a whole number";
    errno = 0;
    *x = g_ascii_strtoll (text, NULL, 10);
    return errno == ERANGE ? "must be a whole number of at most 64 bits" : NULL;
}

static gboolean
double_in_range (const DlhOption *o, double x)
{
    if (isinf (x) && !(o->flags & DLH_ALLOW_INF))
        return FALSE;
    return (o->flags & DLH_MIN_OPEN ? x > o->min : x >= o->min) &&
           (o->flags & DLH_MAX_OPEN ? x < o->max : x <= o->max);
}

/* Exact also beyond 2^53, where a double no longer holds every integer. */
static gboolean
whole_in_range (const DlhOption *o, gint64 x)
{
    if (o->min >= 0x1p63 || o->max < -0x1p63)
        return FALSE;
    if (o->min > -0x1p63) {
        gint64 lo = (gint64)ceil (o->min);

        if (x < lo || (x == lo && o->flags & DLH_MIN_OPEN && (double)lo == o->min))
            return FALSE;
    }
    if (o->max < 0x1p63) {
        gint64 hi = (gint64)floor (o->max);

        if (x > hi || (x == hi && o->flags & DLH_MAX_OPEN && (double)hi == o->max))
            return FALSE;
    }
    return TRUE;
}

static gboolean
parse_bool (const DlhOption *o, const char *text, gboolean *truth, GError **error)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (guint i = 0; i < G_N_ELEMENTS (words); i++)
        if (g_ascii_strcasecmp (text, words[i]) == 0) {
            *truth = i % 2 == 1;
            return TRUE;
        }
    return bad_value (o, text, "must be true or false", error);
}

static gboolean
parse_choice (const DlhOption *o, const char *text, GError **error)
{
    g_auto (GStrv) choices = g_strsplit (o->choices, "|", -1);
    const char *near;
    g_autofree char *joined = NULL, *want = NULL;

    if (g_strv_contains ((const char *const *)choices, text))
        return TRUE;
    near = dlh_nearest_name (text, (const char *const *)choices, g_strv_length (choices));
    joined = g_strjoinv (", ", choices);
    want = near ? g_strdup_printf ("must be one of %s; did you mean '%s'?", joined, near)
                : g_strdup_printf ("must be one of %s", joined);
    return bad_value (o, text, want, error);
}

/* One number at *@out, which is a gint64 or a double by the option's type. */
static gboolean
parse_number (const DlhOption *o, const char *item, const char *text, gpointer out, GError **error)
{
    gboolean whole = o->type == DLH_OPTION_INT || o->type == DLH_OPTION_INTS;
    const char *want = whole ? read_whole (item, out) : read_double (item, out);
    g_autofree char *each = NULL;

    if (want) {
        each = is_list (o->type) ? g_strconcat ("each ", want, NULL) : g_strdup (want);
        return bad_value (o, text, each, error);
    }
    if (whole ? whole_in_range (o, *(gint64 *)out) : double_in_range (o, *(double *)out))
        return TRUE;
    if (!whole && isinf (*(double *)out) && !(o->flags & DLH_ALLOW_INF))
        return bad_value (o, text, is_list (o->type) ? "each must be finite" : "must be finite",
                          error);
    return out_of_range (o, text, error);
}

/* [0, 0.9] or 0,0.9 or 0.9; spaces around an item are skipped. */
static gboolean
parse_list (const DlhOption *o, const char *text, GPtrArray *arena, Value *value, GError **error)
{
    gsize n = strlen (text);
    gboolean bracket = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    g_autofree char *inner = bracket ? g_strndup (text + 1, n - 2) : g_strdup (text);
    g_auto (GStrv) items = NULL;
    gsize n_items;
    gint64 *numbers; // or doubles, of the same size

    if (bracket && *g_strstrip (inner) == '\0') {
        *value = (Value){.wholes = {0}};
        return o->flags & DLH_ALLOW_EMPTY ||
               bad_value (o, text, "must have at least one item", error);
    }
    items = g_strsplit (inner, ",", -1);
    n_items = g_strv_length (items);
    if (n_items == 0)
        return bad_value (o, text, "must be a list such as [1,2]", error);
    numbers = g_new0 (gint64, n_items);
    g_ptr_array_add (arena, numbers);
    for (gsize i = 0; i < n_items; i++)
        if (!parse_number (o, g_strstrip (items[i]), text, &numbers[i], error))
            return FALSE;
    if (o->type == DLH_OPTION_INTS)
        value->wholes = (DlhInts){numbers, n_items};
    else
        value->reals = (DlhDoubles){(gpointer)numbers, n_items};
    return TRUE;
}

static gboolean
parse_value (const DlhOption *o, const char *text, GPtrArray *arena, Value *value, GError **error)
{
    if (!g_utf8_validate (text, -1, NULL))
        return bad_value (o, text, "must be UTF-8 text", error);
    switch (o->type) {
    case DLH_OPTION_BOOL:
        return parse_bool (o, text, &value->truth, error);
    case DLH_OPTION_INT:
    case DLH_OPTION_DOUBLE:
        return parse_number (o, text, text, value, error);
    case DLH_OPTION_CHOICE:
        if (!parse_choice (o, text, error))
            return FALSE;
        break;
    case DLH_OPTION_DOUBLES:
    case DLH_OPTION_INTS:
        return parse_list (o, text, arena, value, error);
    default:
        break;
    }
    value->text = g_strdup (text);
    g_ptr_array_add (arena, (gpointer)value->text);
    return TRUE;
}

static gboolean
refuse (const DlhOption *o, GError **error, const char *why)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "has a damaged note: option '%s' %s", o->name,
                 why);
    return FALSE;
}

static gboolean
check_choices (const DlhOption *o, GError **error)
{
    g_auto (GStrv) choices = g_strsplit (o->choices, "|", -1);

    if (!choices[0])
        return refuse (o, error, "has no choices");
    for (guint i = 0; choices[i]; i++) {
        if (!*choices[i])
            return refuse (o, error, "has an empty choice");
        for (guint j = 0; j < i; j++)
            if (strcmp (choices[i], choices[j]) == 0)
                return refuse (o, error, "has a choice twice");
    }
    return TRUE;
}

gboolean
dlh_option_check (const DlhOption *option, gsize options_bytes, GError **error)
{
    g_autoptr (GPtrArray) arena = g_ptr_array_new_with_free_func (g_free);
    Value value = {0};
    gsize size, align;

    if (!dlh_name_valid (option->name))
        return refuse (option, error, "may have only a-z, 0-9, '_' and '-' in its name");
    if (option->type < DLH_OPTION_BOOL || option->type > DLH_OPTION_INTS)
        return refuse (option, error, "is of a type that this dlhost does not know");
    size = type_layouts[option->type].size;
    align = type_layouts[option->type].align;
    if (option->size != size)
        return refuse (option, error, "is not of its type's size");
    if (option->offset % align || option->offset > options_bytes ||
        size > options_bytes - option->offset)
        return refuse (option, error, "lies outside of the option struct or is not aligned");
    if (is_numeric (option->type) && !(option->min <= option->max))
        return refuse (option, error, "has an empty range");
    if (option->type == DLH_OPTION_CHOICE && !check_choices (option, error))
        return FALSE;
    if (parse_value (option, option->preset, arena, &value, error))
        return TRUE;
    if (error)
        (*error)->code = DLH_ERROR_PLUGIN;
    g_prefix_error (error, "has a damaged note: default of ");
    return FALSE;
}

static gboolean
check_names (const char *who, const DlhOption *options, guint n, GHashTable *settings,
             GError **error)
{
    g_autofree const char **names = g_new0 (const char *, n + 1);
    g_autofree char *shown = NULL, *all = NULL;
    const char *unknown = NULL, *near;
    GHashTableIter iter;
    gpointer key;

    for (guint i = 0; i < n; i++)
        names[i] = options[i].name;
    // The first in the alphabet, so that the message does not depend on the table's order.
    g_hash_table_iter_init (&iter, settings);
    while (g_hash_table_iter_next (&iter, &key, NULL))
        if (!g_strv_contains (names, key) && (!unknown || strcmp (key, unknown) < 0))
            unknown = key;
    if (!unknown)
        return TRUE;
    shown = dlh_text_show (unknown);
    near = dlh_nearest_name (unknown, names, n);
    all = g_strjoinv (", ", (char **)names);
    if (near)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: no option '%s'; did you mean '%s'?",
                     who, shown, near);
    else if (n)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: no option '%s'; it has %s", who,
                     shown, all);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s: no option '%s'; it has none", who,
                     shown);
    return FALSE;
}

gpointer
dlh_options_parse (const char *who, const DlhOption *options, guint n, GHashTable *settings,
                   gpointer out, GError **error)
{
    g_autoptr (GPtrArray) arena = g_ptr_array_new_with_free_func (g_free);
    g_autofree Value *values = g_new0 (Value, n + 1);

    if (settings && !check_names (who, options, n, settings, error))
        return NULL;
    for (guint i = 0; i < n; i++) {
        const char *text = settings ? g_hash_table_lookup (settings, options[i].name) : NULL;

        if (!parse_value (&options[i], text ? text : options[i].preset, arena, &values[i], error)) {
            g_prefix_error (error, "%s: ", who);
            return NULL;
        }
    }
    // Only now, so that an error leaves the struct as it was.
    for (guint i = 0; i < n; i++)
        memcpy ((guint8 *)out + options[i].offset, &values[i], type_layouts[options[i].type].size);
    return g_steal_pointer (&arena);
}

void
dlh_options_arena_free (gpointer arena)
{
    if (arena)
        g_ptr_array_unref (arena);
}

char *
dlh_option_text (const DlhOption *option, gconstpointer options)
{
    GString *list;
    gsize n;
    Value v;

    memcpy (&v, (const guint8 *)options + option->offset, type_layouts[option->type].size);
    switch (option->type) {
    case DLH_OPTION_BOOL:
        return g_strdup (v.truth ? "true" : "false");
    case DLH_OPTION_INT:
        return g_strdup_printf ("%" G_GINT64_FORMAT, v.whole);
    case DLH_OPTION_DOUBLE:
        return double_text (v.real);
    case DLH_OPTION_DOUBLES:
    case DLH_OPTION_INTS:
        break;
    default:
        return g_strdup (v.text);
    }
    list = g_string_new ("[");
    n = option->type == DLH_OPTION_INTS ? v.wholes.n : v.reals.n;
    for (gsize i = 0; i < n; i++) {
        g_autofree char *item = option->type == DLH_OPTION_INTS
                                    ? g_strdup_printf ("%" G_GINT64_FORMAT, v.wholes.values[i])
                                    : double_text (v.reals.values[i]);

        g_string_append_printf (list, "%s%s", i ? "," : "", item);
    }
    return g_string_free (g_string_append_c (list, ']'), FALSE);
}

/* Insertions, deletions, substitutions and swaps of neighbours between @a and @b (Damerau and
 * Levenshtein; no substring is edited twice). */
static guint
edit_distance (const char *a, gsize na, const char *b, gsize nb)
{
    guint rows[3][MAX_NAME + 1];

    for (gsize j = 0; j <= nb; j++)
        rows[0][j] = (guint)j;
    for (gsize i = 1; i <= na; i++) {
        guint *row = rows[i % 3];
        const guint *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = (guint)i;
        for (gsize j = 1; j <= nb; j++) {
            guint same = a[i - 1] == b[j - 1] ? 0 : 1;

            row[j] = MIN (MIN (above[j], row[j - 1]) + 1, above[j - 1] + same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = MIN (row[j], before[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *
dlh_nearest_name (const char *name, const char *const *names, guint n)
{
    g_autofree char *lower = g_ascii_strdown (name, -1);
    gsize length = strlen (lower);
    const char *nearest = NULL;
    guint best = G_MAXUINT;

    if (length == 0 || length > MAX_NAME)
        return NULL;
    for (guint i = 0; i < n; i++) {
        g_autofree char *other = g_ascii_strdown (names[i], -1);
        gsize m = strlen (other);
        guint distance;

        if (m == 0 || m > MAX_NAME)
            continue;
        distance = edit_distance (lower, length, other, m);
        // The beginning of a name is as good as one slip.
        if (length >= 2 && g_str_has_prefix (other, lower))
            distance = MIN (distance, 1);
        if (distance <= MAX (1, MAX (length, m) / 3) && distance < MAX (length, m) &&
            distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
