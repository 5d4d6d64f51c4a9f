/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic, and the rules that all element-wise ops share. Formulas are in
 * elementwise.list; functions of one operand, activations and comparisons have files of their own.
 *
 * Makers simplify only what is exact: x * 1, x + 0, x / 1, a cast to the same type, a scale of a
 * scale, negations, and powers that are a cheaper op. */
#include <math.h>

#include "graph/elementwise-private.h"

/* Shape rules. */

static gboolean
infer_equal_inputs (const DlhNode *node, guint first, GError **error)
{
    const DlhNode *a = node->inputs[first];

    for (guint i = first + 1; i < node->n_inputs; i++) {
        const DlhNode *b = node->inputs[i];
        g_autofree char *at = dlh_shape_to_string (a->shape);
        g_autofree char *bt = dlh_shape_to_string (b->shape);

        if (a->dtype != b->dtype) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: element types %s %s and %s %s differ; convert one with dlh_cast()",
                         node->op->name, dlh_dtype_name (a->dtype), at, dlh_dtype_name (b->dtype),
                         bt);
            return FALSE;
        }
        if (!dlh_shape_equal (a->shape, b->shape)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                         "%s: %s does not fit %s: sizes must be equal or 1, from the last axis on",
                         node->op->name, at, bt);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
infer_operands (const DlhNode *node, gboolean allowed, const char *wanted, DlhDType *dtype,
                DlhShape *shape, GError **error)
{
    const DlhNode *a = node->inputs[0];

    if (!infer_equal_inputs (node, 0, error))
        return FALSE;
    if (!allowed) {
        g_autofree char *text = dlh_shape_to_string (a->shape);

        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "%s: takes %s, not %s %s; convert it with dlh_cast()", node->op->name, wanted,
                     dlh_dtype_name (a->dtype), text);
        return FALSE;
    }
    *dtype = a->dtype;
    *shape = a->shape;
    return TRUE;
}

gboolean
dlh_infer_same (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    return infer_operands (node, dlh_dtype_is_float (node->inputs[0]->dtype), "f32 or f64", dtype,
                           shape, error);
}

gboolean
dlh_infer_number (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    return infer_operands (node, node->inputs[0]->dtype != DLH_BOOL, "numbers", dtype, shape,
                           error);
}

gboolean
dlh_infer_any (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    return infer_operands (node, TRUE, "", dtype, shape, error);
}

gboolean
dlh_infer_compare (const DlhNode *node, DlhDType *dtype, DlhShape *shape, GError **error)
{
    if (!dlh_infer_any (node, dtype, shape, error))
        return FALSE;
    *dtype = DLH_BOOL;
    return TRUE;
}

/* Making nodes. */

// NumPy's rule. FALSE when the shapes do not fit each other.
static gboolean
join_shapes (DlhShape *joint, DlhShape b)
{
    DlhShape a = *joint, c = {.rank = MAX (a.rank, b.rank)};

    for (guint i = 0; i < c.rank; i++) {
        gint64 m = i < a.rank ? a.dims[a.rank - 1 - i] : 1;
        gint64 n = i < b.rank ? b.dims[b.rank - 1 - i] : 1;

        if (m != n && m != 1 && n != 1)
            return FALSE;
        c.dims[c.rank - 1 - i] = m == 1 ? n : m;
    }
    *joint = c;
    return TRUE;
}

static DlhNode *
expand_to (DlhNode *x, DlhShape shape)
{
    double value;

    if (dlh_shape_equal (x->shape, shape))
        return x;
    if (dlh_node_constant_value (x, &value))
        return dlh_full (x->graph, x->dtype, shape, value);
    return dlh_broadcast (x, shape);
}

DlhNode *
dlh_elementwise (const DlhOp *op, const double *params, DlhNode *const *inputs, guint n)
{
    DlhNode *expanded[3];
    DlhShape joint = {0};

    for (guint i = 0; i < n; i++) {
        if (dlh_node_failed (inputs[i]))
            return inputs[i];
        // infer() finds the words for shapes that do not fit.
        if (!join_shapes (&joint, inputs[i]->shape))
            return dlh_node_new (op, inputs, n, params);
    }
    for (guint i = 0; i < n; i++)
        expanded[i] = expand_to (inputs[i], joint);
    return dlh_node_new (op, expanded, n, params);
}

/* Samples. */

DlhNode *
dlh_sample_binary (DlhSample *s, guint which, double lo, double hi,
                   DlhNode *(*make) (DlhNode *a, DlhNode *b))
{
    DlhShape full = dlh_sample_shape (s, 2, 3, 4);
    DlhNode *a, *b;

    if (which > 3)
        return NULL;
    a = dlh_sample_uniform (s, lo, hi, which == 1 ? dlh_sample_shape (s, 3, 1) : full);
    b = dlh_sample_uniform (s, lo, hi,
                            which == 2   ? dlh_sample_shape (s, 4)
                            : which == 3 ? dlh_shape ()
                                         : full);
    return make (a, b);
}

DlhNode *
dlh_reject_binary (DlhSample *s, guint which, DlhNode *(*make) (DlhNode *a, DlhNode *b))
{
    DlhNode *a = dlh_sample_uniform (s, 1, 2, dlh_shape (3, 4));

    switch (which) {
    case 0:
        return make (a, dlh_sample_uniform (s, 1, 2, dlh_shape (3)));
    case 1:
        return make (a, dlh_sample_index (s, 3, dlh_shape (3, 4)));
    default:
        return NULL;
    }
}

// Whether @x is a known number of @other's type that does not widen @other's shape.
static gboolean
is_number (const DlhNode *x, const DlhNode *other, double *value)
{
    DlhShape joint = other->shape;

    return !dlh_node_failed (x) && !dlh_node_failed (other) && x->graph == other->graph &&
           x->dtype == other->dtype && x->dtype != DLH_BOOL && dlh_node_constant_value (x, value) &&
           join_shapes (&joint, x->shape) && dlh_shape_equal (joint, other->shape);
}

// a + (-b) is a - b, to the bit.
static gboolean
is_negated (const DlhNode *x)
{
    return !dlh_node_failed (x) && x->op == &dlh_op_neg;
}

/* Two operands. */

static void
add_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dy;
    dx[1] = dy;
}

SAMPLE_2 (add, -2, 2)
const DlhOp dlh_op_add = {
    EW_ROW (add),
    .infer = dlh_infer_any,
    .vjp = add_vjp,
    .sample = add_sample,
    .reject = add_reject,
};

DlhNode *
dlh_add (DlhNode *a, DlhNode *b)
{
    double c;

    if (is_number (b, a, &c))
        return dlh_offset (a, c);
    if (is_number (a, b, &c))
        return dlh_offset (b, c);
    if (is_negated (b))
        return dlh_sub (a, b->inputs[0]);
    if (is_negated (a))
        return dlh_sub (b, a->inputs[0]);
    return dlh_elementwise_2 (&dlh_op_add, NULL, a, b);
}

static void
sub_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dy;
    dx[1] = dlh_neg (dy);
}

SAMPLE_2 (sub, -2, 2)
const DlhOp dlh_op_sub = {
    EW_ROW (sub),
    .infer = dlh_infer_number,
    .vjp = sub_vjp,
    .sample = sub_sample,
    .reject = sub_reject,
};

DlhNode *
dlh_sub (DlhNode *a, DlhNode *b)
{
    double c;

    if (is_number (b, a, &c))
        return dlh_offset (a, -c);
    if (is_number (a, b, &c) && c == 0)
        return dlh_neg (b);
    if (is_negated (b))
        return dlh_add (a, b->inputs[0]);
    return dlh_elementwise_2 (&dlh_op_sub, NULL, a, b);
}

static void
mul_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_mul (dy, dlh_node_input (y, 1));
    dx[1] = dlh_mul (dy, dlh_node_input (y, 0));
}

SAMPLE_2 (mul, -2, 2)
const DlhOp dlh_op_mul = {
    EW_ROW (mul),
    .infer = dlh_infer_any,
    .vjp = mul_vjp,
    .sample = mul_sample,
    .reject = mul_reject,
};

DlhNode *
dlh_mul (DlhNode *a, DlhNode *b)
{
    double c;

    if (is_number (b, a, &c))
        return dlh_scale (a, c);
    if (is_number (a, b, &c))
        return dlh_scale (b, c);
    if (a == b && !dlh_node_failed (a) && a->dtype != DLH_BOOL)
        return dlh_square (a);
    return dlh_elementwise_2 (&dlh_op_mul, NULL, a, b);
}

// y = a / b
static void
div_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *b = dlh_node_input (y, 1);

    dx[0] = dlh_div (dy, b);
    dx[1] = dlh_neg (dlh_mul (dx[0], y));
}

SAMPLE_2 (div, 0.5, 2)
const DlhOp dlh_op_div = {
    EW_ROW (div),
    .infer = dlh_infer_same,
    .vjp = div_vjp,
    .sample = div_sample,
    .reject = div_reject,
};

DlhNode *
dlh_div (DlhNode *a, DlhNode *b)
{
    double c;
    int exponent;

    if (is_number (b, a, &c) && dlh_dtype_is_float (b->dtype)) {
        // Exact for powers of two.
        if (fabs (frexp (c, &exponent)) == 0.5 && abs (exponent) < 120)
            return dlh_scale (a, 1 / c);
    }
    if (is_number (a, b, &c) && c == 1 && dlh_dtype_is_float (b->dtype))
        return dlh_reciprocal (b);
    return dlh_elementwise_2 (&dlh_op_div, NULL, a, b);
}

// y = a^b
static void
pow_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *a = dlh_node_input (y, 0), *b = dlh_node_input (y, 1);

    dx[0] = dlh_mul (dy, dlh_mul (b, dlh_pow (a, dlh_offset (b, -1))));
    dx[1] = dlh_mul (dy, dlh_mul (y, dlh_log (a)));
}

SAMPLE_2 (pow, 0.5, 2)
const DlhOp dlh_op_pow = {
    EW_ROW (pow),
    .infer = dlh_infer_same,
    .vjp = pow_vjp,
    .sample = pow_sample,
    .reject = pow_reject,
};

DlhNode *
dlh_pow (DlhNode *a, DlhNode *b)
{
    double c;

    if (is_number (b, a, &c) && dlh_dtype_is_float (b->dtype))
        return dlh_pow_scalar (a, c);
    return dlh_elementwise_2 (&dlh_op_pow, NULL, a, b);
}

static void
choose_vjp (DlhNode *takes_a, DlhNode *dy, DlhNode **dx)
{
    DlhNode *zero = dlh_full_like (dy, 0);

    dx[0] = dlh_where (takes_a, dy, zero);
    dx[1] = dlh_where (takes_a, zero, dy);
}

static void
min_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    choose_vjp (dlh_less_equal (dlh_node_input (y, 0), dlh_node_input (y, 1)), dy, dx);
}

static void
max_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    choose_vjp (dlh_greater_equal (dlh_node_input (y, 0), dlh_node_input (y, 1)), dy, dx);
}

SAMPLE_2 (min, -2, 2)
const DlhOp dlh_op_min = {
    EW_ROW (min),
    .flags = DLH_OP_STEPWISE,
    .infer = dlh_infer_any,
    .vjp = min_vjp,
    .sample = min_sample,
    .reject = min_reject,
};

DlhNode *
dlh_min (DlhNode *a, DlhNode *b)
{
    return dlh_elementwise_2 (&dlh_op_min, NULL, a, b);
}

SAMPLE_2 (max, -2, 2)
const DlhOp dlh_op_max = {
    EW_ROW (max),
    .flags = DLH_OP_STEPWISE,
    .infer = dlh_infer_any,
    .vjp = max_vjp,
    .sample = max_sample,
    .reject = max_reject,
};

DlhNode *
dlh_max (DlhNode *a, DlhNode *b)
{
    return dlh_elementwise_2 (&dlh_op_max, NULL, a, b);
}

/* An operand and a number. */

static void
scale_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    const double *p = dlh_node_attrs (y);

    dx[0] = dlh_scale (dy, p[0]);
}

EW_SAMPLE_1 (scale, -2, 2, -1.7)
EW_REJECT_BOOL (scale, -1.7)
const DlhOp dlh_op_scale = {
    EW_ROW (scale),
    .infer = dlh_infer_number,
    .vjp = scale_vjp,
    .sample = scale_sample,
    .reject = scale_reject,
};

DlhNode *
dlh_scale (DlhNode *x, double factor)
{
    if (dlh_node_failed (x) || (factor == 1 && x->dtype != DLH_BOOL))
        return x;
    if (dlh_dtype_is_float (x->dtype)) {
        if (factor == -1)
            return dlh_neg (x);
        if (x->op == &dlh_op_scale) {
            double both = factor * ((const double *) x->attrs)[0];

            if (isfinite (both) && fabs (both) > 1e-30 && fabs (both) < 1e30)
                return dlh_scale (x->inputs[0], both);
        }
        if (x->op == &dlh_op_neg)
            return dlh_scale (x->inputs[0], -factor);
    }
    return dlh_elementwise_1 (&dlh_op_scale, &factor, x);
}

static void
identity_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    (void) y;
    dx[0] = dy;
}

EW_SAMPLE_1 (offset, -2, 2, 0.3)
EW_REJECT_BOOL (offset, 0.3)
const DlhOp dlh_op_offset = {
    EW_ROW (offset),
    .infer = dlh_infer_number,
    .vjp = identity_vjp,
    .sample = offset_sample,
    .reject = offset_reject,
};

DlhNode *
dlh_offset (DlhNode *x, double addend)
{
    if (dlh_node_failed (x) || (addend == 0 && x->dtype != DLH_BOOL))
        return x;
    return dlh_elementwise_1 (&dlh_op_offset, &addend, x);
}

// y = x^p
static void
pow_scalar_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    double p = *(const double *) dlh_node_attrs (y);

    dx[0] = dlh_mul (dy, dlh_scale (dlh_pow_scalar (dlh_node_input (y, 0), p - 1), p));
}

EW_SAMPLE_1 (pow_scalar, 0.5, 2, 2.6)
EW_REJECT_INTEGER (pow_scalar, 2.6)
const DlhOp dlh_op_pow_scalar = {
    EW_ROW (pow_scalar),
    .infer = dlh_infer_same,
    .vjp = pow_scalar_vjp,
    .sample = pow_scalar_sample,
    .reject = pow_scalar_reject,
};

DlhNode *
dlh_pow_scalar (DlhNode *x, double exponent)
{
    if (dlh_node_failed (x) || !dlh_dtype_is_float (x->dtype))
        return dlh_elementwise_1 (&dlh_op_pow_scalar, &exponent, x);
    if (exponent == 0)
        return dlh_full_like (x, 1);
    if (exponent == 1)
        return x;
    if (exponent == 2)
        return dlh_square (x);
    if (exponent == 0.5)
        return dlh_sqrt (x);
    if (exponent == -0.5)
        return dlh_rsqrt (x);
    if (exponent == -1)
        return dlh_reciprocal (x);
    return dlh_elementwise_1 (&dlh_op_pow_scalar, &exponent, x);
}

static void
clamp_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[0] = dlh_elementwise_2 (&dlh_op_clamp_grad, dlh_node_attrs (y), dlh_node_input (y, 0), dy);
}

static DlhNode *
clamp_sample (DlhSample *s, guint which)
{
    const double kinks[] = {-0.8, 1.1};

    return which ? NULL
                 : dlh_clamp (dlh_sample_away (s, -2, 2, dlh_sample_shape (s, 3, 4), kinks, 2),
                              kinks[0], kinks[1]);
}

static DlhNode *
clamp_reject (DlhSample *s, guint which)
{
    switch (which) {
    case 0:
        return dlh_clamp (dlh_sample_bool (s, dlh_shape (2, 3)), 0, 1);
    case 1:
        return dlh_clamp (dlh_sample_uniform (s, -1, 1, dlh_shape (2, 3)), 1, 0);
    default:
        return NULL;
    }
}

const DlhOp dlh_op_clamp = {
    EW_ROW (clamp),
    .flags = DLH_OP_STEPWISE,
    .infer = dlh_infer_number,
    .vjp = clamp_vjp,
    .sample = clamp_sample,
    .reject = clamp_reject,
};

DlhNode *
dlh_clamp (DlhNode *x, double lo, double hi)
{
    const double p[] = {lo, hi};

    if (!dlh_node_failed (x) && !(lo <= hi))
        return dlh_graph_fail (x->graph, DLH_ERROR_OPTION, "clamp: %g to %g is not a range", lo,
                               hi);
    return dlh_elementwise_1 (&dlh_op_clamp, p, x);
}

static void
clamp_grad_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    dx[1] = dlh_elementwise_2 (&dlh_op_clamp_grad, dlh_node_attrs (y), dlh_node_input (y, 0), dy);
}

static DlhNode *
clamp_grad_sample (DlhSample *s, guint which)
{
    const double kinks[] = {-0.8, 1.1};
    DlhShape shape = dlh_sample_shape (s, 3, 4);

    return which ? NULL
                 : dlh_elementwise_2 (&dlh_op_clamp_grad, kinks,
                                      dlh_sample_away (s, -2, 2, shape, kinks, 2),
                                      dlh_sample_uniform (s, -2, 2, shape));
}

static DlhNode *
make_clamp_grad (DlhNode *x, DlhNode *dy)
{
    return dlh_elementwise_2 (&dlh_op_clamp_grad, ((const double[]){-1, 1}), x, dy);
}

static DlhNode *
clamp_grad_reject (DlhSample *s, guint which)
{
    return dlh_reject_binary (s, which, make_clamp_grad);
}

const DlhOp dlh_op_clamp_grad = {
    EW_ROW (clamp_grad),
    .flags = DLH_OP_STEPWISE,
    .infer = dlh_infer_same,
    .vjp = clamp_grad_vjp,
    .sample = clamp_grad_sample,
    .reject = clamp_grad_reject,
};

const DlhOp *const dlh_ops_elementwise[] = {
#define EW(name, arity, n_params, types, body) &dlh_op_##name,
#include "graph/elementwise.list"
#undef EW
    &dlh_op_stop_gradient,
    &dlh_op_as_noise,
    &dlh_op_assert_finite,
    NULL,
};
