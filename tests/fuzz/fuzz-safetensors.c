/* SPDX-License-Identifier: MIT */
/* Any bytes as a safetensors file: read, or refused with a message; what is read has sound tensors.
 */
#include "fuzz.h"

#include <dlhost/io.h>

gboolean
fuzz_safetensors (const char *path)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) file = dlh_safetensors_read (path, &error);
    GPtrArray *names = file ? dlh_safetensors_names (file) : NULL;

    g_assert_true ((file == NULL) == (error != NULL));
    if (!file) {
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
        return FALSE;
    }
    for (guint i = 0; i < names->len; i++) {
        const DlhTensor *tensor = dlh_safetensors_get (file, names->pdata[i]);

        g_assert_nonnull (tensor);
        for (gint64 k = 0; k < dlh_tensor_count (tensor); k++)
            (void)dlh_tensor_get (tensor, k);
    }
    return TRUE;
}

FUZZ_FILE_ENTRY (fuzz_safetensors)
