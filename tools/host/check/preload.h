/* SPDX-License-Identifier: MIT */
/* The program's side of hook.c. */
#pragma once

#include <glib.h>
#include "hook.h"

/* Starts this program once more with the hook in front, unless it runs so already; returns when
 * that cannot be done. */
void preload_hook (void);
/* FALSE when nothing is counted; @why (out) (optional) then says why. */
gboolean hook_read (HookCounts *counts, const char **why);
gconstpointer hook_op (guint i);
