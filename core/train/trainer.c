/* SPDX-License-Identifier: MIT */
/* The trainer: builds model, objective and update for a batch shape, compiles a function for each
 * set of phases that is due, and runs what the step number asks for. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "train/private.h"

/* A graph for one batch size and mode. */
typedef struct {
    DlhGraph *graph;
    DlhObjective objective;
    DlhUpdate *update;  /* NULL for evaluation */
    DlhNode *loss;      /* checked to be finite */
    GPtrArray *updates; /* the model's own assignments */
    GPtrArray *parts;   /* DlhObjective: the model on a part of the batch */
    DlhTrainer *trainer;
    DlhNode *x, *y;                      /* inputs; y is NULL where there is none */
    DlhNode *gaps[2];                    /* (nullable): of calibration, in evaluation */
    GHashTable *functions;               /* mask of phases -> DlhFunction */
    GArray *shown;                       /* DlhMetric: what the first outputs are */
    DlhFunction *prediction, *gradients; /* made when first asked for */
} Built;

struct _DlhTrainer {
    DlhStore *store;
    DlhComponent *model, *optimizer;
    DlhProblem problem;
    DlhTraining training;
    double *milestones;
    DlhVariable *step;
    GHashTable *built[2]; /* by mode: batch size -> Built */
    GHashTable *after;    /* phase name -> DlhFunction */
    GHashTable *beside;   /* phase name -> DlhBeside */
    GPtrArray *notes;
    gboolean noted;
    Built *last;
    DlhFunction *function;
};

static void
built_free (gpointer data)
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

DlhTrainer *
dlh_trainer_new (DlhStore *store, DlhComponent *model, DlhComponent *optimizer,
                 const DlhProblem *problem, const DlhTraining *training, GError **error)
{
    const DlhModel *m = dlh_component_interface (model);
    g_autoptr (DlhTrainer) t = NULL;

    if (!m->supervised) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "model '%s' does not offer the supervised role", dlh_component_name (model));
        return NULL;
    }
    t = g_new0 (DlhTrainer, 1);
    t->store = dlh_store_ref (store);
    t->model = dlh_component_ref (model);
    t->optimizer = optimizer ? dlh_component_ref (optimizer) : NULL;
    // The caller may be built with smaller structs; what they lack stays 0.
    memcpy (&t->problem, problem, MIN (problem->size, sizeof t->problem));
    memcpy (&t->training, training, MIN (training->size, sizeof t->training));
    t->training.schedule.milestones.values = t->milestones = g_memdup2 (
        training->schedule.milestones.values, training->schedule.milestones.n * sizeof (double));
    for (guint mode = 0; mode < 2; mode++)
        t->built[mode] = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, built_free);
    t->after =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)dlh_function_unref);
    t->beside =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)dlh_beside_free);
    t->notes = g_ptr_array_new_with_free_func (g_free);
    t->step = dlh_store_variable (store, "train/step", DLH_I64, dlh_shape (),
                                  (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    return t->step ? g_steal_pointer (&t) : NULL;
}

void
dlh_trainer_free (DlhTrainer *trainer)
{
    if (!trainer)
        return;
    g_clear_pointer (&trainer->beside, g_hash_table_unref);
    for (guint mode = 0; mode < 2; mode++)
        g_clear_pointer (&trainer->built[mode], g_hash_table_unref);
    g_clear_pointer (&trainer->after, g_hash_table_unref);
    g_clear_pointer (&trainer->notes, g_ptr_array_unref);
    dlh_component_unref (trainer->model);
    dlh_component_unref (trainer->optimizer);
    dlh_store_unref (trainer->store);
    g_free (trainer->milestones);
    g_free (trainer);
}

/* Building. */

static void
add_calibration (Built *b)
{
    DlhDistribution *d[2] = {b->objective.prediction, b->objective.averaged};

    for (guint i = 0; i < 2; i++)
        if (d[i] && b->objective.target && strcmp (dlh_distribution_name (d[i]), "categorical") == 0)
            b->gaps[i] = dlh_calibration_gaps (d[i], b->objective.target);
}

static gboolean
build_model (DlhTrainer *t, Built *b, DlhTensor *x, DlhTensor *y, gboolean training, GError **error)
{
    const DlhModel *model = dlh_component_interface (t->model);
    DlhBuild build = {sizeof build, b->graph,
                      t->store,     training,
                      b->updates,   training && !t->noted ? t->notes : NULL};
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
    loss.value = b->loss = dlh_assert_finite (b->objective.loss, "loss");
    g_array_append_val (b->shown, loss);
    for (guint i = 0; i < G_N_ELEMENTS (b->objective.metrics) && b->objective.metrics[i].name; i++)
        g_array_append_val (b->shown, b->objective.metrics[i]);
    if (!training && b->objective.calibrated)
        add_calibration (b);
    return dlh_graph_check (b->graph, error);
}

// The model once more, on the first examples of the batch.
static const DlhObjective *
build_part (gpointer data, gint64 n, GError **error)
{
    Built *b = data;
    DlhTrainer *t = b->trainer;
    const DlhModel *model = dlh_component_interface (t->model);
    g_autoptr (GPtrArray) updates = g_ptr_array_new (); // the whole batch has made them
    DlhBuild build = {sizeof build, b->graph, t->store, TRUE, updates, NULL};
    DlhNode *x = dlh_slice (b->x, 0, 0, n, 1), *y = b->y ? dlh_slice (b->y, 0, 0, n, 1) : NULL;
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
    b->update->build_part = build_part;
    b->update->build_data = b;
    b->update->n_examples = dlh_node_dim (b->x, 0);
    if (!optimizer->build (b->update, dlh_component_options (t->optimizer), &cause)) {
        g_prefix_error (&cause, "%s: ", name);
        return dlh_component_fail (t->optimizer, cause, error);
    }
    dlh_graph_pop_scope (b->graph);
    g_array_append_vals (b->shown, b->update->logs->data, b->update->logs->len);
    for (guint i = 0; i < b->update->notes->len && !t->noted; i++)
        g_ptr_array_add (t->notes, g_strdup (b->update->notes->pdata[i]));
    t->noted = TRUE;
    return dlh_graph_check (b->graph, error);
}

static Built *
get_built (DlhTrainer *t, DlhTensor *x, DlhTensor *y, gboolean training, GError **error)
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
        built_free (b);
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

static DlhFunction *
compile (DlhTrainer *t, Built *b, guint mask, GError **error)
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

static DlhFunction *
compile_after (DlhTrainer *t, Built *b, guint phase, GError **error)
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

static DlhBeside *
get_beside (DlhTrainer *t, Built *b, guint phase, GError **error)
{
    const char *name = g_array_index (b->update->phases, DlhPhase, phase).name;
    DlhBeside *beside = g_hash_table_lookup (t->beside, name);

    if (!beside && (beside = dlh_beside_new (b->update, phase, error)))
        g_hash_table_insert (t->beside, g_strdup (name), beside);
    return beside;
}

/* Running. */

// Says at which step, and which node was the first to go wrong.
static gboolean
explain (DlhTrainer *t, DlhFunction *f, DlhTensor *const *inputs, guint n, GError **error)
{
    g_autoptr (GError) cause = NULL;

    if (!error || !g_error_matches (*error, DLH_ERROR, DLH_ERROR_NUMERIC))
        return FALSE;
    if (!dlh_function_diagnose (f, inputs, n, &cause)) {
        g_autofree char *text = g_strdup ((*error)->message);
        gboolean same = strstr (cause->message, text) != NULL;

        g_clear_error (error);
        g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC, "%s%s%s", same ? "" : text,
                     same ? "" : "; first at ", cause->message);
    }
    g_prefix_error (error, "step %" G_GINT64_FORMAT ": ", dlh_trainer_steps (t));
    return FALSE;
}

static gboolean
is_due (const DlhPhase *p, gint64 step)
{
    return step >= p->first && (step - p->first) % p->period == 0;
}

static gboolean
is_empty (const DlhUpdate *u, guint phase)
{
    for (guint i = 0; i < u->assigns->len; i++)
        if (g_array_index (u->assigns, DlhPhaseAssign, i).phase == (int)phase)
            return FALSE;
    return TRUE;
}

static gboolean
run_beside (DlhTrainer *t, Built *b, guint phase, gint64 step, GError **error)
{
    const DlhPhase *p = &g_array_index (b->update->phases, DlhPhase, phase);
    DlhBeside *beside = get_beside (t, b, phase, error);

    if (!beside)
        return FALSE;
    return dlh_beside_step (beside, step, is_due (p, step), step == p->first, error) ||
           explain (t, dlh_beside_function (beside), NULL, 0, error);
}

static gboolean
run_after (DlhTrainer *t, Built *b, guint phase, DlhTensor *const *inputs, guint n, GError **error)
{
    DlhFunction *f = compile_after (t, b, phase, error);

    return f && (dlh_function_run (f, inputs, n, error) || explain (t, f, inputs, n, error));
}

// A step that was not finite has changed nothing: the optimizer's phases for that put back what led
// there, and what follows a step follows them.
static gboolean
recover (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n, GError **error)
{
    for (guint pass = 0; pass < 2; pass++)
        for (guint p = 0; p < b->update->phases->len; p++) {
            const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

            if (phase->when != (pass ? DLH_PHASE_AFTER : DLH_PHASE_RECOVER) || phase->delay ||
                is_empty (b->update, p))
                continue;
            if (!run_after (t, b, p, inputs, n, error))
                return FALSE;
        }
    return TRUE;
}

static gboolean
can_recover (const Built *b)
{
    for (guint p = 0; p < b->update->phases->len; p++)
        if (g_array_index (b->update->phases, DlhPhase, p).when == DLH_PHASE_RECOVER &&
            !is_empty (b->update, p))
            return TRUE;
    return FALSE;
}

// (element-type DlhTensor) (transfer full) (nullable): every variable's value.
static GPtrArray *
copy_variables (DlhStore *store, GError **error)
{
    g_autoptr (GPtrArray) copies =
        g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        DlhTensor *copy =
            dlh_tensor_copy (dlh_variable_tensor (dlh_store_get_variable (store, i)), error);

        if (!copy)
            return NULL;
        g_ptr_array_add (copies, copy);
    }
    return g_steal_pointer (&copies);
}

static void
put_back (DlhStore *store, GPtrArray *copies)
{
    for (guint i = 0; i < copies->len; i++) {
        DlhTensor *to = dlh_variable_tensor (dlh_store_get_variable (store, i));

        if (dlh_tensor_bytes (to))
            memcpy (dlh_tensor_get_data (to), dlh_tensor_get_data (copies->pdata[i]),
                    dlh_tensor_bytes (to));
    }
}

// Tries once more after the optimizer's recovery; when that does not help, nothing has changed.
static gboolean
try_again (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) before = copy_variables (t->store, &error);

    if (!before)
        return FALSE;
    if (recover (t, b, inputs, n, &error) && dlh_function_run (t->function, inputs, n, &error))
        return TRUE;
    put_back (t->store, before);
    return FALSE;
}

static gboolean
run_step (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n, GError **error)
{
    g_autoptr (GError) cause = NULL;

    if (dlh_function_run (t->function, inputs, n, &cause))
        return TRUE;
    if (g_error_matches (cause, DLH_ERROR, DLH_ERROR_NUMERIC) && dlh_trainer_steps (t) > 0 &&
        can_recover (b) && try_again (t, b, inputs, n))
        return TRUE;
    g_propagate_error (error, g_steal_pointer (&cause));
    return explain (t, t->function, inputs, n, error);
}

gboolean
dlh_trainer_step (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    gint64 *step = dlh_tensor_get_data (dlh_variable_tensor (trainer->step));
    DlhTensor *inputs[] = {x, y};
    const guint n = y ? 2 : 1;
    guint mask = 0;
    Built *b;

    g_return_val_if_fail (trainer->optimizer, FALSE);
    if (!(b = get_built (trainer, x, y, TRUE, error)))
        return FALSE;
    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

        if (phase->when == DLH_PHASE_WITH && is_due (phase, *step))
            mask |= 1u << p;
    }
    trainer->last = b;
    if (!(trainer->function = compile (trainer, b, mask, error)) ||
        !run_step (trainer, b, inputs, n, error))
        return FALSE;
    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

        if (phase->delay && !is_empty (b->update, p)) {
            if (!run_beside (trainer, b, p, *step, error))
                return FALSE;
            continue;
        }
        if (phase->when != DLH_PHASE_AFTER || !is_due (phase, *step) || is_empty (b->update, p))
            continue;
        if (!run_after (trainer, b, p, inputs, n, error))
            return FALSE;
    }
    ++*step;
    return TRUE;
}

gboolean
dlh_trainer_evaluate (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    DlhTensor *inputs[] = {x, y};
    Built *b = get_built (trainer, x, y, FALSE, error);

    if (!b || !(trainer->function = compile (trainer, b, 0, error)))
        return FALSE;
    trainer->last = b;
    if (!dlh_function_run (trainer->function, inputs, y ? 2 : 1, error))
        return explain (trainer, trainer->function, inputs, y ? 2 : 1, error);
    return TRUE;
}

double
dlh_trainer_calibration (DlhTrainer *trainer, guint which, double *gaps)
{
    const Built *b = trainer->last;
    const DlhTensor *sums;

    memset (gaps, 0, DLH_CALIBRATION_BINS * sizeof *gaps);
    if (which > 1 || !b || b->update || !b->gaps[which])
        return 0;
    sums = dlh_function_output (trainer->function, b->shown->len + (which && b->gaps[0] ? 1 : 0));
    for (gint64 i = 0; i < DLH_CALIBRATION_BINS; i++)
        gaps[i] = dlh_tensor_get (sums, i);
    return (double)dlh_shape_count (dlh_node_shape (b->objective.target));
}

/* Looking without training. */

// Positions of random streams are all that a run without assignments changes: they are put back.
static gboolean
run_without_trace (DlhTrainer *t, DlhFunction *f, DlhTensor *x, DlhTensor *y, GError **error)
{
    DlhTensor *inputs[] = {x, y};
    guint n = dlh_store_n_variables (t->store);
    g_autofree gint64 *positions = g_new0 (gint64, n);
    gboolean ok = FALSE;

    for (guint pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < n; i++) {
            DlhVariable *v = dlh_store_get_variable (t->store, i);
            gint64 *position = dlh_tensor_get_data (dlh_variable_tensor (v));

            if (!g_str_has_prefix (dlh_variable_name (v), "random/"))
                continue;
            if (pass)
                *position = positions[i];
            else
                positions[i] = *position;
        }
        if (!pass)
            ok = dlh_function_run (f, inputs, y ? 2 : 1, error);
    }
    return ok;
}

gboolean
dlh_trainer_predict (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, const DlhTensor **prediction,
                     GError **error)
{
    Built *b = get_built (trainer, x, y, FALSE, error);

    *prediction = NULL;
    if (!b)
        return FALSE;
    if (!b->objective.prediction)
        return TRUE;
    if (!b->prediction) {
        DlhNode *mean = dlh_distribution_mean (b->objective.prediction);

        b->prediction =
            dlh_graph_compile_full (b->graph, &mean, 1, trainer->training.compile_flags, error);
    }
    if (!b->prediction || !run_without_trace (trainer, b->prediction, x, y, error))
        return FALSE;
    *prediction = dlh_function_output (b->prediction, 0);
    return TRUE;
}

GArray *
dlh_trainer_gradients (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    GArray *gradients;
    Built *b;

    g_return_val_if_fail (trainer->optimizer, NULL);
    if (!(b = get_built (trainer, x, y, TRUE, error)))
        return NULL;
    if (!b->gradients)
        b->gradients =
            dlh_graph_compile_full (b->graph, b->update->gradients, b->update->variables->len,
                                    trainer->training.compile_flags, error);
    if (!b->gradients || !run_without_trace (trainer, b->gradients, x, y, error))
        return NULL;
    gradients = g_array_new (FALSE, FALSE, sizeof (DlhGradient));
    for (guint i = 0; i < b->update->variables->len; i++) {
        DlhGradient g = {b->update->variables->pdata[i], dlh_function_output (b->gradients, i)};

        g_array_append_val (gradients, g);
    }
    return gradients;
}

guint
dlh_trainer_n_values (DlhTrainer *trainer)
{
    return trainer->last ? trainer->last->shown->len : 0;
}

const char *
dlh_trainer_value_name (DlhTrainer *trainer, guint i)
{
    g_return_val_if_fail (i < dlh_trainer_n_values (trainer), NULL);
    return g_array_index (trainer->last->shown, DlhMetric, i).name;
}

double
dlh_trainer_value (DlhTrainer *trainer, guint i)
{
    g_return_val_if_fail (i < dlh_trainer_n_values (trainer), 0);
    return dlh_function_scalar (trainer->function, i);
}

gint64
dlh_trainer_steps (DlhTrainer *trainer)
{
    return *(const gint64 *)dlh_tensor_get_data (dlh_variable_tensor (trainer->step));
}

GPtrArray *
dlh_trainer_notes (DlhTrainer *trainer)
{
    return trainer->notes;
}

DlhFunction *
dlh_trainer_function (DlhTrainer *trainer)
{
    return trainer->function;
}

/* What a step consists of, for profiles and pictures. */

#define COUNTED_STEPS 2520 /* divided by every period up to 10 */

static void
part_clear (gpointer data)
{
    g_free (((DlhTrainerPart *)data)->name);
}

static void
add_part (GArray *parts, const char *name, DlhFunction *function, guint runs)
{
    DlhTrainerPart part = {g_strdup (name), function, (double)runs / COUNTED_STEPS};

    g_array_append_val (parts, part);
}

static guint
phases_due (const Built *b, DlhPhaseWhen when, gint64 step)
{
    guint mask = 0;

    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

        if (phase->when == when && is_due (phase, step))
            mask |= 1u << p;
    }
    return mask;
}

static char *
part_name (const Built *b, guint mask)
{
    GString *s = g_string_new ("step");

    for (guint p = 0; p < b->update->phases->len; p++)
        if (mask & (1u << p)) {
            g_string_append (s, s->len == strlen ("step") ? " with " : ", ");
            g_string_append (s, g_array_index (b->update->phases, DlhPhase, p).name);
        }
    return g_string_free (s, FALSE);
}

static int
compare_runs (gconstpointer a, gconstpointer b)
{
    double x = ((const DlhTrainerPart *)a)->runs, y = ((const DlhTrainerPart *)b)->runs;

    return (x < y) - (x > y);
}

static DlhFunction *
late_function (DlhTrainer *t, Built *b, guint phase, GError **error)
{
    DlhBeside *beside;

    if (!g_array_index (b->update->phases, DlhPhase, phase).delay)
        return compile_after (t, b, phase, error);
    beside = get_beside (t, b, phase, error);
    return beside ? dlh_beside_function (beside) : NULL;
}

// Counted over many steps after the first ones, as periods of phases need not divide each other.
static gboolean
count_parts (DlhTrainer *t, Built *b, GArray *parts, GError **error)
{
    guint with[32] = {0}, after[32] = {0}, masks[32], n_masks = 0;
    gint64 first = dlh_trainer_steps (t);

    for (guint p = 0; p < b->update->phases->len; p++)
        first = MAX (first, g_array_index (b->update->phases, DlhPhase, p).first);
    for (gint64 step = first; step < first + COUNTED_STEPS; step++) {
        guint mask = phases_due (b, DLH_PHASE_WITH, step), i = 0;
        guint late = phases_due (b, DLH_PHASE_AFTER, step);

        while (i < n_masks && masks[i] != mask)
            i++;
        if (i == n_masks && n_masks < G_N_ELEMENTS (masks))
            masks[n_masks++] = mask;
        if (i < n_masks)
            with[i]++;
        for (guint p = 0; p < 32; p++)
            after[p] += (late >> p) & 1;
    }
    for (guint i = 0; i < n_masks; i++) {
        g_autofree char *name = part_name (b, masks[i]);
        DlhFunction *f = compile (t, b, masks[i], error);

        if (!f)
            return FALSE;
        add_part (parts, name, f, with[i]);
    }
    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);
        g_autofree char *name =
            g_strconcat (phase->delay ? "beside: " : "after: ", phase->name, NULL);
        DlhFunction *f = after[p] ? late_function (t, b, p, error) : NULL;

        if (after[p] && !f)
            return FALSE;
        if (after[p])
            add_part (parts, name, f, after[p]);
    }
    return TRUE;
}

GArray *
dlh_trainer_parts (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    g_autoptr (GArray) parts = g_array_new (FALSE, TRUE, sizeof (DlhTrainerPart));
    Built *b;

    g_return_val_if_fail (trainer->optimizer, NULL);
    g_array_set_clear_func (parts, part_clear);
    if (!(b = get_built (trainer, x, y, TRUE, error)) || !count_parts (trainer, b, parts, error))
        return NULL;
    g_array_sort (parts, compare_runs);
    return g_steal_pointer (&parts);
}

DlhFunction *
dlh_trainer_evaluation (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    Built *b = get_built (trainer, x, y, FALSE, error);

    return b ? compile (trainer, b, 0, error) : NULL;
}
