/* SPDX-License-Identifier: MIT */
/* A plugin's file as it was read, shared by the registry and its components. */
#pragma once

#include <dlhost/registry.h>
#include "plugin/note.h"

typedef struct {
    DlhPluginInfo info; /* first: what the callers see */
    DlhNote *note;
} DlhPluginFile; /* an atomic rc box */

/* Takes @note. @path: (nullable): of a plugin that is in no file. */
DlhPluginFile *dlh_plugin_file_new (const char *path, DlhNote *note);
void dlh_plugin_file_unref (gpointer plugin);

/* Parses @settings, then opens the file and takes over its interface. */
DlhComponent *dlh_component_open (DlhPluginFile *plugin, GHashTable *settings, GError **error);
