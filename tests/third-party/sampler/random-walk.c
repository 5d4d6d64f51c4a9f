/* SPDX-License-Identifier: MIT */
// random-walk: random-walk Metropolis. Replace the proposal, and the rule by which it is accepted.
//   q' = q + scale n, n ~ N (0, 1)        accept with probability min (1, p (q') / p (q))
#include <dlhost/dlhost.h>

typedef struct {
    double scale;
} RandomWalkOptions;

// Called once. A position is a node (chains, ...) for each block of the target; what is said of a
// chain, such as its log density, is f64 (chains). All chains move at once.
static gboolean
random_walk_build (DlhChains *c, gconstpointer options, GError **error)
{
    const RandomWalkOptions *opt = options;
    const guint n = dlh_chains_n_blocks (c);
    g_autofree DlhNode **q = g_new (DlhNode *, n);
    g_autofree DlhNode **to = g_new (DlhNode *, n);
    DlhStream *walk = dlh_chains_stream (c, "walk"), *coin = dlh_chains_stream (c, "accept");
    DlhNode *ratio, *u, *accepted;
    DlhPass *move;

    if (dlh_chains_is_estimate (c)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "random-walk accepts and rejects, which needs the density of all the data: give "
                     "batch=0");
        return FALSE;
    }
    for (guint i = 0; i < n; i++) {
        q[i] = dlh_chains_position (c, i);
        to[i] = dlh_add (q[i], dlh_scale (dlh_chains_normal (c, walk, i), opt->scale));
    }
    ratio = dlh_sub (dlh_chains_log_density (c, to), dlh_chains_log_density (c, q));
    u = dlh_uniform (dlh_chains_graph (c), coin, DLH_F64, dlh_node_shape (ratio));
    accepted = dlh_less (dlh_log (u), ratio); // never where the ratio is NaN

    // One function, run at every transition; reads in it see the values from before.
    move = dlh_chains_pass (c, "move", DLH_PASS_EVERY);
    for (guint i = 0; i < n; i++)
        dlh_pass_assign (move, q[i], dlh_chains_where (c, accepted, to[i], q[i]));
    dlh_pass_report (move, "accept", dlh_chains_accept_probability (c, ratio));
    return dlh_graph_check (dlh_chains_graph (c), error);
}

static const DlhTransition random_walk_transition = {
    .size = sizeof (DlhTransition),
    .build = random_walk_build,
};
// A sampler states its roles; this one moves chains.
static const DlhSampler random_walk_sampler = {
    .size = sizeof (DlhSampler),
    .transition = &random_walk_transition,
};

DLH_PLUGIN_DEFINE (DLH_SAMPLER, random_walk_sampler, RandomWalkOptions,
                   DLH_OPTIONS (DLH_DOUBLE (RandomWalkOptions, scale, 1, 0.0, 1e6,
                                            "Deviation of a step", .flags = DLH_MIN_OPEN)),
                   .name = "random-walk", .version = "0.1", .summary = "Random-walk Metropolis");
