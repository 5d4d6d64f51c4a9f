/* SPDX-License-Identifier: MIT */
/* An op that a plugin brings: the example that `dlhost new op` writes, compiled into this program.
 */
#include "test.h"

#include "third-party/op/softsign-net.c"

/* Values at a few points, by the definition, in both element types and fused with neighbours. */
static void
custom_op_values (gconstpointer data)
{
    const DlhDType dtype = GPOINTER_TO_UINT (data);
    const double x[] = {-3, -0.5, 0, 0.25, 7};
    double want[5], scale = 0;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *in = dlh_input (graph, "x", dtype, dlh_shape (5));
    g_autoptr (DlhTensor) values = test_tensor_from (dtype, dlh_shape (5), x, 5);
    g_autoptr (DlhTensor) out = NULL;

    for (guint i = 0; i < 5; i++) {
        want[i] = 2 * (x[i] + 1) / (1 + fabs (x[i] + 1)) - 1;
        scale = MAX (scale, fabs (want[i]) + 2);
    }
    out = test_run (dlh_offset (dlh_scale (softsign (dlh_offset (in, 1)), 2), -1), &values, 1);
    test_assert_tensor (out, want, 5, scale);
}

/* dy/dx = 1 / (1 + |x|)^2 and its derivative - 2 sign x / (1 + |x|)^3, by hand. */
static void
custom_op_gradients (void)
{
    const double x[] = {-3, -0.5, 0.25, 7};
    double first[4], second[4];
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *in = dlh_input (graph, "x", DLH_F64, dlh_shape (4));
    DlhNode *gradient = dlh_gradient (softsign (in), in);
    g_autoptr (DlhTensor) values = test_tensor_from (DLH_F64, dlh_shape (4), x, 4);
    g_autoptr (DlhTensor) got = test_run (gradient, &values, 1);
    g_autoptr (DlhTensor) again = test_run (dlh_gradient (gradient, in), &values, 1);

    for (guint i = 0; i < 4; i++) {
        double d = 1 + fabs (x[i]);

        first[i] = 1 / (d * d);
        second[i] = (x[i] < 0 ? 2 : -2) / (d * d * d);
    }
    test_assert_tensor (got, first, 4, 1);
    test_assert_tensor (again, second, 4, 2);
}

/* What the row offers to those who test ops by themselves. */
static void
custom_op_samples (void)
{
    g_autoptr (DlhSample) sample = dlh_sample_new (DLH_SAMPLE_PLAIN, DLH_F64);
    DlhNode *y = softsign_op.sample (sample, 0);

    g_assert_true (dlh_node_is (y, "softsign"));
    g_assert_null (softsign_op.sample (sample, 1));
    g_assert_true (dlh_node_failed (softsign_op.reject (sample, 0)));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_data_func ("/custom-op/values/f64", GUINT_TO_POINTER (DLH_F64), custom_op_values);
    g_test_add_data_func ("/custom-op/values/f32", GUINT_TO_POINTER (DLH_F32), custom_op_values);
    g_test_add_func ("/custom-op/gradients/first-and-second", custom_op_gradients);
    g_test_add_func ("/custom-op/samples/end", custom_op_samples);
    return g_test_run ();
}
