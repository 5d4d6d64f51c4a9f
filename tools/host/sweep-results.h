/* SPDX-License-Identifier: MIT */
/* What a sweep found, ranked. */
#pragma once

#include "report/report.h"
#include "sweep.h"

typedef struct {
    Combination *combination; /* not owned */
    GPtrArray *runs;          /* SweepRun, not owned */
    guint done, failed;
    double mean, error; /* of the metric that ranks, over the runs that are done */
} Result;

typedef struct {
    Sweep *sweep;
    GPtrArray *results; /* Result, best first */
    GPtrArray *metrics; /* char* */
    const char *by;
    gboolean higher;
} Results;

/* Over the runs that are done: of the last values, or of the best ones; @error: (out). */
double result_mean (const Result *result, const char *metric, gboolean best, double *error);

/* (transfer full): results.csv, results.json. */
char *results_csv (const Results *results);
char *results_json (const Results *results);
/* (element-type Figure) (transfer full): the metric that ranks over each axis of numbers. */
GPtrArray *results_figures (const Results *results);
