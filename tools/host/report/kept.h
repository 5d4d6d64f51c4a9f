/* SPDX-License-Identifier: MIT */
/* Figures that tasks drew, as the run folder keeps them: figures/<name>.json. */
#pragma once

#include <dlhost/dlhost.h>
#include "figure.h"

/* (transfer full): the file's text. */
char *kept_figure_format (const DlhFigure *figure);
/* (transfer full): the figure in such a text, or NULL with DLH_ERROR_DATA. */
Figure *kept_figure_parse (const char *text, gsize n, GError **error);
/* (element-type Figure) (transfer full): those of each group's first run that has any. What cannot
 * be read is named in the caption of a figure without curves. */
GPtrArray *kept_figures (GPtrArray *groups);
