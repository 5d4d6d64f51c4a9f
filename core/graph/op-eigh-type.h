/* SPDX-License-Identifier: MIT */
/* The loops of eigh for one element type T; NAME (name) is set by op-eigh.c. */

// s = (a + a') / 2, by blocks that stay in the cache. Returns: whether all of it is finite.
static gboolean
NAME (symmetrise) (gint64 n, const T *restrict a, T *restrict s)
{
    T bad = 0;

    for (gint64 r = 0; r < n; r += BLOCK)
        for (gint64 c = 0; c <= r; c += BLOCK)
            for (gint64 i = r; i < MIN (r + BLOCK, n); i++)
                for (gint64 j = c; j < MIN (c + BLOCK, i + 1); j++) {
                    T x = (T) 0.5 * a[i * n + j] + (T) 0.5 * a[j * n + i];

                    s[i * n + j] = s[j * n + i] = x;
                    bad += 0 * x;
                }
    return bad == 0;
}

// Turns each row so that its first element of largest magnitude is positive.
static void
NAME (orient_rows) (gint64 n, T *v)
{
    for (gint64 i = 0; i < n; i++) {
        T *row = v + i * n, largest = 0;

        for (gint64 j = 0; j < n; j++)
            if ((row[j] < 0 ? -row[j] : row[j]) > (largest < 0 ? -largest : largest))
                largest = row[j];
        if (largest < 0)
            for (gint64 j = 0; j < n; j++)
                row[j] = -row[j];
    }
}
