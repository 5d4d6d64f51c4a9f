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

#define PREFIX "average/"
#define COUNT "train/averaged"
#define TAKEN "train/averages_taken" /* the count, once a task has put averages in their place */

static char *
average_name (const DlhVariable *parameter)
{
    return g_strconcat (PREFIX, dlh_variable_name (parameter), NULL);
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
    return dlh_store_variable (store, COUNT, DLH_I64, dlh_shape (),
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
    DlhVariable *count = dlh_store_lookup (t->store, COUNT);

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

/* Scoring. */

static DlhTensor *
tensor_named (DlhStore *store, const char *name)
{
    DlhVariable *v = dlh_store_lookup (store, name);

    return v ? dlh_variable_tensor (v) : g_hash_table_lookup (store->pending, name);
}

static gint64
number_named (DlhStore *store, const char *name)
{
    const DlhTensor *t = tensor_named (store, name);

    return t && dlh_tensor_count (t) == 1 ? (gint64)dlh_tensor_get (t, 0) : 0;
}

// The parameter named behind PREFIX becomes its average, which is then no longer there: a task that
// goes on from a checkpoint of its own finds what it had.
static gboolean
take_one (DlhStore *store, const char *name, GError **error)
{
    const char *parameter = name + strlen (PREFIX);
    DlhTensor *from = tensor_named (store, name), *to = tensor_named (store, parameter);

    if (to && (dlh_tensor_get_dtype (to) != dlh_tensor_get_dtype (from) ||
               !dlh_shape_equal (dlh_tensor_get_shape (to), dlh_tensor_get_shape (from)))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "the checkpoint's '%s' is of another shape or type than its '%s'", name,
                     parameter);
        return FALSE;
    }
    if (dlh_store_lookup (store, parameter))
        memcpy (dlh_tensor_get_data (to), dlh_tensor_get_data (from), dlh_tensor_bytes (to));
    else
        g_hash_table_insert (store->pending, g_strdup (parameter), dlh_tensor_ref (from));
    g_hash_table_remove (store->pending, name);
    return TRUE;
}

static gboolean
take_all (DlhStore *store, gint64 n_steps, GError **error)
{
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    DlhVariable *taken = dlh_store_variable (store, TAKEN, DLH_I64, dlh_shape (),
                                             (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    GHashTableIter iter;
    gpointer key;

    if (!taken)
        return FALSE;
    g_hash_table_iter_init (&iter, store->pending);
    while (g_hash_table_iter_next (&iter, &key, NULL))
        if (g_str_has_prefix (key, PREFIX))
            g_ptr_array_add (names, g_strdup (key));
    for (guint i = 0; i < names->len; i++)
        if (!take_one (store, names->pdata[i], error))
            return FALSE;
    dlh_tensor_set (dlh_variable_tensor (taken), 0, (double)n_steps);
    g_hash_table_remove (store->pending, COUNT);
    return TRUE;
}

gboolean
dlh_run_average (DlhRun *run, const char *which, GError **error)
{
    DlhStore *store = dlh_run_store (run);
    gint64 n_steps = number_named (store, COUNT), taken = number_named (store, TAKEN);
    const gboolean last = strcmp (which, "false") == 0;

    if (!n_steps && !taken) {
        if (strcmp (which, "true") != 0)
            return TRUE;
        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "average=true: there are no averages of parameters: give --checkpoint=FILE of "
                     "a run with --task.average, or average=auto");
        return FALSE;
    }
    if (last) {
        dlh_run_message (run, "the last values of the parameters are scored; the checkpoint has "
                              "their averages as well, which average=true scores");
        return TRUE;
    }
    if (!taken && !take_all (store, n_steps, error))
        return FALSE;
    dlh_run_message (run,
                     "the averages of the parameters over %" G_GINT64_FORMAT
                     " steps are scored; average=false scores their last values",
                     taken ? taken : n_steps);
    return TRUE;
}
