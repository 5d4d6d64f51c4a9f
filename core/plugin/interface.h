/* SPDX-License-Identifier: MIT */
/* A plugin's interface struct, brought to the size that this host knows. */
#pragma once

#include <dlhost/plugin.h>

/**
 * dlh_interface_adopt:
 * @theirs: the kind's struct as the plugin has it; its first member, its size, is plausible
 * @copy: (out) (nullable): memory to free with the last use of the result, NULL when none was
 * needed Returns: (nullable): @theirs, or a copy of it whose members beyond the plugin's sizes are
 * NULL; NULL with DLH_ERROR_PLUGIN when a function is missing that every plugin of the kind must
 * have.
 */
gconstpointer dlh_interface_adopt (DlhPluginKind kind, gconstpointer theirs, gpointer *copy,
                                   GError **error);
/** dlh_interface_check: what the plugin's function check says of @options; TRUE without one. */
gboolean dlh_interface_check (DlhPluginKind kind, gconstpointer interface, gconstpointer options,
                              GError **error);
