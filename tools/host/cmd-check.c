/* SPDX-License-Identifier: MIT */
/* dlhost check: the conformance suite for plugins. */
#include <stdio.h>
#include <string.h>
#include <json-glib/json-glib.h>
#include "check/check.h"
#include "check/preload.h"
#include "command.h"

#define SECONDS 10
#define SECONDS_LONG 120

static void
result_free (gpointer data)
{
    CheckResult *r = data;

    g_free (r->name);
    g_free (r->text);
    g_free (r);
}

static void
count (const Check *c, guint n[CHECK_SKIP + 1])
{
    for (guint i = 0; i < c->results->len; i++) {
        const CheckResult *r = c->results->pdata[i];

        n[r->status] += r->shown != 0;
    }
}

static void
print_json (const Check *c)
{
    static const char *const words[] = {
        [CHECK_OK] = "ok", [CHECK_FAIL] = "fail", [CHECK_SKIP] = "skip"};
    g_autoptr (JsonBuilder) b = json_builder_new ();
    g_autoptr (JsonNode) root = NULL;
    g_autofree char *text = NULL;
    guint n[CHECK_SKIP + 1] = {0};

    count (c, n);
    json_builder_begin_object (b);
    json_builder_set_member_name (b, "file");
    json_builder_add_string_value (b, c->path);
    json_builder_set_member_name (b, "checks");
    json_builder_begin_array (b);
    for (guint i = 0; i < c->results->len; i++) {
        const CheckResult *r = c->results->pdata[i];

        if (!r->shown)
            continue;
        json_builder_begin_object (b);
        json_builder_set_member_name (b, "name");
        json_builder_add_string_value (b, r->name);
        json_builder_set_member_name (b, "status");
        json_builder_add_string_value (b, words[r->status]);
        json_builder_set_member_name (b, "detail");
        json_builder_add_string_value (b, r->text);
        json_builder_end_object (b);
    }
    json_builder_end_array (b);
    for (guint s = CHECK_OK; s <= CHECK_SKIP; s++) {
        static const char *const names[] = {
            [CHECK_OK] = "passed", [CHECK_FAIL] = "failed", [CHECK_SKIP] = "skipped"};

        json_builder_set_member_name (b, names[s]);
        json_builder_add_int_value (b, n[s]);
    }
    json_builder_end_object (b);
    root = json_builder_get_root (b);
    text = json_to_string (root, TRUE);
    puts (text);
}

static void
print_totals (const Check *c)
{
    guint n[CHECK_SKIP + 1] = {0};

    count (c, n);
    printf ("%u passed, %u failed, %u skipped\n", n[CHECK_OK], n[CHECK_FAIL], n[CHECK_SKIP]);
}

// A name is one on the search path only where there is no such file.
static char *
file_of (Invocation *inv, const char *name, GError **error)
{
    const DlhPluginInfo *info;

    if (strchr (name, '/') || g_file_test (name, G_FILE_TEST_EXISTS))
        return g_canonicalize_filename (name, NULL);
    info = dlh_registry_find (invocation_registry (inv), 0, name, error);
    return info ? g_strdup (info->path) : NULL;
}

static int
run_check (Invocation *inv, GError **error)
{
    Config config = {0};
    gboolean json = invocation_flag (inv, "json") != NULL;
    gboolean thorough = invocation_flag (inv, "long") != NULL;
    g_autofree char *path = NULL;
    gint64 seconds;
    int code;
    Check c = {
        .thorough = thorough, .quiet = json, .only = invocation_flag (inv, "only"), .channel = -1};

    if (!invocation_flag_count (inv, "timeout", 1, 86400, thorough ? SECONDS_LONG : SECONDS,
                                &seconds, error))
        return -1;
    config_init (&config);
    // Any kind's part would do: what is wanted is the file and its settings.
    if (!config_set_part (&config, DLH_MODEL, inv->operands->pdata[0], error) ||
        !(path = file_of (inv, config.parts[DLH_MODEL].name, error))) {
        config_clear (&config);
        return -1;
    }
    preload_hook ();
    c.path = path;
    c.seconds = (guint)seconds;
    c.settings = config.parts[DLH_MODEL].settings;
    c.registry = invocation_registry (inv); // a task may load others
    c.results = g_ptr_array_new_with_free_func (result_free);
    c.by_name = g_hash_table_new (g_str_hash, g_str_equal);
    c.found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    code = check_plugin (&c, error);
    if (c.results->len) {
        if (json)
            print_json (&c);
        else
            print_totals (&c);
    }
    g_hash_table_unref (c.found);
    g_hash_table_unref (c.by_name);
    g_ptr_array_unref (c.results);
    g_free (c.current);
    g_free (c.scratch);
    config_clear (&config);
    return code;
}

static const Flag flags[] = {
    {"json", NULL, "the outcomes as JSON", FALSE},
    {"long", NULL, "more steps, every problem, more elements of gradients"},
    {"only", "GLOB", "only the checks whose name matches, such as 'gradient/*'"},
    {"timeout", "SECONDS", "time that a check may take (10; 120 with --long)"},
    {NULL},
};

const Command command_check = {
    .name = "check",
    .operands = "FILE.so[,NAME=VALUE...]",
    .summary = "checks a plugin against the rules of its kind",
    .details =
        "Runs the plugin in child processes and prints a line for each check: ok, FAIL with what "
        "was seen, what was expected and what to do, or skip with the reason. Ends with 0 "
        "when nothing failed, 1 when a check failed, 3 when the file is not a plugin. What is "
        "checked and why is in docs/checking-a-plugin.md.",
    .min_operands = 1,
    .max_operands = 1,
    .flags = flags,
    .run = run_check,
    .group = GROUP_PLUGINS,
    .examples = "dlhost check ./myopt.so\n"
                "dlhost check ./mydata.so,dir=/data/mine --long\n",
};
