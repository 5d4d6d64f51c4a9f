/* SPDX-License-Identifier: MIT */
/* Picks the kernel for a convolution's shape, by rules that were measured (one core of an EPYC 9004,
 * 117 GF/s at best; GF/s of the useful products, f32; oneDNN 2.6 as PyTorch 1.13 calls it):
 *
 *     forward, data, weight      tiles            im2col + OpenBLAS   oneDNN
 *     1>20   5x5 28x28 b128      90   -  80       54  -   52          35   -  47
 *     20>50  5x5 12x12 b128     114  92  99       45 57   42          53  53  42
 *     6>16   5x5 14x14 b128      89  65  74       27 34   23         101  39  55
 *     32>32  3x3 32x32 b64      105 105 100       61 49   42          95  86  79
 *     64>64  3x3 16x16 b64      113 113 109       70 69   64         106 105  94
 *     256>256 3x3 8x8 b32       118 115 106       82 87   80         127 126 102
 *     64>128 1x1 16x16 b64       81  82  78       88 86   65           -   -   -
 *
 * so tiles are the rule, where the processor has them (AVX2 or better), and a product of matrices is
 * left to BLAS. oneDNN is not used: it wins on few shapes by at most 15 %, allocates memory at every
 * run, and its sums depend on the number of threads. */
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
    if (kind == DLH_CONV_WEIGHT || !dlh_conv_is_matmul (s))
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
