/* SPDX-License-Identifier: MIT */
/* Reverse-mode differentiation: each row's vjp() adds nodes, so gradients are differentiable again.
 */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"

// needed[id]: whether node id lies between some x and y.
static gboolean *
find_needed (DlhNode *y, DlhNode *const *xs, guint n)
{
    gboolean *needed = g_new0 (gboolean, y->id + 1);

    for (guint i = 0; i < n; i++)
        if (xs[i]->id <= y->id)
            needed[xs[i]->id] = TRUE;
    for (guint id = 0; id <= y->id; id++) {
        DlhNode *node = dlh_graph_node (y->graph, id);

        for (guint k = 0; k < node->n_inputs && !needed[id]; k++)
            needed[id] = needed[node->inputs[k]->id];
    }
    return needed;
}

// All uses of a node have later ids: once the way back has come to it, nothing is added.
static DlhNode *
total (GPtrArray **terms, guint id)
{
    return terms[id] ? dlh_gradient_sum ((DlhNode **)terms[id]->pdata, terms[id]->len) : NULL;
}

static void
add_term (GPtrArray **terms, const DlhNode *x, DlhNode *dx)
{
    if (!terms[x->id])
        terms[x->id] = g_ptr_array_new ();
    g_ptr_array_add (terms[x->id], dx);
}

static void
backward (DlhNode *y, DlhNode *dy, const gboolean *needed, DlhNode **grads)
{
    DlhGraph *graph = y->graph;
    g_autofree GPtrArray **terms = g_new0 (GPtrArray *, y->id + 1);

    add_term (terms, y, dy);
    for (guint id = y->id + 1; id-- > 0 && dlh_graph_check (graph, NULL);) {
        DlhNode *node = dlh_graph_node (graph, id);
        g_autofree DlhNode **dx = NULL;
        g_autofree char *scope = NULL;

        grads[id] = total (terms, id);
        if (!grads[id] || !needed[id] || !node->op->vjp)
            continue;
        dx = g_new0 (DlhNode *, node->n_inputs);
        // Whose gradient: costs and errors are told by layer.
        scope = g_strconcat ("gradient", *node->scope ? "/" : "", node->scope, NULL);
        dlh_graph_push_scope (graph, scope);
        node->op->vjp (node, grads[id], dx);
        dlh_graph_pop_scope (graph);
        for (guint k = 0; k < node->n_inputs; k++)
            if (dx[k] && needed[node->inputs[k]->id])
                add_term (terms, node->inputs[k], dx[k]);
    }
    for (guint id = 0; id <= y->id; id++)
        if (terms[id])
            g_ptr_array_unref (terms[id]);
}

void
dlh_gradients (DlhNode *y, DlhNode *const *xs, guint n, DlhNode *seed, DlhNode **out)
{
    g_autofree gboolean *needed = NULL;
    g_autofree DlhNode **grads = NULL;
    gboolean failed = dlh_node_failed (y) || (seed && dlh_node_failed (seed));

    for (guint i = 0; i < n; i++) {
        failed |= dlh_node_failed (xs[i]);
        if (!failed && xs[i]->graph != y->graph) {
            dlh_graph_fail (y->graph, DLH_ERROR_GRAPH, "gradients: y and x %u are of two graphs",
                            i);
            failed = TRUE;
        }
    }
    if (!failed && !seed)
        seed = dlh_full_like (y, 1);
    if (!failed && !(dlh_shape_equal (seed->shape, y->shape) && seed->dtype == y->dtype)) {
        g_autofree char *a = dlh_node_describe (seed), *b = dlh_node_describe (y);

        dlh_graph_fail (y->graph, DLH_ERROR_SHAPE, "gradients: the seed (%s) is not like y (%s)", a,
                        b);
        failed = TRUE;
    }
    if (failed) {
        for (guint i = 0; i < n; i++)
            out[i] = dlh_graph_fail (y->graph, DLH_ERROR_GRAPH, "gradients: of a failed node");
        return;
    }
    needed = find_needed (y, xs, n);
    grads = g_new0 (DlhNode *, y->id + 1);
    backward (y, seed, needed, grads);
    for (guint i = 0; i < n; i++)
        out[i] =
            xs[i]->id <= y->id && grads[xs[i]->id] ? grads[xs[i]->id] : dlh_full_like (xs[i], 0);
}

DlhNode *
dlh_gradient (DlhNode *y, DlhNode *x)
{
    DlhNode *dx;

    dlh_gradients (y, &x, 1, NULL, &dx);
    return dx;
}

// A cotangent that only serves to be differentiated by: zero, but not known to be constant.
static gboolean
tangent_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    return dlh_op_fill.infer (node, dtype, shape, error);
}

static gboolean
tangent_run (const DlhCall *call, GError **error)
{
    return dlh_op_fill.run (call, error);
}

static const DlhOp op_tangent = {
    .size = sizeof (DlhOp),
    .name = "tangent",
    .attrs_size = sizeof (DlhFillAttrs),
    .flags = DLH_OP_IMPURE,
    .infer = tangent_infer,
    .run = tangent_run,
};

DlhNode *
dlh_jvp (DlhNode *y, DlhNode *const *xs, DlhNode *const *tangents, guint n)
{
    g_autofree DlhNode **dx = g_new0 (DlhNode *, n);
    DlhFillAttrs a = {.dtype = y->dtype, .rank = y->shape.rank};
    DlhNode *u, *sum = NULL;

    if (dlh_node_failed (y))
        return y;
    memcpy (a.dims, y->shape.dims, sizeof a.dims);
    u = dlh_node_new_leaf (y->graph, &op_tangent, &a);
    dlh_gradients (y, xs, n, u, dx);
    // <J'u, t> is linear in u; its gradient by u is J t.
    for (guint i = 0; i < n; i++) {
        DlhNode *term = dlh_dot (dx[i], tangents[i]);

        sum = sum ? dlh_add (sum, term) : term;
    }
    return sum ? dlh_gradient (sum, u) : dlh_full_like (y, 0);
}
