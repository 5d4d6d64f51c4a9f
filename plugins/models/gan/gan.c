/* SPDX-License-Identifier: MIT */
/* Generative adversarial network, arXiv 1406.2661. With D the discriminator's logit,
 *
 *   discriminator  minimises  E softplus (- D (x)) + E softplus (D (g (z)))
 *   generator      minimises  E softplus (- D (g (z)))      (non-saturating, the default)
 *                        or - E softplus (D (g (z)))        (minimax)
 *
 * Deviation: both move at the same time, from one draw of z, where the paper alternates. */
#include <string.h>
#include "critic.h"

typedef struct {
    GENERATOR_FIELDS;
    CRITIC_FIELDS;
    const char *objective;
} GanOptions;

static DlhNode *
mean_softplus (DlhNode *x)
{
    return dlh_mean_all (dlh_softplus (x));
}

static gboolean
gan_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
           DlhObjective *objective, GError **error)
{
    const GanOptions *opt = options;
    const Generator *net = options;
    const Players *players = options;
    DlhNode *fake, *real_score, *fake_score, *fooled, *for_d, *for_g;

    (void)y;
    if (!generator_check (problem, error))
        return FALSE;
    fake = generator_sample (b, problem, net, dlh_node_dim (x, 0));
    real_score = critic_score (b, players, dlh_flatten (x, 1));
    fake_score = critic_score (b, players, dlh_stop_gradient (fake));
    fooled = dlh_freeze (b, "discriminator", critic_score (b, players, fake));
    for_d = dlh_add (mean_softplus (dlh_neg (real_score)), mean_softplus (fake_score));
    for_g = strcmp (opt->objective, "minimax") == 0 ? dlh_neg (mean_softplus (fooled))
                                                    : mean_softplus (dlh_neg (fooled));
    critic_set_paces (b, players);
    objective->loss = dlh_add (for_d, for_g);
    objective->n_cases = (double)dlh_node_dim (x, 0);
    dlh_objective_add_metric (objective, "discriminator_loss", for_d);
    dlh_objective_add_metric (objective, "generator_loss", for_g);
    dlh_objective_add_metric (objective, "p_real", dlh_mean_all (dlh_sigmoid (real_score)));
    dlh_objective_add_metric (objective, "p_fake", dlh_mean_all (dlh_sigmoid (fake_score)));
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised gan_supervised = {.size = sizeof (DlhSupervised), .build = gan_build};
static const DlhModel gan = {
    .size = sizeof (DlhModel), .supervised = &gan_supervised, .latent = &generator_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, gan, GanOptions,
    DLH_OPTIONS (GENERATOR_OPTIONS (GanOptions, "tanh"), CRITIC_OPTIONS (GanOptions, 0.5, 1),
                 DLH_CHOICE (GanOptions, objective, "nonsaturating", "nonsaturating|minimax",
                             "Of the generator: to be taken for real, or not to be found out")),
    .name = "gan", .version = "1.0", .paper = "1406.2661",
    .summary = "Generative adversarial network");
