/* SPDX-License-Identifier: MIT */
/* Matrix products and factorisations; leading axes are batches and must be equal, or be absent from
 * one operand of a product. Float only. */
#pragma once

#include <dlhost/graph.h>

G_BEGIN_DECLS

/** dlh_matmul: (.., m, k) (.., k, n) to (.., m, n). A transposed operand costs nothing. */
DLH_EXPORT DlhNode *dlh_matmul (DlhNode *a, DlhNode *b);
/** dlh_matmul_t: op(a) op(b), transposing the last two axes of each as asked. */
DLH_EXPORT DlhNode *dlh_matmul_t (DlhNode *a, gboolean transpose_a, DlhNode *b,
                                  gboolean transpose_b);
/** DlhMatmulAttrs: attributes of the op "matmul", into which transposes of operands are absorbed.
 * */
typedef struct {
    gint64 transpose_a, transpose_b;
} DlhMatmulAttrs;
/* How much of its operands a product may round away; its sums are of the element type. */
typedef enum {
    DLH_PRECISION_FULL = 1, /* nothing */
    DLH_PRECISION_BF16,     /* f32 may become bfloat16, 2^-9 of itself off; f64 stays */
} DlhPrecision;
/**
 * dlh_matmul_precision:
 * dlh_matmul_t() whose operands may be rounded, where that is faster: a right to use less, not a
 * number format. What a backend or processor has no quicker way for is computed in full. Gradients
 * are products of the same @precision.
 * Returns: with BF16 a node of the op "matmul-rounded".
 */
DLH_EXPORT DlhNode *dlh_matmul_precision (DlhNode *a, gboolean transpose_a, DlhNode *b,
                                          gboolean transpose_b, DlhPrecision precision);
/** DlhRoundedMatmulAttrs: attributes of the op "matmul-rounded". */
typedef struct {
    DlhMatmulAttrs matmul;
    gint64 precision; /* DlhPrecision */
} DlhRoundedMatmulAttrs;

/**
 * dlh_linear:
 * @x: (.., n_in)
 * @w: (n_out, n_in)
 * @b: (nullable): (n_out)
 * Returns: x w' + b, (.., n_out): a single node, so that methods can find "a product with a
 * weight".
 */
DLH_EXPORT DlhNode *dlh_linear (DlhNode *x, DlhNode *w, DlhNode *b);
/** dlh_gram: x (.., m, n) to x' x (.., n, n), symmetric; half the work of a product. */
DLH_EXPORT DlhNode *dlh_gram (DlhNode *x);

/** dlh_cholesky: lower L with L L' = a (.., n, n), reading the lower triangle; a matrix that is not
 * positive definite stops the run with DLH_ERROR_NUMERIC and the failing minor. */
DLH_EXPORT DlhNode *dlh_cholesky (DlhNode *a);
/** dlh_solve_triangular: op(L)^-1 b; @l (.., n, n) lower or upper, @b (.., n, k). */
DLH_EXPORT DlhNode *dlh_solve_triangular (DlhNode *l, DlhNode *b, gboolean lower,
                                          gboolean transpose);
/** dlh_cholesky_solve: (L L')^-1 b. */
DLH_EXPORT DlhNode *dlh_cholesky_solve (DlhNode *l, DlhNode *b);
/** dlh_cholesky_inverse: (L L')^-1, symmetric, by LAPACK's potri. */
DLH_EXPORT DlhNode *dlh_cholesky_inverse (DlhNode *l);
/** dlh_cholesky_logdet: log det (L L') = 2 sum log diag L, (..). */
DLH_EXPORT DlhNode *dlh_cholesky_logdet (DlhNode *l);
/** dlh_logdet: of a positive definite matrix (.., n, n). */
DLH_EXPORT DlhNode *dlh_logdet (DlhNode *a);
/** dlh_spd_solve: a^-1 b for positive definite a (.., n, n). As with dlh_logdet(), the gradient
 * goes to @a itself, without differentiating a factorisation; all share one dlh_cholesky() of @a.
 * */
DLH_EXPORT DlhNode *dlh_spd_solve (DlhNode *a, DlhNode *b);
/**
 * dlh_eigh:
 * Symmetric eigendecomposition a = V diag(w) V', reading the symmetric part.
 * @values: (out): (.., n), ascending
 * @vectors: (out): (.., n, n), columns, the entry of largest magnitude of each positive. Its
 * gradient is undefined where eigenvalues coincide.
 */
DLH_EXPORT void dlh_eigh (DlhNode *a, DlhNode **values, DlhNode **vectors);

G_END_DECLS
