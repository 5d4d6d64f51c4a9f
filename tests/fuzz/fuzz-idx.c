/* SPDX-License-Identifier: MIT */
/* Any bytes as an idx file: read, or refused with a message. */
#include "fuzz.h"

#include <dlhost/io.h>

gboolean
fuzz_idx (const char *path)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) tensor = dlh_idx_read (path, DLH_F32, 1, &error);

    g_assert_true ((tensor == NULL) == (error != NULL));
    g_assert_true (tensor || g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    for (gint64 k = 0; tensor && k < dlh_tensor_count (tensor); k++)
        g_assert_true (dlh_tensor_get (tensor, k) >= 0 && dlh_tensor_get (tensor, k) < 256);
    return tensor != NULL;
}

FUZZ_FILE_ENTRY (fuzz_idx)
