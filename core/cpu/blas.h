/* SPDX-License-Identifier: MIT */
/* BLAS and LAPACK on row-major matrices, by element type (DLH_F32 or DLH_F64).
 *
 * Sizes fit dlh_blas_fits(); a size of zero is allowed everywhere. Symmetric and triangular matrices
 * are n x n without gaps. LAPACK is column-major: a row-major lower triangle is its upper one. */
#pragma once

#include <dlhost/shape.h>

/* Whether BLAS can count to @n. */
gboolean dlh_blas_fits (gint64 n);

/* c (m, n) = op(a) op(b) + beta c; op(a) is (m, k), op(b) is (k, n). ld*: elements from row to row of
 * what is stored. @beta 0 overwrites c, whatever it holds. */
void dlh_gemm (DlhDType dtype, gboolean transpose_a, gboolean transpose_b, gint64 m, gint64 n,
               gint64 k, const void *a, gint64 lda, const void *b, gint64 ldb, double beta, void *c,
               gint64 ldc);
/* The lower triangle of c (n, n) = x' x with x (m, n). */
void dlh_syrk (DlhDType dtype, gint64 m, gint64 n, const void *x, void *c);
/* b (n, k) <- op(l)^-1 b. */
void dlh_trsm (DlhDType dtype, gboolean lower, gboolean transpose, gint64 n, gint64 k,
               const void *l, void *b);
/* The lower triangle of a becomes its Cholesky factor; the upper one is not touched.
 * Returns: 0, else the leading minor that is not positive. */
gint64 dlh_potrf (DlhDType dtype, gint64 n, void *a);
/* The lower triangle, a Cholesky factor, becomes that of (l l')^-1.
 * Returns: 0, else the row whose diagonal element is zero, from 1. */
gint64 dlh_potri (DlhDType dtype, gint64 n, void *l);
/* Symmetric a becomes its eigenvectors, a row each; w (n) the eigenvalues, ascending.
 * @work: dlh_syevd_work() bytes. Returns: 0, else LAPACK did not converge. */
gint64 dlh_syevd (DlhDType dtype, gint64 n, void *a, void *w, void *work);
gsize dlh_syevd_work (DlhDType dtype, gint64 n);

/* The upper triangle becomes the lower one's mirror image. */
void dlh_mirror_lower (DlhDType dtype, gint64 n, void *a);
/* a (n, n) is transposed where it lies. */
void dlh_transpose_square (DlhDType dtype, gint64 n, void *a);

/* The release of BLAS that is linked, for benchmarks: "OpenBLAS 0.3.21 ...". */
const char *dlh_blas_version (void);
