/* SPDX-License-Identifier: MIT */
/* What every test program uses. A program looks like this:
 *
 *     static void
 *     square_three_nine (void)
 *     {
 *         g_autoptr (DlhGraph) graph = dlh_graph_new ();
 *         DlhNode *x = dlh_input (graph, "x", DLH_F64, dlh_shape (1));
 *         g_autoptr (DlhTensor) in = test_tensor (DLH_F64, dlh_shape (1), 3);
 *         g_autoptr (DlhTensor) out = test_run (dlh_square (x), &in, 1);
 *
 *         test_assert_tensor (out, (double[]){9}, 1, 9);
 *     }
 *
 * Tolerances are computed: |got - want| <= c eps scale, where scale is the sum of the absolute
 * terms and c = 4, or sqrt (k) / 2 for k > 64 terms. A failed assertion marks the test and returns;
 * the other tests of the program still run. */
#pragma once

#include <dlhost/dlhost.h>

#include <float.h>
#include <math.h>
#include <string.h>

/** test_init: g_test_init() and non-fatal assertions. Returns: nothing to be freed. */
void test_init (int *argc, char ***argv);

/** test_assert_close: @n doubles, each within 4 eps @scale. */
#define test_assert_close(got, want, n, scale)                                                     \
    test_close_at (G_STRLOC, got, want, n, 4 * DBL_EPSILON * (scale))
/** test_assert_close_terms: each the sum of @k terms whose absolute values add up to @scale. */
#define test_assert_close_terms(got, want, n, scale, k)                                            \
    test_close_at (G_STRLOC, got, want, n, test_sum_factor (k) * DBL_EPSILON * (scale))
/** test_assert_within: a tolerance of another origin; say which beside the call. */
#define test_assert_within(got, want, n, tolerance)                                                \
    test_close_at (G_STRLOC, got, want, n, tolerance)
/** test_assert_tensor: as test_assert_close(), with the eps of the tensor's element type (0 for
 * integers). */
#define test_assert_tensor(tensor, want, n, scale)                                                 \
    test_tensor_close_at (G_STRLOC, tensor, want, n,                                               \
                          4 * test_eps (dlh_tensor_get_dtype (tensor)) * (scale))
#define test_assert_tensor_within(tensor, want, n, tolerance)                                      \
    test_tensor_close_at (G_STRLOC, tensor, want, n, tolerance)
/** test_assert_tensors_equal: same element type, shape and bytes. */
#define test_assert_tensors_equal(a, b) test_tensors_equal_at (G_STRLOC, a, b)
/** test_assert_error: @error is @code of DLH_ERROR and its message contains @text. Clears it. */
#define test_assert_error(error, code, text) test_error_at (G_STRLOC, error, code, text)

gboolean test_close_at (const char *where, const double *got, const double *want, gsize n,
                        double tolerance);
gboolean test_tensor_close_at (const char *where, const DlhTensor *got, const double *want, gsize n,
                               double tolerance);
gboolean test_tensors_equal_at (const char *where, const DlhTensor *a, const DlhTensor *b);
gboolean test_error_at (const char *where, GError **error, DlhErrorCode code, const char *text);
double test_sum_factor (gsize k);
double test_eps (DlhDType dtype);
/** test_fail: marks the running test as failed, with a message. */
void test_fail (const char *format, ...) G_GNUC_PRINTF (1, 2);
/** test_skip: g_test_skip() with a reason that is printed; then return from the test. */
void test_skip (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Tensors. */

/** test_tensor: (transfer full): values as doubles, row-major. */
#define test_tensor(dtype, shape, ...)                                                             \
    test_tensor_from (dtype, shape, (const double[]){__VA_ARGS__},                                 \
                      sizeof ((const double[]){__VA_ARGS__}) / sizeof (double))
DlhTensor *test_tensor_from (DlhDType dtype, DlhShape shape, const double *values, gsize n);
/** test_tensor_random: standard normal values that floats represent exactly, by @seed. */
DlhTensor *test_tensor_random (DlhDType dtype, DlhShape shape, guint64 seed);
/** test_values: (transfer full): the elements as doubles. */
double *test_values (const DlhTensor *tensor);
/** test_random: fills @n standard normal values that depend on @seed alone. Its generator is not
 * the library's. */
void test_random (guint64 seed, double *out, gsize n);

/* Graphs. */

/** test_run: (transfer full): the value of @node; fails the test and returns NULL on an error. */
DlhTensor *test_run (DlhNode *node, DlhTensor *const *inputs, guint n_inputs);
/** test_run_full: the same with compile flags. */
DlhTensor *test_run_full (DlhNode *node, DlhTensor *const *inputs, guint n_inputs,
                          DlhCompileFlags flags);
/** test_value: the value of a scalar node without inputs. */
double test_value (DlhNode *node);
/**
 * test_gradient_check:
 * @y: f64, any shape
 * @xs: dlh_input() nodes to differentiate by
 * @positions: which input of the graph each is
 * @inputs: values of all the graph's inputs
 * @order: which derivative is compared, 1 or more; the others below it are taken as right
 * Compares dlh_gradients() of <@y, random> with central differences (fourth order, h = 1e-4
 * max (1, |x|)): rtol 1e-6, atol 1e-8 and the signs. For order 2 the scalar is <gradient, random>,
 * so the differences are those of the first gradient.
 * Returns: whether all agree; otherwise the test is marked.
 */
gboolean test_gradient_check (const char *where, DlhNode *y, DlhNode *const *xs,
                              const guint *positions, guint n_xs, DlhTensor *const *inputs,
                              guint n_inputs, guint order);

/* Statistics. */

/**
 * test_assert_mean:
 * @got: a sample mean; @want: its expectation; @std_error: its standard deviation
 * Fails when |z| > 5: a false alarm once in 1.7 million (5.7e-7) for a normal mean.
 */
#define test_assert_mean(got, want, std_error) test_mean_at (G_STRLOC, got, want, std_error)
gboolean test_mean_at (const char *where, double got, double want, double std_error);

/* Files. */

/** test_temp_dir: (transfer full): a fresh directory, to be removed with test_remove_dir(). */
char *test_temp_dir (void);
/** test_remove_dir: removes it with everything in it, and frees the name. */
void test_remove_dir (char *path);
typedef char TestDir;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TestDir, test_remove_dir)
/** test_write_file: (transfer full): @n bytes written to @name in @dir. Returns: its path. */
char *test_write_file (const char *dir, const char *name, gconstpointer data, gssize n);
/** test_data: (transfer full) (nullable): a path below the directory of real data, NULL after
 * test_skip() when it is not there. */
char *test_data (const char *name);
/** test_rounds_to_bf16: Returns: whether products that may be rounded to bfloat16 are, where they
 * are large enough. */
gboolean test_rounds_to_bf16 (void);
/** test_under_sanitizer: Returns: whether this program was built with a sanitizer. */
gboolean test_under_sanitizer (void);
