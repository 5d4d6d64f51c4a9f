/* SPDX-License-Identifier: MIT */
#pragma once

#include <dlhost/population.h>

#define DLH_ALWAYS (-1)
#define DLH_MAX_PHASES 16 /* 8 of the optimizer, and one for each period of parameters */

typedef struct {
    char *name;
    DlhPhaseWhen when;
    gint64 period, first;
    gint64 delay; /* above 0: computed beside the steps, stored so many steps later */
} DlhPhase;

typedef struct {
    DlhNode *assign;
    int phase; /* index, or DLH_ALWAYS */
} DlhPhaseAssign;

/* A draw of a population that is kept in a variable: normal, or signs where sigma is 0. */
typedef struct {
    DlhVariable *variable;
    DlhStream *stream;
    double sigma;
} DlhCandidateDraw;

struct _DlhUpdate {
    DlhGraph *graph;
    DlhStore *store;
    const char *prefix; /* the optimizer's name */
    const DlhObjective *objective;
    const DlhTraining *training;
    GPtrArray *variables; /* trainable, that the loss depends on */
    DlhNode **values;
    DlhNode **gradients;
    gboolean *moved;
    DlhNode **after; /* parameters after the step; of those with a pace of their own, before it */
    GHashTable *owners; /* DlhVariable: state of one parameter -> the parameter */
    DlhNode *step;      /* f64 scalar */
    DlhNode *schedule;  /* scalar of the store's dtype */
    GArray *phases;     /* DlhPhase */
    GArray *assigns;    /* DlhPhaseAssign */
    GArray *logs;       /* DlhMetric */
    GPtrArray *notes;   /* char* */
    /* The model once more, on other rows: (transfer none). */
    const DlhObjective *(*build_rows) (gpointer data, DlhNode *x, DlhNode *y, GError **error);
    gpointer build_data;
    DlhNode *x, *y;            /* the batch; y is NULL where there is none */
    gboolean differentiated;   /* gradients are there */
    gboolean rewarded;         /* scores of a population are given, draws are variables */
    DlhPopulation *population; /* (nullable) */
    GArray *draws;             /* DlhCandidateDraw */
    gint64 n_examples;
};

DlhUpdate *dlh_update_new (DlhGraph *graph, DlhStore *store, const char *prefix,
                           const DlhObjective *objective, const DlhTraining *training,
                           DlhVariable *step);
void dlh_update_free (DlhUpdate *u);
/* The gradients as the optimizer is given them, made when first asked for. */
DlhNode *const *dlh_update_gradients (DlhUpdate *u);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhUpdate, dlh_update_free)

/* Assigned at every step. */
void dlh_update_assign_plain (DlhUpdate *u, DlhNode *read, DlhNode *value);

/* average.c: what a step does to the averages, @moved the parameters after it. */
void dlh_average_step (DlhUpdate *u, DlhNode *const *moved);

/* calibration.c: (DLH_CALIBRATION_BINS) sums of confidence less hits; of a categorical. */
DlhNode *dlh_calibration_gaps (DlhDistribution *prediction, DlhNode *target);

/* beside.c: a phase that is computed on a thread of its own while steps go on. */
typedef struct _DlhBeside DlhBeside;

/* @phase of @u has a delay. Its states "<optimizer>/<phase>/begun" and "../copy/..." are made. */
DlhBeside *dlh_beside_new (DlhUpdate *u, guint phase, GError **error);
/* Waits for the thread. */
void dlh_beside_free (DlhBeside *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhBeside, dlh_beside_free)
/* The end of step @step: stores what is ready by rule, and begins when @due. What begins at the
 * @first of all times is stored at once. */
gboolean dlh_beside_step (DlhBeside *b, gint64 step, gboolean due, gboolean first, GError **error);
/* Begins at step @step and stores the result at once, whatever was under way. */
gboolean dlh_beside_now (DlhBeside *b, gint64 step, GError **error);
DlhFunction *dlh_beside_function (DlhBeside *b);
