/* SPDX-License-Identifier: MIT */
/* Hamiltonian Monte Carlo through the real loader: exact facts about leapfrog, detailed balance
 * with controls that must fail, adaptation, what is not finite. */
#include "test.h"

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTarget *target;
    DlhChains *chains;
    gint64 n_chains;
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

static DlhComponent *
load (Bench *b, DlhPluginKind kind, const char *name, const char *const *settings)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings && settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    if (!b->registry)
        b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    c = dlh_registry_load (b->registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

// @hmc: settings of the sampler. Chains of @density, or where it is NULL of one block (C, d).
static void
bench_init (Bench *b, guint64 seed, gint64 n_chains, const char *const *hmc, gint64 n_warmup,
            const char *const *density_model, DlhLogDensity density, gpointer user_data, gint64 d)
{
    const DlhBlock block = {"x", dlh_shape (d), {DLH_INIT_NORMAL, 0, 1}};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) sampler = load (b, DLH_SAMPLER, "hmc", hmc);
    g_autoptr (DlhComponent) model = NULL;

    b->n_chains = n_chains;
    if (!b->store)
        b->store = dlh_store_new (seed, DLH_F64);
    if (density_model) {
        model = load (b, DLH_MODEL, "density", density_model);
        b->target = dlh_target_new_density (b->store, model, n_chains, &error);
    } else
        b->target = dlh_target_new (b->store, n_chains, &block, 1, density, user_data, &error);
    g_assert_no_error (error);
    b->chains = dlh_chains_new (b->target, sampler, n_warmup, &error);
    g_assert_no_error (error);
}

static double *
values (Bench *b, const char *name)
{
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (b->store, name)));
}

static DlhNode *
standard_normal (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    (void)b, (void)user_data;
    return dlh_scale (dlh_sum_axis (dlh_square (q[0]), 1), -0.5);
}

/* On N(0, 1) leapfrog is a rotation: with cos a = 1 - eps^2 / 2, r = sqrt (1 - eps^2 / 4)
 *   q_L = q_0 cos L a + p_0 sin (L a) / r,    dH = eps^2 / 8 (q_L^2 - q_0^2).
 * It is reversible, so the first position follows from the last position and momentum. */
static void
leapfrog_normal_exact (void)
{
    const struct {
        const char *eps, *steps;
    } cases[] = {{"0.1", "1"}, {"0.5", "10"}, {"1", "3"}, {"1.5", "7"}, {"0.01", "50"}};
    const gint64 C = 50;

    for (guint k = 0; k < G_N_ELEMENTS (cases); k++) {
        const char *settings[] = {
            "step_size",     cases[k].eps, "target",      "0", "steps", cases[k].steps,
            "length_jitter", "0",          "step_jitter", "0", NULL};
        double eps = g_ascii_strtod (cases[k].eps, NULL), L = g_ascii_strtod (cases[k].steps, NULL);
        double angle = L * acos (1 - eps * eps / 2), r = sqrt (1 - eps * eps / 4);
        g_autoptr (GError) error = NULL;
        g_auto (Bench) b = {0};

        bench_init (&b, 7, C, settings, 0, NULL, standard_normal, NULL, 1);
        for (guint t = 0; t < 3; t++) {
            g_autofree double *q0 = g_memdup2 (values (&b, "chains/x"), C * sizeof (double));
            const double *qL, *pL, *change;

            g_assert_true (dlh_chains_transition (b.chains, &error));
            qL = values (&b, "hmc/x/proposal");
            pL = values (&b, "hmc/x/momentum");
            change = dlh_chains_find_report (b.chains, "energy_change");
            for (gint64 c = 0; c < C; c++) {
                double back = qL[c] * cos (angle) - pL[c] * sin (angle) / r;
                double want = eps * eps / 8 * (qL[c] * qL[c] - q0[c] * q0[c]);
                double energy = dlh_chains_find_report (b.chains, "energy")[c] + want;
                double end = (qL[c] * qL[c] + pL[c] * pL[c]) / 2;

                test_assert_within (&back, &q0[c], 1, 1e-12);
                test_assert_within (&change[c], &want, 1, 1e-12);
                test_assert_within (&energy, &end, 1, 1e-12);
            }
        }
        // L gradients a transition, not L + 1.
        g_assert_cmpint (dlh_chains_pass_runs (b.chains, "leap"), ==, 3 * (gint64)L);
        g_assert_cmpint (dlh_chains_pass_runs (b.chains, "first"), ==, 1);
    }
}

/* Detailed balance of one move from exact draws of the double well U = q^4 / 4 - q^2 / 2. */

#define STATISTICS 3

static DlhNode *
double_well (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    DlhNode *s = dlh_square (dlh_index (q[0], 1, 0));

    (void)b, (void)user_data;
    return dlh_sub (dlh_scale (s, 0.5), dlh_scale (dlh_square (s), 0.25));
}

static double
well (double q)
{
    return q * q * q * q / 4 - q * q / 2;
}

// Quantiles by adding up the density on a fine grid; @u sorted or not.
static void
well_draws (guint64 seed, double *q, gsize n)
{
    const gsize cells = 200000;
    const double lo = -6, width = 12.0 / (double)cells;
    g_autofree double *cdf = g_new (double, cells + 1);

    cdf[0] = 0;
    for (gsize i = 0; i < cells; i++)
        cdf[i + 1] = cdf[i] + exp (-well (lo + width * ((double)i + 0.5)));
    dlh_random_fill_uniform (seed, "test/well", 0, q, n);
    for (gsize k = 0; k < n; k++) {
        double u = q[k] * cdf[cells];
        gsize a = 0, z = cells;

        while (z - a > 1) {
            gsize middle = (a + z) / 2;

            *(cdf[middle] <= u ? &a : &z) = middle;
        }
        q[k] = lo + width * ((double)a + (u - cdf[a]) / (cdf[a + 1] - cdf[a]));
    }
}

// z of three statistics whose mean is 0 when q and r have the same law and can be exchanged.
static void
balance (const double *q, const double *r, gsize n, double *z)
{
    for (guint k = 0; k < STATISTICS; k++) {
        double sum = 0, squares = 0;

        for (gsize i = 0; i < n; i++) {
            double a = q[i] * q[i], b = r[i] * r[i];
            double s = k == 0   ? a * b * b - a * a * b
                       : k == 1 ? b - a
                                : cos (2 * r[i]) - cos (2 * q[i]);

            sum += s;
            squares += s * s;
        }
        z[k] = sum / sqrt (squares);
    }
}

typedef enum { RIGHT, FULL_LAST_KICK, NO_KINETIC, ALWAYS } Mistake;

// The same move from the definition, with a mistake.
static double
plain_move (double q, double p, double u, Mistake mistake)
{
    const double eps = 0.6;
    double start = q, before = well (q) + (mistake == NO_KINETIC ? 0 : p * p / 2), change;

    p -= eps / 2 * (q * q * q - q);
    for (guint i = 0; i < 3; i++) {
        q += eps * p;
        p -= eps * (i < 2 || mistake == FULL_LAST_KICK ? 1 : 0.5) * (q * q * q - q);
    }
    change = well (q) + (mistake == NO_KINETIC ? 0 : p * p / 2) - before;
    return mistake == ALWAYS || u < exp (-change) ? q : start;
}

// |z| < 5 for three statistics of a right sampler: a false alarm once in 580,000 runs of other
// seeds.
static void
balance_plugin_keeps (void)
{
    const char *settings[] = {"step_size",     "0.6", "target",      "0", "steps", "3",
                              "length_jitter", "0",   "step_jitter", "0", NULL};
    const gsize n = 1000000;
    g_autofree double *q = g_new (double, n);
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    double z[STATISTICS], sum = 0, four = 0;

    bench_init (&b, 11, (gint64)n, settings, 0, NULL, double_well, NULL, 1);
    well_draws (1, q, n);
    for (gsize i = 0; i < n; i++) {
        sum += q[i] * q[i] / (double)n;
        four += q[i] * q[i] * q[i] * q[i] / (double)n;
    }
    test_assert_mean (sum, 1.041797296, sqrt ((2.041797296 - 1.0853) / (double)n));
    test_assert_mean (four, 2.041797296, 3 / sqrt ((double)n));
    memcpy (values (&b, "chains/x"), q, n * sizeof *q);
    g_assert_true (dlh_chains_transition (b.chains, &error));
    balance (q, values (&b, "chains/x"), n, z);
    for (guint k = 0; k < STATISTICS; k++)
        g_assert_cmpfloat (fabs (z[k]), <, 5);
    // Every proposal accepted is the mistake that only this statistic sees.
    balance (q, values (&b, "hmc/x/proposal"), n, z);
    g_assert_cmpfloat (fabs (z[2]), >, 20);
}

static void
balance_mistakes_are_seen (void)
{
    const gsize n = 1000000;
    g_autofree double *q = g_new (double, n);
    g_autofree double *p = g_new (double, n);
    g_autofree double *u = g_new (double, n);
    g_autofree double *r = g_new (double, n);
    double z[STATISTICS];

    well_draws (2, q, n);
    dlh_random_fill_normal (2, "test/p", 0, p, n);
    dlh_random_fill_uniform (2, "test/u", 0, u, n);
    for (Mistake m = RIGHT; m <= ALWAYS; m++) {
        double worst = 0;

        for (gsize i = 0; i < n; i++)
            r[i] = plain_move (q[i], p[i], u[i], m);
        balance (q, r, n, z);
        for (guint k = 0; k < STATISTICS; k++)
            worst = MAX (worst, fabs (z[k]));
        if (m == RIGHT)
            g_assert_cmpfloat (worst, <, 5);
        else
            g_assert_cmpfloat (worst, >, 20);
    }
}

/* Equilibrium acceptance on N(0, I), by an independent simulation with an error of 5e-4. */
static void
acceptance_normal_published (void)
{
    const struct {
        gint64 d;
        const char *eps, *steps;
        double want;
    } rows[] = {{1, "0.5", "10", .9806},
                {10, "0.5", "10", .9252},
                {100, "0.5", "10", .7622},
                {10, "1.5", "3", .2391},
                {10, "1", "3", 1}};
    const gint64 C = 4000;

    for (guint k = 0; k < G_N_ELEMENTS (rows); k++) {
        const char *settings[] = {"step_size",   rows[k].eps,     "target", "0",           "steps",
                                  rows[k].steps, "length_jitter", "0",      "step_jitter", "0",
                                  NULL};
        g_autoptr (GError) error = NULL;
        g_auto (Bench) b = {0};
        double mean = 0, square = 0, se;

        bench_init (&b, 13, C, settings, 0, NULL, standard_normal, NULL, rows[k].d);
        for (guint t = 0; t < 4; t++) {
            g_assert_true (dlh_chains_transition (b.chains, &error));
            for (gint64 c = 0; c < C; c++) {
                double a = dlh_chains_find_report (b.chains, "accept")[c];

                mean += a / (4.0 * (double)C);
                square += a * a / (4.0 * (double)C);
            }
        }
        // Moves of a chain are dependent at worst fully: as if of one.
        se = sqrt (MAX (square - mean * mean, 0) / (double)C + 2.5e-7);
        test_assert_mean (mean, rows[k].want, se);
    }
}

/* Halving a small step at a fixed path divides the largest error of the energy by 4. */
static void
leapfrog_energy_order (void)
{
    const char *settings[2][11] = {{"step_size", "0.02", "target", "0", "steps", "20",
                                    "length_jitter", "0", "step_jitter", "0", NULL},
                                   {"step_size", "0.01", "target", "0", "steps", "40",
                                    "length_jitter", "0", "step_jitter", "0", NULL}};
    double worst[2] = {0, 0};

    for (guint k = 0; k < 2; k++) {
        g_autoptr (GError) error = NULL;
        g_auto (Bench) b = {0};

        bench_init (&b, 3, 1000, settings[k], 0, NULL, double_well, NULL, 1);
        g_assert_true (dlh_chains_transition (b.chains, &error));
        for (guint c = 0; c < 1000; c++)
            worst[k] = MAX (worst[k], fabs (dlh_chains_find_report (b.chains, "energy_change")[c]));
    }
    g_assert_cmpfloat (fabs (worst[0] / worst[1] - 4), <, 0.4);
}

/* In no time, 1e-12 a step being the least that can be given, nothing moves and all is accepted. */
static void
leapfrog_in_no_time (void)
{
    const char *settings[] = {"step_size",     "1e-12", "target",      "0", "steps", "3",
                              "length_jitter", "0",     "step_jitter", "0", NULL};
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    g_autofree double *before = NULL;

    bench_init (&b, 3, 1000, settings, 0, NULL, double_well, NULL, 1);
    before = g_memdup2 (values (&b, "chains/x"), 1000 * sizeof *before);
    g_assert_true (dlh_chains_transition (b.chains, &error));
    // 3 steps by momenta below 6.
    test_assert_within (values (&b, "chains/x"), before, 1000, 18e-12);
    for (guint c = 0; c < 1000; c++)
        g_assert_cmpfloat (dlh_chains_find_report (b.chains, "accept")[c], >, 1 - 1e-9);
}

static DlhNode *
scaled_normal (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    (void)b;
    return dlh_scale (dlh_sum_axis (dlh_square (q[0]), 1), -0.5 / *(const double *)user_data);
}

/* N(0, S) with M^-1 = S goes as N(0, 1) does, times sqrt S. */
static void
mass_rescaling_invariant (void)
{
    const char *settings[] = {"step_size", "0.3", "target", "0", "steps", "7", NULL};
    const double S = 5;
    g_autoptr (GError) error = NULL;
    g_auto (Bench) a = {0};
    g_auto (Bench) b = {0};

    bench_init (&a, 3, 20, settings, 0, NULL, standard_normal, NULL, 1);
    bench_init (&b, 3, 20, settings, 0, NULL, scaled_normal, (gpointer)&S, 1);
    values (&b, "hmc/x/inverse_mass")[0] = S;
    for (guint c = 0; c < 20; c++)
        values (&b, "chains/x")[c] *= sqrt (S);
    for (guint t = 0; t < 10; t++) {
        g_assert_true (dlh_chains_transition (a.chains, &error));
        g_assert_true (dlh_chains_transition (b.chains, &error));
    }
    for (guint c = 0; c < 20; c++) {
        double want = values (&a, "chains/x")[c] * sqrt (S);

        test_assert_within (&values (&b, "chains/x")[c], &want, 1, 1e-11);
    }
}

/* Dual averaging: the recursion in plain C against a table of an independent implementation; then
 * the plugin's step sizes against the recursion, fed with the acceptance that it reports. */

typedef struct {
    double mu, h_bar, log_eps, log_bar, t;
} Averaging;

static void
averaging_start (Averaging *a, double eps)
{
    *a = (Averaging){log (10 * eps), 0, log (eps), log (eps), 0};
}

static void
averaging_step (Averaging *a, double accept)
{
    double share;

    a->t++;
    a->h_bar = (1 - 1 / (a->t + 10)) * a->h_bar + (0.8 - accept) / (a->t + 10);
    a->log_eps = a->mu - sqrt (a->t) / 0.05 * a->h_bar;
    share = pow (a->t, -0.75);
    a->log_bar = share * a->log_eps + (1 - share) * a->log_bar;
}

static void
tuning_dual_averaging (void)
{
    const double accepts[] = {1, .9, .5, 0, .2, .8, .95, .7, .85, .8};
    const double table[][3] = {{1, 14.3855101, 14.3855101},   {2, 20.28114982, 17.64495998},
                               {3, 10, 13.75404125},          {4, 1.017013923, 5.476774654},
                               {5, .1539067368, 1.881861928}, {6, .137515044, .9510494809},
                               {10, .1639201491, .3357724654}};
    const char *settings[] = {"step_jitter", "0", "step_size", "0.03", NULL};
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    Averaging a;
    guint row = 0;

    averaging_start (&a, 1);
    for (guint t = 1; t <= 10; t++) {
        averaging_step (&a, accepts[t - 1]);
        if (t == (guint)table[row][0]) {
            double got[] = {exp (a.log_eps), exp (a.log_bar)};

            test_assert_within (&got[0], &table[row][1], 1, 1e-9 * table[row][1]);
            test_assert_within (&got[1], &table[row][2], 1, 1e-9 * table[row][2]);
            row++;
        }
    }
    // 19 transitions are one window: nothing restarts.
    bench_init (&b, 5, 16, settings, 19, NULL, standard_normal, NULL, 10);
    for (guint t = 0; t < 22; t++) {
        double mean = 0, got, want;

        g_assert_true (dlh_chains_transition (b.chains, &error));
        got = dlh_chains_find_report (b.chains, "step_size")[3];
        if (t == 0)
            averaging_start (&a, got);
        want = t < 19 ? exp (a.log_eps) : exp (a.log_bar);
        test_assert_within (&got, &want, 1, 1e-12 * want);
        for (guint c = 0; c < 16; c++)
            mean += dlh_chains_find_report (b.chains, "accept")[c] / 16;
        if (t < 19)
            averaging_step (&a, mean);
    }
}

// Variances from 1 to 1e8 over 50 dimensions.
static void
tuning_scales_found (void)
{
    const char *density[] = {"kind", "gaussian", "dims", "50", "condition", "1e8", NULL};
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    g_autofree double *W = NULL;
    double eps, accept = 0;

    bench_init (&b, 5, 8, NULL, 500, density, NULL, NULL, 0);
    for (guint t = 0; t < 500; t++)
        g_assert_true (dlh_chains_transition (b.chains, &error));
    W = g_memdup2 (values (&b, "hmc/x/inverse_mass"), 50 * sizeof *W);
    eps = *values (&b, "hmc/step_size");
    for (guint i = 0; i < 50; i++)
        g_assert_cmpfloat (fabs (W[i] / pow (1e8, i / 49.0) - 1), <, 0.3);
    for (guint t = 0; t < 200; t++) {
        g_assert_true (dlh_chains_transition (b.chains, &error));
        for (guint c = 0; c < 8; c++)
            accept += dlh_chains_find_report (b.chains, "accept")[c] / 1600;
    }
    g_assert_cmpfloat (fabs (accept - 0.8), <, 0.05);
    g_assert_cmpmem (W, 50 * sizeof *W, values (&b, "hmc/x/inverse_mass"), 50 * sizeof *W);
    g_assert_cmpfloat (eps, ==, *values (&b, "hmc/step_size"));
}

/* What is not finite. */

typedef enum { NAN_VALUE, BOX, NAN_GRADIENT } Trap;

// A normal with something wrong where q > 1.
static DlhNode *
trapped (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    Trap trap = *(const Trap *)user_data;
    DlhNode *x = dlh_index (q[0], 1, 0), *room = dlh_offset (dlh_neg (x), 1);
    DlhNode *normal = dlh_scale (dlh_square (x), -0.5), *zero = dlh_full_like (x, 0);

    (void)b;
    if (trap == BOX)
        return dlh_where (dlh_less (zero, room), normal, dlh_full_like (x, -INFINITY));
    // The root of 0^2: its value is 0, its derivative 0 / 0.
    if (trap == NAN_GRADIENT)
        room = dlh_square (dlh_mul (x, dlh_cast (dlh_less (zero, room), DLH_F64)));
    return dlh_add (normal, dlh_scale (dlh_sqrt (room), 1e-300));
}

static void
traps_never_accepted (void)
{
    for (Trap trap = NAN_VALUE; trap <= NAN_GRADIENT; trap++) {
        g_autoptr (GError) error = NULL;
        g_auto (Bench) b = {0};
        guint moved = 0;

        bench_init (&b, 5, 64, NULL, 60, NULL, trapped, &trap, 1);
        for (guint c = 0; c < 64; c++)
            values (&b, "chains/x")[c] = 0.505 - 0.01 * c;
        for (guint t = 0; t < 120; t++) {
            g_autofree double *before = g_memdup2 (values (&b, "chains/x"), 64 * sizeof (double));

            g_assert_true (dlh_chains_transition (b.chains, &error));
            for (guint c = 0; c < 64; c++) {
                double q = values (&b, "chains/x")[c];

                if (!(q <= 1)) {
                    test_fail ("trap %d: a chain stands at %g", trap, q);
                    return;
                }
                moved += q != before[c];
                g_assert_true (isfinite (dlh_chains_find_report (b.chains, "accept")[c]));
            }
            g_assert_true (isfinite (*values (&b, "hmc/step_size")));
        }
        g_assert_cmpuint (moved, >, 64 * 60);
    }
}

static void
traps_bad_start_named (void)
{
    Trap trap = NAN_VALUE;
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};

    bench_init (&b, 5, 4, NULL, 60, NULL, trapped, &trap, 1);
    for (guint c = 0; c < 4; c++)
        values (&b, "chains/x")[c] = c == 2 ? 3 : 0;
    g_assert_false (dlh_chains_transition (b.chains, &error));
    // Said once, and by whom.
    g_assert_true (g_str_has_prefix (error->message,
                                     "transition 0, pass 'first': hmc: log density at the chains' "
                                     "start is not finite: element 2 of [4] is "));
    test_assert_error (&error, DLH_ERROR_NUMERIC, "log density at the chains' start");
}

static void
steps_beyond_the_most_are_refused (void)
{
    const char *const settings[] = {"steps", "50", "max_steps", "40", NULL};
    const DlhBlock block = {"x", dlh_shape (1), {DLH_INIT_ZEROS, 0, 0}};
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    g_autoptr (DlhComponent) hmc = load (&b, DLH_SAMPLER, "hmc", settings);

    b.store = dlh_store_new (5, DLH_F64);
    b.target = dlh_target_new (b.store, 2, &block, 1, standard_normal, NULL, &error);
    g_assert_no_error (error);
    g_assert_null (dlh_chains_new (b.target, hmc, 0, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "'steps' is 50, more than 'max_steps', 40");
}

/* Geweke's joint test. z ~ N(0, I), x = W z + 0.5 noise; exact draws of both, then z moves given x
 * and x is drawn anew given z, 10 times: the joint law must be the same. Each chain is independent
 * of the others, so errors are those of C independent draws. */

static const double geweke_W[3][2] = {{1, 0.5}, {-0.7, 0.3}, {0.2, -1}};

static DlhNode *
geweke_density (DlhBuild *b, DlhNode *const *q, gpointer user_data)
{
    gboolean prior = *(const gboolean *)user_data;
    g_autoptr (DlhTensor) W = test_tensor_from (DLH_F64, dlh_shape (3, 2), geweke_W[0], 6);
    DlhNode *x = dlh_read (b->graph, dlh_store_lookup (b->store, "test/x"));
    DlhNode *residual = dlh_sub (x, dlh_linear (q[0], dlh_constant (b->graph, W), NULL));
    DlhNode *likelihood = dlh_scale (dlh_sum_axis (dlh_square (residual), 1), -0.5 / 0.25);

    return prior ? dlh_add (likelihood, dlh_scale (dlh_sum_axis (dlh_square (q[0]), 1), -0.5))
                 : likelihood;
}

static void
geweke_draw_x (guint64 round, const double *z, double *x, guint C)
{
    dlh_random_fill_normal (9, "test/noise", round, x, 3 * C);
    for (guint c = 0; c < C; c++)
        for (guint k = 0; k < 3; k++)
            x[3 * c + k] =
                0.5 * x[3 * c + k] + geweke_W[k][0] * z[2 * c] + geweke_W[k][1] * z[2 * c + 1];
}

// The largest |z| of seven statistics.
static double
geweke_worst (gboolean prior)
{
    enum { C = 20000, N = 7 };
    const char *settings[] = {"step_size", "0.4", "target", "0", "steps", "4", NULL};
    const double x2 = 1.25 + 0.25, want[N] = {0, 1, 0, 0, 1, x2, -0.7};
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    double *x, *z, worst = 0;

    // The data are a variable, so that they can change; the store must have it before the target.
    b.store = dlh_store_new (1, DLH_F64);
    g_assert_nonnull (dlh_store_variable (b.store, "test/x", DLH_F64, dlh_shape (C, 3),
                                          (DlhInit){DLH_INIT_ZEROS, 0, 0}, &error));
    bench_init (&b, 1, C, settings, 0, NULL, geweke_density, &prior, 2);
    x = values (&b, "test/x");
    z = values (&b, "chains/x");
    dlh_random_fill_normal (9, "test/z", 0, z, 2 * C);
    geweke_draw_x (0, z, x, C);
    for (guint t = 1; t <= 10; t++) {
        // Another target than before: what is known of the position is not.
        *(gint64 *)values (&b, "chains/step") = 0;
        g_assert_true (dlh_chains_transition (b.chains, &error));
        geweke_draw_x (t, z, x, C);
    }
    for (guint k = 0; k < N; k++) {
        double sum = 0, squares = 0;

        for (guint c = 0; c < C; c++) {
            double a = z[2 * c], d = z[2 * c + 1], e = x[3 * c], f = x[3 * c + 1];
            double s = (double[]){a, a * a, a * d, e, d * d, e * e, f * a}[k];

            sum += s / C;
            squares += s * s / C;
        }
        worst = MAX (worst, fabs (sum - want[k]) / sqrt ((squares - sum * sum) / C));
    }
    return worst;
}

// False alarm once in 250,000 seeds: seven statistics, |z| < 5.
static void
geweke_joint_kept (void)
{
    g_assert_cmpfloat (geweke_worst (TRUE), <, 5);
    // Without the prior it must be seen.
    g_assert_cmpfloat (geweke_worst (FALSE), >, 20);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/hmc/leapfrog/normal-exact", leapfrog_normal_exact);
    g_test_add_func ("/hmc/balance/plugin-keeps", balance_plugin_keeps);
    g_test_add_func ("/hmc/balance/mistakes-are-seen", balance_mistakes_are_seen);
    g_test_add_func ("/hmc/acceptance/normal-published", acceptance_normal_published);
    g_test_add_func ("/hmc/leapfrog/energy-order", leapfrog_energy_order);
    g_test_add_func ("/hmc/leapfrog/in-no-time-the-identity", leapfrog_in_no_time);
    g_test_add_func ("/hmc/mass/rescaling-invariant", mass_rescaling_invariant);
    g_test_add_func ("/hmc/tuning/dual-averaging", tuning_dual_averaging);
    g_test_add_func ("/hmc/tuning/scales-found", tuning_scales_found);
    g_test_add_func ("/hmc/traps/never-accepted", traps_never_accepted);
    g_test_add_func ("/hmc/traps/bad-start-named", traps_bad_start_named);
    g_test_add_func ("/hmc/steps/beyond-the-most-refused", steps_beyond_the_most_are_refused);
    g_test_add_func ("/hmc/geweke/joint-kept", geweke_joint_kept);
    return g_test_run ();
}
