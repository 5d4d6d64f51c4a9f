/* SPDX-License-Identifier: MIT */
/* A rendering of dSprites, not the set itself: a pixel is on when its middle lies inside the
 * shape's outline. With (dx, dy) its offset from the centre, x to the right and y down, scale f and
 * angle a,
 *
 *   u = (cos a dx - sin a dy) / f,  v = (sin a dx + cos a dy) / f
 *   square  max (|u|, |v|) <= HALF_SIDE      ellipse, heart  hypot (u, v) <= radius (angle of (u,
 * v))
 *
 * where ellipses are taken by |u| and |v|, hearts by |u| and v. */
#include <math.h>
#include <string.h>
#include "dsprites.h"
#include "outlines.h"

#define HALF_SIDE 9.598
#define DEGREES (180 / G_PI)

const gint64 dsprites_counts[DSPRITES_FACTORS] = {3, 6, 40, 32, 32};

/* A polar outline, linear between angles first, first + step, ... in degrees. */
typedef struct {
    const double *radius;
    guint n;
    double first, step;
    double low, high; /* bounds of the radius */
} Outline;

static const Outline ellipse = {ellipse_radius, G_N_ELEMENTS (ellipse_radius), 0, 1, 7.17, 12.92};
static const Outline heart = {heart_radius, G_N_ELEMENTS (heart_radius), -90, 0.75, 5.02, 11.31};

static double
value_of (guint factor, gint64 i)
{
    switch (factor) {
    case 0:
        return (double)i;
    case 1:
        return 0.5 + 0.1 * (double)i;
    case 2:
        return 2 * G_PI * (double)i / 39; // the last is the first again
    default:
        return (double)i / 31;
    }
}

void
dsprites_values (guint factor, double *out)
{
    for (gint64 i = 0; i < dsprites_counts[factor]; i++)
        out[i] = value_of (factor, i);
}

static gboolean
is_inside (const Outline *o, double u, double v)
{
    double r2 = u * u + v * v, at, radius;
    guint i;

    // Most pixels need no angle.
    if (r2 <= o->low * o->low)
        return TRUE;
    if (r2 > o->high * o->high)
        return FALSE;
    at = (atan2 (o->first < 0 ? v : fabs (v), fabs (u)) * DEGREES - o->first) / o->step;
    at = CLAMP (at, 0, o->n - 1);
    i = MIN ((guint)at, o->n - 2);
    radius = o->radius[i] + (at - i) * (o->radius[i + 1] - o->radius[i]);
    return r2 <= radius * radius;
}

void
dsprites_render (const gint64 v[DSPRITES_FACTORS], guint8 *bits)
{
    double f = value_of (1, v[1]), angle = value_of (2, v[2] % 39);
    double c = cos (angle) / f, s = sin (angle) / f;
    double x = 16 + 32 * value_of (3, v[3]), y = 16 + 32 * value_of (4, v[4]);
    const Outline *outline = v[0] == 1 ? &ellipse : &heart;
    double reach = f * (v[0] == 0 ? HALF_SIDE * G_SQRT2 : outline->high);
    gint64 left = (gint64)floor (x - reach - 0.5), right = (gint64)ceil (x + reach - 0.5);
    gint64 top = (gint64)floor (y - reach - 0.5), bottom = (gint64)ceil (y + reach - 0.5);

    memset (bits, 0, DSPRITES_BYTES);
    for (gint64 row = top; row <= bottom; row++)
        for (gint64 column = left; column <= right; column++) {
            double dx = (double)column + 0.5 - x, dy = (double)row + 0.5 - y;
            double u = c * dx - s * dy, w = s * dx + c * dy;
            gint64 pixel = row * DSPRITES_SIDE + column;

            if (v[0] == 0 ? fabs (u) <= HALF_SIDE && fabs (w) <= HALF_SIDE
                          : is_inside (outline, u, w))
                bits[pixel / 8] |= (guint8)(0x80 >> pixel % 8);
        }
}
