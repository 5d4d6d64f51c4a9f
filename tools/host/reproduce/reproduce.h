/* SPDX-License-Identifier: MIT */
/* Carrying a recipe out. Everything is in DIR/EXPERIMENT/tune/ARM and DIR/EXPERIMENT/final/ARM,
 * each a sweep of its own, which goes on where it was stopped. */
#pragma once

#include "../command.h"
#include "../report/table.h"
#include "recipe.h"

/* What became of an arm. Means need all runs that ended, failed ones too. */
typedef struct {
    const RecipeArm *arm;
    char *chosen;         /* (nullable): "lr=0.1, momentum=0.9"; NULL: not tuned */
    char *edges;          /* (nullable): keys whose best value is an end of the axis: "lr" */
    double tuned;         /* the metric that chose, NaN: not tuned */
    guint tried;          /* settings whose runs of the tuning have ended */
    GPtrArray *runs;      /* RunData: final runs that finished, with their evaluations' metrics */
    guint wanted, failed; /* final runs; of them those that failed */
    guint lacking;        /* evaluations of them that have not succeeded */
} ArmOutcome;

typedef struct {
    const RecipeExperiment *experiment;
    GPtrArray *arms; /* ArmOutcome */
} Outcome;

void outcome_free (Outcome *outcome);

typedef struct {
    const char *dir, *plugin_path; /* plugin_path: (nullable) */
    gint64 jobs, threads;
    gboolean quiet;
    gboolean tabulate; /* what is done already: nothing is run */
    DlhRegistry *registry;
} ReproduceOptions;

/* (transfer full) (element-type utf8): those of the sweep of @phase. @chosen: (nullable)
 * (element-type SweepSetting): of tuning; NULL: this is the tuning. */
GPtrArray *reproduce_arguments (const RecipeExperiment *experiment, const RecipeArm *arm,
                                const RecipePhase *phase, GPtrArray *chosen, gint64 threads);
/* The same of an evaluation's, without --after. Where it names a plugin, the options of the run's
 * plugin of that kind are left out. */
GPtrArray *reproduce_evaluation_arguments (const RecipeExperiment *experiment, const RecipeArm *arm,
                                           const RecipeEvaluation *evaluation, GPtrArray *chosen,
                                           gint64 threads);
/* FALSE when an option of some run is wrong: before anything runs. */
gboolean reproduce_check (const RecipeExperiment *experiment, const ReproduceOptions *options,
                          GError **error);
/* FALSE when the data of some run cannot be loaded. @seen: data sets that can be, by their options:
 * each is loaded once. */
gboolean reproduce_check_data (const RecipeExperiment *experiment, const ReproduceOptions *options,
                               GHashTable *seen, GError **error);
/* (transfer full): runs what is not done. @code: (out): 0, 128 + the signal that ended it (NULL is
 * returned), or EXIT_RUN_FAILED when an arm has runs that failed. NULL with @error on other
 * trouble. */
Outcome *reproduce_run (const RecipeExperiment *experiment, const ReproduceOptions *options,
                        int *code, GError **error);

/* (transfer full): what was reached, and what tuning chose. */
Table *reproduce_table (const Outcome *outcome);
Table *reproduce_tuning (const Outcome *outcome);
/* (transfer full): last values of a metric against those of another, a point a run. */
Figure *reproduce_scatter (const Outcome *outcome, const RecipeFigure *plan);
/* Mean and standard error of @values over the arm's runs; FALSE and NaN unless all runs that ended
 * have one. */
gboolean reproduce_mean (const ArmOutcome *arm, const double *values, double *mean, double *error);
/* Writes DIR/EXPERIMENT/NAME.svg and .png; @names: (out) (element-type utf8):
 * "autoencoder/loss.svg". */
gboolean reproduce_figures (const Outcome *outcome, const char *dir, GPtrArray *names,
                            GError **error);
/* (transfer full): a section of results.md; @figures: of reproduce_figures(). */
char *reproduce_markdown (const Outcome *outcome, GPtrArray *figures);
