/* SPDX-License-Identifier: MIT */
/* The metric on the outputs: what is propagated back through the net (sheet 3.10). A positive form
 * M on the outputs z of a case becomes, by vectors v with sum or mean of v v' equal to M, the
 * second moments of their pull-backs:
 *
 *   sampled       v = d(-log p (y)) / dz for y drawn from the prediction: M is the Fisher
 *   exact         v = columns of the Fisher's root, whatever the family
 *   gauss_newton  v = columns of the root of the loss's Hessian in z (hessian.c)
 *   propagated    v = the Fisher's root times random signs: curvature propagation (Martens et al.
 *                 2012)
 *   euclidean     v = unit vectors: M = I, distances between outputs
 *   empirical     v = d(-log p (y)) / dz at the real targets: no metric of this kind, but used */
#include <string.h>
#include "kfac.h"

/* Where gradients are taken: all uses of all blocks; of diagonal blocks the parameters themselves.
 */
typedef struct {
    GPtrArray *xs; /* DlhNode* */
    GPtrArray *to; /* GPtrArray*, NULL for a diagonal block */
} Points;

static void
collect (Kfac *k, Points *points)
{
    points->xs = g_ptr_array_new ();
    points->to = g_ptr_array_new ();
    for (guint i = 0; i < k->blocks->len; i++) {
        Block *b = &g_array_index (k->blocks, Block, i);

        if (b->kind == BLOCK_DIAGONAL) {
            Use use = {dlh_update_value (k->update, (guint)b->weight), 0, g_ptr_array_new ()};

            g_array_append_val (b->uses, use);
        }
        for (guint j = 0; j < b->uses->len; j++) {
            g_ptr_array_add (points->xs, g_array_index (b->uses, Use, j).node);
            g_ptr_array_add (points->to, g_array_index (b->uses, Use, j).g);
        }
    }
}

// Adds the gradients of <z, @seed> (or of a scalar, @seed NULL) to the blocks: with @diagonal to
// diagonal ones, whose estimate needs cases that are independent; with @others to the others.
static void
pull_back (Kfac *k, const Points *points, DlhNode *z, DlhNode *seed, gboolean diagonal,
           gboolean others)
{
    g_autofree DlhNode **gs = g_new (DlhNode *, points->xs->len + 1);
    guint n = 0;

    dlh_gradients (z, (DlhNode **)points->xs->pdata, points->xs->len, seed, gs);
    for (guint i = 0; i < k->blocks->len; i++) {
        const Block *b = &g_array_index (k->blocks, Block, i);

        for (guint j = 0; j < b->uses->len; j++, n++)
            if (b->kind == BLOCK_DIAGONAL ? diagonal : others)
                g_ptr_array_add (points->to->pdata[n], gs[n]);
    }
}

// - log p of a draw, summed over cases, so that each row of a gradient is one case's own.
static DlhNode *
sampled_loss (Kfac *k, DlhDistribution *prediction, gint64 sample)
{
    g_autofree char *name =
        sample ? g_strdup_printf ("targets/%" G_GINT64_FORMAT, sample + 1) : g_strdup ("targets");
    DlhNode *target = dlh_sample_from (prediction, dlh_update_stream (k->update, name));

    return dlh_neg (dlh_sum_all (dlh_log_prob (prediction, target)));
}

gint64
kfac_output_size (const DlhObjective *objective)
{
    const DlhNode *z = dlh_distribution_outputs (objective->prediction);

    return (gint64)(0.5 +
                    (double)dlh_shape_count (dlh_node_shape (z)) / MAX (objective->n_cases, 1));
}

DlhNode *
kfac_unit_output (const DlhObjective *objective, gint64 j)
{
    DlhNode *z = dlh_distribution_outputs (objective->prediction);
    const gint64 n = kfac_output_size (objective);
    const DlhShape shape = dlh_node_shape (z);
    DlhNode *index = dlh_full (dlh_node_graph (z), DLH_I64,
                               dlh_shape (dlh_shape_count (shape) / MAX (n, 1)), (double)j);

    return dlh_reshape (dlh_one_hot (index, n, dlh_node_dtype (z)), shape);
}

// A column of the root of M for each output.
static void
pull_back_columns (Kfac *k, const Points *points, const DlhObjective *objective)
{
    DlhDistribution *prediction = objective->prediction;
    const gboolean euclidean = strcmp (k->opt->fisher, "euclidean") == 0;
    DlhNode *z = dlh_distribution_outputs (prediction);

    for (gint64 j = 0; j < kfac_output_size (objective); j++) {
        DlhNode *v = kfac_unit_output (objective, j);

        if (k->hessian_root)
            v = dlh_reshape (dlh_index (k->hessian_root, 2, j), dlh_node_shape (z));
        else if (!euclidean)
            v = dlh_fisher_root_multiply (prediction, v);
        pull_back (k, points, z, dlh_stop_gradient (v), FALSE, TRUE);
    }
}

static void
pull_back_signs (Kfac *k, const Points *points, DlhDistribution *prediction)
{
    DlhNode *z = dlh_distribution_outputs (prediction);

    for (gint64 s = 0; s < k->opt->samples; s++) {
        g_autofree char *name = g_strdup_printf ("signs/%" G_GINT64_FORMAT, s + 1);
        DlhNode *signs = dlh_rademacher (dlh_node_graph (z), dlh_update_stream (k->update, name),
                                         dlh_node_dtype (z), dlh_node_shape (z));

        pull_back (k, points, z, dlh_stop_gradient (dlh_fisher_root_multiply (prediction, signs)),
                   FALSE, TRUE);
    }
}

static gboolean
has_diagonal (const Kfac *k)
{
    for (guint i = 0; i < k->blocks->len; i++)
        if (g_array_index (k->blocks, Block, i).kind == BLOCK_DIAGONAL)
            return TRUE;
    return FALSE;
}

// What the family lacks has made the graph fail, with a message that knows nothing of K-FAC.
static gboolean
refuse (const Kfac *k, const char *what, const char *advice, GError **error)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "fisher=%s needs %s, and the model's %s distribution has none: give fisher=%s",
                 k->opt->fisher, what, dlh_distribution_name (k->measured->prediction), advice);
    return FALSE;
}

static gboolean
check_target (const Kfac *k, GError **error)
{
    const char *fisher = k->opt->fisher;

    if ((strcmp (fisher, "empirical") != 0 && strcmp (fisher, "gauss_newton") != 0) ||
        k->measured->target)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "fisher=%s needs the model to state its target, and it does not: give "
                 "fisher=sampled",
                 fisher);
    return FALSE;
}

static gboolean
needs_root (const Kfac *k)
{
    const char *fisher = k->opt->fisher;

    return strcmp (fisher, "exact") == 0 || strcmp (fisher, "propagated") == 0 ||
           (strcmp (fisher, "gauss_newton") == 0 && !k->hessian_root);
}

// Whether the family has what the metric is made of, asked by building it: the root, and draws.
// @drawn: (out): the loss of the first draw, NULL where none is needed.
static gboolean
check_family (Kfac *k, DlhNode **drawn, GError **error)
{
    const DlhObjective *objective = k->measured;
    DlhDistribution *prediction = objective->prediction;

    *drawn = NULL;
    if (!dlh_graph_check (dlh_update_graph (k->update), error))
        return FALSE;
    if (needs_root (k) &&
        dlh_node_failed (dlh_fisher_root_multiply (prediction, kfac_unit_output (objective, 0))))
        return refuse (k, "a root of the Fisher information", "sampled", error);
    if (strcmp (k->opt->fisher, "sampled") == 0 || has_diagonal (k)) {
        *drawn = sampled_loss (k, prediction, 0);
        if (dlh_node_failed (*drawn))
            return refuse (k, "draws", "euclidean, with strict=true", error);
    }
    return TRUE;
}

static void
propagate (Kfac *k, const Points *points, DlhNode *drawn)
{
    const DlhObjective *objective = k->measured;
    const char *fisher = k->opt->fisher;

    if (strcmp (fisher, "sampled") == 0) {
        pull_back (k, points, drawn, NULL, TRUE, TRUE);
        for (gint64 s = 1; s < k->opt->samples; s++)
            pull_back (k, points, sampled_loss (k, objective->prediction, s), NULL, TRUE, TRUE);
        return;
    }
    if (strcmp (fisher, "empirical") == 0)
        pull_back (k, points,
                   dlh_neg (dlh_sum_all (dlh_log_prob (objective->prediction, objective->target))),
                   NULL, FALSE, TRUE);
    else if (strcmp (fisher, "propagated") == 0)
        pull_back_signs (k, points, objective->prediction);
    else
        pull_back_columns (k, points, objective);
    // The estimate of a diagonal needs cases whose gradients have mean zero.
    if (drawn)
        pull_back (k, points, drawn, NULL, TRUE, FALSE);
}

gboolean
kfac_propagate (Kfac *k, GError **error)
{
    Points points;
    DlhNode *drawn;

    if (!k->measured->prediction) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "the model states no predictive distribution, from which the metric comes");
        return FALSE;
    }
    if (!check_target (k, error) || !kfac_find_hessian (k, error) ||
        !check_family (k, &drawn, error))
        return FALSE;
    collect (k, &points);
    propagate (k, &points, drawn);
    g_ptr_array_unref (points.xs);
    g_ptr_array_unref (points.to);
    return TRUE;
}
