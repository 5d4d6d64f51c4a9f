/* SPDX-License-Identifier: MIT */
/* Any bytes as an npz archive: each array is read, or refused with a message; names are distinct
 * and lead nowhere. */
#include "fuzz.h"

#include <string.h>

#include <dlhost/io.h>

static void
check_error (const GError *error)
{
    g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    g_assert_null (strchr (error->message, '\n'));
}

gboolean
fuzz_npz (const char *path)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhNpz) npz = dlh_npz_open (path, &error);
    g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
    gboolean all = npz != NULL;

    g_assert_true ((npz == NULL) == (error != NULL));
    if (!npz)
        check_error (error);
    for (guint i = 0; npz && i < dlh_npz_names (npz)->len; i++) {
        const char *name = dlh_npz_names (npz)->pdata[i];
        g_autoptr (GError) why = NULL;
        g_autoptr (DlhTensor) tensor = dlh_npz_read (npz, name, &why);

        g_assert_true (g_hash_table_add (seen, (gpointer)name));
        g_assert_true (g_utf8_validate (name, -1, NULL) && *name && *name != '/');
        g_assert_false (g_str_has_prefix (name, "../"));
        g_assert_null (strstr (name, "/../"));
        g_assert_true ((tensor == NULL) == (why != NULL));
        if (why)
            check_error (why);
        all &= tensor != NULL;
    }
    return all;
}

FUZZ_FILE_ENTRY (fuzz_npz)
