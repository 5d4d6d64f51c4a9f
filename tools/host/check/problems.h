/* SPDX-License-Identifier: MIT */
/* Small problems of every kind, from made-up data, and components built into the program for the
 * places beside the plugin that is checked. */
#pragma once

#include "check.h"

typedef struct {
    const char *name;
    DlhShape input;
    DlhTargetKind target;
    gint64 n_classes, vocabulary;
    gint64 n_targets; /* of DLH_TARGET_REAL */
} Problem;

extern const Problem problems[]; /* ends with name NULL */

DlhProblem problem_describe (const Problem *p);
/* (transfer full): @n examples, the same for the same @seed. @y is NULL without targets. */
void problem_batch (const Problem *p, DlhDType dtype, gint64 n, guint64 seed, DlhTensor **x,
                    DlhTensor **y);
/* (transfer full): @n training examples, half as many for validation and for testing. */
DlhData *problem_data (const Problem *p, DlhDType dtype, gint64 n);

/* (transfer full): @plugin with its default options. */
DlhComponent *builtin_component (const DlhPlugin *plugin);
/* A model that fits every problem above, with the latent role: dense layers, a convolution, a
 * recurrent layer. */
DlhComponent *builtin_model (void);
/* A random walk over any density. */
DlhComponent *builtin_sampler (void);
/* Weighs a path of two densities, for tasks that need a sampler. */
DlhComponent *builtin_path_sampler (void);
/* Descent with a velocity. */
DlhComponent *builtin_optimizer (void);
/* A short game, for tasks that play; and an optimizer without gradients, which lives on rewards. */
DlhComponent *builtin_environment (void);
DlhComponent *builtin_rewarded_optimizer (void);
