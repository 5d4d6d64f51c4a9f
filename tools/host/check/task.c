/* SPDX-License-Identifier: MIT */
/* Tasks: short runs for a host that only takes notes. */
#include <math.h>
#include <string.h>
#include "bench.h"
#include "memory.h"

#define EXAMPLES 24
#define LONG_ENOUGH 200 /* steps, on a problem that is one of several */

/* What the host does, and what it is asked. */
typedef struct {
    DlhRegistry *registry;
    const Problem *problem;
    gint64 stop_at;       /* call of should_stop that says yes; 0: never */
    const char *break_at; /* (nullable): "data", "log", "figure", "checkpoint": that fails */
    GString *records;     /* what was logged */
    gint64 n_data, n_logs, n_progress, n_asked, n_checkpoints, n_figures, asked_after;
    char *wrong; /* the first thing that is not as it should be */
} Notes;

static void
notes_clear (Notes *n)
{
    if (n->records)
        g_string_free (n->records, TRUE);
    g_free (n->wrong);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Notes, notes_clear)

static gboolean
breaks (Notes *n, const char *what, GError **error)
{
    if (g_strcmp0 (n->break_at, what) != 0)
        return FALSE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "check: no space left for the %s", what);
    return TRUE;
}

static DlhData *
notes_data (gpointer host, GError **error)
{
    Notes *n = host;

    n->n_data++;
    return breaks (n, "data", error) ? NULL : problem_data (n->problem, DLH_F32, EXAMPLES);
}

static gboolean
notes_log (gpointer host, const char *event, gint64 step, const char *const *names,
           const double *values, guint count, GError **error)
{
    Notes *n = host;

    n->n_logs++;
    if (!n->wrong && strcmp (event, "step") && strcmp (event, "eval") && strcmp (event, "final"))
        n->wrong = g_strdup_printf ("event '%s' is logged, must be step, eval or final", event);
    g_string_append_printf (n->records, "%s %" G_GINT64_FORMAT, event, step);
    for (guint i = 0; i < count; i++) {
        g_string_append_printf (n->records, " %s=%.17g", names[i], values[i]);
        if (!n->wrong && !isfinite (values[i]))
            n->wrong =
                g_strdup_printf ("'%s' is logged as %g, must be finite", names[i], values[i]);
    }
    g_string_append_c (n->records, '\n');
    return !breaks (n, "log", error);
}

static void
notes_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    Notes *n = host;

    n->n_progress++;
    if (!n->wrong && (done < 0 || (total > 0 && done > total) || !(examples >= 0)))
        n->wrong = g_strdup_printf ("progress %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                                    " is reported, must be between 0 and the total",
                                    done, total);
}

static void
notes_message (gpointer host, const char *text)
{
    Notes *n = host;

    if (!n->wrong && strchr (text, '\n'))
        n->wrong = g_strdup ("a message has several lines, must be one");
}

static gboolean
notes_checkpoint (gpointer host, gint64 step, GError **error)
{
    Notes *n = host;

    (void)step;
    n->n_checkpoints++;
    return !breaks (n, "checkpoint", error);
}

// Two runs of one seed must have the same points.
static gboolean
notes_figure (gpointer host, const DlhFigure *figure, GError **error)
{
    Notes *n = host;

    n->n_figures++;
    g_string_append_printf (n->records, "figure %s", figure->name);
    for (guint i = 0; i < figure->n_curves; i++)
        for (gsize k = 0; k < figure->curves[i].n; k++)
            g_string_append_printf (n->records, " %.17g %.17g", figure->curves[i].x[k],
                                    figure->curves[i].y[k]);
    g_string_append_c (n->records, '\n');
    return !breaks (n, "figure", error);
}

static DlhComponent *
notes_load (gpointer host, DlhPluginKind kind, const char *name, GHashTable *settings,
            GError **error)
{
    return dlh_registry_load (((Notes *)host)->registry, kind, name, settings, error);
}

static gboolean
notes_should_stop (gpointer host)
{
    Notes *n = host;

    n->n_asked++;
    if (!n->stop_at || n->n_asked < n->stop_at)
        return FALSE;
    n->asked_after++;
    return TRUE;
}

static const DlhHost host_functions = {
    .size = sizeof (DlhHost),
    .data = notes_data,
    .log = notes_log,
    .progress = notes_progress,
    .message = notes_message,
    .checkpoint = notes_checkpoint,
    .should_stop = notes_should_stop,
    .figure = notes_figure,
    .load = notes_load,
};

static gboolean
run_once (Check *c, Notes *n, DlhStore *store, gboolean rewarded, GHashTable *settings,
          GError **error)
{
    g_autoptr (DlhComponent) task = check_load (c, settings, error);
    g_autoptr (DlhComponent) model = builtin_model ();
    g_autoptr (DlhComponent) optimizer =
        rewarded ? builtin_rewarded_optimizer () : builtin_optimizer ();
    g_autoptr (DlhComponent) environment = builtin_environment ();
    g_autoptr (DlhComponent) sampler = builtin_path_sampler ();
    g_autoptr (DlhRun) r = NULL;

    if (!task)
        return FALSE;
    n->registry = c->registry;
    n->problem = n->problem ? n->problem : &problems[0];
    n->records = n->records ? n->records : g_string_new (NULL);
    r = dlh_run_new (&host_functions, n, store);
    dlh_run_set_component (r, task);
    dlh_run_set_component (r, model);
    dlh_run_set_component (r, optimizer);
    dlh_run_set_component (r, sampler);
    dlh_run_set_component (r, environment);
    return check_told (dlh_run_execute (r, error), "run()", error);
}

// As a checkpoint of a trained model leaves it.
static void
set_trained (DlhStore *store)
{
    DlhVariable *step = dlh_store_variable (store, "train/step", DLH_I64, dlh_shape (),
                                            (DlhInit){DLH_INIT_ZEROS, 0, 0}, NULL);

    dlh_tensor_set (dlh_variable_tensor (step), 0, 1);
}

/* What the task refuses to do without: a model that has been trained, an optimizer that lives on
 * rewards. */
typedef struct {
    gboolean known, trained, rewarded;
} Wants;

static const Wants *
wants (Check *c)
{
    static Wants wants; // of this process

    for (guint way = 0; !wants.known && way < 4; way++) {
        const Wants w = {TRUE, (way & 1) != 0, (way & 2) != 0};
        g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
        g_auto (Notes) n = {.stop_at = 1};
        g_autoptr (GError) error = NULL;

        if (w.trained)
            set_trained (store);
        if (run_once (c, &n, store, w.rewarded, NULL, &error) ||
            !g_error_matches (error, DLH_ERROR, DLH_ERROR_OPTION))
            wants = w;
    }
    wants.known = TRUE;
    return &wants;
}

static gboolean
run (Check *c, Notes *n, DlhStore *store, GHashTable *settings, GError **error)
{
    if (!dlh_store_lookup (store, "train/step") && wants (c)->trained)
        set_trained (store);
    return run_once (c, n, store, wants (c)->rewarded, settings, error);
}

gboolean
check_use_task (Check *c, GHashTable *settings, GError **error)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_auto (Notes) n = {.stop_at = 3};
    GError *own = NULL;

    // Range ends may ask for a million steps: it is stopped after a few.
    if (run (c, &n, store, settings, &own))
        return TRUE;
    if (g_error_matches (own, DLH_ERROR, DLH_ERROR_CANCELLED)) {
        g_error_free (own);
        return TRUE;
    }
    g_propagate_error (error, own);
    return FALSE;
}

/* Items. */

static void
runs (Check *c)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_auto (Notes) n = {0};
    g_autoptr (GError) error = NULL;

    if (!check_begin (c, "run", "defaults"))
        return;
    if (!run (c, &n, store, NULL, &error)) {
        if (error->domain == DLH_ERROR && error->code == DLH_ERROR_OPTION)
            check_skip (
                c,
                "it cannot run on a data set, a model, an optimizer, a sampler and an environment "
                "alone: %s",
                error->message);
        else
            check_fail (c, "%s", error->message);
    } else if (n.wrong)
        check_fail (c, "%s", n.wrong);
    else if (n.n_logs == 0)
        check_fail (c, "nothing was logged, a run must leave a record; use dlh_run_log()");
    else
        check_ok (c, "%" G_GINT64_FORMAT " records, %" G_GINT64_FORMAT " checkpoints", n.n_logs,
                  n.n_checkpoints);
}

static void
determinism (Check *c)
{
    g_autoptr (DlhStore) a = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhStore) b = dlh_store_new (1, DLH_F32);
    g_auto (Notes) first = {0};
    g_auto (Notes) second = {0};
    g_autofree char *difference = NULL;

    if (!run (c, &first, a, NULL, NULL) || !run (c, &second, b, NULL, NULL)) {
        check_fail (c, "a run fails that succeeded before");
        return;
    }
    difference = stores_difference (b, a);
    if (difference)
        check_fail (c,
                    "two runs of the same seed differ: %s; draw from streams of the store or "
                    "dlh_random_permutation()",
                    difference);
    else if (strcmp (first.records->str, second.records->str) != 0)
        check_fail (c, "two runs of the same seed log different values, must be the same; log no "
                       "times, the host does");
    else
        check_ok (c, "same bytes, same records");
}

static void
stops (Check *c)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_auto (Notes) n = {.stop_at = 2};
    g_autoptr (GError) error = NULL;
    gboolean done = run (c, &n, store, NULL, &error);

    if (done && n.n_asked == 0 && n.n_progress > 3)
        check_fail (c,
                    "dlh_run_should_stop() was never called in %" G_GINT64_FORMAT
                    " reports of progress, must be after each step",
                    n.n_progress);
    else if (done && n.asked_after > 1)
        check_fail (c, "it went on after a request to stop, must return FALSE with "
                       "DLH_ERROR_CANCELLED after the step");
    else if (done)
        check_skip (c, "its run on %d examples is too short to be stopped", EXAMPLES);
    else if (!g_error_matches (error, DLH_ERROR, DLH_ERROR_CANCELLED))
        check_fail (c, "'%s', must be DLH_ERROR_CANCELLED when the host asks to stop",
                    error->message);
    else if (n.asked_after > 1)
        check_fail (c,
                    "it asked %" G_GINT64_FORMAT " times more after being told to stop, must stop "
                    "at once",
                    n.asked_after - 1);
    else
        check_ok (c, "%s", error->message);
}

// A run that was stopped and goes on with its store ends as one that was not.
static void
resumes (Check *c)
{
    g_autoptr (DlhStore) whole = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhStore) part = dlh_store_new (1, DLH_F32);
    g_auto (Notes) w = {0};
    g_auto (Notes) p = {.stop_at = 2};
    g_auto (Notes) rest = {0};
    g_autoptr (GError) error = NULL;
    g_autofree char *difference = NULL;

    if (run (c, &p, part, NULL, &error)) {
        check_skip (c, "its run on %d examples is too short to be stopped", EXAMPLES);
        return;
    }
    g_clear_error (&error);
    if (!run (c, &w, whole, NULL, &error) || !run (c, &rest, part, NULL, &error)) {
        check_fail (c, "%s: a stopped run must go on", error->message);
        return;
    }
    difference = stores_difference (part, whole);
    if (difference)
        check_fail (c,
                    "a run that was stopped and went on is not the uninterrupted one: %s; keep all "
                    "state in variables and derive the data's order from seed and step",
                    difference);
    else
        check_ok (c, "same bytes as uninterrupted");
}

static void
passes_on (Check *c, const char *what)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_auto (Notes) n = {.break_at = what};
    g_autoptr (GError) error = NULL;
    gboolean done = run (c, &n, store, NULL, &error);

    if (done && ((strcmp (what, "checkpoint") == 0 && n.n_checkpoints == 0) ||
                 (strcmp (what, "data") == 0 && n.n_data == 0) ||
                 (strcmp (what, "figure") == 0 && n.n_figures == 0) ||
                 (strcmp (what, "log") == 0 && n.n_logs == 0)))
        check_drop (c);
    else if (done)
        check_fail (c,
                    "the host's %s failed and the run succeeded, must return FALSE with that error",
                    what);
    else if (!error || !strstr (error->message, "no space left"))
        check_fail (c, "the host's %s failed, but the error is '%s', must be the host's", what,
                    error ? error->message : "not set");
    else
        check_ok (c, "%s", error->message);
}

static gboolean
task_cycle (Check *c, gconstpointer data, GError **error)
{
    (void)data;
    return check_use_task (c, NULL, error);
}

static void
other_problems (Check *c)
{
    for (const Problem *p = problems + 1; p->name; p++) {
        g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
        g_auto (Notes) n = {.problem = p, .stop_at = LONG_ENOUGH};
        g_autoptr (GError) error = NULL;

        if (!check_begin (c, "run", p->name))
            continue;
        if (run (c, &n, store, NULL, &error) && !n.wrong)
            check_ok (c, "%" G_GINT64_FORMAT " records", n.n_logs);
        else if (!n.wrong && g_error_matches (error, DLH_ERROR, DLH_ERROR_CANCELLED))
            check_ok (c, "%s", error->message);
        else if (n.wrong)
            check_fail (c, "%s", n.wrong);
        else if (error->code == DLH_ERROR_SHAPE || error->code == DLH_ERROR_OPTION)
            check_skip (c, "refused: %s", error->message);
        else
            check_fail (c, "%s", error->message);
    }
}

static void
task_items (Check *c)
{
    static const char *const broken[] = {"data", "log", "figure", "checkpoint"};

    if (check_begin (c, "determinism", "run"))
        determinism (c);
    if (check_begin (c, "stop", "request"))
        stops (c);
    if (check_begin (c, "stop", "resume"))
        resumes (c);
    for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
        if (check_begin (c, "host-fails", broken[i]))
            passes_on (c, broken[i]);
    if (check_begin (c, "leaks", "run"))
        check_cycles (c, task_cycle, NULL);
    other_problems (c);
}

void
check_task (Check *c)
{
    check_run (c, runs);
    if (check_status (c, "run", "defaults") == CHECK_OK)
        check_run (c, task_items);
}
