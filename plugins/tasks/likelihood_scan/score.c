/* SPDX-License-Identifier: MIT */
/* One run of the task likelihood within this one: a store of its own from the checkpoint, a host
 * that keeps the final record and passes on what only the outer run knows. */
#include <math.h>
#include <string.h>
#include "scan.h"

typedef struct {
    Scan *scan;
    double *fields;
    gboolean begun; /* transitions have been done */
} Inner;

static DlhData *
inner_data (gpointer host, GError **error)
{
    DlhData *data = dlh_run_data (((Inner *)host)->scan->run, error);

    return data ? dlh_data_ref (data) : NULL;
}

static gboolean
inner_log (gpointer host, const char *event, gint64 step, const char *const *names,
           const double *values, guint n, GError **error)
{
    static const char *const fields[SCAN_N_FIELDS] = {
        "likelihood/log_p",      "likelihood/log_p_se",      "likelihood/kde", "likelihood/kde_se",
        "likelihood/importance", "likelihood/importance_se", "likelihood/gap"};

    (void)step, (void)error;
    for (guint i = 0; strcmp (event, "final") == 0 && i < n; i++)
        for (guint k = 0; k < SCAN_N_FIELDS; k++)
            if (strcmp (names[i], fields[k]) == 0)
                ((Inner *)host)->fields[k] = values[i];
    return TRUE;
}

// A thousandth of a run each.
static void
inner_progress (gpointer host, gint64 done, gint64 total, double examples)
{
    Scan *s = ((Inner *)host)->scan;
    gint64 all = (gint64)s->points->len * s->n_splits;

    ((Inner *)host)->begun = TRUE;
    dlh_run_progress (s->run, *s->done * 1000 + 1000 * done / MAX (total, 1), all * 1000, examples);
}

// What the first run says before its first transition holds for all: which parameters are scored.
static void
inner_message (gpointer host, const char *text)
{
    Scan *s = ((Inner *)host)->scan;

    if (*s->done == 0 && !((Inner *)host)->begun)
        dlh_run_message (s->run, "%s", text);
}

static gboolean
inner_checkpoint (gpointer host, gint64 step, GError **error)
{
    (void)host, (void)step, (void)error;
    return TRUE;
}

static gboolean
inner_should_stop (gpointer host)
{
    return dlh_run_should_stop (((Inner *)host)->scan->run);
}

static const DlhHost inner_host = {
    .size = sizeof (DlhHost),
    .data = inner_data,
    .log = inner_log,
    .progress = inner_progress,
    .message = inner_message,
    .checkpoint = inner_checkpoint,
    .should_stop = inner_should_stop,
};

static void
set (GHashTable *settings, const char *name, char *text)
{
    g_hash_table_insert (settings, g_strdup (name), text);
}

static DlhComponent *
load_task (Scan *s, const char *split, GError **error)
{
    const ScanOptions *opt = s->opt;
    const struct {
        const char *name;
        gint64 value;
    } numbers[] = {{"examples", opt->examples},
                   {"simulated", opt->simulated},
                   {"chains", opt->chains},
                   {"batch", opt->batch},
                   {"kde", opt->kde},
                   {"importance", opt->importance},
                   {"pictures", 0}};
    g_autoptr (GHashTable) settings =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

    for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
        set (settings, numbers[i].name, g_strdup_printf ("%" G_GINT64_FORMAT, numbers[i].value));
    set (settings, "split", g_strdup (split));
    set (settings, "average", g_strdup (opt->average));
    set (settings, "encoder", g_strdup (opt->encoder ? "true" : "false"));
    set (settings, "curve", g_strdup ("[]"));
    return dlh_run_load (s->run, DLH_TASK, "likelihood", settings, error);
}

// The model with the varied option set to the point's value.
static DlhComponent *
load_model (Scan *s, guint p, GError **error)
{
    const DlhOption *table = dlh_component_option_table (s->model);
    g_autoptr (GHashTable) settings =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    if (!*s->opt->vary)
        return dlh_component_ref (s->model);
    for (guint i = 0; i < dlh_component_manifest (s->model)->n_options; i++)
        set (settings, table[i].name, dlh_component_option_text (s->model, i));
    g_ascii_dtostr (number, sizeof number, g_array_index (s->points, double, p));
    set (settings, s->opt->vary, g_strdup (number));
    return dlh_run_load (s->run, DLH_MODEL, dlh_component_name (s->model), settings, error);
}

gboolean
scan_score (Scan *s, guint p, guint split, GError **error)
{
    DlhStore *outer = dlh_run_store (s->run);
    g_autoptr (DlhStore) store =
        dlh_store_new (dlh_store_get_seed (outer), dlh_store_get_dtype (outer));
    g_autoptr (DlhComponent) task = load_task (s, s->splits[split], error);
    g_autoptr (DlhComponent) model = task ? load_model (s, p, error) : NULL;
    Inner inner = {.scan = s, .fields = s->results + (p * s->n_splits + split) * SCAN_N_FIELDS};
    g_autoptr (DlhRun) run = NULL;

    if (!model || !dlh_store_load (store, s->files->pdata[p], NULL, error))
        return FALSE;
    for (guint k = 0; k < SCAN_N_FIELDS; k++)
        inner.fields[k] = NAN;
    run = dlh_run_new (&inner_host, &inner, store);
    dlh_run_set_component (run, task);
    dlh_run_set_component (run, model);
    dlh_run_set_component (run, s->sampler);
    return dlh_run_execute (run, error);
}
