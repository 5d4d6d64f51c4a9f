/* SPDX-License-Identifier: MIT */
/* K-FAC's quadratic model, momentum, damping that adapts and the search for gamma, in f64 against
 * plain loops. Numbers of the checks are those of section 6 of the method's sheet. */
#include "kfac-bench.h"

static DlhComponent *
load (Bench *b, DlhPluginKind kind, const char *name, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings && settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    c = dlh_registry_load (b->registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

// @model: a static plugin, or NULL for the mlp with @shape.
static void
bench_init (Bench *b, const DlhPlugin *model, const char *const *shape, const char *const *settings,
            DlhProblem problem, DlhTraining training)
{
    g_autoptr (DlhComponent) m = NULL;
    g_autoptr (DlhComponent) c = NULL;
    g_autoptr (GError) error = NULL;

    training.size = sizeof training;
    training.schedule.kind = DLH_SCHEDULE_CONSTANT;
    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    b->store = dlh_store_new (7, DLH_F64);
    m = model ? dlh_component_new_static (model, NULL, &error) : load (b, DLH_MODEL, "mlp", shape);
    g_assert_no_error (error);
    c = load (b, DLH_OPTIMIZER, "kfac", settings);
    b->trainer = dlh_trainer_new (b->store, m, c, &problem, &training, &error);
    g_assert_no_error (error);
}

static double *
value (Bench *b, const char *name)
{
    return dlh_tensor_get_data (bench_tensor (b, name));
}

static double
logged (Bench *b, const char *name)
{
    for (guint i = 0; i < dlh_trainer_n_values (b->trainer); i++)
        if (strcmp (dlh_trainer_value_name (b->trainer, i), name) == 0)
            return dlh_trainer_value (b->trainer, i);
    g_error ("no value %s", name);
}

static double
dot (const double *a, const double *b, gsize n)
{
    double sum = 0;

    for (gsize i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* A 3-4-3 tanh net with softmax in plain loops: parameters are w1, b1, w2, b2 one after another. */

enum { IN = 3, HID = 4, OUT = 3, CASES = 12, P = HID * IN + HID + OUT * HID + OUT };

static const char *const parts[] = {"mlp/hidden1/weight", "mlp/hidden1/bias", "mlp/output/weight",
                                    "mlp/output/bias"};
static const gsize sizes[] = {HID * IN, HID, OUT *HID, OUT};

static void
gather (Bench *b, const char *format, double *out)
{
    for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
        g_autofree char *name = g_strdup_printf (format, parts[i]);

        memcpy (out, value (b, name), sizes[i] * sizeof *out);
        out += sizes[i];
    }
}

// Hidden activations h, and probabilities p, of case @x.
static void
net (const double *w, const double *x, double *h, double *p)
{
    const double *b1 = w + HID * IN, *w2 = b1 + HID, *b2 = w2 + OUT * HID;
    double sum = 0;

    for (gsize j = 0; j < HID; j++)
        h[j] = tanh (b1[j] + dot (w + j * IN, x, IN));
    for (gsize o = 0; o < OUT; o++)
        sum += p[o] = exp (b2[o] + dot (w2 + o * HID, h, HID));
    for (gsize o = 0; o < OUT; o++)
        p[o] /= sum;
}

// Tangent of the logits along @v.
static void
tangent (const double *w, const double *v, const double *x, const double *h, double *z)
{
    const double *w2 = w + HID * IN + HID, *v1 = v + HID * IN, *v2 = v1 + HID, *c = v2 + OUT * HID;
    double t[HID];

    for (gsize j = 0; j < HID; j++)
        t[j] = (1 - h[j] * h[j]) * (v1[j] + dot (v + j * IN, x, IN));
    for (gsize o = 0; o < OUT; o++)
        z[o] = c[o] + dot (v2 + o * HID, h, HID) + dot (w2 + o * HID, t, HID);
}

// u' F v, F the exact Fisher of the batch.
static double
fisher (const double *w, const double *u, const double *v, const double *x)
{
    double sum = 0;

    for (gsize c = 0; c < CASES; c++) {
        double h[HID], p[OUT], a[OUT], b[OUT], ab = 0, pa = 0, pb = 0;

        net (w, x + c * IN, h, p);
        tangent (w, u, x + c * IN, h, a);
        tangent (w, v, x + c * IN, h, b);
        for (gsize o = 0; o < OUT; o++) {
            ab += p[o] * a[o] * b[o];
            pa += p[o] * a[o];
            pb += p[o] * b[o];
        }
        sum += (ab - pa * pb) / CASES;
    }
    return sum;
}

// The slope of the loss with L2 term along @v.
static double
slope (const double *w, const double *v, const double *x, const gint64 *y, double eta)
{
    double sum = eta * dot (w, v, P);

    for (gsize c = 0; c < CASES; c++) {
        double h[HID], p[OUT], z[OUT];

        net (w, x + c * IN, h, p);
        tangent (w, v, x + c * IN, h, z);
        for (gsize o = 0; o < OUT; o++)
            sum += (p[o] - (y[c] == (gint64)o)) * z[o] / CASES;
    }
    return sum;
}

static const char *const hidden4[] = {"hidden", "[4]", "activation", "tanh", NULL};

static DlhProblem
classes (void)
{
    return (DlhProblem){.size = sizeof (DlhProblem),
                        .input_shape = dlh_shape (IN),
                        .target_kind = DLH_TARGET_CLASS,
                        .n_classes = OUT,
                        .target_std = 1};
}

static void
small_batch (Bench *b)
{
    b->x = test_tensor_random (DLH_F64, dlh_shape (CASES, IN), 1);
    b->y = test_tensor (DLH_I64, dlh_shape (CASES), 0, 1, 2, 0, 1, 2, 2, 1, 0, 0, 2, 1);
}

// |got - want| within @tolerance of @scale.
static void
close_to (const char *what, double got, double want, double scale, double tolerance)
{
    if (!(fabs (got - want) <= tolerance * scale))
        test_fail ("%s: got %.17g, want %.17g, tolerance %g", what, got, want, tolerance * scale);
}

/* 6.10: at (alpha, mu) the model is stationary in the plane, and its change is half the slope; with
 * weight decay of the run and of the optimizer, and with gradients that the run clips. */
static void
model_is_stationary (void)
{
    const char *const settings[] = {"step",           "quadratic", "damping",    "0.03",
                                    "weight_decay",   "0.01",      "inverses",   "1",
                                    "damping_period", "0",         "statistics", "1",
                                    "gamma_period",   "0",         NULL};
    const double eta = 0.03, damped = 0.03 + eta;
    g_auto (Bench) b = {0};
    double w[P], before[P], delta[P], proposal[P];

    bench_init (&b, NULL, hidden4, settings, classes (),
                (DlhTraining){.weight_decay = 0.02, .clip_norm = 0.05});
    small_batch (&b);
    for (guint t = 0; t < 4; t++)
        bench_step (&b);
    for (guint t = 0; t < 3; t++) {
        const double *x = dlh_tensor_get_data (b.x);
        const gint64 *y = dlh_tensor_get_data (b.y);
        double alpha, mu, along, scale, change;

        gather (&b, "%s", w);
        gather (&b, "kfac/%s/step", before);
        bench_step (&b);
        gather (&b, "kfac/%s/step", delta);
        alpha = logged (&b, "kfac_alpha");
        mu = logged (&b, "kfac_mu");
        g_assert_cmpfloat (fabs (mu), >, 1e-4); // there is something to be tested
        for (gsize i = 0; i < P; i++)
            proposal[i] = (delta[i] - mu * before[i]) / alpha;
        for (guint d = 0; d < 2; d++) {
            const double *v = d ? before : proposal;

            along = slope (w, v, x, y, eta);
            scale = sqrt (fisher (w, v, v, x) + damped * dot (v, v, P)) *
                    sqrt (fisher (w, delta, delta, x) + damped * dot (delta, delta, P));
            close_to (d ? "dM / dmu" : "dM / dalpha",
                      fisher (w, delta, v, x) + damped * dot (delta, v, P), -along, scale, 1e-10);
        }
        along = slope (w, delta, x, y, eta);
        change = along + 0.5 * (fisher (w, delta, delta, x) + damped * dot (delta, delta, P));
        close_to ("M (delta) - M (0)", logged (&b, "kfac_model_change"), change, fabs (change),
                  1e-10);
        close_to ("half the slope", change, 0.5 * along, fabs (change), 1e-10);
    }
}

/* Linear regression y ~ N (W x + b, I): a deterministic quadratic whose Hessian is F. */

enum { D = 4, O = 2, ROWS = 30, N = O * (D + 1) };

static DlhProblem
regression (gint64 n_in, gint64 n_out)
{
    return (DlhProblem){.size = sizeof (DlhProblem),
                        .input_shape = dlh_shape (n_in),
                        .target_shape = dlh_shape (n_out),
                        .target_kind = DLH_TARGET_REAL,
                        .target_std = 1};
}

// (O x (D + 1)) <- (W, b) H, H the second moment of inputs with a trailing 1
static void
times_moment (const double *w, const double *x, double *out)
{
    memset (out, 0, N * sizeof *out);
    for (gsize r = 0; r < ROWS; r++)
        for (gsize o = 0; o < O; o++) {
            const double s = (dot (w + o * (D + 1), x + r * D, D) + w[o * (D + 1) + D]) / ROWS;

            for (gsize i = 0; i <= D; i++)
                out[o * (D + 1) + i] += s * (i < D ? x[r * D + i] : 1);
        }
}

// Solves a z = r for symmetric positive a (D + 1): elimination.
static void
solve_small (const double *moment, double *r)
{
    enum { M = D + 1 };
    double a[M * M];

    memcpy (a, moment, sizeof a);
    for (gsize p = 0; p < M; p++)
        for (gsize i = 0; i < M; i++) {
            const double f = a[i * M + p] / a[p * M + p];

            if (i == p)
                continue;
            for (gsize j = 0; j < M; j++)
                a[i * M + j] -= f * a[p * M + j];
            r[i] -= f * r[p];
        }
    for (gsize p = 0; p < M; p++)
        r[p] /= a[p * M + p];
}

static void
read_weights (Bench *b, double *w)
{
    const double *m = value (b, "mlp/output/weight"), *c = value (b, "mlp/output/bias");

    for (gsize o = 0; o < O; o++) {
        memcpy (w + o * (D + 1), m + o * D, D * sizeof *w);
        w[o * (D + 1) + D] = c[o];
    }
}

// gradient of the regression's loss
static void
regression_gradient (const double *w, const double *x, const double *y, double *g)
{
    times_moment (w, x, g);
    for (gsize r = 0; r < ROWS; r++)
        for (gsize o = 0; o < O; o++)
            for (gsize i = 0; i <= D; i++)
                g[o * (D + 1) + i] -= y[r * O + o] * (i < D ? x[r * D + i] : 1) / ROWS;
}

/* 6.10: with statistics of another batch and then never again, the step is that of conjugate
 * gradients preconditioned by those statistics. */
static void
steps_are_conjugate_gradients (void)
{
    const char *const settings[] = {
        "step",           "quadratic", "damping",      "0",     "statistics", "100000",
        "inverses",       "100000",    "inverse",      "eigen", "fisher",     "exact",
        "damping_period", "0",         "gamma_period", "0",     NULL};
    enum { M = D + 1 };
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) other = NULL;
    double w[N], g[N], z[N], p[N] = {0}, hp[N], got[N], moment[M * M] = {0}, last = 1;
    const double *x, *y;

    bench_init (&b, NULL, (const char *[]){"hidden", "[]", "noise", "1", NULL}, settings,
                regression (D, O), (DlhTraining){0});
    b.x = test_tensor_random (DLH_F64, dlh_shape (ROWS, D), 3);
    b.y = test_tensor_random (DLH_F64, dlh_shape (ROWS, O), 4);
    bench_step (&b);
    x = dlh_tensor_get_data (b.x);
    for (gsize r = 0; r < ROWS; r++)
        for (gsize i = 0; i < M; i++)
            for (gsize j = 0; j < M; j++)
                moment[i * M + j] += (i < D ? x[r * D + i] : 1) * (j < D ? x[r * D + j] : 1) / ROWS;
    other = g_steal_pointer (&b.x);
    b.x = test_tensor_random (DLH_F64, dlh_shape (ROWS, D), 5);
    x = dlh_tensor_get_data (b.x);
    y = dlh_tensor_get_data (b.y);
    read_weights (&b, w);
    for (guint t = 0; t < 4; t++) {
        double rz, alpha;

        regression_gradient (w, x, y, g);
        memcpy (z, g, sizeof z);
        for (gsize o = 0; o < O; o++)
            solve_small (moment, z + o * M);
        rz = dot (g, z, N);
        for (gsize i = 0; i < N; i++)
            p[i] = -z[i] + (t ? rz / last : 0) * p[i];
        times_moment (p, x, hp);
        alpha = rz / dot (p, hp, N);
        for (gsize i = 0; i < N; i++)
            w[i] += alpha * p[i];
        last = rz;
        bench_step (&b);
        read_weights (&b, got);
        test_assert_within (got, w, N, 1e-8);
    }
    regression_gradient (got, x, y, g);
    g_assert_cmpfloat (dot (g, g, N), <, 1e-2); // and it really descends
}

/* One weight and loss (y - w x)^2 / 2 - terms that the model does not know of: they vanish, with
 * their gradient, at the start, so that rho is what is asked for. */

static double bend, bend_power;

static gboolean
bent_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (1, 1),
                                (DlhInit){.kind = DLH_INIT_CONSTANT, .a = 0.5});
    DlhNode *mean, *away;

    (void)problem, (void)options, (void)error;
    if (bend_power > 2) // draws that have to be the same before and after
        x = dlh_dropout (b, "drop", x, 0.4);
    mean = dlh_linear (x, w, NULL);
    dlh_objective_predict (objective, dlh_gaussian (mean, dlh_scalar (b->graph, DLH_F64, 0), 1), y);
    away = dlh_square (dlh_offset (w, -0.5));
    if (bend_power == 1) // beyond the domain as soon as w moves
        away = dlh_log1p (dlh_scale (away, -1e6));
    objective->loss = dlh_add (objective->loss, dlh_scale (dlh_sum_all (away), bend));
    return TRUE;
}

static const DlhSupervised bent_role = {sizeof (DlhSupervised), bent_build};
static const DlhModel bent_model = {sizeof (DlhModel), &bent_role};
static const DlhManifest manifest = {
    .size = sizeof (DlhManifest),
    .option_size = sizeof (DlhOption),
    .abi_major = DLH_ABI_MAJOR,
    .abi_minor = DLH_ABI_MINOR,
    .kind = DLH_MODEL,
    .options_bytes = 1,
    .name = "m",
    .version = "1",
    .licence = "MIT",
    .summary = "test line",
};
static const DlhPlugin bent = {sizeof (DlhPlugin), &manifest, &bent_model};

// Two steps, the first without a move. Returns: what lambda was multiplied by; rho is checked.
static double
adapted (double rho, gboolean with_damping)
{
    const double lambda = 0.2, xs[] = {1, 2, -1, 0.5}, ys[] = {2, 3, 1, -1};
    const char *const settings[] = {"step",
                                    "quadratic",
                                    "damping",
                                    "0.2",
                                    "statistics",
                                    "1",
                                    "inverses",
                                    "1",
                                    "gamma_period",
                                    "0",
                                    "damping_in_model",
                                    with_damping ? "true" : "false",
                                    "momentum",
                                    "0",
                                    NULL};
    double f = 0, g = 0, delta, change;
    g_auto (Bench) b = {0};

    for (gsize i = 0; i < 4; i++) {
        f += xs[i] * xs[i] / 4;
        g -= (ys[i] - 0.5 * xs[i]) * xs[i] / 4;
    }
    delta = -g / (f + lambda);
    change = 0.5 * g * delta - (with_damping ? 0 : 0.5 * lambda * delta * delta);
    // the loss itself changes by g delta + f delta^2 / 2
    bend = (rho * change - g * delta - 0.5 * f * delta * delta) / (delta * delta);
    bend_power = 2;
    bench_init (&b, &bent, NULL, settings, regression (1, 1), (DlhTraining){0});
    b.x = test_tensor_from (DLH_F64, dlh_shape (4, 1), xs, 4);
    b.y = test_tensor_from (DLH_F64, dlh_shape (4, 1), ys, 4);
    bench_step (&b);
    g_assert_cmpfloat (*value (&b, "kfac/lambda"), ==, lambda);
    bench_step (&b);
    close_to ("delta", *value (&b, "m/w") - 0.5, delta, fabs (delta), 1e-12);
    close_to ("rho", *value (&b, "kfac/rho"), rho, 1, 1e-9);
    return *value (&b, "kfac/lambda") / lambda;
}

/* 6.11 */
static void
lambda_follows_rho (void)
{
    const double w1 = 0.7737809375, rhos[] = {0.1, 0.5, 0.9, -2}, want[] = {1 / w1, 1, w1, 1 / w1};

    for (guint i = 0; i < G_N_ELEMENTS (rhos); i++)
        for (guint damped = 0; damped < 2; damped++)
            close_to ("lambda's factor", adapted (rhos[i], damped), want[i], 1, 1e-14);
}

/* A loss that is no number after the step: lambda rises. */
static void
lambda_rises_at_nan (void)
{
    const char *const settings[] = {"step", "quadratic",    "damping", "0.2",      "statistics",
                                    "1",    "gamma_period", "0",       "inverses", "1",
                                    NULL};
    g_auto (Bench) b = {0};

    bend = 1e-3;
    bend_power = 1;
    bench_init (&b, &bent, NULL, settings, regression (1, 1), (DlhTraining){0});
    b.x = test_tensor_random (DLH_F64, dlh_shape (4, 1), 1);
    b.y = test_tensor_random (DLH_F64, dlh_shape (4, 1), 2);
    bench_step (&b);
    bench_step (&b);
    g_assert_true (isnan (*value (&b, "kfac/rho")));
    close_to ("lambda", *value (&b, "kfac/lambda"), 0.2 / 0.7737809375, 1, 1e-14);
}

/* The loss before and after the step is on the same draws: with dropout a linear model's change is
 * still exactly the model's. */
static void
rho_replays_draws (void)
{
    const char *const settings[] = {
        "step",           "quadratic", "damping",  "0.2", "statistics",       "1",
        "gamma_period",   "0",         "inverses", "1",   "damping_in_model", "false",
        "damping_period", "1",         NULL};
    g_auto (Bench) b = {0};

    bend = 0;
    bend_power = 3; // and the run's decoupled decay, which comes after the step, does not count
    bench_init (&b, &bent, NULL, settings, regression (1, 1),
                (DlhTraining){.decoupled_weight_decay = 0.1});
    b.x = test_tensor_random (DLH_F64, dlh_shape (40, 1), 1);
    b.y = test_tensor_random (DLH_F64, dlh_shape (40, 1), 2);
    for (guint t = 0; t < 4; t++)
        bench_step (&b);
    close_to ("rho", *value (&b, "kfac/rho"), 1, 1, 1e-9);
}

/* With step=fixed lambda adapts as well: the model is asked about the step that is made. */
static void
fixed_step_adapts (void)
{
    const char *const settings[] = {
        "damping",          "0.2",   "damping_period", "1", "statistics", "1", "lr", "0.05",
        "damping_in_model", "false", "inverses",       "1", NULL};
    g_auto (Bench) b = {0};

    bend = bend_power = 0;
    bench_init (&b, &bent, NULL, settings, regression (1, 1), (DlhTraining){.weight_decay = 0.01});
    b.x = test_tensor_random (DLH_F64, dlh_shape (40, 1), 1);
    b.y = test_tensor_random (DLH_F64, dlh_shape (40, 1), 2);
    for (guint t = 0; t < 3; t++)
        bench_step (&b);
    close_to ("rho", *value (&b, "kfac/rho"), 1, 1, 1e-9);
    close_to ("lambda", *value (&b, "kfac/lambda"), 0.2 * 0.95 * 0.95, 1, 1e-14);
}

/* With kl_period=2 a step is limited by what the last measurement was: the first is next to none,
 * the second that of kl_period=1, the third as long as those two measurements of it say. */
static void
kl_is_held (gconstpointer by)
{
    double w[2][5][P], kl[5];

    for (guint i = 0; i < 2; i++) {
        const char *const settings[] = {
            "precondition", by,     "kl_clip",  "1e-5", "lr",        "1",           "momentum", "0",
            "statistics",   "1000", "inverses", "1000", "kl_period", i ? "2" : "1", NULL};
        g_auto (Bench) b = {0};

        bench_init (&b, NULL, (const char *[]){"hidden", "[4]", NULL}, settings, classes (),
                    (DlhTraining){0});
        small_batch (&b);
        for (guint t = 0; t < 5; t++) {
            bench_step (&b);
            gather (&b, "%s", w[i][t]);
            kl[t] = i ? kl[t] : logged (&b, "kfac_kl");
        }
    }
    g_assert_cmpfloat (kl[1], >, 1e-4);
    g_assert_cmpfloat (fabs (kl[2] / kl[1] - 1), >, 1e-6);
    for (guint p = 0; p < P; p++) {
        const double step = w[0][2][p] - w[0][1][p];

        close_to ("measures first", w[1][1][p], w[1][0][p], 1, 1e-12);
        close_to ("as measured", w[1][2][p], w[0][1][p], 1, 1e-12);
        close_to ("as held", w[1][3][p] - w[1][2][p], step * sqrt (kl[2] / kl[1]), 1, 1e-12);
    }
}

/* A step that leads where the loss is no number is taken back, the damping rises, and the run goes
 * on: with every step rule that keeps the last step in another way. */
static void
failed_steps_are_taken_back (void)
{
    static const char *const rules[][5] = {
        {"step", "fixed", "momentum", "0", NULL},
        {"step", "fixed", "momentum", "0.9", NULL},
        {"step", "quadratic", "momentum", "0", NULL},
        {"step", "quadratic", "momentum", "0.9", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
        const char *settings[] = {rules[i][0], rules[i][1],  rules[i][2], rules[i][3], "damping",
                                  "0.2",       "statistics", "1",         "inverses",  "1",
                                  "lr",        "1",          "kl_clip",   "0",         NULL};
        g_auto (Bench) b = {0};

        bend = -1e-3; // a barrier: the loss grows towards the edge of its domain
        bend_power = 1;
        bench_init (&b, &bent, NULL, settings, regression (1, 1), (DlhTraining){0});
        b.x = test_tensor_random (DLH_F64, dlh_shape (4, 1), 1);
        b.y = test_tensor_random (DLH_F64, dlh_shape (4, 1), 2);
        for (guint t = 0; t < 30; t++)
            bench_step (&b);
        g_assert_cmpfloat (*value (&b, "kfac/recoveries"), >, 1);
        g_assert_cmpfloat (fabs (*value (&b, "m/w") - 0.5), <,
                           3e-3); // the domain: 1e-3, and a step
        if (i < 2)
            g_assert_cmpfloat (*value (&b, "kfac/boost"), >=,
                               (1 - 1e-12) * pow (10, *value (&b, "kfac/recoveries")));
        else
            g_assert_cmpfloat (*value (&b, "kfac/lambda"), >, 0.2);
    }
}

/* Two pictures a batch, statistics of the first alone: steps in what they have not shown are as
 * long as the damping is small. Their loss is finite, and leaps. */
static void
leaps_are_taken_back (void)
{
    const char *const settings[] = {"damping",    "1e-20", "kl_clip",  "0",    "lr", "1",
                                    "statistics", "1000",  "inverses", "1000", NULL};
    g_autoptr (DlhTensor) y = test_tensor (DLH_F64, dlh_shape (2, 1), 0.5, -0.5);
    g_auto (Bench) b = {0};

    bench_init (&b, NULL, (const char *[]){"hidden", "[4]", "noise", "1", NULL}, settings,
                regression (IN, 1), (DlhTraining){0});
    b.y = dlh_tensor_ref (y);
    for (guint t = 0; t < 20; t++) {
        g_clear_pointer (&b.x, dlh_tensor_unref);
        b.x = test_tensor_random (DLH_F64, dlh_shape (2, IN), t + 1);
        bench_step (&b);
        g_assert_cmpfloat (logged (&b, "loss"), <, 1e4);
    }
    g_assert_cmpfloat (*value (&b, "kfac/recoveries"), >, 1);
    // One after another they raise by more each time.
    g_assert_cmpfloat (*value (&b, "kfac/boost"), >=,
                       10 * pow (10, *value (&b, "kfac/recoveries")));
    g_assert_cmpfloat (*value (&b, "kfac/boost"), >, 1e10);
}

// When taking the step back does not help, the error is the usual one.
static void
bad_batches_are_refused (void)
{
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};

    bench_init (&b, NULL, hidden4, (const char *[]){"step", "quadratic", NULL}, classes (),
                (DlhTraining){0});
    small_batch (&b);
    bench_step (&b);
    dlh_tensor_set (b.x, 0, NAN);
    g_assert_false (dlh_trainer_step (b.trainer, b.x, b.y, &error));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "step 1");
    dlh_tensor_set (b.x, 0, 1);
    bench_step (&b);
}

/* Damping by a schedule: the run's kinds. */
static void
damping_is_scheduled (void)
{
    const char *const settings[] = {"damping",
                                    "0.2",
                                    "damping_schedule",
                                    "exponential",
                                    "damping_factor",
                                    "0.5",
                                    "damping_steps",
                                    "2",
                                    NULL};
    g_auto (Bench) b = {0};

    bench_init (&b, NULL, hidden4, settings, classes (), (DlhTraining){0});
    small_batch (&b);
    for (guint t = 0; t < 4; t++)
        bench_step (&b);
    close_to ("lambda", logged (&b, "kfac_lambda"), 0.2 * pow (0.5, 1.5), 1, 1e-15);
}

/* The first half of a batch that is one half twice: curvature of the model or of the blocks taken
 * from it alone gives the same steps, whether gradients or rows are preconditioned. */
static void
doubled_batch (const char *rule, const char *precondition, const char *fraction)
{
    double w[2][P];

    for (guint half = 0; half < 2; half++) {
        const char *const settings[] = {"step",
                                        rule,
                                        "precondition",
                                        precondition,
                                        "damping",
                                        "0.1",
                                        "statistics",
                                        "1",
                                        "inverses",
                                        "1",
                                        "fisher",
                                        "exact",
                                        fraction,
                                        half ? "0.5" : "1",
                                        NULL};
        g_auto (Bench) b = {0};

        bench_init (&b, NULL, hidden4, settings, classes (), (DlhTraining){0});
        b.x = test_tensor_random (DLH_F64, dlh_shape (CASES, IN), 1);
        b.y = test_tensor (DLH_I64, dlh_shape (CASES), 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2);
        for (gsize i = 0; i < CASES * IN / 2; i++)
            dlh_tensor_set (b.x, (gint64)(i + CASES * IN / 2), dlh_tensor_get (b.x, (gint64)i));
        for (guint t = 0; t < 6; t++)
            bench_step (&b);
        gather (&b, "%s", w[half]);
    }
    test_assert_within (w[1], w[0], P, 1e-9);
}

static void
half_of_a_doubled_batch (void)
{
    doubled_batch ("quadratic", "cheapest", "model_fraction");
    doubled_batch ("quadratic", "cheapest", "statistics_fraction");
    doubled_batch ("fixed", "gradient", "statistics_fraction");
    doubled_batch ("fixed", "rows", "statistics_fraction");
}

/* gamma: the candidates are what steps with inverses damped so would come to. */

static void
gamma_bench (Bench *b)
{
    const char *const settings[] = {
        "step", "quadratic",    "damping", "0.02",           "statistics", "1", "inverses",
        "1",    "gamma_period", "4",       "damping_period", "0",          NULL};

    bench_init (b, NULL, hidden4, settings, classes (), (DlhTraining){0});
    small_batch (b);
}

static void
gamma_is_the_best (void)
{
    const double w2 = 0.95 * 0.95, factors[] = {1, w2, 1 / w2};
    gboolean moved = FALSE;

    // searches are at steps 1, 5, 9
    for (guint at = 5; at <= 9; at += 4) {
        double least = G_MAXDOUBLE, best = 0;
        g_auto (Bench) searched = {0};

        for (guint i = 0; i < 3; i++) {
            g_auto (Bench) b = {0};
            double change;

            gamma_bench (&b);
            for (guint t = 0; t < at - 1; t++)
                bench_step (&b);
            *value (&b, "kfac/gamma") *= factors[i];
            best = i ? best : *value (&b, "kfac/gamma");
            change = *value (&b, "kfac/gamma");
            bench_step (&b);
            bench_step (&b);
            if (logged (&b, "kfac_model_change") < least) {
                least = logged (&b, "kfac_model_change");
                best = change;
                moved |= i > 0;
            }
        }
        gamma_bench (&searched);
        for (guint t = 0; t <= at; t++)
            bench_step (&searched);
        close_to ("gamma", *value (&searched, "kfac/gamma"), best, best, 1e-12);
    }
    g_assert_true (moved);
}

/* What does not go together is refused, with the options' names, when the plugin is loaded; damping
 * of 0 when weight decay is known, which stands for it. */
static void
contradictions_are_refused (void)
{
    static const char *const undamped[] = {"damping", "0", NULL};
    static const struct {
        const char *settings[7];
        const char *text;
    } cases[] = {
        {{"step", "quadratic", "kl_clip", "0.1", NULL}, "kl_clip is 0.1 and step is quadratic"},
        {{"gamma_period", "5", NULL}, "gamma_period is 5 and step is fixed"},
        {{"damping_schedule", "cosine", "damping_period", "5", NULL}, "damping_schedule is cosine"},
        {{"damping_period", "5", "damping_min", "2", "damping_max", "1", NULL}, "damping_min is 2"},
        {{"inverses", "5", "inverse_delay", "5", NULL}, "'inverse_delay' is 5 and 'inverses' is 5"},
    };
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);

        for (guint k = 0; cases[i].settings[k]; k += 2)
            g_hash_table_insert (table, (gpointer)cases[i].settings[k],
                                 (gpointer)cases[i].settings[k + 1]);
        g_assert_null (dlh_registry_load (registry, DLH_OPTIMIZER, "kfac", table, &error));
        g_assert_true (error && g_str_has_prefix (error->message, "kfac: "));
        test_assert_error (&error, DLH_ERROR_OPTION, cases[i].text);
    }
    bench_init (&b, NULL, hidden4, undamped, classes (), (DlhTraining){0});
    small_batch (&b);
    g_assert_false (dlh_trainer_step (b.trainer, b.x, b.y, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "damping is 0 and inverse is cholesky");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/kfac-step/model/stationary", model_is_stationary);
    g_test_add_func ("/kfac-step/momentum/conjugate-gradients", steps_are_conjugate_gradients);
    g_test_add_func ("/kfac-step/lambda/follows-rho", lambda_follows_rho);
    g_test_add_func ("/kfac-step/lambda/rises-at-nan", lambda_rises_at_nan);
    g_test_add_func ("/kfac-step/rho/replays-draws", rho_replays_draws);
    g_test_add_func ("/kfac-step/lambda/fixed-step", fixed_step_adapts);
    g_test_add_data_func ("/kfac-step/kl/held-by-gradient", "gradient", kl_is_held);
    g_test_add_data_func ("/kfac-step/kl/held-by-rows", "rows", kl_is_held);
    g_test_add_func ("/kfac-step/failed-steps/taken-back", failed_steps_are_taken_back);
    g_test_add_func ("/kfac-step/leaps/taken-back", leaps_are_taken_back);
    g_test_add_func ("/kfac-step/bad-batches/refused", bad_batches_are_refused);
    g_test_add_func ("/kfac-step/damping/scheduled", damping_is_scheduled);
    g_test_add_func ("/kfac-step/part/half-of-a-doubled-batch", half_of_a_doubled_batch);
    g_test_add_func ("/kfac-step/gamma/is-the-best", gamma_is_the_best);
    g_test_add_func ("/kfac-step/contradictions/refused", contradictions_are_refused);
    return g_test_run ();
}
