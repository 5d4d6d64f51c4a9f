/* SPDX-License-Identifier: MIT */
/* A plan rounds both operands into the layouts that the product likes best, and multiplies. */
#include "cpu/matmul-dnnl.h"

#include "cpu/dnnl.h"

#ifdef DLH_DNNL

#include <string.h>

#include <dlhost/function.h>

#include "cpu/parallel.h"

#define ALIGN(bytes) (((gsize)(bytes) + 63) & ~(gsize)63)

/* Below these the copies cost what the product saves. One core of an EPYC 9004, oneDNN 2.6 with its
 * copies against OpenBLAS (90 to 103 GF/s), how many times as fast by m, n, k:
 *
 *     500 1000 1000  1.9     256 256 256  1.9     64 1000 1000  1.0 to 1.5    1000 1000 32  1.4
 *     500 784 784    1.9     128 128 128  1.6     32 1000 1000  0.6 to 1.1    1000 1000 16  0.9
 *     500 500 500    1.9     64 64 64     0.9     500 30 250    2.1           128 16 512    1.2
 *
 * A transposed a is copied more slowly, for which few columns do not pay: 256 64 1000 0.7. */
#define MULTIPLICATIONS 1e6
#define ROWS 64
#define TERMS 32
#define COLUMNS 16
#define COLUMNS_TRANSPOSED 128

enum { A, B, C, N_OPERANDS };

struct _DlhRoundedPlan {
    const DlhDnnl *dnnl;
    guint threads;
    dnnl_memory_t plain[N_OPERANDS]; /* f32, as dlhost lays it out */
    dnnl_memory_t rounded[C];        /* bf16, in work */
    dnnl_memory_t scratch;
    gsize at[C], scratch_at, bytes; /* in work */
    dnnl_primitive_t round[C], product;
};

static gboolean
is_faster (gboolean transpose_a, gint64 m, gint64 n, gint64 k)
{
    return strcmp (dlh_cpu_level (), "avx512") == 0 && m >= ROWS && k >= TERMS &&
           n >= (transpose_a ? COLUMNS_TRANSPOSED : COLUMNS) &&
           (double)m * (double)n * (double)k >= MULTIPLICATIONS;
}

// Without these instructions oneDNN would make up for them at a loss.
static const DlhDnnl *
dnnl_with_bf16 (void)
{
    const DlhDnnl *d = dlh_dnnl_get ();
    const guint bits = dnnl_cpu_isa_avx512_core_bf16;

    return d && ((guint)d->get_effective_cpu_isa () & bits) == bits ? d : NULL;
}

/* Building a plan; FALSE at the first thing that oneDNN refuses. */

static gboolean
describe (const DlhDnnl *d, dnnl_memory_desc_t *desc, gint64 rows, gint64 columns,
          dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {rows, columns};

    return d->memory_desc_init_by_tag (desc, 2, dims, type, tag) == dnnl_success;
}

static gsize
reserve (DlhRoundedPlan *p, const dnnl_memory_desc_t *desc)
{
    const gsize at = p->bytes;

    p->bytes += ALIGN (p->dnnl->memory_desc_get_size (desc));
    return at;
}

static gboolean
add_rounding (DlhRoundedPlan *p, guint i, const dnnl_memory_desc_t *from,
              const dnnl_memory_desc_t *to)
{
    const DlhDnnl *d = p->dnnl;
    dnnl_primitive_desc_t desc;
    gboolean ok;

    if (!to || !dlh_dnnl_memory (d, to, &p->rounded[i]) ||
        d->reorder_primitive_desc_create (&desc, from, d->engine, to, d->engine, NULL) !=
            dnnl_success)
        return FALSE;
    p->at[i] = reserve (p, to);
    ok = d->primitive_create (&p->round[i], desc) == dnnl_success;
    d->primitive_desc_destroy (desc);
    return ok;
}

static gboolean
add_product (DlhRoundedPlan *p, const dnnl_memory_desc_t plain[], dnnl_primitive_desc_t desc)
{
    const DlhDnnl *d = p->dnnl;
    const dnnl_memory_desc_t *scratch =
        d->primitive_desc_query_md (desc, dnnl_query_scratchpad_md, 0);

    if (d->primitive_create (&p->product, desc) != dnnl_success ||
        !dlh_dnnl_memory (d, scratch, &p->scratch))
        return FALSE;
    p->scratch_at = reserve (p, scratch);
    for (guint i = 0; i < N_OPERANDS; i++)
        if (!dlh_dnnl_memory (d, &plain[i], &p->plain[i]))
            return FALSE;
    return add_rounding (p, A, &plain[A],
                         d->primitive_desc_query_md (desc, dnnl_query_src_md, 0)) &&
           add_rounding (p, B, &plain[B],
                         d->primitive_desc_query_md (desc, dnnl_query_weights_md, 0));
}

static gboolean
plan_build (DlhRoundedPlan *p, gboolean ta, gboolean tb, gint64 m, gint64 n, gint64 k)
{
    const DlhDnnl *d = p->dnnl;
    dnnl_memory_desc_t plain[N_OPERANDS], a, b;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_matmul_desc_t matmul;
    gboolean ok;

    ok = describe (d, &plain[A], m, k, dnnl_f32, ta ? dnnl_ba : dnnl_ab) &&
         describe (d, &plain[B], k, n, dnnl_f32, tb ? dnnl_ba : dnnl_ab) &&
         describe (d, &plain[C], m, n, dnnl_f32, dnnl_ab) &&
         describe (d, &a, m, k, dnnl_bf16, dnnl_format_tag_any) &&
         describe (d, &b, k, n, dnnl_bf16, dnnl_format_tag_any) &&
         d->matmul_desc_init (&matmul, &a, &b, NULL, &plain[C]) == dnnl_success &&
         d->primitive_attr_create (&attr) == dnnl_success &&
         d->primitive_attr_set_scratchpad_mode (attr, dnnl_scratchpad_mode_user) == dnnl_success &&
         d->primitive_desc_create (&desc, &matmul, attr, d->engine, NULL) == dnnl_success &&
         add_product (p, plain, desc);
    if (desc)
        d->primitive_desc_destroy (desc);
    if (attr)
        d->primitive_attr_destroy (attr);
    return ok;
}

DlhRoundedPlan *
dlh_rounded_plan_new (gboolean transpose_a, gboolean transpose_b, gint64 m, gint64 n, gint64 k)
{
    const DlhDnnl *d = is_faster (transpose_a, m, n, k) ? dnnl_with_bf16 () : NULL;
    DlhRoundedPlan *p;

    if (!d)
        return NULL;
    dlh_parallel_adopt (); // work is cut now, for as many threads
    p = g_new0 (DlhRoundedPlan, 1);
    p->threads = dlh_get_threads ();
    p->dnnl = d;
    if (plan_build (p, transpose_a, transpose_b, m, n, k))
        return p;
    dlh_rounded_plan_free (p);
    return NULL;
}

static void
free_memory (const DlhDnnl *d, dnnl_memory_t memory)
{
    if (memory)
        d->memory_destroy (memory);
}

void
dlh_rounded_plan_free (DlhRoundedPlan *p)
{
    if (!p)
        return;
    for (guint i = 0; i < N_OPERANDS; i++)
        free_memory (p->dnnl, p->plain[i]);
    for (guint i = 0; i < C; i++) {
        free_memory (p->dnnl, p->rounded[i]);
        if (p->round[i])
            p->dnnl->primitive_destroy (p->round[i]);
    }
    free_memory (p->dnnl, p->scratch);
    if (p->product)
        p->dnnl->primitive_destroy (p->product);
    g_free (p);
}

gsize
dlh_rounded_plan_workspace (const DlhRoundedPlan *p)
{
    return p->bytes;
}

static dnnl_status_t
execute (const DlhRoundedPlan *p)
{
    const dnnl_exec_arg_t product[] = {
        {DNNL_ARG_SRC, p->rounded[A]},
        {DNNL_ARG_WEIGHTS, p->rounded[B]},
        {DNNL_ARG_DST, p->plain[C]},
        {DNNL_ARG_SCRATCHPAD, p->scratch},
    };
    const DlhDnnl *d = p->dnnl;
    dnnl_status_t status = dnnl_success;

    for (guint i = 0; i < C && status == dnnl_success; i++) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, p->plain[i]}, {DNNL_ARG_TO, p->rounded[i]}};

        status = d->primitive_execute (p->round[i], d->stream, G_N_ELEMENTS (args), args);
    }
    if (status == dnnl_success)
        status = d->primitive_execute (p->product, d->stream, G_N_ELEMENTS (product), product);
    return status == dnnl_success ? d->stream_wait (d->stream) : status;
}

gboolean
dlh_rounded_plan_run (const DlhRoundedPlan *p, const void *a, const void *b, void *c, void *work,
                      GError **error)
{
    void *const data[N_OPERANDS] = {(void *)a, (void *)b, c};
    const DlhDnnl *d = p->dnnl;
    const guint before = dlh_parallel_limit (p->threads);
    dnnl_status_t status;

    for (guint i = 0; i < N_OPERANDS; i++)
        d->memory_set_data_handle (p->plain[i], data[i]);
    for (guint i = 0; i < C; i++)
        d->memory_set_data_handle (p->rounded[i], (char *)work + p->at[i]);
    d->memory_set_data_handle (p->scratch, (char *)work + p->scratch_at);
    status = execute (p);
    dlh_parallel_limit (before);
    if (status == dnnl_success)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                 "oneDNN could not carry out a product (status %d): is memory short?", (int)status);
    return FALSE;
}

#else /* built without oneDNN's header */

DlhRoundedPlan *
dlh_rounded_plan_new (gboolean transpose_a, gboolean transpose_b, gint64 m, gint64 n, gint64 k)
{
    (void)transpose_a, (void)transpose_b, (void)m, (void)n, (void)k;
    return NULL;
}

void
dlh_rounded_plan_free (DlhRoundedPlan *plan)
{
    g_assert (!plan);
}

gsize
dlh_rounded_plan_workspace (const DlhRoundedPlan *plan)
{
    (void)plan;
    g_return_val_if_reached (0);
}

gboolean
dlh_rounded_plan_run (const DlhRoundedPlan *plan, const void *a, const void *b, void *c, void *work,
                      GError **error)
{
    (void)plan, (void)a, (void)b, (void)c, (void)work, (void)error;
    g_return_val_if_reached (FALSE);
}

#endif
