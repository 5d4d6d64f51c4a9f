/* SPDX-License-Identifier: MIT */
/* Picks the kernel for a convolution's shape. */
#include "cpu/conv.h"

#include <dlhost/function.h>

#include "cpu/conv-direct.h"

struct _DlhConvPlan {
    DlhConvKind kind;
    DlhConvSize size;
    DlhDType dtype;
    guint parts;
    DlhDirectPlan *direct; /* NULL: im2col */
};

DlhConvPlan *
dlh_conv_plan_new (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype, GError **error)
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
    plan->direct = dlh_direct_plan_new (kind, s, dtype, plan->parts);
    return plan;
}

void
dlh_conv_plan_free (gpointer data)
{
    DlhConvPlan *plan = data;

    if (!plan)
        return;
    dlh_direct_plan_free (plan->direct);
    g_free (plan);
}

gsize
dlh_conv_workspace (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype)
{
    DlhConvPlan *plan = dlh_conv_plan_new (kind, s, dtype, NULL);
    gsize bytes = 0;

    if (plan && plan->direct)
        bytes = dlh_direct_plan_workspace (plan->direct);
    else if (plan)
        bytes = dlh_im2col_workspace (kind, s, dtype, plan->parts);
    dlh_conv_plan_free (plan);
    return bytes;
}

void
dlh_conv_plan_run (const DlhConvPlan *plan, const void *a, const void *b, const void *bias,
                   void *out, void *work)
{
    if (plan->direct)
        dlh_direct_plan_run (plan->direct, a, b, bias, out, work);
    else
        dlh_im2col_run (plan->kind, &plan->size, plan->dtype, plan->parts, a, b, bias, out, work);
}
