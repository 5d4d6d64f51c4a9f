/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "probe.h"

#define PATIENCE 30000 /* milliseconds that a plugin's start-up code may take */

// In the child: a byte is written when the code has come back.
static void
load_and_tell (const char *path, int end)
{
    ssize_t n;

    // What cannot be loaded at all is reported by the parent's own attempt.
    dlopen (path, RTLD_NOW | RTLD_LOCAL);
    do
        n = write (end, "", 1);
    while (n < 0 && errno == EINTR);
    _exit (0);
}

// Whether the byte came. A child that takes too long is killed.
static gboolean
wait_for_byte (pid_t child, int end, gboolean *late)
{
    struct pollfd wanted = {.fd = end, .events = POLLIN};
    char byte;
    int n;

    do
        n = poll (&wanted, 1, PATIENCE);
    while (n < 0 && errno == EINTR);
    *late = n == 0;
    if (*late)
        kill (child, SIGKILL);
    return n > 0 && read (end, &byte, 1) == 1;
}

gboolean
probe_plugin (const char *path, GError **error)
{
    int ends[2], status = 0;
    gboolean well, late;
    pid_t child;

    // Without a pipe or a process the plugin is loaded unprobed, as one from the search path.
    if (pipe (ends) != 0)
        return TRUE;
    child = fork ();
    if (child == 0)
        load_and_tell (path, ends[1]);
    close (ends[1]);
    well = child < 0 || wait_for_byte (child, ends[0], &late);
    close (ends[0]);
    while (child > 0 && waitpid (child, &status, 0) < 0 && errno == EINTR)
        ;
    if (well)
        return TRUE;
    if (late)
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "%s: its start-up code has not come back after %d s", path, PATIENCE / 1000);
    else if (WIFSIGNALED (status))
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "%s: its start-up code crashes: signal %d (%s)", path, WTERMSIG (status),
                     strsignal (WTERMSIG (status)));
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "%s: its start-up code ends the program with exit code %d", path,
                     WEXITSTATUS (status));
    return FALSE;
}
