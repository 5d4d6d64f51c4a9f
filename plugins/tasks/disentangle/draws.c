/* SPDX-License-Identifier: MIT */
#include "scores.h"

void
drawer_init (Drawer *d, const Codes *c)
{
    *d = (Drawer){c, g_new (double *, MAX (c->k, 1)), g_new (double, c->n)};
    for (gint64 i = 0; i < c->n; i++)
        d->all[i] = (i ? d->all[i - 1] : 0) + c->p[i];
    for (guint k = 0; k < c->k; k++) {
        d->rising[k] = g_new (double, c->n);
        for (gint64 i = 0; i < c->n; i++)
            d->rising[k][i] = (i ? d->rising[k][i - 1] : 0) + c->p[c->factors[k].order[i]];
    }
}

void
drawer_clear (Drawer *d)
{
    for (guint k = 0; d->codes && k < d->codes->k; k++)
        g_free (d->rising[k]);
    g_free (d->rising);
    g_free (d->all);
}

gint64
drawer_any (const Drawer *d, double u)
{
    return codes_find (d->all, d->codes->n, u * d->all[d->codes->n - 1]);
}

gint64
drawer_with (const Drawer *d, guint factor, gint64 value, double u)
{
    const CodesFactor *f = &d->codes->factors[factor];
    gint64 begin = f->start[value], n = f->start[value + 1] - begin;
    const double *rising = d->rising[factor] + begin;
    double before = begin ? rising[-1] : 0;

    return f->order[begin + codes_find (rising, n, before + u * (rising[n - 1] - before))];
}

gint64
drawer_value (const Drawer *d, guint factor, double u)
{
    const CodesFactor *f = &d->codes->factors[factor];

    // The value of an example is as probable as its examples are together.
    return f->value[f->order[codes_find (d->rising[factor], d->codes->n,
                                         u * d->rising[factor][d->codes->n - 1])]];
}

guint *
scored_factors (const Codes *c, guint *n)
{
    guint *out = g_new (guint, MAX (c->k, 1));

    *n = 0;
    for (guint k = 0; k < c->k; k++)
        if (c->factors[k].scored)
            out[(*n)++] = k;
    return out;
}
