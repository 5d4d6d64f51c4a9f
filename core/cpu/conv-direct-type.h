/* SPDX-License-Identifier: MIT */
/* Included once for each element type T: what moves elements between pictures, padded buffers and
 * packed weights. */

// channels pictures of x into the middle of padded ones, columns sorted by column modulo stride
static void
NAME (pad) (const Padded *p, gsize channels, const void *from, void *to)
{
    const T *x = from;
    T *buffer = to;

    for (gsize c = 0; c < channels; c++, x += p->ih * p->iw, buffer += p->channel) {
        if (p->pitch == p->iw && p->stride == 1 && p->left == 0) {
            memcpy (buffer + p->top * p->pitch, x, p->rows * p->iw * sizeof (T));
            continue;
        }
        for (gsize r = 0; r < p->rows; r++) {
            T *row = buffer + (r + p->top) * p->pitch;

            if (p->stride == 1) {
                memcpy (row + p->left, x + r * p->iw, p->columns * sizeof (T));
                continue;
            }
            for (gsize j = 0; j < p->columns; j++) {
                const gsize q = j + p->left;

                row[q % p->stride * p->phase + q / p->stride] = x[r * p->iw + j];
            }
        }
    }
}

// the middle of padded pictures plus bias; what no window reaches is the bias alone
static void
NAME (crop) (const Padded *p, gsize channels, const void *from, const T *bias, void *to)
{
    const T *buffer = from;
    T *x = to;

    for (gsize c = 0; c < channels; c++, buffer += p->channel)
        for (gsize r = 0; r < p->ih; r++, x += p->iw) {
            const gsize n = r < p->rows ? p->columns : 0;
            const T *row = buffer + (r + p->top) * p->pitch, add = bias ? bias[c] : 0;

            for (gsize j = 0; j < n; j++) {
                const gsize q = j + p->left;

                x[j] = add + (p->stride == 1 ? row[q]
                                             : row[q % p->stride * p->phase + q / p->stride]);
            }
            for (gsize j = n; j < p->iw; j++)
                x[j] = add;
        }
}

static void
NAME (fill) (void *to, const T *bias, gsize channels, gsize n)
{
    T *y = to;

    for (gsize c = 0; c < channels; c++)
        for (gsize i = 0; i < n; i++)
            *y++ = bias ? bias[c] : 0;
}

// @n filters of w, beginning at @at, interleaved: (taps, n)
static void
NAME (pack) (const T *restrict w, const gint32 *restrict source, gsize n_taps,
             const gint32 *restrict at, gsize n, T *restrict to)
{
    for (gsize k = 0; k < n_taps; k++) {
        const T *from = w + source[k];

        for (gsize i = 0; i < n; i++)
            *to++ = from[at[i]];
    }
}

// dw (filters, K) = sums (slices, K / mk, filters, mk) added up, taps sorted back
static void
NAME (collect) (const Collect *c, const T *sums, T *dw)
{
    for (gsize k = 0; k < c->K; k++)
        for (gsize i = 0; i < c->filters; i++) {
            const T *from = sums + k / c->mk * DLH_CONV_SUMS + i * c->mk + k % c->mk;
            T sum = 0;

            for (gsize n = 0; n < c->slices; n++)
                sum += from[n * c->stride];
            dw[i * c->K + (gsize) c->at[k]] = sum;
        }
}
