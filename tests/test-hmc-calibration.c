/* SPDX-License-Identifier: MIT */
/* Simulation-based calibration (Talts et al. 2018) of Hamiltonian Monte Carlo: z ~ N(0, 1), five
 * observations x = z + 0.3 sin 2z + 0.5 noise, 99 draws of the posterior; the rank of the true z
 * among them is uniform over 0 .. 99, for whatever the posterior's shape. A chain is a data set of
 * its own. */
#include "test.h"

#define CHAINS 1000
#define DRAWS 99
#define THIN 3
#define BURN_IN 50
#define N_X 5
#define BINS 10

static DlhNode *
density (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    double variance = 0.25 * *(const double *)user_data;
    DlhNode *x = dlh_read (b->graph, dlh_store_lookup (b->store, "test/x"));
    DlhNode *bent = dlh_scale (dlh_sin (dlh_scale (q[0], 2)), 0.3);
    DlhNode *mean = dlh_broadcast (dlh_add (q[0], bent), dlh_shape (CHAINS, N_X));
    DlhNode *square = dlh_sum_axis (dlh_square (dlh_sub (x, mean)), 1);

    return dlh_add (dlh_scale (square, -0.5 / variance),
                    dlh_scale (dlh_sum_axis (dlh_square (q[0]), 1), -0.5));
}

static double *
values (DlhStore *store, const char *name)
{
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (store, name)));
}

static void
simulate (DlhStore *store, double *z)
{
    double *x;

    g_assert_nonnull (dlh_store_variable (store, "test/x", DLH_F64, dlh_shape (CHAINS, N_X),
                                          (DlhInit){DLH_INIT_ZEROS, 0, 0}, NULL));
    x = values (store, "test/x");
    test_random (41, z, CHAINS);
    test_random (42, x, CHAINS * N_X);
    for (guint c = 0; c < CHAINS; c++)
        for (guint k = 0; k < N_X; k++)
            x[c * N_X + k] = z[c] + 0.3 * sin (2 * z[c]) + 0.5 * x[c * N_X + k];
}

// Chi-square of the ranks in bins of ten; @factor: of the variance that the sampler believes in.
static double
chi_square (double factor)
{
    const DlhBlock block = {"x", dlh_shape (1), {DLH_INIT_NORMAL, 0, 1}};
    const char *const settings[] = {"step_size", "0.15", "target", "0", "steps", "3"};
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhStore) store = dlh_store_new (6, DLH_F64);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) hmc = NULL;
    g_autoptr (DlhTarget) target = NULL;
    g_autoptr (DlhChains) chains = NULL;
    double z[CHAINS], counts[BINS] = {0}, sum = 0;
    guint ranks[CHAINS] = {0};

    for (guint i = 0; i < G_N_ELEMENTS (settings); i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    simulate (store, z);
    hmc = dlh_registry_load (registry, DLH_SAMPLER, "hmc", table, &error);
    g_assert_no_error (error);
    target = dlh_target_new (store, CHAINS, &block, 1, density, &factor, &error);
    g_assert_no_error (error);
    chains = dlh_chains_new (target, hmc, 0, &error);
    g_assert_no_error (error);
    for (guint t = 1; t <= BURN_IN + THIN * DRAWS; t++) {
        dlh_chains_transition (chains, &error);
        g_assert_no_error (error);
        for (guint c = 0; t > BURN_IN && (t - BURN_IN) % THIN == 0 && c < CHAINS; c++)
            ranks[c] += values (store, "chains/x")[c] < z[c];
    }
    for (guint c = 0; c < CHAINS; c++)
        counts[ranks[c] * BINS / (DRAWS + 1)]++;
    for (guint i = 0; i < BINS; i++)
        sum += pow (counts[i] - CHAINS / BINS, 2) / (CHAINS / BINS);
    g_test_message ("chi-square of 9 degrees at %g times the variance: %g", factor, sum);
    return sum;
}

// 44.8 is exceeded once in a million by chi-square with 9 degrees of freedom.
static void
ranks_uniform (void)
{
    g_assert_cmpfloat (chi_square (1), <, 44.8);
    // A likelihood that is too sure of itself, or not enough, is seen.
    g_assert_cmpfloat (chi_square (0.4), >, 100);
    g_assert_cmpfloat (chi_square (4), >, 100);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/hmc-calibration/ranks/uniform", ranks_uniform);
    return g_test_run ();
}
