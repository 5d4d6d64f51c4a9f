/* SPDX-License-Identifier: MIT */
/* Can draws be believed? Convergence diagnostics as in Vehtari et al., "Rank-normalization,
 * folding, and localization: an improved R-hat" (2021) and the R package posterior. @x holds @m
 * chains of @n draws of one scalar, chain after chain. Non-finite draws, fewer than 4 draws a
 * chain, or chains that all stand at one value give NaN. */
#pragma once

#include <dlhost/macros.h>

G_BEGIN_DECLS

/** dlh_rhat: sqrt of total over within-chain variance, of the chains as they are. */
DLH_EXPORT double dlh_rhat (const double *x, gsize n, gsize m);
/** dlh_rhat_split: of the chains cut in halves. */
DLH_EXPORT double dlh_rhat_split (const double *x, gsize n, gsize m);
/** dlh_rhat_rank: the larger of rank-normalised split R-hat of the draws and of their distances
 * from the median. Believe draws when it is at most 1.01. */
DLH_EXPORT double dlh_rhat_rank (const double *x, gsize n, gsize m);

/** dlh_ess_mean: effective draws for the mean, of split chains; at most S log10 S of S draws. */
DLH_EXPORT double dlh_ess_mean (const double *x, gsize n, gsize m);
/** dlh_ess_bulk: of the rank-normalised draws; at least 100 a chain is wanted. */
DLH_EXPORT double dlh_ess_bulk (const double *x, gsize n, gsize m);
/** dlh_ess_tail: the smaller of those for the 5% and the 95% quantile. */
DLH_EXPORT double dlh_ess_tail (const double *x, gsize n, gsize m);
/** dlh_mcse_mean: standard error of the mean. */
DLH_EXPORT double dlh_mcse_mean (const double *x, gsize n, gsize m);
/** dlh_mcse_quantile: standard error of the @p quantile, 0 < @p < 1. */
DLH_EXPORT double dlh_mcse_quantile (const double *x, gsize n, gsize m, double p);
/** dlh_quantile: of @n numbers, between the order statistics (R's type 7). */
DLH_EXPORT double dlh_quantile (const double *x, gsize n, double p);
/** dlh_autocovariance: lags 0 .. @n - 1 of one chain, divided by @n, into @out. */
DLH_EXPORT void dlh_autocovariance (const double *x, gsize n, double *out);
/** dlh_ebfmi: of one chain's energies: below 0.3 the momenta do not reach the energies. */
DLH_EXPORT double dlh_ebfmi (const double *energy, gsize n);

/* All of one scalar. */
typedef struct {
    gsize size;
    double mean, sd, q05, median, q95;
    double rhat; /* dlh_rhat_rank() */
    double ess_bulk, ess_tail, mcse_mean;
} DlhSummary;

/** dlh_summarize: fills what @summary's size covers. */
DLH_EXPORT void dlh_summarize (const double *x, gsize n, gsize m, DlhSummary *summary);

/* Weights, by their logarithms; NaN among them gives NaN. */

/** dlh_log_mean_exp: log of the mean of @n weights; -INFINITY when all are 0. */
DLH_EXPORT double dlh_log_mean_exp (const double *log_weights, gsize n);
/** dlh_ess_weights: (sum w)^2 / sum w^2, NaN when all are 0. */
DLH_EXPORT double dlh_ess_weights (const double *log_weights, gsize n);

/* The functions behind them. */

/** dlh_normal_quantile: x with P (N (0, 1) <= x) = @p. */
DLH_EXPORT double dlh_normal_quantile (double p);
/** dlh_beta_quantile: x with I_x (@a, @b) = @p. */
DLH_EXPORT double dlh_beta_quantile (double p, double a, double b);

G_END_DECLS
