/* SPDX-License-Identifier: MIT */
/* MNIST, and every set that comes in its file format: <prefix>-images-idx3-ubyte and
 * <prefix>-labels-idx1-ubyte, prefix "train" or "t10k", gzip or plain. Inputs (n, 1, h, w). */
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *dir;
    const char *splits;
    const char *normalize;
    gint64 classes;
    gint64 valid;
    gint64 limit;
} MnistOptions;

static gboolean
mnist_load_split (DlhData *data, DlhSplit split, DlhDType dtype, const MnistOptions *opt,
                  GError **error)
{
    double scale = strcmp (opt->normalize, "none") == 0 ? 1 : 1 / 255.0;
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;

    return dlh_idx_read_pair (opt->dir, split == DLH_SPLIT_TRAIN ? "train" : "t10k", dtype, scale,
                              &x, &y, error) &&
           dlh_data_set_split (data, split, x, y, error);
}

static gboolean
mnist_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const MnistOptions *opt = options;
    gboolean train = strcmp (opt->splits, "test") != 0;

    if (!g_file_test (opt->dir, G_FILE_TEST_IS_DIR)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "mnist: no directory '%s': give that of the four idx files "
                     "(train-images-idx3-ubyte.gz and so on) with dir=",
                     opt->dir);
        return FALSE;
    }
    dlh_data_set_targets (data, DLH_TARGET_CLASS, opt->classes);
    if ((train && !mnist_load_split (data, DLH_SPLIT_TRAIN, dtype, opt, error)) ||
        (strcmp (opt->splits, "train") != 0 &&
         !mnist_load_split (data, DLH_SPLIT_TEST, dtype, opt, error)) ||
        !dlh_data_hold_out (data, opt->valid, error)) {
        g_prefix_error (error, "mnist: ");
        return FALSE;
    }
    if (opt->limit > 0)
        dlh_data_limit (data, opt->limit);
    if (strcmp (opt->normalize, "standard") == 0 && train)
        dlh_data_standardize (data);
    return TRUE;
}

static const DlhDataset mnist = {.size = sizeof (DlhDataset), .load = mnist_load};

DLH_PLUGIN_DEFINE (DLH_DATASET, mnist, MnistOptions,
    DLH_OPTIONS (
        DLH_STRING (MnistOptions, dir, "", "Directory of the idx files, gzip or plain"),
        DLH_CHOICE (MnistOptions, splits, "both", "both|train|test",
                    "Which files to read: train-*, t10k-* or both"),
        DLH_CHOICE (MnistOptions, normalize, "unit", "none|unit|standard",
                    "Pixels 0-255, 0-1, or with mean 0 and deviation 1 over the training set"),
        DLH_INT (MnistOptions, classes, 10, 1, 1e6, "Labels are below this"),
        DLH_INT (MnistOptions, valid, 0, 0, 1e9,
                 "Training examples, from the end, held out for validation"),
        DLH_INT (MnistOptions, limit, 0, 0, 1e9,
                 "At most this many examples of each split, 0 for all")),
    .name = "mnist", .version = "1.0", .paper = "LeCun et al. 1998",
    .summary = "MNIST and other pictures in idx files");
