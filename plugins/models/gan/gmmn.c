/* SPDX-License-Identifier: MIT */
/* Generative moment matching network, arXiv 1502.02761: the generator's draws y and the batch x
 * differ by the maximum mean discrepancy
 *
 *   MMD^2 = mean k (x, x') + mean k (y, y') - 2 mean k (x, y),
 *   k (a, b) = sum over bandwidths s of exp (- |a - b|^2 / (2 s)),
 *
 * and the loss is its root, as in the paper, or itself. The biased estimator takes the means over
 * all pairs and is never negative; the unbiased one leaves out the pairs of an example with itself.
 */
#include <string.h>
#include "generator.h"

typedef struct {
    GENERATOR_FIELDS;
    DlhDoubles bandwidths;
    const char *estimator;
    gboolean root;
    gint64 samples;
} GmmnOptions;

// Under the root, where draws and data are the same to rounding.
#define SMALLEST_SQUARE 1e-12

// a (n, d), b (m, d): k for all pairs, (n, m).
static DlhNode *
kernel (const GmmnOptions *opt, DlhNode *a, DlhNode *b)
{
    DlhNode *aa = dlh_expand (dlh_sum_last (dlh_square (a), 1), 1);
    DlhNode *bb = dlh_expand (dlh_sum_last (dlh_square (b), 1), 0);
    DlhNode *squares = dlh_sub (dlh_add (aa, bb), dlh_scale (dlh_matmul (a, dlh_t (b)), 2));
    DlhNode *k = NULL;

    squares = dlh_max (squares, dlh_full_like (squares, 0)); // rounding
    for (gsize i = 0; i < opt->bandwidths.n; i++) {
        DlhNode *term = dlh_exp (dlh_scale (squares, -0.5 / opt->bandwidths.values[i]));

        k = k ? dlh_add (k, term) : term;
    }
    return k;
}

// Of k (a, a'): over all pairs, or over those of two examples; k (a, a) is the number of
// bandwidths.
static DlhNode *
mean_within (const GmmnOptions *opt, DlhNode *a)
{
    const double n = (double)dlh_node_dim (a, 0);
    DlhNode *k = kernel (opt, a, a);

    if (strcmp (opt->estimator, "biased") == 0)
        return dlh_mean_all (k);
    return dlh_scale (dlh_offset (dlh_mean_all (k), -(double)opt->bandwidths.n / n), n / (n - 1));
}

static gboolean
gmmn_check (gconstpointer options, GError **error)
{
    const GmmnOptions *opt = options;

    if (strcmp (opt->estimator, "biased") == 0 || !opt->root)
        return TRUE;
    g_set_error (
        error, DLH_ERROR, DLH_ERROR_OPTION,
        "'estimator' is unbiased, which may be negative, and 'root' is true: give root=false "
        "or estimator=biased");
    return FALSE;
}

static gboolean
check_pairs (const GmmnOptions *opt, gint64 n, gint64 m, GError **error)
{
    if (strcmp (opt->estimator, "biased") == 0 || MIN (n, m) >= 2)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "a batch of %" G_GINT64_FORMAT " examples and %" G_GINT64_FORMAT
                 " draws has no pairs within, which estimator=unbiased takes the mean of: give "
                 "another batch size or estimator=biased",
                 n, m);
    return FALSE;
}

static gboolean
gmmn_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
            DlhObjective *objective, GError **error)
{
    const GmmnOptions *opt = options;
    const gint64 n = dlh_node_dim (x, 0), m = opt->samples ? opt->samples : n;
    DlhNode *fake, *mmd2;

    (void)y;
    if (!generator_check (problem, error) || !check_pairs (opt, n, m, error))
        return FALSE;
    x = dlh_flatten (x, 1);
    fake = generator_sample (b, problem, options, m);
    mmd2 = dlh_sub (dlh_add (mean_within (opt, x), mean_within (opt, fake)),
                    dlh_scale (dlh_mean_all (kernel (opt, x, fake)), 2));
    objective->loss = mmd2;
    if (opt->root)
        objective->loss = dlh_sqrt (dlh_max (mmd2, dlh_full_like (mmd2, SMALLEST_SQUARE)));
    objective->n_cases = (double)n;
    dlh_objective_add_metric (objective, "mmd2", mmd2);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised gmmn_supervised = {.size = sizeof (DlhSupervised), .build = gmmn_build};
static const DlhModel gmmn = {.size = sizeof (DlhModel),
                              .supervised = &gmmn_supervised,
                              .latent = &generator_latent,
                              .check = gmmn_check};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, gmmn, GmmnOptions,
    DLH_OPTIONS (
        GENERATOR_OPTIONS (GmmnOptions, "relu"),
        DLH_DOUBLES (GmmnOptions, bandwidths, "[2,5,10,20,40,80]", 0.0, 1e12,
                     "Of the kernels: the variances of their Gaussians", .flags = DLH_MIN_OPEN),
        DLH_CHOICE (GmmnOptions, estimator, "biased", "biased|unbiased",
                    "Of the discrepancy: with or without pairs of an example with itself"),
        DLH_BOOL_OPTION (GmmnOptions, root, true, "Minimise the root of MMD^2"),
        DLH_INT (GmmnOptions, samples, 0, 0, 1000000,
                 "Draws of the generator in a step; 0: as many as the batch has examples")),
    .name = "gmmn", .version = "1.0", .paper = "1502.02761",
    .summary = "Generative moment matching network");
