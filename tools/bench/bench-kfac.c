/* SPDX-License-Identifier: MIT */
/* Steps of K-FAC (or any optimizer with phases) on the autoencoder 784-1000-500-250-30 and back,
 * beside forward and backward passes of the same net:
 *
 *     bench-kfac [BATCH [THREADS [ROUNDS [OPTIMIZER;option=value;...]...]]]
 *
 * Each function that steps run is timed once a round, between a forward and backward pass and a
 * product of 1024 x 1024 matrices: the fastest of the rounds counts, in time of this thread's
 * processor when THREADS is 1 and by the clock else. A function's floor is its multiplications and
 * additions at the product's rate. Then whole steps in the same time, and by the clock.
 * Plugins come from DLHOST_PLUGIN_PATH. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <cblas.h>
#include "bench.h"

#define PRODUCT 1024
#define MAX_PARTS 16
#define STEPS 40

static const char *const usual[] = {
    "kfac;inverses=10",
    "kfac;inverses=100",
    "kfac;statistics=1;inverses=10",
    "kfac;statistics=10;inverses=100",
    "kfac;statistics=10;inverses=100;kl_clip=0",
    "kfac;statistics=1;inverses=10;kl_period=10;precondition_precision=bf16",
    "kfac;statistics=10;inverses=100;kl_period=10;precondition_precision=bf16",
};

/* What a function costs. */
typedef struct {
    const char *name;
    DlhFunction *function;
    double runs, best, flops, bytes;
} Part;

typedef struct {
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x;
    gint64 batch;
    guint threads, rounds;
    double product, passes; /* seconds of the fastest */
} Bench;

static void
check (gboolean ok, GError *const *error)
{
    if (ok)
        return;
    fprintf (stderr, "bench-kfac: %s\n", error && *error ? (*error)->message : "failed");
    exit (1);
}

static double
now (const Bench *b)
{
    struct timespec t;

    clock_gettime (b->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double
clock_now (void)
{
    struct timespec t;

    clock_gettime (CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// A product of OpenBLAS with the same threads: what the machine can do at this moment.
static void
time_product (Bench *b)
{
    const gsize n = (gsize)PRODUCT * PRODUCT;
    g_autofree float *m = g_new0 (float, 3 * n);
    double start;

    for (guint i = 0; i < 2; i++) { // the first touches the pages
        start = now (b);
        cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, PRODUCT, PRODUCT, PRODUCT, 1, m,
                     PRODUCT, m + n, PRODUCT, 0, m + 2 * n, PRODUCT);
        if (i)
            b->product = fmin (b->product, now (b) - start);
    }
}

static void
time_passes (Bench *b)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) gradients = NULL;
    double start = now (b);

    gradients = dlh_trainer_gradients (b->trainer, b->x, NULL, &error);
    check (gradients != NULL, &error);
    b->passes = fmin (b->passes, now (b) - start);
}

static void
time_part (Bench *b, Part *part)
{
    g_autoptr (GError) error = NULL;
    double start = now (b);

    check (dlh_function_run (part->function, &b->x, 1, &error), &error);
    part->best = fmin (part->best, now (b) - start);
}

static void
count (Bench *b, Part *part)
{
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) costs = dlh_function_profile (part->function, &b->x, 1, 1, &error);

    check (costs != NULL, &error);
    for (guint i = 0; i < costs->len; i++) {
        part->flops += g_array_index (costs, DlhCost, i).flops;
        part->bytes += g_array_index (costs, DlhCost, i).bytes;
    }
}

static double
variable_bytes (DlhStore *store)
{
    double sum = 0;

    for (guint i = 0; i < dlh_store_n_variables (store); i++)
        sum += (double)dlh_tensor_bytes (dlh_variable_tensor (dlh_store_get_variable (store, i)));
    return sum;
}

static void
print_parts (const Bench *b, const Part *parts, guint n)
{
    const double rate = 2.0 * PRODUCT * PRODUCT * PRODUCT / b->product;
    double sum = 0, floor = 0, memory = 0;

    printf ("  forward and backward %.1f ms; product %.1f GF/s\n", 1e3 * b->passes, 1e-9 * rate);
    for (guint i = 0; i < n; i++) {
        const Part *p = &parts[i];

        printf ("  %-28s %6.3f a step %8.1f ms %7.2f GF %6.1f GF/s  floor %7.1f ms  %6.0f MB\n",
                p->name, p->runs, 1e3 * p->best, 1e-9 * p->flops, 1e-9 * p->flops / p->best,
                1e3 * p->flops / rate, 1e-6 * p->bytes);
        memory += (double)dlh_function_memory (p->function);
        // What runs beside the steps is on another core.
        if (g_str_has_prefix (p->name, "beside"))
            continue;
        sum += p->runs * p->best;
        floor += p->runs * p->flops / rate;
    }
    printf ("  a step %.1f ms: %.2f x forward and backward; floor %.2f x; %.0f MB of variables, "
            "%.0f MB planned\n",
            1e3 * sum, sum / b->passes, floor / b->passes, 1e-6 * variable_bytes (b->store),
            1e-6 * memory);
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

// Pages that the kernel had to bring so far.
static long
page_faults (void)
{
    struct rusage usage;

    getrusage (RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

// Steps that were taken back and made again: they cost twice.
static double
recoveries (const Bench *b)
{
    DlhVariable *v = dlh_store_lookup (b->store, "kfac/recoveries");

    return v ? dlh_tensor_get (dlh_variable_tensor (v), 0) : 0;
}

// On this thread: what runs beside the steps counts only as far as it is waited for or in the way.
// The mean has what other programs did to the caches; the median is a step of the commonest kind.
static void
time_steps (Bench *b)
{
    g_autoptr (GError) error = NULL;
    double by_clock = clock_now (), taken[STEPS], sum = 0, taken_back = recoveries (b);
    long faults = page_faults ();

    for (guint i = 0; i < STEPS; i++) {
        double start = now (b);

        check (dlh_trainer_step (b->trainer, b->x, NULL, &error), &error);
        sum += taken[i] = now (b) - start;
    }
    by_clock = clock_now () - by_clock;
    faults = page_faults () - faults;
    qsort (taken, STEPS, sizeof *taken, compare_doubles);
    printf ("  whole steps, mean of %d: %.1f ms, %.2f x; median %.1f ms; %.1f ms by the clock; "
            "%.1f pages a step, %g taken back\n",
            STEPS, 1e3 * sum / STEPS, sum / STEPS / b->passes, 1e3 * taken[STEPS / 2],
            1e3 * by_clock / STEPS, (double)faults / STEPS, recoveries (b) - taken_back);
}

static void
measure (DlhRegistry *registry, Bench *b, const char *spec)
{
    g_autoptr (DlhComponent) model = bench_load (registry, DLH_MODEL, "autoencoder");
    g_autoptr (DlhComponent) optimizer = bench_load (registry, DLH_OPTIMIZER, spec);
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem, .target_std = 1, .n_classes = 0};
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhTrainer) trainer = NULL;
    g_autoptr (GArray) parts = NULL;
    g_autoptr (GError) error = NULL;
    Part timed[MAX_PARTS] = {0};
    guint n;

    problem.input_shape = dlh_shape (784);
    problem.target_kind = DLH_TARGET_NONE;
    trainer = dlh_trainer_new (store, model, optimizer, &problem, &training, &error);
    check (trainer != NULL, &error);
    b->store = store;
    b->trainer = trainer;
    b->product = b->passes = INFINITY;
    printf ("%s\n", spec);
    for (guint i = 0; i < 3; i++)
        check (dlh_trainer_step (trainer, b->x, NULL, &error), &error);
    parts = dlh_trainer_parts (trainer, b->x, NULL, &error);
    check (parts && parts->len <= MAX_PARTS, &error);
    n = parts->len;
    for (guint i = 0; i < n; i++) {
        const DlhTrainerPart *p = &g_array_index (parts, DlhTrainerPart, i);

        timed[i] = (Part){p->name, p->function, p->runs, INFINITY, 0, 0};
        count (b, &timed[i]);
    }
    for (guint r = 0; r < b->rounds; r++) {
        time_product (b);
        time_passes (b);
        for (guint i = 0; i < n; i++)
            time_part (b, &timed[i]);
    }
    print_parts (b, timed, n);
    time_steps (b);
}

int
main (int argc, char **argv)
{
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    Bench b = {.batch = argc > 1 ? atoi (argv[1]) : 500,
               .threads = argc > 2 ? (guint)atoi (argv[2]) : 1,
               .rounds = argc > 3 ? (guint)atoi (argv[3]) : 15};

    dlh_set_threads (b.threads);
    setvbuf (stdout, NULL, _IOLBF, 0);
    b.x = dlh_tensor_new (DLH_F32, dlh_shape (b.batch, 784), NULL);
    for (gint64 i = 0; i < dlh_tensor_count (b.x); i++)
        dlh_tensor_set (b.x, i, (double)((guint64)i * 2654435761u % 1000) / 1000);
    printf ("batch %" G_GINT64_FORMAT ", %u threads, %s, %s\n", b.batch, b.threads,
            dlh_cpu_level (), openblas_get_config ());
    for (int i = 4; i < argc; i++)
        measure (registry, &b, argv[i]);
    for (guint i = 0; argc <= 4 && i < G_N_ELEMENTS (usual); i++)
        measure (registry, &b, usual[i]);
    dlh_tensor_unref (b.x);
    return 0;
}
