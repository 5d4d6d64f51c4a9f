/* SPDX-License-Identifier: MIT */
/* npz: a zip archive of npy files. The directory is read and checked when the file is opened, an
 * array when it is asked for. */
#include <string.h>
#include <unistd.h>
#include "io/file-private.h"
#include "io/zip-private.h"

#define SUFFIX ".npy"

struct _DlhNpz {
    char *path;
    int fd;
    GPtrArray *members;  /* DlhZipMember*, owned */
    GPtrArray *names;    /* char*, owned: of the members, without ".npy" */
    GHashTable *by_name; /* name -> DlhZipMember */
};

void
dlh_npz_free (DlhNpz *npz)
{
    if (!npz)
        return;
    if (npz->fd >= 0)
        close (npz->fd);
    g_clear_pointer (&npz->members, g_ptr_array_unref);
    g_hash_table_unref (npz->by_name);
    g_ptr_array_unref (npz->names);
    g_free (npz->path);
    g_free (npz);
}

static gboolean
add_names (DlhNpz *npz, GError **error)
{
    for (guint i = 0; i < npz->members->len; i++) {
        DlhZipMember *m = npz->members->pdata[i];
        g_autofree char *quoted = dlh_name_quote (m->name);
        char *name;

        if (!g_str_has_suffix (m->name, SUFFIX) || strlen (m->name) == strlen (SUFFIX)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                         "member %s is no array: in an npz file every name ends in .npy", quoted);
            return FALSE;
        }
        name = g_strndup (m->name, strlen (m->name) - strlen (SUFFIX));
        g_ptr_array_add (npz->names, name);
        g_hash_table_insert (npz->by_name, name, m);
    }
    return TRUE;
}

DlhNpz *
dlh_npz_open (const char *path, GError **error)
{
    g_autoptr (DlhNpz) npz = g_new0 (DlhNpz, 1);
    guint64 size = 0;

    npz->path = g_strdup (path);
    npz->names = g_ptr_array_new_with_free_func (g_free);
    npz->by_name = g_hash_table_new (g_str_hash, g_str_equal);
    npz->fd = dlh_file_open (path, &size, error);
    if (npz->fd < 0)
        return NULL;
    npz->members = dlh_zip_read_directory (npz->fd, size, error);
    if (!npz->members || !add_names (npz, error)) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
        return NULL;
    }
    return g_steal_pointer (&npz);
}

GPtrArray *
dlh_npz_names (DlhNpz *npz)
{
    return npz->names;
}

static DlhTensor *
read_member (DlhNpz *npz, const DlhZipMember *member, GError **error)
{
    g_auto (DlhZipReader) reader = {.inflater = NULL};
    g_autoptr (DlhTensor) tensor = NULL;

    if (!dlh_zip_reader_open (&reader, npz->fd, member, error))
        return NULL;
    tensor = dlh_npy_read_source (&reader.source, error);
    if (!tensor || !dlh_zip_reader_check (&reader, error))
        return NULL;
    return g_steal_pointer (&tensor);
}

static DlhTensor *
set_missing (DlhNpz *npz, const char *name, GError **error)
{
    g_autofree char *file = g_filename_display_name (npz->path), *quoted = dlh_name_quote (name);
    g_autoptr (GString) there = g_string_new (NULL);

    for (guint i = 0; i < MIN (npz->names->len, 8); i++) {
        g_autofree char *other = dlh_name_quote (npz->names->pdata[i]);

        g_string_append_printf (there, "%s%s", i ? ", " : "", other);
    }
    if (npz->names->len > 8)
        g_string_append_printf (there, " and %u more", npz->names->len - 8);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: has no array %s, it has %s", file, quoted,
                 there->len ? there->str : "none");
    return NULL;
}

DlhTensor *
dlh_npz_read (DlhNpz *npz, const char *name, GError **error)
{
    const DlhZipMember *member = g_hash_table_lookup (npz->by_name, name);
    g_autofree char *file = NULL, *quoted = NULL;
    DlhTensor *tensor;

    if (!member)
        return set_missing (npz, name, error);
    tensor = read_member (npz, member, error);
    if (tensor)
        return tensor;
    file = g_filename_display_name (npz->path);
    quoted = dlh_name_quote (name);
    g_prefix_error (error, "%s: array %s: ", file, quoted);
    return NULL;
}

static gboolean
read_pieces (DlhNpz *npz, const DlhZipMember *member, gint64 n, DlhNpzPiece take,
             gpointer user_data, GError **error)
{
    g_auto (DlhZipReader) reader = {.inflater = NULL};

    return dlh_zip_reader_open (&reader, npz->fd, member, error) &&
           dlh_npy_read_pieces (&reader.source, n, take, user_data, error) &&
           dlh_zip_reader_check (&reader, error);
}

gboolean
dlh_npz_read_pieces (DlhNpz *npz, const char *name, gint64 n, DlhNpzPiece take, gpointer user_data,
                     GError **error)
{
    const DlhZipMember *member = g_hash_table_lookup (npz->by_name, name);
    g_autofree char *file = NULL, *quoted = NULL;

    g_return_val_if_fail (n > 0 && take, FALSE);
    if (!member) {
        set_missing (npz, name, error);
        return FALSE;
    }
    if (read_pieces (npz, member, n, take, user_data, error))
        return TRUE;
    file = g_filename_display_name (npz->path);
    quoted = dlh_name_quote (name);
    g_prefix_error (error, "%s: array %s: ", file, quoted);
    return FALSE;
}

static gboolean
add_array (DlhZipWriter *writer, GHashTable *seen, const char *name, const DlhTensor *tensor,
           gboolean deflate, GError **error)
{
    g_autofree char *member = g_strconcat (name, SUFFIX, NULL), *quoted = dlh_name_quote (name);
    const char *problem = !*name ? "is empty" : dlh_zip_name_problem (member);

    if (!problem && !g_hash_table_add (seen, (gpointer)name))
        problem = "is there twice";
    if (problem) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "array name %s %s", quoted, problem);
        return FALSE;
    }
    if (dlh_zip_writer_add (writer, member, dlh_npy_make_header (tensor),
                            dlh_tensor_get_data (tensor), dlh_tensor_bytes (tensor), deflate,
                            error))
        return TRUE;
    g_prefix_error (error, "array %s: ", quoted);
    return FALSE;
}

gboolean
dlh_npz_write (const char *path, const char *const *names, DlhTensor *const *tensors, guint n,
               gboolean deflate, GError **error)
{
    g_autoptr (DlhZipWriter) writer = dlh_zip_writer_new ();
    g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

    for (guint i = 0; i < n; i++)
        if (!add_array (writer, seen, names[i], tensors[i], deflate, error)) {
            g_autofree char *file = g_filename_display_name (path);

            g_prefix_error (error, "%s: ", file);
            return FALSE;
        }
    return dlh_zip_writer_finish (writer, path, error);
}
