/* SPDX-License-Identifier: MIT */
/* The grid of dSprites (google-deepmind/dsprites-dataset): pictures of 64 x 64 pixels 0 or 1, one
 * for each combination of shape, scale, orientation, position x and position y, in this order, the
 * last fastest. Their colour is the same everywhere and no factor here. */
#pragma once

#include <dlhost/dlhost.h>

#define DSPRITES_SIDE 64
#define DSPRITES_PIXELS (DSPRITES_SIDE * DSPRITES_SIDE)
#define DSPRITES_FACTORS 5
#define DSPRITES_BYTES (DSPRITES_PIXELS / 8) /* of a picture, first pixel in the top bit */

/* How many values each factor has in the whole grid. */
extern const gint64 dsprites_counts[DSPRITES_FACTORS];
/* What the values stand for, @out (dsprites_counts[factor]). */
void dsprites_values (guint factor, double *out);

/* The picture of factor values @v as bits, DSPRITES_BYTES of them. */
void dsprites_render (const gint64 v[DSPRITES_FACTORS], guint8 *bits);

/* All pictures of the user's original file as bits, in the order of the grid; NULL with an error.
 */
guint8 *dsprites_read_archive (const char *path, GError **error);
