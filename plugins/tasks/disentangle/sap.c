/* SPDX-License-Identifier: MIT */
/* Separated attribute predictability. */
#include <math.h>
#include <string.h>
#include "scores.h"

#define BINS 100

// Squared correlation of latent @j and the factor's numbers.
static double
squared_correlation (const Codes *c, const CodesFactor *f, guint j)
{
    const double *m = c->mean + j * (gsize)c->n;
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;

    for (gint64 i = 0; i < c->n; i++) {
        mx += c->p[i] * m[i];
        my += c->p[i] * f->values[f->value[i]];
    }
    for (gint64 i = 0; i < c->n; i++) {
        double x = m[i] - mx, y = f->values[f->value[i]] - my;

        xx += c->p[i] * x * x;
        yy += c->p[i] * y * y;
        xy += c->p[i] * x * y;
    }
    // A latent that does not move predicts nothing; its rounding is no variance.
    return xx > 1e-12 && yy > 0 ? xy * xy / (xx * yy) : 0;
}

static int
compare (gconstpointer a, gconstpointer b, gpointer user_data)
{
    const double *m = user_data;
    double x = m[*(const gint64 *)a], y = m[*(const gint64 *)b];

    return (x > y) - (x < y);
}

/* How right the best step function of latent @j is, each value counting as much as the others: in
 * each of BINS equally probable ranges it gives the value most frequent there, relative to its own
 * frequency. */
static double
balanced_accuracy (const Codes *c, const CodesFactor *f, guint j)
{
    const double *m = c->mean + j * (gsize)c->n;
    g_autofree gint64 *order = g_new (gint64, c->n);
    g_autofree double *share = g_new0 (double, f->n_values);
    double done = 0, limit = 1, right = 0;
    guint n_occur = 0;

    for (gint64 i = 0; i < c->n; i++)
        order[i] = i;
    g_qsort_with_data (order, (int)c->n, sizeof *order, compare, (gpointer)m);
    for (gint64 v = 0; v < f->n_values; v++)
        n_occur += f->mass[v] > 0;
    for (gint64 i = 0; i < c->n; i++) {
        gint64 at = order[i];
        double most = 0;

        if (c->p[at] > 0)
            share[f->value[at]] += c->p[at] / f->mass[f->value[at]] / n_occur;
        done += c->p[at];
        // Equal numbers are in one range.
        if (i + 1 < c->n && (done * BINS < limit || m[order[i + 1]] == m[at]))
            continue;
        for (gint64 v = 0; v < f->n_values; v++)
            most = fmax (most, share[v]);
        right += most;
        memset (share, 0, (gsize)f->n_values * sizeof *share);
        limit = floor (done * BINS) + 1;
    }
    return right;
}

double
score_sap (const Codes *c)
{
    double sum = 0;
    guint n = 0;

    for (guint k = 0; k < c->k; k++) {
        const CodesFactor *f = &c->factors[k];
        double first = 0, second = 0;

        if (!f->scored)
            continue;
        for (guint j = 0; j < c->d; j++) {
            double s = f->values ? squared_correlation (c, f, j) : balanced_accuracy (c, f, j);

            second = fmax (second, fmin (first, s));
            first = fmax (first, s);
        }
        sum += first - second;
        n++;
    }
    return n ? sum / n : NAN;
}
