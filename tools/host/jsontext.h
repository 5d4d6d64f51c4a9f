/* SPDX-License-Identifier: MIT */
/* What json-glib lets pass or cannot bear in a text that should be JSON. */
#pragma once

#include <glib.h>

/* NULL when json-glib may have the text; otherwise why not, and where. */
const char *json_text_problem (const char *text, gsize n, gsize *at);
