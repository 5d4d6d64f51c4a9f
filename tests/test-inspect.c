/* SPDX-License-Identifier: MIT */
/* What list and inspect print, to the letter: the fixtures never change. */
#include "test.h"

#include <json-glib/json-glib.h>

#include "../tools/host/inspect.c"
#include "../tools/host/jsonout.c"
#include "../tools/host/text.c"

static DlhRegistry *
registry_of_two (const char *dir)
{
    static const char *const names[] = {"good.so", "plain.so"};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
        g_autofree char *from =
            g_build_filename (g_getenv ("DLHOST_TEST_FIXTURES"), names[i], NULL);
        g_autofree char *bytes = NULL, *path = NULL;
        gsize n;

        g_assert_true (g_file_get_contents (from, &bytes, &n, NULL));
        path = test_write_file (dir, names[i], bytes, (gssize)n);
        g_assert_nonnull (path);
    }
    return dlh_registry_new (dir);
}

static void
list_grouped (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autofree char *all = inspect_list_text (registry, 0, INSPECT_TEXT, 80);
    g_autofree char *models = inspect_list_text (registry, DLH_MODEL, INSPECT_TEXT, 80);
    g_autofree char *tasks = inspect_list_text (registry, DLH_TASK, INSPECT_TEXT, 80);

    g_assert_cmpstr (all, ==,
                     "optimizer\n"
                     "  good   Does nothing, properly\n"
                     "\n"
                     "model\n"
                     "  plain  Has no options\n");
    g_assert_cmpstr (models, ==, "model\n  plain  Has no options\n");
    g_assert_cmpstr (tasks, ==, "no task found\n");
}

static void
list_refused (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = test_write_file (dir, "a.so", "text", -1);
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autofree char *text = inspect_rejects_text (registry);
    g_autofree char *want =
        g_strdup_printf ("refused: %s is a text file, not a shared object\n", path);

    g_assert_cmpstr (text, ==, want);
}

static void
inspect_table (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autoptr (GError) error = NULL;
    g_autofree char *text = inspect_plugin_text (registry, "good", INSPECT_TEXT, 80, &error);
    g_autofree char *want = g_strdup_printf (
        "good 1.2, optimizer\n"
        "  Does nothing, properly\n"
        "\n"
        "  file       %s/good.so\n"
        "  licence    MIT\n"
        "  paper      arXiv:0000.00000, https://arxiv.org/abs/0000.00000\n"
        "  interface  1.0\n"
        "\n"
        "parameters\n"
        "  name      type      default       range      unit  meaning\n"
        "  lr        number    0.1           (0, 100]   1/s   Step size\n"
        "  betas     numbers   [0,0.9,0.99]  [0, 1)           One velocity each\n"
        "  sizes     integers  []            [1, 4096]        Hidden layers\n"
        "  steps     integer   10            [1, inf)         Steps between updates\n"
        "  nesterov  bool      false                          Look ahead\n"
        "  label     text      ''                             Text in the log\n"
        "  norm      choice    l2            l1|l2|max        Norm of the gradient\n"
        "\n"
        "set them as --optimizer=good,lr=0.1 or --optimizer.lr=0.1; an end of a range is\n"
        "included at [ and ], excluded at ( and )\n",
        dir);

    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, want);
}

static void
inspect_narrow (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autofree char *text = inspect_plugin_text (registry, "good", INSPECT_TEXT, 50, NULL);
    const char *found = strstr (text, "parameters\n  name");

    g_assert_nonnull (found);
    g_assert_true (g_str_has_prefix (found, "parameters\n"
                                            "  name      default       meaning\n"
                                            "  lr        0.1           Step size\n"
                                            "                          number in (0, 100];\n"
                                            "                          unit: 1/s\n"
                                            "  betas     [0,0.9,0.99]  One velocity each\n"
                                            "                          numbers, each in [0, 1)\n"));
    g_assert_nonnull (strstr (found, "one of l1, l2, max\n"));
}

static void
list_long_and_json (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_autofree char *text = inspect_list_text (registry, DLH_OPTIMIZER, INSPECT_LONG, 80);
    g_autofree char *json = inspect_list_text (registry, 0, INSPECT_JSON, 80);
    g_autofree char *want = g_strdup_printf ("optimizer\n"
                                             "  good 1.2, 7 parameters, MIT, arXiv:0000.00000\n"
                                             "      Does nothing, properly\n"
                                             "      %s/good.so\n",
                                             dir);
    JsonArray *plugins;

    g_assert_cmpstr (text, ==, want);
    g_assert_true (json_parser_load_from_data (parser, json, -1, NULL));
    plugins = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)),
                                            "plugins");
    g_assert_cmpuint (json_array_get_length (plugins), ==, 2);
}

// Every byte that JSON must not hold as it is, a number that json-glib would spoil, no infinity.
static void
json_hard_values (void)
{
    g_auto (JsonOut) out = {0};
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_autofree char *text = NULL;
    JsonObject *root;

    json_out_init (&out);
    json_out_string (&out, "a\"\n", "\x01\x7f\\ \xff");
    json_out_array (&out, "empty");
    json_out_end_array (&out);
    json_out_number (&out, "small", 1e-8);
    json_out_number (&out, "third", 1.0 / 3);
    json_out_number (&out, "none", INFINITY);
    json_out_count (&out, "least", G_MININT64);
    text = json_out_finish (&out);
    g_assert_true (json_parser_load_from_data (parser, text, -1, NULL));
    root = json_node_get_object (json_parser_get_root (parser));
    g_assert_cmpstr (json_object_get_string_member (root, "a\"\n"), ==, "\x01\x7f\\ \xef\xbf\xbd");
    g_assert_cmpfloat (json_object_get_double_member (root, "small"), ==, 1e-8);
    g_assert_cmpfloat (json_object_get_double_member (root, "third"), ==, 1.0 / 3);
    g_assert_true (json_object_get_null_member (root, "none"));
    g_assert_cmpint (json_object_get_int_member (root, "least"), ==, G_MININT64);
}

static void
text_units (void)
{
    static const struct {
        double value;
        const char *bytes, *seconds;
    } cases[] = {
        {0, "0 B", "0 ns"},
        {999, "999 B", "999 s"},
        {999.9e-6, "0 B", "1.00 ms"},
        {1e3, "1.00 kB", "1000 s"},
        {999960, "1.00 MB", "999960 s"},
        {12.345e6, "12.3 MB", "12345000 s"},
        {2e-9, "0 B", "2 ns"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *bytes = text_bytes (cases[i].value);
        g_autofree char *seconds = text_seconds (cases[i].value);

        g_assert_cmpstr (bytes, ==, cases[i].bytes);
        g_assert_cmpstr (seconds, ==, cases[i].seconds);
    }
}

static void
inspect_no_parameters (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autofree char *text = inspect_plugin_text (registry, "plain", INSPECT_TEXT, 80, NULL);

    g_assert_true (text && g_str_has_suffix (text, "\nno parameters\n"));
}

static void
inspect_json_parses (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_autofree char *text = inspect_plugin_text (registry, "good", INSPECT_JSON, 80, NULL);
    JsonObject *root, *lr, *steps, *norm;
    JsonArray *parameters;

    g_assert_true (text && json_parser_load_from_data (parser, text, -1, NULL));
    root = json_node_get_object (json_parser_get_root (parser));
    parameters = json_object_get_array_member (root, "parameters");
    g_assert_cmpstr (json_object_get_string_member (root, "kind"), ==, "optimizer");
    g_assert_cmpuint (json_array_get_length (parameters), ==, 7);
    lr = json_array_get_object_element (parameters, 0);
    g_assert_cmpfloat (json_object_get_double_member (lr, "max"), ==, 100);
    g_assert_true (json_object_get_boolean_member (lr, "min_open"));
    g_assert_false (json_object_get_boolean_member (lr, "max_open"));
    steps = json_array_get_object_element (parameters, 3);
    g_assert_true (json_object_get_null_member (steps, "max"));
    norm = json_array_get_object_element (parameters, 6);
    g_assert_cmpuint (json_array_get_length (json_object_get_array_member (norm, "choices")), ==,
                      3);
    g_assert_false (json_object_has_member (norm, "min"));
}

static void
inspect_missing (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhRegistry) registry = registry_of_two (dir);
    g_autoptr (GError) error = NULL;

    g_assert_null (inspect_plugin_text (registry, "goof", INSPECT_TEXT, 80, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "no plugin 'goof'; did you mean 'good'?");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/cli-list/two-kinds/grouped", list_grouped);
    g_test_add_func ("/cli-list/refused/with-reason", list_refused);
    g_test_add_func ("/inspect/options/table", inspect_table);
    g_test_add_func ("/inspect/no-options/said", inspect_no_parameters);
    g_test_add_func ("/inspect/json/parses", inspect_json_parses);
    g_test_add_func ("/inspect/missing/nearest-name", inspect_missing);
    g_test_add_func ("/inspect/narrow/details-below", inspect_narrow);
    g_test_add_func ("/cli-list/long-and-json/complete", list_long_and_json);
    g_test_add_func ("/jsonout/hard-values/parse", json_hard_values);
    g_test_add_func ("/text/units/three-digits", text_units);
    return g_test_run ();
}
