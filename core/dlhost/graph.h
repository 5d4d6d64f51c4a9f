/* SPDX-License-Identifier: MIT */
/* Graphs and their nodes.
 *
 * A node is an immutable value: an op, its inputs, attributes, an element type and a static shape.
 * Nodes belong to their graph and are freed with it, so calls nest without leaks:
 *
 *     DlhNode *loss = dlh_mean_all (dlh_square (dlh_sub (y, dlh_linear (x, w, b))));
 *
 * Errors are sticky: the first wrong call marks the graph with a GError that names op, shapes and
 * scope; later calls pass it on and dlh_graph_compile() returns it. Equal pure nodes are one node.
 */
#pragma once

#include <dlhost/tensor.h>

G_BEGIN_DECLS

typedef struct _DlhGraph DlhGraph; /* nodes, and the first error */
typedef struct _DlhNode DlhNode; /* a value */
typedef struct _DlhOp DlhOp;
typedef struct _DlhVariable DlhVariable; /* a named tensor of a store */

/** dlh_graph_new, dlh_graph_ref, dlh_graph_unref: (transfer full): an empty graph; its nodes live
 * as long as it does. Unreferencing NULL does nothing. */
DLH_EXPORT DlhGraph *dlh_graph_new (void);
DLH_EXPORT DlhGraph *dlh_graph_ref (DlhGraph *graph);
DLH_EXPORT void dlh_graph_unref (DlhGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhGraph, dlh_graph_unref)

/** dlh_graph_push_scope, dlh_graph_pop_scope: nodes made between the two are named "outer/@name".
 * */
DLH_EXPORT void dlh_graph_push_scope (DlhGraph *graph, const char *name);
DLH_EXPORT void dlh_graph_pop_scope (DlhGraph *graph);
/** dlh_graph_get_scope: Returns: (transfer none): "" at the top, else "model/conv1". */
DLH_EXPORT const char *dlh_graph_get_scope (DlhGraph *graph);

/** dlh_graph_check: Returns: FALSE with a copy of the sticky error when there is one. */
DLH_EXPORT gboolean dlh_graph_check (DlhGraph *graph, GError **error);
/**
 * dlh_graph_fail:
 * Marks @graph with an error, prefixed by the scope, unless it has one.
 * Returns: (transfer none): the graph's error node, a scalar that every op accepts and passes on.
 */
DLH_EXPORT DlhNode *dlh_graph_fail (DlhGraph *graph, DlhErrorCode code, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
/** dlh_node_failed: Returns: whether @node is the error node. */
DLH_EXPORT gboolean dlh_node_failed (const DlhNode *node);

/* Leaves. */

/** dlh_input: a value given at each run; functions take inputs in the order of their making. */
DLH_EXPORT DlhNode *dlh_input (DlhGraph *graph, const char *name, DlhDType dtype, DlhShape shape);
/** dlh_constant: a copy of @value is kept in the graph. */
DLH_EXPORT DlhNode *dlh_constant (DlhGraph *graph, const DlhTensor *value);
/** dlh_scalar: the constant @value of shape []. */
DLH_EXPORT DlhNode *dlh_scalar (DlhGraph *graph, DlhDType dtype, double value);
/** dlh_full, dlh_full_like: @value everywhere. */
DLH_EXPORT DlhNode *dlh_full (DlhGraph *graph, DlhDType dtype, DlhShape shape, double value);
DLH_EXPORT DlhNode *dlh_full_like (DlhNode *x, double value);
/** dlh_arange: (n) i64 or float values 0 .. @n - 1. */
DLH_EXPORT DlhNode *dlh_arange (DlhGraph *graph, DlhDType dtype, gint64 n);
/** dlh_read: the variable's value before the run. */
DLH_EXPORT DlhNode *dlh_read (DlhGraph *graph, DlhVariable *variable);

/** dlh_node_graph, dlh_node_op, dlh_node_n_inputs, dlh_node_input, dlh_node_dtype, dlh_node_shape,
 * dlh_node_rank, dlh_node_scope: (transfer none): what a node is. */
DLH_EXPORT DlhGraph *dlh_node_graph (const DlhNode *node);
DLH_EXPORT const DlhOp *dlh_node_op (const DlhNode *node);
/** dlh_node_is: Returns: whether @node's op has this name, for example "linear". */
DLH_EXPORT gboolean dlh_node_is (const DlhNode *node, const char *op_name);
DLH_EXPORT guint dlh_node_n_inputs (const DlhNode *node);
DLH_EXPORT DlhNode *dlh_node_input (const DlhNode *node, guint i);
/** dlh_node_attrs: Returns: (transfer none): the op's attribute struct, NULL when it has none. */
DLH_EXPORT gconstpointer dlh_node_attrs (const DlhNode *node);
DLH_EXPORT DlhDType dlh_node_dtype (const DlhNode *node);
DLH_EXPORT DlhShape dlh_node_shape (const DlhNode *node);
DLH_EXPORT guint dlh_node_rank (const DlhNode *node);
/** dlh_node_dim: the size of @axis; a negative @axis counts from the last. */
DLH_EXPORT gint64 dlh_node_dim (const DlhNode *node, int axis);
/** dlh_node_id: position in the graph; an input's id is below its consumer's. */
DLH_EXPORT guint dlh_node_id (const DlhNode *node);
DLH_EXPORT const char *dlh_node_scope (const DlhNode *node);
/** dlh_node_variable: Returns: (nullable): the variable of a read or assign node. */
DLH_EXPORT DlhVariable *dlh_node_variable (const DlhNode *node);
/** dlh_node_describe: Returns: (transfer full): "model/conv2: conv2d f32 [128,16,10,10]". */
DLH_EXPORT char *dlh_node_describe (const DlhNode *node);
/** dlh_node_constant_value: Returns: whether @node is the same known scalar in every element. */
DLH_EXPORT gboolean dlh_node_constant_value (const DlhNode *node, double *value);

/* Queries and rewriting. */

/* A place where a value is used. */
typedef struct {
    DlhNode *node; /* the consumer */
    guint input;   /* which of its inputs */
} DlhUse;

/**
 * dlh_graph_uses:
 * @roots: nodes whose ancestors are searched
 * Returns: (element-type DlhUse) (transfer full): every use of @variable's value, oldest first;
 * looks through reshape, cast, broadcast, stop-gradient, and dlh_as_noise() added, if used alone.
 */
DLH_EXPORT GArray *dlh_graph_uses (DlhNode *const *roots, guint n_roots, DlhVariable *variable);
/** dlh_graph_variables: (element-type DlhVariable*) (transfer container): read by @roots'
 * ancestors. */
DLH_EXPORT GPtrArray *dlh_graph_variables (DlhNode *const *roots, guint n_roots);

/**
 * DlhRewrite:
 * @node: the original
 * @inputs: its inputs after rewriting, dlh_node_n_inputs() of them
 * Returns: (nullable): the replacement, or NULL to rebuild @node on @inputs.
 */
typedef DlhNode *(*DlhRewrite) (DlhNode *node, DlhNode *const *inputs, gpointer user_data);
/**
 * dlh_graph_rewrite:
 * Rebuilds the ancestors of @roots in the same graph, asking @rewrite at each node, inputs first.
 * @out: (out caller-allocates): the new roots, @n_roots of them
 */
DLH_EXPORT void dlh_graph_rewrite (DlhNode *const *roots, guint n_roots, DlhRewrite rewrite,
                                   gpointer user_data, DlhNode **out);
/** dlh_graph_substitute: rewrites with @from[i] replaced by @to[i]. */
DLH_EXPORT void dlh_graph_substitute (DlhNode *const *roots, guint n_roots, DlhNode *const *from,
                                      DlhNode *const *to, guint n, DlhNode **out);
/** dlh_graph_to_dot: Returns: (transfer full): the ancestors of @roots in Graphviz's language: by
 * scope, with shapes, operations and bytes, redder where more time is expected to go. */
DLH_EXPORT char *dlh_graph_to_dot (DlhNode *const *roots, guint n_roots);

/* Gradients. */

/**
 * dlh_gradients:
 * @y: what is differentiated; any shape
 * @seed: (nullable): dL/dy, of @y's shape; ones when NULL
 * @out: (out caller-allocates): sum over uses of dL/dxs[i]; zeros where @y does not depend on it
 * The gradients are nodes and can be differentiated again.
 */
DLH_EXPORT void dlh_gradients (DlhNode *y, DlhNode *const *xs, guint n, DlhNode *seed,
                               DlhNode **out);
/** dlh_gradient: the gradient of @y by one @x. */
DLH_EXPORT DlhNode *dlh_gradient (DlhNode *y, DlhNode *x);
/**
 * dlh_jvp:
 * @tangents: dx for each of @xs, of its shape
 * Returns: the Jacobian of @y times the tangents, by two reverse passes.
 */
DLH_EXPORT DlhNode *dlh_jvp (DlhNode *y, DlhNode *const *xs, DlhNode *const *tangents, guint n);

G_END_DECLS
