/* SPDX-License-Identifier: MIT */
/* Steps that lead nowhere are taken back, and the damping rises: after a loss or a step that is not
 * finite, and after a loss that has leapt. A leap alone never ends a run: the step that is tried
 * again may have any finite loss.
 */
#include <math.h>
#include "kfac.h"

#define LEAP 1000 /* how much above the least loss so far, h: more than this times 1 + |h| */

// What the damping is multiplied by: 10, and where the last recovery did not help 100, 1000, ...: a
// few recoveries come from any damping that can be given to one that matters.
static DlhNode *
recovery_factor (Kfac *k, DlhNode *recovered)
{
    DlhNode *in_a_row = kfac_number (k, "recoveries_in_a_row", 0), *next, *zero;

    zero = dlh_full_like (in_a_row, 0);
    next = dlh_offset (in_a_row, 1);
    dlh_update_assign (k->update, in_a_row,
                       dlh_where (dlh_greater (recovered, zero), in_a_row, zero));
    dlh_update_phase_assign (k->update, "recovery", in_a_row, next);
    return dlh_exp (dlh_scale (next, G_LN10));
}

// Steps in directions that no batch has shown before can be as long as the damping is small, and
// still have a finite loss: the next batch's loss tells.
static void
refuse_leaps (Kfac *k, DlhNode *recovered)
{
    DlhNode *step = dlh_update_step (k->update), *least = kfac_number (k, "least_loss", 0);
    DlhNode *loss = dlh_cast (dlh_update_objective (k->update)->loss, DLH_F64), *limit, *checked;
    DlhNode *zero = dlh_full_like (loss, 0), *leapt;

    limit = dlh_add (least, dlh_scale (dlh_offset (dlh_abs (least), 1), LEAP));
    leapt = dlh_sub (loss, limit);
    checked = dlh_where (dlh_greater (leapt, zero), dlh_full_like (loss, NAN), loss);
    checked = dlh_where (dlh_greater (recovered, zero), loss, checked);
    checked = dlh_where (dlh_greater (step, zero), dlh_min (checked, least), loss);
    dlh_update_assign (k->update, least, dlh_assert_finite (checked, "loss, or NaN for a leap"));
}

void
kfac_recover (Kfac *k, DlhNode *const *last, DlhNode *const *states)
{
    DlhNode *count, *factor, *recovered;

    if (!k->damped)
        return;
    dlh_update_phase (k->update, "recovery", DLH_PHASE_RECOVER, 1, 0);
    for (guint i = 0; i < dlh_update_n_params (k->update); i++) {
        DlhNode *value = dlh_update_value (k->update, i);

        dlh_update_phase_assign (k->update, "recovery", value, dlh_sub (value, last[i]));
        dlh_update_phase_assign (k->update, "recovery", states[i], dlh_full_like (states[i], 0));
    }
    recovered = kfac_number (k, "recovered", 0);
    factor = recovery_factor (k, recovered);
    refuse_leaps (k, recovered);
    dlh_update_assign (k->update, recovered, dlh_full_like (recovered, 0));
    dlh_update_phase_assign (k->update, "recovery", recovered, dlh_full_like (recovered, 1));
    if (kfac_adapts (k))
        dlh_update_phase_assign (k->update, "recovery", k->lambda,
                                 kfac_within_limits (k, dlh_mul (k->lambda, factor)));
    else if (k->boost)
        dlh_update_phase_assign (k->update, "recovery", k->boost, dlh_mul (k->boost, factor));
    if (k->gamma)
        dlh_update_phase_assign (k->update, "recovery", k->gamma,
                                 dlh_mul (k->gamma, dlh_sqrt (factor)));
    count = kfac_number (k, "recoveries", 0);
    dlh_update_phase_assign (k->update, "recovery", count, dlh_offset (count, 1));
    dlh_update_log (k->update, "kfac_recoveries", count);
}
