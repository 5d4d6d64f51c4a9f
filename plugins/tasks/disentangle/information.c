/* SPDX-License-Identifier: MIT */
/* Gaps, and the authors' estimator by samples. */
#include <math.h>
#include <string.h>
#include "gaussians.h"
#include "information.h"

#define TILE 1024 /* components that stay in the fastest memory */
#define LOG_2PI 1.83787706640934548356

void
information_init (Information *i, const Codes *codes)
{
    i->mi = g_new0 (double, MAX ((gsize)codes->d * codes->k, 1));
    i->entropy = g_new0 (double, MAX (codes->d, 1));
}

void
information_clear (Information *i)
{
    g_free (i->mi);
    g_free (i->entropy);
}

double
information_gap (const Codes *c, const Information *information, double *gaps)
{
    double sum = 0;
    guint n = 0;

    for (guint k = 0; k < c->k; k++) {
        double first = 0, second = 0, gap = NAN;

        for (guint j = 0; j < c->d; j++) {
            double mi = fmax (information->mi[j * c->k + k], 0);

            second = fmax (second, fmin (first, mi));
            first = fmax (first, mi);
        }
        if (c->factors[k].entropy > 0)
            gap = (first - second) / c->factors[k].entropy;
        if (gaps)
            gaps[k] = gap;
        if (c->factors[k].scored) {
            sum += gap;
            n++;
        }
    }
    return n ? sum / n : NAN;
}

/* A mixture of the examples order[0 .. n - 1] (NULL: all), as columns. */
typedef struct {
    double *m, *r, *a; /* (n) */
    gsize n;
} Mixture;

static void
gather (Mixture *to, const Codes *c, guint j, const gint64 *order, gint64 n, double mass)
{
    const double *mean = c->mean + j * (gsize)c->n, *log_std = c->log_std + j * (gsize)c->n;

    to->n = (gsize)n;
    for (gint64 i = 0; i < n; i++) {
        gint64 at = order ? order[i] : i;

        to->m[i] = mean[at];
        to->r[i] = exp (-log_std[at]);
        to->a[i] = to->r[i] * c->p[at] / mass;
    }
}

typedef struct {
    const Gaussians *gaussians;
    const Mixture *mixture;
    const double *x; /* (n), a multiple of LANES */
    double *sums;
} Density;

static void
density_part (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Density *d = user_data;
    const Mixture *mix = d->mixture;

    (void)thread;
    begin *= LANES;
    end *= LANES;
    for (gsize c = 0; c < mix->n; c += TILE)
        d->gaussians->sum (d->x + begin, end - begin, mix->m + c, mix->r + c, mix->a + c,
                           MIN (mix->n - c, TILE), d->sums + begin);
}

// Minus the mean of the log density of @mix at @x, n_x of them with room for full vectors.
static double
mixture_entropy (const Mixture *mix, double *x, gsize n_x, double *sums)
{
    gsize n = (n_x + LANES - 1) / LANES * LANES;
    Density d = {gaussians_get (), mix, x, sums};
    double total = 0;

    for (gsize s = n_x; s < n; s++)
        x[s] = x[0];
    memset (sums, 0, n * sizeof *sums);
    dlh_parallel_for (n / LANES, 4, density_part, &d);
    for (gsize s = 0; s < n_x; s++)
        total += log (sums[s]);
    return LOG_2PI / 2 - total / (double)n_x;
}

typedef struct {
    const Codes *codes;
    Mixture mix;
    double *x, *sums, *u, *rising;
    gsize n_samples;
    guint64 seed, draw;
} Sampler;

static void
sampler_clear (Sampler *s)
{
    g_free (s->mix.m);
    g_free (s->mix.r);
    g_free (s->mix.a);
    g_free (s->x);
    g_free (s->sums);
    g_free (s->u);
    g_free (s->rising);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sampler, sampler_clear)

// Of latent j over the examples @order; samples of them with replacement.
static double
entropy_of (Sampler *s, guint j, const gint64 *order, gint64 n, double mass)
{
    const Codes *c = s->codes;

    gather (&s->mix, c, j, order, n, mass);
    for (gint64 i = 0; i < n; i++)
        s->rising[i] = (i ? s->rising[i - 1] : 0) + c->p[order ? order[i] : i];
    dlh_random_fill_uniform (s->seed, "disentangle/information", s->draw++, s->u, s->n_samples);
    for (gsize i = 0; i < s->n_samples; i++) {
        gint64 at = codes_find (s->rising, n, s->u[i] * s->rising[n - 1]);

        s->x[i] = c->z[j * (gsize)c->n + (gsize)(order ? order[at] : at)];
    }
    return mixture_entropy (&s->mix, s->x, s->n_samples, s->sums);
}

static gboolean
sample_latent (Sampler *s, guint j, Information *out, const Pace *pace, GError **error)
{
    const Codes *c = s->codes;
    double total = (double)c->d * (c->k + 1), done = (double)j * (c->k + 1);

    out->entropy[j] = entropy_of (s, j, NULL, c->n, 1);
    if (!pace_step (pace, ++done / total, error))
        return FALSE;
    for (guint k = 0; k < c->k; k++) {
        const CodesFactor *f = &c->factors[k];
        double *mi = &out->mi[j * c->k + k];

        *mi = out->entropy[j];
        for (gint64 v = 0; v < f->n_values; v++) {
            gint64 n = f->start[v + 1] - f->start[v];

            if (f->mass[v] > 0)
                *mi -= f->mass[v] * entropy_of (s, j, f->order + f->start[v], n, f->mass[v]);
            if (!pace_step (pace, (done + (double)(v + 1) / (double)f->n_values) / total, error))
                return FALSE;
        }
        done++;
    }
    return TRUE;
}

// Of a latent: of the marginal and of each value that occurs.
static guint
draws_of_latent (const Codes *c)
{
    guint n = 1;

    for (guint k = 0; k < c->k; k++)
        for (gint64 v = 0; v < c->factors[k].n_values; v++)
            n += c->factors[k].mass[v] > 0;
    return n;
}

gboolean
information_by_samples (const Codes *c, gint64 n_samples, guint64 seed, Information *out,
                        gint64 *done, const Pace *pace, GError **error)
{
    g_auto (Sampler) s = {.codes = c, .n_samples = (gsize)n_samples, .seed = seed};
    gint64 none = 0, *latent = done ? done : &none;

    s.mix = (Mixture){g_new (double, c->n), g_new (double, c->n), g_new (double, c->n), 0};
    s.rising = g_new (double, c->n);
    s.x = g_new (double, n_samples + LANES);
    s.sums = g_new (double, n_samples + LANES);
    s.u = g_new (double, n_samples);
    while (*latent < c->d) {
        s.draw = (guint)*latent * draws_of_latent (c);
        if (!sample_latent (&s, (guint)*latent, out, pace, error))
            return FALSE;
        ++*latent;
    }
    return TRUE;
}
