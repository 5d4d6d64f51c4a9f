/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "decompose.h"
#include "gaussians.h"

#define TILE 128    /* components that are gathered at once */
#define AT_ONCE 512 /* vectors of samples between two looks at the clock */
#define LOG_2PI 1.83787706640934548356

typedef struct {
    const Codes *codes;
    const Gaussians *gaussians;
    const gint64 *rows; /* of the samples */
    gsize n_samples, offset;
    double *joint;     /* (n_samples): log q (z) */
    double *marginals; /* (n_samples): sum of log q (z_j) */
} Work;

/* Components one after another, dimensions of one side by side. */
typedef struct {
    double *m, *r; /* (TILE, d) */
    double weight[TILE], log_weight[TILE];
} Tile;

static void
gather (Tile *to, const Codes *c, gint64 first, gint64 n)
{
    for (gint64 i = 0; i < n; i++) {
        double sum = 0;

        for (guint j = 0; j < c->d; j++) {
            gsize at = j * (gsize)c->n + (gsize)(first + i);

            to->m[i * c->d + j] = c->mean[at];
            to->r[i * c->d + j] = exp (-c->log_std[at]);
            sum -= c->log_std[at];
        }
        to->weight[i] = c->p[first + i];
        to->log_weight[i] = sum + log (c->p[first + i]);
    }
}

// A vector of samples; those beyond the last are copies of the first.
static void
take_samples (const Work *w, gsize at, double *x, double *shift)
{
    const Codes *c = w->codes;

    for (guint l = 0; l < LANES; l++) {
        gint64 n = w->rows[at + l < w->n_samples ? at + l : 0];

        // What its own example gives is of the right size.
        shift[l] = log (c->p[n]);
        for (guint j = 0; j < c->d; j++) {
            gsize i = j * (gsize)c->n + (gsize)n;
            double t = (c->z[i] - c->mean[i]) * exp (-c->log_std[i]);

            x[j * LANES + l] = c->z[i];
            shift[l] -= c->log_std[i] + t * t / 2;
        }
    }
}

static void
work_part (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Work *w = user_data;
    const Codes *c = w->codes;
    gsize n = end - begin, width = c->d * LANES;
    g_autofree double *x = g_new (double, n *width);
    g_autofree double *marginals = g_new0 (double, n *width);
    g_autofree double *joint = g_new0 (double, n *LANES);
    g_autofree double *shift = g_new (double, n *LANES);
    g_autofree double *m = g_new (double, TILE * c->d), *r = g_new (double, TILE * c->d);
    Tile tile = {m, r, {0}, {0}};

    (void)thread;
    for (gsize v = 0; v < n; v++)
        take_samples (w, (w->offset + begin + v) * LANES, x + v * width, shift + v * LANES);
    for (gint64 first = 0; first < c->n; first += TILE) {
        gint64 count = MIN (TILE, c->n - first);

        gather (&tile, c, first, count);
        for (gsize v = 0; v < n; v++)
            w->gaussians->joint (x + v * width, c->d, m, r, tile.weight, tile.log_weight,
                                 (gsize)count, shift + v * LANES, marginals + v * width,
                                 joint + v * LANES);
    }
    for (gsize s = 0; s < n * LANES; s++) {
        gsize at = (w->offset + begin) * LANES + s;

        if (at >= w->n_samples)
            break;
        w->joint[at] = log (joint[s]) + shift[s] - c->d * LOG_2PI / 2;
        w->marginals[at] = -(c->d * LOG_2PI / 2);
        for (guint j = 0; j < c->d; j++)
            w->marginals[at] += log (marginals[s / LANES * width + j * LANES + s % LANES]);
    }
}

static void
draw_rows (const Codes *c, guint64 seed, gint64 n, gint64 *rows)
{
    g_autofree double *rising = g_new (double, c->n);
    g_autofree double *u = g_new (double, n);

    for (gint64 i = 0; i < c->n; i++)
        rising[i] = (i ? rising[i - 1] : 0) + c->p[i];
    dlh_random_fill_uniform (seed, "disentangle/decompose", 0, u, (gsize)n);
    for (gint64 i = 0; i < n; i++)
        rows[i] = codes_find (rising, c->n, u[i] * rising[c->n - 1]);
}

// Of a - b, with b NULL for 0.
static double
mean_and_error (const double *a, const double *b, gint64 n, double *error)
{
    double mean = 0, squares = 0;

    for (gint64 i = 0; i < n; i++)
        mean += (a[i] - (b ? b[i] : 0)) / (double)n;
    for (gint64 i = 0; i < n; i++) {
        double d = a[i] - (b ? b[i] : 0) - mean;

        squares += d * d;
    }
    *error = n > 1 ? sqrt (squares / (double)(n - 1) / (double)n) : 0;
    return mean;
}

static gboolean
work_densities (const Codes *c, gint64 n_samples, guint64 seed, DecomposeState *state,
                const Pace *pace, GError **error)
{
    g_autofree gint64 *rows = g_new (gint64, n_samples);
    Work w = {c, gaussians_get (), rows, (gsize)n_samples, 0, state->joint, state->marginals};
    gsize n_vectors = ((gsize)n_samples + LANES - 1) / LANES;

    draw_rows (c, seed, n_samples, rows);
    while (*state->done < n_samples) {
        gsize n;

        w.offset = (gsize)*state->done / LANES;
        n = MIN (n_vectors - w.offset, AT_ONCE);
        dlh_parallel_for (n, 1, work_part, &w);
        *state->done = MIN ((gint64)((w.offset + n) * LANES), n_samples);
        if (!pace_step (pace, (double)*state->done / (double)n_samples, error))
            return FALSE;
    }
    return TRUE;
}

double
prior_cross (const CodePrior *prior, guint j, double mean, double log_std)
{
    double b = exp (prior->log_scale[j]), s = exp (log_std), shift = mean - prior->mean[j];

    if (!prior->laplace)
        return LOG_2PI / 2 + prior->log_scale[j] + (shift * shift + s * s) / (b * b) / 2;
    // -log p = log 2 b + |z - m| / b, and the mean distance of a Gaussian.
    return log (2) + prior->log_scale[j] +
           (s * sqrt (M_2_PI) * exp (-shift * shift / (2 * s * s)) +
            shift * erf (shift / (s * M_SQRT2))) /
               b;
}

// In closed form: E H (q (z | n)), and E [-log p (z)].
static void
closed_forms (const Codes *c, const CodePrior *prior, double *entropy, double *cross)
{
    *entropy = *cross = 0;
    for (guint j = 0; j < c->d; j++)
        for (gint64 i = 0; i < c->n; i++) {
            gsize at = j * (gsize)c->n + (gsize)i;
            *entropy += c->p[i] * (c->log_std[at] + (1 + LOG_2PI) / 2);
            *cross += c->p[i] * prior_cross (prior, j, c->mean[at], c->log_std[at]);
        }
}

gboolean
decompose (const Codes *c, const CodePrior *prior, gint64 n_samples, guint64 seed,
           DecomposeState *state, Decomposition *out, const Pace *pace, GError **error)
{
    g_autofree double *joint = state ? NULL : g_new (double, n_samples);
    g_autofree double *marginals = state ? NULL : g_new (double, n_samples);
    gint64 none = 0;
    DecomposeState own = {&none, joint, marginals}, *s = state ? state : &own;
    double entropy, cross, log_joint, log_marginals;

    if (!work_densities (c, n_samples, seed, s, pace, error))
        return FALSE;
    closed_forms (c, prior, &entropy, &cross);
    log_joint = mean_and_error (s->joint, NULL, n_samples, &out->information_se);
    log_marginals = mean_and_error (s->marginals, NULL, n_samples, &out->dimensions_se);
    out->correlation = mean_and_error (s->joint, s->marginals, n_samples, &out->correlation_se);
    out->entropy = -log_joint;
    out->information = -log_joint - entropy;
    out->dimensions = log_marginals + cross;
    out->kl = cross - entropy;
    if (isfinite (out->correlation) && isfinite (out->information))
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                 "the density q(z) of the codes is %g: means or deviations are out of range",
                 exp (log_joint));
    return FALSE;
}
