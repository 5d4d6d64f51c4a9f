/* SPDX-License-Identifier: MIT */
/* Ops by index, diagonals and triangles against loops from their definitions. */
#include "test.h"

static const DlhDType types[] = {DLH_F32, DLH_F64, DLH_I32, DLH_I64, DLH_BOOL};

static DlhTensor *
numbered (DlhDType dtype, DlhShape shape)
{
    DlhTensor *t = dlh_tensor_new (dtype, shape, NULL);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, dtype == DLH_BOOL ? (double) (i * 7 % 5 < 2) : (double) (i + 1));
    return t;
}

// Indices below @n, each of them several times, in no order.
static DlhTensor *
indices (DlhDType dtype, DlhShape shape, gint64 n)
{
    DlhTensor *t = dlh_tensor_new (dtype, shape, NULL);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, (double) ((i * i + 3 * i + 1) % n));
    return t;
}

static void
check_element (const DlhTensor *out, gint64 k, double want)
{
    if (dlh_tensor_get (out, k) != want)
        test_fail ("element %" G_GINT64_FORMAT " is %g, must be %g", k, dlh_tensor_get (out, k),
                   want);
}

static const DlhShape index_shapes[] = {{0, {0}}, {1, {9}}, {2, {3, 4}}, {1, {0}}};

static void
gather_every_axis (void)
{
    const DlhShape shape = dlh_shape (5, 4, 3);

    for (guint c = 0; c < 60; c++) {
        const guint axis = c % 3;
        const DlhShape index_shape = index_shapes[c / 3 % 4];
        const DlhDType dtype = types[c / 12];
        const gint64 n = shape.dims[axis], inner = axis == 0 ? 12 : axis == 1 ? 3 : 1;
        const gint64 m = dlh_shape_count (index_shape);
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", dtype, shape);
        DlhNode *index = dlh_input (graph, "i", c % 2 ? DLH_I32 : DLH_I64, index_shape);
        DlhTensor *in[] = {numbered (dtype, shape),
                           indices (c % 2 ? DLH_I32 : DLH_I64, index_shape, n)};
        g_autoptr (DlhTensor) out = test_run (dlh_gather (x, index, (int) axis - 3), in, 2);

        g_assert_cmpint (dlh_tensor_count (out), ==, 60 / n * m);
        for (gint64 k = 0; k < dlh_tensor_count (out); k++) {
            gint64 j = k % inner, i = k / inner % m, o = k / inner / m;
            gint64 at = (gint64) dlh_tensor_get (in[1], i);

            check_element (out, k, dlh_tensor_get (in[0], (o * n + at) * inner + j));
        }
        dlh_tensor_unref (in[0]);
        dlh_tensor_unref (in[1]);
    }
}

static void
scatter_every_axis (void)
{
    for (guint c = 0; c < 12; c++) {
        const guint axis = c % 3;
        const DlhShape index_shape = index_shapes[c / 3];
        const gint64 n = 4, m = dlh_shape_count (index_shape);
        const gint64 inner = axis == 2   ? 1
                             : axis == 1 ? 300
                                         : 600,
                     outer = axis == 0   ? 1
                             : axis == 1 ? 2
                                         : 600;
        const DlhDType dtype = c % 2 ? DLH_F32 : DLH_F64;
        DlhShape shape = dlh_shape_make (0, NULL);
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x, *index;
        DlhTensor *in[2];
        g_autoptr (DlhTensor) out = NULL;
        g_autofree double *want = g_new0 (double, outer *n *inner);

        // (2, 300) with the index's axes put in at @axis.
        for (guint i = 0; i <= 2; i++) {
            for (guint k = 0; i == axis && k < index_shape.rank; k++)
                shape.dims[shape.rank++] = index_shape.dims[k];
            if (i < 2)
                shape.dims[shape.rank++] = i ? 300 : 2;
        }
        x = dlh_input (graph, "x", dtype, shape);
        index = dlh_input (graph, "i", DLH_I64, index_shape);
        in[0] = numbered (dtype, shape);
        in[1] = indices (DLH_I64, index_shape, n);
        out = test_run (dlh_scatter_add (x, index, (int) axis, n), in, 2);
        // Small whole numbers: every order of adding gives the same.
        for (gint64 k = 0; k < outer * m * inner; k++) {
            gint64 j = k % inner, i = k / inner % m, o = k / inner / m;

            want[(o * n + (gint64) dlh_tensor_get (in[1], i)) * inner + j] +=
                dlh_tensor_get (in[0], k);
        }
        test_assert_tensor (out, want, (gsize) (outer * n * inner), 0);
        dlh_tensor_unref (in[0]);
        dlh_tensor_unref (in[1]);
    }
}

static void
scatter_same_bits (void)
{
    const guint before = dlh_get_threads ();
    const DlhShape shape = dlh_shape (400, 700);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F32, shape);
    DlhNode *index = dlh_input (graph, "i", DLH_I64, dlh_shape (400));
    DlhTensor *in[] = {test_tensor_random (DLH_F32, shape, 1),
                       indices (DLH_I64, dlh_shape (400), 3)};
    g_autoptr (DlhTensor) one = NULL, two = NULL;

    dlh_set_threads (1);
    one = test_run (dlh_scatter_add (x, index, 0, 3), in, 2);
    dlh_set_threads (2);
    two = test_run (dlh_scatter_add (x, index, 0, 3), in, 2);
    dlh_set_threads (before);
    test_assert_tensors_equal (one, two);
    dlh_tensor_unref (in[0]);
    dlh_tensor_unref (in[1]);
}

static void
take_and_put (void)
{
    for (guint c = 0; c < 10; c++) {
        const DlhDType dtype = types[c / 2];
        const DlhShape rows = c % 2 ? dlh_shape (3, 5) : dlh_shape ();
        const DlhShape shape = dlh_shape_insert (rows, rows.rank, 7);
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", dtype, shape);
        DlhNode *index = dlh_input (graph, "i", DLH_I32, rows);
        DlhTensor *in[] = {numbered (dtype, shape), indices (DLH_I32, rows, 7)};
        DlhNode *y = dlh_take_along (x, index);
        g_autoptr (DlhTensor) taken = test_run (y, in, 2);
        g_autoptr (DlhTensor) put = test_run (dlh_put_along (y, index, 7), in, 2);
        g_autoptr (DlhTensor) hot = test_run (dlh_one_hot (index, 7, dtype), in, 2);

        g_assert_cmpint (dlh_tensor_get_dtype (hot), ==, dtype);
        for (gint64 k = 0; k < dlh_tensor_count (put); k++) {
            gint64 at = (gint64) dlh_tensor_get (in[1], k / 7);
            double want = k % 7 == at ? dlh_tensor_get (in[0], k) : 0;

            check_element (put, k, want);
            check_element (hot, k, k % 7 == at);
            if (k % 7 == at)
                check_element (taken, k / 7, want);
        }
        dlh_tensor_unref (in[0]);
        dlh_tensor_unref (in[1]);
    }
}

static void
out_of_range (void)
{
    static const double wrong[] = {-1, 4, 9007199254740992.0};

    for (guint c = 0; c < 15; c++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (DlhFunction) f = NULL;
        g_autoptr (GError) error = NULL;
        DlhNode *index, *x, *y;
        DlhTensor *in[2];
        g_autofree char *text =
            g_strdup_printf ("index %.0f (element 1) is outside [0, 4)", wrong[c / 5]);

        dlh_graph_push_scope (graph, "words");
        x = dlh_input (graph, "x", DLH_F32, c % 5 == 2 ? dlh_shape (2, 4) : dlh_shape (4, 4));
        index = dlh_input (graph, "i", DLH_I64, dlh_shape (2));
        y = c % 5 == 0   ? dlh_gather (x, index, 0)
            : c % 5 == 1 ? dlh_scatter_add (dlh_slice (x, 0, 0, 2, 1), index, 0, 4)
            : c % 5 == 2 ? dlh_take_along (x, index)
            : c % 5 == 3 ? dlh_put_along (dlh_index (dlh_slice (x, 0, 0, 2, 1), 1, 0), index, 4)
                         : dlh_one_hot (index, 4, DLH_F32);
        f = dlh_graph_compile (graph, &y, 1, &error);
        g_assert_no_error (error);
        in[0] = numbered (DLH_F32, dlh_node_shape (x));
        in[1] = test_tensor (DLH_I64, dlh_shape (2), 3, wrong[c / 5]);
        g_assert_false (dlh_function_run (f, in, 2, &error));
        g_assert_true (error && g_str_has_prefix (error->message, "words"));
        test_assert_error (&error, DLH_ERROR_DATA, text);
        dlh_tensor_unref (in[0]);
        dlh_tensor_unref (in[1]);
    }
}

static void
diagonals (void)
{
    for (guint c = 0; c < 10; c++) {
        const DlhDType dtype = types[c / 2];
        const DlhShape shape = c % 2 ? dlh_shape (2, 3, 4) : dlh_shape (4);
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", dtype, shape);
        g_autoptr (DlhTensor) in = numbered (dtype, shape);
        // Through an op, so that diag_part is not simplified away.
        DlhNode *full = dlh_diag (x), *part = dlh_diag_part (dlh_reverse (full, -1));
        g_autoptr (DlhTensor) out = test_run (full, &in, 1), anti = test_run (part, &in, 1);

        for (gint64 k = 0; k < dlh_tensor_count (out); k++)
            check_element (out, k,
                           k % 4 == k / 4 % 4 ? dlh_tensor_get (in, k / 16 * 4 + k % 4) : 0);
        // Of the reversed matrix: never on the old diagonal, since 4 is even.
        for (gint64 k = 0; k < dlh_tensor_count (anti); k++)
            check_element (anti, k, 0);
        g_assert_true (dlh_diag_part (full) == x);
    }
}

static void
diag_part_and_trace (void)
{
    const DlhShape shape = dlh_shape (2, 3, 3);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
    g_autoptr (DlhTensor) in = numbered (DLH_F64, shape);
    g_autoptr (DlhTensor) part = test_run (dlh_diag_part (x), &in, 1);
    g_autoptr (DlhTensor) trace = test_run (dlh_trace (x), &in, 1);
    g_autoptr (DlhTensor) eye = test_run (dlh_eye (graph, DLH_F32, 3), &in, 1);

    test_assert_tensor (part, ((double[]){1, 5, 9, 10, 14, 18}), 6, 0);
    test_assert_tensor (trace, ((double[]){15, 42}), 2, 0);
    test_assert_tensor (eye, ((double[]){1, 0, 0, 0, 1, 0, 0, 0, 1}), 9, 0);
}

static void
triangles (void)
{
    for (int k = -6; k <= 6; k++)
        for (guint c = 0; c < 10; c++) {
            const DlhDType dtype = types[c / 2];
            const gint64 m = c % 2 ? 3 : 5, n = c % 2 ? 5 : 3;
            const DlhShape shape = dlh_shape (2, m, n);
            g_autoptr (DlhGraph) graph = dlh_graph_new ();
            DlhNode *x = dlh_input (graph, "x", dtype, shape);
            g_autoptr (DlhTensor) in = numbered (dtype, shape);
            g_autoptr (DlhTensor) low = test_run (dlh_tril (x, k), &in, 1);
            g_autoptr (DlhTensor) high = test_run (dlh_triu (x, k), &in, 1);

            for (gint64 e = 0; e < 2 * m * n; e++) {
                gint64 above = e % n - e / n % m;

                check_element (low, e, above <= k ? dlh_tensor_get (in, e) : 0);
                check_element (high, e, above >= k ? dlh_tensor_get (in, e) : 0);
            }
        }
}

static void
misuse (DlhGraph *graph, guint which)
{
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (2, 3));
    DlhNode *i = dlh_input (graph, "i", DLH_I64, dlh_shape (4));

    switch (which) {
    case 0:
        dlh_gather (x, x, 0);
        break;
    case 1:
        dlh_gather (x, i, 2);
        break;
    case 2:
        dlh_scatter_add (x, i, 0, 3);
        break;
    case 3:
        dlh_take_along (x, i);
        break;
    case 4:
        dlh_put_along (x, i, 3);
        break;
    case 5:
        dlh_one_hot (i, -1, DLH_F32);
        break;
    case 6:
        dlh_diag_part (x);
        break;
    default:
        dlh_tril (i, 0);
    }
}

static void
refused (void)
{
    static const char *const texts[] = {
        "gather: the index is f32, must be i32 or i64",
        "gather: [2,3] has no axis 2",
        "scatter_add: index [4] does not fit [2,3] at axis 0 for size 3",
        "take_along: index [4] does not fit [2,3] without its last axis",
        "put_along: index [4] does not fit [2,3] for size 3",
        "one_hot: [4] cannot have an axis of -1 more",
        "diag_part: [2,3] is no square matrices",
        "tril: [4] is no matrices",
    };

    for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (GError) error = NULL;

        misuse (graph, i);
        g_assert_false (dlh_graph_check (graph, &error));
        test_assert_error (&error, DLH_ERROR_SHAPE, texts[i]);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/index/gather/every-axis", gather_every_axis);
    g_test_add_func ("/index/scatter-add/every-axis", scatter_every_axis);
    g_test_add_func ("/index/scatter-add/same-bits", scatter_same_bits);
    g_test_add_func ("/index/take-put/definition", take_and_put);
    g_test_add_func ("/index/out-of-range/names-index", out_of_range);
    g_test_add_func ("/index/diag/definition", diagonals);
    g_test_add_func ("/index/diag-part/closed-form", diag_part_and_trace);
    g_test_add_func ("/index/triangle/definition", triangles);
    g_test_add_func ("/index/misuse/refused", refused);
    return g_test_run ();
}
