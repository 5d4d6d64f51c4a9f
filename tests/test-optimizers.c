/* SPDX-License-Identifier: MIT */
/* Optimizers against references written from their papers, through the real loader. The objective
 * is sum_i h_i theta_i^4 / 4 + theta_i, gradient h theta^3 + 1, where h is the batch. */
#include "trainer-bench.h"

#define N 5
#define STEPS 10

static const double h_values[N] = {0.3, 1, 2, 0.7, 4};

static gboolean
quartic_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
               DlhNode *y, DlhObjective *objective, GError **error)
{
    DlhNode *theta = dlh_parameter (b->graph, b->store, "theta", dlh_shape (N),
                                    (DlhInit){DLH_INIT_CONSTANT, 0.5, 0});

    (void)problem, (void)options, (void)y, (void)error;
    objective->loss = dlh_sum_all (dlh_add (
        dlh_scale (dlh_mul (dlh_index (x, 0, 0), dlh_square (dlh_square (theta))), 0.25), theta));
    objective->n_cases = 1;
    return TRUE;
}

static const DlhSupervised quartic_role = {sizeof quartic_role, quartic_build};
static const DlhModel quartic_model = {sizeof quartic_model, &quartic_role};
static const DlhManifest quartic_manifest = {sizeof (DlhManifest),
                                             sizeof (DlhOption),
                                             0,
                                             DLH_ABI_MAJOR,
                                             DLH_ABI_MINOR,
                                             DLH_MODEL,
                                             1,
                                             0,
                                             "quartic",
                                             "1",
                                             "MIT",
                                             "",
                                             "test objective"};
static const DlhPlugin quartic = {sizeof quartic, &quartic_manifest, &quartic_model};

static void
bench_init (Bench *b, const char *optimizer, const char *const *settings,
            const DlhTraining *training)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (N)};
    g_autoptr (GError) error = NULL;

    bench_open (b, 1);
    b->model = dlh_component_new_static (&quartic, NULL, &error);
    g_assert_no_error (error);
    bench_train (b, optimizer, settings, &problem, training);
    b->x = test_tensor_from (DLH_F64, dlh_shape (1, N), h_values, N);
}

static const double *
theta_after_step (Bench *b)
{
    bench_step (b);
    return dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (b->store, "quartic/theta")));
}

static double
gradient (double theta, guint i)
{
    return h_values[i] * theta * theta * theta + 1;
}

/* References: one scalar at a time, straight from the equations; s is the state. */

typedef struct {
    double theta, s[4];
    guint t;
} Scalar;

typedef void (*Reference) (Scalar *x, guint i);

static void
check (const char *optimizer, const char *const *settings, const DlhTraining *training,
       Reference reference)
{
    g_auto (Bench) b = {0};
    Scalar x[N] = {0};

    bench_init (&b, optimizer, settings, training);
    for (guint i = 0; i < N; i++)
        x[i].theta = 0.5;
    for (guint step = 0; step < STEPS; step++) {
        const double *theta = theta_after_step (&b);

        for (guint i = 0; i < N; i++) {
            reference (&x[i], i);
            x[i].t++;
            test_assert_within (&theta[i], &x[i].theta, 1, 1e-13 * MAX (1, fabs (x[i].theta)));
        }
    }
}

static void
sgd_reference (Scalar *x, guint i)
{
    x->theta -= 0.05 * gradient (x->theta, i);
}

static void
sgd_plain (void)
{
    check ("sgd", (const char *[]){"lr", "0.05", "momentum", "0", NULL}, NULL, sgd_reference);
}

// CM of the AggMo sheet: v <- beta v - g, theta <- theta + gamma v.
static void
momentum_reference (Scalar *x, guint i)
{
    x->s[0] = 0.9 * x->s[0] - gradient (x->theta, i);
    x->theta += 0.05 * x->s[0];
}

static void
sgd_momentum (void)
{
    check ("sgd", (const char *[]){"lr", "0.05", "momentum", "0.9", NULL}, NULL,
           momentum_reference);
}

// Nesterov's method proper, its gradient at the look-ahead point; theta here is that point.
static void
nesterov_reference (Scalar *x, guint i)
{
    const double lr = 0.05, beta = 0.9;
    double inner = x->t ? x->s[1] : 0.5;

    x->s[0] = beta * x->s[0] - gradient (inner + lr * beta * x->s[0], i);
    x->s[1] = inner + lr * x->s[0];
    x->theta = x->s[1] + lr * beta * x->s[0];
}

static void
sgd_nesterov (void)
{
    check ("sgd", (const char *[]){"lr", "0.05", "nesterov", "true", NULL}, NULL,
           nesterov_reference);
}

static void
aggmo_is_nesterov (void)
{
    // beta = [0, b], rates 2 gamma and 2 b gamma.
    check ("aggmo", (const char *[]){"betas", "[0,0.9]", "rates", "[0.1,0.09]", NULL}, NULL,
           nesterov_reference);
}

static void
aggmo_single_is_momentum (void)
{
    check ("aggmo", (const char *[]){"betas", "[0.9]", "lr", "0.05", NULL}, NULL,
           momentum_reference);
}

static void
aggmo_reference (Scalar *x, guint i)
{
    static const double beta[] = {0, 0.9, 0.99};
    double g = gradient (x->theta, i), sum = 0;

    for (guint k = 0; k < 3; k++) {
        x->s[k] = beta[k] * x->s[k] - g;
        sum += x->s[k];
    }
    x->theta += 0.1 / 3 * sum;
}

static void
aggmo_default (void)
{
    check ("aggmo", NULL, NULL, aggmo_reference);
}

static void
aggmo_exponential (void)
{
    check ("aggmo", (const char *[]){"k", "3", NULL}, NULL, aggmo_reference);
}

static void
adam_step (Scalar *x, guint i, double coupled, double decoupled)
{
    double g = gradient (x->theta, i) + coupled * x->theta, t = x->t + 1;

    x->s[0] = 0.9 * x->s[0] + (1 - 0.9) * g;
    x->s[1] = 0.999 * x->s[1] + (1 - 0.999) * g * g;
    x->theta =
        x->theta - 0.01 * decoupled * x->theta -
        0.01 * (x->s[0] / (1 - pow (0.9, t))) / (sqrt (x->s[1] / (1 - pow (0.999, t))) + 1e-8);
}

static void
adam_reference (Scalar *x, guint i)
{
    adam_step (x, i, 0, 0);
}

static void
adam_plain (void)
{
    check ("adam", (const char *[]){"lr", "0.01", NULL}, NULL, adam_reference);
}

static void
adamw_reference (Scalar *x, guint i)
{
    adam_step (x, i, 0, 0.3);
}

static void
adam_decoupled (void)
{
    check ("adam", (const char *[]){"lr", "0.01", "weight_decay", "0.3", "decoupled", "true", NULL},
           NULL, adamw_reference);
}

static void
adam_l2_reference (Scalar *x, guint i)
{
    adam_step (x, i, 0.3, 0);
}

static void
adam_coupled (void)
{
    check ("adam", (const char *[]){"lr", "0.01", "weight_decay", "0.3", NULL}, NULL,
           adam_l2_reference);
}

static void
run_weight_decay (void)
{
    DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .weight_decay = 0.3};

    check ("adam", (const char *[]){"lr", "0.01", NULL}, &training, adam_l2_reference);
}

static void
scheduled_reference (Scalar *x, guint i)
{
    static const double factor[STEPS] = {0.5, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01};

    x->s[0] = 0.9 * x->s[0] - gradient (x->theta, i);
    x->theta += 0.05 * factor[x->t] * x->s[0];
}

static void
run_schedule (void)
{
    const double milestones[] = {3, 6};
    DlhTraining training = {
        .size = sizeof training,
        .schedule = {
            .kind = DLH_SCHEDULE_STEP, .factor = 0.1, .warmup = 2, .milestones = {milestones, 2}}};

    check ("sgd", (const char *[]){"lr", "0.05", NULL}, &training, scheduled_reference);
}

static void
clipped_reference (Scalar *x, guint i)
{
    x->theta -= 0.05 * CLAMP (gradient (x->theta, i), -1.05, 1.05);
}

static void
run_clip_value (void)
{
    DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .clip_value = 1.05};

    check ("sgd", (const char *[]){"lr", "0.05", "momentum", "0", NULL}, &training,
           clipped_reference);
}

static void
run_clip_norm (void)
{
    DlhTraining training = {
        .size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT, .clip_norm = 0.7};
    g_auto (Bench) b = {0};
    double theta[N], norm = 0;
    const double *got;

    bench_init (&b, "sgd", (const char *[]){"lr", "0.05", "momentum", "0", NULL}, &training);
    for (guint i = 0; i < N; i++)
        norm += gradient (0.5, i) * gradient (0.5, i);
    for (guint i = 0; i < N; i++)
        theta[i] = 0.5 - 0.05 * gradient (0.5, i) * 0.7 / sqrt (norm);
    got = theta_after_step (&b);
    test_assert_within (got, theta, N, 1e-15);
}

// The factor as a number and as a node, at every kind's edges.
static void
schedules_agree (void)
{
    const double milestones[] = {2, 5};
    const DlhSchedule schedules[] = {
        {.kind = DLH_SCHEDULE_CONSTANT, .warmup = 3},
        {.kind = DLH_SCHEDULE_STEP, .factor = 0.5, .milestones = {milestones, 2}},
        {.kind = DLH_SCHEDULE_EXPONENTIAL, .factor = 0.9, .period = 2, .warmup = 1},
        {.kind = DLH_SCHEDULE_COSINE, .total = 6, .floor = 0.1, .warmup = 2},
        {.kind = DLH_SCHEDULE_INVERSE_TIME, .factor = 0.3, .period = 4},
    };

    for (guint s = 0; s < G_N_ELEMENTS (schedules); s++) {
        DlhTraining training = {.size = sizeof training, .schedule = schedules[s]};
        g_auto (Bench) b = {0};
        double before = 0.5;

        bench_init (&b, "sgd", (const char *[]){"lr", "0.01", "momentum", "0", NULL}, &training);
        for (guint step = 0; step < STEPS; step++) {
            double want =
                before - 0.01 * dlh_schedule_value (&schedules[s], step) * gradient (before, 0);

            before = theta_after_step (&b)[0];
            test_assert_within (&before, &want, 1, 1e-15);
        }
    }
    g_assert_cmpfloat (dlh_schedule_value (&schedules[3], 2), ==, 1);
    g_assert_cmpfloat_with_epsilon (dlh_schedule_value (&schedules[3], 6), 0.1, 1e-15);
    g_assert_cmpfloat_with_epsilon (dlh_schedule_value (&schedules[3], 4), 0.55, 1e-15);
    g_assert_cmpfloat_with_epsilon (dlh_schedule_value (&schedules[4], 4), 1 / 1.3, 1e-15);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/optimizers/sgd/ten-steps", sgd_plain);
    g_test_add_func ("/optimizers/momentum/ten-steps", sgd_momentum);
    g_test_add_func ("/optimizers/nesterov/ten-steps", sgd_nesterov);
    g_test_add_func ("/optimizers/adam/ten-steps", adam_plain);
    g_test_add_func ("/optimizers/adam/decoupled-decay", adam_decoupled);
    g_test_add_func ("/optimizers/adam/coupled-decay", adam_coupled);
    g_test_add_func ("/optimizers/aggmo/ten-steps", aggmo_default);
    g_test_add_func ("/optimizers/aggmo/exponential-form", aggmo_exponential);
    g_test_add_func ("/optimizers/aggmo/is-nesterov", aggmo_is_nesterov);
    g_test_add_func ("/optimizers/aggmo/one-velocity-is-momentum", aggmo_single_is_momentum);
    g_test_add_func ("/optimizers/run/weight-decay", run_weight_decay);
    g_test_add_func ("/optimizers/run/schedule-and-warmup", run_schedule);
    g_test_add_func ("/optimizers/run/clip-value", run_clip_value);
    g_test_add_func ("/optimizers/run/clip-norm", run_clip_norm);
    g_test_add_func ("/optimizers/schedules/node-is-number", schedules_agree);
    return g_test_run ();
}
