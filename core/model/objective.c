/* SPDX-License-Identifier: MIT */
/* The usual objectives: minus the mean log-likelihood of a predictive distribution. */
#include <dlhost/elementwise.h>
#include <dlhost/model.h>
#include <dlhost/reduce.h>

void
dlh_objective_predict (DlhObjective *objective, DlhDistribution *prediction, DlhNode *y)
{
    DlhNode *log_prob;

    objective->prediction = prediction;
    objective->target = y;
    objective->loss = NULL;
    if (!y)
        return;
    log_prob = dlh_log_prob (prediction, y);
    objective->loss = dlh_neg (dlh_mean_all (log_prob));
    objective->n_cases =
        dlh_node_failed (log_prob) ? 1 : (double) dlh_shape_count (dlh_node_shape (log_prob));
}

void
dlh_objective_classify (DlhObjective *objective, DlhNode *logits, DlhNode *y)
{
    DlhDistribution *prediction = dlh_categorical (logits);
    DlhNode *hit;

    dlh_objective_predict (objective, prediction, y);
    // A failed graph has no shapes to compare.
    if (!y || dlh_node_failed (objective->loss))
        return;
    hit = dlh_equal (dlh_distribution_mode (prediction), dlh_cast (y, DLH_I64));
    dlh_objective_add_metric (objective, "accuracy",
                              dlh_mean_all (dlh_cast (hit, dlh_node_dtype (logits))));
}

void
dlh_objective_add_metric (DlhObjective *objective, const char *name, DlhNode *value)
{
    guint i = 0;

    while (i < G_N_ELEMENTS (objective->metrics) && objective->metrics[i].name)
        i++;
    g_return_if_fail (i < G_N_ELEMENTS (objective->metrics));
    objective->metrics[i] = (DlhMetric){name, value};
}
