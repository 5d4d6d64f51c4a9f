/* SPDX-License-Identifier: MIT */
/* Importance weighted autoencoder, arXiv 1509.00519: maximises
 *
 *   L_k = E [log (1/k) sum_s w_s],  w_s = p(x | z_s) p(z_s) / q(z_s | x),  z_1 .. z_k ~ q(z | x),
 *
 * which is the evidence lower bound for k = 1 and rises with k towards log p(x). */
#include <math.h>
#include "network.h"

typedef struct {
    VAE_FIELDS;
    gint64 samples;
} IwaeOptions;

// (B, ..) to (k B, ..): sample s of example i is row s B + i.
static DlhNode *
repeat (DlhNode *x, gint64 k)
{
    DlhShape shape = dlh_node_shape (x), all = shape;

    if (k == 1)
        return x;
    all.dims[0] *= k;
    return dlh_reshape (dlh_broadcast (dlh_expand (x, 0), dlh_shape_insert (shape, 0, k)), all);
}

static gboolean
iwae_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    const gint64 k = ((const IwaeOptions *)options)->samples, n = dlh_node_dim (x, 0);
    DlhNode *z, *fit, *ratio, *bound;
    DlhDistribution *q;
    int first = 0;

    (void)y;
    if (!vae_check (problem, options, error))
        return FALSE;
    q = vae_encode (b, problem, options, x);
    if (!dlh_graph_check (b->graph, error))
        return FALSE;
    q = dlh_gaussian (repeat (dlh_distribution_parameter (q, 0), k),
                      repeat (dlh_distribution_parameter (q, 1), k), 1);
    z = dlh_rsample (q, vae_stream (b));
    fit = dlh_log_prob (vae_decode (b, problem, options, z), repeat (x, k));
    ratio = dlh_sub (dlh_log_prob (q, z), dlh_log_prob (vae_prior (b, problem, options, k * n), z));
    bound = dlh_reshape (dlh_sub (fit, ratio), dlh_shape (k, n));
    bound = dlh_mean_all (dlh_offset (dlh_logsumexp (bound, &first, 1, FALSE), -log ((double)k)));
    objective->loss = dlh_neg (bound);
    objective->n_cases = (double)n;
    fit = dlh_mean_all (fit);
    ratio = dlh_mean_all (ratio);
    dlh_objective_add_metric (objective, "bound", bound);
    dlh_objective_add_metric (objective, "elbo", dlh_sub (fit, ratio));
    dlh_objective_add_metric (objective, "log_likelihood", fit);
    dlh_objective_add_metric (objective, "kl", ratio);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised iwae_supervised = {.size = sizeof (DlhSupervised), .build = iwae_build};
static const DlhModel iwae = {
    .size = sizeof (DlhModel), .supervised = &iwae_supervised, .latent = &vae_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, iwae, IwaeOptions,
    DLH_OPTIONS (VAE_OPTIONS (IwaeOptions),
                 DLH_INT (IwaeOptions, samples, 5, 1, 100000,
                          "Of the latents for each example, the paper's k")),
    .name = "iwae", .version = "1.0", .paper = "1509.00519",
    .summary = "Importance weighted autoencoder: a tighter bound from several draws");
