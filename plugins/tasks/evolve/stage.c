/* SPDX-License-Identifier: MIT */
/* A model's prediction becomes the most likely of the choices, or the mean within its range. */
#include <math.h>
#include <string.h>
#include "stage.h"

void
stage_clear (Stage *s)
{
    dlh_world_free (s->world);
    dlh_tensor_unref (s->x);
    g_free (s->actions);
    g_free (s->seeds);
    g_free (s->returns);
    g_free (s->lengths);
}

gboolean
stage_init (Stage *s, DlhComponent *environment, gint64 n, DlhDType dtype, GError **error)
{
    const DlhEnvironmentSpec *spec;

    if (!(s->world = dlh_world_new (environment, n, error)))
        return FALSE;
    spec = dlh_world_spec (s->world);
    s->actions = g_new0 (double, n *(spec->action == DLH_ACTION_DISCRETE ? 1 : spec->n_actions));
    s->seeds = g_new0 (guint64, n);
    s->returns = g_new0 (double, n);
    s->lengths = g_new0 (double, n);
    s->x = dlh_tensor_new (dtype, dlh_shape_insert (spec->observation, 0, n), error);
    return s->x != NULL;
}

DlhProblem
stage_problem (const Stage *s)
{
    const DlhEnvironmentSpec *spec = dlh_world_spec (s->world);
    const gboolean discrete = spec->action == DLH_ACTION_DISCRETE;

    return (DlhProblem){.size = sizeof (DlhProblem),
                        .input_shape = spec->observation,
                        .target_shape = discrete ? dlh_shape () : dlh_shape (spec->n_actions),
                        .target_kind = discrete ? DLH_TARGET_CLASS : DLH_TARGET_REAL,
                        .n_classes = discrete ? spec->n_actions : 0,
                        .target_std = 1};
}

/* Acting. */

static double
likeliest (const DlhTensor *prediction, gint64 at, gint64 n)
{
    gint64 best = 0;

    for (gint64 k = 1; k < n; k++)
        if (dlh_tensor_get (prediction, at + k) > dlh_tensor_get (prediction, at + best))
            best = k;
    return (double)best;
}

static gboolean
check_prediction (const DlhEnvironmentSpec *spec, const DlhTensor *prediction, gint64 n,
                  GError **error)
{
    const DlhShape want = dlh_shape (n, spec->n_actions);
    g_autofree char *got = NULL, *wanted = NULL;

    if (dlh_shape_equal (dlh_tensor_get_shape (prediction), want))
        return TRUE;
    got = dlh_shape_to_string (dlh_tensor_get_shape (prediction));
    wanted = dlh_shape_to_string (want);
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "evolve: the model predicts %s, actions need %s: try --model=mlp", got, wanted);
    return FALSE;
}

static gboolean
check_row (const DlhTensor *prediction, gint64 at, gint64 n, GError **error)
{
    for (gint64 k = 0; k < n; k++)
        if (!isfinite (dlh_tensor_get (prediction, at + k))) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "evolve: the model predicts %g for an action, must be finite: give the "
                         "optimizer a smaller lr or sigma",
                         dlh_tensor_get (prediction, at + k));
            return FALSE;
        }
    return TRUE;
}

// Of copies whose episode is over nothing is asked.
static gboolean
choose (Stage *s, const DlhTensor *prediction, GError **error)
{
    const DlhEnvironmentSpec *spec = dlh_world_spec (s->world);
    const gboolean *playing = dlh_world_playing (s->world);
    const gint64 n = dlh_world_count (s->world), m = spec->n_actions;

    if (!check_prediction (spec, prediction, n, error))
        return FALSE;
    for (gint64 i = 0; i < n; i++) {
        if (!playing[i])
            continue;
        if (!check_row (prediction, i * m, m, error))
            return FALSE;
        if (spec->action == DLH_ACTION_DISCRETE)
            s->actions[i] = likeliest (prediction, i * m, m);
        else
            for (gint64 k = 0; k < m; k++)
                s->actions[i * m + k] =
                    CLAMP (dlh_tensor_get (prediction, i * m + k), spec->low[k], spec->high[k]);
    }
    return TRUE;
}

static void
look (Stage *s)
{
    const double *shown = dlh_world_feedback (s->world)->observation;

    for (gint64 i = 0; i < dlh_tensor_count (s->x); i++)
        dlh_tensor_set (s->x, i, shown[i]);
}

static gboolean
act (Stage *s, DlhRewarded *r, Policy policy, GError **error)
{
    const DlhFeedback *f = dlh_world_feedback (s->world);
    const gboolean *playing = dlh_world_playing (s->world);
    const DlhTensor *prediction;

    look (s);
    if (!policy (r, s->x, &prediction, error) || !choose (s, prediction, error))
        return FALSE;
    for (gint64 i = 0; i < dlh_world_count (s->world); i++)
        s->lengths[i] += playing[i];
    if (!dlh_world_step (s->world, s->actions, error))
        return FALSE;
    for (gint64 i = 0; i < dlh_world_count (s->world); i++)
        s->returns[i] += f->reward[i];
    return TRUE;
}

gboolean
stage_play (Stage *s, DlhRewarded *r, Policy policy, gint64 length, DlhRun *run, GError **error)
{
    const gsize n = (gsize)dlh_world_count (s->world);

    memset (s->returns, 0, n * sizeof (double));
    memset (s->lengths, 0, n * sizeof (double));
    if (!dlh_world_reset (s->world, s->seeds, NULL, error))
        return FALSE;
    for (gint64 t = 0; dlh_world_n_playing (s->world) > 0 && (length == 0 || t < length); t++) {
        if (dlh_run_should_stop (run)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED, "evolve: stopped");
            return FALSE;
        }
        if (!act (s, r, policy, error))
            return FALSE;
    }
    return TRUE;
}
