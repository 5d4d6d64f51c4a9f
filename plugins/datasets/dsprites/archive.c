/* SPDX-License-Identifier: MIT */
/* The original file: an npz with imgs, u1 (737280, 64, 64), and latents_classes, i8 (737280, 6),
 * whose first column is the colour. It is read in pieces, since the pictures take 3 GB of bytes; as
 * bits they take 377 MB. */
#include "dsprites.h"

#define PIECE 4096 /* pictures, or rows of classes */

static gint64
n_pictures (void)
{
    gint64 n = 1;

    for (guint k = 0; k < DSPRITES_FACTORS; k++)
        n *= dsprites_counts[k];
    return n;
}

static gboolean
check_shape (DlhShape whole, DlhShape want, GError **error)
{
    g_autofree char *got = dlh_shape_to_string (whole), *wanted = dlh_shape_to_string (want);

    if (dlh_shape_equal (whole, want))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "shape %s, %s is wanted: is it the file of dSprites?", got, wanted);
    return FALSE;
}

// The value of a row's column, whatever integer type the file has.
static gint64
whole_number (const DlhTensor *t, gint64 i)
{
    gconstpointer data = dlh_tensor_get_data (t);

    switch (dlh_tensor_get_dtype (t)) {
    case DLH_I32:
        return ((const gint32 *)data)[i];
    case DLH_I64:
        return ((const gint64 *)data)[i];
    case DLH_BOOL:
        return ((const guint8 *)data)[i];
    default:
        return -1;
    }
}

static gboolean
take_pictures (const DlhTensor *rows, DlhShape whole, gint64 first, gpointer user_data,
               GError **error)
{
    guint8 *bits = (guint8 *)user_data + first * DSPRITES_BYTES;
    gint64 n = dlh_tensor_count (rows);

    if (!check_shape (whole, dlh_shape (n_pictures (), DSPRITES_SIDE, DSPRITES_SIDE), error))
        return FALSE;
    for (gint64 i = 0; i < n; i++) {
        gint64 v = whole_number (rows, i);

        if (v != 0 && v != 1) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "a pixel of picture %" G_GINT64_FORMAT " is not 0 or 1 as a whole number",
                         first + i / DSPRITES_PIXELS);
            return FALSE;
        }
        bits[i / 8] |= (guint8)(v << (7 - i % 8));
    }
    return TRUE;
}

static gboolean
take_classes (const DlhTensor *rows, DlhShape whole, gint64 first, gpointer user_data,
              GError **error)
{
    const gint64 columns = DSPRITES_FACTORS + 1;

    (void)user_data;
    if (!check_shape (whole, dlh_shape (n_pictures (), columns), error))
        return FALSE;
    for (gint64 i = 0; i < dlh_tensor_count (rows) / columns; i++) {
        gint64 at = first + i;

        for (guint k = DSPRITES_FACTORS; k-- > 0; at /= dsprites_counts[k]) {
            gint64 got = whole_number (rows, i * columns + k + 1);

            if (got == at % dsprites_counts[k])
                continue;
            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "column %u of row %" G_GINT64_FORMAT " is %" G_GINT64_FORMAT
                         ", the grid's order wants %" G_GINT64_FORMAT,
                         k + 1, first + i, got, at % dsprites_counts[k]);
            return FALSE;
        }
    }
    return TRUE;
}

guint8 *
dsprites_read_archive (const char *path, GError **error)
{
    g_autoptr (DlhNpz) npz = dlh_npz_open (path, error);
    g_autofree guint8 *bits = NULL;

    if (!npz)
        return NULL;
    bits = g_try_malloc0 ((gsize)n_pictures () * DSPRITES_BYTES);
    if (!bits) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate the pictures' bits");
        return NULL;
    }
    if (!dlh_npz_read_pieces (npz, "latents_classes", PIECE, take_classes, NULL, error) ||
        !dlh_npz_read_pieces (npz, "imgs", PIECE, take_pictures, bits, error))
        return NULL;
    return g_steal_pointer (&bits);
}
