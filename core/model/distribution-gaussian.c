/* SPDX-License-Identifier: MIT */
/* Gaussians with a diagonal and with a full covariance. */
#include <math.h>
#include <dlhost/matrix.h>
#include "model/family.h"

#define HALF_LOG_2PI 0.91893853320467274178

/* Diagonal: parameters mean m and log standard deviation s, both of a draw's shape. */

static DlhNode *
gaussian_mean (DlhDistribution *d)
{
    return dlh_distribution_outputs (d);
}

// (x - m) / exp s
static DlhNode *
standardised (DlhDistribution *d, DlhNode *x)
{
    DlhNode *s = dlh_distribution_parameter (d, 1);

    return dlh_mul (dlh_sub (x, gaussian_mean (d)), dlh_exp (dlh_neg (s)));
}

static DlhNode *
gaussian_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *failed = dlh_family_check (d, value, dlh_node_shape (gaussian_mean (d)));
    DlhNode *half;

    if (failed)
        return failed;
    half = dlh_scale (dlh_square (standardised (d, value)), -0.5);
    return dlh_family_sum_event (
        d, dlh_offset (dlh_sub (half, dlh_distribution_parameter (d, 1)), -HALF_LOG_2PI));
}

static DlhNode *
gaussian_sample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *m = gaussian_mean (d), *s = dlh_distribution_parameter (d, 1);
    DlhNode *e = dlh_normal (dlh_node_graph (m), stream, dlh_node_dtype (m), dlh_node_shape (m));

    return dlh_add (m, dlh_mul (dlh_exp (s), e));
}

static DlhNode *
gaussian_entropy (DlhDistribution *d)
{
    DlhNode *s = dlh_distribution_parameter (d, 1);

    return dlh_family_sum_event (d, dlh_offset (s, HALF_LOG_2PI + 0.5));
}

// With r = s_p - s_q: (exp 2r - 1 - 2r + ((m_p - m_q) / exp s_q)^2) / 2, exact near r = 0.
static DlhNode *
gaussian_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *r2 = dlh_scale (
        dlh_sub (dlh_distribution_parameter (p, 1), dlh_distribution_parameter (q, 1)), 2);
    DlhNode *shift = dlh_square (standardised (q, gaussian_mean (p)));

    return dlh_family_sum_event (
        p, dlh_scale (dlh_add (dlh_sub (dlh_expm1 (r2), r2), shift), 0.5));
}

static DlhNode *
gaussian_precision (DlhDistribution *d)
{
    return dlh_exp (dlh_scale (dlh_distribution_parameter (d, 1), -2));
}

static DlhNode *
gaussian_fisher (DlhDistribution *d)
{
    return dlh_diag (dlh_family_flatten (gaussian_precision (d), dlh_distribution_event_rank (d)));
}

static DlhNode *
gaussian_fisher_multiply (DlhDistribution *d, DlhNode *v)
{
    return dlh_mul (gaussian_precision (d), v);
}

static DlhNode *
gaussian_fisher_root_multiply (DlhDistribution *d, DlhNode *v)
{
    return dlh_mul (dlh_exp (dlh_neg (dlh_distribution_parameter (d, 1))), v);
}

static const DlhDistributionClass gaussian = {
    .size = sizeof (DlhDistributionClass),
    .name = "Gaussian",
    .log_prob = gaussian_log_prob,
    .sample = gaussian_sample,
    .reparameterised = TRUE,
    .entropy = gaussian_entropy,
    .kl = gaussian_kl,
    .mean = gaussian_mean,
    .mode = gaussian_mean,
    .fisher = gaussian_fisher,
    .fisher_multiply = gaussian_fisher_multiply,
    .fisher_root_multiply = gaussian_fisher_root_multiply,
    .factorises = TRUE,
};

DlhDistribution *
dlh_gaussian (DlhNode *mean, DlhNode *log_std, guint event_rank)
{
    DlhNode *parameters[] = {mean, dlh_family_fit ("Gaussian", mean, log_std)};

    return dlh_distribution_new (&gaussian, parameters, 2, event_rank);
}

/* Full: parameters mean m (.., d) and L (.., d, d) or (d, d), lower; covariance L L'. With one L for
 * all cases, they become the columns of one right-hand side. */

static gboolean
is_shared (DlhDistribution *d)
{
    return dlh_node_rank (dlh_distribution_parameter (d, 1)) == 2 &&
           dlh_node_rank (dlh_distribution_outputs (d)) != 1;
}

// L^-1 x or L'^-1 x for x (.., d).
static DlhNode *
solve (DlhDistribution *d, DlhNode *x, gboolean transpose)
{
    DlhNode *l = dlh_distribution_parameter (d, 1), *y;
    DlhShape shape = dlh_node_shape (x);

    if (is_shared (d))
        y = dlh_t (dlh_solve_triangular (l, dlh_t (dlh_family_flatten (x, 1)), TRUE, transpose));
    else
        y = dlh_solve_triangular (l, dlh_expand (x, (int) shape.rank), TRUE, transpose);
    return dlh_reshape (y, shape);
}

// L x
static DlhNode *
multiply (DlhDistribution *d, DlhNode *x)
{
    DlhNode *l = dlh_distribution_parameter (d, 1), *y;
    DlhShape shape = dlh_node_shape (x);

    if (is_shared (d))
        y = dlh_matmul_t (dlh_family_flatten (x, 1), FALSE, l, TRUE);
    else
        y = dlh_matmul (l, dlh_expand (x, (int) shape.rank));
    return dlh_reshape (y, shape);
}

// (cases...) from (..) or a scalar, the latter when L is shared.
static DlhNode *
to_cases (DlhDistribution *d, DlhNode *x)
{
    DlhShape shape = dlh_node_shape (dlh_distribution_outputs (d));

    return dlh_broadcast (x, dlh_shape_remove (shape, shape.rank - 1));
}

static DlhNode *
half_logdet (DlhDistribution *d)
{
    return to_cases (d, dlh_scale (dlh_cholesky_logdet (dlh_distribution_parameter (d, 1)), 0.5));
}

static double
dimension (DlhDistribution *d)
{
    return (double) dlh_node_dim (dlh_distribution_outputs (d), -1);
}

static DlhNode *
full_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *m = dlh_distribution_outputs (d);
    DlhNode *failed = dlh_family_check (d, value, dlh_node_shape (m));
    DlhNode *half;

    if (failed)
        return failed;
    half = dlh_scale (dlh_sum_axis (dlh_square (solve (d, dlh_sub (value, m), FALSE)), -1), -0.5);
    return dlh_offset (dlh_sub (half, half_logdet (d)), -HALF_LOG_2PI * dimension (d));
}

static DlhNode *
full_sample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *m = dlh_distribution_outputs (d);
    DlhNode *e = dlh_normal (dlh_node_graph (m), stream, dlh_node_dtype (m), dlh_node_shape (m));

    return dlh_add (m, multiply (d, e));
}

static DlhNode *
full_entropy (DlhDistribution *d)
{
    return dlh_offset (half_logdet (d), (HALF_LOG_2PI + 0.5) * dimension (d));
}

static DlhNode *
to_batch (DlhDistribution *d)
{
    DlhShape shape = dlh_node_shape (dlh_distribution_outputs (d));

    shape = dlh_shape_insert (shape, shape.rank, shape.dims[shape.rank - 1]);
    return dlh_broadcast (dlh_distribution_parameter (d, 1), shape);
}

// (|L_q^-1 L_p|^2 + |L_q^-1 (m_p - m_q)|^2 - d) / 2 + log det L_q - log det L_p
static DlhNode *
full_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *lp = dlh_distribution_parameter (p, 1), *lq = dlh_distribution_parameter (q, 1);
    DlhNode *shift = dlh_sub (dlh_distribution_outputs (p), dlh_distribution_outputs (q));
    DlhNode *quadratic = dlh_sum_axis (dlh_square (solve (q, shift, FALSE)), -1), *ratio;

    if (dlh_node_failed (lp) || dlh_node_failed (lq))
        return dlh_node_failed (lp) ? lp : lq;
    if (dlh_node_rank (lp) != dlh_node_rank (lq)) {
        lp = to_batch (p);
        lq = to_batch (q);
    }
    ratio = dlh_sum_last (dlh_square (dlh_solve_triangular (lq, lp, TRUE, FALSE)), 2);
    return dlh_add (
        dlh_scale (dlh_offset (dlh_add (quadratic, to_cases (p, ratio)), -dimension (p)), 0.5),
        dlh_sub (half_logdet (q), half_logdet (p)));
}

static DlhNode *
full_fisher (DlhDistribution *d)
{
    DlhNode *inverse = dlh_cholesky_inverse (dlh_distribution_parameter (d, 1));
    gint64 n = dlh_node_dim (dlh_distribution_outputs (d), -1), cases = 1;
    DlhShape shape = dlh_node_shape (dlh_distribution_outputs (d));

    for (guint i = 0; i + 1 < shape.rank; i++)
        cases *= shape.dims[i];
    if (dlh_node_rank (inverse) == 2)
        return dlh_broadcast (inverse, dlh_shape (cases, n, n));
    return dlh_reshape (inverse, dlh_shape (cases, n, n));
}

static DlhNode *
full_fisher_multiply (DlhDistribution *d, DlhNode *v)
{
    return solve (d, solve (d, v, FALSE), TRUE);
}

// The covariance is L L', so its inverse is L'^-1 L^-1.
static DlhNode *
full_fisher_root_multiply (DlhDistribution *d, DlhNode *v)
{
    return solve (d, v, TRUE);
}

static const DlhDistributionClass gaussian_full = {
    .size = sizeof (DlhDistributionClass),
    .name = "full Gaussian",
    .log_prob = full_log_prob,
    .sample = full_sample,
    .reparameterised = TRUE,
    .entropy = full_entropy,
    .kl = full_kl,
    .mean = gaussian_mean,
    .mode = gaussian_mean,
    .fisher = full_fisher,
    .fisher_multiply = full_fisher_multiply,
    .fisher_root_multiply = full_fisher_root_multiply,
};

static DlhNode *
check_full (DlhNode *mean, DlhNode *chol)
{
    DlhShape m, l, wanted;
    g_autofree char *got = NULL, *want = NULL;

    if (dlh_node_failed (mean) || dlh_node_failed (chol))
        return dlh_node_failed (mean) ? mean : chol;
    m = dlh_node_shape (mean);
    l = dlh_node_shape (chol);
    if (m.rank >= 1 && m.rank < DLH_MAX_RANK) {
        gint64 n = m.dims[m.rank - 1];

        wanted = dlh_shape_insert (m, m.rank, n);
        if (dlh_shape_equal (l, wanted) || dlh_shape_equal (l, dlh_shape (n, n)))
            return dlh_tril (chol, 0);
    }
    got = dlh_shape_to_string (l);
    want = dlh_shape_to_string (m);
    return dlh_graph_fail (dlh_node_graph (mean), DLH_ERROR_SHAPE,
                           "full Gaussian: Cholesky factor %s does not fit mean %s", got, want);
}

DlhDistribution *
dlh_gaussian_full (DlhNode *mean, DlhNode *chol)
{
    DlhNode *parameters[] = {mean, check_full (mean, chol)};

    return dlh_distribution_new (&gaussian_full, parameters, 2, 1);
}
