/* SPDX-License-Identifier: MIT */
// Aggregated Momentum, arXiv 1804.00325.
//   v_k <- beta_k v_k - g               theta <- theta + 1/K sum_k rate_k v_k        (eq. 3, 4)
// Here the velocities accumulate +g and are subtracted: the same numbers with the other sign. The
// step size multiplies the velocities at each step, as the paper has it, so that a schedule
// rescales the whole history. A velocity with beta = 0 is the gradient and is not stored.
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    double lr, weight_decay, a;
    gint64 k;
    DlhDoubles betas, rates;
} AggmoOptions;

static gboolean
aggmo_check (const AggmoOptions *opt, gsize n, GError **error)
{
    if (!opt->rates.n || opt->rates.n == n)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "'rates' has %" G_GSIZE_FORMAT " numbers for %" G_GSIZE_FORMAT
                 " velocities: give one each, or none",
                 opt->rates.n, n);
    return FALSE;
}

static gboolean
aggmo_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const AggmoOptions *opt = options;
    gsize n = opt->k ? (gsize)opt->k : opt->betas.n;

    if (!aggmo_check (opt, n, error))
        return FALSE;
    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        DlhNode *g = dlh_update_gradient (u, i), *sum = NULL;

        if (opt->weight_decay > 0)
            g = dlh_add (g, dlh_scale (dlh_update_value (u, i), opt->weight_decay));
        for (gsize k = 0; k < n; k++) {
            // a^(i-1) in double: 1 - 0.001 is inexact enough in float to matter.
            double beta = opt->k ? 1 - pow (opt->a, (double)k) : opt->betas.values[k];
            double share = opt->rates.n ? opt->rates.values[k] / opt->lr : 1;
            DlhNode *v = g;

            if (beta > 0) {
                g_autofree char *name = g_strdup_printf ("v%" G_GSIZE_FORMAT, k + 1);
                DlhNode *state = dlh_update_state (u, i, name);

                v = dlh_add (dlh_scale (state, beta), g);
                dlh_update_assign (u, state, v);
            }
            v = share == 1 ? v : dlh_scale (v, share);
            sum = sum ? dlh_add (sum, v) : v;
        }
        dlh_update_move (u, i, dlh_neg (dlh_mul (sum, dlh_update_rate (u, opt->lr / (double)n))));
    }
    return TRUE;
}

static const DlhOptimizer aggmo = {.size = sizeof (DlhOptimizer), .build = aggmo_build};

DLH_PLUGIN_DEFINE (
    DLH_OPTIMIZER, aggmo, AggmoOptions,
    DLH_OPTIONS (
        DLH_DOUBLE (AggmoOptions, lr, 0.1, 0.0, 1e6, "Step size", .flags = DLH_MIN_OPEN),
        DLH_DOUBLES (AggmoOptions, betas, "[0,0.9,0.99]", 0.0, 1.0,
                     "Damping coefficients, one velocity each", .flags = DLH_MAX_OPEN),
        DLH_INT (AggmoOptions, k, 0, 0, 16,
                 "Exponential form: this many velocities, beta_i = 1 - a^(i-1); 0: use betas"),
        DLH_DOUBLE (AggmoOptions, a, 0.1, 0.0, 1.0, "Base of the exponential form",
                    .flags = DLH_MIN_OPEN | DLH_MAX_OPEN),
        DLH_DOUBLES (AggmoOptions, rates, "[]", 0.0, 1e6,
                     "Step size of each velocity (eq. 4); none: lr for all",
                     .flags = DLH_ALLOW_EMPTY),
        DLH_DOUBLE (AggmoOptions, weight_decay, 0, 0.0, 1e6,
                    "L2 coefficient, added to the gradient")),
    .name = "aggmo", .version = "1.0", .paper = "1804.00325",
    .summary = "Averages several velocities, one per damping coefficient");
