/* SPDX-License-Identifier: MIT */
/* Preconditioning the rows of the batch instead of the gradient. A block's gradient is V = D' X, D
 * the gradients of the loss at the product's output and X its inputs, a row each a case, position
 * or step (m of them). Then
 *
 *   G^-1 V A^-1 = (D G^-1)' (X A^-1),
 *
 * exactly, for m (a^2 + b^2) + m a b multiplications in place of m a b + a b (a + b), where G^-1 is
 * (b, b) and A^-1 (a, a). V itself is never computed; the trust region's
 *
 *   <U, V> = sum over rows i, j of (D G^-1 D')_ij (X A^-1 X')_ij
 *
 * is a sum over two symmetric matrices, of which the lower blocks do.
 *
 * It holds where the gradient is the batch's own: no weight decay, no clipping. */
#include <string.h>
#include "kfac.h"

#define MIN_BLOCK 64 /* rows: smaller products are slower than what they save */
#define MAX_BLOCKS 4

// The block with its uses in the whole batch, also where statistics are of a part.
static Block
on_whole_batch (const Block *b)
{
    Block whole = *b;

    whole.uses = b->whole;
    return whole;
}

static double
n_blocks (double rows)
{
    return rows < 2 * MIN_BLOCK ? 1 : MIN (MAX_BLOCKS, (double)(int)(rows / MIN_BLOCK));
}

static double
rows_of (const Block *b)
{
    double rows = 0;

    for (guint i = 0; i < b->whole->len; i++) {
        const DlhNode *node = g_array_index (b->whole, Use, i).node;

        // A transposed convolution's rows are the positions of its input.
        if (b->swapped)
            node = dlh_node_input (node, 0);
        rows += (double)dlh_shape_count (dlh_node_shape (node)) /
                (double)((b->swapped ? b->n_in : b->n_out) * b->groups);
    }
    return rows;
}

// Multiplications of both ways, V included where it is needed.
static void
costs (const Kfac *k, const Block *b, double *by_gradient, double *by_rows)
{
    // Of a group: all have the same.
    const double m = rows_of (b), a = (double)(b->n_in + (b->bias >= 0)), g = (double)b->n_out;
    const double n = n_blocks (m), inner = k->opt->kl_clip != 0 ? m * m * (a + g) : 0;
    const double share = (n + 1) / (2 * n) / (double)k->opt->kl_period;

    *by_gradient = m * a * g + a * g * (a + g);
    *by_rows = m * (a * a + g * g + a * g) + inner * share;
}

// Whether what the optimizer is given for parameter @i is the loss's gradient by it, unchanged.
static gboolean
is_plain (Kfac *k, int i)
{
    DlhNode *value = dlh_update_value (k->update, (guint)i), *gradient;

    dlh_gradients (dlh_update_objective (k->update)->loss, &value, 1, NULL, &gradient);
    return gradient == dlh_update_gradient (k->update, (guint)i);
}

gboolean
kfac_by_rows (Kfac *k, const Block *b)
{
    double by_gradient, by_rows;

    if (strcmp (k->opt->precondition, "gradient") == 0 || b->kind != BLOCK_PRODUCT ||
        b->inverse != &kfac_cholesky || k->opt->weight_decay > 0 || !is_plain (k, b->weight) ||
        (b->bias >= 0 && !is_plain (k, b->bias)))
        return FALSE;
    // The quadratic model needs the gradients themselves.
    if (kfac_is_quadratic (k) || kfac_adapts (k))
        return FALSE;
    costs (k, b, &by_gradient, &by_rows);
    return strcmp (k->opt->precondition, "rows") == 0 || by_rows < by_gradient;
}

static DlhNode *
block_of (DlhNode *rows, gint64 i, gint64 n)
{
    const gint64 m = dlh_node_dim (rows, 1);

    return dlh_slice (rows, 1, m * i / n, m * (i + 1) / n, 1);
}

// <U, V> r: both products are symmetric, so blocks off the diagonal count twice.
static DlhNode *
inner_product (const Kfac *k, DlhNode *ud, DlhNode *d, DlhNode *ux, DlhNode *x)
{
    const gint64 n = dlh_node_dim (d, 0) > 1 ? 1 : (gint64)n_blocks ((double)dlh_node_dim (d, 1));
    DlhNode *sum = NULL;

    for (gint64 i = 0; i < n; i++)
        for (gint64 j = 0; j <= i; j++) {
            DlhNode *left = kfac_product (k, block_of (ud, i, n), FALSE, block_of (d, j, n), TRUE);
            DlhNode *right = kfac_product (k, block_of (ux, i, n), FALSE, block_of (x, j, n), TRUE);
            DlhNode *term = dlh_scale (dlh_dot (left, right), i == j ? 1 : 2);

            sum = sum ? dlh_add (sum, term) : term;
        }
    return sum;
}

void
kfac_precondition_rows (Kfac *k, Block *b)
{
    const Block whole = on_whole_batch (b);
    const guint n = b->whole->len;
    g_autofree DlhNode **nodes = g_new (DlhNode *, n);
    g_autofree DlhNode **gradients = g_new (DlhNode *, n);
    DlhNode *d, *x, *ud, *ux;

    for (guint i = 0; i < n; i++)
        nodes[i] = g_array_index (b->whole, Use, i).node;
    dlh_gradients (dlh_update_objective (k->update)->loss, nodes, n, NULL, gradients);
    d = kfac_rows_of (&whole, gradients);
    x = kfac_input_rows (&whole, TRUE);
    ud = kfac_product (k, d, FALSE, b->held[1], FALSE);
    ux = kfac_product (k, x, FALSE, b->held[0], FALSE);
    b->u = dlh_scale (kfac_product (k, ud, TRUE, ux, FALSE), 1 / b->rows_per_case);
    b->uv = dlh_scale (inner_product (k, ud, d, ux, x), 1 / b->rows_per_case);
}
