/* SPDX-License-Identifier: MIT */
// @name@: one hidden layer with a skip connection, for classes. Replace it by your network.
//   h = tanh (x W1' + b1)        logits = h W2' + x W3' + b3
#include <dlhost/dlhost.h>

typedef struct {
    gint64 hidden;
    const char *activation;
} @Type@Options;

// Called once for each batch size and mode. x is (B, input shape), y (B) or NULL. Layers make their
// own parameters: "@name@/hidden/weight" and so on.
static gboolean
@ident@_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
               DlhNode *y, DlhObjective *objective, GError **error)
{
    const @Type@Options *opt = options;
    const DlhInit init = dlh_init_named ("glorot");
    DlhNode *flat, *h, *skip;

    if (problem->target_kind != DLH_TARGET_CLASS || problem->vocabulary > 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "@name@ sorts numbers into classes, which the data set does not ask "
                     "for: try --dataset=fashion-mnist");
        return FALSE;
    }
    flat = dlh_flatten (x, 1);
    h = dlh_dense (b, "hidden", flat, opt->hidden, init, TRUE);
    h = dlh_activation (h, opt->activation);
    h = dlh_dense (b, "output", h, problem->n_classes, init, FALSE);
    skip = dlh_dense (b, "skip", flat, problem->n_classes, init, TRUE);
    // Cross-entropy, accuracy, and the distribution behind them.
    dlh_objective_classify (objective, dlh_add (h, skip), y);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised @ident@_supervised = {
    .size = sizeof (DlhSupervised),
    .build = @ident@_build,
};
// A model states its roles; this one can be trained on examples.
static const DlhModel @ident@_model = {
    .size = sizeof (DlhModel),
    .supervised = &@ident@_supervised,
};

DLH_PLUGIN_DEFINE (DLH_MODEL, @ident@_model, @Type@Options,
                   DLH_OPTIONS (DLH_INT (@Type@Options, hidden, 32, 1, 1000000, "Hidden units"),
                                DLH_CHOICE (@Type@Options, activation, "tanh",
                                            "relu|tanh|sigmoid|gelu", "After the hidden layer")),
                   .name = "@name@", .version = "0.1",
                   .summary = "One hidden layer beside a linear map, for classes");
