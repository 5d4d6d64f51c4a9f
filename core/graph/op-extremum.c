/* SPDX-License-Identifier: MIT */
/* Maxima and minima over axes, their places, and cumulative sums. The axis of a row is the middle one of
 * (outer, n, inner). NaN is larger and smaller than every number: it is not lost. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "cpu/parallel.h"
#include "graph/axes.h"

#define WIDTH 256  /* columns that are worked on at a time */
#define PART 65536 /* elements that are worth a thread */

typedef struct {
    gint64 axis;
} AxisAttrs;

typedef struct {
    DlhAround around;
    gint64 wide; /* blocks of columns */
    const void *x;
    void *y;
    gboolean flag; /* minimum, or reverse */
} Job;

// Work is shared by outer index and block of columns.
static Job
job_new (const DlhCall *call, gint64 axis, gboolean flag)
{
    Job job = {dlh_around (call->node->inputs[0]->shape, axis), 0, call->in[0], call->out, flag};

    job.wide = (job.around.inner + WIDTH - 1) / WIDTH;
    return job;
}

static void
job_run (Job *job, void (*work) (gsize, gsize, guint, gpointer))
{
    gsize cost = (gsize) (job->around.n * MIN (job->around.inner, WIDTH));

    dlh_parallel_for ((gsize) (job->around.outer * job->wide), MAX (1, PART / MAX (cost, 1)), work,
                      job);
}

/* argmax. */

#define DEFINE_ARGMAX(T)                                                                           \
    static void argmax_##T (gsize begin, gsize end, guint thread, gpointer user_data)              \
    {                                                                                              \
        const Job *job = user_data;                                                                \
        DlhAround a = job->around;                                                                 \
                                                                                                   \
        (void) thread;                                                                             \
        for (gint64 u = (gint64) begin; u < (gint64) end; u++) {                                   \
            gint64 column = u % job->wide * WIDTH, outer = u / job->wide;                          \
            gint64 stop = MIN (a.inner, column + WIDTH);                                           \
                                                                                                   \
            for (gint64 j = column; j < stop; j++) {                                               \
                const T *x = (const T *) job->x + outer * a.n * a.inner + j;                       \
                gint64 best = 0;                                                                   \
                                                                                                   \
                for (gint64 i = 1; i < a.n && x[best * a.inner] == x[best * a.inner]; i++)         \
                    if (!(job->flag ? x[i * a.inner] >= x[best * a.inner]                          \
                                    : x[i * a.inner] <= x[best * a.inner]))                        \
                        best = i;                                                                  \
                ((gint64 *) job->y)[outer * a.inner + j] = best;                                   \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_ARGMAX (float)
DEFINE_ARGMAX (double)
DEFINE_ARGMAX (gint32)
DEFINE_ARGMAX (gint64)

typedef struct {
    gint64 axis, least;
} ArgAttrs;

static gboolean
arg_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const ArgAttrs *a = node->attrs;
    const DlhNode *x = node->inputs[0];
    g_autofree char *s = NULL;

    if (!dlh_check_axis (node, a->axis, error))
        return FALSE;
    *dtype = DLH_I64;
    *shape = dlh_shape_remove (x->shape, (guint) a->axis);
    if (x->dtype == DLH_BOOL)
        return dlh_refuse (node, error, "the input is bool, must be numbers");
    if (x->shape.dims[a->axis] > 0)
        return TRUE;
    s = dlh_shape_to_string (x->shape);
    return dlh_refuse (node, error, "axis %" G_GINT64_FORMAT " of %s is empty", a->axis, s);
}

static gboolean
arg_run (const DlhCall *call, GError **error)
{
    const ArgAttrs *a = call->node->attrs;
    Job job = job_new (call, a->axis, a->least != 0);

    (void) error;
    switch (call->node->inputs[0]->dtype) {
    case DLH_F32:
        job_run (&job, argmax_float);
        break;
    case DLH_F64:
        job_run (&job, argmax_double);
        break;
    case DLH_I32:
        job_run (&job, argmax_gint32);
        break;
    default:
        job_run (&job, argmax_gint64);
    }
    return TRUE;
}

// The place of the first least element: the gradient of a minimum goes there.
static DlhNode *argmin (DlhNode *x, int axis);

static DlhNode *
arg_sample (DlhSample *s, guint which)
{
    DlhNode *x;

    if (which > 3 || !dlh_sample_dim (s, 4))
        return NULL;
    x = dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4));
    return which == 3 ? argmin (x, 1) : dlh_argmax (x, (int) which);
}

static DlhNode *
arg_reject (DlhSample *s, guint which)
{
    if (which == 0)
        return dlh_argmax (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2);
    return which == 1 ? dlh_argmax (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 0)), 1) : NULL;
}

static const DlhOp op_argmax = {
    .size = sizeof (DlhOp),
    .name = "argmax",
    .n_inputs = 1,
    .attrs_size = sizeof (ArgAttrs),
    .flags = DLH_OP_NOT_SMOOTH,
    .infer = arg_infer,
    .run = arg_run,
    .flops = dlh_flops_input,
    .sample = arg_sample,
    .reject = arg_reject,
};

DlhNode *
dlh_argmax (DlhNode *x, int axis)
{
    ArgAttrs a = {.axis = dlh_axis (x, axis)};

    return dlh_node_new (&op_argmax, &x, 1, &a);
}

static DlhNode *
argmin (DlhNode *x, int axis)
{
    ArgAttrs a = {.axis = dlh_axis (x, axis), .least = 1};

    return dlh_node_new (&op_argmax, &x, 1, &a);
}

/* max and min, along the middle axis of three. */

#define DEFINE_EXTREMUM(T, NAME, BETTER)                                                           \
    static T NAME##_row_##T (const T *x, gint64 n)                                                 \
    {                                                                                              \
        T m[16], best = x[0];                                                                      \
        gint64 i = 16;                                                                             \
                                                                                                   \
        if (n < 32) {                                                                              \
            for (i = 1; i < n; i++)                                                                \
                best = x[i] BETTER best || x[i] != x[i] ? x[i] : best;                             \
            return best;                                                                           \
        }                                                                                          \
        memcpy (m, x, sizeof m);                                                                   \
        for (; i + 16 <= n; i += 16)                                                               \
            for (int k = 0; k < 16; k++)                                                           \
                m[k] = x[i + k] BETTER m[k] || x[i + k] != x[i + k] ? x[i + k] : m[k];             \
        for (; i < n; i++)                                                                         \
            best = x[i] BETTER best || x[i] != x[i] ? x[i] : best;                                 \
        for (int k = 0; k < 16; k++)                                                               \
            best = m[k] BETTER best || m[k] != m[k] ? m[k] : best;                                 \
        return best;                                                                               \
    }                                                                                              \
                                                                                                   \
    static void NAME##_##T (gsize begin, gsize end, guint thread, gpointer user_data)              \
    {                                                                                              \
        const Job *job = user_data;                                                                \
        DlhAround a = job->around;                                                                 \
                                                                                                   \
        (void) thread;                                                                             \
        for (gint64 u = (gint64) begin; u < (gint64) end; u++) {                                   \
            gint64 column = u % job->wide * WIDTH, outer = u / job->wide;                          \
            gint64 n = MIN (WIDTH, a.inner - column);                                              \
            const T *x = (const T *) job->x + outer * a.n * a.inner + column;                      \
            T *restrict y = (T *) job->y + outer * a.inner + column;                               \
                                                                                                   \
            if (a.inner == 1) {                                                                    \
                *y = NAME##_row_##T (x, a.n);                                                      \
                continue;                                                                          \
            }                                                                                      \
            memcpy (y, x, (gsize) n * sizeof (T));                                                 \
            for (gint64 i = 1; i < a.n; i++) {                                                     \
                x += a.inner;                                                                      \
                for (gint64 j = 0; j < n; j++)                                                     \
                    y[j] = x[j] BETTER y[j] || x[j] != x[j] ? x[j] : y[j];                         \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_EXTREMUM (float, max, >)
DEFINE_EXTREMUM (double, max, >)
DEFINE_EXTREMUM (float, min, <)
DEFINE_EXTREMUM (double, min, <)

static gboolean
extremum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *x = node->inputs[0];

    *dtype = x->dtype;
    *shape = dlh_shape ();
    if (x->shape.rank != 3)
        return dlh_refuse (node, error, "the input has %u axes, must have 3", x->shape.rank);
    *shape = dlh_shape_remove (x->shape, 1);
    if (x->shape.dims[1] == 0)
        return dlh_refuse (node, error, "of nothing: an axis has size 0");
    return dlh_check_float (node, error);
}

// All of a group's gradient goes to its first extremum.
static void
extremum_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = y->inputs[0];
    DlhNode *index = dlh_node_is (y, "reduce_max") ? dlh_argmax (x, 1) : argmin (x, 1);

    dx[0] = dlh_put_along (dy, index, x->shape.dims[1]);
    dx[0] = dlh_transpose (dx[0], (const guint[]){0, 2, 1}, 3);
}

static gboolean
max_run (const DlhCall *call, GError **error)
{
    Job job = job_new (call, 1, FALSE);

    (void) error;
    job_run (&job, call->node->dtype == DLH_F32 ? max_float : max_double);
    return TRUE;
}

static gboolean
min_run (const DlhCall *call, GError **error)
{
    Job job = job_new (call, 1, TRUE);

    (void) error;
    job_run (&job, call->node->dtype == DLH_F32 ? min_float : min_double);
    return TRUE;
}

static DlhNode *
extremum_sample (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *, const int *, guint, gboolean))
{
    static const int axes[][3] = {{0}, {1}, {-1}, {0, 2}, {1, 2}, {0, 1, 2}};
    static const guint n[] = {1, 1, 1, 2, 2, 3};

    if (which >= G_N_ELEMENTS (n) || !dlh_sample_dim (s, 4))
        return NULL;
    return make (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)), axes[which], n[which],
                 which % 2);
}

static DlhNode *
extremum_reject (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *, const int *, guint, gboolean))
{
    if (which == 0)
        return make (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), (const int[]){2}, 1, FALSE);
    if (which == 1)
        return make (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 0)), (const int[]){1}, 1, FALSE);
    return which == 2 ? make (dlh_sample_index (s, 3, dlh_shape (2, 3)), (const int[]){1}, 1, FALSE)
                      : NULL;
}

static DlhNode *
max_sample (DlhSample *s, guint which)
{
    return extremum_sample (s, which, dlh_reduce_max);
}

static DlhNode *
max_reject (DlhSample *s, guint which)
{
    return extremum_reject (s, which, dlh_reduce_max);
}

static DlhNode *
min_sample (DlhSample *s, guint which)
{
    return extremum_sample (s, which, dlh_reduce_min);
}

static DlhNode *
min_reject (DlhSample *s, guint which)
{
    return extremum_reject (s, which, dlh_reduce_min);
}

static const DlhOp op_max = {
    .size = sizeof (DlhOp),
    .name = "reduce_max",
    .n_inputs = 1,
    .flags = DLH_OP_STEPWISE,
    .infer = extremum_infer,
    .vjp = extremum_vjp,
    .run = max_run,
    .flops = dlh_flops_input,
    .sample = max_sample,
    .reject = max_reject,
};

static const DlhOp op_min = {
    .size = sizeof (DlhOp),
    .name = "reduce_min",
    .n_inputs = 1,
    .flags = DLH_OP_STEPWISE,
    .infer = extremum_infer,
    .vjp = extremum_vjp,
    .run = min_run,
    .flops = dlh_flops_input,
    .sample = min_sample,
    .reject = min_reject,
};

static DlhNode *
extremum (const DlhOp *op, DlhNode *x, const int *axes, guint n, gboolean keep)
{
    gint64 reduced[DLH_MAX_RANK];
    DlhShape shape;
    DlhNode *failed;

    if (dlh_node_failed (x))
        return x;
    failed = dlh_axes_mark (x, op->name, axes, n, reduced);
    if (failed)
        return failed;
    x = dlh_axes_join (x, reduced, keep, &shape);
    if (!dlh_node_failed (x) && x->shape.dims[1] == 1 && dlh_dtype_is_float (x->dtype))
        return dlh_reshape (x, shape);
    return dlh_reshape (dlh_node_new (op, &x, 1, NULL), shape);
}

DlhNode *
dlh_reduce_max (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    return extremum (&op_max, x, axes, n, keep);
}

DlhNode *
dlh_reduce_min (DlhNode *x, const int *axes, guint n, gboolean keep)
{
    return extremum (&op_min, x, axes, n, keep);
}

/* cumsum. */

typedef struct {
    gint64 axis, reverse;
} CumsumAttrs;

#define DEFINE_CUMSUM(T)                                                                           \
    static void cumsum_##T (gsize begin, gsize end, guint thread, gpointer user_data)              \
    {                                                                                              \
        const Job *job = user_data;                                                                \
        DlhAround a = job->around;                                                                 \
        double sums[WIDTH];                                                                        \
                                                                                                   \
        (void) thread;                                                                             \
        for (gint64 u = (gint64) begin; u < (gint64) end; u++) {                                   \
            gint64 column = u % job->wide * WIDTH, n = MIN (WIDTH, a.inner - column);              \
            gint64 start = u / job->wide * a.n * a.inner + column;                                 \
            const T *x = (const T *) job->x + start;                                               \
            T *y = (T *) job->y + start;                                                           \
                                                                                                   \
            memset (sums, 0, sizeof sums);                                                         \
            for (gint64 i = 0; i < a.n; i++) {                                                     \
                gint64 at = (job->flag ? a.n - 1 - i : i) * a.inner;                               \
                                                                                                   \
                for (gint64 j = 0; j < n; j++) {                                                   \
                    sums[j] += x[at + j];                                                          \
                    y[at + j] = (T) sums[j];                                                       \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_CUMSUM (float)
DEFINE_CUMSUM (double)

static gboolean
cumsum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return dlh_check_axis (node, ((const CumsumAttrs *) node->attrs)->axis, error) &&
           dlh_check_float (node, error);
}

static void
cumsum_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const CumsumAttrs *a = y->attrs;

    dx[0] = dlh_cumsum (dy, (int) a->axis, !a->reverse);
}

static gboolean
cumsum_run (const DlhCall *call, GError **error)
{
    const CumsumAttrs *a = call->node->attrs;
    Job job = job_new (call, a->axis, a->reverse != 0);

    (void) error;
    job_run (&job, call->node->dtype == DLH_F32 ? cumsum_float : cumsum_double);
    return TRUE;
}

static DlhNode *
cumsum_sample (DlhSample *s, guint which)
{
    if (which > 5)
        return NULL;
    return dlh_cumsum (dlh_sample_uniform (s, -2, 2, dlh_sample_shape (s, 2, 3, 4)),
                       (int) which / 2, which % 2);
}

static DlhNode *
cumsum_reject (DlhSample *s, guint which)
{
    if (which == 0)
        return dlh_cumsum (dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3)), 2, FALSE);
    return which == 1 ? dlh_cumsum (dlh_sample_uniform (s, -2, 2, dlh_shape ()), 0, FALSE) : NULL;
}

static const DlhOp op_cumsum = {
    .size = sizeof (DlhOp),
    .name = "cumsum",
    .n_inputs = 1,
    .attrs_size = sizeof (CumsumAttrs),
    .flags = DLH_OP_IN_PLACE,
    .infer = cumsum_infer,
    .vjp = cumsum_vjp,
    .run = cumsum_run,
    .sample = cumsum_sample,
    .reject = cumsum_reject,
};

DlhNode *
dlh_cumsum (DlhNode *x, int axis, gboolean reverse)
{
    CumsumAttrs a = {dlh_axis (x, axis), reverse != FALSE};

    return dlh_node_new (&op_cumsum, &x, 1, &a);
}

const DlhOp *const dlh_ops_extremum[] = {&op_max, &op_min, &op_argmax, &op_cumsum, NULL};
