/* SPDX-License-Identifier: MIT */
/* Graphs: an arena of nodes in the order of making, a table that makes equal pure nodes one, a stack
 * of scopes, and the sticky error. */
#include <string.h>
#include "graph/private.h"

#define CHUNK 65536

struct _DlhGraph {
    gint ref_count;
    GPtrArray *nodes;
    GHashTable *known;    /* pure nodes, by content */
    GHashTable *draws;    /* DlhStream* -> how many nodes draw from it */
    GHashTable *stores;   /* kept alive: nodes point to their variables */
    GPtrArray *tensors;   /* of constants */
    GPtrArray *chunks;    /* arena */
    gsize chunk_used;
    GString *scope;
    const char *scope_name; /* scope->str, interned in the arena; NULL when stale */
    GArray *scope_ends;     /* guint: length of scope before each push */
    GPtrArray *rows;        /* DlhNode*: pushed by dlh_graph_push_rows() */
    GError *error;
    DlhNode *failed;
};

// The node that stands for a failed call.
static gboolean
error_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    (void) node, (void) error;
    *dtype = DLH_F32;
    *shape = dlh_shape ();
    return TRUE;
}

static const DlhOp op_error = {
    .size = sizeof (DlhOp), .name = "error", .flags = DLH_OP_IMPURE, .infer = error_infer};

static guint
node_hash (gconstpointer key)
{
    const DlhNode *n = key;
    guint64 h = (guintptr) n->op ^ (guintptr) n->variable ^ (guintptr) n->value;
    const guint8 *bytes = n->attrs;

    for (guint i = 0; i < n->n_inputs; i++)
        h = (h ^ (guintptr) n->inputs[i]) * 0x9e3779b97f4a7c15u;
    for (gsize i = 0; i < n->op->attrs_size; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return (guint) (h ^ (h >> 32));
}

static gboolean
node_equal (gconstpointer a, gconstpointer b)
{
    const DlhNode *x = a, *y = b;

    return x->op == y->op && x->n_inputs == y->n_inputs && x->variable == y->variable &&
           x->value == y->value &&
           (!x->n_inputs || memcmp (x->inputs, y->inputs, x->n_inputs * sizeof *x->inputs) == 0) &&
           (!x->op->attrs_size || memcmp (x->attrs, y->attrs, x->op->attrs_size) == 0);
}

DlhGraph *
dlh_graph_new (void)
{
    DlhGraph *g = g_new0 (DlhGraph, 1);

    g->ref_count = 1;
    g->nodes = g_ptr_array_new ();
    g->known = g_hash_table_new (node_hash, node_equal);
    g->draws = g_hash_table_new (NULL, NULL);
    g->stores = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) dlh_store_unref, NULL);
    g->tensors = g_ptr_array_new_with_free_func ((GDestroyNotify) dlh_tensor_unref);
    g->chunks = g_ptr_array_new_with_free_func (g_free);
    g->scope = g_string_new (NULL);
    g->scope_ends = g_array_new (FALSE, FALSE, sizeof (guint));
    g->rows = g_ptr_array_new ();
    g->failed = dlh_node_new_full (&op_error, g, NULL, 0, NULL, NULL, NULL);
    return g;
}

DlhGraph *
dlh_graph_ref (DlhGraph *graph)
{
    g_atomic_int_inc (&graph->ref_count);
    return graph;
}

void
dlh_graph_unref (DlhGraph *graph)
{
    if (!graph || !g_atomic_int_dec_and_test (&graph->ref_count))
        return;
    g_ptr_array_unref (graph->nodes);
    g_hash_table_unref (graph->known);
    g_hash_table_unref (graph->draws);
    g_hash_table_unref (graph->stores);
    g_ptr_array_unref (graph->tensors);
    g_ptr_array_unref (graph->chunks);
    g_string_free (graph->scope, TRUE);
    g_array_unref (graph->scope_ends);
    g_ptr_array_unref (graph->rows);
    g_clear_error (&graph->error);
    g_free (graph);
}

gpointer
dlh_graph_alloc (DlhGraph *graph, gsize n)
{
    char *memory;

    n = (n + 15) / 16 * 16;
    if (n > CHUNK / 4) {
        // Goes below the chunk that is being filled.
        g_ptr_array_insert (graph->chunks, 0, g_malloc0 (n));
        return graph->chunks->pdata[0];
    }
    if (!graph->chunk_used || graph->chunk_used + n > CHUNK) {
        g_ptr_array_add (graph->chunks, g_malloc0 (CHUNK));
        graph->chunk_used = 0;
    }
    memory = graph->chunks->pdata[graph->chunks->len - 1];
    memory += graph->chunk_used;
    graph->chunk_used += n;
    return memory;
}

guint
dlh_graph_n_nodes (DlhGraph *graph)
{
    return graph->nodes->len;
}

DlhNode *
dlh_graph_node (DlhGraph *graph, guint id)
{
    return graph->nodes->pdata[id];
}

guint
dlh_graph_next_draw (DlhGraph *graph, DlhStream *stream)
{
    guint n = GPOINTER_TO_UINT (g_hash_table_lookup (graph->draws, stream));

    g_hash_table_insert (graph->draws, stream, GUINT_TO_POINTER (n + 1));
    return n;
}

/* Scopes. */

void
dlh_graph_push_scope (DlhGraph *graph, const char *name)
{
    guint end = (guint) graph->scope->len;

    g_array_append_val (graph->scope_ends, end);
    if (end)
        g_string_append_c (graph->scope, '/');
    g_string_append (graph->scope, name);
    graph->scope_name = NULL;
}

void
dlh_graph_pop_scope (DlhGraph *graph)
{
    GArray *ends = graph->scope_ends;

    g_return_if_fail (ends->len > 0);
    g_string_truncate (graph->scope, g_array_index (ends, guint, ends->len - 1));
    g_array_set_size (ends, ends->len - 1);
    graph->scope_name = NULL;
}

void
dlh_graph_push_rows (DlhGraph *graph, DlhNode *rows)
{
    g_ptr_array_add (graph->rows, rows);
}

void
dlh_graph_pop_rows (DlhGraph *graph)
{
    g_return_if_fail (graph->rows->len > 0);
    g_ptr_array_set_size (graph->rows, (gint) graph->rows->len - 1);
}

DlhNode *
dlh_graph_rows (DlhGraph *graph)
{
    return graph->rows->len ? graph->rows->pdata[graph->rows->len - 1] : NULL;
}

char *
dlh_graph_swap_scope (DlhGraph *graph, const char *scope)
{
    char *before = g_strdup (graph->scope->str);

    g_string_assign (graph->scope, scope);
    graph->scope_name = NULL;
    return before;
}

const char *
dlh_graph_get_scope (DlhGraph *graph)
{
    if (!graph->scope_name) {
        char *name = dlh_graph_alloc (graph, graph->scope->len + 1);

        memcpy (name, graph->scope->str, graph->scope->len);
        graph->scope_name = name;
    }
    return graph->scope_name;
}

/* The sticky error. */

gboolean
dlh_graph_check (DlhGraph *graph, GError **error)
{
    if (!graph->error)
        return TRUE;
    g_propagate_error (error, g_error_copy (graph->error));
    return FALSE;
}

DlhNode *
dlh_graph_fail (DlhGraph *graph, DlhErrorCode code, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (graph->error)
        return graph->failed;
    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    graph->error = g_error_new (DLH_ERROR, code, "%s%s%s", graph->scope->str,
                                graph->scope->len ? ": " : "", text);
    return graph->failed;
}

gboolean
dlh_node_failed (const DlhNode *node)
{
    return node->op == &op_error;
}

/* Making nodes. */

DlhNode *
dlh_node_new_full (const DlhOp *op, DlhGraph *graph, DlhNode *const *inputs, guint n_inputs,
                   gconstpointer attrs, DlhVariable *variable, DlhTensor *value)
{
    DlhNode draft = {.graph = graph, .op = op, .n_inputs = n_inputs, .variable = variable,
                     .value = value, .inputs = (DlhNode **) inputs, .attrs = (gpointer) attrs};
    g_autoptr (GError) error = NULL;
    DlhNode *node;

    if (graph->error)
        return graph->failed;
    if (!op->infer (&draft, &draft.dtype, &draft.shape, &error))
        return dlh_graph_fail (graph, error->code, "%s", error->message);
    if (!dlh_shape_valid (draft.shape))
        return dlh_graph_fail (graph, DLH_ERROR_MEMORY, "%s: the result is too large to count",
                               op->name);
    if (!(op->flags & DLH_OP_IMPURE) && (node = g_hash_table_lookup (graph->known, &draft)))
        return node;

    node = dlh_graph_alloc (graph, sizeof *node);
    *node = draft;
    node->id = graph->nodes->len;
    node->scope = dlh_graph_get_scope (graph);
    node->inputs = dlh_graph_alloc (graph, n_inputs * sizeof *inputs);
    if (n_inputs)
        memcpy (node->inputs, inputs, n_inputs * sizeof *inputs);
    if (op->attrs_size) {
        node->attrs = dlh_graph_alloc (graph, op->attrs_size);
        memcpy (node->attrs, attrs, op->attrs_size);
    }
    if (value)
        g_ptr_array_add (graph->tensors, dlh_tensor_ref (value));
    if (variable && !g_hash_table_contains (graph->stores, variable->store))
        g_hash_table_add (graph->stores, dlh_store_ref (variable->store));
    g_ptr_array_add (graph->nodes, node);
    if (!(op->flags & DLH_OP_IMPURE))
        g_hash_table_add (graph->known, node);
    return node;
}

/* A row of a plugin is read up to `cuda` without asking for its size; members after that one must ask. */
static gboolean
row_complete (const DlhOp *op, DlhGraph *graph)
{
    if (op->size >= offsetof (DlhOp, cuda) && op->infer)
        return TRUE;
    dlh_graph_fail (graph, DLH_ERROR_PLUGIN, "op '%s': its row is incomplete: set .size and .infer",
                    op->name ? op->name : "?");
    return FALSE;
}

DlhNode *
dlh_node_new (const DlhOp *op, DlhNode *const *inputs, guint n_inputs, gconstpointer attrs)
{
    g_return_val_if_fail (n_inputs > 0, NULL);
    g_return_val_if_fail (op->n_inputs == DLH_VARIADIC || op->n_inputs == n_inputs, NULL);

    for (guint i = 0; i < n_inputs; i++) {
        if (dlh_node_failed (inputs[i]))
            return inputs[i];
        if (inputs[i]->graph != inputs[0]->graph)
            return dlh_graph_fail (inputs[0]->graph, DLH_ERROR_GRAPH,
                                   "%s: input %u belongs to another graph", op->name, i);
    }
    if (!row_complete (op, inputs[0]->graph))
        return inputs[0]->graph->failed;
    return dlh_node_new_full (op, inputs[0]->graph, inputs, n_inputs, attrs, NULL, NULL);
}

DlhNode *
dlh_node_new_leaf (DlhGraph *graph, const DlhOp *op, gconstpointer attrs)
{
    if (!row_complete (op, graph))
        return graph->failed;
    return dlh_node_new_full (op, graph, NULL, 0, attrs, NULL, NULL);
}

DlhNode *
dlh_node_rebuild (DlhNode *node, DlhNode *const *inputs)
{
    gboolean changed = FALSE;

    for (guint i = 0; i < node->n_inputs; i++) {
        if (dlh_node_failed (inputs[i]))
            return inputs[i];
        changed |= inputs[i] != node->inputs[i];
    }
    if (!changed)
        return node;
    return dlh_node_new_full (node->op, node->graph, inputs, node->n_inputs, node->attrs,
                              node->variable, node->value);
}

/* What a node is. */

DlhGraph *
dlh_node_graph (const DlhNode *node)
{
    return node->graph;
}

const DlhOp *
dlh_node_op (const DlhNode *node)
{
    return node->op;
}

gboolean
dlh_node_is (const DlhNode *node, const char *op_name)
{
    return strcmp (node->op->name, op_name) == 0;
}

guint
dlh_node_n_inputs (const DlhNode *node)
{
    return node->n_inputs;
}

DlhNode *
dlh_node_input (const DlhNode *node, guint i)
{
    g_return_val_if_fail (i < node->n_inputs, NULL);
    return node->inputs[i];
}

gconstpointer
dlh_node_attrs (const DlhNode *node)
{
    return node->attrs;
}

DlhDType
dlh_node_dtype (const DlhNode *node)
{
    return node->dtype;
}

DlhShape
dlh_node_shape (const DlhNode *node)
{
    return node->shape;
}

guint
dlh_node_rank (const DlhNode *node)
{
    return node->shape.rank;
}

gint64
dlh_node_dim (const DlhNode *node, int axis)
{
    int rank = (int) node->shape.rank;

    if (dlh_node_failed (node))
        return 1;
    g_return_val_if_fail (axis >= -rank && axis < rank, 1);
    return node->shape.dims[axis < 0 ? axis + rank : axis];
}

guint
dlh_node_id (const DlhNode *node)
{
    return node->id;
}

const char *
dlh_node_scope (const DlhNode *node)
{
    return node->scope;
}

DlhVariable *
dlh_node_variable (const DlhNode *node)
{
    return node->variable;
}

char *
dlh_node_describe (const DlhNode *node)
{
    g_autofree char *shape = dlh_shape_to_string (node->shape);

    return g_strdup_printf ("%s%s%s %s %s", node->scope, *node->scope ? ": " : "", node->op->name,
                            dlh_dtype_name (node->dtype), shape);
}

gboolean
dlh_node_constant_value (const DlhNode *node, double *value)
{
    while (node->op == &dlh_op_broadcast || node->op == &dlh_op_reshape)
        node = node->inputs[0];
    if (node->op == &dlh_op_fill) {
        *value = ((const DlhFillAttrs *) node->attrs)->value;
        return TRUE;
    }
    if (node->op == &dlh_op_constant && dlh_tensor_count (node->value) == 1) {
        *value = dlh_tensor_get (node->value, 0);
        return TRUE;
    }
    return FALSE;
}
