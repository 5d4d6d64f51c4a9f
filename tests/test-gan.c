/* SPDX-License-Identifier: MIT */
/* Adversarial models in double: losses against loops from their definitions, each player's gradient
 * against finite differences of its own loss alone. */
#include "test.h"

#define B 6
#define D 4 /* of an input */
#define L 2 /* latents */

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhComponent *model;
    DlhGraph *graph;
    DlhObjective objective;
    DlhFunction *function; /* discriminator_loss, generator_loss, two more metrics */
    DlhTensor *x;
} Bench;

static void
bench_clear (Bench *b)
{
    dlh_tensor_unref (b->x);
    dlh_function_unref (b->function);
    if (b->graph)
        dlh_graph_unref (b->graph);
    dlh_component_unref (b->model);
    dlh_store_unref (b->store);
    dlh_registry_free (b->registry);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

static const char *const small[] = {"latents", "2",       "decoder", "[3]", "discriminator",
                                    "[5]",     "dropout", "0",       NULL};

static DlhComponent *
load (DlhRegistry *registry, DlhPluginKind kind, const char *name, const char *const *settings,
      const char *const *more)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    for (guint i = 0; settings && settings[i]; i += 2)
        g_hash_table_insert (table, (gpointer)settings[i], (gpointer)settings[i + 1]);
    for (guint i = 0; more && more[i]; i += 2)
        g_hash_table_insert (table, (gpointer)more[i], (gpointer)more[i + 1]);
    c = dlh_registry_load (registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

static gboolean
build (Bench *b, const DlhProblem *problem, DlhTensor *x, GError **error)
{
    const DlhModel *m = dlh_component_interface (b->model);
    DlhBuild in = {.size = sizeof in, .graph = b->graph, .store = b->store, .training = TRUE};
    DlhNode *input = dlh_input (b->graph, "x", DLH_F64, dlh_tensor_get_shape (x));
    gboolean ok;

    in.updates = g_ptr_array_new ();
    dlh_graph_push_scope (b->graph, "net");
    ok = m->supervised->build (&in, problem, dlh_component_options (b->model), input, NULL,
                               &b->objective, error);
    g_ptr_array_unref (in.updates);
    return ok;
}

static void
bench_init (Bench *b, const char *model, const char *const *settings)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (D)};
    DlhNode *outputs[4];
    g_autoptr (GError) error = NULL;

    b->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    b->store = dlh_store_new (3, DLH_F64);
    b->model = load (b->registry, DLH_MODEL, model, small, settings);
    b->graph = dlh_graph_new ();
    b->x = test_tensor_random (DLH_F64, dlh_shape (B, D), 11);
    build (b, &problem, b->x, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < 4; i++)
        outputs[i] = b->objective.metrics[i].value;
    b->function = dlh_graph_compile (b->graph, outputs, 4, &error);
    g_assert_no_error (error);
}

// All draws are those of the first run again.
static void
rewind_streams (DlhStore *store)
{
    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        DlhVariable *v = dlh_store_get_variable (store, i);

        if (g_str_has_prefix (dlh_variable_name (v), "random/"))
            dlh_tensor_set (dlh_variable_tensor (v), 0, 0);
    }
}

static double
metric (Bench *b, guint i)
{
    g_autoptr (GError) error = NULL;

    rewind_streams (b->store);
    dlh_function_run (b->function, &b->x, 1, &error);
    g_assert_no_error (error);
    return dlh_function_scalar (b->function, i);
}

// The draws of the model's stream @name.
static DlhTensor *
draws (const char *name, gboolean normal, DlhShape shape)
{
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhGraph) g = dlh_graph_new ();
    DlhStream *stream = dlh_store_stream (store, name);

    return test_run (normal ? dlh_normal (g, stream, DLH_F64, shape)
                            : dlh_uniform (g, stream, DLH_F64, shape),
                     NULL, 0);
}

/* The networks, a row at a time. */

static const double *
weights (Bench *b, const char *name)
{
    DlhVariable *v = dlh_store_lookup (b->store, name);

    g_assert_nonnull (v);
    return dlh_tensor_get_data (dlh_variable_tensor (v));
}

static void
affine (Bench *b, const char *scope, const double *x, guint n_in, double *y, guint n_out)
{
    g_autofree char *weight = g_strconcat ("net/", scope, "/weight", NULL);
    g_autofree char *bias = g_strconcat ("net/", scope, "/bias", NULL);
    const double *w = weights (b, weight), *c = weights (b, bias);

    for (guint o = 0; o < n_out; o++) {
        y[o] = c[o];
        for (guint i = 0; i < n_in; i++)
            y[o] += w[o * n_in + i] * x[i];
    }
}

// Behind the first layer's outputs @h.
static void
generate_from (Bench *b, double *h, double *x)
{
    for (guint i = 0; i < 3; i++)
        h[i] = tanh (h[i]);
    affine (b, "generator/output", h, 3, x, D);
    for (guint i = 0; i < D; i++)
        x[i] = 1 / (1 + exp (-x[i]));
}

static void
generate (Bench *b, const double *z, double *x)
{
    double h[3];

    affine (b, "generator/layer1", z, L, h, 3);
    generate_from (b, h, x);
}

// The score, and its derivative by x.
static double
score (Bench *b, const double *x, double *slope)
{
    const double *w1 = weights (b, "net/discriminator/layer1/weight");
    const double *w2 = weights (b, "net/discriminator/output/weight");
    double h[5], s;

    affine (b, "discriminator/layer1", x, D, h, 5);
    for (guint i = 0; i < D && slope; i++) {
        slope[i] = 0;
        for (guint k = 0; k < 5; k++)
            slope[i] += w2[k] * (h[k] > 0 ? 1 : 0.01) * w1[k * D + i];
    }
    for (guint k = 0; k < 5; k++)
        h[k] = h[k] > 0 ? h[k] : 0.01 * h[k];
    affine (b, "discriminator/output", h, 5, &s, 1);
    return s;
}

/* Losses. */

static void
gan_losses (const char *objective)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) z = draws ("net/latents", TRUE, dlh_shape (B, L));
    const double *zs = dlh_tensor_get_data (z), *xs;
    double for_d = 0, for_g = 0, real = 0, fake = 0;

    bench_init (&b, "gan", (const char *[]){"objective", objective, NULL});
    xs = dlh_tensor_get_data (b.x);
    for (guint i = 0; i < B; i++) {
        double g[D], r, f;

        generate (&b, zs + i * L, g);
        r = score (&b, xs + i * D, NULL);
        f = score (&b, g, NULL);
        for_d += (log (1 + exp (-r)) + log (1 + exp (f))) / B;
        for_g += (strcmp (objective, "minimax") == 0 ? -log (1 + exp (f)) : log (1 + exp (-f))) / B;
        real += 1 / (1 + exp (-r)) / B;
        fake += 1 / (1 + exp (-f)) / B;
    }
    // 1e-13: rounding of sums of some hundred terms of about 1.
    test_assert_within ((double[]){metric (&b, 0)}, &for_d, 1, 1e-13);
    test_assert_within ((double[]){metric (&b, 1)}, &for_g, 1, 1e-13);
    test_assert_within ((double[]){metric (&b, 2)}, &real, 1, 1e-13);
    test_assert_within ((double[]){metric (&b, 3)}, &fake, 1, 1e-13);
}

// (h - mean) / sqrt (variance + 1e-5), both over the batch; scale 1 and shift 0 at first.
static void
batch_norm_losses (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) z = draws ("net/latents", TRUE, dlh_shape (B, L));
    const double *zs = dlh_tensor_get_data (z);
    double h[B][3], want = 0;

    bench_init (&b, "gan", (const char *[]){"batch_norm", "true", NULL});
    for (guint i = 0; i < B; i++)
        affine (&b, "generator/layer1", zs + i * L, L, h[i], 3);
    for (guint k = 0; k < 3; k++) {
        double mean = 0, variance = 0;

        for (guint i = 0; i < B; i++)
            mean += h[i][k] / B;
        for (guint i = 0; i < B; i++)
            variance += pow (h[i][k] - mean, 2) / B;
        for (guint i = 0; i < B; i++)
            h[i][k] = (h[i][k] - mean) / sqrt (variance + 1e-5);
    }
    for (guint i = 0; i < B; i++) {
        double g[D];

        generate_from (&b, h[i], g);
        want += log (1 + exp (-score (&b, g, NULL))) / B;
    }
    test_assert_within ((double[]){metric (&b, 1)}, &want, 1, 1e-13);
}

// What a decoder gives for one z must not depend on others: running statistics, here made up.
static void
batch_norm_evaluated (void)
{
    static const double mean[] = {0.3, -0.2, 0.1}, variance[] = {0.5, 2, 1};
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (D)};
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (2, L), 5), got = NULL;
    DlhBuild in = {.size = sizeof in};
    const DlhLatent *latent;

    bench_init (&b, "gan", (const char *[]){"batch_norm", "true", NULL});
    in.graph = b.graph;
    in.store = b.store;
    for (guint k = 0; k < 3; k++) {
        memcpy ((double *)weights (&b, "net/generator/norm1/mean") + k, mean + k, sizeof *mean);
        memcpy ((double *)weights (&b, "net/generator/norm1/variance") + k, variance + k,
                sizeof *variance);
    }
    latent = ((const DlhModel *)dlh_component_interface (b.model))->latent;
    got = test_run (dlh_distribution_mean (latent->decode (
                        &in, &problem, dlh_component_options (b.model), dlh_constant (b.graph, z))),
                    &b.x, 1);
    for (guint i = 0; i < 2; i++) {
        double h[3], g[D];

        affine (&b, "generator/layer1", (const double *)dlh_tensor_get_data (z) + i * L, L, h, 3);
        for (guint k = 0; k < 3; k++)
            h[k] = (h[k] - mean[k]) / sqrt (variance[k] + 1e-5);
        generate_from (&b, h, g);
        test_assert_within ((const double *)dlh_tensor_get_data (got) + i * D, g, D, 1e-13);
    }
}

static void
gan_nonsaturating (void)
{
    gan_losses ("nonsaturating");
}

static void
gan_minimax (void)
{
    gan_losses ("minimax");
}

static void
wgan_losses (void)
{
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) z = draws ("net/latents", TRUE, dlh_shape (B, L));
    g_autoptr (DlhTensor) e = draws ("net/between", FALSE, dlh_shape (B, 1));
    const double *zs = dlh_tensor_get_data (z), *es = dlh_tensor_get_data (e), *xs;
    double real = 0, fake = 0, penalty = 0;

    bench_init (&b, "wgan_gp", NULL);
    xs = dlh_tensor_get_data (b.x);
    for (guint i = 0; i < B; i++) {
        double g[D], between[D], slope[D], square = 0;

        generate (&b, zs + i * L, g);
        for (guint j = 0; j < D; j++)
            between[j] = es[i] * xs[i * D + j] + (1 - es[i]) * g[j];
        score (&b, between, slope);
        for (guint j = 0; j < D; j++)
            square += slope[j] * slope[j];
        penalty += (sqrt (square) - 1) * (sqrt (square) - 1) / B;
        real += score (&b, xs + i * D, NULL) / B;
        fake += score (&b, g, NULL) / B;
    }
    // 1e-11: what is added under the root, 1e-12, beside a norm of about 1.
    test_assert_within ((double[]){metric (&b, 0)}, (double[]){fake - real + 10 * penalty}, 1,
                        1e-11);
    test_assert_within ((double[]){metric (&b, 1)}, (double[]){-fake}, 1, 1e-13);
    test_assert_within ((double[]){metric (&b, 2)}, (double[]){real - fake}, 1, 1e-13);
    test_assert_within ((double[]){metric (&b, 3)}, &penalty, 1, 1e-11);
}

// A linear critic's slope is its weight everywhere.
static void
penalty_linear (void)
{
    g_auto (Bench) b = {0};
    double square = 0;
    const double *w;

    bench_init (&b, "wgan_gp", (const char *[]){"discriminator", "[]", NULL});
    w = weights (&b, "net/discriminator/output/weight");
    for (guint i = 0; i < D; i++)
        square += w[i] * w[i];
    test_assert_within ((double[]){metric (&b, 3)}, (double[]){pow (sqrt (square) - 1, 2)}, 1,
                        1e-11);
}

/* Gradients of the sum of both losses: by the discriminator's parameters those of its loss alone,
 * through the gradient of a gradient where there is a penalty; by the generator's those of its own.
 */
static void
check_gradients (const char *model, const char *const *settings)
{
    g_auto (Bench) b = {0};
    guint n_checked = 0;

    bench_init (&b, model, settings);
    for (guint i = 0; i < dlh_store_n_variables (b.store); i++) {
        DlhVariable *v = dlh_store_get_variable (b.store, i);
        DlhTensor *value = dlh_variable_tensor (v);
        const guint mine = strstr (dlh_variable_name (v), "/generator/") ? 1 : 0;
        g_autoptr (DlhTensor) gradient = NULL;
        DlhNode *node;

        if (!dlh_variable_is_trainable (v))
            continue;
        node = dlh_gradient (b.objective.loss, dlh_read (b.graph, v));
        rewind_streams (b.store);
        gradient = test_run (node, &b.x, 1);
        for (gint64 k = 0; k < dlh_shape_count (dlh_tensor_get_shape (value)); k++) {
            const double at = dlh_tensor_get (value, k), step = 1e-5;
            double f[2], want;

            for (guint side = 0; side < 2; side++) {
                dlh_tensor_set (value, k, side ? at + step : at - step);
                f[side] = metric (&b, mine);
            }
            dlh_tensor_set (value, k, at);
            want = (f[1] - f[0]) / (2 * step);
            // Central differences: step^2 of the third derivative, and rounding / step: 1e-10.
            test_assert_within ((double[]){dlh_tensor_get (gradient, k)}, &want, 1,
                                1e-7 * MAX (1, fabs (want)));
            n_checked++;
        }
    }
    g_assert_cmpuint (n_checked, ==, 3 * L + 3 + D * 3 + D + 5 * D + 5 + 5 + 1);
}

static void
gradients_gan (void)
{
    check_gradients ("gan", NULL);
    check_gradients ("gan", (const char *[]){"objective", "minimax", NULL});
}

// tanh: its second derivative is not 0, as a leaky relu's is.
static void
gradients_wgan (void)
{
    check_gradients ("wgan_gp", NULL);
    check_gradients ("wgan_gp", (const char *[]){"discriminator_activation", "tanh", NULL});
}

static void
paces (void)
{
    g_auto (Bench) b = {0};
    DlhPace g, d;

    bench_init (&b, "wgan_gp", (const char *[]){"generator_rate", "0.1", NULL});
    g = dlh_variable_get_pace (dlh_store_lookup (b.store, "net/generator/output/bias"));
    d = dlh_variable_get_pace (dlh_store_lookup (b.store, "net/discriminator/output/bias"));
    g_assert_cmpint (g.period, ==, 5);
    g_assert_cmpfloat (g.factor, ==, 0.1);
    g_assert_cmpint (d.period, ==, 1);
    g_assert_cmpfloat (d.factor, ==, 1);
}

/* The latent role: N (g (z), variance I) for pictures. */
static void
latent_decode (void)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (1, 2, 2)};
    g_auto (Bench) b = {0};
    DlhBuild in = {.size = sizeof in};
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (3, L), 5), ell = NULL;
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (3, 1, 2, 2), 6), prior = NULL;
    const DlhLatent *latent;
    DlhDistribution *p, *q;
    gconstpointer options;

    bench_init (&b, "gan", (const char *[]){"variance", "0.3", NULL});
    in.graph = b.graph;
    in.store = b.store;
    latent = ((const DlhModel *)dlh_component_interface (b.model))->latent;
    options = dlh_component_options (b.model);
    p = latent->decode (&in, &problem, options, dlh_constant (b.graph, z));
    q = latent->prior (&in, &problem, options, 3);
    g_assert_null (latent->encode);
    ell = test_run (dlh_log_prob (p, dlh_constant (b.graph, x)), &b.x, 1);
    prior = test_run (dlh_log_prob (q, dlh_constant (b.graph, z)), &b.x, 1);
    for (guint i = 0; i < 3; i++) {
        const double *zi = (const double *)dlh_tensor_get_data (z) + i * L;
        double g[D], want = -D / 2.0 * log (2 * G_PI * 0.3);

        generate (&b, zi, g);
        for (guint j = 0; j < D; j++)
            want -= pow (dlh_tensor_get (x, i * D + j) - g[j], 2) / (2 * 0.3);
        test_assert_within ((double[]){dlh_tensor_get (ell, i)}, &want, 1, 1e-12);
        want = -log (2 * G_PI) - (zi[0] * zi[0] + zi[1] * zi[1]) / 2;
        test_assert_within ((double[]){dlh_tensor_get (prior, i)}, &want, 1, 1e-13);
    }
}

static void
refuses_tokens (void)
{
    static const char *const models[] = {"gan", "wgan_gp", "gmmn"};

    for (guint i = 0; i < 3; i++) {
        const DlhProblem problem = {
            .size = sizeof problem, .input_shape = dlh_shape (D), .vocabulary = 7};
        g_auto (Bench) b = {0};
        g_autoptr (GError) error = NULL;

        b.registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
        b.store = dlh_store_new (3, DLH_F64);
        b.model = load (b.registry, DLH_MODEL, models[i], NULL, NULL);
        b.graph = dlh_graph_new ();
        b.x = test_tensor_random (DLH_F64, dlh_shape (B, D), 11);
        g_assert_false (build (&b, &problem, b.x, &error));
        test_assert_error (&error, DLH_ERROR_SHAPE, "the inputs are tokens");
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/gan/losses/nonsaturating", gan_nonsaturating);
    g_test_add_func ("/gan/losses/minimax", gan_minimax);
    g_test_add_func ("/gan/losses/wasserstein", wgan_losses);
    g_test_add_func ("/gan/batch-norm/losses", batch_norm_losses);
    g_test_add_func ("/gan/batch-norm/running-statistics", batch_norm_evaluated);
    g_test_add_func ("/gan/penalty/linear-critic", penalty_linear);
    g_test_add_func ("/gan/gradients/each-players-own", gradients_gan);
    g_test_add_func ("/gan/gradients/penalty", gradients_wgan);
    g_test_add_func ("/gan/paces/as-given", paces);
    g_test_add_func ("/gan/latent/decode", latent_decode);
    g_test_add_func ("/gan/tokens/refused", refuses_tokens);
    return g_test_run ();
}
