/* SPDX-License-Identifier: MIT */
/* Included once for each element type T, signed integer I of its size, after cpu/conv-kernels-type.h.
 * Windows of two by two, side by side: a row of n outputs from rows x and x + pitch. */

typedef I NAME (M) __attribute__ ((vector_size (32))); // masks

#define V NAME (V)
#define VU NAME (VU)
#define H NAME (H)
#define HU NAME (HU)
#define M NAME (M)

/* The four elements of each window, in order, and which of them is the first maximum. */
typedef struct {
    V at[4];
    M first[4];
} NAME (Windows);

// The elements of LANES windows; with @half of half as many, twice.
INLINE void
NAME (take) (const T *x, gsize pitch, gboolean half, V at[4])
{
    UNROLL
    for (gsize r = 0; r < 2; r++) {
        const V a = *(const VU *) (x + r * pitch);
        V b = a;

        if (!half)
            b = *(const VU *) (x + r * pitch + LANES);
        at[2 * r] = EVEN (a, b);
        at[2 * r + 1] = ODD (a, b);
    }
}

// A NaN is above everything, as the last of them wins.
INLINE NAME (Windows)
NAME (compare) (const T *x, gsize pitch, gboolean half)
{
    NAME (Windows) w;
    M beaten = {0};
    M later[4];
    V best;

    NAME (take) (x, pitch, half, w.at);
    best = w.at[0];
    later[0] = ~beaten;
    UNROLL
    for (gsize k = 1; k < 4; k++) {
        later[k] = (w.at[k] > best) | (w.at[k] != w.at[k]);
        best = (V) ((later[k] & (M) w.at[k]) | (~later[k] & (M) best));
    }
    UNROLL
    for (gsize k = 4; k-- > 0;) {
        w.first[k] = later[k] & ~beaten;
        beaten |= later[k];
    }
    return w;
}

// The number of the first maximum of one window, without branches: data decide.
INLINE gsize
NAME (first) (const T *x, gsize pitch)
{
    T best = x[0];
    gsize number = 0;

    UNROLL
    for (gsize k = 1; k < 4; k++) {
        const T at = x[k / 2 * pitch + k % 2];
        const gboolean later = (at > best) | (at != at);

        best = later ? at : best;
        number = later ? k : number;
    }
    return number;
}

INLINE V
NAME (picked) (const T *x, const T *z, gsize pitch, gboolean half)
{
    const NAME (Windows) w = NAME (compare) (x, pitch, half);
    M sum = {0};
    V at[4];

    NAME (take) (z, pitch, half, at);
    UNROLL
    for (gsize k = 0; k < 4; k++)
        sum |= w.first[k] & (M) at[k];
    return (V) sum;
}

// y = z where x has its maxima
static void
NAME (pick2) (const void *from, const void *values, gsize pitch, void *to, gsize n)
{
    const T *x = from, *z = values;
    T *y = to;
    gsize j = 0;

    for (; j + LANES <= n; j += LANES)
        *(VU *) (y + j) = NAME (picked) (x + 2 * j, z + 2 * j, pitch, FALSE);
    for (; j + LANES / 2 <= n; j += LANES / 2)
        *(HU *) (y + j) = LOW (NAME (picked) (x + 2 * j, z + 2 * j, pitch, TRUE));
    for (; j < n; j++) {
        const gsize k = NAME (first) (x + 2 * j, pitch);

        y[j] = z[2 * j + k / 2 * pitch + k % 2];
    }
}

INLINE void
NAME (place) (const T *x, V dy, gsize pitch, gboolean half, T *dx)
{
    const NAME (Windows) w = NAME (compare) (x, pitch, half);

    UNROLL
    for (gsize r = 0; r < 2; r++) {
        const V a = (V) (w.first[2 * r] & (M) dy), b = (V) (w.first[2 * r + 1] & (M) dy);

        *(VU *) (dx + r * pitch) = WEAVE_LOW (a, b);
        if (!half)
            *(VU *) (dx + r * pitch + LANES) = WEAVE_HIGH (a, b);
    }
}

// dy placed where x has its maxima, zeros beside it
static void
NAME (grad2) (const void *from, const void *values, gsize pitch, void *to, gsize n)
{
    const T *x = from, *dy = values;
    T *dx = to;
    gsize j = 0;

    for (; j + LANES <= n; j += LANES)
        NAME (place) (x + 2 * j, *(const VU *) (dy + j), pitch, FALSE, dx + 2 * j);
    for (; j + LANES / 2 <= n; j += LANES / 2) {
        const H d = *(const HU *) (dy + j);

        NAME (place) (x + 2 * j, JOIN (d, d), pitch, TRUE, dx + 2 * j);
    }
    for (; j < n; j++) {
        const gsize best = NAME (first) (x + 2 * j, pitch);

        UNROLL
        for (gsize k = 0; k < 4; k++)
            dx[2 * j + k / 2 * pitch + k % 2] = k == best ? dy[j] : 0;
    }
}

#undef V
#undef VU
#undef H
#undef HU
#undef M
