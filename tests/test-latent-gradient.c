/* SPDX-License-Identifier: MIT */
/* What samplers of latent variables follow: the gradient of log p (x | z) by z, against
 * differences, for every kind of decoder and likelihood, batch normalisation by running statistics
 * among them. */
#include "trainer-bench.h"

enum { ROWS = 3, INPUTS = 5 };

typedef struct {
    const char *path, *model;
    gboolean on_or_off; /* what is observed */
} Case;

static const Case cases[] = {
    {"tanh-gaussian",
     "vae latents=2 encoder=[] decoder=[4,3] activation=tanh likelihood=gaussian variance=0.3",
     FALSE},
    {"tanh-bernoulli", "vae latents=2 encoder=[] decoder=[4,3] activation=tanh", TRUE},
    {"relu-gaussian",
     "vae latents=2 encoder=[] decoder=[9] activation=relu likelihood=gaussian variance=0.3",
     FALSE},
    {"relu-bernoulli", "vae latents=2 encoder=[] decoder=[9] activation=relu", TRUE},
    {"sigmoid-gaussian",
     "vae latents=2 encoder=[] decoder=[4] activation=sigmoid likelihood=sigmoid_gaussian "
     "variance=0.1",
     FALSE},
    {"learned-variance", "vae latents=2 encoder=[] decoder=[4] likelihood=gaussian variance=0",
     FALSE},
    {"batch-norm", "gan latents=2 decoder=[4] discriminator=[2] batch_norm=true", FALSE},
};

// Running statistics that are not those of a start: means that differ, variances above 0.
static void
move_statistics (DlhStore *store)
{
    for (guint i = 0; i < dlh_store_n_variables (store); i++) {
        DlhVariable *v = dlh_store_get_variable (store, i);
        DlhTensor *t = dlh_variable_tensor (v);

        for (gint64 k = 0; k < dlh_tensor_count (t) && !dlh_variable_is_trainable (v); k++)
            dlh_tensor_set (t, k, 0.5 + 0.25 * (double)k);
    }
}

static void
matches_differences (gconstpointer data)
{
    const Case *c = data;
    g_autoptr (DlhRegistry) registry = dlh_registry_new (g_getenv ("DLHOST_PLUGIN_PATH"));
    g_autoptr (DlhComponent) component = load_plugin_line (registry, DLH_MODEL, c->model);
    const DlhModel *model = dlh_component_interface (component);
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (INPUTS)};
    g_autoptr (DlhStore) store = dlh_store_new (3, DLH_F64);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhBuild build = {.size = sizeof build, .graph = graph, .store = store};
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (ROWS, 2), 5);
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (ROWS, INPUTS), 6);
    DlhNode *latents = dlh_input (graph, "z", DLH_F64, dlh_shape (ROWS, 2));
    DlhDistribution *p =
        model->latent->decode (&build, &problem, dlh_component_options (component), latents);

    for (gint64 i = 0; i < dlh_tensor_count (x) && c->on_or_off; i++)
        dlh_tensor_set (x, i, dlh_tensor_get (x, i) > 0);
    move_statistics (store);
    g_assert_true (test_gradient_check (G_STRLOC, dlh_log_prob (p, dlh_constant (graph, x)),
                                        &latents, (const guint[]){0}, 1, &z, 1, 1));
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path =
            g_strdup_printf ("/latent-gradient/%s/matches-differences", cases[i].path);

        g_test_add_data_func (path, &cases[i], matches_differences);
    }
    return g_test_run ();
}
