/* SPDX-License-Identifier: MIT */
/* Mixtures of diagonal Gaussians, as aggregates of a batch need them: many points under many
 * components, without an array of all pairs. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/* Logarithms of the weights that the components have for point i: component i itself, the one
 * behind it (cyclically), and the others. Equal ones make a mixture that is the same for all
 * points. */
typedef struct {
    double own, next, others;
} DlhMixtureWeights;

/**
 * dlh_gaussian_mixture:
 * @z: (M, D) points, float
 * @mean, @log_std: (K, D): of the components
 * @weights: finite; @own and @next may differ from @others when K is M. With K = 1 only @own
 * counts. Returns: (M, D + 1): in column d < D the log density of z_id in the mixture's marginal d,
 * log sum_j w_ij N(z_id; mean_jd, exp(log_std_jd)^2); in column D that of the point itself, log
 * sum_j w_ij prod_d N(..). Neither it nor its gradient takes more than O((M + K) D) memory; second
 * derivatives take O(M K D).
 */
DLH_EXPORT DlhNode *dlh_gaussian_mixture (DlhNode *z, DlhNode *mean, DlhNode *log_std,
                                          DlhMixtureWeights weights);

G_END_DECLS
