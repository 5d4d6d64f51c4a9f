/* SPDX-License-Identifier: MIT */
/* What the ops on matrices share: refusals, and runs over the matrices of a batch. Core-internal.
 */
#pragma once

#include <dlhost/matrix.h>
#include "graph/private.h"

/* Operands of one float type whose sizes BLAS can count. */
gboolean dlh_check_matrices (const DlhNode *node, GError **error);
/* Input @i is (.., n, n). */
gboolean dlh_check_square (const DlhNode *node, guint i, GError **error);
/* Inputs @i and @k have the same leading axes and n rows. */
gboolean dlh_check_system (const DlhNode *node, guint i, guint k, GError **error);

/* The product of the axes before the last two. */
gint64 dlh_matrix_batch (const DlhNode *x);
gsize dlh_matrix_bytes (const DlhNode *x);
/* Sizes of op(x), x transposed or not. */
gint64 dlh_matrix_rows (const DlhNode *x, gint64 transpose);
gint64 dlh_matrix_columns (const DlhNode *x, gint64 transpose);
gint64 dlh_count_dims (const gint64 *dims, guint n);
/* @x without its batch: (.., m, n) to (.. m, n). */
DlhNode *dlh_stack_rows (DlhNode *x);
/* Matrix @i of what lies at @memory, the value of @x. */
void *dlh_matrix_at (const DlhNode *x, const void *memory, gsize i);

extern const DlhOp dlh_op_eigh;

#define DLH_ALONE_FLOPS 1e6 /* BLAS shares a larger product between threads well */

/* Works on matrix @i. Calls at the same time have different @part. Returns: 0 when all is well. */
typedef gint64 (*DlhMatrixFunc) (const DlhCall *call, gsize i, guint part);

/**
 * dlh_each_matrix:
 * @n: how many matrices
 * @n_parts: no more calls than this at a time; 0 for no limit
 * @flops: for one matrix
 * @alone: with so many flops, few matrices are done one after the other, each on all threads
 * @failed: (out): the first matrix for which @func did not return 0
 * @info: (out): what it returned, of 32 bits
 * Returns: whether all went well. Allocates nothing.
 */
gboolean dlh_each_matrix (const DlhCall *call, DlhMatrixFunc func, gsize n, guint n_parts,
                          double flops, double alone, gsize *failed, gint64 *info);
