/* SPDX-License-Identifier: MIT */
/* Texts as streams of tokens. The Penn Treebank is compared with counts that were taken without the
 * library. */
#include "dataset-bench.h"

static void
ptb_words (void)
{
    g_autofree char *dir = test_data ("ptb");
    g_autofree char *settings =
        dir ? g_strconcat ("dir=", dir, " seq_len=35 lanes=20", NULL) : NULL;
    g_autoptr (DlhData) data = dir ? load_well ("text", settings) : NULL;

    if (!data)
        return;
    g_assert_cmpint (dlh_data_vocabulary (data), ==, 10000);
    g_assert_cmpint (dlh_data_n_classes (data), ==, 10000);
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (929588 / 700 * 20, 35));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_VALID), dlh_shape (73759 / 700 * 20, 35));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TEST), dlh_shape (82429 / 700 * 20, 35));
    for (guint i = DLH_SPLIT_TRAIN; i <= DLH_SPLIT_TEST; i++)
        assert_stream (data, i);
}

static void
ptb_characters (void)
{
    g_autofree char *dir = test_data ("ptb");
    g_autofree char *settings =
        dir ? g_strconcat ("dir=", dir, " level=char line_end=false seq_len=100 lanes=32", NULL)
            : NULL;
    g_autoptr (DlhData) data = dir ? load_well ("text", settings) : NULL;

    if (!data)
        return;
    g_assert_cmpint (dlh_data_vocabulary (data), ==, 49);
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (4975413 / 3200 * 32, 100));
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TEST), dlh_shape (438661 / 3200 * 32, 100));
    assert_stream (data, DLH_SPLIT_TRAIN);
}

static void
text_small (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings =
        g_strdup_printf ("dir=%s train=t valid= test= seq_len=2 lanes=2 level=word", dir);
    g_autofree char *path = test_write_file (dir, "t", " b a\t c \r\n\nc a\n b", -1);
    g_autoptr (DlhData) data = load_well ("text", settings);
    // b a c . . c a . b .  with . = <eos> 0, a 1, b 2, c 3; two lanes of two rows of two.
    static const double x[] = {2, 1, 0, 3, 3, 0, 1, 0}, y[] = {1, 3, 3, 1, 0, 0, 0, 2};

    g_assert_nonnull (path);
    if (!data)
        return;
    g_assert_cmpint (dlh_data_vocabulary (data), ==, 4);
    assert_shape (dlh_data_inputs (data, DLH_SPLIT_TRAIN), dlh_shape (4, 2));
    test_assert_tensor (dlh_data_inputs (data, DLH_SPLIT_TRAIN), x, 8, 0);
    test_assert_tensor (dlh_data_targets (data, DLH_SPLIT_TRAIN), y, 8, 0);
}

static void
text_cut (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings = g_strdup_printf (
        "dir=%s train=t valid=v test= seq_len=2 lanes=1 limit=5 vocabulary=3", dir);
    g_autofree char *path = test_write_file (dir, "t", "d b a a\nc b c e", -1);
    g_autofree char *valid = test_write_file (dir, "v", "c b z\na d", -1);
    g_autoptr (DlhData) data = load_well ("text", settings);
    // Two each of <eos>, a, b and c in all the text: the first two of their bytes stay.
    // d b a a .    with <eos> 0, <unk> 1, a 2; c b z . a
    static const double x[] = {1, 1, 2, 2}, y[] = {1, 2, 2, 0}, z[] = {1, 1, 1, 0};

    g_assert_nonnull (path);
    g_assert_nonnull (valid);
    if (!data)
        return;
    g_assert_cmpint (dlh_data_vocabulary (data), ==, 3);
    test_assert_tensor (dlh_data_inputs (data, DLH_SPLIT_TRAIN), x, 4, 0);
    test_assert_tensor (dlh_data_targets (data, DLH_SPLIT_TRAIN), y, 4, 0);
    test_assert_tensor (dlh_data_inputs (data, DLH_SPLIT_VALID), z, 4, 0);
}

static void
text_refusals (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *settings =
        g_strdup_printf ("dir=%s train=t valid=v test= seq_len=2 lanes=2", dir);
    // The 40th byte of this word lies inside a character.
    g_autofree char *word = g_strdup ("xääääääääääääääääääääää y z y z y z");
    g_autoptr (GError) error = NULL;

    g_free (test_write_file (dir, "t", "a b a", -1));
    g_free (test_write_file (dir, "v", word, -1));
    g_assert_null (load ("text", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "fewer than lanes * seq_len + 1 = 5");
    g_free (test_write_file (dir, "t", "a b a b a b a b", -1));
    g_assert_null (load ("text", settings, &error));
    if (error)
        g_assert_true (g_utf8_validate (error->message, -1, NULL));
    test_assert_error (&error, DLH_ERROR_DATA, "does not occur in the training text");
    g_free (test_write_file (dir, "t", "a b \xff", -1));
    g_assert_null (load ("text", settings, &error));
    test_assert_error (&error, DLH_ERROR_DATA, "byte 4 is not UTF-8");
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/text/ptb-words/stream", ptb_words);
    g_test_add_func ("/text/ptb-characters/stream", ptb_characters);
    g_test_add_func ("/text/small/by-hand", text_small);
    g_test_add_func ("/text/cut/by-hand", text_cut);
    g_test_add_func ("/text/refusals/say-why", text_refusals);
    return g_test_run ();
}
