/* SPDX-License-Identifier: MIT */
/* Any bytes as a running text, by words and by characters: tokens in the vocabulary's range, or a
 * message. The plugin's own code, without the loader between. */
#include "fuzz.h"

#include "../../plugins/datasets/text.c"

static gboolean
load_text (const char *dir, const char *name, const char *level, gboolean line_end)
{
    const TextOptions opt = {.dir = dir,
                             .train = name,
                             .valid = "",
                             .test = "",
                             .level = level,
                             .line_end = line_end,
                             .seq_len = 2,
                             .lanes = 2};
    g_autoptr (DlhData) data = dlh_data_new ();
    g_autoptr (GError) error = NULL;
    gboolean ok = text.load (data, DLH_F32, &opt, &error);

    g_assert_true (ok == (error == NULL));
    if (!ok) {
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
        return FALSE;
    }
    // That tokens lie in the vocabulary is checked by dlh_data_set_split().
    g_assert_cmpint (dlh_data_vocabulary (data), >, 0);
    return TRUE;
}

gboolean
fuzz_text (const char *path)
{
    const char *slash = strrchr (path, '/');
    g_autofree char *dir = g_strndup (path, (gsize)(slash - path));
    gboolean words = load_text (dir, slash + 1, "word", TRUE);

    return load_text (dir, slash + 1, "char", FALSE) | words;
}

FUZZ_FILE_ENTRY (fuzz_text)
