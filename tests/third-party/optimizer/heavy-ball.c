/* SPDX-License-Identifier: MIT */
// heavy-ball: gradient descent with heavy-ball momentum. Replace the formula by your method's.
//   v <- momentum v + g          theta <- theta - lr v
#include <dlhost/dlhost.h>

typedef struct {
    double lr, momentum;
} HeavyBallOptions;

// Called once for each compiled training step. Nothing is computed here: the nodes that are made
// say what will be computed at each step. Errors of nodes are sticky: no call needs a check.
static gboolean
heavy_ball_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    const HeavyBallOptions *opt = options; // parsed, defaulted and range-checked by the host
    DlhNode *rate = dlh_update_rate (u, opt->lr); // lr times the run's schedule

    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        // A variable "heavy-ball/<parameter>/velocity", zero at first. It is in every checkpoint,
        // so a resumed run goes on with it.
        DlhNode *state = dlh_update_state (u, i, "velocity");
        DlhNode *g = dlh_update_gradient (u, i);
        DlhNode *v = dlh_add (dlh_scale (state, opt->momentum), g);

        dlh_update_assign (u, state, v);
        dlh_update_move (u, i, dlh_neg (dlh_mul (v, rate)));
    }
    return dlh_graph_check (dlh_update_graph (u), error);
}

static const DlhOptimizer heavy_ball_optimizer = {
    .size = sizeof (DlhOptimizer),
    .build = heavy_ball_build,
};

// name, default, least, greatest, one line of help. The range is closed unless a flag opens it.
DLH_PLUGIN_DEFINE (DLH_OPTIMIZER, heavy_ball_optimizer, HeavyBallOptions,
                   DLH_OPTIONS (DLH_DOUBLE (HeavyBallOptions, lr, 0.05, 0.0, 1e6, "Step size"),
                                DLH_DOUBLE (HeavyBallOptions, momentum, 0.9, 0.0, 1.0,
                                            "Damping of the velocity", .flags = DLH_MAX_OPEN)),
                   .name = "heavy-ball", .version = "0.1",
                   .summary = "Gradient descent with heavy-ball momentum");
