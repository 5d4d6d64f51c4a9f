/* SPDX-License-Identifier: MIT */
/* Options of annealed importance sampling, and its path of densities. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    gint64 temperatures, steps;
    const char *schedule, *tuning;
    double radius, step_size, min_step, max_step, target;
} AisOptions;

/* What the k-th transition of a path does, k = 1 .. T - 1, in either direction; entry T stands for
 * all after it. Entries of the way back follow those of the way there. */
typedef enum {
    AIS_B = 1,  /* inverse temperature that it moves at */
    AIS_CHANGE, /* of the inverse temperature before it moves */
    AIS_ROW,    /* t: of the table of step sizes */
} AisEntry;

double ais_entry (const AisOptions *opt, AisEntry what, gboolean reverse, gint64 k);
