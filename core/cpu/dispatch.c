/* SPDX-License-Identifier: MIT */
/* One build runs on every x86-64: the loops for this machine are chosen here. */
#include <string.h>

#include <dlhost/function.h>

#include "cpu/loops.h"
#include "graph/private.h"
#include "graph/elementwise-private.h"
#include "plugin/note.h"

// From the least to the most; a processor with one has those before it.
static const DlhLoops *const levels[] = {
    &dlh_loops_baseline,
#if defined __x86_64__
    &dlh_loops_avx2,
    &dlh_loops_avx512,
#endif
};
// One more than the index of the level that is asked for; 0: the best of this processor.
static gint chosen;

guint
dlh_n_cpu_levels (void)
{
#if defined __x86_64__
    // These also ask whether the operating system keeps the wide registers.
    if (__builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512dq") &&
        __builtin_cpu_supports ("avx512bw") && __builtin_cpu_supports ("avx512vl"))
        return 3;
    if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma"))
        return 2;
#endif
    return 1;
}

const char *
dlh_nth_cpu_level (guint i)
{
    return levels[i]->level;
}

const DlhLoops *
dlh_loops (void)
{
    guint n = (guint)g_atomic_int_get (&chosen);

    return levels[(n ? n : dlh_n_cpu_levels ()) - 1];
}

gboolean
dlh_set_cpu_level (const char *level, GError **error)
{
    guint n = dlh_n_cpu_levels ();
    gboolean known = FALSE;

    for (guint i = 0; level && i < G_N_ELEMENTS (levels); i++) {
        known |= strcmp (level, levels[i]->level) == 0;
        if (i < n && strcmp (level, levels[i]->level) == 0) {
            g_atomic_int_set (&chosen, (gint)i + 1);
            return TRUE;
        }
    }
    if (level) {
        g_autofree char *shown = dlh_text_show (level);

        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     known ? "CPU level '%s': this processor does not have it, its best is %s"
                           : "CPU level '%s' is not known; the best of this processor is %s",
                     shown, levels[n - 1]->level);
        return FALSE;
    }
    g_atomic_int_set (&chosen, 0);
    return TRUE;
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
