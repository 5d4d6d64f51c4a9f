/* SPDX-License-Identifier: MIT */
/* Mixtures of diagonal Gaussians. With L_ijd = log N(z_id; mean_jd, exp(log_std_jd)^2), t_ijd =
 * (z_id - mean_jd) / sigma_jd and w_ij the logarithm of a weight,
 *
 *   y_id = logsumexp_j (w_ij + L_ijd)        y_iD = logsumexp_j (w_ij + sum_d L_ijd)
 *   a_ijd = dy_id exp (w_ij + L_ijd - y_id) + dy_iD exp (w_ij + sum_d L_ijd - y_iD)
 *   dz_id = - sum_j a t / sigma    dmean_jd = sum_i a t / sigma    dlog_std_jd = sum_i a (t^2 - 1)
 *
 * The gradient is an op too, gaussian_mixture_grad (z, mean, log_std, y, dy), packed (M + 2 K, D).
 */
#include <math.h>
#include <dlhost/dlhost.h>
#include <dlhost/sample.h>
#include "cpu/mixture.h"
#include "graph/axes.h"

#define HALF_LOG_2PI 0.91893853320467274178

static gboolean
check_points (const DlhNode *node, GError **error)
{
    const DlhNode *z = node->inputs[0];
    const DlhMixtureWeights *w = node->attrs;

    for (guint i = 0; i < node->n_inputs; i++)
        if (!dlh_dtype_is_float (node->inputs[i]->dtype) || node->inputs[i]->dtype != z->dtype)
            return dlh_refuse (node, error, "input %u is %s, all must be f32 or all f64", i,
                               dlh_dtype_name (node->inputs[i]->dtype));
    for (guint i = 0; i < 3; i++) {
        DlhShape shape = node->inputs[i]->shape;
        g_autofree char *text = dlh_shape_to_string (shape);

        if (shape.rank != 2)
            return dlh_refuse (node, error, "input %u %s, must be (cases, latents)", i, text);
        if (shape.dims[1] != z->shape.dims[1] ||
            (i == 2 && !dlh_shape_equal (shape, node->inputs[1]->shape)))
            return dlh_refuse (node, error, "%s %s does not fit points and means",
                               i == 2 ? "log deviations" : "means", text);
    }
    if (node->inputs[1]->shape.dims[0] == 0)
        return dlh_refuse (node, error, "of no components");
    if (!isfinite (w->own) || !isfinite (w->next) || !isfinite (w->others))
        return dlh_refuse (node, error, "log weights %g, %g and %g must be finite", w->own, w->next,
                           w->others);
    if ((w->own != w->others || w->next != w->others) &&
        z->shape.dims[0] != node->inputs[1]->shape.dims[0])
        return dlh_refuse (
            node, error,
            "weights of a point's own component need as many points, %" G_GINT64_FORMAT
            ", as components, %" G_GINT64_FORMAT,
            z->shape.dims[0], node->inputs[1]->shape.dims[0]);
    return TRUE;
}

static gboolean
mixture_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    *dtype = node->inputs[0]->dtype;
    *shape = dlh_shape ();
    if (!check_points (node, error))
        return FALSE;
    *shape = dlh_shape (node->inputs[0]->shape.dims[0], node->inputs[0]->shape.dims[1] + 1);
    return TRUE;
}

static gboolean
grad_infer (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    DlhShape y;

    *dtype = node->inputs[0]->dtype;
    *shape = dlh_shape ();
    if (!check_points (node, error))
        return FALSE;
    y = dlh_shape (node->inputs[0]->shape.dims[0], node->inputs[0]->shape.dims[1] + 1);
    for (guint i = 3; i < 5; i++) {
        g_autofree char *got = dlh_shape_to_string (node->inputs[i]->shape);

        if (!dlh_shape_equal (node->inputs[i]->shape, y))
            return dlh_refuse (node, error, "input %u %s does not fit the points", i, got);
    }
    *shape = dlh_shape (y.dims[0] + 2 * node->inputs[1]->shape.dims[0], y.dims[1] - 1);
    return TRUE;
}

static DlhMixture
sizes (const DlhNode *node)
{
    return (DlhMixture){.dtype = node->dtype,
                        .m = node->inputs[0]->shape.dims[0],
                        .d = node->inputs[0]->shape.dims[1],
                        .k = node->inputs[1]->shape.dims[0],
                        .weights = *(const DlhMixtureWeights *)node->attrs};
}

static gsize
mixture_workspace (const DlhNode *node)
{
    DlhMixture m = sizes (node);

    return dlh_mixture_workspace (&m, FALSE);
}

static gsize
grad_workspace (const DlhNode *node)
{
    DlhMixture m = sizes (node);

    return dlh_mixture_workspace (&m, TRUE);
}

static gboolean
mixture_run (const DlhCall *call, GError **error)
{
    DlhMixture m = sizes (call->node);

    (void)error;
    dlh_mixture_forward (&m, call->in[0], call->in[1], call->in[2], call->out, call->work);
    return TRUE;
}

static gboolean
grad_run (const DlhCall *call, GError **error)
{
    DlhMixture m = sizes (call->node);

    (void)error;
    dlh_mixture_backward (&m, call->in[0], call->in[1], call->in[2], call->in[3], call->in[4],
                          call->out, call->work);
    return TRUE;
}

// Each pair: a distance and its square, an exponential (counted as ten), sums.
static double
mixture_flops (const DlhNode *node)
{
    DlhMixture m = sizes (node);

    return 17 * (double)m.m * (double)m.k * (double)(m.d + 1);
}

static double
grad_flops (const DlhNode *node)
{
    return 1.5 * mixture_flops (node);
}

/* The same in public ops, with arrays of all pairs. */

// (M, K)
static DlhNode *
log_weights (DlhNode *like, const DlhMixtureWeights *w, gint64 m, gint64 k)
{
    DlhNode *all = dlh_full (like->graph, like->dtype, dlh_shape (m, k), w->others), *eye, *next;

    if (w->own == w->others && w->next == w->others)
        return all;
    eye = dlh_eye (like->graph, like->dtype, k);
    all = dlh_add (all, dlh_scale (eye, w->own - w->others));
    if (k == 1)
        return all;
    next =
        dlh_concat ((DlhNode *[]){dlh_slice (eye, 0, 1, k, 1), dlh_slice (eye, 0, 0, 1, 1)}, 2, 0);
    return dlh_add (all, dlh_scale (next, w->next - w->others));
}

// gaussian_mixture_grad of @in.
static DlhNode *
plain_grad (const DlhMixtureWeights *w, DlhNode *const *in)
{
    DlhNode *z = dlh_expand (in[0], 1), *mean = dlh_expand (in[1], 0), *l = dlh_expand (in[2], 0);
    const gint64 d = dlh_node_dim (in[0], 1);
    DlhNode *inv = dlh_exp (dlh_neg (l)), *t = dlh_mul (dlh_sub (z, mean), inv);
    DlhNode *terms = dlh_offset (dlh_sub (dlh_scale (dlh_square (t), -0.5), l), -HALF_LOG_2PI);
    DlhNode *weights = log_weights (z, w, dlh_node_dim (in[0], 0), dlh_node_dim (in[1], 0));
    DlhNode *y = dlh_expand (in[3], 1), *dy = dlh_expand (in[4], 1), *a, *joint, *at, *parts[3];

    a = dlh_exp (dlh_sub (dlh_add (terms, dlh_expand (weights, 2)), dlh_slice (y, 2, 0, d, 1)));
    a = dlh_mul (a, dlh_slice (dy, 2, 0, d, 1));
    joint = dlh_expand (dlh_add (dlh_sum_axis (terms, 2), weights), 2);
    joint = dlh_exp (dlh_sub (joint, dlh_slice (y, 2, d, d + 1, 1)));
    a = dlh_add (a, dlh_mul (joint, dlh_slice (dy, 2, d, d + 1, 1)));
    at = dlh_mul (dlh_mul (a, t), inv);
    parts[0] = dlh_neg (dlh_sum_axis (at, 1));
    parts[1] = dlh_sum_axis (at, 0);
    parts[2] = dlh_sum_axis (dlh_mul (a, dlh_offset (dlh_square (t), -1)), 0);
    return dlh_concat (parts, 3, 0);
}

// Differentiates plain_grad() as a function of five independent inputs: stops stand for them, and
// are taken out at the end. An input that is given twice gets its gradient once.
static void
grad_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *stops[5], *from[5], *partial[5];
    guint n = 0;

    for (guint i = 0; i < 5; i++) {
        gboolean again = FALSE;

        stops[i] = dlh_stop_gradient (y->inputs[i]);
        for (guint k = 0; k < n; k++)
            again |= from[k] == stops[i];
        if (!again)
            from[n++] = stops[i];
    }
    dlh_gradients (plain_grad (y->attrs, stops), from, n, dy, partial);
    for (guint k = 0; k < n; k++) {
        guint i = 0;
        DlhNode *to[5];

        while (stops[i] != from[k])
            i++;
        for (guint s = 0; s < 5; s++)
            to[s] = y->inputs[s];
        dlh_graph_substitute (&partial[k], 1, stops, to, 5, &dx[i]);
    }
}

static const DlhOp op_mixture_grad;

static void
mixture_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *in[] = {y->inputs[0], y->inputs[1], y->inputs[2], y, dy};
    DlhNode *packed = dlh_node_new (&op_mixture_grad, in, 5, y->attrs);
    const gint64 m = dlh_node_dim (in[0], 0), k = dlh_node_dim (in[1], 0);

    dx[0] = dlh_slice (packed, 0, 0, m, 1);
    dx[1] = dlh_slice (packed, 0, m, m + k, 1);
    dx[2] = dlh_slice (packed, 0, m + k, m + 2 * k, 1);
}

static const DlhMixtureWeights sample_weights[] = {{-2, -2, -2}, {-1.5, -0.25, -0.5}, {-3, -1, -2}};

static DlhNode *
mixture_sample (DlhSample *s, guint which)
{
    DlhNode *in[3];

    if (which > 2 || !dlh_sample_dim (s, 4))
        return NULL;
    in[0] = dlh_sample_uniform (s, -1, 1, dlh_sample_shape (s, which ? 4 : 3, 3));
    in[1] = dlh_sample_uniform (s, -1, 1, dlh_sample_shape (s, 4, 3));
    in[2] = dlh_sample_uniform (s, -0.5, 0.5, dlh_sample_shape (s, 4, 3));
    return dlh_gaussian_mixture (in[0], in[1], in[2], sample_weights[which]);
}

static DlhNode *
grad_sample (DlhSample *s, guint which)
{
    DlhNode *in[5];
    gint64 d = dlh_sample_dim (s, 2), m = dlh_sample_dim (s, which ? 3 : 2);

    if (which > 2 || !d)
        return NULL;
    in[0] = dlh_sample_uniform (s, -1, 1, dlh_shape (m, d));
    in[1] = dlh_sample_uniform (s, -1, 1, dlh_sample_shape (s, 3, 2));
    in[2] = dlh_sample_uniform (s, -0.5, 0.5, dlh_sample_shape (s, 3, 2));
    in[3] = dlh_sample_uniform (s, -4, -2, dlh_shape (m, d + 1));
    in[4] = dlh_sample_uniform (s, -1, 1, dlh_shape (m, d + 1));
    return dlh_node_new (&op_mixture_grad, in, 5, &sample_weights[which]);
}

// What both refuse; @which 0 .. 6.
static gboolean
bad_inputs (DlhSample *s, guint which, DlhNode **in, DlhMixtureWeights *w)
{
    *w = sample_weights[0];
    in[0] = dlh_sample_uniform (s, -1, 1, which == 0 ? dlh_shape (4) : dlh_shape (4, 3));
    in[1] = dlh_sample_uniform (s, -1, 1, dlh_shape (which == 3 ? 0 : 5, which == 1 ? 2 : 3));
    in[2] = which == 4 ? dlh_sample_index (s, 3, dlh_shape (5, 3))
                       : dlh_sample_uniform (s, -1, 1,
                                             dlh_shape (which == 3   ? 0
                                                        : which == 2 ? 4
                                                                     : 5,
                                                        3));
    if (which == 5)
        w->others = -INFINITY;
    if (which == 6)
        w->own = 0;
    return which <= 6;
}

static DlhNode *
mixture_reject (DlhSample *s, guint which)
{
    DlhMixtureWeights w;
    DlhNode *in[3];

    return bad_inputs (s, which, in, &w) ? dlh_gaussian_mixture (in[0], in[1], in[2], w) : NULL;
}

static DlhNode *
grad_reject (DlhSample *s, guint which)
{
    DlhMixtureWeights w;
    DlhNode *in[5];

    if (!bad_inputs (s, which, in, &w) && which > 8)
        return NULL;
    in[3] = dlh_sample_uniform (s, -1, 1, dlh_shape (4, which == 7 ? 3 : 4));
    in[4] = dlh_sample_uniform (s, -1, 1, dlh_shape (which == 8 ? 5 : 4, 4));
    return dlh_node_new (&op_mixture_grad, in, 5, &w);
}

static const DlhOp op_mixture = {
    .size = sizeof (DlhOp),
    .name = "gaussian_mixture",
    .n_inputs = 3,
    .attrs_size = sizeof (DlhMixtureWeights),
    .infer = mixture_infer,
    .vjp = mixture_vjp,
    .workspace = mixture_workspace,
    .run = mixture_run,
    .flops = mixture_flops,
    .sample = mixture_sample,
    .reject = mixture_reject,
};

static const DlhOp op_mixture_grad = {
    .size = sizeof (DlhOp),
    .name = "gaussian_mixture_grad",
    .n_inputs = 5,
    .attrs_size = sizeof (DlhMixtureWeights),
    .infer = grad_infer,
    .vjp = grad_vjp,
    .workspace = grad_workspace,
    .run = grad_run,
    .flops = grad_flops,
    .sample = grad_sample,
    .reject = grad_reject,
};

DlhNode *
dlh_gaussian_mixture (DlhNode *z, DlhNode *mean, DlhNode *log_std, DlhMixtureWeights weights)
{
    DlhNode *in[] = {z, mean, log_std};

    return dlh_node_new (&op_mixture, in, 3, &weights);
}

const DlhOp *const dlh_ops_mixture[] = {&op_mixture, &op_mixture_grad, NULL};
