/* SPDX-License-Identifier: MIT */
/* Ops that can compute some rows of their output, the slices along the first axis, apart from the
 * others, so that threads take rows through such a step and those around it. Core-internal. */
#pragma once

#include <dlhost/op.h>

#define DLH_BY_ROWS (1u << 31)

typedef struct {
    const DlhOp *op; /* which cannot fail and has no workspace */
    /* DLH_BY_ROWS | bits: bit i says that input i, of as many rows, is read in row r for row r alone;
     * other inputs may be read as wholes. 0: not this node. */
    guint32 (*inputs) (const DlhNode *node);
    /* Computes @n rows from @first on, on the calling thread alone, as others do other rows. */
    void (*run) (const DlhCall *call, gint64 first, gint64 n);
} DlhOpRows;

/* Lists of the files that have such ops; the last row has no op. */
extern const DlhOpRows dlh_rows_matmul[], dlh_rows_matrix[], dlh_rows_softmax[];
/* op-table.c: NULL when @op is none. */
const DlhOpRows *dlh_op_rows (const DlhOp *op);
