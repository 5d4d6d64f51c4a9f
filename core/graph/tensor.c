/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <dlhost/tensor.h>

struct _DlhTensor {
    gint ref_count;
    DlhDType dtype;
    DlhShape shape;
    gpointer data;
    GDestroyNotify free_data;
    gpointer owner;
};

DlhTensor *
dlh_tensor_new_take (DlhDType dtype, DlhShape shape, gpointer data, GDestroyNotify free_data,
                     gpointer owner)
{
    DlhTensor *t = g_new0 (DlhTensor, 1);

    *t = (DlhTensor){1, dtype, shape, data, free_data, owner};
    return t;
}

DlhTensor *
dlh_tensor_new (DlhDType dtype, DlhShape shape, GError **error)
{
    gsize bytes;
    gpointer data;

    if (!dlh_shape_valid (shape)) {
        g_autofree char *s = dlh_shape_to_string (shape);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "tensor: shape %s has a negative size or too many elements", s);
        return NULL;
    }
    bytes = (gsize) dlh_shape_count (shape) * dlh_dtype_size (dtype);
    // aligned_alloc wants a multiple of the alignment, and NULL must mean failure alone.
    data = bytes > G_MAXSSIZE - 64 ? NULL : aligned_alloc (64, MAX (64, (bytes + 63) / 64 * 64));
    if (!data) {
        g_autofree char *s = dlh_shape_to_string (shape);

        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "tensor: cannot allocate %" G_GSIZE_FORMAT " bytes for %s %s", bytes,
                     dlh_dtype_name (dtype), s);
        return NULL;
    }
    memset (data, 0, bytes);
    return dlh_tensor_new_take (dtype, shape, data, free, data);
}

DlhTensor *
dlh_tensor_rows (DlhTensor *tensor, gint64 first, gint64 n)
{
    DlhShape shape = tensor->shape;
    gsize row;

    g_return_val_if_fail (shape.rank > 0 && first >= 0 && n >= 0 && first + n <= shape.dims[0],
                          NULL);
    row = (gsize) dlh_shape_count (dlh_shape_remove (shape, 0)) * dlh_dtype_size (tensor->dtype);
    return dlh_tensor_new_take (tensor->dtype, dlh_shape_with (shape, 0, n),
                                (char *) tensor->data + (gsize) first * row,
                                (GDestroyNotify) dlh_tensor_unref, dlh_tensor_ref (tensor));
}

DlhTensor *
dlh_tensor_copy (const DlhTensor *tensor, GError **error)
{
    DlhTensor *t = dlh_tensor_new (tensor->dtype, tensor->shape, error);

    if (t)
        memcpy (t->data, tensor->data, dlh_tensor_bytes (tensor));
    return t;
}

DlhTensor *
dlh_tensor_ref (DlhTensor *tensor)
{
    g_atomic_int_inc (&tensor->ref_count);
    return tensor;
}

void
dlh_tensor_unref (DlhTensor *tensor)
{
    if (!tensor || !g_atomic_int_dec_and_test (&tensor->ref_count))
        return;
    if (tensor->free_data)
        tensor->free_data (tensor->owner);
    g_free (tensor);
}

DlhDType
dlh_tensor_get_dtype (const DlhTensor *tensor)
{
    return tensor->dtype;
}

DlhShape
dlh_tensor_get_shape (const DlhTensor *tensor)
{
    return tensor->shape;
}

gpointer
dlh_tensor_get_data (const DlhTensor *tensor)
{
    return tensor->data;
}

gint64
dlh_tensor_count (const DlhTensor *tensor)
{
    return dlh_shape_count (tensor->shape);
}

gsize
dlh_tensor_bytes (const DlhTensor *tensor)
{
    return (gsize) dlh_tensor_count (tensor) * dlh_dtype_size (tensor->dtype);
}

double
dlh_tensor_get (const DlhTensor *tensor, gint64 index)
{
    g_return_val_if_fail (index >= 0 && index < dlh_tensor_count (tensor), 0);
    switch (tensor->dtype) {
    case DLH_F32:
        return ((const float *) tensor->data)[index];
    case DLH_F64:
        return ((const double *) tensor->data)[index];
    case DLH_I32:
        return ((const gint32 *) tensor->data)[index];
    case DLH_I64:
        return (double) ((const gint64 *) tensor->data)[index];
    case DLH_BOOL:
        return ((const guint8 *) tensor->data)[index];
    }
    g_return_val_if_reached (0);
}

void
dlh_tensor_set (DlhTensor *tensor, gint64 index, double value)
{
    g_return_if_fail (index >= 0 && index < dlh_tensor_count (tensor));
    switch (tensor->dtype) {
    case DLH_F32:
        ((float *) tensor->data)[index] = (float) value;
        return;
    case DLH_F64:
        ((double *) tensor->data)[index] = value;
        return;
    case DLH_I32:
        ((gint32 *) tensor->data)[index] = (gint32) value;
        return;
    case DLH_I64:
        ((gint64 *) tensor->data)[index] = (gint64) value;
        return;
    case DLH_BOOL:
        ((guint8 *) tensor->data)[index] = value != 0;
        return;
    }
}
