/* SPDX-License-Identifier: MIT */
/* Wasserstein GAN with gradient penalty, arXiv 1704.00028, algorithm 1. With D the critic's score,
 *
 *   critic     minimises  E D (g (z)) - E D (x) + penalty E (|dD / dx^| - 1)^2
 *   generator  minimises  - E D (g (z)),  at every generator_period-th step (the paper's n_critic)
 *   x^ = e x + (1 - e) g (z),  e ~ U [0, 1) for each row
 *
 * Deviation: at its steps the generator moves together with the critic, not after it. */
#include "critic.h"

typedef struct {
    GENERATOR_FIELDS;
    CRITIC_FIELDS;
    double penalty;
} WganOptions;

// The norm's square root has no derivative at 0, where a critic that is constant is.
#define SMALLEST_SQUARE 1e-12

static DlhNode *
gradient_penalty (DlhBuild *b, const Players *players, DlhNode *x, DlhNode *fake)
{
    DlhNode *e = dlh_uniform (b->graph, generator_stream (b, "between"),
                              dlh_store_get_dtype (b->store), dlh_shape (dlh_node_dim (x, 0), 1));
    DlhNode *between = dlh_stop_gradient (dlh_add (fake, dlh_mul (e, dlh_sub (x, fake))));
    DlhNode *slope = dlh_gradient (dlh_sum_all (critic_score (b, players, between)), between);
    DlhNode *norm = dlh_sqrt (dlh_offset (dlh_sum_last (dlh_square (slope), 1), SMALLEST_SQUARE));

    return dlh_mean_all (dlh_square (dlh_offset (norm, -1)));
}

static gboolean
wgan_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    const WganOptions *opt = options;
    const Generator *net = options;
    const Players *players = options;
    DlhNode *fake, *distance, *penalty, *for_d, *for_g, *fooled;

    (void)y;
    if (!generator_check (problem, error))
        return FALSE;
    x = dlh_flatten (x, 1);
    fake = generator_sample (b, problem, net, dlh_node_dim (x, 0));
    distance = dlh_sub (dlh_mean_all (critic_score (b, players, x)),
                        dlh_mean_all (critic_score (b, players, dlh_stop_gradient (fake))));
    penalty = gradient_penalty (b, players, x, fake);
    fooled = dlh_freeze (b, "discriminator", critic_score (b, players, fake));
    for_d = dlh_sub (dlh_scale (penalty, opt->penalty), distance);
    for_g = dlh_neg (dlh_mean_all (fooled));
    critic_set_paces (b, players);
    objective->loss = dlh_add (for_d, for_g);
    objective->n_cases = (double)dlh_node_dim (x, 0);
    dlh_objective_add_metric (objective, "discriminator_loss", for_d);
    dlh_objective_add_metric (objective, "generator_loss", for_g);
    dlh_objective_add_metric (objective, "distance", distance);
    dlh_objective_add_metric (objective, "penalty", penalty);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised wgan_supervised = {.size = sizeof (DlhSupervised), .build = wgan_build};
static const DlhModel wgan_gp = {
    .size = sizeof (DlhModel), .supervised = &wgan_supervised, .latent = &generator_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, wgan_gp, WganOptions,
    DLH_OPTIONS (GENERATOR_OPTIONS (WganOptions, "tanh"), CRITIC_OPTIONS (WganOptions, 0, 5),
                 DLH_DOUBLE (WganOptions, penalty, 10, 0.0, 1e6, "Weight of the gradient penalty")),
    .name = "wgan_gp", .version = "1.0", .paper = "1704.00028",
    .summary = "Wasserstein GAN with gradient penalty");
