/* SPDX-License-Identifier: MIT */
/* What `dlhost list` and `dlhost inspect` print. Neither runs a plugin's code. */
#pragma once

#include <dlhost/registry.h>

typedef enum {
    INSPECT_TEXT = 1,
    INSPECT_LONG, /* of lists: version, paper and file as well */
    INSPECT_JSON,
} InspectForm;

/* "number", "choice": an option's type in words. */
const char *inspect_type_name (const DlhOption *option);
/* (transfer full): an option's default as it would be typed: lists in brackets, an empty text as
 * ''. */
char *inspect_preset (const DlhOption *option);

/** inspect_list_text: (transfer full): plugins of @kind (0: all) with their summaries, by kind; in
 * lines of @width where they can be broken. */
char *inspect_list_text (DlhRegistry *registry, DlhPluginKind kind, InspectForm form, guint width);
/** inspect_rejects_text: (transfer full): the refused files and why, a line each; "" when there are
 * none. */
char *inspect_rejects_text (DlhRegistry *registry);
/** inspect_plugin_text: (transfer full): everything that plugin @name says of itself; NULL with
 * DLH_ERROR_PLUGIN when it cannot be found. */
char *inspect_plugin_text (DlhRegistry *registry, const char *name, InspectForm form, guint width,
                           GError **error);
