/* SPDX-License-Identifier: MIT */
/* beta-TCVAE, arXiv 1802.04942. With q(z) the mean of q(z | n) over the N training examples,
 *
 *   E_n KL (q(z | n) || p(z)) = I (z; n) + KL (q(z) || prod_d q(z_d)) + sum_d KL (q(z_d) || p(z_d))
 *
 * and the objective weighs the three: mutual information by alpha, total correlation by beta, the
 * dimension-wise divergences by gamma. All are taken at one draw z_i for each of the B examples of
 * a batch, with log q(z_i) and log q(z_id) estimated as log sum_j W_ij q(z_i | n_j):
 *
 *   mws    W_ij = 1 / (N B): minibatch weighted sampling. A lower bound in expectation, and a
 *          constant log N off for large batches, which gradients do not see.
 *
 *   mss    With M = B - 1, W_ii = 1 / N, W_i,i+1 = (N - M) / (N M), 1 / M elsewhere: minibatch
 *          stratified sampling, unbiased for q(z) when batches are drawn without replacement.
 *
 *   equal  W_ii = 1 / N, (N - 1) / (N M) elsewhere: unbiased as well, with less variance.
 *
 * Deviation: the official code's matrix for mss fills two columns instead of two diagonals. */
#include <math.h>
#include <string.h>
#include "network.h"

#define LAMBDA 0.95 /* of the dimension-wise divergences is left out at first */

typedef struct {
    VAE_FIELDS;
    double alpha, beta, gamma;
    gint64 warmup, lambda_warmup, examples;
    const char *estimator;
} BetaTcvaeOptions;

// A batch of data beside the training set may be larger than that; it counts as a set of its own.
static DlhMixtureWeights
weights_of (const char *estimator, gint64 n_examples, gint64 batch)
{
    const double n = (double)MAX (n_examples, batch), m = (double)batch - 1;
    const double all = -log (n * (double)batch);

    if (strcmp (estimator, "mws") == 0)
        return (DlhMixtureWeights){all, all, all};
    // Nothing is left to share out the rest of the weight.
    if (batch == 1)
        return (DlhMixtureWeights){0, 0, 0};
    if (strcmp (estimator, "mss") == 0)
        return (DlhMixtureWeights){-log (n), log ((n - m) / (n * m)), -log (m)};
    return (DlhMixtureWeights){-log (n), log ((n - 1) / (n * m)), log ((n - 1) / (n * m))};
}

static gint64
count_examples (const BetaTcvaeOptions *opt, const DlhProblem *problem)
{
    return opt->examples ? opt->examples : problem->n_examples;
}

static gboolean
check (const BetaTcvaeOptions *opt, const DlhProblem *problem, GError **error)
{
    if (!vae_check (problem, opt, error))
        return FALSE;
    if (count_examples (opt, problem) > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "the number of training examples is not known here: set 'examples'");
    return FALSE;
}

/* The terms, means over the batch. */
typedef struct {
    DlhNode *information, *correlation, *dimensions, *kl;
} Terms;

static Terms
decompose (const VaeDraw *draw, DlhMixtureWeights weights)
{
    DlhNode *mixture = dlh_gaussian_mixture (draw->z, dlh_distribution_parameter (draw->q, 0),
                                             dlh_distribution_parameter (draw->q, 1), weights);
    const gint64 d = dlh_node_dim (draw->z, 1);
    DlhNode *given = dlh_log_prob (draw->q, draw->z), *prior = dlh_log_prob (draw->prior, draw->z);
    DlhNode *joint = dlh_index (mixture, 1, d);
    DlhNode *product = dlh_sum_axis (dlh_slice (mixture, 1, 0, d, 1), 1);

    return (Terms){.information = dlh_mean_all (dlh_sub (given, joint)),
                   .correlation = dlh_mean_all (dlh_sub (joint, product)),
                   .dimensions = dlh_mean_all (dlh_sub (product, prior)),
                   .kl = dlh_mean_all (dlh_sub (given, prior))};
}

static gboolean
beta_tcvae_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                  DlhNode *y, DlhObjective *objective, GError **error)
{
    const BetaTcvaeOptions *opt = options;
    DlhNode *beta, *lambda, *penalty, *log_likelihood;
    VaeDraw draw;
    Terms t;

    (void)y;
    if (!check (opt, problem, error))
        return FALSE;
    draw = vae_draw (b, problem, options, x, objective);
    if (!dlh_graph_check (b->graph, error))
        return FALSE;
    t = decompose (&draw,
                   weights_of (opt->estimator, count_examples (opt, problem), dlh_node_dim (x, 0)));
    beta = vae_warmed_up (b, opt->beta, opt->warmup);
    lambda = vae_fading (b, LAMBDA, opt->lambda_warmup);
    penalty =
        dlh_add (dlh_add (dlh_scale (t.information, opt->alpha), dlh_mul (t.correlation, beta)),
                 dlh_scale (dlh_mul (t.dimensions, dlh_offset (dlh_neg (lambda), 1)), opt->gamma));
    log_likelihood = dlh_neg (objective->loss);
    objective->loss = dlh_add (objective->loss, penalty);
    dlh_objective_add_metric (objective, "elbo", dlh_sub (log_likelihood, t.kl));
    dlh_objective_add_metric (objective, "log_likelihood", log_likelihood);
    dlh_objective_add_metric (objective, "kl", t.kl);
    dlh_objective_add_metric (objective, "mutual_information", t.information);
    dlh_objective_add_metric (objective, "total_correlation", t.correlation);
    dlh_objective_add_metric (objective, "dimension_kl", t.dimensions);
    if (opt->warmup > 0)
        dlh_objective_add_metric (objective, "beta", beta);
    if (opt->lambda_warmup > 0)
        dlh_objective_add_metric (objective, "lambda", lambda);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised beta_tcvae_supervised = {.size = sizeof (DlhSupervised),
                                                    .build = beta_tcvae_build};
static const DlhModel beta_tcvae = {
    .size = sizeof (DlhModel), .supervised = &beta_tcvae_supervised, .latent = &vae_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, beta_tcvae, BetaTcvaeOptions,
    DLH_OPTIONS (
        VAE_OPTIONS (BetaTcvaeOptions),
        DLH_DOUBLE (BetaTcvaeOptions, alpha, 1, 0.0, 1e6,
                    "Weight of the mutual information of latents and examples"),
        DLH_DOUBLE (BetaTcvaeOptions, beta, 6, 0.0, 1e6,
                    "Weight of the latents' total correlation"),
        DLH_DOUBLE (BetaTcvaeOptions, gamma, 1, 0.0, 1e6,
                    "Weight of the dimension-wise divergences from the prior"),
        DLH_INT (BetaTcvaeOptions, warmup, 0, 0, 1000000000,
                 "Steps in which beta rises from 0; 0: none", .unit = "steps"),
        DLH_INT (BetaTcvaeOptions, lambda_warmup, 0, 0, 1000000000,
                 "The share max (0, 0.95 - step / this) of the dimension-wise divergences is left "
                 "out; 0: none",
                 .unit = "steps"),
        DLH_INT (BetaTcvaeOptions, examples, 0, 0, 1000000000000,
                 "Size of the training set; 0: the data set's", .unit = "examples"),
        DLH_CHOICE (BetaTcvaeOptions, estimator, "mws", "mws|mss|equal",
                    "Of log q(z): minibatch weighted or stratified sampling, or stratified "
                    "with equal weights")),
    .name = "beta_tcvae", .version = "1.0", .paper = "1802.04942",
    .summary = "Variational autoencoder that penalises the total correlation of its latents");
