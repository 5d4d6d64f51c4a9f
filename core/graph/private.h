/* SPDX-License-Identifier: MIT */
/* What the core's own files know of graphs, nodes, variables and streams. */
#pragma once

#include <dlhost/function.h>
#include <dlhost/op.h>
#include <dlhost/random.h>

struct _DlhNode {
    DlhGraph *graph;
    const DlhOp *op;
    DlhNode **inputs;
    gpointer attrs;
    const char *scope;
    DlhVariable *variable; /* of read and assign */
    DlhTensor *value;      /* of constant */
    guint id;
    guint n_inputs;
    DlhDType dtype;
    DlhShape shape;
};

struct _DlhVariable {
    DlhStore *store; /* not owned */
    char *name;
    DlhTensor *tensor;
    gboolean trainable;
    DlhPace pace;
};

struct _DlhStream {
    DlhStore *store; /* not owned */
    char *name;
    DlhVariable *counter; /* i64 scalar "random/<name>" */
    guint32 key[2];
};
/* (transfer full): the scope's text, which becomes @scope. Pushes and pops between two swaps balance. */
char *dlh_graph_swap_scope (DlhGraph *graph, const char *scope);

guint dlh_graph_n_nodes (DlhGraph *graph);
DlhNode *dlh_graph_node (DlhGraph *graph, guint id);
/* Bytes that live as long as the graph. */
gpointer dlh_graph_alloc (DlhGraph *graph, gsize n);
/* Nodes of random streams are numbered within their graph; Returns: the next number. */
guint dlh_graph_next_draw (DlhGraph *graph, DlhStream *stream);
/* What was pushed last by dlh_graph_push_rows(), NULL outside. */
DlhNode *dlh_graph_rows (DlhGraph *graph);
/* A copy of @op's node that keeps variable and value: for rewriting. */
DlhNode *dlh_node_new_full (const DlhOp *op, DlhGraph *graph, DlhNode *const *inputs,
                            guint n_inputs, gconstpointer attrs, DlhVariable *variable,
                            DlhTensor *value);

/* Leaves that the executor knows by address. */
extern const DlhOp dlh_op_input, dlh_op_constant, dlh_op_fill, dlh_op_read, dlh_op_assign,
    dlh_op_broadcast, dlh_op_sum, dlh_op_assert_finite, dlh_op_stop_gradient, dlh_op_as_noise,
    dlh_op_reshape;

/* Attributes of dlh_op_fill: p0 the value; shape and dtype beside it. */
typedef struct {
    double value;
    gint64 dtype;
    gint64 rank;
    gint64 dims[DLH_MAX_RANK];
} DlhFillAttrs;

/* Attributes of dlh_op_sum: which axes; keep. scale is 1 or, for a mean, 1 / count. */
typedef struct {
    double scale;
    gint64 keep;
    gint64 reduced[DLH_MAX_RANK];
} DlhSumAttrs;

const char *dlh_input_name (const DlhNode *node);
/* The sum of @n > 0 gradients of one value; @terms is used up. gradient-sum.c */
DlhNode *dlh_gradient_sum (DlhNode **terms, guint n);
/* marked[id] for the roots and all their ancestors; Returns: (transfer full). */
gboolean *dlh_graph_ancestors (DlhNode *const *roots, guint n_roots, guint *n_nodes);
/* The stream that a random node draws from, NULL for other nodes. A function that has such nodes adds
 * one to the stream's counter after each run. */
DlhStream *dlh_node_stream (const DlhNode *node);
/* The stream's counter; NULL with DLH_ERROR_STATE when a checkpoint holds another thing there. */
DlhVariable *dlh_stream_counter (DlhStream *stream, GError **error);
