/* SPDX-License-Identifier: MIT */
/* Tables and figures of an experiment's final runs. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "../report/report.h"
#include "reproduce.h"

/* Numbers of one run. */

static double
value_at (const RunData *run, const char *metric, double step)
{
    const Series *s = run_data_series (run, metric);

    for (guint i = 0; s && i < s->points->len; i++)
        if (g_array_index (s->points, Point, i).step == step)
            return g_array_index (s->points, Point, i).value;
    return NAN;
}

// How far along @x the metric first is as good as @target; NaN: never.
static double
reach (const RunData *run, const char *metric, double target, Axis x)
{
    const Series *s = run_data_series (run, metric);
    gboolean higher = metric_higher_is_better (metric);

    for (guint i = 0; s && i < s->points->len; i++) {
        const Point *p = &g_array_index (s->points, Point, i);

        if (higher ? p->value >= target : p->value <= target)
            return curves_position (run, p, x);
    }
    return NAN;
}

// Where its last value of the metric is.
static double
last_position (const RunData *run, const char *metric, Axis x)
{
    const Series *s = run_data_series (run, metric);

    return s && s->points->len
               ? curves_position (run, &g_array_index (s->points, Point, s->points->len - 1), x)
               : NAN;
}

/* Of an arm. */

static double
mean_last (const ArmOutcome *a, const char *metric)
{
    g_autofree double *values = g_new (double, a->runs->len + 1);
    double mean = NAN, error;

    for (guint i = 0; i < a->runs->len; i++)
        values[i] = run_data_last (a->runs->pdata[i], metric);
    if (a->runs->len)
        mean_and_error (values, a->runs->len, &mean, &error);
    return mean;
}

static double
target_of (const Outcome *o, const RecipeColumn *column)
{
    for (guint i = 0; i < o->arms->len; i++) {
        const ArmOutcome *a = o->arms->pdata[i];

        if (strcmp (a->arm->name, column->until) == 0)
            return mean_last (a, column->metric);
    }
    return NAN;
}

static double
measure (const RunData *run, const RecipeColumn *column, double target)
{
    double value, step;

    switch (column->kind) {
    case COLUMN_AT:
        return value_at (run, column->metric, (double)column->step);
    case COLUMN_BEST:
        return run_data_best (run, column->metric, &value, &step) ? value : NAN;
    case COLUMN_UNTIL:
        return reach (run, column->metric, target, column->x);
    case COLUMN_LAST:
        break;
    }
    return run_data_last (run, column->metric);
}

// A mean over those runs alone that have a number would flatter.
gboolean
reproduce_mean (const ArmOutcome *a, const double *values, double *mean, double *error)
{
    guint n = 0;

    for (guint i = 0; i < a->runs->len; i++)
        n += isfinite (values[i]) != 0;
    *mean = *error = NAN;
    if (!n || n != a->runs->len + a->failed)
        return FALSE;
    mean_and_error (values, n, mean, error);
    return TRUE;
}

typedef struct {
    double mean, error;
    guint n; /* runs that have a number */
} Mean;

static Mean
measure_arm (const ArmOutcome *a, const RecipeColumn *column, double target)
{
    g_autofree double *values = g_new (double, a->runs->len + 1);
    Mean cell = {NAN, NAN, 0};

    for (guint i = 0; i < a->runs->len; i++) {
        // The arm that sets the target is there at its end, not where noise first touches the mean.
        values[i] = g_strcmp0 (column->until, a->arm->name) == 0
                        ? last_position (a->runs->pdata[i], column->metric, column->x)
                        : measure (a->runs->pdata[i], column, target);
        cell.n += isfinite (values[i]) != 0;
    }
    reproduce_mean (a, values, &cell.mean, &cell.error);
    return cell;
}

/* The table. */

static char *
column_title (const RecipeColumn *c)
{
    static const char *const units[] = {"", "steps", "epochs", "seconds", "processor seconds"};

    if (c->title)
        return g_strdup (c->title);
    switch (c->kind) {
    case COLUMN_AT:
        return g_strdup_printf ("%s at %" G_GINT64_FORMAT, c->metric, c->step);
    case COLUMN_BEST:
        return g_strdup_printf ("%s, best", c->metric);
    case COLUMN_UNTIL:
        return g_strdup_printf ("%s to %s of %s", units[c->x], c->metric, c->until);
    case COLUMN_LAST:
        break;
    }
    return g_strdup (c->metric);
}

static char *
cell_text (const ArmOutcome *a, const RecipeColumn *column, const Mean *cell)
{
    if (isfinite (cell->mean))
        return table_mean (cell->mean, cell->error);
    if (column->kind == COLUMN_UNTIL && a->runs->len)
        return cell->n ? g_strdup_printf ("%u of %u runs", cell->n, a->runs->len + a->failed)
                       : g_strdup ("not reached");
    return g_strdup ("-");
}

// At a small scale no run comes to some of the steps.
static gboolean
is_shown (const Outcome *o, const Mean *cells, guint column)
{
    const RecipeColumn *c = o->experiment->table->pdata[column];
    guint n = 0;

    for (guint i = 0; i < o->arms->len; i++)
        n += cells[i * o->experiment->table->len + column].n;
    return n || c->kind != COLUMN_AT;
}

static void
add_cells (Table *t, const Outcome *o, const Mean *cells, const guint *best)
{
    guint n = o->experiment->table->len;

    for (guint i = 0; i < o->arms->len; i++) {
        const ArmOutcome *a = o->arms->pdata[i];
        double cpu = 0, spread;
        g_autofree double *seconds = g_new (double, a->runs->len + 1);

        table_add_row (t, (int)i);
        table_add_cell (t, g_strdup (a->arm->title), CELL_HEAD);
        for (guint c = 0; c < n; c++) {
            const Mean *cell = &cells[i * n + c];

            if (!is_shown (o, cells, c))
                continue;
            table_add_cell (t, cell_text (a, o->experiment->table->pdata[c], cell),
                            CELL_NUMBER | (best[c] == i ? CELL_BEST : 0));
        }
        for (guint r = 0; r < a->runs->len; r++)
            seconds[r] = ((RunData *)a->runs->pdata[r])->cpu;
        if (a->runs->len)
            mean_and_error (seconds, a->runs->len, &cpu, &spread);
        table_add_cell (t, a->runs->len ? table_number (cpu) : g_strdup ("-"), CELL_NUMBER);
        table_add_cell (t, g_strdup_printf ("%u of %u", a->runs->len, a->wanted), CELL_NUMBER);
    }
}

Table *
reproduce_table (const Outcome *o)
{
    guint n = o->experiment->table->len;
    Table *t = table_new (o->experiment->title);
    g_autofree Mean *cells = g_new (Mean, MAX (n * o->arms->len, 1));
    g_autofree guint *best = g_new (guint, n);

    table_add_column (t, "arm");
    for (guint c = 0; c < n; c++) {
        const RecipeColumn *column = o->experiment->table->pdata[c];
        double target = column->until ? target_of (o, column) : NAN;
        gboolean higher = !column->until && metric_higher_is_better (column->metric);

        best[c] = G_MAXUINT;
        for (guint i = 0; i < o->arms->len; i++) {
            Mean cell = cells[i * n + c] = measure_arm (o->arms->pdata[i], column, target);
            double leader = best[c] == G_MAXUINT ? NAN : cells[best[c] * n + c].mean;

            if (isfinite (cell.mean) &&
                (!isfinite (leader) || (higher ? cell.mean > leader : cell.mean < leader)))
                best[c] = i;
        }
    }
    for (guint c = 0; c < n; c++) {
        g_autofree char *title = column_title (o->experiment->table->pdata[c]);

        if (is_shown (o, cells, c))
            table_add_column (t, title);
    }
    table_add_column (t, "processor seconds of a run");
    table_add_column (t, "runs");
    add_cells (t, o, cells, best);
    t->note = g_strdup ("Mean \302\261 standard error over seeds.");
    return t;
}

Table *
reproduce_tuning (const Outcome *o)
{
    const RecipeExperiment *e = o->experiment;
    Table *t = table_new ("Tuning");

    table_add_column (t, "arm");
    table_add_column (t, "settings tried");
    table_add_column (t, "chosen");
    table_add_column (t, e->tune.by ? e->tune.by : "its metric");
    table_add_column (t, "at an end of its grid");
    for (guint i = 0; i < o->arms->len; i++) {
        const ArmOutcome *a = o->arms->pdata[i];
        guint budget = recipe_arm_budget (e, a->arm);
        gboolean is_partial = a->tried < budget && a->arm->grid->len;

        table_add_row (t, -1);
        table_add_cell (t, g_strdup (a->arm->title), CELL_HEAD);
        table_add_cell (t,
                        is_partial ? g_strdup_printf ("%u of %u", a->tried, budget)
                                   : g_strdup_printf ("%u", budget),
                        CELL_NUMBER);
        table_add_cell (t,
                        g_strdup (a->chosen            ? a->chosen
                                  : !a->arm->grid->len ? "as given"
                                  : is_partial         ? "none yet"
                                                       : "none succeeded"),
                        CELL_TEXT);
        table_add_cell (t, table_number (a->tuned), CELL_NUMBER);
        table_add_cell (t, g_strdup (a->edges ? a->edges : ""), CELL_TEXT);
    }
    return t;
}

/* Figures. */

static void
group_clear (gpointer data)
{
    Group *g = data;

    g_ptr_array_unref (g->runs);
    g_free (g->label);
    g_free (g);
}

static GPtrArray *
groups_of (const Outcome *o)
{
    GPtrArray *groups = g_ptr_array_new_with_free_func (group_clear);

    for (guint i = 0; i < o->arms->len; i++) {
        const ArmOutcome *a = o->arms->pdata[i];
        Group *g = g_new0 (Group, 1);

        g->runs = g_ptr_array_ref (a->runs);
        g->label = g_strdup (a->arm->title);
        g_ptr_array_add (groups, g);
    }
    return groups;
}

static gboolean
write_drawing (const Drawing *drawing, const Figure *figure, const char *dir, const char *name,
               GError **error)
{
    g_autofree char *svg = g_strdup_printf ("%s/%s.svg", dir, name);
    g_autofree char *png = g_strdup_printf ("%s/%s.png", dir, name);
    g_autofree char *text = svg_described (drawing->svg, figure);
    gsize n;
    const char *data = g_bytes_get_data (drawing->png, &n);

    return dlh_file_write (svg, text, strlen (text), error) && dlh_file_write (png, data, n, error);
}

gboolean
reproduce_figures (const Outcome *o, const char *dir, GPtrArray *names, GError **error)
{
    const RecipeExperiment *e = o->experiment;
    g_autofree char *folder = g_build_filename (dir, e->name, NULL);
    g_autoptr (GPtrArray) groups = groups_of (o), drawings = NULL;
    g_autoptr (GPtrArray) figures = g_ptr_array_new_with_free_func ((GDestroyNotify)figure_free);

    for (guint i = 0; i < e->figures->len; i++) {
        const RecipeFigure *plan = e->figures->pdata[i];
        Figure *f = plan->x_metric ? reproduce_scatter (o, plan)
                                   : curves_figure (groups, plan->metric, &plan->curves, error);

        if (!f)
            return FALSE;
        g_free (f->title);
        f->title = g_strdup (plan->title ? plan->title : e->title);
        g_ptr_array_add (figures, f);
    }
    if (!figures->len)
        return TRUE;
    if (!(drawings = figures_draw (figures, TRUE, error)))
        return FALSE;
    for (guint i = 0; i < figures->len; i++) {
        const RecipeFigure *plan = e->figures->pdata[i];

        if (!write_drawing (drawings->pdata[i], figures->pdata[i], folder, plan->name, error))
            return FALSE;
        g_ptr_array_add (names, g_strdup_printf ("%s/%s.svg", e->name, plan->name));
    }
    return TRUE;
}

/* Text. */

char *
reproduce_markdown (const Outcome *o, GPtrArray *figures)
{
    const RecipeExperiment *e = o->experiment;
    g_autoptr (Table) table = reproduce_table (o), tuning = reproduce_tuning (o);
    GString *s = g_string_new (NULL);

    g_string_append_printf (s, "## %s\n\n", e->title);
    if (e->reported)
        g_string_append_printf (s, "Reported: %s\n\n", e->reported);
    if (e->note)
        g_string_append_printf (s, "%s\n\n", e->note);
    table_append_markdown (table, s);
    g_string_append_printf (s, "\n%s\n\n", table->note);
    table_append_markdown (tuning, s);
    for (guint i = 0; i < figures->len; i++) {
        const RecipeFigure *plan = e->figures->pdata[i];

        g_string_append_printf (s, "\n![%s](%s)\n", plan->title ? plan->title : plan->metric,
                                (char *)figures->pdata[i]);
    }
    return g_string_free (s, FALSE);
}
