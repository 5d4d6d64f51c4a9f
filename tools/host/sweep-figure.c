/* SPDX-License-Identifier: MIT */
/* The metric that ranks over one axis, a curve for each choice of plugins. */
#include <math.h>
#include <string.h>
#include "sweep-results.h"

static int
by_x (gconstpointer a, gconstpointer b)
{
    const Dot *p = a, *q = b;

    return (p->x > q->x) - (p->x < q->x);
}

// Of several configurations with one value of the axis the best stands for it.
static void
add_dot (const Results *r, Curve *curve, double x, const Result *result)
{
    Dot dot = {x, result->mean, result->mean - result->error, result->mean + result->error};

    for (guint i = 0; i < curve->dots->len; i++) {
        Dot *old = &g_array_index (curve->dots, Dot, i);

        if (old->x != x)
            continue;
        if (r->higher ? dot.y > old->y : dot.y < old->y)
            *old = dot;
        return;
    }
    g_array_append_val (curve->dots, dot);
}

static Figure *
axis_figure (const Results *r, const char *option)
{
    g_autofree char *stem = g_strdup_printf ("sweep-%s", option);
    g_autofree char *title = g_strdup_printf ("%s by %s", r->by, option);
    Figure *f = figure_new (stem, title);
    double low = INFINITY, high = 0;

    for (guint i = 0; i < r->results->len; i++) {
        const Result *result = r->results->pdata[i];
        const char *context = result->combination->context;
        Curve *curve = NULL;

        for (guint k = 0; k < f->curves->len; k++)
            if (strcmp (((Curve *)f->curves->pdata[k])->label, context) == 0)
                curve = f->curves->pdata[k];
        for (guint k = 0; k < result->combination->settings->len; k++) {
            const SweepSetting *s = result->combination->settings->pdata[k];
            char *end;
            double x = g_ascii_strtod (s->value, &end);

            if (g_strcmp0 (s->option, option) != 0 || *end || !isfinite (x) ||
                !isfinite (result->mean) || result->failed)
                continue;
            if (!curve) {
                curve = figure_add_curve (f, context, f->curves->len);
                curve->bars = TRUE;
            }
            add_dot (r, curve, x, result);
            low = fmin (low, x);
            high = fmax (high, x);
        }
    }
    for (guint k = 0; k < f->curves->len; k++)
        g_array_sort (((Curve *)f->curves->pdata[k])->dots, by_x);
    f->log_x = low > 0 && high / low >= 8;
    f->x_label = g_strdup (option);
    f->y_label = g_strdup (r->by);
    f->caption = g_strdup ("Mean over seeds with its standard error; at each value the best of the "
                           "other settings. Configurations with failed runs are left out.");
    f->alt = g_strdup_printf ("%s over values of %s", r->by, option);
    return f;
}

GPtrArray *
results_figures (const Results *r)
{
    GPtrArray *figures = g_ptr_array_new_with_free_func ((GDestroyNotify)figure_free);
    g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

    for (guint i = 0; r->by && i < r->sweep->axes->len; i++) {
        const SweepAxis *axis = r->sweep->axes->pdata[i];
        Figure *f;
        guint most = 0;

        if (!axis->option || !g_hash_table_add (seen, axis->option))
            continue;
        f = axis_figure (r, axis->option);
        for (guint k = 0; k < f->curves->len; k++)
            most = MAX (most, ((Curve *)f->curves->pdata[k])->dots->len);
        if (most >= 2)
            g_ptr_array_add (figures, f);
        else
            figure_free (f);
    }
    return figures;
}
