/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include "histogram.h"

#define FIRST 1e-12
#define GROWTH 1.1
#define LAST 1e20
#define MAX_LIMITS 800 /* of one sign: log (1e32) / log (1.1) = 774 */

/* The limits of positive values, and how the values of each sign fall between them. Bucket k ends
 * at limits[k]; there is one more than limits, for what lies beyond the last. */
typedef struct {
    guint n;
    double limits[MAX_LIMITS], positive[MAX_LIMITS + 1], negative[MAX_LIMITS + 1];
} Counts;

static void
make_limits (Counts *c)
{
    for (double v = FIRST; v < LAST; v *= GROWTH)
        c->limits[c->n++] = v;
}

// How many limits are not above @v: found from the logarithm, which may be off by one.
static guint
n_below (const Counts *c, double v)
{
    guint k;

    if (v < FIRST)
        return 0;
    k = (guint)CLAMP ((log (v) - log (FIRST)) / log (GROWTH), 0, c->n);
    while (k > 0 && c->limits[k - 1] > v)
        k--;
    while (k < c->n && c->limits[k] <= v)
        k++;
    return k;
}

static void
count (Histogram *h, Counts *c, double v)
{
    guint k = n_below (c, fabs (v));

    h->min = MIN (h->min, v);
    h->max = MAX (h->max, v);
    h->n++;
    h->sum += v;
    h->sum_squares += v * v;
    // A limit belongs to the bucket above it: below zero that is the one nearer to zero.
    if (v < 0)
        c->negative[k > 0 && c->limits[k - 1] == -v ? k - 1 : k]++;
    else
        c->positive[k]++;
}

static void
add_bucket (Histogram *h, double limit, double n)
{
    if (!n && h->counts->len && !g_array_index (h->counts, double, h->counts->len - 1)) {
        g_array_index (h->limits, double, h->limits->len - 1) = limit;
        return;
    }
    g_array_append_val (h->limits, limit);
    g_array_append_val (h->counts, n);
}

gboolean
histogram_fill (Histogram *h, const DlhTensor *values)
{
    g_autofree Counts *c = g_new0 (Counts, 1);
    gint64 n = dlh_tensor_count (values);

    make_limits (c);
    *h = (Histogram){.min = INFINITY, .max = -INFINITY};
    for (gint64 i = 0; i < n; i++) {
        double v = dlh_tensor_get (values, i);

        if (isfinite (v))
            count (h, c, v);
    }
    if (!h->n)
        return FALSE;
    h->limits = g_array_new (FALSE, FALSE, sizeof (double));
    h->counts = g_array_new (FALSE, FALSE, sizeof (double));
    add_bucket (h, -DBL_MAX, 0);
    for (guint k = c->n + 1; k-- > 0;)
        add_bucket (h, k ? -c->limits[k - 1] : 0, c->negative[k]);
    for (guint k = 0; k < c->n; k++)
        add_bucket (h, c->limits[k], c->positive[k]);
    add_bucket (h, DBL_MAX, c->positive[c->n]);
    return TRUE;
}

void
histogram_clear (Histogram *h)
{
    g_clear_pointer (&h->limits, g_array_unref);
    g_clear_pointer (&h->counts, g_array_unref);
}
