/* SPDX-License-Identifier: MIT */
/* npz archives put together by hand, each with one thing wrong. tests/interop/ compares with NumPy
 * itself. */
#include "test.h"

#include <zlib.h>

/* A member, as it should be or as an attacker has it. What is 0 here is as it should be. */
typedef struct {
    const char *name;
    const char *local_name; /* NULL: the same */
    gsize n_name;           /* 0: strlen */
    guint flags, method;
    gint64 size, packed; /* said; 0: the truth, -1: none */
    guint32 crc_change;
    gint64 local_size; /* said in its own header; 0: as in the directory */
    guint64 offset;    /* said; 0: the truth */
    guint disk;
    gboolean zip64;      /* sizes and offset in a zip64 field */
    gboolean half_zip64; /* sizes of all ones, but no zip64 field */
    gboolean descriptor; /* sizes after the data, zeros before */
    const char *raw;     /* packed bytes, instead of an array */
    gsize n_raw;
} Member;

/* The end of the archive. */
typedef struct {
    guint count; /* said; 0: the truth */
    gint64 size_change, offset_change;
    guint disk;
    gboolean zip64;       /* everything in the zip64 record */
    gint64 record_change; /* of where that record is said to be */
    const char *before, *after;
} End;

static void
put (GString *out, guint64 value, guint n)
{
    for (guint i = 0; i < n; i++)
        g_string_append_c (out, (char)(value >> 8 * i));
}

/* An npy file of two i4: 5 and -6. */
static GString *
array_bytes (void)
{
    GString *s = g_string_new_len ("\x93NUMPY\1\0\x76\0", 10);

    g_string_append (s, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }");
    while (s->len < 127)
        g_string_append_c (s, ' ');
    g_string_append_c (s, '\n');
    g_string_append_len (s, "\5\0\0\0\xfa\xff\xff\xff", 8);
    return s;
}

static GString *
pack (const GString *plain)
{
    z_stream z = {0};
    GString *out = g_string_sized_new (1000);

    g_assert_cmpint (deflateInit2 (&z, 9, Z_DEFLATED, -15, 8, 0), ==, Z_OK);
    z.next_in = (guint8 *)plain->str;
    z.avail_in = (guint)plain->len;
    z.next_out = (guint8 *)out->str;
    z.avail_out = 1000;
    g_assert_cmpint (deflate (&z, Z_FINISH), ==, Z_STREAM_END);
    g_string_set_size (out, z.total_out);
    deflateEnd (&z);
    return out;
}

/* Appends a member to @out and its entry to @directory. */
static void
put_member (GString *out, GString *directory, const Member *m)
{
    g_autoptr (GString) plain = array_bytes ();
    g_autoptr (GString) bytes = m->raw ? g_string_new_len (m->raw, (gssize)m->n_raw)
                                : m->method == 8
                                    ? pack (plain)
                                    : g_string_new_len (plain->str, (gssize)plain->len);
    guint32 crc = (guint32)crc32_z (0, (guint8 *)plain->str, plain->len) ^ m->crc_change;
    guint64 size = m->size ? (guint64)MAX (m->size, 0) : plain->len;
    guint64 packed = m->packed ? (guint64)MAX (m->packed, 0) : bytes->len;
    guint64 offset = m->offset ? m->offset : out->len;
    gsize n_name = m->n_name ? m->n_name : strlen (m->name);
    const char *local_name = m->local_name ? m->local_name : m->name;
    gboolean ones = m->zip64 || m->half_zip64;

    g_string_append_len (out, "PK\3\4", 4);
    put (out, 45, 2);
    put (out, m->flags | (m->descriptor ? 8 : 0), 2);
    put (out, m->method, 2);
    put (out, 0x210000, 4);
    put (out, m->descriptor ? 0 : crc, 4);
    put (out, m->descriptor ? 0 : ones ? G_MAXUINT32 : packed, 4);
    put (out,
         m->descriptor   ? 0
         : ones          ? G_MAXUINT32
         : m->local_size ? (guint64)m->local_size
                         : size,
         4);
    put (out, m->local_name ? strlen (local_name) : n_name, 2);
    put (out, m->zip64 ? 20 : 0, 2);
    g_string_append_len (out, local_name, (gssize)(m->local_name ? strlen (local_name) : n_name));
    if (m->zip64) {
        put (out, 1 | 16 << 16, 4);
        put (out, m->local_size ? (guint64)m->local_size : size, 8);
        put (out, packed, 8);
    }
    g_string_append_len (out, bytes->str, (gssize)bytes->len);
    if (m->descriptor) {
        g_string_append_len (out, "PK\7\10", 4);
        put (out, crc, 4);
        put (out, packed, 4);
        put (out, size, 4);
    }

    g_string_append_len (directory, "PK\1\2", 4);
    put (directory, 45, 2);
    put (directory, 45, 2);
    put (directory, m->flags | (m->descriptor ? 8 : 0), 2);
    put (directory, m->method, 2);
    put (directory, 0x210000, 4);
    put (directory, crc, 4);
    put (directory, ones ? G_MAXUINT32 : packed, 4);
    put (directory, ones ? G_MAXUINT32 : size, 4);
    put (directory, n_name, 2);
    put (directory, m->zip64 ? 32 : 0, 2);
    put (directory, 0, 2);
    put (directory, m->disk, 2);
    put (directory, 0, 6);
    put (directory, m->zip64 ? G_MAXUINT32 : offset, 4);
    g_string_append_len (directory, m->name, (gssize)n_name);
    if (m->zip64) {
        put (directory, 0xcafe, 4); // an empty field that nobody knows comes first
        put (directory, 1 | 24 << 16, 4);
        put (directory, size, 8);
        put (directory, packed, 8);
        put (directory, offset, 8);
    }
}

static GString *
make_archive (const Member *members, guint n, const End *end)
{
    GString *out = g_string_new (end->before);
    g_autoptr (GString) directory = g_string_new (NULL);
    guint64 offset, size;
    guint count = end->count ? end->count : n;

    for (guint i = 0; i < n; i++)
        put_member (out, directory, &members[i]);
    offset = out->len + (guint64)end->offset_change;
    size = directory->len + (guint64)end->size_change;
    g_string_append_len (out, directory->str, (gssize)directory->len);
    if (end->zip64) {
        guint64 at = out->len + (guint64)end->record_change;

        g_string_append_len (out, "PK\6\6", 4);
        put (out, 44, 8);
        put (out, 45 | 45 << 16, 4);
        put (out, end->disk, 4);
        put (out, 0, 4);
        put (out, count, 8);
        put (out, count, 8);
        put (out, size, 8);
        put (out, offset, 8);
        g_string_append_len (out, "PK\6\7", 4);
        put (out, 0, 4);
        put (out, at, 8);
        put (out, 1, 4);
    }
    g_string_append_len (out, "PK\5\6", 4);
    put (out, end->disk, 2);
    put (out, 0, 2);
    put (out, end->zip64 ? 0xffff : count, 2);
    put (out, end->zip64 ? 0xffff : count, 2);
    put (out, end->zip64 ? G_MAXUINT32 : size, 4);
    put (out, end->zip64 ? G_MAXUINT32 : offset, 4);
    put (out, 0, 2);
    return g_string_append (out, end->after ? end->after : "");
}

/* Opens the archive and reads every array. */
static gboolean
read_all (const GString *bytes, GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "a.npz", bytes->str, (gssize)bytes->len);
    g_autoptr (DlhNpz) npz = dlh_npz_open (path, error);

    for (guint i = 0; npz && i < dlh_npz_names (npz)->len; i++) {
        g_autoptr (DlhTensor) tensor = dlh_npz_read (npz, dlh_npz_names (npz)->pdata[i], error);

        if (!tensor)
            return FALSE;
        test_assert_tensor (tensor, ((double[]){5, -6}), 2, 0);
    }
    return npz != NULL;
}

typedef struct {
    const char *name;
    Member members[3];
    End end;
    const char *message; /* NULL: it is read */
} Archive;

/* A deflate stream that is one stored block of length @n: 1, n, ~n */
#define BLOCK(n) "\1" n

/* An array of two i4, as in array_bytes(), in stored blocks: whole, without a last one, too long.
 */
#define TEN_BLANKS "          "
#define ARRAY                                                                                      \
    "\x93NUMPY\1\0\x76\0{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }" TEN_BLANKS      \
        TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS TEN_BLANKS "\n\5\0\0\0\xfa\xff\xff\xff"
#define PACKED BLOCK ("\x88\0\x77\xff" ARRAY)
#define UNFINISHED "\0\x88\0\x77\xff" ARRAY
#define LONGER BLOCK ("\x89\0\x76\xff" ARRAY "x")

/* clang-format off */
static const Archive archives[] = {
    {"stored", {{"a.npy"}, {"b.npy"}}, {0}, NULL},
    {"deflated", {{"a.npy", .method = 8}, {"b/c.npy", .method = 8}}, {0}, NULL},
    {"zip64", {{"a.npy", .zip64 = TRUE}, {"b.npy", .method = 8, .zip64 = TRUE}}, {.zip64 = TRUE},
     NULL},
    {"descriptors", {{"a.npy", .descriptor = TRUE}, {"b.npy", .method = 8, .descriptor = TRUE}},
     {0}, NULL},
    {"no-members", {{NULL}}, {0}, NULL},
    {"utf8-name", {{"\xc3\xa4.npy", .flags = 1 << 11}}, {0}, NULL},

    {"parent-name", {{"../a.npy"}}, {0}, "member '../a.npy': its name leads out of the archive"},
    {"inner-parent-name", {{"a/../../b.npy"}}, {0}, "leads out of the archive with '..'"},
    {"root-name", {{"/etc/a.npy"}}, {0}, "is a path from the root, or of another system"},
    {"backslash-name", {{"..\\a.npy"}}, {0}, "is a path from the root, or of another system"},
    {"drive-name", {{"c:a.npy"}}, {0}, "is a path from the root, or of another system"},
    {"nul-name", {{"a\0b.npy", .n_name = 7}}, {0}, "member 'a': its name has a NUL character"},
    {"latin1-name", {{"\xe4.npy"}}, {0}, "its name is not UTF-8"},
    {"empty-name", {{""}}, {0}, "its name is empty"},
    {"suffix-alone", {{".npy"}}, {0}, "member '.npy' is no array"},
    {"other-file", {{"a.npy"}, {"evil.pkl"}}, {0}, "member 'evil.pkl' is no array"},
    {"same-name", {{"a.npy"}, {"a.npy"}}, {0}, "member 'a.npy': is there twice"},
    {"other-local-name", {{"a.npy", .local_name = "b.npy"}}, {0},
     "member 'a.npy': has another name in its own header"},

    {"encrypted", {{"a.npy", .flags = 1}}, {0}, "member 'a.npy': is encrypted"},
    {"strongly-encrypted", {{"a.npy", .flags = 1 << 6}}, {0}, "is encrypted"},
    {"masked", {{"a.npy", .flags = 1 << 13}}, {0}, "is encrypted"},
    {"bzip2", {{"a.npy", .method = 12}}, {0}, "is packed with method 12, 0 (stored) and 8"},
    {"other-disk", {{"a.npy", .disk = 1}}, {0}, "is on another disk"},

    {"wrong-checksum", {{"a.npy", .crc_change = 1}}, {0}, "array 'a': its checksum is "},
    {"wrong-checksum-deflated", {{"a.npy", .method = 8, .crc_change = 1}}, {0},
     "the data are damaged"},
    {"stored-sizes-differ", {{"a.npy", .size = 100}}, {0},
     "is stored, but 136 bytes stand for 100"},
    {"bomb", {{"a.npy", .method = 8, .size = (gint64) 1 << 40, .zip64 = TRUE}}, {0},
     "inflate to 1099511627776, which deflate cannot do"},
    {"size-2^63", {{"a.npy", .method = 8, .size = G_MAXINT64, .zip64 = TRUE}}, {0},
     "which deflate cannot do"},
    {"packed-2^63", {{"a.npy", .size = G_MAXINT64, .packed = G_MAXINT64, .zip64 = TRUE}}, {0},
     "reaches into the directory"},
    {"too-large-size", {{"a.npy", .method = 8, .size = 137}}, {0},
     "shape [2] takes 8 bytes, but 9 follow the header"},
    {"too-small-size", {{"a.npy", .method = 8, .size = 135}}, {0},
     "takes 8 bytes, but 7 follow the header: is it cut off?"},
    {"other-local-size", {{"a.npy", .local_size = 135}}, {0},
     "has other sizes or another checksum in its own header"},
    {"no-zip64-field", {{"a.npy", .half_zip64 = TRUE}}, {0}, "its zip64 sizes are missing"},
    {"no-deflate", {{"a.npy", .method = 8, .raw = "\xff\xff\xff", .n_raw = 3}}, {0},
     "its packed data are damaged: invalid block type"},
    {"deflate-cut-off", {{"a.npy", .method = 8, .raw = BLOCK ("\x88\0\x77\xff" "\x93NUMPY"),
                          .n_raw = 11}}, {0}, "its packed data are damaged: they are cut off"},
    {"deflate-ends-early", {{"a.npy", .method = 8, .raw = BLOCK ("\x06\0\xf9\xff" "\x93NUMPY"),
                             .n_raw = 11}}, {0}, "they end before the size that the directory says"},
    {"deflate-empty", {{"a.npy", .method = 8, .raw = "\3\0", .n_raw = 2}}, {0},
     "they end before the size"},
    {"empty-member", {{"a.npy", .size = -1, .raw = "", .n_raw = 0}}, {0},
     "ends within the magic number"},

    {"offset-beyond", {{"a.npy", .offset = 5000}}, {0},
     "is said to be at byte 5000, which is not before the directory"},
    {"offset-2^64", {{"a.npy", .offset = G_MAXUINT64, .zip64 = TRUE}}, {0},
     "which is not before the directory"},
    {"offset-wrong", {{"a.npy", .offset = 3}}, {0}, "has no header at byte 3"},
    {"count-small", {{"a.npy"}, {"b.npy"}}, {.count = 1},
     "its directory has more bytes than its 1 members take"},
    {"count-large", {{"a.npy"}}, {.count = 2}, "says that its directory has 2 members in 51 bytes"},
    {"count-2^32", {{"a.npy"}}, {.zip64 = TRUE, .count = G_MAXUINT32},
     "says that its directory has 4294967295 members in 51 bytes"},
    {"directory-size", {{"a.npy"}}, {.size_change = -1}, "but ends at"},
    {"directory-before", {{"a.npy"}}, {.offset_change = -1}, "its directory of 51 bytes is said"},
    {"directory-size-2^63", {{"a.npy"}}, {.zip64 = TRUE, .size_change = G_MAXINT64},
     "its directory of "},
    {"zip64-record-lost", {{"a.npy"}}, {.zip64 = TRUE, .record_change = 1},
     "its zip64 record is said to be at byte "},
    {"several-disks", {{"a.npy"}}, {.disk = 1}, "is one of several disks of an archive"},
    {"several-disks-zip64", {{"a.npy"}}, {.zip64 = TRUE, .disk = 1}, "or of several disks"},
    {"bytes-before", {{"a.npy"}}, {.before = "#!/bin/sh\n", .offset_change = -10}, "but ends at"},
    {"zip64-without-record", {{"a.npy"}}, {.count = 0xffff},
     "its zip64 records are missing or of several disks"},
    {"zip64-record-beyond", {{NULL}}, {.count = 0xffff}, "its zip64 records are missing: is it cut"},
    {"packed-bytes-behind", {{"a.npy", .method = 8, .raw = PACKED "x", .n_raw = sizeof PACKED}},
     {0}, "other bytes follow them"},
    {"packed-without-end", {{"a.npy", .method = 8, .raw = UNFINISHED, .n_raw = sizeof UNFINISHED - 1}},
     {0}, "they have no end"},
    {"packed-goes-on", {{"a.npy", .method = 8, .size = 136, .raw = LONGER, .n_raw = sizeof LONGER - 1}},
     {0}, "they go on after the size that the directory says"},
    {"bytes-behind", {{"a.npy"}}, {.after = "x"}, "has no directory at its end: is it cut off?"},
};
/* clang-format on */

static guint
count_members (const Archive *a)
{
    guint n = 0;

    while (n < 3 && a->members[n].name)
        n++;
    return n;
}

static void
archive (gconstpointer data)
{
    const Archive *a = data;
    g_autoptr (GString) bytes = make_archive (a->members, count_members (a), &a->end);
    g_autoptr (GError) error = NULL;

    if (!a->message) {
        g_assert_true (read_all (bytes, &error));
        g_assert_no_error (error);
        return;
    }
    g_assert_false (read_all (bytes, &error));
    if (error)
        g_assert_nonnull (strstr (error->message, "a.npz: "));
    test_assert_error (&error, DLH_ERROR_DATA, a->message);
}

/* Two entries of the directory for the same bytes: what a bomb of many members is made of. */
static void
shared_bytes (void)
{
    const Member members[] = {{"a.npy"}, {"b.npy"}};
    g_autoptr (GString) bytes = make_archive (members, 2, &(End){0});
    gsize entry = 46 + 5, second = bytes->len - 22 - entry;
    g_autoptr (GError) error = NULL;

    // The first array now holds the second's header and bytes: sizes grow, places overlap.
    for (guint i = 0; i < 2; i++) {
        guint32 size = 136 + 35 + 136;
        gsize central = second - entry;

        memcpy (bytes->str + central + 20 + 4 * i, &size, 4);
        memcpy (bytes->str + 18 + 4 * i, &size, 4);
    }
    g_assert_false (read_all (bytes, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "members 'a.npy' and 'b.npy' share bytes: this is no honest archive");
}

/* An archive that ends anywhere is refused, or, by no chance, read. */
static void
cut_off (void)
{
    const Member members[] = {{"a.npy", .method = 8}, {"b.npy", .zip64 = TRUE}};
    g_autoptr (GString) bytes = make_archive (members, 2, &(End){.zip64 = TRUE});

    while (bytes->len > 0) {
        g_autoptr (GError) error = NULL;

        g_string_truncate (bytes, bytes->len - 1);
        g_assert_false (read_all (bytes, &error));
        g_assert_error (error, DLH_ERROR, DLH_ERROR_DATA);
    }
}

static void
missing_array (void)
{
    const Member members[] = {{"x.npy"}, {"y.npy"}};
    g_autoptr (GString) bytes = make_archive (members, 2, &(End){0});
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "a.npz", bytes->str, (gssize)bytes->len);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhNpz) npz = dlh_npz_open (path, &error);

    g_assert_no_error (error);
    g_assert_null (dlh_npz_read (npz, "z", &error));
    test_assert_error (&error, DLH_ERROR_DATA, "a.npz: has no array 'z', it has 'x', 'y'");
}

/* Of many names the first are shown; of none it says so. */
static void
missing_of_many (void)
{
    static const Member members[] = {{"0.npy"}, {"1.npy"}, {"2.npy"}, {"3.npy"}, {"4.npy"},
                                     {"5.npy"}, {"6.npy"}, {"7.npy"}, {"8.npy"}, {"9.npy"}};
    static const char *const messages[] = {"has no array 'z', it has none", "'6', '7' and 2 more"};
    g_autoptr (TestDir) dir = test_temp_dir ();

    for (guint i = 0; i < 2; i++) {
        g_autoptr (GString) bytes = make_archive (members, 10 * i, &(End){0});
        g_autofree char *path = test_write_file (dir, "a.npz", bytes->str, (gssize)bytes->len);
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhNpz) npz = dlh_npz_open (path, &error);

        g_assert_no_error (error);
        g_assert_null (dlh_npz_read (npz, "z", &error));
        test_assert_error (&error, DLH_ERROR_DATA, messages[i]);
    }
    dlh_npz_free (NULL);
}

static void
round_trip (gconstpointer deflate)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npz", NULL);
    const char *const names[] = {"x", "layer/weight", "none", "\xc3\xa4"};
    DlhTensor *tensors[] = {
        test_tensor (DLH_F64, dlh_shape (2, 1), NAN, 1.0 / 3),
        test_tensor_random (DLH_F32, dlh_shape (40, 50), 1),
        dlh_tensor_new (DLH_I64, dlh_shape (0, 3), NULL),
        test_tensor (DLH_BOOL, dlh_shape (), 1),
    };
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhNpz) npz = NULL;

    g_assert_true (dlh_npz_write (path, names, tensors, 4, deflate != NULL, &error));
    g_assert_no_error (error);
    npz = dlh_npz_open (path, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < 4; i++) {
        g_autoptr (DlhTensor) got = npz ? dlh_npz_read (npz, names[i], &error) : NULL;

        g_assert_no_error (error);
        g_assert_cmpstr (npz ? dlh_npz_names (npz)->pdata[i] : NULL, ==, names[i]);
        if (got)
            test_assert_tensors_equal (got, tensors[i]);
        dlh_tensor_unref (tensors[i]);
    }
}

/* More members than the end record of a zip file can count. */
static void
many_arrays (void)
{
    enum { N = 65600 };
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npz", NULL);
    g_autoptr (DlhTensor) one = test_tensor (DLH_F32, dlh_shape (), 7);
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    g_autofree DlhTensor **tensors = g_new (DlhTensor *, N);
    g_autoptr (DlhNpz) npz = NULL;
    g_autoptr (DlhTensor) last = NULL;
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < N; i++) {
        g_ptr_array_add (names, g_strdup_printf ("%u", i));
        tensors[i] = one;
    }
    dlh_npz_write (path, (const char *const *)names->pdata, tensors, N, FALSE, &error);
    g_assert_no_error (error);
    npz = dlh_npz_open (path, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (npz ? dlh_npz_names (npz)->len : 0, ==, N);
    last = npz ? dlh_npz_read (npz, "65599", &error) : NULL;
    g_assert_no_error (error);
    if (last)
        test_assert_tensors_equal (last, one);
}

static void
written_names (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npz", NULL);
    g_autoptr (DlhTensor) one = test_tensor (DLH_F32, dlh_shape (1), 1);
    static const char *const cases[][3] = {
        {"x", "x", "array name 'x' is there twice"},
        {"x", "", "array name '' is empty"},
        {"x", "../y", "leads out of the archive"},
        {"x", "/y", "is a path from the root"},
        {"x", "\xff", "is not UTF-8"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_false (
            dlh_npz_write (path, cases[i], (DlhTensor *[]){one, one}, 2, FALSE, &error));
        test_assert_error (&error, DLH_ERROR_DATA, cases[i][2]);
        g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
}

typedef struct {
    double *out;
    gint64 at, stop;
} Pieces;

static gboolean
take_piece (const DlhTensor *rows, DlhShape whole, gint64 first, gpointer user_data, GError **error)
{
    Pieces *p = user_data;
    gint64 n = dlh_tensor_get_shape (rows).dims[0], width = dlh_tensor_count (rows) / n;

    g_assert_cmpint (whole.dims[0], ==, 7);
    g_assert_cmpint (first, ==, p->at);
    for (gint64 i = 0; i < n * width; i++)
        p->out[first * width + i] = dlh_tensor_get (rows, i);
    p->at += n;
    if (p->at >= p->stop)
        g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED, "enough");
    return p->at < p->stop;
}

// Of every size that divides the rows, or does not.
static void
pieces (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npz", NULL);
    g_autoptr (DlhTensor) tensor = test_tensor_random (DLH_F64, dlh_shape (7, 3), 5);
    g_autoptr (DlhNpz) npz = NULL;
    g_autoptr (GError) error = NULL;
    const char *name = "a";

    g_assert_true (dlh_npz_write (path, &name, &tensor, 1, TRUE, NULL));
    npz = dlh_npz_open (path, NULL);
    for (gint64 n = 1; n < 9; n++) {
        double got[21] = {0};
        Pieces p = {got, 0, 100};

        g_assert_true (dlh_npz_read_pieces (npz, "a", n, take_piece, &p, &error));
        g_assert_cmpint (p.at, ==, 7);
        test_assert_within (got, (const double *)dlh_tensor_get_data (tensor), 21, 0);
    }
    {
        double got[21] = {0};
        Pieces p = {got, 0, 4};

        g_assert_false (dlh_npz_read_pieces (npz, "a", 2, take_piece, &p, &error));
        test_assert_error (&error, DLH_ERROR_CANCELLED, "array 'a': enough");
        g_assert_cmpint (p.at, ==, 4);
    }
    g_assert_false (dlh_npz_read_pieces (npz, "b", 2, take_piece, NULL, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "has no array");
}

static gboolean
take_nothing (const DlhTensor *rows, DlhShape whole, gint64 first, gpointer user_data,
              GError **error)
{
    (void)rows;
    (void)whole;
    (void)first;
    (void)user_data;
    (void)error;
    return TRUE;
}

/* What cannot be read row by row, or turns out wrong on the way. */
static void
pieces_refused (void)
{
    static const struct {
        const char *header;
        gsize n_bytes;
        guint method;
        const char *message;
    } wrong[] = {
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }", 32, 0,
         "in Fortran order cannot be read row by row"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 8, 0,
         "cannot be read row by row: save it in C order with an axis of rows"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 16, 0, "array 'a': "},
        {"{'descr': '<f8', 'fortran_order': No, 'shape': (3,), }", 24, 0, "array 'a': "},
        {"{'descr': '<u8', 'fortran_order': False, 'shape': (2, 1), }", 16, 0, "array 'a': "},
        {"{'descr': '>i4', 'fortran_order': False, 'shape': (2, 1), }", 8, 0, "its checksum is"},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (0, 1), }", 0, 0, "its checksum is"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }", 16, 8, "array 'a': "},
    };

    for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
        g_autoptr (TestDir) dir = test_temp_dir ();
        g_autoptr (GString) raw = g_string_new_len ("\x93NUMPY\1\0\x76\0", 10), packed = NULL;
        g_autoptr (GString) bytes = NULL;
        g_autoptr (DlhNpz) npz = NULL;
        g_autoptr (GError) error = NULL;
        g_autofree char *path = NULL;

        g_string_append_printf (raw, "%-117s\n", wrong[i].header);
        while (raw->len < 128 + wrong[i].n_bytes)
            g_string_append_c (raw, (char)0xfe);
        if (wrong[i].method) { // which ends before the last element does
            packed = pack (raw);
            g_string_truncate (packed, packed->len - 8);
        }
        bytes = make_archive (&(Member){.name = "a.npy",
                                        .method = wrong[i].method,
                                        .size = (gint64)raw->len,
                                        .raw = packed ? packed->str : raw->str,
                                        .n_raw = packed ? packed->len : raw->len},
                              1, &(End){0});
        path = test_write_file (dir, "a.npz", bytes->str, (gssize)bytes->len);
        npz = dlh_npz_open (path, &error);
        g_assert_no_error (error);
        g_assert_false (dlh_npz_read_pieces (npz, "a", 1, take_nothing, NULL, &error));
        test_assert_error (&error, DLH_ERROR_DATA, wrong[i].message);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (archives); i++) {
        g_autofree char *path = g_strdup_printf ("/npz/%s/%s", archives[i].name,
                                                 archives[i].message ? "refused" : "read");

        g_test_add_data_func (path, &archives[i], archive);
    }
    g_test_add_func ("/npz/pieces/equal-the-whole", pieces);
    g_test_add_func ("/npz/pieces/refused", pieces_refused);
    g_test_add_func ("/npz/shared-bytes/refused", shared_bytes);
    g_test_add_func ("/npz/cut-off-anywhere/refused", cut_off);
    g_test_add_func ("/npz/missing-array/names-those-there", missing_array);
    g_test_add_func ("/npz/missing-array/of-many-or-none", missing_of_many);
    g_test_add_data_func ("/npz/stored/comes-back", NULL, round_trip);
    g_test_add_data_func ("/npz/packed/comes-back", "", round_trip);
    g_test_add_func ("/npz/65600-arrays/come-back", many_arrays);
    g_test_add_func ("/npz/written-names/checked", written_names);
    return g_test_run ();
}
