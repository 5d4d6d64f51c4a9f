/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cpu/conv-direct-private.h"
#include "cpu/parallel.h"

#define T float
#define NAME(f) f##_f32
#include "cpu/conv-direct-type.h"
#undef T
#undef NAME
#define T double
#define NAME(f) f##_f64
#include "cpu/conv-direct-type.h"
#undef T
#undef NAME

typedef struct {
    const DlhDirectPlan *p;
    const char *a, *b, *bias;
    char *out;
    char *packed;        /* weights of every group, in blocks of filters */
    char *sums;          /* of every slice and group, in blocks of filters */
    char *buffers;       /* of every part */
    gsize items, splits; /* groups of pictures (or slices); parts of the filters */
} Job;

static gsize
weights (const DlhDirectPlan *p)
{
    return p->s.O * dlh_conv_k (&p->s);
}

static void
pad (const DlhDirectPlan *p, const Padded *x, gsize channels, const char *from, char *to)
{
    (p->f64 ? pad_f64 : pad_f32) (x, channels, from, to);
}

static gsize
block_begin (const DlhDirectPlan *p, gsize block)
{
    return block * p->n_filters / p->blocks;
}

static void
run_pack (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhDirectPlan *p = job->p;

    for (gsize n = begin; n < end; n++) {
        const gsize g = n / p->blocks, first = block_begin (p, n % p->blocks);
        const gsize n_filters = block_begin (p, n % p->blocks + 1) - first;
        const gsize from = g * weights (p) / p->s.g;
        const gint32 *at = p->filters + first;

        for (gsize i = 0; i < p->n_sets; i++) {
            const TapSet *set = &p->sets[i];
            const gsize to = g * p->packed + set->w + first * set->n_taps;

            if (p->f64)
                pack_f64 ((const double *)job->b + from, set->source, set->n_taps, at, n_filters,
                          (double *)job->packed + to);
            else
                pack_f32 ((const float *)job->b + from, set->source, set->n_taps, at, n_filters,
                          (float *)job->packed + to);
        }
    }
}

// All tiles of some blocks of filters: x and y are the first picture's first channel of the group.
static void
run_tiles (const Job *job, const Layout *l, gsize g, const char *x, char *y, gsize split)
{
    const DlhDirectPlan *p = job->p;
    const DlhConvKernels *k = p->kernels;
    const gsize last = (split + 1) * p->blocks / job->splits;
    const Tile *tiles = (const Tile *)(gpointer)l->tiles->data;
    const DlhPiece *pieces = (const DlhPiece *)(gpointer)l->pieces->data;

    for (gsize block = split * p->blocks / job->splits; block < last; block++) {
        const gsize first = block_begin (p, block), n = block_begin (p, block + 1) - first;
        const gboolean with_bias = job->bias && p->method == STORE;
        DlhConvTile t = {.x = x, .y = y, .rows = p->rows + first};

        if (with_bias)
            t.bias = job->bias + (g * p->n_filters + first) * p->size;
        for (guint i = 0; i < l->tiles->len; i++) {
            const TapSet *set = &p->sets[tiles[i].set];

            t.w = job->packed + (g * p->packed + set->w + first * set->n_taps) * p->size;
            t.taps = set->taps;
            t.n_taps = set->n_taps;
            t.pieces = pieces + tiles[i].piece;
            if (p->method == STORE)
                k->store[p->f64][tiles[i].split][n - 1](&t);
            else
                k->scatter[p->f64][tiles[i].split][n - 1](&t);
        }
    }
}

// Pictures @first .. of group @g as the loops want them: in place, or padded in @buffer.
static const char *
operand (const DlhDirectPlan *p, const Padded *x, const char *pictures, gsize channels, gsize first,
         gsize n, gsize g, char *buffer)
{
    const gsize plane = x->ih * x->iw * p->size, per_group = channels / p->s.g;

    for (gsize b = 0; b < n && x->copy; b++)
        pad (p, x, per_group, pictures + ((first + b) * channels + g * per_group) * plane,
             buffer + b * x->image * p->size);
    return x->copy ? buffer : pictures + (first * channels + g * per_group) * plane;
}

static void
store_images (const Job *job, const Layout *l, gsize first, gsize split, char *buffer)
{
    const DlhDirectPlan *p = job->p;
    const DlhConvSize *s = &p->s;

    for (gsize g = 0; g < s->g; g++) {
        const char *x = operand (p, &p->x, job->a, s->C, first, l->images, g, buffer);
        const gsize y = (first * s->O + g * s->O / s->g) * dlh_conv_p (s) * p->size;

        run_tiles (job, l, g, x, job->out + y, split);
    }
}

static void
scatter_images (const Job *job, const Layout *l, gsize first, gsize split, char *buffer)
{
    const DlhDirectPlan *p = job->p;
    const DlhConvSize *s = &p->s;
    const gsize Cg = s->C / s->g, plane = s->ih * s->iw * p->size;

    for (gsize g = 0; g < s->g; g++) {
        const char *bias = job->bias ? job->bias + g * Cg * p->size : NULL;
        const char *dy = operand (p, &p->y, job->a, s->O, first, l->images, g, buffer + p->buffer);
        char *dx = job->out + (first * s->C + g * Cg) * plane;

        if (p->x.copy)
            memset (buffer, 0, Cg * p->x.channel * p->size);
        for (gsize b = 0; b < l->images && !p->x.copy; b++)
            if (p->f64)
                fill_f64 (dx + b * s->C * plane, (const double *)bias, Cg, s->ih * s->iw);
            else
                fill_f32 (dx + b * s->C * plane, (const float *)bias, Cg, s->ih * s->iw);
        run_tiles (job, l, g, dy, p->x.copy ? buffer : dx, split);
        for (gsize b = 0; b < l->images && p->x.copy; b++)
            if (p->f64)
                crop_f64 (&p->x, Cg, buffer + b * p->x.image * p->size, (const double *)bias,
                          dx + b * s->C * plane);
            else
                crop_f32 (&p->x, Cg, buffer + b * p->x.image * p->size, (const float *)bias,
                          dx + b * s->C * plane);
    }
}

// sums of one group += dots of some blocks of filters with every tap
static void
run_dots (const Job *job, const Layout *l, const char *x, const char *dy, char *sums, gsize split)
{
    const DlhDirectPlan *p = job->p;
    const gsize last = (split + 1) * p->blocks / job->splits;
    const DlhPiece *pieces = (const DlhPiece *)(gpointer)l->pieces->data;
    const Range *ranges = (const Range *)(gpointer)l->ranges->data;

    for (gsize block = split * p->blocks / job->splits; block < last; block++) {
        const gsize first = block_begin (p, block), n = block_begin (p, block + 1) - first;

        for (guint i = 0; i < l->ranges->len; i++) {
            const DlhConvDot d = {
                .x = x,
                .dy = dy,
                .taps = p->dot_taps + i * p->kernels->mk,
                .rows = p->rows + first,
                .full = pieces + ranges[i].full,
                .n_full = ranges[i].n_full,
                .split = pieces + ranges[i].split,
                .n_split = ranges[i].n_split,
                .sums = sums + (block * l->ranges->len + i) * DLH_CONV_SUMS * p->size,
            };

            p->kernels->dot[p->f64][n - 1](&d);
        }
    }
}

static void
dot_images (const Job *job, const Layout *l, gsize first, gsize split, char *sums, char *buffer)
{
    const DlhDirectPlan *p = job->p;
    const DlhConvSize *s = &p->s;

    for (gsize g = 0; g < s->g; g++) {
        const char *x = operand (p, &p->x, job->a, s->C, first, l->images, g, buffer);
        const char *dy = operand (p, &p->y, job->b, s->O, first, l->images, g, buffer + p->buffer);

        run_dots (job, l, x, dy, sums + g * p->sums * p->size, split);
    }
}

static void
dot_slice (const Job *job, gsize slice, gsize split, char *buffer)
{
    const DlhDirectPlan *p = job->p;
    const gsize end = (slice + 1) * p->s.B / p->slices, per_block = p->sums / p->blocks * p->size;
    const gsize from = split * p->blocks / job->splits;
    const gsize to = (split + 1) * p->blocks / job->splits;
    char *sums = job->sums + slice * p->s.g * p->sums * p->size;
    gsize b = slice * p->s.B / p->slices;

    for (gsize g = 0; g < p->s.g; g++)
        memset (sums + g * p->sums * p->size + from * per_block, 0, (to - from) * per_block);
    for (; b + p->many.images <= end; b += p->many.images)
        dot_images (job, &p->many, b, split, sums, buffer);
    for (; b < end; b++)
        dot_images (job, &p->one, b, split, sums, buffer);
}

// The weights of some blocks: the slices' sums added, and put where they belong.
static void
run_collect (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhDirectPlan *p = job->p;
    const gsize per_block = p->sums / p->blocks, stride = p->s.g * p->sums;

    for (gsize n = begin; n < end; n++) {
        const gsize first = block_begin (p, n % p->blocks);
        const gsize filters = block_begin (p, n % p->blocks + 1) - first;
        const Collect c = {p->dot_at, dlh_conv_k (&p->s), p->kernels->mk,
                           filters,   p->slices,          stride};
        const gsize to = n / p->blocks * weights (p) / p->s.g + first * c.K;

        if (p->f64)
            collect_f64 (&c, (double *)job->sums + n * per_block, (double *)job->out + to);
        else
            collect_f32 (&c, (float *)job->sums + n * per_block, (float *)job->out + to);
    }
}

static void
run_item (const Job *job, gsize item, gsize split, char *buffer)
{
    const DlhDirectPlan *p = job->p;
    const gsize whole = p->s.B / p->many.images;
    const Layout *l = item < whole ? &p->many : &p->one;
    const gsize first =
        item < whole ? item * p->many.images : whole * p->many.images + (item - whole);

    if (p->method == DOT)
        dot_slice (job, item, split, buffer);
    else if (p->method == STORE)
        store_images (job, l, first, split, buffer);
    else
        scatter_images (job, l, first, split, buffer);
}

static void
run_parts (gsize begin, gsize end, G_GNUC_UNUSED guint thread, gpointer user_data)
{
    const Job *job = user_data;
    const DlhDirectPlan *p = job->p;
    const gsize n = job->items * job->splits, bytes = p->buffer + p->extra;

    for (gsize part = begin; part < end; part++) {
        char *buffer = job->buffers + part * bytes;
        const gsize last = (part + 1) * n / p->parts;

        if (bytes)
            memset (buffer, 0, bytes); // the padding stays zero
        for (gsize i = part * n / p->parts; i < last; i++)
            run_item (job, i / job->splits, i % job->splits, buffer);
    }
}

void
dlh_direct_plan_run (const DlhDirectPlan *p, const void *a, const void *b, const void *bias,
                     void *out, void *work)
{
    const gsize whole = p->s.B / p->many.images;
    Job job = {.p = p, .a = a, .b = b, .bias = bias, .out = out, .packed = work, .splits = 1};

    job.sums = job.packed + DLH_CONV_ALIGN (p->packed * p->s.g * p->size);
    job.buffers = job.sums + p->slices * DLH_CONV_ALIGN (p->s.g * p->sums * p->size);
    job.items = p->method == DOT ? p->slices : whole + p->s.B - whole * p->many.images;
    // Blocks of filters are independent, but for a scatter's.
    if (job.items < p->parts && p->method != SCATTER)
        job.splits = MIN (dlh_direct_ceil_div (p->parts, job.items), p->blocks);
    if (p->method != DOT)
        dlh_parallel_for (p->s.g * p->blocks, 16384 * p->blocks / MAX (p->packed, 1) + 1, run_pack,
                          &job);
    dlh_parallel_for (p->parts, 1, run_parts, &job);
    if (p->method == DOT)
        dlh_parallel_for (p->s.g * p->blocks, 16384 / (p->sums / p->blocks) + 1, run_collect, &job);
}
