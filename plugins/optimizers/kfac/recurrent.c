/* SPDX-License-Identifier: MIT */
/* Weights that T time steps share, with the correlation between neighbouring steps (Martens, Ba and
 * Johnson, ICLR 2018; sheet 3.8). A0, G0 are the moments within a step, A1, G1 those between one
 * step and the step before, divided by all rows so that the block stays positive. h_C = C0^{-1/2}.
 *
 *   option 1   C1 symmetrised; h_C C1 h_C = U_C diag(psi_C) U_C', L_C = h_C U_C,
 *              U = L_G ((L_G' V L_A) * c (psi_G psi_A')) L_A',  1 / c (x) = sum_{|d| < T} (T - |d|)
 * x^|d| option 2   T to infinity: (h_C C1 h_C)' (h_C C1 h_C) = E_C diag(mu_C) E_C', P_C = C1'
 * C0^-1, K_C = h_C E_C,  Z = K_G ((K_G' (V - P_G V P_A') K_A) / (1 - mu_G mu_A')) K_A', U = (Z -
 * P_G' Z P_A) / T
 *
 * The factors are damped as those of independent steps are. */
#include <math.h>
#include "kfac.h"

/* (groups 1) rows (T, B, n) */
static DlhNode *
in_time (const Block *b, DlhNode *rows)
{
    const gint64 m = dlh_node_dim (rows, 1), n = dlh_node_dim (rows, 2);

    return dlh_reshape (rows, dlh_shape (b->steps, m / b->steps, n));
}

// (1, n, n): mean over all rows of x_{t+1} x_t'
static DlhNode *
lagged_moment (const Block *b, DlhNode *rows)
{
    const double m = (double)dlh_node_dim (rows, 1);
    const gint64 n = dlh_node_dim (rows, 2);
    DlhNode *x = in_time (b, rows);
    DlhNode *after = dlh_reshape (dlh_slice (x, 0, 1, b->steps, 1), dlh_shape (1, -1, n));
    DlhNode *before = dlh_reshape (dlh_slice (x, 0, 0, b->steps - 1, 1), dlh_shape (1, -1, n));

    return dlh_scale (dlh_matmul_t (after, TRUE, before, FALSE), 1 / m);
}

static DlhNode *
lagged_state (Kfac *k, const Block *b, const char *name, gint64 n, DlhNode *moment)
{
    return kfac_moving_average (
        k, kfac_block_state (k, b, name, k->dtype, dlh_shape (1, n, n), DLH_INIT_ZEROS), moment);
}

static void
add_lagged_statistics (Kfac *k, Block *b)
{
    DlhNode *sum = NULL;

    b->a1 = lagged_state (k, b, "A1", b->n_in + (b->bias >= 0),
                          lagged_moment (b, kfac_input_rows (b, TRUE)));
    for (guint j = 0; j < kfac_n_columns (b); j++) {
        DlhNode *m = lagged_moment (b, kfac_output_rows (b, j));

        sum = sum ? dlh_add (sum, m) : m;
    }
    b->g1 = lagged_state (k, b, "G1", b->n_out, dlh_scale (sum, kfac_column_weight (k, b)));
}

static DlhNode *
damped (DlhNode *m, DlhNode *c)
{
    return dlh_add (
        m, dlh_mul (dlh_eye (dlh_node_graph (m), dlh_node_dtype (m), dlh_node_dim (m, -1)), c));
}

static DlhNode *
transpose (DlhNode *m)
{
    return dlh_transpose (m, (const guint[]){0, 2, 1}, 3);
}

DlhNode *
kfac_matrix_power (const Kfac *k, DlhNode *m, double power)
{
    const double relative = dlh_node_dtype (m) == DLH_F64 ? 1e-13 : 1e-6;
    DlhNode *values, *vectors, *least, *raised;

    dlh_eigh (m, &values, &vectors);
    least = dlh_expand (dlh_reduce_max (values, (const int[]){-1}, 1, FALSE), -1);
    least = dlh_broadcast (dlh_scale (least, relative), dlh_node_shape (values));
    raised =
        dlh_pow_scalar (dlh_max (values, dlh_max (least, dlh_full_like (least, 1e-30))), power);
    if (!k->damped)
        raised = dlh_where (dlh_greater (values, least), raised, dlh_full_like (values, 0));
    return dlh_matmul_t (dlh_mul (vectors, dlh_expand (raised, 1)), FALSE, vectors, TRUE);
}

DlhNode *
kfac_hold (Kfac *k, Block *b, const char *name, DlhNode *value)
{
    DlhNode *held =
        kfac_block_state (k, b, name, k->model_dtype, dlh_node_shape (value), DLH_INIT_ZEROS);

    kfac_assign_inverse (k, held, value);
    return held;
}

/* The block is (rows_per_case / T) times the chain's Fisher. */
static double
chain_weight (const Block *b)
{
    return b->rows_per_case / (double)b->steps;
}

void
kfac_damped_factors (Kfac *k, const Block *b, DlhNode **a0, DlhNode **g0)
{
    DlhNode *pi = kfac_trace_ratio (b->a, b->g);
    DlhNode *c = kfac_factor_damping (k, b);

    *a0 = damped (b->a, dlh_mul (pi, c));
    *g0 = damped (b->g, dlh_mul (dlh_reciprocal (pi), c));
}

/* Option 1: held[0] = L_A, held[1] = L_G, held[2] = c (psi_G psi_A'). */

static DlhNode *
symmetric_basis (const Kfac *k, DlhNode *c0, DlhNode *c1, DlhNode **psi)
{
    DlhNode *h = kfac_matrix_power (k, c0, -0.5), *vectors;

    c1 = dlh_scale (dlh_add (c1, transpose (c1)), 0.5);
    dlh_eigh (dlh_matmul (dlh_matmul (h, c1), h), psi, &vectors);
    return dlh_matmul (h, vectors);
}

// T + 2 sum_{d = 1}^{T - 1} (T - d) x^d, by Horner's rule
static DlhNode *
chain_sum (DlhNode *x, gint64 T)
{
    DlhNode *sum = dlh_full_like (x, 0);

    for (gint64 d = T - 1; d >= 1; d--)
        sum = dlh_mul (dlh_offset (sum, (double)(T - d)), x);
    return dlh_offset (dlh_scale (sum, 2), (double)T);
}

static void
option1_prepare (Kfac *k, Block *b)
{
    DlhNode *a0, *g0, *psi_a, *psi_g, *x, *la, *lg;

    add_lagged_statistics (k, b);
    kfac_damped_factors (k, b, &a0, &g0);
    la = symmetric_basis (k, a0, b->a1, &psi_a);
    lg = symmetric_basis (k, g0, b->g1, &psi_g);
    x = dlh_mul (dlh_expand (psi_g, 2), dlh_expand (psi_a, 1));
    b->held[0] = kfac_hold (k, b, "L_A", la);
    b->held[1] = kfac_hold (k, b, "L_G", lg);
    b->held[2] = kfac_hold (k, b, "c", dlh_reciprocal (chain_sum (x, b->steps)));
}

static DlhNode *
between (DlhNode *g, DlhNode *v, DlhNode *a)
{
    return dlh_matmul (g, dlh_matmul (v, a));
}

static DlhNode *
option1_apply (Kfac *k, Block *b)
{
    DlhNode *v = between (transpose (b->held[1]), b->v, b->held[0]);

    (void)k;
    v = between (b->held[1], dlh_mul (v, b->held[2]), transpose (b->held[0]));
    return dlh_scale (v, 1 / chain_weight (b));
}

const KfacInverse kfac_option1 = {"option 1 of the recurrent forms", option1_prepare,
                                  option1_apply};

/* Option 2: held = P_A, P_G, K_A, K_G, 1 / (1 - mu_G mu_A'). */

static DlhNode *
chain_basis (const Kfac *k, DlhNode *c0, DlhNode *c1, DlhNode **mu, DlhNode **p)
{
    DlhNode *h = kfac_matrix_power (k, c0, -0.5), *m = dlh_matmul (dlh_matmul (h, c1), h), *vectors;

    dlh_eigh (dlh_matmul_t (m, TRUE, m, FALSE), mu, &vectors);
    *mu = dlh_clamp (*mu, 0, 1);
    *p = dlh_matmul (transpose (c1), kfac_matrix_power (k, c0, -1));
    return dlh_matmul (h, vectors);
}

static void
option2_prepare (Kfac *k, Block *b)
{
    DlhNode *a0, *g0, *mu_a, *mu_g, *p_a, *p_g, *k_a, *k_g, *rest, *zero;

    add_lagged_statistics (k, b);
    kfac_damped_factors (k, b, &a0, &g0);
    k_a = chain_basis (k, a0, b->a1, &mu_a, &p_a);
    k_g = chain_basis (k, g0, b->g1, &mu_g, &p_g);
    rest = dlh_mul (dlh_expand (mu_g, 2), dlh_expand (mu_a, 1));
    rest = dlh_sub (dlh_full_like (rest, 1), rest);
    zero = dlh_equal (rest, dlh_full_like (rest, 0));
    rest = dlh_where (zero, dlh_full_like (rest, 1), rest);
    b->held[0] = kfac_hold (k, b, "P_A", p_a);
    b->held[1] = kfac_hold (k, b, "P_G", p_g);
    b->held[2] = kfac_hold (k, b, "K_A", k_a);
    b->held[3] = kfac_hold (k, b, "K_G", k_g);
    b->held[4] = kfac_hold (k, b, "D", dlh_reciprocal (rest));
}

static DlhNode *
option2_apply (Kfac *k, Block *b)
{
    DlhNode *p_a = b->held[0], *p_g = b->held[1], *k_a = b->held[2], *k_g = b->held[3];
    DlhNode *z = dlh_sub (b->v, between (p_g, b->v, transpose (p_a)));

    (void)k;
    z = dlh_mul (between (transpose (k_g), z, k_a), b->held[4]);
    z = between (k_g, z, transpose (k_a));
    z = dlh_sub (z, between (transpose (p_g), z, p_a));
    return dlh_scale (z, 1 / b->rows_per_case);
}

const KfacInverse kfac_option2 = {"option 2 of the recurrent forms", option2_prepare,
                                  option2_apply};
