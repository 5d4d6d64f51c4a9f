/* SPDX-License-Identifier: MIT */
#include "cpu/conv-direct-private.h"

/* Vectors of positions that pay for adding up the lanes of a dot. */
#define DOT_VECTORS 96
/* Weights above this offer enough filters to share out; below, pictures are shared out in slices
 * whose sums are added at the end. */
#define SLICED_WEIGHTS 32768
#define MAX_SLICES 16

// Offsets are 32 bits wide; a table for very large pictures would not pay.
static gboolean
fits (const DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const double limit = G_MAXINT32 / 2;
    const double x = (double)p->x.plane * (double)s->C, y = (double)p->y.plane * (double)s->O;
    const double w = (double)s->O * (double)dlh_conv_k (s);

    return p->kernels && DLH_DIRECT_MAX_IMAGES * x < limit && DLH_DIRECT_MAX_IMAGES * y < limit &&
           w < limit && dlh_conv_p (s) < 1 << 22;
}

static DlhDirectPlan *
plan_alloc (Method method, const DlhConvSize *s, DlhDType dtype, guint parts)
{
    DlhDirectPlan *p = g_new0 (DlhDirectPlan, 1);

    p->method = method;
    p->s = *s;
    p->f64 = dtype == DLH_F64;
    p->size = dlh_dtype_size (dtype);
    p->parts = parts;
    p->kernels = dlh_conv_kernels ();
    p->slices = 1;
    dlh_direct_pad_picture (p);
    return p;
}

static void
plan_finish (DlhDirectPlan *p)
{
    const gsize slack = 32;

    p->blocks = dlh_direct_ceil_div (p->n_filters, p->method == DOT ? p->kernels->mo : DLH_CONV_MR);
    if (p->x.copy)
        p->buffer = DLH_CONV_ALIGN (p->x.channel * p->s.C / p->s.g * p->size + slack);
    if (p->y.copy && p->method != STORE)
        p->extra = DLH_CONV_ALIGN (p->y.channel * p->s.O / p->s.g * p->size + slack);
    dlh_direct_layout_init (p, &p->one, 1);
    if (p->method == DOT)
        p->sums = p->blocks * p->one.ranges->len * DLH_CONV_SUMS;
    dlh_direct_make_rows (p);
}

// Also a data gradient of stride 1: @s is then the convolution of dy with the turned filters.
static DlhDirectPlan *
store_plan (const DlhConvSize *s, DlhDType dtype, guint parts, gboolean adjoint, double *cost)
{
    DlhDirectPlan *p = plan_alloc (STORE, s, dtype, parts);

    p->adjoint = adjoint;
    p->n_filters = s->O / s->g;
    if (fits (p))
        *cost = dlh_direct_make_tables (p);
    return p;
}

static DlhDirectPlan *
scatter_plan (const DlhConvSize *s, DlhDType dtype, guint parts, double *cost)
{
    DlhDirectPlan *p = plan_alloc (SCATTER, s, dtype, parts);

    p->n_filters = dlh_conv_k (s);
    if (fits (p))
        *cost = dlh_direct_make_tables (p);
    return p;
}

// The convolution that a data gradient of stride 1 is, or FALSE.
static gboolean
turned (const DlhConvSize *s, DlhConvSize *t)
{
    const gsize reach_h = s->dh * (s->kh - 1), reach_w = s->dw * (s->kw - 1);

    if (s->sh != 1 || s->sw != 1 || reach_h < s->ph || reach_w < s->pw)
        return FALSE;
    *t = *s;
    t->C = s->O;
    t->O = s->C;
    t->ih = s->oh;
    t->iw = s->ow;
    t->oh = s->ih;
    t->ow = s->iw;
    t->ph = reach_h - s->ph;
    t->pw = reach_w - s->pw;
    return TRUE;
}

static DlhDirectPlan *
data_plan (const DlhConvSize *s, DlhDType dtype, guint parts)
{
    double store_cost = G_MAXDOUBLE, scatter_cost = G_MAXDOUBLE;
    DlhDirectPlan *scatter = scatter_plan (s, dtype, parts, &scatter_cost), *store;
    DlhConvSize t;

    if (!turned (s, &t))
        return scatter;
    store = store_plan (&t, dtype, parts, TRUE, &store_cost);
    if (store_cost <= scatter_cost) {
        dlh_direct_plan_free (scatter);
        return store;
    }
    dlh_direct_plan_free (store);
    return scatter;
}

// Taps of one kernel row together, so that positions whose windows miss the picture can be skipped.
static void
make_dot_taps (DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const gsize K = dlh_conv_k (s), Cg = s->C / s->g;
    gsize k = 0;

    p->dot_taps = g_new (gint32, K + DLH_CONV_MAX_MK);
    p->dot_at = g_new (gint32, K + DLH_CONV_MAX_MK);
    p->row_begin = g_new (gsize, s->kh);
    p->row_end = g_new (gsize, s->kh);
    for (gsize u = 0; u < s->kh; u++) {
        for (gsize c = 0; c < Cg; c++)
            for (gsize v = 0; v < s->kw; v++, k++) {
                p->dot_taps[k] = (gint32)dlh_direct_tap_offset (p, c, u, v);
                p->dot_at[k] = (gint32)((c * s->kh + u) * s->kw + v);
            }
        p->row_begin[u] = s->oh;
        p->row_end[u] = 0;
        for (gsize i = 0; i < s->oh; i++) {
            gsize begin, end;

            dlh_direct_kernel_rows (s, i, &begin, &end);
            if (u < begin || u >= end)
                continue;
            p->row_begin[u] = MIN (p->row_begin[u], i);
            p->row_end[u] = i + 1;
        }
    }
    for (gsize i = 0; i < DLH_CONV_MAX_MK; i++) { // the last tile is filled up
        p->dot_taps[K + i] = p->dot_taps[K - 1];
        p->dot_at[K + i] = p->dot_at[K - 1];
    }
}

static DlhDirectPlan *
dot_plan (const DlhConvSize *s, DlhDType dtype, guint parts)
{
    DlhDirectPlan *p = plan_alloc (DOT, s, dtype, parts);
    const gsize per_image = dlh_direct_ceil_div (s->ow, dlh_direct_lanes (p)) * s->oh;
    gsize n = CLAMP (dlh_direct_ceil_div (DOT_VECTORS, per_image), 1, DLH_DIRECT_MAX_IMAGES);

    p->n_filters = s->O / s->g;
    if (!fits (p))
        return p;
    if (s->O * dlh_conv_k (s) <= SLICED_WEIGHTS)
        p->slices = MIN (s->B, MAX_SLICES);
    while (n > 1 &&
           (dlh_direct_group_bytes (p, n) > DLH_DIRECT_GROUP_BYTES || n > s->B / p->slices))
        n--;
    p->row_set = g_new0 (gsize, s->oh); // add_pieces() asks for it
    dlh_direct_set_group (p, n);
    make_dot_taps (p);
    dlh_direct_layout_init (p, &p->many, n);
    return p;
}

DlhDirectPlan *
dlh_direct_plan_new (DlhConvKind kind, const DlhConvSize *size, DlhDType dtype, guint parts)
{
    DlhConvSize s = *size;
    DlhDirectPlan *p;
    double cost;

    if (s.B == 0 || s.C == 0 || s.O == 0)
        return NULL;
    if (dlh_conv_is_matmul (&s)) {
        s.iw = s.ow = s.ih * s.iw;
        s.ih = s.oh = 1;
    }
    if (kind == DLH_CONV_FORWARD)
        p = store_plan (&s, dtype, parts, FALSE, &cost);
    else if (kind == DLH_CONV_DATA)
        p = data_plan (&s, dtype, parts);
    else
        p = dot_plan (&s, dtype, parts);
    if (!p->many.pieces) {
        dlh_direct_plan_free (p);
        return NULL;
    }
    plan_finish (p);
    return p;
}

void
dlh_direct_plan_free (DlhDirectPlan *p)
{
    if (!p)
        return;
    dlh_direct_free_sets (p);
    dlh_direct_layout_clear (&p->many);
    dlh_direct_layout_clear (&p->one);
    g_free (p->rows);
    g_free (p->filters);
    g_free (p->dot_taps);
    g_free (p->dot_at);
    g_free (p->row_begin);
    g_free (p->row_end);
    g_free (p);
}

gsize
dlh_direct_plan_workspace (const DlhDirectPlan *p)
{
    gsize bytes = p->parts * (p->buffer + p->extra);

    bytes += DLH_CONV_ALIGN (p->packed * p->s.g * p->size);
    return bytes + p->slices * DLH_CONV_ALIGN (p->s.g * p->sums * p->size);
}
