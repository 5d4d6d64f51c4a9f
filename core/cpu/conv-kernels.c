/* SPDX-License-Identifier: MIT */
/* Compiled once for each instruction set with fused multiply-add; LEVEL is its name. */
#include "cpu/conv-kernels.h"

#define INLINE static inline __attribute__ ((always_inline))
#define UNROLL _Pragma ("GCC unroll 8")

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

#define T float
#define LANES 8
#define NAME(f) f##_f32
#define SPLAT(s) ((V){(s), (s), (s), (s), (s), (s), (s), (s)})
#define JOIN(a, b) __builtin_shufflevector (a, b, 0, 1, 2, 3, 4, 5, 6, 7)
#define LOW(v) __builtin_shufflevector (v, v, 0, 1, 2, 3)
#define HIGH(v) __builtin_shufflevector (v, v, 4, 5, 6, 7)

typedef float Quad __attribute__ ((vector_size (16)));

INLINE float
total_f32 (float __attribute__ ((vector_size (32))) v)
{
    const Quad q = LOW (v) + HIGH (v);

    return (q[0] + q[1]) + (q[2] + q[3]);
}

#include "cpu/conv-kernels-type.h"

#undef T
#undef LANES
#undef NAME
#undef SPLAT
#undef JOIN
#undef LOW
#undef HIGH

#define T double
#define LANES 4
#define NAME(f) f##_f64
#define SPLAT(s) ((V){(s), (s), (s), (s)})
#define JOIN(a, b) __builtin_shufflevector (a, b, 0, 1, 2, 3)
#define LOW(v) __builtin_shufflevector (v, v, 0, 1)
#define HIGH(v) __builtin_shufflevector (v, v, 2, 3)

INLINE double
total_f64 (double __attribute__ ((vector_size (32))) v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

#include "cpu/conv-kernels-type.h"

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
};
