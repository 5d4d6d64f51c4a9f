/* SPDX-License-Identifier: MIT */
/* What a careful C programmer gets without a framework: one training step of a net with one hidden
 * layer of rectifiers, softmax, cross-entropy and momentum, written by hand for its shape on
 * OpenBLAS.
 *
 *     bench-floor BATCH IN HIDDEN OUT [THREADS]
 *
 * The peer of bench-train's smallest nets: prints the median time of a step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cblas.h>

#define SAMPLES 31
#define SAMPLE_SECONDS 2e-3
#define RATE 0.05f
#define MOMENTUM 0.9f

extern void openblas_set_num_threads (int n);

typedef struct {
    int rows, columns;
    float *w, *b, *dw, *db, *vw, *vb;
} Layer;

typedef struct {
    int batch;
    Layer hidden, output;
    float *x, *h, *dh, *y; /* (batch, in), (batch, hidden) twice, (batch, out) */
    int *labels;
} Net;

static float *
numbers (size_t n, float scale)
{
    float *v = malloc (n * sizeof *v);

    for (size_t i = 0; i < n; i++)
        v[i] = scale * ((float)(i * 2654435761u % 1000) / 1000 - 0.5f);
    return v;
}

static Layer
layer (int rows, int columns)
{
    const size_t n = (size_t)rows * (size_t)columns;

    return (Layer){rows,
                   columns,
                   numbers (n, 0.2f),
                   numbers ((size_t)rows, 0),
                   numbers (n, 0),
                   numbers ((size_t)rows, 0),
                   numbers (n, 0),
                   numbers ((size_t)rows, 0)};
}

// y (batch, rows) = x w' + b
static void
forward (const Layer *l, int batch, const float *x, float *y)
{
    for (int i = 0; i < batch; i++)
        memcpy (y + (size_t)i * (size_t)l->rows, l->b, (size_t)l->rows * sizeof *y);
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, batch, l->rows, l->columns, 1, x,
                 l->columns, l->w, l->columns, 1, y, l->rows);
}

// dw = dy' x, db = sum of dy
static void
gradients (const Layer *l, int batch, const float *x, const float *dy)
{
    memset (l->db, 0, (size_t)l->rows * sizeof *l->db);
    for (int i = 0; i < batch; i++)
        for (int j = 0; j < l->rows; j++)
            l->db[j] += dy[i * l->rows + j];
    cblas_sgemm (CblasRowMajor, CblasTrans, CblasNoTrans, l->rows, l->columns, batch, 1, dy,
                 l->rows, x, l->columns, 0, l->dw, l->columns);
}

static void
move (float *restrict w, const float *restrict g, float *restrict v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = MOMENTUM * v[i] + g[i];
        w[i] -= RATE * v[i];
    }
}

static void
update (Layer *l)
{
    move (l->w, l->dw, l->vw, (size_t)l->rows * (size_t)l->columns);
    move (l->b, l->db, l->vb, (size_t)l->rows);
}

// y becomes the gradient of the mean cross-entropy. Returns: the loss.
static float
softmax (const Net *n)
{
    const int k = n->output.rows;
    float loss = 0;

    for (int i = 0; i < n->batch; i++) {
        float *y = n->y + i * k, top = y[0], sum = 0;

        for (int j = 1; j < k; j++)
            top = fmaxf (top, y[j]);
        loss -= y[n->labels[i]] - top;
        for (int j = 0; j < k; j++)
            sum += y[j] = expf (y[j] - top);
        loss += logf (sum);
        for (int j = 0; j < k; j++)
            y[j] /= sum * (float)n->batch;
        y[n->labels[i]] -= 1 / (float)n->batch;
    }
    return loss / (float)n->batch;
}

static float
step (Net *n)
{
    const int count = n->batch * n->hidden.rows;
    float loss;

    forward (&n->hidden, n->batch, n->x, n->h);
    for (int i = 0; i < count; i++)
        n->h[i] = fmaxf (n->h[i], 0);
    forward (&n->output, n->batch, n->h, n->y);
    loss = softmax (n);
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, n->batch, n->hidden.rows,
                 n->output.rows, 1, n->y, n->output.rows, n->output.w, n->hidden.rows, 0, n->dh,
                 n->hidden.rows);
    for (int i = 0; i < count; i++)
        n->dh[i] = n->h[i] > 0 ? n->dh[i] : 0;
    gradients (&n->output, n->batch, n->h, n->y);
    gradients (&n->hidden, n->batch, n->x, n->dh);
    update (&n->output);
    update (&n->hidden);
    return loss;
}

static double
now (void)
{
    struct timespec t;

    clock_gettime (CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
by_value (const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
time_steps (Net *n, float *loss)
{
    double samples[SAMPLES];
    int inner = 1;

    for (int i = -3; i < SAMPLES; i++) {
        const double start = now ();
        double seconds;

        for (int k = 0; k < inner; k++)
            *loss = step (n);
        seconds = now () - start;
        if (i == -1 && seconds < SAMPLE_SECONDS)
            inner = (int)(SAMPLE_SECONDS / fmax (seconds, 1e-7)) + 1;
        if (i >= 0)
            samples[i] = seconds / inner;
    }
    qsort (samples, SAMPLES, sizeof *samples, by_value);
    return samples[SAMPLES / 2];
}

int
main (int argc, char **argv)
{
    const int in = argc > 2 ? atoi (argv[2]) : 0, hidden = argc > 3 ? atoi (argv[3]) : 0;
    Net n = {.batch = argc > 1 ? atoi (argv[1]) : 0};
    float loss = 0;
    double seconds;

    if (argc < 5 || n.batch < 1 || in < 1 || hidden < 1 || atoi (argv[4]) < 1) {
        fprintf (stderr, "usage: bench-floor BATCH IN HIDDEN OUT [THREADS]\n");
        return 2;
    }
    openblas_set_num_threads (argc > 5 ? atoi (argv[5]) : 1);
    n.hidden = layer (hidden, in);
    n.output = layer (atoi (argv[4]), hidden);
    n.x = numbers ((size_t)n.batch * (size_t)in, 1);
    n.h = numbers ((size_t)n.batch * (size_t)hidden, 0);
    n.dh = numbers ((size_t)n.batch * (size_t)hidden, 0);
    n.y = numbers ((size_t)n.batch * (size_t)n.output.rows, 0);
    n.labels = malloc ((size_t)n.batch * sizeof *n.labels);
    for (int i = 0; i < n.batch; i++)
        n.labels[i] = i * 7 % n.output.rows;
    seconds = time_steps (&n, &loss);
    printf ("by hand %d-%d-%d batch %d: %.1f us a step, %.0f examples/s (loss %.4f)\n", in, hidden,
            n.output.rows, n.batch, seconds * 1e6, n.batch / seconds, loss);
    return !isfinite (loss);
}
