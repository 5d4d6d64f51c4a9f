/* SPDX-License-Identifier: MIT */
/* The inner loops of cpu/conv*.c, compiled once for each instruction set.
 *
 * A vector holds 32 bytes of a row of the picture: eight floats or four doubles. Where the end of a
 * row fills at most half a vector, two such ends share one ("split"). A tile is DLH_CONV_NR vectors of
 * positions times up to DLH_CONV_MR filters, all in registers. */
#pragma once

#include <dlhost/op.h>

/* Pieces, tiles and taps are offsets in elements from the start of a buffer. */
typedef struct {
    gint32 in;
    gint32 out;
    gint32 width; /* how many elements count; 0: filler */
} DlhPiece;

/* One tile: result (i, p) = sum over taps k of w[k][i] x[p + taps[k]]. */
typedef struct {
    const void *w; /* (n_taps, mr) */
    const gint32 *taps;
    gsize n_taps;
    const void *x, *bias; /* bias: mr numbers or NULL */
    const DlhPiece *pieces;
    void *y;
    const gint32 *rows; /* offset of each i in y */
} DlhConvTile;

/* Weight gradient of some filters and mk taps: sum (i, k) += sum over pieces p of dy_i[p.out]
 * x_k[p.in]. Elements of dy beyond a piece's width must be zero. */
typedef struct {
    const void *x, *dy;
    const gint32 *taps; /* offset of each k in x */
    const gint32 *rows; /* offset of each i in dy */
    const DlhPiece *full, *split;
    gsize n_full, n_split;
    void *sums; /* (filters, mk), DLH_CONV_SUMS elements for any number of filters */
} DlhConvDot;

#define DLH_CONV_MR 6 /* filters in a tile */
#define DLH_CONV_MO 4 /* filters in a dot, at most */

typedef struct {
    gsize nr; /* vectors in a tile */
    gsize mo; /* filters in a dot, at most DLH_CONV_MO */
    gsize mk; /* taps in a dot */
    /* [f64][split][filters - 1]; scatter adds to y at the pieces where store overwrites. */
    void (*store[2][2][DLH_CONV_MR]) (const DlhConvTile *tile);
    void (*scatter[2][2][DLH_CONV_MR]) (const DlhConvTile *tile);
    void (*dot[2][DLH_CONV_MO]) (const DlhConvDot *dot);
    /* Max pooling by two, a row of n outputs: z read at the maxima of x, dy placed there. */
    void (*pick2[2]) (const void *x, const void *z, gsize pitch, void *y, gsize n);
    void (*grad2[2]) (const void *x, const void *dy, gsize pitch, void *dx, gsize n);
} DlhConvKernels;

extern const DlhConvKernels dlh_conv_kernels_avx2, dlh_conv_kernels_avx512;

/* Returns: (nullable): those for this machine. */
const DlhConvKernels *dlh_conv_kernels (void);

/* Largest of the above over all instruction sets. */
#define DLH_CONV_MAX_NR 4
#define DLH_CONV_MAX_MK 6
#define DLH_CONV_SUMS 24 /* at least mo mk, and whole vectors */
