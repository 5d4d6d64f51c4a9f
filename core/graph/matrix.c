/* SPDX-License-Identifier: MIT */
#include "graph/matrix.h"

#include <string.h>
#include <dlhost/arrange.h>
#include "cpu/blas.h"
#include "cpu/parallel.h"
#include "graph/axes.h"

#define GRAIN 5e4 /* flops that pay for waking a thread */

gboolean
dlh_check_matrices (const DlhNode *node, GError **error)
{
    for (guint i = 0; i < node->n_inputs; i++) {
        const DlhNode *x = node->inputs[i];

        if (x->dtype != node->inputs[0]->dtype || !dlh_dtype_is_float (x->dtype))
            return dlh_refuse (node, error, "operands of %s and %s, must be of one float type",
                               dlh_dtype_name (node->inputs[0]->dtype), dlh_dtype_name (x->dtype));
        for (guint k = 0; k < x->shape.rank; k++)
            if (!dlh_blas_fits (x->shape.dims[k])) {
                g_autofree char *s = dlh_shape_to_string (x->shape);

                return dlh_refuse (node, error, "%s is too large, BLAS counts to %d", s, G_MAXINT);
            }
    }
    return TRUE;
}

gboolean
dlh_check_square (const DlhNode *node, guint i, GError **error)
{
    DlhShape s = node->inputs[i]->shape;
    g_autofree char *text = NULL;

    if (s.rank >= 2 && s.dims[s.rank - 1] == s.dims[s.rank - 2])
        return TRUE;
    text = dlh_shape_to_string (s);
    return dlh_refuse (node, error, "%s, must be square matrices", text);
}

gboolean
dlh_check_system (const DlhNode *node, guint i, guint k, GError **error)
{
    DlhShape l = node->inputs[i]->shape, b = node->inputs[k]->shape;
    g_autofree char *sl = NULL, *sb = NULL;

    if (l.rank == b.rank && memcmp (l.dims, b.dims, (l.rank - 1) * sizeof *l.dims) == 0)
        return TRUE;
    sl = dlh_shape_to_string (l);
    sb = dlh_shape_to_string (b);
    return dlh_refuse (node, error, "matrix %s does not fit right-hand side %s", sl, sb);
}

gint64
dlh_count_dims (const gint64 *dims, guint n)
{
    gint64 count = 1;

    for (guint i = 0; i < n; i++)
        count *= dims[i];
    return count;
}

gint64
dlh_matrix_batch (const DlhNode *x)
{
    return dlh_count_dims (x->shape.dims, MAX (x->shape.rank, 2) - 2);
}

gint64
dlh_matrix_rows (const DlhNode *x, gint64 transpose)
{
    return x->shape.dims[x->shape.rank - (transpose ? 1 : 2)];
}

gint64
dlh_matrix_columns (const DlhNode *x, gint64 transpose)
{
    return x->shape.dims[x->shape.rank - (transpose ? 2 : 1)];
}

DlhNode *
dlh_stack_rows (DlhNode *x)
{
    const guint last = x->shape.rank - 1;

    if (last == 1)
        return x;
    return dlh_reshape (x, dlh_shape (dlh_count_dims (x->shape.dims, last), x->shape.dims[last]));
}

gsize
dlh_matrix_bytes (const DlhNode *x)
{
    const gint64 *d = x->shape.dims + x->shape.rank - 2;

    return (gsize)d[0] * (gsize)d[1] * dlh_dtype_size (x->dtype);
}

void *
dlh_matrix_at (const DlhNode *x, const void *memory, gsize i)
{
    return (char *)memory + i * dlh_matrix_bytes (x);
}

/* Runs over a batch. */

#define NONE G_MAXUINT64

typedef struct {
    const DlhCall *call;
    DlhMatrixFunc func;
    gsize n, n_parts;
    guint64 failed; /* matrix and, in the low half, info: the least of all threads; or NONE */
} Job;

static void
note_failure (Job *job, gsize i, gint64 info)
{
    guint64 mine = (guint64)i << 32 | (guint32)info;
    guint64 seen = __atomic_load_n (&job->failed, __ATOMIC_RELAXED);

    while (mine < seen && !__atomic_compare_exchange_n (&job->failed, &seen, mine, FALSE,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void
run_parts (gsize begin, gsize end, guint thread, gpointer user_data)
{
    Job *job = user_data;

    (void)thread;
    for (gsize part = begin; part < end; part++) {
        gsize last = (part + 1) * job->n / job->n_parts;

        for (gsize i = part * job->n / job->n_parts; i < last; i++) {
            gint64 info = job->func (job->call, i, (guint)part);

            // The rest of the part comes later in the batch: it cannot be the first failure.
            if (info) {
                note_failure (job, i, info);
                return;
            }
        }
    }
}

gboolean
dlh_each_matrix (const DlhCall *call, DlhMatrixFunc func, gsize n, guint n_parts, double flops,
                 double alone, gsize *failed, gint64 *info)
{
    Job job = {call, func, n, n_parts ? MIN (n_parts, n) : n, NONE};
    double part_flops = flops * (double)n / (double)MAX (1, job.n_parts);

    if (n == 1 || (flops > alone && n < 2 * dlh_get_threads ()))
        run_parts (0, job.n_parts, 0, &job);
    else if (n > 0)
        dlh_parallel_for (job.n_parts, 1 + (gsize)(GRAIN / (part_flops + 1)), run_parts, &job);
    if (job.failed == NONE)
        return TRUE;
    *failed = job.failed >> 32;
    *info = (gint32)(guint32)job.failed;
    return FALSE;
}
