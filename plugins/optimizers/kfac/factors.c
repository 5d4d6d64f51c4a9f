/* SPDX-License-Identifier: MIT */
/* Statistics of each block, averaged over the rows of a batch and over batches. Both factors are
 * means over cases and positions and the block is r A kron G: sheet 3.7 in its equivalent form. */
#include <string.h>
#include "kfac.h"

#define PIECE (1 << 20) /* elements of patches laid out at once */
#define MAX_PIECES 32

// (m, groups n) to (groups, m, n)
static DlhNode *
split_groups (DlhNode *rows, gint64 groups)
{
    const gint64 m = dlh_node_dim (rows, 0), n = dlh_node_dim (rows, 1) / groups;

    rows = dlh_reshape (rows, dlh_shape (m, groups, n));
    return groups == 1 ? dlh_reshape (rows, dlh_shape (1, m, n))
                       : dlh_transpose (rows, (const guint[]){1, 0, 2}, 3);
}

static DlhNode *
channels_last (DlhNode *x)
{
    x = dlh_transpose (x, (const guint[]){0, 2, 3, 1}, 4);
    return dlh_reshape (x, dlh_shape (-1, dlh_node_dim (x, -1)));
}

// The patches that a convolution, or the adjoint of one, takes from @x, as rows.
static DlhNode *
patches (const DlhNode *node, DlhNode *x)
{
    DlhNode *w = dlh_node_input (node, 1), *p;

    p = dlh_patches (x, dlh_node_dim (w, 2), dlh_node_dim (w, 3),
                     *(const DlhConv *)dlh_node_attrs (node));
    return dlh_reshape (p, dlh_shape (-1, dlh_node_dim (p, -1)));
}

static DlhNode *
flat_rows (DlhNode *x)
{
    return dlh_reshape (x, dlh_shape (-1, dlh_node_dim (x, -1)));
}

static DlhNode *
use_inputs (const Block *b, const Use *use)
{
    DlhNode *x = dlh_node_input (use->node, 0);

    if (dlh_node_is (use->node, "linear"))
        x = flat_rows (x);
    else
        x = b->swapped ? channels_last (x) : patches (use->node, x);
    return split_groups (x, b->groups);
}

static DlhNode *
use_outputs (const Block *b, const Use *use, DlhNode *g)
{
    if (b->kind == BLOCK_TABLE || dlh_node_is (use->node, "linear"))
        g = flat_rows (g);
    else
        g = b->swapped ? patches (use->node, g) : channels_last (g);
    return split_groups (g, b->groups);
}

// (groups, rows of all uses, n)
static DlhNode *
join (GPtrArray *parts)
{
    return parts->len == 1 ? parts->pdata[0] : dlh_concat ((DlhNode **)parts->pdata, parts->len, 1);
}

DlhNode *
kfac_input_rows (const Block *b, gboolean ones)
{
    g_autoptr (GPtrArray) parts = g_ptr_array_new ();
    DlhNode *x;

    for (guint i = 0; i < b->uses->len; i++)
        g_ptr_array_add (parts, use_inputs (b, &g_array_index (b->uses, Use, i)));
    x = join (parts);
    if (ones && b->bias >= 0) {
        DlhNode *one = dlh_full (dlh_node_graph (x), dlh_node_dtype (x),
                                 dlh_shape (b->groups, dlh_node_dim (x, 1), 1), 1);

        x = dlh_concat ((DlhNode *[]){x, one}, 2, 2);
    }
    return x;
}

DlhNode *
kfac_output_rows (const Block *b, guint j)
{
    g_autoptr (GPtrArray) gs = g_ptr_array_new ();

    for (guint i = 0; i < b->uses->len; i++)
        g_ptr_array_add (gs, g_array_index (b->uses, Use, i).g->pdata[j]);
    return kfac_rows_of (b, (DlhNode **)gs->pdata);
}

DlhNode *
kfac_rows_of (const Block *b, DlhNode *const *gs)
{
    g_autoptr (GPtrArray) parts = g_ptr_array_new ();

    for (guint i = 0; i < b->uses->len; i++)
        g_ptr_array_add (parts, use_outputs (b, &g_array_index (b->uses, Use, i), gs[i]));
    return join (parts);
}

guint
kfac_n_columns (const Block *b)
{
    return g_array_index (b->uses, Use, 0).g->len;
}

// Samples are averaged; columns of a root are summed; all is scaled as the loss is.
double
kfac_column_weight (const Kfac *k, const Block *b)
{
    const gboolean columns = strcmp (k->opt->fisher, "exact") == 0 ||
                             strcmp (k->opt->fisher, "gauss_newton") == 0 ||
                             strcmp (k->opt->fisher, "euclidean") == 0;

    return k->loss_scale * (columns && b->kind != BLOCK_DIAGONAL ? 1 : 1.0 / kfac_n_columns (b));
}

DlhNode *
kfac_moving_average (Kfac *k, DlhNode *state, DlhNode *value)
{
    DlhNode *keep = dlh_cast (k->keep, dlh_node_dtype (state));
    DlhNode *average =
        dlh_add (dlh_mul (state, keep), dlh_mul (dlh_cast (value, dlh_node_dtype (state)),
                                                 dlh_sub (dlh_full_like (keep, 1), keep)));

    dlh_update_phase_assign (k->update, "statistics", state, average);
    return state;
}

// Mean of x x' over rows (groups, m, n); with @ones the homogeneous coordinate is appended.
static DlhNode *
second_moment (DlhNode *rows, gboolean ones)
{
    const double m = (double)dlh_node_dim (rows, 1);
    DlhNode *moment = dlh_scale (dlh_gram (rows), 1 / m), *mean, *one, *top, *bottom;

    if (!ones)
        return moment;
    mean = dlh_expand (dlh_mean_axis (rows, 1), 1);
    one = dlh_full (dlh_node_graph (moment), dlh_node_dtype (moment),
                    dlh_shape (dlh_node_dim (rows, 0), 1, 1), 1);
    top =
        dlh_concat ((DlhNode *[]){moment, dlh_transpose (mean, (const guint[]){0, 2, 1}, 3)}, 2, 2);
    bottom = dlh_concat ((DlhNode *[]){mean, one}, 2, 2);
    return dlh_concat ((DlhNode *[]){top, bottom}, 2, 1);
}

// In how many pieces of the batch the patches of @x are laid out.
static gint64
n_pieces (const DlhNode *node, const DlhNode *x)
{
    const DlhNode *w = dlh_node_input (node, 1), *small = dlh_node_input (node, 0);
    const gint64 cases = dlh_node_dim (x, 0);
    gint64 patch = dlh_node_dim (x, 1) * dlh_node_dim (w, 2) * dlh_node_dim (w, 3);

    if (dlh_node_is (node, "conv2d"))
        small = node;
    patch *= dlh_node_dim (small, 2) * dlh_node_dim (small, 3);
    return CLAMP (cases * patch / PIECE, 1, MIN (MAX_PIECES, MAX (cases, 1)));
}

// The second moment of the patches of @x, which are never in memory all at once.
static DlhNode *
patch_moment (const Block *b, const DlhNode *node, DlhNode *x, gboolean ones)
{
    const gint64 cases = dlh_node_dim (x, 0), n = n_pieces (node, x);
    DlhNode *sum = NULL;

    for (gint64 i = 0; i < n; i++) {
        const gint64 from = cases * i / n, to = cases * (i + 1) / n;
        DlhNode *piece = n > 1 ? dlh_slice (x, 0, from, to, 1) : x;
        DlhNode *m = second_moment (split_groups (patches (node, piece), b->groups), ones);

        if (n > 1)
            m = dlh_scale (m, (double)(to - from) / (double)cases);
        sum = sum ? dlh_add (sum, m) : m;
    }
    return sum;
}

static DlhNode *
input_moment (const Block *b, DlhNode *rows)
{
    const Use *use = &g_array_index (b->uses, Use, 0);
    // Of few rows a column of ones is less to copy than the moment is.
    const gboolean few = b->bias >= 0 && dlh_node_dim (rows, 1) <= dlh_node_dim (rows, 2);

    if (b->uses->len == 1 && dlh_node_is (use->node, "conv2d"))
        return patch_moment (b, use->node, dlh_node_input (use->node, 0), b->bias >= 0);
    return second_moment (few ? kfac_input_rows (b, TRUE) : rows, b->bias >= 0 && !few);
}

// Of column or sample @j.
static DlhNode *
one_output_moment (const Block *b, guint j)
{
    const Use *use = &g_array_index (b->uses, Use, 0);

    if (b->uses->len == 1 && b->kind == BLOCK_PRODUCT && b->swapped)
        return patch_moment (b, use->node, use->g->pdata[j], FALSE);
    return second_moment (kfac_output_rows (b, j), FALSE);
}

// G, the sum or mean over columns or samples of the second moments.
static DlhNode *
output_moment (Kfac *k, const Block *b)
{
    DlhNode *sum = NULL;

    for (guint j = 0; j < kfac_n_columns (b); j++) {
        DlhNode *m = one_output_moment (b, j);

        sum = sum ? dlh_add (sum, m) : m;
    }
    return dlh_scale (sum, kfac_column_weight (k, b));
}

static DlhShape
square (const Block *b, gint64 n)
{
    return dlh_shape (b->groups, n, n);
}

static void
product_statistics (Kfac *k, Block *b)
{
    const gint64 n_in = b->n_in + (b->bias >= 0);
    DlhNode *x = kfac_input_rows (b, FALSE);

    b->rows_per_case = (double)dlh_node_dim (x, 1) / k->n_cases;
    b->a = kfac_moving_average (
        k, kfac_block_state (k, b, "A", k->dtype, square (b, n_in), DLH_INIT_ZEROS),
        input_moment (b, x));
    b->g = kfac_moving_average (
        k, kfac_block_state (k, b, "G", k->dtype, square (b, b->n_out), DLH_INIT_ZEROS),
        output_moment (k, b));
}

// How often each row of the table is used: the diagonal of the second moment of one-hot inputs.
static void
table_statistics (Kfac *k, Block *b)
{
    DlhNode *sum = NULL;
    double rows = 0;

    for (guint i = 0; i < b->uses->len; i++) {
        DlhNode *index = dlh_node_input (g_array_index (b->uses, Use, i).node, 1);
        const gint64 n = dlh_shape_count (dlh_node_shape (index));
        DlhNode *ones = dlh_full (dlh_node_graph (index), k->dtype, dlh_shape (n), 1);
        DlhNode *counts = dlh_scatter_add (ones, dlh_reshape (index, dlh_shape (n)), 0, b->n_in);

        sum = sum ? dlh_add (sum, counts) : counts;
        rows += (double)n;
    }
    b->rows_per_case = rows / k->n_cases;
    b->a = kfac_moving_average (
        k, kfac_block_state (k, b, "A", k->dtype, dlh_shape (b->n_in), DLH_INIT_ZEROS),
        dlh_scale (sum, 1 / rows));
    b->g = kfac_moving_average (
        k, kfac_block_state (k, b, "G", k->dtype, square (b, b->n_out), DLH_INIT_ZEROS),
        output_moment (k, b));
}

// Each case's gradient by a scale or shift: (cases, n).
static DlhNode *
case_gradients (const Block *b, const Use *use, guint j)
{
    DlhNode *g = use->g->pdata[j];
    const gint64 cases = dlh_node_dim (g, 0);
    DlhShape shape = dlh_node_shape (g);

    if (dlh_node_is (use->node, "mul"))
        g = dlh_mul (g, dlh_node_input (use->node, 1 - use->input));
    if (use->input == 2) { // a bias: one a channel
        for (guint i = 2; i < shape.rank; i++)
            shape.dims[i] = 1;
    } else {
        const DlhNode *from = dlh_node_input (dlh_node_input (use->node, use->input), 0);
        const guint skip = shape.rank - dlh_node_rank (from);

        for (guint i = 1; i < shape.rank; i++)
            shape.dims[i] = i < skip ? 1 : dlh_node_dim (from, (int)(i - skip));
    }
    return dlh_reshape (dlh_sum_to (g, shape), dlh_shape (1, cases, b->n_out));
}

static void
dense_statistics (Kfac *k, Block *b)
{
    const Use *use = &g_array_index (b->uses, Use, 0);
    const double cases = (double)dlh_node_dim (use->node, 0) / k->n_cases;
    DlhNode *sum = NULL;

    for (guint j = 0; j < kfac_n_columns (b); j++) {
        DlhNode *m = second_moment (case_gradients (b, use, j), FALSE);

        sum = sum ? dlh_add (sum, m) : m;
    }
    b->fisher = kfac_moving_average (
        k, kfac_block_state (k, b, "F", k->dtype, square (b, b->n_out), DLH_INIT_ZEROS),
        dlh_scale (sum, kfac_column_weight (k, b) * cases));
}

// The mean of N (the batch's pseudo-gradient)^2 estimates the Fisher's diagonal without bias,
// because the cases' pseudo-gradients are independent with mean zero.
static void
diagonal_statistics (Kfac *k, Block *b)
{
    const DlhShape shape = dlh_variable_shape (dlh_update_variable (k->update, (guint)b->weight));
    const Use *use = &g_array_index (b->uses, Use, 0);
    DlhNode *sum = NULL;

    for (guint j = 0; j < use->g->len; j++) {
        DlhNode *s = dlh_square (use->g->pdata[j]);

        sum = sum ? dlh_add (sum, s) : s;
    }
    b->fisher =
        kfac_moving_average (k, kfac_block_state (k, b, "F", k->model_dtype, shape, DLH_INIT_ZEROS),
                             dlh_scale (sum, k->loss_scale / (k->n_cases * use->g->len)));
}

void
kfac_add_statistics (Kfac *k, Block *b)
{
    switch (b->kind) {
    case BLOCK_PRODUCT:
        product_statistics (k, b);
        return;
    case BLOCK_TABLE:
        table_statistics (k, b);
        return;
    case BLOCK_DENSE:
        dense_statistics (k, b);
        return;
    default:
        diagonal_statistics (k, b);
    }
}
