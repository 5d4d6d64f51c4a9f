/* SPDX-License-Identifier: MIT */
/* Maps with a meaning, all diagonal with shifts:
 *
 *   activation  tanh (s) = 2 sigmoid (2 s) - 1: the twin is the network with the other activation:
 *               from tanh Ph = 1/2, Om = 1/2, om = 1/2; from sigmoid Ph = 2, Om = 2, om = -1
 *   centred     om_0 = - mean of the inputs
 *   batchnorm   fixed normalisation of pre-activations: Ph = their standard deviation, tau = their
 *               mean, both of the first weights
 *
 * Means are over the batch that the functions are compared on, positions and time steps. */
#include <math.h>
#include <string.h>
#include "invariance.h"

static DlhTensor *
filled (gint64 n, double value, GError **error)
{
    DlhTensor *t = dlh_tensor_new (DLH_F64, dlh_shape (n), error);

    for (gint64 i = 0; t && i < n; i++)
        dlh_tensor_set (t, i, value);
    return t;
}

// Over all uses of layer @k: values at its inputs or outputs as rows (m, n).
static DlhNode *
rows_of (const Trace *trace, guint k, gboolean conv, gboolean outputs)
{
    g_autoptr (GPtrArray) parts = g_ptr_array_new ();

    for (guint i = 0; i < trace->notes->len; i++) {
        const Note *note = &g_array_index (trace->notes, Note, i);
        DlhNode *x = outputs ? note->output : note->input;

        if (note->layer != k)
            continue;
        if (conv)
            x = dlh_transpose (x, (const guint[]){0, 2, 3, 1}, 4);
        g_ptr_array_add (parts, dlh_reshape (x, dlh_shape (-1, dlh_node_dim (x, -1))));
    }
    return dlh_concat ((DlhNode **)parts->pdata, parts->len, 0);
}

/* Means and standard deviations, (n) each. */
static gboolean
measure (Trace *trace, DlhNode *rows, DlhTensor *x, DlhTensor *y, DlhTensor **mean, DlhTensor **std,
         GError **error)
{
    DlhNode *m = dlh_mean_axis (rows, 0), *nodes[2] = {m, NULL};
    DlhTensor *inputs[] = {x, y};
    g_autoptr (DlhFunction) f = NULL;

    nodes[1] = dlh_sqrt (dlh_mean_axis (dlh_square (dlh_sub (rows, m)), 0));
    f = dlh_graph_compile (trace->graph, nodes, 2, error);
    if (!f || !dlh_function_run (f, inputs, y ? 2 : 1, error))
        return FALSE;
    *mean = dlh_tensor_copy (dlh_function_output (f, 0), error);
    *std = *mean ? dlh_tensor_copy (dlh_function_output (f, 1), error) : NULL;
    return *std != NULL;
}

static gboolean
centre (Layer *l, DlhTensor *mean, GError **error)
{
    const gint64 n = l->groups * l->n_in;

    l->in = (Map){.groups = l->groups, .n = l->n_in, .shift = filled (n, 0, error)};
    for (gint64 i = 0; l->in.shift && i < n; i++)
        dlh_tensor_set (l->in.shift, i, -dlh_tensor_get (mean, i));
    return l->in.shift != NULL;
}

// A unit that is constant is not stretched.
static gboolean
normalise (Layer *l, DlhTensor *mean, DlhTensor *std, GError **error)
{
    const gint64 n = l->groups * l->n_out;

    l->out = (Map){.groups = l->groups, .n = l->n_out, .scale = filled (n, 1, error)};
    for (gint64 i = 0; l->out.scale && i < n; i++)
        if (dlh_tensor_get (std, i) > 0)
            dlh_tensor_set (l->out.scale, i, dlh_tensor_get (std, i));
    if (l->out.scale && l->bias)
        l->out.shift = dlh_tensor_ref (mean);
    return l->out.scale != NULL;
}

static gboolean
set_measured (Layers *layers, gboolean inputs, Trace *trace, DlhTensor *x, DlhTensor *y,
              GError **error)
{
    guint n = 0;

    for (guint k = 0; k < layers->len; k++) {
        Layer *l = layers->pdata[k];
        g_autoptr (DlhTensor) mean = NULL, std = NULL;

        if (inputs ? !l->first || !layer_takes_shift (l) : l->last)
            continue;
        n++;
        if (!measure (trace, rows_of (trace, k, l->conv, !inputs), x, y, &mean, &std, error) ||
            !(inputs ? centre (l, mean, error) : normalise (l, mean, std, error)))
            return FALSE;
    }
    if (n)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 inputs ? "invariance: preset=centred wants a layer of the inputs with a bias, and "
                          "the model has none: give another preset"
                        : "invariance: preset=batchnorm wants a hidden layer, and the model has "
                          "none: give it one, or another preset");
    return FALSE;
}

/* Another activation. */

static DlhNode *
count (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    guint *counts = data;

    (void)inputs;
    if (dlh_node_is (node, "tanh"))
        counts[0]++;
    if (dlh_node_is (node, "sigmoid"))
        counts[1]++;
    return node;
}

static const char *
find_activation (Trace *trace, GError **error)
{
    guint counts[2] = {0, 0};
    DlhNode *z = dlh_distribution_outputs (trace->objective.prediction), *same;

    dlh_graph_rewrite (&z, 1, count, counts, &same);
    if ((counts[0] > 0) != (counts[1] > 0))
        return counts[0] ? "tanh" : "sigmoid";
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "invariance: preset=activation wants a model with tanh or with sigmoid, this one "
                 "has %s: give the model activation=tanh, or another preset",
                 counts[0] ? "both" : "neither");
    return NULL;
}

static gboolean
set_activation (Layers *layers, const char *swap, GError **error)
{
    const gboolean from_tanh = strcmp (swap, "tanh") == 0;

    for (guint k = 0; k < layers->len; k++) {
        Layer *l = layers->pdata[k];
        const gint64 n_in = l->groups * l->n_in, n_out = l->groups * l->n_out;

        if (!l->first) {
            l->in = (Map){.groups = l->groups,
                          .n = l->n_in,
                          .scale = filled (n_in, from_tanh ? 0.5 : 2, error)};
            if (!l->in.scale || (layer_takes_shift (l) &&
                                 !(l->in.shift = filled (n_in, from_tanh ? 0.5 : -1, error))))
                return FALSE;
        }
        if (l->last)
            continue;
        l->out = (Map){.groups = l->groups,
                       .n = l->n_out,
                       .scale = filled (n_out, from_tanh ? 0.5 : 2, error)};
        if (!l->out.scale)
            return FALSE;
    }
    return TRUE;
}

gboolean
presets_set (Layers *layers, const InvarianceOptions *opt, Trace *trace, DlhTensor *x, DlhTensor *y,
             const char **swap, GError **error)
{
    if (strcmp (opt->preset, "activation") != 0)
        return set_measured (layers, strcmp (opt->preset, "centred") == 0, trace, x, y, error);
    *swap = find_activation (trace, error);
    return *swap && set_activation (layers, *swap, error);
}
