/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "preload.h"

#include <dlhost/op.h>

#define HOOK "check-hook.so"
#define MARK "DLHOST_CHECK_PRELOADED"

#if !defined(__SANITIZE_ADDRESS__)
static char *
in_directory_of (const char *file, const char *below)
{
    g_autofree char *dir = file ? g_path_get_dirname (file) : NULL;
    g_autofree char *path = dir ? g_build_filename (dir, below, HOOK, NULL) : NULL;

    return path && g_file_test (path, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer (&path) : NULL;
}

// Beside the program in a build tree, below the library's directory when installed.
static char *
find_hook (void)
{
    g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
    char *hook = in_directory_of (self, "host/check");
    Dl_info library;

    if (!hook && dladdr ((gconstpointer)dlh_op_table, &library))
        hook = in_directory_of (library.dli_fname, "dlhost-check");
    return hook;
}
#endif

void
preload_hook (void)
{
#if !defined(__SANITIZE_ADDRESS__)
    g_autofree char *hook = NULL, *line = NULL;
    g_autoptr (GPtrArray) argv = g_ptr_array_new ();
    gsize n;

    if (g_getenv (MARK)) {
        // Programs that a plugin might start are not to be counted.
        g_unsetenv ("LD_PRELOAD");
        g_unsetenv (MARK);
        return;
    }
    hook = find_hook ();
    // Another allocator in front would be handed blocks that are not its own.
    if (!hook || g_getenv ("LD_PRELOAD") ||
        !g_file_get_contents ("/proc/self/cmdline", &line, &n, NULL))
        return;
    for (gsize i = 0; i < n; i += strlen (line + i) + 1)
        g_ptr_array_add (argv, line + i);
    g_ptr_array_add (argv, NULL);
    g_setenv (MARK, "1", TRUE);
    g_setenv ("LD_PRELOAD", hook, TRUE);
    // GLib's own allocator of small pieces would hide what is not freed.
    g_setenv ("G_SLICE", "always-malloc", FALSE);
    execv ("/proc/self/exe", (char **)argv->pdata);
    g_unsetenv ("LD_PRELOAD");
    g_unsetenv (MARK);
#endif
}

gboolean
hook_read (HookCounts *counts, const char **why)
{
    void (*read) (HookCounts *) = NULL;

    *(void **)&read = dlsym (RTLD_DEFAULT, "dlhost_hook_read");
    if (read) {
        read (counts);
        return TRUE;
    }
    if (why)
        *why = "allocations are not counted: " HOOK " is not installed, LD_PRELOAD is set, or a "
               "sanitizer has an allocator of its own";
    return FALSE;
}

gconstpointer
hook_op (guint i)
{
    const void *(*op) (unsigned) = NULL;

    *(void **)&op = dlsym (RTLD_DEFAULT, "dlhost_hook_op");
    return op ? op (i) : NULL;
}
