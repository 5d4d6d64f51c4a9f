/* SPDX-License-Identifier: MIT */
/* One array in NumPy's format, wherever its bytes come from: a file, or a member of a zip archive.
 */
#pragma once

#include <dlhost/io.h>
#include "io/element.h"

/* Bytes that are read once, from first to last. */
typedef struct _DlhSource DlhSource;

struct _DlhSource {
    /* Exactly @n bytes, at most @left. */
    gboolean (*read) (DlhSource *source, gpointer out, gsize n, GError **error);
    guint64 left; /* how many are still to come; dlh_source_read() counts */
};

typedef struct {
    DlhElement element;
    gboolean big_endian, fortran;
    DlhShape shape;
} DlhNpyHeader;

/* Reads the magic number, the version and the header: up to the first element. Messages do not
 * name the file. */
gboolean dlh_npy_read_header (DlhSource *source, DlhNpyHeader *header, GError **error);
/* The header's text, @n bytes that need no NUL. */
gboolean dlh_npy_parse_header (const char *text, gsize n, DlhNpyHeader *header, GError **error);

/* DLH_ERROR_DATA when fewer than @n bytes are left: @what is missing then. */
gboolean dlh_source_read (DlhSource *source, gpointer out, gsize n, const char *what,
                          GError **error);

/* The array, which must fill the source exactly. */
DlhTensor *dlh_npy_read_source (DlhSource *source, GError **error);
/* The same, @n rows of the first axis at a time. */
gboolean dlh_npy_read_pieces (DlhSource *source, gint64 n, DlhNpzPiece take, gpointer user_data,
                              GError **error);
/* What comes before the elements of @tensor, padded to a multiple of 64 bytes. */
GString *dlh_npy_make_header (const DlhTensor *tensor);
