/* SPDX-License-Identifier: MIT */
/* Zip archives as NumPy writes them. The date is the format's first day, so that the same arrays
 * give the same bytes. */
#include <string.h>
#include <zlib.h>
#include "io/file-private.h"
#include "io/zip-private.h"

#define DATE 0x21 /* 1980-01-01 */
#define UTF8_NAMES (1 << 11)

struct _DlhZipWriter {
    GArray *parts;      /* DlhFilePart */
    GPtrArray *owned;   /* GBytes*, behind the parts */
    GString *directory; /* so far */
    guint64 at, n;      /* bytes and members so far */
};

DlhZipWriter *
dlh_zip_writer_new (void)
{
    DlhZipWriter *w = g_new0 (DlhZipWriter, 1);

    w->parts = g_array_new (FALSE, FALSE, sizeof (DlhFilePart));
    w->owned = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
    w->directory = g_string_new (NULL);
    return w;
}

void
dlh_zip_writer_free (DlhZipWriter *w)
{
    if (!w)
        return;
    g_array_unref (w->parts);
    g_ptr_array_unref (w->owned);
    g_string_free (w->directory, TRUE);
    g_free (w);
}

// Little-endian, @n bytes.
static void
put (GString *out, guint64 value, guint n)
{
    for (guint i = 0; i < n; i++)
        g_string_append_c (out, (char)(value >> 8 * i));
}

static void
add_part (DlhZipWriter *w, gconstpointer data, gsize n)
{
    DlhFilePart part = {data, n};

    g_array_append_val (w->parts, part);
    w->at += n;
}

static void
add_owned (DlhZipWriter *w, GBytes *bytes)
{
    g_ptr_array_add (w->owned, bytes);
    add_part (w, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
}

static void
deflate_piece (z_stream *z, gconstpointer data, gsize n, gboolean last)
{
    const guint8 *p = data;

    do {
        gsize now = MIN (n, (gsize)1 << 30);
        int status;

        z->next_in = (guint8 *)p;
        z->avail_in = (uInt)now;
        p += now;
        n -= now;
        // Room for everything was made: the call takes all.
        status = deflate (z, last && n == 0 ? Z_FINISH : Z_NO_FLUSH);
        g_assert (status != Z_STREAM_ERROR && z->avail_in == 0);
    } while (n > 0);
}

// (transfer full): both pieces packed.
static GBytes *
deflate_all (const GString *head, gconstpointer body, gsize n, GError **error)
{
    z_stream z = {0};
    gsize room = 0;
    g_autofree guint8 *out = NULL;

    if (deflateInit2 (&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        room = deflateBound (&z, head->len + n);
        out = room <= G_MAXUINT32 ? g_try_malloc (room) : NULL;
    }
    if (!out) {
        deflateEnd (&z);
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "cannot deflate %zu bytes in memory: store them instead", head->len + n);
        return NULL;
    }
    z.next_out = out;
    z.avail_out = (uInt)room;
    deflate_piece (&z, head->str, head->len, FALSE);
    deflate_piece (&z, body, n, TRUE);
    room = z.total_out;
    deflateEnd (&z);
    return g_bytes_new_take (g_realloc (g_steal_pointer (&out), MAX (room, 1)), room);
}

/* What both headers of a member say. */
typedef struct {
    const char *name;
    gboolean deflated;
    guint32 crc;
    guint64 packed, size, offset;
} Member;

// From the version needed to the length of the name.
static void
put_common (GString *out, const Member *m, gboolean zip64)
{
    gboolean ascii = g_str_is_ascii (m->name);

    put (out, zip64 ? 45 : 20, 2);
    put (out, ascii ? 0 : UTF8_NAMES, 2);
    put (out, m->deflated ? 8 : 0, 2);
    put (out, 0, 2);
    put (out, DATE, 2);
    put (out, m->crc, 4);
    put (out, zip64 ? G_MAXUINT32 : m->packed, 4);
    put (out, zip64 ? G_MAXUINT32 : m->size, 4);
    put (out, strlen (m->name), 2);
}

static void
put_local (GString *out, const Member *m)
{
    gboolean zip64 = MAX (m->size, m->packed) >= G_MAXUINT32;

    g_string_append_len (out, "PK\3\4", 4);
    put_common (out, m, zip64);
    put (out, zip64 ? 20 : 0, 2);
    g_string_append (out, m->name);
    if (!zip64)
        return;
    put (out, 1, 2);
    put (out, 16, 2);
    put (out, m->size, 8);
    put (out, m->packed, 8);
}

static void
put_central (GString *out, const Member *m)
{
    gboolean zip64 = MAX (m->size, m->packed) >= G_MAXUINT32 || m->offset >= G_MAXUINT32;

    g_string_append_len (out, "PK\1\2", 4);
    put (out, 3 << 8 | 45, 2); // made on Unix, for version 4.5
    put_common (out, m, zip64);
    put (out, zip64 ? 28 : 0, 2);
    put (out, 0, 2 + 2 + 2); // comment, disk, text
    put (out, (guint64)0600 << 16, 4);
    put (out, zip64 ? G_MAXUINT32 : m->offset, 4);
    g_string_append (out, m->name);
    if (!zip64)
        return;
    put (out, 1, 2);
    put (out, 24, 2);
    put (out, m->size, 8);
    put (out, m->packed, 8);
    put (out, m->offset, 8);
}

gboolean
dlh_zip_writer_add (DlhZipWriter *w, const char *name, GString *head, gconstpointer body, gsize n,
                    gboolean deflate, GError **error)
{
    g_autoptr (GString) contents = head;
    g_autoptr (GBytes) packed = NULL;
    GString *local = g_string_new (NULL);
    Member m = {name, deflate, 0, head->len + n, head->len + n, w->at};

    m.crc = (guint32)crc32_z (0, (const guint8 *)head->str, head->len);
    if (n > 0) // zlib takes NULL for a wish to begin anew
        m.crc = (guint32)crc32_z (m.crc, body, n);
    if (deflate) {
        packed = deflate_all (head, body, n, error);
        if (!packed) {
            g_string_free (local, TRUE);
            return FALSE;
        }
        m.packed = g_bytes_get_size (packed);
    }
    put_local (local, &m);
    put_central (w->directory, &m);
    add_owned (w, g_string_free_to_bytes (local));
    if (deflate) {
        add_owned (w, g_steal_pointer (&packed));
    } else {
        add_owned (w, g_string_free_to_bytes (g_steal_pointer (&contents)));
        add_part (w, body, n);
    }
    w->n++;
    return TRUE;
}

static void
put_end (GString *out, guint64 n, guint64 size, guint64 offset)
{
    if (n >= 0xffff || size >= G_MAXUINT32 || offset >= G_MAXUINT32) {
        guint64 end64_at = offset + size;

        g_string_append_len (out, "PK\6\6", 4);
        put (out, 44, 8);
        put (out, 45, 2);
        put (out, 45, 2);
        put (out, 0, 4 + 4);
        put (out, n, 8);
        put (out, n, 8);
        put (out, size, 8);
        put (out, offset, 8);
        g_string_append_len (out, "PK\6\7", 4);
        put (out, 0, 4);
        put (out, end64_at, 8);
        put (out, 1, 4);
    }
    g_string_append_len (out, "PK\5\6", 4);
    put (out, 0, 2 + 2);
    put (out, MIN (n, 0xffff), 2);
    put (out, MIN (n, 0xffff), 2);
    put (out, MIN (size, G_MAXUINT32), 4);
    put (out, MIN (offset, G_MAXUINT32), 4);
    put (out, 0, 2);
}

gboolean
dlh_zip_writer_finish (DlhZipWriter *w, const char *path, GError **error)
{
    guint64 offset = w->at, size = w->directory->len;

    put_end (w->directory, w->n, size, offset);
    add_part (w, w->directory->str, w->directory->len);
    return dlh_file_write_parts (path, (const DlhFilePart *)(gpointer)w->parts->data, w->parts->len,
                                 error);
}
