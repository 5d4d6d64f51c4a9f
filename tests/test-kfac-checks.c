/* SPDX-License-Identifier: MIT */
/* Items 7, 8, 9, 12 and 13 of section 6 of the method's sheet: exact cases, the sampled metric's
 * rate, pi, a convolution that is a dense layer, and EK-FAC's guarantee. */
#include "kfac-bench.h"

enum { B = 24, I = 3, H = 4, Z = 2, N0 = H * (I + 1), N1 = Z * (H + 1), NL = Z * (I + 1) };

static const DlhInit start = {DLH_INIT_NORMAL, 0, 0.6};
static const double chol[Z * Z] = {0.8, 0, -0.5, 1.3}; /* of Sigma */

#define BUILD_ARGUMENTS                                                                            \
    DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,         \
        DlhObjective *objective, GError **error
#define BUILD_UNUSED (void)problem, (void)options, (void)error

static void
correlated (DlhObjective *objective, DlhNode *z, DlhNode *y)
{
    g_autoptr (DlhTensor) l = test_tensor_from (DLH_F64, dlh_shape (Z, Z), chol, Z * Z);

    dlh_objective_predict (objective, dlh_gaussian_full (z, dlh_constant (dlh_node_graph (z), l)),
                           y);
}

static gboolean
linear_net (BUILD_ARGUMENTS)
{
    BUILD_UNUSED;
    correlated (objective, dlh_dense (b, "l0", x, Z, start, TRUE), y);
    return TRUE;
}

static gboolean
deep_linear_net (BUILD_ARGUMENTS)
{
    BUILD_UNUSED;
    x = dlh_dense (b, "l0", x, H, start, TRUE);
    correlated (objective, dlh_dense (b, "l1", x, Z, start, TRUE), y);
    return TRUE;
}

// y ~ N (W x + b, I)
static gboolean
unit_net (BUILD_ARGUMENTS)
{
    DlhNode *zero = dlh_full (b->graph, DLH_F64, dlh_shape (1), 0);

    BUILD_UNUSED;
    dlh_objective_predict (objective,
                           dlh_gaussian (dlh_dense (b, "l0", x, Z, start, TRUE), zero, 1), y);
    return TRUE;
}

static gboolean
softmax_net (BUILD_ARGUMENTS)
{
    BUILD_UNUSED;
    x = dlh_tanh (dlh_dense (b, "l0", x, H, start, TRUE));
    dlh_objective_classify (objective, dlh_dense (b, "l1", x, 3, start, TRUE), y);
    return TRUE;
}

static DlhTensor *
classes (void)
{
    DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (B), NULL);

    for (gint64 k = 0; k < B; k++)
        dlh_tensor_set (y, k, (double)(k * 5 % 7 % 3));
    return y;
}

static void
open_real (Bench *b, BenchModel model, const char *settings)
{
    bench_open (b, model, "kfac", settings, test_tensor_random (DLH_F64, dlh_shape (B, I), 1),
                test_tensor_random (DLH_F64, dlh_shape (B, Z), 2));
}

#define UNDAMPED "lr=1 momentum=0 kl_clip=0 statistics=1 inverses=1 damping=0 inverse=eigen fisher="

static double
input (Bench *b, gsize n, gsize i)
{
    return i < I ? dlh_tensor_get (b->x, (gint64)(n * I + i)) : 1;
}

/* 7: Sigma is not diagonal, G = Sigma^-1: the step is Newton's, onto the least squares solution. */
static void
correlated_gaussian_is_newton (void)
{
    g_auto (Bench) b = {0};

    open_real (&b, linear_net, UNDAMPED "exact");
    bench_step (&b); // collects
    bench_step (&b);
    for (gsize o = 0; o < Z; o++) {
        double a[(I + 1) * (I + 1)] = {0}, r[I + 1] = {0};

        for (gsize n = 0; n < B; n++)
            for (gsize i = 0; i <= I; i++) {
                r[i] += input (&b, n, i) * dlh_tensor_get (b.y, (gint64)(n * Z + o));
                for (gsize j = 0; j <= I; j++)
                    a[i * (I + 1) + j] += input (&b, n, i) * input (&b, n, j);
            }
        dense_solve (a, I + 1, r, 1);
        test_assert_within (bench_value (&b, "m/l0/weight") + o * I, r, I, 1e-13);
        test_assert_within (bench_value (&b, "m/l0/bias") + o, r + I, 1, 1e-13);
    }
}

// Sigma^-1, from its Cholesky factor.
static void
precision (double p[Z * Z])
{
    double sigma[Z * Z] = {0};

    for (gsize i = 0; i < Z * Z; i++)
        for (gsize k = 0; k < Z; k++)
            sigma[i] += chol[i / Z * Z + k] * chol[i % Z * Z + k];
    for (gsize i = 0; i < Z * Z; i++)
        p[i] = i % (Z + 1) == 0;
    dense_solve (sigma, Z, p, Z);
}

// Entry ((o, i), (p, j)) of A kron G.
static double
kron_at (const double *a, gsize n, const double *g, gsize m, gsize r, gsize c)
{
    return a[r % n * n + c % n] * g[r / n * m + c / n];
}

/* 7: in deep linear nets A kron G is the Fisher's block: mean over cases of J' Sigma^-1 J. */
static void
deep_linear_is_fisher (void)
{
    double p[Z * Z], j[Z][N0 > N1 ? N0 : N1];
    g_auto (Bench) b = {0};

    open_real (&b, deep_linear_net, UNDAMPED "exact");
    bench_step (&b);
    precision (p);
    for (guint l = 0; l < 2; l++) {
        const gsize in = l ? H + 1 : I + 1, out = l ? Z : H, n = in * out;
        const double *w0 = bench_value (&b, "m/l0/weight"), *b0 = bench_value (&b, "m/l0/bias");
        const double *w1 = bench_value (&b, "m/l1/weight");
        const double *a = bench_value (&b, "kfac/m/l%u/weight/A", l);
        const double *g = bench_value (&b, "kfac/m/l%u/weight/G", l);
        g_autofree double *f = g_new0 (double, n *n);

        for (gsize k = 0; k < B; k++) {
            for (gsize z = 0; z < Z; z++)
                for (gsize r = 0; r < n; r++) { // dz / d W_l [o, i]
                    const gsize o = r / in, i = r % in;
                    double h = i == H ? 1 : b0[i % H];

                    for (gsize q = 0; q < I && i < H; q++)
                        h += w0[i * I + q] * input (&b, k, q);
                    j[z][r] = l ? (o == z) * h : w1[z * H + o] * input (&b, k, i);
                }
            for (gsize r = 0; r < n * n; r++)
                for (gsize s = 0; s < Z * Z; s++)
                    f[r] += j[s / Z][r / n] * p[s] * j[s % Z][r % n] / B;
        }
        for (gsize r = 0; r < n * n; r++) {
            const double got = kron_at (a, in, g, out, r / n, r % n);

            test_assert_within (&got, &f[r], 1, 1e-13);
        }
    }
}

/* 8: single draws' G are recovered from the running mean k G_k - (k - 1) G_{k-1}. The variance of
 * means over 64 draws is 1/64 of a draw's, and the mean of all is the exact G. */
static void
sampled_rate (void)
{
    enum { DRAWS = 4096, GROUP = 64, GROUPS = DRAWS / GROUP, E = H * H };
    g_autofree double *exact = NULL, *draws = g_new (double, DRAWS *E);
    double last[E] = {0}, single = 0, grouped = 0, ratio;

    for (guint mode = 0; mode < 2; mode++) {
        g_auto (Bench) b = {0};

        bench_open (&b, softmax_net, "kfac",
                    mode ? "burn_in=100000 decay=0.99999 statistics=1 fisher=sampled"
                         : "fisher=exact",
                    test_tensor_random (DLH_F64, dlh_shape (B, I), 1), classes ());
        for (gsize k = 0; k < (mode ? DRAWS : 1); k++) {
            const double *g;

            bench_step (&b);
            g = bench_value (&b, "kfac/m/l0/weight/G");
            for (gsize e = 0; e < E; e++) {
                draws[k * E + e] = (double)(k + 1) * g[e] - (double)k * last[e];
                last[e] = g[e];
            }
        }
        if (!mode) {
            exact = g_memdup2 (last, sizeof last);
            memset (last, 0, sizeof last);
        }
    }
    for (gsize e = 0; e < E; e++) {
        double variance = 0;

        for (gsize k = 0; k < DRAWS; k++)
            variance += (draws[k * E + e] - last[e]) * (draws[k * E + e] - last[e]) / (DRAWS - 1);
        // 5.7e-7 false alarms an entry of a symmetric matrix
        test_assert_mean (last[e], exact[e], sqrt (variance / DRAWS));
    }
    for (gsize k = 0; k < DRAWS; k++) // of the first entry
        single += (draws[k * E] - last[0]) * (draws[k * E] - last[0]) / (DRAWS - 1);
    for (gsize g = 0; g < GROUPS; g++) {
        double mean = 0;

        for (gsize k = 0; k < GROUP; k++)
            mean += draws[(g * GROUP + k) * E] / GROUP;
        grouped += (mean - last[0]) * (mean - last[0]) / (GROUPS - 1);
    }
    // chi^2 with 63 degrees of freedom, over 63, is outside [0.35, 2.2] once in 3 million: the rate
    // is n^-1/2 to within log (2.2) / (2 log 64) = 0.1 in the exponent.
    ratio = grouped * GROUP / single;
    g_test_message ("variance of means of 64 draws: %.3f of a 64th", ratio);
    if (!(ratio > 0.35 && ratio < 2.2))
        test_fail ("variance of means of %d draws is %g times that of a draw over %d", GROUP, ratio,
                   GROUP);
}

/* 9: pi^2 is the ratio of the mean eigenvalues; the step does not feel c A, G / c. */
static void
pi_splits_damping (void)
{
    static const double scales[] = {1, 37.5, 1e-3};
    double before[NL], step[3][NL];

    for (guint s = 0; s < G_N_ELEMENTS (scales); s++) {
        g_auto (Bench) b = {0};
        double *a, *g, ta = 0, tg = 0, pi, product[(I + 1) * (I + 1)], damped[(I + 1) * (I + 1)];

        open_real (&b, linear_net,
                   "lr=1 momentum=0 kl_clip=0 statistics=1000 inverses=1 damping=0.04 burn_in=2 "
                   "fisher=exact");
        bench_step (&b);
        a = bench_value (&b, "kfac/m/l0/weight/A");
        g = bench_value (&b, "kfac/m/l0/weight/G");
        for (guint i = 0; i < (I + 1) * (I + 1); i++)
            a[i] *= scales[s];
        for (guint i = 0; i < Z * Z; i++)
            g[i] /= scales[s];
        bench_step (&b); // inverts them
        for (guint i = 0; i <= I; i++)
            ta += a[i * (I + 2)] / (I + 1);
        for (guint i = 0; i < Z; i++)
            tg += g[i * (Z + 1)] / Z;
        pi = sqrt (ta / tg);
        memcpy (damped, a, sizeof damped);
        for (guint i = 0; i <= I; i++)
            damped[i * (I + 2)] += 0.2 * pi;
        dense_multiply (bench_value (&b, "kfac/m/l0/weight/inverse_A"), damped, product, I + 1,
                        I + 1, I + 1);
        for (guint i = 0; i < (I + 1) * (I + 1); i++) {
            const double one = i % (I + 2) == 0;

            test_assert_within (&product[i], &one, 1, 1e-13);
        }
        memcpy (before, bench_value (&b, "m/l0/weight"), Z * I * sizeof (double));
        memcpy (before + Z * I, bench_value (&b, "m/l0/bias"), Z * sizeof (double));
        bench_step (&b);
        memcpy (step[s], bench_value (&b, "m/l0/weight"), Z * I * sizeof (double));
        memcpy (step[s] + Z * I, bench_value (&b, "m/l0/bias"), Z * sizeof (double));
        for (guint i = 0; i < NL; i++)
            step[s][i] -= before[i];
        test_assert_within (step[s], step[0], NL, 1e-13);
    }
}

/* 12: a 1 x 1 kernel on pictures of one pixel is a dense layer, to the bit. All numbers are
 * multiples of 1/8 and the batch is a power of 2, so that no sum depends on its order, and what is
 * left is what K-FAC does with them. */

static gboolean one_pixel; /* whether the next net is a convolution */

static gboolean
pixel_net (BUILD_ARGUMENTS)
{
    DlhNode *zero = dlh_full (b->graph, DLH_F64, dlh_shape (1), 0), *w, *c;
    const gint64 n = dlh_node_dim (x, 0);

    BUILD_UNUSED;
    w = dlh_parameter (b->graph, b->store, "weight",
                       one_pixel ? dlh_shape (Z, I, 1, 1) : dlh_shape (Z, I), start);
    c = dlh_parameter (b->graph, b->store, "bias", dlh_shape (Z), start);
    if (one_pixel)
        x = dlh_flatten (
            dlh_conv2d (dlh_reshape (x, dlh_shape (n, I, 1, 1)), w, c, (DlhConv)DLH_CONV_DEFAULT),
            1);
    else
        x = dlh_linear (x, w, c);
    dlh_objective_predict (objective, dlh_gaussian (x, zero, 1), y);
    return TRUE;
}

static DlhTensor *
eighths (DlhTensor *t)
{
    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, round (8 * dlh_tensor_get (t, i)) / 8);
    return t;
}

static void
one_pixel_is_dense (void)
{
    static const char *const names[] = {"kfac/m/weight/A", "kfac/m/weight/G",
                                        "kfac/m/weight/inverse_A", "m/weight", "m/bias"};
    g_auto (Bench) dense = {0}, pixel = {0};

    for (guint i = 0; i < 2; i++) {
        Bench *b = i ? &pixel : &dense;
        DlhShape shape = i ? dlh_shape (Z, I, 1, 1) : dlh_shape (Z, I);

        one_pixel = i;
        b->store = dlh_store_new (3, DLH_F64);
        eighths (dlh_variable_tensor (
            dlh_store_variable (b->store, "m/weight", DLH_F64, shape, start, NULL)));
        eighths (dlh_variable_tensor (
            dlh_store_variable (b->store, "m/bias", DLH_F64, dlh_shape (Z), start, NULL)));
        bench_open (b, pixel_net, "kfac", "statistics=1 inverses=1 fisher=empirical",
                    eighths (test_tensor_random (DLH_F64, dlh_shape (16, I), 1)),
                    eighths (test_tensor_random (DLH_F64, dlh_shape (16, Z), 2)));
        bench_step (b);
        bench_step (b);
    }
    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        const DlhTensor *want = bench_tensor (&dense, names[i]);
        const int n = (int)dlh_tensor_count (want) * (int)sizeof (double);

        g_assert_cmpmem (dlh_tensor_get_data (want), n, bench_value (&pixel, "%s", names[i]), n);
    }
    g_assert_cmpfloat (bench_value (&dense, "m/bias")[0], !=,
                       round (8 * bench_value (&dense, "m/bias")[0]) / 8); // it has moved
}

/* 13: || F - F_EKFAC || <= || F - F_KFAC ||, F the samples' own; and equality of the two where a
 * and g are independent. */

// Runs EK-FAC on real targets, so that every step sees the same g; F, F_EKFAC and F_KFAC.
static void
three_matrices (DlhTensor *x, DlhTensor *y, double *f, double *ekfac, double *kfac)
{
    enum { A = I + 1 };
    const gsize cases = (gsize)dlh_tensor_get_shape (x).dims[0];
    const double *w, *c, *a, *g, *qa, *qg, *s;
    g_auto (Bench) b = {0};

    bench_open (&b, unit_net, "kfac",
                "inverse=ekfac fisher=empirical statistics=1 inverses=1000 decay=0 burn_in=1 "
                "lr=1e-300 momentum=0",
                x, y);
    bench_step (&b); // finds the basis
    bench_step (&b); // measures in it; the step size moves nothing
    w = bench_value (&b, "m/l0/weight");
    c = bench_value (&b, "m/l0/bias");
    a = bench_value (&b, "kfac/m/l0/weight/A");
    g = bench_value (&b, "kfac/m/l0/weight/G");
    qa = bench_value (&b, "kfac/m/l0/weight/basis_A");
    qg = bench_value (&b, "kfac/m/l0/weight/basis_G");
    s = bench_value (&b, "kfac/m/l0/weight/S");
    memset (f, 0, NL * NL * sizeof *f);
    for (gsize n = 0; n < cases; n++) {
        double v[NL];

        for (gsize r = 0; r < NL; r++) {
            const gsize o = r / A;
            double slope = c[o] - dlh_tensor_get (y, (gint64)(n * Z + o));

            for (gsize i = 0; i < I; i++)
                slope += w[o * I + i] * input (&b, n, i);
            v[r] = slope * input (&b, n, r % A);
        }
        for (gsize r = 0; r < NL * NL; r++)
            f[r] += v[r / NL] * v[r % NL] / (double)cases;
    }
    for (gsize r = 0; r < NL * NL; r++) {
        ekfac[r] = 0;
        kfac[r] = kron_at (a, A, g, Z, r / NL, r % NL);
        for (gsize k = 0; k < NL; k++) {
            const gsize o = k / A, i = k % A;

            ekfac[r] += s[k] * qg[r / NL / A * Z + o] * qa[r / NL % A * A + i] *
                        qg[r % NL / A * Z + o] * qa[r % NL % A * A + i];
        }
    }
}

static double
distance (const double *a, const double *b)
{
    double sum = 0;

    for (gsize i = 0; i < NL * NL; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt (sum);
}

static void
ekfac_is_nearer (void)
{
    double f[NL * NL], ekfac[NL * NL], kfac[NL * NL];

    for (guint seed = 0; seed < 5; seed++) {
        double near, far;

        three_matrices (test_tensor_random (DLH_F64, dlh_shape (B, I), 10 + seed),
                        test_tensor_random (DLH_F64, dlh_shape (B, Z), 20 + seed), f, ekfac, kfac);
        near = distance (f, ekfac);
        far = distance (f, kfac);
        g_test_message ("EK-FAC %.4f, K-FAC %.4f from the Fisher", near, far);
        if (!(near < 0.999 * far)) // and strictly so on such samples
            test_fail ("EK-FAC is %g from the Fisher, K-FAC %g", near, far);
    }
}

// Every input with every slope: y = W x + b - g for a grid of (x, g).
static void
ekfac_equal_when_independent (void)
{
    enum { X = 5, G = 4 };
    DlhTensor *x = dlh_tensor_new (DLH_F64, dlh_shape (X * G, I), NULL);
    DlhTensor *y = dlh_tensor_new (DLH_F64, dlh_shape (X * G, Z), NULL);
    double f[NL * NL], ekfac[NL * NL], kfac[NL * NL], a[X * I], g[G * Z];

    test_random (1, a, X * I);
    test_random (2, g, G * Z);
    {
        g_auto (Bench) b = {0}; // for its first weights

        open_real (&b, unit_net, "");
        bench_step (&b);
        for (gint64 n = 0; n < X * G; n++) {
            for (gint64 i = 0; i < I; i++)
                dlh_tensor_set (x, n * I + i, a[n / G * I + i]);
            for (gint64 o = 0; o < Z; o++) {
                double z = bench_value (&b, "m/l0/bias")[o];

                for (gint64 i = 0; i < I; i++)
                    z += bench_value (&b, "m/l0/weight")[o * I + i] * a[n / G * I + i];
                dlh_tensor_set (y, n * Z + o, z - g[n % G * Z + o]);
            }
        }
    }
    three_matrices (x, y, f, ekfac, kfac);
    test_assert_within (kfac, f, NL * NL, 1e-13);
    test_assert_within (ekfac, f, NL * NL, 1e-13);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac-checks/correlated-gaussian/step-is-newton",
                     correlated_gaussian_is_newton);
    g_test_add_func ("/kfac-checks/deep-linear/block-is-fisher", deep_linear_is_fisher);
    g_test_add_func ("/kfac-checks/sampled-metric/rate-of-means", sampled_rate);
    g_test_add_func ("/kfac-checks/pi/splits-the-damping", pi_splits_damping);
    g_test_add_func ("/kfac-checks/one-pixel/is-dense-to-the-bit", one_pixel_is_dense);
    g_test_add_func ("/kfac-checks/ekfac/nearer-than-kfac", ekfac_is_nearer);
    g_test_add_func ("/kfac-checks/ekfac/equal-when-independent", ekfac_equal_when_independent);
    return g_test_run ();
}
