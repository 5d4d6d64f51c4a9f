/* SPDX-License-Identifier: MIT */
/* From the command line to an invocation. */
#include <stdlib.h>
#include <string.h>
#include "command.h"

const Flag run_flags[] = {
    {"task", "NAME[,option=value...]", "what the run does (default: train)"},
    {"model", "NAME[,...]", "the model"},
    {"optimizer", "NAME[,...]", "the optimizer"},
    {"sampler", "NAME[,...]", "the sampler"},
    {"dataset", "NAME[,...]", "the data (default: fashion-mnist)"},
    {"environment", "NAME[,...]", "the environment, for tasks that play in one"},
    {"epochs", "N", "passes over the data: short for --task.epochs"},
    {"steps", "N", "training steps, instead of epochs: short for --task.steps"},
    {"batch", "N", "examples in a step: short for --task.batch"},
    {"seed", "N", "of every random stream (default: 0)"},
    {"threads", "N", "threads; 0: one for each core (default)"},
    {"dtype", "f32|f64", "element type of parameters and data (default: f32)"},
    {"out", "DIR", "the run folder (default: a new one under runs/)"},
    {"checkpoint", "FILE", "start from a checkpoint's variables"},
    {"config", "FILE", "options from a JSON file; the command line wins"},
    {"quiet", NULL, "no progress, only errors"},
    {NULL},
};

const Flag global_flags[] = {
    {"plugin-path", "DIR[:DIR...]", "directories searched for plugins first"},
    {"help", NULL, "what the command does and its options"},
    {"version", NULL, "the version"},
    {NULL},
};

int
usage_error (GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start (args, format);
    text = g_strdup_vprintf (format, args);
    va_end (args);
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "%s; see dlhost --help", text);
    return -1;
}

/* Names. */

static const Flag *
flag_find (const Flag *flags, const char *name)
{
    for (; flags && flags->name; flags++)
        if (strcmp (flags->name, name) == 0)
            return flags;
    return NULL;
}

// --optimizer.lr, or --perturb, which is a kind without a line in the table.
static gboolean
is_part (const char *name)
{
    return strchr (name, '.') || dlh_plugin_kind_from_name (name);
}

static gboolean
unknown_option (const Command *command, const char *name, GError **error)
{
    const Flag *const tables[] = {global_flags, command->flags, command->of_run ? run_flags : NULL};
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    const char *near;

    for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
        for (const Flag *flag = tables[i]; flag && flag->name; flag++)
            g_ptr_array_add (names, (gpointer)flag->name);
    near = dlh_nearest_name (name, (const char *const *)names->pdata, names->len);
    usage_error (error, "unknown option --%s%s%s%s%s%s", name, command == commands[0] ? "" : " of ",
                 command == commands[0] ? "" : command->name, near ? ", did you mean --" : "",
                 near ? near : "", near ? "?" : "");
    return FALSE;
}

// Whether "--NAME" is followed by its value: what is unknown here is refused later.
static gboolean
takes_value (const char *name)
{
    const Flag *flag = flag_find (global_flags, name);

    if (!flag)
        flag = flag_find (run_flags, name);
    for (guint i = 0; !flag && commands[i]; i++)
        flag = flag_find (commands[i]->flags, name);
    return flag ? flag->value != NULL : is_part (name);
}

static gboolean
is_option (const char *argument)
{
    return g_str_has_prefix (argument, "--") || strcmp (argument, "-h") == 0;
}

// The first argument that is neither an option nor an option's value names the command.
static int
command_position (int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++) {
        if (!is_option (argv[i]))
            return i;
        if (!strchr (argv[i], '=') && takes_value (argv[i] + 2))
            i++;
    }
    return argc;
}

/* Setting options. */

static gboolean
given_twice (const char *name, GError **error)
{
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s is given twice", name);
    return FALSE;
}

// --optimizer.lr=0.1
static gboolean
set_dotted (Invocation *inv, const char *name, const char *value, GError **error)
{
    const char *dot = strchr (name, '.');
    g_autofree char *kind_name = g_strndup (name, (gsize)(dot - name));
    DlhPluginKind kind = dlh_plugin_kind_from_name (kind_name);

    if (!kind)
        return unknown_option (inv->command, name, error);
    if (g_hash_table_insert (inv->config.parts[kind].settings, g_strdup (dot + 1),
                             g_strdup (value)))
        return TRUE;
    return given_twice (name, error);
}

static gboolean
set_run_option (Invocation *inv, const char *name, const char *value, GError **error)
{
    DlhPluginKind kind = dlh_plugin_kind_from_name (name);
    g_autofree char *dotted = NULL;

    if (strchr (name, '.'))
        return set_dotted (inv, name, value, error);
    if (!g_hash_table_add (inv->given, g_strdup (name)))
        return given_twice (name, error);
    if (kind)
        return config_set_part (&inv->config, kind, value, error);
    if (config_is_common (name))
        return config_set (&inv->config, name, value, error);
    if (strcmp (name, "config") == 0)
        inv->config_file = g_strdup (value);
    else if (strcmp (name, "quiet") == 0)
        inv->config.quiet = TRUE;
    else {
        dotted = g_strdup_printf ("task.%s", name);
        return set_dotted (inv, dotted, value, error);
    }
    return TRUE;
}

static gboolean
set_own_option (Invocation *inv, const Flag *flag, const char *value, GError **error)
{
    GPtrArray *values = g_hash_table_lookup (inv->flags, flag->name);

    if (values && !flag->repeats)
        return given_twice (flag->name, error);
    if (!values) {
        values = g_ptr_array_new_with_free_func (g_free);
        g_hash_table_insert (inv->flags, (gpointer)flag->name, values);
    }
    g_ptr_array_add (values, g_strdup (value ? value : ""));
    return TRUE;
}

static gboolean
set_global_option (Invocation *inv, const char *name, const char *value, GError **error)
{
    if (strcmp (name, "help") == 0)
        inv->help = TRUE;
    else if (strcmp (name, "version") == 0)
        inv->version = TRUE;
    else {
        if (!g_hash_table_add (inv->given, g_strdup (name)))
            return given_twice (name, error);
        inv->config.plugin_path = g_strdup (value);
    }
    return TRUE;
}

static gboolean
set_option (Invocation *inv, const char *name, const char *value, GError **error)
{
    const Flag *global = flag_find (global_flags, name);
    const Flag *own = flag_find (inv->command->flags, name);

    if (global)
        return set_global_option (inv, name, value, error);
    return own ? set_own_option (inv, own, value, error) : set_run_option (inv, name, value, error);
}

// Reads the option at argv[*i]; its value may be the next argument.
static gboolean
read_option (Invocation *inv, int argc, char *const *argv, int *i, GError **error)
{
    const char *equals = strchr (argv[*i], '=');
    g_autofree char *name =
        equals ? g_strndup (argv[*i] + 2, (gsize)(equals - argv[*i] - 2)) : g_strdup (argv[*i] + 2);
    const Flag *flag = flag_find (global_flags, name);
    gboolean valued;

    if (!flag)
        flag = flag_find (inv->command->flags, name);
    if (!flag && inv->command->of_run)
        flag = flag_find (run_flags, name);
    if (!flag && !(inv->command->of_run && is_part (name)))
        return unknown_option (inv->command, name, error);
    valued = !flag || flag->value;
    if (!valued && equals) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s takes no value", name);
        return FALSE;
    }
    if (valued && !equals && *i + 1 >= argc) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "--%s needs a value: --%s=...", name,
                     name);
        return FALSE;
    }
    return set_option (inv, name, equals ? equals + 1 : valued ? argv[++*i] : NULL, error);
}

static gboolean
check_operands (const Invocation *inv, GError **error)
{
    const Command *c = inv->command;
    guint n = inv->operands->len;

    if (inv->help || inv->version || (n >= c->min_operands && n <= c->max_operands))
        return TRUE;
    usage_error (error, "%s takes %s%s, but %u %s given", c->name,
                 *c->operands ? c->operands : "nothing", *c->operands ? "" : " more", n,
                 n == 1 ? "is" : "are");
    return FALSE;
}

gboolean
command_line_parse (Invocation *inv, int argc, char *const *argv, GError **error)
{
    int at = command_position (argc, argv);

    config_init (&inv->config);
    inv->given = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    inv->flags =
        g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
    inv->operands = g_ptr_array_new_with_free_func (g_free);
    inv->named = at < argc;
    inv->command = at < argc ? command_find (argv[at]) : commands[0];
    if (!inv->command) {
        const char *names[64];
        const char *near;
        guint n = 0;

        for (guint i = 0; commands[i] && n < G_N_ELEMENTS (names); i++)
            if (commands[i]->group != GROUP_HIDDEN)
                names[n++] = commands[i]->name;
        near = dlh_nearest_name (argv[at], names, n);
        usage_error (error, "unknown command '%s'%s%s%s", argv[at], near ? ", did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
        return FALSE;
    }
    for (int i = 1; i < argc; i++) {
        if (i == at)
            continue;
        if (strcmp (argv[i], "-h") == 0)
            inv->help = TRUE;
        else if (!is_option (argv[i]))
            g_ptr_array_add (inv->operands, g_strdup (argv[i]));
        else if (!read_option (inv, argc, argv, &i, error))
            return FALSE;
    }
    return check_operands (inv, error);
}

void
invocation_clear (Invocation *inv)
{
    config_clear (&inv->config);
    g_clear_pointer (&inv->given, g_hash_table_unref);
    g_clear_pointer (&inv->flags, g_hash_table_unref);
    g_clear_pointer (&inv->operands, g_ptr_array_unref);
    g_clear_pointer (&inv->registry, dlh_registry_free);
    g_free (inv->config_file);
}

/* What commands ask. */

GPtrArray *
invocation_flag_values (const Invocation *inv, const char *name)
{
    return g_hash_table_lookup (inv->flags, name);
}

const char *
invocation_flag (const Invocation *inv, const char *name)
{
    GPtrArray *values = invocation_flag_values (inv, name);

    return values ? values->pdata[values->len - 1] : NULL;
}

gboolean
invocation_flag_count (const Invocation *inv, const char *name, gint64 min, gint64 max,
                       gint64 preset, gint64 *out, GError **error)
{
    const char *text = invocation_flag (inv, name);

    *out = preset;
    if (!text || g_ascii_string_to_signed (text, 10, min, max, out, NULL))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "--%s: '%s' must be a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                 name, text, min, max);
    return FALSE;
}

// Another plugin than the file's does not inherit its parameters.
static void
complete_part (Part *given, Part *from)
{
    GHashTableIter iter;
    gpointer key, value;

    if (given->name && g_strcmp0 (given->name, from->name) != 0)
        return;
    if (!given->name)
        given->name = g_steal_pointer (&from->name);
    g_hash_table_iter_init (&iter, from->settings);
    while (g_hash_table_iter_next (&iter, &key, &value))
        if (!g_hash_table_contains (given->settings, key))
            g_hash_table_insert (given->settings, g_strdup (key), g_strdup (value));
}

// The task of a run that names none. A sampler whose transitions weigh paths estimates log p (x);
// one that cannot be loaded is an error later.
static const char *
preset_task (Invocation *inv)
{
    const Part *part = &inv->config.parts[DLH_SAMPLER];
    g_autoptr (DlhComponent) sampler = NULL;

    if (!part->name)
        return "train";
    sampler = dlh_registry_load (invocation_registry (inv), DLH_SAMPLER, part->name, part->settings,
                                 NULL);
    return sampler && dlh_sampler_path (sampler) > 0 ? "likelihood" : "sample";
}

gboolean
invocation_complete (Invocation *inv, const char *file, GError **error)
{
    Config *config = &inv->config;
    g_auto (Config) base = {0};

    config_init (&base);
    if (file && !config_read (&base, file, error))
        return FALSE;
    for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
        complete_part (&config->parts[kind], &base.parts[kind]);
    if (!g_hash_table_contains (inv->given, "seed"))
        config->seed = base.seed;
    if (!g_hash_table_contains (inv->given, "threads"))
        config->threads = base.threads;
    if (!g_hash_table_contains (inv->given, "dtype"))
        config->dtype = base.dtype;
    if (!config->checkpoint) {
        config->checkpoint = g_steal_pointer (&base.checkpoint);
        config->named_by = g_steal_pointer (&base.named_by);
    }
    if (!config->parts[DLH_TASK].name)
        config->parts[DLH_TASK].name = g_strdup (preset_task (inv));
    if (!config->parts[DLH_DATASET].name) {
        config->parts[DLH_DATASET].name = g_strdup ("fashion-mnist");
        config->parts[DLH_DATASET].preset =
            g_hash_table_size (config->parts[DLH_DATASET].settings) == 0;
    }
    return TRUE;
}

/* Where plugins are. */

static void
search_dir_clear (gpointer data)
{
    g_free (((SearchDir *)data)->dir);
}

static void
add_dirs (GArray *dirs, const char *path, const char *source)
{
    g_auto (GStrv) parts = g_strsplit (path ? path : "", ":", -1);

    for (guint i = 0; parts[i]; i++) {
        SearchDir entry = {g_strdup (parts[i]), source};

        if (*parts[i])
            g_array_append_val (dirs, entry);
        else
            g_free (entry.dir);
    }
}

// Beside the program, wherever the installation has been moved to; else where it was configured.
static char *
installed_dir (void)
{
    g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
    g_autofree char *bin = program ? g_path_get_dirname (program) : NULL;
    g_autofree char *near =
        bin ? g_build_filename (bin, DLHOST_PLUGIN_DIR_FROM_PROGRAM, NULL) : NULL;

    if (near && *DLHOST_PLUGIN_DIR_FROM_PROGRAM && g_file_test (near, G_FILE_TEST_IS_DIR))
        return g_canonicalize_filename (near, NULL);
    return g_strdup (DLHOST_PLUGIN_DIR);
}

GArray *
search_dirs (const Config *config)
{
    GArray *dirs = g_array_new (FALSE, FALSE, sizeof (SearchDir));
    g_autofree char *user = g_build_filename (g_get_user_data_dir (), "dlhost", "plugins", NULL);
    g_autofree char *installed = installed_dir ();

    g_array_set_clear_func (dirs, search_dir_clear);
    add_dirs (dirs, config->plugin_path, "--plugin-path");
    // Of a privileged process's environment nothing is believed.
    add_dirs (dirs, secure_getenv ("DLHOST_PLUGIN_PATH"), "DLHOST_PLUGIN_PATH");
    add_dirs (dirs, user, "the user's data directory");
    add_dirs (dirs, installed, "the installed directory");
    return dirs;
}

DlhRegistry *
invocation_registry (Invocation *inv)
{
    g_autoptr (GArray) dirs = NULL;
    g_autoptr (GString) path = NULL;

    if (inv->registry)
        return inv->registry;
    dirs = search_dirs (&inv->config);
    path = g_string_new (NULL);
    for (guint i = 0; i < dirs->len; i++)
        g_string_append_printf (path, "%s%s", i ? ":" : "", g_array_index (dirs, SearchDir, i).dir);
    inv->registry = dlh_registry_new (path->str);
    return inv->registry;
}
