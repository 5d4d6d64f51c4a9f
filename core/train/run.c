/* SPDX-License-Identifier: MIT */
/* A run as its task sees it: components, store, and the host's functions behind. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "figure.h"

struct _DlhRun {
    DlhHost functions; /* what an older host does not have is NULL */
    gpointer host;
    DlhStore *store;
    DlhData *data;
    DlhComponent *components[DLH_LAST_KIND + 1];
};

DlhRun *
dlh_run_new (const DlhHost *functions, gpointer host, DlhStore *store)
{
    DlhRun *run = g_new0 (DlhRun, 1);

    memcpy (&run->functions, functions, MIN (functions->size, sizeof run->functions));
    run->host = host;
    run->store = dlh_store_ref (store);
    return run;
}

void
dlh_run_free (DlhRun *run)
{
    if (!run)
        return;
    for (guint i = 0; i < G_N_ELEMENTS (run->components); i++)
        dlh_component_unref (run->components[i]);
    dlh_data_unref (run->data);
    dlh_store_unref (run->store);
    g_free (run);
}

void
dlh_run_set_component (DlhRun *run, DlhComponent *component)
{
    guint kind = dlh_component_manifest (component)->kind;

    g_return_if_fail (kind < G_N_ELEMENTS (run->components));
    dlh_component_ref (component);
    dlh_component_unref (run->components[kind]);
    run->components[kind] = component;
}

DlhComponent *
dlh_run_component (DlhRun *run, DlhPluginKind kind)
{
    g_return_val_if_fail (kind < G_N_ELEMENTS (run->components), NULL);
    return run->components[kind];
}

DlhComponent *
dlh_run_require (DlhRun *run, DlhPluginKind kind, GError **error)
{
    DlhComponent *c = dlh_run_component (run, kind);

    if (!c)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "this task needs a plugin of kind %s: give --%s=NAME",
                     dlh_plugin_kind_name (kind), dlh_plugin_kind_name (kind));
    return c;
}

DlhComponent *
dlh_run_load (DlhRun *run, DlhPluginKind kind, const char *name, GHashTable *settings,
              GError **error)
{
    if (run->functions.load)
        return run->functions.load (run->host, kind, name, settings, error);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "this task loads %s '%s' beside the run's own, which this host does not do",
                 dlh_plugin_kind_name (kind), name);
    return NULL;
}

gboolean
dlh_run_execute (DlhRun *run, GError **error)
{
    DlhComponent *task = dlh_run_require (run, DLH_TASK, error);
    GError *cause = NULL;

    if (!task)
        return FALSE;
    if (((const DlhTask *)dlh_component_interface (task))
            ->run (run, dlh_component_options (task), &cause))
        return TRUE;
    return dlh_component_fail (task, cause, error);
}

DlhStore *
dlh_run_store (DlhRun *run)
{
    return run->store;
}

DlhData *
dlh_run_data (DlhRun *run, GError **error)
{
    if (!run->data)
        run->data = run->functions.data (run->host, error);
    return run->data;
}

gboolean
dlh_run_log (DlhRun *run, const char *event, gint64 step, const char *const *names,
             const double *values, guint n, GError **error)
{
    return run->functions.log (run->host, event, step, names, values, n, error);
}

gboolean
dlh_run_log_histogram (DlhRun *run, gint64 step, const char *name, const DlhTensor *values,
                       GError **error)
{
    return !run->functions.log_histogram ||
           run->functions.log_histogram (run->host, step, name, values, error);
}

gboolean
dlh_run_log_image (DlhRun *run, gint64 step, const char *name, const DlhTensor *pictures,
                   GError **error)
{
    return !run->functions.log_image ||
           run->functions.log_image (run->host, step, name, pictures, error);
}

gboolean
dlh_run_figure (DlhRun *run, const DlhFigure *figure, GError **error)
{
    DlhFigure whole = {0};

    memcpy (&whole, figure, MIN (figure->size, sizeof whole));
    whole.size = sizeof whole;
    return figure_check (&whole, error) &&
           (!run->functions.figure || run->functions.figure (run->host, &whole, error));
}

void
dlh_run_progress (DlhRun *run, gint64 done, gint64 total, double examples)
{
    run->functions.progress (run->host, done, total, examples);
}

void
dlh_run_message (DlhRun *run, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    run->functions.message (run->host, text);
}

gboolean
dlh_run_checkpoint (DlhRun *run, gint64 step, GError **error)
{
    return run->functions.checkpoint (run->host, step, error);
}

gboolean
dlh_run_checkpoint_best (DlhRun *run, gint64 step, GError **error)
{
    return !run->functions.checkpoint_best ||
           run->functions.checkpoint_best (run->host, step, error);
}

void
dlh_run_keep_checkpoints (DlhRun *run, guint n)
{
    if (run->functions.keep_checkpoints)
        run->functions.keep_checkpoints (run->host, n);
}

gboolean
dlh_run_should_stop (DlhRun *run)
{
    return run->functions.should_stop (run->host);
}

const char *
dlh_run_folder (DlhRun *run)
{
    return run->functions.folder ? run->functions.folder (run->host) : NULL;
}
