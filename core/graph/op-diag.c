/* SPDX-License-Identifier: MIT */
/* Diagonals and triangles of the last two axes. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "cpu/move.h"
#include "graph/axes.h"

// Both ways between (.., n) and the diagonals of (.., n, n).
static void
move_diagonal (const DlhNode *diagonal, gboolean into, const DlhCall *call)
{
    gint64 n = dlh_node_dim (diagonal, -1), outer;
    DlhMove move = {0};

    if (!dlh_shape_count (diagonal->shape))
        return;
    outer = dlh_shape_count (diagonal->shape) / n;
    dlh_move_axis (&move, outer, into ? n * n : n, into ? n : n * n);
    dlh_move_axis (&move, n, into ? n + 1 : 1, into ? 1 : n + 1);
    dlh_move_run (&move, dlh_dtype_size (diagonal->dtype), call->out, call->in[0]);
}

/* diag and diag_part. */

static gboolean
diag_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape x = node->inputs[0]->shape;
    g_autofree char *s = NULL;

    *dtype = node->inputs[0]->dtype;
    if (x.rank > 0 && x.rank < DLH_MAX_RANK) {
        *shape = dlh_shape_insert (x, x.rank, x.dims[x.rank - 1]);
        return TRUE;
    }
    s = dlh_shape_to_string (x);
    return dlh_refuse (node, error, "%s has no axis to make matrices of, or too many", s);
}

static void
diag_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dlh_diag_part (dy);
}

static gboolean
diag_run (const DlhCall *call, GError **error)
{
    gsize bytes = (gsize) dlh_shape_count (call->node->shape) * dlh_dtype_size (call->node->dtype);

    (void) error;
    if (bytes)
        memset (call->out, 0, bytes);
    move_diagonal (call->node->inputs[0], TRUE, call);
    return TRUE;
}

static DlhNode *
diag_sample (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_diag (dlh_sample_uniform (
        s, -2, 2, which ? dlh_sample_shape (s, 2, 3) : dlh_sample_shape (s, 4)));
}

static DlhNode *
diag_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_diag (dlh_sample_uniform (s, -2, 2, dlh_shape ()));
}

static const DlhOp op_diag = {
    .size = sizeof (DlhOp),
    .name = "diag",
    .n_inputs = 1,
    .infer = diag_infer,
    .vjp = diag_vjp,
    .run = diag_run,
    .flops = dlh_flops_none,
    .sample = diag_sample,
    .reject = diag_reject,
};

DlhNode *
dlh_diag (DlhNode *x)
{
    return dlh_node_new (&op_diag, &x, 1, NULL);
}

DlhNode *
dlh_eye (DlhGraph *graph, DlhDType dtype, gint64 n)
{
    return dlh_diag (dlh_full (graph, dtype, dlh_shape (n), 1));
}

static gboolean
diag_part_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape x = node->inputs[0]->shape;
    g_autofree char *s = NULL;

    *dtype = node->inputs[0]->dtype;
    if (x.rank >= 2 && x.dims[x.rank - 1] == x.dims[x.rank - 2]) {
        *shape = dlh_shape_remove (x, x.rank - 1);
        return TRUE;
    }
    s = dlh_shape_to_string (x);
    return dlh_refuse (node, error, "%s is no square matrices", s);
}

static void
diag_part_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dlh_diag (dy);
}

static gboolean
diag_part_run (const DlhCall *call, GError **error)
{
    (void) error;
    move_diagonal (call->node, FALSE, call);
    return TRUE;
}

static DlhNode *
diag_part_sample (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_diag_part (dlh_sample_uniform (
        s, -2, 2, which ? dlh_sample_shape (s, 2, 3, 3) : dlh_sample_shape (s, 4, 4)));
}

static DlhNode *
diag_part_reject (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_diag_part (dlh_sample_uniform (s, -2, 2, which ? dlh_shape (3) : dlh_shape (3, 4)));
}

static const DlhOp op_diag_part = {
    .size = sizeof (DlhOp),
    .name = "diag_part",
    .n_inputs = 1,
    .infer = diag_part_infer,
    .vjp = diag_part_vjp,
    .run = diag_part_run,
    .flops = dlh_flops_none,
    .sample = diag_part_sample,
    .reject = diag_part_reject,
};

DlhNode *
dlh_diag_part (DlhNode *x)
{
    if (x->op == &op_diag)
        return x->inputs[0];
    return dlh_node_new (&op_diag_part, &x, 1, NULL);
}

DlhNode *
dlh_trace (DlhNode *x)
{
    return dlh_sum_axis (dlh_diag_part (x), -1);
}

/* tril and triu. */

typedef struct {
    gint64 k;
} TriangleAttrs;

static gboolean
triangle_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape x = node->inputs[0]->shape;
    g_autofree char *s = NULL;

    *dtype = node->inputs[0]->dtype;
    *shape = x;
    if (x.rank >= 2)
        return TRUE;
    s = dlh_shape_to_string (x);
    return dlh_refuse (node, error, "%s is no matrices", s);
}

static void
tril_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_tril (dy, (int) ((const TriangleAttrs *) y->attrs)->k);
}

static void
triu_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_triu (dy, (int) ((const TriangleAttrs *) y->attrs)->k);
}

// Each row keeps [begin, end) of its elements.
static void
triangle_run (const DlhCall *call, gboolean lower)
{
    DlhShape shape = call->node->shape;
    gint64 m = shape.dims[shape.rank - 2], n = shape.dims[shape.rank - 1];
    gint64 k = ((const TriangleAttrs *) call->node->attrs)->k;
    gint64 rows = n ? dlh_shape_count (shape) / n : 0;
    gsize size = dlh_dtype_size (call->node->dtype);

    for (gint64 r = 0; r < rows; r++) {
        gint64 cut = CLAMP (r % m + k + (lower ? 1 : 0), 0, n);
        gint64 begin = lower ? 0 : cut, end = lower ? cut : n;
        char *y = (char *) call->out + (gsize) (r * n) * size;
        const char *x = (const char *) call->in[0] + (gsize) (r * n) * size;

        if (y != x)
            memcpy (y + (gsize) begin * size, x + (gsize) begin * size,
                    (gsize) (end - begin) * size);
        memset (y, 0, (gsize) begin * size);
        memset (y + (gsize) end * size, 0, (gsize) (n - end) * size);
    }
}

static gboolean
tril_run (const DlhCall *call, GError **error)
{
    (void) error;
    triangle_run (call, TRUE);
    return TRUE;
}

static gboolean
triu_run (const DlhCall *call, GError **error)
{
    (void) error;
    triangle_run (call, FALSE);
    return TRUE;
}

static DlhNode *
triangle_sample (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *, int) )
{
    static const int ks[] = {0, 1, -1, 2, -9};

    if (which >= G_N_ELEMENTS (ks))
        return NULL;
    return make (dlh_sample_uniform (s, -2, 2,
                                     which == 1 ? dlh_sample_shape (s, 2, 4, 3)
                                                : dlh_sample_shape (s, 3, 4)),
                 ks[which]);
}

static DlhNode *
tril_sample (DlhSample *s, guint which)
{
    return triangle_sample (s, which, dlh_tril);
}

static DlhNode *
triu_sample (DlhSample *s, guint which)
{
    return triangle_sample (s, which, dlh_triu);
}

static DlhNode *
tril_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_tril (dlh_sample_uniform (s, -2, 2, dlh_shape (3)), 0);
}

static DlhNode *
triu_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_triu (dlh_sample_uniform (s, -2, 2, dlh_shape (3)), 0);
}

static const DlhOp op_tril = {
    .size = sizeof (DlhOp),
    .name = "tril",
    .n_inputs = 1,
    .attrs_size = sizeof (TriangleAttrs),
    .flags = DLH_OP_IN_PLACE,
    .infer = triangle_infer,
    .vjp = tril_vjp,
    .run = tril_run,
    .flops = dlh_flops_none,
    .sample = tril_sample,
    .reject = tril_reject,
};

static const DlhOp op_triu = {
    .size = sizeof (DlhOp),
    .name = "triu",
    .n_inputs = 1,
    .attrs_size = sizeof (TriangleAttrs),
    .flags = DLH_OP_IN_PLACE,
    .infer = triangle_infer,
    .vjp = triu_vjp,
    .run = triu_run,
    .flops = dlh_flops_none,
    .sample = triu_sample,
    .reject = triu_reject,
};

DlhNode *
dlh_tril (DlhNode *x, int k)
{
    TriangleAttrs a = {k};

    return dlh_node_new (&op_tril, &x, 1, &a);
}

DlhNode *
dlh_triu (DlhNode *x, int k)
{
    TriangleAttrs a = {k};

    return dlh_node_new (&op_triu, &x, 1, &a);
}

const DlhOp *const dlh_ops_diag[] = {&op_diag, &op_diag_part, &op_tril, &op_triu, NULL};
