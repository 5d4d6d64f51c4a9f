/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "progress.h"

#define TERMINAL_INTERVAL 100000 /* microseconds between redraws */
#define PLAIN_INTERVAL 10000000

void
progress_init (Progress *p, gboolean quiet)
{
    memset (p, 0, sizeof *p);
    p->quiet = quiet;
    p->terminal = isatty (STDOUT_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0 &&
                  g_getenv ("TERM") != NULL;
}

static void
erase (Progress *p)
{
    if (p->drawn)
        printf ("\r%*s\r", (int)p->drawn, "");
    p->drawn = 0;
}

void
progress_clear (Progress *p)
{
    erase (p);
    fflush (stdout);
    g_clear_pointer (&p->values, g_free);
}

void
progress_values (Progress *p, const char *const *names, const double *values, guint n)
{
    GString *s = g_string_new (NULL);

    for (guint i = 0; i < n; i++) {
        const char *slash = strrchr (names[i], '/');

        g_string_append_printf (s, "  %s %.4g", slash ? slash + 1 : names[i], values[i]);
    }
    g_free (p->values);
    p->values = g_string_free (s, FALSE);
}

static char *
duration (double seconds)
{
    guint s = (guint)CLAMP (seconds, 0, 360000);

    if (s >= 3600)
        return g_strdup_printf ("%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    return g_strdup_printf ("%u:%02u", s / 60, s % 60);
}

static guint
terminal_width (void)
{
    struct winsize size;

    return ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static char *
progress_text (Progress *p, gint64 now, double examples)
{
    double elapsed = (double)(now - p->start) * 1e-6;
    double steps = (double)p->done - p->first_done;
    g_autofree char *left =
        duration (steps > 0 ? elapsed / steps * (double)(p->total - p->done) : 0);

    return g_strdup_printf (
        "step %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT " (%d%%)%s  %.0f examples/s  %s left",
        p->done, p->total, (int)(100 * (double)p->done / (double)MAX (p->total, 1)),
        p->values ? p->values : "", elapsed > 0 ? examples / elapsed : 0, left);
}

void
progress_step (Progress *p, gint64 done, gint64 total, double examples)
{
    gint64 now = g_get_monotonic_time ();
    g_autofree char *text = NULL;

    if (p->quiet)
        return;
    if (!p->start) {
        // The first step compiles: the rate counts from its end.
        p->start = p->last = now;
        p->first_done = (double)done;
    }
    p->done = done;
    p->total = total;
    if (now - p->last < (p->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL))
        return;
    p->last = now;
    text = progress_text (p, now, examples * (1 - p->first_done / (double)MAX (done, 1)));
    if (!p->terminal) {
        puts (text);
    } else {
        if (strlen (text) >= terminal_width ())
            text[terminal_width () - 1] = '\0';
        erase (p);
        fputs (text, stdout);
        p->drawn = strlen (text);
    }
    fflush (stdout);
}

void
progress_line (Progress *p, const char *text)
{
    if (p->quiet)
        return;
    erase (p);
    puts (text);
    fflush (stdout);
}
