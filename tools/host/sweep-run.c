/* SPDX-License-Identifier: MIT */
/* The processes of a sweep.
 *
 * Each run is a process of this program in a process group of its own, so that a signal of the
 * terminal reaches this process alone, which passes it on once. A child ends with its parent: the
 * kernel sends it SIGTERM, and it saves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "checkpoints.h"
#include "signals.h"
#include "sweep.h"

#define REDRAW 300 /* milliseconds */

typedef struct {
    SweepRun *run;
    pid_t pid;
    gint64 start;
} Job;

typedef struct {
    Sweep *sweep;
    GArray *jobs; /* Job */
    guint n_jobs, next;
    guint done, failed, total;
    int stopped; /* the signal that asked to stop */
    gboolean quiet, terminal;
    guint drawn; /* lines on the terminal */
    char *program;
} Runner;

/* What is seen. */

static void
erase (Runner *r)
{
    if (r->drawn)
        printf ("\033[%uA\033[J", r->drawn);
    r->drawn = 0;
}

// The end of the last whole line of @path, cut to what a line of the terminal holds.
static char *
last_record (const char *path)
{
    char text[2048];
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek (fd, 0, SEEK_END) : 0;
    gssize n =
        size > 0 ? pread (fd, text, sizeof text - 1, MAX (0, size - (off_t)sizeof text + 1)) : 0;
    char *end, *start;

    if (fd >= 0)
        close (fd);
    text[MAX (n, 0)] = '\0';
    if (!(end = strrchr (text, '\n')))
        return NULL;
    *end = '\0';
    start = strrchr (text, '\n');
    return g_strdup (start ? start + 1 : text);
}

typedef struct {
    double step, value;
    char *name;
} Latest;

static void
see_latest (const char *key, double value, const char *text, gpointer data)
{
    Latest *l = data;

    if (text || strcmp (key, "wall") == 0 || strcmp (key, "cpu") == 0)
        return;
    if (strcmp (key, "step") == 0)
        l->step = value;
    else if (!l->name) {
        l->name = g_strdup (key);
        l->value = value;
    }
}

static void
draw (Runner *r)
{
    if (r->quiet || !r->terminal)
        return;
    erase (r);
    for (guint i = 0; i < r->jobs->len; i++) {
        const Job *job = &g_array_index (r->jobs, Job, i);
        g_autofree char *path =
            g_build_filename (r->sweep->dir, job->run->name, "metrics.jsonl", NULL);
        g_autofree char *record = last_record (path);
        Latest latest = {0, 0, NULL};

        if (record)
            record_scan (record, strlen (record), see_latest, &latest);
        // 79 columns: a longer line would wrap, and what is erased be miscounted.
        printf ("  %-40.40s  %5.0f s", job->run->name,
                (double)(g_get_monotonic_time () - job->start) * 1e-6);
        if (latest.name)
            printf ("  step %-7.0f %.4g", latest.step, latest.value);
        putchar ('\n');
        r->drawn++;
        g_free (latest.name);
    }
    printf ("  %u of %u done%s\n", r->done, r->total, r->stopped ? ", stopping" : "");
    r->drawn++;
    fflush (stdout);
}

static void say (Runner *r, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
say (Runner *r, const char *format, ...)
{
    va_list args;

    if (r->quiet)
        return;
    erase (r);
    va_start (args, format);
    vprintf (format, args);
    va_end (args);
    putchar ('\n');
    fflush (stdout);
}

/* Starting. */

// A run folder of ours, whose links are not followed.
static gboolean
remove_folder (const char *path)
{
    g_autoptr (GDir) entries = g_dir_open (path, 0, NULL);
    const char *entry;
    gboolean ok = TRUE;

    while (entries && (entry = g_dir_read_name (entries))) {
        g_autofree char *child = g_build_filename (path, entry, NULL);

        ok &=
            g_file_test (child, G_FILE_TEST_IS_DIR) && !g_file_test (child, G_FILE_TEST_IS_SYMLINK)
                ? remove_folder (child)
                : g_unlink (child) == 0;
    }
    return g_rmdir (path) == 0 && ok;
}

static GPtrArray *
child_arguments (Runner *r, SweepRun *run, GError **error)
{
    g_autofree char *folder = g_build_filename (r->sweep->dir, run->name, NULL);
    g_autofree char *latest = NULL;
    g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
    gint64 step;

    g_ptr_array_add (argv, g_strdup (r->program));
    if (run->state == RUN_STOPPED && (latest = checkpoint_latest (folder, &step, NULL))) {
        g_ptr_array_add (argv, g_strdup ("resume"));
        g_ptr_array_add (argv, g_strdup (folder));
    } else {
        // Killed before its first checkpoint: it begins anew.
        if (run->state == RUN_STOPPED && !remove_folder (folder)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_IO,
                         "%s: cannot remove the folder of a run that was killed before its first "
                         "checkpoint: %s",
                         folder, g_strerror (errno));
            return NULL;
        }
        g_ptr_array_add (argv, g_strdup ("run"));
        // The rest: options that all runs share, then those of the combination.
        for (guint i = 0; i < r->sweep->arguments->len; i++) {
            const char *text = r->sweep->arguments->pdata[i];

            if (!sweep_is_own_argument (text) && !g_str_has_prefix (text, "--seed="))
                g_ptr_array_add (argv, g_strdup (text));
        }
        for (guint i = 0; i < run->combination->args->len; i++)
            g_ptr_array_add (argv, g_strdup (run->combination->args->pdata[i]));
        g_ptr_array_add (argv, g_strdup_printf ("--seed=%" G_GUINT64_FORMAT, run->seed));
        if (run->start)
            g_ptr_array_add (argv, g_strdup_printf ("--checkpoint=%s", run->start));
        g_ptr_array_add (argv, g_strdup_printf ("--out=%s", folder));
    }
    if (r->sweep->plugin_path)
        g_ptr_array_add (argv, g_strdup_printf ("--plugin-path=%s", r->sweep->plugin_path));
    g_ptr_array_add (argv, NULL);
    return g_steal_pointer (&argv);
}

// Between fork and exec: only calls that are safe there.
static void
become_child (char *const *argv, int log, pid_t parent)
{
    int null = open ("/dev/null", O_RDONLY);
    sigset_t none;

    sigemptyset (&none);
    sigprocmask (SIG_SETMASK, &none, NULL);
    setpgid (0, 0);
    prctl (PR_SET_PDEATHSIG, SIGTERM);
    if (getppid () != parent)
        _exit (128 + SIGTERM);
    dup2 (null, STDIN_FILENO);
    dup2 (log, STDOUT_FILENO);
    dup2 (log, STDERR_FILENO);
    execv (argv[0], argv);
    _exit (127);
}

static gboolean
start_run (Runner *r, SweepRun *run, GError **error)
{
    g_autofree char *name = g_strdup_printf ("%s.log", run->name);
    g_autofree char *path = g_build_filename (r->sweep->dir, "logs", name, NULL);
    g_autoptr (GPtrArray) argv = child_arguments (r, run, error);
    Job job = {run, 0, g_get_monotonic_time ()};
    pid_t parent = getpid ();
    int log;

    if (!argv)
        return FALSE;
    log = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (log >= 0 && (job.pid = fork ()) == 0)
        become_child ((char *const *)argv->pdata, log, parent);
    if (log < 0 || job.pid < 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot start the run: %s", path,
                     g_strerror (errno));
        if (log >= 0)
            close (log);
        return FALSE;
    }
    close (log);
    // Both sides do it: whichever comes first.
    setpgid (job.pid, job.pid);
    g_array_append_val (r->jobs, job);
    return TRUE;
}

// A sweep after another: there is nothing to start with. It is not recorded: the other may go on.
static void
pass_over (Runner *r, SweepRun *run)
{
    run->state = RUN_FAILED;
    r->done++;
    r->failed++;
    say (r, "%s: failed: its run in %s has not succeeded (%u of %u)", run->name, r->sweep->after,
         r->done, r->total);
}

static gboolean
start_runs (Runner *r, GError **error)
{
    while (!r->stopped && r->jobs->len < r->n_jobs && r->next < r->sweep->runs->len) {
        SweepRun *run = r->sweep->runs->pdata[r->next++];

        if (run->state != RUN_MISSING && run->state != RUN_STOPPED)
            continue;
        if (r->sweep->after && !run->start)
            pass_over (r, run);
        else if (!start_run (r, run, error))
            return FALSE;
    }
    return TRUE;
}

/* Ending. */

// The last line that it left in its log.
static char *
last_words (const Runner *r, const SweepRun *run)
{
    g_autofree char *name = g_strdup_printf ("%s.log", run->name);
    g_autofree char *path = g_build_filename (r->sweep->dir, "logs", name, NULL);
    g_autofree char *line = last_record (path);

    return line ? printable (line) : g_strdup ("");
}

static gboolean
end_run (Runner *r, const Job *job, int status, GError **error)
{
    SweepRun *run = job->run;
    double seconds = (double)(g_get_monotonic_time () - job->start) * 1e-6;
    g_autofree char *words = NULL;

    run->code = WIFEXITED (status) ? WEXITSTATUS (status) : -WTERMSIG (status);
    // Stopped on request: by us, or by somebody who wants it to go on later.
    if (run->code == 128 + SIGINT || run->code == 128 + SIGTERM || run->code == 128 + SIGHUP ||
        (r->stopped && run->code < 0)) {
        run->state = RUN_STOPPED;
        say (r, "%s: stopped", run->name);
        return TRUE;
    }
    r->done++;
    run->state = run->code == 0 ? RUN_DONE : RUN_FAILED;
    if (run->code == 0) {
        say (r, "%s: done in %.1f s (%u of %u)", run->name, seconds, r->done, r->total);
    } else {
        r->failed++;
        words = run->code < 0 ? g_strdup_printf ("killed by signal %d (%s)", -run->code,
                                                 g_strsignal (-run->code))
                              : last_words (r, run);
        say (r, "%s: failed: %s (%u of %u)", run->name, words, r->done, r->total);
    }
    return sweep_record (r->sweep, run, error);
}

static gboolean
reap (Runner *r, GError **error)
{
    for (guint i = r->jobs->len; i-- > 0;) {
        Job job = g_array_index (r->jobs, Job, i);
        int status;

        if (waitpid (job.pid, &status, WNOHANG) != job.pid)
            continue;
        g_array_remove_index (r->jobs, i);
        if (!end_run (r, &job, status, error))
            return FALSE;
    }
    return TRUE;
}

static void
pass_on (Runner *r, int number)
{
    if (!r->stopped && !r->quiet)
        say (r, "stopping: runs finish their step and save");
    r->stopped = number;
    for (guint i = 0; i < r->jobs->len; i++)
        kill (g_array_index (r->jobs, Job, i).pid, number);
}

static gboolean
run_all (Runner *r, const sigset_t *signals, GError **error)
{
    const struct timespec wait = {0, REDRAW * 1000000};

    while (start_runs (r, error) && r->jobs->len) {
        int number = sigtimedwait (signals, NULL, &wait);

        if (number > 0 && number != SIGCHLD)
            pass_on (r, number);
        if (!reap (r, error))
            return FALSE;
        draw (r);
    }
    return !r->jobs->len;
}

int
sweep_execute (Sweep *sweep, guint jobs, gboolean quiet, GError **error)
{
    g_autoptr (GArray) list = g_array_new (FALSE, FALSE, sizeof (Job));
    Runner r = {.sweep = sweep, .jobs = list, .n_jobs = jobs, .quiet = quiet};
    sigset_t signals, before;
    gboolean ok;

    r.terminal =
        isatty (STDOUT_FILENO) && g_getenv ("TERM") && strcmp (g_getenv ("TERM"), "dumb") != 0;
    if (!(r.program = g_file_read_link ("/proc/self/exe", error)))
        return -1;
    r.total = sweep->runs->len;
    for (guint i = 0; i < sweep->runs->len; i++)
        r.done += ((SweepRun *)sweep->runs->pdata[i])->state >= RUN_FAILED;
    // Waited for, one after another: no handler runs in between.
    signals_to_wait_for (&signals);
    sigprocmask (SIG_BLOCK, &signals, &before);
    ok = run_all (&r, &signals, error);
    if (!ok)
        for (guint i = 0; i < list->len; i++)
            kill (g_array_index (list, Job, i).pid, SIGTERM);
    for (guint i = 0; i < list->len; i++)
        waitpid (g_array_index (list, Job, i).pid, NULL, 0);
    erase (&r);
    fflush (stdout);
    sigprocmask (SIG_SETMASK, &before, NULL);
    g_free (r.program);
    return ok ? r.stopped : -1;
}
