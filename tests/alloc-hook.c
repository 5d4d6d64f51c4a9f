/* SPDX-License-Identifier: MIT */
/* Counts heap allocations of the whole process. A program that links this file has these
 * definitions in front of glibc's, for every library it uses, so that a claim of "no allocation" is
 * shown. */
#include "alloc-hook.h"

#include <errno.h>
#include <stdatomic.h>

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);

static atomic_ulong n_allocations;

unsigned long
test_allocations (void)
{
    return atomic_load (&n_allocations);
}

// A sanitizer brings its own allocator; the count then stays at 0 and the tests are skipped.
#if !defined(__SANITIZE_ADDRESS__)

void *
malloc (size_t size)
{
    atomic_fetch_add (&n_allocations, 1);
    return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
    atomic_fetch_add (&n_allocations, 1);
    return __libc_calloc (n, size);
}

void *
realloc (void *memory, size_t size)
{
    atomic_fetch_add (&n_allocations, 1);
    return __libc_realloc (memory, size);
}

void *
memalign (size_t alignment, size_t size)
{
    atomic_fetch_add (&n_allocations, 1);
    return __libc_memalign (alignment, size);
}

void *
aligned_alloc (size_t alignment, size_t size)
{
    return memalign (alignment, size);
}

int
posix_memalign (void **out, size_t alignment, size_t size)
{
    void *memory = memalign (alignment, size);

    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

#endif
