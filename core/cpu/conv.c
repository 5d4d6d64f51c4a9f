/* SPDX-License-Identifier: MIT */
/* Picks the kernel for a convolution's shape. */
#include "cpu/conv.h"

#include <dlhost/function.h>

struct _DlhConvPlan {
    DlhConvKind kind;
    DlhConvSize size;
    DlhDType dtype;
    guint parts;
};

DlhConvPlan *
dlh_conv_plan_new (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype,
                   G_GNUC_UNUSED gboolean bias, GError **error)
{
    DlhConvPlan *plan;

    if (dlh_conv_k (s) > G_MAXINT32 || dlh_conv_p (s) > G_MAXINT32 || s->O > G_MAXINT32) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "convolution of %" G_GSIZE_FORMAT " positions, %" G_GSIZE_FORMAT
                     " filters of %" G_GSIZE_FORMAT " weights: each may be 2147483647 at most",
                     dlh_conv_p (s), s->O, dlh_conv_k (s));
        return NULL;
    }
    plan = g_new0 (DlhConvPlan, 1);
    plan->kind = kind;
    plan->size = *s;
    plan->dtype = dtype;
    plan->parts = dlh_get_threads ();
    return plan;
}

void
dlh_conv_plan_free (gpointer plan)
{
    g_free (plan);
}

gsize
dlh_conv_workspace (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype,
                    G_GNUC_UNUSED gboolean bias)
{
    return dlh_im2col_workspace (kind, s, dtype, dlh_get_threads ());
}

gboolean
dlh_conv_plan_run (const DlhConvPlan *plan, const void *a, const void *b, const void *bias,
                   void *out, void *work, G_GNUC_UNUSED GError **error)
{
    dlh_im2col_run (plan->kind, &plan->size, plan->dtype, plan->parts, a, b, bias, out, work);
    return TRUE;
}
