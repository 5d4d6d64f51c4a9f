/* SPDX-License-Identifier: MIT */
/* What benchmarks of whole steps share. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <dlhost/dlhost.h>

/* @error is looked at after @ok has been worked out. */
static inline void
bench_check (gboolean ok, GError *const *error)
{
    if (ok)
        return;
    fprintf (stderr, "bench: %s\n", error && *error ? (*error)->message : "failed");
    exit (1);
}

/* Seconds: of this thread's processor, or with several threads of the clock. */
static inline double
bench_now (guint threads)
{
    struct timespec t;

    clock_gettime (threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* @spec: "mlp;hidden=[32]" */
static inline DlhComponent *
bench_load (DlhRegistry *registry, DlhPluginKind kind, const char *spec)
{
    g_autoptr (GHashTable) settings =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr (GError) error = NULL;
    g_auto (GStrv) items = g_strsplit (spec, ";", -1);
    DlhComponent *c;

    for (guint i = 1; items[i]; i++) {
        g_auto (GStrv) pair = g_strsplit (items[i], "=", 2);

        bench_check (pair[0] && pair[1], NULL);
        g_hash_table_insert (settings, g_strdup (pair[0]), g_strdup (pair[1]));
    }
    c = dlh_registry_load (registry, kind, items[0], settings, &error);
    bench_check (c != NULL, &error);
    return c;
}
