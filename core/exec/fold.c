/* SPDX-License-Identifier: MIT */
/* Simplification before compiling: gradient stops vanish, and what depends on constants alone is
 * computed now. Rewriting makes new nodes in the same graph; equal ones from an earlier compile are
 * found again. */
#include <dlhost/dlhost.h>
#include "exec/private.h"

// Larger results are cheaper to recompute than to keep.
#define MAX_FOLDED 65536

static gboolean
is_known (const DlhNode *node)
{
    return node->op == &dlh_op_constant || node->op == &dlh_op_fill;
}

static DlhNode *
evaluate (DlhNode *node)
{
    g_autoptr (DlhFunction) f =
        dlh_graph_compile_full (node->graph, &node, 1, DLH_COMPILE_NO_FOLDING, NULL);

    // A constant that cannot be computed fails when the function runs, with that run's message.
    if (!f || !dlh_function_run (f, NULL, 0, NULL))
        return NULL;
    return dlh_constant (node->graph, dlh_function_output (f, 0));
}

// An element-wise node of operands that are the same number everywhere is a number everywhere.
static DlhNode *
evaluate_uniform (DlhNode *node, DlhNode *const *inputs)
{
    DlhNode *scalars[3];
    DlhNode *result;
    double value;

    g_return_val_if_fail (node->n_inputs <= 3, NULL);
    for (guint k = 0; k < node->n_inputs; k++) {
        if (!dlh_node_constant_value (inputs[k], &value))
            return NULL;
        scalars[k] = dlh_scalar (node->graph, inputs[k]->dtype, value);
    }
    result = evaluate (dlh_node_rebuild (node, scalars));
    if (!result)
        return NULL;
    return dlh_full (node->graph, node->dtype, node->shape, dlh_tensor_get (result->value, 0));
}

static DlhNode *
fold (DlhNode *node, DlhNode *const *inputs, gpointer user_data)
{
    DlhCompileFlags flags = GPOINTER_TO_UINT (user_data);

    if (node->op == &dlh_op_stop_gradient || node->op == &dlh_op_as_noise)
        return inputs[0];
    if ((flags & DLH_COMPILE_NO_FOLDING) || !node->n_inputs || node->op == &dlh_op_broadcast ||
        (node->op->flags & (DLH_OP_IMPURE | DLH_OP_VIEW)))
        return NULL;
    if (dlh_is_elementwise (node) && node->dtype != DLH_I64)
        for (guint k = 0;; k++) {
            double value;

            if (k == node->n_inputs)
                return evaluate_uniform (node, inputs);
            if (!dlh_node_constant_value (inputs[k], &value))
                break;
        }
    if (dlh_shape_count (node->shape) > MAX_FOLDED)
        return NULL;
    for (guint k = 0; k < node->n_inputs; k++)
        if (!is_known (inputs[k]))
            return NULL;
    return evaluate (dlh_node_rebuild (node, inputs));
}

void
dlh_simplify (DlhGraph *graph, DlhNode *const *outputs, guint n, DlhCompileFlags flags,
              DlhNode **simplified)
{
    (void)graph;
    dlh_graph_rewrite (outputs, n, fold, GUINT_TO_POINTER (flags), simplified);
}
