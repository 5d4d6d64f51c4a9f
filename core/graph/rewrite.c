/* SPDX-License-Identifier: MIT */
/* Asking a graph questions, and making a changed copy of a part of it. */
#include <dlhost/dlhost.h>
#include "graph/private.h"

// marked[id] for every ancestor of the roots and the roots themselves.
gboolean *
dlh_graph_ancestors (DlhNode *const *roots, guint n_roots, guint *n_nodes)
{
    guint n = n_roots ? dlh_graph_n_nodes (roots[0]->graph) : 0;
    gboolean *marked = g_new0 (gboolean, n);

    for (guint i = 0; i < n_roots; i++)
        marked[roots[i]->id] = TRUE;
    for (guint id = n; id-- > 0;)
        if (marked[id]) {
            DlhNode *node = dlh_graph_node (roots[0]->graph, id);

            for (guint k = 0; k < node->n_inputs; k++)
                marked[node->inputs[k]->id] = TRUE;
        }
    *n_nodes = n;
    return marked;
}

// Nodes that hand a weight on unchanged.
static gboolean
is_transparent (const DlhNode *node)
{
    // A weight with noise upon it.
    if (dlh_node_is (node, "add"))
        return node->inputs[0]->op == &dlh_op_as_noise || node->inputs[1]->op == &dlh_op_as_noise;
    return node->op == &dlh_op_reshape || node->op == &dlh_op_stop_gradient ||
           node->op == &dlh_op_broadcast || dlh_node_is (node, "cast");
}

static void
collect_uses (DlhGraph *graph, const gboolean *marked, guint n, DlhNode *value, GArray *uses)
{
    for (guint id = value->id + 1; id < n; id++) {
        DlhNode *node = marked[id] ? dlh_graph_node (graph, id) : NULL;

        for (guint k = 0; node && node->op != &dlh_op_as_noise && k < node->n_inputs; k++)
            if (node->inputs[k] == value) {
                DlhUse use = {node, k};

                g_array_append_val (uses, use);
            }
    }
}

static int
compare_uses (gconstpointer a, gconstpointer b)
{
    const DlhUse *x = a, *y = b;

    return x->node->id != y->node->id ? (x->node->id < y->node->id ? -1 : 1)
                                      : (int)x->input - (int)y->input;
}

GArray *
dlh_graph_uses (DlhNode *const *roots, guint n_roots, DlhVariable *variable)
{
    guint n;
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, &n);
    GArray *uses = g_array_new (FALSE, FALSE, sizeof (DlhUse));

    for (guint id = 0; id < n; id++) {
        DlhNode *node = dlh_graph_node (roots[0]->graph, id);

        if (marked[id] && node->op == &dlh_op_read && node->variable == variable)
            collect_uses (roots[0]->graph, marked, n, node, uses);
    }
    // A lone use by a node that changes nothing stands for that node's uses.
    while (uses->len == 1 && is_transparent (g_array_index (uses, DlhUse, 0).node)) {
        DlhNode *node = g_array_index (uses, DlhUse, 0).node;

        g_array_set_size (uses, 0);
        collect_uses (roots[0]->graph, marked, n, node, uses);
    }
    g_array_sort (uses, compare_uses);
    return uses;
}

GPtrArray *
dlh_graph_variables (DlhNode *const *roots, guint n_roots)
{
    guint n;
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, &n);
    GPtrArray *variables = g_ptr_array_new ();

    for (guint id = 0; id < n; id++) {
        DlhNode *node = dlh_graph_node (roots[0]->graph, id);

        if (marked[id] && node->op == &dlh_op_read)
            g_ptr_array_add (variables, node->variable);
    }
    return variables;
}

// A new node takes the place of the old one in its scope as well.
static DlhNode *
rebuild (DlhNode *node, DlhNode *const *inputs)
{
    guint before = dlh_graph_n_nodes (node->graph);
    DlhNode *made = dlh_node_rebuild (node, inputs);

    if (made->id >= before && !dlh_node_failed (made))
        made->scope = node->scope;
    return made;
}

void
dlh_graph_rewrite (DlhNode *const *roots, guint n_roots, DlhRewrite rewrite, gpointer user_data,
                   DlhNode **out)
{
    guint n;
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, &n);
    g_autofree DlhNode **made = g_new0 (DlhNode *, n);

    for (guint id = 0; id < n; id++) {
        DlhNode *node = marked[id] ? dlh_graph_node (roots[0]->graph, id) : NULL;
        g_autofree DlhNode **inputs = NULL;

        if (!node)
            continue;
        inputs = g_new (DlhNode *, node->n_inputs + 1);
        for (guint k = 0; k < node->n_inputs; k++)
            inputs[k] = made[node->inputs[k]->id];
        made[id] = rewrite (node, inputs, user_data);
        if (!made[id])
            made[id] = rebuild (node, inputs);
    }
    for (guint i = 0; i < n_roots; i++)
        out[i] = made[roots[i]->id];
}

static DlhNode *
substitute (DlhNode *node, DlhNode *const *inputs, gpointer user_data)
{
    (void)inputs;
    return g_hash_table_lookup (user_data, node);
}

void
dlh_graph_substitute (DlhNode *const *roots, guint n_roots, DlhNode *const *from,
                      DlhNode *const *to, guint n, DlhNode **out)
{
    g_autoptr (GHashTable) map = g_hash_table_new (NULL, NULL);

    for (guint i = 0; i < n; i++)
        g_hash_table_insert (map, from[i], to[i]);
    dlh_graph_rewrite (roots, n_roots, substitute, map, out);
}
