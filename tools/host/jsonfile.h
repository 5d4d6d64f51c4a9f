/* SPDX-License-Identifier: MIT */
/* Files of JSON that people write. */
#pragma once

#include <json-glib/json-glib.h>

/* (transfer full): an object. @what: "configuration", for messages. DLH_ERROR_OPTION when it is
 * none, or a member is there twice. */
JsonNode *json_file_read (const char *path, const char *what, GError **error);
