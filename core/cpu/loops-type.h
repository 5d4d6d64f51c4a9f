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
    static attribute void FN (name) (void *y_, const void *x0_, const void *x1_, const void *x2_, gsize n,  \
                           const double *p)                                                       \
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
// Vector functions and their scalar siblings differ in the last bit. Whole groups of sixteen only, the
// last one padded: an element's value does not depend on where it stands. One is harmless to all.
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
        FN (name##_groups) (y, x0, x1, x2, whole / 16, p);                                              \
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
#endif

#undef EW
#undef EW_ANY
#undef EW_COMPARE
#undef EW_CHOICE
#undef EW_CAST
#undef EW_NUMBER
#undef EW_FLOAT
#undef EW_TEST

/* Sums: eight partial sums, so that the order is the same for every instruction set. */

static double
FN (ew_sum) (const void *x_, gsize n)
{
    const TYPE *x = x_;
    double s[16] = {0}, total = 0;
    gsize i = 0;

    for (; i + 16 <= n; i += 16)
        for (guint k = 0; k < 16; k++)
            s[k] += (double) x[i + k];
    for (; i < n; i++)
        s[i % 16] += (double) x[i];
    for (guint k = 0; k < 8; k++)
        s[k] += s[k + 8];
    for (guint k = 0; k < 4; k++)
        s[k] += s[k + 4];
    total = (s[0] + s[2]) + (s[1] + s[3]);
    return total;
}

static void
FN (ew_add_rows) (double *acc, const void *x_, gsize n_rows, gsize n_columns)
{
    const TYPE *x = x_;
    gsize j = 0;

    // Eight columns at a time stay in registers while the rows pass.
    for (; j + 8 <= n_columns; j += 8) {
        double s[8];

        memcpy (s, acc + j, sizeof s);
        for (gsize i = 0; i < n_rows; i++)
            for (guint k = 0; k < 8; k++)
                s[k] += (double) x[i * n_columns + j + k];
        memcpy (acc + j, s, sizeof s);
    }
    for (; j < n_columns; j++) {
        double s = acc[j];

        for (gsize i = 0; i < n_rows; i++)
            s += (double) x[i * n_columns + j];
        acc[j] = s;
    }
}

#undef LOOP
#undef LOOP_OVER
#undef LOOP_PADDED
#undef T
#undef FN
#undef FN2_
#undef FN_
