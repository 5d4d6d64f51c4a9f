/* SPDX-License-Identifier: MIT */
/* The helpers themselves: a helper that cannot fail would make every test worthless. */
#include "test.h"

// Runs itself in a child, where @ok is what the comparison says.
static void
expect_failure (gboolean ok)
{
    if (g_test_subprocess ()) {
        (void)ok;
        return;
    }
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed ();
}

static gboolean
in_child (double got, double want, double scale)
{
    return !g_test_subprocess () || test_assert_close (&got, &want, 1, scale);
}

static void
close_nan (void)
{
    expect_failure (in_child (NAN, 1, 1e300));
}

static void
close_beyond (void)
{
    expect_failure (in_child (1 + 5 * DBL_EPSILON, 1, 1));
}

static void
close_exact (void)
{
    test_assert_close (((double[]){1, INFINITY}), ((double[]){1, INFINITY}), 2, 0);
    test_assert_close (((double[]){1 + 3 * DBL_EPSILON}), ((double[]){1}), 1, 1);
}

static void
mean_off (void)
{
    if (g_test_subprocess ()) {
        test_assert_mean (0.51, 0, 0.1);
        return;
    }
    expect_failure (TRUE);
}

static void
temp_dir_gone (void)
{
    g_autofree char *name = NULL;
    char *dir = test_temp_dir ();
    g_autofree char *file = test_write_file (dir, "a", "text", -1);

    name = g_strdup (dir);
    g_assert_true (g_file_test (file, G_FILE_TEST_EXISTS));
    test_remove_dir (dir);
    g_assert_false (g_file_test (name, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/helpers/close/nan-fails", close_nan);
    g_test_add_func ("/helpers/close/beyond-tolerance-fails", close_beyond);
    g_test_add_func ("/helpers/close/within-tolerance-passes", close_exact);
    g_test_add_func ("/helpers/mean/five-sigma-fails", mean_off);
    g_test_add_func ("/helpers/temp-dir/is-removed", temp_dir_gone);
    return g_test_run ();
}
