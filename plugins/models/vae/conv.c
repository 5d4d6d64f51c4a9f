/* SPDX-License-Identifier: MIT */
/* Five convolutions take a 64x64 picture to 512 numbers, and five of their adjoints take 512
 * numbers back, each followed by batch normalisation and ReLU (the nets of arXiv 1802.04942 for
 * faces):
 *
 *   4x4/2 32, 4x4/2 32, 4x4/2 64, 4x4/2 64, 4x4 512
 *   1x1 512, 4x4 64, 4x4/2 64, 4x4/2 32, 4x4/2 32, 4x4/2 channels (without normalisation) */
#include "conv.h"

#define SIZE 64
#define CODE 512
#define KERNEL 4
#define MOMENTUM 0.1
#define EPSILON 1e-5

// Halves the picture, or reads all of a 4x4 one.
static const DlhConv halving = {{2, 2}, {1, 1}, {1, 1}, 1}, whole = {{1, 1}, {0, 0}, {1, 1}, 1};

gboolean
vae_conv_fits (DlhShape shape, gint64 *channels)
{
    *channels = shape.rank == 3 ? shape.dims[0] : 1;
    return (shape.rank == 2 || shape.rank == 3) && shape.dims[shape.rank - 2] == SIZE &&
           shape.dims[shape.rank - 1] == SIZE && *channels > 0;
}

static DlhNode *
normal_relu (DlhBuild *b, const char *part, guint i, DlhNode *h)
{
    g_autofree char *name = g_strdup_printf ("%s%u_norm", part, i);

    return dlh_relu (dlh_batch_norm (b, name, h, 1, MOMENTUM, EPSILON));
}

DlhNode *
vae_conv_encoder (DlhBuild *b, DlhNode *x, DlhInit init)
{
    static const gint64 channels[] = {32, 32, 64, 64, CODE};
    const gint64 n = dlh_node_dim (x, 0);

    x = dlh_reshape (x, dlh_shape (n, -1, SIZE, SIZE));
    for (guint i = 0; i < G_N_ELEMENTS (channels); i++) {
        g_autofree char *name = g_strdup_printf ("encoder%u", i + 1);

        x = dlh_conv_layer (b, name, x, channels[i], KERNEL, KERNEL,
                            channels[i] == CODE ? whole : halving, init, TRUE);
        x = normal_relu (b, "encoder", i + 1, x);
    }
    return dlh_reshape (x, dlh_shape (n, CODE));
}

// The adjoint of a convolution: @n_out channels of @size x @size.
static DlhNode *
adjoint_layer (DlhBuild *b, guint i, DlhNode *x, gint64 n_out, DlhConv conv, gint64 size,
               DlhInit init)
{
    g_autofree char *name = g_strdup_printf ("decoder%u", i);
    DlhNode *w, *bias;

    if (dlh_node_failed (x))
        return x;
    dlh_graph_push_scope (b->graph, name);
    w = dlh_parameter (b->graph, b->store, "weight",
                       dlh_shape (dlh_node_dim (x, 1), n_out, KERNEL, KERNEL), init);
    bias = dlh_parameter (b->graph, b->store, "bias", dlh_shape (n_out),
                          (DlhInit){DLH_INIT_ZEROS, 0, 0});
    dlh_graph_pop_scope (b->graph);
    return dlh_conv_transpose2d (x, w, bias, conv, size, size);
}

DlhNode *
vae_conv_decoder (DlhBuild *b, DlhNode *z, gint64 n_channels, DlhInit init)
{
    const gint64 channels[] = {64, 64, 32, 32, n_channels};
    const guint last = G_N_ELEMENTS (channels) - 1;
    DlhNode *h = normal_relu (b, "decoder", 1, dlh_dense (b, "decoder1", z, CODE, init, TRUE));
    gint64 size = KERNEL;

    h = dlh_reshape (h, dlh_shape (dlh_node_dim (z, 0), CODE, 1, 1));
    for (guint i = 0; i <= last; i++, size *= 2) {
        h = adjoint_layer (b, i + 2, h, channels[i], i ? halving : whole, size, init);
        if (i < last)
            h = normal_relu (b, "decoder", i + 2, h);
    }
    return h;
}
