/* SPDX-License-Identifier: MIT */
/* Products of two matrices: matmul, matmul-sum, matmul-rounded. */
#include <string.h>
#include <dlhost/dlhost.h>
#include <dlhost/sample.h>
#include "cpu/blas.h"
#include "cpu/matmul-dnnl.h"
#include "cpu/parallel.h"
#include "graph/axes.h"
#include "graph/matrix.h"
#include "graph/rows.h"

/* matmul: y = op(a) op(b).
 *
 * matmul-sum: the same summed over the batch, which both operands have: the gradient by an operand
 * that has none.
 *
 * matmul-rounded: the operands may be rounded first. */

typedef DlhMatmulAttrs MatmulAttrs; // those of matmul-rounded begin with them
typedef DlhRoundedMatmulAttrs RoundedAttrs;

static const DlhOp op_matmul, op_matmul_sum, op_matmul_rounded;

static gboolean
same_batch (const DlhNode *a, const DlhNode *b)
{
    return a->shape.rank == b->shape.rank &&
           memcmp (a->shape.dims, b->shape.dims, (a->shape.rank - 2) * sizeof (gint64)) == 0;
}

static gboolean
check_product (const DlhNode *node, gboolean sum, GError **error)
{
    const MatmulAttrs *t = node->attrs;
    const DlhNode *a = node->inputs[0], *b = node->inputs[1];
    g_autofree char *sa = dlh_shape_to_string (a->shape), *sb = dlh_shape_to_string (b->shape);
    const char *ta = t->transpose_a ? "'" : "", *tb = t->transpose_b ? "'" : "";
    gint64 k;

    if (!dlh_check_matrices (node, error))
        return FALSE;
    if (a->shape.rank < 2 || b->shape.rank < 2)
        return dlh_refuse (node, error, "%s and %s, both must have rows and columns", sa, sb);
    k = dlh_matrix_columns (a, t->transpose_a);
    if (k != dlh_matrix_rows (b, t->transpose_b))
        return dlh_refuse (node, error,
                           "%s%s does not fit %s%s: inner sizes %" G_GINT64_FORMAT
                           " and %" G_GINT64_FORMAT " differ",
                           sa, ta, sb, tb, k, dlh_matrix_rows (b, t->transpose_b));
    if (!same_batch (a, b) && (sum || (a->shape.rank > 2 && b->shape.rank > 2)))
        return dlh_refuse (node, error, "%s%s does not fit %s%s: leading axes differ", sa, ta, sb,
                           tb);
    return TRUE;
}

static gboolean
matmul_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const MatmulAttrs *t = node->attrs;
    const DlhNode *a = node->inputs[0], *b = node->inputs[1];

    if (!check_product (node, FALSE, error))
        return FALSE;
    *dtype = a->dtype;
    *shape = a->shape.rank > b->shape.rank ? a->shape : b->shape;
    shape->dims[shape->rank - 2] = dlh_matrix_rows (a, t->transpose_a);
    shape->dims[shape->rank - 1] = dlh_matrix_columns (b, t->transpose_b);
    return TRUE;
}

static gboolean
rounded_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const gint64 precision = ((const RoundedAttrs *)node->attrs)->precision;

    if (precision != DLH_PRECISION_BF16)
        return dlh_refuse (
            node, error, "precision %" G_GINT64_FORMAT ", must be one of DlhPrecision", precision);
    return matmul_infer (node, dtype, shape, error);
}

static gboolean
matmul_sum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const MatmulAttrs *t = node->attrs;
    const DlhNode *a = node->inputs[0], *b = node->inputs[1];

    if (!check_product (node, TRUE, error))
        return FALSE;
    *dtype = a->dtype;
    *shape =
        dlh_shape (dlh_matrix_rows (a, t->transpose_a), dlh_matrix_columns (b, t->transpose_b));
    return TRUE;
}

// What a run does: @batch products, @step_* bytes apart.
typedef struct {
    DlhDType dtype;
    gboolean ta, tb;
    gint64 m, n, k, lda, ldb;
    gint64 batch;
    gsize step_a, step_b, step_c;
    DlhRoundedPlan *rounded; /* (nullable): of matmul-rounded where it is faster */
} Product;

static Product
product_of (const DlhNode *node)
{
    const MatmulAttrs *t = node->attrs;
    const DlhNode *a = node->inputs[0], *b = node->inputs[1];
    const DlhNode *wide = a->shape.rank > 2 ? a : b;
    const gboolean sum = node->shape.rank < wide->shape.rank;
    const gint64 ta = t->transpose_a, tb = t->transpose_b;
    Product p = {.dtype = a->dtype,
                 .ta = ta != 0,
                 .tb = tb != 0,
                 .m = dlh_matrix_rows (a, ta),
                 .k = dlh_matrix_columns (a, ta),
                 .n = dlh_matrix_columns (b, tb),
                 .lda = MAX (1, dlh_matrix_columns (a, FALSE)),
                 .ldb = MAX (1, dlh_matrix_columns (b, FALSE)),
                 .batch = dlh_matrix_batch (wide),
                 .step_a = a->shape.rank > 2 ? dlh_matrix_bytes (a) : 0,
                 .step_b = b->shape.rank > 2 ? dlh_matrix_bytes (b) : 0,
                 .step_c = sum ? 0 : dlh_matrix_bytes (node)};

    // Where the batch is but more rows, or more terms of the sum, it is one product.
    if (!sum && b->shape.rank == 2 && !p.ta && dlh_blas_fits (p.m * p.batch)) {
        p.m *= p.batch;
        p.batch = MIN (p.batch, 1);
    } else if (sum && p.ta && !p.tb && dlh_blas_fits (p.k * p.batch)) {
        p.k *= p.batch;
        p.batch = 1;
    }
    if (node->op == &op_matmul_rounded && p.dtype == DLH_F32)
        p.rounded = dlh_rounded_plan_new (p.ta, p.tb, p.m, p.n, p.k);
    return p;
}

static gboolean
product_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    const Product p = product_of (node);

    (void)error;
    *state = g_memdup2 (&p, sizeof p);
    return TRUE;
}

static void
product_release (gpointer state)
{
    Product *p = state;

    dlh_rounded_plan_free (p->rounded);
    g_free (p);
}

static gsize
rounded_workspace (const DlhNode *node)
{
    const Product p = product_of (node);
    const gsize bytes = p.rounded ? dlh_rounded_plan_workspace (p.rounded) : 0;

    dlh_rounded_plan_free (p.rounded);
    return bytes;
}

static void
product_at (const Product *p, const DlhCall *call, gsize i, double beta)
{
    dlh_gemm (p->dtype, p->ta, p->tb, p->m, p->n, p->k, (const char *)call->in[0] + i * p->step_a,
              p->lda, (const char *)call->in[1] + i * p->step_b, p->ldb, beta,
              (char *)call->out + i * p->step_c, MAX (1, p->n));
}

static gint64
matmul_one (const DlhCall *call, gsize i, guint part)
{
    (void)part;
    product_at (call->state, call, i, 0);
    return 0;
}

static gboolean
matmul_run (const DlhCall *call, GError **error)
{
    const Product *p = call->state;
    double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    gsize failed;
    gint64 info;

    (void)error;
    return dlh_each_matrix (call, matmul_one, (gsize)p->batch, 0, flops, DLH_ALONE_FLOPS, &failed,
                            &info);
}

// One product, whose right factor all rows share.
static gboolean
is_shared (const Product *p, const DlhNode *node)
{
    return !p->ta && p->batch <= 1 && node->inputs[1]->shape.rank == 2;
}

// Of a batch, a row is a product or some.
static guint32
matmul_rows (const DlhNode *node)
{
    const Product p = product_of (node);

    if (is_shared (&p, node))
        return DLH_BY_ROWS | 1;
    if (node->shape.rank == 2)
        return 0;
    return DLH_BY_ROWS | (node->inputs[0]->shape.rank > 2) | (node->inputs[1]->shape.rank > 2) << 1;
}

static void
matmul_run_rows (const DlhCall *call, gint64 first, gint64 n)
{
    const Product *p = call->state;
    const gint64 all = call->node->shape.dims[0], each = p->m / all;
    const gsize size = dlh_dtype_size (p->dtype);

    if (is_shared (p, call->node)) {
        dlh_gemm (p->dtype, FALSE, p->tb, n * each, p->n, p->k,
                  (const char *)call->in[0] + (gsize)(first * each * p->lda) * size, p->lda,
                  call->in[1], p->ldb, 0, (char *)call->out + (gsize)(first * each * p->n) * size,
                  MAX (1, p->n));
        return;
    }
    for (gint64 i = first * (p->batch / all); i < (first + n) * (p->batch / all); i++)
        product_at (p, call, (gsize)i, 0);
}

static gboolean
matmul_sum_run (const DlhCall *call, GError **error)
{
    const Product *p = call->state;

    (void)error;
    if (p->batch == 0)
        memset (call->out, 0, (gsize)(p->m * p->n) * dlh_dtype_size (p->dtype));
    for (gint64 i = 0; i < p->batch; i++)
        product_at (p, call, (gsize)i, i > 0);
    return TRUE;
}

// The plan's work is cut for the threads of compile time, which a team that runs already has not.
static gboolean
rounded_run (const DlhCall *call, GError **error)
{
    const Product *p = call->state;

    if (!p->rounded || dlh_parallel_is_nested ())
        return matmul_run (call, error);
    for (gint64 i = 0; i < p->batch; i++)
        if (!dlh_rounded_plan_run (p->rounded, (const char *)call->in[0] + (gsize)i * p->step_a,
                                   (const char *)call->in[1] + (gsize)i * p->step_b,
                                   (char *)call->out + (gsize)i * p->step_c, call->work, error))
            return FALSE;
    return TRUE;
}

static double
matmul_flops (const DlhNode *node)
{
    const MatmulAttrs *t = node->attrs;

    return 2.0 * (double)dlh_shape_count (node->shape) *
           (double)dlh_matrix_columns (node->inputs[0], t->transpose_a);
}

static double
matmul_sum_flops (const DlhNode *node)
{
    return matmul_flops (node) * (double)dlh_matrix_batch (node->inputs[0]);
}

// op(a) op(b) as the gradient by @x: of its rank.
static DlhNode *
product_for (const DlhNode *x, DlhPrecision precision, DlhNode *a, gboolean ta, DlhNode *b,
             gboolean tb)
{
    MatmulAttrs t = {ta, tb};

    if (x->shape.rank == MAX (a->shape.rank, b->shape.rank))
        return dlh_matmul_precision (a, ta, b, tb, precision);
    if (ta && !tb)
        return dlh_matmul_precision (dlh_stack_rows (a), TRUE, dlh_stack_rows (b), FALSE,
                                     precision);
    return dlh_node_new (&op_matmul_sum, (DlhNode *[]){a, b}, 2, &t);
}

// da = dy op(b)', or its transpose; db = op(a)' dy, or its transpose. To rounding, the gradient is
// as if there were none.
static void
matmul_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const MatmulAttrs *t = y->attrs;
    const DlhPrecision how = y->op == &op_matmul_rounded
                                 ? (DlhPrecision)((const RoundedAttrs *)y->attrs)->precision
                                 : DLH_PRECISION_FULL;
    DlhNode *a = y->inputs[0], *b = y->inputs[1];
    gboolean ta = t->transpose_a != 0, tb = t->transpose_b != 0;

    if (dlh_node_failed (dy))
        return;
    dx[0] = ta ? product_for (a, how, b, tb, dy, TRUE) : product_for (a, how, dy, FALSE, b, !tb);
    dx[1] = tb ? product_for (b, how, dy, TRUE, a, ta) : product_for (b, how, a, !ta, dy, FALSE);
}

static DlhNode *
sample_matrix (DlhSample *s, gboolean batch, gboolean transpose, gint64 m, gint64 n)
{
    gint64 rows = transpose ? n : m, columns = transpose ? m : n;

    return dlh_sample_uniform (s, -1, 1,
                               batch ? dlh_sample_shape (s, 3, rows, columns)
                                     : dlh_sample_shape (s, rows, columns));
}

// Every way to transpose, with the batch on neither, both and either operand; then vectors.
static DlhNode *
matmul_sample (DlhSample *s, guint which)
{
    gboolean ta = which & 1, tb = (which >> 1) & 1;
    gboolean batch_a = (which >> 2) & 1, batch_b = (which >> 3) & 1;

    if (which == 16)
        return dlh_matmul (sample_matrix (s, TRUE, FALSE, 2, 4),
                           sample_matrix (s, FALSE, FALSE, 4, 1));
    if (which == 17)
        return dlh_matmul (sample_matrix (s, TRUE, FALSE, 1, 4),
                           sample_matrix (s, TRUE, FALSE, 4, 3));
    if (which > 17)
        return NULL;
    return dlh_matmul_t (sample_matrix (s, batch_a, ta, 2, 4), ta,
                         sample_matrix (s, batch_b, tb, 4, 3), tb);
}

// Small ones, which are never rounded: values and gradients are compared with those of f64.
static DlhNode *
rounded_sample (DlhSample *s, guint which)
{
    const gboolean ta = which & 1, tb = (which >> 1) & 1, batch = (which >> 2) & 1;

    if (which > 7)
        return NULL;
    return dlh_matmul_precision (sample_matrix (s, batch, ta, 2, 4), ta,
                                 sample_matrix (s, FALSE, tb, 4, 3), tb, DLH_PRECISION_BF16);
}

static DlhNode *
matmul_sum_sample (DlhSample *s, guint which)
{
    MatmulAttrs t = {which & 1, (which >> 1) & 1};
    DlhNode *ab[2];

    if (which > 3)
        return NULL;
    ab[0] = sample_matrix (s, TRUE, t.transpose_a != 0, 2, 4);
    ab[1] = sample_matrix (s, TRUE, t.transpose_b != 0, 4, 3);
    return dlh_node_new (&op_matmul_sum, ab, 2, &t);
}

static DlhNode *
matmul_reject (DlhSample *s, guint which)
{
    static const struct {
        DlhShape a, b;
        gboolean ta, tb;
    } cases[] = {
        {{2, {3, 4}}, {2, {5, 6}}, FALSE, FALSE},
        {{2, {3, 4}}, {2, {4, 6}}, TRUE, FALSE},
        {{2, {3, 4}}, {2, {4, 6}}, FALSE, TRUE},
        {{1, {4}}, {2, {4, 6}}, FALSE, FALSE},
        {{3, {2, 3, 4}}, {3, {5, 4, 6}}, FALSE, FALSE},
        {{3, {2, 3, 4}}, {4, {1, 2, 4, 6}}, FALSE, FALSE},
    };
    DlhNode *a;

    if (which == G_N_ELEMENTS (cases)) {
        a = dlh_sample_uniform (s, -1, 1, dlh_shape (2, 2));
        return dlh_matmul (a, dlh_full (a->graph, DLH_I64, dlh_shape (2, 2), 1));
    }
    if (which > G_N_ELEMENTS (cases))
        return NULL;
    a = dlh_sample_uniform (s, -1, 1, cases[which].a);
    return dlh_matmul_t (a, cases[which].ta, dlh_sample_uniform (s, -1, 1, cases[which].b),
                         cases[which].tb);
}

static DlhNode *
rounded_reject (DlhSample *s, guint which)
{
    DlhNode *a = dlh_sample_uniform (s, -1, 1, dlh_shape (3, 4));
    DlhNode *b = dlh_sample_uniform (s, -1, 1, dlh_shape (5, 6));

    if (which > 1)
        return NULL;
    return which ? dlh_matmul_precision (a, TRUE, a, FALSE, (DlhPrecision)0)
                 : dlh_matmul_precision (a, FALSE, b, FALSE, DLH_PRECISION_BF16);
}

static DlhNode *
matmul_sum_reject (DlhSample *s, guint which)
{
    DlhNode *ab[2];

    if (which > 0)
        return NULL;
    ab[0] = dlh_sample_uniform (s, -1, 1, dlh_shape (2, 3, 4));
    ab[1] = dlh_sample_uniform (s, -1, 1, dlh_shape (4, 3));
    return dlh_node_new (&op_matmul_sum, ab, 2, &(MatmulAttrs){0});
}

static const DlhOp op_matmul = {
    .size = sizeof (DlhOp),
    .name = "matmul",
    .n_inputs = 2,
    .attrs_size = sizeof (MatmulAttrs),
    .infer = matmul_infer,
    .vjp = matmul_vjp,
    .prepare = product_prepare,
    .release = product_release,
    .run = matmul_run,
    .flops = matmul_flops,
    .sample = matmul_sample,
    .reject = matmul_reject,
};

static const DlhOp op_matmul_sum = {
    .size = sizeof (DlhOp),
    .name = "matmul-sum",
    .n_inputs = 2,
    .attrs_size = sizeof (MatmulAttrs),
    .infer = matmul_sum_infer,
    .vjp = matmul_vjp, // the sum hands the same dy to every product
    .prepare = product_prepare,
    .release = product_release,
    .run = matmul_sum_run,
    .flops = matmul_sum_flops,
    .sample = matmul_sum_sample,
    .reject = matmul_sum_reject,
};

static const DlhOp op_matmul_rounded = {
    .size = sizeof (DlhOp),
    .name = "matmul-rounded",
    .n_inputs = 2,
    .attrs_size = sizeof (RoundedAttrs),
    .infer = rounded_infer,
    .vjp = matmul_vjp,
    .workspace = rounded_workspace,
    .prepare = product_prepare,
    .release = product_release,
    .run = rounded_run,
    .flops = matmul_flops,
    .sample = rounded_sample,
    .reject = rounded_reject,
};

// The operand of a transpose of the last two axes; BLAS reads it either way at no cost.
static DlhNode *
skip_transpose (DlhNode *x, gint64 *transpose)
{
    while (dlh_node_is (x, "transpose") && dlh_t (x) == x->inputs[0]) {
        x = x->inputs[0];
        *transpose = !*transpose;
    }
    return x;
}

DlhNode *
dlh_matmul_precision (DlhNode *a, gboolean transpose_a, DlhNode *b, gboolean transpose_b,
                      DlhPrecision precision)
{
    RoundedAttrs t = {{transpose_a != FALSE, transpose_b != FALSE}, precision};
    DlhNode *ab[2] = {skip_transpose (a, &t.matmul.transpose_a),
                      skip_transpose (b, &t.matmul.transpose_b)};

    if (precision == DLH_PRECISION_FULL)
        return dlh_node_new (&op_matmul, ab, 2, &t.matmul);
    return dlh_node_new (&op_matmul_rounded, ab, 2, &t);
}

DlhNode *
dlh_matmul_t (DlhNode *a, gboolean transpose_a, DlhNode *b, gboolean transpose_b)
{
    return dlh_matmul_precision (a, transpose_a, b, transpose_b, DLH_PRECISION_FULL);
}

DlhNode *
dlh_matmul (DlhNode *a, DlhNode *b)
{
    return dlh_matmul_t (a, FALSE, b, FALSE);
}

const DlhOpRows dlh_rows_matmul[] = {{&op_matmul, matmul_rows, matmul_run_rows}, {0}};
const DlhOp *const dlh_ops_matmul[] = {&op_matmul, &op_matmul_sum, &op_matmul_rounded, NULL};
