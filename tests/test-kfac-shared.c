/* SPDX-License-Identifier: MIT */
/* Sheet 5, T3: a recurrent net and its twin under affine maps of states and pre-activations, the
 * same at every time step and of the first state, keep computing the same function when both are
 * trained by undamped K-FAC, whichever way steps are correlated.
 *
 *     s_t = W h_{t-1} + b + x_t,  h_t = tanh s_t,  z = V h_T + c
 *     twin: s'_t = W' h'_{t-1} + b' + Ph^-1 x_t,  h'_t = Om tanh (Ph s'_t + tau) + om,
 *     W = Ph W' Om,  b = Ph (b' + W' om) + tau,  V = V' Om,  c = c' + V' om */
#include "kfac-bench.h"

enum { B = 128, T = 5, N = 4, Z = 3 };

static double om[N * N], ph[N * N], inverse_ph[N * N], shift[N], tau[N];
static gboolean twin; /* whether the next net is the twin */

static DlhNode *
constant (DlhBuild *b, const double *v, DlhShape shape)
{
    g_autoptr (DlhTensor) t = test_tensor_from (DLH_F64, shape, v, (gsize)dlh_shape_count (shape));

    return dlh_constant (b->graph, t);
}

static DlhNode *
affine (DlhBuild *b, DlhNode *x, const double *m, const double *v)
{
    return dlh_linear (x, constant (b, m, dlh_shape (N, N)),
                       v ? constant (b, v, dlh_shape (N)) : NULL);
}

static gboolean
net (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
     DlhObjective *objective, GError **error)
{
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.5};
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (N, N), init);
    DlhNode *c = dlh_parameter (b->graph, b->store, "b", dlh_shape (N), init);
    DlhNode *v = dlh_parameter (b->graph, b->store, "v", dlh_shape (Z, N), init);
    DlhNode *d = dlh_parameter (b->graph, b->store, "c", dlh_shape (Z), init);
    DlhNode *h = dlh_full (b->graph, DLH_F64, dlh_shape (B, N), 0.3);

    (void)problem, (void)options, (void)error;
    h = twin ? affine (b, h, om, shift) : h;
    for (gint64 t = 0; t < T; t++) {
        DlhNode *in = dlh_slice (x, 1, t * N, (t + 1) * N, 1);

        h = dlh_add (dlh_linear (h, w, c), twin ? affine (b, in, inverse_ph, NULL) : in);
        h = dlh_tanh (twin ? affine (b, h, ph, tau) : h);
        h = twin ? affine (b, h, om, shift) : h;
    }
    dlh_objective_classify (objective, dlh_linear (h, v, d), y);
    return TRUE;
}

static void
draw_maps (void)
{
    test_random (1, om, N * N);
    test_random (2, ph, N * N);
    test_random (3, shift, N);
    test_random (4, tau, N);
    for (guint i = 0; i < N * N; i++) {
        om[i] = 0.4 * om[i] + 1.5 * (i % (N + 1) == 0);
        ph[i] = 0.4 * ph[i] + (i % (N + 1) == 0);
        inverse_ph[i] = i % (N + 1) == 0;
    }
    dense_solve (ph, N, inverse_ph, N);
}

// The plain net's W, b, V, c behind the twin's.
static void
map_back (Bench *b, double *w, double *c, double *v, double *d)
{
    double product[N * N];

    dense_multiply (bench_value (b, "m/w"), om, product, N, N, N);
    dense_multiply (ph, product, w, N, N, N);
    dense_multiply (bench_value (b, "m/w"), shift, product, N, N, 1);
    for (guint i = 0; i < N; i++)
        product[i] += bench_value (b, "m/b")[i];
    dense_multiply (ph, product, c, N, N, 1);
    for (guint i = 0; i < N; i++)
        c[i] += tau[i];
    dense_multiply (bench_value (b, "m/v"), om, v, Z, N, N);
    dense_multiply (bench_value (b, "m/v"), shift, d, Z, N, 1);
    for (guint i = 0; i < Z; i++)
        d[i] += bench_value (b, "m/c")[i];
}

static double
largest (const double *got, const double *want, gsize n)
{
    double worst = 0;

    for (gsize i = 0; i < n; i++)
        worst = !(fabs (got[i] - want[i]) <= worst) ? fabs (got[i] - want[i]) : worst;
    return worst;
}

static double
deviation (Bench *plain, Bench *other)
{
    double w[N * N], c[N], v[Z * N], d[Z], worst;

    map_back (other, w, c, v, d);
    worst = MAX (largest (w, bench_value (plain, "m/w"), N * N),
                 largest (c, bench_value (plain, "m/b"), N));
    worst = MAX (worst, largest (v, bench_value (plain, "m/v"), Z * N));
    return MAX (worst, largest (d, bench_value (plain, "m/c"), Z));
}

static void
open_net (Bench *b, gboolean is_twin, const char *settings)
{
    static const char *const names[] = {"m/w", "m/b", "m/v", "m/c"};
    const DlhShape shapes[] = {dlh_shape (N, N), dlh_shape (N), dlh_shape (Z, N), dlh_shape (Z)};
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.5};
    DlhTensor *y = dlh_tensor_new (DLH_I64, dlh_shape (B), NULL);

    twin = is_twin;
    b->store = dlh_store_new (3, DLH_F64);
    for (guint i = 0; i < 4; i++)
        g_assert_nonnull (dlh_store_variable (b->store, names[i], DLH_F64, shapes[i], init, NULL));
    for (gint64 i = 0; i < B; i++)
        dlh_tensor_set (y, i, (double)(i * 5 % 7 % 3));
    bench_open (b, net, "kfac", settings, test_tensor_random (DLH_F64, dlh_shape (B, T * N), 5), y);
}

// The twin's weights from the plain ones: W' = Ph^-1 W Om^-1, b' = Ph^-1 (b - tau) - W' om, ...
static void
map_forth (Bench *plain, Bench *other)
{
    g_autofree double *transposed = dense_transpose (om, N, N);
    g_autofree double *w = dense_transpose (bench_value (plain, "m/w"), N, N), *back = NULL;
    g_autofree double *v = dense_transpose (bench_value (plain, "m/v"), Z, N), *head = NULL;
    double moved[N];

    dense_solve (transposed, N, w, N);
    dense_solve (transposed, N, v, Z);
    back = dense_transpose (w, N, N);
    head = dense_transpose (v, N, Z);
    dense_solve (ph, N, back, N);
    memcpy (bench_value (other, "m/w"), back, N * N * sizeof *back);
    memcpy (bench_value (other, "m/v"), head, Z * N * sizeof *head);
    for (guint i = 0; i < N; i++)
        moved[i] = bench_value (plain, "m/b")[i] - tau[i];
    dense_solve (ph, N, moved, 1);
    for (guint i = 0; i < N; i++)
        for (guint j = 0; j < N; j++)
            moved[i] -= back[i * N + j] * shift[j];
    memcpy (bench_value (other, "m/b"), moved, sizeof moved);
    for (guint i = 0; i < Z; i++) {
        bench_value (other, "m/c")[i] = bench_value (plain, "m/c")[i];
        for (guint j = 0; j < N; j++)
            bench_value (other, "m/c")[i] -= head[i * N + j] * shift[j];
    }
}

static double
run_pair (const char *settings)
{
    double worst = 0, start;
    g_auto (Bench) plain = {0}, other = {0};

    draw_maps ();
    open_net (&plain, FALSE, settings);
    open_net (&other, TRUE, settings);
    map_forth (&plain, &other);
    g_assert_cmpfloat (deviation (&plain, &other), <, 1e-13);
    start = bench_value (&plain, "m/w")[0];
    for (guint t = 0; t < 10; t++) {
        twin = FALSE;
        bench_step (&plain);
        twin = TRUE;
        bench_step (&other);
        worst = MAX (worst, deviation (&plain, &other));
    }
    g_assert_cmpfloat (fabs (bench_value (&plain, "m/w")[0] - start), >, 1e-3);
    g_test_message ("%s: deviation %.3g", settings, worst);
    return worst;
}

#define UNDAMPED "lr=0.1 kl_clip=1e-2 statistics=1 inverses=2 damping=0 inverse=eigen recurrent="
#define DAMPED "lr=0.1 kl_clip=1e-2 statistics=1 inverses=2 damping=0.01 recurrent="

static void
variants_pass (void)
{
    static const char *const settings[] = {UNDAMPED "independence", UNDAMPED "option1",
                                           UNDAMPED "option2"};

    for (guint i = 0; i < G_N_ELEMENTS (settings); i++) {
        const double d = run_pair (settings[i]);

        if (!(d <= 1e-10))
            test_fail ("%s: deviation %g, at most 1e-10", settings[i], d);
    }
}

static void
damped_fails (void)
{
    g_assert_cmpfloat (run_pair (DAMPED "independence"), >, 1e-4);
    g_assert_cmpfloat (run_pair (DAMPED "option1"), >, 1e-4);
    g_assert_cmpfloat (run_pair (DAMPED "option2"), >, 1e-4);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac-shared/undamped/passes", variants_pass);
    g_test_add_func ("/kfac-shared/damped/fails", damped_fails);
    return g_test_run ();
}
