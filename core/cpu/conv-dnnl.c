/* SPDX-License-Identifier: MIT */
/* A plan is the convolution in the layouts that oneDNN likes best, with the reorders around it. */
#include "cpu/conv-dnnl.h"

#include "cpu/dnnl.h"

#ifdef DLH_DNNL

#include <string.h>

#include <dlhost/function.h>

#include "cpu/parallel.h"

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[5];
    int n_args;
} Step;

/* Operands: a and b are read, out is written. */
enum { A, B, OUT, N_OPERANDS };

struct _DlhDnnlPlan {
    const DlhDnnl *dnnl;
    DlhConvKind kind;
    DlhConvSize size;
    dnnl_memory_desc_t plain[N_OPERANDS];
    dnnl_memory_t memory[N_OPERANDS];  /* as dlhost lays it out */
    dnnl_memory_t blocked[N_OPERANDS]; /* in work; NULL where the plain layout serves */
    gsize at[N_OPERANDS];              /* of blocked in work */
    dnnl_memory_t bias, scratch;
    gsize scratch_at, bytes;
    guint threads;
    float *zeros; /* bias of a convolution that has none */
    Step steps[N_OPERANDS + 1];
    guint n_steps;
};

/* Where it measured faster, reorders included (one core of an EPYC 9004, oneDNN 2.6; cpu/conv.c has
 * figures): whole blocks of 16 channels on both sides, and rows that do not fill the tiles' vectors
 * or lose much of them to padding. A forward pass may have few channels in. */
static gboolean
is_faster (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype)
{
    const gboolean blocks = s->C % 16 == 0 && s->O % 16 == 0;

    if (dtype != DLH_F32 || strcmp (dlh_cpu_level (), "avx512") != 0 || dlh_conv_is_matmul (s) ||
        s->kh * s->kw == 1 || s->g != 1 || s->dh != 1 || s->dw != 1 || s->sh != 1 || s->sw != 1 ||
        s->ow > 16 || s->B == 0)
        return FALSE;
    if (kind == DLH_CONV_FORWARD && !blocks)
        return s->C >= 4 && s->O % 16 == 0 && s->ow % 8 != 0;
    return blocks;
}

/* Building a plan; FALSE at the first thing that oneDNN refuses. */

static gboolean
tensor (const DlhDnnl *d, dnnl_memory_desc_t *desc, gsize n, gsize c, gsize h, gsize w,
        dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {(gint64)n, (gint64)c, (gint64)h, (gint64)w};

    return d->memory_desc_init_by_tag (desc, 4, dims, dnnl_f32, tag) == dnnl_success;
}

static gboolean
describe (const DlhDnnl *d, DlhConvKind kind, const DlhConvSize *s, dnnl_format_tag_t tag,
          dnnl_memory_desc_t desc[N_OPERANDS])
{
    dnnl_memory_desc_t x, w, y;

    if (!tensor (d, &x, s->B, s->C, s->ih, s->iw, tag) ||
        !tensor (d, &w, s->O, s->C, s->kh, s->kw, tag) ||
        !tensor (d, &y, s->B, s->O, s->oh, s->ow, tag))
        return FALSE;
    desc[A] = kind == DLH_CONV_DATA ? y : x;
    desc[B] = kind == DLH_CONV_WEIGHT ? y : w;
    desc[OUT] = kind == DLH_CONV_FORWARD ? y : kind == DLH_CONV_DATA ? x : w;
    return TRUE;
}

static gboolean
forward_desc (const DlhDnnlPlan *p, dnnl_primitive_attr_t attr, const dnnl_memory_desc_t any[],
              dnnl_primitive_desc_t *out)
{
    const DlhConvSize *s = &p->size;
    const dnnl_dims_t stride = {1, 1}, filters = {(gint64)s->O};
    const dnnl_dims_t padding = {(gint64)s->ph, (gint64)s->pw};
    const DlhDnnl *d = p->dnnl;
    dnnl_memory_desc_t bias;
    dnnl_convolution_desc_t desc;

    return d->memory_desc_init_by_tag (&bias, 1, filters, dnnl_f32, dnnl_a) == dnnl_success &&
           d->convolution_forward_desc_init (&desc, dnnl_forward_training, dnnl_convolution_direct,
                                             &any[0], &any[1], &bias, &any[2], stride, padding,
                                             padding) == dnnl_success &&
           d->primitive_desc_create (out, &desc, attr, d->engine, NULL) == dnnl_success;
}

// Gradients take the forward pass as a hint.
static gboolean
gradient_desc (const DlhDnnlPlan *p, dnnl_primitive_attr_t attr, const dnnl_memory_desc_t any[],
               dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out)
{
    const DlhConvSize *s = &p->size;
    const dnnl_dims_t stride = {1, 1}, padding = {(gint64)s->ph, (gint64)s->pw};
    const DlhDnnl *d = p->dnnl;
    dnnl_convolution_desc_t desc;
    dnnl_status_t status;

    if (p->kind == DLH_CONV_DATA)
        status = d->convolution_backward_data_desc_init (
            &desc, dnnl_convolution_direct, &any[0], &any[1], &any[2], stride, padding, padding);
    else
        status = d->convolution_backward_weights_desc_init (&desc, dnnl_convolution_direct, &any[0],
                                                            &any[1], NULL, &any[2], stride, padding,
                                                            padding);
    return status == dnnl_success &&
           d->primitive_desc_create (out, &desc, attr, d->engine, forward) == dnnl_success;
}

static gboolean
make_desc (const DlhDnnlPlan *p, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
    dnnl_memory_desc_t any[N_OPERANDS]; /* x, w, y */
    dnnl_primitive_desc_t forward = NULL;
    gboolean ok;

    if (!describe (p->dnnl, DLH_CONV_FORWARD, &p->size, dnnl_format_tag_any, any) ||
        !forward_desc (p, attr, any, &forward))
        return FALSE;
    if (p->kind == DLH_CONV_FORWARD) {
        *out = forward;
        return TRUE;
    }
    ok = gradient_desc (p, attr, any, forward, out);
    p->dnnl->primitive_desc_destroy (forward);
    return ok;
}

static gsize
reserve (DlhDnnlPlan *p, const dnnl_memory_desc_t *desc)
{
    const gsize at = p->bytes;

    p->bytes += DLH_CONV_ALIGN (p->dnnl->memory_desc_get_size (desc));
    return at;
}

static gboolean
add_reorder (DlhDnnlPlan *p, guint operand, const dnnl_memory_desc_t *blocked)
{
    const DlhDnnl *d = p->dnnl;
    const gboolean back = operand == OUT;
    const dnnl_memory_desc_t *from = back ? blocked : &p->plain[operand];
    const dnnl_memory_desc_t *to = back ? &p->plain[operand] : blocked;
    Step *step = &p->steps[p->n_steps++];
    dnnl_primitive_desc_t desc;
    gboolean ok;

    if (d->reorder_primitive_desc_create (&desc, from, d->engine, to, d->engine, NULL) !=
        dnnl_success)
        return FALSE;
    ok = d->primitive_create (&step->primitive, desc) == dnnl_success;
    d->primitive_desc_destroy (desc);
    step->args[0] =
        (dnnl_exec_arg_t){DNNL_ARG_FROM, back ? p->blocked[operand] : p->memory[operand]};
    step->args[1] = (dnnl_exec_arg_t){DNNL_ARG_TO, back ? p->memory[operand] : p->blocked[operand]};
    step->n_args = 2;
    return ok;
}

// An operand's memory, and the reorder before the product where its layout is another.
static gboolean
add_operand (DlhDnnlPlan *p, guint operand, const dnnl_memory_desc_t *desc)
{
    if (!dlh_dnnl_memory (p->dnnl, &p->plain[operand], &p->memory[operand]))
        return FALSE;
    if (p->dnnl->memory_desc_equal (desc, &p->plain[operand]))
        return TRUE;
    if (!dlh_dnnl_memory (p->dnnl, desc, &p->blocked[operand]))
        return FALSE;
    p->at[operand] = reserve (p, desc);
    return operand == OUT || add_reorder (p, operand, desc);
}

static gboolean
add_product (DlhDnnlPlan *p, dnnl_primitive_desc_t desc)
{
    static const int names[][N_OPERANDS] = {
        [DLH_CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        [DLH_CONV_DATA] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
        [DLH_CONV_WEIGHT] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS},
    };
    const DlhDnnl *d = p->dnnl;
    const dnnl_memory_desc_t *scratch =
        d->primitive_desc_query_md (desc, dnnl_query_scratchpad_md, 0);
    Step *step = &p->steps[p->n_steps++];

    if (d->primitive_create (&step->primitive, desc) != dnnl_success ||
        !dlh_dnnl_memory (d, scratch, &p->scratch))
        return FALSE;
    p->scratch_at = reserve (p, scratch);
    for (guint i = 0; i < N_OPERANDS; i++)
        step->args[step->n_args++] =
            (dnnl_exec_arg_t){names[p->kind][i], p->blocked[i] ? p->blocked[i] : p->memory[i]};
    step->args[step->n_args++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, p->scratch};
    if (p->kind != DLH_CONV_FORWARD)
        return TRUE;
    p->zeros = g_new0 (float, p->size.O);
    step->args[step->n_args++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, NULL};
    return dlh_dnnl_memory (d, d->primitive_desc_query_md (desc, dnnl_query_weights_md, 1),
                            &p->bias) &&
           (step->args[step->n_args - 1].memory = p->bias) != NULL;
}

static gboolean
plan_build (DlhDnnlPlan *p, dnnl_primitive_desc_t desc)
{
    static const dnnl_query_t queries[][N_OPERANDS] = {
        [DLH_CONV_FORWARD] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
        [DLH_CONV_DATA] = {dnnl_query_diff_dst_md, dnnl_query_weights_md, dnnl_query_diff_src_md},
        [DLH_CONV_WEIGHT] = {dnnl_query_src_md, dnnl_query_diff_dst_md, dnnl_query_diff_weights_md},
    };
    const dnnl_memory_desc_t *md[N_OPERANDS];

    // Plain layouts: pictures nchw, filters oihw, which are one tag.
    if (!describe (p->dnnl, p->kind, &p->size, dnnl_abcd, p->plain))
        return FALSE;
    for (guint i = 0; i < N_OPERANDS; i++) {
        md[i] = p->dnnl->primitive_desc_query_md (desc, queries[p->kind][i], 0);
        if (!md[i] || !add_operand (p, i, md[i]))
            return FALSE;
    }
    return add_product (p, desc) && (!p->blocked[OUT] || add_reorder (p, OUT, md[OUT]));
}

DlhDnnlPlan *
dlh_dnnl_plan_new (DlhConvKind kind, const DlhConvSize *s, DlhDType dtype)
{
    const DlhDnnl *d = is_faster (kind, s, dtype) ? dlh_dnnl_get () : NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    DlhDnnlPlan *p;
    gboolean ok;

    if (!d)
        return NULL;
    dlh_parallel_adopt (); // work is cut now, for as many threads
    p = g_new0 (DlhDnnlPlan, 1);
    p->threads = dlh_get_threads ();
    p->dnnl = d;
    p->kind = kind;
    p->size = *s;
    ok = d->primitive_attr_create (&attr) == dnnl_success &&
         d->primitive_attr_set_scratchpad_mode (attr, dnnl_scratchpad_mode_user) == dnnl_success &&
         make_desc (p, attr, &desc) && plan_build (p, desc);
    if (desc)
        d->primitive_desc_destroy (desc);
    if (attr)
        d->primitive_attr_destroy (attr);
    if (ok)
        return p;
    dlh_dnnl_plan_free (p);
    return NULL;
}

void
dlh_dnnl_plan_free (DlhDnnlPlan *p)
{
    if (!p)
        return;
    for (guint i = 0; i < G_N_ELEMENTS (p->steps); i++)
        if (p->steps[i].primitive)
            p->dnnl->primitive_destroy (p->steps[i].primitive);
    for (guint i = 0; i < N_OPERANDS; i++) {
        if (p->memory[i])
            p->dnnl->memory_destroy (p->memory[i]);
        if (p->blocked[i])
            p->dnnl->memory_destroy (p->blocked[i]);
    }
    if (p->bias)
        p->dnnl->memory_destroy (p->bias);
    if (p->scratch)
        p->dnnl->memory_destroy (p->scratch);
    g_free (p->zeros);
    g_free (p);
}

gsize
dlh_dnnl_plan_workspace (const DlhDnnlPlan *p)
{
    return p->bytes;
}

// x (B, C, positions) += bias (C): a data gradient has none of its own.
static void
add_bias (float *x, const float *bias, const DlhConvSize *s)
{
    const gsize n = s->ih * s->iw;

    for (gsize plane = 0; plane < s->B * s->C; plane++, x += n)
        for (gsize i = 0; i < n; i++)
            x[i] += bias[plane % s->C];
}

gboolean
dlh_dnnl_plan_run (const DlhDnnlPlan *p, const void *a, const void *b, const void *bias, void *out,
                   void *work, GError **error)
{
    void *const data[N_OPERANDS] = {(void *)a, (void *)b, out};
    const DlhDnnl *d = p->dnnl;
    dnnl_status_t status = dnnl_success;
    const guint before = dlh_parallel_limit (p->threads);

    for (guint i = 0; i < N_OPERANDS; i++) {
        d->memory_set_data_handle (p->memory[i], data[i]);
        if (p->blocked[i])
            d->memory_set_data_handle (p->blocked[i], (char *)work + p->at[i]);
    }
    d->memory_set_data_handle (p->scratch, (char *)work + p->scratch_at);
    if (p->bias)
        d->memory_set_data_handle (p->bias, bias ? (void *)bias : p->zeros);
    for (guint i = 0; i < p->n_steps && status == dnnl_success; i++)
        status = d->primitive_execute (p->steps[i].primitive, d->stream, p->steps[i].n_args,
                                       p->steps[i].args);
    if (status == dnnl_success)
        status = d->stream_wait (d->stream);
    dlh_parallel_limit (before);
    if (status != dnnl_success) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_MEMORY,
                     "oneDNN could not carry out a convolution (status %d): is memory short?",
                     (int)status);
        return FALSE;
    }
    if (bias && p->kind == DLH_CONV_DATA)
        add_bias (out, bias, &p->size);
    return TRUE;
}

#else /* built without oneDNN's header */

DlhDnnlPlan *
dlh_dnnl_plan_new (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype)
{
    (void)kind;
    (void)size;
    (void)dtype;
    return NULL;
}

void
dlh_dnnl_plan_free (DlhDnnlPlan *plan)
{
    g_assert (!plan);
}

gsize
dlh_dnnl_plan_workspace (const DlhDnnlPlan *plan)
{
    (void)plan;
    g_return_val_if_reached (0);
}

gboolean
dlh_dnnl_plan_run (const DlhDnnlPlan *plan, const void *a, const void *b, const void *bias,
                   void *out, void *work, GError **error)
{
    (void)plan, (void)a, (void)b, (void)bias, (void)out, (void)work, (void)error;
    g_return_val_if_reached (FALSE);
}

#endif
