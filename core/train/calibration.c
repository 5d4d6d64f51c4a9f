/* SPDX-License-Identifier: MIT */
/* Expected calibration error: cases are sorted into bins by the probability of the class that is
 * thought most likely; in each bin these probabilities should sum to the number of hits. */
#include <dlhost/dlhost.h>
#include "train/private.h"

DlhNode *
dlh_calibration_gaps (DlhDistribution *prediction, DlhNode *target)
{
    const gint64 bins = DLH_CALIBRATION_BINS;
    DlhNode *logits = dlh_distribution_outputs (prediction), *confidence, *hit, *bin;
    DlhDType dtype = dlh_node_dtype (logits);

    confidence = dlh_reduce_max (dlh_softmax (logits, -1), (const int[]){-1}, 1, FALSE);
    hit = dlh_equal (dlh_distribution_mode (prediction), dlh_cast (target, DLH_I64));
    confidence = dlh_reshape (confidence, dlh_shape (1, -1));
    hit = dlh_reshape (dlh_cast (hit, dtype), dlh_shape (1, -1));
    // Probability 1 belongs to the last bin.
    bin = dlh_clamp (dlh_scale (confidence, (double)bins), 0, (double)bins - 0.5);
    bin = dlh_one_hot (dlh_reshape (dlh_cast (bin, DLH_I64), dlh_shape (-1)), bins, dtype);
    return dlh_reshape (dlh_matmul (dlh_sub (confidence, hit), bin), dlh_shape (bins));
}
