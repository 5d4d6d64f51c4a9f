/* SPDX-License-Identifier: MIT */
/* Every parameter at its default, at the ends of its range, just inside and just outside. A value
 * in range is accepted or refused with an error; one outside never reaches the plugin. */
#include <math.h>
#include <string.h>
#include "check.h"

#define HEAVY 100 /* a number above it may be a size that is more than a check can do */
#define SLOW (G_USEC_PER_SEC / 4)
#define EXACT 9007199254740992.0 /* beyond it whole numbers have gaps in a double */

typedef struct {
    Check *check;
    const DlhOption *option;
    guint n_accepted, n_refused, n_left;
    gint64 deadline; /* values after it are left to --long; 0: none */
    gboolean failed;
} Trial;

static gboolean
one_line (const GError *error)
{
    return *error->message && !strchr (error->message, '\n');
}

static gboolean
is_known (const GError *error)
{
    return error->domain == DLH_ERROR && error->code != DLH_ERROR_PLUGIN &&
           error->code != DLH_ERROR_GRAPH && error->code != DLH_ERROR_CANCELLED;
}

static GHashTable *
setting (const DlhOption *o, const char *value)
{
    GHashTable *table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);

    g_hash_table_insert (table, (gpointer)o->name, g_strdup (value));
    return table;
}

static void
inside (Trial *t, const char *value, gboolean heavy)
{
    g_autoptr (GHashTable) table = setting (t->option, value);
    g_autoptr (GError) error = NULL;

    if (t->failed)
        return;
    if (t->deadline && g_get_monotonic_time () > t->deadline) {
        t->n_left++;
        return;
    }
    check_note (t->check, heavy, "%s=%.60s", t->option->name, value);
    if (check_use (t->check, table, &error)) {
        t->n_accepted++;
        return;
    }
    t->failed = !is_known (error) || !one_line (error);
    if (t->failed)
        check_fail (t->check,
                    "%s=%.60s: '%s', a value in range is accepted or refused with "
                    "DLH_ERROR_OPTION or _SHAPE and a message of one line",
                    t->option->name, value, error->message);
    t->n_refused++;
}

static void
outside (Trial *t, const char *value)
{
    g_autoptr (GHashTable) table = setting (t->option, value);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) component = NULL;

    if (t->failed)
        return;
    check_note (t->check, FALSE, "%s=%.60s", t->option->name, value);
    component = check_load (t->check, table, &error);
    if (!component && g_error_matches (error, DLH_ERROR, DLH_ERROR_OPTION))
        return;
    t->failed = TRUE;
    check_fail (t->check, "%s=%.60s is out of range, must be refused with DLH_ERROR_OPTION: %s",
                t->option->name, value, component ? "it was accepted" : error->message);
}

static gboolean
is_whole (const DlhOption *o)
{
    return o->type == DLH_OPTION_INT || o->type == DLH_OPTION_INTS;
}

static char *
text_of (const DlhOption *o, double x)
{
    gboolean whole = is_whole (o);
    gboolean list = o->type == DLH_OPTION_INTS || o->type == DLH_OPTION_DOUBLES;
    g_autofree char *number = whole ? g_strdup_printf ("%.0f", x) : g_strdup_printf ("%.17g", x);

    return list ? g_strdup_printf ("[%s]", number) : g_steal_pointer (&number);
}

static void
try_number (Trial *t, double x, gboolean in_range)
{
    g_autofree char *text = text_of (t->option, x);

    if (!isfinite (x))
        return;
    if (in_range)
        inside (t, text, fabs (x) > HEAVY);
    else
        outside (t, text);
}

// The number next to @end, above it when @sign is 1.
static double
next_to (const DlhOption *o, double end, double sign)
{
    return is_whole (o) ? end + sign : nextafter (end, sign * INFINITY);
}

static gboolean
is_end (const DlhOption *o, double end)
{
    return isfinite (end) && fabs (end) < 1e300 && !(is_whole (o) && fabs (end) >= EXACT);
}

// Outside first: what is inside may take all the time there is.
static void
try_numbers (Trial *t)
{
    const DlhOption *o = t->option;
    const double ends[] = {o->min, o->max}, signs[] = {-1, 1};
    const gboolean open[] = {(o->flags & DLH_MIN_OPEN) != 0, (o->flags & DLH_MAX_OPEN) != 0};

    for (guint i = 0; i < 2; i++)
        if (is_end (o, ends[i])) {
            if (open[i])
                try_number (t, ends[i], FALSE);
            try_number (t, next_to (o, ends[i], signs[i]), FALSE);
        }
    for (guint i = 0; i < 2; i++)
        if (is_end (o, ends[i])) {
            double in = next_to (o, ends[i], -signs[i]);

            if (!open[i])
                try_number (t, ends[i], TRUE);
            if (in >= o->min && in <= o->max)
                try_number (t, in, TRUE);
        }
}

static void
try_list (Trial *t)
{
    g_autoptr (GString) many = g_string_new ("[");
    const DlhOption *o = t->option;
    gboolean whole = o->type == DLH_OPTION_INTS;
    double x = o->flags & DLH_MIN_OPEN ? fmin (1, o->max / 2) : o->min;

    for (guint i = 0; i < 12; i++)
        g_string_append_printf (many, whole ? "%s%.0f" : "%s%.17g", i ? "," : "", x);
    g_string_append_c (many, ']');
    if (isfinite (x))
        inside (t, many->str, fabs (x) > HEAVY);
    if (o->flags & DLH_ALLOW_EMPTY)
        inside (t, "[]", FALSE);
    else
        outside (t, "[]");
    try_numbers (t);
}

static void
try_texts (Trial *t)
{
    g_autofree char *longest = g_strnfill (5000, 'x');

    inside (t, "", FALSE);
    inside (t, "/nowhere/../dlhost check %s%n", FALSE);
    inside (t, longest, FALSE);
}

static void
try_choices (Trial *t)
{
    g_auto (GStrv) names = g_strsplit (t->option->choices, "|", -1);

    for (guint i = 0; names[i]; i++)
        inside (t, names[i], FALSE);
    outside (t, "no-such-choice");
}

static void
try_values (Trial *t)
{
    switch ((DlhOptionType)t->option->type) {
    case DLH_OPTION_BOOL:
        inside (t, "true", FALSE);
        inside (t, "false", FALSE);
        outside (t, "perhaps");
        break;
    case DLH_OPTION_INT:
    case DLH_OPTION_DOUBLE:
        try_numbers (t);
        break;
    case DLH_OPTION_STRING:
        try_texts (t);
        break;
    case DLH_OPTION_CHOICE:
        try_choices (t);
        break;
    case DLH_OPTION_DOUBLES:
    case DLH_OPTION_INTS:
        try_list (t);
        break;
    }
}

// @slow: a use takes so long that the value is only read.
static void
check_default (Check *c, const DlhOption *o, gboolean slow)
{
    g_autoptr (GHashTable) table = setting (o, o->preset);
    g_autoptr (DlhComponent) component = NULL;
    g_autoptr (GError) error = NULL;

    check_note (c, FALSE, "%s=%.60s", o->name, o->preset);
    if (slow ? (component = check_load (c, table, &error)) != NULL : check_use (c, table, &error))
        check_ok (c, "%s", *o->preset ? o->preset : "''");
    else
        check_fail (c, "the default %s given by itself: %s; it must be accepted and work",
                    o->preset, error->message);
}

static void
check_range (Check *c, const DlhOption *o)
{
    Trial t = {.check = c, .option = o};
    g_autofree char *left = NULL;

    if (!c->thorough)
        t.deadline = g_get_monotonic_time () + SLOW;
    try_values (&t);
    if (t.failed)
        return;
    left = t.n_left ? g_strdup_printf ("; %u more with --long", t.n_left) : g_strdup ("");
    check_ok (c, "%u values accepted, %u refused by the plugin%s", t.n_accepted, t.n_refused, left);
}

void
check_options (Check *c)
{
    gint64 start = g_get_monotonic_time ();
    g_autoptr (GError) error = NULL;
    // A data set whose files are not here refuses everything: then nothing must crash.
    gboolean usable = check_use (c, NULL, &error);
    gboolean slow = !c->thorough && g_get_monotonic_time () - start > SLOW;

    for (guint i = 0; i < c->info->manifest->n_options; i++) {
        const DlhOption *o = &c->info->options[i];

        if (usable && !g_hash_table_contains (c->settings, o->name) &&
            check_begin (c, "default", o->name))
            check_default (c, o, slow);
        if (check_begin (c, "range", o->name))
            check_range (c, o);
    }
}
