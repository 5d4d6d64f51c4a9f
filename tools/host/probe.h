/* SPDX-License-Identifier: MIT */
/* A plugin that is given by its path is tried in a child process first: start-up code that crashes,
 * exits or hangs then ends in a message. Its functions are not called: a plugin has the rights of
 * who runs it, and no more than this is caught. */
#pragma once

#include <dlhost/dlhost.h>

gboolean probe_plugin (const char *path, GError **error);
