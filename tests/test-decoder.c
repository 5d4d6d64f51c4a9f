/* SPDX-License-Identifier: MIT */
/* Decoders from foreign files: against a forward pass in plain NumPy
 * (tools/interop/write-decoder.py), under annealed importance sampling, and with maps that are
 * wrong. */
#include <glib/gstdio.h>
#include "trainer-bench.h"

static void
bench_init (Bench *b, const char *const *settings)
{
    bench_open (b, 3);
    b->model = load_plugin (b->registry, DLH_MODEL, "decoder", settings);
    b->graph = dlh_graph_new ();
    dlh_graph_push_scope (b->graph, "decoder");
}

static DlhDistribution *
decode (Bench *b, DlhShape input_shape, const DlhTensor *z)
{
    const DlhProblem problem = {.size = sizeof problem, .input_shape = input_shape};
    const DlhModel *m = dlh_component_interface (b->model);
    DlhBuild in = {.size = sizeof in, .graph = b->graph, .store = b->store};

    return m->latent->decode (&in, &problem, dlh_component_options (b->model),
                              dlh_constant (b->graph, z));
}

/* The committed file. */

static char *
stored (const char *name)
{
    return g_build_filename (g_getenv ("DLHOST_TEST_CORPUS"), "..", "..", "interop", name, NULL);
}

static void
foreign_forward (void)
{
    g_autofree char *file = stored ("decoder.safetensors"), *map = stored ("decoder.json");
    const char *settings[] = {"file", file, "map", map, "activation", "relu", NULL};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhSafetensors) tensors = dlh_safetensors_read (file, &error);
    g_auto (Bench) b = {0};
    g_autoptr (DlhTensor) g = NULL;
    g_autofree double *want = NULL;

    g_assert_no_error (error);
    bench_init (&b, settings);
    g = test_run (dlh_distribution_mean (decode (&b, dlh_shape (1, 2, 2),
                                                 dlh_safetensors_get (tensors, "expected.z"))),
                  NULL, 0);
    g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (g), dlh_shape (6, 1, 2, 2)));
    want = test_values (dlh_safetensors_get (tensors, "expected.g"));
    // Two programs' sums of at most 5 products of about 1, in double.
    test_assert_tensor_within (g, want, 24, 1e-13);
}

// The same in single precision: 1e-6, as weights are of about 1.
static void
foreign_single (void)
{
    g_autofree char *file = stored ("decoder.safetensors"), *map = stored ("decoder.json");
    const char *settings[] = {"file", file, "map", map, "activation", "relu", NULL};
    g_autoptr (DlhSafetensors) tensors = dlh_safetensors_read (file, NULL);
    const DlhTensor *z64 = dlh_safetensors_get (tensors, "expected.z");
    g_autofree double *z = test_values (z64), *want = NULL;
    g_autoptr (DlhTensor) z32 = test_tensor_from (DLH_F32, dlh_shape (6, 2), z, 12), g = NULL;
    g_auto (Bench) b = {0};

    bench_init (&b, settings);
    dlh_store_unref (b.store);
    b.store = dlh_store_new (3, DLH_F32);
    g = test_run (dlh_distribution_mean (decode (&b, dlh_shape (4), z32)), NULL, 0);
    want = test_values (dlh_safetensors_get (tensors, "expected.g"));
    test_assert_tensor_within (g, want, 24, 1e-6);
}

static void
foreign_prior (void)
{
    g_autofree char *file = stored ("decoder.safetensors"), *map = stored ("decoder.json");
    const char *settings[] = {"file", file, "map", map, NULL};
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (4)};
    const DlhModel *m;
    g_auto (Bench) b = {0};
    DlhBuild in = {.size = sizeof in};
    DlhDistribution *p;

    bench_init (&b, settings);
    m = dlh_component_interface (b.model);
    in.graph = b.graph;
    in.store = b.store;
    p = m->latent->prior (&in, &problem, dlh_component_options (b.model), 9);
    g_assert_true (dlh_shape_equal (dlh_node_shape (dlh_distribution_mean (p)), dlh_shape (9, 2)));
    g_assert_null (m->latent->encode);
    g_assert_null (m->supervised);
}

// A checkpoint's values are kept: a run that is resumed goes on with what it began with.
static void
checkpoint_first (void)
{
    g_autofree char *file = stored ("decoder.safetensors"), *map = stored ("decoder.json");
    const char *settings[] = {"file", file, "map", map, NULL};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *path = g_build_filename (dir, "c.safetensors", NULL);
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (3, 2), 5);
    g_autoptr (GError) error = NULL;
    g_auto (Bench) a = {0}, b = {0};
    DlhTensor *weight;

    bench_init (&a, settings);
    decode (&a, dlh_shape (4), z);
    weight = dlh_variable_tensor (dlh_store_lookup (a.store, "decoder/layer2/weight"));
    g_assert_true (dlh_shape_equal (dlh_tensor_get_shape (weight), dlh_shape (3, 5)));
    dlh_tensor_set (weight, 7, 42);
    decode (&a, dlh_shape (4), z);
    g_assert_cmpfloat (dlh_tensor_get (weight, 7), ==, 42);
    dlh_store_save (a.store, path, NULL, &error);
    g_assert_no_error (error);
    bench_init (&b, settings);
    dlh_store_load (b.store, path, NULL, &error);
    g_assert_no_error (error);
    decode (&b, dlh_shape (4), z);
    weight = dlh_variable_tensor (dlh_store_lookup (b.store, "decoder/layer2/weight"));
    g_assert_cmpfloat (dlh_tensor_get (weight, 7), ==, 42);
}

/* Annealed importance sampling of a foreign decoder: the linear Gaussian model of the AIS paper's
 * sheet, whose log p (x) is known. */

#define D 20
#define d 5

static double
next_uniform (guint32 *s)
{
    *s = 1664525u * *s + 1013904223u;
    return ((double)*s + 0.5) / 4294967296.0;
}

// Weights stored (inputs, outputs).
static void
write_linear (const char *path)
{
    static const char *const names[] = {"kernel", "bias"};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) w = dlh_tensor_new (DLH_F64, dlh_shape (d, D), NULL);
    g_autoptr (DlhTensor) c = dlh_tensor_new (DLH_F64, dlh_shape (D), NULL);
    guint32 s = 7;

    for (gint64 i = 0; i < D * d; i++)
        dlh_tensor_set (w, i % d * D + i / d, 2 * next_uniform (&s) - 1);
    for (gint64 i = 0; i < D; i++)
        dlh_tensor_set (c, i, next_uniform (&s) - 0.5);
    dlh_safetensors_write (path, names, (DlhTensor *const[]){w, c}, 2, NULL, &error);
    g_assert_no_error (error);
}

static void
run_transitions (DlhChains *chains, gint64 n)
{
    g_autoptr (GError) error = NULL;

    for (gint64 i = 0; i < n; i++) {
        dlh_chains_transition (chains, &error);
        g_assert_no_error (error);
    }
}

// One point, 600 chains, 200 temperatures: a chain's log weight spreads by about 0.6 nats, so the
// mean weight is within 0.14 (five standard errors) of the truth in all but a millionth of cases.
static void
foreign_ais (void)
{
    static const char map[] = "{\"decoder/output/weight\": {\"tensor\": \"kernel\", \"transpose\": "
                              "true}, \"decoder/output/bias\": \"bias\"}";
    static const char *const ais[] = {"temperatures", "200", NULL};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *file = g_build_filename (dir, "w.safetensors", NULL);
    g_autofree char *map_path = test_write_file (dir, "map.json", map, -1);
    const char *settings[] = {"file",     file,       "map", map_path, "likelihood",
                              "gaussian", "variance", "0.1", NULL};
    const DlhProblem problem = {.size = sizeof problem, .input_shape = dlh_shape (D)};
    const DlhLatentPosterior posterior = {sizeof posterior, 1, 600, FALSE};
    g_autoptr (DlhTensor) x = dlh_tensor_new (DLH_F64, dlh_shape (1, D), NULL);
    g_autoptr (DlhComponent) sampler = NULL;
    g_autoptr (DlhTarget) target = NULL;
    g_autoptr (DlhChains) chains = NULL;
    g_autoptr (GError) error = NULL;
    g_auto (Bench) b = {0};
    const double *w;
    gint64 path;
    double sum = 0;

    write_linear (file);
    bench_init (&b, settings);
    sampler = load_plugin (b.registry, DLH_SAMPLER, "ais", ais);
    target = dlh_target_new_latent (b.store, b.model, &problem, &posterior, &error);
    g_assert_no_error (error);
    path = dlh_sampler_path (sampler);
    chains = dlh_chains_new (target, sampler, path, &error);
    g_assert_no_error (error);
    for (gint64 i = 0; i < D; i++)
        dlh_tensor_set (x, i, sin ((double)(i + 1)));
    dlh_target_set_examples (target, x, 0, &error);
    g_assert_no_error (error);
    run_transitions (chains, 2 * path);
    w = dlh_chains_find_report (chains, "log_weight");
    for (guint i = 0; i < 600; i++)
        sum += exp (w[i] + 74.2765920926826) / 600;
    test_assert_within ((double[]){log (sum)}, (double[]){0}, 1, 0.14);
}

/* What is wrong with maps and files. */

static void
refusals (void)
{
    static const struct {
        const char *map, *text;
    } rows[] = {
        {"", "is empty or not UTF-8"},
        {"\xff{}", "is empty or not UTF-8"},
        {"{", "is not JSON"},
        {"[]", "is no JSON object"},
        {"3", "is no JSON object"},
        {"{}", "has no 'decoder/output/weight'"},
        {"[[[[[[[[", "is nested more deeply"},
        {"{\"decoder/output/weight\": \"a\", \"decoder/output/weight\": \"a\"}", "is there twice"},
        {"{\"decoder/output/weight\": 3}", "is neither a tensor's name nor an object"},
        {"{\"decoder/output/weight\": null}", "is neither a tensor's name nor an object"},
        {"{\"decoder/output/weight\": {}}", "has no \"tensor\""},
        {"{\"decoder/output/weight\": {\"tensor\": 3}}", "'tensor' is not what is wanted there"},
        {"{\"decoder/output/weight\": {\"tensor\": \"a\", \"transpose\": 1}}",
         "'transpose' is not what is wanted there"},
        {"{\"decoder/output/weight\": {\"tensor\": \"a\", \"transposed\": true}}",
         "'transposed' is not what is wanted there"},
        {"{\"decoder/output/weight\": \"A\"}", "there is no tensor 'A' in "},
        {"{\"decoder/output/weight\": \"A\"}", "which has a, nan, b, c, empty, i and 2 more"},
        {"{\"decoder/output/weight\": \"c\"}", "tensor 'c' is [2], wanted is [outputs,inputs]"},
        {"{\"decoder/output/weight\": \"empty\"}", "tensor 'empty' is [0,3]"},
        {"{\"decoder/output/weight\": \"i\"}", "tensor 'i' is of type I32, floats are wanted"},
        {"{\"decoder/output/weight\": \"nan\"}", "element 1 of tensor 'nan' is not finite"},
        {"{\"decoder/output/weight\": \"a\", \"decoder/output/bias\": \"a\"}",
         "tensor 'a' is [4,3], wanted is [outputs]"},
        {"{\"decoder/output/weight\": \"a\", \"decoder/output/bias\": \"c\"}",
         "'decoder/output/bias' has 2 elements, but the weight is [4,3]"},
        {"{\"decoder/output/weight\": \"a\", \"decoder/output/bias\": {\"tensor\": \"c\", "
         "\"transpose\": true}}",
         "a bias has nothing to transpose"},
        {"{\"decoder/layer1/weight\": \"a\", \"decoder/output/weight\": \"b\"}",
         "'decoder/output/weight' is [3,2] (outputs, inputs), but layer1 has 4 outputs"},
        {"{\"decoder/layer2/weight\": \"a\", \"decoder/output/weight\": \"a\"}",
         "'decoder/layer2/weight' is no parameter here"},
        {"{\"decoder/output/weight\": \"a\", \"output/weight\": \"a\"}",
         "'output/weight' is no parameter here"},
        {"{\"decoder/layer1/bias\": \"c\", \"decoder/output/weight\": \"a\"}",
         "a bias needs its weight"},
        {"{\"decoder/output/weight\": \"a\"}",
         "the output has 4 elements, an example of the data has 5"},
    };
    static const char *const names[] = {"a", "b", "c", "empty", "i", "nan", "x", "y"};
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *file = g_build_filename (dir, "w.safetensors", NULL);
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (2, 3), 5);
    g_autoptr (DlhTensor) a = test_tensor_random (DLH_F64, dlh_shape (4, 3), 1);
    g_autoptr (DlhTensor) w = test_tensor_random (DLH_F32, dlh_shape (3, 2), 2);
    g_autoptr (DlhTensor) c = test_tensor_random (DLH_F32, dlh_shape (2), 3);
    g_autoptr (DlhTensor) empty = dlh_tensor_new (DLH_F32, dlh_shape (0, 3), NULL);
    g_autoptr (DlhTensor) i = dlh_tensor_new (DLH_I32, dlh_shape (4, 3), NULL);
    g_autoptr (DlhTensor) nan = test_tensor (DLH_F64, dlh_shape (1, 3), 1, NAN, 2);
    g_autoptr (GError) error = NULL;

    dlh_safetensors_write (file, names, (DlhTensor *const[]){a, w, c, empty, i, nan, c, c}, 8, NULL,
                           &error);
    g_assert_no_error (error);
    for (guint k = 0; k < G_N_ELEMENTS (rows); k++) {
        g_autofree char *map = test_write_file (dir, "map.json", rows[k].map, -1);
        const char *settings[] = {"file", file, "map", map, NULL};
        g_autoptr (GError) cause = NULL;
        g_auto (Bench) b = {0};

        bench_init (&b, settings);
        decode (&b, dlh_shape (5), z);
        g_assert_false (dlh_graph_check (b.graph, &cause));
        if (cause && !strstr (cause->message, rows[k].text))
            test_fail ("row %u: '%s' is not in: %s", k, rows[k].text, cause->message);
        if (cause && strchr (cause->message, '\n'))
            test_fail ("row %u: two lines: %s", k, cause->message);
        g_unlink (map);
    }
}

static void
files_missing (void)
{
    g_autoptr (TestDir) dir = test_temp_dir ();
    g_autofree char *map = test_write_file (dir, "map.json", "{}", -1);
    g_autofree char *text = test_write_file (dir, "w.safetensors", "not tensors at all", -1);
    const char *none[] = {"map", map, NULL};
    const char *no_map[] = {"file", text, NULL};
    const char *broken[] = {"file", text, "map", map, NULL};
    const char *absent[] = {"file", "/nonexistent.safetensors", "map", map, NULL};
    const struct {
        const char *const *settings;
        const char *text;
    } rows[] = {{none, "'file' is not given"},
                {no_map, "'map' is not given"},
                {broken, "w.safetensors"},
                {absent, "/nonexistent.safetensors"}};
    g_autoptr (DlhTensor) z = test_tensor_random (DLH_F64, dlh_shape (2, 3), 5);

    for (guint k = 0; k < G_N_ELEMENTS (rows); k++) {
        g_autoptr (GError) cause = NULL;
        g_auto (Bench) b = {0};

        bench_init (&b, rows[k].settings);
        decode (&b, dlh_shape (5), z);
        g_assert_false (dlh_graph_check (b.graph, &cause));
        if (cause && !strstr (cause->message, rows[k].text))
            test_fail ("row %u: '%s' is not in: %s", k, rows[k].text, cause->message);
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    g_test_add_func ("/decoder/foreign/forward", foreign_forward);
    g_test_add_func ("/decoder/foreign/single-precision", foreign_single);
    g_test_add_func ("/decoder/foreign/prior", foreign_prior);
    g_test_add_func ("/decoder/foreign/annealed", foreign_ais);
    g_test_add_func ("/decoder/checkpoint/comes-first", checkpoint_first);
    g_test_add_func ("/decoder/maps/refused", refusals);
    g_test_add_func ("/decoder/files/missing", files_missing);
    return g_test_run ();
}
