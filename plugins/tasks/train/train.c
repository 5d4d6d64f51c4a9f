/* SPDX-License-Identifier: MIT */
// Training: schedule, clipping, weight decay and early stopping for every optimizer; what is
// reported, and the checkpoints that a stopped run goes on from.
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "tasks/calibration.h"
#include "tasks/pictures.h"
#include "tasks/schedule.h"
#include "tasks/watched.h"
#include "batches.h"

#define MAX_VALUES 32
#define MOST_TRAINING 10000 /* examples scored of a training split, where there is no other */
#define EVALUATION_BATCH 500
#define SECONDS_BETWEEN_CHECKPOINTS 10

typedef struct {
    gint64 epochs, steps, batch, log, evaluate, checkpoint, patience, keep, images;
    gboolean histograms;
    const char *monitor, *best;
    double clip_norm, clip_value, weight_decay, decoupled, average;
    SCHEDULE_FIELDS;
} TrainOptions;

typedef struct {
    DlhRun *run;
    const TrainOptions *opt;
    DlhData *data;
    DlhTrainer *trainer;
    Batches batches;
    gint64 total; /* steps */
    double sums[MAX_VALUES];
    double n_summed;
    Calibration calibration;  /* of the split that is being evaluated */
    gint64 saved_at;          /* monotonic microseconds */
    DlhVariable *accumulated; /* sums and n_summed, as they are at a checkpoint */
    Watched monitor, best;
} Train;

static void
train_clear (Train *t)
{
    batches_clear (&t->batches);
    dlh_trainer_free (t->trainer);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Train, train_clear)

/* What is reported. */

static gboolean
report (Train *t, const char *event, const char *prefix, gint64 step, GError **error)
{
    guint n = MIN (dlh_trainer_n_values (t->trainer), MAX_VALUES);
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    double values[MAX_VALUES + 2];

    for (guint i = 0; i < n; i++) {
        g_ptr_array_add (names,
                         g_strdup_printf ("%s/%s", prefix, dlh_trainer_value_name (t->trainer, i)));
        values[i] = t->sums[i] / t->n_summed;
    }
    n = calibration_report (&t->calibration, prefix, names, values, n);
    memset (&t->calibration, 0, sizeof t->calibration);
    for (guint i = 0; i < n; i++) {
        watch (&t->monitor, names->pdata[i], values[i]);
        watch (&t->best, names->pdata[i], values[i]);
    }
    memset (t->sums, 0, sizeof t->sums);
    t->n_summed = 0;
    return dlh_run_log (t->run, event, step, (const char *const *)names->pdata, values, n, error);
}

static void
accumulate (Train *t, double weight)
{
    for (guint i = 0; i < MIN (dlh_trainer_n_values (t->trainer), MAX_VALUES); i++)
        t->sums[i] += weight * dlh_trainer_value (t->trainer, i);
    t->n_summed += weight;
}

static gboolean
evaluate_split (Train *t, DlhSplit split, const char *prefix, const char *event, gint64 step,
                GError **error)
{
    gint64 n = split == DLH_SPLIT_TRAIN ? MIN (t->batches.n, MOST_TRAINING)
                                        : dlh_data_count (t->data, split);
    DlhTensor *y = dlh_data_targets (t->data, split);

    for (gint64 first = 0; first < n; first += EVALUATION_BATCH) {
        gint64 m = MIN (EVALUATION_BATCH, n - first);
        g_autoptr (DlhTensor) bx = dlh_data_rows (t->data, split, first, m, error);
        g_autoptr (DlhTensor) by = y ? dlh_tensor_rows (y, first, m) : NULL;

        if (!bx || !dlh_trainer_evaluate (t->trainer, bx, by, error))
            return FALSE;
        accumulate (t, (double)m);
        calibration_add (&t->calibration, t->trainer);
    }
    return n == 0 || report (t, event, prefix, step, error);
}

// Values and gradients of the parameters; gradients on the last batch, unless none was taken.
static gboolean
log_histograms (Train *t, gint64 step, GError **error)
{
    DlhStore *store = dlh_run_store (t->run);
    g_autoptr (GArray) gradients = NULL;

    if (!t->opt->histograms)
        return TRUE;
    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        DlhVariable *v = dlh_store_get_variable (store, i);
        g_autofree char *name = g_strdup_printf ("values/%s", dlh_variable_name (v));

        if (dlh_variable_is_trainable (v) &&
            !dlh_run_log_histogram (t->run, step, name, dlh_variable_tensor (v), error))
            return FALSE;
    }
    if (t->batches.last_x && !(gradients = dlh_trainer_gradients (t->trainer, t->batches.last_x,
                                                                  t->batches.last_y, error)))
        return FALSE;
    for (guint i = 0; gradients && i < gradients->len; i++) {
        const DlhGradient *g = &g_array_index (gradients, DlhGradient, i);
        g_autofree char *name = g_strdup_printf ("gradients/%s", dlh_variable_name (g->variable));

        if (!dlh_run_log_histogram (t->run, step, name, g->gradient, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
log_pictures (Train *t, gint64 step, GError **error)
{
    DlhSplit split = dlh_data_has_split (t->data, DLH_SPLIT_TEST)    ? DLH_SPLIT_TEST
                     : dlh_data_has_split (t->data, DLH_SPLIT_VALID) ? DLH_SPLIT_VALID
                                                                     : DLH_SPLIT_TRAIN;

    return pictures_log (t->run, t->trainer, t->data, split, t->opt->images, step, error);
}

static gboolean
evaluate (Train *t, const char *event, gint64 step, GError **error)
{
    if (dlh_data_has_split (t->data, DLH_SPLIT_VALID) &&
        !evaluate_split (t, DLH_SPLIT_VALID, "valid", event, step, error))
        return FALSE;
    if (dlh_data_has_split (t->data, DLH_SPLIT_TEST))
        return evaluate_split (t, DLH_SPLIT_TEST, "test", event, step, error);
    if (dlh_data_has_split (t->data, DLH_SPLIT_VALID))
        return TRUE;
    // Nothing has been kept back: what there is.
    if (!dlh_data_is_stream (t->data))
        return evaluate_split (t, DLH_SPLIT_TRAIN, "train", event, step, error);
    return dlh_run_log (t->run, event, step, NULL, NULL, 0, error);
}

/* The loop. */

static gboolean
is_stale (Train *t)
{
    return t->monitor.name && *scalar_of (t->monitor.since) >= (double)t->opt->patience;
}

static void
keep_sums (Train *t)
{
    double *kept = scalar_of (t->accumulated);

    memcpy (kept, t->sums, sizeof t->sums);
    kept[MAX_VALUES] = t->n_summed;
}

static void
take_sums (Train *t)
{
    const double *kept = scalar_of (t->accumulated);

    memcpy (t->sums, kept, sizeof t->sums);
    t->n_summed = kept[MAX_VALUES];
}

static gboolean
save (Train *t, gint64 step, GError **error)
{
    keep_sums (t);
    return dlh_run_checkpoint (t->run, step, error);
}

// What has been summed since the last report waits until after the evaluation.
static gboolean
evaluate_between (Train *t, gint64 step, gboolean *stop, GError **error)
{
    keep_sums (t);
    memset (t->sums, 0, sizeof t->sums);
    t->n_summed = 0;
    if (!log_histograms (t, step, error) || !evaluate (t, "eval", step, error) ||
        !check_known (&t->monitor, error) || !check_known (&t->best, error))
        return FALSE;
    take_sums (t);
    if (t->monitor.name)
        improves (&t->monitor);
    *stop = is_stale (t);
    return !t->best.name || !improves (&t->best) || dlh_run_checkpoint_best (t->run, step, error);
}

// Without a period: after an epoch, unless the last one is only seconds old.
static gboolean
checkpoint_is_due (Train *t, gint64 step)
{
    gint64 now = g_get_monotonic_time ();

    if (t->opt->checkpoint)
        return step % t->opt->checkpoint == 0;
    if (step % t->batches.per_epoch ||
        now - t->saved_at < SECONDS_BETWEEN_CHECKPOINTS * G_USEC_PER_SEC)
        return FALSE;
    t->saved_at = now;
    return TRUE;
}

static gboolean
after_step (Train *t, gint64 step, gboolean *stop, GError **error)
{
    const TrainOptions *opt = t->opt;
    gint64 every = opt->evaluate ? opt->evaluate : t->batches.per_epoch;

    if ((step % opt->log == 0 || step == t->total) && !report (t, "step", "train", step, error))
        return FALSE;
    if (step % every == 0 && step < t->total && !evaluate_between (t, step, stop, error))
        return FALSE;
    if (step < t->total && !*stop && checkpoint_is_due (t, step))
        return save (t, step, error);
    return TRUE;
}

// The best checkpoint may be the last; that it is must be known to a run that is prolonged.
static gboolean
evaluate_last (Train *t, gint64 step, GError **error)
{
    memset (t->sums, 0, sizeof t->sums);
    t->n_summed = 0;
    if (!log_histograms (t, step, error) || !log_pictures (t, step, error) ||
        !evaluate (t, "final", step, error) || !check_known (&t->best, error))
        return FALSE;
    return !t->best.name || !improves (&t->best) ||
           (dlh_run_checkpoint_best (t->run, step, error) && save (t, step, error));
}

// A run that was asked to stop goes on from what is saved here.
static gboolean
stop_here (Train *t, gint64 step, GError **error)
{
    if (save (t, step, error))
        g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                     "stopped at step %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, step, t->total);
    return FALSE;
}

static gboolean
asked_to_stop (gpointer t)
{
    return dlh_run_should_stop (((Train *)t)->run);
}

static gboolean
train_step (Train *t, gint64 step, GError **error)
{
    g_autoptr (GError) cause = NULL;
    Batches *b = &t->batches;
    double n;

    if (!batches_take (b, step, error))
        return FALSE;
    n = (double)dlh_tensor_get_shape (b->last_x).dims[0];
    if (!dlh_trainer_step (t->trainer, b->last_x, b->last_y, &cause)) {
        if (g_error_matches (cause, DLH_ERROR, DLH_ERROR_CANCELLED))
            return stop_here (t, step, error);
        g_propagate_error (error, g_steal_pointer (&cause));
        return FALSE;
    }
    if (b->seen == n)
        for (guint i = 0; i < dlh_trainer_notes (t->trainer)->len; i++)
            dlh_run_message (t->run, "%s", (const char *)dlh_trainer_notes (t->trainer)->pdata[i]);
    accumulate (t, n);
    return TRUE;
}

static gboolean
train_loop (Train *t, GError **error)
{
    // A run that was stopped early and is killed before its last evaluation has only that to do.
    gboolean stop = is_stale (t);
    gint64 step = dlh_trainer_steps (t->trainer);

    take_sums (t);
    t->saved_at = g_get_monotonic_time ();
    if (step >= t->total) {
        dlh_run_message (t->run,
                         "nothing left to train: step %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                         " is done; give more --steps or --epochs",
                         step, t->total);
        return evaluate_last (t, step, error);
    }
    if (step == 0 && !log_pictures (t, step, error))
        return FALSE;
    while (step < t->total && !stop) {
        if (!train_step (t, step, error))
            return FALSE;
        step = dlh_trainer_steps (t->trainer);
        if (!after_step (t, step, &stop, error))
            return FALSE;
        dlh_run_progress (t->run, step, t->total, t->batches.seen);
        if (dlh_run_should_stop (t->run) && step < t->total)
            return stop_here (t, step, error);
    }
    if (stop)
        dlh_run_message (t->run,
                         "early stop at step %" G_GINT64_FORMAT
                         ": %s has not improved for %" G_GINT64_FORMAT " evaluations",
                         step, t->monitor.name, t->opt->patience);
    return save (t, step, error) && evaluate_last (t, step, error);
}

static gboolean
prepare_state (Train *t, GError **error)
{
    dlh_run_keep_checkpoints (t->run, (guint)t->opt->keep);
    t->accumulated =
        dlh_store_variable (dlh_run_store (t->run), "train/sums", DLH_F64,
                            dlh_shape (MAX_VALUES + 1), (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    return t->accumulated &&
           (!t->opt->patience || prepare_watched (&t->monitor, t->run, t->data, "patience",
                                                  t->opt->monitor, "best", error)) &&
           (!*t->opt->best ||
            prepare_watched (&t->best, t->run, t->data, "best", t->opt->best, "kept", error));
}

static gboolean
prepare (Train *t, GError **error)
{
    const TrainOptions *opt = t->opt;
    DlhComponent *model = dlh_run_require (t->run, DLH_MODEL, error);
    DlhComponent *optimizer = model ? dlh_run_require (t->run, DLH_OPTIMIZER, error) : NULL;
    DlhTraining training = {.size = sizeof training,
                            .clip_norm = opt->clip_norm,
                            .clip_value = opt->clip_value,
                            .weight_decay = opt->weight_decay,
                            .decoupled_weight_decay = opt->decoupled,
                            .average = opt->average};
    DlhProblem problem;

    if (!optimizer || !(t->data = dlh_run_data (t->run, error)) ||
        !batches_init (&t->batches, t->run, t->data, opt->batch, error))
        return FALSE;
    t->total = opt->steps ? opt->steps : opt->epochs * t->batches.per_epoch;
    training.schedule = schedule_of (opt, t->total, t->batches.per_epoch);
    problem = dlh_problem_of (t->data);
    t->trainer =
        dlh_trainer_new (dlh_run_store (t->run), model, optimizer, &problem, &training, error);
    if (t->trainer)
        dlh_trainer_set_stop (t->trainer, asked_to_stop, t);
    return t->trainer && prepare_state (t, error);
}

static gboolean
train_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Train) t = {.run = run, .opt = options};

    return prepare (&t, error) && train_loop (&t, error);
}

static const DlhTask train = {.size = sizeof (DlhTask), .run = train_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, train, TrainOptions,
    DLH_OPTIONS (
        DLH_INT (TrainOptions, epochs, 6, 1, 1000000, "Passes over the training data",
                 .unit = "epochs"),
        DLH_INT (TrainOptions, steps, 0, 0, 1000000000000, "Steps to train; 0: epochs decide",
                 .unit = "steps"),
        DLH_INT (TrainOptions, batch, 128, 1, 100000000, "Examples in a step", .unit = "examples"),
        DLH_INT (TrainOptions, log, 50, 1, 1000000000, "Steps between records of training metrics",
                 .unit = "steps"),
        DLH_INT (TrainOptions, evaluate, 0, 0, 1000000000,
                 "Steps between evaluations; 0: after each epoch", .unit = "steps"),
        DLH_INT (TrainOptions, checkpoint, 0, 0, 1000000000,
                 "Steps between checkpoints; 0: after an epoch, at most every 10 s",
                 .unit = "steps"),
        SCHEDULE_OPTIONS (TrainOptions, "cosine", "an epoch"),
        DLH_DOUBLE (TrainOptions, clip_norm, 0, 0.0, 1e30, "Limit of the gradient's norm; 0: none"),
        DLH_DOUBLE (TrainOptions, clip_value, 0, 0.0, 1e30,
                    "Limit of each element of the gradient; 0: none"),
        DLH_DOUBLE (TrainOptions, weight_decay, 0, 0.0, 1e6,
                    "L2 coefficient, added to the gradient of every optimizer"),
        DLH_DOUBLE (TrainOptions, decoupled, 0, 0.0, 1e6,
                    "Decoupled weight decay: parameters shrink by this times the schedule"),
        DLH_DOUBLE (TrainOptions, average, 0, 0.0, 1.0,
                    "Decay of a moving average of the parameters, which is what is evaluated; 0: "
                    "none",
                    .flags = DLH_MAX_OPEN),
        DLH_INT (TrainOptions, patience, 0, 0, 1000000,
                 "Early stopping: evaluations without improvement; 0: off"),
        DLH_STRING (TrainOptions, monitor, "valid/loss", "Metric that early stopping watches"),
        DLH_INT (TrainOptions, keep, 2, 0, 1000000,
                 "Checkpoints that are kept, the newest; 0: all"),
        DLH_STRING (TrainOptions, best, "",
                    "Metric whose best checkpoint is kept, such as valid/loss or max:test/score"),
        DLH_INT (TrainOptions, images, 16, 0, 1000,
                 "Examples shown with their predictions at the start and the end, when they look "
                 "like pictures",
                 .unit = "examples"),
        DLH_BOOL_OPTION (
            TrainOptions, histograms, true,
            "Record how parameters and gradients are distributed, at each evaluation")),
    .name = "train", .version = "1.0", .summary = "Fits a supervised model by an optimizer");
