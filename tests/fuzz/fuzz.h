/* SPDX-License-Identifier: MIT */
/* Bodies of the fuzz targets. libFuzzer calls them (built with DLH_FUZZER), and so do tests of the
 * suite with inputs of their own. They abort on a broken promise. Each returns whether the input
 * was accepted. */
#pragma once

#include <glib.h>
#include <sys/mman.h>
#include <unistd.h>

/* fuzz_note: @data is a whole file that may be a plugin. */
gboolean fuzz_note (const guint8 *data, gsize n);
/* fuzz_options: the first byte of @data chooses an option, the rest is its value. */
gboolean fuzz_options (const guint8 *data, gsize n);
/* fuzz_command: the arguments of dlhost, one a line. */
gboolean fuzz_command (const guint8 *data, gsize n);

/* The others are given the path of a file. */
gboolean fuzz_config (const char *path);
gboolean fuzz_idx (const char *path);
gboolean fuzz_npy (const char *path);
gboolean fuzz_npz (const char *path);
gboolean fuzz_safetensors (const char *path);
gboolean fuzz_table (const char *path);
gboolean fuzz_text (const char *path);

/* Calls @body with a file of these bytes, in memory: a disk would make this wait. */
static inline gboolean
fuzz_file (gboolean (*body) (const char *path), const guint8 *data, gsize n)
{
    static int fd = -1;
    char path[64];

    if (fd < 0)
        fd = memfd_create ("fuzz", MFD_CLOEXEC);
    g_assert_true (ftruncate (fd, 0) == 0 && pwrite (fd, data, n, 0) == (gssize)n);
    g_snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
    return body (path);
}

#ifdef DLH_FUZZER
#define FUZZ_ENTRY(body)                                                                           \
    int LLVMFuzzerTestOneInput (const guint8 *data, size_t n);                                     \
    int LLVMFuzzerTestOneInput (const guint8 *data, size_t n)                                      \
    {                                                                                              \
        body (data, n);                                                                            \
        return 0;                                                                                  \
    }
#define FUZZ_FILE_ENTRY(body)                                                                      \
    static gboolean body##_bytes (const guint8 *data, gsize n)                                     \
    {                                                                                              \
        return fuzz_file (body, data, n);                                                          \
    }                                                                                              \
    FUZZ_ENTRY (body##_bytes)
#else
#define FUZZ_ENTRY(body)
#define FUZZ_FILE_ENTRY(body)
#endif
