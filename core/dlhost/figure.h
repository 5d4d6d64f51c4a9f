/* SPDX-License-Identifier: MIT */
/* Figures that a task draws of what it found. They are data: the host decides how they look and
 * where they go; `dlhost` draws them into the run folder and on the report's page.
 *
 *     const DlhCurve curve = {.label = "momentum", .x = step, .y = loss, .n = 100};
 *     const DlhFigure figure = {.size = sizeof (DlhFigure), .name = "loss", .title = "Loss",
 *                               .x_label = "step", .y_label = "loss", .log_y = TRUE,
 *                               .curves = &curve, .n_curves = 1};
 *
 *     return dlh_run_figure (run, &figure, error);
 */
#pragma once

#include <dlhost/task.h>

G_BEGIN_DECLS

/* What a figure shows. */
typedef enum {
    DLH_FIGURE_CURVES = 1, /* curves over two axes; 0 means this, too */
} DlhFigureKind;

/* How a curve is drawn. */
typedef enum {
    DLH_CURVE_LINE = 1, /* joined points, marked where they are few; 0 means this, too */
    DLH_CURVE_POINTS,   /* marks alone */
} DlhCurveStyle;

/* Points in the order in which they are joined: @x need not rise. */
typedef struct {
    const char *label;        /* (nullable): in the legend */
    const double *x, *y;      /* @n each; a point that is not finite is a gap */
    const double *low, *high; /* (nullable): @n each; a band around a line, bars on points */
    gsize n;
    DlhCurveStyle style;
    guint colour; /* curves of one number have one colour; 0: that of its place, 1 for the first */
    gboolean faint; /* thin, behind the others and not in the legend */
} DlhCurve;

/* One figure. What its curves point to is read during the call alone. */
struct _DlhFigure {
    gsize size;
    DlhFigureKind kind;
    const char *name; /* of its files: letters, digits, '-', '_' and '.' */
    const char *title;
    const char *caption; /* (nullable): what the reader should know */
    const char *x_label, *y_label;
    gboolean log_x, log_y; /* values that are not positive have no place there */
    const DlhCurve *curves;
    guint n_curves; /* at most 256, with a million points in all */
};

/**
 * dlh_run_figure:
 * @figure: replaces an earlier one of its name
 * Returns: FALSE with DLH_ERROR_OPTION or DLH_ERROR_SHAPE when something in it is missing or cannot
 * be, or with the host's error. A host without figures drops it.
 */
DLH_EXPORT gboolean dlh_run_figure (DlhRun *run, const DlhFigure *figure, GError **error);

G_END_DECLS
