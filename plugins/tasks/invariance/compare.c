/* SPDX-License-Identifier: MIT */
/* How far apart both copies are as functions: max |z - z'| / max |z| over a batch that is kept for
 * that, for the model's outputs and for every layer's. */
#include <math.h>
#include <string.h>
#include "invariance.h"

#define MAX_SHOWN 12 /* curves of layers */

void
compare_open (Invariance *v)
{
    v->n_values = 2 + v->layers->len;
    v->history = g_array_new (FALSE, FALSE, sizeof (double));
    v->names = g_new0 (const char *, v->n_values);
    v->names[0] = g_strdup ("invariance/outputs");
    v->names[1] = g_strdup ("invariance/moved");
    for (guint i = 0; i < v->layers->len; i++)
        v->names[2 + i] =
            g_strconcat ("invariance/layer/", ((Layer *)v->layers->pdata[i])->label, NULL);
}

void
compare_clear (Invariance *v)
{
    dlh_tensor_unref (v->first);
    for (guint i = 0; v->names && i < v->n_values; i++)
        g_free ((char *)v->names[i]);
    g_free (v->names);
    g_clear_pointer (&v->history, g_array_unref);
}

/* Comparing. */

// max |a - b| and max |a|, kept if larger than before; NaN stays.
static void
largest (const DlhTensor *a, const DlhTensor *b, double *difference, double *scale)
{
    const double *x = dlh_tensor_get_data (a), *y = dlh_tensor_get_data (b);

    for (gint64 i = 0; i < dlh_tensor_count (a); i++) {
        const double d = fabs (x[i] - y[i]);

        *difference = d <= *difference ? *difference : d;
        *scale = fabs (x[i]) <= *scale ? *scale : fabs (x[i]);
    }
}

static double
relative (double difference, double scale)
{
    return scale > 0 ? difference / scale : difference;
}

gboolean
compare (Invariance *v, gint64 step, GError **error)
{
    Probe *a = &v->sides[0].probe, *b = &v->sides[1].probe;
    g_autofree double *difference = g_new0 (double, v->n_values);
    g_autofree double *scale = g_new0 (double, v->n_values);

    if (!probe_run (a, error) || !probe_run (b, error))
        return FALSE;
    for (guint i = 0; i < a->n; i++) {
        const guint k = i ? 2 + g_array_index (a->notes, Note, i - 1).layer : 0;

        largest (dlh_function_output (a->function, i), dlh_function_output (b->function, i),
                 &difference[k], &scale[k]);
    }
    if (!v->first && !(v->first = dlh_tensor_copy (dlh_function_output (a->function, 0), error)))
        return FALSE;
    largest (v->first, dlh_function_output (a->function, 0), &difference[1], &scale[1]);
    for (guint i = 0; i < v->n_values; i++) {
        difference[i] = relative (difference[i], scale[i]);
        if (!isfinite (difference[i])) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "invariance: after step %" G_GINT64_FORMAT " '%s' is not finite: give the "
                         "optimizer a smaller step size",
                         step, v->names[i]);
            return FALSE;
        }
    }
    g_array_append_vals (v->history, difference, v->n_values);
    v->start = step ? v->start : difference[0];
    v->worst = MAX (v->worst, difference[0]);
    v->moved = MAX (v->moved, difference[1]);
    return dlh_run_log (v->run, "step", step, v->names, difference, v->n_values, error);
}

/* The figure. */

// Column @i of the history, (n).
static double *
column (const Invariance *v, guint i, gsize n)
{
    double *y = g_new (double, n);

    for (gsize t = 0; t < n; t++)
        y[t] = g_array_index (v->history, double, t * v->n_values + i);
    return y;
}

static gboolean
draw (Invariance *v, const char *caption, GError **error)
{
    static const char *const labels[] = {"outputs", "movement of the function since the start"};
    const guint n_curves = MIN (v->n_values, 2 + MAX_SHOWN);
    const gsize n = v->history->len / v->n_values;
    g_autofree double *steps = g_new (double, n);
    g_autoptr (GPtrArray) ys = g_ptr_array_new_with_free_func (g_free);
    g_autofree DlhCurve *curves = g_new0 (DlhCurve, n_curves);
    g_autofree char *title =
        g_strdup_printf ("%s and its reparameterised twin, %s",
                         dlh_component_name (dlh_run_component (v->run, DLH_MODEL)),
                         dlh_component_name (dlh_run_component (v->run, DLH_OPTIMIZER)));
    const DlhFigure figure = {.size = sizeof figure,
                              .kind = DLH_FIGURE_CURVES,
                              .name = "invariance",
                              .title = title,
                              .caption = caption,
                              .x_label = "step",
                              .y_label = "largest difference, relative",
                              .log_y = TRUE,
                              .curves = curves,
                              .n_curves = n_curves};

    for (gsize t = 0; t < n; t++)
        steps[t] = (double)t;
    for (guint i = 0; i < n_curves; i++) {
        g_ptr_array_add (ys, column (v, i, n));
        curves[i] =
            (DlhCurve){.label = i < 2 ? labels[i] : ((Layer *)v->layers->pdata[i - 2])->label,
                       .x = steps,
                       .y = ys->pdata[i],
                       .n = n};
    }
    return dlh_run_figure (v->run, &figure, error);
}

/* Judging. */

static gboolean
judge (Invariance *v, Verdict theory, GError **error)
{
    const gboolean same = v->worst <= v->opt->tolerance;
    const char *expect = v->opt->expect;
    gboolean wanted;

    if (strcmp (expect, "any") == 0 || (strcmp (expect, "theory") == 0 && theory == THEORY_NONE))
        return TRUE;
    if (v->moved <= v->opt->tolerance) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                     "invariance: in %" G_GINT64_FORMAT
                     " steps the function has moved by %.3g only, "
                     "which says nothing: give more steps or a larger step size",
                     v->opt->steps, v->moved);
        return FALSE;
    }
    wanted = strcmp (expect, "invariant") == 0 ||
             (strcmp (expect, "theory") == 0 && theory == THEORY_INVARIANT);
    if (same == wanted)
        return TRUE;
    g_set_error (
        error, DLH_ERROR, DLH_ERROR_NUMERIC,
        "invariance: the outputs differ by %.3g, which is %s %g; expected was that they %s",
        v->worst, same ? "at most" : "more than", v->opt->tolerance, wanted ? "agree" : "differ");
    return FALSE;
}

gboolean
conclude (Invariance *v, GError **error)
{
    static const char *const names[] = {"invariance/start", "invariance/worst", "invariance/moved",
                                        "invariance/tolerance"};
    const double values[] = {v->start, v->worst, v->moved, v->opt->tolerance};
    DlhComponent *optimizer = dlh_run_component (v->run, DLH_OPTIMIZER);
    const gboolean given = strcmp (v->opt->preset, "none") != 0;
    const char *why;
    const Verdict theory = theory_of (optimizer, v->opt, v->layers, v->batch, &why);

    g_autofree char *summary =
        g_strdup_printf ("%s, %s%s, %" G_GINT64_FORMAT
                         " steps: outputs differ by %.2g at most, %.2g before the first "
                         "step; the function has moved by %.2g: %s",
                         dlh_component_name (optimizer), given ? "preset " : v->opt->maps,
                         given ? v->opt->preset : " maps", v->opt->steps, v->worst, v->start,
                         v->moved, v->worst <= v->opt->tolerance ? "invariant" : "not invariant");

    dlh_run_message (v->run, "%s", summary);
    dlh_run_message (v->run, "theory: %s: %s",
                     theory == THEORY_NONE        ? "none"
                     : theory == THEORY_INVARIANT ? "invariant"
                                                  : "not invariant",
                     why);
    return draw (v, summary, error) &&
           dlh_run_log (v->run, "final", v->opt->steps, names, values, G_N_ELEMENTS (values),
                        error) &&
           judge (v, theory, error);
}
