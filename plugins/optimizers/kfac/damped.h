/* SPDX-License-Identifier: MIT */
/* The op that K-FAC brings along: (a + c I)^-1, with more damping where that is not positive
 * definite. */
#pragma once

#include <dlhost/dlhost.h>

/**
 * kfac_damped_inverse:
 * @a: (groups, n, n) symmetric
 * @c: (groups, 1, 1): damping
 * @raises: (out): (groups): how often c was multiplied by ten before the factorisation succeeded
 * Returns: (groups, n, n). A matrix that is not finite stops the run with DLH_ERROR_NUMERIC.
 */
DlhNode *kfac_damped_inverse (DlhNode *a, DlhNode *c, DlhNode **raises);
