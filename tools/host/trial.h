/* SPDX-License-Identifier: MIT */
/* A configuration's training step on one batch, to be looked at instead of run to the end. */
#pragma once

#include "config.h"

typedef struct {
    DlhComponent *components[DLH_LAST_KIND + 1];
    DlhStore *store;
    DlhData *data;
    DlhTrainer *trainer;
    DlhTensor *x, *y; /* the first examples of the training split; y may be NULL */
    gint64 batch;
} Trial;

/* Loads what @config names, builds the trainer as the task's options of these names say: batch,
 * clip_norm, clip_value, weight_decay, decoupled; the step size does not change. @trial: zeroed. */
gboolean trial_init (Trial *trial, const Config *config, DlhRegistry *registry, GError **error);
void trial_clear (Trial *trial);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Trial, trial_clear)
