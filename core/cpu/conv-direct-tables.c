/* SPDX-License-Identifier: MIT */
/* Padding, taps, and the pieces and tiles that positions are cut into. */
#include "cpu/conv-direct-private.h"

// Columns of a row of positions as pieces cover them: whole vectors, then at most half of one.
static gsize
covered (const DlhDirectPlan *p)
{
    return dlh_direct_ceil_div (p->s.ow, dlh_direct_lanes (p) / 2) * (dlh_direct_lanes (p) / 2);
}

// Whether no vector reaches beyond the end of a row. What is stored may be stored twice, so there
// the last vector begins early enough; elsewhere rows must be of the right size.
static gboolean
in_place (const DlhDirectPlan *p)
{
    return p->method == STORE ? p->s.ow >= dlh_direct_lanes (p) / 2 : covered (p) == p->s.ow;
}

void
dlh_direct_pad_picture (DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const gsize hp = (s->oh - 1) * s->sh + (s->kh - 1) * s->dh + 1;
    const gsize wp = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1;
    Padded x = {.ih = s->ih, .iw = s->iw, .top = s->ph, .left = s->pw, .stride = s->sw};

    x.rows = hp > s->ph ? MIN (s->ih, hp - s->ph) : 0;
    x.columns = wp > s->pw ? MIN (s->iw, wp - s->pw) : 0;
    x.copy = s->ph || s->pw || s->sw > 1 || !in_place (p);
    x.phase = x.copy ? dlh_direct_ceil_div (wp, s->sw) : s->iw;
    x.pitch = x.phase * s->sw;
    x.plane = x.copy ? hp * x.pitch : s->ih * s->iw;
    p->x = x;
    p->y = (Padded){.ih = s->oh, .iw = s->ow, .rows = s->oh, .columns = s->ow, .stride = 1};
    p->y.phase = p->y.pitch = covered (p);
    p->y.plane = s->oh * p->y.pitch;
    p->y.copy = p->y.pitch != s->ow;
}

// Pictures of a group lie side by side, channel by channel, so that a tile of several reads from
// one place. An odd number of cache lines from channel to channel keeps those from meeting in a few
// sets.
static void
place_group (const DlhDirectPlan *p, Padded *x, gsize channels, gsize images)
{
    const gsize line = 64 / p->size;

    x->image = x->copy ? x->plane : channels * x->plane;
    x->channel = x->copy ? (dlh_direct_ceil_div (images * x->plane, line) | 1) * line : x->plane;
}

void
dlh_direct_set_group (DlhDirectPlan *p, gsize images)
{
    if (p->method == DOT && images > 1)
        p->x.copy = p->y.copy = TRUE;
    place_group (p, &p->x, p->s.C, images);
    place_group (p, &p->y, p->s.O, images);
}

// Offset of tap (c, u, v) from a window's first element.
gsize
dlh_direct_tap_offset (const DlhDirectPlan *p, gsize c, gsize u, gsize v)
{
    const gsize q = v * p->s.dw;

    return c * p->x.channel + u * p->s.dh * p->x.pitch + q % p->s.sw * p->x.phase + q / p->s.sw;
}

// Kernel rows *begin .. *end - 1 of the windows in row @i meet the picture.
void
dlh_direct_kernel_rows (const DlhConvSize *s, gsize i, gsize *begin, gsize *end)
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

                set->taps[k] = (gint32)dlh_direct_tap_offset (p, c, u, v);
                // The gradient's filters are columns of w, turned by half a turn.
                set->source[k] = (gint32)(p->adjoint ? c * Og * s->kh * s->kw + turned
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
            dlh_direct_kernel_rows (s, i, &begin, &end);
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

void
dlh_direct_free_sets (DlhDirectPlan *p)
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
        p->sets->taps[o] = (gint32)(o * p->y.channel);
        p->sets->source[o] = (gint32)(o * p->n_filters);
    }
    p->packed = Og * p->n_filters;
}

// The "filters" of a scatter go through the channels first: neighbours would add to the same
// elements, and each would wait for the other.
void
dlh_direct_make_rows (DlhDirectPlan *p)
{
    const DlhConvSize *s = &p->s;
    const gsize Cg = s->C / s->g, taps = s->kh * s->kw;

    p->rows = g_new (gint32, p->n_filters + 1);
    p->filters = g_new (gint32, p->n_filters + 1);
    for (gsize k = 0; k < p->n_filters; k++) {
        const gsize c = k % Cg, u = k / Cg / s->kw, v = k / Cg % s->kw;

        if (p->method == STORE) {
            p->rows[k] = (gint32)(k * dlh_conv_p (s));
            p->filters[k] = (gint32)(k * (p->adjoint ? taps : dlh_conv_k (s)));
        } else if (p->method == SCATTER) {
            p->rows[k] = (gint32)dlh_direct_tap_offset (p, c, u, v);
            p->filters[k] = (gint32)(c * taps + u * s->kw + v);
        } else {
            p->rows[k] = (gint32)(k * p->y.channel);
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
    DlhPiece piece = {(gint32)x, (gint32)(p->method == STORE ? stored : y),
                      (gint32)MIN (width, s->ow - column)};

    if (p->method == SCATTER)
        piece.in = (gint32)y, piece.out = (gint32)x;
    g_array_append_val (l->pieces, piece);
}

// The pieces of one row: whole vectors, or with @split halves.
static void
add_row (const DlhDirectPlan *p, Layout *l, gsize image, gsize row, gboolean split)
{
    const gsize n = dlh_direct_lanes (p), ow = p->s.ow, whole = ow / n * n, rest = ow - whole;
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

void
dlh_direct_layout_clear (Layout *l)
{
    g_clear_pointer (&l->pieces, g_array_unref);
    g_clear_pointer (&l->tiles, g_array_unref);
    g_clear_pointer (&l->ranges, g_array_unref);
}

// Whole vectors first, then halves, both by rows. Of each mk taps, the rows that any of them
// serves.
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

void
dlh_direct_layout_init (const DlhDirectPlan *p, Layout *l, gsize images)
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

// Cycles for one picture, about: two products or two loads a cycle, loads of x beside cache lines;
// then starting a tile, and storing it or adding it to what is there.
static double
layout_cost (const DlhDirectPlan *p, const Layout *l)
{
    const double blocks = (double)dlh_direct_ceil_div (p->n_filters, DLH_CONV_MR);
    const double mr = (double)p->n_filters / blocks, nr = (double)p->kernels->nr;
    const double tap = MAX (mr * nr / 2, (mr + 1.5 * nr) / 2);
    const double tile = 20 + mr * nr * (p->method == SCATTER ? 2 : 0.5);
    double cost = 0;

    for (guint i = 0; i < l->tiles->len; i++)
        cost += tile + tap * (double)p->sets[g_array_index (l->tiles, Tile, i).set].n_taps;
    return blocks * cost / (double)l->images;
}

// Of the buffers for a group, as if both operands were copied.
gsize
dlh_direct_group_bytes (const DlhDirectPlan *p, gsize images)
{
    const gsize y = p->method == STORE ? 0 : p->y.plane * p->s.O / p->s.g;

    return images * (p->x.plane * p->s.C / p->s.g + y) * p->size;
}

static void
make_sets (DlhDirectPlan *p, gboolean skip)
{
    dlh_direct_free_sets (p);
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
    dlh_direct_set_group (p, 1);
    make_sets (p, skip);
    for (gsize n = 1; n <= 8 && n <= p->s.B; n *= 2) {
        Layout l = {0};
        double cost;

        if (n > 1 && dlh_direct_group_bytes (p, n) > DLH_DIRECT_GROUP_BYTES)
            break;
        dlh_direct_layout_init (p, &l, n);
        cost = layout_cost (p, &l);
        dlh_direct_layout_clear (&l);
        if (cost < 0.98 * *best) {
            *best = cost;
            images = n;
        }
    }
    return images;
}

// All tables of a store or scatter. Returns: its work.
double
dlh_direct_make_tables (DlhDirectPlan *p)
{
    double plain, skipping = G_MAXDOUBLE;
    gsize images = choose_images (p, FALSE, &plain);
    gboolean skip = FALSE;

    if (p->method == STORE && p->s.ph) {
        const gsize n = choose_images (p, TRUE, &skipping);

        skip = skipping < 0.98 * plain;
        images = skip ? n : images;
    }
    dlh_direct_set_group (p, images);
    make_sets (p, skip);
    dlh_direct_layout_init (p, &p->many, images);
    return MIN (plain, skipping);
}
