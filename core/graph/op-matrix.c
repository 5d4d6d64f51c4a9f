/* SPDX-License-Identifier: MIT */
/* Products with a weight, and of a matrix with itself: linear, gram. All of the arithmetic is BLAS.
 */
#include <string.h>
#include <dlhost/dlhost.h>
#include <dlhost/sample.h>
#include "cpu/blas.h"
#include "cpu/parallel.h"
#include "graph/axes.h"
#include "graph/matrix.h"
#include "graph/rows.h"

#define COPY_BYTES (16 * 1024) /* what a row of biases is repeated to before it is copied about */

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
    if (!dlh_blas_fits (dlh_count_dims (x.dims, x.rank - 1)))
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
        dy = dlh_stack_rows (dy);
        rows = dlh_stack_rows (x);
    }
    dx[0] = dlh_reshape (dlh_matmul (dy, w), x->shape);
    dx[1] = dlh_matmul_t (dy, TRUE, rows, FALSE);
    if (y->n_inputs > 2)
        dx[2] = dlh_sum_axis (dy, 0);
}

typedef struct {
    DlhDType dtype;
    gint64 rows, n_in, n_out;
    gsize row_bytes;  /* of the output */
    gsize block_rows; /* of biases, made once and copied */
} Linear;

static gboolean
linear_prepare (const DlhNode *node, gpointer *state, GError **error)
{
    const DlhShape *w = &node->inputs[1]->shape;
    Linear *l = g_new0 (Linear, 1);

    (void)error;
    l->dtype = node->dtype;
    l->n_out = w->dims[0];
    l->n_in = w->dims[1];
    l->rows = dlh_count_dims (node->shape.dims, node->shape.rank - 1);
    l->row_bytes = (gsize)l->n_out * dlh_dtype_size (node->dtype);
    l->block_rows = CLAMP (COPY_BYTES / MAX (1, l->row_bytes), 1, (gsize)MAX (1, l->rows));
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

    (void)thread;
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

    (void)error;
    if (l->rows == 0 || l->n_out == 0)
        return TRUE;
    if (bias) {
        Fill f = {l, call->in[2], call->out};

        dlh_parallel_for ((gsize)l->rows, 1 + 16 * COPY_BYTES / l->row_bytes, fill_rows, &f);
    }
    dlh_gemm (l->dtype, FALSE, TRUE, l->rows, l->n_out, l->n_in, call->in[0], MAX (1, l->n_in),
              call->in[1], MAX (1, l->n_in), bias, call->out, l->n_out);
    return TRUE;
}

// Rows of the first axis are some rows of the product each; a vector has but one.
static guint32
linear_rows (const DlhNode *node)
{
    return node->shape.rank < 2 ? 0 : DLH_BY_ROWS | 1;
}

static void
linear_run_rows (const DlhCall *call, gint64 first, gint64 n)
{
    const Linear *l = call->state;
    const gint64 each = l->rows / call->node->shape.dims[0];
    const gsize in_bytes = (gsize)l->n_in * dlh_dtype_size (l->dtype);
    const gboolean bias = call->node->n_inputs > 2;
    char *out = (char *)call->out + (gsize)(first * each) * l->row_bytes;
    Fill f = {l, bias ? call->in[2] : NULL, out};

    if (bias)
        fill_rows (0, (gsize)(n * each), 0, &f);
    dlh_gemm (l->dtype, FALSE, TRUE, n * each, l->n_out, l->n_in,
              (const char *)call->in[0] + (gsize)(first * each) * in_bytes, MAX (1, l->n_in),
              call->in[1], MAX (1, l->n_in), bias, out, l->n_out);
}

static double
linear_flops (const DlhNode *node)
{
    return 2.0 * (double)dlh_shape_count (node->shape) * (double)node->inputs[1]->shape.dims[1];
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
    return dlh_linear (
        in, w, which < 4 ? dlh_sample_uniform (s, -1, 1, dlh_sample_shape (s, n_out)) : NULL);
}

static DlhNode *
linear_reject (DlhSample *s, guint which)
{
    static const DlhShape cases[][3] = {
        {{2, {3, 4}}, {2, {5, 3}}, {1, {5}}},    {{2, {3, 4}}, {2, {5, 4}}, {1, {4}}},
        {{2, {3, 4}}, {1, {4}}, {1, {1}}},       {{0, {0}}, {2, {5, 4}}, {1, {5}}},
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
    shape->dims[shape->rank - 2] = dlh_matrix_columns (x, FALSE);
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
    gint64 m = dlh_matrix_rows (x, FALSE), n = dlh_matrix_columns (x, FALSE);
    void *out = dlh_matrix_at (y, call->out, i);

    (void)part;
    dlh_syrk (y->dtype, m, n, dlh_matrix_at (x, call->in[0], i), out);
    dlh_mirror_lower (y->dtype, n, out);
    return 0;
}

static double
gram_flops (const DlhNode *node)
{
    double n = (double)dlh_matrix_columns (node->inputs[0], FALSE);

    return (double)dlh_shape_count (node->inputs[0]->shape) * (n + 1);
}

static gboolean
gram_run (const DlhCall *call, GError **error)
{
    gsize batch = (gsize)dlh_matrix_batch (call->node), failed;
    double flops = gram_flops (call->node) / (double)MAX (1, batch);
    gint64 info;

    (void)error;
    return dlh_each_matrix (call, gram_one, batch, 0, flops, DLH_ALONE_FLOPS, &failed, &info);
}

static DlhNode *
gram_sample (DlhSample *s, guint which)
{
    if (which > 1)
        return NULL;
    return dlh_gram (dlh_sample_uniform (
        s, -1, 1, which == 1 ? dlh_sample_shape (s, 3, 4, 3) : dlh_sample_shape (s, 4, 3)));
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

const DlhOpRows dlh_rows_matrix[] = {{&op_linear, linear_rows, linear_run_rows}, {0}};
const DlhOp *const dlh_ops_matrix[] = {&op_linear, &op_gram, NULL};
