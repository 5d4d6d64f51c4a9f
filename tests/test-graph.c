/* SPDX-License-Identifier: MIT */
/* Helpers that run graphs, apart from test.c so that a test of shapes links no executor. */
#include "test.h"

DlhTensor *
test_run_full (DlhNode *node, DlhTensor *const *inputs, guint n_inputs, DlhCompileFlags flags)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) function = NULL;
    DlhTensor *out;

    function = dlh_graph_compile_full (dlh_node_graph (node), &node, 1, flags, &error);
    if (!function || !dlh_function_run (function, inputs, n_inputs, &error)) {
        test_fail ("running: %s", error ? error->message : "failed without an error");
        return NULL;
    }
    out = dlh_tensor_copy (dlh_function_output (function, 0), &error);
    if (!out)
        test_fail ("copying the output: %s", error->message);
    return out;
}

DlhTensor *
test_run (DlhNode *node, DlhTensor *const *inputs, guint n_inputs)
{
    return test_run_full (node, inputs, n_inputs, DLH_COMPILE_DEFAULT);
}

double
test_value (DlhNode *node)
{
    g_autoptr (DlhTensor) out = test_run (node, NULL, 0);

    return out ? dlh_tensor_get (out, 0) : NAN;
}

// <y, r> with fixed random r: one scalar whose gradient involves every element of y.
static DlhNode *
against_random (DlhNode *y, guint64 seed)
{
    g_autoptr (DlhTensor) r = test_tensor_random (DLH_F64, dlh_node_shape (y), seed);

    return dlh_dot (y, dlh_constant (dlh_node_graph (y), r));
}

typedef struct {
    const char *where;
    DlhFunction *value; /* the scalar */
    DlhTensor **inputs; /* own copies, moved about */
    guint n_inputs;
    gboolean ok;
} Check;

static double
value_at (Check *check, DlhTensor *x, gint64 i, double at)
{
    g_autoptr (GError) error = NULL;

    dlh_tensor_set (x, i, at);
    if (!dlh_function_run (check->value, check->inputs, check->n_inputs, &error)) {
        test_fail ("%s: at a displaced input: %s", check->where, error->message);
        return NAN;
    }
    return dlh_function_scalar (check->value, 0);
}

// The five-point formula: its truncation error, h^4 f''''' / 30, is far below rtol.
static double
difference (Check *check, DlhTensor *x, gint64 i)
{
    double at = dlh_tensor_get (x, i);
    double h = 1e-4 * MAX (1, fabs (at));
    double near = value_at (check, x, i, at + h) - value_at (check, x, i, at - h);
    double far = value_at (check, x, i, at + 2 * h) - value_at (check, x, i, at - 2 * h);

    dlh_tensor_set (x, i, at);
    return (8 * near - far) / (12 * h);
}

static void
compare_gradient (Check *check, guint which, const DlhTensor *gradient, DlhTensor *x, guint order)
{
    for (gint64 i = 0; i < dlh_tensor_count (x) && check->ok; i++) {
        double got = dlh_tensor_get (gradient, i);
        double want = difference (check, x, i);
        double tolerance = 1e-6 * fabs (want) + 1e-8;

        if (fabs (got - want) <= tolerance && !(fabs (want) > 1e-6 && got * want < 0))
            continue;
        test_fail ("%s: gradient of order %u by input %u, element %" G_GINT64_FORMAT
                   ": %.12g, differences give %.12g, off by %.3g, tolerance %.3g",
                   check->where, order, which, i, got, want, fabs (got - want), tolerance);
        check->ok = FALSE;
    }
}

static gboolean
check_scalar (const char *where, DlhNode *scalar, DlhNode *const *gradients, guint n,
              const guint *positions, DlhTensor **inputs, guint n_inputs, guint order)
{
    DlhGraph *graph = dlh_node_graph (scalar);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) value = dlh_graph_compile (graph, &scalar, 1, &error);
    g_autoptr (DlhFunction) gradient =
        value ? dlh_graph_compile (graph, gradients, n, &error) : NULL;
    Check check = {where, value, inputs, n_inputs, TRUE};

    if (!gradient || !dlh_function_run (gradient, inputs, n_inputs, &error)) {
        test_fail ("%s: order %u: %s", where, order, error ? error->message : "no message");
        return FALSE;
    }
    for (guint i = 0; i < n; i++)
        compare_gradient (&check, i, dlh_function_output (gradient, i), inputs[positions[i]],
                          order);
    return check.ok;
}

static DlhNode *
sum_against_random (DlhNode *const *gradients, guint n, guint64 seed)
{
    DlhNode *sum = NULL;

    for (guint i = 0; i < n; i++) {
        DlhNode *part = against_random (gradients[i], seed + i);

        sum = sum ? dlh_add (sum, part) : part;
    }
    return sum;
}

gboolean
test_gradient_check (const char *where, DlhNode *y, DlhNode *const *xs, const guint *positions,
                     guint n_xs, DlhTensor *const *inputs, guint n_inputs, guint order)
{
    g_autofree DlhNode **gradients = g_new0 (DlhNode *, n_xs + 1);
    g_autoptr (GPtrArray) copies =
        g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);
    DlhNode *scalar = against_random (y, 1);

    for (guint i = 0; i < n_inputs; i++)
        g_ptr_array_add (copies, dlh_tensor_copy (inputs[i], NULL));
    for (guint o = 1; o <= order && n_xs > 0; o++) {
        dlh_gradients (scalar, xs, n_xs, NULL, gradients);
        if (o == order)
            return check_scalar (where, scalar, gradients, n_xs, positions,
                                 (DlhTensor **)copies->pdata, n_inputs, order);
        scalar = sum_against_random (gradients, n_xs, 100 * o);
    }
    return TRUE;
}
