/* SPDX-License-Identifier: MIT */
/* npy, NumPy's format of one array (versions 1.0, 2.0 and 3.0). Elements go straight into the
 * tensor where its type is the file's; otherwise through memory as large as the file's data. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/file-private.h"
#include "io/npy-private.h"

#define ALIGNMENT 64

gboolean
dlh_source_read (DlhSource *source, gpointer out, gsize n, const char *what, GError **error)
{
    if (n > source->left) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "ends within %s: %zu bytes are wanted, %" G_GUINT64_FORMAT
                     " are there: is it cut off?",
                     what, n, source->left);
        return FALSE;
    }
    if (n > 0 && !source->read (source, out, n, error))
        return FALSE;
    source->left -= n;
    return TRUE;
}

// The first axis changes fastest: its elements lie side by side.
static void
fortran_strides (DlhShape shape, gsize size, gint64 *strides)
{
    gint64 stride = (gint64)size;

    for (guint i = 0; i < shape.rank; i++) {
        strides[i] = stride;
        stride *= MAX (shape.dims[i], 1);
    }
}

// @raw: the elements as the file has them, @n of them. May change them.
static gboolean
unpack (const DlhNpyHeader *h, gpointer raw, gsize n, DlhTensor *tensor, GError **error)
{
    gsize size = dlh_element_size (h->element);
    g_autofree gpointer ordered = NULL;
    gint64 strides[DLH_MAX_RANK];

    if (h->big_endian)
        dlh_element_swap (raw, size, n);
    if (h->fortran) {
        gpointer to = dlh_tensor_get_data (tensor);

        if (!dlh_element_is_exact (h->element)) {
            to = ordered = g_try_malloc (MAX (n * size, 1));
            if (!ordered) {
                g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate %zu bytes",
                             n * size);
                return FALSE;
            }
        }
        fortran_strides (h->shape, size, strides);
        dlh_element_gather (raw, size, h->shape, strides, to);
        raw = to;
    }
    if (!dlh_element_is_exact (h->element))
        dlh_element_convert (h->element, raw, dlh_tensor_get_data (tensor), n);
    return TRUE;
}

// The bytes of the elements as the file has them.
static gboolean
check_size (const DlhNpyHeader *h, guint64 left, GError **error)
{
    // Fits: a valid shape's count times 8 does.
    guint64 want = (guint64)dlh_shape_count (h->shape) * dlh_element_size (h->element);
    g_autofree char *shape = NULL;

    if (want == left)
        return TRUE;
    shape = dlh_shape_to_string (h->shape);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "shape %s takes %" G_GUINT64_FORMAT " bytes, but %" G_GUINT64_FORMAT
                 " follow the header%s",
                 shape, want, left, left < want ? ": is it cut off?" : "");
    return FALSE;
}

DlhTensor *
dlh_npy_read_source (DlhSource *source, GError **error)
{
    g_autoptr (DlhTensor) tensor = NULL;
    g_autofree gpointer raw = NULL;
    DlhNpyHeader h;
    gboolean direct;
    gpointer to;
    gsize n_bytes;

    if (!dlh_npy_read_header (source, &h, error) || !check_size (&h, source->left, error))
        return NULL;
    n_bytes = (gsize)source->left;
    tensor = dlh_tensor_new (dlh_element_dtype (h.element), h.shape, error);
    if (!tensor)
        return NULL;
    direct = dlh_element_is_exact (h.element) && !h.fortran;
    to = direct ? dlh_tensor_get_data (tensor) : (raw = g_try_malloc (MAX (n_bytes, 1)));
    if (!to) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate %zu bytes", n_bytes);
        return NULL;
    }
    if (!dlh_source_read (source, to, n_bytes, "the elements", error) ||
        !unpack (&h, to, n_bytes / dlh_element_size (h.element), tensor, error) ||
        !dlh_element_check (h.element, tensor, error))
        return NULL;
    return g_steal_pointer (&tensor);
}

static gboolean
check_pieces (const DlhNpyHeader *h, GError **error)
{
    g_autofree char *shape = dlh_shape_to_string (h->shape);

    if (h->shape.rank > 0 && !(h->fortran && h->shape.rank > 1))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "shape %s%s cannot be read row by row: save it in C order with an axis of rows",
                 shape, h->fortran ? " in Fortran order" : "");
    return FALSE;
}

gboolean
dlh_npy_read_pieces (DlhSource *source, gint64 n, DlhNpzPiece take, gpointer user_data,
                     GError **error)
{
    g_autofree gpointer raw = NULL;
    DlhNpyHeader h;
    gint64 rows, row;

    if (!dlh_npy_read_header (source, &h, error) || !check_size (&h, source->left, error) ||
        !check_pieces (&h, error))
        return FALSE;
    rows = h.shape.dims[0];
    row = rows ? dlh_shape_count (h.shape) / rows : 0;
    n = MIN (n, rows);
    raw = g_try_malloc (MAX ((gsize)(n * row) * dlh_element_size (h.element), 1));
    if (!raw) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate a piece of the array");
        return FALSE;
    }
    for (gint64 first = 0; first < rows; first += n) {
        gint64 m = MIN (n, rows - first);
        DlhNpyHeader piece = {h.element, h.big_endian, FALSE, dlh_shape_with (h.shape, 0, m)};
        gsize count = (gsize)(m * row), bytes = count * dlh_element_size (h.element);
        g_autoptr (DlhTensor) tensor =
            dlh_tensor_new (dlh_element_dtype (h.element), piece.shape, error);

        if (!tensor || !dlh_source_read (source, raw, bytes, "the elements", error) ||
            !unpack (&piece, raw, count, tensor, error))
            return FALSE;
        if (dlh_element_is_exact (h.element))
            memcpy (dlh_tensor_get_data (tensor), raw, bytes);
        if (!dlh_element_check (h.element, tensor, error) ||
            !take (tensor, h.shape, first, user_data, error))
            return FALSE;
    }
    return TRUE;
}

typedef struct {
    DlhSource source;
    int fd;
    guint64 at;
} FileSource;

static gboolean
read_file (DlhSource *source, gpointer out, gsize n, GError **error)
{
    FileSource *file = (FileSource *)source;

    if (!dlh_file_read_at (file->fd, file->at, out, n, error))
        return FALSE;
    file->at += n;
    return TRUE;
}

DlhTensor *
dlh_npy_read (const char *path, GError **error)
{
    FileSource file = {{read_file, 0}, -1, 0};
    DlhTensor *tensor;

    file.fd = dlh_file_open (path, &file.source.left, error);
    if (file.fd < 0)
        return NULL;
    tensor = dlh_npy_read_source (&file.source, error);
    close (file.fd);
    if (!tensor) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
    }
    return tensor;
}

static const char *
type_name (DlhDType dtype)
{
    switch (dtype) {
    case DLH_F32:
        return "<f4";
    case DLH_F64:
        return "<f8";
    case DLH_I32:
        return "<i4";
    case DLH_I64:
        return "<i8";
    case DLH_BOOL:
        return "|b1";
    }
    g_return_val_if_reached (NULL);
}

GString *
dlh_npy_make_header (const DlhTensor *tensor)
{
    DlhShape shape = dlh_tensor_get_shape (tensor);
    GString *out = g_string_new_len ("\x93NUMPY\x01\0..", 10);
    guint16 length;

    g_string_append_printf (out, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                            type_name (dlh_tensor_get_dtype (tensor)));
    for (guint i = 0; i < shape.rank; i++)
        g_string_append_printf (out, "%s%" G_GINT64_FORMAT, i ? ", " : "", shape.dims[i]);
    g_string_append (out, shape.rank == 1 ? ",), }" : "), }");
    while (out->len % ALIGNMENT != ALIGNMENT - 1)
        g_string_append_c (out, ' ');
    g_string_append_c (out, '\n');
    length = GUINT16_TO_LE ((guint16)(out->len - 10));
    memcpy (out->str + 8, &length, 2);
    return out;
}

gboolean
dlh_npy_write (const char *path, const DlhTensor *tensor, GError **error)
{
    g_autoptr (GString) header = dlh_npy_make_header (tensor);
    const DlhFilePart parts[] = {{header->str, header->len},
                                 {dlh_tensor_get_data (tensor), dlh_tensor_bytes (tensor)}};

    return dlh_file_write_parts (path, parts, G_N_ELEMENTS (parts), error);
}
