/* SPDX-License-Identifier: MIT */
/* Where recipes are. */
#pragma once

#include "../command.h"

/* (element-type utf8) (transfer full): directories of recipes, in the order of the search:
 * reproduce/ in those of plugins, the user's, the installed one. */
GPtrArray *recipe_dirs (const Config *config);
/* (transfer full): @name is a method, or a file when it has a slash or ends in .json. */
char *recipe_find (const char *name, const Config *config, GError **error);
/* (element-type utf8) (transfer full): names of all recipes on the search path, sorted. */
GPtrArray *recipe_names (const Config *config);
