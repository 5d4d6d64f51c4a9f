/* SPDX-License-Identifier: MIT */
#pragma once

#include "check.h"

/* Repeats @cycle and looks at memory, blocks and open files: the outcome of the current item. */
void check_cycles (Check *c, gboolean (*cycle) (Check *c, gconstpointer data, GError **error),
                   gconstpointer data);
