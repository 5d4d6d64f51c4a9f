/* SPDX-License-Identifier: MIT */
/* The table of contents: every command, in the order of the help. */
#include <string.h>
#include "command.h"

extern const Command command_inspect, command_list, command_new, command_resume, command_run;

const Command *const commands[] = {
    &command_run, &command_resume, &command_list, &command_inspect, &command_new, NULL,
};

const Command *
command_find (const char *name)
{
    for (guint i = 0; commands[i]; i++)
        if (strcmp (commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}
