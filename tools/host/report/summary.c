/* SPDX-License-Identifier: MIT */
/* Tables of what runs reached. */
#include <math.h>
#include <string.h>
#include "report.h"

// Metrics of evaluations; of training only where there are no others.
static GPtrArray *
scored_metrics (GPtrArray *groups)
{
    g_autoptr (GPtrArray) names = metric_names (groups);
    GPtrArray *out = g_ptr_array_new_with_free_func (g_free);

    for (guint pass = 0; pass < 2 && !out->len; pass++)
        for (guint i = 0; i < names->len; i++)
            if (pass || !g_str_has_prefix (names->pdata[i], "train/"))
                g_ptr_array_add (out, g_strdup (names->pdata[i]));
    return out;
}

static const char *
status (const RunData *run)
{
    return run->finished ? "finished" : run->series->len ? "stopped" : "no records";
}

typedef double (*Measure) (const RunData *run, const char *name);

static double
measure_best (const RunData *run, const char *name)
{
    double value, step;

    return run_data_best (run, name, &value, &step) ? value : NAN;
}

static double
measure_steps (const RunData *run, const char *name)
{
    (void)name;
    return run->steps;
}

static double
measure_wall (const RunData *run, const char *name)
{
    (void)name;
    return run->wall;
}

// One run that has no number leaves its group without a mean.
static double
group_mean (const Group *group, Measure measure, const char *name, double *error)
{
    g_autofree double *values = g_new (double, group->runs->len);
    double mean;

    for (guint r = 0; r < group->runs->len; r++)
        values[r] = measure (group->runs->pdata[r], name);
    mean_and_error (values, group->runs->len, &mean, error);
    return mean;
}

// Whether row @i has the best value of several: equal ones are equally good, and none is when all
// are.
static gboolean
is_best (const double *values, guint n, gboolean higher, guint i)
{
    gboolean differ = FALSE;

    for (guint j = 0; j < n; j++) {
        if (isfinite (values[j]) && (higher ? values[j] > values[i] : values[j] < values[i]))
            return FALSE;
        differ |= values[j] != values[i];
    }
    return differ && isfinite (values[i]);
}

static void
add_metric_columns (Table *t, GPtrArray *metrics)
{
    for (guint m = 0; m < metrics->len; m++) {
        g_autofree char *last = g_strdup_printf ("%s, final", (char *)metrics->pdata[m]);
        g_autofree char *best = g_strdup_printf ("%s, best", (char *)metrics->pdata[m]);

        table_add_column (t, last);
        table_add_column (t, best);
    }
}

static char *
count_text (gint64 n)
{
    return n < 0 ? g_strdup ("-") : g_strdup_printf ("%" G_GINT64_FORMAT, n);
}

static void
add_group_row (Table *t, GPtrArray *groups, guint i, GPtrArray *metrics)
{
    const Group *g = groups->pdata[i];
    guint finished = 0;
    double error;

    for (guint r = 0; r < g->runs->len; r++)
        finished += ((RunData *)g->runs->pdata[r])->finished;
    table_add_row (t, (int)i);
    table_add_cell (t, g_strdup (g->label), CELL_HEAD);
    table_add_cell (t, g_strdup_printf ("%u of %u", finished, g->runs->len), CELL_NUMBER);
    table_add_cell (t, table_number (group_mean (g, measure_steps, NULL, &error)), CELL_NUMBER);
    table_add_cell (t, table_duration (group_mean (g, measure_wall, NULL, &error)), CELL_NUMBER);
    table_add_cell (t, count_text (((RunData *)g->runs->pdata[0])->parameters), CELL_NUMBER);
    for (guint m = 0; m < metrics->len; m++)
        for (guint k = 0; k < 2; k++) {
            Measure measure = k ? measure_best : run_data_last;
            g_autofree double *means = g_new (double, groups->len);
            double mean;

            for (guint j = 0; j < groups->len; j++)
                means[j] = group_mean (groups->pdata[j], measure, metrics->pdata[m], &error);
            mean = group_mean (g, measure, metrics->pdata[m], &error);
            table_add_cell (t, table_mean (mean, error),
                            CELL_NUMBER | (is_best (means, groups->len,
                                                    metric_higher_is_better (metrics->pdata[m]), i)
                                               ? CELL_BEST
                                               : 0));
        }
}

Table *
summary_of_groups (GPtrArray *groups, const char *note)
{
    Table *t = table_new ("Summary");
    g_autoptr (GPtrArray) metrics = scored_metrics (groups);
    gboolean seeds = FALSE;

    for (guint i = 0; i < groups->len; i++)
        seeds |= ((Group *)groups->pdata[i])->runs->len > 1;
    table_add_column (t, "run");
    table_add_column (t, "finished");
    table_add_column (t, "steps");
    table_add_column (t, "time");
    table_add_column (t, "parameters");
    add_metric_columns (t, metrics);
    for (guint i = 0; i < groups->len; i++)
        add_group_row (t, groups, i, metrics);
    t->note = !seeds ? g_strdup (note)
                     : g_strconcat ("Mean \302\261 standard error over seeds. A group in which a "
                                    "run has no finite value has no mean.",
                                    note ? " " : NULL, note, NULL);
    return t;
}

static void
add_run_row (Table *t, const Group *g, const RunData *run, guint style, GPtrArray *metrics)
{
    table_add_row (t, (int)style);
    table_add_cell (t, g_strdup (run->name), CELL_HEAD);
    table_add_cell (t, g_strdup (g->label), CELL_TEXT);
    table_add_cell (t, g_strdup (g_hash_table_lookup (run->config, "seed")), CELL_NUMBER);
    table_add_cell (t, g_strdup (status (run)), CELL_TEXT);
    table_add_cell (t, table_number (run->steps), CELL_NUMBER);
    table_add_cell (t, table_duration (run->wall), CELL_NUMBER);
    for (guint m = 0; m < metrics->len; m++) {
        double value, step;
        char *text;

        table_add_cell (t, table_number (run_data_last (run, metrics->pdata[m])), CELL_NUMBER);
        if (run_data_best (run, metrics->pdata[m], &value, &step)) {
            g_autofree char *number = table_number (value);

            text = g_strdup_printf ("%s @ %.0f", number, step);
        } else
            text = g_strdup ("-");
        table_add_cell (t, text, CELL_NUMBER);
    }
}

Table *
summary_of_runs (GPtrArray *groups)
{
    Table *t = table_new ("Runs");
    g_autoptr (GPtrArray) metrics = scored_metrics (groups);
    guint64 damaged = 0;

    table_add_column (t, "folder");
    table_add_column (t, "configuration");
    table_add_column (t, "seed");
    table_add_column (t, "status");
    table_add_column (t, "steps");
    table_add_column (t, "time");
    add_metric_columns (t, metrics);
    for (guint i = 0; i < groups->len; i++) {
        const Group *g = groups->pdata[i];

        for (guint r = 0; r < g->runs->len; r++) {
            add_run_row (t, g, g->runs->pdata[r], i, metrics);
            damaged += ((RunData *)g->runs->pdata[r])->damaged;
        }
    }
    t->note = damaged ? g_strdup_printf ("After @: the step of the best value. %" G_GUINT64_FORMAT
                                         " damaged %s of metrics.jsonl %s left out.",
                                         damaged, damaged == 1 ? "line" : "lines",
                                         damaged == 1 ? "is" : "are")
                      : g_strdup ("After @: the step of the best value.");
    return t;
}

static gboolean
has_key (GPtrArray *keys, const char *key)
{
    for (guint i = 0; i < keys->len; i++)
        if (strcmp (keys->pdata[i], key) == 0)
            return TRUE;
    return FALSE;
}

static char *
seeds_of (const Group *g)
{
    GString *s = g_string_new (NULL);

    for (guint r = 0; r < g->runs->len; r++)
        g_string_append_printf (
            s, "%s%s", r ? ", " : "",
            (char *)g_hash_table_lookup (((RunData *)g->runs->pdata[r])->config, "seed"));
    return g_string_free (s, FALSE);
}

Table *
settings_table (const char *title, GPtrArray *groups, GPtrArray *keys, GPtrArray *marked)
{
    Table *t = table_new (title);

    table_add_column (t, "setting");
    for (guint i = 0; i < groups->len; i++)
        table_add_column (t, ((Group *)groups->pdata[i])->label);
    for (guint k = 0; k < keys->len; k++) {
        const char *key = keys->pdata[k];

        table_add_row (t, -1);
        table_add_cell (t, g_strdup (key), CELL_HEAD);
        for (guint i = 0; i < groups->len; i++)
            table_add_cell (t,
                            strcmp (key, "seed") == 0
                                ? seeds_of (groups->pdata[i])
                                : g_strdup (group_setting (groups->pdata[i], key)),
                            has_key (marked, key) ? CELL_MARKED : CELL_TEXT);
    }
    return t;
}
