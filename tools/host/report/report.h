/* SPDX-License-Identifier: MIT */
/* A report: tables, figures, pictures and settings of runs, as one page and as files. */
#pragma once

#include "curves.h"
#include "table.h"

typedef struct {
    CurveOptions curves;
    gboolean html, svg, png;
    const char *title;
    const char *metrics; /* (nullable): patterns of the names that are shown, with commas between */
    GPtrArray *tables;   /* (nullable): Table, before the summary */
    GPtrArray *figures;  /* (nullable): Figure, before the curves */
} ReportOptions;

/* The runs named by @paths: run folders, sweeps, folders of run folders.
 * Returns: (element-type RunData) (transfer full). */
GPtrArray *report_read (GPtrArray *paths, GError **error);
/* Writes index.html, *.svg and *.png in @dir. @summary: (out): for the terminal. */
gboolean report_write (GPtrArray *runs, const char *dir, const ReportOptions *options,
                       char **summary, GError **error);

/* Leaves the runs no more metrics than one looks at, or those that match one of @patterns. @note:
 * (out) (transfer full) (nullable): what was left out. DLH_ERROR_OPTION when none matches. */
gboolean metrics_pick (GPtrArray *groups, const char *patterns, char **note, GError **error);

/* Tables. */
/* @note: (nullable): what to say below. */
Table *summary_of_groups (GPtrArray *groups, const char *note);
Table *summary_of_runs (GPtrArray *groups);
/* @keys: which settings; @marked: those that differ. */
Table *settings_table (const char *title, GPtrArray *groups, GPtrArray *keys, GPtrArray *marked);

/* The page. */
char *page_html (GPtrArray *groups, GPtrArray *tables, GPtrArray *figures, GPtrArray *drawings,
                 const char *title);
/* (transfer full): an SVG of gnuplot's with its title and description in place. */
char *svg_described (const char *svg, const Figure *figure);
/* (transfer full): the same as an element of a page: ids of its own, colours of the page. */
char *svg_inline (const char *svg, const Figure *figure, guint id);
