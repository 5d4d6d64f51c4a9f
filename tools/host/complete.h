/* SPDX-License-Identifier: MIT */
/* What could come next on a command line. */
#pragma once

#include <glib.h>

/* (element-type utf8) (transfer full): what the last of @words, which may be empty or begun, could
 * become, whole words in order of the alphabet. Those that end a word end in a space; others go on.
 * @words are the arguments after the program's name, at least one. */
GPtrArray *complete_words (char *const *words, guint n);
