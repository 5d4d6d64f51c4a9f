/* SPDX-License-Identifier: MIT */
/* What the family of variational autoencoders shares: prior, encoder and decoder (Kingma and
 * Welling, arXiv 1312.6114).
 *
 *   p(z) = N (0, I) or Laplace,  q(z | x) = N (mu, exp (2 l))
 *   p(x | z) Bernoulli with logits g (z), or Gaussian around g (z)
 *
 * The options of each model begin with VAE_FIELDS and VAE_OPTIONS. */
#pragma once

#include <dlhost/dlhost.h>

#define VAE_FIELDS                                                                                 \
    gint64 latents;                                                                                \
    const char *network, *prior;                                                                   \
    DlhInts encoder, decoder;                                                                      \
    const char *activation, *decoder_activation, *init, *likelihood;                               \
    double variance

typedef struct {
    VAE_FIELDS;
} VaeNetwork;

#define VAE_OPTIONS(Options)                                                                       \
    DLH_INT (Options, latents, 10, 1, 100000, "Latent variables"),                                 \
        DLH_CHOICE (Options, network, "mlp", "mlp|conv",                                           \
                    "Dense layers; or convolutions with batch normalisation for 64x64 pictures"),  \
        DLH_CHOICE (Options, prior, "normal", "normal|laplace",                                    \
                    "Of each latent: N (0, 1), or exp (-|z|) / 2"),                                \
        DLH_INTS (Options, encoder, "[400]", 1, 1000000, "Units of the encoder's dense layers",    \
                  .flags = DLH_ALLOW_EMPTY),                                                       \
        DLH_INTS (Options, decoder, "[400]", 1, 1000000, "Units of the decoder's dense layers",    \
                  .flags = DLH_ALLOW_EMPTY),                                                       \
        DLH_CHOICE (Options, activation, "tanh",                                                   \
                    "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",                     \
                    "After each dense layer"),                                                     \
        DLH_CHOICE (Options, decoder_activation, "same",                                           \
                    "same|relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",                \
                    "After each dense layer of the decoder; same: as the encoder's"),              \
        DLH_CHOICE (Options, init, "glorot", "glorot|he|lecun|fan_in|orthogonal",                  \
                    "First weights; fan_in: uniform up to 1 / sqrt (inputs)"),                     \
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

/* FALSE when the inputs are tokens, or not what the network takes. */
gboolean vae_check (const DlhProblem *problem, gconstpointer options, GError **error);
/* The stream of the latents: evaluation does not disturb training. */
DlhStream *vae_stream (DlhBuild *b);

/* A batch and one draw of the latents for each of its examples. */
typedef struct {
    DlhDistribution *q, *prior;
    DlhNode *z; /* (B, latents), gradients flow through it */
} VaeDraw;

/* Sets prediction and target; objective->loss is minus the mean log-likelihood. */
VaeDraw vae_draw (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                  DlhObjective *objective);
/* KL (q(z | x) || p(z)) of each example in closed form, (B). */
DlhNode *vae_kl (const VaeDraw *draw);
/* @value, or in training the part of it that has been reached after a linear rise from 0 over @n
 * steps. Evaluation always has all of it, so that its results can be compared. */
DlhNode *vae_warmed_up (DlhBuild *b, double value, gint64 n);
/* max (0, @first - t / @n) at step t of training; 0 in evaluation. */
DlhNode *vae_fading (DlhBuild *b, double first, gint64 n);
