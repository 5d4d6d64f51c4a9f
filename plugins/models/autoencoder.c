/* SPDX-License-Identifier: MIT */
/* Deep autoencoder with a linear code and Bernoulli pixels: the benchmark of Hinton and Salakhutdinov
 * (2006) that K-FAC (arXiv 1503.05671, with tanh) and AggMo (arXiv 1804.00325, with ReLU) are judged
 * on. Inputs are in [0, 1]; the metric squared_error is summed over pixels, averaged over images. */
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    DlhInts hidden;
    gint64 code;
    const char *activation;
    const char *init;
    gint64 sparse_links;
    const char *loss;
} AutoencoderOptions;

static DlhNode *
layer (DlhBuild *b, const AutoencoderOptions *opt, const char *part, gsize i, DlhNode *x, gint64 n,
       gboolean linear)
{
    g_autofree char *name = g_strdup_printf ("%s%" G_GSIZE_FORMAT, part, i);
    DlhInit init = dlh_init_named (opt->init);

    if (init.kind == DLH_INIT_SPARSE)
        init.a = (double) opt->sparse_links;
    x = dlh_dense (b, name, x, n, init, TRUE);
    return linear ? x : dlh_activation (x, opt->activation);
}

static gboolean
autoencoder_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
                   DlhNode *y, DlhObjective *objective, GError **error)
{
    const AutoencoderOptions *opt = options;
    gsize n = opt->hidden.n;
    DlhNode *pixels, *h, *misfit;
    gint64 n_pixels;

    (void) y;
    if (problem->vocabulary > 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "the inputs are tokens, this model wants pixels in [0, 1]");
        return FALSE;
    }
    h = pixels = dlh_flatten (x, 1);
    for (gsize i = 0; i < n; i++)
        h = layer (b, opt, "encoder", i + 1, h, opt->hidden.values[i], FALSE);
    h = layer (b, opt, "encoder", n + 1, h, opt->code, TRUE);
    for (gsize i = 0; i < n; i++)
        h = layer (b, opt, "decoder", i + 1, h, opt->hidden.values[n - 1 - i], FALSE);
    if (!dlh_graph_check (b->graph, error))
        return FALSE;
    n_pixels = dlh_node_dim (pixels, 1);
    h = layer (b, opt, "decoder", n + 1, h, n_pixels, TRUE);

    dlh_objective_predict (objective, dlh_bernoulli (h, 1), pixels);
    if (strcmp (opt->loss, "mean") == 0)
        objective->loss = dlh_scale (objective->loss, 1.0 / (double) n_pixels);
    misfit = dlh_sum_axis (dlh_square (dlh_sub (dlh_sigmoid (h), pixels)), 1);
    dlh_objective_add_metric (objective, "squared_error", dlh_mean_all (misfit));
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised autoencoder_supervised = {.size = sizeof (DlhSupervised),
                                                     .build = autoencoder_build};
static const DlhModel autoencoder = {.size = sizeof (DlhModel),
                                     .supervised = &autoencoder_supervised};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, autoencoder, AutoencoderOptions,
    DLH_OPTIONS (DLH_INTS (AutoencoderOptions, hidden, "[1000,500,250]", 1, 1000000,
                           "Units of the encoder's layers; the decoder mirrors them",
                           .flags = DLH_ALLOW_EMPTY),
                 DLH_INT (AutoencoderOptions, code, 30, 1, 1000000, "Units of the linear code"),
                 DLH_CHOICE (AutoencoderOptions, activation, "tanh",
                             "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",
                             "After each layer but code and output"),
                 DLH_CHOICE (AutoencoderOptions, init, "glorot",
                             "glorot|he|lecun|fan_in|orthogonal|sparse", "First values of weights"),
                 DLH_INT (AutoencoderOptions, sparse_links, 15, 1, 1000000,
                          "Non-zero weights of a unit when init is sparse"),
                 DLH_CHOICE (AutoencoderOptions, loss, "sum", "sum|mean",
                             "Cross-entropy of an image: sum or mean over its pixels")),
    .name = "autoencoder", .version = "1.0",
    .summary = "Deep autoencoder 784-1000-500-250-30 and back, Bernoulli pixels");
