/* SPDX-License-Identifier: MIT */
/* The walk over the op table. Every row and every sample of it passes
 *
 *   runs             outputs finite and of the inferred shape, the same bits in a second run
 *   gradient         f64 against differences, with a random cotangent
 *   second-order     the gradient of <gradient, random> against differences of the first gradient
 *   f32              values and gradients of f32 against f64 on the same inputs
 *   size-one, size-zero    shapes and no error, forward and backward; size one: the gradient too
 *   transposed       inputs that are transposes in memory give the contiguous result
 *   compile-modes    no in-place, no folding: bit for bit; no fusion: bit for bit, except what
 * comes from a sum, which a fused pass adds up in another order threads          one and two
 * threads: bit for bit, except what comes from LAPACK's eigensolver reject           each misuse is
 * a sticky DLH_ERROR_SHAPE or DLH_ERROR_OPTION naming the op
 *
 * A row without samples or rejects fails. Random rows are checked for determinism instead. */
#include "test.h"

#include <dlhost/sample.h>

#define MAX_CASES 64

typedef struct {
    const DlhOp *op;
    guint which;
} Case;

/* One use of an op, with its gradients if it has any. */
typedef struct {
    DlhSample *sample;
    DlhNode *y;
    GPtrArray
        *inputs;   /* tensors of all inputs; the cotangent is the last when there are gradients */
    GPtrArray *xs; /* differentiable inputs */
    GArray *positions;  /* which inputs they are */
    GPtrArray *outputs; /* y and its gradients by xs */
} Use;

static void
use_free (Use *use)
{
    g_ptr_array_unref (use->inputs);
    g_ptr_array_unref (use->xs);
    g_array_unref (use->positions);
    g_ptr_array_unref (use->outputs);
    dlh_sample_free (use->sample);
    g_free (use);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Use, use_free)

// Rows that draw from a stream: another run of the same function gives other values.
static gboolean
is_random (const DlhOp *op)
{
    const char *names[] = {"uniform",     "normal",       "bernoulli_draw", "rademacher",
                           "permutation", "uniform_rows", "normal_rows",    "softplus_normal"};

    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
        if (g_str_equal (op->name, names[i]))
            return TRUE;
    return FALSE;
}

static gboolean
has_gradient (const Case *c, DlhNode *y)
{
    return c->op->vjp && !(c->op->flags & DLH_OP_NOT_SMOOTH) &&
           dlh_dtype_is_float (dlh_node_dtype (y));
}

static void
add_gradients (Use *use)
{
    DlhDType dtype = dlh_node_dtype (use->y);
    DlhShape shape = dlh_node_shape (use->y);
    DlhNode *cotangent = dlh_input (dlh_node_graph (use->y), "cotangent", dtype, shape);
    DlhNode *gradients[16] = {NULL};

    g_assert (use->xs->len < G_N_ELEMENTS (gradients));
    g_ptr_array_add (use->inputs, test_tensor_random (dtype, shape, 7));
    dlh_gradients (use->y, (DlhNode **)use->xs->pdata, use->xs->len, cotangent, gradients);
    for (guint i = 0; i < use->xs->len; i++)
        g_ptr_array_add (use->outputs, gradients[i]);
}

// Returns NULL past the last case, and in the small modes when the case has no small form.
static Use *
use_new (const Case *c, DlhSampleMode mode, DlhDType dtype)
{
    g_autoptr (Use) use = g_new0 (Use, 1);

    use->sample = dlh_sample_new (mode, dtype);
    use->inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);
    use->xs = g_ptr_array_new ();
    use->positions = g_array_new (FALSE, FALSE, sizeof (guint));
    use->outputs = g_ptr_array_new ();
    use->y = c->op->sample (use->sample, c->which);
    if (!use->y)
        return NULL;
    g_ptr_array_add (use->outputs, use->y);
    for (guint i = 0; i < dlh_sample_n_inputs (use->sample); i++) {
        DlhNode *x = dlh_sample_input (use->sample, i);

        g_ptr_array_add (use->inputs, dlh_tensor_ref (dlh_sample_tensors (use->sample)[i]));
        if (!dlh_dtype_is_float (dlh_node_dtype (x)))
            continue;
        g_ptr_array_add (use->xs, x);
        g_array_append_val (use->positions, i);
    }
    if (!dlh_node_failed (use->y) && has_gradient (c, use->y) && use->xs->len > 0)
        add_gradients (use);
    return g_steal_pointer (&use);
}

// Returns: the outputs' values, or NULL after marking the test.
static GPtrArray *
run_function (DlhFunction *function, GPtrArray *inputs, guint n_outputs)
{
    g_autoptr (GPtrArray) values =
        g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);
    g_autoptr (GError) error = NULL;

    if (!dlh_function_run (function, (DlhTensor **)inputs->pdata, inputs->len, &error)) {
        test_fail ("running: %s", error->message);
        return NULL;
    }
    for (guint i = 0; i < n_outputs; i++)
        g_ptr_array_add (values, dlh_tensor_copy (dlh_function_output (function, i), NULL));
    return g_steal_pointer (&values);
}

static DlhFunction *
use_compile (Use *use, DlhCompileFlags flags)
{
    g_autoptr (GError) error = NULL;
    DlhFunction *function =
        dlh_graph_compile_full (dlh_sample_graph (use->sample), (DlhNode **)use->outputs->pdata,
                                use->outputs->len, flags, &error);

    if (!function)
        test_fail ("compiling: %s", error->message);
    return function;
}

static GPtrArray *
use_run (Use *use, DlhCompileFlags flags)
{
    g_autoptr (DlhFunction) function = use_compile (use, flags);

    return function ? run_function (function, use->inputs, use->outputs->len) : NULL;
}

static void
assert_all_equal (GPtrArray *a, GPtrArray *b)
{
    for (guint i = 0; a && b && i < a->len; i++)
        if (!test_assert_tensors_equal (g_ptr_array_index (a, i), g_ptr_array_index (b, i))) {
            g_test_message ("this is output %u of %u", i, a->len);
            return;
        }
}

static gboolean
assert_shapes (Use *use, GPtrArray *values)
{
    for (guint i = 0; values && i < values->len; i++) {
        DlhNode *node = g_ptr_array_index (use->outputs, i);
        const DlhTensor *value = g_ptr_array_index (values, i);
        DlhShape want =
            i == 0 ? dlh_node_shape (node) : dlh_node_shape (g_ptr_array_index (use->xs, i - 1));

        if (dlh_shape_equal (dlh_tensor_get_shape (value), want) &&
            dlh_tensor_get_dtype (value) == dlh_node_dtype (node))
            continue;
        test_fail ("output %u has another shape or element type than inferred", i);
        return FALSE;
    }
    return values != NULL;
}

static void
runs (gconstpointer data)
{
    g_autoptr (Use) use = use_new (data, DLH_SAMPLE_PLAIN, DLH_F64);
    g_autoptr (DlhFunction) function = use_compile (use, DLH_COMPILE_DEFAULT);
    g_autoptr (GPtrArray) first = NULL, second = NULL;

    if (!function)
        return;
    first = run_function (function, use->inputs, use->outputs->len);
    if (!assert_shapes (use, first))
        return;
    for (guint i = 0; i < first->len; i++)
        for (gint64 j = 0; j < dlh_tensor_count (g_ptr_array_index (first, i)); j++)
            if (!isfinite (dlh_tensor_get (g_ptr_array_index (first, i), j)))
                test_fail ("output %u, element %" G_GINT64_FORMAT " is not finite", i, j);
    second = run_function (function, use->inputs, use->outputs->len);
    if (!is_random (((const Case *)data)->op))
        assert_all_equal (first, second);
}

static void
check_order (const Case *c, DlhSampleMode mode, guint order)
{
    g_autoptr (Use) use = use_new (c, mode, DLH_F64);

    if (!use || use->outputs->len < 2)
        return;
    test_gradient_check (c->op->name, use->y, (DlhNode **)use->xs->pdata,
                         (const guint *)use->positions->data, use->xs->len,
                         (DlhTensor **)use->inputs->pdata, use->inputs->len, order);
}

static void
gradient (gconstpointer data)
{
    check_order (data, DLH_SAMPLE_PLAIN, 1);
}

static void
second_order (gconstpointer data)
{
    check_order (data, DLH_SAMPLE_PLAIN, 2);
}

// scale[o][i] += |d output o,i / d x| |x| for every input element x: what a relative error of eps
// in each input does to each output. It is the sum of absolute terms for every sum of products.
static void
add_sensitivity (DlhFunction *f, GPtrArray *inputs, DlhTensor *x, gint64 j, double size, guint n,
                 double **scale)
{
    double step = dlh_tensor_get_dtype (x) == DLH_F32 ? 1e-3 : 1e-6;
    double at = dlh_tensor_get (x, j), h = step * MAX (1, fabs (at));
    g_autoptr (GPtrArray) high = NULL, low = NULL;

    dlh_tensor_set (x, j, at + h);
    high = run_function (f, inputs, n);
    dlh_tensor_set (x, j, at - h);
    low = run_function (f, inputs, n);
    dlh_tensor_set (x, j, at);
    for (guint o = 0; high && low && o < n; o++)
        for (gint64 i = 0; i < dlh_tensor_count (g_ptr_array_index (high, o)); i++) {
            double change = dlh_tensor_get (g_ptr_array_index (high, o), i) -
                            dlh_tensor_get (g_ptr_array_index (low, o), i);

            scale[o][i] += fabs (change / (2 * h)) * size;
        }
}

// An eigensolver's error is as of a change of the matrix that is small beside its largest element,
// not beside each element (backward stability by norm).
static double
error_size (Use *use, const DlhTensor *x, gint64 j)
{
    double size = 0;

    if (!dlh_node_is (use->y, "eigh"))
        return fabs (dlh_tensor_get (x, j));
    for (gint64 i = 0; i < dlh_tensor_count (x); i++)
        size = MAX (size, fabs (dlh_tensor_get (x, i)));
    return size;
}

// The scale of each output's rounding error: its own size and its sensitivity to the inputs.
static double **
error_scales (Use *use, GPtrArray *values)
{
    g_autoptr (DlhFunction) f = use_compile (use, DLH_COMPILE_DEFAULT);
    guint n = use->outputs->len;
    double **scale = g_new0 (double *, n + 1);

    for (guint o = 0; o < n; o++) {
        g_autofree double *value = test_values (g_ptr_array_index (values, o));
        gint64 count = dlh_tensor_count (g_ptr_array_index (values, o));

        scale[o] = g_new0 (double, count + 1);
        for (gint64 i = 0; i < count; i++)
            scale[o][i] = fabs (value[i]);
    }
    for (guint k = 0; f && k < use->inputs->len; k++) {
        DlhTensor *x = g_ptr_array_index (use->inputs, k);

        if (dlh_dtype_is_float (dlh_tensor_get_dtype (x)))
            for (gint64 j = 0; j < dlh_tensor_count (x); j++)
                add_sensitivity (f, use->inputs, x, j, error_size (use, x, j), n, scale);
    }
    return scale;
}

static void
free_scales (double **scale)
{
    for (guint o = 0; scale[o]; o++)
        g_free (scale[o]);
    g_free (scale);
}

static gint64
count_inputs (Use *use)
{
    gint64 n = 0;

    for (guint i = 0; i < use->inputs->len; i++)
        n += dlh_tensor_count (g_ptr_array_index (use->inputs, i));
    return n;
}

static guint
count_nodes (Use *use)
{
    guint last = 0;

    for (guint i = 0; i < use->outputs->len; i++)
        last = MAX (last, dlh_node_id (g_ptr_array_index (use->outputs, i)));
    return last + 1;
}

// Rounding of each node on the way adds its share, so a gradient's factor counts nodes.
static void
assert_near (Use *use, GPtrArray *got, GPtrArray *want, double eps)
{
    double **scale = error_scales (use, want);
    double c = test_sum_factor ((gsize)count_inputs (use));

    for (guint o = 0; got && o < want->len; o++) {
        const DlhTensor *g = g_ptr_array_index (got, o), *w = g_ptr_array_index (want, o);
        gboolean is_value = g_ptr_array_index (use->outputs, o) == use->y;
        double factor = (is_value ? c : c * MAX (1, 0.25 * count_nodes (use))) * eps;

        for (gint64 i = 0; i < dlh_tensor_count (w); i++) {
            double a = dlh_tensor_get (g, i), b = dlh_tensor_get (w, i);
            double tolerance =
                dlh_dtype_is_float (dlh_tensor_get_dtype (w)) ? factor * scale[o][i] : 0;

            if (fabs (a - b) <= tolerance)
                continue;
            test_fail ("output %u, element %" G_GINT64_FORMAT
                       ": %.12g, should be %.12g, off by %.3g, tolerance %.3g",
                       o, i, a, b, fabs (a - b), tolerance);
            break;
        }
    }
    free_scales (scale);
}

static void
single_precision (gconstpointer data)
{
    g_autoptr (Use) single = use_new (data, DLH_SAMPLE_PLAIN, DLH_F32);
    g_autoptr (Use) twice = use_new (data, DLH_SAMPLE_PLAIN, DLH_F64);
    g_autoptr (GPtrArray) got = use_run (single, DLH_COMPILE_DEFAULT);
    g_autoptr (GPtrArray) want = use_run (twice, DLH_COMPILE_DEFAULT);

    if (got && want && !is_random (((const Case *)data)->op))
        assert_near (twice, got, want, FLT_EPSILON);
}

static void
transposed (gconstpointer data)
{
    g_autoptr (Use) other = use_new (data, DLH_SAMPLE_TRANSPOSED, DLH_F64);
    g_autoptr (Use) plain = use_new (data, DLH_SAMPLE_PLAIN, DLH_F64);
    g_autoptr (GPtrArray) got = NULL, want = NULL;

    // The inputs' gradients are transposed as well; the value is what is compared.
    g_ptr_array_set_size (other->outputs, 1);
    g_ptr_array_set_size (plain->outputs, 1);
    got = use_run (other, DLH_COMPILE_DEFAULT);
    want = use_run (plain, DLH_COMPILE_DEFAULT);
    if (got && want)
        assert_near (plain, got, want, DBL_EPSILON);
}

static void
small (gconstpointer data, DlhSampleMode mode)
{
    const DlhDType dtypes[] = {DLH_F32, DLH_F64};

    for (guint i = 0; i < G_N_ELEMENTS (dtypes); i++) {
        g_autoptr (Use) use = use_new (data, mode, dtypes[i]);
        g_autoptr (GPtrArray) values = NULL;

        if (!use) {
            test_skip ("this case needs fixed sizes");
            return;
        }
        values = use_run (use, DLH_COMPILE_DEFAULT);
        assert_shapes (use, values);
    }
}

static void
size_one (gconstpointer data)
{
    small (data, DLH_SAMPLE_ONE);
    if (!g_test_failed ())
        check_order (data, DLH_SAMPLE_ONE, 1);
}

static void
size_zero (gconstpointer data)
{
    small (data, DLH_SAMPLE_ZERO);
}

// An element-wise chain and a sum behind the op, so that there is something to fuse and to reuse.
static void
add_chain (Use *use)
{
    DlhNode *chain;

    if (!dlh_dtype_is_float (dlh_node_dtype (use->y)))
        return;
    chain = dlh_add (dlh_tanh (dlh_scale (use->y, 0.5)), dlh_square (use->y));
    g_ptr_array_add (use->outputs, chain);
    g_ptr_array_add (use->outputs, dlh_sum_all (chain));
}

// Whether @node's value comes from a sum, which a fused pass adds up in another order than the
// sum's own kernel, or from LAPACK's eigensolver, which works otherwise with another number of
// threads.
static gboolean
is_reordered (DlhNode *node, const char *const *names, GHashTable *seen)
{
    if (g_strv_contains (names, dlh_node_op (node)->name))
        return TRUE;
    for (guint i = 0; i < dlh_node_n_inputs (node); i++) {
        DlhNode *input = dlh_node_input (node, i);

        if (g_hash_table_add (seen, input) && is_reordered (input, names, seen))
            return TRUE;
    }
    return FALSE;
}

// Bit for bit, except those outputs that come from one of @names: they are equal within rounding.
static void
assert_same (Use *use, GPtrArray *got, GPtrArray *want, const char *const *names)
{
    g_autoptr (GPtrArray) near_got = g_ptr_array_new (), near_want = g_ptr_array_new ();
    g_autoptr (GPtrArray) outputs = g_ptr_array_new (), all = g_ptr_array_ref (use->outputs);

    for (guint i = 0; got && want && i < want->len; i++) {
        g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

        if (!is_reordered (g_ptr_array_index (all, i), names, seen)) {
            if (!test_assert_tensors_equal (g_ptr_array_index (got, i),
                                            g_ptr_array_index (want, i)))
                g_test_message ("this is output %u of %u", i, want->len);
            continue;
        }
        g_ptr_array_add (near_got, g_ptr_array_index (got, i));
        g_ptr_array_add (near_want, g_ptr_array_index (want, i));
        g_ptr_array_add (outputs, g_ptr_array_index (all, i));
    }
    g_ptr_array_unref (use->outputs);
    use->outputs = g_ptr_array_ref (outputs);
    if (outputs->len > 0)
        assert_near (use, near_got, near_want, test_eps (dlh_sample_dtype (use->sample)));
}

static void
compile_modes (gconstpointer data)
{
    const DlhCompileFlags modes[] = {DLH_COMPILE_NO_IN_PLACE, DLH_COMPILE_NO_FOLDING,
                                     DLH_COMPILE_NO_FUSION};
    const DlhDType dtypes[] = {DLH_F32, DLH_F64};
    const char *const sums[] = {"sum", NULL};

    for (guint d = 0; d < G_N_ELEMENTS (dtypes); d++) {
        g_autoptr (GPtrArray) want = NULL;

        for (guint i = 0; i <= G_N_ELEMENTS (modes); i++) {
            // A fresh use each time: a random op then draws the same numbers.
            g_autoptr (Use) use = use_new (data, DLH_SAMPLE_PLAIN, dtypes[d]);
            g_autoptr (GPtrArray) got = NULL;

            add_chain (use);
            got = use_run (use, i == 0 ? DLH_COMPILE_DEFAULT : modes[i - 1]);
            if (i == 0)
                want = g_steal_pointer (&got);
            else if (modes[i - 1] == DLH_COMPILE_NO_FUSION)
                assert_same (use, got, want, sums);
            else
                assert_all_equal (got, want);
        }
    }
}

static void
threads (gconstpointer data)
{
    const char *const lapack[] = {"eigh", NULL};
    g_autoptr (GPtrArray) one = NULL;
    guint before = dlh_get_threads ();

    for (guint n = 1; n <= 2; n++) {
        g_autoptr (Use) use = use_new (data, DLH_SAMPLE_PLAIN, DLH_F32);
        g_autoptr (GPtrArray) values = NULL;

        dlh_set_threads (n);
        add_chain (use);
        values = use_run (use, DLH_COMPILE_DEFAULT);
        if (n == 1)
            one = g_steal_pointer (&values);
        else
            assert_same (use, values, one, lapack);
    }
    dlh_set_threads (before);
}

static void
rejects (gconstpointer data)
{
    const Case *c = data;
    g_autoptr (DlhSample) sample = dlh_sample_new (DLH_SAMPLE_PLAIN, DLH_F64);
    DlhNode *y = c->op->reject (sample, c->which);
    g_autoptr (GError) error = NULL;

    if (!dlh_node_failed (y)) {
        test_fail ("the misuse was accepted");
        return;
    }
    g_assert_true (dlh_graph_check (dlh_sample_graph (sample), &error) == FALSE);
    if (!error)
        return;
    if (error->domain != DLH_ERROR ||
        (error->code != DLH_ERROR_SHAPE && error->code != DLH_ERROR_OPTION))
        test_fail ("the error has code %d of %s: %s", error->code,
                   g_quark_to_string (error->domain), error->message);
    // A row that takes everything can only pass on the error of its input.
    if (!strstr (error->message, c->op->name) && !g_str_equal (c->op->name, "stop_gradient") &&
        !g_str_equal (c->op->name, "as_noise"))
        test_fail ("the message does not name the op: %s", error->message);
    if (strchr (error->message, '\n') || g_str_has_suffix (error->message, "."))
        test_fail ("the message is not one line without a full stop: %s", error->message);
    // Sticky: what comes after passes the error on.
    g_assert_true (dlh_node_failed (dlh_square (y)));
}

static void
incomplete (gconstpointer data)
{
    const Case *c = data;

    test_fail ("row '%s' has no %s", c->op->name, c->op->sample ? "reject" : "sample");
}

static void
add (const DlhOp *op, const char *part, guint which, const char *check, GTestDataFunc function)
{
    g_autofree char *path =
        g_strdup_printf ("/ops/%s/%s-%u%s%s", op->name, part, which, *check ? "/" : "", check);
    Case *c = g_new0 (Case, 1);

    c->op = op;
    c->which = which;
    g_test_add_data_func_full (path, c, function, g_free);
}

static void
add_case (const Case *c, Use *use)
{
    add (c->op, "case", c->which, "runs", runs);
    if (use->outputs->len > 1) {
        add (c->op, "case", c->which, "gradient", gradient);
        add (c->op, "case", c->which, "second-order", second_order);
    }
    add (c->op, "case", c->which, "f32", single_precision);
    add (c->op, "case", c->which, "size-one", size_one);
    add (c->op, "case", c->which, "size-zero", size_zero);
    if (!is_random (c->op) && use->inputs->len > 0)
        add (c->op, "case", c->which, "transposed", transposed);
    add (c->op, "case", c->which, "compile-modes", compile_modes);
    add (c->op, "case", c->which, "threads", threads);
}

static void
failed_sample (gconstpointer data)
{
    g_autoptr (Use) use = use_new (data, DLH_SAMPLE_PLAIN, DLH_F64);
    g_autoptr (GError) error = NULL;

    dlh_graph_check (dlh_sample_graph (use->sample), &error);
    test_fail ("the sample is refused: %s", error ? error->message : "no message");
}

static void
add_row (const DlhOp *op)
{
    Case c = {op, 0};

    if (!op->sample || !op->reject) {
        add (op, "row", 0, "is-complete", incomplete);
        return;
    }
    for (c.which = 0; c.which < MAX_CASES; c.which++) {
        g_autoptr (Use) use = use_new (&c, DLH_SAMPLE_PLAIN, DLH_F64);

        if (!use)
            break;
        if (dlh_node_failed (use->y))
            add (op, "case", c.which, "is-valid", failed_sample);
        else
            add_case (&c, use);
    }
    for (guint i = 0; i < MAX_CASES; i++) {
        g_autoptr (DlhSample) sample = dlh_sample_new (DLH_SAMPLE_PLAIN, DLH_F64);

        if (!op->reject (sample, i))
            break;
        add (op, "reject", i, "", rejects);
    }
}

int
main (int argc, char **argv)
{
    const DlhOp *const *table = dlh_op_table ();

    test_init (&argc, &argv);
    for (guint i = 0; table[i]; i++)
        add_row (table[i]);
    return g_test_run ();
}
