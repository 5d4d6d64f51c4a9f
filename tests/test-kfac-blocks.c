/* SPDX-License-Identifier: MIT */
/* K-FAC's kinds of blocks. Where a block equals the exact Fisher (one layer, Gaussian outputs, one
 * position a case), an undamped step of size 1 is Newton's: the gradient after it is zero.
 * Recurrent blocks are compared with dense solves of the chains that they stand for. */
#include "kfac-bench.h"

enum { B = 24, T = 5, N_IN = 3, N_OUT = 2 };

/* Models of one layer: y ~ N(layer (x), 1). */

typedef DlhNode *(*Layer) (DlhBuild *b, DlhNode *x);

static const DlhInit start = {DLH_INIT_UNIFORM, -0.5, 0.5};

static DlhNode *
grouped_conv (DlhBuild *b, DlhNode *x)
{
    DlhConv conv = DLH_CONV_DEFAULT;
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (4, 2, 2, 2), start);
    DlhNode *c = dlh_parameter (b->graph, b->store, "b", dlh_shape (4), start);

    conv.groups = 2;
    return dlh_flatten (dlh_conv2d (dlh_reshape (x, dlh_shape (B, 4, 2, 2)), w, c, conv), 1);
}

static DlhNode *
transposed_conv (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (16, 2, 2, 3), start);
    DlhConv conv = DLH_CONV_DEFAULT;

    return dlh_flatten (
        dlh_conv_transpose2d (dlh_reshape (x, dlh_shape (B, 16, 1, 1)), w, NULL, conv, 2, 3), 1);
}

static DlhNode *
transposed_bias (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = dlh_full (b->graph, DLH_F64, dlh_shape (16, 2, 2, 3), 0.1);
    DlhNode *c = dlh_parameter (b->graph, b->store, "w", dlh_shape (2), start);
    DlhConv conv = DLH_CONV_DEFAULT;

    return dlh_flatten (
        dlh_conv_transpose2d (dlh_reshape (x, dlh_shape (B, 16, 1, 1)), w, c, conv, 2, 3), 1);
}

static DlhNode *
scale_of_channels (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (4), start);

    x = dlh_reshape (x, dlh_shape (B, 4, 2, 2));
    return dlh_flatten (dlh_mul (x, dlh_reshape (w, dlh_shape (1, 4, 1, 1))), 1);
}

static DlhNode *
shift_of_features (DlhBuild *b, DlhNode *x)
{
    return dlh_add (x, dlh_parameter (b->graph, b->store, "w", dlh_shape (16), start));
}

static DlhNode *
embedding (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (5, 3), start);
    // Indices from the first column of x, which is in [-1, 1].
    DlhNode *index = dlh_cast (dlh_scale (dlh_offset (dlh_index (x, 1, 0), 1), 2.4), DLH_I64);

    return dlh_embedding (w, index);
}

// Neither product, table, scale nor shift: the Fisher's diagonal.
static DlhNode *
lone_parameter (DlhBuild *b, DlhNode *x)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (16), start);

    return dlh_mul (x, dlh_broadcast (dlh_tanh (w), dlh_node_shape (x)));
}

static const struct {
    const char *name;
    Layer layer;
    gint64 n_out;
    const char *note;
} layers[] = {
    {"grouped-conv", grouped_conv, 4, "conv2d, Kronecker factors 9 x 2 in 2 groups"},
    {"transposed-conv", transposed_conv, 12, "conv_transpose2d, Kronecker factors 16 x 12"},
    {"transposed-bias", transposed_bias, 12, "scale or shift, full block of 2"},
    {"scale", scale_of_channels, 16, "scale or shift, full block of 4"},
    {"shift", shift_of_features, 16, "scale or shift, full block of 16"},
    {"embedding", embedding, 3, "embedding, Kronecker factors 5 (diagonal) x 3"},
    {"other", lone_parameter, 16, "diagonal (neither"},
};

static guint current; /* which of them the model below builds */

static gboolean
model_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    DlhNode *z = layers[current].layer (b, x);
    DlhNode *zero = dlh_full (b->graph, DLH_F64, dlh_shape (1), 0);

    (void)problem, (void)options, (void)error;
    dlh_objective_predict (objective, dlh_gaussian (z, zero, 1), y);
    return TRUE;
}

/* A recurrence with an output a step: s_t = W h_{t-1} + x_t, y_t ~ N(s_t, 1), h_t = tanh s_t. */
static gboolean
chain_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (N_OUT, N_OUT), start);
    DlhNode *c = dlh_parameter (b->graph, b->store, "b", dlh_shape (N_OUT), start);
    DlhNode *h = dlh_slice (x, 1, 0, N_OUT, 1), *outputs[T];
    DlhNode *zero = dlh_full (b->graph, DLH_F64, dlh_shape (1), 0);

    (void)problem, (void)options, (void)error;
    for (int t = 0; t < T; t++) {
        DlhNode *s =
            dlh_add (dlh_linear (h, w, c), dlh_slice (x, 1, t * N_OUT, (t + 1) * N_OUT, 1));

        outputs[t] = s;
        h = dlh_tanh (s);
    }
    dlh_objective_predict (objective, dlh_gaussian (dlh_concat (outputs, T, 1), zero, 1), y);
    return TRUE;
}

// @settings: names and values. Inputs in [-1, 1].
static void
open_model (Bench *b, BenchModel model, const char *optimizer, const char *const *settings,
            gint64 n_in, gint64 n_out)
{
    g_autoptr (GString) words = g_string_new (NULL);
    DlhTensor *x = test_tensor_random (DLH_F64, dlh_shape (B, n_in), 1);

    for (guint i = 0; settings[i]; i += 2)
        g_string_append_printf (words, "%s%s=%s", i ? " " : "", settings[i], settings[i + 1]);
    for (gint64 i = 0; i < dlh_tensor_count (x); i++)
        dlh_tensor_set (x, i, tanh (dlh_tensor_get (x, i)));
    bench_open (b, model, optimizer, words->str, x,
                test_tensor_random (DLH_F64, dlh_shape (B, n_out), 2));
}

static double *
value (Bench *b, const char *name)
{
    return dlh_tensor_get_data (bench_tensor (b, name));
}

static gsize
count (Bench *b, const char *name)
{
    return (gsize)dlh_tensor_count (dlh_variable_tensor (dlh_store_lookup (b->store, name)));
}

// The gradient by "m/NAME" at the store's values: what plain descent with step size 1 subtracts,
// put back afterwards.
static double *
gradient (Bench *b, BenchModel model, const char *name, gint64 n_in, gint64 n_out)
{
    static const char *const settings[] = {"lr", "1", "momentum", "0", NULL};
    g_auto (Bench) other = {.store = dlh_store_ref (b->store)};
    const gsize n = count (b, name);
    g_autofree double *saved[2] = {NULL};
    const char *const names[] = {"m/w", "m/b"};
    double *g = g_new (double, n);

    for (guint i = 0; i < 2; i++)
        if (dlh_store_lookup (b->store, names[i]))
            saved[i] = g_memdup2 (value (b, names[i]), count (b, names[i]) * sizeof (double));
    memcpy (g, value (b, name), n * sizeof *g);
    open_model (&other, model, "sgd", settings, n_in, n_out);
    bench_step (&other);
    for (gsize i = 0; i < n; i++)
        g[i] -= value (b, name)[i];
    for (guint i = 0; i < 2; i++)
        if (saved[i])
            memcpy (value (b, names[i]), saved[i], count (b, names[i]) * sizeof (double));
    g_free (saved[1]);
    saved[1] = NULL;
    return g;
}

static const char *const newton[] = {"lr",       "1",       "momentum", "0",          "damping",
                                     "1e-20",    "kl_clip", "0",        "statistics", "1",
                                     "inverses", "1",       "fisher",   "exact",      NULL};

static void
step_is_newton (gconstpointer data)
{
    const double zero[256] = {0};
    g_auto (Bench) b = {0};
    GPtrArray *notes;
    g_autofree double *g = NULL;

    current = GPOINTER_TO_UINT (data);
    open_model (&b, model_build, "kfac", newton, 16, layers[current].n_out);
    bench_step (&b); // collects
    bench_step (&b);
    notes = dlh_trainer_notes (b.trainer);
    g_assert_cmpuint (notes->len, ==, 1);
    if (!strstr (notes->pdata[0], layers[current].note))
        test_fail ("note '%s' should say '%s'", (char *)notes->pdata[0], layers[current].note);
    if (layers[current].layer == lone_parameter)
        return; // a diagonal estimate is no Newton step
    g = gradient (&b, model_build, "m/w", 16, layers[current].n_out);
    // Damping of 1e-20 enters the factors as its square root.
    test_assert_within (g, zero, count (&b, "m/w"), 1e-8);
}

// The diagonal is the squared pseudo-gradient of the batch over N; only its size can be said of a
// draw.
static void
diagonal_is_positive (void)
{
    const char *const settings[] = {"statistics", "1", NULL};
    g_auto (Bench) b = {0};

    current = G_N_ELEMENTS (layers) - 1;
    open_model (&b, model_build, "kfac", settings, 16, 16);
    bench_step (&b);
    for (guint i = 0; i < 16; i++)
        g_assert_cmpfloat (value (&b, "kfac/m/w/F")[i], >, 0);
}

static void
strict_refuses_diagonal (void)
{
    const char *const settings[] = {"strict", "true", NULL};
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};

    current = G_N_ELEMENTS (layers) - 1;
    open_model (&b, model_build, "kfac", settings, 16, 16);
    g_assert_false (dlh_trainer_step (b.trainer, b.x, b.y, &error));
    test_assert_error (&error, DLH_ERROR_OPTION,
                       "kfac: 'm/w' would get a diagonal block and strict is set");
}

/* Dense linear algebra, row-major. */

static void
solve (double *a, double *r, gsize n)
{
    for (gsize k = 0; k < n; k++) {
        gsize p = k;

        for (gsize i = k + 1; i < n; i++)
            if (fabs (a[i * n + k]) > fabs (a[p * n + k]))
                p = i;
        for (gsize j = 0; j <= n; j++) {
            double *x = j < n ? &a[k * n + j] : &r[k], *y = j < n ? &a[p * n + j] : &r[p], t = *x;

            *x = *y;
            *y = t;
        }
        for (gsize i = k + 1; i < n; i++) {
            const double f = a[i * n + k] / a[k * n + k];

            for (gsize j = k; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
            r[i] -= f * r[k];
        }
    }
    for (gsize k = n; k-- > 0;) {
        for (gsize j = k + 1; j < n; j++)
            r[k] -= a[k * n + j] * r[j];
        r[k] /= a[k * n + k];
    }
}

// c = a b
static void
multiply (const double *a, const double *b, double *c, gsize n)
{
    for (gsize i = 0; i < n; i++)
        for (gsize j = 0; j < n; j++) {
            c[i * n + j] = 0;
            for (gsize k = 0; k < n; k++)
                c[i * n + j] += a[i * n + k] * b[k * n + j];
        }
}

// p = c1 c0^-1: what carries a step's covariance to the next.
static void
transition (const double *c0, const double *c1, double *p, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        g_autofree double *a = g_memdup2 (c0, n * n * sizeof *c0);

        memcpy (p + i * n, c1 + i * n, n * sizeof *p); // p c0 = c1, c0 symmetric
        solve (a, p + i * n, n);
    }
}

enum { MAX = N_OUT + 1, LAGS = 4000 };

// F = sum over |d| < lags of weight (d) Cov_A (d) kron Cov_G (d), Cov (d) = P^d C0, Cov (-d) its
// transpose.
static void
chain_fisher (const double *a0, const double *a1, const double *g0, const double *g1, gsize lags,
              gboolean finite, double *f)
{
    const gsize n = N_OUT + 1, m = N_OUT;
    double pa[MAX * MAX], pg[MAX * MAX], ca[MAX * MAX], cg[MAX * MAX], next[MAX * MAX];

    transition (a0, a1, pa, n);
    transition (g0, g1, pg, m);
    memcpy (ca, a0, n * n * sizeof *ca);
    memcpy (cg, g0, m * m * sizeof *cg);
    memset (f, 0, n * m * n * m * sizeof *f);
    for (gsize d = 0; d < lags; d++) {
        const double weight = finite ? (double)(lags - d) : 1;

        for (gsize p = 0; p < n * m; p++)
            for (gsize q = 0; q < n * m; q++) {
                const gsize o = p / n, i = p % n, s = q / n, j = q % n;

                f[p * n * m + q] += weight * ca[i * n + j] * cg[o * m + s];
                if (d)
                    f[p * n * m + q] += weight * ca[j * n + i] * cg[s * m + o];
            }
        multiply (pa, ca, next, n);
        memcpy (ca, next, n * n * sizeof *ca);
        multiply (pg, cg, next, m);
        memcpy (cg, next, m * m * sizeof *cg);
    }
}

// The factors as the inverse sees them: damped; symmetric lags for option 1.
static void
damp (double *a0, double *g0, double lambda, double r)
{
    const gsize n = N_OUT + 1, m = N_OUT;
    double ta = 0, tg = 0, pi;

    for (gsize i = 0; i < n; i++)
        ta += a0[i * n + i] / (double)n;
    for (gsize i = 0; i < m; i++)
        tg += g0[i * m + i] / (double)m;
    pi = sqrt (ta / tg);
    for (gsize i = 0; i < n; i++)
        a0[i * n + i] += sqrt (lambda / r) * pi;
    for (gsize i = 0; i < m; i++)
        g0[i * m + i] += sqrt (lambda / r) / pi;
}

static void
symmetrise (double *a, gsize n)
{
    for (gsize i = 0; i < n; i++)
        for (gsize j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i] = (a[i * n + j] + a[j * n + i]) / 2;
}

static void
recurrent_is_chain (const char *variant)
{
    const gsize n = N_OUT + 1, m = N_OUT;
    const char *const settings[] = {"lr",      "1",     "momentum",   "0",     "damping",  "0.01",
                                    "kl_clip", "0",     "statistics", "1",     "inverses", "1",
                                    "fisher",  "exact", "recurrent",  variant, NULL};
    const gboolean option1 = strcmp (variant, "option1") == 0;
    double f[MAX * MAX * MAX * MAX], v[MAX * MAX], before[MAX * MAX];
    double a0[MAX * MAX], a1[MAX * MAX] = {0}, g0[MAX * MAX], g1[MAX * MAX] = {0};
    g_autofree double *gw = NULL, *gb = NULL;
    g_auto (Bench) b = {0};

    open_model (&b, chain_build, "kfac", settings, T * N_OUT, T * N_OUT);
    bench_step (&b);
    g_assert_nonnull (strstr (dlh_trainer_notes (b.trainer)->pdata[0], "shared by 5 steps"));
    memcpy (a0, value (&b, "kfac/m/w/A"), n * n * sizeof *a0);
    memcpy (g0, value (&b, "kfac/m/w/G"), m * m * sizeof *g0);
    if (strcmp (variant, "independence") != 0) {
        memcpy (a1, value (&b, "kfac/m/w/A1"), n * n * sizeof *a1);
        memcpy (g1, value (&b, "kfac/m/w/G1"), m * m * sizeof *g1);
    }
    damp (a0, g0, 0.01, T);
    if (option1) {
        symmetrise (a1, n);
        symmetrise (g1, m);
    }
    if (strcmp (variant, "option2") == 0) {
        chain_fisher (a0, a1, g0, g1, LAGS, FALSE, f);
        for (gsize i = 0; i < n * m * n * m; i++)
            f[i] *= T;
    } else {
        chain_fisher (a0, a1, g0, g1, T, TRUE, f);
    }
    gw = gradient (&b, chain_build, "m/w", T * N_OUT, T * N_OUT);
    gb = gradient (&b, chain_build, "m/b", T * N_OUT, T * N_OUT);
    for (gsize o = 0; o < m; o++)
        for (gsize i = 0; i < n; i++) {
            v[o * n + i] = i < m ? gw[o * m + i] : gb[o];
            before[o * n + i] = i < m ? value (&b, "m/w")[o * m + i] : value (&b, "m/b")[o];
        }
    solve (f, v, n * m);
    bench_step (&b);
    for (gsize o = 0; o < m; o++)
        for (gsize i = 0; i < n; i++) {
            const double want = before[o * n + i] - v[o * n + i];

            test_assert_within (i < m ? value (&b, "m/w") + o * m + i : value (&b, "m/b") + o,
                                &want, 1, 1e-11);
        }
}

static void
recurrent_independence (void)
{
    recurrent_is_chain ("independence");
}

static void
recurrent_option1 (void)
{
    recurrent_is_chain ("option1");
}

static void
recurrent_option2 (void)
{
    recurrent_is_chain ("option2");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (layers); i++) {
        g_autofree char *path = g_strdup_printf ("/kfac-blocks/%s/step-is-newton", layers[i].name);

        g_test_add_data_func (path, GUINT_TO_POINTER (i), step_is_newton);
    }
    g_test_add_func ("/kfac-blocks/diagonal/positive", diagonal_is_positive);
    g_test_add_func ("/kfac-blocks/strict/refuses-diagonal", strict_refuses_diagonal);
    g_test_add_func ("/kfac-blocks/recurrent/independence-is-dense", recurrent_independence);
    g_test_add_func ("/kfac-blocks/recurrent/option1-is-dense-chain", recurrent_option1);
    g_test_add_func ("/kfac-blocks/recurrent/option2-is-dense-chain", recurrent_option2);
    return g_test_run ();
}
