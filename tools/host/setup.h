/* SPDX-License-Identifier: MIT */
/* From a configuration to loaded plugins and data: what running, graph and profile share. */
#pragma once

#include "config.h"

#define MACHINE_FILE "machine.json" /* of a run folder: where it was begun */

/* Loads the plugins that @config names into @components, by kind; not a data set that nobody named. */
gboolean setup_components (const Config *config, DlhRegistry *registry, DlhComponent **components,
                           GError **error);
/* (transfer full): what the dataset plugin loads, which is itself loaded now when nobody named it;
 * NULL with DLH_ERROR_OPTION when there is none. */
DlhData *setup_data (const Config *config, DlhRegistry *registry, DlhComponent **components,
                     GError **error);

/* Writes version, kernels, libraries and threads to the folder's MACHINE_FILE. */
gboolean setup_write_machine (const char *dir, GError **error);
/* (transfer full) (nullable): how this process differs from the folder's MACHINE_FILE; NULL: in
 * nothing that is recorded. */
char *setup_compare_machine (const char *dir);
