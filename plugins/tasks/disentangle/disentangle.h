/* SPDX-License-Identifier: MIT */
/* The task's parts: what is asked, encoding, scores, what is said and drawn. */
#pragma once

#include "codes.h"
#include "decompose.h"
#include "information.h"
#include "scores.h"

typedef struct {
    const char *split, *estimator;
    gint64 batch, samples, points, cases, test_cases, group, traversals;
    double range;
    gboolean elbo, scores, untrained;
} DisentangleOptions;

typedef struct {
    DlhRun *run;
    const DisentangleOptions *opt;
    DlhComponent *model;
    const DlhLatent *latent;
    DlhData *data;
    DlhSplit split;
    DlhProblem problem;
    Codes codes;
    double *prior_mean, *prior_log_std;         /* (d) */
    double log_likelihood;                      /* mean of log p (x | z) over examples */
    double stage_begin, stage_cost, total_cost; /* of progress, in parts of any unit */
    double n_encoded;
    GPtrArray *names; /* of the final record */
    GArray *values;   /* double, as many */
} Disentangle;

/* A part of the work that costs @cost; what it is given ends the run when the user wants that. */
Pace disentangle_stage (Disentangle *t, double cost);
/* Adds a number to the final record. */
void disentangle_add (Disentangle *t, double value, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Fills codes and the prior; with opt->elbo log_likelihood as well. */
gboolean disentangle_encode (Disentangle *t, const Pace *pace, GError **error);
/* Writes disentangle.csv, a row a latent. @information may be NULL. */
gboolean disentangle_table (Disentangle *t, const Information *information, GError **error);
/* Draws traversals of the @n latents, most divergent first, and how the codes answer to factors. */
gboolean disentangle_traverse (Disentangle *t, const guint *latents, guint n, GError **error);
gboolean disentangle_respond (Disentangle *t, const Information *information, const guint *latents,
                              guint n, GError **error);
