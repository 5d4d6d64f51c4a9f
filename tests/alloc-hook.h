/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/** test_allocations: calls of malloc() and its kin so far, in every thread and library. */
unsigned long test_allocations (void);
