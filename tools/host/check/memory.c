/* SPDX-License-Identifier: MIT */
/* What a plugin takes and does not give back, and what it takes in a step. */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>
#include "bench.h"
#include "memory.h"
#include "preload.h"
#include "training.h"

#define BATCH 4
#define WARM_UP 5
#define STEPS 30

static long
resident_bytes (void)
{
    long size = 0, resident = 0;
    FILE *file = fopen ("/proc/self/statm", "r");

    if (file && fscanf (file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose (file);
    return resident * sysconf (_SC_PAGESIZE);
}

static int
open_files (void)
{
    DIR *dir = opendir ("/proc/self/fd");
    int n = 0;

    while (dir && readdir (dir))
        n++;
    if (dir)
        closedir (dir);
    return n;
}

typedef struct {
    HookCounts counts;
    long resident;
    int files;
} Usage;

static void
usage_take (Usage *u)
{
    u->resident = resident_bytes ();
    u->files = open_files ();
    if (!hook_read (&u->counts, NULL))
        u->counts = (HookCounts){0};
}

typedef gboolean (*Cycle) (Check *c, gconstpointer data, GError **error);

// Up to @most cycles in @budget microseconds, at least one. Returns: how many, 0 after a failure.
static guint
repeat (Check *c, Cycle cycle, gconstpointer data, guint most, gint64 budget)
{
    gint64 start = g_get_monotonic_time ();
    guint n = 0;

    do {
        g_autoptr (GError) error = NULL;

        if (!cycle (c, data, &error)) {
            check_fail (c, "once more the same: %s, the first time it succeeded", error->message);
            return 0;
        }
        n++;
    } while (n < most && g_get_monotonic_time () - start < budget);
    return n;
}

static gboolean
has_grown (const Usage *from, const Usage *to, guint n)
{
    return to->resident - from->resident > (long)n * 65536 + (8l << 20);
}

// A block lost in every cycle shows whatever caches fill once; a few blocks may be such caches.
static void
judge (Check *c, const Usage *from, const Usage *to, guint n, gboolean grows)
{
    long blocks = to->counts.blocks - from->counts.blocks;
    long bytes = to->counts.bytes - from->counts.bytes;
    const char *why = "blocks not counted";
    HookCounts counts;

#ifdef __SANITIZE_ADDRESS__
    grows = FALSE; // freed memory waits in its quarantine
#endif
    if (to->files > from->files)
        check_fail (c,
                    "%d more open files after %u cycles, must be closed again; close what you open "
                    "on every path",
                    to->files - from->files, n);
    else if (blocks >= (long)n)
        check_fail (c,
                    "%ld blocks (%ld bytes) are not freed after %u cycles of create, run and free, "
                    "must be 0; free on every path, use g_autoptr; run under valgrind "
                    "--leak-check=full to see where",
                    blocks, bytes, n);
    else if (grows)
        check_fail (c,
                    "memory grew by %ld KiB in %u cycles of create, run and free, must stay; look "
                    "for mmap() without munmap()",
                    (to->resident - from->resident) / 1024, n);
    else if (hook_read (&counts, &why))
        check_ok (c, "%u cycles, no block kept", n);
    else
        check_ok (c, "%u cycles; %s", n, why);
}

void
check_cycles (Check *c, Cycle cycle, gconstpointer data)
{
    gint64 budget = G_USEC_PER_SEC / (c->thorough ? 1 : 4);
    guint n, total, growing = 0;
    Usage from, before, now;

    // First the caches are filled: twice at least, should one only start to be used then.
    if (!repeat (c, cycle, data, 1, 0) || !repeat (c, cycle, data, WARM_UP, budget))
        return;
    usage_take (&from);
    n = total = repeat (c, cycle, data, c->thorough ? 1000 : 50, budget);
    if (!n)
        return;
    before = from;
    usage_take (&now);
    // Allocators keep what was freed for a while; what is lost goes on growing.
    while (has_grown (&before, &now, n) && ++growing < 3) {
        if (!repeat (c, cycle, data, n, G_MAXINT64))
            return;
        total += n;
        before = now;
        usage_take (&now);
    }
    judge (c, &from, &now, total, growing == 3);
}

static gboolean
train_cycle (Check *c, gconstpointer data, GError **error)
{
    g_auto (Bench) b = {0};

    return bench_init (&b, c, data, DLH_F32, NULL, error) && bench_steps (&b, 2, BATCH, error);
}

void
check_leaks (Check *c, const Problem *p)
{
    check_cycles (c, train_cycle, p);
}

// A window of steps after the first ones. Some function of a phase may still be compiled in the
// first windows: what counts is that a later one is quiet.
static gboolean
quiet_window (Bench *b, guint n, unsigned long *taken, GError **error)
{
    HookCounts before, after;

    *taken = 0;
    for (guint i = 0; i < n; i++) {
        DlhTensor *x = b->x, *y = b->y;

        hook_read (&before, NULL);
        if (!dlh_trainer_step (b->trainer, x, y, error))
            return FALSE;
        hook_read (&after, NULL);
        *taken += after.allocations - before.allocations;
    }
    return TRUE;
}

void
check_no_allocation (Check *c, const Problem *p)
{
    guint windows = 0;
    unsigned long taken = 1;
    g_auto (Bench) b = {0};
    g_autoptr (GError) error = NULL;
    const char *why;
    HookCounts counts;
    gboolean ran;

    if (!hook_read (&counts, &why)) {
        check_skip (c, "%s", why);
        return;
    }
    ran = bench_init (&b, c, p, DLH_F32, NULL, &error) && bench_steps (&b, 2, BATCH, &error);
    for (guint i = 0; ran && i < 3 && taken; i++, windows++)
        ran = quiet_window (&b, STEPS, &taken, &error);
    // On one batch over and over a method may well diverge; that is no matter of memory.
    if (!ran)
        check_skip (c, "training ended: %s", error->message);
    else if (taken)
        check_fail (c,
                    "%lu allocations in %d steps after warm-up, must be 0; take memory in "
                    "build(), prepare() or as dlh_op.workspace, not in run() or a loop",
                    taken, STEPS);
    else
        check_ok (c, "%d steps after %u", STEPS, 2 + (windows - 1) * STEPS);
}
