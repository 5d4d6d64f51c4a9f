/* SPDX-License-Identifier: MIT */
/* Any bytes as an npy file: a sound tensor no larger than six times the file, or a message. */
#include "fuzz.h"

#include <string.h>
#include <sys/stat.h>

#include <dlhost/io.h>

gboolean
fuzz_npy (const char *path)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) tensor = dlh_npy_read (path, &error);
    struct stat st;

    g_assert_true ((tensor == NULL) == (error != NULL));
    if (!tensor) {
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
        g_assert_null (strchr (error->message, '\n'));
        return FALSE;
    }
    g_assert_true (stat (path, &st) == 0);
    g_assert_cmpuint (dlh_tensor_bytes (tensor), <=, 6 * (gsize)st.st_size);
    g_assert_true (dlh_shape_valid (dlh_tensor_get_shape (tensor)));
    for (gint64 k = 0; k < dlh_tensor_count (tensor); k++)
        (void)dlh_tensor_get (tensor, k);
    return TRUE;
}

FUZZ_FILE_ENTRY (fuzz_npy)
