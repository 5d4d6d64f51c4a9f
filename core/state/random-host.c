/* SPDX-License-Identifier: MIT */
/* Draws on the host's side: the same numbers as a graph's first f64 node of the stream would give. */
#include "cpu/draw.h"

static DlhDraw
host_draw (guint64 seed, const char *name, guint64 counter)
{
    DlhDraw draw = {.counter = counter};

    dlh_philox_key (seed, name, draw.key);
    return draw;
}

void
dlh_random_fill_normal (guint64 seed, const char *name, guint64 counter, double *out, gsize n)
{
    DlhDraw draw = host_draw (seed, name, counter);

    dlh_draw_normal (&draw, DLH_F64, out, n);
}

void
dlh_random_fill_uniform (guint64 seed, const char *name, guint64 counter, double *out, gsize n)
{
    DlhDraw draw = host_draw (seed, name, counter);

    dlh_draw_uniform (&draw, DLH_F64, out, n);
}

void
dlh_random_permutation (guint64 seed, const char *name, guint64 counter, gint64 *out, gsize n)
{
    DlhDraw draw = host_draw (seed, name, counter);

    dlh_draw_permutation (&draw, out, n);
}
