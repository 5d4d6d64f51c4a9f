/* SPDX-License-Identifier: MIT */
/* The part of the zip format that NumPy's archives use: members stored or deflated, zip64 sizes, no
 * encryption, one disk. */
#pragma once

#include "io/npy-private.h"

typedef struct {
    char *name;
    guint method; /* 0: stored, 8: deflated */
    guint32 crc;
    guint64 packed, size; /* bytes in the archive, and of the contents */
    guint64 offset, data; /* of its local header and of its packed bytes */
} DlhZipMember;

/* Frees a member, as element of an array. */
void dlh_zip_member_free (gpointer member);

/* Returns: (element-type DlhZipMember) (transfer full): what the directory of the archive of @size
 * bytes at @fd lists, checked: names, places, sizes. Messages do not name the file. */
GPtrArray *dlh_zip_read_directory (int fd, guint64 size, GError **error);

/* A member's contents. */
typedef struct {
    DlhSource source;
    int fd;
    const DlhZipMember *member;
    guint64 at; /* how many packed bytes were read */
    guint32 crc;
    gpointer inflater, chunk; /* NULL when it is stored */
} DlhZipReader;

gboolean dlh_zip_reader_open (DlhZipReader *reader, int fd, const DlhZipMember *member,
                              GError **error);
/* After all of it was read: that it ended there, with the right checksum. */
gboolean dlh_zip_reader_check (DlhZipReader *reader, GError **error);
void dlh_zip_reader_clear (DlhZipReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (DlhZipReader, dlh_zip_reader_clear)

/* What a name must not be; NULL when it is well. */
const char *dlh_zip_name_problem (const char *name);

/* A file to be written: its pieces, and the memory behind some of them. */
typedef struct _DlhZipWriter DlhZipWriter;

DlhZipWriter *dlh_zip_writer_new (void);
void dlh_zip_writer_free (DlhZipWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhZipWriter, dlh_zip_writer_free)
/* The contents are @head, which is taken, and @n bytes of @body, which must live until the end. */
gboolean dlh_zip_writer_add (DlhZipWriter *writer, const char *name, GString *head,
                             gconstpointer body, gsize n, gboolean deflate, GError **error);
/* Writes all to @path, as dlh_file_write() does. */
gboolean dlh_zip_writer_finish (DlhZipWriter *writer, const char *path, GError **error);
