/* SPDX-License-Identifier: MIT */
/* One build runs on every x86-64: the loops for this machine are chosen here. */
#include <dlhost/function.h>

#include "cpu/loops.h"
#include "graph/private.h"
#include "graph/elementwise-private.h"

const DlhLoops *
dlh_loops (void)
{
#if defined __x86_64__
    // These also ask whether the operating system keeps the wide registers.
    if (__builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512dq") &&
        __builtin_cpu_supports ("avx512bw") && __builtin_cpu_supports ("avx512vl"))
        return &dlh_loops_avx512;
    if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma"))
        return &dlh_loops_avx2;
#endif
    return &dlh_loops_baseline;
}

const char *
dlh_cpu_level (void)
{
    return dlh_loops ()->level;
}

DlhLoop
dlh_ew_loop (const DlhNode *node)
{
    const DlhOp *op = node->op;
    DlhDType dtype;

    // A plugin's row brings its own.
    if (op->loop_f32 || op->loop_f64)
        return node->dtype == DLH_F32 ? op->loop_f32 : node->dtype == DLH_F64 ? op->loop_f64 : NULL;
    dtype = node->inputs[op == &dlh_op_where ? 1 : 0]->dtype;
    if (op == &dlh_op_cast)
        return dlh_loops ()->cast[dtype - 1][node->dtype - 1];
    for (guint id = 0; id < DLH_EW_N; id++)
        if (dlh_ops_elementwise[id] == op)
            return dlh_loops ()->ew[id][dtype - 1];
    return NULL;
}
