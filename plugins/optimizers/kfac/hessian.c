/* SPDX-License-Identifier: MIT */
/* The generalised Gauss-Newton metric: M = the Hessian of - log p (y) in the outputs z, at the real
 * targets. Where the outputs are a family's natural parameters it is the Fisher; elsewhere it
 * depends on y, and where - log p is not convex in z its positive part is taken, so that M is a
 * metric. Other parameters of the family, such as a Gaussian's deviation, are held. */
#include <string.h>
#include "kfac.h"

#define MOST_OUTPUTS 256 /* a case's Hessian is decomposed whole */

static gboolean
depends_on (DlhNode *node, const DlhNode *what)
{
    g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
    g_autoptr (GPtrArray) stack = g_ptr_array_new ();

    g_ptr_array_add (stack, node);
    while (stack->len > 0) {
        node = g_ptr_array_steal_index_fast (stack, stack->len - 1);
        if (node == what)
            return TRUE;
        if (!g_hash_table_add (seen, node))
            continue;
        for (guint i = 0; i < dlh_node_n_inputs (node); i++)
            g_ptr_array_add (stack, dlh_node_input (node, i));
    }
    return FALSE;
}

// Column @j of each case's Hessian, (cases, d).
static DlhNode *
hessian_column (const DlhObjective *objective, DlhNode *slope, gint64 j)
{
    DlhNode *z = dlh_distribution_outputs (objective->prediction), *column;

    dlh_gradients (slope, &z, 1, kfac_unit_output (objective, j), &column);
    return dlh_reshape (column, dlh_shape (-1, kfac_output_size (objective)));
}

static gboolean
refuse (const Kfac *k, const char *why, GError **error)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "fisher=gauss_newton: %s of the model's %s distribution: give fisher=exact", why,
                 dlh_distribution_name (k->measured->prediction));
    return FALSE;
}

// R (cases, d, d) with R R' the positive part of @h.
static DlhNode *
root_of (DlhNode *h)
{
    DlhNode *values, *vectors;

    dlh_eigh (h, &values, &vectors);
    values = dlh_sqrt (dlh_max (values, dlh_full_like (values, 0)));
    return dlh_stop_gradient (dlh_mul (vectors, dlh_expand (values, 1)));
}

// @root: (out): NULL where the Hessian is the Fisher.
static gboolean
find_root (Kfac *k, const DlhObjective *objective, DlhNode **root, GError **error)
{
    const gint64 n = kfac_output_size (objective);
    g_autoptr (GPtrArray) columns = g_ptr_array_new ();
    DlhNode *z = dlh_distribution_outputs (objective->prediction), *slope;
    double value;

    *root = NULL;
    slope = dlh_gradient (
        dlh_neg (dlh_sum_all (dlh_log_prob (objective->prediction, objective->target))), z);
    for (gint64 j = 0; j < n; j++) {
        DlhNode *column = hessian_column (objective, slope, j);

        if (!dlh_graph_check (dlh_update_graph (k->update), error))
            return FALSE;
        if (j == 0 && dlh_node_constant_value (column, &value) && value == 0)
            return refuse (k, "there is no curvature in the outputs", error);
        // The same for every target, so equal to its mean: the Fisher.
        if (j == 0 && !depends_on (column, objective->target))
            return TRUE;
        if (n > MOST_OUTPUTS)
            return refuse (k, "more than 256 outputs a case with a Hessian that is not known",
                           error);
        g_ptr_array_add (columns, column);
    }
    *root = root_of (dlh_stack ((DlhNode **)columns->pdata, columns->len, 2));
    return TRUE;
}

gboolean
kfac_find_hessian (Kfac *k, GError **error)
{
    if (strcmp (k->opt->fisher, "gauss_newton") != 0)
        return TRUE;
    return find_root (k, k->measured, &k->hessian_root, error) &&
           find_root (k, k->part, &k->part_root, error);
}

DlhNode *
kfac_part_hessian_multiply (Kfac *k, DlhNode *v)
{
    const DlhShape shape = dlh_node_shape (v);

    v = dlh_expand (dlh_reshape (v, dlh_shape (-1, kfac_output_size (k->part))), 2);
    v = dlh_matmul (k->part_root, dlh_matmul_t (k->part_root, TRUE, v, FALSE));
    return dlh_reshape (v, shape);
}
