/* SPDX-License-Identifier: MIT */
/* A training step of beta-TCVAE beside one of the plain VAE, on the paper's nets for dSprites
 * (4096-1200-1200-20 and 10-1200-1200-1200-4096):
 *
 *     bench-tcvae BATCH [THREADS [SAMPLES]]
 *
 * Both take steps in turns; the least processor time of each is printed, and their ratio. */
#include <math.h>
#include "bench.h"

#define PIXELS 4096

static double
seconds (void)
{
    struct timespec t;

    clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static DlhTrainer *
make_trainer (DlhRegistry *registry, const char *name)
{
    g_autofree char *nets =
        g_strconcat (name, ";encoder=[1200,1200];decoder=[1200,1200,1200];activation=relu", NULL);
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhComponent) model = bench_load (registry, DLH_MODEL, nets);
    g_autoptr (DlhComponent) adam = bench_load (registry, DLH_OPTIMIZER, "adam");
    const DlhProblem problem = {
        .size = sizeof problem, .input_shape = dlh_shape (PIXELS), .n_examples = 737280};
    const DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    g_autoptr (GError) error = NULL;
    DlhTrainer *trainer = dlh_trainer_new (store, model, adam, &problem, &training, &error);

    bench_check (trainer != NULL, &error);
    return trainer;
}

int
main (int argc, char **argv)
{
    static const char *const names[] = {"vae", "beta_tcvae"};
    const int batch = argc > 1 ? atoi (argv[1]) : 0, threads = argc > 2 ? atoi (argv[2]) : 1;
    const int samples = argc > 3 ? atoi (argv[3]) : 7;
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhTensor) x = NULL;
    DlhTrainer *trainers[2];
    double least[2] = {INFINITY, INFINITY};
    g_autoptr (GError) error = NULL;

    if (batch < 2 || threads < 1 || samples < 1) {
        fprintf (stderr, "usage: bench-tcvae BATCH [THREADS [SAMPLES]]\n");
        return 2;
    }
    dlh_set_threads ((guint)threads);
    bench_check ((x = dlh_tensor_new (DLH_F32, dlh_shape (batch, PIXELS), &error)) != NULL, &error);
    for (gint64 i = 0; i < dlh_tensor_count (x); i++)
        dlh_tensor_set (x, i, (double)(i * 2654435761u % 1000 < 100));
    for (int k = 0; k < 2; k++)
        trainers[k] = make_trainer (registry, names[k]);
    // The first step compiles.
    for (int i = 0; i <= samples; i++)
        for (int k = 0; k < 2; k++) {
            const double begun = seconds ();

            bench_check (dlh_trainer_step (trainers[k], x, NULL, &error), &error);
            if (i > 0)
                least[k] = MIN (least[k], seconds () - begun);
        }
    printf ("batch %d, %d threads: vae %.1f ms, beta_tcvae %.1f ms; ratio %.3f\n", batch, threads,
            1e3 * least[0], 1e3 * least[1], least[1] / least[0]);
    for (int k = 0; k < 2; k++)
        dlh_trainer_free (trainers[k]);
    return 0;
}
