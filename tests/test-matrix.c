/* SPDX-License-Identifier: MIT */
/* Products: matmul and gram, against loops in double. */
#include "test.h"

// Element (i, j) of op(matrix), stored in rows of @columns.
static double
at (const double *matrix, gint64 columns, gboolean transpose, gint64 i, gint64 j)
{
    return transpose ? matrix[j * columns + i] : matrix[i * columns + j];
}

typedef struct {
    DlhShape a, b;
    gboolean ta, tb;
} Product;

static gint64
batch_of (DlhShape s)
{
    return dlh_shape_count (dlh_shape_make (s.rank - 2, s.dims));
}

// The product from its definition; *scale is the largest sum of absolute terms.
static double *
product_loops (Product p, const double *a, const double *b, gint64 *n_out, double *scale)
{
    const gint64 *da = p.a.dims + p.a.rank - 2, *db = p.b.dims + p.b.rank - 2;
    gint64 m = da[p.ta], k = da[!p.ta], n = db[!p.tb];
    gint64 batch = batch_of (p.a.rank > p.b.rank ? p.a : p.b);
    double *y = g_new0 (double, batch *m *n + 1);

    *n_out = batch * m * n;
    *scale = 0;
    for (gint64 i = 0; i < batch * m * n; i++) {
        gint64 r = i / n % m, c = i % n, which = i / (m * n);
        double sum = 0;

        for (gint64 l = 0; l < k; l++) {
            double term = at (a + (p.a.rank > 2 ? which * m * k : 0), da[1], p.ta, r, l) *
                          at (b + (p.b.rank > 2 ? which * k * n : 0), db[1], p.tb, l, c);

            y[i] += term;
            sum += fabs (term);
        }
        *scale = MAX (*scale, sum);
    }
    return y;
}

static void
check_product (Product p, DlhDType dtype)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = test_tensor_random (dtype, p.a, 1);
    g_autoptr (DlhTensor) b = test_tensor_random (dtype, p.b, 2);
    g_autofree double *va = test_values (a), *vb = test_values (b);
    double scale;
    gint64 n;
    g_autofree double *want = product_loops (p, va, vb, &n, &scale);
    DlhNode *x = dlh_input (graph, "a", dtype, p.a);
    DlhNode *y = dlh_matmul_t (x, p.ta, dlh_input (graph, "b", dtype, p.b), p.tb);
    g_autoptr (DlhTensor) got = test_run (y, (DlhTensor *[]){a, b}, 2);

    if (got)
        test_assert_tensor (got, want, (gsize)n, scale + 1);
}

static void
check_products (const Product *p, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        check_product (p[i], DLH_F64);
        check_product (p[i], DLH_F32);
    }
}

static void
matmul_transposes (void)
{
    static const Product cases[] = {
        {{2, {5, 7}}, {2, {7, 6}}, FALSE, FALSE},     {{2, {7, 5}}, {2, {7, 6}}, TRUE, FALSE},
        {{2, {5, 7}}, {2, {6, 7}}, FALSE, TRUE},      {{2, {7, 5}}, {2, {6, 7}}, TRUE, TRUE},
        {{2, {33, 64}}, {2, {64, 50}}, FALSE, FALSE},
    };

    check_products (cases, G_N_ELEMENTS (cases));
}

// Large enough to be cut by rows or by columns, with something left of a cut: on 3 threads.
static void
matmul_cut (void)
{
    guint before = dlh_get_threads ();

    dlh_set_threads (3);
    for (guint i = 0; i < 8; i++) {
        gboolean ta = i & 1, tb = (i >> 1) & 1;
        gint64 m = i & 4 ? 37 : 205, n = i & 4 ? 205 : 37, k = 150;
        Product p = {{2, {ta ? k : m, ta ? m : k}}, {2, {tb ? n : k, tb ? k : n}}, ta, tb};

        check_products (&p, 1);
    }
    dlh_set_threads (before);
}

static void
matmul_batches (void)
{
    for (guint i = 0; i < 16; i++) {
        gboolean ta = i & 1, tb = (i >> 1) & 1;
        Product p = {
            {4, {2, 3, ta ? 5 : 4, ta ? 4 : 5}}, {4, {2, 3, tb ? 6 : 5, tb ? 5 : 6}}, ta, tb};

        if ((i >> 2) == 1)
            p.a = dlh_shape (p.a.dims[2], p.a.dims[3]);
        if ((i >> 2) == 2)
            p.b = dlh_shape (p.b.dims[2], p.b.dims[3]);
        check_products (&p, 1);
    }
}

// Enough work for the batch to be shared out, and a few products large enough not to be.
static void
matmul_batches_threads (void)
{
    static const Product cases[] = {
        {{3, {64, 20, 20}}, {3, {64, 20, 20}}, FALSE, FALSE},
        {{2, {20, 20}}, {3, {64, 20, 20}}, TRUE, FALSE},
        {{3, {3, 90, 90}}, {3, {3, 90, 90}}, FALSE, TRUE},
    };
    guint before = dlh_get_threads ();

    dlh_set_threads (3);
    check_products (cases, G_N_ELEMENTS (cases));
    dlh_set_threads (before);
}

static void
matmul_vectors (void)
{
    static const Product cases[] = {
        {{2, {5, 7}}, {2, {7, 1}}, FALSE, FALSE}, {{2, {7, 5}}, {2, {7, 1}}, TRUE, FALSE},
        {{2, {5, 7}}, {2, {1, 7}}, FALSE, TRUE},  {{2, {7, 5}}, {2, {1, 7}}, TRUE, TRUE},
        {{2, {1, 7}}, {2, {7, 6}}, FALSE, FALSE}, {{2, {7, 1}}, {2, {7, 6}}, TRUE, FALSE},
        {{2, {1, 7}}, {2, {6, 7}}, FALSE, TRUE},  {{2, {7, 1}}, {2, {6, 7}}, TRUE, TRUE},
        {{2, {1, 7}}, {2, {7, 1}}, FALSE, FALSE}, {{2, {5, 1}}, {2, {1, 6}}, FALSE, FALSE},
        {{2, {1, 1}}, {2, {1, 1}}, FALSE, FALSE},
    };

    check_products (cases, G_N_ELEMENTS (cases));
}

static void
matmul_zero_sizes (void)
{
    static const Product cases[] = {
        {{2, {3, 0}}, {2, {0, 4}}, FALSE, FALSE},       {{2, {0, 3}}, {2, {4, 0}}, TRUE, TRUE},
        {{2, {0, 3}}, {2, {3, 4}}, FALSE, FALSE},       {{2, {3, 4}}, {2, {4, 0}}, FALSE, FALSE},
        {{3, {0, 3, 4}}, {2, {4, 2}}, FALSE, FALSE},    {{3, {2, 3, 0}}, {2, {0, 2}}, FALSE, FALSE},
        {{3, {0, 3, 4}}, {3, {0, 4, 2}}, FALSE, FALSE},
    };

    check_products (cases, G_N_ELEMENTS (cases));
}

// A run starts from what the last one left in memory: NaN must not stay.
static void
matmul_after_nan (void)
{
    static const DlhShape shapes[][2] = {
        {{2, {3, 4}}, {2, {4, 5}}}, {{2, {3, 4}}, {2, {4, 1}}}, {{2, {1, 4}}, {2, {4, 5}}}};

    for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhTensor) a = test_tensor_random (DLH_F32, shapes[i][0], 1);
        g_autoptr (DlhTensor) b = test_tensor_random (DLH_F32, shapes[i][1], 2);
        DlhNode *x = dlh_input (graph, "a", DLH_F32, shapes[i][0]);
        DlhNode *y = dlh_matmul (x, dlh_input (graph, "b", DLH_F32, shapes[i][1]));
        g_autoptr (DlhFunction) f = dlh_graph_compile (graph, &y, 1, &error);
        double first = dlh_tensor_get (a, 0);

        dlh_tensor_set (a, 0, NAN);
        g_assert_true (dlh_function_run (f, (DlhTensor *[]){a, b}, 2, &error));
        g_assert_true (isnan (dlh_function_scalar (f, 0)));
        dlh_tensor_set (a, 0, first);
        g_assert_true (dlh_function_run (f, (DlhTensor *[]){a, b}, 2, &error));
        g_assert_true (isfinite (dlh_function_scalar (f, 0)));
    }
}

static void
matmul_transpose_absorbed (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_input (graph, "a", DLH_F64, dlh_shape (2, 4, 3));
    DlhNode *b = dlh_input (graph, "b", DLH_F64, dlh_shape (2, 5, 4));
    DlhNode *y = dlh_matmul (dlh_t (a), dlh_t (b));
    const DlhMatmulAttrs *t = dlh_node_attrs (y);

    g_assert_true (dlh_node_is (y, "matmul"));
    g_assert_true (dlh_node_input (y, 0) == a && dlh_node_input (y, 1) == b);
    g_assert_true (t->transpose_a == 1 && t->transpose_b == 1);
    g_assert_true (dlh_matmul_t (dlh_t (a), TRUE, dlh_t (b), FALSE) ==
                   dlh_matmul_t (a, FALSE, b, TRUE));
}

// Another order of the axes is not a matter of BLAS.
static void
matmul_other_order_kept (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_input (graph, "a", DLH_F64, dlh_shape (3, 2, 4));
    DlhNode *moved = dlh_transpose (a, (const guint[]){1, 0, 2}, 3);
    DlhNode *b = dlh_input (graph, "b", DLH_F64, dlh_shape (4, 5));

    g_assert_true (dlh_node_input (dlh_matmul (moved, b), 0) == moved);
}

static void
check_gradient (const char *where, DlhShape a, gboolean ta, DlhShape b, gboolean tb)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *xs[] = {dlh_input (graph, "a", DLH_F64, a), dlh_input (graph, "b", DLH_F64, b)};
    g_autoptr (DlhTensor) va = test_tensor_random (DLH_F64, a, 3);
    g_autoptr (DlhTensor) vb = test_tensor_random (DLH_F64, b, 4);

    test_gradient_check (where, dlh_matmul_t (xs[0], ta, xs[1], tb), xs, (const guint[]){0, 1}, 2,
                         (DlhTensor *[]){va, vb}, 2, 2);
}

static void
matmul_gradients (void)
{
    for (guint i = 0; i < 16; i++) {
        gboolean ta = i & 1, tb = (i >> 1) & 1;
        DlhShape a = {3, {3, ta ? 4 : 2, ta ? 2 : 4}}, b = {3, {3, tb ? 5 : 4, tb ? 4 : 5}};

        if (i & 4)
            a = dlh_shape (a.dims[1], a.dims[2]);
        if (i & 8)
            b = dlh_shape (b.dims[1], b.dims[2]);
        check_gradient (G_STRLOC, a, ta, b, tb);
    }
}

// A weight without a batch gets its gradient from one product, not from one an example.
static void
matmul_gradient_single_product (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_input (graph, "a", DLH_F64, dlh_shape (3, 2, 4));
    DlhNode *b = dlh_input (graph, "b", DLH_F64, dlh_shape (4, 5));
    DlhNode *db = dlh_gradient (dlh_matmul (a, b), b);

    g_assert_true (dlh_node_is (db, "matmul"));
    g_assert_cmpuint (dlh_node_rank (dlh_node_input (db, 0)), ==, 2);
    g_assert_cmpint (dlh_node_dim (dlh_node_input (db, 0), 0), ==, 6);
}

static void
assert_refused (DlhGraph *graph, DlhNode *node, const char *text)
{
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_node_failed (node));
    g_assert_false (dlh_graph_check (graph, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, text);
}

static void
matmul_refusals (void)
{
    static const struct {
        Product p;
        const char *text;
    } cases[] = {
        {{{2, {3, 4}}, {2, {5, 6}}, FALSE, FALSE},
         "matmul: [3,4] does not fit [5,6]: inner sizes 4 and 5 differ"},
        {{{2, {3, 4}}, {2, {4, 6}}, TRUE, FALSE},
         "matmul: [3,4]' does not fit [4,6]: inner sizes 3 and 4 differ"},
        {{{3, {2, 3, 4}}, {3, {5, 4, 6}}, FALSE, FALSE},
         "matmul: [2,3,4] does not fit [5,4,6]: leading axes differ"},
        {{{1, {4}}, {2, {4, 6}}, FALSE, FALSE},
         "matmul: [4] and [4,6], both must have rows and columns"},
        {{{2, {1, 3000000000}}, {2, {3000000000, 1}}, FALSE, FALSE},
         "matmul: [1,3000000000] is too large, BLAS counts to 2147483647"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        Product p = cases[i].p;

        assert_refused (graph,
                        dlh_matmul_t (dlh_input (graph, "a", DLH_F32, p.a), p.ta,
                                      dlh_input (graph, "b", DLH_F32, p.b), p.tb),
                        cases[i].text);
    }
}

static void
matmul_mixed_types (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();

    assert_refused (graph,
                    dlh_matmul (dlh_input (graph, "a", DLH_F32, dlh_shape (2, 2)),
                                dlh_input (graph, "b", DLH_F64, dlh_shape (2, 2))),
                    "matmul: operands of f32 and f64, must be of one float type");
}

/* gram. */

static void
check_gram (DlhShape shape, DlhDType dtype)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) x = test_tensor_random (dtype, shape, 1);
    g_autofree double *values = test_values (x);
    Product p = {shape, shape, TRUE, FALSE};
    double scale;
    gint64 count, n = shape.dims[shape.rank - 1];
    g_autofree double *want = product_loops (p, values, values, &count, &scale);
    g_autoptr (DlhTensor) got = test_run (dlh_gram (dlh_input (graph, "x", dtype, shape)), &x, 1);

    if (!got)
        return;
    test_assert_tensor (got, want, (gsize)count, scale + 1);
    for (gint64 i = 0; i < count; i++)
        g_assert_true (dlh_tensor_get (got, i) ==
                       dlh_tensor_get (got, i / (n * n) * n * n + i % n * n + i / n % n));
}

// Sizes around the blocks by which the lower triangle is mirrored; equal to the bit.
static void
gram_symmetric (void)
{
    static const DlhShape shapes[] = {{2, {7, 5}},     {2, {1, 1}}, {2, {50, 70}}, {2, {9, 32}},
                                      {3, {3, 6, 33}}, {2, {0, 3}}, {2, {3, 0}},   {3, {0, 2, 3}}};

    for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
        check_gram (shapes[i], DLH_F64);
        check_gram (shapes[i], DLH_F32);
    }
}

static void
gram_gradients (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (2, 4, 3));
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (2, 4, 3), 1);

    test_gradient_check (G_STRLOC, dlh_gram (x), &x, (const guint[]){0}, 1, &in, 1, 2);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/matmul/transposes/equal-loops", matmul_transposes);
    g_test_add_func ("/matmul/cut-for-threads/equal-loops", matmul_cut);
    g_test_add_func ("/matmul/batches/equal-loops", matmul_batches);
    g_test_add_func ("/matmul/batches-on-threads/equal-loops", matmul_batches_threads);
    g_test_add_func ("/matmul/vectors/equal-loops", matmul_vectors);
    g_test_add_func ("/matmul/zero-sizes/sums-are-zero", matmul_zero_sizes);
    g_test_add_func ("/matmul/after-nan/finite", matmul_after_nan);
    g_test_add_func ("/matmul/transposed-operand/absorbed", matmul_transpose_absorbed);
    g_test_add_func ("/matmul/other-order-of-axes/kept", matmul_other_order_kept);
    g_test_add_func ("/matmul/gradients/agree-with-differences", matmul_gradients);
    g_test_add_func ("/matmul/gradient-without-batch/one-product", matmul_gradient_single_product);
    g_test_add_func ("/matmul/misfits/refused", matmul_refusals);
    g_test_add_func ("/matmul/mixed-types/refused", matmul_mixed_types);
    g_test_add_func ("/gram/sizes/exactly-symmetric", gram_symmetric);
    g_test_add_func ("/gram/gradients/agree-with-differences", gram_gradients);
    return g_test_run ();
}
