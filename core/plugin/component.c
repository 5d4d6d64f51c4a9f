/* SPDX-License-Identifier: MIT */
/* Components: plugins with their options, loaded. Options are parsed before any code is touched. */
#include "plugin/file.h"
#include "plugin/interface.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY "dlhost_plugin"
#define MAX_INTERFACE (64u << 10) /* bytes of a kind's struct that can still be meant */

struct _DlhComponent {
    gatomicrefcount refs;
    DlhPluginFile *plugin;
    gconstpointer interface;
    gpointer interface_copy; /* what interface is, when the plugin's was smaller than ours */
    gpointer options;
    gpointer arena;
    DlhComponent *base;       /* (nullable): what this one wraps; then options are its maker's */
    GDestroyNotify free_data; /* (nullable): for them */
};

DlhPluginFile *
dlh_plugin_file_new (const char *path, DlhNote *note)
{
    DlhPluginFile *plugin = g_atomic_rc_box_new0 (DlhPluginFile);

    plugin->note = note;
    plugin->info.path = g_strdup (path);
    plugin->info.manifest = &note->manifest;
    plugin->info.options = note->options;
    return plugin;
}

static void
plugin_clear (gpointer data)
{
    DlhPluginFile *plugin = data;

    g_free (plugin->info.path);
    dlh_note_free (plugin->note);
}

void
dlh_plugin_file_unref (gpointer plugin)
{
    g_atomic_rc_box_release_full (plugin, plugin_clear);
}

/* Takes the options' values from @settings; no code of the plugin has run yet. */
static DlhComponent *
component_new (DlhPluginFile *plugin, GHashTable *settings, GError **error)
{
    g_autoptr (DlhComponent) component = g_new0 (DlhComponent, 1);
    const DlhManifest *m = &plugin->note->manifest;

    g_atomic_ref_count_init (&component->refs);
    component->plugin = g_atomic_rc_box_acquire (plugin);
    component->options = g_malloc0 (m->options_bytes + 1);
    component->arena = dlh_options_parse (m->name, plugin->note->options, m->n_options, settings,
                                          component->options, error);
    return component->arena ? g_steal_pointer (&component) : NULL;
}

/* What the symbol points to is what the file's note promised. */
static gboolean
check_plugin (const DlhPlugin *plugin, const DlhNote *note, GError **error)
{
    const char *why = NULL;
    gsize size;

    if (plugin->size < sizeof (DlhPlugin) || plugin->size > MAX_INTERFACE)
        why = "its struct is of an impossible size";
    else if (!plugin->manifest || plugin->manifest->size != note->manifest.size ||
             memcmp (plugin->manifest, note->raw, note->raw_size) != 0)
        why = "it does not match the note in its file; was the file replaced just now?";
    else if (!plugin->interface)
        why = "it has no interface";
    else {
        memcpy (&size, plugin->interface, sizeof size);
        if (size <= sizeof size || size > MAX_INTERFACE)
            why = "the first member of its interface is not the interface's size";
    }
    if (!why)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "symbol '" ENTRY "' is broken: %s", why);
    return FALSE;
}

/* dlerror() speaks of missing libraries and symbols in one of a few ways. */
static void
refuse_dlerror (const char *path, const char *text, GError **error)
{
    const char *hint = "";
    gsize n = strlen (path);

    if (strncmp (text, path, n) == 0 && strncmp (text + n, ": ", 2) == 0)
        text += n + 2;
    if (strstr (text, "undefined symbol: dlh_"))
        hint = "; it is built for another version of dlhost";
    else if (strstr (text, "undefined symbol"))
        hint = "; a library that it needs is missing or of another version";
    else if (strstr (text, "cannot open shared object file"))
        hint = "; install the library that it needs";
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN, "cannot be loaded: %s%s", text, hint);
}

static gconstpointer
open_plugin (const DlhPluginFile *plugin, GError **error)
{
    const DlhPlugin *entry;
    gpointer handle = dlopen (plugin->info.path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    // The handle is kept for ever: nodes and functions may still point into the plugin.
    if (!handle) {
        refuse_dlerror (plugin->info.path, dlerror (), error);
        return NULL;
    }
    entry = dlsym (handle, ENTRY);
    if (!entry) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "has no symbol '" ENTRY "'; define it with DLH_PLUGIN_DEFINE and export it");
        return NULL;
    }
    return check_plugin (entry, plugin->note, error) ? entry->interface : NULL;
}

static gboolean
adopt_interface (DlhComponent *component, gconstpointer theirs, GError **error)
{
    if (theirs)
        component->interface = dlh_interface_adopt (component->plugin->note->manifest.kind, theirs,
                                                    &component->interface_copy, error);
    return component->interface != NULL;
}

// Whether options go together is the plugin's to say.
static gboolean
check_options (DlhComponent *component, GError **error)
{
    const DlhManifest *m = &component->plugin->note->manifest;
    GError *cause = NULL;

    if (dlh_interface_check (m->kind, component->interface, component->options, &cause))
        return TRUE;
    if (cause)
        g_prefix_error (&cause, "%s: ", m->name);
    return dlh_component_fail (component, cause, error);
}

DlhComponent *
dlh_component_open (DlhPluginFile *plugin, GHashTable *settings, GError **error)
{
    g_autoptr (DlhComponent) component = component_new (plugin, settings, error);

    if (!component)
        return NULL;
    if (!adopt_interface (component, open_plugin (plugin, error), error)) {
        g_prefix_error (error, "%s: ", plugin->info.path);
        return NULL;
    }
    return check_options (component, error) ? g_steal_pointer (&component) : NULL;
}

DlhComponent *
dlh_component_new_static (const DlhPlugin *plugin, GHashTable *settings, GError **error)
{
    const DlhManifest *m = plugin->manifest;
    gsize n = m->size + (gsize)m->n_options * m->option_size;
    DlhNote *note = dlh_note_check ((const guint8 *)m, n, error);
    g_autoptr (DlhComponent) component = NULL;
    DlhPluginFile *shared;

    if (!note)
        return NULL;
    shared = dlh_plugin_file_new (NULL, note);
    if (check_plugin (plugin, note, error))
        component = component_new (shared, settings, error);
    if (component && (!adopt_interface (component, plugin->interface, error) ||
                      !check_options (component, error)))
        g_clear_pointer (&component, dlh_component_unref);
    dlh_plugin_file_unref (shared);
    return g_steal_pointer (&component);
}

DlhComponent *
dlh_component_new_wrapping (DlhComponent *base, gconstpointer interface, gpointer data,
                            GDestroyNotify free_data, GError **error)
{
    g_autoptr (DlhComponent) component = g_new0 (DlhComponent, 1);

    g_atomic_ref_count_init (&component->refs);
    component->plugin = g_atomic_rc_box_acquire (base->plugin);
    if (!adopt_interface (component, interface, error)) {
        g_prefix_error (error, "wrapping %s: ", dlh_component_name (base));
        return NULL;
    }
    component->base = dlh_component_ref (base);
    component->options = data;
    component->free_data = free_data;
    return g_steal_pointer (&component);
}

DlhComponent *
dlh_component_ref (DlhComponent *component)
{
    g_atomic_ref_count_inc (&component->refs);
    return component;
}

void
dlh_component_unref (DlhComponent *component)
{
    if (!component || !g_atomic_ref_count_dec (&component->refs))
        return;
    if (component->free_data)
        component->free_data (component->options);
    if (!component->base) {
        dlh_options_arena_free (component->arena);
        g_free (component->options);
    }
    dlh_plugin_file_unref (component->plugin);
    g_free (component->interface_copy);
    dlh_component_unref (component->base);
    g_free (component);
}

const char *
dlh_component_name (const DlhComponent *component)
{
    return component->plugin->note->manifest.name;
}

const DlhManifest *
dlh_component_manifest (const DlhComponent *component)
{
    return &component->plugin->note->manifest;
}

gconstpointer
dlh_component_interface (const DlhComponent *component)
{
    return component->interface;
}

gconstpointer
dlh_component_options (const DlhComponent *component)
{
    return component->options;
}

char *
dlh_component_option_text (const DlhComponent *component, guint i)
{
    g_return_val_if_fail (i < component->plugin->note->manifest.n_options, NULL);
    while (component->base)
        component = component->base;
    return dlh_option_text (&component->plugin->note->options[i], component->options);
}

gboolean
dlh_component_fail (const DlhComponent *component, GError *cause, GError **error)
{
    if (cause)
        g_propagate_error (error, cause);
    else
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "%s: a function of this plugin failed without setting the error",
                     dlh_component_name (component));
    return FALSE;
}

const DlhOption *
dlh_component_option_table (const DlhComponent *component)
{
    return component->plugin->note->options;
}
