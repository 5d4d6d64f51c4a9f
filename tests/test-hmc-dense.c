/* SPDX-License-Identifier: MIT */
/* Dense mass matrices of Hamiltonian Monte Carlo: the plugin's paths against leapfrog from its
 * definition on a density that is not Gaussian, whose map is reversible and keeps volume; and that
 * a correlated density's covariance is found. */
#include "test.h"

#define D 3
#define STEPS 7
#define EPS 0.15

// M^-1 and its Cholesky factor R.
static const double inverse_mass[D][D] = {{1.3, 0.6, -0.2}, {0.6, 0.9, 0.1}, {-0.2, 0.1, 0.5}};

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTarget *target;
    DlhChains *chains;
} Bench;

static void
bench_clear (Bench *b)
{
    dlh_chains_free (b->chains);
    dlh_target_free (b->target);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static void
bench_init (Bench *b, gint64 n_chains, const char *const *settings, gint64 n_warmup,
            DlhLogDensity density, gint64 d)
{
    const DlhBlock block = {"x", dlh_shape (d), {DLH_INIT_NORMAL, 0, 1}};
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (DlhComponent) sampler = NULL;
    g_autoptr (GError) error = NULL;

    for (guint i = 0; settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    sampler = dlh_registry_load (b->registry, DLH_SAMPLER, "hmc", table, &error);
    g_assert_no_error (error);
    b->store = dlh_store_new (7, DLH_F64);
    b->target = dlh_target_new (b->store, n_chains, &block, 1, density, NULL, &error);
    g_assert_no_error (error);
    b->chains = dlh_chains_new (b->target, sampler, n_warmup, &error);
    g_assert_no_error (error);
}

static double *
values (Bench *b, const char *name)
{
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (b->store, name)));
}

static void
transitions (Bench *b, guint n)
{
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < n; i++) {
        dlh_chains_transition (b->chains, &error);
        g_assert_no_error (error);
    }
}

/* U = sum q_i^4 / 4 + (q_0 q_1 + q_1 q_2) / 2 */

static DlhNode *
quartic (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    DlhNode *left = dlh_slice (q[0], 1, 0, 2, 1), *right = dlh_slice (q[0], 1, 1, 3, 1);
    DlhNode *four = dlh_sum_axis (dlh_square (dlh_square (q[0])), 1);
    DlhNode *pairs = dlh_sum_axis (dlh_mul (left, right), 1);

    (void)b, (void)user_data;
    return dlh_sub (dlh_scale (four, -0.25), dlh_scale (pairs, 0.5));
}

static void
quartic_gradient (const double *q, double *g)
{
    for (guint i = 0; i < D; i++)
        g[i] = q[i] * q[i] * q[i];
    g[0] += q[1] / 2;
    g[1] += (q[0] + q[2]) / 2;
    g[2] += q[1] / 2;
}

// Leapfrog from its definition; @s: positions, then momenta.
static void
leapfrog (double *s)
{
    double *q = s, *p = s + D, g[D];

    quartic_gradient (q, g);
    for (guint i = 0; i < D; i++)
        p[i] -= EPS / 2 * g[i];
    for (guint t = 0; t < STEPS; t++) {
        for (guint i = 0; i < D; i++)
            for (guint j = 0; j < D; j++)
                q[i] += EPS * inverse_mass[i][j] * p[j];
        quartic_gradient (q, g);
        for (guint i = 0; i < D; i++)
            p[i] -= (t + 1 < STEPS ? EPS : EPS / 2) * g[i];
    }
}

// Lower R with R R' = M^-1.
static void
factor (double (*R)[D])
{
    for (guint i = 0; i < D; i++)
        for (guint j = 0; j <= i; j++) {
            double sum = inverse_mass[i][j];

            for (guint k = 0; k < j; k++)
                sum -= R[i][k] * R[j][k];
            R[i][j] = i == j ? sqrt (sum) : sum / R[j][j];
        }
}

static void
invert_lower (double (*R)[D], double (*out)[D])
{
    for (guint j = 0; j < D; j++)
        for (guint i = 0; i < D; i++) {
            double sum = i == j;

            for (guint k = j; k < i; k++)
                sum -= R[i][k] * out[k][j];
            out[i][j] = i < j ? 0 : sum / R[i][i];
        }
}

// Momenta of the first transition are R'^-1 n of the stream's first numbers.
static void
paths_by_definition (void)
{
    const char *settings[] = {"mass",        "dense", "step_size", "0.15",          "target",
                              "0",           "steps", "7",         "length_jitter", "0",
                              "step_jitter", "0",     NULL};
    enum { C = 20 };
    double R[D][D] = {0}, root[D][D], n[C * D], start[C * D];
    g_auto (Bench) b = {0};

    factor (R);
    invert_lower (R, root);
    bench_init (&b, C, settings, 0, quartic, D);
    memcpy (values (&b, "hmc/x/inverse_mass"), inverse_mass, sizeof inverse_mass);
    memcpy (values (&b, "hmc/x/inverse_root"), root, sizeof root);
    memcpy (start, values (&b, "chains/x"), sizeof start);
    dlh_random_fill_normal (7, "hmc/momentum", 0, n, C * D);
    transitions (&b, 1);
    for (guint c = 0; c < C; c++) {
        double s[2 * D] = {0}, energy = 0;

        memcpy (s, start + c * D, D * sizeof (double));
        for (guint i = 0; i < D; i++)
            for (guint j = 0; j < D; j++)
                s[D + i] += root[j][i] * n[c * D + j];
        for (guint i = 0; i < D; i++) {
            energy += pow (s[i], 4) / 4 + n[c * D + i] * n[c * D + i] / 2;
            energy += i > 0 ? s[i] * s[i - 1] / 2 : 0;
        }
        test_assert_within (&dlh_chains_find_report (b.chains, "energy")[c], &energy, 1, 1e-10);
        leapfrog (s);
        test_assert_within (values (&b, "hmc/x/proposal") + c * D, s, D, 1e-10);
        test_assert_within (values (&b, "hmc/x/momentum") + c * D, s + D, D, 1e-10);
    }
}

// There, with the momenta turned, and there again.
static void
reversible (void)
{
    const double start[2 * D] = {0.3, -0.8, 1.1, 0.5, -0.2, 0.9};
    double s[2 * D];

    memcpy (s, start, sizeof s);
    for (guint way = 0; way < 2; way++) {
        leapfrog (s);
        for (guint i = 0; i < D; i++)
            s[D + i] = -s[D + i];
    }
    test_assert_within (s, start, 2 * D, 1e-10);
}

static double
determinant (double (*a)[2 * D])
{
    double product = 1;

    for (guint k = 0; k < 2 * D; k++) {
        product *= a[k][k];
        for (guint i = k + 1; i < 2 * D; i++) {
            double f = a[i][k] / a[k][k];

            for (guint j = k; j < 2 * D; j++)
                a[i][j] -= f * a[k][j];
        }
    }
    return product;
}

// The map's Jacobian, by central differences.
static void
keeps_volume (void)
{
    const double start[2 * D] = {0.3, -0.8, 1.1, 0.5, -0.2, 0.9}, h = 1e-5;
    double J[2 * D][2 * D], got, one = 1;

    for (guint j = 0; j < 2 * D; j++) {
        double high[2 * D], low[2 * D];

        memcpy (high, start, sizeof high);
        memcpy (low, start, sizeof low);
        high[j] += h;
        low[j] -= h;
        leapfrog (high);
        leapfrog (low);
        for (guint i = 0; i < 2 * D; i++)
            J[i][j] = (high[i] - low[i]) / (2 * h);
    }
    got = determinant (J);
    test_assert_within (&got, &one, 1, 1e-6);
}

/* A normal with scales 1 and 100 and the correlation 0.99 of the pairs (0, 1) and (2, 3). */

#define DIMS 4
static const double scales[DIMS] = {1, 1, 100, 100};

static DlhNode *
correlated (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    const double r = 0.99, a = 1 / (1 - r * r);
    double P[DIMS][DIMS] = {0};
    g_autoptr (DlhTensor) t = NULL;

    (void)user_data;
    for (guint i = 0; i < DIMS; i++)
        for (guint j = 0; j < DIMS; j++)
            if (i / 2 == j / 2)
                P[i][j] = (i == j ? a : -r * a) / (scales[i] * scales[j]);
    t = test_tensor_from (DLH_F64, dlh_shape (DIMS, DIMS), P[0], DIMS * DIMS);
    return dlh_scale (
        dlh_sum_axis (dlh_mul (q[0], dlh_matmul (q[0], dlh_constant (b->graph, t))), 1), -0.5);
}

/* W = M^-1 within 0.1 of the covariance, in units of the scales; R^-1 W R'^-1 = I. */
static void
check_mass (const double *W, const double *root)
{
    for (guint i = 0; i < DIMS; i++)
        for (guint j = 0; j < DIMS; j++) {
            double want = i / 2 != j / 2 ? 0 : i == j ? 1 : 0.99, unit = 0;
            double got = W[i * DIMS + j] / (scales[i] * scales[j]);

            test_assert_within (&got, &want, 1, 0.1);
            for (guint u = 0; u < DIMS; u++)
                for (guint v = 0; v < DIMS; v++)
                    unit += root[i * DIMS + u] * W[u * DIMS + v] * root[j * DIMS + v];
            want = i == j;
            test_assert_within (&unit, &want, 1, 1e-9);
        }
}

// A quarter turn then needs few steps, where a diagonal mass needs many. Frozen after the warm-up.
static void
covariance_found (void)
{
    const char *dense[] = {"mass", "dense", NULL}, *diagonal[] = {NULL};
    const gsize bytes = DIMS * DIMS * sizeof (double);
    double steps[2] = {0};

    for (guint k = 0; k < 2; k++) {
        g_auto (Bench) b = {0};
        g_autofree double *W = NULL;

        bench_init (&b, 16, k ? diagonal : dense, 400, correlated, DIMS);
        transitions (&b, 400);
        if (k == 0)
            W = g_memdup2 (values (&b, "hmc/x/inverse_mass"), bytes);
        for (guint t = 0; t < 50; t++) {
            transitions (&b, 1);
            steps[k] += dlh_chains_find_report (b.chains, "steps")[0] / 50;
        }
        if (k == 1)
            continue;
        g_assert_cmpmem (W, bytes, values (&b, "hmc/x/inverse_mass"), bytes);
        check_mass (W, values (&b, "hmc/x/inverse_root"));
    }
    g_test_message ("steps: dense %g, diagonal %g", steps[0], steps[1]);
    g_assert_cmpfloat (steps[0], <, 5);
    g_assert_cmpfloat (steps[1], >, 3 * steps[0]);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/hmc-dense/paths/by-definition", paths_by_definition);
    g_test_add_func ("/hmc-dense/leapfrog/reversible", reversible);
    g_test_add_func ("/hmc-dense/leapfrog/keeps-volume", keeps_volume);
    g_test_add_func ("/hmc-dense/tuning/covariance-found", covariance_found);
    return g_test_run ();
}
