/* SPDX-License-Identifier: MIT */
/* What a trainer builds for a batch size: the model's graph, the optimizer's update in it, and a
 * function for each set of phases that is due. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "train/trainer.h"

void
trainer_built_free (gpointer data)
{
    Built *b = data;

    dlh_update_free (b->update);
    dlh_function_unref (b->prediction);
    dlh_function_unref (b->gradients);
    g_hash_table_unref (b->functions);
    g_array_unref (b->shown);
    g_ptr_array_unref (b->updates);
    g_ptr_array_unref (b->parts);
    dlh_graph_unref (b->graph);
    g_free (b);
}

static void
add_calibration (Built *b)
{
    DlhDistribution *d[2] = {b->objective.prediction, b->objective.averaged};

    for (guint i = 0; i < 2; i++)
        if (d[i] && b->objective.target &&
            strcmp (dlh_distribution_name (d[i]), "categorical") == 0)
            b->gaps[i] = dlh_calibration_gaps (d[i], b->objective.target);
}

// A Bernoulli density of other numbers has no lower bound of its loss: training runs away from it.
static void
note_outside (DlhTrainer *t, const Built *b, const DlhTensor *x, const DlhTensor *y)
{
    DlhDistribution *d = b->objective.prediction;
    DlhNode *target =
        d && strcmp (dlh_distribution_name (d), "Bernoulli") == 0 ? b->objective.target : NULL;
    const DlhTensor *values;
    double low = 0, high = 1;

    while (target && (dlh_node_is (target, "reshape") || dlh_node_is (target, "cast")))
        target = dlh_node_input (target, 0);
    values = target == b->x ? x : target == b->y ? y : NULL;
    for (gint64 i = 0; target && values && i < dlh_tensor_count (values); i++) {
        low = MIN (low, dlh_tensor_get (values, i));
        high = MAX (high, dlh_tensor_get (values, i));
    }
    if (low < 0 || high > 1)
        g_ptr_array_add (
            t->notes,
            g_strdup_printf ("warning: the likelihood is Bernoulli, for numbers from 0 to 1, and "
                             "the first batch has them from %.3g to %.3g: give the data set's "
                             "option that scales them (--dataset.normalize=unit, where it has "
                             "that), or another likelihood",
                             low, high));
}

static gboolean
build_model (DlhTrainer *t, Built *b, DlhTensor *x, DlhTensor *y, gboolean training, GError **error)
{
    const DlhModel *model = dlh_component_interface (t->model);
    DlhBuild build = {sizeof build, b->graph,   t->store,
                      training,     b->updates, training && !t->noted ? t->notes : NULL};
    DlhNode *input = dlh_input (b->graph, "x", dlh_tensor_get_dtype (x), dlh_tensor_get_shape (x));
    DlhNode *target =
        y ? dlh_input (b->graph, "y", dlh_tensor_get_dtype (y), dlh_tensor_get_shape (y)) : NULL;
    DlhMetric loss = {"loss", NULL};
    GError *cause = NULL;

    b->x = input;
    b->y = target;
    b->objective.size = sizeof b->objective;
    dlh_graph_push_scope (b->graph, dlh_component_name (t->model));
    if (!model->supervised->build (&build, &t->problem, dlh_component_options (t->model), input,
                                   target, &b->objective, &cause)) {
        g_prefix_error (&cause, "%s: ", dlh_component_name (t->model));
        return dlh_component_fail (t->model, cause, error);
    }
    dlh_graph_pop_scope (b->graph);
    if (!dlh_graph_check (b->graph, error))
        return FALSE;
    if (!b->objective.loss)
        return dlh_component_fail (t->model, NULL, error);
    if (training && !t->noted)
        note_outside (t, b, x, y);
    loss.value = b->loss = dlh_assert_finite (b->objective.loss, "loss");
    g_array_append_val (b->shown, loss);
    for (guint i = 0; i < G_N_ELEMENTS (b->objective.metrics) && b->objective.metrics[i].name; i++)
        g_array_append_val (b->shown, b->objective.metrics[i]);
    if (!training && b->objective.calibrated)
        add_calibration (b);
    return dlh_graph_check (b->graph, error);
}

// The model once more, on other rows.
static const DlhObjective *
build_rows (gpointer data, DlhNode *x, DlhNode *y, GError **error)
{
    Built *b = data;
    DlhTrainer *t = b->trainer;
    const DlhModel *model = dlh_component_interface (t->model);
    g_autoptr (GPtrArray) updates = g_ptr_array_new (); // the whole batch has made them
    DlhBuild build = {sizeof build, b->graph, t->store, TRUE, updates, NULL};
    g_autofree DlhObjective *part = g_new0 (DlhObjective, 1);
    g_autofree char *scope = dlh_graph_swap_scope (b->graph, "");
    g_autofree char *top = NULL;
    GError *cause = NULL;

    part->size = sizeof *part;
    dlh_graph_push_scope (b->graph, dlh_component_name (t->model));
    if (!model->supervised->build (&build, &t->problem, dlh_component_options (t->model), x, y,
                                   part, &cause)) {
        g_propagate_prefixed_error (error, cause, "%s: ", dlh_component_name (t->model));
        return NULL;
    }
    dlh_graph_pop_scope (b->graph);
    top = dlh_graph_swap_scope (b->graph, scope);
    g_ptr_array_add (b->parts, part);
    return g_steal_pointer (&part);
}

static gboolean
build_update (DlhTrainer *t, Built *b, GError **error)
{
    const DlhOptimizer *optimizer = dlh_component_interface (t->optimizer);
    const char *name = dlh_component_name (t->optimizer);
    GError *cause = NULL;

    dlh_graph_push_scope (b->graph, name);
    b->update = dlh_update_new (b->graph, t->store, name, &b->objective, &t->training, t->step);
    b->update->build_rows = build_rows;
    b->update->x = b->x;
    b->update->y = b->y;
    b->update->build_data = b;
    b->update->n_examples = dlh_node_dim (b->x, 0);
    if (!optimizer->build (b->update, dlh_component_options (t->optimizer), &cause)) {
        g_prefix_error (&cause, "%s: ", name);
        return dlh_component_fail (t->optimizer, cause, error);
    }
    dlh_graph_pop_scope (b->graph);
    dlh_average_step (b->update, b->update->after);
    g_array_append_vals (b->shown, b->update->logs->data, b->update->logs->len);
    for (guint i = 0; i < b->update->notes->len && !t->noted; i++)
        g_ptr_array_add (t->notes, g_strdup (b->update->notes->pdata[i]));
    t->noted = TRUE;
    return dlh_graph_check (b->graph, error);
}

Built *
trainer_built (DlhTrainer *t, DlhTensor *x, DlhTensor *y, gboolean training, GError **error)
{
    DlhShape shape = dlh_tensor_get_shape (x);
    gint64 batch = shape.rank ? shape.dims[0] : 0;
    Built *b = g_hash_table_lookup (t->built[training], &batch);

    if (b)
        return b;
    if (!batch) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "trainer: the batch is empty");
        return NULL;
    }
    b = g_new0 (Built, 1);
    b->graph = dlh_graph_new ();
    b->updates = g_ptr_array_new ();
    b->parts = g_ptr_array_new_with_free_func (g_free);
    b->trainer = t;
    b->shown = g_array_new (FALSE, TRUE, sizeof (DlhMetric));
    b->functions = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify)dlh_function_unref);
    if (!build_model (t, b, x, y, training, error) || (training && !build_update (t, b, error))) {
        trainer_built_free (b);
        return NULL;
    }
    g_hash_table_insert (t->built[training], g_memdup2 (&batch, sizeof batch), b);
    return b;
}

static void
add_assigns (GPtrArray *outputs, const DlhUpdate *u, int phase)
{
    for (guint i = 0; i < u->assigns->len; i++) {
        const DlhPhaseAssign *a = &g_array_index (u->assigns, DlhPhaseAssign, i);

        if (a->phase == phase)
            g_ptr_array_add (outputs, a->assign);
    }
}

DlhFunction *
trainer_compile (DlhTrainer *t, Built *b, guint mask, GError **error)
{
    g_autoptr (GPtrArray) outputs = NULL;
    DlhFunction *f = g_hash_table_lookup (b->functions, GUINT_TO_POINTER (mask));

    if (f)
        return f;
    outputs = g_ptr_array_new ();
    for (guint i = 0; i < b->shown->len; i++)
        g_ptr_array_add (outputs, g_array_index (b->shown, DlhMetric, i).value);
    for (guint i = 0; i < 2; i++)
        if (b->gaps[i])
            g_ptr_array_add (outputs, b->gaps[i]);
    if (b->update) {
        for (guint i = 0; i < b->updates->len; i++)
            g_ptr_array_add (outputs, b->updates->pdata[i]);
        add_assigns (outputs, b->update, DLH_ALWAYS);
        for (guint p = 0; p < b->update->phases->len; p++)
            if (mask & (1u << p))
                add_assigns (outputs, b->update, (int)p);
    }
    f = dlh_graph_compile_full (b->graph, (DlhNode **)outputs->pdata, outputs->len,
                                t->training.compile_flags, error);
    if (f)
        g_hash_table_insert (b->functions, GUINT_TO_POINTER (mask), f);
    return f;
}

DlhFunction *
trainer_compile_after (DlhTrainer *t, Built *b, guint phase, GError **error)
{
    const char *name = g_array_index (b->update->phases, DlhPhase, phase).name;
    g_autoptr (GPtrArray) outputs = NULL;
    DlhFunction *f = g_hash_table_lookup (t->after, name);

    if (f)
        return f;
    outputs = g_ptr_array_new ();
    add_assigns (outputs, b->update, (int)phase);
    f = dlh_graph_compile_full (b->graph, (DlhNode **)outputs->pdata, outputs->len,
                                t->training.compile_flags, error);
    if (f)
        g_hash_table_insert (t->after, g_strdup (name), f);
    return f;
}

DlhBeside *
trainer_beside (DlhTrainer *t, Built *b, guint phase, GError **error)
{
    const char *name = g_array_index (b->update->phases, DlhPhase, phase).name;
    DlhBeside *beside = g_hash_table_lookup (t->beside, name);

    if (!beside && (beside = dlh_beside_new (b->update, phase, error)))
        g_hash_table_insert (t->beside, g_strdup (name), beside);
    return beside;
}
