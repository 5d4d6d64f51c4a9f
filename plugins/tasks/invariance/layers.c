/* SPDX-License-Identifier: MIT */
/* The affine layers of a model: weights that act in linear, conv2d and conv_transpose2d nodes and
 * nowhere else. Other parameters stay as they are; they belong to phi. */
#include <string.h>
#include "invariance.h"

static void
layer_free (gpointer data)
{
    Layer *l = data;

    g_free (l->weight);
    g_free (l->bias);
    g_free (l->label);
    map_clear (&l->in);
    map_clear (&l->out);
    g_free (l);
}

static gboolean
is_product (const DlhNode *node)
{
    return dlh_node_is (node, "linear") || dlh_node_is (node, "conv2d") ||
           dlh_node_is (node, "conv_transpose2d");
}

// The attributes of both convolutions begin with a DlhConv.
static const DlhConv *
conv_of (const DlhNode *node)
{
    return dlh_node_is (node, "linear") ? NULL : dlh_node_attrs (node);
}

static gboolean
same_geometry (const DlhNode *a, const DlhNode *b)
{
    const DlhConv *c = conv_of (a), *d = conv_of (b);

    return dlh_node_op (a) == dlh_node_op (b) && dlh_node_n_inputs (a) == dlh_node_n_inputs (b) &&
           (!c || c->groups == d->groups);
}

// Whether the parameter is the weight of products of one kind wherever it is used, read directly.
static gboolean
is_weight (const GArray *uses)
{
    const DlhNode *first = uses->len ? g_array_index (uses, DlhUse, 0).node : NULL;

    for (guint i = 0; i < uses->len; i++) {
        const DlhUse *use = &g_array_index (uses, DlhUse, i);

        if (use->input != 1 || !is_product (use->node) || !same_geometry (use->node, first) ||
            !dlh_node_variable (dlh_node_input (use->node, 1)))
            return FALSE;
    }
    return first != NULL;
}

// The variable that is the bias of the same nodes and nothing else; NULL when there is none.
static DlhVariable *
bias_of (DlhNode *root, const GArray *uses)
{
    DlhVariable *bias =
        dlh_node_variable (dlh_node_input (g_array_index (uses, DlhUse, 0).node, 2));
    g_autoptr (GArray) others = bias ? dlh_graph_uses (&root, 1, bias) : NULL;

    if (!bias || others->len != uses->len)
        return NULL;
    for (guint i = 0; i < uses->len; i++)
        if (g_array_index (others, DlhUse, i).node != g_array_index (uses, DlhUse, i).node ||
            g_array_index (others, DlhUse, i).input != 2)
            return NULL;
    return bias;
}

static void
measure (Layer *l, const DlhNode *node, DlhShape w)
{
    const DlhConv *conv = conv_of (node);

    l->conv = conv != NULL;
    l->transposed = dlh_node_is (node, "conv_transpose2d");
    l->groups = conv ? conv->groups : 1;
    l->padded = conv && !l->transposed && (conv->padding[0] > 0 || conv->padding[1] > 0);
    l->n_out = w.dims[0] / l->groups;
    l->n_in = w.dims[1];
    l->taps = conv ? w.dims[2] * w.dims[3] : 1;
    if (l->transposed) {
        const gint64 n = l->n_out;

        l->n_out = l->n_in;
        l->n_in = n;
    }
}

// NULL when @variable is no weight of a layer.
static Layer *
layer_of (DlhNode *root, DlhVariable *variable)
{
    g_autoptr (GArray) uses = dlh_graph_uses (&root, 1, variable);
    DlhVariable *bias = NULL;
    const DlhNode *node;
    Layer *l;

    if (!dlh_variable_is_trainable (variable) || !is_weight (uses))
        return NULL;
    node = g_array_index (uses, DlhUse, 0).node;
    // A bias that is something else, too, cannot be mapped with the layer.
    if (dlh_node_n_inputs (node) > 2 && !(bias = bias_of (root, uses)))
        return NULL;
    l = g_new0 (Layer, 1);
    l->weight = g_strdup (dlh_variable_name (variable));
    l->bias = g_strdup (bias ? dlh_variable_name (bias) : NULL);
    l->label = g_strdup (l->weight);
    if (g_str_has_suffix (l->label, "/weight"))
        l->label[strlen (l->label) - strlen ("/weight")] = '\0';
    l->first = l->last = TRUE;
    measure (l, node, dlh_variable_shape (variable));
    return l;
}

Layer *
layers_lookup (Layers *layers, const DlhNode *node)
{
    DlhVariable *w = is_product (node) ? dlh_node_variable (dlh_node_input (node, 1)) : NULL;

    for (guint i = 0; w && i < layers->len; i++) {
        Layer *l = layers->pdata[i];

        if (strcmp (l->weight, dlh_variable_name (w)) == 0)
            return l;
    }
    return NULL;
}

// The inputs of each node come before it; so does the rewriting.
static DlhNode *
visit (DlhNode *node, DlhNode *const *inputs, gpointer nodes)
{
    (void)inputs;
    g_ptr_array_add (nodes, node);
    return node;
}

static void
find_ends (Layers *layers, DlhNode *root)
{
    g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
    g_autoptr (GHashTable) fed = g_hash_table_new (NULL, NULL);
    g_autoptr (GHashTable) feeding = g_hash_table_new (NULL, NULL);
    DlhNode *same;

    dlh_graph_rewrite (&root, 1, visit, nodes, &same);
    for (guint i = 0; i < nodes->len; i++) {
        DlhNode *node = nodes->pdata[i];
        Layer *l = layers_lookup (layers, node);
        gboolean after = FALSE;

        for (guint k = 0; k < dlh_node_n_inputs (node); k++)
            after = after || g_hash_table_contains (fed, dlh_node_input (node, k));
        if (l && after)
            l->first = FALSE;
        if (l || after)
            g_hash_table_add (fed, node);
    }
    for (guint i = nodes->len; i-- > 0;) {
        DlhNode *node = nodes->pdata[i];
        Layer *l = layers_lookup (layers, node);

        if (l && g_hash_table_contains (feeding, node))
            l->last = FALSE;
        for (guint k = 0; k < dlh_node_n_inputs (node); k++)
            if (l || g_hash_table_contains (feeding, node))
                g_hash_table_add (feeding, dlh_node_input (node, k));
    }
}

Layers *
layers_find (const DlhObjective *objective)
{
    Layers *layers = g_ptr_array_new_with_free_func (layer_free);
    g_autoptr (GPtrArray) variables = dlh_graph_variables (&objective->loss, 1);

    for (guint i = 0; i < variables->len; i++) {
        Layer *l = layer_of (objective->loss, variables->pdata[i]);

        if (l)
            g_ptr_array_add (layers, l);
    }
    find_ends (layers, objective->loss);
    return layers;
}

// A shift of the inputs is taken up by the bias; that of a transposed convolution is added where
// the weight's outputs have been summed, and their number differs at the edges.
gboolean
layer_takes_shift (const Layer *layer)
{
    return layer->bias && !layer->transposed;
}

gboolean
layer_is_short (const Layer *layer, gint64 batch)
{
    const gint64 n = layer->n_in * (layer->transposed ? 1 : layer->taps) + (layer->bias ? 1 : 0);

    return layer->rows * (double)batch < (double)n;
}
