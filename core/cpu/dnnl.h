/* SPDX-License-Identifier: MIT */
/* oneDNN, opened when the first shape that it is for is compiled, so that nobody else pays for its
 * size. Core-internal: cpu/conv-dnnl.c and cpu/matmul-dnnl.c plan with it. */
#pragma once

#include <dlhost/shape.h>

/* Writes the release that would be used, "2.6.3", or "" where there is none. */
void dlh_dnnl_version (char *text, gsize n);

/* LeakSanitizer dies of what oneDNN leaves in thread-local memory: there others do the work. */
#if defined HAVE_DNNL && !defined __SANITIZE_ADDRESS__

#define DLH_DNNL

#include <dnnl.h>

/* What is used of the library. */
#define DLH_DNNL_FUNCTIONS(F)                                                                      \
    F (convolution_backward_data_desc_init)                                                        \
    F (convolution_backward_weights_desc_init)                                                     \
    F (convolution_forward_desc_init)                                                              \
    F (engine_create)                                                                              \
    F (get_effective_cpu_isa)                                                                      \
    F (matmul_desc_init)                                                                           \
    F (memory_create)                                                                              \
    F (memory_desc_equal)                                                                          \
    F (memory_desc_get_size)                                                                       \
    F (memory_desc_init_by_tag)                                                                    \
    F (memory_destroy)                                                                             \
    F (memory_set_data_handle)                                                                     \
    F (primitive_attr_create)                                                                      \
    F (primitive_attr_destroy)                                                                     \
    F (primitive_attr_set_scratchpad_mode)                                                         \
    F (primitive_create)                                                                           \
    F (primitive_desc_create)                                                                      \
    F (primitive_desc_destroy)                                                                     \
    F (primitive_desc_query_md)                                                                    \
    F (primitive_destroy)                                                                          \
    F (primitive_execute)                                                                          \
    F (reorder_primitive_desc_create)                                                              \
    F (stream_create)                                                                              \
    F (stream_wait)                                                                                \
    F (version)

typedef struct {
#define F(name) __typeof__ (dnnl_##name) *name;
    DLH_DNNL_FUNCTIONS (F)
#undef F
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} DlhDnnl;

/* Returns: (nullable): NULL where the library is not there. One engine a process: primitives are
 * shared through it. */
const DlhDnnl *dlh_dnnl_get (void);
/* Without a buffer: that is set when it runs. FALSE where oneDNN refuses. */
static inline gboolean
dlh_dnnl_memory (const DlhDnnl *d, const dnnl_memory_desc_t *desc, dnnl_memory_t *memory)
{
    return d->memory_create (memory, desc, d->engine, DNNL_MEMORY_NONE) == dnnl_success;
}

#endif
