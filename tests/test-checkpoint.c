/* SPDX-License-Identifier: MIT */
/* Checkpoints: the store comes back, a file that does not fit changes nothing, and whatever happens
 * while one is written, a whole old or a whole new one is there. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_KILLS 30
#define N_ELEMENTS 40000

static const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};

static void
fill (DlhVariable *variable, double value)
{
    DlhTensor *tensor = dlh_variable_tensor (variable);

    for (gint64 i = 0; i < dlh_tensor_count (tensor); i++)
        dlh_tensor_set (tensor, i, value);
}

/* A store with variables a (f32 [2,3]), b (f64 []), c (i64 [2]) that hold @value. */
static DlhStore *
small_store (double value)
{
    DlhStore *store = dlh_store_new (1, DLH_F32);

    fill (dlh_store_variable (store, "a", DLH_F32, dlh_shape (2, 3), zeros, NULL), value);
    fill (dlh_store_variable (store, "b", DLH_F64, dlh_shape (), zeros, NULL), value);
    fill (dlh_store_variable (store, "c", DLH_I64, dlh_shape (2), zeros, NULL), value);
    return store;
}

static void
assert_filled (DlhStore *store, double value)
{
    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        const DlhVariable *v = dlh_store_get_variable (store, i);
        const DlhTensor *tensor = dlh_variable_tensor (v);

        for (gint64 k = 0; k < dlh_tensor_count (tensor); k++)
            if (dlh_tensor_get (tensor, k) != value)
                test_fail ("%s[%d] is %g, should be %g", dlh_variable_name (v), (int)k,
                           dlh_tensor_get (tensor, k), value);
    }
}

static guint
count_files (const char *dir)
{
    g_autoptr (GDir) d = g_dir_open (dir, 0, NULL);
    guint n = 0;

    while (d && g_dir_read_name (d))
        n++;
    return n;
}

static void
round_trip (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) old = small_store (7), new = small_store (3);
    g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal), back = NULL;
    gconstpointer place = dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (new, "a")));
    g_autoptr (GError) error = NULL;

    g_hash_table_insert (metadata, (gpointer) "step", (gpointer) "12");
    g_assert_true (dlh_store_save (old, path, metadata, &error));
    g_assert_no_error (error);
    g_assert_true (dlh_store_load (new, path, &back, &error));
    g_assert_no_error (error);
    assert_filled (new, 7);
    // Compiled functions hold on to the address.
    g_assert_true (dlh_tensor_get_data (dlh_variable_tensor (dlh_store_lookup (new, "a"))) ==
                   place);
    g_assert_nonnull (back);
    if (back)
        g_assert_cmpstr (g_hash_table_lookup (back, "step"), ==, "12");
    // The checksum is the file's business.
    if (back)
        g_assert_cmpuint (g_hash_table_size (back), ==, 1);
    g_assert_cmpuint (count_files (dir), ==, 1);
}

static void
not_finite (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) old = dlh_store_new (1, DLH_F32), new = dlh_store_new (1, DLH_F32);
    DlhVariable *a = dlh_store_variable (old, "a", DLH_F32, dlh_shape (2), zeros, NULL);
    DlhVariable *b = dlh_store_variable (new, "a", DLH_F32, dlh_shape (2), zeros, NULL);

    dlh_tensor_set (dlh_variable_tensor (a), 0, NAN);
    dlh_tensor_set (dlh_variable_tensor (a), 1, -INFINITY);
    g_assert_true (dlh_store_save (old, path, NULL, NULL));
    g_assert_true (dlh_store_load (new, path, NULL, NULL));
    test_assert_tensors_equal (dlh_variable_tensor (a), dlh_variable_tensor (b));
}

/* A file that does not fit the small store. */
typedef struct {
    const char *name, *variable;
    DlhDType dtype;
    gint64 size; /* of a vector, 0: the file has no such variable */
    const char *message;
} Misfit;

static const Misfit misfits[] = {
    {"shape", "c", DLH_I64, 3, "its 'c' is i64 [3], but i64 [2] is wanted"},
    {"dtype", "c", DLH_F64, 2, "its 'c' is f64 [2], but i64 [2] is wanted"},
    {"missing", "c", DLH_I64, 0, "it has no 'c', which this model or optimizer needs"},
};

static void
misfit_changes_nothing (gconstpointer data)
{
    const Misfit *m = data;
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) file = dlh_store_new (1, DLH_F32), store = small_store (3);
    g_autoptr (GHashTable) metadata = NULL;
    g_autoptr (GError) error = NULL;

    fill (dlh_store_variable (file, "a", DLH_F32, dlh_shape (2, 3), zeros, NULL), 7);
    fill (dlh_store_variable (file, "b", DLH_F64, dlh_shape (), zeros, NULL), 7);
    fill (dlh_store_variable (file, "later", DLH_F32, dlh_shape (1), zeros, NULL), 7);
    if (m->size)
        fill (dlh_store_variable (file, m->variable, m->dtype, dlh_shape (m->size), zeros, NULL),
              7);
    g_assert_true (dlh_store_save (file, path, NULL, NULL));
    g_assert_false (dlh_store_load (store, path, &metadata, &error));
    if (error)
        g_assert_nonnull (strstr (error->message, path));
    test_assert_error (&error, DLH_ERROR_STATE, m->message);
    g_assert_null (metadata);
    assert_filled (store, 3);
    // Nor does anything wait for later.
    fill (dlh_store_variable (store, "later", DLH_F32, dlh_shape (1),
                              (DlhInit){DLH_INIT_CONSTANT, 3, 0}, NULL),
          3);
    assert_filled (store, 3);
}

static void
extra_variables (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) file = small_store (7), store = dlh_store_new (1, DLH_F32);
    g_autoptr (GError) error = NULL;

    g_assert_true (dlh_store_save (file, path, NULL, NULL));
    dlh_store_variable (store, "b", DLH_F64, dlh_shape (), zeros, NULL);
    g_assert_true (dlh_store_load (store, path, NULL, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (dlh_store_n_variables (store), ==, 1);
    assert_filled (store, 7);
    dlh_store_variable (store, "c", DLH_I64, dlh_shape (2), zeros, NULL);
    assert_filled (store, 7);
}

static void
overwrite (const char *path, gsize at, char byte)
{
    int fd = open (path, O_WRONLY);

    g_assert_true (pwrite (fd, &byte, 1, (off_t)at) == 1);
    close (fd);
}

// A flipped bit of the data is always seen. One of the header is seen, or leaves the values alone.
static void
flipped_bits (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL), *bytes = NULL;
    g_autoptr (DlhStore) file = small_store (7);
    gsize n = 0, n_data = 6 * 4 + 8 + 2 * 8;

    g_assert_true (dlh_store_save (file, path, NULL, NULL));
    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    for (gsize i = 0; i < n; i++) {
        g_autoptr (DlhStore) store = small_store (3);
        gboolean ok;

        overwrite (path, i, (char)(bytes[i] ^ 1 << i % 8));
        ok = dlh_store_load (store, path, NULL, NULL);
        if (ok && i >= n - n_data)
            test_fail ("byte %zu of %zu, in the data: the damage was not seen", i, n);
        assert_filled (store, ok ? 7 : 3);
        overwrite (path, i, bytes[i]);
    }
}

static void
every_prefix (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL), *bytes = NULL;
    g_autoptr (DlhStore) file = small_store (7), store = small_store (3);
    gsize n = 0;

    g_assert_true (dlh_store_save (file, path, NULL, NULL));
    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    while (n-- > 0) {
        g_autoptr (GError) error = NULL;

        g_assert_cmpint (truncate (path, (off_t)n), ==, 0);
        g_assert_false (dlh_store_load (store, path, NULL, &error));
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    }
    assert_filled (store, 3);
}

static DlhStore *
big_store (double value)
{
    DlhStore *store = dlh_store_new (1, DLH_F32);

    fill (dlh_store_variable (store, "w", DLH_F64, dlh_shape (N_ELEMENTS), zeros, NULL), value);
    return store;
}

G_GNUC_NORETURN
static void
save_for_ever (DlhStore *store, const char *path)
{
    DlhTensor *w = dlh_variable_tensor (dlh_store_lookup (store, "w"));

    for (double value = 1;; value++) {
        for (gint64 i = 0; i < N_ELEMENTS; i++)
            dlh_tensor_set (w, i, value);
        if (!dlh_store_save (store, path, NULL, NULL))
            _exit (1);
    }
}

static void
killed_while_saving (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) store = big_store (0);
    DlhTensor *w = dlh_variable_tensor (dlh_store_lookup (store, "w"));
    guint n_changed = 0;
    double last = 0;

    g_assert_true (dlh_store_save (store, path, NULL, NULL));
    for (guint i = 0; i < N_KILLS; i++) {
        g_autoptr (GError) error = NULL;
        int status = 0;
        pid_t child = fork ();

        if (child == 0)
            save_for_ever (store, path);
        g_usleep (2000 + 1700 * i);
        kill (child, SIGKILL);
        waitpid (child, &status, 0);
        g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
        g_assert_true (dlh_store_load (store, path, NULL, &error));
        g_assert_no_error (error);
        n_changed += dlh_tensor_get (w, 0) != last;
        last = dlh_tensor_get (w, 0);
        assert_filled (store, last);
    }
    // Otherwise no child was ever killed in the middle.
    g_assert_cmpuint (n_changed, >, 0);
}

/* Runs in a child, so that limits and users end with it. Returns: whether it exited with 0. */
static gboolean
in_child (gboolean (*body) (gconstpointer data), gconstpointer data)
{
    pid_t child = fork ();
    int status = 1;

    if (child == 0)
        _exit (body (data) ? 0 : 1);
    waitpid (child, &status, 0);
    return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static gboolean
save_with_limit (gconstpointer path)
{
    g_autoptr (DlhStore) store = big_store (8);
    g_autoptr (GError) error = NULL;

    signal (SIGXFSZ, SIG_IGN);
    if (setrlimit (RLIMIT_FSIZE, &(struct rlimit){50000, 50000}) != 0)
        return FALSE;
    return !dlh_store_save (store, path, NULL, &error) &&
           g_error_matches (error, DLH_ERROR, DLH_ERROR_IO) &&
           strstr (error->message, path) != NULL;
}

static void
no_space (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) old = small_store (7), store = small_store (3);

    g_assert_true (dlh_store_save (old, path, NULL, NULL));
    g_assert_true (in_child (save_with_limit, path));
    g_assert_cmpuint (count_files (dir), ==, 1);
    g_assert_true (dlh_store_load (store, path, NULL, NULL));
    assert_filled (store, 7);
}

static gboolean
save_refused (gconstpointer path)
{
    g_autoptr (DlhStore) store = small_store (8);
    g_autoptr (GError) error = NULL;

    // Permissions do not bind root.
    if (geteuid () == 0 && (setgid (65534) != 0 || setuid (65534) != 0))
        return FALSE;
    return !dlh_store_save (store, path, NULL, &error) &&
           g_error_matches (error, DLH_ERROR, DLH_ERROR_IO) &&
           strstr (error->message, g_strerror (EACCES)) != NULL;
}

static void
unwritable_directory (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c", NULL);
    g_autoptr (DlhStore) old = small_store (7), store = small_store (3);

    g_assert_true (dlh_store_save (old, path, NULL, NULL));
    g_assert_cmpint (chmod (dir, 0555), ==, 0);
    g_assert_true (in_child (save_refused, path));
    g_assert_cmpuint (count_files (dir), ==, 1);
    g_assert_true (dlh_store_load (store, path, NULL, NULL));
    assert_filled (store, 7);
    g_assert_cmpint (chmod (dir, 0755), ==, 0);
}

static void
bad_targets (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *folder = g_build_filename (dir, "folder", NULL);
    g_autofree char *pipe = g_build_filename (dir, "pipe", NULL);
    g_autofree char *nowhere = g_build_filename (dir, "missing", "c", NULL);
    g_autofree char *slash = g_strconcat (dir, "/", NULL);
    const char *const paths[] = {folder, pipe, nowhere, slash};
    const char *const messages[] = {"it is a directory", "it is a pipe", "cannot open its folder",
                                    "cannot write it"};
    g_autoptr (DlhStore) store = small_store (7);

    g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
    g_assert_cmpint (mkfifo (pipe, 0644), ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
        g_autoptr (GError) error = NULL;

        g_assert_false (dlh_store_save (store, paths[i], NULL, &error));
        test_assert_error (&error, DLH_ERROR_IO, messages[i]);
        g_assert_false (dlh_store_load (store, paths[i], NULL, &error));
        g_assert_true (g_error_matches (error, DLH_ERROR, DLH_ERROR_DATA));
    }
    g_assert_cmpuint (count_files (dir), ==, 2);
    assert_filled (store, 7);
}

// The link is replaced; what it names stays.
static void
link_target (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "link", NULL);
    g_autofree char *other = test_write_file (dir, "other", "precious", -1), *text = NULL;
    g_autoptr (DlhStore) old = small_store (7), store = small_store (3);

    g_assert_cmpint (symlink (other, path), ==, 0);
    g_assert_true (dlh_store_save (old, path, NULL, NULL));
    g_assert_true (dlh_store_load (store, path, NULL, NULL));
    assert_filled (store, 7);
    g_assert_true (g_file_get_contents (other, &text, NULL, NULL));
    g_assert_cmpstr (text, ==, "precious");
    g_assert_false (g_file_test (path, G_FILE_TEST_IS_SYMLINK));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/checkpoint/round-trip/same-values-in-place", round_trip);
    g_test_add_func ("/checkpoint/not-finite/same-bits", not_finite);
    for (guint i = 0; i < G_N_ELEMENTS (misfits); i++) {
        g_autofree char *path =
            g_strdup_printf ("/checkpoint/misfit/%s/changes-nothing", misfits[i].name);

        g_test_add_data_func (path, &misfits[i], misfit_changes_nothing);
    }
    g_test_add_func ("/checkpoint/extra-variables/wait-in-the-store", extra_variables);
    g_test_add_func ("/checkpoint/flipped-bits/are-seen", flipped_bits);
    g_test_add_func ("/checkpoint/every-prefix/changes-nothing", every_prefix);
    g_test_add_func ("/checkpoint/killed-while-saving/whole-file", killed_while_saving);
    g_test_add_func ("/checkpoint/no-space/old-file-stays", no_space);
    g_test_add_func ("/checkpoint/unwritable-directory/is-reported", unwritable_directory);
    g_test_add_func ("/checkpoint/bad-targets/are-refused", bad_targets);
    g_test_add_func ("/checkpoint/link/is-replaced", link_target);
    return g_test_run ();
}
