/* SPDX-License-Identifier: MIT */
/* The parts of the data set: what chance does to pixels, and files of packed binary pictures. */
#pragma once

#include <dlhost/dlhost.h>

/* Where random numbers of pixels come from: they depend on the seed, the split, the example's
 * number, the pixel and the epoch alone. */
typedef struct {
    guint32 key[2];
    guint32 split;
    guint64 epoch;
} Chance;

/** pixels_chance: of @split, epoch 0. */
Chance pixels_chance (gint64 seed, DlhSplit split);
/** pixels_dequantize: @x (n, ...) of 0 .. 255 becomes (x + u) / 256, u uniform in [0, 1). */
void pixels_dequantize (DlhTensor *x, const Chance *chance);
/** pixels_binarize: each value becomes 1 with probability x / 255, else 0. */
void pixels_binarize (DlhTensor *x, const Chance *chance);
/** pixels_halve: 1 from 128 on, else 0. */
void pixels_halve (DlhTensor *x);
/** pixels_set_redrawn: the split's inputs are those of pixels_binarize(), new ones each epoch; the
 * last @n_fixed examples keep those of epoch 0. */
gboolean pixels_set_redrawn (DlhData *data, DlhSplit split, const DlhTensor *x, DlhTensor *targets,
                             const Chance *chance, gint64 n_fixed, GError **error);

/** bits_read: (transfer full): (n, 1, 28, 28) of 0 and 1 from <name>.bits or <name>.bits.gz: 98
 * bytes a picture, the first pixel in the top bit. */
DlhTensor *bits_read (const char *dir, const char *name, DlhDType dtype, GError **error);
