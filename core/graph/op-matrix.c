/* SPDX-License-Identifier: MIT */
/* Products: matmul, linear, gram. All of the arithmetic is BLAS. */
#include <string.h>
#include <dlhost/dlhost.h>
#include <dlhost/sample.h>
#include "cpu/blas.h"
#include "cpu/parallel.h"
#include "graph/axes.h"
#include "graph/matrix.h"

#define ALONE_FLOPS 1e6        /* BLAS shares a larger product between threads well */
#define COPY_BYTES (16 * 1024) /* what a row of biases is repeated to before it is copied about */

static gint64
count_of (const gint64 *dims, guint n)
{
    gint64 count = 1;

    for (guint i = 0; i < n; i++)
        count *= dims[i];
    return count;
}

/* matmul: y = op(a) op(b).
 *
 * matmul-sum: the same summed over the batch, which both operands have: the gradient by an operand
 * that has none. */

typedef DlhMatmulAttrs MatmulAttrs;

// Sizes of op(x), that is, after transposing as asked.
static gint64
rows_of (const DlhNode *x, gint64 transpose)
{
    return x->shape.dims[x->shape.rank - (transpose ? 1 : 2)];
}

static gint64
columns_of (const DlhNode *x, gint64 transpose)
{
    return x->shape.dims[x->shape.rank - (transpose ? 2 : 1)];
}

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
    k = columns_of (a, t->transpose_a);
    if (k != rows_of (b, t->transpose_b))
        return dlh_refuse (node, error,
                            "%s%s does not fit %s%s: inner sizes %" G_GINT64_FORMAT
                            " and %" G_GINT64_FORMAT " differ",
                            sa, ta, sb, tb, k, rows_of (b, t->transpose_b));
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
    shape->dims[shape->rank - 2] = rows_of (a, t->transpose_a);
    shape->dims[shape->rank - 1] = columns_of (b, t->transpose_b);
    return TRUE;
}

static gboolean
matmul_sum_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const MatmulAttrs *t = node->attrs;
    const DlhNode *a = node->inputs[0], *b = node->inputs[1];

    if (!check_product (node, TRUE, error))
        return FALSE;
    *dtype = a->dtype;
    *shape = dlh_shape (rows_of (a, t->transpose_a), columns_of (b, t->transpose_b));
    return TRUE;
}

// What a run does: @batch products, @step_* bytes apart.
typedef struct {
    DlhDType dtype;
    gboolean ta, tb;
    gint64 m, n, k, lda, ldb;
    gint64 batch;
    gsize step_a, step_b, step_c;
} Product;

static gboolean
product_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    const MatmulAttrs *t = node->attrs;
    const DlhNode *a = node->inputs[0], *b = node->inputs[1];
    const DlhNode *wide = a->shape.rank > 2 ? a : b;
    gboolean sum = node->shape.rank < wide->shape.rank;
    Product *p = g_new0 (Product, 1);

    (void) error;
    p->dtype = a->dtype;
    p->ta = t->transpose_a != 0;
    p->tb = t->transpose_b != 0;
    p->m = rows_of (a, p->ta);
    p->k = columns_of (a, p->ta);
    p->n = columns_of (b, p->tb);
    p->lda = MAX (1, columns_of (a, FALSE));
    p->ldb = MAX (1, columns_of (b, FALSE));
    p->batch = dlh_matrix_batch (wide);
    p->step_a = a->shape.rank > 2 ? dlh_matrix_bytes (a) : 0;
    p->step_b = b->shape.rank > 2 ? dlh_matrix_bytes (b) : 0;
    p->step_c = sum ? 0 : dlh_matrix_bytes (node);

    // Where the batch is but more rows, or more terms of the sum, it is one product.
    if (!sum && b->shape.rank == 2 && !p->ta && dlh_blas_fits (p->m * p->batch)) {
        p->m *= p->batch;
        p->batch = MIN (p->batch, 1);
    } else if (sum && p->ta && !p->tb && dlh_blas_fits (p->k * p->batch)) {
        p->k *= p->batch;
        p->batch = 1;
    }
    *state = p;
    return TRUE;
}

static void
product_at (const Product *p, const DlhCall *call, gsize i, double beta)
{
    dlh_gemm (p->dtype, p->ta, p->tb, p->m, p->n, p->k, (const char *) call->in[0] + i * p->step_a,
              p->lda, (const char *) call->in[1] + i * p->step_b, p->ldb, beta,
              (char *) call->out + i * p->step_c, MAX (1, p->n));
}

static gint64
matmul_one (const DlhCall *call, gsize i, guint part)
{
    (void) part;
    product_at (call->state, call, i, 0);
    return 0;
}

static gboolean
matmul_run (const DlhCall *call, GError **error)
{
    const Product *p = call->state;
    double flops = 2.0 * (double) p->m * (double) p->n * (double) p->k;
    gsize failed;
    gint64 info;

    (void) error;
    return dlh_each_matrix (call, matmul_one, (gsize) p->batch, 0, flops, ALONE_FLOPS, &failed,
                            &info);
}

static gboolean
matmul_sum_run (const DlhCall *call, GError **error)
{
    const Product *p = call->state;

    (void) error;
    if (p->batch == 0)
        memset (call->out, 0, (gsize) (p->m * p->n) * dlh_dtype_size (p->dtype));
    for (gint64 i = 0; i < p->batch; i++)
        product_at (p, call, (gsize) i, i > 0);
    return TRUE;
}

static double
matmul_flops (const DlhNode *node)
{
    const MatmulAttrs *t = node->attrs;

    return 2.0 * (double) dlh_shape_count (node->shape) *
           (double) columns_of (node->inputs[0], t->transpose_a);
}

static double
matmul_sum_flops (const DlhNode *node)
{
    return matmul_flops (node) * (double) dlh_matrix_batch (node->inputs[0]);
}

static const DlhOp op_matmul, op_matmul_sum;

// x without its batch: (.., m, n) to (.. m, n).
static DlhNode *
stack_rows (DlhNode *x)
{
    guint last = x->shape.rank - 1;

    if (last == 1)
        return x;
    return dlh_reshape (
        x, dlh_shape (count_of (x->shape.dims, last), x->shape.dims[last]));
}

// op(a) op(b) as the gradient by @x: of its rank.
static DlhNode *
product_for (const DlhNode *x, DlhNode *a, gboolean ta, DlhNode *b, gboolean tb)
{
    MatmulAttrs t = {ta, tb};

    if (x->shape.rank == MAX (a->shape.rank, b->shape.rank))
        return dlh_matmul_t (a, ta, b, tb);
    if (ta && !tb)
        return dlh_matmul_t (stack_rows (a), TRUE, stack_rows (b), FALSE);
    return dlh_node_new (&op_matmul_sum, (DlhNode *[]){a, b}, 2, &t);
}

// da = dy op(b)', or its transpose; db = op(a)' dy, or its transpose.
static void
matmul_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const MatmulAttrs *t = y->attrs;
    DlhNode *a = y->inputs[0], *b = y->inputs[1];
    gboolean ta = t->transpose_a != 0, tb = t->transpose_b != 0;

    if (dlh_node_failed (dy))
        return;
    dx[0] = ta ? product_for (a, b, tb, dy, TRUE) : product_for (a, dy, FALSE, b, !tb);
    dx[1] = tb ? product_for (b, dy, TRUE, a, ta) : product_for (b, a, !ta, dy, FALSE);
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
    .release = g_free,
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
    .release = g_free,
    .run = matmul_sum_run,
    .flops = matmul_sum_flops,
    .sample = matmul_sum_sample,
    .reject = matmul_sum_reject,
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
dlh_matmul_t (DlhNode *a, gboolean transpose_a, DlhNode *b, gboolean transpose_b)
{
    MatmulAttrs t = {transpose_a != FALSE, transpose_b != FALSE};
    DlhNode *ab[2] = {skip_transpose (a, &t.transpose_a), skip_transpose (b, &t.transpose_b)};

    return dlh_node_new (&op_matmul, ab, 2, &t);
}

DlhNode *
dlh_matmul (DlhNode *a, DlhNode *b)
{
    return dlh_matmul_t (a, FALSE, b, FALSE);
}

/* linear: y = x w' + b. */

static gboolean
linear_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape x = node->inputs[0]->shape, w = node->inputs[1]->shape;
    DlhShape b = node->n_inputs > 2 ? node->inputs[2]->shape : dlh_shape (w.dims[0]);
    g_autofree char *sx = dlh_shape_to_string (x), *sw = dlh_shape_to_string (w);
    g_autofree char *sb = dlh_shape_to_string (b);

    if (!dlh_check_matrices (node, error))
        return FALSE;
    if (w.rank != 2)
        return dlh_refuse (node, error, "weight %s, must be (outputs, inputs)", sw);
    if (x.rank < 1)
        return dlh_refuse (node, error, "weight %s does not fit input %s: a scalar", sw, sx);
    if (x.dims[x.rank - 1] != w.dims[1])
        return dlh_refuse (node, error,
                            "weight %s does not fit input %s: inner sizes %" G_GINT64_FORMAT
                            " and %" G_GINT64_FORMAT " differ",
                            sw, sx, w.dims[1], x.dims[x.rank - 1]);
    if (b.rank != 1 || b.dims[0] != w.dims[0])
        return dlh_refuse (node, error, "bias %s does not fit weight %s", sb, sw);
    if (!dlh_blas_fits (count_of (x.dims, x.rank - 1)))
        return dlh_refuse (node, error, "input %s is too large, BLAS counts to %d", sx, G_MAXINT);
    *dtype = node->inputs[0]->dtype;
    *shape = x;
    shape->dims[x.rank - 1] = w.dims[0];
    return TRUE;
}

// Its gradient nodes are plain products and a sum, of matrices.
static void
linear_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = y->inputs[0], *w = y->inputs[1], *rows;

    if (dlh_node_failed (dy))
        return;
    if (x->shape.rank == 1) {
        dy = dlh_expand (dy, 0);
        rows = dlh_expand (x, 0);
    } else {
        dy = stack_rows (dy);
        rows = stack_rows (x);
    }
    dx[0] = dlh_reshape (dlh_matmul (dy, w), x->shape);
    dx[1] = dlh_matmul_t (dy, TRUE, rows, FALSE);
    if (y->n_inputs > 2)
        dx[2] = dlh_sum_axis (dy, 0);
}

typedef struct {
    DlhDType dtype;
    gint64 rows, n_in, n_out;
    gsize row_bytes; /* of the output */
    gsize block_rows; /* of biases, made once and copied */
} Linear;

static gboolean
linear_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    const DlhShape *w = &node->inputs[1]->shape;
    Linear *l = g_new0 (Linear, 1);

    (void) error;
    l->dtype = node->dtype;
    l->n_out = w->dims[0];
    l->n_in = w->dims[1];
    l->rows = count_of (node->shape.dims, node->shape.rank - 1);
    l->row_bytes = (gsize) l->n_out * dlh_dtype_size (node->dtype);
    l->block_rows = CLAMP (COPY_BYTES / MAX (1, l->row_bytes), 1, (gsize) MAX (1, l->rows));
    *state = l;
    return TRUE;
}

typedef struct {
    const Linear *l;
    const void *bias;
    char *out;
} Fill;

// Each row becomes the bias: doubling up to a block, then block by block.
static void
fill_rows (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Fill *f = user_data;
    gsize row = f->l->row_bytes, n = end - begin, done = 1;
    char *out = f->out + begin * row;

    (void) thread;
    memcpy (out, f->bias, row);
    while (done < n) {
        gsize more = MIN (MIN (done, f->l->block_rows), n - done);

        memcpy (out + done * row, out, more * row);
        done += more;
    }
}

// gemm has to write its output before it adds to it: zeros, or as well the bias.
static gboolean
linear_run (const DlhCall *call, GError **error)
{
    const Linear *l = call->state;
    gboolean bias = call->node->n_inputs > 2;

    (void) error;
    if (l->rows == 0 || l->n_out == 0)
        return TRUE;
    if (bias) {
        Fill f = {l, call->in[2], call->out};

        dlh_parallel_for ((gsize) l->rows, 1 + 16 * COPY_BYTES / l->row_bytes, fill_rows, &f);
    }
    dlh_gemm (l->dtype, FALSE, TRUE, l->rows, l->n_out, l->n_in, call->in[0], MAX (1, l->n_in),
              call->in[1], MAX (1, l->n_in), bias, call->out, l->n_out);
    return TRUE;
}

static double
linear_flops (const DlhNode *node)
{
    return 2.0 * (double) dlh_shape_count (node->shape) *
           (double) node->inputs[1]->shape.dims[1];
}

static DlhNode *
linear_sample (DlhSample *s, guint which)
{
    static const guint ranks[] = {1, 2, 3, 4};
    static const gint64 sizes[] = {2, 3, 2, 4};
    gint64 n_out = which == 8 ? 1 : 5;
    DlhShape x = dlh_shape_make (ranks[which % 4], sizes + 4 - ranks[which % 4]);
    DlhNode *in, *w;

    if (which > 8)
        return NULL;
    in = dlh_sample_uniform (s, -1, 1, dlh_sample_resize (s, x));
    w = dlh_sample_uniform (s, -1, 1, dlh_sample_shape (s, n_out, 4));
    return dlh_linear (in, w,
                       which < 4 ? dlh_sample_uniform (s, -1, 1, dlh_sample_shape (s, n_out))
                                 : NULL);
}

static DlhNode *
linear_reject (DlhSample *s, guint which)
{
    static const DlhShape cases[][3] = {
        {{2, {3, 4}}, {2, {5, 3}}, {1, {5}}}, {{2, {3, 4}}, {2, {5, 4}}, {1, {4}}},
        {{2, {3, 4}}, {1, {4}}, {1, {1}}},    {{0, {0}}, {2, {5, 4}}, {1, {5}}},
        {{2, {3, 4}}, {2, {5, 4}}, {2, {1, 5}}},
    };
    DlhNode *n[3];

    if (which >= G_N_ELEMENTS (cases))
        return NULL;
    for (guint i = 0; i < 3; i++)
        n[i] = dlh_sample_uniform (s, -1, 1, cases[which][i]);
    return dlh_linear (n[0], n[1], n[2]);
}

static const DlhOp op_linear = {
    .size = sizeof (DlhOp),
    .name = "linear",
    .n_inputs = DLH_VARIADIC,
    .infer = linear_infer,
    .vjp = linear_vjp,
    .prepare = linear_prepare,
    .release = g_free,
    .run = linear_run,
    .flops = linear_flops,
    .sample = linear_sample,
    .reject = linear_reject,
};

DlhNode *
dlh_linear (DlhNode *x, DlhNode *w, DlhNode *b)
{
    return dlh_node_new (&op_linear, (DlhNode *[]){x, w, b}, b ? 3 : 2, NULL);
}

/* gram: y = x' x. */

static gboolean
gram_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    const DlhNode *x = node->inputs[0];

    if (!dlh_check_matrices (node, error))
        return FALSE;
    if (x->shape.rank < 2) {
        g_autofree char *s = dlh_shape_to_string (x->shape);

        return dlh_refuse (node, error, "%s must have rows and columns", s);
    }
    *dtype = x->dtype;
    *shape = x->shape;
    shape->dims[shape->rank - 2] = columns_of (x, FALSE);
    return TRUE;
}

static void
gram_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_matmul (y->inputs[0], dlh_add (dy, dlh_t (dy)));
}

static gint64
gram_one (const DlhCall *call, gsize i, guint part)
{
    const DlhNode *y = call->node, *x = y->inputs[0];
    gint64 m = rows_of (x, FALSE), n = columns_of (x, FALSE);
    void *out = dlh_matrix_at (y, call->out, i);

    (void) part;
    dlh_syrk (y->dtype, m, n, dlh_matrix_at (x, call->in[0], i), out);
    dlh_mirror_lower (y->dtype, n, out);
    return 0;
}

static double
gram_flops (const DlhNode *node)
{
    double n = (double) columns_of (node->inputs[0], FALSE);

    return (double) dlh_shape_count (node->inputs[0]->shape) * (n + 1);
}

static gboolean
gram_run (const DlhCall *call, GError **error)
{
    gsize batch = (gsize) dlh_matrix_batch (call->node), failed;
    double flops = gram_flops (call->node) / (double) MAX (1, batch);
    gint64 info;

    (void) error;
    return dlh_each_matrix (call, gram_one, batch, 0, flops, ALONE_FLOPS, &failed, &info);
}

static DlhNode *
gram_sample (DlhSample *s, guint which)
{
    return which > 1 ? NULL : dlh_gram (sample_matrix (s, which == 1, FALSE, 4, 3));
}

static DlhNode *
gram_reject (DlhSample *s, guint which)
{
    return which ? NULL : dlh_gram (dlh_sample_uniform (s, -1, 1, dlh_shape (4)));
}

static const DlhOp op_gram = {
    .size = sizeof (DlhOp),
    .name = "gram",
    .n_inputs = 1,
    .infer = gram_infer,
    .vjp = gram_vjp,
    .run = gram_run,
    .flops = gram_flops,
    .sample = gram_sample,
    .reject = gram_reject,
};

DlhNode *
dlh_gram (DlhNode *x)
{
    return dlh_node_new (&op_gram, &x, 1, NULL);
}

const DlhOp *const dlh_ops_matrix[] = {&op_matmul, &op_matmul_sum, &op_linear, &op_gram, NULL};
