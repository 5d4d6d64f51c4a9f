/* SPDX-License-Identifier: MIT */
/* Tensors as pictures: several are laid out in a grid, small ones are enlarged. */
#pragma once

#include <dlhost/dlhost.h>

/* @pictures: (n, 1 or 3, height, width) in [0, 1]; what lies outside is cut off, NaN is black.
 * Returns: (transfer full): the PNG file, or NULL with DLH_ERROR_SHAPE. */
GBytes *pictures_to_png (const DlhTensor *pictures, guint *width, guint *height, GError **error);
/* (transfer full): a file name for a metric's: "valid/samples" becomes "valid-samples". */
char *pictures_file_name (const char *name, gint64 step);
