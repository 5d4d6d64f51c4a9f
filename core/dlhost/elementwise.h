/* SPDX-License-Identifier: MIT */
/* Element-wise ops. Two operands are broadcast to a common shape as NumPy does; their element types
 * must agree (dlh_cast() converts). Comparisons give bool. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/* Two operands. */
DLH_EXPORT DlhNode *dlh_add (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_sub (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_mul (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_div (DlhNode *a, DlhNode *b);
DLH_EXPORT DlhNode *dlh_pow (DlhNode *a, DlhNode *b); /* a > 0, or a gradient by b of NaN */
DLH_EXPORT DlhNode *dlh_min (DlhNode *a, DlhNode *b); /* NaN if either is; ties give a the gradient */
DLH_EXPORT DlhNode *dlh_max (DlhNode *a, DlhNode *b);

/* An operand and a number. */
DLH_EXPORT DlhNode *dlh_scale (DlhNode *x, double factor);
DLH_EXPORT DlhNode *dlh_offset (DlhNode *x, double addend);
DLH_EXPORT DlhNode *dlh_pow_scalar (DlhNode *x, double exponent);
DLH_EXPORT DlhNode *dlh_clamp (DlhNode *x, double lo, double hi); /* gradient 0 outside */

/* One operand. */
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
DLH_EXPORT DlhNode *dlh_sigmoid (DlhNode *x);
DLH_EXPORT DlhNode *dlh_softplus (DlhNode *x); /* log (1 + exp x), exact for large |x| */
DLH_EXPORT DlhNode *dlh_relu (DlhNode *x);     /* gradient 0 at 0 */
DLH_EXPORT DlhNode *dlh_leaky_relu (DlhNode *x, double slope);
DLH_EXPORT DlhNode *dlh_elu (DlhNode *x, double alpha);
DLH_EXPORT DlhNode *dlh_gelu (DlhNode *x); /* x Phi(x), with erf */
DLH_EXPORT DlhNode *dlh_is_finite (DlhNode *x); /* bool */

/* Comparison, choice and conversion. */
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
/** dlh_assert_finite: @x; a run stops with DLH_ERROR_NUMERIC, before anything is assigned, when an
 * element is NaN or infinite. @what names it in the message. */
DLH_EXPORT DlhNode *dlh_assert_finite (DlhNode *x, const char *what);

/** dlh_activation: relu, tanh, sigmoid, elu, gelu, softplus, leaky_relu or identity by name. */
DLH_EXPORT DlhNode *dlh_activation (DlhNode *x, const char *name);

G_END_DECLS
