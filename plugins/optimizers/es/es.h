/* SPDX-License-Identifier: MIT */
/* What the evolution strategies share: shaping of scores, and the step. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    const char *shaping, *step, *weights;
    double lr, sigma, momentum, beta1, beta2, epsilon, weight_decay;
    gint64 workers, members;
    gboolean antithetic;
    const char *perturbation; /* es alone */
} EsOptions;

/* The rows of EsOptions but the last. */
#define ES_OPTIONS(default_workers, default_members)                                               \
    DLH_DOUBLE (EsOptions, lr, 0.01, 0.0, 1e6, "Step size"),                                       \
        DLH_DOUBLE (EsOptions, sigma, 0.02, 0.0, 1e6, "Standard deviation of the perturbations",   \
                    .flags = DLH_MIN_OPEN),                                                        \
        DLH_INT (EsOptions, workers, default_workers, 1, 10000,                                    \
                 "Groups of candidates with draws of their own, computed one after the other"),    \
        DLH_INT (EsOptions, members, default_members, 1, 100000,                                   \
                 "Candidates of a group, side by side in each product"),                           \
        DLH_BOOL_OPTION (EsOptions, antithetic, true,                                              \
                         "Each candidate W + D is joined by W - D: twice as many"),                \
        DLH_CHOICE (EsOptions, shaping, "ranks", "ranks|centred|standard|none",                    \
                    "Scores as centred ranks, less their mean, that over their standard "          \
                    "deviation, or as they are"),                                                  \
        DLH_CHOICE (EsOptions, step, "adam", "adam|sgd", "What is done with the estimate"),        \
        DLH_DOUBLE (EsOptions, momentum, 0, 0.0, 1.0, "Of sgd", .flags = DLH_MAX_OPEN),            \
        DLH_DOUBLE (EsOptions, beta1, 0.9, 0.0, 1.0, "Of adam: decay of the mean estimate",        \
                    .flags = DLH_MAX_OPEN),                                                        \
        DLH_DOUBLE (EsOptions, beta2, 0.999, 0.0, 1.0, "Of adam: decay of the mean square",        \
                    .flags = DLH_MAX_OPEN),                                                        \
        DLH_DOUBLE (EsOptions, epsilon, 1e-8, 0.0, 1e6, "Of adam: added to the root mean square",  \
                    .flags = DLH_MIN_OPEN),                                                        \
        DLH_DOUBLE (EsOptions, weight_decay, 0, 0.0, 1e6,                                          \
                    "Added to the estimate, times the "                                            \
                    "parameter"),                                                                  \
        DLH_STRING (EsOptions, weights, "*",                                                       \
                    "Parameters to perturb: names, * for any part, | between alternatives")

/* @spread with @members in each group. */
gboolean es_build (DlhUpdate *u, const EsOptions *opt, DlhSpread spread, gint64 members,
                   GError **error);
