/* SPDX-License-Identifier: MIT */
/* Other shapes for the same elements: reshape, transpose, broadcast. */
#include <dlhost/dlhost.h>
#include "cpu/move.h"
#include "graph/axes.h"

typedef struct {
    gint64 rank, dims[DLH_MAX_RANK];
} ShapeAttrs;

static ShapeAttrs
shape_attrs (DlhShape shape)
{
    ShapeAttrs a = {.rank = shape.rank};

    for (guint i = 0; i < shape.rank; i++)
        a.dims[i] = shape.dims[i];
    return a;
}

/* reshape: a view. */

static gboolean
reshape_fits (DlhShape from, DlhShape to)
{
    return dlh_shape_valid (to) && dlh_shape_count (from) == dlh_shape_count (to);
}

static gboolean
reshape_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ShapeAttrs *a = node->attrs;
    DlhShape from = node->inputs[0]->shape;
    g_autofree char *s = NULL, *t = NULL;

    *dtype = node->inputs[0]->dtype;
    *shape = dlh_shape_make ((guint) a->rank, a->dims);
    if (reshape_fits (from, *shape))
        return TRUE;
    s = dlh_shape_to_string (from);
    t = dlh_shape_to_string (*shape);
    return dlh_refuse (node, error, "%s has %" G_GINT64_FORMAT " elements, which do not fit %s", s,
                       dlh_shape_count (from), t);
}

static void
reshape_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_reshape (dy, y->inputs[0]->shape);
}

static DlhNode *
reshape_sample (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4));

    if (which == 0)
        return dlh_reshape (
            x, dlh_shape (dlh_node_dim (x, 2), dlh_node_dim (x, 0) * dlh_node_dim (x, 1)));
    if (which == 1)
        return dlh_flatten (x, 1);
    return which == 2 ? dlh_expand (x, -1) : NULL;
}

static DlhNode *
reshape_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_reshape (x, dlh_shape (5));
    if (which == 1)
        return dlh_reshape (x, dlh_shape (-1, 4));
    return which == 2 ? dlh_reshape (x, dlh_shape (-1, -1)) : NULL;
}

const DlhOp dlh_op_reshape = {
    .size = sizeof (DlhOp),
    .name = "reshape",
    .n_inputs = 1,
    .attrs_size = sizeof (ShapeAttrs),
    .flags = DLH_OP_VIEW,
    .infer = reshape_infer,
    .vjp = reshape_vjp,
    .flops = dlh_flops_none,
    .sample = reshape_sample,
    .reject = reshape_reject,
};

// A lone -1 in @to is what is left of @from; otherwise @to as it is.
static DlhShape
resolve (DlhShape from, DlhShape to)
{
    gint64 known = 1;
    int open = -1;

    for (guint i = 0; i < to.rank; i++) {
        if (to.dims[i] == -1 && open < 0)
            open = (int) i;
        else if (to.dims[i] < 0 || __builtin_mul_overflow (known, to.dims[i], &known))
            return to;
    }
    if (open >= 0 && known > 0 && dlh_shape_count (from) % known == 0)
        to.dims[open] = dlh_shape_count (from) / known;
    return to;
}

DlhNode *
dlh_reshape (DlhNode *x, DlhShape shape)
{
    ShapeAttrs a;

    if (dlh_node_failed (x))
        return x;
    shape = resolve (x->shape, shape);
    a = shape_attrs (shape);
    if (reshape_fits (x->shape, shape)) {
        DlhNode *fill = dlh_refill (x, shape);

        if (fill)
            return fill;
        while (x->op == &dlh_op_reshape)
            x = x->inputs[0];
        if (dlh_shape_equal (x->shape, shape))
            return x;
    }
    return dlh_node_new (&dlh_op_reshape, &x, 1, &a);
}

DlhNode *
dlh_flatten (DlhNode *x, guint first_axis)
{
    gint64 rest = 1;

    if (dlh_node_failed (x))
        return x;
    if (first_axis > x->shape.rank || first_axis >= DLH_MAX_RANK) {
        g_autofree char *s = dlh_shape_to_string (x->shape);

        return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "flatten: %s has no axis %u", s,
                               first_axis);
    }
    for (guint i = first_axis; i < x->shape.rank; i++)
        rest *= x->shape.dims[i];
    return dlh_reshape (
        x, dlh_shape_insert (dlh_shape_make (first_axis, x->shape.dims), first_axis, rest));
}

DlhNode *
dlh_expand (DlhNode *x, int axis)
{
    int rank = (int) x->shape.rank + 1, at = axis < 0 ? axis + rank : axis;

    if (dlh_node_failed (x))
        return x;
    if (at < 0 || at >= rank || rank > DLH_MAX_RANK) {
        g_autofree char *s = dlh_shape_to_string (x->shape);

        return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "expand: no axis %d can be put into %s",
                               axis, s);
    }
    return dlh_reshape (x, dlh_shape_insert (x->shape, (guint) at, 1));
}

/* transpose. */

typedef struct {
    gint64 rank, axes[DLH_MAX_RANK];
} TransposeAttrs;

static gboolean
is_permutation (const TransposeAttrs *a, guint rank)
{
    guint seen = 0;

    for (guint i = 0; i < rank; i++)
        if (a->axes[i] >= 0 && a->axes[i] < rank)
            seen |= 1u << a->axes[i];
    return a->rank == rank && seen == (1u << rank) - 1;
}

static gboolean
transpose_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const TransposeAttrs *a = node->attrs;
    const DlhNode *x = node->inputs[0];
    g_autofree char *s = NULL, *t = NULL;

    *dtype = x->dtype;
    *shape = dlh_shape_make (x->shape.rank, x->shape.dims);
    if (is_permutation (a, x->shape.rank)) {
        for (guint i = 0; i < x->shape.rank; i++)
            shape->dims[i] = x->shape.dims[a->axes[i]];
        return TRUE;
    }
    s = dlh_shape_to_string (x->shape);
    t = dlh_shape_to_string (dlh_shape_make ((guint) a->rank, a->axes));
    return dlh_refuse (node, error, "%s is no order of the axes of %s", t, s);
}

static void
transpose_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const TransposeAttrs *a = y->attrs;
    guint inverse[DLH_MAX_RANK];

    for (guint i = 0; i < y->shape.rank; i++)
        inverse[a->axes[i]] = i;
    dx[0] = dlh_transpose (dy, inverse, y->shape.rank);
}

static gboolean
transpose_run (const DlhCall *call, GError **error)
{
    const DlhNode *y = call->node;
    const TransposeAttrs *a = y->attrs;
    gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK];
    DlhMove move = {0};

    (void) error;
    dlh_strides (y->shape, to);
    dlh_strides (y->inputs[0]->shape, from);
    for (guint i = 0; i < y->shape.rank; i++)
        dlh_move_axis (&move, y->shape.dims[i], to[i], from[a->axes[i]]);
    dlh_move_run (&move, dlh_dtype_size (y->dtype), call->out, call->in[0]);
    return TRUE;
}

static DlhNode *
transpose_sample (DlhSample *s, guint which)
{
    static const guint axes[][4] = {{1, 0}, {2, 0, 1}, {0, 2, 1}, {0, 3, 1, 2}, {0, 2, 1, 3}};
    static const guint ranks[] = {2, 3, 3, 4, 4};
    DlhShape shape = {0, {3, 4, 2, 5}};

    if (which >= G_N_ELEMENTS (ranks))
        return NULL;
    shape = dlh_sample_resize (s, dlh_shape_make (ranks[which], shape.dims));
    return dlh_transpose (dlh_sample_uniform (s, -2, 2, shape), axes[which], shape.rank);
}

static DlhNode *
transpose_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_transpose (x, (const guint[]){0, 0}, 2);
    if (which == 1)
        return dlh_transpose (x, (const guint[]){0, 2}, 2);
    return which == 2 ? dlh_transpose (x, (const guint[]){0}, 1) : NULL;
}

static const DlhOp op_transpose = {
    .size = sizeof (DlhOp),
    .name = "transpose",
    .n_inputs = 1,
    .attrs_size = sizeof (TransposeAttrs),
    .infer = transpose_infer,
    .vjp = transpose_vjp,
    .run = transpose_run,
    .flops = dlh_flops_none,
    .sample = transpose_sample,
    .reject = transpose_reject,
};

// Whether the elements keep their order: only axes of size 1 change place.
static gboolean
keeps_order (const TransposeAttrs *a, DlhShape from)
{
    gint64 last = -1;

    for (gint64 i = 0; i < a->rank; i++) {
        if (from.dims[a->axes[i]] == 1)
            continue;
        if (a->axes[i] < last)
            return FALSE;
        last = a->axes[i];
    }
    return TRUE;
}

DlhNode *
dlh_transpose (DlhNode *x, const guint *axes, guint n)
{
    TransposeAttrs a = {.rank = MIN (n, DLH_MAX_RANK)};
    DlhShape shape;

    for (gint64 i = 0; i < a.rank; i++)
        a.axes[i] = axes[i];
    if (dlh_node_failed (x) || !is_permutation (&a, x->shape.rank))
        return dlh_node_new (&op_transpose, &x, 1, &a);
    if (x->op == &op_transpose) {
        const TransposeAttrs *b = x->attrs;

        for (gint64 i = 0; i < a.rank; i++)
            a.axes[i] = b->axes[a.axes[i]];
        x = x->inputs[0];
    }
    shape = x->shape;
    for (gint64 i = 0; i < a.rank; i++)
        shape.dims[i] = x->shape.dims[a.axes[i]];
    if (keeps_order (&a, x->shape) || dlh_node_constant_value (x, &(double){0}))
        return dlh_reshape (x, shape);
    return dlh_node_new (&op_transpose, &x, 1, &a);
}

DlhNode *
dlh_t (DlhNode *x)
{
    guint axes[DLH_MAX_RANK], rank = x->shape.rank;

    if (dlh_node_failed (x))
        return x;
    if (rank < 2) {
        g_autofree char *s = dlh_shape_to_string (x->shape);

        return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "t: %s has no two axes to exchange", s);
    }
    for (guint i = 0; i < rank; i++)
        axes[i] = i;
    axes[rank - 2] = rank - 1;
    axes[rank - 1] = rank - 2;
    return dlh_transpose (x, axes, rank);
}

/* broadcast. */

static gboolean
broadcast_fits (DlhShape from, DlhShape to)
{
    guint before = to.rank - from.rank;

    if (to.rank < from.rank || !dlh_shape_valid (to))
        return FALSE;
    for (guint i = 0; i < from.rank; i++)
        if (from.dims[i] != 1 && from.dims[i] != to.dims[before + i])
            return FALSE;
    return TRUE;
}

static gboolean
broadcast_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ShapeAttrs *a = node->attrs;
    g_autofree char *s = NULL, *t = NULL;

    *dtype = node->inputs[0]->dtype;
    *shape = dlh_shape_make ((guint) a->rank, a->dims);
    if (broadcast_fits (node->inputs[0]->shape, *shape))
        return TRUE;
    s = dlh_shape_to_string (node->inputs[0]->shape);
    t = dlh_shape_to_string (*shape);
    return dlh_refuse (node, error, "%s does not fit %s", s, t);
}

static void
broadcast_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_sum_to (dy, y->inputs[0]->shape);
}

static gboolean
broadcast_run (const DlhCall *call, GError **error)
{
    const DlhNode *y = call->node;
    DlhShape from = y->inputs[0]->shape;
    gint64 to_steps[DLH_MAX_RANK], from_steps[DLH_MAX_RANK];
    guint before = y->shape.rank - from.rank;
    DlhMove move = {0};

    (void) error;
    dlh_strides (y->shape, to_steps);
    dlh_strides (from, from_steps);
    for (guint i = 0; i < y->shape.rank; i++) {
        gboolean repeated = i < before || from.dims[i - before] == 1;

        dlh_move_axis (&move, y->shape.dims[i], to_steps[i], repeated ? 0 : from_steps[i - before]);
    }
    dlh_move_run (&move, dlh_dtype_size (y->dtype), call->out, call->in[0]);
    return TRUE;
}

static DlhNode *
broadcast_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 2, 3, 4);
    DlhShape from[] = {dlh_shape_remove (shape, 0), dlh_shape_with (shape, 1, 1),
                       dlh_shape (shape.dims[1], 1), dlh_shape ()};

    if (which >= G_N_ELEMENTS (from))
        return NULL;
    return dlh_broadcast (dlh_sample_uniform (s, -2, 2, from[which]), shape);
}

static DlhNode *
broadcast_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_broadcast (x, dlh_shape (3, 2));
    if (which == 1)
        return dlh_broadcast (x, dlh_shape (3));
    return which == 2 ? dlh_broadcast (x, dlh_shape (-1, 2, 3)) : NULL;
}

const DlhOp dlh_op_broadcast = {
    .size = sizeof (DlhOp),
    .name = "broadcast",
    .n_inputs = 1,
    .attrs_size = sizeof (ShapeAttrs),
    .infer = broadcast_infer,
    .vjp = broadcast_vjp,
    .run = broadcast_run,
    .flops = dlh_flops_none,
    .sample = broadcast_sample,
    .reject = broadcast_reject,
};

DlhNode *
dlh_broadcast (DlhNode *x, DlhShape shape)
{
    ShapeAttrs a = shape_attrs (shape);

    if (dlh_node_failed (x))
        return x;
    if (broadcast_fits (x->shape, shape)) {
        DlhNode *fill;

        if (dlh_shape_equal (x->shape, shape))
            return x;
        fill = dlh_refill (x, shape);
        if (fill)
            return fill;
        if (x->op == &dlh_op_broadcast)
            x = x->inputs[0];
    }
    return dlh_node_new (&dlh_op_broadcast, &x, 1, &a);
}

const DlhOp *const dlh_ops_arrange[] = {&dlh_op_reshape, &op_transpose, &dlh_op_broadcast, NULL};
