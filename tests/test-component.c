/* SPDX-License-Identifier: MIT */
/* Loading: options are filled in first, and code that is not what its note promised is refused. */
#include "fixtures/files.h"
#include "fixtures/fixture.h"

static const FixtureInterface builtin = {sizeof builtin, 3};

DLH_PLUGIN_DEFINE (DLH_OPTIMIZER, builtin, FixtureOptions,
                   DLH_OPTIONS (DLH_DOUBLE (FixtureOptions, lr, 0.5, 0.0, 1.0, "Step size")),
                   .name = "builtin", .version = "1", .summary = "Linked into the program");

/* The descriptor of a plugin in memory with records of other sizes, through the static door. */
static DlhComponent *
load_resized (guint32 manifest_size, guint32 option_size, GError **error)
{
    static const DlhOption option =
        DLH_DOUBLE (FixtureOptions, lr, 0.5, 0.0, 1.0, "Step size", .unit = "s");
    gsize n = manifest_size + option_size;
    g_autofree guint8 *descriptor = g_malloc0 (n);
    DlhManifest manifest = {.size = manifest_size,
                            .option_size = option_size,
                            .n_options = 1,
                            .abi_major = DLH_ABI_MAJOR,
                            .abi_minor = DLH_ABI_MINOR,
                            .kind = DLH_BACKEND,
                            .options_bytes = sizeof (FixtureOptions),
                            .name = "resized",
                            .summary = "text"};
    DlhPlugin plugin = {sizeof plugin, (DlhManifest *)descriptor, &builtin};

    memset (descriptor, 0xee, n);
    memcpy (descriptor, &manifest, MIN (manifest_size, sizeof manifest));
    memcpy (descriptor + manifest_size, &option, MIN (option_size, sizeof option));
    return dlh_component_new_static (&plugin, NULL, error);
}

static void
note_other_sizes (void)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) larger =
        load_resized (sizeof (DlhManifest) + 24, sizeof (DlhOption) + 8, &error);
    g_autoptr (DlhComponent) smaller = NULL, tiny = NULL;

    g_assert_no_error (error);
    g_assert_cmpstr (dlh_component_manifest (larger)->summary, ==, "text");
    g_assert_cmpfloat (((const FixtureOptions *)dlh_component_options (larger))->lr, ==, 0.5);
    smaller = load_resized (offsetof (DlhManifest, summary), offsetof (DlhOption, doc), &error);
    g_assert_no_error (error);
    g_assert_cmpstr (dlh_component_manifest (smaller)->summary, ==, "");
    g_assert_cmpfloat (((const FixtureOptions *)dlh_component_options (smaller))->lr, ==, 0.5);
    tiny = load_resized (40, sizeof (DlhOption), &error);
    g_assert_null (tiny);
    test_assert_error (&error, DLH_ERROR_PLUGIN, "damaged note: a manifest of 40 bytes");
}

static GHashTable *
one_setting (const char *name, const char *value)
{
    GHashTable *settings = g_hash_table_new (g_str_hash, g_str_equal);

    g_hash_table_insert (settings, (gpointer)name, (gpointer)value);
    return settings;
}

static void
load_filled (void)
{
    g_autofree char *path = fixture ("good.so"), *betas = NULL, *lr = NULL, *label = NULL;
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GHashTable) settings = one_setting ("lr", "0.30");
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) c =
        dlh_registry_load (registry, DLH_OPTIMIZER, path, settings, &error);
    const FixtureOptions *o;

    g_assert_no_error (error);
    // The component outlives registry and settings.
    g_clear_pointer (&registry, dlh_registry_free);
    g_clear_pointer (&settings, g_hash_table_unref);
    o = dlh_component_options (c);
    g_assert_cmpint (((const FixtureInterface *)dlh_component_interface (c))->answer, ==, 42);
    g_assert_cmpstr (dlh_component_name (c), ==, "good");
    g_assert_cmpfloat (o->lr, ==, 0.3);
    g_assert_cmpuint (o->betas.n, ==, 3);
    g_assert_cmpstr (o->norm, ==, "l2");
    lr = dlh_component_option_text (c, 0);
    betas = dlh_component_option_text (c, 1);
    label = dlh_component_option_text (c, 5);
    g_assert_cmpstr (lr, ==, "0.3");
    g_assert_cmpstr (betas, ==, "[0,0.9,0.99]");
    g_assert_cmpstr (label, ==, "");
}

static void
load_twice (void)
{
    g_autofree char *path = fixture ("plain.so");
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (DlhComponent) a = dlh_registry_load (registry, 0, path, NULL, NULL);
    g_autoptr (DlhComponent) b = dlh_registry_load (registry, 0, path, NULL, NULL);

    g_assert_nonnull (a);
    g_assert_nonnull (b);
    g_assert_true (dlh_component_manifest (a) == dlh_component_manifest (b));
    g_assert_true (dlh_component_options (a) != dlh_component_options (b));
    dlh_component_unref (dlh_component_ref (a));
}

static void
load_bad_options (void)
{
    g_autofree char *path = fixture ("good.so");
    g_autoptr (DlhRegistry) registry = dlh_registry_new (NULL);
    g_autoptr (GHashTable) settings = one_setting ("bettas", "1");
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_registry_load (registry, 0, path, settings, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "good: no option 'bettas'; did you mean 'betas'?");
}

static void
load_static (void)
{
    g_autoptr (GHashTable) settings = one_setting ("lr", "0.25"), bad = one_setting ("lr", "2");
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhComponent) c = dlh_component_new_static (&dlhost_plugin, settings, &error);

    g_assert_no_error (error);
    g_assert_cmpfloat (((const FixtureOptions *)dlh_component_options (c))->lr, ==, 0.25);
    // Smaller than the kind's struct, so a copy.
    g_assert_cmpint (((const FixtureInterface *)dlh_component_interface (c))->answer, ==,
                     builtin.answer);
    g_assert_null (dlh_component_new_static (&dlhost_plugin, bad, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "builtin: 'lr' is 2, must be in [0, 1]");
}

/* Sizes that no plugin can mean. */
static void
load_static_broken (void)
{
    const struct {
        gsize plugin, interface;
        const char *message;
    } broken[] = {
        {8, sizeof (FixtureInterface), "its struct is of an impossible size"},
        {1 << 20, sizeof (FixtureInterface), "its struct is of an impossible size"},
        {sizeof (DlhPlugin), 1 << 20, "is not the interface's size"},
        {sizeof (DlhPlugin), sizeof (gsize), "is not the interface's size"},
    };

    for (guint i = 0; i < G_N_ELEMENTS (broken); i++) {
        const FixtureInterface interface = {broken[i].interface, 1};
        const DlhPlugin plugin = {broken[i].plugin, dlhost_plugin.manifest, &interface};
        g_autoptr (GError) error = NULL;

        g_assert_null (dlh_component_new_static (&plugin, NULL, &error));
        test_assert_error (&error, DLH_ERROR_PLUGIN, broken[i].message);
    }
}

/* An optimizer that is too short to have its function. */
static void
load_static_short (void)
{
    const struct {
        gsize size;
        gpointer more;
    } interface = {12, NULL};
    const DlhPlugin plugin = {sizeof plugin, dlhost_plugin.manifest, &interface};
    g_autoptr (GError) error = NULL;

    g_assert_null (dlh_component_new_static (&plugin, NULL, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "its interface has no function 'build'");
}

typedef struct {
    const char *file, *message;
} Broken;

static const Broken brokens[] = {
    {"no_symbol", "has no symbol 'dlhost_plugin'; define it with DLH_PLUGIN_DEFINE"},
    {"liar", "symbol 'dlhost_plugin' is broken: it does not match the note in its file"},
    {"no_interface", "symbol 'dlhost_plugin' is broken: it has no interface"},
    {"no_interface_size", "the first member of its interface is not the interface's size"},
    {"no_size", "symbol 'dlhost_plugin' is broken: its struct is of an impossible size"},
    {"unresolved", "cannot be loaded: undefined symbol: dlh_of_another_version; it is built for "
                   "another version of dlhost"},
    {"unresolved_other", "cannot be loaded: undefined symbol: fixture_is_gone; a library that it "
                         "needs is missing or of another version"},
    {"needs_library", "cannot be loaded: libfixture-gone.so: cannot open shared object file: No "
                      "such file or directory; install the library that it needs"},
};

static void
load_broken (gconstpointer data)
{
    const Broken *b = data;
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *file = g_strconcat (b->file, ".so", NULL);
    g_autofree char *begin = g_strconcat (dir, "/", file, ": ", NULL);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autoptr (GError) error = NULL;

    copy_fixture (file, dir, file);
    g_assert_nonnull (dlh_registry_find (registry, 0, b->file, &error));
    g_assert_no_error (error);
    g_assert_null (dlh_registry_load (registry, 0, b->file, NULL, &error));
    g_assert_true (error && g_str_has_prefix (error->message, begin));
    test_assert_error (&error, DLH_ERROR_PLUGIN, b->message);
}

/* Listing, describing and a wrong option run no code; loading does, which shows that the fixture's
 * trace works. */
static void
discovery_runs_nothing (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *trace = g_build_filename (dir, "trace", NULL);
    g_autoptr (DlhRegistry) registry = dlh_registry_new (dir);
    g_autoptr (GHashTable) settings = one_setting ("x", "1");
    g_autoptr (GPtrArray) list = NULL;
    g_autoptr (DlhComponent) component = NULL;

    copy_fixture ("trace.so", dir, "trace.so");
    g_assert_true (g_setenv ("DLHOST_TEST_TRACE", trace, TRUE));
    list = dlh_registry_list (registry, 0);
    g_assert_cmpuint (list->len, ==, 1);
    g_assert_nonnull (dlh_registry_find (registry, DLH_TASK, "trace", NULL));
    g_assert_null (dlh_registry_load (registry, DLH_TASK, "trace", settings, NULL));
    g_assert_false (g_file_test (trace, G_FILE_TEST_EXISTS));
    component = dlh_registry_load (registry, DLH_TASK, "trace", NULL, NULL);
    g_assert_nonnull (component);
    g_assert_true (g_file_test (trace, G_FILE_TEST_EXISTS));
    g_unsetenv ("DLHOST_TEST_TRACE");
}

/* Whether options go together is asked when they are known, of plugins in files and in memory. */

static gboolean
never_build (DlhUpdate *update, gconstpointer options, GError **error)
{
    (void)update, (void)options, (void)error;
    return TRUE;
}

static gboolean
check_rate (gconstpointer options, GError **error)
{
    const FixtureOptions *opt = options;

    if (opt->lr == 0.25)
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "0.25 does not go");
    return opt->lr == 0.5;
}

static void
options_are_checked (void)
{
    static const DlhOptimizer picky = {
        .size = sizeof picky, .build = never_build, .check = check_rate};
    const DlhPlugin plugin = {sizeof plugin, dlhost_plugin.manifest, &picky};
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (GHashTable) quarter = one_setting ("lr", "0.25"), other = one_setting ("lr", "0.75");
    g_autoptr (GHashTable) nesterov = one_setting ("nesterov", "true");
    g_autoptr (DlhComponent) well = NULL;
    g_autoptr (GError) error = NULL;

    well = dlh_component_new_static (&plugin, NULL, &error);
    g_assert_no_error (error);
    g_assert_nonnull (well);
    g_assert_null (dlh_component_new_static (&plugin, quarter, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "builtin: 0.25 does not go");
    g_assert_null (dlh_component_new_static (&plugin, other, &error));
    test_assert_error (&error, DLH_ERROR_PLUGIN, "failed without setting the error");
    g_hash_table_insert (nesterov, (gpointer) "momentum", (gpointer) "0");
    g_assert_null (dlh_registry_load (registry, DLH_OPTIMIZER, "sgd", nesterov, &error));
    test_assert_error (&error, DLH_ERROR_OPTION, "sgd: 'nesterov' needs a momentum above 0");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/component/options/checked", options_are_checked);
    g_test_add_func ("/component/options/filled", load_filled);
    g_test_add_func ("/component/options/bad", load_bad_options);
    g_test_add_func ("/component/load/twice", load_twice);
    g_test_add_func ("/component/load/runs-nothing-before", discovery_runs_nothing);
    g_test_add_func ("/component/static/filled", load_static);
    g_test_add_func ("/component/static/impossible-sizes", load_static_broken);
    g_test_add_func ("/component/static/short-interface", load_static_short);
    g_test_add_func ("/component/static/other-sizes", note_other_sizes);
    for (guint i = 0; i < G_N_ELEMENTS (brokens); i++) {
        g_autofree char *path = g_strdup_printf ("/component/%s/refused", brokens[i].file);

        g_test_add_data_func (path, &brokens[i], load_broken);
    }
    return g_test_run ();
}
