/* SPDX-License-Identifier: MIT */
/* Graphs: equal nodes, scopes, sticky errors, derivatives of every order, questions and rewriting.
 */
#include "test.h"

static void
equal_nodes_are_one (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (3)),
            *y = dlh_input (g, "x", DLH_F64, dlh_shape (3));

    g_assert_true (dlh_tanh (x) == dlh_tanh (x));
    g_assert_true (dlh_scale (x, 2) == dlh_scale (x, 2));
    g_assert_true (dlh_scale (x, 2) != dlh_scale (x, 3));
    g_assert_true (dlh_tanh (x) != dlh_tanh (y));
}

static void
first_error_sticks (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *x = dlh_input (g, "x", DLH_F32, dlh_shape (2, 3)), *y;

    dlh_graph_push_scope (g, "model");
    dlh_graph_push_scope (g, "dense1");
    y = dlh_matmul (x, dlh_full (g, DLH_F32, dlh_shape (5, 6), 1));
    dlh_graph_pop_scope (g);
    dlh_graph_pop_scope (g);
    g_assert_true (dlh_node_failed (y));
    y = dlh_exp (dlh_add (y, dlh_reshape (x, dlh_shape (7))));
    g_assert_true (dlh_node_failed (dlh_gradient (dlh_sum_all (y), x)));
    g_assert_null (dlh_graph_compile (g, &y, 1, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "model/dense1: matmul: ");
}

static void
two_graphs_do_not_mix (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (DlhGraph) h = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *a = dlh_scalar (g, DLH_F64, 1), *b = dlh_input (h, "b", DLH_F64, dlh_shape ());

    g_assert_true (
        dlh_node_failed (dlh_add (dlh_exp (dlh_input (g, "a", DLH_F64, dlh_shape ())), b)));
    g_assert_false (dlh_graph_check (g, &error));
    test_assert_error (&error, DLH_ERROR_GRAPH, "another graph");
    (void)a;
}

// tanh' = 1 - t^2, '' = -2 t (1 - t^2), ''' = (6 t^2 - 2) (1 - t^2), with t = tanh x.
static void
derivatives_of_tanh (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (4)), *d = dlh_tanh (x), *outputs[3];
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (4), -1.5, -0.2, 0.4, 2);
    g_autoptr (DlhFunction) f = NULL;

    for (guint i = 0; i < 3; i++)
        outputs[i] = d = dlh_gradient (d, x);
    f = dlh_graph_compile (g, outputs, 3, NULL);
    g_assert_true (dlh_function_run (f, &in, 1, NULL));
    for (guint k = 0; k < 4; k++) {
        double t = tanh (dlh_tensor_get (in, k)), s = 1 - t * t;
        const double want[] = {s, -2 * t * s, (6 * t * t - 2) * s};

        for (guint i = 0; i < 3; i++)
            g_assert_cmpfloat_with_epsilon (dlh_tensor_get (dlh_function_output (f, i), k), want[i],
                                            1e-14);
    }
}

static void
seed_weights_the_gradient (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (2)), *dx;
    DlhNode *seed = dlh_input (g, "seed", DLH_F64, dlh_shape (2));
    DlhTensor *in[] = {test_tensor (DLH_F64, dlh_shape (2), 3, 5),
                       test_tensor (DLH_F64, dlh_shape (2), 10, 100)};
    g_autoptr (DlhTensor) out = NULL;

    dlh_gradients (dlh_square (x), &x, 1, seed, &dx);
    out = test_run (dx, in, 2);
    test_assert_tensor (out, ((double[]){60, 1000}), 2, 0);
    dlh_tensor_unref (in[0]);
    dlh_tensor_unref (in[1]);
}

// Slices with gaps, overlaps, steps and along both axes; each counts by a power of ten of its own.
static void
slices_add_up (void)
{
    static const struct {
        int axis;
        gint64 start, stop, step;
    } slices[] = {{0, 3, 5, 1}, {0, 0, 1, 1}, {0, 2, 4, 1}, {1, 1, 3, 1},
                  {0, 1, 2, 1}, {1, 0, 4, 2}, {0, 0, 1, 1}, {0, 0, 5, 1}};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (5, 4)), *loss = NULL;
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (5, 4), 1);
    g_autoptr (DlhTensor) got = NULL;
    double want[20] = {0}, weight = 1;

    for (guint k = 0; k < G_N_ELEMENTS (slices); k++, weight *= 10) {
        DlhNode *part =
            dlh_slice (x, slices[k].axis, slices[k].start, slices[k].stop, slices[k].step);
        DlhNode *term = dlh_scale (dlh_sum_all (part), weight);

        loss = loss ? dlh_add (loss, term) : term;
        for (gint64 i = 0; i < 20; i++) {
            const gint64 at = slices[k].axis ? i % 4 : i / 4;

            if (at >= slices[k].start && at < slices[k].stop &&
                (at - slices[k].start) % slices[k].step == 0)
                want[i] += weight;
        }
    }
    got = test_run (dlh_gradient (loss, x), &in, 1);
    test_assert_tensor (got, want, 20, 0);
}

// As a recurrence reads its inputs: no array of the whole size for each of the steps.
static void
steps_are_joined (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (3, 2)), *h = NULL, *dx, *ddx;

    for (gint64 t = 0; t < 3; t++) {
        DlhNode *in = dlh_index (x, 0, t);

        h = dlh_tanh (h ? dlh_add (h, in) : in);
    }
    dx = dlh_gradient (dlh_sum_all (h), x);
    g_assert_true (dlh_node_is (dx, "concat"));
    g_assert_cmpint (dlh_node_n_inputs (dx), ==, 3);
    ddx = dlh_gradient (dlh_sum_all (dlh_square (dx)), x);
    g_assert_true (dlh_node_is (ddx, "concat"));
}

static void
no_path_gives_zeros (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (2)),
            *y = dlh_input (g, "y", DLH_F64, dlh_shape (3));
    double value = -1;

    g_assert_true (dlh_node_constant_value (dlh_gradient (dlh_sum_all (y), x), &value));
    g_assert_cmpfloat (value, ==, 0);
    value = -1;
    g_assert_true (
        dlh_node_constant_value (dlh_gradient (dlh_sum_all (dlh_stop_gradient (x)), x), &value));
    g_assert_cmpfloat (value, ==, 0);
}

// J t of y = tanh (W x), by central differences along t.
static void
jvp_is_directional_derivative (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (1, 3)),
            *w = dlh_input (g, "w", DLH_F64, dlh_shape (2, 3));
    DlhNode *y = dlh_softmax (dlh_tanh (dlh_linear (x, w, NULL)), -1);
    DlhNode *t = dlh_input (g, "t", DLH_F64, dlh_shape (2, 3)), *outputs[2];
    DlhTensor *in[] = {test_tensor_random (DLH_F64, dlh_shape (1, 3), 1),
                       test_tensor_random (DLH_F64, dlh_shape (2, 3), 2),
                       test_tensor_random (DLH_F64, dlh_shape (2, 3), 3)};
    g_autoptr (DlhFunction) f = NULL;
    double got[2], sides[2][2];
    const double h = 1e-5;

    outputs[0] = y;
    outputs[1] = dlh_jvp (y, &w, &t, 1);
    f = dlh_graph_compile (g, outputs, 2, NULL);
    g_assert_true (dlh_function_run (f, in, 3, NULL));
    memcpy (got, dlh_tensor_get_data (dlh_function_output (f, 1)), sizeof got);
    for (int side = 0; side < 2; side++) {
        for (gint64 i = 0; i < 6; i++)
            dlh_tensor_set (in[1], i,
                            dlh_tensor_get (in[1], i) +
                                (side ? -2 * h : h) * dlh_tensor_get (in[2], i));
        g_assert_true (dlh_function_run (f, in, 3, NULL));
        memcpy (sides[side], dlh_tensor_get_data (dlh_function_output (f, 0)), sizeof got);
    }
    for (guint i = 0; i < 2; i++)
        g_assert_cmpfloat_with_epsilon (got[i], (sides[0][i] - sides[1][i]) / (2 * h), 1e-9);
    for (guint i = 0; i < 3; i++)
        dlh_tensor_unref (in[i]);
}

static DlhVariable *
variable (DlhStore *store, const char *name, DlhShape shape)
{
    return dlh_store_variable (store, name, DLH_F64, shape, (DlhInit){DLH_INIT_NORMAL, 0, 1}, NULL);
}

static void
uses_are_found (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhVariable *w = variable (store, "w", dlh_shape (6)),
                *shared = variable (store, "shared", dlh_shape (3, 3));
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (4, 3)), *first, *second, *third, *loss;
    g_autoptr (GArray) one = NULL;
    g_autoptr (GArray) two = NULL;

    // w is reshaped before it is used; "shared" multiplies twice, and a third time off the loss's
    // path.
    first = dlh_linear (x, dlh_reshape (dlh_read (g, w), dlh_shape (2, 3)), NULL);
    second = dlh_linear (dlh_linear (x, dlh_read (g, shared), NULL), dlh_read (g, shared), NULL);
    third = dlh_exp (dlh_read (g, shared));
    loss = dlh_add (dlh_sum_all (first), dlh_sum_all (second));
    one = dlh_graph_uses (&loss, 1, w);
    two = dlh_graph_uses (&loss, 1, shared);
    g_assert_cmpuint (one->len, ==, 1);
    g_assert_true (g_array_index (one, DlhUse, 0).node == first &&
                   g_array_index (one, DlhUse, 0).input == 1);
    g_assert_cmpuint (two->len, ==, 2);
    g_assert_true (g_array_index (two, DlhUse, 1).node == second);
    g_assert_false (dlh_node_failed (third));
}

// tanh becomes sin wherever it stands.
static DlhNode *
tanh_to_sin (DlhNode *node, DlhNode *const *inputs, gpointer user_data)
{
    ++*(guint *)user_data;
    return dlh_node_is (node, "tanh") ? dlh_sin (inputs[0]) : NULL;
}

static void
rewrite_replaces_nodes (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (2)), *y = dlh_exp (dlh_tanh (dlh_tanh (x))),
            *z;
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (2), 0.3, -2);
    g_autoptr (DlhTensor) out = NULL;
    guint n = 0;

    dlh_graph_rewrite (&y, 1, tanh_to_sin, &n, &z);
    g_assert_cmpuint (n, ==, 4);
    out = test_run (z, &in, 1);
    test_assert_tensor (out, ((double[]){exp (sin (sin (0.3))), exp (sin (sin (-2.0)))}), 2, 3);
}

// W = P V: the loss as a function of V has gradient P' dW, and nothing else of the graph changes.
static void
variable_is_reparameterised (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhVariable *w = variable (store, "w", dlh_shape (2, 3));
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (4, 3));
    DlhNode *loss = dlh_sum_all (dlh_tanh (dlh_linear (x, dlh_read (g, w), NULL)));
    DlhNode *p = dlh_input (g, "p", DLH_F64, dlh_shape (2, 2)),
            *v = dlh_input (g, "v", DLH_F64, dlh_shape (2, 3));
    DlhNode *read = dlh_read (g, w), *product = dlh_matmul (p, v), *rewritten, *difference;
    DlhTensor *in[] = {test_tensor_random (DLH_F64, dlh_shape (4, 3), 1),
                       test_tensor (DLH_F64, dlh_shape (2, 2), 2, 1, 0, 1),
                       dlh_tensor_copy (dlh_variable_tensor (w), NULL)};
    g_autoptr (DlhTensor) zero = NULL;

    // V = P^-1 W with P = [2 1; 0 1].
    for (gint64 j = 0; j < 3; j++)
        dlh_tensor_set (in[2], j, (dlh_tensor_get (in[2], j) - dlh_tensor_get (in[2], 3 + j)) / 2);
    dlh_graph_substitute (&loss, 1, &read, &product, 1, &rewritten);
    difference =
        dlh_sub (dlh_gradient (rewritten, v), dlh_matmul (dlh_t (p), dlh_gradient (loss, read)));
    zero = test_run (difference, in, 3);
    test_assert_tensor_within (zero, ((double[]){0, 0, 0, 0, 0, 0}), 6, 1e-13);
    for (guint i = 0; i < 3; i++)
        dlh_tensor_unref (in[i]);
}

static void
dot_names_nodes (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *y = dlh_tanh (dlh_read (g, variable (store, "layer/\"w\"", dlh_shape (2))));
    g_autofree char *dot = dlh_graph_to_dot (&y, 1);

    g_assert_true (g_str_has_prefix (dot, "digraph dlhost {"));
    g_assert_nonnull (strstr (dot, "tanh\\nf64 [2]"));
    g_assert_nonnull (strstr (dot, "layer/\\\"w\\\""));
    g_assert_nonnull (strstr (dot, " -> "));
}

static void
profile_counts (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F32, dlh_shape (32, 64)),
            *w = dlh_input (g, "w", DLH_F32, dlh_shape (16, 64));
    DlhNode *y = dlh_sum_all (dlh_tanh (dlh_linear (x, w, NULL)));
    DlhTensor *in[] = {test_tensor_random (DLH_F32, dlh_shape (32, 64), 1),
                       test_tensor_random (DLH_F32, dlh_shape (16, 64), 2)};
    g_autoptr (DlhFunction) f = dlh_graph_compile (g, &y, 1, NULL);
    g_autoptr (GArray) costs = dlh_function_profile (f, in, 2, 3, NULL);

    g_assert_cmpuint (costs->len, ==, 2);
    g_assert_cmpstr (g_array_index (costs, DlhCost, 0).name, ==, "linear");
    g_assert_cmpfloat (g_array_index (costs, DlhCost, 0).flops, ==, 2 * 32 * 64 * 16);
    g_assert_cmpfloat (g_array_index (costs, DlhCost, 0).bytes, ==,
                       4 * (32 * 64 + 16 * 64 + 32 * 16));
    g_assert_cmpstr (g_array_index (costs, DlhCost, 1).name, ==, "fused(tanh,sum)");
    g_assert_cmpfloat (g_array_index (costs, DlhCost, 0).seconds, >=, 0);
    dlh_tensor_unref (in[0]);
    dlh_tensor_unref (in[1]);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/nodes/equal/are-one", equal_nodes_are_one);
    g_test_add_func ("/nodes/error/first-sticks", first_error_sticks);
    g_test_add_func ("/nodes/error/two-graphs", two_graphs_do_not_mix);
    g_test_add_func ("/nodes/gradient/three-of-tanh", derivatives_of_tanh);
    g_test_add_func ("/nodes/gradient/seed-weights", seed_weights_the_gradient);
    g_test_add_func ("/nodes/gradient/slices-add-up", slices_add_up);
    g_test_add_func ("/nodes/gradient/steps-are-joined", steps_are_joined);
    g_test_add_func ("/nodes/gradient/no-path-zeros", no_path_gives_zeros);
    g_test_add_func ("/nodes/jvp/directional-derivative", jvp_is_directional_derivative);
    g_test_add_func ("/nodes/uses/found-through-views", uses_are_found);
    g_test_add_func ("/nodes/rewrite/replaces", rewrite_replaces_nodes);
    g_test_add_func ("/nodes/rewrite/reparameterises", variable_is_reparameterised);
    g_test_add_func ("/nodes/dot/names", dot_names_nodes);
    g_test_add_func ("/nodes/profile/counts", profile_counts);
    return g_test_run ();
}
