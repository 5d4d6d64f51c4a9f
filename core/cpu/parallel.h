/* SPDX-License-Identifier: MIT */
/* One pool of threads for everything: libgomp's, which OpenBLAS (openmp flavour) and oneDNN use. */
#pragma once

#include <dlhost/function.h>

/* Makes BLAS and oneDNN calls of the calling thread use dlh_get_threads() threads: OpenMP keeps
 * that number for each thread of its own. Call it before kernels in a thread that may be new. */
void dlh_parallel_adopt (void);

/* BLAS and parallel calls of the calling thread use @n threads at most from now on: 1 for work that
 * is not worth waking the pool for, and for threads beside the pool. Returns: the number before, to be put back. */
guint dlh_parallel_limit (guint n);
/* Whether the caller runs on the pool already: what it starts runs on its thread alone. */
gboolean dlh_parallel_is_nested (void);
