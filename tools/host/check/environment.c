/* SPDX-License-Identifier: MIT */
/* Environments: episodes of random actions, played alone and beside others. */
#include <math.h>
#include <string.h>
#include "check.h"
#include "memory.h"
#include "preload.h"

#define COPIES 5
#define STEPS 60 /* of a walk; a copy whose episode is over begins another one */

/* Copies first .. first + n - 1 of a walk, whose seeds and actions depend on their numbers alone.
 */
typedef struct {
    DlhWorld *world;
    gint64 first, n, width;
    double *actions;
    guint64 *seeds;
    gboolean *chosen;
    gint64 step;
    GChecksum *sum; /* of all that copy number 0 has shown */
    gint64 watched; /* the row of copy number 0 */
    gint64 episodes;
} Walk;

static void
walk_clear (Walk *w)
{
    dlh_world_free (w->world);
    g_free (w->actions);
    g_free (w->seeds);
    g_free (w->chosen);
    if (w->sum)
        g_checksum_free (w->sum);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Walk, walk_clear)

static gboolean
walk_init (Walk *w, Check *c, gint64 first, gint64 n, GHashTable *settings, GError **error)
{
    g_autoptr (DlhComponent) component = check_load (c, settings, error);
    const DlhEnvironmentSpec *spec;

    if (!component ||
        !check_told ((w->world = dlh_world_new (component, n, error)) != NULL, "open()", error))
        return FALSE;
    spec = dlh_world_spec (w->world);
    w->first = first;
    w->n = n;
    w->watched = -first;
    w->width = spec->action == DLH_ACTION_DISCRETE ? 1 : spec->n_actions;
    w->actions = g_new0 (double, n * w->width);
    w->seeds = g_new0 (guint64, n);
    w->chosen = g_new0 (gboolean, n);
    w->sum = g_checksum_new (G_CHECKSUM_SHA256);
    return TRUE;
}

static void
draw_actions (Walk *w)
{
    const DlhEnvironmentSpec *spec = dlh_world_spec (w->world);

    for (gint64 i = 0; i < w->n; i++) {
        double *action = w->actions + i * w->width;

        dlh_random_fill_uniform ((guint64)(w->first + i), "check/actions", (guint64)w->step, action,
                                 (gsize)w->width);
        for (gint64 k = 0; k < w->width; k++)
            action[k] = spec->action == DLH_ACTION_DISCRETE
                            ? floor (action[k] * (double)spec->n_actions)
                            : spec->low[k] + action[k] * (spec->high[k] - spec->low[k]);
    }
}

static void
watch (Walk *w)
{
    const DlhFeedback *f = dlh_world_feedback (w->world);
    const gint64 n = dlh_shape_count (dlh_world_spec (w->world)->observation), i = w->watched;

    g_checksum_update (w->sum, (const guchar *)(f->observation + i * n),
                       (gssize)n * (gssize)sizeof (double));
    g_checksum_update (w->sum, (const guchar *)&f->reward[i], sizeof (double));
    g_checksum_update (w->sum, (const guchar *)&f->terminated[i], sizeof (gboolean));
    g_checksum_update (w->sum, (const guchar *)&f->truncated[i], sizeof (gboolean));
}

// Copies whose episode is over begin the next one, then those that are in one act.
static gboolean
walk_on (Walk *w, guint n, GError **error)
{
    for (guint k = 0; k < n; k++, w->step++) {
        const gboolean *playing = dlh_world_playing (w->world);

        for (gint64 i = 0; i < w->n; i++) {
            w->chosen[i] = !playing[i];
            w->seeds[i] = (guint64)(w->first + i) << 32 | (guint64)w->step;
            w->episodes += w->chosen[i];
        }
        if (dlh_world_n_playing (w->world) < w->n) {
            if (!dlh_world_reset (w->world, w->seeds, w->chosen, error))
                return FALSE;
            if (w->chosen[w->watched])
                watch (w);
        }
        draw_actions (w);
        if (!dlh_world_step (w->world, w->actions, error))
            return FALSE;
        watch (w);
    }
    return TRUE;
}

gboolean
check_use_environment (Check *c, GHashTable *settings, GError **error)
{
    g_auto (Walk) w = {0};

    return walk_init (&w, c, 0, 2, settings, error) && walk_on (&w, 3, error);
}

/* What copy 0 shows in a walk of copies @first to @first + @n - 1: (transfer full); NULL after a
 * failure. */
static char *
digest (Check *c, gint64 first, gint64 n)
{
    g_autoptr (GError) error = NULL;
    g_auto (Walk) w = {0};

    if (walk_init (&w, c, first, n, NULL, &error) && walk_on (&w, STEPS, &error))
        return g_strdup (g_checksum_get_string (w.sum));
    check_fail (c, "%s, and the first episodes succeeded", error->message);
    return NULL;
}

/* Items. */

static void
opens (Check *c)
{
    g_autoptr (GError) error = NULL;
    g_auto (Walk) w = {0};
    const DlhEnvironmentSpec *spec;
    g_autofree char *shape = NULL;

    if (!check_begin (c, "load", "defaults"))
        return;
    if (walk_init (&w, c, 0, COPIES, NULL, &error)) {
        spec = dlh_world_spec (w.world);
        shape = dlh_shape_to_string (spec->observation);
        check_ok (c, "observations %s, %" G_GINT64_FORMAT " %s, %" G_GINT64_FORMAT " steps", shape,
                  spec->n_actions,
                  spec->action == DLH_ACTION_DISCRETE ? "choices" : "numbers an action",
                  spec->max_steps);
    } else if (error->domain == DLH_ERROR && error->code == DLH_ERROR_OPTION)
        check_skip (c, "%s", error->message);
    else
        check_fail (c, "%s", error->message);
}

// Finite, within the rules of dlh_world_step(), rows that did not act untouched.
static void
plays (Check *c)
{
    g_autoptr (GError) error = NULL;
    g_auto (Walk) w = {0};

    if (!walk_init (&w, c, 0, COPIES, NULL, &error) || !walk_on (&w, STEPS, &error))
        check_fail (c, "%s", error->message);
    else
        check_ok (c, "%d copies, %d steps, %" G_GINT64_FORMAT " episodes", COPIES, STEPS,
                  w.episodes);
}

// One of two copies is never reset, or begins while the other one has gone on.
static void
others_stay (Check *c)
{
    g_autoptr (GError) error = NULL;
    g_auto (Walk) w = {0};
    const guint64 seeds[] = {7, 8};
    const gboolean first[] = {TRUE, FALSE}, second[] = {FALSE, TRUE};
    const DlhFeedback *f;
    gint64 n;
    g_autofree double *was = NULL;

    if (!walk_init (&w, c, 0, 2, NULL, &error) ||
        !dlh_world_reset (w.world, seeds, first, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    f = dlh_world_feedback (w.world);
    n = dlh_shape_count (dlh_world_spec (w.world)->observation);
    draw_actions (&w);
    for (gint64 k = 0; k < n; k++)
        f->observation[n + k] = 0.5;
    if (!dlh_world_step (w.world, w.actions, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    was = g_memdup2 (f->observation, (gsize)n * sizeof (double));
    for (gint64 k = 0; k < n; k++)
        if (!(f->observation[n + k] == 0.5)) {
            check_fail (c, "step() wrote the observation of a copy that did not act; write those "
                           "that are acting alone");
            return;
        }
    if (!dlh_world_reset (w.world, seeds, second, &error))
        check_fail (c, "%s", error->message);
    else if (memcmp (was, f->observation, (gsize)n * sizeof (double)) != 0)
        check_fail (c, "reset() changed the observation of a copy that was not chosen");
    else
        check_ok (c, "rows of other copies stay as they are");
}

static void
same_bytes (Check *c)
{
    g_autofree char *a = digest (c, 0, COPIES), *b = a ? digest (c, 0, COPIES) : NULL;

    if (!b)
        return;
    check_found (c, "digest/walk", "%s", a);
    if (strcmp (a, b) == 0)
        check_ok (c, "two walks, same bytes");
    else
        check_fail (c, "the same seeds and actions give another episode, must be the same; draw "
                       "with dlh_random_fill_uniform() from the seed that reset() is given");
}

static void
number_of_copies (Check *c)
{
    static const struct {
        gint64 first, n;
    } walks[] = {{0, 1}, {0, 3}, {-2, 9}};
    const char *want = g_hash_table_lookup (c->found, "digest/walk");

    for (guint i = 0; i < G_N_ELEMENTS (walks) && want; i++) {
        g_autofree char *got = digest (c, walks[i].first, walks[i].n);

        if (!got)
            return;
        if (strcmp (got, want) != 0) {
            check_fail (c,
                        "of %d copies number %d shows another episode than in a world of %d copies "
                        "by the same seeds and actions; an episode depends on nothing else",
                        (int)walks[i].n, (int)-walks[i].first, COPIES);
            return;
        }
    }
    if (want)
        check_ok (c, "the same episodes alone, and beside 2, 4 and 8 others");
    else
        check_drop (c);
}

static void
other_process (Check *c)
{
    const char *want = g_hash_table_lookup (c->found, "digest/walk");
    g_autofree char *got = NULL;

    if (!want || check_status (c, "determinism", "walk") != CHECK_OK ||
        !check_begin (c, "other-process", "walk"))
        return;
    got = digest (c, 0, COPIES);
    if (!got)
        return;
    if (strcmp (got, want) == 0)
        check_ok (c, "same bytes");
    else
        check_fail (c, "another process plays other episodes by the same seeds, must be the same; "
                       "do not use the time, addresses or the process's id");
}

static gboolean
cycle (Check *c, gconstpointer data, GError **error)
{
    (void)data;
    return check_use_environment (c, NULL, error);
}

static void
no_allocation (Check *c)
{
    g_auto (Walk) w = {0};
    g_autoptr (GError) error = NULL;
    HookCounts before, after;
    const char *why;

    if (!hook_read (&before, &why)) {
        check_skip (c, "%s", why);
        return;
    }
    if (!walk_init (&w, c, 0, COPIES, NULL, &error) || !walk_on (&w, STEPS, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    hook_read (&before, NULL);
    if (!walk_on (&w, STEPS, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    hook_read (&after, NULL);
    if (after.allocations != before.allocations)
        check_fail (c, "%lu allocations in %d steps, must be 0; take memory in open()",
                    after.allocations - before.allocations, STEPS);
    else
        check_ok (c, "%d steps of %d copies", STEPS, COPIES);
}

static void
opened (Check *c)
{
    if (check_begin (c, "copies", "others-stay"))
        others_stay (c);
    if (check_begin (c, "determinism", "walk"))
        same_bytes (c);
    if (check_begin (c, "leaks", "walk"))
        check_cycles (c, cycle, NULL);
    if (check_begin (c, "no-allocation", "step"))
        no_allocation (c);
}

static void
first_walk (Check *c)
{
    if (check_begin (c, "run", "defaults"))
        plays (c);
}

static void
beside_others (Check *c)
{
    if (check_status (c, "determinism", "walk") == CHECK_OK && check_begin (c, "copies", "number"))
        number_of_copies (c);
}

void
check_environment (Check *c)
{
    check_run (c, opens);
    if (check_status (c, "load", "defaults") != CHECK_OK)
        return;
    check_run (c, first_walk);
    if (check_status (c, "run", "defaults") != CHECK_OK)
        return;
    check_run (c, opened);
    check_run (c, beside_others);
    check_run (c, other_process);
}
