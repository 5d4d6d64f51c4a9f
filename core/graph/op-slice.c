/* SPDX-License-Identifier: MIT */
/* Parts of arrays and arrays of parts: slice and its adjoint, concat, stack, pad, reverse. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "cpu/move.h"
#include "graph/axes.h"

static gsize
node_bytes (const DlhNode *node)
{
    return (gsize) dlh_shape_count (node->shape) * dlh_dtype_size (node->dtype);
}

// Copies all of @part's elements, to and from where the steps say. Offsets are in elements.
static void
move_part (const DlhNode *element, DlhShape part, const gint64 *to, gint64 to_offset,
           const gint64 *from, gint64 from_offset, void *out, const void *in)
{
    gsize size = dlh_dtype_size (element->dtype);
    DlhMove move = {0};

    if (!dlh_shape_count (part))
        return;
    for (guint i = 0; i < part.rank; i++)
        dlh_move_axis (&move, part.dims[i], to[i], from[i]);
    dlh_move_run (&move, size, (char *) out + to_offset * (gint64) size,
                  (const char *) in + from_offset * (gint64) size);
}

/* slice and slice_scatter: each the other's adjoint. */

// exec/plan.c knows it as well: a slice of whole rows is a view.
typedef struct {
    gint64 axis, start, stop, step;
} SliceAttrs;

typedef struct {
    gint64 axis, start, step, size;
} ScatterAttrs;

static gint64
slice_count (const SliceAttrs *a)
{
    return a->stop > a->start ? (a->stop - a->start - 1) / a->step + 1 : 0;
}

static gboolean
slice_fits (const SliceAttrs *a, gint64 size)
{
    return a->start >= 0 && a->start <= a->stop && a->stop <= size && a->step >= 1;
}

static gboolean
slice_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const SliceAttrs *a = node->attrs;
    const DlhNode *x = node->inputs[0];
    g_autofree char *s = NULL;

    if (!dlh_check_axis (node, a->axis, error))
        return FALSE;
    *dtype = x->dtype;
    if (slice_fits (a, x->shape.dims[a->axis])) {
        *shape = dlh_shape_with (x->shape, (guint) a->axis, slice_count (a));
        return TRUE;
    }
    s = dlh_shape_to_string (x->shape);
    return dlh_refuse (node, error,
                       "%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT
                       " does not fit axis %" G_GINT64_FORMAT " of %s",
                       a->start, a->stop, a->step, a->axis, s);
}

static void
slice_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const SliceAttrs *a = y->attrs;

    dx[0] =
        dlh_slice_scatter (dy, (int) a->axis, a->start, a->step, y->inputs[0]->shape.dims[a->axis]);
}

static gboolean
slice_run (const DlhCall *call, GError **error)
{
    const SliceAttrs *a = call->node->attrs;
    gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK], offset;

    (void) error;
    dlh_strides (call->node->shape, to);
    dlh_strides (call->node->inputs[0]->shape, from);
    offset = a->start * from[a->axis];
    from[a->axis] *= a->step;
    move_part (call->node, call->node->shape, to, 0, from, offset, call->out, call->in[0]);
    return TRUE;
}

static DlhNode *
slice_sample (DlhSample *s, guint which)
{
    DlhNode *x = which > 3 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 3, 4, 5));

    if (which == 0)
        return dlh_slice (x, 0, dlh_node_dim (x, 0) / 2, dlh_node_dim (x, 0), 1);
    if (which == 1)
        return dlh_slice (x, 1, 0, dlh_node_dim (x, 1), 2);
    if (which == 2)
        return dlh_slice (x, -1, dlh_node_dim (x, 2) / 4, dlh_node_dim (x, 2), 3);
    return which == 3 ? dlh_slice (x, 2, 0, 0, 1) : NULL;
}

static DlhNode *
slice_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 4 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_slice (x, 1, 0, 4, 1);
    if (which == 1)
        return dlh_slice (x, 1, 2, 1, 1);
    if (which == 2)
        return dlh_slice (x, 1, -1, 1, 1);
    if (which == 3)
        return dlh_slice (x, 1, 0, 3, 0);
    return which == 4 ? dlh_slice (x, -3, 0, 1, 1) : NULL;
}

static const DlhOp op_slice = {
    .size = sizeof (DlhOp),
    .name = "slice",
    .n_inputs = 1,
    .attrs_size = sizeof (SliceAttrs),
    .infer = slice_infer,
    .vjp = slice_vjp,
    .run = slice_run,
    .flops = dlh_flops_none,
    .sample = slice_sample,
    .reject = slice_reject,
};

DlhNode *
dlh_slice (DlhNode *x, int axis, gint64 start, gint64 stop, gint64 step)
{
    SliceAttrs a = {dlh_axis (x, axis), start, stop, step};
    gint64 size;

    if (!dlh_node_failed (x) && a.axis >= 0 && a.axis < x->shape.rank &&
        slice_fits (&a, size = x->shape.dims[a.axis])) {
        DlhShape shape = dlh_shape_with (x->shape, (guint) a.axis, slice_count (&a));
        DlhNode *fill = dlh_refill (x, shape);

        if (fill)
            return fill;
        if (dlh_shape_equal (shape, x->shape) && step == 1)
            return x;
        // Equal slices become equal nodes.
        a.stop = a.start + MAX (0, (slice_count (&a) - 1) * step + 1);
    }
    return dlh_node_new (&op_slice, &x, 1, &a);
}

DlhNode *
dlh_index (DlhNode *x, int axis, gint64 i)
{
    gint64 at = dlh_axis (x, axis);
    DlhNode *y = dlh_slice (x, axis, i, i + 1, 1);

    if (dlh_node_failed (y))
        return y;
    return dlh_reshape (y, dlh_shape_remove (y->shape, (guint) at));
}

static gboolean
scatter_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ScatterAttrs *a = node->attrs;
    const DlhNode *x = node->inputs[0];
    g_autofree char *s = NULL;
    gint64 n, last;

    if (!dlh_check_axis (node, a->axis, error))
        return FALSE;
    n = x->shape.dims[a->axis];
    *dtype = x->dtype;
    if (a->start >= 0 && a->step >= 1 && a->size >= 0 && a->start <= a->size &&
        (n == 0 ||
         (!__builtin_mul_overflow (n - 1, a->step, &last) && last < a->size - a->start))) {
        *shape = dlh_shape_with (x->shape, (guint) a->axis, a->size);
        return TRUE;
    }
    s = dlh_shape_to_string (x->shape);
    return dlh_refuse (node, error,
                       "axis %" G_GINT64_FORMAT " of %s from %" G_GINT64_FORMAT
                       " by %" G_GINT64_FORMAT " does not fit size %" G_GINT64_FORMAT,
                       a->axis, s, a->start, a->step, a->size);
}

static void
scatter_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const ScatterAttrs *a = y->attrs;
    gint64 n = y->inputs[0]->shape.dims[a->axis];

    dx[0] =
        dlh_slice (dy, (int) a->axis, a->start, a->start + MAX (0, (n - 1) * a->step + 1), a->step);
}

static gboolean
scatter_run (const DlhCall *call, GError **error)
{
    const ScatterAttrs *a = call->node->attrs;
    DlhShape part = call->node->inputs[0]->shape;
    gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK], offset;
    gsize bytes = node_bytes (call->node);

    (void) error;
    if (!bytes)
        return TRUE;
    memset (call->out, 0, bytes);
    dlh_strides (call->node->shape, to);
    dlh_strides (part, from);
    offset = a->start * to[a->axis];
    to[a->axis] *= a->step;
    move_part (call->node, part, to, offset, from, 0, call->out, call->in[0]);
    return TRUE;
}

static DlhNode *
scatter_sample (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4));

    if (which == 0)
        return dlh_slice_scatter (x, 0, 1, 1, dlh_node_dim (x, 0) + 2);
    if (which == 1)
        return dlh_slice_scatter (x, 1, 0, 2, 2 * dlh_node_dim (x, 1));
    return which == 2 ? dlh_slice_scatter (x, -1, 2, 3, 3 * dlh_node_dim (x, 2) + 2) : NULL;
}

static DlhNode *
scatter_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_slice_scatter (x, 1, 0, 2, 4);
    if (which == 1)
        return dlh_slice_scatter (x, 1, -1, 1, 4);
    return which == 2 ? dlh_slice_scatter (x, 2, 0, 1, 4) : NULL;
}

static const DlhOp op_slice_scatter = {
    .size = sizeof (DlhOp),
    .name = "slice_scatter",
    .n_inputs = 1,
    .attrs_size = sizeof (ScatterAttrs),
    .infer = scatter_infer,
    .vjp = scatter_vjp,
    .run = scatter_run,
    .flops = dlh_flops_none,
    .sample = scatter_sample,
    .reject = scatter_reject,
};

DlhNode *
dlh_slice_scatter (DlhNode *x, int axis, gint64 start, gint64 step, gint64 size)
{
    ScatterAttrs a = {dlh_axis (x, axis), start, step, size};

    if (!dlh_node_failed (x) && a.axis >= 0 && a.axis < x->shape.rank && start == 0 && step == 1 &&
        x->shape.dims[a.axis] == size)
        return x;
    return dlh_node_new (&op_slice_scatter, &x, 1, &a);
}

/* concat. */

typedef struct {
    gint64 axis;
} ConcatAttrs;

static gboolean
concat_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    gint64 axis = ((const ConcatAttrs *) node->attrs)->axis;
    const DlhNode *first = node->inputs[0];

    if (!dlh_check_axis (node, axis, error))
        return FALSE;
    *dtype = first->dtype;
    *shape = first->shape;
    for (guint i = 1; i < node->n_inputs; i++) {
        const DlhNode *x = node->inputs[i];
        DlhShape alike = x->shape;
        g_autofree char *s = NULL, *t = NULL;

        if (x->shape.rank == first->shape.rank)
            alike.dims[axis] = first->shape.dims[axis];
        if (x->dtype != *dtype || !dlh_shape_equal (alike, first->shape)) {
            s = dlh_shape_to_string (x->shape);
            t = dlh_shape_to_string (first->shape);
            return dlh_refuse (node, error,
                               "%s %s (input %u) does not fit %s %s along axis %" G_GINT64_FORMAT,
                               dlh_dtype_name (x->dtype), s, i, dlh_dtype_name (*dtype), t, axis);
        }
        if (__builtin_add_overflow (shape->dims[axis], x->shape.dims[axis], &shape->dims[axis]))
            return dlh_refuse (node, error, "the result is too large to count");
    }
    return TRUE;
}

static void
concat_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    gint64 axis = ((const ConcatAttrs *) y->attrs)->axis, at = 0;

    for (guint i = 0; i < y->n_inputs; i++) {
        gint64 n = y->inputs[i]->shape.dims[axis];

        dx[i] = dlh_slice (dy, (int) axis, at, at + n, 1);
        at += n;
    }
}

static gboolean
concat_run (const DlhCall *call, GError **error)
{
    gint64 axis = ((const ConcatAttrs *) call->node->attrs)->axis, at = 0;
    gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK];

    (void) error;
    dlh_strides (call->node->shape, to);
    for (guint i = 0; i < call->node->n_inputs; i++) {
        DlhShape part = call->node->inputs[i]->shape;

        dlh_strides (part, from);
        move_part (call->node, part, to, at * to[axis], from, 0, call->out, call->in[i]);
        at += part.dims[axis];
    }
    return TRUE;
}

static DlhNode *
concat_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 2, 3, 4);
    DlhNode *xs[3];

    if (which > 3)
        return NULL;
    for (guint i = 0; i < 3; i++) {
        // Three sizes along the axis; one part is empty in the last case.
        DlhShape part = dlh_shape_with (shape, which % 3, which == 3 && i == 1 ? 0 : i + 1);

        xs[i] = dlh_sample_uniform (s, -2, 2, part);
    }
    return dlh_concat (xs, 3, (int) which % 3);
}

static DlhNode *
concat_reject (DlhSample *s, guint which)
{
    DlhNode *xs[2];

    if (which > 2)
        return NULL;
    xs[0] = dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));
    xs[1] = which == 1 ? dlh_sample_index (s, 3, dlh_shape (2, 3))
                       : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 4));
    return dlh_concat (xs, 2, which == 2 ? 2 : 0);
}

static const DlhOp op_concat = {
    .size = sizeof (DlhOp),
    .name = "concat",
    .n_inputs = DLH_VARIADIC,
    .attrs_size = sizeof (ConcatAttrs),
    .infer = concat_infer,
    .vjp = concat_vjp,
    .run = concat_run,
    .flops = dlh_flops_none,
    .sample = concat_sample,
    .reject = concat_reject,
};

DlhNode *
dlh_concat (DlhNode *const *xs, guint n, int axis)
{
    ConcatAttrs a;

    g_return_val_if_fail (n > 0, NULL);
    a.axis = dlh_axis (xs[0], axis);
    if (n == 1 && a.axis >= 0 && a.axis < xs[0]->shape.rank)
        return xs[0];
    return dlh_node_new (&op_concat, xs, n, &a);
}

DlhNode *
dlh_stack (DlhNode *const *xs, guint n, int axis)
{
    g_autofree DlhNode **wide = g_new (DlhNode *, n);

    g_return_val_if_fail (n > 0, NULL);
    for (guint i = 0; i < n; i++)
        wide[i] = dlh_expand (xs[i], axis);
    return dlh_concat (wide, n, axis);
}

/* pad. */

typedef struct {
    double value;
    gint64 before[DLH_MAX_RANK], after[DLH_MAX_RANK];
} PadAttrs;

static gboolean
pad_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const PadAttrs *a = node->attrs;

    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    for (guint i = 0; i < shape->rank; i++)
        if (a->before[i] < 0 || a->after[i] < 0 ||
            __builtin_add_overflow (shape->dims[i], a->before[i], &shape->dims[i]) ||
            __builtin_add_overflow (shape->dims[i], a->after[i], &shape->dims[i]))
            return dlh_refuse (node, error,
                               "%" G_GINT64_FORMAT " before and %" G_GINT64_FORMAT
                               " after axis %u, must be 0 or more",
                               a->before[i], a->after[i], i);
    return TRUE;
}

static void
pad_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const PadAttrs *a = y->attrs;

    dx[0] = dy;
    for (guint i = 0; i < y->shape.rank; i++)
        dx[0] = dlh_slice (dx[0], (int) i, a->before[i], y->shape.dims[i] - a->after[i], 1);
}

static gboolean
pad_run (const DlhCall *call, GError **error)
{
    const PadAttrs *a = call->node->attrs;
    DlhShape part = call->node->inputs[0]->shape;
    gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK], offset = 0;
    DlhFillAttrs fill = {.value = a->value};
    DlhNode whole = *call->node;
    DlhCall call_fill = *call;

    whole.attrs = &fill;
    call_fill.node = &whole;
    if (!dlh_op_fill.run (&call_fill, error))
        return FALSE;
    dlh_strides (call->node->shape, to);
    dlh_strides (part, from);
    for (guint i = 0; i < part.rank; i++)
        offset += a->before[i] * to[i];
    move_part (call->node, part, to, offset, from, 0, call->out, call->in[0]);
    return TRUE;
}

static DlhNode *
pad_sample (DlhSample *s, guint which)
{
    static const gint64 widths[][3] = {{0, 0, 0}, {0, 2, 1}, {1, 0, 2}, {1, 1, 1}};

    if (which > 2)
        return NULL;
    return dlh_pad (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)), widths[which],
                    widths[which + 1], which - 1.0);
}

static DlhNode *
pad_reject (DlhSample *s, guint which)
{
    static const gint64 before[] = {0, 0}, after[] = {0, -1};

    return which ? NULL
                 : dlh_pad (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), before, after, 0);
}

static const DlhOp op_pad = {
    .size = sizeof (DlhOp),
    .name = "pad",
    .n_inputs = 1,
    .attrs_size = sizeof (PadAttrs),
    .infer = pad_infer,
    .vjp = pad_vjp,
    .run = pad_run,
    .flops = dlh_flops_none,
    .sample = pad_sample,
    .reject = pad_reject,
};

DlhNode *
dlh_pad (DlhNode *x, const gint64 *before, const gint64 *after, double value)
{
    PadAttrs a = {.value = value};
    gboolean any = FALSE;

    if (dlh_node_failed (x))
        return x;
    for (guint i = 0; i < x->shape.rank; i++) {
        a.before[i] = before[i];
        a.after[i] = after[i];
        any |= before[i] || after[i];
    }
    return any ? dlh_node_new (&op_pad, &x, 1, &a) : x;
}

/* reverse. */

typedef struct {
    gint64 axis;
} ReverseAttrs;

static gboolean
reverse_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return dlh_check_axis (node, ((const ReverseAttrs *) node->attrs)->axis, error);
}

static void
reverse_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_reverse (dy, (int) ((const ReverseAttrs *) y->attrs)->axis);
}

static gboolean
reverse_run (const DlhCall *call, GError **error)
{
    gint64 axis = ((const ReverseAttrs *) call->node->attrs)->axis;
    gint64 to[DLH_MAX_RANK], from[DLH_MAX_RANK], offset;
    DlhShape shape = call->node->shape;

    (void) error;
    dlh_strides (shape, to);
    dlh_strides (shape, from);
    offset = (shape.dims[axis] - 1) * from[axis];
    from[axis] = -from[axis];
    move_part (call->node, shape, to, 0, from, offset, call->out, call->in[0]);
    return TRUE;
}

static DlhNode *
reverse_sample (DlhSample *s, guint which)
{
    if (which > 2)
        return NULL;
    return dlh_reverse (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)), (int) which);
}

static DlhNode *
reverse_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_reverse (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2);
}

static const DlhOp op_reverse = {
    .size = sizeof (DlhOp),
    .name = "reverse",
    .n_inputs = 1,
    .attrs_size = sizeof (ReverseAttrs),
    .infer = reverse_infer,
    .vjp = reverse_vjp,
    .run = reverse_run,
    .flops = dlh_flops_none,
    .sample = reverse_sample,
    .reject = reverse_reject,
};

DlhNode *
dlh_reverse (DlhNode *x, int axis)
{
    ReverseAttrs a = {dlh_axis (x, axis)};

    if (x->op == &op_reverse && ((const ReverseAttrs *) x->attrs)->axis == a.axis)
        return x->inputs[0];
    return dlh_node_new (&op_reverse, &x, 1, &a);
}

const DlhOp *const dlh_ops_slice[] = {&op_slice, &op_slice_scatter, &op_concat,
                                      &op_pad,   &op_reverse,       NULL};
