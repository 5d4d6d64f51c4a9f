/* SPDX-License-Identifier: MIT */
/* safetensors: 8 bytes with the length of the header (little-endian), the header in JSON, then the
 * tensors without gaps. Files are read into memory and not mapped, so that one which is cut off
 * meanwhile gives an error and not a SIGBUS. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/file-private.h"
#include "io/safetensors-private.h"

G_STATIC_ASSERT (G_BYTE_ORDER == G_LITTLE_ENDIAN);

#define ALIGNMENT 64

struct _DlhSafetensors {
    GPtrArray *entries; /* DlhSafetensorsEntry*, owned */
    GPtrArray *names;   /* of the entries */
    GHashTable *by_name;
    GHashTable *metadata;
};

static DlhSafetensors *
safetensors_new (void)
{
    DlhSafetensors *file = g_new0 (DlhSafetensors, 1);

    file->entries = g_ptr_array_new_with_free_func (dlh_safetensors_entry_free);
    file->names = g_ptr_array_new ();
    file->by_name = g_hash_table_new (g_str_hash, g_str_equal);
    file->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    return file;
}

void
dlh_safetensors_free (DlhSafetensors *file)
{
    if (!file)
        return;
    g_ptr_array_unref (file->names);
    g_hash_table_unref (file->by_name);
    g_ptr_array_unref (file->entries);
    g_hash_table_unref (file->metadata);
    g_free (file);
}

static gboolean
read_entry (int fd, guint64 data_start, DlhSafetensorsEntry *e, GError **error)
{
    g_autofree gpointer raw = NULL;
    DlhElement element = e->type->element;
    gsize n_bytes = (gsize)(e->end - e->begin);
    gpointer to;

    e->tensor = dlh_tensor_new (dlh_element_dtype (element), e->shape, error);
    if (!e->tensor)
        return FALSE;
    to = dlh_tensor_get_data (e->tensor);
    if (!dlh_element_is_exact (element) && n_bytes > 0) {
        to = raw = g_try_malloc (n_bytes);
        if (!raw) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate %zu bytes", n_bytes);
            return FALSE;
        }
    }
    if (!dlh_file_read_at (fd, data_start + e->begin, to, n_bytes, error))
        return FALSE;
    if (!dlh_element_is_exact (element))
        dlh_element_convert (element, raw, dlh_tensor_get_data (e->tensor),
                             n_bytes / dlh_element_size (element));
    if (!dlh_element_check (element, e->tensor, error)) {
        g_autofree char *quoted = dlh_name_quote (e->name);

        g_prefix_error (error, "%s: ", quoted);
        return FALSE;
    }
    return TRUE;
}

// Returns: the header with a NUL behind it. @n: its length
static char *
read_header (int fd, guint64 size, gsize *n, GError **error)
{
    g_autofree char *text = NULL;
    guint64 length = 0;

    if (size < 8) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "has %" G_GUINT64_FORMAT " bytes, a safetensors file has 8 at least", size);
        return NULL;
    }
    if (!dlh_file_read_at (fd, 0, &length, 8, error))
        return NULL;
    if (length > DLH_SAFETENSORS_MAX_HEADER || length > size - 8) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "says that its header has %" G_GUINT64_FORMAT " bytes, but %s", length,
                     length > DLH_SAFETENSORS_MAX_HEADER
                         ? "100000000 is the limit: is it a safetensors file?"
                         : "the file is shorter: is it cut off?");
        return NULL;
    }
    text = g_try_malloc ((gsize)length + 1);
    if (!text) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate its header");
        return NULL;
    }
    if (!dlh_file_read_at (fd, 8, text, (gsize)length, error))
        return NULL;
    text[length] = '\0';
    *n = (gsize)length;
    return g_steal_pointer (&text);
}

static gboolean
read_open_file (DlhSafetensors *file, int fd, guint64 size, guint64 *n_stray, GError **error)
{
    gsize n = 0;
    g_autofree char *text = read_header (fd, size, &n, error);
    struct stat st;

    if (!text || !dlh_safetensors_parse_header (text, n, size - 8 - n, n_stray, file->entries,
                                                file->metadata, error))
        return FALSE;
    for (guint i = 0; i < file->entries->len; i++) {
        DlhSafetensorsEntry *entry = file->entries->pdata[i];

        if (!read_entry (fd, 8 + n, entry, error))
            return FALSE;
        g_ptr_array_add (file->names, entry->name);
        g_hash_table_insert (file->by_name, entry->name, entry);
    }
    if (fstat (fd, &st) != 0 || (guint64)st.st_size != size) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "its size changed while it was read");
        return FALSE;
    }
    return TRUE;
}

static DlhSafetensors *
read_file (const char *path, guint64 *n_stray, GError **error)
{
    g_autoptr (DlhSafetensors) file = safetensors_new ();
    guint64 size = 0;
    int fd = dlh_file_open (path, &size, error);
    gboolean ok;

    if (fd < 0)
        return NULL;
    ok = read_open_file (file, fd, size, n_stray, error);
    close (fd);
    if (!ok) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
        return NULL;
    }
    return g_steal_pointer (&file);
}

DlhSafetensors *
dlh_safetensors_read (const char *path, GError **error)
{
    return read_file (path, NULL, error);
}

DlhSafetensors *
dlh_safetensors_read_lenient (const char *path, guint64 *n_stray, GError **error)
{
    guint64 n;

    return read_file (path, n_stray ? n_stray : &n, error);
}

GPtrArray *
dlh_safetensors_names (DlhSafetensors *file)
{
    return file->names;
}

DlhTensor *
dlh_safetensors_get (DlhSafetensors *file, const char *name)
{
    DlhSafetensorsEntry *entry = g_hash_table_lookup (file->by_name, name);

    return entry ? entry->tensor : NULL;
}

const char *
dlh_safetensors_type (DlhSafetensors *file, const char *name)
{
    DlhSafetensorsEntry *entry = g_hash_table_lookup (file->by_name, name);

    return entry ? entry->type->name : NULL;
}

GHashTable *
dlh_safetensors_metadata (DlhSafetensors *file)
{
    return file->metadata;
}

guint64
dlh_safetensors_count_nonfinite (DlhSafetensors *file)
{
    guint64 n = 0;

    for (guint k = 0; k < file->entries->len; k++) {
        const DlhSafetensorsEntry *e = file->entries->pdata[k];
        gconstpointer data = dlh_tensor_get_data (e->tensor);
        gint64 count = dlh_tensor_count (e->tensor);

        if (dlh_tensor_get_dtype (e->tensor) == DLH_F32)
            for (gint64 i = 0; i < count; i++)
                n += !isfinite (((const float *)data)[i]);
        else if (dlh_tensor_get_dtype (e->tensor) == DLH_F64)
            for (gint64 i = 0; i < count; i++)
                n += !isfinite (((const double *)data)[i]);
    }
    return n;
}

static void
append_string (GString *out, const char *text)
{
    g_string_append_c (out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            g_string_append_c (out, '\\');
        if ((guint8)*text < 0x20)
            g_string_append_printf (out, "\\u%04x", (guint)*text);
        else
            g_string_append_c (out, *text);
    }
    g_string_append_c (out, '"');
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static gboolean
append_metadata (GString *out, GHashTable *metadata, GError **error)
{
    g_autofree const char **keys = NULL;
    guint n;

    if (!metadata || g_hash_table_size (metadata) == 0)
        return TRUE;
    keys = (const char **)g_hash_table_get_keys_as_array (metadata, &n);
    qsort (keys, n, sizeof *keys, compare_strings);
    g_string_append (out, "\"__metadata__\":{");
    for (guint i = 0; i < n; i++) {
        const char *value = g_hash_table_lookup (metadata, keys[i]);

        if (!g_utf8_validate (keys[i], -1, NULL) || !g_utf8_validate (value, -1, NULL)) {
            g_autofree char *quoted = dlh_name_quote (keys[i]);

            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "metadata %s is not UTF-8", quoted);
            return FALSE;
        }
        g_string_append (out, i ? "," : "");
        append_string (out, keys[i]);
        g_string_append_c (out, ':');
        append_string (out, value);
    }
    g_string_append_c (out, '}');
    return TRUE;
}

typedef struct {
    const char *name;
    DlhTensor *tensor;
    gsize element;
} Item;

// Large elements first keep every tensor aligned to its element size, since no gaps are allowed.
static int
compare_items (gconstpointer a, gconstpointer b)
{
    const Item *x = a, *y = b;

    if (x->element != y->element)
        return x->element > y->element ? -1 : 1;
    return strcmp (x->name, y->name);
}

static gboolean
check_names (const Item *items, guint n, GError **error)
{
    g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

    for (guint i = 0; i < n; i++) {
        g_autofree char *quoted = NULL;
        const char *wrong = !g_utf8_validate (items[i].name, -1, NULL)        ? "is not UTF-8"
                            : strcmp (items[i].name, "__metadata__") == 0     ? "is reserved"
                            : !g_hash_table_add (seen, (char *)items[i].name) ? "is there twice"
                                                                              : NULL;

        if (!wrong)
            continue;
        quoted = dlh_name_quote (items[i].name);
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "tensor name %s %s", quoted, wrong);
        return FALSE;
    }
    return TRUE;
}

static const char *
type_name (DlhDType dtype)
{
    for (const DlhSafetensorsType *t = dlh_safetensors_types; *t->name; t++)
        if (t->element == dlh_element_of (dtype))
            return t->name;
    g_assert_not_reached ();
}

// The length and the header, padded so that the data begin at a multiple of ALIGNMENT.
static GString *
make_header (const Item *items, guint n, GHashTable *metadata, GError **error)
{
    g_autoptr (GString) out = g_string_new ("12345678{");
    guint64 at = 0, length;

    if (!check_names (items, n, error) || !append_metadata (out, metadata, error))
        return NULL;
    for (guint i = 0; i < n; i++) {
        g_autofree char *shape = dlh_shape_to_string (dlh_tensor_get_shape (items[i].tensor));
        guint64 end = at + dlh_tensor_bytes (items[i].tensor);

        g_string_append (out, out->len > 9 ? "," : "");
        append_string (out, items[i].name);
        g_string_append_printf (out,
                                ":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":"
                                "[%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT "]}",
                                type_name (dlh_tensor_get_dtype (items[i].tensor)), shape, at, end);
        at = end;
    }
    g_string_append_c (out, '}');
    while (out->len % ALIGNMENT != 0)
        g_string_append_c (out, ' ');
    length = out->len - 8;
    if (length > DLH_SAFETENSORS_MAX_HEADER) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                     "its header would have %" G_GUINT64_FORMAT " bytes, 100000000 is the limit",
                     length);
        return NULL;
    }
    memcpy (out->str, &length, 8);
    return g_steal_pointer (&out);
}

gboolean
dlh_safetensors_write (const char *path, const char *const *names, DlhTensor *const *tensors,
                       guint n, GHashTable *metadata, GError **error)
{
    g_autofree Item *items = g_new0 (Item, MAX (n, 1));
    g_autofree DlhFilePart *parts = g_new0 (DlhFilePart, (gsize)n + 1);
    g_autoptr (GString) header = NULL;

    for (guint i = 0; i < n; i++)
        items[i] = (Item){names[i], tensors[i], dlh_dtype_size (dlh_tensor_get_dtype (tensors[i]))};
    qsort (items, n, sizeof *items, compare_items);
    header = make_header (items, n, metadata, error);
    if (!header) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
        return FALSE;
    }
    parts[0] = (DlhFilePart){header->str, header->len};
    for (guint i = 0; i < n; i++)
        parts[i + 1] = (DlhFilePart){dlh_tensor_get_data (items[i].tensor),
                                     dlh_tensor_bytes (items[i].tensor)};
    return dlh_file_write_parts (path, parts, (gsize)n + 1, error);
}
