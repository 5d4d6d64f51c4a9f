/* SPDX-License-Identifier: MIT */
/* Predictions and gradients of a batch, without training. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "graph/private.h"
#include "train/trainer.h"

// Positions of random streams are all that a run without assignments changes: they are put back.
static gboolean
run_without_trace (DlhTrainer *t, DlhFunction *f, gboolean averaged, DlhTensor *x, DlhTensor *y,
                   GError **error)
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
            ok = averaged ? trainer_run_averaged (t, f, inputs, y ? 2 : 1, error)
                          : dlh_function_run (f, inputs, y ? 2 : 1, error);
    }
    return ok;
}

gboolean
dlh_trainer_predict (DlhTrainer *trainer, DlhTensor *x, DlhTensor *y, const DlhTensor **prediction,
                     GError **error)
{
    Built *b = trainer_built (trainer, x, y, FALSE, error);

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
    if (!b->prediction || !run_without_trace (trainer, b->prediction, TRUE, x, y, error))
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
    if (!(b = trainer_built (trainer, x, y, TRUE, error)))
        return NULL;
    if (!b->gradients)
        b->gradients = dlh_graph_compile_full (b->graph, dlh_update_gradients (b->update),
                                               b->update->variables->len,
                                               trainer->training.compile_flags, error);
    if (!b->gradients || !run_without_trace (trainer, b->gradients, FALSE, x, y, error))
        return NULL;
    gradients = g_array_new (FALSE, FALSE, sizeof (DlhGradient));
    for (guint i = 0; i < b->update->variables->len; i++) {
        DlhGradient g = {b->update->variables->pdata[i], dlh_function_output (b->gradients, i)};

        g_array_append_val (gradients, g);
    }
    return gradients;
}
