/* SPDX-License-Identifier: MIT */
/* Cholesky factors and what is done with them: cholesky, solve_triangular, cholesky_inverse, logdet,
 * spd_solve. LAPACK does the arithmetic.
 *
 * Gradients by a symmetric matrix are symmetric: they hold for symmetric changes of it. Gradients by
 * a triangular matrix are triangular. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include <dlhost/sample.h>
#include "cpu/blas.h"
#include "graph/axes.h"
#include "graph/matrix.h"

#define ALONE_FLOPS 1e9 /* below n = 1400 LAPACK gains less from threads than a batch does */
#define NOT_FINITE (-1) /* info: a NaN or infinity was met */

static gint64
size_of (const DlhNode *x)
{
    return x->shape.dims[x->shape.rank - 1];
}

static DlhNode *
symmetric_part (DlhNode *x)
{
    return dlh_scale (dlh_add (x, dlh_t (x)), 0.5);
}

static gboolean
square_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return dlh_check_matrices (node, error) && dlh_check_square (node, 0, error);
}

// "cholesky: matrix 3 of 8 (785 x 785)"
static char *
matrix_name (const DlhNode *node, const DlhNode *x, gsize i)
{
    return g_strdup_printf ("%s: matrix %" G_GSIZE_FORMAT " of %" G_GINT64_FORMAT
                            " (%" G_GINT64_FORMAT " x %" G_GINT64_FORMAT ")",
                            node->op->name, i + 1, dlh_matrix_batch (x), size_of (x), size_of (x));
}

static gboolean
singular (const DlhNode *node, const DlhNode *x, gsize i, gint64 row, GError **error)
{
    g_autofree char *name = matrix_name (node, x, i);

    g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                 "%s is singular: its diagonal is zero in row %" G_GINT64_FORMAT, name, row);
    return FALSE;
}

static double
element (const DlhNode *x, const void *matrix, gint64 i)
{
    return x->dtype == DLH_F32 ? ((const float *) matrix)[i] : ((const double *) matrix)[i];
}

static void
copy_matrix (const DlhNode *x, const void *from, void *to)
{
    if (to != from)
        memcpy (to, from, dlh_matrix_bytes (x));
}

/* cholesky. */

static gint64
cholesky_one (const DlhCall *call, gsize i, guint part)
{
    const DlhNode *a = call->node->inputs[0];
    gsize size = dlh_dtype_size (a->dtype);
    gint64 n = size_of (a), info;
    char *l = dlh_matrix_at (a, call->out, i);

    (void) part;
    copy_matrix (a, dlh_matrix_at (a, call->in[0], i), l);
    info = dlh_potrf (a->dtype, n, l);
    if (info)
        return info;
    for (gint64 r = 0; r < n; r++) {
        // A NaN anywhere in row r of a has reached the diagonal of l.
        if (!isfinite (element (a, l, r * n + r)))
            return NOT_FINITE;
        memset (l + (gsize) (r * n + r + 1) * size, 0, (gsize) (n - r - 1) * size);
    }
    return 0;
}

static double
cholesky_flops (const DlhNode *node)
{
    double n = (double) size_of (node->inputs[0]);

    return (double) dlh_matrix_batch (node->inputs[0]) * n * n * n / 3;
}

static gboolean
cholesky_run (const DlhCall *call, GError **error)
{
    const DlhNode *a = call->node->inputs[0];
    gsize batch = (gsize) dlh_matrix_batch (a), failed;
    gint64 info;
    g_autofree char *name = NULL;

    if (dlh_each_matrix (call, cholesky_one, batch, 0,
                         cholesky_flops (call->node) / (double) MAX (1, batch), ALONE_FLOPS,
                         &failed, &info))
        return TRUE;
    name = matrix_name (call->node, a, failed);
    if (info == NOT_FINITE)
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC, "%s holds NaN or infinity", name);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                     "%s is not positive definite: leading minor %" G_GINT64_FORMAT
                     " fails; add damping or jitter",
                     name, info);
    return FALSE;
}

// arXiv 1602.07527, eq. 8: S = L^-T Phi (L' dL) L^-1, where Phi takes the lower triangle and half of
// the diagonal; the gradient is S made symmetric.
static void
cholesky_vjp (DlhNode *l, DlhNode *dl, DlhNode **dx)
{
    DlhNode *m = dlh_matmul_t (l, TRUE, dl, FALSE);
    DlhNode *phi = dlh_scale (dlh_add (dlh_tril (m, 0), dlh_tril (m, -1)), 0.5);
    DlhNode *left = dlh_solve_triangular (l, phi, TRUE, TRUE);

    dx[0] = symmetric_part (dlh_solve_triangular (l, dlh_t (left), TRUE, TRUE));
}

static DlhNode *
sample_spd (DlhSample *s, gboolean batch)
{
    return dlh_sample_spd (s, batch ? dlh_sample_shape (s, 2, 4, 4) : dlh_sample_shape (s, 4, 4));
}

static DlhNode *
cholesky_sample (DlhSample *s, guint which)
{
    return which > 1 ? NULL : dlh_cholesky (sample_spd (s, which == 1));
}

static DlhNode *
square_reject (DlhSample *s, guint which, DlhNode *(*op) (DlhNode *x))
{
    if (which > 1)
        return NULL;
    return op (dlh_sample_uniform (s, -1, 1, which ? dlh_shape (3) : dlh_shape (2, 3, 4)));
}

static DlhNode *
cholesky_reject (DlhSample *s, guint which)
{
    return square_reject (s, which, dlh_cholesky);
}

static const DlhOp op_cholesky = {
    .size = sizeof (DlhOp),
    .name = "cholesky",
    .n_inputs = 1,
    .flags = DLH_OP_IN_PLACE | DLH_OP_FALLIBLE,
    .infer = square_infer,
    .vjp = cholesky_vjp,
    .run = cholesky_run,
    .flops = cholesky_flops,
    .sample = cholesky_sample,
    .reject = cholesky_reject,
};

DlhNode *
dlh_cholesky (DlhNode *a)
{
    return dlh_node_new (&op_cholesky, &a, 1, NULL);
}

/* solve_triangular: x = op(l)^-1 b. Inputs b, l: the result can take b's memory. */

typedef struct {
    gint64 lower, transpose;
} SolveAttrs;

static gboolean
solve_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = node->inputs[0]->shape;
    return dlh_check_matrices (node, error) && dlh_check_square (node, 1, error) &&
           dlh_check_system (node, 1, 0, error);
}

static gint64
solve_one (const DlhCall *call, gsize i, guint part)
{
    const SolveAttrs *t = call->node->attrs;
    const DlhNode *b = call->node->inputs[0], *l = call->node->inputs[1];
    const void *matrix = dlh_matrix_at (l, call->in[1], i);
    gint64 n = size_of (l);
    void *x = dlh_matrix_at (b, call->out, i);

    (void) part;
    for (gint64 r = 0; r < n; r++)
        if (element (l, matrix, r * n + r) == 0)
            return r + 1;
    copy_matrix (b, dlh_matrix_at (b, call->in[0], i), x);
    dlh_trsm (b->dtype, t->lower != 0, t->transpose != 0, n, size_of (b), matrix, x);
    return 0;
}

static double
solve_flops (const DlhNode *node)
{
    return (double) dlh_shape_count (node->shape) * (double) size_of (node->inputs[1]);
}

static gboolean
solve_run (const DlhCall *call, GError **error)
{
    gsize batch = (gsize) dlh_matrix_batch (call->node), failed;
    gint64 row;

    if (dlh_each_matrix (call, solve_one, batch, 0,
                         solve_flops (call->node) / (double) MAX (1, batch), ALONE_FLOPS, &failed,
                         &row))
        return TRUE;
    return singular (call->node, call->node->inputs[1], failed, row, error);
}

// db = op(l)^-T dx; d op(l) = -db x'.
static void
solve_vjp (DlhNode *x, DlhNode *dy, DlhNode **dx)
{
    const SolveAttrs *t = x->attrs;
    DlhNode *l = x->inputs[1];
    DlhNode *db = dlh_solve_triangular (l, dy, t->lower != 0, !t->transpose);
    DlhNode *dl = t->transpose ? dlh_matmul_t (x, FALSE, db, TRUE) : dlh_matmul_t (db, FALSE, x, TRUE);

    dx[0] = db;
    dx[1] = dlh_neg (t->lower ? dlh_tril (dl, 0) : dlh_triu (dl, 0));
}

// Values in the other triangle are there to be ignored.
static DlhNode *
sample_triangular (DlhSample *s, gboolean batch)
{
    DlhShape shape = batch ? dlh_sample_shape (s, 2, 4, 4) : dlh_sample_shape (s, 4, 4);
    DlhNode *x = dlh_sample_uniform (s, -1, 1, shape);

    return dlh_add (x, dlh_scale (dlh_eye (x->graph, x->dtype, dlh_sample_dim (s, 4)), 3));
}

static DlhNode *
solve_sample (DlhSample *s, guint which)
{
    gboolean batch = which > 3;
    gint64 k = which == 5 ? 1 : 3;
    DlhNode *l;

    if (which > 5)
        return NULL;
    l = sample_triangular (s, batch);
    return dlh_solve_triangular (l,
                                 dlh_sample_uniform (s, -1, 1,
                                                     batch ? dlh_sample_shape (s, 2, 4, k)
                                                           : dlh_sample_shape (s, 4, k)),
                                 which & 1, (which >> 1) & 1);
}

static DlhNode *
solve_reject (DlhSample *s, guint which)
{
    static const DlhShape cases[][2] = {
        {{2, {3, 4}}, {2, {3, 2}}},
        {{2, {3, 3}}, {2, {4, 2}}},
        {{2, {3, 3}}, {1, {3}}},
        {{3, {2, 3, 3}}, {3, {5, 3, 1}}},
    };

    if (which >= G_N_ELEMENTS (cases))
        return NULL;
    return dlh_solve_triangular (dlh_sample_uniform (s, -1, 1, cases[which][0]),
                                 dlh_sample_uniform (s, -1, 1, cases[which][1]), TRUE, FALSE);
}

static const DlhOp op_solve_triangular = {
    .size = sizeof (DlhOp),
    .name = "solve_triangular",
    .n_inputs = 2,
    .attrs_size = sizeof (SolveAttrs),
    .flags = DLH_OP_IN_PLACE | DLH_OP_FALLIBLE,
    .infer = solve_infer,
    .vjp = solve_vjp,
    .run = solve_run,
    .flops = solve_flops,
    .sample = solve_sample,
    .reject = solve_reject,
};

DlhNode *
dlh_solve_triangular (DlhNode *l, DlhNode *b, gboolean lower, gboolean transpose)
{
    SolveAttrs t = {lower != FALSE, transpose != FALSE};

    return dlh_node_new (&op_solve_triangular, (DlhNode *[]){b, l}, 2, &t);
}

DlhNode *
dlh_cholesky_solve (DlhNode *l, DlhNode *b)
{
    return dlh_solve_triangular (l, dlh_solve_triangular (l, b, TRUE, FALSE), TRUE, TRUE);
}

/* cholesky_inverse: x = (l l')^-1. */

static gint64
inverse_one (const DlhCall *call, gsize i, guint part)
{
    const DlhNode *l = call->node->inputs[0];
    void *x = dlh_matrix_at (l, call->out, i);
    gint64 row;

    (void) part;
    copy_matrix (l, dlh_matrix_at (l, call->in[0], i), x);
    row = dlh_potri (l->dtype, size_of (l), x);
    if (row)
        return row;
    dlh_mirror_lower (l->dtype, size_of (l), x);
    return 0;
}

static double
inverse_flops (const DlhNode *node)
{
    return 2 * cholesky_flops (node);
}

static gboolean
inverse_run (const DlhCall *call, GError **error)
{
    gsize batch = (gsize) dlh_matrix_batch (call->node), failed;
    gint64 row;

    if (dlh_each_matrix (call, inverse_one, batch, 0,
                         inverse_flops (call->node) / (double) MAX (1, batch), ALONE_FLOPS, &failed,
                         &row))
        return TRUE;
    return singular (call->node, call->node->inputs[0], failed, row, error);
}

// With D = dx + dx' the change by l is -tril (x D x l), and x l = l^-T.
static void
inverse_vjp (DlhNode *x, DlhNode *dy, DlhNode **dx)
{
    DlhNode *d = dlh_matmul (dlh_add (dy, dlh_t (dy)), x);

    dx[0] = dlh_neg (dlh_tril (dlh_t (dlh_solve_triangular (x->inputs[0], d, TRUE, FALSE)), 0));
}

static DlhNode *
inverse_sample (DlhSample *s, guint which)
{
    return which > 1 ? NULL : dlh_cholesky_inverse (sample_triangular (s, which == 1));
}

static DlhNode *
inverse_reject (DlhSample *s, guint which)
{
    return square_reject (s, which, dlh_cholesky_inverse);
}

static const DlhOp op_cholesky_inverse = {
    .size = sizeof (DlhOp),
    .name = "cholesky_inverse",
    .n_inputs = 1,
    .flags = DLH_OP_IN_PLACE | DLH_OP_FALLIBLE,
    .infer = square_infer,
    .vjp = inverse_vjp,
    .run = inverse_run,
    .flops = inverse_flops,
    .sample = inverse_sample,
    .reject = inverse_reject,
};

DlhNode *
dlh_cholesky_inverse (DlhNode *l)
{
    return dlh_node_new (&op_cholesky_inverse, &l, 1, NULL);
}

DlhNode *
dlh_cholesky_logdet (DlhNode *l)
{
    return dlh_scale (dlh_sum_last (dlh_log (dlh_diag_part (l)), 1), 2);
}

/* logdet: inputs a and its Cholesky factor. The value comes from the factor, the gradient goes to a:
 * the factor is never differentiated, and other users of it share it. */

static gboolean
logdet_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    if (!square_infer (node, dtype, shape, error))
        return FALSE;
    *shape = dlh_shape_make (shape->rank - 2, shape->dims);
    return TRUE;
}

static gboolean
logdet_run (const DlhCall *call, GError **error)
{
    const DlhNode *l = call->node->inputs[1];
    gint64 batch = dlh_matrix_batch (l), n = size_of (l);

    (void) error;
    for (gint64 i = 0; i < batch; i++) {
        const void *matrix = dlh_matrix_at (l, call->in[1], (gsize) i);
        double sum = 0;

        for (gint64 r = 0; r < n; r++)
            sum += log (element (l, matrix, r * n + r));
        if (l->dtype == DLH_F32)
            ((float *) call->out)[i] = (float) (2 * sum);
        else
            ((double *) call->out)[i] = 2 * sum;
    }
    return TRUE;
}

static void
logdet_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dlh_expand (dlh_expand (dy, -1), -1), dlh_cholesky_inverse (y->inputs[1]));
}

static double
logdet_flops (const DlhNode *node)
{
    return (double) dlh_matrix_batch (node->inputs[0]) * (double) size_of (node->inputs[0]);
}

static DlhNode *
logdet_sample (DlhSample *s, guint which)
{
    return which > 1 ? NULL : dlh_logdet (sample_spd (s, which == 1));
}

static DlhNode *
logdet_reject (DlhSample *s, guint which)
{
    return square_reject (s, which, dlh_logdet);
}

static const DlhOp op_logdet = {
    .size = sizeof (DlhOp),
    .name = "logdet",
    .n_inputs = 2,
    .infer = logdet_infer,
    .vjp = logdet_vjp,
    .run = logdet_run,
    .flops = logdet_flops,
    .sample = logdet_sample,
    .reject = logdet_reject,
};

// The factor inside another op, whose name a misuse is to be reported under.
static DlhNode *
factor_for (const char *op, DlhNode *a)
{
    g_autofree char *shape = NULL;

    if (dlh_node_failed (a))
        return a;
    if (a->shape.rank >= 2 && size_of (a) == a->shape.dims[a->shape.rank - 2])
        return dlh_cholesky (a);
    shape = dlh_shape_to_string (a->shape);
    return dlh_graph_fail (a->graph, DLH_ERROR_SHAPE, "%s: %s, must be square matrices", op, shape);
}

DlhNode *
dlh_logdet (DlhNode *a)
{
    return dlh_node_new (&op_logdet, (DlhNode *[]){a, factor_for ("logdet", a)}, 2, NULL);
}

/* spd_solve: x = a^-1 b. Inputs b, a's Cholesky factor, a; as logdet does, the gradient goes to a. */

static gint64
spd_solve_one (const DlhCall *call, gsize i, guint part)
{
    const DlhNode *b = call->node->inputs[0], *l = call->node->inputs[1];
    const void *matrix = dlh_matrix_at (l, call->in[1], i);
    void *x = dlh_matrix_at (b, call->out, i);

    (void) part;
    copy_matrix (b, dlh_matrix_at (b, call->in[0], i), x);
    dlh_trsm (b->dtype, TRUE, FALSE, size_of (l), size_of (b), matrix, x);
    dlh_trsm (b->dtype, TRUE, TRUE, size_of (l), size_of (b), matrix, x);
    return 0;
}

static double
spd_solve_flops (const DlhNode *node)
{
    return 2 * solve_flops (node);
}

static gboolean
spd_solve_run (const DlhCall *call, GError **error)
{
    gsize batch = (gsize) dlh_matrix_batch (call->node), failed;
    gint64 info;

    (void) error;
    return dlh_each_matrix (call, spd_solve_one, batch, 0,
                            spd_solve_flops (call->node) / (double) MAX (1, batch), ALONE_FLOPS,
                            &failed, &info);
}

// db = a^-1 dx; da = -db x', made symmetric.
static void
spd_solve_vjp (DlhNode *x, DlhNode *dy, DlhNode **dx)
{
    DlhNode *a = x->inputs[2], *db = dlh_spd_solve (a, dy);

    dx[0] = db;
    dx[2] = dlh_neg (symmetric_part (dlh_matmul_t (db, FALSE, x, TRUE)));
}

static DlhNode *
spd_solve_sample (DlhSample *s, guint which)
{
    gint64 k = which ? 1 : 3;
    DlhNode *a;

    if (which > 1)
        return NULL;
    a = sample_spd (s, which == 1);
    return dlh_spd_solve (a, dlh_sample_uniform (s, -1, 1,
                                                 which ? dlh_sample_shape (s, 2, 4, k)
                                                       : dlh_sample_shape (s, 4, k)));
}

static DlhNode *
spd_solve_reject (DlhSample *s, guint which)
{
    if (which)
        return NULL;
    return dlh_spd_solve (dlh_sample_spd (s, dlh_shape (3, 3)),
                          dlh_sample_uniform (s, -1, 1, dlh_shape (4, 2)));
}

static const DlhOp op_spd_solve = {
    .size = sizeof (DlhOp),
    .name = "spd_solve",
    .n_inputs = 3,
    .flags = DLH_OP_IN_PLACE,
    .infer = solve_infer,
    .vjp = spd_solve_vjp,
    .run = spd_solve_run,
    .flops = spd_solve_flops,
    .sample = spd_solve_sample,
    .reject = spd_solve_reject,
};

DlhNode *
dlh_spd_solve (DlhNode *a, DlhNode *b)
{
    return dlh_node_new (&op_spd_solve, (DlhNode *[]){b, factor_for ("spd_solve", a), a}, 3, NULL);
}

const DlhOp *const dlh_ops_linalg[] = {
    &op_cholesky, &op_solve_triangular, &op_cholesky_inverse, &op_logdet, &op_spd_solve,
    &dlh_op_eigh, NULL,
};
