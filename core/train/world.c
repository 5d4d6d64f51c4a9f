/* SPDX-License-Identifier: MIT */
/* Copies of an environment as a task plays them. What every plugin would have to mind is minded
 * here: who is in an episode, the limit of steps, actions within their range, values that are not
 * finite. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

struct _DlhWorld {
    DlhComponent *component;
    const DlhEnvironment *environment;
    gpointer copies; /* the plugin's */
    DlhEnvironmentSpec spec;
    DlhFeedback feedback;
    DlhTensor *observation; /* whose memory the feedback has */
    gint64 n, width, n_playing;
    gboolean *playing, *all; /* (n); all: TRUE */
    gint64 *steps;           /* (n): of the episode */
};

void
dlh_world_free (DlhWorld *w)
{
    if (!w)
        return;
    if (w->copies)
        w->environment->close (w->copies);
    dlh_component_unref (w->component);
    dlh_tensor_unref (w->observation);
    g_free (w->feedback.reward);
    g_free (w->feedback.terminated);
    g_free (w->feedback.truncated);
    g_free (w->playing);
    g_free (w->all);
    g_free (w->steps);
    g_free (w);
}

/* Opening. */

static gboolean
is_range (double low, double high)
{
    return isfinite (low) && isfinite (high) && low < high;
}

// What is wrong with what the plugin says of its world: (transfer full) (nullable).
static char *
spec_problem (const DlhEnvironmentSpec *s)
{
    if (!dlh_shape_valid (s->observation) || dlh_shape_count (s->observation) < 1)
        return g_strdup ("its observations have no elements");
    if (s->action != DLH_ACTION_DISCRETE && s->action != DLH_ACTION_CONTINUOUS)
        return g_strdup_printf ("its actions are of kind %d, which there is not", (int)s->action);
    if (s->n_actions < 1)
        return g_strdup_printf ("it has %" G_GINT64_FORMAT " actions, must be 1 or more",
                                s->n_actions);
    if (s->max_steps < 0)
        return g_strdup_printf ("its episodes have at most %" G_GINT64_FORMAT
                                " steps, must be 0 or more",
                                s->max_steps);
    if (s->action == DLH_ACTION_DISCRETE)
        return NULL;
    if (!s->low || !s->high)
        return g_strdup ("its continuous actions have no range, low and high must be set");
    for (gint64 i = 0; i < s->n_actions; i++)
        if (!is_range (s->low[i], s->high[i]))
            return g_strdup_printf ("number %" G_GINT64_FORMAT
                                    " of an action is between %g and %g, must be a finite range",
                                    i, s->low[i], s->high[i]);
    return NULL;
}

static gboolean
open_copies (DlhWorld *w, GError **error)
{
    GError *cause = NULL;
    g_autofree char *problem = NULL;

    w->spec.size = sizeof w->spec;
    w->copies = w->environment->open (dlh_component_options (w->component), w->n, &w->spec, &cause);
    if (!w->copies) {
        g_prefix_error (&cause, "%s: ", dlh_component_name (w->component));
        return dlh_component_fail (w->component, cause, error);
    }
    if (!(problem = spec_problem (&w->spec)))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "%s: %s", dlh_component_name (w->component),
                 problem);
    return FALSE;
}

DlhWorld *
dlh_world_new (DlhComponent *environment, gint64 n, GError **error)
{
    g_autoptr (DlhWorld) w = g_new0 (DlhWorld, 1);

    g_return_val_if_fail (n >= 1 && n <= G_MAXINT32, NULL);
    w->component = dlh_component_ref (environment);
    w->environment = dlh_component_interface (environment);
    w->n = n;
    if (!open_copies (w, error))
        return NULL;
    w->width = dlh_shape_count (w->spec.observation);
    w->observation = dlh_tensor_new (DLH_F64, dlh_shape_insert (w->spec.observation, 0, n), error);
    if (!w->observation)
        return NULL;
    w->feedback.size = sizeof w->feedback;
    w->feedback.observation = dlh_tensor_get_data (w->observation);
    w->feedback.reward = g_new0 (double, n);
    w->feedback.terminated = g_new0 (gboolean, n);
    w->feedback.truncated = g_new0 (gboolean, n);
    w->playing = g_new0 (gboolean, n);
    w->all = g_new (gboolean, n);
    w->steps = g_new0 (gint64, n);
    for (gint64 i = 0; i < n; i++)
        w->all[i] = TRUE;
    return g_steal_pointer (&w);
}

/* What there is. */

const DlhEnvironmentSpec *
dlh_world_spec (const DlhWorld *world)
{
    return &world->spec;
}

gint64
dlh_world_count (const DlhWorld *world)
{
    return world->n;
}

const DlhFeedback *
dlh_world_feedback (const DlhWorld *world)
{
    return &world->feedback;
}

const gboolean *
dlh_world_playing (const DlhWorld *world)
{
    return world->playing;
}

gint64
dlh_world_n_playing (const DlhWorld *world)
{
    return world->n_playing;
}

/* Playing. */

// What a plugin has done wrong or could not do leaves nobody knows what: the episodes are over.
static gboolean
broken (DlhWorld *w, const gboolean *touched)
{
    for (gint64 i = 0; i < w->n; i++)
        if (touched[i] && w->playing[i]) {
            w->playing[i] = FALSE;
            w->n_playing--;
        }
    return FALSE;
}

static gboolean
check_finite (DlhWorld *w, const gboolean *touched, GError **error)
{
    const DlhFeedback *f = &w->feedback;

    for (gint64 i = 0; i < w->n; i++) {
        if (!touched[i])
            continue;
        for (gint64 k = 0; k < w->width; k++)
            if (!isfinite (f->observation[i * w->width + k])) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                             "%s: copy %" G_GINT64_FORMAT ", step %" G_GINT64_FORMAT
                             ": observation %" G_GINT64_FORMAT " is %g, must be finite",
                             dlh_component_name (w->component), i, w->steps[i], k,
                             f->observation[i * w->width + k]);
                return FALSE;
            }
        if (!isfinite (f->reward[i])) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "%s: copy %" G_GINT64_FORMAT ", step %" G_GINT64_FORMAT
                         ": the reward is %g, must be finite",
                         dlh_component_name (w->component), i, w->steps[i], f->reward[i]);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
dlh_world_reset (DlhWorld *w, const guint64 *seeds, const gboolean *chosen, GError **error)
{
    GError *cause = NULL;

    chosen = chosen ? chosen : w->all;
    for (gint64 i = 0; i < w->n; i++)
        if (chosen[i]) {
            w->n_playing += !w->playing[i];
            w->playing[i] = TRUE;
            w->steps[i] = 0;
            w->feedback.reward[i] = 0;
            w->feedback.terminated[i] = w->feedback.truncated[i] = FALSE;
        }
    if (!w->environment->reset (w->copies, seeds, chosen, &w->feedback, &cause)) {
        g_prefix_error (&cause, "%s: ", dlh_component_name (w->component));
        dlh_component_fail (w->component, cause, error);
        return broken (w, chosen);
    }
    return check_finite (w, chosen, error) || broken (w, chosen);
}

static gboolean
check_choice (DlhWorld *w, gint64 i, double action, GError **error)
{
    if (action >= 0 && action < (double)w->spec.n_actions && action == floor (action))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                 "%s: the action of copy %" G_GINT64_FORMAT
                 " is %g, must be a whole number from 0 to %" G_GINT64_FORMAT,
                 dlh_component_name (w->component), i, action, w->spec.n_actions - 1);
    return FALSE;
}

static gboolean
check_numbers (DlhWorld *w, gint64 i, const double *action, GError **error)
{
    for (gint64 k = 0; k < w->spec.n_actions; k++)
        if (!(action[k] >= w->spec.low[k] && action[k] <= w->spec.high[k])) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                         "%s: number %" G_GINT64_FORMAT " of the action of copy %" G_GINT64_FORMAT
                         " is %g, must be in [%g, %g]",
                         dlh_component_name (w->component), k, i, action[k], w->spec.low[k],
                         w->spec.high[k]);
            return FALSE;
        }
    return TRUE;
}

static gboolean
check_actions (DlhWorld *w, const double *actions, GError **error)
{
    for (gint64 i = 0; i < w->n; i++)
        if (w->playing[i] && !(w->spec.action == DLH_ACTION_DISCRETE
                                   ? check_choice (w, i, actions[i], error)
                                   : check_numbers (w, i, actions + i * w->spec.n_actions, error)))
            return FALSE;
    return TRUE;
}

gboolean
dlh_world_step (DlhWorld *w, const double *actions, GError **error)
{
    DlhFeedback *f = &w->feedback;
    GError *cause = NULL;

    if (!check_actions (w, actions, error))
        return FALSE;
    memset (f->reward, 0, sizeof (double) * (gsize)w->n);
    if (!w->environment->step (w->copies, actions, w->playing, f, &cause)) {
        g_prefix_error (&cause, "%s: ", dlh_component_name (w->component));
        dlh_component_fail (w->component, cause, error);
        return broken (w, w->playing);
    }
    if (!check_finite (w, w->playing, error))
        return broken (w, w->playing);
    for (gint64 i = 0; i < w->n; i++) {
        if (!w->playing[i])
            continue;
        w->steps[i]++;
        if (w->spec.max_steps > 0 && w->steps[i] >= w->spec.max_steps)
            f->truncated[i] = TRUE;
        if (f->terminated[i] || f->truncated[i]) {
            w->playing[i] = FALSE;
            w->n_playing--;
        }
    }
    return TRUE;
}
