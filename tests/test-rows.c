/* SPDX-License-Identifier: MIT */
/* Runs of steps that go by rows. Whatever the number of threads, and whether a row is computed
 * among others or alone, results are the same: bit for bit, but for products, to rounding. */
#include "rows-check.h"
#include <string.h>
#include <dlhost/sample.h>

// x (R, n); w is shared: (n), (n, n) or the like.
typedef struct {
    const char *name;
    DlhNode *(*build) (DlhNode *x, DlhNode *w);
    DlhShape row, shared; /* of a row of x and of w */
    gsize n_terms;        /* 0: bit for bit; else the length of the sums */
} Case;

static DlhNode *
softplus_chain (DlhNode *x)
{
    return dlh_mul (dlh_tanh (dlh_exp (dlh_scale (x, 0.3))), dlh_sigmoid (x));
}

// Two programs: the second waits for the row sums of the first.
static DlhNode *
centred (DlhNode *x, DlhNode *w)
{
    DlhNode *y = softplus_chain (dlh_mul (x, w));
    const int axis = 1;

    return softplus_chain (dlh_sub (y, dlh_mean (y, &axis, 1, TRUE)));
}

static DlhNode *
row_sums (DlhNode *x, DlhNode *w)
{
    DlhNode *y = softplus_chain (dlh_add (x, w));
    const int axis = 1;
    DlhNode *sums = dlh_sum (dlh_cast (y, DLH_F64), &axis, 1, TRUE);

    return dlh_sum_axis (dlh_square (softplus_chain (dlh_mul (y, dlh_cast (sums, x->dtype)))), 1);
}

// Sums along the last of three axes, and over the last two.
static DlhNode *
blocks (DlhNode *x, DlhNode *w)
{
    const int axes[] = {1, 2};
    DlhNode *y = softplus_chain (dlh_mul (x, w));
    DlhNode *z = softplus_chain (dlh_sub (y, dlh_mean (y, axes + 1, 1, TRUE)));
    DlhNode *all = dlh_mean (softplus_chain (y), axes, 2, FALSE);

    return dlh_add (dlh_sum_axis (z, 2), dlh_expand (all, 1));
}

static DlhNode *
softmaxes (DlhNode *x, DlhNode *w)
{
    const int axis = 1;
    DlhNode *y = dlh_softmax (dlh_mul (x, w), 1);
    DlhNode *z = dlh_log_softmax (dlh_scale (y, 30), -1);

    return dlh_sub (z, dlh_logsumexp (dlh_mul (z, x), &axis, 1, TRUE));
}

static DlhNode *
softmax_middle (DlhNode *x, DlhNode *w)
{
    return dlh_log_softmax (softplus_chain (dlh_mul (dlh_softmax (x, 1), w)), 2);
}

static DlhNode *
layers (DlhNode *x, DlhNode *w)
{
    DlhNode *y = dlh_tanh (dlh_linear (
        x, w, dlh_reshape (dlh_slice (w, 0, 0, 1, 1), dlh_shape (dlh_node_dim (w, 1)))));

    return dlh_matmul (dlh_mul (y, dlh_matmul_t (y, FALSE, w, TRUE)), w);
}

static DlhNode *
layers_of_blocks (DlhNode *x, DlhNode *w)
{
    return dlh_tanh (dlh_matmul (dlh_tanh (dlh_linear (x, w, NULL)), w));
}

static DlhNode *
own_matrices (DlhNode *x, DlhNode *w)
{
    DlhNode *y = dlh_tanh (dlh_matmul_t (x, TRUE, x, FALSE));

    return dlh_matmul (w, dlh_tanh (dlh_matmul_t (y, FALSE, x, TRUE)));
}

static const Case cases[] = {
    {"centred/short-rows", centred, {1, {40}}, {1, {40}}, 0},
    {"centred/rows-of-a-block", centred, {1, {512}}, {1, {512}}, 0},
    {"centred/long-rows", centred, {1, {784}}, {1, {784}}, 0},
    {"centred/longer-rows", centred, {1, {1100}}, {1, {1}}, 0},
    {"row-sums/short-rows", row_sums, {1, {61}}, {1, {61}}, 0},
    {"row-sums/long-rows", row_sums, {1, {801}}, {1, {801}}, 0},
    {"blocks/short-rows", blocks, {2, {5, 31}}, {1, {31}}, 0},
    {"blocks/long-rows", blocks, {2, {9, 103}}, {2, {9, 103}}, 0},
    {"softmax/last-axis", softmaxes, {1, {333}}, {1, {333}}, 0},
    {"softmax/middle-axis", softmax_middle, {2, {13, 40}}, {1, {40}}, 0},
    {"layers/one-matrix", layers, {1, {90}}, {2, {90, 90}}, 90},
    {"layers/blocks", layers_of_blocks, {2, {3, 70}}, {2, {70, 70}}, 70},
    {"matrices/one-each", own_matrices, {2, {20, 30}}, {2, {10, 30}}, 30},
};

/* Results. */

static DlhTensor *
copy_of (const DlhTensor *t)
{
    g_autofree double *values = test_values (t);

    return test_tensor_from (dlh_tensor_get_dtype (t), dlh_tensor_get_shape (t), values,
                             (gsize)dlh_tensor_count (t));
}

static DlhTensor *
evaluate (const Case *c, DlhDType dtype, gint64 n_rows, const double *x_values, guint n_threads,
          gboolean by_rows)
{
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GError) error = NULL;
    const DlhShape shape = dlh_shape_insert (c->row, 0, n_rows);
    const gsize n = (gsize)dlh_shape_count (shape);
    g_autoptr (DlhTensor) x = test_tensor_from (dtype, shape, x_values, n);
    g_autoptr (DlhTensor) w = test_tensor_random (dtype, c->shared, 2);
    DlhNode *in[] = {dlh_input (graph, "x", dtype, shape),
                     dlh_input (graph, "w", dtype, c->shared)};
    DlhTensor *inputs[] = {x, w};
    DlhNode *y;
    g_autoptr (DlhFunction) f = NULL;
    guint n_steps;

    dlh_set_threads (n_threads);
    y = in[0];
    // Steps enough for a run.
    for (guint i = 0; i < 3; i++)
        y = dlh_softmax (dlh_scale (y, 4), -1);
    y = c->build (y, in[1]);
    f = dlh_graph_compile (graph, &y, 1, &error);
    g_assert_no_error (error);
    if (!f || !dlh_function_run (f, inputs, 2, &error))
        return NULL;
    n_steps = rows_check (f);
    if (by_rows)
        g_assert_cmpuint (n_steps, >, 1);
    return copy_of (dlh_function_output (f, 0));
}

// @got has rows of @want, from element @first on.
static void
compare (const Case *c, const DlhTensor *got, const DlhTensor *want, gsize first)
{
    // Of products behind each other, the last of terms below 1: each has the errors of as many.
    const double terms = (double)c->n_terms * (double)c->n_terms;
    const double eps = test_eps (dlh_tensor_get_dtype (got));
    g_autofree double *g = test_values (got), *w = test_values (want);

    test_assert_within (g, w + first, (gsize)dlh_tensor_count (got),
                        test_sum_factor (MAX (c->n_terms, 1)) * eps * terms);
}

static void
results (gconstpointer data)
{
    static const guint threads[] = {2, 3, 7};
    const Case *c = data;
    // The last is enough work for some threads.
    const gint64 rows[] = {17, 401 + 200000 / dlh_shape_count (c->row)};

    for (DlhDType dtype = DLH_F32; dtype <= DLH_F64; dtype++)
        for (guint r = 0; r < G_N_ELEMENTS (rows); r++) {
            const gsize n = (gsize)dlh_shape_count (c->row);
            g_autofree double *x = g_new (double, (gsize)rows[r] * n);
            g_autoptr (DlhTensor) one = NULL;

            test_random (3, x, (gsize)rows[r] * n);
            one = evaluate (c, dtype, rows[r], x, 1, rows[r] > 400);
            for (guint t = 0; one && t < G_N_ELEMENTS (threads); t++) {
                g_autoptr (DlhTensor) y =
                    evaluate (c, dtype, rows[r], x, threads[t], rows[r] > 400);

                g_assert_nonnull (y);
                compare (c, y, one, 0);
            }
            // Alone, where long rows have the same pieces.
            for (gint64 i = 0; one && rows[r] > 400 && i < rows[r]; i += 1 + rows[r] / 5) {
                g_autoptr (DlhTensor) y = evaluate (c, dtype, 1, x + (gsize)i * n, 1, FALSE);

                compare (c, y, one, (gsize)(i * (dlh_tensor_count (one) / rows[r])));
            }
        }
}

/* Every op of the table that goes by rows, on its samples: some rows at a time are all at once. */

static void
check_instruction (const DlhInstruction *in)
{
    const DlhNode *node = in->node;
    const gsize n = (gsize)dlh_shape_count (node->shape), size = dlh_dtype_size (node->dtype);
    g_autofree char *all = g_memdup2 (in->call.out, n * size);

    memset (in->call.out, 0xff, n * size);
    for (gint64 i = 0, rows; i < node->shape.dims[0]; i += rows) {
        rows = MIN (1 + i % 2, node->shape.dims[0] - i);
        in->rows->run (&in->call, i, rows);
    }
    for (gsize i = 0; i < n; i++) {
        const gboolean f32 = node->dtype == DLH_F32;
        const double got = f32 ? (double)((float *)in->call.out)[i] : ((double *)in->call.out)[i];
        const double want = f32 ? (double)((float *)(void *)all)[i] : ((double *)(void *)all)[i];

        // Products have up to 12 terms of up to 1.
        if (!test_assert_within (&got, &want, 1, 48 * test_eps (node->dtype))) {
            test_fail ("%s", node->op->name);
            return;
        }
    }
}

static guint
check_sample (const DlhOp *op, guint which, DlhSampleMode mode, DlhDType dtype)
{
    g_autoptr (DlhSample) sample = dlh_sample_new (mode, dtype);
    DlhNode *y = op->sample (sample, which);
    g_autoptr (DlhFunction) f = NULL;
    g_autoptr (GError) error = NULL;
    guint n = 0;

    if (!y)
        return 0;
    f = dlh_graph_compile_full (dlh_sample_graph (sample), &y, 1,
                                DLH_COMPILE_NO_FUSION | DLH_COMPILE_NO_IN_PLACE, &error);
    g_assert_no_error (error);
    g_assert_true (
        dlh_function_run (f, dlh_sample_tensors (sample), dlh_sample_n_inputs (sample), &error));
    for (guint i = 0; i < f->n_instructions; i++) {
        const DlhInstruction *in = &f->instructions[i];

        if (in->kind == DLH_STEP_KERNEL && in->node->op == op && in->rows->inputs (in->node)) {
            check_instruction (in);
            n++;
        }
    }
    return n;
}

static void
every_op (void)
{
    const DlhOp *const *ops = dlh_op_table ();
    guint n_ops = 0;

    dlh_set_threads (1);
    for (guint i = 0; ops[i]; i++) {
        guint n = 0;

        for (guint which = 0; dlh_op_rows (ops[i]) && which < 20; which++)
            for (DlhDType dtype = DLH_F32; dtype <= DLH_F64; dtype++) {
                n += check_sample (ops[i], which, DLH_SAMPLE_PLAIN, dtype);
                n += check_sample (ops[i], which, DLH_SAMPLE_ONE, dtype);
            }
        if (dlh_op_rows (ops[i]) && n < 4)
            test_fail ("%s: %u samples go by rows, should be more", ops[i]->name, n);
        n_ops += dlh_op_rows (ops[i]) != NULL;
    }
    g_assert_cmpuint (n_ops, ==, 5);
}

int
main (int argc, char **argv)
{
    const guint before = dlh_get_threads ();
    int result;

    test_init (&argc, &argv);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
        g_autofree char *path = g_strdup_printf (
            "/rows/%s/%s", cases[i].name, cases[i].n_terms ? "within-rounding" : "bit-for-bit");

        g_test_add_data_func (path, &cases[i], results);
    }
    g_test_add_func ("/rows/every-op/some-at-a-time", every_op);
    result = g_test_run ();
    dlh_set_threads (before);
    return result;
}
