/* SPDX-License-Identifier: MIT */
/* The vector loops behind random nodes, for each instruction set of this machine, against the generator
 * one block at a time and libm; and that all sets give the same bytes. */
#include "cpu/draw.h"
#include "cpu/loops.h"
#include "test.h"

#define N 5000

static const DlhDraw draw = {{0x12345678, 0x9abcdef0}, 5, G_GUINT64_CONSTANT (0x123456789)};

static guint
levels (const DlhLoops **out)
{
    guint n = 0;

    out[n++] = &dlh_loops_baseline;
#if defined __x86_64__
    if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma"))
        out[n++] = &dlh_loops_avx2;
    if (strcmp (dlh_cpu_level (), "avx512") == 0)
        out[n++] = &dlh_loops_avx512;
#endif
    return n;
}

// Element @i's bits: 32 of its word, and 32 of the word 2^31 draws on.
static guint64
bits_of (gsize i)
{
    guint32 counter[4] = {(guint32) (i / 4), draw.index, (guint32) draw.counter,
                          (guint32) (draw.counter >> 32)};
    guint32 high[4], low[4];

    dlh_philox (counter, draw.key, high);
    counter[1] += 1u << 31;
    dlh_philox (counter, draw.key, low);
    return (guint64) high[i % 4] << 32 | low[i % 4];
}

static void
uniform_reference (double *u32, double *u64)
{
    for (gsize i = 0; i < N; i++) {
        u32[i] = (double) (bits_of (i) >> 40) * 0x1p-24;
        u64[i] = (double) (bits_of (i) >> 11) * 0x1p-53;
    }
}

// Box and Muller on the same bits: the radius from one word, quadrant and angle from the next.
static void
normal_reference (double *z)
{
    for (gsize i = 0; i < N; i += 2) {
        guint64 a = bits_of (i), b = bits_of (i + 1);
        double r = sqrt (-2 * log ((double) (a >> 11) * 0x1p-53 + 0x1p-54));
        double t = (double) (gint64) (b & (G_MAXUINT64 >> 2)) * 0x1p-62 - 0.5;
        double angle = ((double) (b >> 62) + t) * G_PI_2;

        z[i] = r * cos (angle);
        z[i + 1] = r * sin (angle);
    }
}

static void
compare (const char *what, const double *want, gboolean is_double, const char *bytes,
         double tolerance)
{
    for (gsize i = 0; i < N; i++) {
        double got = is_double ? ((const double *) bytes)[i] : ((const float *) bytes)[i];

        if (!(fabs (got - want[i]) <= tolerance)) {
            test_fail ("%s: element %zu is %.17g, should be %.17g, tolerance %.3g", what, i, got,
                       want[i], tolerance);
            return;
        }
    }
}

// Whole groups, as the loops know them.
static char *
filled (DlhPhiloxFill fill, gsize n_group, gsize size)
{
    gsize n = (N + n_group - 1) / n_group;
    char *out = g_malloc (n * n_group * size);

    fill (out, draw.key, draw.counter, (guint64) draw.index << 32, n);
    return out;
}

static void
uniform_words (void)
{
    const DlhLoops *sets[3];
    guint n = levels (sets);
    double u32[N], u64[N];

    uniform_reference (u32, u64);
    for (guint s = 0; s < n; s++) {
        g_autofree char *f = filled (sets[s]->philox_uniform[0], 64, 4);
        g_autofree char *d = filled (sets[s]->philox_uniform[1], 64, 8);

        compare (sets[s]->level, u32, FALSE, f, 0);
        compare (sets[s]->level, u64, TRUE, d, 0);
    }
}

static void
normal_words (void)
{
    const DlhLoops *sets[3];
    guint n = levels (sets);
    double z[N];

    normal_reference (z);
    for (guint s = 0; s < n; s++) {
        g_autofree char *f = filled (sets[s]->philox_normal[0], 64, 4);
        g_autofree char *d = filled (sets[s]->philox_normal[1], 64, 8);

        // f64: polynomials good to some eps, times radii below 7. f32: as much, and the radius from 31
        // bits: these words lie above 2^-14, so that costs 2^-18 at most.
        compare (sets[s]->level, z, TRUE, d, 16 * DBL_EPSILON * 7);
        compare (sets[s]->level, z, FALSE, f, 16 * FLT_EPSILON * 7);
    }
}

static void
sign_words (void)
{
    const DlhLoops *sets[3];
    guint n = levels (sets);
    double want[N];

    for (gsize i = 0; i < N; i++) {
        guint64 word = bits_of (i / 128 * 4 + i / 32 % 4) >> 32;

        want[i] = word >> (i % 32) & 1 ? -1 : 1;
    }
    for (guint s = 0; s < n; s++) {
        g_autofree char *f = filled (sets[s]->philox_rademacher[0], 2048, 4);
        g_autofree char *d = filled (sets[s]->philox_rademacher[1], 2048, 8);

        compare (sets[s]->level, want, FALSE, f, 0);
        compare (sets[s]->level, want, TRUE, d, 0);
    }
}

static void
same_bytes (void)
{
    const DlhLoops *sets[3];
    guint n = levels (sets);

    for (guint s = 1; s < n; s++)
        for (guint t = 0; t < 2; t++) {
            g_autofree char *a = filled (sets[0]->philox_normal[t], 64, 4 << t);
            g_autofree char *b = filled (sets[s]->philox_normal[t], 64, 4 << t);

            g_assert_cmpmem (a, N * (4 << t), b, N * (4 << t));
        }
}

// Any length: the front of a longer draw, and nothing behind the end.
static void
lengths (void)
{
    const gsize sizes[] = {0, 1, 3, 4, 63, 64, 65, 2047, 2048, 2049, 4999};
    double whole[4][N], part[N + 1], p[N];

    for (gsize i = 0; i < N; i++)
        p[i] = (double) (i % 11) / 10;
    dlh_draw_uniform (&draw, DLH_F64, whole[0], N);
    dlh_draw_normal (&draw, DLH_F64, whole[1], N);
    dlh_draw_rademacher (&draw, DLH_F64, whole[2], N);
    dlh_draw_bernoulli (&draw, DLH_F64, p, whole[3], N);
    for (gsize i = 0; i < N; i++)
        g_assert_cmpfloat (whole[3][i], ==, whole[0][i] < p[i]);
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
        for (guint kind = 0; kind < 4; kind++) {
            gsize n = sizes[s];

            part[n] = 42;
            if (kind == 0)
                dlh_draw_uniform (&draw, DLH_F64, part, n);
            else if (kind == 1)
                dlh_draw_normal (&draw, DLH_F64, part, n);
            else if (kind == 2)
                dlh_draw_rademacher (&draw, DLH_F64, part, n);
            else
                dlh_draw_bernoulli (&draw, DLH_F64, p, part, n);
            g_assert_cmpfloat (part[n], ==, 42);
            g_assert_true (n == 0 || memcmp (part, whole[kind], n * sizeof *part) == 0);
        }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/draw/uniform/words-of-the-generator", uniform_words);
    g_test_add_func ("/draw/normal/box-muller-of-the-words", normal_words);
    g_test_add_func ("/draw/rademacher/bits-of-the-words", sign_words);
    g_test_add_func ("/draw/levels/same-bytes", same_bytes);
    g_test_add_func ("/draw/lengths/any", lengths);
    return g_test_run ();
}
