/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <link.h>
#include <string.h>
#include "elf-file.h"

#include <dlhost/plugin.h>

typedef struct {
    const guint8 *bytes;
    gsize n;
} Image;

// @count records of @size bytes at @offset, NULL unless they lie in the file.
static const void *
at (const Image *image, guint64 offset, guint64 count, guint64 size)
{
    if (offset > image->n || (size && count > (image->n - offset) / size))
        return NULL;
    return image->bytes + offset;
}

static gboolean
note_is_ours (const Image *image, guint64 offset, guint64 bytes)
{
    const guint8 *note = at (image, offset, bytes, 1);
    guint64 pos = 0;

    while (note && bytes - pos >= 12) {
        guint32 head[3];
        guint64 name, descriptor;

        memcpy (head, note + pos, sizeof head);
        name = ((guint64)head[0] + 3) & ~3ull;
        descriptor = ((guint64)head[1] + 3) & ~3ull;
        if (name + descriptor > bytes - pos - 12)
            return head[0] == sizeof DLH_NOTE_NAME && bytes - pos - 12 >= head[0] &&
                   memcmp (note + pos + 12, DLH_NOTE_NAME, head[0]) == 0;
        if (head[0] == sizeof DLH_NOTE_NAME &&
            memcmp (note + pos + 12, DLH_NOTE_NAME, head[0]) == 0)
            return TRUE;
        pos += 12 + name + descriptor;
    }
    return FALSE;
}

static void
read_segments (ElfFile *elf, const Image *image, const ElfW (Ehdr) * head)
{
    const guint8 *table = at (image, head->e_phoff, head->e_phnum, sizeof (ElfW (Phdr)));

    for (guint i = 0; table && i < head->e_phnum; i++) {
        ElfW (Phdr) p;

        memcpy (&p, table + i * sizeof p, sizeof p);
        if (p.p_type == PT_NOTE && note_is_ours (image, p.p_offset, p.p_filesz))
            elf->has_note = TRUE;
        if (p.p_type == PT_GNU_STACK && (p.p_flags & PF_X))
            elf->executable_stack = TRUE;
    }
}

// What linkers and sanitizers add to every object by themselves.
static gboolean
is_of_tools (const char *name)
{
    static const char *const linker[] = {"_init",       "_fini",   "_edata",     "_end",
                                         "__bss_start", "__end__", "_bss_end__", NULL};
    static const char *const prefixes[] = {"__odr_asan", "__asan_", "__ubsan_",
                                           "__sancov_",  "__gcov_", "__llvm_profile_"};

    for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
        if (g_str_has_prefix (name, prefixes[i]))
            return TRUE;
    return g_strv_contains (linker, name);
}

static void
add_symbol (ElfFile *elf, const ElfW (Sym) * s, const char *names, gsize n_names)
{
    guint binding = ELF64_ST_BIND (s->st_info), visibility = ELF64_ST_VISIBILITY (s->st_other);
    const char *name = names + s->st_name;

    if (s->st_name >= n_names || !memchr (name, 0, n_names - s->st_name) || !*name ||
        (binding != STB_GLOBAL && binding != STB_WEAK))
        return;
    if (s->st_shndx == SHN_UNDEF) {
        if (binding == STB_GLOBAL)
            g_ptr_array_add (elf->undefined, g_strdup (name));
    } else if (visibility != STV_HIDDEN && visibility != STV_INTERNAL && !is_of_tools (name))
        g_ptr_array_add (elf->exported, g_strdup (name));
}

static void
read_symbols (ElfFile *elf, const Image *image, const ElfW (Ehdr) * head)
{
    const guint8 *table = at (image, head->e_shoff, head->e_shnum, sizeof (ElfW (Shdr)));

    for (guint i = 0; table && i < head->e_shnum; i++) {
        ElfW (Shdr) section, strings;
        const guint8 *symbols;
        const char *names;

        memcpy (&section, table + i * sizeof section, sizeof section);
        if (section.sh_type != SHT_DYNSYM || section.sh_link >= head->e_shnum)
            continue;
        memcpy (&strings, table + section.sh_link * sizeof strings, sizeof strings);
        symbols = at (image, section.sh_offset, section.sh_size, 1);
        names = at (image, strings.sh_offset, strings.sh_size, 1);
        for (gsize j = 0; symbols && names && j < section.sh_size / sizeof (ElfW (Sym)); j++) {
            ElfW (Sym) s;

            memcpy (&s, symbols + j * sizeof s, sizeof s);
            add_symbol (elf, &s, names, strings.sh_size);
        }
    }
}

gboolean
elf_read (ElfFile *elf, const char *path, GError **error)
{
    g_autofree char *bytes = NULL;
    ElfW (Ehdr) head;
    Image image;
    gsize n;

    elf->exported = g_ptr_array_new_with_free_func (g_free);
    elf->undefined = g_ptr_array_new_with_free_func (g_free);
    if (!g_file_get_contents (path, &bytes, &n, error))
        return FALSE;
    image = (Image){(const guint8 *)bytes, n};
    if (n < sizeof head)
        return TRUE;
    memcpy (&head, bytes, sizeof head);
    if (memcmp (head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != (sizeof (gpointer) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        head.e_type != ET_DYN || head.e_phentsize != sizeof (ElfW (Phdr)) ||
        (head.e_shnum && head.e_shentsize != sizeof (ElfW (Shdr))))
        return TRUE;
    elf->is_object = TRUE;
    read_segments (elf, &image, &head);
    read_symbols (elf, &image, &head);
    return TRUE;
}

void
elf_clear (ElfFile *elf)
{
    g_clear_pointer (&elf->exported, g_ptr_array_unref);
    g_clear_pointer (&elf->undefined, g_ptr_array_unref);
}
