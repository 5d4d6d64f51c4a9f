/* SPDX-License-Identifier: MIT */
/* Finds the members of a zip archive. The directory at its end counts, as for every reader; the
 * local headers must agree with it, members may not overlap (a few kilobytes that many members
 * share can stand for petabytes), and nothing may lie before or behind the archive. */
#include <string.h>
#include "io/file-private.h"
#include "io/zip-private.h"

#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR_BYTES 20
#define CENTRAL_BYTES 46
#define LOCAL_BYTES 30
#define MAX_COMMENT 65535
// Directories are read whole. Half a million members of usual names.
#define MAX_DIRECTORY ((guint64)64 << 20)
// What deflate makes of one byte at most: 258 bytes take two bits.
#define MAX_RATIO 1032

G_GNUC_PRINTF (2, 3)
static gboolean
fail (GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error_literal (error, DLH_ERROR, DLH_ERROR_DATA, text);
    return FALSE;
}

static guint16
get16 (const guint8 *p)
{
    return (guint16)(p[0] | p[1] << 8);
}

static guint32
get32 (const guint8 *p)
{
    return get16 (p) | (guint32)get16 (p + 2) << 16;
}

static guint64
get64 (const guint8 *p)
{
    return get32 (p) | (guint64)get32 (p + 4) << 32;
}

void
dlh_zip_member_free (gpointer data)
{
    DlhZipMember *member = data;

    if (!member)
        return;
    g_free (member->name);
    g_free (member);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhZipMember, dlh_zip_member_free)

const char *
dlh_zip_name_problem (const char *name)
{
    g_auto (GStrv) parts = NULL;

    if (!*name)
        return "is empty";
    if (strlen (name) > 4096)
        return "is longer than 4096 bytes";
    if (!g_utf8_validate (name, -1, NULL))
        return "is not UTF-8";
    if (*name == '/' || strchr (name, '\\') || strchr (name, ':'))
        return "is a path from the root, or of another system";
    parts = g_strsplit (name, "/", -1);
    for (guint i = 0; parts[i]; i++)
        if (strcmp (parts[i], "..") == 0)
            return "leads out of the archive with '..'";
    return NULL;
}

/* Where the directory lies. */
typedef struct {
    guint64 offset, size, n;
    guint64 end; /* where it must end: the first byte of the records after it */
} Directory;

// The zip64 record, to which a locator before the end record leads.
static gboolean
read_end64 (int fd, guint64 end_at, Directory *d, GError **error)
{
    guint8 locator[LOCATOR_BYTES], end64[END64_BYTES];
    guint64 at;

    if (end_at < LOCATOR_BYTES + END64_BYTES)
        return fail (error, "its zip64 records are missing: is it cut off?");
    if (!dlh_file_read_at (fd, end_at - LOCATOR_BYTES, locator, LOCATOR_BYTES, error))
        return FALSE;
    at = get64 (locator + 8);
    if (memcmp (locator, "PK\6\7", 4) != 0 || get32 (locator + 4) != 0 || get32 (locator + 16) != 1)
        return fail (error, "its zip64 records are missing or of several disks");
    if (at != end_at - LOCATOR_BYTES - END64_BYTES)
        return fail (error,
                     "its zip64 record is said to be at byte %" G_GUINT64_FORMAT
                     ", it should be at %" G_GUINT64_FORMAT,
                     at, end_at - LOCATOR_BYTES - END64_BYTES);
    if (!dlh_file_read_at (fd, at, end64, END64_BYTES, error))
        return FALSE;
    if (memcmp (end64, "PK\6\6", 4) != 0 || get64 (end64 + 4) != END64_BYTES - 12 ||
        get32 (end64 + 16) != 0 || get32 (end64 + 20) != 0 ||
        get64 (end64 + 24) != get64 (end64 + 32))
        return fail (error, "its zip64 record is damaged or of several disks");
    *d = (Directory){get64 (end64 + 48), get64 (end64 + 40), get64 (end64 + 32), at};
    return TRUE;
}

static gboolean
find_directory (int fd, guint64 size, Directory *d, GError **error)
{
    gsize n = (gsize)MIN (size, END_BYTES + MAX_COMMENT);
    g_autofree guint8 *tail = g_malloc (MAX (n, 1));
    const guint8 *end = NULL;
    guint64 end_at;

    if (!dlh_file_read_at (fd, size - n, tail, n, error))
        return FALSE;
    for (gsize i = 0; !end && i + END_BYTES <= n; i++) {
        const guint8 *p = tail + n - END_BYTES - i;

        if (memcmp (p, "PK\5\6", 4) == 0 && get16 (p + 20) == i)
            end = p;
    }
    if (!end)
        return fail (error, "is not a zip archive, as an npz file is: it has no directory at its "
                            "end: is it cut off?");
    end_at = size - n + (gsize)(end - tail);
    *d = (Directory){get32 (end + 16), get32 (end + 12), get16 (end + 10), end_at};
    if (get16 (end + 8) == 0xffff || get16 (end + 10) == 0xffff ||
        get32 (end + 12) == G_MAXUINT32 || get32 (end + 16) == G_MAXUINT32) {
        if (!read_end64 (fd, end_at, d, error))
            return FALSE;
    } else if (get16 (end + 4) != 0 || get16 (end + 6) != 0 ||
               get16 (end + 8) != get16 (end + 10)) {
        return fail (error, "is one of several disks of an archive: join them first");
    }
    if (d->size > d->end || d->offset != d->end - d->size)
        return fail (error,
                     "its directory of %" G_GUINT64_FORMAT " bytes is said to be at byte "
                     "%" G_GUINT64_FORMAT ", but ends at %" G_GUINT64_FORMAT,
                     d->size, d->offset, d->end);
    if (d->size > MAX_DIRECTORY || d->n > d->size / CENTRAL_BYTES)
        return fail (error,
                     "says that its directory has %" G_GUINT64_FORMAT
                     " members in %" G_GUINT64_FORMAT
                     " bytes, each takes %d and all may take %" G_GUINT64_FORMAT,
                     d->n, d->size, CENTRAL_BYTES, MAX_DIRECTORY);
    return TRUE;
}

// Replaces those of @n_values sizes and offsets that are all ones by those of the zip64 field among
// the @n bytes of extra fields, which has just them, in order.
static gboolean
apply_zip64 (const guint8 *extra, gsize n, guint64 *const *values, guint n_values, GError **error)
{
    gsize at = 0, field_end;

    while (n - at >= 4 && get16 (extra + at) != 1) {
        gsize length = get16 (extra + at + 2);

        if (length > n - at - 4)
            return fail (error, "its extra fields are damaged");
        at += 4 + length;
    }
    field_end =
        n - at >= 4 && get16 (extra + at + 2) <= n - at - 4 ? at + 4 + get16 (extra + at + 2) : 0;
    at += 4;
    for (guint i = 0; i < n_values; i++) {
        if (*values[i] != G_MAXUINT32)
            continue;
        if (field_end < at + 8)
            return fail (error, "its zip64 sizes are missing");
        *values[i] = get64 (extra + at);
        at += 8;
    }
    return TRUE;
}

static gboolean
check_flags (guint flags, guint method, GError **error)
{
    if (flags & (1 | 1 << 6 | 1 << 13))
        return fail (error, "is encrypted, which is not read");
    if (method != 0 && method != 8)
        return fail (error, "is packed with method %u, 0 (stored) and 8 (deflated) are read",
                     method);
    return TRUE;
}

static gboolean
check_sizes (const DlhZipMember *m, GError **error)
{
    if (m->method == 0 && m->packed != m->size)
        return fail (error,
                     "is stored, but %" G_GUINT64_FORMAT " bytes stand for %" G_GUINT64_FORMAT,
                     m->packed, m->size);
    if (m->size / MAX_RATIO > m->packed)
        return fail (error,
                     "says that %" G_GUINT64_FORMAT " bytes inflate to %" G_GUINT64_FORMAT
                     ", which deflate cannot do",
                     m->packed, m->size);
    return TRUE;
}

// One entry of the directory. @p: its @n bytes and all after it; @used: how many are the entry's
static gboolean
parse_central (const guint8 *p, gsize n, DlhZipMember *m, gsize *used, GError **error)
{
    guint64 *const values[] = {&m->size, &m->packed, &m->offset};
    gsize n_name, n_extra;
    const char *problem;

    if (n < CENTRAL_BYTES || memcmp (p, "PK\1\2", 4) != 0)
        return fail (error, "its directory is damaged");
    n_name = get16 (p + 28);
    n_extra = get16 (p + 30);
    *used = CENTRAL_BYTES + n_name + n_extra + get16 (p + 32);
    if (*used > n)
        return fail (error, "its directory is damaged: an entry does not end in it");
    m->name = g_strndup ((const char *)p + CENTRAL_BYTES, n_name);
    m->method = get16 (p + 10);
    m->crc = get32 (p + 16);
    m->packed = get32 (p + 20);
    m->size = get32 (p + 24);
    m->offset = get32 (p + 42);
    problem = strlen (m->name) != n_name ? "has a NUL character" : dlh_zip_name_problem (m->name);
    if (problem)
        return fail (error, "its name %s", problem);
    if (get16 (p + 34) != 0)
        return fail (error, "is on another disk");
    return check_flags (get16 (p + 8), m->method, error) &&
           apply_zip64 (p + CENTRAL_BYTES + n_name, n_extra, values, G_N_ELEMENTS (values),
                        error) &&
           check_sizes (m, error);
}

// The header before a member's bytes. With bit 3, sizes and checksum are behind them instead.
static gboolean
read_local (int fd, guint64 limit, DlhZipMember *m, GError **error)
{
    guint8 p[LOCAL_BYTES];
    guint64 packed, size, *const values[] = {&size, &packed};
    g_autofree guint8 *rest = NULL;
    gsize n_name, n_extra;

    if (m->offset > limit || limit - m->offset < LOCAL_BYTES)
        return fail (error,
                     "is said to be at byte %" G_GUINT64_FORMAT ", which is not before the "
                     "directory",
                     m->offset);
    if (!dlh_file_read_at (fd, m->offset, p, LOCAL_BYTES, error))
        return FALSE;
    if (memcmp (p, "PK\3\4", 4) != 0)
        return fail (error, "has no header at byte %" G_GUINT64_FORMAT, m->offset);
    n_name = get16 (p + 26);
    n_extra = get16 (p + 28);
    if (limit - m->offset - LOCAL_BYTES < n_name + n_extra ||
        limit - m->offset - LOCAL_BYTES - n_name - n_extra < m->packed)
        return fail (error, "reaches into the directory: is the file damaged?");
    m->data = m->offset + LOCAL_BYTES + n_name + n_extra;
    rest = g_malloc (n_name + n_extra + 1);
    if (!dlh_file_read_at (fd, m->offset + LOCAL_BYTES, rest, n_name + n_extra, error))
        return FALSE;
    if (strlen (m->name) != n_name || memcmp (m->name, rest, n_name) != 0)
        return fail (error, "has another name in its own header");
    if (!check_flags (get16 (p + 6), m->method, error))
        return FALSE;
    packed = get32 (p + 18);
    size = get32 (p + 22);
    if (get16 (p + 8) != m->method)
        return fail (error, "has another method in its own header");
    if (get16 (p + 6) & 1 << 3)
        return TRUE;
    if (!apply_zip64 (rest + n_name, n_extra, values, G_N_ELEMENTS (values), error))
        return FALSE;
    return (packed == m->packed && size == m->size && get32 (p + 14) == m->crc) ||
           fail (error, "has other sizes or another checksum in its own header");
}

static int
compare_places (gconstpointer a, gconstpointer b)
{
    const DlhZipMember *x = *(DlhZipMember *const *)a, *y = *(DlhZipMember *const *)b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static gboolean
check_overlap (GPtrArray *members, GError **error)
{
    g_autoptr (GPtrArray) sorted = g_ptr_array_copy (members, NULL, NULL);

    g_ptr_array_set_free_func (sorted, NULL);
    g_ptr_array_sort (sorted, compare_places);
    for (guint i = 0; i + 1 < sorted->len; i++) {
        const DlhZipMember *m = sorted->pdata[i], *next = sorted->pdata[i + 1];
        g_autofree char *a = dlh_name_quote (m->name), *b = dlh_name_quote (next->name);

        if (m->data + m->packed > next->offset)
            return fail (error, "members %s and %s share bytes: this is no honest archive", a, b);
    }
    return TRUE;
}

// The name of the member in front of what went wrong.
static gboolean
name_error (const DlhZipMember *m, GError **error)
{
    g_autofree char *quoted = m->name ? dlh_name_quote (m->name) : NULL;

    if (quoted)
        g_prefix_error (error, "member %s: ", quoted);
    return FALSE;
}

GPtrArray *
dlh_zip_read_directory (int fd, guint64 size, GError **error)
{
    g_autoptr (GPtrArray) members = g_ptr_array_new_with_free_func (dlh_zip_member_free);
    g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
    g_autofree guint8 *bytes = NULL;
    gsize at = 0, used = 0;
    Directory d = {0};

    if (!find_directory (fd, size, &d, error))
        return NULL;
    bytes = g_malloc ((gsize)d.size + 1);
    if (!dlh_file_read_at (fd, d.offset, bytes, (gsize)d.size, error))
        return NULL;
    for (guint64 i = 0; i < d.n; i++, at += used) {
        g_autoptr (DlhZipMember) m = g_new0 (DlhZipMember, 1);
        gboolean ok = parse_central (bytes + at, (gsize)d.size - at, m, &used, error) &&
                      read_local (fd, d.offset, m, error) &&
                      (g_hash_table_add (names, m->name) || fail (error, "is there twice"));

        if (!ok) {
            name_error (m, error);
            return NULL;
        }
        g_ptr_array_add (members, g_steal_pointer (&m));
    }
    if (at != d.size) {
        fail (error, "its directory has more bytes than its %" G_GUINT64_FORMAT " members take",
              d.n);
        return NULL;
    }
    return check_overlap (members, error) ? g_steal_pointer (&members) : NULL;
}
