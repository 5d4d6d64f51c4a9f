/* SPDX-License-Identifier: MIT */
/* The data set dsprites against true pictures of the set, and what it shows of splits whose
 * examples are made when asked for, factors and weights. */
#include "dataset-bench.h"

#define PIXELS 4096

static DlhData *
rendered (const char *settings)
{
    return load_well_as ("dsprites", DLH_F32, settings);
}

// Row-major number of factor values in the whole grid.
static gint64
number_of (gint64 shape, gint64 scale, gint64 orientation, gint64 x, gint64 y)
{
    return (((shape * 6 + scale) * 40 + orientation) * 32 + x) * 32 + y;
}

static void
true_frames (void)
{
    g_autofree char *bits_path = test_data ("dsprites/walk_frames.bits.gz");
    g_autofree char *latents_path = bits_path ? test_data ("dsprites/walk_latents.csv") : NULL;
    g_autoptr (GBytes) file = bits_path ? dlh_file_read (bits_path, 1 << 20, NULL) : NULL;
    g_autoptr (DlhTensor) latents = latents_path ? dlh_table_read (latents_path, 1, NULL) : NULL;
    g_autoptr (DlhData) data = NULL;
    const guint8 *bits;
    gint64 wrong = 0, worst = 0;

    if (!file || !latents || !(data = rendered ("test=0")))
        return;
    bits = g_bytes_get_data (file, NULL);
    g_assert_cmpint (g_bytes_get_size (file), ==, 320 * PIXELS / 8);
    for (gint64 frame = 0; frame < 320; frame++) {
        gint64 v[5], row, here = 0;
        g_autoptr (DlhTensor) x = NULL;
        const float *p;

        for (guint k = 0; k < 5; k++)
            v[k] = (gint64)dlh_tensor_get (latents, frame * 6 + k + 1);
        row = number_of (v[0], v[1], v[2], v[3], v[4]);
        x = dlh_data_rows (data, DLH_SPLIT_TRAIN, row, 1, NULL);
        p = dlh_tensor_get_data (x);
        for (gint64 i = 0; i < PIXELS; i++)
            here += (float)(bits[(frame * PIXELS + i) / 8] >> (7 - i % 8) & 1) != p[i];
        wrong += here;
        worst = MAX (worst, here);
    }
    g_test_message ("%d wrong pixels in 320 frames, at most %d in one", (int)wrong, (int)worst);
    g_assert_cmpint (wrong, ==, 0);
}

static void
order_of_factors (void)
{
    g_autoptr (DlhData) data = rendered ("test=0");
    const gint64 want[] = {3, 6, 40, 32, 32};
    const char *names[] = {"shape", "scale", "orientation", "position_x", "position_y"};
    const gint64 *v;
    gint64 wrong = 0;

    if (!data)
        return;
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TRAIN), ==, 737280);
    g_assert_cmpuint (dlh_data_n_factors (data), ==, 5);
    for (guint k = 0; k < 5; k++) {
        const DlhFactor *f = dlh_data_factor (data, k);

        g_assert_cmpstr (f->name, ==, names[k]);
        g_assert_cmpint (f->n_values, ==, want[k]);
        g_assert_cmpint (f->nuisance, ==, k == 0);
    }
    g_assert_null (dlh_data_factor (data, 5));
    g_assert_null (dlh_data_factor (data, 0)->values);
    g_assert_cmpfloat (fabs (dlh_data_factor (data, 2)->values[39] - 2 * G_PI), <, 1e-12);
    v = dlh_tensor_get_data (dlh_data_factor_values (data, DLH_SPLIT_TRAIN));
    // Each number once, hence one to one.
    for (gint64 i = 0; i < 737280; i++)
        wrong += number_of (v[5 * i], v[5 * i + 1], v[5 * i + 2], v[5 * i + 3], v[5 * i + 4]) != i;
    g_assert_cmpint (wrong, ==, 0);
}

static gboolean
same_pictures (DlhData *data, gint64 a, gint64 b)
{
    g_autoptr (DlhTensor) x = dlh_data_rows (data, DLH_SPLIT_TRAIN, a, 1, NULL);
    g_autoptr (DlhTensor) y = dlh_data_rows (data, DLH_SPLIT_TRAIN, b, 1, NULL);

    return memcmp (dlh_tensor_get_data (x), dlh_tensor_get_data (y), dlh_tensor_bytes (x)) == 0;
}

static void
last_orientation (void)
{
    g_autoptr (DlhData) data = rendered ("test=0");

    for (gint64 shape = 0; data && shape < 3; shape++)
        for (gint64 x = 0; x < 32; x += 7) {
            g_assert_true (same_pictures (data, number_of (shape, 3, 0, x, 31 - x),
                                          number_of (shape, 3, 39, x, 31 - x)));
            g_assert_false (same_pictures (data, number_of (shape, 3, 0, x, 31 - x),
                                           number_of (shape, 3, 1, x, 31 - x)));
        }
}

/* All but positions between the ends: the frame is as far there as anywhere. */
static void
nothing_cut_off (void)
{
    g_autoptr (DlhData) data = rendered ("position_step=31 test=0");
    gint64 n = data ? dlh_data_count (data, DLH_SPLIT_TRAIN) : 0, at_edge = 0, dark = 0;
    g_autoptr (DlhTensor) x = n ? dlh_data_rows (data, DLH_SPLIT_TRAIN, 0, n, NULL) : NULL;
    const float *p = n ? dlh_tensor_get_data (x) : NULL;

    g_assert_cmpint (n, ==, 3 * 6 * 40 * 2 * 2);
    for (gint64 i = 0; i < n; i++) {
        double sum = 0;

        for (gint64 k = 0; k < PIXELS; k++) {
            gint64 row = k / 64, column = k % 64;
            gboolean edge = row == 0 || row == 63 || column == 0 || column == 63;

            sum += p[i * PIXELS + k];
            at_edge += edge && p[i * PIXELS + k] > 0;
        }
        dark += sum < 50;
    }
    g_assert_cmpint (at_edge, ==, 0);
    g_assert_cmpint (dark, ==, 0);
}

static void
thinned_grid (void)
{
    g_autoptr (DlhData) all = rendered ("test=0");
    g_autoptr (DlhData) data = rendered ("orientation_step=4 position_step=2 test=50");
    g_autoptr (DlhTensor) x = NULL, y = NULL;
    const gint64 *v;
    gint64 at = 12345;

    if (!all || !data)
        return;
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TRAIN), ==, 46080);
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TEST), ==, 50);
    g_assert_cmpint (dlh_data_factor (data, 2)->n_values, ==, 10);
    g_assert_cmpfloat (fabs (dlh_data_factor (data, 4)->values[15] - 30 / 31.0), <, 1e-12);
    v = (const gint64 *)dlh_tensor_get_data (dlh_data_factor_values (data, DLH_SPLIT_TRAIN)) +
        5 * at;
    x = dlh_data_rows (data, DLH_SPLIT_TRAIN, at, 1, NULL);
    y = dlh_data_rows (all, DLH_SPLIT_TRAIN, number_of (v[0], v[1], 4 * v[2], 2 * v[3], 2 * v[4]),
                       1, NULL);
    test_assert_tensors_equal (x, y);
}

// Rows in any order, of a part of a split, and all at once are the same pictures.
static void
ways_to_take_rows (void)
{
    g_autoptr (DlhData) data =
        rendered ("shapes=heart orientation_step=13 position_step=16 test=7");
    g_autoptr (DlhTensor) some = NULL, head = NULL;
    const gint64 rows[] = {95, 0, 31, 31};
    DlhTensor *all;

    if (!data)
        return;
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TRAIN), ==, 96);
    some = dlh_tensor_new (DLH_F32, dlh_shape (4, 1, 64, 64), NULL);
    dlh_data_gather (data, DLH_SPLIT_TRAIN, rows, some);
    g_assert_true (dlh_data_hold_out (data, 64, NULL));
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TRAIN), ==, 32);
    g_assert_cmpint (dlh_tensor_get_shape (dlh_data_factor_values (data, DLH_SPLIT_VALID)).dims[0],
                     ==, 64);
    head = dlh_data_rows (data, DLH_SPLIT_VALID, 63, 1, NULL);
    g_assert_true (memcmp (dlh_tensor_get_data (head), dlh_tensor_get_data (some),
                           PIXELS * sizeof (float)) == 0);
    g_assert_false (dlh_data_in_memory (data, DLH_SPLIT_TRAIN));
    all = dlh_data_inputs (data, DLH_SPLIT_TRAIN);
    g_assert_true (dlh_data_in_memory (data, DLH_SPLIT_TRAIN));
    for (guint i = 1; i < 4; i++)
        g_assert_true (memcmp ((float *)dlh_tensor_get_data (all) + rows[i] * PIXELS,
                               (float *)dlh_tensor_get_data (some) + i * PIXELS,
                               PIXELS * sizeof (float)) == 0);
    dlh_data_limit (data, 5);
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TRAIN), ==, 5);
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_VALID), ==, 5);
}

// Draws of an epoch come as often as the weights say; each table's ratio is 4.
static void
weights (gconstpointer testdata)
{
    g_autofree char *settings =
        g_strdup_printf ("shapes=square orientation_step=40 test=9 over=x-y distribution=%s",
                         (const char *)testdata);
    g_autoptr (DlhData) data = rendered (settings);
    g_autofree gint64 *order = NULL;
    gint64 n = 6 * 32 * 32;
    double sum[4][4] = {{0}}, count[4][4] = {{0}}, total = 0, low = INFINITY, high = 0;
    const double *w;
    const gint64 *v;

    if (!data)
        return;
    w = dlh_tensor_get_data (dlh_data_weights (data, DLH_SPLIT_TRAIN));
    v = dlh_tensor_get_data (dlh_data_factor_values (data, DLH_SPLIT_TRAIN));
    order = g_new (gint64, n);
    for (gint64 i = 0; i < n; i++) {
        sum[v[5 * i + 3] / 8][v[5 * i + 4] / 8] += w[i];
        total += w[i];
        low = fmin (low, w[i]);
        high = fmax (high, w[i]);
    }
    g_assert_cmpfloat (fabs (high / low - 4), <, 1e-12);
    for (guint epoch = 0; epoch < 10; epoch++) {
        dlh_data_epoch (data, DLH_SPLIT_TRAIN, 1, "test", epoch, order);
        for (gint64 i = 0; i < n; i++)
            count[v[5 * order[i] + 3] / 8][v[5 * order[i] + 4] / 8]++;
    }
    for (guint i = 0; i < 4; i++)
        for (guint j = 0; j < 4; j++) {
            double p = sum[i][j] / total, draws = 10.0 * (double)n;

            test_assert_mean (count[i][j] / draws, p, sqrt (p * (1 - p) / draws));
        }
}

static void
unlike_files (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "d.npz", NULL);
    g_autofree char *settings = g_strdup_printf ("path=%s", path);
    const char *const names[] = {"latents_classes", "imgs"};
    g_autoptr (DlhTensor) classes = dlh_tensor_new (DLH_I64, dlh_shape (7, 6), NULL);
    g_autoptr (DlhTensor) pictures = dlh_tensor_new (DLH_I64, dlh_shape (7, 64, 64), NULL);
    g_autoptr (DlhTensor) zeros = dlh_tensor_new (DLH_BOOL, dlh_shape (737280, 6), NULL);
    g_autoptr (GError) error = NULL;

    g_assert_null (load_as ("dsprites", DLH_F32, "path=/nowhere/d.npz", &error));
    test_assert_error (&error, DLH_ERROR_DATA, "dsprites: /nowhere/d.npz");
    g_assert_true (dlh_npz_write (path, names, (DlhTensor *[]){classes, pictures}, 2, TRUE, NULL));
    g_assert_null (load_as ("dsprites", DLH_F32, settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "array 'latents_classes': shape [7,6], [737280,6] is wanted");
    g_assert_true (dlh_npz_write (path, names, (DlhTensor *[]){zeros, pictures}, 2, TRUE, NULL));
    g_assert_null (load_as ("dsprites", DLH_F32, settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "column 5 of row 1 is 0, the grid's order wants 1");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/dsprites/true-frames/all-pixels", true_frames);
    g_test_add_func ("/dsprites/factors/row-major", order_of_factors);
    g_test_add_func ("/dsprites/orientation/last-is-first", last_orientation);
    g_test_add_func ("/dsprites/frame/nothing-cut-off", nothing_cut_off);
    g_test_add_func ("/dsprites/thinned/same-pictures", thinned_grid);
    g_test_add_func ("/dsprites/rows/every-way", ways_to_take_rows);
    g_test_add_data_func ("/dsprites/weights/product", "product", weights);
    g_test_add_data_func ("/dsprites/weights/dependent", "dependent", weights);
    g_test_add_data_func ("/dsprites/weights/both", "both", weights);
    g_test_add_func ("/dsprites/archive/refused", unlike_files);
    return g_test_run ();
}
