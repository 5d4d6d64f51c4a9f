/* SPDX-License-Identifier: MIT */
/* A data set in memory. What a plugin hands over is checked here once, so that no model or task has
 * to ask again whether a class is in range or a value is a number. */
#include <math.h>
#include "model/data-private.h"

static const char *const split_names[] = {NULL, "training", "validation", "test"};

const char *
dlh_split_name (DlhSplit split)
{
    return split_names[split];
}

DlhData *
dlh_data_new (void)
{
    DlhData *data = g_new0 (DlhData, 1);

    data->ref_count = 1;
    data->target_kind = DLH_TARGET_NONE;
    data->target_std = 1;
    return data;
}

DlhData *
dlh_data_ref (DlhData *data)
{
    g_atomic_int_inc (&data->ref_count);
    return data;
}

void
dlh_data_unref (DlhData *data)
{
    if (!data || !g_atomic_int_dec_and_test (&data->ref_count))
        return;
    for (guint i = 0; i < G_N_ELEMENTS (data->splits); i++) {
        dlh_tensor_unref (data->splits[i].inputs);
        dlh_tensor_unref (data->splits[i].targets);
        dlh_tensor_unref (data->splits[i].factors);
        dlh_tensor_unref (data->splits[i].weights);
        dlh_rows_unref (data->splits[i].rows);
    }
    dlh_data_clear_factors (data);
    g_free (data);
}

static gint64
first_not_finite (const DlhTensor *tensor)
{
    gint64 n = dlh_tensor_count (tensor);
    gconstpointer data = dlh_tensor_get_data (tensor);

    if (dlh_tensor_get_dtype (tensor) == DLH_F32) {
        for (gint64 i = 0; i < n; i++)
            if (!isfinite (((const float *)data)[i]))
                return i;
    } else {
        for (gint64 i = 0; i < n; i++)
            if (!isfinite (((const double *)data)[i]))
                return i;
    }
    return -1;
}

// Which example holds element @i of @tensor.
static gint64
example_of (const DlhTensor *tensor, gint64 i)
{
    return i / (dlh_tensor_count (tensor) / dlh_tensor_get_shape (tensor).dims[0]);
}

// @what: "inputs" or "targets"
static gboolean
check_numbers (const DlhTensor *tensor, const char *split, const char *what, GError **error)
{
    gint64 i;

    if (!dlh_dtype_is_float (dlh_tensor_get_dtype (tensor))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s data: %s are %s, f32 or f64 is wanted",
                     split, what, dlh_dtype_name (dlh_tensor_get_dtype (tensor)));
        return FALSE;
    }
    i = first_not_finite (tensor);
    if (i < 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "%s data: %s of example %" G_GINT64_FORMAT " hold %g, a finite number is wanted",
                 split, what, example_of (tensor, i), dlh_tensor_get (tensor, i));
    return FALSE;
}

// @what: "token" or "class"
static gboolean
check_indices (const DlhTensor *tensor, gint64 limit, const char *split, const char *what,
               GError **error)
{
    const gint64 *data = dlh_tensor_get_data (tensor);
    gint64 n = dlh_tensor_count (tensor);

    if (dlh_tensor_get_dtype (tensor) != DLH_I64) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s data: %s numbers are %s, i64 is wanted",
                     split, what, dlh_dtype_name (dlh_tensor_get_dtype (tensor)));
        return FALSE;
    }
    for (gint64 i = 0; i < n; i++) {
        if (data[i] >= 0 && data[i] < limit)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s data: %s %" G_GINT64_FORMAT " of example %" G_GINT64_FORMAT
                     " is not in 0 .. %" G_GINT64_FORMAT,
                     split, what, data[i], example_of (tensor, i), limit - 1);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_target_shape (DlhTargetKind kind, DlhShape x, DlhShape y)
{
    switch (kind) {
    case DLH_TARGET_NONE:
        return FALSE;
    case DLH_TARGET_CLASS:
        return y.rank == 1 && y.dims[0] == x.dims[0];
    case DLH_TARGET_REAL:
        return y.rank == 2 && y.dims[0] == x.dims[0];
    case DLH_TARGET_SEQUENCE:
        return x.rank >= 2 && y.rank == 2 && y.dims[0] == x.dims[0] && y.dims[1] == x.dims[1];
    }
    return FALSE;
}

static const char *const target_shapes[] = {NULL, "no targets", "targets [n]", "targets [n,d]",
                                            "inputs [n,T,...] and targets [n,T]"};

gboolean
dlh_data_check_shapes (DlhData *data, DlhSplit which, DlhShape x, DlhTensor *targets,
                       GError **error)
{
    const char *split = split_names[which];
    g_autofree char *xs = dlh_shape_to_string (x);
    g_autofree char *ys = targets ? dlh_shape_to_string (dlh_tensor_get_shape (targets)) : NULL;
    gboolean fit = targets ? x.rank > 0 && check_target_shape (data->target_kind, x,
                                                               dlh_tensor_get_shape (targets))
                           : x.rank > 0 && data->target_kind == DLH_TARGET_NONE;

    if (!fit) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s data: inputs %s with targets %s do not fit, %s with the same n are wanted",
                     split, xs, ys ? ys : "(none)", target_shapes[data->target_kind]);
        return FALSE;
    }
    if (data->lanes && x.dims[0] % data->lanes != 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s data: %" G_GINT64_FORMAT " rows are no multiple of %" G_GINT64_FORMAT
                     " lanes",
                     split, x.dims[0], data->lanes);
        return FALSE;
    }
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++) {
        DlhShape other = dlh_data_has_split (data, i) ? dlh_data_whole_shape (data, i) : x;

        if (!dlh_shape_equal (dlh_shape_remove (other, 0), dlh_shape_remove (x, 0))) {
            g_autofree char *os = dlh_shape_to_string (other);

            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "%s data: inputs %s do not go with the %s data's %s", split, xs,
                         split_names[i], os);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
dlh_data_check_targets (DlhData *data, DlhSplit split, DlhTensor *targets, GError **error)
{
    const char *name = split_names[split];

    if (!targets)
        return TRUE;
    if (data->target_kind == DLH_TARGET_CLASS || data->target_kind == DLH_TARGET_SEQUENCE)
        return check_indices (targets, data->n_classes, name, "class", error);
    return check_numbers (targets, name, "targets", error);
}

gboolean
dlh_data_set_split (DlhData *data, DlhSplit split, DlhTensor *inputs, DlhTensor *targets,
                    GError **error)
{
    DlhSplitData *s;
    const char *name;

    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, FALSE);
    name = split_names[split];
    if (!dlh_data_check_shapes (data, split, dlh_tensor_get_shape (inputs), targets, error))
        return FALSE;
    if (data->vocabulary ? !check_indices (inputs, data->vocabulary, name, "token", error)
                         : !check_numbers (inputs, name, "inputs", error))
        return FALSE;
    if (!dlh_data_check_targets (data, split, targets, error))
        return FALSE;
    s = &data->splits[split];
    dlh_tensor_ref (inputs);
    if (targets)
        dlh_tensor_ref (targets);
    dlh_tensor_unref (s->inputs);
    dlh_tensor_unref (s->targets);
    g_clear_pointer (&s->rows, dlh_rows_unref);
    s->inputs = inputs;
    s->targets = targets;
    return TRUE;
}

void
dlh_data_set_targets (DlhData *data, DlhTargetKind kind, gint64 n_classes)
{
    g_return_if_fail (kind >= DLH_TARGET_NONE && kind <= DLH_TARGET_SEQUENCE);
    data->target_kind = kind;
    data->n_classes = n_classes;
}

void
dlh_data_set_vocabulary (DlhData *data, gint64 n)
{
    data->vocabulary = n;
}

void
dlh_data_set_stream (DlhData *data, gint64 lanes)
{
    g_return_if_fail (lanes >= 0);
    data->lanes = lanes;
}

void
dlh_data_set_target_scale (DlhData *data, double mean, double std)
{
    data->target_mean = mean;
    data->target_std = std;
}

static void
keep_rows (DlhTensor **tensor, gint64 first, gint64 n)
{
    DlhTensor *rows = *tensor ? dlh_tensor_rows (*tensor, first, n) : NULL;

    dlh_tensor_unref (*tensor);
    *tensor = rows;
}

static DlhTensor *
part_of (DlhTensor *tensor, gint64 first, gint64 n)
{
    return tensor ? dlh_tensor_rows (tensor, first, n) : NULL;
}

static void
keep_part (DlhSplitData *s, gint64 n)
{
    keep_rows (&s->inputs, 0, n);
    keep_rows (&s->targets, 0, n);
    keep_rows (&s->factors, 0, n);
    keep_rows (&s->weights, 0, n);
    s->n = n;
}

gboolean
dlh_data_hold_out (DlhData *data, gint64 n, GError **error)
{
    gint64 count = dlh_data_count (data, DLH_SPLIT_TRAIN);
    DlhSplitData *from = &data->splits[DLH_SPLIT_TRAIN], *to = &data->splits[DLH_SPLIT_VALID];
    DlhSplitData old = *to;

    if (n < 0 || n > count) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "cannot hold %" G_GINT64_FORMAT " examples out of %" G_GINT64_FORMAT
                     " training examples",
                     n, count);
        return FALSE;
    }
    if (n == 0)
        return TRUE;
    *to = (DlhSplitData){
        .inputs = part_of (from->inputs, count - n, n),
        .targets = part_of (from->targets, count - n, n),
        .factors = part_of (from->factors, count - n, n),
        .weights = part_of (from->weights, count - n, n),
        .rows = dlh_rows_ref (from->rows),
        .first = from->first + count - n,
        .n = n,
    };
    keep_part (from, count - n);
    dlh_tensor_unref (old.inputs);
    dlh_tensor_unref (old.targets);
    dlh_tensor_unref (old.factors);
    dlh_tensor_unref (old.weights);
    dlh_rows_unref (old.rows);
    return TRUE;
}

void
dlh_data_limit (DlhData *data, gint64 n)
{
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++)
        if (dlh_data_has_split (data, i))
            keep_part (&data->splits[i], MIN (n, dlh_data_count (data, i)));
}

/* Of one channel: sums are taken by planes, so that no running sum grows over the whole set. */
typedef struct {
    double mean, std;
} Moments;

// x (n, C, plane)
#define MOMENTS(T)                                                                                 \
    do {                                                                                           \
        const T *x = (const T *)data + (gsize)channel * plane;                                     \
        T first = x[0];                                                                            \
        gboolean constant = TRUE;                                                                  \
                                                                                                   \
        for (gsize i = 0; i < n; i++) {                                                            \
            double part = 0;                                                                       \
                                                                                                   \
            for (gsize j = 0; j < plane; j++) {                                                    \
                part += (double)x[i * stride + j];                                                 \
                constant &= x[i * stride + j] == first;                                            \
            }                                                                                      \
            sum += part;                                                                           \
        }                                                                                          \
        m.mean = sum / (double)(n * plane);                                                        \
        for (gsize i = 0; i < n; i++) {                                                            \
            double part = 0;                                                                       \
                                                                                                   \
            for (gsize j = 0; j < plane; j++) {                                                    \
                double d = (double)x[i * stride + j] - m.mean;                                     \
                                                                                                   \
                part += d * d;                                                                     \
            }                                                                                      \
            squares += part;                                                                       \
        }                                                                                          \
        /* Rounding of the mean must not pass for a deviation. */                                  \
        m.std = constant ? 1 : sqrt (squares / (double)(n * plane));                               \
    } while (0)

static Moments
channel_moments (const DlhTensor *tensor, gsize n, gsize channel, gsize plane, gsize stride)
{
    gconstpointer data = dlh_tensor_get_data (tensor);
    double sum = 0, squares = 0;
    Moments m = {0, 1};

    if (n * plane == 0)
        return m;
    if (dlh_tensor_get_dtype (tensor) == DLH_F32)
        MOMENTS (float);
    else
        MOMENTS (double);
    return m;
}

static void
standardize_channel (DlhTensor *tensor, Moments m, gsize channel, gsize plane, gsize stride)
{
    gpointer data = dlh_tensor_get_data (tensor);
    gsize n = (gsize)dlh_tensor_get_shape (tensor).dims[0];

    for (gsize i = 0; i < n; i++) {
        gsize at = i * stride + channel * plane;

        if (dlh_tensor_get_dtype (tensor) == DLH_F32)
            for (gsize j = at; j < at + plane; j++)
                ((float *)data)[j] = (float)((((float *)data)[j] - m.mean) / m.std);
        else
            for (gsize j = at; j < at + plane; j++)
                ((double *)data)[j] = (((double *)data)[j] - m.mean) / m.std;
    }
}

void
dlh_data_standardize (DlhData *data)
{
    DlhTensor *train = data->splits[DLH_SPLIT_TRAIN].inputs;
    DlhShape shape = dlh_data_input_shape (data);
    gsize plane, stride;

    g_return_if_fail (train && shape.rank > 0 && dlh_dtype_is_float (dlh_tensor_get_dtype (train)));
    stride = (gsize)dlh_shape_count (shape);
    plane = (gsize)dlh_shape_count (dlh_shape_remove (shape, 0));
    for (gsize channel = 0; channel < (gsize)shape.dims[0]; channel++) {
        Moments m = channel_moments (train, (gsize)dlh_data_count (data, DLH_SPLIT_TRAIN), channel,
                                     plane, stride);

        for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++)
            if (data->splits[i].inputs)
                standardize_channel (data->splits[i].inputs, m, channel, plane, stride);
    }
}

gboolean
dlh_data_has_split (DlhData *data, DlhSplit split)
{
    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, FALSE);
    return data->splits[split].inputs || data->splits[split].rows;
}

DlhTensor *
dlh_data_targets (DlhData *data, DlhSplit split)
{
    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, NULL);
    return data->splits[split].targets;
}

gint64
dlh_data_count (DlhData *data, DlhSplit split)
{
    return dlh_data_has_split (data, split) ? dlh_data_whole_shape (data, split).dims[0] : 0;
}

DlhTargetKind
dlh_data_target_kind (DlhData *data)
{
    return data->target_kind;
}

gint64
dlh_data_n_classes (DlhData *data)
{
    return data->n_classes;
}

gint64
dlh_data_vocabulary (DlhData *data)
{
    return data->vocabulary;
}

gboolean
dlh_data_is_stream (DlhData *data)
{
    return data->lanes > 0;
}

gint64
dlh_data_lanes (DlhData *data)
{
    return data->lanes;
}

double
dlh_data_target_mean (DlhData *data)
{
    return data->target_mean;
}

double
dlh_data_target_std (DlhData *data)
{
    return data->target_std;
}

DlhShape
dlh_data_input_shape (DlhData *data)
{
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++)
        if (dlh_data_has_split (data, i))
            return dlh_shape_remove (dlh_data_whole_shape (data, i), 0);
    return dlh_shape ();
}

DlhShape
dlh_data_target_shape (DlhData *data)
{
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++)
        if (data->splits[i].targets)
            return dlh_shape_remove (dlh_tensor_get_shape (data->splits[i].targets), 0);
    return dlh_shape ();
}
