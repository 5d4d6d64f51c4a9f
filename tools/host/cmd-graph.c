/* SPDX-License-Identifier: MIT */
/* `dlhost graph`: a picture of what a training step computes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <gio/gio.h>
#include "command.h"
#include "trial.h"

static const Flag graph_flags[] = {
    {"part", "NAME", "which of the step's functions, or evaluation (default: step)"},
    {"fused", NULL, "the compiled steps instead of the nodes"},
    {"format", "dot|svg|png|pdf", "of the output (default: by the name of --out, else dot)"},
    {"out", "FILE", "where to write (default: standard output)"},
    {NULL},
};

/* Through Graphviz's program: DOT in, a picture out. */
static GBytes *
render (const char *dot, const char *format, GError **error)
{
    g_autofree char *program = g_find_program_in_path ("dot"), *option = NULL, *first = NULL;
    g_autoptr (GSubprocess) child = NULL;
    g_autoptr (GBytes) in = g_bytes_new_static (dot, strlen (dot));
    g_autoptr (GBytes) out = NULL, err = NULL;

    if (!program) {
        g_set_error (
            error, DLH_ERROR, DLH_ERROR_IO,
            "graph: --format=%s needs Graphviz's program dot, which is not on PATH: install "
            "it (Debian: graphviz), or take --format=dot",
            format);
        return NULL;
    }
    option = g_strconcat ("-T", format, NULL);
    child = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                  G_SUBPROCESS_FLAGS_STDERR_PIPE,
                              error, program, option, NULL);
    if (!child || !g_subprocess_communicate (child, in, NULL, &out, &err, error))
        return NULL;
    if (g_subprocess_get_successful (child))
        return g_steal_pointer (&out);
    first = g_strndup (g_bytes_get_data (err, NULL),
                       g_bytes_get_size (err) ? strcspn (g_bytes_get_data (err, NULL), "\n") : 0);
    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "graph: dot failed: %s", first);
    return NULL;
}

/* "svg" of "picture.svg", when it is one of ours. */
static const char *
format_of (const Invocation *inv, GError **error)
{
    static const char *const formats[] = {"dot", "svg", "png", "pdf"};
    const char *given = invocation_flag (inv, "format"), *out = invocation_flag (inv, "out");
    const char *dot = out ? strrchr (out, '.') : NULL;

    for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
        if (given ? strcmp (given, formats[i]) == 0 : dot && strcmp (dot + 1, formats[i]) == 0)
            return formats[i];
    if (!given)
        return formats[0];
    usage_error (error, "--format: '%s' must be dot, svg, png or pdf", given);
    return NULL;
}

/* The function that --part names; NULL with DLH_ERROR_OPTION that lists the names. */
static DlhFunction *
find_part (Trial *t, const GArray *parts, const char *name, GError **error)
{
    g_autoptr (GString) names = g_string_new (NULL);

    if (!name)
        return g_array_index (parts, DlhTrainerPart, 0).function;
    if (strcmp (name, "evaluation") == 0)
        return dlh_trainer_evaluation (t->trainer, t->x, t->y, error);
    for (guint i = 0; i < parts->len; i++) {
        const DlhTrainerPart *part = &g_array_index (parts, DlhTrainerPart, i);

        if (strcmp (part->name, name) == 0)
            return part->function;
        g_string_append_printf (names, "'%s', ", part->name);
    }
    usage_error (error, "--part: '%s' must be %sor 'evaluation'", name, names->str);
    return NULL;
}

static char *
draw (Invocation *inv, GError **error)
{
    g_auto (Trial) t = {0};
    g_autoptr (GArray) parts = NULL;
    DlhFunction *function;
    DlhNode *const *nodes;
    guint n;

    if (!trial_init (&t, &inv->config, invocation_registry (inv), error) ||
        !(parts = dlh_trainer_parts (t.trainer, t.x, t.y, error)) ||
        !(function = find_part (&t, parts, invocation_flag (inv, "part"), error)))
        return NULL;
    nodes = dlh_function_nodes (function, &n);
    return invocation_flag (inv, "fused") ? dlh_function_to_dot (function)
                                          : dlh_graph_to_dot (nodes, n);
}

static int
graph_run (Invocation *inv, GError **error)
{
    const char *format = format_of (inv, error), *out = invocation_flag (inv, "out");
    g_autofree char *dot = NULL;
    g_autoptr (GBytes) bytes = NULL;
    gsize n;

    if (!format || !invocation_complete (inv, inv->config_file, error) ||
        !(dot = draw (inv, error)))
        return -1;
    bytes =
        strcmp (format, "dot") == 0 ? g_bytes_new (dot, strlen (dot)) : render (dot, format, error);
    if (!bytes)
        return -1;
    if (out)
        return dlh_file_write (out, g_bytes_get_data (bytes, &n), g_bytes_get_size (bytes), error)
                   ? EXIT_SUCCESS
                   : -1;
    n = g_bytes_get_size (bytes);
    if (fwrite (g_bytes_get_data (bytes, NULL), 1, n, stdout) == n && fflush (stdout) == 0)
        return EXIT_SUCCESS;
    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "graph: cannot write to standard output");
    return -1;
}

const Command command_graph = {
    .name = "graph",
    .operands = "",
    .group = GROUP_INSIDE,
    .summary = "a picture of a training step: nodes or compiled steps, shapes, cost",
    .details =
        "Boxes are gathered by scope and say shape, operations and bytes; the redder a box, the "
        "more time it is expected to take, at 100 GF/s and 20 GB/s. Optimizers may have several "
        "functions, which --part chooses from: a wrong name lists them. Pictures are made by "
        "Graphviz's program dot.",
    .examples = "dlhost graph --model=mlp --optimizer=adam --dataset=synthetic --out=step.svg\n"
                "dlhost graph --model=convnet --optimizer=kfac --part=evaluation --fused\n",
    .of_run = TRUE,
    .flags = graph_flags,
    .run = graph_run,
};
