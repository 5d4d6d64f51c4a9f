/* SPDX-License-Identifier: MIT */
/* Gradient-boosted regression trees (Friedman 2001) on features in bins: squared error, 100 trees
 * of depth 3, each added by 0.1. */
#pragma once

#include <glib.h>

#define BOOST_BINS 64

/* Cuts the @n values of a feature into bins of about as many; fills @cuts (BOOST_BINS - 1). */
void boost_cuts (const double *x, gint64 n, double *cuts);
guint8 boost_bin (const double *cuts, double x);
/* @bins: (n_train + n_test, d); @y: (n_train). Adds to @importance (d) how much the splits of each
 * feature have taken from the squared error, as a share of all. @prediction: (n_train + n_test). */
void boost_fit (const guint8 *bins, gint64 n_train, gint64 n_test, guint d, const double *y,
                double *importance, double *prediction);
