/* SPDX-License-Identifier: MIT */
/* Bodies of the fuzz targets. libFuzzer calls them (built with DLH_FUZZER), and so does a test of
 * the suite with inputs of its own. They abort on a broken promise. */
#pragma once

#include <glib.h>

/* fuzz_note: @data is a whole file. Returns: whether it was accepted as a plugin. */
gboolean fuzz_note (const guint8 *data, gsize n);
/* fuzz_options: the first byte of @data chooses an option, the rest is its value.
 * Returns: whether it was accepted. */
gboolean fuzz_options (const guint8 *data, gsize n);

/* fuzz_idx, fuzz_safetensors, fuzz_table: the file at @path. Returns: whether it was accepted. */
gboolean fuzz_idx (const char *path);
gboolean fuzz_safetensors (const char *path);
gboolean fuzz_table (const char *path);

#ifdef DLH_FUZZER
#define FUZZ_ENTRY(body)                                                                           \
    int LLVMFuzzerTestOneInput (const guint8 *data, size_t n);                                     \
    int LLVMFuzzerTestOneInput (const guint8 *data, size_t n)                                      \
    {                                                                                              \
        body (data, n);                                                                            \
        return 0;                                                                                  \
    }
#else
#define FUZZ_ENTRY(body)
#endif
