/* SPDX-License-Identifier: MIT */
/* What a stopped run goes on from: how far it is, the codes, and what was found. All of it is
 * variables of the store, so the run's checkpoints have it. */
#include "disentangle.h"

static DlhTensor *
state (Disentangle *t, const char *name, DlhDType dtype, DlhShape shape, GError **error)
{
    g_autofree char *full = g_strdup_printf ("disentangle/%s", name);
    DlhVariable *v = dlh_store_variable (dlh_run_store (t->run), full, dtype, shape,
                                         (DlhInit){DLH_INIT_ZEROS, 0, 0}, error);

    return v ? dlh_variable_tensor (v) : NULL;
}

// Over (d, k + 1): mutual information, then entropies in the last d elements.
static Information
view_information (Disentangle *t, DlhTensor *tensor, guint k)
{
    double *data = dlh_tensor_get_data (tensor);

    return (Information){data, data + (gsize)t->codes.d * k};
}

// What was encoded before the stop.
static void
restore_codes (Disentangle *t)
{
    Kept *kept = &t->kept;
    Codes *c = &t->codes;
    double *to[] = {c->mean, c->log_std, c->z};
    gint64 n = *kept->stage > STAGE_ENCODE ? c->n : *kept->done;

    for (guint part = 0; part < G_N_ELEMENTS (to); part++)
        for (guint j = 0; j < c->d; j++)
            for (gint64 i = 0; i < n; i++)
                to[part][j * (gsize)c->n + (gsize)i] =
                    dlh_tensor_get (kept->codes[part], (gint64)j * c->n + i);
}

gboolean
disentangle_keep_init (Disentangle *t, DlhDType dtype, GError **error)
{
    static const char *const names[] = {"mean", "log_std", "z"};
    guint k = dlh_data_factor_values (t->data, t->split) ? dlh_data_n_factors (t->data) : 0;
    DlhShape none = dlh_shape (), codes = dlh_shape (t->codes.d, t->codes.n);
    DlhShape information = dlh_shape (t->codes.d, k + 1), samples = dlh_shape (t->opt->samples);
    DlhTensor *stage, *done, *log_likelihood, *grid, *sampled, *scores, *joint, *marginals;
    Kept *kept = &t->kept;

    for (guint part = 0; part < G_N_ELEMENTS (names); part++)
        if (!(kept->codes[part] = state (t, names[part], dtype, codes, error)))
            return FALSE;
    if (!(stage = state (t, "stage", DLH_I64, none, error)) ||
        !(done = state (t, "done", DLH_I64, none, error)) ||
        !(log_likelihood = state (t, "log_likelihood", DLH_F64, none, error)) ||
        !(grid = state (t, "information", DLH_F64, information, error)) ||
        !(sampled = state (t, "information_sampled", DLH_F64, information, error)) ||
        !(scores = state (t, "scores", DLH_F64, dlh_shape (N_SCORES), error)) ||
        !(joint = state (t, "joint", DLH_F64, samples, error)) ||
        !(marginals = state (t, "marginals", DLH_F64, samples, error)))
        return FALSE;
    kept->stage = dlh_tensor_get_data (stage);
    kept->done = dlh_tensor_get_data (done);
    kept->log_likelihood = dlh_tensor_get_data (log_likelihood);
    kept->grid = view_information (t, grid, k);
    kept->sampled = view_information (t, sampled, k);
    kept->scores = dlh_tensor_get_data (scores);
    kept->joint = dlh_tensor_get_data (joint);
    kept->marginals = dlh_tensor_get_data (marginals);
    kept->saved_at = g_get_monotonic_time ();
    dlh_run_keep_checkpoints (t->run, 1);
    restore_codes (t);
    return TRUE;
}

void
disentangle_keep_codes (Disentangle *t, gint64 first, gint64 n)
{
    const Codes *c = &t->codes;
    const double *from[] = {c->mean, c->log_std, c->z};

    // In the model's type: what comes back is the same.
    for (guint part = 0; part < G_N_ELEMENTS (from); part++)
        for (guint j = 0; j < c->d; j++)
            for (gint64 i = first; i < first + n; i++)
                dlh_tensor_set (t->kept.codes[part], (gint64)j * c->n + i,
                                from[part][j * (gsize)c->n + (gsize)i]);
}

gint64 *
disentangle_begin (Disentangle *t, Stage stage, gint64 total)
{
    Kept *kept = &t->kept;

    if (*kept->stage > stage) {
        t->complete = total;
        return &t->complete;
    }
    if (*kept->stage < stage) {
        *kept->stage = stage;
        *kept->done = 0;
    }
    return kept->done;
}

gboolean
disentangle_save (Disentangle *t, gint64 step, gboolean now, GError **error)
{
    gint64 time = g_get_monotonic_time ();

    if (!now && (double)(time - t->kept.saved_at) < t->opt->checkpoint * G_USEC_PER_SEC)
        return TRUE;
    t->kept.saved_at = time;
    return dlh_run_checkpoint (t->run, step, error);
}
