/* SPDX-License-Identifier: MIT */
/* Any bytes as a table: finite numbers, or refused with a message. */
#include "fuzz.h"

#include <math.h>

#include <dlhost/io.h>

gboolean
fuzz_table (const char *path)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) tensor = dlh_table_read (path, 0, &error);

    g_assert_true ((tensor == NULL) == (error != NULL));
    g_assert_true (tensor || g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    g_assert_true (tensor || g_utf8_validate (error->message, -1, NULL));
    for (gint64 k = 0; tensor && k < dlh_tensor_count (tensor); k++)
        g_assert_true (isfinite (dlh_tensor_get (tensor, k)));
    return tensor != NULL;
}

FUZZ_FILE_ENTRY (fuzz_table)
