/* SPDX-License-Identifier: MIT */
/* dlhost list and dlhost inspect: what plugins say of themselves; none of their code runs. */
#pragma once

#include <dlhost/dlhost.h>

/* Returns: the exit code. */
int inspect_list (DlhRegistry *registry, DlhPluginKind kind);
/* Returns: the exit code, or -1 with @error. */
int inspect_plugin (DlhRegistry *registry, const char *name, gboolean json, GError **error);
