/* SPDX-License-Identifier: MIT */
/* Whole files. Reading believes no size that it has not seen; writing replaces the old file only
 * when the new one is safe on disk, so that a reader finds the old or the new contents, never a
 * mixture. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "io/file-private.h"

#define CHUNK ((gsize)256 * 1024)

static void
set_errno_error (GError **error, const char *path, const char *what, int saved_errno)
{
    g_autofree char *name = g_filename_display_name (path);

    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot %s: %s", name, what,
                 g_strerror (saved_errno));
}

G_GNUC_PRINTF (3, 4)
static void
set_data_error (GError **error, const char *path, const char *format, ...)
{
    g_autofree char *name = g_filename_display_name (path);
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: %s", name, text);
}

char *
dlh_name_quote (const char *name)
{
    g_autofree char *escaped = g_strescape (name, NULL);

    return strlen (escaped) > 80 ? g_strdup_printf ("'%.77s...'", escaped)
                                 : g_strdup_printf ("'%s'", escaped);
}

static const char *
kind_of_file (mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFIFO:
        return "a pipe";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}

// close() must not be repeated after EINTR on Linux: the descriptor is gone already.
static void
close_fd (int *fd)
{
    if (*fd >= 0)
        close (*fd);
    *fd = -1;
}

typedef int AutoFd;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AutoFd, close_fd)

int
dlh_file_open (const char *path, guint64 *size, GError **error)
{
    // Without O_NONBLOCK, opening a pipe would wait for its other end.
    g_auto (AutoFd) fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int result;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        set_data_error (error, path, "there is no such file");
        return -1;
    }
    if (fd < 0) {
        set_errno_error (error, path, "open it", errno);
        return -1;
    }
    if (fstat (fd, &st) != 0) {
        set_errno_error (error, path, "examine it", errno);
        return -1;
    }
    if (!S_ISREG (st.st_mode)) {
        set_data_error (error, path, "is %s, a regular file is wanted", kind_of_file (st.st_mode));
        return -1;
    }
    *size = (guint64)st.st_size;
    result = fd;
    fd = -1;
    return result;
}

static gssize
read_some (int fd, const char *path, gpointer out, gsize n, GError **error)
{
    gssize got;

    do
        got = read (fd, out, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        set_errno_error (error, path, "read it", errno);
    return got;
}

gboolean
dlh_file_read_at (int fd, guint64 offset, gpointer out, gsize n, GError **error)
{
    gsize done = 0;

    while (done < n) {
        gssize got =
            pread (fd, (char *)out + done, MIN (n - done, G_MAXSSIZE / 2), (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "cannot read it: %s", g_strerror (errno));
            return FALSE;
        }
        if (got == 0) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "ends at byte %" G_GUINT64_FORMAT ": it became shorter while it was read",
                         offset + done);
            return FALSE;
        }
        done += (gsize)got;
    }
    return TRUE;
}

typedef struct {
    const char *path;
    guint8 *data;
    gsize n, room, max;
    gboolean inflated;
} Buffer;

static void
clear_buffer (Buffer *buffer)
{
    g_free (buffer->data);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Buffer, clear_buffer)

static gboolean
check_limit (const Buffer *b, GError **error)
{
    if (b->n > b->max)
        set_data_error (error, b->path,
                        "has more than %" G_GSIZE_FORMAT " bytes%s, at most that is read", b->max,
                        b->inflated ? " when inflated" : "");
    return b->n <= b->max;
}

// Makes room for at least one byte more, but never for more than @max + 1: the one too many shows
// that there is more.
static gboolean
grow_buffer (Buffer *b, gsize first, GError **error)
{
    gsize room = b->room ? b->room + MAX (b->room / 2, CHUNK) : first;
    gsize most = b->max < G_MAXSSIZE ? b->max + 1 : b->max;
    guint8 *data;

    if (b->n < b->room)
        return TRUE;
    if (!check_limit (b, error))
        return FALSE;
    room = MIN (room, most);
    data = g_try_realloc (b->data, room);
    if (!data) {
        g_autofree char *name = g_filename_display_name (b->path);

        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "%s: cannot allocate %" G_GSIZE_FORMAT " bytes for it", name, room);
        return FALSE;
    }
    b->data = data;
    b->room = room;
    return TRUE;
}

static gboolean
read_plain (int fd, Buffer *b, guint64 size, GError **error)
{
    for (;;) {
        gssize got;

        if (!grow_buffer (b, (gsize)MIN (size, b->max) + 1, error))
            return FALSE;
        got = read_some (fd, b->path, b->data + b->n, MIN (b->room - b->n, G_MAXSSIZE / 2), error);
        if (got <= 0)
            return got == 0;
        b->n += (gsize)got;
    }
}

// What gzip wrote at the end as the size. It may be a lie or the size of the last member
// only, so it is but the first guess, and never more than deflate makes of @size bytes (1032 to 1).
static gsize
guess_inflated_size (int fd, guint64 size, gsize max)
{
    guint8 end[4];
    guint64 guess = 4 * MIN (size, G_MAXUINT64 / 4);

    if (size >= 18 && dlh_file_read_at (fd, size - 4, end, 4, NULL)) {
        guint64 claim =
            end[0] | (guint64)end[1] << 8 | (guint64)end[2] << 16 | (guint64)end[3] << 24;

        if (claim > 0 && claim / 1032 <= size)
            guess = claim;
    }
    return (gsize)MIN (guess, max);
}

static void
set_inflate_error (GError **error, const Buffer *b, const z_stream *z, int status)
{
    if (status == Z_MEM_ERROR)
        set_errno_error (error, b->path, "inflate it", ENOMEM);
    else
        set_data_error (error, b->path,
                        "damaged gzip data before byte %" G_GSIZE_FORMAT " of the contents: %s",
                        b->n, z->msg ? z->msg : zError (status));
}

// Inflates what z->next_in holds. @at_end: whether a member has ended just there.
static gboolean
inflate_chunk (z_stream *z, Buffer *b, gsize first, gboolean *at_end, GError **error)
{
    for (;;) {
        gsize room;
        int status;

        if (*at_end) {
            if (z->avail_in == 0)
                return TRUE;
            // A gzip file may consist of several; zlib says "incorrect header" of anything else.
            inflateReset (z);
            *at_end = FALSE;
        }
        if (!grow_buffer (b, first, error))
            return FALSE;
        room = MIN (b->room - b->n, (gsize)G_MAXINT);
        z->next_out = b->data + b->n;
        z->avail_out = (uInt)room;
        status = inflate (z, Z_NO_FLUSH);
        b->n += room - z->avail_out;
        *at_end = status == Z_STREAM_END;
        if (status == Z_BUF_ERROR || (status == Z_OK && z->avail_in == 0 && z->avail_out > 0))
            return TRUE;
        if (status != Z_OK && status != Z_STREAM_END) {
            set_inflate_error (error, b, z, status);
            return FALSE;
        }
    }
}

static gboolean
inflate_chunks (int fd, z_stream *z, Buffer *b, gsize first, GError **error)
{
    g_autofree guint8 *chunk = g_malloc (CHUNK);
    gboolean at_end = FALSE;

    for (;;) {
        gssize got = read_some (fd, b->path, chunk, CHUNK, error);

        if (got < 0)
            return FALSE;
        if (got == 0)
            break;
        z->next_in = chunk;
        z->avail_in = (uInt)got;
        if (!inflate_chunk (z, b, first, &at_end, error))
            return FALSE;
    }
    if (!at_end)
        set_data_error (error, b->path,
                        "the gzip data end too early, after %" G_GSIZE_FORMAT
                        " bytes of the contents: fetch the file again",
                        b->n);
    return at_end;
}

static gboolean
read_gzip (int fd, Buffer *b, guint64 size, GError **error)
{
    z_stream z = {0};
    gboolean ok;

    b->inflated = TRUE;
    if (inflateInit2 (&z, 15 + 16) != Z_OK) {
        set_errno_error (error, b->path, "inflate it", ENOMEM);
        return FALSE;
    }
    ok = inflate_chunks (fd, &z, b, guess_inflated_size (fd, size, b->max) + 1, error);
    inflateEnd (&z);
    return ok;
}

GBytes *
dlh_file_read (const char *path, gsize max_bytes, GError **error)
{
    guint64 size = 0;
    g_auto (AutoFd) fd = dlh_file_open (path, &size, error);
    g_auto (Buffer) buffer = {.path = path, .max = MIN (max_bytes, G_MAXSSIZE - CHUNK)};
    guint8 magic[3] = {0};
    gboolean gzip;
    guint8 *data;

    if (fd < 0)
        return NULL;
    if (!dlh_file_read_at (fd, 0, magic, MIN (size, sizeof magic), error)) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
        return NULL;
    }
    gzip = memcmp (magic, "\x1f\x8b\x08", 3) == 0;
    if (!(gzip ? read_gzip : read_plain) (fd, &buffer, size, error) ||
        !check_limit (&buffer, error))
        return NULL;
    data = g_steal_pointer (&buffer.data);
    if (buffer.room - buffer.n > CHUNK)
        data = g_realloc (data, MAX (buffer.n, 1));
    return g_bytes_new_with_free_func (data, buffer.n, g_free, data);
}

char *
dlh_file_locate (const char *dir, const char *name)
{
    g_autofree char *plain = g_build_filename (dir, name, NULL);
    g_autofree char *packed = g_strconcat (plain, ".gz", NULL);

    if (!g_file_test (plain, G_FILE_TEST_EXISTS) && g_file_test (packed, G_FILE_TEST_EXISTS))
        return g_steal_pointer (&packed);
    return g_steal_pointer (&plain);
}

/* A file on its way to its place. */
typedef struct {
    const char *path;
    char *folder, *name; /* of the target */
    char *temporary;     /* in the same folder, NULL when it is gone */
    AutoFd folder_fd, fd;
} Writer;

static void
clear_writer (Writer *w)
{
    close_fd (&w->fd);
    if (w->temporary)
        unlinkat (w->folder_fd, w->temporary, 0);
    close_fd (&w->folder_fd);
    g_free (w->temporary);
    g_free (w->folder);
    g_free (w->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Writer, clear_writer)

// Only a regular file or a symbolic link is replaced. @mode: the old file's permissions, or 0.
static gboolean
check_target (Writer *w, mode_t *mode, GError **error)
{
    struct stat st;

    *mode = 0;
    if (!*w->name || fstatat (w->folder_fd, w->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (*w->name && errno == ENOENT)
            return TRUE;
        set_errno_error (error, w->path, "write it", *w->name ? errno : EISDIR);
        return FALSE;
    }
    if (!S_ISREG (st.st_mode) && !S_ISLNK (st.st_mode)) {
        g_autofree char *name = g_filename_display_name (w->path);

        g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot write it: it is %s", name,
                     kind_of_file (st.st_mode));
        return FALSE;
    }
    if (S_ISREG (st.st_mode))
        *mode = st.st_mode & 0777;
    return TRUE;
}

static gboolean
open_temporary (Writer *w, mode_t mode, GError **error)
{
    for (guint attempt = 0; w->fd < 0; attempt++) {
        // Names may be 255 bytes long; the target's begins it, so that leftovers can be told.
        g_autofree char *name = g_strdup_printf (".%.200s.%08x", w->name, g_random_int ());

        w->fd = openat (w->folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0)
            w->temporary = g_steal_pointer (&name);
        else if (errno != EINTR && (errno != EEXIST || attempt > 100))
            break;
    }
    if (w->fd < 0 || (mode && fchmod (w->fd, mode) != 0)) {
        set_errno_error (error, w->path, "write beside it", errno);
        return FALSE;
    }
    return TRUE;
}

static gboolean
write_part (Writer *w, const DlhFilePart *part, GError **error)
{
    gsize done = 0;

    while (done < part->n) {
        gssize put =
            write (w->fd, (const char *)part->data + done, MIN (part->n - done, G_MAXSSIZE / 2));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            set_errno_error (error, w->path, "write it", errno);
            return FALSE;
        }
        done += (gsize)put;
    }
    return TRUE;
}

static int
fsync_fd (int fd)
{
    int status;

    do
        status = fsync (fd);
    while (status != 0 && errno == EINTR);
    return status;
}

static gboolean
publish (Writer *w, GError **error)
{
    if (fsync_fd (w->fd) != 0 ||
        renameat (w->folder_fd, w->temporary, w->folder_fd, w->name) != 0) {
        set_errno_error (error, w->path, "write it", errno);
        return FALSE;
    }
    g_clear_pointer (&w->temporary, g_free);
    // Some file systems cannot sync a directory, and say so with EINVAL.
    if (fsync_fd (w->folder_fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
        set_errno_error (error, w->path, "make it permanent", errno);
        return FALSE;
    }
    return TRUE;
}

gboolean
dlh_file_write_parts (const char *path, const DlhFilePart *parts, gsize n_parts, GError **error)
{
    const char *slash = strrchr (path, '/');
    g_auto (Writer) w = {.path = path, .folder_fd = -1, .fd = -1};
    mode_t mode;

    w.folder = slash ? g_strndup (path, (gsize)MAX (slash - path, 1)) : g_strdup (".");
    w.name = g_strdup (slash ? slash + 1 : path);
    w.folder_fd = open (w.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w.folder_fd < 0) {
        set_errno_error (error, path, "open its folder", errno);
        return FALSE;
    }
    if (!check_target (&w, &mode, error) || !open_temporary (&w, mode, error))
        return FALSE;
    for (gsize i = 0; i < n_parts; i++)
        if (!write_part (&w, &parts[i], error))
            return FALSE;
    return publish (&w, error);
}

gboolean
dlh_file_write (const char *path, gconstpointer data, gsize n, GError **error)
{
    return dlh_file_write_parts (path, &(DlhFilePart){data, n}, 1, error);
}
