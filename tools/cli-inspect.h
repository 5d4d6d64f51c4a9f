/* SPDX-License-Identifier: MIT */
/* What `dlhost list` and `dlhost inspect` print. Neither runs a plugin's code. */
#pragma once

#include <dlhost/registry.h>

/** cli_list_text: (transfer full): plugins of @kind (0: all) with their summaries, by kind. */
char *cli_list_text (DlhRegistry *registry, DlhPluginKind kind);
/** cli_rejects_text: (transfer full): the refused files and why, a line each; "" when there are
 * none. */
char *cli_rejects_text (DlhRegistry *registry);
/** cli_inspect_text: (transfer full): everything that plugin @name says of itself, as text or JSON;
 * NULL with DLH_ERROR_PLUGIN when it cannot be found. */
char *cli_inspect_text (DlhRegistry *registry, const char *name, gboolean json, GError **error);

/** cli_list: prints the list to standard output, refused files to standard error. */
void cli_list (DlhRegistry *registry, DlhPluginKind kind);
/** cli_inspect: prints it to standard output. */
gboolean cli_inspect (DlhRegistry *registry, const char *name, gboolean json, GError **error);
