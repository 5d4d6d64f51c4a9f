/* SPDX-License-Identifier: MIT */
/* Convolutional classifier: [convolution, batch norm, activation] with max pooling after every few, then
 * dense layers. The default is the size of LeNet (LeCun et al. 1998). */
#include <string.h>
#include <dlhost/dlhost.h>

typedef struct {
    DlhInts channels;
    gint64 kernel;
    const char *padding;
    gint64 pool;
    gint64 pool_every;
    DlhInts hidden;
    const char *activation;
    const char *init;
    gboolean batch_norm;
    double dropout;
} ConvnetOptions;

// Pictures (B, C, H, W) from (B, C, H, W) or (B, H, W).
static DlhNode *
pictures (const DlhProblem *problem, DlhNode *x, GError **error)
{
    g_autofree char *shape = dlh_shape_to_string (problem->input_shape);

    if (problem->vocabulary == 0 && problem->target_kind == DLH_TARGET_CLASS) {
        if (problem->input_shape.rank == 3)
            return x;
        if (problem->input_shape.rank == 2)
            return dlh_expand (x, 1);
    }
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "inputs %s%s, must be pictures [channels,height,width] or [height,width] with a "
                 "class each: try --model=%s",
                 shape, problem->target_kind == DLH_TARGET_CLASS ? "" : " without classes",
                 problem->vocabulary > 0 ? "lstm" : "mlp");
    return NULL;
}

static DlhNode *
conv_block (DlhBuild *b, const ConvnetOptions *opt, gsize i, DlhNode *h)
{
    gint64 margin = strcmp (opt->padding, "same") == 0 ? opt->kernel / 2 : 0;
    DlhConv conv = DLH_CONV_DEFAULT;
    DlhPool pool = {{opt->pool, opt->pool}, {opt->pool, opt->pool}, {0, 0}};
    g_autofree char *name = g_strdup_printf ("conv%" G_GSIZE_FORMAT, i + 1);
    g_autofree char *norm = g_strdup_printf ("norm%" G_GSIZE_FORMAT, i + 1);

    conv.padding[0] = conv.padding[1] = margin;
    // A bias in front of a batch norm would have no effect.
    h = dlh_conv_layer (b, name, h, opt->channels.values[i], opt->kernel, opt->kernel, conv,
                        dlh_init_named (opt->init), !opt->batch_norm);
    if (opt->batch_norm)
        h = dlh_batch_norm (b, norm, h, 1, 0.1, 1e-5);
    h = dlh_activation (h, opt->activation);
    if (opt->pool > 1 && (i + 1) % (gsize) opt->pool_every == 0)
        h = dlh_max_pool2d (h, pool);
    return h;
}

static DlhNode *
dense_block (DlhBuild *b, const ConvnetOptions *opt, gsize i, DlhNode *h)
{
    g_autofree char *name = g_strdup_printf ("dense%" G_GSIZE_FORMAT, i + 1);
    g_autofree char *norm = g_strdup_printf ("dense_norm%" G_GSIZE_FORMAT, i + 1);

    h = dlh_dense (b, name, h, opt->hidden.values[i], dlh_init_named (opt->init), !opt->batch_norm);
    if (opt->batch_norm)
        h = dlh_batch_norm (b, norm, h, 1, 0.1, 1e-5);
    h = dlh_activation (h, opt->activation);
    return dlh_dropout (b, name, h, opt->dropout);
}

static gboolean
convnet_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
               DlhObjective *objective, GError **error)
{
    const ConvnetOptions *opt = options;
    DlhNode *h = pictures (problem, x, error);

    if (!h)
        return FALSE;
    if (strcmp (opt->padding, "same") == 0 && opt->kernel % 2 == 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "'kernel' is %" G_GINT64_FORMAT ", must be odd for padding=same", opt->kernel);
        return FALSE;
    }
    for (gsize i = 0; i < opt->channels.n; i++)
        h = conv_block (b, opt, i, h);
    h = dlh_flatten (h, 1);
    for (gsize i = 0; i < opt->hidden.n; i++)
        h = dense_block (b, opt, i, h);
    h = dlh_dense (b, "output", h, problem->n_classes, dlh_init_named ("glorot"), TRUE);
    dlh_objective_classify (objective, h, y);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised convnet_supervised = {.size = sizeof (DlhSupervised),
                                                 .build = convnet_build};
static const DlhModel convnet = {.size = sizeof (DlhModel), .supervised = &convnet_supervised};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, convnet, ConvnetOptions,
    DLH_OPTIONS (DLH_INTS (ConvnetOptions, channels, "[20,50]", 1, 100000,
                           "Output channels of each convolution"),
                 DLH_INT (ConvnetOptions, kernel, 5, 1, 1000, "Height and width of the kernels",
                          .unit = "pixels"),
                 DLH_CHOICE (ConvnetOptions, padding, "valid", "valid|same",
                             "Around pictures: none, or zeros that keep their size"),
                 DLH_INT (ConvnetOptions, pool, 2, 1, 1000, "Max pooling; 1: none",
                          .unit = "pixels"),
                 DLH_INT (ConvnetOptions, pool_every, 1, 1, 1000,
                          "Pools after every this many convolutions"),
                 DLH_INTS (ConvnetOptions, hidden, "[500]", 1, 1000000,
                           "Units of each dense layer before the output",
                           .flags = DLH_ALLOW_EMPTY),
                 DLH_CHOICE (ConvnetOptions, activation, "relu",
                             "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",
                             "After each convolution and dense layer"),
                 DLH_CHOICE (ConvnetOptions, init, "he", "he|glorot|lecun|fan_in|orthogonal|sparse",
                             "First values of weights"),
                 DLH_BOOL_OPTION (ConvnetOptions, batch_norm, false,
                                  "Batch normalisation before each activation"),
                 DLH_DOUBLE (ConvnetOptions, dropout, 0, 0.0, 1.0,
                             "Share of dense hidden units dropped", .flags = DLH_MAX_OPEN)),
    .name = "convnet", .version = "1.0", .summary = "Convolutional network that classifies pictures");
