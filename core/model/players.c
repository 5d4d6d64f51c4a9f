/* SPDX-License-Identifier: MIT */
/* What losses of several players need: parameters told apart by their scope. */
#include <string.h>
#include <dlhost/dlhost.h>

// (transfer full): "gan/discriminator/", which the names of parameters there begin with.
static char *
prefix_of (DlhBuild *b, const char *name)
{
    const char *scope = dlh_graph_get_scope (b->graph);

    return g_strconcat (scope, *scope && *name ? "/" : "", name, *scope || *name ? "/" : "", NULL);
}

// What depends on no frozen parameter stays the same node: random ones the same draws.
static DlhNode *
stop_below (DlhNode *node, DlhNode *const *inputs, gpointer prefix)
{
    const DlhVariable *v = dlh_node_is (node, "read") ? dlh_node_variable (node) : NULL;

    if (v && dlh_variable_is_trainable (v) && g_str_has_prefix (dlh_variable_name (v), prefix))
        return dlh_stop_gradient (node);
    for (guint i = 0; i < dlh_node_n_inputs (node); i++)
        if (inputs[i] != dlh_node_input (node, i))
            return NULL;
    return node;
}

DlhNode *
dlh_freeze (DlhBuild *b, const char *name, DlhNode *y)
{
    g_autofree char *prefix = prefix_of (b, name);
    DlhNode *frozen;

    if (dlh_node_failed (y))
        return y;
    dlh_graph_rewrite (&y, 1, stop_below, prefix, &frozen);
    return frozen;
}

void
dlh_pace (DlhBuild *b, const char *name, DlhPace pace)
{
    g_autofree char *prefix = prefix_of (b, name);

    for (guint i = 0; i < dlh_store_n_variables (b->store); i++) {
        DlhVariable *v = dlh_store_get_variable (b->store, i);

        if (dlh_variable_is_trainable (v) && g_str_has_prefix (dlh_variable_name (v), prefix))
            dlh_variable_set_pace (v, pace);
    }
}
