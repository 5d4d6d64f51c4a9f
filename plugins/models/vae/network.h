/* SPDX-License-Identifier: MIT */
/* What the family of variational autoencoders shares: prior, encoder and decoder (Kingma and
 * Welling, arXiv 1312.6114).
 *
 *   p(z) = N (0, I),  q(z | x) = N (mu, exp (2 l)),  p(x | z) Bernoulli or Gaussian around g (z)
 *
 * The options of each model begin with VAE_FIELDS and VAE_OPTIONS. */
#pragma once

#include <dlhost/dlhost.h>

#define VAE_FIELDS                                                                                 \
    gint64 latents;                                                                                \
    DlhInts encoder, decoder;                                                                      \
    const char *activation, *likelihood;                                                           \
    double variance

typedef struct {
    VAE_FIELDS;
} VaeNetwork;

#define VAE_OPTIONS(Options)                                                                       \
    DLH_INT (Options, latents, 10, 1, 100000, "Latent variables"),                                 \
        DLH_INTS (Options, encoder, "[400]", 1, 1000000, "Units of the encoder's layers",          \
                  .flags = DLH_ALLOW_EMPTY),                                                       \
        DLH_INTS (Options, decoder, "[400]", 1, 1000000, "Units of the decoder's layers",          \
                  .flags = DLH_ALLOW_EMPTY),                                                       \
        DLH_CHOICE (Options, activation, "tanh",                                                   \
                    "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",                     \
                    "After each hidden layer"),                                                    \
        DLH_CHOICE (Options, likelihood, "bernoulli", "bernoulli|gaussian|sigmoid_gaussian",       \
                    "Of the inputs: logits; a Gaussian around the outputs, or around their "       \
                    "sigmoid"),                                                                    \
        DLH_DOUBLE (Options, variance, 0, 0.0, 1e6,                                                \
                    "Variance of a Gaussian likelihood; 0: one for all elements, learned")

DlhDistribution *vae_prior (DlhBuild *b, const DlhProblem *problem, gconstpointer options,
                            gint64 n);
DlhDistribution *vae_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options,
                             DlhNode *z);
DlhDistribution *vae_encode (DlhBuild *b, const DlhProblem *problem, gconstpointer options,
                             DlhNode *x);
extern const DlhLatent vae_latent;

/* FALSE when the inputs are tokens. */
gboolean vae_check (const DlhProblem *problem, GError **error);
/* The stream of the latents: evaluation does not disturb training. */
DlhStream *vae_stream (DlhBuild *b);
