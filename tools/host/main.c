/* SPDX-License-Identifier: MIT */
/* dlhost: the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "execute.h"
#include "text.h"

int
main (int argc, char **argv)
{
    g_auto (Invocation) inv = {0};
    g_autoptr (GError) error = NULL;
    int code;

    // What it completes would be refused by the parser, being unfinished.
    if (argc > 1 && strcmp (argv[1], "complete") == 0)
        return complete_main (argc - 2, argv + 2);
    if (!command_line_parse (&inv, argc, argv, &error))
        return fail (error);
    if (inv.version)
        return puts ("dlhost " DLH_VERSION) < 0;
    if (inv.help || argc == 1) {
        g_autofree char *text = help_text (
            inv.command == commands[0] && !inv.named ? NULL : inv.command, text_width ());

        return fputs (text, stdout) < 0;
    }
    code = inv.command->run (&inv, &error);
    return code < 0 ? fail (error) : code;
}
