/* SPDX-License-Identifier: MIT */
/* Signals and lost streams. The first request to stop lets the task finish its step and save; a
 * second one ends the process at once. */
#pragma once

#include <glib.h>
#include <signal.h>

/* Opens /dev/null in place of standard streams that are closed: the next file to be opened would
 * take their number and receive what is printed. Writing to a pipe without a reader, or beyond the
 * limit on the size of files, is from here on an error of the write and no signal. */
void signals_claim_streams (void);
/* @quiet: say nothing when a signal arrives. */
void signals_catch (gboolean quiet);
/* The first signal that asked to stop, or 0. */
int signals_seen (void);
/* The signals that a parent of runs waits for: the end of a child, and what asks to stop and is not
 * ignored. */
void signals_to_wait_for (sigset_t *set);
