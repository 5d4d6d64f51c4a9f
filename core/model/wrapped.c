/* SPDX-License-Identifier: MIT */
/* The roles of a model that is wrapped, and the simplest wrapper: a model whose loss another plugin
 * makes. */
#include <dlhost/dlhost.h>
#include "model/wrapped.h"

static const DlhModel *
model_of (const DlhWrapped *w)
{
    return dlh_component_interface (w->model);
}

/* The latent role. */

static DlhDistribution *
change (gconstpointer data, DlhBuild *build, const DlhProblem *problem, DlhDistribution *d)
{
    DlhWrapped *w = (DlhWrapped *)data;
    guint n = w->change ? dlh_distribution_n_parameters (d) : 0;
    g_autofree DlhNode **nodes = g_new (DlhNode *, n + 1);

    for (guint i = 0; i < n; i++)
        nodes[i] = dlh_distribution_parameter (d, i);
    if (!n || !dlh_graph_check (build->graph, NULL))
        return d;
    w->change (w, build, problem, nodes, n);
    return dlh_distribution_like (d, nodes);
}

static DlhDistribution *
wrapped_prior (DlhBuild *build, const DlhProblem *problem, gconstpointer data, gint64 n)
{
    const DlhWrapped *w = data;

    return change (
        w, build, problem,
        model_of (w)->latent->prior (build, problem, dlh_component_options (w->model), n));
}

static DlhDistribution *
wrapped_decode (DlhBuild *build, const DlhProblem *problem, gconstpointer data, DlhNode *z)
{
    const DlhWrapped *w = data;

    return change (
        w, build, problem,
        model_of (w)->latent->decode (build, problem, dlh_component_options (w->model), z));
}

static DlhDistribution *
wrapped_encode (DlhBuild *build, const DlhProblem *problem, gconstpointer data, DlhNode *x)
{
    const DlhWrapped *w = data;

    return change (
        w, build, problem,
        model_of (w)->latent->encode (build, problem, dlh_component_options (w->model), x));
}

/* The density role. */

static guint
wrapped_blocks (gconstpointer data, DlhBlock *blocks, GError **error)
{
    const DlhWrapped *w = data;

    return model_of (w)->density->blocks (dlh_component_options (w->model), blocks, error);
}

static DlhNode *
wrapped_log_density (DlhBuild *build, gconstpointer data, DlhNode *const *positions)
{
    const DlhWrapped *w = data;

    return model_of (w)->density->log_density (build, dlh_component_options (w->model), positions);
}

static void
wrapped_moments (gconstpointer data, guint block, gint64 element, double *mean, double *variance)
{
    const DlhWrapped *w = data;

    model_of (w)->density->moments (dlh_component_options (w->model), block, element, mean,
                                    variance);
}

static void
wrapped_draw (DlhBuild *build, gconstpointer data, DlhStream *stream, gint64 n_chains,
              DlhNode **out)
{
    const DlhWrapped *w = data;

    model_of (w)->density->draw (build, dlh_component_options (w->model), stream, n_chains, out);
}

void
dlh_wrapped_init (DlhWrapped *w, DlhComponent *model, const DlhSupervised *supervised)
{
    const DlhModel *m = dlh_component_interface (model);

    w->model = model;
    w->interface = (DlhModel){.size = sizeof (DlhModel), .supervised = supervised};
    if (m->latent) {
        w->interface.latent = &w->latent;
        w->latent = (DlhLatent){.size = sizeof (DlhLatent),
                                .prior = m->latent->prior ? wrapped_prior : NULL,
                                .decode = wrapped_decode,
                                .encode = m->latent->encode ? wrapped_encode : NULL};
    }
    if (m->density && !w->change) {
        w->interface.density = &w->density;
        w->density = (DlhDensity){.size = sizeof (DlhDensity),
                                  .blocks = m->density->blocks ? wrapped_blocks : NULL,
                                  .log_density = wrapped_log_density,
                                  .moments = m->density->moments ? wrapped_moments : NULL,
                                  .draw = m->density->draw ? wrapped_draw : NULL};
    }
}

/* Another loss. */

typedef struct {
    DlhWrapped wrapped; /* first */
    DlhComponent *objective;
} Objective;

static void
objective_free (gpointer data)
{
    Objective *o = data;

    dlh_component_unref (o->objective);
    g_free (o);
}

static gboolean
objective_build (DlhBuild *build, const DlhProblem *problem, gconstpointer data, DlhNode *x,
                 DlhNode *y, DlhObjective *objective, GError **error)
{
    const Objective *o = data;
    const DlhObjectiveRole *role = dlh_component_interface (o->objective);

    if (!model_of (&o->wrapped)
             ->supervised->build (build, problem, dlh_component_options (o->wrapped.model), x, y,
                                  objective, error))
        return FALSE;
    if (!objective->loss || dlh_node_failed (x) || !dlh_graph_check (build->graph, NULL))
        return TRUE; // the trainer says what is wrong
    if (role->build (build, problem, dlh_component_options (o->objective), dlh_node_dim (x, 0),
                     objective, error))
        return TRUE;
    g_prefix_error (error, "%s: ", dlh_component_name (o->objective));
    return FALSE;
}

DlhComponent *
dlh_model_with_objective (DlhComponent *model, DlhComponent *objective, GError **error)
{
    static const DlhSupervised supervised = {sizeof (DlhSupervised), objective_build};
    Objective *data;
    DlhComponent *made;

    if (!((const DlhModel *)dlh_component_interface (model))->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%s is an objective of models with the supervised role, which '%s' does not "
                     "offer",
                     dlh_component_name (objective), dlh_component_name (model));
        return NULL;
    }
    data = g_new0 (Objective, 1);
    data->objective = dlh_component_ref (objective);
    dlh_wrapped_init (&data->wrapped, model, &supervised);
    made =
        dlh_component_new_wrapping (model, &data->wrapped.interface, data, objective_free, error);
    if (!made)
        objective_free (data);
    return made;
}
