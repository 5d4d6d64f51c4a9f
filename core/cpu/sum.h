/* SPDX-License-Identifier: MIT */
/* Sums over any axes of an array. Core-internal. */
#pragma once

#include <dlhost/shape.h>

/* The axes of a sum, neighbours joined. The last axis is a run when it is summed, else columns. */
typedef struct {
    gint64 run;     /* elements in a row that are summed, 1 if the last axis stays */
    gint64 columns; /* elements in a row that stay, 1 if the last axis is summed */
    guint n_kept, n_reduced;
    struct {
        gint64 n, step;
    } kept[DLH_MAX_RANK], reduced[DLH_MAX_RANK]; /* the other axes, outermost first */
    gint64 kept_count, items; /* how many sums, apart from columns; terms of each, apart from run */
    gint64 parts;             /* each sum is cut into so many, by the shape alone */
} DlhSumPlan;

void dlh_sum_plan (DlhSumPlan *plan, DlhShape shape, const gint64 reduced[DLH_MAX_RANK]);
/* Bytes that dlh_sum_run() needs beside its result. */
gsize dlh_sum_workspace (const DlhSumPlan *plan);
/* out = scale * sum, carried in double and in an order that does not depend on threads. */
void dlh_sum_run (const DlhSumPlan *plan, DlhDType dtype, double scale, const void *x, void *out,
                  double *work);
