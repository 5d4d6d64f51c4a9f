/* SPDX-License-Identifier: MIT */
#pragma once

typedef struct {
    unsigned long allocations; /* calls so far, without those of OpenBLAS */
    long blocks, bytes;        /* not freed */
} HookCounts;

void dlhost_hook_read (HookCounts *counts);
/* The @i-th row that a node was made of, NULL after the last. */
const void *dlhost_hook_op (unsigned i);
