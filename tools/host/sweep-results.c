/* SPDX-License-Identifier: MIT */
/* What a sweep found: means over seeds, ranked, with what each optimizer was given to find them. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "sweep-results.h"

#define SHOWN 8 /* configurations whose curves the page has */

static void
result_free (gpointer data)
{
    g_ptr_array_unref (((Result *)data)->runs);
    g_free (data);
}

static void
results_clear (Results *r)
{
    g_clear_pointer (&r->results, g_ptr_array_unref);
    g_clear_pointer (&r->metrics, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Results, results_clear)

/* Numbers. */

// Over the runs that are done: the last values, or the best ones.
double
result_mean (const Result *r, const char *metric, gboolean best, double *error)
{
    g_autofree double *values = g_new (double, r->runs->len + 1);
    double mean, step;
    guint n = 0;

    for (guint i = 0; i < r->runs->len; i++) {
        const SweepRun *run = r->runs->pdata[i];

        if (run->state != RUN_DONE || !run->data)
            continue;
        values[n] = run_data_last (run->data, metric);
        if (best && !run_data_best (run->data, metric, &values[n], &step))
            values[n] = NAN;
        n++;
    }
    mean_and_error (values, n, &mean, error);
    return mean;
}

// A mean over survivors flatters: what failed stands behind what did not.
static int
by_merit (gconstpointer a, gconstpointer b, gpointer data)
{
    const Result *x = *(Result *const *)a, *y = *(Result *const *)b;
    const Results *r = data;
    gboolean x_whole = isfinite (x->mean) && !x->failed, y_whole = isfinite (y->mean) && !y->failed;

    if (x_whole != y_whole)
        return y_whole - x_whole;
    if (isfinite (x->mean) != isfinite (y->mean))
        return isfinite (y->mean) - isfinite (x->mean);
    if (!isfinite (x->mean))
        return 0;
    return r->higher ? (x->mean < y->mean) - (x->mean > y->mean)
                     : (x->mean > y->mean) - (x->mean < y->mean);
}

static gboolean
read_runs (Sweep *sweep, GError **error)
{
    for (guint i = 0; i < sweep->runs->len; i++) {
        SweepRun *run = sweep->runs->pdata[i];
        g_autofree char *folder = g_build_filename (sweep->dir, run->name, NULL);
        g_autoptr (GError) cause = NULL;

        if (run->data || (run->state != RUN_DONE && run->state != RUN_FAILED))
            continue;
        // A run that failed may have left nothing.
        run->data = run_data_read (folder, &cause);
        if (!run->data && run->state == RUN_DONE) {
            g_propagate_error (error, g_steal_pointer (&cause));
            return FALSE;
        }
    }
    return TRUE;
}

static void
find_metrics (Results *r)
{
    g_autoptr (GPtrArray) runs = g_ptr_array_new (), groups = NULL, names = NULL;

    for (guint i = 0; i < r->sweep->runs->len; i++) {
        SweepRun *run = r->sweep->runs->pdata[i];

        if (run->state == RUN_DONE && run->data)
            g_ptr_array_add (runs, run->data);
    }
    groups = groups_new (runs);
    names = metric_names (groups);
    r->metrics = g_ptr_array_new_with_free_func (g_free);
    for (guint i = 0; i < names->len; i++)
        g_ptr_array_add (r->metrics, g_strdup (names->pdata[i]));
}

static gboolean
has_metric (const Results *r, const char *name)
{
    for (guint i = 0; i < r->metrics->len; i++)
        if (strcmp (r->metrics->pdata[i], name) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
choose_metric (Results *r, const char *by, GError **error)
{
    g_autofree char *all = NULL;

    if (!r->metrics->len)
        return TRUE;
    r->by = by                             ? by
            : has_metric (r, "valid/loss") ? "valid/loss"
            : has_metric (r, "test/loss")  ? "test/loss"
                                           : r->metrics->pdata[0];
    r->higher = metric_higher_is_better (r->by);
    if (has_metric (r, r->by))
        return TRUE;
    g_ptr_array_add (r->metrics, NULL);
    all = g_strjoinv (", ", (char **)r->metrics->pdata);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--by: no run has '%s'; there are %s", by,
                 all);
    return FALSE;
}

static gboolean
results_fill (Results *r, Sweep *sweep, const char *by, GError **error)
{
    r->sweep = sweep;
    r->results = g_ptr_array_new_with_free_func (result_free);
    if (!read_runs (sweep, error))
        return FALSE;
    find_metrics (r);
    if (!choose_metric (r, by, error))
        return FALSE;
    for (guint i = 0, k = 0; i < sweep->combinations->len; i++) {
        Result *result = g_new0 (Result, 1);

        result->combination = sweep->combinations->pdata[i];
        result->runs = g_ptr_array_new ();
        g_ptr_array_add (r->results, result);
        for (; k < sweep->runs->len; k++) {
            SweepRun *run = sweep->runs->pdata[k];

            if (run->combination != result->combination)
                break;
            g_ptr_array_add (result->runs, run);
            result->done += run->state == RUN_DONE;
            result->failed += run->state == RUN_FAILED;
        }
        result->mean = r->by ? result_mean (result, r->by, FALSE, &result->error) : NAN;
    }
    g_ptr_array_sort_with_data (r->results, by_merit, r);
    return TRUE;
}

/* Tables. */

static gboolean
is_shown (const Results *r, guint m)
{
    return !g_str_has_prefix (r->metrics->pdata[m], "train/") ||
           strcmp (r->metrics->pdata[m], r->by) == 0;
}

static char *
runs_text (const Result *r)
{
    return r->failed ? g_strdup_printf ("%u of %u, %u failed", r->done, r->runs->len, r->failed)
                     : g_strdup_printf ("%u of %u", r->done, r->runs->len);
}

static Table *
results_table (const Results *r)
{
    g_autofree char *title = g_strdup_printf ("Results, by %s", r->by ? r->by : "nothing");
    g_autofree char *best = g_strdup_printf ("%s, best", r->by ? r->by : "");
    Table *t = table_new (title);
    double error;

    table_add_column (t, "configuration");
    table_add_column (t, "runs");
    for (guint m = 0; m < r->metrics->len; m++)
        if (is_shown (r, m))
            table_add_column (t, r->metrics->pdata[m]);
    if (r->by)
        table_add_column (t, best);
    for (guint i = 0; i < r->results->len; i++) {
        const Result *result = r->results->pdata[i];

        table_add_row (t, -1);
        table_add_cell (t, g_strdup (result->combination->label), CELL_HEAD);
        table_add_cell (t, runs_text (result), CELL_NUMBER);
        for (guint m = 0; m < r->metrics->len; m++) {
            double mean = result_mean (result, r->metrics->pdata[m], FALSE, &error);
            gboolean mark = i == 0 && isfinite (mean) && !result->failed &&
                            strcmp (r->metrics->pdata[m], r->by) == 0;

            if (is_shown (r, m))
                table_add_cell (t, table_mean (mean, error), CELL_NUMBER | (mark ? CELL_BEST : 0));
        }
        if (r->by) {
            double mean = result_mean (result, r->by, TRUE, &error);

            table_add_cell (t, table_mean (mean, error), CELL_NUMBER);
        }
    }
    t->note = g_strdup_printf (
        "Mean \302\261 standard error over seeds of the last values, and of the best ones in the "
        "last column. Configurations with failed runs stand last: their means are over survivors."
        "%s%s",
        r->results->len > SHOWN
            ? " Curves are drawn of the best of each choice of plugins, then by rank, eight in all."
            : "",
        r->by && g_str_has_prefix (r->by, "test/")
            ? " Chosen on the test data: give the data set a validation part to choose without it."
            : "");
    return t;
}

// What each choice of plugins was given, and the best that it made of it.
static Table *
budget_table (const Results *r)
{
    Table *t = table_new ("Tuning budget");
    g_autoptr (GPtrArray) contexts = g_ptr_array_new ();

    table_add_column (t, "plugins");
    table_add_column (t, "configurations");
    table_add_column (t, "runs");
    table_add_column (t, "failed");
    table_add_column (t, "best configuration");
    table_add_column (t, r->by ? r->by : "");
    for (guint i = 0; i < r->results->len; i++) {
        const Result *best = r->results->pdata[i];
        guint configurations = 0, runs = 0, failed = 0;

        if (g_ptr_array_find_with_equal_func (contexts, best->combination->context, g_str_equal,
                                              NULL))
            continue;
        g_ptr_array_add (contexts, best->combination->context);
        for (guint k = 0; k < r->results->len; k++) {
            const Result *other = r->results->pdata[k];

            if (strcmp (other->combination->context, best->combination->context) != 0)
                continue;
            configurations++;
            runs += other->runs->len;
            failed += other->failed;
        }
        table_add_row (t, -1);
        table_add_cell (t,
                        g_strdup (*best->combination->context ? best->combination->context : "all"),
                        CELL_HEAD);
        table_add_cell (t, g_strdup_printf ("%u", configurations), CELL_NUMBER);
        table_add_cell (t, g_strdup_printf ("%u", runs), CELL_NUMBER);
        table_add_cell (t, g_strdup_printf ("%u", failed), CELL_NUMBER);
        table_add_cell (t, g_strdup (best->combination->label), CELL_TEXT);
        table_add_cell (t, table_mean (best->mean, best->error), CELL_NUMBER);
    }
    t->note = g_strdup ("A comparison is fair where the budgets are alike. The best of many is "
                        "flattered by chance: run it again with new seeds before you believe it.");
    return t;
}

/* Files and the page: the best of each choice of plugins first, then by rank. */

static gboolean
write_text (const Results *r, const char *name, char *text, GError **error)
{
    g_autofree char *owned = text, *path = g_build_filename (r->sweep->dir, name, NULL);

    return dlh_file_write (path, owned, strlen (owned), error);
}

static void
add_shown (const Results *r, GPtrArray *shown, gboolean one_each)
{
    g_autoptr (GPtrArray) contexts = g_ptr_array_new ();

    for (guint i = 0; i < r->results->len && shown->len < SHOWN; i++) {
        Result *result = r->results->pdata[i];
        gboolean seen = g_ptr_array_find_with_equal_func (contexts, result->combination->context,
                                                          g_str_equal, NULL);

        g_ptr_array_add (contexts, result->combination->context);
        if (result->done && !(one_each && seen) && !g_ptr_array_find (shown, result, NULL))
            g_ptr_array_add (shown, result);
    }
}

static gboolean
write_page (const Results *r, Table *results, Table *budget, GError **error)
{
    g_autofree char *dir = g_build_filename (r->sweep->dir, "report", NULL);
    g_autofree char *base = g_path_get_basename (r->sweep->dir);
    g_autofree char *title = g_strdup_printf ("Sweep %s", base);
    g_autoptr (GPtrArray) shown = g_ptr_array_new (), runs = g_ptr_array_new ();
    g_autoptr (GPtrArray) tables = g_ptr_array_new (), figures = results_figures (r);
    ReportOptions options = {.curves = {.axis = AXIS_STEP, .band = BAND_ERROR},
                             .html = TRUE,
                             .svg = TRUE,
                             .png = TRUE,
                             .title = title,
                             .tables = tables,
                             .figures = figures};

    g_ptr_array_add (tables, results);
    g_ptr_array_add (tables, budget);
    add_shown (r, shown, TRUE);
    add_shown (r, shown, FALSE);
    for (guint i = 0; i < shown->len; i++)
        for (guint k = 0; k < ((Result *)shown->pdata[i])->runs->len; k++) {
            SweepRun *run = ((Result *)shown->pdata[i])->runs->pdata[k];

            if (run->data)
                g_ptr_array_add (runs, run->data);
        }
    return !runs->len || report_write (runs, dir, &options, NULL, error);
}

const Combination *
sweep_best (Sweep *sweep, const char *by, double *mean, double *error_of_mean, GError **error)
{
    g_auto (Results) r = {0};
    const Result *best;

    if (!results_fill (&r, sweep, by, error))
        return NULL;
    best = r.results->pdata[0];
    *mean = best->mean;
    *error_of_mean = best->error;
    return best->done ? best->combination : NULL;
}

gboolean
sweep_report (Sweep *sweep, const char *by, gboolean quiet, GError **error)
{
    g_auto (Results) r = {0};
    g_autoptr (Table) results = NULL, budget = NULL;
    g_autofree char *text = NULL, *text2 = NULL;
    gboolean drawn;

    if (!results_fill (&r, sweep, by, error))
        return FALSE;
    results = results_table (&r);
    budget = budget_table (&r);
    if (!write_text (&r, "results.csv", results_csv (&r), error) ||
        !write_text (&r, "results.json", results_json (&r), error))
        return FALSE;
    drawn = figures_can_draw (NULL);
    if (drawn && !write_page (&r, results, budget, error))
        return FALSE;
    if (quiet)
        return TRUE;
    text = table_to_text (results);
    text2 = table_to_text (budget);
    printf ("\n%s\n%s\n%s: %s/results.csv, results.json%s\n", text, text2, results->title,
            sweep->dir, drawn ? ", report/index.html" : " (no page: gnuplot is not installed)");
    return TRUE;
}
