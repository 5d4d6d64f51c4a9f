/* SPDX-License-Identifier: MIT */
/* Copies elements from one strided layout to another: what transpose, broadcast, slice, pad,
 * concat, reverse and diag come down to. Core-internal. */
#pragma once

#include <dlhost/shape.h>

/* The axes of a copy, in any order; steps count elements and may be 0 (from) or negative. */
typedef struct {
    guint rank;
    gint64 dims[DLH_MAX_RANK + 1], to[DLH_MAX_RANK + 1], from[DLH_MAX_RANK + 1];
} DlhMove;

/* Adds an axis. */
void dlh_move_axis (DlhMove *move, gint64 n, gint64 to, gint64 from);
/* @element: bytes of one, 1, 4 or 8. The two memories must not overlap. */
void dlh_move_run (const DlhMove *move, gsize element, void *to, const void *from);

/* Row-major steps of @shape. */
void dlh_strides (DlhShape shape, gint64 strides[DLH_MAX_RANK]);
