/* SPDX-License-Identifier: MIT */
/* Convolution without a matrix of patches: tiles of filters by positions read the (padded) pictures
 * where they lie. Plans hold tables of offsets; see cpu/conv-kernels.h for the loops. */
#pragma once

#include "cpu/conv.h"

typedef struct _DlhDirectPlan DlhDirectPlan;

/* Returns: (nullable): NULL when the shape is not for this method; then im2col is. */
DlhDirectPlan *dlh_direct_plan_new (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype,
                                    guint parts);
void dlh_direct_plan_free (DlhDirectPlan *plan);
gsize dlh_direct_plan_workspace (const DlhDirectPlan *plan);
void dlh_direct_plan_run (const DlhDirectPlan *plan, const void *a, const void *b,
                          const void *bias, void *out, void *work);
