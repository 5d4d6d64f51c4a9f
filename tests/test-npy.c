/* SPDX-License-Identifier: MIT */
/* npy files put together by hand: what NumPy's page of the format allows is read, all else is
 * refused with a message. tests/interop/ compares with NumPy itself. */
#include "test.h"

#include <sys/stat.h>

/* An npy file: the header as given, its length as it is, or @length where that is not negative. */
static DlhTensor *
read_raw (guint8 version, const char *header, gint64 length, gconstpointer data, gsize n,
          GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autofree char *path = NULL;
    guint32 said = GUINT32_TO_LE ((guint32)(length >= 0 ? length : (gint64)strlen (header)));

    g_byte_array_append (bytes, (const guint8 *)"\x93NUMPY", 6);
    g_byte_array_append (bytes, (const guint8[]){version, 0}, 2);
    g_byte_array_append (bytes, (const guint8 *)&said, version == 1 ? 2 : 4);
    g_byte_array_append (bytes, (const guint8 *)header, (guint)strlen (header));
    g_byte_array_append (bytes, data, (guint)n);
    path = test_write_file (dir, "raw.npy", bytes->data, bytes->len);
    return dlh_npy_read (path, error);
}

/* A file of this element type and shape over @n bytes. */
static DlhTensor *
read_simple (const char *type, gboolean fortran, const char *shape, gconstpointer data, gsize n)
{
    g_autofree char *header =
        g_strdup_printf ("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", type,
                         fortran ? "True" : "False", shape);
    g_autoptr (GError) error = NULL;
    DlhTensor *tensor = read_raw (1, header, -1, data, n, &error);

    g_assert_no_error (error);
    return tensor;
}

typedef struct {
    const char *type;
    const char *bytes; /* of two elements */
    gsize n;
    DlhDType dtype;
    double want[2];
} Type;

static const Type types[] = {
    {"|b1", "\1\0", 2, DLH_BOOL, {1, 0}},
    {"<f2", "\x01\x3c\x00\xfc", 4, DLH_F32, {1 + 0x1p-10, -INFINITY}},
    {">f2", "\x3c\x01\x80\x01", 4, DLH_F32, {1 + 0x1p-10, -0x1p-24}},
    {"<f4", "\0\0\xc0\x3f\0\0\0\x80", 8, DLH_F32, {1.5, -0.0}},
    {">f4", "\x3f\xc0\0\0\xc0\x49\x0f\xdb", 8, DLH_F32, {1.5, -0x1.921fb6p+1}},
    {"<f8", "\0\0\0\0\0\0\xf8\x3f\1\0\0\0\0\0\0\0", 16, DLH_F64, {1.5, 0x1p-1074}},
    {">f8", "\x3f\xf8\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, DLH_F64, {1.5, 0x1p-1074}},
    {"|i1", "\x80\x7f", 2, DLH_I32, {-128, 127}},
    {"<u1", "\x80\xff", 2, DLH_I32, {128, 255}},
    {"<i2", "\xff\xff\x01\x02", 4, DLH_I32, {-1, 513}},
    {">i2", "\xff\xfe\x01\x02", 4, DLH_I32, {-2, 258}},
    {"<u2", "\xff\xff\x01\x02", 4, DLH_I32, {65535, 513}},
    {">u2", "\xff\xfe\x01\x02", 4, DLH_I32, {65534, 258}},
    {"<i4", "\xff\xff\xff\xff\1\2\3\4", 8, DLH_I32, {-1, 0x04030201}},
    {">i4", "\xff\xff\xff\xfe\1\2\3\4", 8, DLH_I32, {-2, 0x01020304}},
    {"<u4", "\xff\xff\xff\xff\1\2\3\4", 8, DLH_I64, {4294967295.0, 0x04030201}},
    {">u4", "\xff\xff\xff\xfe\1\2\3\4", 8, DLH_I64, {4294967294.0, 0x01020304}},
    {"<i8", "\xff\xff\xff\xff\xff\xff\xff\xff\1\2\0\0\0\0\0\0", 16, DLH_I64, {-1, 513}},
    {">i8", "\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\0\0\0\1\2", 16, DLH_I64, {-2, 258}},
    {"<u8", "\xff\xff\xff\xff\xff\xff\x0f\0\1\2\0\0\0\0\0\0", 16, DLH_I64, {0x1p52 - 1, 513}},
    {">u8", "\0\x0f\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\1\2", 16, DLH_I64, {0x1p52 - 1, 258}},
};

static void
read_type (gconstpointer data)
{
    const Type *t = data;
    g_autoptr (DlhTensor) tensor = read_simple (t->type, FALSE, "(2,)", t->bytes, t->n);

    if (!tensor)
        return;
    g_assert_cmpint (dlh_tensor_get_dtype (tensor), ==, t->dtype);
    g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (tensor), dlh_shape (2)));
    for (gint64 i = 0; i < 2; i++) {
        double got = dlh_tensor_get (tensor, i);

        g_assert_true (got == t->want[i] && signbit (got) == signbit (t->want[i]));
    }
}

/* Column order: [[0, 1, 2], [3, 4, 5]] lies as 0 3 1 4 2 5. */
static void
fortran_order (void)
{
    const double want[] = {0, 1, 2, 3, 4, 5};
    g_autoptr (DlhTensor) exact = read_simple (
        "<i4", TRUE, "(2, 3)", (const gint32[]){0, 3, 1, 4, 2, 5}, 6 * sizeof (gint32));
    g_autoptr (DlhTensor) converted = read_simple (">u2", TRUE, "(1, 2, 3)",
                                                   "\0\0\0\3\0\1\0\4\0\2"
                                                   "\0\5",
                                                   12);

    test_assert_tensor (exact, want, 6, 0);
    test_assert_tensor (converted, want, 6, 0);
    g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (converted), dlh_shape (1, 2, 3)));
}

static void
unusual_headers (void)
{
    const char *const headers[] = {
        "{\"shape\":(2,),\"descr\":\"<i4\",\"fortran_order\":False}\n",
        "  { 'fortran_order' :False,'shape' : ( 2L , ) ,\n 'descr' : '<i4' , } \n",
    };

    for (guint i = 0; i < G_N_ELEMENTS (headers); i++)
        for (guint8 version = 1; version <= 3; version++) {
            g_autoptr (GError) error = NULL;
            g_autoptr (DlhTensor) tensor =
                read_raw (version, headers[i], -1, (const gint32[]){5, -6}, 8, &error);

            g_assert_no_error (error);
            if (tensor)
                test_assert_tensor (tensor, ((double[]){5, -6}), 2, 0);
        }
}

static void
shapes_without_elements (void)
{
    g_autoptr (DlhTensor) scalar = read_simple ("<f8", FALSE, "()", &(double){2.5}, 8);
    g_autoptr (DlhTensor) none = read_simple ("<f8", TRUE, "(0,)", "", 0);
    g_autoptr (DlhTensor) flat = read_simple (">u2", TRUE, "(3, 0, 2)", "", 0);

    g_assert_true (scalar && none && flat);
    test_assert_tensor (scalar, ((double[]){2.5}), 1, 0);
    g_assert_cmpint (dlh_tensor_get_shape (scalar).rank, ==, 0);
    g_assert_cmpint (dlh_tensor_count (none), ==, 0);
    g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (flat), dlh_shape (3, 0, 2)));
}

#define HEAD(type, shape) "{'descr': " type ", 'fortran_order': False, 'shape': " shape ", }\n"

typedef struct {
    const char *name, *header;
    gint64 length; /* said; -1: right */
    gsize n;       /* bytes of data */
    const char *message;
} Refusal;

/* clang-format off */
static const Refusal refusals[] = {
    {"objects", HEAD ("'|O'", "(1,)"), -1, 8, "'|O' (Python objects, which only pickle reads"},
    {"records", HEAD ("[('x', '<f4'), ('y', '<i4')]", "(1,)"), -1, 8, "the elements are records"},
    {"subarray", HEAD ("('<f4', (2,))", "(1,)"), -1, 8, "the elements are records"},
    {"complex", HEAD ("'<c8'", "(1,)"), -1, 8, "'<c8' (complex numbers) is not read"},
    {"text", HEAD ("'<U2'", "(1,)"), -1, 8, "'<U2' (text) is not read"},
    {"bytes", HEAD ("'|V8'", "(1,)"), -1, 8, "'|V8' (records or raw bytes) is not read"},
    {"dates", HEAD ("'<M8[s]'", "(1,)"), -1, 8, "(dates or durations) is not read"},
    {"long-double", HEAD ("'<f16'", "(1,)"), -1, 16, "(floats of another size) is not read"},
    {"no-byte-order", HEAD ("'|f4'", "(1,)"), -1, 4, "element type '|f4'"},
    {"native-order", HEAD ("'=f4'", "(1,)"), -1, 4, "element type '=f4'"},
    {"empty-type", HEAD ("''", "(1,)"), -1, 4, "element type ''"},
    {"type-with-escape", HEAD ("'\\x3cf4'", "(1,)"), -1, 4, "a string in quotes is wanted"},
    {"no-newline", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", -1, 4,
     "header, byte 57: it does not end with a newline"},
    {"empty-header", "", -1, 4, "it does not end with a newline"},
    {"newline-alone", "\n", -1, 4, "'{' is wanted"},
    {"missing-key", "{'descr': '<f4', 'shape': (1,), }\n", -1, 4, "'fortran_order' or 'shape' is "
                                                                 "missing"},
    {"key-twice", "{'descr': '<f4', 'descr': '<f8', 'shape': (1,), }\n", -1, 4,
     "key 'descr' is there twice"},
    {"unknown-key", "{'descr': '<f4', 'order': False, 'shape': (1,), }\n", -1, 4,
     "unknown key 'order'"},
    {"text-after", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} or 1\n", -1, 4,
     "more text after the '}'"},
    {"code", "__import__('os').system('true')\n", -1, 4, "'{' is wanted"},
    {"no-truth", "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }\n", -1, 4,
     "True or False is wanted"},
    {"no-comma", "{'descr': '<f4' 'fortran_order': False, 'shape': (1,), }\n", -1, 4,
     "',' or '}' is wanted"},
    {"open-string", "{'descr: <f4\n", -1, 4, "a string in quotes is wanted"},
    {"shape-number", HEAD ("'<f4'", "1"), -1, 4, "'(' is wanted"},
    {"shape-no-tuple", HEAD ("'<f4'", "(1)"), -1, 4, "written with a comma: (3,)"},
    {"shape-negative", HEAD ("'<f4'", "(-1,)"), -1, 4, "a whole number, 0 or more"},
    {"shape-fraction", HEAD ("'<f4'", "(1.0,)"), -1, 4, "',' or ')' is wanted"},
    {"shape-octal", HEAD ("'<f4'", "(01,)"), -1, 4, "a whole number, 0 or more"},
    {"shape-open", HEAD ("'<f4'", "(1,"), -1, 4, "a whole number, 0 or more"},
    {"shape-two-commas", HEAD ("'<f4'", "(1,,)"), -1, 4, "a whole number, 0 or more"},
    {"nine-axes", HEAD ("'<f4'", "(1,1,1,1,1,1,1,1,1)"), -1, 4, "has more than 8 axes"},
    {"size-overflow", HEAD ("'<f4'", "(9223372036854775808,)"), -1, 4,
     "a size above 9223372036854775807"},
    {"product-overflow", HEAD ("'<f4'", "(4294967296, 4294967296)"), -1, 4,
     "shape [4294967296,4294967296] has too many elements"},
    {"overflow-beside-zero", HEAD ("'<f4'", "(4294967296, 4294967296, 0)"), -1, 0,
     "has too many elements"},
    {"2^40-elements", HEAD ("'<f4'", "(1099511627776,)"), -1, 4,
     "shape [1099511627776] takes 4398046511104 bytes, but 4 follow the header: is it cut off?"},
    {"too-few", HEAD ("'<f4'", "(3,)"), -1, 8, "takes 12 bytes, but 8 follow"},
    {"too-many", HEAD ("'<f4'", "(1,)"), -1, 5, "takes 4 bytes, but 5 follow the header"},
    {"scalar-without-data", HEAD ("'<f4'", "()"), -1, 0, "takes 4 bytes, but 0 follow"},
    {"long-header", HEAD ("'<f4'", "(1,)"), 60000, 4,
     "ends within the header: 60000 bytes are wanted"},
    {"bool-of-2", HEAD ("'|b1'", "(3,)"), -1, 3, "element 2 of type BOOL is 2, not 0 or 1"},
};
/* clang-format on */

static void
refuse (gconstpointer data)
{
    const Refusal *r = data;
    const guint8 bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    for (guint8 version = 1; version <= 3; version++) {
        g_autoptr (GError) error = NULL;

        g_assert_null (read_raw (version, r->header, r->length, bytes, r->n, &error));
        if (error)
            g_assert_nonnull (strstr (error->message, "raw.npy: "));
        test_assert_error (&error, DLH_ERROR_DATA, r->message);
    }
}

typedef struct {
    const char *name, *bytes;
    gsize n;
    const char *message;
} Start;

static const Start starts[] = {
    {"empty", "", 0, "ends within the magic number: 8 bytes are wanted, 0 are there"},
    {"short", "\x93NUM", 4, "ends within the magic number"},
    {"magic", "PK\3\4____\1\0\n", 11, "is not an npy file: it does not begin with \\x93NUMPY"},
    {"version-0", "\x93NUMPY\0\0\1\0\n", 11, "has npy version 0.0, 1.0, 2.0 and 3.0 are read"},
    {"version-9", "\x93NUMPY\x09\0\1\0\n", 11, "has npy version 9.0"},
    {"version-1.1", "\x93NUMPY\1\1\1\0\n", 11, "has npy version 1.1"},
    {"no-length", "\x93NUMPY\1\0\1", 9, "ends within the header's length"},
    {"no-length-2", "\x93NUMPY\2\0\1\0\0", 11, "ends within the header's length"},
    {"length-2^32", "\x93NUMPY\2\0\xff\xff\xff\xff", 12,
     "says that its header has 4294967295 bytes, 65535 is the limit"},
};

static void
refuse_start (gconstpointer data)
{
    const Start *s = data;
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "raw.npy", s->bytes, (gssize)s->n);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_npy_read (path, &error));
    test_assert_error (&error, DLH_ERROR_DATA, s->message);
}

static void
large_u8 (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (read_raw (1, HEAD ("'<u8'", "(1,)"), -1, "\0\0\0\0\0\0\0\x80", 8, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "element 0 is 9223372036854775808, too large for i64");
}

static void
no_regular_file (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *fifo = g_build_filename (dir, "fifo", NULL);
    g_autofree char *missing = g_build_filename (dir, "missing.npy", NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_npy_read (missing, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "there is no such file");
    g_assert_null (dlh_npy_read (dir, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is a directory, a regular file is wanted");
    g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
    g_assert_null (dlh_npy_read (fifo, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is a pipe, a regular file is wanted");
}

/* Byte for byte what NumPy 1.24 writes for np.save (np.array ([[1, 2, 3]], '<i4')). */
static void
written_bytes (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npy", NULL), *got = NULL;
    g_autoptr (DlhTensor) tensor = test_tensor (DLH_I32, dlh_shape (1, 3), 1, 2, 3);
    char want[128 + 12];
    gsize n;

    memset (want, ' ', 127);
    memcpy (want, "\x93NUMPY\1\0\x76\0", 10);
    memcpy (want + 10, "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 3), }", 59);
    want[127] = '\n';
    memcpy (want + 128, "\1\0\0\0\2\0\0\0\3\0\0\0", 12);
    g_assert_true (dlh_npy_write (path, tensor, NULL));
    g_assert_true (g_file_get_contents (path, &got, &n, NULL));
    g_assert_cmpuint (n, ==, sizeof want);
    g_assert_true (memcmp (got, want, MIN (n, sizeof want)) == 0);
}

static void
round_trip (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "a.npy", NULL);
    const DlhDType dtypes[] = {DLH_F32, DLH_F64, DLH_I32, DLH_I64, DLH_BOOL};
    const DlhShape shapes[] = {dlh_shape (), dlh_shape (0), dlh_shape (3), dlh_shape (2, 0, 4),
                               dlh_shape (1, 2, 3, 1, 2, 1, 1, 2)};

    for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++)
        for (guint k = 0; k < G_N_ELEMENTS (shapes); k++) {
            g_autoptr (DlhTensor) want = dlh_tensor_new (dtypes[i], shapes[k], NULL);
            g_autoptr (DlhTensor) got = NULL;
            g_autoptr (GError) error = NULL;

            for (gint64 e = 0; e < dlh_tensor_count (want); e++)
                dlh_tensor_set (want, e,
                                dtypes[i] == DLH_BOOL ? (double)(e % 2) : (double)e * -1.5);
            g_assert_true (dlh_npy_write (path, want, &error));
            g_assert_no_error (error);
            got = dlh_npy_read (path, &error);
            g_assert_no_error (error);
            if (got)
                test_assert_tensors_equal (got, want);
        }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
        g_autofree char *path = g_strdup_printf ("/npy/type-%s/read", types[i].type);

        g_test_add_data_func (path, &types[i], read_type);
    }
    for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
        g_autofree char *path = g_strdup_printf ("/npy/%s/refused", refusals[i].name);

        g_test_add_data_func (path, &refusals[i], refuse);
    }
    for (guint i = 0; i < G_N_ELEMENTS (starts); i++) {
        g_autofree char *path = g_strdup_printf ("/npy/start-%s/refused", starts[i].name);

        g_test_add_data_func (path, &starts[i], refuse_start);
    }
    g_test_add_func ("/npy/fortran-order/turned", fortran_order);
    g_test_add_func ("/npy/unusual-headers/read", unusual_headers);
    g_test_add_func ("/npy/no-elements/read", shapes_without_elements);
    g_test_add_func ("/npy/u8-above-i64/refused", large_u8);
    g_test_add_func ("/npy/no-regular-file/refused", no_regular_file);
    g_test_add_func ("/npy/written/bytes-of-numpy", written_bytes);
    g_test_add_func ("/npy/every-type/comes-back", round_trip);
    return g_test_run ();
}
