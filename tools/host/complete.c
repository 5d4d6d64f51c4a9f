/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "command.h"
#include "complete.h"
#include "reproduce/find.h"

typedef struct {
    char *const *words;
    guint n;
    const char *word; /* the one that is completed */
    const Command *command;
    guint position; /* of the command's name; n - 1 or more: not given yet */
    Config config;  /* only the plugin path is used */
    DlhRegistry *registry;
    GPtrArray *found;
} Completion;

// Keeps what the word can become: @prefix and @text, then @end.
static void
offer (Completion *c, const char *prefix, const char *text, const char *end)
{
    g_autofree char *whole = g_strconcat (prefix, text, end, NULL);

    if (g_str_has_prefix (whole, c->word))
        g_ptr_array_add (c->found, g_steal_pointer (&whole));
}

static DlhRegistry *
registry_of (Completion *c)
{
    g_autoptr (GArray) dirs = NULL;
    g_autoptr (GString) path = g_string_new (NULL);

    if (c->registry)
        return c->registry;
    dirs = search_dirs (&c->config);
    for (guint i = 0; i < dirs->len; i++)
        g_string_append_printf (path, "%s%s", i ? ":" : "", g_array_index (dirs, SearchDir, i).dir);
    return c->registry = dlh_registry_new (path->str);
}

/* Files. */

// Files below the directory that @typed names so far; a run's folder ends the word.
static void
offer_files (Completion *c, const char *prefix, const char *typed, gboolean files)
{
    const char *slash = strrchr (typed, '/');
    g_autofree char *shown = slash ? g_strndup (typed, (gsize)(slash - typed + 1)) : g_strdup ("");
    g_autoptr (GDir) dir = g_dir_open (*shown ? shown : ".", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name (dir))) {
        g_autofree char *path = g_strconcat (shown, name, NULL);

        if (*name == '.' && typed[strlen (shown)] != '.')
            continue;
        if (g_file_test (path, G_FILE_TEST_IS_DIR))
            offer (c, prefix, path, "/");
        else if (files)
            offer (c, prefix, path, " ");
    }
}

static void
offer_runs_in (Completion *c, const char *parent)
{
    g_autoptr (GDir) dir = g_dir_open (*parent ? parent : ".", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name (dir))) {
        g_autofree char *path = g_strconcat (parent, name, NULL);
        g_autofree char *config = g_build_filename (path, "config.json", NULL);

        if (g_file_test (config, G_FILE_TEST_EXISTS))
            offer (c, "", path, " ");
    }
}

static void
offer_runs (Completion *c)
{
    const char *slash = strrchr (c->word, '/');
    g_autofree char *parent =
        slash ? g_strndup (c->word, (gsize)(slash - c->word + 1)) : g_strdup ("");

    offer_runs_in (c, parent);
    if (!slash)
        offer_runs_in (c, "runs/");
    if (c->found->len == 0)
        offer_files (c, "", c->word, FALSE);
}

/* Plugins and their parameters. */

static void
offer_plugins (Completion *c, const char *prefix, DlhPluginKind kind, const char *end)
{
    g_autoptr (GPtrArray) list = dlh_registry_list (registry_of (c), kind);

    for (guint i = 0; i < list->len; i++)
        offer (c, prefix, ((const DlhPluginInfo *)list->pdata[i])->manifest->name, end);
}

static void
offer_option_values (Completion *c, const char *prefix, const DlhOption *option)
{
    if (option->type == DLH_OPTION_BOOL) {
        offer (c, prefix, "false", "");
        offer (c, prefix, "true", "");
    } else if (option->type == DLH_OPTION_CHOICE) {
        g_auto (GStrv) choices = g_strsplit (option->choices, "|", -1);

        for (guint i = 0; choices[i]; i++)
            offer (c, prefix, choices[i], "");
    } else {
        gboolean list = option->type == DLH_OPTION_DOUBLES || option->type == DLH_OPTION_INTS;
        gboolean bare = list && option->preset[0] != '[';
        g_autofree char *preset =
            g_strconcat (bare ? "[" : "", option->preset, bare ? "]" : "", NULL);

        offer (c, prefix, preset, "");
    }
}

// @typed is what follows @prefix: "lr" of --optimizer=adam,lr or "lr=" once the name is there.
static void
offer_parameters (Completion *c, const char *prefix, const char *typed, const char *plugin,
                  DlhPluginKind kind)
{
    const DlhPluginInfo *info = dlh_registry_find (registry_of (c), kind, plugin, NULL);
    const char *equals = strchr (typed, '=');

    for (guint i = 0; info && i < info->manifest->n_options; i++) {
        const DlhOption *option = &info->options[i];
        g_autofree char *named = g_strconcat (prefix, option->name, "=", NULL);

        if (!equals)
            offer (c, prefix, option->name, "=");
        else if (g_str_has_prefix (c->word, named))
            offer_option_values (c, named, option);
    }
}

// The last comma outside brackets; NULL: none.
static const char *
last_comma (const char *text)
{
    const char *found = NULL;
    int depth = 0;

    for (const char *p = text; *p; p++) {
        depth += *p == '[' ? 1 : *p == ']' && depth ? -1 : 0;
        if (*p == ',' && !depth)
            found = p;
    }
    return found;
}

// --optimizer=NAME,option=value: @prefix is "--optimizer=" or, for a word of its own, "".
static void
offer_part (Completion *c, const char *prefix, const char *typed, DlhPluginKind kind)
{
    const char *comma = last_comma (typed);
    g_autofree char *name = NULL, *before = NULL;

    if (strchr (typed, '/') && !comma) {
        offer_files (c, prefix, typed, TRUE);
        return;
    }
    if (!comma) {
        offer_plugins (c, prefix, kind, "");
        return;
    }
    name = g_strndup (typed, strcspn (typed, ","));
    before = g_strndup (typed, (gsize)(comma + 1 - typed));
    {
        g_autofree char *all = g_strconcat (prefix, before, NULL);

        offer_parameters (c, all, comma + 1, name, kind);
    }
}

/* (transfer full): the plugin that the words before name for @kind, else the default; NULL. */
static char *
plugin_given (const Completion *c, DlhPluginKind kind)
{
    g_autofree char *option = g_strdup_printf ("--%s", dlh_plugin_kind_name (kind));
    gsize n = strlen (option);

    for (guint i = 0; i + 1 < c->n; i++) {
        const char *value = NULL;

        if (strncmp (c->words[i], option, n) == 0 && c->words[i][n] == '=')
            value = c->words[i] + n + 1;
        else if (strcmp (c->words[i], option) == 0 && i + 2 < c->n)
            value = c->words[i + 1];
        if (value)
            return g_strndup (value, strcspn (value, ","));
    }
    if (kind == DLH_TASK) {
        // With a sampler it depends on what the sampler's code says.
        g_autofree char *sampler = plugin_given (c, DLH_SAMPLER);

        return g_strdup (sampler ? NULL : "train");
    }
    return g_strdup (kind == DLH_DATASET ? "fashion-mnist" : NULL);
}

// --optimizer.lr=0.1
static void
offer_dotted (Completion *c)
{
    const char *dot = strchr (c->word, '.');
    g_autofree char *kind_name = g_strndup (c->word + 2, (gsize)(dot - c->word - 2));
    g_autofree char *prefix = g_strndup (c->word, (gsize)(dot + 1 - c->word));
    DlhPluginKind kind = dlh_plugin_kind_from_name (kind_name);
    g_autofree char *plugin = kind ? plugin_given (c, kind) : NULL;

    if (plugin)
        offer_parameters (c, prefix, dot + 1, plugin, kind);
}

/* Options. */

static const Flag *
find_flag (const Completion *c, const char *name)
{
    const Flag *const tables[] = {c->command->flags, c->command->of_run ? run_flags : NULL,
                                  global_flags};

    for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
        for (const Flag *flag = tables[i]; flag && flag->name; flag++)
            if (strcmp (flag->name, name) == 0)
                return flag;
    return NULL;
}

static void
offer_flag_values (Completion *c, const char *prefix, const char *typed, const Flag *flag)
{
    DlhPluginKind kind = dlh_plugin_kind_from_name (flag->name);

    if (kind && c->command->of_run)
        offer_part (c, prefix, typed, kind);
    else if (strchr (flag->value, '|')) {
        g_auto (GStrv) choices = g_strsplit (flag->value, "|", -1);

        for (guint i = 0; choices[i]; i++)
            offer (c, prefix, choices[i], " ");
    } else if (strncmp (flag->value, "DIR", 3) == 0)
        offer_files (c, prefix, typed, FALSE);
    else if (strcmp (flag->value, "N") != 0)
        offer_files (c, prefix, typed, TRUE);
}

static gboolean
is_given (const Completion *c, const char *name)
{
    gsize n = strlen (name);

    for (guint i = 0; i + 1 < c->n; i++)
        if (strncmp (c->words[i], "--", 2) == 0 && strncmp (c->words[i] + 2, name, n) == 0 &&
            (c->words[i][2 + n] == '=' || !c->words[i][2 + n]))
            return TRUE;
    return FALSE;
}

static void
offer_flags (Completion *c)
{
    const Flag *const tables[] = {c->command->flags, c->command->of_run ? run_flags : NULL,
                                  global_flags};

    for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
        for (const Flag *flag = tables[i]; flag && flag->name; flag++)
            if (flag->repeats || !is_given (c, flag->name))
                offer (c, "--", flag->name, flag->value ? "=" : " ");
}

static void
offer_option (Completion *c)
{
    const char *equals = strchr (c->word, '=');
    g_autofree char *name = NULL, *prefix = NULL;
    const Flag *flag;

    if (strchr (c->word, '.') && (!equals || strchr (c->word, '.') < equals)) {
        if (c->command->of_run)
            offer_dotted (c);
        return;
    }
    if (!equals) {
        offer_flags (c);
        return;
    }
    name = g_strndup (c->word + 2, (gsize)(equals - c->word - 2));
    prefix = g_strndup (c->word, (gsize)(equals + 1 - c->word));
    if ((flag = find_flag (c, name)) && flag->value)
        offer_flag_values (c, prefix, equals + 1, flag);
}

/* Operands and commands. */

static void
offer_commands (Completion *c)
{
    for (guint i = 0; commands[i]; i++)
        if (commands[i]->group != GROUP_HIDDEN)
            offer (c, "", commands[i]->name, " ");
}

static void
offer_recipes (Completion *c)
{
    g_autoptr (GPtrArray) names = recipe_names (&c->config);

    for (guint i = 0; i < names->len; i++)
        offer (c, "", names->pdata[i], " ");
}

/* (transfer full) (nullable): what the operand that is completed is called: "PLUGIN". */
static char *
operand_name (const Completion *c)
{
    g_auto (GStrv) names = g_strsplit (c->command->operands, " ", -1);
    guint at = 0, last = g_strv_length (names);

    for (guint i = c->position + 1; i + 1 < c->n; i++)
        at += c->words[i][0] != '-';
    if (last == 0)
        return NULL;
    if (at >= last && g_str_has_suffix (names[last - 1], "..."))
        at = last - 1;
    return at < last ? g_strdup (g_strdelimit (names[at], "[].", ' ')) : NULL;
}

static void
offer_operands (Completion *c)
{
    g_autofree char *name = operand_name (c);

    if (!name)
        return;
    g_strstrip (name);
    if (strcmp (name, "KIND") == 0)
        for (guint kind = 1; kind <= DLH_LAST_KIND; kind++)
            offer (c, "", dlh_plugin_kind_name (kind), " ");
    else if (strcmp (name, "COMMAND") == 0)
        offer_commands (c);
    else if (strcmp (name, "RUN") == 0)
        offer_runs (c);
    else if (strcmp (name, "SHELL") == 0)
        offer (c, "", "bash", " ");
    else if (strcmp (name, "METHOD") == 0 && !strchr (c->word, '/'))
        offer_recipes (c);
    else if (strcmp (name, "PLUGIN") == 0 && !strchr (c->word, '/'))
        offer_plugins (c, "", 0, " ");
    else if (strcmp (name, "NAME") != 0)
        offer_files (c, "", c->word, TRUE);
}

/* All of it. */

// Finds the command's name and the plugin path among the words before.
static void
read_words (Completion *c)
{
    c->position = c->n;
    c->command = commands[0];
    for (guint i = 0; i + 1 < c->n; i++) {
        const Flag *flag = NULL;

        if (g_str_has_prefix (c->words[i], "--plugin-path=")) {
            g_free (c->config.plugin_path);
            c->config.plugin_path = g_strdup (strchr (c->words[i], '=') + 1);
        }
        if (c->words[i][0] == '-') {
            // The value of "--seed 1" is no command.
            flag = strchr (c->words[i], '=') || strlen (c->words[i]) < 3
                       ? NULL
                       : find_flag (c, c->words[i] + 2);
            i += flag && flag->value;
        } else if (c->position == c->n) {
            c->position = i;
            c->command = command_find (c->words[i]);
            if (!c->command)
                return;
        }
    }
}

static const Flag *
flag_before (const Completion *c)
{
    const char *before = c->n > 1 ? c->words[c->n - 2] : "";
    const Flag *flag = NULL;

    if (strncmp (before, "--", 2) == 0 && !strchr (before, '='))
        flag = find_flag (c, before + 2);
    return flag && flag->value ? flag : NULL;
}

static int
compare_texts (gconstpointer a, gconstpointer b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
complete_words (char *const *words, guint n)
{
    Completion c = {.words = words, .n = n, .word = words[n - 1]};

    c.found = g_ptr_array_new_with_free_func (g_free);
    config_init (&c.config);
    read_words (&c);
    if (!c.command)
        ; // Nothing can follow what is no command.
    else if (flag_before (&c))
        offer_flag_values (&c, "", c.word, flag_before (&c));
    else if (c.word[0] == '-')
        offer_option (&c);
    else if (c.position == n)
        offer_commands (&c);
    else
        offer_operands (&c);
    g_ptr_array_sort (c.found, compare_texts);
    config_clear (&c.config);
    g_clear_pointer (&c.registry, dlh_registry_free);
    return c.found;
}
