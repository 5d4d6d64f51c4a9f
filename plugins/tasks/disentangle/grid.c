/* SPDX-License-Identifier: MIT */
/* Mutual information without chance: each latent is one-dimensional, so all densities that are
 * needed are added up on a grid, an example's Gaussian to the row of its value of each factor. On a
 * grid finer than a Gaussian is wide the trapezoidal rule errs by less than rounding. */
#include <math.h>
#include <string.h>
#include "gaussians.h"
#include "information.h"

#define REACH 7.0 /* deviations to either side: beyond them lies 3e-12 of the mass */
#define TILE 512  /* points of a row that a thread works on at once; a multiple of LANES */
#define MAX_POINTS 65536
#define MAX_FACTORS 32
#define ROOT_2PI 2.50662827463100050242

typedef struct {
    const Codes *codes;
    const Gaussians *gaussians;
    double low, step;
    gint64 points; /* a multiple of TILE */
    guint latent;
    double *rows; /* (all factors' values, points) */
    gsize *first; /* (k): each factor's first row */
    gsize n_rows;
} Grid;

static void
grid_clear (Grid *g)
{
    g_free (g->rows);
    g_free (g->first);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Grid, grid_clear)

// FALSE when no grid is fine enough.
static gboolean
grid_place (Grid *g, guint j, gint64 points)
{
    const Codes *c = g->codes;
    const double *mean = c->mean + j * (gsize)c->n, *log_std = c->log_std + j * (gsize)c->n;
    double low = INFINITY, high = -INFINITY, least = INFINITY, wanted;

    for (gint64 i = 0; i < c->n; i++) {
        double s = exp (log_std[i]);

        low = fmin (low, mean[i] - REACH * s);
        high = fmax (high, mean[i] + REACH * s);
        least = fmin (least, s);
    }
    wanted = fmax ((double)points, ceil ((high - low) / least * 4) + 1);
    if (!(wanted <= MAX_POINTS))
        return FALSE;
    g->latent = j;
    g->points = ((gint64)wanted + TILE - 1) / TILE * TILE;
    g->low = low;
    g->step = (high - low) / (double)(g->points - 1);
    return TRUE;
}

static void
add_example (const Grid *g, gint64 n, gint64 tile)
{
    const Codes *c = g->codes;
    double mean = c->mean[g->latent * (gsize)c->n + (gsize)n];
    double s = exp (c->log_std[g->latent * (gsize)c->n + (gsize)n]);
    double from = (mean - REACH * s - g->low) / g->step, to = (mean + REACH * s - g->low) / g->step;
    gint64 begin = MAX ((gint64)floor (from), tile) / LANES * LANES;
    gint64 end = MIN (((gint64)ceil (to) + LANES) / LANES * LANES, tile + TILE);
    double *rows[MAX_FACTORS];

    if (begin >= end || c->p[n] == 0)
        return;
    for (guint k = 0; k < c->k; k++)
        rows[k] = g->rows + (g->first[k] + (gsize)c->factors[k].value[n]) * (gsize)g->points;
    g->gaussians->add (mean, s, c->p[n], g->low, g->step, begin, end, rows, c->k);
}

static void
add_tiles (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Grid *g = user_data;

    (void)thread;
    for (gsize tile = begin; tile < end; tile++)
        for (gint64 n = 0; n < g->codes->n; n++)
            add_example (g, n, (gint64)tile * TILE);
}

// Of the density row / (mass sqrt (2 pi)).
static double
row_entropy (const Grid *g, const double *row, double mass)
{
    double sum = 0;

    for (gint64 i = 0; i < g->points; i += TILE) {
        double part = 0;

        for (gint64 at = i; at < i + TILE; at++) {
            double q = row[at] / (mass * ROOT_2PI);

            if (q > 0)
                part -= q * log (q);
        }
        sum += part;
    }
    return sum * g->step;
}

typedef struct {
    Grid *grid;
    double *entropies; /* (n_rows) */
    const double *masses;
} Rows;

static void
entropy_rows (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Rows *r = user_data;

    (void)thread;
    for (gsize i = begin; i < end; i++)
        r->entropies[i] =
            r->masses[i] > 0
                ? row_entropy (r->grid, r->grid->rows + i * (gsize)r->grid->points, r->masses[i])
                : 0;
}

// The marginal's row is the sum of any factor's; it is left in its first one.
static double
marginal_entropy (Grid *g)
{
    gsize points = (gsize)g->points;

    for (gint64 v = 1; v < g->codes->factors[0].n_values; v++)
        for (gsize i = 0; i < points; i++)
            g->rows[i] += g->rows[(gsize)v * points + i];
    return row_entropy (g, g->rows, 1);
}

static gboolean
work_latent (Grid *g, const double *masses, Information *out, GError **error)
{
    const Codes *c = g->codes;
    g_autofree double *entropies = g_new (double, g->n_rows);
    Rows rows = {g, entropies, masses};
    gsize count = g->n_rows * (gsize)g->points;

    g_free (g->rows);
    g->rows = g_try_new0 (double, count);
    if (!g->rows) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY, "cannot allocate %zu densities", count);
        return FALSE;
    }
    dlh_parallel_for ((gsize)g->points / TILE, 1, add_tiles, g);
    dlh_parallel_for (g->n_rows, 1, entropy_rows, &rows);
    out->entropy[g->latent] = marginal_entropy (g);
    for (guint k = 0; k < c->k; k++) {
        double *mi = &out->mi[g->latent * c->k + k];

        *mi = out->entropy[g->latent];
        for (gint64 v = 0; v < c->factors[k].n_values; v++)
            *mi -= c->factors[k].mass[v] * entropies[g->first[k] + (gsize)v];
    }
    return TRUE;
}

gboolean
information_by_grid (const Codes *c, gint64 points, Information *out, gboolean *fits, gint64 *done,
                     const Pace *pace, GError **error)
{
    g_auto (Grid) g = {.codes = c, .gaussians = gaussians_get ()};
    gint64 none = 0, *latent = done ? done : &none;
    g_autofree double *masses = NULL;

    g_return_val_if_fail (c->k > 0 && c->k <= MAX_FACTORS, FALSE);
    *fits = TRUE;
    for (guint j = 0; j < c->d && *fits; j++)
        *fits = grid_place (&g, j, points);
    if (!*fits)
        return TRUE;
    g.first = g_new (gsize, c->k);
    for (guint k = 0; k < c->k; k++) {
        g.first[k] = g.n_rows;
        g.n_rows += (gsize)c->factors[k].n_values;
    }
    masses = g_new (double, g.n_rows);
    for (guint k = 0; k < c->k; k++)
        memcpy (masses + g.first[k], c->factors[k].mass,
                (gsize)c->factors[k].n_values * sizeof (double));
    while (*latent < c->d) {
        grid_place (&g, (guint)*latent, points);
        if (!work_latent (&g, masses, out, error))
            return FALSE;
        ++*latent;
        if (!pace_step (pace, (double)*latent / c->d, error))
            return FALSE;
    }
    return TRUE;
}
