/* SPDX-License-Identifier: MIT */
// Variational inference over perturbed weights (Bayes by backprop, arXiv 1505.05424): q = prod N
// (mu, sigma^2) as the perturbation has it, and per case
//   loss = mean of -log p (y | x, w) + kl lambda (t) KL (q || p) / N      N: cases of training data
// lambda rises linearly from 0 to 1 over the steps of `anneal`. Evaluation keeps the model's loss,
// at mean weights.
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *prior;
    double prior_std, mix, narrow, kl;
    gint64 anneal, examples;
} ElboOptions;

// log (p / sigma) + (sigma^2 + mu^2) / (2 p^2) - 1/2, summed.
static DlhNode *
gaussian_kl (const DlhWeightPosterior *q, double prior_std)
{
    const double n = (double)dlh_shape_count (dlh_node_shape (q->mean));
    const double share = 0.5 / (prior_std * prior_std);
    DlhNode *sum;

    if (q->squares) {
        sum = dlh_sub (dlh_scale (q->squares, share), q->log_std);
    } else {
        DlhNode *squares = dlh_add (dlh_square (q->std), dlh_square (q->mean));

        sum = dlh_sum_all (dlh_sub (dlh_scale (squares, share), dlh_log (q->std)));
    }
    return dlh_offset (sum, n * (log (prior_std) - 0.5));
}

// log N (w; 0, std^2) + log share, less log (2 pi) / 2.
static DlhNode *
component (DlhNode *w, double std, double share)
{
    return dlh_offset (dlh_scale (dlh_square (w), -0.5 / (std * std)), log (share) - log (std));
}

// log q (w) - log p (w) at one draw: the mixture has no closed form.
static DlhNode *
mixture_kl (DlhBuild *build, const DlhWeightPosterior *q, const ElboOptions *opt)
{
    g_autofree char *name = g_strdup_printf ("objective/%s%s", build->training ? "" : "evaluate/",
                                             dlh_variable_name (q->variable));
    DlhNode *draw = q->draw, *w, *wide, *narrow, *log_p, *log_q;

    if (!draw)
        draw = dlh_mul (q->std, dlh_normal (build->graph, dlh_store_stream (build->store, name),
                                            dlh_node_dtype (q->std), dlh_node_shape (q->std)));
    w = dlh_add (q->mean, draw);
    wide = component (w, opt->prior_std, opt->mix);
    narrow = component (w, opt->narrow, 1 - opt->mix);
    log_p = dlh_add (wide, dlh_softplus (dlh_sub (narrow, wide)));
    log_q =
        dlh_neg (dlh_add (dlh_scale (dlh_square (dlh_div (draw, q->std)), 0.5), dlh_log (q->std)));
    return dlh_sum_all (dlh_sub (log_q, log_p));
}

static DlhNode *
divergence (DlhBuild *build, const DlhObjective *objective, const ElboOptions *opt)
{
    DlhNode *sum = NULL;

    for (guint i = 0; i < objective->n_posteriors; i++) {
        const DlhWeightPosterior *q = &objective->posteriors[i];
        DlhNode *kl = strcmp (opt->prior, "gaussian") == 0 ? gaussian_kl (q, opt->prior_std)
                                                           : mixture_kl (build, q, opt);

        sum = sum ? dlh_add (sum, kl) : kl;
    }
    return sum;
}

// kl lambda (t)
static DlhNode *
weight_of (DlhBuild *build, const ElboOptions *opt, DlhDType dtype, GError **error)
{
    DlhVariable *step = dlh_store_variable (build->store, "train/step", DLH_I64, dlh_shape (),
                                            (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    DlhNode *t;

    if (!step)
        return NULL;
    if (!opt->anneal)
        return dlh_scalar (build->graph, dtype, opt->kl);
    t = dlh_scale (dlh_cast (dlh_read (build->graph, step), DLH_F64), 1.0 / (double)opt->anneal);
    return dlh_cast (dlh_scale (dlh_clamp (t, 0, 1), opt->kl), dtype);
}

static gboolean
elbo_build (DlhBuild *build, const DlhProblem *problem, gconstpointer options, gint64 n_batch,
            DlhObjective *objective, GError **error)
{
    const ElboOptions *opt = options;
    const gint64 examples = opt->examples ? opt->examples : problem->n_examples;
    DlhNode *nll = objective->loss, *kl, *weight;
    double cases;

    if (!objective->n_posteriors) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "no parameter has a posterior: give a perturbation whose scale is learned, as "
                     "in --perturb=flipout,noise=gaussian");
        return FALSE;
    }
    if (examples < 1) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "how many training examples there are is not known: give examples=N");
        return FALSE;
    }
    objective->calibrated = TRUE;
    kl = divergence (build, objective, opt);
    if (!build->training) {
        dlh_objective_add_metric (objective, "weights_kl", kl);
        return dlh_graph_check (build->graph, error);
    }
    // A sequence is as many cases as it has targets.
    cases = (double)examples * MAX (objective->n_cases, 1) / (double)n_batch;
    if (!(weight = weight_of (build, opt, dlh_node_dtype (nll), error)))
        return FALSE;
    objective->loss = dlh_add (nll, dlh_mul (weight, dlh_scale (kl, 1 / cases)));
    dlh_objective_add_metric (objective, "nll", nll);
    dlh_objective_add_metric (objective, "weights_kl", kl);
    dlh_objective_add_metric (objective, "weights_kl_factor", weight);
    return dlh_graph_check (build->graph, error);
}

static const DlhObjectiveRole elbo = {.size = sizeof (DlhObjectiveRole), .build = elbo_build};

DLH_PLUGIN_DEFINE (
    DLH_OBJECTIVE, elbo, ElboOptions,
    DLH_OPTIONS (DLH_CHOICE (ElboOptions, prior, "gaussian", "gaussian|mixture",
                             "Of each weight; mixture: a wide and a narrow Gaussian"),
                 DLH_DOUBLE (ElboOptions, prior_std, 1, 0.0, 1e6,
                             "Standard deviation of the prior, of the mixture's wide part",
                             .flags = DLH_MIN_OPEN),
                 DLH_DOUBLE (ElboOptions, mix, 0.5, 0.0, 1.0,
                             "Of the mixture: share of the wide part",
                             .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
                 DLH_DOUBLE (ElboOptions, narrow, 0.0025, 0.0, 1e6,
                             "Of the mixture: standard deviation of the narrow part",
                             .flags = DLH_MIN_OPEN),
                 DLH_DOUBLE (ElboOptions, kl, 1, 0.0, 1e6, "Weight of the KL term"),
                 DLH_INT (ElboOptions, anneal, 0, 0, 1000000000000,
                          "Over which the weight rises from 0; 0: constant", .unit = "steps"),
                 DLH_INT (ElboOptions, examples, 0, 0, 1000000000000,
                          "Training examples that the KL is divided among; 0: as many as there are",
                          .unit = "examples")),
    .name = "elbo", .version = "1.0", .paper = "1505.05424",
    .summary = "Evidence lower bound: likelihood less the divergence of perturbed weights");
