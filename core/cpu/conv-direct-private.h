/* SPDX-License-Identifier: MIT */
/* What a plan of a direct convolution holds, and the making of its tables. */
#pragma once

#include "cpu/conv-direct.h"
#include "cpu/conv-kernels.h"

/* A group of pictures is worked on at once to fill tiles, as long as its buffers stay in the second
 * level cache. */
#define DLH_DIRECT_MAX_IMAGES 16
#define DLH_DIRECT_GROUP_BYTES (768 * 1024)

/* A picture in a buffer with zeros around it. Columns of one residue modulo the stride lie side by
 * side, so that neighbouring windows are neighbouring elements. */
typedef struct {
    gsize ih, iw;         /* the picture */
    gsize top, left;      /* padding */
    gsize rows, columns;  /* of the picture, as far as windows reach */
    gsize stride, phase;  /* of columns; elements of one residue */
    gsize pitch, plane;   /* elements of a row, of a picture's channel */
    gsize channel, image; /* elements from one channel, one picture to the next */
    gboolean copy;        /* FALSE: the picture itself serves */
} Padded;

/* The taps of the windows of some rows: those that do not lie in the padding. */
typedef struct {
    gsize n_taps, w; /* elements of packed weights before it */
    gint32 *taps;    /* offsets in the padded picture */
    gint32 *source;  /* where the weight of filter 0 lies */
} TapSet;

typedef struct {
    gsize set, piece;
    gboolean split;
} Tile;

/* Pieces that some taps of a dot have to do with. */
typedef struct {
    gsize full, n_full, split, n_split;
} Range;

typedef struct {
    gsize images;
    GArray *pieces, *tiles; /* DlhPiece, Tile; dots have ranges */
    GArray *ranges;         /* Range of each mk taps */
} Layout;

typedef enum {
    STORE = 1,
    SCATTER,
    DOT,
} Method;

/* How to put dots where they belong. */
typedef struct {
    const gint32 *at; /* each tap's place in a filter */
    gsize K, mk, filters;
    gsize slices, stride; /* of the sums */
} Collect;

struct _DlhDirectPlan {
    Method method;
    DlhConvSize s; /* as the loops see it: of a data gradient done by STORE, that convolution's */
    gboolean f64;
    gsize size; /* bytes of an element */
    guint parts;
    gboolean adjoint; /* w belongs to the convolution that this is the gradient of */
    const DlhConvKernels *kernels;
    Padded x; /* picture in (of a scatter: out) */
    Padded y; /* picture out, rows padded to vectors, where it is an operand */
    gsize n_sets;
    TapSet *sets;
    gsize *row_set; /* of each row of positions */
    gsize n_filters, blocks;
    gint32 *rows;    /* where the results of each filter go */
    gint32 *filters; /* where the weights of each filter begin, in a group's */
    Layout many, one;
    gint32 *dot_taps, *dot_at;  /* sorted by kernel row: offset, and place in a filter */
    gsize *row_begin, *row_end; /* rows of positions that each kernel row serves */
    gsize slices;
    gsize packed, sums;  /* elements of a group's packed weights, of a slice's dots for a group */
    gsize buffer, extra; /* bytes of a part's buffer: first operand (or scatter's sum), second */
};

static inline gsize
dlh_direct_ceil_div (gsize a, gsize b)
{
    return (a + b - 1) / b;
}

/* Elements of a vector. */
static inline gsize
dlh_direct_lanes (const DlhDirectPlan *p)
{
    return 32 / p->size;
}

void dlh_direct_pad_picture (DlhDirectPlan *p);
void dlh_direct_set_group (DlhDirectPlan *p, gsize images);
/* Offset of tap (c, u, v) from a window's first element. */
gsize dlh_direct_tap_offset (const DlhDirectPlan *p, gsize c, gsize u, gsize v);
/* Kernel rows *begin .. *end - 1 of the windows in row @i meet the picture. */
void dlh_direct_kernel_rows (const DlhConvSize *s, gsize i, gsize *begin, gsize *end);
void dlh_direct_free_sets (DlhDirectPlan *p);
void dlh_direct_make_rows (DlhDirectPlan *p);
void dlh_direct_layout_clear (Layout *l);
void dlh_direct_layout_init (const DlhDirectPlan *p, Layout *l, gsize images);
/* Of the buffers for a group, as if both operands were copied. */
gsize dlh_direct_group_bytes (const DlhDirectPlan *p, gsize images);
/* All tables of a store or scatter. Returns: its work. */
double dlh_direct_make_tables (DlhDirectPlan *p);
