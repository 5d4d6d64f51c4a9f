/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "codes.h"

static double *
column (gint64 n, guint d)
{
    return g_try_new (double, MAX ((gsize)n * d, 1));
}

gboolean
codes_init (Codes *c, gint64 n, guint d, GError **error)
{
    *c = (Codes){.n = n, .d = d};
    c->mean = column (n, d);
    c->log_std = column (n, d);
    c->z = column (n, d);
    c->p = column (n, 1);
    if (!c->mean || !c->log_std || !c->z || !c->p) {
        codes_clear (c);
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "cannot allocate the codes of %" G_GINT64_FORMAT " examples, %u latents each",
                     n, d);
        return FALSE;
    }
    codes_set_weights (c, NULL);
    return TRUE;
}

void
codes_clear (Codes *c)
{
    for (guint k = 0; k < c->k; k++) {
        g_free (c->factors[k].value);
        g_free (c->factors[k].mass);
        g_free (c->factors[k].order);
        g_free (c->factors[k].start);
    }
    g_free (c->factors);
    g_free (c->mean);
    g_free (c->log_std);
    g_free (c->z);
    g_free (c->p);
    *c = (Codes){0};
}

void
codes_set_weights (Codes *c, const double *weights)
{
    double sum = 0;

    for (gint64 i = 0; i < c->n; i++)
        sum += weights ? weights[i] : 1;
    for (gint64 i = 0; i < c->n; i++)
        c->p[i] = (weights ? weights[i] : 1) / sum;
}

// Examples by value, those of one value in their order.
static void
sort_by_value (const Codes *c, CodesFactor *f)
{
    g_autofree gint64 *at = NULL;

    f->order = g_new (gint64, c->n);
    f->start = g_new0 (gint64, f->n_values + 1);
    for (gint64 i = 0; i < c->n; i++)
        f->start[f->value[i] + 1]++;
    for (gint64 v = 0; v < f->n_values; v++)
        f->start[v + 1] += f->start[v];
    at = g_memdup2 (f->start, (gsize)(f->n_values + 1) * sizeof *at);
    for (gint64 i = 0; i < c->n; i++)
        f->order[at[f->value[i]]++] = i;
}

void
codes_add_factor (Codes *c, const DlhFactor *factor, const gint64 *value, gint64 stride)
{
    guint n_occur = 0;
    CodesFactor *f;

    c->factors = g_renew (CodesFactor, c->factors, c->k + 1);
    f = &c->factors[c->k++];
    *f = (CodesFactor){factor->name, factor->n_values, factor->values};
    f->value = g_new (gint32, c->n);
    f->mass = g_new0 (double, f->n_values);
    for (gint64 i = 0; i < c->n; i++) {
        f->value[i] = (gint32)value[i * stride];
        f->mass[f->value[i]] += c->p[i];
    }
    for (gint64 v = 0; v < f->n_values; v++)
        if (f->mass[v] > 0) {
            f->entropy -= f->mass[v] * log (f->mass[v]);
            n_occur++;
        }
    f->scored = !factor->nuisance && n_occur > 1;
    sort_by_value (c, f);
}

gint64
codes_find (const double *sums, gint64 n, double x)
{
    gint64 low = 0, high = n - 1;

    while (low < high) {
        gint64 middle = low + (high - low) / 2;

        if (sums[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void
codes_moments (const Codes *c, double *mean, double *variance)
{
    for (guint j = 0; j < c->d; j++) {
        const double *m = c->mean + j * (gsize)c->n;
        double sum = 0, squares = 0;

        for (gint64 i = 0; i < c->n; i++)
            sum += c->p[i] * m[i];
        for (gint64 i = 0; i < c->n; i++)
            squares += c->p[i] * (m[i] - sum) * (m[i] - sum);
        if (mean)
            mean[j] = sum;
        if (variance)
            variance[j] = squares;
    }
}
