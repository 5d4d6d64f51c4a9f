/* SPDX-License-Identifier: MIT */
/* A perturbed parameter: its mean, its draws and its signs, each made once for a graph. */
#include <dlhost/dlhost.h>
#include "perturb/private.h"

void
dlh_weight_free (gpointer weight)
{
    DlhWeight *w = weight;

    g_array_unref (w->uses);
    g_free (w->obstacle);
    g_free (w);
}

// Training and evaluation have streams of their own: to look changes nothing.
DlhStream *
dlh_weight_stream (DlhWeight *w, const char *what)
{
    const DlhBuild *build = w->perturb->build;
    g_autofree char *name = g_strdup_printf ("perturb/%s%s/%s", build->training ? "" : "evaluate/",
                                             dlh_variable_name (w->variable), what);

    return dlh_store_stream (build->store, name);
}

DlhNode *
dlh_weight_value (DlhWeight *w)
{
    return w->value;
}

DlhVariable *
dlh_weight_variable (DlhWeight *w)
{
    return w->variable;
}

double
dlh_weight_sigma (DlhWeight *w, double preset)
{
    const double sigma = w->perturb->options->sigma;

    return sigma >= 0 ? sigma : preset;
}

double
dlh_weight_rate (DlhWeight *w)
{
    return w->perturb->options->rate;
}

gconstpointer
dlh_weight_noise_options (DlhWeight *w)
{
    return w->perturb->noise_options;
}

DlhNode *
dlh_weight_parameter (DlhWeight *w, const char *name, DlhInit init)
{
    const DlhBuild *build = w->perturb->build;
    g_autofree char *full = g_strdup_printf ("%s/%s", dlh_variable_name (w->variable), name);
    g_autoptr (GError) error = NULL;
    DlhVariable *v = dlh_store_variable (build->store, full, dlh_variable_dtype (w->variable),
                                         dlh_variable_shape (w->variable), init, &error);

    if (!v)
        return dlh_graph_fail (build->graph, error->code, "%s", error->message);
    dlh_variable_set_trainable (v, TRUE);
    return dlh_read (build->graph, v);
}

DlhNode *
dlh_weight_mean (DlhWeight *w)
{
    const DlhNoise *noise = w->perturb->noise;

    if (!w->mean)
        w->mean = noise->mean ? noise->mean (w) : w->value;
    return w->mean;
}

DlhNode *
dlh_weight_std (DlhWeight *w)
{
    if (!w->std)
        w->std = w->perturb->noise->std (w);
    return w->std;
}

// f (W + D / f) with f W the mean.
DlhNode *
dlh_weight_noisy (DlhWeight *w)
{
    DlhNode *mean = dlh_weight_mean (w), *draw = dlh_weight_draw (w);
    double factor;

    if (!dlh_node_is (mean, "scale") || dlh_node_input (mean, 0) != w->value)
        return dlh_add (mean, dlh_as_noise (draw));
    factor = *(const double *)dlh_node_attrs (mean);
    return dlh_scale (dlh_add (w->value, dlh_as_noise (dlh_scale (draw, 1 / factor))), factor);
}

static DlhNode *
check_draw (DlhWeight *w, DlhNode *draw, gint64 n)
{
    DlhShape want = dlh_variable_shape (w->variable);
    g_autofree char *got = NULL, *text = NULL;

    if (n)
        want = dlh_shape_insert (want, 0, n);
    if (dlh_node_failed (draw) || dlh_shape_equal (dlh_node_shape (draw), want))
        return draw;
    got = dlh_shape_to_string (dlh_node_shape (draw));
    text = dlh_shape_to_string (want);
    return dlh_graph_fail (w->perturb->build->graph, DLH_ERROR_SHAPE,
                           "noise %s: a draw %s for '%s', must be %s", w->perturb->noise->name, got,
                           dlh_variable_name (w->variable), text);
}

// FALSE: nothing but noise and streams make draws.
static gboolean
is_made (DlhWeight *w, const char *what, DlhShape shape, DlhNode **out)
{
    const DlhPerturb *p = w->perturb;

    if (!*out && p->make)
        *out = p->make (w, what, shape, p->make_data);
    return *out != NULL;
}

DlhNode *
dlh_weight_draw (DlhWeight *w)
{
    if (!is_made (w, "draw", dlh_variable_shape (w->variable), &w->draw))
        w->draw = check_draw (w, w->perturb->noise->draw (w, dlh_weight_stream (w, "draw"), 0), 0);
    return w->draw;
}

DlhNode *
dlh_weight_draws (DlhWeight *w)
{
    const gint64 n = w->perturb->n;
    const DlhShape shape = dlh_shape_insert (dlh_variable_shape (w->variable), 0, n);

    if (!is_made (w, "draws", shape, &w->draws))
        w->draws =
            check_draw (w, w->perturb->noise->draw (w, dlh_weight_stream (w, "draws"), n), n);
    return w->draws;
}

DlhNode *
dlh_weight_signs (DlhWeight *w, guint axis, gint64 n)
{
    const DlhBuild *build = w->perturb->build;
    const char *what = axis ? "signs1" : "signs0";
    const DlhShape shape = dlh_shape (w->perturb->n, n);

    g_return_val_if_fail (axis < 2, NULL);
    if (!is_made (w, what, shape, &w->signs[axis]))
        w->signs[axis] = dlh_rademacher (build->graph, dlh_weight_stream (w, what),
                                         dlh_variable_dtype (w->variable), shape);
    return w->signs[axis];
}
