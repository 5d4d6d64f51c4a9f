/* SPDX-License-Identifier: MIT */
// Flipout (Wen, Vicol, Ba, Tran and Grosse, ICLR 2018): each example sees the one draw D of the
// batch with its own random signs, D o (s_n r_n'), for two products in the place of one.
//   A = X W + ((X o S) D) o R      S (N, in), R (N, out), held wherever the weight is used (eq. 4)
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    DlhPerturbOptions perturb; // first
    const char *precision;
} FlipoutOptions;

static DlhNode *
flipout_product (DlhProduct *p, gconstpointer options)
{
    const FlipoutOptions *opt = options;
    const DlhPrecision precision =
        strcmp (opt->precision, "bf16") == 0 ? DLH_PRECISION_BF16 : DLH_PRECISION_FULL;
    DlhWeight *w = dlh_product_weight (p);
    DlhNode *x = dlh_product_input (p), *y, *noise;

    y = dlh_product_apply (p, x, dlh_weight_mean (w), TRUE);
    noise = dlh_product_apply_precision (p, dlh_product_flip_input (p, x), dlh_weight_draw (w),
                                         precision);
    return dlh_add (y, dlh_product_flip_output (p, noise));
}

static const DlhEstimator estimator = {.size = sizeof (DlhEstimator),
                                       .name = "flipout",
                                       .needs = DLH_ESTIMATOR_EXAMPLES | DLH_ESTIMATOR_SYMMETRIC,
                                       .product = flipout_product,
                                       .note = "one draw with the signs of each example"};
static const DlhPerturbation flipout = {.size = sizeof (DlhPerturbation), .estimator = &estimator};

DLH_PLUGIN_DEFINE (
    DLH_PERTURB, flipout, FlipoutOptions,
    DLH_OPTIONS (DLH_PERTURB_OPTIONS,
                 DLH_CHOICE (FlipoutOptions, precision, "full", "full|bf16",
                             "Of the product with the draw and of its gradients; bf16: rounded "
                             "where the processor multiplies that faster")),
    .name = "flipout", .version = "1.0", .paper = "1803.04386",
    .summary = "Weight noise, pseudo-independent for each example by random signs");
