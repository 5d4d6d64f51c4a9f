/* SPDX-License-Identifier: MIT */
/* What the person at the terminal sees: one line that is rewritten on a terminal, a line now and
 * then elsewhere. */
#pragma once

#include <glib.h>

typedef struct {
    gboolean quiet, terminal;
    gint64 start, last; /* monotonic microseconds */
    double first_done;
    gint64 done, total;
    char *values; /* "loss 0.412  accuracy 0.853" */
    gsize drawn;  /* length of the line on the terminal */
} Progress;

void progress_init (Progress *p, gboolean quiet);
void progress_clear (Progress *p);
/* New metrics: kept for the line. */
void progress_values (Progress *p, const char *const *names, const double *values, guint n);
void progress_step (Progress *p, gint64 done, gint64 total, double examples);
/* A whole line of its own. */
void progress_line (Progress *p, const char *text);
