/* SPDX-License-Identifier: MIT */
/* A copy as a function of a batch that is never trained on as such: the outputs z of the model and
 * the outputs s of every layer, those of the twin mapped back, all in evaluation mode. */
#include "invariance.h"

void
trace_clear (Trace *trace)
{
    g_clear_pointer (&trace->graph, dlh_graph_unref);
    g_clear_pointer (&trace->notes, g_array_unref);
}

static DlhNode *
input_like (DlhGraph *graph, const char *name, DlhTensor *t)
{
    return t ? dlh_input (graph, name, dlh_tensor_get_dtype (t), dlh_tensor_get_shape (t)) : NULL;
}

gboolean
trace_build (Trace *trace, Copy *copy, DlhComponent *component, DlhStore *store,
             const DlhProblem *problem, DlhTensor *x, DlhTensor *y, GError **error)
{
    const DlhModel *model = dlh_component_interface (component);
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild build = {sizeof build, NULL, store, FALSE, updates};
    DlhNode *in, *target;
    GError *cause = NULL;
    gboolean ok;

    trace->graph = build.graph = dlh_graph_new ();
    trace->objective.size = sizeof trace->objective;
    trace->notes = copy->notes = g_array_new (FALSE, FALSE, sizeof (Note));
    in = input_like (trace->graph, "x", x);
    target = input_like (trace->graph, "y", y);
    dlh_graph_push_scope (trace->graph, dlh_component_name (component));
    ok = model->supervised->build (&build, problem, dlh_component_options (component), in, target,
                                   &trace->objective, &cause);
    copy->notes = NULL;
    if (!ok) {
        g_prefix_error (&cause, "%s: ", dlh_component_name (component));
        return dlh_component_fail (component, cause, error);
    }
    if (!dlh_graph_check (trace->graph, error))
        return FALSE;
    if (trace->objective.loss && trace->objective.prediction)
        return TRUE;
    g_set_error (
        error, DLH_ERROR, DLH_ERROR_OPTION,
        "invariance: model '%s' states no loss with a prediction behind it, so there is no "
        "function to compare",
        dlh_component_name (component));
    return FALSE;
}

gboolean
probe_open (Probe *probe, Trace *trace, DlhTensor *x, DlhTensor *y, GError **error)
{
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();

    g_ptr_array_add (outputs, dlh_distribution_outputs (trace->objective.prediction));
    for (guint i = 0; i < trace->notes->len; i++)
        g_ptr_array_add (outputs, g_array_index (trace->notes, Note, i).output);
    probe->x = dlh_tensor_ref (x);
    probe->y = y ? dlh_tensor_ref (y) : NULL;
    probe->notes = g_array_ref (trace->notes);
    probe->n = outputs->len;
    probe->function =
        dlh_graph_compile (trace->graph, (DlhNode **)outputs->pdata, outputs->len, error);
    return probe->function != NULL;
}

void
probe_clear (Probe *probe)
{
    g_clear_pointer (&probe->function, dlh_function_unref);
    g_clear_pointer (&probe->x, dlh_tensor_unref);
    g_clear_pointer (&probe->y, dlh_tensor_unref);
    g_clear_pointer (&probe->notes, g_array_unref);
}

gboolean
probe_run (Probe *probe, GError **error)
{
    DlhTensor *inputs[] = {probe->x, probe->y};

    return dlh_function_run (probe->function, inputs, probe->y ? 2 : 1, error);
}
