/* SPDX-License-Identifier: MIT */
/* Arrays of one's own: an .npz file as numpy.savez() writes it, one array of inputs and one of
 * targets for each split. The names that most such files use are the defaults. Inputs of any number
 * type (n, ...) become floats, multiplied by scale=; class targets are whole numbers (n) or (n, 1),
 * real ones (n) or (n, d). */
#include <string.h>
#include <dlhost/dlhost.h>

#define MAX_FACTORS 32
#define MAX_VALUE 65535 /* of a factor */

typedef struct {
    const char *path;
    const char *x_train, *y_train, *x_valid, *y_valid, *x_test, *y_test;
    const char *targets, *factors;
    gint64 classes;
    const char *layout;
    double scale;
    const char *normalize;
    gint64 valid;
    gint64 limit;
} NpyOptions;

/* The arrays of a split as they are in the file; NULL where its name is empty. */
typedef struct {
    DlhTensor *x, *y;
} NpySplit;

static void
npy_split_clear (NpySplit *split)
{
    dlh_tensor_unref (split->x);
    dlh_tensor_unref (split->y);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (NpySplit, npy_split_clear)

// out (n, channels, pixels)  in (n, pixels, channels)
#define CONVERT(From, To)                                                                          \
    do {                                                                                           \
        const From *restrict in = dlh_tensor_get_data (from);                                      \
        To *restrict out = dlh_tensor_get_data (to);                                               \
                                                                                                   \
        for (gint64 i = 0; i < n; i++)                                                             \
            for (gint64 c = 0; c < channels; c++)                                                  \
                for (gint64 p = 0; p < pixels; p++)                                                \
                    out[(i * channels + c) * pixels + p] =                                         \
                        (To)((double)in[(i * pixels + p) * channels + c] * scale);                 \
    } while (0)

#define CONVERT_TO(To)                                                                             \
    switch (dlh_tensor_get_dtype (from)) {                                                         \
    case DLH_F32:                                                                                  \
        CONVERT (float, To);                                                                       \
        break;                                                                                     \
    case DLH_F64:                                                                                  \
        CONVERT (double, To);                                                                      \
        break;                                                                                     \
    case DLH_I32:                                                                                  \
        CONVERT (gint32, To);                                                                      \
        break;                                                                                     \
    case DLH_I64:                                                                                  \
        CONVERT (gint64, To);                                                                      \
        break;                                                                                     \
    case DLH_BOOL:                                                                                 \
        CONVERT (guint8, To);                                                                      \
        break;                                                                                     \
    }

static void
npy_fill (const DlhTensor *from, DlhTensor *to, gint64 n, gint64 channels, gint64 pixels,
          double scale)
{
    if (dlh_tensor_get_dtype (to) == DLH_F32)
        CONVERT_TO (float)
    else
        CONVERT_TO (double)
}

// (transfer full): @from as @dtype. @channels: of the last axis, which comes to the front; or 1
static DlhTensor *
npy_convert (const DlhTensor *from, DlhDType dtype, DlhShape shape, gint64 channels, double scale,
             GError **error)
{
    DlhTensor *to = dlh_tensor_new (dtype, shape, error);
    gint64 n = shape.dims[0], count = dlh_shape_count (shape);

    if (to && count > 0)
        npy_fill (from, to, n, channels, count / n / channels, scale);
    return to;
}

static gboolean
npy_fail_shape (const char *name, const DlhTensor *tensor, const char *want, GError **error)
{
    g_autofree char *shape = dlh_shape_to_string (dlh_tensor_get_shape (tensor));

    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "array '%s' has shape %s, %s is wanted", name,
                 shape, want);
    return FALSE;
}

static DlhTensor *
npy_inputs (const DlhTensor *x, const char *name, const NpyOptions *opt, DlhDType dtype,
            GError **error)
{
    DlhShape shape = dlh_tensor_get_shape (x);
    gint64 channels = 1;

    if (shape.rank < 2) {
        npy_fail_shape (name, x, "[n,...] with an axis for the examples and one or more for each",
                        error);
        return NULL;
    }
    if (strcmp (opt->layout, "hw") == 0) {
        if (shape.rank != 3) {
            npy_fail_shape (name, x, "[n,height,width] for layout=hw", error);
            return NULL;
        }
        shape = dlh_shape_insert (shape, 1, 1);
    } else if (strcmp (opt->layout, "hwc") == 0) {
        if (shape.rank != 4) {
            npy_fail_shape (name, x, "[n,height,width,channels] for layout=hwc", error);
            return NULL;
        }
        channels = shape.dims[3];
        shape = dlh_shape_insert (dlh_shape_remove (shape, 3), 1, channels);
    }
    return npy_convert (x, dtype, shape, channels, opt->scale, error);
}

static DlhTensor *
npy_classes (const DlhTensor *y, const char *name, GError **error)
{
    DlhShape shape = dlh_tensor_get_shape (y);
    DlhDType dtype = dlh_tensor_get_dtype (y);
    DlhTensor *out;

    if (shape.rank == 2 && shape.dims[1] == 1)
        shape = dlh_shape_remove (shape, 1);
    if (shape.rank != 1) {
        npy_fail_shape (name, y, "[n] or [n,1] of class numbers", error);
        return NULL;
    }
    if (dlh_dtype_is_float (dtype)) {
        g_set_error (
            error, DLH_ERROR, DLH_ERROR_DATA,
            "array '%s' has %s, whole numbers are wanted for classes: save it as i8, or set "
            "targets=real",
            name, dlh_dtype_name (dtype));
        return NULL;
    }
    out = dlh_tensor_new (DLH_I64, shape, error);
    for (gint64 i = 0; out && i < shape.dims[0]; i++)
        ((gint64 *)dlh_tensor_get_data (out))[i] =
            dtype == DLH_I64   ? ((const gint64 *)dlh_tensor_get_data (y))[i]
            : dtype == DLH_I32 ? ((const gint32 *)dlh_tensor_get_data (y))[i]
                               : ((const guint8 *)dlh_tensor_get_data (y))[i];
    return out;
}

static DlhTensor *
npy_reals (const DlhTensor *y, const char *name, DlhDType dtype, GError **error)
{
    DlhShape shape = dlh_tensor_get_shape (y);

    if (shape.rank == 1)
        shape = dlh_shape_insert (shape, 1, 1);
    if (shape.rank != 2) {
        npy_fail_shape (name, y, "[n] or [n,d] of real targets", error);
        return NULL;
    }
    return npy_convert (y, dtype, shape, 1, 1, error);
}

// One more than the largest label; the count that the user gave comes first.
static gint64
npy_count_classes (const DlhTensor *labels, gint64 given)
{
    const gint64 *y = dlh_tensor_get_data (labels);
    gint64 n = dlh_tensor_count (labels), largest = 0;

    if (given > 0)
        return given;
    for (gint64 i = 0; i < n; i++)
        largest = MAX (largest, y[i]);
    return MIN (largest, G_MAXINT64 - 1) + 1;
}

// Reads the arrays of a split and gives them the types and shapes that a run wants.
static gboolean
npy_read_split (DlhNpz *npz, const char *x_name, const char *y_name, const NpyOptions *opt,
                DlhDType dtype, NpySplit *out, GError **error)
{
    gboolean supervised = strcmp (opt->targets, "none") != 0;
    g_autoptr (DlhTensor) x = dlh_npz_read (npz, x_name, error);
    g_autoptr (DlhTensor) y = NULL;

    out->x = x ? npy_inputs (x, x_name, opt, dtype, error) : NULL;
    if (!out->x || !supervised)
        return out->x != NULL;
    y = dlh_npz_read (npz, y_name, error);
    if (y)
        out->y = strcmp (opt->targets, "class") == 0 ? npy_classes (y, y_name, error)
                                                     : npy_reals (y, y_name, dtype, error);
    return out->y != NULL;
}

// Columns of whole numbers, each a factor with as many values as its largest and one more.
static gboolean
npy_factors (DlhData *data, DlhNpz *npz, const NpyOptions *opt, GError **error)
{
    g_autoptr (DlhTensor) raw = dlh_npz_read (npz, opt->factors, error);
    g_autoptr (DlhTensor) values = NULL;
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    DlhFactor factors[MAX_FACTORS];
    gint64 *v, K;

    if (!raw)
        return FALSE;
    K = dlh_tensor_get_shape (raw).rank == 2 ? dlh_tensor_get_shape (raw).dims[1] : 0;
    if (K < 1 || K > MAX_FACTORS || dlh_dtype_is_float (dlh_tensor_get_dtype (raw)))
        return npy_fail_shape (opt->factors, raw, "[n,1] to [n,32] of whole numbers", error);
    if (!(values = dlh_tensor_new (DLH_I64, dlh_tensor_get_shape (raw), error)))
        return FALSE;
    v = dlh_tensor_get_data (values);
    for (gint64 k = 0; k < K; k++) {
        g_ptr_array_add (names, g_strdup_printf ("factor%" G_GINT64_FORMAT, k + 1));
        factors[k] = (DlhFactor){.name = names->pdata[k], .n_values = 1};
    }
    for (gint64 i = 0; i < dlh_tensor_count (values); i++) {
        DlhFactor *f = &factors[i % K];

        v[i] = (gint64)dlh_tensor_get (raw, i);
        f->n_values = MAX (f->n_values, MIN (v[i], MAX_VALUE) + 1);
    }
    dlh_data_set_factors (data, factors, (guint)K);
    return dlh_data_set_factor_values (data, DLH_SPLIT_TRAIN, values, error);
}

static gboolean
npy_load_splits (DlhData *data, DlhNpz *npz, const NpyOptions *opt, DlhDType dtype, GError **error)
{
    const char *const names[][2] = {
        {opt->x_train, opt->y_train}, {opt->x_valid, opt->y_valid}, {opt->x_test, opt->y_test}};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        g_auto (NpySplit) split = {NULL, NULL};

        if (i > 0 && !*names[i][0])
            continue;
        if (!npy_read_split (npz, names[i][0], names[i][1], opt, dtype, &split, error))
            return FALSE;
        if (i == 0 && strcmp (opt->targets, "class") == 0)
            dlh_data_set_targets (data, DLH_TARGET_CLASS,
                                  npy_count_classes (split.y, opt->classes));
        if (i == 0 && strcmp (opt->targets, "real") == 0)
            dlh_data_set_targets (data, DLH_TARGET_REAL, 0);
        if (!dlh_data_set_split (data, DLH_SPLIT_TRAIN + i, split.x, split.y, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
npy_load (DlhData *data, DlhDType dtype, gconstpointer options, GError **error)
{
    const NpyOptions *opt = options;
    g_autoptr (DlhNpz) npz = NULL;

    if (!*opt->path) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "npy: no file is given: name an .npz file, as numpy.savez() writes it, with "
                     "path=");
        return FALSE;
    }
    npz = dlh_npz_open (opt->path, error);
    if (!npz || !npy_load_splits (data, npz, opt, dtype, error) ||
        (*opt->factors && !npy_factors (data, npz, opt, error)) ||
        !dlh_data_hold_out (data, opt->valid, error)) {
        g_prefix_error (error, "npy: ");
        return FALSE;
    }
    if (opt->limit > 0)
        dlh_data_limit (data, opt->limit);
    if (strcmp (opt->normalize, "standard") == 0)
        dlh_data_standardize (data);
    return TRUE;
}

static const DlhDataset npy = {.size = sizeof (DlhDataset), .load = npy_load};

DLH_PLUGIN_DEFINE (
    DLH_DATASET, npy, NpyOptions,
    DLH_OPTIONS (
        DLH_STRING (NpyOptions, path, "", "The .npz file"),
        DLH_STRING (NpyOptions, x_train, "x_train", "Array of training inputs"),
        DLH_STRING (NpyOptions, y_train, "y_train", "Array of training targets"),
        DLH_STRING (NpyOptions, x_valid, "", "Array of validation inputs, empty for none"),
        DLH_STRING (NpyOptions, y_valid, "", "Array of validation targets"),
        DLH_STRING (NpyOptions, x_test, "x_test", "Array of test inputs, empty for none"),
        DLH_STRING (NpyOptions, y_test, "y_test", "Array of test targets"),
        DLH_STRING (NpyOptions, factors, "",
                    "Array (n, k) of whole numbers that training examples were made from, for "
                    "--task=disentangle; empty for none"),
        DLH_CHOICE (NpyOptions, targets, "class", "class|real|none", "What the targets are"),
        DLH_INT (NpyOptions, classes, 0, 0, 1e9,
                 "Number of classes, 0 for the largest training label and one more"),
        DLH_CHOICE (NpyOptions, layout, "keep", "keep|hw|hwc",
                    "Axes of an input: as they are; pictures without a channel axis, which is "
                    "added; or with the channels last, which come first"),
        DLH_DOUBLE (NpyOptions, scale, 1, -1e30, 1e30, "What each input is multiplied by"),
        DLH_CHOICE (NpyOptions, normalize, "none", "none|standard",
                    "Inputs as they are, or mean 0 and deviation 1 for each channel over the "
                    "training set"),
        DLH_INT (NpyOptions, valid, 0, 0, 1e9,
                 "Training examples, from the end, held out for validation"),
        DLH_INT (NpyOptions, limit, 0, 0, 1e9,
                 "At most this many examples of each split, 0 for all")),
    .name = "npy", .version = "1.0", .summary = "Arrays of one's own from an .npz file of NumPy");
