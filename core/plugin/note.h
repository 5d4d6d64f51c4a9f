/* SPDX-License-Identifier: MIT */
/* What a plugin file says of itself, read and checked without running it. Private to core/plugin. */
#pragma once

#include <dlhost/plugin.h>

typedef struct {
    DlhManifest manifest; /* cut or filled with zeros to this library's size */
    DlhOption *options;   /* manifest.n_options of them, likewise */
    guint8 *raw;          /* the descriptor as it stands in the file */
    gsize raw_size;
} DlhNote;

void dlh_note_free (DlhNote *note);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhNote, dlh_note_free)

/* Of the three, the errors (DLH_ERROR_PLUGIN) name no file: "is a directory". */

/* dlh_note_read: the note of the file at @path. */
DlhNote *dlh_note_read (const char *path, GError **error);
/* dlh_note_parse: the note of a file whose whole content is @bytes. */
DlhNote *dlh_note_parse (const guint8 *bytes, gsize n, GError **error);
/* dlh_note_check: the note whose descriptor (manifest, then options) is @descriptor. */
DlhNote *dlh_note_check (const guint8 *descriptor, gsize n, GError **error);

/* dlh_option_check: name, type, place in a struct of @options_bytes, range, choices and default. */
gboolean dlh_option_check (const DlhOption *option, gsize options_bytes, GError **error);
/* dlh_option_text: the option's value in @options, as it would be typed. */
char *dlh_option_text (const DlhOption *option, gconstpointer options);
/* dlh_name_valid: letters a-z, digits, '_' and '-', at least one. */
gboolean dlh_name_valid (const char *name);
/* dlh_text_show: @text made fit for a one-line message: escaped, valid UTF-8, not too long. */
char *dlh_text_show (const char *text);
/* dlh_path_show: the same for a path, which is shown whole: cut short, it names nothing. */
char *dlh_path_show (const char *path);
