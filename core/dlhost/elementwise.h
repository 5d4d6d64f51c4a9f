/* SPDX-License-Identifier: MIT */
/* Element-wise ops. Two operands are broadcast to a common shape as NumPy does; their element types
 * must agree (dlh_cast() converts). Comparisons give bool. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/* Two operands. */
/** dlh_add, dlh_sub, dlh_mul, dlh_div, dlh_pow, dlh_min, dlh_max: of two operands, element by
 * element, after broadcasting; sticky error DLH_ERROR_SHAPE when shapes or types do not fit. */
DLH_EXPORT DlhNode *dlh_add (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_sub (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_mul (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_div (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_pow (DlhNode *a, DlhNode *b); /* a > 0, or a gradient by b of NaN */
DLH_EXPORT DlhNode *dlh_min (DlhNode *a, DlhNode *b); /* NaN if either is; ties give a the gradient */
DLH_EXPORT DlhNode *dlh_max (DlhNode *a, DlhNode *b);

/* An operand and a number. */
/** dlh_scale, dlh_offset, dlh_pow_scalar, dlh_clamp: x times, plus, to the power of a number, and
 * x kept within [@lo, @hi]; of @x's shape and type. */
DLH_EXPORT DlhNode *dlh_scale (DlhNode *x, double factor);
DLH_EXPORT DlhNode *dlh_offset (DlhNode *x, double addend);
DLH_EXPORT DlhNode *dlh_pow_scalar (DlhNode *x, double exponent);
DLH_EXPORT DlhNode *dlh_clamp (DlhNode *x, double lo, double hi); /* gradient 0 outside */

/* One operand. */
/** dlh_neg, dlh_abs, dlh_sign, dlh_square, dlh_sqrt, dlh_rsqrt, dlh_reciprocal, dlh_exp, dlh_expm1,
 * dlh_log, dlh_log1p, dlh_sin, dlh_cos, dlh_tanh, dlh_erf, dlh_lgamma, dlh_digamma: of each element
 * of @x (float), as in math.h; rsqrt is 1 / sqrt x, sign is -1, 0 or 1 with gradient 0. */
DLH_EXPORT DlhNode *dlh_neg (DlhNode *x);
DLH_EXPORT DlhNode *dlh_abs (DlhNode *x);
DLH_EXPORT DlhNode *dlh_sign (DlhNode *x);
DLH_EXPORT DlhNode *dlh_square (DlhNode *x);
DLH_EXPORT DlhNode *dlh_sqrt (DlhNode *x);
DLH_EXPORT DlhNode *dlh_rsqrt (DlhNode *x);
DLH_EXPORT DlhNode *dlh_reciprocal (DlhNode *x);
DLH_EXPORT DlhNode *dlh_exp (DlhNode *x);
DLH_EXPORT DlhNode *dlh_expm1 (DlhNode *x);
DLH_EXPORT DlhNode *dlh_log (DlhNode *x);
DLH_EXPORT DlhNode *dlh_log1p (DlhNode *x);
DLH_EXPORT DlhNode *dlh_sin (DlhNode *x);
DLH_EXPORT DlhNode *dlh_cos (DlhNode *x);
DLH_EXPORT DlhNode *dlh_tanh (DlhNode *x);
DLH_EXPORT DlhNode *dlh_erf (DlhNode *x);
DLH_EXPORT DlhNode *dlh_lgamma (DlhNode *x);
DLH_EXPORT DlhNode *dlh_digamma (DlhNode *x);
/** dlh_polygamma: the @order-th derivative of digamma, x > 0; order 0 is digamma. */
DLH_EXPORT DlhNode *dlh_polygamma (DlhNode *x, guint order);
/** dlh_sigmoid, dlh_softplus, dlh_relu, dlh_leaky_relu, dlh_elu, dlh_gelu: activations of @x
 * (float); leaky_relu is @slope x below 0, elu is @alpha (exp x - 1) there. */
DLH_EXPORT DlhNode *dlh_sigmoid (DlhNode *x);
DLH_EXPORT DlhNode *dlh_softplus (DlhNode *x); /* log (1 + exp x), exact for large |x| */
DLH_EXPORT DlhNode *dlh_relu (DlhNode *x);     /* gradient 0 at 0 */
DLH_EXPORT DlhNode *dlh_leaky_relu (DlhNode *x, double slope);
DLH_EXPORT DlhNode *dlh_elu (DlhNode *x, double alpha);
DLH_EXPORT DlhNode *dlh_gelu (DlhNode *x); /* x Phi(x), with erf */
/** dlh_is_finite: whether each element is neither NaN nor infinite. */
DLH_EXPORT DlhNode *dlh_is_finite (DlhNode *x); /* bool */

/* Comparison, choice and conversion. */
/** dlh_equal, dlh_not_equal, dlh_less, dlh_less_equal, dlh_greater, dlh_greater_equal: bool, after
 * broadcasting; every comparison with NaN but "not equal" is false. */
DLH_EXPORT DlhNode *dlh_equal (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_not_equal (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_less (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_less_equal (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_greater (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_greater_equal (DlhNode *a, DlhNode *b);
/** dlh_where: @a where @condition (bool) holds, else @b; a NaN not chosen does not spread. */
DLH_EXPORT DlhNode *dlh_where (DlhNode *condition, DlhNode *a, DlhNode *b);
/** dlh_cast: float to integer rounds towards zero; number to bool is x != 0. */
DLH_EXPORT DlhNode *dlh_cast (DlhNode *x, DlhDType dtype);
/** dlh_stop_gradient: @x, through which no gradient flows. */
DLH_EXPORT DlhNode *dlh_stop_gradient (DlhNode *x);
/** dlh_as_noise: @x, which dlh_graph_uses() takes for noise of mean 0, or for what sets the scale of
 * one: a use of a weight by it is left out, and so is its addition to a weight. */
DLH_EXPORT DlhNode *dlh_as_noise (DlhNode *x);
/** dlh_assert_finite: @x; a run stops with DLH_ERROR_NUMERIC, before anything is assigned, when an
 * element is NaN or infinite. @what names it in the message. */
DLH_EXPORT DlhNode *dlh_assert_finite (DlhNode *x, const char *what);

/** dlh_activation: relu, tanh, sigmoid, elu, gelu, softplus, leaky_relu or identity by name. */
DLH_EXPORT DlhNode *dlh_activation (DlhNode *x, const char *name);

G_END_DECLS
