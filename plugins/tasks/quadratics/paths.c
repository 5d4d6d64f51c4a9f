/* SPDX-License-Identifier: MIT */
// Paths on a quadratic of two variables with curvatures 1 and 1 / condition, from (1, 1).
#include <math.h>
#include "figures.h"

#define IN_THE_PLANE 100 /* steps; more hide each other */

typedef struct {
    Plot plane, steep, flat, distance;
} Plots;

static gboolean
add_method (Study *s, const Method *m, guint colour, Plots *p, GError **error)
{
    const gint64 steps = s->opt->shown;
    const gsize n = (gsize)steps + 1, near = MIN (n, IN_THE_PLANE + 1);
    const double curvatures[] = {1, 1 / s->opt->condition};
    g_autofree double *path = g_new (double, 2 * n);
    double *plane, *steep, *flat, *distance;

    if (!running_path (s, m, s->opt->lr, curvatures, 2, steps, path, error))
        return FALSE;
    plane = plot_add (&p->plane, m->label, DLH_CURVE_LINE, colour, near);
    steep = plot_add (&p->steep, m->label, DLH_CURVE_LINE, colour, n);
    flat = plot_add (&p->flat, m->label, DLH_CURVE_LINE, colour, n);
    distance = plot_add (&p->distance, m->label, DLH_CURVE_LINE, colour, n);
    for (gsize t = 0; t < n; t++) {
        if (t < near) {
            plane[t] = path[2 * t + 1];
            plane[near + t] = path[2 * t];
        }
        steep[t] = flat[t] = distance[t] = (double)t;
        steep[n + t] = path[2 * t];
        flat[n + t] = path[2 * t + 1];
        distance[n + t] = hypot (path[2 * t], path[2 * t + 1]);
    }
    return TRUE;
}

gboolean
paths_draw (Study *s, GError **error)
{
    Plots p = {.distance.log_y = TRUE};
    gboolean ok = TRUE;

    for (guint i = 0, colour = 0; ok && i < s->methods->len; i++)
        if (method_is_shown (s, s->methods->pdata[i]))
            ok = add_method (s, s->methods->pdata[i], ++colour, &p, error);
    ok = ok &&
         plot_draw (&p.plane, s, "plane", "Paths in the plane", NULL, "flat direction",
                    "steep direction", error) &&
         plot_draw (&p.steep, s, "steep", "Along the steep direction", NULL, "step", "coordinate",
                    error) &&
         plot_draw (&p.flat, s, "flat", "Along the flat direction", NULL, "step", "coordinate",
                    error) &&
         plot_draw (&p.distance, s, "distance", "Distance from the minimum", NULL, "step",
                    "distance", error);
    plot_clear (&p.plane);
    plot_clear (&p.steep);
    plot_clear (&p.flat);
    plot_clear (&p.distance);
    return ok;
}
