/* SPDX-License-Identifier: MIT */
/* Serial steps that do not need each other run side by side: really at the same time, with the
 * values that one after the other gives, and with the first failure in the order of steps. */
#include "test.h"

#define PATIENCE (20 * G_TIME_SPAN_SECOND)

/* An op of two runs that wait for each other: out = in. */

static GMutex lock;
static GCond changed;
static guint n_inside, n_most;

static gboolean
meet_run (const DlhCall *call, GError **error)
{
    const gint64 end = g_get_monotonic_time () + PATIENCE;

    (void)error;
    g_mutex_lock (&lock);
    n_inside++;
    n_most = MAX (n_most, n_inside);
    g_cond_broadcast (&changed);
    while (n_most < 2 && g_cond_wait_until (&changed, &lock, end))
        ;
    n_inside--;
    g_mutex_unlock (&lock);
    memcpy (call->out, call->in[0], (gsize)dlh_shape_count (dlh_node_shape (call->node)) * 8);
    return TRUE;
}

static double
meet_flops (const DlhNode *node)
{
    (void)node;
    return 1e9;
}

static const DlhOp op_meet = {
    .size = sizeof (DlhOp),
    .name = "meet",
    .n_inputs = 1,
    .flags = DLH_OP_SERIAL,
    .infer = dlh_infer_same,
    .run = meet_run,
    .flops = meet_flops,
};

static void
at_the_same_time (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (3)), *y = dlh_scale (x, 2);
    DlhNode *a = dlh_node_new (&op_meet, &x, 1, NULL), *b = dlh_node_new (&op_meet, &y, 1, NULL);
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (3), 1, 2, 3);
    g_autoptr (DlhTensor) out = NULL;

    dlh_set_threads (2);
    n_most = 0;
    out = test_run (dlh_add (dlh_square (a), b), &in, 1);
    test_assert_tensor (out, ((double[]){3, 8, 15}), 3, 15);
    g_assert_cmpuint (n_most, ==, 2);
    dlh_set_threads (0);
}

// sum_i tr (V_i diag (exp w_i) V_i') + .. over matrices of several sizes, with steps in between.
static DlhNode *
many_eigh (DlhGraph *graph)
{
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (40, 40)), *sum = NULL;

    for (guint round = 0; round < 2; round++) {
        for (gint64 n = 3; n <= 40; n += 6) {
            DlhNode *part = dlh_slice (dlh_slice (x, 0, 0, n, 1), 1, 0, n, 1), *w, *v, *term;

            dlh_eigh (dlh_add (part, dlh_t (part)), &w, &v);
            term = dlh_matmul (dlh_mul (v, dlh_expand (dlh_tanh (w), 0)), dlh_t (v));
            term = dlh_add (dlh_sum_all (dlh_square (term)), dlh_mean_all (term));
            sum = sum ? dlh_add (sum, term) : term;
        }
        x = dlh_scale (dlh_add (x, sum), 0.25); // the second round needs all of the first
    }
    return sum;
}

// Factorisations of this size are done by one thread either way: to the bit.
static void
same_as_one_after_the_other (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *y = many_eigh (graph);
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (40, 40), 5);
    g_autoptr (DlhTensor) alone = NULL;

    dlh_set_threads (1);
    alone = test_run (y, &in, 1);
    for (guint n = 2; n <= 4; n++) {
        g_autoptr (DlhTensor) beside = NULL;

        dlh_set_threads (n);
        beside = test_run (y, &in, 1);
        test_assert_tensors_equal (alone, beside);
    }
    dlh_set_threads (0);
}

// Compiled for many threads, run by one, and the other way round.
static void
threads_changed_meanwhile (void)
{
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (40, 40), 6);
    double values[4];

    for (guint i = 0; i < 4; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *y = many_eigh (graph);
        g_autoptr (DlhFunction) f = NULL;

        dlh_set_threads (1 + (i & 1));
        f = dlh_graph_compile (graph, &y, 1, NULL);
        dlh_set_threads (1 + (i >> 1));
        g_assert_true (dlh_function_run (f, &in, 1, NULL));
        values[i] = dlh_function_scalar (f, 0);
    }
    test_assert_close (values + 1, ((double[]){values[0], values[0], values[0]}), 3, 0);
    dlh_set_threads (0);
}

static void
first_failure_counts (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree double *values = g_new0 (double, 3 * 16);
    g_autoptr (DlhTensor) in = NULL;
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (3, 4, 4)), *w[3], *v, *y;

    for (guint i = 0; i < 3; i++) {
        g_autofree char *scope = g_strdup_printf ("part%u", i);

        dlh_graph_push_scope (graph, scope);
        dlh_eigh (dlh_index (x, 0, i), &w[i], &v);
        dlh_graph_pop_scope (graph);
    }
    y = dlh_add (dlh_add (w[0], w[1]), w[2]);
    values[16] = values[40] = NAN; // in the second matrix and the third
    in = test_tensor_from (DLH_F64, dlh_shape (3, 4, 4), values, 48);
    dlh_set_threads (2);
    f = dlh_graph_compile (graph, &y, 1, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < 20; i++) {
        g_assert_false (dlh_function_run (f, &in, 1, &error));
        test_assert_error (&error, DLH_ERROR_NUMERIC, "part1: eigh");
    }
    dlh_set_threads (0);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/side-by-side/serial/at-the-same-time", at_the_same_time);
    g_test_add_func ("/side-by-side/eigh/same-bits", same_as_one_after_the_other);
    g_test_add_func ("/side-by-side/threads/may-change", threads_changed_meanwhile);
    g_test_add_func ("/side-by-side/failure/first-counts", first_failure_counts);
    return g_test_run ();
}
