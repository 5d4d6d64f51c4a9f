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
        dlh_node_failed (log_prob) ? 1 : (double)dlh_shape_count (dlh_node_shape (log_prob));
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
    if (i == G_N_ELEMENTS (objective->metrics)) {
        dlh_graph_fail (dlh_node_graph (value), DLH_ERROR_OPTION,
                        "no room for metric '%s': an objective has at most %zu", name,
                        G_N_ELEMENTS (objective->metrics));
        return;
    }
    objective->metrics[i] = (DlhMetric){name, value};
}

// Where the roots of an objective are, in one order for reading and writing.
static void
collect_roots (DlhObjective *objective, GPtrArray *updates, GPtrArray *places)
{
    g_ptr_array_add (places, &objective->loss);
    g_ptr_array_add (places, &objective->target);
    for (guint i = 0; i < G_N_ELEMENTS (objective->metrics) && objective->metrics[i].name; i++)
        g_ptr_array_add (places, &objective->metrics[i].value);
    for (guint i = 0; updates && i < updates->len; i++)
        g_ptr_array_add (places, &updates->pdata[i]);
}

void
dlh_objective_rewrite (DlhObjective *objective, GPtrArray *updates, DlhRewrite rewrite,
                       gpointer user_data)
{
    g_autoptr (GPtrArray) places = g_ptr_array_new (), roots = g_ptr_array_new ();
    DlhDistribution *d = objective->prediction;
    const guint n_parameters = d ? dlh_distribution_n_parameters (d) : 0;
    g_autofree DlhNode **out = NULL;
    guint n = 0;

    collect_roots (objective, updates, places);
    for (guint i = 0; i < places->len; i++)
        if (*(DlhNode **)places->pdata[i])
            g_ptr_array_add (roots, *(DlhNode **)places->pdata[i]);
    for (guint i = 0; i < n_parameters; i++)
        g_ptr_array_add (roots, dlh_distribution_parameter (d, i));
    if (roots->len == 0 || !dlh_graph_check (dlh_node_graph (roots->pdata[0]), NULL))
        return;
    out = g_new (DlhNode *, roots->len);
    dlh_graph_rewrite ((DlhNode **)roots->pdata, roots->len, rewrite, user_data, out);
    for (guint i = 0; i < places->len; i++)
        if (*(DlhNode **)places->pdata[i])
            *(DlhNode **)places->pdata[i] = out[n++];
    if (d)
        objective->prediction = dlh_distribution_like (d, out + n);
}
