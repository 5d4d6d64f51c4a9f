/* SPDX-License-Identifier: MIT */
/* What every figure must be, whichever host gets it. */
#pragma once

#include <dlhost/figure.h>

gboolean figure_check (const DlhFigure *figure, GError **error);
