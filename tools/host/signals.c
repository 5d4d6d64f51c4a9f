/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "signals.h"

static volatile sig_atomic_t first_signal;
static const char *notice = "";

static void
on_signal (int number)
{
    int saved = errno;

    if (!first_signal) {
        first_signal = number;
        // A failure to write changes nothing: the step is finished all the same.
        if (write (STDERR_FILENO, notice, strlen (notice)) < 0)
            errno = saved;
        errno = saved;
        return;
    }
    // A terminal that goes away may say so twice: by itself and through the shell.
    if (number != SIGHUP)
        _exit (128 + number);
}

void
signals_claim_streams (void)
{
    // A reader of our output that goes away must not end a training run, and a limit on the size
    // of files is an error of the write, with a message.
    signal (SIGPIPE, SIG_IGN);
    signal (SIGXFSZ, SIG_IGN);
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl (fd, F_GETFD) < 0 && open ("/dev/null", O_RDWR) < 0)
            return;
}

static const int stops[] = {SIGINT, SIGTERM, SIGHUP};

// What nohup or a shell's background job ignores stays ignored.
static gboolean
is_heard (int number)
{
    struct sigaction old;

    return number == SIGTERM || (sigaction (number, NULL, &old) == 0 && old.sa_handler != SIG_IGN);
}

void
signals_catch (gboolean quiet)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    if (!quiet)
        // On a terminal the notice begins below the line that shows the progress.
        notice = isatty (STDERR_FILENO)
                     ? "\ndlhost: stopping after this step; again to stop at once\n"
                     : "dlhost: stopping after this step; a second signal stops at once\n";
    sigemptyset (&action.sa_mask);
    for (guint i = 0; i < G_N_ELEMENTS (stops); i++)
        if (is_heard (stops[i]))
            sigaction (stops[i], &action, NULL);
}

void
signals_to_wait_for (sigset_t *set)
{
    sigemptyset (set);
    sigaddset (set, SIGCHLD);
    for (guint i = 0; i < G_N_ELEMENTS (stops); i++)
        if (is_heard (stops[i]))
            sigaddset (set, stops[i]);
}

int
signals_seen (void)
{
    return first_signal;
}
