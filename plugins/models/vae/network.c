/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>
#include "conv.h"

static DlhNode *
layers (DlhBuild *b, const VaeNetwork *net, const char *part, DlhNode *h, const DlhInts *units,
        const char *activation)
{
    for (gsize i = 0; i < units->n; i++) {
        g_autofree char *name = g_strdup_printf ("%s%" G_GSIZE_FORMAT, part, i + 1);

        h = dlh_dense (b, name, h, units->values[i], dlh_init_named (net->init), TRUE);
        h = dlh_activation (h, activation);
    }
    return h;
}

static gboolean
is_conv (const VaeNetwork *net)
{
    return strcmp (net->network, "conv") == 0;
}

DlhDistribution *
vae_prior (DlhBuild *b, const DlhProblem *problem, gconstpointer options, gint64 n)
{
    const VaeNetwork *net = options;
    DlhNode *zero =
        dlh_full (b->graph, dlh_store_get_dtype (b->store), dlh_shape (n, net->latents), 0);

    (void)problem;
    return strcmp (net->prior, "laplace") == 0 ? dlh_laplace (zero, zero, 1)
                                               : dlh_gaussian (zero, zero, 1);
}

static DlhNode *
refuse_pictures (DlhBuild *b, const DlhProblem *problem)
{
    g_autoptr (GError) error = NULL;
    const VaeNetwork conv = {.network = "conv"};

    vae_check (problem, &conv, &error);
    return dlh_graph_fail (b->graph, DLH_ERROR_SHAPE, "%s", error->message);
}

DlhDistribution *
vae_encode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x)
{
    const VaeNetwork *net = options;
    const DlhInit init = dlh_init_named (net->init);
    gint64 channels;
    DlhNode *h;

    if (!is_conv (net))
        h = layers (b, net, "encoder", dlh_flatten (x, 1), &net->encoder, net->activation);
    else if (vae_conv_fits (problem->input_shape, &channels))
        h = vae_conv_encoder (b, x, init);
    else
        h = refuse_pictures (b, problem);
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

// One number for each element of an example, (n, ..).
static DlhNode *
decoder_outputs (DlhBuild *b, const DlhProblem *problem, const VaeNetwork *net, DlhNode *z)
{
    const gboolean same = strcmp (net->decoder_activation, "same") == 0;
    const DlhInit init = dlh_init_named (net->init);
    gint64 channels;
    DlhNode *h;

    if (is_conv (net))
        return vae_conv_fits (problem->input_shape, &channels)
                   ? vae_conv_decoder (b, z, channels, init)
                   : refuse_pictures (b, problem);
    h = layers (b, net, "decoder", z, &net->decoder,
                same ? net->activation : net->decoder_activation);
    return dlh_dense (b, "output", h, dlh_shape_count (problem->input_shape), init, TRUE);
}

DlhDistribution *
vae_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    const VaeNetwork *net = options;
    DlhNode *h = decoder_outputs (b, problem, net, z);
    DlhShape shape = problem->input_shape;
    guint rank = shape.rank;

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
vae_check (const DlhProblem *problem, gconstpointer options, GError **error)
{
    gint64 channels;

    if (problem->vocabulary > 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "the inputs are tokens, this model wants real numbers or pixels in [0, 1]");
        return FALSE;
    }
    if (is_conv (options) && !vae_conv_fits (problem->input_shape, &channels)) {
        g_autofree char *shape = dlh_shape_to_string (problem->input_shape);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "network=conv takes pictures [64,64] or [channels,64,64], the inputs are %s: "
                     "use network=mlp",
                     shape);
        return FALSE;
    }
    return TRUE;
}

DlhStream *
vae_stream (DlhBuild *b)
{
    g_autofree char *name = g_strdup_printf ("%s/%s", dlh_graph_get_scope (b->graph),
                                             b->training ? "latents" : "latents_evaluated");

    return dlh_store_stream (b->store, name);
}

VaeDraw
vae_draw (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
          DlhObjective *objective)
{
    VaeDraw draw = {.q = vae_encode (b, problem, options, x)};

    draw.prior = vae_prior (b, problem, options, dlh_node_dim (x, 0));
    draw.z = dlh_rsample (draw.q, vae_stream (b));
    dlh_objective_predict (objective, vae_decode (b, problem, options, draw.z), x);
    return draw;
}

// E |z| of N (mean, exp (2 log_std))
static DlhNode *
mean_distance (DlhNode *mean, DlhNode *log_std)
{
    DlhNode *s = dlh_exp (log_std), *r = dlh_div (mean, s);

    return dlh_add (
        dlh_scale (dlh_mul (s, dlh_exp (dlh_scale (dlh_square (r), -0.5))), sqrt (M_2_PI)),
        dlh_mul (mean, dlh_erf (dlh_scale (r, M_SQRT1_2))));
}

DlhNode *
vae_kl (const VaeDraw *draw)
{
    DlhNode *mean = dlh_distribution_parameter (draw->q, 0);
    DlhNode *log_std = dlh_distribution_parameter (draw->q, 1);

    if (strcmp (dlh_distribution_name (draw->prior), "Laplace") != 0)
        return dlh_kl (draw->q, draw->prior);
    // E [-log p] = log 2 + E |z| for each latent.
    return dlh_sub (dlh_sum_axis (dlh_offset (mean_distance (mean, log_std), log (2)), 1),
                    dlh_entropy (draw->q));
}

/* Schedules. */

// The steps of training behind us, f64; NULL: it is no training.
static DlhNode *
count_steps (DlhBuild *b, const char *counter_name)
{
    g_autofree char *name = g_strdup_printf ("%s/%s", dlh_graph_get_scope (b->graph), counter_name);
    g_autoptr (GError) error = NULL;
    DlhVariable *counter;
    DlhNode *step;

    if (!b->training)
        return NULL;
    counter = dlh_store_variable (b->store, name, DLH_I64, dlh_shape (),
                                  (DlhInit){DLH_INIT_ZEROS, 0, 0}, &error);
    if (!counter)
        return dlh_graph_fail (b->graph, error->code, "%s", error->message);
    step = dlh_read (b->graph, counter);
    if (b->updates)
        g_ptr_array_add (b->updates, dlh_assign (counter, dlh_offset (step, 1)));
    return dlh_cast (step, DLH_F64);
}

DlhNode *
vae_warmed_up (DlhBuild *b, double value, gint64 n)
{
    const DlhDType dtype = dlh_store_get_dtype (b->store);
    DlhNode *step = n ? count_steps (b, "warmup_step") : NULL;

    if (!step)
        return dlh_scalar (b->graph, dtype, value);
    step = dlh_scale (step, 1 / (double)n);
    return dlh_cast (dlh_scale (dlh_clamp (step, 0, 1), value), dtype);
}

DlhNode *
vae_fading (DlhBuild *b, double first, gint64 n)
{
    const DlhDType dtype = dlh_store_get_dtype (b->store);
    DlhNode *step = n ? count_steps (b, "fading_step") : NULL;

    if (!step)
        return dlh_scalar (b->graph, dtype, 0);
    return dlh_cast (dlh_clamp (dlh_offset (dlh_scale (step, -1 / (double)n), first), 0, first),
                     dtype);
}
