/* SPDX-License-Identifier: MIT */
#pragma once

/** test_allocations: calls of malloc() and its kin so far, in every thread and library. */
unsigned long test_allocations (void);
/** test_blas_allocations: those of them that OpenBLAS made. */
unsigned long test_blas_allocations (void);
/** test_find_blas: call once before the others. */
void test_find_blas (void);
