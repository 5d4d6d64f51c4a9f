/* SPDX-License-Identifier: MIT */
/* The task's parts: what is compared, one run of the task likelihood, what is said at the end. */
#pragma once

#include <dlhost/dlhost.h>

typedef struct {
    const char *checkpoints, *vary, *splits, *average;
    DlhDoubles values;
    gint64 examples, simulated, chains, batch, kde, importance;
    gboolean encoder;
} ScanOptions;

/* What is kept of a run of likelihood; names as in its final record. */
typedef enum {
    SCAN_LOG_P = 0,
    SCAN_LOG_P_SE,
    SCAN_KDE,
    SCAN_KDE_SE,
    SCAN_IMPORTANCE,
    SCAN_IMPORTANCE_SE,
    SCAN_GAP,
    SCAN_N_FIELDS,
} ScanField;

typedef struct {
    DlhRun *run;
    const ScanOptions *opt;
    DlhComponent *model, *sampler;
    GPtrArray *files; /* char*: of each point */
    GArray *points;   /* double: a checkpoint's step, or a value of the option */
    char **splits;
    guint n_splits;
    /* In the store: f64 (points, splits, SCAN_N_FIELDS), NAN where not asked for; and how many runs
     * are done, splits first. */
    double *results;
    gint64 *done;
} Scan;

/* Runs likelihood at point @p on split @s into its place of the results. */
gboolean scan_score (Scan *scan, guint p, guint s, GError **error);
/* The record of point @p. */
gboolean scan_log (Scan *scan, guint p, const char *event, GError **error);
/* Messages, the file and the figure. */
gboolean scan_conclude (Scan *scan, GError **error);
