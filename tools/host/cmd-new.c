/* SPDX-License-Identifier: MIT */
/* `dlhost new`: a plugin to begin with. */
#include <stdio.h>
#include <stdlib.h>
#include "command.h"
#include "scaffold.h"

static const Flag new_flags[] = {
    {"dir", "DIR", "the directory to make (default: NAME)"},
    {NULL},
};

static int
new_run (Invocation *inv, GError **error)
{
    const char *kind = inv->operands->pdata[0], *name = inv->operands->pdata[1];
    const char *dir = invocation_flag (inv, "dir");

    if (!dir)
        dir = name;
    if (!scaffold_write (kind, name, dir, error))
        return -1;
    printf ("%s/: %s.c, Makefile, README.md, meson.build, test.sh\n"
            "next: cd %s && make test\n",
            dir, name, dir);
    return EXIT_SUCCESS;
}

const Command command_new = {
    .name = "new",
    .operands = "KIND NAME",
    .group = GROUP_PLUGINS,
    .summary = "a directory with a plugin to begin with",
    .details = "KIND is optimizer, model, dataset, environment, sampler, task or op (a model with "
               "an op of "
               "its own). The plugin builds with make or Meson against the installed dlhost, has a "
               "test, and runs; its README.md says how. Nothing that exists is overwritten.",
    .min_operands = 2,
    .max_operands = 2,
    .flags = new_flags,
    .run = new_run,
};
