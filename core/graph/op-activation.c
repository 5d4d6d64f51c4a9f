/* SPDX-License-Identifier: MIT */
/* Activations. Their gradients are ops of one pass each, taken from the result y where that is
 * cheaper than from x, and with gradients of their own. */
#include <string.h>

#include "graph/elementwise-private.h"

#define SAMPLE_AWAY(name, ...)                                                                     \
    static DlhNode *name##_sample (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return which ? NULL                                                                        \
                     : dlh_##name (dlh_sample_away (s, -2, 2, dlh_sample_shape (s, 3, 4),          \
                                                    (const double[]){0}, 1),                       \
                                   ##__VA_ARGS__);                                                 \
    }

// A gradient op of an operand with a kink at 0 (or lo > 0) and dy.
#define SAMPLE_GRAD(name, lo)                                                                      \
    static DlhNode *name##_sample (DlhSample *s, guint which)                                      \
    {                                                                                              \
        DlhShape shape = dlh_sample_shape (s, 3, 4);                                               \
                                                                                                   \
        return which ? NULL                                                                        \
                     : make_##name (dlh_sample_away (s, lo, 2, shape, (const double[]){0}, 1),     \
                                    dlh_sample_uniform (s, -2, 2, shape));                         \
    }                                                                                              \
    static DlhNode *name##_reject (DlhSample *s, guint which)                                      \
    {                                                                                              \
        return dlh_reject_binary (s, which, make_##name);                                          \
    }

/* tanh: dx = dy (1 - y^2) */

static DlhNode *
make_tanh_grad (DlhNode *y, DlhNode *dy)
{
    return dlh_elementwise_2 (&dlh_op_tanh_grad, NULL, y, dy);
}

static void
tanh_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = make_tanh_grad (y, dy);
}

EW_SAMPLE_1 (tanh, -2, 2)
EW_REJECT_INTEGER (tanh)
const DlhOp dlh_op_tanh = {
    EW_ROW (tanh),         .infer = dlh_infer_same, .vjp = tanh_vjp,
    .sample = tanh_sample, .reject = tanh_reject,
};
MAKE_1 (tanh)

// z = d (1 - y^2)
static void
tanh_grad_vjp (DlhNode *z, DlhNode *dz, DlhNode **dx)
{
    DlhNode *y = dlh_node_input (z, 0), *d = dlh_node_input (z, 1);

    dx[0] = dlh_mul (dlh_scale (dlh_mul (dz, d), -2), y);
    dx[1] = make_tanh_grad (y, dz);
}

SAMPLE_GRAD (tanh_grad, -2)
const DlhOp dlh_op_tanh_grad = {
    EW_ROW (tanh_grad),         .infer = dlh_infer_same,    .vjp = tanh_grad_vjp,
    .sample = tanh_grad_sample, .reject = tanh_grad_reject,
};

/* sigmoid: dx = dy y (1 - y) */

static DlhNode *
make_sigmoid_grad (DlhNode *y, DlhNode *dy)
{
    return dlh_elementwise_2 (&dlh_op_sigmoid_grad, NULL, y, dy);
}

static void
sigmoid_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = make_sigmoid_grad (y, dy);
}

EW_SAMPLE_1 (sigmoid, -2, 2)
EW_REJECT_INTEGER (sigmoid)
const DlhOp dlh_op_sigmoid = {
    EW_ROW (sigmoid),         .infer = dlh_infer_same,  .vjp = sigmoid_vjp,
    .sample = sigmoid_sample, .reject = sigmoid_reject,
};
MAKE_1 (sigmoid)

// z = d y (1 - y)
static void
sigmoid_grad_vjp (DlhNode *z, DlhNode *dz, DlhNode **dx)
{
    DlhNode *y = dlh_node_input (z, 0), *d = dlh_node_input (z, 1);

    dx[0] = dlh_mul (dlh_mul (dz, d), dlh_offset (dlh_scale (y, -2), 1));
    dx[1] = make_sigmoid_grad (y, dz);
}

SAMPLE_GRAD (sigmoid_grad, -2)
const DlhOp dlh_op_sigmoid_grad = {
    EW_ROW (sigmoid_grad),         .infer = dlh_infer_same,       .vjp = sigmoid_grad_vjp,
    .sample = sigmoid_grad_sample, .reject = sigmoid_grad_reject,
};

/* softplus: dx = dy sigmoid x */

static void
softplus_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, dlh_sigmoid (dlh_node_input (y, 0)));
}

EW_SAMPLE_1 (softplus, -2, 2)
EW_REJECT_INTEGER (softplus)
const DlhOp dlh_op_softplus = {
    EW_ROW (softplus),         .infer = dlh_infer_same,   .vjp = softplus_vjp,
    .sample = softplus_sample, .reject = softplus_reject,
};
MAKE_1 (softplus)

/* softplus_grad: y = (u + v s^2) s' / s, s = softplus x: the derivative of u log s + v s^2 / 2.
 * With h = s' / s, h' = h (1 - s' - h) and (s^2)' = 2 s s'. */

DlhNode *
dlh_softplus_grad (DlhNode *x, DlhNode *u, DlhNode *v)
{
    return dlh_elementwise_3 (&dlh_op_softplus_grad, NULL, x, u, v);
}

static void
softplus_grad_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (y, 0), *v = dlh_node_input (y, 2), *zero = dlh_full_like (x, 0);
    DlhNode *h = dlh_softplus_grad (x, dlh_full_like (x, 1), zero);
    DlhNode *s = dlh_softplus (x), *slope = dlh_sigmoid (x);
    DlhNode *rest = dlh_sub (dlh_offset (dlh_neg (slope), 1), h);

    dx[0] = dlh_mul (dy, dlh_add (dlh_mul (y, rest),
                                  dlh_scale (dlh_mul (v, dlh_mul (dlh_mul (s, slope), h)), 2)));
    dx[1] = dlh_mul (dy, h);
    dx[2] = dlh_mul (dy, dlh_mul (s, slope));
}

static DlhNode *
softplus_grad_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 3, 4);

    return which ? NULL
                 : dlh_softplus_grad (dlh_sample_uniform (s, -2, 2, shape),
                                      dlh_sample_uniform (s, -2, 2, shape),
                                      dlh_sample_uniform (s, -2, 2, shape));
}

static DlhNode *
softplus_grad_reject (DlhSample *s, guint which)
{
    DlhNode *x = which > 1 ? NULL : dlh_sample_uniform (s, -2, 2, dlh_shape (2, 3));

    if (which == 0)
        return dlh_softplus_grad (x, x, dlh_sample_uniform (s, -2, 2, dlh_shape (2, 2)));
    return which == 1 ? dlh_softplus_grad (x, dlh_sample_index (s, 3, dlh_shape (2, 3)), x) : NULL;
}

const DlhOp dlh_op_softplus_grad = {
    EW_ROW (softplus_grad),         .infer = dlh_infer_same,        .vjp = softplus_grad_vjp,
    .sample = softplus_grad_sample, .reject = softplus_grad_reject,
};

/* relu: dx = dy where y > 0. From y, so that x need not be kept. */

static DlhNode *
make_relu_grad (DlhNode *y, DlhNode *dy)
{
    return dlh_elementwise_2 (&dlh_op_relu_grad, NULL, y, dy);
}

static void
relu_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = make_relu_grad (y, dy);
}

SAMPLE_AWAY (relu)
EW_REJECT_BOOL (relu)
const DlhOp dlh_op_relu = {
    EW_ROW (relu),   .flags = DLH_OP_STEPWISE, .infer = dlh_infer_number,
    .vjp = relu_vjp, .sample = relu_sample,    .reject = relu_reject,
};
MAKE_1 (relu)

static void
relu_grad_vjp (DlhNode *z, DlhNode *dz, DlhNode **dx)
{
    dx[1] = make_relu_grad (dlh_node_input (z, 0), dz);
}

SAMPLE_GRAD (relu_grad, -2)
const DlhOp dlh_op_relu_grad = {
    EW_ROW (relu_grad),   .flags = DLH_OP_STEPWISE,   .infer = dlh_infer_same,
    .vjp = relu_grad_vjp, .sample = relu_grad_sample, .reject = relu_grad_reject,
};

/* leaky relu, by x: a slope may be negative. */

static DlhNode *
leaky_relu_grad (const DlhNode *y, DlhNode *x, DlhNode *dy)
{
    return dlh_elementwise_2 (&dlh_op_leaky_relu_grad, dlh_node_attrs (y), x, dy);
}

static void
leaky_relu_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = leaky_relu_grad (y, dlh_node_input (y, 0), dy);
}

SAMPLE_AWAY (leaky_relu, 0.1)
EW_REJECT_INTEGER (leaky_relu, 0.1)
const DlhOp dlh_op_leaky_relu = {
    EW_ROW (leaky_relu),   .flags = DLH_OP_STEPWISE,    .infer = dlh_infer_same,
    .vjp = leaky_relu_vjp, .sample = leaky_relu_sample, .reject = leaky_relu_reject,
};

DlhNode *
dlh_leaky_relu (DlhNode *x, double slope)
{
    return dlh_elementwise_1 (&dlh_op_leaky_relu, &slope, x);
}

static void
leaky_relu_grad_vjp (DlhNode *z, DlhNode *dz, DlhNode **dx)
{
    dx[1] = leaky_relu_grad (z, dlh_node_input (z, 0), dz);
}

static DlhNode *
make_leaky_relu_grad (DlhNode *x, DlhNode *dy)
{
    return dlh_elementwise_2 (&dlh_op_leaky_relu_grad, ((const double[]){0.1}), x, dy);
}

SAMPLE_GRAD (leaky_relu_grad, -2)
const DlhOp dlh_op_leaky_relu_grad = {
    EW_ROW (leaky_relu_grad),   .flags = DLH_OP_STEPWISE,         .infer = dlh_infer_same,
    .vjp = leaky_relu_grad_vjp, .sample = leaky_relu_grad_sample, .reject = leaky_relu_grad_reject,
};

/* elu: x, or alpha (e^x - 1) below 0, where dy/dx = y + alpha. */

static DlhNode *
elu_grad (const double *alpha, DlhNode *x, DlhNode *y, DlhNode *dy)
{
    return dlh_elementwise_3 (&dlh_op_elu_grad, alpha, x, y, dy);
}

static void
elu_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = elu_grad (dlh_node_attrs (y), dlh_node_input (y, 0), y, dy);
}

SAMPLE_AWAY (elu, 0.7)
EW_REJECT_INTEGER (elu, 0.7)
const DlhOp dlh_op_elu = {
    EW_ROW (elu),         .infer = dlh_infer_same, .vjp = elu_vjp,
    .sample = elu_sample, .reject = elu_reject,
};

DlhNode *
dlh_elu (DlhNode *x, double alpha)
{
    return dlh_elementwise_1 (&dlh_op_elu, &alpha, x);
}

// z = d, or d (y + alpha) where x <= 0
static void
elu_grad_vjp (DlhNode *z, DlhNode *dz, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (z, 0), *y = dlh_node_input (z, 1), *d = dlh_node_input (z, 2);
    DlhNode *zero = dlh_full_like (x, 0);

    dx[1] = dlh_where (dlh_less_equal (x, zero), dlh_mul (d, dz), zero);
    dx[2] = elu_grad (dlh_node_attrs (z), x, y, dz);
}

static DlhNode *
elu_grad_sample (DlhSample *s, guint which)
{
    DlhShape shape = dlh_sample_shape (s, 3, 4);
    DlhNode *x = dlh_sample_away (s, -2, 2, shape, (const double[]){0}, 1);

    return which ? NULL
                 : elu_grad ((const double[]){0.7}, x, dlh_sample_uniform (s, -2, 2, shape),
                             dlh_sample_uniform (s, -2, 2, shape));
}

static DlhNode *
make_elu_grad (DlhNode *x, DlhNode *dy)
{
    return elu_grad ((const double[]){0.7}, x, x, dy);
}

static DlhNode *
elu_grad_reject (DlhSample *s, guint which)
{
    return dlh_reject_binary (s, which, make_elu_grad);
}

const DlhOp dlh_op_elu_grad = {
    EW_ROW (elu_grad),         .infer = dlh_infer_same,   .vjp = elu_grad_vjp,
    .sample = elu_grad_sample, .reject = elu_grad_reject,
};

/* gelu: y = x Phi(x), dy/dx = Phi(x) + x phi(x) */

static void
gelu_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (y, 0);
    DlhNode *Phi = dlh_scale (dlh_offset (dlh_erf (dlh_scale (x, 0.70710678118654752440)), 1), 0.5);
    DlhNode *phi = dlh_scale (dlh_exp (dlh_scale (dlh_square (x), -0.5)), 0.39894228040143267794);

    dx[0] = dlh_mul (dy, dlh_add (Phi, dlh_mul (x, phi)));
}

EW_SAMPLE_1 (gelu, -2, 2)
EW_REJECT_INTEGER (gelu)
const DlhOp dlh_op_gelu = {
    EW_ROW (gelu),         .infer = dlh_infer_same, .vjp = gelu_vjp,
    .sample = gelu_sample, .reject = gelu_reject,
};
MAKE_1 (gelu)

static DlhNode *
leaky_relu_usual (DlhNode *x)
{
    return dlh_leaky_relu (x, 0.01);
}

static DlhNode *
elu_usual (DlhNode *x)
{
    return dlh_elu (x, 1);
}

static DlhNode *
identity (DlhNode *x)
{
    return x;
}

DlhNode *
dlh_activation (DlhNode *x, const char *name)
{
    static const struct {
        const char *name;
        DlhNode *(*make) (DlhNode *x);
    } makers[] = {
        {"relu", dlh_relu},       {"tanh", dlh_tanh},
        {"sigmoid", dlh_sigmoid}, {"elu", elu_usual},
        {"gelu", dlh_gelu},       {"softplus", dlh_softplus},
        {"identity", identity},   {"leaky_relu", leaky_relu_usual},
    };

    for (guint i = 0; i < G_N_ELEMENTS (makers); i++)
        if (strcmp (name, makers[i].name) == 0)
            return makers[i].make (x);
    return dlh_graph_fail (dlh_node_graph (x), DLH_ERROR_OPTION,
                           "activation '%s' is unknown; choose relu, tanh, sigmoid, elu, gelu, "
                           "softplus, leaky_relu or identity",
                           name);
}
