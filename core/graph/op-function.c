/* SPDX-License-Identifier: MIT */
/* Element-wise functions of one operand. */
#include <math.h>

#include "graph/elementwise-private.h"

static void
neg_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dlh_neg (dy);
}

EW_SAMPLE_1 (neg, -2, 2)
EW_REJECT_BOOL (neg)
const DlhOp dlh_op_neg = {
    EW_ROW (neg),
    .infer = dlh_infer_number,
    .vjp = neg_vjp,
    .sample = neg_sample,
    .reject = neg_reject,
};

DlhNode *
dlh_neg (DlhNode *x)
{
    if (!dlh_node_failed (x) && x->op == &dlh_op_neg)
        return x->inputs[0];
    if (!dlh_node_failed (x) && x->op == &dlh_op_scale && dlh_dtype_is_float (x->dtype))
        return dlh_scale (x->inputs[0], -((const double *) x->attrs)[0]);
    return dlh_elementwise_1 (&dlh_op_neg, NULL, x);
}

static void
abs_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, dlh_sign (dlh_node_input (y, 0)));
}

static DlhNode *
abs_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_abs (dlh_sample_away (s, -2, 2, dlh_sample_shape (s, 3, 4),
                                             (const double[]){0}, 1));
}

EW_REJECT_BOOL (abs)
const DlhOp dlh_op_abs = {
    EW_ROW (abs),
    .flags = DLH_OP_STEPWISE,
    .infer = dlh_infer_number,
    .vjp = abs_vjp,
    .sample = abs_sample,
    .reject = abs_reject,
};
MAKE_1 (abs)

static DlhNode *
sign_sample (DlhSample *s, guint which)
{
    return which ? NULL
                 : dlh_sign (dlh_sample_away (s, -2, 2, dlh_sample_shape (s, 3, 4),
                                              (const double[]){0}, 1));
}

EW_REJECT_BOOL (sign)
const DlhOp dlh_op_sign = {
    EW_ROW (sign),
    .flags = DLH_OP_NOT_SMOOTH,
    .infer = dlh_infer_number,
    .sample = sign_sample,
    .reject = sign_reject,
};
MAKE_1 (sign)

static void
square_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dlh_scale (dlh_node_input (y, 0), 2), dy);
}

EW_SAMPLE_1 (square, -2, 2)
EW_REJECT_BOOL (square)
const DlhOp dlh_op_square = {
    EW_ROW (square),
    .infer = dlh_infer_number,
    .vjp = square_vjp,
    .sample = square_sample,
    .reject = square_reject,
};
MAKE_1 (square)

// y = sqrt x, dy/dx = 1 / 2y
static void
sqrt_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_div (dlh_scale (dy, 0.5), y);
}

EW_SAMPLE_1 (sqrt, 0.3, 3)
EW_REJECT_INTEGER (sqrt)
const DlhOp dlh_op_sqrt = {
    EW_ROW (sqrt),
    .infer = dlh_infer_same,
    .vjp = sqrt_vjp,
    .sample = sqrt_sample,
    .reject = sqrt_reject,
};
MAKE_1 (sqrt)

// y = x^(-1/2), dy/dx = -y^3 / 2
static void
rsqrt_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dlh_scale (dy, -0.5), dlh_mul (y, dlh_square (y)));
}

EW_SAMPLE_1 (rsqrt, 0.3, 3)
EW_REJECT_INTEGER (rsqrt)
const DlhOp dlh_op_rsqrt = {
    EW_ROW (rsqrt),
    .infer = dlh_infer_same,
    .vjp = rsqrt_vjp,
    .sample = rsqrt_sample,
    .reject = rsqrt_reject,
};
MAKE_1 (rsqrt)

// y = 1 / x, dy/dx = -y^2
static void
reciprocal_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_neg (dlh_mul (dy, dlh_square (y)));
}

EW_SAMPLE_1 (reciprocal, 0.3, 3)
EW_REJECT_INTEGER (reciprocal)
const DlhOp dlh_op_reciprocal = {
    EW_ROW (reciprocal),
    .infer = dlh_infer_same,
    .vjp = reciprocal_vjp,
    .sample = reciprocal_sample,
    .reject = reciprocal_reject,
};
MAKE_1 (reciprocal)

static void
exp_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, y);
}

EW_SAMPLE_1 (exp, -2, 2)
EW_REJECT_INTEGER (exp)
const DlhOp dlh_op_exp = {
    EW_ROW (exp),
    .infer = dlh_infer_same,
    .vjp = exp_vjp,
    .sample = exp_sample,
    .reject = exp_reject,
};
MAKE_1 (exp)

static void
expm1_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, dlh_offset (y, 1));
}

EW_SAMPLE_1 (expm1, -2, 2)
EW_REJECT_INTEGER (expm1)
const DlhOp dlh_op_expm1 = {
    EW_ROW (expm1),
    .infer = dlh_infer_same,
    .vjp = expm1_vjp,
    .sample = expm1_sample,
    .reject = expm1_reject,
};
MAKE_1 (expm1)

static void
log_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_div (dy, dlh_node_input (y, 0));
}

EW_SAMPLE_1 (log, 0.3, 3)
EW_REJECT_INTEGER (log)
const DlhOp dlh_op_log = {
    EW_ROW (log),
    .infer = dlh_infer_same,
    .vjp = log_vjp,
    .sample = log_sample,
    .reject = log_reject,
};
MAKE_1 (log)

static void
log1p_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_div (dy, dlh_offset (dlh_node_input (y, 0), 1));
}

EW_SAMPLE_1 (log1p, -0.6, 3)
EW_REJECT_INTEGER (log1p)
const DlhOp dlh_op_log1p = {
    EW_ROW (log1p),
    .infer = dlh_infer_same,
    .vjp = log1p_vjp,
    .sample = log1p_sample,
    .reject = log1p_reject,
};
MAKE_1 (log1p)

static void
sin_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, dlh_cos (dlh_node_input (y, 0)));
}

EW_SAMPLE_1 (sin, -3, 3)
EW_REJECT_INTEGER (sin)
const DlhOp dlh_op_sin = {
    EW_ROW (sin),
    .infer = dlh_infer_same,
    .vjp = sin_vjp,
    .sample = sin_sample,
    .reject = sin_reject,
};
MAKE_1 (sin)

static void
cos_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_neg (dlh_mul (dy, dlh_sin (dlh_node_input (y, 0))));
}

EW_SAMPLE_1 (cos, -3, 3)
EW_REJECT_INTEGER (cos)
const DlhOp dlh_op_cos = {
    EW_ROW (cos),
    .infer = dlh_infer_same,
    .vjp = cos_vjp,
    .sample = cos_sample,
    .reject = cos_reject,
};
MAKE_1 (cos)

// y = erf x, dy/dx = 2 / sqrt (pi) exp (-x^2)
static void
erf_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *bell = dlh_exp (dlh_neg (dlh_square (dlh_node_input (y, 0))));

    dx[0] = dlh_mul (dy, dlh_scale (bell, M_2_SQRTPI));
}

EW_SAMPLE_1 (erf, -2, 2)
EW_REJECT_INTEGER (erf)
const DlhOp dlh_op_erf = {
    EW_ROW (erf),
    .infer = dlh_infer_same,
    .vjp = erf_vjp,
    .sample = erf_sample,
    .reject = erf_reject,
};
MAKE_1 (erf)

static void
lgamma_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, dlh_digamma (dlh_node_input (y, 0)));
}

EW_SAMPLE_1 (lgamma, 0.3, 5)
EW_REJECT_INTEGER (lgamma)
const DlhOp dlh_op_lgamma = {
    EW_ROW (lgamma),
    .infer = dlh_infer_same,
    .vjp = lgamma_vjp,
    .sample = lgamma_sample,
    .reject = lgamma_reject,
};
MAKE_1 (lgamma)

static void
polygamma_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    guint order = (guint) * (const double *) dlh_node_attrs (y);

    dx[0] = dlh_mul (dy, dlh_polygamma (dlh_node_input (y, 0), order + 1));
}

static DlhNode *
polygamma_sample (DlhSample *s, guint which)
{
    return which > 2 ? NULL
                     : dlh_polygamma (dlh_sample_uniform (s, 0.5, 5, dlh_sample_shape (s, 3, 4)),
                                      which);
}

EW_REJECT_INTEGER (polygamma, 1)
const DlhOp dlh_op_polygamma = {
    EW_ROW (polygamma),
    .infer = dlh_infer_same,
    .vjp = polygamma_vjp,
    .sample = polygamma_sample,
    .reject = polygamma_reject,
};

DlhNode *
dlh_polygamma (DlhNode *x, guint order)
{
    const double p = order;

    return dlh_elementwise_1 (&dlh_op_polygamma, &p, x);
}

DlhNode *
dlh_digamma (DlhNode *x)
{
    return dlh_polygamma (x, 0);
}
