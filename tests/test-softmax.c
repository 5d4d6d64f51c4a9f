/* SPDX-License-Identifier: MIT */
/* softmax, log-softmax and logsumexp against loops in double from the definition. */
#include "test.h"

typedef DlhNode *(*Along) (DlhNode *x, int axis);

// Sizes below, at and above the blocks of the kernels, which hold 512 elements.
static const DlhShape shapes[] = {
    {1, {1}},       {1, {10}},      {1, {1300}},      {2, {7, 10}},
    {2, {130, 3}},  {2, {3, 511}},  {2, {2, 513}},    {2, {600, 1}},
    {3, {2, 5, 3}}, {3, {3, 1, 4}}, {3, {2, 9, 700}}, {4, {2, 3, 4, 5}},
};

typedef struct {
    gint64 n, step; /* along the axis */
    gint64 start;
} Line;

// The @k-th line along @axis.
static Line
line (DlhShape shape, guint axis, gint64 k)
{
    Line l = {shape.dims[axis], 1, 0};

    for (guint i = axis + 1; i < shape.rank; i++)
        l.step *= shape.dims[i];
    l.start = k / l.step * l.n * l.step + k % l.step;
    return l;
}

static double
log_sum (const double *x, Line l)
{
    double max = -INFINITY, sum = 0;

    for (gint64 i = 0; i < l.n; i++)
        max = MAX (max, x[l.start + i * l.step]);
    for (gint64 i = 0; i < l.n; i++)
        sum += exp (x[l.start + i * l.step] - max);
    return max + log (sum);
}

// An exponential of the vector library is within 4 ulp; its argument carries eps |x|.
static double
tolerance (DlhDType dtype, double size)
{
    return 8 * test_eps (dtype) * (1 + size);
}

static void
check_shape (DlhShape shape, DlhDType dtype, double offset)
{
    gint64 count = dlh_shape_count (shape);
    g_autoptr (DlhTensor) in = test_tensor_random (dtype, shape, (guint64) count);
    g_autofree double *x = NULL;

    for (gint64 i = 0; i < count; i++)
        dlh_tensor_set (in, i, 5 * dlh_tensor_get (in, i) + offset);
    x = test_values (in);
    for (guint axis = 0; axis < shape.rank; axis++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *node = dlh_input (graph, "x", dtype, shape);
        const int axes = (int) axis;
        g_autoptr (DlhTensor) soft = test_run (dlh_softmax (node, (int) axis), &in, 1);
        g_autoptr (DlhTensor) log_soft =
            test_run (dlh_log_softmax (node, (int) axis - (int) shape.rank), &in, 1);
        g_autoptr (DlhTensor) sums = test_run (dlh_logsumexp (node, &axes, 1, FALSE), &in, 1);

        for (gint64 k = 0; k < count / shape.dims[axis]; k++) {
            Line l = line (shape, axis, k);
            double want = log_sum (x, l), got = dlh_tensor_get (sums, k);

            test_assert_within (&got, &want, 1, tolerance (dtype, fabs (want)));
            for (gint64 i = 0; i < l.n; i++) {
                gint64 at = l.start + i * l.step;
                double log_p = x[at] - want, p = exp (log_p);

                got = dlh_tensor_get (log_soft, at);
                // x - max is exact to eps of the spread, not of the offset.
                test_assert_within (&got, &log_p, 1,
                                    tolerance (dtype, fabs (log_p)) +
                                        2 * DBL_EPSILON * fabs (want));
                got = dlh_tensor_get (soft, at);
                test_assert_within (
                    &got, &p, 1,
                    p * (tolerance (dtype, fabs (log_p)) + 2 * DBL_EPSILON * fabs (want)));
            }
        }
    }
}

static void
every_axis (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
        check_shape (shapes[i], DLH_F64, 0);
        check_shape (shapes[i], DLH_F32, 0);
    }
}

static void
large_inputs (void)
{
    check_shape (dlh_shape (40, 10), DLH_F32, 4096);
    check_shape (dlh_shape (3, 10, 20), DLH_F32, -65536);
    check_shape (dlh_shape (3, 1000), DLH_F64, 1e6);
}

static void
closed_form (void)
{
    const double want[] = {0.2689414213699951, 0.7310585786300049}; // 1 / (1 + e), e / (1 + e)
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (2));
    g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (2), 1000, 1001);
    g_autoptr (DlhTensor) out = test_run (dlh_softmax (x, 0), &in, 1);

    test_assert_tensor (out, want, 2, 1);
}

// Several axes at once, next to each other and apart.
static void
several_axes (void)
{
    static const int axes[][3] = {{0, 1}, {0, 2}, {1, 2}, {2, 0}, {0, 1, 2}};
    const DlhShape shape = dlh_shape (3, 4, 5);
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, shape, 5);

    for (guint c = 0; c < G_N_ELEMENTS (axes); c++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
        const guint n = c == 4 ? 3 : 2;
        g_autoptr (DlhTensor) got = test_run (dlh_logsumexp (x, axes[c], n, TRUE), &in, 1);
        // No overflow here, so the plain formula is a sound oracle.
        g_autoptr (DlhTensor) sums = test_run (dlh_sum (dlh_exp (x), axes[c], n, TRUE), &in, 1);
        g_autofree double *want = test_values (sums);

        for (gint64 i = 0; i < dlh_tensor_count (sums); i++)
            want[i] = log (want[i]);
        g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (got), dlh_tensor_get_shape (sums)));
        test_assert_tensor (got, want, (gsize) dlh_tensor_count (sums), 10);
    }
}

static void
masked_logits (void)
{
    // Row 0 is partly masked, row 1 wholly, row 2 holds +inf.
    const double inf = INFINITY;
    const int last = -1;

    for (guint transposed = 0; transposed < 2; transposed++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", DLH_F32, dlh_shape (3, 3));
        g_autoptr (DlhTensor) in =
            test_tensor (DLH_F32, dlh_shape (3, 3), -inf, 2, 2, -inf, -inf, -inf, 1, inf, 0);
        DlhNode *p, *log_p, *total;
        const int first = 0;

        p = transposed ? dlh_t (dlh_softmax (dlh_t (x), 0)) : dlh_softmax (x, 1);
        log_p = transposed ? dlh_t (dlh_log_softmax (dlh_t (x), 0)) : dlh_log_softmax (x, 1);
        total = transposed ? dlh_logsumexp (dlh_t (x), &first, 1, FALSE)
                           : dlh_logsumexp (x, &last, 1, FALSE);
        {
            g_autoptr (DlhTensor) a = test_run (p, &in, 1), b = test_run (log_p, &in, 1);
            g_autoptr (DlhTensor) c = test_run (total, &in, 1);

            for (gint64 i = 0; i < 3; i++)
                g_assert_cmpfloat (fabs (dlh_tensor_get (a, i) - (i ? 0.5 : 0)), <, FLT_EPSILON);
            g_assert_true (dlh_tensor_get (b, 0) == -inf);
            g_assert_cmpfloat (fabs (dlh_tensor_get (b, 1) + log (2)), <, 4 * FLT_EPSILON);
            g_assert_cmpfloat (fabs (dlh_tensor_get (c, 0) - 2 - log (2)), <, 12 * FLT_EPSILON);
            g_assert_true (dlh_tensor_get (c, 1) == -inf);
            g_assert_true (dlh_tensor_get (c, 2) == inf);
        }
    }
}

static void
nan_spreads_in_its_row (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (2, 40));
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (2, 40), 1), out = NULL;
    const int last = 1;

    dlh_tensor_set (in, 33, NAN);
    out = test_run (dlh_logsumexp (x, &last, 1, FALSE), &in, 1);
    g_assert_true (isnan (dlh_tensor_get (out, 0)));
    g_assert_true (isfinite (dlh_tensor_get (out, 1)));
}

// The gradient of logsumexp is softmax; of a cross-entropy, softmax less the target.
static void
gradient_identities (void)
{
    const DlhShape shape = dlh_shape (4, 6);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, shape);
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, shape, 9);
    const int last = 1;
    DlhNode *p = dlh_softmax (x, 1);
    DlhNode *label = dlh_full (graph, DLH_I64, dlh_shape (4), 2);
    DlhNode *loss = dlh_neg (dlh_sum_all (dlh_take_along (dlh_log_softmax (x, 1), label)));
    DlhNode *want = dlh_sub (p, dlh_one_hot (label, 6, DLH_F64));
    DlhNode *total = dlh_gradient (dlh_logsumexp (x, &last, 1, FALSE), x);
    g_autoptr (DlhTensor) gap = test_run (dlh_sub (total, p), &in, 1);
    g_autoptr (DlhTensor) error = test_run (dlh_sub (dlh_gradient (loss, x), want), &in, 1);

    test_assert_tensor (gap, ((double[24]){0}), 24, 1);
    test_assert_tensor (error, ((double[24]){0}), 24, 2);
}

static void
same_bits_on_threads (void)
{
    const DlhShape shape = dlh_shape (64, 300, 5);
    const guint before = dlh_get_threads ();

    for (int axis = 0; axis < 3; axis++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *x = dlh_input (graph, "x", DLH_F32, shape);
        g_autoptr (DlhTensor) in = test_tensor_random (DLH_F32, shape, 2), one = NULL, two = NULL;

        dlh_set_threads (1);
        one = test_run (dlh_log_softmax (x, axis), &in, 1);
        dlh_set_threads (2);
        two = test_run (dlh_log_softmax (x, axis), &in, 1);
        dlh_set_threads (before);
        test_assert_tensors_equal (one, two);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/softmax/every-axis/definition", every_axis);
    g_test_add_func ("/softmax/large-inputs/definition", large_inputs);
    g_test_add_func ("/softmax/two-logits/closed-form", closed_form);
    g_test_add_func ("/softmax/several-axes/definition", several_axes);
    g_test_add_func ("/softmax/masked-logits/no-nan", masked_logits);
    g_test_add_func ("/softmax/nan/its-row-alone", nan_spreads_in_its_row);
    g_test_add_func ("/softmax/gradient/identities", gradient_identities);
    g_test_add_func ("/softmax/threads/same-bits", same_bits_on_threads);
    return g_test_run ();
}
