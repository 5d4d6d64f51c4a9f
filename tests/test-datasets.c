/* SPDX-License-Identifier: MIT */
/* Data sets as a task gets them: through the registry, from options to tensors. Real data are
 * compared with counts that were taken without the library. */
#include "dataset-bench.h"

#define FASHION "/usr/share/datasets/fashion-mnist"

static void
assert_histogram (DlhData *data, DlhSplit split, const gint64 *want)
{
    const DlhTensor *y = dlh_data_targets (data, split);
    gint64 got[10] = {0};

    for (gint64 i = 0; i < dlh_tensor_count (y); i++)
        got[(gint64)dlh_tensor_get (y, i) % 10]++;
    for (guint i = 0; i < 10; i++)
        g_assert_cmpint (got[i], ==, want[i]);
}

typedef struct {
    const char *kind;
    DlhShape x, y; /* of the 30 training examples */
    DlhTargetKind target;
    gint64 n_classes;
} Synthetic;

static void
synthetic (gconstpointer testdata)
{
    const Synthetic *s = testdata;
    g_autofree char *settings =
        g_strdup_printf ("kind=%s n=30 valid=10 test=20 dims=4 classes=5 channels=3 size=6 "
                         "seq_len=7 lanes=5 noise=0.3",
                         s->kind);
    g_autofree char *other = g_strconcat (settings, " seed=1", NULL);
    g_autoptr (DlhData) a = load_well ("synthetic", settings);
    g_autoptr (DlhData) b = load_well ("synthetic", settings);
    g_autoptr (DlhData) c = load_well ("synthetic", other);
    const DlhTensor *x, *different;

    if (!a || !b || !c)
        return;
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++) {
        test_assert_tensors_equal (dlh_data_inputs (a, i), dlh_data_inputs (b, i));
        test_assert_tensors_equal (dlh_data_targets (a, i), dlh_data_targets (b, i));
    }
    x = dlh_data_inputs (a, DLH_SPLIT_TRAIN);
    different = dlh_data_inputs (c, DLH_SPLIT_TRAIN);
    g_assert_true (memcmp (dlh_tensor_get_data (x), dlh_tensor_get_data (different),
                           dlh_tensor_bytes (x)) != 0);
    // The splits are different draws.
    different = dlh_data_inputs (a, DLH_SPLIT_TEST);
    g_assert_true (memcmp (dlh_tensor_get_data (x), dlh_tensor_get_data (different),
                           dlh_tensor_bytes (different)) != 0);
    assert_shape (x, s->x);
    assert_shape (dlh_data_targets (a, DLH_SPLIT_TRAIN), s->y);
    g_assert_cmpint (dlh_data_count (a, DLH_SPLIT_VALID), ==, 10);
    g_assert_cmpint (dlh_data_count (a, DLH_SPLIT_TEST), ==, 20);
    g_assert_cmpint (dlh_data_target_kind (a), ==, s->target);
    g_assert_cmpint (dlh_data_n_classes (a), ==, s->n_classes);
    if (s->target == DLH_TARGET_SEQUENCE)
        assert_stream (a, DLH_SPLIT_TRAIN);
}

// Without noise the rule itself must show.
static void
synthetic_sequence_rule (void)
{
    g_autoptr (DlhData) data =
        load_well ("synthetic", "kind=sequence n=40 seq_len=9 lanes=4 classes=11 noise=0");
    const gint64 *x = data ? dlh_tensor_get_data (dlh_data_inputs (data, DLH_SPLIT_TRAIN)) : NULL;
    gint64 n_wrong = 0;

    for (gint64 row = 0; data && row < 40; row++)
        for (gint64 t = 2; t < 9; t++)
            n_wrong += x[row * 9 + t] != (x[row * 9 + t - 1] + x[row * 9 + t - 2]) % 11;
    g_assert_cmpint (n_wrong, ==, 0);
}

static void
synthetic_refusals (void)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (load ("synthetic", "n=100000000 dims=1000", &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "1e9 is the limit");
    g_assert_null (load ("synthetic", "kind=sequence n=3 lanes=4", &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "a row for each of 4 lanes");
    g_assert_null (load ("synthetic", "kind=rings", &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "kind");
}

static void
missing_directory (gconstpointer plugin)
{
    g_autoptr (GError) error = NULL;

    g_assert_null (load (plugin, "dir=/nonexistent/folder", &error));
    if (error)
        g_assert_true (g_str_has_prefix (error->message, plugin));
    if (error)
        g_assert_nonnull (strstr (error->message, "dir="));
    test_assert_error (&error, DLH_ERROR_DATA, "/nonexistent/folder");
}

/* mnist in @dir: @n pictures of 2 x 3 whose pixels count up from 0, labels 0, 1, 2, ... */
static void
write_mnist (const char *dir, const char *prefix, guint8 n_images, guint8 n_labels)
{
    g_autofree char *x_name = g_strconcat (prefix, "-images-idx3-ubyte", NULL);
    g_autofree char *y_name = g_strconcat (prefix, "-labels-idx1-ubyte", NULL);
    guint8 x[16 + 256 * 6] = {0, 0, 8, 3, 0, 0, 0, n_images, 0, 0, 0, 2, 0, 0, 0, 3};
    guint8 y[8 + 256] = {0, 0, 8, 1, 0, 0, 0, n_labels};

    for (guint i = 0; i < n_images * 6u; i++)
        x[16 + i] = (guint8)i;
    for (guint i = 0; i < n_labels; i++)
        y[8 + i] = (guint8)i;
    g_free (test_write_file (dir, x_name, x, 16 + n_images * 6));
    g_free (test_write_file (dir, y_name, y, 8 + n_labels));
}

static void
mnist_small (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings = g_strdup_printf ("dir=%s valid=2 normalize=none", dir);
    g_autofree char *few = g_strdup_printf ("dir=%s valid=11", dir);
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhData) data = NULL;

    write_mnist (dir, "train", 10, 10);
    write_mnist (dir, "t10k", 4, 4);
    data = load_well ("mnist", settings);
    if (!data)
        return;
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (8, 1, 2, 3));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_VALID), dlh_shape (2, 1, 2, 3));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TEST), dlh_shape (4, 1, 2, 3));
    test_assert_tensor (dlh_data_targets (data, DLH_SPLIT_VALID), ((double[]){8, 9}), 2, 0);
    for (gint64 i = 0; i < 12; i++)
        g_assert_cmpfloat (dlh_tensor_get (dlh_data_inputs (data, DLH_SPLIT_VALID), i), ==,
                           (double)(48 + i));
    g_assert_null (load ("mnist", few, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "cannot hold 11 examples out of 10");
}

static void
mnist_misfits (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings = g_strdup_printf ("dir=%s splits=train", dir);
    g_autofree char *narrow = g_strdup_printf ("dir=%s splits=train classes=9", dir);
    g_autoptr (GError) error = NULL;

    g_assert_null (load ("mnist", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "train-labels-idx1-ubyte: there is no such file");
    write_mnist (dir, "train", 10, 9);
    g_assert_null (load ("mnist", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA,
                       "images of shape [10,2,3] do not go with labels of shape [9]");
    write_mnist (dir, "train", 10, 10);
    g_assert_null (load ("mnist", narrow, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "class 9 of example 9 is not in 0 .. 8");
}

static void
mnist_real (void)
{
    static const gint64 train[] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
    static const gint64 test[] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    g_autofree char *dir = test_data ("mnist");
    g_autofree char *settings = dir ? g_strconcat ("dir=", dir, NULL) : NULL;
    g_autoptr (DlhData) data = dir ? load_well ("mnist", settings) : NULL;

    if (!data)
        return;
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (60000, 1, 28, 28));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TEST), dlh_shape (10000, 1, 28, 28));
    assert_histogram (data, DLH_SPLIT_TRAIN, train);
    assert_histogram (data, DLH_SPLIT_TEST, test);
}

static void
fashion_real (void)
{
    g_autoptr (DlhData) data = NULL;
    const DlhTensor *x;
    double sum = 0, squares = 0;
    gint64 train[10], test[10], n;

    if (!g_file_test (FASHION, G_FILE_TEST_IS_DIR)) {
        test_skip ("dataset-fashion-mnist is not installed");
        return;
    }
    for (guint i = 0; i < 10; i++) {
        train[i] = 6000;
        test[i] = 1000;
    }
    data = load_well ("fashion-mnist", "normalize=standard");
    if (!data)
        return;
    assert_histogram (data, DLH_SPLIT_TRAIN, train);
    assert_histogram (data, DLH_SPLIT_TEST, test);
    x = dlh_data_inputs (data, DLH_SPLIT_TRAIN);
    assert_shape (x, dlh_shape (60000, 1, 28, 28));
    n = dlh_tensor_count (x);
    for (gint64 i = 0; i < n; i++) {
        double value = ((const double *)dlh_tensor_get_data (x))[i];

        sum += value;
        squares += value * value;
    }
    // 1e-9: room for n = 4.7e7 roundings of a plain sum.
    g_assert_cmpfloat_with_epsilon (sum / (double)n, 0, 1e-9);
    g_assert_cmpfloat_with_epsilon (squares / (double)n, 1, 1e-9);
}

// The file's own bytes are the oracle.
static void
cifar_real (void)
{
    g_autofree char *dir = test_data ("cifar10");
    g_autofree char *settings = dir ? g_strconcat ("dir=", dir, " normalize=none", NULL) : NULL;
    g_autofree char *path = dir ? dlh_file_locate (dir, "test_first1000.bin") : NULL;
    g_autoptr (DlhData) data = dir ? load_well ("cifar10", settings) : NULL;
    g_autoptr (GBytes) bytes = data ? dlh_file_read (path, 1 << 24, NULL) : NULL;
    const guint8 *raw;
    gint64 n_wrong = 0;

    if (!data)
        return;
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (10000, 3, 32, 32));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_VALID), dlh_shape (1000, 3, 32, 32));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TEST), dlh_shape (1000, 3, 32, 32));
    g_assert_cmpuint (g_bytes_get_size (bytes), ==, 1000 * 3073);
    raw = g_bytes_get_data (bytes, NULL);
    for (gint64 i = 0; i < 1000; i++) {
        n_wrong += dlh_tensor_get (dlh_data_targets (data, DLH_SPLIT_TEST), i) != raw[i * 3073];
        for (gint64 j = 0; j < 3072; j++)
            n_wrong += dlh_tensor_get (dlh_data_inputs (data, DLH_SPLIT_TEST), i * 3072 + j) !=
                       raw[i * 3073 + 1 + j];
    }
    g_assert_cmpint (n_wrong, ==, 0);
}

static void
cifar_cut (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings = g_strconcat ("dir=", dir, NULL), *zeros = g_malloc0 (3073);
    g_autofree char *path = test_write_file (dir, "data_batch_1.bin", zeros, 3072);
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (path);
    g_assert_null (load ("cifar10", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "has 3072 bytes, no multiple of the 3073");
    zeros[0] = 10;
    g_free (test_write_file (dir, "data_batch_1.bin", zeros, 3073));
    g_assert_null (load ("cifar10", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "class 10 of example 0 is not in 0 .. 9");
}

static void
column_moments (const DlhTensor *tensor, gint64 column, double *mean, double *std)
{
    gint64 n = dlh_tensor_get_shape (tensor).dims[0], d = dlh_tensor_get_shape (tensor).dims[1];
    double sum = 0, squares = 0;

    for (gint64 i = 0; i < n; i++)
        sum += dlh_tensor_get (tensor, i * d + column);
    *mean = sum / (double)n;
    for (gint64 i = 0; i < n; i++)
        squares += pow (dlh_tensor_get (tensor, i * d + column) - *mean, 2);
    *std = sqrt (squares / (double)n);
}

/* Every column has mean 0 and deviation 1 over the training rows; columns whose bit is set in
 * @constant have deviation 0. */
static void
assert_standard (const DlhTensor *tensor, guint constant)
{
    for (gint64 j = 0; j < dlh_tensor_get_shape (tensor).dims[1]; j++) {
        double mean, std;

        column_moments (tensor, j, &mean, &std);
        // 1e-10: columns like a tax rate of 400 lose three digits when the mean is taken off.
        if (fabs (mean) > 1e-10 || fabs (std - !(constant >> j & 1)) > 1e-10)
            test_fail ("column %d: mean %g, deviation %.17g", (int)j, mean, std);
    }
}

static void
uci_boston (void)
{
    g_autofree char *dir = test_data ("uci/boston");
    g_autofree char *settings = dir ? g_strconcat ("dir=", dir, " split=3", NULL) : NULL;
    g_autoptr (DlhData) data = dir ? load_well ("uci", settings) : NULL;
    double sum = 0, squares = 0;

    if (!data)
        return;
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (455, 13));
    assert_shape (dlh_data_targets (data, DLH_SPLIT_TEST), dlh_shape (51, 1));
    assert_standard (dlh_data_inputs (data, DLH_SPLIT_TRAIN), 0);
    assert_standard (dlh_data_targets (data, DLH_SPLIT_TRAIN), 0);
    // Both splits in the target's own units give the whole table's moments again.
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i += 2)
        for (gint64 k = 0; k < dlh_data_count (data, i); k++) {
            double y = dlh_tensor_get (dlh_data_targets (data, i), k) * dlh_data_target_std (data) +
                       dlh_data_target_mean (data);

            sum += y;
            squares += y * y;
        }
    g_assert_cmpfloat_with_epsilon (sum / 506, 22.5328, 5e-5);
    g_assert_cmpfloat_with_epsilon (sqrt (squares / 506 - sum / 506 * sum / 506), 9.18801, 5e-6);
}

static void
uci_naval (void)
{
    g_autofree char *dir = test_data ("uci/naval");
    g_autofree char *settings = dir ? g_strconcat ("dir=", dir, NULL) : NULL;
    g_autoptr (DlhData) data = dir ? load_well ("uci", settings) : NULL;

    if (!data)
        return;
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (10741, 16));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TEST), dlh_shape (1193, 16));
    assert_standard (dlh_data_inputs (data, DLH_SPLIT_TRAIN), 1 << 8 | 1 << 11);
}

static void
uci_bad_index (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings = g_strconcat ("dir=", dir, NULL);
    const char *const files[][2] = {{"data.txt", "1 2\n3 5\n"},
                                    {"features.txt", "0"},
                                    {"target.txt", "1"},
                                    {"train_0.txt", "0\n"},
                                    {"test_0.txt", "2\n"}};
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (files); i++)
        g_free (test_write_file (dir, files[i][0], files[i][1], -1));
    g_assert_null (load ("uci", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "entry 1 is 2, a whole number from 0 to 1");
    g_free (test_write_file (dir, "test_0.txt", "0.5", -1));
    g_assert_null (load ("uci", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "entry 1 is 0.5, a whole number");
}

static const Synthetic synthetics[] = {
    {"blobs", {2, {30, 4}}, {1, {30}}, DLH_TARGET_CLASS, 5},
    {"spiral", {2, {30, 2}}, {1, {30}}, DLH_TARGET_CLASS, 5},
    {"regression", {2, {30, 4}}, {2, {30, 1}}, DLH_TARGET_REAL, 0},
    {"images", {4, {30, 3, 6, 6}}, {1, {30}}, DLH_TARGET_CLASS, 5},
    {"sequence", {2, {30, 7}}, {2, {30, 7}}, DLH_TARGET_SEQUENCE, 5},
};

static void
data_rejects (void)
{
    g_autoptr (DlhData) data = dlh_data_new ();
    g_autoptr (DlhTensor) x = test_tensor (DLH_F64, dlh_shape (2, 2), 1, 2, NAN, 4);
    g_autoptr (DlhTensor) y = test_tensor (DLH_I64, dlh_shape (2), 0, -1);
    g_autoptr (DlhTensor) three = test_tensor (DLH_I64, dlh_shape (3), 0, 1, 2);
    g_autoptr (GError) error = NULL;

    dlh_data_set_targets (data, DLH_TARGET_CLASS, 3);
    g_assert_false (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, y, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "inputs of example 1 hold nan");
    dlh_tensor_set (x, 2, 3);
    g_assert_false (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, y, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "class -1 of example 1 is not in 0 .. 2");
    g_assert_false (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, three, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "inputs [2,2] with targets [3] do not fit");
    g_assert_false (dlh_data_set_split (data, DLH_SPLIT_TRAIN, x, NULL, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "targets (none) do not fit");
    g_assert_false (dlh_data_has_split (data, DLH_SPLIT_TRAIN));
}

int
main (int argc, char **argv)
{
    static const char *const plugins[] = {"cifar10", "fashion-mnist", "mnist", "text", "uci"};

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (synthetics); i++) {
        g_autofree char *path =
            g_strdup_printf ("/datasets/synthetic/%s/same-again", synthetics[i].kind);

        g_test_add_data_func (path, &synthetics[i], synthetic);
    }
    for (guint i = 0; i < G_N_ELEMENTS (plugins); i++) {
        g_autofree char *path =
            g_strdup_printf ("/datasets/%s/missing-directory-is-named", plugins[i]);

        g_test_add_data_func (path, plugins[i], missing_directory);
    }
    g_test_add_func ("/datasets/synthetic/sequence/follows-its-rule", synthetic_sequence_rule);
    g_test_add_func ("/datasets/synthetic/refusals/name-the-limit", synthetic_refusals);
    g_test_add_func ("/datasets/data/wrong-values/are-refused", data_rejects);
    g_test_add_func ("/datasets/mnist/small/pixels-labels-splits", mnist_small);
    g_test_add_func ("/datasets/mnist/misfits/are-refused", mnist_misfits);
    g_test_add_func ("/datasets/mnist/real/label-counts", mnist_real);
    g_test_add_func ("/datasets/fashion-mnist/real/label-counts-and-moments", fashion_real);
    g_test_add_func ("/datasets/cifar10/real/same-bytes", cifar_real);
    g_test_add_func ("/datasets/cifar10/cut/is-refused", cifar_cut);
    g_test_add_func ("/datasets/uci/boston/standardised", uci_boston);
    g_test_add_func ("/datasets/uci/naval/constant-column-is-zero", uci_naval);
    g_test_add_func ("/datasets/uci/bad-index/is-refused", uci_bad_index);
    return g_test_run ();
}
