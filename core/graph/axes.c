/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <dlhost/arrange.h>
#include "graph/axes.h"

DlhAround
dlh_around (DlhShape shape, gint64 axis)
{
    DlhAround a = {1, shape.dims[axis], 1};

    for (gint64 i = 0; i < axis; i++)
        a.outer *= shape.dims[i];
    for (guint i = (guint) axis + 1; i < shape.rank; i++)
        a.inner *= shape.dims[i];
    return a;
}

gint64
dlh_axis (const DlhNode *x, int axis)
{
    int rank = (int) x->shape.rank;

    return axis < 0 && axis >= -rank ? axis + rank : axis;
}

DlhNode *
dlh_axes_mark (DlhNode *x, const char *op, const int *axes, guint n, gint64 reduced[DLH_MAX_RANK])
{
    memset (reduced, 0, DLH_MAX_RANK * sizeof *reduced);
    for (guint i = 0; i < n; i++) {
        gint64 a = dlh_axis (x, axes[i]);
        g_autofree char *s = NULL;

        if (a >= 0 && a < x->shape.rank && !reduced[a]) {
            reduced[a] = 1;
            continue;
        }
        s = dlh_shape_to_string (x->shape);
        if (a >= 0 && a < x->shape.rank)
            return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "%s: axis %d of %s is named twice",
                                   op, axes[i], s);
        return dlh_graph_fail (x->graph, DLH_ERROR_SHAPE, "%s: %s has no axis %d", op, s, axes[i]);
    }
    return NULL;
}

gboolean
dlh_refuse (const DlhNode *node, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "%s: %s", node->op->name, text);
    return FALSE;
}

gboolean
dlh_check_axis (const DlhNode *node, gint64 axis, GError **error)
{
    DlhShape shape = node->inputs[0]->shape;
    g_autofree char *s = NULL;

    if (axis >= 0 && axis < shape.rank)
        return TRUE;
    s = dlh_shape_to_string (shape);
    return dlh_refuse (node, error, "%s has no axis %" G_GINT64_FORMAT, s, axis);
}

gboolean
dlh_check_float (const DlhNode *node, GError **error)
{
    DlhDType t = node->inputs[0]->dtype;

    if (dlh_dtype_is_float (t))
        return TRUE;
    return dlh_refuse (node, error, "the input is %s, must be f32 or f64", dlh_dtype_name (t));
}

gboolean
dlh_check_index (const DlhNode *node, guint input, GError **error)
{
    DlhDType t = node->inputs[input]->dtype;

    if (t == DLH_I32 || t == DLH_I64)
        return TRUE;
    return dlh_refuse (node, error, "the index is %s, must be i32 or i64", dlh_dtype_name (t));
}

DlhNode *
dlh_refill (DlhNode *x, DlhShape shape)
{
    double v;

    // Larger integers do not survive the way through a double.
    if (!dlh_node_constant_value (x, &v) ||
        (!dlh_dtype_is_float (x->dtype) && !(fabs (v) <= 9007199254740992.0)))
        return NULL;
    return dlh_full (x->graph, x->dtype, shape, v);
}

double
dlh_flops_none (const DlhNode *node)
{
    (void) node;
    return 0;
}

double
dlh_flops_input (const DlhNode *node)
{
    return (double) dlh_shape_count (node->inputs[0]->shape);
}

DlhNode *
dlh_axes_join (DlhNode *x, const gint64 reduced[DLH_MAX_RANK], gboolean keep, DlhShape *shape)
{
    gint64 outer = 1, n = 1, inner = 1;
    guint order[DLH_MAX_RANK], at = 0, first = 0, last = 0;
    gboolean apart = FALSE;

    *shape = dlh_shape ();
    for (guint i = 0; i < x->shape.rank; i++) {
        if (!reduced[i] || keep)
            shape->dims[shape->rank++] = reduced[i] ? 1 : x->shape.dims[i];
        if (!reduced[i] || x->shape.dims[i] == 1)
            continue;
        first = last ? first : i;
        last = i + 1;
    }
    for (guint i = 0; i < x->shape.rank; i++) {
        gint64 size = x->shape.dims[i];

        *(reduced[i] ? &n : i < first ? &outer : &inner) *= size;
        apart |= !reduced[i] && size != 1 && i > first && i < last;
    }
    if (!apart)
        return dlh_reshape (x, dlh_shape (outer, n, inner));
    for (guint r = 0; r < 2; r++)
        for (guint i = 0; i < x->shape.rank; i++)
            if ((reduced[i] != 0) == r)
                order[at++] = i;
    return dlh_reshape (dlh_transpose (x, order, at), dlh_shape (outer * inner, n, 1));
}
