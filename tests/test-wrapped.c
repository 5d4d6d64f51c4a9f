/* SPDX-License-Identifier: MIT */
/* Models that a perturbation or an objective wraps: what the roles beside the supervised one give.
 */
#include "vae-bench.h"

#define NET "latents=2;encoder=[];decoder=[3];likelihood=gaussian;variance=0.5"

static DlhComponent *
load_other (Fixture *f, DlhPluginKind kind, const char *name, const char *setting,
            const char *value)
{
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (GError) error = NULL;
    DlhComponent *c;

    if (setting)
        g_hash_table_insert (table, (gpointer)setting, (gpointer)value);
    c = dlh_registry_load (f->registry, kind, name, table, &error);
    g_assert_no_error (error);
    return c;
}

// Of the encoder, where @encode, else of the decoder, for constant input.
static DlhTensor *
mean_for (Fixture *f, DlhComponent *model, gboolean encode, const DlhTensor *in, DlhShape shape)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = shape};
    const DlhLatent *role = ((const DlhModel *)dlh_component_interface (model))->latent;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = f->store};
    DlhDistribution *d;

    if (!role) {
        test_fail ("the latent role is gone");
        return NULL;
    }
    dlh_graph_push_scope (graph, "m");
    d = (encode ? role->encode : role->decode) (&b, &problem, dlh_component_options (model),
                                                dlh_constant (graph, in));
    dlh_graph_pop_scope (graph);
    return test_run (dlh_distribution_mean (d), NULL, 0);
}

static DlhTensor *
mean_of (Fixture *f, DlhComponent *model, gboolean encode, const DlhTensor *in)
{
    return mean_for (f, model, encode, in, dlh_shape (4));
}

// A learned scale leaves means where they are, and a loss says nothing of latents: bit for bit.
static void
roles_kept (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhComponent) flipout = NULL, elbo = NULL, noisy = NULL, model = NULL;
    g_autoptr (GError) error = NULL;

    fixture_init (&f, "vae", NET, test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, TRUE);
    flipout = load_other (&f, DLH_PERTURB, "flipout", NULL, NULL);
    elbo = load_other (&f, DLH_OBJECTIVE, "elbo", NULL, NULL);
    noisy = dlh_perturb_model (f.model, flipout, NULL, &error);
    model = dlh_model_with_objective (noisy, elbo, &error);
    g_assert_no_error (error);
    for (guint encode = 0; encode < 2; encode++) {
        g_autoptr (DlhTensor) in = test_tensor_random (DLH_F64, dlh_shape (6, encode ? 4 : 2), 5);
        g_autoptr (DlhTensor) want = mean_of (&f, f.model, (gboolean)encode, in);
        g_autoptr (DlhTensor) got = mean_of (&f, model, (gboolean)encode, in);

        if (got)
            test_assert_tensors_equal (got, want);
    }
}

// sum_i s w_ki x_i + b_k
static double *
linear (Fixture *f, const char *layer, const DlhTensor *in, double s)
{
    g_autofree char *name = g_strdup_printf ("m/%s/weight", layer);
    g_autofree char *bias = g_strdup_printf ("m/%s/bias", layer);
    const DlhTensor *w = variable (f, name), *b = variable (f, bias);
    const gint64 n = dlh_tensor_get_shape (in).dims[0], K = dlh_tensor_get_shape (w).dims[0],
                 I = dlh_tensor_get_shape (w).dims[1];
    double *out = g_new (double, n *K);

    for (gint64 r = 0; r < n * K; r++) {
        out[r] = dlh_tensor_get (b, r % K);
        for (gint64 i = 0; i < I; i++)
            out[r] += s * dlh_tensor_get (w, r % K * I + i) * dlh_tensor_get (in, r / K * I + i);
    }
    return out;
}

// Weights that are cut with probability 1/2 have half their size on average, those of the pattern.
static void
dropconnect_means (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhComponent) flipout = NULL, model = NULL;
    g_autoptr (GHashTable) table = g_hash_table_new (g_str_hash, g_str_equal);
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (6, 4), 5);
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (6, 2), 6);
    g_autoptr (DlhTensor) encoded = NULL, decoded = NULL, plain = NULL;
    g_autofree double *want = NULL;
    g_autoptr (GError) error = NULL;

    fixture_init (&f, "vae", NET, test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, TRUE);
    g_hash_table_insert (table, (gpointer) "noise", (gpointer) "dropconnect");
    g_hash_table_insert (table, (gpointer) "weights", (gpointer) "m/mean/*");
    flipout = dlh_registry_load (f.registry, DLH_PERTURB, "flipout", table, &error);
    model = dlh_perturb_model (f.model, flipout, NULL, &error);
    g_assert_no_error (error);
    want = linear (&f, "mean", x, 0.5);
    if (!(encoded = mean_of (&f, model, TRUE, x)))
        return;
    // Five terms of about 1.
    test_assert_tensor (encoded, want, 12, 10);
    decoded = mean_of (&f, model, FALSE, z);
    plain = mean_of (&f, f.model, FALSE, z);
    test_assert_tensors_equal (decoded, plain);
}

// Pictures, which the model makes flat, have the means of vectors.
static void
pictures (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhComponent) flipout = NULL, model = NULL;
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (6, 2), 6);
    g_autoptr (DlhTensor) of_vectors = NULL, of_pictures = NULL;
    g_autoptr (GError) error = NULL;

    fixture_init (&f, "vae", NET, test_tensor_random (DLH_F64, dlh_shape (5, 4), 3), 40, TRUE);
    flipout = load_other (&f, DLH_PERTURB, "flipout", "noise", "dropconnect");
    model = dlh_perturb_model (f.model, flipout, NULL, &error);
    g_assert_no_error (error);
    of_vectors = mean_of (&f, model, FALSE, z);
    of_pictures = mean_for (&f, model, FALSE, z, dlh_shape (1, 2, 2));
    g_assert_cmpint (dlh_tensor_count (of_pictures), ==, dlh_tensor_count (of_vectors));
    for (gint64 i = 0; i < dlh_tensor_count (of_vectors); i++)
        g_assert_cmpfloat (dlh_tensor_get (of_pictures, i), ==, dlh_tensor_get (of_vectors, i));
}

// Evaluation of the same model has the mean weights, too: one rule for both.
static void
as_evaluated (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhComponent) flipout = NULL, model = NULL;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (DlhTensor) x = test_tensor_random (DLH_F64, dlh_shape (5, 4), 3);
    g_autoptr (DlhTensor) codes = NULL, decoded = NULL, predicted = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree double *want = NULL;
    DlhObjective objective = {.size = sizeof objective};
    DlhBuild b = {.size = sizeof b, .graph = graph};
    const DlhModel *m;

    fixture_init (&f, "vae", NET, dlh_tensor_ref (x), 40, TRUE);
    flipout = load_other (&f, DLH_PERTURB, "flipout", "noise", "dropconnect");
    model = dlh_perturb_model (f.model, flipout, NULL, &error);
    g_assert_no_error (error);
    // The draw of z is of no size: then the prediction is decode (mean of encode).
    fill (&f, "m/log_std/weight", 0);
    fill (&f, "m/log_std/bias", -700);
    m = dlh_component_interface (model);
    b.store = f.store;
    dlh_graph_push_scope (graph, "m");
    m->supervised->build (&b, &f.problem, dlh_component_options (model), dlh_constant (graph, x),
                          NULL, &objective, &error);
    dlh_graph_pop_scope (graph);
    g_assert_no_error (error);
    predicted = test_run (dlh_distribution_mean (objective.prediction), NULL, 0);
    if (!(codes = mean_of (&f, model, TRUE, x)))
        return;
    decoded = mean_of (&f, model, FALSE, codes);
    want = test_values (predicted);
    test_assert_tensor (decoded, want, 20, 10);
}

/* A model with roles that know its options: what they are given must be those. */

typedef struct {
    double scale;
} PlainOptions;

static gboolean
plain_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x, DlhNode *y,
             DlhObjective *objective, GError **error)
{
    DlhNode *w = dlh_parameter (b->graph, b->store, "w", dlh_shape (4, 4),
                                (DlhInit){DLH_INIT_CONSTANT, 1, 0});
    DlhNode *zero = dlh_full (b->graph, DLH_F64, dlh_shape (1), 0);

    (void)problem, (void)options, (void)error;
    dlh_objective_predict (objective, dlh_gaussian (dlh_linear (x, w, NULL), zero, 1), y);
    return TRUE;
}

static DlhDistribution *
plain_decode (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *z)
{
    const PlainOptions *opt = options;

    (void)problem;
    return dlh_gaussian (dlh_scale (z, opt->scale), dlh_full (b->graph, DLH_F64, dlh_shape (1), 0),
                         1);
}

static guint
plain_blocks (gconstpointer options, DlhBlock *blocks, GError **error)
{
    const PlainOptions *opt = options;

    (void)error;
    blocks[0] = (DlhBlock){"x", dlh_shape ((gint64)opt->scale), {DLH_INIT_ZEROS, 0, 0}};
    return 1;
}

static DlhNode *
plain_log_density (DlhBuild *b, gconstpointer options, DlhNode *const *positions)
{
    (void)b;
    return dlh_scale (dlh_sum_axis (positions[0], 1), ((const PlainOptions *)options)->scale);
}

static const DlhSupervised plain_supervised = {sizeof plain_supervised, plain_build};
static const DlhLatent plain_latent = {.size = sizeof plain_latent, .decode = plain_decode};
static const DlhDensity plain_density = {
    .size = sizeof plain_density, .blocks = plain_blocks, .log_density = plain_log_density};
static const DlhModel plain = {.size = sizeof plain,
                               .supervised = &plain_supervised,
                               .density = &plain_density,
                               .latent = &plain_latent};

DLH_PLUGIN_DEFINE (DLH_MODEL, plain, PlainOptions,
                   DLH_OPTIONS (DLH_DOUBLE (PlainOptions, scale, 3, 0.0, 9.0, "Of all it makes")),
                   .name = "plain", .version = "1.0", .summary = "test model");

// An encoder that is not there stays so, and functions read the model's own options.
static void
own_options (void)
{
    g_auto (Fixture) f = {0};
    g_autoptr (DlhComponent) elbo = NULL, model = NULL;
    g_autoptr (DlhTensor) z = test_tensor (DLH_F64, dlh_shape (1, 2), 1, -2), decoded = NULL;
    g_autoptr (DlhTarget) target = NULL;
    g_autoptr (GError) error = NULL;
    const DlhModel *m;
    DlhBlock blocks[DLH_MAX_BLOCKS];

    load (&f, "vae", "");
    dlh_component_unref (f.model);
    f.model = dlh_component_new_static (&dlhost_plugin, NULL, &error);
    g_assert_no_error (error);
    elbo = load_other (&f, DLH_OBJECTIVE, "elbo", NULL, NULL);
    model = dlh_model_with_objective (f.model, elbo, &error);
    m = dlh_component_interface (model);
    if (!(decoded = mean_of (&f, model, FALSE, z)) || !m->density) {
        test_fail ("a role is gone");
        return;
    }
    test_assert_tensor (decoded, ((const double[]){3, -6}), 2, 6);
    g_assert_null (m->latent->encode);
    g_assert_null (m->latent->prior);
    g_assert_null (m->density->moments);
    g_assert_null (m->density->draw);
    g_assert_cmpuint (m->density->blocks (dlh_component_options (model), blocks, &error), ==, 1);
    g_assert_true (dlh_shape_equal (blocks[0].shape, dlh_shape (3)));
    target = dlh_target_new_density (f.store, model, 2, &error);
    g_assert_no_error (error);
}

// What its noise's mean would be in a density is not known: that role is not offered.
static void
density_of_means (void)
{
    static const char *const noises[] = {"fixed", "dropconnect"};
    g_auto (Fixture) f = {0};
    g_autoptr (GError) error = NULL;

    load (&f, "vae", "");
    dlh_component_unref (f.model);
    f.model = dlh_component_new_static (&dlhost_plugin, NULL, &error);
    for (guint i = 0; i < 2; i++) {
        g_autoptr (DlhComponent) p = load_other (&f, DLH_PERTURB, "shared", "noise", noises[i]);
        g_autoptr (DlhComponent) model = dlh_perturb_model (f.model, p, NULL, &error);

        g_assert_no_error (error);
        g_assert_true (!((const DlhModel *)dlh_component_interface (model))->density == (i == 1));
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/wrapped/roles/kept", roles_kept);
    g_test_add_func ("/wrapped/roles/own-options", own_options);
    g_test_add_func ("/wrapped/latent/dropconnect-means", dropconnect_means);
    g_test_add_func ("/wrapped/latent/pictures", pictures);
    g_test_add_func ("/wrapped/latent/as-evaluated", as_evaluated);
    g_test_add_func ("/wrapped/density/of-means", density_of_means);
    return g_test_run ();
}
