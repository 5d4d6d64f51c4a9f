/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling in both directions, on the linear Gaussian model of the paper's
 * sheet, x = W z + b + noise: schedules, weights, rounds, chance. */
#include "latent-bench.h"

/* The tests. */

static void
schedule_golden (void)
{
    static const double five[] = {.10499359, .5, .89500641, 1};
    static const double ten[] = {.02558541,     .0827636,     .19773534,     .3866033, 1 - .3866033,
                                 1 - .19773534, 1 - .0827636, 1 - .02558541, 1};
    static const struct {
        const char *const settings[5];
        const double *want;
    } cases[] = {{{"temperatures", "5", "steps", "1", NULL}, five},
                 {{"temperatures", "10", "steps", "1", NULL}, ten}};
    static const char *const many[] = {"temperatures", "10000", "steps", "1", NULL};
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    double x[20], before;

    sheet_point (x, 20);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Bench) s = {0};

        bench_init (&s, &m, 1, 1, FALSE, cases[i].settings, 0);
        set_examples (&s, x, 0);
        for (gint64 k = 0; k < s.path; k++) {
            transitions (&s, 1);
            near (column (&s, "temperature")[0], cases[i].want[k], 5.1e-9);
        }
        g_assert_cmpfloat (column (&s, "temperature")[0], ==, 1);
    }
    bench_init (&b, &m, 1, 1, FALSE, many, 0);
    set_examples (&b, x, 0);
    transitions (&b, 1);
    near (column (&b, "temperature")[0], 1.46645e-5, 5e-11);
    dlh_tensor_set (variable (&b, "chains/step"), 0, 4998);
    transitions (&b, 1);
    before = column (&b, "temperature")[0];
    transitions (&b, 1);
    near (column (&b, "temperature")[0] - before, 2.07484e-4, 5e-10);
}

/* What independent draws from each density would give, for the schedule that the program reports:
 * the sheet's deviations of lower and upper bound from the truth. */
static void
schedule_ideal_bias (void)
{
    static const struct {
        const char *const settings[7];
        double lower, upper;
    } cases[] = {
        {{"temperatures", "10", "steps", "1", NULL}, -5.005794, 2.839870},
        {{"temperatures", "100", "steps", "1", NULL}, -.345246, .327766},
        {{"temperatures", "1000", "steps", "1", NULL}, -.033417, .033245},
        {{"temperatures", "10", "steps", "1", "schedule", "linear", NULL}, -14.135082, 3.717113},
        {{"temperatures", "100", "steps", "1", "schedule", "linear", NULL}, -.913435, .709492},
        {{"temperatures", "10000", "steps", "1", NULL}, -.003331, .003329},
        {{"temperatures", "1000", "steps", "1", "schedule", "linear", NULL}, -.081486, .079345},
        {{"temperatures", "10000", "steps", "1", "schedule", "linear", NULL}, -.008045, .008024},
    };
    const Linear m = linear (20, 5, 0.1);
    double x[20];

    sheet_point (x, 20);
    near (evidence (&m, x), -74.2765920926826, 1e-9);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Bench) b = {0};
        double from = 0, e_from = expected_log_likelihood (&m, x, 0), lower = 0, upper = 0;

        bench_init (&b, &m, 1, 1, FALSE, cases[i].settings, 0);
        set_examples (&b, x, 0);
        for (gint64 k = 0; k < b.path; k++) {
            double to, e_to;

            transitions (&b, 1);
            to = column (&b, "temperature")[0];
            e_to = expected_log_likelihood (&m, x, to);
            lower += (to - from) * e_from;
            upper += (to - from) * e_to;
            from = to;
            e_from = e_to;
        }
        near (lower - evidence (&m, x), cases[i].lower, 1e-6);
        near (upper - evidence (&m, x), cases[i].upper, 1e-6);
    }
}

// Every 20th of 50 temperatures and the last, both ways; the tuned steps of those rows.
static void
schedule_stride (void)
{
    static const char *const ais[] = {"temperatures", "50", "steps", "1", "jitter", "0", NULL};
    static const gint64 rows[] = {20, 40, 49};
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    double x[20], at[50], z[5] = {0};

    sheet_point (x, 20);
    bench_init (&b, &m, 1, 2, FALSE, ais, 1);
    set_examples (&b, x, 0);
    for (gint64 t = 1; t < 50; t++) {
        transitions (&b, 1);
        at[t] = column (&b, "temperature")[0];
    }
    at[0] = 0;
    dlh_tensor_set (variable (&b, "ais/stride"), 0, 20);
    for (guint k = 0; k < 3; k++) {
        double before = column (&b, "log_weight")[0], p, s, change;

        p = dlh_tensor_get (variable (&b, "ais/log_density"), 0);
        s = dlh_tensor_get (variable (&b, "ais/log_start"), 0);
        transitions (&b, 1);
        change = at[rows[k]] - (k ? at[rows[k - 1]] : 0);
        near (column (&b, "temperature")[0], at[rows[k]], 0);
        near (column (&b, "step_size")[0],
              dlh_tensor_get (variable (&b, "ais/step_sizes"), rows[k]), 0);
        // The first starts new chains.
        if (k > 0)
            near (column (&b, "log_weight")[0] - before, change * (p - s), 1e-9);
    }
    dlh_tensor_set (variable (&b, "ais/reverse"), 0, 1);
    dlh_tensor_set (variable (&b, "chains/step"), 0, 49);
    memcpy (dlh_tensor_get_data (variable (&b, "chains/z")), z, sizeof z);
    for (guint k = 0; k < 3; k++) {
        transitions (&b, 1);
        near (column (&b, "temperature")[0], k < 2 ? at[49 - rows[k]] : 0, 0);
    }
}

/* Adapted to the sheet's point by 400 chains: what ideal transitions would leave between the bounds
 * for the temperatures that the program then has, against the least for so many of them, (integral
 * of the square root of dE/db)^2 / T, and the sigmoid schedule's. */
static void
schedule_adaptive (void)
{
    static const char *const ais[] = {"temperatures", "100", "schedule", "adaptive", NULL};
    enum { CELLS = 200000 };
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    double x[20], from = 0, e_from, gap = 0, least = 0, before;

    sheet_point (x, 20);
    bench_init (&b, &m, 1, 400, FALSE, ais, 1);
    set_examples (&b, x, 0);
    transitions (&b, b.path);
    e_from = before = expected_log_likelihood (&m, x, 0);
    for (gint64 k = 0; k < b.path; k++) {
        double to, e_to;

        transitions (&b, 1);
        to = column (&b, "temperature")[0];
        g_assert_cmpfloat (to, >, from);
        e_to = expected_log_likelihood (&m, x, to);
        gap += (to - from) * (e_to - e_from);
        from = to;
        e_from = e_to;
    }
    g_assert_cmpfloat (from, ==, 1);
    // E changes most near 0: cells of equal ratio from 1e-7 on.
    for (guint i = 1; i <= CELLS; i++) {
        double width, now;

        from = i > 1 ? pow (1e-7, 1 - (i - 1.0) / CELLS) : 0;
        width = pow (1e-7, 1 - (double)i / CELLS) - from;
        now = expected_log_likelihood (&m, x, from + width);
        least += sqrt (width * (now - before));
        before = now;
    }
    least *= least / 99;
    g_test_message ("gap %g, least %g, sigmoid %g", gap, least, .345246 + .327766);
    g_assert_cmpfloat (gap, >, 0.99 * least);
    g_assert_cmpfloat (gap, <, 1.25 * least);
    g_assert_cmpfloat (gap, <, .345246 + .327766);
}

// Where the decoder does not see z, every weight is log p (x), both ways; rejections
// notwithstanding.
static void
constant_decoder (void)
{
    static const char *const ais[] = {"temperatures", "50", "step_size", "0.5", "steps", "3", NULL};
    Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    double x[20], z[5] = {1, -2, 0.5, 0, 3}, want, accept = 0;

    memset (m.W, 0, sizeof m.W);
    sheet_point (x, 20);
    want = log_likelihood (&m, x, z);
    bench_init (&b, &m, 1, 8, FALSE, ais, 0);
    set_examples (&b, x, 0);
    for (gint64 k = 0; k < b.path; k++) {
        transitions (&b, 1);
        for (guint c = 0; c < 8; c++)
            accept += column (&b, "accept")[c] / (8 * (double)b.path);
    }
    for (guint c = 0; c < 8; c++)
        near (column (&b, "log_weight")[c], want, 1e-12 * 50 * fabs (want));
    g_assert_cmpfloat (accept, <, 1);
    g_assert_cmpfloat (accept, >, 0.5);
    go_back (&b, z, 5);
    for (guint c = 0; c < 8; c++)
        near (column (&b, "log_weight")[c], -want, 1e-12 * 50 * fabs (want));
}

/* Two temperatures: log p (x | z) of draws of the prior. A step of nearly 0 leaves z where it was
 * drawn; that they are the prior's: mean square 1, 5 standard errors. */
static void
two_temperatures (void)
{
    static const char *const ais[] = {"temperatures", "2",     "step_size", "1e-12", "min_step",
                                      "1e-12",        "steps", "1",         NULL};
    const Linear m = linear (20, 5, 0.1);
    const gint64 n = 500;
    g_auto (Bench) b = {0};
    double x[20], square = 0;

    sheet_point (x, 20);
    bench_init (&b, &m, 1, n, FALSE, ais, 0);
    set_examples (&b, x, 0);
    transitions (&b, 1);
    for (gint64 c = 0; c < n; c++) {
        double z[5];

        for (gint64 j = 0; j < 5; j++) {
            z[j] = dlh_tensor_get (dlh_chains_value (b.chains, 0), c * 5 + j);
            square += z[j] * z[j] / (double)(n * 5);
        }
        near (column (&b, "log_weight")[c], log_likelihood (&m, x, z), 1e-8);
    }
    near (square, 1, 5 * sqrt (2.0 / (double)(n * 5)));
}

// L gradients a transition, and one at each round's start.
static void
gradients_counted (void)
{
    static const char *const ais[] = {"temperatures", "8", "steps", "6", NULL};
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    double x[20];

    sheet_point (x, 20);
    bench_init (&b, &m, 1, 2, FALSE, ais, 2);
    set_examples (&b, x, 0);
    transitions (&b, 3 * b.path);
    g_assert_cmpint (dlh_chains_pass_runs (b.chains, "leap"), ==, 3 * b.path * 5);
    g_assert_cmpint (dlh_chains_pass_runs (b.chains, "last"), ==, 3 * b.path);
    g_assert_cmpint (dlh_chains_pass_runs (b.chains, "start"), ==, 3);
}

/* The second round uses the table alone, with other random numbers. */
static void
two_rounds (void)
{
    static const char *const ais[] = {"temperatures", "30", "steps", "4", "jitter", "0", NULL};
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) table = NULL;
    g_autoptr (GError) error = NULL;
    double x[40], first[8];

    sheet_point (x, 40);
    bench_init (&b, &m, 2, 4, FALSE, ais, 1);
    set_examples (&b, x, 0);
    transitions (&b, b.path);
    memcpy (first, column (&b, "log_weight"), sizeof first);
    table = dlh_tensor_copy (variable (&b, "ais/step_sizes"), &error);
    g_assert_cmpfloat (dlh_tensor_get (table, 2 * 29), !=, dlh_tensor_get (table, 2 * 29 + 1));
    for (gint64 t = 1; t <= b.path; t++) {
        transitions (&b, 1);
        for (guint c = 0; c < 8; c++)
            g_assert_cmpfloat (column (&b, "step_size")[c], ==,
                               dlh_tensor_get (table, 2 * t + c / 4));
    }
    test_assert_tensors_equal (table, variable (&b, "ais/step_sizes"));
    for (guint c = 0; c < 8; c++)
        g_assert_cmpfloat (column (&b, "log_weight")[c], !=, first[c]);
}

// The paper's code: one step size, 2% up above the target, else down; first down.
static void
official_tuning (void)
{
    static const char *const ais[] = {"temperatures", "30",   "steps",  "2", "tuning", "official",
                                      "step_size",    "0.01", "jitter", "0", NULL};
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {0};
    double x[40], want = 0.01, mean = 0.65;

    sheet_point (x, 40);
    bench_init (&b, &m, 2, 4, FALSE, ais, 1);
    set_examples (&b, x, 0);
    for (gint64 t = 1; t <= b.path; t++) {
        double accepted = 0;

        transitions (&b, 1);
        for (guint c = 0; c < 8; c++) {
            near (column (&b, "step_size")[c], want, 1e-12);
            accepted += dlh_tensor_get (variable (&b, "ais/accepted"), c) / 8;
        }
        want *= mean > 0.65 ? 1.02 : 0.98;
        mean = 0.9 * mean + 0.1 * accepted;
    }
}

/* From an encoder that is the posterior itself, every weight is log p (x). Columns of W are
 * orthogonal, so the posterior's covariance is diagonal. */
static void
exact_encoder (void)
{
    static const char *const ais[] = {"temperatures", "12", "steps", "3", NULL};
    const double x[6] = {0.3, -1, 0.8, 0.1, 0.5, -0.2}, s2 = 0.3;
    Linear m = {.D = 6, .d = 2, .variance = s2};
    g_auto (Bench) b = {0};

    for (guint i = 0; i < 6; i++) {
        m.W[i][i % 2] = 0.4 + 0.1 * i;
        m.b[i] = 0.05 * i;
    }
    bench_init (&b, &m, 1, 5, TRUE, ais, 0);
    for (guint j = 0; j < 2; j++) {
        double precision = 1, shift = 0;

        for (guint i = 0; i < 6; i++)
            precision += m.W[i][j] * m.W[i][j] / s2;
        for (guint i = 0; i < 6; i++) {
            dlh_tensor_set (variable (&b, "vae/mean/weight"), j * 6 + i,
                            m.W[i][j] / s2 / precision);
            dlh_tensor_set (variable (&b, "vae/log_std/weight"), j * 6 + i, 0);
            shift -= m.W[i][j] * m.b[i] / s2 / precision;
        }
        dlh_tensor_set (variable (&b, "vae/mean/bias"), j, shift);
        dlh_tensor_set (variable (&b, "vae/log_std/bias"), j, -0.5 * log (precision));
    }
    set_examples (&b, x, 0);
    transitions (&b, b.path);
    for (guint c = 0; c < 5; c++)
        near (column (&b, "log_weight")[c], evidence (&m, x), 1e-10);
}

/* Back from the draw of another example, which lies where the density is low: the weights say that
 * there is less of it than there is, and the upper bound falls below the truth. */
static void
wrong_sample (void)
{
    static const char *const ais[] = {"temperatures", "20", NULL};
    enum { N = 8 };
    const Linear m = linear (20, 5, 0.1);
    double z[N * 5], other[N * 5], x[N * 20], upper[N], excess[2] = {0};

    simulate (&m, N, z, x);
    memcpy (other, z + 5, (N - 1) * 5 * sizeof (double));
    memcpy (other + (N - 1) * 5, z, 5 * sizeof (double));
    for (guint i = 0; i < 2; i++) {
        g_auto (Bench) b = {0};

        bench_init (&b, &m, N, 4, FALSE, ais, 1);
        set_examples (&b, x, 0);
        transitions (&b, b.path);
        go_back (&b, i ? other : z, 5);
        estimates (&b, upper);
        for (guint e = 0; e < N; e++)
            excess[i] += (-upper[e] - evidence (&m, x + e * 20)) / N;
    }
    g_test_message ("right %g, wrong %g", excess[0], excess[1]);
    g_assert_cmpfloat (excess[0], >, 0);
    g_assert_cmpfloat (excess[1], <, -3);
}

// Four examples at once, or two and two, the warm-up included: the same weights to rounding.
static void
check_batches (const char *const *ais)
{
    enum { C = 3 };
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) all = {0}, half = {0};
    double z[20], x[80];

    simulate (&m, 4, z, x);
    bench_init (&all, &m, 4, C, FALSE, ais, 1);
    bench_init (&half, &m, 2, C, FALSE, ais, 1);
    set_examples (&all, x, 0);
    transitions (&all, 2 * all.path);
    for (gint64 first = 0; first < 4; first += 2) {
        set_examples (&half, x + first * 20, first);
        dlh_chains_restart (half.chains);
        transitions (&half, 2 * half.path);
        for (gint64 c = 0; c < 2 * C; c++)
            near (column (&half, "log_weight")[c], column (&all, "log_weight")[first * C + c],
                  1e-9);
    }
}

static void
batches_do_not_matter (void)
{
    static const char *const ais[] = {"temperatures", "15", "steps", "3", NULL};
    static const char *const adaptive[] = {"temperatures", "15",       "steps", "3", "schedule",
                                           "adaptive",     "momentum", "kept",  NULL};

    check_batches (ais);
    check_batches (adaptive);
}

// The same bits whatever the number of threads; chains enough that work is divided.
static void
threads_do_not_matter (void)
{
    enum { N = 4, C = 500 };
    static const char *const ais[] = {"temperatures", "8",        "steps", "2",
                                      "schedule",     "adaptive", NULL};
    const Linear m = linear (20, 5, 0.1);
    const guint before = dlh_get_threads ();
    g_autofree double *one = NULL;
    double z[N * 5], x[N * 20];

    simulate (&m, N, z, x);
    for (guint threads = 1; threads <= 8; threads += 7) {
        g_auto (Bench) b = {0};

        dlh_set_threads (threads);
        bench_init (&b, &m, N, C, FALSE, ais, 1);
        set_examples (&b, x, 0);
        transitions (&b, 2 * b.path);
        if (threads == 1)
            one = g_memdup2 (column (&b, "log_weight"), N * C * sizeof *one);
        else
            g_assert_cmpmem (one, N * C * sizeof *one, column (&b, "log_weight"),
                             N * C * sizeof *one);
    }
    dlh_set_threads (before);
}

static void
log_mean_exp (void)
{
    const double big[] = {1000, 1000}, small[] = {-1e5}, one[] = {-INFINITY, 0};
    const double none[] = {-INFINITY, -INFINITY}, nan[] = {0, NAN, 1};
    const double weights[] = {0, log (2), log (3)};

    near (dlh_log_mean_exp (big, 2), 1000, 0);
    near (dlh_log_mean_exp (small, 1), -1e5, 0);
    near (dlh_log_mean_exp (one, 2), -log (2), 1e-15);
    g_assert_cmpfloat (dlh_log_mean_exp (none, 2), ==, -INFINITY);
    g_assert_true (isnan (dlh_log_mean_exp (nan, 3)));
    near (dlh_ess_weights (weights, 3), 36.0 / 14, 1e-14);
    near (dlh_ess_weights (big, 2), 2, 1e-15);
    g_assert_true (isnan (dlh_ess_weights (nan, 3)));
    g_assert_true (isnan (dlh_ess_weights (none, 2)));
}

static void
refuse_at (Bench *b, const char *const *settings, gint64 warmup, const char *text)
{
    g_autoptr (DlhComponent) sampler = load (b, DLH_SAMPLER, "ais", settings);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_chains_new (b->target, sampler, warmup, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, text);
}

static void
refusals (void)
{
    static const char *const short_path[] = {"temperatures", "3", NULL};
    static const char *const large[] = {"step_size", "0.7", NULL};
    static const char *const alone[] = {"temperatures", "3", "schedule", "adaptive", NULL};
    const Linear m = linear (20, 5, 0.1);
    g_auto (Bench) b = {.registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"))};
    g_auto (Bench) good = {0};
    g_autoptr (DlhComponent) model = load (&b, DLH_MODEL, "density", NULL);
    g_autoptr (GError) error = NULL;

    b.store = dlh_store_new (1, DLH_F64);
    b.target = dlh_target_new_density (b.store, model, 2, &error);
    g_assert_no_error (error);
    refuse_at (&b, NULL, 0, "no normalised part to start from");
    bench_init (&good, &m, 1, 1, FALSE, short_path, 0);
    refuse_at (&good, alone, 2, "give 2 chains or more, or schedule=sigmoid");
    refuse_at (&good, large, 0, "'step_size' is 0.7, it must be from 'min_step', 0.0001, to");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/ais/schedule/golden", schedule_golden);
    g_test_add_func ("/ais/schedule/ideal-bias", schedule_ideal_bias);
    g_test_add_func ("/ais/schedule/adaptive", schedule_adaptive);
    g_test_add_func ("/ais/schedule/stride", schedule_stride);
    g_test_add_func ("/ais/weights/log-mean-exp", log_mean_exp);
    g_test_add_func ("/ais/constant-decoder/exact", constant_decoder);
    g_test_add_func ("/ais/two-temperatures/prior-draws", two_temperatures);
    g_test_add_func ("/ais/gradients/counted", gradients_counted);
    g_test_add_func ("/ais/rounds/second-reads-table", two_rounds);
    g_test_add_func ("/ais/tuning/official", official_tuning);
    g_test_add_func ("/ais/encoder/exact-posterior", exact_encoder);
    g_test_add_func ("/ais/reverse/wrong-sample", wrong_sample);
    g_test_add_func ("/ais/batches/do-not-matter", batches_do_not_matter);
    g_test_add_func ("/ais/threads/do-not-matter", threads_do_not_matter);
    g_test_add_func ("/ais/refusals", refusals);
    return g_test_run ();
}
