/* SPDX-License-Identifier: MIT */
/* The reader of the original file of dSprites, on a grid of eight pictures instead of 737 280. */
#include "test.h"
#include "../plugins/datasets/dsprites/dsprites.h"

const gint64 dsprites_counts[DSPRITES_FACTORS] = {1, 2, 2, 1, 2};

#define N 8

/* Pictures of random pixels in a type of the file, and their classes; one of each may be wrong. */
static guint8 *
read_back (DlhDType dtype, double wrong_pixel, double wrong_class, DlhTensor **pictures,
           GError **error)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "d.npz", NULL);
    const char *const names[] = {"imgs", "latents_classes"};
    g_autoptr (DlhTensor) x =
        dlh_tensor_new (dtype, dlh_shape (N, DSPRITES_SIDE, DSPRITES_SIDE), NULL);
    g_autoptr (DlhTensor) classes = dlh_tensor_new (DLH_I64, dlh_shape (N, 6), NULL);
    g_autofree double *values = g_new (double, N *DSPRITES_PIXELS);

    test_random (3, values, N * DSPRITES_PIXELS);
    for (gint64 i = 0; i < N * DSPRITES_PIXELS; i++)
        dlh_tensor_set (x, i, values[i] > 0.5);
    for (gint64 i = 0; i < N; i++) {
        dlh_tensor_set (classes, 6 * i + 2, (double)(i / 4));
        dlh_tensor_set (classes, 6 * i + 3, (double)(i / 2 % 2));
        dlh_tensor_set (classes, 6 * i + 5, (double)(i % 2));
    }
    if (wrong_pixel > 0)
        dlh_tensor_set (x, 5 * DSPRITES_PIXELS + 7, wrong_pixel);
    if (wrong_class > 0)
        dlh_tensor_set (classes, 6 * 6 + 2, wrong_class);
    g_assert_true (dlh_npz_write (path, names, (DlhTensor *[]){x, classes}, 2, TRUE, NULL));
    if (pictures)
        *pictures = dlh_tensor_ref (x);
    return dsprites_read_archive (path, error);
}

static void
same_pixels (gconstpointer testdata)
{
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree guint8 *bits = read_back (GPOINTER_TO_INT (testdata), 0, 0, &x, &error);
    gint64 wrong = 0;

    g_assert_no_error (error);
    for (gint64 i = 0; bits && i < N * DSPRITES_PIXELS; i++)
        wrong += (bits[i / 8] >> (7 - i % 8) & 1) != dlh_tensor_get (x, i);
    g_assert_cmpint (wrong, ==, 0);
}

static void
refusals (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (read_back (DLH_I32, 2, 0, NULL, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "a pixel of picture 5 is not 0 or 1");
    g_assert_null (read_back (DLH_F32, 0, 0, NULL, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "is not 0 or 1 as a whole number");
    g_assert_null (read_back (DLH_I32, 0, 5, NULL, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "column 2 of row 6 is 5, the grid's order wants 1");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_data_func ("/dsprites-archive/integers/same-pixels", GINT_TO_POINTER (DLH_I32),
                          same_pixels);
    g_test_add_data_func ("/dsprites-archive/booleans/same-pixels", GINT_TO_POINTER (DLH_BOOL),
                          same_pixels);
    g_test_add_func ("/dsprites-archive/wrong/refused", refusals);
    return g_test_run ();
}
