/* SPDX-License-Identifier: MIT */
#include "cpu/blas.h"

#include <cblas.h>

#include "cpu/parallel.h"

#define BLOCK 32
#define ALIGNED(n) (((n) + 63) / 64 * 64)

#define T float
#define NAME(name) name##_f32
#define CBLAS(name) cblas_s##name
#define LAPACK(name) s##name##_
#include "cpu/blas-type.h"
#undef T
#undef NAME
#undef CBLAS
#undef LAPACK

#define T double
#define NAME(name) name##_f64
#define CBLAS(name) cblas_d##name
#define LAPACK(name) d##name##_
#include "cpu/blas-type.h"
#undef T
#undef NAME
#undef CBLAS
#undef LAPACK

// name_f32 () or name_f64 ()
#define BY_DTYPE(name, ...) (dtype == DLH_F32 ? name##_f32 (__VA_ARGS__) : name##_f64 (__VA_ARGS__))

/* OpenBLAS 0.3.21 shares out products by size, but triangular solves, inverses and LAPACK's own
 * routines however small they are: a 64 x 64 inverse then takes twice as long, and ten times as
 * long when the cores are busy. Below these numbers of multiplications one thread is faster. */
#define SMALL_SYRK 5e5
#define SMALL_TRSM 1e6
#define SMALL_POTRF 8e6 /* n = 200 */
#define SMALL_SYEVD 2e8 /* n = 585 */

#define ALONE_BELOW(limit, multiplications, call)                                                  \
    do {                                                                                           \
        guint before = (multiplications) < (limit) ? dlh_parallel_limit (1) : 0;                   \
                                                                                                   \
        call;                                                                                      \
        if (before)                                                                                \
            dlh_parallel_limit (before);                                                           \
    } while (0)

gboolean
dlh_blas_fits (gint64 n)
{
    return n <= G_MAXINT;
}

/* Products are cut by rows or columns of c, a part a thread. OpenBLAS's own threads copy each part
 * of the right factor once for all and wait for each other to have done so: of a hundred and some
 * rows they take as long as one thread. */
#define CUT 16           /* rows or columns that stay together: at least a kernel's */
#define PART_LEAST 2.5e5 /* multiplications that are worth a thread */

typedef struct {
    DlhDType dtype;
    gboolean ta, tb, by_rows;
    gint64 m, n, k, lda, ldb, ldc;
    const char *a, *b;
    char *c;
    double beta;
} Product;

static void
multiply (const Product *p, gint64 first, gint64 m, gint64 first_column, gint64 n)
{
    gint64 size = (gint64)dlh_dtype_size (p->dtype);
    const char *a = p->a + first * (p->ta ? 1 : p->lda) * size;
    const char *b = p->b + first_column * (p->tb ? p->ldb : 1) * size;
    char *c = p->c + (first * p->ldc + first_column) * size;
    DlhDType dtype = p->dtype;

    BY_DTYPE (gemm, p->ta, p->tb, (blasint)m, (blasint)n, (blasint)p->k, (gconstpointer)a,
              (blasint)p->lda, (gconstpointer)b, (blasint)p->ldb, p->beta, (gpointer)c,
              (blasint)p->ldc);
}

// The last part has what is left of a cut.
static void
multiply_part (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Product *p = user_data;
    gint64 all = p->by_rows ? p->m : p->n, from = (gint64)begin * CUT;
    gint64 to = end == (gsize)(all / CUT) ? all : (gint64)end * CUT;

    (void)thread;
    if (p->by_rows)
        multiply (p, from, to - from, 0, p->n);
    else
        multiply (p, 0, p->m, from, to - from);
}

void
dlh_gemm (DlhDType dtype, gboolean transpose_a, gboolean transpose_b, gint64 m, gint64 n, gint64 k,
          const void *a, gint64 lda, const void *b, gint64 ldb, double beta, void *c, gint64 ldc)
{
    const Product p = {dtype, transpose_a, transpose_b, m >= n, m, n, k,
                       lda,   ldb,         ldc,         a,      b, c, beta};
    gint64 cuts = MAX (m, n) / CUT;
    double of_cut = (double)MIN (m, n) * CUT * (double)k;

    if (m == 0 || n == 0)
        return;
    if (k == 0)
        BY_DTYPE (clear, m, n, beta, c, ldc);
    else if (m == 1 || n == 1 || cuts < 2 || (double)cuts * of_cut < 2 * PART_LEAST)
        multiply (&p, 0, m, 0, n);
    else
        dlh_parallel_for ((gsize)cuts, (gsize)(PART_LEAST / of_cut) + 1, multiply_part,
                          (gpointer)&p);
}

void
dlh_syrk (DlhDType dtype, gint64 m, gint64 n, const void *x, void *c)
{
    if (m == 0)
        BY_DTYPE (clear, n, n, 0, c, n);
    else if (n > 0)
        ALONE_BELOW (SMALL_SYRK, (double)m * (double)n * (double)n,
                     BY_DTYPE (syrk, (blasint)m, (blasint)n, x, c));
}

void
dlh_trsm (DlhDType dtype, gboolean lower, gboolean transpose, gint64 n, gint64 k, const void *l,
          void *b)
{
    if (n > 0 && k > 0)
        ALONE_BELOW (SMALL_TRSM, (double)n * (double)n * (double)k,
                     BY_DTYPE (trsm, lower, transpose, (blasint)n, (blasint)k, l, b));
}

static double
cube (gint64 n)
{
    return (double)n * (double)n * (double)n;
}

gint64
dlh_potrf (DlhDType dtype, gint64 n, void *a)
{
    gint64 info = 0;

    if (n > 0)
        ALONE_BELOW (SMALL_POTRF, cube (n), info = BY_DTYPE (potrf, (blasint)n, a));
    return info;
}

gint64
dlh_potri (DlhDType dtype, gint64 n, void *l)
{
    gint64 info = 0;

    if (n > 0)
        ALONE_BELOW (SMALL_POTRF, cube (n), info = BY_DTYPE (potri, (blasint)n, l));
    return info;
}

gint64
dlh_syevd (DlhDType dtype, gint64 n, void *a, void *w, void *work)
{
    gint64 info = 0;

    if (n > 0)
        ALONE_BELOW (SMALL_SYEVD, cube (n), info = BY_DTYPE (syevd, (blasint)n, a, w, work));
    return info;
}

gsize
dlh_syevd_work (DlhDType dtype, gint64 n)
{
    blasint lwork, liwork;

    if (n == 0)
        return 0;
    BY_DTYPE (syevd_sizes, (blasint)n, &lwork, &liwork);
    return ALIGNED ((gsize)lwork * dlh_dtype_size (dtype)) +
           ALIGNED ((gsize)liwork * sizeof (blasint));
}

void
dlh_mirror_lower (DlhDType dtype, gint64 n, void *a)
{
    BY_DTYPE (mirror_lower, n, a);
}

void
dlh_transpose_square (DlhDType dtype, gint64 n, void *a)
{
    BY_DTYPE (transpose_square, n, a);
}

const char *
dlh_blas_version (void)
{
    return openblas_get_config ();
}
