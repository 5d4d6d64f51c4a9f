/* SPDX-License-Identifier: MIT */
/* The trainer: runs what the step number asks for. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "train/trainer.h"

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
        t->built[mode] =
            g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, trainer_built_free);
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

// Says at which step, and which node was the first to go wrong.
gboolean
trainer_explain (DlhTrainer *t, DlhFunction *f, DlhTensor *const *inputs, guint n, GError **error)
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

gboolean
trainer_is_due (const DlhPhase *p, gint64 step)
{
    return step >= p->first && (step - p->first) % p->period == 0;
}

gboolean
trainer_is_empty (const DlhUpdate *u, guint phase)
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
    DlhBeside *beside = trainer_beside (t, b, phase, error);

    if (!beside)
        return FALSE;
    return dlh_beside_step (beside, step, trainer_is_due (p, step), step == p->first, error) ||
           trainer_explain (t, dlh_beside_function (beside), NULL, 0, error);
}

gboolean
trainer_run_after (DlhTrainer *t, Built *b, guint phase, DlhTensor *const *inputs, guint n,
                   GError **error)
{
    DlhFunction *f = trainer_compile_after (t, b, phase, error);

    return f &&
           (dlh_function_run (f, inputs, n, error) || trainer_explain (t, f, inputs, n, error));
}

static gboolean
run_step (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n, GError **error)
{
    g_autoptr (GError) cause = NULL;

    // Other steps are short.
    dlh_function_set_stop (t->function, b->update->population ? t->stop : NULL, t->stop_data);
    if (dlh_function_run (t->function, inputs, n, &cause))
        return TRUE;
    if (g_error_matches (cause, DLH_ERROR, DLH_ERROR_NUMERIC) && dlh_trainer_steps (t) > 0 &&
        trainer_can_recover (b) && trainer_try_again (t, b, inputs, n))
        return TRUE;
    g_propagate_error (error, g_steal_pointer (&cause));
    return trainer_explain (t, t->function, inputs, n, error);
}

void
dlh_trainer_set_stop (DlhTrainer *trainer, gboolean (*asked) (gpointer data), gpointer data)
{
    trainer->stop = asked;
    trainer->stop_data = data;
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
    if (!(b = trainer_built (trainer, x, y, TRUE, error)))
        return FALSE;
    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

        if (phase->when == DLH_PHASE_WITH && trainer_is_due (phase, *step))
            mask |= 1u << p;
    }
    trainer->last = b;
    if (!(trainer->function = trainer_compile (trainer, b, mask, error)) ||
        !run_step (trainer, b, inputs, n, error))
        return FALSE;
    for (guint p = 0; p < b->update->phases->len; p++) {
        const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

        if (phase->delay && !trainer_is_empty (b->update, p)) {
            if (!run_beside (trainer, b, p, *step, error))
                return FALSE;
            continue;
        }
        if (phase->when != DLH_PHASE_AFTER || !trainer_is_due (phase, *step) ||
            trainer_is_empty (b->update, p))
            continue;
        if (!trainer_run_after (trainer, b, p, inputs, n, error))
            return FALSE;
    }
    ++*step;
    return TRUE;
}

gboolean
dlh_trainer_evaluate (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    DlhTensor *inputs[] = {x, y};
    Built *b = trainer_built (trainer, x, y, FALSE, error);

    if (!b || !(trainer->function = trainer_compile (trainer, b, 0, error)))
        return FALSE;
    trainer->last = b;
    if (!trainer_run_averaged (trainer, trainer->function, inputs, y ? 2 : 1, error))
        return trainer_explain (trainer, trainer->function, inputs, y ? 2 : 1, error);
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

DlhFunction *
dlh_trainer_evaluation (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, GError **error)
{
    Built *b = trainer_built (trainer, x, y, FALSE, error);

    return b ? trainer_compile (trainer, b, 0, error) : NULL;
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
