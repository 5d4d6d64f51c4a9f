/* SPDX-License-Identifier: MIT */
/* A model that lives on rewards. Its candidates are variables of the store, so that every function
 * sees the same ones: those that predict, for whatever number of rows, and the one that moves the
 * parameters when the rewards are there. A third one draws new candidates when they are first asked
 * for. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "train/population.h"

/* What the candidates predict for batches of one size. */
typedef struct {
    DlhGraph *graph;
    DlhFunction *function;
} Act;

struct _DlhRewarded {
    DlhStore *store;
    DlhComponent *model, *optimizer;
    DlhProblem problem;
    DlhTraining training;
    double *milestones;
    DlhVariable *step, *stale;
    DlhGraph *graph;
    DlhObjective objective;
    GPtrArray *objectives;
    DlhUpdate *update;
    DlhFunction *move, *renew;
    GHashTable *acts;  /* rows -> Act, of the candidates */
    GHashTable *plain; /* rows -> Act, of the parameters themselves */
    DlhTensor *rewards;
};

static void
act_free (gpointer data)
{
    Act *a = data;

    dlh_function_unref (a->function);
    dlh_graph_unref (a->graph);
    g_free (a);
}

void
dlh_rewarded_free (DlhRewarded *r)
{
    if (!r)
        return;
    dlh_function_unref (r->move);
    dlh_function_unref (r->renew);
    g_hash_table_unref (r->acts);
    g_hash_table_unref (r->plain);
    dlh_update_free (r->update);
    g_ptr_array_unref (r->objectives);
    dlh_graph_unref (r->graph);
    dlh_tensor_unref (r->rewards);
    dlh_component_unref (r->model);
    dlh_component_unref (r->optimizer);
    dlh_store_unref (r->store);
    g_free (r->milestones);
    g_free (r);
}

/* Building the model. */

static DlhDType
input_dtype (const DlhRewarded *r)
{
    return r->problem.vocabulary > 0 ? DLH_I64 : dlh_store_get_dtype (r->store);
}

static gboolean
build_model (DlhRewarded *r, DlhGraph *graph, DlhNode *x, DlhObjective *objective, GError **error)
{
    const DlhModel *model = dlh_component_interface (r->model);
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild build = {.size = sizeof build, .graph = graph, .store = r->store, .updates = updates};
    g_autofree char *scope = dlh_graph_swap_scope (graph, "");
    g_autofree char *top = NULL;
    GError *cause = NULL;

    objective->size = sizeof *objective;
    dlh_graph_push_scope (graph, dlh_component_name (r->model));
    if (!model->supervised->build (&build, &r->problem, dlh_component_options (r->model), x, NULL,
                                   objective, &cause)) {
        g_prefix_error (&cause, "%s: ", dlh_component_name (r->model));
        return dlh_component_fail (r->model, cause, error);
    }
    dlh_graph_pop_scope (graph);
    top = dlh_graph_swap_scope (graph, scope);
    if (!dlh_graph_check (graph, error))
        return FALSE;
    if (objective->prediction)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "model '%s' predicts nothing without targets: rewards are for a model with a "
                 "predictive distribution, such as mlp",
                 dlh_component_name (r->model));
    return FALSE;
}

static const DlhObjective *
build_rows (gpointer data, DlhNode *x, DlhNode *y, GError **error)
{
    DlhRewarded *r = data;
    g_autofree DlhObjective *made = g_new0 (DlhObjective, 1);

    (void)y;
    if (!build_model (r, r->graph, x, made, error))
        return NULL;
    g_ptr_array_add (r->objectives, made);
    return g_steal_pointer (&made);
}

static GPtrArray *
prediction_roots (const DlhObjective *objective)
{
    GPtrArray *roots = g_ptr_array_new ();

    for (guint i = 0; i < dlh_distribution_n_parameters (objective->prediction); i++)
        g_ptr_array_add (roots, dlh_distribution_parameter (objective->prediction, i));
    return roots;
}

/* The population's side. */

static char *
stored_name (const DlhPopulation *p, const DlhVariable *v, const char *part, gint64 group)
{
    return g_strdup_printf ("%s/%s/%s/%" G_GINT64_FORMAT, p->update->prefix, dlh_variable_name (v),
                            part, group);
}

DlhNode *
dlh_population_stored (DlhPopulation *p, DlhVariable *v, const char *part, DlhShape shape)
{
    g_autofree char *name = stored_name (p, v, part, p->group_number);
    g_autofree char *stream = g_strdup_printf ("%s/%s", dlh_variable_name (v), part);
    g_autoptr (GError) error = NULL;
    DlhVariable *stored = dlh_store_variable (p->build.store, name, dlh_variable_dtype (v), shape,
                                              (DlhInit){.kind = DLH_INIT_ZEROS}, &error);
    DlhCandidateDraw draw = {stored, dlh_update_stream (p->update, stream),
                             g_str_has_prefix (part, "signs") ? 0 : p->options.sigma};

    if (!stored)
        return dlh_graph_fail (p->build.graph, error->code, "%s", error->message);
    if (p->build.graph == p->update->graph)
        g_array_append_val (p->update->draws, draw);
    return dlh_read (p->build.graph, stored);
}

// Scores come from outside; the model is built for the shapes of what is drawn alone.
gboolean
dlh_population_reward (DlhPopulation *p, GError **error)
{
    DlhUpdate *u = p->update;
    const DlhRewarded *r = u->build_data;
    const DlhObjective *objective;
    g_autoptr (GPtrArray) roots = NULL;
    g_autofree DlhNode **out = NULL;

    p->scores = dlh_input (u->graph, "rewards", dlh_store_get_dtype (u->store),
                           dlh_shape (dlh_population_size (p)));
    p->rows = dlh_full (u->graph, input_dtype (r),
                        dlh_shape_insert (r->problem.input_shape, 0, p->each), 0);
    if (!(objective = u->build_rows (u->build_data, p->rows, NULL, error)))
        return FALSE;
    roots = prediction_roots (objective);
    out = g_new (DlhNode *, roots->len);
    if (!dlh_population_find (p, (DlhNode **)roots->pdata, roots->len, error))
        return FALSE;
    for (gint64 g = 0; g < p->options.groups; g++)
        dlh_population_group (p, g, (DlhNode **)roots->pdata, roots->len, out);
    return dlh_graph_check (u->graph, error);
}

/* Making one. */

static gboolean
check_optimizer (const DlhRewarded *r, GError **error)
{
    const char *why = !r->update->population     ? "asks for no population of candidates"
                      : r->update->phases->len   ? "has work that is not done at every step"
                      : !r->update->assigns->len ? "moves nothing"
                                                 : NULL;

    if (!why)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "optimizer '%s' %s, so it cannot live on rewards: try --optimizer=flipes",
                 dlh_component_name (r->optimizer), why);
    return FALSE;
}

static gboolean
build_update (DlhRewarded *r, GError **error)
{
    const DlhOptimizer *optimizer = dlh_component_interface (r->optimizer);
    const char *name = dlh_component_name (r->optimizer);
    DlhNode *x =
        dlh_full (r->graph, input_dtype (r), dlh_shape_insert (r->problem.input_shape, 0, 1), 0);
    GError *cause = NULL;

    if (!build_model (r, r->graph, x, &r->objective, error))
        return FALSE;
    dlh_graph_push_scope (r->graph, name);
    r->update = dlh_update_new (r->graph, r->store, name, &r->objective, &r->training, r->step);
    r->update->x = x;
    r->update->n_examples = 1;
    r->update->build_rows = build_rows;
    r->update->build_data = r;
    r->update->rewarded = TRUE;
    if (!optimizer->build (r->update, dlh_component_options (r->optimizer), &cause)) {
        g_prefix_error (&cause, "%s: ", name);
        return dlh_component_fail (r->optimizer, cause, error);
    }
    dlh_graph_pop_scope (r->graph);
    return dlh_graph_check (r->graph, error) && check_optimizer (r, error);
}

static gboolean
compile_move (DlhRewarded *r, GError **error)
{
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();

    for (guint i = 0; i < r->update->assigns->len; i++)
        g_ptr_array_add (outputs, g_array_index (r->update->assigns, DlhPhaseAssign, i).assign);
    r->move = dlh_graph_compile_full (r->graph, (DlhNode **)outputs->pdata, outputs->len,
                                      r->training.compile_flags, error);
    return r->move != NULL;
}

static gboolean
compile_renew (DlhRewarded *r, GError **error)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) outputs = g_ptr_array_new ();

    for (guint i = 0; i < r->update->draws->len; i++) {
        const DlhCandidateDraw *d = &g_array_index (r->update->draws, DlhCandidateDraw, i);
        const DlhDType dtype = dlh_variable_dtype (d->variable);
        const DlhShape shape = dlh_variable_shape (d->variable);
        DlhNode *value = d->sigma == 0
                             ? dlh_rademacher (graph, d->stream, dtype, shape)
                             : dlh_scale (dlh_normal (graph, d->stream, dtype, shape), d->sigma);

        g_ptr_array_add (outputs, dlh_assign (d->variable, value));
    }
    r->renew = dlh_graph_compile (graph, (DlhNode **)outputs->pdata, outputs->len, error);
    return r->renew != NULL;
}

static gboolean
make_state (DlhRewarded *r, GError **error)
{
    g_autofree char *stale = g_strdup_printf ("%s/stale", dlh_component_name (r->optimizer));

    r->step = dlh_store_variable (r->store, "train/step", DLH_I64, dlh_shape (),
                                  (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    r->stale = dlh_store_variable (r->store, stale, DLH_I64, dlh_shape (),
                                   (DlhInit){DLH_INIT_CONSTANT, 1, 0}, error);
    return r->step && r->stale;
}

DlhRewarded *
dlh_rewarded_new (DlhStore *store, DlhComponent *model, DlhComponent *optimizer,
                  const DlhProblem *problem, const DlhTraining *training, GError **error)
{
    g_autoptr (DlhRewarded) r = g_new0 (DlhRewarded, 1);

    r->store = dlh_store_ref (store);
    r->model = dlh_component_ref (model);
    r->optimizer = dlh_component_ref (optimizer);
    r->graph = dlh_graph_new ();
    r->objectives = g_ptr_array_new_with_free_func (g_free);
    r->acts = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, act_free);
    r->plain = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, act_free);
    memcpy (&r->problem, problem, MIN (problem->size, sizeof r->problem));
    memcpy (&r->training, training, MIN (training->size, sizeof r->training));
    r->training.schedule.milestones.values = r->milestones = g_memdup2 (
        training->schedule.milestones.values, training->schedule.milestones.n * sizeof (double));
    if (!((const DlhModel *)dlh_component_interface (model))->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "model '%s' does not offer the supervised role", dlh_component_name (model));
        return NULL;
    }
    if (!make_state (r, error) || !build_update (r, error) || !compile_move (r, error) ||
        !compile_renew (r, error))
        return NULL;
    r->rewards =
        dlh_tensor_new (dlh_store_get_dtype (store), dlh_shape (dlh_rewarded_size (r)), error);
    return r->rewards ? g_steal_pointer (&r) : NULL;
}

gint64
dlh_rewarded_size (const DlhRewarded *r)
{
    return dlh_population_size (r->update->population);
}

/* Acting. */

// What the candidates of group @g predict for their rows of @x.
static DlhNode *
group_prediction (DlhRewarded *r, DlhGraph *graph, DlhNode *x, gint64 g, guint *axis,
                  GError **error)
{
    const DlhPopulation *whole = r->update->population;
    const gint64 n = dlh_node_dim (x, 0) / whole->options.groups;
    const DlhBuild build = {.size = sizeof build, .graph = graph, .store = r->store};
    DlhPopulation *p = dlh_population_new (r->update, &whole->options, &build);
    DlhObjective objective = {.size = sizeof objective};
    g_autoptr (GPtrArray) roots = NULL;
    g_autofree DlhNode **out = NULL;
    DlhNode *mean = NULL;

    p->stored = TRUE;
    p->rows = dlh_slice (x, 0, g * n, (g + 1) * n, 1);
    if (build_model (r, graph, p->rows, &objective, error)) {
        roots = prediction_roots (&objective);
        out = g_new (DlhNode *, roots->len);
        if (dlh_population_find (p, (DlhNode **)roots->pdata, roots->len, error)) {
            dlh_population_group (p, g, (DlhNode **)roots->pdata, roots->len, out);
            *axis = p->perturb.cases[dlh_node_id (roots->pdata[0])].axis;
            mean = dlh_distribution_mean (dlh_distribution_like (objective.prediction, out));
        }
    }
    dlh_population_free (p);
    return mean;
}

// What all candidates predict, group after group.
static DlhNode *
candidates_prediction (DlhRewarded *r, DlhGraph *graph, DlhNode *x, GError **error)
{
    const gint64 groups = r->update->population->options.groups;
    g_autofree DlhNode **parts = g_new (DlhNode *, groups);
    guint axis = 0;

    for (gint64 g = 0; g < groups; g++)
        if (!(parts[g] = group_prediction (r, graph, x, g, &axis, error)))
            return NULL;
    return dlh_concat (parts, (guint)groups, (int)axis);
}

// What the parameters themselves predict.
static DlhNode *
plain_prediction (DlhRewarded *r, DlhGraph *graph, DlhNode *x, GError **error)
{
    DlhObjective objective = {.size = sizeof objective};

    return build_model (r, graph, x, &objective, error)
               ? dlh_distribution_mean (objective.prediction)
               : NULL;
}

static Act *
act_new (DlhRewarded *r, gint64 rows, gboolean plain, GError **error)
{
    DlhGraph *graph = dlh_graph_new ();
    DlhNode *x =
        dlh_input (graph, "x", input_dtype (r), dlh_shape_insert (r->problem.input_shape, 0, rows));
    DlhNode *mean =
        plain ? plain_prediction (r, graph, x, error) : candidates_prediction (r, graph, x, error);
    Act *a = g_new0 (Act, 1);

    a->graph = graph;
    if (mean)
        a->function = dlh_graph_compile_full (graph, &mean, 1, r->training.compile_flags, error);
    if (a->function)
        return a;
    act_free (a);
    return NULL;
}

static Act *
act_for (DlhRewarded *r, gint64 rows, gboolean plain, GError **error)
{
    GHashTable *table = plain ? r->plain : r->acts;
    Act *a = g_hash_table_lookup (table, &rows);

    if (!a && (a = act_new (r, rows, plain, error)))
        g_hash_table_insert (table, g_memdup2 (&rows, sizeof rows), a);
    return a;
}

static gint64
rows_of (const DlhTensor *x)
{
    const DlhShape shape = dlh_tensor_get_shape (x);

    return shape.rank ? shape.dims[0] : 0;
}

static gint64 *
stale_of (DlhRewarded *r)
{
    return dlh_tensor_get_data (dlh_variable_tensor (r->stale));
}

static gboolean
renew (DlhRewarded *r, GError **error)
{
    if (!*stale_of (r))
        return TRUE;
    if (!dlh_function_run (r->renew, NULL, 0, error))
        return FALSE;
    *stale_of (r) = 0;
    return TRUE;
}

gboolean
dlh_rewarded_predict (DlhRewarded *r, DlhTensor *x, const DlhTensor **prediction, GError **error)
{
    const gint64 rows = rows_of (x), size = dlh_rewarded_size (r);
    Act *a;

    *prediction = NULL;
    if (rows == 0 || rows % size) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%" G_GINT64_FORMAT " rows for %" G_GINT64_FORMAT
                     " candidates, must be as many for each, and at least one",
                     rows, size);
        return FALSE;
    }
    if (!(a = act_for (r, rows, FALSE, error)) || !renew (r, error) ||
        !dlh_function_run (a->function, &x, 1, error))
        return FALSE;
    *prediction = dlh_function_output (a->function, 0);
    return TRUE;
}

gboolean
dlh_rewarded_predict_mean (DlhRewarded *r, DlhTensor *x, const DlhTensor **prediction,
                           GError **error)
{
    const gint64 rows = rows_of (x);
    Act *a;

    *prediction = NULL;
    if (rows == 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "no rows to predict for, must be one or more");
        return FALSE;
    }
    if (!(a = act_for (r, rows, TRUE, error)) || !dlh_function_run (a->function, &x, 1, error))
        return FALSE;
    *prediction = dlh_function_output (a->function, 0);
    return TRUE;
}

gboolean
dlh_rewarded_step (DlhRewarded *r, const double *rewards, GError **error)
{
    gint64 *step = dlh_tensor_get_data (dlh_variable_tensor (r->step));

    for (gint64 c = 0; c < dlh_rewarded_size (r); c++) {
        if (!isfinite (rewards[c])) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "step %" G_GINT64_FORMAT ": the reward of candidate %" G_GINT64_FORMAT
                         " is %g, must be finite",
                         *step, c, rewards[c]);
            return FALSE;
        }
        dlh_tensor_set (r->rewards, c, rewards[c]);
    }
    if (!renew (r, error) || !dlh_function_run (r->move, &r->rewards, 1, error))
        return FALSE;
    *stale_of (r) = 1;
    ++*step;
    return TRUE;
}

gint64
dlh_rewarded_steps (DlhRewarded *r)
{
    return *(const gint64 *)dlh_tensor_get_data (dlh_variable_tensor (r->step));
}

GPtrArray *
dlh_rewarded_notes (DlhRewarded *r)
{
    return r->update->notes;
}
