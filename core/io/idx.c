/* SPDX-License-Identifier: MIT */
/* The idx format of the MNIST files: two zero bytes, the element type (8: unsigned byte), the rank,
 * the sizes as big-endian 32-bit numbers, then the elements, the last axis fastest. */
#include <string.h>
#include <dlhost/io.h>

// Four times the largest set in this format that is in use.
#define MAX_BYTES ((gsize) 4 << 30)

static gboolean
parse_header (const guint8 *p, gsize n, DlhShape *shape, gsize *header, char **why)
{
    if (n < 4 || p[0] != 0 || p[1] != 0) {
        *why = g_strdup ("is not an idx file: it does not begin with two zero bytes");
        return FALSE;
    }
    if (p[2] != 8) {
        *why = g_strdup_printf ("has element type 0x%02x, only 0x08 (unsigned byte) is read", p[2]);
        return FALSE;
    }
    if (p[3] < 1 || p[3] > DLH_MAX_RANK) {
        *why = g_strdup_printf ("has %u axes, 1 to %d are wanted", p[3], DLH_MAX_RANK);
        return FALSE;
    }
    *header = 4 + 4 * (gsize) p[3];
    if (n < *header) {
        *why = g_strdup_printf ("ends within its header of %" G_GSIZE_FORMAT " bytes", *header);
        return FALSE;
    }
    *shape = dlh_shape_make (p[3], (const gint64[DLH_MAX_RANK]){0});
    for (guint i = 0; i < shape->rank; i++) {
        guint32 big_endian;

        memcpy (&big_endian, p + 4 + 4 * i, 4);
        shape->dims[i] = GUINT32_FROM_BE (big_endian);
    }
    if (!dlh_shape_valid (*shape) || (guint64) dlh_shape_count (*shape) != n - *header) {
        g_autofree char *s = dlh_shape_to_string (*shape);

        *why = g_strdup_printf ("says that it has %s elements, but %" G_GSIZE_FORMAT
                                " bytes follow its header: is it cut off?",
                                s, n - *header);
        return FALSE;
    }
    return TRUE;
}

// Each of the 256 values is scaled once, in double.
#define CONVERT(T)                                                                                 \
    do {                                                                                           \
        T table[256], *restrict out = dlh_tensor_get_data (tensor);                                \
                                                                                                   \
        for (gsize i = 0; i < 256; i++)                                                            \
            table[i] = (T) ((double) i * scale);                                                   \
        for (gsize i = 0; i < n; i++)                                                              \
            out[i] = table[in[i]];                                                                 \
    } while (0)

static void
convert (const guint8 *restrict in, gsize n, double scale, DlhTensor *tensor)
{
    switch (dlh_tensor_get_dtype (tensor)) {
    case DLH_F32:
        CONVERT (float);
        return;
    case DLH_F64:
        CONVERT (double);
        return;
    case DLH_I32:
        CONVERT (gint32);
        return;
    case DLH_I64:
        CONVERT (gint64);
        return;
    case DLH_BOOL:
        for (gsize i = 0; i < n; i++)
            ((guint8 *) dlh_tensor_get_data (tensor))[i] = in[i] != 0;
        return;
    }
}

DlhTensor *
dlh_idx_read (const char *path, DlhDType dtype, double scale, GError **error)
{
    g_autoptr (GBytes) bytes = dlh_file_read (path, MAX_BYTES, error);
    g_autofree char *why = NULL;
    const guint8 *data;
    gsize n, header;
    DlhShape shape;
    DlhTensor *tensor;

    if (!bytes)
        return NULL;
    data = g_bytes_get_data (bytes, &n);
    if (!parse_header (data, n, &shape, &header, &why)) {
        g_autofree char *name = g_filename_display_name (path);

        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: %s", name, why);
        return NULL;
    }
    tensor = dlh_tensor_new (dtype, shape, error);
    if (!tensor) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
        return NULL;
    }
    convert (data + header, n - header, scale, tensor);
    return tensor;
}

static DlhTensor *
read_member (const char *dir, const char *prefix, const char *what, DlhDType dtype, double scale,
             char **path, GError **error)
{
    g_autofree char *name = g_strdup_printf ("%s-%s-ubyte", prefix, what);

    *path = dlh_file_locate (dir, name);
    return dlh_idx_read (*path, dtype, scale, error);
}

gboolean
dlh_idx_read_pair (const char *dir, const char *prefix, DlhDType dtype, double scale,
                   DlhTensor **images, DlhTensor **labels, GError **error)
{
    g_autofree char *x_path = NULL, *y_path = NULL;
    g_autoptr (DlhTensor) y =
        read_member (dir, prefix, "labels-idx1", DLH_I64, 1, &y_path, error);
    g_autoptr (DlhTensor) x =
        y ? read_member (dir, prefix, "images-idx3", dtype, scale, &x_path, error) : NULL;
    g_autofree char *xs = NULL, *ys = NULL;

    if (!x)
        return FALSE;
    xs = dlh_shape_to_string (dlh_tensor_get_shape (x));
    ys = dlh_shape_to_string (dlh_tensor_get_shape (y));
    if (dlh_tensor_get_shape (x).rank != 3 || dlh_tensor_get_shape (y).rank != 1 ||
        dlh_tensor_get_shape (x).dims[0] != dlh_tensor_get_shape (y).dims[0]) {
        g_autofree char *name = g_filename_display_name (x_path);

        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "%s: images of shape %s do not go with labels of shape %s: "
                     "[n,height,width] and [n] are wanted",
                     name, xs, ys);
        return FALSE;
    }
    *images = dlh_tensor_new_take (dtype, dlh_shape_insert (dlh_tensor_get_shape (x), 1, 1),
                                   dlh_tensor_get_data (x), (GDestroyNotify) dlh_tensor_unref,
                                   dlh_tensor_ref (x));
    *labels = g_steal_pointer (&y);
    return TRUE;
}
