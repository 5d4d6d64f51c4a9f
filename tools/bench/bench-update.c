/* SPDX-License-Identifier: MIT */
/* Optimizer updates as the optimizers write them, compiled and run, against the rate at which this
 * machine updates memory in place:
 *
 *     bench-update [MILLIONS-OF-PARAMETERS [THREADS]]
 *
 * The limit is a hand-written momentum loop (three words read, two written), timed between the
 * samples of each job; a job's limit is its bytes at that rate. One thread is timed by its own
 * clock, so that other work on the machine counts for little. Results are checked first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <dlhost/dlhost.h>

#define SAMPLES 31
#define CHECKED 1000

typedef struct {
    DlhStore *store;
    DlhGraph *graph;
    gint64 n;
    GPtrArray *assigns;
} Job;

static DlhNode *
state (Job *job, const char *name, double scale)
{
    g_autoptr (GError) error = NULL;
    DlhVariable *v = dlh_store_variable (job->store, name, DLH_F32, dlh_shape (job->n),
                                         (DlhInit){DLH_INIT_UNIFORM, 0.5 * scale, scale}, &error);

    if (!v) {
        fprintf (stderr, "%s\n", error->message);
        exit (1);
    }
    return dlh_read (job->graph, v);
}

static DlhNode *
rate (Job *job)
{
    DlhVariable *v = dlh_store_variable (job->store, "rate", DLH_F32, dlh_shape (),
                                         (DlhInit){DLH_INIT_CONSTANT, 0.01, 0}, NULL);

    return dlh_read (job->graph, v);
}

static void
assign (Job *job, DlhNode *read, DlhNode *value)
{
    g_ptr_array_add (job->assigns, dlh_assign (dlh_node_variable (read), value));
}

static void
momentum_build (Job *job)
{
    DlhNode *theta = state (job, "theta", 1), *v = state (job, "v", 1), *g = state (job, "g", 1);
    DlhNode *next = dlh_add (dlh_scale (v, 0.9), g);

    assign (job, v, next);
    assign (job, theta, dlh_add (theta, dlh_neg (dlh_mul (next, rate (job)))));
}

static void
momentum_reference (const float *const *x, double *y)
{
    y[0] = x[0][0] - 0.01 * (0.9 * x[1][0] + x[2][0]);
}

static void
adam_build (Job *job)
{
    DlhNode *theta = state (job, "theta", 1), *m = state (job, "m", 1), *v = state (job, "v", 1);
    DlhNode *g = state (job, "g", 1);
    DlhNode *m1 = dlh_add (dlh_scale (m, 0.9), dlh_scale (g, 0.1));
    DlhNode *v1 = dlh_add (dlh_scale (v, 0.999), dlh_scale (dlh_square (g), 0.001));
    DlhNode *step = dlh_div (dlh_mul (m1, rate (job)), dlh_offset (dlh_sqrt (v1), 1e-8));

    assign (job, m, m1);
    assign (job, v, v1);
    assign (job, theta, dlh_add (theta, dlh_neg (step)));
}

static void
adam_reference (const float *const *x, double *y)
{
    double g = x[3][0], m = 0.9 * x[1][0] + 0.1 * g, v = 0.999 * x[2][0] + 0.001 * g * g;

    y[0] = x[0][0] - 0.01 * m / (sqrt (v) + 1e-8);
}

// None is 0: such a velocity is not stored, and takes no part in the memory traffic.
static const double betas[] = {0.5, 0.9, 0.99, 0.999};

static void
aggmo_build (Job *job, guint n)
{
    DlhNode *theta = state (job, "theta", 1), *v[4], *g, *sum = NULL;

    for (guint k = 0; k < n; k++) {
        char name[] = {'v', (char) ('0' + k), 0};

        v[k] = state (job, name, 1);
    }
    g = state (job, "g", 1);
    // The mean is in the rate, as the optimizer has it.
    for (guint k = 0; k < n; k++) {
        DlhNode *next = dlh_add (dlh_scale (v[k], betas[k]), g);

        assign (job, v[k], next);
        sum = sum ? dlh_add (sum, next) : next;
    }
    assign (job, theta, dlh_add (theta, dlh_neg (dlh_mul (sum, rate (job)))));
}

static void
aggmo3_build (Job *job)
{
    aggmo_build (job, 3);
}

static void
aggmo4_build (Job *job)
{
    aggmo_build (job, 4);
}

static double
aggmo_reference (const float *const *x, guint n)
{
    double sum = 0;

    for (guint k = 0; k < n; k++)
        sum += betas[k] * x[1 + k][0] + x[1 + n][0];
    return x[0][0] - 0.01 * sum;
}

static void
aggmo3_reference (const float *const *x, double *y)
{
    y[0] = aggmo_reference (x, 3);
}

static void
aggmo4_reference (const float *const *x, double *y)
{
    y[0] = aggmo_reference (x, 4);
}

/* Timing. */

static int
by_value (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

static double
median (double *x, guint n)
{
    qsort (x, n, sizeof *x, by_value);
    return x[n / 2];
}

static double
spread (const double *x, guint n, double middle)
{
    double away[SAMPLES];

    for (guint i = 0; i < n; i++)
        away[i] = fabs (x[i] - middle);
    return median (away, n);
}

static double
seconds_now (void)
{
    struct timespec t;

    clock_gettime (dlh_get_threads () == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

typedef struct {
    float *restrict v, *restrict theta;
    const float *restrict g;
    gsize n;
} Stream;

static gpointer
stream_part (gpointer data)
{
    const Stream *s = data;

    for (gsize i = 0; i < s->n; i++) {
        float next = 0.9f * s->v[i] + s->g[i];

        s->v[i] = next;
        s->theta[i] -= 1e-9f * next;
    }
    return NULL;
}

// Seconds of the hand-written loop, in as many threads.
static double
stream (float *memory, gsize n, guint n_threads)
{
    Stream parts[64];
    GThread *threads[64];
    double start = seconds_now ();

    n_threads = MIN (n_threads, 64);
    for (guint i = 0; i < n_threads; i++) {
        gsize first = n * i / n_threads, last = n * (i + 1) / n_threads;

        // Gaps: arrays a multiple of the page apart would share cache sets.
        parts[i] = (Stream){memory + first, memory + n + 1056 + first,
                            memory + 2 * (n + 1056) + first, last - first};
        threads[i] = i ? g_thread_new ("stream", stream_part, &parts[i]) : NULL;
    }
    stream_part (&parts[0]);
    for (guint i = 1; i < n_threads; i++)
        g_thread_join (threads[i]);
    return seconds_now () - start;
}

static gboolean
check (Job *job, DlhFunction *f, void (*reference) (const float *const *x, double *y))
{
    g_autoptr (GError) error = NULL;
    const float *x[8];
    const float *theta = dlh_tensor_get_data (
        dlh_variable_tensor (dlh_store_lookup (job->store, "theta")));
    double want[CHECKED];
    guint n = 0;

    for (guint i = 0; i < dlh_store_n_variables (job->store); i++) {
        DlhTensor *t = dlh_variable_tensor (dlh_store_get_variable (job->store, i));

        if (dlh_tensor_count (t) > 1)
            x[n++] = dlh_tensor_get_data (t);
    }
    for (guint i = 0; i < CHECKED; i++) {
        const float *at[8];

        for (guint k = 0; k < n; k++)
            at[k] = x[k] + i;
        reference (at, &want[i]);
    }
    if (!dlh_function_run (f, NULL, 0, &error)) {
        fprintf (stderr, "%s\n", error->message);
        return FALSE;
    }
    for (guint i = 0; i < CHECKED; i++)
        if (!(fabs (theta[i] - want[i]) <= 1e-6))
            return FALSE;
    return TRUE;
}

static void
measure (const char *name, gint64 n, guint words, void (*build) (Job *job),
         void (*reference) (const float *const *x, double *y), float *memory)
{
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) assigns = g_ptr_array_new ();
    g_autoptr (GError) error = NULL;
    Job job = {store, graph, n, assigns};
    double ours[SAMPLES], limit[SAMPLES], t, l, unit = 1e9 / (double) n;
    g_autoptr (DlhFunction) f = NULL;

    build (&job);
    f = dlh_graph_compile (graph, (DlhNode **) assigns->pdata, assigns->len, &error);
    if (!f || !check (&job, f, reference)) {
        fprintf (stderr, "%s: %s\n", name, error ? error->message : "wrong result");
        exit (1);
    }
    for (guint i = 0; i < SAMPLES; i++) {
        double start;

        limit[i] = stream (memory, (gsize) n, dlh_get_threads ()) * words / 5;
        start = seconds_now ();
        dlh_function_run (f, NULL, 0, NULL);
        ours[i] = seconds_now () - start;
    }
    t = median (ours, SAMPLES);
    l = median (limit, SAMPLES);
    printf ("%-9s %7.3f +- %.3f ns   limit %7.3f +- %.3f ns   share %5.1f %%, of the fastest "
            "%5.1f %%   %u steps, %5.1f GB/s\n",
            name, t * unit, spread (ours, SAMPLES, t) * unit, l * unit,
            spread (limit, SAMPLES, l) * unit, 100 * l / t, 100 * limit[0] / ours[0],
            dlh_function_n_steps (f), 4.0 * words / (t * unit));
}

int
main (int argc, char **argv)
{
    gint64 n = (gint64) (1e6 * (argc > 1 ? g_ascii_strtod (argv[1], NULL) : 20));
    g_autofree float *memory = NULL;

    dlh_set_threads (argc > 2 ? (guint) g_ascii_strtoull (argv[2], NULL, 10) : 1);
    memory = g_new (float, 3 * ((gsize) n + 1056));
    for (gsize i = 0; i < 3 * ((gsize) n + 1056); i++)
        memory[i] = 1;
    printf ("%" G_GINT64_FORMAT " parameters, %u threads, %s; time a parameter, median of %d\n", n,
            dlh_get_threads (), dlh_cpu_level (), SAMPLES);
    measure ("momentum", n, 5, momentum_build, momentum_reference, memory);
    measure ("adam", n, 7, adam_build, adam_reference, memory);
    measure ("aggmo-3", n, 9, aggmo3_build, aggmo3_reference, memory);
    measure ("aggmo-4", n, 11, aggmo4_build, aggmo4_reference, memory);
    return 0;
}
