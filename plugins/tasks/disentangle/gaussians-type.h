/* SPDX-License-Identifier: MIT */
/* Included once for each level, with LEVEL its suffix and TARGET its attribute. */

#define NAME_(name, level) name##_##level
#define NAME__(name, level) NAME_ (name, level)
#define NAME(name) NAME__ (name, LEVEL)

TARGET static void
NAME (add) (double mu, double sigma, double weight, double low, double step, gint64 begin,
            gint64 end, double *const *rows, guint n_rows)
{
    // exp (-t^2 / 2) at t + LANES s is the value at t times exp (-LANES s t - LANES^2 s^2 / 2), a
    // factor that itself shrinks by a constant one.
    const double s = step / sigma, t0 = (low + (double)begin * step - mu) / sigma;
    const double shrink = exp (-LANES * LANES * s * s);
    Vector e, r, t;

    for (guint l = 0; l < LANES; l++)
        t[l] = t0 + l * s;
    e = t * t * -0.5;
    EXP (e, e);
    e *= weight / sigma;
    r = t * (-LANES * s) - LANES * LANES * s * s / 2;
    EXP (r, r);
    for (gint64 i = begin; i < end; i += LANES) {
        for (guint k = 0; k < n_rows; k++)
            *(Unaligned *)(rows[k] + i) += e;
        e *= r;
        r *= shrink;
    }
}

TARGET static void
NAME (sum) (const double *x, gsize n_x, const double *m, const double *r, const double *a, gsize n,
            double *sums)
{
    for (gsize s = 0; s < n_x; s += LANES) {
        const Vector at = *(const Unaligned *)(x + s);
        Vector total = {0};

        for (gsize c = 0; c < n; c++) {
            Vector t = (at - m[c]) * r[c], e;

            t = t * t * -0.5;
            EXP (e, t);
            total += e * a[c];
        }
        *(Unaligned *)(sums + s) += total;
    }
}

TARGET static void
NAME (joint) (const double *x, guint d, const double *m, const double *r, const double *weight,
              const double *log_weight, gsize n, const double *shift, double *marginals,
              double *joint)
{
    const Vector from = *(const Unaligned *)shift;
    Vector total = {0};

    for (gsize c = 0; c < n; c++) {
        Vector exponent = log_weight[c] - from, e;

        for (guint j = 0; j < d; j++) {
            Vector t = (*(const Unaligned *)(x + LANES * j) - m[c * d + j]) * r[c * d + j];

            t = t * t * -0.5;
            exponent += t;
            EXP (e, t);
            *(Unaligned *)(marginals + LANES * j) += e * (weight[c] * r[c * d + j]);
        }
        EXP (e, exponent);
        total += e;
    }
    *(Unaligned *)joint += total;
}

static const Gaussians NAME (gaussians) = {NAME (add), NAME (sum), NAME (joint)};

#undef NAME
#undef NAME_
#undef NAME__
