/* SPDX-License-Identifier: MIT */
/* The task's parts: what is asked, the chains, estimates without chains, what is said at the end.
 */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    const char *split, *average;
    DlhInts curve;
    gint64 examples, simulated, chains, batch, kde, importance, bootstrap, pictures, log,
        checkpoint, draws;
    gboolean encoder, untrained;
} LikelihoodOptions;

/* Lengths of paths: the sampler's own, then shorter ones by its stride. */
#define LIKELIHOOD_MOST 16
#define LIKELIHOOD_DRAWS 3 /* of each example's posterior */

typedef struct {
    DlhRun *run;
    const LikelihoodOptions *opt;
    DlhComponent *model, *sampler;
    DlhProblem problem;
    DlhTensor *data;                 /* (n, input): of the split; NULL when n is 0 */
    DlhTensor *targets;              /* (nullable): of the split */
    gint64 n, m, batch;              /* real and simulated examples, and those of a batch */
    gint64 path;                     /* transitions of the sampler's path */
    guint n_paths;                   /* 1 and more: lengths */
    gint64 strides[LIKELIHOOD_MOST]; /* the first is 1 */
    DlhTarget *target;
    DlhChains *chains;
    DlhTensor *x; /* (batch, input): the present examples */
    /* In the store. */
    DlhTensor *simulated_x, *simulated_z; /* (m, ..), NULL without */
    /* Log weights of each length, f64 (n + m, chains) and (m, chains). */
    DlhTensor *forward[LIKELIHOOD_MOST], *reverse[LIKELIHOOD_MOST];
    DlhTensor *posterior;          /* (n + m, draws, latents) */
    DlhTensor *accept;             /* f64 (n + m): mean acceptance of the weighing round */
    DlhTensor *kde, *importance;   /* f64 (n): their log p (x) */
    gint64 *unit, *stage;          /* batch, and where in it: 0 or the path, from 1 */
    double *sum_accept, *n_accept; /* since the last record */
    gint64 saved_at;
    double done_here;
} Likelihood;

/* Draws simulated_z and simulated_x, once. */
gboolean likelihood_simulate (Likelihood *l, GError **error);
/* All chains, from where the store says. */
gboolean likelihood_anneal (Likelihood *l, GError **error);
/* Transitions of a path of length @i, and of all that likelihood_anneal() does. */
gint64 likelihood_length (const Likelihood *l, guint i);
gint64 likelihood_transitions (const Likelihood *l);
/* Blocks of draws that likelihood_estimate() counts on after the transitions. */
gint64 likelihood_blocks (const Likelihood *l);
/* Draws behind an estimate without chains: what was asked for, in whole blocks. */
gint64 likelihood_marginal_draws (const Likelihood *l, gboolean prior);
/* Fills kde and importance for the @n first examples of the split. */
gboolean likelihood_estimate (Likelihood *l, GError **error);
/* Draws of the posteriors of the @n examples of the batch, from number @first of those that begin
 * in @row of all. */
void likelihood_keep_draws (Likelihood *l, gint64 row, gint64 first, gint64 n);
/* Mean squared error of an element of each example (n + m) by them; pictures of the first ones and
 * of the worst. */
gboolean likelihood_reconstruct (Likelihood *l, double *errors, GError **error);
/* The split that is scored. */
DlhSplit likelihood_split (const Likelihood *l);
/* Of data with classes: which the model lacks, by the numbers of the n examples; messages, a figure
 * and classes.csv. */
gboolean likelihood_classes (Likelihood *l, const double *log_p, const double *errors,
                             gint64 *n_missed, gint64 *n_rare, GError **error);
/* The bounds by the number of temperatures, as a figure, a file and messages. */
gboolean likelihood_draw_curve (Likelihood *l, GError **error);
/* How far apart the bounds of the @m simulated examples are. */
gboolean likelihood_draw_gaps (Likelihood *l, const double *lower, const double *upper,
                               GError **error);
/* Messages, the final record, files and figures. */
gboolean likelihood_conclude (Likelihood *l, GError **error);
/* After a transition or a block: TRUE to go on; FALSE with an error, perhaps DLH_ERROR_CANCELLED.
 */
gboolean likelihood_checkpoint (Likelihood *l, gint64 done, GError **error);
