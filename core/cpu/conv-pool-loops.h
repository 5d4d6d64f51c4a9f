/* SPDX-License-Identifier: MIT */
/* Included once for each element type T. A plane is x (ih, iw) to y (oh, ow). */

// Where the window of output (i, j) has its first maximum; a NaN counts as one.
static inline gsize
NAME (first_max) (const DlhPoolSize *s, const T *x, gsize i, gsize j)
{
    const Window win = window (s, i, j);
    gsize best = win.top * s->iw + win.left;

    for (gsize r = win.top; r < win.bottom; r++)
        for (gsize q = win.left; q < win.right; q++) {
            const gsize at = r * s->iw + q;

            if (x[at] > x[best] || x[at] != x[at])
                best = at;
        }
    return best;
}

static void
NAME (max) (const DlhPoolSize *s, const T *x, const T *from, T *y)
{
    for (gsize i = 0; i < s->oh; i++)
        for (gsize j = 0; j < s->ow; j++)
            *y++ = from[NAME (first_max) (s, x, i, j)];
}

static void
NAME (max_grad) (const DlhPoolSize *s, const T *x, const T *dy, T *dx)
{
    memset (dx, 0, s->ih * s->iw * sizeof (T));
    for (gsize i = 0; i < s->oh; i++)
        for (gsize j = 0; j < s->ow; j++)
            dx[NAME (first_max) (s, x, i, j)] += *dy++;
}

static void
NAME (avg) (const DlhPoolSize *s, const T *x, T *y)
{
    const T scale = 1 / (T) (s->kh * s->kw);

    for (gsize i = 0; i < s->oh; i++)
        for (gsize j = 0; j < s->ow; j++) {
            const Window win = window (s, i, j);
            T sum = 0;

            for (gsize r = win.top; r < win.bottom; r++)
                for (gsize q = win.left; q < win.right; q++)
                    sum += x[r * s->iw + q];
            *y++ = sum * scale;
        }
}

static void
NAME (avg_grad) (const DlhPoolSize *s, const T *dy, T *dx)
{
    const T scale = 1 / (T) (s->kh * s->kw);

    memset (dx, 0, s->ih * s->iw * sizeof (T));
    for (gsize i = 0; i < s->oh; i++)
        for (gsize j = 0; j < s->ow; j++) {
            const Window win = window (s, i, j);
            const T part = *dy++ * scale;

            for (gsize r = win.top; r < win.bottom; r++)
                for (gsize q = win.left; q < win.right; q++)
                    dx[r * s->iw + q] += part;
        }
}

static void
NAME (plane) (const Job *job, gsize n)
{
    const DlhPoolSize *s = job->s;
    const gsize nx = s->ih * s->iw, ny = s->oh * s->ow;
    const T *a = job->a, *b = job->b;
    T *out = job->out;

    switch (job->kind) {
    case DLH_POOL_MAX:
        NAME (max) (s, a + n * nx, a + n * nx, out + n * ny);
        break;
    case DLH_POOL_MAX_GRAD:
        NAME (max_grad) (s, a + n * nx, b + n * ny, out + n * nx);
        break;
    case DLH_POOL_MAX_PICK:
        NAME (max) (s, a + n * nx, b + n * nx, out + n * ny);
        break;
    case DLH_POOL_AVG:
        NAME (avg) (s, a + n * nx, out + n * ny);
        break;
    case DLH_POOL_AVG_GRAD:
        NAME (avg_grad) (s, a + n * ny, out + n * nx);
        break;
    }
}
