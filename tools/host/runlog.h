/* SPDX-License-Identifier: MIT */
/* The run folder: config.json, metrics.jsonl, event files, images/ and figures/; checkpoints.h has
 * the rest. */
#pragma once

#include <stdio.h>
#include <dlhost/dlhost.h>
#include "events.h"

typedef struct {
    char *dir;
    FILE *metrics;
    Events events;
    gint64 start;                 /* monotonic microseconds */
    double before;                /* seconds spent in earlier sittings of the run */
    double cpu_start, cpu_before; /* seconds of the processor: at the start, in earlier sittings */
    int lock;                     /* the folder's descriptor: one process at a time */
    gboolean undrawn;             /* that figures are not drawn has been said */
    gboolean made;                /* the folder is this process's, */
    gboolean begun;               /* and so are config.json and the rest */
} RunLog;

/* Makes the folder (@dir, or a new one under runs/ when NULL); refuses one that holds a run. */
gboolean run_log_create (RunLog *log, const char *dir, const char *hint, GError **error);
/* Behind run_log_create(): config.json and the first event file. */
gboolean run_log_begin (RunLog *log, const char *config_json, GError **error);
/* Goes on in a folder. Locks it first: another process may be writing there. */
gboolean run_log_lock (RunLog *log, const char *dir, GError **error);
/* Writes config.json anew. */
gboolean run_log_set_config (RunLog *log, const char *config_json, GError **error);
/* Goes on behind run_log_lock(): drops the records after @step and the final one, since they will be
 * made again. */
gboolean run_log_reopen (RunLog *log, gint64 step, const char *config_json, GError **error);
/* Of a run that is refused: removes what run_log_create() and run_log_begin() have made, unless
 * something has been recorded since or is beside it. */
void run_log_discard (RunLog *log);
void run_log_clear (RunLog *log);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RunLog, run_log_clear)

gboolean run_log_write (RunLog *log, const char *event, gint64 step, const char *const *names,
                        const double *values, guint n, GError **error);
/* dlh_run_log_histogram(), dlh_run_log_image(). */
gboolean run_log_histogram (RunLog *log, gint64 step, const char *name, const DlhTensor *values,
                            GError **error);
gboolean run_log_image (RunLog *log, gint64 step, const char *name, const DlhTensor *pictures,
                        GError **error);
/* dlh_run_figure(). @note: (out) (nullable): the data are kept, but nothing is drawn, and why; once
 * a run. */
gboolean run_log_figure (RunLog *log, const DlhFigure *figure, char **note, GError **error);
/* Makes sure that what was written so far survives a crash of the machine. */
gboolean run_log_sync (RunLog *log, GError **error);
double run_log_seconds (const RunLog *log);
