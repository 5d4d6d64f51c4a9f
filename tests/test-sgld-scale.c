/* SPDX-License-Identifier: MIT */
/* Langevin dynamics from batches know how many examples there are: with every example twice and
 * half the prior's precision the posterior is another one, sharper as its closed form says.
 *
 * Linear regression y = w x + c with noise of deviation NOISE, u = (x, 1). With A the precision of
 * the posterior, R = I - eps A / 2 and V the covariance of the gradient from a batch, positions
 * have in the end the posterior's mean m and the covariance
 *
 *     P = R P R + eps I + eps^2 V / 4
 *     V = N^2 / n (mean of r^2 u u' / NOISE^4 - E [g g'] / N^2)
 *     r^2 = (y - m'u)^2 + u'P u,    E [g g'] = precision^2 m m' + H P H,    H = sum of u u' /
 * NOISE^2
 *
 * since a batch of n is drawn with replacement and the gradient is linear in the position. */
#include "trainer-bench.h"

enum { ROWS = 12, CHAINS = 64, BURN = 200, STEPS = 3000 };

#define NOISE 0.5
#define BATCH 5
#define EPS 0.004

typedef double Two[2][2];

typedef struct {
    double x[ROWS], y[ROWS];
    double copies, precision;
} Line;

/* The answers. */

// a' b c' with symmetric matrices: the sandwich that both terms above are.
static void
around (Two a, Two b, Two out)
{
    for (guint i = 0; i < 2; i++)
        for (guint k = 0; k < 2; k++) {
            out[i][k] = 0;
            for (guint j = 0; j < 2; j++)
                for (guint l = 0; l < 2; l++)
                    out[i][k] += a[i][j] * b[j][l] * a[l][k];
        }
}

// H, the posterior's mean, and the inverse of its precision.
static void
posterior (const Line *line, Two H, double mean[2], Two inverse)
{
    double right[2] = {0, 0}, det;
    Two A;

    memset (H, 0, sizeof (Two));
    for (guint n = 0; n < ROWS; n++) {
        const double u[2] = {line->x[n], 1}, weight = line->copies / (NOISE * NOISE);

        for (guint i = 0; i < 2; i++) {
            right[i] += weight * line->y[n] * u[i];
            for (guint k = 0; k < 2; k++)
                H[i][k] += weight * u[i] * u[k];
        }
    }
    for (guint i = 0; i < 2; i++)
        for (guint k = 0; k < 2; k++)
            A[i][k] = H[i][k] + (i == k) * line->precision;
    det = A[0][0] * A[1][1] - A[0][1] * A[1][0];
    for (guint i = 0; i < 2; i++) {
        for (guint k = 0; k < 2; k++)
            inverse[i][k] = (i == k ? A[1 - i][1 - k] : -A[i][k]) / det;
        mean[i] = inverse[i][0] * right[0] + inverse[i][1] * right[1];
    }
}

static void
noise_of_batch (const Line *line, Two H, const double mean[2], Two P, Two V)
{
    const double N = line->copies * ROWS, s4 = pow (NOISE, 4);
    Two turned;

    around (H, P, turned);
    memset (V, 0, sizeof (Two));
    for (guint n = 0; n < ROWS; n++) {
        const double u[2] = {line->x[n], 1}, r = line->y[n] - mean[0] * u[0] - mean[1];
        double square = r * r;

        for (guint i = 0; i < 2; i++)
            for (guint k = 0; k < 2; k++)
                square += u[i] * P[i][k] * u[k];
        for (guint i = 0; i < 2; i++)
            for (guint k = 0; k < 2; k++)
                V[i][k] += u[i] * u[k] * square / s4 / ROWS;
    }
    for (guint i = 0; i < 2; i++)
        for (guint k = 0; k < 2; k++) {
            V[i][k] -= (pow (line->precision, 2) * mean[i] * mean[k] + turned[i][k]) / (N * N);
            V[i][k] *= N * N / BATCH;
        }
}

// P by going round until it stays.
static void
stationary (const Line *line, Two P, double mean[2])
{
    Two H, inverse, R, V, next;

    posterior (line, H, mean, inverse);
    for (guint i = 0; i < 2; i++)
        for (guint k = 0; k < 2; k++)
            R[i][k] = (i == k) - EPS / 2 * (H[i][k] + (i == k) * line->precision);
    memcpy (P, inverse, sizeof (Two));
    for (guint round = 0; round < 2000; round++) {
        noise_of_batch (line, H, mean, P, V);
        around (R, P, next);
        for (guint i = 0; i < 2; i++)
            for (guint k = 0; k < 2; k++)
                P[i][k] = next[i][k] + (i == k) * EPS + EPS * EPS / 4 * V[i][k];
    }
}

/* The chains. */

static DlhData *
data_of (const Line *line)
{
    const gint64 n = (gint64)line->copies * ROWS;
    g_autoptr (DlhTensor) x = dlh_tensor_new (DLH_F64, dlh_shape (n, 1), NULL);
    g_autoptr (DlhTensor) y = dlh_tensor_new (DLH_F64, dlh_shape (n, 1), NULL);
    DlhData *data = dlh_data_new ();

    for (gint64 i = 0; i < n; i++) {
        dlh_tensor_set (x, i, line->x[i % ROWS]);
        dlh_tensor_set (y, i, line->y[i % ROWS]);
    }
    dlh_data_set_targets (data, DLH_TARGET_REAL, 0);
    g_assert_true (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, y, NULL));
    return data;
}

// Mean square distance from @mean of weight and bias, with what the chains' spread says of it.
static void
spread_of (const Line *line, const double mean[2], double variance[2], double error_of[2])
{
    DlhPosterior settings = {sizeof settings, line->precision, BATCH, 0.5, 0};
    g_autofree char *sgld = g_strdup_printf ("sgld step_size=%g", EPS);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhComponent) model =
        load_plugin_line (registry, DLH_MODEL, "mlp hidden=[] noise=0.5");
    g_autoptr (DlhComponent) sampler = load_plugin_line (registry, DLH_SAMPLER, sgld);
    g_autoptr (DlhData) data = data_of (line);
    g_autoptr (DlhStore) store = dlh_store_new (6, DLH_F64);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTarget) target =
        dlh_target_new_posterior (store, model, data, &settings, CHAINS, &error);
    g_autoptr (DlhChains) chains = dlh_chains_new (target, sampler, 0, &error);
    double squares[2][CHAINS] = {{0}};

    g_assert_no_error (error);
    for (guint t = 0; t < BURN + STEPS; t++) {
        g_assert_true (dlh_chains_transition (chains, &error));
        for (guint k = 0; k < 2 && t >= BURN; k++) {
            const guint i = g_str_has_suffix (dlh_chains_block_name (chains, k), "bias") ? 1 : 0;
            const double *q = dlh_tensor_get_data (dlh_chains_value (chains, k));

            for (guint c = 0; c < CHAINS; c++)
                squares[i][c] += (q[c] - mean[i]) * (q[c] - mean[i]) / STEPS;
        }
    }
    for (guint i = 0; i < 2; i++) {
        double sum = 0, square = 0;

        for (guint c = 0; c < CHAINS; c++) {
            sum += squares[i][c] / CHAINS;
            square += squares[i][c] * squares[i][c] / CHAINS;
        }
        variance[i] = sum;
        error_of[i] = sqrt ((square - sum * sum) / (CHAINS - 1));
    }
}

// Within 5 standard errors: a false alarm in 400,000 of the four numbers.
static void
twice_the_examples (void)
{
    Line line = {.precision = 2};
    double got[2][2], error_of[2][2], mean[2], right[2];
    Two P, H, inverse;

    test_random (77, line.x, ROWS);
    test_random (78, line.y, ROWS);
    for (guint i = 0; i < ROWS; i++)
        line.y[i] = 0.8 * line.x[i] - 0.3 + NOISE * line.y[i];
    for (guint k = 0; k < 2; k++) {
        line.copies = k + 1;
        line.precision = 2 / line.copies;
        stationary (&line, P, mean);
        posterior (&line, H, right, inverse);
        spread_of (&line, mean, got[k], error_of[k]);
        for (guint i = 0; i < 2; i++) {
            g_test_message ("%g copies: %g +- %g, must be %g; the posterior's is %g", line.copies,
                            got[k][i], error_of[k][i], P[i][i], inverse[i][i]);
            test_assert_mean (got[k][i], P[i][i], error_of[k][i]);
            g_assert_cmpfloat (error_of[k][i], <, 0.03 * P[i][i]);
        }
    }
    for (guint i = 0; i < 2; i++)
        g_assert_cmpfloat (got[1][i], <, 0.75 * got[0][i]);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/sgld-scale/examples-twice/sharper-as-derived", twice_the_examples);
    return g_test_run ();
}
