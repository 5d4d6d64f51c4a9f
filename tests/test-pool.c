/* SPDX-License-Identifier: MIT */
/* Pooling against loops from the definition. */
#include "test.h"

typedef struct {
    gint64 B, C, h, w;
    DlhPool pool;
} Case;

static const Case cases[] = {
    {2, 3, 4, 6, {{2, 2}, {2, 2}, {0, 0}}},
    {3, 5, 24, 24, {{2, 2}, {2, 2}, {0, 0}}},
    {2, 2, 9, 67, {{2, 2}, {2, 2}, {0, 0}}},
    {1, 1, 1, 1, {{1, 1}, {1, 1}, {0, 0}}},
    {2, 3, 7, 5, {{3, 2}, {1, 2}, {1, 0}}},
    {1, 4, 8, 9, {{2, 3}, {3, 2}, {1, 2}}},
    {2, 2, 6, 6, {{3, 3}, {2, 2}, {1, 1}}},
    {1, 2, 5, 4, {{5, 4}, {1, 1}, {0, 0}}},
    {1, 2, 3, 3, {{2, 2}, {2, 2}, {1, 1}}},
};

typedef struct {
    const Case *c;
    gint64 oh, ow;
} Sizes;

static Sizes
sizes (const Case *c)
{
    const DlhPool *p = &c->pool;

    return (Sizes){c, (c->h + 2 * p->padding[0] - p->kernel[0]) / p->stride[0] + 1,
                   (c->w + 2 * p->padding[1] - p->kernel[1]) / p->stride[1] + 1};
}

static DlhShape
shape_x (const Case *c)
{
    return dlh_shape (c->B, c->C, c->h, c->w);
}

static DlhShape
shape_y (const Case *c)
{
    const Sizes s = sizes (c);

    return dlh_shape (c->B, c->C, s.oh, s.ow);
}

// Index in x of window element @k of output @n; -1 in the padding.
static gint64
element (const Case *c, gint64 n, gint64 k)
{
    const Sizes s = sizes (c);
    const gint64 plane = n / (s.oh * s.ow), i = n / s.ow % s.oh, j = n % s.ow;
    const gint64 r = i * c->pool.stride[0] + k / c->pool.kernel[1] - c->pool.padding[0];
    const gint64 q = j * c->pool.stride[1] + k % c->pool.kernel[1] - c->pool.padding[1];

    return r < 0 || r >= c->h || q < 0 || q >= c->w ? -1 : (plane * c->h + r) * c->w + q;
}

static gint64
window_count (const Case *c)
{
    return c->pool.kernel[0] * c->pool.kernel[1];
}

static gint64
maximum (const Case *c, const double *x, gint64 n)
{
    gint64 best = -1;

    for (gint64 k = 0; k < window_count (c); k++) {
        const gint64 at = element (c, n, k);

        if (at >= 0 && (best < 0 || x[at] > x[best]))
            best = at;
    }
    return best;
}

static DlhTensor *
value_of (DlhNode *node)
{
    return test_run_full (node, NULL, 0, DLH_COMPILE_NO_FOLDING);
}

static void
max_definition (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const Case *c = &cases[i / 2];
        g_autoptr (DlhTensor) t = test_tensor_random (i % 2 ? DLH_F32 : DLH_F64, shape_x (c), i);
        g_autofree double *x = test_values (t), *want = NULL;
        const gint64 n = dlh_shape_count (shape_y (c));
        g_autoptr (DlhTensor) y = NULL;

        for (gint64 k = 0; k < dlh_tensor_count (t); k++) // below zero: padding must not win
            dlh_tensor_set (t, k, x[k] -= 10);
        g_free (x);
        x = test_values (t);
        want = g_new (double, n);
        for (gint64 k = 0; k < n; k++)
            want[k] = x[maximum (c, x, k)];
        y = value_of (dlh_max_pool2d (dlh_constant (graph, t), c->pool));
        test_assert_tensor_within (y, want, (gsize) n, 0);
    }
}

static void
max_gradient_definition (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const Case *c = &cases[i / 2];
        const DlhDType dtype = i % 2 ? DLH_F32 : DLH_F64;
        g_autoptr (DlhTensor) t = test_tensor_random (dtype, shape_x (c), i);
        g_autoptr (DlhTensor) s = test_tensor_random (dtype, shape_y (c), 100 + i);
        g_autofree double *x = test_values (t), *dy = test_values (s), *want = NULL;
        g_autoptr (DlhTensor) got = NULL;
        DlhNode *in = dlh_constant (graph, t), *dx;

        want = g_new0 (double, dlh_tensor_count (t));
        for (gint64 k = 0; k < dlh_tensor_count (s); k++)
            want[maximum (c, x, k)] += dy[k];
        dlh_gradients (dlh_max_pool2d (in, c->pool), &in, 1, dlh_constant (graph, s), &dx);
        got = value_of (dx);
        test_assert_tensor (got, want, (gsize) dlh_tensor_count (t), 16);
    }
}

// The gradient's gradient by the seed reads at the maxima.
static void
max_pick_definition (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const Case *c = &cases[i / 2];
        const DlhDType dtype = i % 2 ? DLH_F32 : DLH_F64;
        const gint64 n = dlh_shape_count (shape_y (c));
        g_autoptr (DlhTensor) t = test_tensor_random (dtype, shape_x (c), i);
        g_autoptr (DlhTensor) z = test_tensor_random (dtype, shape_x (c), 200 + i);
        g_autofree double *x = test_values (t), *r = test_values (z), *want = g_new (double, n);
        g_autoptr (DlhTensor) got = NULL;
        DlhNode *in = dlh_constant (graph, t), *seed, *dx, *pick;

        for (gint64 k = 0; k < n; k++)
            want[k] = r[maximum (c, x, k)];
        seed = dlh_full (graph, dtype, shape_y (c), 1);
        dlh_gradients (dlh_max_pool2d (in, c->pool), &in, 1, seed, &dx);
        dlh_gradients (dx, &seed, 1, dlh_constant (graph, z), &pick);
        got = value_of (pick);
        test_assert_tensor_within (got, want, (gsize) n, 0);
    }
}

static void
max_ties_first (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhPool pool = {{2, 2}, {2, 2}, {0, 0}};
    DlhNode *x = dlh_full (graph, DLH_F32, dlh_shape (1, 1, 2, 4), 7);
    g_autoptr (DlhTensor) dx = value_of (dlh_gradient (dlh_max_pool2d (x, pool), x));

    test_assert_tensor_within (dx, ((double[]){1, 0, 1, 0, 0, 0, 0, 0}), 8, 0);
}

// A NaN anywhere in the window comes through.
static void
max_nan_passes (void)
{
    const DlhPool pool = {{2, 2}, {2, 2}, {0, 0}};

    for (gint64 i = 0; i < 64; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F32, dlh_shape (1, 1, 2, 32), 1);
        g_autoptr (DlhTensor) y = NULL;

        dlh_tensor_set (x, i, NAN);
        y = value_of (dlh_max_pool2d (dlh_constant (graph, x), pool));
        for (gint64 k = 0; k < 16; k++)
            if (isnan (dlh_tensor_get (y, k)) != (k == i % 32 / 2))
                test_fail ("a NaN in element %" G_GINT64_FORMAT ", output %" G_GINT64_FORMAT " is %g",
                           i, k, dlh_tensor_get (y, k));
    }
}

static void
average_definition (void)
{
    for (guint i = 0; i < 2 * G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const Case *c = &cases[i / 2];
        g_autoptr (DlhTensor) t = test_tensor_random (i % 2 ? DLH_F32 : DLH_F64, shape_x (c), i);
        const gint64 n = dlh_shape_count (shape_y (c));
        g_autofree double *x = test_values (t), *want = g_new0 (double, n);
        g_autoptr (DlhTensor) y = NULL;

        for (gint64 k = 0; k < n; k++)
            for (gint64 m = 0; m < window_count (c); m++)
                if (element (c, k, m) >= 0)
                    want[k] += x[element (c, k, m)] / (double) window_count (c);
        y = value_of (dlh_avg_pool2d (dlh_constant (graph, t), c->pool));
        test_assert_tensor (y, want, (gsize) n, 4);
    }
}

// <avg (x), dy> = <x, gradient (dy)>, and twice the gradient is the average again.
static void
average_adjoint (void)
{
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const Case *c = &cases[i];
        g_autoptr (DlhTensor) t = test_tensor_random (DLH_F64, shape_x (c), i);
        g_autoptr (DlhTensor) s = test_tensor_random (DLH_F64, shape_y (c), 50 + i);
        DlhNode *x = dlh_constant (graph, t), *seed = dlh_constant (graph, s), *y, *dx, *ddy;
        g_autoptr (DlhTensor) a = NULL, b = NULL, average = NULL, again = NULL;
        g_autofree double *want = NULL;

        y = dlh_avg_pool2d (x, c->pool);
        dlh_gradients (y, &x, 1, seed, &dx);
        dlh_gradients (dx, &seed, 1, x, &ddy);
        a = value_of (dlh_dot (y, seed));
        b = value_of (dlh_dot (dx, x));
        test_assert_within (((double[]){dlh_tensor_get (a, 0)}), ((double[]){dlh_tensor_get (b, 0)}),
                            1, 1e-12 * (double) dlh_tensor_count (t));
        average = value_of (y);
        again = value_of (ddy);
        want = test_values (average);
        test_assert_tensor_within (again, want, (gsize) dlh_tensor_count (average), 0);
    }
}

static void
gradient_orders (void)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const Case *c = &cases[6];
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, shape_x (c), 8);
        DlhNode *in = dlh_input (graph, "x", DLH_F64, shape_x (c));
        DlhNode *y = i ? dlh_max_pool2d (in, c->pool) : dlh_avg_pool2d (in, c->pool);

        test_gradient_check (G_STRLOC, dlh_square (y), &in, (guint[]){0}, 1, &x, 1, 2);
    }
}

static void
threads_bitwise (void)
{
    const guint before = dlh_get_threads ();

    for (guint i = 0; i < 4; i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        const DlhPool pool = {{2, 2}, {2, 2}, {0, 0}};
        g_autoptr (DlhTensor) t = test_tensor_random (DLH_F32, dlh_shape (16, 8, 24, 24), 1);
        g_autoptr (DlhTensor) one = NULL, two = NULL;
        DlhNode *x = dlh_constant (graph, t);
        DlhNode *y = i % 2 ? dlh_max_pool2d (x, pool) : dlh_avg_pool2d (x, pool);

        if (i >= 2)
            y = dlh_gradient (y, x);
        dlh_set_threads (1);
        one = value_of (y);
        dlh_set_threads (2);
        two = value_of (y);
        test_assert_tensors_equal (one, two);
    }
    dlh_set_threads (before);
}

static void
errors_name_sizes (void)
{
    static const struct {
        DlhPool pool;
        const char *text;
    } bad[] = {
        {{{3, 5}, {1, 1}, {0, 0}}, "max_pool2d: kernel [3,5] does not fit into input [2,3,4,4]"},
        {{{2, 2}, {0, 1}, {0, 0}}, "kernel 2 and stride 0 must be from 1 to 2147483647"},
        {{{2, 2}, {1, 1}, {0, 2}}, "padding is 2, must be at least 0 and less than the kernel, 2"},
        {{{G_MAXINT64, 2}, {1, 1}, {0, 0}}, "kernel 9223372036854775807 and stride 1"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
        g_autoptr (DlhGraph) graph = dlh_graph_new ();
        g_autoptr (GError) error = NULL;

        dlh_max_pool2d (dlh_full (graph, DLH_F32, dlh_shape (2, 3, 4, 4), 0), bad[i].pool);
        dlh_graph_check (graph, &error);
        test_assert_error (&error, DLH_ERROR_SHAPE, bad[i].text);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/max-pool2d/shapes/definition", max_definition);
    g_test_add_func ("/max-pool2d/gradient/definition", max_gradient_definition);
    g_test_add_func ("/max-pool2d/second-gradient/definition", max_pick_definition);
    g_test_add_func ("/max-pool2d/ties/first-wins", max_ties_first);
    g_test_add_func ("/max-pool2d/nan/passes", max_nan_passes);
    g_test_add_func ("/avg-pool2d/shapes/definition", average_definition);
    g_test_add_func ("/avg-pool2d/adjoint/inner-products", average_adjoint);
    g_test_add_func ("/pool/gradient/two-orders", gradient_orders);
    g_test_add_func ("/pool/threads/bitwise", threads_bitwise);
    g_test_add_func ("/pool/errors/name-sizes", errors_name_sizes);
    return g_test_run ();
}
