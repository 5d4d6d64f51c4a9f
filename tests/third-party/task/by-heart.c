/* SPDX-License-Identifier: MIT */
// by-heart: trains on one batch, until its loss is below a target when one is given. A model and an
// optimizer that cannot learn a single batch by heart are not worth a long run. Replace it by what
// your run does.
#include <dlhost/dlhost.h>

typedef struct {
    gint64 batch, steps, log;
    double loss;
} ByHeartOptions;

static gboolean
log_loss (DlhRun *run, const char *event, DlhTrainer *trainer, GError **error)
{
    const char *const names[] = {"train/loss"};
    const double loss = dlh_trainer_value (trainer, 0); // "loss" is always the first value

    return dlh_run_log (run, event, dlh_trainer_steps (trainer), names, &loss, 1, error);
}

static gboolean
finish (DlhRun *run, DlhTrainer *trainer, GError **error)
{
    return dlh_run_checkpoint (run, dlh_trainer_steps (trainer), error) &&
           log_loss (run, "final", trainer, error);
}

// The steps count in the store, so a resumed run goes on where it stopped.
static gboolean
fit_batch (DlhRun *run, DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, const ByHeartOptions *opt,
           GError **error)
{
    while (dlh_trainer_steps (trainer) < opt->steps) {
        gint64 step;

        if (!dlh_trainer_step (trainer, x, y, error))
            return FALSE;
        step = dlh_trainer_steps (trainer);
        dlh_run_progress (run, step, opt->steps, (double) (step * opt->batch));
        if (dlh_trainer_value (trainer, 0) < opt->loss)
            return finish (run, trainer, error);
        if (step % opt->log == 0 && !log_loss (run, "step", trainer, error))
            return FALSE;
        if (dlh_run_should_stop (run)) { // Ctrl-C: the host says how to resume
            if (dlh_run_checkpoint (run, step, error))
                g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                             "stopped at step %" G_GINT64_FORMAT, step);
            return FALSE;
        }
    }
    if (opt->loss == 0)
        return finish (run, trainer, error);
    g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                 "the loss of one batch is not below %g after %" G_GINT64_FORMAT
                 " steps: give more steps, another step size or a larger model",
                 opt->loss, opt->steps);
    return FALSE;
}

static gboolean
by_heart_run (DlhRun *run, gconstpointer options, GError **error)
{
    const ByHeartOptions *opt = options;
    DlhComponent *model = dlh_run_require (run, DLH_MODEL, error);
    DlhComponent *optimizer = model ? dlh_run_require (run, DLH_OPTIMIZER, error) : NULL;
    DlhData *data = optimizer ? dlh_run_data (run, error) : NULL;
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    g_autoptr (DlhTrainer) trainer = NULL;
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    DlhProblem problem;
    gint64 n;

    if (!data)
        return FALSE;
    problem = dlh_problem_of (data);
    trainer = dlh_trainer_new (dlh_run_store (run), model, optimizer, &problem, &training, error);
    if (!trainer)
        return FALSE;
    n = MIN (opt->batch, dlh_data_count (data, DLH_SPLIT_TRAIN));
    x = dlh_tensor_rows (dlh_data_inputs (data, DLH_SPLIT_TRAIN), 0, n);
    if (dlh_data_targets (data, DLH_SPLIT_TRAIN))
        y = dlh_tensor_rows (dlh_data_targets (data, DLH_SPLIT_TRAIN), 0, n);
    return fit_batch (run, trainer, x, y, opt, error);
}

static const DlhTask by_heart_task = {
    .size = sizeof (DlhTask),
    .run = by_heart_run,
};

DLH_PLUGIN_DEFINE (DLH_TASK, by_heart_task, ByHeartOptions,
                   DLH_OPTIONS (DLH_INT (ByHeartOptions, batch, 32, 1, 1000000,
                                         "Examples to learn by heart", .unit = "examples"),
                                DLH_INT (ByHeartOptions, steps, 200, 1, 1000000000,
                                         "At most so many", .unit = "steps"),
                                DLH_INT (ByHeartOptions, log, 20, 1, 1000000000,
                                         "Steps between records", .unit = "steps"),
                                DLH_DOUBLE (ByHeartOptions, loss, 0, 0.0, 1e30,
                                            "To be reached, or the run fails; 0: none")),
                   .name = "by-heart", .version = "0.1",
                   .summary = "Learns one batch by heart, a test of model and optimizer");
