/* SPDX-License-Identifier: MIT */
/* Distributions as nodes. A distribution belongs to the graph of its parameters. The leading axes are
 * independent cases (the batch); the last event_rank axes are one draw. */
#pragma once

#include <dlhost/random.h>

G_BEGIN_DECLS

typedef struct _DlhDistribution DlhDistribution; /* parameters and family */

/** dlh_categorical: @logits (.., K); a draw is i64 (..), event rank 0. */
DLH_EXPORT DlhDistribution *dlh_categorical (DlhNode *logits);
/** dlh_bernoulli: @logits; a draw is 0 or 1 in their dtype; log_prob accepts values between. */
DLH_EXPORT DlhDistribution *dlh_bernoulli (DlhNode *logits, guint event_rank);
/** dlh_gaussian: diagonal; @log_std broadcasts to @mean's shape. */
DLH_EXPORT DlhDistribution *dlh_gaussian (DlhNode *mean, DlhNode *log_std, guint event_rank);
/** dlh_gaussian_full: @mean (.., d), @chol lower (.., d, d) or (d, d), covariance chol chol'. */
DLH_EXPORT DlhDistribution *dlh_gaussian_full (DlhNode *mean, DlhNode *chol);
/** dlh_laplace: density exp (-|x - location| / scale) / (2 scale). */
DLH_EXPORT DlhDistribution *dlh_laplace (DlhNode *location, DlhNode *log_scale, guint event_rank);
/** dlh_uniform_on: in [low, high), of one shape. */
DLH_EXPORT DlhDistribution *dlh_uniform_on (DlhNode *low, DlhNode *high, guint event_rank);

/** dlh_log_prob: log density or mass of @value, one number a case (..). */
DLH_EXPORT DlhNode *dlh_log_prob (DlhDistribution *d, DlhNode *value);
/** dlh_log_prob_double: the same in f64: of families that factorise, the elements' terms are added
 * up in f64, whatever their dtype. */
DLH_EXPORT DlhNode *dlh_log_prob_double (DlhDistribution *d, DlhNode *value);
/** dlh_sample_from: a draw through which no gradient flows. */
DLH_EXPORT DlhNode *dlh_sample_from (DlhDistribution *d, DlhStream *stream);
/** dlh_rsample: a draw differentiable by the parameters; sticky error for discrete ones. */
DLH_EXPORT DlhNode *dlh_rsample (DlhDistribution *d, DlhStream *stream);
/** dlh_entropy: of each case (..), in nats; sticky error where the family has no closed form. */
DLH_EXPORT DlhNode *dlh_entropy (DlhDistribution *d);
/** dlh_kl: KL(p || q), closed forms within one family; sticky error otherwise. */
DLH_EXPORT DlhNode *dlh_kl (DlhDistribution *p, DlhDistribution *q);
/** dlh_distribution_mean: of the shape of a draw (of the probabilities when that is a class). */
DLH_EXPORT DlhNode *dlh_distribution_mean (DlhDistribution *d);
/** dlh_distribution_mode: the most probable value: the class, 0 or 1, the mean. */
DLH_EXPORT DlhNode *dlh_distribution_mode (DlhDistribution *d);
/** dlh_distribution_outputs: the node z that a network produces: logits, mean or location. */
DLH_EXPORT DlhNode *dlh_distribution_outputs (DlhDistribution *d);
/** dlh_fisher: the Fisher information of z, one matrix a case: (cases, d, d) with z's event and
 * last axis flattened to d: diag(p) - p p', diag(p (1 - p)), the inverse covariance. */
DLH_EXPORT DlhNode *dlh_fisher (DlhDistribution *d);
/** dlh_fisher_multiply: the Fisher times @v, of z's shape, without forming it. */
DLH_EXPORT DlhNode *dlh_fisher_multiply (DlhDistribution *d, DlhNode *v);
/** dlh_fisher_root_multiply: R @v with R R' the Fisher: its columns (@v one-hot) back-propagated
 * give the exact Fisher of the weights, random signs give curvature propagation. */
DLH_EXPORT DlhNode *dlh_fisher_root_multiply (DlhDistribution *d, DlhNode *v);
/** dlh_distribution_name, dlh_distribution_event_rank: the family, and how many of the last axes
 * are one draw. */
DLH_EXPORT const char *dlh_distribution_name (DlhDistribution *d);
DLH_EXPORT guint dlh_distribution_event_rank (DlhDistribution *d);

/* A family of distributions; plugins add their own with dlh_distribution_new(). Members may be NULL
 * where the family has no such thing. */
typedef struct {
    gsize size;
    const char *name;
    DlhNode *(*log_prob) (DlhDistribution *d, DlhNode *value);
    DlhNode *(*sample) (DlhDistribution *d, DlhStream *stream); /* gradient flows where it can */
    gboolean reparameterised;
    DlhNode *(*entropy) (DlhDistribution *d);
    DlhNode *(*kl) (DlhDistribution *p, DlhDistribution *q);
    DlhNode *(*mean) (DlhDistribution *d);
    DlhNode *(*mode) (DlhDistribution *d);
    DlhNode *(*fisher) (DlhDistribution *d);
    DlhNode *(*fisher_multiply) (DlhDistribution *d, DlhNode *v);
    DlhNode *(*fisher_root_multiply) (DlhDistribution *d, DlhNode *v);
    gboolean factorises; /* with event rank 0, log_prob has a term for each element of a draw */
} DlhDistributionClass;

/** dlh_distribution_new: @parameters[0] is z. At most four parameters. */
DLH_EXPORT DlhDistribution *dlh_distribution_new (const DlhDistributionClass *family,
                                                  DlhNode *const *parameters, guint n,
                                                  guint event_rank);
/** dlh_distribution_parameter: parameter @i of dlh_distribution_new(), for the class's functions.
 * */
DLH_EXPORT DlhNode *dlh_distribution_parameter (DlhDistribution *d, guint i);
/** dlh_distribution_n_parameters: how many there are. */
DLH_EXPORT guint dlh_distribution_n_parameters (DlhDistribution *d);
/** dlh_distribution_like: the family and event rank of @d with other parameters, as many. */
DLH_EXPORT DlhDistribution *dlh_distribution_like (DlhDistribution *d, DlhNode *const *parameters);

G_END_DECLS
