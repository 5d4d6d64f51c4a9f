/* SPDX-License-Identifier: MIT */
/* Compiled once for each instruction set with fused multiply-add; LEVEL is its name. */
#include "cpu/conv-kernels.h"

#define INLINE static inline __attribute__ ((always_inline))
#define UNROLL _Pragma ("GCC unroll 32")

/* As many sums as registers hold: 32 of them with AVX-512, else 16. */
#ifdef __AVX512VL__
#define NR 4
#define MO 4
#define MK 6
#else
#define NR 2
#define MO 3
#define MK 4
#endif

#define VECTORS(T)                                                                                 \
    typedef T NAME (V) __attribute__ ((vector_size (32)));                                         \
    typedef T NAME (VU) __attribute__ ((vector_size (32), aligned (sizeof (T)), may_alias));       \
    typedef T NAME (H) __attribute__ ((vector_size (16)));                                         \
    typedef T NAME (HU) __attribute__ ((vector_size (16), aligned (sizeof (T)), may_alias))

#define T float
#define I gint32
#define LANES 8
#define NAME(f) f##_f32
#define SPLAT(s) ((V){(s), (s), (s), (s), (s), (s), (s), (s)})
#define JOIN(a, b) __builtin_shufflevector (a, b, 0, 1, 2, 3, 4, 5, 6, 7)
#define LOW(v) __builtin_shufflevector (v, v, 0, 1, 2, 3)
#define HIGH(v) __builtin_shufflevector (v, v, 4, 5, 6, 7)
#define EVEN(a, b) __builtin_shufflevector (a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) __builtin_shufflevector (a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define WEAVE_LOW(a, b) __builtin_shufflevector (a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define WEAVE_HIGH(a, b) __builtin_shufflevector (a, b, 4, 12, 5, 13, 6, 14, 7, 15)

VECTORS (float);

// sum of the lanes of v[0], of v[1], ..
INLINE V_f32
totals_f32 (const V_f32 *v)
{
    V_f32 pairs[4], quads[2];

    UNROLL
    for (gsize i = 0; i < 4; i++)
        pairs[i] = __builtin_shufflevector (v[2 * i], v[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                   __builtin_shufflevector (v[2 * i], v[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    UNROLL
    for (gsize i = 0; i < 2; i++)
        quads[i] =
            __builtin_shufflevector (pairs[2 * i], pairs[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
            __builtin_shufflevector (pairs[2 * i], pairs[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector (quads[0], quads[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector (quads[0], quads[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

#include "cpu/conv-kernels-type.h"
#include "cpu/conv-kernels-pool.h"

#undef T
#undef I
#undef LANES
#undef NAME
#undef SPLAT
#undef JOIN
#undef LOW
#undef HIGH
#undef EVEN
#undef ODD
#undef WEAVE_LOW
#undef WEAVE_HIGH

#define T double
#define I gint64
#define LANES 4
#define NAME(f) f##_f64
#define SPLAT(s) ((V){(s), (s), (s), (s)})
#define JOIN(a, b) __builtin_shufflevector (a, b, 0, 1, 2, 3)
#define LOW(v) __builtin_shufflevector (v, v, 0, 1)
#define HIGH(v) __builtin_shufflevector (v, v, 2, 3)
#define EVEN(a, b) __builtin_shufflevector (a, b, 0, 2, 4, 6)
#define ODD(a, b) __builtin_shufflevector (a, b, 1, 3, 5, 7)
#define WEAVE_LOW(a, b) __builtin_shufflevector (a, b, 0, 4, 1, 5)
#define WEAVE_HIGH(a, b) __builtin_shufflevector (a, b, 2, 6, 3, 7)

VECTORS (double);

INLINE V_f64
totals_f64 (const V_f64 *v)
{
    V_f64 pairs[2];

    UNROLL
    for (gsize i = 0; i < 2; i++)
        pairs[i] = __builtin_shufflevector (v[2 * i], v[2 * i + 1], 0, 4, 2, 6) +
                   __builtin_shufflevector (v[2 * i], v[2 * i + 1], 1, 5, 3, 7);
    return __builtin_shufflevector (pairs[0], pairs[1], 0, 1, 4, 5) +
           __builtin_shufflevector (pairs[0], pairs[1], 2, 3, 6, 7);
}

#include "cpu/conv-kernels-type.h"
#include "cpu/conv-kernels-pool.h"

#define ROW(f, t) {f##1_##t, f##2_##t, f##3_##t, f##4_##t, f##5_##t, f##6_##t}
#if MO > 3
#define DOTS(t) {dot1_##t, dot2_##t, dot3_##t, dot4_##t}
#else
#define DOTS(t) {dot1_##t, dot2_##t, dot3_##t, NULL}
#endif
#define TABLE__(level) dlh_conv_kernels_##level
#define TABLE_(level) TABLE__ (level)

const DlhConvKernels TABLE_ (LEVEL) = {
    .nr = NR,
    .mo = MO,
    .mk = MK,
    .store = {{ROW (store_full, f32), ROW (store_split, f32)},
              {ROW (store_full, f64), ROW (store_split, f64)}},
    .scatter = {{ROW (scatter_full, f32), ROW (scatter_split, f32)},
                {ROW (scatter_full, f64), ROW (scatter_split, f64)}},
    .dot = {DOTS (f32), DOTS (f64)},
    .pick2 = {pick2_f32, pick2_f64},
    .grad2 = {grad2_f32, grad2_f64},
};
