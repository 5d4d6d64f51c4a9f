/* SPDX-License-Identifier: MIT */
/* Following the axis of the examples through a graph. A value's elements belong to example
 * (i / inner) % N where i is the index along one axis: so sequences may come time first, and axes
 * may be folded into one. An op of which nothing is known is trusted to keep its leading axes
 * apart. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "perturb/private.h"

static DlhCases
along (guint axis, gint64 inner)
{
    return (DlhCases){DLH_CASES_ALONG, axis, inner, NULL};
}

static DlhCases
lost_at (const DlhNode *node)
{
    return (DlhCases){DLH_CASES_LOST, 0, 1, node};
}

static gint64
product_of (const gint64 *dims, guint n)
{
    gint64 count = 1;

    for (guint i = 0; i < n; i++)
        count *= dims[i];
    return count;
}

static DlhCases
merge (DlhCases a, DlhCases b, const DlhNode *node)
{
    if (a.state == DLH_CASES_NONE || b.state == DLH_CASES_LOST)
        return b;
    if (b.state == DLH_CASES_NONE || a.state == DLH_CASES_LOST)
        return a;
    return a.axis == b.axis && a.inner == b.inner ? a : lost_at (node);
}

// The flat index stays: example = (flat / stride) % N. Axes of size 1 leave a choice: the first.
static DlhCases
reshaped (const DlhNode *node, DlhCases c, gint64 n)
{
    const DlhShape from = node->inputs[0]->shape, to = node->shape;
    const gint64 stride = c.inner * product_of (from.dims + c.axis + 1, from.rank - c.axis - 1);

    for (guint a = 0; a < to.rank; a++) {
        const gint64 after = product_of (to.dims + a + 1, to.rank - a - 1);

        if (after && stride % after == 0 && stride / after * n <= to.dims[a] &&
            to.dims[a] % (stride / after * n) == 0 && stride >= after)
            return along (a, stride / after);
    }
    return lost_at (node);
}

static DlhCases
transposed (const DlhNode *node, DlhCases c)
{
    const gint64 *axes = (const gint64 *)node->attrs + 1;

    for (guint k = 0; k < node->shape.rank; k++)
        if (axes[k] == c.axis)
            return along (k, c.inner);
    return lost_at (node);
}

static DlhCases
summed (const DlhNode *node, DlhCases c)
{
    const DlhSumAttrs *a = node->attrs;
    guint axis = c.axis;

    // What has been summed over the examples belongs to none of them.
    if (a->reduced[c.axis])
        return (DlhCases){DLH_CASES_NONE, 0, 1, NULL};
    for (guint i = 0; i < c.axis && !a->keep; i++)
        axis -= a->reduced[i] != 0;
    return along (axis, c.inner);
}

static DlhCases
sliced (const DlhNode *node, DlhCases c, gint64 n)
{
    const gint64 *a = node->attrs; // axis, start, stop, step
    const gint64 block = n * c.inner;

    if (a[0] != c.axis || (a[3] == 1 && a[1] % block == 0 && (a[2] - a[1]) % block == 0))
        return c;
    return lost_at (node);
}

static DlhCases
padded (const DlhNode *node, DlhCases c)
{
    const struct {
        double value;
        gint64 before[DLH_MAX_RANK], after[DLH_MAX_RANK];
    } *a = node->attrs;

    return a->before[c.axis] || a->after[c.axis] ? lost_at (node) : c;
}

static DlhCases
gathered (const DlhNode *node, guint input, DlhCases c)
{
    const guint axis = (guint) * (const gint64 *)node->attrs;

    if (input == 1)
        return along (c.axis + axis, c.inner);
    if (c.axis == axis)
        return lost_at (node);
    return c.axis < axis ? c : along (c.axis + node->inputs[1]->shape.rank - 1, c.inner);
}

static DlhCases
multiplied (const DlhNode *node, guint input, DlhCases c)
{
    const DlhMatmulAttrs *t = node->attrs; // those of matmul-rounded begin with them
    const guint rank = node->inputs[input]->shape.rank;
    const gboolean transposed = (input ? t->transpose_b : t->transpose_a) != 0;
    const guint kept = rank - ((transposed != 0) == (input != 0) ? 2 : 1);

    if (c.axis < rank - 2)
        return along (c.axis + node->shape.rank - rank, c.inner);
    if (c.axis == kept) // rows of the first, columns of the second
        return along (node->shape.rank - (input ? 1 : 2), c.inner);
    return (DlhCases){DLH_CASES_NONE, 0, 1, NULL};
}

// The leading axes, up to the examples', are as they were.
static DlhCases
kept (const DlhNode *node, const DlhNode *input, DlhCases c)
{
    const guint n = c.axis + 1;

    return node->shape.rank >= n &&
                   memcmp (node->shape.dims, input->shape.dims, n * sizeof (gint64)) == 0
               ? c
               : lost_at (node);
}

static DlhCases
through (const DlhNode *node, guint input, DlhCases c, gint64 n)
{
    const DlhNode *x = node->inputs[input];

    if (c.state != DLH_CASES_ALONG)
        return c;
    if (node->op == &dlh_op_reshape)
        return reshaped (node, c, n);
    if (dlh_node_is (node, "transpose"))
        return transposed (node, c);
    if (node->op == &dlh_op_broadcast)
        return along (c.axis + node->shape.rank - x->shape.rank, c.inner);
    if (node->op == &dlh_op_sum)
        return summed (node, c);
    if (dlh_node_is (node, "slice"))
        return sliced (node, c, n);
    if (dlh_node_is (node, "concat"))
        return c;
    if (dlh_node_is (node, "pad"))
        return padded (node, c);
    if (dlh_node_is (node, "gather"))
        return gathered (node, input, c);
    if (dlh_node_is (node, "matmul") || dlh_node_is (node, "matmul-rounded"))
        return multiplied (node, input, c);
    if ((dlh_node_is (node, "linear") && c.axis + 1 == x->shape.rank) ||
        (dlh_node_is (node, "reverse") && *(const gint64 *)node->attrs == c.axis))
        return lost_at (node);
    return kept (node, x, c);
}

// Steps of T x N are joined in whole batches; what has no examples must leave their places alone.
static DlhCases
check_concat (const DlhNode *node, DlhCases c, gint64 n)
{
    if (c.state != DLH_CASES_ALONG || *(const gint64 *)node->attrs != c.axis)
        return c;
    for (guint k = 0; k < node->n_inputs; k++)
        if (node->inputs[k]->shape.dims[c.axis] % (n * c.inner))
            return lost_at (node);
    return c;
}

// One example: all that depends on it is its own, along whatever axis.
static DlhCases *
follow_one (DlhNode *const *roots, const gboolean *marked, guint n_nodes, const DlhNode *x)
{
    DlhCases *cases = g_new0 (DlhCases, n_nodes);
    g_autofree gboolean *depends = g_new0 (gboolean, n_nodes);

    for (guint id = 0; id < n_nodes; id++) {
        const DlhNode *node = marked[id] ? dlh_graph_node (roots[0]->graph, id) : NULL;

        for (guint k = 0; node && k < node->n_inputs; k++)
            depends[id] |= depends[node->inputs[k]->id];
        depends[id] |= node == x;
        if (node && depends[id] && node->shape.rank > 0)
            cases[id] = along (0, 1);
    }
    return cases;
}

DlhCases *
dlh_cases_follow (DlhNode *const *roots, guint n_roots, DlhNode *x)
{
    const gint64 n = dlh_node_dim (x, 0);
    guint n_nodes;
    g_autofree gboolean *marked = dlh_graph_ancestors (roots, n_roots, &n_nodes);
    DlhCases *cases;

    if (n == 1)
        return follow_one (roots, marked, n_nodes, x);
    cases = g_new0 (DlhCases, n_nodes);
    for (guint id = 0; id < n_nodes; id++) {
        const DlhNode *node = marked[id] ? dlh_graph_node (roots[0]->graph, id) : NULL;

        for (guint k = 0; node && k < node->n_inputs; k++)
            cases[id] = merge (cases[id], through (node, k, cases[node->inputs[k]->id], n), node);
        if (node && dlh_node_is (node, "concat"))
            cases[id] = check_concat (node, cases[id], n);
        if (node == x)
            cases[id] = along (0, 1);
    }
    return cases;
}

// The axes of @shape with the examples' unfolded: (.., outer, N, inner, ..), or as they are.
static DlhShape
unfolded (const DlhCases *c, gint64 n, DlhShape shape)
{
    DlhShape s = {.rank = 0};

    if (shape.dims[c->axis] == n)
        return shape;
    for (guint a = 0; a < shape.rank; a++) {
        if (a != c->axis) {
            s.dims[s.rank++] = shape.dims[a];
            continue;
        }
        s.dims[s.rank++] = shape.dims[a] / (n * c->inner);
        s.dims[s.rank++] = n;
        s.dims[s.rank++] = c->inner;
    }
    return s;
}

DlhNode *
dlh_cases_spread (const DlhCases *cases, DlhNode *v, DlhShape shape, guint channel)
{
    const gint64 n = dlh_node_dim (v, 0);
    const DlhShape view = unfolded (cases, n, shape);
    const guint extra = view.rank - shape.rank, at = cases->axis + extra / 2;
    DlhShape thin = view, column = shape;

    for (guint a = 0; a < view.rank; a++)
        if (a != at && !(dlh_node_rank (v) == 2 && a == channel + extra))
            thin.dims[a] = 1;
    v = dlh_reshape (v, thin);
    if (!extra)
        return v;
    // Unfolded: repeated along the axis, and folded again.
    for (guint a = 0; a < shape.rank; a++)
        if (a != cases->axis && !(a == channel && thin.dims[a + extra] > 1))
            column.dims[a] = 1;
    for (guint a = cases->axis; a < cases->axis + 3; a++)
        thin.dims[a] = view.dims[a];
    return dlh_reshape (dlh_broadcast (v, thin), column);
}

/* With examples first. The axes are (A, N, B, rest): A what comes before, B between and @last. */

static void
around (const DlhCases *c, gint64 n, DlhShape shape, guint last, gint64 *sizes)
{
    sizes[0] = product_of (shape.dims, c->axis) * (shape.dims[c->axis] / (n * c->inner));
    sizes[1] = n;
    sizes[2] = c->inner * product_of (shape.dims + c->axis + 1, last - c->axis - 1);
    sizes[3] = product_of (shape.dims + last, shape.rank - last);
}

DlhNode *
dlh_cases_gather (const DlhCases *cases, DlhNode *x, gint64 n, guint last)
{
    gint64 s[4];

    around (cases, n, dlh_node_shape (x), last, s);
    x = dlh_reshape (x, dlh_shape (s[0], s[1], s[2], s[3]));
    x = dlh_transpose (x, (const guint[]){1, 0, 2, 3}, 4);
    return dlh_reshape (x, dlh_shape (s[1], s[0] * s[2], s[3]));
}

DlhNode *
dlh_cases_scatter (const DlhCases *cases, DlhNode *x, gint64 n, DlhShape shape, guint last)
{
    gint64 s[4];

    around (cases, n, shape, last, s);
    x = dlh_reshape (x, dlh_shape (s[1], s[0], s[2], s[3]));
    return dlh_reshape (dlh_transpose (x, (const guint[]){1, 0, 2, 3}, 4), shape);
}
