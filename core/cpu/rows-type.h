/* SPDX-License-Identifier: MIT */
/* The kernels of one element type: rows.c includes this with T, FN, IS_FLOAT and, for floats,
 * DTYPE. */

/* Extrema and their places. NaN is larger and smaller than every number, so it is not lost. */

// A long row is first taken as LANES columns, which compilers turn into vectors.
#define LANES 64

#define DEFINE_EXTREMUM(NAME, BETTER)                                                              \
    static void FN (NAME##_columns) (T *restrict y, const T *x, gint64 lines, gint64 n,            \
                                     gint64 inner)                                                 \
    {                                                                                              \
        memcpy (y, x, (gsize) lines * sizeof (T));                                                 \
        for (gint64 i = 1; i < n; i++) {                                                           \
            x += inner;                                                                            \
            for (gint64 l = 0; l < lines; l++)                                                     \
                y[l] = x[l] BETTER y[l] || x[l] != x[l] ? x[l] : y[l];                             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static T FN (NAME##_of) (const T *x, gint64 n)                                                 \
    {                                                                                              \
        T m[LANES], best = x[0];                                                                   \
        gint64 i = 1;                                                                              \
                                                                                                   \
        if (n >= 2 * LANES) {                                                                      \
            i = n / LANES * LANES;                                                                 \
            FN (NAME##_columns) (m, x, LANES, n / LANES, LANES);                                   \
            for (int k = 0; k < LANES; k++)                                                        \
                best = m[k] BETTER best || m[k] != m[k] ? m[k] : best;                             \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            best = x[i] BETTER best || x[i] != x[i] ? x[i] : best;                                 \
        return best;                                                                               \
    }                                                                                              \
                                                                                                   \
    static void FN (NAME) (void *y_, const void *x_, gint64 lines, gint64 n, gint64 inner)         \
    {                                                                                              \
        T *y = y_;                                                                                 \
        const T *x = x_;                                                                           \
                                                                                                   \
        if (inner > 1)                                                                             \
            FN (NAME##_columns) (y, x, lines, n, inner);                                           \
        for (gint64 l = 0; l < lines && inner == 1; l++)                                           \
            y[l] = FN (NAME##_of) (x + l * n, n);                                                  \
    }                                                                                              \
                                                                                                   \
    static void FN (arg##NAME) (void *y_, const void *x_, gint64 lines, gint64 n, gint64 inner)    \
    {                                                                                              \
        gint64 *restrict y = y_;                                                                   \
        const T *x = x_;                                                                           \
        T best[WIDTH];                                                                             \
                                                                                                   \
        for (gint64 l = 0; l < lines; l++) {                                                       \
            y[l] = 0;                                                                              \
            if (inner > 1) {                                                                       \
                best[l] = x[l];                                                                    \
                continue;                                                                          \
            }                                                                                      \
            best[0] = FN (NAME##_of) (x + l * n, n);                                               \
            while (y[l] < n - 1 && x[l * n + y[l]] != best[0] &&                                   \
                   x[l * n + y[l]] == x[l * n + y[l]])                                             \
                y[l]++;                                                                            \
        }                                                                                          \
        for (gint64 i = 1; i < n && inner > 1; i++) {                                              \
            x += inner;                                                                            \
            for (gint64 l = 0; l < lines; l++) {                                                   \
                gboolean is_new = best[l] == best[l] && (x[l] BETTER best[l] || x[l] != x[l]);     \
                                                                                                   \
                best[l] = is_new ? x[l] : best[l];                                                 \
                y[l] = is_new ? i : y[l];                                                          \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_EXTREMUM (max, >)
DEFINE_EXTREMUM (min, <)
#undef DEFINE_EXTREMUM
#undef LANES

#if IS_FLOAT

/* Cumulative sums, carried in double. */

static inline void
FN (cumsum_from) (T *y, const T *x, gint64 lines, gint64 n, gint64 inner, gboolean reverse)
{
    double sums[WIDTH] = {0};

    for (gint64 l = 0; l < lines && inner == 1; l++) {
        double sum = 0;

        for (gint64 i = 0; i < n; i++) {
            gint64 at = l * n + (reverse ? n - 1 - i : i);

            sum += x[at];
            y[at] = (T) sum;
        }
    }
    for (gint64 i = 0; i < n && inner > 1; i++) {
        gint64 at = (reverse ? n - 1 - i : i) * inner;

        for (gint64 l = 0; l < lines; l++) {
            sums[l] += x[at + l];
            y[at + l] = (T) sums[l];
        }
    }
}

static void
FN (cumsum) (void *y, const void *x, gint64 lines, gint64 n, gint64 inner)
{
    FN (cumsum_from) (y, x, lines, n, inner, FALSE);
}

static void
FN (cumsum_reverse) (void *y, const void *x, gint64 lines, gint64 n, gint64 inner)
{
    FN (cumsum_from) (y, x, lines, n, inner, TRUE);
}

/* softmax and its logarithms. The maximum is subtracted first, so that nothing overflows; where it
 * is infinite or NaN nothing is subtracted, and -inf, inf and NaN come out by themselves. Sums are
 * carried in double. */

static T
FN (shift_of) (T max)
{
    return isfinite (max) ? max : 0;
}

// y = exp (x - shift)
static void
FN (exp_shifted) (T *y, const T *x, T shift, gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        y[i] = x[i] - shift;
    LOOPS.ew[DLH_EW_exp][DTYPE - 1](y, y, NULL, NULL, (gsize) n, NULL);
}

static double
FN (sum_of) (const T *x, gint64 n)
{
    return LOOPS.sum[DTYPE - 1](x, (gsize) n);
}

static void
FN (log_all) (double *x, gint64 n)
{
    LOOPS.ew[DLH_EW_log][DLH_F64 - 1](x, x, NULL, NULL, (gsize) n, NULL);
}

// A long row, piece by piece. e (n) gets exp (x - shift) unless it is NULL. Returns the sum.
static double
FN (long_row) (T *e, const T *x, T shift, gint64 n)
{
    T piece[WIDTH];
    double sum = 0;

    for (gint64 i = 0; i < n; i += WIDTH) {
        T *to = e ? e + i : piece;
        gint64 m = MIN (WIDTH, n - i);

        FN (exp_shifted) (to, x + i, shift, m);
        sum += FN (sum_of) (to, m);
    }
    return sum;
}

// Short rows go through exp() together. At most WIDTH elements.
static void
FN (short_rows) (T *e, const T *x, T *shifts, double *sums, gint64 lines, gint64 n)
{
    for (gint64 l = 0; l < lines; l++) {
        shifts[l] = FN (shift_of) (FN (max_of) (x + l * n, n));
        for (gint64 i = 0; i < n; i++)
            e[l * n + i] = x[l * n + i] - shifts[l];
    }
    LOOPS.ew[DLH_EW_exp][DTYPE - 1](e, e, NULL, NULL, (gsize) (lines * n), NULL);
    for (gint64 l = 0; l < lines; l++) {
        sums[l] = 0;
        for (gint64 i = 0; i < n; i++)
            sums[l] += e[l * n + i];
    }
}

// The sums of all lines, and exp (x - shift) in e unless that is NULL. e may be x.
static void
FN (exp_sums) (T *e, const T *x, T *shifts, double *sums, gint64 lines, gint64 n, gint64 inner)
{
    T piece[WIDTH];

    if (inner == 1) {
        if (lines * n <= WIDTH) {
            FN (short_rows) (e ? e : piece, x, shifts, sums, lines, n);
            return;
        }
        for (gint64 l = 0; l < lines; l++) {
            shifts[l] = FN (shift_of) (FN (max_of) (x + l * n, n));
            sums[l] = FN (long_row) (e ? e + l * n : NULL, x + l * n, shifts[l], n);
        }
        return;
    }
    FN (max) (shifts, x, lines, n, inner);
    for (gint64 l = 0; l < lines; l++) {
        shifts[l] = FN (shift_of) (shifts[l]);
        sums[l] = 0;
    }
    for (gint64 i = 0; i < n; i++) {
        T *to = e ? e + i * inner : piece;

        for (gint64 l = 0; l < lines; l++)
            to[l] = x[i * inner + l] - shifts[l];
        LOOPS.ew[DLH_EW_exp][DTYPE - 1](to, to, NULL, NULL, (gsize) lines, NULL);
        for (gint64 l = 0; l < lines; l++)
            sums[l] += to[l];
    }
}

static void
FN (softmax) (void *y_, const void *x, gint64 lines, gint64 n, gint64 inner)
{
    T *y = y_, shifts[WIDTH], scales[WIDTH];
    double sums[WIDTH];

    FN (exp_sums) (y, x, shifts, sums, lines, n, inner);
    for (gint64 l = 0; l < lines; l++)
        scales[l] = (T) (1 / sums[l]);
    for (gint64 l = 0; l < lines && inner == 1; l++)
        for (gint64 i = 0; i < n; i++)
            y[l * n + i] *= scales[l];
    for (gint64 i = 0; i < n && inner > 1; i++)
        for (gint64 l = 0; l < lines; l++)
            y[i * inner + l] *= scales[l];
}

static void
FN (log_softmax) (void *y_, const void *x_, gint64 lines, gint64 n, gint64 inner)
{
    T *y = y_, shifts[WIDTH], logs[WIDTH];
    const T *x = x_;
    double sums[WIDTH];

    FN (exp_sums) (NULL, x, shifts, sums, lines, n, inner);
    FN (log_all) (sums, lines);
    for (gint64 l = 0; l < lines; l++)
        logs[l] = (T) sums[l];
    for (gint64 l = 0; l < lines && inner == 1; l++)
        for (gint64 i = 0; i < n; i++)
            y[l * n + i] = x[l * n + i] - shifts[l] - logs[l];
    for (gint64 i = 0; i < n && inner > 1; i++)
        for (gint64 l = 0; l < lines; l++)
            y[i * inner + l] = x[i * inner + l] - shifts[l] - logs[l];
}

static void
FN (logsumexp) (void *y_, const void *x, gint64 lines, gint64 n, gint64 inner)
{
    T *y = y_, shifts[WIDTH];
    double sums[WIDTH];

    FN (exp_sums) (NULL, x, shifts, sums, lines, n, inner);
    FN (log_all) (sums, lines);
    for (gint64 l = 0; l < lines; l++)
        y[l] = (T) (shifts[l] + sums[l]);
}

#endif
