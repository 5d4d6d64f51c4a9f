/* SPDX-License-Identifier: MIT */
/* Factorisations: residuals in double, closed forms, gradients against differences, refusals. */
#include "test.h"

// y (m, n) = op(a) (m, k) b (k, n), plain loops.
static double *
multiply (const double *a, gboolean transpose, const double *b, gint64 m, gint64 k, gint64 n)
{
    double *y = g_new0 (double, m * n + 1);

    for (gint64 i = 0; i < m; i++)
        for (gint64 l = 0; l < k; l++)
            for (gint64 j = 0; j < n; j++)
                y[i * n + j] += (transpose ? a[l * m + i] : a[i * k + l]) * b[l * n + j];
    return y;
}

static double *
transposed (const double *a, gint64 n)
{
    double *y = g_new (double, n *n + 1);

    for (gint64 i = 0; i < n * n; i++)
        y[i] = a[i % n * n + i / n];
    return y;
}

static double *
identity (gint64 n)
{
    double *y = g_new0 (double, n *n + 1);

    for (gint64 i = 0; i < n; i++)
        y[i * n + i] = 1;
    return y;
}

// Matrices b b' / n + 1: eigenvalues between 1 and about 5, so that errors are those of rounding.
static DlhTensor *
spd_tensor (DlhDType dtype, DlhShape shape, guint64 seed)
{
    gint64 n = shape.dims[shape.rank - 1];
    g_autoptr (DlhTensor) random = test_tensor_random (DLH_F64, shape, seed);
    g_autofree double *b = test_values (random);
    DlhTensor *a = dlh_tensor_new (dtype, shape, NULL);

    for (gint64 i = 0; i < dlh_shape_count (shape); i++) {
        gint64 first = i / (n * n) * n * n, r = i / n % n, c = i % n;
        double sum = r == c;

        for (gint64 k = 0; k < n; k++)
            sum += b[first + r * n + k] * b[first + c * n + k] / (double) n;
        dlh_tensor_set (a, i, sum);
    }
    return a;
}

static DlhNode *
input_like (DlhGraph *graph, const char *name, const DlhTensor *t)
{
    return dlh_input (graph, name, dlh_tensor_get_dtype (t), dlh_tensor_get_shape (t));
}

// For differences: any change of x leaves this symmetric positive definite.
static DlhNode *
spd_node (DlhNode *x)
{
    return dlh_add (dlh_gram (x), dlh_eye (dlh_node_graph (x), DLH_F64, dlh_node_dim (x, -1)));
}

typedef DlhNode *(*Op) (DlhNode *x);

static void
check_gradient_of (const char *where, Op op, DlhShape shape)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, shape, 5);
    DlhNode *x = input_like (graph, "x", in);

    test_gradient_check (where, op (x), &x, (const guint[]){0}, 1, &in, 1, 2);
}

static void
assert_run_fails (DlhNode *y, DlhTensor *in, const char *text)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) f = dlh_graph_compile (dlh_node_graph (y), &y, 1, &error);

    g_assert_no_error (error);
    g_assert_false (dlh_function_run (f, &in, 1, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, text);
}

static void
assert_refused (DlhNode *node, const char *text)
{
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_node_failed (node));
    g_assert_false (dlh_graph_check (dlh_node_graph (node), &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, text);
}

// Each case of square sizes, with and without a batch; 65 and 150 pass LAPACK's blocks.
static const DlhShape squares[] = {{2, {1, 1}},   {2, {4, 4}},        {2, {65, 65}}, {2, {150, 150}},
                                   {3, {7, 5, 5}}, {4, {2, 3, 33, 33}}, {2, {0, 0}},   {3, {0, 4, 4}},
                                   {3, {2, 0, 0}}};
static const DlhDType floats[] = {DLH_F32, DLH_F64};

typedef void (*CheckSquare) (DlhDType dtype, DlhShape shape);

static void
for_squares (CheckSquare check)
{
    guint before = dlh_get_threads ();

    dlh_set_threads (2);
    for (guint d = 0; d < G_N_ELEMENTS (floats); d++)
        for (guint i = 0; i < G_N_ELEMENTS (squares); i++)
            check (floats[d], squares[i]);
    dlh_set_threads (before);
}

/* cholesky. */

static void
check_cholesky (DlhDType dtype, DlhShape shape)
{
    gint64 n = shape.dims[shape.rank - 1], count = dlh_shape_count (shape);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = spd_tensor (dtype, shape, 1);
    g_autofree double *want = test_values (a), *l = NULL;
    g_autoptr (DlhTensor) got = NULL;

    // The upper triangle is not read.
    for (gint64 i = 0; i < count; i++)
        if (i % n > i / n % n)
            dlh_tensor_set (a, i, NAN);
    got = test_run (dlh_cholesky (input_like (graph, "a", a)), &a, 1);
    l = test_values (got);
    for (gint64 i = 0; i < count; i++)
        g_assert_true (i % n <= i / n % n || l[i] == 0);
    for (gint64 first = 0; first < count; first += n * n) {
        g_autofree double *t = transposed (l + first, n);
        g_autofree double *product = multiply (l + first, FALSE, t, n, n, n);

        // |L| |L'| is at most the largest diagonal, below 6; n terms and as many in the factor.
        test_assert_within (product, want + first, (gsize) (n * n),
                            4 * sqrt ((double) n) * test_eps (dtype) * 6);
    }
}

static void
cholesky_reconstructs (void)
{
    for_squares (check_cholesky);
}

static void
cholesky_two_by_two (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = test_tensor (DLH_F64, dlh_shape (2, 2), 4, 2, 2, 10);
    g_autoptr (DlhTensor) l = test_run (dlh_cholesky (input_like (graph, "a", a)), &a, 1);

    test_assert_tensor (l, ((double[]){2, 0, 1, 3}), 4, 3);
}

static DlhNode *
cholesky_of (DlhNode *x)
{
    return dlh_cholesky (spd_node (x));
}

static void
cholesky_gradients (void)
{
    check_gradient_of (G_STRLOC, cholesky_of, dlh_shape (5, 4));
    check_gradient_of (G_STRLOC, cholesky_of, dlh_shape (2, 3, 3));
    check_gradient_of (G_STRLOC, cholesky_of, dlh_shape (1, 1));
}

static void
cholesky_indefinite (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = spd_tensor (DLH_F32, dlh_shape (8, 20, 20), 1);
    DlhNode *l;

    // Matrix 3 from its minor 17 on, and a later one earlier: the first is reported.
    dlh_tensor_set (a, 2 * 400 + 16 * 21, -1);
    dlh_tensor_set (a, 6 * 400, -1);
    dlh_graph_push_scope (graph, "kfac");
    l = dlh_cholesky (input_like (graph, "a", a));
    dlh_graph_pop_scope (graph);
    assert_run_fails (l, a,
                      "kfac: cholesky: matrix 3 of 8 (20 x 20) is not positive definite: leading "
                      "minor 17 fails; add damping or jitter");
}

// A NaN passes LAPACK unnoticed; an infinity turns the last minor negative.
static void
cholesky_not_finite (void)
{
    static const struct {
        double bad;
        const char *text;
    } cases[] = {
        {NAN, "cholesky: matrix 1 of 1 (3 x 3) holds NaN or infinity"},
        {INFINITY, "cholesky: matrix 1 of 1 (3 x 3)"},
    };

    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (DlhTensor) a = spd_tensor (floats[i / 2], dlh_shape (3, 3), 1);

        dlh_tensor_set (a, 6, cases[i % 2].bad);
        assert_run_fails (dlh_cholesky (input_like (graph, "a", a)), a, cases[i % 2].text);
    }
}

static void
cholesky_misfits (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();

    assert_refused (dlh_cholesky (dlh_input (graph, "a", DLH_F32, dlh_shape (3, 4))),
                    "cholesky: [3,4], must be square matrices");
}

/* solve_triangular and what is built on it. */

// op(l) x = b, where the other triangle of l holds NaN.
static void
check_solve (DlhDType dtype, DlhShape shape, gint64 k, gboolean lower, gboolean transpose)
{
    gint64 n = shape.dims[shape.rank - 1], count = dlh_shape_count (shape);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) l = spd_tensor (dtype, shape, 1);
    g_autoptr (DlhTensor) b =
        test_tensor_random (dtype, dlh_shape_with (shape, shape.rank - 1, k), 2);
    DlhNode *ln = input_like (graph, "l", l);
    DlhNode *x = dlh_solve_triangular (ln, input_like (graph, "b", b), lower, transpose);
    g_autofree double *triangle = test_values (l), *want = test_values (b), *got = NULL;
    g_autoptr (DlhTensor) out = NULL;

    for (gint64 i = 0; i < count; i++) {
        gint64 r = i / n % n, c = i % n;

        if (lower ? c > r : c < r) {
            dlh_tensor_set (l, i, NAN);
            triangle[i] = 0;
        }
    }
    out = test_run (x, (DlhTensor *[]){l, b}, 2);
    got = test_values (out);
    for (gint64 i = 0; n > 0 && i < count / (n * n); i++) {
        g_autofree double *product =
            multiply (triangle + i * n * n, transpose, got + i * n * k, n, n, k);
        double largest = 1;

        for (gint64 j = 0; j < n * k; j++)
            largest = MAX (largest, fabs (got[i * n * k + j]));
        // A row of |l| |x| is below (6 + n / 2) |x|.
        test_assert_within (product, want + i * n * k, (gsize) (n * k),
                            4 * test_eps (dtype) * (6 + (double) n / 2) * largest);
    }
}

static void
solve_residuals (void)
{
    for (guint i = 0; i < 8 * G_N_ELEMENTS (squares); i++)
        check_solve (floats[i & 1], squares[i / 8], i & 2 ? 1 : 3, (i & 4) != 0, (i & 2) == 0);
    for (guint i = 0; i < 8; i++)
        check_solve (floats[i & 1], squares[2], 3, (i & 4) != 0, (i & 2) != 0);
}

static void
solve_gradients (void)
{
    for (guint i = 0; i < 4; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (DlhTensor) l = spd_tensor (DLH_F64, dlh_shape (2, 3, 3), 1);
        g_autoptr (DlhTensor) b = test_tensor_random (DLH_F64, dlh_shape (2, 3, 2), 2);
        DlhNode *xs[] = {input_like (graph, "l", l), input_like (graph, "b", b)};

        test_gradient_check (G_STRLOC, dlh_solve_triangular (xs[0], xs[1], i & 1, (i >> 1) & 1), xs,
                             (const guint[]){0, 1}, 2, (DlhTensor *[]){l, b}, 2, 2);
    }
}

static void
solve_singular (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) l = spd_tensor (DLH_F64, dlh_shape (2, 3, 3), 1);
    DlhNode *ln = input_like (graph, "l", l);

    dlh_tensor_set (l, 9 + 4, 0);
    assert_run_fails (dlh_solve_triangular (ln, dlh_full (graph, DLH_F64, dlh_shape (2, 3, 1), 1),
                                            TRUE, FALSE),
                      l,
                      "solve_triangular: matrix 2 of 2 (3 x 3) is singular: its diagonal is zero "
                      "in row 2");
    assert_run_fails (dlh_cholesky_inverse (ln), l,
                      "cholesky_inverse: matrix 2 of 2 (3 x 3) is singular: its diagonal is zero "
                      "in row 2");
}

static void
solve_misfits (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *l = dlh_input (graph, "l", DLH_F32, dlh_shape (3, 3));

    assert_refused (dlh_solve_triangular (l, dlh_input (graph, "b", DLH_F32, dlh_shape (4, 2)),
                                          TRUE, FALSE),
                    "solve_triangular: matrix [3,3] does not fit right-hand side [4,2]");
}

// a x = b by both routes, and a a^-1 = 1.
static void
check_spd (DlhDType dtype, DlhShape shape)
{
    gint64 n = shape.dims[shape.rank - 1], count = dlh_shape_count (shape);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = spd_tensor (dtype, shape, 1);
    g_autoptr (DlhTensor) b = test_tensor_random (dtype, shape, 2);
    DlhNode *an = input_like (graph, "a", a), *bn = input_like (graph, "b", b);
    g_autoptr (DlhTensor) by_factor =
        test_run (dlh_cholesky_solve (dlh_cholesky (an), bn), (DlhTensor *[]){a, b}, 2);
    g_autoptr (DlhTensor) solved = test_run (dlh_spd_solve (an, bn), (DlhTensor *[]){a, b}, 2);
    g_autoptr (DlhTensor) inverse =
        test_run (dlh_cholesky_inverse (dlh_cholesky (an)), (DlhTensor *[]){a, b}, 2);
    g_autofree double *va = test_values (a), *vb = test_values (b), *x = test_values (solved);
    g_autofree double *y = test_values (inverse), *one = identity (n);
    // |a| |x| <= 6 sqrt n * 5 for eigenvalues between 1 and 6 and |b| below 5.
    double tolerance = 4 * test_eps (dtype) * 30 * (sqrt ((double) n) + 1);

    test_assert_tensors_equal (by_factor, solved);
    for (gint64 first = 0; first < count; first += n * n) {
        g_autofree double *ax = multiply (va + first, FALSE, x + first, n, n, n);
        g_autofree double *ay = multiply (va + first, FALSE, y + first, n, n, n);
        g_autofree double *mirror = transposed (y + first, n);

        test_assert_within (ax, vb + first, (gsize) (n * n), tolerance);
        test_assert_within (ay, one, (gsize) (n * n), tolerance);
        test_assert_within (y + first, mirror, (gsize) (n * n), 0);
    }
}

static void
spd_residuals (void)
{
    for_squares (check_spd);
}

static DlhNode *
inverse_of (DlhNode *x)
{
    return dlh_cholesky_inverse (dlh_cholesky (spd_node (x)));
}

static DlhNode *
logdet_of (DlhNode *x)
{
    return dlh_logdet (spd_node (x));
}

static DlhNode *
solve_of (DlhNode *x)
{
    DlhNode *a = spd_node (x);

    return dlh_spd_solve (a, dlh_slice (x, -2, 0, dlh_node_dim (x, -1), 1));
}

static DlhNode *
solve_by_factor_of (DlhNode *x)
{
    DlhNode *l = dlh_cholesky (spd_node (x));

    return dlh_add (dlh_cholesky_solve (l, dlh_slice (x, -2, 0, dlh_node_dim (x, -1), 1)),
                    dlh_expand (dlh_expand (dlh_cholesky_logdet (l), -1), -1));
}

static void
spd_gradients (void)
{
    const Op ops[] = {inverse_of, logdet_of, solve_of, solve_by_factor_of};

    for (guint i = 0; i < G_N_ELEMENTS (ops); i++) {
        check_gradient_of (G_STRLOC, ops[i], dlh_shape (4, 3));
        check_gradient_of (G_STRLOC, ops[i], dlh_shape (2, 4, 3));
        check_gradient_of (G_STRLOC, ops[i], dlh_shape (1, 1));
    }
}

static void
logdet_closed_forms (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a =
        test_tensor (DLH_F64, dlh_shape (2, 2, 2), 4, 2, 2, 10, 1e200, 0, 0, 1e200);
    DlhNode *an = input_like (graph, "a", a);
    const double want[] = {log (36), 400 * log (10)}; // the second determinant overflows
    g_autoptr (DlhTensor) got = test_run (dlh_logdet (an), &a, 1);
    g_autoptr (DlhTensor) by_factor = test_run (dlh_cholesky_logdet (dlh_cholesky (an)), &a, 1);

    test_assert_tensor (got, want, 2, 921);
    test_assert_tensor (by_factor, want, 2, 921);
}

static void
logdet_empty (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_full (graph, DLH_F64, dlh_shape (0, 0), 0);

    g_assert_cmpfloat (test_value (dlh_logdet (a)), ==, 0);
}

// d log det a = tr (a^-1 da).
static void
logdet_gradient_inverse (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = test_tensor (DLH_F64, dlh_shape (2, 2), 4, 2, 2, 10);
    DlhNode *an = input_like (graph, "a", a);
    g_autoptr (DlhTensor) direct = test_run (dlh_gradient (dlh_logdet (an), an), &a, 1);
    g_autoptr (DlhTensor) chain =
        test_run (dlh_gradient (dlh_cholesky_logdet (dlh_cholesky (an)), an), &a, 1);
    const double want[] = {10 / 36., -2 / 36., -2 / 36., 4 / 36.};

    test_assert_tensor (direct, want, 4, 1);
    test_assert_tensor (chain, want, 4, 1);
}

// A Gaussian's log density and its gradient need one factor and one inverse.
static void
spd_one_factor (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *a = dlh_input (graph, "a", DLH_F64, dlh_shape (3, 3));
    DlhNode *y = dlh_input (graph, "y", DLH_F64, dlh_shape (3, 1));
    DlhNode *out[2] = {dlh_add (dlh_logdet (a), dlh_dot (y, dlh_spd_solve (a, y)))};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (DlhTensor) va = spd_tensor (DLH_F64, dlh_shape (3, 3), 1);
    g_autoptr (DlhTensor) vy = test_tensor_random (DLH_F64, dlh_shape (3, 1), 1);
    g_autoptr (GArray) costs = NULL;
    guint n_factors = 0, n_solves = 0;

    out[1] = dlh_gradient (out[0], a);
    f = dlh_graph_compile (graph, out, 2, &error);
    g_assert_no_error (error);
    costs = dlh_function_profile (f, (DlhTensor *[]){va, vy}, 2, 1, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < costs->len; i++) {
        const char *name = g_array_index (costs, DlhCost, i).name;

        n_factors += strcmp (name, "cholesky") == 0;
        n_solves += strcmp (name, "spd_solve") == 0;
        g_assert_cmpstr (name, !=, "solve_triangular");
    }
    g_assert_cmpuint (n_factors, ==, 1);
    g_assert_cmpuint (n_solves, ==, 1);
}

/* eigh. */

static void
check_eigh (DlhDType dtype, DlhShape shape)
{
    gint64 n = shape.dims[shape.rank - 1], count = dlh_shape_count (shape);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = spd_tensor (dtype, shape, 1);
    DlhNode *values, *vectors;
    g_autoptr (DlhTensor) wt = NULL, vt = NULL;
    g_autofree double *va = test_values (a), *w = NULL, *v = NULL, *one = identity (n);
    // A few units of rounding of the norm, which is below 6, for each of n rotations' worth of work.
    double tolerance = 4 * test_eps (dtype) * 6 * (sqrt ((double) n) + 1);

    dlh_eigh (input_like (graph, "a", a), &values, &vectors);
    wt = test_run (values, &a, 1);
    vt = test_run (vectors, &a, 1);
    w = test_values (wt);
    v = test_values (vt);
    for (gint64 first = 0; first < count; first += n * n) {
        const double *wi = w + first / n, *vi = v + first;
        g_autofree double *av = multiply (va + first, FALSE, vi, n, n, n);
        g_autofree double *gram = multiply (vi, TRUE, vi, n, n, n);
        g_autofree double *vw = g_new (double, n *n + 1);

        for (gint64 i = 0; i < n * n; i++)
            vw[i] = vi[i] * wi[i % n];
        test_assert_within (av, vw, (gsize) (n * n), tolerance);
        test_assert_within (gram, one, (gsize) (n * n), tolerance);
        for (gint64 j = 0; j < n; j++) {
            double largest = 0;

            g_assert_true (j == 0 || wi[j - 1] <= wi[j]);
            for (gint64 i = 0; i < n; i++)
                if (fabs (vi[i * n + j]) > fabs (largest))
                    largest = vi[i * n + j];
            g_assert_cmpfloat (largest, >, 0);
        }
    }
}

static void
eigh_residuals (void)
{
    for_squares (check_eigh);
}

// Eigenvalues 1 and 3 of [[2, 1], [1, 2]], given as a matrix with that symmetric part.
static void
eigh_symmetric_part (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = test_tensor (DLH_F64, dlh_shape (2, 2), 2, 5, -3, 2);
    DlhNode *values, *vectors;
    g_autoptr (DlhTensor) w = NULL, square = NULL;

    dlh_eigh (input_like (graph, "a", a), &values, &vectors);
    w = test_run (values, &a, 1);
    square = test_run (dlh_square (vectors), &a, 1);
    test_assert_tensor (w, ((double[]){1, 3}), 2, 3);
    test_assert_tensor (square, ((double[]){.5, .5, .5, .5}), 4, 1);
}

static DlhNode *
both (DlhNode *a)
{
    DlhNode *values, *vectors;

    dlh_eigh (a, &values, &vectors);
    return dlh_concat ((DlhNode *[]){dlh_expand (values, -2), vectors}, 2, -2);
}

// A function of a matrix: v log (w) v'.
static DlhNode *
logarithm_of (DlhNode *x)
{
    DlhNode *values, *vectors;

    dlh_eigh (spd_node (x), &values, &vectors);
    return dlh_matmul_t (dlh_mul (vectors, dlh_expand (dlh_log (values), -2)), FALSE, vectors,
                         TRUE);
}

static DlhNode *
both_of (DlhNode *x)
{
    return both (spd_node (x));
}

static void
eigh_gradients (void)
{
    const Op ops[] = {both_of, logarithm_of};

    for (guint i = 0; i < G_N_ELEMENTS (ops); i++) {
        check_gradient_of (G_STRLOC, ops[i], dlh_shape (4, 3));
        check_gradient_of (G_STRLOC, ops[i], dlh_shape (2, 4, 3));
        check_gradient_of (G_STRLOC, ops[i], dlh_shape (1, 1));
    }
}

// sum w^2 = |a|^2, whose gradient is 2 a, also where all eigenvalues are the same.
static void
eigh_equal_values (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = test_tensor (DLH_F64, dlh_shape (3, 3), 2, 0, 0, 0, 2, 0, 0, 0, 2);
    DlhNode *an = input_like (graph, "a", a), *values, *vectors;
    g_autoptr (DlhTensor) da = NULL;

    dlh_eigh (an, &values, &vectors);
    da = test_run (dlh_gradient (dlh_norm2 (values), an), &a, 1);
    test_assert_tensor (da, ((double[]){4, 0, 0, 0, 4, 0, 0, 0, 4}), 9, 4);
}

static void
eigh_not_finite (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) a = spd_tensor (DLH_F64, dlh_shape (4, 3, 3), 1);
    DlhNode *values, *vectors;

    dlh_tensor_set (a, 9 + 2, INFINITY);
    dlh_eigh (input_like (graph, "a", a), &values, &vectors);
    assert_run_fails (values, a, "eigh: matrix 2 of 4 (3 x 3) holds NaN or infinity");
}

static void
eigh_misfits (void)
{
    static const struct {
        DlhShape shape;
        const char *text;
    } cases[] = {
        {{2, {3, 4}}, "eigh: [3,4], must be square matrices"},
        {{1, {3}}, "eigh: [3], must be square matrices"},
        {{2, {40000, 40000}}, "eigh: size 40000 is too large, LAPACK takes 32766"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        DlhNode *values, *vectors;

        dlh_eigh (dlh_input (graph, "a", DLH_F32, cases[i].shape), &values, &vectors);
        assert_refused (values, cases[i].text);
        g_assert_true (dlh_node_failed (vectors));
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/cholesky/sizes/reconstructs", cholesky_reconstructs);
    g_test_add_func ("/cholesky/two-by-two/closed-form", cholesky_two_by_two);
    g_test_add_func ("/cholesky/gradients/agree-with-differences", cholesky_gradients);
    g_test_add_func ("/cholesky/indefinite/names-matrix-and-minor", cholesky_indefinite);
    g_test_add_func ("/cholesky/not-finite/refused", cholesky_not_finite);
    g_test_add_func ("/cholesky/misfits/refused", cholesky_misfits);
    g_test_add_func ("/solve_triangular/sizes/residual-is-rounding", solve_residuals);
    g_test_add_func ("/solve_triangular/gradients/agree-with-differences", solve_gradients);
    g_test_add_func ("/solve_triangular/singular/names-the-row", solve_singular);
    g_test_add_func ("/solve_triangular/misfits/refused", solve_misfits);
    g_test_add_func ("/spd/sizes/residual-is-rounding", spd_residuals);
    g_test_add_func ("/spd/gradients/agree-with-differences", spd_gradients);
    g_test_add_func ("/spd/likelihood/one-factor", spd_one_factor);
    g_test_add_func ("/logdet/matrices/closed-form", logdet_closed_forms);
    g_test_add_func ("/logdet/empty/zero", logdet_empty);
    g_test_add_func ("/logdet/gradient/is-the-inverse", logdet_gradient_inverse);
    g_test_add_func ("/eigh/sizes/residual-is-rounding", eigh_residuals);
    g_test_add_func ("/eigh/not-symmetric/takes-the-symmetric-part", eigh_symmetric_part);
    g_test_add_func ("/eigh/gradients/agree-with-differences", eigh_gradients);
    g_test_add_func ("/eigh/equal-values/gradient-is-finite", eigh_equal_values);
    g_test_add_func ("/eigh/not-finite/refused", eigh_not_finite);
    g_test_add_func ("/eigh/misfits/refused", eigh_misfits);
    return g_test_run ();
}
