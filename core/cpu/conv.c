/* SPDX-License-Identifier: MIT */
/* Picks the kernel for a convolution's shape, by a rule that was measured: tools/bench/peer_conv.py on
 * one core of an EPYC 9004, 117 GF/s at best; GF/s of forward, data, weight, f32. oneDNN is 2.6 as
 * PyTorch 1.13 calls it; its rates above 117 come from leaving padding out.
 *
 *                               tiles        im2col + OpenBLAS     oneDNN
 *     1>20    5x5 28x28 b128    90  35  80       54  43  52        32   4  40
 *     20>50   5x5 12x12 b128   114  92  98       45  57  42        49  50  43
 *     6>16    5x5 14x14 b128    85  65  74       27  34  23        92  36  52
 *     32>32   3x3 32x32 b64    105 105 100       61  49  42        93  90  77
 *     64>64   3x3 16x16 b64    113 113 109       70  69  64       104 104  94
 *     256>256 3x3 8x8   b32    115 112 105       82  87  80       127 126 105
 *     64>128  1x1 16x16 b64     81  82  78       88  86  65        57  53  53
 *
 * So tiles are the rule where the processor has them (AVX2 or better), and products of matrices are
 * left to BLAS. oneDNN, measured through PyTorch only, is not
 * called: it is ahead on padded pictures of 8x8 and on 6>16, by up to a fifth. */
#include "cpu/conv.h"

#include <dlhost/function.h>
#include <string.h>

#include "cpu/conv-direct.h"
#include "cpu/conv-kernels.h"

struct _DlhConvPlan {
    DlhConvKind kind;
    DlhConvSize size;
    DlhDType dtype;
    guint parts;
    DlhDirectPlan *direct; /* NULL: im2col */
};

const DlhConvKernels *
dlh_conv_kernels (void)
{
#if defined __x86_64__
    if (strcmp (dlh_cpu_level (), "avx512") == 0)
        return &dlh_conv_kernels_avx512;
    if (strcmp (dlh_cpu_level (), "avx2") == 0)
        return &dlh_conv_kernels_avx2;
#endif
    return NULL;
}

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
