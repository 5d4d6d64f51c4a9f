/* SPDX-License-Identifier: MIT */
/* Help texts, from the tables that the parser reads. */
#include <string.h>
#include "command.h"

#define LEFT 34 /* columns of names */
#define WIDTH 79

static const char exit_codes[] =
    "Exit codes: 0 done, 1 the run failed, 2 wrong usage, 3 a plugin, 4 data or a\n"
    "checkpoint, 5 a number that is not finite, 130 and 143 stopped by a signal.\n";

// Breaks @text at spaces into lines of WIDTH columns that begin with @indent spaces, after the
// first.
static void
append_wrapped (GString *out, const char *text, guint column, guint indent)
{
    g_auto (GStrv) words = g_strsplit (text, " ", -1);
    guint at = column;

    for (guint i = 0; words[i]; i++) {
        guint n = (guint)g_utf8_strlen (words[i], -1);

        if (i && at + 1 + n > WIDTH) {
            g_string_append_printf (out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (i) {
            g_string_append_c (out, ' ');
            at++;
        }
        g_string_append (out, words[i]);
        at += n;
    }
    g_string_append_c (out, '\n');
}

static void
append_row (GString *out, const char *left, const char *doc)
{
    g_string_append_printf (out, "  %-*s ", LEFT - 2, left);
    if (strlen (left) > LEFT - 2)
        g_string_append_printf (out, "\n%*s", LEFT + 1, "");
    append_wrapped (out, doc, LEFT + 1, LEFT + 1);
}

static void
append_flags (GString *out, const Flag *flags)
{
    for (; flags && flags->name; flags++) {
        g_autofree char *left = g_strdup_printf ("--%s%s%s", flags->name, flags->value ? "=" : "",
                                                 flags->value ? flags->value : "");

        append_row (out, left, flags->doc);
    }
}

static char *
command_help (const Command *c)
{
    GString *out = g_string_new (NULL);

    g_string_append_printf (out, "Usage: dlhost %s%s%s%s\n\n", c->name, *c->operands ? " " : "",
                            c->operands, c->flags || c->of_run ? " [OPTION...]" : "");
    append_wrapped (out, c->summary, 0, 0);
    if (c->details) {
        g_string_append_c (out, '\n');
        append_wrapped (out, c->details, 0, 0);
    }
    g_string_append (out, "\nOptions:\n");
    append_flags (out, c->flags);
    append_flags (out, c->of_run ? run_flags : NULL);
    append_flags (out, global_flags);
    g_string_append_printf (out, "\n%s", exit_codes);
    return g_string_free (out, FALSE);
}

char *
help_text (const Command *command)
{
    GString *out;

    if (command)
        return command_help (command);
    out = g_string_new (
        "Usage: dlhost --optimizer=NAME --model=NAME [OPTION...]\n"
        "       dlhost COMMAND [ARGUMENT...] [OPTION...]\n"
        "\n"
        "Trains, evaluates and leaves a run folder. A plugin's parameters follow its name\n"
        "(--optimizer=adam.so,lr=1e-3; lists in brackets: betas=[0,0.9]) or are given one\n"
        "by one (--optimizer.lr=1e-3).\n"
        "\n"
        "Commands (dlhost COMMAND --help says more):\n");
    for (guint i = 0; commands[i]; i++) {
        g_autofree char *left = g_strjoin (*commands[i]->operands ? " " : "", commands[i]->name,
                                           commands[i]->operands, NULL);

        append_row (out, left, commands[i]->summary);
    }
    g_string_append (out, "\nOptions of a run:\n");
    append_flags (out, run_flags);
    g_string_append (out, "\nOptions of every command:\n");
    append_flags (out, global_flags);
    g_string_append_printf (out, "\n%s", exit_codes);
    return g_string_free (out, FALSE);
}
