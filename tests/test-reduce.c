/* SPDX-License-Identifier: MIT */
/* Reductions against loops from the definition, over every set of axes of awkward shapes. */
#include "test.h"

static const DlhShape shapes[] = {
    {0, {0}},       {1, {1}},        {1, {7}},          {1, {5000}},       {2, {3, 5}},
    {2, {1, 17}},   {2, {33, 1}},    {2, {130, 19}},    {2, {9, 700}},     {3, {2, 3, 4}},
    {3, {5, 1, 9}}, {3, {4, 31, 3}}, {4, {2, 3, 4, 5}}, {4, {3, 1, 6, 1}}, {5, {2, 3, 2, 3, 4}},
};

// Which result each element of @x belongs to, and how many results there are.
static gint64
place (DlhShape shape, guint mask, gint64 *at)
{
    gint64 count = dlh_shape_count (shape), n_out = 1;

    for (guint i = 0; i < shape.rank; i++)
        n_out *= mask & 1u << i ? 1 : shape.dims[i];
    for (gint64 k = 0; k < count; k++) {
        gint64 rest = k, step = 1;

        at[k] = 0;
        for (guint i = shape.rank; i-- > 0; rest /= shape.dims[i])
            if (!(mask & 1u << i)) {
                at[k] += rest % shape.dims[i] * step;
                step *= shape.dims[i];
            }
    }
    return n_out;
}

static guint
axes_of (guint mask, int *axes)
{
    guint n = 0;

    for (guint i = 0; i < DLH_MAX_RANK; i++)
        if (mask & 1u << i)
            axes[n++] = (int) i;
    return n;
}

typedef DlhNode *(*Reduce) (DlhNode *x, const int *axes, guint n, gboolean keep);

typedef struct {
    Reduce make;
    void (*fold) (double *sum, double *scale, double x);
    double first;
    gboolean mean;
} Reduction;

static void
fold_sum (double *sum, double *scale, double x)
{
    *sum += x;
    *scale += fabs (x);
}

static void
fold_max (double *sum, double *scale, double x)
{
    *sum = MAX (*sum, x);
    *scale = 0;
}

static void
fold_min (double *sum, double *scale, double x)
{
    *sum = MIN (*sum, x);
    *scale = 0;
}

static void
check_case (const Reduction *r, DlhShape shape, guint mask, DlhDType dtype, DlhCompileFlags flags)
{
    gint64 count = dlh_shape_count (shape);
    g_autofree gint64 *at = g_new (gint64, count + 1);
    gint64 n_out = place (shape, mask, at);
    g_autofree double *want = g_new (double, n_out), *scale = g_new0 (double, n_out);
    g_autofree double *got = NULL;
    g_autoptr (DlhTensor) in = test_tensor_random (dtype, shape, 7 + mask), out = NULL;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", dtype, shape);
    int axes[DLH_MAX_RANK];
    guint n = axes_of (mask, axes);
    double terms = n_out ? (double) count / (double) n_out : 0;

    for (gint64 i = 0; i < n_out; i++)
        want[i] = r->first;
    for (gint64 k = 0; k < count; k++)
        r->fold (&want[at[k]], &scale[at[k]], dlh_tensor_get (in, k));
    out = test_run_full (r->make (x, axes, n, mask % 2), &in, 1, flags);
    if (!out)
        return;
    g_assert_cmpint (dlh_tensor_count (out), ==, n_out);
    g_assert_cmpuint (dlh_tensor_get_shape (out).rank, ==, mask % 2 ? shape.rank : shape.rank - n);
    got = test_values (out);
    for (gint64 i = 0; i < n_out; i++) {
        // The oracle's own rounding, and one rounding of the result.
        double tolerance = test_sum_factor ((gsize) terms) * DBL_EPSILON * scale[i];

        if (r->mean) {
            want[i] /= terms;
            tolerance /= terms;
        }
        tolerance += scale[i] ? test_eps (dtype) * fabs (want[i]) : 0;
        if (!test_close_at (G_STRLOC, &got[i], &want[i], 1, tolerance))
            return;
    }
}

static void
every_axis_set (gconstpointer data)
{
    for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
        for (guint mask = 0; mask < 1u << shapes[s].rank; mask++) {
            check_case (data, shapes[s], mask, DLH_F64, DLH_COMPILE_DEFAULT);
            check_case (data, shapes[s], mask, DLH_F64, DLH_COMPILE_NO_FUSION);
            check_case (data, shapes[s], mask, DLH_F32, DLH_COMPILE_DEFAULT);
        }
}

static void
sum_of_nothing (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (3, 0, 2));
    g_autoptr (DlhTensor) in = dlh_tensor_new (DLH_F64, dlh_shape (3, 0, 2), NULL);
    g_autoptr (DlhTensor) out = test_run (dlh_sum_axis (x, 1), &in, 1);

    test_assert_tensor (out, ((double[]){0, 0, 0, 0, 0, 0}), 6, 0);
}

// 2^24 + 1 is no float: a float accumulator would stop there.
static void
sum_long_exact (void)
{
    const gint64 n = (1 << 24) + 4096;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (n));
    g_autoptr (DlhTensor) in = dlh_tensor_new (DLH_F32, dlh_shape (n), NULL), out = NULL;

    for (gint64 i = 0; i < n; i++)
        ((float *) dlh_tensor_get_data (in))[i] = 1;
    out = test_run (dlh_sum_all (x), &in, 1);
    test_assert_tensor (out, &(double){n}, 1, 0);
}

// Fused or not, on one thread or two: the same bits.
static void
sum_same_bits (void)
{
    const DlhShape shape = dlh_shape (37, 211, 29);
    const guint before = dlh_get_threads ();

    for (guint mask = 1; mask < 8; mask++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
        g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, shape, mask);
        g_autoptr (DlhTensor) one = NULL, two = NULL, alone = NULL;
        int axes[DLH_MAX_RANK];
        guint n = axes_of (mask, axes);
        DlhNode *y = dlh_sum (dlh_mul (x, x), axes, n, FALSE);

        dlh_set_threads (1);
        one = test_run (y, &in, 1);
        dlh_set_threads (2);
        two = test_run (y, &in, 1);
        alone = test_run_full (y, &in, 1, DLH_COMPILE_NO_FUSION);
        dlh_set_threads (before);
        test_assert_tensors_equal (one, two);
        test_assert_tensors_equal (one, alone);
    }
}

static void
sum_simplified (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (3, 1, 4));
    DlhNode *fill = dlh_full (graph, DLH_F64, dlh_shape (3, 5), 0.25);
    double value = 0;

    g_assert_true (dlh_sum (x, NULL, 0, FALSE) == x);
    g_assert_true (dlh_sum_last (x, 0) == x);
    g_assert_true (dlh_node_is (dlh_sum_axis (x, 1), "reshape"));
    g_assert_true (dlh_node_constant_value (dlh_sum_axis (fill, 0), &value));
    g_assert_cmpfloat (value, ==, 0.75);
    g_assert_true (dlh_node_constant_value (dlh_mean_all (fill), &value));
    g_assert_cmpfloat (value, ==, 0.25);
    // Not a number of the type: left for the run to find.
    fill = dlh_full (graph, DLH_F32, dlh_shape (1000), 3e38);
    g_assert_false (dlh_node_constant_value (dlh_sum_all (fill), &value));
}

static void
sum_to_adjoint (void)
{
    static const DlhShape to[] = {{0, {0}},    {1, {4}},       {1, {1}},
                                  {2, {3, 1}}, {3, {2, 1, 4}}, {3, {2, 3, 4}}};
    const DlhShape shape = dlh_shape (2, 3, 4);

    // <sum_to (x), y> = <x, broadcast (y)>
    for (guint i = 0; i < G_N_ELEMENTS (to); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
        DlhNode *y = dlh_input (graph, "y", DLH_F64, to[i]);
        g_autoptr (DlhTensor) a = test_tensor_random (DLH_F64, shape, 1);
        g_autoptr (DlhTensor) b = test_tensor_random (DLH_F64, to[i], 2);
        DlhTensor *in[] = {a, b};
        DlhNode *gap =
            dlh_sub (dlh_dot (dlh_sum_to (x, to[i]), y), dlh_dot (x, dlh_broadcast (y, shape)));
        g_autoptr (DlhTensor) out = test_run (gap, in, 2);

        // 24 terms of at most |x| |y| < 4 * 4.
        test_assert_tensor (out, &(double){0}, 1, 24 * 16);
    }
}

static void
dot_and_norm (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (2, 2));
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (2, 2), 1, -2, 3, 4);
    g_autoptr (DlhTensor) norm = test_run (dlh_norm2 (x), &in, 1);
    g_autoptr (DlhTensor) dot = test_run (dlh_dot (x, dlh_t (x)), &in, 1);

    test_assert_tensor (norm, &(double){30}, 1, 0);
    test_assert_tensor (dot, &(double){1 - 6 - 6 + 16}, 1, 0);
}

static void
extremum_nan (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhShape shape = dlh_shape (2, 40);
    DlhNode *x = dlh_input (graph, "x", DLH_F32, shape);
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F32, shape, 3);
    const int last = -1;

    for (gint64 at = 0; at < 40; at++) {
        double saved = dlh_tensor_get (in, at);
        g_autoptr (DlhTensor) max = NULL, arg = NULL;

        dlh_tensor_set (in, at, NAN);
        max = test_run (dlh_reduce_max (x, &last, 1, FALSE), &in, 1);
        arg = test_run (dlh_argmax (x, 1), &in, 1);
        g_assert_true (isnan (dlh_tensor_get (max, 0)));
        g_assert_false (isnan (dlh_tensor_get (max, 1)));
        g_assert_cmpfloat (dlh_tensor_get (arg, 0), ==, (double) at);
        dlh_tensor_set (in, at, saved);
    }
}

static void
extremum_tie_first (void)
{
    const DlhShape shape = dlh_shape (2, 3, 2);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, shape, 1, 5, 7, 7, 0, 9, 7, 2, 3, 9, 9, 9);
    DlhNode *max = dlh_reduce_max (x, (const int[]){0, 2}, 2, FALSE);
    DlhNode *min = dlh_reduce_min (x, (const int[]){1}, 1, TRUE);
    g_autoptr (DlhTensor) dmax = test_run (dlh_gradient (max, x), &in, 1);
    g_autoptr (DlhTensor) dmin = test_run (dlh_gradient (min, x), &in, 1);

    test_assert_tensor (dmax, ((double[]){0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0}), 12, 0);
    test_assert_tensor (dmin, ((double[]){0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0}), 12, 0);
}

static void
argmax_every_axis (void)
{
    const DlhShape shape = dlh_shape (5, 7, 300);
    const DlhDType types[] = {DLH_F32, DLH_F64, DLH_I32, DLH_I64};

    for (guint k = 0; k < 12; k++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", types[k % 4], shape);
        g_autoptr (DlhTensor) in = dlh_tensor_new (types[k % 4], shape, NULL), out = NULL;
        const gint64 axis = k / 4, n = shape.dims[axis];
        gint64 inner = axis == 2 ? 1 : axis == 1 ? 300 : 2100;

        for (gint64 i = 0; i < 10500; i++)
            dlh_tensor_set (in, i, (double) (i * 7919 % 11 - 5)); // many ties
        out = test_run (dlh_argmax (x, (int) axis), &in, 1);
        g_assert_cmpint (dlh_tensor_get_dtype (out), ==, DLH_I64);
        for (gint64 o = 0; o < 10500 / n; o++) {
            gint64 start = o / inner * n * inner + o % inner, best = 0;

            for (gint64 i = 1; i < n; i++)
                if (dlh_tensor_get (in, start + i * inner) >
                    dlh_tensor_get (in, start + best * inner))
                    best = i;
            g_assert_cmpfloat (dlh_tensor_get (out, o), ==, (double) best);
        }
    }
}

static void
cumsum_every_axis (void)
{
    const DlhShape shape = dlh_shape (3, 11, 270);

    for (guint k = 0; k < 6; k++) {
        const gint64 axis = k / 2, n = shape.dims[axis];
        const gboolean reverse = k % 2;
        gint64 inner = axis == 2 ? 1 : axis == 1 ? 270 : 2970;
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
        g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, shape, k);
        g_autoptr (DlhTensor) out = test_run (dlh_cumsum (x, (int) axis - 3, reverse), &in, 1);

        for (gint64 o = 0; o < 8910 / n; o++) {
            gint64 start = o / inner * n * inner + o % inner;
            double sum = 0;

            for (gint64 i = 0; i < n; i++) {
                gint64 at = start + (reverse ? n - 1 - i : i) * inner;

                sum += dlh_tensor_get (in, at);
                g_assert_cmpfloat (dlh_tensor_get (out, at), ==, sum);
            }
        }
    }
}

static void
misuse (DlhGraph *graph, guint which)
{
    DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (2, 3));
    DlhNode *empty = dlh_input (graph, "empty", DLH_F32, dlh_shape (2, 0));

    switch (which) {
    case 0:
        dlh_sum_axis (x, 2);
        break;
    case 1:
        dlh_mean (x, (const int[]){1, -1}, 2, FALSE);
        break;
    case 2:
        dlh_reduce_max (empty, (const int[]){1}, 1, FALSE);
        break;
    case 3:
        dlh_argmax (empty, 1);
        break;
    case 4:
        dlh_sum_to (x, dlh_shape (2));
        break;
    case 5:
        dlh_cumsum (x, -3, FALSE);
        break;
    case 6:
        dlh_sum_axis (dlh_input (graph, "index", DLH_I32, dlh_shape (2, 3)), 0);
        break;
    default:
        dlh_dot (x, empty);
    }
}

static void
refused (void)
{
    static const char *const texts[] = {
        "sum: [2,3] has no axis 2",
        "mean: axis -1 of [2,3] is named twice",
        "reduce_max: of nothing",
        "argmax: axis 1 of [2,0] is empty",
        "sum_to: [2] does not broadcast to [2,3]",
        "cumsum: [2,3] has no axis -3",
        "sum: the input is i32, must be f32 or f64",
        "dot: [2,3] and [2,0] differ",
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
    static const Reduction sum = {dlh_sum, fold_sum, 0, FALSE},
                           mean = {dlh_mean, fold_sum, 0, TRUE},
                           max = {dlh_reduce_max, fold_max, -INFINITY, FALSE},
                           min = {dlh_reduce_min, fold_min, INFINITY, FALSE};

    test_init (&argc, &argv);
    g_test_add_data_func ("/reduce/sum/every-axis-set", &sum, every_axis_set);
    g_test_add_data_func ("/reduce/mean/every-axis-set", &mean, every_axis_set);
    g_test_add_data_func ("/reduce/max/every-axis-set", &max, every_axis_set);
    g_test_add_data_func ("/reduce/min/every-axis-set", &min, every_axis_set);
    g_test_add_func ("/reduce/sum/of-nothing-zero", sum_of_nothing);
    g_test_add_func ("/reduce/sum/long-exact", sum_long_exact);
    g_test_add_func ("/reduce/sum/same-bits", sum_same_bits);
    g_test_add_func ("/reduce/sum/simplified", sum_simplified);
    g_test_add_func ("/reduce/sum-to/adjoint", sum_to_adjoint);
    g_test_add_func ("/reduce/dot/closed-form", dot_and_norm);
    g_test_add_func ("/reduce/extremum/nan-kept", extremum_nan);
    g_test_add_func ("/reduce/extremum/tie-first", extremum_tie_first);
    g_test_add_func ("/reduce/argmax/every-axis", argmax_every_axis);
    g_test_add_func ("/reduce/cumsum/every-axis", cumsum_every_axis);
    g_test_add_func ("/reduce/misuse/refused", refused);
    return g_test_run ();
}
