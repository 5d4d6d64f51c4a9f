/* SPDX-License-Identifier: MIT */
/* A training step: model, objective and optimizer compiled together, for tasks and for programs
 * that embed dlhost. Functions are compiled for each batch size when first needed. */
#pragma once

#include <dlhost/function.h>
#include <dlhost/optimizer.h>
#include <dlhost/registry.h>

G_BEGIN_DECLS

typedef struct _DlhTrainer DlhTrainer; /* a model, an optimizer, their functions */

/* How the step size changes with the steps. */
typedef enum {
    DLH_SCHEDULE_CONSTANT = 1,
    DLH_SCHEDULE_STEP,         /* factor^(number of milestones passed) */
    DLH_SCHEDULE_EXPONENTIAL,  /* factor^(step / period) */
    DLH_SCHEDULE_COSINE,       /* from 1 to floor over total steps */
    DLH_SCHEDULE_INVERSE_TIME, /* 1 / (1 + factor step / period) */
} DlhScheduleKind;

/* Multiplies every optimizer's step size; a linear warm-up over @warmup steps comes first. */
typedef struct {
    DlhScheduleKind kind;
    double factor;
    double period; /* steps */
    double total;  /* steps */
    double floor;
    double warmup;         /* steps */
    DlhDoubles milestones; /* steps */
} DlhSchedule;

/* What a run does to gradients and step sizes, whatever the optimizer. */
typedef struct {
    gsize size;
    DlhSchedule schedule;
    double clip_norm;              /* 0: none; else the global gradient norm is cut to this */
    double clip_value;             /* 0: none; else each element is clamped to +- this */
    double weight_decay;           /* coupled: added to the gradient as weight_decay * parameter */
    double decoupled_weight_decay; /* parameter -= schedule * this * parameter */
    DlhCompileFlags compile_flags;
    double average; /* 0: none; else the decay of a moving average of the parameters, kept as
                       "average/<parameter>"; evaluations and predictions use it */
} DlhTraining;

/** dlh_schedule_value: the factor at @step (0 first): the reference for the node. */
DLH_EXPORT double dlh_schedule_value (const DlhSchedule *schedule, double step);
/** dlh_schedule_node: the same as a node of @step, an f64 scalar. */
DLH_EXPORT DlhNode *dlh_schedule_node (const DlhSchedule *schedule, DlhNode *step);

/**
 * dlh_trainer_new:
 * @model: with the supervised role
 * @optimizer: (nullable): NULL for a trainer that only evaluates
 * Returns: (transfer full): the trainer. Nothing is built until the first batch.
 */
DLH_EXPORT DlhTrainer *dlh_trainer_new (DlhStore *store, DlhComponent *model,
                                        DlhComponent *optimizer, const DlhProblem *problem,
                                        const DlhTraining *training, GError **error);
/** dlh_trainer_free: the store, with all variables, lives on. NULL is allowed. */
DLH_EXPORT void dlh_trainer_free (DlhTrainer *trainer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhTrainer, dlh_trainer_free)

/** dlh_trainer_step: one update on a batch. On DLH_ERROR_NUMERIC the message names the step and the
 * first node that is not finite, and no variable has changed; except when the failure is in a phase
 * after the step, which has then been done. */
DLH_EXPORT gboolean dlh_trainer_step (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y,
                                      GError **error);
/** dlh_trainer_set_stop: @asked: (nullable): is called now and then within steps that score a
 * population, which may take long; where it returns TRUE the step ends with DLH_ERROR_CANCELLED and
 * no variable has changed: another call does the same step. */
DLH_EXPORT void dlh_trainer_set_stop (DlhTrainer *trainer, gboolean (*asked) (gpointer data),
                                      gpointer data);
/** dlh_trainer_evaluate: the loss and metrics of a batch, with the model in evaluation mode. */
DLH_EXPORT gboolean dlh_trainer_evaluate (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y,
                                          GError **error);
/** dlh_trainer_predict: @prediction: (out) (transfer none) (nullable): the mean of what the model
 * predicts for a batch (for classes: their probabilities (.., K)), in evaluation mode, until the
 * next call; NULL when it gives no distribution. */
DLH_EXPORT gboolean dlh_trainer_predict (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y,
                                         const DlhTensor **prediction, GError **error);

/** DLH_CALIBRATION_BINS: of equal width, for the probability of the likeliest class. */
#define DLH_CALIBRATION_BINS 15
/**
 * dlh_trainer_calibration:
 * @which: 0: the prediction; 1: the one averaged over draws of the weights
 * @gaps: DLH_CALIBRATION_BINS sums over the last evaluation's cases: confidence less hits
 * Returns: how many cases; 0 when the model's objective does not ask for it. Over all batches the
 * sum of the bins' absolute sums by the cases is the expected calibration error.
 */
DLH_EXPORT double dlh_trainer_calibration (DlhTrainer *trainer, guint which, double *gaps);

/** DlhGradient: a parameter and the loss's gradient by it, of its shape. */
typedef struct {
    DlhVariable *variable;
    const DlhTensor *gradient;
} DlhGradient;

/** dlh_trainer_gradients: what the optimizer is given for a batch: with clipping and weight decay.
 * No variable changes, positions of random streams included. Returns: (element-type DlhGradient)
 * (transfer full): one for each parameter; the tensors are valid until the next call. */
DLH_EXPORT GArray *dlh_trainer_gradients (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y,
                                          GError **error);
/** dlh_trainer_n_values, dlh_trainer_value_name, dlh_trainer_value: values of the last step or
 * evaluation: "loss", the model's metrics, and after a step what the optimizer logs. */
DLH_EXPORT guint dlh_trainer_n_values (DlhTrainer *trainer);
DLH_EXPORT const char *dlh_trainer_value_name (DlhTrainer *trainer, guint i);
DLH_EXPORT double dlh_trainer_value (DlhTrainer *trainer, guint i);
/** dlh_trainer_steps: steps done, from the store, so that it survives a checkpoint. */
DLH_EXPORT gint64 dlh_trainer_steps (DlhTrainer *trainer);
/** dlh_trainer_notes: (element-type utf8): lines from dlh_update_note(). */
DLH_EXPORT GPtrArray *dlh_trainer_notes (DlhTrainer *trainer);
/** dlh_trainer_function: (transfer none): the compiled step for the last batch size, to profile. */
DLH_EXPORT DlhFunction *dlh_trainer_function (DlhTrainer *trainer);

/* A function that training steps run. */
typedef struct {
    char *name; /* "step", "step with statistics", "after: inverses", "beside: inverses" */
    DlhFunction *function; /* its inputs are x and, where there is one, y */
    double runs;           /* in a step, on average over many */
} DlhTrainerPart;

/** dlh_trainer_parts: the functions of training steps on a batch like @x and @y, compiled when
 * needed, the most frequent first. Runs nothing. Returns: (element-type DlhTrainerPart) (transfer
 * full), valid as long as the trainer. */
DLH_EXPORT GArray *dlh_trainer_parts (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y,
                                      GError **error);
/** dlh_trainer_evaluation: (transfer none): the function behind dlh_trainer_evaluate(). */
DLH_EXPORT DlhFunction *dlh_trainer_evaluation (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y,
                                                GError **error);

G_END_DECLS
