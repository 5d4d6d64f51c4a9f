/* SPDX-License-Identifier: MIT */
/* What chance does to the pixels of mnist: spread over [0, 1), drawn once, drawn anew each epoch.
 */
#include "test.h"

#define N 200 /* pictures of 2 x 3, whose pixels are 0, 255, 51, 128, 127, 200 */
#define SIZE 6

static const guint8 pixels[SIZE] = {0, 255, 51, 128, 127, 200};

/* @settings: "name=value name=value" */
static DlhData *
load (const char *dir, const char *settings, DlhDType dtype, GError **error)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_auto (GStrv) words = g_strsplit (settings, " ", -1);
    g_autoptr (DlhComponent) component = NULL;
    g_autoptr (DlhData) data = dlh_data_new ();
    const DlhDataset *dataset;

    g_hash_table_insert (table, (gpointer) "dir", (gpointer)dir);
    for (guint i = 0; words[i] && *words[i]; i++) {
        char *equals = strchr (words[i], '=');

        *equals = '\0';
        g_hash_table_insert (table, words[i], equals + 1);
    }
    component = dlh_registry_load (registry, DLH_DATASET, "mnist", table, error);
    if (!component)
        return NULL;
    dataset = dlh_component_interface (component);
    if (!dataset->load (data, dtype, dlh_component_options (component), error))
        return NULL;
    return g_steal_pointer (&data);
}

static DlhData *
load_well (const char *dir, const char *settings)
{
    g_autoptr (GError) error = NULL;
    DlhData *data = load (dir, settings, DLH_F64, &error);

    g_assert_no_error (error);
    return data;
}

static void
write_split (const char *dir, const char *prefix)
{
    g_autofree char *x_name = g_strconcat (prefix, "-images-idx3-ubyte", NULL);
    g_autofree char *y_name = g_strconcat (prefix, "-labels-idx1-ubyte", NULL);
    guint8 x[16 + N * SIZE] = {0, 0, 8, 3, 0, 0, 0, N, 0, 0, 0, 2, 0, 0, 0, 3};
    guint8 y[8 + N] = {0, 0, 8, 1, 0, 0, 0, N};

    for (guint i = 0; i < N * SIZE; i++)
        x[16 + i] = pixels[i % SIZE];
    g_free (test_write_file (dir, x_name, x, sizeof x));
    g_free (test_write_file (dir, y_name, y, sizeof y));
}

static char *
make_dir (void)
{
    char *dir = test_temp_dir ();

    write_split (dir, "train");
    write_split (dir, "t10k");
    return dir;
}

static const double *
values (DlhData *data, DlhSplit split)
{
    return dlh_tensor_get_data (dlh_data_inputs (data, split));
}

static guint
count_different (const double *a, const double *b, gsize n)
{
    guint different = 0;

    for (gsize i = 0; i < n; i++)
        different += a[i] != b[i];
    return different;
}

/* (x + u) / 256: the pixel is the whole part of 256 times the value; the rest has the moments of a
 * uniform number (standard errors 1 / sqrt (12 N) and sqrt (1 / (180 N))). */
static void
dequantized (void)
{
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (DlhData) data = load_well (dir, "normalize=dequantized"), other = NULL;
    const double *x = values (data, DLH_SPLIT_TRAIN);
    double mean = 0, square = 0;

    for (guint i = 0; i < N * SIZE; i++) {
        const double u = x[i] * 256 - pixels[i % SIZE];

        g_assert_cmpfloat (u, >=, 0);
        g_assert_cmpfloat (x[i], <, 1);
        g_assert_cmpfloat (u, <, 1);
        mean += u / (N * SIZE);
        square += (u - 0.5) * (u - 0.5) / (N * SIZE);
    }
    test_assert_mean (mean, 0.5, 1 / sqrt (12.0 * N * SIZE));
    test_assert_mean (square, 1 / 12.0, 1 / sqrt (180.0 * N * SIZE));
    // Every number is its own: in a picture, between pictures and between splits.
    g_assert_cmpuint (count_different (x, x + SIZE, (N - 1) * SIZE), ==, (N - 1) * SIZE);
    g_assert_cmpuint (count_different (x, values (data, DLH_SPLIT_TEST), N * SIZE), ==, N * SIZE);
    g_assert_cmpfloat (x[1] * 256 - 255, !=, x[0] * 256);
    other = load_well (dir, "normalize=dequantized valid=50 limit=100");
    g_assert_cmpuint (count_different (x, values (other, DLH_SPLIT_TRAIN), 100 * SIZE), ==, 0);
    g_assert_cmpuint (count_different (x + 150 * SIZE, values (other, DLH_SPLIT_VALID), 50 * SIZE),
                      ==, 0);
}

static void
dequantized_seed (void)
{
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (DlhData) a = load_well (dir, "normalize=dequantized seed=1");
    g_autoptr (DlhData) b = load_well (dir, "normalize=dequantized seed=1");
    g_autoptr (DlhData) c = load_well (dir, "normalize=dequantized seed=2");

    g_assert_cmpuint (
        count_different (values (a, DLH_SPLIT_TRAIN), values (b, DLH_SPLIT_TRAIN), N * SIZE), ==,
        0);
    g_assert_cmpuint (
        count_different (values (a, DLH_SPLIT_TRAIN), values (c, DLH_SPLIT_TRAIN), N * SIZE), ==,
        N * SIZE);
}

// In single precision too a value stays below 1, whatever the noise: 200 pixels of 255.
static void
dequantized_single (void)
{
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = load (dir, "normalize=dequantized", DLH_F32, &error);
    const float *x;

    g_assert_no_error (error);
    x = dlh_tensor_get_data (dlh_data_inputs (data, DLH_SPLIT_TRAIN));
    for (guint i = 0; i < N * SIZE; i++)
        g_assert_true (x[i] < 1 && x[i] >= pixels[i % SIZE] / 256.0f);
}

// Shares of ones: a binomial's standard error; 0 and 255 leave nothing to chance.
static void
check_shares (const double *x, gsize n)
{
    for (guint k = 0; k < SIZE; k++) {
        const double p = pixels[k] / 255.0;
        double share = 0;

        for (gsize i = 0; i < n; i++) {
            g_assert_true (x[i * SIZE + k] == 0 || x[i * SIZE + k] == 1);
            share += x[i * SIZE + k];
        }
        share /= (double)n;
        if (k < 2)
            g_assert_cmpfloat (share, ==, p);
        else
            test_assert_mean (share, p, sqrt (p * (1 - p) / (double)n));
    }
}

static void
binary_static (void)
{
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (DlhData) data = load_well (dir, "binarize=static");

    check_shares (values (data, DLH_SPLIT_TRAIN), N);
    check_shares (values (data, DLH_SPLIT_TEST), N);
    g_assert_cmpuint (
        count_different (values (data, DLH_SPLIT_TRAIN), values (data, DLH_SPLIT_TEST), N * SIZE),
        >, N);
}

static void
binary_half (void)
{
    static const double want[SIZE] = {0, 1, 0, 1, 0, 1};
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (DlhData) data = load_well (dir, "binarize=half");

    g_assert_cmpuint (count_different (values (data, DLH_SPLIT_TRAIN), want, SIZE), ==, 0);
    g_assert_cmpuint (count_different (values (data, DLH_SPLIT_TEST), want, SIZE), ==, 0);
}

static double *
epoch (DlhData *data, guint64 number)
{
    const gint64 n = dlh_data_count (data, DLH_SPLIT_TRAIN);
    g_autofree gint64 *order = g_new (gint64, n);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) x = NULL;

    dlh_data_epoch (data, DLH_SPLIT_TRAIN, 3, "order", number, order);
    x = dlh_data_rows (data, DLH_SPLIT_TRAIN, 0, n, &error);
    g_assert_no_error (error);
    return test_values (x);
}

// Epoch 0 is the static set; each epoch has its own draws, the same whenever it is asked for.
static void
binary_dynamic (void)
{
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (DlhData) data = load_well (dir, "binarize=dynamic");
    g_autoptr (DlhData) fixed = load_well (dir, "binarize=static");
    g_autofree double *first = epoch (data, 0), *second = epoch (data, 1), *again = epoch (data, 1);
    g_autofree double *later = epoch (data, 7), *back = epoch (data, 0);

    g_assert_cmpuint (count_different (first, values (fixed, DLH_SPLIT_TRAIN), N * SIZE), ==, 0);
    check_shares (second, N);
    check_shares (later, N);
    g_assert_cmpuint (count_different (first, second, N * SIZE), >, N);
    g_assert_cmpuint (count_different (second, later, N * SIZE), >, N);
    g_assert_cmpuint (count_different (second, again, N * SIZE), ==, 0);
    g_assert_cmpuint (count_different (first, back, N * SIZE), ==, 0);
    g_assert_cmpuint (
        count_different (values (data, DLH_SPLIT_TEST), values (fixed, DLH_SPLIT_TEST), N * SIZE),
        ==, 0);
}

// What is scored does not change under training, and all inputs at once are those of the epoch.
static void
dynamic_validation (void)
{
    g_autoptr (TestDir) dir = make_dir ();
    g_autoptr (DlhData) data = load_well (dir, "binarize=dynamic valid=50");
    g_autoptr (DlhData) fixed = load_well (dir, "binarize=static valid=50");
    g_autofree double *first = epoch (data, 0), *second = NULL;
    const gsize n = 150 * SIZE;

    g_assert_cmpuint (count_different (first, values (data, DLH_SPLIT_TRAIN), n), ==, 0);
    second = epoch (data, 1);
    g_assert_cmpuint (count_different (second, values (data, DLH_SPLIT_TRAIN), n), ==, 0);
    g_assert_cmpuint (count_different (first, second, n), >, 150);
    g_assert_cmpuint (count_different (values (data, DLH_SPLIT_VALID),
                                       values (fixed, DLH_SPLIT_VALID), 50 * SIZE),
                      ==, 0);
}

/* Larochelle's files. */

static void
fixed_small (void)
{
    guint8 bits[3 * 98] = {0};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhData) data = NULL;
    g_autoptr (GError) error = NULL;
    const double *x;

    bits[98] = 0x80;         // picture 1: the first pixel
    bits[98 + 97] = 0x01;    // and the last
    bits[2 * 98 + 4] = 0x10; // picture 2: pixel 4 * 8 + 3
    g_free (test_write_file (dir, "train.bits", bits, sizeof bits));
    g_free (test_write_file (dir, "valid.bits", bits, 98));
    g_free (test_write_file (dir, "test.bits", bits + 98, 98));
    data = load_well (dir, "binarize=fixed");
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TRAIN), ==, 3);
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_VALID), ==, 1);
    g_assert_cmpint (dlh_data_count (data, DLH_SPLIT_TEST), ==, 1);
    g_assert_true (dlh_shape_equal (dlh_data_input_shape (data), dlh_shape (1, 28, 28)));
    g_assert_null (dlh_data_targets (data, DLH_SPLIT_TRAIN));
    x = values (data, DLH_SPLIT_TRAIN);
    for (guint i = 0; i < 3 * 784; i++)
        g_assert_cmpfloat (x[i], ==, i == 784 || i == 2 * 784 - 1 || i == 2 * 784 + 35);
    g_assert_cmpfloat (values (data, DLH_SPLIT_TEST)[0], ==, 1);
    g_free (test_write_file (dir, "test.bits", bits, 97));
    g_assert_null (load (dir, "binarize=fixed", DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "test.bits: has 97 bytes, wanted are pictures of 98");
    g_free (test_write_file (dir, "test.bits", bits, 0));
    g_assert_null (load (dir, "binarize=fixed splits=test", DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "test.bits: has 0 bytes");
}

// Counts and means that were taken without the library.
static void
fixed_real (void)
{
    static const double mean[] = {0, 0.130562, 0.131127, 0.132512};
    static const gint64 count[] = {0, 50000, 10000, 10000};
    g_autofree char *dir = test_data ("binarized_mnist");
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = dir ? load (dir, "binarize=fixed", DLH_F32, &error) : NULL;

    if (!dir)
        return;
    g_assert_no_error (error);
    for (guint split = DLH_SPLIT_TRAIN; split <= DLH_SPLIT_TEST; split++) {
        const float *x = dlh_tensor_get_data (dlh_data_inputs (data, split));
        gint64 ones = 0;

        g_assert_cmpint (dlh_data_count (data, split), ==, count[split]);
        for (gint64 i = 0; i < count[split] * 784; i++)
            ones += x[i] == 1;
        test_assert_within ((double[]){(double)ones / 784 / (double)count[split]}, &mean[split], 1,
                            5.1e-7);
    }
}

/* Found before a file is opened: the directory is not there. */
static void
conflicts (void)
{
    static const char *const rows[][2] = {
        {"binarize=dynamic normalize=standard", "'binarize' is dynamic"},
        {"binarize=fixed normalize=dequantized", "'binarize' is fixed"},
        {"splits=test normalize=standard", "'normalize' is standard"},
        {"splits=test valid=5", "'valid' is to be held out"},
        {"binarize=fixed valid=5", "valid.bits is the validation set"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_null (load ("/nonexistent", rows[i][0], DLH_F64, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, rows[i][1]);
    }
}

static void
directories (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (load ("", "splits=both", DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_OPTION,
                       "mnist: 'dir' is not given: give the directory of the four idx files");
    g_assert_null (load ("/nonexistent", "binarize=fixed", DLH_F64, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "mnist: no directory '/nonexistent': give that of train.bits, valid.bits");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/mnist/dequantized/values", dequantized);
    g_test_add_func ("/mnist/dequantized/seed", dequantized_seed);
    g_test_add_func ("/mnist/dequantized/single-precision", dequantized_single);
    g_test_add_func ("/mnist/binary/static", binary_static);
    g_test_add_func ("/mnist/binary/half", binary_half);
    g_test_add_func ("/mnist/binary/dynamic", binary_dynamic);
    g_test_add_func ("/mnist/binary/dynamic-validation", dynamic_validation);
    g_test_add_func ("/mnist/fixed/small", fixed_small);
    g_test_add_func ("/mnist/fixed/real", fixed_real);
    g_test_add_func ("/mnist/conflicts/before-files", conflicts);
    g_test_add_func ("/mnist/directories/said", directories);
    return g_test_run ();
}
