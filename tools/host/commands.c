/* SPDX-License-Identifier: MIT */
/* The table of contents: every command, a line each, in the order of the help within its group. */
#include <string.h>
#include "command.h"

// clang-format off
extern const Command
    command_check,
    command_completion,
    command_doctor,
    command_graph,
    command_help,
    command_inspect_checkpoint,
    command_inspect,
    command_list,
    command_man,
    command_new,
    command_profile,
    command_repeat,
    command_report,
    command_reproduce,
    command_resume,
    command_run,
    command_sweep;

const Command *const commands[] = {
    &command_run,
    &command_sweep,
    &command_resume,
    &command_repeat,
    &command_reproduce,
    &command_list,
    &command_inspect,
    &command_report,
    &command_new,
    &command_check,
    &command_inspect_checkpoint,
    &command_graph,
    &command_profile,
    &command_doctor,
    &command_completion,
    &command_help,
    &command_man,
    NULL,
};
// clang-format on

const Command *
command_find (const char *name)
{
    for (guint i = 0; commands[i]; i++)
        if (strcmp (commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}
