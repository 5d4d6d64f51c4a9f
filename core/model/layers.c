/* SPDX-License-Identifier: MIT */
/* Dense and convolutional layers, normalisation, dropout. */
#include <dlhost/arrange.h>
#include <dlhost/elementwise.h>
#include <dlhost/layers.h>
#include <dlhost/matrix.h>
#include <dlhost/reduce.h>

#define ZEROS ((DlhInit){DLH_INIT_ZEROS, 0, 0})
#define ONES ((DlhInit){DLH_INIT_CONSTANT, 1, 0})

static DlhNode *
shape_error (DlhNode *x, const char *layer, const char *want)
{
    g_autofree char *got = dlh_shape_to_string (dlh_node_shape (x));

    return dlh_graph_fail (dlh_node_graph (x), DLH_ERROR_SHAPE, "%s: input %s, must be %s", layer,
                           got, want);
}

static DlhNode *
dense (DlhBuild *b, DlhNode *x, gint64 n_out, DlhInit init, gboolean bias)
{
    DlhNode *w, *c = NULL;

    if (dlh_node_rank (x) < 1)
        return shape_error (x, "dense", "[..,n]");
    if (n_out < 1)
        return dlh_graph_fail (b->graph, DLH_ERROR_OPTION,
                               "dense: %" G_GINT64_FORMAT " outputs, must be 1 or more", n_out);
    w = dlh_parameter (b->graph, b->store, "weight", dlh_shape (n_out, dlh_node_dim (x, -1)), init);
    if (bias)
        c = dlh_parameter (b->graph, b->store, "bias", dlh_shape (n_out), ZEROS);
    return dlh_linear (x, w, c);
}

DlhNode *
dlh_dense (DlhBuild *b, const char *name, DlhNode *x, gint64 n_out, DlhInit init, gboolean bias)
{
    DlhNode *y;

    if (dlh_node_failed (x))
        return x;
    dlh_graph_push_scope (b->graph, name);
    y = dense (b, x, n_out, init, bias);
    dlh_graph_pop_scope (b->graph);
    return y;
}

static DlhNode *
conv_layer (DlhBuild *b, DlhNode *x, gint64 n_out, gint64 kernel_height, gint64 kernel_width,
            DlhConv conv, DlhInit init, gboolean bias)
{
    gint64 channels, groups = conv.groups;
    DlhNode *w, *c = NULL;

    if (dlh_node_rank (x) != 4)
        return shape_error (x, "convolution", "[batch,channels,height,width]");
    channels = dlh_node_dim (x, 1);
    if (n_out < 1 || kernel_height < 1 || kernel_width < 1 || groups < 1 || channels % groups ||
        n_out % groups)
        return dlh_graph_fail (b->graph, DLH_ERROR_SHAPE,
                               "convolution: %" G_GINT64_FORMAT " channels to %" G_GINT64_FORMAT
                               " in %" G_GINT64_FORMAT " groups with kernel %" G_GINT64_FORMAT
                               "x%" G_GINT64_FORMAT
                               ": sizes must be 1 or more and groups divide the channels",
                               channels, n_out, groups, kernel_height, kernel_width);
    w = dlh_parameter (b->graph, b->store, "weight",
                       dlh_shape (n_out, channels / groups, kernel_height, kernel_width), init);
    if (bias)
        c = dlh_parameter (b->graph, b->store, "bias", dlh_shape (n_out), ZEROS);
    return dlh_conv2d (x, w, c, conv);
}

DlhNode *
dlh_conv_layer (DlhBuild *b, const char *name, DlhNode *x, gint64 n_out, gint64 kernel_height,
                gint64 kernel_width, DlhConv conv, DlhInit init, gboolean bias)
{
    DlhNode *y;

    if (dlh_node_failed (x))
        return x;
    dlh_graph_push_scope (b->graph, name);
    y = conv_layer (b, x, n_out, kernel_height, kernel_width, conv, init, bias);
    dlh_graph_pop_scope (b->graph);
    return y;
}

/* Normalisation. */

// A variable of the layer that is not trained. NULL after marking the graph.
static DlhVariable *
layer_state (DlhBuild *b, const char *name, DlhShape shape, DlhInit init)
{
    const char *scope = dlh_graph_get_scope (b->graph);
    g_autofree char *path = g_strconcat (scope, *scope ? "/" : "", name, NULL);
    g_autoptr (GError) error = NULL;
    DlhVariable *variable;

    if (!dlh_graph_check (b->graph, NULL))
        return NULL;
    variable =
        dlh_store_variable (b->store, path, dlh_store_get_dtype (b->store), shape, init, &error);
    if (!variable)
        dlh_graph_fail (b->graph, error->code, "%s", error->message);
    return variable;
}

// state <- (1 - momentum) state + momentum value
static void
update_running (DlhBuild *b, DlhVariable *state, DlhNode *value, double momentum)
{
    DlhNode *old = dlh_read (b->graph, state);
    DlhNode *next =
        dlh_add (dlh_scale (old, 1 - momentum), dlh_scale (dlh_stop_gradient (value), momentum));

    g_ptr_array_add (b->updates, dlh_assign (state, next));
}

static DlhNode *
batch_norm (DlhBuild *b, DlhNode *x, guint axis, double momentum, double epsilon)
{
    DlhShape shape = dlh_node_shape (x), along = {.rank = shape.rank}, flat;
    gint64 n = shape.dims[axis], count = 1;
    DlhVariable *mean_state, *variance_state;
    DlhNode *scale, *shift, *mean, *variance, *centred;
    int others[DLH_MAX_RANK];
    guint n_others = 0;

    for (guint i = 0; i < shape.rank; i++) {
        along.dims[i] = i == axis ? n : 1;
        if (i != axis) {
            others[n_others++] = (int)i;
            count *= shape.dims[i];
        }
    }
    flat = dlh_shape (n);
    scale = dlh_parameter (b->graph, b->store, "scale", flat, ONES);
    shift = dlh_parameter (b->graph, b->store, "shift", flat, ZEROS);
    mean_state = layer_state (b, "mean", flat, ZEROS);
    variance_state = layer_state (b, "variance", flat, ONES);
    if (!mean_state || !variance_state)
        return scale;

    // An empty batch has no statistics.
    if (b->training && count > 0) {
        mean = dlh_mean (x, others, n_others, TRUE);
        centred = dlh_sub (x, mean);
        variance = dlh_mean (dlh_square (centred), others, n_others, TRUE);
        if (b->updates) {
            double unbiased = (double)count / (double)MAX (count - 1, 1);

            update_running (b, mean_state, dlh_reshape (mean, flat), momentum);
            update_running (b, variance_state, dlh_scale (dlh_reshape (variance, flat), unbiased),
                            momentum);
        }
    } else {
        centred = dlh_sub (x, dlh_reshape (dlh_read (b->graph, mean_state), along));
        variance = dlh_reshape (dlh_read (b->graph, variance_state), along);
    }
    // The scale multiplies the normalised input itself, so that methods find its input.
    centred = dlh_mul (centred, dlh_rsqrt (dlh_offset (variance, epsilon)));
    return dlh_add (dlh_mul (centred, dlh_reshape (scale, along)), dlh_reshape (shift, along));
}

DlhNode *
dlh_batch_norm (DlhBuild *b, const char *name, DlhNode *x, int axis, double momentum,
                double epsilon)
{
    DlhNode *y;
    int rank;

    if (dlh_node_failed (x))
        return x;
    rank = (int)dlh_node_rank (x);
    dlh_graph_push_scope (b->graph, name);
    if (axis >= -rank && axis < rank)
        y = batch_norm (b, x, (guint)(axis < 0 ? axis + rank : axis), momentum, epsilon);
    else
        y = dlh_graph_fail (b->graph, DLH_ERROR_SHAPE, "batch norm: axis %d of an input of rank %d",
                            axis, rank);
    dlh_graph_pop_scope (b->graph);
    return y;
}

DlhNode *
dlh_layer_norm (DlhBuild *b, const char *name, DlhNode *x, double epsilon)
{
    DlhNode *centred, *variance, *scale, *shift, *y;
    int last = -1;

    if (dlh_node_failed (x))
        return x;
    dlh_graph_push_scope (b->graph, name);
    if (dlh_node_rank (x) < 1) {
        y = shape_error (x, "layer norm", "[..,n]");
    } else {
        scale = dlh_parameter (b->graph, b->store, "scale", dlh_shape (dlh_node_dim (x, -1)), ONES);
        shift =
            dlh_parameter (b->graph, b->store, "shift", dlh_shape (dlh_node_dim (x, -1)), ZEROS);
        centred = dlh_sub (x, dlh_mean (x, &last, 1, TRUE));
        variance = dlh_mean (dlh_square (centred), &last, 1, TRUE);
        y = dlh_mul (centred, dlh_rsqrt (dlh_offset (variance, epsilon)));
        y = dlh_add (dlh_mul (y, scale), shift);
    }
    dlh_graph_pop_scope (b->graph);
    return y;
}

/* Dropout. */

static DlhNode *
dropout (DlhBuild *b, const char *name, DlhNode *x, double rate, DlhShape mask)
{
    const char *scope = dlh_graph_get_scope (b->graph);
    g_autofree char *path = g_strconcat ("dropout/", scope, *scope ? "/" : "", name, NULL);
    DlhNode *u, *kept;

    if (!(rate >= 0 && rate < 1))
        return dlh_graph_fail (b->graph, DLH_ERROR_OPTION,
                               "dropout '%s': rate %g, must be in [0, 1)", name, rate);
    if (!b->training || rate == 0)
        return x;
    u = dlh_uniform (b->graph, dlh_store_stream (b->store, path), dlh_node_dtype (x), mask);
    kept = dlh_greater_equal (u, dlh_scalar (b->graph, dlh_node_dtype (x), rate));
    return dlh_mul (x, dlh_scale (dlh_cast (kept, dlh_node_dtype (x)), 1 / (1 - rate)));
}

DlhNode *
dlh_dropout (DlhBuild *b, const char *name, DlhNode *x, double rate)
{
    return dlh_node_failed (x) ? x : dropout (b, name, x, rate, dlh_node_shape (x));
}

DlhNode *
dlh_dropout_locked (DlhBuild *b, const char *name, DlhNode *x, double rate, int axis)
{
    DlhShape mask;

    if (dlh_node_failed (x))
        return x;
    mask = dlh_node_shape (x);
    if (axis < 0)
        axis += (int)mask.rank;
    if (axis < 0 || axis >= (int)mask.rank) {
        g_autofree char *got = dlh_shape_to_string (mask);

        return dlh_graph_fail (b->graph, DLH_ERROR_SHAPE, "dropout '%s': %s has no axis %d", name,
                               got, axis);
    }
    mask.dims[axis] = 1;
    return dropout (b, name, x, rate, mask);
}
