/* SPDX-License-Identifier: MIT */
/* How much each latent tells of each factor, and the mutual information gap (arXiv 1802.04942,
 * section 4.1). q(z_j | v_k = c) is the mean over the examples of that value of q(z_j | n):
 *
 *   I(z_j; v_k) = H(z_j) - sum_c p(c) H(z_j | v_k = c)
 *   MIG = (1 / K) sum_k (I(z_j1; v_k) - I(z_j2; v_k)) / H(v_k)     the two largest over j
 *
 * Where examples are not equally probable, all means and draws go by their probabilities. */
#pragma once

#include "codes.h"

typedef struct {
    double *mi;      /* (d, k) nats, negative estimates as they are */
    double *entropy; /* (d): H(z_j), nats */
} Information;

void information_init (Information *information, const Codes *codes);
void information_clear (Information *information);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Information, information_clear)

/* Both go on at latent *@done (nullable: all are worked through) and count it up. */

/* Deterministic: densities on a grid of @points points or more from min (mean - 7 s) to max (mean +
 * 7 s), entropies by quadrature. *@fits is FALSE, and nothing done, when even the finest grid is
 * coarser than a quarter of the least s. */
gboolean information_by_grid (const Codes *codes, gint64 points, Information *out, gboolean *fits,
                              gint64 *done, const Pace *pace, GError **error);
/* The authors' estimator: entropies from log densities, with all components, at @n_samples of the z
 * of the examples for the marginal and for each value of a factor. */
gboolean information_by_samples (const Codes *codes, gint64 n_samples, guint64 seed,
                                 Information *out, gint64 *done, const Pace *pace, GError **error);

/* The mean gap over scored factors, NAN without any. @gaps: (nullable) (k): of each factor, NAN
 * where only one value occurs. Negative information counts as 0. */
double information_gap (const Codes *codes, const Information *information, double *gaps);
