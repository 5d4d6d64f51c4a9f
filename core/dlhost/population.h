/* SPDX-License-Identifier: MIT */
/* Populations: candidates W + D_c of a model's parameters, scored in one graph, for optimizers that
 * use no gradients of the loss. Such an optimizer asks for a population, makes weights of the
 * scores, and gives what comes of them in the place of the gradient:
 *
 *     DlhPopulation *p = dlh_update_population (u, &options, error);
 *     DlhNode *w = dlh_scale (dlh_population_scores (p), 1 / (C * sigma * sigma));
 *
 *     for (guint i = 0; i < dlh_update_n_params (u); i++)
 *         g[i] = dlh_neg (dlh_population_combine (p, i, w));     the sum of w_c D_c: no D_c is
 * formed dlh_update_set_gradients (u, g);
 *
 * Scores are of a batch in a DlhTrainer, and rewards that a program or task gives in a DlhRewarded:
 * the optimizer need not know which. */
#pragma once

#include <dlhost/training.h>

G_BEGIN_DECLS

typedef struct _DlhPopulation DlhPopulation; /* owned by its update */
typedef struct _DlhRewarded DlhRewarded;     /* a model and an optimizer that live on rewards */

/* How the candidates of a group differ. */
typedef enum {
    DLH_SPREAD_SIGNS = 1,   /* one draw D, each with signs of its own: D o (r_n s_n') */
    DLH_SPREAD_INDEPENDENT, /* a draw each: a matrix in memory for each of a group */
} DlhSpread;

/* A population to be. */
typedef struct {
    gsize size;
    DlhSpread spread;
    gint64 groups;       /* with draws of their own; computed one after the other */
    gint64 members;      /* of a group, side by side in each product */
    gboolean antithetic; /* every one is joined by its mirror image W - D */
    double sigma;        /* standard deviation of D's elements */
    const char *weights; /* patterns of names: * for any part, | between them */
} DlhPopulationOptions;

/**
 * dlh_update_population:
 * Candidates of the parameters that products use, biases included; a note of the run's log names
 * those that are left as they are. At most one for an update.
 * Returns: (transfer none): it, or NULL with DLH_ERROR_OPTION: nothing can be perturbed, the model
 * mixes examples of a batch, or its loss is not made of sums over examples.
 */
DLH_EXPORT DlhPopulation *dlh_update_population (DlhUpdate *u, const DlhPopulationOptions *options,
                                                 GError **error);
/** dlh_population_size: C = groups * members, twice that when antithetic. */
DLH_EXPORT gint64 dlh_population_size (const DlhPopulation *p);
/** dlh_population_scores: (C), higher is better: minus the loss, or rewards. Group by group; in
 * each the members, then their mirror images. */
DLH_EXPORT DlhNode *dlh_population_scores (DlhPopulation *p);
/** dlh_population_combine: the sum over candidates of @weights[c] D_c for parameter @i, of its
 * shape; zeros for one that is left as it is. */
DLH_EXPORT DlhNode *dlh_population_combine (DlhPopulation *p, guint i, DlhNode *weights);
/** dlh_update_set_gradients: @gradients, one for each parameter, take the place of the loss's: the
 * run's clipping and coupled weight decay apply to them. Before dlh_update_gradient(). */
DLH_EXPORT void dlh_update_set_gradients (DlhUpdate *u, DlhNode *const *gradients);

/* Rewards. All state, the candidates in play included, is variables of the store. */

/**
 * dlh_rewarded_new:
 * @model: with the supervised role; built without targets, for what it predicts
 * @optimizer: one that asks for a population and has no phases
 * Returns: (transfer full): NULL with an error of either, or DLH_ERROR_OPTION.
 */
DLH_EXPORT DlhRewarded *dlh_rewarded_new (DlhStore *store, DlhComponent *model,
                                          DlhComponent *optimizer, const DlhProblem *problem,
                                          const DlhTraining *training, GError **error);
/** dlh_rewarded_free: the store, with all variables, lives on. NULL is allowed. */
DLH_EXPORT void dlh_rewarded_free (DlhRewarded *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhRewarded, dlh_rewarded_free)
/** dlh_rewarded_size: C candidates. */
DLH_EXPORT gint64 dlh_rewarded_size (const DlhRewarded *r);
/**
 * dlh_rewarded_predict:
 * @x: (C * n, input_shape): row c * n + i is seen by candidate c; any n, at each call
 * @prediction: (out) (transfer none): the mean of what each predicts, until the next call
 * Candidates stay the same, however often they are asked, until dlh_rewarded_step().
 */
DLH_EXPORT gboolean dlh_rewarded_predict (DlhRewarded *r, DlhTensor *x,
                                          const DlhTensor **prediction, GError **error);
/** dlh_rewarded_predict_mean: the same by the parameters themselves, without noise: @x has any
 * number of rows. */
DLH_EXPORT gboolean dlh_rewarded_predict_mean (DlhRewarded *r, DlhTensor *x,
                                               const DlhTensor **prediction, GError **error);
/** dlh_rewarded_step: @rewards: (array length=C), finite: one update; then there are new
 * candidates. On an error nothing has changed. */
DLH_EXPORT gboolean dlh_rewarded_step (DlhRewarded *r, const double *rewards, GError **error);
/** dlh_rewarded_steps: updates done, from the store, so that it survives a checkpoint. */
DLH_EXPORT gint64 dlh_rewarded_steps (DlhRewarded *r);
/** dlh_rewarded_notes: (element-type utf8) (transfer none): lines from dlh_update_note(). */
DLH_EXPORT GPtrArray *dlh_rewarded_notes (DlhRewarded *r);

G_END_DECLS
