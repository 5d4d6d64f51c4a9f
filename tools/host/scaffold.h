/* SPDX-License-Identifier: MIT */
/* The directory that `dlhost new` writes: a plugin that builds, tests and runs at once, filled from
 * the files in tools/templates/, which are compiled into the program. */
#pragma once

#include <dlhost/dlhost.h>

/* (transfer none): what can be written: "optimizer", "model", ...; ends with NULL. */
const char *const *scaffold_kinds (void);

/**
 * scaffold_write:
 * @kind: one of scaffold_kinds()
 * @name: of the plugin: a letter, then a-z, 0-9, '_' and '-'
 * @dir: the directory to make, which must not exist
 * Returns: FALSE with DLH_ERROR_OPTION (kind, name, or @dir is there) or DLH_ERROR_IO; then no
 * directory is left.
 */
gboolean scaffold_write (const char *kind, const char *name, const char *dir, GError **error);
