/* SPDX-License-Identifier: MIT */
// Evolution strategies (Rechenberg 1973; Salimans et al. 2017, arXiv 1703.03864):
//   g = - 1 / (C sigma^2) sum_c F_c D_c          estimates the gradient of the mean loss
// with F_c the score of candidate W + D_c, or what shaping makes of it, and C candidates.
#include <math.h>
#include <string.h>
#include "es.h"

/* Shaping. */

// From -1/2 to 1/2, those that tie in the middle of their places: 0 on average.
static DlhNode *
centred_ranks (DlhNode *scores)
{
    const gint64 n = dlh_node_dim (scores, 0);
    const DlhDType dtype = dlh_node_dtype (scores);
    DlhNode *mine = dlh_broadcast (dlh_expand (scores, 1), dlh_shape (n, n));
    DlhNode *other = dlh_broadcast (dlh_expand (scores, 0), dlh_shape (n, n));
    DlhNode *above = dlh_cast (dlh_less (other, mine), dtype);
    DlhNode *below = dlh_cast (dlh_less (mine, other), dtype);

    if (n == 1)
        return dlh_full_like (scores, 0);
    return dlh_scale (dlh_sum_axis (dlh_sub (above, below), 1), 0.5 / (double)(n - 1));
}

static DlhNode *
shape_scores (DlhNode *scores, const char *shaping)
{
    DlhNode *centred;

    if (dlh_node_failed (scores) || strcmp (shaping, "none") == 0)
        return scores;
    if (strcmp (shaping, "ranks") == 0)
        return centred_ranks (scores);
    centred = dlh_sub (scores, dlh_mean_all (scores));
    if (strcmp (shaping, "centred") == 0)
        return centred;
    // All alike: nothing is known of any direction.
    return dlh_mul (centred, dlh_rsqrt (dlh_offset (dlh_mean_all (dlh_square (centred)), 1e-30)));
}

/* Steps. */

// 1 - beta^t, t = 1 at the first step.
static DlhNode *
bias_correction (DlhUpdate *u, guint i, double beta)
{
    DlhNode *t = dlh_offset (dlh_update_step_of (u, i), 1);

    return beta == 0 ? dlh_full_like (t, 1) : dlh_neg (dlh_expm1 (dlh_scale (t, log (beta))));
}

static void
adam_step (DlhUpdate *u, guint i, DlhNode *g, const EsOptions *opt)
{
    const DlhDType dtype = dlh_store_get_dtype (dlh_update_store (u));
    DlhNode *m = dlh_update_state (u, i, "m"), *v = dlh_update_state (u, i, "v");
    DlhNode *rate = dlh_div (dlh_update_rate (u, opt->lr),
                             dlh_cast (bias_correction (u, i, opt->beta1), dtype));
    DlhNode *widen = dlh_cast (dlh_rsqrt (bias_correction (u, i, opt->beta2)), dtype);
    DlhNode *mean = dlh_add (dlh_scale (m, opt->beta1), dlh_scale (g, 1 - opt->beta1));
    DlhNode *square =
        dlh_add (dlh_scale (v, opt->beta2), dlh_scale (dlh_square (g), 1 - opt->beta2));

    dlh_update_assign (u, m, mean);
    dlh_update_assign (u, v, square);
    dlh_update_move (
        u, i,
        dlh_neg (dlh_div (dlh_mul (mean, rate),
                          dlh_offset (dlh_mul (dlh_sqrt (square), widen), opt->epsilon))));
}

static void
sgd_step (DlhUpdate *u, guint i, DlhNode *g, const EsOptions *opt)
{
    if (opt->momentum > 0) {
        DlhNode *v = dlh_update_state (u, i, "momentum");

        g = dlh_add (dlh_scale (v, opt->momentum), g);
        dlh_update_assign (u, v, g);
    }
    dlh_update_move (u, i, dlh_neg (dlh_mul (dlh_update_rate (u, opt->lr), g)));
}

static void
log_scores (DlhUpdate *u, DlhNode *scores)
{
    dlh_update_log (u, "score_mean", dlh_mean_all (scores));
    dlh_update_log (u, "score_best", dlh_reduce_max (scores, (const int[]){0}, 1, FALSE));
}

// One score says nothing of a direction: shaped, it is 0; as it is, it is a step by its sign.
static gboolean
check_count (const EsOptions *opt, gint64 members, GError **error)
{
    if (opt->workers * members * (opt->antithetic ? 2 : 1) > 1)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "1 candidate in all, and an estimate compares 2 or more: give members=2, "
                 "workers=2 or antithetic=true");
    return FALSE;
}

gboolean
es_build (DlhUpdate *u, const EsOptions *opt, DlhSpread spread, gint64 members, GError **error)
{
    const DlhPopulationOptions options = {.size = sizeof options,
                                          .spread = spread,
                                          .groups = opt->workers,
                                          .members = members,
                                          .antithetic = opt->antithetic,
                                          .sigma = opt->sigma,
                                          .weights = opt->weights};
    DlhPopulation *p =
        check_count (opt, members, error) ? dlh_update_population (u, &options, error) : NULL;
    const guint n = dlh_update_n_params (u);
    g_autofree DlhNode **g = g_new (DlhNode *, n + 1);
    DlhNode *weights;

    if (!p)
        return FALSE;
    weights = shape_scores (dlh_population_scores (p), opt->shaping);
    weights = dlh_scale (weights, -1 / ((double)dlh_population_size (p) * opt->sigma * opt->sigma));
    for (guint i = 0; i < n; i++) {
        g[i] = dlh_population_combine (p, i, weights);
        if (opt->weight_decay > 0)
            g[i] = dlh_add (g[i], dlh_scale (dlh_update_value (u, i), opt->weight_decay));
    }
    dlh_update_set_gradients (u, g);
    for (guint i = 0; i < n; i++)
        if (strcmp (opt->step, "adam") == 0)
            adam_step (u, i, dlh_update_gradient (u, i), opt);
        else
            sgd_step (u, i, dlh_update_gradient (u, i), opt);
    log_scores (u, dlh_population_scores (p));
    dlh_update_note (u, "%" G_GINT64_FORMAT " candidates in %" G_GINT64_FORMAT " group%s",
                     dlh_population_size (p), opt->workers, opt->workers == 1 ? "" : "s");
    return TRUE;
}
