/* SPDX-License-Identifier: MIT */
/* Pictures of 28 x 28 bits: MNIST as Larochelle binarised it once for all. */
#include "mnist.h"

#define SIDE 28
#define PIXELS (SIDE * SIDE)
#define ROW (PIXELS / 8)
#define MAX_BYTES ((gsize)1 << 30)

DlhTensor *
bits_read (const char *dir, const char *name, DlhDType dtype, GError **error)
{
    g_autofree char *file = g_strconcat (name, ".bits", NULL);
    g_autofree char *path = dlh_file_locate (dir, file);
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_BYTES, error);
    const guint8 *p;
    gsize size;
    DlhTensor *x;

    if (!bytes)
        return NULL;
    p = g_bytes_get_data (bytes, &size);
    if (size == 0 || size % ROW) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: has %" G_GSIZE_FORMAT " bytes, wanted are pictures of %d bytes (28 x 28 "
                     "bits, no header)",
                     path, size, ROW);
        return NULL;
    }
    x = dlh_tensor_new (dtype, dlh_shape ((gint64)(size / ROW), 1, SIDE, SIDE), error);
    for (gsize i = 0; x && i < size * 8; i++)
        dlh_tensor_set (x, (gint64)i, p[i / 8] >> (7 - i % 8) & 1);
    return x;
}
