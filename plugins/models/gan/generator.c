/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "generator.h"

// Of batch normalisation: a batch's weight in the running statistics, and what variances gain.
#define MOMENTUM 0.1
#define EPSILON 1e-5

gboolean
generator_check (const DlhProblem *problem, GError **error)
{
    if (problem->vocabulary == 0)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                 "the inputs are tokens, this model wants real numbers");
    return FALSE;
}

DlhStream *
generator_stream (DlhBuild *b, const char *name)
{
    g_autofree char *full = g_strdup_printf ("%s/%s%s", dlh_graph_get_scope (b->graph), name,
                                             b->training ? "" : "_evaluated");

    return dlh_store_stream (b->store, full);
}

static DlhNode *
normalised (DlhBuild *b, gsize layer, DlhNode *h)
{
    g_autofree char *name = g_strdup_printf ("norm%" G_GSIZE_FORMAT, layer + 1);

    return dlh_batch_norm (b, name, h, 1, MOMENTUM, EPSILON);
}

DlhNode *
generator_output (DlhBuild *b, const DlhProblem *problem, const Generator *net, DlhNode *z)
{
    const DlhInit init = dlh_init_named ("glorot");
    DlhNode *h = z;

    dlh_graph_push_scope (b->graph, "generator");
    for (gsize i = 0; i < net->decoder.n; i++) {
        g_autofree char *name = g_strdup_printf ("layer%" G_GSIZE_FORMAT, i + 1);

        h = dlh_dense (b, name, h, net->decoder.values[i], init, TRUE);
        if (net->batch_norm)
            h = normalised (b, i, h);
        h = dlh_activation (h, net->activation);
    }
    h = dlh_dense (b, "output", h, dlh_shape_count (problem->input_shape), init, TRUE);
    dlh_graph_pop_scope (b->graph);
    return dlh_activation (h, net->output);
}

DlhNode *
generator_sample (DlhBuild *b, const DlhProblem *problem, const Generator *net, gint64 n)
{
    DlhNode *z = dlh_normal (b->graph, generator_stream (b, "latents"),
                             dlh_store_get_dtype (b->store), dlh_shape (n, net->latents));

    return generator_output (b, problem, net, z);
}

static DlhDistribution *
generator_prior (DlhBuild *b, const DlhProblem *problem, gconstpointer options, gint64 n)
{
    const Generator *net = options;
    DlhNode *zero =
        dlh_full (b->graph, dlh_store_get_dtype (b->store), dlh_shape (n, net->latents), 0);

    (void)problem;
    return dlh_gaussian (zero, zero, 1);
}

static DlhDistribution *
generator_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    const Generator *net = options;
    const DlhShape shape = problem->input_shape;
    DlhNode *g = generator_output (b, problem, net, z);
    DlhNode *log_std =
        dlh_scalar (b->graph, dlh_store_get_dtype (b->store), 0.5 * log (net->variance));

    if (!dlh_node_failed (g))
        g = dlh_reshape (g, dlh_shape_insert (shape, 0, dlh_node_dim (g, 0)));
    return dlh_gaussian (g, log_std, shape.rank);
}

const DlhLatent generator_latent = {
    .size = sizeof (DlhLatent), .prior = generator_prior, .decode = generator_decode};
