/* SPDX-License-Identifier: MIT */
/* Checks of training that have a file of their own. Each is begun by the caller. */
#pragma once

#include "problems.h"

gboolean check_accepted (Check *c, const Problem *p);
/* A model's build() on a batch of no examples. */
void check_empty_build (Check *c, const Problem *p);
void check_leaks (Check *c, const Problem *p);
void check_no_allocation (Check *c, const Problem *p);
