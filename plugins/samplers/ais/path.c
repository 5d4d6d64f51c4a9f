/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "ais.h"

static double
logistic (double x)
{
    return 1 / (1 + exp (-x));
}

// b_t. The ends are exact.
static double
temperature (const AisOptions *opt, gint64 t)
{
    double share = (double)t / (double)(opt->temperatures - 1), r = opt->radius,
           low = logistic (-r);

    if (t == 0 || t == opt->temperatures - 1)
        return t ? 1 : 0;
    if (strcmp (opt->schedule, "linear") == 0)
        return share;
    return (logistic (r * (2 * share - 1)) - low) / (logistic (r) - low);
}

double
ais_entry (const AisOptions *opt, AisEntry what, gboolean reverse, gint64 k)
{
    gint64 last = opt->temperatures - 1, to = MIN (k, last), from = MIN (MAX (k - 1, 0), last);

    if (reverse) {
        to = last - to;
        from = last - from;
    }
    if (what == AIS_B)
        return temperature (opt, to);
    if (what == AIS_ROW || what == AIS_FROM)
        return (double)(what == AIS_ROW ? to : from);
    return temperature (opt, to) - temperature (opt, from);
}
