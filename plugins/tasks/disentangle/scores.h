/* SPDX-License-Identifier: MIT */
/* Scores by predicting factors from codes. All are of the means, and of scored factors alone; NAN
 * where there are too few of them. */
#pragma once

#include "codes.h"

#define SCORES_ACTIVE 0.01 /* variance of the means of a latent that is in use */

typedef struct {
    gint64 n_train, n_test; /* cases that a predictor is fitted to and judged by */
    gint64 group;           /* examples, or pairs, behind one case */
    guint64 seed;
} ScoreOptions;

/* FactorVAE score (arXiv 1802.05983, section 4): a case is a factor whose value is fixed in a group
 * of examples; it votes for the latent whose variance, by that over all examples, is the least. The
 * score is how often the factor that a latent got most votes for is the right one. */
double score_factor_vae (const Codes *codes, const ScoreOptions *options);
/* BetaVAE score (Higgins et al. 2017): a case is a factor that both examples of each pair of a
 * group agree in; a linear classifier tells it from the mean of |mean_1 - mean_2|. Its accuracy. */
double score_beta_vae (const Codes *codes, const ScoreOptions *options);
/* SAP (arXiv 1711.00848): the gap between the two latents that predict a factor best on their own:
 * by R^2 where the factor's values are numbers, by the balanced accuracy of a step function where
 * they are not. */
double score_sap (const Codes *codes);

/* DCI (Eastwood and Williams 2018). */
typedef struct {
    double disentanglement, completeness, informativeness;
} Dci;

/* Importances by boosted trees; informativeness is the mean of R^2, or of the accuracy for factors
 * whose values are no numbers, on the test cases. */
Dci score_dci (const Codes *codes, const ScoreOptions *options);
/* @importance: (d, k), not negative. */
void dci_of_importance (const double *importance, guint d, guint k, Dci *out);

/* Draws @n examples by probability among those of value @v of @factor (NULL: of all); @u: (n)
 * uniform numbers. */
typedef struct {
    const Codes *codes;
    double **rising; /* (k): running sums of p in the factors' order */
    double *all;     /* (n) */
} Drawer;

void drawer_init (Drawer *drawer, const Codes *codes);
void drawer_clear (Drawer *drawer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Drawer, drawer_clear)
gint64 drawer_any (const Drawer *drawer, double u);
gint64 drawer_with (const Drawer *drawer, guint factor, gint64 value, double u);
gint64 drawer_value (const Drawer *drawer, guint factor, double u);
/* (k): the scored factors, *n of them. */
guint *scored_factors (const Codes *codes, guint *n);
