/* SPDX-License-Identifier: MIT */
/* `dlhost help`: the same texts as --help. */
#include <stdio.h>
#include <stdlib.h>
#include "command.h"
#include "text.h"

static int
help_run (Invocation *inv, GError **error)
{
    const char *name = inv->operands->len ? inv->operands->pdata[0] : NULL;
    const Command *command = name ? command_find (name) : NULL;
    g_autofree char *text = NULL;

    if (name && !command)
        return usage_error (error, "help: there is no command '%s'", name);
    text = help_text (command, text_width ());
    fputs (text, stdout);
    return EXIT_SUCCESS;
}

const Command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .group = GROUP_SETUP,
    .summary = "what a command does and its options, as COMMAND --help says it",
    .examples = "dlhost help inspect\n",
    .max_operands = 1,
    .run = help_run,
};
