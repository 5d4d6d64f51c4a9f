/* SPDX-License-Identifier: MIT */
/* The task's parts: what is asked, the chains, estimates without chains, what is said at the end.
 */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    const char *split;
    gint64 examples, simulated, chains, batch, kde, importance, bootstrap, log, checkpoint;
    gboolean encoder;
} LikelihoodOptions;

typedef struct {
    DlhRun *run;
    const LikelihoodOptions *opt;
    DlhComponent *model, *sampler;
    DlhProblem problem;
    DlhTensor *data;    /* (n, input): of the split; NULL when n is 0 */
    gint64 n, m, batch; /* real and simulated examples, and those of a batch */
    gint64 path;        /* transitions of a path */
    DlhTarget *target;
    DlhChains *chains;
    DlhTensor *x; /* (batch, input): the present examples */
    /* In the store. */
    DlhTensor *simulated_x, *simulated_z; /* (m, ..), NULL without */
    DlhTensor *forward, *reverse;         /* f64 (n + m, chains), (m, chains): log weights */
    DlhTensor *accept;                    /* f64 (n + m): mean acceptance of the weighing round */
    DlhTensor *kde, *importance;          /* f64 (n): their log p (x) */
    gint64 *unit, *stage;                 /* batch, and where in it */
    double *sum_accept, *n_accept;        /* since the last record */
    gint64 saved_at;
    double done_here;
} Likelihood;

/* Draws simulated_z and simulated_x, once. */
gboolean likelihood_simulate (Likelihood *l, GError **error);
/* All chains, from where the store says. */
gboolean likelihood_anneal (Likelihood *l, GError **error);
/* Fills kde and importance for the @n first examples of the split. */
gboolean likelihood_estimate (Likelihood *l, GError **error);
/* Messages, the final record, files and the figure. */
gboolean likelihood_conclude (Likelihood *l, GError **error);
/* After a batch or a transition: TRUE to go on; FALSE with an error, perhaps DLH_ERROR_CANCELLED.
 */
gboolean likelihood_checkpoint (Likelihood *l, gint64 done, gint64 total, GError **error);
