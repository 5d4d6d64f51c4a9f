/* SPDX-License-Identifier: MIT */
/* What the person at the terminal sees: one line that is rewritten on a terminal, a line now and
 * then elsewhere. */
#pragma once

#include <glib.h>

typedef struct {
    gboolean quiet, terminal, colour, utf8;
    gboolean lost;      /* standard output cannot be written any more */
    gint64 start, last; /* monotonic microseconds */
    gint64 first_done, done, total;
    double first_examples, rate; /* a second */
    GPtrArray *values;           /* "loss 0.412", "accuracy 0.853" */
    gboolean drawn;              /* whether the line is on the terminal */
} Progress;

void progress_init (Progress *p, gboolean quiet);
void progress_clear (Progress *p);
/* New metrics: kept for the line. */
void progress_values (Progress *p, const char *const *names, const double *values, guint n);
/* @examples: those of this process so far, for the rate; 0: no rate is shown. */
void progress_step (Progress *p, gint64 done, gint64 total, double examples);
/* A whole line of its own. */
void progress_line (Progress *p, const char *text);
/* The same for an evaluation: "eval  step 20  test/loss 0.4123  (1.2 s)". */
void progress_record (Progress *p, const char *event, gint64 step, const char *const *names,
                      const double *values, guint n, double seconds);
