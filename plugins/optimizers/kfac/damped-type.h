/* SPDX-License-Identifier: MIT */
/* Included once for each element type T. */

// Matrix @g of the call. Returns: FALSE when no damping helps.
static gboolean
NAME (damped_one) (const DlhCall *call, gint64 g, gsize n)
{
    const T *a = (const T *)call->in[0] + (gsize)g * n * n;
    T *x = (T *)call->out + (gsize)g * (n + 1) * n, *last = x + n * n;
    double damping = (double)((const T *)call->in[1])[g], scale = 0;
    int raises = 0, info = 1;

    for (gsize i = 0; i < n; i++)
        scale += fabs ((double)a[i * n + i]) / (double)n;
    if (!isfinite (scale) || !isfinite (damping))
        return FALSE;
    for (; raises <= MAX_RAISES; raises++) {
        if (raises)
            damping = 10 * fmax (damping, 1e-12 * scale + 1e-300);
        memcpy (x, a, n * n * sizeof (T));
        for (gsize i = 0; i < n; i++)
            x[i * n + i] += (T)damping;
        if ((info = factor (sizeof (T) == 8, (int)n, x)) == 0)
            break;
    }
    if (info || invert (sizeof (T) == 8, (int)n, x))
        return FALSE;
    // LAPACK's upper triangle is a row-major lower one.
    for (gsize i = 0; i < n; i++)
        for (gsize j = i + 1; j < n; j++)
            x[i * n + j] = x[j * n + i];
    memset (last, 0, n * sizeof (T));
    last[0] = (T)raises;
    return TRUE;
}
