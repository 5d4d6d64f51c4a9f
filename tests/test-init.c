/* SPDX-License-Identifier: MIT */
/* First values of variables: bounds, moments (|z| <= 5: a false alarm in 1.7 million), structure. */
#include "test.h"

static double *
values_of (DlhInit init, const char *name, DlhShape shape)
{
    g_autoptr (DlhStore) store = dlh_store_new (7, DLH_F64);
    g_autoptr (GError) error = NULL;
    DlhVariable *v = dlh_store_variable (store, name, DLH_F64, shape, init, &error);

    g_assert_no_error (error);
    return test_values (dlh_variable_tensor (v));
}

// Mean and variance of n values against those of the distribution; its fourth central moment gives
// the standard error of the variance.
static void
check_moments (const double *x, gsize n, double mean, double variance, double fourth)
{
    double m = 0, v = 0;

    for (gsize i = 0; i < n; i++) {
        m += x[i];
        v += (x[i] - mean) * (x[i] - mean);
    }
    test_assert_mean (m / (double) n, mean, sqrt (variance / (double) n));
    test_assert_mean (v / (double) n, variance,
                      sqrt ((fourth - variance * variance) / (double) n));
}

static void
check_uniform (DlhInit init, const char *name, DlhShape shape, double lo, double hi)
{
    gsize n = (gsize) dlh_shape_count (shape);
    g_autofree double *x = values_of (init, name, shape);
    double w = hi - lo, min = hi, max = lo;

    for (gsize i = 0; i < n; i++) {
        min = MIN (min, x[i]);
        max = MAX (max, x[i]);
    }
    g_assert_true (min >= lo && max <= hi);
    check_moments (x, n, (lo + hi) / 2, w * w / 12, w * w * w * w / 80);
}

static void
check_normal (DlhInit init, const char *name, DlhShape shape, double mean, double std)
{
    g_autofree double *x = values_of (init, name, shape);

    check_moments (x, (gsize) dlh_shape_count (shape), mean, std * std, 3 * pow (std, 4));
}

static void
uniform_moments (void)
{
    check_uniform ((DlhInit){DLH_INIT_UNIFORM, -1, 3}, "u", dlh_shape (100, 200), -1, 3);
}

static void
normal_moments (void)
{
    check_normal ((DlhInit){DLH_INIT_NORMAL, 2, 0.5}, "n", dlh_shape (100, 200), 2, 0.5);
}

static void
glorot_fans (void)
{
    double r = 2 * sqrt (6.0 / (80 + 250));

    check_uniform ((DlhInit){DLH_INIT_GLOROT, 2, 0}, "g", dlh_shape (250, 80), -r, r);
    // Convolution (out 40, in 20, 3, 5): fans of 20 x 15 and 40 x 15.
    r = sqrt (6.0 / (300 + 600));
    check_uniform ((DlhInit){DLH_INIT_GLOROT, 1, 0}, "c", dlh_shape (40, 20, 3, 5), -r, r);
}

static void
he_lecun_fans (void)
{
    check_normal ((DlhInit){DLH_INIT_HE, 1, 0}, "h", dlh_shape (40, 20, 5, 5), 0, sqrt (2.0 / 500));
    check_normal ((DlhInit){DLH_INIT_LECUN, 3, 0}, "l", dlh_shape (200, 100), 0, 3 * 0.1);
}

static void
fan_in_bound (void)
{
    check_uniform ((DlhInit){DLH_INIT_FAN_IN, 1, 0}, "f", dlh_shape (300, 64), -0.125, 0.125);
}

static void
orthogonal_both_ways (void)
{
    const struct {
        DlhShape shape;
        gsize rows, columns;
    } cases[] = {{dlh_shape (30, 50), 30, 50},
                 {dlh_shape (50, 30), 50, 30},
                 {dlh_shape (16, 16), 16, 16},
                 {dlh_shape (10, 4, 3, 3), 10, 36}};

    for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
        gsize rows = cases[c].rows, columns = cases[c].columns, n = MIN (rows, columns);
        gboolean wide = columns >= rows;
        g_autofree double *q =
            values_of ((DlhInit){DLH_INIT_ORTHOGONAL, 2, 0}, "q", cases[c].shape);

        for (gsize i = 0; i < n; i++)
            for (gsize j = 0; j < n; j++) {
                double dot = 0, want = i == j ? 4 : 0;

                for (gsize k = 0; k < MAX (rows, columns); k++)
                    dot += wide ? q[i * columns + k] * q[j * columns + k]
                                : q[k * columns + i] * q[k * columns + j];
                // Gram-Schmidt loses the condition number of a normal matrix, thousands at these sizes.
                test_assert_within (&dot, &want, 1, 1e-11);
            }
    }
}

static void
sparse_links (void)
{
    gsize rows = 400, columns = 50, per_column[50] = {0};
    g_autofree double *w =
        values_of ((DlhInit){DLH_INIT_SPARSE, 15, 0.5}, "s", dlh_shape (400, 50));
    g_autofree double *links = g_new (double, rows *columns);
    gsize n = 0;
    double chi = 0;

    for (gsize r = 0; r < rows; r++) {
        gsize before = n;

        for (gsize c = 0; c < columns; c++)
            if (w[r * columns + c] != 0) {
                links[n++] = w[r * columns + c];
                per_column[c]++;
            }
        g_assert_cmpuint (n - before, ==, 15);
    }
    check_moments (links, n, 0, 0.25, 3 * pow (0.5, 4));
    // Each column has mean 120, variance 400 * 0.3 * 0.7; their sum is fixed, so chi^2 has 49 degrees.
    for (gsize c = 0; c < columns; c++)
        chi += pow ((double) per_column[c] - 120, 2) / (400 * 0.3 * 0.7 * 50 / 49.0);
    // P (chi^2_49 > 113) < 1e-6.
    g_assert_true (chi < 113);
}

static void
sparse_more_links_than_inputs (void)
{
    g_autofree double *w = values_of ((DlhInit){DLH_INIT_SPARSE, 15, 1}, "s", dlh_shape (6, 4));

    for (gsize i = 0; i < 24; i++)
        g_assert_cmpfloat (w[i], !=, 0);
}

static void
structure_exact (void)
{
    g_autofree double *eye = values_of ((DlhInit){DLH_INIT_IDENTITY, 0, 0}, "i", dlh_shape (3, 3));
    g_autofree double *bias =
        values_of ((DlhInit){DLH_INIT_FORGET_BIAS, 1, 0}, "b", dlh_shape (8));
    g_autofree double *five =
        values_of ((DlhInit){DLH_INIT_CONSTANT, 5, 0}, "c", dlh_shape (2));

    test_assert_close (eye, ((double[]){1, 0, 0, 0, 1, 0, 0, 0, 1}), 9, 0);
    test_assert_close (bias, ((double[]){0, 0, 1, 1, 0, 0, 0, 0}), 8, 0);
    test_assert_close (five, ((double[]){5, 5}), 2, 0);
}

static void
order_does_not_matter (void)
{
    const DlhInit init = {DLH_INIT_HE, 1, 0};
    g_autoptr (DlhStore) one = dlh_store_new (3, DLH_F32), two = dlh_store_new (3, DLH_F32);
    g_autoptr (DlhStore) other = dlh_store_new (4, DLH_F32);
    DlhVariable *a1 = dlh_store_variable (one, "a", DLH_F32, dlh_shape (5, 5), init, NULL);
    DlhVariable *b1 = dlh_store_variable (one, "b", DLH_F32, dlh_shape (5, 5), init, NULL);
    DlhVariable *b2 = dlh_store_variable (two, "b", DLH_F32, dlh_shape (5, 5), init, NULL);
    DlhVariable *a2 = dlh_store_variable (two, "a", DLH_F32, dlh_shape (5, 5), init, NULL);
    DlhVariable *a3 = dlh_store_variable (other, "a", DLH_F32, dlh_shape (5, 5), init, NULL);

    test_assert_tensors_equal (dlh_variable_tensor (a1), dlh_variable_tensor (a2));
    test_assert_tensors_equal (dlh_variable_tensor (b1), dlh_variable_tensor (b2));
    g_assert_true (memcmp (dlh_tensor_get_data (dlh_variable_tensor (a1)),
                           dlh_tensor_get_data (dlh_variable_tensor (b1)), 100) != 0);
    g_assert_true (memcmp (dlh_tensor_get_data (dlh_variable_tensor (a1)),
                           dlh_tensor_get_data (dlh_variable_tensor (a3)), 100) != 0);
}

static void
unfit_refused (void)
{
    const struct {
        DlhInit init;
        DlhDType dtype;
        DlhShape shape;
        const char *text;
    } cases[] = {
        {{0, 0, 0}, DLH_F32, dlh_shape (2), "'v': 0 is not an initialisation"},
        {{DLH_INIT_NORMAL, 0, 1}, DLH_I64, dlh_shape (2), "normal initialisation is for f32 and f64"},
        {{DLH_INIT_IDENTITY, 0, 0}, DLH_F32, dlh_shape (2, 3), "wants a square matrix, it is [2,3]"},
        {{DLH_INIT_ORTHOGONAL, 1, 0}, DLH_F32, dlh_shape (3), "wants two axes or more, it is [3]"},
        {{DLH_INIT_SPARSE, -1, 1}, DLH_F32, dlh_shape (3, 3), "-1 links an output"},
        {{DLH_INIT_SPARSE, NAN, 1}, DLH_F32, dlh_shape (3, 3), "nan links an output"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
        g_autoptr (GError) error = NULL;

        g_assert_null (dlh_store_variable (store, "v", cases[i].dtype, cases[i].shape,
                                           cases[i].init, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, cases[i].text);
        g_assert_cmpuint (dlh_store_n_variables (store), ==, 0);
    }
}

static void
empty_and_named (void)
{
    for (int kind = DLH_INIT_ZEROS; kind <= DLH_INIT_FORGET_BIAS; kind++) {
        g_autofree double *x = values_of ((DlhInit){kind, 1, 1}, "e", dlh_shape (0, 0));

        g_assert_nonnull (x);
    }
    g_assert_cmpint (dlh_init_named ("glorot").kind, ==, DLH_INIT_GLOROT);
    g_assert_cmpfloat (dlh_init_named ("sparse").a, ==, 15);
    g_assert_cmpint (dlh_init_named ("none").kind, ==, 0);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/init/uniform/bounds-and-moments", uniform_moments);
    g_test_add_func ("/init/normal/moments", normal_moments);
    g_test_add_func ("/init/glorot/bounds-by-fans", glorot_fans);
    g_test_add_func ("/init/he-lecun/moments-by-fans", he_lecun_fans);
    g_test_add_func ("/init/fan-in/bounds", fan_in_bound);
    g_test_add_func ("/init/orthogonal/both-orientations", orthogonal_both_ways);
    g_test_add_func ("/init/sparse/links-a-row", sparse_links);
    g_test_add_func ("/init/sparse/more-links-than-inputs", sparse_more_links_than_inputs);
    g_test_add_func ("/init/structure/exact", structure_exact);
    g_test_add_func ("/init/order/does-not-matter", order_does_not_matter);
    g_test_add_func ("/init/unfit/is-refused", unfit_refused);
    g_test_add_func ("/init/empty/every-kind", empty_and_named);
    return g_test_run ();
}
