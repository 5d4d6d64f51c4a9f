/* SPDX-License-Identifier: MIT */
/* A program after ew-build.c, as ew.c runs it. */
#pragma once

#include "cpu/ew.h"
#include "cpu/loops.h"

#define EW_NO_REGISTER 0xffff

/* An operand whose memory is read where it lies. */
typedef struct {
    guint16 reg, slot;
    guint size;
    char *base; /* of this run */
} EwFull;

/* An operand that is expanded into a buffer: once a run (one number, or a row of which a block has
 * a whole number), or block by block. Axes are the domain's, joined where that changes nothing. */
typedef struct {
    guint16 reg, slot;
    guint size, rank;
    gint64 dims[DLH_MAX_RANK], strides[DLH_MAX_RANK];
    const char *base;
} EwExpand;

/* A result. Direct: its instruction writes the memory; otherwise it is copied after the block. */
typedef struct {
    guint16 reg, slot;
    guint size;
    gboolean direct;
    guint64 readers;  /* full loads (bits) that are read after a direct store's instruction */
    gboolean delayed; /* in this run a reader has the same memory: write aside, copy at the end */
    char *base;
} EwStore;

/* How a sum's chunks come together. */
typedef enum {
    EW_PARTIAL = 1, /* every chunk has all sums of its own; they are added in the end */
    EW_ROWS,        /* every chunk has whole slices of the kept first axes: its sums are its own */
    EW_COLUMNS,     /* chunks are strips of 512 columns over all rows */
} EwSumKind;

/* The axes as the sum sees them: neighbours alike in being reduced or not are joined. */
typedef struct {
    guint16 reg, slot;
    DlhDType in, out;
    double scale;
    guint rank;
    gboolean last_kept;
    gint64 dims[DLH_MAX_RANK];
    gint64 steps[DLH_MAX_RANK]; /* in the result, 0 for reduced axes */
    gsize n_out, window;        /* results in all; a chunk's */
    gsize of_row;               /* EW_ROWS: a row's */
    gsize at;                   /* of the window in the accumulators */
    void (*sum_rows) (double *acc, const void *x, gsize n_rows, gsize n_columns);
    void (*add_rows) (double *acc, const void *x, gsize n_rows, gsize n_columns);
    void *base;
} EwSum;

typedef struct {
    void **reg;     /* of the block; one more than registers, NULL */
    char **scratch; /* by register, NULL where there is none */
    double *acc;    /* EW_ROWS and EW_COLUMNS: the chunk's */
} EwState;

struct _DlhEwProgram {
    gsize count, block, chunk, n_chunks, grain;
    gsize columns; /* of EW_COLUMNS */
    gsize n_rows;  /* where it runs by rows: they take the place of chunks; else 0 */
    gsize row;     /* elements: of those, or of a slice of EW_ROWS */
    guint *lines_ahead; /* to fetch at each instruction; NULL when operands fit the cache */
    guint n_registers;
    EwFull *full;
    EwExpand *once, *expand;
    DlhEwInstruction *instructions;
    EwStore *stores;
    EwSum *sums;
    guint n_full, n_once, n_expand, n_instructions, n_stores, n_sums;
    EwSumKind kind;
    gsize n_acc;  /* accumulators of a chunk */
    double *acc;  /* EW_PARTIAL: of all chunks */
    EwState *states;
    guint n_states;
    gboolean may_delay;
    char *memory; /* constants, scratch, accumulators */
    void (*const *fill) (void *y, const void *x, gsize n);
};

static inline guint
ew_fill_index (guint size)
{
    return size == 1 ? 0 : size == 4 ? 1 : 2;
}
