/* SPDX-License-Identifier: MIT */
/* Averages of parameters over the steps, for evaluation (1503.05671 averages its iterates so, with
 * decay 0.99):
 *
 *   average_k = w average_{k-1} + (1 - w) theta_k,   w = min (1 - 1/k, decay)
 *
 * the plain mean of the first iterates, then an exponential one. "train/averaged" is k. Only
 * parameters are averaged, not what a model measures, such as the moments of a batch norm. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "state/store-private.h"
#include "train/trainer.h"

static char *
average_name (const DlhVariable *parameter)
{
    return g_strconcat ("average/", dlh_variable_name (parameter), NULL);
}

static DlhVariable *
make_average (DlhStore *store, DlhVariable *parameter, GError **error)
{
    g_autofree char *name = average_name (parameter);

    return dlh_store_variable (store, name, dlh_variable_dtype (parameter),
                               dlh_variable_shape (parameter), (DlhInit){.kind = DLH_INIT_ZEROS},
                               error);
}

static DlhVariable *
make_count (DlhStore *store, GError **error)
{
    return dlh_store_variable (store, "train/averaged", DLH_I64, dlh_shape (),
                               (DlhInit){.kind = DLH_INIT_ZEROS}, error);
}

void
dlh_average_step (DlhUpdate *u, DlhNode *const *moved)
{
    const guint n = u->training->average > 0 ? u->variables->len : 0;
    g_autoptr (GError) error = NULL;
    DlhVariable *count = n ? make_count (u->store, &error) : NULL;
    DlhNode *k, *w;

    if (!count) {
        if (error)
            dlh_graph_fail (u->graph, error->code, "%s", error->message);
        return;
    }
    k = dlh_offset (dlh_cast (dlh_read (u->graph, count), DLH_F64), 1);
    w = dlh_min (dlh_sub (dlh_full_like (k, 1), dlh_reciprocal (k)),
                 dlh_full_like (k, u->training->average));
    dlh_update_assign_plain (u, dlh_read (u->graph, count), dlh_cast (k, DLH_I64));
    for (guint i = 0; i < n; i++) {
        DlhVariable *average = make_average (u->store, u->variables->pdata[i], &error);
        DlhNode *old, *part;

        if (!average) {
            dlh_graph_fail (u->graph, error->code, "%s", error->message);
            return;
        }
        old = dlh_read (u->graph, average);
        part = dlh_cast (dlh_sub (dlh_full_like (w, 1), w), dlh_node_dtype (old));
        dlh_update_assign_plain (u, old, dlh_add (old, dlh_mul (dlh_sub (moved[i], old), part)));
    }
}

void
trainer_forget_averages (DlhTrainer *t)
{
    DlhVariable *count = dlh_store_lookup (t->store, "train/averaged");

    if (count)
        *(gint64 *)dlh_tensor_get_data (dlh_variable_tensor (count)) = 0;
}

static void
swap_bytes (DlhTensor *a, DlhTensor *b)
{
    char *x = dlh_tensor_get_data (a), *y = dlh_tensor_get_data (b), kept[4096];
    gsize n = dlh_tensor_bytes (a);

    for (gsize done = 0, some; done < n; done += some) {
        some = MIN (n - done, sizeof kept);
        memcpy (kept, x + done, some);
        memcpy (x + done, y + done, some);
        memcpy (y + done, kept, some);
    }
}

// Whether a checkpoint or a step has one.
static gboolean
has_average (DlhStore *store, const DlhVariable *parameter)
{
    g_autofree char *name = average_name (parameter);

    return dlh_store_lookup (store, name) || g_hash_table_contains (store->pending, name);
}

static gboolean
swap_all (DlhTrainer *t, GError **error)
{
    const guint n = dlh_store_n_variables (t->store);

    for (guint i = 0; i < n; i++) {
        DlhVariable *v = dlh_store_get_variable (t->store, i), *average;

        if (!dlh_variable_is_trainable (v) || !has_average (t->store, v))
            continue;
        if (!(average = make_average (t->store, v, error)))
            return FALSE;
        swap_bytes (dlh_variable_tensor (v), dlh_variable_tensor (average));
    }
    return TRUE;
}

gboolean
trainer_run_averaged (DlhTrainer *t, DlhFunction *f, DlhTensor *const *inputs, guint n,
                      GError **error)
{
    DlhVariable *count;
    gboolean ok;

    if (!(t->training.average > 0))
        return dlh_function_run (f, inputs, n, error);
    if (!(count = make_count (t->store, error)))
        return FALSE;
    if (*(const gint64 *)dlh_tensor_get_data (dlh_variable_tensor (count)) == 0) {
        if (t->optimizer) // before the first step, or after one that was taken back
            return dlh_function_run (f, inputs, n, error);
        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "there are no averages of parameters: give a checkpoint of a run with "
                     "--task.average");
        return FALSE;
    }
    if (!swap_all (t, error))
        return FALSE;
    ok = dlh_function_run (f, inputs, n, error);
    return swap_all (t, ok ? error : NULL) && ok;
}
