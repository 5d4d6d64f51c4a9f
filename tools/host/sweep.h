/* SPDX-License-Identifier: MIT */
/* Sweeps: many runs of one program, over settings and seeds.
 *
 * A sweep's folder holds sweep.json (the arguments, from which all else follows), a run folder for
 * each run, logs/NAME.log, state.jsonl (how each process ended) and the results. */
#pragma once

#include "command.h"
#include "report/group.h"

typedef struct {
    char *key;         /* "optimizer", "optimizer.lr", "kfac.lr", "batch", as given */
    char *owner;       /* "optimizer", "kfac": what stands before the dot; "task" for "batch" */
    char *option;      /* "lr"; NULL: the axis chooses a plugin of kind @owner, or is "dtype" */
    gboolean of_kind;  /* chooses a plugin */
    GPtrArray *values; /* char*; empty: a range */
    double low, high;
    gboolean whole; /* of a range: draws whole numbers */
} SweepAxis;

typedef struct {
    char *key, *option, *value;
} SweepSetting;

/* Runs that differ in their seed alone. */
typedef struct {
    char *label;         /* "kfac, lr=0.1" */
    char *context;       /* the plugins chosen by axes: "kfac"; "" without such axes */
    GPtrArray *settings; /* SweepSetting */
    GPtrArray *args;     /* char*: options of a run */
} Combination;

typedef enum {
    RUN_MISSING = 1,
    RUN_STOPPED, /* has a checkpoint to go on from, or must begin anew */
    RUN_FAILED,
    RUN_DONE,
} RunState;

typedef struct {
    Combination *combination; /* not owned */
    guint64 seed;
    char *name;  /* of its folder */
    char *start; /* (nullable): of a sweep after another: the checkpoint that it starts with */
    RunState state;
    int code;      /* exit code, - signal */
    RunData *data; /* (nullable): what it left */
} SweepRun;

typedef struct {
    char *dir;
    GPtrArray *arguments;    /* char*: of sweep.json */
    GPtrArray *axes;         /* SweepAxis */
    GPtrArray *combinations; /* Combination */
    GPtrArray *runs;         /* SweepRun, by combination and seed */
    char *plugin_path;       /* (nullable) */
    char *after;             /* (nullable): the sweep whose checkpoints the runs start with */
    gint64 threads;          /* of each run */
} Sweep;

void sweep_clear (Sweep *sweep);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sweep, sweep_clear)

/* "optimizer.lr=[0.1,0.3]", "lr=1e-4..1e-1" after a key. */
SweepAxis *sweep_axis_parse (const char *text, GError **error);
void sweep_axis_free (gpointer axis);
/* Fills combinations and runs from @inv, the options that sweep.json holds. */
gboolean sweep_plan (Sweep *sweep, Invocation *inv, GError **error);

/* The same from the folder's arguments. */
gboolean sweep_plan_arguments (Sweep *sweep, GError **error);
/* Whether an argument is the sweep's own, and none of its runs'. */
gboolean sweep_is_own_argument (const char *text);
/* Fills what each run starts with, when the sweep is one after another; runs whose predecessor has
 * not succeeded get none. */
gboolean sweep_find_starts (Sweep *sweep, GError **error);
/* Whether the plugins of all combinations are there and take their options. */
gboolean sweep_check (const Sweep *sweep, DlhRegistry *registry, GError **error);

/* sweep.json and state.jsonl. */
GPtrArray *sweep_read_arguments (const char *dir, GError **error);
gboolean sweep_write_arguments (const Sweep *sweep, GError **error);
/* What became of the runs in earlier sittings. @retry: failed ones count as stopped. */
gboolean sweep_read_state (Sweep *sweep, gboolean retry, GError **error);
/* All that is known of the sweep in @dir; @sweep: zeroed. */
gboolean sweep_read_folder (Sweep *sweep, const char *dir, GError **error);
gboolean sweep_record (const Sweep *sweep, const SweepRun *run, GError **error);

/* Runs what is not done, @jobs at once. Returns: 0, or the signal that ended it; -1 with @error. */
int sweep_execute (Sweep *sweep, guint jobs, gboolean quiet, GError **error);

/* (nullable): the combination that ranks first by @by (nullable), NULL when no run is done; the
 * mean of its last values and its standard error. NULL with @error when runs cannot be read. */
const Combination *sweep_best (Sweep *sweep, const char *by, double *mean, double *error_of_mean,
                               GError **error);
/* Tables, files and the page. @by: (nullable): the metric that ranks. */
gboolean sweep_report (Sweep *sweep, const char *by, gboolean quiet, GError **error);
