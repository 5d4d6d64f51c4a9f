/* SPDX-License-Identifier: MIT */
/* `dlhost man`: the manual page in man(7), from the tables that the parser and the help read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "text.h"

#define LINE 66 /* before characters are escaped */

/* One entry of a list: what the help has no place for. */
typedef struct {
    const char *term;
    const char *text;
} Entry;

static const Entry environment[] = {
    {"DLHOST_CPU_LEVEL", "baseline, avx2 or avx512: computes with the instructions of that level, "
                         "where the processor has "
                         "more. BLAS is not affected; OpenBLAS has OPENBLAS_CORETYPE. Ignored by a "
                         "privileged process."},
    {"DLHOST_PLUGIN_PATH",
     "Directories searched for plugins, separated by colons, after those of --plugin-path. Ignored "
     "by a privileged process."},
    {"OMP_NUM_THREADS", "Threads, where --threads does not say."},
    {"XDG_DATA_HOME",
     "The user's plugins are in dlhost/plugins below it (default: ~/.local/share)."},
    {"COLUMNS", "The width of what is printed, where it is not a terminal's."},
    {NULL},
};

static const Entry files[] = {
    {"config.json", "In a run folder: every option of the run; --config takes it."},
    {"machine.json", "In a run folder: version, processor kernels, libraries and threads."},
    {"metrics.jsonl", "In a run folder: a line of JSON for each record."},
    {"checkpoint-STEP.safetensors",
     "In a run folder: parameters, optimizer state, counters and random positions after STEP "
     "steps."},
    {NULL},
};

// Text that roff takes as it is: no line begins with a control character, no backslash escapes.
static void
append_text (GString *out, const char *text)
{
    gboolean start = TRUE;

    for (const char *p = text; *p; p++) {
        if (start && (*p == '.' || *p == '\''))
            g_string_append (out, "\\&");
        if (*p == '\\')
            g_string_append (out, "\\e");
        else if (*p == '-')
            g_string_append (out, "\\-");
        else
            g_string_append_c (out, *p);
        start = *p == '\n';
    }
}

// A new sentence begins a line, as roff wants it, and lines are short.
static void
append_paragraph (GString *out, const char *text)
{
    g_autofree char *copy = g_strdup (text);
    g_autoptr (GString) lines = g_string_new (NULL);
    char *start = copy;

    for (char *p = copy; *p; p++)
        if (*p == '.' && p[1] == ' ' && g_ascii_isupper (p[2])) {
            p[1] = '\0';
            text_wrap (lines, start, 0, 0, LINE);
            start = p + 2;
            p++;
        }
    text_wrap (lines, start, 0, 0, LINE);
    append_text (out, lines->str);
}

// "the model" -> "The model."
static void
append_sentence (GString *out, const char *text)
{
    g_autofree char *sentence = g_strdup_printf ("%s.", text);

    sentence[0] = g_ascii_toupper (sentence[0]);
    append_paragraph (out, sentence);
}

static void
append_flags (GString *out, const Flag *flags)
{
    for (; flags && flags->name; flags++) {
        g_string_append (out, ".TP\n\\fB\\-\\-");
        append_text (out, flags->name);
        g_string_append (out, "\\fR");
        if (flags->value) {
            g_string_append (out, "=\\fI");
            append_text (out, flags->value);
            g_string_append (out, "\\fR");
        }
        g_string_append_c (out, '\n');
        append_sentence (out, flags->doc);
    }
}

static void
append_entries (GString *out, const char *title, const Entry *entries)
{
    g_string_append_printf (out, ".SH %s\n", title);
    for (; entries->term; entries++) {
        g_string_append (out, ".TP\n\\fB");
        append_text (out, entries->term);
        g_string_append (out, "\\fR\n");
        append_paragraph (out, entries->text);
    }
}

static void
append_command (GString *out, const Command *c)
{
    g_string_append (out, ".SS dlhost ");
    append_text (out, c->name);
    if (*c->operands) {
        g_string_append_c (out, ' ');
        append_text (out, c->operands);
    }
    g_string_append_c (out, '\n');
    append_sentence (out, c->summary);
    if (c->details) {
        g_string_append (out, ".PP\n");
        append_paragraph (out, c->details);
    }
    if (c->of_run)
        g_string_append (out, ".PP\nTakes the options of a run.\n");
    append_flags (out, c->flags);
}

static void
append_examples (GString *out)
{
    g_string_append (out, ".SH EXAMPLES\n.nf\n");
    for (guint i = 0; commands[i]; i++)
        if (commands[i]->examples && commands[i]->group != GROUP_HIDDEN)
            append_text (out, commands[i]->examples);
    g_string_append (out, ".fi\n");
}

/* (transfer full): the day of the build, which SOURCE_DATE_EPOCH fixes. */
static char *
page_date (void)
{
    const char *epoch = getenv ("SOURCE_DATE_EPOCH");
    g_autoptr (GDateTime) date =
        epoch ? g_date_time_new_from_unix_utc (g_ascii_strtoll (epoch, NULL, 10))
              : g_date_time_new_now_utc ();

    return date ? g_date_time_format (date, "%Y-%m-%d") : g_strdup ("1970-01-01");
}

static int
man_run (Invocation *inv, GError **error)
{
    g_autofree char *date = page_date ();
    g_autoptr (GString) out = g_string_new (".\\\" SPDX-License-Identifier: MIT\n");

    (void)inv, (void)error;
    g_string_append_printf (out,
                            ".TH DLHOST 1 %s \"dlhost %s\" \"User Commands\"\n"
                            ".SH NAME\ndlhost \\- train and examine networks made of plugins\n"
                            ".SH SYNOPSIS\n"
                            ".B dlhost\n\\-\\-optimizer=\\fINAME\\fR \\-\\-model=\\fINAME\\fR "
                            "[\\fIOPTION\\fR...]\n.br\n"
                            ".B dlhost\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR...] "
                            "[\\fIOPTION\\fR...]\n"
                            ".SH DESCRIPTION\n",
                            date, DLH_VERSION);
    append_paragraph (out,
                      "Trains, evaluates and leaves a run folder. Models, optimizers, data sets "
                      "and tasks are plugins: dlhost list names them, dlhost inspect says what "
                      "their parameters are.");
    g_string_append (out, ".SH COMMANDS\n");
    for (guint i = 0; commands[i]; i++)
        if (commands[i]->group != GROUP_HIDDEN)
            append_command (out, commands[i]);
    g_string_append (out, ".SH OPTIONS OF A RUN\n");
    append_flags (out, run_flags);
    g_string_append (out, ".SH OPTIONS OF EVERY COMMAND\n");
    append_flags (out, global_flags);
    append_entries (out, "ENVIRONMENT", environment);
    append_entries (out, "FILES", files);
    g_string_append (out, ".SH EXIT STATUS\n");
    for (guint i = 0; exit_codes[i].codes; i++) {
        g_string_append_printf (out, ".TP\n\\fB%s\\fR\n", exit_codes[i].codes);
        append_sentence (out, exit_codes[i].meaning);
    }
    append_examples (out);
    fputs (out->str, stdout);
    return EXIT_SUCCESS;
}

const Command command_man = {
    .name = "man",
    .operands = "",
    .group = GROUP_HIDDEN,
    .summary = "the manual page, for man",
    .run = man_run,
};
