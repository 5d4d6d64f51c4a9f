/* SPDX-License-Identifier: MIT */
/* Help texts, from the tables that the parser reads. */
#include <string.h>
#include "command.h"
#include "text.h"

#define LEFT 30 /* columns of names */

const ExitCode exit_codes[] = {
    {"0", "done"},
    {"1", "the run failed, or a file could not be written"},
    {"2", "wrong usage"},
    {"3", "a plugin"},
    {"4", "data or a checkpoint"},
    {"5", "a number that is not finite, or a result that its check refuses"},
    {"130, 143", "stopped by Ctrl-C or SIGTERM"},
    {NULL},
};

const char *
group_title (CommandGroup group)
{
    static const char *const titles[] = {
        [GROUP_RUNS] = "Runs",
        [GROUP_PLUGINS] = "Plugins",
        [GROUP_INSIDE] = "A look inside",
        [GROUP_SETUP] = "Set-up and help",
    };

    return group < G_N_ELEMENTS (titles) && titles[group] ? titles[group] : "Other";
}

// What does not fit the column goes on a line of its own.
static void
append_row (GString *out, const char *left, const char *doc, guint width)
{
    g_string_append (out, "  ");
    text_pad (out, left, LEFT - 2);
    if (g_utf8_strlen (left, -1) > LEFT - 4) {
        text_end_line (out);
        g_string_append_printf (out, "%*s", LEFT, "");
    }
    text_wrap (out, doc, LEFT, LEFT, width);
}

// An option of the run that the command has for itself, of another meaning.
static gboolean
is_own (const Command *c, const char *name)
{
    for (const Flag *own = c ? c->flags : NULL; own && own->name; own++)
        if (strcmp (own->name, name) == 0)
            return TRUE;
    return FALSE;
}

static void
append_flags (GString *out, const char *title, const Flag *flags, const Command *except,
              guint width)
{
    if (!flags || !flags->name)
        return;
    g_string_append_printf (out, "\n%s:\n", title);
    for (; flags->name; flags++) {
        g_autofree char *left = NULL;

        if (is_own (except, flags->name))
            continue;
        left = g_strdup_printf ("--%s%s%s", flags->name, flags->value ? "=" : "",
                                flags->value ? flags->value : "");

        append_row (out, left, flags->doc, width);
    }
}

static void
append_exit_codes (GString *out, guint width)
{
    g_autoptr (GString) text = g_string_new ("Exit codes: ");

    for (guint i = 0; exit_codes[i].codes; i++)
        g_string_append_printf (text, "%s%s %s", i ? "; " : "", exit_codes[i].codes,
                                exit_codes[i].meaning);
    g_string_append_c (text, '.');
    g_string_append_c (out, '\n');
    text_wrap (out, text->str, 0, 0, width);
}

static void
append_examples (GString *out, const Command *c)
{
    g_auto (GStrv) lines = g_strsplit (c->examples ? c->examples : "", "\n", -1);

    if (c->examples)
        g_string_append (out, "\nExamples:\n");
    for (guint i = 0; lines[i] && *lines[i]; i++)
        g_string_append_printf (out, "  %s\n", lines[i]);
}

static char *
command_help (const Command *c, guint width)
{
    GString *out = g_string_new (NULL);
    g_autofree char *summary = g_strdup_printf ("%s: %s.", c->name, c->summary);

    g_string_append_printf (out, "Usage: dlhost %s%s%s [OPTION...]\n\n", c->name,
                            *c->operands ? " " : "", c->operands);
    text_wrap (out, summary, 0, 0, width);
    if (c->details) {
        g_string_append_c (out, '\n');
        text_wrap (out, c->details, 0, 0, width);
    }
    append_flags (out, "Options", c->flags, NULL, width);
    append_flags (out, "Options of a run", c->of_run ? run_flags : NULL, c, width);
    append_flags (out, "Options of every command", global_flags, NULL, width);
    append_examples (out, c);
    append_exit_codes (out, width);
    return g_string_free (out, FALSE);
}

// A command without a group comes last.
static void
append_group (GString *out, CommandGroup group, guint width)
{
    gboolean titled = FALSE;

    for (guint i = 0; commands[i]; i++) {
        g_autofree char *left = NULL;

        if (commands[i]->group != group)
            continue;
        if (!titled)
            g_string_append_printf (out, "\n%s:\n", group_title (group));
        titled = TRUE;
        left = g_strjoin (*commands[i]->operands ? " " : "", commands[i]->name,
                          commands[i]->operands, NULL);
        append_row (out, left, commands[i]->summary, width);
    }
}

char *
help_text (const Command *command, guint width)
{
    GString *out;

    if (command)
        return command_help (command, width);
    out = g_string_new ("Usage: dlhost --optimizer=NAME --model=NAME [OPTION...]\n"
                        "       dlhost COMMAND [ARGUMENT...] [OPTION...]\n"
                        "\n");
    text_wrap (out,
               "Trains, evaluates and leaves a run folder. A plugin's parameters follow its name "
               "(--optimizer=adam.so,lr=1e-3; lists in brackets: betas=[0,0.9]) or are given one "
               "by one (--optimizer.lr=1e-3). dlhost COMMAND --help says more of a command, dlhost "
               "inspect PLUGIN of a plugin.",
               0, 0, width);
    for (CommandGroup group = GROUP_RUNS; group < GROUP_HIDDEN; group++)
        append_group (out, group, width);
    append_group (out, 0, width);
    append_flags (out, "Options of a run", run_flags, NULL, width);
    append_flags (out, "Options of every command", global_flags, NULL, width);
    append_exit_codes (out, width);
    return g_string_free (out, FALSE);
}
