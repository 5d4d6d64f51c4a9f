/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "inspect.h"

int
inspect_list (DlhRegistry *registry, DlhPluginKind kind)
{
    g_autoptr (GPtrArray) found = dlh_registry_list (registry, kind);

    for (guint i = 0; i < found->len; i++) {
        const DlhPluginInfo *p = found->pdata[i];

        printf ("%-12s %-16s %s\n", dlh_plugin_kind_name (p->manifest->kind), p->manifest->name,
                p->manifest->summary);
    }
    return 0;
}

int
inspect_plugin (DlhRegistry *registry, const char *name, gboolean json, GError **error)
{
    const DlhPluginInfo *p = dlh_registry_find (registry, 0, name, error);

    (void) json;
    if (!p)
        return -1;
    printf ("%s %s\n", p->manifest->name, p->manifest->version);
    return 0;
}
