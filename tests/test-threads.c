/* SPDX-License-Identifier: MIT */
/* One and two threads give the same numbers. The library's own kernels sum in an order that does
 * not depend on the threads: bit for bit. Products and convolutions are BLAS's and oneDNN's, which
 * may split a sum: there the difference stays within the rounding of that sum. The arrays are large
 * enough that the work is really shared; test-ops.c walks every op on small ones. */
#include "test.h"

typedef struct {
    const char *name;
    DlhNode *(*build) (DlhNode *const *x); /* all in f32 */
    gint64 shapes[2][4];                   /* of the inputs; 0 ends a shape */
    gsize n_terms;                         /* 0: bit for bit; else the length of the sums */
} Sharing;

static DlhNode *
chain (DlhNode *const *x)
{
    return dlh_mul (dlh_tanh (dlh_add (x[0], x[1])), dlh_sigmoid (dlh_exp (dlh_scale (x[0], 0.1))));
}

static DlhNode *
chain_sum (DlhNode *const *x)
{
    return dlh_sum_all (chain (x));
}

static DlhNode *
sum_rows (DlhNode *const *x)
{
    return dlh_sum_axis (x[0], 1);
}

static DlhNode *
sum_columns (DlhNode *const *x)
{
    return dlh_sum_axis (x[0], 0);
}

static DlhNode *
log_sum_exp (DlhNode *const *x)
{
    const int axis = 1;

    return dlh_logsumexp (x[0], &axis, 1, FALSE);
}

static DlhNode *
softmax (DlhNode *const *x)
{
    return dlh_softmax (x[0], -1);
}

static DlhNode *
cumsum (DlhNode *const *x)
{
    return dlh_cumsum (x[0], 0, FALSE);
}

static DlhNode *
transpose (DlhNode *const *x)
{
    return dlh_t (x[0]);
}

static DlhNode *
broadcast (DlhNode *const *x)
{
    return dlh_mul (x[0], x[1]);
}

static DlhNode *
scatter (DlhNode *const *x)
{
    // Every index is hit many times: the order of the additions is what is tested.
    DlhNode *n = dlh_arange (dlh_node_graph (x[0]), DLH_I64, dlh_node_dim (x[0], 0));
    DlhNode *index =
        dlh_cast (dlh_scale (dlh_square (dlh_sin (dlh_cast (n, DLH_F32))), 36.9), DLH_I64);

    return dlh_scatter_add (x[0], index, 0, 37);
}

static DlhNode *
patches (DlhNode *const *x)
{
    const DlhConv conv = {{1, 1}, {1, 1}, {1, 1}, 1};

    return dlh_patches (x[0], 3, 3, conv);
}

static DlhNode *
matmul (DlhNode *const *x)
{
    return dlh_matmul (x[0], x[1]);
}

static DlhNode *
linear (DlhNode *const *x)
{
    return dlh_linear (x[0], x[1], NULL);
}

static DlhNode *
gram (DlhNode *const *x)
{
    return dlh_gram (x[0]);
}

static DlhNode *
conv2d (DlhNode *const *x)
{
    const DlhConv conv = {{1, 1}, {1, 1}, {1, 1}, 1};

    return dlh_conv2d (x[0], x[1], NULL, conv);
}

static DlhNode *
conv2d_weight (DlhNode *const *x)
{
    const DlhConv conv = {{1, 1}, {1, 1}, {1, 1}, 1};

    return dlh_conv2d_weight (x[0], x[1], conv, 3, 3);
}

static DlhNode *
max_pool (DlhNode *const *x)
{
    const DlhPool pool = {{2, 2}, {2, 2}, {0, 0}};

    return dlh_max_pool2d (x[0], pool);
}

static const Sharing sharings[] = {
    {"elementwise-chain", chain, {{1000, 999}, {1000, 999}}, 0},
    {"chain-and-sum", chain_sum, {{1000, 999}, {1000, 999}}, 0},
    {"broadcast", broadcast, {{1000, 999}, {999}}, 0},
    {"sum-rows", sum_rows, {{1000, 999}}, 0},
    {"sum-columns", sum_columns, {{1000, 999}}, 0},
    {"logsumexp", log_sum_exp, {{1000, 999}}, 0},
    {"softmax", softmax, {{1000, 999}}, 0},
    {"cumsum", cumsum, {{1000, 999}}, 0},
    {"transpose", transpose, {{1000, 999}}, 0},
    {"scatter-add", scatter, {{20000, 33}}, 0},
    {"patches", patches, {{16, 8, 32, 32}}, 0},
    {"max-pool", max_pool, {{16, 8, 64, 64}}, 0},
    {"matmul", matmul, {{300, 500}, {500, 400}}, 500},
    {"matmul-batched", matmul, {{64, 50, 60}, {64, 60, 40}}, 60},
    {"linear", linear, {{512, 784}, {300, 784}}, 784},
    {"gram", gram, {{2000, 200}}, 2000},
    {"conv2d", conv2d, {{32, 16, 28, 28}, {32, 16, 3, 3}}, 144},
    {"conv2d-weight", conv2d_weight, {{32, 16, 28, 28}, {32, 32, 28, 28}}, 32 * 28 * 28},
};

static DlhTensor *
make_input (const gint64 *dims, guint64 seed)
{
    guint rank = 0;

    while (rank < 4 && dims[rank] > 0)
        rank++;
    return rank ? test_tensor_random (DLH_F32, dlh_shape_make (rank, dims), seed) : NULL;
}

// With @absolute, the same op on the inputs' absolute values: the scale of the rounding error.
static DlhTensor *
evaluate (const Sharing *s, guint n_threads, gboolean absolute)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhTensor *inputs[2] = {make_input (s->shapes[0], 1), make_input (s->shapes[1], 2)};
    DlhNode *x[2] = {NULL, NULL};
    DlhTensor *result;
    guint n = inputs[1] ? 2 : 1;

    for (guint i = 0; i < n; i++) {
        DlhNode *input = dlh_input (graph, "x", DLH_F32, dlh_tensor_get_shape (inputs[i]));

        x[i] = absolute ? dlh_abs (input) : input;
    }
    dlh_set_threads (n_threads);
    result = test_run (s->build (x), inputs, n);
    for (guint i = 0; i < n; i++)
        dlh_tensor_unref (inputs[i]);
    return result;
}

static void
sharing (gconstpointer data)
{
    const Sharing *s = data;
    g_autoptr (DlhTensor) one = evaluate (s, 1, FALSE);
    g_autoptr (DlhTensor) two = evaluate (s, 2, FALSE);
    g_autoptr (DlhTensor) scale = s->n_terms ? evaluate (s, 1, TRUE) : NULL;

    if (!s->n_terms) {
        test_assert_tensors_equal (two, one);
        return;
    }
    for (gint64 i = 0; one && two && scale && i < dlh_tensor_count (one); i++) {
        double a = dlh_tensor_get (one, i), b = dlh_tensor_get (two, i);

        if (!test_assert_within (
                &b, &a, 1, test_sum_factor (s->n_terms) * FLT_EPSILON * dlh_tensor_get (scale, i)))
            return;
    }
}

int
main (int argc, char **argv)
{
    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (sharings); i++) {
        const Sharing *s = &sharings[i];
        g_autofree char *path = g_strdup_printf ("/threads/%s/%s", s->name,
                                                 s->n_terms ? "within-rounding" : "bit-for-bit");

        g_test_add_data_func (path, s, sharing);
    }
    return g_test_run ();
}
