/* SPDX-License-Identifier: MIT */
// point: a point in the plane that is pushed, with some wind, and should come to rest at the origin.
// Replace push() by your world.
//   v <- (1 - drag) v + PERIOD (action + wind)        x <- x + PERIOD v        reward  - |x|^2
#include <math.h>
#include <dlhost/dlhost.h>

#define PERIOD 0.1 /* s */
#define FAR 3.0    /* an episode ends where the point is farther away */
#define NUMBERS 4  /* that a copy shows: x, then v */

typedef struct {
    double wind, drag;
    gint64 steps;
} PointOptions;

typedef struct {
    const PointOptions *opt;
    gint64 n;
    double (*state)[NUMBERS]; // (n, NUMBERS)
} Points;

static const double low[] = {-1, -1}, high[] = {1, 1}; // of an action: a push along each axis

static gpointer
point_open (gconstpointer options, gint64 n, DlhEnvironmentSpec *spec, GError **error)
{
    Points *points = g_new0 (Points, 1);

    (void) error;
    points->opt = options;
    points->n = n;
    points->state = g_malloc0_n ((gsize) n, sizeof *points->state);
    spec->observation = dlh_shape (NUMBERS);
    spec->action = DLH_ACTION_CONTINUOUS; // or DLH_ACTION_DISCRETE, and no low and high
    spec->n_actions = 2;
    spec->low = low;
    spec->high = high;
    spec->max_steps = points->opt->steps;
    return points;
}

static void
point_close (gpointer world)
{
    Points *points = world;

    g_free (points->state);
    g_free (points);
}

static void
show (const Points *points, gint64 i, DlhFeedback *feedback)
{
    for (gint64 k = 0; k < NUMBERS; k++)
        feedback->observation[i * NUMBERS + k] = points->state[i][k];
}

// All chance of an episode comes from its seed.
static gboolean
point_reset (gpointer world, const guint64 *seeds, const gboolean *chosen, DlhFeedback *feedback,
       GError **error)
{
    Points *points = world;

    (void) error;
    for (gint64 i = 0; i < points->n; i++) {
        double *s = points->state[i];

        if (!chosen[i])
            continue;
        dlh_random_fill_uniform (seeds[i], "point/start", 0, s, 2);
        s[0] = 2 * s[0] - 1;
        s[1] = 2 * s[1] - 1;
        s[2] = s[3] = 0;
        show (points, i, feedback);
    }
    return TRUE;
}

static void
push (double *s, const double *action, const PointOptions *opt)
{
    for (gint64 k = 0; k < 2; k++) {
        s[2 + k] = (1 - opt->drag) * s[2 + k] + PERIOD * (action[k] + (k == 0 ? opt->wind : 0));
        s[k] += PERIOD * s[2 + k];
    }
}

// Only copies that are acting move; the host has checked their actions, and counts steps.
static gboolean
point_step (gpointer world, const double *actions, const gboolean *acting, DlhFeedback *feedback,
      GError **error)
{
    Points *points = world;

    (void) error;
    for (gint64 i = 0; i < points->n; i++) {
        double *s = points->state[i];

        if (!acting[i])
            continue;
        push (s, actions + 2 * i, points->opt);
        show (points, i, feedback);
        feedback->reward[i] = -(s[0] * s[0] + s[1] * s[1]);
        feedback->terminated[i] = hypot (s[0], s[1]) > FAR;
    }
    return TRUE;
}

static const DlhEnvironment point_environment = {
    .size = sizeof (DlhEnvironment),
    .open = point_open,
    .close = point_close,
    .reset = point_reset,
    .step = point_step,
};

DLH_PLUGIN_DEFINE (DLH_ENVIRONMENT, point_environment, PointOptions,
                   DLH_OPTIONS (DLH_DOUBLE (PointOptions, wind, 0.2, -1.0, 1.0,
                                            "A push along the first axis"),
                                DLH_DOUBLE (PointOptions, drag, 0.05, 0.0, 1.0,
                                            "Share of the velocity lost in a step"),
                                DLH_INT (PointOptions, steps, 100, 1, 1000000,
                                         "An episode is cut off after as many", .unit = "steps")),
                   .name = "point", .version = "0.1",
                   .summary = "A point that is pushed towards the origin, against the wind");
