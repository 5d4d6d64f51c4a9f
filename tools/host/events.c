/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include <unistd.h>
#include "events.h"
#include "histogram.h"

/* Protocol buffers: a field is its number and wire type, then the value. */

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

static void
put_varint (GByteArray *out, guint64 value)
{
    do {
        guint8 byte = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

        g_byte_array_append (out, &byte, 1);
    } while (value >>= 7);
}

static void
put_key (GByteArray *out, guint field, guint type)
{
    put_varint (out, field << 3 | type);
}

static void
put_u32 (GByteArray *out, guint32 value)
{
    value = GUINT32_TO_LE (value);
    g_byte_array_append (out, (const guint8 *)&value, sizeof value);
}

static void
put_u64 (GByteArray *out, guint64 value)
{
    value = GUINT64_TO_LE (value);
    g_byte_array_append (out, (const guint8 *)&value, sizeof value);
}

static void
put_f64 (GByteArray *out, double value)
{
    guint64 bits;

    memcpy (&bits, &value, sizeof bits);
    put_u64 (out, bits);
}

static void
put_double_field (GByteArray *out, guint field, double value)
{
    put_key (out, field, FIXED64);
    put_f64 (out, value);
}

static void
put_float_field (GByteArray *out, guint field, double value)
{
    float narrow = (float)value;
    guint32 bits;

    memcpy (&bits, &narrow, sizeof bits);
    put_key (out, field, FIXED32);
    put_u32 (out, bits);
}

static void
put_int_field (GByteArray *out, guint field, gint64 value)
{
    put_key (out, field, VARINT);
    put_varint (out, (guint64)value);
}

static void
put_bytes_field (GByteArray *out, guint field, gconstpointer data, gsize n)
{
    put_key (out, field, LENGTH);
    put_varint (out, n);
    g_byte_array_append (out, data, (guint)n);
}

static void
put_doubles_field (GByteArray *out, guint field, const double *values, guint n)
{
    put_key (out, field, LENGTH);
    put_varint (out, n * sizeof *values);
    for (guint i = 0; i < n; i++)
        put_f64 (out, values[i]);
}

static void
put_message_field (GByteArray *out, guint field, const GByteArray *message)
{
    put_bytes_field (out, field, message->data, message->len);
}

/* Records: length, its checksum, the message, its checksum. */

// CRC-32C (Castagnoli), reflected: polynomial 0x82f63b78, four bits at a time.
static guint32
crc32c (const guint8 *data, gsize n)
{
    static const guint32 table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    guint32 crc = 0xffffffff;

    for (gsize i = 0; i < n; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

// A checksum of data that hold checksums is weak: the format stores it rotated and displaced.
static guint32
masked_crc (const guint8 *data, gsize n)
{
    guint32 crc = crc32c (data, n);

    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static gboolean
write_failed (Events *events, GError **error)
{
    int code = errno;

    g_set_error (error, DLH_ERROR, DLH_ERROR_IO, "%s: cannot write: %s", events->path,
                 g_strerror (code));
    return FALSE;
}

static gboolean
write_record (Events *events, const GByteArray *message, GError **error)
{
    g_autoptr (GByteArray) record = g_byte_array_new ();

    put_u64 (record, message->len);
    put_u32 (record, masked_crc (record->data, 8));
    g_byte_array_append (record, message->data, message->len);
    put_u32 (record, masked_crc (message->data, message->len));
    // Whole records at once: a kill leaves none that is cut in two, short of a full disk.
    if (fwrite (record->data, 1, record->len, events->file) == record->len &&
        fflush (events->file) == 0)
        return TRUE;
    return write_failed (events, error);
}

// Event: 1 wall_time, 2 step.
static GByteArray *
new_event (gint64 step)
{
    GByteArray *event = g_byte_array_new ();

    put_double_field (event, 1, (double)g_get_real_time () * 1e-6);
    put_int_field (event, 2, step);
    return event;
}

// Event: 3 file_version, 5 summary, 7 session_log.
static gboolean
write_event (Events *events, gint64 step, guint field, const GByteArray *content, GError **error)
{
    g_autoptr (GByteArray) event = new_event (step);

    put_message_field (event, field, content);
    return write_record (events, event, error);
}

/* Files. */

// Names sort in the order of their making, whatever the clock does: that is how they are read.
static char *
new_name (const char *dir)
{
    g_autoptr (GDir) entries = g_dir_open (dir, 0, NULL);
    guint64 seconds = (guint64)g_get_real_time () / G_USEC_PER_SEC;
    guint n = 0;
    const char *entry;

    while (entries && (entry = g_dir_read_name (entries)))
        if (g_str_has_prefix (entry, "events.out.tfevents.")) {
            guint64 of = g_ascii_strtoull (entry + strlen ("events.out.tfevents."), NULL, 10);

            n++;
            seconds = MAX (seconds, MIN (of, 9999999998u) + (of > seconds));
        }
    return g_strdup_printf ("events.out.tfevents.%010" G_GUINT64_FORMAT ".%04u.dlhost", seconds, n);
}

gboolean
events_open (Events *events, const char *dir, gboolean resumed, gint64 step, gboolean finished,
             GError **error)
{
    static const char version[] = "brain.Event:2";
    g_autofree char *name = new_name (dir);
    g_autoptr (GByteArray) text = g_byte_array_new ();
    g_autoptr (GByteArray) session = g_byte_array_new ();

    events->path = g_build_filename (dir, name, NULL);
    events->past = finished ? step : -1;
    events->last = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    if (!(events->file = fopen (events->path, "wxe")))
        return write_failed (events, error);
    g_byte_array_append (text, (const guint8 *)version, sizeof version - 1);
    put_int_field (session, 1, 1); // SessionLog: 1 status, START = 1
    return write_event (events, 0, 3, text, error) &&
           (!resumed || write_event (events, step + 1, 7, session, error));
}

void
events_close (Events *events)
{
    if (events->file)
        fclose (events->file);
    g_clear_pointer (&events->last, g_hash_table_unref);
    g_free (events->path);
}

gboolean
events_sync (Events *events, GError **error)
{
    return fdatasync (fileno (events->file)) == 0 || errno == EINVAL ? TRUE
                                                                     : write_failed (events, error);
}

/* Values. */

// A step is said once of a tag: the evaluation that stops a run early is its last one, too.
static gboolean
is_new (Events *events, const char *tag, gint64 step)
{
    const gint64 *last = g_hash_table_lookup (events->last, tag);

    if (step <= events->past || (last && step <= *last))
        return FALSE;
    g_hash_table_insert (events->last, g_strdup (tag), g_memdup2 (&step, sizeof step));
    return TRUE;
}

// Summary: 1 value. Value: 1 tag, 2 simple_value, 4 image, 5 histo.
static void
put_tag (GByteArray *value, const char *tag)
{
    put_bytes_field (value, 1, tag, strlen (tag));
}

static gboolean
write_value (Events *events, gint64 step, const char *tag, guint field, const GByteArray *content,
             GError **error)
{
    g_autoptr (GByteArray) value = g_byte_array_new ();
    g_autoptr (GByteArray) summary = g_byte_array_new ();

    put_tag (value, tag);
    put_message_field (value, field, content);
    put_message_field (summary, 1, value);
    return write_event (events, step, 5, summary, error);
}

gboolean
events_scalars (Events *events, gint64 step, const char *const *names, const double *values,
                guint n, GError **error)
{
    g_autoptr (GByteArray) summary = g_byte_array_new ();

    for (guint i = 0; i < n; i++) {
        g_autoptr (GByteArray) value = NULL;

        if (!is_new (events, names[i], step))
            continue;
        value = g_byte_array_new ();
        put_tag (value, names[i]);
        put_float_field (value, 2, values[i]);
        put_message_field (summary, 1, value);
    }
    return !summary->len || write_event (events, step, 5, summary, error);
}

// HistogramProto: 1 min, 2 max, 3 num, 4 sum, 5 sum_squares, 6 bucket_limit, 7 bucket.
gboolean
events_histogram (Events *events, gint64 step, const char *tag, const DlhTensor *values,
                  GError **error)
{
    g_auto (Histogram) h = {0};
    g_autoptr (GByteArray) content = g_byte_array_new ();

    if (!histogram_fill (&h, values) || !is_new (events, tag, step))
        return TRUE;
    put_double_field (content, 1, h.min);
    put_double_field (content, 2, h.max);
    put_double_field (content, 3, h.n);
    put_double_field (content, 4, h.sum);
    put_double_field (content, 5, h.sum_squares);
    put_doubles_field (content, 6, (const double *)h.limits->data, h.limits->len);
    put_doubles_field (content, 7, (const double *)h.counts->data, h.counts->len);
    return write_value (events, step, tag, 5, content, error);
}

// Image: 1 height, 2 width, 3 colorspace (3: RGB), 4 encoded_image_string.
gboolean
events_image (Events *events, gint64 step, const char *tag, guint width, guint height, GBytes *png,
              GError **error)
{
    g_autoptr (GByteArray) content = g_byte_array_new ();
    gsize n;
    gconstpointer data = g_bytes_get_data (png, &n);

    if (!is_new (events, tag, step))
        return TRUE;
    put_int_field (content, 1, height);
    put_int_field (content, 2, width);
    put_int_field (content, 3, 3);
    put_bytes_field (content, 4, data, n);
    return write_value (events, step, tag, 4, content, error);
}
