/* SPDX-License-Identifier: MIT */
/* Training steps with perturbed weights beside the plain step of the same net, in one run:
 *
 *     bench-flipout [THREADS [ROUNDS [BATCH [FILTER]]]]
 *
 * Nets: fully connected, convolutional, LSTM. Each kind of step is run once a round, in turn, and
 * the fastest of the rounds counts: in time of this thread's processor when THREADS is 1, by the
 * clock else. Plugins come from DLHOST_PLUGIN_PATH. */
#include <math.h>
#include <string.h>

#include "bench.h"

/* A net and what it is fed. */
typedef struct {
    const char *name, *model;
    DlhShape input;
    gint64 vocabulary;
    DlhTargetKind kind;
    gint64 n_classes;
} Net;

static const Net nets[] = {
    {"fc 1024-1024-1024-10",
     "mlp;hidden=[1024,1024]",
     {.rank = 1, .dims = {1024}},
     0,
     DLH_TARGET_CLASS,
     10},
    {"fc 784-1000-10", "mlp;hidden=[1000]", {.rank = 1, .dims = {784}}, 0, DLH_TARGET_CLASS, 10},
    {"fc 400-400-400-10",
     "mlp;hidden=[400,400]",
     {.rank = 1, .dims = {400}},
     0,
     DLH_TARGET_CLASS,
     10},
    {"conv 32-64, 3x3 on 32x32",
     "convnet;channels=[64]",
     {.rank = 3, .dims = {32, 32, 32}},
     0,
     DLH_TARGET_CLASS,
     10},
    {"conv 32-64-64",
     "convnet;channels=[32,64,64]",
     {.rank = 3, .dims = {3, 32, 32}},
     0,
     DLH_TARGET_CLASS,
     10},
    {"lstm 256, 35 steps",
     "lstm;hidden=256;embedding=256",
     {.rank = 1, .dims = {35}},
     1000,
     DLH_TARGET_SEQUENCE,
     1000},
    {"lstm 512, 20 steps",
     "lstm;hidden=512;embedding=256",
     {.rank = 1, .dims = {20}},
     1000,
     DLH_TARGET_SEQUENCE,
     1000},
};

/* What is set beside the plain step. */
static const struct {
    const char *name, *perturb, *objective;
} methods[] = {
    {"plain", NULL, NULL},
    {"shared multiplicative", "shared;noise=multiplicative", NULL},
    {"flipout multiplicative", "flipout;noise=multiplicative", NULL},
    {"  bf16", "flipout;noise=multiplicative;precision=bf16", NULL},
    {"flipout dropconnect", "flipout;noise=dropconnect", NULL},
    {"  bf16", "flipout;noise=dropconnect;precision=bf16", NULL},
    {"shared gaussian + KL", "shared;bias=none", "elbo"},
    {"flipout gaussian + KL", "flipout;bias=none", "elbo"},
    {"  bf16", "flipout;bias=none;precision=bf16", "elbo"},
};

typedef struct {
    DlhStore *store;
    DlhTrainer *trainer;
    double best, bytes;
} Lane;

static DlhComponent *
model_of (DlhRegistry *registry, const Net *net, guint method)
{
    g_autoptr (GError) error = NULL;
    DlhComponent *model = bench_load (registry, DLH_MODEL, net->model);

    if (methods[method].perturb) {
        g_autoptr (DlhComponent) perturb =
            bench_load (registry, DLH_PERTURB, methods[method].perturb);
        g_autoptr (DlhComponent) plain = model;

        model = dlh_perturb_model (plain, perturb, NULL, &error);
        bench_check (model != NULL, &error);
    }
    if (methods[method].objective) {
        g_autoptr (DlhComponent) objective =
            bench_load (registry, DLH_OBJECTIVE, methods[method].objective);
        g_autoptr (DlhComponent) plain = model;

        model = dlh_model_with_objective (plain, objective, &error);
        bench_check (model != NULL, &error);
    }
    return model;
}

static void
lane_open (Lane *lane, DlhRegistry *registry, const Net *net, guint method)
{
    g_autoptr (DlhComponent) model = model_of (registry, net, method);
    g_autoptr (DlhComponent) sgd = bench_load (registry, DLH_OPTIMIZER, "sgd;lr=1e-4");
    g_autoptr (GError) error = NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem,
                          .input_shape = net->input,
                          .target_shape =
                              net->kind == DLH_TARGET_SEQUENCE ? net->input : dlh_shape (),
                          .target_kind = net->kind,
                          .n_classes = net->n_classes,
                          .vocabulary = net->vocabulary,
                          .target_std = 1,
                          .n_examples = 60000};

    lane->store = dlh_store_new (1, DLH_F32);
    lane->best = INFINITY;
    lane->trainer = dlh_trainer_new (lane->store, model, sgd, &problem, &training, &error);
    bench_check (lane->trainer != NULL, &error);
}

// Uniform numbers, or tokens and classes below @limit.
static DlhTensor *
data (DlhDType dtype, DlhShape shape, gint64 limit)
{
    g_autoptr (GError) error = NULL;
    DlhTensor *t = dlh_tensor_new (dtype, shape, &error);
    gsize n = (gsize)dlh_shape_count (shape);
    g_autofree double *values = g_new (double, n);

    bench_check (t != NULL, &error);
    dlh_random_fill_uniform (1, "bench", (guint64)limit, values, n);
    for (gsize i = 0; i < n; i++)
        dlh_tensor_set (t, (gint64)i, limit ? floor (values[i] * (double)limit) : values[i] - 0.5);
    return t;
}

static void
bench (DlhRegistry *registry, const Net *net, gint64 batch, guint threads, guint rounds)
{
    const DlhShape in = dlh_shape_insert (net->input, 0, batch);
    g_autoptr (DlhTensor) x = data (net->vocabulary ? DLH_I32 : DLH_F32, in, net->vocabulary);
    g_autoptr (DlhTensor) y =
        data (DLH_I32, net->kind == DLH_TARGET_SEQUENCE ? in : dlh_shape (batch), net->n_classes);
    Lane lanes[G_N_ELEMENTS (methods)] = {{0}};

    for (guint m = 0; m < G_N_ELEMENTS (methods); m++)
        lane_open (&lanes[m], registry, net, m);
    for (guint r = 0; r < rounds + 1; r++) // the first compiles
        for (guint m = 0; m < G_N_ELEMENTS (methods); m++) {
            g_autoptr (GError) error = NULL;
            double begun = bench_now (threads);
            gboolean ok = dlh_trainer_step (lanes[m].trainer, x, y, &error);

            bench_check (ok, &error);
            if (r)
                lanes[m].best = fmin (lanes[m].best, bench_now (threads) - begun);
        }
    printf ("%s, batch %d\n", net->name, (int)batch);
    for (guint m = 0; m < G_N_ELEMENTS (methods); m++) {
        printf ("  %-24s %8.2f ms  %5.2f\n", methods[m].name, 1e3 * lanes[m].best,
                lanes[m].best / lanes[0].best);
        dlh_trainer_free (lanes[m].trainer);
        dlh_store_unref (lanes[m].store);
    }
}

int
main (int argc, char **argv)
{
    const guint threads = argc > 1 ? (guint)atoi (argv[1]) : 1;
    const guint rounds = argc > 2 ? (guint)atoi (argv[2]) : 21;
    const gint64 batch = argc > 3 ? atoi (argv[3]) : 128;
    DlhRegistry *registry = dlh_registry_new (getenv ("DLHOST_PLUGIN_PATH"));

    dlh_set_threads (threads);
    for (guint i = 0; i < G_N_ELEMENTS (nets); i++)
        if (argc < 5 || strstr (nets[i].name, argv[4]))
            bench (registry, &nets[i], batch, threads, rounds);
    dlh_registry_free (registry);
    return 0;
}
