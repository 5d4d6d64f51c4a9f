/* SPDX-License-Identifier: MIT */
/* The loops of one instruction set; LEVEL is set by the build.
 *
 * Vector maths is glibc's libmvec. Compilers call it by themselves only under -ffast-math, which
 * would break NaN and infinity; so the functions are declared here, by hand, as having vector
 * versions, and <math.h> is not included. */
#include "cpu/loops.h"

#include <string.h>

#include "cpu/special.h"

#if defined HAVE_LIBMVEC && !defined __clang__
#define VECTOR_FUNCTION __attribute__ ((simd ("notinbranch"), const, nothrow))
#else
#define VECTOR_FUNCTION __attribute__ ((const, nothrow))
#endif

#if defined __clang__
#define VECTOR_LOOP _Pragma ("clang loop vectorize(assume_safety) interleave_count(1)")
#else
#define VECTOR_LOOP _Pragma ("GCC ivdep")
#endif

#define DECLARE(name)                                                                              \
    VECTOR_FUNCTION float name##f (float);                                                         \
    VECTOR_FUNCTION double name (double);
DECLARE (exp)
DECLARE (expm1)
DECLARE (log)
DECLARE (log1p)
DECLARE (sin)
DECLARE (cos)
DECLARE (tanh)
DECLARE (erf)
DECLARE (erfc)
VECTOR_FUNCTION float powf (float, float);
VECTOR_FUNCTION double pow (double, double);
__attribute__ ((const, nothrow)) float sqrtf (float);
__attribute__ ((const, nothrow)) double sqrt (double);

// One byte, 0 or 1; conversion to it is x != 0.
typedef _Bool BOOL;
G_STATIC_ASSERT (sizeof (BOOL) == 1);

typedef double Double8 __attribute__ ((vector_size (64), aligned (8), may_alias));

#define IS_NUMBER 1
#define IS_FLOAT 1

// libmvec's tanh of doubles takes four times as long as its expm1, of which it is a short formula.
static inline double
tanh_f64 (double x)
{
    const double t = expm1 (x <= 0 ? 2 * x : -2 * x), y = t / (t + 2);

    return x <= 0 ? y : -y;
}

#include "cpu/softplus-fill.h"

#define TYPE double
#define SUFFIX f64
#define softplus_grad(x, u, v) softplus_grad_f64 (x, u, v)
#define tanh(x) tanh_f64 (x)
#define lgamma dlh_special_lgamma
#define polygamma dlh_special_polygamma
#include "cpu/loops-type.h"
#undef lgamma
#undef polygamma
#undef tanh
#undef softplus_grad
#undef TYPE
#undef SUFFIX

#define TYPE float
#define SUFFIX f32
#define softplus_grad(x, u, v) softplus_grad_f32 (x, u, v)
#define exp expf
#define expm1 expm1f
#define log logf
#define log1p log1pf
#define sin sinf
#define cos cosf
#define tanh tanhf
#define erf erff
#define erfc erfcf
#define pow powf
#define sqrt sqrtf
#define lgamma(x) (float) dlh_special_lgamma (x)
#define polygamma(order, x) (float) dlh_special_polygamma (order, x)
#include "cpu/loops-type.h"
#undef exp
#undef expm1
#undef log
#undef log1p
#undef sin
#undef cos
#undef tanh
#undef erf
#undef erfc
#undef pow
#undef sqrt
#undef lgamma
#undef polygamma
#undef softplus_grad
#undef TYPE
#undef SUFFIX
#undef exp
#undef expm1
#undef log
#undef log1p
#undef sin
#undef cos
#undef tanh
#undef erf
#undef erfc
#undef pow
#undef sqrt
#undef lgamma
#undef polygamma

#undef IS_FLOAT
#define IS_FLOAT 0

#define TYPE gint32
#define SUFFIX i32
#include "cpu/loops-type.h"
#undef TYPE
#undef SUFFIX

#define TYPE gint64
#define SUFFIX i64
#include "cpu/loops-type.h"
#undef TYPE
#undef SUFFIX

#undef IS_NUMBER
#define IS_NUMBER 0

#define TYPE BOOL
#define SUFFIX bool
#include "cpu/loops-type.h"
#undef TYPE
#undef SUFFIX

/* Casts. Float to integer goes towards zero, stops at the ends of the range, and NaN gives 0. */

#define CAST(from, to, From, To, convert)                                                          \
    static void cast_##from##_##to (void *y_, const void *x_, const void *x1, const void *x2,     \
                                    gsize n, const double *p)                                     \
    {                                                                                              \
        To *y = y_;                                                                                \
        const From *a = x_;                                                                        \
                                                                                                   \
        (void) x1, (void) x2, (void) p;                                                            \
        for (gsize i = 0; i < n; i++) {                                                            \
            const From x = a[i];                                                                   \
                                                                                                   \
            y[i] = convert;                                                                        \
        }                                                                                          \
    }
#define TO_I32                                                                                     \
    x >= 2147483648.0 ? G_MAXINT32                                                                 \
                      : x <= -2147483648.0 ? G_MININT32 : (gint32) (x == x ? x : 0)
#define TO_I64                                                                                     \
    x >= 9223372036854775808.0 ? G_MAXINT64                                                       \
                               : x <= -9223372036854775808.0 ? G_MININT64                         \
                                                             : (gint64) (x == x ? x : 0)
#define CASTS(from, From, to_i32, to_i64)                                                          \
    CAST (from, f32, From, float, (float) x)                                                       \
    CAST (from, f64, From, double, (double) x)                                                     \
    CAST (from, i32, From, gint32, to_i32)                                                         \
    CAST (from, i64, From, gint64, to_i64)                                                         \
    CAST (from, bool, From, BOOL, x != 0)
CASTS (f32, float, TO_I32, TO_I64)
CASTS (f64, double, TO_I32, TO_I64)
CASTS (i32, gint32, x, x)
CASTS (i64, gint64, (gint32) x, x)
CASTS (bool, BOOL, x, x)

#define FILL(name, type)                                                                           \
    static void name (void *y_, const void *x, gsize n)                                            \
    {                                                                                              \
        type *y = y_, value;                                                                       \
                                                                                                   \
        memcpy (&value, x, sizeof value);                                                          \
        for (gsize i = 0; i < n; i++)                                                              \
            y[i] = value;                                                                          \
    }
FILL (fill_1, guint8)
FILL (fill_4, guint32)
FILL (fill_8, guint64)

// In integers, since a vector "or" needs no order: an exponent of all ones is NaN or infinity.
#define FINITE(name, type, mask)                                                                   \
    static gboolean name (const void *x_, gsize n)                                                 \
    {                                                                                              \
        const type *x = x_;                                                                        \
        type bad = 0;                                                                              \
                                                                                                   \
        for (gsize i = 0; i < n; i++)                                                              \
            bad |= (type) ((x[i] & mask) == mask);                                                 \
        return bad == 0;                                                                           \
    }
FINITE (finite_f32, guint32, 0x7f800000u)
FINITE (finite_f64, guint64, G_GUINT64_CONSTANT (0x7ff0000000000000))

/* The table. */

#define EW_ANY(name) {name##_f32, name##_f64, name##_i32, name##_i64, name##_bool}
#define EW_COMPARE(name) EW_ANY (name)
#define EW_CHOICE(name) EW_ANY (name)
#define EW_NUMBER(name) {name##_f32, name##_f64, name##_i32, name##_i64}
#define EW_FLOAT(name) {name##_f32, name##_f64}
#define EW_TEST(name) EW_FLOAT (name)
#define EW_CAST(name) {NULL}
#define CAST_ROW(from)                                                                             \
    {cast_##from##_f32, cast_##from##_f64, cast_##from##_i32, cast_##from##_i64, cast_##from##_bool}
#define PAIR(name) {ew_##name##_f32, ew_##name##_f64}
#define TABLE_(level) dlh_loops_##level
#define TABLE(level) TABLE_ (level)
#define NAME_(level) #level
#define NAME(level) NAME_ (level)

#include "cpu/philox-fill.h"
#include "cpu/softplus-draw.h"

const DlhLoops TABLE (LEVEL) = {
    .level = NAME (LEVEL),
    .ew = {
#define EW(name, arity, n_params, types, body) [DLH_EW_##name] = EW_##types (ew_##name),
#include "graph/elementwise.list"
#undef EW
    },
    .cast = {CAST_ROW (f32), CAST_ROW (f64), CAST_ROW (i32), CAST_ROW (i64), CAST_ROW (bool)},
    .pair = {
        [DLH_EW_MUL_ADD] = PAIR (mul_add),
        [DLH_EW_MUL_SUB] = PAIR (mul_sub),
        [DLH_EW_SUB_MUL] = PAIR (sub_mul),
        [DLH_EW_SCALE_ADD] = PAIR (scale_add),
        [DLH_EW_SCALE_SUB] = PAIR (scale_sub),
        [DLH_EW_SUB_SCALE] = PAIR (sub_scale),
        [DLH_EW_SCALE_SCALE] = PAIR (scale_scale),
        [DLH_EW_MUL_OFFSET] = PAIR (mul_offset),
        [DLH_EW_MUL_DIV] = PAIR (mul_div),
    },
    .sum = {ew_sum_f32, ew_sum_f64, ew_sum_i32, ew_sum_i64, ew_sum_bool},
    .sum_rows = {ew_sum_rows_f32, ew_sum_rows_f64, ew_sum_rows_i32, ew_sum_rows_i64,
                 ew_sum_rows_bool},
    .add_rows = {ew_add_rows_f32, ew_add_rows_f64, ew_add_rows_i32, ew_add_rows_i64,
                 ew_add_rows_bool},
    .fill = {fill_1, fill_4, fill_8},
    .finite = {finite_f32, finite_f64},
    .philox_uniform = {philox_uniform_f32, philox_uniform_f64},
    .philox_normal = {philox_normal_f32, philox_normal_f64},
    .philox_rademacher = {philox_rademacher_f32, philox_rademacher_f64},
    .softplus_draw = {softplus_draw_f32, softplus_draw_f64},
};
