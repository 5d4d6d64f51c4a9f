/* SPDX-License-Identifier: MIT */
/* Picks the kernel for a convolution's shape, by a rule that was measured (tools/bench/bench-conv
 * and oneDNN 2.6 through its C interface, reorders included) on one core of an EPYC 9004, 117 GF/s
 * at best; GF/s of forward, data, weight, f32. Rates above 117 come from leaving padding out.
 *
 *                               tiles        im2col + OpenBLAS     oneDNN
 *     1>6     5x5 28x28 b128    81  41  84                         28   3  38
 *     3>16    3x3 32x32 b128    86  83  90                         61  18  75
 *     6>16    5x5 14x14 b128    88  65  74       27  34  23       109  42  64
 *     16>16   3x3 14x14 b128    94  93  67                        114 114 102
 *     16>32   5x5 14x14 b128    82  58  67                        104 109  98
 *     32>32   3x3 32x32 b64    107 108 101       61  49  42       103 104  88
 *     32>64   3x3 16x16 b64    110 109  97                        113 112 100
 *     64>64   3x3 16x16 b64    113 110 108       70  69  64       117 119 106
 *     64>64   3x3 14x14 b64     98  92  83                        116 118 104
 *     128>128 3x3 4x4   b64     98  99  87                        161 155 108
 *     256>256 3x3 8x8   b32    119 115 105       82  87  80       131 133 115
 *     64>128  1x1 16x16 b64     81  82  78       88  86  65
 *
 * So oneDNN serves small pictures of many channels (cpu/conv-dnnl.c has the rule), tiles are the
 * rule elsewhere where the processor has them (AVX2 or better), and products of matrices are left
 * to BLAS. */
#include "cpu/conv.h"

#include <dlhost/function.h>
#include <string.h>

#include "cpu/conv-direct.h"
#include "cpu/conv-dnnl.h"
#include "cpu/conv-kernels.h"
#include "cpu/parallel.h"

struct _DlhConvPlan {
    DlhConvKind kind;
    DlhConvSize size;
    DlhDType dtype;
    guint parts;
    DlhDnnlPlan *dnnl;     /* (nullable) */
    DlhDirectPlan *direct; /* without dnnl; NULL: im2col */
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
    plan->dnnl = dlh_dnnl_plan_new (kind, s, dtype);
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
    dlh_dnnl_plan_free (plan->dnnl);
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
    if (plan && plan->dnnl)
        bytes = MAX (bytes, dlh_dnnl_plan_workspace (plan->dnnl));
    dlh_conv_plan_free (plan);
    return bytes;
}

gboolean
dlh_conv_plan_run (const DlhConvPlan *plan, const void *a, const void *b, const void *bias,
                   void *out, void *work, GError **error)
{
    // oneDNN's work is cut for the threads of compile time, which a team that runs already has not.
    if (plan->dnnl && !dlh_parallel_is_nested ())
        return dlh_dnnl_plan_run (plan->dnnl, a, b, bias, out, work, error);
    if (plan->direct)
        dlh_direct_plan_run (plan->direct, a, b, bias, out, work);
    else
        dlh_im2col_run (plan->kind, &plan->size, plan->dtype, plan->parts, a, b, bias, out, work);
    return TRUE;
}
