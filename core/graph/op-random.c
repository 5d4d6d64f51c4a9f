/* SPDX-License-Identifier: MIT */
/* Random nodes. Each is a pure function of the stream's counter (input 0) and of its attributes: the
 * stream's key and the number of the draw in its graph. So equal ones are one node, a rewritten graph
 * draws the same values, and what a run draws depends on the counter alone. */
#include <string.h>
#include <dlhost/elementwise.h>
#include <dlhost/sample.h>
#include "graph/random.h"

DlhDraw
dlh_draw_of (const DlhCall *call)
{
    const DlhDrawAttrs *a = call->node->attrs;
    DlhDraw draw = {{(guint32) a->key[0], (guint32) a->key[1]},
                    (guint32) a->index,
                    (guint64) *(const gint64 *) call->in[0]};

    return draw;
}

static gsize
count_of (const DlhCall *call)
{
    return (gsize) dlh_shape_count (call->node->shape);
}

gboolean
dlh_draw_check (const DlhNode *node, DlhDType dtype, DlhShape shape, GError **error)
{
    const DlhDrawAttrs *a = node->attrs;
    const DlhNode *counter = node->inputs[0];
    g_autofree char *text = dlh_shape_to_string (shape);

    if (counter->dtype != DLH_I64 || counter->shape.rank != 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "%s: the counter must be an i64 scalar",
                     node->op->name);
        return FALSE;
    }
    if (!dlh_shape_valid (shape) || dlh_shape_count (shape) > DLH_DRAW_MAX_ELEMENTS) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: shape %s, sizes must be 0 or more and their product below 2^34",
                     node->op->name, text);
        return FALSE;
    }
    if (!dlh_dtype_is_float (dtype) && node->op->name[0] != 'p') {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "%s: draws are f32 or f64, not %s",
                     node->op->name, dlh_dtype_name (dtype));
        return FALSE;
    }
    if (a->index > DLH_DRAW_MAX_INDEX) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_GRAPH, "%s: 2^31 draws of one stream in a graph",
                     node->op->name);
        return FALSE;
    }
    return TRUE;
}

static gboolean
draw_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhDrawAttrs *a = node->attrs;

    *dtype = (DlhDType) a->dtype;
    *shape = dlh_shape_make ((guint) a->rank, a->dims);
    return dlh_draw_check (node, *dtype, *shape, error);
}

// Input 1 gives type and shape.
static gboolean
bernoulli_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[1]->dtype;
    *shape = node->inputs[1]->shape;
    return dlh_draw_check (node, *dtype, *shape, error);
}

// Input 1 numbers the rows.
static gboolean
rows_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *rows = node->inputs[1];

    if (!draw_infer (node, dtype, shape, error))
        return FALSE;
    if (rows->dtype == DLH_I64 && rows->shape.rank == 1 && shape->rank > 0 &&
        shape->dims[0] == rows->shape.dims[0])
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "%s: the rows must be numbered by an i64 vector, one number a row", node->op->name);
    return FALSE;
}

typedef void (*DrawRows) (const DlhDraw *draw, DlhDType dtype, const gint64 *rows, gsize n_rows,
                          gsize width, void *out);

static gboolean
rows_run (const DlhCall *call, DrawRows fill, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);
    const gint64 *rows = call->in[1];
    gint64 n = call->node->shape.dims[0], count = (gint64) count_of (call);
    gint64 width = n ? count / n : 0;
    gint64 limit = width ? DLH_DRAW_MAX_ELEMENTS / dlh_draw_row_size (width) : G_MAXINT64;

    for (gint64 r = 0; r < n; r++)
        if (rows[r] < 0 || rows[r] >= limit) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "%s: row %" G_GINT64_FORMAT " is not in 0 to %" G_GINT64_FORMAT,
                         call->node->op->name, rows[r], limit - 1);
            return FALSE;
        }
    fill (&draw, call->node->dtype, rows, (gsize) n, (gsize) width, call->out);
    return TRUE;
}

static gboolean
uniform_rows_run (const DlhCall *call, GError **error)
{
    return rows_run (call, dlh_draw_uniform_rows, error);
}

static gboolean
normal_rows_run (const DlhCall *call, GError **error)
{
    return rows_run (call, dlh_draw_normal_rows, error);
}

static gboolean
uniform_run (const DlhCall *call, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);

    (void) error;
    dlh_draw_uniform (&draw, call->node->dtype, call->out, count_of (call));
    return TRUE;
}

static gboolean
normal_run (const DlhCall *call, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);

    (void) error;
    dlh_draw_normal (&draw, call->node->dtype, call->out, count_of (call));
    return TRUE;
}

static gboolean
bernoulli_run (const DlhCall *call, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);

    (void) error;
    dlh_draw_bernoulli (&draw, call->node->dtype, call->in[1], call->out, count_of (call));
    return TRUE;
}

static gboolean
rademacher_run (const DlhCall *call, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);

    (void) error;
    dlh_draw_rademacher (&draw, call->node->dtype, call->out, count_of (call));
    return TRUE;
}

static gboolean
permutation_run (const DlhCall *call, GError **error)
{
    DlhDraw draw = dlh_draw_of (call);

    (void) error;
    dlh_draw_permutation (&draw, call->out, count_of (call));
    return TRUE;
}

static DlhNode *
uniform_sample (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_uniform (dlh_sample_graph (s), dlh_sample_stream (s), dlh_sample_dtype (s),
                        which ? dlh_shape () : dlh_sample_shape (s, 3, 5));
}

static DlhNode *
uniform_reject (DlhSample *s, guint which)
{
    DlhGraph *graph = dlh_sample_graph (s);
    DlhStream *stream = dlh_sample_stream (s);

    switch (which) {
    case 0:
        return dlh_uniform (graph, stream, DLH_I32, dlh_shape (3));
    case 1:
        return dlh_uniform (graph, stream, DLH_F32, dlh_shape (3, -1));
    case 2:
        return dlh_uniform (graph, stream, DLH_F32, dlh_shape (1 << 20, 1 << 20));
    default:
        return NULL;
    }
}

static DlhNode *
normal_sample (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_normal (dlh_sample_graph (s), dlh_sample_stream (s), dlh_sample_dtype (s),
                       which ? dlh_shape () : dlh_sample_shape (s, 3, 5));
}

static DlhNode *
normal_reject (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_normal (dlh_sample_graph (s), dlh_sample_stream (s), DLH_BOOL, dlh_shape (3));
}

static DlhNode *
bernoulli_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_bernoulli_draw (dlh_sample_stream (s),
                                       dlh_sample_uniform (s, 0, 1, dlh_sample_shape (s, 4, 5)));
}

static DlhNode *
bernoulli_reject (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_bernoulli_draw (dlh_sample_stream (s),
                                       dlh_sample_index (s, 2, dlh_sample_shape (s, 4)));
}

static DlhNode *
rademacher_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_rademacher (dlh_sample_graph (s), dlh_sample_stream (s), dlh_sample_dtype (s),
                                   dlh_sample_shape (s, 13, 11));
}

static DlhNode *
rademacher_reject (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_rademacher (dlh_sample_graph (s), dlh_sample_stream (s), DLH_I64,
                                   dlh_shape (3));
}

static DlhNode *
permutation_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_permutation (dlh_sample_graph (s), dlh_sample_stream (s),
                                    dlh_sample_dim (s, 9));
}

static DlhNode *
permutation_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_permutation (dlh_sample_graph (s), dlh_sample_stream (s), -1);
}

static DlhNode *
drawn_by_rows (DlhSample *s, DlhNode *(*draw) (DlhGraph *, DlhStream *, DlhDType, DlhShape))
{
    DlhNode *rows = dlh_cast (dlh_sample_index (s, 9, dlh_sample_shape (s, 3)), DLH_I64), *node;

    dlh_graph_push_rows (dlh_sample_graph (s), rows);
    node = draw (dlh_sample_graph (s), dlh_sample_stream (s), dlh_sample_dtype (s),
                 dlh_sample_shape (s, 3, 70));
    dlh_graph_pop_rows (dlh_sample_graph (s));
    return node;
}

static DlhNode *
uniform_rows_sample (DlhSample *s, guint which)
{
    return which ? NULL : drawn_by_rows (s, dlh_uniform);
}

static DlhNode *
normal_rows_sample (DlhSample *s, guint which)
{
    return which ? NULL : drawn_by_rows (s, dlh_normal);
}

static DlhNode *
uniform_rows_reject (DlhSample *s, guint which)
{
    DlhNode *rows = dlh_sample_index (s, 9, dlh_sample_shape (s, 3)), *node;

    if (which)
        return NULL;
    dlh_graph_push_rows (dlh_sample_graph (s), dlh_cast (rows, DLH_F64));
    node = dlh_uniform (dlh_sample_graph (s), dlh_sample_stream (s), DLH_F32, dlh_shape (3, 2));
    dlh_graph_pop_rows (dlh_sample_graph (s));
    return node;
}

static DlhNode *
normal_rows_reject (DlhSample *s, guint which)
{
    DlhNode *rows = dlh_cast (dlh_sample_index (s, 9, dlh_sample_shape (s, 3)), DLH_I64), *node;

    if (which)
        return NULL;
    dlh_graph_push_rows (dlh_sample_graph (s), rows);
    node = dlh_normal (dlh_sample_graph (s), dlh_sample_stream (s), DLH_I64, dlh_shape (3, 2));
    dlh_graph_pop_rows (dlh_sample_graph (s));
    return node;
}

#define ROW(row, n, rule, family)                                                                  \
    static const DlhOp op_##row = {                                                                \
        .size = sizeof (DlhOp),                                                                    \
        .name = #row,                                                                              \
        .n_inputs = n,                                                                             \
        .attrs_size = sizeof (DlhDrawAttrs),                                                          \
        .flags = DLH_OP_NOT_SMOOTH,                                                                \
        .infer = rule,                                                                             \
        .run = family##_run,                                                                       \
        .sample = family##_sample,                                                                 \
        .reject = family##_reject,                                                                 \
    }

ROW (uniform, 1, draw_infer, uniform);
ROW (normal, 1, draw_infer, normal);
ROW (bernoulli_draw, 2, bernoulli_infer, bernoulli);
ROW (rademacher, 1, draw_infer, rademacher);
ROW (permutation, 1, draw_infer, permutation);
ROW (uniform_rows, 2, rows_infer, uniform_rows);
ROW (normal_rows, 2, rows_infer, normal_rows);

const DlhOp *const dlh_ops_random[] = {&op_uniform,     &op_normal,       &op_bernoulli_draw,
                                       &op_rademacher,  &op_permutation,  &op_uniform_rows,
                                       &op_normal_rows, &dlh_op_softplus_normal,
                                       NULL};

DlhStream *
dlh_node_stream (const DlhNode *node)
{
    const char *prefix = "random/";
    DlhVariable *counter;
    guint i = 0;

    while (dlh_ops_random[i] && dlh_ops_random[i] != node->op)
        i++;
    if (!dlh_ops_random[i])
        return NULL;
    counter = node->inputs[0]->variable;
    return counter ? dlh_store_stream (counter->store, counter->name + strlen (prefix)) : NULL;
}

DlhNode *
dlh_draw_node (const DlhOp *op, DlhGraph *graph, DlhStream *stream, DlhNode **inputs,
               DlhDType dtype, DlhShape shape)
{
    DlhDrawAttrs a = {.key = {stream->key[0], stream->key[1]}, .dtype = dtype, .rank = shape.rank};
    g_autoptr (GError) error = NULL;
    DlhVariable *counter = dlh_stream_counter (stream, &error);

    if (!counter)
        return dlh_graph_fail (graph, error->code, "%s: %s", op->name, error->message);
    memcpy (a.dims, shape.dims, sizeof a.dims);
    a.index = dlh_graph_next_draw (graph, stream);
    inputs[0] = dlh_read (graph, counter);
    return dlh_node_new (op, inputs, op->n_inputs, &a);
}

static DlhNode *
draw_new (const DlhOp *op, DlhGraph *graph, DlhStream *stream, DlhNode *p, DlhDType dtype,
          DlhShape shape)
{
    DlhNode *inputs[2] = {NULL, p};

    return dlh_draw_node (op, graph, stream, inputs, dtype, shape);
}

DlhNode *
dlh_draw_rows (DlhGraph *graph, DlhShape shape)
{
    DlhNode *rows = dlh_graph_rows (graph);

    return rows && !dlh_node_failed (rows) && shape.rank > 0 &&
                   shape.dims[0] == dlh_node_dim (rows, 0)
               ? rows
               : NULL;
}

DlhNode *
dlh_uniform (DlhGraph *graph, DlhStream *stream, DlhDType dtype, DlhShape shape)
{
    DlhNode *rows = dlh_draw_rows (graph, shape);

    return draw_new (rows ? &op_uniform_rows : &op_uniform, graph, stream, rows, dtype, shape);
}

DlhNode *
dlh_normal (DlhGraph *graph, DlhStream *stream, DlhDType dtype, DlhShape shape)
{
    DlhNode *rows = dlh_draw_rows (graph, shape);

    return draw_new (rows ? &op_normal_rows : &op_normal, graph, stream, rows, dtype, shape);
}

DlhNode *
dlh_bernoulli_draw (DlhStream *stream, DlhNode *p)
{
    DlhGraph *graph = dlh_node_graph (p);

    if (dlh_node_failed (p))
        return p;
    if (dlh_draw_rows (graph, dlh_node_shape (p))) {
        DlhNode *u = dlh_uniform (graph, stream, dlh_node_dtype (p), dlh_node_shape (p));

        return dlh_cast (dlh_less (u, dlh_stop_gradient (p)), dlh_node_dtype (p));
    }
    return draw_new (&op_bernoulli_draw, graph, stream, p, 0, dlh_shape ());
}

DlhNode *
dlh_rademacher (DlhGraph *graph, DlhStream *stream, DlhDType dtype, DlhShape shape)
{
    if (dlh_draw_rows (graph, shape)) {
        DlhNode *u = dlh_uniform (graph, stream, dtype, shape);

        return dlh_where (dlh_less (u, dlh_full_like (u, 0.5)), dlh_full_like (u, -1),
                          dlh_full_like (u, 1));
    }
    return draw_new (&op_rademacher, graph, stream, NULL, dtype, shape);
}

DlhNode *
dlh_permutation (DlhGraph *graph, DlhStream *stream, gint64 n)
{
    return draw_new (&op_permutation, graph, stream, NULL, DLH_I64, dlh_shape (n));
}
