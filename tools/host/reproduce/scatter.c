/* SPDX-License-Identifier: MIT */
/* One metric of the final runs against another: a trade-off, as of disentanglement and likelihood.
 */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "../report/report.h"
#include "reproduce.h"

static const char *
curve_of (const ArmOutcome *a)
{
    return a->arm->curve ? a->arm->curve : a->arm->title;
}

static gboolean
is_first (const Outcome *o, guint at)
{
    for (guint i = 0; i < at; i++)
        if (strcmp (curve_of (o->arms->pdata[i]), curve_of (o->arms->pdata[at])) == 0)
            return FALSE;
    return TRUE;
}

// The runs behind, their mean before them.
static void
add_arm (const ArmOutcome *a, const RecipeFigure *plan, Curve *runs, Curve *means)
{
    guint n = a->runs->len;
    g_autofree double *x = g_new (double, n + 1), *y = g_new (double, n + 1);
    Dot mean = {0};
    double error;

    for (guint i = 0; i < n; i++) {
        x[i] = run_data_last (a->runs->pdata[i], plan->x_metric);
        y[i] = run_data_last (a->runs->pdata[i], plan->metric);
        g_array_append_val (runs->dots, ((Dot){x[i], y[i], y[i], y[i]}));
    }
    if (!reproduce_mean (a, x, &mean.x, &error) || !reproduce_mean (a, y, &mean.y, &error))
        return;
    mean.low = mean.high = mean.y;
    g_array_append_val (means->dots, mean);
}

Figure *
reproduce_scatter (const Outcome *o, const RecipeFigure *plan)
{
    Figure *f = figure_new (plan->name, plan->metric);
    guint style = 0;

    for (guint i = 0; i < o->arms->len; i++) {
        const char *label = curve_of (o->arms->pdata[i]);
        Curve *runs, *means;

        if (!is_first (o, i))
            continue;
        runs = figure_add_curve (f, NULL, style);
        runs->faint = runs->points = TRUE;
        means = figure_add_curve (f, label, style++);
        for (guint k = i; k < o->arms->len; k++)
            if (strcmp (curve_of (o->arms->pdata[k]), label) == 0)
                add_arm (o->arms->pdata[k], plan, runs, means);
    }
    f->log_x = plan->curves.x_scale == SCALE_LOG;
    f->log_y = plan->curves.y_scale == SCALE_LOG;
    f->x_label = g_strdup (plan->x_metric);
    f->y_label = g_strdup (plan->metric);
    f->alt = g_strdup_printf ("%s against %s, last values: means over seeds, and runs",
                              plan->metric, plan->x_metric);
    f->caption = g_strdup ("Large points: means over seeds; small ones: single runs.");
    return f;
}
