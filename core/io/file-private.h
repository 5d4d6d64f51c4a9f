/* SPDX-License-Identifier: MIT */
/* What the file formats share with file.c. */
#pragma once

#include <dlhost/io.h>

typedef struct {
    gconstpointer data;
    gsize n;
} DlhFilePart;

/* As dlh_file_write(), for contents that lie in @n_parts pieces. */
gboolean dlh_file_write_parts (const char *path, const DlhFilePart *parts, gsize n_parts,
                               GError **error);

/* Opens a regular file for reading. @size is what it held then. Returns: the descriptor, or -1. */
int dlh_file_open (const char *path, guint64 *size, GError **error);
/* Reads exactly @n bytes from @offset: fewer is DLH_ERROR_DATA. Messages do not name the file. */
gboolean dlh_file_read_at (int fd, guint64 offset, gpointer out, gsize n, GError **error);

/* Returns: (transfer full): @name in quotes for a message: short, printable. */
char *dlh_name_quote (const char *name);
