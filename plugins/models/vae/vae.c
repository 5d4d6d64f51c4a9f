/* SPDX-License-Identifier: MIT */
/* Variational autoencoder, arXiv 1312.6114: maximises
 *
 *   ELBO = E_q [log p(x | z)] - KL (q(z | x) || p(z))
 *
 * with one draw of z through which gradients flow, and the divergence in closed form. */
#include "network.h"

typedef struct {
    VAE_FIELDS;
} VaeOptions;

static gboolean
vae_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
           DlhObjective *objective, GError **error)
{
    DlhNode *kl, *log_likelihood;
    VaeDraw draw;

    (void)y;
    if (!vae_check (problem, options, error))
        return FALSE;
    draw = vae_draw (b, problem, options, x, objective);
    kl = dlh_mean_all (vae_kl (&draw));
    log_likelihood = dlh_neg (objective->loss);
    objective->loss = dlh_add (objective->loss, kl);
    dlh_objective_add_metric (objective, "elbo", dlh_neg (objective->loss));
    dlh_objective_add_metric (objective, "log_likelihood", log_likelihood);
    dlh_objective_add_metric (objective, "kl", kl);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised vae_supervised = {.size = sizeof (DlhSupervised), .build = vae_build};
static const DlhModel vae = {
    .size = sizeof (DlhModel), .supervised = &vae_supervised, .latent = &vae_latent};

DLH_PLUGIN_DEFINE (DLH_MODEL, vae, VaeOptions, DLH_OPTIONS (VAE_OPTIONS (VaeOptions)),
                   .name = "vae", .version = "1.0", .paper = "1312.6114",
                   .summary = "Variational autoencoder");
