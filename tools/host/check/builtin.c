/* SPDX-License-Identifier: MIT */
/* The components beside the plugin: written as a plugin would be, but linked into the program. */
#include "problems.h"

typedef struct {
    char unused;
} NoOptions;

static DlhNode *
dense_layers (DlhBuild *b, DlhNode *x, gint64 n_out)
{
    const DlhInit init = {DLH_INIT_GLOROT, 1, 0};
    DlhNode *h = dlh_tanh (dlh_dense (b, "hidden", dlh_flatten (x, 1), 5, init, TRUE));

    return dlh_dense (b, "output", h, n_out, init, TRUE);
}

static DlhNode *
picture_layers (DlhBuild *b, DlhNode *x, gint64 n_out)
{
    const DlhConv conv = {{3, 3}, {1, 1}, {1, 1}, 1};
    const DlhInit init = {DLH_INIT_HE, 1, 0};

    return dense_layers (b, dlh_tanh (dlh_conv_layer (b, "conv", x, 2, 3, 3, conv, init, TRUE)),
                         n_out);
}

// (T, B, K) for a class each step, (B, K) for one class.
static DlhNode *
recurrent_layers (DlhBuild *b, const DlhProblem *problem, DlhNode *x)
{
    const DlhInit init = {DLH_INIT_UNIFORM, -0.1, 0.1};
    DlhNode *h, *last;

    if (problem->vocabulary)
        x = dlh_embedding (dlh_parameter (b->graph, b->store, "embedding",
                                          dlh_shape (problem->vocabulary, 4), init),
                           x);
    h = dlh_lstm (b, "layer", dlh_transpose (x, (const guint[]){1, 0, 2}, 3), 5, NULL, NULL, &last,
                  NULL);
    return dlh_dense (b, "output", problem->vocabulary ? h : last, problem->n_classes, init, TRUE);
}

// No distribution and no layer: what an optimizer may not take for granted.
static void
bare (DlhBuild *b, DlhNode *x, DlhObjective *objective)
{
    DlhNode *flat = dlh_flatten (x, 1);
    DlhNode *centre =
        dlh_parameter (b->graph, b->store, "centre", dlh_shape (dlh_node_dim (flat, 1)),
                       (DlhInit){DLH_INIT_CONSTANT, 0.1, 0});
    DlhNode *scale = dlh_parameter (b->graph, b->store, "scale", dlh_shape (),
                                    (DlhInit){DLH_INIT_CONSTANT, 1, 0});

    objective->loss =
        dlh_mean_all (dlh_square (dlh_sub (dlh_square (dlh_sub (flat, centre)), scale)));
    objective->n_cases = (double)dlh_node_dim (flat, 0);
}

static gboolean
probe_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    (void)options;
    if (problem->target_kind == DLH_TARGET_NONE)
        bare (b, x, objective);
    else if (problem->target_kind == DLH_TARGET_REAL) {
        DlhNode *mean = dense_layers (b, x, problem->target_shape.dims[0]);
        DlhNode *log_std =
            dlh_parameter (b->graph, b->store, "log_std", dlh_shape (dlh_node_dim (mean, 1)),
                           (DlhInit){DLH_INIT_ZEROS, 0, 0});

        dlh_objective_predict (objective, dlh_gaussian (mean, log_std, 1), y);
    } else if (problem->vocabulary || problem->input_shape.rank == 2) {
        if (problem->vocabulary)
            y = dlh_transpose (y, (const guint[]){1, 0}, 2);
        dlh_objective_classify (objective, recurrent_layers (b, problem, x), y);
    } else if (problem->input_shape.rank == 3)
        dlh_objective_classify (objective, picture_layers (b, x, problem->n_classes), y);
    else
        dlh_objective_classify (objective, dense_layers (b, x, problem->n_classes), y);
    return dlh_graph_check (b->graph, error);
}

static gboolean
descent_build (DlhUpdate *u, gconstpointer options, GError **error)
{
    (void)options;
    (void)error;
    for (guint i = 0; i < dlh_update_n_params (u); i++) {
        DlhNode *state = dlh_update_state (u, i, "velocity");
        DlhNode *v = dlh_add (dlh_scale (state, 0.5), dlh_update_gradient (u, i));

        dlh_update_assign (u, state, v);
        dlh_update_move (u, i, dlh_neg (dlh_mul (v, dlh_update_rate (u, 0.05))));
    }
    return TRUE;
}

// A random walk, accepted by Metropolis' rule.
static gboolean
walk_build (DlhChains *c, gconstpointer options, GError **error)
{
    guint n = dlh_chains_n_blocks (c);
    g_autofree DlhNode **to = g_new (DlhNode *, n);
    g_autofree DlhNode **q = g_new (DlhNode *, n);
    DlhStream *stream = dlh_chains_stream (c, "walk");
    DlhPass *move = dlh_chains_pass (c, "move", DLH_PASS_EVERY);
    DlhNode *ratio, *u;

    (void)options;
    for (guint i = 0; i < n; i++) {
        q[i] = dlh_chains_position (c, i);
        to[i] = dlh_add (q[i], dlh_scale (dlh_chains_normal (c, stream, i), 0.1));
    }
    ratio = dlh_sub (dlh_chains_log_density (c, to), dlh_chains_log_density (c, q));
    u = dlh_uniform (dlh_chains_graph (c), stream, DLH_F64, dlh_shape (dlh_chains_count (c)));
    for (guint i = 0; i < n; i++)
        dlh_pass_assign (move, q[i],
                         dlh_chains_where (c, dlh_less (dlh_log (u), ratio), to[i], q[i]));
    dlh_pass_report (move, "accept",
                     dlh_assert_finite (dlh_chains_accept_probability (c, ratio), "accept"));
    return dlh_graph_check (dlh_chains_graph (c), error);
}

/* Weighs a path of two densities, from the normalised start to the target: draws of the start; on
 * the way back, what the chains are given. */
static gboolean
weigh_build (DlhChains *c, gconstpointer options, GError **error)
{
    guint n = dlh_chains_n_blocks (c);
    g_autofree DlhNode **q = g_new (DlhNode *, n);
    DlhPass *draw = dlh_chains_pass (c, "draw", DLH_PASS_EVERY);
    DlhNode *reverse =
        dlh_chains_state (c, "reverse", DLH_I64, dlh_shape (), (DlhInit){DLH_INIT_ZEROS, 0, 0});
    DlhNode *back = dlh_broadcast (dlh_cast (reverse, DLH_BOOL), dlh_shape (dlh_chains_count (c)));
    DlhNode *weight;

    (void)options;
    if (!dlh_chains_draw_prior (c, dlh_chains_stream (c, "draw"), q)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION, "weigh: the density has no start to draw");
        return FALSE;
    }
    for (guint i = 0; i < n; i++) {
        q[i] = dlh_chains_where (c, back, dlh_chains_position (c, i), q[i]);
        dlh_pass_assign (draw, dlh_chains_position (c, i), q[i]);
    }
    weight = dlh_sub (dlh_chains_log_density (c, q), dlh_chains_log_prior (c, q));
    dlh_pass_report (draw, "log_weight", dlh_where (back, dlh_neg (weight), weight));
    dlh_pass_report (draw, "log_density", dlh_chains_log_density (c, q));
    return dlh_graph_check (dlh_chains_graph (c), error);
}

static gint64
weigh_path (gconstpointer options)
{
    (void)options;
    return 1;
}

/* Latent variables behind anything real: two of them, a Gaussian of unit width around a hidden
 * layer. */

static DlhDistribution *
latent_prior (DlhBuild *b, const DlhProblem *problem, gconstpointer options, gint64 n)
{
    DlhNode *zero = dlh_full (b->graph, dlh_store_get_dtype (b->store), dlh_shape (n, 2), 0);

    (void)options;
    if (problem->vocabulary)
        zero = dlh_graph_fail (b->graph, DLH_ERROR_SHAPE, "the inputs are tokens");
    return dlh_gaussian (zero, zero, 1);
}

static DlhDistribution *
latent_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    const DlhInit init = {DLH_INIT_GLOROT, 1, 0};
    DlhShape shape = problem->input_shape;
    DlhNode *h = dlh_tanh (dlh_dense (b, "decoder", z, 5, init, TRUE));

    (void)options;
    h = dlh_dense (b, "picture", h, dlh_shape_count (shape), init, TRUE);
    if (!dlh_node_failed (h))
        h = dlh_reshape (h, dlh_shape_insert (shape, 0, dlh_node_dim (h, 0)));
    return dlh_gaussian (h, dlh_scalar (b->graph, dlh_store_get_dtype (b->store), 0), shape.rank);
}

static DlhDistribution *
latent_encode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x)
{
    const DlhInit init = {DLH_INIT_GLOROT, 1, 0};

    (void)problem, (void)options;
    x = dlh_flatten (x, 1);
    return dlh_gaussian (dlh_dense (b, "mean", x, 2, init, TRUE),
                         dlh_dense (b, "log_std", x, 2, init, TRUE), 1);
}

static const DlhTransition weigh_transition = {
    .size = sizeof (DlhTransition), .build = weigh_build, .path = weigh_path};
static const DlhSampler weigh = {.size = sizeof (DlhSampler), .transition = &weigh_transition};
static const DlhLatent probe_latent = {.size = sizeof (DlhLatent),
                                       .prior = latent_prior,
                                       .decode = latent_decode,
                                       .encode = latent_encode};
static const DlhTransition walk_transition = {.size = sizeof (DlhTransition), .build = walk_build};
static const DlhSampler walk = {.size = sizeof (DlhSampler), .transition = &walk_transition};
static const DlhSupervised probe_supervised = {sizeof (DlhSupervised), probe_build};
static const DlhModel probe = {
    .size = sizeof (DlhModel), .supervised = &probe_supervised, .latent = &probe_latent};
static const DlhOptimizer descent = {sizeof (DlhOptimizer), descent_build};

static const DlhManifest probe_manifest = {sizeof (DlhManifest),
                                           sizeof (DlhOption),
                                           0,
                                           DLH_ABI_MAJOR,
                                           DLH_ABI_MINOR,
                                           DLH_MODEL,
                                           sizeof (NoOptions),
                                           0,
                                           "probe",
                                           "1.0",
                                           "MIT",
                                           "",
                                           "Fits every problem of the check"};
static const DlhManifest descent_manifest = {sizeof (DlhManifest),
                                             sizeof (DlhOption),
                                             0,
                                             DLH_ABI_MAJOR,
                                             DLH_ABI_MINOR,
                                             DLH_OPTIMIZER,
                                             sizeof (NoOptions),
                                             0,
                                             "descent",
                                             "1.0",
                                             "MIT",
                                             "",
                                             "Goes downhill"};
static const DlhManifest walk_manifest = {.size = sizeof (DlhManifest),
                                          .option_size = sizeof (DlhOption),
                                          .abi_major = DLH_ABI_MAJOR,
                                          .abi_minor = DLH_ABI_MINOR,
                                          .kind = DLH_SAMPLER,
                                          .options_bytes = sizeof (NoOptions),
                                          .name = "walk",
                                          .version = "1.0",
                                          .licence = "MIT",
                                          .summary = "Walks at random"};
static const DlhManifest weigh_manifest = {.size = sizeof (DlhManifest),
                                           .option_size = sizeof (DlhOption),
                                           .abi_major = DLH_ABI_MAJOR,
                                           .abi_minor = DLH_ABI_MINOR,
                                           .kind = DLH_SAMPLER,
                                           .options_bytes = sizeof (NoOptions),
                                           .name = "weigh",
                                           .version = "1.0",
                                           .licence = "MIT",
                                           .summary = "Weighs draws of a start"};
static const DlhPlugin weigh_plugin = {sizeof (DlhPlugin), &weigh_manifest, &weigh};
static const DlhPlugin walk_plugin = {sizeof (DlhPlugin), &walk_manifest, &walk};
static const DlhPlugin probe_plugin = {sizeof (DlhPlugin), &probe_manifest, &probe};
static const DlhPlugin descent_plugin = {sizeof (DlhPlugin), &descent_manifest, &descent};

DlhComponent *
builtin_component (const DlhPlugin *plugin)
{
    g_autoptr (GError) error = NULL;
    DlhComponent *c = dlh_component_new_static (plugin, NULL, &error);

    if (!c)
        g_error ("%s", error->message);
    return c;
}

DlhComponent *
builtin_model (void)
{
    return builtin_component (&probe_plugin);
}

DlhComponent *
builtin_optimizer (void)
{
    return builtin_component (&descent_plugin);
}

DlhComponent *
builtin_sampler (void)
{
    return builtin_component (&walk_plugin);
}

DlhComponent *
builtin_path_sampler (void)
{
    return builtin_component (&weigh_plugin);
}
