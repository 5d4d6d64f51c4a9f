/* SPDX-License-Identifier: MIT */
/* Multilayer perceptron. Classes: cross-entropy. Real targets: a Gaussian around the outputs, whose
 * standard deviation is fixed or learned, one number for each target column. */
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    DlhInts hidden;
    const char *activation;
    const char *init;
    double dropout;
    double noise;
} MlpOptions;

static DlhNode *
mlp_features (DlhBuild *b, const MlpOptions *opt, DlhNode *x)
{
    DlhNode *h = dlh_flatten (x, 1);

    for (gsize i = 0; i < opt->hidden.n; i++) {
        g_autofree char *name = g_strdup_printf ("hidden%" G_GSIZE_FORMAT, i + 1);

        h = dlh_dense (b, name, h, opt->hidden.values[i], dlh_init_named (opt->init), TRUE);
        h = dlh_activation (h, opt->activation);
        h = dlh_dropout (b, name, h, opt->dropout);
    }
    return h;
}

// Metrics are in the targets' own units.
static void
mlp_regress (DlhBuild *b, const DlhProblem *problem, const MlpOptions *opt, DlhNode *mean, DlhNode *y,
             DlhObjective *objective)
{
    double scale = problem->target_std > 0 ? problem->target_std : 1;
    gint64 n = dlh_node_dim (mean, -1);
    DlhNode *log_std, *error;

    if (opt->noise > 0)
        log_std = dlh_scalar (b->graph, dlh_node_dtype (mean), log (opt->noise));
    else
        log_std = dlh_parameter (b->graph, b->store, "log_std", dlh_shape (n),
                                 (DlhInit){DLH_INIT_ZEROS, 0, 0});
    dlh_objective_predict (objective, dlh_gaussian (mean, log_std, 1), y);
    if (!y)
        return;
    error = dlh_sum_last (dlh_square (dlh_scale (dlh_sub (mean, y), scale)), 1);
    dlh_objective_add_metric (objective, "squared_error", dlh_mean_all (error));
    dlh_objective_add_metric (objective, "log_likelihood",
                              dlh_offset (dlh_neg (objective->loss), -log (scale) * (double) n));
}

static gboolean
mlp_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
           DlhObjective *objective, GError **error)
{
    const MlpOptions *opt = options;
    const DlhInit init = dlh_init_named ("glorot");
    DlhNode *h;

    if (problem->vocabulary > 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "the inputs are tokens, this model wants numbers: try --model=lstm");
        return FALSE;
    }
    if (problem->target_kind == DLH_TARGET_CLASS) {
        h = mlp_features (b, opt, x);
        h = dlh_dense (b, "output", h, problem->n_classes, init, TRUE);
        dlh_objective_classify (objective, h, y);
        return dlh_graph_check (b->graph, error);
    }
    if (problem->target_kind == DLH_TARGET_REAL && problem->target_shape.rank == 1) {
        h = mlp_features (b, opt, x);
        h = dlh_dense (b, "output", h, problem->target_shape.dims[0], init, TRUE);
        mlp_regress (b, problem, opt, h, y, objective);
        return dlh_graph_check (b->graph, error);
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "the data set has neither classes nor rows of real targets: try "
                 "--model=autoencoder for inputs alone, --model=lstm for sequences");
    return FALSE;
}

static const DlhSupervised mlp_supervised = {.size = sizeof (DlhSupervised), .build = mlp_build};
static const DlhModel mlp = {.size = sizeof (DlhModel), .supervised = &mlp_supervised};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, mlp, MlpOptions,
    DLH_OPTIONS (DLH_INTS (MlpOptions, hidden, "[128]", 1, 1000000, "Units of each hidden layer",
                           .flags = DLH_ALLOW_EMPTY),
                 DLH_CHOICE (MlpOptions, activation, "relu",
                             "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",
                             "After each hidden layer"),
                 DLH_CHOICE (MlpOptions, init, "he", "he|glorot|lecun|fan_in|orthogonal|sparse",
                             "First values of hidden weights"),
                 DLH_DOUBLE (MlpOptions, dropout, 0, 0.0, 1.0, "Share of hidden units dropped",
                             .flags = DLH_MAX_OPEN),
                 DLH_DOUBLE (MlpOptions, noise, 0, 0.0, 1e6,
                             "Standard deviation of real targets, as standardised; 0: learned")),
    .name = "mlp", .version = "1.0", .summary = "Multilayer perceptron for classes or real targets");
