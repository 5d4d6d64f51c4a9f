/* SPDX-License-Identifier: MIT */
#include "cpu/conv-direct.h"

#include <string.h>

#include "cpu/conv-kernels.h"
#include "cpu/parallel.h"

/* A group of pictures is worked on at once to fill tiles, as long as its buffers stay in the second
 * level cache. */
#define MAX_IMAGES 16
#define GROUP_BYTES (768 * 1024)
/* Vectors of positions that pay for adding up the lanes of a dot. */
#define DOT_VECTORS 96
/* Weights above this offer enough filters to share out; below, pictures are shared out in slices whose
 * sums are added at the end. */
#define SLICED_WEIGHTS 32768
#define MAX_SLICES 16
/* A picture in a buffer with zeros around it. Columns of one residue modulo the stride lie side by
 * side, so that neighbouring windows are neighbouring elements. */
typedef struct {
    gsize ih, iw;         /* the picture */
    gsize top, left;      /* padding */
    gsize rows, columns;  /* of the picture, as far as windows reach */
    gsize stride, phase;  /* of columns; elements of one residue */
    gsize pitch, plane;   /* elements of a row, of a picture's channel */
    gsize channel, image; /* elements from one channel, one picture to the next */
    gboolean copy;        /* FALSE: the picture itself serves */
} Padded;

/* The taps of the windows of some rows: those that do not lie in the padding. */
typedef struct {
    gsize n_taps, w; /* elements of packed weights before it */
    gint32 *taps;    /* offsets in the padded picture */
    gint32 *source;  /* where the weight of filter 0 lies */
} TapSet;

typedef struct {
    gsize set, piece;
    gboolean split;
} Tile;

/* Pieces that some taps of a dot have to do with. */
typedef struct {
    gsize full, n_full, split, n_split;
} Range;

typedef struct {
    gsize images;
    GArray *pieces, *tiles; /* DlhPiece, Tile; dots have ranges */
    GArray *ranges;         /* Range of each mk taps */
} Layout;

typedef enum {
    STORE = 1,
    SCATTER,
    DOT,
} Method;

/* How to put dots where they belong. */
typedef struct {
    const gint32 *at; /* each tap's place in a filter */
    gsize K, mk, filters;
    gsize slices, stride; /* of the sums */
} Collect;

struct _DlhDirectPlan {
    Method method;
    DlhConvSize s; /* as the loops see it: of a data gradient done by STORE, that convolution's */
    gboolean f64;
    gsize size; /* bytes of an element */
    guint parts;
    gboolean adjoint; /* w belongs to the convolution that this is the gradient of */
    const DlhConvKernels *kernels;
    Padded x; /* picture in (of a scatter: out) */
    Padded y; /* picture out, rows padded to vectors, where it is an operand */
    gsize n_sets;
    TapSet *sets;
    gsize *row_set; /* of each row of positions */
    gsize n_filters, blocks;
    gint32 *rows;    /* where the results of each filter go */
    gint32 *filters; /* where the weights of each filter begin, in a group's */
    Layout many, one;
    gint32 *dot_taps, *dot_at; /* sorted by kernel row: offset, and place in a filter */
    gsize *row_begin, *row_end; /* rows of positions that each kernel row serves */
    gsize slices;
    gsize packed, sums;  /* elements of a group's packed weights, of a slice's dots for a group */
    gsize buffer, extra; /* bytes of a part's buffer: first operand (or scatter's sum), second */
};

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

static gsize
ceil_div (gsize a, gsize b)
{
    return (a + b - 1) / b;
}

static gsize
lanes (const DlhDirectPlan *p)
{
    return 32 / p->size;
}

// Columns of a row of positions as pieces cover them: whole vectors, then at most half of one.
static gsize
covered (const DlhDirectPlan *p)
{
    return ceil_div (p->s.ow, lanes (p) / 2) * (lanes (p) / 2);
}

// Whether no vector reaches beyond the end of a row. What is stored may be stored twice, so there the
// last vector begins early enough; elsewhere rows must be of the right size.
static gboolean
in_place (const DlhDirectPlan *p)
{
    return p->method == STORE ? p->s.ow >= lanes (p) / 2 : covered (p) == p->s.ow;
}

/* Tables. */

static void
pad_picture (DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const gsize hp = (s->oh - 1) * s->sh + (s->kh - 1) * s->dh + 1;
    const gsize wp = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1;
    Padded x = {.ih = s->ih, .iw = s->iw, .top = s->ph, .left = s->pw, .stride = s->sw};

    x.rows = hp > s->ph ? MIN (s->ih, hp - s->ph) : 0;
    x.columns = wp > s->pw ? MIN (s->iw, wp - s->pw) : 0;
    x.copy = s->ph || s->pw || s->sw > 1 || !in_place (p);
    x.phase = x.copy ? ceil_div (wp, s->sw) : s->iw;
    x.pitch = x.phase * s->sw;
    x.plane = x.copy ? hp * x.pitch : s->ih * s->iw;
    p->x = x;
    p->y = (Padded){.ih = s->oh, .iw = s->ow, .rows = s->oh, .columns = s->ow, .stride = 1};
    p->y.phase = p->y.pitch = covered (p);
    p->y.plane = s->oh * p->y.pitch;
    p->y.copy = p->y.pitch != s->ow;
}

// Pictures of a group lie side by side, channel by channel, so that a tile of several reads from one
// place. An odd number of cache lines from channel to channel keeps those from meeting in a few sets.
static void
place_group (const DlhDirectPlan *p, Padded *x, gsize channels, gsize images)
{
    const gsize line = 64 / p->size;

    x->image = x->copy ? x->plane : channels * x->plane;
    x->channel = x->copy ? (ceil_div (images * x->plane, line) | 1) * line : x->plane;
}

static void
set_group (DlhDirectPlan *p, gsize images)
{
    if (p->method == DOT && images > 1)
        p->x.copy = p->y.copy = TRUE;
    place_group (p, &p->x, p->s.C, images);
    place_group (p, &p->y, p->s.O, images);
}

// Offset of tap (c, u, v) from a window's first element.
static gsize
tap_offset (const DlhDirectPlan *p, gsize c, gsize u, gsize v)
{
    const gsize q = v * p->s.dw;

    return c * p->x.channel + u * p->s.dh * p->x.pitch + q % p->s.sw * p->x.phase + q / p->s.sw;
}

// Kernel rows *begin .. *end - 1 of the windows in row @i meet the picture.
static void
kernel_rows (const DlhConvSize *s, gsize i, gsize *begin, gsize *end)
{
    *begin = 0;
    *end = s->kh;
    while (*begin < *end && i * s->sh + *begin * s->dh < s->ph)
        ++*begin;
    while (*end > *begin && i * s->sh + (*end - 1) * s->dh >= s->ih + s->ph)
        --*end;
}

static void
window_taps (const DlhDirectPlan *p, TapSet *set, gsize begin, gsize end)
{
    const DlhConvSize *s = &p->s;
    const gsize Cg = s->C / s->g, Og = s->O / s->g, n = Cg * (end - begin) * s->kw;
    gsize k = 0;

    set->n_taps = n;
    set->taps = g_new (gint32, n + 1);
    set->source = g_new (gint32, n + 1);
    for (gsize c = 0; c < Cg; c++)
        for (gsize u = begin; u < end; u++)
            for (gsize v = 0; v < s->kw; v++, k++) {
                const gsize turned = (s->kh - 1 - u) * s->kw + s->kw - 1 - v;

                set->taps[k] = (gint32) tap_offset (p, c, u, v);
                // The gradient's filters are columns of w, turned by half a turn.
                set->source[k] = (gint32) (p->adjoint ? c * Og * s->kh * s->kw + turned
                                                      : (c * s->kh + u) * s->kw + v);
            }
}

// One set for all rows, or with @skip one for each range of kernel rows that occurs.
static void
make_window_sets (DlhDirectPlan *p, gboolean skip)
{
    const DlhConvSize *s = &p->s;
    g_autofree gsize *begins = g_new (gsize, s->oh), *ends = g_new (gsize, s->oh);

    p->sets = g_new0 (TapSet, skip ? s->oh : 1);
    p->row_set = g_new0 (gsize, s->oh);
    p->packed = 0;
    for (gsize i = 0; i < s->oh; i++) {
        gsize set = 0, begin = 0, end = s->kh;

        if (skip)
            kernel_rows (s, i, &begin, &end);
        while (set < p->n_sets && (begins[set] != begin || ends[set] != end))
            set++;
        p->row_set[i] = set;
        if (set < p->n_sets)
            continue;
        begins[set] = begin;
        ends[set] = end;
        window_taps (p, &p->sets[set], begin, end);
        p->sets[set].w = p->packed;
        p->packed += p->sets[set].n_taps * p->n_filters;
        p->n_sets++;
    }
}

static void
free_sets (DlhDirectPlan *p)
{
    for (gsize i = 0; i < p->n_sets; i++) {
        g_free (p->sets[i].taps);
        g_free (p->sets[i].source);
    }
    g_clear_pointer (&p->sets, g_free);
    g_clear_pointer (&p->row_set, g_free);
    p->n_sets = 0;
}

// A scatter multiplies by the filters at one position: its "filters" are the taps of a window.
static void
make_scatter_set (DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const gsize Og = s->O / s->g;

    p->n_sets = 1;
    p->sets = g_new0 (TapSet, 1);
    p->row_set = g_new0 (gsize, s->oh);
    p->sets->n_taps = Og;
    p->sets->taps = g_new (gint32, Og + 1);
    p->sets->source = g_new (gint32, Og + 1);
    for (gsize o = 0; o < Og; o++) {
        p->sets->taps[o] = (gint32) (o * p->y.channel);
        p->sets->source[o] = (gint32) (o * p->n_filters);
    }
    p->packed = Og * p->n_filters;
}

// The "filters" of a scatter go through the channels first: neighbours would add to the same elements,
// and each would wait for the other.
static void
make_rows (DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const gsize Cg = s->C / s->g, taps = s->kh * s->kw;

    p->rows = g_new (gint32, p->n_filters + 1);
    p->filters = g_new (gint32, p->n_filters + 1);
    for (gsize k = 0; k < p->n_filters; k++) {
        const gsize c = k % Cg, u = k / Cg / s->kw, v = k / Cg % s->kw;

        if (p->method == STORE) {
            p->rows[k] = (gint32) (k * dlh_conv_p (s));
            p->filters[k] = (gint32) (k * (p->adjoint ? taps : dlh_conv_k (s)));
        } else if (p->method == SCATTER) {
            p->rows[k] = (gint32) tap_offset (p, c, u, v);
            p->filters[k] = (gint32) (c * taps + u * s->kw + v);
        } else {
            p->rows[k] = (gint32) (k * p->y.channel);
        }
    }
}

static void
add_piece (const DlhDirectPlan *p, Layout *l, gsize image, gsize row, gsize column, gsize width)
{
    const DlhConvSize *s = &p->s;
    const gsize x = image * p->x.image + row * s->sh * p->x.pitch + column;
    const gsize y = image * p->y.image + row * p->y.pitch + column;
    const gsize stored = (image * s->O * s->oh + row) * s->ow + column;
    DlhPiece piece = {(gint32) x, (gint32) (p->method == STORE ? stored : y),
                      (gint32) MIN (width, s->ow - column)};

    if (p->method == SCATTER)
        piece.in = (gint32) y, piece.out = (gint32) x;
    g_array_append_val (l->pieces, piece);
}

// The pieces of one row: whole vectors, or with @split halves.
static void
add_row (const DlhDirectPlan *p, Layout *l, gsize image, gsize row, gboolean split)
{
    const gsize n = lanes (p), ow = p->s.ow, whole = ow / n * n, rest = ow - whole;
    const gboolean early = p->method == STORE;

    for (gsize j = 0; j < whole && !split; j += n)
        add_piece (p, l, image, row, j, n);
    if (rest > n / 2 && !(early && ow < n)) {
        if (!split)
            add_piece (p, l, image, row, early ? ow - n : whole, n);
    } else if (rest && split) {
        if (rest > n / 2)
            add_piece (p, l, image, row, 0, n / 2);
        add_piece (p, l, image, row, early && ow >= n / 2 ? ow - n / 2 : whole, n / 2);
    }
}

// The pieces of all rows that use @set.
static void
add_pieces (const DlhDirectPlan *p, Layout *l, gsize set, gboolean split)
{
    for (gsize i = 0; i < p->s.oh; i++)
        for (gsize b = 0; b < l->images && p->row_set[i] == set; b++)
            add_row (p, l, b, i, split);
}

// Cuts what add_pieces() adds into tiles; the last one is filled up.
static void
add_tiles (const DlhDirectPlan *p, Layout *l, gsize set, gboolean split)
{
    const gsize first = l->pieces->len, n = split ? 2 * p->kernels->nr : p->kernels->nr;

    add_pieces (p, l, set, split);
    for (gsize at = first; at < l->pieces->len; at += n) {
        const Tile tile = {set, at, split};

        g_array_append_val (l->tiles, tile);
    }
    while ((l->pieces->len - first) % n) {
        DlhPiece filler = g_array_index (l->pieces, DlhPiece, first);

        filler.width = 0;
        g_array_append_val (l->pieces, filler);
    }
}

static void
layout_clear (Layout *l)
{
    g_clear_pointer (&l->pieces, g_array_unref);
    g_clear_pointer (&l->tiles, g_array_unref);
    g_clear_pointer (&l->ranges, g_array_unref);
}

// Whole vectors first, then halves, both by rows. Of each mk taps, the rows that any of them serves.
static void
add_ranges (const DlhDirectPlan *p, Layout *l)
{
    const gsize K = dlh_conv_k (&p->s), mk = p->kernels->mk, per_row = K / p->s.kh, oh = p->s.oh;
    gsize n_full, n_split;

    l->ranges = g_array_new (FALSE, FALSE, sizeof (Range));
    add_pieces (p, l, 0, FALSE);
    n_full = l->pieces->len;
    add_pieces (p, l, 0, TRUE);
    n_split = l->pieces->len - n_full;
    for (gsize k = 0; k < K; k += mk) {
        const gsize last = MIN (k + mk, K) - 1;
        gsize begin = oh, end = 0;
        Range range;

        for (gsize u = k / per_row; u <= last / per_row; u++) {
            begin = MIN (begin, p->row_begin[u]);
            end = MAX (end, p->row_end[u]);
        }
        end = MAX (begin, end);
        range = (Range){n_full / oh * begin, n_full / oh * (end - begin),
                        n_full + n_split / oh * begin, n_split / oh * (end - begin)};
        g_array_append_val (l->ranges, range);
    }
}

static void
layout_init (const DlhDirectPlan *p, Layout *l, gsize images)
{
    l->images = images;
    l->pieces = g_array_new (FALSE, FALSE, sizeof (DlhPiece));
    l->tiles = g_array_new (FALSE, FALSE, sizeof (Tile));
    if (p->method == DOT) {
        add_ranges (p, l);
        return;
    }
    for (gsize set = 0; set < p->n_sets; set++) {
        add_tiles (p, l, set, FALSE);
        add_tiles (p, l, set, TRUE);
    }
}

// Cycles for one picture, about: two products or two loads a cycle, loads of x beside cache lines; then
// starting a tile, and storing it or adding it to what is there.
static double
layout_cost (const DlhDirectPlan *p, const Layout *l)
{
    const double blocks = (double) ceil_div (p->n_filters, DLH_CONV_MR);
    const double mr = (double) p->n_filters / blocks, nr = (double) p->kernels->nr;
    const double tap = MAX (mr * nr / 2, (mr + 1.5 * nr) / 2);
    const double tile = 20 + mr * nr * (p->method == SCATTER ? 2 : 0.5);
    double cost = 0;

    for (guint i = 0; i < l->tiles->len; i++)
        cost += tile + tap * (double) p->sets[g_array_index (l->tiles, Tile, i).set].n_taps;
    return blocks * cost / (double) l->images;
}

// Of the buffers for a group, as if both operands were copied.
static gsize
group_bytes (const DlhDirectPlan *p, gsize images)
{
    const gsize y = p->method == STORE ? 0 : p->y.plane * p->s.O / p->s.g;

    return images * (p->x.plane * p->s.C / p->s.g + y) * p->size;
}

static void
make_sets (DlhDirectPlan *p, gboolean skip)
{
    free_sets (p);
    if (p->method == SCATTER)
        make_scatter_set (p);
    else
        make_window_sets (p, skip);
}

// The number of pictures with the least work, the smaller where it is about equal.
static gsize
choose_images (DlhDirectPlan *p, gboolean skip, double *best)
{
    gsize images = 1;

    *best = G_MAXDOUBLE;
    set_group (p, 1);
    make_sets (p, skip);
    for (gsize n = 1; n <= 8 && n <= p->s.B; n *= 2) {
        Layout l = {0};
        double cost;

        if (n > 1 && group_bytes (p, n) > GROUP_BYTES)
            break;
        layout_init (p, &l, n);
        cost = layout_cost (p, &l);
        layout_clear (&l);
        if (cost < 0.98 * *best) {
            *best = cost;
            images = n;
        }
    }
    return images;
}

// All tables of a store or scatter. Returns: its work.
static double
make_tables (DlhDirectPlan *p)
{
    double plain, skipping = G_MAXDOUBLE;
    gsize images = choose_images (p, FALSE, &plain);
    gboolean skip = FALSE;

    if (p->method == STORE && p->s.ph) {
        const gsize n = choose_images (p, TRUE, &skipping);

        skip = skipping < 0.98 * plain;
        images = skip ? n : images;
    }
    set_group (p, images);
    make_sets (p, skip);
    layout_init (p, &p->many, images);
    return MIN (plain, skipping);
}

/* Plans. */

// Offsets are 32 bits wide; a table for very large pictures would not pay.
static gboolean
fits (const DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const double limit = G_MAXINT32 / 2;
    const double x = (double) p->x.plane * (double) s->C, y = (double) p->y.plane * (double) s->O;
    const double w = (double) s->O * (double) dlh_conv_k (s);

    return p->kernels && MAX_IMAGES * x < limit && MAX_IMAGES * y < limit && w < limit &&
           dlh_conv_p (s) < 1 << 22;
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
    pad_picture (p);
    return p;
}

static void
plan_finish (DlhDirectPlan *p)
{
    const gsize slack = 32;

    p->blocks = ceil_div (p->n_filters, p->method == DOT ? p->kernels->mo : DLH_CONV_MR);
    if (p->x.copy)
        p->buffer = DLH_CONV_ALIGN (p->x.channel * p->s.C / p->s.g * p->size + slack);
    if (p->y.copy && p->method != STORE)
        p->extra = DLH_CONV_ALIGN (p->y.channel * p->s.O / p->s.g * p->size + slack);
    layout_init (p, &p->one, 1);
    if (p->method == DOT)
        p->sums = p->blocks * p->one.ranges->len * DLH_CONV_SUMS;
    make_rows (p);
}

// Also a data gradient of stride 1: @s is then the convolution of dy with the turned filters.
static DlhDirectPlan *
store_plan (const DlhConvSize *s, DlhDType dtype, guint parts, gboolean adjoint, double *cost)
{
    DlhDirectPlan *p = plan_alloc (STORE, s, dtype, parts);

    p->adjoint = adjoint;
    p->n_filters = s->O / s->g;
    if (fits (p))
        *cost = make_tables (p);
    return p;
}

static DlhDirectPlan *
scatter_plan (const DlhConvSize *s, DlhDType dtype, guint parts, double *cost)
{
    DlhDirectPlan *p = plan_alloc (SCATTER, s, dtype, parts);

    p->n_filters = dlh_conv_k (s);
    if (fits (p))
        *cost = make_tables (p);
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
                p->dot_taps[k] = (gint32) tap_offset (p, c, u, v);
                p->dot_at[k] = (gint32) ((c * s->kh + u) * s->kw + v);
            }
        p->row_begin[u] = s->oh;
        p->row_end[u] = 0;
        for (gsize i = 0; i < s->oh; i++) {
            gsize begin, end;

            kernel_rows (s, i, &begin, &end);
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
    const gsize per_image = ceil_div (s->ow, lanes (p)) * s->oh;
    gsize n = CLAMP (ceil_div (DOT_VECTORS, per_image), 1, MAX_IMAGES);

    p->n_filters = s->O / s->g;
    if (!fits (p))
        return p;
    if (s->O * dlh_conv_k (s) <= SLICED_WEIGHTS)
        p->slices = MIN (s->B, MAX_SLICES);
    while (n > 1 && (group_bytes (p, n) > GROUP_BYTES || n > s->B / p->slices))
        n--;
    p->row_set = g_new0 (gsize, s->oh); // add_pieces() asks for it
    set_group (p, n);
    make_dot_taps (p);
    layout_init (p, &p->many, n);
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
    free_sets (p);
    layout_clear (&p->many);
    layout_clear (&p->one);
    g_free (p->rows);
    g_free (p->filters);
    g_free (p->dot_taps);
    g_free (p->dot_at);
    g_free (p->row_begin);
    g_free (p->row_end);
    g_free (p);
}

/* Running. */

typedef struct {
    const DlhDirectPlan *p;
    const char *a, *b, *bias;
    char *out;
    char *packed;   /* weights of every group, in blocks of filters */
    char *sums;     /* of every slice and group, in blocks of filters */
    char *buffers;  /* of every part */
    gsize items, splits; /* groups of pictures (or slices); parts of the filters */
} Job;

static gsize
weights (const DlhDirectPlan *p)
{
    return p->s.O * dlh_conv_k (&p->s);
}

gsize
dlh_direct_plan_workspace (const DlhDirectPlan *p)
{
    gsize bytes = p->parts * (p->buffer + p->extra);

    bytes += DLH_CONV_ALIGN (p->packed * p->s.g * p->size);
    return bytes + p->slices * DLH_CONV_ALIGN (p->s.g * p->sums * p->size);
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
                pack_f64 ((const double *) job->b + from, set->source, set->n_taps,
                          at, n_filters, (double *) job->packed + to);
            else
                pack_f32 ((const float *) job->b + from, set->source, set->n_taps,
                          at, n_filters, (float *) job->packed + to);
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
    const Tile *tiles = (const Tile *) (gpointer) l->tiles->data;
    const DlhPiece *pieces = (const DlhPiece *) (gpointer) l->pieces->data;

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
                k->store[p->f64][tiles[i].split][n - 1] (&t);
            else
                k->scatter[p->f64][tiles[i].split][n - 1] (&t);
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
                fill_f64 (dx + b * s->C * plane, (const double *) bias, Cg, s->ih * s->iw);
            else
                fill_f32 (dx + b * s->C * plane, (const float *) bias, Cg, s->ih * s->iw);
        run_tiles (job, l, g, dy, p->x.copy ? buffer : dx, split);
        for (gsize b = 0; b < l->images && p->x.copy; b++)
            if (p->f64)
                crop_f64 (&p->x, Cg, buffer + b * p->x.image * p->size, (const double *) bias,
                          dx + b * s->C * plane);
            else
                crop_f32 (&p->x, Cg, buffer + b * p->x.image * p->size, (const float *) bias,
                          dx + b * s->C * plane);
    }
}

// sums of one group += dots of some blocks of filters with every tap
static void
run_dots (const Job *job, const Layout *l, const char *x, const char *dy, char *sums, gsize split)
{
    const DlhDirectPlan *p = job->p;
    const gsize last = (split + 1) * p->blocks / job->splits;
    const DlhPiece *pieces = (const DlhPiece *) (gpointer) l->pieces->data;
    const Range *ranges = (const Range *) (gpointer) l->ranges->data;

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

            p->kernels->dot[p->f64][n - 1] (&d);
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
        const Collect c = {p->dot_at, dlh_conv_k (&p->s), p->kernels->mk, filters, p->slices, stride};
        const gsize to = n / p->blocks * weights (p) / p->s.g + first * c.K;

        if (p->f64)
            collect_f64 (&c, (double *) job->sums + n * per_block, (double *) job->out + to);
        else
            collect_f32 (&c, (float *) job->sums + n * per_block, (float *) job->out + to);
    }
}

static void
run_item (const Job *job, gsize item, gsize split, char *buffer)
{
    const DlhDirectPlan *p = job->p;
    const gsize whole = p->s.B / p->many.images;
    const Layout *l = item < whole ? &p->many : &p->one;
    const gsize first = item < whole ? item * p->many.images
                                     : whole * p->many.images + (item - whole);

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
        job.splits = MIN (ceil_div (p->parts, job.items), p->blocks);
    if (p->method != DOT)
        dlh_parallel_for (p->s.g * p->blocks, 16384 * p->blocks / MAX (p->packed, 1) + 1, run_pack, &job);
    dlh_parallel_for (p->parts, 1, run_parts, &job);
    if (p->method == DOT)
        dlh_parallel_for (p->s.g * p->blocks, 16384 / (p->sums / p->blocks) + 1, run_collect, &job);
}
