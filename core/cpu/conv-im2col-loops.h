/* SPDX-License-Identifier: MIT */
/* Included once for each element type T; NAME (f) gives f its suffix, GEMM is the BLAS routine. */

/* Outputs j of a row whose input column j stride + shift lies in 0 .. n - 1. */
static inline void
NAME (valid) (gsize n_out, gsize n, gsize stride, gssize shift, gsize *begin, gsize *end)
{
    const gssize s = (gssize) stride;
    const gssize lo = shift >= 0 ? 0 : (-shift + s - 1) / s;
    const gssize hi = (gssize) n - shift <= 0 ? 0 : ((gssize) n - shift - 1) / s + 1;

    *begin = (gsize) MIN (lo, (gssize) n_out);
    *end = (gsize) CLAMP (hi, (gssize) *begin, (gssize) n_out);
}

// x (c, ih, iw) to cols (c kh kw, oh ow)
static void
NAME (im2col) (const DlhConvSize *s, gsize channels, const T *x, T *cols)
{
    for (gsize k = 0; k < channels * s->kh * s->kw; k++) {
        const gsize c = k / (s->kh * s->kw), u = k / s->kw % s->kh, v = k % s->kw;
        const gssize shift = (gssize) (v * s->dw) - (gssize) s->pw;
        gsize j0, j1;

        NAME (valid) (s->ow, s->iw, s->sw, shift, &j0, &j1);
        for (gsize i = 0; i < s->oh; i++, cols += s->ow) {
            const gssize r = (gssize) (i * s->sh + u * s->dh) - (gssize) s->ph;

            if (r < 0 || r >= (gssize) s->ih || j0 == j1) {
                memset (cols, 0, s->ow * sizeof (T));
                continue;
            }
            const T *row = x + (c * s->ih + (gsize) r) * s->iw;

            memset (cols, 0, j0 * sizeof (T));
            if (s->sw == 1)
                memcpy (cols + j0, row + (gssize) j0 + shift, (j1 - j0) * sizeof (T));
            else
                for (gsize j = j0; j < j1; j++)
                    cols[j] = row[(gssize) (j * s->sw) + shift];
            memset (cols + j1, 0, (s->ow - j1) * sizeof (T));
        }
    }
}

// the adjoint: adds cols (c kh kw, oh ow) to x (c, ih, iw)
static void
NAME (col2im) (const DlhConvSize *s, gsize channels, const T *cols, T *x)
{
    for (gsize k = 0; k < channels * s->kh * s->kw; k++) {
        const gsize c = k / (s->kh * s->kw), u = k / s->kw % s->kh, v = k % s->kw;
        const gssize shift = (gssize) (v * s->dw) - (gssize) s->pw;
        gsize j0, j1;

        NAME (valid) (s->ow, s->iw, s->sw, shift, &j0, &j1);
        for (gsize i = 0; i < s->oh; i++, cols += s->ow) {
            const gssize r = (gssize) (i * s->sh + u * s->dh) - (gssize) s->ph;

            if (r < 0 || r >= (gssize) s->ih)
                continue;
            T *row = x + (c * s->ih + (gsize) r) * s->iw;

            if (s->sw == 1)
                for (gsize j = j0; j < j1; j++)
                    row[(gssize) j + shift] += cols[j];
            else
                for (gsize j = j0; j < j1; j++)
                    row[(gssize) (j * s->sw) + shift] += cols[j];
        }
    }
}

// y (channels, n), each row its bias
static void
NAME (fill) (T *y, const T *bias, gsize channels, gsize n)
{
    for (gsize c = 0; c < channels; c++)
        for (gsize i = 0; i < n; i++)
            y[c * n + i] = bias ? bias[c] : 0;
}

// y_g (O/g, P) = w_g (O/g, K) cols_g (K, P) for each group of one picture
static void
NAME (forward) (const DlhConvSize *s, const T *x, const T *w, const T *bias, T *y, T *cols)
{
    const gsize K = dlh_conv_k (s), P = dlh_conv_p (s), Cg = s->C / s->g, Og = s->O / s->g;

    if (bias)
        NAME (fill) (y, bias, s->O, P);
    for (gsize g = 0; g < s->g; g++) {
        const T *xg = x + g * Cg * s->ih * s->iw, *patches = xg;

        if (!dlh_conv_is_matmul (s)) {
            NAME (im2col) (s, Cg, xg, cols);
            patches = cols;
        }
        GEMM (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) Og, (int) P, (int) K, 1,
              w + g * Og * K, (int) K, patches, (int) P, bias ? 1 : 0, y + g * Og * P, (int) P);
    }
}

// cols_g (K, P) = w_g^T (K, O/g) dy_g (O/g, P), summed back into the picture
static void
NAME (data) (const DlhConvSize *s, const T *dy, const T *w, const T *bias, T *dx, T *cols)
{
    const gsize K = dlh_conv_k (s), P = dlh_conv_p (s), Cg = s->C / s->g, Og = s->O / s->g;
    const gboolean direct = dlh_conv_is_matmul (s);

    if (bias || !direct)
        NAME (fill) (dx, bias, s->C, s->ih * s->iw);
    for (gsize g = 0; g < s->g; g++) {
        T *xg = dx + g * Cg * s->ih * s->iw;

        GEMM (CblasRowMajor, CblasTrans, CblasNoTrans, (int) K, (int) P, (int) Og, 1,
              w + g * Og * K, (int) K, dy + g * Og * P, (int) P, direct && bias ? 1 : 0,
              direct ? xg : cols, (int) P);
        if (!direct)
            NAME (col2im) (s, Cg, cols, xg);
    }
}

// dw_g (O/g, K) += dy_g (O/g, P) cols_g^T (P, K)
static void
NAME (weight) (const DlhConvSize *s, const T *x, const T *dy, T *dw, T *cols, gboolean add)
{
    const gsize K = dlh_conv_k (s), P = dlh_conv_p (s), Cg = s->C / s->g, Og = s->O / s->g;

    for (gsize g = 0; g < s->g; g++) {
        const T *xg = x + g * Cg * s->ih * s->iw, *patches = xg;

        if (!dlh_conv_is_matmul (s)) {
            NAME (im2col) (s, Cg, xg, cols);
            patches = cols;
        }
        GEMM (CblasRowMajor, CblasNoTrans, CblasTrans, (int) Og, (int) K, (int) P, 1,
              dy + g * Og * P, (int) P, patches, (int) P, add ? 1 : 0, dw + g * Og * K, (int) K);
    }
}

static void
NAME (image) (const Job *job, gsize b, void *cols)
{
    const DlhConvSize *s = job->s;
    const gsize x_size = s->C * s->ih * s->iw, y_size = s->O * dlh_conv_p (s);

    if (job->kind == DLH_CONV_FORWARD)
        NAME (forward) (s, (const T *) job->a + b * x_size, job->b, job->bias,
                        (T *) job->out + b * y_size, cols);
    else
        NAME (data) (s, (const T *) job->a + b * y_size, job->b, job->bias,
                     (T *) job->out + b * x_size, cols);
}

// Slice n of the pictures adds up its own dw; slice 0 does it in the output.
static void
NAME (slice) (const Job *job, gsize n, void *cols)
{
    const DlhConvSize *s = job->s;
    const gsize x_size = s->C * s->ih * s->iw, y_size = s->O * dlh_conv_p (s);
    const gsize begin = n * s->B / job->slices, end = (n + 1) * s->B / job->slices;
    T *dw = n == 0 ? job->out : (T *) job->partial + (n - 1) * s->O * dlh_conv_k (s);

    for (gsize b = begin; b < end; b++)
        NAME (weight) (s, (const T *) job->a + b * x_size, (const T *) job->b + b * y_size, dw,
                       cols, b > begin);
}

static void
NAME (add_slices) (void *out, const void *partials, gsize n, gsize slices)
{
    const T *partial = partials;
    T *dw = out;

    for (gsize k = 1; k < slices; k++, partial += n)
        for (gsize i = 0; i < n; i++)
            dw[i] += partial[i];
}

// x (C, ih, iw) to rows p (oh ow, C kh kw)
static void
NAME (patches) (const DlhConvSize *s, const void *from, void *to)
{
    const T *x = from;
    T *p = to;

    for (gsize i = 0; i < s->oh; i++)
        for (gsize j = 0; j < s->ow; j++)
            for (gsize c = 0; c < s->C; c++)
                for (gsize u = 0; u < s->kh; u++) {
                    const gsize r = i * s->sh + u * s->dh - s->ph; // wraps when negative
                    const T *row = x + (c * s->ih + r) * s->iw;

                    for (gsize v = 0; v < s->kw; v++) {
                        const gsize q = j * s->sw + v * s->dw - s->pw;

                        *p++ = r < s->ih && q < s->iw ? row[q] : 0;
                    }
                }
}

static void
NAME (patches_adjoint) (const DlhConvSize *s, const void *from, void *to)
{
    const T *p = from;
    T *x = to;

    memset (x, 0, s->C * s->ih * s->iw * sizeof (T));
    for (gsize i = 0; i < s->oh; i++)
        for (gsize j = 0; j < s->ow; j++)
            for (gsize c = 0; c < s->C; c++)
                for (gsize u = 0; u < s->kh; u++) {
                    const gsize r = i * s->sh + u * s->dh - s->ph;

                    for (gsize v = 0; v < s->kw; v++, p++) {
                        const gsize q = j * s->sw + v * s->dw - s->pw;

                        if (r < s->ih && q < s->iw)
                            x[(c * s->ih + r) * s->iw + q] += *p;
                    }
                }
}
