/* SPDX-License-Identifier: MIT */
/* How the means answer to the factors: a curve a latent over each factor, maps over the last two
 * factors, and what each latent knows of each factor. */
#include <math.h>
#include <string.h>
#include "disentangle.h"

#define MAX_SHOWN 12
#define MAP_SIDE 64 /* pixels, at least */

/* The mean code of each value of a factor, and how it is spread within it. */
typedef struct {
    double *x, *mean, *low, *high;
    gsize n;
} Response;

static void
response_free (gpointer response)
{
    Response *r = response;

    g_free (r->x);
    g_free (r->mean);
    g_free (r->low);
    g_free (r->high);
    g_free (r);
}

static Response *
response_new (const Codes *c, guint j, const CodesFactor *f)
{
    Response *r = g_new0 (Response, 1);
    const double *m = c->mean + j * (gsize)c->n;

    r->x = g_new (double, f->n_values);
    r->mean = g_new (double, f->n_values);
    r->low = g_new (double, f->n_values);
    r->high = g_new (double, f->n_values);
    for (gint64 v = 0; v < f->n_values; v++) {
        double mean = 0, squares = 0, s;

        if (!(f->mass[v] > 0))
            continue;
        for (gint64 i = f->start[v]; i < f->start[v + 1]; i++)
            mean += c->p[f->order[i]] / f->mass[v] * m[f->order[i]];
        for (gint64 i = f->start[v]; i < f->start[v + 1]; i++)
            squares +=
                c->p[f->order[i]] / f->mass[v] * (m[f->order[i]] - mean) * (m[f->order[i]] - mean);
        s = sqrt (squares);
        r->x[r->n] = f->values ? f->values[v] : (double)v;
        r->mean[r->n] = mean;
        r->low[r->n] = mean - s;
        r->high[r->n] = mean + s;
        r->n++;
    }
    return r;
}

// Latents that know less than half of what the best does are faint.
static gboolean
draw_factor (Disentangle *t, guint k, const Information *information, const guint *latents, guint n,
             GError **error)
{
    const Codes *c = &t->codes;
    const CodesFactor *f = &c->factors[k];
    g_autoptr (GPtrArray) responses = g_ptr_array_new_with_free_func (response_free);
    g_autoptr (GPtrArray) labels = g_ptr_array_new_with_free_func (g_free);
    g_autofree char *name = g_strdup_printf ("response-%s", f->name);
    g_autofree char *title = g_strdup_printf ("Codes over %s", f->name);
    DlhCurve curves[MAX_SHOWN] = {0};
    double most = 0;

    for (guint i = 0; i < n; i++)
        most = fmax (most, information->mi[latents[i] * c->k + k]);
    for (guint i = 0; i < n; i++) {
        double mi = information->mi[latents[i] * c->k + k];
        Response *r = response_new (c, latents[i], f);
        gboolean faint = mi < most / 2;

        g_ptr_array_add (responses, r);
        g_ptr_array_add (labels, g_strdup_printf ("z%u, I = %.2f", latents[i] + 1, fmax (mi, 0)));
        curves[i] = (DlhCurve){.label = labels->pdata[i],
                               .x = r->x,
                               .y = r->mean,
                               .low = faint ? NULL : r->low,
                               .high = faint ? NULL : r->high,
                               .n = r->n,
                               .colour = i + 1,
                               .faint = faint};
    }
    {
        const DlhFigure figure = {.size = sizeof figure,
                                  .name = name,
                                  .title = title,
                                  .caption = "Mean of the encoder's means at each value, with a "
                                             "standard deviation over the other factors",
                                  .x_label = f->name,
                                  .y_label = "mean of z",
                                  .curves = curves,
                                  .n_curves = n};

        return dlh_run_figure (t->run, &figure, error);
    }
}

static gboolean
draw_information (Disentangle *t, const Information *information, GError **error)
{
    const Codes *c = &t->codes;
    g_autofree double *x = g_new (double, c->d), *y = g_new (double, (gsize)c->d * c->k);
    g_autofree DlhCurve *curves = g_new0 (DlhCurve, c->k);
    guint n = 0;

    for (guint j = 0; j < c->d; j++)
        x[j] = j + 1;
    for (guint k = 0; k < c->k; k++) {
        if (!(c->factors[k].entropy > 0))
            continue;
        for (guint j = 0; j < c->d; j++)
            y[n * c->d + j] = fmax (information->mi[j * c->k + k], 0) / c->factors[k].entropy;
        curves[n] = (DlhCurve){.label = c->factors[k].name,
                               .x = x,
                               .y = y + n * c->d,
                               .n = c->d,
                               .style = DLH_CURVE_POINTS,
                               .colour = n + 1};
        n++;
    }
    {
        const DlhFigure figure = {.size = sizeof figure,
                                  .name = "information",
                                  .title = "What each latent knows of each factor",
                                  .caption = "MIG is the mean distance of a factor's first and "
                                             "second point from above",
                                  .x_label = "latent",
                                  .y_label = "I(z; v) / H(v)",
                                  .curves = curves,
                                  .n_curves = n};

        return n == 0 || dlh_run_figure (t->run, &figure, error);
    }
}

/* Maps. */

typedef struct {
    const CodesFactor *down, *across;
    double *sum, *mass; /* (down, across) */
    double low, high;
} Map;

static void
fill_map (Map *map, const Codes *c, guint j)
{
    gint64 across = map->across->n_values, n = map->down->n_values * across;
    const double *m = c->mean + j * (gsize)c->n;

    memset (map->sum, 0, (gsize)n * sizeof (double));
    memset (map->mass, 0, (gsize)n * sizeof (double));
    for (gint64 i = 0; i < c->n; i++) {
        gint64 at = map->down->value[i] * across + map->across->value[i];

        map->sum[at] += c->p[i] * m[i];
        map->mass[at] += c->p[i];
    }
    map->low = INFINITY;
    map->high = -INFINITY;
    for (gint64 i = 0; i < n; i++) {
        if (!(map->mass[i] > 0))
            continue;
        map->sum[i] /= map->mass[i];
        map->low = fmin (map->low, map->sum[i]);
        map->high = fmax (map->high, map->sum[i]);
    }
}

// From blue by white to red, from its least to its greatest value; cells without examples are grey.
static double
colour_of (const Map *map, gint64 at, guint channel)
{
    double range = map->high - map->low, v;

    if (!(map->mass[at] > 0))
        return 0.5;
    v = range > 0 ? 2 * (map->sum[at] - map->low) / range - 1 : 0;
    return channel == 1 ? 1 - fabs (v) : channel == 0 ? fmin (1 + v, 1) : fmin (1 - v, 1);
}

static gboolean
draw_maps (Disentangle *t, const guint *latents, guint n, GError **error)
{
    const Codes *c = &t->codes;
    guint n_scored;
    g_autofree guint *scored = scored_factors (c, &n_scored);
    g_autofree double *sum = NULL, *mass = NULL;
    g_autoptr (DlhTensor) out = NULL;
    gint64 cell, height, width;
    Map map;

    if (n_scored < 2)
        return TRUE;
    // For pictures x comes before y: the first of the two goes across.
    map = (Map){.across = &c->factors[scored[n_scored - 2]],
                .down = &c->factors[scored[n_scored - 1]]};
    if (map.across->n_values > 1024 || map.down->n_values > 1024)
        return TRUE;
    map.sum = sum = g_new (double, map.down->n_values *map.across->n_values);
    map.mass = mass = g_new (double, map.down->n_values *map.across->n_values);
    cell = MAX (MAP_SIDE / MAX (map.across->n_values, map.down->n_values), 1);
    height = cell * map.down->n_values;
    width = cell * map.across->n_values;
    if (!(out = dlh_tensor_new (DLH_F32, dlh_shape (n, 3, height, width), error)))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        fill_map (&map, c, latents[i]);
        for (guint channel = 0; channel < 3; channel++)
            for (gint64 row = 0; row < height; row++)
                for (gint64 column = 0; column < width; column++)
                    dlh_tensor_set (out, ((i * 3 + channel) * height + row) * width + column,
                                    colour_of (&map,
                                               row / cell * map.across->n_values + column / cell,
                                               channel));
    }
    dlh_run_message (t->run,
                     "image 'responses': mean codes over %s (across) and %s (down), a map a "
                     "latent in the order of the traversals' rows",
                     map.across->name, map.down->name);
    return dlh_run_log_image (t->run, 0, "responses", out, error);
}

gboolean
disentangle_respond (Disentangle *t, const Information *information, const guint *latents, guint n,
                     GError **error)
{
    n = MIN (n, MAX_SHOWN);
    if (!draw_information (t, information, error))
        return FALSE;
    for (guint k = 0; k < t->codes.k && n > 0; k++)
        if (t->codes.factors[k].entropy > 0 && !draw_factor (t, k, information, latents, n, error))
            return FALSE;
    return n == 0 || draw_maps (t, latents, n, error);
}
