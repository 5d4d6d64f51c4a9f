/* SPDX-License-Identifier: MIT */
/* The readers on good files that a generator with a fixed start has damaged. */
#include "test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz-idx.c"
#include "fuzz/fuzz-safetensors.c"
#include "fuzz/fuzz-table.c"

#define N_INPUTS 10000

typedef struct {
    const char *name, *seed;
    gsize n;
    gboolean (*body) (const char *path);
} Target;

static const char safetensors_seed[] =
    "\x90\0\0\0\0\0\0\0{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],"
    "\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[8,10]}}"
    "          0123456789";
static const char idx_seed[] = "\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
                               "abcdef";
static const char table_seed[] = "1 2.5,-3e4\r\n\n4 5 .6e-1\n7,8 9\n";

static const Target targets[] = {
    {"safetensors", safetensors_seed, sizeof safetensors_seed - 1, fuzz_safetensors},
    {"idx", idx_seed, sizeof idx_seed - 1, fuzz_idx},
    {"table", table_seed, sizeof table_seed - 1, fuzz_table},
};

/* xorshift64*: the same inputs every time. */
static guint64
next (guint64 *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

static void
fuzz (gconstpointer data)
{
    static const char likely[] = "0129-+.eE,:[]{}\"\\ \n\xff\x80";
    const Target *target = data;
    // In memory: a disk would make this wait.
    int fd = memfd_create ("fuzz", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
    guint64 state = 88172645463325252u;
    guint n_accepted = 0;

    g_assert_true (pwrite (fd, target->seed, target->n, 0) == (gssize)target->n);
    g_assert_true (target->body (path));
    for (guint i = 0; i < N_INPUTS; i++) {
        g_autofree char *copy = g_memdup2 (target->seed, target->n);
        gsize n = next (&state) % 8 ? target->n : next (&state) % target->n;

        for (guint64 k = 1 + next (&state) % 3; k > 0; k--)
            copy[next (&state) % target->n] =
                next (&state) % 2 ? likely[next (&state) % sizeof likely] : (char)next (&state);
        g_assert_true (ftruncate (fd, 0) == 0 && pwrite (fd, copy, n, 0) == (gssize)n);
        n_accepted += target->body (path);
    }
    close (fd);
    g_assert_cmpuint (n_accepted, >, N_INPUTS / 100);
    g_assert_cmpuint (n_accepted, <, N_INPUTS);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (targets); i++) {
        g_autofree char *path = g_strdup_printf ("/fuzz-io/%s/kept-promises", targets[i].name);

        g_test_add_data_func (path, &targets[i], fuzz);
    }
    return g_test_run ();
}
