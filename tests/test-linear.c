/* SPDX-License-Identifier: MIT */
/* The product with a weight and a bias, against loops in double. */
#include "test.h"

static void
check_linear (DlhShape x, gint64 n_out, gboolean bias, DlhDType dtype)
{
    gint64 n_in = x.dims[x.rank - 1];
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) in = test_tensor_random (dtype, x, 1);
    g_autoptr (DlhTensor) w = test_tensor_random (dtype, dlh_shape (n_out, n_in), 2);
    g_autoptr (DlhTensor) b = test_tensor_random (dtype, dlh_shape (n_out), 3);
    gint64 rows = dlh_shape_count (dlh_shape_make (x.rank - 1, x.dims));
    g_autofree double *want = g_new (double, rows *n_out + 1);
    g_autoptr (DlhTensor) got = NULL;
    double scale = 1;
    DlhNode *x0 = dlh_input (graph, "x", dtype, x);
    DlhNode *w0 = dlh_input (graph, "w", dtype, dlh_shape (n_out, n_in));
    DlhNode *y =
        dlh_linear (x0, w0, bias ? dlh_input (graph, "b", dtype, dlh_shape (n_out)) : NULL);

    for (gint64 i = 0; i < rows * n_out; i++) {
        double sum = fabs (want[i] = bias ? dlh_tensor_get (b, i % n_out) : 0);

        for (gint64 k = 0; k < n_in; k++) {
            double term = dlh_tensor_get (in, i / n_out * n_in + k) *
                          dlh_tensor_get (w, i % n_out * n_in + k);

            want[i] += term;
            sum += fabs (term);
        }
        scale = MAX (scale, sum);
    }
    g_assert_cmpuint (dlh_node_rank (y), ==, x.rank);
    got = test_run (y, (DlhTensor *[]){in, w, b}, bias ? 3 : 2);
    if (got)
        test_assert_tensor (got, want, (gsize)(rows * n_out), scale);
}

static void
linear_ranks (void)
{
    static const DlhShape shapes[] = {{1, {4}},          {2, {3, 4}}, {3, {2, 3, 4}},
                                      {4, {2, 1, 3, 4}}, {2, {1, 4}}, {2, {3, 1}}};

    for (guint i = 0; i < 4 * G_N_ELEMENTS (shapes); i++) {
        check_linear (shapes[i / 4], 5, i & 1, i & 2 ? DLH_F32 : DLH_F64);
        check_linear (shapes[i / 4], 1, i & 1, i & 2 ? DLH_F32 : DLH_F64);
    }
}

// The bias is laid down block by block: more rows than a block, and rows longer than one.
static void
linear_bias_blocks (void)
{
    check_linear (dlh_shape (1000, 3), 10, TRUE, DLH_F32);
    check_linear (dlh_shape (5, 2), 5000, TRUE, DLH_F64);
    check_linear (dlh_shape (3000, 2), 100, TRUE, DLH_F32);
}

static void
linear_zero_sizes (void)
{
    check_linear (dlh_shape (3, 0), 4, TRUE, DLH_F64);
    check_linear (dlh_shape (3, 0), 4, FALSE, DLH_F64);
    check_linear (dlh_shape (0, 3), 4, TRUE, DLH_F64);
    check_linear (dlh_shape (3, 4), 0, TRUE, DLH_F64);
}

static void
linear_gradients (void)
{
    static const DlhShape shapes[] = {{1, {4}}, {2, {3, 4}}, {3, {2, 3, 4}}};

    for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *xs[] = {dlh_input (graph, "x", DLH_F64, shapes[i]),
                         dlh_input (graph, "w", DLH_F64, dlh_shape (5, 4)),
                         dlh_input (graph, "b", DLH_F64, dlh_shape (5))};
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, shapes[i], 1);
        g_autoptr (DlhTensor) w = test_tensor_random (DLH_F64, dlh_shape (5, 4), 2);
        g_autoptr (DlhTensor) b = test_tensor_random (DLH_F64, dlh_shape (5), 3);

        test_gradient_check (G_STRLOC, dlh_linear (xs[0], xs[1], xs[2]), xs,
                             (const guint[]){0, 1, 2}, 3, (DlhTensor *[]){x, w, b}, 3, 2);
    }
}

// Methods look for "a product with a weight" among linear nodes: a gradient must not be one.
static void
linear_gradient_nodes (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (3, 4));
    DlhNode *w = dlh_input (graph, "w", DLH_F64, dlh_shape (5, 4));
    DlhNode *b = dlh_input (graph, "b", DLH_F64, dlh_shape (5));
    DlhNode *dx[3], *seed = dlh_input (graph, "dy", DLH_F64, dlh_shape (3, 5));

    dlh_gradients (dlh_linear (x, w, b), (DlhNode *[]){x, w, b}, 3, seed, dx);
    g_assert_true (dlh_node_is (dx[0], "matmul") && dlh_node_input (dx[0], 1) == w);
    g_assert_true (dlh_node_is (dx[1], "matmul") && dlh_node_input (dx[1], 1) == x);
    g_assert_true (dlh_node_is (dx[2], "sum"));
}

static void
assert_refused (DlhGraph *graph, DlhNode *node, const char *text)
{
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_node_failed (node));
    g_assert_false (dlh_graph_check (graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, text);
}

static void
linear_refusals (void)
{
    static const struct {
        DlhShape x, w, b;
        const char *text;
    } cases[] = {
        {{2, {3, 4}},
         {2, {5, 3}},
         {1, {5}},
         "linear: weight [5,3] does not fit input [3,4]: inner sizes 3 and 4 differ"},
        {{2, {3, 4}}, {2, {5, 4}}, {1, {4}}, "linear: bias [4] does not fit weight [5,4]"},
        {{2, {3, 4}}, {1, {4}}, {1, {1}}, "linear: weight [4], must be (outputs, inputs)"},
        {{0, {0}}, {2, {5, 4}}, {1, {5}}, "linear: weight [5,4] does not fit input []: a scalar"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();

        assert_refused (graph,
                        dlh_linear (dlh_input (graph, "x", DLH_F32, cases[i].x),
                                    dlh_input (graph, "w", DLH_F32, cases[i].w),
                                    dlh_input (graph, "b", DLH_F32, cases[i].b)),
                        cases[i].text);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/linear/ranks/equal-loops", linear_ranks);
    g_test_add_func ("/linear/bias-blocks/equal-loops", linear_bias_blocks);
    g_test_add_func ("/linear/zero-sizes/bias-alone", linear_zero_sizes);
    g_test_add_func ("/linear/gradients/agree-with-differences", linear_gradients);
    g_test_add_func ("/linear/gradient-nodes/plain-products", linear_gradient_nodes);
    g_test_add_func ("/linear/misfits/refused", linear_refusals);
    return g_test_run ();
}
