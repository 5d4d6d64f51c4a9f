/* SPDX-License-Identifier: MIT */
/* Draws of N (0, s^2), s = softplus rho, with the sums of mean^2 + s^2 and of log s, in one pass. Part
 * of loops.c, after philox-fill.h and softplus-fill.h. */

#define DRAW_GROUP (4 * DLH_PHILOX_LANES)
#define DRAW_BLOCK 8 /* groups */

/* Vectors of floats by hand: products and sums stay in registers while four elements of a lane pass. */
#if defined __AVX512F__
#define VEC_WIDTH 16
#define VEC_MUL_ADD(a, b, c) ((VecF) _mm512_fmadd_ps ((__m512) (a), (__m512) (b), (__m512) (c)))
#define VEC_MIN(a, b) ((VecU) _mm512_min_epu32 ((__m512i) (a), (__m512i) (b)))
#define VEC_MAX(a, b) ((VecU) _mm512_max_epu32 ((__m512i) (a), (__m512i) (b)))
#elif defined __AVX2__ && defined __FMA__
#define VEC_WIDTH 8
#define VEC_MUL_ADD(a, b, c) ((VecF) _mm256_fmadd_ps ((__m256) (a), (__m256) (b), (__m256) (c)))
#define VEC_MIN(a, b) ((VecU) _mm256_min_epu32 ((__m256i) (a), (__m256i) (b)))
#define VEC_MAX(a, b) ((VecU) _mm256_max_epu32 ((__m256i) (a), (__m256i) (b)))
#else
#define VEC_WIDTH 4
#define VEC_MUL_ADD(a, b, c) ((a) * (b) + (c))
#define VEC_MIN(a, b) (((a) & (VecU) ((a) < (b))) | ((b) & ~(VecU) ((a) < (b))))
#define VEC_MAX(a, b) (((a) & (VecU) ((a) > (b))) | ((b) & ~(VecU) ((a) > (b))))
#endif

typedef float VecF __attribute__ ((vector_size (4 * VEC_WIDTH), aligned (4), may_alias));
typedef guint32 VecU __attribute__ ((vector_size (4 * VEC_WIDTH), aligned (4), may_alias));

typedef float Float8 __attribute__ ((vector_size (32), aligned (4), may_alias));

/* Of floats the logarithms are of products of four, where all are within bounds. */
typedef struct {
    Double8 squares, logs;
    guint32 farthest; // bits of the lowest -|rho|
} DrawSums;

#define FARTHEST 20 // softplus of what is nearer, to the fourth, is a normal number

static inline guint32
bits_f32 (float x)
{
    guint32 bits;

    memcpy (&bits, &x, sizeof bits);
    return bits;
}

// softplus_f32 (x, decay_f32 (down_f32 (x, -87))).
static inline VecF
vec_softplus (VecF x)
{
    const VecF zero = {0}, round = zero + 0x1.8p23f, one = zero + 1;
    const VecU from = (VecU) {0} + bits_f32 (-87);
    const VecF down = (VecF) VEC_MIN ((VecU) x | 0x80000000u, from);
    const VecF t = VEC_MUL_ADD (down, zero + 1.44269504088896341f, round), k = t - round;
    const VecF r = VEC_MUL_ADD (k, zero + 2.12194440e-4f,
                                VEC_MUL_ADD (k, zero + -0.693359375f, down));
    const VecF scale = (VecF) (((VecU) t << 23) + 0x3f800000u);
    VecF p = zero + 0.0013814467f, e, z, w, q = zero + 0.140122294f;

    p = VEC_MUL_ADD (p, r, zero + 0.00836878041f);
    p = VEC_MUL_ADD (p, r, zero + 0.0416683942f);
    p = VEC_MUL_ADD (p, r, zero + 0.166665201f);
    p = VEC_MUL_ADD (p, r, zero + 0.499999934f);
    e = VEC_MUL_ADD (VEC_MUL_ADD (r * r, p, r), scale, scale);
    z = e / (e + (one + one));
    w = z * z;
    q = VEC_MUL_ADD (q, w, zero + 0.139995706f);
    q = VEC_MUL_ADD (q, w, zero + 0.200108495f);
    q = VEC_MUL_ADD (q, w, zero + 0.333332066f);
    z += z;
    // What is not below 0 is added, NaN too.
    return VEC_MUL_ADD (z * w, q, z) + (VecF) ((VecU) x & ~(VecU) (x < zero));
}

// Lane by lane: @n groups of 64, of which each lane has four elements a group.
static inline void
softplus_draw_block_f32 (float *restrict out, DrawSums *restrict sums, const float *restrict mean,
                         const float *restrict rho, const float *restrict normal, gsize n)
{
    float products[DRAW_BLOCK * DLH_PHILOX_LANES], squares[DLH_PHILOX_LANES];

    for (guint lane = 0; lane < DLH_PHILOX_LANES; lane += VEC_WIDTH) {
        VecF square = {0};
        VecU far = {0};

        for (gsize g = 0; g < n; g++) {
            VecF product = (VecF) {0} + 1;

            for (guint k = 0; k < DRAW_GROUP; k += DLH_PHILOX_LANES) {
                const gsize at = g * DRAW_GROUP + k + lane;
                const VecF x = *(const VecF *) (rho + at), m = *(const VecF *) (mean + at);
                const VecF s = vec_softplus (x);

                far = VEC_MAX (far, (VecU) x | 0x80000000u);
                *(VecF *) (out + at) = s * *(const VecF *) (normal + at);
                square = VEC_MUL_ADD (m, m, VEC_MUL_ADD (s, s, square));
                product *= s;
            }
            *(VecF *) (products + g * DLH_PHILOX_LANES + lane) = product;
        }
        *(VecF *) (squares + lane) = square;
        for (guint i = 0; i < VEC_WIDTH; i++)
            sums->farthest = MAX (sums->farthest, far[i]);
    }
    VECTOR_LOOP
    for (gsize i = 0; i < n * DLH_PHILOX_LANES; i++)
        products[i] = poly_log_f32 (products[i]);
    for (gsize i = 0; i < n * DLH_PHILOX_LANES; i += 8)
        sums->logs += __builtin_convertvector (*(const Float8 *) (products + i), Double8);
    for (gsize i = 0; i < DLH_PHILOX_LANES; i += 8)
        sums->squares += __builtin_convertvector (*(const Float8 *) (squares + i), Double8);
}

static inline void
softplus_draw_block_f64 (double *restrict out, DrawSums *restrict sums, const double *restrict mean,
                         const double *restrict rho, const double *restrict normal, gsize n)
{
    double squares[DRAW_BLOCK * DRAW_GROUP], logs[DRAW_BLOCK * DRAW_GROUP];

    VECTOR_LOOP
    for (gsize i = 0; i < n * DRAW_GROUP; i++) {
        const double x = rho[i];
        const double s = (x <= 0 ? 0 : x) + log1p (exp (x <= 0 ? x : -x)), l = log (s);

        out[i] = s * normal[i];
        squares[i] = mean[i] * mean[i] + s * s;
        // Far down s is exp x.
        logs[i] = x < -40 ? x : l;
    }
    for (gsize i = 0; i < n * DRAW_GROUP; i += 8) {
        sums->squares += *(const Double8 *) (squares + i);
        sums->logs += *(const Double8 *) (logs + i);
    }
}

// log softplus x, wherever x is.
static inline double
log_softplus_f32 (float x)
{
    return x < -30 ? x : log ((x <= 0 ? 0 : x) + log1p (exp (x <= 0 ? x : -x)));
}

static inline double
log_softplus_f64 (double x)
{
    return x < -40 ? x : log ((x <= 0 ? 0 : x) + log1p (exp (x <= 0 ? x : -x)));
}

// By address: a vector as an argument has another ABI at each level.
static inline double
sum8 (const Double8 *of)
{
    const Double8 x = *of;

    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

static inline double
sum_logs_f32 (const DrawSums *sums, const float *rho, gsize n)
{
    double slow = 0;

    if (sums->farthest <= bits_f32 (-FARTHEST))
        return sum8 (&sums->logs);
    for (gsize i = 0; i < n; i++)
        slow += log_softplus_f32 (rho[i]);
    return slow;
}

static inline double
sum_logs_f64 (const DrawSums *sums, const double *rho, gsize n)
{
    (void) rho, (void) n;
    return sum8 (&sums->logs);
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
        Type normal[DRAW_BLOCK * DRAW_GROUP] __attribute__ ((aligned (64)));                       \
        Type last[3][DRAW_GROUP] = {{0}}, *out = out_;                                             \
                                                                                                   \
        for (gsize g = 0; g < whole; g += DRAW_BLOCK) {                                            \
            const gsize at = g * DRAW_GROUP, some = MIN (DRAW_BLOCK, whole - g);                   \
                                                                                                   \
            philox_normal_##type (normal, key, counter, block + g * DLH_PHILOX_LANES, some);       \
            softplus_draw_block_##type (out + at, &sums, mean + at, rho + at, normal, some);       \
        }                                                                                          \
        sums_out[0] = sum8 (&sums.squares);                                                        \
        sums_out[1] = sum_logs_##type (&sums, rho, whole * DRAW_GROUP);                            \
        if (left) {                                                                                \
            const gsize at = whole * DRAW_GROUP;                                                   \
                                                                                                   \
            philox_normal_##type (normal, key, counter, block + whole * DLH_PHILOX_LANES, 1);      \
            memcpy (last[1], mean + at, left * sizeof (Type));                                     \
            memcpy (last[2], rho + at, left * sizeof (Type));                                      \
            softplus_draw_block_##type (last[0], &unused, last[1], last[2], normal, 1);            \
            memcpy (out + at, last[0], left * sizeof (Type));                                      \
            for (gsize i = 0; i < left; i++) {                                                     \
                const double log_s = log_softplus_##type (last[2][i]), s = exp (log_s);            \
                                                                                                   \
                sums_out[0] += (double) last[1][i] * (double) last[1][i] + s * s;                 \
                sums_out[1] += log_s;                                                              \
            }                                                                                      \
        }                                                                                          \
    }

SOFTPLUS_DRAW (f32, float)
SOFTPLUS_DRAW (f64, double)
