/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <stdlib.h>

#include <glib/gstdio.h>

void
test_init (int *argc, char ***argv)
{
    g_autoptr (GError) error = NULL;

    g_test_init (argc, argv, NULL);
    g_test_set_nonfatal_assertions ();
    // The suite runs some programs at lower levels of the processor too.
    if (!dlh_set_cpu_level (g_getenv ("DLHOST_CPU_LEVEL"), &error)) {
        g_print ("1..0 # SKIP %s\n", error->message);
        exit (0);
    }
}

void
test_fail (const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_test_message ("%s", text);
    g_test_fail ();
}

void
test_skip (const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_test_skip (text);
}

double
test_sum_factor (gsize k)
{
    return k > 64 ? sqrt ((double)k) / 2 : 4;
}

double
test_eps (DlhDType dtype)
{
    return dtype == DLH_F32 ? FLT_EPSILON : dtype == DLH_F64 ? DBL_EPSILON : 0;
}

gboolean
test_close_at (const char *where, const double *got, const double *want, gsize n, double tolerance)
{
    for (gsize i = 0; i < n; i++) {
        // Equal infinities agree; NaN agrees with nothing.
        if (got[i] == want[i] || fabs (got[i] - want[i]) <= tolerance)
            continue;
        test_fail ("%s: element %zu of %zu is %.17g, should be %.17g, off by %.3g, tolerance %.3g",
                   where, i, n, got[i], want[i], fabs (got[i] - want[i]), tolerance);
        return FALSE;
    }
    return TRUE;
}

gboolean
test_tensor_close_at (const char *where, const DlhTensor *got, const double *want, gsize n,
                      double tolerance)
{
    g_autofree double *values = NULL;

    if (!got) {
        test_fail ("%s: there is no tensor", where);
        return FALSE;
    }
    if (dlh_tensor_count (got) != (gint64)n) {
        test_fail ("%s: the tensor has %" G_GINT64_FORMAT " elements, should have %zu", where,
                   dlh_tensor_count (got), n);
        return FALSE;
    }
    values = test_values (got);
    return test_close_at (where, values, want, n, tolerance);
}

gboolean
test_tensors_equal_at (const char *where, const DlhTensor *a, const DlhTensor *b)
{
    const guint8 *p, *q;
    gsize bytes;

    if (!a || !b || dlh_tensor_get_dtype (a) != dlh_tensor_get_dtype (b) ||
        !dlh_shape_equal (dlh_tensor_get_shape (a), dlh_tensor_get_shape (b))) {
        test_fail ("%s: the tensors differ in type or shape, or one is missing", where);
        return FALSE;
    }
    p = dlh_tensor_get_data (a);
    q = dlh_tensor_get_data (b);
    bytes = dlh_tensor_bytes (a);
    for (gsize i = 0; i < bytes; i++) {
        gint64 element = (gint64)(i / dlh_dtype_size (dlh_tensor_get_dtype (a)));

        if (p[i] == q[i])
            continue;
        test_fail ("%s: element %" G_GINT64_FORMAT
                   " is %.17g and %.17g, should be equal bit for bit",
                   where, element, dlh_tensor_get (a, element), dlh_tensor_get (b, element));
        return FALSE;
    }
    return TRUE;
}

gboolean
test_error_at (const char *where, GError **error, DlhErrorCode code, const char *text)
{
    GError *e = *error;
    gboolean ok = e && e->domain == DLH_ERROR && e->code == (int)code && strstr (e->message, text);

    if (!e)
        test_fail ("%s: no error, should be code %d with \"%s\"", where, code, text);
    else if (!ok)
        test_fail ("%s: error %s code %d \"%s\", should be dlhost's code %d with \"%s\"", where,
                   g_quark_to_string (e->domain), e->code, e->message, code, text);
    g_clear_error (error);
    return ok;
}

DlhTensor *
test_tensor_from (DlhDType dtype, DlhShape shape, const double *values, gsize n)
{
    g_autoptr (GError) error = NULL;
    DlhTensor *tensor = dlh_tensor_new (dtype, shape, &error);

    // The caller's bug: nothing sensible can follow.
    if (!tensor || dlh_tensor_count (tensor) != (gint64)n)
        g_error ("test_tensor: %zu values do not fit the shape", n);
    for (gsize i = 0; i < n; i++)
        dlh_tensor_set (tensor, (gint64)i, values[i]);
    return tensor;
}

DlhTensor *
test_tensor_random (DlhDType dtype, DlhShape shape, guint64 seed)
{
    gsize n = (gsize)dlh_shape_count (shape);
    g_autofree double *values = g_new (double, n + 1);

    test_random (seed, values, n);
    for (gsize i = 0; i < n; i++)
        values[i] = (float)values[i];
    return test_tensor_from (dtype, shape, values, n);
}

double *
test_values (const DlhTensor *tensor)
{
    gint64 n = dlh_tensor_count (tensor);
    double *values = g_new (double, n + 1);

    for (gint64 i = 0; i < n; i++)
        values[i] = dlh_tensor_get (tensor, i);
    return values;
}

// splitmix64 (Steele, Lea, Flood 2014): short, and shares nothing with the library's Philox.
static double
next_uniform (guint64 *state)
{
    guint64 z = (*state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

void
test_random (guint64 seed, double *out, gsize n)
{
    guint64 state = seed * G_GUINT64_CONSTANT (0x2545f4914f6cdd1d) + 1;

    for (gsize i = 0; i < n; i++) {
        double radius = sqrt (-2 * log (next_uniform (&state)));

        out[i] = radius * cos (2 * G_PI * next_uniform (&state));
    }
}

gboolean
test_mean_at (const char *where, double got, double want, double std_error)
{
    double z = (got - want) / std_error;

    if (fabs (z) <= 5)
        return TRUE;
    test_fail ("%s: the mean is %.9g, should be %.9g +- %.3g: z = %.2f, limit 5", where, got, want,
               std_error, z);
    return FALSE;
}

char *
test_temp_dir (void)
{
    g_autoptr (GError) error = NULL;
    char *path = g_dir_make_tmp ("dlhost-test-XXXXXX", &error);

    if (!path)
        g_error ("%s", error->message);
    return path;
}

static void
remove_tree (const char *path)
{
    g_autoptr (GDir) dir = NULL;
    const char *name;

    if (!g_file_test (path, G_FILE_TEST_IS_SYMLINK))
        dir = g_dir_open (path, 0, NULL);
    while (dir && (name = g_dir_read_name (dir))) {
        g_autofree char *child = g_build_filename (path, name, NULL);

        remove_tree (child);
    }
    g_remove (path);
}

void
test_remove_dir (char *path)
{
    if (!path)
        return;
    remove_tree (path);
    g_free (path);
}

char *
test_write_file (const char *dir, const char *name, gconstpointer data, gssize n)
{
    g_autoptr (GError) error = NULL;
    char *path = g_build_filename (dir, name, NULL);

    if (!g_file_set_contents (path, data, n, &error))
        g_error ("%s", error->message);
    return path;
}

char *
test_data (const char *name)
{
    const char *root = g_getenv ("DLHOST_TEST_DATA");
    g_autofree char *path = root ? g_build_filename (root, name, NULL) : NULL;

    if (path && g_file_test (path, G_FILE_TEST_EXISTS))
        return g_steal_pointer (&path);
    test_skip ("no real data: '%s' is not below DLHOST_TEST_DATA=%s", name,
               root ? root : "(unset)");
    return NULL;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif

gboolean
test_rounds_to_bf16 (void)
{
#if defined __x86_64__
    DlhMachine machine = {.size = sizeof machine};

    dlh_machine_describe (&machine);
    // oneDNN is not used under AddressSanitizer.
    return strcmp (dlh_cpu_level (), "avx512") == 0 && __builtin_cpu_supports ("avx512bf16") &&
           *machine.dnnl && !test_under_sanitizer ();
#else
    return FALSE;
#endif
}

gboolean
test_under_sanitizer (void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(TEST_SANITIZED)
    return TRUE;
#else
    return FALSE;
#endif
}
