/* SPDX-License-Identifier: MIT */
/* The run folder: config.json, metrics.jsonl, checkpoint-<step>.safetensors. */
#pragma once

#include <stdio.h>
#include <dlhost/dlhost.h>

typedef struct {
    char *dir;
    FILE *metrics;
    gint64 start; /* monotonic microseconds */
    double before; /* seconds spent in earlier sittings of the run */
} RunLog;

/* Makes the folder (@dir, or a new one under runs/ when NULL); refuses one that holds a run. */
gboolean run_log_create (RunLog *log, const char *dir, const char *hint, const char *config_json,
                         GError **error);
/* Goes on in a folder: records after @step are dropped, since they will be made again. */
gboolean run_log_reopen (RunLog *log, const char *dir, gint64 step, const char *config_json,
                         GError **error);
void run_log_clear (RunLog *log);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RunLog, run_log_clear)

gboolean run_log_write (RunLog *log, const char *event, gint64 step, const char *const *names,
                        const double *values, guint n, GError **error);
gboolean run_log_checkpoint (RunLog *log, DlhStore *store, gint64 step, const char *config_json,
                             GError **error);
double run_log_seconds (const RunLog *log);
/* The newest checkpoint of a folder: (transfer full), or NULL with DLH_ERROR_DATA. */
char *run_log_latest (const char *dir, gint64 *step, GError **error);
