/* SPDX-License-Identifier: MIT */
/* Any bytes as a plugin's file: the reader stays within them, says yes or gives a reason, and what
 * it accepts can be used without another check. */
#include "fuzz.h"

#include <string.h>

#include <dlhost/registry.h>

#include "plugin/note.h"

/* The defaults of an accepted plugin parse into its struct, and come back as text. */
static void
use_note (const DlhNote *note)
{
    const DlhManifest *m = &note->manifest;
    g_autofree guint8 *options = g_malloc0 (m->options_bytes + 1);
    g_autoptr (GError) error = NULL;
    gpointer arena =
        dlh_options_parse (m->name, note->options, m->n_options, NULL, options, &error);

    g_assert_no_error (error);
    g_assert_nonnull (arena);
    g_assert_true (dlh_name_valid (m->name));
    g_assert_true (g_utf8_validate (m->summary, -1, NULL));
    for (guint i = 0; i < m->n_options; i++) {
        g_autofree char *text = dlh_option_text (&note->options[i], options);
        g_autofree char *range = dlh_option_range (&note->options[i]);

        g_assert_true (g_utf8_validate (text, -1, NULL));
        g_assert_true (!range || *range);
    }
    dlh_options_arena_free (arena);
}

gboolean
fuzz_note (const guint8 *data, gsize n)
{
    g_autofree guint8 *copy = g_memdup2 (data, n); // of exactly this size, for the sanitizer
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhNote) note = dlh_note_parse (copy, n, &error);

    g_assert_true ((note == NULL) == (error != NULL));
    if (!note) {
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_PLUGIN));
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
        return FALSE;
    }
    use_note (note);
    return TRUE;
}

FUZZ_ENTRY (fuzz_note)
