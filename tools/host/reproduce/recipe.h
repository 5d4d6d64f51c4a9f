/* SPDX-License-Identifier: MIT */
/* A recipe: which experiments a paper's claims are tried by. It is a JSON file, so that whoever
 * writes a plugin ships one beside it; this program knows no paper. Its members are in
 * docs/reproduce.md. */
#pragma once

#include "../report/curves.h"
#include "../sweep.h"

/* Tuning, or the runs with what tuning found. */
typedef struct {
    GHashTable *options; /* "task.steps" -> text */
    gint64 seed, seeds;
    gint64 random; /* draws instead of the whole grid; 0: the grid */
    char *by;      /* the metric that chooses */
} RecipePhase;

/* Runs after the final ones, each from the checkpoint that one of them left. */
typedef struct {
    char *name;
    GHashTable *options; /* on top of the run's */
} RecipeEvaluation;

/* One of the methods that are compared. */
typedef struct {
    char *name, *title;
    char *curve; /* (nullable): arms of the same one are points of a curve in scatter plots */
    GHashTable *options;
    GPtrArray *grid; /* SweepAxis; empty: not tuned */
    GPtrArray *then; /* RecipeEvaluation: the experiment's too */
} RecipeArm;

typedef enum {
    COLUMN_LAST = 1,
    COLUMN_BEST,
    COLUMN_AT,    /* a step */
    COLUMN_UNTIL, /* how far it is until the metric is as good as another arm's at its end */
} ColumnKind;

typedef struct {
    char *title, *metric;
    ColumnKind kind;
    gint64 step; /* of COLUMN_AT */
    char *until; /* an arm's name */
    Axis x;      /* of COLUMN_UNTIL */
} RecipeColumn;

typedef struct {
    char *name, *title, *metric;
    char *x_metric; /* (nullable): instead of curves, last values against those of this metric */
    CurveOptions curves;
} RecipeFigure;

typedef struct {
    char *name, *title;
    char *reported, *note; /* (nullable) */
    GHashTable *options;
    RecipePhase tune, final;
    GPtrArray *then;                   /* RecipeEvaluation; as written: arms have them all */
    GPtrArray *arms, *table, *figures; /* RecipeArm, RecipeColumn, RecipeFigure */
    gboolean uses_data;                /* {data} stands in it */
} RecipeExperiment;

typedef struct {
    char *path, *title;
    char *paper; /* (nullable) */
    GPtrArray *experiments;
} Recipe;

/* (transfer full): with @scale carried out ("full": as it stands) and {data} replaced by @data
 * (nullable: what the recipe says), {out} by @out, where all results go (nullable).
 * DLH_ERROR_OPTION says what is wrong and where. */
Recipe *recipe_read (const char *path, const char *scale, const char *data, const char *out,
                     GError **error);
void recipe_free (Recipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Recipe, recipe_free)

/* Empty ones, with the defaults of what a file leaves out. */
RecipeExperiment *recipe_experiment_new (void);
void recipe_experiment_free (RecipeExperiment *experiment);
/* (transfer none): one more arm. */
RecipeArm *recipe_arm_new (RecipeExperiment *experiment);
GHashTable *recipe_settings_new (void);
RecipeEvaluation *recipe_evaluation_new (void);
void recipe_evaluation_free (gpointer evaluation);

/* How many settings the arm is tried with; 1 when it is not tuned. */
guint recipe_arm_budget (const RecipeExperiment *experiment, const RecipeArm *arm);
