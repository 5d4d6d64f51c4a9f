/* SPDX-License-Identifier: MIT */
// Weight noise drawn once for a batch: A = X (W + D).
#include <dlhost/dlhost.h>

static DlhNode *
shared_product (DlhProduct *p, gconstpointer options)
{
    (void)options;
    return dlh_product_apply (p, dlh_product_input (p), dlh_weight_noisy (dlh_product_weight (p)),
                              TRUE);
}

static const DlhEstimator estimator = {.size = sizeof (DlhEstimator),
                                       .name = "shared",
                                       .product = shared_product,
                                       .note = "one draw for all examples"};
static const DlhPerturbation shared = {.size = sizeof (DlhPerturbation), .estimator = &estimator};

DLH_PLUGIN_DEFINE (DLH_PERTURB, shared, DlhPerturbOptions, DLH_OPTIONS (DLH_PERTURB_OPTIONS),
                   .name = "shared", .version = "1.0",
                   .summary = "Weight noise, one draw for all examples of a batch");
