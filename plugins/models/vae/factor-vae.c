/* SPDX-License-Identifier: MIT */
/* FactorVAE, arXiv 1802.05983: maximises
 *
 *   ELBO - gamma TC,  TC = E_q(z) [D_0 (z) - D_1 (z)]
 *
 * where D's two logits tell codes z ~ q(z) (class 0) from codes whose every dimension was permuted
 * over the batch (class 1), so that their difference tends to log q(z) - sum_d log q(z_d).
 *
 * Both are trained at once, by one loss: the discriminator's cross-entropy sees codes through which
 * no gradient flows, and the penalty a discriminator whose parameters are frozen.
 *
 * Deviations: the permuted codes are those of the same batch, not of a second one; both players
 * have the run's optimizer, the discriminator with its own pace. */
#include "network.h"

typedef struct {
    VAE_FIELDS;
    double gamma, slope, pace;
    DlhInts discriminator;
} FactorVaeOptions;

// (B, d) to logits (B, 2), in its own scope.
static DlhNode *
discriminate (DlhBuild *b, const FactorVaeOptions *opt, DlhNode *z)
{
    const DlhInit init = dlh_init_named (opt->init);

    dlh_graph_push_scope (b->graph, "discriminator");
    for (gsize i = 0; i < opt->discriminator.n; i++) {
        g_autofree char *name = g_strdup_printf ("hidden%" G_GSIZE_FORMAT, i + 1);

        z = dlh_dense (b, name, z, opt->discriminator.values[i], init, TRUE);
        z = dlh_leaky_relu (z, opt->slope);
    }
    z = dlh_dense (b, "output", z, 2, init, TRUE);
    dlh_graph_pop_scope (b->graph);
    return z;
}

// Each column in an order of its own.
static DlhNode *
permute_columns (DlhBuild *b, DlhNode *z)
{
    const gint64 n = dlh_node_dim (z, 0), d = dlh_node_dim (z, 1);
    g_autofree char *name = g_strdup_printf ("%s/%s", dlh_graph_get_scope (b->graph),
                                             b->training ? "orders" : "orders_evaluated");
    DlhStream *stream = dlh_store_stream (b->store, name);
    g_autofree DlhNode **columns = g_new (DlhNode *, d);

    for (gint64 i = 0; i < d; i++)
        columns[i] = dlh_gather (dlh_index (z, 1, i), dlh_permutation (b->graph, stream, n), 0);
    return dlh_stack (columns, (guint)d, 1);
}

// Mean log-probability of @class.
static DlhNode *
log_class (DlhNode *logits, gint64 class)
{
    return dlh_mean_all (dlh_index (dlh_log_softmax (logits, 1), 1, class));
}

static gboolean
factor_vae_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                  DlhNode *y, DlhObjective *objective, GError **error)
{
    const FactorVaeOptions *opt = options;
    DlhNode *kl, *log_likelihood, *elbo, *codes, *logits, *own, *correlation;
    VaeDraw draw;

    (void)y;
    if (!vae_check (problem, options, error))
        return FALSE;
    draw = vae_draw (b, problem, options, x, objective);
    if (!dlh_graph_check (b->graph, error))
        return FALSE;
    kl = dlh_mean_all (vae_kl (&draw));
    log_likelihood = dlh_neg (objective->loss);
    elbo = dlh_sub (log_likelihood, kl);

    codes = dlh_stop_gradient (draw.z);
    own = dlh_add (log_class (discriminate (b, opt, codes), 0),
                   log_class (discriminate (b, opt, permute_columns (b, codes)), 1));
    own = dlh_scale (own, -0.5);
    dlh_pace (b, "discriminator", (DlhPace){opt->pace, 1});
    logits = dlh_freeze (b, "discriminator", discriminate (b, opt, draw.z));
    correlation = dlh_mean_all (dlh_sub (dlh_index (logits, 1, 0), dlh_index (logits, 1, 1)));

    objective->loss = dlh_add (dlh_sub (dlh_scale (correlation, opt->gamma), elbo), own);
    dlh_objective_add_metric (objective, "elbo", elbo);
    dlh_objective_add_metric (objective, "log_likelihood", log_likelihood);
    dlh_objective_add_metric (objective, "kl", kl);
    dlh_objective_add_metric (objective, "total_correlation", correlation);
    dlh_objective_add_metric (objective, "discriminator_loss", own);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised factor_vae_supervised = {.size = sizeof (DlhSupervised),
                                                    .build = factor_vae_build};
static const DlhModel factor_vae = {
    .size = sizeof (DlhModel), .supervised = &factor_vae_supervised, .latent = &vae_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, factor_vae, FactorVaeOptions,
    DLH_OPTIONS (VAE_OPTIONS (FactorVaeOptions),
                 DLH_DOUBLE (FactorVaeOptions, gamma, 10, 0.0, 1e6,
                             "Weight of the latents' total correlation"),
                 DLH_INTS (FactorVaeOptions, discriminator, "[1000,1000,1000,1000,1000,1000]", 1,
                           1000000, "Units of the discriminator's hidden layers",
                           .flags = DLH_ALLOW_EMPTY),
                 DLH_DOUBLE (FactorVaeOptions, slope, 0.2, 0.0, 1.0,
                             "Of the discriminator's leaky ReLU below 0"),
                 DLH_DOUBLE (FactorVaeOptions, pace, 1, 0.0, 1000.0,
                             "Factor of the optimizer's steps for the discriminator")),
    .name = "factor_vae", .version = "1.0", .paper = "1802.05983",
    .summary = "Variational autoencoder whose total correlation a discriminator estimates");
