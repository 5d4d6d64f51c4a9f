/* SPDX-License-Identifier: MIT */
// Evaluation: the loss and metrics of a model, usually from a checkpoint, on one split.
#include <dlhost/dlhost.h>
#include "calibration.h"
#include "pictures.h"
#include "splits.h"

#define MAX_VALUES 32

typedef struct {
    const char *split, *average;
    gint64 batch, images;
} EvaluateOptions;

static gboolean
sum_batches (DlhRun *run, DlhTrainer *trainer, DlhData *data, DlhSplit split, gint64 batch,
             double *sums, Calibration *calibration, GError **error)
{
    gint64 n = dlh_data_count (data, split);
    DlhTensor *y = dlh_data_targets (data, split);

    for (gint64 first = 0; first < n; first += batch) {
        gint64 m = MIN (batch, n - first);
        g_autoptr (DlhTensor) bx = dlh_data_rows (data, split, first, m, error);
        g_autoptr (DlhTensor) by = y ? dlh_tensor_rows (y, first, m) : NULL;

        if (!bx || !dlh_trainer_evaluate (trainer, bx, by, error))
            return FALSE;
        for (guint i = 0; i < MIN (dlh_trainer_n_values (trainer), MAX_VALUES); i++)
            sums[i] += (double)m / (double)n * dlh_trainer_value (trainer, i);
        calibration_add (calibration, trainer);
        dlh_run_progress (run, first + m, n, (double)(first + m));
        if (dlh_run_should_stop (run) && first + m < n) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                         "stopped after %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " examples",
                         first + m, n);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
evaluate_run (DlhRun *run, gconstpointer options, GError **error)
{
    const EvaluateOptions *opt = options;
    DlhComponent *model = dlh_run_require (run, DLH_MODEL, error);
    DlhData *data = model ? dlh_run_data (run, error) : NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    g_autoptr (DlhTrainer) trainer = NULL;
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    double sums[MAX_VALUES + 2] = {0};
    Calibration calibration = {0};
    DlhProblem problem;
    DlhSplit split;

    if (!data)
        return FALSE;
    if (!split_find ("evaluate", data, opt->split, &split, error))
        return FALSE;
    if (!dlh_run_average (run, opt->average, error)) {
        g_prefix_error (error, "evaluate: ");
        return FALSE;
    }
    problem = dlh_problem_of (data);
    trainer = dlh_trainer_new (dlh_run_store (run), model, NULL, &problem, &training, error);
    if (trainer && dlh_trainer_steps (trainer) == 0)
        dlh_run_message (run, "note: no trained checkpoint is given: first values are scored");
    if (!trainer ||
        !sum_batches (run, trainer, data, split, opt->batch, sums, &calibration, error) ||
        !pictures_log (run, trainer, data, split, opt->images, dlh_trainer_steps (trainer), error))
        return FALSE;
    for (guint i = 0; i < MIN (dlh_trainer_n_values (trainer), MAX_VALUES); i++)
        g_ptr_array_add (
            names, g_strdup_printf ("%s/%s", opt->split, dlh_trainer_value_name (trainer, i)));
    calibration_report (&calibration, opt->split, names, sums, names->len);
    return dlh_run_log (run, "final", dlh_trainer_steps (trainer),
                        (const char *const *)names->pdata, sums, names->len, error);
}

static const DlhTask evaluate = {.size = sizeof (DlhTask), .run = evaluate_run};

DLH_PLUGIN_DEFINE (DLH_TASK, evaluate, EvaluateOptions,
                   DLH_OPTIONS (DLH_CHOICE (EvaluateOptions, split, "test", "train|valid|test",
                                            "What to score"),
                                DLH_INT (EvaluateOptions, batch, 500, 1, 100000000,
                                         "Examples in a pass", .unit = "examples"),
                                DLH_AVERAGE_OPTION (EvaluateOptions),
                                DLH_INT (EvaluateOptions, images, 16, 0, 1000,
                                         "Examples shown with their predictions, when they look "
                                         "like pictures",
                                         .unit = "examples")),
                   .name = "evaluate", .version = "1.0",
                   .summary = "Scores a model on a split of a data set, without training");
