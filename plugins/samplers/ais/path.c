/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "ais.h"

static double
logistic (double x)
{
    return 1 / (1 + exp (-x));
}

double
ais_temperature (const AisOptions *opt, gint64 t)
{
    double share = (double)t / (double)(opt->temperatures - 1), r = opt->radius,
           low = logistic (-r);

    if (t == 0 || t == opt->temperatures - 1)
        return t ? 1 : 0;
    if (strcmp (opt->schedule, "linear") == 0)
        return share;
    return (logistic (r * (2 * share - 1)) - low) / (logistic (r) - low);
}

/* Where on the path. */

DlhNode *
ais_scalar (Ais *a, double value)
{
    return dlh_scalar (dlh_chains_graph (a->c), DLH_F64, value);
}

static DlhNode *
truncated (DlhNode *x)
{
    return dlh_cast (dlh_cast (x, DLH_I64), DLH_F64);
}

DlhNode *
ais_in_warmup (Ais *a)
{
    return dlh_less (dlh_chains_step (a->c), ais_scalar (a, (double)dlh_chains_n_warmup (a->c)));
}

// Transitions of this round done before this one, f64.
static DlhNode *
round_step (Ais *a)
{
    double length = (double)(a->opt->temperatures - 1);
    DlhNode *step = dlh_chains_step (a->c);
    DlhNode *rounds = truncated (dlh_scale (dlh_offset (step, 0.5), 1 / length));

    return dlh_where (ais_in_warmup (a), dlh_sub (step, dlh_scale (rounds, length)),
                      dlh_offset (step, -(double)dlh_chains_n_warmup (a->c)));
}

DlhNode *
ais_is_first (Ais *a)
{
    return dlh_less (round_step (a), ais_scalar (a, 0.5));
}

// t after @done transitions of a path. Beyond its end it stays there.
static DlhNode *
row_after (Ais *a, DlhNode *done)
{
    double last = (double)(a->opt->temperatures - 1);
    DlhNode *one = ais_scalar (a, 1), *stride = dlh_max (dlh_cast (a->stride, DLH_F64), one);
    DlhNode *back = dlh_cast (a->reverse, DLH_F64), *row;

    row =
        dlh_min (dlh_mul (done, dlh_where (ais_in_warmup (a), one, stride)), ais_scalar (a, last));
    return dlh_add (row, dlh_mul (back, dlh_offset (dlh_scale (row, -2), last)));
}

DlhNode *
ais_row (Ais *a)
{
    return row_after (a, dlh_offset (round_step (a), 1));
}

DlhNode *
ais_row_before (Ais *a)
{
    return row_after (a, round_step (a));
}

DlhNode *
ais_at_row (DlhNode *table, DlhNode *row)
{
    return dlh_gather (table, dlh_cast (row, DLH_I64), 0);
}

DlhNode *
ais_fixed (Ais *a, DlhNode *row)
{
    gint64 T = a->opt->temperatures;
    g_autoptr (DlhTensor) table = dlh_tensor_new (DLH_F64, dlh_shape (T), NULL);

    for (gint64 t = 0; t < T; t++)
        dlh_tensor_set (table, t, ais_temperature (a->opt, t));
    return ais_at_row (dlh_constant (dlh_chains_graph (a->c), table), row);
}
