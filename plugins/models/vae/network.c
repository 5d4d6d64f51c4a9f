/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "network.h"

static DlhNode *
layers (DlhBuild *b, const VaeNetwork *net, const char *part, DlhNode *h, const DlhInts *units)
{
    for (gsize i = 0; i < units->n; i++) {
        g_autofree char *name = g_strdup_printf ("%s%" G_GSIZE_FORMAT, part, i + 1);

        h = dlh_dense (b, name, h, units->values[i], dlh_init_named ("glorot"), TRUE);
        h = dlh_activation (h, net->activation);
    }
    return h;
}

DlhDistribution *
vae_prior (DlhBuild *b, const DlhProblem *problem, gconstpointer options, gint64 n)
{
    const VaeNetwork *net = options;
    DlhNode *zero =
        dlh_full (b->graph, dlh_store_get_dtype (b->store), dlh_shape (n, net->latents), 0);

    (void)problem;
    return dlh_gaussian (zero, zero, 1);
}

DlhDistribution *
vae_encode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x)
{
    const VaeNetwork *net = options;
    const DlhInit init = dlh_init_named ("glorot");
    DlhNode *h = layers (b, net, "encoder", dlh_flatten (x, 1), &net->encoder);

    (void)problem;
    return dlh_gaussian (dlh_dense (b, "mean", h, net->latents, init, TRUE),
                         dlh_dense (b, "log_std", h, net->latents, init, TRUE), 1);
}

static DlhNode *
log_std_of (DlhBuild *b, const VaeNetwork *net)
{
    if (net->variance > 0)
        return dlh_scalar (b->graph, dlh_store_get_dtype (b->store), 0.5 * log (net->variance));
    return dlh_parameter (b->graph, b->store, "output/log_std", dlh_shape (),
                          (DlhInit){DLH_INIT_ZEROS, 0, 0});
}

DlhDistribution *
vae_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    const VaeNetwork *net = options;
    DlhNode *h = layers (b, net, "decoder", z, &net->decoder);
    DlhShape shape = problem->input_shape;
    guint rank = shape.rank;

    h = dlh_dense (b, "output", h, dlh_shape_count (shape), dlh_init_named ("glorot"), TRUE);
    if (!dlh_node_failed (h))
        h = dlh_reshape (h, dlh_shape_insert (shape, 0, dlh_node_dim (h, 0)));
    if (strcmp (net->likelihood, "bernoulli") == 0)
        return dlh_bernoulli (h, rank);
    if (strcmp (net->likelihood, "sigmoid_gaussian") == 0)
        h = dlh_sigmoid (h);
    return dlh_gaussian (h, log_std_of (b, net), rank);
}

const DlhLatent vae_latent = {
    .size = sizeof (DlhLatent), .prior = vae_prior, .decode = vae_decode, .encode = vae_encode};

gboolean
vae_check (const DlhProblem *problem, GError **error)
{
    if (problem->vocabulary == 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "the inputs are tokens, this model wants real numbers or pixels in [0, 1]");
    return FALSE;
}

DlhStream *
vae_stream (DlhBuild *b)
{
    g_autofree char *name = g_strdup_printf ("%s/%s", dlh_graph_get_scope (b->graph),
                                             b->training ? "latents" : "latents_evaluated");

    return dlh_store_stream (b->store, name);
}
