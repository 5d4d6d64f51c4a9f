/* SPDX-License-Identifier: MIT */
/* The generator, random nodes and draws on the host's side. Moments: |z| <= 5, a false alarm in
 * 1.7 million each; chi-squared thresholds: below 1e-6. */
#include "test.h"

// Known answers of Random123 for Philox4x32-10 (kat_vectors).
static void
philox_known_answers (void)
{
    const struct {
        guint32 counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        guint32 got[4];

        dlh_philox (cases[i].counter, cases[i].key, got);
        for (guint j = 0; j < 4; j++)
            g_assert_cmphex (got[j], ==, cases[i].want[j]);
    }
}

static void
key_differs (void)
{
    guint32 a[2], b[2], c[2], again[2];

    dlh_philox_key (1, "x", a);
    dlh_philox_key (1, "x", again);
    dlh_philox_key (2, "x", b);
    dlh_philox_key (1, "y", c);
    g_assert_cmpmem (a, sizeof a, again, sizeof again);
    g_assert_true (a[0] != b[0] && a[1] != b[1] && a[0] != c[0] && a[1] != c[1]);
}

typedef DlhNode *(*Draw) (DlhGraph *graph, DlhStream *stream, DlhDType dtype, DlhShape shape);

static DlhNode *
draw_bernoulli (DlhGraph *graph, DlhStream *stream, DlhDType dtype, DlhShape shape)
{
    return dlh_bernoulli_draw (stream, dlh_full (graph, dtype, shape, 0.3));
}

static DlhTensor *
drawn (Draw draw, DlhDType dtype, gint64 n)
{
    g_autoptr (DlhStore) store = dlh_store_new (11, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();

    return test_run (draw (graph, dlh_store_stream (store, "s"), dtype, dlh_shape (n)), NULL, 0);
}

// E x, E x^2 .. E x^4 against the distribution's, whose moments up to the eighth give the errors.
static void
check_moments (Draw draw, const double moments[8])
{
    for (int dtype = DLH_F32; dtype <= DLH_F64; dtype++) {
        const gint64 n = 200001;
        g_autoptr (DlhTensor) x = drawn (draw, (DlhDType) dtype, n);

        for (int k = 1; k <= 4; k++) {
            double sum = 0;

            for (gint64 i = 0; i < n; i++)
                sum += pow (dlh_tensor_get (x, i), k);
            test_assert_mean (sum / (double) n, moments[k - 1],
                              sqrt ((moments[2 * k - 1] - moments[k - 1] * moments[k - 1]) /
                                    (double) n));
        }
    }
}

static void
normal_moments (void)
{
    check_moments (dlh_normal, (const double[]){0, 1, 0, 3, 0, 15, 0, 105});
}

static void
uniform_moments (void)
{
    check_moments (dlh_uniform, (const double[]){1 / 2., 1 / 3., 1 / 4., 1 / 5., 1 / 6., 1 / 7.,
                                                 1 / 8., 1 / 9.});
}

static void
bernoulli_moments (void)
{
    check_moments (draw_bernoulli, (const double[]){.3, .3, .3, .3, .3, .3, .3, .3});
}

static void
rademacher_signs (void)
{
    const gint64 n = 200001;
    g_autoptr (DlhTensor) x = drawn (dlh_rademacher, DLH_F32, n);
    double sum = 0, neighbours = 0;

    for (gint64 i = 0; i < n; i++) {
        double v = dlh_tensor_get (x, i);

        g_assert_true (v == 1 || v == -1);
        sum += v;
        neighbours += i ? v * dlh_tensor_get (x, i - 1) : 0;
    }
    test_assert_mean (sum / (double) n, 0, 1 / sqrt ((double) n));
    test_assert_mean (neighbours / (double) n, 0, 1 / sqrt ((double) n));
}

// Neighbours in a block share a Box-Muller pair: radius and angle must leave no correlation.
static void
normal_neighbours (void)
{
    const gint64 n = 200000;
    g_autoptr (DlhTensor) x = drawn (dlh_normal, DLH_F64, n);

    for (int lag = 1; lag <= 4; lag++) {
        double plain = 0, squares = 0;

        for (gint64 i = lag; i < n; i++) {
            double a = dlh_tensor_get (x, i), b = dlh_tensor_get (x, i - lag);

            plain += a * b;
            squares += (a * a - 1) * (b * b - 1);
        }
        test_assert_mean (plain / (double) (n - lag), 0, 1 / sqrt ((double) (n - lag)));
        test_assert_mean (squares / (double) (n - lag), 0, 2 / sqrt ((double) (n - lag)));
    }
}

static void
bernoulli_edges (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (11, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhStream *stream = dlh_store_stream (store, "s");
    DlhNode *p = dlh_full (graph, DLH_F32, dlh_shape (10000), 1);

    g_assert_cmpfloat (test_value (dlh_sum_all (dlh_bernoulli_draw (stream, p))), ==, 10000);
    p = dlh_scale (p, 0);
    g_assert_cmpfloat (test_value (dlh_sum_all (dlh_bernoulli_draw (stream, p))), ==, 0);
}

static void
f32_rounds_f64 (void)
{
    g_autoptr (DlhTensor) u32 = drawn (dlh_uniform, DLH_F32, 10007);
    g_autoptr (DlhTensor) u64 = drawn (dlh_uniform, DLH_F64, 10007);
    g_autoptr (DlhTensor) z32 = drawn (dlh_normal, DLH_F32, 10007);
    g_autoptr (DlhTensor) z64 = drawn (dlh_normal, DLH_F64, 10007);

    for (gint64 i = 0; i < 10007; i++) {
        double u = dlh_tensor_get (u64, i);

        g_assert_true (u >= 0 && u < 1);
        g_assert_true (fabs (dlh_tensor_get (u32, i) - u) <= 0x1p-24);
        // Of the angle 2 pi u and the radius, below 5 here.
        g_assert_true (fabs (dlh_tensor_get (z32, i) - dlh_tensor_get (z64, i)) < 1e-5);
    }
}

/* Streams and counters. */

typedef struct {
    DlhStore *store;
    DlhGraph *graph;
    DlhFunction *function;
} Fixture;

static void
fixture_clear (Fixture *f)
{
    dlh_function_unref (f->function);
    dlh_graph_unref (f->graph);
    dlh_store_unref (f->store);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
fixture_init (Fixture *f, guint64 seed, const char *const *streams, guint n)
{
    g_autofree DlhNode **nodes = g_new (DlhNode *, n);
    g_autoptr (GError) error = NULL;

    f->store = dlh_store_new (seed, DLH_F64);
    f->graph = dlh_graph_new ();
    for (guint i = 0; i < n; i++)
        nodes[i] = dlh_uniform (f->graph, dlh_store_stream (f->store, streams[i]), DLH_F64,
                                dlh_shape (9));
    f->function = dlh_graph_compile (f->graph, nodes, n, &error);
    g_assert_no_error (error);
}

static void
run_once (Fixture *f)
{
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_function_run (f->function, NULL, 0, &error));
    g_assert_no_error (error);
}

static double
first (Fixture *f, guint i)
{
    return dlh_tensor_get (dlh_function_output (f->function, i), 0);
}

static double
counter (Fixture *f, const char *name)
{
    return dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (f->store, name)), 0);
}

static void
counter_once_a_run (void)
{
    g_auto (Fixture) f = {0};
    double run1[2];

    fixture_init (&f, 1, (const char *const[]){"a", "a"}, 2);
    g_assert_cmpfloat (counter (&f, "random/a"), ==, 0);
    run_once (&f);
    run1[0] = first (&f, 0);
    run1[1] = first (&f, 1);
    g_assert_cmpfloat (counter (&f, "random/a"), ==, 1);
    g_assert_cmpfloat (run1[0], !=, run1[1]);
    run_once (&f);
    g_assert_cmpfloat (counter (&f, "random/a"), ==, 2);
    g_assert_cmpfloat (run1[0], !=, first (&f, 0));
    // Back to the start: the same values.
    dlh_tensor_set (dlh_variable_tensor (dlh_store_lookup (f.store, "random/a")), 0, 0);
    run_once (&f);
    g_assert_cmpfloat (run1[0], ==, first (&f, 0));
    g_assert_cmpfloat (run1[1], ==, first (&f, 1));
}

static void
streams_independent (void)
{
    g_auto (Fixture) f = {0}, g = {0}, h = {0};

    fixture_init (&f, 1, (const char *const[]){"a", "b"}, 2);
    fixture_init (&g, 1, (const char *const[]){"b"}, 1);
    fixture_init (&h, 2, (const char *const[]){"b"}, 1);
    run_once (&f);
    run_once (&g);
    run_once (&h);
    g_assert_cmpfloat (first (&f, 0), !=, first (&f, 1));
    g_assert_cmpfloat (first (&f, 1), ==, first (&g, 0));
    g_assert_cmpfloat (first (&g, 0), !=, first (&h, 0));
}

static void
unused_stream_stays (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *used = dlh_normal (graph, dlh_store_stream (store, "used"), DLH_F64, dlh_shape (2));
    g_autoptr (DlhTensor) out = NULL;

    dlh_normal (graph, dlh_store_stream (store, "unused"), DLH_F64, dlh_shape (2));
    out = test_run (used, NULL, 0);
    test_assert_tensor (dlh_variable_tensor (dlh_store_lookup (store, "random/used")),
                        ((double[]){1}), 1, 0);
    test_assert_tensor (dlh_variable_tensor (dlh_store_lookup (store, "random/unused")),
                        ((double[]){0}), 1, 0);
}

static void
rewriting_keeps_values (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *x = dlh_parameter (graph, store, "x", dlh_shape (), (DlhInit){DLH_INIT_CONSTANT, 2});
    DlhNode *y = dlh_parameter (graph, store, "y", dlh_shape (), (DlhInit){DLH_INIT_CONSTANT, 3});
    DlhNode *out;
    DlhNode *z = dlh_normal (graph, dlh_store_stream (store, "s"), DLH_F64, dlh_shape (2));
    DlhNode *root = dlh_mul (z, x), *both[2];
    g_autoptr (DlhFunction) function = NULL;

    dlh_graph_substitute (&root, 1, &x, &y, 1, &out);
    both[0] = root;
    both[1] = out;
    function = dlh_graph_compile (graph, both, 2, NULL);
    g_assert_true (dlh_function_run (function, NULL, 0, NULL));
    g_assert_cmpfloat_with_epsilon (dlh_function_scalar (function, 0) / 2,
                                    dlh_function_scalar (function, 1) / 3, 1e-15);
}

static void
threads_same_bytes (void)
{
    const Draw draws[] = {dlh_normal, dlh_uniform, draw_bernoulli, dlh_rademacher};
    guint before = dlh_get_threads ();

    for (guint i = 0; i < G_N_ELEMENTS (draws); i++)
        for (int dtype = DLH_F32; dtype <= DLH_F64; dtype++) {
            g_autoptr (DlhTensor) one = NULL, two = NULL, three = NULL;

            dlh_set_threads (1);
            one = drawn (draws[i], (DlhDType) dtype, 100003);
            dlh_set_threads (2);
            two = drawn (draws[i], (DlhDType) dtype, 100003);
            dlh_set_threads (3);
            three = drawn (draws[i], (DlhDType) dtype, 100003);
            test_assert_tensors_equal (one, two);
            test_assert_tensors_equal (one, three);
        }
    dlh_set_threads (before);
}

/* Permutations. */

static void
permutation_valid (void)
{
    for (gsize n = 0; n < 70; n += 1 + n / 3) {
        g_autofree gint64 *p = g_new (gint64, n), *seen = g_new0 (gint64, n);

        dlh_random_permutation (1, "p", n, p, n);
        for (gsize i = 0; i < n; i++) {
            g_assert_true (p[i] >= 0 && p[i] < (gint64) n);
            seen[p[i]]++;
        }
        for (gsize i = 0; i < n; i++)
            g_assert_cmpint (seen[i], ==, 1);
    }
}

// All 24 orders of four: 23 degrees of freedom, P (chi^2 > 73) < 1e-6. And where each of seven
// elements goes: 36 degrees after scaling by 6 / 7, as rows and columns sum to n; P (chi^2 > 94) < 1e-6.
static void
permutation_uniform (void)
{
    const guint n = 48000;
    guint orders[256] = {0}, places[7][7] = {{0}};
    double chi = 0, places_chi = 0;

    for (guint c = 0; c < n; c++) {
        gint64 p[7];

        dlh_random_permutation (1, "four", c, p, 4);
        orders[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]]++;
        dlh_random_permutation (1, "seven", c, p, 7);
        for (guint i = 0; i < 7; i++)
            places[i][p[i]]++;
    }
    for (guint i = 0; i < 256; i++)
        if (orders[i])
            chi += pow (orders[i] - n / 24.0, 2) / (n / 24.0);
    g_assert_true (chi < 73);
    for (guint i = 0; i < 49; i++)
        places_chi += pow (places[i / 7][i % 7] - n / 7.0, 2) / (n / 7.0);
    g_assert_true (places_chi * 6 / 7 < 94);
}

static void
host_equals_node (void)
{
    g_autoptr (DlhStore) store = dlh_store_new (5, DLH_F64);
    g_autoptr (DlhGraph) g1 = dlh_graph_new (), g2 = dlh_graph_new (), g3 = dlh_graph_new ();
    g_autoptr (DlhTensor) z = NULL, u = NULL, p = NULL;
    double want[11];
    gint64 order[11];

    z = test_run (dlh_normal (g1, dlh_store_stream (store, "z"), DLH_F64, dlh_shape (11)), NULL, 0);
    u = test_run (dlh_uniform (g2, dlh_store_stream (store, "u"), DLH_F64, dlh_shape (11)), NULL, 0);
    p = test_run (dlh_permutation (g3, dlh_store_stream (store, "p"), 11), NULL, 0);
    dlh_random_fill_normal (5, "z", 0, want, 11);
    test_assert_tensor (z, want, 11, 0);
    dlh_random_fill_uniform (5, "u", 0, want, 11);
    test_assert_tensor (u, want, 11, 0);
    dlh_random_permutation (5, "p", 0, order, 11);
    for (guint i = 0; i < 11; i++)
        want[i] = (double) order[i];
    test_assert_tensor (p, want, 11, 0);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/random/philox/known-answers", philox_known_answers);
    g_test_add_func ("/random/key/seed-and-name-matter", key_differs);
    g_test_add_func ("/random/normal/moments", normal_moments);
    g_test_add_func ("/random/normal/neighbours-uncorrelated", normal_neighbours);
    g_test_add_func ("/random/uniform/moments", uniform_moments);
    g_test_add_func ("/random/bernoulli/moments", bernoulli_moments);
    g_test_add_func ("/random/bernoulli/certain-at-0-and-1", bernoulli_edges);
    g_test_add_func ("/random/rademacher/fair-signs", rademacher_signs);
    g_test_add_func ("/random/precision/f32-rounds-f64", f32_rounds_f64);
    g_test_add_func ("/random/counter/once-a-run", counter_once_a_run);
    g_test_add_func ("/random/streams/independent", streams_independent);
    g_test_add_func ("/random/streams/unused-stays", unused_stream_stays);
    g_test_add_func ("/random/rewriting/keeps-values", rewriting_keeps_values);
    g_test_add_func ("/random/threads/same-bytes", threads_same_bytes);
    g_test_add_func ("/random/permutation/each-once", permutation_valid);
    g_test_add_func ("/random/permutation/all-orders-alike", permutation_uniform);
    g_test_add_func ("/random/host/equals-node", host_equals_node);
    return g_test_run ();
}
