/* SPDX-License-Identifier: MIT */
/* Smoothing of curves: an exponential mean without the pull of its start, or a mean over a window
 * around each record. */
#include <math.h>
#include "smooth.h"

// s_t = w s_(t-1) + (1 - w) y_t, divided by 1 - w^t: the weights of what was seen add up to one.
static GArray *
exponential (const GArray *dots, double w)
{
    GArray *out = g_array_sized_new (FALSE, FALSE, sizeof (Dot), dots->len);
    double y = 0, low = 0, high = 0, weight = 0;

    for (guint i = 0; i < dots->len; i++) {
        Dot dot = g_array_index (dots, Dot, i);

        if (isfinite (dot.y)) {
            y = w * y + (1 - w) * dot.y;
            low = w * low + (1 - w) * dot.low;
            high = w * high + (1 - w) * dot.high;
            weight = w * weight + (1 - w);
            dot.y = y / weight;
            dot.low = low / weight;
            dot.high = high / weight;
        }
        g_array_append_val (out, dot);
    }
    return out;
}

// The window is narrower at both ends, so that it stays centred.
static GArray *
windowed (const GArray *dots, guint width)
{
    GArray *out = g_array_sized_new (FALSE, FALSE, sizeof (Dot), dots->len);
    g_autoptr (GArray) sums = g_array_sized_new (FALSE, TRUE, sizeof (Dot), dots->len + 1);
    Dot sum = {0};

    // x counts the finite values.
    g_array_append_val (sums, sum);
    for (guint i = 0; i < dots->len; i++) {
        const Dot *dot = &g_array_index (dots, Dot, i);

        if (isfinite (dot->y)) {
            sum.x += 1;
            sum.y += dot->y;
            sum.low += dot->low;
            sum.high += dot->high;
        }
        g_array_append_val (sums, sum);
    }
    for (guint i = 0; i < dots->len; i++) {
        Dot dot = g_array_index (dots, Dot, i);
        guint half = MIN (width / 2, MIN (i, dots->len - 1 - i));
        const Dot *a = &g_array_index (sums, Dot, i - half);
        const Dot *b = &g_array_index (sums, Dot, i + half + 1);

        if (isfinite (dot.y)) {
            dot.y = (b->y - a->y) / (b->x - a->x);
            dot.low = (b->low - a->low) / (b->x - a->x);
            dot.high = (b->high - a->high) / (b->x - a->x);
        }
        g_array_append_val (out, dot);
    }
    return out;
}

GArray *
dots_smooth (const GArray *dots, double smooth)
{
    return smooth < 1 ? exponential (dots, smooth) : windowed (dots, (guint)smooth);
}
