/* SPDX-License-Identifier: MIT */
/* The loss of each candidate on a batch. A model's loss is one number of all rows; here the sums
 * over examples in it are taken for each candidate apart, and what the model makes of the sums is
 * done to all of them. */
#include <dlhost/dlhost.h>
#include "train/population.h"

typedef struct {
    DlhPopulation *population;
    GPtrArray *sums;  /* nodes of the model that sum over all examples */
    DlhNode **inputs; /* theirs, as a group's candidates see them */
    GHashTable *made; /* node -> (candidates) */
} Tail;

static gboolean
sums_examples (const DlhPopulation *p, const DlhNode *node)
{
    const DlhSumAttrs *a = node->attrs;

    if (node->op != &dlh_op_sum || p->perturb.cases[node->inputs[0]->id].state != DLH_CASES_ALONG)
        return FALSE;
    for (guint axis = 0; axis < node->inputs[0]->shape.rank; axis++)
        if (!a->reduced[axis])
            return FALSE;
    return TRUE;
}

static gboolean
all_scalars (const DlhNode *node)
{
    for (guint k = 0; k < node->n_inputs; k++)
        if (dlh_shape_count (node->inputs[k]->shape) != 1)
            return FALSE;
    return dlh_shape_count (node->shape) == 1;
}

// Finds the sums on which @node depends.
static gboolean
collect (Tail *t, DlhNode *node, GError **error)
{
    g_autofree char *text = NULL;

    if (!t->population->depends[node->id] || g_ptr_array_find (t->sums, node, NULL))
        return TRUE;
    if (sums_examples (t->population, node)) {
        g_ptr_array_add (t->sums, node);
        return TRUE;
    }
    if (all_scalars (node)) {
        for (guint k = 0; k < node->n_inputs; k++)
            if (!collect (t, node->inputs[k], error))
                return FALSE;
        return TRUE;
    }
    text = dlh_node_describe (node);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "the loss is not made of sums over the examples: %s cannot be taken for each "
                 "candidate apart",
                 text);
    return FALSE;
}

// (candidates): the sum, or the mean, over the rows of each.
static DlhNode *
each_sum (const Tail *t, const DlhNode *node, DlhNode *x)
{
    const DlhPerturb *perturb = &t->population->perturb;
    const double scale = ((const DlhSumAttrs *)node->attrs)->scale;

    if (dlh_node_failed (x))
        return x;
    x = dlh_cases_gather (&perturb->cases[node->inputs[0]->id], x, perturb->n, dlh_node_rank (x));
    x = dlh_sum (x, (const int[]){1, 2}, 2, FALSE);
    return scale == 1 ? x : dlh_scale (x, scale * (double)perturb->n);
}

static DlhNode *
tail (Tail *t, DlhNode *node)
{
    const DlhShape shape = dlh_shape (t->population->each);
    g_autofree DlhNode **inputs = g_new (DlhNode *, node->n_inputs + 1);
    DlhNode *made = g_hash_table_lookup (t->made, node);
    guint sum;

    if (made)
        return made;
    if (!t->population->depends[node->id]) {
        made = dlh_broadcast (dlh_reshape (node, dlh_shape ()), shape);
    } else if (g_ptr_array_find (t->sums, node, &sum)) {
        made = each_sum (t, node, t->inputs[sum]);
    } else {
        for (guint k = 0; k < node->n_inputs; k++)
            inputs[k] = tail (t, node->inputs[k]);
        made = node->op == &dlh_op_reshape || node->op == &dlh_op_broadcast
                   ? inputs[0]
                   : dlh_node_rebuild (node, inputs);
    }
    g_hash_table_insert (t->made, node, made);
    return made;
}

static DlhNode *
group_scores (Tail *t, DlhNode *const *roots, gint64 group, DlhNode *loss)
{
    g_autoptr (GHashTable) made = g_hash_table_new (NULL, NULL);
    g_autofree DlhNode **out = g_new (DlhNode *, t->sums->len);

    dlh_population_group (t->population, group, roots, t->sums->len, out);
    t->inputs = out;
    t->made = made;
    if (t->population->each == 1)
        return dlh_neg (dlh_reshape (out[0], dlh_shape (1)));
    return dlh_neg (tail (t, loss));
}

static gboolean
score_groups (DlhPopulation *p, DlhNode *loss, GError **error)
{
    g_autoptr (GPtrArray) sums = g_ptr_array_new (), scores = g_ptr_array_new ();
    g_autofree DlhNode **roots = NULL;
    Tail t = {p, sums, NULL, NULL};

    // All rows are of one candidate: the loss is its own.
    if (p->each == 1)
        g_ptr_array_add (sums, loss);
    else if (!collect (&t, loss, error))
        return FALSE;
    roots = g_new (DlhNode *, sums->len + 1);
    for (guint i = 0; i < sums->len; i++)
        roots[i] = p->each == 1 ? loss : ((DlhNode *)sums->pdata[i])->inputs[0];
    for (gint64 g = 0; g < p->options.groups; g++)
        g_ptr_array_add (scores, group_scores (&t, roots, g, loss));
    p->scores = dlh_concat ((DlhNode **)scores->pdata, scores->len, 0);
    p->scores = dlh_assert_finite (p->scores, "scores of candidates");
    return dlh_graph_check (p->update->graph, error);
}

gboolean
dlh_population_score (DlhPopulation *p, GError **error)
{
    DlhUpdate *u = p->update;
    DlhNode *y = u->y ? dlh_population_repeat (u->y, p->each) : NULL;
    const DlhObjective *objective;

    p->base = u->x;
    p->rows = dlh_population_repeat (u->x, p->each);
    objective = u->build_rows (u->build_data, p->rows, y, error);
    if (!objective || !dlh_graph_check (u->graph, error))
        return FALSE;
    return dlh_population_find (p, &objective->loss, 1, error) &&
           score_groups (p, objective->loss, error);
}
