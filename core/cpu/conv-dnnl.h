/* SPDX-License-Identifier: MIT */
/* Convolution by oneDNN, whose layouts of 16 channels win where pictures are small and channels
 * many. Where the library is absent, tiles do the work. */
#pragma once

#include "cpu/conv.h"

typedef struct _DlhDnnlPlan DlhDnnlPlan;

/* Returns: (nullable): NULL when the shape is not for oneDNN, or the library is not there. */
DlhDnnlPlan *dlh_dnnl_plan_new (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype);
void dlh_dnnl_plan_free (DlhDnnlPlan *plan);
gsize dlh_dnnl_plan_workspace (const DlhDnnlPlan *plan);
gboolean dlh_dnnl_plan_run (const DlhDnnlPlan *plan, const void *a, const void *b, const void *bias,
                            void *out, void *work, GError **error);
