/* SPDX-License-Identifier: MIT */
/* `dlhost list` and `dlhost inspect`: what plugins say of themselves, without running them. */
#include <stdlib.h>
#include "command.h"
#include "inspect.h"

static int
list_run (Invocation *inv, GError **error)
{
    DlhPluginKind kind = 0;

    if (inv->operands->len && !(kind = dlh_plugin_kind_from_name (inv->operands->pdata[0])))
        return usage_error (error, "list takes a kind of plugin: optimizer, model, dataset, task, "
                                   "sampler, environment, backend or comm");
    inspect_list (invocation_registry (inv), kind);
    return EXIT_SUCCESS;
}

const Command command_list = {
    .name = "list",
    .operands = "[KIND]",
    .summary = "the plugins found, by kind",
    .details = "Files that were refused are named on standard error, each with its reason.",
    .max_operands = 1,
    .run = list_run,
};

static const Flag inspect_flags[] = {
    {"json", NULL, "the same as JSON"},
    {NULL},
};

static int
inspect_run (Invocation *inv, GError **error)
{
    return inspect_plugin (invocation_registry (inv), inv->operands->pdata[0],
                           invocation_flag (inv, "json") != NULL, error)
               ? EXIT_SUCCESS
               : -1;
}

const Command command_inspect = {
    .name = "inspect",
    .operands = "PLUGIN",
    .summary = "what a plugin is, and its parameters",
    .details = "Read from the plugin's file; none of its code runs.",
    .min_operands = 1,
    .max_operands = 1,
    .flags = inspect_flags,
    .run = inspect_run,
};
