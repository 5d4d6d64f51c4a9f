/* SPDX-License-Identifier: MIT */
/* Products whose operands may be rounded to bfloat16: right where nothing is lost, within rounding
 * elsewhere, full where it is no gain. */
#include "test.h"

#define SIZES 5

/* m, n, k: from far too small to be worth rounding to larger than every block. */
static const gint64 sizes[SIZES][3] = {
    {3, 4, 5}, {64, 130, 128}, {129, 131, 97}, {200, 150, 300}, {65, 17, 1000},
};

typedef struct {
    gboolean ta, tb;
    gint64 batch_a, batch_b; /* 0: a matrix */
    gint64 m, n, k;
    DlhTensor *a, *b;
} Case;

static void
case_clear (Case *c)
{
    dlh_tensor_unref (c->a);
    dlh_tensor_unref (c->b);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Case, case_clear)

static DlhShape
matrices (gint64 batch, gint64 rows, gint64 columns)
{
    return batch ? dlh_shape (batch, rows, columns) : dlh_shape (rows, columns);
}

// Case @i of 4 * SIZES, batches on a, on both, or none in turns.
static void
case_fill (Case *c, guint i)
{
    const gint64 *s = sizes[i / 4];

    *c = (Case){.ta = i & 1, .tb = (i >> 1) & 1, .m = s[0], .n = s[1], .k = s[2]};
    c->batch_a = i % 3 ? 2 : 0;
    c->batch_b = i % 3 == 2 ? 2 : 0;
    c->a = test_tensor_random (
        DLH_F32, matrices (c->batch_a, c->ta ? c->k : c->m, c->ta ? c->m : c->k), i + 1);
    c->b = test_tensor_random (
        DLH_F32, matrices (c->batch_b, c->tb ? c->n : c->k, c->tb ? c->k : c->n), i + 100);
}

static DlhNode *
case_node (const Case *c, DlhGraph *graph, DlhDType dtype, DlhPrecision precision)
{
    DlhNode *a = dlh_input (graph, "a", dtype, dlh_tensor_get_shape (c->a));
    DlhNode *b = dlh_input (graph, "b", dtype, dlh_tensor_get_shape (c->b));

    return dlh_matmul_precision (a, c->ta, b, c->tb, precision);
}

static DlhTensor *
case_run (const Case *c, DlhPrecision precision)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();

    return test_run (case_node (c, graph, DLH_F32, precision), (DlhTensor *[]){c->a, c->b}, 2);
}

// Element (i, j) of product @batch, and the sum of its terms' absolute values.
static double
element (const Case *c, gint64 batch, gint64 i, gint64 j, double *scale)
{
    const float *a = dlh_tensor_get_data (c->a), *b = dlh_tensor_get_data (c->b);
    double sum = 0;

    a += c->batch_a ? batch * c->m * c->k : 0;
    b += c->batch_b ? batch * c->k * c->n : 0;
    *scale = 0;
    for (gint64 l = 0; l < c->k; l++) {
        const double x = (double)a[c->ta ? l * c->m + i : i * c->k + l] *
                         (double)b[c->tb ? j * c->k + l : l * c->n + j];

        sum += x;
        *scale += fabs (x);
    }
    return sum;
}

// Every element within @tolerance times the sum of its terms' absolute values.
static void
assert_products (const Case *c, const DlhTensor *y, double tolerance)
{
    const float *got = dlh_tensor_get_data (y);
    const gint64 batch = MAX (1, c->batch_a);

    g_assert_cmpint (dlh_tensor_count (y), ==, batch * c->m * c->n);
    for (gint64 p = 0; p < batch; p++)
        for (gint64 i = 0; i < c->m; i++)
            for (gint64 j = 0; j < c->n; j++, got++) {
                double scale, want = element (c, p, i, j, &scale);

                if (!(fabs (*got - want) <= tolerance * scale)) {
                    test_fail ("%" G_GINT64_FORMAT " x %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
                               ", transposed %d %d: element %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                               " of product %" G_GINT64_FORMAT " is %g, want %g within %g",
                               c->m, c->n, c->k, c->ta, c->tb, i, j, p, *got, want,
                               tolerance * scale);
                    return;
                }
            }
}

// Two operands 2^-9 off each, and sums of k terms in f32.
static double
bound (const Case *c)
{
    return 0x1p-8 + 0x1p-18 + (double)c->k * (double)FLT_EPSILON;
}

static void
within_bound (void)
{
    for (guint i = 0; i < 4 * SIZES; i++) {
        g_auto (Case) c;
        g_autoptr (DlhTensor) y = NULL;

        case_fill (&c, i);
        y = case_run (&c, DLH_PRECISION_BF16);
        assert_products (&c, y, bound (&c));
    }
}

// bfloat16 has 8 bits: what fits them is not rounded, and sums of up to 24 bits are exact.
static void
integers_exact (void)
{
    for (guint i = 0; i < 4 * SIZES; i++) {
        g_auto (Case) c;
        g_autoptr (DlhTensor) y = NULL;

        case_fill (&c, i);
        for (gint64 j = 0; j < dlh_tensor_count (c.a); j++)
            dlh_tensor_set (c.a, j, (double)(j * 7 % 201 - 100));
        for (gint64 j = 0; j < dlh_tensor_count (c.b); j++)
            dlh_tensor_set (c.b, j, (double)(j * 11 % 101 - 50));
        y = case_run (&c, DLH_PRECISION_BF16);
        assert_products (&c, y, 0);
    }
}

static gboolean
same_values (const DlhTensor *a, const DlhTensor *b)
{
    return memcmp (dlh_tensor_get_data (a), dlh_tensor_get_data (b), dlh_tensor_bytes (a)) == 0;
}

// Where the processor has the instructions it does round, for a gain.
static void
rounds_where_faster (void)
{
    for (guint i = 0; i < 4 * SIZES; i++) {
        g_auto (Case) c;
        g_autoptr (DlhTensor) rounded = NULL, full = NULL;
        gboolean worth;

        case_fill (&c, i);
        rounded = case_run (&c, DLH_PRECISION_BF16);
        full = case_run (&c, DLH_PRECISION_FULL);
        worth = test_rounds_to_bf16 () && c.m >= 64 && !(c.ta && c.n < 128);
        g_assert_cmpint (same_values (rounded, full), ==, !worth);
    }
}

// Instructions that are not to be used are not.
static void
level_full (void)
{
    g_autofree char *before = g_strdup (dlh_cpu_level ());
    g_autoptr (GError) error = NULL;
    g_auto (Case) c;

    case_fill (&c, 4);
    for (guint i = 0; i < 2; i++) {
        g_autoptr (DlhTensor) rounded = NULL, full = NULL;

        if (!dlh_set_cpu_level (i ? "avx2" : "baseline", NULL))
            continue;
        rounded = case_run (&c, DLH_PRECISION_BF16);
        full = case_run (&c, DLH_PRECISION_FULL);
        test_assert_tensors_equal (rounded, full);
    }
    dlh_set_cpu_level (before, &error);
    g_assert_no_error (error);
}

static DlhTensor *
as_f64 (const DlhTensor *x)
{
    g_autofree double *values = test_values (x);

    return test_tensor_from (DLH_F64, dlh_tensor_get_shape (x), values,
                             (gsize)dlh_tensor_count (x));
}

static void
f64_full (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = NULL, b = NULL, rounded = NULL, full = NULL;
    g_auto (Case) c;

    case_fill (&c, 12);
    a = as_f64 (c.a);
    b = as_f64 (c.b);
    rounded =
        test_run (case_node (&c, graph, DLH_F64, DLH_PRECISION_BF16), (DlhTensor *[]){a, b}, 2);
    dlh_graph_unref (graph);
    graph = dlh_graph_new ();
    full = test_run (case_node (&c, graph, DLH_F64, DLH_PRECISION_FULL), (DlhTensor *[]){a, b}, 2);
    test_assert_tensors_equal (rounded, full);
}

static void
same_bytes (void)
{
    const guint before = dlh_get_threads ();

    for (guint threads = 1; threads <= 2; threads++)
        for (guint i = 4; i < 4 * SIZES; i += 5) {
            g_auto (Case) c;
            g_autoptr (DlhTensor) first = NULL, second = NULL;

            dlh_set_threads (threads);
            case_fill (&c, i);
            first = case_run (&c, DLH_PRECISION_BF16);
            second = case_run (&c, DLH_PRECISION_BF16);
            test_assert_tensors_equal (first, second);
            assert_products (&c, first, bound (&c));
        }
    dlh_set_threads (before);
}

// A function that is compiled for two threads and then run with one.
static void
threads_after_compile (void)
{
    const guint before = dlh_get_threads ();
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;
    g_auto (Case) c;
    DlhNode *y;

    case_fill (&c, 9);
    y = case_node (&c, graph, DLH_F32, DLH_PRECISION_BF16);
    dlh_set_threads (2);
    f = dlh_graph_compile (graph, &y, 1, &error);
    g_assert_no_error (error);
    dlh_set_threads (1);
    dlh_function_run (f, (DlhTensor *[]){c.a, c.b}, 2, &error);
    g_assert_no_error (error);
    assert_products (&c, dlh_function_output (f, 0), bound (&c));
    dlh_set_threads (before);
}

// NaN stays in its row.
static void
nan_passes (void)
{
    g_auto (Case) c;
    g_autoptr (DlhTensor) y = NULL;
    const float *got;

    case_fill (&c, 12);
    g_assert_false (c.ta);
    dlh_tensor_set (c.a, 5 * c.k + 3, NAN);
    y = case_run (&c, DLH_PRECISION_BF16);
    got = dlh_tensor_get_data (y);
    for (gint64 i = 0; i < c.m * c.n; i++)
        if (isnan (got[i]) != (i / c.n == 5)) {
            test_fail ("element %" G_GINT64_FORMAT " of row %" G_GINT64_FORMAT " is %g", i % c.n,
                       i / c.n, got[i]);
            return;
        }
}

// d <y, s> / da = s op(b)', a product of the same kind; values against the full ones in f64.
static void
gradients_rounded (void)
{
    for (guint i = 4; i < 8; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_auto (Case) c, check;
        g_autoptr (DlhTensor) s = NULL, da = NULL;
        DlhNode *ab[2], *dx[2], *seed, *y;

        case_fill (&c, i);
        y = case_node (&c, graph, DLH_F32, DLH_PRECISION_BF16);
        seed = dlh_input (graph, "s", DLH_F32, dlh_node_shape (y));
        s = test_tensor_random (DLH_F32, dlh_node_shape (y), 7);
        for (guint k = 0; k < 2; k++)
            ab[k] = dlh_node_input (y, k);
        dlh_gradients (y, ab, 2, seed, dx);
        g_assert_true (dlh_node_is (dx[0], "matmul-rounded"));
        da = test_run (dx[0], (DlhTensor *[]){c.a, c.b, s}, 3);
        // As a case of its own: a' = op(b) s', or a = s op(b)'.
        check = (Case){.ta = c.ta ? c.tb : FALSE,
                       .tb = c.ta ? TRUE : !c.tb,
                       .batch_a = c.ta ? c.batch_b : c.batch_a,
                       .batch_b = c.ta ? c.batch_a : c.batch_b,
                       .m = c.ta ? c.k : c.m,
                       .n = c.ta ? c.m : c.k,
                       .k = c.n,
                       .a = dlh_tensor_ref (c.ta ? c.b : s),
                       .b = dlh_tensor_ref (c.ta ? s : c.b)};
        if (check.batch_a >= check.batch_b)
            assert_products (&check, da, bound (&check));
    }
}

static void
nodes (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_input (graph, "a", DLH_F32, dlh_shape (3, 4));
    DlhNode *b = dlh_input (graph, "b", DLH_F32, dlh_shape (5, 4));
    DlhNode *y = dlh_matmul_precision (a, FALSE, dlh_t (b), FALSE, DLH_PRECISION_BF16);
    const DlhRoundedMatmulAttrs *t = dlh_node_attrs (y);

    g_assert_true (dlh_matmul_precision (a, FALSE, b, TRUE, DLH_PRECISION_FULL) ==
                   dlh_matmul_t (a, FALSE, b, TRUE));
    g_assert_true (dlh_node_is (y, "matmul-rounded") && dlh_node_input (y, 1) == b);
    g_assert_true (!t->matmul.transpose_a && t->matmul.transpose_b);
    g_assert_cmpint (t->precision, ==, DLH_PRECISION_BF16);
    g_assert_true (y == dlh_matmul_precision (a, FALSE, b, TRUE, DLH_PRECISION_BF16));
}

static void
refusals (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_input (graph, "a", DLH_F32, dlh_shape (3, 4));
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_node_failed (dlh_matmul_precision (a, FALSE, a, TRUE, (DlhPrecision)9)));
    g_assert_false (dlh_graph_check (graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE,
                       "matmul-rounded: precision 9, must be one of DlhPrecision");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/precision/bf16/within-bound", within_bound);
    g_test_add_func ("/precision/bf16/integers-exact", integers_exact);
    g_test_add_func ("/precision/bf16/rounds-where-faster", rounds_where_faster);
    g_test_add_func ("/precision/bf16/same-bytes", same_bytes);
    g_test_add_func ("/precision/bf16/threads-after-compile", threads_after_compile);
    g_test_add_func ("/precision/bf16/nan-passes", nan_passes);
    g_test_add_func ("/precision/level/full", level_full);
    g_test_add_func ("/precision/f64/full", f64_full);
    g_test_add_func ("/precision/gradient/rounded", gradients_rounded);
    g_test_add_func ("/precision/node/attributes", nodes);
    g_test_add_func ("/precision/node/refused", refusals);
    return g_test_run ();
}
