/* SPDX-License-Identifier: MIT */
/* The dynamic symbols of a shared object, read from its file. */
#pragma once

#include <glib.h>

typedef struct {
    gboolean is_object; /* an ELF shared object of this machine's class and byte order */
    gboolean has_note;  /* of owner "dlhost" */
    gboolean executable_stack;
    GPtrArray *exported;  /* char*: defined, visible */
    GPtrArray *undefined; /* char* */
} ElfFile;

/* FALSE when the file cannot be read; anything in it is believed only after a check. */
gboolean elf_read (ElfFile *elf, const char *path, GError **error);
void elf_clear (ElfFile *elf);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ElfFile, elf_clear)
