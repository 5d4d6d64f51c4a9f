/* SPDX-License-Identifier: MIT */
/* Philox4x32-10 and what is made of its words, in vectors. Part of loops.c.
 *
 * Logarithm, sine and cosine are polynomials of our own: with +, -, *, / and sqrt only, each rounded
 * once, every machine, compiler and backend gets the same normals. */

#if defined __SSE2__
/* Blocks in 64-bit lanes, of which the low halves count: a product of low halves is one instruction,
 * and its halves need no packing before the next round. */
#include <immintrin.h>

#if defined __AVX512F__
#define PHILOX_MUL(a, b) ((PhiloxVector)_mm512_mul_epu32 ((__m512i)(a), (__m512i)(b)))
#define PHILOX_XOR(a, b, c)                                                                        \
    ((PhiloxVector)_mm512_ternarylogic_epi64 ((__m512i)(a), (__m512i)(b), (__m512i)(c), 0x96))
#define PHILOX_WIDTH 8
#elif defined __AVX2__
#define PHILOX_MUL(a, b) ((PhiloxVector)_mm256_mul_epu32 ((__m256i)(a), (__m256i)(b)))
#define PHILOX_WIDTH 4
#else
#define PHILOX_MUL(a, b) ((PhiloxVector)_mm_mul_epu32 ((__m128i)(a), (__m128i)(b)))
#define PHILOX_WIDTH 2
#endif
#ifndef PHILOX_XOR
#define PHILOX_XOR(a, b, c) ((a) ^ (b) ^ (c))
#endif

typedef guint64 PhiloxVector __attribute__ ((vector_size (8 * PHILOX_WIDTH), may_alias));

// Words 0 and 1, 2 and 3 of PHILOX_WIDTH blocks from @block on, and of as many after them.
static inline void
philox_pairs (guint64 *even, guint64 *odd, const guint32 key[2], guint64 counter, guint64 block)
{
    static const guint64 steps[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const PhiloxVector zero = {0}, low = zero + 0xffffffffu;
    const PhiloxVector m0 = zero + 0xd2511f53u, m1 = zero + 0xcd9e8d57u;
    guint64 keys[20];
    PhiloxVector c0[2], c1[2], c2[2], c3[2];

    for (guint round = 0; round < 10; round++) {
        keys[2 * round] = (guint32) (key[0] + round * 0x9e3779b9u);
        keys[2 * round + 1] = (guint32) (key[1] + round * 0xbb67ae85u);
    }

    memcpy (&c0[0], steps, sizeof c0[0]);
    // A group starts at a multiple of its size: no carry into the high word.
    c0[0] += zero + (block & 0xffffffffu);
    c0[1] = c0[0] + PHILOX_WIDTH;
    c1[0] = c1[1] = zero + (block >> 32);
    c2[0] = c2[1] = zero + counter;
    c3[0] = c3[1] = zero + (counter >> 32);
    for (guint round = 0; round < 10; round++) {
        for (guint i = 0; i < 2; i++) {
            const PhiloxVector a = PHILOX_MUL (m0, c0[i]), b = PHILOX_MUL (m1, c2[i]);

            c0[i] = PHILOX_XOR (b >> 32, c1[i], zero + keys[2 * round]);
            c2[i] = PHILOX_XOR (a >> 32, c3[i], zero + keys[2 * round + 1]);
            c1[i] = b;
            c3[i] = a;
        }
    }
    for (guint i = 0; i < 2; i++) {
        const PhiloxVector first = (c0[i] & low) | c1[i] << 32, last = (c2[i] & low) | c3[i] << 32;

        memcpy (even + i * PHILOX_WIDTH, &first, sizeof first);
        memcpy (odd + i * PHILOX_WIDTH, &last, sizeof last);
    }
}

// w[4 i + j] is word j of block @block + i.
static inline void
philox_group (guint32 w[4 * DLH_PHILOX_LANES], const guint32 key[2], guint64 counter,
              guint64 block)
{
    guint64 even[DLH_PHILOX_LANES] __attribute__ ((aligned (64)));
    guint64 odd[DLH_PHILOX_LANES] __attribute__ ((aligned (64)));

    for (guint i = 0; i < DLH_PHILOX_LANES; i += 2 * PHILOX_WIDTH)
        philox_pairs (even + i, odd + i, key, counter, block + i);
    for (guint i = 0; i < DLH_PHILOX_LANES; i++) {
        memcpy (w + 4 * i, &even[i], sizeof even[i]);
        memcpy (w + 4 * i + 2, &odd[i], sizeof odd[i]);
    }
}
#else
#define PHILOX_ROUND                                                                               \
    do {                                                                                           \
        const guint64 a = (guint64) 0xd2511f53u * c0, b = (guint64) 0xcd9e8d57u * c2;              \
                                                                                                   \
        c0 = (guint32) (b >> 32) ^ c1 ^ k0;                                                        \
        c2 = (guint32) (a >> 32) ^ c3 ^ k1;                                                        \
        c1 = (guint32) b;                                                                          \
        c3 = (guint32) a;                                                                          \
        k0 += 0x9e3779b9u;                                                                         \
        k1 += 0xbb67ae85u;                                                                         \
    } while (0)

// w[4 i + j] is word j of block @block + i.
static inline void
philox_group (guint32 w[4 * DLH_PHILOX_LANES], const guint32 key[2], guint64 counter,
              guint64 block)
{
    const guint32 lo = (guint32) counter, hi = (guint32) (counter >> 32);
    const guint32 key0 = key[0], key1 = key[1];

    VECTOR_LOOP
    for (guint i = 0; i < DLH_PHILOX_LANES; i++) {
        // A group starts at a multiple of its size: no carry into the high word.
        guint32 c0 = (guint32) block + i, c1 = (guint32) (block >> 32), c2 = lo, c3 = hi;
        guint32 k0 = key0, k1 = key1;

        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        PHILOX_ROUND;
        w[4 * i] = c0;
        w[4 * i + 1] = c1;
        w[4 * i + 2] = c2;
        w[4 * i + 3] = c3;
    }
}
#endif

// A fill that makes @n_out elements of type Type from each group's words w, and those of the blocks 2^63
// further on, v, in @statement.
#define PHILOX_FILL_2(name, Type, n_out, statement)                                                  \
    static void name (void *out_, const guint32 key[2], guint64 counter, guint64 block,            \
                      gsize n_groups)                                                              \
    {                                                                                              \
        Type *out = out_;                                                                          \
                                                                                                   \
        for (gsize g = 0; g < n_groups; g++) {                                                     \
            guint32 w[4 * DLH_PHILOX_LANES] __attribute__ ((aligned (64)));                        \
            guint32 v[4 * DLH_PHILOX_LANES] __attribute__ ((aligned (64)));                        \
                                                                                                   \
            philox_group (w, key, counter, block + g * DLH_PHILOX_LANES);                          \
            philox_group (v, key, counter,                                                         \
                          (block + g * DLH_PHILOX_LANES) | G_GUINT64_CONSTANT (1) << 63);          \
            statement;                                                                             \
            out += n_out;                                                                          \
        }                                                                                          \
    }

// The same from words w alone.
#define PHILOX_FILL(name, Type, n_out, statement)                                                  \
    static void name (void *out_, const guint32 key[2], guint64 counter, guint64 block,            \
                      gsize n_groups)                                                              \
    {                                                                                              \
        Type *out = out_;                                                                          \
                                                                                                   \
        for (gsize g = 0; g < n_groups; g++) {                                                     \
            guint32 w[4 * DLH_PHILOX_LANES] __attribute__ ((aligned (64)));                        \
                                                                                                   \
            philox_group (w, key, counter, block + g * DLH_PHILOX_LANES);                          \
            statement;                                                                             \
            out += n_out;                                                                          \
        }                                                                                          \
    }

/* [0, 1): 24 bits of a word, or 53 of a word of w and below it one of v; so f32 and f64 draws are the
 * same numbers at two precisions. */

static inline void
uniform_f32 (float *out, const guint32 *w)
{
    for (guint i = 0; i < 64; i++)
        out[i] = (float) (gint32) (w[i] >> 8) * 0x1p-24f;
}

static inline void
uniform_f64 (double *out, const guint32 *w, const guint32 *v)
{
    for (guint i = 0; i < 64; i++) {
        const guint64 bits = (guint64) w[i] << 32 | v[i];

        out[i] = (double) (gint64) (bits >> 11) * 0x1p-53;
    }
}

PHILOX_FILL (philox_uniform_f32, float, 64, uniform_f32 (out, w))
PHILOX_FILL_2 (philox_uniform_f64, double, 64, uniform_f64 (out, w, v))

/* Normals by Box and Muller: r = sqrt (-2 log u), and (cos, sin) of a uniform angle, a quadrant by the
 * first two bits plus one in [-pi/4, pi/4) by the others. */

// log x, x > 0 and normal: x = 2^e m, sqrt (1/2) <= m < sqrt (2); log m = 2 artanh s.
static inline float
poly_log_f32 (float x)
{
    guint32 bits;
    float m, s, z;
    gint32 e;

    memcpy (&bits, &x, sizeof bits);
    e = (gint32) (bits - 0x3f3504f3u) >> 23;
    bits -= (guint32) e << 23;
    memcpy (&m, &bits, sizeof m);
    s = (m - 1) / (m + 1);
    z = s * s;
    return (float) e * 0.693147180559945309f +
           2 * s * (1 + z * (1 / 3.0f + z * (1 / 5.0f + z * (1 / 7.0f + z * (1 / 9.0f)))));
}

static inline double
poly_log_f64 (double x)
{
    guint64 bits;
    double m, s, z, p;
    gint32 e;

    memcpy (&bits, &x, sizeof bits);
    // The high words alone: there is no 64-bit arithmetic shift before AVX-512.
    e = (gint32) ((guint32) (bits >> 32) - 0x3fe6a09eu) >> 20;
    bits -= (guint64) (gint64) e << 52;
    memcpy (&m, &bits, sizeof m);
    s = (m - 1) / (m + 1);
    z = s * s;
    p = 1 / 13.0 + z * (1 / 15.0 + z * (1 / 17.0 + z * (1 / 19.0 + z * (1 / 21.0))));
    p = 1 / 3.0 + z * (1 / 5.0 + z * (1 / 7.0 + z * (1 / 9.0 + z * (1 / 11.0 + z * p))));
    return (double) e * 0.693147180559945309417 + 2 * s * (1 + z * p);
}

static inline void
normal_f32 (float *out, const guint32 *w)
{
    VECTOR_LOOP
    for (guint i = 0; i < 32; i++) {
        const guint32 w0 = w[2 * i], w1 = w[2 * i + 1];
        const float u = (float) (gint32) (w0 >> 1) * 0x1p-31f + 0x1p-33f;
        const float r = sqrtf (-2 * poly_log_f32 (u));
        const gint32 angle = (gint32) (w1 & 0x3fffffff) - 0x20000000;
        const float t = (float) angle * (1.57079632679489662f * 0x1p-30f), z = t * t;
        const float sin_t =
            t * (1 - z * (1 / 6.0f - z * (1 / 120.0f - z * (1 / 5040.0f - z * (1 / 362880.0f)))));
        const float cos_t =
            1 - z * (0.5f - z * (1 / 24.0f - z * (1 / 720.0f - z * (1 / 40320.0f))));
        const gboolean odd = (w1 >> 30 & 1) != 0;
        const float x = odd ? sin_t : cos_t, y = odd ? cos_t : sin_t;
        // Quadrants 1 and 2 are left of the y axis, 2 and 3 below the x axis.
        const float rx = ((w1 >> 30) + 1 & 2) ? -r : r, ry = w1 >> 31 ? -r : r;

        out[2 * i] = rx * x;
        out[2 * i + 1] = ry * y;
    }
}

static inline void
normal_f64 (double *out, const guint32 *w, const guint32 *v)
{
    VECTOR_LOOP
    for (guint i = 0; i < 32; i++) {
        const guint64 w0 = (guint64) w[2 * i] << 32 | v[2 * i];
        const guint64 w1 = (guint64) w[2 * i + 1] << 32 | v[2 * i + 1];
        const double u = (double) (gint64) (w0 >> 11) * 0x1p-53 + 0x1p-54;
        const double r = sqrt (-2 * poly_log_f64 (u));
        const gint64 angle =
            (gint64) (w1 >> 10 & G_GUINT64_CONSTANT (0xfffffffffffff)) - (G_GINT64_CONSTANT (1) << 51);
        const double t = (double) angle * (1.57079632679489661923 * 0x1p-52), z = t * t;
        const double s = 1 / 39916800.0 -
                         z * (1 / 6227020800.0 -
                              z * (1 / 1307674368000.0 - z * (1 / 355687428096000.0)));
        const double c = 1 / 3628800.0 -
                         z * (1 / 479001600.0 -
                              z * (1 / 87178291200.0 - z * (1 / 20922789888000.0)));
        const double sin_t =
            t * (1 - z * (1 / 6.0 - z * (1 / 120.0 - z * (1 / 5040.0 - z * (1 / 362880.0 - z * s)))));
        const double cos_t =
            1 - z * (0.5 - z * (1 / 24.0 - z * (1 / 720.0 - z * (1 / 40320.0 - z * c))));
        const gboolean odd = (w1 >> 62 & 1) != 0;
        const double x = odd ? sin_t : cos_t, y = odd ? cos_t : sin_t;
        const double rx = ((w1 >> 62) + 1 & 2) ? -r : r, ry = w1 >> 63 ? -r : r;

        out[2 * i] = rx * x;
        out[2 * i + 1] = ry * y;
    }
}

PHILOX_FILL (philox_normal_f32, float, 64, normal_f32 (out, w))
PHILOX_FILL_2 (philox_normal_f64, double, 64, normal_f64 (out, w, v))

/* Signs: element i has bit i % 128 of block i / 128; a set bit is -1. */

#define RADEMACHER(Type)                                                                           \
    for (guint i = 0; i < 64; i++)                                                                 \
        for (guint k = 0; k < 32; k++)                                                             \
    out[32 * i + k] = (Type) (1 - 2 * (gint32) (w[i] >> k & 1))

PHILOX_FILL (philox_rademacher_f32, float, 2048, RADEMACHER (float))
PHILOX_FILL (philox_rademacher_f64, double, 2048, RADEMACHER (double))
