/* SPDX-License-Identifier: MIT */
/* No step of a run by rows touches memory that another, which may be at work on other rows, has for
 * something else. */
#pragma once

#include "test.h"
#include "exec/private.h"

/* Checks the runs of @f. Returns: how many steps they have in all. */
guint rows_check (DlhFunction *f);
