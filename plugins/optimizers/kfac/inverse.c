/* SPDX-License-Identifier: MIT */
/* Kronecker blocks and their inverses, after a period from the statistics up to it:
 *
 *   cholesky   U = 1/r (G + c/pi I)^-1 V (A + c pi I)^-1,  c = sqrt (lambda / r)       (KF1, 3.4)
 *   eigen      U = Q_G ((Q_G' V Q_A) / (r d_G d_A' + lambda)) Q_A'          exact Tikhonov damping
 *   ekfac      the same with measured second moments S in place of r d_G d_A'  (1806.03884)
 *
 * With lambda = 0 eigen and ekfac take the pseudo-inverse: the softmax's G is singular by nature.
 */
#include <math.h>
#include <string.h>
#include "damped.h"
#include "kfac.h"

#define NULL_EIGENVALUE 1e-12 /* of the largest: what counts as 0 without damping */

DlhNode *
kfac_damping (const Kfac *k, DlhDType dtype)
{
    return dlh_cast (k->damping, dtype);
}

DlhNode *
kfac_factor_damping (const Kfac *k, const Block *b)
{
    return dlh_cast (dlh_sqrt (dlh_scale (k->damping, 1 / b->rows_per_case)), k->dtype);
}

static DlhPrecision
precision (const Kfac *k)
{
    return strcmp (k->opt->precondition_precision, "bf16") == 0 ? DLH_PRECISION_BF16
                                                                : DLH_PRECISION_FULL;
}

DlhNode *
kfac_product (const Kfac *k, DlhNode *x, gboolean tx, DlhNode *y, gboolean ty)
{
    return dlh_matmul_precision (x, tx, y, ty, precision (k));
}

gboolean
kfac_is_rounded (const Kfac *k, const Block *b)
{
    const gboolean products =
        b->kind == BLOCK_TABLE ||
        (b->kind == BLOCK_PRODUCT &&
         (b->inverse == &kfac_cholesky || b->inverse == &kfac_eigen || b->inverse == &kfac_ekfac));

    return products && k->model_dtype == DLH_F32 && precision (k) == DLH_PRECISION_BF16;
}

void
kfac_assign_inverse (Kfac *k, DlhNode *state, DlhNode *value)
{
    value = dlh_cast (value, dlh_node_dtype (state));
    dlh_update_phase_assign (k->update, "inverses", state, value);
    g_ptr_array_add (k->held, state);
    g_ptr_array_add (k->fresh, value);
}

static DlhNode *
per_group (DlhNode *x)
{
    return dlh_reshape (x, dlh_shape (-1, 1, 1));
}

static DlhNode *
mean_eigenvalue (DlhNode *m)
{
    if (dlh_node_rank (m) == 1) // a diagonal
        return per_group (dlh_mean_all (m));
    return per_group (dlh_scale (dlh_trace (m), 1.0 / (double)dlh_node_dim (m, -1)));
}

DlhNode *
kfac_trace_ratio (DlhNode *a, DlhNode *g)
{
    DlhNode *ta = mean_eigenvalue (a), *tg = mean_eigenvalue (g);
    DlhNode *zero = dlh_full_like (ta, 0), *one = dlh_full_like (ta, 1);
    DlhNode *usable = dlh_greater (dlh_min (ta, tg), zero);

    return dlh_sqrt (dlh_where (usable, dlh_div (ta, dlh_where (usable, tg, one)), one));
}

static void
count_raises (Kfac *k, DlhNode *raises)
{
    DlhNode *n = dlh_cast (dlh_sum_all (raises), DLH_F64);

    k->raised = k->raised ? dlh_add (k->raised, n) : n;
}

// The state that holds the inverse of m + c I, m being a state.
static DlhNode *
hold_inverse (Kfac *k, Block *b, const char *name, DlhNode *m, DlhNode *c)
{
    DlhNode *held =
        kfac_block_state (k, b, name, k->model_dtype, dlh_node_shape (m), DLH_INIT_ZEROS);
    DlhNode *raises, *inverse = kfac_damped_inverse (m, c, &raises);

    count_raises (k, raises);
    kfac_assign_inverse (k, held, inverse);
    return held;
}

/* Cholesky. */

static void
table_prepare (Kfac *k, Block *b, DlhNode *pi, DlhNode *c)
{
    DlhNode *held = kfac_block_state (k, b, "inverse_A", k->model_dtype, dlh_shape (b->n_in, 1),
                                      DLH_INIT_ZEROS);
    DlhNode *damping = dlh_reshape (dlh_mul (pi, c), dlh_shape (1));

    kfac_assign_inverse (k, held, dlh_expand (dlh_reciprocal (dlh_add (b->a, damping)), 1));
    b->held[0] = held;
}

static void
cholesky_prepare (Kfac *k, Block *b)
{
    DlhNode *pi = kfac_trace_ratio (b->a, b->g);
    DlhNode *c = kfac_factor_damping (k, b);

    if (b->kind == BLOCK_TABLE)
        table_prepare (k, b, pi, c);
    else
        b->held[0] = hold_inverse (k, b, "inverse_A", b->a, dlh_mul (pi, c));
    b->held[1] = hold_inverse (k, b, "inverse_G", b->g, dlh_mul (dlh_reciprocal (pi), c));
}

static DlhNode *
cholesky_apply (Kfac *k, Block *b)
{
    DlhNode *u;

    if (b->kind == BLOCK_TABLE) // V is stored (n_in, n_out)
        u = dlh_mul (kfac_product (k, b->v, FALSE, b->held[1], FALSE), b->held[0]);
    else
        u = kfac_product (k, b->held[1], FALSE, kfac_product (k, b->v, FALSE, b->held[0], FALSE),
                          FALSE);
    return dlh_scale (u, 1 / b->rows_per_case);
}

const KfacInverse kfac_cholesky = {"damped inverses", cholesky_prepare, cholesky_apply};

/* Eigenbases: held[0] = Q_A, held[1] = Q_G. */

// Eigenvalues that are 0 but for rounding become exactly 0, negative ones too.
static DlhNode *
clean (DlhNode *values)
{
    DlhNode *top = dlh_expand (dlh_reduce_max (values, (const int[]){-1}, 1, FALSE), -1);
    DlhNode *floor = dlh_scale (top, NULL_EIGENVALUE);

    return dlh_where (dlh_greater (values, floor), values, dlh_full_like (values, 0));
}

static DlhNode *
hold_basis (Kfac *k, Block *b, const char *name, DlhNode *m, DlhNode **values)
{
    DlhNode *held =
        kfac_block_state (k, b, name, k->model_dtype, dlh_node_shape (m), DLH_INIT_ZEROS);
    DlhNode *vectors;

    dlh_eigh (m, values, &vectors);
    *values = clean (*values);
    kfac_assign_inverse (k, held, vectors);
    return held;
}

// r d_G d_A', (groups, n_out, n_in + bias); sets the bases.
static DlhNode *
eigenvalues (Kfac *k, Block *b)
{
    DlhNode *da, *dg;

    b->held[0] = hold_basis (k, b, "basis_A", b->a, &da);
    b->held[1] = hold_basis (k, b, "basis_G", b->g, &dg);
    return dlh_scale (dlh_mul (dlh_expand (dg, 2), dlh_expand (da, 1)), b->rows_per_case);
}

// 1 / (s + lambda); without damping 0 where s is 0.
static DlhNode *
damped_reciprocal (const Kfac *k, DlhNode *s)
{
    DlhNode *used, *one;

    if (k->damped)
        return dlh_reciprocal (dlh_add (s, kfac_damping (k, dlh_node_dtype (s))));
    used = dlh_greater (s, dlh_full_like (s, 0));
    one = dlh_full_like (s, 1);
    return dlh_where (used, dlh_div (one, dlh_where (used, s, one)), dlh_full_like (s, 0));
}

static DlhShape
weight_shape (const Block *b)
{
    return dlh_shape (b->groups, b->n_out, b->n_in + (b->bias >= 0));
}

static DlhNode *
project (const Kfac *k, const Block *b)
{
    return kfac_product (k, b->held[1], TRUE, kfac_product (k, b->v, FALSE, b->held[0], FALSE),
                         FALSE);
}

static DlhNode *
unproject (const Kfac *k, const Block *b, DlhNode *v)
{
    return kfac_product (k, b->held[1], FALSE, kfac_product (k, v, FALSE, b->held[0], TRUE), FALSE);
}

static void
eigen_prepare (Kfac *k, Block *b)
{
    DlhNode *s = eigenvalues (k, b);
    DlhNode *held =
        kfac_block_state (k, b, "inverse", k->model_dtype, weight_shape (b), DLH_INIT_ZEROS);

    kfac_assign_inverse (k, held, damped_reciprocal (k, s));
    b->held[2] = held;
}

static DlhNode *
eigen_apply (Kfac *k, Block *b)
{
    return unproject (k, b, dlh_mul (project (k, b), b->held[2]));
}

const KfacInverse kfac_eigen = {"eigenbases", eigen_prepare, eigen_apply};

/* EK-FAC: the second moments of the gradients in the eigenbasis, each case's summed over its
 * positions first. */

// (groups, rows, n) to (groups, cases, positions, n)
static DlhNode *
by_case (const Block *b, DlhNode *rows)
{
    const DlhNode *node = g_array_index (b->uses, Use, 0).node;
    const gint64 n = dlh_node_dim (rows, 2), m = dlh_node_dim (rows, 1);
    gint64 cases;

    if (b->steps > 1) { // time comes first
        rows = dlh_reshape (rows, dlh_shape (b->groups, b->steps, m / b->steps, n));
        return dlh_transpose (rows, (const guint[]){0, 2, 1, 3}, 4);
    }
    cases = dlh_node_is (node, "linear") ? m : dlh_node_dim (node, 0) * b->uses->len;
    return dlh_reshape (rows, dlh_shape (b->groups, cases, m / MAX (cases, 1), n));
}

// Sum over cases of the squared entries of each case's g a'.
static DlhNode *
squared_gradients (DlhNode *g, DlhNode *a)
{
    const DlhShape shape = dlh_node_shape (g);
    DlhNode *each;

    if (shape.dims[2] == 1) {
        g = dlh_reshape (g, dlh_shape (shape.dims[0], shape.dims[1], shape.dims[3]));
        a = dlh_reshape (a, dlh_shape (shape.dims[0], shape.dims[1], -1));
        return dlh_matmul_t (dlh_square (g), TRUE, dlh_square (a), FALSE);
    }
    each = dlh_matmul_t (g, TRUE, a, FALSE);
    return dlh_sum_axis (dlh_square (each), 1);
}

static DlhNode *
measured_scales (Kfac *k, Block *b)
{
    DlhNode *a = by_case (b, dlh_matmul (kfac_input_rows (b, TRUE), b->held[0])), *sum = NULL;
    const double weight = 1 / k->n_cases;

    for (guint j = 0; j < kfac_n_columns (b); j++) {
        DlhNode *g = by_case (b, dlh_matmul (kfac_output_rows (b, j), b->held[1]));
        DlhNode *s = squared_gradients (g, a);

        sum = sum ? dlh_add (sum, s) : s;
    }
    return dlh_scale (sum, weight * kfac_column_weight (k, b));
}

static void
ekfac_prepare (Kfac *k, Block *b)
{
    DlhNode *refreshed = eigenvalues (k, b);

    b->scales = kfac_block_state (k, b, "S", k->model_dtype, weight_shape (b), DLH_INIT_ZEROS);
    kfac_moving_average (k, b->scales, measured_scales (k, b));
    // In a new basis the old measurements mean nothing.
    kfac_assign_inverse (k, b->scales, refreshed);
}

static DlhNode *
ekfac_apply (Kfac *k, Block *b)
{
    return unproject (k, b, dlh_mul (project (k, b), damped_reciprocal (k, b->scales)));
}

const KfacInverse kfac_ekfac = {"EK-FAC", ekfac_prepare, ekfac_apply};
