/* SPDX-License-Identifier: MIT */
/* `dlhost list` and `dlhost inspect`: what plugins say of themselves, without running them. */
#include <stdio.h>
#include <stdlib.h>
#include "command.h"
#include "inspect.h"
#include "text.h"

static const Flag list_flags[] = {
    {"long", NULL, "version, number of parameters, licence, paper and file as well"},
    {"json", NULL, "everything as JSON, refused files included"},
    {NULL},
};

// The kind that the operand names; FALSE with an error that lists the kinds.
static gboolean
kind_operand (const Invocation *inv, DlhPluginKind *kind, GError **error)
{
    const char *name = inv->operands->len ? inv->operands->pdata[0] : NULL;
    const char *names[DLH_LAST_KIND];
    const char *near;

    *kind = 0;
    if (!name || (*kind = dlh_plugin_kind_from_name (name)))
        return TRUE;
    for (guint k = 1; k <= DLH_LAST_KIND; k++)
        names[k - 1] = dlh_plugin_kind_name (k);
    near = dlh_nearest_name (name, names, G_N_ELEMENTS (names));
    usage_error (
        error,
        "list: '%s' is no kind of plugin%s%s%s; the kinds are optimizer, model, sampler, dataset, "
        "environment, task, backend, comm, perturb and objective",
        name, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return FALSE;
}

static int
list_run (Invocation *inv, GError **error)
{
    gboolean json = invocation_flag (inv, "json") != NULL;
    InspectForm form = json                            ? INSPECT_JSON
                       : invocation_flag (inv, "long") ? INSPECT_LONG
                                                       : INSPECT_TEXT;
    DlhPluginKind kind;
    g_autofree char *list = NULL, *rejects = NULL;

    if (!kind_operand (inv, &kind, error))
        return -1;
    list = inspect_list_text (invocation_registry (inv), kind, form, text_width ());
    rejects = json ? g_strdup ("") : inspect_rejects_text (invocation_registry (inv));
    fputs (list, stdout);
    fflush (stdout);
    fputs (rejects, stderr);
    return EXIT_SUCCESS;
}

const Command command_list = {
    .name = "list",
    .operands = "[KIND]",
    .group = GROUP_PLUGINS,
    .summary = "the plugins found, by kind",
    .details =
        "KIND is optimizer, model, sampler, dataset, environment, task, backend or comm. What is "
        "printed comes from the plugins' files; none of their code runs. Files that were refused "
        "are named on standard error, each with its reason.",
    .examples = "dlhost list\n"
                "dlhost list optimizer --long\n",
    .max_operands = 1,
    .flags = list_flags,
    .run = list_run,
};

static const Flag inspect_flags[] = {
    {"json", NULL, "the same as JSON"},
    {NULL},
};

static int
inspect_run (Invocation *inv, GError **error)
{
    InspectForm form = invocation_flag (inv, "json") ? INSPECT_JSON : INSPECT_TEXT;
    g_autofree char *text = inspect_plugin_text (invocation_registry (inv), inv->operands->pdata[0],
                                                 form, text_width (), error);

    if (!text)
        return -1;
    fputs (text, stdout);
    return EXIT_SUCCESS;
}

const Command command_inspect = {
    .name = "inspect",
    .operands = "PLUGIN",
    .group = GROUP_PLUGINS,
    .summary = "what a plugin is, and its parameters",
    .details = "PLUGIN is a name (kfac, kfac.so), or a path when it contains a slash (./kfac.so). "
               "All is read from the plugin's file; none of its code runs.",
    .examples = "dlhost inspect kfac\n"
                "dlhost inspect ./build/myopt.so --json\n",
    .min_operands = 1,
    .max_operands = 1,
    .flags = inspect_flags,
    .run = inspect_run,
};
