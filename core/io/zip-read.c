/* SPDX-License-Identifier: MIT */
/* The contents of a member: as they lie there, or inflated piece by piece, with their checksum. */
#include <string.h>
#include <zlib.h>
#include "io/file-private.h"
#include "io/zip-private.h"

#define CHUNK ((gsize)64 * 1024)

static gboolean
set_damage (GError **error, const char *what)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "its packed data are damaged: %s", what);
    return FALSE;
}

static gboolean
set_no_memory (GError **error)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate to inflate it");
    return FALSE;
}

// Gives the inflater more packed bytes where it has none. At the end there are none to give.
static gboolean
refill (DlhZipReader *r, z_stream *z, GError **error)
{
    gsize n = (gsize)MIN (r->member->packed - r->at, CHUNK);

    if (z->avail_in > 0 || n == 0)
        return TRUE;
    if (!dlh_file_read_at (r->fd, r->member->data + r->at, r->chunk, n, error))
        return FALSE;
    r->at += n;
    z->next_in = r->chunk;
    z->avail_in = (uInt)n;
    return TRUE;
}

static gboolean
read_deflated (DlhZipReader *r, guint8 *out, gsize n, GError **error)
{
    z_stream *z = r->inflater;
    gsize done = 0;

    while (done < n) {
        gsize want = MIN (n - done, (gsize)G_MAXINT);
        int status;

        if (!refill (r, z, error))
            return FALSE;
        z->next_out = out + done;
        z->avail_out = (uInt)want;
        status = inflate (z, Z_NO_FLUSH);
        done += want - z->avail_out;
        if (status == Z_MEM_ERROR)
            return set_no_memory (error);
        if (status == Z_STREAM_END && done < n)
            return set_damage (error, "they end before the size that the directory says");
        if (status == Z_BUF_ERROR)
            return set_damage (error, "they are cut off");
        if (status != Z_OK && status != Z_STREAM_END)
            return set_damage (error, z->msg ? z->msg : zError (status));
    }
    return TRUE;
}

static gboolean
read_member (DlhSource *source, gpointer out, gsize n, GError **error)
{
    DlhZipReader *r = (DlhZipReader *)source;

    if (r->inflater) {
        if (!read_deflated (r, out, n, error))
            return FALSE;
    } else {
        if (!dlh_file_read_at (r->fd, r->member->data + r->at, out, n, error))
            return FALSE;
        r->at += n;
    }
    r->crc = (guint32)crc32_z (r->crc, out, n);
    return TRUE;
}

gboolean
dlh_zip_reader_open (DlhZipReader *r, int fd, const DlhZipMember *member, GError **error)
{
    z_stream *z;

    *r = (DlhZipReader){{read_member, member->size}, fd, member, 0, 0, NULL, NULL};
    if (member->method == 0)
        return TRUE;
    z = g_new0 (z_stream, 1);
    if (inflateInit2 (z, -15) != Z_OK) {
        g_free (z);
        return set_no_memory (error);
    }
    r->inflater = z;
    r->chunk = g_malloc (CHUNK);
    return TRUE;
}

gboolean
dlh_zip_reader_check (DlhZipReader *r, GError **error)
{
    z_stream *z = r->inflater;
    guint8 more;

    g_return_val_if_fail (r->source.left == 0, FALSE);
    if (z) {
        int status;

        if (!refill (r, z, error))
            return FALSE;
        z->next_out = &more;
        z->avail_out = 1;
        status = inflate (z, Z_NO_FLUSH);
        if (z->avail_out == 0)
            return set_damage (error, "they go on after the size that the directory says");
        if (status == Z_MEM_ERROR)
            return set_no_memory (error);
        if (status != Z_STREAM_END)
            return set_damage (error, "they have no end");
        if (z->avail_in > 0 || r->at < r->member->packed)
            return set_damage (error, "other bytes follow them");
    }
    if (r->crc == r->member->crc)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "its checksum is %08x, the directory says %08x: the data are damaged", r->crc,
                 r->member->crc);
    return FALSE;
}

void
dlh_zip_reader_clear (DlhZipReader *r)
{
    if (r->inflater)
        inflateEnd (r->inflater);
    g_free (r->inflater);
    g_free (r->chunk);
    r->inflater = r->chunk = NULL;
}
