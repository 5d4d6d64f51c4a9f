/* SPDX-License-Identifier: MIT */
/* The fuzz targets on their seed corpora, as they are and damaged by a generator with a fixed
 * start. A crash, a failed promise or a hang fails. */
#include "test.h"

#include "fuzz/fuzz.h"

#define N_INPUTS 6000

typedef struct {
    const char *name;
    gboolean (*file) (const char *path);
    gboolean (*bytes) (const guint8 *data, gsize n);
} Target;

static const Target targets[] = {
    {"command", NULL, fuzz_command},
    {"config", fuzz_config},
    {"idx", fuzz_idx},
    {"note", NULL, fuzz_note},
    {"npy", fuzz_npy},
    {"npz", fuzz_npz},
    {"options", NULL, fuzz_options},
    {"safetensors", fuzz_safetensors},
    {"table", fuzz_table},
    {"text", fuzz_text},
};

/* A seed of the corpus. */
typedef struct {
    char *name;
    char *data;
    gsize n;
} Seed;

static void
seed_clear (gpointer data)
{
    Seed *seed = data;

    g_free (seed->name);
    g_free (seed->data);
}

static int
compare_seeds (gconstpointer a, gconstpointer b)
{
    return strcmp (((const Seed *)a)->name, ((const Seed *)b)->name);
}

/* In the order of their names: a directory has none. */
static GArray *
read_corpus (const char *target)
{
    g_autofree char *path = g_build_filename (g_getenv ("DLHOST_TEST_CORPUS"), target, NULL);
    g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
    GArray *seeds = g_array_new (FALSE, TRUE, sizeof (Seed));
    const char *name;

    g_array_set_clear_func (seeds, seed_clear);
    g_assert_nonnull (dir);
    while (dir && (name = g_dir_read_name (dir))) {
        g_autofree char *file = g_build_filename (path, name, NULL);
        Seed seed = {g_strdup (name), NULL, 0};

        g_assert_true (g_file_get_contents (file, &seed.data, &seed.n, NULL));
        g_array_append_val (seeds, seed);
    }
    g_array_sort (seeds, compare_seeds);
    return seeds;
}

static gboolean
run (const Target *target, const guint8 *data, gsize n)
{
    g_autofree guint8 *copy = g_memdup2 (data, n); // of exactly this size, for the sanitizer

    return target->bytes ? target->bytes (copy, n) : fuzz_file (target->file, copy, n);
}

static void
seeds_as_named (gconstpointer data)
{
    const Target *target = data;
    g_autoptr (GArray) seeds = read_corpus (target->name);

    g_assert_cmpuint (seeds->len, >=, 3);
    for (guint i = 0; i < seeds->len; i++) {
        const Seed *seed = &g_array_index (seeds, Seed, i);
        gboolean want = !g_str_has_prefix (seed->name, "bad-");

        if (run (target, (guint8 *)seed->data, seed->n) != want)
            test_fail ("%s/%s should be %s", target->name, seed->name,
                       want ? "accepted" : "refused");
    }
}

/* xorshift64*: the same inputs every time. */
static guint64
next (guint64 *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

/* A seed with a few bytes changed, a piece of another put in, or cut off. */
static GByteArray *
damage (const GArray *seeds, guint64 *state)
{
    static const char likely[] = "0129-+.eE,:[]{}()'\"\\ \n=PK\1\2\3\xff\x80";
    const Seed *seed = &g_array_index (seeds, Seed, next (state) % seeds->len);
    const Seed *other = &g_array_index (seeds, Seed, next (state) % seeds->len);
    GByteArray *out = g_byte_array_new ();

    g_byte_array_append (out, (guint8 *)seed->data, (guint)seed->n);
    for (guint64 k = 1 + next (state) % 3; k > 0 && out->len > 0; k--)
        out->data[next (state) % out->len] =
            next (state) % 2 ? (guint8)likely[next (state) % sizeof likely] : (guint8)next (state);
    if (next (state) % 8 == 0 && other->n > 0 && out->len > 0) {
        gsize from = next (state) % other->n, at = next (state) % out->len;

        memcpy (out->data + at, other->data + from, MIN (other->n - from, out->len - at));
    }
    if (next (state) % 8 == 0 && out->len > 0)
        g_byte_array_set_size (out, (guint)(next (state) % out->len));
    return out;
}

static void
damaged_seeds (gconstpointer data)
{
    const Target *target = data;
    g_autoptr (GArray) seeds = read_corpus (target->name);
    guint64 state = 88172645463325252u;
    guint n_accepted = 0;

    for (guint i = 0; seeds->len > 0 && i < N_INPUTS; i++) {
        g_autoptr (GByteArray) input = damage (seeds, &state);

        n_accepted += run (target, input->data, input->len);
    }
    // Both happen, or the generator or the target is broken.
    g_assert_cmpuint (n_accepted, >, N_INPUTS / 200);
    g_assert_cmpuint (n_accepted, <, N_INPUTS);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (targets); i++) {
        g_autofree char *seeds = g_strdup_printf ("/fuzz-io/%s-seeds/as-named", targets[i].name);
        g_autofree char *damaged =
            g_strdup_printf ("/fuzz-io/%s-damaged/kept-promises", targets[i].name);

        g_test_add_data_func (seeds, &targets[i], seeds_as_named);
        g_test_add_data_func (damaged, &targets[i], damaged_seeds);
    }
    return g_test_run ();
}
