/* SPDX-License-Identifier: MIT */
/* Games between a generator and a discriminator whose solutions are known. */
#include "trainer-bench.h"

static void
game_init (Bench *b, const char *model, const char *const *settings, const char *const *adam,
           gint64 batch)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (1)};

    bench_open (b, 8);
    b->model = load_plugin (b->registry, DLH_MODEL, model, settings);
    bench_train (b, "adam", adam, &problem, NULL);
    b->x = dlh_tensor_new (DLH_F64, dlh_shape (batch, 1), NULL);
}

// Batch @number of mean + std N (0, 1), and a step.
static void
game_step (Bench *b, guint64 number, double mean, double std)
{
    const gsize n = (gsize)dlh_tensor_count (b->x);
    double *x = dlh_tensor_get_data (b->x);

    dlh_random_fill_normal (4, "batches", number, x, n);
    for (gsize i = 0; i < n; i++)
        x[i] = mean + std * x[i];
    bench_step (b);
}

static double
parameter (Bench *b, const char *name)
{
    return dlh_tensor_get (dlh_variable_tensor (dlh_store_lookup (b->store, name)), 0);
}

static void
set_parameter (Bench *b, const char *name, double value)
{
    dlh_tensor_set (dlh_variable_tensor (dlh_store_lookup (b->store, name)), 0, value);
}

/* Data N (1, 1), generator held at N (-1, 1): the best discriminator's logit is log p_data / p_g =
 * 2 x, which a linear one can be. Averages over the last steps; 256 000 examples there give the
 * maximum of the likelihood a standard error of about 0.01. */
static void
best_discriminator (void)
{
    static const char *const settings[] = {
        "latents",        "1", "decoder", "[]", "output", "identity", "discriminator", "[]",
        "generator_rate", "0", "dropout", "0",  NULL};
    g_auto (Bench) g = {0};
    double w = 0, b = 0;

    game_init (&g, "gan", settings, (const char *[]){"lr", "0.02", NULL}, 256);
    game_step (&g, 0, 1, 1);
    set_parameter (&g, "gan/generator/output/weight", 1);
    set_parameter (&g, "gan/generator/output/bias", -1);
    for (guint i = 0; i < 2000; i++) {
        game_step (&g, i + 1, 1, 1);
        if (i >= 1000) {
            w += parameter (&g, "gan/discriminator/output/weight") / 1000;
            b += parameter (&g, "gan/discriminator/output/bias") / 1000;
        }
    }
    test_assert_within (&w, (double[]){2}, 1, 0.05);
    test_assert_within (&b, (double[]){0}, 1, 0.05);
    g_assert_cmpfloat (parameter (&g, "gan/generator/output/bias"), ==, -1);
}

/* Data N (3, 0.5^2), generator w z + b: the game's value is at b = 3, |w| = 0.5. Players that move
 * at once circle around it, so the means over the last steps are compared, not the last step. */
static void
check_optimum (const char *model, const char *const *settings, const char *const *adam,
               guint n_steps, double tolerance)
{
    g_autofree char *weight = g_strconcat (model, "/generator/output/weight", NULL);
    g_autofree char *bias = g_strconcat (model, "/generator/output/bias", NULL);
    g_auto (Bench) g = {0};
    double w = 0, b = 0;
    guint n = 0;

    game_init (&g, model, settings, adam, 64);
    for (guint i = 0; i < n_steps; i++) {
        game_step (&g, i, 3, 0.5);
        if (i < n_steps / 2)
            continue;
        w += fabs (parameter (&g, weight));
        b += parameter (&g, bias);
        n++;
    }
    test_assert_within ((double[]){b / n}, (double[]){3}, 1, tolerance);
    test_assert_within ((double[]){w / n}, (double[]){0.5}, 1, tolerance);
}

static void
optimum_gan (void)
{
    static const char *const settings[] = {"latents",
                                           "1",
                                           "decoder",
                                           "[]",
                                           "output",
                                           "identity",
                                           "discriminator",
                                           "[16]",
                                           "discriminator_activation",
                                           "tanh",
                                           "dropout",
                                           "0",
                                           "generator_rate",
                                           "0.2",
                                           NULL};

    check_optimum ("gan", settings, (const char *[]){"lr", "0.01", "beta1", "0.5", NULL}, 6000,
                   0.15);
}

// In one dimension a critic whose slope has the wrong sign must pass through slope 0, which a
// penalty of 10 forbids: it is below the distance of the means here.
static void
optimum_wgan (void)
{
    static const char *const settings[] = {"latents",
                                           "1",
                                           "decoder",
                                           "[]",
                                           "output",
                                           "identity",
                                           "discriminator",
                                           "[16]",
                                           "discriminator_activation",
                                           "tanh",
                                           "penalty",
                                           "0.3",
                                           NULL};

    check_optimum ("wgan_gp", settings,
                   (const char *[]){"lr", "0.01", "beta1", "0", "beta2", "0.9", NULL}, 6000, 0.15);
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/gan-games/discriminator/density-ratio", best_discriminator);
    g_test_add_func ("/gan-games/optimum/gan", optimum_gan);
    g_test_add_func ("/gan-games/optimum/wgan", optimum_wgan);
    return g_test_run ();
}
