/* SPDX-License-Identifier: MIT */
/* Evolution strategies: rows a second that candidates are scored on, updates included, in one run:
 *
 *     bench-es [THREADS [ROUNDS [MEMBERS [BATCH]]]]
 *
 * Nets 784-w-10 of several widths. flipes and es independent score MEMBERS candidates on BATCH rows
 * each; es shared scores one candidate on as many rows as they have together, which is what a
 * product without perturbations of their own would cost. Each is run once a round, in turn, and the
 * fastest of the rounds counts: in time of this thread's processor when THREADS is 1, by the clock
 * else. Plugins come from DLHOST_PLUGIN_PATH. */
#include <math.h>

#include "bench.h"

enum { INPUTS = 784, CLASSES = 10, FORWARD = 3, N_METHODS = 4 };

static const gint64 widths[] = {32, 128, 512};

typedef struct {
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x, *y;
    double best;
    gsize memory;
    gboolean forward; /* nothing but the net itself */
} Lane;

static void
fill (Lane *lane, gint64 rows)
{
    g_autoptr (GError) error = NULL;
    float *x;

    lane->x = dlh_tensor_new (DLH_F32, dlh_shape (rows, INPUTS), &error);
    bench_check (lane->x != NULL, &error);
    lane->y = dlh_tensor_new (DLH_I64, dlh_shape (rows), &error);
    bench_check (lane->y != NULL, &error);
    x = dlh_tensor_get_data (lane->x);
    for (gint64 i = 0; i < rows * INPUTS; i++)
        x[i] = (float)((i * 7919) % 1000) / 1000;
    for (gint64 i = 0; i < rows; i++)
        dlh_tensor_set (lane->y, i, (double)(i % CLASSES));
}

static void
lane_pass (Lane *lane)
{
    g_autoptr (GError) error = NULL;

    bench_check (lane->forward ? dlh_trainer_evaluate (lane->trainer, lane->x, lane->y, &error)
                               : dlh_trainer_step (lane->trainer, lane->x, lane->y, &error),
                 &error);
}

static void
lane_open (Lane *lane, DlhRegistry *registry, guint method, gint64 width, gint64 members,
           gint64 batch)
{
    static const char *const names[] = {"flipes;workers=1", "es;workers=1",
                                        "es;perturbation=shared;workers=", "flipes;workers=1"};
    g_autofree char *net = g_strdup_printf ("mlp;hidden=[%" G_GINT64_FORMAT "]", width);
    g_autofree char *workers = g_strdup_printf ("%" G_GINT64_FORMAT, members);
    g_autofree char *text = g_strdup_printf ("%s%s;members=%" G_GINT64_FORMAT
                                             ";antithetic=false;step=sgd;shaping=centred;lr=1e-4",
                                             names[method], method == 2 ? workers : "", members);
    g_autoptr (DlhComponent) model = bench_load (registry, DLH_MODEL, net);
    g_autoptr (DlhComponent) optimizer = bench_load (registry, DLH_OPTIMIZER, text);
    g_autoptr (GError) error = NULL;
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    const DlhProblem problem = {.size = sizeof problem,
                                .input_shape = dlh_shape (INPUTS),
                                .target_kind = DLH_TARGET_CLASS,
                                .n_classes = CLASSES,
                                .target_std = 1};

    lane->store = dlh_store_new (1, DLH_F32);
    lane->best = INFINITY;
    fill (lane, method == FORWARD ? members * batch : batch);
    lane->trainer = dlh_trainer_new (lane->store, model, optimizer, &problem, &training, &error);
    bench_check (lane->trainer != NULL, &error);
    lane->forward = method == FORWARD;
    lane_pass (lane);
    lane->memory = dlh_function_memory (dlh_trainer_function (lane->trainer));
}

static void
lane_close (Lane *lane)
{
    dlh_trainer_free (lane->trainer);
    dlh_store_unref (lane->store);
    dlh_tensor_unref (lane->x);
    dlh_tensor_unref (lane->y);
}

static void
lane_run (Lane *lane, guint threads)
{
    const double start = bench_now (threads);

    lane_pass (lane);
    lane->best = fmin (lane->best, bench_now (threads) - start);
}

static void
bench (DlhRegistry *registry, gint64 width, guint threads, guint rounds, gint64 members,
       gint64 batch)
{
    static const char *const titles[] = {"flipes", "independent", "one a worker", "forward alone"};
    const double rows = (double)(members * batch);
    Lane lanes[N_METHODS] = {{0}};

    for (guint m = 0; m < N_METHODS; m++)
        lane_open (&lanes[m], registry, m, width, members, batch);
    for (guint r = 0; r < rounds; r++)
        for (guint m = 0; m < N_METHODS; m++)
            lane_run (&lanes[m], threads);
    for (guint m = 0; m < N_METHODS; m++) {
        printf ("width %4d  %-13s %9.0f rows/s  %6.2f x forward's time  %7.1f MiB\n", (int)width,
                titles[m], rows / lanes[m].best, lanes[m].best / lanes[FORWARD].best,
                (double)lanes[m].memory / (1 << 20));
        fflush (stdout);
    }
    for (guint m = 0; m < N_METHODS; m++)
        lane_close (&lanes[m]);
}

static gint64
argument (int argc, char **argv, int i, gint64 preset)
{
    return argc > i ? MAX (g_ascii_strtoll (argv[i], NULL, 10), 1) : preset;
}

int
main (int argc, char **argv)
{
    DlhRegistry *registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    const guint threads = (guint)argument (argc, argv, 1, 1);
    const guint rounds = (guint)argument (argc, argv, 2, 11);
    const gint64 members = argument (argc, argv, 3, 40), batch = argument (argc, argv, 4, 20);

    dlh_set_threads (threads);
    printf ("%u threads, fastest of %u rounds, %d candidates on %d rows\n", threads, rounds,
            (int)members, (int)batch);
    for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
        bench (registry, widths[i], threads, rounds, members, batch);
    dlh_registry_free (registry);
    return 0;
}
