/* SPDX-License-Identifier: MIT */
/* Products of f32 matrices that are rounded to bfloat16 first, by oneDNN: processors with
 * instructions for it multiply twice as fast. Core-internal. */
#pragma once

#include <dlhost/shape.h>

typedef struct _DlhRoundedPlan DlhRoundedPlan;

/* c (m, n) = op(a) op(b), all without gaps; op(a) is (m, k), op(b) is (k, n).
 * Returns: (nullable): NULL when it would not be faster here than with all the bits. */
DlhRoundedPlan *dlh_rounded_plan_new (gboolean transpose_a, gboolean transpose_b, gint64 m,
                                      gint64 n, gint64 k);
void dlh_rounded_plan_free (DlhRoundedPlan *plan);
gsize dlh_rounded_plan_workspace (const DlhRoundedPlan *plan);
gboolean dlh_rounded_plan_run (const DlhRoundedPlan *plan, const void *a, const void *b, void *c,
                               void *work, GError **error);
