/* SPDX-License-Identifier: MIT */
/* A sweep over what another one left: each run starts with the last checkpoint of the other's run
 * of its seed. */
#include "checkpoints.h"
#include "sweep.h"

// The seeds of @sweep and of the one before it are those of one configuration each.
static gboolean
read_before (Sweep *before, const char *dir, GError **error)
{
    if (!sweep_read_folder (before, dir, error)) {
        g_prefix_error (error, "--after: ");
        return FALSE;
    }
    if (before->combinations->len == 1)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "--after: %s has %u configurations, must have one, that the seed alone says "
                 "which run is meant",
                 dir, before->combinations->len);
    return FALSE;
}

static const SweepRun *
run_of_seed (const Sweep *sweep, guint64 seed)
{
    for (guint i = 0; i < sweep->runs->len; i++)
        if (((SweepRun *)sweep->runs->pdata[i])->seed == seed)
            return sweep->runs->pdata[i];
    return NULL;
}

gboolean
sweep_find_starts (Sweep *sweep, GError **error)
{
    g_auto (Sweep) before = {0};

    if (!sweep->after)
        return TRUE;
    if (!read_before (&before, sweep->after, error))
        return FALSE;
    for (guint i = 0; i < sweep->runs->len; i++) {
        SweepRun *run = sweep->runs->pdata[i];
        const SweepRun *from = run_of_seed (&before, run->seed);
        g_autofree char *folder = NULL;
        gint64 step;

        if (!from) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "--after: %s has no run of seed %" G_GUINT64_FORMAT
                         "; give --seed and --seeds of its runs",
                         sweep->after, run->seed);
            return FALSE;
        }
        folder = g_build_filename (sweep->after, from->name, NULL);
        if (from->state == RUN_DONE && !(run->start = checkpoint_latest (folder, &step, error)))
            return FALSE;
    }
    return TRUE;
}
