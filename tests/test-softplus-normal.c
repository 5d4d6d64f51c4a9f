/* SPDX-License-Identifier: MIT */
/* dlh_softplus_normal(): draws against dlh_normal() under the same stream, sums against loops, the
 * gradient against differences at one position of the stream, for each instruction set. */
#include "test.h"

static const char *const levels[] = {"baseline", "avx2", "avx512"};

static double
softplus (double x)
{
    return fmax (x, 0) + log1p (exp (-fabs (x)));
}

static double
log_softplus (double x)
{
    return x < -40 ? x : log (softplus (x));
}

// Values of all three, at seed 3; @rho: NULL: from -6 to 2.
typedef struct {
    double *draw, *mean, *rho, *normal;
    double squares, log_std;
} Drawn;

static void
drawn_clear (Drawn *d)
{
    g_free (d->draw);
    g_free (d->mean);
    g_free (d->rho);
    g_free (d->normal);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Drawn, drawn_clear)

static DlhTensor *
rho_of (DlhDType dtype, gint64 n)
{
    g_autofree double *values = g_new (double, n + 1);

    for (gint64 i = 0; i < n; i++)
        values[i] = -6 + 8.0 * (double)(i * 7919 % 1009) / 1009;
    return test_tensor_from (dtype, dlh_shape (n), values, (gsize)n);
}

static double *
normal_of (DlhDType dtype, gint64 n)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhStore *store = dlh_store_new (3, dtype);
    g_autoptr (DlhTensor) t = test_run (
        dlh_normal (graph, dlh_store_stream (store, "noise"), dtype, dlh_shape (n)), NULL, 0);

    dlh_store_unref (store);
    return test_values (t);
}

static void
draw (Drawn *d, DlhTensor *mean, DlhTensor *rho)
{
    const DlhDType dtype = dlh_tensor_get_dtype (rho);
    const DlhShape shape = dlh_tensor_get_shape (rho);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;
    DlhStore *store = dlh_store_new (3, dtype);
    DlhTensor *inputs[] = {mean, rho};
    DlhNode *out[3], *m = dlh_input (graph, "mean", dtype, shape);

    out[0] = dlh_softplus_normal (dlh_store_stream (store, "noise"), m,
                                  dlh_input (graph, "rho", dtype, shape), &out[1], &out[2]);
    f = dlh_graph_compile (graph, out, 3, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_function_run (f, inputs, 2, &error));
    *d = (Drawn){test_values (dlh_function_output (f, 0)),
                 test_values (mean),
                 test_values (rho),
                 normal_of (dtype, dlh_shape_count (shape)),
                 dlh_function_scalar (f, 1),
                 dlh_function_scalar (f, 2)};
    dlh_store_unref (store);
}

// Softplus of floats: exp and log1p to 2 ulps each, and the rounding of a product.
static void
check_drawn (const char *level, const Drawn *d, DlhDType dtype, gint64 n)
{
    const double eps = test_eps (dtype);
    double squares = 0, logs = 0, size = 0;

    for (gint64 i = 0; i < n; i++) {
        const double s = softplus (d->rho[i]), want = s * d->normal[i];

        if (!(fabs (d->draw[i] - want) <= 6 * eps * fabs (want)))
            test_fail ("%s, %d of %d: rho %g: got %.9g, want %.9g", level, (int)i, (int)n,
                       d->rho[i], d->draw[i], want);
        squares += d->mean[i] * d->mean[i] + s * s;
        logs += log_softplus (d->rho[i]);
        size += fabs (log_softplus (d->rho[i])) + 1;
    }
    test_assert_within (&d->squares, &squares, 1, (8 + test_sum_factor ((gsize)n)) * eps * squares);
    test_assert_within (&d->log_std, &logs, 1, (8 + test_sum_factor ((gsize)n)) * eps * size);
}

static void
draws_and_sums (gconstpointer data)
{
    static const gint64 sizes[] = {0, 1, 63, 64, 65, 513, 4096, 4097, 9000};
    const DlhDType dtype = *(const DlhDType *)data;

    for (guint l = 0; l < G_N_ELEMENTS (levels); l++) {
        if (!dlh_set_cpu_level (levels[l], NULL))
            continue;
        for (guint k = 0; k < G_N_ELEMENTS (sizes); k++) {
            g_autoptr (DlhTensor) mean = test_tensor_random (dtype, dlh_shape (sizes[k]), 4);
            g_autoptr (DlhTensor) rho = rho_of (dtype, sizes[k]);
            g_auto (Drawn) d = {0};

            draw (&d, mean, rho);
            check_drawn (levels[l], &d, dtype, sizes[k]);
        }
    }
    dlh_set_cpu_level (NULL, NULL);
}

// One element a group where exponents no longer tell the logarithm, and where nothing is left of s.
static void
far_out (gconstpointer data)
{
    static const double far[] = {-1e4, -200, -104, -100, -88, -87, -40, -30.5, -29.5, 100, 3e4};
    const DlhDType dtype = *(const DlhDType *)data;
    enum { COUNT = 700 };

    for (guint l = 0; l < G_N_ELEMENTS (levels); l++) {
        if (!dlh_set_cpu_level (levels[l], NULL))
            continue;
        for (guint k = 0; k < G_N_ELEMENTS (far); k++) {
            g_autoptr (DlhTensor) mean = test_tensor_random (dtype, dlh_shape (COUNT), 4);
            g_autoptr (DlhTensor) rho = rho_of (dtype, COUNT);
            g_auto (Drawn) d = {0};

            dlh_tensor_set (rho, 70, far[k]);
            dlh_tensor_set (rho, COUNT - 1, far[k]);
            draw (&d, mean, rho);
            // Numbers below 2^-126 are not kept to eps of themselves.
            if (softplus (far[k]) < (dtype == DLH_F32 ? 1e-36 : 1e-300)) {
                g_assert_cmpfloat (fabs (d.draw[70]), <=, 1e-35);
                d.draw[70] = softplus (far[k]) * d.normal[70];
                d.draw[COUNT - 1] = softplus (far[k]) * d.normal[COUNT - 1];
            }
            check_drawn (levels[l], &d, dtype, COUNT);
        }
    }
    dlh_set_cpu_level (NULL, NULL);
}

static void
not_a_number (void)
{
    for (DlhDType dtype = DLH_F32; dtype <= DLH_F64; dtype++) {
        g_autoptr (DlhTensor) mean = test_tensor_random (dtype, dlh_shape (200), 4);
        g_autoptr (DlhTensor) rho = rho_of (dtype, 200);
        g_auto (Drawn) d = {0};

        dlh_tensor_set (rho, 17, NAN);
        draw (&d, mean, rho);
        g_assert_true (isnan (d.draw[17]) && isnan (d.squares) && isnan (d.log_std));
        g_assert_false (isnan (d.draw[16]) || isnan (d.draw[18]));
    }
}

/* Gradients. */

typedef struct {
    DlhStore *store;
    DlhGraph *graph;
    DlhNode *mean, *rho, *loss;
    DlhFunction *f; /* loss, and its gradients by mean and rho */
} Loss;

static void
loss_clear (Loss *l)
{
    dlh_function_unref (l->f);
    dlh_graph_unref (l->graph);
    dlh_store_unref (l->store);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Loss, loss_clear)

// Of all three results, and not linear in any; @which leaves out some.
static void
loss_open (Loss *l, DlhShape shape, guint which)
{
    g_autoptr (GError) error = NULL;
    DlhNode *squares, *log_std, *d, *out[3], *by[2];

    l->store = dlh_store_new (3, DLH_F64);
    l->graph = dlh_graph_new ();
    by[0] = l->mean = dlh_input (l->graph, "mean", DLH_F64, shape);
    by[1] = l->rho = dlh_input (l->graph, "rho", DLH_F64, shape);
    d = dlh_softplus_normal (dlh_store_stream (l->store, "noise"), l->mean, l->rho, &squares,
                             &log_std);
    l->loss = dlh_scalar (l->graph, DLH_F64, 0);
    if (which & 1)
        l->loss = dlh_add (l->loss, dlh_sum_all (dlh_mul (dlh_tanh (d), dlh_add (d, l->mean))));
    if (which & 2)
        l->loss = dlh_add (l->loss, dlh_scale (dlh_square (squares), 0.01));
    if (which & 4)
        l->loss = dlh_add (l->loss, dlh_sin (log_std));
    out[0] = l->loss;
    dlh_gradients (l->loss, by, 2, NULL, out + 1);
    for (guint i = 1; i < 3; i++)
        out[i] = out[i] ? out[i] : dlh_full (l->graph, DLH_F64, shape, 0);
    l->f = dlh_graph_compile (l->graph, out, 3, &error);
    g_assert_no_error (error);
}

// Always at the same position of the stream.
static double
loss_at (Loss *l, DlhTensor *mean, DlhTensor *rho)
{
    DlhTensor *inputs[] = {mean, rho};
    DlhVariable *counter = dlh_store_lookup (l->store, "random/noise");
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (counter);
    dlh_tensor_set (dlh_variable_tensor (counter), 0, 5);
    g_assert_true (dlh_function_run (l->f, inputs, 2, &error));
    return dlh_function_scalar (l->f, 0);
}

static void
gradient_is_that_of_differences (void)
{
    for (guint which = 1; which < 8; which++) {
        g_auto (Loss) l = {0};
        g_autoptr (DlhTensor) mean = test_tensor_random (DLH_F64, dlh_shape (3, 5), 4);
        g_autoptr (DlhTensor) rho = test_tensor_random (DLH_F64, dlh_shape (3, 5), 9);
        DlhTensor *const at[] = {mean, rho};

        loss_open (&l, dlh_shape (3, 5), which);
        for (guint k = 0; k < 2; k++)
            for (gint64 i = 0; i < 15; i++) {
                const double x = dlh_tensor_get (at[k], i), h = 1e-5;
                double up, down, got, want;

                dlh_tensor_set (at[k], i, x + h);
                up = loss_at (&l, mean, rho);
                dlh_tensor_set (at[k], i, x - h);
                down = loss_at (&l, mean, rho);
                dlh_tensor_set (at[k], i, x);
                loss_at (&l, mean, rho);
                got = dlh_tensor_get (dlh_function_output (l.f, k + 1), i);
                want = (up - down) / (2 * h);
                if (!(fabs (got - want) <= 1e-8 + 1e-6 * fabs (want)))
                    test_fail ("parts %u, input %u, element %d: got %.12g, differences %.12g",
                               which, k, (int)i, got, want);
            }
    }
}

// What the gradient's gradient gives, against differences of the gradient.
static void
second_gradient_is_that_of_differences (void)
{
    g_auto (Loss) l = {0};
    g_autoptr (DlhTensor) mean = test_tensor_random (DLH_F64, dlh_shape (4), 4);
    g_autoptr (DlhTensor) rho = test_tensor_random (DLH_F64, dlh_shape (4), 9);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) second = NULL;
    DlhTensor *inputs[] = {mean, rho};
    DlhNode *first, *out;

    loss_open (&l, dlh_shape (4), 7);
    dlh_gradients (l.loss, &l.rho, 1, NULL, &first);
    dlh_gradients (dlh_sum_all (first), &l.rho, 1, NULL, &out);
    second = dlh_graph_compile (l.graph, &out, 1, &error);
    g_assert_no_error (error);
    for (gint64 i = 0; i < 4; i++) {
        const double x = dlh_tensor_get (rho, i), h = 1e-5;
        double sums[2] = {0}, got, want;

        for (guint side = 0; side < 2; side++) {
            dlh_tensor_set (rho, i, side ? x + h : x - h);
            loss_at (&l, mean, rho);
            for (gint64 k = 0; k < 4; k++)
                sums[side] += dlh_tensor_get (dlh_function_output (l.f, 2), k);
        }
        dlh_tensor_set (rho, i, x);
        dlh_tensor_set (dlh_variable_tensor (dlh_store_lookup (l.store, "random/noise")), 0, 5);
        g_assert_true (dlh_function_run (second, inputs, 2, &error));
        got = dlh_tensor_get (dlh_function_output (second, 0), i);
        want = (sums[1] - sums[0]) / (2 * h);
        test_assert_within (&got, &want, 1, 1e-7 + 1e-6 * fabs (want));
    }
}

// A gradient laid side by side of three parts would be an array of its own; the parts are taken.
static void
gradient_needs_no_copy (void)
{
    const DlhShape shape = dlh_shape (64, 64);
    g_auto (Loss) l = {0};
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;
    DlhNode *squares, *log_std, *d, *cotangent, *out;
    const gsize bytes = 64 * 64 * sizeof (double);

    l.store = dlh_store_new (3, DLH_F64);
    l.graph = dlh_graph_new ();
    l.mean = dlh_input (l.graph, "mean", DLH_F64, shape);
    l.rho = dlh_input (l.graph, "rho", DLH_F64, shape);
    cotangent = dlh_input (l.graph, "cotangent", DLH_F64, shape);
    d = dlh_softplus_normal (dlh_store_stream (l.store, "noise"), l.mean, l.rho, &squares,
                             &log_std);
    l.loss = dlh_add (dlh_sum_all (dlh_mul (d, cotangent)), dlh_sub (squares, log_std));
    dlh_gradients (l.loss, &l.rho, 1, NULL, &out);
    f = dlh_graph_compile (l.graph, &out, 1, &error);
    g_assert_no_error (error);
    // The draw itself, and two sums of a double each for its one piece.
    g_assert_cmpuint (dlh_function_memory (f), <, bytes + bytes / 4);
}

/* The rest. */

static void
threads_same_bits (void)
{
    enum { COUNT = 100000 };

    for (DlhDType dtype = DLH_F32; dtype <= DLH_F64; dtype++) {
        g_autoptr (DlhTensor) mean = test_tensor_random (dtype, dlh_shape (COUNT), 4);
        g_autoptr (DlhTensor) rho = rho_of (dtype, COUNT);
        g_auto (Drawn) one = {0}, two = {0};

        dlh_set_threads (1);
        draw (&one, mean, rho);
        dlh_set_threads (2);
        draw (&two, mean, rho);
        dlh_set_threads (0);
        g_assert_cmpmem (one.draw, COUNT * sizeof (double), two.draw, COUNT * sizeof (double));
        g_assert_true (one.squares == two.squares && one.log_std == two.log_std);
    }
}

// A case's chance depends on its number there, and the values are those of several ops.
static void
by_rows_as_composed (void)
{
    static const double numbers[] = {4, 0};
    const DlhShape shape = dlh_shape (2, 3);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (DlhTensor) rows = test_tensor_from (DLH_I64, dlh_shape (2), numbers, 2);
    DlhStore *store = dlh_store_new (3, DLH_F64), *same = dlh_store_new (3, DLH_F64);
    DlhNode *mean = dlh_full (graph, DLH_F64, shape, 0.5),
            *rho = dlh_full (graph, DLH_F64, shape, 1);
    DlhNode *out[4];
    const double squares = 6 * (0.25 + softplus (1) * softplus (1)), logs = 6 * log (softplus (1));
    double got;

    dlh_graph_push_rows (graph, dlh_constant (graph, rows));
    out[0] = dlh_softplus_normal (dlh_store_stream (store, "noise"), mean, rho, &out[1], &out[2]);
    out[3] = dlh_mul (dlh_softplus (rho),
                      dlh_normal (graph, dlh_store_stream (same, "noise"), DLH_F64, shape));
    dlh_graph_pop_rows (graph);
    f = dlh_graph_compile (graph, out, 4, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_function_run (f, NULL, 0, &error));
    test_assert_tensors_equal (dlh_function_output (f, 0), dlh_function_output (f, 3));
    got = dlh_function_scalar (f, 1);
    test_assert_close (&got, &squares, 1, squares);
    got = dlh_function_scalar (f, 2);
    test_assert_close (&got, &logs, 1, 6);
    dlh_store_unref (store);
    dlh_store_unref (same);
}

int
main (int argc, char **argv)
{
    static const DlhDType types[] = {DLH_F32, DLH_F64};

    test_init (&argc, &argv);
    g_test_add_data_func ("/softplus-normal/f32/draws-and-sums", &types[0], draws_and_sums);
    g_test_add_data_func ("/softplus-normal/f64/draws-and-sums", &types[1], draws_and_sums);
    g_test_add_data_func ("/softplus-normal/f32/far-out", &types[0], far_out);
    g_test_add_data_func ("/softplus-normal/f64/far-out", &types[1], far_out);
    g_test_add_func ("/softplus-normal/nan/passes", not_a_number);
    g_test_add_func ("/softplus-normal/gradient/is-that-of-differences",
                     gradient_is_that_of_differences);
    g_test_add_func ("/softplus-normal/second-gradient/is-that-of-differences",
                     second_gradient_is_that_of_differences);
    g_test_add_func ("/softplus-normal/gradient/needs-no-copy", gradient_needs_no_copy);
    g_test_add_func ("/softplus-normal/threads/same-bits", threads_same_bits);
    g_test_add_func ("/softplus-normal/rows/as-composed", by_rows_as_composed);
    return g_test_run ();
}
