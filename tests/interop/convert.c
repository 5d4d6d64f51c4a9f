/* SPDX-License-Identifier: MIT */
/* convert [IN OUT]...: reads the arrays of a file and writes them to another, through the library.
 * What NumPy and others wrote must come out as they see it. The formats are those of the names'
 * ends: .npy, .npz, .packed.npz (deflated), .safetensors. */
#include <stdio.h>

#include <dlhost/dlhost.h>

static gboolean
read_npz (const char *path, GPtrArray *names, GPtrArray *tensors, GError **error)
{
    g_autoptr (DlhNpz) npz = dlh_npz_open (path, error);

    for (guint i = 0; npz && i < dlh_npz_names (npz)->len; i++) {
        DlhTensor *tensor = dlh_npz_read (npz, dlh_npz_names (npz)->pdata[i], error);

        if (!tensor)
            return FALSE;
        g_ptr_array_add (names, g_strdup (dlh_npz_names (npz)->pdata[i]));
        g_ptr_array_add (tensors, tensor);
    }
    return npz != NULL;
}

static gboolean
read_safetensors (const char *path, GPtrArray *names, GPtrArray *tensors, GError **error)
{
    g_autoptr (DlhSafetensors) file = dlh_safetensors_read (path, error);

    for (guint i = 0; file && i < dlh_safetensors_names (file)->len; i++) {
        const char *name = dlh_safetensors_names (file)->pdata[i];

        g_ptr_array_add (names, g_strdup (name));
        g_ptr_array_add (tensors, dlh_tensor_ref (dlh_safetensors_get (file, name)));
    }
    return file != NULL;
}

static gboolean
read_any (const char *path, GPtrArray *names, GPtrArray *tensors, GError **error)
{
    DlhTensor *tensor;

    if (g_str_has_suffix (path, ".npz"))
        return read_npz (path, names, tensors, error);
    if (g_str_has_suffix (path, ".safetensors"))
        return read_safetensors (path, names, tensors, error);
    tensor = dlh_npy_read (path, error);
    if (!tensor)
        return FALSE;
    g_ptr_array_add (names, g_strdup ("array"));
    g_ptr_array_add (tensors, tensor);
    return TRUE;
}

static gboolean
write_any (const char *path, GPtrArray *names, GPtrArray *tensors, GError **error)
{
    const char *const *name_list = (const char *const *)names->pdata;
    DlhTensor *const *tensor_list = (DlhTensor *const *)tensors->pdata;

    if (g_str_has_suffix (path, ".npz"))
        return dlh_npz_write (path, name_list, tensor_list, names->len,
                              g_str_has_suffix (path, ".packed.npz"), error);
    if (g_str_has_suffix (path, ".safetensors"))
        return dlh_safetensors_write (path, name_list, tensor_list, names->len, NULL, error);
    if (names->len == 1)
        return dlh_npy_write (path, tensors->pdata[0], error);
    g_set_error (error, DLH_ERROR, DLH_ERROR_DATA, "%s: one array is wanted for an npy file", path);
    return FALSE;
}

static gboolean
convert (const char *from, const char *to, GError **error)
{
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GPtrArray) tensors =
        g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

    return read_any (from, names, tensors, error) && write_any (to, names, tensors, error);
}

int
main (int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        g_autoptr (GError) error = NULL;

        if (convert (argv[i], argv[i + 1], &error))
            continue;
        fprintf (stderr, "%s\n", error->message);
        return 1;
    }
    return 0;
}
