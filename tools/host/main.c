/* SPDX-License-Identifier: MIT */
/* dlhost: the command line. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "execute.h"
#include "inspect.h"

/* Options that every run has; those with a task option behind them are short for --task.NAME. */
static const struct {
    const char *name, *value, *doc;
    gboolean of_task;
} options[] = {
    {"task", "NAME[,option=value...]", "what the run does (default: train)", FALSE},
    {"model", "NAME[,...]", "the model", FALSE},
    {"optimizer", "NAME[,...]", "the optimizer", FALSE},
    {"sampler", "NAME[,...]", "the sampler", FALSE},
    {"dataset", "NAME[,...]", "the data (default: fashion-mnist)", FALSE},
    {"epochs", "N", "passes over the data", TRUE},
    {"steps", "N", "training steps, instead of epochs", TRUE},
    {"batch", "N", "examples in a step", TRUE},
    {"seed", "N", "of every random stream (default: 0)", FALSE},
    {"threads", "N", "threads; 0: one for each core (default)", FALSE},
    {"dtype", "f32|f64", "element type of parameters and data (default: f32)", FALSE},
    {"out", "DIR", "the run folder (default: a new one under runs/)", FALSE},
    {"checkpoint", "FILE", "start from a checkpoint's variables", FALSE},
    {"config", "FILE", "options from a JSON file; the command line wins", FALSE},
    {"plugin-path", "DIR[:DIR...]", "directories searched for plugins first", FALSE},
};

typedef struct {
    Config config;
    GHashTable *seen;
    char *file; /* --config */
    gboolean help, version, json;
    GPtrArray *words; /* arguments that are no options */
} Arguments;

static void
arguments_clear (Arguments *a)
{
    config_clear (&a->config);
    g_clear_pointer (&a->seen, g_hash_table_unref);
    g_clear_pointer (&a->words, g_ptr_array_unref);
    g_free (a->file);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Arguments, arguments_clear)

static void
print_help (void)
{
    puts ("Usage: dlhost --optimizer=NAME --model=NAME [OPTION...]\n"
          "       dlhost list [KIND]          the plugins found, by kind\n"
          "       dlhost inspect NAME         what a plugin is, and its parameters (--json)\n"
          "       dlhost resume DIR           go on with a stopped run\n"
          "\n"
          "Trains, evaluates and leaves a run folder. A plugin's parameters follow its name\n"
          "(--optimizer=adam.so,lr=1e-3; lists in brackets: betas=[0,0.9]) or are given one\n"
          "by one (--optimizer.lr=1e-3).\n"
          "\n"
          "Options:");
    for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
        g_autofree char *left = g_strdup_printf ("--%s=%s", options[i].name, options[i].value);

        printf ("  %-34s %s\n", left, options[i].doc);
    }
    puts ("  --quiet                            no progress, only errors\n"
          "  --help, --version\n"
          "\n"
          "Exit codes: 0 done, 1 the run failed, 2 wrong usage, 3 a plugin, 4 data or a\n"
          "checkpoint, 5 a number that is not finite, 130 and 143 stopped by a signal.");
}

static gboolean
unknown_option (const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS (options) + 3] = {"quiet", "help", "version"};
    const char *near;

    for (guint i = 0; i < G_N_ELEMENTS (options); i++)
        names[i + 3] = options[i].name;
    near = dlh_nearest_name (name, names, G_N_ELEMENTS (names));
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "unknown option --%s%s%s%s; see dlhost --help",
                 name, near ? ", did you mean --" : "", near ? near : "", near ? "?" : "");
    return FALSE;
}

// --optimizer.lr=0.1
static gboolean
set_dotted (Arguments *a, const char *name, const char *value, GError **error)
{
    const char *dot = strchr (name, '.');
    g_autofree char *kind_name = g_strndup (name, (gsize)(dot - name));
    DlhPluginKind kind = dlh_plugin_kind_from_name (kind_name);

    if (!kind)
        return unknown_option (name, error);
    if (g_hash_table_insert (a->config.parts[kind].settings, g_strdup (dot + 1), g_strdup (value)))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s is given twice", name);
    return FALSE;
}

static gboolean
set_option (Arguments *a, const char *name, const char *value, GError **error)
{
    DlhPluginKind kind = dlh_plugin_kind_from_name (name);
    g_autofree char *dotted = NULL;

    if (strchr (name, '.'))
        return set_dotted (a, name, value, error);
    if (!g_hash_table_add (a->seen, g_strdup (name))) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s is given twice", name);
        return FALSE;
    }
    if (kind)
        return config_set_part (&a->config, kind, value, error);
    if (config_is_common (name))
        return config_set (&a->config, name, value, error);
    if (strcmp (name, "config") == 0)
        a->file = g_strdup (value);
    else if (strcmp (name, "plugin-path") == 0)
        a->config.plugin_path = g_strdup (value);
    else {
        dotted = g_strdup_printf ("task.%s", name);
        return set_dotted (a, dotted, value, error);
    }
    return TRUE;
}

static gboolean
is_option (const char *name)
{
    if (strchr (name, '.'))
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS (options); i++)
        if (strcmp (name, options[i].name) == 0)
            return TRUE;
    return dlh_plugin_kind_from_name (name) != 0;
}

static gboolean
parse (Arguments *a, int argc, char **argv, GError **error)
{
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i], *equals = strchr (text, '=');
        g_autofree char *name = NULL;

        if (!g_str_has_prefix (text, "--")) {
            g_ptr_array_add (a->words, (gpointer)text);
            continue;
        }
        name = equals ? g_strndup (text + 2, (gsize)(equals - text - 2)) : g_strdup (text + 2);
        if (!equals && strcmp (name, "quiet") == 0)
            a->config.quiet = TRUE;
        else if (!equals && strcmp (name, "help") == 0)
            a->help = TRUE;
        else if (!equals && strcmp (name, "version") == 0)
            a->version = TRUE;
        else if (!equals && strcmp (name, "json") == 0)
            a->json = TRUE;
        else if (!is_option (name))
            return unknown_option (name, error);
        else if (!equals && i + 1 >= argc) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s needs a value: --%s=...", name,
                         name);
            return FALSE;
        } else if (!set_option (a, name, equals ? equals + 1 : argv[++i], error))
            return FALSE;
    }
    return TRUE;
}

// What the command line leaves open is taken from a file, then from the defaults.
static gboolean
complete (Arguments *a, const char *file, GError **error)
{
    g_auto (Config) base = {0};

    config_init (&base);
    if (file && !config_read (&base, file, error))
        return FALSE;
    for (guint kind = 1; kind <= DLH_COMM; kind++) {
        Part *given = &a->config.parts[kind], *from = &base.parts[kind];
        GHashTableIter iter;
        gpointer key, value;

        // Another plugin than the file's does not inherit its parameters.
        if (given->name && g_strcmp0 (given->name, from->name) != 0)
            continue;
        if (!given->name)
            given->name = g_steal_pointer (&from->name);
        g_hash_table_iter_init (&iter, from->settings);
        while (g_hash_table_iter_next (&iter, &key, &value))
            if (!g_hash_table_contains (given->settings, key))
                g_hash_table_insert (given->settings, g_strdup (key), g_strdup (value));
    }
    if (!g_hash_table_contains (a->seen, "seed"))
        a->config.seed = base.seed;
    if (!g_hash_table_contains (a->seen, "threads"))
        a->config.threads = base.threads;
    if (!g_hash_table_contains (a->seen, "dtype"))
        a->config.dtype = base.dtype;
    if (!a->config.parts[DLH_TASK].name)
        a->config.parts[DLH_TASK].name = g_strdup ("train");
    if (!a->config.parts[DLH_DATASET].name)
        a->config.parts[DLH_DATASET].name = g_strdup ("fashion-mnist");
    return TRUE;
}

static DlhRegistry *
open_registry (const Config *config)
{
    GString *path = g_string_new (config->plugin_path);
    // Of a privileged process's environment nothing is believed.
    const char *variable = secure_getenv ("DLHOST_PLUGIN_PATH");
    DlhRegistry *registry;

    if (variable)
        g_string_append_printf (path, "%s%s", path->len ? ":" : "", variable);
    g_string_append_printf (path, "%s%s/dlhost/plugins", path->len ? ":" : "",
                            g_get_user_data_dir ());
    g_string_append (path, ":" DLHOST_PLUGIN_DIR);
    registry = dlh_registry_new (path->str);
    g_string_free (path, TRUE);
    return registry;
}

static int
usage (const char *text)
{
    fprintf (stderr, "dlhost: %s; see dlhost --help\n", text);
    return EXIT_USAGE;
}

static int
resume (Arguments *a, DlhRegistry *registry, GError **error)
{
    const char *dir = a->words->len > 1 ? a->words->pdata[1] : NULL;
    g_autofree char *file = NULL;

    if (!dir || a->words->len > 2)
        return usage ("resume takes one run folder");
    // A run goes on as it began; only how long it is may change.
    for (guint kind = 1; kind <= DLH_COMM; kind++)
        if (a->config.parts[kind].name || a->config.out || a->config.checkpoint || a->file)
            return usage ("resume goes on with what the run has: it takes no plugin, --out, --checkpoint "
                          "or --config");
    file = g_build_filename (dir, "config.json", NULL);
    return complete (a, file, error) ? execute (&a->config, registry, dir) : -1;
}

static int
run_command (Arguments *a, DlhRegistry *registry, GError **error)
{
    const char *command = a->words->len ? a->words->pdata[0] : NULL;
    DlhPluginKind kind = 0;

    if (!command)
        return complete (a, a->file, error) ? execute (&a->config, registry, NULL) : -1;
    if (strcmp (command, "list") == 0) {
        if (a->words->len > 1 && !(kind = dlh_plugin_kind_from_name (a->words->pdata[1])))
            return usage ("list takes a kind of plugin: optimizer, model, dataset, task, sampler, "
                          "environment, backend or comm");
        inspect_list (registry, kind);
        return EXIT_SUCCESS;
    }
    if (strcmp (command, "inspect") == 0) {
        if (a->words->len != 2)
            return usage ("inspect takes one plugin");
        return inspect_plugin (registry, a->words->pdata[1], a->json, error) ? EXIT_SUCCESS : -1;
    }
    if (strcmp (command, "resume") == 0)
        return resume (a, registry, error);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "unknown command '%s'; see dlhost --help",
                 command);
    return -1;
}

int
main (int argc, char **argv)
{
    g_auto (Arguments) a = {.words = g_ptr_array_new (),
                            .seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL)};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhRegistry) registry = NULL;
    int code = -1;

    config_init (&a.config);
    if (!parse (&a, argc, argv, &error))
        return fail (error);
    if (a.version)
        return puts ("dlhost " DLH_VERSION) < 0;
    if (a.help || argc == 1) {
        print_help ();
        return EXIT_SUCCESS;
    }
    registry = open_registry (&a.config);
    code = run_command (&a, registry, &error);
    return code < 0 ? fail (error) : code;
}
