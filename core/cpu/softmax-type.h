/* SPDX-License-Identifier: MIT */
/* The loops of one element type: softmax.c includes this with T, DTYPE and FN. */

static void
FN (exp_all) (T *y, gint64 n)
{
    dlh_loops ()->ew[DLH_EW_exp][DTYPE - 1](y, y, NULL, NULL, (gsize) n, NULL);
}

static double
FN (sum_all) (const T *x, gint64 n)
{
    double sum = 0;

    if (n >= 32)
        return dlh_loops ()->sum[DTYPE - 1](x, (gsize) n);
    for (gint64 i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

// What to subtract: the largest element, or 0 where that is not finite.
static T
FN (shift_of) (const T *x, gint64 n)
{
    T lanes[16], m = x[0];
    gint64 i = 1;

    if (n >= 32) {
        memcpy (lanes, x, sizeof lanes);
        for (i = 16; i + 16 <= n; i += 16)
            for (int k = 0; k < 16; k++)
                lanes[k] = x[i + k] > lanes[k] ? x[i + k] : lanes[k];
        for (int k = 0; k < 16; k++)
            m = lanes[k] > m ? lanes[k] : m;
    }
    for (; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return isfinite (m) ? m : 0;
}

static void
FN (subtract) (T *y, const T *x, T a, gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        y[i] = x[i] - a;
}

// Rows of few elements go through exp() together.
static void
FN (softmax_rows) (T *y, const T *x, gint64 rows, gint64 n)
{
    for (gint64 r = 0; r < rows; r++)
        FN (subtract) (y + r * n, x + r * n, FN (shift_of) (x + r * n, n), n);
    FN (exp_all) (y, rows * n);
    for (gint64 r = 0; r < rows; r++) {
        T scale = (T) (1 / FN (sum_all) (y + r * n, n));

        for (gint64 i = 0; i < n; i++)
            y[r * n + i] *= scale;
    }
}

// sums[r] = sum of exp (x - shifts[r]).
static void
FN (exp_sums) (const T *x, gint64 rows, gint64 n, T *shifts, double *sums)
{
    T e[BLOCK];

    if (rows == 1) {
        shifts[0] = FN (shift_of) (x, n);
        sums[0] = 0;
        for (gint64 i = 0; i < n; i += BLOCK) {
            gint64 m = MIN (BLOCK, n - i);

            FN (subtract) (e, x + i, shifts[0], m);
            FN (exp_all) (e, m);
            sums[0] += FN (sum_all) (e, m);
        }
        return;
    }
    for (gint64 r = 0; r < rows; r++) {
        shifts[r] = FN (shift_of) (x + r * n, n);
        FN (subtract) (e + r * n, x + r * n, shifts[r], n);
    }
    FN (exp_all) (e, rows * n);
    for (gint64 r = 0; r < rows; r++)
        sums[r] = FN (sum_all) (e + r * n, n);
}

static void
FN (rows_work) (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;
    T shifts[BLOCK];
    double sums[BLOCK];

    (void) thread;
    for (gsize u = begin; u < end; u++) {
        gint64 first = (gint64) u * job->width, rows = MIN (job->width, job->rows - first);
        const T *x = (const T *) job->x + first * job->n;
        T *y = (T *) job->y + first * job->n;

        if (job->kind == DLH_SOFTMAX) {
            FN (softmax_rows) (y, x, rows, job->n);
            continue;
        }
        FN (exp_sums) (x, rows, job->n, shifts, sums);
        for (gint64 r = 0; r < rows; r++) {
            T log_sum = (T) log (sums[r]);

            if (job->kind == DLH_LOGSUMEXP)
                ((T *) job->y)[first + r] = (T) (shifts[r] + log (sums[r]));
            else
                for (gint64 i = 0; i < job->n; i++)
                    y[r * job->n + i] = x[r * job->n + i] - shifts[r] - log_sum;
        }
    }
}

// The same for columns [0, w): rows are inner apart.
static void
FN (columns) (const Job *job, T *y, const T *x, gint64 w, T *out)
{
    T shifts[BLOCK], e[BLOCK];
    double sums[BLOCK] = {0};

    memcpy (shifts, x, (gsize) w * sizeof (T));
    for (gint64 i = 1; i < job->n; i++)
        for (gint64 j = 0; j < w; j++)
            shifts[j] = x[i * job->inner + j] > shifts[j] ? x[i * job->inner + j] : shifts[j];
    for (gint64 j = 0; j < w; j++)
        shifts[j] = isfinite (shifts[j]) ? shifts[j] : 0;
    for (gint64 i = 0; i < job->n; i++) {
        T *to = job->kind == DLH_SOFTMAX ? y + i * job->inner : e;

        for (gint64 j = 0; j < w; j++)
            to[j] = x[i * job->inner + j] - shifts[j];
        FN (exp_all) (to, w);
        for (gint64 j = 0; j < w; j++)
            sums[j] += to[j];
    }
    for (gint64 j = 0; j < w; j++) {
        e[j] = job->kind == DLH_SOFTMAX ? (T) (1 / sums[j]) : (T) log (sums[j]);
        if (job->kind == DLH_LOGSUMEXP)
            out[j] = (T) (shifts[j] + log (sums[j]));
    }
    for (gint64 i = 0; i < job->n && job->kind != DLH_LOGSUMEXP; i++)
        for (gint64 j = 0; j < w; j++) {
            gint64 at = i * job->inner + j;

            y[at] = job->kind == DLH_SOFTMAX ? y[at] * e[j] : x[at] - shifts[j] - e[j];
        }
}

static void
FN (columns_work) (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Job *job = user_data;

    (void) thread;
    for (gsize u = begin; u < end; u++) {
        gint64 outer = (gint64) u / job->units, first = (gint64) u % job->units * job->width;
        gint64 start = outer * job->n * job->inner + first;

        FN (columns) (job, (T *) job->y + start, (const T *) job->x + start,
                      MIN (job->width, job->inner - first),
                      (T *) job->y + outer * job->inner + first);
    }
}
