/* SPDX-License-Identifier: MIT */
/* eigh: a = V diag(w) V'. One op gives both, packed: (.., n + 1, n), w in row 0 and V below. */
#include <math.h>
#include <dlhost/dlhost.h>
#include <dlhost/sample.h>
#include "cpu/blas.h"
#include "graph/axes.h"
#include "graph/matrix.h"

#define ALONE_FLOPS 1e12 /* LAPACK's syevd gains little from threads: share out the batch */
#define NOT_FINITE (-1)  /* info: a NaN or infinity was met */
#define BLOCK 32
#define LARGEST 32766    /* beyond it the size of LAPACK's workspace, 2 n^2, is no int */

#define T float
#define NAME(name) name##_f32
#include "graph/op-eigh-type.h"
#undef T
#undef NAME
#define T double
#define NAME(name) name##_f64
#include "graph/op-eigh-type.h"
#undef T
#undef NAME

typedef struct {
    guint n_parts;
    gsize part_bytes; /* of workspace */
} Eigh;

static gint64
size_of (const DlhNode *x)
{
    return x->shape.dims[x->shape.rank - 1];
}

static gboolean
eigh_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *a = node->inputs[0];

    if (!dlh_check_matrices (node, error) || !dlh_check_square (node, 0, error))
        return FALSE;
    if (size_of (a) > LARGEST)
        return dlh_refuse (node, error, "size %" G_GINT64_FORMAT " is too large, LAPACK takes %d",
                           size_of (a), LARGEST);
    *dtype = a->dtype;
    *shape = a->shape;
    shape->dims[shape->rank - 2]++;
    return TRUE;
}

static Eigh
eigh_parts (const DlhNode *node)
{
    gint64 batch = dlh_matrix_batch (node);
    Eigh e = {(guint) MIN (batch, dlh_get_threads ()),
              dlh_syevd_work (node->dtype, size_of (node))};

    return e;
}

static gsize
eigh_workspace (const DlhNode *node)
{
    Eigh e = eigh_parts (node);

    return e.n_parts * e.part_bytes;
}

static gboolean
eigh_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    Eigh e = eigh_parts (node);

    (void) error;
    *state = g_memdup2 (&e, sizeof e);
    return TRUE;
}

static gint64
eigh_one (const DlhCall *call, gsize i, guint part)
{
    const DlhNode *y = call->node, *a = y->inputs[0];
    const Eigh *e = call->state;
    gint64 n = size_of (a);
    const void *from = dlh_matrix_at (a, call->in[0], i);
    char *w = dlh_matrix_at (y, call->out, i), *v = w + (gsize) n * dlh_dtype_size (y->dtype);

    if (!(y->dtype == DLH_F32 ? symmetrise_f32 (n, from, (float *) v)
                              : symmetrise_f64 (n, from, (double *) v)))
        return NOT_FINITE;
    if (dlh_syevd (y->dtype, n, v, w, (char *) call->work + part * e->part_bytes))
        return 1;
    if (y->dtype == DLH_F32)
        orient_rows_f32 (n, (float *) v);
    else
        orient_rows_f64 (n, (double *) v);
    dlh_transpose_square (y->dtype, n, v);
    return 0;
}

// 4/3 n^3 to tridiagonal form, about as much to divide and conquer, 2 n^3 to turn back.
static double
eigh_flops (const DlhNode *node)
{
    double n = (double) size_of (node);

    return (double) dlh_matrix_batch (node) * 14 / 3 * n * n * n;
}

static gboolean
eigh_run (const DlhCall *call, GError **error)
{
    const DlhNode *a = call->node->inputs[0];
    const Eigh *e = call->state;
    gsize batch = (gsize) dlh_matrix_batch (a), failed;
    gint64 info, n = size_of (a);

    if (dlh_each_matrix (call, eigh_one, batch, e->n_parts,
                         eigh_flops (call->node) / (double) MAX (1, batch), ALONE_FLOPS, &failed,
                         &info))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                 "eigh: matrix %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " (%" G_GINT64_FORMAT
                 " x %" G_GINT64_FORMAT ") %s",
                 failed + 1, batch, n, n,
                 info == NOT_FINITE ? "holds NaN or infinity" : "did not converge");
    return FALSE;
}

static void
unpack (DlhNode *packed, DlhNode **values, DlhNode **vectors)
{
    *values = dlh_index (packed, -2, 0);
    *vectors = dlh_slice (packed, -2, 1, dlh_node_dim (packed, -2), 1);
}

// da = V (diag (dw) + F o (V' dV)) V', made symmetric, with F_ij = 1 / (w_j - w_i) off the diagonal.
// Where eigenvalues are equal to the bit F is 0: right when dV does not depend on how the vectors of
// that eigenvalue are chosen, for then its cotangent is 0 there.
static void
eigh_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *w, *v, *dw, *dv, *gap, *equal, *f, *inner, *da;

    if (dlh_node_failed (dy))
        return;
    unpack (y, &w, &v);
    unpack (dy, &dw, &dv);
    gap = dlh_sub (dlh_expand (w, -2), dlh_expand (w, -1));
    equal = dlh_equal (gap, dlh_full_like (gap, 0));
    f = dlh_where (equal, dlh_full_like (gap, 0),
                   dlh_reciprocal (dlh_where (equal, dlh_full_like (gap, 1), gap)));
    inner = dlh_add (dlh_diag (dw), dlh_mul (f, dlh_matmul_t (v, TRUE, dv, FALSE)));
    da = dlh_matmul_t (dlh_matmul (v, inner), FALSE, v, TRUE);
    dx[0] = dlh_scale (dlh_add (da, dlh_t (da)), 0.5);
}

static DlhNode *
eigh_sample (DlhSample *s, guint which)
{
    DlhNode *a;

    if (which > 1)
        return NULL;
    a = dlh_sample_spd (s, which ? dlh_sample_shape (s, 2, 4, 4) : dlh_sample_shape (s, 4, 4));
    return dlh_node_new (&dlh_op_eigh, &a, 1, NULL);
}

static DlhNode *
eigh_reject (DlhSample *s, guint which)
{
    DlhNode *a;

    if (which > 1)
        return NULL;
    a = dlh_sample_uniform (s, -1, 1, which ? dlh_shape (3) : dlh_shape (3, 4));
    return dlh_node_new (&dlh_op_eigh, &a, 1, NULL);
}

const DlhOp dlh_op_eigh = {
    .size = sizeof (DlhOp),
    .name = "eigh",
    .n_inputs = 1,
    .flags = DLH_OP_FALLIBLE | DLH_OP_SERIAL,
    .infer = eigh_infer,
    .vjp = eigh_vjp,
    .workspace = eigh_workspace,
    .prepare = eigh_prepare,
    .release = g_free,
    .run = eigh_run,
    .flops = eigh_flops,
    .sample = eigh_sample,
    .reject = eigh_reject,
};

void
dlh_eigh (DlhNode *a, DlhNode **values, DlhNode **vectors)
{
    DlhNode *packed = dlh_node_new (&dlh_op_eigh, &a, 1, NULL);

    *values = *vectors = packed;
    if (!dlh_node_failed (packed))
        unpack (packed, values, vectors);
}
