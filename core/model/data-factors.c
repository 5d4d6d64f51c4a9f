/* SPDX-License-Identifier: MIT */
/* What examples were made from, and how probable each is. */
#include <math.h>
#include <dlhost/random.h>
#include "model/data-private.h"

#define MAX_FACTORS 32

void
dlh_data_clear_factors (DlhData *data)
{
    for (guint i = 0; i < data->n_factors; i++) {
        g_free ((char *)data->described[i].name);
        g_free ((double *)data->described[i].values);
    }
    g_clear_pointer (&data->described, g_free);
    data->n_factors = 0;
}

void
dlh_data_set_factors (DlhData *data, const DlhFactor *factors, guint n)
{
    g_return_if_fail (n <= MAX_FACTORS);
    for (guint i = 0; i < n; i++)
        g_return_if_fail (factors[i].name && factors[i].n_values > 0);
    dlh_data_clear_factors (data);
    data->described = g_new (DlhFactor, n);
    data->n_factors = n;
    for (guint i = 0; i < n; i++) {
        data->described[i] = factors[i];
        data->described[i].name = g_strdup (factors[i].name);
        if (factors[i].values)
            data->described[i].values =
                g_memdup2 (factors[i].values, (gsize)factors[i].n_values * sizeof (double));
    }
}

// A tensor that has a row an example.
static gboolean
check_rows (DlhData *data, DlhSplit split, const DlhTensor *tensor, DlhDType dtype, DlhShape shape,
            const char *what, GError **error)
{
    g_autofree char *got = dlh_shape_to_string (dlh_tensor_get_shape (tensor));
    g_autofree char *want = dlh_shape_to_string (shape);

    if (dlh_data_has_split (data, split) && dlh_tensor_get_dtype (tensor) == dtype &&
        dlh_shape_equal (dlh_tensor_get_shape (tensor), shape))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s data: %s are %s %s, %s %s is wanted",
                 dlh_split_name (split), what, dlh_dtype_name (dlh_tensor_get_dtype (tensor)), got,
                 dlh_dtype_name (dtype), want);
    return FALSE;
}

gboolean
dlh_data_set_factor_values (DlhData *data, DlhSplit split, DlhTensor *values, GError **error)
{
    gint64 n = dlh_data_count (data, split), K = data->n_factors;
    const gint64 *v = dlh_tensor_get_data (values);

    if (!check_rows (data, split, values, DLH_I64, dlh_shape (n, K), "factor values", error))
        return FALSE;
    for (gint64 i = 0; i < n * K; i++) {
        const DlhFactor *f = &data->described[i % K];

        if (v[i] >= 0 && v[i] < f->n_values)
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s data: factor '%s' of example %" G_GINT64_FORMAT " is %" G_GINT64_FORMAT
                     ", must be in 0 .. %" G_GINT64_FORMAT,
                     dlh_split_name (split), f->name, i / K, v[i], f->n_values - 1);
        return FALSE;
    }
    dlh_tensor_ref (values);
    dlh_tensor_unref (data->splits[split].factors);
    data->splits[split].factors = values;
    return TRUE;
}

guint
dlh_data_n_factors (DlhData *data)
{
    return data->n_factors;
}

const DlhFactor *
dlh_data_factor (DlhData *data, guint i)
{
    return i < data->n_factors ? &data->described[i] : NULL;
}

DlhTensor *
dlh_data_factor_values (DlhData *data, DlhSplit split)
{
    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, NULL);
    return data->splits[split].factors;
}

gboolean
dlh_data_set_weights (DlhData *data, DlhSplit split, DlhTensor *weights, GError **error)
{
    gint64 n = dlh_data_count (data, split);
    const double *w = dlh_tensor_get_data (weights);
    double sum = 0;

    if (!check_rows (data, split, weights, DLH_F64, dlh_shape (n), "weights", error))
        return FALSE;
    for (gint64 i = 0; i < n; i++) {
        sum += w[i];
        if (w[i] >= 0 && isfinite (w[i]))
            continue;
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s data: the weight of example %" G_GINT64_FORMAT
                     " is %g, must be finite and not negative",
                     dlh_split_name (split), i, w[i]);
        return FALSE;
    }
    if (!(sum > 0 && isfinite (sum))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s data: weights add up to %g, a positive number is wanted",
                     dlh_split_name (split), sum);
        return FALSE;
    }
    dlh_tensor_ref (weights);
    dlh_tensor_unref (data->splits[split].weights);
    data->splits[split].weights = weights;
    return TRUE;
}

DlhTensor *
dlh_data_weights (DlhData *data, DlhSplit split)
{
    g_return_val_if_fail (split >= DLH_SPLIT_TRAIN && split <= DLH_SPLIT_TEST, NULL);
    return data->splits[split].weights;
}

// The first of @n rising sums that is above @x; the last one where rounding leaves none.
static gint64
find_sum (const double *sums, gint64 n, double x)
{
    gint64 low = 0, high = n - 1;

    while (low < high) {
        gint64 middle = low + (high - low) / 2;

        if (sums[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void
dlh_data_epoch (DlhData *data, DlhSplit split, guint64 seed, const char *name, guint64 epoch,
                gint64 *out)
{
    gint64 n = dlh_data_count (data, split);
    const DlhTensor *weights = dlh_data_weights (data, split);
    g_autofree double *sums = NULL, *u = NULL;
    const double *w;

    dlh_data_begin_epoch (data, split, epoch);
    if (!weights || n == 0) {
        dlh_random_permutation (seed, name, epoch, out, (gsize)n);
        return;
    }
    w = dlh_tensor_get_data (weights);
    sums = g_new (double, n);
    u = g_new (double, n);
    dlh_random_fill_uniform (seed, name, epoch, u, (gsize)n);
    for (gint64 i = 0; i < n; i++)
        sums[i] = (i ? sums[i - 1] : 0) + w[i];
    for (gint64 i = 0; i < n; i++)
        out[i] = find_sum (sums, n, u[i] * sums[n - 1]);
}
