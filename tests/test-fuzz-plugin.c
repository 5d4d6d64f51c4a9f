/* SPDX-License-Identifier: MIT */
/* The fuzz targets on inputs that every build can make: the fixtures and some values, damaged by a
 * generator with a fixed start. A crash, a failed promise or a hang fails. */
#include "test.h"

#include <elf.h>

#include "fuzz/fuzz-note.c"
#include "fuzz/fuzz-options.c"

#define N_NOTES 20000
#define N_VALUES 40000

/* xorshift64*: the same inputs every time. */
static guint64
next (guint64 *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

static guint64
interesting (guint64 r)
{
    static const guint64 values[] = {0,          1,           7,          8,          0x7f,
                                     0x80,       0xff,        0xffff,     G_MAXINT32, G_MAXUINT32,
                                     G_MAXINT64, G_MAXUINT64, 0x80000000, 0xfffffff8};

    return values[r % G_N_ELEMENTS (values)];
}

/* Replaces a byte, a word or a run of @data, mostly between @from and @to. */
static void
damage (guint8 *data, gsize n, gsize from, gsize to, guint64 *state)
{
    gsize at = next (state) % 4 ? from + next (state) % (to - from) : next (state) % n;
    gsize width = (gsize)1 << (next (state) % 4);
    guint64 value = next (state) % 2 ? interesting (next (state)) : next (state);
    gsize run = next (state) % 8 ? 0 : next (state) % 64;

    if (run)
        memset (data + at, (int)value, MIN (run, n - at));
    else
        memcpy (data + at, &value, MIN (width, n - at));
}

/* Where the note and the tables that lead to it lie: the places worth damaging. */
static gsize
note_end (const guint8 *data, gsize n)
{
    for (gsize i = 0; i + 16 < n; i++)
        if (memcmp (data + i, "dlhost", 7) == 0)
            return MIN (n, i + 4096);
    return n;
}

static void
fuzz_fixture (gconstpointer data)
{
    const char *dir = g_getenv ("DLHOST_TEST_FIXTURES");
    g_autofree char *path = g_build_filename (dir, data, NULL), *bytes = NULL;
    g_autofree guint8 *copy = NULL;
    guint64 state = 88172645463325252u;
    guint n_accepted = 0;
    gsize n, end;

    g_assert_true (g_file_get_contents (path, &bytes, &n, NULL));
    g_assert_true (fuzz_note ((guint8 *)bytes, n));
    // Without a section table a shortened file is not refused for that alone.
    memset (bytes + offsetof (Elf64_Ehdr, e_shoff), 0, 8);
    end = note_end ((guint8 *)bytes, n);
    copy = g_memdup2 (bytes, n);
    for (guint i = 0; i < N_NOTES; i++) {
        memcpy (copy, bytes, end);
        for (guint64 k = 1 + next (&state) % 3; k > 0; k--)
            damage (copy, n, 0, end, &state);
        n_accepted += fuzz_note (copy, next (&state) % 16 ? n : next (&state) % n);
    }
    // Damage to a text is harmless, to a length it is not: both happen.
    g_assert_cmpuint (n_accepted, >, N_NOTES / 50);
    g_assert_cmpuint (n_accepted, <, N_NOTES);
}

static const char *const seeds[] = {
    "true",
    "-4",
    "1000001",
    "0.5",
    "1e-3",
    "inf",
    "-inf",
    "nan",
    "a",
    "other",
    "[0,0.5]",
    "[]",
    "[1]",
    "-0.0",
    "0x1p3",
    "1e400",
    "[1,2,",
    "1_000",
    "b",
    "texts",
    "\xff",
    "9223372036854775808",
    "[,]",
    "0,0.25, -1",
    "-9223372036854775808",
    "4.9e-324",
    "1e-400",
    "[[0]]",
};

static void
fuzz_values (void)
{
    guint64 state = 362436069362436069u;
    guint n_accepted = 0;

    for (guint i = 0; i < N_VALUES; i++) {
        const char *a = seeds[next (&state) % G_N_ELEMENTS (seeds)];
        const char *b = seeds[next (&state) % G_N_ELEMENTS (seeds)];
        g_autofree char *text = g_strconcat ("0", a, next (&state) % 2 ? b : "", NULL);
        gsize n = strlen (text);

        text[0] = (char)(next (&state) % 8);
        if (next (&state) % 2)
            text[1 + next (&state) % (n - 1)] = (char)next (&state);
        n_accepted += fuzz_options ((guint8 *)text, n);
    }
    g_assert_cmpuint (n_accepted, >, N_VALUES / 50);
    g_assert_cmpuint (n_accepted, <, N_VALUES);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_data_func ("/fuzz-plugin/note-with-options/kept-promises", "good.so", fuzz_fixture);
    g_test_add_data_func ("/fuzz-plugin/note-without-options/kept-promises", "plain.so",
                          fuzz_fixture);
    g_test_add_func ("/fuzz-plugin/values/kept-promises", fuzz_values);
    return g_test_run ();
}
