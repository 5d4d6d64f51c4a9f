/* SPDX-License-Identifier: MIT */
/* Reading what runs left: configuration, metrics.jsonl, pictures, the size of the model. */
#pragma once

#include <glib.h>

typedef struct {
    double step, value; /* value: NaN or infinite where the run says so */
    double wall, cpu;   /* seconds; NaN: not told */
} Point;

typedef struct {
    char *name;        /* "test/loss" */
    GArray *points;    /* Point, by rising step, one a step */
    gboolean repeated; /* evaluated several times at a step: the points are not all there was */
    double evaluated;  /* while reading: the step of the last evaluation */
} Series;

typedef struct {
    char *dir, *name; /* the folder, its last component as valid UTF-8 */
    GPtrArray *keys;  /* char*: "optimizer.plugin", "optimizer.lr", ..., "seed", in a fixed order */
    GHashTable *config; /* key -> text */
    GPtrArray *series;  /* Series, in order of appearance */
    guint64 lines, damaged;
    gboolean finished;
    double steps, wall, cpu;
    gint64 parameters; /* -1: no checkpoint tells */
    GPtrArray *images; /* char*: paths, in natural order */
} RunData;

/* (transfer full): DLH_ERROR_DATA when @dir is not a run folder. */
RunData *run_data_read (const char *dir, GError **error);
void run_data_free (RunData *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RunData, run_data_free)

/* Moves the series of @from into @run, named PREFIX/NAME. */
void run_data_adopt (RunData *run, RunData *from, const char *prefix);

/* (nullable) (transfer none) */
const Series *run_data_series (const RunData *run, const char *name);
/* NaN where the run has no such series. */
double run_data_last (const RunData *run, const char *name);
/* The best finite value and its step; FALSE: there is none. */
gboolean run_data_best (const RunData *run, const char *name, double *value, double *step);

/* accuracy, reward, ELBO, ...: everything else is better when lower. */
gboolean metric_higher_is_better (const char *name);
/* The shortest decimal that is the same number. */
char *shortest_number (double value);
/* Valid UTF-8 of one line: control characters become spaces. */
char *printable (const char *text);

/* One record: a flat JSON object. @value: NaN for what is not a number; @text: of strings only. */
typedef void (*RecordFunc) (const char *key, double value, const char *text, gpointer data);
/* FALSE: not a whole JSON object; @func may have seen some members. */
gboolean record_scan (const char *line, gsize n, RecordFunc func, gpointer data);
