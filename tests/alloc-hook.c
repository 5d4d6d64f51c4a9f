/* SPDX-License-Identifier: MIT */
/* Counts heap allocations of the whole process. A program that links this file has these definitions
 * in front of glibc's, for every library it uses, so that a claim of "no allocation" is shown. */
#include "alloc-hook.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static atomic_ulong n_allocations, n_of_blas;
static uintptr_t blas_begin, blas_end;

unsigned long
test_allocations (void)
{
    return atomic_load (&n_allocations);
}

unsigned long
test_blas_allocations (void)
{
    return atomic_load (&n_of_blas);
}

static int
find_blas (struct dl_phdr_info *info, size_t size, void *data)
{
    (void) size;
    (void) data;
    if (!strstr (info->dlpi_name, "/libopenblas"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            blas_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            blas_end = blas_begin + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

void
test_find_blas (void)
{
    dl_iterate_phdr (find_blas, NULL);
}

// A sanitizer brings its own allocator; the counts then stay at 0 and the tests are skipped.
#if !defined(__SANITIZE_ADDRESS__)

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);

// @caller is the instruction after the call: which library asked.
static void
count (const void *caller)
{
    uintptr_t at = (uintptr_t) caller;

    atomic_fetch_add (&n_allocations, 1);
    if (at >= blas_begin && at < blas_end)
        atomic_fetch_add (&n_of_blas, 1);
}

void *
malloc (size_t size)
{
    count (__builtin_return_address (0));
    return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
    count (__builtin_return_address (0));
    return __libc_calloc (n, size);
}

void *
realloc (void *memory, size_t size)
{
    count (__builtin_return_address (0));
    return __libc_realloc (memory, size);
}

void *
memalign (size_t alignment, size_t size)
{
    count (__builtin_return_address (0));
    return __libc_memalign (alignment, size);
}

void *
aligned_alloc (size_t alignment, size_t size)
{
    count (__builtin_return_address (0));
    return __libc_memalign (alignment, size);
}

int
posix_memalign (void **out, size_t alignment, size_t size)
{
    void *memory;

    count (__builtin_return_address (0));
    memory = __libc_memalign (alignment, size);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

#endif
