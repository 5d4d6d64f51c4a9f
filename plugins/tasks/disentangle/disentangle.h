/* SPDX-License-Identifier: MIT */
/* The task's parts: what is asked, encoding, scores, what is said and drawn. */
#pragma once

#include "codes.h"
#include "decompose.h"
#include "information.h"
#include "scores.h"

typedef struct {
    const char *split, *estimator, *average;
    gint64 batch, samples, points, cases, test_cases, group, traversals;
    double range, checkpoint;
    gboolean elbo, scores, untrained;
} DisentangleOptions;

/* In the order in which they are worked through. */
typedef enum {
    STAGE_ENCODE, /* counts examples */
    STAGE_GRID,   /* latents, as the next one */
    STAGE_SAMPLES,
    STAGE_SCORES, /* scores */
    STAGE_ELBO,   /* draws of z */
} Stage;

#define N_SCORES 6

/* Variables of the store. */
typedef struct {
    gint64 *stage, *done; /* the present stage, and how far it is */
    DlhTensor *codes[3];  /* (d, n): mean, log_std, z */
    double *log_likelihood;
    Information grid, sampled;
    double *scores;            /* (N_SCORES) */
    double *joint, *marginals; /* (samples): log densities at draws of z */
    gint64 saved_at;
} Kept;

typedef struct {
    DlhRun *run;
    const DisentangleOptions *opt;
    DlhComponent *model;
    const DlhLatent *latent;
    DlhData *data;
    DlhSplit split;
    DlhProblem problem;
    Codes codes;
    CodePrior prior;
    Kept kept;
    gint64 complete; /* how far a stage is that was worked through before the run was stopped */
    double stage_begin, stage_cost, total_cost; /* of progress, in parts of any unit */
    double n_encoded;
    gint64 trained; /* steps of training that the checkpoint has */
    GPtrArray *names; /* of the final record */
    GArray *values;   /* double, as many */
} Disentangle;

/* A part of the work that costs @cost; what it is given ends the run when the user wants that. */
Pace disentangle_stage (Disentangle *t, double cost);
/* Adds a number to the final record. */
void disentangle_add (Disentangle *t, double value, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Makes kept, and the codes as far as it has them; @dtype: of the encoder's numbers. */
gboolean disentangle_keep_init (Disentangle *t, DlhDType dtype, GError **error);
/* Keeps @n codes. */
void disentangle_keep_codes (Disentangle *t, gint64 first, gint64 n);
/* (transfer none): begins a stage of @total parts, or goes on with it: how far it is. Who works on
 * it counts on, before each step of its pace. */
gint64 *disentangle_begin (Disentangle *t, Stage stage, gint64 total);
/* Writes a checkpoint when it is time, or @now. */
gboolean disentangle_save (Disentangle *t, gint64 step, gboolean now, GError **error);

/* Fills codes and the prior; with opt->elbo the mean of log p (x | z) over examples as well. */
gboolean disentangle_encode (Disentangle *t, const Pace *pace, GError **error);
/* Writes disentangle.csv, a row a latent. @information may be NULL. */
gboolean disentangle_table (Disentangle *t, const Information *information, GError **error);
/* Draws traversals of the @n latents, most divergent first, and how the codes answer to factors. */
gboolean disentangle_traverse (Disentangle *t, const guint *latents, guint n, GError **error);
gboolean disentangle_respond (Disentangle *t, const Information *information, const guint *latents,
                              guint n, GError **error);
