/* SPDX-License-Identifier: MIT */
/* Axes and refusals, as shape rules need them. Core-internal. */
#pragma once

#include "graph/private.h"

/* A shape seen from one axis: @n elements, @inner apart, @outer times. */
typedef struct {
    gint64 outer, n, inner;
} DlhAround;

DlhAround dlh_around (DlhShape shape, gint64 axis);

/* The axis that a negative @axis means; one out of range stays as it is, for infer() to name. */
gint64 dlh_axis (const DlhNode *x, int axis);

/* Marks @axes in @reduced. Returns: NULL, or the error node: one is out of range or named twice. */
DlhNode *dlh_axes_mark (DlhNode *x, const char *op, const int *axes, guint n,
                        gint64 reduced[DLH_MAX_RANK]);

/* Sets DLH_ERROR_SHAPE, "op: ...". Returns: FALSE. */
gboolean dlh_refuse (const DlhNode *node, GError **error, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
/* The usual refusals; TRUE when there is nothing to refuse. */
gboolean dlh_check_axis (const DlhNode *node, gint64 axis, GError **error);
gboolean dlh_check_float (const DlhNode *node, GError **error);
gboolean dlh_check_index (const DlhNode *node, guint input, GError **error);

/* A fill of @shape with the number that fills @x; NULL when @x holds no one number. */
DlhNode *dlh_refill (DlhNode *x, DlhShape shape);

/* For ops that only move elements. */
double dlh_flops_none (const DlhNode *node);
/* For ops that read each element of the first input once. */
double dlh_flops_input (const DlhNode *node);

/* @x with its @reduced axes joined into one: (outer, n, inner); they are brought together first
 * when other axes lie between them. @shape: of a reduction's result. */
DlhNode *dlh_axes_join (DlhNode *x, const gint64 reduced[DLH_MAX_RANK], gboolean keep,
                        DlhShape *shape);
