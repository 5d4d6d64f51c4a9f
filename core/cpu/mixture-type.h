/* SPDX-License-Identifier: MIT */
/* The kernels of one element type: mixture.c includes this with T, FN, DTYPE,
 * LOWEST, below which an exponential counts as 0, and NOTHING, a little above its exponential. */

static void
FN (terms) (void *t_, void *l_, void *joint_, const void *mean_, const void *inv_, const void *c_,
            double z_, gint64 n)
{
    T *restrict t = t_, *restrict l = l_, *restrict joint = joint_;
    const T *restrict mean = mean_, *restrict inv = inv_, *restrict c = c_;
    const T z = (T)z_;

    for (gint64 j = 0; j < n && !t; j++) {
        const T u = (z - mean[j]) * inv[j], v = c[j] - (T)0.5 * u * u;

        l[j] = v;
        joint[j] += v;
    }
    for (gint64 j = 0; j < n && t; j++) {
        const T u = (z - mean[j]) * inv[j], v = c[j] - (T)0.5 * u * u;

        t[j] = u;
        l[j] = v;
        joint[j] += v;
    }
}

// Vector exponentials are slow where they underflow, and here most of them would.
static void
FN (weigh) (void *y_, double shift_, gint64 n)
{
    T *y = y_;
    const T shift = (T)shift_;

    for (gint64 j = 0; j < n; j++) {
        const T x = y[j] + shift;

        y[j] = x < LOWEST ? LOWEST : x;
    }
    LOOPS.ew[DLH_EW_exp][DTYPE - 1](y, y, NULL, NULL, (gsize)n, NULL);
    for (gint64 j = 0; j < n; j++)
        y[j] = y[j] <= NOTHING ? 0 : y[j];
}

// p is used up.
static double
FN (back) (void *p_, const void *t_, const void *q_, const void *inv_, void *mean_, void *log_std_,
           double g_, double joint_g_, gint64 n)
{
    T *restrict p = p_, *restrict mean = mean_, *restrict log_std = log_std_;
    const T *restrict t = t_, *restrict q = q_, *restrict inv = inv_;
    const T g = (T)g_, joint_g = (T)joint_g_;

    for (gint64 j = 0; j < n; j++) {
        const T a = g * p[j] + joint_g * q[j], at = a * t[j];

        mean[j] += at;
        log_std[j] += at * t[j] - a;
        p[j] = at * inv[j];
    }
    return LOOPS.sum[DTYPE - 1](p, (gsize)n);
}

// The maximum is subtracted. In pieces that stay in the cache; sums in double.
static double
FN (logsumexp) (const void *x_, gint64 n)
{
    const T *x = x_;
    T lanes[LANES], piece[PIECE], max = x[0];
    double sum = 0;
    gint64 whole = n / LANES * LANES;

    for (gint64 k = 0; k < LANES; k++)
        lanes[k] = x[0];
    for (gint64 j = 0; j < whole; j += LANES)
        for (gint64 k = 0; k < LANES; k++)
            lanes[k] = x[j + k] > lanes[k] || x[j + k] != x[j + k] ? x[j + k] : lanes[k];
    for (gint64 k = 0; k < LANES; k++)
        max = lanes[k] > max || lanes[k] != lanes[k] ? lanes[k] : max;
    for (gint64 j = whole; j < n; j++)
        max = x[j] > max || x[j] != x[j] ? x[j] : max;
    if (!isfinite (max))
        return (double)max;
    for (gint64 j = 0; j < n; j += PIECE) {
        const gint64 m = MIN (PIECE, n - j);

        for (gint64 k = 0; k < m; k++) {
            const T d = x[j + k] - max;

            piece[k] = d < LOWEST ? LOWEST : d;
        }
        LOOPS.ew[DLH_EW_exp][DTYPE - 1](piece, piece, NULL, NULL, (gsize)m, NULL);
        sum += LOOPS.sum[DTYPE - 1](piece, (gsize)m);
    }
    return (double)max + log (sum);
}
