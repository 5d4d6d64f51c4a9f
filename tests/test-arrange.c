/* SPDX-License-Identifier: MIT */
/* Ops that move elements, against index arithmetic from their definitions, in every element type.
 */
#include "test.h"

static const DlhDType types[] = {DLH_F32, DLH_F64, DLH_I32, DLH_I64, DLH_BOOL};

// An element type for each case in turn, and values that all of them hold.
static DlhTensor *
numbered (DlhDType dtype, DlhShape shape)
{
    DlhTensor *t = dlh_tensor_new (dtype, shape, NULL);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, dtype == DLH_BOOL ? (double) (i * 7 % 5 < 2) : (double) (i + 1));
    return t;
}

static gint64
offset (DlhShape shape, const gint64 *index)
{
    gint64 at = 0;

    for (guint i = 0; i < shape.rank; i++)
        at = at * shape.dims[i] + index[i];
    return at;
}

static void
unflatten (DlhShape shape, gint64 k, gint64 *index)
{
    for (guint i = shape.rank; i-- > 0; k /= shape.dims[i])
        index[i] = k % shape.dims[i];
}

// The element of @in at @index, or @outside where that is out of range.
static double
element (const DlhTensor *in, const gint64 *index, double outside)
{
    DlhShape shape = dlh_tensor_get_shape (in);

    for (guint i = 0; i < shape.rank; i++)
        if (index[i] < 0 || index[i] >= shape.dims[i])
            return outside;
    return dlh_tensor_get (in, offset (shape, index));
}

static void
check_element (const DlhTensor *out, gint64 k, double want)
{
    if (dlh_tensor_get (out, k) != want)
        test_fail ("element %" G_GINT64_FORMAT " is %g, must be %g", k, dlh_tensor_get (out, k),
                   want);
}

static void
check_transpose (DlhShape shape, const guint *axes, DlhDType dtype)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", dtype, shape);
    g_autoptr (DlhTensor) in = numbered (dtype, shape);
    g_autoptr (DlhTensor) out = test_run (dlh_transpose (x, axes, shape.rank), &in, 1);
    DlhShape got;

    if (!out)
        return;
    got = dlh_tensor_get_shape (out);
    for (guint i = 0; i < shape.rank; i++)
        g_assert_cmpint (got.dims[i], ==, shape.dims[axes[i]]);
    for (gint64 k = 0; k < dlh_tensor_count (out); k++) {
        gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK];

        unflatten (got, k, to);
        for (guint i = 0; i < shape.rank; i++)
            from[axes[i]] = to[i];
        check_element (out, k, element (in, from, NAN));
    }
}

static void
next_permutation (guint *p, guint n)
{
    guint i = n - 1, j = n - 1;

    while (i > 0 && p[i - 1] >= p[i])
        i--;
    if (i > 0) {
        guint t = p[i - 1];

        while (p[j] <= t)
            j--;
        p[i - 1] = p[j];
        p[j] = t;
    }
    for (j = n - 1; i < j; i++, j--) {
        guint t = p[i];

        p[i] = p[j];
        p[j] = t;
    }
}

static void
transpose_every_order (void)
{
    static const DlhShape shapes[] = {
        {1, {5}},           {2, {3, 7}},         {2, {64, 96}},         {2, {37, 83}},
        {2, {1, 9}},        {3, {2, 35, 3}},     {3, {17, 1, 33}},      {3, {0, 3, 2}},
        {4, {2, 17, 3, 5}}, {4, {3, 4, 16, 16}}, {5, {2, 3, 1, 5, 18}},
    };
    guint type = 0;

    for (guint s = 0; s < G_N_ELEMENTS (shapes); s++) {
        guint axes[DLH_MAX_RANK], n = 1;

        for (guint i = 0; i < shapes[s].rank; i++) {
            axes[i] = i;
            n *= i + 1;
        }
        for (guint k = 0; k < n; k++) {
            // All types where the cases are few, one in turn where they are many.
            for (guint t = 0; t < (n <= 6 ? G_N_ELEMENTS (types) : 1); t++)
                check_transpose (shapes[s], axes, types[type++ % G_N_ELEMENTS (types)]);
            next_permutation (axes, shapes[s].rank);
        }
    }
}

static void
transpose_large (void)
{
    const guint t[] = {1, 0}, u[] = {0, 2, 1};

    check_transpose (dlh_shape (1030, 517), t, DLH_F32);
    check_transpose (dlh_shape (517, 1030), t, DLH_F64);
    check_transpose (dlh_shape (3, 301, 205), u, DLH_F32);
    check_transpose (dlh_shape (70000, 3), t, DLH_F32);
}

static void
broadcast_every_fit (void)
{
    static const DlhShape to = {4, {3, 4, 2, 5}};

    // Each set of axes may be 1, and leading ones may be missing.
    for (guint rank = 0; rank <= 4; rank++)
        for (guint ones = 0; ones < 1u << rank; ones++) {
            DlhDType dtype = types[(ones + rank) % G_N_ELEMENTS (types)];
            g_autoptr (DlhGraph) graph = dlh_graph_new ();
            g_autoptr (DlhTensor) in = NULL, out = NULL;
            DlhShape from = {rank, {0}};

            for (guint i = 0; i < rank; i++)
                from.dims[i] = ones & 1u << i ? 1 : to.dims[4 - rank + i];
            in = numbered (dtype, from);
            out = test_run (dlh_broadcast (dlh_input (graph, "x", dtype, from), to), &in, 1);
            g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (out), to));
            for (gint64 k = 0; k < 120; k++) {
                gint64 index[DLH_MAX_RANK];

                unflatten (to, k, index);
                for (guint i = 0; i < rank; i++)
                    if (from.dims[i] == 1)
                        index[4 - rank + i] = 0;
                check_element (out, k, element (in, index + 4 - rank, NAN));
            }
        }
}

static void
slice_and_scatter (void)
{
    const DlhShape shape = dlh_shape (4, 7, 5);
    guint type = 0;

    for (guint axis = 0; axis < 3; axis++)
        for (gint64 start = 0; start <= shape.dims[axis]; start++)
            for (gint64 stop = start; stop <= shape.dims[axis]; stop++)
                for (gint64 step = 1; step <= 3; step++) {
                    DlhDType dtype = types[type++ % G_N_ELEMENTS (types)];
                    g_autoptr (DlhGraph) graph = dlh_graph_new ();
                    DlhNode *x = dlh_input (graph, "x", dtype, shape);
                    DlhNode *y = dlh_slice (x, (int) axis, start, stop, step);
                    DlhNode *z = dlh_slice_scatter (y, (int) axis, start, step, shape.dims[axis]);
                    g_autoptr (DlhTensor) in = numbered (dtype, shape);
                    g_autoptr (DlhTensor) part = test_run (y, &in, 1), whole = test_run (z, &in, 1);

                    g_assert_cmpint (dlh_node_dim (y, (int) axis), ==,
                                     (stop - start + step - 1) / step);
                    for (gint64 k = 0; k < dlh_tensor_count (part); k++) {
                        gint64 index[DLH_MAX_RANK];

                        unflatten (dlh_node_shape (y), k, index);
                        index[axis] = start + index[axis] * step;
                        check_element (part, k, element (in, index, NAN));
                    }
                    for (gint64 k = 0; k < dlh_tensor_count (whole); k++) {
                        gint64 index[DLH_MAX_RANK];
                        gboolean chosen;

                        unflatten (shape, k, index);
                        chosen = index[axis] >= start && index[axis] < stop &&
                                 (index[axis] - start) % step == 0;
                        check_element (whole, k, chosen ? dlh_tensor_get (in, k) : 0);
                    }
                }
}

static void
concat_and_stack (void)
{
    for (guint c = 0; c < 15; c++) {
        const guint axis = c % 3;
        DlhDType dtype = types[c / 3];
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *xs[3];
        DlhTensor *in[3];
        gint64 sizes[] = {2, 0, 5};
        g_autoptr (DlhTensor) out = NULL, stack = NULL;

        for (guint i = 0; i < 3; i++) {
            DlhShape part = dlh_shape_with (dlh_shape (3, 4, 2), axis, sizes[i]);

            xs[i] = dlh_input (graph, "x", dtype, part);
            in[i] = numbered (dtype, part);
        }
        out = test_run (dlh_concat (xs, 3, (int) axis), in, 3);
        for (gint64 k = 0; k < dlh_tensor_count (out); k++) {
            gint64 index[DLH_MAX_RANK];
            guint from = 0;

            unflatten (dlh_tensor_get_shape (out), k, index);
            if (index[axis] >= 2) {
                index[axis] -= 2;
                from = 2;
            }
            check_element (out, k, element (in[from], index, NAN));
        }
        xs[1] = xs[0];
        stack = test_run (dlh_stack (xs, 2, (int) axis), in, 3);
        g_assert_cmpint (dlh_tensor_get_shape (stack).dims[axis], ==, 2);
        for (gint64 k = 0; k < dlh_tensor_count (stack); k++) {
            gint64 index[DLH_MAX_RANK];

            unflatten (dlh_tensor_get_shape (stack), k, index);
            for (guint i = axis; i < 3; i++)
                index[i] = index[i + 1];
            check_element (stack, k, element (in[0], index, NAN));
        }
        for (guint i = 0; i < 3; i++)
            dlh_tensor_unref (in[i]);
    }
}

static void
pad_and_reverse (void)
{
    static const gint64 before[][3] = {{0, 0, 0}, {1, 0, 2}, {0, 3, 0}, {2, 1, 4}};
    const DlhShape shape = dlh_shape (2, 3, 4);

    for (guint c = 0; c < 20; c++) {
        const gint64 *b = before[c % 4], *a = before[(c + 1) % 4];
        DlhDType dtype = types[c / 4];
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", dtype, shape);
        g_autoptr (DlhTensor) in = numbered (dtype, shape);
        g_autoptr (DlhTensor) out = test_run (dlh_pad (x, b, a, 1), &in, 1);
        g_autoptr (DlhTensor) back = test_run (dlh_reverse (x, (int) c % 3), &in, 1);

        for (gint64 k = 0; k < dlh_tensor_count (out); k++) {
            gint64 index[DLH_MAX_RANK];

            unflatten (dlh_tensor_get_shape (out), k, index);
            for (guint i = 0; i < 3; i++)
                index[i] -= b[i];
            check_element (out, k, element (in, index, 1));
        }
        for (gint64 k = 0; k < dlh_tensor_count (back); k++) {
            gint64 index[DLH_MAX_RANK];

            unflatten (shape, k, index);
            index[c % 3] = shape.dims[c % 3] - 1 - index[c % 3];
            check_element (back, k, element (in, index, NAN));
        }
    }
}

static void
reshapes_keep_order (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_I32, dlh_shape (2, 3, 4));
    DlhNode *ys[] = {dlh_reshape (x, dlh_shape (4, -1)),
                     dlh_flatten (x, 1),
                     dlh_flatten (x, 3),
                     dlh_expand (x, 0),
                     dlh_expand (x, -1),
                     dlh_flatten (x, 0)};
    const char *const want[] = {"[4,6]", "[2,12]", "[2,3,4,1]", "[1,2,3,4]", "[2,3,4,1]", "[24]"};
    g_autoptr (DlhTensor) in = numbered (DLH_I32, dlh_shape (2, 3, 4));

    for (guint i = 0; i < G_N_ELEMENTS (ys); i++) {
        g_autofree char *shape = dlh_shape_to_string (dlh_node_shape (ys[i]));
        g_autoptr (DlhTensor) out = test_run (ys[i], &in, 1);

        g_assert_cmpstr (shape, ==, want[i]);
        for (gint64 k = 0; k < 24; k++)
            check_element (out, k, (double) (k + 1));
    }
    {
        g_autoptr (DlhTensor) row = test_run (dlh_index (x, -2, 1), &in, 1);

        test_assert_tensor (row, ((double[]){5, 6, 7, 8, 17, 18, 19, 20}), 8, 0);
    }
}

static void
simplified (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (2, 3, 1));
    DlhNode *fill = dlh_full (graph, DLH_I64, dlh_shape (2, 1), 7);
    const gint64 none[3] = {0};
    const guint axes[] = {1, 0, 2}, moved_one[] = {0, 2, 1}, same[] = {0, 1, 2};
    double value = 0;

    g_assert_true (dlh_reshape (dlh_reshape (x, dlh_shape (6)), dlh_shape (2, 3, 1)) == x);
    g_assert_true (dlh_transpose (x, same, 3) == x);
    g_assert_true (dlh_transpose (dlh_transpose (x, axes, 3), axes, 3) == x);
    g_assert_true (dlh_node_is (dlh_transpose (x, moved_one, 3), "reshape"));
    g_assert_true (dlh_broadcast (x, dlh_shape (2, 3, 1)) == x);
    g_assert_true (dlh_node_input (dlh_broadcast (dlh_broadcast (x, dlh_shape (2, 3, 4)),
                                                  dlh_shape (5, 2, 3, 4)),
                                   0) == x);
    g_assert_true (dlh_slice (x, 1, 0, 3, 1) == x);
    g_assert_true (dlh_slice (x, 1, 0, 3, 2) == dlh_slice (x, -2, 0, 3, 2));
    g_assert_true (dlh_reverse (dlh_reverse (x, 1), -2) == x);
    g_assert_true (dlh_pad (x, none, none, 3) == x);
    g_assert_true (dlh_concat (&x, 1, 0) == x);
    g_assert_true (dlh_node_is (dlh_broadcast (fill, dlh_shape (2, 5)), "fill"));
    g_assert_true (dlh_node_constant_value (dlh_t (fill), &value));
    g_assert_cmpfloat (value, ==, 7);
}

static void
misuse (DlhGraph *graph, guint which)
{
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (2, 3));
    DlhNode *y = dlh_input (graph, "y", DLH_F32, dlh_shape (2, 4));
    DlhNode *fill = dlh_full (graph, DLH_F32, dlh_shape (3), 0);
    DlhNode *both[] = {x, y};

    switch (which) {
    case 0:
        dlh_reshape (x, dlh_shape (5));
        break;
    case 1:
        dlh_reshape (x, dlh_shape (-1, 4));
        break;
    case 2:
        dlh_transpose (x, (const guint[]){1, 1}, 2);
        break;
    case 3:
        dlh_broadcast (fill, dlh_shape (4));
        break;
    case 4:
        dlh_slice (x, 1, 0, 4, 1);
        break;
    case 5:
        dlh_concat (both, 2, 0);
        break;
    case 6:
        dlh_reverse (x, 2);
        break;
    case 7:
        dlh_slice (fill, 0, 2, 1, 1);
        break;
    case 8:
        dlh_t (fill);
        break;
    default:
        dlh_index (x, 0, 2);
    }
}

static void
refused (void)
{
    static const char *const texts[] = {
        "reshape: [2,3] has 6 elements, which do not fit [5]",
        "reshape: [2,3] has 6 elements, which do not fit [-1,4]",
        "transpose: [1,1] is no order of the axes of [2,3]",
        "broadcast: [3] does not fit [4]",
        "slice: 0:4:1 does not fit axis 1 of [2,3]",
        "concat: f32 [2,4] (input 1) does not fit f32 [2,3] along axis 0",
        "reverse: [2,3] has no axis 2",
        "slice: 2:1:1 does not fit axis 0 of [3]",
        "t: [3] has no two axes to exchange",
        "slice: 2:3:1 does not fit axis 0 of [2,3]",
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
    g_test_add_func ("/arrange/transpose/every-order", transpose_every_order);
    g_test_add_func ("/arrange/transpose/large", transpose_large);
    g_test_add_func ("/arrange/broadcast/every-fit", broadcast_every_fit);
    g_test_add_func ("/arrange/slice/every-range", slice_and_scatter);
    g_test_add_func ("/arrange/concat/every-axis", concat_and_stack);
    g_test_add_func ("/arrange/pad/every-axis", pad_and_reverse);
    g_test_add_func ("/arrange/reshape/order-kept", reshapes_keep_order);
    g_test_add_func ("/arrange/constructors/simplified", simplified);
    g_test_add_func ("/arrange/misuse/refused", refused);
    return g_test_run ();
}
