/* SPDX-License-Identifier: MIT */
/* A figure that grows curve by curve. */
#pragma once

#include "quadratics.h"

typedef struct {
    GArray *curves;   /* DlhCurve */
    GPtrArray *owned; /* what they point to */
    gboolean log_x, log_y;
} Plot;

/* Returns: (transfer none): room for @n x, then @n y. */
double *plot_add (Plot *plot, const char *label, DlhCurveStyle style, guint colour, gsize n);
gboolean plot_draw (const Plot *plot, Study *s, const char *name, const char *title,
                    const char *caption, const char *x_label, const char *y_label, GError **error);
void plot_clear (Plot *plot);

/* Whether it is among the few that are drawn step by step: those with the largest beta that is
 * asked for, and the first. */
gboolean method_is_shown (const Study *s, const Method *m);
