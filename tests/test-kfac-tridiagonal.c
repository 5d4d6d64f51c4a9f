/* SPDX-License-Identifier: MIT */
/* The block-tridiagonal inverse against the dense covariance of the chain that it stands for, and
 * the chains that are found in graphs. A tanh net 4-5-3-3 with softmax outputs. */
#include "kfac-bench.h"

enum { LAYERS = 3, B = 40, MAX = 6, BLOCK = MAX * MAX, N = 5 * 5 + 3 * 6 + 3 * 4 };

static const gsize sizes[LAYERS + 1] = {4, 5, 3, 3};

static DlhNode *
layer (DlhBuild *b, const char *name, DlhNode *x, gint64 n)
{
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.6};

    return dlh_dense (b, name, x, n, init, TRUE);
}

#define BUILD_ARGUMENTS                                                                            \
    DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,         \
        DlhObjective *objective, GError **error
#define BUILD_UNUSED (void)problem, (void)options, (void)error

static gboolean
net (BUILD_ARGUMENTS)
{
    BUILD_UNUSED;
    x = dlh_tanh (layer (b, "l0", x, 5));
    x = dlh_tanh (layer (b, "l1", x, 3));
    dlh_objective_classify (objective, layer (b, "l2", x, 3), y);
    return TRUE;
}

static DlhTensor *
classes (gint64 n)
{
    DlhTensor *t = dlh_tensor_new (DLH_I64, dlh_shape (n), NULL);

    for (gint64 i = 0; i < n; i++)
        dlh_tensor_set (t, i, (double)(i * 5 % 7 % 3));
    return t;
}

static void
open_net (Bench *b, BenchModel model, const char *settings)
{
    bench_open (b, model, "kfac", settings, test_tensor_random (DLH_F64, dlh_shape (B, 4), 1),
                classes (B));
}

/* Dense form. Layer l's block has rows (o, i), o * (n_in + 1) + i, so it is G kron A. */

static gsize
in_of (guint l)
{
    return sizes[l] + 1;
}

static gsize
size_of (guint l)
{
    return sizes[l + 1] * in_of (l);
}

static gsize
offset_of (guint l)
{
    gsize n = 0;

    for (guint i = 0; i < l; i++)
        n += size_of (i);
    return n;
}

// (n p x m q): g (n x m) kron a (p x q)
static double *
kron (const double *g, gsize n, gsize m, const double *a, gsize p, gsize q)
{
    double *out = g_new (double, n *p *m *q);

    for (gsize r = 0; r < n * p; r++)
        for (gsize c = 0; c < m * q; c++)
            out[r * m * q + c] = g[r / p * m + c / q] * a[r % p * q + c % q];
    return out;
}

typedef struct {
    double a[MAX * MAX], g[MAX * MAX];   /* damped */
    double a1[MAX * MAX], g1[MAX * MAX]; /* with the next layer */
} Factors;

static void
read_factors (Bench *b, double damping, Factors *f)
{
    for (guint l = 0; l < LAYERS; l++) {
        const gsize n = in_of (l), m = sizes[l + 1];

        memcpy (f[l].a, bench_value (b, "kfac/m/l%u/weight/A", l), n * n * sizeof (double));
        memcpy (f[l].g, bench_value (b, "kfac/m/l%u/weight/G", l), m * m * sizeof (double));
        dense_damp (f[l].a, n, f[l].g, m, damping, 1);
        if (l + 1 == LAYERS)
            continue;
        memcpy (f[l].a1, bench_value (b, "kfac/m/l%u/weight/A_next", l),
                n * in_of (l + 1) * sizeof (double));
        memcpy (f[l].g1, bench_value (b, "kfac/m/l%u/weight/G_next", l),
                m * sizes[l + 2] * sizeof (double));
    }
}

// c1 (n x m) c0^-1 (m x m)
static double *
regression (const double *c1, const double *c0, gsize n, gsize m)
{
    double *p = dense_transpose (c1, n, m), *back;

    dense_solve (c0, m, p, n);
    back = dense_transpose (p, m, n);
    g_free (p);
    return back;
}

static void
put (double *f, guint i, guint j, const double *block)
{
    for (gsize r = 0; r < size_of (i); r++)
        for (gsize c = 0; c < size_of (j); c++) {
            f[(offset_of (i) + r) * N + offset_of (j) + c] = block[r * size_of (j) + c];
            f[(offset_of (j) + c) * N + offset_of (i) + r] = block[r * size_of (j) + c];
        }
}

/* The covariance of the chain: layer i = Psi_i layer i+1 + noise, with the blocks A kron G and
 * A_next kron G_next on and beside the diagonal; further away what follows from these. */
static void
chain_covariance (const Factors *f, double *out)
{
    for (guint l = 0; l < LAYERS; l++) {
        g_autofree double *own =
            kron (f[l].g, sizes[l + 1], sizes[l + 1], f[l].a, in_of (l), in_of (l));

        put (out, l, l, own);
    }
    for (guint l = LAYERS - 1; l-- > 0;) {
        g_autofree double *pa = regression (f[l].a1, f[l + 1].a, in_of (l), in_of (l + 1));
        g_autofree double *pg = regression (f[l].g1, f[l + 1].g, sizes[l + 1], sizes[l + 2]);
        g_autofree double *psi =
            kron (pg, sizes[l + 1], sizes[l + 2], pa, in_of (l), in_of (l + 1));

        for (guint j = l + 1; j < LAYERS; j++) { // Cov (l, j) = Psi Cov (l + 1, j)
            g_autofree double *c = g_new (double, size_of (l + 1) * size_of (j));
            g_autofree double *product = g_new (double, size_of (l) * size_of (j));

            for (gsize r = 0; r < size_of (l + 1); r++)
                memcpy (c + r * size_of (j), out + (offset_of (l + 1) + r) * N + offset_of (j),
                        size_of (j) * sizeof *c);
            dense_multiply (psi, c, product, size_of (l), size_of (l + 1), size_of (j));
            put (out, l, j, product);
        }
    }
}

// All gradients, in the order of the dense form.
static void
read_gradient (Bench *b, double *v)
{
    for (guint l = 0; l < LAYERS; l++) {
        g_autofree char *weight = g_strdup_printf ("m/l%u/weight", l);
        g_autofree char *bias = g_strdup_printf ("m/l%u/bias", l);
        g_autofree double *w = bench_gradient (b, weight), *c = bench_gradient (b, bias);

        for (gsize o = 0; o < sizes[l + 1]; o++)
            for (gsize i = 0; i < in_of (l); i++)
                *v++ = i < sizes[l] ? w[o * sizes[l] + i] : c[o];
    }
}

static void
read_weights (Bench *b, double *v)
{
    for (guint l = 0; l < LAYERS; l++) {
        const double *w = bench_value (b, "m/l%u/weight", l), *c = bench_value (b, "m/l%u/bias", l);

        for (gsize o = 0; o < sizes[l + 1]; o++)
            for (gsize i = 0; i < in_of (l); i++)
                *v++ = i < sizes[l] ? w[o * sizes[l] + i] : c[o];
    }
}

#define SETTINGS                                                                                   \
    "structure=tridiagonal lr=1 momentum=0 kl_clip=0 statistics=1 inverses=1 fisher=exact "

static void
update_is_dense (void)
{
    Factors f[LAYERS];
    g_autofree double *covariance = g_new0 (double, N *N);
    double u[N], before[N], after[N], scale = 0;
    g_auto (Bench) b = {0};

    open_net (&b, net, SETTINGS "damping=0.01");
    bench_step (&b); // collects
    bench_has_note (&b, "m/l0/weight: linear, Kronecker factors 5 x 5, layer 1 of 3 of a chain");
    bench_has_note (&b, "m/l2/weight: linear, Kronecker factors 4 x 3, layer 3 of 3 of a chain");
    read_factors (&b, 0.01, f);
    chain_covariance (f, covariance);
    read_gradient (&b, u);
    read_weights (&b, before);
    bench_step (&b);
    read_weights (&b, after);
    dense_solve (covariance, N, u, 1);
    for (gsize i = 0; i < N; i++)
        scale = MAX (scale, fabs (u[i]));
    for (gsize i = 0; i < N; i++) {
        const double moved = before[i] - after[i];

        test_assert_within (&moved, &u[i], 1, 1e-11 * MAX (scale, 1));
    }
}

/* The moments between layers, by loops over cases from the definition: g of layer l for column c of
 * the Fisher's root is J_l' R_c, so the sum over columns is J_l' F J_{l+1} with F = diag p - p p'.
 */
static void
moments_are_loops (void)
{
    double a1[MAX * MAX] = {0}, g1[MAX * MAX] = {0};
    const double *x, *w[LAYERS], *c[LAYERS];
    g_auto (Bench) b = {0};

    open_net (&b, net, SETTINGS "damping=0.01");
    for (guint pass = 0; pass < 2; pass++) {
        if (pass == 0) {
            bench_step (&b);
            x = dlh_tensor_get_data (b.x);
            for (guint l = 0; l < LAYERS; l++) {
                w[l] = bench_value (&b, "m/l%u/weight", l);
                c[l] = bench_value (&b, "m/l%u/bias", l);
            }
        }
        // Layers 0 and 1 at pass 0: their inputs are (x, 1) and (h0, 1); then 1 and 2.
        memset (a1, 0, sizeof a1);
        memset (g1, 0, sizeof g1);
        for (gsize n = 0; n < B; n++) {
            double h[LAYERS + 1][MAX] = {{0}}, p[3], sum = 0, j[LAYERS][MAX][3] = {{{0}}};

            memcpy (h[0], x + n * sizes[0], sizes[0] * sizeof (double));
            for (guint l = 0; l < LAYERS; l++) {
                h[l][sizes[l]] = 1;
                for (gsize o = 0; o < sizes[l + 1]; o++) {
                    double s = c[l][o];

                    for (gsize i = 0; i < sizes[l]; i++)
                        s += w[l][o * sizes[l] + i] * h[l][i];
                    h[l + 1][o] = l + 1 < LAYERS ? tanh (s) : exp (s);
                }
            }
            for (gsize o = 0; o < 3; o++)
                sum += h[LAYERS][o];
            for (gsize o = 0; o < 3; o++) {
                p[o] = h[LAYERS][o] / sum;
                j[LAYERS - 1][o][o] = 1;
            }
            for (guint l = LAYERS - 1; l-- > 0;) // dz / ds_l
                for (gsize i = 0; i < sizes[l + 1]; i++)
                    for (gsize k = 0; k < 3; k++)
                        for (gsize o = 0; o < sizes[l + 2]; o++)
                            j[l][i][k] += (1 - h[l + 1][i] * h[l + 1][i]) *
                                          w[l + 1][o * sizes[l + 1] + i] * j[l + 1][o][k];
            for (gsize i = 0; i < in_of (pass); i++)
                for (gsize k = 0; k < in_of (pass + 1); k++)
                    a1[i * in_of (pass + 1) + k] += h[pass][i] * h[pass + 1][k] / B;
            for (gsize i = 0; i < sizes[pass + 1]; i++)
                for (gsize o = 0; o < sizes[pass + 2]; o++)
                    for (gsize q = 0; q < 3; q++)
                        for (gsize r = 0; r < 3; r++)
                            g1[i * sizes[pass + 2] + o] += j[pass][i][q] * j[pass + 1][o][r] *
                                                           ((q == r) * p[q] - p[q] * p[r]) / B;
        }
        test_assert_within (bench_value (&b, "kfac/m/l%u/weight/A_next", pass), a1,
                            in_of (pass) * in_of (pass + 1), 1e-14 * 4);
        test_assert_within (bench_value (&b, "kfac/m/l%u/weight/G_next", pass), g1,
                            sizes[pass + 1] * sizes[pass + 2], 1e-14);
    }
}

// Without correlations between layers the chain is the block-diagonal form.
static void
no_correlation_is_diagonal (void)
{
    double steps[2][N], before[N];

    for (guint i = 0; i < 2; i++) {
        g_auto (Bench) b = {0};

        // After the second step the statistics stand; correlations are then taken away.
        open_net (
            &b, net,
            i ? "lr=1 momentum=0 kl_clip=0 statistics=1000 inverses=1 fisher=exact damping=0.01"
              : "structure=tridiagonal lr=1 momentum=0 kl_clip=0 statistics=1000 inverses=1 "
                "fisher=exact damping=0.01 burn_in=3");
        bench_step (&b);
        if (i == 0) {
            for (guint l = 0; l + 1 < LAYERS; l++) {
                memset (bench_value (&b, "kfac/m/l%u/weight/A_next", l), 0,
                        in_of (l) * in_of (l + 1) * sizeof (double));
                memset (bench_value (&b, "kfac/m/l%u/weight/G_next", l), 0,
                        sizes[l + 1] * sizes[l + 2] * sizeof (double));
            }
            bench_step (&b);
            bench_step (&b);
        }
        read_weights (&b, before);
        bench_step (&b);
        read_weights (&b, steps[i]);
        for (gsize k = 0; k < N; k++)
            steps[i][k] -= before[k];
    }
    test_assert_within (steps[0], steps[1], N, 1e-11);
}

/* Chains in graphs. */

static gboolean
branches (BUILD_ARGUMENTS)
{
    DlhNode *h, *left, *right;

    BUILD_UNUSED;
    h = dlh_relu (layer (b, "trunk", x, 5));
    left = dlh_relu (layer (b, "left", h, 4));
    left = dlh_relu (layer (b, "left2", left, 4));
    right = dlh_relu (layer (b, "right", h, 4));
    dlh_objective_classify (objective, layer (b, "out", dlh_add (left, right), 3), y);
    return TRUE;
}

static void
branches_cut (void)
{
    g_auto (Bench) b = {0}, strict = {0};

    open_net (&b, branches, "structure=tridiagonal");
    bench_step (&b);
    bench_has_note (&b, "m/trunk/weight: linear, Kronecker factors 5 x 5, in no chain: it is the "
                        "only layer");
    bench_has_note (&b, "m/left/weight: linear, Kronecker factors 6 x 4, layer 1 of 2 of a chain: "
                        "the layer before it leads into several");
    bench_has_note (&b, "m/left2/weight: linear, Kronecker factors 5 x 4, layer 2 of 2 of a chain");
    bench_has_note (&b, "m/right/weight: linear, Kronecker factors 6 x 4, in no chain: the layer "
                        "before it leads into several");
    bench_has_note (&b, "m/out/weight: linear, Kronecker factors 5 x 3, in no chain: several "
                        "layers lead into it");
    open_net (&strict, branches, "structure=tridiagonal strict=true");
    bench_refuses (&strict, DLH_ERROR_OPTION, "would break the chain of layers and strict is set");
}

static gboolean
mixed (BUILD_ARGUMENTS)
{
    const DlhInit init = {DLH_INIT_NORMAL, 0, 0.6};
    DlhNode *h, *w;

    BUILD_UNUSED;
    h = dlh_reshape (x, dlh_shape (B, 1, 2, 2));
    h = dlh_flatten (
        dlh_tanh (dlh_conv_layer (b, "conv", h, 3, 2, 2, (DlhConv)DLH_CONV_DEFAULT, init, TRUE)),
        1);
    h = dlh_batch_norm (b, "norm", layer (b, "first", h, 4), 1, 0.1, 1e-5);
    h = layer (b, "second", dlh_tanh (h), 4);
    w = dlh_parameter (b->graph, b->store, "twice", dlh_shape (4, 4), init);
    h = dlh_linear (dlh_tanh (dlh_linear (dlh_tanh (h), w, NULL)), w, NULL);
    h = layer (b, "third", dlh_tanh (h), 3);
    dlh_objective_classify (objective, h, y);
    return TRUE;
}

static void
mixed_longest (void)
{
    g_auto (Bench) b = {0};

    open_net (&b, mixed, "structure=tridiagonal");
    bench_step (&b);
    bench_has_note (&b, "m/conv/weight: conv2d, Kronecker factors 5 x 3, in no chain: with its "
                        "neighbours a convolution has no Kronecker form");
    bench_has_note (&b, "m/first/weight: linear, Kronecker factors 4 x 4, layer 1 of 2 of a chain: "
                        "what comes before it is in no chain");
    bench_has_note (&b, "m/norm/scale: scale or shift, full block of 4, in no chain: a scale or "
                        "shift has no Kronecker factors");
    bench_has_note (&b,
                    "m/second/weight: linear, Kronecker factors 5 x 4, layer 2 of 2 of a chain");
    bench_has_note (&b, "m/twice: linear, Kronecker factors 4 x 4, shared by 2 steps, in no chain: "
                        "its weight is shared");
    bench_has_note (&b, "m/third/weight: linear, Kronecker factors 5 x 3, in no chain: what comes "
                        "before it is in no chain");
}

static void
ekfac_is_refused (void)
{
    g_auto (Bench) b = {0};

    open_net (&b, net, "structure=tridiagonal inverse=ekfac");
    bench_refuses (&b, DLH_ERROR_OPTION, "structure=tridiagonal has no form for inverse=ekfac");
}

static void
strict_accepts_chain (void)
{
    g_auto (Bench) b = {0};

    open_net (&b, net, "structure=tridiagonal strict=true");
    bench_step (&b);
}

// A run: the loss falls, in f32 as well, and faster than without the correlations at first order.
static void
training_learns (void)
{
    for (guint i = 0; i < 2; i++) {
        g_auto (Bench) b = {.store = dlh_store_new (3, i ? DLH_F32 : DLH_F64)};
        g_autoptr (DlhTensor) x = test_tensor_random (DLH_F32, dlh_shape (B, 4), 1);
        double first = NAN, last = NAN;

        bench_open (&b, net, "kfac", "structure=tridiagonal inverses=5 statistics=1 damping=0.03",
                    i ? dlh_tensor_ref (x) : test_tensor_random (DLH_F64, dlh_shape (B, 4), 1),
                    classes (B));
        for (guint t = 0; t < 150; t++) {
            bench_step (&b);
            last = dlh_trainer_value (b.trainer, 0);
            first = t ? first : last;
        }
        g_test_message ("loss %g to %g", first, last);
        if (!(last < 0.5 * first))
            test_fail ("loss %g after 150 steps, %g at first", last, first);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac-tridiagonal/update/is-dense-chain-solve", update_is_dense);
    g_test_add_func ("/kfac-tridiagonal/moments/are-loops", moments_are_loops);
    g_test_add_func ("/kfac-tridiagonal/no-correlation/is-block-diagonal",
                     no_correlation_is_diagonal);
    g_test_add_func ("/kfac-tridiagonal/branches/cut-the-chain", branches_cut);
    g_test_add_func ("/kfac-tridiagonal/mixed-layers/longest-chains", mixed_longest);
    g_test_add_func ("/kfac-tridiagonal/ekfac/is-refused", ekfac_is_refused);
    g_test_add_func ("/kfac-tridiagonal/strict/accepts-a-chain", strict_accepts_chain);
    g_test_add_func ("/kfac-tridiagonal/training/learns", training_learns);
    return g_test_run ();
}
