/* SPDX-License-Identifier: MIT */
/* The calibration error over a whole split: sums of batches, bin by bin, then absolute values. */
#pragma once

#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    double gaps[2][DLH_CALIBRATION_BINS], n[2]; /* of the prediction, and of the averaged one */
} Calibration;

static inline void
calibration_add (Calibration *c, DlhTrainer *trainer)
{
    for (guint which = 0; which < 2; which++) {
        double gaps[DLH_CALIBRATION_BINS];

        c->n[which] += dlh_trainer_calibration (trainer, which, gaps);
        for (guint i = 0; i < DLH_CALIBRATION_BINS; i++)
            c->gaps[which][i] += gaps[i];
    }
}

// Appends "<prefix>/ece" and "<prefix>/averaged_ece" where there are such; @n is what was there
// before.
static inline guint
calibration_report (const Calibration *c, const char *prefix, GPtrArray *names, double *values,
                    guint n)
{
    for (guint which = 0; which < 2; which++) {
        double sum = 0;

        if (!(c->n[which] > 0))
            continue;
        for (guint i = 0; i < DLH_CALIBRATION_BINS; i++)
            sum += fabs (c->gaps[which][i]);
        g_ptr_array_add (names, g_strdup_printf ("%s/%s", prefix, which ? "averaged_ece" : "ece"));
        values[n++] = sum / c->n[which];
    }
    return n;
}
