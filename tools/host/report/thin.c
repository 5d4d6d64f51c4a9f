/* SPDX-License-Identifier: MIT */
/* Curves of more points than a figure has columns. */
#include <math.h>
#include "figure.h"

#define COLUMNS 1500
#define ENOUGH (3 * COLUMNS)

typedef struct {
    GArray *out;
    Dot low, high; /* the extremes of the column */
    guint low_at, high_at;
    gboolean any, gap;
    double band_low, band_high;
} Thinner;

static void
flush_column (Thinner *t)
{
    const Dot gap = {t->high.x, NAN, NAN, NAN};

    if (t->any) {
        Dot first = t->low_at < t->high_at ? t->low : t->high;
        Dot second = t->low_at < t->high_at ? t->high : t->low;

        first.low = second.low = t->band_low;
        first.high = second.high = t->band_high;
        g_array_append_val (t->out, first);
        if (t->low_at != t->high_at)
            g_array_append_val (t->out, second);
    }
    if (t->gap)
        g_array_append_val (t->out, gap);
    t->any = t->gap = FALSE;
}

static void
see (Thinner *t, const Dot *dot, guint at)
{
    if (!isfinite (dot->y)) {
        t->gap = TRUE;
        if (!t->any)
            t->high.x = dot->x;
        return;
    }
    if (!t->any) {
        t->low = t->high = *dot;
        t->low_at = t->high_at = at;
        t->band_low = dot->low;
        t->band_high = dot->high;
        t->any = TRUE;
    }
    if (dot->y < t->low.y) {
        t->low = *dot;
        t->low_at = at;
    }
    if (dot->y > t->high.y) {
        t->high = *dot;
        t->high_at = at;
    }
    t->band_low = fmin (t->band_low, dot->low);
    t->band_high = fmax (t->band_high, dot->high);
}

void
curve_thin (Curve *curve, gboolean log_x)
{
    GArray *dots = curve->dots;
    Thinner t = {.out = g_array_new (FALSE, FALSE, sizeof (Dot))};
    double first, span;
    int column = 0;

    if (dots->len <= ENOUGH) {
        g_array_unref (t.out);
        return;
    }
    first = g_array_index (dots, Dot, 0).x;
    span = g_array_index (dots, Dot, dots->len - 1).x;
    if (log_x) {
        first = log (fmax (first, 1e-300));
        span = log (fmax (span, 1e-300));
    }
    span -= first;
    for (guint i = 0; i < dots->len; i++) {
        const Dot *dot = &g_array_index (dots, Dot, i);
        double x = log_x ? log (fmax (dot->x, 1e-300)) : dot->x;
        int c = span > 0 ? (int)((x - first) / span * COLUMNS) : 0;

        if (c != column)
            flush_column (&t);
        column = c;
        see (&t, dot, i);
    }
    flush_column (&t);
    g_array_unref (dots);
    curve->dots = t.out;
}
