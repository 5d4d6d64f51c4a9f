/* SPDX-License-Identifier: MIT */
// Stochastic gradient descent with classical or Nesterov momentum.
//   v <- momentum v + g                  theta <- theta - lr v
//   Nesterov: theta <- theta - lr (g + momentum v), which follows the look-ahead points of the
//   textbook form (arXiv 1804.00325, sheet 3.5), so that the gradient is taken at theta itself.
#include <dlhost/dlhost.h>

typedef struct {
    double lr, momentum, weight_decay;
    gboolean nesterov;
} SgdOptions;

static gboolean
sgd_check (gconstpointer options, GError **error)
{
    const SgdOptions *opt = options;

    if (!opt->nesterov || opt->momentum > 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "'nesterov' needs a momentum above 0: give momentum=0.9");
    return FALSE;
}

static gboolean
sgd_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const SgdOptions *opt = options;
    DlhNode *rate = dlh_update_rate (u, opt->lr);

    (void)error;
    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        DlhNode *g = dlh_update_gradient (u, i), *direction = g;

        if (opt->weight_decay > 0)
            direction = g = dlh_add (g, dlh_scale (dlh_update_value (u, i), opt->weight_decay));
        if (opt->momentum > 0) {
            DlhNode *state = dlh_update_state (u, i, "velocity");
            DlhNode *v = dlh_add (dlh_scale (state, opt->momentum), g);

            dlh_update_assign (u, state, v);
            direction = opt->nesterov ? dlh_add (g, dlh_scale (v, opt->momentum)) : v;
        }
        dlh_update_move (u, i, dlh_neg (dlh_mul (direction, rate)));
    }
    return TRUE;
}

static const DlhOptimizer sgd = {
    .size = sizeof (DlhOptimizer), .build = sgd_build, .check = sgd_check};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, sgd, SgdOptions,
    DLH_OPTIONS (DLH_DOUBLE (SgdOptions, lr, 0.05, 0.0, 1e6, "Step size"),
                 DLH_DOUBLE (SgdOptions, momentum, 0.9, 0.0, 1.0,
                             "Damping of the velocity; 0: none", .flags = DLH_MAX_OPEN),
                 DLH_BOOL_OPTION (SgdOptions, nesterov, false, "Nesterov's momentum"),
                 DLH_DOUBLE (SgdOptions, weight_decay, 0, 0.0, 1e6,
                             "L2 coefficient, added to the gradient")),
    .name = "sgd", .version = "1.0",
    .summary = "Stochastic gradient descent with classical or Nesterov momentum");
