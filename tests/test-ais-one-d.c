/* SPDX-License-Identifier: MIT */
/* Annealed importance sampling with one latent variable, where log p (x) is a sum over a grid:
 * pixels that are on or off, and a prior that is not normal; and that the prior is left as it is.
 */
#include <stdlib.h>
#include "latent-bench.h"

#define D 6

static const double weights[D] = {2, -1.5, 0.7, 3, -0.4, 1.1};
static const double biases[D] = {-0.5, 0.2, 1, -1, 0.3, 0};

// @prior, @likelihood: of the model vae, with a decoder that is linear in z.
static void
init (Bench *b, const char *prior, const char *likelihood, double scale, gint64 n_chains,
      const char *const *ais, gint64 rounds)
{
    const char *const model[] = {"latents",  "1",     "encoder", "[]",         "decoder",
                                 "[]",       "prior", prior,     "likelihood", likelihood,
                                 "variance", "0.5",   NULL};

    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    bench_init_model (b, load (b, DLH_MODEL, "vae", model), D, 1, n_chains, FALSE, "ais", ais,
                      rounds);
    for (gint64 i = 0; i < D; i++) {
        dlh_tensor_set (variable (b, "vae/output/bias"), i, biases[i]);
        dlh_tensor_set (variable (b, "vae/output/weight"), i, scale * weights[i]);
    }
}

static double
log_given (const char *likelihood, const double *x, double z)
{
    double sum = 0;

    for (guint i = 0; i < D; i++) {
        double g = weights[i] * z + biases[i];

        if (strcmp (likelihood, "bernoulli") == 0)
            sum += x[i] * g - log1p (exp (g));
        else
            sum -= (x[i] - g) * (x[i] - g) / (2 * 0.5) + 0.5 * log (2 * G_PI * 0.5);
    }
    return sum;
}

static double
evidence_by_grid (const char *prior, const char *likelihood, const double *x)
{
    const double h = 1e-3;
    double sum = 0;

    for (double z = -30; z <= 30; z += h) {
        double log_prior = strcmp (prior, "normal") == 0 ? -0.5 * z * z - 0.5 * log (2 * G_PI)
                                                         : -fabs (z) - log (2);

        sum += h * exp (log_prior + log_given (likelihood, x, z));
    }
    return log (sum);
}

// Of the log of the mean weight.
static double
error_of (Bench *b, double log_mean)
{
    double sum = 0;

    for (gint64 c = 0; c < b->n_chains; c++) {
        double r = exp (column (b, "log_weight")[c] - log_mean) - 1;

        sum += r * r;
    }
    return sqrt (sum) / (double)b->n_chains;
}

// Within 5 standard errors: a false alarm in a million.
static void
by_quadrature (void)
{
    static const char *const ais[] = {"temperatures", "200", NULL};
    static const struct {
        const char *prior, *likelihood;
        double x[D];
    } cases[] = {{"normal", "bernoulli", {1, 0, 1, 1, 0, 1}},
                 {"normal", "bernoulli", {0, 1, 1, 0, 1, 0}},
                 {"laplace", "bernoulli", {1, 0, 1, 1, 0, 1}},
                 {"laplace", "gaussian", {5.5, -4, 3.1, 8, -1, 3.3}}};

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Bench) b = {0};
        double got, error;

        init (&b, cases[i].prior, cases[i].likelihood, 1, 4000, ais, 1);
        set_examples (&b, cases[i].x, 0);
        transitions (&b, 2 * b.path);
        estimates (&b, &got);
        error = error_of (&b, got);
        near (got, evidence_by_grid (cases[i].prior, cases[i].likelihood, cases[i].x), 5 * error);
        g_assert_cmpfloat (error, <, 0.02);
    }
}

static int
by_value (gconstpointer a, gconstpointer b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Where the decoder does not see z every density is the prior, and transitions with a step of 0.5
 * must leave it: Kolmogorov and Smirnov's distance of the last positions of 1e5 chains from N (0,
 * 1), above 2.7 / sqrt (n) by chance once in a million. */
static void
prior_is_kept (void)
{
    enum { N = 100000 };
    static const char *const ais[] = {"temperatures", "8", "step_size", "0.5", "steps", "5", NULL};
    const double x[D] = {1, 0, 1, 1, 0, 1};
    g_autofree double *z = g_new (double, N);
    g_auto (Bench) b = {0};
    double distance = 0;

    init (&b, "normal", "bernoulli", 0, N, ais, 0);
    set_examples (&b, x, 0);
    transitions (&b, b.path);
    for (guint i = 0; i < N; i++)
        z[i] = dlh_tensor_get (variable (&b, "chains/z"), i);
    qsort (z, N, sizeof *z, by_value);
    for (guint i = 0; i < N; i++) {
        double p = 0.5 * erfc (-z[i] * M_SQRT1_2);

        distance = fmax (distance, fmax (p - i / (double)N, (i + 1) / (double)N - p));
    }
    g_assert_cmpfloat (distance, <, 2.7 / sqrt (N));
}

/* Detailed balance of one move at a temperature, from exact draws of its density: three statistics
 * whose means are 0 when a position and the next can be exchanged. */

#define MOVES 200000
#define STATISTICS 3

static const double balanced[D] = {1, 0, 1, 1, 0, 1};

// Normal prior, Bernoulli likelihood to the power @temperature.
static double
annealed (double z, double temperature)
{
    return -0.5 * z * z + temperature * log_given ("bernoulli", balanced, z);
}

// By adding up the density on a grid.
static void
annealed_draws (double temperature, guint64 seed, double *z, gsize n)
{
    enum { CELLS = 100000 };
    const double low = -8, width = 16.0 / CELLS;
    g_autofree double *sum = g_new0 (double, CELLS + 1);

    for (gsize i = 0; i < CELLS; i++)
        sum[i + 1] = sum[i] + exp (annealed (low + width * ((double)i + 0.5), temperature));
    dlh_random_fill_uniform (seed, "test/annealed", 0, z, n);
    for (gsize k = 0; k < n; k++) {
        double u = z[k] * sum[CELLS];
        gsize a = 0, b = CELLS;

        while (b - a > 1) {
            gsize middle = (a + b) / 2;

            *(sum[middle] <= u ? &a : &b) = middle;
        }
        z[k] = low + width * ((double)a + (u - sum[a]) / (sum[b] - sum[a]));
    }
}

// Chains stand at @z, with what the sampler keeps of a position.
static void
put (Bench *b, const double *z)
{
    for (gint64 c = 0; c < b->n_chains; c++) {
        double start = -0.5 * z[c] * z[c] - 0.5 * log (2 * G_PI), gradient = -z[c];

        for (guint i = 0; i < D; i++) {
            double g = weights[i] * z[c] + biases[i];

            gradient += weights[i] * (balanced[i] - 1 / (1 + exp (-g)));
        }
        dlh_tensor_set (variable (b, "chains/z"), c, z[c]);
        dlh_tensor_set (variable (b, "ais/log_start"), c, start);
        dlh_tensor_set (variable (b, "ais/log_density"), c,
                        start + log_given ("bernoulli", balanced, z[c]));
        dlh_tensor_set (variable (b, "ais/z/gradient_start"), c, -z[c]);
        dlh_tensor_set (variable (b, "ais/z/gradient"), c, gradient);
    }
}

static double
worst_of (const double *q, DlhTensor *moved)
{
    double worst = 0;

    for (guint k = 0; k < STATISTICS; k++) {
        double sum = 0, squares = 0;

        for (gsize i = 0; i < MOVES; i++) {
            const double r = dlh_tensor_get (moved, (gint64)i), a = q[i] * q[i], b = r * r;
            const double s = k == 0   ? a * b * b - a * a * b
                             : k == 1 ? b - a
                                      : cos (2 * r) - cos (2 * q[i]);

            sum += s;
            squares += s * s;
        }
        worst = fmax (worst, fabs (sum) / sqrt (squares));
    }
    return worst;
}

/* At temperatures 0, 0.3 and 1; draws of another temperature must be seen, and so must proposals
 * that are all accepted. |z| < 5 of nine statistics: a false alarm once in 190,000. */
static void
balance_is_kept (void)
{
    static const char *const ais[] = {"temperatures", "11",  "schedule", "linear", "steps", "3",
                                      "step_size",    "0.5", NULL};
    static const struct {
        double temperature, other;
        gboolean back;
        gint64 step;
    } cases[] = {{0, 0.1, TRUE, 9}, {0.3, 0.5, FALSE, 2}, {1, 0.8, FALSE, 9}};
    g_autofree double *z = g_new (double, MOVES);
    g_auto (Bench) b = {0};

    init (&b, "normal", "bernoulli", 1, MOVES, ais, 0);
    set_examples (&b, balanced, 0);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        double right = 0, wrong = 0, all = 0;

        for (guint k = 0; k < 2; k++) {
            annealed_draws (k ? cases[i].other : cases[i].temperature, i, z, MOVES);
            put (&b, z);
            dlh_tensor_set (variable (&b, "ais/reverse"), 0, cases[i].back);
            dlh_tensor_set (variable (&b, "chains/step"), 0, (double)cases[i].step);
            transitions (&b, 1);
            near (column (&b, "temperature")[0], cases[i].temperature, 1e-12);
            *(k ? &wrong : &right) = worst_of (z, variable (&b, "chains/z"));
            if (k == 0)
                all = worst_of (z, variable (&b, "ais/z/proposal"));
        }
        g_test_message ("%g: %g standard errors; from %g: %g; all accepted: %g",
                        cases[i].temperature, right, cases[i].other, wrong, all);
        g_assert_cmpfloat (right, <, 5);
        g_assert_cmpfloat (wrong, >, 10);
        g_assert_cmpfloat (all, >, 10);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/ais-one-d/evidence/by-quadrature", by_quadrature);
    g_test_add_func ("/ais-one-d/prior/is-kept", prior_is_kept);
    g_test_add_func ("/ais-one-d/balance/is-kept", balance_is_kept);
    return g_test_run ();
}
