/* SPDX-License-Identifier: MIT */
/* Finding plugins, reading what they say of themselves without running them, loading them, and
 * parsing their options. */
#pragma once

#include <dlhost/plugin.h>

G_BEGIN_DECLS

typedef struct _DlhRegistry DlhRegistry; /* the plugins on a search path */
typedef struct _DlhComponent DlhComponent; /* a loaded plugin with its options */

/* A plugin file as its note describes it. */
typedef struct {
    char *path;
    const DlhManifest *manifest;
    const DlhOption *options; /* manifest->n_options */
} DlhPluginInfo;

/* A file in a search directory that was not accepted, and why. */
typedef struct {
    char *path;
    GError *error;
} DlhPluginReject;

/**
 * dlh_registry_new:
 * @path: (nullable): directories separated by ':', searched in this order; none is read yet
 */
DLH_EXPORT DlhRegistry *dlh_registry_new (const char *path);
/** dlh_registry_free: components that were loaded from it live on. */
DLH_EXPORT void dlh_registry_free (DlhRegistry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhRegistry, dlh_registry_free)

/** dlh_registry_list: (element-type DlhPluginInfo*) (transfer container): accepted plugins of @kind
 * (0: every kind), by kind and name; the first directory wins. Runs no plugin's code. */
DLH_EXPORT GPtrArray *dlh_registry_list (DlhRegistry *registry, DlhPluginKind kind);
/** dlh_registry_rejects: (element-type DlhPluginReject*) (transfer none): `*.so` files refused. */
DLH_EXPORT GPtrArray *dlh_registry_rejects (DlhRegistry *registry);
/**
 * dlh_registry_find:
 * @name: "myopt", "myopt.so", or a path when it contains '/'
 * @kind: the kind wanted, 0 for any
 * Returns: (transfer none): the plugin, or NULL with DLH_ERROR_PLUGIN: not found (with the nearest
 * name and the directories searched), of another kind, or refused with the reason.
 */
DLH_EXPORT const DlhPluginInfo *dlh_registry_find (DlhRegistry *registry, DlhPluginKind kind,
                                                   const char *name, GError **error);
/** dlh_plugin_kind_name, dlh_plugin_kind_from_name: "optimizer" and so on; "plugin" and 0 for what
 * is no kind. */
DLH_EXPORT const char *dlh_plugin_kind_name (DlhPluginKind kind);
DLH_EXPORT DlhPluginKind dlh_plugin_kind_from_name (const char *name);

/**
 * dlh_registry_load:
 * @settings: (nullable) (element-type utf8 utf8): option values by name, as on the command line
 * Loads the plugin (once a process, never unloaded) and parses its options: defaults, then @settings.
 * Returns: (transfer full): the plugin with its options, or NULL with DLH_ERROR_PLUGIN or
 * DLH_ERROR_OPTION (unknown name with the nearest one, wrong type, out of range).
 */
DLH_EXPORT DlhComponent *dlh_registry_load (DlhRegistry *registry, DlhPluginKind kind,
                                            const char *name, GHashTable *settings, GError **error);
/** dlh_component_new_static: a plugin linked into the program; @plugin lives forever. */
DLH_EXPORT DlhComponent *dlh_component_new_static (const DlhPlugin *plugin, GHashTable *settings,
                                                   GError **error);
/**
 * dlh_component_new_wrapping:
 * @interface: of @base's kind; lives as long as the component
 * @data: what its functions are given as options
 * @free_data: (nullable): called with @data when the last reference goes
 * For methods that change what a component does, such as a model whose build() calls that of
 * @base and rewrites the graph. Name, manifest and the texts of options are @base's.
 * Returns: (transfer full): the component, which holds @base; or NULL with DLH_ERROR_PLUGIN when
 * @interface lacks a function that its kind needs, and then @data is still the caller's.
 */
DLH_EXPORT DlhComponent *dlh_component_new_wrapping (DlhComponent *base, gconstpointer interface,
                                                     gpointer data, GDestroyNotify free_data,
                                                     GError **error);
/** dlh_component_ref, dlh_component_unref: unreferencing NULL does nothing. */
DLH_EXPORT DlhComponent *dlh_component_ref (DlhComponent *component);
DLH_EXPORT void dlh_component_unref (DlhComponent *component);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DlhComponent, dlh_component_unref)

/** dlh_component_name, dlh_component_manifest: (transfer none): what the plugin says of itself. */
DLH_EXPORT const char *dlh_component_name (const DlhComponent *component);
DLH_EXPORT const DlhManifest *dlh_component_manifest (const DlhComponent *component);
/** dlh_component_interface: (transfer none): the kind's struct. */
DLH_EXPORT gconstpointer dlh_component_interface (const DlhComponent *component);
/** dlh_component_options: (transfer none): the filled option struct. */
DLH_EXPORT gconstpointer dlh_component_options (const DlhComponent *component);
/** dlh_component_fail: passes @cause on, with which a function of the plugin has failed; where it is
 * NULL, an error that says so. Takes @cause. Returns: FALSE. */
DLH_EXPORT gboolean dlh_component_fail (const DlhComponent *component, GError *cause,
                                        GError **error);
/** dlh_component_option_table: (transfer none): the records, dlh_component_manifest()->n_options.
 * */
DLH_EXPORT const DlhOption *dlh_component_option_table (const DlhComponent *component);
/** dlh_component_option_text: (transfer full): the value of option @i, as it would be typed. */
DLH_EXPORT char *dlh_component_option_text (const DlhComponent *component, guint i);

/**
 * dlh_options_parse:
 * Fills @out (options_bytes, zeroed) from defaults and @settings; strings and lists live in the
 * returned arena.
 * @who: what to call the plugin in messages
 * Returns: (transfer full): to be freed with dlh_options_arena_free() after the last use of @out.
 */
DLH_EXPORT gpointer dlh_options_parse (const char *who, const DlhOption *options, guint n,
                                       GHashTable *settings, gpointer out, GError **error);
/** dlh_options_arena_free: strings and lists of the struct are gone then. */
DLH_EXPORT void dlh_options_arena_free (gpointer arena);
/** dlh_option_range: (transfer full) (nullable): what a value must be: "[0, 1)", "(0, inf)", or the
 * choices "a|b"; NULL when everything of its type goes. */
DLH_EXPORT char *dlh_option_range (const DlhOption *option);
/** dlh_nearest_name: (nullable): the entry of @names nearest to @name, when near enough to suggest.
 * */
DLH_EXPORT const char *dlh_nearest_name (const char *name, const char *const *names, guint n);

G_END_DECLS
