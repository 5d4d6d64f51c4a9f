/* SPDX-License-Identifier: MIT */
/* Worlds: what a task may count on whatever the plugin does; and the cart with its pole, by the
 * equations of motion and by Gymnasium's numbers. */
#include "test.h"

/* The cart and pole. */

static DlhWorld *
carts_new (const char *steps, gint64 n)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GHashTable) settings = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (DlhComponent) cartpole = NULL;
    g_autoptr (GError) error = NULL;
    DlhWorld *w;

    g_hash_table_insert (settings, (gpointer) "steps", (gpointer)steps);
    cartpole = dlh_registry_load (registry, DLH_ENVIRONMENT, "cartpole", settings, &error);
    g_assert_no_error (error);
    w = dlh_world_new (cartpole, n, &error);
    g_assert_no_error (error);
    return w;
}

// Seed 7 begins at the first row. The others are what CartPole-v1 of Gymnasium 1.4.0, put into that
// state, comes to by the same pushes: to the right at first, then where t + w / 2 > 0.05; its
// float64 state after 12, 60 and 180 steps, the last of which ends the episode. In 180 steps the
// difference of a rounding grows to 1e-11.
static void
as_gymnasium (void)
{
    static const struct {
        gint64 steps;
        double state[4];
    } rows[] = {
        {0,
         {0.020640403109203009, 0.011651062437793604, 0.0013086186756766762, 0.02427113768023792}},
        {12,
         {0.0077630052542983097, 0.010105605836771808, 0.031960719620492906, 0.058391829649118598}},
        {60,
         {0.17912556130695076, 0.37661710454746911, 0.052043742610628961, -0.003476910240611919}},
        {180, {2.4067621090024924, 1.4644130726584743, 0.046776748346674328, 0.070029928161675636}},
    };
    g_autoptr (DlhWorld) w = carts_new ("500", 1);
    const DlhFeedback *f = dlh_world_feedback (w);
    double action = 1;
    gint64 t = 0;

    g_assert_true (dlh_world_reset (w, (const guint64[]){7}, NULL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        for (; t < rows[i].steps; t++) {
            g_assert_cmpint (dlh_world_n_playing (w), ==, 1);
            g_assert_true (dlh_world_step (w, &action, NULL));
            g_assert_cmpfloat (f->reward[0], ==, 1);
            action = f->observation[2] + 0.5 * f->observation[3] > 0.05;
        }
        test_assert_within (f->observation, rows[i].state, 4, 1e-10);
    }
    g_assert_cmpint (dlh_world_n_playing (w), ==, 0);
    g_assert_true (f->terminated[0] && !f->truncated[0]);
}

// What Lagrange's equations leave: of a cart of 1 kg with a uniform rod of mass m and length 2 l
// hinged on it, whose moment of inertia about the hinge is 4/3 m l^2:
//   (M + m) x'' + m l t'' cos t - m l t'^2 sin t = F
//   m l x'' cos t + 4/3 m l^2 t'' = m g l sin t
static void
check_motion (const double *from, const double *to, double force)
{
    const double M = 1, m = 0.1, l = 0.5, g = 9.8, tau = 0.02;
    const double x2 = (to[1] - from[1]) / tau, t2 = (to[3] - from[3]) / tau;
    const double s = sin (from[2]), c = cos (from[2]), w = from[3];
    const double left[] = {(M + m) * x2 + m * l * t2 * c - m * l * w * w * s,
                           m * l * x2 * c + 4.0 / 3 * m * l * l * t2, to[0], to[2]};
    const double right[] = {force, m * g * l * s, from[0] + tau * from[1], from[2] + tau * from[3]};

    // Velocities of up to 10 are known to eps, accelerations to eps / tau.
    test_assert_within (left, right, 4, 4 * DBL_EPSILON * 10 / tau * 2);
}

// Random pushes: the equations hold in each step, and the flags are those of the limits.
static void
lagrange (void)
{
    enum { N = 16, STEPS = 200 };
    g_autoptr (DlhWorld) w = carts_new ("500", N);
    const DlhFeedback *f = dlh_world_feedback (w);
    guint64 seeds[N];
    double actions[N], random[N], before[4 * N];
    gboolean over[N], was[N];
    guint ends = 0;

    for (guint t = 0; t < STEPS; t++) {
        test_random (t, random, N);
        for (guint i = 0; i < N; i++) {
            over[i] = !dlh_world_playing (w)[i];
            seeds[i] = t * N + i;
            actions[i] = random[i] > 0.3 * ((int)(i % 3) - 1);
        }
        g_assert_true (dlh_world_reset (w, seeds, over, NULL));
        g_assert_cmpint (dlh_world_n_playing (w), ==, N);
        memcpy (before, f->observation, sizeof before);
        memcpy (was, dlh_world_playing (w), sizeof was);
        g_assert_true (dlh_world_step (w, actions, NULL));
        for (guint i = 0; i < N; i++) {
            const double *to = f->observation + 4 * i;

            check_motion (before + 4 * i, to, actions[i] > 0 ? 10 : -10);
            g_assert_cmpint (f->terminated[i], ==,
                             fabs (to[0]) > 2.4 || fabs (to[2]) > 12 * G_PI / 180);
            g_assert_cmpint (dlh_world_playing (w)[i], ==, !f->terminated[i]);
            ends += f->terminated[i] != 0;
        }
    }
    g_assert_cmpuint (ends, >, 50);
}

static void
start_spread (void)
{
    enum { N = 20000 };
    g_autoptr (DlhWorld) w = carts_new ("500", N);
    const double *x = dlh_world_feedback (w)->observation;
    g_autofree guint64 *seeds = g_new (guint64, N);
    double sum = 0, most = 0;

    for (guint i = 0; i < N; i++)
        seeds[i] = i;
    g_assert_true (dlh_world_reset (w, seeds, NULL, NULL));
    for (guint i = 0; i < 4 * N; i++) {
        sum += x[i];
        most = MAX (most, fabs (x[i]));
    }
    g_assert_true (most <= 0.05 && most > 0.0499);
    test_assert_mean (sum / (4 * N), 0, 0.05 / sqrt (3.0 * 4 * N));
}

// Kept upright, for all that time.
static void
truncated (void)
{
    g_autoptr (DlhWorld) w = carts_new ("37", 1);
    const DlhFeedback *f = dlh_world_feedback (w);
    double action = 0;

    g_assert_true (dlh_world_reset (w, (const guint64[]){3}, NULL, NULL));
    for (guint t = 0; t < 37; t++) {
        g_assert_true (!f->truncated[0] && dlh_world_n_playing (w) == 1);
        g_assert_true (dlh_world_step (w, &action, NULL));
        action = f->observation[2] + 0.5 * f->observation[3] > 0;
    }
    g_assert_true (f->truncated[0] && !f->terminated[0] && dlh_world_n_playing (w) == 0);
}

/* A counter that an action of two numbers adds to, with faults on request. */

typedef struct {
    gint64 n;
    double at[8];
} Counter;

typedef struct {
    char unused;
} NoOptions;

static DlhEnvironmentSpec counter_spec;
static gboolean counter_fails, counter_spoils, counter_silent;
static const double low[] = {-1, -2}, high[] = {1, 3};

static gpointer
counter_open (gconstpointer options, gint64 n, DlhEnvironmentSpec *spec, GError **error)
{
    Counter *c;

    (void)options;
    if (counter_fails) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "no counters today");
        return NULL;
    }
    c = g_new0 (Counter, 1);
    c->n = n;
    *spec = counter_spec;
    return c;
}

static gboolean
counter_reset (gpointer world, const guint64 *seeds, const gboolean *chosen, DlhFeedback *feedback,
               GError **error)
{
    Counter *c = world;

    (void)error;
    for (gint64 i = 0; i < c->n; i++)
        if (chosen[i])
            feedback->observation[i] = c->at[i] = (double)seeds[i];
    return TRUE;
}

static gboolean
counter_step (gpointer world, const double *actions, const gboolean *acting, DlhFeedback *feedback,
              GError **error)
{
    Counter *c = world;

    if (counter_fails && !counter_silent)
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "the counter is gone");
    if (counter_fails)
        return FALSE;
    for (gint64 i = 0; i < c->n; i++) {
        if (!acting[i])
            continue;
        c->at[i] += actions[2 * i] + actions[2 * i + 1];
        feedback->observation[i] = counter_spoils ? NAN : c->at[i];
        feedback->reward[i] = c->at[i];
        feedback->terminated[i] = c->at[i] > 10;
    }
    return TRUE;
}

static const DlhEnvironment counter_role = {.size = sizeof (DlhEnvironment),
                                            .open = counter_open,
                                            .close = g_free,
                                            .reset = counter_reset,
                                            .step = counter_step};
static const DlhManifest counter_manifest = {.size = sizeof (DlhManifest),
                                             .option_size = sizeof (DlhOption),
                                             .abi_major = DLH_ABI_MAJOR,
                                             .abi_minor = DLH_ABI_MINOR,
                                             .kind = DLH_ENVIRONMENT,
                                             .options_bytes = sizeof (NoOptions),
                                             .name = "counter",
                                             .version = "1.0",
                                             .licence = "MIT",
                                             .summary = "For a test"};
static const DlhPlugin counter = {sizeof (DlhPlugin), &counter_manifest, &counter_role};

static DlhWorld *
counters_new (gint64 n, GError **error)
{
    g_autoptr (DlhComponent) component = dlh_component_new_static (&counter, NULL, NULL);

    return dlh_world_new (component, n, error);
}

static void
counter_begin (void)
{
    counter_spec = (DlhEnvironmentSpec){.size = sizeof (DlhEnvironmentSpec),
                                        .observation = dlh_shape (1),
                                        .action = DLH_ACTION_CONTINUOUS,
                                        .n_actions = 2,
                                        .low = low,
                                        .high = high,
                                        .max_steps = 3};
    counter_fails = counter_spoils = counter_silent = FALSE;
}

static void
ended_stays (void)
{
    static const double actions[] = {1, 3, 0, 0, 1, 3};
    g_autoptr (DlhWorld) w = NULL;
    const DlhFeedback *f;

    counter_begin ();
    w = counters_new (3, NULL);
    f = dlh_world_feedback (w);
    g_assert_cmpint (dlh_world_n_playing (w), ==, 0);
    g_assert_true (dlh_world_step (w, actions, NULL)); // nobody acts
    g_assert_true (
        dlh_world_reset (w, (const guint64[]){8, 0, 5}, (const gboolean[]){1, 1, 0}, NULL));
    g_assert_true (dlh_world_step (w, actions, NULL));
    g_assert_true (f->terminated[0] && !f->terminated[1] && !f->terminated[2]);
    g_assert_true (dlh_world_step (w, actions, NULL));
    test_assert_close (f->observation, ((double[]){12, 0, 0}), 3, 0);
    test_assert_close (f->reward, ((double[]){0, 0, 0}), 3, 0);
    g_assert_true (f->terminated[0]);
    g_assert_true (
        dlh_world_reset (w, (const guint64[]){1, 9, 9}, (const gboolean[]){1, 0, 0}, NULL));
    g_assert_true (!f->terminated[0] && dlh_world_n_playing (w) == 2);
    g_assert_true (dlh_world_step (w, actions, NULL));
    test_assert_close (f->observation, ((double[]){5, 0, 0}), 3, 0);
    g_assert_true (f->truncated[1] && !f->truncated[0] && dlh_world_n_playing (w) == 1);
}

static void
actions_refused (void)
{
    static const struct {
        double actions[2];
        const char *message;
    } rows[] = {
        {{1.01, 0}, "counter: number 0 of the action of copy 1 is 1.01, must be in [-1, 1]"},
        {{0, -3}, "number 1 of the action of copy 1 is -3, must be in [-2, 3]"},
        {{0, NAN}, "number 1 of the action of copy 1 is nan"},
    };
    static const double choices[] = {2, -1, 0.5, NAN, INFINITY};
    g_autoptr (DlhWorld) w = NULL, carts = carts_new ("500", 1);
    g_autoptr (GError) error = NULL;

    counter_begin ();
    w = counters_new (2, NULL);
    g_assert_true (dlh_world_reset (w, (const guint64[]){4, 5}, NULL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        const double actions[] = {1, 1, rows[i].actions[0], rows[i].actions[1]};

        g_assert_false (dlh_world_step (w, actions, &error));
        test_assert_error (&error, DLH_ERROR_NUMERIC, rows[i].message);
        test_assert_close (dlh_world_feedback (w)->observation, ((double[]){4, 5}), 2, 0);
        g_assert_cmpint (dlh_world_n_playing (w), ==, 2);
    }
    g_assert_true (dlh_world_reset (carts, (const guint64[]){4}, NULL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS (choices); i++) {
        g_assert_false (dlh_world_step (carts, &choices[i], &error));
        test_assert_error (&error, DLH_ERROR_NUMERIC, "must be a whole number from 0 to 1");
    }
}

static void
spec_refused (void)
{
    static const double upside_down[] = {-1, -3}, endless[] = {INFINITY, 3};
    static const struct {
        gint64 n_actions, max_steps;
        int action;
        const double *high;
        const char *message;
    } rows[] = {
        {0, 3, DLH_ACTION_CONTINUOUS, high, "counter: it has 0 actions, must be 1 or more"},
        {2, -1, DLH_ACTION_CONTINUOUS, high, "at most -1 steps"},
        {2, 3, 0, high, "of kind 0, which there is not"},
        {2, 3, DLH_ACTION_CONTINUOUS, NULL, "low and high must be set"},
        {2, 3, DLH_ACTION_CONTINUOUS, upside_down, "is between -1 and -1, must be a finite range"},
        {2, 3, DLH_ACTION_CONTINUOUS, endless, "is between -1 and inf"},
    };
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        counter_begin ();
        counter_spec.n_actions = rows[i].n_actions;
        counter_spec.max_steps = rows[i].max_steps;
        counter_spec.action = (DlhActionKind)rows[i].action;
        counter_spec.high = rows[i].high;
        g_assert_null (counters_new (2, &error));
        test_assert_error (&error, DLH_ERROR_PLUGIN, rows[i].message);
    }
    counter_begin ();
    counter_spec.observation = dlh_shape (0);
    g_assert_null (counters_new (2, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "its observations have no elements");
    counter_fails = TRUE;
    g_assert_null (counters_new (2, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "counter: no counters today");
}

// What a fault leaves is no episode any more; another reset begins one.
static void
faults_end_episodes (void)
{
    static const double actions[] = {0, 1};
    g_autoptr (DlhWorld) w = NULL;
    g_autoptr (GError) error = NULL;

    counter_begin ();
    w = counters_new (1, NULL);
    for (guint fault = 0; fault < 3; fault++) {
        g_assert_true (dlh_world_reset (w, (const guint64[]){4}, NULL, NULL));
        counter_spoils = fault == 0;
        counter_fails = fault > 0;
        counter_silent = fault == 2;
        g_assert_false (dlh_world_step (w, actions, &error));
        if (fault == 0)
            test_assert_error (&error, DLH_ERROR_NUMERIC, "copy 0, step 0: observation 0 is nan");
        else if (fault == 1)
            test_assert_error (&error, DLH_ERROR_IO, "counter: the counter is gone");
        else
            test_assert_error (&error, DLH_ERROR_PLUGIN, "failed without setting the error");
        g_assert_cmpint (dlh_world_n_playing (w), ==, 0);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/cartpole/golden/as-gymnasium", as_gymnasium);
    g_test_add_func ("/cartpole/motion/lagrange", lagrange);
    g_test_add_func ("/cartpole/start/spread", start_spread);
    g_test_add_func ("/cartpole/time/truncated", truncated);
    g_test_add_func ("/world/ended/stays", ended_stays);
    g_test_add_func ("/world/actions/refused", actions_refused);
    g_test_add_func ("/world/spec/refused", spec_refused);
    g_test_add_func ("/world/faults/end-episodes", faults_end_episodes);
    return g_test_run ();
}
