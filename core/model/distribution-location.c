/* SPDX-License-Identifier: MIT */
/* Laplace, and uniform on an interval. */
#include <math.h>
#include "model/family.h"

/* Laplace: parameters location m and log scale s. */

static DlhNode *
laplace_location (DlhDistribution *d)
{
    return dlh_distribution_outputs (d);
}

static DlhNode *
laplace_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *m = laplace_location (d), *s = dlh_distribution_parameter (d, 1), *distance;
    DlhNode *failed = dlh_family_check (d, value, dlh_node_shape (m));

    if (failed)
        return failed;
    distance = dlh_mul (dlh_abs (dlh_sub (value, m)), dlh_exp (dlh_neg (s)));
    return dlh_family_sum_event (d, dlh_offset (dlh_neg (dlh_add (distance, s)), -G_LN2));
}

// A random sign times an exponential variable -log (1 - u), finite since u < 1.
static DlhNode *
laplace_sample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *m = laplace_location (d), *s = dlh_distribution_parameter (d, 1);
    DlhGraph *graph = dlh_node_graph (m);
    DlhNode *u = dlh_uniform (graph, stream, dlh_node_dtype (m), dlh_node_shape (m));
    DlhNode *sign = dlh_rademacher (graph, stream, dlh_node_dtype (m), dlh_node_shape (m));

    return dlh_sub (m, dlh_mul (dlh_exp (s), dlh_mul (sign, dlh_log1p (dlh_neg (u)))));
}

static DlhNode *
laplace_entropy (DlhDistribution *d)
{
    return dlh_family_sum_event (d, dlh_offset (dlh_distribution_parameter (d, 1), 1 + G_LN2));
}

// With r = s_p - s_q and a = |m_p - m_q| / exp s_p: exp r (a + exp (-a)) - 1 - r, written with expm1
// to be exact near a = r = 0.
static DlhNode *
laplace_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *sp = dlh_distribution_parameter (p, 1);
    DlhNode *r = dlh_sub (sp, dlh_distribution_parameter (q, 1));
    DlhNode *a = dlh_mul (dlh_abs (dlh_sub (laplace_location (p), laplace_location (q))),
                          dlh_exp (dlh_neg (sp)));
    DlhNode *excess = dlh_add (a, dlh_expm1 (dlh_neg (a)));

    return dlh_family_sum_event (
        p, dlh_add (dlh_mul (dlh_exp (r), excess), dlh_sub (dlh_expm1 (r), r)));
}

static DlhNode *
laplace_information (DlhDistribution *d)
{
    return dlh_exp (dlh_scale (dlh_distribution_parameter (d, 1), -2));
}

static DlhNode *
laplace_fisher (DlhDistribution *d)
{
    return dlh_diag (dlh_family_flatten (laplace_information (d), dlh_distribution_event_rank (d)));
}

static DlhNode *
laplace_fisher_multiply (DlhDistribution *d, DlhNode *v)
{
    return dlh_mul (laplace_information (d), v);
}

static DlhNode *
laplace_fisher_root_multiply (DlhDistribution *d, DlhNode *v)
{
    return dlh_mul (dlh_exp (dlh_neg (dlh_distribution_parameter (d, 1))), v);
}

static const DlhDistributionClass laplace = {
    .size = sizeof (DlhDistributionClass),
    .name = "Laplace",
    .log_prob = laplace_log_prob,
    .sample = laplace_sample,
    .reparameterised = TRUE,
    .entropy = laplace_entropy,
    .kl = laplace_kl,
    .mean = laplace_location,
    .mode = laplace_location,
    .fisher = laplace_fisher,
    .fisher_multiply = laplace_fisher_multiply,
    .fisher_root_multiply = laplace_fisher_root_multiply,
    .factorises = TRUE,
};

DlhDistribution *
dlh_laplace (DlhNode *location, DlhNode *log_scale, guint event_rank)
{
    DlhNode *parameters[] = {location, dlh_family_fit ("Laplace", location, log_scale)};

    return dlh_distribution_new (&laplace, parameters, 2, event_rank);
}

/* Uniform on [low, high). It has no Fisher information: its support depends on its parameters. */

static DlhNode *
uniform_width (DlhDistribution *d)
{
    return dlh_sub (dlh_distribution_parameter (d, 1), dlh_distribution_outputs (d));
}

static DlhNode *
uniform_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *low = dlh_distribution_outputs (d), *high = dlh_distribution_parameter (d, 1);
    DlhNode *failed = dlh_family_check (d, value, dlh_node_shape (low)), *density, *none;

    if (failed)
        return failed;
    none = dlh_full_like (low, -INFINITY);
    density = dlh_neg (dlh_log (uniform_width (d)));
    density = dlh_where (dlh_less (value, high), density, none);
    return dlh_family_sum_event (d, dlh_where (dlh_greater_equal (value, low), density, none));
}

static DlhNode *
uniform_sample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *low = dlh_distribution_outputs (d);
    DlhNode *u =
        dlh_uniform (dlh_node_graph (low), stream, dlh_node_dtype (low), dlh_node_shape (low));

    return dlh_add (low, dlh_mul (uniform_width (d), u));
}

static DlhNode *
uniform_entropy (DlhDistribution *d)
{
    return dlh_family_sum_event (d, dlh_log (uniform_width (d)));
}

// Infinite unless p's interval lies within q's.
static DlhNode *
uniform_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *low = dlh_distribution_outputs (p), *high = dlh_distribution_parameter (p, 1);
    DlhNode *kl = dlh_sub (dlh_log (uniform_width (q)), dlh_log (uniform_width (p)));
    DlhNode *infinite = dlh_full_like (low, INFINITY);

    kl = dlh_where (dlh_less_equal (dlh_distribution_outputs (q), low), kl, infinite);
    kl = dlh_where (dlh_less_equal (high, dlh_distribution_parameter (q, 1)), kl, infinite);
    return dlh_family_sum_event (p, kl);
}

static DlhNode *
uniform_mean (DlhDistribution *d)
{
    return dlh_scale (dlh_add (dlh_distribution_outputs (d), dlh_distribution_parameter (d, 1)),
                      0.5);
}

static const DlhDistributionClass uniform = {
    .size = sizeof (DlhDistributionClass),
    .name = "uniform",
    .log_prob = uniform_log_prob,
    .sample = uniform_sample,
    .reparameterised = TRUE,
    .entropy = uniform_entropy,
    .kl = uniform_kl,
    .mean = uniform_mean,
    .mode = uniform_mean,
    .factorises = TRUE,
};

DlhDistribution *
dlh_uniform_on (DlhNode *low, DlhNode *high, guint event_rank)
{
    DlhNode *parameters[] = {low, dlh_family_fit ("uniform", low, high)};

    return dlh_distribution_new (&uniform, parameters, 2, event_rank);
}
