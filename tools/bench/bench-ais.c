/* SPDX-License-Identifier: MIT */
/* Leapfrog steps of chains a second of annealed importance sampling on the decoder 50-200-200-784
 * with Bernoulli pixels, beside the six matrix products of a gradient by its latents alone:
 *
 *     bench-ais ROWS [THREADS]
 *
 * Both are timed in turns; the least of the samples of each is printed. peer_ais.py is the same job
 * in PyTorch. */
#include <math.h>
#include <cblas.h>
#include "bench.h"

#define SAMPLES 21
#define STEPS 10 /* leapfrog steps of a transition */
#define PIXELS 784

extern void openblas_set_num_threads (int n);

static const int sizes[] = {50, 200, 200, PIXELS};

// Of the processor for one thread, so that other work on the machine counts little; else the
// clock's.
static double
seconds (int threads)
{
    struct timespec t;

    clock_gettime (threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// y (rows, to) = x (rows, from) w', and back dx = dy w, of each layer.
static void
products (int rows, float *x, float *y, const float *w)
{
    for (int l = 0; l < 3; l++)
        cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, rows, sizes[l + 1], sizes[l], 1, x,
                     sizes[l], w, sizes[l], 0, y, sizes[l + 1]);
    for (int l = 2; l >= 0; l--)
        cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, sizes[l], sizes[l + 1], 1, y,
                     sizes[l + 1], w, sizes[l], 0, x, sizes[l]);
}

static float *
numbers (gsize n)
{
    float *v = g_new (float, n);

    for (gsize i = 0; i < n; i++)
        v[i] = 0.1f * ((float)(i * 2654435761u % 1000) / 1000 - 0.5f);
    return v;
}

static DlhChains *
make_chains (DlhStore *store, DlhRegistry *registry, gint64 rows, DlhTarget **target)
{
    g_autoptr (DlhComponent) model =
        bench_load (registry, DLH_MODEL, "vae;latents=50;encoder=[];decoder=[200,200]");
    g_autoptr (DlhComponent) sampler =
        bench_load (registry, DLH_SAMPLER, "ais;temperatures=100000;steps=10");
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (PIXELS)};
    const DlhLatentPosterior posterior = {sizeof posterior, 1, rows, FALSE};
    g_autoptr (DlhTensor) x = NULL;
    g_autoptr (GError) error = NULL;
    DlhChains *chains = NULL;

    bench_check (
        (x = dlh_tensor_new (DLH_F32, dlh_shape (1, PIXELS), &error)) &&
            (*target = dlh_target_new_latent (store, model, &problem, &posterior, &error)) &&
            (chains = dlh_chains_new (*target, sampler, 0, &error)) &&
            dlh_target_set_examples (*target, x, 0, &error),
        &error);
    return chains;
}

int
main (int argc, char **argv)
{
    const int rows = argc > 1 ? atoi (argv[1]) : 160, threads = argc > 2 ? atoi (argv[2]) : 1;
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhStore) store = dlh_store_new (1, DLH_F32);
    g_autoptr (DlhTarget) target = NULL;
    g_autoptr (DlhChains) chains = NULL;
    g_autofree float *x = NULL, *y = NULL, *w = NULL;
    double sampler = INFINITY, floor = INFINITY, flops = 0;
    g_autoptr (GError) error = NULL;

    if (rows < 1 || threads < 1) {
        fprintf (stderr, "usage: bench-ais ROWS [THREADS]\n");
        return 2;
    }
    x = numbers ((gsize)rows * PIXELS);
    y = numbers ((gsize)rows * PIXELS);
    w = numbers ((gsize)PIXELS * PIXELS);
    dlh_set_threads ((guint)threads);
    openblas_set_num_threads (threads);
    chains = make_chains (store, registry, rows, &target);
    for (int i = 0; i < SAMPLES; i++) {
        double begun = seconds (threads);

        for (int k = 0; k < STEPS; k++)
            products (rows, x, y, w);
        floor = MIN (floor, seconds (threads) - begun);
        begun = seconds (threads);
        bench_check (dlh_chains_transition (chains, &error), &error);
        // The first one starts the chains.
        if (i > 0)
            sampler = MIN (sampler, seconds (threads) - begun);
    }
    for (int l = 0; l < 3; l++)
        flops += 4.0 * rows * STEPS * sizes[l] * sizes[l + 1];
    printf ("%d chains, %d threads: %.1f thousand leapfrog-chains/s, products alone %.1f thousand "
            "(%.0f GFLOP/s); %.2f of them\n",
            rows, threads, 1e-3 * rows * STEPS / sampler, 1e-3 * rows * STEPS / floor,
            1e-9 * flops / floor, floor / sampler);
    return 0;
}
