/* SPDX-License-Identifier: MIT */
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "state.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

extern char **environ;

enum {
    LOCALE,
    ROUNDING,
    DENORMALS,
    TRAPS,
    UMASK,
    DIRECTORY,
    ENVIRONMENT,
    THREADS,
    SIGNALS,
    MASK,
    TIMER,
    N_STATES,
};

static const struct {
    const char *name, *advice;
} states[] = {
    [LOCALE] = {"state/locale",
                "do not call setlocale(); use g_ascii_strtod() and g_ascii_dtostr()"},
    [ROUNDING] = {"state/rounding", "restore the rounding mode with fesetround()"},
    [DENORMALS] = {"state/denormals", "leave flush-to-zero and denormals-are-zero as they are"},
    [TRAPS] = {"state/floating-point-traps", "do not call feenableexcept()"},
    [UMASK] = {"state/umask", "do not call umask()"},
    [DIRECTORY] = {"state/working-directory", "do not call chdir(); build absolute paths"},
    [ENVIRONMENT] = {"state/environment", "do not call setenv() or putenv(); add an option"},
    [THREADS] = {"state/threads", "leave the number of threads to the host"},
    [SIGNALS] = {"state/signal-handlers", "leave signals to the host; see dlh_run_should_stop()"},
    [MASK] = {"state/signal-mask", "restore the mask with sigprocmask()"},
    [TIMER] = {"state/timers", "do not use alarm() or setitimer()"},
};

struct _State {
    char *text[N_STATES];
};

static char *
denormals (void)
{
#if defined(__SSE__)
    return g_strdup_printf ("0x%x", _mm_getcsr () & 0x8040);
#else
    return g_strdup ("unknown");
#endif
}

static char *
mode_of_files (void)
{
    mode_t mode = umask (0);

    umask (mode);
    return g_strdup_printf ("0%o", (unsigned)mode);
}

static char *
handlers (void)
{
    GString *text = g_string_new (NULL);

    for (int i = 1; i < NSIG; i++) {
        struct sigaction action;

        if (sigaction (i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            g_string_append_printf (text, "%s%s=%s", text->len ? " " : "",
                                    sigabbrev_np (i) ? sigabbrev_np (i) : "?",
                                    action.sa_handler == SIG_IGN ? "ignored" : "handled");
    }
    return g_string_free (text, FALSE);
}

static char *
blocked (void)
{
    GString *text = g_string_new (NULL);
    sigset_t set;

    sigprocmask (SIG_BLOCK, NULL, &set);
    for (int i = 1; i < NSIG; i++)
        if (sigismember (&set, i) == 1)
            g_string_append_printf (text, "%d ", i);
    return g_string_free (text, FALSE);
}

static char *
timers (void)
{
    struct itimerval t;

    return g_strdup (getitimer (ITIMER_REAL, &t) == 0 && (t.it_value.tv_sec || t.it_value.tv_usec)
                         ? "running"
                         : "none");
}

State *
state_take (void)
{
    State *s = g_new0 (State, 1);

    s->text[LOCALE] = g_strdup (setlocale (LC_ALL, NULL));
    s->text[ROUNDING] = g_strdup_printf ("%d", fegetround ());
    s->text[DENORMALS] = denormals ();
    s->text[TRAPS] = g_strdup_printf ("%d", fegetexcept ());
    s->text[UMASK] = mode_of_files ();
    s->text[DIRECTORY] = g_get_current_dir ();
    s->text[ENVIRONMENT] = g_strjoinv ("\n", environ);
    s->text[THREADS] = g_strdup_printf ("%u", dlh_get_threads ());
    s->text[SIGNALS] = handlers ();
    s->text[MASK] = blocked ();
    s->text[TIMER] = timers ();
    return s;
}

void
state_free (State *state)
{
    for (guint i = 0; i < N_STATES; i++)
        g_free (state->text[i]);
    g_free (state);
}

// The first variable that is only in one of the two.
static char *
changed_variable (const char *before, const char *after)
{
    g_auto (GStrv) now = g_strsplit (after, "\n", -1);
    g_auto (GStrv) then = g_strsplit (before, "\n", -1);

    for (guint i = 0; now[i]; i++)
        if (!g_strv_contains ((const char *const *)then, now[i]))
            return g_strdup_printf ("'%.60s' is set", now[i]);
    for (guint i = 0; then[i]; i++)
        if (!g_strv_contains ((const char *const *)now, then[i]))
            return g_strdup_printf ("'%.60s' is gone", then[i]);
    return g_strdup ("its order changed");
}

void
state_compare (Check *c, const State *before)
{
    g_autoptr (State) now = state_take ();

    for (guint i = 0; i < N_STATES; i++) {
        g_autofree char *what = NULL;

        if (strcmp (before->text[i], now->text[i]) == 0) {
            if (!g_hash_table_contains (c->found, states[i].name))
                check_found (c, states[i].name, "%s", "");
            continue;
        }
        what = i == ENVIRONMENT
                   ? changed_variable (before->text[i], now->text[i])
                   : g_strdup_printf ("was '%s', is '%s'", before->text[i], now->text[i]);
        check_found (c, states[i].name, "%s after the plugin ran, must be as before; %s", what,
                     states[i].advice);
    }
}

static void
report_one (Check *c, const char *name)
{
    const char *text = g_hash_table_lookup (c->found, name);

    check_add (c, name, text && *text ? CHECK_FAIL : CHECK_OK, text ? text : "");
}

void
state_report (Check *c)
{
    for (guint i = 0; i < N_STATES; i++)
        if (g_hash_table_contains (c->found, states[i].name))
            report_one (c, states[i].name);
    report_one (c, "output/stdout");
    report_one (c, "output/stderr");
}
