/* SPDX-License-Identifier: MIT */
/* Step-size schedules, as a number and as a node that says the same. */
#include <math.h>
#include <dlhost/dlhost.h>
#include "train/private.h"

static double
milestones_passed (const DlhSchedule *s, double step)
{
    double n = 0;

    for (gsize i = 0; i < s->milestones.n; i++)
        n += step >= s->milestones.values[i];
    return n;
}

double
dlh_schedule_value (const DlhSchedule *s, double step)
{
    double warm = s->warmup > 0 ? fmin (1, (step + 1) / s->warmup) : 1;
    double t = fmax (step - s->warmup, 0);
    double total = fmax (s->total - s->warmup, 1);

    switch (s->kind) {
    case DLH_SCHEDULE_CONSTANT:
        return warm;
    case DLH_SCHEDULE_STEP:
        return warm * pow (s->factor, milestones_passed (s, step));
    case DLH_SCHEDULE_EXPONENTIAL:
        return warm * pow (s->factor, t / s->period);
    case DLH_SCHEDULE_COSINE:
        return warm *
               (s->floor + (1 - s->floor) * 0.5 * (1 + cos (G_PI * fmin (t, total) / total)));
    case DLH_SCHEDULE_INVERSE_TIME:
        return warm / (1 + s->factor * t / s->period);
    }
    g_return_val_if_reached (1);
}

static DlhNode *
after_warmup (const DlhSchedule *s, DlhNode *step)
{
    DlhNode *t = dlh_max (dlh_offset (step, -s->warmup), dlh_full_like (step, 0));
    double total = fmax (s->total - s->warmup, 1);
    DlhNode *passed = dlh_full_like (step, 0);

    switch (s->kind) {
    case DLH_SCHEDULE_STEP:
        for (gsize i = 0; i < s->milestones.n; i++)
            passed = dlh_add (
                passed,
                dlh_cast (dlh_greater_equal (step, dlh_full_like (step, s->milestones.values[i])),
                          DLH_F64));
        return dlh_pow (dlh_full_like (step, s->factor), passed);
    case DLH_SCHEDULE_EXPONENTIAL:
        return dlh_pow (dlh_full_like (step, s->factor), dlh_scale (t, 1 / s->period));
    case DLH_SCHEDULE_COSINE:
        t = dlh_cos (dlh_scale (dlh_min (t, dlh_full_like (t, total)), G_PI / total));
        return dlh_offset (dlh_scale (dlh_offset (t, 1), 0.5 * (1 - s->floor)), s->floor);
    case DLH_SCHEDULE_INVERSE_TIME:
        return dlh_reciprocal (dlh_offset (dlh_scale (t, s->factor / s->period), 1));
    case DLH_SCHEDULE_CONSTANT:
        break;
    }
    return dlh_full_like (step, 1);
}

DlhNode *
dlh_schedule_node (const DlhSchedule *s, DlhNode *step)
{
    DlhNode *value = after_warmup (s, step);

    if (s->warmup > 0)
        value = dlh_mul (value, dlh_min (dlh_scale (dlh_offset (step, 1), 1 / s->warmup),
                                         dlh_full_like (step, 1)));
    return value;
}
