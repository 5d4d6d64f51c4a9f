/* SPDX-License-Identifier: MIT */
/* What can be said of a plugin without running it: its manifest, its table of options, its symbols.
 */
#include <stdio.h>
#include <string.h>
#include "check.h"
#include "elf-file.h"

static void
check_text (Check *c, const char *item, const char *value, const char *advice)
{
    if (!check_begin (c, "manifest", item))
        return;
    if (!*value)
        check_fail (c, "it is empty, must say something; %s", advice);
    else if (!g_utf8_validate (value, -1, NULL) || strpbrk (value, "\n\t\r"))
        check_fail (c, "it is not one line of UTF-8 text; %s", advice);
    else
        check_ok (c, "%s", value);
}

static void
check_file_name (Check *c)
{
    g_autofree char *base = g_path_get_basename (c->path);
    g_autofree char *want = g_strconcat (c->info->manifest->name, ".so", NULL);

    if (!check_begin (c, "manifest", "file-name"))
        return;
    if (strcmp (base, want) == 0)
        check_ok (c, "%s", base);
    else
        check_fail (c,
                    "the file is %s, the manifest's name is '%s': a plugin is found by its "
                    "manifest, so name the file %s",
                    base, c->info->manifest->name, want);
}

static void
check_docs (Check *c)
{
    const DlhManifest *m = c->info->manifest;

    if (!check_begin (c, "manifest", "parameter-docs"))
        return;
    for (guint i = 0; i < m->n_options; i++) {
        const DlhOption *o = &c->info->options[i];

        if (!*o->doc) {
            check_fail (c,
                        "parameter '%s' has no text, each must say what it does; give "
                        "DLH_... its last argument",
                        o->name);
            return;
        }
    }
    check_ok (c, "%u parameters", m->n_options);
}

static void
check_exported (Check *c, const ElfFile *elf)
{
    g_autoptr (GString) others = g_string_new (NULL);
    gboolean has_entry = FALSE;

    if (!check_begin (c, "symbols", "exported"))
        return;
    for (guint i = 0; i < elf->exported->len; i++) {
        const char *name = elf->exported->pdata[i];

        if (strcmp (name, "dlhost_plugin") == 0)
            has_entry = TRUE;
        else
            g_string_append_printf (others, "%s%s", others->len ? ", " : "", name);
    }
    if (!has_entry)
        check_fail (c, "'dlhost_plugin' is not exported, it must be; define it with "
                       "DLH_PLUGIN_DEFINE and do not hide it in a version script");
    else if (others->len)
        check_fail (c,
                    "'dlhost_plugin' and %.200s are exported, only the first must be; make the "
                    "others static or build with -fvisibility=hidden",
                    others->str);
    else
        check_ok (c, "dlhost_plugin");
}

static void
check_stack (Check *c, const ElfFile *elf)
{
    if (!check_begin (c, "symbols", "stack"))
        return;
    if (elf->executable_stack)
        check_fail (c,
                    "it asks for an executable stack, must not; avoid nested functions, and give "
                    "assembler files a .note.GNU-stack section");
    else
        check_ok (c, "not executable");
}

static void
load_once (Check *c)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) component = NULL;

    if (!check_begin (c, "symbols", "resolve"))
        return;
    component = check_load (c, NULL, &error);
    if (component)
        check_ok (c, "loads with every symbol bound");
    else if (error->code == DLH_ERROR_OPTION)
        check_drop (c);
    else
        check_fail (c, "%s", error->message);
}

// The note was refused: either it is none of ours, or a plugin with a broken one.
static gboolean
refused (Check *c, const ElfFile *elf, const GError *error)
{
    if (!elf->is_object || !elf->has_note) {
        if (!c->quiet)
            fprintf (stderr, "dlhost: %s\n", error->message);
        return FALSE;
    }
    if (check_begin (c, "manifest", "note"))
        check_fail (c, "%s", error->message);
    return TRUE;
}

gboolean
check_manifest (Check *c)
{
    g_auto (ElfFile) elf = {0};
    g_autoptr (GError) error = NULL;
    const DlhManifest *m;

    if (!elf_read (&elf, c->path, &error)) {
        if (!c->quiet)
            fprintf (stderr, "dlhost: %s\n", error->message);
        return FALSE;
    }
    c->info = dlh_registry_find (c->registry, 0, c->path, &error);
    if (!c->info)
        return refused (c, &elf, error);
    m = c->info->manifest;
    if (check_begin (c, "manifest", "note"))
        check_ok (c, "%s %s, interface %u.%u", dlh_plugin_kind_name (m->kind), m->name,
                  m->abi_major, m->abi_minor);
    check_file_name (c);
    check_text (c, "version", m->version, "give .version = \"1.0\"");
    check_text (c, "licence", m->licence, "give .licence an SPDX identifier");
    check_text (c, "summary", m->summary, "give .summary one line that says what the plugin does");
    check_docs (c);
    check_exported (c, &elf);
    check_stack (c, &elf);
    check_run (c, load_once);
    return TRUE;
}
