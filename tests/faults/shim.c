/* SPDX-License-Identifier: MIT */
/* Loaded before the C library: counts the calls that touch files below a directory, and makes the
 * Nth one fail.
 *
 *     FAULT_DIR=/tmp/x   files below it are watched
 *     FAULT_AT=N         the call that fails, from 1; 0: none
 *     FAULT_KIND=KIND    eio, enospc, eintr, short, kill
 *     FAULT_LOG=FILE     each watched call is appended: "N name"
 *
 * eintr: the call fails once with EINTR; short: reads and writes do half of what was asked, which
 * is no error, and a read of one byte finds the end of the file; kill: the process ends before the
 * call, by SIGKILL. Calls made inside of the C library (those of stdio) do not pass here, so its
 * stdio functions are watched themselves. */
/* Both names of each call are wanted: open() and open64(). */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__ (&name))dlsym (RTLD_NEXT, #name))
#define EXPORT __attribute__ ((visibility ("default")))

enum { NONE, EIO_KIND, ENOSPC_KIND, EINTR_KIND, SHORT_KIND, KILL_KIND };

static struct {
    int ready, kind, log;
    long at, n;
    const char *dir;
    size_t dir_length;
} fault;

static void
prepare (void)
{
    static const char *const kinds[] = {"none", "eio", "enospc", "eintr", "short", "kill"};
    const char *kind = getenv ("FAULT_KIND"), *at = getenv ("FAULT_AT"),
               *log = getenv ("FAULT_LOG");

    if (fault.ready)
        return;
    fault.ready = 1;
    fault.dir = getenv ("FAULT_DIR");
    fault.dir_length = fault.dir ? strlen (fault.dir) : 0;
    fault.at = at ? strtol (at, NULL, 10) : 0;
    for (int i = 0; kind && i <= KILL_KIND; i++)
        if (strcmp (kind, kinds[i]) == 0)
            fault.kind = i;
    fault.log = log ? NEXT (open) (log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
}

// Whether @path, or what the descriptor names, lies below the directory.
static int
watched (int fd, const char *path)
{
    char link[64], real[4096];
    ssize_t n;

    prepare ();
    if (!fault.dir)
        return 0;
    if (path && path[0] == '/')
        return strncmp (path, fault.dir, fault.dir_length) == 0;
    snprintf (link, sizeof link, path && fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d",
              fd);
    n = readlink (link, real, sizeof real - 1);
    return n >= (ssize_t)fault.dir_length && strncmp (real, fault.dir, fault.dir_length) == 0;
}

// Counts the call. Returns: what is to happen to it.
static int
strike (const char *name, int fd, const char *path)
{
    int saved = errno, kind = NONE;
    char line[128];

    if (!watched (fd, path)) {
        errno = saved;
        return NONE;
    }
    fault.n++;
    if (fault.log >= 0) {
        int n = snprintf (line, sizeof line, "%ld %s\n", fault.n, name);

        if (NEXT (write) (fault.log, line, (size_t)n) != n)
            _exit (99);
    }
    if (fault.n == fault.at)
        kind = fault.kind;
    if (kind == KILL_KIND)
        kill (getpid (), SIGKILL);
    errno = kind == EIO_KIND      ? EIO
            : kind == ENOSPC_KIND ? ENOSPC
            : kind == EINTR_KIND  ? EINTR
                                  : saved;
    return kind;
}

// For calls that cannot be short.
static int
fails (const char *name, int fd, const char *path)
{
    int kind = strike (name, fd, path);

    return kind != NONE && kind != SHORT_KIND;
}

/* Opening. */

static mode_t
mode_of (int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg (args, int) : 0;
}

#define OPEN(name)                                                                                 \
    EXPORT int name (const char *path, int flags, ...)                                             \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start (args, flags);                                                                    \
        mode = mode_of (flags, args);                                                              \
        va_end (args);                                                                             \
        return fails (#name, AT_FDCWD, path) ? -1 : NEXT (name) (path, flags, mode);               \
    }
#define OPENAT(name)                                                                               \
    EXPORT int name (int dir, const char *path, int flags, ...)                                    \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start (args, flags);                                                                    \
        mode = mode_of (flags, args);                                                              \
        va_end (args);                                                                             \
        return fails (#name, dir, path) ? -1 : NEXT (name) (dir, path, flags, mode);               \
    }
#define FOPEN(name)                                                                                \
    EXPORT FILE *name (const char *path, const char *mode)                                         \
    {                                                                                              \
        return fails (#name, AT_FDCWD, path) ? NULL : NEXT (name) (path, mode);                    \
    }

OPEN (open)
OPEN (open64)
OPENAT (openat)
OPENAT (openat64)
FOPEN (fopen)
FOPEN (fopen64)

/* Reading and writing. */

// Half of @n; a failure: -1.
static ssize_t
share (int kind, size_t n)
{
    return kind == NONE ? (ssize_t)n : kind == SHORT_KIND ? (ssize_t)(n / 2) : -1;
}

#define MOVE(name, Pointer)                                                                        \
    EXPORT ssize_t name (int fd, Pointer data, size_t n)                                           \
    {                                                                                              \
        ssize_t k = share (strike (#name, fd, NULL), n);                                           \
                                                                                                   \
        return k < 0 ? -1 : NEXT (name) (fd, data, (size_t)k);                                     \
    }
#define MOVE_AT(name, Pointer, Offset)                                                             \
    EXPORT ssize_t name (int fd, Pointer data, size_t n, Offset at)                                \
    {                                                                                              \
        ssize_t k = share (strike (#name, fd, NULL), n);                                           \
                                                                                                   \
        return k < 0 ? -1 : NEXT (name) (fd, data, (size_t)k, at);                                 \
    }

MOVE (read, void *)
MOVE (write, const void *)
MOVE_AT (pread, void *, off_t)
MOVE_AT (pread64, void *, off64_t)
MOVE_AT (pwrite, const void *, off_t)
MOVE_AT (pwrite64, const void *, off64_t)

// A short fwrite() has failed: stdio itself repeats short writes.
EXPORT size_t
fwrite (const void *data, size_t size, size_t n, FILE *file)
{
    int kind = strike ("fwrite", fileno (file), NULL);

    if (kind == SHORT_KIND)
        errno = ENOSPC;
    return kind == NONE ? NEXT (fwrite) (data, size, n, file)
                        : NEXT (fwrite) (data, size, n / 2, file);
}

EXPORT int
fflush (FILE *file)
{
    return file && fails ("fflush", fileno (file), NULL) ? EOF : NEXT (fflush) (file);
}

/* What makes a file permanent, and its place. */

#define OF_FD(name)                                                                                \
    EXPORT int name (int fd)                                                                       \
    {                                                                                              \
        return fails (#name, fd, NULL) ? -1 : NEXT (name) (fd);                                    \
    }
#define OF_SIZE(name, Offset)                                                                      \
    EXPORT int name (int fd, Offset size)                                                          \
    {                                                                                              \
        return fails (#name, fd, NULL) ? -1 : NEXT (name) (fd, size);                              \
    }

OF_FD (fsync)
OF_FD (fdatasync)
OF_SIZE (ftruncate, off_t)
OF_SIZE (ftruncate64, off64_t)

// The descriptor is gone even when close() fails.
EXPORT int
close (int fd)
{
    int bad = fails ("close", fd, NULL), saved = errno, status = NEXT (close) (fd);

    if (!bad)
        return status;
    errno = saved;
    return -1;
}

EXPORT int
fchmod (int fd, mode_t mode)
{
    return fails ("fchmod", fd, NULL) ? -1 : NEXT (fchmod) (fd, mode);
}

EXPORT int
rename (const char *from, const char *to)
{
    return fails ("rename", AT_FDCWD, to) ? -1 : NEXT (rename) (from, to);
}

EXPORT int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
    return fails ("renameat", to_dir, to) ? -1 : NEXT (renameat) (from_dir, from, to_dir, to);
}

EXPORT int
unlink (const char *path)
{
    return fails ("unlink", AT_FDCWD, path) ? -1 : NEXT (unlink) (path);
}

EXPORT int
unlinkat (int dir, const char *path, int flags)
{
    return fails ("unlinkat", dir, path) ? -1 : NEXT (unlinkat) (dir, path, flags);
}

EXPORT int
mkdir (const char *path, mode_t mode)
{
    return fails ("mkdir", AT_FDCWD, path) ? -1 : NEXT (mkdir) (path, mode);
}
