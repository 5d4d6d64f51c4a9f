/* SPDX-License-Identifier: MIT */
/* Carrying a configuration out: components, store, run folder, signals. */
#pragma once

#include "config.h"

/* The process's exit codes. */
enum {
    EXIT_RUN_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_PLUGIN = 3,
    EXIT_DATA = 4,
    EXIT_NUMERIC = 5,
};

/* @resume: the run folder to go on in, or NULL for a new run. Returns: the exit code; messages of
 * failure go to standard error. */
int execute (const Config *config, DlhRegistry *registry, const char *resume);
/* Prints "dlhost: message" and returns the exit code that goes with the error. */
int fail (const GError *error);
