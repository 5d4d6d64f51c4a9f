/* SPDX-License-Identifier: MIT */
/* A training run in small: the plugin, a component of the other kind, a problem. */
#pragma once

#include "problems.h"

typedef struct {
    const Problem *problem;
    DlhDType dtype;
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x, *y; /* of the last step */
} Bench;

void bench_clear (Bench *bench);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

/* @settings: (nullable): of the plugin, beside the command line's. */
gboolean bench_init (Bench *bench, Check *c, const Problem *problem, DlhDType dtype,
                     GHashTable *settings, GError **error);
/* One step on a batch that depends on how many steps are done. */
gboolean bench_step (Bench *bench, gint64 batch, GError **error);
gboolean bench_steps (Bench *bench, guint n, gint64 batch, GError **error);

/* (transfer full) (nullable): the first difference of two stores, NULL when every byte agrees. */
char *stores_difference (DlhStore *got, DlhStore *want);
/* (transfer full): a checksum of names and bytes. */
char *store_digest (DlhStore *store);
/* The largest difference of float variables, beside the largest value of the variable. */
double stores_distance (DlhStore *got, DlhStore *want);

/* (transfer full): the values of every variable, to be put back. */
GPtrArray *store_values (DlhStore *store);
void store_restore (DlhStore *store, GPtrArray *values);
gboolean store_unchanged (DlhStore *store, GPtrArray *values);
