/* SPDX-License-Identifier: MIT */
/* Categorical and Bernoulli, both by logits z: finite for any finite z. */
#include "model/family.h"

/* Categorical: p = softmax (z). */

static DlhNode *
categorical_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *z = dlh_distribution_outputs (d);
    DlhShape shape = dlh_node_shape (z);
    DlhNode *failed = dlh_family_check (d, value, dlh_shape_remove (shape, shape.rank - 1));

    return failed ? failed : dlh_take_along (dlh_log_softmax (z, -1), value);
}

// The maximum of z + g, g = -log (-log u) independent Gumbel variables. u = 0 gives -infinity, so it
// never wins; u < 1.
static DlhNode *
categorical_sample (DlhDistribution *d, DlhStream *stream)
{
    DlhNode *z = dlh_distribution_outputs (d);
    DlhNode *u = dlh_uniform (dlh_node_graph (z), stream, dlh_node_dtype (z), dlh_node_shape (z));
    DlhNode *gumbel = dlh_neg (dlh_log (dlh_neg (dlh_log (u))));

    return dlh_argmax (dlh_add (z, gumbel), -1);
}

static DlhNode *
categorical_entropy (DlhDistribution *d)
{
    DlhNode *z = dlh_distribution_outputs (d);

    return dlh_neg (dlh_sum_axis (dlh_mul (dlh_softmax (z, -1), dlh_log_softmax (z, -1)), -1));
}

static DlhNode *
categorical_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *zp = dlh_distribution_outputs (p), *zq = dlh_distribution_outputs (q);
    DlhNode *difference = dlh_sub (dlh_log_softmax (zp, -1), dlh_log_softmax (zq, -1));

    return dlh_sum_axis (dlh_mul (dlh_softmax (zp, -1), difference), -1);
}

// Of the one-hot vector.
static DlhNode *
categorical_mean (DlhDistribution *d)
{
    return dlh_softmax (dlh_distribution_outputs (d), -1);
}

static DlhNode *
categorical_mode (DlhDistribution *d)
{
    return dlh_argmax (dlh_distribution_outputs (d), -1);
}

// diag (p) - p p'
static DlhNode *
categorical_fisher (DlhDistribution *d)
{
    DlhNode *p = dlh_family_flatten (dlh_softmax (dlh_distribution_outputs (d), -1), 1);

    return dlh_sub (dlh_diag (p), dlh_mul (dlh_expand (p, 2), dlh_expand (p, 1)));
}

static DlhNode *
categorical_fisher_multiply (DlhDistribution *d, DlhNode *v)
{
    DlhNode *p = dlh_softmax (dlh_distribution_outputs (d), -1);
    int last = -1;

    return dlh_mul (p, dlh_sub (v, dlh_sum (dlh_mul (p, v), &last, 1, TRUE)));
}

// R = diag (sqrt p) - p sqrt (p)'
static DlhNode *
categorical_fisher_root_multiply (DlhDistribution *d, DlhNode *v)
{
    DlhNode *p = dlh_softmax (dlh_distribution_outputs (d), -1);
    DlhNode *s = dlh_mul (dlh_sqrt (p), v);
    int last = -1;

    return dlh_sub (s, dlh_mul (p, dlh_sum (s, &last, 1, TRUE)));
}

static const DlhDistributionClass categorical = {
    .size = sizeof (DlhDistributionClass),
    .name = "categorical",
    .log_prob = categorical_log_prob,
    .sample = categorical_sample,
    .entropy = categorical_entropy,
    .kl = categorical_kl,
    .mean = categorical_mean,
    .mode = categorical_mode,
    .fisher = categorical_fisher,
    .fisher_multiply = categorical_fisher_multiply,
    .fisher_root_multiply = categorical_fisher_root_multiply,
};

DlhDistribution *
dlh_categorical (DlhNode *logits)
{
    if (!dlh_node_failed (logits) && (dlh_node_rank (logits) == 0 || dlh_node_dim (logits, -1) < 1))
        logits = dlh_graph_fail (dlh_node_graph (logits), DLH_ERROR_SHAPE,
                                 "categorical: the logits have no class");
    return dlh_distribution_new (&categorical, &logits, 1, 0);
}

/* Bernoulli: p = sigmoid (z) for each element. */

// y z - softplus (z)
static DlhNode *
bernoulli_log_prob (DlhDistribution *d, DlhNode *value)
{
    DlhNode *z = dlh_distribution_outputs (d);
    DlhNode *failed = dlh_family_check (d, value, dlh_node_shape (z));

    if (failed)
        return failed;
    return dlh_family_sum_event (d, dlh_sub (dlh_mul (value, z), dlh_softplus (z)));
}

static DlhNode *
bernoulli_sample (DlhDistribution *d, DlhStream *stream)
{
    return dlh_bernoulli_draw (stream, dlh_sigmoid (dlh_distribution_outputs (d)));
}

static DlhNode *
bernoulli_entropy (DlhDistribution *d)
{
    DlhNode *z = dlh_distribution_outputs (d);

    return dlh_family_sum_event (d, dlh_sub (dlh_softplus (z), dlh_mul (z, dlh_sigmoid (z))));
}

// p (z_p - z_q) - softplus (z_p) + softplus (z_q)
static DlhNode *
bernoulli_kl (DlhDistribution *p, DlhDistribution *q)
{
    DlhNode *zp = dlh_distribution_outputs (p), *zq = dlh_distribution_outputs (q);
    DlhNode *kl = dlh_add (dlh_mul (dlh_sigmoid (zp), dlh_sub (zp, zq)),
                           dlh_sub (dlh_softplus (zq), dlh_softplus (zp)));

    return dlh_family_sum_event (p, kl);
}

static DlhNode *
bernoulli_mean (DlhDistribution *d)
{
    return dlh_sigmoid (dlh_distribution_outputs (d));
}

static DlhNode *
bernoulli_mode (DlhDistribution *d)
{
    DlhNode *z = dlh_distribution_outputs (d);

    return dlh_cast (dlh_greater (z, dlh_full_like (z, 0)), dlh_node_dtype (z));
}

// p (1 - p), exact where p is near 1.
static DlhNode *
bernoulli_variance (DlhDistribution *d)
{
    DlhNode *z = dlh_distribution_outputs (d);

    return dlh_mul (dlh_sigmoid (z), dlh_sigmoid (dlh_neg (z)));
}

static DlhNode *
bernoulli_fisher (DlhDistribution *d)
{
    return dlh_diag (dlh_family_flatten (bernoulli_variance (d), dlh_distribution_event_rank (d)));
}

static DlhNode *
bernoulli_fisher_multiply (DlhDistribution *d, DlhNode *v)
{
    return dlh_mul (bernoulli_variance (d), v);
}

static DlhNode *
bernoulli_fisher_root_multiply (DlhDistribution *d, DlhNode *v)
{
    return dlh_mul (dlh_sqrt (bernoulli_variance (d)), v);
}

static const DlhDistributionClass bernoulli = {
    .size = sizeof (DlhDistributionClass),
    .name = "Bernoulli",
    .log_prob = bernoulli_log_prob,
    .sample = bernoulli_sample,
    .entropy = bernoulli_entropy,
    .kl = bernoulli_kl,
    .mean = bernoulli_mean,
    .mode = bernoulli_mode,
    .fisher = bernoulli_fisher,
    .fisher_multiply = bernoulli_fisher_multiply,
    .fisher_root_multiply = bernoulli_fisher_root_multiply,
    .factorises = TRUE,
};

DlhDistribution *
dlh_bernoulli (DlhNode *logits, guint event_rank)
{
    return dlh_distribution_new (&bernoulli, &logits, 1, event_rank);
}
