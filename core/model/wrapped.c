/* SPDX-License-Identifier: MIT */
/* A model whose loss another plugin makes: a component that calls the model's build() and then the
 * objective's. */
#include <dlhost/dlhost.h>

typedef struct {
    DlhComponent *model, *objective;
} Wrapped;

static void
wrapped_free (gpointer data)
{
    Wrapped *w = data;

    dlh_component_unref (w->objective);
    g_free (w);
}

static gboolean
wrapped_build (DlhBuild *build, const DlhProblem *problem, gconstpointer data, DlhNode *x,
               DlhNode *y, DlhObjective *objective, GError **error)
{
    const Wrapped *w = data;
    const DlhModel *model = dlh_component_interface (w->model);
    const DlhObjectiveRole *role = dlh_component_interface (w->objective);

    if (!model->supervised->build (build, problem, dlh_component_options (w->model), x, y,
                                   objective, error))
        return FALSE;
    if (!objective->loss || dlh_node_failed (x) || !dlh_graph_check (build->graph, NULL))
        return TRUE; // the trainer says what is wrong
    if (role->build (build, problem, dlh_component_options (w->objective), dlh_node_dim (x, 0),
                     objective, error))
        return TRUE;
    g_prefix_error (error, "%s: ", dlh_component_name (w->objective));
    return FALSE;
}

DlhComponent *
dlh_model_with_objective (DlhComponent *model, DlhComponent *objective, GError **error)
{
    static const DlhSupervised supervised = {sizeof (DlhSupervised), wrapped_build};
    static const DlhModel wrapper = {.size = sizeof (DlhModel), .supervised = &supervised};
    Wrapped w = {model, objective}, *data;
    DlhComponent *made;

    if (!((const DlhModel *)dlh_component_interface (model))->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s is an objective of models with the supervised role, which '%s' does not "
                     "offer",
                     dlh_component_name (objective), dlh_component_name (model));
        return NULL;
    }
    data = g_memdup2 (&w, sizeof w);
    dlh_component_ref (objective);
    made = dlh_component_new_wrapping (model, &wrapper, data, wrapped_free, error);
    if (!made)
        wrapped_free (data);
    return made;
}
