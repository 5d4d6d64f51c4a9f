/* SPDX-License-Identifier: MIT */
/* The inner loops of the element-wise machine, compiled once for each instruction set from loops.c
 * and philox-fill.c; dispatch.c picks one set at run time.
 *
 * A loop may be given the same memory as result and operand; partly overlapping memory never. */
#pragma once

#include "cpu/ew.h"

typedef enum {
#define EW(name, arity, n_params, types, body) DLH_EW_##name,
#include "graph/elementwise.list"
#undef EW
    DLH_EW_N,
} DlhEwId;

#define DLH_N_DTYPES 5 /* tables have the row dtype - 1 */

/* Two instructions as one, with the rounding of two. */
typedef enum {
    DLH_EW_MUL_ADD,     /* x0 * x1 + x2 */
    DLH_EW_MUL_SUB,     /* x0 * x1 - x2 */
    DLH_EW_SUB_MUL,     /* x2 - x0 * x1 */
    DLH_EW_SCALE_ADD,   /* x0 * p0 + x1 */
    DLH_EW_SCALE_SUB,   /* x0 * p0 - x1 */
    DLH_EW_SUB_SCALE,   /* x1 - x0 * p0 */
    DLH_EW_SCALE_SCALE, /* x0 * p0 + x1 * p1 */
    DLH_EW_MUL_OFFSET,  /* x0 * x1 + p0 */
    DLH_EW_MUL_DIV,     /* x0 * x1 / x2 */
    DLH_EW_N_PAIRS,
} DlhEwPair;

/* Sixteen blocks of Philox at a time: counter words {block + i, counter}, i = 0 .. 15. They make 64 f32
 * or f64 elements, or 2,048 signs. */
#define DLH_PHILOX_LANES 16
/* Writes the elements of @n_groups groups of sixteen blocks, from block number @block on. */
typedef void (*DlhPhiloxFill) (void *out, const guint32 key[2], guint64 counter, guint64 block,
                               gsize n_groups);

/* @out[i] = s_i times the normal draw i from those of block @block on, s = softplus (rho), of @n
 * elements; @sums: of mean_i^2 + s_i^2 and of log s_i. */
typedef void (*DlhSoftplusDraw) (void *out, double sums[2], const void *mean, const void *rho,
                                 const guint32 key[2], guint64 counter, guint64 block, gsize n);

typedef struct {
    const char *level;
    DlhLoop ew[DLH_EW_N][DLH_N_DTYPES]; /* by the element type of the result's operands */
    DlhLoop cast[DLH_N_DTYPES][DLH_N_DTYPES]; /* from, to */
    DlhLoop pair[DLH_EW_N_PAIRS][2];
    /* Sum of @n elements. */
    double (*sum[DLH_N_DTYPES]) (const void *x, gsize n);
    /* acc[i] += sum over j of x[i * n_columns + j]. */
    void (*sum_rows[DLH_N_DTYPES]) (double *acc, const void *x, gsize n_rows, gsize n_columns);
    /* acc[j] += sum over i of x[i * n_columns + j]. */
    void (*add_rows[DLH_N_DTYPES]) (double *acc, const void *x, gsize n_rows, gsize n_columns);
    /* y = the value at @x, @n times; by element size 1, 4, 8. */
    void (*fill[3]) (void *y, const void *x, gsize n);
    gboolean (*finite[2]) (const void *x, gsize n);
    DlhPhiloxFill philox_uniform[2], philox_normal[2], philox_rademacher[2];
    DlhSoftplusDraw softplus_draw[2];
} DlhLoops;

extern const DlhLoops dlh_loops_baseline, dlh_loops_avx2, dlh_loops_avx512;

/* dispatch.c: the set for this machine, or what dlh_set_cpu_level() asked for. */
const DlhLoops *dlh_loops (void);
/* How many of the levels, from "baseline" on, this processor has, and the name of one. */
guint dlh_n_cpu_levels (void);
const char *dlh_nth_cpu_level (guint i);
