/* SPDX-License-Identifier: MIT */
/* A decoder that was trained elsewhere: dense layers whose values come from a safetensors file by a
 * map of names (map.c). z ~ N (0, I), and p(x | z) Bernoulli or Gaussian around g (z), so that
 * samplers and the task `likelihood` take it as they take models that were trained here. */
#include <math.h>
#include <string.h>
#include "map.h"

typedef struct {
    const char *file, *map, *activation, *likelihood;
    double variance;
} DecoderOptions;

static gboolean
decoder_check (const DecoderOptions *opt, GError **error)
{
    const char *missing = !*opt->file ? "file" : !*opt->map ? "map" : NULL;

    if (!missing)
        return TRUE;
    g_set_error (
        error, DLH_ERROR, DLH_ERROR_OPTION,
        "'%s' is not given: give the safetensors file of a trained decoder with file=, and "
        "with map= the JSON file that says which of its tensors is which parameter",
        missing);
    return FALSE;
}

// NULL after the graph is marked with the error.
static GArray *
read_layers (DlhBuild *b, const DecoderOptions *opt)
{
    g_autoptr (GError) error = NULL;
    GArray *layers = NULL;

    if (decoder_check (opt, &error))
        layers = layers_read (opt->file, opt->map, dlh_graph_get_scope (b->graph),
                              dlh_store_get_dtype (b->store), &error);
    if (!layers)
        dlh_graph_fail (b->graph, error->code, "%s", error->message);
    return layers;
}

static DlhDistribution *
decoder_prior (DlhBuild *b, const DlhProblem *problem, gconstpointer options, gint64 n)
{
    g_autoptr (GArray) layers = read_layers (b, options);
    DlhNode *zero;

    (void)problem;
    // After an error any shape will do.
    zero = dlh_full (
        b->graph, dlh_store_get_dtype (b->store),
        dlh_shape (
            n, layers ? dlh_tensor_get_shape (g_array_index (layers, Layer, 0).weight).dims[1] : 1),
        0);
    return dlh_gaussian (zero, zero, 1);
}

// The file's values are first values: NaN, which no file has, marks those that are newly made and
// not from a checkpoint.
static DlhNode *
parameter (DlhBuild *b, const char *name, const DlhTensor *value)
{
    DlhNode *read = dlh_parameter (b->graph, b->store, name, dlh_tensor_get_shape (value),
                                   (DlhInit){DLH_INIT_CONSTANT, NAN, 0});
    DlhTensor *tensor =
        dlh_node_failed (read) ? NULL : dlh_variable_tensor (dlh_node_variable (read));

    if (tensor && isnan (dlh_tensor_get (tensor, 0)))
        memcpy (dlh_tensor_get_data (tensor), dlh_tensor_get_data (value),
                dlh_tensor_bytes (tensor));
    return read;
}

static DlhNode *
apply (DlhBuild *b, const Layer *layer, DlhNode *h)
{
    DlhNode *weight, *bias;

    dlh_graph_push_scope (b->graph, layer->name);
    weight = parameter (b, "weight", layer->weight);
    bias = layer->bias ? parameter (b, "bias", layer->bias) : NULL;
    h = dlh_linear (h, weight, bias);
    dlh_graph_pop_scope (b->graph);
    return h;
}

static DlhDistribution *
decoder_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    const DecoderOptions *opt = options;
    const DlhShape shape = problem->input_shape;
    g_autoptr (GArray) layers = read_layers (b, opt);
    DlhDType dtype = dlh_store_get_dtype (b->store);
    DlhNode *h = z;

    for (guint i = 0; layers && i < layers->len; i++) {
        h = apply (b, &g_array_index (layers, Layer, i), h);
        if (i + 1 < layers->len)
            h = dlh_activation (h, opt->activation);
    }
    if (layers && !dlh_node_failed (h) && dlh_node_dim (h, 1) != dlh_shape_count (shape))
        h = dlh_graph_fail (b->graph, DLH_ERROR_SHAPE,
                            "%s: the output has %" G_GINT64_FORMAT
                            " elements, an example of the data has %" G_GINT64_FORMAT,
                            opt->map, dlh_node_dim (h, 1), dlh_shape_count (shape));
    if (dlh_graph_check (b->graph, NULL))
        h = dlh_reshape (h, dlh_shape_insert (shape, 0, dlh_node_dim (h, 0)));
    if (strcmp (opt->likelihood, "bernoulli") == 0)
        return dlh_bernoulli (h, shape.rank);
    if (strcmp (opt->likelihood, "sigmoid_gaussian") == 0)
        h = dlh_sigmoid (h);
    return dlh_gaussian (h, dlh_scalar (b->graph, dtype, 0.5 * log (opt->variance)), shape.rank);
}

static const DlhLatent decoder_latent = {
    .size = sizeof (DlhLatent), .prior = decoder_prior, .decode = decoder_decode};
static const DlhModel decoder = {.size = sizeof (DlhModel), .latent = &decoder_latent};

DLH_PLUGIN_DEFINE (
    DLH_MODEL, decoder, DecoderOptions,
    DLH_OPTIONS (
        DLH_STRING (DecoderOptions, file, "", "Safetensors file with the weights"),
        DLH_STRING (DecoderOptions, map, "",
                    "JSON file: this model's parameters and the tensors that they are"),
        DLH_CHOICE (DecoderOptions, activation, "tanh",
                    "relu|tanh|sigmoid|elu|gelu|softplus|leaky_relu|identity",
                    "After each hidden layer"),
        DLH_CHOICE (DecoderOptions, likelihood, "sigmoid_gaussian",
                    "bernoulli|gaussian|sigmoid_gaussian",
                    "Of the inputs: logits; a Gaussian around the outputs, or around their "
                    "sigmoid"),
        DLH_DOUBLE (DecoderOptions, variance, 0.025, 0.0, 1e6, "Variance of a Gaussian likelihood",
                    .flags = DLH_MIN_OPEN)),
    .name = "decoder", .version = "1.0",
    .summary = "Decoder of latent variables that was trained elsewhere");
