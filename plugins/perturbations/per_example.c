/* SPDX-License-Identifier: MIT */
// Weight noise drawn afresh for each example: A_n = X_n (W + D_n), with all N matrices in memory.
// What cheaper estimators are measured against.
#include <dlhost/dlhost.h>

static DlhNode *
per_example_product (DlhProduct *p, gconstpointer options)
{
    DlhWeight *w = dlh_product_weight (p);

    (void)options;
    return dlh_product_apply_each (p, dlh_product_input (p),
                                   dlh_add (dlh_weight_draws (w), dlh_weight_mean (w)), TRUE);
}

static const DlhEstimator estimator = {.size = sizeof (DlhEstimator),
                                       .name = "per_example",
                                       .needs = DLH_ESTIMATOR_EXAMPLES,
                                       .product = per_example_product,
                                       .note = "a weight in memory for each example"};
static const DlhPerturbation per_example = {.size = sizeof (DlhPerturbation),
                                            .estimator = &estimator};

DLH_PLUGIN_DEFINE (DLH_PERTURB, per_example, DlhPerturbOptions, DLH_OPTIONS (DLH_PERTURB_OPTIONS),
                   .name = "per_example", .version = "1.0",
                   .summary = "Weight noise, independent for each example, all weights in memory");
