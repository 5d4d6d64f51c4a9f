/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "figures.h"

double *
plot_add (Plot *p, const char *label, DlhCurveStyle style, guint colour, gsize n)
{
    double *values = g_new0 (double, 2 * MAX (n, 1));
    DlhCurve curve = {.x = values, .y = values + n, .n = n, .style = style, .colour = colour};

    if (!p->curves) {
        p->curves = g_array_new (FALSE, FALSE, sizeof (DlhCurve));
        p->owned = g_ptr_array_new_with_free_func (g_free);
    }
    g_ptr_array_add (p->owned, values);
    if (label) {
        char *copy = g_strdup (label);

        curve.label = copy;
        g_ptr_array_add (p->owned, copy);
    }
    g_array_append_val (p->curves, curve);
    return values;
}

gboolean
plot_draw (const Plot *p, Study *s, const char *name, const char *title, const char *caption,
           const char *x_label, const char *y_label, GError **error)
{
    const DlhFigure figure = {.size = sizeof figure,
                              .kind = DLH_FIGURE_CURVES,
                              .name = name,
                              .title = title,
                              .caption = caption,
                              .x_label = x_label,
                              .y_label = y_label,
                              .log_x = p->log_x,
                              .log_y = p->log_y,
                              .curves =
                                  p->curves ? (const DlhCurve *)(gpointer)p->curves->data : NULL,
                              .n_curves = p->curves ? p->curves->len : 0};

    return !figure.n_curves || dlh_run_figure (s->run, &figure, error);
}

void
plot_clear (Plot *p)
{
    g_clear_pointer (&p->curves, g_array_unref);
    g_clear_pointer (&p->owned, g_ptr_array_unref);
}

gboolean
method_is_shown (const Study *s, const Method *m)
{
    return m == s->methods->pdata[0] || fabs (m->top - s->opt->beta) < 1e-12;
}
