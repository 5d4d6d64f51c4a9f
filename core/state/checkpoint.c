/* SPDX-License-Identifier: MIT */
/* A checkpoint is the store as a safetensors file: every variable under its name. The metadata hold
 * a checksum of the tensors' bytes, since a flipped bit in a parameter would show nowhere else. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <dlhost/io.h>
#include "state/store-private.h"

#define CHECKSUM_KEY "dlhost.crc32"

static int
compare_names (gconstpointer a, gconstpointer b)
{
    return strcmp (*(const char *const *) a, *(const char *const *) b);
}

typedef DlhTensor *(*FindTensor) (gpointer holder, const char *name);

// Over the tensors by name: independent of how they are arranged in the file.
static char *
checksum (const char *const *names, guint n, FindTensor find, gpointer holder)
{
    g_autofree const char **sorted = g_memdup2 (names, n * sizeof *names);
    uLong crc = crc32 (0, NULL, 0);

    if (n > 0)
        qsort (sorted, n, sizeof *sorted, compare_names);
    for (guint i = 0; i < n; i++) {
        const DlhTensor *tensor = find (holder, sorted[i]);

        if (dlh_tensor_bytes (tensor) > 0)
            crc = crc32_z (crc, dlh_tensor_get_data (tensor), dlh_tensor_bytes (tensor));
    }
    return g_strdup_printf ("%08lx", crc);
}

static DlhTensor *
find_in_store (gpointer store, const char *name)
{
    DlhVariable *variable = dlh_store_lookup (store, name);

    return variable ? variable->tensor : g_hash_table_lookup (((DlhStore *) store)->pending, name);
}

static DlhTensor *
find_in_file (gpointer file, const char *name)
{
    return dlh_safetensors_get (file, name);
}

gboolean
dlh_store_save (DlhStore *store, const char *path, GHashTable *metadata, GError **error)
{
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    g_autofree DlhTensor **tensors = NULL;
    g_autoptr (GHashTable) all = g_hash_table_new (g_str_hash, g_str_equal);
    g_autofree char *sum = NULL;
    GHashTableIter iter;
    gpointer key, value;

    for (guint i = 0; i < store->variables->len; i++)
        g_ptr_array_add (names, ((DlhVariable *) store->variables->pdata[i])->name);
    // What an earlier file held and nobody has asked for yet is not to be lost.
    g_hash_table_iter_init (&iter, store->pending);
    while (g_hash_table_iter_next (&iter, &key, NULL))
        g_ptr_array_add (names, key);
    tensors = g_new (DlhTensor *, names->len + 1);
    for (guint i = 0; i < names->len; i++)
        tensors[i] = find_in_store (store, names->pdata[i]);
    if (metadata) {
        g_hash_table_iter_init (&iter, metadata);
        while (g_hash_table_iter_next (&iter, &key, &value))
            g_hash_table_insert (all, key, value);
    }
    sum = checksum ((const char *const *) names->pdata, names->len, find_in_store, store);
    g_hash_table_insert (all, (gpointer) CHECKSUM_KEY, sum);
    return dlh_safetensors_write (path, (const char *const *) names->pdata, tensors, names->len, all,
                                  error);
}

static gboolean
check_checksum (DlhSafetensors *file, GError **error)
{
    GPtrArray *names = dlh_safetensors_names (file);
    const char *want = g_hash_table_lookup (dlh_safetensors_metadata (file), CHECKSUM_KEY);
    g_autofree char *got = NULL;

    // Files of other programs have none.
    if (!want)
        return TRUE;
    got = checksum ((const char *const *) names->pdata, names->len, find_in_file, file);
    if (strcmp (want, got) == 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA,
                 "its contents are damaged: checksum %s, the file says %s", got, want);
    return FALSE;
}

static gboolean
check_variable (const DlhVariable *variable, DlhSafetensors *file, GError **error)
{
    const DlhTensor *in_file = dlh_safetensors_get (file, variable->name);
    g_autofree char *have = NULL, *want = NULL;

    if (!in_file) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_STATE,
                     "it has no '%s', which this model or optimizer needs", variable->name);
        return FALSE;
    }
    if (dlh_tensor_get_dtype (in_file) == dlh_variable_dtype (variable) &&
        dlh_shape_equal (dlh_tensor_get_shape (in_file), dlh_variable_shape (variable)))
        return TRUE;
    have = dlh_shape_to_string (dlh_tensor_get_shape (in_file));
    want = dlh_shape_to_string (dlh_variable_shape (variable));
    g_set_error (error, DLH_ERROR, DLH_ERROR_STATE, "its '%s' is %s %s, but %s %s is wanted",
                 variable->name, dlh_dtype_name (dlh_tensor_get_dtype (in_file)), have,
                 dlh_dtype_name (dlh_variable_dtype (variable)), want);
    return FALSE;
}

static gboolean
check_file (DlhStore *store, DlhSafetensors *file, GError **error)
{
    if (!check_checksum (file, error))
        return FALSE;
    for (guint i = 0; i < store->variables->len; i++)
        if (!check_variable (store->variables->pdata[i], file, error))
            return FALSE;
    return TRUE;
}

// Nothing fails from here on.
static void
take_values (DlhStore *store, DlhSafetensors *file)
{
    GPtrArray *names = dlh_safetensors_names (file);

    store->loaded = TRUE;
    g_hash_table_remove_all (store->pending);
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        DlhTensor *tensor = dlh_safetensors_get (file, name);
        DlhVariable *variable = dlh_store_lookup (store, name);

        // Compiled functions keep the address of a variable's elements: they are copied into it.
        if (variable)
            memcpy (dlh_tensor_get_data (variable->tensor), dlh_tensor_get_data (tensor),
                    dlh_tensor_bytes (tensor));
        else
            g_hash_table_insert (store->pending, g_strdup (name), dlh_tensor_ref (tensor));
    }
}

static GHashTable *
copy_metadata (GHashTable *metadata)
{
    GHashTable *copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init (&iter, metadata);
    while (g_hash_table_iter_next (&iter, &key, &value))
        if (strcmp (key, CHECKSUM_KEY) != 0)
            g_hash_table_insert (copy, g_strdup (key), g_strdup (value));
    return copy;
}

gboolean
dlh_store_load (DlhStore *store, const char *path, GHashTable **metadata, GError **error)
{
    g_autoptr (DlhSafetensors) file = dlh_safetensors_read (path, error);

    if (!file)
        return FALSE;
    if (!check_file (store, file, error)) {
        g_autofree char *name = g_filename_display_name (path);

        g_prefix_error (error, "%s: ", name);
        return FALSE;
    }
    take_values (store, file);
    if (metadata)
        *metadata = copy_metadata (dlh_safetensors_metadata (file));
    return TRUE;
}
