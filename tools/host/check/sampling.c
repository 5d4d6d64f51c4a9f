/* SPDX-License-Identifier: MIT */
/* Samplers: chains on a known density, on a posterior, and on one from parts of the data. Models
 * that offer a density: a random walk over it. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "memory.h"
#include "preload.h"
#include "walk.h"

#define CHAINS 3
#define WARM_UP 24
#define TRANSITIONS 40

static gboolean
accepted (Check *c, const Place *place)
{
    return check_status (c, "accepts", place->name) == CHECK_OK;
}

static gboolean
is_refusal (const GError *error)
{
    return error->domain == DLH_ERROR &&
           (error->code == DLH_ERROR_SHAPE || error->code == DLH_ERROR_OPTION);
}

/* A run that must succeed, since the target has been accepted. */
static gboolean
run (Walk *w, Check *c, const Place *place, guint n)
{
    g_autoptr (GError) error = NULL;

    if (walk_init (w, c, place, CHAINS, WARM_UP, NULL, &error) && walk_on (w, n, &error))
        return TRUE;
    check_fail (c, "%s, but the target was accepted before; accept or refuse it always",
                error->message);
    return FALSE;
}

gboolean
check_use_sampling (Check *c, GHashTable *settings, GError **error)
{
    for (const Place *p = places (c); p->name; p++) {
        g_auto (Walk) w = {0};

        if (accepted (c, p))
            return walk_init (&w, c, p, CHAINS, 2, settings, error) && walk_on (&w, 3, error);
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "no target was accepted");
    return FALSE;
}

/* The first element of a position that is not finite: (transfer full) (nullable). */
static char *
not_finite (Walk *w)
{
    for (guint i = 0; i < dlh_chains_n_blocks (w->chains); i++) {
        const DlhTensor *t = dlh_chains_value (w->chains, i);

        for (gint64 j = 0; j < dlh_tensor_count (t); j++)
            if (!isfinite (dlh_tensor_get (t, j)))
                return g_strdup_printf ("block '%s', element %" G_GINT64_FORMAT " is %g",
                                        dlh_chains_block_name (w->chains, i), j,
                                        dlh_tensor_get (t, j));
    }
    return NULL;
}

static gboolean
have_moved (Walk *w, Walk *start)
{
    for (guint i = 0; i < dlh_chains_n_blocks (w->chains); i++) {
        const DlhTensor *a = dlh_chains_value (w->chains, i);
        const DlhTensor *b = dlh_chains_value (start->chains, i);

        if (memcmp (dlh_tensor_get_data (a), dlh_tensor_get_data (b),
                    (gsize)dlh_tensor_bytes (a)) != 0)
            return TRUE;
    }
    return FALSE;
}

/* The checks. Each is an item of its group at place @p. */

static void
accepts (Check *c, const Place *p)
{
    g_auto (Walk) w = {0};
    g_auto (Walk) start = {0};
    g_autoptr (GError) error = NULL;
    g_autofree char *what = NULL;

    if (!walk_init (&w, c, p, CHAINS, WARM_UP, NULL, &error) ||
        !walk_init (&start, c, p, CHAINS, WARM_UP, NULL, &error) ||
        !walk_on (&w, TRANSITIONS, &error)) {
        if (is_refusal (error))
            check_skip (c, "refused: %s", error->message);
        else
            check_fail (c,
                        "%s: a plugin refuses what it cannot do with DLH_ERROR_SHAPE or "
                        "DLH_ERROR_OPTION and does the rest without error",
                        error->message);
    } else if ((what = not_finite (&w)))
        check_fail (c, "after %d transitions %s, positions must stay finite", TRANSITIONS, what);
    else if (p->kind == PLACE_DENSITY && !have_moved (&w, &start))
        check_fail (c,
                    "no chain has moved in %d transitions on a smooth density of scales 0.5 to 2; "
                    "assign the positions in a pass, or let the default take smaller steps",
                    TRANSITIONS);
    else
        check_ok (c, "%d transitions of %d chains, %u columns", TRANSITIONS, CHAINS,
                  dlh_chains_n_reports (w.chains));
}

static void
determinism (Check *c, const Place *p)
{
    g_auto (Walk) a = {0};
    g_auto (Walk) b = {0};
    g_autofree char *difference = NULL, *digest = NULL;
    g_autofree char *name = g_strdup_printf ("digest/%s", p->name);

    if (!run (&a, c, p, TRANSITIONS) || !run (&b, c, p, TRANSITIONS))
        return;
    difference = stores_difference (b.store, a.store);
    digest = store_digest (a.store);
    check_found (c, name, "%s", digest);
    if (difference)
        check_fail (c,
                    "two runs of the same seed differ: %s; draw from dlh_chains_stream() and keep "
                    "no state outside the store",
                    difference);
    else
        check_ok (c, "%d transitions, same bytes", TRANSITIONS);
}

static gboolean
resume_at (Check *c, const Place *p, guint first)
{
    g_autofree char *path = g_strdup_printf ("%s/chains-%d.safetensors", c->scratch, getpid ());
    g_autofree char *difference = NULL;
    g_autoptr (GError) error = NULL;
    g_auto (Walk) whole = {0};
    g_auto (Walk) again = {0};

    if (!run (&whole, c, p, first))
        return FALSE;
    if (!dlh_store_save (whole.store, path, NULL, &error) ||
        !walk_on (&whole, TRANSITIONS - first, &error) ||
        !walk_init (&again, c, p, CHAINS, WARM_UP, NULL, &error) ||
        !dlh_store_load (again.store, path, NULL, &error) ||
        !walk_on (&again, TRANSITIONS - first, &error)) {
        check_fail (c, "%s: saved after %u transitions, it must go on from there", error->message,
                    first);
        return FALSE;
    }
    difference = stores_difference (again.store, whole.store);
    if (difference)
        check_fail (c,
                    "resumed at transition %u of %d, it is not the uninterrupted run: %s; keep all "
                    "state in variables (dlh_chains_state(), dlh_chains_tuned())",
                    first, TRANSITIONS, difference);
    return !difference;
}

// In the warm-up, and after it.
static void
resume (Check *c, const Place *p)
{
    static const guint points[] = {WARM_UP / 2 + 3, WARM_UP + 5};

    if (check_group_failed (c, "determinism")) {
        check_skip (c, "two equal runs differ already, see determinism");
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS (points); i++)
        if (!resume_at (c, p, points[i]))
            return;
    check_ok (c, "resumed at transitions %u and %u of %d, %d of them warm-up, same bytes",
              points[0], points[1], TRANSITIONS, WARM_UP);
}

static void
chain_counts (Check *c, const Place *p)
{
    static const gint64 counts[] = {1, 2, 7};

    for (guint i = 0; i < 2 * G_N_ELEMENTS (counts); i++) {
        g_auto (Walk) w = {0};
        g_autoptr (GError) error = NULL;
        gint64 n = counts[i / 2];
        int warmup = i % 2 ? WARM_UP : 0;

        if ((walk_init (&w, c, p, n, warmup, NULL, &error) && walk_on (&w, 4, &error)) ||
            is_refusal (error))
            continue;
        check_fail (c,
                    "%d chains, %d transitions of warm-up: %s; any number must work or be refused "
                    "with DLH_ERROR_OPTION",
                    (int)n, warmup, error->message);
        return;
    }
    check_ok (c, "1, 2 and 7 chains, with and without warm-up");
}

// Where the density is not a number no proposal is better: the chains stay, or the run says so.
static void
nan_stops (Check *c, const Place *p)
{
    g_auto (Walk) w = {.spoiled = TRUE};
    g_auto (Walk) start = {.spoiled = TRUE};
    g_autoptr (GError) error = NULL;

    if (p->kind != PLACE_DENSITY) {
        check_drop (c);
        return;
    }
    if (!walk_init (&start, c, p, CHAINS, 2, NULL, &error) ||
        !walk_init (&w, c, p, CHAINS, 2, NULL, &error) || !walk_on (&w, 5, &error)) {
        if (g_error_matches (error, DLH_ERROR, DLH_ERROR_NUMERIC))
            check_ok (c, "%s", error->message);
        else
            check_fail (c, "'%s', must be DLH_ERROR_NUMERIC where the density is NaN",
                        error->message);
    } else if (have_moved (&w, &start))
        check_fail (c, "a density that is NaN moved the chains; reject by "
                       "dlh_chains_accept_probability() or dlh_chains_all_finite(), or fail with "
                       "dlh_assert_finite()");
    else
        check_ok (c, "the chains stay where they are");
}

static gboolean
walk_cycle (Check *c, gconstpointer data, GError **error)
{
    g_auto (Walk) w = {0};

    return walk_init (&w, c, data, CHAINS, WARM_UP, NULL, error) && walk_on (&w, 3, error);
}

static void
leaks (Check *c, const Place *p)
{
    check_cycles (c, walk_cycle, p);
}

static void
no_allocation (Check *c, const Place *p)
{
    g_auto (Walk) w = {0};
    g_autoptr (GError) error = NULL;
    HookCounts before, after;
    const char *why;

    if (!hook_read (&before, &why)) {
        check_skip (c, "%s", why);
        return;
    }
    if (!run (&w, c, p, TRANSITIONS))
        return;
    hook_read (&before, NULL);
    if (!walk_on (&w, TRANSITIONS, &error)) {
        check_fail (c, "%s", error->message);
        return;
    }
    hook_read (&after, NULL);
    if (after.allocations != before.allocations)
        check_fail (c,
                    "%lu allocations in %d transitions after the warm-up, must be 0; take memory "
                    "in build(), not in between() or an op's run()",
                    after.allocations - before.allocations, TRANSITIONS);
    else
        check_ok (c, "%d transitions after %d", TRANSITIONS, TRANSITIONS);
}

static const struct {
    const char *group;
    void (*run) (Check *c, const Place *p);
} checks[] = {
    {"determinism", determinism},     {"resume", resume},
    {"chains", chain_counts},         {"nan", nan_stops},
    {"invariance", check_invariance}, {"leaks", leaks},
};

// A model need not offer a density.
static gboolean
offers_none (Check *c)
{
    g_autoptr (DlhComponent) plugin = check_load (c, NULL, NULL);

    return plugin && c->info->manifest->kind == DLH_MODEL &&
           !((const DlhModel *)dlh_component_interface (plugin))->density;
}

static void
acceptance (Check *c)
{
    if (offers_none (c))
        return;
    for (const Place *p = places (c); p->name; p++)
        if (check_begin (c, "accepts", p->name))
            accepts (c, p);
}

static void
each_place (Check *c)
{
    for (guint i = 0; i < G_N_ELEMENTS (checks); i++)
        for (const Place *p = places (c); p->name; p++)
            if (accepted (c, p) && check_begin (c, checks[i].group, p->name))
                checks[i].run (c, p);
}

// In a process that never had two threads: libgomp then allocates in regions of one as well.
static void
one_thread (Check *c)
{
    for (const Place *p = places (c); p->name; p++)
        if (accepted (c, p) && check_begin (c, "no-allocation", p->name))
            no_allocation (c, p);
}

static void
other_process (Check *c)
{
    for (const Place *p = places (c); p->name; p++) {
        g_autofree char *name = g_strdup_printf ("digest/%s", p->name), *digest = NULL;
        const char *want = g_hash_table_lookup (c->found, name);
        g_auto (Walk) w = {0};

        if (!want || check_status (c, "determinism", p->name) != CHECK_OK ||
            !check_begin (c, "other-process", p->name) || !run (&w, c, p, TRANSITIONS))
            continue;
        digest = store_digest (w.store);
        if (strcmp (digest, want) == 0)
            check_ok (c, "same bytes");
        else
            check_fail (c,
                        "the same seed gives other bytes in another process; do not use the time, "
                        "the process's id, addresses or uninitialised memory");
    }
}

void
check_sampling (Check *c)
{
    gboolean any = FALSE;

    check_run (c, acceptance);
    for (const Place *p = places (c); p->name; p++)
        any |= accepted (c, p);
    if (!any) {
        if (c->info->manifest->kind == DLH_SAMPLER && !check_group_failed (c, "accepts") &&
            check_begin (c, "accepts", "any"))
            check_fail (
                c, "every target was refused, one must be accepted; see the messages above and "
                   "give the options that it needs: dlhost check FILE.so,name=value");
        return;
    }
    check_run (c, each_place);
    check_run (c, one_thread);
    check_run (c, other_process);
}
