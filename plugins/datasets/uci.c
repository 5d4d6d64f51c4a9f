/* SPDX-License-Identifier: MIT */
/* A regression table with fixed splits, as the UCI sets of the Bayesian deep-learning papers:
 * data.txt (all rows), features.txt and target.txt (column numbers), train_<k>.txt and test_<k>.txt
 * (row numbers); each may be gzip. Inputs (n, features), targets (n, 1), both standardised with the
 * mean and the deviation (population form, 0 counts as 1) of the training rows. */
#include <math.h>
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    const char *dir;
    gint64 split;
    gint64 valid;
    gboolean standardize;
} UciOptions;

/* The table, and which of its rows and columns are meant. */
typedef struct {
    DlhTensor *table, *features, *target, *train, *test;
} Uci;

static void
uci_clear (Uci *uci)
{
    dlh_tensor_unref (uci->table);
    dlh_tensor_unref (uci->features);
    dlh_tensor_unref (uci->target);
    dlh_tensor_unref (uci->train);
    dlh_tensor_unref (uci->test);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Uci, uci_clear)

static DlhTensor *
uci_read (const char *dir, const char *name, GError **error)
{
    g_autofree char *path = dlh_file_locate (dir, name);

    return dlh_table_read (path, 0, error);
}

// A list of numbers below @limit, one a line.
static DlhTensor *
uci_read_indices (const char *dir, const char *name, gint64 limit, GError **error)
{
    g_autoptr (DlhTensor) list = uci_read (dir, name, error);

    if (!list)
        return NULL;
    for (gint64 i = 0; i < dlh_tensor_count (list); i++) {
        double value = dlh_tensor_get (list, i);

        if (value == floor (value) && value >= 0 && value < (double) limit)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s/%s: entry %" G_GINT64_FORMAT " is %.17g, a whole number from 0 to "
                     "%" G_GINT64_FORMAT " is wanted",
                     dir, name, i + 1, value, limit - 1);
        return NULL;
    }
    return g_steal_pointer (&list);
}

static gboolean
uci_read_all (Uci *uci, const UciOptions *opt, GError **error)
{
    g_autofree char *train = g_strdup_printf ("train_%" G_GINT64_FORMAT ".txt", opt->split);
    g_autofree char *test = g_strdup_printf ("test_%" G_GINT64_FORMAT ".txt", opt->split);
    DlhShape shape;

    uci->table = uci_read (opt->dir, "data.txt", error);
    if (!uci->table)
        return FALSE;
    shape = dlh_tensor_get_shape (uci->table);
    uci->features = uci_read_indices (opt->dir, "features.txt", shape.dims[1], error);
    uci->target =
        uci->features ? uci_read_indices (opt->dir, "target.txt", shape.dims[1], error) : NULL;
    uci->train = uci->target ? uci_read_indices (opt->dir, train, shape.dims[0], error) : NULL;
    uci->test = uci->train ? uci_read_indices (opt->dir, test, shape.dims[0], error) : NULL;
    if (!uci->test)
        return FALSE;
    if (dlh_tensor_count (uci->target) == 1)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%s/target.txt: lists %" G_GINT64_FORMAT " columns, one is wanted", opt->dir,
                 dlh_tensor_count (uci->target));
    return FALSE;
}

static double
uci_value (const Uci *uci, const DlhTensor *rows, gint64 row, gint64 column)
{
    gint64 width = dlh_tensor_get_shape (uci->table).dims[1];

    return dlh_tensor_get (uci->table, (gint64) dlh_tensor_get (rows, row) * width + column);
}

// Of @column over the first @n of the training rows.
static void
uci_moments (const Uci *uci, gint64 column, gint64 n, double *mean, double *std)
{
    double sum = 0, squares = 0;
    gboolean constant = TRUE;

    for (gint64 i = 0; i < n; i++) {
        sum += uci_value (uci, uci->train, i, column);
        constant &= uci_value (uci, uci->train, i, column) ==
                    uci_value (uci, uci->train, 0, column);
    }
    *mean = sum / (double) n;
    for (gint64 i = 0; i < n; i++) {
        double d = uci_value (uci, uci->train, i, column) - *mean;

        squares += d * d;
    }
    // Rounding of the mean must not pass for a deviation.
    *std = constant ? 1 : sqrt (squares / (double) n);
}

static gboolean
uci_set_split (DlhData *data, DlhSplit split, DlhDType dtype, const Uci *uci,
               const DlhTensor *columns, const double *mean, const double *std, GError **error)
{
    const DlhTensor *rows = split == DLH_SPLIT_TRAIN ? uci->train : uci->test;
    gint64 n = dlh_tensor_count (rows), d = dlh_tensor_count (uci->features);
    g_autoptr (DlhTensor) x = dlh_tensor_new (dtype, dlh_shape (n, d), error);
    g_autoptr (DlhTensor) y = x ? dlh_tensor_new (dtype, dlh_shape (n, 1), error) : NULL;

    if (!y)
        return FALSE;
    for (gint64 i = 0; i < n; i++)
        for (gint64 j = 0; j <= d; j++) {
            double value = uci_value (uci, rows, i, (gint64) dlh_tensor_get (columns, j));

            dlh_tensor_set (j < d ? x : y, j < d ? i * d + j : i, (value - mean[j]) / std[j]);
        }
    return dlh_data_set_split (data, split, x, y, error);
}

static gboolean
uci_set_splits (DlhData *data, DlhDType dtype, const UciOptions *opt, const Uci *uci,
                GError **error)
{
    gint64 d = dlh_tensor_count (uci->features), n = dlh_tensor_count (uci->train) - opt->valid;
    g_autofree double *mean = g_new0 (double, d + 1), *std = g_new0 (double, d + 1);
    g_autoptr (DlhTensor) columns = dlh_tensor_new (DLH_I64, dlh_shape (d + 1), error);

    if (!columns)
        return FALSE;
    for (gint64 j = 0; j <= d; j++) {
        double column = j < d ? dlh_tensor_get (uci->features, j) : dlh_tensor_get (uci->target, 0);

        dlh_tensor_set (columns, j, column);
        std[j] = 1;
        if (opt->standardize && n > 0)
            uci_moments (uci, (gint64) column, n, &mean[j], &std[j]);
    }
    dlh_data_set_targets (data, DLH_TARGET_REAL, 0);
    dlh_data_set_target_scale (data, mean[d], std[d]);
    return uci_set_split (data, DLH_SPLIT_TRAIN, dtype, uci, columns, mean, std, error) &&
           uci_set_split (data, DLH_SPLIT_TEST, dtype, uci, columns, mean, std, error) &&
           dlh_data_hold_out (data, opt->valid, error);
}

static gboolean
uci_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const UciOptions *opt = options;
    g_auto (Uci) uci = {NULL};

    if (!g_file_test (opt->dir, G_FILE_TEST_IS_DIR)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "uci: no directory '%s': give one with data.txt, features.txt, target.txt, "
                     "train_0.txt and test_0.txt with dir=",
                     opt->dir);
        return FALSE;
    }
    if (!uci_read_all (&uci, opt, error) || !uci_set_splits (data, dtype, opt, &uci, error)) {
        g_prefix_error (error, "uci: ");
        return FALSE;
    }
    return TRUE;
}

static const DlhDataset uci = {.size = sizeof (DlhDataset), .load = uci_load};

DLH_PLUGIN_DEFINE (DLH_DATASET, uci, UciOptions,
    DLH_OPTIONS (
        DLH_STRING (UciOptions, dir, "", "Directory of the table and its split files"),
        DLH_INT (UciOptions, split, 0, 0, 1e6, "Which train_<k>.txt and test_<k>.txt"),
        DLH_INT (UciOptions, valid, 0, 0, 1e9,
                 "Training rows, from the end of their list, held out for validation"),
        DLH_BOOL_OPTION (UciOptions, standardize, true,
                         "Mean 0 and deviation 1 over the training rows, for inputs and target")),
    .name = "uci", .version = "1.0", .paper = "Hernandez-Lobato et al. 2015",
    .summary = "A regression table with fixed train and test rows");
