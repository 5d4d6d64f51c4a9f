/* SPDX-License-Identifier: MIT */
/* The mass matrix. Of a block with d elements its inverse W is diagonal, or dense: then M^-1 = R R'
 * (Cholesky) and momenta are p = R'^-1 n; R^-1 is kept, so that a draw is one product of matrices.
 */
#include <string.h>
#include "hmc.h"

static gboolean
is_dense (const Hmc *h)
{
    return strcmp (h->opt->mass, "dense") == 0;
}

/* The shape of block @i of one chain. */
static DlhShape
block_shape (Hmc *h, guint i)
{
    return dlh_shape_remove (dlh_node_shape (h->q[i]), 0);
}

static DlhNode *
block_tuned (Hmc *h, guint i, const char *name, double value)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", dlh_chains_block_name (h->c, i), name);

    return dlh_chains_tuned (h->c, full, DLH_F64, block_shape (h, i),
                             (DlhInit){DLH_INIT_CONSTANT, value, 0});
}

static gint64
elements (Hmc *h, guint i)
{
    return dlh_shape_count (block_shape (h, i));
}

/* (d, d), tuned: the identity at first. */
static DlhNode *
identity_tuned (Hmc *h, guint i, const char *name)
{
    g_autofree char *full = g_strdup_printf ("%s/%s", dlh_chains_block_name (h->c, i), name);
    gint64 d = elements (h, i);

    return dlh_chains_tuned (h->c, full, DLH_F64, dlh_shape (d, d),
                             (DlhInit){DLH_INIT_IDENTITY, 1, 0});
}

void
hmc_make_mass (Hmc *h)
{
    for (guint i = 0; i < h->n; i++) {
        h->W[i] = is_dense (h) ? identity_tuned (h, i, "inverse_mass")
                               : block_tuned (h, i, "inverse_mass", 1);
        if (is_dense (h))
            h->root[i] = identity_tuned (h, i, "inverse_root");
    }
}

// Rows of v (C, block) times a matrix (d, d).
static DlhNode *
rows_times (Hmc *h, guint i, DlhNode *v, DlhNode *matrix)
{
    DlhNode *rows = dlh_reshape (v, dlh_shape (dlh_chains_count (h->c), elements (h, i)));

    return dlh_reshape (dlh_matmul (rows, dlh_cast (matrix, dlh_node_dtype (v))),
                        dlh_node_shape (h->q[i]));
}

DlhNode *
hmc_times_inverse_mass (Hmc *h, guint i, DlhNode *v)
{
    if (is_dense (h))
        return rows_times (h, i, v, h->W[i]);
    return dlh_mul (v, dlh_cast (h->W[i], dlh_node_dtype (v)));
}

void
hmc_draw_momenta (Hmc *h, const char *stream, DlhNode **p)
{
    for (guint i = 0; i < h->n; i++) {
        DlhNode *z = dlh_chains_normal (h->c, dlh_chains_stream (h->c, stream), i);

        // As rows: n' R^-1.
        p[i] = is_dense (h) ? rows_times (h, i, z, h->root[i])
                            : dlh_mul (z, dlh_cast (dlh_rsqrt (h->W[i]), dlh_node_dtype (z)));
    }
}

/* Estimates in f64 over all chains' draws in a slow window, pooled as in Chan, Golub and LeVeque;
 * at its end W = n / (n + 5) (co)variance + 5 / (n + 5) 1e-3. */

typedef struct {
    DlhPass *collect, *update;
    DlhNode *n, *total, *keep;
} Window;

static DlhNode *
regularised (DlhNode *covariance, DlhNode *keep, DlhNode *unit)
{
    DlhNode *rest = dlh_scale (dlh_offset (dlh_neg (keep), 1), 1e-3);

    return dlh_add (dlh_mul (covariance, keep), unit ? dlh_mul (unit, rest) : rest);
}

static void
estimate_diagonal (Hmc *h, guint i, const Window *w, DlhNode *q, DlhNode *batch, DlhNode *delta)
{
    DlhNode *m2 = block_tuned (h, i, "deviations", 0);
    DlhNode *now = dlh_sum_axis (dlh_square (dlh_sub (q, batch)), 0);
    double C = (double)dlh_chains_count (h->c);
    DlhNode *between = dlh_mul (dlh_square (delta), dlh_scale (dlh_div (w->n, w->total), C));

    dlh_pass_assign (w->collect, m2, dlh_add (m2, dlh_add (now, between)));
    dlh_pass_assign (w->update, h->W[i],
                     regularised (dlh_div (m2, dlh_offset (w->n, -1)), w->keep, NULL));
    dlh_pass_assign (w->update, m2, dlh_full_like (m2, 0));
}

static void
estimate_dense (Hmc *h, guint i, const Window *w, DlhNode *q, DlhNode *batch, DlhNode *delta)
{
    gint64 C = dlh_chains_count (h->c), d = elements (h, i);
    g_autofree char *full = g_strdup_printf ("%s/deviations", dlh_chains_block_name (h->c, i));
    DlhNode *m2 =
        dlh_chains_tuned (h->c, full, DLH_F64, dlh_shape (d, d), (DlhInit){DLH_INIT_ZEROS, 0, 0});
    DlhNode *x = dlh_reshape (dlh_sub (q, batch), dlh_shape (C, d));
    DlhNode *row = dlh_reshape (delta, dlh_shape (1, d)), *between, *W, *unit;

    between = dlh_mul (dlh_matmul_t (row, TRUE, row, FALSE),
                       dlh_scale (dlh_div (w->n, w->total), (double)C));
    dlh_pass_assign (w->collect, m2,
                     dlh_add (m2, dlh_add (dlh_matmul_t (x, TRUE, x, FALSE), between)));
    unit = dlh_eye (dlh_chains_graph (h->c), DLH_F64, d);
    W = regularised (dlh_div (m2, dlh_offset (w->n, -1)), w->keep, unit);
    dlh_pass_assign (w->update, h->W[i], W);
    dlh_pass_assign (w->update, h->root[i],
                     dlh_solve_triangular (dlh_cholesky (W), unit, TRUE, FALSE));
    dlh_pass_assign (w->update, m2, dlh_full_like (m2, 0));
}

void
hmc_build_mass (Hmc *h)
{
    double C = (double)dlh_chains_count (h->c);
    DlhNode *n = hmc_tuned (h, "tune/n", 0);
    const Window w = {.collect = dlh_chains_pass (h->c, "collect", DLH_PASS_COLLECT),
                      .update = dlh_chains_pass (h->c, "mass", DLH_PASS_WINDOW),
                      .n = n,
                      .total = dlh_offset (n, C),
                      .keep = dlh_div (n, dlh_offset (n, 5))};

    for (guint i = 0; i < h->n; i++) {
        DlhNode *mean = block_tuned (h, i, "mean", 0), *q = dlh_cast (h->q[i], DLH_F64);
        DlhNode *batch = dlh_mean_axis (q, 0), *delta = dlh_sub (batch, mean);

        dlh_pass_assign (w.collect, mean,
                         dlh_add (mean, dlh_mul (delta, dlh_div (hmc_constant (h, C), w.total))));
        (is_dense (h) ? estimate_dense : estimate_diagonal) (h, i, &w, q, batch, delta);
        dlh_pass_assign (w.update, mean, dlh_full_like (mean, 0));
    }
    dlh_pass_assign (w.collect, n, w.total);
    dlh_pass_assign (w.update, n, dlh_full_like (n, 0));
}
