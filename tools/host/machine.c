/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "machine.h"

#define CGROUPS "/sys/fs/cgroup"

char *
machine_cpu_model (void)
{
    g_autofree char *text = NULL;
    const char *line, *colon;

    if (!g_file_get_contents ("/proc/cpuinfo", &text, NULL, NULL) ||
        !(line = strstr (text, "model name")) || !(colon = strchr (line, ':')))
        return g_strdup ("unknown");
    return g_strstrip (g_strndup (colon + 1, strcspn (colon + 1, "\n")));
}

guint64
machine_memory (void)
{
    long pages = sysconf (_SC_PHYS_PAGES), size = sysconf (_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (guint64)pages * (guint64)size : 0;
}

guint64
machine_peak_memory (void)
{
    struct rusage usage;

    return getrusage (RUSAGE_SELF, &usage) == 0 ? (guint64)usage.ru_maxrss * 1024 : 0;
}

/* (transfer full) (nullable): this process's control group: of version 2 when @controller is NULL.
 */
static char *
cgroup_path (const char *controller)
{
    g_autofree char *text = NULL;
    g_auto (GStrv) lines = NULL;

    if (!g_file_get_contents ("/proc/self/cgroup", &text, NULL, NULL))
        return NULL;
    lines = g_strsplit (text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        // "4:memory:/user.slice", "0::/user.slice"
        g_auto (GStrv) parts = g_strsplit (lines[i], ":", 3);
        g_auto (GStrv) names = g_strsplit (g_strv_length (parts) == 3 ? parts[1] : "", ",", -1);

        if (g_strv_length (parts) < 3)
            continue;
        if (controller ? g_strv_contains ((const char *const *)names, controller) : !*parts[1])
            return g_strdup (parts[2]);
    }
    return NULL;
}

// Calls @visit with the file's text in the process's group and in every group around it. A
// container may show its own group as the root: a path that is not there is passed over.
static void
visit_groups (const char *controller, const char *file, void (*visit) (const char *, gpointer),
              gpointer data)
{
    g_autofree char *path = cgroup_path (controller);
    g_autofree char *root =
        controller ? g_build_filename (CGROUPS, controller, NULL) : g_strdup (CGROUPS);

    while (path) {
        g_autofree char *name = g_build_filename (root, path, file, NULL);
        g_autofree char *text = NULL;
        char *slash;

        if (g_file_get_contents (name, &text, NULL, NULL))
            visit (text, data);
        if (!(slash = strrchr (path, '/')) || !path[1])
            return;
        slash[slash == path] = '\0';
    }
}

static void
take_smaller_limit (const char *text, gpointer data)
{
    guint64 *limit = data, n = g_ascii_strtoull (text, NULL, 10);

    // "max" reads as 0; version 1 writes its absence as a huge number of bytes.
    if (n && n < (guint64)1 << 60 && (!*limit || n < *limit))
        *limit = n;
}

guint64
machine_memory_limit (void)
{
    guint64 limit = 0;

    visit_groups (NULL, "memory.max", take_smaller_limit, &limit);
    visit_groups ("memory", "memory.limit_in_bytes", take_smaller_limit, &limit);
    return limit;
}

static void
take_smaller_quota (const char *text, gpointer data)
{
    double *quota = data;
    char *end;
    double n = g_ascii_strtod (text, &end), period = g_ascii_strtod (end, NULL);

    // "200000 100000": microseconds in a period; "max 100000" for none.
    if (end != text && n > 0 && period > 0 && (*quota == 0 || n / period < *quota))
        *quota = n / period;
}

static void
take_number (const char *text, gpointer data)
{
    *(double *)data = g_ascii_strtod (text, NULL);
}

double
machine_cpu_quota (void)
{
    double quota = 0, n = 0, period = 0;

    visit_groups (NULL, "cpu.max", take_smaller_quota, &quota);
    if (quota > 0)
        return quota;
    visit_groups ("cpu", "cpu.cfs_quota_us", take_number, &n);
    visit_groups ("cpu", "cpu.cfs_period_us", take_number, &period);
    return n > 0 && period > 0 ? n / period : 0;
}
