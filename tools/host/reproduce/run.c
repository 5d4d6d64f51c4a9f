/* SPDX-License-Identifier: MIT */
/* Each arm: a sweep that tunes, then one over seeds with what it chose. Sweeps are processes of
 * this program: they lock their folders, pass signals on to their runs and go on where they were.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../execute.h"
#include "../signals.h"
#include "reproduce.h"

static void
arm_outcome_free (gpointer data)
{
    ArmOutcome *a = data;

    g_free (a->chosen);
    g_free (a->edges);
    g_ptr_array_unref (a->runs);
    g_free (a);
}

void
outcome_free (Outcome *outcome)
{
    g_ptr_array_unref (outcome->arms);
    g_free (outcome);
}

/* The child. */

static pid_t
start_child (char *const *argv, GError **error)
{
    g_autofree char *program = g_file_read_link ("/proc/self/exe", error);
    pid_t parent = getpid (), child;
    sigset_t none;

    if (!program)
        return -1;
    fflush (stdout);
    sigemptyset (&none);
    child = fork ();
    if (child == 0) {
        // A group of its own: a signal of the terminal comes once, from here.
        setpgid (0, 0);
        prctl (PR_SET_PDEATHSIG, SIGTERM);
        sigprocmask (SIG_SETMASK, &none, NULL);
        if (getppid () == parent)
            execv (program, argv);
        _exit (127);
    }
    if (child < 0)
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "cannot start a sweep: %s",
                     g_strerror (errno));
    return child;
}

// Returns: the child's exit code, 128 + signal when it was killed; -1 with @error.
static int
wait_for (char *const *argv, GError **error)
{
    sigset_t signals, before;
    int status = 0, number;
    pid_t child;

    // Waited for, one after another: no handler runs in between.
    signals_to_wait_for (&signals);
    sigprocmask (SIG_BLOCK, &signals, &before);
    child = start_child (argv, error);
    while (child > 0 && waitpid (child, &status, WNOHANG) == 0) {
        number = sigwaitinfo (&signals, NULL);
        if (number > 0 && number != SIGCHLD)
            kill (child, number);
    }
    sigprocmask (SIG_SETMASK, &before, NULL);
    if (child < 0)
        return -1;
    return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

static int
run_sweep (GPtrArray *arguments, const char *dir, const char *by, const ReproduceOptions *options,
           GError **error)
{
    g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);

    if (options->tabulate)
        return g_file_test (dir, G_FILE_TEST_IS_DIR) ? EXIT_SUCCESS : EXIT_RUN_FAILED;
    g_ptr_array_add (argv, g_strdup ("dlhost"));
    g_ptr_array_add (argv, g_strdup ("sweep"));
    for (guint i = 0; i < arguments->len; i++)
        g_ptr_array_add (argv, g_strdup (arguments->pdata[i]));
    g_ptr_array_add (argv, g_strdup_printf ("--out=%s", dir));
    g_ptr_array_add (argv, g_strdup_printf ("--jobs=%" G_GINT64_FORMAT, options->jobs));
    if (by)
        g_ptr_array_add (argv, g_strdup_printf ("--by=%s", by));
    if (options->plugin_path)
        g_ptr_array_add (argv, g_strdup_printf ("--plugin-path=%s", options->plugin_path));
    // Tables come at the end of the experiment, of all its arms.
    g_ptr_array_add (argv, g_strdup (options->quiet ? "--quiet" : "--brief"));
    g_ptr_array_add (argv, NULL);
    return wait_for ((char *const *)argv->pdata, error);
}

/* What was found. */

// Numbers at either end of their axis: a better one may lie beyond.
static void
note_edge (ArmOutcome *a, const SweepSetting *s, GString *edges)
{
    double low = INFINITY, high = -INFINITY, value;
    char *end;

    for (guint i = 0; i < a->arm->grid->len; i++) {
        const SweepAxis *axis = a->arm->grid->pdata[i];

        for (guint k = 0; k < axis->values->len && strcmp (axis->key, s->key) == 0; k++) {
            value = g_ascii_strtod (axis->values->pdata[k], &end);
            if (*end)
                return;
            low = fmin (low, value);
            high = fmax (high, value);
        }
    }
    value = g_ascii_strtod (s->value, NULL);
    if (low < high && (value == low || value == high))
        g_string_append_printf (edges, "%s%s", edges->len ? ", " : "",
                                s->option ? s->option : s->key);
}

// Settings whose runs, one a seed, have all ended.
static guint
count_tried (const Sweep *sweep)
{
    guint tried = 0;

    for (guint c = 0; c < sweep->combinations->len; c++) {
        gboolean ended = TRUE;

        for (guint i = 0; i < sweep->runs->len; i++) {
            const SweepRun *run = sweep->runs->pdata[i];

            ended &= run->combination != sweep->combinations->pdata[c] || run->state == RUN_DONE ||
                     run->state == RUN_FAILED;
        }
        tried += ended;
    }
    return tried;
}

// (transfer full): what tuning chose, SweepSetting; NULL without @error when no run succeeded.
static GPtrArray *
read_choice (ArmOutcome *a, Sweep *sweep, const char *by, GError **error)
{
    g_autoptr (GString) text = g_string_new (NULL), edges = g_string_new (NULL);
    GPtrArray *chosen;
    double spread;
    const Combination *best = sweep_best (sweep, by, &a->tuned, &spread, error);

    if (!best)
        return NULL;
    chosen = g_ptr_array_ref (best->settings);
    for (guint i = 0; i < chosen->len; i++) {
        const SweepSetting *s = chosen->pdata[i];

        g_string_append_printf (text, "%s%s=%s", i ? ", " : "", s->option ? s->option : s->key,
                                s->value);
        note_edge (a, s, edges);
    }
    a->chosen = g_strdup (text->str);
    a->edges = edges->len ? g_strdup (edges->str) : NULL;
    return chosen;
}

static gboolean
read_finals (ArmOutcome *a, const char *dir, GError **error)
{
    g_auto (Sweep) sweep = {0};

    if (!sweep_read_folder (&sweep, dir, error))
        return FALSE;
    for (guint i = 0; i < sweep.runs->len; i++) {
        const SweepRun *run = sweep.runs->pdata[i];
        g_autofree char *folder = g_build_filename (dir, run->name, NULL);
        RunData *data = run->state == RUN_DONE ? run_data_read (folder, error) : NULL;

        if (run->state == RUN_DONE && !data)
            return FALSE;
        a->failed += run->state == RUN_FAILED;
        if (data)
            g_ptr_array_add (a->runs, data);
    }
    return TRUE;
}

static RunData *
run_of_seed (const ArmOutcome *a, const char *seed)
{
    for (guint i = 0; i < a->runs->len; i++)
        if (g_strcmp0 (g_hash_table_lookup (((RunData *)a->runs->pdata[i])->config, "seed"),
                       seed) == 0)
            return a->runs->pdata[i];
    return NULL;
}

// What evaluations measured becomes metrics of the runs, NAME/METRIC.
static gboolean
read_evaluations (ArmOutcome *a, const char *dir, const char *name, GError **error)
{
    g_auto (Sweep) sweep = {0};

    if (!sweep_read_folder (&sweep, dir, error))
        return FALSE;
    for (guint i = 0; i < sweep.runs->len; i++) {
        const SweepRun *run = sweep.runs->pdata[i];
        g_autofree char *folder = g_build_filename (dir, run->name, NULL);
        g_autofree char *seed = g_strdup_printf ("%" G_GUINT64_FORMAT, run->seed);
        g_autoptr (RunData) data = NULL;
        RunData *into = run_of_seed (a, seed);

        if (!into || run->state != RUN_DONE) {
            a->lacking++;
            continue;
        }
        if (!(data = run_data_read (folder, error)))
            return FALSE;
        run_data_adopt (into, data, name);
    }
    return TRUE;
}

/* An arm. */

static void announce (const RecipeExperiment *e, const RecipeArm *arm,
                      const ReproduceOptions *options, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

static void
announce (const RecipeExperiment *e, const RecipeArm *arm, const ReproduceOptions *options,
          const char *format, ...)
{
    va_list args;

    if (options->quiet || options->tabulate)
        return;
    printf ("\n%s, %s: ", e->title, arm->title);
    va_start (args, format);
    vprintf (format, args);
    va_end (args);
    putchar ('\n');
}

// Sweeps end with EXIT_RUN_FAILED when no run succeeded: a result of the arm, and no reason to
// stop.
static gboolean
goes_on (int code)
{
    return code == EXIT_SUCCESS || code == EXIT_RUN_FAILED;
}

// @chosen: (out): the settings of the final runs, when EXIT_SUCCESS is returned.
static int
tune_arm (const RecipeExperiment *e, ArmOutcome *a, const ReproduceOptions *options,
          GPtrArray **chosen, GError **error)
{
    g_autofree char *dir = g_build_filename (options->dir, e->name, "tune", a->arm->name, NULL);
    g_autoptr (GPtrArray) arguments = NULL;
    g_auto (Sweep) sweep = {0};
    int code;

    if (!a->arm->grid->len) {
        *chosen = g_ptr_array_new ();
        return EXIT_SUCCESS;
    }
    arguments = reproduce_arguments (e, a->arm, &e->tune, NULL, options->threads);
    announce (e, a->arm, options, "tuning, %u settings", recipe_arm_budget (e, a->arm));
    code = run_sweep (arguments, dir, e->tune.by, options, error);
    if (!goes_on (code) || (code && options->tabulate))
        return code;
    if (!sweep_read_folder (&sweep, dir, error))
        return -1;
    a->tried = count_tried (&sweep);
    *chosen = read_choice (a, &sweep, e->tune.by, error);
    if (!*chosen)
        return error && *error ? -1 : EXIT_RUN_FAILED;
    return EXIT_SUCCESS;
}

static int
evaluate_arm (const RecipeExperiment *e, ArmOutcome *a, const RecipeEvaluation *evaluation,
              GPtrArray *chosen, const char *finals, const ReproduceOptions *options,
              GError **error)
{
    g_autofree char *dir =
        g_build_filename (options->dir, e->name, "then", a->arm->name, evaluation->name, NULL);
    g_autoptr (GPtrArray) arguments =
        reproduce_evaluation_arguments (e, a->arm, evaluation, chosen, options->threads);
    int code;

    g_ptr_array_add (arguments, g_strdup_printf ("--after=%s", finals));
    announce (e, a->arm, options, "evaluation %s", evaluation->name);
    code = run_sweep (arguments, dir, NULL, options, error);
    if (!goes_on (code) || (code && options->tabulate))
        return code;
    return read_evaluations (a, dir, evaluation->name, error) ? EXIT_SUCCESS : -1;
}

static int
run_arm (const RecipeExperiment *e, ArmOutcome *a, const ReproduceOptions *options, GError **error)
{
    g_autofree char *last = g_build_filename (options->dir, e->name, "final", a->arm->name, NULL);
    g_autoptr (GPtrArray) chosen = NULL, arguments = NULL;
    int code = tune_arm (e, a, options, &chosen, error);

    if (code != EXIT_SUCCESS)
        return code;
    arguments = reproduce_arguments (e, a->arm, &e->final, chosen, options->threads);
    announce (e, a->arm, options, "%" G_GINT64_FORMAT " seeds", e->final.seeds);
    code = run_sweep (arguments, last, NULL, options, error);
    if (!goes_on (code) || (code && options->tabulate))
        return code;
    if (!read_finals (a, last, error))
        return -1;
    for (guint i = 0; i < a->arm->then->len && a->runs->len; i++) {
        code = evaluate_arm (e, a, a->arm->then->pdata[i], chosen, last, options, error);
        if (!goes_on (code))
            return code;
    }
    return a->runs->len == a->wanted && !a->lacking ? EXIT_SUCCESS : EXIT_RUN_FAILED;
}

Outcome *
reproduce_run (const RecipeExperiment *e, const ReproduceOptions *options, int *code,
               GError **error)
{
    Outcome *o = g_new0 (Outcome, 1);

    o->experiment = e;
    o->arms = g_ptr_array_new_with_free_func (arm_outcome_free);
    *code = EXIT_SUCCESS;
    for (guint i = 0; i < e->arms->len; i++) {
        ArmOutcome *a = g_new0 (ArmOutcome, 1);
        GError *cause = NULL;
        int ended;

        a->arm = e->arms->pdata[i];
        a->tuned = NAN;
        a->wanted = (guint)e->final.seeds;
        a->runs = g_ptr_array_new_with_free_func ((GDestroyNotify)run_data_free);
        g_ptr_array_add (o->arms, a);
        ended = run_arm (e, a, options, &cause);
        if (goes_on (ended)) {
            *code = MAX (*code, ended);
            continue;
        }
        *code = ended;
        if (cause)
            g_propagate_error (error, cause);
        outcome_free (o);
        return NULL;
    }
    return o;
}
