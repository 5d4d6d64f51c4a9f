/* SPDX-License-Identifier: MIT */
/* First values of variables. */
#pragma once

#include <dlhost/random.h>

/* Fills @tensor, the variable @name, from the random stream "init/<name>" under @seed. FALSE with
 * DLH_ERROR_OPTION when @init does not suit its shape or element type; then @tensor is untouched. */
gboolean dlh_init_fill (DlhInit init, guint64 seed, const char *name, DlhTensor *tensor,
                        GError **error);
