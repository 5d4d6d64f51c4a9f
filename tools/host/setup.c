/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <json-glib/json-glib.h>
#include "jsonout.h"
#include "probe.h"
#include "setup.h"

static DlhComponent *
load_component (DlhRegistry *registry, DlhPluginKind kind, const Part *part, GError **error)
{
    const DlhPluginInfo *info = dlh_registry_find (registry, kind, part->name, error);

    if (!info || (strchr (part->name, '/') && !probe_plugin (info->path, error)))
        return NULL;
    return dlh_registry_load (registry, kind, part->name, part->settings, error);
}

// The plugin that the option noise= names, when it is not one of the library's.
static gboolean
load_noise (DlhRegistry *registry, DlhComponent *perturb, DlhComponent **noise, GError **error)
{
    const DlhOption *table = dlh_component_option_table (perturb);

    for (guint i = 0; i < dlh_component_manifest (perturb)->n_options; i++) {
        g_autofree char *name = NULL;

        if (strcmp (table[i].name, "noise") != 0 || table[i].type != DLH_OPTION_STRING)
            continue;
        name = dlh_component_option_text (perturb, i);
        if (dlh_noise_named (name))
            return TRUE;
        *noise = dlh_registry_load (registry, DLH_PERTURB, name, NULL, error);
        if (!*noise)
            g_prefix_error (error,
                            "noise=%s: neither a noise of the library (gaussian, fixed, "
                            "multiplicative, dropconnect) nor a plugin: ",
                            name);
        return *noise != NULL;
    }
    return TRUE;
}

// What changes a model becomes a part of it, so that no task need know.
static gboolean
wrap_model (DlhRegistry *registry, DlhComponent **components, GError **error)
{
    static const DlhPluginKind wrappers[] = {DLH_PERTURB, DLH_OBJECTIVE};
    g_autoptr (DlhComponent) noise = NULL;

    for (guint i = 0; i < G_N_ELEMENTS (wrappers); i++) {
        DlhComponent *outer = components[wrappers[i]], *model = components[DLH_MODEL], *wrapped;

        if (!outer)
            continue;
        if (!model) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "--%s changes a model, and there is none: give --model=NAME",
                         dlh_plugin_kind_name (wrappers[i]));
            return FALSE;
        }
        if (wrappers[i] == DLH_PERTURB && !load_noise (registry, outer, &noise, error))
            return FALSE;
        wrapped = wrappers[i] == DLH_PERTURB ? dlh_perturb_model (model, outer, noise, error)
                                             : dlh_model_with_objective (model, outer, error);
        if (!wrapped)
            return FALSE;
        dlh_component_unref (model);
        components[DLH_MODEL] = wrapped;
    }
    return TRUE;
}

gboolean
setup_components (const Config *config, DlhRegistry *registry, DlhComponent **components,
                  GError **error)
{
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++) {
        const Part *part = &config->parts[kind];

        if (!part->name && g_hash_table_size (part->settings)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                         "options of the %s are given, but no --%s=NAME",
                         dlh_plugin_kind_name (kind), dlh_plugin_kind_name (kind));
            return FALSE;
        }
        if (part->name && !part->preset &&
            !(components[kind] = load_component (registry, kind, part, error)))
            return FALSE;
    }
    return wrap_model (registry, components, error);
}

DlhData *
setup_data (const Config *config, DlhRegistry *registry, DlhComponent **components, GError **error)
{
    const Part *part = &config->parts[DLH_DATASET];
    g_autoptr (DlhData) data = dlh_data_new ();
    DlhComponent *dataset = components[DLH_DATASET];
    GError *cause = NULL;

    if (!dataset && part->preset) {
        dataset = components[DLH_DATASET] = load_component (registry, DLH_DATASET, part, error);
        if (!dataset)
            return NULL;
    }
    if (!dataset) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "this task needs data: give --dataset=NAME");
        return NULL;
    }
    if (!((const DlhDataset *)dlh_component_interface (dataset))
             ->load (data, config->dtype, dlh_component_options (dataset), &cause)) {
        if (cause && !g_str_has_prefix (cause->message, dlh_component_name (dataset)))
            g_prefix_error (&cause, "%s: ", dlh_component_name (dataset));
        dlh_component_fail (dataset, cause, error);
        return NULL;
    }
    return g_steal_pointer (&data);
}

/* The machine: what decides the bytes of a run beside its configuration. */

#define N_FACTS 6

typedef struct {
    const char *name;
    char *value;
} MachineFact;

static void
machine_facts (MachineFact *facts)
{
    DlhMachine m = {.size = sizeof m};

    dlh_machine_describe (&m);
    facts[0] = (MachineFact){"dlhost", g_strdup (DLH_VERSION)};
    facts[1] = (MachineFact){"cpu_level", g_strdup (m.cpu_level)};
    facts[2] = (MachineFact){"blas", g_strdup (g_strstrip (m.blas))};
    facts[3] = (MachineFact){"blas_core", g_strdup (m.blas_core)};
    facts[4] = (MachineFact){"onednn", g_strdup (m.dnnl)};
    facts[5] = (MachineFact){"threads", g_strdup_printf ("%u", m.threads)};
}

static void
machine_facts_free (MachineFact *facts)
{
    for (guint i = 0; i < N_FACTS; i++)
        g_free (facts[i].value);
}

gboolean
setup_write_machine (const char *dir, GError **error)
{
    MachineFact facts[N_FACTS];
    g_auto (JsonOut) json = {0};
    g_autofree char *path = g_build_filename (dir, MACHINE_FILE, NULL), *text = NULL;

    machine_facts (facts);
    json_out_init (&json);
    for (guint i = 0; i < N_FACTS; i++)
        json_out_string (&json, facts[i].name, facts[i].value);
    machine_facts_free (facts);
    text = json_out_finish (&json);
    return dlh_file_write (path, text, strlen (text), error);
}

char *
setup_compare_machine (const char *dir)
{
    MachineFact facts[N_FACTS];
    g_autofree char *path = g_build_filename (dir, MACHINE_FILE, NULL);
    g_autoptr (GBytes) bytes = dlh_file_read (path, 1 << 16, NULL);
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_autoptr (GString) s = g_string_new (NULL);
    JsonObject *object;

    // A folder of an older release, or one that somebody edited, says nothing.
    if (!bytes ||
        !json_parser_load_from_data (parser, g_bytes_get_data (bytes, NULL),
                                     (gssize)g_bytes_get_size (bytes), NULL) ||
        !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
        return NULL;
    object = json_node_get_object (json_parser_get_root (parser));
    machine_facts (facts);
    for (guint i = 0; i < N_FACTS; i++) {
        JsonNode *node = json_object_get_member (object, facts[i].name);
        const char *was =
            node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
                ? json_node_get_string (node)
                : NULL;

        if (was && strcmp (was, facts[i].value) != 0)
            g_string_append_printf (s, "%s%s was '%s', is '%s'", s->len ? "; " : "", facts[i].name,
                                    was, facts[i].value);
    }
    machine_facts_free (facts);
    return s->len ? g_strdup (s->str) : NULL;
}
