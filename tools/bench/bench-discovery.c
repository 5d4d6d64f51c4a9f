/* SPDX-License-Identifier: MIT */
/* usage: bench-discovery PLUGIN.so [N]
 * How long it takes to list N (100) plugins, against opening, asking and reading 4 KiB of each. The
 * plugins are copies of PLUGIN.so whose names in the note are replaced. */
#include <dlhost/dlhost.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define N_SAMPLES 41

static char *
copy_path (const char *dir, guint i)
{
    return g_strdup_printf ("%s/p%03u.so", dir, i);
}

/* Writes @n copies; the four letters of the name follow the manifest's eight words. */
static gboolean
write_copies (const char *plugin, const char *dir, guint n)
{
    static const char head[] = {1, 0, 0, 0, 'd', 'l', 'h', 'o', 's', 't', 0};
    g_autofree char *bytes = NULL;
    char *note;
    gsize size;

    if (!g_file_get_contents (plugin, &bytes, &size, NULL))
        return FALSE;
    note = memmem (bytes, size, head, sizeof head);
    if (!note)
        return FALSE;
    for (guint i = 0; i < n; i++) {
        g_autofree char *path = copy_path (dir, i);

        g_snprintf (note + 16 + offsetof (DlhManifest, name), 32, "p%03u", i);
        if (!g_file_set_contents (path, bytes, (gssize)size, NULL))
            return FALSE;
    }
    return TRUE;
}

static gboolean
list_once (const char *dir, guint n)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autoptr (GPtrArray) list = dlh_registry_list (registry, 0);

    return list->len == n && dlh_registry_rejects (registry)->len == 0;
}

static gboolean
read_once (const char *dir, guint n)
{
    char buffer[4096];
    struct stat st;

    for (guint i = 0; i < n; i++) {
        g_autofree char *path = copy_path (dir, i);
        int fd = open (path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || fstat (fd, &st) != 0 || pread (fd, buffer, sizeof buffer, 0) <= 0)
            return FALSE;
        close (fd);
    }
    return TRUE;
}

static int
compare (const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
median (double *x, guint n)
{
    qsort (x, n, sizeof *x, compare);
    return x[n / 2];
}

static double
deviation (const double *x, guint n, double middle)
{
    double d[N_SAMPLES];

    for (guint i = 0; i < n; i++)
        d[i] = ABS (x[i] - middle);
    return median (d, n);
}

int
main (int argc, char **argv)
{
    guint n = argc > 2 ? (guint)atoi (argv[2]) : 100;
    g_autofree char *dir = g_dir_make_tmp ("dlhost-bench-XXXXXX", NULL);
    double listed[N_SAMPLES], limit[N_SAMPLES], a, b;
    gboolean ok = argc > 1 && n > 0 && n < 1000 && dir && write_copies (argv[1], dir, n);

    for (guint i = 0; ok && i < N_SAMPLES; i++) {
        gint64 t0 = g_get_monotonic_time (), t1, t2;

        ok = list_once (dir, n);
        t1 = g_get_monotonic_time ();
        ok = ok && read_once (dir, n);
        t2 = g_get_monotonic_time ();
        listed[i] = (double)(t1 - t0) / 1000;
        limit[i] = (double)(t2 - t1) / 1000;
    }
    for (guint i = 0; dir && i < n; i++) {
        g_autofree char *path = copy_path (dir, i);

        g_unlink (path);
    }
    if (dir)
        g_rmdir (dir);
    if (!ok) {
        fprintf (stderr, "usage: bench-discovery PLUGIN.so [1-999]\n");
        return 1;
    }
    a = median (listed, N_SAMPLES);
    b = median (limit, N_SAMPLES);
    printf ("list %u plugins: %.2f ms (MAD %.2f), open and read alone: %.2f ms (MAD %.2f), "
            "ratio %.2f\n",
            n, a, deviation (listed, N_SAMPLES, a), b, deviation (limit, N_SAMPLES, b), a / b);
    return 0;
}
