/* SPDX-License-Identifier: MIT */
/* The loops of one element type. loops.c includes this with TYPE, SUFFIX and the EW_ macros of the
 * classes that the type belongs to. */

#define FN_(name, suffix) name##_##suffix
#define FN2_(name, suffix) FN_ (name, suffix)
#define FN(name) FN2_ (name, SUFFIX)
#define T(c) ((TYPE) (c))

// Parameters the op does not have are not read.
#define LOOP(name, arity, n_params, type0, result, body)                                           \
    LOOP_OVER (n, , name, arity, n_params, type0, result, body)
#define LOOP_OVER(count, attribute, name, arity, n_params, type0, result, body)                    \
    static attribute void FN (name) (void *y_, const void *x0_, const void *x1_, const void *x2_,  \
                                     gsize n, const double *p)                                     \
    {                                                                                             \
        result *y = y_;                                                                           \
        const type0 *a0 = x0_;                                                                    \
        const TYPE *a1 = x1_, *a2 = x2_;                                                          \
        const TYPE p0 = n_params > 0 ? (TYPE) p[0] : 0, p1 = n_params > 1 ? (TYPE) p[1] : 0;      \
                                                                                                  \
        VECTOR_LOOP                                                                               \
        for (gsize i = 0; i < count; i++) {                                                       \
            const type0 x0 = a0[i];                                                               \
            const TYPE x1 = arity > 1 ? a1[i] : 0, x2 = arity > 2 ? a2[i] : 0;                    \
                                                                                                  \
            y[i] = (result) (body);                                                               \
            (void) x1, (void) x2, (void) p0, (void) p1;                                           \
        }                                                                                         \
    }

#if IS_FLOAT
// Vector functions and their scalar siblings differ in the last bit. Whole groups of sixteen only,
// the last one padded: an element's value does not depend on where it stands. The padding is 1, which
// no function minds.
#define LOOP_PADDED(name, arity, n_params, result, body)                                           \
    LOOP_OVER (n * 16, __attribute__ ((noinline)), name##_groups, arity, n_params, TYPE, result,   \
               body)                                                                               \
    static void FN (name) (void *y, const void *x0, const void *x1, const void *x2, gsize n,      \
                           const double *p)                                                       \
    {                                                                                             \
        const gsize whole = n & ~(gsize) 15, rest = n - whole;                                     \
        TYPE t[3][16];                                                                             \
        const void *const x[] = {x0, x1, x2};                                                      \
        result ty[16];                                                                             \
                                                                                                   \
        FN (name##_groups) (y, x0, x1, x2, whole / 16, p);                                         \
        if (rest == 0)                                                                             \
            return;                                                                                \
        for (guint k = 0; k < arity; k++)                                                          \
            for (gsize i = 0; i < 16; i++)                                                         \
                t[k][i] = i < rest ? ((const TYPE *) x[k])[whole + i] : 1;                         \
        FN (name##_groups) (ty, t[0], t[1], t[2], 1, p);                                          \
        memcpy ((result *) y + whole, ty, rest * sizeof (result));                                 \
    }
#endif

// Pasting keeps exp and its like in names from becoming expf.
#define EW(name, arity, n_params, types, body) EW_##types (ew_##name, arity, n_params, body)
#define EW_ANY(name, arity, n_params, body) LOOP (name, arity, n_params, TYPE, TYPE, body)
#define EW_COMPARE(name, arity, n_params, body) LOOP (name, arity, n_params, TYPE, BOOL, body)
#define EW_CHOICE(name, arity, n_params, body) LOOP (name, arity, n_params, BOOL, TYPE, body)
#define EW_CAST(name, arity, n_params, body)
#if IS_NUMBER
#define EW_NUMBER EW_ANY
#else
#define EW_NUMBER(name, arity, n_params, body)
#endif
#if IS_FLOAT
#define EW_FLOAT(name, arity, n_params, body) LOOP_PADDED (name, arity, n_params, TYPE, body)
#define EW_TEST EW_COMPARE
#else
#define EW_FLOAT(name, arity, n_params, body)
#define EW_TEST(name, arity, n_params, body)
#endif

#include "graph/elementwise.list"

#if IS_FLOAT
LOOP (ew_mul_add, 3, 0, TYPE, TYPE, x0 * x1 + x2)
LOOP (ew_mul_sub, 3, 0, TYPE, TYPE, x0 * x1 - x2)
LOOP (ew_sub_mul, 3, 0, TYPE, TYPE, x2 - x0 * x1)
LOOP (ew_scale_add, 2, 1, TYPE, TYPE, x0 * p0 + x1)
LOOP (ew_scale_sub, 2, 1, TYPE, TYPE, x0 * p0 - x1)
LOOP (ew_sub_scale, 2, 1, TYPE, TYPE, x1 - x0 * p0)
LOOP (ew_scale_scale, 2, 2, TYPE, TYPE, x0 * p0 + x1 * p1)
LOOP (ew_mul_offset, 2, 1, TYPE, TYPE, x0 * x1 + p0)
LOOP (ew_mul_div, 3, 0, TYPE, TYPE, x0 * x1 / x2)
#endif

#undef EW
#undef EW_ANY
#undef EW_COMPARE
#undef EW_CHOICE
#undef EW_CAST
#undef EW_NUMBER
#undef EW_FLOAT
#undef EW_TEST

/* Sums in double, in an order that is the same for every instruction set: four vectors of eight
 * partial sums for floats. */

#if IS_FLOAT
typedef TYPE FN (vector8) __attribute__ ((vector_size (8 * sizeof (TYPE)), aligned (sizeof (TYPE)),
                                          may_alias));
#define LOAD8(x) __builtin_convertvector (*(const FN (vector8) *) (x), Double8)

static double
FN (ew_sum) (const void *x_, gsize n)
{
    const TYPE *x = x_;
    const gsize whole = n & ~(gsize) 31;
    Double8 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};

    for (gsize i = 0; i < whole; i += 32) {
        s0 += LOAD8 (x + i);
        s1 += LOAD8 (x + i + 8);
        s2 += LOAD8 (x + i + 16);
        s3 += LOAD8 (x + i + 24);
    }
    if (n > whole) {
        TYPE rest[32] = {0};

        memcpy (rest, x + whole, (n - whole) * sizeof *x);
        s0 += LOAD8 (rest);
        s1 += LOAD8 (rest + 8);
        s2 += LOAD8 (rest + 16);
        s3 += LOAD8 (rest + 24);
    }
    s0 = (s0 + s2) + (s1 + s3);
    return ((s0[0] + s0[4]) + (s0[2] + s0[6])) + ((s0[1] + s0[5]) + (s0[3] + s0[7]));
}

// Columns stay in registers while the rows pass: 32, then 8, then one at a time.
static void
FN (ew_add_rows) (double *acc, const void *x_, gsize n_rows, gsize n_columns)
{
    const TYPE *x = x_;
    gsize j = 0;

    for (; j + 32 <= n_columns; j += 32) {
        Double8 *to = (Double8 *) (acc + j), s0 = to[0], s1 = to[1], s2 = to[2], s3 = to[3];

        for (gsize i = 0; i < n_rows; i++) {
            const TYPE *row = x + i * n_columns + j;

            s0 += LOAD8 (row);
            s1 += LOAD8 (row + 8);
            s2 += LOAD8 (row + 16);
            s3 += LOAD8 (row + 24);
        }
        to[0] = s0, to[1] = s1, to[2] = s2, to[3] = s3;
    }
    for (; j + 8 <= n_columns; j += 8) {
        Double8 *to = (Double8 *) (acc + j), s0 = {0}, s1 = {0};
        gsize i = 0;

        for (; i + 2 <= n_rows; i += 2) {
            s0 += LOAD8 (x + i * n_columns + j);
            s1 += LOAD8 (x + (i + 1) * n_columns + j);
        }
        if (i < n_rows)
            s0 += LOAD8 (x + i * n_columns + j);
        *to += s0 + s1;
    }
    for (; j < n_columns; j++) {
        double s[4] = {0};
        gsize i = 0;

        for (; i + 4 <= n_rows; i += 4)
            for (guint k = 0; k < 4; k++)
                s[k] += (double) x[(i + k) * n_columns + j];
        for (; i < n_rows; i++)
            s[0] += (double) x[i * n_columns + j];
        acc[j] += (s[0] + s[2]) + (s[1] + s[3]);
    }
}
#undef LOAD8

#else

static double
FN (ew_sum) (const void *x_, gsize n)
{
    const TYPE *x = x_;
    double s = 0;

    for (gsize i = 0; i < n; i++)
        s += (double) x[i];
    return s;
}

static void
FN (ew_add_rows) (double *acc, const void *x_, gsize n_rows, gsize n_columns)
{
    const TYPE *x = x_;

    for (gsize i = 0; i < n_rows; i++)
        for (gsize j = 0; j < n_columns; j++)
            acc[j] += (double) x[i * n_columns + j];
}
#endif

// Short rows in turn, without a call for each.
static void
FN (ew_sum_rows) (double *acc, const void *x_, gsize n_rows, gsize n_columns)
{
    const TYPE *x = x_;

    for (gsize i = 0; i < n_rows; i++, x += n_columns) {
        double s0 = 0, s1 = 0;
        gsize j = 0;

        if (n_columns >= 24) {
            acc[i] += FN (ew_sum) (x, n_columns);
            continue;
        }
        for (; j + 2 <= n_columns; j += 2) {
            s0 += (double) x[j];
            s1 += (double) x[j + 1];
        }
        if (j < n_columns)
            s0 += (double) x[j];
        acc[i] += s0 + s1;
    }
}

#undef LOOP
#undef LOOP_OVER
#undef LOOP_PADDED
#undef T
#undef FN
#undef FN2_
#undef FN_
