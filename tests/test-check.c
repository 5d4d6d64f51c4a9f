/* SPDX-License-Identifier: MIT */
/* dlhost check: plugins that keep every rule pass, and those that break one are told of just that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "test.h"

static const char *program;

typedef struct {
    int code;
    char *out, *err;
} Outcome;

static void
outcome_clear (Outcome *o)
{
    g_free (o->out);
    g_free (o->err);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

static void
check (Outcome *o, const char *file, const char *option)
{
    const char *argv[] = {program, "check", file, "--timeout=2", option, NULL};
    g_autoptr (GError) error = NULL;
    int status = 0;

    g_spawn_sync (NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &o->out, &o->err, &status,
                  &error);
    g_assert_no_error (error);
    o->code = WIFEXITED (status) ? WEXITSTATUS (status) : -WTERMSIG (status);
}

static char *
fixture (const char *name)
{
    g_autofree char *file = g_strconcat (name, ".so", NULL);

    return g_build_filename (g_getenv ("DLHOST_TEST_FIXTURES"), file, NULL);
}

/* A fixture, which checks must fail and no others, and what one of the lines must say. */
typedef struct {
    const char *name, *fails, *says;
} Case;

static const Case cases[] = {
    {"keeps_rules", NULL, NULL},
    {"keeps_rules_model", NULL, NULL},
    {"keeps_rules_data", NULL, NULL},
    {"keeps_rules_task", NULL, NULL},
    {"breaks_random", "determinism/*", "two runs of the same seed differ"},
    {"breaks_process", "other-process/*", "other bytes in another process"},
    {"breaks_forgets", "resume/*", "a resumed run is not the uninterrupted one"},
    {"breaks_leaks", "leaks/class", "blocks"},
    {"breaks_leaks_file", "leaks/class", "more open files"},
    {"breaks_allocates", "no-allocation/class", "allocations in 30 steps"},
    {"breaks_second_symbol", "symbols/exported", "rules_helper"},
    {"breaks_prints", "output/stdout", "it wrote 'building"},
    {"breaks_warns", "output/stderr", "building"},
    {"breaks_locale", "state/locale", "LC_NUMERIC=C.UTF-8"},
    {"breaks_umask", "state/umask", "is '00'"},
    {"breaks_environment", "state/environment", "'RULES=broken' is set"},
    {"breaks_rounding", "state/rounding", "fesetround"},
    {"breaks_signal", "state/signal-handlers", "USR1=ignored"},
    {"breaks_directory", "state/working-directory", "is '/'"},
    {"breaks_crashes", "range/count", "at count=50: the process died of SIGSEGV"},
    {"breaks_hangs", "range/mode", "at mode=odd: no end after 2 s"},
    {"breaks_exits", "range/mode", "ended the process with exit code 0"},
    {"breaks_silent", "range/mode", "without setting the error"},
    {"breaks_two_lines", "range/mode", "a message of one line"},
    {"breaks_no_doc", "manifest/parameter-docs", "parameter 'mode' has no text"},
    {"breaks_gradient", "op/own_square/gradient", "vjp gives"},
    {"breaks_model_gradient", "gradient/real", "differences give"},
    {"breaks_nan", "nan/real", "a NaN went in and the step succeeded"},
    {"breaks_refuses", "accepts/any", "every problem was refused"},
    {"breaks_random_data", "determinism/load", "a second load gives other bytes"},
    {"breaks_single", "splits/f64", "inputs are f32, must be f64"},
    {"breaks_no_split", "load/defaults", "without a training split"},
    {"breaks_never_stops", "stop/request", "never called"},
    {"breaks_swallows", "host-fails/log", "must return FALSE with that error"},
    {"breaks_logs_nan", "run/defaults", "'train/loss' is logged as"},
    {"keeps_rules_world", NULL, NULL},
    {"breaks_world_random", "determinism/walk", "give another episode"},
    {"breaks_world_copies", "copies/number", "than in a world of 5 copies"},
    {"breaks_world_others", "copies/others-stay", "a copy that did not act"},
    {"breaks_world_allocates", "no-allocation/step", "allocations in 60 steps"},
    {"breaks_world_leaks", "leaks/walk", "blocks"},
    {"breaks_world_nan", "run/defaults", "observation 0 is"},
    {"keeps_rules_sampler", NULL, NULL},
    {"breaks_sampler_random", "determinism/*", "two runs of the same seed differ"},
    {"breaks_sampler_process", "other-process/*", "other bytes in another process"},
    {"breaks_sampler_forgets", "resume/*", "it is not the uninterrupted run"},
    {"breaks_sampler_allocates", "no-allocation/*", "allocations in 40 transitions"},
    {"breaks_sampler_leaks", "leaks/*", "blocks"},
    {"breaks_sampler_balance", "invariance/density", "exact draws are no longer"},
    {"breaks_sampler_ratio", "invariance/density", "exact draws are no longer"},
    {"breaks_sampler_nan", "nan/density", "a density that is NaN moved the chains"},
    {"breaks_sampler_count", "chains/*", "7 chains, 0 transitions of warm-up: "},
    {"breaks_sampler_stays", "accepts/*", "no chain has moved"},
    {"breaks_sampler_diverges", "accepts/*", "positions must stay finite"},
    {"breaks_sampler_refuses", "accepts/any", "every target was refused"},
};

static void
just_that_rule (gconstpointer data)
{
    const Case *t = data;
    g_autofree char *path = fixture (t->name);
    g_auto (Outcome) o = {0};
    g_auto (GStrv) lines = NULL;
    guint n = 0;

    check (&o, path, NULL);
    lines = g_strsplit (o.out, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        g_autofree char *name = NULL;

        if (!g_str_has_prefix (lines[i], "FAIL  "))
            continue;
        name = g_strndup (lines[i] + 6, strcspn (lines[i] + 6, ":"));
        if (!t->fails || !g_pattern_match_simple (t->fails, name))
            test_fail ("this must not fail: %s", lines[i]);
        n++;
    }
    if (t->fails && n == 0)
        test_fail ("%s must fail:\n%s", t->fails, o.out);
    if (t->says && !strstr (o.out, t->says))
        test_fail ("no line says '%s':\n%s", t->says, o.out);
    g_assert_cmpint (o.code, ==, t->fails ? 1 : 0);
    g_assert_cmpstr (o.err, ==, "");
}

// The reader of manifests refuses it before anything else is looked at.
static void
bad_default (void)
{
    g_autofree char *path = fixture ("breaks_default");
    g_auto (Outcome) o = {0};

    check (&o, path, NULL);
    g_assert_cmpint (o.code, ==, 1);
    g_assert_true (g_str_has_prefix (o.out, "FAIL  manifest/note: "));
    g_assert_nonnull (strstr (o.out, "lr"));
    g_assert_nonnull (strstr (o.out, "\n0 passed, 1 failed, 0 skipped\n"));
}

static void
not_a_plugin (void)
{
    static const char *const names[] = {"libfixture-helper", "nowhere"};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        g_autofree char *path = fixture (names[i]);
        g_auto (Outcome) o = {0};

        check (&o, path, NULL);
        g_assert_cmpint (o.code, ==, 3);
        g_assert_cmpstr (o.out, ==, "");
        g_assert_true (g_str_has_prefix (o.err, "dlhost: "));
    }
}

static void
absent_data (void)
{
    g_autofree char *path = fixture ("breaks_absent");
    g_auto (Outcome) o = {0};

    check (&o, path, NULL);
    g_assert_cmpint (o.code, ==, 0);
    g_assert_nonnull (
        strstr (o.out, "\nskip  load/defaults: no directory '': give it with dir=\n"));
}

static void
only_some (void)
{
    g_autofree char *path = fixture ("keeps_rules");
    g_auto (Outcome) o = {0};

    check (&o, path, "--only=range/*");
    g_assert_cmpint (o.code, ==, 0);
    g_assert_true (g_str_has_prefix (o.out, "ok    range/lr  ("));
    g_assert_true (g_str_has_suffix (o.out, "\n3 passed, 0 failed, 0 skipped\n"));
}

static void
settings_reach_it (void)
{
    g_autofree char *path = fixture ("breaks_exits");
    g_autofree char *part = g_strconcat (path, ",mode=odd", NULL);
    g_auto (Outcome) o = {0};

    check (&o, part, NULL);
    g_assert_cmpint (o.code, ==, 1);
    g_assert_nonnull (strstr (o.out, "FAIL  accepts/class: the plugin ended the process"));
}

static void
as_json (void)
{
    g_autofree char *path = fixture ("breaks_umask");
    g_auto (Outcome) o = {0};

    check (&o, path, "--json");
    g_assert_cmpint (o.code, ==, 1);
    g_assert_nonnull (strstr (o.out, "\"name\" : \"state/umask\",\n      \"status\" : \"fail\""));
    g_assert_nonnull (strstr (o.out, "\"failed\" : 1"));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    program = argc > 1 ? argv[1] : NULL;
    g_assert_nonnull (program);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path = g_strdup_printf ("/check/rule/%s", cases[i].name);

        g_test_add_data_func (path, &cases[i], just_that_rule);
    }
    g_test_add_func ("/check/default/out-of-range", bad_default);
    g_test_add_func ("/check/file/no-plugin", not_a_plugin);
    g_test_add_func ("/check/data-set/absent-files", absent_data);
    g_test_add_func ("/check/only/matching", only_some);
    g_test_add_func ("/check/settings/reach-the-plugin", settings_reach_it);
    g_test_add_func ("/check/json/status-and-totals", as_json);
    return g_test_run ();
}
