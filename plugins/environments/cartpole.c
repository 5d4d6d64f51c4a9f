/* SPDX-License-Identifier: MIT */
// The cart and pole of Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve
// difficult learning control problems" (1983), without friction, with the numbers, limits and
// rewards of Gymnasium's CartPole-v1. A cart on a track is pushed left or right so that the pole
// hinged on it stays up.
//   a = (F + m l w^2 sin t) / (M + m)
//   alpha = (g sin t - a cos t) / (l (4/3 - m cos^2 t / (M + m)))       angular acceleration
//   acceleration = a - m l alpha cos t / (M + m)
// x, v  position (m) and velocity of the cart; t, w  angle from upright (rad) and its rate; M, m
// masses of cart and pole (kg); l  half the pole's length (m). Euler's rule, derivatives of the old
// state.
#include <math.h>
#include <dlhost/dlhost.h>

#define GRAVITY 9.8 /* m / s^2 */
#define CART 1.0
#define POLE 0.1
#define HALF_LENGTH 0.5
#define FORCE 10.0                    /* N */
#define PERIOD 0.02                   /* s */
#define FAR 2.4                       /* m: an episode ends beyond it, */
#define SLANTED (12 * 2 * G_PI / 360) /* and beyond this */
#define START 0.05                    /* each number of the state is within it at first */
#define NUMBERS 4                     /* of a state: x, v, t, w */

typedef struct {
    gint64 n;
    double (*state)[NUMBERS]; /* (n, NUMBERS) */
} Carts;

typedef struct {
    gint64 steps;
} CartpoleOptions;

static void
cartpole_close (gpointer world)
{
    Carts *carts = world;

    g_free (carts->state);
    g_free (carts);
}

static gpointer
cartpole_open (gconstpointer options, gint64 n, DlhEnvironmentSpec *spec, GError **error)
{
    const CartpoleOptions *opt = options;
    Carts *carts = g_new (Carts, 1);

    (void)error;
    carts->n = n;
    carts->state = g_malloc0_n ((gsize)n, sizeof *carts->state);
    spec->observation = dlh_shape (NUMBERS);
    spec->action = DLH_ACTION_DISCRETE;
    spec->n_actions = 2; // to the left, to the right
    spec->max_steps = opt->steps;
    return carts;
}

static void
show (const Carts *carts, gint64 i, DlhFeedback *feedback)
{
    for (guint k = 0; k < NUMBERS; k++)
        feedback->observation[i * NUMBERS + k] = carts->state[i][k];
}

static gboolean
cartpole_reset (gpointer world, const guint64 *seeds, const gboolean *chosen, DlhFeedback *feedback,
                GError **error)
{
    Carts *carts = world;

    (void)error;
    for (gint64 i = 0; i < carts->n; i++) {
        if (!chosen[i])
            continue;
        dlh_random_fill_uniform (seeds[i], "cartpole/start", 0, carts->state[i], NUMBERS);
        for (guint k = 0; k < NUMBERS; k++)
            carts->state[i][k] = START * (2 * carts->state[i][k] - 1);
        show (carts, i, feedback);
    }
    return TRUE;
}

static void
move (double *s, double force)
{
    const double v = s[1], w = s[3], sine = sin (s[2]), cosine = cos (s[2]);
    const double mass = CART + POLE, arm = POLE * HALF_LENGTH;
    const double a = (force + arm * w * w * sine) / mass;
    const double alpha =
        (GRAVITY * sine - a * cosine) / (HALF_LENGTH * (4.0 / 3.0 - POLE * cosine * cosine / mass));
    const double acceleration = a - arm * alpha * cosine / mass;

    s[0] += PERIOD * v;
    s[1] += PERIOD * acceleration;
    s[2] += PERIOD * w;
    s[3] += PERIOD * alpha;
}

static gboolean
cartpole_step (gpointer world, const double *actions, const gboolean *acting, DlhFeedback *feedback,
               GError **error)
{
    Carts *carts = world;

    (void)error;
    for (gint64 i = 0; i < carts->n; i++) {
        double *s = carts->state[i];

        if (!acting[i])
            continue;
        move (s, actions[i] > 0 ? FORCE : -FORCE);
        show (carts, i, feedback);
        feedback->reward[i] = 1; // for the step that ends it, too
        feedback->terminated[i] = fabs (s[0]) > FAR || fabs (s[2]) > SLANTED;
    }
    return TRUE;
}

static const DlhEnvironment cartpole = {
    .size = sizeof (DlhEnvironment),
    .open = cartpole_open,
    .close = cartpole_close,
    .reset = cartpole_reset,
    .step = cartpole_step,
};

DLH_PLUGIN_DEFINE (DLH_ENVIRONMENT, cartpole, CartpoleOptions,
                   DLH_OPTIONS (DLH_INT (CartpoleOptions, steps, 500, 1, 1000000000,
                                         "An episode is cut off after as many", .unit = "steps")),
                   .name = "cartpole", .version = "1.0",
                   .summary = "A pole on a cart, kept upright by pushing the cart left or right");
