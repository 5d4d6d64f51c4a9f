/* SPDX-License-Identifier: MIT */
/* The second player of an adversarial model: a perceptron that gives each example a number. */
#pragma once

#include "generator.h"

#define CRITIC_FIELDS                                                                              \
    DlhInts discriminator;                                                                         \
    const char *discriminator_activation;                                                          \
    double dropout, generator_rate, discriminator_rate;                                            \
    gint64 generator_period

/* How an adversarial model's options begin. */
typedef struct {
    GENERATOR_FIELDS;
    CRITIC_FIELDS;
} Players;

#define CRITIC_OPTIONS(Options, dropout_preset, period_preset)                                     \
    DLH_INTS (Options, discriminator, "[512,256]", 1, 1000000,                                     \
              "Units of the discriminator's layers", .flags = DLH_ALLOW_EMPTY),                    \
        DLH_CHOICE (Options, discriminator_activation, "leaky_relu",                               \
                    "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",                     \
                    "After each hidden layer of the discriminator"),                               \
        DLH_DOUBLE (Options, dropout, dropout_preset, 0.0, 1.0,                                    \
                    "Share of the discriminator's hidden units dropped", .flags = DLH_MAX_OPEN),   \
        DLH_DOUBLE (Options, generator_rate, 1, 0.0, 1e6,                                          \
                    "The generator's step size, in the optimizer's"),                              \
        DLH_DOUBLE (Options, discriminator_rate, 1, 0.0, 1e6,                                      \
                    "The discriminator's step size, in the optimizer's"),                          \
        DLH_INT (Options, generator_period, period_preset, 1, 1000000,                             \
                 "Steps of the discriminator to one of the generator", .unit = "steps")

/* A score for each row of x (n, elements): (n). Parameters are below the scope "discriminator". */
DlhNode *critic_score (DlhBuild *b, const Players *p, DlhNode *x);
/* Gives both players their pace. */
void critic_set_paces (DlhBuild *b, const Players *p);
