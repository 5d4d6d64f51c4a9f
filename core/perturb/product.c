/* SPDX-License-Identifier: MIT */
/* Products with a weight, of whatever kind, as estimators see them.
 *
 *     linear            x (.., I)        w (O, I)             input signs on axis 1, output on 0
 *     matmul            x (.., I)        w (I, O)             0, 1; or as linear when transposed
 *     conv2d            x (.., C, H, W)  w (O, C / g, h, w)   1, 0
 *     conv_transpose2d  x (.., O, H, W)  w (O, C / g, h, w)   0, 1
 *     gather            indices (..)     w (V, d)             rows 0 (looked up), columns 1 */
#include <dlhost/dlhost.h>
#include "perturb/private.h"

static gboolean
is_conv (const DlhNode *node)
{
    return dlh_node_is (node, "conv2d") || dlh_node_is (node, "conv_transpose2d");
}

gboolean
dlh_product_is (const DlhNode *node, guint input, gboolean *bias)
{
    const DlhNode *w = dlh_node_input (node, input);

    *bias = input == 2 && (dlh_node_is (node, "linear") || is_conv (node));
    if (*bias)
        return TRUE;
    if (dlh_node_is (node, "matmul"))
        return input == 1 && dlh_node_rank (w) == 2 &&
               !((const DlhMatmulAttrs *)dlh_node_attrs (node))->transpose_a;
    if (dlh_node_is (node, "gather"))
        return input == 0 && dlh_node_rank (w) == 2 && *(const gint64 *)dlh_node_attrs (node) == 0;
    return input == 1 && (dlh_node_is (node, "linear") || is_conv (node));
}

DlhWeight *
dlh_product_weight (DlhProduct *p)
{
    return p->weight;
}

static guint
weight_input (const DlhProduct *p)
{
    return dlh_node_is (p->node, "gather") ? 0 : 1;
}

DlhNode *
dlh_product_input (DlhProduct *p)
{
    return p->inputs[1 - weight_input (p)];
}

static const DlhCases *
input_cases (const DlhProduct *p)
{
    return &p->perturb->cases[dlh_node_id (dlh_node_input (p->node, 1 - weight_input (p)))];
}

static const DlhCases *
output_cases (const DlhProduct *p)
{
    return &p->perturb->cases[dlh_node_id (p->node)];
}

// The weight as the node has it: the parameter, perhaps reshaped.
static DlhNode *
shaped (DlhProduct *p, DlhNode *weight)
{
    return dlh_reshape (weight, dlh_node_shape (dlh_node_input (p->node, weight_input (p))));
}

static DlhNode *
bias_of (DlhProduct *p, gboolean bias)
{
    return bias && dlh_node_n_inputs (p->node) == 3 ? p->inputs[2] : NULL;
}

// (c W) x is W (c x): who looks for products with W finds one.
static DlhNode *
factored (DlhProduct *p, DlhNode **x, DlhNode *weight, double *factor)
{
    *factor = 1;
    if (!dlh_node_is (weight, "scale"))
        return weight;
    *factor = *(const double *)dlh_node_attrs (weight);
    if (!dlh_node_is (p->node, "gather"))
        *x = dlh_scale (*x, *factor);
    return dlh_node_input (weight, 0);
}

DlhNode *
dlh_product_apply (DlhProduct *p, DlhNode *x, DlhNode *weight, gboolean bias)
{
    gconstpointer attrs = dlh_node_attrs (p->node);
    DlhNode *b = bias_of (p, bias), *w;
    double factor;

    if (dlh_node_failed (x) || dlh_node_failed (weight))
        return dlh_add (x, weight);
    w = shaped (p, factored (p, &x, weight, &factor));

    if (dlh_node_is (p->node, "linear"))
        return dlh_linear (x, w, b);
    if (dlh_node_is (p->node, "conv2d"))
        return dlh_conv2d (x, w, b, *(const DlhConv *)attrs);
    if (dlh_node_is (p->node, "conv_transpose2d"))
        return dlh_conv_transpose2d (x, w, b, *(const DlhConv *)attrs, dlh_node_dim (p->node, 2),
                                     dlh_node_dim (p->node, 3));
    if (dlh_node_is (p->node, "gather"))
        return dlh_scale (dlh_gather (w, x, 0), factor);
    return dlh_node_rebuild (p->node, (DlhNode *const[]){x, w});
}

/* Rounded products. */

// Why none may be: (nullable). A weight that is used again is a recurrence's, or a table's too.
static const char *
unrounded (const DlhProduct *p)
{
    if (!dlh_node_is (p->node, "linear") && !dlh_node_is (p->node, "matmul"))
        return dlh_node_op (p->node)->name;
    if (p->weight->uses->len > 1)
        return "used more than once";
    return dlh_node_dtype (p->node) == DLH_F32 ? NULL : dlh_dtype_name (dlh_node_dtype (p->node));
}

DlhNode *
dlh_product_apply_precision (DlhProduct *p, DlhNode *x, DlhNode *weight, DlhPrecision precision)
{
    gboolean transposed;
    double factor;

    if (precision == DLH_PRECISION_FULL || dlh_node_failed (x) || dlh_node_failed (weight))
        return dlh_product_apply (p, x, weight, FALSE);
    p->weight->may_round = TRUE;
    p->weight->unrounded = unrounded (p);
    if (p->weight->unrounded)
        return dlh_product_apply (p, x, weight, FALSE);
    transposed = dlh_node_is (p->node, "linear") ||
                 ((const DlhMatmulAttrs *)dlh_node_attrs (p->node))->transpose_b;
    weight = shaped (p, factored (p, &x, weight, &factor));
    return dlh_matmul_precision (x, FALSE, weight, transposed, precision);
}

/* A weight for each example. */

// One convolution in N times as many groups.
static DlhNode *
conv_each (DlhProduct *p, DlhNode *x, DlhNode *w)
{
    const gint64 n = p->perturb->n;
    const DlhShape in = dlh_node_shape (x), out = dlh_node_shape (p->node);
    DlhShape shape = dlh_node_shape (dlh_node_input (p->node, 1));
    DlhConv conv = *(const DlhConv *)dlh_node_attrs (p->node);

    conv.groups *= n;
    shape.dims[0] *= n;
    w = dlh_reshape (w, shape);
    x = dlh_transpose (dlh_cases_gather (input_cases (p), x, n, 1), (const guint[]){1, 0, 2}, 3);
    x = dlh_reshape (x, dlh_shape (in.dims[0] / n, n * in.dims[1], in.dims[2], in.dims[3]));
    x = dlh_node_is (p->node, "conv2d")
            ? dlh_conv2d (x, w, NULL, conv)
            : dlh_conv_transpose2d (x, w, NULL, conv, out.dims[2], out.dims[3]);
    x = dlh_reshape (x, dlh_shape (in.dims[0] / n, n, out.dims[1] * out.dims[2] * out.dims[3]));
    x = dlh_transpose (x, (const guint[]){1, 0, 2}, 3);
    return dlh_cases_scatter (output_cases (p), x, n, out, 1);
}

static DlhNode *
linear_each (DlhProduct *p, DlhNode *x, DlhNode *w)
{
    const gint64 n = p->perturb->n;
    const guint last = dlh_node_rank (x) - 1;
    const DlhShape one = dlh_node_shape (dlh_node_input (p->node, 1));
    const gboolean transposed = dlh_node_is (p->node, "linear") ||
                                ((const DlhMatmulAttrs *)dlh_node_attrs (p->node))->transpose_b;

    w = dlh_reshape (w, dlh_shape (n, one.dims[0], one.dims[1]));
    x = dlh_matmul_t (dlh_cases_gather (input_cases (p), x, n, last), FALSE, w, transposed);
    return dlh_cases_scatter (output_cases (p), x, n, dlh_node_shape (p->node), last);
}

// Index of row @index of the example's own table, where N tables of @rows lie below each other.
static DlhNode *
own_rows (DlhProduct *p, DlhNode *index, gint64 rows)
{
    DlhNode *first =
        dlh_scale (dlh_arange (p->perturb->build->graph, DLH_F64, p->perturb->n), (double)rows);

    first = dlh_cast (first, DLH_I64);
    first = dlh_broadcast (
        dlh_cases_spread (input_cases (p), first, dlh_node_shape (index), G_MAXUINT16),
        dlh_node_shape (index));
    // Integers have no arithmetic in the graph: exact in f64 up to 2^53.
    return dlh_cast (dlh_add (dlh_cast (first, DLH_F64), dlh_cast (index, DLH_F64)), DLH_I64);
}

static DlhNode *
gather_each (DlhProduct *p, DlhNode *index, DlhNode *w)
{
    const gint64 rows = dlh_node_dim (w, 1), d = dlh_node_dim (w, 2);

    return dlh_gather (dlh_reshape (w, dlh_shape (p->perturb->n * rows, d)),
                       own_rows (p, index, rows), 0);
}

DlhNode *
dlh_product_apply_each (DlhProduct *p, DlhNode *x, DlhNode *weights, gboolean bias)
{
    DlhNode *b = bias_of (p, bias), *y;

    if (dlh_node_failed (x) || dlh_node_failed (weights))
        return dlh_add (x, weights);
    if (dlh_node_is (p->node, "gather"))
        return gather_each (p, x, weights);
    if (!is_conv (p->node)) {
        y = linear_each (p, x, weights);
        return b ? dlh_add (y, b) : y;
    }
    y = conv_each (p, x, weights);
    return b ? dlh_add (y, dlh_reshape (b, dlh_shape (dlh_node_dim (b, 0), 1, 1))) : y;
}

/* Signs. */

static guint
channel_of (const DlhProduct *p, const DlhNode *x)
{
    return is_conv (p->node) ? 1 : dlh_node_rank (x) - 1;
}

static guint
input_axis (const DlhProduct *p)
{
    if (dlh_node_is (p->node, "matmul"))
        return ((const DlhMatmulAttrs *)dlh_node_attrs (p->node))->transpose_b ? 1 : 0;
    return dlh_node_is (p->node, "conv_transpose2d") ? 0 : 1;
}

static DlhNode *
times_signs (DlhProduct *p, const DlhCases *cases, DlhNode *x, guint axis)
{
    const guint channel = channel_of (p, x);
    DlhNode *signs = dlh_weight_signs (p->weight, axis, dlh_node_dim (x, (int)channel));

    return dlh_mul (x, dlh_cases_spread (cases, signs, dlh_node_shape (x), channel));
}

DlhNode *
dlh_product_flip_input (DlhProduct *p, DlhNode *x)
{
    if (dlh_node_failed (x) || dlh_node_is (p->node, "gather"))
        return x;
    return times_signs (p, input_cases (p), x, input_axis (p));
}

DlhNode *
dlh_product_flip_output (DlhProduct *p, DlhNode *y)
{
    DlhNode *rows, *index;
    gint64 n;

    if (dlh_node_failed (y))
        return y;
    if (!dlh_node_is (p->node, "gather"))
        return times_signs (p, output_cases (p), y, 1 - input_axis (p));
    n = dlh_node_dim (dlh_node_input (p->node, 0), 0);
    index = own_rows (p, dlh_product_input (p), n);
    rows = dlh_reshape (dlh_weight_signs (p->weight, 0, n), dlh_shape (p->perturb->n * n));
    return dlh_mul (times_signs (p, output_cases (p), y, 1),
                    dlh_expand (dlh_gather (rows, index, 0), -1));
}

DlhNode *
dlh_product_normal (DlhProduct *p, DlhNode *y)
{
    return dlh_normal (p->perturb->build->graph, dlh_weight_stream (p->weight, "outputs"),
                       dlh_node_dtype (y), dlh_node_shape (y));
}

/* What takes the place of the node. */

DlhNode *
dlh_product_replace (DlhProduct *p)
{
    const DlhPerturb *perturb = p->perturb;
    DlhNode *inputs[3] = {p->inputs[0], p->inputs[1],
                          dlh_node_n_inputs (p->node) == 3 ? p->inputs[2] : NULL};
    const gboolean fresh = p->bias && !perturb->quiet && perturb->fresh;
    DlhProduct changed = *p;
    DlhNode *y;

    if (p->bias) {
        inputs[2] =
            perturb->quiet || fresh ? dlh_weight_mean (p->bias) : dlh_weight_noisy (p->bias);
    }
    changed.inputs = inputs;
    if (!p->weight)
        y = dlh_node_rebuild (p->node, inputs);
    else if (perturb->quiet)
        y = dlh_product_apply (&changed, dlh_product_input (p), dlh_weight_mean (p->weight), TRUE);
    else
        y = perturb->estimator->product (&changed, perturb->estimator_options);
    if (!fresh || dlh_node_failed (y))
        return y;
    return dlh_add (y, dlh_cases_spread (output_cases (p), dlh_weight_draws (p->bias),
                                         dlh_node_shape (y), channel_of (p, y)));
}
