/* SPDX-License-Identifier: MIT */
/* Aggregated Momentum against its theory: identities with other methods, the shadow iterate, the
 * edge of stability on quadratics, and a bound on regret. The objective is
 *
 *     sum_i h_i theta_i^2 / 2 + c_i theta_i + w (tanh (theta_i theta_{i+1}))^2,   i modulo n
 *
 * where h, c and w come with the batch: gradients that the reference computes in closed form. */
#include "test.h"

#define MAX_N 64

typedef struct {
    gsize n;
    double h[MAX_N], c[MAX_N], w;
} Objective;

static gboolean
objective_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                 DlhNode *y, DlhObjective *objective, GError **error)
{
    const gint64 n = problem->input_shape.dims[1];
    DlhNode *theta = dlh_parameter (b->graph, b->store, "theta", dlh_shape (n),
                                    (DlhInit){DLH_INIT_CONSTANT, 1, 0});
    DlhNode *h = dlh_index (dlh_index (x, 0, 0), 0, 0), *c = dlh_index (dlh_index (x, 0, 0), 0, 1);
    DlhNode *w = dlh_index (dlh_index (x, 0, 0), 0, 2);
    DlhNode *next = dlh_concat (
        (DlhNode *[]){dlh_slice (theta, 0, 1, n, 1), dlh_slice (theta, 0, 0, 1, 1)}, 2, 0);
    DlhNode *square = dlh_mul (dlh_scale (h, 0.5), dlh_square (theta));
    DlhNode *bent = dlh_mul (w, dlh_square (dlh_tanh (dlh_mul (theta, next))));

    (void)options, (void)y, (void)error;
    objective->loss = dlh_sum_all (dlh_add (dlh_add (square, dlh_mul (c, theta)), bent));
    objective->n_cases = 1;
    return TRUE;
}

static const DlhSupervised objective_role = {sizeof objective_role, objective_build};
static const DlhModel objective_model = {sizeof objective_model, &objective_role};
static const DlhManifest objective_manifest = {
    .size = sizeof (DlhManifest),
    .option_size = sizeof (DlhOption),
    .abi_major = DLH_ABI_MAJOR,
    .abi_minor = DLH_ABI_MINOR,
    .kind = DLH_MODEL,
    .options_bytes = 1,
    .name = "objective",
    .version = "1",
    .licence = "MIT",
    .summary = "test objective",
};
static const DlhPlugin objective_plugin = {sizeof objective_plugin, &objective_manifest,
                                           &objective_model};

/* A run of a plugin on an objective. */

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x;
    gsize n;
} Run;

static void
run_clear (Run *r)
{
    dlh_trainer_free (r->trainer);
    dlh_tensor_unref (r->x);
    dlh_store_unref (r->store);
    dlh_registry_free (r->registry);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static void
run_set (Run *r, const Objective *o)
{
    for (gsize i = 0; i < o->n; i++) {
        dlh_tensor_set (r->x, (gint64)i, o->h[i]);
        dlh_tensor_set (r->x, (gint64)(o->n + i), o->c[i]);
        dlh_tensor_set (r->x, (gint64)(2 * o->n + i), o->w);
    }
}

// @settings: "name", "value", ..., NULL
static void
run_open (Run *r, const Objective *o, const char *optimizer, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (DlhComponent) c = NULL, model = NULL;
    g_autoptr (GError) error = NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (3, (gint64)o->n)};

    for (guint i = 0; settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    r->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    r->n = o->n;
    if (!r->store)
        r->store = dlh_store_new (1, DLH_F64);
    c = dlh_registry_load (r->registry, DLH_OPTIMIZER, optimizer, table, &error);
    g_assert_no_error (error);
    model = dlh_component_new_static (&objective_plugin, NULL, &error);
    g_assert_no_error (error);
    r->trainer = dlh_trainer_new (r->store, model, c, &problem, &training, &error);
    g_assert_no_error (error);
    r->x = dlh_tensor_new (dlh_store_get_dtype (r->store), dlh_shape (1, 3, (gint64)o->n), NULL);
    run_set (r, o);
}

static double *
variable (Run *r, const char *name)
{
    DlhVariable *v = dlh_store_lookup (r->store, name);

    g_assert_nonnull (v);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

static const double *
step (Run *r)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (r->trainer, r->x, NULL, &error);
    g_assert_no_error (error);
    return variable (r, "objective/theta");
}

static void
gradient (const Objective *o, const double *theta, double *g)
{
    for (gsize i = 0; i < o->n; i++)
        g[i] = o->h[i] * theta[i] + o->c[i];
    for (gsize i = 0; i < o->n; i++) {
        const gsize j = (i + 1) % o->n;
        const double t = tanh (theta[i] * theta[j]), slope = 2 * o->w * t * (1 - t * t);

        g[i] += slope * theta[j];
        g[j] += slope * theta[i];
    }
}

// Curvatures spread evenly in the logarithm from 1 / @condition to 1.
static Objective
quadratic (gsize n, double condition)
{
    Objective o = {.n = n};

    for (gsize i = 0; i < n; i++)
        o.h[i] = pow (condition, -(double)i / (double)MAX (n - 1, 1));
    return o;
}

/* The sheet's first items: hand-computed moves and exact special cases. */

static void
steps_by_hand (void)
{
    const Objective line = {.n = 1, .c = {1}};
    g_auto (Run) r = {0};
    double first, second;

    run_open (&r, &line, "aggmo", (const char *[]){"lr", "0.3", NULL});
    first = step (&r)[0];
    second = step (&r)[0];
    test_assert_close (&first, &(double){1 - 0.3}, 1, 1);
    // Old velocities instead of new ones would move by 0 first, and then by 0.3.
    test_assert_close (&second, &(double){0.7 - 0.489}, 1, 1);
}

static void
assert_same_path (const char *const *aggmo, const char *const *sgd)
{
    Objective o = quadratic (9, 100);
    g_auto (Run) a = {0}, b = {0};

    o.w = 0.3;
    run_open (&a, &o, "aggmo", aggmo);
    run_open (&b, &o, "sgd", sgd);
    for (guint t = 0; t < 50; t++) {
        const double *x = step (&a), *y = step (&b);

        if (memcmp (x, y, o.n * sizeof *x) != 0)
            test_assert_within (x, y, o.n, 0);
    }
}

static void
single_is_momentum (void)
{
    assert_same_path ((const char *[]){"betas", "[0.9]", "lr", "0.3", NULL},
                      (const char *[]){"momentum", "0.9", "lr", "0.3", NULL});
}

static void
zero_is_descent (void)
{
    assert_same_path ((const char *[]){"betas", "[0]", "lr", "0.3", NULL},
                      (const char *[]){"momentum", "0", "lr", "0.3", NULL});
}

// Three equal velocities are one: their states are kept apart by index.
static void
equal_betas (void)
{
    const Objective o = quadratic (9, 100);
    g_auto (Run) a = {0}, b = {0};

    run_open (&a, &o, "aggmo", (const char *[]){"betas", "[0.9,0.9,0.9]", "lr", "0.3", NULL});
    run_open (&b, &o, "sgd", (const char *[]){"momentum", "0.9", "lr", "0.3", NULL});
    for (guint t = 0; t < 50; t++)
        test_assert_within (step (&a), step (&b), o.n, 1e-13);
    g_assert_nonnull (dlh_store_lookup (a.store, "aggmo/objective/theta/v3"));
}

static void
equal_rates (void)
{
    const Objective o = quadratic (9, 100);
    g_auto (Run) a = {0}, b = {0};

    run_open (&a, &o, "aggmo", (const char *[]){"rates", "[0.3,0.3,0.3]", "lr", "0.3", NULL});
    run_open (&b, &o, "aggmo", (const char *[]){"lr", "0.3", NULL});
    for (guint t = 0; t < 50; t++)
        test_assert_within (step (&a), step (&b), o.n, 1e-14);
}

// With gradients of zero only the decay moves theta: by (1 - lr wd) a step.
static void
weight_decay (void)
{
    const Objective o = {.n = 3};
    const char *const settings[] = {"betas", "[0]", "lr", "0.1", "weight_decay", "0.2", NULL};
    g_auto (Run) r = {0};
    double want[] = {1, 1, 1};

    run_open (&r, &o, "aggmo", settings);
    for (guint t = 0; t < 20; t++) {
        for (gsize i = 0; i < o.n; i++)
            want[i] *= 1 - 0.1 * 0.2;
        test_assert_close (step (&r), want, o.n, 20);
    }
}

/* Nesterov's method as AggMo with [0, beta] and rates (2 lr, 2 beta lr): section 4.1 of the paper.
 */

#define NESTEROV_BETA 0.99
#define NESTEROV_RATE 0.1
#define NESTEROV_STEPS 500

// Returns: the largest distance to the look-ahead points, and to Nesterov's own iterates.
static void
nesterov_distances (const Objective *o, const char *rates, double *ahead, double *own)
{
    double theta[MAX_N], v[MAX_N] = {0}, phi[MAX_N], g[MAX_N];
    g_auto (Run) r = {0};

    run_open (&r, o, "aggmo", (const char *[]){"betas", "[0,0.99]", "rates", rates, NULL});
    for (gsize i = 0; i < o->n; i++)
        theta[i] = phi[i] = 1;
    *ahead = *own = 0;
    for (guint t = 0; t < NESTEROV_STEPS; t++) {
        const double *x = step (&r);

        gradient (o, phi, g);
        for (gsize i = 0; i < o->n; i++) {
            v[i] = NESTEROV_BETA * v[i] - g[i];
            theta[i] += NESTEROV_RATE * v[i];
            phi[i] = theta[i] + NESTEROV_RATE * NESTEROV_BETA * v[i];
            *ahead = MAX (*ahead, fabs (x[i] - phi[i]));
            *own = MAX (*own, fabs (x[i] - theta[i]));
        }
    }
}

static void
nesterov_identity (void)
{
    for (guint i = 0; i < 2; i++) {
        Objective o = quadratic (20, 1e3);
        double ahead, own;

        o.w = i ? 0.3 : 0; // not a quadratic the second time
        nesterov_distances (&o, "[0.2,0.198]", &ahead, &own);
        if (!(ahead <= 1e-11))
            test_fail ("%.3g from the look-ahead points, at most 1e-11", ahead);
        g_assert_cmpfloat (own, >, 1e-3); // it is not Nesterov's own iterate that is followed
        nesterov_distances (&o, "[0.2,0.2]", &ahead, &own);
        g_assert_cmpfloat (ahead, >, 1e-3); // equal rates only approximate it
    }
}

/* z_t = theta_t + (lr / K) sum_k beta_k / (1 - beta_k) v_k descends by gbar g_t, exactly. */
static void
shadow_iterate (void)
{
    const double betas[] = {0, 0.9, 0.99}, lr = 0.05;
    Objective o = quadratic (12, 50);
    double z[MAX_N], before[MAX_N], g[MAX_N], noise[300 * 12], gbar = 0;
    g_auto (Run) r = {0};

    for (guint k = 0; k < 3; k++)
        gbar += lr / 3 / (1 - betas[k]);
    test_assert_close (&gbar, &(double){37 * lr}, 1, 37 * lr * 10);
    run_open (&r, &o, "aggmo", (const char *[]){"lr", "0.05", NULL});
    test_random (5, noise, G_N_ELEMENTS (noise));
    for (gsize i = 0; i < o.n; i++)
        z[i] = before[i] = 1;
    for (guint t = 0; t < 300; t++) {
        const double *theta;

        memcpy (o.c, noise + t * o.n, o.n * sizeof *o.c);
        run_set (&r, &o);
        gradient (&o, before, g);
        theta = step (&r);
        for (gsize i = 0; i < o.n; i++) {
            const double *v2 = variable (&r, "aggmo/objective/theta/v2");
            const double *v3 = variable (&r, "aggmo/objective/theta/v3");
            // The state holds -v.
            const double now =
                theta[i] - lr / 3 * (0.9 / (1 - 0.9) * v2[i] + 0.99 / (1 - 0.99) * v3[i]);

            z[i] -= gbar * g[i];
            test_assert_within (&now, &z[i], 1, 1e-11);
            before[i] = theta[i];
        }
    }
}

/* On lam theta^2 / 2 the edge of stability is lr lam = 2 K / sum 1 / (1 + beta_k). */
static void
stability_edge (void)
{
    static const struct {
        const char *betas;
        double edge;
    } cases[] = {
        {"[0.9]", 3.8},
        {"[0.99]", 3.98},
        {"[0,0.9]", 2.6207},
        {"[0,0.9,0.99]", 2.9574},
        {"[0,0.9,0.99,0.999]", 3.1632},
        {"[0,0.9,0.99,0.999,0.9999]", 3.3013},
    };

    for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
        g_auto (GStrv) parts = g_strsplit_set (cases[c].betas, "[,]", -1);
        double sum = 0, edge;
        guint k = 0;

        for (guint i = 0; parts[i]; i++)
            if (*parts[i]) {
                sum += 1 / (1 + g_ascii_strtod (parts[i], NULL));
                k++;
            }
        edge = 2 * k / sum;
        test_assert_within (&edge, &cases[c].edge, 1, 5e-5);
        for (guint outside = 0; outside < 2; outside++) {
            const Objective o = {.n = 1, .h = {edge * (outside ? 1.001 : 0.999)}};
            g_auto (Run) r = {0};
            double size = 0;
            guint t;

            run_open (&r, &o, "aggmo", (const char *[]){"betas", cases[c].betas, "lr", "1", NULL});
            for (t = 0; t < 20000 && size < 1e6; t++)
                size = fabs (step (&r)[0]);
            if (outside ? t == 20000 : !(size < 1e-3))
                test_fail ("%s: |theta| is %g after %u steps %s the edge", cases[c].betas, size, t,
                           outside ? "beyond" : "within");
        }
    }
}

/* beta_decay: beta_k d^t at step t, against a scalar loop. */
static void
decayed_betas (void)
{
    const double betas[] = {0.5, 0.9}, d = 0.97;
    const Objective o = {.n = 1, .h = {0.7}, .c = {0.4}};
    g_auto (Run) r = {0};
    double theta = 1, v[2] = {0};

    run_open (&r, &o, "aggmo",
              (const char *[]){"betas", "[0.5,0.9]", "lr", "0.3", "beta_decay", "0.97", NULL});
    for (guint t = 0; t < 60; t++) {
        const double g = 0.7 * theta + 0.4;

        for (guint k = 0; k < 2; k++) {
            v[k] = betas[k] * pow (d, t) * v[k] - g;
            theta += 0.3 / 2 * v[k];
        }
        test_assert_within (step (&r), &theta, 1, 1e-13);
    }
}

// Other coefficients in the middle of a run: velocities of the same index go on from what they are.
static void
betas_changed (void)
{
    const Objective o = {.n = 1, .h = {0.7}, .c = {0.4}};
    g_auto (Run) r = {0}, then = {0};
    double theta = 1, v[2] = {0};

    run_open (&r, &o, "aggmo", (const char *[]){"betas", "[0.5,0.9]", "lr", "0.3", NULL});
    then.store = dlh_store_ref (r.store);
    run_open (&then, &o, "aggmo", (const char *[]){"betas", "[0.8,0.99]", "lr", "0.1", NULL});
    for (guint t = 0; t < 40; t++) {
        const double g = 0.7 * theta + 0.4, lr = t < 20 ? 0.3 : 0.1;

        v[0] = (t < 20 ? 0.5 : 0.8) * v[0] - g;
        v[1] = (t < 20 ? 0.9 : 0.99) * v[1] - g;
        theta += lr / 2 * (v[0] + v[1]);
        test_assert_within (step (t < 20 ? &r : &then), &theta, 1, 1e-13);
    }
}

static void
norms_logged (void)
{
    const Objective o = quadratic (5, 10);
    g_auto (Run) r = {0};
    double g[MAX_N], theta[MAX_N], want = 0, got = -1;

    run_open (&r, &o, "aggmo", (const char *[]){"norms", "true", NULL});
    for (gsize i = 0; i < o.n; i++)
        theta[i] = 1;
    gradient (&o, theta, g);
    for (gsize i = 0; i < o.n; i++)
        want += g[i] * g[i];
    want = sqrt (want);
    step (&r);
    for (guint i = 0; i < dlh_trainer_n_values (r.trainer); i++)
        if (g_str_has_suffix (dlh_trainer_value_name (r.trainer, i), "velocity_norm/3"))
            got = dlh_trainer_value (r.trainer, i);
    test_assert_close (&got, &want, 1, want);
}

// The norm over all parameters of each velocity, at every step.
static void
norms_followed (void)
{
    static const char *const suffixes[] = {"velocity_norm/1", "velocity_norm/2", "velocity_norm/3"};
    const double betas[] = {0, 0.9, 0.99};
    const Objective o = quadratic (5, 10);
    g_auto (Run) r = {0};
    double theta[MAX_N], v[3][MAX_N] = {{0}};

    run_open (&r, &o, "aggmo", (const char *[]){"norms", "true", "lr", "0.3", NULL});
    for (gsize i = 0; i < o.n; i++)
        theta[i] = 1;
    for (guint t = 0; t < 30; t++) {
        double norms[3] = {0}, got[3] = {-1, -1, -1};

        for (guint k = 0; k < 3; k++)
            for (gsize i = 0; i < o.n; i++) {
                v[k][i] = betas[k] * v[k][i] + o.h[i] * theta[i];
                norms[k] += v[k][i] * v[k][i];
            }
        for (guint k = 0; k < 3; k++) {
            norms[k] = sqrt (norms[k]);
            for (gsize i = 0; i < o.n; i++)
                theta[i] -= 0.3 / 3 * v[k][i];
        }
        step (&r);
        for (guint i = 0; i < dlh_trainer_n_values (r.trainer); i++) {
            const char *name = dlh_trainer_value_name (r.trainer, i);

            for (guint k = 0; k < 3; k++)
                if (g_str_has_suffix (name, suffixes[k]))
                    got[k] = dlh_trainer_value (r.trainer, i);
        }
        test_assert_within (got, norms, 3, 1e-12);
    }
}

/* The matrix of the sheet's section 3.7, from the plugin: a step from each of the states in which
 * one number is 1. Equal betas are among them. */
static void
matrix_of_steps (void)
{
    enum { K = 4 };
    static const double betas[K] = {0.3, 0.9, 0.9, 0.99};
    const double lr = 0.2, curvature = 1.3, pull = lr * curvature / K;
    const Objective o = {.n = 1, .h = {curvature}};
    g_auto (Run) r = {0};

    run_open (&r, &o, "aggmo", (const char *[]){"lr", "0.2", "betas", "[0.3,0.9,0.9,0.99]", NULL});
    step (&r); // there are velocities from now on
    for (guint from = 0; from <= K; from++) {
        double want[K + 1] = {0}, got[K + 1];

        for (guint i = 0; i <= K; i++) {
            g_autofree char *name = g_strdup_printf ("aggmo/objective/theta/v%u", i);

            // u_i = lr / K v_i, and the state is -v.
            *(i ? variable (&r, name) : variable (&r, "objective/theta")) = i != from ? 0
                                                                            : i       ? -K / lr
                                                                                      : 1;
        }
        got[0] = step (&r)[0];
        for (guint i = 1; i <= K; i++) {
            g_autofree char *name = g_strdup_printf ("aggmo/objective/theta/v%u", i);

            got[i] = -variable (&r, name)[0] * lr / K;
        }
        if (from == 0) {
            want[0] = 1 - K * pull;
            for (guint i = 1; i <= K; i++)
                want[i] = -pull;
        } else
            want[0] = want[from] = betas[from - 1];
        test_assert_close (got, want, K + 1, 2);
    }
}

/* 100 steps in float end where 100 steps in double do: each rounds numbers up to 1 by eps / 2. */
static void
float_agrees (void)
{
    static const char *const states[] = {"objective/theta", "aggmo/objective/theta/v2",
                                         "aggmo/objective/theta/v3"};
    Objective o = quadratic (16, 100);
    g_auto (Run) a = {0}, b = {0};

    o.w = 0.3;
    a.store = dlh_store_new (1, DLH_F32);
    run_open (&a, &o, "aggmo", (const char *[]){"lr", "0.05", NULL});
    run_open (&b, &o, "aggmo", (const char *[]){"lr", "0.05", NULL});
    for (guint t = 0; t < 100; t++) {
        step (&a);
        step (&b);
    }
    for (guint k = 0; k < G_N_ELEMENTS (states); k++) {
        DlhTensor *x = dlh_variable_tensor (dlh_store_lookup (a.store, states[k]));
        DlhTensor *y = dlh_variable_tensor (dlh_store_lookup (b.store, states[k]));
        const double tolerance = 100 * (double)FLT_EPSILON / 2;

        g_assert_cmpint (dlh_tensor_get_dtype (x), ==, DLH_F32);
        for (gint64 i = 0; i < (gint64)o.n; i++) {
            const double got = dlh_tensor_get (x, i), want = dlh_tensor_get (y, i);

            test_assert_within (&got, &want, 1, tolerance);
        }
    }
}

/* Regret on linear losses <c_t, theta> of random signs, against the best point within distance 1:
 *     R (T) <= D^2 / (2 gbar) + G^2 T (gbar / 2 + (lr / K) sum beta_k / (1 - beta_k)^2)
 * from the shadow iterate, for constant lr = c / sqrt (T); so R (T) / T falls like T^-1/2. */

#define DIMENSIONS 4

static double
regret (guint T, guint64 seed, double lr, double *bound)
{
    static const double betas[] = {0, 0.9, 0.99};
    g_autofree char *text = g_strdup_printf ("%.17g", lr);
    g_autofree double *draws = g_new (double, T *DIMENSIONS);
    Objective o = {.n = DIMENSIONS};
    double theta[DIMENSIONS] = {1, 1, 1, 1}, total[DIMENSIONS] = {0}, played = 0, norm = 0;
    double gbar = 0, lag = 0;
    g_auto (Run) r = {0};

    run_open (&r, &o, "aggmo", (const char *[]){"lr", text, NULL});
    test_random (seed, draws, T * DIMENSIONS);
    for (guint t = 0; t < T; t++) {
        for (gsize i = 0; i < o.n; i++) {
            o.c[i] = draws[t * o.n + i] > 0 ? 1 : -1;
            played += o.c[i] * (theta[i] - 1); // of the start: the same for every competitor
            total[i] += o.c[i];
        }
        run_set (&r, &o);
        memcpy (theta, step (&r), sizeof theta);
    }
    for (gsize i = 0; i < o.n; i++)
        norm += total[i] * total[i];
    for (guint k = 0; k < 3; k++) {
        gbar += lr / 3 / (1 - betas[k]);
        lag += lr / 3 * betas[k] / ((1 - betas[k]) * (1 - betas[k]));
    }
    *bound = 1 / (2 * gbar) + DIMENSIONS * T * (gbar / 2 + lag);
    return played + sqrt (norm); // the best point at distance 1 loses - norm
}

static void
regret_bounded (void)
{
    enum { SIZES = 4, SEEDS = 10 };
    static const guint T[SIZES] = {100, 464, 2154, 10000};
    double sx = 0, sy = 0, sxx = 0, sxy = 0, slope;

    for (guint i = 0; i < SIZES; i++) {
        // The lr for which the bound is smallest: 1 / (74 lr) = 4 T lr (18.5 + 3330).
        const double lr = sqrt (1 / (74 * DIMENSIONS * T[i] * (18.5 + 3330.0)));
        double mean = 0;

        for (guint seed = 0; seed < SEEDS; seed++) {
            double bound, R = regret (T[i], 100 + seed, lr, &bound);

            if (!(R <= bound))
                test_fail ("regret %g after %u steps, at most %g", R, T[i], bound);
            mean += R / SEEDS;
        }
        sx += log (T[i]);
        sy += log (mean / T[i]);
        sxx += log (T[i]) * log (T[i]);
        sxy += log (T[i]) * log (mean / T[i]);
    }
    slope = (SIZES * sxy - sx * sy) / (SIZES * sxx - sx * sx);
    g_test_message ("average regret falls like T^%.3f", slope);
    if (!(fabs (slope + 0.5) <= 0.15))
        test_fail ("average regret falls like T^%.3f, should be T^-0.5 within 0.15", slope);
}

// One loss <1, theta> for T = D / (gbar G) steps from distance D = 1 attains the bound but for the
// start of the velocities, which are not yet as long as they will be:
//     R (T) = bound - (lr / K) G^2 sum beta_k (1 - beta_k^T) / (1 - beta_k)^3
// So no smaller constants would do.
static void
regret_attained (void)
{
    enum { T = 3000 };
    static const double betas[] = {0, 0.9, 0.99};
    const Objective line = {.n = 1, .c = {1}};
    const double lr = 1 / (37.0 * T);
    g_autofree char *text = g_strdup_printf ("%.17g", lr);
    double theta = 1, R = 0, bound = 0.5 / (37 * lr) + T * 37 * lr / 2, missing = 0;
    g_auto (Run) r = {0};

    for (guint k = 0; k < 3; k++) {
        const double b = betas[k], gap = 1 - b;

        bound += T * lr / 3 * b / (gap * gap);
        missing += lr / 3 * b * (1 - pow (b, T)) / (gap * gap * gap);
    }
    run_open (&r, &line, "aggmo", (const char *[]){"lr", text, NULL});
    for (guint t = 0; t < T; t++) {
        R += theta; // against theta = 0, at distance 1
        theta = step (&r)[0];
    }
    g_test_message ("regret %.6g, bound %.6g", R, bound);
    g_assert_cmpfloat (R, <, bound);
    bound -= missing;
    test_assert_within (&R, &bound, 1, 1e-9 * bound);
}

// Quadratic losses h_t theta^2 / 2 + c_t theta, whose best point is known: -sum c / sum h.
static void
regret_quadratic (void)
{
    enum { T = 3000 };
    g_autofree double *draws = g_new (double, 2 * T), *played = g_new (double, T);
    Objective o = {.n = 1};
    double theta = 1, c = 0, h = 0, best, R = 0, G = 0, bound;
    const double lr = 0.002, gbar = 37 * lr, lag = lr * 3330; // sum beta / (1 - beta)^2 = 9990
    g_auto (Run) r = {0};

    run_open (&r, &o, "aggmo", (const char *[]){"lr", "0.002", NULL});
    test_random (11, draws, 2 * T);
    for (guint t = 0; t < T; t++) {
        o.h[0] = 0.05 * fabs (draws[2 * t]);
        o.c[0] = draws[2 * t + 1];
        h += o.h[0];
        c += o.c[0];
        played[t] = theta;
        G = fmax (G, fabs (o.h[0] * theta + o.c[0]));
        run_set (&r, &o);
        theta = step (&r)[0];
    }
    best = -c / h;
    for (guint t = 0; t < T; t++) {
        const double a = 0.05 * fabs (draws[2 * t]), b = draws[2 * t + 1], x = played[t];

        R += a * (x * x - best * best) / 2 + b * (x - best);
    }
    bound = (1 - best) * (1 - best) / (2 * gbar) + G * G * T * (gbar / 2 + lag);
    g_test_message ("regret %.6g, bound %.6g", R, bound);
    if (!(R > 0 && R <= bound))
        test_fail ("regret %g, must be above 0 and at most %g", R, bound);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/aggmo/steps/by-hand", steps_by_hand);
    g_test_add_func ("/aggmo/single/is-momentum-bitwise", single_is_momentum);
    g_test_add_func ("/aggmo/zero/is-descent-bitwise", zero_is_descent);
    g_test_add_func ("/aggmo/equal-betas/kept-apart", equal_betas);
    g_test_add_func ("/aggmo/equal-rates/is-eq-3", equal_rates);
    g_test_add_func ("/aggmo/weight-decay/shrinks", weight_decay);
    g_test_add_func ("/aggmo/nesterov/look-ahead-points", nesterov_identity);
    g_test_add_func ("/aggmo/shadow/descends-exactly", shadow_iterate);
    g_test_add_func ("/aggmo/quadratic/edge-of-stability", stability_edge);
    g_test_add_func ("/aggmo/decay/scalar-loop", decayed_betas);
    g_test_add_func ("/aggmo/change/velocities-go-on", betas_changed);
    g_test_add_func ("/aggmo/norms/logged", norms_logged);
    g_test_add_func ("/aggmo/norms/followed", norms_followed);
    g_test_add_func ("/aggmo/matrix/of-the-plugin", matrix_of_steps);
    g_test_add_func ("/aggmo/float/near-double", float_agrees);
    g_test_add_func ("/aggmo/regret/below-bound", regret_bounded);
    g_test_add_func ("/aggmo/regret/bound-attained", regret_attained);
    g_test_add_func ("/aggmo/regret/quadratic-losses", regret_quadratic);
    return g_test_run ();
}
