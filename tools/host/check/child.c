/* SPDX-License-Identifier: MIT */
/* Runs a group of items in child processes, with a time limit for each item. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "child.h"
#include "state.h"

#define MEMORY (1ull << 30) /* address space that a child may add */
#define KEPT 4096           /* bytes kept of what a child writes */
#define HEAVY_SHARE 10      /* of an item's time: for what may well ask for too much */

enum { RESULTS, OUTPUT, ERRORS, N_PIPES };

static const char *const stream_names[] = {[OUTPUT] = "stdout", [ERRORS] = "stderr"};

typedef struct {
    pid_t pid;
    int fds[N_PIPES];
    GString *text[N_PIPES];
    char *item; /* the one that runs */
    char *note; /* what it is at */
    gboolean heavy, ended, late;
    gint64 deadline;
    int status;
} Child;

void
child_send (Check *c, char what, const char *name, const char *text)
{
    g_autofree char *line = g_strdup_printf ("%c%s\t%s", what, name, text);
    gsize n = strlen (line), done = 0;

    g_strdelimit (line, "\n", ' ');
    line[n++] = '\n';
    while (done < n) {
        gssize m = write (c->channel, line + done, n - done);

        if (m < 0 && errno != EINTR)
            _exit (127);
        done += (gsize)MAX (m, 0);
    }
}

static guint64
address_space (void)
{
    unsigned long pages = 0;
    FILE *file = fopen ("/proc/self/statm", "r");

    if (file && fscanf (file, "%lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose (file);
    return (guint64)pages * (guint64)sysconf (_SC_PAGESIZE);
}

// A range end may ask for more than there is: it has to be refused, not to exhaust the machine.
static void
limit_child (void)
{
    struct rlimit none = {0, 0};
    rlim_t bytes = address_space () + MEMORY;
    struct rlimit memory = {bytes, bytes};

    setrlimit (RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__)
    setrlimit (RLIMIT_AS, &memory);
#else
    (void)memory;
#endif
    prctl (PR_SET_PDEATHSIG, SIGKILL);
}

static void child_main (Check *c, CheckGroup group, int pipes[N_PIPES][2])
    __attribute__ ((noreturn));

static void
child_main (Check *c, CheckGroup group, int pipes[N_PIPES][2])
{
    g_autoptr (State) before = NULL;

    limit_child ();
    // Two threads that wait for each other on a busy machine would take most of the time.
    dlh_set_threads (1);
    // Far from the numbers that a plugin would guess, were it to close what is not its own.
    c->channel = fcntl (pipes[RESULTS][1], F_DUPFD_CLOEXEC, 100);
    dup2 (pipes[OUTPUT][1], STDOUT_FILENO);
    dup2 (pipes[ERRORS][1], STDERR_FILENO);
    for (guint i = 0; i < N_PIPES; i++) {
        close (pipes[i][0]);
        close (pipes[i][1]);
    }
    before = state_take ();
    group (c);
    state_compare (c, before);
    fflush (stdout);
    child_send (c, CHILD_END, "", "");
    // Neither the parent's handlers at exit nor its buffers are the child's.
    _exit (0);
}

static void
child_start (Child *child, Check *c, CheckGroup group)
{
    int pipes[N_PIPES][2];

    for (guint i = 0; i < N_PIPES; i++)
        if (pipe (pipes[i]) != 0)
            g_error ("no pipe: %s", g_strerror (errno));
    fflush (NULL);
    child->pid = fork ();
    if (child->pid < 0)
        g_error ("no child process: %s", g_strerror (errno));
    if (child->pid == 0)
        child_main (c, group, pipes);
    for (guint i = 0; i < N_PIPES; i++) {
        close (pipes[i][1]);
        child->fds[i] = pipes[i][0];
        child->text[i] = g_string_new (NULL);
    }
}

static void
take_line (Child *child, Check *c, const char *line)
{
    const char *tab = strchr (line, '\t');
    g_autofree char *name = NULL;

    if (!tab)
        return;
    name = g_strndup (line + 1, (gsize)(tab - line - 1));
    child->heavy = line[0] == CHILD_HEAVY;
    child->deadline = g_get_monotonic_time () +
                      (gint64)c->seconds * G_USEC_PER_SEC / (child->heavy ? HEAVY_SHARE : 1);
    g_clear_pointer (&child->note, g_free);
    if (line[0] == CHILD_NOTE || line[0] == CHILD_HEAVY) {
        child->note = g_strdup (tab + 1);
        return;
    }
    if (line[0] == CHILD_FOUND) {
        check_found (c, name, "%s", tab + 1);
        return;
    }
    g_clear_pointer (&child->item, g_free);
    if (line[0] == CHILD_BEGIN)
        child->item = g_steal_pointer (&name);
    else if (line[0] == CHILD_END) {
        child->ended = TRUE;
        // What a plugin left running may hold the pipes open.
        child->deadline = g_get_monotonic_time () + G_USEC_PER_SEC / 2;
    } else if (line[0] > CHILD_RESULT && line[0] <= CHILD_RESULT + CHECK_SKIP)
        check_add (c, name, line[0] - CHILD_RESULT, tab + 1);
}

static void
take_lines (Child *child, Check *c)
{
    GString *text = child->text[RESULTS];
    const char *end;

    while ((end = memchr (text->str, '\n', text->len))) {
        g_autofree char *line = g_strndup (text->str, (gsize)(end - text->str));

        g_string_erase (text, 0, end - text->str + 1);
        take_line (child, c, line);
    }
}

// Returns: whether the pipe is still open.
static gboolean
take_bytes (Child *child, Check *c, guint which)
{
    char bytes[4096];
    gssize n = read (child->fds[which], bytes, sizeof bytes);

    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (which == RESULTS || child->text[which]->len < KEPT)
        g_string_append_len (child->text[which], bytes, n);
    if (which == RESULTS)
        take_lines (child, c);
    return TRUE;
}

static void
child_watch (Child *child, Check *c)
{
    struct pollfd polls[N_PIPES];
    guint n_open = N_PIPES;

    for (guint i = 0; i < N_PIPES; i++)
        polls[i] = (struct pollfd){child->fds[i], POLLIN, 0};
    child->deadline = g_get_monotonic_time () + (gint64)c->seconds * G_USEC_PER_SEC;
    while (n_open > 0) {
        gint64 left = (child->deadline - g_get_monotonic_time ()) / 1000;

        if (left <= 0) {
            child->late = !child->ended;
            kill (child->pid, SIGKILL);
            break;
        }
        if (poll (polls, N_PIPES, (int)MIN (left + 1, 100)) < 0 && errno != EINTR)
            break;
        for (guint i = 0; i < N_PIPES; i++)
            if (polls[i].fd >= 0 && polls[i].revents && !take_bytes (child, c, i)) {
                polls[i].fd = -1;
                n_open--;
            }
    }
}

// The last line of what the child wrote on stderr: an assertion's text, for example.
static char *
last_words (const Child *child)
{
    g_autofree char *text = g_strstrip (g_strdup (child->text[ERRORS]->str));
    const char *line = strrchr (text, '\n');

    if (!*text)
        return g_strdup ("");
    return g_strdup_printf ("; it wrote: %.200s", line ? line + 1 : text);
}

static char *
how_it_ended (const Child *child, const Check *c)
{
    g_autofree char *words = last_words (child);
    g_autofree char *note = child->note ? g_strconcat ("at ", child->note, ": ", NULL) : NULL;
    const char *at = note ? note : "";

    if (child->late && child->heavy)
        return g_strdup_printf ("%sneeds more than %g s; more time with --timeout", at,
                                (double)c->seconds / HEAVY_SHARE);
    if (child->late)
        return g_strdup_printf ("%sno end after %u s, must return; find the loop or the wait, or "
                                "give more time with --timeout%s",
                                at, c->seconds, words);
    if (WIFSIGNALED (child->status))
        return g_strdup_printf ("%sthe process died of SIG%s, the plugin must never end it; run "
                                "the check under gdb or valgrind%s",
                                at, sigabbrev_np (WTERMSIG (child->status)), words);
    return g_strdup_printf (
        "%sthe plugin ended the process with exit code %d, it must return FALSE "
        "and set the error instead of calling exit()%s",
        at, WEXITSTATUS (child->status), words);
}

static void
note_output (Child *child, Check *c)
{
    for (guint i = OUTPUT; i <= ERRORS; i++) {
        g_autofree char *name = g_strdup_printf ("output/%s", stream_names[i]);
        g_autofree char *text = g_strndup (child->text[i]->str, 160);

        g_strstrip (text);
        if (*text)
            check_found (c, name,
                         "it wrote '%s', a plugin must not write there; use "
                         "dlh_update_note(), dlh_run_message() or the GError",
                         text);
    }
}

// Returns: whether the group is done.
static gboolean
run_once (Check *c, CheckGroup group)
{
    Child child = {0};
    gboolean done;

    child_start (&child, c, group);
    child_watch (&child, c);
    while (waitpid (child.pid, &child.status, 0) < 0 && errno == EINTR)
        ;
    done = child.ended;
    if (child.ended)
        note_output (&child, c);
    else {
        g_autofree char *text = how_it_ended (&child, c);

        check_add (c, child.item ? child.item : "process/between-checks",
                   child.late && child.heavy ? CHECK_SKIP : CHECK_FAIL, text);
        done = !child.item;
    }
    for (guint i = 0; i < N_PIPES; i++) {
        close (child.fds[i]);
        g_string_free (child.text[i], TRUE);
    }
    g_free (child.item);
    g_free (child.note);
    return done;
}

void
check_run (Check *c, CheckGroup group)
{
    while (!run_once (c, group))
        ;
}
