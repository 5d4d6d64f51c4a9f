/* SPDX-License-Identifier: MIT */
/* What `dlhost list` and `dlhost inspect` print. Neither runs a plugin's code. */
#pragma once

#include <dlhost/registry.h>

/** inspect_list_text: (transfer full): plugins of @kind (0: all) with their summaries, by kind. */
char *inspect_list_text (DlhRegistry *registry, DlhPluginKind kind);
/** inspect_rejects_text: (transfer full): the refused files and why, a line each; "" when there are
 * none. */
char *inspect_rejects_text (DlhRegistry *registry);
/** inspect_plugin_text: (transfer full): everything that plugin @name says of itself, as text or JSON;
 * NULL with DLH_ERROR_PLUGIN when it cannot be found. */
char *inspect_plugin_text (DlhRegistry *registry, const char *name, gboolean json, GError **error);

/** inspect_list: prints the list to standard output, refused files to standard error. */
void inspect_list (DlhRegistry *registry, DlhPluginKind kind);
/** inspect_plugin: prints it to standard output. */
gboolean inspect_plugin (DlhRegistry *registry, const char *name, gboolean json, GError **error);
