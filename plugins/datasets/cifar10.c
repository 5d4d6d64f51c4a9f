/* SPDX-License-Identifier: MIT */
/* CIFAR-10 in its binary format: records of one label byte and 3072 pixels (planes R, G, B of
 * 32 x 32, row by row). Inputs (n, 3, 32, 32).
 *
 * Training: data_batch_1.bin to data_batch_5.bin, those which exist. Test: test_batch.bin, or else
 * test_first1000.bin. Validation: train_last1000.bin where data_batch_5.bin, which holds the same
 * records, does not exist; or what valid= takes from the end of the training set. */
#include <string.h>
#include <dlhost/dlhost.h>

#define PIXELS ((gsize) 3 * 32 * 32)
#define RECORD (PIXELS + 1)
#define MAX_BYTES ((gsize) 1 << 30)

typedef struct {
    const char *dir;
    const char *normalize;
    gint64 valid;
    gint64 limit;
} CifarOptions;

#define CONVERT(T)                                                                                 \
    do {                                                                                           \
        T *restrict out = (T *) dlh_tensor_get_data (x) + (gsize) first * PIXELS;                  \
                                                                                                   \
        for (gsize i = 0; i < n; i++)                                                              \
            for (gsize j = 0; j < PIXELS; j++)                                                     \
                out[i * PIXELS + j] = (T) (records[i * RECORD + 1 + j] * scale);                   \
    } while (0)

static void
cifar_convert (const guint8 *restrict records, gsize n, double scale, DlhTensor *x, DlhTensor *y,
               gint64 first)
{
    if (dlh_tensor_get_dtype (x) == DLH_F32)
        CONVERT (float);
    else
        CONVERT (double);
    for (gsize i = 0; i < n; i++)
        ((gint64 *) dlh_tensor_get_data (y))[(gsize) first + i] = records[i * RECORD];
}

// (transfer full): the contents of those @names that exist.
static GPtrArray *
cifar_read (const char *dir, const char *const *names, GError **error)
{
    g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);

    for (; *names; names++) {
        g_autofree char *path = dlh_file_locate (dir, *names);
        GBytes *bytes;

        if (!g_file_test (path, G_FILE_TEST_EXISTS))
            continue;
        bytes = dlh_file_read (path, MAX_BYTES, error);
        if (!bytes)
            return NULL;
        g_ptr_array_add (files, bytes);
        if (g_bytes_get_size (bytes) == 0 || g_bytes_get_size (bytes) % RECORD != 0) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "%s: has %zu bytes, no multiple of the %zu of a record: is it cut off?",
                         path, g_bytes_get_size (bytes), RECORD);
            return NULL;
        }
    }
    return g_steal_pointer (&files);
}

// @found: whether there was any of the files.
static gboolean
cifar_load_split (DlhData *data, DlhSplit split, DlhDType dtype, const CifarOptions *opt,
                  const char *const *names, gboolean *found, GError **error)
{
    double scale = strcmp (opt->normalize, "none") == 0 ? 1 : 1 / 255.0;
    g_autoptr (GPtrArray) files = cifar_read (opt->dir, names, error);
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    gint64 n = 0, at = 0;

    if (!files)
        return FALSE;
    *found = files->len > 0;
    if (!*found)
        return TRUE;
    for (guint i = 0; i < files->len; i++)
        n += (gint64) (g_bytes_get_size (files->pdata[i]) / RECORD);
    x = dlh_tensor_new (dtype, dlh_shape (n, 3, 32, 32), error);
    y = x ? dlh_tensor_new (DLH_I64, dlh_shape (n), error) : NULL;
    if (!y)
        return FALSE;
    for (guint i = 0; i < files->len; i++) {
        gsize size;
        const guint8 *records = g_bytes_get_data (files->pdata[i], &size);

        cifar_convert (records, size / RECORD, scale, x, y, at);
        at += (gint64) (size / RECORD);
    }
    return dlh_data_set_split (data, split, x, y, error);
}

static gboolean
cifar_load_splits (DlhData *data, DlhDType dtype, const CifarOptions *opt, GError **error)
{
    static const char *const train[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", NULL};
    static const char *const last[] = {"train_last1000.bin", NULL};
    static const char *const test[] = {"test_batch.bin", NULL};
    static const char *const test_part[] = {"test_first1000.bin", NULL};
    g_autofree char *batch5 = dlh_file_locate (opt->dir, train[4]);
    gboolean found;

    if (!cifar_load_split (data, DLH_SPLIT_TRAIN, dtype, opt, train, &found, error))
        return FALSE;
    if (!found) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "no data_batch_1.bin or data_batch_1.bin.gz in '%s': give the directory of "
                     "CIFAR-10's binary version with dir=",
                     opt->dir);
        return FALSE;
    }
    if (opt->valid == 0 && !g_file_test (batch5, G_FILE_TEST_EXISTS) &&
        !cifar_load_split (data, DLH_SPLIT_VALID, dtype, opt, last, &found, error))
        return FALSE;
    if (!cifar_load_split (data, DLH_SPLIT_TEST, dtype, opt, test, &found, error))
        return FALSE;
    return found || cifar_load_split (data, DLH_SPLIT_TEST, dtype, opt, test_part, &found, error);
}

static gboolean
cifar_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const CifarOptions *opt = options;

    dlh_data_set_targets (data, DLH_TARGET_CLASS, 10);
    if (!cifar_load_splits (data, dtype, opt, error) ||
        !dlh_data_hold_out (data, opt->valid, error)) {
        g_prefix_error (error, "cifar10: ");
        return FALSE;
    }
    if (opt->limit > 0)
        dlh_data_limit (data, opt->limit);
    if (strcmp (opt->normalize, "standard") == 0)
        dlh_data_standardize (data);
    return TRUE;
}

static const DlhDataset cifar10 = {.size = sizeof (DlhDataset), .load = cifar_load};

DLH_PLUGIN_DEFINE (DLH_DATASET, cifar10, CifarOptions,
    DLH_OPTIONS (
        DLH_STRING (CifarOptions, dir, "", "Directory of the *.bin files, gzip or plain"),
        DLH_CHOICE (CifarOptions, normalize, "unit", "none|unit|standard",
                    "Pixels 0-255, 0-1, or mean 0 and deviation 1 for each colour over the "
                    "training set"),
        DLH_INT (CifarOptions, valid, 0, 0, 1e9,
                 "Training examples, from the end, held out for validation"),
        DLH_INT (CifarOptions, limit, 0, 0, 1e9,
                 "At most this many examples of each split, 0 for all")),
    .name = "cifar10", .version = "1.0", .paper = "Krizhevsky 2009",
    .summary = "CIFAR-10: 32 x 32 colour pictures, ten classes");
