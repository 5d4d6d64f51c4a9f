/* SPDX-License-Identifier: MIT */
/* What generators have in common, however they are trained: z ~ N (0, I), x = g (z).
 *
 * g alone gives a density on a curved sheet and no likelihood. So the latent role takes
 * p(x | z) = N (g (z), variance I), as Wu et al. do for comparisons (arXiv 1611.04273): the
 * variance is part of the model that is evaluated, and has no part in training.
 *
 * The options of each model begin with GENERATOR_FIELDS and GENERATOR_OPTIONS. */
#pragma once

#include <dlhost/dlhost.h>

#define GENERATOR_FIELDS                                                                           \
    gint64 latents;                                                                                \
    DlhInts decoder;                                                                               \
    const char *activation, *output;                                                               \
    double variance;                                                                               \
    gboolean batch_norm

typedef struct {
    GENERATOR_FIELDS;
} Generator;

// The smaller of the two architectures of arXiv 1611.04273; the larger is 50-1024-1024-1024-784.
#define GENERATOR_OPTIONS(Options, activation_of_paper)                                            \
    DLH_INT (Options, latents, 10, 1, 100000, "Latent variables"),                                 \
        DLH_INTS (Options, decoder, "[64,256,256,1024]", 1, 1000000,                               \
                  "Units of the generator's layers", .flags = DLH_ALLOW_EMPTY),                    \
        DLH_CHOICE (Options, activation, activation_of_paper,                                      \
                    "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",                     \
                    "After each hidden layer of the generator"),                                   \
        DLH_CHOICE (Options, output, "sigmoid", "sigmoid|tanh|identity",                           \
                    "After the generator's last layer: what the inputs lie in"),                   \
        DLH_DOUBLE (Options, variance, 0.025, 0.0, 1e6,                                            \
                    "Of the Gaussian around the output that gives a likelihood",                   \
                    .flags = DLH_MIN_OPEN),                                                        \
        DLH_BOOL_OPTION (Options, batch_norm, false,                                               \
                         "Normalise the generator's hidden layers over the batch, before the "     \
                         "activation; evaluation takes running statistics")

/* FALSE when the inputs are tokens. */
gboolean generator_check (const DlhProblem *problem, GError **error);
/* The stream @name of the model: evaluation does not disturb training. */
DlhStream *generator_stream (DlhBuild *b, const char *name);
/* g (z) for z (n, latents): (n, elements of an input). Parameters are below the scope "generator".
 */
DlhNode *generator_output (DlhBuild *b, const DlhProblem *problem, const Generator *net,
                           DlhNode *z);
/* The same for n draws of z. */
DlhNode *generator_sample (DlhBuild *b, const DlhProblem *problem, const Generator *net, gint64 n);

extern const DlhLatent generator_latent;
