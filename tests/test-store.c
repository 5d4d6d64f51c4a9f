/* SPDX-License-Identifier: MIT */
/* Variables, parameters and random streams of a store. */
#include "test.h"

static const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0}, normal = {DLH_INIT_NORMAL, 0, 1};

static void
variable_same_shape (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    DlhVariable *a = dlh_store_variable (store, "a", DLH_F64, dlh_shape (2, 3), normal, NULL);
    DlhVariable *b = dlh_store_variable (store, "b", DLH_I64, dlh_shape (), zeros, NULL);

    g_assert_nonnull (a);
    g_assert_true (dlh_store_variable (store, "a", DLH_F64, dlh_shape (2, 3), zeros, NULL) == a);
    g_assert_true (dlh_store_lookup (store, "a") == a);
    g_assert_null (dlh_store_lookup (store, "c"));
    g_assert_cmpuint (dlh_store_n_variables (store), ==, 2);
    g_assert_true (dlh_store_get_variable (store, 0) == a);
    g_assert_true (dlh_store_get_variable (store, 1) == b);
    g_assert_cmpstr (dlh_variable_name (b), ==, "b");
    g_assert_false (dlh_variable_is_trainable (a));
    g_assert_true (dlh_shape_equal (dlh_variable_shape (a), dlh_shape (2, 3)));
    g_assert_cmpint (dlh_variable_dtype (b), ==, DLH_I64);
}

static void
variable_other_shape (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (GError) error = NULL;

    dlh_store_variable (store, "a", DLH_F64, dlh_shape (2, 3), zeros, NULL);
    g_assert_null (dlh_store_variable (store, "a", DLH_F64, dlh_shape (3, 2), zeros, &error));
    test_assert_error (&error, DLH_ERROR_STATE, "'a': exists as f64 [2,3], wanted is f64 [3,2]");
    g_assert_null (dlh_store_variable (store, "a", DLH_F32, dlh_shape (2, 3), zeros, &error));
    test_assert_error (&error, DLH_ERROR_STATE, "exists as f64 [2,3], wanted is f32 [2,3]");
    g_assert_cmpuint (dlh_store_n_variables (store), ==, 1);
}

static void
variable_bad_name (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    const char *const names[] = {"", "__metadata__", "a\xff"};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_null (
            dlh_store_variable (store, names[i], DLH_F32, dlh_shape (), zeros, &error));
        test_assert_error (&error, DLH_ERROR_STATE, "must be UTF-8, not empty");
    }
    g_assert_cmpuint (dlh_store_n_variables (store), ==, 0);
}

static void
parameter_named_by_scope (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *w;

    dlh_graph_push_scope (graph, "net");
    dlh_graph_push_scope (graph, "layer");
    w = dlh_parameter (graph, store, "weight", dlh_shape (4, 3), normal);
    dlh_graph_pop_scope (graph);
    dlh_graph_pop_scope (graph);
    g_assert_cmpstr (dlh_variable_name (dlh_node_variable (w)), ==, "net/layer/weight");
    g_assert_true (dlh_variable_is_trainable (dlh_node_variable (w)));
    g_assert_cmpint (dlh_node_dtype (w), ==, DLH_F64);
    w = dlh_parameter (graph, store, "top", dlh_shape (), zeros);
    g_assert_cmpstr (dlh_variable_name (dlh_node_variable (w)), ==, "top");
}

static void
parameter_wrong_shape (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;

    dlh_parameter (graph, store, "w", dlh_shape (4, 3), zeros);
    g_assert_true (dlh_graph_check (graph, NULL));
    g_assert_true (dlh_node_failed (dlh_parameter (graph, store, "w", dlh_shape (3, 4), zeros)));
    g_assert_false (dlh_graph_check (graph, &error));
    test_assert_error (&error, DLH_ERROR_STATE, "exists as f64 [4,3], wanted is f64 [3,4]");
    // No variable comes from a graph that has failed: its shapes mean nothing.
    g_assert_true (dlh_node_failed (dlh_parameter (graph, store, "v", dlh_shape (2), zeros)));
    g_assert_null (dlh_store_lookup (store, "v"));
}

static void
graph_keeps_store (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhStore *store = dlh_store_new (1, DLH_F64);
    DlhNode *w = dlh_parameter (graph, store, "w", dlh_shape (), (DlhInit){DLH_INIT_CONSTANT, 7, 0});

    dlh_store_unref (store);
    g_assert_cmpfloat (test_value (w), ==, 7);
}

static void
load_takes_place_of_init (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.safetensors", NULL);
    g_autoptr (DlhStore) old = dlh_store_new (1, DLH_F32), new = dlh_store_new (2, DLH_F32);
    DlhVariable *a = dlh_store_variable (old, "a", DLH_F32, dlh_shape (3), normal, NULL), *b;
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_store_save (old, path, NULL, &error));
    g_assert_no_error (error);
    g_assert_true (dlh_store_load (new, path, NULL, &error));
    g_assert_no_error (error);
    g_assert_null (dlh_store_variable (new, "a", DLH_F32, dlh_shape (4), normal, &error));
    test_assert_error (&error, DLH_ERROR_STATE,
                       "the checkpoint holds f32 [3], wanted is f32 [4]");
    b = dlh_store_variable (new, "a", DLH_F32, dlh_shape (3), normal, &error);
    g_assert_no_error (error);
    test_assert_tensors_equal (dlh_variable_tensor (a), dlh_variable_tensor (b));
}

static void
stream_same_name (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    DlhStream *stream = dlh_store_stream (store, "noise");
    DlhVariable *counter = dlh_store_lookup (store, "random/noise");

    g_assert_true (dlh_store_stream (store, "noise") == stream);
    g_assert_true (dlh_store_stream (store, "other") != stream);
    g_assert_nonnull (counter);
    g_assert_cmpint (dlh_variable_dtype (counter), ==, DLH_I64);
    g_assert_cmpuint (dlh_variable_shape (counter).rank, ==, 0);
}

static void
stream_counter_spoiled (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    DlhStream *stream;

    dlh_store_variable (store, "random/noise", DLH_F32, dlh_shape (2), zeros, NULL);
    stream = dlh_store_stream (store, "noise");
    g_assert_nonnull (stream);
    g_assert_true (dlh_node_failed (dlh_normal (graph, stream, DLH_F64, dlh_shape (3))));
    g_assert_false (dlh_graph_check (graph, &error));
    test_assert_error (&error, DLH_ERROR_STATE, "'random/noise': exists as f32 [2]");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/store/variable/same-shape-is-the-same", variable_same_shape);
    g_test_add_func ("/store/variable/other-shape-is-refused", variable_other_shape);
    g_test_add_func ("/store/variable/bad-name-is-refused", variable_bad_name);
    g_test_add_func ("/store/parameter/scope-names-it", parameter_named_by_scope);
    g_test_add_func ("/store/parameter/other-shape-fails-the-graph", parameter_wrong_shape);
    g_test_add_func ("/store/graph/keeps-the-store", graph_keeps_store);
    g_test_add_func ("/store/load/replaces-first-value", load_takes_place_of_init);
    g_test_add_func ("/store/stream/same-name-is-the-same", stream_same_name);
    g_test_add_func ("/store/stream/spoiled-counter-is-reported", stream_counter_spoiled);
    return g_test_run ();
}
