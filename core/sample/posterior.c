/* SPDX-License-Identifier: MIT */
/* The posterior of a supervised model's parameters as a target. The model is built once, on inputs
 * x and y; for each chain its log likelihood is rewritten with the chain's slice of the positions
 * in place of the parameters' reads and, where batches are drawn, the chain's examples in place of
 * x and y. So any model serves, with its ops as they are. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>
#include "sample/private.h"

typedef struct {
    DlhComponent *model;
    DlhPosterior options;
    gint64 n; /* examples */
    GPtrArray *variables;
    DlhNode **reads;
    DlhNode *x, *y;          /* what the model was built on */
    DlhNode *all_x, *all_y;  /* of all examples, where batches are drawn */
    DlhNode *log_likelihood; /* f64 scalar: sum over the cases of x and y */
    DlhNode *monitored;      /* (nullable): (m, ...) */
} Posterior;

static void
posterior_free (gpointer data)
{
    Posterior *p = data;

    g_clear_pointer (&p->variables, g_ptr_array_unref);
    dlh_component_unref (p->model);
    g_free (p->reads);
    g_free (p);
}

// N (0, 1 / precision) for each element, f64 (C).
static DlhNode *
posterior_log_prior (DlhTarget *t, DlhNode *const *positions)
{
    Posterior *p = t->self;
    DlhNode *sum = NULL;
    double count = 0;

    for (guint i = 0; i < t->n_blocks; i++) {
        gint64 n = dlh_shape_count (t->blocks[i].shape);
        DlhNode *flat = dlh_reshape (positions[i], dlh_shape (t->n_chains, n));
        DlhNode *s = dlh_sum_axis (dlh_cast (dlh_square (flat), DLH_F64), 1);

        sum = sum ? dlh_add (sum, s) : s;
        count += (double)n;
    }
    return dlh_offset (dlh_scale (sum, -0.5 * p->options.precision),
                       0.5 * count * log (p->options.precision / (2 * G_PI)));
}

static void
posterior_draw_prior (DlhTarget *t, DlhStream *stream, DlhNode **out)
{
    Posterior *p = t->self;

    for (guint i = 0; i < t->n_blocks; i++)
        out[i] = dlh_scale (
            dlh_normal (t->graph, stream, dlh_store_get_dtype (t->store), dlh_target_shape (t, i)),
            1 / sqrt (p->options.precision));
}

// @root with chain @c's parameters, and with @x and @y in place of the model's inputs unless NULL.
static DlhNode *
for_chain (DlhTarget *t, DlhNode *root, DlhNode *const *positions, gint64 c, DlhNode *x, DlhNode *y)
{
    Posterior *p = t->self;
    g_autofree DlhNode **from = g_new (DlhNode *, t->n_blocks + 2);
    g_autofree DlhNode **to = g_new (DlhNode *, t->n_blocks + 2);
    guint n = t->n_blocks;
    DlhNode *out;

    for (guint i = 0; i < n; i++) {
        from[i] = p->reads[i];
        to[i] = dlh_index (positions[i], 0, c);
        if (dlh_node_failed (to[i]))
            return to[i];
    }
    if (x) {
        from[n] = p->x;
        to[n++] = x;
    }
    if (y && p->y) {
        from[n] = p->y;
        to[n++] = y;
    }
    dlh_graph_substitute (&root, 1, from, to, n, &out);
    return out;
}

static DlhNode *
posterior_log_density (DlhTarget *t, DlhNode *const *positions)
{
    Posterior *p = t->self;
    g_autofree DlhNode **terms = g_new (DlhNode *, t->n_chains);
    gint64 batch = p->options.batch;
    DlhNode *rows = NULL;

    if (batch) {
        DlhStream *stream = dlh_store_stream (t->store, "chains/batch");
        DlhNode *u = dlh_uniform (t->graph, stream, DLH_F64, dlh_shape (t->n_chains, batch));

        rows = dlh_cast (dlh_scale (u, (double)p->n), DLH_I64);
    }
    for (gint64 c = 0; c < t->n_chains; c++) {
        DlhNode *row = rows ? dlh_index (rows, 0, c) : NULL;
        DlhNode *x = row ? dlh_gather (p->all_x, row, 0) : NULL;
        DlhNode *y = row && p->all_y ? dlh_gather (p->all_y, row, 0) : NULL;

        terms[c] = for_chain (t, p->log_likelihood, positions, c, x, y);
        if (dlh_node_failed (terms[c]))
            return terms[c];
        if (batch)
            terms[c] = dlh_scale (terms[c], (double)p->n / (double)batch);
    }
    return dlh_add (posterior_log_prior (t, positions), dlh_stack (terms, (guint)t->n_chains, 0));
}

static DlhNode *
posterior_monitor (DlhTarget *t, DlhNode *const *positions)
{
    Posterior *p = t->self;
    g_autofree DlhNode **rows = g_new (DlhNode *, t->n_chains);

    for (gint64 c = 0; c < t->n_chains; c++) {
        rows[c] = for_chain (t, p->monitored, positions, c, NULL, NULL);
        if (dlh_node_failed (rows[c]))
            return rows[c];
        rows[c] = dlh_cast (dlh_reshape (rows[c], dlh_shape (-1)), DLH_F64);
    }
    return dlh_stack (rows, (guint)t->n_chains, 0);
}

// The store's parameters, and a little apart so that chains do not start in one place.
static void
posterior_start (DlhTarget *t, guint block, DlhTensor *positions)
{
    Posterior *p = t->self;
    DlhVariable *v = p->variables->pdata[block];
    DlhTensor *value = dlh_variable_tensor (v);
    g_autofree char *name = g_strdup_printf ("chains/start/%s", dlh_variable_name (v));
    gint64 n = dlh_tensor_count (positions), d = dlh_tensor_count (value);
    g_autofree double *noise = g_new (double, n);

    dlh_random_fill_normal (dlh_store_get_seed (t->store), name, 0, noise, (gsize)n);
    for (gint64 i = 0; i < n; i++)
        dlh_tensor_set (positions, i, dlh_tensor_get (value, i % d) + p->options.spread * noise[i]);
}

/* Building. */

static DlhNode *
add_input (DlhTarget *t, const char *name, DlhTensor *value, gint64 rows, gboolean given)
{
    return dlh_target_add_input (t, name, dlh_tensor_get_dtype (value),
                                 dlh_shape_with (dlh_tensor_get_shape (value), 0, rows),
                                 given ? value : NULL);
}

static gboolean
build_objective (DlhTarget *t, const DlhProblem *problem, DlhNode *x, DlhNode *y,
                 DlhObjective *objective, GError **error)
{
    Posterior *p = t->self;
    const DlhModel *m = dlh_component_interface (p->model);
    const char *name = dlh_component_name (p->model);
    DlhBuild build = {.size = sizeof build, .graph = t->graph, .store = t->store};
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();

    build.updates = updates;
    objective->size = sizeof *objective;
    dlh_graph_push_scope (t->graph, name);
    if (!m->supervised->build (&build, problem, dlh_component_options (p->model), x, y, objective,
                               error)) {
        g_prefix_error (error, "%s: ", name);
        return FALSE;
    }
    dlh_graph_pop_scope (t->graph);
    if (!dlh_graph_check (t->graph, error))
        return FALSE;
    if (!objective->prediction || !objective->target) {
        g_set_error (
            error, DLH_ERROR, DLH_ERROR_OPTION,
            "model '%s' states no predictive distribution of these data, so its parameters "
            "have no likelihood to sample by",
            name);
        return FALSE;
    }
    return TRUE;
}

static gboolean
add_blocks (DlhTarget *t, GError **error)
{
    Posterior *p = t->self;
    g_autoptr (GPtrArray) all = dlh_graph_variables (&p->log_likelihood, 1);

    p->variables = g_ptr_array_new ();
    for (guint i = 0; i < all->len; i++) {
        DlhVariable *v = all->pdata[i];
        DlhBlock block = {dlh_variable_name (v), dlh_variable_shape (v), {DLH_INIT_ZEROS, 0, 0}};

        if (!dlh_variable_is_trainable (v))
            continue;
        g_ptr_array_add (p->variables, v);
        if (!dlh_target_add_block (t, &block, error))
            return FALSE;
    }
    if (!t->n_blocks) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "model '%s' has no parameters to sample",
                     dlh_component_name (p->model));
        return FALSE;
    }
    p->reads = g_new (DlhNode *, t->n_blocks);
    for (guint i = 0; i < t->n_blocks; i++)
        p->reads[i] = dlh_read (t->graph, p->variables->pdata[i]);
    return TRUE;
}

static gboolean
build (DlhTarget *t, DlhData *data, GError **error)
{
    Posterior *p = t->self;
    DlhProblem problem = dlh_problem_of (data);
    DlhTensor *x = dlh_data_inputs (data, DLH_SPLIT_TRAIN);
    DlhTensor *y = dlh_data_targets (data, DLH_SPLIT_TRAIN);
    gint64 n_monitor = MIN (p->options.n_monitor, p->n), batch = p->options.batch;
    DlhObjective objective = {0};

    p->x = add_input (t, "x", x, batch ? batch : p->n, !batch);
    p->y = y ? add_input (t, "y", y, batch ? batch : p->n, !batch) : NULL;
    p->all_x = batch ? add_input (t, "all_x", x, p->n, TRUE) : p->x;
    p->all_y = batch && y ? add_input (t, "all_y", y, p->n, TRUE) : p->y;
    if (!build_objective (t, &problem, p->x, p->y, &objective, error))
        return FALSE;
    p->log_likelihood =
        dlh_sum_all (dlh_cast (dlh_log_prob (objective.prediction, objective.target), DLH_F64));
    if (!dlh_graph_check (t->graph, error) || !add_blocks (t, error) || !n_monitor)
        return dlh_graph_check (t->graph, error);
    memset (&objective, 0, sizeof objective);
    if (!build_objective (t, &problem, dlh_slice (p->all_x, 0, 0, n_monitor, 1),
                          p->all_y ? dlh_slice (p->all_y, 0, 0, n_monitor, 1) : NULL, &objective,
                          error))
        return FALSE;
    p->monitored = dlh_distribution_mean (objective.prediction);
    t->monitor = posterior_monitor;
    return dlh_graph_check (t->graph, error);
}

DlhTarget *
dlh_target_new_posterior (DlhStore *store, DlhComponent *model, DlhData *data,
                          const DlhPosterior *posterior, gint64 n_chains, GError **error)
{
    const DlhModel *m = dlh_component_interface (model);
    g_autoptr (DlhTarget) t = dlh_target_alloc (store, n_chains);
    Posterior *p = g_new0 (Posterior, 1);

    t->self = p;
    t->free_self = posterior_free;
    t->log_density = posterior_log_density;
    t->log_prior = posterior_log_prior;
    t->draw_prior = posterior_draw_prior;
    t->start = posterior_start;
    p->model = dlh_component_ref (model);
    p->options = *posterior;
    t->is_estimate = posterior->batch > 0;
    if (!m->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "model '%s' offers neither the density nor the supervised role",
                     dlh_component_name (model));
        return NULL;
    }
    if (!(posterior->precision > 0) || posterior->batch < 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "posterior: precision %g must be above 0, batch %" G_GINT64_FORMAT
                     " 0 or more",
                     posterior->precision, posterior->batch);
        return NULL;
    }
    if (dlh_data_is_stream (data) || !dlh_data_has_split (data, DLH_SPLIT_TRAIN) ||
        !(p->n = dlh_data_count (data, DLH_SPLIT_TRAIN))) {
        g_set_error (
            error, DLH_ERROR, DLH_ERROR_DATA,
            "posterior: the data set has no training examples that are independent of each "
            "other");
        return NULL;
    }
    if (!dlh_data_inputs (data, DLH_SPLIT_TRAIN)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "posterior: %" G_GINT64_FORMAT
                     " training examples do not fit in memory at once: limit the data set",
                     p->n);
        return NULL;
    }
    t->n_examples = (double)p->n;
    return build (t, data, error) ? g_steal_pointer (&t) : NULL;
}
