/* SPDX-License-Identifier: MIT */
/* The block-tridiagonal inverse of a chain of layers (1503.05671, 4.3; sheet 3.2): from the last
 * layer L to the first, a layer's gradient given the next one's is Gaussian,
 *
 *   PsiA_i = A_{i-1,i} A_{i,i}^-1,   PsiG_i = G_{i,i+1} G_{i+1,i+1}^-1
 *   Sigma_i = A_{i-1,i-1} kron G_{i,i} - (PsiA_i A_{i,i} PsiA_i') kron (PsiG_i G_{i+1,i+1}
 * PsiG_i'), F^-1 = Xi' diag (Sigma^-1) Xi,   (Xi V)_i = V_i - PsiG_i V_{i+1} PsiA_i'.
 *
 * Sigma^-1 V = K2 ((K2' V K1) / (1 - s2 s1')) K1', with K1 = P^-1/2 E1 and E1 diag (s1) E1' =
 * P^-1/2 C P^-1/2 for P = A_{i-1,i-1}, C = PsiA_i A_{i,i} PsiA_i', and K2, s2 alike for G.
 *
 * A_{i,i} and G_{i,i} are damped as those of single blocks are, A_{i-1,i} and G_{i,i+1} are not:
 * the chain stays positive. All chains have one row a case, or as many as the others: 1/r as
 * before. held: PsiA, PsiG, K1, K2, 1 / (1 - s2 s1'); of a chain's last layer the inverses. */
#include <float.h>
#include "kfac.h"

static Block *
block (const Kfac *k, int i)
{
    return i < 0 ? NULL : &g_array_index (k->blocks, Block, i);
}

// (1, n, m): mean over the rows of x y'
static DlhNode *
cross_moment (DlhNode *x, DlhNode *y)
{
    return dlh_scale (dlh_matmul_t (x, TRUE, y, FALSE), 1 / (double)dlh_node_dim (x, 1));
}

static DlhNode *
cross_state (Kfac *k, const Block *b, const char *name, DlhNode *moment)
{
    return kfac_moving_average (
        k, kfac_block_state (k, b, name, k->dtype, dlh_node_shape (moment), DLH_INIT_ZEROS),
        moment);
}

void
kfac_add_cross_statistics (Kfac *k, Block *b)
{
    const Block *next = block (k, b->next);
    DlhNode *sum = NULL;

    if (!next)
        return;
    b->a1 = cross_state (k, b, "A_next",
                         cross_moment (kfac_input_rows (b, TRUE), kfac_input_rows (next, TRUE)));
    for (guint j = 0; j < kfac_n_columns (b); j++) {
        DlhNode *m = cross_moment (kfac_output_rows (b, j), kfac_output_rows (next, j));

        sum = sum ? dlh_add (sum, m) : m;
    }
    b->g1 = cross_state (k, b, "G_next", dlh_scale (sum, kfac_column_weight (k, b)));
}

/* K, s of one factor: m = c1 c0n^-1/2 in the basis that whitens c0. */
typedef struct {
    DlhNode *psi, *k, *s;
} Link;

// @c0 the damped moment of this layer, @next that of the next, @c1 the moment between them.
static Link
link_of (const Kfac *k, DlhNode *c0, DlhNode *c1, DlhNode *next)
{
    DlhNode *root = kfac_matrix_power (k, c0, -0.5), *root_next = kfac_matrix_power (k, next, -0.5);
    DlhNode *m = dlh_matmul (dlh_matmul (root, c1), root_next), *vectors;
    Link link;

    link.psi = dlh_matmul (dlh_matmul (c1, root_next), root_next);
    dlh_eigh (dlh_matmul_t (m, FALSE, m, TRUE), &link.s, &vectors);
    link.s = dlh_clamp (link.s, 0, 1);
    link.k = dlh_matmul (root, vectors);
    return link;
}

// 1 / (1 - s2 s1'). What the next layer determines to rounding is left alone without damping; with
// it there is no such direction, and rounding is kept from making one.
static DlhNode *
conditional_precision (const Kfac *k, const Link *a, const Link *g)
{
    DlhNode *rest = dlh_mul (dlh_expand (g->s, 2), dlh_expand (a->s, 1)), *low;
    const double floor =
        dlh_node_dtype (rest) == DLH_F64 ? 64 * DBL_EPSILON : 64 * (double)FLT_EPSILON;

    rest = dlh_sub (dlh_full_like (rest, 1), rest);
    low = dlh_full_like (rest, floor);
    if (k->damped)
        return dlh_reciprocal (dlh_max (rest, low));
    return dlh_where (dlh_greater (rest, low), dlh_reciprocal (dlh_max (rest, low)),
                      dlh_full_like (rest, 0));
}

static void
chain_prepare (Kfac *k, Block *b)
{
    const Block *next = block (k, b->next);
    DlhNode *a0, *g0, *a_next, *g_next;
    Link a, g;

    kfac_damped_factors (k, b, &a0, &g0);
    if (!next) {
        b->held[0] = kfac_hold (k, b, "inverse_A", kfac_matrix_power (k, a0, -1));
        b->held[1] = kfac_hold (k, b, "inverse_G", kfac_matrix_power (k, g0, -1));
        return;
    }
    kfac_damped_factors (k, next, &a_next, &g_next);
    a = link_of (k, a0, b->a1, a_next);
    g = link_of (k, g0, b->g1, g_next);
    b->held[0] = kfac_hold (k, b, "Psi_A", a.psi);
    b->held[1] = kfac_hold (k, b, "Psi_G", g.psi);
    b->held[2] = kfac_hold (k, b, "K_A", a.k);
    b->held[3] = kfac_hold (k, b, "K_G", g.k);
    b->held[4] = kfac_hold (k, b, "D", conditional_precision (k, &a, &g));
}

static DlhNode *
between (DlhNode *g, gboolean transpose_g, DlhNode *v, DlhNode *a, gboolean transpose_a)
{
    return dlh_matmul_t (g, transpose_g, dlh_matmul_t (v, FALSE, a, transpose_a), FALSE);
}

// (Lambda Xi V) of layer @b
static DlhNode *
weighted_residual (const Kfac *k, const Block *b)
{
    const Block *next = block (k, b->next);
    DlhNode *v = b->v;

    if (!next)
        return between (b->held[1], FALSE, v, b->held[0], FALSE);
    v = dlh_sub (v, between (b->held[1], FALSE, next->v, b->held[0], TRUE));
    v = dlh_mul (between (b->held[3], TRUE, v, b->held[2], FALSE), b->held[4]);
    return between (b->held[3], FALSE, v, b->held[2], TRUE);
}

static DlhNode *
chain_apply (Kfac *k, Block *b)
{
    const Block *before = block (k, b->previous);
    DlhNode *u = weighted_residual (k, b);

    if (before)
        u = dlh_sub (u, between (before->held[1], TRUE, weighted_residual (k, before),
                                 before->held[0], FALSE));
    return dlh_scale (u, 1 / b->rows_per_case);
}

const KfacInverse kfac_chain = {"with its neighbours", chain_prepare, chain_apply};
