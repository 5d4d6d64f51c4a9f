/* SPDX-License-Identifier: MIT */
/* A library that `dlhost check` preloads into itself, so that other runs pay nothing: it counts
 * heap allocations, in every thread and library, and keeps which rows of ops a plugin makes nodes
 * of. */
#include "hook.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define MAX_OPS 256

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);
extern void __libc_free (void *memory);

static atomic_ulong n_allocations;
static atomic_long n_blocks, n_bytes;
static uintptr_t blas_begin, blas_end;
static _Atomic (const void *) ops[MAX_OPS];
static atomic_uint n_ops;

static int
find_blas (struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
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
dlhost_hook_read (HookCounts *counts)
{
    if (!blas_end)
        dl_iterate_phdr (find_blas, NULL);
    counts->allocations = atomic_load (&n_allocations);
    counts->blocks = atomic_load (&n_blocks);
    counts->bytes = atomic_load (&n_bytes);
}

const void *
dlhost_hook_op (unsigned i)
{
    return i < MAX_OPS ? atomic_load (&ops[i]) : NULL;
}

// @caller is the instruction after the call. OpenBLAS allocates when it shares a product.
static void *
taken (void *memory, const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (at < blas_begin || at >= blas_end)
        atomic_fetch_add (&n_allocations, 1);
    if (memory) {
        atomic_fetch_add (&n_blocks, 1);
        atomic_fetch_add (&n_bytes, (long)malloc_usable_size (memory));
    }
    return memory;
}

static void
given_back (void *memory)
{
    if (!memory)
        return;
    atomic_fetch_sub (&n_blocks, 1);
    atomic_fetch_sub (&n_bytes, (long)malloc_usable_size (memory));
}

void *
malloc (size_t size)
{
    return taken (__libc_malloc (size), __builtin_return_address (0));
}

void *
calloc (size_t n, size_t size)
{
    return taken (__libc_calloc (n, size), __builtin_return_address (0));
}

void *
realloc (void *memory, size_t size)
{
    long before = memory ? (long)malloc_usable_size (memory) : 0;
    void *now = __libc_realloc (memory, size);

    if (!now && size)
        return NULL;
    if (memory) {
        atomic_fetch_sub (&n_blocks, 1);
        atomic_fetch_sub (&n_bytes, before);
    }
    return now ? taken (now, __builtin_return_address (0)) : NULL;
}

void *
memalign (size_t alignment, size_t size)
{
    return taken (__libc_memalign (alignment, size), __builtin_return_address (0));
}

void *
aligned_alloc (size_t alignment, size_t size)
{
    return taken (__libc_memalign (alignment, size), __builtin_return_address (0));
}

int
posix_memalign (void **out, size_t alignment, size_t size)
{
    void *memory;

    if (alignment < sizeof (void *) || (alignment & (alignment - 1)))
        return EINVAL;
    memory = taken (__libc_memalign (alignment, size), __builtin_return_address (0));
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

void
free (void *memory)
{
    given_back (memory);
    __libc_free (memory);
}

static void
keep (const void *op)
{
    unsigned n = atomic_load (&n_ops);

    for (unsigned i = 0; i < n && i < MAX_OPS; i++)
        if (atomic_load (&ops[i]) == op)
            return;
    if (n < MAX_OPS) {
        atomic_store (&ops[n], op);
        atomic_store (&n_ops, n + 1);
    }
}

/* The two ways to a node of a row: a plugin's calls come here first, then go to libdlhost. */

void *
dlh_node_new (const void *op, void *const *inputs, unsigned n_inputs, const void *attrs)
{
    static void *(*next) (const void *, void *const *, unsigned, const void *);

    if (!next)
        *(void **)&next = dlsym (RTLD_NEXT, "dlh_node_new");
    keep (op);
    return next (op, inputs, n_inputs, attrs);
}

void *
dlh_node_new_leaf (void *graph, const void *op, const void *attrs)
{
    static void *(*next) (void *, const void *, const void *);

    if (!next)
        *(void **)&next = dlsym (RTLD_NEXT, "dlh_node_new_leaf");
    keep (op);
    return next (graph, op, attrs);
}
