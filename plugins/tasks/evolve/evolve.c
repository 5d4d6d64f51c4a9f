/* SPDX-License-Identifier: MIT */
// Evolution strategies on an environment (arXiv 1703.03864, 1803.04386): each candidate of the
// optimizer's population plays the same episodes, and the parameters move by the mean returns. What
// is evaluated is the parameters themselves, in episodes of their own. Everything that happens
// depends on the seed, the update and the episode, so an update that is stopped in the middle is
// done again when the run goes on.
#include <math.h>
#include <dlhost/dlhost.h>
#include "../schedule.h"
#include "stage.h"

#define SECONDS_BETWEEN_CHECKPOINTS 10
#define N_LOGGED 4

typedef struct {
    gint64 steps, episodes, length, evaluate, test_episodes, log, checkpoint, keep;
    double target, clip_norm;
    SCHEDULE_FIELDS;
} EvolveOptions;

typedef struct {
    DlhRun *run;
    const EvolveOptions *opt;
    DlhRewarded *rewarded;
    Stage train, test;
    gint64 candidates;
    double *rewards;                 /* (candidates) */
    DlhVariable *played;             /* steps of the environment so far */
    DlhVariable *evaluated, *result; /* the update of the last evaluation, its return */
    gint64 saved_at;                 /* monotonic microseconds */
    double seen;                     /* steps of the environment in this process */
} Evolve;

static void
evolve_clear (Evolve *e)
{
    dlh_rewarded_free (e->rewarded);
    stage_clear (&e->train);
    stage_clear (&e->test);
    g_free (e->rewards);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Evolve, evolve_clear)

static double *
number (DlhVariable *v)
{
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

/* Episodes. */

// The seed of an episode, whatever plays it.
static guint64
episode_seed (Evolve *e, const char *stream, gint64 update, gint64 episode)
{
    const guint32 counter[4] = {(guint32)update, (guint32)(update >> 32), (guint32)episode,
                                (guint32)(episode >> 32)};
    guint32 key[2], out[4];

    dlh_philox_key (dlh_store_get_seed (dlh_run_store (e->run)), stream, key);
    dlh_philox (counter, key, out);
    return (guint64)out[1] << 32 | out[0];
}

static double
mean_of (const double *values, gint64 n)
{
    double sum = 0;

    for (gint64 i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

// Copy c * episodes + i is candidate c in the update's episode i.
static gboolean
play_candidates (Evolve *e, gint64 update, GError **error)
{
    const gint64 n = e->opt->episodes;

    for (gint64 i = 0; i < e->candidates * n; i++)
        e->train.seeds[i] = episode_seed (e, "evolve/episodes", update, i % n);
    if (!stage_play (&e->train, e->rewarded, dlh_rewarded_predict, e->opt->length, e->run, error))
        return FALSE;
    for (gint64 c = 0; c < e->candidates; c++)
        e->rewards[c] = mean_of (e->train.returns + c * n, n);
    return TRUE;
}

/* The same episodes at each evaluation. */
static gboolean
evaluate (Evolve *e, const char *event, gint64 step, GError **error)
{
    static const char *const names[] = {"test/return", "test/return_min", "test/length"};
    const gint64 n = e->opt->test_episodes;
    double values[G_N_ELEMENTS (names)];

    for (gint64 i = 0; i < n; i++)
        e->test.seeds[i] = episode_seed (e, "evolve/test", 0, i);
    if (!stage_play (&e->test, e->rewarded, dlh_rewarded_predict_mean, e->opt->length, e->run,
                     error))
        return FALSE;
    values[0] = mean_of (e->test.returns, n);
    values[1] = values[0];
    for (gint64 i = 0; i < n; i++)
        values[1] = MIN (values[1], e->test.returns[i]);
    values[2] = mean_of (e->test.lengths, n);
    *number (e->evaluated) = (double)step;
    *number (e->result) = values[0];
    return dlh_run_log (e->run, event, step, names, values, G_N_ELEMENTS (names), error);
}

/* The loop. */

static gboolean
save (Evolve *e, gint64 step, GError **error)
{
    e->saved_at = g_get_monotonic_time ();
    return dlh_run_checkpoint (e->run, step, error);
}

// A run that was asked to stop goes on from what is saved here.
static gboolean
stop_here (Evolve *e, gint64 step, GError **error)
{
    if (save (e, step, error))
        g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                     "stopped at update %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, step,
                     e->opt->steps);
    return FALSE;
}

// @done: what was tried; where it was cut short by a request to stop, the run ends here.
static gboolean
unless_stopped (Evolve *e, gboolean done, gint64 step, GError **cause, GError **error)
{
    if (done)
        return TRUE;
    if (g_error_matches (*cause, DLH_ERROR, DLH_ERROR_CANCELLED)) {
        g_clear_error (cause);
        return stop_here (e, step, error);
    }
    g_propagate_error (error, *cause);
    return FALSE;
}

static gboolean
evaluate_if_due (Evolve *e, gint64 step, GError **error)
{
    GError *cause = NULL;

    if (e->opt->evaluate == 0 || step % e->opt->evaluate || step >= e->opt->steps ||
        *number (e->evaluated) >= (double)step)
        return TRUE;
    return unless_stopped (e, evaluate (e, "eval", step, &cause), step, &cause, error);
}

static gboolean
log_update (Evolve *e, gint64 step, GError **error)
{
    static const char *const names[N_LOGGED] = {"train/return", "train/return_max", "train/length",
                                                "train/environment_steps"};
    double values[N_LOGGED];

    if (step % e->opt->log && step < e->opt->steps)
        return TRUE;
    values[0] = mean_of (e->rewards, e->candidates);
    values[1] = e->rewards[0];
    for (gint64 c = 1; c < e->candidates; c++)
        values[1] = MAX (values[1], e->rewards[c]);
    values[2] = mean_of (e->train.lengths, dlh_world_count (e->train.world));
    values[3] = *number (e->played);
    return dlh_run_log (e->run, "step", step, names, values, N_LOGGED, error);
}

static gboolean
update (Evolve *e, gint64 step, GError **error)
{
    GError *cause = NULL;
    double played = 0;

    if (!unless_stopped (e, play_candidates (e, step, &cause), step, &cause, error) ||
        !dlh_rewarded_step (e->rewarded, e->rewards, error))
        return FALSE;
    for (gint64 i = 0; i < dlh_world_count (e->train.world); i++)
        played += e->train.lengths[i];
    *number (e->played) += played;
    e->seen += played;
    return TRUE;
}

static gboolean
checkpoint_is_due (const Evolve *e, gint64 step)
{
    if (step >= e->opt->steps)
        return FALSE;
    if (e->opt->checkpoint)
        return step % e->opt->checkpoint == 0;
    return g_get_monotonic_time () - e->saved_at >= SECONDS_BETWEEN_CHECKPOINTS * G_USEC_PER_SEC;
}

static gboolean
is_reached (const Evolve *e)
{
    return *number (e->evaluated) >= 0 && *number (e->result) >= e->opt->target;
}

static gboolean
evaluate_last (Evolve *e, gint64 step, GError **error)
{
    GError *cause = NULL;

    return unless_stopped (e, evaluate (e, "final", step, &cause), step, &cause, error);
}

static gboolean
evolve_loop (Evolve *e, GError **error)
{
    gint64 step = dlh_rewarded_steps (e->rewarded);

    e->saved_at = g_get_monotonic_time ();
    if (step >= e->opt->steps) {
        dlh_run_message (e->run,
                         "nothing left to do: update %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                         " is done; give more --steps",
                         step, e->opt->steps);
        return evaluate_last (e, step, error);
    }
    // The first; or one that a stop has cut short.
    if (!evaluate_if_due (e, step, error))
        return FALSE;
    while (step < e->opt->steps && !is_reached (e)) {
        if (!update (e, step, error))
            return FALSE;
        step = dlh_rewarded_steps (e->rewarded);
        if (!log_update (e, step, error) || !evaluate_if_due (e, step, error) ||
            (checkpoint_is_due (e, step) && !save (e, step, error)))
            return FALSE;
        dlh_run_progress (e->run, step, e->opt->steps, e->seen);
        if (dlh_run_should_stop (e->run) && step < e->opt->steps)
            return stop_here (e, step, error);
    }
    if (is_reached (e))
        dlh_run_message (e->run,
                         "update %" G_GINT64_FORMAT ": the mean return of %" G_GINT64_FORMAT
                         " episodes is %g, the target is reached",
                         step, e->opt->test_episodes, *number (e->result));
    return save (e, step, error) && evaluate_last (e, step, error);
}

/* Before it. */

static gboolean
prepare_state (Evolve *e, GError **error)
{
    DlhStore *store = dlh_run_store (e->run);
    const struct {
        DlhVariable **variable;
        const char *name;
        double first;
    } all[] = {
        {&e->played, "evolve/environment_steps", 0},
        {&e->evaluated, "evolve/evaluated", -1},
        {&e->result, "evolve/return", 0},
    };

    dlh_run_keep_checkpoints (e->run, (guint)e->opt->keep);
    for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
        *all[i].variable =
            dlh_store_variable (store, all[i].name, DLH_F64, dlh_shape (),
                                (DlhInit){DLH_INIT_CONSTANT, all[i].first, 0}, error);
        if (!*all[i].variable)
            return FALSE;
    }
    return TRUE;
}

static gboolean
check_length (const Evolve *e, GError **error)
{
    if (e->opt->length > 0 || dlh_world_spec (e->test.world)->max_steps > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "evolve: episodes of this environment may go on for ever: give length=STEPS");
    return FALSE;
}

static gboolean
prepare (Evolve *e, GError **error)
{
    const EvolveOptions *opt = e->opt;
    DlhStore *store = dlh_run_store (e->run);
    const DlhDType dtype = dlh_store_get_dtype (store);
    DlhComponent *model = dlh_run_require (e->run, DLH_MODEL, error);
    DlhComponent *optimizer = model ? dlh_run_require (e->run, DLH_OPTIMIZER, error) : NULL;
    DlhComponent *environment = optimizer ? dlh_run_require (e->run, DLH_ENVIRONMENT, error) : NULL;
    DlhTraining training = {.size = sizeof training, .clip_norm = opt->clip_norm};
    DlhProblem problem;

    if (!environment || !stage_init (&e->test, environment, opt->test_episodes, dtype, error) ||
        !check_length (e, error))
        return FALSE;
    problem = stage_problem (&e->test);
    training.schedule = schedule_of (opt, opt->steps, opt->steps);
    e->rewarded = dlh_rewarded_new (store, model, optimizer, &problem, &training, error);
    if (!e->rewarded)
        return FALSE;
    e->candidates = dlh_rewarded_size (e->rewarded);
    e->rewards = g_new0 (double, e->candidates);
    for (guint i = 0; i < dlh_rewarded_notes (e->rewarded)->len; i++)
        dlh_run_message (e->run, "%s", (const char *)dlh_rewarded_notes (e->rewarded)->pdata[i]);
    return stage_init (&e->train, environment, e->candidates * opt->episodes, dtype, error) &&
           prepare_state (e, error);
}

static gboolean
evolve_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Evolve) e = {.run = run, .opt = options};

    return prepare (&e, error) && evolve_loop (&e, error);
}

static const DlhTask evolve = {.size = sizeof (DlhTask), .run = evolve_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, evolve, EvolveOptions,
    DLH_OPTIONS (
        DLH_INT (EvolveOptions, steps, 100, 1, 1000000000, "Updates of the parameters",
                 .unit = "updates"),
        DLH_INT (EvolveOptions, episodes, 4, 1, 100000,
                 "That each candidate plays in an update, the same for all", .unit = "episodes"),
        DLH_INT (EvolveOptions, length, 0, 0, 1000000000,
                 "Steps after which an episode is cut off; 0: when the environment does it",
                 .unit = "steps"),
        DLH_INT (EvolveOptions, evaluate, 10, 0, 1000000000,
                 "Updates between evaluations of the parameters; 0: only at the end",
                 .unit = "updates"),
        DLH_INT (EvolveOptions, test_episodes, 20, 1, 100000,
                 "Of an evaluation, the same ones each time", .unit = "episodes"),
        DLH_DOUBLE (EvolveOptions, target, inf, -G_MAXDOUBLE, INFINITY,
                    "Mean return of an evaluation at which the run ends; inf: none",
                    .flags = DLH_ALLOW_INF),
        DLH_INT (EvolveOptions, log, 1, 1, 1000000000, "Updates between records of their returns",
                 .unit = "updates"),
        DLH_INT (EvolveOptions, checkpoint, 0, 0, 1000000000,
                 "Updates between checkpoints; 0: every 10 s", .unit = "updates"),
        DLH_INT (EvolveOptions, keep, 2, 0, 1000000,
                 "Checkpoints that are kept, the newest; 0: all"),
        DLH_DOUBLE (EvolveOptions, clip_norm, 0, 0.0, 1e30,
                    "Limit of the estimate's norm; 0: none"),
        SCHEDULE_OPTIONS (EvolveOptions, "constant", "the whole run")),
    .name = "evolve", .version = "1.0", .paper = "1703.03864",
    .summary = "Evolution strategies on the rewards of an environment");
