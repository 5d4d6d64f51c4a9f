/* SPDX-License-Identifier: MIT */
/* Whole files, plain and gzip; idx files; tables of numbers. */
#include "test.h"

#include <zlib.h>

/* One gzip member. */
static GByteArray *
pack (gconstpointer data, gsize n)
{
    GByteArray *out = g_byte_array_sized_new ((guint)n + 1000);
    z_stream z = {0};

    g_byte_array_set_size (out, (guint)n + 1000);
    g_assert_cmpint (deflateInit2 (&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), ==, Z_OK);
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)n;
    z.next_out = out->data;
    z.avail_out = out->len;
    g_assert_cmpint (deflate (&z, Z_FINISH), ==, Z_STREAM_END);
    g_byte_array_set_size (out, (guint)z.total_out);
    deflateEnd (&z);
    return out;
}

static GBytes *
read_bytes (gconstpointer data, gsize n, gsize max, GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "f", data, (gssize)n);

    return dlh_file_read (path, max, error);
}

static void
assert_bytes (GBytes *got, gconstpointer want, gsize n)
{
    g_assert_nonnull (got);
    if (!got)
        return;
    g_assert_cmpuint (g_bytes_get_size (got), ==, n);
    g_assert_true (g_bytes_get_size (got) == n &&
                   memcmp (g_bytes_get_data (got, NULL), want, n) == 0);
}

static void
plain (void)
{
    static const char *const texts[] = {"", "a", "\x1f\x8b", "hello"};

    for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
        gsize n = strlen (texts[i]);
        g_autoptr (GBytes) got = read_bytes (texts[i], n, n, NULL);

        assert_bytes (got, texts[i], n);
    }
}

/* Text that packs well, longer than the reader's pieces. */
static char *
long_text (gsize n)
{
    char *text = g_malloc (n);

    for (gsize i = 0; i < n; i++)
        text[i] = (char)('a' + i / 7 % 26);
    return text;
}

static void
gzip (void)
{
    static const gsize sizes[] = {0, 1, 1000, 262144, 1000003};

    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
        g_autofree char *text = long_text (MAX (sizes[i], 1));
        g_autoptr (GByteArray) packed = pack (text, sizes[i]);
        g_autoptr (GError) error = NULL;
        g_autoptr (GBytes) got = read_bytes (packed->data, packed->len, sizes[i], &error);

        g_assert_no_error (error);
        assert_bytes (got, text, sizes[i]);
    }
}

static void
gzip_members (void)
{
    g_autofree char *text = long_text (700000);
    g_autoptr (GByteArray) file = pack (text, 300000);
    g_autoptr (GByteArray) second = pack (text + 300000, 0), third = pack (text + 300000, 400000);
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) got = NULL;

    g_byte_array_append (file, second->data, second->len);
    g_byte_array_append (file, third->data, third->len);
    got = read_bytes (file->data, file->len, 700000, &error);
    g_assert_no_error (error);
    assert_bytes (got, text, 700000);
}

static void
gzip_cut (void)
{
    g_autofree char *text = long_text (3000);
    g_autoptr (GByteArray) packed = pack (text, 3000);

    // Below three bytes nothing tells that it was gzip.
    for (gsize n = 3; n < packed->len; n++) {
        g_autoptr (GError) error = NULL;

        g_assert_null (read_bytes (packed->data, n, 10000, &error));
        test_assert_error (&error, DLH_ERROR_DATA, "the gzip data end too early");
    }
}

static void
gzip_garbage (void)
{
    g_autofree char *text = long_text (3000);
    g_autoptr (GByteArray) packed = pack (text, 3000);
    g_autoptr (GError) error = NULL;

    packed->data[packed->len - 6] ^= 1; // the checksum
    g_assert_null (read_bytes (packed->data, packed->len, 10000, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "before byte 3000 of the contents");
    packed->data[packed->len - 6] ^= 1;
    g_byte_array_append (packed, (const guint8 *)"garbage", 7);
    g_assert_null (read_bytes (packed->data, packed->len, 10000, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "before byte 3000 of the contents");
}

// A lie about the size must not take memory, a bomb must stop at the limit.
static void
limits (void)
{
    g_autofree char *text = long_text (5000), *zeros = g_malloc0 (20000000);
    g_autoptr (GByteArray) packed = pack (text, 5000), bomb = pack (zeros, 20000000);
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) got = NULL;

    g_assert_null (read_bytes (text, 5000, 4999, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "more than 4999 bytes, at most that is read");
    g_assert_null (read_bytes (packed->data, packed->len, 4999, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "more than 4999 bytes when inflated");
    g_assert_null (read_bytes (bomb->data, bomb->len, 1000, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "more than 1000 bytes when inflated");
    got = read_bytes (packed->data, packed->len, G_MAXSIZE, &error);
    g_assert_no_error (error);
    assert_bytes (got, text, 5000);
}

static void
locate (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *packed = test_write_file (dir, "a.gz", "", 0);
    g_autofree char *both = test_write_file (dir, "b", "", 0);
    g_autofree char *both_packed = test_write_file (dir, "b.gz", "", 0);
    g_autofree char *a = dlh_file_locate (dir, "a"), *b = dlh_file_locate (dir, "b");
    g_autofree char *c = dlh_file_locate (dir, "c");

    g_assert_nonnull (both_packed);
    g_assert_cmpstr (a, ==, packed);
    g_assert_cmpstr (b, ==, both);
    g_assert_true (g_str_has_suffix (c, "/c"));
}

/* idx */

#define BYTES(...) (const guint8[]){__VA_ARGS__}, sizeof ((const guint8[]){__VA_ARGS__})

typedef struct {
    const char *name;
    const guint8 *data;
    gsize n;
    const char *message;
} BadIdx;

static const BadIdx bad_idx[] = {
    {"empty", (const guint8 *)"", 0, "is not an idx file"},
    {"short-magic", BYTES (0, 0, 8), "is not an idx file"},
    {"bad-magic", BYTES (1, 0, 8, 1, 0, 0, 0, 0), "is not an idx file"},
    {"type-code", BYTES (0, 0, 13, 1, 0, 0, 0, 0), "element type 0x0d"},
    {"no-axes", BYTES (0, 0, 8, 0), "has 0 axes, 1 to 8"},
    {"nine-axes", BYTES (0, 0, 8, 9), "has 9 axes, 1 to 8"},
    {"short-header", BYTES (0, 0, 8, 2, 0, 0, 0, 1), "ends within its header of 12 bytes"},
    {"count-above-file", BYTES (0, 0, 8, 1, 0, 0, 0, 3, 1, 2), "[3] elements, but 2 bytes"},
    {"count-below-file", BYTES (0, 0, 8, 1, 0, 0, 0, 1, 1, 2), "[1] elements, but 2 bytes"},
    {"huge-count", BYTES (0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255, 1), "but 1 bytes"},
    {"count-wraps-to-zero", BYTES (0, 0, 8, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0),
     "but 0 bytes"},
};

static void
idx_bad (gconstpointer data)
{
    const BadIdx *bad = data;
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "x.idx", bad->data, (gssize)bad->n);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_idx_read (path, DLH_F32, 1, &error));
    if (error)
        g_assert_nonnull (strstr (error->message, "x.idx: "));
    test_assert_error (&error, DLH_ERROR_DATA, bad->message);
}

static void
idx_good (void)
{
    static const guint8 data[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 51, 102, 255};
    static const double scaled[] = {0, 0.2, 0.4, 1}, whole[] = {0, 51, 102, 255};
    static const double truth[] = {0, 1, 1, 1};
    static const DlhDType dtypes[] = {DLH_F32, DLH_F64, DLH_I32, DLH_I64, DLH_BOOL};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "x", data, sizeof data);

    for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++) {
        gboolean real = dlh_dtype_is_float (dtypes[i]);
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhTensor) t = dlh_idx_read (path, dtypes[i], real ? 1 / 255.0 : 1, &error);

        g_assert_no_error (error);
        if (!t)
            continue;
        g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (t), dlh_shape (2, 2)));
        test_assert_tensor (t, real ? scaled : dtypes[i] == DLH_BOOL ? truth : whole, 4, 1);
    }
}

/* Tables */

typedef struct {
    const char *name, *text;
    guint header_rows;
    const char *message; /* NULL: the table is [2,2] with 1, -2.5, 3, 4e2 */
} TableCase;

static const TableCase tables[] = {
    {"spaces", "1 -2.5\n3 4e2\n", 0, NULL},
    {"commas", "1,-2.5\n3,4e2\n", 0, NULL},
    {"commas-and-spaces", "1 , -2.5\n 3,\t4e2 \n", 0, NULL},
    {"crlf", "1 -2.5\r\n3 4e2\r\n", 0, NULL},
    {"no-final-newline", "1 -2.5\n3 4e2", 0, NULL},
    {"empty-lines", "\n\n1 -2.5\n  \n\r\n3 4e2\n\n", 0, NULL},
    {"byte-order-mark",
     "\xef\xbb\xbf"
     "1 -2.5\n3 4e2\n",
     0, NULL},
    {"header", "t,\"y\"\n1,-2.5\n3,4e2\n", 1, NULL},
    {"other-spellings", "+1.0 -25e-1\n.3e1 400.\n", 0, NULL},
    {"many-digits", "1.0000000000000000000000000 -2.5\n3 0.0004E+6\n", 0, NULL},
    {"ragged-short", "1 2\n3\n", 0, "line 2: 1 numbers, the rows before have 2"},
    {"ragged-long", "1 2\n\n3 4 5\n", 0, "line 3: 3 numbers"},
    {"junk", "1 2\n3 x4\n", 0, "line 2, column 2: 'x4' is not a finite number"},
    {"junk-after-number", "1 2x\n", 0, "'2x' is not"},
    {"nan", "1 nan\n", 0, "line 1, column 2: 'nan' is not a finite number"},
    {"inf", "1 inf\n", 0, "'inf' is not"},
    {"overflow", "1 1e400\n", 0, "'1e400' is not"},
    {"hexadecimal", "1 0x10\n", 0, "'0x10' is not"},
    {"exponent-alone", "1 2e\n", 0, "'2e' is not"},
    {"sign-alone", "1 -\n", 0, "'-' is not"},
    {"quotes", "\"1\" 2\n", 0, "is not a finite number"},
    {"binary", "1 \xff\x01\n", 0, "'\\377\\001' is not"},
    {"two-commas", "1,,2\n", 0, "column 2: '' is not"},
    {"comma-first", ",1\n", 0, "column 1: '' is not"},
    {"comma-last", "1,2,\n", 0, "column 3: a number is missing after the comma"},
    {"empty", "", 0, "the table has no rows"},
    {"blank", " \n\t\r\n", 0, "the table has no rows"},
    {"header-only", "a b\n", 1, "the table has no rows"},
    {"more-header-than-lines", "1 2\n", 5, "the table has no rows"},
};

static void
table (gconstpointer data)
{
    const TableCase *c = data;
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "t.txt", c->text, -1);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) t = dlh_table_read (path, c->header_rows, &error);

    if (c->message) {
        g_assert_null (t);
        if (error)
            g_assert_nonnull (strstr (error->message, "t.txt: "));
        test_assert_error (&error, DLH_ERROR_DATA, c->message);
        return;
    }
    g_assert_no_error (error);
    if (t)
        g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (t), dlh_shape (2, 2)));
    if (t)
        test_assert_tensor (t, ((double[]){1, -2.5, 3, 400}), 4, 0);
}

static void
table_nul (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "t.txt", "1 2\0003 4\n", 8);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_table_read (path, 0, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is not a finite number");
}

static void
table_long_line (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (GString) text = g_string_new (NULL);
    g_autofree char *junk = g_strnfill (10000000, '7'), *path = NULL, *junk_path = NULL;
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) t = NULL;

    for (gint i = 0; i < 200000; i++)
        g_string_append_printf (text, "%d ", i);
    path = test_write_file (dir, "t", text->str, (gssize)text->len);
    t = dlh_table_read (path, 0, &error);
    g_assert_no_error (error);
    if (t)
        g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (t), dlh_shape (1, 200000)));
    if (t)
        g_assert_cmpfloat (dlh_tensor_get (t, 199999), ==, 199999);
    // One "number" of ten million digits: refused, in a message that stays short.
    junk_path = test_write_file (dir, "j", junk, 10000000);
    g_assert_null (dlh_table_read (junk_path, 0, &error));
    if (error)
        g_assert_cmpuint (strlen (error->message), <, 1000);
    test_assert_error (&error, DLH_ERROR_DATA, "is not a finite number");
}

// Printed with 17 digits, every double comes back.
static void
table_exact (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (GString) text = g_string_new (NULL);
    g_autofree char *path = NULL;
    double want[3000];
    g_autoptr (DlhTensor) t = NULL;

    test_random (5, want, 3000);
    for (guint i = 0; i < 3000; i++) {
        char buffer[G_ASCII_DTOSTR_BUF_SIZE];

        want[i] = ldexp (want[i], (int)(i % 61) * 20 - 600);
        g_string_append_printf (text, "%s\n", g_ascii_dtostr (buffer, sizeof buffer, want[i]));
    }
    path = test_write_file (dir, "t", text->str, (gssize)text->len);
    t = dlh_table_read (path, 0, NULL);
    g_assert_nonnull (t);
    if (t)
        test_assert_tensor (t, want, 3000, 0);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/io/plain/same-bytes", plain);
    g_test_add_func ("/io/gzip/same-bytes", gzip);
    g_test_add_func ("/io/gzip/members-are-joined", gzip_members);
    g_test_add_func ("/io/gzip/cut-is-refused", gzip_cut);
    g_test_add_func ("/io/gzip/garbage-is-refused", gzip_garbage);
    g_test_add_func ("/io/limit/is-kept", limits);
    g_test_add_func ("/io/locate/plain-before-gzip", locate);
    g_test_add_func ("/io/idx/good/values", idx_good);
    for (guint i = 0; i < G_N_ELEMENTS (bad_idx); i++) {
        g_autofree char *path = g_strdup_printf ("/io/idx/%s/is-refused", bad_idx[i].name);

        g_test_add_data_func (path, &bad_idx[i], idx_bad);
    }
    for (guint i = 0; i < G_N_ELEMENTS (tables); i++) {
        g_autofree char *path = g_strdup_printf ("/io/table/%s/%s", tables[i].name,
                                                 tables[i].message ? "is-refused" : "is-read");

        g_test_add_data_func (path, &tables[i], table);
    }
    g_test_add_func ("/io/table/nul/is-refused", table_nul);
    g_test_add_func ("/io/table/long-line/is-read", table_long_line);
    g_test_add_func ("/io/table/random-doubles/come-back", table_exact);
    return g_test_run ();
}
