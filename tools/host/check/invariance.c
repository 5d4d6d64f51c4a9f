/* SPDX-License-Identifier: MIT */
/* Many chains that start as independent exact draws of a known density are such draws after any
 * number of transitions, whatever the sampler does in them, if it leaves the density invariant. */
#include <math.h>
#include "walk.h"

#define CHAINS 4000
#define TRANSITIONS 20
/* Two statistics of eight numbers: a sound sampler is beyond this once in 10^6 times. */
#define LIMIT 5.5

static void
start_exactly (Walk *w)
{
    g_autofree double *u = g_new (double, CHAINS);

    for (guint i = 0; i < known_n_blocks (); i++) {
        g_autofree char *name = g_strconcat ("chains/", known_name (i), NULL);
        DlhTensor *t = dlh_variable_tensor (dlh_store_lookup (w->store, name));
        gint64 n = known_size (i);

        for (gint64 j = 0; j < n; j++) {
            dlh_random_fill_uniform (23, name, (guint64)j, u, CHAINS);
            for (gint64 k = 0; k < CHAINS; k++)
                dlh_tensor_set (t, k * n + j, known_quantile (i, j, u[k] > 0 ? u[k] : 0.5));
        }
    }
}

typedef struct {
    double z;
    const char *block, *what;
    gint64 element;
    double got, want;
} Worst;

static void
compare (Worst *worst, const Worst *one)
{
    if (!(fabs (one->z) <= fabs (worst->z)))
        *worst = *one;
}

// The share of the density below an exact draw is uniform: its mean is 1/2 with variance 1/12, its
// squared deviation from 1/2 is 1/12 with variance 1/180.
static Worst
worst_of (Walk *w)
{
    Worst worst = {0};

    for (guint i = 0; i < known_n_blocks (); i++) {
        const DlhTensor *t = dlh_chains_value (w->chains, i);
        gint64 n = known_size (i);

        for (gint64 j = 0; j < n; j++) {
            double mean = 0, square = 0;

            for (gint64 k = 0; k < CHAINS; k++) {
                double u = known_share (i, j, dlh_tensor_get (t, k * n + j)) - 0.5;

                mean += u / CHAINS;
                square += u * u / CHAINS;
            }
            compare (&worst,
                     &(Worst){mean * sqrt (12.0 * CHAINS), known_name (i),
                              "the mean of the shares below the positions", j, 0.5 + mean, 0.5});
            compare (&worst,
                     &(Worst){(square - 1 / 12.0) * sqrt (180.0 * CHAINS), known_name (i),
                              "the spread of the shares below the positions", j, square, 1 / 12.0});
        }
    }
    return worst;
}

void
check_invariance (Check *c, const Place *place)
{
    g_auto (Walk) w = {0};
    g_autoptr (GError) error = NULL;
    Worst worst;

    if (place->kind != PLACE_DENSITY) {
        check_drop (c);
        return;
    }
    // No warm-up: what still tunes itself need not be invariant.
    if (!walk_init (&w, c, place, CHAINS, 0, NULL, &error)) {
        check_skip (c, "without a warm-up: %s", error->message);
        return;
    }
    start_exactly (&w);
    if (!walk_on (&w, TRANSITIONS, &error)) {
        check_fail (c, "%s: from exact draws of a smooth density it must go on", error->message);
        return;
    }
    worst = worst_of (&w);
    if (!(fabs (worst.z) <= LIMIT))
        check_fail (c,
                    "%d chains that begin as exact draws are no longer after %d transitions: %s of "
                    "block '%s', element %d, is %.4g, must be %.4g: off by %.1f standard errors, "
                    "at most %.1f is chance; look at the acceptance rule",
                    CHAINS, TRANSITIONS, worst.what, worst.block, (int)worst.element, worst.got,
                    worst.want, fabs (worst.z), LIMIT);
    else
        check_ok (c, "%d exact draws stay such in %d transitions, off by %.1f standard errors",
                  CHAINS, TRANSITIONS, fabs (worst.z));
}
