/* SPDX-License-Identifier: MIT */
/* The calls for one element type: T, CBLAS (name) and LAPACK (name) are set by blas.c. */

void LAPACK (potrf) (const char *uplo, const blasint *n, T *a, const blasint *lda, blasint *info,
                     gsize uplo_length);
void LAPACK (potri) (const char *uplo, const blasint *n, T *a, const blasint *lda, blasint *info,
                     gsize uplo_length);
void LAPACK (syevd) (const char *job, const char *uplo, const blasint *n, T *a, const blasint *lda,
                     T *w, T *work, const blasint *lwork, blasint *iwork, const blasint *liwork,
                     blasint *info, gsize job_length, gsize uplo_length);

// Some releases of gemv multiply y by a beta of 0 and keep its NaN: y is cleared here instead.
static void
NAME (gemv) (gboolean transpose, blasint rows, blasint columns, const T *a, blasint lda, const T *x,
             blasint step_x, double beta, T *y, blasint step_y)
{
    blasint n = transpose ? columns : rows;

    if (beta == 0)
        for (blasint i = 0; i < n; i++)
            y[(gsize) i * (gsize) step_y] = 0;
    CBLAS (gemv) (CblasRowMajor, transpose ? CblasTrans : CblasNoTrans, rows, columns, 1, a, lda, x,
                  step_x, beta == 0 ? 1 : (T) beta, y, step_y);
}

static void
NAME (gemm) (gboolean ta, gboolean tb, blasint m, blasint n, blasint k, const T *a, blasint lda,
             const T *b, blasint ldb, double beta, T *c, blasint ldc)
{
    if (n == 1)
        NAME (gemv) (ta, ta ? k : m, ta ? m : k, a, lda, b, tb ? 1 : ldb, beta, c, ldc);
    else if (m == 1)
        NAME (gemv) (!tb, tb ? n : k, tb ? k : n, b, ldb, a, ta ? lda : 1, beta, c, 1);
    else
        CBLAS (gemm) (CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
                      m, n, k, 1, a, lda, b, ldb, (T) beta, c, ldc);
}

static void
NAME (clear) (gint64 m, gint64 n, double beta, T *c, gint64 ldc)
{
    for (gint64 i = 0; i < m; i++)
        for (gint64 j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0 ? 0 : (T) beta * c[i * ldc + j];
}

static void
NAME (syrk) (blasint m, blasint n, const T *x, T *c)
{
    CBLAS (syrk) (CblasRowMajor, CblasLower, CblasTrans, n, m, 1, x, n, 0, c, n);
}

static void
NAME (trsm) (gboolean lower, gboolean transpose, blasint n, blasint k, const T *l, T *b)
{
    CBLAS_UPLO uplo = lower ? CblasLower : CblasUpper;
    CBLAS_TRANSPOSE trans = transpose ? CblasTrans : CblasNoTrans;

    if (k == 1)
        CBLAS (trsv) (CblasRowMajor, uplo, trans, CblasNonUnit, n, l, n, b, 1);
    else
        CBLAS (trsm) (CblasRowMajor, CblasLeft, uplo, trans, CblasNonUnit, n, k, 1, l, n, b, k);
}

static gint64
NAME (potrf) (blasint n, T *a)
{
    blasint info = 0;

    LAPACK (potrf) ("U", &n, a, &n, &info, 1);
    return info;
}

static gint64
NAME (potri) (blasint n, T *l)
{
    blasint info = 0;

    LAPACK (potri) ("U", &n, l, &n, &info, 1);
    return info;
}

static void
NAME (syevd_sizes) (blasint n, blasint *lwork, blasint *liwork)
{
    blasint query = -1, info = 0;
    T a, w, size = 0;

    LAPACK (syevd) ("V", "U", &n, &a, &n, &w, &size, &query, liwork, &query, &info, 1, 1);
    // An f32 beyond 2^24 may have been rounded down: the documented minimum bounds it from below.
    *lwork = (blasint) MAX ((double) size, 1 + 6.0 * n + 2.0 * n * n);
}

static gint64
NAME (syevd) (blasint n, T *a, T *w, char *work)
{
    blasint lwork, liwork, info = 0;
    blasint *iwork;

    NAME (syevd_sizes) (n, &lwork, &liwork);
    iwork = (blasint *) (work + ALIGNED ((gsize) lwork * sizeof (T)));
    LAPACK (syevd) ("V", "U", &n, a, &n, w, (T *) work, &lwork, iwork, &liwork, &info, 1, 1);
    return info;
}

// By blocks, so that the columns that are walked down stay in the cache.
static void
NAME (mirror_lower) (gint64 n, T *a)
{
    for (gint64 r = 0; r < n; r += BLOCK)
        for (gint64 c = 0; c <= r; c += BLOCK)
            for (gint64 i = r; i < MIN (r + BLOCK, n); i++)
                for (gint64 j = c; j < MIN (c + BLOCK, i); j++)
                    a[j * n + i] = a[i * n + j];
}

static void
NAME (transpose_square) (gint64 n, T *a)
{
    for (gint64 r = 0; r < n; r += BLOCK)
        for (gint64 c = 0; c <= r; c += BLOCK)
            for (gint64 i = r; i < MIN (r + BLOCK, n); i++)
                for (gint64 j = c; j < MIN (c + BLOCK, i); j++) {
                    T t = a[j * n + i];

                    a[j * n + i] = a[i * n + j];
                    a[i * n + j] = t;
                }
}
