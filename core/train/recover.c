/* SPDX-License-Identifier: MIT */
/* A step that was not finite is tried again after what the optimizer declared for that. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "train/trainer.h"

static gboolean
run_phase (DlhTrainer *t, Built *b, guint p, DlhTensor *const *inputs, guint n, GError **error)
{
    DlhBeside *beside;

    if (!g_array_index (b->update->phases, DlhPhase, p).delay)
        return trainer_run_after (t, b, p, inputs, n, error);
    beside = trainer_beside (t, b, p, error);
    return beside && dlh_beside_now (beside, dlh_trainer_steps (t), error);
}

// A step that was not finite has changed nothing: the optimizer's phases for that put back what led
// there, and what follows a step follows them, at once.
static gboolean
recover (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n, GError **error)
{
    for (guint pass = 0; pass < 2; pass++)
        for (guint p = 0; p < b->update->phases->len; p++) {
            const DlhPhase *phase = &g_array_index (b->update->phases, DlhPhase, p);

            if (phase->when == (pass ? DLH_PHASE_AFTER : DLH_PHASE_RECOVER) &&
                !trainer_is_empty (b->update, p) && !run_phase (t, b, p, inputs, n, error))
                return FALSE;
        }
    return TRUE;
}

gboolean
trainer_can_recover (const Built *b)
{
    for (guint p = 0; p < b->update->phases->len; p++)
        if (g_array_index (b->update->phases, DlhPhase, p).when == DLH_PHASE_RECOVER &&
            !trainer_is_empty (b->update, p))
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

#define TRIES 10

// Recovers and runs until a step is finite. What goes wrong otherwise is not recovered from.
static gboolean
run_again (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n)
{
    for (guint i = 0; i < TRIES; i++) {
        g_autoptr (GError) error = NULL;

        if (!recover (t, b, inputs, n, &error))
            return FALSE;
        trainer_forget_averages (t);
        if (dlh_function_run (t->function, inputs, n, &error))
            return TRUE;
        if (!g_error_matches (error, DLH_ERROR, DLH_ERROR_NUMERIC))
            return FALSE;
    }
    return FALSE;
}

gboolean
trainer_try_again (DlhTrainer *t, Built *b, DlhTensor *const *inputs, guint n)
{
    g_autoptr (GPtrArray) before = copy_variables (t->store, NULL);

    if (!before)
        return FALSE;
    if (run_again (t, b, inputs, n))
        return TRUE;
    put_back (t->store, before);
    return FALSE;
}
