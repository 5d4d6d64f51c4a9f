/* SPDX-License-Identifier: MIT */
/* Perturbations of weights: every example n of a batch is to see W + D_n in the place of W, where
 * the elements of D_n are independent and of mean 0. A model knows nothing of it: the library finds
 * each product with a weight in the graph that the model has built, follows the axis of the
 * examples to it, and asks an estimator for what takes the product's place:
 *
 *     return dlh_product_apply (p, dlh_product_input (p),
 *                               dlh_weight_noisy (dlh_product_weight (p)), TRUE);
 *
 * Streams are keyed by the parameter's name: results do not depend on what else is perturbed. */
#pragma once

#include <dlhost/matrix.h>
#include <dlhost/model.h>
#include <dlhost/registry.h>

G_BEGIN_DECLS

typedef struct _DlhWeight DlhWeight;   /* a perturbed parameter, in one graph */
typedef struct _DlhProduct DlhProduct; /* a node of the model that multiplies by it */

/* What the law of a noise is known to be. */
typedef enum {
    DLH_NOISE_SYMMETRIC = 1 << 0, /* each element about 0 */
    DLH_NOISE_GAUSSIAN = 1 << 1,  /* std() says all */
    DLH_NOISE_POSTERIOR = 1 << 2, /* its scale is learned: the law is a posterior */
} DlhNoiseFlags;

/* Role: the law of D. Elements are independent. */
typedef struct {
    gsize size;
    const char *name;
    guint flags; /* DlhNoiseFlags */
    /* A draw of D, for @n above 0 as many, independent, along a new first axis. Differentiable. */
    DlhNode *(*draw) (DlhWeight *w, DlhStream *stream, gint64 n);
    DlhNode *(*mean) (DlhWeight *w); /* (nullable): what products use; NULL: the parameter itself */
    DlhNode *(*std) (DlhWeight *w);  /* (nullable): of each element */
} DlhNoise;

/* What an estimator needs; where it is missing the parameter is left alone and named. */
typedef enum {
    DLH_ESTIMATOR_EXAMPLES = 1 << 0,  /* to know where each example's rows are */
    DLH_ESTIMATOR_SYMMETRIC = 1 << 1, /* noise that is symmetric about 0 */
    DLH_ESTIMATOR_GAUSSIAN = 1 << 2,  /* Gaussian noise, with std() */
    DLH_ESTIMATOR_ALONE = 1 << 3,     /* one linear product, with one row an example */
} DlhEstimatorNeeds;

/* Role: how products see the noise. */
typedef struct {
    gsize size;
    const char *name;
    guint needs; /* DlhEstimatorNeeds */
    /* Returns: the product with the perturbed weight, bias included. */
    DlhNode *(*product) (DlhProduct *p, gconstpointer options);
    /* (nullable): what the note in the run's log says beside the noise: "signs of 784 x 512". */
    const char *note;
} DlhEstimator;

/* The interface of a plugin of kind perturb: one role or both. An estimator's option struct begins
 * with a DlhPerturbOptions, its table with DLH_PERTURB_OPTIONS. */
typedef struct {
    gsize size;
    const DlhEstimator *estimator;
    const DlhNoise *noise;
} DlhPerturbation;

/* What all estimators are told. */
typedef struct {
    const char *weights; /* patterns of names */
    const char *noise;   /* one of the library's, or a plugin with the noise role */
    double sigma, rate;
    const char *bias;
    gint64 samples;
    gboolean strict;
} DlhPerturbOptions;

/* The rows of DlhPerturbOptions. */
#define DLH_PERTURB_OPTIONS                                                                        \
    DLH_STRING (DlhPerturbOptions, weights, "*",                                                   \
                "Parameters to perturb: names, * for any part, | between alternatives"),           \
        DLH_STRING (DlhPerturbOptions, noise, "gaussian",                                          \
                    "gaussian (learned scale), fixed, multiplicative, dropconnect, or a plugin"),  \
        DLH_DOUBLE (DlhPerturbOptions, sigma, -1, -1.0, 1e6,                                       \
                    "Scale of the noise, at the start when learned; below 0: gaussian 0.05, "      \
                    "fixed 0.1, multiplicative 1"),                                                \
        DLH_DOUBLE (DlhPerturbOptions, rate, 0.5, 0.0, 1.0,                                        \
                    "Of dropconnect: share of weights cut", .flags = DLH_MIN_OPEN | DLH_MAX_OPEN), \
        DLH_CHOICE (DlhPerturbOptions, bias, "auto", "auto|none|shared|fresh",                     \
                    "Biases: no noise, one draw, or one for each example; auto: fresh where the "  \
                    "scale is learned"),                                                           \
        DLH_INT (DlhPerturbOptions, samples, 0, 0, 1000,                                           \
                 "Perturbed networks averaged in evaluation, beside the mean weights"),            \
        DLH_BOOL_OPTION (DlhPerturbOptions, strict, FALSE,                                         \
                         "A parameter that matches and cannot be perturbed is an error")

/** dlh_perturb_model: Returns: (transfer full): @model with products perturbed as @perturb says,
 * evaluated at mean weights. @noise: (nullable): the plugin whose noise role is asked for. */
DLH_EXPORT DlhComponent *dlh_perturb_model (DlhComponent *model, DlhComponent *perturb,
                                            DlhComponent *noise, GError **error);
/** dlh_model_with_objective: Returns: (transfer full): @model with the loss of @objective. */
DLH_EXPORT DlhComponent *dlh_model_with_objective (DlhComponent *model, DlhComponent *objective,
                                                   GError **error);
/** dlh_noise_named: Returns: (nullable): the library's noise @name. */
DLH_EXPORT const DlhNoise *dlh_noise_named (const char *name);

/* For noises. */
/** dlh_weight_value, dlh_weight_variable: the parameter. */
DLH_EXPORT DlhNode *dlh_weight_value (DlhWeight *w);
DLH_EXPORT DlhVariable *dlh_weight_variable (DlhWeight *w);
/** dlh_weight_sigma, dlh_weight_rate: those options; sigma is @preset where it is below 0. */
DLH_EXPORT double dlh_weight_sigma (DlhWeight *w, double preset);
DLH_EXPORT double dlh_weight_rate (DlhWeight *w);
/** dlh_weight_parameter: a trainable parameter of its shape, "<parameter>/@name". */
DLH_EXPORT DlhNode *dlh_weight_parameter (DlhWeight *w, const char *name, DlhInit init);
/** dlh_weight_noise_options: (nullable): those of the plugin that has the noise. */
DLH_EXPORT gconstpointer dlh_weight_noise_options (DlhWeight *w);

/* For estimators. All draws are made once for a graph, so that weights that are shared (by the
 * steps of a recurrent net, by an embedding and an output) see one noise. */
/** dlh_weight_mean, dlh_weight_std, dlh_weight_draw: of the parameter's shape. */
DLH_EXPORT DlhNode *dlh_weight_mean (DlhWeight *w);
DLH_EXPORT DlhNode *dlh_weight_std (DlhWeight *w);
DLH_EXPORT DlhNode *dlh_weight_draw (DlhWeight *w);
/** dlh_weight_noisy: the mean plus the draw, of which dlh_graph_uses() sees the weight alone. */
DLH_EXPORT DlhNode *dlh_weight_noisy (DlhWeight *w);
/** dlh_weight_draws: independent draws, (N, ...), one for each example. */
DLH_EXPORT DlhNode *dlh_weight_draws (DlhWeight *w);
/** dlh_product_weight, dlh_product_input: (transfer none): factors (indices, of an embedding). */
DLH_EXPORT DlhWeight *dlh_product_weight (DlhProduct *p);
DLH_EXPORT DlhNode *dlh_product_input (DlhProduct *p);
/** dlh_product_apply: @x times @weight, which is of the parameter's shape; with @bias or not. */
DLH_EXPORT DlhNode *dlh_product_apply (DlhProduct *p, DlhNode *x, DlhNode *weight, gboolean bias);
/** dlh_product_apply_precision: the same without bias; in linear layers of f32 whose weight is used
 * once operands, the gradients' too, may be rounded. The parameter's note says where not. */
DLH_EXPORT DlhNode *dlh_product_apply_precision (DlhProduct *p, DlhNode *x, DlhNode *weight,
                                                 DlhPrecision precision);
/** dlh_product_apply_each: dlh_product_apply() with a weight for each example, (N, ...). */
DLH_EXPORT DlhNode *dlh_product_apply_each (DlhProduct *p, DlhNode *x, DlhNode *weights,
                                            gboolean bias);
/** dlh_weight_signs: -1 or 1, (N, @n): for axis @axis of what is multiplied, which has @n there. */
DLH_EXPORT DlhNode *dlh_weight_signs (DlhWeight *w, guint axis, gint64 n);
/** dlh_product_flip_input, dlh_product_flip_output: @x and the product @y times the signs of their
 * examples: flip_output (apply (flip_input (x), D)) is the product with D o (s_n r_n') for each
 * example n. Indices stay as they are. */
DLH_EXPORT DlhNode *dlh_product_flip_input (DlhProduct *p, DlhNode *x);
DLH_EXPORT DlhNode *dlh_product_flip_output (DlhProduct *p, DlhNode *y);
/** dlh_product_normal: standard normal numbers of @y's shape, keyed by the parameter. */
DLH_EXPORT DlhNode *dlh_product_normal (DlhProduct *p, DlhNode *y);

G_END_DECLS
