/* SPDX-License-Identifier: MIT */
/* `dlhost completion`: a script for the shell, and `dlhost complete`, which it asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "complete.h"

/* Bash cuts words at = and : on its own, so the words are taken from the line, and of each answer
 * only what follows the last such character is handed back. */
static const char script[] =
    "# SPDX-License-Identifier: MIT\n"
    "# Completion of dlhost for bash: source this file, or install it as\n"
    "# /usr/share/bash-completion/completions/dlhost. Written by `dlhost completion bash`.\n"
    "_dlhost() {\n"
    "    local line=\"${COMP_LINE:0:COMP_POINT}\" word kept answer\n"
    "    local -a words\n"
    "    read -r -a words <<< \"$line\"\n"
    "    # A space at the end begins a new, empty word.\n"
    "    [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
    "    word=\"${words[-1]}\"\n"
    "    kept=\"${word%\"${word##*[=:]}\"}\"\n"
    "    [[ $word == *[=:]* ]] || kept=\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r answer; do\n"
    "        COMPREPLY+=(\"${answer#\"$kept\"}\")\n"
    "    done < <(\"${words[0]}\" complete \"${words[@]:1}\" 2>/dev/null)\n"
    "}\n"
    "complete -o nospace -F _dlhost dlhost\n";

static int
completion_run (Invocation *inv, GError **error)
{
    if (strcmp (inv->operands->pdata[0], "bash") != 0)
        return usage_error (error, "completion: '%s' is not a shell that is served: bash is",
                            (char *)inv->operands->pdata[0]);
    fputs (script, stdout);
    return EXIT_SUCCESS;
}

const Command command_completion = {
    .name = "completion",
    .operands = "SHELL",
    .group = GROUP_SETUP,
    .summary = "a script that completes commands, options, plugins and their parameters",
    .details =
        "SHELL is bash. An installation has the script in place. It asks dlhost itself, so plugins "
        "that are added later are completed too, with their parameters (after a comma), the "
        "parameters' choices and defaults, run folders and files.",
    .examples = "source <(dlhost completion bash)\n",
    .min_operands = 1,
    .max_operands = 1,
    .run = completion_run,
};

int
complete_main (int argc, char *const *argv)
{
    g_autoptr (GPtrArray) found = argc > 0 ? complete_words (argv, (guint)argc) : NULL;

    for (guint i = 0; found && i < found->len; i++)
        if (i == 0 || strcmp (found->pdata[i], found->pdata[i - 1]) != 0)
            puts (found->pdata[i]);
    return EXIT_SUCCESS;
}
