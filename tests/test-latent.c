/* SPDX-License-Identifier: MIT */
/* The latent role as a target of samplers, on the linear Gaussian model of the AIS paper's sheet:
 * x = W z + b + noise, for which everything is known. */
#include "latent-bench.h"

#define D 20
#define d 5

static void
start (Bench *b, gint64 n_examples, gint64 n_chains, gboolean encoder, const char *const *hmc)
{
    const Linear m = linear (D, d, 0.1);

    near (m.W[0][0], -0.52243832, 1e-8);
    near (m.b[19], -0.30365747, 1e-8);
    bench_init_sampler (b, &m, n_examples, n_chains, encoder, "hmc", hmc, 0);
}

// x_i = sin (i + shift), i = 1 .. D: the sheet's point for shift 0.
static DlhTensor *
points (gint64 n, gint64 first)
{
    g_autoptr (GError) error = NULL;
    DlhTensor *x = dlh_tensor_new (DLH_F64, dlh_shape (n, D), &error);

    g_assert_no_error (error);
    for (gint64 e = 0; e < n; e++)
        for (gint64 i = 0; i < D; i++)
            dlh_tensor_set (x, e * D + i, sin ((double)(i + 1 + e + first)));
    return x;
}

static void
set_points (Bench *b, gint64 n, gint64 first)
{
    g_autoptr (DlhTensor) x = points (n, first);
    g_autoptr (GError) error = NULL;

    dlh_target_set_examples (b->target, x, first, &error);
    g_assert_no_error (error);
}

/* ell (0) = -72.908059939096, with the prior's density at 0. Energy is at the start of a
 * transition, less the momenta's share, so a step size of nearly 0 leaves it in the report. */
static void
golden_density (void)
{
    static const char *const hmc[] = {"step_size", "1e-12", "steps", "1", NULL};
    g_auto (Bench) b = {0};
    const double *report;

    start (&b, 1, 3, FALSE, hmc);
    set_points (&b, 1, 0);
    transitions (&b, 1);
    report = dlh_chains_find_report (b.chains, "log_density");
    for (guint c = 0; c < 3; c++)
        near (report[c], -72.908059939096 - 0.5 * d * log (2 * G_PI), 1e-8);
}

// Posterior means of the sheet. 400 chains of 150 draws; 5 standard errors of independent chains.
static void
golden_posterior_mean (void)
{
    static const char *const hmc[] = {"step_size", "0.1", "steps", "8", NULL};
    static const double want[d] = {0.37542556, 0.40328323, 0.06150087, 0.01502789, -0.20280638};
    const gint64 n = 400;
    g_auto (Bench) b = {0};
    g_autofree double *sums = g_new0 (double, n *d);

    start (&b, 1, n, FALSE, hmc);
    set_points (&b, 1, 0);
    transitions (&b, 20);
    for (guint t = 0; t < 150; t++) {
        transitions (&b, 1);
        for (gint64 i = 0; i < n * d; i++)
            sums[i] += dlh_tensor_get (dlh_chains_value (b.chains, 0), i) / 150;
    }
    for (guint j = 0; j < d; j++) {
        double mean = 0, square = 0, error;

        for (gint64 c = 0; c < n; c++) {
            mean += sums[c * d + j] / (double)n;
            square += sums[c * d + j] * sums[c * d + j] / (double)n;
        }
        error = sqrt ((square - mean * mean) / (double)n);
        g_assert_cmpfloat (fabs (mean - want[j]), <, 5 * error);
        g_assert_cmpfloat (error, <, 0.01);
    }
}

// Four examples at once, or two and two: the same chains to rounding.
static void
batches_do_not_matter (void)
{
    static const char *const hmc[] = {"step_size", "0.1", "steps", "5", NULL};
    const gint64 c = 3;
    g_auto (Bench) all = {0}, half = {0};

    start (&all, 4, c, FALSE, hmc);
    start (&half, 2, c, FALSE, hmc);
    set_points (&all, 4, 0);
    transitions (&all, 6);
    for (gint64 first = 0; first < 4; first += 2) {
        set_points (&half, 2, first);
        for (gint64 i = 0; i < 2 * c * d; i++)
            dlh_tensor_set (variable (&half, "chains/z"), i, 0);
        dlh_chains_restart (half.chains);
        transitions (&half, 6);
        for (gint64 i = 0; i < 2 * c * d; i++)
            near (dlh_tensor_get (dlh_chains_value (half.chains, 0), i),
                  dlh_tensor_get (dlh_chains_value (all.chains, 0), first * c * d + i), 1e-10);
    }
}

// Rows keep what they draw wherever they are, and differ from each other.
static void
draws_by_rows (void)
{
    const DlhShape shape = dlh_shape (2, 70);
    g_autoptr (DlhTensor) ids = dlh_tensor_new (DLH_I64, dlh_shape (2), NULL);
    DlhTensor *out[2];
    gint64 *row = dlh_tensor_get_data (ids);

    for (guint i = 0; i < 2; i++) {
        g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F64);
        g_autoptr (DlhGraph) g = dlh_graph_new ();
        DlhNode *rows = dlh_input (g, "rows", DLH_I64, dlh_shape (2));

        row[0] = i ? 9 : 4;
        row[1] = i ? 4 : 1000;
        dlh_graph_push_rows (g, rows);
        out[i] = test_run (dlh_normal (g, dlh_store_stream (store, "s"), DLH_F64, shape), &ids, 1);
        dlh_graph_pop_rows (g);
    }
    for (gint64 k = 0; k < 70; k++) {
        near (dlh_tensor_get (out[0], k), dlh_tensor_get (out[1], 70 + k), 0);
        g_assert_cmpfloat (dlh_tensor_get (out[0], k), !=, dlh_tensor_get (out[1], k));
        g_assert_cmpfloat (dlh_tensor_get (out[0], k), !=, dlh_tensor_get (out[0], 70 + k));
    }
    dlh_tensor_unref (out[0]);
    dlh_tensor_unref (out[1]);
}

static void
refusals (void)
{
    static const char *const hmc[] = {NULL};
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) x = points (3, 0), y = points (2, 0);
    g_autoptr (DlhComponent) mlp = NULL, vae = NULL;
    g_autoptr (GError) error = NULL, none = NULL, role = NULL;
    DlhLatentPosterior posterior = {sizeof posterior, 1, 0, FALSE};

    start (&b, 2, 2, FALSE, hmc);
    g_assert_false (dlh_target_set_examples (b.target, x, 0, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "wanted are f64 [2,20]");
    g_assert_false (dlh_target_set_examples (b.target, y, -1, &error));
    test_assert_error (&error, DLH_ERROR_SHAPE, "number -1");
    vae = load (&b, DLH_MODEL, "vae", NULL);
    g_assert_null (dlh_target_new_latent (b.store, vae, &b.problem, &posterior, &none));
    test_assert_error (&none, DLH_ERROR_OPTION, "0 chains of each of 1");
    mlp = load (&b, DLH_MODEL, "mlp", NULL);
    posterior.n_chains = 1;
    g_assert_null (dlh_target_new_latent (b.store, mlp, &b.problem, &posterior, &role));
    test_assert_error (&role, DLH_ERROR_PLUGIN, "'mlp' does not offer the latent role");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/latent/density/golden", golden_density);
    g_test_add_func ("/latent/posterior/golden-mean", golden_posterior_mean);
    g_test_add_func ("/latent/batches/do-not-matter", batches_do_not_matter);
    g_test_add_func ("/latent/draws/by-rows", draws_by_rows);
    g_test_add_func ("/latent/refusals", refusals);
    return g_test_run ();
}
