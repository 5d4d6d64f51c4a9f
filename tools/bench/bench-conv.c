/* SPDX-License-Identifier: MIT */
/* Convolutions and pooling on one shape:
 *
 *     bench-conv conv BATCH CHANNELS FILTERS SIZE KERNEL PADDING [THREADS [f64]]
 *     bench-conv pool BATCH CHANNELS SIZE [THREADS [f64]]
 *
 * Prints for the value and each gradient: median time of a run in ms, median absolute deviation, and
 * GF/s (a pool's: G elements read a second). Of one thread it is the processor's time, so that other
 * jobs of the machine disturb less. peer_conv.py puts PyTorch's figures beside them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <dlhost/dlhost.h>

#define SAMPLES 21
#define SAMPLE_SECONDS 2e-3

static int
by_value (const void *a, const void *b)
{
    const double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

static double
median (double *v)
{
    qsort (v, SAMPLES, sizeof *v, by_value);
    return v[SAMPLES / 2];
}

static double
now (void)
{
    struct timespec t;

    clock_gettime (dlh_get_threads () == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static double
seconds (DlhFunction *f, guint repeats, DlhTensor *const *inputs, guint n)
{
    const double start = now ();
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < repeats; i++)
        if (!dlh_function_run (f, inputs, n, &error)) {
            fprintf (stderr, "%s\n", error->message);
            exit (1);
        }
    return (now () - start) / repeats;
}

static void
measure (const char *what, DlhNode *node, DlhTensor *const *inputs, guint n, double work)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhFunction) f = dlh_graph_compile (dlh_node_graph (node), &node, 1, &error);
    double v[SAMPLES], middle;
    guint repeats;

    if (!f) {
        fprintf (stderr, "%s\n", error->message);
        exit (1);
    }
    seconds (f, 1, inputs, n);
    repeats = 1 + (guint) (SAMPLE_SECONDS / (seconds (f, 2, inputs, n) + 1e-7));
    for (guint i = 0; i < SAMPLES; i++)
        v[i] = seconds (f, repeats, inputs, n);
    middle = median (v);
    for (guint i = 0; i < SAMPLES; i++)
        v[i] = ABS (v[i] - middle);
    printf ("%s %.4f %.4f %.1f\n", what, 1e3 * middle, 1e3 * median (v), work / middle / 1e9);
    fflush (stdout);
}

static DlhTensor *
random_tensor (DlhDType dtype, DlhShape shape)
{
    g_autoptr (GRand) random = g_rand_new_with_seed (1);
    DlhTensor *t = dlh_tensor_new (dtype, shape, NULL);

    for (gint64 i = 0; i < dlh_tensor_count (t); i++)
        dlh_tensor_set (t, i, g_rand_double_range (random, -1, 1));
    return t;
}

static void
bench_conv (DlhDType dtype, gint64 batch, gint64 channels, gint64 filters, gint64 size,
            gint64 kernel, gint64 padding)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhConv conv = {{1, 1}, {padding, padding}, {1, 1}, 1};
    DlhNode *x = dlh_input (graph, "x", dtype, dlh_shape (batch, channels, size, size));
    DlhNode *w = dlh_input (graph, "w", dtype, dlh_shape (filters, channels, kernel, kernel));
    DlhNode *b = dlh_input (graph, "b", dtype, dlh_shape (filters));
    DlhNode *y = dlh_conv2d (x, w, b, conv);
    DlhNode *dy = dlh_input (graph, "dy", dtype, dlh_node_shape (y)), *dx[2];
    g_autoptr (DlhTensor) tx = random_tensor (dtype, dlh_node_shape (x));
    g_autoptr (DlhTensor) tw = random_tensor (dtype, dlh_node_shape (w));
    g_autoptr (DlhTensor) tb = random_tensor (dtype, dlh_node_shape (b));
    g_autoptr (DlhTensor) ty = random_tensor (dtype, dlh_node_shape (y));
    DlhTensor *inputs[] = {tx, tw, tb, ty};
    const double flops = 2.0 * (double) dlh_shape_count (dlh_node_shape (y)) *
                         (double) (channels * kernel * kernel);

    dlh_gradients (y, (DlhNode *[]){x, w}, 2, dy, dx);
    measure ("forward", y, inputs, 4, flops);
    measure ("data", dx[0], inputs, 4, flops);
    measure ("weight", dx[1], inputs, 4, flops);
}

static void
bench_pool (DlhDType dtype, gint64 batch, gint64 channels, gint64 size)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    const DlhPool pool = {{2, 2}, {2, 2}, {0, 0}};
    DlhNode *x = dlh_input (graph, "x", dtype, dlh_shape (batch, channels, size, size));
    DlhNode *y = dlh_max_pool2d (x, pool), *dx;
    DlhNode *dy = dlh_input (graph, "dy", dtype, dlh_node_shape (y));
    g_autoptr (DlhTensor) tx = random_tensor (dtype, dlh_node_shape (x));
    g_autoptr (DlhTensor) ty = random_tensor (dtype, dlh_node_shape (y));
    DlhTensor *inputs[] = {tx, ty};
    const double n = (double) dlh_tensor_count (tx);

    dlh_gradients (y, &x, 1, dy, &dx);
    measure ("forward", y, inputs, 2, n);
    measure ("data", dx, inputs, 2, n);
}

static gint64
number (int argc, char **argv, int i, gint64 otherwise)
{
    return i < argc ? g_ascii_strtoll (argv[i], NULL, 10) : otherwise;
}

int
main (int argc, char **argv)
{
    const gboolean pool = argc > 1 && g_str_equal (argv[1], "pool");
    const int last = pool ? 4 : 7;
    const DlhDType dtype = argc > last + 2 ? dlh_dtype_from_name (argv[last + 2]) : DLH_F32;

    if (argc <= last || !dtype || (!pool && !g_str_equal (argv[1], "conv"))) {
        fprintf (stderr,
                 "usage: bench-conv conv BATCH CHANNELS FILTERS SIZE KERNEL PADDING [THREADS [f64]]\n"
                 "       bench-conv pool BATCH CHANNELS SIZE [THREADS [f64]]\n");
        return 2;
    }
    dlh_set_threads ((guint) number (argc, argv, last + 1, 1));
    if (pool)
        bench_pool (dtype, number (argc, argv, 2, 0), number (argc, argv, 3, 0),
                    number (argc, argv, 4, 0));
    else
        bench_conv (dtype, number (argc, argv, 2, 0), number (argc, argv, 3, 0),
                    number (argc, argv, 4, 0), number (argc, argv, 5, 0), number (argc, argv, 6, 0),
                    number (argc, argv, 7, 0));
    return 0;
}
