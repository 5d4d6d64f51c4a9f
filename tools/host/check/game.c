/* SPDX-License-Identifier: MIT */
/* Beside a task that plays: a short game, and an optimizer that lives on its rewards. */
#include <math.h>
#include "problems.h"

#define EPISODE 6
#define SIGMA 0.1
#define MEMBERS 2

typedef struct {
    char unused;
} NoOptions;

/* A token on a line, moved down, not at all or up, that should stay near 0. */

typedef struct {
    gint64 n;
    double *at;
} Tokens;

static gpointer
line_open (gconstpointer options, gint64 n, DlhEnvironmentSpec *spec, GError **error)
{
    Tokens *t = g_new0 (Tokens, 1);

    (void)options, (void)error;
    t->n = n;
    t->at = g_new0 (double, n);
    spec->observation = dlh_shape (1);
    spec->action = DLH_ACTION_DISCRETE;
    spec->n_actions = 3;
    spec->max_steps = EPISODE;
    return t;
}

static void
line_close (gpointer world)
{
    Tokens *t = world;

    g_free (t->at);
    g_free (t);
}

static gboolean
line_reset (gpointer world, const guint64 *seeds, const gboolean *chosen, DlhFeedback *feedback,
            GError **error)
{
    Tokens *t = world;

    (void)error;
    for (gint64 i = 0; i < t->n; i++) {
        if (!chosen[i])
            continue;
        dlh_random_fill_normal (seeds[i], "line/start", 0, &t->at[i], 1);
        feedback->observation[i] = t->at[i];
    }
    return TRUE;
}

static gboolean
line_step (gpointer world, const double *actions, const gboolean *acting, DlhFeedback *feedback,
           GError **error)
{
    Tokens *t = world;

    (void)error;
    for (gint64 i = 0; i < t->n; i++) {
        if (!acting[i])
            continue;
        t->at[i] += 0.3 * (actions[i] - 1);
        feedback->observation[i] = t->at[i];
        feedback->reward[i] = -fabs (t->at[i]);
        feedback->terminated[i] = fabs (t->at[i]) < 0.05;
    }
    return TRUE;
}

/* Evolution strategies in their plainest form: by the sum of rewards times noise. */
static gboolean
rewards_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const DlhPopulationOptions population = {.size = sizeof population,
                                             .spread = DLH_SPREAD_SIGNS,
                                             .groups = 1,
                                             .members = MEMBERS,
                                             .antithetic = TRUE,
                                             .sigma = SIGMA,
                                             .weights = "*"};
    DlhPopulation *p = dlh_update_population (u, &population, error);
    const guint n = dlh_update_n_params (u);
    g_autofree DlhNode **g = g_new (DlhNode *, n + 1);
    DlhNode *weights;

    (void)options;
    if (!p)
        return FALSE;
    weights = dlh_scale (dlh_population_scores (p), -1 / (2 * MEMBERS * SIGMA * SIGMA));
    for (guint i = 0; i < n; i++)
        g[i] = dlh_population_combine (p, i, weights);
    dlh_update_set_gradients (u, g);
    for (guint i = 0; i < n; i++)
        dlh_update_move (u, i,
                         dlh_neg (dlh_mul (dlh_update_gradient (u, i), dlh_update_rate (u, 0.01))));
    return TRUE;
}

static const DlhEnvironment line = {.size = sizeof (DlhEnvironment),
                                    .open = line_open,
                                    .close = line_close,
                                    .reset = line_reset,
                                    .step = line_step};
static const DlhOptimizer rewards = {.size = sizeof (DlhOptimizer), .build = rewards_build};

static const DlhManifest line_manifest = {.size = sizeof (DlhManifest),
                                          .option_size = sizeof (DlhOption),
                                          .abi_major = DLH_ABI_MAJOR,
                                          .abi_minor = DLH_ABI_MINOR,
                                          .kind = DLH_ENVIRONMENT,
                                          .options_bytes = sizeof (NoOptions),
                                          .name = "line",
                                          .version = DLH_VERSION,
                                          .licence = "MIT",
                                          .summary = "A token that should stay near 0"};
static const DlhManifest rewards_manifest = {.size = sizeof (DlhManifest),
                                             .option_size = sizeof (DlhOption),
                                             .abi_major = DLH_ABI_MAJOR,
                                             .abi_minor = DLH_ABI_MINOR,
                                             .kind = DLH_OPTIMIZER,
                                             .options_bytes = sizeof (NoOptions),
                                             .name = "rewards",
                                             .version = DLH_VERSION,
                                             .licence = "MIT",
                                             .summary = "Moves by rewards alone"};
static const DlhPlugin line_plugin = {sizeof (DlhPlugin), &line_manifest, &line};
static const DlhPlugin rewards_plugin = {sizeof (DlhPlugin), &rewards_manifest, &rewards};

DlhComponent *
builtin_environment (void)
{
    return builtin_component (&line_plugin);
}

DlhComponent *
builtin_rewarded_optimizer (void)
{
    return builtin_component (&rewards_plugin);
}
