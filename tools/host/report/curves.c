/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "curves.h"
#include "smooth.h"

#define LOG_RATIO 50 /* a span of values that a linear axis would flatten */

/* Axis. */

// Steps in an epoch: a finished run whose length was given in epochs tells.
static double
steps_per_epoch (const RunData *run)
{
    const char *epochs = g_hash_table_lookup (run->config, "task.epochs");
    const char *steps = g_hash_table_lookup (run->config, "task.steps");
    const char *patience = g_hash_table_lookup (run->config, "task.patience");
    double n = epochs ? g_ascii_strtod (epochs, NULL) : 0;

    if (!run->finished || !(n > 0) || (steps && strcmp (steps, "0") != 0) ||
        (patience && strcmp (patience, "0") != 0))
        return NAN;
    return run->steps / n;
}

// Runs of earlier versions do not tell.
static gboolean
tells_cpu (const RunData *run)
{
    for (guint i = 0; i < run->series->len; i++) {
        const GArray *points = ((Series *)run->series->pdata[i])->points;

        for (guint k = 0; k < points->len; k++)
            if (!isfinite (g_array_index (points, Point, k).cpu))
                return FALSE;
    }
    return TRUE;
}

static gboolean
check_run_axis (const RunData *run, Axis axis, GError **error)
{
    if (axis == AXIS_EPOCH && !(steps_per_epoch (run) > 0)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--x=epoch: %s does not tell how many steps its epochs have (it was "
                     "stopped, or its length is given in steps): take --x=step",
                     run->dir);
        return FALSE;
    }
    if (axis == AXIS_CPU && !tells_cpu (run)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "--x=cpu: %s has records without processor time: take --x=wall", run->dir);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_axis (GPtrArray *groups, const CurveOptions *options, GError **error)
{
    for (guint i = 0; i < groups->len; i++) {
        const Group *g = groups->pdata[i];

        for (guint r = 0; r < g->runs->len; r++)
            if (!check_run_axis (g->runs->pdata[r], options->axis, error))
                return FALSE;
    }
    return TRUE;
}

double
curves_position (const RunData *run, const Point *p, Axis axis)
{
    return axis == AXIS_WALL    ? p->wall
           : axis == AXIS_CPU   ? p->cpu
           : axis == AXIS_EPOCH ? p->step / steps_per_epoch (run)
                                : p->step;
}

/* Curves. */

static void
fill_raw (Curve *curve, const RunData *run, const Series *s, Axis axis)
{
    double last = NAN;

    for (guint i = 0; i < s->points->len; i++) {
        const Point *p = &g_array_index (s->points, Point, i);
        Dot dot = {curves_position (run, p, axis), p->value, p->value, p->value};

        if (isfinite (p->value))
            last = p->value;
        else {
            Dot cross = {dot.x, last, last, last};

            dot.y = NAN;
            // One mark for a stretch of them, where the curve ends.
            if (isfinite (last))
                g_array_append_val (curve->crosses, cross);
            last = NAN;
        }
        g_array_append_val (curve->dots, dot);
    }
}

// The index of @step in @s, or -1; @from: where to begin, for it only rises.
static gint64
find_step (const Series *s, double step, guint *from)
{
    while (*from < s->points->len && g_array_index (s->points, Point, *from).step < step)
        (*from)++;
    return *from < s->points->len && g_array_index (s->points, Point, *from).step == step
               ? (gint64)*from
               : -1;
}

// Over the steps that every run has; a step at which one is not finite has no mean.
static void
fill_mean (Curve *curve, const Group *group, const char *name, const CurveOptions *options)
{
    guint n = group->runs->len;
    const Series *first = run_data_series (group->runs->pdata[0], name);
    g_autofree double *values = g_new (double, n);
    g_autofree guint *from = g_new0 (guint, n);

    for (guint i = 0; i < first->points->len; i++) {
        double step = g_array_index (first->points, Point, i).step, x = 0, error;
        Dot dot = {0, NAN, INFINITY, -INFINITY};
        guint m = 0;

        for (guint r = 0; r < n; r++) {
            const Series *s = run_data_series (group->runs->pdata[r], name);
            gint64 at = find_step (s, step, &from[r]);
            const Point *p;

            if (at < 0)
                break;
            p = &g_array_index (s->points, Point, at);
            x += curves_position (group->runs->pdata[r], p, options->axis) / n;
            values[m++] = p->value;
            dot.low = fmin (dot.low, p->value);
            dot.high = fmax (dot.high, p->value);
        }
        if (m < n)
            continue;
        mean_and_error (values, n, &dot.y, &error);
        dot.x = x;
        if (options->band == BAND_ERROR) {
            dot.low = dot.y - error;
            dot.high = dot.y + error;
        }
        g_array_append_val (curve->dots, dot);
    }
}

static void
smooth_curve (Figure *figure, Curve *curve, double smooth)
{
    Curve *raw = figure_add_curve (figure, NULL, curve->style);

    raw->faint = TRUE;
    g_array_unref (raw->dots);
    raw->dots = curve->dots;
    curve->dots = dots_smooth (raw->dots, smooth);
}

// The runs of @group that have the metric.
static GPtrArray *
runs_with (const Group *group, const char *name)
{
    GPtrArray *out = g_ptr_array_new ();

    for (guint i = 0; i < group->runs->len; i++)
        if (run_data_series (group->runs->pdata[i], name))
            g_ptr_array_add (out, group->runs->pdata[i]);
    return out;
}

static void
add_group (Figure *figure, const Group *group, const char *name, const char *label, guint style,
           const CurveOptions *options)
{
    g_autoptr (GPtrArray) runs = runs_with (group, name);
    Group part = {runs, NULL};
    g_autofree char *full = NULL;
    Curve *curve;

    if (!runs->len)
        return;
    full = runs->len > 1 ? g_strdup_printf ("%s (%u seeds)", label, runs->len) : g_strdup (label);
    for (guint r = 0; r < runs->len && runs->len > 1; r++) {
        Curve *one = figure_add_curve (figure, NULL, style);

        one->faint = TRUE;
        fill_raw (one, runs->pdata[r], run_data_series (runs->pdata[r], name), options->axis);
    }
    curve = figure_add_curve (figure, full, style);
    if (runs->len > 1) {
        curve->band = TRUE;
        fill_mean (curve, &part, name, options);
        if (options->smooth > 0) {
            GArray *dots = dots_smooth (curve->dots, options->smooth);

            g_array_unref (curve->dots);
            curve->dots = dots;
        }
        return;
    }
    fill_raw (curve, runs->pdata[0], run_data_series (runs->pdata[0], name), options->axis);
    if (options->smooth > 0 && curve->dots->len > 1)
        smooth_curve (figure, curve, options->smooth);
}

/* Scales. */

static gboolean
wants_log_y (const Figure *f, const char *name)
{
    double low = INFINITY, high = -INFINITY;

    for (guint i = 0; i < f->curves->len; i++) {
        const Curve *c = f->curves->pdata[i];

        for (guint k = 0; k < c->dots->len; k++) {
            double y = g_array_index (c->dots, Dot, k).y;

            if (isfinite (y)) {
                low = fmin (low, y);
                high = fmax (high, y);
            }
        }
    }
    // Shares of one are read on a linear axis.
    if (metric_higher_is_better (name) && high <= 1)
        return FALSE;
    return low > 0 && high / low >= LOG_RATIO;
}

// Records at 1, 2, 4, ... steps: half of them lie in the first twentieth.
static gboolean
wants_log_x (const Figure *f)
{
    for (guint i = 0; i < f->curves->len; i++) {
        const GArray *dots = ((Curve *)f->curves->pdata[i])->dots;

        if (dots->len < 5 || g_array_index (dots, Dot, 0).x <= 0 ||
            g_array_index (dots, Dot, dots->len / 2).x >
                g_array_index (dots, Dot, dots->len - 1).x / 20)
            return FALSE;
    }
    return f->curves->len > 0;
}

static void
set_scales (Figure *f, const char *name, const CurveOptions *options)
{
    f->log_y =
        options->y_scale == SCALE_AUTO ? wants_log_y (f, name) : options->y_scale == SCALE_LOG;
    f->log_x = options->x_scale == SCALE_AUTO ? wants_log_x (f) : options->x_scale == SCALE_LOG;
}

/* Words. */

static void
describe (Figure *f, const CurveOptions *options)
{
    GString *s = g_string_new (NULL);
    gboolean bands = FALSE, crosses = FALSE;
    guint hidden = 0;

    for (guint i = 0; i < f->curves->len; i++) {
        const Curve *c = f->curves->pdata[i];

        bands |= c->band;
        crosses |= c->crosses->len > 0;
        for (guint k = 0; k < c->dots->len; k++) {
            const Dot *d = &g_array_index (c->dots, Dot, k);

            hidden += isfinite (d->y) && ((f->log_y && d->y <= 0) || (f->log_x && d->x <= 0));
        }
    }
    if (bands)
        g_string_append_printf (s, "Line: mean over seeds; band: %s; thin lines: single runs. ",
                                options->band == BAND_ERROR ? "one standard error of the mean"
                                                            : "smallest to largest value");
    if (options->smooth >= 1)
        g_string_append_printf (s, "Smoothed by a mean over %.0f records. ", options->smooth);
    else if (options->smooth > 0)
        g_string_append_printf (s, "Smoothed by an exponential mean of weight %g. ",
                                options->smooth);
    if (crosses)
        g_string_append (s, "A cross marks where values cease to be finite. ");
    if (hidden)
        g_string_append_printf (s,
                                "%u values that are not positive have no place on the "
                                "logarithmic axis. ",
                                hidden);
    f->caption = g_string_free (s, FALSE);
    g_strchomp (f->caption);
    f->x_label = g_strdup (options->axis == AXIS_WALL    ? "seconds"
                           : options->axis == AXIS_CPU   ? "processor seconds"
                           : options->axis == AXIS_EPOCH ? "epoch"
                                                         : "step");
}

static int
rank (const char *name)
{
    return g_str_has_prefix (name, "test/")    ? 0
           : g_str_has_prefix (name, "valid/") ? 1
           : g_str_has_prefix (name, "train/") ? 2
                                               : 3;
}

static int
by_rank (gconstpointer a, gconstpointer b)
{
    return rank (*(char *const *)a) - rank (*(char *const *)b);
}

GPtrArray *
metric_names (GPtrArray *groups)
{
    GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

    for (guint i = 0; i < groups->len; i++) {
        const Group *g = groups->pdata[i];

        for (guint r = 0; r < g->runs->len; r++) {
            GPtrArray *series = ((RunData *)g->runs->pdata[r])->series;

            for (guint k = 0; k < series->len; k++) {
                char *name = ((Series *)series->pdata[k])->name;

                if (g_hash_table_add (seen, name))
                    g_ptr_array_add (names, g_strdup (name));
            }
        }
    }
    g_ptr_array_sort (names, by_rank); // stable
    return names;
}

// "test/loss" and "train/loss" of a single group share a figure.
static const char *
quantity (const char *name)
{
    return rank (name) < 3 ? strchr (name, '/') + 1 : name;
}

static void
finish_figure (Figure *f, const char *name, guint n, const CurveOptions *options)
{
    set_scales (f, name, options);
    describe (f, options);
    f->y_label = g_strdup (f->title);
    f->alt = g_strdup_printf ("Curves of %s by %s, %u %s", f->title, f->x_label, n,
                              n == 1 ? "configuration" : "configurations");
    for (guint i = 0; i < f->curves->len; i++)
        curve_thin (f->curves->pdata[i], f->log_x);
}

static Figure *
figure_of (GPtrArray *groups, GPtrArray *names, guint at, const CurveOptions *options)
{
    const char *name = names->pdata[at];
    gboolean single = groups->len == 1;
    Figure *f = figure_new (single ? quantity (name) : name, single ? quantity (name) : name);

    for (guint i = 0; i < groups->len && !single; i++)
        add_group (f, groups->pdata[i], name, ((Group *)groups->pdata[i])->label, i, options);
    for (guint k = at, style = 0; k < names->len && single; k++)
        if (strcmp (quantity (names->pdata[k]), quantity (name)) == 0)
            add_group (f, groups->pdata[0], names->pdata[k], names->pdata[k], style++, options);
    finish_figure (f, name, groups->len, options);
    return f;
}

// A value that every run has once is in the tables: it has no course.
static gboolean
has_course (const Figure *f)
{
    for (guint i = 0; i < f->curves->len; i++)
        if (((Curve *)f->curves->pdata[i])->dots->len > 1)
            return TRUE;
    return FALSE;
}

static gboolean
is_covered (GPtrArray *names, guint at)
{
    for (guint k = 0; k < at; k++)
        if (strcmp (quantity (names->pdata[k]), quantity (names->pdata[at])) == 0)
            return TRUE;
    return FALSE;
}

GPtrArray *
curves_figures (GPtrArray *groups, const CurveOptions *options, GError **error)
{
    g_autoptr (GPtrArray) names = metric_names (groups);
    GPtrArray *figures;

    if (!check_axis (groups, options, error))
        return NULL;
    figures = g_ptr_array_new_with_free_func ((GDestroyNotify)figure_free);
    for (guint i = 0; i < names->len; i++) {
        Figure *f = groups->len > 1 || !is_covered (names, i)
                        ? figure_of (groups, names, i, options)
                        : NULL;

        if (f && has_course (f))
            g_ptr_array_add (figures, f);
        else if (f)
            figure_free (f);
    }
    return figures;
}

Figure *
curves_figure (GPtrArray *groups, const char *metric, const CurveOptions *options, GError **error)
{
    Figure *f;

    if (!check_axis (groups, options, error))
        return NULL;
    f = figure_new (metric, metric);
    for (guint i = 0; i < groups->len; i++)
        add_group (f, groups->pdata[i], metric, ((Group *)groups->pdata[i])->label, i, options);
    finish_figure (f, metric, groups->len, options);
    return f;
}
