/* SPDX-License-Identifier: MIT */
/* Draws of N (0, s^2), s = softplus rho, with the sums of mean^2 + s^2 and of log s, in one pass. Part
 * of loops.c, after philox-fill.h and softplus-fill.h. */

#define DRAW_GROUP (4 * DLH_PHILOX_LANES)
#define SUM_LANES 16

/* Of floats the sum of logarithms is that of exponents, which is exact, and of the logarithms of
 * products of four mantissas. */
typedef struct {
    double squares, logs;
    gint32 exponents[SUM_LANES];
    guint32 odd[SUM_LANES]; // not 0: an s that is not well within the range of normal numbers
} DrawSums;

static inline void
softplus_draw_group_f32 (float *out, DrawSums *sums, const float *mean, const float *rho,
                         const float *normal)
{
    float squares[SUM_LANES] = {0}, product[SUM_LANES];

    for (guint i = 0; i < SUM_LANES; i++)
        product[i] = 1;
    for (guint k = 0; k < DRAW_GROUP; k += SUM_LANES) {
        VECTOR_LOOP
        for (guint i = 0; i < SUM_LANES; i++) {
            const float x = rho[k + i], m = mean[k + i];
            const float s = softplus_f32 (x, decay_f32 (x <= 0 ? x : -x));
            guint32 bits, one;
            float mantissa;

            out[k + i] = s * normal[k + i];
            squares[i] += m * m + s * s;
            memcpy (&bits, &s, sizeof bits);
            sums->exponents[i] += (gint32) (bits >> 23) - 127;
            sums->odd[i] |= bits - (7u << 23) >= 240u << 23;
            one = (bits & 0x7fffff) | 0x3f800000;
            memcpy (&mantissa, &one, sizeof mantissa);
            product[i] *= mantissa;
        }
    }
    VECTOR_LOOP
    for (guint i = 0; i < SUM_LANES; i++)
        product[i] = poly_log_f32 (product[i]);
    sums->squares += ew_sum_f32 (squares, SUM_LANES);
    sums->logs += ew_sum_f32 (product, SUM_LANES);
}

static inline void
softplus_draw_group_f64 (double *out, DrawSums *sums, const double *mean, const double *rho,
                         const double *normal)
{
    double squares[DRAW_GROUP], logs[DRAW_GROUP];

    VECTOR_LOOP
    for (guint i = 0; i < DRAW_GROUP; i++) {
        const double x = rho[i];
        const double s = (x <= 0 ? 0 : x) + log1p (exp (x <= 0 ? x : -x));

        out[i] = s * normal[i];
        squares[i] = mean[i] * mean[i] + s * s;
        // Far down s is exp x.
        logs[i] = log (s);
        logs[i] = x < -40 ? x : logs[i];
    }
    sums->squares += ew_sum_f64 (squares, DRAW_GROUP);
    sums->logs += ew_sum_f64 (logs, DRAW_GROUP);
}

// log softplus x, wherever x is.
static inline double
log_softplus_f32 (float x)
{
    return x < -30 ? x : log (softplus_f32 (x, decay_f32 (x <= 0 ? x : -x)));
}

static inline double
log_softplus_f64 (double x)
{
    return x < -40 ? x : log ((x <= 0 ? 0 : x) + log1p (exp (x <= 0 ? x : -x)));
}

static inline double
sum_logs_f32 (const DrawSums *sums, const float *rho, gsize n)
{
    gint64 exponents = 0;
    double slow = 0;
    guint32 odd = 0;

    for (guint i = 0; i < SUM_LANES; i++) {
        exponents += sums->exponents[i];
        odd |= sums->odd[i];
    }
    if (!odd)
        return sums->logs + (double) exponents * 0.693147180559945309417;
    for (gsize i = 0; i < n; i++)
        slow += log_softplus_f32 (rho[i]);
    return slow;
}

static inline double
sum_logs_f64 (const DrawSums *sums, const double *rho, gsize n)
{
    (void) rho, (void) n;
    return sums->logs;
}

// @n elements from those of block @block on, which begins a group; sums of mean^2 + s^2 and of log s.
#define SOFTPLUS_DRAW(type, Type)                                                                  \
    static void softplus_draw_##type (void *out_, double sums_out[2], const void *mean_,           \
                                      const void *rho_, const guint32 key[2], guint64 counter,     \
                                      guint64 block, gsize n)                                      \
    {                                                                                              \
        const gsize whole = n / DRAW_GROUP, left = n % DRAW_GROUP;                                 \
        const Type *mean = mean_, *rho = rho_;                                                     \
        DrawSums sums = {0}, unused = {0};                                                         \
        Type normal[8 * DRAW_GROUP] __attribute__ ((aligned (64)));                                \
        Type last[3][DRAW_GROUP] = {{0}}, *out = out_;                                             \
                                                                                                   \
        for (gsize g = 0; g < whole; g += 8) {                                                     \
            const gsize some = MIN (8, whole - g);                                                 \
                                                                                                   \
            philox_normal_##type (normal, key, counter, block + g * DLH_PHILOX_LANES, some);       \
            for (gsize k = 0; k < some * DRAW_GROUP; k += DRAW_GROUP) {                            \
                const gsize at = g * DRAW_GROUP + k;                                               \
                                                                                                   \
                softplus_draw_group_##type (out + at, &sums, mean + at, rho + at, normal + k);     \
            }                                                                                      \
        }                                                                                          \
        sums_out[1] = sum_logs_##type (&sums, rho, whole * DRAW_GROUP);                            \
        if (left) {                                                                                \
            const gsize at = whole * DRAW_GROUP;                                                   \
                                                                                                   \
            philox_normal_##type (normal, key, counter, block + whole * DLH_PHILOX_LANES, 1);      \
            memcpy (last[1], mean + at, left * sizeof (Type));                                     \
            memcpy (last[2], rho + at, left * sizeof (Type));                                      \
            softplus_draw_group_##type (last[0], &unused, last[1], last[2], normal);               \
            memcpy (out + at, last[0], left * sizeof (Type));                                      \
            for (gsize i = 0; i < left; i++) {                                                     \
                const double log_s = log_softplus_##type (last[2][i]), s = exp (log_s);            \
                                                                                                   \
                sums.squares += (double) last[1][i] * (double) last[1][i] + s * s;                 \
                sums_out[1] += log_s;                                                              \
            }                                                                                      \
        }                                                                                          \
        sums_out[0] = sums.squares;                                                                \
    }

SOFTPLUS_DRAW (f32, float)
SOFTPLUS_DRAW (f64, double)
