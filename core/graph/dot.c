/* SPDX-License-Identifier: MIT */
#include "graph/private.h"

char *
dlh_graph_to_dot (DlhNode *const *roots, guint n_roots)
{
    guint n;
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, &n);
    GString *s = g_string_new ("digraph dlhost {\n  node [shape=box, fontsize=10];\n");

    for (guint id = 0; id < n; id++) {
        DlhNode *node = marked[id] ? dlh_graph_node (roots[0]->graph, id) : NULL;
        g_autofree char *text = NULL, *named = NULL, *label = NULL;

        if (!node)
            continue;
        text = dlh_node_describe (node);
        named = node->variable ? g_strdup_printf ("%s\n%s", text, node->variable->name) : g_strdup (text);
        label = g_strescape (named, NULL);
        g_string_append_printf (s, "  n%u [label=\"%s\"%s];\n", id, label,
                                node->n_inputs ? "" : ", style=filled, fillcolor=lightgrey");
        for (guint k = 0; k < node->n_inputs; k++)
            g_string_append_printf (s, "  n%u -> n%u;\n", node->inputs[k]->id, id);
    }
    return g_string_free (g_string_append (s, "}\n"), FALSE);
}
