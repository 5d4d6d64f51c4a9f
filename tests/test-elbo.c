/* SPDX-License-Identifier: MIT */
/* The objective elbo: its divergence against loops and quadrature, its weight, what it is divided
 * by; and what perturbations refuse or say. */
#include "perturb-bench.h"

static DlhNode *
net_plain (DlhBuild *b, DlhNode *x)
{
    DlhNode *scale = dlh_parameter (b->graph, b->store, "scale", dlh_shape (3),
                                    (DlhInit){DLH_INIT_CONSTANT, 1, 0});

    return dlh_mul (
        dlh_linear (x, weight (b, "w", dlh_shape (3, 4)), weight (b, "b", dlh_shape (3))), scale);
}

static const Net plain = {"plain", 4, net_plain};

typedef struct {
    DlhRegistry *registry;
    DlhStore *store;
    DlhTrainer *trainer;
    DlhTensor *x, *y;
} Run;

static void
run_clear (Run *r)
{
    dlh_trainer_free (r->trainer);
    dlh_store_unref (r->store);
    dlh_registry_free (r->registry);
    dlh_tensor_unref (r->x);
    dlh_tensor_unref (r->y);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

static DlhComponent *
load (DlhRegistry *registry, DlhPluginKind kind, const char *name, const char *settings)
{
    g_autoptr (GHashTable) table = settings_of (settings);
    g_autoptr (GError) error = NULL;
    DlhComponent *c = dlh_registry_load (registry, kind, name, table, &error);

    g_assert_no_error (error);
    return c;
}

// A trainer of the net under elbo, 100 training examples, batches of N.
static void
run_open (Run *r, const char *perturb, const char *elbo)
{
    g_autoptr (DlhComponent) net = NULL, p = NULL, o = NULL, noisy = NULL, model = NULL, sgd = NULL;
    g_autoptr (GError) error = NULL;
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    DlhProblem problem = {.size = sizeof problem, .target_std = 1, .n_examples = 100};

    current_net = &plain;
    r->registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    r->store = dlh_store_new (2, DLH_F64);
    net = dlh_component_new_static (&net_plugin, NULL, &error);
    p = load (r->registry, DLH_PERTURB, "flipout", perturb);
    o = load (r->registry, DLH_OBJECTIVE, "elbo", elbo);
    sgd = load (r->registry, DLH_OPTIMIZER, "sgd", "lr=1e-9");
    noisy = dlh_perturb_model (net, p, NULL, &error);
    g_assert_no_error (error);
    model = dlh_model_with_objective (noisy, o, &error);
    r->trainer = dlh_trainer_new (r->store, model, sgd, &problem, &training, &error);
    g_assert_no_error (error);
    r->x = test_tensor_random (DLH_F64, dlh_shape (N, 4), 1);
    r->y = test_tensor_random (DLH_F64, dlh_shape (N, 3), 2);
}

static double
value (Run *r, const char *name)
{
    for (guint i = 0; i < dlh_trainer_n_values (r->trainer); i++)
        if (g_str_equal (dlh_trainer_value_name (r->trainer, i), name))
            return dlh_trainer_value (r->trainer, i);
    test_fail ("no value '%s'", name);
    return NAN;
}

static void
step (Run *r)
{
    g_autoptr (GError) error = NULL;

    dlh_trainer_step (r->trainer, r->x, r->y, &error);
    g_assert_no_error (error);
}

static void
gaussian_divergence (void)
{
    g_auto (Run) r = {0};
    const double prior = 0.7, sigma = 0.3;
    static const char *const names[] = {"net/w", "net/b"};
    double kl = 0, got;

    run_open (&r, "sigma=0.3", "prior_std=0.7 kl=0.5");
    step (&r);
    for (guint k = 0; k < 2; k++) {
        const DlhTensor *t = dlh_variable_tensor (dlh_store_lookup (r.store, names[k]));

        for (gint64 i = 0; i < dlh_tensor_count (t); i++) {
            const double mu = dlh_tensor_get (t, i);

            kl += log (prior / sigma) + (sigma * sigma + mu * mu) / (2 * prior * prior) - 0.5;
        }
    }
    got = value (&r, "weights_kl");
    // The step of 1e-9 has moved the weights since.
    test_assert_within (&got, &kl, 1, 1e-6);
    // Each example is one case: N = 100.
    kl = value (&r, "nll") + 0.5 * got / 100;
    got = value (&r, "loss");
    test_assert_within (&got, &kl, 1, 1e-12);
}

// E over draws against a sum over a fine grid.
static void
mixture_divergence (void)
{
    g_auto (Run) r = {0};
    const double s1 = 1.5, s2 = 0.2, share = 0.3, sigma = 0.4, h = 0.002;
    static const char *const names[] = {"net/w", "net/b"};
    const guint runs = 20000;
    double want = 0, mean = 0, square = 0;

    run_open (&r, "sigma=0.4", "prior=mixture prior_std=1.5 narrow=0.2 mix=0.3");
    for (guint i = 0; i < runs; i++) {
        double kl;

        step (&r);
        kl = value (&r, "weights_kl");
        mean += kl / runs;
        square += kl * kl / runs;
    }
    for (guint k = 0; k < 2; k++) {
        const DlhTensor *t = dlh_variable_tensor (dlh_store_lookup (r.store, names[k]));

        for (gint64 i = 0; i < dlh_tensor_count (t); i++)
            for (double e = -8; e <= 8; e += h) {
                const double w = dlh_tensor_get (t, i) + sigma * e;
                const double q = exp (-e * e / 2) / sqrt (2 * G_PI);
                const double p = share / s1 * exp (-w * w / (2 * s1 * s1)) +
                                 (1 - share) / s2 * exp (-w * w / (2 * s2 * s2));

                want += h * q * (-e * e / 2 - log (sigma) - log (p));
            }
    }
    test_assert_mean (mean, want, sqrt ((square - mean * mean) / runs));
}

static void
weight_is_annealed (void)
{
    g_auto (Run) r = {0};

    run_open (&r, "", "kl=0.8 anneal=4");
    for (guint t = 0; t < 6; t++) {
        const double want = 0.8 * MIN (t / 4.0, 1);
        double got;

        step (&r);
        got = value (&r, "weights_kl_factor");
        test_assert_close (&got, &want, 1, 1);
    }
}

// Many networks' average lies between: its likelihood is at least the mean of theirs (Jensen), and
// at sigma = 0 all are the same.
static void
averages_of_equal_networks (void)
{
    g_auto (Run) r = {0};
    g_autoptr (GError) error = NULL;
    double got, want;

    run_open (&r, "sigma=0 samples=3", "");
    dlh_trainer_evaluate (r.trainer, r.x, r.y, &error);
    g_assert_no_error (error);
    got = value (&r, "averaged_nll");
    want = value (&r, "loss");
    test_assert_close (&got, &want, 1, 10 * fabs (want));
}

// Noise of evaluation is its own: who looks between two steps changes neither.
static void
evaluation_leaves_training_alone (void)
{
    double nll[2];

    for (guint looks = 0; looks < 2; looks++) {
        g_auto (Run) r = {0};
        g_autoptr (GError) error = NULL;

        run_open (&r, "samples=3 sigma=0.5", "");
        step (&r);
        if (looks)
            dlh_trainer_evaluate (r.trainer, r.x, r.y, &error);
        g_assert_no_error (error);
        step (&r);
        nll[looks] = value (&r, "nll");
    }
    g_assert_cmpfloat (nll[0], ==, nll[1]);
}

/* What is refused, and what is said. */

static void
refused (gconstpointer data)
{
    static const struct {
        const char *estimator, *settings, *text;
    } cases[] = {
        {"flipout", "noise=dropconnect rate=0.3",
         "flipout flips signs, so its noise must be symmetric about 0, and dropconnect at a rate "
         "other than 0.5 is not"},
        {"local_reparam", "noise=dropconnect", "local_reparam needs Gaussian noise"},
        {"flipout", "noise=laplace", "noise=laplace is neither gaussian, fixed, multiplicative"},
        {"flipout", "weights=nothing*", "weights=nothing* names nothing that can be perturbed"},
        {"flipout", "strict=true",
         "'scale' cannot be perturbed and strict is set: used outside a product"},
    };

    (void)data;
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Bench) b = {0};
        g_autoptr (GError) error = NULL;

        g_assert_false (
            bench_open (&b, &plain, cases[i].estimator, cases[i].settings, TRUE, N, &error));
        test_assert_error (&error, DLH_ERROR_OPTION, cases[i].text);
    }
}

static void
every_parameter_has_a_line (void)
{
    static const struct {
        const Net *net;
        const char *estimator, *settings, *lines[3];
    } cases[] = {
        {&plain,
         "flipout",
         "",
         {"w: flipout, gaussian noise in linear, one draw with the signs of each example",
          "b: gaussian noise, a draw for each example", "scale: not perturbed (used outside"}},
        {&plain,
         "shared",
         "weights=w|b noise=dropconnect",
         {"w: shared, dropconnect noise in linear, one draw for all examples",
          "b: not perturbed (bias=auto)", "scale: not perturbed (weights=w|b)"}},
        {&nets[4],
         "flipout",
         "",
         {"cell/input/weight: flipout, gaussian noise in linear, one draw with",
          "cell/input/bias: gaussian noise, a draw for each example",
          "the signs of each example, one draw for 7 uses"}},
        {&nets[4], "local_reparam", "weights=*", {NULL}},
    };

    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_auto (Bench) b = {0};
        g_autoptr (GError) error = NULL;
        gboolean ok =
            bench_open (&b, cases[i].net, cases[i].estimator, cases[i].settings, TRUE, N, &error);

        // Biases have noise of their own, so the recurrent net is not refused as a whole.
        g_assert_true (ok);
        for (guint k = 0; k < 3 && cases[i].lines[k]; k++) {
            gboolean found = FALSE;

            for (guint j = 0; j < b.notes->len; j++)
                found = found || strstr (b.notes->pdata[j], cases[i].lines[k]);
            if (!found)
                test_fail ("no line '%s'", cases[i].lines[k]);
        }
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/elbo/gaussian-prior/divergence-is-that-of-loops", gaussian_divergence);
    g_test_add_func ("/elbo/mixture-prior/divergence-is-that-of-quadrature", mixture_divergence);
    g_test_add_func ("/elbo/weight/rises-with-the-steps", weight_is_annealed);
    g_test_add_func ("/elbo/samples/equal-networks-average-to-one", averages_of_equal_networks);
    g_test_add_func ("/elbo/evaluation/leaves-training-alone", evaluation_leaves_training_alone);
    g_test_add_data_func ("/perturb-options/unfit/are-refused", NULL, refused);
    g_test_add_func ("/perturb-options/notes/name-every-parameter", every_parameter_has_a_line);
    return g_test_run ();
}
