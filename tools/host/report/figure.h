/* SPDX-License-Identifier: MIT */
/* Figures drawn by gnuplot. */
#pragma once

#include <glib.h>

/* One point of a curve; a value that is NaN is a gap. */
typedef struct {
    double x, y, low, high;
} Dot;

typedef struct {
    char *label;     /* (nullable): in the legend */
    guint style;     /* colour, and dashes when there are more curves than colours */
    gboolean faint;  /* behind the others */
    gboolean band;   /* low and high mean something */
    gboolean bars;   /* points with error bars, joined by a line */
    gboolean points; /* not joined */
    GArray *dots;    /* Dot, by rising x */
    GArray *crosses; /* Dot: where a value was not finite */
} Curve;

typedef struct {
    char *stem; /* of the files: "test-loss" */
    char *title, *caption, *alt;
    char *x_label, *y_label;
    gboolean log_x, log_y;
    GPtrArray *curves; /* Curve */
} Figure;

typedef struct {
    char *svg; /* (nullable) the text */
    GBytes *png;
} Drawing;

#define N_COLOURS 6
extern const char *const palette[N_COLOURS];

Figure *figure_new (const char *stem, const char *title);
void figure_free (Figure *figure);
Curve *figure_add_curve (Figure *figure, const char *label, guint style);
/* Draws a curve of many points no finer than it can be seen: the extremes of each pixel column. */
void curve_thin (Curve *curve, gboolean log_x);

/* (element-type Drawing) (transfer full): one a figure. Fails with DLH_ERROR_IO where gnuplot is
 * missing or fails. */
GPtrArray *figures_draw (GPtrArray *figures, gboolean png, GError **error);
gboolean figures_can_draw (GError **error);
