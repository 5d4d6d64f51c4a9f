/* SPDX-License-Identifier: MIT */
/* dlhost: the program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "execute.h"
#include "text.h"

// What a command printed has not been printed before it is written.
static int
end (int code)
{
    g_autoptr (GError) error = NULL;

    if (fflush (stdout) == 0 && !ferror (stdout))
        return code;
    g_set_error (&error, DLH_ERROR, DLH_ERROR_IO, "standard output: %s", g_strerror (errno));
    return code == EXIT_SUCCESS ? fail (error) : code;
}

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
    if (inv.version) {
        puts ("dlhost " DLH_VERSION);
        return end (EXIT_SUCCESS);
    }
    if (inv.help || argc == 1) {
        g_autofree char *text = help_text (
            inv.command == commands[0] && !inv.named ? NULL : inv.command, text_width ());

        fputs (text, stdout);
        return end (EXIT_SUCCESS);
    }
    if (!dlh_set_cpu_level (secure_getenv ("DLHOST_CPU_LEVEL"), &error)) {
        g_prefix_error (&error, "DLHOST_CPU_LEVEL: ");
        return fail (error);
    }
    code = inv.command->run (&inv, &error);
    return code < 0 ? fail (error) : end (code);
}
