/* SPDX-License-Identifier: MIT */
/* The divergence of the encoder from the prior in three parts, with the aggregate posterior q(z) of
 * all examples (arXiv 1802.04942, eq. 2):
 *
 *   E KL (q(z|n) || p(z)) = I(z; n) + KL (q(z) || prod_j q(z_j)) + sum_j KL (q(z_j) || p(z_j))
 *                         = H(z) - E H(q(z|n)),  sum_j H(z_j) - H(z),  sum_j cross (j) - H(z_j)
 */
#pragma once

#include "codes.h"

typedef struct {
    double information, correlation, dimensions;          /* nats */
    double information_se, correlation_se, dimensions_se; /* of the samples */
    double entropy;                                       /* H(z) */
    double kl;                                            /* mean, in closed form */
} Decomposition;

/* Factors p(z_j): Gaussians, or Laplace densities, of the location @mean and the scale exp
 * @log_scale. */
typedef struct {
    double *mean, *log_scale; /* (d) */
    gboolean laplace;
} CodePrior;

/* E [-log p(z_j)], nats, of a Gaussian z_j. */
double prior_cross (const CodePrior *prior, guint j, double mean, double log_std);

/* Log densities at draws of z that are worked out: those of an earlier call are gone on from. */
typedef struct {
    gint64 *done;              /* how many there are */
    double *joint, *marginals; /* (n_samples): log q (z), sum of log q (z_j) */
} DecomposeState;

/* H(z) and H(z_j) are means over @n_samples of the z,
 * with all examples in each density. @state: (nullable). DLH_ERROR_NUMERIC when a density leaves
 * the range of numbers. */
gboolean decompose (const Codes *codes, const CodePrior *prior, gint64 n_samples, guint64 seed,
                    DecomposeState *state, Decomposition *out, const Pace *pace, GError **error);
