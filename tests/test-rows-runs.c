/* SPDX-License-Identifier: MIT */
/* What ends a run of steps by rows, and what must not be overwritten in one. Results of many
 * threads are those of one, and what one thread writes is never what another still reads. */
#include "rows-check.h"

#define REPEATS 5

static DlhTensor *
copy_of (const DlhTensor *t)
{
    g_autofree double *values = test_values (t);

    return test_tensor_from (dlh_tensor_get_dtype (t), dlh_tensor_get_shape (t), values,
                             (gsize)dlh_tensor_count (t));
}

/* What ends a run, and what must not be overwritten in one. Results of many threads are those of
 * one. */

typedef struct {
    const char *name;
    void (*build) (DlhGraph *graph, DlhStore *store, GPtrArray *outputs);
    guint n_steps; /* that go by rows at least */
} Mixed;

enum { R = 320 };

static DlhNode *
read_square (DlhGraph *graph, DlhStore *store, const char *name)
{
    return dlh_read (graph, dlh_store_variable (store, name, DLH_F64, dlh_shape (R, R),
                                                (DlhInit){DLH_INIT_UNIFORM, -0.1, 0.1}, NULL));
}

// Six steps by rows.
static DlhNode *
net (DlhNode *x, DlhNode *w)
{
    for (guint i = 0; i < 3; i++)
        x = dlh_tanh (dlh_matmul (x, w));
    return x;
}

// Rows, columns, rows again.
static void
sum_between (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = net (net (v, w), w);
    const int axis = 0;
    DlhNode *z = dlh_sub (y, dlh_mean (y, &axis, 1, TRUE));

    g_ptr_array_add (outputs, net (z, w));
    g_ptr_array_add (outputs, dlh_sum_all (z));
}

// All of y is the right factor of a product between steps on its rows.
static void
transposed_between (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = net (v, w);

    g_ptr_array_add (outputs, net (dlh_matmul_t (y, FALSE, y, TRUE), w));
}

// The right factor dies in the run, where an element-wise result of its size could take its place.
static void
factor_dies (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = dlh_cumsum (v, 0, FALSE);
    DlhNode *z = dlh_matmul (dlh_tanh (dlh_matmul (w, y)), w);

    z = dlh_tanh (dlh_mul (y, z));
    g_ptr_array_add (outputs, net (z, w));
}

// The right factor is a variable that gets its new value from the product's rows.
static void
factor_is_written (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = net (net (v, w), w);

    g_ptr_array_add (outputs, dlh_assign (dlh_node_variable (w), dlh_add (dlh_scale (w, 0.5), y)));
    g_ptr_array_add (outputs, dlh_assign (dlh_node_variable (v), dlh_add (dlh_scale (v, 0.5), y)));
}

// Rows of many lengths: memory that is free again lies across those of other threads.
static void
narrowed (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    static const gint64 widths[] = {R, 316, 314, 318, 312, 319, 315, R};
    DlhNode *y = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *factors[G_N_ELEMENTS (widths)];

    // Steps are in the order of their making.
    for (guint i = 1; i < G_N_ELEMENTS (widths); i++)
        factors[i] = dlh_slice (dlh_slice (w, 0, 0, widths[i - 1], 1), 1, 0, widths[i], 1);
    for (guint i = 1; i < G_N_ELEMENTS (widths); i++)
        y = dlh_matmul (y, factors[i]);
    g_ptr_array_add (outputs, y);
}

// Row r of one is row r + 1 of the other.
static void
shifted (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = net (v, w);
    DlhNode *next = dlh_slice (y, 0, 1, R, 1), *here = dlh_slice (y, 0, 0, R - 1, 1);

    g_ptr_array_add (outputs, net (dlh_mul (next, here), w));
}

// Other rows of the same memory: two of the one are one of the other.
static void
reshaped (DlhGraph *graph, DlhStore *store, GPtrArray *outputs)
{
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = net (v, w);
    DlhNode *wide = dlh_tanh (dlh_reshape (y, dlh_shape (R / 2, 2 * R)));

    wide = dlh_softmax (wide, 1);
    g_ptr_array_add (outputs, net (dlh_reshape (wide, dlh_shape (R, R)), w));
}

static const Mixed mixed[] = {
    {"sum-over-rows", sum_between, 17}, {"product-with-itself", transposed_between, 12},
    {"factor-dies", factor_dies, 10},   {"factor-is-written", factor_is_written, 11},
    {"rows-are-narrowed", narrowed, 6}, {"rows-are-shifted", shifted, 12},
    {"rows-are-joined", reshaped, 12},
};

static void
run_mixed (const Mixed *m, guint n_threads, GPtrArray *values)
{
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;

    dlh_set_threads (n_threads);
    m->build (graph, store, outputs);
    f = dlh_graph_compile (graph, (DlhNode **)outputs->pdata, outputs->len, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (rows_check (f), >=, m->n_steps);
    for (guint i = 0; i < REPEATS; i++)
        g_assert_true (dlh_function_run (f, NULL, 0, &error));
    for (guint i = 0; i < outputs->len; i++)
        if (dlh_function_output (f, i))
            g_ptr_array_add (values, copy_of (dlh_function_output (f, i)));
    for (guint i = 0; i < 2; i++)
        g_ptr_array_add (values,
                         copy_of (dlh_variable_tensor (dlh_store_lookup (store, i ? "v" : "w"))));
}

static void
mixed_results (gconstpointer data)
{
    static const guint threads[] = {2, 3, 7};
    g_autoptr (GPtrArray) one = g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

    run_mixed (data, 1, one);
    for (guint t = 0; t < G_N_ELEMENTS (threads); t++) {
        g_autoptr (GPtrArray) many =
            g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

        run_mixed (data, threads[t], many);
        g_assert_cmpuint (many->len, ==, one->len);
        for (guint i = 0; i < one->len; i++) {
            g_autofree double *want = test_values (one->pdata[i]);

            // Products of 320 terms of 1 at most, some behind each other.
            test_assert_tensor_within (many->pdata[i], want,
                                       (gsize)dlh_tensor_count (one->pdata[i]), 1e-9);
        }
    }
}

// What fails does so before anything is written, by whatever thread.
static void
failure_changes_nothing (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = net (v, w);
    DlhNode *sums = dlh_sum_axis (dlh_log (y), 1);
    DlhNode *outputs[] = {dlh_assign (dlh_node_variable (v), y),
                          dlh_assert_finite (sums, "row sums")};
    g_autoptr (DlhTensor) before = copy_of (dlh_variable_tensor (dlh_node_variable (v)));
    g_autoptr (DlhFunction) f = NULL;

    dlh_set_threads (3);
    f = dlh_graph_compile (graph, outputs, 2, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (rows_check (f), >=, 6);
    g_assert_false (dlh_function_run (f, NULL, 0, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "row sums");
    test_assert_tensors_equal (dlh_variable_tensor (dlh_node_variable (v)), before);
}

// More threads than there were when it was compiled: there may be no room for them.
static void
threads_after_compile (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *v = read_square (graph, store, "v"), *w = read_square (graph, store, "w");
    DlhNode *y = dlh_sum_axis (net (v, w), 1);
    const guint more = 1 + MAX (7, (guint)g_get_num_processors ());
    g_autoptr (DlhTensor) want = NULL;
    g_autofree double *values = NULL;
    g_autoptr (DlhFunction) f = NULL;

    dlh_set_threads (1);
    f = dlh_graph_compile (graph, &y, 1, NULL);
    g_assert_true (dlh_function_run (f, NULL, 0, NULL));
    want = copy_of (dlh_function_output (f, 0));
    values = test_values (want);
    dlh_set_threads (more);
    g_assert_true (dlh_function_run (f, NULL, 0, NULL));
    test_assert_tensor_within (dlh_function_output (f, 0), values, R, 1e-9);
}

int
main (int argc, char **argv)
{
    const guint before = dlh_get_threads ();
    int result;

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (mixed); i++) {
        g_autofree char *path = g_strdup_printf ("/rows-runs/mixed/%s", mixed[i].name);

        g_test_add_data_func (path, &mixed[i], mixed_results);
    }
    g_test_add_func ("/rows-runs/failure/changes-nothing", failure_changes_nothing);
    g_test_add_func ("/rows-runs/threads/more-than-compiled-for", threads_after_compile);
    result = g_test_run ();
    dlh_set_threads (before);
    return result;
}
