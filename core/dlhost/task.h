/* SPDX-License-Identifier: MIT */
/* Tasks: what a run does with its components: train, evaluate, and later sample, distil, reinforce.
 * A task sees the run through DlhRun; the host behind it prints, writes files and handles signals.
 */
#pragma once

#include <dlhost/training.h>

G_BEGIN_DECLS

typedef struct _DlhFigure DlhFigure; /* <dlhost/figure.h> */
typedef struct _DlhRun DlhRun;       /* a run in progress */

/* The interface of a task plugin. */
typedef struct {
    gsize size;
    gboolean (*run) (DlhRun *run, gconstpointer options, GError **error);
    /* (nullable): FALSE with DLH_ERROR_OPTION when options contradict each other. Called as soon as
     * they are known, before any data are read. */
    gboolean (*check) (gconstpointer options, GError **error);
} DlhTask;

/** dlh_run_component: (nullable): the run's plugin of @kind. */
DLH_EXPORT DlhComponent *dlh_run_component (DlhRun *run, DlhPluginKind kind);
/** dlh_run_require: as above, or NULL with DLH_ERROR_OPTION naming the option to give. */
DLH_EXPORT DlhComponent *dlh_run_require (DlhRun *run, DlhPluginKind kind, GError **error);
/**
 * dlh_run_load:
 * @settings: (nullable) (element-type utf8 utf8): option values by name, as on the command line
 * Another plugin, for tasks that compare several of a kind. It is found as the run's own were.
 * Returns: (transfer full): NULL with DLH_ERROR_PLUGIN or DLH_ERROR_OPTION.
 */
DLH_EXPORT DlhComponent *dlh_run_load (DlhRun *run, DlhPluginKind kind, const char *name,
                                       GHashTable *settings, GError **error);
/** dlh_run_store: (transfer none): the variables of the run, from a checkpoint when it is resumed.
 * */
DLH_EXPORT DlhStore *dlh_run_store (DlhRun *run);
/** dlh_run_data: (transfer none): the data set, loaded at the first call. */
DLH_EXPORT DlhData *dlh_run_data (DlhRun *run, GError **error);

/**
 * dlh_run_average:
 * @which: "auto", "true" or "false", as DLH_AVERAGE_OPTION has it
 * For tasks that score a checkpoint, before they build anything: puts the averages of parameters
 * that it has (the option average of the task train) in the parameters' place, and says which are
 * scored where there is a choice. FALSE with DLH_ERROR_STATE when "true" finds none.
 */
DLH_EXPORT gboolean dlh_run_average (DlhRun *run, const char *which, GError **error);
/* The row of such an option, const char *average. */
#define DLH_AVERAGE_OPTION(S)                                                                      \
    DLH_CHOICE (S, average, "auto", "auto|true|false",                                             \
                "Score the averages of parameters that the checkpoint has (--task.average of its " \
                "run); auto: when it has them")

/** dlh_run_log: one record of metrics.jsonl: @event is "step", "eval" or "final". */
DLH_EXPORT gboolean dlh_run_log (DlhRun *run, const char *event, gint64 step,
                                 const char *const *names, const double *values, guint n,
                                 GError **error);
/** dlh_run_log_histogram: how the elements of @values are distributed, whatever their shape. */
DLH_EXPORT gboolean dlh_run_log_histogram (DlhRun *run, gint64 step, const char *name,
                                           const DlhTensor *values, GError **error);
/** dlh_run_log_image: @pictures: (n, 1 or 3, height, width) in [0, 1], shown side by side. */
DLH_EXPORT gboolean dlh_run_log_image (DlhRun *run, gint64 step, const char *name,
                                       const DlhTensor *pictures, GError **error);
/** dlh_run_progress: @done of @total steps, @examples so far in this process, for the rate. */
DLH_EXPORT void dlh_run_progress (DlhRun *run, gint64 done, gint64 total, double examples);
/** dlh_run_message: one line for the person at the terminal. */
DLH_EXPORT void dlh_run_message (DlhRun *run, const char *format, ...) G_GNUC_PRINTF (2, 3);
/** dlh_run_checkpoint: writes checkpoint-<step>.safetensors. */
DLH_EXPORT gboolean dlh_run_checkpoint (DlhRun *run, gint64 step, GError **error);
/** dlh_run_checkpoint_best: writes checkpoint-best.safetensors, which is never removed. */
DLH_EXPORT gboolean dlh_run_checkpoint_best (DlhRun *run, gint64 step, GError **error);
/** dlh_run_keep_checkpoints: from now on the newest @n are kept (0: all, as without this call). */
DLH_EXPORT void dlh_run_keep_checkpoints (DlhRun *run, guint n);
/** dlh_run_folder: (nullable) (transfer none): where files of the run's own go, NULL when the host
 * keeps none. */
DLH_EXPORT const char *dlh_run_folder (DlhRun *run);
/** dlh_run_should_stop: whether the user asked to stop after this step. */
DLH_EXPORT gboolean dlh_run_should_stop (DlhRun *run);

/* The other side, for hosts. */
typedef struct {
    gsize size;
    DlhData *(*data) (gpointer host, GError **error);
    gboolean (*log) (gpointer host, const char *event, gint64 step, const char *const *names,
                     const double *values, guint n, GError **error);
    void (*progress) (gpointer host, gint64 done, gint64 total, double examples);
    void (*message) (gpointer host, const char *text);
    gboolean (*checkpoint) (gpointer host, gint64 step, GError **error);
    gboolean (*should_stop) (gpointer host);
    /* What follows may be NULL or lie beyond @size: then the calls above do nothing. */
    void (*keep_checkpoints) (gpointer host, guint n);
    gboolean (*checkpoint_best) (gpointer host, gint64 step, GError **error);
    gboolean (*log_histogram) (gpointer host, gint64 step, const char *name,
                               const DlhTensor *values, GError **error);
    gboolean (*log_image) (gpointer host, gint64 step, const char *name, const DlhTensor *pictures,
                           GError **error);
    const char *(*folder) (gpointer host);
    /* @figure has been checked, and has all members of the library's version. */
    gboolean (*figure) (gpointer host, const DlhFigure *figure, GError **error);
    /* NULL: dlh_run_load() is refused. */
    DlhComponent *(*load) (gpointer host, DlhPluginKind kind, const char *name,
                           GHashTable *settings, GError **error);
} DlhHost;

/** dlh_run_new: @components by kind are added with dlh_run_set_component(). */
DLH_EXPORT DlhRun *dlh_run_new (const DlhHost *functions, gpointer host, DlhStore *store);
/** dlh_run_set_component: takes a reference; replaces an earlier one of its kind. */
DLH_EXPORT void dlh_run_set_component (DlhRun *run, DlhComponent *component);
/** dlh_run_execute: runs the task; FALSE with its error, or when there is no task. */
DLH_EXPORT gboolean dlh_run_execute (DlhRun *run, GError **error);
/** dlh_run_free: components and store live on where others hold them. */
DLH_EXPORT void dlh_run_free (DlhRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhRun, dlh_run_free)

G_END_DECLS
