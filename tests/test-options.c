/* SPDX-License-Identifier: MIT */
/* Option values: every type, every way to be wrong, and the message of each. */
#include "test.h"

#include <locale.h>

typedef struct {
    double lr, clip, gain;
    gint64 steps, id, level;
    gboolean on;
    const char *label;
    const char *norm;
    DlhDoubles betas;
    DlhInts sizes;
} Options;

static const DlhOption table[] = {
    DLH_DOUBLE (Options, lr, 0.1, 0.0, 100.0, "Step size"),
    DLH_DOUBLE (Options, clip, inf, 0.0, INFINITY, "Largest norm",
                .flags = DLH_MIN_OPEN | DLH_ALLOW_INF),
    DLH_DOUBLE (Options, gain, 1, -INFINITY, 5, "Gain", .unit = "dB", .flags = DLH_MAX_OPEN),
    DLH_INT (Options, steps, 10, 1, 9007199254740992, "Steps", .flags = DLH_MIN_OPEN),
    DLH_INT (Options, id, -9223372036854775808, G_MININT64, G_MAXINT64, "Any"),
    DLH_BOOL_OPTION (Options, on, false, "Whether"),
    DLH_STRING (Options, label, "a, b", "Text"),
    DLH_CHOICE (Options, norm, "l2", "l1|l2|maximum", "Norm"),
    DLH_DOUBLES (Options, betas, "0,0.9,0.99", 0.0, 1.0, "Each", .flags = DLH_MAX_OPEN),
    DLH_INTS (Options, sizes, "[]", 1, 4096, "Sizes", .flags = DLH_ALLOW_EMPTY),
    DLH_INT (Options, level, 0, 0, 10, "Level", .flags = DLH_MAX_OPEN),
};

/* Parses the defaults with one option set. */
static gpointer
parse (const char *name, const char *text, Options *out, GError **error)
{
    g_autoptr (GHashTable) settings = g_hash_table_new (g_str_hash, g_str_equal);

    if (name)
        g_hash_table_insert (settings, (gpointer)name, (gpointer)text);
    return dlh_options_parse ("t", table, G_N_ELEMENTS (table), settings, out, error);
}

static void
defaults_read (void)
{
    g_autoptr (GError) error = NULL;
    Options o = {0};
    gpointer arena = dlh_options_parse ("t", table, G_N_ELEMENTS (table), NULL, &o, &error);

    g_assert_no_error (error);
    g_assert_cmpfloat (o.lr, ==, 0.1);
    g_assert_true (isinf (o.clip));
    g_assert_cmpint (o.steps, ==, 10);
    g_assert_cmpint (o.id, ==, G_MININT64);
    g_assert_false (o.on);
    g_assert_cmpstr (o.label, ==, "a, b");
    g_assert_cmpstr (o.norm, ==, "l2");
    g_assert_cmpuint (o.betas.n, ==, 3);
    g_assert_cmpfloat (o.betas.values[2], ==, 0.99);
    g_assert_cmpuint (o.sizes.n, ==, 0);
    dlh_options_arena_free (arena);
}

typedef struct {
    const char *path, *name, *text;
    double want;
} Accepted;

static const Accepted accepted[] = {
    {"double/plain", "lr", "0.25", 0.25},
    {"double/exponent", "lr", "2.5E-3", 0.0025},
    {"double/bare-point", "lr", ".5", 0.5},
    {"double/trailing-point", "lr", "5.", 5},
    {"double/plus", "lr", "+1", 1},
    {"double/lower-end", "lr", "0", 0},
    {"double/upper-end", "lr", "100", 100},
    {"double/zero-exponent", "lr", "0e5", 0},
    {"double/inf-where-allowed", "clip", "inf", INFINITY},
    {"double/unbounded", "gain", "-1e300", -1e300},
    {"int/plain", "steps", "42", 42},
    {"int/plus", "steps", "+2", 2},
    {"int/zeros", "steps", "007", 7},
    {"int/upper-end", "steps", "9007199254740992", 9007199254740992},
    {"bool/true", "on", "true", 1},
    {"bool/yes", "on", "yes", 1},
    {"bool/on", "on", "on", 1},
    {"bool/1", "on", "1", 1},
    {"bool/capital", "on", "TRUE", 1},
    {"bool/off", "on", "off", 0},
};

static double
option_value (const Options *o, const char *name)
{
    return strcmp (name, "lr") == 0      ? o->lr
           : strcmp (name, "clip") == 0  ? o->clip
           : strcmp (name, "gain") == 0  ? o->gain
           : strcmp (name, "steps") == 0 ? (double)o->steps
                                         : o->on;
}

static void
value_accepted (gconstpointer data)
{
    const Accepted *a = data;
    g_autoptr (GError) error = NULL;
    Options o = {.on = 77};
    gpointer arena = parse (a->name, a->text, &o, &error);

    g_assert_no_error (error);
    g_assert_cmpfloat (option_value (&o, a->name), ==, a->want);
    dlh_options_arena_free (arena);
}

typedef struct {
    const char *path, *name, *text, *message;
} Refused;

static const Refused refused[] = {
    {"double/word", "lr", "fast", "t: 'lr' is 'fast', must be a number"},
    {"double/empty", "lr", "", "t: 'lr' is '', must be a number"},
    {"double/leading-space", "lr", " 5", "t: 'lr' is ' 5', must be a number"},
    {"double/trailing-space", "lr", "5 ", "must be a number"},
    {"double/half-exponent", "lr", "1e", "must be a number"},
    {"double/hexadecimal", "lr", "0x1", "must be a number"},
    {"double/underscore", "lr", "1_000", "must be a number"},
    {"double/decimal-comma", "lr", "1,5", "must be a number"},
    {"double/lone-point", "lr", ".", "must be a number"},
    {"double/lone-sign", "lr", "-", "must be a number"},
    {"double/two-signs", "lr", "--1", "must be a number"},
    {"double/suffix", "lr", "1f", "must be a number"},
    {"double/nan", "lr", "nan", "t: 'lr' is 'nan', must be a number"},
    {"double/inf", "lr", "inf", "t: 'lr' is 'inf', must be finite"},
    {"double/inf-of-unbounded", "gain", "-inf", "t: 'gain' is '-inf', must be finite"},
    {"double/overflow", "clip", "1e400", "must be a number of at most 1.8e308"},
    {"double/underflow", "lr", "1e-400", "must be 0 or a number of at least"},
    {"double/below", "lr", "-1", "t: 'lr' is -1, must be in [0, 100]"},
    {"double/above", "lr", "100.1", "t: 'lr' is 100.1, must be in [0, 100]"},
    {"double/open-end", "clip", "0", "t: 'clip' is 0, must be above 0"},
    {"double/open-top-unit", "gain", "5", "t: 'gain' is 5, must be below 5 dB"},
    {"double/newline", "lr", "1\n2", "t: 'lr' is '1\\n2', must be a number"},
    {"double/long", "lr",
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
     "xxx...', must be a number"},
    {"int/fraction", "steps", "1.5", "t: 'steps' is '1.5', must be a whole number"},
    {"int/exponent", "steps", "1e3", "must be a whole number"},
    {"int/empty", "steps", "", "must be a whole number"},
    {"int/overflow", "id", "9223372036854775808", "must be a whole number of at most 64 bits"},
    {"int/open-end", "steps", "1", "t: 'steps' is 1, must be in (1, 9007199254740992]"},
    {"int/one-beyond-2^53", "steps", "9007199254740993", "must be in (1, 9007199254740992]"},
    {"int/open-top", "level", "10", "t: 'level' is 10, must be in [0, 10)"},
    {"bool/word", "on", "maybe", "t: 'on' is 'maybe', must be true or false"},
    {"bool/two", "on", "2", "must be true or false"},
    {"choice/typo", "norm", "maximun",
     "t: 'norm' is 'maximun', must be one of l1, l2, maximum; did you mean 'maximum'?"},
    {"choice/far", "norm", "xyz", "t: 'norm' is 'xyz', must be one of l1, l2, maximum"},
    {"choice/empty", "norm", "", "must be one of l1, l2, maximum"},
    {"choice/bar", "norm", "l1|l2", "must be one of l1, l2, maximum"},
    {"string/not-utf8", "label", "\xff", "must be UTF-8 text"},
    {"list/range", "betas", "[0, 1.2]", "t: 'betas' is [0, 1.2], each must be in [0, 1)"},
    {"list/range-bare", "betas", "0,1", "t: 'betas' is [0,1], each must be in [0, 1)"},
    {"list/word", "betas", "[0,x]", "t: 'betas' is '[0,x]', each must be a number"},
    {"list/empty", "betas", "[]", "t: 'betas' is '[]', must have at least one item"},
    {"list/empty-text", "sizes", "", "must be a list such as [1,2]"},
    {"list/trailing-comma", "betas", "[0,]", "each must be a number"},
    {"list/half-open", "betas", "[0,0.5", "each must be a number"},
    {"list/nested", "betas", "[[0]]", "each must be a number"},
    {"list/inf", "betas", "[inf]", "each must be finite"},
    {"list/int-fraction", "sizes", "[1,2.5]", "each must be a whole number"},
    {"list/int-range", "sizes", "[0]", "t: 'sizes' is [0], each must be in [1, 4096]"},
    {"name/typo", "stesp", "1", "t: no option 'stesp'; did you mean 'steps'?"},
    {"name/beginning", "lab", "1", "t: no option 'lab'; did you mean 'label'?"},
    {"name/capital", "LR", "1", "t: no option 'LR'; did you mean 'lr'?"},
    {"name/far", "temperature", "1",
     "t: no option 'temperature'; it has lr, clip, gain, steps, id, on, label, norm, betas, sizes, "
     "level"},
    {"name/escape", "\x1b[2J", "1", "t: no option '\\x1b[2J'; it has"},
    {"name/empty", "", "1", "t: no option ''; it has"},
};

static void
value_refused (gconstpointer data)
{
    const Refused *r = data;
    g_autoptr (GError) error = NULL;
    Options o, before;

    memset (&o, 0x5a, sizeof o);
    before = o;
    g_assert_null (parse (r->name, r->text, &o, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, r->message);
    g_assert_cmpmem (&o, sizeof o, &before, sizeof before);
}

static void
list_accepted (void)
{
    static const char *const texts[] = {"[0.5,0.25]", "0.5,0.25", "[ 0.5 , 0.25 ]", "0.5, 0.25"};

    for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
        g_autoptr (GError) error = NULL;
        Options o = {0};
        gpointer arena = parse ("betas", texts[i], &o, &error);

        g_assert_no_error (error);
        g_assert_cmpuint (o.betas.n, ==, 2);
        g_assert_cmpfloat (o.betas.values[0], ==, 0.5);
        g_assert_cmpfloat (o.betas.values[1], ==, 0.25);
        dlh_options_arena_free (arena);
    }
}

static void
list_integers (void)
{
    g_autoptr (GError) error = NULL;
    Options o = {0};
    gpointer arena = parse ("sizes", "[3,1,4096]", &o, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (o.sizes.n, ==, 3);
    g_assert_cmpint (o.sizes.values[2], ==, 4096);
    dlh_options_arena_free (arena);
}

// The first by the alphabet, whatever order the hash table has.
static void
names_two_unknown (void)
{
    g_autoptr (GHashTable) settings = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    Options o = {0};

    g_hash_table_insert (settings, (gpointer) "zebra", (gpointer) "1");
    g_hash_table_insert (settings, (gpointer) "aardvark", (gpointer) "1");
    g_assert_null (dlh_options_parse ("t", table, G_N_ELEMENTS (table), settings, &o, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "no option 'aardvark'");
    g_assert_null (dlh_options_parse ("t", NULL, 0, settings, &o, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "no option 'aardvark'; it has none");
}

static void
locale_comma (void)
{
    g_autofree char *old = g_strdup (setlocale (LC_NUMERIC, NULL));
    g_autoptr (GError) error = NULL;
    Options o = {0};
    gpointer arena;

    if (!setlocale (LC_NUMERIC, "de_DE.UTF-8") && !setlocale (LC_NUMERIC, "fr_FR.UTF-8")) {
        test_skip ("no locale with a decimal comma is installed");
        return;
    }
    arena = parse ("lr", "0.25", &o, &error);
    setlocale (LC_NUMERIC, old);
    g_assert_no_error (error);
    g_assert_cmpfloat (o.lr, ==, 0.25);
    dlh_options_arena_free (arena);
}

static void
range_texts (void)
{
    static const char *const want[] = {
        "[0, 100]", "(0, inf]",  "(-inf, 5)", "(1, 9007199254740992]",
        NULL,       NULL,        NULL,        "l1|l2|maximum",
        "[0, 1)",   "[1, 4096]", "[0, 10)",
    };

    for (guint i = 0; i < G_N_ELEMENTS (table); i++) {
        g_autofree char *range = dlh_option_range (&table[i]);

        g_assert_cmpstr (range, ==, want[i]);
    }
}

static void
nearest_names (void)
{
    static const char *const names[] = {"damping", "momentum", "lr", "update"};

    g_assert_cmpstr (dlh_nearest_name ("dampign", names, 4), ==, "damping");
    g_assert_cmpstr (dlh_nearest_name ("dmping", names, 4), ==, "damping");
    g_assert_cmpstr (dlh_nearest_name ("momentun", names, 4), ==, "momentum");
    g_assert_cmpstr (dlh_nearest_name ("rl", names, 4), ==, "lr");
    g_assert_cmpstr (dlh_nearest_name ("UPDATE", names, 4), ==, "update");
    g_assert_cmpstr (dlh_nearest_name ("upd", names, 4), ==, "update");
    g_assert_null (dlh_nearest_name ("weight", names, 4));
    g_assert_null (dlh_nearest_name ("x", names, 4));
    g_assert_null (dlh_nearest_name ("", names, 4));
    g_assert_null (dlh_nearest_name ("lr", names, 0));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/options/defaults/read", defaults_read);
    for (guint i = 0; i < G_N_ELEMENTS (accepted); i++) {
        g_autofree char *path = g_strdup_printf ("/options/%s/accepted", accepted[i].path);

        g_test_add_data_func (path, &accepted[i], value_accepted);
    }
    for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
        g_autofree char *path = g_strdup_printf ("/options/%s/refused", refused[i].path);

        g_test_add_data_func (path, &refused[i], value_refused);
    }
    g_test_add_func ("/options/list/four-spellings", list_accepted);
    g_test_add_func ("/options/list/integers", list_integers);
    g_test_add_func ("/options/names/first-unknown", names_two_unknown);
    g_test_add_func ("/options/locale/decimal-comma-ignored", locale_comma);
    g_test_add_func ("/options/range/as-text", range_texts);
    g_test_add_func ("/options/nearest/suggested", nearest_names);
    return g_test_run ();
}
