/* SPDX-License-Identifier: MIT */
/* Environments: worlds that a policy acts in, many copies side by side. A plugin writes what
 * happens; a task plays through a DlhWorld, which keeps the rules that all have:
 *
 *     g_autoptr (DlhWorld) w = dlh_world_new (environment, n, error);
 *
 *     dlh_world_reset (w, seeds, NULL, error);
 *     while (dlh_world_n_playing (w) > 0) {
 *         choose (dlh_world_feedback (w)->observation, actions);
 *         dlh_world_step (w, actions, error);
 *     }
 *
 * The words mean what they do in Gymnasium. An episode begins with a reset, which is given a seed,
 * and depends on that seed and its actions alone: not on other copies, threads or earlier episodes.
 * It is over when it is terminated, by the world's own rules, or truncated, cut off by a limit:
 * what a truncated one is worth goes on. It may be both. Nothing is reset by itself. */
#pragma once

#include <dlhost/registry.h>
#include <dlhost/shape.h>

G_BEGIN_DECLS

typedef struct _DlhWorld DlhWorld; /* copies of an environment */

/* What an action is. */
typedef enum {
    DLH_ACTION_DISCRETE = 1, /* a whole number, 0 .. n_actions - 1 */
    DLH_ACTION_CONTINUOUS,   /* n_actions numbers, each between low and high */
} DlhActionKind;

/* What an environment looks like from outside. */
typedef struct {
    gsize size;
    DlhShape observation; /* of one copy */
    DlhActionKind action;
    gint64 n_actions;         /* choices, or the numbers that an action consists of */
    const double *low, *high; /* continuous: (n_actions), finite; live as long as the world */
    gint64 max_steps;         /* an episode is truncated after so many; 0: never */
} DlhEnvironmentSpec;

/* What the copies show, row by row. */
typedef struct {
    gsize size;
    double *observation;  /* (n, observation): after an episode's end its last one */
    double *reward;       /* (n): of the last step; 0 for copies that did not act */
    gboolean *terminated; /* (n): the episode is over, by the world's rules */
    gboolean *truncated;  /* (n): it is over, cut off */
} DlhFeedback;

/* The interface of an environment plugin. Its world has all state and no other world shares it. */
typedef struct {
    gsize size;
    /* Fills @spec. Returns: @n copies, none of them in an episode; NULL with an error. */
    gpointer (*open) (gconstpointer options, gint64 n, DlhEnvironmentSpec *spec, GError **error);
    void (*close) (gpointer world);
    /* Copies that are @chosen (n) begin an episode, each by its own of @seeds (n): writes their
     * first observations. */
    gboolean (*reset) (gpointer world, const guint64 *seeds, const gboolean *chosen,
                       DlhFeedback *feedback, GError **error);
    /* Copies that are @acting (n) do one step: writes their observations and rewards, and sets
     * their flags where the episode is over. @actions: (n), or (n, n_actions) if continuous, within
     * their range where a copy acts. The host minds max_steps. Allocates nothing. */
    gboolean (*step) (gpointer world, const double *actions, const gboolean *acting,
                      DlhFeedback *feedback, GError **error);
    /* (nullable): FALSE with DLH_ERROR_OPTION when options contradict each other. Called as soon as
     * they are known. */
    gboolean (*check) (gconstpointer options, GError **error);
} DlhEnvironment;

/**
 * dlh_world_new:
 * @environment: a plugin of kind environment
 * Returns: (transfer full): @n copies, none of them in an episode; NULL with the plugin's error, or
 * with DLH_ERROR_PLUGIN when what it says of itself is not possible.
 */
DLH_EXPORT DlhWorld *dlh_world_new (DlhComponent *environment, gint64 n, GError **error);
/** dlh_world_free: NULL is allowed. */
DLH_EXPORT void dlh_world_free (DlhWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhWorld, dlh_world_free)

/** dlh_world_spec: (transfer none). */
DLH_EXPORT const DlhEnvironmentSpec *dlh_world_spec (const DlhWorld *world);
/** dlh_world_count: n copies. */
DLH_EXPORT gint64 dlh_world_count (const DlhWorld *world);
/** dlh_world_feedback: (transfer none): what the last reset and step wrote; the same memory always.
 */
DLH_EXPORT const DlhFeedback *dlh_world_feedback (const DlhWorld *world);
/** dlh_world_playing: (transfer none) (array): (n): which copies are in an episode. */
DLH_EXPORT const gboolean *dlh_world_playing (const DlhWorld *world);
/** dlh_world_n_playing: how many. */
DLH_EXPORT gint64 dlh_world_n_playing (const DlhWorld *world);
/**
 * dlh_world_reset:
 * @seeds: (array length=n): read where a copy is chosen
 * @chosen: (nullable) (array length=n): NULL for all
 * These copies begin an episode, in one or not; their rewards and flags are cleared. FALSE with the
 * plugin's error, or DLH_ERROR_NUMERIC when an observation is not finite.
 */
DLH_EXPORT gboolean dlh_world_reset (DlhWorld *world, const guint64 *seeds, const gboolean *chosen,
                                     GError **error);
/**
 * dlh_world_step:
 * @actions: (n), or (n, n_actions) if continuous; read where a copy is in an episode
 * The copies that are in an episode act, the others stay as they are. FALSE with DLH_ERROR_NUMERIC,
 * nothing changed, when an action is out of its range or NaN; with the plugin's error; or with
 * DLH_ERROR_NUMERIC when an observation or a reward is not finite.
 */
DLH_EXPORT gboolean dlh_world_step (DlhWorld *world, const double *actions, GError **error);

G_END_DECLS
