/* SPDX-License-Identifier: MIT */
/* The checkpoints of a run folder: checkpoint-<step>.safetensors, the newest few, and
 * checkpoint-best.safetensors. */
#pragma once

#include <dlhost/dlhost.h>

/* What made the run, for the checkpoint's metadata: versions, plugins, CPU level, threads.
 * (element-type utf8 utf8) (transfer full). */
GHashTable *checkpoint_origin (DlhComponent *const *components);
/* (transfer full) (nullable): how the plugins of a checkpoint's @metadata differ from those of
 * @origin. What else differs is told by setup_compare_machine(). */
char *checkpoint_plugins_difference (GHashTable *origin, GHashTable *metadata);
/* (transfer full) (nullable): the model that a checkpoint's @metadata name. */
char *checkpoint_model (GHashTable *metadata);
/* (transfer full) (nullable): options of model or data in which the run of a checkpoint's @metadata
 * differs from the run of @origin. */
char *checkpoint_options_difference (GHashTable *origin, GHashTable *metadata);

/* The newest checkpoint, whole or not: (transfer full), or NULL with DLH_ERROR_DATA. */
char *checkpoint_latest (const char *dir, gint64 *step, GError **error);
/* Writes the checkpoint of @step, then removes all but the newest @keep (0: none is removed) of
 * those up to @step. Only regular files with exactly such a name are removed. */
gboolean checkpoint_write (const char *dir, DlhStore *store, gint64 step, guint keep,
                           GHashTable *metadata, GError **error);
gboolean checkpoint_write_best (const char *dir, DlhStore *store, gint64 step, GHashTable *metadata,
                                GError **error);
/* Loads the newest whole checkpoint into @store. @notes: a line for each newer one that is damaged.
 * DLH_ERROR_DATA when there is none. */
gboolean checkpoint_load_latest (const char *dir, DlhStore *store, gint64 *step,
                                 GHashTable **metadata, GPtrArray *notes, GError **error);
/* Removes what a killed writer left: hidden siblings of the run's files. */
void checkpoint_remove_leftovers (const char *dir);
