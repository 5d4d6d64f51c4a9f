/* SPDX-License-Identifier: MIT */
/* The executor: what fusion, assignment in place and shared memory must not change. */
#include "test.h"

static DlhVariable *
variable (DlhStore *store, const char *name, double value)
{
    return dlh_store_variable (store, name, DLH_F64, dlh_shape (3),
                               (DlhInit){DLH_INIT_CONSTANT, value, 0}, NULL);
}

static double
first (DlhVariable *v)
{
    return dlh_tensor_get (dlh_variable_tensor (v), 0);
}

static gboolean
run_once (DlhGraph *graph, DlhNode **outputs, guint n, GError **error)
{
    g_autoptr (DlhFunction) f = dlh_graph_compile (graph, outputs, n, error);

    return f && dlh_function_run (f, NULL, 0, error);
}

static void
assign_swap_exchanges (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhVariable *a = variable (store, "a", 1), *b = variable (store, "b", 2);
    DlhNode *outputs[] = {dlh_assign (a, dlh_read (g, b)), dlh_assign (b, dlh_read (g, a))};

    g_assert_true (run_once (g, outputs, 2, NULL));
    g_assert_cmpfloat (first (a), ==, 2);
    g_assert_cmpfloat (first (b), ==, 1);
}

static void
assign_crosswise_sees_values_before (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhVariable *a = variable (store, "a", 3), *b = variable (store, "b", 5);
    DlhNode *x = dlh_read (g, a), *y = dlh_read (g, b);
    DlhNode *outputs[] = {dlh_assign (a, dlh_add (dlh_scale (x, 10), y)),
                          dlh_assign (b, dlh_mul (x, y)), dlh_sum_all (dlh_add (x, y)), x};
    g_autoptr (DlhFunction) f = dlh_graph_compile (g, outputs, 4, NULL);

    g_assert_true (dlh_function_run (f, NULL, 0, NULL));
    g_assert_cmpfloat (first (a), ==, 35);
    g_assert_cmpfloat (first (b), ==, 15);
    g_assert_cmpfloat (dlh_function_scalar (f, 2), ==, 24);
    g_assert_cmpfloat (dlh_function_scalar (f, 3), ==, 3);
    g_assert_null (dlh_function_output (f, 0));
}

static void
assign_value_is_used_after (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhVariable *v = variable (store, "v", 1), *p = variable (store, "p", 7);
    DlhNode *velocity = dlh_offset (dlh_scale (dlh_read (g, v), 0.5), 4);
    DlhNode *outputs[] = {dlh_assign (v, velocity),
                          dlh_assign (p, dlh_sub (dlh_read (g, p), velocity))};
    g_autoptr (DlhFunction) f = dlh_graph_compile (g, outputs, 2, NULL);

    for (guint i = 0; i < 2; i++)
        g_assert_true (dlh_function_run (f, NULL, 0, NULL));
    g_assert_cmpfloat (first (v), ==, 6.25);
    g_assert_cmpfloat (first (p), ==, 7 - 4.5 - 6.25);
    // One pass over memory, with nothing kept beside the variables.
    g_assert_cmpuint (dlh_function_n_steps (f), ==, 1);
    g_assert_cmpuint (dlh_function_memory (f), <=, 64);
}

static void
assign_broadcast_of_itself (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhVariable *v = variable (store, "v", 0);
    DlhNode *x = dlh_read (g, v), *outputs[1];

    for (guint i = 0; i < 3; i++)
        dlh_tensor_set (dlh_variable_tensor (v), i, i + 1.0);
    // Every element reads element 2: writing in place as one goes would change it on the way.
    outputs[0] =
        dlh_assign (v, dlh_mul (x, dlh_broadcast (dlh_slice (x, 0, 2, 3, 1), dlh_shape (3))));
    g_assert_true (run_once (g, outputs, 1, NULL));
    test_assert_tensor (dlh_variable_tensor (v), ((double[]){3, 6, 9}), 3, 0);
}

static void
assign_twice_is_refused (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhVariable *v = variable (store, "v", 0);
    DlhNode *outputs[] = {dlh_assign (v, dlh_full (g, DLH_F64, dlh_shape (3), 1)),
                          dlh_assign (v, dlh_full (g, DLH_F64, dlh_shape (3), 2))};

    g_assert_false (run_once (g, outputs, 2, &error));
    test_assert_error (&error, DLH_ERROR_GRAPH, "'v' is assigned twice");
}

static void
failure_changes_nothing (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhVariable *a = variable (store, "a", -1), *b = variable (store, "b", 2);
    DlhNode *x = dlh_read (g, a);
    DlhNode *outputs[3];

    outputs[0] = dlh_assign (b, dlh_scale (dlh_read (g, b), 2));
    outputs[1] = dlh_assign (a, dlh_scale (x, 3));
    dlh_graph_push_scope (g, "model");
    outputs[2] = dlh_assert_finite (dlh_sum_all (dlh_log (x)), "loss");
    dlh_graph_pop_scope (g);
    g_assert_false (run_once (g, outputs, 3, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "loss");
    g_assert_cmpfloat (first (a), ==, -1);
    g_assert_cmpfloat (first (b), ==, 2);
}

static void
diagnosis_names_the_first_node (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (2)), *y;
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (2), 1, -1);
    g_autoptr (DlhFunction) f = NULL;

    dlh_graph_push_scope (g, "layer");
    y = dlh_log (x);
    dlh_graph_pop_scope (g);
    y = dlh_exp (dlh_square (y));
    f = dlh_graph_compile (g, &y, 1, NULL);
    g_assert_false (dlh_function_diagnose (f, &in, 1, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "layer: log f64 [2]: element 1");
}

static void
inputs_are_checked (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *x = dlh_input (g, "x", DLH_F32, dlh_shape (2, 3));
    DlhNode *unused = dlh_input (g, "unused", DLH_F32, dlh_shape (9)), *y = dlh_neg (x);
    g_autoptr (DlhTensor) good = test_tensor_random (DLH_F32, dlh_shape (2, 3), 1);
    g_autoptr (DlhTensor) bad = test_tensor_random (DLH_F32, dlh_shape (3, 2), 1);
    g_autoptr (DlhFunction) f = dlh_graph_compile (g, &y, 1, NULL);

    (void)unused;
    g_assert_true (dlh_function_run (f, (DlhTensor *[]){good, NULL}, 2, NULL));
    g_assert_true (dlh_function_run (f, &good, 1, NULL));
    g_assert_false (dlh_function_run (f, &bad, 1, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "input 'x' must be f32 [2,3], got f32 [3,2]");
    g_assert_false (dlh_function_run (f, NULL, 0, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "got nothing");
}

static void
constants_are_folded (void)
{
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhNode *x = dlh_input (g, "x", DLH_F64, dlh_shape (4));
    DlhNode *c = dlh_exp (dlh_full (g, DLH_F64, dlh_shape (4), 0.5));
    DlhNode *m = dlh_matmul (dlh_eye (g, DLH_F64, 3), dlh_full (g, DLH_F64, dlh_shape (3, 3), 2));
    DlhNode *outputs[] = {dlh_mul (x, c), m};
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (4), 1, 2, 3, 4);
    g_autoptr (DlhFunction) f = dlh_graph_compile (g, outputs, 2, NULL);
    const double e = exp (0.5);

    g_assert_cmpuint (dlh_function_n_steps (f), ==, 1);
    g_assert_true (dlh_function_run (f, &in, 1, NULL));
    test_assert_tensor (dlh_function_output (f, 0), ((double[]){e, 2 * e, 3 * e, 4 * e}), 4, 8);
    g_assert_cmpfloat (dlh_tensor_get (dlh_function_output (f, 1), 4), ==, 2);
}

/* Random graphs: every mode of compiling computes the same. */

#define MAX_NODES 48

typedef struct {
    guint64 state;
} Dice;

static guint
roll (Dice *d, guint n)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (guint)(d->state >> 33) % n;
}

// A new node from earlier ones; all are (4, 6), so that anything goes with anything.
static DlhNode *
random_node (Dice *d, DlhNode **pool, guint n)
{
    DlhNode *a = pool[roll (d, n)], *b = pool[roll (d, n)];
    DlhShape shape = dlh_shape (4, 6);
    int axis = (int)roll (d, 2);

    switch (roll (d, 14)) {
    case 0:
        return dlh_add (a, b);
    case 1:
        return dlh_mul (dlh_tanh (a), b);
    case 2:
        return dlh_tanh (dlh_sub (a, b));
    case 3:
        return dlh_sub (a, dlh_mean (b, &axis, 1, TRUE));
    case 4:
        return dlh_broadcast (dlh_sum (dlh_sigmoid (a), &axis, 1, TRUE), shape);
    case 5:
        return dlh_tanh (dlh_matmul (dlh_matmul (a, dlh_t (b)), b));
    case 6:
        return dlh_reshape (dlh_relu (dlh_reshape (a, dlh_shape (6, 4))), shape);
    case 7:
        return dlh_concat ((DlhNode *[]){dlh_slice (a, 0, 1, 3, 1), dlh_slice (b, 0, 0, 2, 1)}, 2,
                           0);
    case 8:
        return dlh_softmax (dlh_add (a, dlh_stop_gradient (b)), axis);
    case 9:
        return dlh_scale (dlh_add (a, dlh_index (dlh_expand (b, 0), 0, 0)), 0.5);
    case 10:
        // Not a < b: equal up to rounding, they would make the choice one of luck.
        return dlh_where (dlh_less (a, dlh_full_like (a, 0.1234)), dlh_square (dlh_sigmoid (a)),
                          dlh_neg (b));
    case 11:
        return dlh_add (dlh_mul (a, dlh_sum_all (dlh_tanh (b))), dlh_full_like (a, 0.25));
    case 12:
        return dlh_reverse (dlh_t (dlh_reshape (a, dlh_shape (6, 4))), axis);
    default:
        return dlh_max (a, dlh_scale (b, -0.5));
    }
}

typedef struct {
    double values[3][24];
    double variables[2][24];
} Result;

static gboolean
run_random (guint64 seed, DlhCompileFlags flags, Result *result)
{
    Dice d = {seed};
    g_autoptr (DlhStore) store = dlh_store_new (seed, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (4, 6), seed);
    DlhNode *pool[MAX_NODES], *outputs[6], *dx;
    DlhVariable *v[2];
    guint n = 0;
    g_autoptr (DlhFunction) f = NULL;

    pool[n++] = dlh_input (g, "x", DLH_F64, dlh_shape (4, 6));
    for (guint i = 0; i < 2; i++) {
        v[i] = dlh_store_variable (store, i ? "b" : "a", DLH_F64, dlh_shape (4, 6),
                                   (DlhInit){DLH_INIT_NORMAL, 0, 1}, NULL);
        pool[n++] = dlh_read (g, v[i]);
    }
    while (n < 6 + roll (&d, MAX_NODES - 8)) {
        pool[n] = random_node (&d, pool, n);
        n++;
    }
    dx = dlh_gradient (dlh_mean_all (pool[n - 1]), pool[roll (&d, 3)]);
    outputs[0] = pool[n - 1];
    outputs[1] = pool[roll (&d, n)];
    outputs[2] = dx;
    outputs[3] = dlh_assign (v[0], dlh_sub (pool[1], dlh_scale (dx, 0.1)));
    outputs[4] = dlh_assign (v[1], pool[roll (&d, n)]);
    outputs[5] = dlh_assert_finite (dlh_sum_all (pool[n / 2]), "sum");
    if (!(f = dlh_graph_compile_full (g, outputs, 6, flags, NULL)))
        return FALSE;
    for (guint i = 0; i < 2; i++)
        if (!dlh_function_run (f, &in, 1, NULL))
            return FALSE;
    for (guint i = 0; i < 3; i++)
        memcpy (result->values[i], dlh_tensor_get_data (dlh_function_output (f, i)),
                sizeof result->values[i]);
    for (guint i = 0; i < 2; i++)
        memcpy (result->variables[i], dlh_tensor_get_data (dlh_variable_tensor (v[i])),
                sizeof result->variables[i]);
    return TRUE;
}

static void
random_graphs_agree (void)
{
    static const DlhCompileFlags modes[] = {DLH_COMPILE_DEFAULT, DLH_COMPILE_NO_FUSION,
                                            DLH_COMPILE_NO_IN_PLACE, DLH_COMPILE_NO_FOLDING};
    guint n_run = 0;

    for (guint64 seed = 1; seed <= 400; seed++) {
        Result want, got;

        if (!run_random (seed,
                         DLH_COMPILE_NO_FUSION | DLH_COMPILE_NO_IN_PLACE | DLH_COMPILE_NO_FOLDING,
                         &want))
            continue;
        n_run++;
        for (guint m = 0; m < G_N_ELEMENTS (modes); m++) {
            const double *w = (const double *)&want, *g = (const double *)&got;

            g_assert_true (run_random (seed, modes[m], &got));
            for (guint i = 0; i < sizeof want / sizeof *w; i++) {
                // Sums may be taken in another order: 24 terms, a few operations deep.
                double tolerance = 1e-9 * MAX (1, fabs (w[i]));

                if (!(fabs (g[i] - w[i]) <= tolerance)) {
                    test_fail ("seed %u mode %u value %u: got %.17g, want %.17g", (guint)seed, m, i,
                               g[i], w[i]);
                    return;
                }
            }
        }
    }
    g_assert_cmpuint (n_run, >=, 300);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/exec/assign/swap-exchanges", assign_swap_exchanges);
    g_test_add_func ("/exec/assign/crosswise-sees-values-before",
                     assign_crosswise_sees_values_before);
    g_test_add_func ("/exec/assign/value-used-after-is-one-step", assign_value_is_used_after);
    g_test_add_func ("/exec/assign/broadcast-of-itself", assign_broadcast_of_itself);
    g_test_add_func ("/exec/assign/twice-is-refused", assign_twice_is_refused);
    g_test_add_func ("/exec/failure/changes-nothing", failure_changes_nothing);
    g_test_add_func ("/exec/diagnosis/names-first-node", diagnosis_names_the_first_node);
    g_test_add_func ("/exec/inputs/checked", inputs_are_checked);
    g_test_add_func ("/exec/constants/folded", constants_are_folded);
    g_test_add_func ("/exec/random-graphs/all-modes-agree", random_graphs_agree);
    return g_test_run ();
}
