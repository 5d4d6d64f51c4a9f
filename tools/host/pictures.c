/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include <png.h>
#include "pictures.h"

#define GAP 2     /* pixels between pictures */
#define LARGE 96  /* smaller pictures are enlarged towards this many pixels */
#define MOST 8192 /* pixels along a side of the whole */

typedef struct {
    gint64 n, channels, height, width;
    guint scale, columns, rows;
    guint total_width, total_height;
} Layout;

static gboolean
plan (Layout *l, DlhShape shape, GError **error)
{
    if (shape.rank == 4 && shape.dims[0] > 0 && (shape.dims[1] == 1 || shape.dims[1] == 3) &&
        shape.dims[2] > 0 && shape.dims[3] > 0 && shape.dims[0] <= MOST && shape.dims[2] <= MOST &&
        shape.dims[3] <= MOST) {
        *l = (Layout){shape.dims[0], shape.dims[1], shape.dims[2], shape.dims[3]};
        l->scale = (guint)CLAMP (LARGE / MAX (l->height, l->width), 1, 8);
        l->columns = (guint)ceil (sqrt ((double)l->n));
        l->rows = (guint)(l->n + l->columns - 1) / l->columns;
        l->total_width = l->columns * ((guint)l->width * l->scale + GAP) + GAP;
        l->total_height = l->rows * ((guint)l->height * l->scale + GAP) + GAP;
        if (l->total_width <= MOST && l->total_height <= MOST)
            return TRUE;
    }
    {
        g_autofree char *text = dlh_shape_to_string (shape);

        g_set_error (
            error, DLH_ERROR, DLH_ERROR_SHAPE,
            "pictures of shape %s: wanted is (n, 1 or 3, height, width), at most %d pixels "
            "across when side by side",
            text, MOST);
    }
    return FALSE;
}

static guint8
level (double v)
{
    return v > 0 ? (guint8)(MIN (v, 1) * 255 + 0.5) : 0; // NaN is not above 0
}

static void
draw (const Layout *l, const DlhTensor *pictures, gint64 i, guint8 *rgb)
{
    guint left = GAP + (guint)(i % l->columns) * ((guint)l->width * l->scale + GAP);
    guint top = GAP + (guint)(i / l->columns) * ((guint)l->height * l->scale + GAP);

    for (guint y = 0; y < l->height * l->scale; y++)
        for (guint x = 0; x < l->width * l->scale; x++)
            for (guint k = 0; k < 3; k++) {
                gint64 from = (i * l->channels + MIN (k, l->channels - 1)) * l->height;

                from = (from + y / l->scale) * l->width + x / l->scale;
                rgb[((gsize)(top + y) * l->total_width + left + x) * 3 + k] =
                    level (dlh_tensor_get (pictures, from));
            }
}

GBytes *
pictures_to_png (const DlhTensor *pictures, guint *width, guint *height, GError **error)
{
    Layout l;
    g_autofree guint8 *rgb = NULL;
    g_autofree guint8 *file = NULL;
    png_alloc_size_t size = 0;
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};

    if (!plan (&l, dlh_tensor_get_shape (pictures), error))
        return NULL;
    *width = image.width = l.total_width;
    *height = image.height = l.total_height;
    rgb = g_malloc ((gsize)l.total_width * l.total_height * 3);
    memset (rgb, 0x80, (gsize)l.total_width * l.total_height * 3);
    for (gint64 i = 0; i < l.n; i++)
        draw (&l, pictures, i, rgb);
    // The first call asks for the size.
    if (png_image_write_to_memory (&image, NULL, &size, 0, rgb, 0, NULL)) {
        file = g_malloc (size);
        if (png_image_write_to_memory (&image, file, &size, 0, rgb, 0, NULL))
            return g_bytes_new_take (g_steal_pointer (&file), size);
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "libpng: %s", image.message);
    return NULL;
}

char *
pictures_file_name (const char *name, gint64 step)
{
    g_autofree char *plain = g_strdup (name);

    g_strcanon (plain, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.", '-');
    return g_strdup_printf ("%s-%" G_GINT64_FORMAT ".png", plain, step);
}
