/* SPDX-License-Identifier: MIT */
/* Mixtures of Gaussians against double loops over all pairs, at sizes that are cut into parts, and
 * what the estimators of log q(z) of arXiv 1802.04942 must do: unbiased weights, and the means that
 * enumeration and quadrature give for four Gaussians in the plane. */
#include "test.h"

#define HALF_LOG_2PI 0.91893853320467274178

typedef struct {
    gint64 m, k, d;
    DlhMixtureWeights w;
} Sizes;

static double
log_weight (const Sizes *s, gint64 i, gint64 j)
{
    if (s->m == s->k && j == i)
        return s->w.own;
    return s->m == s->k && j == (i + 1) % s->k ? s->w.next : s->w.others;
}

static double
term (const Sizes *s, const double *z, const double *mean, const double *l, gint64 i, gint64 j,
      gint64 d)
{
    const double t = (z[i * s->d + d] - mean[j * s->d + d]) * exp (-l[j * s->d + d]);

    return -0.5 * t * t - l[j * s->d + d] - HALF_LOG_2PI;
}

// log w_ij + L_ijd, or the sum over d for the last column.
static double
weighted (const Sizes *s, const double *z, const double *mean, const double *l, gint64 i, gint64 j,
          gint64 d)
{
    double sum = log_weight (s, i, j);

    for (gint64 e = 0; e < s->d; e++)
        if (d == s->d || d == e)
            sum += term (s, z, mean, l, i, j, e);
    return sum;
}

static void
naive_values (const Sizes *s, const double *z, const double *mean, const double *l, double *y)
{
    for (gint64 i = 0; i < s->m; i++)
        for (gint64 d = 0; d <= s->d; d++) {
            double max = -INFINITY, sum = 0;

            for (gint64 j = 0; j < s->k; j++)
                max = fmax (max, weighted (s, z, mean, l, i, j, d));
            for (gint64 j = 0; j < s->k; j++)
                sum += exp (weighted (s, z, mean, l, i, j, d) - max);
            y[i * (s->d + 1) + d] = max + log (sum);
        }
}

// Of <y, dy>; @g: by z, mean and log deviation.
static void
naive_gradient (const Sizes *s, const double *z, const double *mean, const double *l,
                const double *y, const double *dy, double *const *g)
{
    for (gint64 i = 0; i < s->m; i++)
        for (gint64 j = 0; j < s->k; j++) {
            const gint64 row = i * (s->d + 1);
            const double joint =
                dy[row + s->d] * exp (weighted (s, z, mean, l, i, j, s->d) - y[row + s->d]);

            for (gint64 d = 0; d < s->d; d++) {
                const double inv = exp (-l[j * s->d + d]);
                const double t = (z[i * s->d + d] - mean[j * s->d + d]) * inv;
                const double a =
                    joint + dy[row + d] * exp (weighted (s, z, mean, l, i, j, d) - y[row + d]);

                g[0][i * s->d + d] -= a * t * inv;
                g[1][j * s->d + d] += a * t * inv;
                g[2][j * s->d + d] += a * (t * t - 1);
            }
        }
}

static void
against_loops (gconstpointer data)
{
    const Sizes *s = data;
    const DlhShape shapes[] = {dlh_shape (s->m, s->d), dlh_shape (s->k, s->d),
                               dlh_shape (s->k, s->d), dlh_shape (s->m, s->d + 1)};
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) f = NULL;
    DlhTensor *in[4];
    DlhNode *x[4], *out[4];
    double *v[4], *g[3];
    g_autofree double *y = g_new (double, s->m *(s->d + 1));

    for (guint i = 0; i < 4; i++) {
        in[i] = test_tensor_random (DLH_F64, shapes[i], 5 + i);
        v[i] = dlh_tensor_get_data (in[i]);
        x[i] = dlh_input (graph, "x", DLH_F64, shapes[i]);
    }
    for (gint64 j = 0; j < s->k * s->d; j++)
        v[2][j] *= 0.5;
    for (guint i = 0; i < 3; i++)
        g[i] = g_new0 (double, dlh_tensor_count (in[i]));
    out[0] = dlh_gaussian_mixture (x[0], x[1], x[2], s->w);
    dlh_gradients (out[0], x, 3, x[3], out + 1);
    f = dlh_graph_compile (graph, out, 4, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_function_run (f, in, 4, &error));
    naive_values (s, v[0], v[1], v[2], y);
    naive_gradient (s, v[0], v[1], v[2], y, v[3], g);
    // Beside values of order 10; gradients are sums over the points.
    test_assert_tensor_within (dlh_function_output (f, 0), y, s->m * (s->d + 1), 1e-12);
    for (guint i = 0; i < 3; i++)
        test_assert_tensor_within (dlh_function_output (f, 1 + i), g[i], dlh_tensor_count (in[i]),
                                   1e-12 * (i ? (double)s->m : 10));
    for (guint i = 0; i < 4; i++)
        dlh_tensor_unref (in[i]);
    for (guint i = 0; i < 3; i++)
        g_free (g[i]);
}

// Points that no component is near: logarithms, not 0 and infinity.
static void
far_away (void)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) z = test_tensor (DLH_F64, dlh_shape (1, 2), 1000, -1000);
    g_autoptr (DlhTensor) mean = test_tensor (DLH_F64, dlh_shape (2, 2), 0, 0, 1, 1);
    DlhNode *l = dlh_full (graph, DLH_F64, dlh_shape (2, 2), 0);
    g_autoptr (DlhTensor) y =
        test_run (dlh_gaussian_mixture (dlh_constant (graph, z), dlh_constant (graph, mean), l,
                                        (DlhMixtureWeights){-1, -1, -1}),
                  NULL, 0);
    // Along each axis the nearer component leads by e^999; together their distances differ by 2.
    const double want[] = {-1 - 0.5 * 999 * 999 - HALF_LOG_2PI, -1 - 0.5e6 - HALF_LOG_2PI,
                           -1 - 1e6 - 2 * HALF_LOG_2PI + log1p (exp (-1))};

    test_assert_within (dlh_tensor_get_data (y), want, 3, 1e-9);
}

/* Draws without replacement of B among N = 5, weights of stratified sampling. */

#define N 5
#define POINTS 100

typedef struct {
    gint64 b;
    double z[POINTS], density[N][POINTS], sum[N][POINTS];
    DlhFunction *f;
    DlhTensor *in[2];
    guint n_draws;
    gint64 chosen[N];
} Draws;

static double
normal (double x, double mean, double std)
{
    return exp (-0.5 * (x - mean) * (x - mean) / (std * std)) / (std * sqrt (2 * G_PI));
}

static DlhMixtureWeights
stratified (gint64 b, gboolean equal)
{
    const double n = N, m = (double)b - 1;

    if (equal)
        return (DlhMixtureWeights){-log (n), log ((n - 1) / (n * m)), log ((n - 1) / (n * m))};
    return (DlhMixtureWeights){-log (n), log ((n - m) / (n * m)), -log (m)};
}

// Calls @add for each ordered draw.
static void
visit (Draws *d, void (*add) (Draws *d))
{
    for (gint64 at = 0; at < d->b; at++)
        if (d->chosen[at] < 0) {
            for (gint64 n = 0; n < N; n++) {
                gboolean taken = FALSE;

                for (gint64 i = 0; i < at; i++)
                    taken |= d->chosen[i] == n;
                if (taken)
                    continue;
                d->chosen[at] = n;
                visit (d, add);
            }
            d->chosen[at] = -1;
            return;
        }
    add (d);
    d->n_draws++;
}

static const double means[N] = {-1, 0.5, 0.2, 1.5, -0.3}, stds[N] = {0.5, 0.4, 1, 0.8, 0.6};

static void
add_ours (Draws *d)
{
    for (gint64 i = 0; i < d->b; i++) {
        dlh_tensor_set (d->in[1], i, means[d->chosen[i]]);
        dlh_tensor_set (d->in[1], d->b + i, log (stds[d->chosen[i]]));
    }
    for (guint p = 0; p < POINTS; p++) {
        for (gint64 i = 0; i < d->b; i++)
            dlh_tensor_set (d->in[0], i, d->z[p]);
        g_assert_true (dlh_function_run (d->f, d->in, 2, NULL));
        for (gint64 i = 0; i < d->b; i++)
            d->sum[i][p] += exp (dlh_tensor_get (dlh_function_output (d->f, 0), 2 * i + 1));
    }
}

// The matrix of the official code: strides that fill columns 0 and 1, and a corner.
static void
add_official (Draws *d)
{
    const gint64 b = d->b;
    const double m = (double)b - 1, strat = (N - m) / (N * m);
    double w[N * N];

    for (gint64 i = 0; i < b * b; i++)
        w[i] = 1 / m;
    for (gint64 i = 0; i < b * b; i += b)
        w[i] = 1.0 / N;
    for (gint64 i = 1; i < b * b; i += b)
        w[i] = strat;
    w[(b - 2) * b] = strat;
    for (guint p = 0; p < POINTS; p++)
        for (gint64 i = 0; i < b; i++)
            for (gint64 j = 0; j < b; j++)
                d->sum[i][p] += w[i * b + j] * d->density[d->chosen[j]][p];
}

// The largest difference of a row's average from q(z).
static double
worst_bias (gint64 b, gboolean equal, void (*add) (Draws *d))
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhNode *z = dlh_input (graph, "z", DLH_F64, dlh_shape (b, 1));
    DlhNode *q = dlh_input (graph, "q", DLH_F64, dlh_shape (2 * b, 1)), *y;
    Draws d = {.b = b};
    double worst = 0;

    y = dlh_gaussian_mixture (z, dlh_slice (q, 0, 0, b, 1), dlh_slice (q, 0, b, 2 * b, 1),
                              stratified (b, equal));
    d.f = dlh_graph_compile (graph, &y, 1, NULL);
    d.in[0] = dlh_tensor_new (DLH_F64, dlh_shape (b, 1), NULL);
    d.in[1] = dlh_tensor_new (DLH_F64, dlh_shape (2 * b, 1), NULL);
    test_random (3, d.z, POINTS);
    for (guint n = 0; n < N; n++)
        for (guint p = 0; p < POINTS; p++)
            d.density[n][p] = normal (d.z[p], means[n], stds[n]);
    for (gint64 i = 0; i < N; i++)
        d.chosen[i] = -1;
    visit (&d, add);
    for (guint p = 0; p < POINTS; p++) {
        double want = 0;

        for (guint n = 0; n < N; n++)
            want += d.density[n][p] / N;
        for (gint64 i = 0; i < b; i++)
            worst = fmax (worst, fabs (d.sum[i][p] / d.n_draws - want));
    }
    dlh_function_unref (d.f);
    dlh_tensor_unref (d.in[0]);
    dlh_tensor_unref (d.in[1]);
    return worst;
}

static void
stratified_unbiased (void)
{
    for (gint64 b = 2; b <= N; b++) {
        g_assert_cmpfloat (worst_bias (b, FALSE, add_ours), <, 1e-14);
        g_assert_cmpfloat (worst_bias (b, TRUE, add_ours), <, 1e-14);
    }
}

static void
official_matrix_biased (void)
{
    for (gint64 b = 3; b <= N; b++)
        g_assert_cmpfloat (worst_bias (b, FALSE, add_official), >, 1e-3);
}

int
main (int argc, char **argv)
{
    static const Sizes sizes[] = {{1, 1, 1, {-0.5, -0.5, -0.5}},
                                  {70, 70, 3, {-4, -4, -4}},
                                  {70, 70, 3, {-3, -5, -4}},
                                  {33, 130, 2, {-5, -5, -5}},
                                  {600, 600, 2, {-7, -6, -6.5}}};

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
        g_autofree char *path = g_strdup_printf ("/mixture/loops-%u/values-and-gradients", i);

        g_test_add_data_func (path, &sizes[i], against_loops);
    }
    g_test_add_func ("/mixture/far/logarithms", far_away);
    g_test_add_func ("/mixture/stratified/unbiased", stratified_unbiased);
    g_test_add_func ("/mixture/official-matrix/biased", official_matrix_biased);
    return g_test_run ();
}
