/* SPDX-License-Identifier: MIT */
/* beta-VAE (Higgins et al. 2017): maximises
 *
 *   E_q [log p(x | z)] - beta KL (q(z | x) || p(z))
 *
 * with the divergence in closed form, or as log q(z | x) - log p(z) at the draw. */
#include <string.h>
#include "network.h"

typedef struct {
    VAE_FIELDS;
    double beta;
    gint64 warmup;
    const char *kl;
} BetaVaeOptions;

static gboolean
beta_vae_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                DlhNode *y, DlhObjective *objective, GError **error)
{
    const BetaVaeOptions *opt = options;
    DlhNode *kl, *log_likelihood, *beta;
    VaeDraw draw;

    (void)y;
    if (!vae_check (problem, options, error))
        return FALSE;
    draw = vae_draw (b, problem, options, x, objective);
    if (strcmp (opt->kl, "analytic") == 0)
        kl = vae_kl (&draw);
    else
        kl = dlh_sub (dlh_log_prob (draw.q, draw.z), dlh_log_prob (draw.prior, draw.z));
    kl = dlh_mean_all (kl);
    beta = vae_warmed_up (b, opt->beta, opt->warmup);
    log_likelihood = dlh_neg (objective->loss);
    objective->loss = dlh_add (objective->loss, dlh_mul (beta, kl));
    dlh_objective_add_metric (objective, "elbo", dlh_sub (log_likelihood, kl));
    dlh_objective_add_metric (objective, "log_likelihood", log_likelihood);
    dlh_objective_add_metric (objective, "kl", kl);
    if (opt->warmup > 0)
        dlh_objective_add_metric (objective, "beta", beta);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised beta_vae_supervised = {.size = sizeof (DlhSupervised),
                                                  .build = beta_vae_build};
static const DlhModel beta_vae = {
    .size = sizeof (DlhModel), .supervised = &beta_vae_supervised, .latent = &vae_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, beta_vae, BetaVaeOptions,
    DLH_OPTIONS (VAE_OPTIONS (BetaVaeOptions),
                 DLH_DOUBLE (BetaVaeOptions, beta, 4, 0.0, 1e6, "Weight of the divergence"),
                 DLH_INT (BetaVaeOptions, warmup, 0, 0, 1000000000,
                          "Steps in which beta rises from 0; 0: none", .unit = "steps"),
                 DLH_CHOICE (BetaVaeOptions, kl, "analytic", "analytic|sample",
                             "The divergence in closed form, or at the draw")),
    .name = "beta_vae", .version = "1.0", .paper = "1804.03599",
    .summary = "Variational autoencoder with a weighted divergence");
