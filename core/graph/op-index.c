/* SPDX-License-Identifier: MIT */
/* Elements chosen by an index: gather, scatter-add, take and put along the last axis, one-hot. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "cpu/parallel.h"
#include "graph/axes.h"

#define WIDTH 256  /* columns that are worked on at a time */
#define PART 65536 /* bytes or elements that are worth a thread */

static inline gint64
index_at (const void *index, DlhDType dtype, gint64 i)
{
    return dtype == DLH_I32 ? ((const gint32 *) index)[i] : ((const gint64 *) index)[i];
}

// Before anything is moved, so that the loops need not look.
static gboolean
check_range (const DlhCall *call, guint input, gint64 size, GError **error)
{
    const DlhNode *index = call->node->inputs[input];
    gint64 n = dlh_shape_count (index->shape);

    for (gint64 i = 0; i < n; i++) {
        gint64 k = index_at (call->in[input], index->dtype, i);

        if (k >= 0 && k < size)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s%s%s: index %" G_GINT64_FORMAT " (element %" G_GINT64_FORMAT
                     ") is outside [0, %" G_GINT64_FORMAT ")",
                     call->node->scope, *call->node->scope ? "/" : "", call->node->op->name, k, i,
                     size);
        return FALSE;
    }
    return TRUE;
}

/* gather and scatter_add: each the other's adjoint. */

typedef struct {
    gint64 axis;
} GatherAttrs;

typedef struct {
    gint64 axis, size;
} ScatterAttrs;

typedef struct {
    DlhAround around; /* of the larger array, about the indexed axis */
    gint64 m;         /* indices */
    gint64 wide;      /* blocks of columns */
    gsize element;
    DlhDType index_dtype;
    const void *index;
    const char *x;
    char *y;
} Job;

static gboolean
gather_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    gint64 axis = ((const GatherAttrs *) node->attrs)->axis;
    DlhShape from = node->inputs[0]->shape, index = node->inputs[1]->shape;
    g_autofree char *s = NULL, *t = NULL;

    if (!dlh_check_axis (node, axis, error) || !dlh_check_index (node, 1, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    if (from.rank - 1 + index.rank > DLH_MAX_RANK) {
        s = dlh_shape_to_string (from);
        t = dlh_shape_to_string (index);
        return dlh_refuse (node, error, "%s by %s has more than %d axes", s, t, DLH_MAX_RANK);
    }
    *shape = dlh_shape_make ((guint) axis, from.dims);
    for (guint i = 0; i < index.rank; i++)
        shape->dims[shape->rank++] = index.dims[i];
    for (guint i = (guint) axis + 1; i < from.rank; i++)
        shape->dims[shape->rank++] = from.dims[i];
    return TRUE;
}

static void
gather_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    gint64 axis = ((const GatherAttrs *) y->attrs)->axis;

    dx[0] = dlh_scatter_add (dy, y->inputs[1], (int) axis, y->inputs[0]->shape.dims[axis]);
}

static void
gather_work (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    gsize row = (gsize) job->around.inner * job->element;

    (void) thread;
    for (gint64 u = (gint64) begin; u < (gint64) end; u++) {
        gint64 k = index_at (job->index, job->index_dtype, u % job->m);
        const char *x = job->x + (gsize) (u / job->m * job->around.n + k) * row;
        char *y = job->y + (gsize) u * row;

        if (row == 4)
            *(guint32 *) (gpointer) y = *(const guint32 *) (gconstpointer) x;
        else
            memcpy (y, x, row);
    }
}

static gboolean
gather_run (const DlhCall *call, GError **error)
{
    const DlhNode *x = call->node->inputs[0], *index = call->node->inputs[1];
    Job job = {.around = dlh_around (x->shape, ((const GatherAttrs *) call->node->attrs)->axis),
               .m = dlh_shape_count (index->shape),
               .element = dlh_dtype_size (x->dtype),
               .index_dtype = index->dtype,
               .index = call->in[1],
               .x = call->in[0],
               .y = call->out};

    if (!check_range (call, 1, job.around.n, error))
        return FALSE;
    if (dlh_shape_count (call->node->shape))
        dlh_parallel_for ((gsize) (job.around.outer * job.m),
                          MAX (1, PART / ((gsize) job.around.inner * job.element)), gather_work,
                          &job);
    return TRUE;
}

static DlhNode *
gather_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 3, 4, 5);
    DlhShape index = which == 2 ? dlh_sample_shape (s, 2, 3) : dlh_sample_shape (s, 6);

    if (which == 3)
        index = dlh_shape ();
    if (which > 3 || !shape.dims[0])
        return NULL;
    return dlh_gather (dlh_sample_uniform (s, -2, 2, shape),
                       dlh_sample_index (s, shape.dims[which % 3], index), (int) which % 3);
}

static DlhNode *
gather_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 1 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_gather (x, dlh_sample_index (s, 2, dlh_shape (4)), 2);
    return which == 1 ? dlh_gather (x, x, 0) : NULL;
}

static const DlhOp op_gather = {
    .size = sizeof (DlhOp),
    .name = "gather",
    .n_inputs = 2,
    .attrs_size = sizeof (GatherAttrs),
    .infer = gather_infer,
    .vjp = gather_vjp,
    .flags = DLH_OP_FALLIBLE,
    .run = gather_run,
    .flops = dlh_flops_none,
    .sample = gather_sample,
    .reject = gather_reject,
};

DlhNode *
dlh_gather (DlhNode *x, DlhNode *index, int axis)
{
    GatherAttrs a = {dlh_axis (x, axis)};
    DlhNode *inputs[] = {x, index};

    return dlh_node_new (&op_gather, inputs, 2, &a);
}

DlhNode *
dlh_embedding (DlhNode *table, DlhNode *index)
{
    return dlh_gather (table, index, 0);
}

static gboolean
scatter_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ScatterAttrs *a = node->attrs;
    DlhShape x = node->inputs[0]->shape, index = node->inputs[1]->shape;
    gboolean fits = a->axis >= 0 && a->axis + index.rank <= x.rank && a->size >= 0 &&
                    x.rank - index.rank < DLH_MAX_RANK;

    if (!dlh_check_float (node, error) || !dlh_check_index (node, 1, error))
        return FALSE;
    *dtype = node->inputs[0]->dtype;
    for (guint i = 0; fits && i < index.rank; i++)
        fits = x.dims[a->axis + i] == index.dims[i];
    if (!fits) {
        g_autofree char *s = dlh_shape_to_string (x), *t = dlh_shape_to_string (index);

        return dlh_refuse (node, error,
                           "index %s does not fit %s at axis %" G_GINT64_FORMAT
                           " for size %" G_GINT64_FORMAT,
                           t, s, a->axis, a->size);
    }
    *shape = x;
    for (guint i = 0; i < index.rank; i++)
        *shape = dlh_shape_remove (*shape, (guint) a->axis);
    *shape = dlh_shape_insert (*shape, (guint) a->axis, a->size);
    return TRUE;
}

static void
scatter_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_gather (dy, y->inputs[1], (int) ((const ScatterAttrs *) y->attrs)->axis);
}

// A thread has columns of its own and adds in the order of the index.
#define DEFINE_SCATTER(T)                                                                          \
    static void scatter_##T (gsize begin, gsize end, guint thread, gpointer user_data)             \
    {                                                                                              \
        const Job *job = user_data;                                                                \
        DlhAround a = job->around;                                                                 \
                                                                                                   \
        (void) thread;                                                                             \
        for (gint64 u = (gint64) begin; u < (gint64) end; u++) {                                   \
            gint64 column = u % job->wide * WIDTH, n = MIN (WIDTH, a.inner - column);              \
            gint64 outer = u / job->wide;                                                          \
            const T *x = (const T *) (gconstpointer) job->x + outer * job->m * a.inner + column;   \
            T *y = (T *) (gpointer) job->y + outer * a.n * a.inner + column;                       \
                                                                                                   \
            for (gint64 i = 0; i < job->m; i++, x += a.inner) {                                    \
                T *restrict row = y + index_at (job->index, job->index_dtype, i) * a.inner;        \
                                                                                                   \
                for (gint64 j = 0; j < n; j++)                                                     \
                    row[j] += x[j];                                                                \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_SCATTER (float)
DEFINE_SCATTER (double)

static gboolean
scatter_run (const DlhCall *call, GError **error)
{
    const DlhNode *y = call->node, *index = y->inputs[1];
    Job job = {.around = dlh_around (y->shape, ((const ScatterAttrs *) y->attrs)->axis),
               .m = dlh_shape_count (index->shape),
               .index_dtype = index->dtype,
               .index = call->in[1],
               .x = call->in[0],
               .y = call->out};
    gint64 inner = job.around.inner;

    if (!check_range (call, 1, job.around.n, error))
        return FALSE;
    job.wide = (inner + WIDTH - 1) / WIDTH;
    if (!dlh_shape_count (y->shape))
        return TRUE;
    memset (call->out, 0, (gsize) dlh_shape_count (y->shape) * dlh_dtype_size (y->dtype));
    dlh_parallel_for ((gsize) (job.around.outer * job.wide),
                      MAX (1, PART / (gsize) (MAX (job.m, 1) * MIN (inner, WIDTH))),
                      y->dtype == DLH_F32 ? scatter_float : scatter_double, &job);
    return TRUE;
}

static DlhNode *
scatter_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 3, 4, 5);
    DlhShape index = dlh_shape (shape.dims[which % 3]);

    if (which == 3)
        index = dlh_shape (shape.dims[1], shape.dims[2]);
    if (which == 4)
        index = dlh_shape ();
    if (which > 4)
        return NULL;
    return dlh_scatter_add (dlh_sample_uniform (s, -2, 2, shape), dlh_sample_index (s, 2, index),
                            which == 3 ? 1 : (int) which % 3, 3);
}

static DlhNode *
scatter_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_scatter_add (x, dlh_sample_index (s, 2, dlh_shape (4)), 0, 3);
    if (which == 1)
        return dlh_scatter_add (x, dlh_sample_index (s, 2, dlh_shape (2)), 0, -1);
    return which == 2 ? dlh_scatter_add (x, dlh_sample_index (s, 2, dlh_shape (3)), 2, 3) : NULL;
}

static const DlhOp op_scatter_add = {
    .size = sizeof (DlhOp),
    .name = "scatter_add",
    .n_inputs = 2,
    .attrs_size = sizeof (ScatterAttrs),
    .infer = scatter_infer,
    .vjp = scatter_vjp,
    .flags = DLH_OP_FALLIBLE,
    .run = scatter_run,
    .flops = dlh_flops_input,
    .sample = scatter_sample,
    .reject = scatter_reject,
};

DlhNode *
dlh_scatter_add (DlhNode *x, DlhNode *index, int axis, gint64 size)
{
    ScatterAttrs a = {axis, size};
    DlhNode *inputs[] = {x, index};

    // Counted from the last axis of the result, which has one for all of the index.
    if (axis < 0 && !dlh_node_failed (x) && !dlh_node_failed (index))
        a.axis += (gint64) x->shape.rank - index->shape.rank + 1;
    return dlh_node_new (&op_scatter_add, inputs, 2, &a);
}

/* take_along and put_along: each the other's adjoint. */

typedef struct {
    gint64 n;
} PutAttrs;

#define DEFINE_ALONG(T, SUFFIX)                                                                    \
    static void take_##SUFFIX (const Job *job, gint64 begin, gint64 end)                           \
    {                                                                                              \
        const T *x = (const T *) (gconstpointer) job->x;                                           \
        T *y = (T *) (gpointer) job->y;                                                            \
                                                                                                   \
        for (gint64 i = begin; i < end; i++)                                                       \
            y[i] = x[i * job->around.n + index_at (job->index, job->index_dtype, i)];              \
    }                                                                                              \
                                                                                                   \
    static void put_##SUFFIX (const Job *job, gint64 begin, gint64 end)                            \
    {                                                                                              \
        const T *x = (const T *) (gconstpointer) job->x;                                           \
        T *y = (T *) (gpointer) job->y;                                                            \
                                                                                                   \
        for (gint64 i = begin; i < end; i++)                                                       \
            y[i * job->around.n + index_at (job->index, job->index_dtype, i)] = x[i];              \
    }

DEFINE_ALONG (guint8, 1)
DEFINE_ALONG (guint32, 4)
DEFINE_ALONG (guint64, 8)

static void
take_work (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;

    (void) thread;
    (job->element == 4   ? take_4
     : job->element == 8 ? take_8
                         : take_1) (job, (gint64) begin, (gint64) end);
}

static void
put_work (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    gsize row = (gsize) job->around.n * job->element;

    (void) thread;
    memset (job->y + begin * row, 0, (end - begin) * row);
    (job->element == 4   ? put_4
     : job->element == 8 ? put_8
                         : put_1) (job, (gint64) begin, (gint64) end);
}

static gboolean
along_run (const DlhCall *call, gint64 n, void (*work) (gsize, gsize, guint, gpointer), gsize cost,
           GError **error)
{
    const DlhNode *index = call->node->inputs[1];
    Job job = {.around.n = n,
               .m = dlh_shape_count (index->shape),
               .element = dlh_dtype_size (call->node->dtype),
               .index_dtype = index->dtype,
               .index = call->in[1],
               .x = call->in[0],
               .y = call->out};

    if (!check_range (call, 1, n, error))
        return FALSE;
    if (job.m && n)
        dlh_parallel_for ((gsize) job.m, MAX (1, PART / cost), work, &job);
    return TRUE;
}

static gboolean
take_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape x = node->inputs[0]->shape, index = node->inputs[1]->shape;

    *dtype = node->inputs[0]->dtype;
    *shape = index;
    if (!dlh_check_index (node, 1, error))
        return FALSE;
    if (x.rank == 0 || !dlh_shape_equal (dlh_shape_remove (x, x.rank - 1), index)) {
        g_autofree char *s = dlh_shape_to_string (x), *t = dlh_shape_to_string (index);

        return dlh_refuse (node, error, "index %s does not fit %s without its last axis", t, s);
    }
    return TRUE;
}

static void
take_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_put_along (dy, y->inputs[1], dlh_node_dim (y->inputs[0], -1));
}

static gboolean
take_run (const DlhCall *call, GError **error)
{
    return along_run (call, dlh_node_dim (call->node->inputs[0], -1), take_work, 4, error);
}

static DlhNode *
take_sample (DlhSample *s, guint which)
{
    DlhShape shape = which == 1 ? dlh_sample_shape (s, 5) : dlh_sample_shape (s, 2, 3, 4);
    guint last = shape.rank - 1;

    if (which > 1 || !shape.dims[last])
        return NULL;
    return dlh_take_along (dlh_sample_uniform (s, -2, 2, shape),
                           dlh_sample_index (s, shape.dims[last], dlh_shape_remove (shape, last)));
}

static DlhNode *
take_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_take_along (x, dlh_sample_index (s, 2, dlh_shape (3)));
    if (which == 1)
        return dlh_take_along (dlh_sum_all (x), dlh_sample_index (s, 2, dlh_shape ()));
    return which == 2 ? dlh_take_along (x, dlh_sum_axis (x, 1)) : NULL;
}

static const DlhOp op_take_along = {
    .size = sizeof (DlhOp),
    .name = "take_along",
    .n_inputs = 2,
    .infer = take_infer,
    .vjp = take_vjp,
    .flags = DLH_OP_FALLIBLE,
    .run = take_run,
    .flops = dlh_flops_none,
    .sample = take_sample,
    .reject = take_reject,
};

DlhNode *
dlh_take_along (DlhNode *x, DlhNode *index)
{
    DlhNode *inputs[] = {x, index};

    return dlh_node_new (&op_take_along, inputs, 2, NULL);
}

static gboolean
put_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape x = node->inputs[0]->shape, index = node->inputs[1]->shape;
    gint64 n = ((const PutAttrs *) node->attrs)->n;

    *dtype = node->inputs[0]->dtype;
    if (!dlh_check_index (node, 1, error))
        return FALSE;
    if (!dlh_shape_equal (x, index) || n < 0 || x.rank == DLH_MAX_RANK) {
        g_autofree char *s = dlh_shape_to_string (x), *t = dlh_shape_to_string (index);

        return dlh_refuse (node, error, "index %s does not fit %s for size %" G_GINT64_FORMAT, t, s,
                           n);
    }
    *shape = dlh_shape_insert (x, x.rank, n);
    return TRUE;
}

static void
put_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_take_along (dy, y->inputs[1]);
}

static gboolean
put_run (const DlhCall *call, GError **error)
{
    gint64 n = ((const PutAttrs *) call->node->attrs)->n;

    return along_run (call, n, put_work, (gsize) MAX (n, 1), error);
}

static DlhNode *
put_sample (DlhSample *s, guint which)
{
    DlhShape shape = which == 1 ? dlh_shape () : dlh_sample_shape (s, 2, 3);

    if (which > 1)
        return NULL;
    return dlh_put_along (dlh_sample_uniform (s, -2, 2, shape), dlh_sample_index (s, 4, shape), 4);
}

static DlhNode *
put_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 2 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_put_along (x, dlh_sample_index (s, 2, dlh_shape (2)), 4);
    if (which == 1)
        return dlh_put_along (x, dlh_sample_index (s, 2, dlh_shape (2, 3)), -1);
    return which == 2 ? dlh_put_along (x, x, 4) : NULL;
}

static const DlhOp op_put_along = {
    .size = sizeof (DlhOp),
    .name = "put_along",
    .n_inputs = 2,
    .attrs_size = sizeof (PutAttrs),
    .infer = put_infer,
    .vjp = put_vjp,
    .flags = DLH_OP_FALLIBLE,
    .run = put_run,
    .flops = dlh_flops_none,
    .sample = put_sample,
    .reject = put_reject,
};

DlhNode *
dlh_put_along (DlhNode *x, DlhNode *index, gint64 n)
{
    DlhNode *inputs[] = {x, index};
    PutAttrs a = {n};

    return dlh_node_new (&op_put_along, inputs, 2, &a);
}

/* one_hot. */

typedef struct {
    gint64 n, dtype;
} OneHotAttrs;

static gboolean
one_hot_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const OneHotAttrs *a = node->attrs;
    DlhShape index = node->inputs[0]->shape;

    *dtype = (DlhDType) a->dtype;
    if (!dlh_check_index (node, 0, error))
        return FALSE;
    if (a->n < 0 || index.rank == DLH_MAX_RANK) {
        g_autofree char *s = dlh_shape_to_string (index);

        return dlh_refuse (node, error, "%s cannot have an axis of %" G_GINT64_FORMAT " more", s,
                           a->n);
    }
    *shape = dlh_shape_insert (index, index.rank, a->n);
    return TRUE;
}

static gboolean
one_hot_run (const DlhCall *call, GError **error)
{
    const OneHotAttrs *a = call->node->attrs;
    const DlhNode *index = call->node->inputs[0];
    gint64 m = dlh_shape_count (index->shape);

    if (!check_range (call, 0, a->n, error))
        return FALSE;
    if (m && a->n)
        memset (call->out, 0, (gsize) (m * a->n) * dlh_dtype_size (call->node->dtype));
    for (gint64 i = 0; i < m; i++) {
        gint64 at = i * a->n + index_at (call->in[0], index->dtype, i);

        switch (call->node->dtype) {
        case DLH_F32:
            ((float *) call->out)[at] = 1;
            break;
        case DLH_F64:
            ((double *) call->out)[at] = 1;
            break;
        case DLH_I32:
            ((gint32 *) call->out)[at] = 1;
            break;
        case DLH_I64:
            ((gint64 *) call->out)[at] = 1;
            break;
        case DLH_BOOL:
            ((guint8 *) call->out)[at] = 1;
            break;
        }
    }
    return TRUE;
}

static DlhNode *
one_hot_sample (DlhSample *s, guint which)
{
    DlhShape shape = which == 1 ? dlh_shape () : dlh_sample_shape (s, 2, 3);

    return which > 1 ? NULL : dlh_one_hot (dlh_sample_index (s, 4, shape), 4, dlh_sample_dtype (s));
}

static DlhNode *
one_hot_reject (DlhSample *s, guint which)
{
    if (which == 0)
        return dlh_one_hot (dlh_sample_index (s, 4, dlh_shape (3)), -1, DLH_F32);
    return which == 1 ? dlh_one_hot (dlh_sample_uniform (s, 0, 1, dlh_shape (3)), 4, DLH_F32)
                      : NULL;
}

static const DlhOp op_one_hot = {
    .size = sizeof (DlhOp),
    .name = "one_hot",
    .n_inputs = 1,
    .attrs_size = sizeof (OneHotAttrs),
    .flags = DLH_OP_NOT_SMOOTH | DLH_OP_FALLIBLE,
    .infer = one_hot_infer,
    .run = one_hot_run,
    .flops = dlh_flops_none,
    .sample = one_hot_sample,
    .reject = one_hot_reject,
};

DlhNode *
dlh_one_hot (DlhNode *index, gint64 n, DlhDType dtype)
{
    OneHotAttrs a = {n, dtype};

    return dlh_node_new (&op_one_hot, &index, 1, &a);
}

const DlhOp *const dlh_ops_index[] = {&op_gather,    &op_scatter_add, &op_take_along,
                                      &op_put_along, &op_one_hot,     NULL};
