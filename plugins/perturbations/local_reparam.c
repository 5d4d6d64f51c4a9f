/* SPDX-License-Identifier: MIT */
// Local reparameterisation (Kingma, Salimans and Welling, NIPS 2015): with independent Gaussian
// noise on the weights the outputs of a linear layer are Gaussian, and are drawn in the weights'
// place.
//   A = X M + sqrt ((X o X) (sigma o sigma)) o eta      eta ~ N (0, 1), (N, out)
// Only where a weight is used once, on one row for each example: elsewhere outputs are correlated.
#include <string.h>
#include <dlhost/dlhost.h>

#define SMALLEST 1e-12 // of a variance: the root must have a slope where all inputs are 0

typedef struct {
    DlhPerturbOptions perturb; // first
    const char *precision;
} LocalReparamOptions;

static DlhNode *
local_reparam_product (DlhProduct *p, gconstpointer options)
{
    const LocalReparamOptions *opt = options;
    const DlhPrecision precision =
        strcmp (opt->precision, "bf16") == 0 ? DLH_PRECISION_BF16 : DLH_PRECISION_FULL;
    DlhWeight *w = dlh_product_weight (p);
    DlhNode *x = dlh_product_input (p), *mean, *variance;

    mean = dlh_product_apply (p, x, dlh_weight_mean (w), TRUE);
    variance =
        dlh_product_apply_precision (p, dlh_square (x), dlh_square (dlh_weight_std (w)), precision);
    return dlh_add (mean, dlh_mul (dlh_sqrt (dlh_offset (variance, SMALLEST)),
                                   dlh_product_normal (p, variance)));
}

static const DlhEstimator estimator = {.size = sizeof (DlhEstimator),
                                       .name = "local_reparam",
                                       .needs = DLH_ESTIMATOR_EXAMPLES | DLH_ESTIMATOR_GAUSSIAN |
                                                DLH_ESTIMATOR_ALONE,
                                       .product = local_reparam_product,
                                       .note = "drawn at the outputs"};
static const DlhPerturbation local_reparam = {.size = sizeof (DlhPerturbation),
                                              .estimator = &estimator};

DLH_PLUGIN_DEFINE (
    DLH_PERTURB, local_reparam, LocalReparamOptions,
    DLH_OPTIONS (DLH_PERTURB_OPTIONS,
                 DLH_CHOICE (LocalReparamOptions, precision, "full", "full|bf16",
                             "Of the product with the variances and of its gradients; bf16: "
                             "rounded where the processor multiplies that faster")),
    .name = "local_reparam", .version = "1.0", .paper = "1506.02557",
    .summary = "Weight noise drawn at the outputs of linear layers");
