/* SPDX-License-Identifier: MIT */
/* Watching a metric: for early stopping, and for the best checkpoint. What is known of it are
 * variables, so that a resumed run knows it, too. */
#pragma once

#include <string.h>
#include <dlhost/dlhost.h>

/* A metric whose best value is remembered. */
typedef struct {
    const char *name; /* NULL: none */
    gboolean more;    /* whether more is better */
    gboolean known;   /* whether an evaluation has given it */
    double latest;
    DlhVariable *value; /* the best so far */
    DlhVariable *since; /* evaluations since then, -1: no value yet */
} Watched;

static inline void
watch (Watched *w, const char *name, double value)
{
    if (w->name && strcmp (name, w->name) == 0) {
        w->latest = value;
        w->known = TRUE;
    }
}

static inline double *
scalar_of (DlhVariable *v)
{
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

// Whether the last evaluation is the best so far, which is then remembered.
static inline gboolean
improves (Watched *w)
{
    double *best = scalar_of (w->value), *since = scalar_of (w->since);

    if (*since < 0 || (w->more ? w->latest > *best : w->latest < *best)) {
        *best = w->latest;
        *since = 0;
        return TRUE;
    }
    *since += 1;
    return FALSE;
}

// @text: "valid/loss", "max:test/score"; @prefix: of the variables' names.
static inline gboolean
prepare_watched (Watched *w, DlhRun *run, DlhData *data, const char *option, const char *text,
                 const char *prefix, GError **error)
{
    DlhStore *store = dlh_run_store (run);
    g_autofree char *value = g_strdup_printf ("train/%s", prefix);
    g_autofree char *since = g_strdup_printf ("train/since_%s", prefix);

    w->more = g_str_has_prefix (text, "max:") ||
              (g_str_has_suffix (text, "accuracy") && !g_str_has_prefix (text, "min:"));
    w->name = g_str_has_prefix (text, "max:") || g_str_has_prefix (text, "min:") ? text + 4 : text;
    if (g_str_has_prefix (w->name, "valid/") && !dlh_data_has_split (data, DLH_SPLIT_VALID)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "train: '%s' watches %s, but the data set has no validation split: give the "
                     "data set one, or watch test/loss",
                     option, w->name);
        return FALSE;
    }
    w->value = dlh_store_variable (store, value, DLH_F64, dlh_shape (),
                                   (DlhInit){.kind = DLH_INIT_ZEROS}, error);
    if (w->value)
        w->since = dlh_store_variable (store, since, DLH_F64, dlh_shape (),
                                       (DlhInit){DLH_INIT_CONSTANT, -1, 0}, error);
    return w->since != NULL;
}

static inline gboolean
check_known (const Watched *w, GError **error)
{
    if (!w->name || w->known)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "train: no metric '%s' to watch: give one that the evaluation prints, such as "
                 "valid/loss",
                 w->name);
    return FALSE;
}
