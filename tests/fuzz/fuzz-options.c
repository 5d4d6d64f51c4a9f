/* SPDX-License-Identifier: MIT */
/* Any text as an option's value, for options of every type: what is accepted lies in the range and
 * reads back as the same value; what is refused leaves the struct alone. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include <dlhost/registry.h>

#include "plugin/note.h"

typedef struct {
    gboolean truth;
    gint64 whole;
    double real;
    const char *text;
    const char *choice;
    DlhDoubles reals;
    DlhInts wholes;
} Options;

static const DlhOption table[] = {
    DLH_BOOL_OPTION (Options, truth, false, ""),
    DLH_INT (Options, whole, 2, -5, 1000000, "", .flags = DLH_MIN_OPEN),
    DLH_DOUBLE (Options, real, 0.5, 0, INFINITY, "", .flags = DLH_ALLOW_INF),
    DLH_STRING (Options, text, "", ""),
    DLH_CHOICE (Options, choice, "a", "a|b|other", ""),
    DLH_DOUBLES (Options, reals, "[0]", -1, 1, "", .flags = DLH_MAX_OPEN | DLH_ALLOW_EMPTY),
    DLH_INTS (Options, wholes, "[7]", G_MININT64, G_MAXINT64, ""),
};

static gpointer
parse (const char *name, const char *value, Options *out)
{
    g_autoptr (GHashTable) settings = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    gpointer arena;

    g_hash_table_insert (settings, (gpointer)name, (gpointer)value);
    arena = dlh_options_parse ("fuzz", table, G_N_ELEMENTS (table), settings, out, &error);
    g_assert_true ((arena == NULL) == (error != NULL));
    if (error) {
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_OPTION));
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
        g_assert_null (strchr (error->message, '\n'));
    }
    return arena;
}

static void
check_ranges (const Options *o)
{
    g_assert_true (o->truth == FALSE || o->truth == TRUE);
    g_assert_true (o->whole > -5 && o->whole <= 1000000);
    g_assert_true (o->real >= 0);
    g_assert_true (g_utf8_validate (o->text, -1, NULL));
    for (gsize i = 0; i < o->reals.n; i++)
        g_assert_true (o->reals.values[i] >= -1 && o->reals.values[i] < 1);
    g_assert_true (o->wholes.n > 0);
}

/* The printed value is accepted in its turn and prints the same. */
static void
check_round_trip (const DlhOption *option, const Options *o)
{
    g_autofree char *text = dlh_option_text (option, o);
    Options again = {0};
    gpointer arena = parse (option->name, text, &again);
    g_autofree char *text_again = NULL;

    g_assert_nonnull (arena);
    text_again = dlh_option_text (option, &again);
    g_assert_cmpstr (text, ==, text_again);
    dlh_options_arena_free (arena);
}

gboolean
fuzz_options (const guint8 *data, gsize n)
{
    // The first byte chooses the option; 7 and more: the value is an unknown name as well.
    guint which = n ? data[0] % (G_N_ELEMENTS (table) + 1) : 0;
    g_autofree char *value = n ? g_strndup ((const char *)data + 1, n - 1) : g_strdup ("");
    const DlhOption *option = which < G_N_ELEMENTS (table) ? &table[which] : NULL;
    Options o, before;
    gpointer arena;

    memset (&o, 0x5a, sizeof o);
    before = o;
    arena = parse (option ? option->name : value, value, &o);
    if (!arena) {
        g_assert_cmpmem (&o, sizeof o, &before, sizeof before);
        return FALSE;
    }
    check_ranges (&o);
    if (option)
        check_round_trip (option, &o);
    dlh_options_arena_free (arena);
    return TRUE;
}

FUZZ_ENTRY (fuzz_options)
