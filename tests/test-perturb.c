/* SPDX-License-Identifier: MIT */
/* Perturbed products against their definition: N forward passes of the plain model, each with a
 * weight of its own, W_n = W + D o (s_n r_n') and so on, the draws made again from the streams'
 * names. */
#include "perturb-bench.h"

/* The weights of example n, from the definition. */

typedef struct {
    DlhStore *store;
    DlhGraph *graph;
    const char *estimator;
    GHashTable *draws; /* "name/what" -> node: each stream draws once */
    gint64 n;          /* the example */
} Oracle;

static DlhStream *
stream_of (Oracle *o, const char *parameter, const char *what)
{
    g_autofree char *name = g_strdup_printf ("perturb/%s/%s", parameter, what);

    return dlh_store_stream (o->store, name);
}

typedef DlhNode *(*Draw) (DlhGraph *, DlhStream *, DlhDType, DlhShape);

static DlhNode *
drawn (Oracle *o, const char *parameter, const char *what, Draw draw, DlhShape shape)
{
    char *key = g_strdup_printf ("%s/%s", parameter, what);
    DlhNode *node = g_hash_table_lookup (o->draws, key);

    if (node) {
        g_free (key);
        return node;
    }
    node = draw (o->graph, stream_of (o, parameter, what), dlh_store_get_dtype (o->store), shape);
    g_hash_table_insert (o->draws, key, node);
    return node;
}

// Element (i, j, ..) of the weight gets sign0[n, i] sign1[n, j + C / g group of i].
static DlhNode *
sign_matrix (Oracle *o, const char *name, DlhShape w, gint64 groups)
{
    const gint64 in_group = w.dims[0] / groups;
    DlhNode *rows = drawn (o, name, "signs0", dlh_rademacher, dlh_shape (N, w.dims[0]));
    DlhNode *columns = drawn (o, name, "signs1", dlh_rademacher, dlh_shape (N, w.dims[1] * groups)),
            *parts[8];
    DlhShape shape = w;

    rows = dlh_index (rows, 0, o->n);
    columns = dlh_index (columns, 0, o->n);
    for (gint64 g = 0; g < groups; g++) {
        DlhNode *r = dlh_slice (rows, 0, g * in_group, (g + 1) * in_group, 1);
        DlhNode *c = dlh_slice (columns, 0, g * w.dims[1], (g + 1) * w.dims[1], 1);

        parts[g] = dlh_mul (dlh_expand (r, 1), dlh_expand (c, 0));
    }
    for (guint a = 2; a < shape.rank; a++)
        shape.dims[a] = 1;
    return dlh_reshape (dlh_concat (parts, (guint)groups, 0), shape);
}

static gint64
groups_of (const char *net, const char *name)
{
    return (strcmp (net, "conv") == 0 && strcmp (name, "v") == 0) ||
                   (strcmp (net, "transposed") == 0 && strcmp (name, "w") == 0)
               ? 2
               : 1;
}

static DlhNode *
own_weight (DlhNode *node, DlhNode *const *inputs, gpointer data)
{
    Oracle *o = data;
    DlhVariable *v = dlh_node_is (node, "read") ? dlh_node_variable (node) : NULL;
    const char *name = v ? dlh_variable_name (v) : NULL;
    g_autofree char *rho = NULL;
    const DlhShape shape = dlh_node_shape (node);
    DlhNode *sigma, *eps;

    (void)inputs;
    if (!v || !dlh_variable_is_trainable (v))
        return NULL;
    rho = g_strdup_printf ("%s/rho", name);
    v = dlh_store_lookup (o->store, rho);
    sigma = dlh_softplus (dlh_read (o->graph, v));
    if (strcmp (o->estimator, "shared") == 0)
        eps = drawn (o, name, "draw", dlh_normal, shape);
    else if (strcmp (o->estimator, "per_example") == 0 || shape.rank == 1)
        eps = dlh_index (drawn (o, name, "draws", dlh_normal, dlh_shape_insert (shape, 0, N)), 0,
                         o->n);
    else
        eps = dlh_mul (drawn (o, name, "draw", dlh_normal, shape),
                       sign_matrix (o, name, shape, groups_of (current_net->name, name)));
    return dlh_add (node, dlh_mul (sigma, eps));
}

// The mean loss of N passes, one an example.
static DlhNode *
explicit_loss (Oracle *o, DlhNode *x)
{
    DlhNode *sum = NULL;

    for (o->n = 0; o->n < N; o->n++) {
        DlhBuild build = {.size = sizeof build, .graph = o->graph, .store = o->store};
        DlhObjective one = {.size = sizeof one};

        net_build (&build, NULL, NULL, dlh_slice (x, 0, o->n, o->n + 1, 1), NULL, &one, NULL);
        dlh_objective_rewrite (&one, NULL, own_weight, o);
        sum = sum ? dlh_add (sum, one.loss) : one.loss;
    }
    return dlh_scale (sum, 1.0 / N);
}

// Loss, gradient by x, and by every parameter, one after the other.
static GArray *
values_of (DlhGraph *graph, DlhStore *store, DlhNode *loss, DlhNode *x, DlhTensor *input)
{
    g_autoptr (GPtrArray) variables = dlh_graph_variables (&loss, 1);
    g_autoptr (GPtrArray) by = g_ptr_array_new ();
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;
    GArray *values = g_array_new (FALSE, FALSE, sizeof (double));
    DlhNode *outputs[16] = {loss};

    g_ptr_array_add (by, x);
    for (guint i = 0; i < dlh_store_n_variables (store); i++)
        for (guint k = 0; k < variables->len; k++)
            if (variables->pdata[k] == dlh_store_get_variable (store, i) &&
                dlh_variable_is_trainable (variables->pdata[k]))
                g_ptr_array_add (by, dlh_read (graph, variables->pdata[k]));
    dlh_gradients (loss, (DlhNode **)by->pdata, by->len, NULL, outputs + 1);
    f = dlh_graph_compile (graph, outputs, by->len + 1, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_function_run (f, &input, 1, &error));
    for (guint i = 0; i < by->len + 1; i++) {
        const DlhTensor *t = dlh_function_output (f, i);
        g_autofree double *v = test_values (t);

        g_array_append_vals (values, v, (guint)dlh_tensor_count (t));
    }
    return values;
}

typedef struct {
    const Net *net;
    const char *estimator;
    DlhDType dtype;
} Case;

static void
equivalence (gconstpointer data)
{
    const Case *c = data;
    g_auto (Bench) b = {.store = dlh_store_new (11, c->dtype)};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) x = test_tensor_random (c->dtype, dlh_shape (N, c->net->n_in), 5);
    g_autoptr (GArray) got = NULL, want = NULL;
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GHashTable) draws = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    Oracle o = {.graph = graph, .estimator = c->estimator, .draws = draws};
    DlhNode *input = dlh_input (graph, "x", c->dtype, dlh_shape (N, c->net->n_in));
    const double tolerance = c->dtype == DLH_F64 ? 1e-12 : 1e-5;

    g_assert_true (bench_open (&b, c->net, c->estimator, "sigma=0.6 strict=true", TRUE, N, &error));
    g_assert_no_error (error);
    // The streams' positions are read at a run and move after it: the oracle goes first in a copy.
    o.store = dlh_store_new (11, c->dtype);
    for (guint i = 0; i < dlh_store_n_variables (b.store); i++) {
        DlhVariable *v = dlh_store_get_variable (b.store, i), *copy;

        copy =
            dlh_store_variable (o.store, dlh_variable_name (v), dlh_variable_dtype (v),
                                dlh_variable_shape (v), (DlhInit){.kind = DLH_INIT_ZEROS}, &error);
        g_assert_no_error (error);
        dlh_variable_set_trainable (copy, dlh_variable_is_trainable (v));
        memcpy (dlh_tensor_get_data (dlh_variable_tensor (copy)),
                dlh_tensor_get_data (dlh_variable_tensor (v)),
                dlh_tensor_bytes (dlh_variable_tensor (v)));
    }
    want = values_of (graph, o.store, explicit_loss (&o, input), input, x);
    got = values_of (b.graph, b.store, b.objective.loss, b.x, x);
    g_assert_cmpuint (got->len, ==, want->len);
    // Of the largest value, which sums of some hundred terms reach.
    for (guint i = 0; i < got->len; i++) {
        const double g = g_array_index (got, double, i), w = g_array_index (want, double, i);

        if (!(fabs (g - w) <= tolerance * (1 + fabs (w))))
            test_fail ("value %u: got %.17g, want %.17g", i, g, w);
    }
    dlh_store_unref (o.store);
}

/* Products with the noise that may be rounded to bfloat16. */

enum { ROWS = 128, IN = 160, OUT = 192 };

static DlhNode *
net_large (DlhBuild *b, DlhNode *x)
{
    return dlh_linear (x, weight (b, "w", dlh_shape (OUT, IN)), NULL);
}

static const Net large = {"large", IN, net_large};

// The outputs, and of their product with constants the gradients by x, w and rho; one after the
// other.
static GArray *
large_values (DlhDType dtype, const char *estimator, const char *settings, char **note)
{
    g_auto (Bench) b = {.store = dlh_store_new (11, dtype)};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) x = test_tensor_random (dtype, dlh_shape (ROWS, IN), 5);
    g_autoptr (DlhFunction) f = NULL;
    GArray *values = g_array_new (FALSE, FALSE, sizeof (double));
    DlhNode *outputs[4], *by[3], *y;

    g_assert_true (bench_open (&b, &large, estimator, settings, TRUE, ROWS, &error));
    g_assert_no_error (error);
    by[0] = b.x;
    by[1] = dlh_read (b.graph, dlh_store_lookup (b.store, "w"));
    by[2] = dlh_read (b.graph, dlh_store_lookup (b.store, "w/rho"));
    outputs[0] = y = dlh_distribution_outputs (b.objective.prediction);
    dlh_gradients (dlh_sum_all (y), by, 3, NULL, outputs + 1);
    f = dlh_graph_compile (b.graph, outputs, 4, &error);
    g_assert_no_error (error);
    g_assert_true (dlh_function_run (f, &x, 1, &error));
    for (guint i = 0; i < 4; i++) {
        g_autofree double *v = test_values (dlh_function_output (f, i));

        g_array_append_vals (values, v, (guint)dlh_tensor_count (dlh_function_output (f, i)));
    }
    *note = g_strdup (b.notes->pdata[0]);
    return values;
}

// Largest difference of the elements from @first on.
static double
apart (const GArray *a, const GArray *b, guint first, guint n)
{
    double most = 0;

    for (guint i = first; i < first + n; i++)
        most = fmax (most, fabs (g_array_index (a, double, i) - g_array_index (b, double, i)));
    return most;
}

// The noise is so small that rounding a product with the mean would be far outside the bounds: 2^-7
// of what the sums of terms can be, with |x| <= 5, |D| <= 5 sigma and a gradient of ones.
static void
rounded_near_full (gconstpointer estimator)
{
    const double sigma = 1e-4, x = 5, d = 5 * sigma, e = 1.0 / 128;
    g_auto (GStrv) notes = g_new0 (char *, 4);
    g_autoptr (GArray) full = large_values (DLH_F32, estimator, "sigma=1e-4", &notes[0]);
    g_autoptr (GArray) bf16 =
        large_values (DLH_F32, estimator, "sigma=1e-4 precision=bf16", &notes[1]);
    g_autoptr (GArray) again =
        large_values (DLH_F32, estimator, "sigma=1e-4 precision=bf16", &notes[2]);
    const guint by_x = ROWS * OUT, by_w = by_x + ROWS * IN, by_rho = by_w + OUT * IN;

    g_assert_null (strstr (notes[0], "bf16"));
    g_assert_true (g_str_has_suffix (notes[1], ", bf16 where faster"));
    g_assert_cmpint (apart (full, bf16, 0, full->len) > 0, ==, test_rounds_to_bf16 ());
    g_assert_cmpfloat (apart (again, bf16, 0, full->len), ==, 0);
    // f32 sums of the means' products may be formed in another order: 1e-6 of theirs.
    g_assert_cmpfloat (apart (full, bf16, 0, by_x), <, e * sqrt (IN) * x * d);
    g_assert_cmpfloat (apart (full, bf16, by_x, ROWS * IN), <, e * OUT * d);
    g_assert_cmpfloat (apart (full, bf16, by_w, OUT * IN), ==, 0);
    g_assert_cmpfloat (apart (full, bf16, by_rho, OUT * IN), <, e * ROWS * x * d);
}

// Variances are sums of positive terms, so rounding moves them by 2^-7 of themselves at most and
// their roots by half of that; of the gradients, the noise has |eta| <= 6.
static void
local_reparam_near_full (void)
{
    const double sigma = 1e-4, x = 5, eta = 6, e = 1.0 / 256;
    const double noise = sigma * x * sqrt (IN) * eta;
    g_auto (GStrv) notes = g_new0 (char *, 4);
    g_autoptr (GArray) full = large_values (DLH_F32, "local_reparam", "sigma=1e-4", &notes[0]);
    g_autoptr (GArray) bf16 =
        large_values (DLH_F32, "local_reparam", "sigma=1e-4 precision=bf16", &notes[1]);
    const guint by_x = ROWS * OUT, by_w = by_x + ROWS * IN, by_rho = by_w + OUT * IN;

    g_assert_true (g_str_has_suffix (notes[1], ", bf16 where faster"));
    g_assert_cmpint (apart (full, bf16, 0, full->len) > 0, ==, test_rounds_to_bf16 ());
    g_assert_cmpfloat (apart (full, bf16, 0, by_x), <=, e * noise);
    // By an input: sum over outputs of eta x sigma^2 / std, whose std is above sigma sqrt (IN) / 2.
    g_assert_cmpfloat (apart (full, bf16, by_x, ROWS * IN), <=,
                       4 * e * OUT * eta * x * 2 * sigma / sqrt (IN));
    g_assert_cmpfloat (apart (full, bf16, by_w, OUT * IN), ==, 0);
    // By a scale: sum over rows of eta x^2 sigma / std, times the slope of softplus, below sigma.
    g_assert_cmpfloat (apart (full, bf16, by_rho, OUT * IN), <=,
                       4 * e * ROWS * eta * x * x * 2 / sqrt (IN) * sigma);
}

static void
f64_not_rounded (gconstpointer estimator)
{
    g_auto (GStrv) notes = g_new0 (char *, 3);
    g_autoptr (GArray) full = large_values (DLH_F64, estimator, "precision=full", &notes[0]);
    g_autoptr (GArray) bf16 = large_values (DLH_F64, estimator, "precision=bf16", &notes[1]);

    g_assert_cmpfloat (apart (full, bf16, 0, full->len), ==, 0);
    g_assert_true (g_str_has_suffix (notes[1], ", not rounded to bf16 (f64)"));
}

static void
others_say_so (void)
{
    static const char *const names[] = {"conv", "lstm", "tied-embedding"};
    static const char *const why[] = {"(conv2d)", "(used more than once)", "(used more than once)"};

    for (guint i = 0; i < G_N_ELEMENTS (nets); i++)
        for (guint k = 0; k < G_N_ELEMENTS (names); k++) {
            g_auto (Bench) b = {.store = dlh_store_new (11, DLH_F32)};
            g_autoptr (GError) error = NULL;
            guint n = 0;

            if (strcmp (nets[i].name, names[k]) != 0)
                continue;
            bench_open (&b, &nets[i], "flipout", "precision=bf16", TRUE, N, &error);
            g_assert_no_error (error);
            for (guint j = 0; j < b.notes->len; j++)
                n += strstr (b.notes->pdata[j], "not rounded to bf16 ") &&
                     strstr (b.notes->pdata[j], why[k]);
            g_assert_cmpuint (n, >, 0);
        }
}

int
main (int argc, char **argv)
{
    static const char *const estimators[] = {"flipout", "shared", "per_example"};
    static const DlhDType dtypes[] = {DLH_F64, DLH_F32};
    static Case cases[G_N_ELEMENTS (nets)][G_N_ELEMENTS (estimators)][G_N_ELEMENTS (dtypes)];

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (nets); i++)
        for (guint k = 0; k < G_N_ELEMENTS (estimators); k++)
            for (guint d = 0; d < G_N_ELEMENTS (dtypes); d++) {
                g_autofree char *path =
                    g_strdup_printf ("/perturb/%s/%s-equals-explicit-passes%s", nets[i].name,
                                     estimators[k], dtypes[d] == DLH_F32 ? "-in-f32" : "");

                cases[i][k][d] = (Case){&nets[i], estimators[k], dtypes[d]};
                g_test_add_data_func (path, &cases[i][k][d], equivalence);
            }
    g_test_add_data_func ("/perturb/bf16/flipout-near-full", "flipout", rounded_near_full);
    g_test_add_func ("/perturb/bf16/local-reparam-near-full", local_reparam_near_full);
    g_test_add_data_func ("/perturb/bf16/flipout-f64-same", "flipout", f64_not_rounded);
    g_test_add_data_func ("/perturb/bf16/local-reparam-f64-same", "local_reparam", f64_not_rounded);
    g_test_add_func ("/perturb/bf16/others-say-so", others_say_so);
    return g_test_run ();
}
