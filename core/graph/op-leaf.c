/* SPDX-License-Identifier: MIT */
/* Leaves: inputs, constants, reads of variables; and assignment, their counterpart. */
#include <string.h>
#include <dlhost/sample.h>
#include "graph/private.h"

typedef struct {
    gint64 quark; /* of the name */
    gint64 dtype, rank, dims[DLH_MAX_RANK];
} InputAttrs;

static gboolean
input_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const InputAttrs *a = node->attrs;

    *dtype = (DlhDType) a->dtype;
    *shape = dlh_shape_make ((guint) a->rank, a->dims);
    if (dlh_shape_valid (*shape))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "input '%s': a size is negative or too large",
                 g_quark_to_string ((GQuark) a->quark));
    return FALSE;
}

const DlhOp dlh_op_input = {
    .size = sizeof (DlhOp),
    .name = "input",
    .attrs_size = sizeof (InputAttrs),
    .flags = DLH_OP_IMPURE,
    .infer = input_infer,
};

DlhNode *
dlh_input (DlhGraph *graph, const char *name, DlhDType dtype, DlhShape shape)
{
    InputAttrs a = {.quark = g_quark_from_string (name), .dtype = dtype, .rank = shape.rank};

    memcpy (a.dims, shape.dims, sizeof a.dims);
    return dlh_node_new_leaf (graph, &dlh_op_input, &a);
}

const char *
dlh_input_name (const DlhNode *node)
{
    return g_quark_to_string ((GQuark) ((const InputAttrs *) node->attrs)->quark);
}

/* constant: a tensor kept in the graph. */

static gboolean
constant_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    (void) error;
    *dtype = dlh_tensor_get_dtype (node->value);
    *shape = dlh_tensor_get_shape (node->value);
    return TRUE;
}

const DlhOp dlh_op_constant = {
    .size = sizeof (DlhOp),
    .name = "constant",
    .infer = constant_infer,
};

DlhNode *
dlh_constant (DlhGraph *graph, const DlhTensor *value)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) copy = dlh_tensor_copy (value, &error);

    if (!copy)
        return dlh_graph_fail (graph, error->code, "constant: %s", error->message);
    return dlh_node_new_full (&dlh_op_constant, graph, NULL, 0, NULL, NULL, copy);
}

/* fill: one number everywhere. */

static gboolean
fill_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhFillAttrs *a = node->attrs;

    *dtype = (DlhDType) a->dtype;
    *shape = dlh_shape_make ((guint) a->rank, a->dims);
    if (dlh_shape_valid (*shape))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "fill: a size is negative or too large");
    return FALSE;
}

static gboolean
fill_run (const DlhCall *call, GError **error)
{
    const DlhFillAttrs *a = call->node->attrs;
    gint64 n = dlh_shape_count (call->node->shape);

    (void) error;
    switch (call->node->dtype) {
    case DLH_F32:
        for (gint64 i = 0; i < n; i++)
            ((float *) call->out)[i] = (float) a->value;
        break;
    case DLH_F64:
        for (gint64 i = 0; i < n; i++)
            ((double *) call->out)[i] = a->value;
        break;
    case DLH_I32:
        for (gint64 i = 0; i < n; i++)
            ((gint32 *) call->out)[i] = (gint32) a->value;
        break;
    case DLH_I64:
        for (gint64 i = 0; i < n; i++)
            ((gint64 *) call->out)[i] = (gint64) a->value;
        break;
    case DLH_BOOL:
        memset (call->out, a->value != 0, (gsize) n);
        break;
    }
    return TRUE;
}

static DlhNode *
fill_sample (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_full (dlh_sample_graph (s), dlh_sample_dtype (s),
                     which ? dlh_shape () : dlh_sample_shape (s, 3, 4), 1.5);
}

static DlhNode *
fill_reject (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_full (dlh_sample_graph (s), dlh_sample_dtype (s), dlh_shape (3, -4), 0);
}

const DlhOp dlh_op_fill = {
    .size = sizeof (DlhOp),
    .name = "fill",
    .attrs_size = sizeof (DlhFillAttrs),
    .infer = fill_infer,
    .run = fill_run,
    .sample = fill_sample,
    .reject = fill_reject,
};

DlhNode *
dlh_full (DlhGraph *graph, DlhDType dtype, DlhShape shape, double value)
{
    DlhFillAttrs a = {.value = value, .dtype = dtype, .rank = shape.rank};

    memcpy (a.dims, shape.dims, sizeof a.dims);
    return dlh_node_new_leaf (graph, &dlh_op_fill, &a);
}

DlhNode *
dlh_scalar (DlhGraph *graph, DlhDType dtype, double value)
{
    return dlh_full (graph, dtype, dlh_shape (), value);
}

DlhNode *
dlh_full_like (DlhNode *x, double value)
{
    if (dlh_node_failed (x))
        return x;
    return dlh_full (x->graph, x->dtype, x->shape, value);
}

/* arange. */

typedef struct {
    gint64 dtype, n;
} ArangeAttrs;

static gboolean
arange_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ArangeAttrs *a = node->attrs;

    *dtype = (DlhDType) a->dtype;
    *shape = dlh_shape (a->n);
    if (a->n >= 0 && a->dtype != DLH_BOOL)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "arange: %" G_GINT64_FORMAT " elements of %s, must be 0 or more numbers", a->n,
                 dlh_dtype_name ((DlhDType) a->dtype));
    return FALSE;
}

static gboolean
arange_run (const DlhCall *call, GError **error)
{
    gint64 n = ((const ArangeAttrs *) call->node->attrs)->n;

    (void) error;
    for (gint64 i = 0; i < n; i++)
        switch (call->node->dtype) {
        case DLH_F32:
            ((float *) call->out)[i] = (float) i;
            break;
        case DLH_F64:
            ((double *) call->out)[i] = (double) i;
            break;
        case DLH_I32:
            ((gint32 *) call->out)[i] = (gint32) i;
            break;
        default:
            ((gint64 *) call->out)[i] = i;
        }
    return TRUE;
}

static DlhNode *
arange_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_arange (dlh_sample_graph (s), dlh_sample_dtype (s), dlh_sample_dim (s, 5));
}

static DlhNode *
arange_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_arange (dlh_sample_graph (s), dlh_sample_dtype (s), -1);
}

static const DlhOp op_arange = {
    .size = sizeof (DlhOp),
    .name = "arange",
    .attrs_size = sizeof (ArangeAttrs),
    .infer = arange_infer,
    .run = arange_run,
    .sample = arange_sample,
    .reject = arange_reject,
};

DlhNode *
dlh_arange (DlhGraph *graph, DlhDType dtype, gint64 n)
{
    ArangeAttrs a = {dtype, n};

    return dlh_node_new_leaf (graph, &op_arange, &a);
}

/* read and assign: the two ends of a variable. */

static gboolean
read_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    (void) error;
    *dtype = dlh_tensor_get_dtype (node->variable->tensor);
    *shape = dlh_tensor_get_shape (node->variable->tensor);
    return TRUE;
}

const DlhOp dlh_op_read = {
    .size = sizeof (DlhOp),
    .name = "read",
    .infer = read_infer,
};

DlhNode *
dlh_read (DlhGraph *graph, DlhVariable *variable)
{
    return dlh_node_new_full (&dlh_op_read, graph, NULL, 0, NULL, variable, NULL);
}

static gboolean
assign_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *x = node->inputs[0];
    g_autofree char *want = NULL, *got = NULL;

    *dtype = dlh_tensor_get_dtype (node->variable->tensor);
    *shape = dlh_tensor_get_shape (node->variable->tensor);
    if (*dtype == x->dtype && dlh_shape_equal (*shape, x->shape))
        return TRUE;
    want = dlh_shape_to_string (*shape);
    got = dlh_shape_to_string (x->shape);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "assign: '%s' is %s %s, the value is %s %s",
                 node->variable->name, dlh_dtype_name (*dtype), want, dlh_dtype_name (x->dtype),
                 got);
    return FALSE;
}

const DlhOp dlh_op_assign = {
    .size = sizeof (DlhOp),
    .name = "assign",
    .n_inputs = 1,
    .flags = DLH_OP_IMPURE,
    .infer = assign_infer,
};

DlhNode *
dlh_assign (DlhVariable *variable, DlhNode *value)
{
    if (dlh_node_failed (value))
        return value;
    return dlh_node_new_full (&dlh_op_assign, value->graph, &value, 1, NULL, variable, NULL);
}

const DlhOp *const dlh_ops_leaf[] = {&dlh_op_fill, &op_arange, NULL};
