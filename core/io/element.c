/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "io/element.h"

static const struct {
    gsize size;
    DlhDType dtype;
    gboolean exact;
} elements[] = {
    [DLH_ELEMENT_BOOL] = {1, DLH_BOOL, TRUE}, [DLH_ELEMENT_F16] = {2, DLH_F32, FALSE},
    [DLH_ELEMENT_BF16] = {2, DLH_F32, FALSE}, [DLH_ELEMENT_F32] = {4, DLH_F32, TRUE},
    [DLH_ELEMENT_F64] = {8, DLH_F64, TRUE},   [DLH_ELEMENT_I8] = {1, DLH_I32, FALSE},
    [DLH_ELEMENT_U8] = {1, DLH_I32, FALSE},   [DLH_ELEMENT_I16] = {2, DLH_I32, FALSE},
    [DLH_ELEMENT_U16] = {2, DLH_I32, FALSE},  [DLH_ELEMENT_I32] = {4, DLH_I32, TRUE},
    [DLH_ELEMENT_U32] = {4, DLH_I64, FALSE},  [DLH_ELEMENT_I64] = {8, DLH_I64, TRUE},
    [DLH_ELEMENT_U64] = {8, DLH_I64, FALSE},
};

gsize
dlh_element_size (DlhElement element)
{
    return elements[element].size;
}

DlhDType
dlh_element_dtype (DlhElement element)
{
    return elements[element].dtype;
}

gboolean
dlh_element_is_exact (DlhElement element)
{
    return elements[element].exact;
}

DlhElement
dlh_element_of (DlhDType dtype)
{
    for (guint i = 1; i < G_N_ELEMENTS (elements); i++)
        if (elements[i].exact && elements[i].dtype == dtype)
            return i;
    g_return_val_if_reached (DLH_ELEMENT_F32);
}

static float
float_from_bits (guint32 bits)
{
    float value;

    memcpy (&value, &bits, 4);
    return value;
}

static float
float_from_half (guint16 h)
{
    guint32 sign = (guint32)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;

    if (exponent == 31)
        return float_from_bits (sign | 0x7f800000 | fraction << 13);
    if (exponent == 0)
        return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    return float_from_bits (sign | (exponent + 112) << 23 | fraction << 13);
}

#define CONVERT(From, To, expression)                                                              \
    for (gsize i = 0; i < n; i++) {                                                                \
        From v = ((const From *)raw)[i];                                                           \
        ((To *)out)[i] = expression;                                                               \
    }                                                                                              \
    return;

void
dlh_element_convert (DlhElement element, gconstpointer raw, gpointer out, gsize n)
{
    switch (element) {
    case DLH_ELEMENT_F16:
        CONVERT (guint16, float, float_from_half (v))
    case DLH_ELEMENT_BF16:
        CONVERT (guint16, float, float_from_bits ((guint32)v << 16))
    case DLH_ELEMENT_I8:
        CONVERT (gint8, gint32, v)
    case DLH_ELEMENT_U8:
        CONVERT (guint8, gint32, v)
    case DLH_ELEMENT_I16:
        CONVERT (gint16, gint32, v)
    case DLH_ELEMENT_U16:
        CONVERT (guint16, gint32, v)
    case DLH_ELEMENT_U32:
        CONVERT (guint32, gint64, v)
    case DLH_ELEMENT_U64:
    case DLH_ELEMENT_BOOL:
    case DLH_ELEMENT_F32:
    case DLH_ELEMENT_F64:
    case DLH_ELEMENT_I32:
    case DLH_ELEMENT_I64:
        if (n > 0)
            memcpy (out, raw, n * elements[element].size);
        return;
    }
}

void
dlh_element_swap (gpointer raw, gsize size, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        guint8 *p = (guint8 *)raw + i * size;

        for (gsize k = 0; k < size / 2; k++) {
            guint8 byte = p[k];

            p[k] = p[size - 1 - k];
            p[size - 1 - k] = byte;
        }
    }
}

void
dlh_element_gather (const char *raw, gsize size, DlhShape shape, const gint64 *strides,
                    gpointer out)
{
    gint64 index[DLH_MAX_RANK] = {0}, n = dlh_shape_count (shape), at = 0;
    char *to = out;

    for (gint64 i = 0; i < n; i++, to += size) {
        memcpy (to, raw + at, size);
        // The next index, as an odometer turns.
        for (guint k = shape.rank; k-- > 0;) {
            at += strides[k];
            if (++index[k] < shape.dims[k])
                break;
            at -= strides[k] * shape.dims[k];
            index[k] = 0;
        }
    }
}

gboolean
dlh_element_check (DlhElement element, const DlhTensor *tensor, GError **error)
{
    gconstpointer data = dlh_tensor_get_data (tensor);
    gint64 n = dlh_tensor_count (tensor);

    if (element == DLH_ELEMENT_BOOL)
        for (gint64 i = 0; i < n; i++)
            if (((const guint8 *)data)[i] > 1) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                             "element %" G_GINT64_FORMAT " of type BOOL is %u, not 0 or 1", i,
                             ((const guint8 *)data)[i]);
                return FALSE;
            }
    if (element == DLH_ELEMENT_U64)
        for (gint64 i = 0; i < n; i++)
            if (((const gint64 *)data)[i] < 0) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                             "element %" G_GINT64_FORMAT " is %" G_GUINT64_FORMAT
                             ", too large for i64",
                             i, ((const guint64 *)data)[i]);
                return FALSE;
            }
    return TRUE;
}
