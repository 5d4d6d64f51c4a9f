/* SPDX-License-Identifier: MIT */
// Rates of convergence over x = step size times curvature, by the update matrix and by running. A
// quadratic of condition k with largest curvature L has the x from rate / k to rate, rate = lr L,
// and converges as its worst x does; so one curve over x tells all conditions and all step sizes.
#include <math.h>
#include "figures.h"

#define DECADES 7
#define FINE 64     /* in a decade: of the matrix */
#define LINE 32     /* of the matrix, as drawn */
#define COARSE 16   /* of the run */
#define SHOWN 4     /* of the run, as points */
#define TOP 4.5     /* the largest x, beyond every edge */
#define LEAST 0.01  /* x in the figure of stability */
#define CEILING 1.5 /* rates above leave the figure of stability */

/* Rates of one method at x = rate 10^((first + i) / per), i = 0 .. n - 1. */
typedef struct {
    double *x, *rates;
    int first, n, per;
} Sweep;

static Sweep
sweep_new (int per, double rate)
{
    Sweep w = {.first = -DECADES * per, .per = per};

    w.n = (int)floor (log10 (TOP / rate) * per) - w.first + 1;
    w.x = g_new (double, w.n);
    w.rates = g_new (double, w.n);
    for (int i = 0; i < w.n; i++)
        w.x[i] = rate * pow (10, (double)(w.first + i) / per);
    return w;
}

static void
sweep_clear (Sweep *w)
{
    g_free (w->x);
    g_free (w->rates);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sweep, sweep_clear)

static void
sweep_by_matrix (Sweep *w, const Method *m)
{
    for (int i = 0; i < w->n; i++)
        w->rates[i] = spectral_radius (m, w->x[i]);
}

// Curvatures below and beyond the edge are run apart: the latter grow too large to be kept for
// long.
static gboolean
run_part (Study *s, const Method *m, Sweep *w, int from, int n, gint64 steps, GError **error)
{
    g_autofree double *curvatures = g_new (double, MAX (n, 1));
    g_autofree double *path = g_new (double, (gsize)MAX (n, 1) * (gsize)(steps + 1));

    for (int i = 0; i < n; i++)
        curvatures[i] = w->x[from + i] / s->opt->rate;
    if (n && !running_path (s, m, s->opt->rate, curvatures, (gsize)n, steps, path, error))
        return FALSE;
    for (int i = 0; i < n; i++)
        w->rates[from + i] = running_rate (path, (gsize)n, (gsize)i, steps);
    return TRUE;
}

static gboolean
sweep_by_running (Study *s, Sweep *w, const Method *m, GError **error)
{
    int inside = 0;

    while (inside < w->n && w->x[inside] < spectral_edge (m))
        inside++;
    return run_part (s, m, w, 0, inside, s->opt->steps, error) &&
           run_part (s, m, w, inside, w->n - inside, MIN (GROWING_STEPS, s->opt->steps), error);
}

/* What a condition makes of them. */

// The worst of the rates from index @last down over @width of them.
static double
worst (const Sweep *w, int last, int width)
{
    double most = 0;

    for (int i = last - width; i <= last; i++)
        most = fmax (most, w->rates[i]);
    return most;
}

static double
rate_of (const Sweep *w, int width, gboolean tuned)
{
    double best = INFINITY;

    if (!tuned)
        return worst (w, -w->first, width);
    for (int last = width; last < w->n; last++)
        best = fmin (best, worst (w, last, width));
    return best;
}

// Steps in which the distance falls by e.
static double
steps_of (double rate)
{
    return rate < 1 ? -1 / log (rate) : NAN;
}

static void
add_conditions (Plot *p, const Sweep *w, int per, const char *label, DlhCurveStyle style,
                guint colour, gboolean tuned)
{
    const int stride = w->per / per, n = DECADES * per;
    double *x = plot_add (p, label, style, colour, (gsize)n), *y = x + n;

    for (int i = 0; i < n; i++) {
        const int width = (i + 1) * stride;

        x[i] = pow (10, (double)(i + 1) / per);
        y[i] = steps_of (rate_of (w, width, tuned));
    }
}

// The best that classical momentum can do where the condition is known: Polyak's choice.
static void
add_known_best (Plot *p, guint colour)
{
    const int n = DECADES * FINE;
    double *x = plot_add (p, "best momentum", DLH_CURVE_LINE, colour, (gsize)n), *y = x + n;

    for (int i = 0; i < n; i++) {
        x[i] = pow (10, (double)(i + 1) / FINE);
        y[i] = steps_of ((sqrt (x[i]) - 1) / (sqrt (x[i]) + 1));
    }
}

static void
add_stability (Plot *p, const Sweep *w, const char *label, DlhCurveStyle style, guint colour)
{
    double *x = plot_add (p, label, style, colour, (gsize)w->n), *y = x + w->n;

    for (int i = 0; i < w->n; i++) {
        x[i] = w->x[i];
        y[i] = w->x[i] >= LEAST && w->rates[i] <= CEILING ? w->rates[i] : NAN;
    }
}

static void
add_roots (Plot *p, const Method *m, guint colour)
{
    const guint side = m->n + 1;
    const int first = -4 * SHOWN, n = -first + 1;
    double *x = plot_add (p, m->label, DLH_CURVE_POINTS, colour, (gsize)n * side);
    double *y = x + (gsize)n * side;

    for (int i = 0; i < n; i++)
        spectral_roots (m, pow (10, (double)(first + i) / SHOWN), x + (guint)i * side,
                        y + (guint)i * side);
}

/* One method through all figures. */

typedef struct {
    Plot fixed, tuned, stability, roots;
    guint shown;
} Plots;

static gboolean
log_method (Study *s, const Method *m, const Sweep *spectral, const Sweep *run, GError **error)
{
    const double edge = spectral_edge (m), at_1e3 = rate_of (spectral, 3 * FINE, FALSE);
    double apart = 0;
    g_autofree char *first = g_strdup_printf ("edge/%s", m->label);
    g_autofree char *second = g_strdup_printf ("rate_1e3/%s", m->label);
    g_autofree char *third = g_strdup_printf ("apart/%s", m->label);
    const char *const names[] = {first, second, third};

    for (int i = 0; i < run->n; i++)
        if (isfinite (run->rates[i]))
            apart = fmax (apart, fabs (run->rates[i] - spectral_radius (m, run->x[i])));
    return dlh_run_log (s->run, "eval", s->done, names, (double[]){edge, at_1e3, apart}, 3, error);
}

static gboolean
add_method (Study *s, const Method *m, guint colour, Plots *p, GError **error)
{
    g_auto (Sweep) spectral = sweep_new (FINE, s->opt->rate);
    g_auto (Sweep) run = sweep_new (COARSE, s->opt->rate);

    sweep_by_matrix (&spectral, m);
    if (!sweep_by_running (s, &run, m, error))
        return FALSE;
    add_conditions (&p->fixed, &spectral, LINE, m->label, DLH_CURVE_LINE, colour, FALSE);
    add_conditions (&p->fixed, &run, SHOWN, NULL, DLH_CURVE_POINTS, colour, FALSE);
    add_conditions (&p->tuned, &spectral, LINE, m->label, DLH_CURVE_LINE, colour, TRUE);
    add_conditions (&p->tuned, &run, SHOWN, NULL, DLH_CURVE_POINTS, colour, TRUE);
    if (method_is_shown (s, m)) {
        p->shown++;
        add_stability (&p->stability, &spectral, m->label, DLH_CURVE_LINE, p->shown);
        add_stability (&p->stability, &run, NULL, DLH_CURVE_POINTS, p->shown);
        add_roots (&p->roots, m, p->shown);
    }
    return log_method (s, m, &spectral, &run, error);
}

gboolean
rates_draw (Study *s, GError **error)
{
    Plots p = {0};
    gboolean ok = TRUE;

    for (guint i = 0; ok && i < s->methods->len; i++)
        ok = add_method (s, s->methods->pdata[i], i + 1, &p, error);
    if (ok) {
        add_known_best (&p.fixed, s->methods->len + 1);
        add_known_best (&p.tuned, s->methods->len + 1);
        p.fixed.log_x = p.fixed.log_y = p.tuned.log_x = p.tuned.log_y = p.stability.log_x = TRUE;
    }
    ok = ok &&
         plot_draw (&p.fixed, s, "rate", "Convergence against condition, one step size",
                    "Lines: spectral radius of the update matrix. Circles: the plugins, run.",
                    "condition number", "steps to fall by e", error) &&
         plot_draw (&p.tuned, s, "rate-tuned", "Convergence against condition, best step sizes",
                    "Each method has the step size that is best for the condition, by the matrix "
                    "(lines) and among those run (circles).",
                    "condition number", "steps to fall by e", error) &&
         plot_draw (&p.stability, s, "stability", "Factor of a step",
                    "Above 1 the method diverges. Lines: spectral radius; circles: the plugins, "
                    "run.",
                    "step size times curvature", "factor of a step, in the long run", error) &&
         plot_draw (&p.roots, s, "roots", "Eigenvalues of the update matrix",
                    "For step size times curvature from 1e-4 to 1, four in a decade.", "real part",
                    "imaginary part", error);
    plot_clear (&p.fixed);
    plot_clear (&p.tuned);
    plot_clear (&p.stability);
    plot_clear (&p.roots);
    return ok;
}
