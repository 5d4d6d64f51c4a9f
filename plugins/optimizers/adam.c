/* SPDX-License-Identifier: MIT */
// Adam (Kingma and Ba 2014, arXiv 1412.6980, algorithm 1) and AdamW (arXiv 1711.05101).
//   m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g^2
//   theta <- theta - lr (m / (1 - beta1^t)) / (sqrt (v / (1 - beta2^t)) + epsilon)
//   decoupled: theta <- theta - lr weight_decay theta besides, and g stays as it is.
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    double lr, beta1, beta2, epsilon, weight_decay;
    gboolean decoupled;
} AdamOptions;

// 1 - beta^t, t = 1 at the parameter's first step, in double: beta2^t is near 1 for long.
static DlhNode *
bias_correction (DlhUpdate *u, guint i, double beta)
{
    DlhNode *t = dlh_offset (dlh_update_step_of (u, i), 1);

    if (beta == 0)
        return dlh_full_like (t, 1);
    return dlh_neg (dlh_expm1 (dlh_scale (t, log (beta))));
}

static gboolean
adam_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const AdamOptions *opt = options;
    DlhDType dtype = dlh_store_get_dtype (dlh_update_store (u));
    DlhNode *lr = dlh_update_rate (u, opt->lr);

    (void)error;
    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        DlhNode *theta = dlh_update_value (u, i), *g = dlh_update_gradient (u, i);
        DlhNode *m_state = dlh_update_state (u, i, "m"), *v_state = dlh_update_state (u, i, "v");
        DlhNode *rate = dlh_div (lr, dlh_cast (bias_correction (u, i, opt->beta1), dtype));
        DlhNode *widen = dlh_cast (dlh_rsqrt (bias_correction (u, i, opt->beta2)), dtype);
        DlhNode *m, *v, *delta;

        if (opt->weight_decay > 0 && !opt->decoupled)
            g = dlh_add (g, dlh_scale (theta, opt->weight_decay));
        m = dlh_add (dlh_scale (m_state, opt->beta1), dlh_scale (g, 1 - opt->beta1));
        v = dlh_add (dlh_scale (v_state, opt->beta2), dlh_scale (dlh_square (g), 1 - opt->beta2));
        delta =
            dlh_div (dlh_mul (m, rate), dlh_offset (dlh_mul (dlh_sqrt (v), widen), opt->epsilon));
        if (opt->weight_decay > 0 && opt->decoupled)
            delta = dlh_add (delta, dlh_mul (theta, dlh_scale (lr, opt->weight_decay)));
        dlh_update_assign (u, m_state, m);
        dlh_update_assign (u, v_state, v);
        dlh_update_move (u, i, dlh_neg (delta));
    }
    return TRUE;
}

static const DlhOptimizer adam = {.size = sizeof (DlhOptimizer), .build = adam_build};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, adam, AdamOptions,
    DLH_OPTIONS (DLH_DOUBLE (AdamOptions, lr, 1e-3, 0.0, 1e6, "Step size"),
                 DLH_DOUBLE (AdamOptions, beta1, 0.9, 0.0, 1.0, "Decay of the mean gradient",
                             .flags = DLH_MAX_OPEN),
                 DLH_DOUBLE (AdamOptions, beta2, 0.999, 0.0, 1.0, "Decay of the mean square",
                             .flags = DLH_MAX_OPEN),
                 DLH_DOUBLE (AdamOptions, epsilon, 1e-8, 0.0, 1e6, "Added to the root mean square",
                             .flags = DLH_MIN_OPEN),
                 DLH_DOUBLE (AdamOptions, weight_decay, 0, 0.0, 1e6, "Weight decay coefficient"),
                 DLH_BOOL_OPTION (AdamOptions, decoupled, false,
                                  "AdamW: decay the parameters instead of the gradient")),
    .name = "adam", .version = "1.0", .paper = "1412.6980",
    .summary = "Adaptive moments, with AdamW's decoupled weight decay on request");
