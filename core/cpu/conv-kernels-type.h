/* SPDX-License-Identifier: MIT */
/* Included once for each element type T: vectors of LANES, NAME (f), SPLAT (s), JOIN (low, high). */

#define V NAME (V)
#define VU NAME (VU)
#define H NAME (H)
#define HU NAME (HU)

INLINE V
NAME (load) (gboolean split, const T *a, const T *b)
{
    if (!split)
        return *(const VU *) a;
    return JOIN (*(const HU *) a, *(const HU *) b);
}

INLINE void
NAME (put) (T *to, const T *from, gsize n)
{
    for (gsize i = 0; i < n; i++)
        to[i] = from[i];
}

INLINE void
NAME (store_tile) (gsize mr, gboolean split, const DlhConvTile *t, V sum[DLH_CONV_MR][NR])
{
    const gsize n = split ? 2 * NR : NR, width = split ? LANES / 2 : LANES;
    T out[DLH_CONV_MR][NR * LANES];
    gboolean whole = TRUE;
    T *y = t->y;

    UNROLL
    for (gsize j = 0; j < n; j++)
        whole &= t->pieces[j].width == (gint32) width;
    if (whole) {
        UNROLL
        for (gsize i = 0; i < mr; i++) {
            UNROLL
            for (gsize j = 0; j < NR; j++) {
                if (split) {
                    *(HU *) (y + t->rows[i] + t->pieces[2 * j].out) = LOW (sum[i][j]);
                    *(HU *) (y + t->rows[i] + t->pieces[2 * j + 1].out) = HIGH (sum[i][j]);
                } else {
                    *(VU *) (y + t->rows[i] + t->pieces[j].out) = sum[i][j];
                }
            }
        }
        return;
    }
    UNROLL
    for (gsize i = 0; i < mr; i++) {
        UNROLL
        for (gsize j = 0; j < NR; j++)
            *(VU *) (out[i] + j * LANES) = sum[i][j];
    }
    for (gsize j = 0; j < n; j++)
        for (gsize i = 0; i < mr; i++)
            NAME (put) (y + t->rows[i] + t->pieces[j].out, out[i] + j * width,
                        (gsize) t->pieces[j].width);
}

// Lanes beyond a piece's width are zero here, but fillers must not touch memory.
INLINE void
NAME (scatter_tile) (gsize mr, gboolean split, const DlhConvTile *t, V sum[DLH_CONV_MR][NR])
{
    T *y = t->y;

    UNROLL
    for (gsize j = 0; j < NR; j++) {
        const DlhPiece *p = t->pieces + (split ? 2 * j : j);

        UNROLL
        for (gsize i = 0; i < mr; i++) {
            T *to = y + t->rows[i];

            if (!split && p->width)
                *(VU *) (to + p->out) += sum[i][j];
            if (split && p[0].width)
                *(HU *) (to + p[0].out) += LOW (sum[i][j]);
            if (split && p[1].width)
                *(HU *) (to + p[1].out) += HIGH (sum[i][j]);
        }
    }
}

INLINE void
NAME (tile) (gsize mr, gboolean split, gboolean scatter, const DlhConvTile *t)
{
    const T *x = t->x, *w = t->w, *bias = t->bias;
    const gint32 *taps = t->taps, *end = taps + t->n_taps;
    V sum[DLH_CONV_MR][NR];
    const T *a[NR], *b[NR];

    UNROLL
    for (gsize j = 0; j < NR; j++) {
        a[j] = x + t->pieces[split ? 2 * j : j].in;
        b[j] = x + t->pieces[split ? 2 * j + 1 : j].in;
        UNROLL
        for (gsize i = 0; i < mr; i++)
            sum[i][j] = bias ? SPLAT (bias[i]) : SPLAT (0);
    }
    for (; taps < end; taps++, w += mr) {
        const gssize k = *taps;
        V v[NR];

        UNROLL
        for (gsize j = 0; j < NR; j++)
            v[j] = NAME (load) (split, a[j] + k, b[j] + k);
        UNROLL
        for (gsize i = 0; i < mr; i++) {
            const V c = SPLAT (w[i]);

            UNROLL
            for (gsize j = 0; j < NR; j++)
                sum[i][j] += c * v[j];
        }
    }
    if (scatter)
        NAME (scatter_tile) (mr, split, t, sum);
    else
        NAME (store_tile) (mr, split, t, sum);
}

// One piece, or two that share a vector; of a single half the other is zero in dy.
INLINE void
NAME (dot_piece) (gsize mo, gboolean split, gboolean single, const T *const *dy, const T *const *x,
                  const DlhPiece *p, V sum[DLH_CONV_MO][MK])
{
    const DlhPiece *q = split && !single ? p + 1 : p;
    V v[DLH_CONV_MO];

    UNROLL
    for (gsize i = 0; i < mo; i++) {
        v[i] = NAME (load) (split, dy[i] + p->out, dy[i] + q->out);
        if (single)
            v[i] = JOIN (LOW (v[i]), (H){0});
    }
    UNROLL
    for (gsize k = 0; k < MK; k++) {
        const V u = NAME (load) (split, x[k] + p->in, x[k] + q->in);

        UNROLL
        for (gsize i = 0; i < mo; i++)
            sum[i][k] += u * v[i];
    }
}

INLINE void
NAME (dot) (gsize mo, const DlhConvDot *d)
{
    const T *x[MK], *dy[DLH_CONV_MO];
    V sum[DLH_CONV_MO][MK], all[DLH_CONV_SUMS];
    T *to = d->sums;

    UNROLL
    for (gsize k = 0; k < MK; k++)
        x[k] = (const T *) d->x + d->taps[k];
    UNROLL
    for (gsize i = 0; i < mo; i++) {
        dy[i] = (const T *) d->dy + d->rows[i];
        UNROLL
        for (gsize k = 0; k < MK; k++)
            sum[i][k] = SPLAT (0);
    }
    for (gsize n = 0; n < d->n_full; n++)
        NAME (dot_piece) (mo, FALSE, FALSE, dy, x, d->full + n, sum);
    for (gsize n = 0; n + 1 < d->n_split; n += 2)
        NAME (dot_piece) (mo, TRUE, FALSE, dy, x, d->split + n, sum);
    if (d->n_split % 2)
        NAME (dot_piece) (mo, TRUE, TRUE, dy, x, d->split + d->n_split - 1, sum);
    UNROLL
    for (gsize n = 0; n < DLH_CONV_SUMS; n++)
        all[n] = n < mo * MK ? sum[n / MK][n % MK] : SPLAT (0);
    UNROLL
    for (gsize n = 0; n < mo * MK; n += LANES)
        *(VU *) (to + n) += NAME (totals) (all + n);
}

#define DLH_TILES_(f, split, scatter)                                                              \
    static void NAME (f##1) (const DlhConvTile *t) { NAME (tile) (1, split, scatter, t); }         \
    static void NAME (f##2) (const DlhConvTile *t) { NAME (tile) (2, split, scatter, t); }         \
    static void NAME (f##3) (const DlhConvTile *t) { NAME (tile) (3, split, scatter, t); }         \
    static void NAME (f##4) (const DlhConvTile *t) { NAME (tile) (4, split, scatter, t); }         \
    static void NAME (f##5) (const DlhConvTile *t) { NAME (tile) (5, split, scatter, t); }         \
    static void NAME (f##6) (const DlhConvTile *t) { NAME (tile) (6, split, scatter, t); }
DLH_TILES_ (store_full, FALSE, FALSE)
DLH_TILES_ (store_split, TRUE, FALSE)
DLH_TILES_ (scatter_full, FALSE, TRUE)
DLH_TILES_ (scatter_split, TRUE, TRUE)
#undef DLH_TILES_

static void
NAME (dot1) (const DlhConvDot *d)
{
    NAME (dot) (1, d);
}

static void
NAME (dot2) (const DlhConvDot *d)
{
    NAME (dot) (2, d);
}

static void
NAME (dot3) (const DlhConvDot *d)
{
    NAME (dot) (3, d);
}

#if MO > 3
static void
NAME (dot4) (const DlhConvDot *d)
{
    NAME (dot) (4, d);
}
#endif

#undef V
#undef VU
#undef H
#undef HU
