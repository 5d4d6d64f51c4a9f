/* SPDX-License-Identifier: MIT */
/* Convolution by oneDNN, whose layouts of 16 channels win where pictures are small and channels
 * many. The library is opened when the first such shape is compiled, so that nobody else pays for
 * its size; where it is absent, tiles do the work. */
#pragma once

#include "cpu/conv.h"

typedef struct _DlhDnnlPlan DlhDnnlPlan;

/* Returns: (nullable): NULL when the shape is not for oneDNN, or the library is not there. */
DlhDnnlPlan *dlh_dnnl_plan_new (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype);
void dlh_dnnl_plan_free (DlhDnnlPlan *plan);
gsize dlh_dnnl_plan_workspace (const DlhDnnlPlan *plan);
gboolean dlh_dnnl_plan_run (const DlhDnnlPlan *plan, const void *a, const void *b, const void *bias,
                            void *out, void *work, GError **error);
/* Writes the release that would be used, "2.6.3", or "" where there is none. */
void dlh_dnnl_version (char *text, gsize n);
