/* SPDX-License-Identifier: MIT */
/* The scales that a warm-up finds are those of its own draws, far from the origin as well, and
 * draws do not depend on threads. */
#include "test.h"

#define OFFSET 1e8
#define DIMS 3
#define CHAINS 4
#define WARMUP 100 /* windows 0-14, 15-89, 90-99: the second collects */
#define FIRST 15
#define LAST 89

static DlhChains *
make (DlhStore *store, gint64 n_chains, gint64 d, double start, gint64 n_warmup,
      DlhLogDensity density, DlhTarget **target)
{
    const DlhBlock block = {"x", dlh_shape (d), {DLH_INIT_NORMAL, start, 1}};
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhComponent) sampler = NULL;
    g_autoptr (GError) error = NULL;
    DlhChains *chains;

    sampler = dlh_registry_load (registry, DLH_SAMPLER, "hmc", NULL, &error);
    g_assert_no_error (error);
    *target = dlh_target_new (store, n_chains, &block, 1, density, NULL, &error);
    g_assert_no_error (error);
    chains = dlh_chains_new (*target, sampler, n_warmup, &error);
    g_assert_no_error (error);
    return chains;
}

static const double *
values (DlhStore *store, const char *name)
{
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (store, name)));
}

// N (1e8, s^2) with s = 1, 1.5, 2.
static DlhNode *
far_away (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    static const double scale[DIMS] = {1, 1.5, 2};
    g_autoptr (DlhTensor) s = test_tensor_from (DLH_F64, dlh_shape (DIMS), scale, DIMS);
    DlhNode *z = dlh_div (dlh_offset (q[0], -OFFSET), dlh_constant (b->graph, s));

    (void)user_data;
    return dlh_scale (dlh_sum_axis (dlh_square (z), 1), -0.5);
}

// In two passes over all chains' draws.
static double
variance (const double *draws, gsize n, guint j)
{
    double mean = 0, sum = 0;

    for (gsize i = 0; i < n; i++)
        mean += (draws[i * DIMS + j] - OFFSET) / (double)n;
    for (gsize i = 0; i < n; i++) {
        double r = draws[i * DIMS + j] - OFFSET - mean;

        sum += r * r;
    }
    return sum / (double)(n - 1);
}

static void
variance_far_from_origin (void)
{
    enum { N = (LAST - FIRST + 1) * CHAINS };
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhTarget) target = NULL;
    g_autoptr (DlhChains) chains = make (store, CHAINS, DIMS, OFFSET, WARMUP, far_away, &target);
    g_autofree double *draws = g_new (double, N *DIMS);
    g_autoptr (GError) error = NULL;
    gsize n = 0;

    for (guint t = 0; t <= LAST; t++) {
        g_assert_true (dlh_chains_transition (chains, &error));
        if (t < FIRST)
            continue;
        memcpy (draws + n * DIMS, values (store, "chains/x"), sizeof (double) * CHAINS * DIMS);
        n += CHAINS;
    }
    g_assert_cmpuint (n, ==, N);
    for (guint j = 0; j < DIMS; j++) {
        double s2 = variance (draws, n, j), got = values (store, "hmc/x/inverse_mass")[j];
        double want = N / (N + 5.0) * s2 + 1e-3 * 5 / (N + 5.0);

        test_assert_within (&got, &want, 1, 1e-6 * want);
    }
}

/* Threads. */

static DlhNode *
quartic (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    DlhNode *square = dlh_square (q[0]);

    (void)b, (void)user_data;
    return dlh_sum_axis (dlh_sub (dlh_scale (square, 0.5), dlh_scale (dlh_square (square), 0.25)),
                         1);
}

static void
threads_same_draws (void)
{
    enum { C = 1500, D = 40 };
    guint before = dlh_get_threads ();
    g_autofree double *one = NULL;

    for (guint threads = 1; threads <= 8; threads += 7) {
        g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
        g_autoptr (DlhTarget) target = NULL;
        g_autoptr (DlhChains) chains = NULL;
        g_autoptr (GError) error = NULL;

        dlh_set_threads (threads);
        chains = make (store, C, D, 0, 20, quartic, &target);
        for (guint t = 0; t < 25; t++)
            g_assert_true (dlh_chains_transition (chains, &error));
        if (threads == 1)
            one = g_memdup2 (values (store, "chains/x"), sizeof (double) * C * D);
        else
            g_assert_cmpmem (one, sizeof (double) * C * D, values (store, "chains/x"),
                             sizeof (double) * C * D);
    }
    dlh_set_threads (before);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/hmc-pooled/variance/far-from-origin", variance_far_from_origin);
    g_test_add_func ("/hmc-pooled/threads/same-draws", threads_same_draws);
    return g_test_run ();
}
