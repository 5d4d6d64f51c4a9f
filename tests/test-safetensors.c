/* SPDX-License-Identifier: MIT */
/* safetensors: what is written comes back bit for bit, and no damaged file is taken. */
#include "test.h"

#include <unistd.h>

/* A file put together by hand: the header's length as @length says, the header, then @n_data bytes
 * that count up from 0. */
static char *
write_raw (const char *dir, guint64 length, const char *header, gsize n_header, gsize n_data)
{
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    guint64 little = GUINT64_TO_LE (length);

    g_byte_array_append (bytes, (const guint8 *)&little, 8);
    g_byte_array_append (bytes, (const guint8 *)header, (guint)n_header);
    for (gsize i = 0; i < n_data; i++)
        g_byte_array_append (bytes, &(guint8){(guint8)i}, 1);
    return test_write_file (dir, "raw.safetensors", bytes->data, bytes->len);
}

static DlhSafetensors *
read_raw (const char *header, gsize n_header, gsize n_data, GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = write_raw (dir, n_header, header, n_header, n_data);

    return dlh_safetensors_read (path, error);
}

/* Tensors of every element type and of unusual shapes. */
static DlhTensor *
sample (guint i)
{
    switch (i) {
    case 0:
        return test_tensor (DLH_F32, dlh_shape (2, 2), 1.5, -0.0, NAN, INFINITY);
    case 1:
        return test_tensor (DLH_F64, dlh_shape (3), 1.0 / 3, -NAN, -INFINITY);
    case 2:
        return test_tensor (DLH_I32, dlh_shape (2), G_MININT32, G_MAXINT32);
    case 3:
        return test_tensor (DLH_I64, dlh_shape (1, 2), -9007199254740992.0, 7);
    case 4:
        return test_tensor (DLH_BOOL, dlh_shape (3), 1, 0, 1);
    case 5:
        return test_tensor (DLH_F64, dlh_shape (), 0x1p-1074);
    default:
        return dlh_tensor_new (DLH_F32, dlh_shape (3, 0, 2), NULL);
    }
}

static const char *const sample_names[] = {
    "f32", "f64", "i32", "i64", "bool", "a/scalar", "z\"\\\n\xc3\xa4"};

#define N_SAMPLES G_N_ELEMENTS (sample_names)

/* Writes the samples in the order @first, @first + 1, ... around. */
static char *
write_samples (const char *dir, const char *file, guint first)
{
    char *path = g_build_filename (dir, file, NULL);
    g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhTensor *tensors[N_SAMPLES];
    const char *names[N_SAMPLES];

    g_hash_table_insert (metadata, (gpointer)(first % 2 ? "quote\"d" : "model"),
                         (gpointer)(first % 2 ? "tab\t\x01" : "mlp"));
    g_hash_table_insert (metadata, (gpointer)(first % 2 ? "model" : "quote\"d"),
                         (gpointer)(first % 2 ? "mlp" : "tab\t\x01"));
    for (guint i = 0; i < N_SAMPLES; i++) {
        tensors[i] = sample ((i + first) % N_SAMPLES);
        names[i] = sample_names[(i + first) % N_SAMPLES];
    }
    g_assert_true (dlh_safetensors_write (path, names, tensors, N_SAMPLES, metadata, &error));
    g_assert_no_error (error);
    for (guint i = 0; i < N_SAMPLES; i++)
        dlh_tensor_unref (tensors[i]);
    return path;
}

static void
round_trip (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = write_samples (dir, "a", 0);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) file = dlh_safetensors_read (path, &error);

    g_assert_no_error (error);
    if (!file)
        return;
    g_assert_cmpuint (dlh_safetensors_names (file)->len, ==, N_SAMPLES);
    for (guint i = 0; i < N_SAMPLES; i++) {
        g_autoptr (DlhTensor) want = sample (i);
        DlhTensor *got = dlh_safetensors_get (file, sample_names[i]);

        g_assert_nonnull (got);
        if (got)
            test_assert_tensors_equal (got, want);
    }
    g_assert_null (dlh_safetensors_get (file, "f3"));
    g_assert_cmpuint (dlh_safetensors_count_nonfinite (file), ==, 4);
    g_assert_cmpuint (g_hash_table_size (dlh_safetensors_metadata (file)), ==, 2);
    g_assert_cmpstr (g_hash_table_lookup (dlh_safetensors_metadata (file), "model"), ==, "mlp");
    g_assert_cmpstr (g_hash_table_lookup (dlh_safetensors_metadata (file), "quote\"d"), ==,
                     "tab\t\x01");
}

static void
same_bytes (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *a = write_samples (dir, "a", 0), *first = NULL;
    gsize n_first, n;

    g_assert_true (g_file_get_contents (a, &first, &n_first, NULL));
    for (guint i = 1; i < N_SAMPLES; i++) {
        g_autofree char *b = write_samples (dir, "b", i), *bytes = NULL;

        g_assert_true (g_file_get_contents (b, &bytes, &n, NULL));
        g_assert_true (n == n_first && memcmp (first, bytes, n) == 0);
    }
}

// The place of each tensor is a multiple of its element size from the file's start, so that other
// programs may map it.
static void
aligned (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = write_samples (dir, "a", 0), *bytes = NULL;
    guint64 length = 0;
    gsize n;

    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    memcpy (&length, bytes, 8);
    g_assert_cmpuint ((8 + GUINT64_FROM_LE (length)) % 8, ==, 0);
    g_assert_cmpint (bytes[8], ==, '{');
}

static void
empty_file (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "empty", NULL);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) file = NULL;

    g_assert_true (dlh_safetensors_write (path, NULL, NULL, 0, NULL, &error));
    g_assert_no_error (error);
    file = dlh_safetensors_read (path, &error);
    g_assert_no_error (error);
    g_assert_nonnull (file);
    if (file)
        g_assert_cmpuint (dlh_safetensors_names (file)->len, ==, 0);
}

static void
every_prefix (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = write_samples (dir, "a", 0), *bytes = NULL;
    gsize n = 0;

    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    g_assert_cmpuint (n, >, 500);
    while (n-- > 0) {
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhSafetensors) file = NULL;

        g_assert_cmpint (truncate (path, (off_t)n), ==, 0);
        file = dlh_safetensors_read (path, &error);
        if (file || !g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA))
            test_fail ("the first %zu bytes: %s", n, error ? error->message : "accepted");
    }
}

static void
header_length (void)
{
    static const struct {
        guint64 length;
        const char *message;
    } cases[] = {
        {0, "'{' must come first"},
        {1, "'\"' is wanted"},
        {3, "the file is shorter: is it cut off?"},
        {(guint64)1 << 31, "100000000 is the limit"},
        {(guint64)1 << 63, "100000000 is the limit"},
        {G_MAXUINT64, "100000000 is the limit"},
        {G_MAXUINT64 - 7, "100000000 is the limit"},
    };
    g_autoptr (TestDir) dir = test_temp_dir ();

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path = write_raw (dir, cases[i].length, "{}", 2, 0);
        g_autoptr (GError) error = NULL;

        g_assert_null (dlh_safetensors_read (path, &error));
        test_assert_error (&error, DLH_ERROR_DATA, cases[i].message);
    }
}

#define F32(place) "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" place "}}"
#define SHAPE(shape) "{\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[0,4]}}"
#define ENTRY(name, place)                                                                         \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":" place "}"

typedef struct {
    const char *name, *header;
    gsize n_data;
    const char *message;
} BadHeader;

static const BadHeader bad_headers[] = {
    {"not-an-object", "[]", 0, "'{' must come first"},
    {"space-before-object", " {}", 0, "'{' must come first"},
    {"invalid-utf-8", "{\"\xff\":1}", 0, "not UTF-8"},
    {"text-after-object", "{}x", 0, "more text after the last '}'"},
    {"deep-object-as-tensor", "{\"a\":{\"dtype\":{\"x\":1}}}", 0, "'\"' is wanted"},
    {"deep-list-as-shape", SHAPE ("[[1]]"), 4, "a whole number without sign is wanted"},
    {"duplicate-tensor", "{" ENTRY ("a", "[0,2]") "," ENTRY ("a", "[2,4]") "}", 4,
     "'a' is there twice"},
    {"duplicate-escaped", "{" ENTRY ("a", "[0,2]") "," ENTRY ("\\u0061", "[2,4]") "}", 4,
     "'a' is there twice"},
    {"duplicate-field",
     "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "'dtype' is there twice"},
    {"unknown-dtype", "{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "element type 'F31' is not known"},
    {"unknown-field", "{\"a\":{\"type\":\"F32\"}}", 4, "unknown field 'type'"},
    {"missing-field", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "is missing"},
    {"negative-size", SHAPE ("[-1]"), 4, "without sign"},
    {"fractional-size", SHAPE ("[1.5]"), 4, "a whole number"},
    {"exponent-size", SHAPE ("[1e400]"), 4, "a whole number"},
    {"string-size", SHAPE ("[\"1\"]"), 4, "a whole number"},
    {"leading-zero-size", SHAPE ("[01]"), 4, "a whole number"},
    {"huge-size", SHAPE ("[9223372036854775808]"), 4, "above 9223372036854775807"},
    {"product-overflow", SHAPE ("[4294967296,4294967296]"), 4, "too many elements"},
    {"product-wraps-to-right-size", SHAPE ("[4611686018427387905]"), 4, "too many elements"},
    {"nine-axes", SHAPE ("[1,1,1,1,1,1,1,1,1]"), 4, "more than 8 numbers"},
    {"comma-before-bracket", SHAPE ("[1,]"), 4, "a whole number"},
    {"one-offset", F32 ("[0]"), 4, "data_offsets must be two numbers"},
    {"three-offsets", F32 ("[0,4,4]"), 4, "more than 2 numbers"},
    {"begin-after-end", F32 ("[4,0]"), 4, "ends before"},
    {"beyond-file", F32 ("[0,8]"), 4, "ends at byte 8 of 4"},
    {"wrong-size-for-dtype", F32 ("[0,2]"), 2, "takes 4 bytes, but its place has 2"},
    {"overlap", "{" ENTRY ("a", "[0,2]") "," ENTRY ("b", "[1,3]") "}", 3, "may not overlap"},
    {"same-place", "{" ENTRY ("a", "[0,2]") "," ENTRY ("b", "[0,2]") "}", 2, "may not overlap"},
    {"hole", "{" ENTRY ("a", "[0,2]") "," ENTRY ("b", "[3,5]") "}", 5, "may not leave holes"},
    {"hole-at-start", "{" ENTRY ("a", "[1,3]") "}", 3, "may not leave holes"},
    {"trailing-bytes", F32 ("[0,4]"), 7, "3 bytes follow"},
    {"no-tensors-but-bytes", "{}", 1, "1 bytes follow"},
    {"metadata-number", "{\"__metadata__\":{\"a\":1}}", 0, "a string is wanted"},
    {"metadata-object", "{\"__metadata__\":{\"a\":{}}}", 0, "a string is wanted"},
    {"metadata-list", "{\"__metadata__\":[]}", 0, "'{' is wanted"},
    {"metadata-twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "is there twice"},
    {"metadata-key-twice", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "is there twice"},
    {"comment", "{/**/}", 0, "'\"' is wanted"},
    {"nul-in-name", "{\"\\u0000\":{}}", 0, "NUL"},
    {"half-surrogate", "{\"\\ud800\":{}}", 0, "surrogate"},
    {"bad-escape", "{\"\\x\":{}}", 0, "unknown escape"},
    {"bool-of-two", "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3,
     "element 2 of type BOOL is 2"},
};

static void
bad_header (gconstpointer data)
{
    const BadHeader *bad = data;
    g_autoptr (GError) error = NULL;

    g_assert_null (read_raw (bad->header, strlen (bad->header), bad->n_data, &error));
    if (error)
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
    test_assert_error (&error, DLH_ERROR_DATA, bad->message);
}

// A million brackets must not overflow the stack.
static void
deep_nesting (void)
{
    static const char *const starts[] = {
        "{\"a\":", "{\"__metadata__\":{\"a\":", "{\"a\":{\"shape\":"};

    for (guint i = 0; i < G_N_ELEMENTS (starts); i++) {
        g_autofree char *nest = g_strnfill (1000000, i ? '[' : '{');
        g_autofree char *header = g_strconcat (starts[i], nest, NULL);
        g_autoptr (GError) error = NULL;

        g_assert_null (read_raw (header, strlen (header), 0, &error));
        test_assert_error (&error, DLH_ERROR_DATA, "wanted");
    }
}

static void
long_name (void)
{
    g_autofree char *name = g_strnfill (100000, 'n');
    g_autofree char *header = g_strdup_printf ("{" ENTRY ("%s", "[0,3]") "}", name);
    g_autofree char *good = g_strdup_printf ("{" ENTRY ("%s", "[0,2]") "}", name);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) file = NULL;

    g_assert_null (read_raw (header, strlen (header), 3, &error));
    if (error)
        g_assert_cmpuint (strlen (error->message), <, 1000);
    test_assert_error (&error, DLH_ERROR_DATA, "takes 2 bytes");
    file = read_raw (good, strlen (good), 2, &error);
    g_assert_no_error (error);
    if (file)
        g_assert_nonnull (dlh_safetensors_get (file, name));
}

/* Types that are read as another: values of the data bytes 0, 1, 2, ... */
static void
foreign_types (void)
{
    static const struct {
        const char *type;
        gsize size;
        DlhDType dtype;
        double want[2];
    } cases[] = {
        // As binary16 0x0100 and 0x0302 are below the least normal number.
        {"F16", 2, DLH_F32, {256 * 0x1p-24, 770 * 0x1p-24}},
        {"BF16", 2, DLH_F32, {0x1p-125, 0x1p-121 * (1 + 2.0 / 128)}},
        {"I8", 1, DLH_I32, {0, 1}},
        {"U8", 1, DLH_I32, {0, 1}},
        {"I16", 2, DLH_I32, {256, 770}},
        {"U16", 2, DLH_I32, {256, 770}},
        {"U32", 4, DLH_I64, {50462976, 117835012}},
        {"U64", 8, DLH_I64, {506097522914230528.0, 1084818905618843912.0}},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *header =
            g_strdup_printf ("{\"a\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}",
                             cases[i].type, 2 * cases[i].size);
        g_autoptr (GError) error = NULL;
        g_autoptr (DlhSafetensors) file =
            read_raw (header, strlen (header), 2 * cases[i].size, &error);
        DlhTensor *a = file ? dlh_safetensors_get (file, "a") : NULL;

        g_assert_no_error (error);
        if (!a)
            continue;
        g_assert_cmpint (dlh_tensor_get_dtype (a), ==, cases[i].dtype);
        for (guint k = 0; k < 2; k++)
            if (dlh_tensor_get (a, k) != cases[i].want[k])
                test_fail ("%s[%u] is %.17g, should be %.17g", cases[i].type, k,
                           dlh_tensor_get (a, k), cases[i].want[k]);
    }
}

static void
half_values (void)
{
    static const char header[] =
        "{\"a\":{\"dtype\":\"F16\",\"shape\":[5],\"data_offsets\":[0,10]}}";
    static const guint16 bits[] = {0x3c00, 0xc500, 0x7c00, 0x7bff, 0x8000};
    static const double want[] = {1, -5, INFINITY, 65504, -0.0};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = write_raw (dir, strlen (header), header, strlen (header), 10);
    g_autofree char *bytes = NULL;
    g_autoptr (DlhSafetensors) file = NULL;
    gsize n;

    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    memcpy (bytes + n - 10, bits, 10);
    g_free (test_write_file (dir, "raw.safetensors", bytes, (gssize)n));
    file = dlh_safetensors_read (path, NULL);
    g_assert_nonnull (file);
    for (guint i = 0; file && i < 5; i++) {
        double got = dlh_tensor_get (dlh_safetensors_get (file, "a"), i);

        g_assert_true (got == want[i] && signbit (got) == signbit (want[i]));
    }
}

static void
not_a_file (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *missing = g_build_filename (dir, "missing", NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_safetensors_read (dir, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is a directory, a regular file is wanted");
    g_assert_null (dlh_safetensors_read (missing, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "there is no such file");
    g_assert_null (dlh_safetensors_read ("/dev/zero", &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is a device");
}

/* Stray bytes at the end, and nothing else, are let pass. */
static void
lenient (void)
{
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = write_raw (dir, sizeof header - 1, header, sizeof header - 1, 6);
    g_autofree char *cut = NULL;
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) file = NULL;
    guint64 n_stray = 0;

    g_assert_null (dlh_safetensors_read (path, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "4 bytes follow after the last tensor");
    file = dlh_safetensors_read_lenient (path, &n_stray, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (n_stray, ==, 4);
    if (file)
        test_assert_tensor (dlh_safetensors_get (file, "a"), ((double[]){0, 1}), 2, 0);
    cut = write_raw (dir, sizeof header - 1, header, sizeof header - 1, 1);
    g_assert_null (dlh_safetensors_read_lenient (cut, NULL, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is the file cut off?");
}

/* What would not be read again is not written. */
static void
written_names (void)
{
    static const struct {
        const char *names[2], *key, *value, *message;
    } cases[] = {
        {{"a", "a"}, NULL, NULL, "tensor name 'a' is there twice"},
        {{"a", "__metadata__"}, NULL, NULL, "tensor name '__metadata__' is reserved"},
        {{"a", "\xff"}, NULL, NULL, "tensor name '\\377' is not UTF-8"},
        {{"a", "b"}, "k", "\xff", "metadata 'k' is not UTF-8"},
        {{"a", "b"}, "\xff", "v", "metadata '\\377' is not UTF-8"},
    };
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "x.safetensors", NULL);
    g_autoptr (DlhTensor) one = test_tensor (DLH_F32, dlh_shape (1), 1);

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);
        g_autoptr (GError) error = NULL;

        if (cases[i].key)
            g_hash_table_insert (metadata, (gpointer)cases[i].key, (gpointer)cases[i].value);
        g_assert_false (dlh_safetensors_write (path, cases[i].names, (DlhTensor *[]){one, one}, 2,
                                               metadata, &error));
        test_assert_error (&error, DLH_ERROR_DATA, cases[i].message);
        g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
}

/* Without tensors and metadata, and what is not there. */
static void
not_there (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "x.safetensors", NULL);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) file = NULL;

    g_assert_true (dlh_safetensors_write (path, NULL, NULL, 0, NULL, &error));
    file = dlh_safetensors_read (path, &error);
    g_assert_no_error (error);
    g_assert_null (dlh_safetensors_get (file, "a"));
    g_assert_null (dlh_safetensors_type (file, "a"));
    dlh_safetensors_free (NULL);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/safetensors/round-trip/same-bits", round_trip);
    g_test_add_func ("/safetensors/write/order-does-not-matter", same_bytes);
    g_test_add_func ("/safetensors/write/data-are-aligned", aligned);
    g_test_add_func ("/safetensors/empty/round-trip", empty_file);
    g_test_add_func ("/safetensors/every-prefix/is-refused", every_prefix);
    g_test_add_func ("/safetensors/header-length/is-refused", header_length);
    for (guint i = 0; i < G_N_ELEMENTS (bad_headers); i++) {
        g_autofree char *path =
            g_strdup_printf ("/safetensors/header/%s/is-refused", bad_headers[i].name);

        g_test_add_data_func (path, &bad_headers[i], bad_header);
    }
    g_test_add_func ("/safetensors/header/deep-nesting/is-refused", deep_nesting);
    g_test_add_func ("/safetensors/header/long-name/message-stays-short", long_name);
    g_test_add_func ("/safetensors/foreign-types/are-converted", foreign_types);
    g_test_add_func ("/safetensors/half/special-values", half_values);
    g_test_add_func ("/safetensors/path/not-a-regular-file", not_a_file);
    g_test_add_func ("/safetensors/stray-bytes/passed-over-on-request", lenient);
    g_test_add_func ("/safetensors/written-names/are-checked", written_names);
    g_test_add_func ("/safetensors/no-tensors/nothing-found", not_there);
    return g_test_run ();
}
