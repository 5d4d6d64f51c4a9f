/* SPDX-License-Identifier: MIT */
/* A training step of any model and optimizer on random data:
 *
 *     bench-train "MODEL[;option=value...]" "OPTIMIZER[;...]" BATCH CLASSES DIM[xDIM...]
 * [--profile] [THREADS]
 *
 * Prints the median time of a step, examples a second, and the memory of intermediate values.
 * CLASSES 0: no targets (an autoencoder). --profile: a row for each compiled step with GF/s and
 * GB/s. Plugins come from DLHOST_PLUGIN_PATH. */
#include <string.h>
#include <cblas.h>
#include <sys/resource.h>
#include "bench.h"

#define SAMPLES 31

static int
by_value (const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static DlhShape
parse_shape (const char *text, gint64 batch)
{
    g_auto (GStrv) dims = g_strsplit (text, "x", -1);
    DlhShape shape = dlh_shape (batch);

    for (guint i = 0; dims[i]; i++)
        shape = dlh_shape_insert (shape, shape.rank, g_ascii_strtoll (dims[i], NULL, 10));
    return shape;
}

static void
print_profile (DlhTrainer *t, DlhTensor **inputs, guint n)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) costs =
        dlh_function_profile (dlh_trainer_function (t), inputs, n, 20, &error);
    double total = 0;

    for (guint i = 0; costs && i < costs->len; i++)
        total += g_array_index (costs, DlhCost, i).seconds;
    for (guint i = 0; costs && i < costs->len; i++) {
        DlhCost *c = &g_array_index (costs, DlhCost, i);
        g_autofree char *shape = dlh_shape_to_string (c->shape);

        if (c->seconds > 0.005 * total)
            printf ("%8.1f us %5.1f%% %7.1f GF/s %6.1f GB/s  %-30s %-20s %s\n", c->seconds * 1e6,
                    100 * c->seconds / total, c->flops / c->seconds * 1e-9,
                    c->bytes / c->seconds * 1e-9, c->name, shape, c->scope);
    }
    printf ("%8.1f us in all\n", total * 1e6);
}

static double
time_steps (DlhTrainer *t, DlhTensor *x, DlhTensor *y)
{
    double samples[SAMPLES];
    g_autoptr (GError) error = NULL;
    guint inner = 1;

    for (guint i = 0; i < SAMPLES + 3; i++) {
        gint64 start = g_get_monotonic_time ();
        double seconds;

        for (guint k = 0; k < inner; k++)
            if (!dlh_trainer_step (t, x, y, &error)) {
                fprintf (stderr, "%s\n", error->message);
                exit (1);
            }
        seconds = (double)(g_get_monotonic_time () - start) * 1e-6;
        // Samples of two milliseconds at least.
        if (i == 2 && seconds < 2e-3)
            inner = (guint)(2e-3 / MAX (seconds, 1e-7)) + 1;
        if (i >= 3)
            samples[i - 3] = seconds / inner;
    }
    qsort (samples, SAMPLES, sizeof *samples, by_value);
    return samples[SAMPLES / 2];
}

// GF/s of a plain OpenBLAS product of 1024 x 1024 matrices with the same threads: the best of ten.
static double
sgemm_limit (void)
{
    enum { N = 1024 };
    g_autofree float *a = g_new0 (float, N *N);
    g_autofree float *b = g_new0 (float, N *N);
    g_autofree float *c = g_new0 (float, N *N);
    double best = 0;

    for (guint i = 0; i < 10; i++) {
        gint64 start = g_get_monotonic_time ();

        cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
        best = MAX (best, 2.0 * N * N * N / ((double)(g_get_monotonic_time () - start) * 1e-6));
    }
    return best * 1e-9;
}

static double
total_gflop (DlhTrainer *t, DlhTensor **inputs, guint n)
{
    g_autoptr (GArray) costs = dlh_function_profile (dlh_trainer_function (t), inputs, n, 1, NULL);
    double flops = 0;

    for (guint i = 0; costs && i < costs->len; i++)
        flops += g_array_index (costs, DlhCost, i).flops;
    return flops * 1e-9;
}

int
main (int argc, char **argv)
{
    gboolean profile = argc > 6 && strcmp (argv[6], "--profile") == 0;
    g_autoptr (DlhRegistry) registry = NULL;
    g_autoptr (DlhComponent) model = NULL;
    g_autoptr (DlhComponent) optimizer = NULL;
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhTrainer) trainer = NULL;
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (DlhTensor) y = NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem, .target_std = 1};
    struct rusage usage;
    gint64 batch, classes;
    double seconds, limit, rate;

    if (argc < 6) {
        fprintf (stderr, "usage: %s MODEL OPTIMIZER BATCH CLASSES SHAPE [--profile] [THREADS]\n",
                 argv[0]);
        return 2;
    }
    registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    model = bench_load (registry, DLH_MODEL, argv[1]);
    optimizer = bench_load (registry, DLH_OPTIMIZER, argv[2]);
    batch = g_ascii_strtoll (argv[3], NULL, 10);
    classes = g_ascii_strtoll (argv[4], NULL, 10);
    dlh_set_threads (argc > 6 + profile ? (guint)atoi (argv[6 + profile]) : 1);
    x = dlh_tensor_new (DLH_F32, parse_shape (argv[5], batch), NULL);
    for (gint64 i = 0; i < dlh_tensor_count (x); i++)
        dlh_tensor_set (x, i, (double)(i * 2654435761u % 1000) / 1000);
    problem.input_shape = dlh_shape_remove (dlh_tensor_get_shape (x), 0);
    problem.target_kind = classes ? DLH_TARGET_CLASS : DLH_TARGET_NONE;
    problem.n_classes = classes;
    if (classes) {
        y = dlh_tensor_new (DLH_I64, dlh_shape (batch), NULL);
        for (gint64 i = 0; i < batch; i++)
            dlh_tensor_set (y, i, (double)(i * 7 % classes));
    }
    trainer = dlh_trainer_new (store, model, optimizer, &problem, &training, &error);
    if (!trainer) {
        fprintf (stderr, "%s\n", error->message);
        return 1;
    }
    limit = sgemm_limit ();
    seconds = time_steps (trainer, x, y);
    limit = MAX (limit, sgemm_limit ());
    rate = total_gflop (trainer, (DlhTensor *[]){x, y}, y ? 2 : 1) / seconds;
    getrusage (RUSAGE_SELF, &usage);
    printf ("%s %s batch %" G_GINT64_FORMAT
            ": %.1f us a step, %.0f examples/s; %.1f MB planned, %ld MB peak; "
            "%u threads, %s\n",
            argv[1], argv[2], batch, seconds * 1e6, (double)batch / seconds,
            (double)dlh_function_memory (dlh_trainer_function (trainer)) * 1e-6,
            usage.ru_maxrss / 1024, dlh_get_threads (), dlh_cpu_level ());
    printf ("  %.1f GF/s, %.0f %% of sgemm's %.1f GF/s in this run\n", rate, 100 * rate / limit,
            limit);
    if (profile)
        print_profile (trainer, (DlhTensor *[]){x, y}, y ? 2 : 1);
    return 0;
}
