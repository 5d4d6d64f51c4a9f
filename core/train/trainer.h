/* SPDX-License-Identifier: MIT */
/* A trainer from within; trainer.c runs it, build.c builds what it runs, recover.c takes steps
 * back, look.c and parts.c look without training. */
#pragma once

#include "train/private.h"

/* A graph for one batch size and mode. */
typedef struct {
    DlhGraph *graph;
    DlhObjective objective;
    DlhUpdate *update;  /* NULL for evaluation */
    DlhNode *loss;      /* checked to be finite */
    GPtrArray *updates; /* the model's own assignments */
    GPtrArray *parts;   /* DlhObjective: the model on a part of the batch */
    DlhTrainer *trainer;
    DlhNode *x, *y;                      /* inputs; y is NULL where there is none */
    DlhNode *gaps[2];                    /* (nullable): of calibration, in evaluation */
    GHashTable *functions;               /* mask of phases -> DlhFunction */
    GArray *shown;                       /* DlhMetric: what the first outputs are */
    DlhFunction *prediction, *gradients; /* made when first asked for */
} Built;

struct _DlhTrainer {
    DlhStore *store;
    DlhComponent *model, *optimizer;
    DlhProblem problem;
    DlhTraining training;
    double *milestones;
    DlhVariable *step;
    GHashTable *built[2]; /* by mode: batch size -> Built */
    GHashTable *after;    /* phase name -> DlhFunction */
    GHashTable *beside;   /* phase name -> DlhBeside */
    GPtrArray *notes;
    gboolean noted;
    Built *last;
    DlhFunction *function;
    gboolean (*stop) (gpointer data); /* (nullable) */
    gpointer stop_data;
};

/* build.c */
void trainer_built_free (gpointer built);
/* (transfer none): for batches like @x and @y; made when first asked for. */
Built *trainer_built (DlhTrainer *t, DlhTensor *x, DlhTensor *y, gboolean training, GError **error);
/* (transfer none): a step with the phases of @mask; an after phase; a phase with a delay. */
DlhFunction *trainer_compile (DlhTrainer *t, Built *b, guint mask, GError **error);
DlhFunction *trainer_compile_after (DlhTrainer *t, Built *b, guint phase, GError **error);
DlhBeside *trainer_beside (DlhTrainer *t, Built *b, guint phase, GError **error);

/* trainer.c */
gboolean trainer_is_due (const DlhPhase *p, gint64 step);
gboolean trainer_is_empty (const DlhUpdate *u, guint phase);
gboolean trainer_run_after (DlhTrainer *t, Built *b, guint phase, DlhTensor *const *inputs, guint n,
                            GError **error);
/* FALSE, with the step and the node that went wrong in @error. */
gboolean trainer_explain (DlhTrainer *t, DlhFunction *f, DlhTensor *const *inputs, guint n,
                          GError **error);

/* average.c: runs @f with the averages in the place of the parameters, when there are any. */
gboolean trainer_run_averaged (DlhTrainer *t, DlhFunction *f, DlhTensor *const *inputs, guint n,
                               GError **error);
/* They begin anew: with the steps before one that was taken back. */
void trainer_forget_averages (DlhTrainer *t);

/* recover.c */
gboolean trainer_can_recover (const Built *b);
/* When that does not help, nothing has changed. */
gboolean trainer_try_again (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n);
