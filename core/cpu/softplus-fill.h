/* SPDX-License-Identifier: MIT */
/* s = softplus x with what is needed beside it, and draws of N (0, s^2) with sums over s in the same
 * pass. Part of loops.c, after philox-fill.h.
 *
 * Of floats, exp and log1p are polynomials of our own: on the half line x <= 0 and on [0, 1] they
 * need a third of the time of the general functions. Coefficients are minimax, by Remez's exchange;
 * relative errors 3e-9 and 5e-9. */

#if defined __FMA__
#define MUL_ADD(a, b, c) __builtin_fmaf (a, b, c)
#else
#define MUL_ADD(a, b, c) ((a) * (b) + (c))
#endif

// Of an x whose bits are @bits, -|x|; none beyond -@farthest, but NaN is as far.
static inline float
down_f32 (guint32 bits, float farthest)
{
    guint32 far, near;
    float y;

    memcpy (&far, &farthest, sizeof far);
    near = bits | 0x80000000u;
    near = near < far ? near : far;
    memcpy (&y, &near, sizeof y);
    return y;
}

// exp x, -87 <= x <= 0: x = k log 2 + r, |r| <= log (2) / 2.
static inline float
decay_f32 (float x)
{
    const float round = 0x1.8p23f; // x + round - round is x as a whole number
    const float t = MUL_ADD (x, 1.44269504088896341f, round), k = t - round;
    const float r = MUL_ADD (k, 2.12194440e-4f, MUL_ADD (k, -0.693359375f, x));
    const float p = MUL_ADD (
        MUL_ADD (MUL_ADD (MUL_ADD (0.0013814467f, r, 0.00836878041f), r, 0.0416683942f), r,
                 0.166665201f),
        r, 0.499999934f);
    guint32 bits;
    float scale;

    // The low bits of t are k.
    memcpy (&bits, &t, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    memcpy (&scale, &bits, sizeof scale);
    return MUL_ADD (MUL_ADD (r * r, p, r), scale, scale);
}

// log (1 + e), 0 <= e <= 1: 2 artanh z, z = e / (2 + e) <= 1/3.
static inline float
log1p_unit_f32 (float e)
{
    const float z = e / (2 + e), w = z * z;
    const float p = MUL_ADD (
        MUL_ADD (MUL_ADD (0.140122294f, w, 0.139995706f), w, 0.200108495f), w, 0.333332066f);

    return MUL_ADD (2 * z * w, p, 2 * z);
}

static inline float
softplus_f32 (float x, float e)
{
    return (0 > x ? 0 : x) + log1p_unit_f32 (e);
}

/* (u + v s^2) s' / s. With e = exp (-|x|) not below a small number, s' / s goes to 1 as x falls, and
 * nothing else changes. */

#define SMALL_EXP 0x1p-100f

static inline float
softplus_grad_f32 (float x, float u, float v)
{
    guint32 bits;
    float e, s;

    memcpy (&bits, &x, sizeof bits);
    e = decay_f32 (down_f32 (bits, -69));
    s = softplus_f32 (x, e);
    return MUL_ADD (v, s * s, u) * (x <= 0 ? e : 1) / ((1 + e) * s);
}

static inline double
softplus_grad_f64 (double x, double u, double v)
{
    const double decay = exp (x <= 0 ? x : -x), e = decay <= SMALL_EXP ? SMALL_EXP : decay;
    const double s = (x <= 0 ? 0 : x) + log1p (e);

    return (u + v * (s * s)) * (x <= 0 ? e : 1) / ((1 + e) * s);
}
