/* SPDX-License-Identifier: MIT */
/* Fashion-MNIST (arXiv 1708.07747): 60000 + 10000 grey pictures of clothes, 28 x 28, ten classes.
 * Inputs (n, 1, 28, 28). The default directory is that of Debian's dataset-fashion-mnist. */
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *dir;
    const char *normalize;
    gint64 valid;
    gint64 limit;
} FashionOptions;

static gboolean
fashion_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    static const char *const prefixes[] = {"train", "t10k"};
    static const DlhSplit splits[] = {DLH_SPLIT_TRAIN, DLH_SPLIT_TEST};
    const FashionOptions *opt = options;
    double scale = strcmp (opt->normalize, "none") == 0 ? 1 : 1 / 255.0;

    if (!g_file_test (opt->dir, G_FILE_TEST_IS_DIR)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "fashion-mnist: no directory '%s': apt-get install dataset-fashion-mnist, or "
                     "give the directory of its four idx files with dir=",
                     opt->dir);
        return FALSE;
    }
    dlh_data_set_targets (data, DLH_TARGET_CLASS, 10);
    for (guint i = 0; i < 2; i++) {
        g_autoptr (DlhTensor) x = NULL;
        g_autoptr (DlhTensor) y = NULL;

        if (!dlh_idx_read_pair (opt->dir, prefixes[i], dtype, scale, &x, &y, error) ||
            !dlh_data_set_split (data, splits[i], x, y, error)) {
            g_prefix_error (error, "fashion-mnist: ");
            return FALSE;
        }
    }
    if (!dlh_data_hold_out (data, opt->valid, error))
        return FALSE;
    if (opt->limit > 0)
        dlh_data_limit (data, opt->limit);
    if (strcmp (opt->normalize, "standard") == 0)
        dlh_data_standardize (data);
    return TRUE;
}

static const DlhDataset fashion = {.size = sizeof (DlhDataset), .load = fashion_load};

DLH_PLUGIN_DEFINE (DLH_DATASET, fashion, FashionOptions,
    DLH_OPTIONS (
        DLH_STRING (FashionOptions, dir, "/usr/share/datasets/fashion-mnist",
                    "Directory of the four idx files, gzip or plain"),
        DLH_CHOICE (FashionOptions, normalize, "unit", "none|unit|standard",
                    "Pixels 0-255, 0-1, or with mean 0 and deviation 1 over the training set"),
        DLH_INT (FashionOptions, valid, 0, 0, 1e9,
                 "Training examples, from the end, held out for validation"),
        DLH_INT (FashionOptions, limit, 0, 0, 1e9,
                 "At most this many examples of each split, 0 for all")),
    .name = "fashion-mnist", .version = "1.0", .paper = "1708.07747",
    .summary = "Fashion-MNIST: 28 x 28 pictures of clothes, ten classes");
