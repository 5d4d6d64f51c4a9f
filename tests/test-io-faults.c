/* SPDX-License-Identifier: MIT */
/* Every call to the system, to the allocator and to zlib that readers and writers of files make
 * fails once. The program's own definitions come before those of the libraries, so they are the
 * ones that the library calls. */
#include "test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define NEXT(name) ((__typeof__ (&name))dlsym (RTLD_NEXT, #name))

/* The call that fails. errno 0: a read finds the end, a write does half of what was asked. */
static struct {
    const char *call;
    guint at; /* which one, from 1; 0: none */
    int code;
    gboolean hit;
} fault;

static gboolean
strikes (const char *call)
{
    if (fault.at == 0 || strcmp (call, fault.call) != 0 || --fault.at > 0)
        return FALSE;
    fault.hit = TRUE;
    errno = fault.code;
    return TRUE;
}

ssize_t
read (int fd, void *out, size_t n)
{
    return !strikes ("read") ? NEXT (read) (fd, out, n) : fault.code ? -1 : 0;
}

ssize_t
pread (int fd, void *out, size_t n, off_t at)
{
    return !strikes ("pread") ? NEXT (pread) (fd, out, n, at) : fault.code ? -1 : 0;
}

/* Bytes behind this place are not written but left out, so that a file of gigabytes costs nothing.
 */
static const void *hollow;

ssize_t
write (int fd, const void *data, size_t n)
{
    if (hollow && data >= hollow && n > 1 << 20)
        return lseek (fd, (off_t)n, SEEK_CUR) >= 0 ? (ssize_t)n : -1;
    if (!strikes ("write"))
        return NEXT (write) (fd, data, n);
    return fault.code ? -1 : NEXT (write) (fd, data, (n + 1) / 2);
}

int
fstat (int fd, struct stat *st)
{
    return strikes ("fstat") ? -1 : NEXT (fstat) (fd, st);
}

int
fsync (int fd)
{
    (void)fd; // to wait for a disk would teach nothing
    return strikes ("fsync") ? -1 : 0;
}

int
fchmod (int fd, mode_t mode)
{
    return strikes ("fchmod") ? -1 : NEXT (fchmod) (fd, mode);
}

int
openat (int dir, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start (args, flags);
    mode = flags & O_CREAT ? (mode_t)va_arg (args, int) : 0;
    va_end (args);
    return strikes ("openat") ? -1 : NEXT (openat) (dir, path, flags, mode);
}

int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
    return strikes ("renameat") ? -1 : NEXT (renameat) (from_dir, from, to_dir, to);
}

void *
aligned_alloc (size_t alignment, size_t n)
{
    return strikes ("memory") ? NULL : NEXT (aligned_alloc) (alignment, n);
}

gpointer
g_try_malloc (gsize n)
{
    return strikes ("memory") ? NULL : NEXT (g_try_malloc) (n);
}

gpointer
g_try_realloc (gpointer old, gsize n)
{
    return strikes ("memory") ? NULL : NEXT (g_try_realloc) (old, n);
}

gpointer
g_try_realloc_n (gpointer old, gsize n, gsize size)
{
    return strikes ("memory") ? NULL : NEXT (g_try_realloc_n) (old, n, size);
}

int
inflateInit2_ (z_streamp z, int bits, const char *version, int size)
{
    return strikes ("memory") ? Z_MEM_ERROR : NEXT (inflateInit2_) (z, bits, version, size);
}

int
inflate (z_streamp z, int flush)
{
    return strikes ("memory") ? Z_MEM_ERROR : NEXT (inflate) (z, flush);
}

int
deflateInit2_ (z_streamp z, int level, int method, int bits, int memory, int strategy,
               const char *version, int size)
{
    return strikes ("memory")
               ? Z_MEM_ERROR
               : NEXT (deflateInit2_) (z, level, method, bits, memory, strategy, version, size);
}

/* What is done with the files of a directory. */

static char *
path_of (const char *dir, const char *name)
{
    return g_build_filename (dir, name, NULL);
}

#define READ(function, ...)                                                                        \
    g_autofree char *path = path_of (dir, name);                                                   \
    g_autoptr (DlhTensor) got = function (path, __VA_ARGS__);                                      \
                                                                                                   \
    return got != NULL

static gboolean
read_idx (const char *dir, const char *name, GError **error)
{
    READ (dlh_idx_read, DLH_F64, 1, error);
}

static gboolean
read_table (const char *dir, const char *name, GError **error)
{
    READ (dlh_table_read, 0, error);
}

static gboolean
read_npy (const char *dir, const char *name, GError **error)
{
    READ (dlh_npy_read, error);
}

static gboolean
read_npz (const char *dir, const char *name, GError **error)
{
    g_autofree char *path = path_of (dir, name);
    g_autoptr (DlhNpz) npz = dlh_npz_open (path, error);
    g_autoptr (DlhTensor) got = npz ? dlh_npz_read (npz, "x", error) : NULL;

    return got != NULL;
}

static gboolean
read_safetensors (const char *dir, const char *name, GError **error)
{
    g_autofree char *path = path_of (dir, name);
    g_autoptr (DlhSafetensors) file = dlh_safetensors_read (path, error);

    return file != NULL;
}

static gboolean
read_plugin (const char *dir, const char *name, GError **error)
{
    g_autofree char *path = path_of (dir, name);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);

    return dlh_registry_find (registry, 0, path, error) != NULL;
}

static gboolean
write_plain (const char *dir, const char *name, GError **error)
{
    g_autofree char *path = path_of (dir, name);

    return dlh_file_write (path, "new contents", 12, error);
}

static gboolean
write_npz (const char *dir, const char *name, GError **error)
{
    g_autofree char *path = path_of (dir, name);
    static double values[9];
    g_autoptr (DlhTensor) x = dlh_tensor_new_take (DLH_F64, dlh_shape (3, 3), values, NULL, NULL);
    const char *const names[] = {"x"};

    return dlh_npz_write (path, names, &x, 1, strstr (name, "packed") != NULL, error);
}

typedef struct {
    const char *name, *file;
    gboolean (*run) (const char *dir, const char *name, GError **error);
    const char *calls; /* each of them must be met */
    guint guess;       /* this read is only for the first guess of a size */
} Operation;

static const Operation operations[] = {
    {"idx", "x.idx", read_idx, "read pread fstat memory"},
    {"idx-gzip", "x.idx.gz", read_idx, "read pread fstat memory", .guess = 2},
    {"table", "x.txt", read_table, "read fstat memory"},
    {"npy", "x.npy", read_npy, "pread fstat memory"},
    {"npy-fortran", "fortran.npy", read_npy, "pread fstat memory"},
    {"npz", "x.npz", read_npz, "pread fstat memory"},
    {"npz-packed", "packed.npz", read_npz, "pread fstat memory"},
    {"safetensors", "x.safetensors", read_safetensors, "pread fstat memory"},
    {"safetensors-half", "half.safetensors", read_safetensors, "pread fstat memory"},
    {"plugin", "good.so", read_plugin, "pread fstat"},
    {"write", "old", write_plain, "openat fchmod write fsync renameat"},
    {"write-npz", "old.npz", write_npz, "openat write fsync renameat"},
    {"write-npz-packed", "packed-old.npz", write_npz, "openat write fsync renameat memory"},
};

/* Files that all of them find. */

static void
put_file (const char *dir, const char *name, gconstpointer data, gsize n)
{
    g_autofree char *path = test_write_file (dir, name, data, (gssize)n);

    g_assert_cmpint (chmod (path, 0644), ==, 0);
}

static void
put_gzip (const char *dir, const char *name, gconstpointer data, gsize n)
{
    g_autofree char *path = path_of (dir, name);
    gzFile file = gzopen (path, "wb");

    g_assert_nonnull (file);
    g_assert_cmpint (gzwrite (file, data, (guint)n), ==, n);
    g_assert_cmpint (gzclose (file), ==, Z_OK);
}

static void
put_fortran (const char *dir)
{
    g_autoptr (GString) s = g_string_new_len ("\x93NUMPY\1\0\x76\0", 10);

    g_string_append (s, "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 2), }");
    while (s->len < 127)
        g_string_append_c (s, ' ');
    g_string_append_c (s, '\n');
    g_string_append_len (s, (const char[32]){0}, 32);
    put_file (dir, "fortran.npy", s->str, s->len);
}

static void
put_arrays (const char *dir)
{
    static const char half[] = "\70\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F16\",\"shape\":[2],"
                               "\"data_offsets\":[0,4]}}         \0\0\0\0";
    g_autofree char *npy = path_of (dir, "x.npy"), *npz = path_of (dir, "x.npz");
    g_autofree char *packed = path_of (dir, "packed.npz");
    g_autofree char *safetensors = path_of (dir, "x.safetensors");
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (8, 9), 1);
    const char *const names[] = {"x"};
    g_autoptr (GError) error = NULL;

    dlh_npy_write (npy, x, &error);
    g_assert_no_error (error);
    dlh_npz_write (npz, names, &x, 1, FALSE, &error);
    g_assert_no_error (error);
    dlh_npz_write (packed, names, &x, 1, TRUE, &error);
    g_assert_no_error (error);
    dlh_safetensors_write (safetensors, names, &x, 1, NULL, &error);
    g_assert_no_error (error);
    put_file (dir, "half.safetensors", half, 8 + 56 + 4);
}

static char *
make_files (void)
{
    static const char idx[] = "\0\0\10\1\0\0\0\24aaaaaaaaaabbbbbbbbbb";
    g_autofree char *plugin = path_of (g_getenv ("DLHOST_TEST_FIXTURES"), "good.so"), *bytes = NULL;
    char *dir = test_temp_dir ();
    gsize n;

    put_file (dir, "x.idx", idx, sizeof idx - 1);
    put_gzip (dir, "x.idx.gz", idx, sizeof idx - 1);
    put_file (dir, "x.txt", "1 2\n3 4\n", 8);
    put_file (dir, "old", "old", 3);
    put_fortran (dir);
    put_arrays (dir);
    g_assert_true (g_file_get_contents (plugin, &bytes, &n, NULL));
    put_file (dir, "good.so", bytes, n);
    return dir;
}

/* Those that reading leaves as they are, made once. */
static char *files;

/* Nothing stays that was on its way. */
static void
assert_no_leftovers (const char *dir)
{
    GDir *d = g_dir_open (dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name (d)))
        if (name[0] == '.')
            test_fail ("%s is left", name);
    g_dir_close (d);
}

static void
assert_reported (const Operation *o, const char *call, guint at, const GError *error)
{
    gboolean memory = strcmp (call, "memory") == 0;

    if (!error) {
        test_fail ("%s %u fails without an error", call, at);
        return;
    }
    if (error->domain != DLH_ERROR || !strstr (error->message, o->file) ||
        strchr (error->message, '\n') || (memory && error->code != DLH_ERROR_MEMORY))
        // zlib's own memory is reported as the system would.
        if (!strstr (error->message, "Cannot allocate memory"))
            test_fail ("%s %u: code %d: %s", call, at, error->code, error->message);
}

/* Lets each call of that name fail, one a time. Returns: how many there are. */
static guint
fail_each (const Operation *o, const char *call, int code)
{
    for (guint at = 1;; at++) {
        g_autoptr (GError) error = NULL;
        gboolean ok;

        fault = (__typeof__ (fault)){call, at, code, FALSE};
        ok = o->run (files, o->file, &error);
        fault.at = 0;
        assert_no_leftovers (files);
        if (!fault.hit || at > 100) {
            g_assert_true (ok);
            g_assert_no_error (error);
            return at - 1;
        }
        if (ok != (error == NULL))
            test_fail ("%s %u: %s", call, at, ok ? error->message : "no error");
        // What goes on in spite of it must have been harmless.
        if (!ok)
            assert_reported (o, call, at, error);
        else if ((code == EIO || code == ENOMEM) && !(at == o->guess && *call == 'p'))
            test_fail ("%s %u fails, and nobody sees it", call, at);
    }
}

static void
each_call (gconstpointer data)
{
    const Operation *o = data;
    g_auto (GStrv) calls = g_strsplit (o->calls, " ", -1);

    for (guint i = 0; calls[i]; i++)
        g_assert_cmpuint (fail_each (o, calls[i], strcmp (calls[i], "memory") ? EIO : ENOMEM), >,
                          0);
}

/* An interrupted or half-done call is made again. */
static void
each_interruption (gconstpointer data)
{
    static const char *const again[] = {"read", "pread", "openat", "write", "fsync"};
    const Operation *o = data;

    for (guint i = 0; i < G_N_ELEMENTS (again); i++)
        for (guint at = 1;; at++) {
            g_autoptr (GError) error = NULL;

            fault = (__typeof__ (fault)){again[i], at, EINTR, FALSE};
            g_assert_true (o->run (files, o->file, &error));
            g_assert_no_error (error);
            fault.at = 0;
            if (!fault.hit)
                break;
        }
}

/* A file that becomes shorter while it is read. */
static void
each_early_end (gconstpointer data)
{
    const Operation *o = data;

    if (strstr (o->calls, "pread"))
        g_assert_cmpuint (fail_each (o, "pread", 0), >, 0);
}

/* Single faults with an answer of their own. */

static gboolean
write_with (const char *call, guint at, int code, char **left, GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = path_of (dir, "old");
    gboolean ok;

    put_file (dir, "old", "old", 3);
    fault = (__typeof__ (fault)){call, at, code, FALSE};
    ok = write_plain (dir, "old", error);
    fault.at = 0;
    g_assert_true (fault.hit);
    assert_no_leftovers (dir);
    g_free (*left);
    *left = NULL;
    g_assert_true (g_file_get_contents (path, left, NULL, NULL));
    return ok;
}

static void
write_faults (void)
{
    static const struct {
        const char *call;
        guint at;
        int code;
        const char *message; /* NULL: it is no failure */
        const char *left;
    } cases[] = {
        {"openat", 1, EEXIST, NULL, "new contents"}, // another name is tried
        {"write", 1, 0, NULL, "new contents"},       // half of it, then the rest
        {"openat", 1, EACCES, "cannot write beside it: Permission denied", "old"},
        {"fchmod", 1, EPERM, "cannot write beside it: Operation not permitted", "old"},
        {"write", 1, ENOSPC, "cannot write it: No space left on device", "old"},
        {"fsync", 1, EIO, "cannot write it: Input/output error", "old"},
        {"renameat", 1, EROFS, "cannot write it: Read-only file system", "old"},
        {"fsync", 2, EINVAL, NULL, "new contents"}, // file systems that cannot sync a directory
        {"fsync", 2, ENOTSUP, NULL, "new contents"},
        {"fsync", 2, EIO, "cannot make it permanent: Input/output error", "new contents"},
    };
    g_autofree char *left = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_true (write_with (cases[i].call, cases[i].at, cases[i].code, &left, &error) ==
                       (cases[i].message == NULL));
        g_assert_cmpstr (left, ==, cases[i].left);
        if (cases[i].message)
            test_assert_error (&error, DLH_ERROR_IO, cases[i].message);
    }
}

/* An array of five gigabytes, and a second one behind it: sizes and places take 64 bits. The
 * elements are a mapping that nobody touches, and the checksum of so much is not computed. */

uLong
crc32_z (uLong crc, const Bytef *data, z_size_t n)
{
    return hollow && n > 1 << 20 ? crc : NEXT (crc32_z) (crc, data, n);
}

static void
huge_archive (void)
{
    const gsize n = (gsize)5 << 30;
    gpointer data = mmap (NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = path_of (dir, "huge.npz");
    g_autoptr (DlhTensor) huge = NULL, small = test_tensor (DLH_F32, dlh_shape (2), 3, 4);
    g_autoptr (DlhTensor) got = NULL;
    const char *const names[] = {"huge", "small"};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhNpz) npz = NULL;

    if (data == MAP_FAILED) {
        test_skip ("no five gigabytes of addresses");
        return;
    }
    huge = dlh_tensor_new_take (DLH_F32, dlh_shape ((gint64)(n / 4)), data, NULL, NULL);
    hollow = data;
    dlh_npz_write (path, names, (DlhTensor *[]){huge, small}, 2, FALSE, &error);
    hollow = NULL;
    g_assert_no_error (error);
    npz = dlh_npz_open (path, &error);
    g_assert_no_error (error);
    got = npz ? dlh_npz_read (npz, "small", &error) : NULL;
    g_assert_no_error (error);
    if (got)
        test_assert_tensors_equal (got, small);
    // Packed it would have to fit into memory twice.
    g_assert_false (dlh_npz_write (path, names, &huge, 1, TRUE, &error));
    test_assert_error (&error, DLH_ERROR_MEMORY,
                       "array 'huge': cannot deflate 5368709248 bytes in "
                       "memory: store them instead");
    munmap (data, n);
}

static void
add_tests (const char *what, void (*test) (gconstpointer))
{
    for (guint i = 0; i < G_N_ELEMENTS (operations); i++) {
        g_autofree char *path = g_strdup_printf ("/io-faults/%s/%s", operations[i].name, what);

        g_test_add_data_func (path, &operations[i], test);
    }
}

int
main (int argc, char **argv)
{
    int status;

    test_init (&argc, &argv);
    files = make_files ();
    add_tests ("each-call-reported", each_call);
    add_tests ("interruption-unnoticed", each_interruption);
    add_tests ("early-end-reported", each_early_end);
    g_test_add_func ("/io-faults/write-faults/old-or-new", write_faults);
    g_test_add_func ("/io-faults/huge-archive/zip64", huge_archive);
    status = g_test_run ();
    test_remove_dir (files);
    return status;
}
