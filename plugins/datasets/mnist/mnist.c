/* SPDX-License-Identifier: MIT */
/* MNIST, and every set that comes in its file format: <prefix>-images-idx3-ubyte and
 * <prefix>-labels-idx1-ubyte, prefix "train" or "t10k", gzip or plain. Inputs (n, 1, h, w):
 * numbers, numbers spread over [0, 1) for densities, or binary pictures. */
#include <string.h>
#include "mnist.h"

typedef struct {
    const char *dir, *splits, *normalize, *binarize;
    gint64 seed, classes, valid, limit;
} MnistOptions;

static gboolean
is (const char *value, const char *name)
{
    return strcmp (value, name) == 0;
}

static gboolean
conflict (GError **error, const char *why)
{
    g_set_error_literal (error, DLH_ERROR, DLH_ERROR_OPTION, why);
    return FALSE;
}

// What contradicts itself, before any file is read.
static gboolean
mnist_check (gconstpointer options, GError **error)
{
    const MnistOptions *opt = options;
    const gboolean test_only = is (opt->splits, "test");

    if (!is (opt->binarize, "none") && !is (opt->normalize, "unit")) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'binarize' is %s, which gives pixels of 0 and 1, and 'normalize' is "
                     "%s: give normalize=unit or binarize=none",
                     opt->binarize, opt->normalize);
        return FALSE;
    }
    if (test_only && is (opt->normalize, "standard"))
        return conflict (error, "'normalize' is standard, which takes mean and deviation from the "
                                "training set, and 'splits' is test: give splits=both");
    if (test_only && opt->valid > 0)
        return conflict (error, "'valid' is to be held out of the training set, and 'splits' is "
                                "test: give splits=both or valid=0");
    if (is (opt->binarize, "fixed") && opt->valid > 0)
        return conflict (error, "'binarize' is fixed, where valid.bits is the validation set: give "
                                "valid=0");
    return TRUE;
}

static gboolean
check_dir (const MnistOptions *opt, GError **error)
{
    const char *files = is (opt->binarize, "fixed")
                            ? "of train.bits, valid.bits and test.bits, gzip or plain"
                            : "of the four idx files (train-images-idx3-ubyte.gz and so on)";

    if (g_file_test (opt->dir, G_FILE_TEST_IS_DIR))
        return TRUE;
    if (!*opt->dir)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "mnist: 'dir' is not given: give the directory %s with dir=", files);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "mnist: no directory '%s': give that %s with dir=", opt->dir, files);
    return FALSE;
}

/* Splits. */

static double
scale_of (const MnistOptions *opt)
{
    const gboolean divided = is (opt->normalize, "unit") || is (opt->normalize, "standard");

    return divided && is (opt->binarize, "none") ? 1 / 255.0 : 1;
}

static gboolean
load_split (DlhData *data, DlhSplit split, DlhDType dtype, const MnistOptions *opt, GError **error)
{
    const Chance chance = pixels_chance (opt->seed, split);
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;

    if (!dlh_idx_read_pair (opt->dir, split == DLH_SPLIT_TRAIN ? "train" : "t10k", dtype,
                            scale_of (opt), &x, &y, error))
        return FALSE;
    if (is (opt->binarize, "dynamic") && split == DLH_SPLIT_TRAIN)
        return pixels_set_redrawn (data, split, x, y, &chance, opt->valid, error);
    if (is (opt->binarize, "half"))
        pixels_halve (x);
    else if (!is (opt->binarize, "none"))
        pixels_binarize (x, &chance);
    else if (is (opt->normalize, "dequantized"))
        pixels_dequantize (x, &chance);
    return dlh_data_set_split (data, split, x, y, error);
}

static gboolean
load_bits (DlhData *data, DlhDType dtype, const MnistOptions *opt, GError **error)
{
    static const char *const names[] = {NULL, "train", "valid", "test"};

    for (guint split = DLH_SPLIT_TRAIN; split <= DLH_SPLIT_TEST; split++) {
        g_autoptr (DlhTensor) x = NULL;

        if (is (opt->splits, split == DLH_SPLIT_TEST ? "train" : "test"))
            continue;
        if (!(x = bits_read (opt->dir, names[split], dtype, error)) ||
            !dlh_data_set_split (data, split, x, NULL, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
load_idx (DlhData *data, DlhDType dtype, const MnistOptions *opt, GError **error)
{
    dlh_data_set_targets (data, DLH_TARGET_CLASS, opt->classes);
    return (is (opt->splits, "test") || load_split (data, DLH_SPLIT_TRAIN, dtype, opt, error)) &&
           (is (opt->splits, "train") || load_split (data, DLH_SPLIT_TEST, dtype, opt, error)) &&
           dlh_data_hold_out (data, opt->valid, error);
}

static gboolean
mnist_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const MnistOptions *opt = options;

    if (!check_dir (opt, error))
        return FALSE;
    if (!(is (opt->binarize, "fixed") ? load_bits (data, dtype, opt, error)
                                      : load_idx (data, dtype, opt, error))) {
        g_prefix_error (error, "mnist: ");
        return FALSE;
    }
    if (opt->limit > 0)
        dlh_data_limit (data, opt->limit);
    if (is (opt->normalize, "standard"))
        dlh_data_standardize (data);
    return TRUE;
}

static const DlhDataset mnist = {
    .size = sizeof (DlhDataset), .load = mnist_load, .check = mnist_check};

DLH_PLUGIN_DEFINE (
    DLH_DATASET, mnist, MnistOptions,
    DLH_OPTIONS (
        DLH_STRING (MnistOptions, dir, "", "Directory of the files, gzip or plain"),
        DLH_CHOICE (MnistOptions, splits, "both", "both|train|test",
                    "Which files to read: train-*, t10k-* or both"),
        DLH_CHOICE (MnistOptions, normalize, "unit", "none|unit|standard|dequantized",
                    "Pixels 0-255; 0-1; mean 0 and deviation 1 over the training set; or "
                    "(pixel + uniform noise) / 256, drawn once"),
        DLH_CHOICE (MnistOptions, binarize, "none", "none|half|static|dynamic|fixed",
                    "1 from 128 on; drawn once; drawn anew each epoch of training; or read from "
                    "train.bits, valid.bits, test.bits"),
        DLH_INT (MnistOptions, seed, 0, 0, 4294967295,
                 "Of the noise and of the draws, whatever the run's seed"),
        DLH_INT (MnistOptions, classes, 10, 1, 1e6, "Labels are below this"),
        DLH_INT (MnistOptions, valid, 0, 0, 1e9,
                 "Training examples, from the end, held out for validation"),
        DLH_INT (MnistOptions, limit, 0, 0, 1e9,
                 "At most this many examples of each split, 0 for all")),
    .name = "mnist", .version = "1.0", .paper = "LeCun et al. 1998",
    .summary = "MNIST and other pictures in idx files");
