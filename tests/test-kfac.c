/* SPDX-License-Identifier: MIT */
/* K-FAC against dense linear algebra that shares nothing with it. Numbers of the checks are those
 * of section 6 of the method's sheet. */
#include "trainer-bench.h"

static void
bench_init (Bench *b, const char *model, const char *const *model_settings,
            const char *const *settings, DlhProblem problem)
{
    bench_open (b, 7);
    b->model = load_plugin (b->registry, DLH_MODEL, model, model_settings);
    bench_train (b, "kfac", settings, &problem, NULL);
}

static double *
value (Bench *b, const char *name)
{
    DlhVariable *v = dlh_store_lookup (b->store, name);

    if (!v)
        g_error ("no variable %s", name);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

static gint64
count (Bench *b, const char *name)
{
    return dlh_tensor_count (dlh_variable_tensor (dlh_store_lookup (b->store, name)));
}

// Solves a (n x n) z = r by elimination with pivoting; a and r are destroyed, r becomes z.
static void
solve (double *a, double *r, gsize n)
{
    for (gsize k = 0; k < n; k++) {
        gsize p = k;

        for (gsize i = k + 1; i < n; i++)
            if (fabs (a[i * n + k]) > fabs (a[p * n + k]))
                p = i;
        for (gsize j = 0; j < n; j++) {
            double t = a[k * n + j];

            a[k * n + j] = a[p * n + j];
            a[p * n + j] = t;
        }
        double t = r[k];

        r[k] = r[p];
        r[p] = t;
        for (gsize i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];

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

static const char *const undamped[] = {"lr",       "1",       "momentum", "0",          "damping",
                                       "1e-24",    "kl_clip", "0",        "statistics", "1",
                                       "inverses", "1",       "fisher",   "exact",      NULL};

/* 6.7: y ~ N(W x + b, I): one step with step size 1 lands on the least-squares solution. */
static void
linear_gaussian_is_newton (void)
{
    enum { B = 40, I = 4, O = 3 };
    g_auto (Bench) b = {0};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (I),
                          .target_shape = dlh_shape (O),
                          .target_kind = DLH_TARGET_REAL,
                          .target_std = 1};
    const double *x, *y;

    bench_init (&b, "mlp", (const char *[]){"hidden", "[]", "noise", "1", NULL}, undamped, problem);
    b.x = test_tensor_random (DLH_F64, dlh_shape (B, I), 1);
    b.y = test_tensor_random (DLH_F64, dlh_shape (B, O), 2);
    bench_step (&b);
    bench_step (&b);
    x = dlh_tensor_get_data (b.x);
    y = dlh_tensor_get_data (b.y);
    for (gsize o = 0; o < O; o++) {
        double a[(I + 1) * (I + 1)] = {0}, r[I + 1] = {0};

        for (gsize n = 0; n < B; n++)
            for (gsize i = 0; i <= I; i++) {
                double xi = i < I ? x[n * I + i] : 1;

                r[i] += xi * y[n * O + o];
                for (gsize j = 0; j <= I; j++)
                    a[i * (I + 1) + j] += xi * (j < I ? x[n * I + j] : 1);
            }
        solve (a, r, I + 1);
        // Damping of 1e-24 enters as its square root.
        test_assert_within (value (&b, "mlp/output/weight") + o * I, r, I, 1e-10);
        test_assert_within (value (&b, "mlp/output/bias") + o, r + I, 1, 1e-10);
    }
}

static double
trace (const double *a, gsize n)
{
    double t = 0;

    for (gsize i = 0; i < n; i++)
        t += a[i * n + i];
    return t;
}

// The step that 3.4 and KF1 prescribe, by one dense solve of (A + c pi I) kron (G + c / pi I), r
// times; or, @exact, by one of r A kron G + damping I.
static void
check_layer (Bench *b, const char *layer, gboolean exact, double rows, double damping, double lr,
             const double *gradient_w, const double *gradient_b, const double *before_w,
             const double *before_b)
{
    g_autofree char *weight = g_strdup_printf ("%s/weight", layer);
    g_autofree char *bias = g_strdup_printf ("%s/bias", layer);
    g_autofree char *a_name = g_strdup_printf ("kfac/%s/A", weight);
    g_autofree char *g_name = g_strdup_printf ("kfac/%s/G", weight);
    const double *a = value (b, a_name), *g = value (b, g_name);
    gsize out = (gsize)count (b, bias), in = (gsize)count (b, weight) / out, d = in + 1,
          n = d * out;
    double pi = sqrt (trace (a, d) / (double)d / (trace (g, out) / (double)out));
    double c = sqrt (damping / rows);
    g_autofree double *m = g_new (double, n *n);
    g_autofree double *u = g_new (double, n);

    for (gsize o = 0; o < out; o++)
        for (gsize i = 0; i < d; i++)
            u[o * d + i] = i < in ? gradient_w[o * in + i] : gradient_b[o];
    for (gsize p = 0; p < n; p++)
        for (gsize q = 0; q < n; q++) {
            gsize o = p / d, i = p % d, s = q / d, j = q % d;

            if (exact)
                m[p * n + q] = rows * g[o * out + s] * a[i * d + j] + (p == q) * damping;
            else
                m[p * n + q] = rows * (g[o * out + s] + (o == s) * c / pi) *
                               (a[i * d + j] + (i == j) * c * pi);
        }
    solve (m, u, n);
    for (gsize o = 0; o < out; o++) {
        double want_b = before_b[o] - lr * u[o * d + in];

        test_assert_within (value (b, bias) + o, &want_b, 1, 1e-11);
        for (gsize i = 0; i < in; i++) {
            double want = before_w[o * in + i] - lr * u[o * d + i];

            test_assert_within (value (b, weight) + o * in + i, &want, 1, 1e-11);
        }
    }
}

/* 6.1, 6.9, 6.12: every layer of a small convolutional net moves by the dense solve. The gradient
 * comes from a second run of the same store by plain SGD with step size 1. */
static void
check_convnet (const char *inverse)
{
    static const char *const layers[] = {"convnet/conv1", "convnet/dense1", "convnet/output"};
    static const char *const shape[] = {"channels", "[3]", "kernel",     "3",    "pool", "2",
                                        "hidden",   "[4]", "activation", "tanh", NULL};
    const char *const settings[] = {"lr",      "0.5",   "momentum",   "0",     "damping",  "0.01",
                                    "kl_clip", "0",     "statistics", "1",     "inverses", "1",
                                    "fisher",  "exact", "inverse",    inverse, NULL};
    g_auto (Bench) b = {0};
    g_autoptr (DlhComponent) model = NULL;
    g_autoptr (DlhComponent) sgd = NULL;
    g_autoptr (DlhTrainer) other = NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (2, 6, 6),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = 3,
                          .target_std = 1};
    double *before[6], *gradient[6];

    bench_init (&b, "convnet", shape, settings, problem);
    b.x = test_tensor_random (DLH_F64, dlh_shape (8, 2, 6, 6), 1);
    b.y = test_tensor (DLH_I64, dlh_shape (8), 0, 1, 2, 0, 1, 2, 2, 1);
    bench_step (&b); // collects statistics, moves nothing
    model = load_plugin (b.registry, DLH_MODEL, "convnet", shape);
    sgd = load_plugin (b.registry, DLH_OPTIMIZER, "sgd",
                       (const char *[]){"lr", "1", "momentum", "0", NULL});
    other = dlh_trainer_new (b.store, model, sgd, &problem, &training, NULL);
    for (guint i = 0; i < 6; i++) {
        g_autofree char *name = g_strdup_printf ("%s/%s", layers[i / 2], i % 2 ? "bias" : "weight");

        before[i] = g_memdup2 (value (&b, name), (gsize)count (&b, name) * sizeof (double));
    }
    g_assert_true (dlh_trainer_step (other, b.x, b.y, NULL));
    for (guint i = 0; i < 6; i++) {
        g_autofree char *name = g_strdup_printf ("%s/%s", layers[i / 2], i % 2 ? "bias" : "weight");
        gsize n = (gsize)count (&b, name);
        double *now = value (&b, name);

        gradient[i] = g_new (double, n);
        for (gsize k = 0; k < n; k++) {
            gradient[i][k] = before[i][k] - now[k];
            now[k] = before[i][k];
        }
    }
    // The factors that the step uses are those of the first one: same batch, same parameters.
    bench_step (&b);
    for (guint i = 0; i < 3; i++)
        check_layer (&b, layers[i], strcmp (inverse, "cholesky") != 0, i == 0 ? 16 : 1, 0.01, 0.5,
                     gradient[2 * i], gradient[2 * i + 1], before[2 * i], before[2 * i + 1]);
    for (guint i = 0; i < 6; i++) {
        g_free (before[i]);
        g_free (gradient[i]);
    }
}

static void
convnet_is_dense_solve (void)
{
    check_convnet ("cholesky");
}

static void
eigen_is_dense_solve (void)
{
    check_convnet ("eigen");
}

// Right after a refresh EK-FAC's eigenvalues are K-FAC's.
static void
fresh_ekfac_is_eigen (void)
{
    check_convnet ("ekfac");
}

/* 3.9: y ~ N(W x, I), so g are unit vectors and S_oi = mean (q_i' x)^2 with q_i the columns of Q_A.
 */
static void
ekfac_scales_measured (void)
{
    enum { B = 30, I = 3, O = 2, D = I + 1 };
    const char *const settings[] = {"inverse",  "ekfac", "statistics", "1",     "decay", "0",
                                    "inverses", "1000",  "fisher",     "exact", NULL};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (I),
                          .target_shape = dlh_shape (O),
                          .target_kind = DLH_TARGET_REAL,
                          .target_std = 1};
    g_auto (Bench) b = {0};
    const double *q, *x;

    bench_init (&b, "mlp", (const char *[]){"hidden", "[]", "noise", "1", NULL}, settings, problem);
    b.x = test_tensor_random (DLH_F64, dlh_shape (B, I), 1);
    b.y = test_tensor_random (DLH_F64, dlh_shape (B, O), 2);
    bench_step (&b); // finds the basis
    x = dlh_tensor_get_data (b.x);
    for (gint64 i = 0; i < B * I; i++) // other inputs than the basis was made of
        dlh_tensor_set (b.x, i, x[i] * x[i] + 0.3);
    bench_step (&b);
    q = value (&b, "kfac/mlp/output/weight/basis_A");
    for (gsize i = 0; i < D; i++) {
        double want = 0;

        for (gsize n = 0; n < B; n++) {
            double p = q[I * D + i];

            for (gsize j = 0; j < I; j++)
                p += x[n * I + j] * q[j * D + i];
            want += p * p / B;
        }
        for (gsize o = 0; o < O; o++)
            test_assert_within (value (&b, "kfac/mlp/output/weight/S") + o * D + i, &want, 1,
                                1e-13 * MAX (1, want));
    }
}

/* 6.12: Omega of the first convolution equals a direct loop over cases, positions and patches. */
static void
omega_is_direct_loop (void)
{
    enum { B = 5, C = 2, S = 6, K = 3, P = S - K + 1, D = C * K * K + 1 };
    g_auto (Bench) b = {0};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (C, S, S),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = 3,
                          .target_std = 1};
    double want[D * D] = {0}, patch[D];
    const double *x;

    bench_init (&b, "convnet",
                (const char *[]){"channels", "[3]", "kernel", "3", "hidden", "[4]", NULL},
                (const char *[]){"statistics", "1", NULL}, problem);
    b.x = test_tensor_random (DLH_F64, dlh_shape (B, C, S, S), 1);
    b.y = test_tensor (DLH_I64, dlh_shape (B), 0, 1, 2, 0, 1);
    bench_step (&b);
    x = dlh_tensor_get_data (b.x);
    for (gsize t = 0; t < B * P * P; t++) {
        gsize n = t / (P * P), py = t / P % P, px = t % P;

        patch[D - 1] = 1;
        for (gsize i = 0; i + 1 < D; i++)
            patch[i] = x[((n * C + i / (K * K)) * S + py + i / K % K) * S + px + i % K];
        for (gsize i = 0; i < D * D; i++)
            want[i] += patch[i / D] * patch[i % D] / (B * P * P);
    }
    test_assert_close_terms (value (&b, "kfac/convnet/conv1/weight/A"), want, D * D, 4, B * P * P);
}

/* 6.8: the mean of sampled G over many draws is the exact G, within 1/sqrt (draws). */
static void
sampled_metric_converges (void)
{
    enum { DRAWS = 4000, B = 6 };
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (4),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = 3,
                          .target_std = 1};
    g_autofree double *exact = NULL;
    gint64 n = 0;

    for (guint mode = 0; mode < 2; mode++) {
        g_auto (Bench) b = {0};
        // All steps only collect; decay 0.99999 makes the average a plain mean.
        const char *settings[] = {"burn_in",    "100000", "decay",  "0.99999",
                                  "statistics", "1",      "fisher", mode ? "sampled" : "exact",
                                  NULL};
        const double *g;
        double scale = 0;

        bench_init (&b, "mlp", (const char *[]){"hidden", "[5]", "activation", "tanh", NULL},
                    settings, problem);
        b.x = test_tensor_random (DLH_F64, dlh_shape (B, 4), 3);
        b.y = test_tensor (DLH_I64, dlh_shape (B), 0, 1, 2, 0, 1, 1);
        for (guint i = 0; i < (mode ? DRAWS : 1); i++)
            bench_step (&b);
        g = value (&b, "kfac/mlp/hidden1/weight/G");
        n = count (&b, "kfac/mlp/hidden1/weight/G");
        if (!mode) {
            exact = g_memdup2 (g, (gsize)n * sizeof *g);
            continue;
        }
        for (gint64 i = 0; i < 5; i++)
            scale = MAX (scale, exact[i * 6]);
        // An entry's standard error is at most sqrt (E g^4) / sqrt (B draws), E g^4 <= 16 scale^2
        // for this net: 6 of them, a false alarm below 1e-7 for all 25 entries.
        test_assert_within (g, exact, (gsize)n, 6 * 4 * scale / sqrt (B * DRAWS));
        // And it is not the exact one by construction.
        g_assert_cmpfloat (fabs (g[0] - exact[0]), >, 1e-9 * scale);
    }
}

// Scales and shifts of normalisation have blocks of their own; nothing is left for strict to
// refuse.
static void
strict_accepts_batch_norm (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = dlh_shape (1, 8, 8),
                          .target_kind = DLH_TARGET_CLASS,
                          .n_classes = 3,
                          .target_std = 1};

    bench_init (&b, "convnet",
                (const char *[]){"channels", "[3]", "kernel", "3", "batch_norm", "true", NULL},
                (const char *[]){"strict", "true", NULL}, problem);
    b.x = test_tensor_random (DLH_F64, dlh_shape (4, 1, 8, 8), 1);
    b.y = test_tensor (DLH_I64, dlh_shape (4), 0, 1, 2, 0);
    dlh_trainer_step (b.trainer, b.x, b.y, &error);
    g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac/linear-gaussian/step-is-newton", linear_gaussian_is_newton);
    g_test_add_func ("/kfac/convnet/step-is-dense-solve", convnet_is_dense_solve);
    g_test_add_func ("/kfac/eigen/step-is-dense-solve", eigen_is_dense_solve);
    g_test_add_func ("/kfac/ekfac/fresh-is-eigen", fresh_ekfac_is_eigen);
    g_test_add_func ("/kfac/ekfac/scales-are-measured", ekfac_scales_measured);
    g_test_add_func ("/kfac/omega/is-direct-loop", omega_is_direct_loop);
    g_test_add_func ("/kfac/sampled-metric/converges-to-exact", sampled_metric_converges);
    g_test_add_func ("/kfac/strict/accepts-batch-norm", strict_accepts_batch_norm);
    return g_test_run ();
}
