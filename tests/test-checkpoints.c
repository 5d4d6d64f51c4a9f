/* SPDX-License-Identifier: MIT */
/* The checkpoints of a run folder: which is the newest, which are removed, what is passed over. The
 * folder may hold names that only resemble them. */
#include "test.h"

#include <unistd.h>

#include <glib/gstdio.h>

#include "../tools/host/checkpoints.h"

/* A store with one number. */
static DlhStore *
store_of (double value)
{
    DlhStore *store = dlh_store_new (1, DLH_F32);
    g_autoptr (GError) error = NULL;

    dlh_store_variable (store, "x", DLH_F64, dlh_shape (), (DlhInit){DLH_INIT_CONSTANT, value, 0},
                        &error);
    g_assert_no_error (error);
    return store;
}

static GHashTable *
new_metadata (const char *plugins)
{
    GHashTable *table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);

    if (plugins)
        g_hash_table_insert (table, (gpointer) "plugins", g_strdup (plugins));
    return table;
}

static void
write_step (const char *dir, gint64 step, guint keep)
{
    g_autoptr (DlhStore) store = store_of ((double)step);
    g_autoptr (GError) error = NULL;

    g_assert_true (checkpoint_write (dir, store, step, keep, NULL, &error));
    g_assert_no_error (error);
}

static gboolean
has (const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename (dir, name, NULL);

    return g_file_test (path, G_FILE_TEST_EXISTS);
}

static void
newest_by_number (void)
{
    static const char *const strangers[] = {
        "checkpoint-.safetensors",
        "checkpoint-007.safetensors",
        "checkpoint-+8.safetensors",
        "checkpoint-9223372036854775808.safetensors",
        "checkpoint-99",
        "checkpoint-best.safetensors",
        "mycheckpoint-99",
        "checkpoint",
    };
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *none = g_build_filename (dir, "none", NULL), *latest = NULL;
    g_autoptr (GError) error = NULL;
    gint64 step = -1;

    g_assert_null (checkpoint_latest (none, &step, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "none: no checkpoint-<step>.safetensors in this");
    for (guint i = 0; i < G_N_ELEMENTS (strangers); i++)
        g_free (test_write_file (dir, strangers[i], "x", 1));
    g_assert_null (checkpoint_latest (dir, &step, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "no checkpoint-<step>.safetensors in this folder");
    write_step (dir, 0, 0);
    write_step (dir, 10, 0);
    write_step (dir, 9, 0);
    latest = checkpoint_latest (dir, &step, &error);
    g_assert_cmpint (step, ==, 10);
    g_assert_true (g_str_has_suffix (latest, "/checkpoint-10.safetensors"));
    for (guint i = 0; i < G_N_ELEMENTS (strangers); i++)
        g_assert_true (has (dir, strangers[i]));
}

/* Later ones, of a run that was set back, are kept, and so is what is no regular file. */
static void
older_removed (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *link = g_build_filename (dir, "checkpoint-1.safetensors", NULL);
    g_autofree char *folder = g_build_filename (dir, "checkpoint-2.safetensors", NULL);

    g_assert_cmpint (symlink ("gone", link), ==, 0);
    g_assert_cmpint (g_mkdir (folder, 0755), ==, 0);
    for (gint64 step = 3; step <= 6; step++)
        write_step (dir, step, 0);
    write_step (dir, 20, 0);
    write_step (dir, 7, 2);
    g_assert_true (has (dir, "checkpoint-20.safetensors"));
    g_assert_true (has (dir, "checkpoint-7.safetensors"));
    g_assert_true (has (dir, "checkpoint-6.safetensors"));
    for (guint step = 3; step <= 5; step++) {
        g_autofree char *name = g_strdup_printf ("checkpoint-%u.safetensors", step);

        g_assert_false (has (dir, name));
    }
    g_assert_true (g_file_test (link, G_FILE_TEST_IS_SYMLINK));
    g_assert_true (g_file_test (folder, G_FILE_TEST_IS_DIR));
}

static double
value_of (DlhStore *store)
{
    g_autoptr (GError) error = NULL;
    DlhVariable *x = dlh_store_variable (store, "x", DLH_F64, dlh_shape (),
                                         (DlhInit){.kind = DLH_INIT_ZEROS}, &error);

    g_assert_no_error (error);
    return *(const double *)dlh_tensor_get_data (dlh_variable_tensor (x));
}

/* Damaged ones are told of and passed over, but for the last; what cannot be read ends it. */
static void
damaged_passed_over (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (GHashTable) metadata = NULL;
    g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GError) error = NULL;
    gint64 step = -1;

    g_assert_false (checkpoint_load_latest (dir, store, &step, &metadata, notes, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "in this folder: nothing to resume from");
    write_step (dir, 5, 0);
    g_free (test_write_file (dir, "checkpoint-6.safetensors", "x", 1));
    g_free (test_write_file (dir, "checkpoint-7.safetensors", "", 0));
    g_assert_true (checkpoint_load_latest (dir, store, &step, &metadata, notes, &error));
    g_assert_no_error (error);
    g_assert_cmpint (step, ==, 5);
    g_assert_cmpfloat (value_of (store), ==, 5);
    g_assert_cmpuint (notes->len, ==, 2);
    g_assert_nonnull (strstr (notes->pdata[0], "checkpoint-7.safetensors: "));
    g_assert_nonnull (strstr (notes->pdata[1], "; going on from the checkpoint before it"));

    g_free (test_write_file (dir, "checkpoint-5.safetensors", "x", 1));
    g_assert_false (checkpoint_load_latest (dir, store, &step, &metadata, notes, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "checkpoint-5.safetensors: ");
}

/* A checkpoint of another model is whole: no older one takes its place. */
static void
other_shape_refused (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GHashTable) metadata = NULL;
    g_autoptr (GError) error = NULL;
    gint64 step;

    write_step (dir, 1, 0);
    write_step (dir, 2, 0);
    dlh_store_variable (store, "x", DLH_F64, dlh_shape (3), (DlhInit){.kind = DLH_INIT_ZEROS},
                        &error);
    g_assert_no_error (error);
    g_assert_false (checkpoint_load_latest (dir, store, &step, &metadata, notes, &error));
    g_assert_nonnull (error);
    g_assert_false (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    g_assert_cmpuint (notes->len, ==, 0);
}

static void
best_says_step (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "checkpoint-best.safetensors", NULL);
    g_autofree char *none = g_build_filename (dir, "none", NULL);
    g_autoptr (DlhStore) store = store_of (2), loaded = dlh_store_new (1, DLH_F32);
    g_autoptr (GHashTable) metadata = new_metadata (NULL), got = NULL;
    g_autoptr (GError) error = NULL;

    g_assert_true (checkpoint_write_best (dir, store, 12, metadata, &error));
    g_assert_true (dlh_store_load (loaded, path, &got, &error));
    g_assert_no_error (error);
    g_assert_cmpstr (g_hash_table_lookup (got, "step"), ==, "12");
    g_assert_false (g_hash_table_contains (metadata, "step"));
    g_assert_false (checkpoint_write_best (none, store, 12, metadata, &error));
    test_assert_error (&error, DLH_ERROR_IO, "none/checkpoint-best.safetensors");
    g_assert_false (checkpoint_write (none, store, 12, 1, metadata, &error));
    test_assert_error (&error, DLH_ERROR_IO, "none/checkpoint-12.safetensors");
}

static void
plugins_compared (void)
{
    DlhComponent *components[DLH_LAST_KIND + 1] = {NULL};
    g_autoptr (GHashTable) origin = checkpoint_origin (components);
    g_autoptr (GHashTable) silent = new_metadata (NULL), same = new_metadata (""),
                           other = new_metadata ("optimizer sgd 2.0");
    g_autofree char *difference = NULL;

    g_assert_cmpstr (g_hash_table_lookup (origin, "dlhost"), ==, DLH_VERSION);
    g_assert_cmpstr (g_hash_table_lookup (origin, "cpu"), ==, dlh_cpu_level ());
    g_assert_null (checkpoint_plugins_difference (origin, silent));
    g_assert_null (checkpoint_plugins_difference (origin, same));
    difference = checkpoint_plugins_difference (origin, other);
    g_assert_nonnull (strstr (difference, "is of 'optimizer sgd 2.0', the plugins are ''"));
}

/* What a killed writer left goes, whatever resembles it stays. */
static void
leftovers_removed (void)
{
    static const char *const leftovers[] = {".checkpoint-12.safetensors.0123abcd",
                                            ".checkpoint-best.safetensors.ffffffff",
                                            ".config.json.00000000", ".metrics.jsonl.deadbeef"};
    static const char *const strangers[] = {".checkpoint-12.safetensors", "config.json.00000000",
                                            ".config.json.0000000", ".config.json.000000000",
                                            ".notes.json.00000000"};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *none = g_build_filename (dir, "none", NULL);

    for (guint i = 0; i < G_N_ELEMENTS (leftovers); i++)
        g_free (test_write_file (dir, leftovers[i], "x", 1));
    for (guint i = 0; i < G_N_ELEMENTS (strangers); i++)
        g_free (test_write_file (dir, strangers[i], "x", 1));
    checkpoint_remove_leftovers (none);
    checkpoint_remove_leftovers (dir);
    for (guint i = 0; i < G_N_ELEMENTS (leftovers); i++)
        g_assert_false (has (dir, leftovers[i]));
    for (guint i = 0; i < G_N_ELEMENTS (strangers); i++)
        g_assert_true (has (dir, strangers[i]));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/checkpoints/newest/by-number", newest_by_number);
    g_test_add_func ("/checkpoints/keep/older-removed", older_removed);
    g_test_add_func ("/checkpoints/damaged/passed-over", damaged_passed_over);
    g_test_add_func ("/checkpoints/other-shape/refused", other_shape_refused);
    g_test_add_func ("/checkpoints/best/says-its-step", best_says_step);
    g_test_add_func ("/checkpoints/plugins/compared", plugins_compared);
    g_test_add_func ("/checkpoints/leftovers/removed", leftovers_removed);
    return g_test_run ();
}
