/* SPDX-License-Identifier: MIT */
/* Ops that the plugin brings along: rows that it made nodes of while a model was built, walked with
 * their own samples as the host's tests walk the built-in table. */
#include <dlfcn.h>
#include <math.h>
#include <string.h>
#include <dlhost/sample.h>
#include "bench.h"
#include "difference.h"
#include "preload.h"
#include "training.h"

#define MAX_INPUTS 16
#define MAX_SAMPLES 64

/* One use of a row, with a scalar made of it and the scalar's gradients. */
typedef struct {
    DlhSample *sample;
    DlhNode *y;
    DlhNode *xs[MAX_INPUTS]; /* float inputs */
    guint n_xs, positions[MAX_INPUTS];
    GPtrArray *inputs;     /* DlhTensor* */
    DlhFunction *function; /* the scalar, or y alone; then gradients */
} Use;

static void
use_clear (Use *u)
{
    dlh_function_unref (u->function);
    g_clear_pointer (&u->inputs, g_ptr_array_unref);
    g_clear_pointer (&u->sample, dlh_sample_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Use, use_clear)

// FALSE after the last sample.
static gboolean
use_init (Use *u, const DlhOp *op, guint which, DlhSampleMode mode, DlhDType dtype)
{
    u->sample = dlh_sample_new (mode, dtype);
    u->inputs = g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);
    u->y = op->sample (u->sample, which);
    if (!u->y)
        return FALSE;
    for (guint i = 0; i < dlh_sample_n_inputs (u->sample); i++) {
        DlhNode *x = dlh_sample_input (u->sample, i);

        g_ptr_array_add (u->inputs, dlh_tensor_copy (dlh_sample_tensors (u->sample)[i], NULL));
        if (dlh_dtype_is_float (dlh_node_dtype (x)) && u->n_xs < MAX_INPUTS) {
            u->xs[u->n_xs] = x;
            u->positions[u->n_xs++] = i;
        }
    }
    return TRUE;
}

static DlhNode *
against_noise (DlhNode *y, guint64 seed)
{
    g_autoptr (DlhTensor) r = dlh_tensor_new (dlh_node_dtype (y), dlh_node_shape (y), NULL);
    gint64 n = dlh_tensor_count (r);
    g_autofree double *values = g_new (double, n + 1);

    dlh_random_fill_normal (seed, "check/cotangent", 0, values, (gsize)n);
    for (gint64 i = 0; i < n; i++)
        dlh_tensor_set (r, i, values[i]);
    return dlh_sum_all (dlh_mul (y, dlh_constant (dlh_node_graph (y), r)));
}

// The scalar of order 1 is <y, noise>; of order 2 the sum of <gradient, noise> of order 1.
static gboolean
use_compile (Use *u, guint order, GError **error)
{
    DlhNode *outputs[MAX_INPUTS + 1] = {NULL};
    DlhGraph *graph = dlh_sample_graph (u->sample);

    if (!dlh_graph_check (graph, error))
        return FALSE;
    outputs[0] = order ? against_noise (u->y, 1) : u->y;
    for (guint o = 1; o <= order; o++) {
        dlh_gradients (outputs[0], u->xs, u->n_xs, NULL, outputs + 1);
        if (o == order)
            break;
        outputs[0] = against_noise (outputs[1], 2);
        for (guint i = 1; i < u->n_xs; i++)
            outputs[0] = dlh_add (outputs[0], against_noise (outputs[1 + i], 2 + i));
    }
    u->function = dlh_graph_compile (graph, outputs, order ? 1 + u->n_xs : 1, error);
    return u->function != NULL;
}

static double
use_value (gpointer data)
{
    Use *u = data;

    return dlh_function_run (u->function, (DlhTensor **)u->inputs->pdata, u->inputs->len, NULL)
               ? dlh_function_scalar (u->function, 0)
               : NAN;
}

static gboolean
use_run (Use *u, GError **error)
{
    return dlh_function_run (u->function, (DlhTensor **)u->inputs->pdata, u->inputs->len, error);
}

/* Checks of one sample; FALSE with @what, "must" and advice included. */

typedef gboolean (*SampleCheck) (const DlhOp *op, guint which, char **what);

static gboolean
values_sound (const DlhOp *op, guint which, char **what)
{
    g_auto (Use) u = {0};
    g_autoptr (GError) error = NULL;
    g_autoptr (DlhTensor) first = NULL;
    const DlhTensor *y;

    use_init (&u, op, which, DLH_SAMPLE_PLAIN, DLH_F64);
    if (!use_compile (&u, 0, &error) || !use_run (&u, &error)) {
        *what = g_strdup_printf ("%s; a sample must be a valid use", error->message);
        return FALSE;
    }
    y = dlh_function_output (u.function, 0);
    first = dlh_tensor_copy (y, NULL);
    for (gint64 i = 0; i < dlh_tensor_count (y); i++)
        if (!isfinite (dlh_tensor_get (y, i))) {
            *what = g_strdup_printf ("element %" G_GINT64_FORMAT
                                     " is %g, must be finite; write every element of the output",
                                     i, dlh_tensor_get (y, i));
            return FALSE;
        }
    use_run (&u, NULL);
    if (!(op->flags & DLH_OP_IMPURE) &&
        memcmp (dlh_tensor_get_data (first),
                dlh_tensor_get_data (dlh_function_output (u.function, 0)),
                dlh_tensor_bytes (first)) != 0) {
        *what = g_strdup ("a second run on the same inputs gives other bytes, must be the same; "
                          "write every element and read no memory before it is written");
        return FALSE;
    }
    return TRUE;
}

static gboolean
has_gradient (const DlhOp *op, const Use *u)
{
    return op->vjp && !(op->flags & DLH_OP_NOT_SMOOTH) && u->n_xs &&
           dlh_dtype_is_float (dlh_node_dtype (u->y));
}

static gboolean
gradient_agrees (const DlhOp *op, guint which, DlhSampleMode mode, guint order, char **what)
{
    g_auto (Use) u = {0};
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) gradients =
        g_ptr_array_new_with_free_func ((GDestroyNotify)dlh_tensor_unref);

    if (!use_init (&u, op, which, mode, DLH_F64) || !has_gradient (op, &u))
        return TRUE;
    if (!use_compile (&u, order, &error) || !use_run (&u, &error)) {
        *what =
            g_strdup_printf ("%s; vjp must be written in ops that have gradients", error->message);
        return FALSE;
    }
    for (guint i = 0; i < u.n_xs; i++)
        g_ptr_array_add (gradients,
                         dlh_tensor_copy (dlh_function_output (u.function, 1 + i), NULL));
    for (guint i = 0; i < u.n_xs; i++) {
        DlhTensor *x = u.inputs->pdata[u.positions[i]];
        double *values = dlh_tensor_get_data (x), slope;

        for (gint64 j = 0; j < dlh_tensor_count (x); j++) {
            double g = dlh_tensor_get (gradients->pdata[i], j);

            if (difference_check (&values[j], g, use_value, &u, &slope) < DIFFERENCE_WRONG)
                continue;
            *what = g_strdup_printf ("input %u, element %" G_GINT64_FORMAT
                                     ": vjp gives %.9g, differences %.9g, both must agree to 1e-5; "
                                     "derive vjp again",
                                     u.positions[i], j, g, slope);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
first_order (const DlhOp *op, guint which, char **what)
{
    return gradient_agrees (op, which, DLH_SAMPLE_PLAIN, 1, what) &&
           gradient_agrees (op, which, DLH_SAMPLE_ONE, 1, what);
}

static gboolean
second_order (const DlhOp *op, guint which, char **what)
{
    return op->flags & DLH_OP_STEPWISE || gradient_agrees (op, which, DLH_SAMPLE_PLAIN, 2, what);
}

static gboolean
single_precision (const DlhOp *op, guint which, char **what)
{
    g_auto (Use) single = {0};
    g_auto (Use) twice = {0};
    g_autoptr (GError) error = NULL;
    const DlhTensor *got, *want;
    double largest = 1;

    use_init (&single, op, which, DLH_SAMPLE_PLAIN, DLH_F32);
    use_init (&twice, op, which, DLH_SAMPLE_PLAIN, DLH_F64);
    if (!use_compile (&single, 0, &error) || !use_run (&single, &error) ||
        !use_compile (&twice, 0, &error) || !use_run (&twice, &error)) {
        *what = g_strdup_printf ("%s; an op works in f32 and f64", error->message);
        return FALSE;
    }
    got = dlh_function_output (single.function, 0);
    want = dlh_function_output (twice.function, 0);
    for (gint64 i = 0; i < dlh_tensor_count (want); i++)
        largest = fmax (largest, fabs (dlh_tensor_get (want, i)));
    for (gint64 i = 0; i < dlh_tensor_count (want) && !(op->flags & DLH_OP_IMPURE); i++) {
        double a = dlh_tensor_get (got, i), b = dlh_tensor_get (want, i);

        if (fabs (a - b) <= 1e-3 * largest)
            continue;
        *what = g_strdup_printf ("element %" G_GINT64_FORMAT
                                 " is %.7g in f32 and %.7g in f64, must agree to 1e-3; compare the "
                                 "two loops or kernels",
                                 i, a, b);
        return FALSE;
    }
    return TRUE;
}

static gboolean
small_sizes (const DlhOp *op, guint which, char **what)
{
    const DlhSampleMode modes[] = {DLH_SAMPLE_ONE, DLH_SAMPLE_ZERO};

    for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
        g_auto (Use) u = {0};
        g_autoptr (GError) error = NULL;

        if (!use_init (&u, op, which, modes[i], DLH_F64))
            continue;
        if (use_compile (&u, 0, &error) && use_run (&u, &error))
            continue;
        *what = g_strdup_printf ("every size %u: %s, must run", 1 - i, error->message);
        return FALSE;
    }
    return TRUE;
}

static gboolean
refuses (const DlhOp *op, guint which, char **what)
{
    g_autoptr (DlhSample) sample = dlh_sample_new (DLH_SAMPLE_PLAIN, DLH_F64);
    DlhNode *y = op->reject (sample, which);
    g_autoptr (GError) error = NULL;

    if (!dlh_node_failed (y) || dlh_graph_check (dlh_sample_graph (sample), &error)) {
        *what = g_strdup ("it was accepted, must be refused; let infer() return FALSE");
        return FALSE;
    }
    if (error->domain == DLH_ERROR &&
        (error->code == DLH_ERROR_SHAPE || error->code == DLH_ERROR_OPTION) &&
        strstr (error->message, op->name))
        return TRUE;
    *what = g_strdup_printf ("'%s', must be DLH_ERROR_SHAPE or DLH_ERROR_OPTION and name the op",
                             error->message);
    return FALSE;
}

static const struct {
    const char *name;
    SampleCheck check;
    gboolean of_rejects;
} sample_checks[] = {
    {"values", values_sound, FALSE},       {"gradient", first_order, FALSE},
    {"second-order", second_order, FALSE}, {"single-precision", single_precision, FALSE},
    {"small-sizes", small_sizes, FALSE},   {"refuses", refuses, TRUE},
};

static guint
count_samples (const DlhOp *op, gboolean rejects)
{
    DlhNode *(*make) (DlhSample *, guint) = rejects ? op->reject : op->sample;
    guint n = 0;

    for (; make && n < MAX_SAMPLES; n++) {
        g_autoptr (DlhSample) sample = dlh_sample_new (DLH_SAMPLE_PLAIN, DLH_F64);

        if (!make (sample, n))
            break;
    }
    return n;
}

static void
check_op (Check *c, const DlhOp *op)
{
    for (guint i = 0; i < G_N_ELEMENTS (sample_checks); i++) {
        g_autofree char *name = g_strdup_printf ("%s/%s", op->name, sample_checks[i].name);
        g_autofree char *what = NULL;
        gboolean rejects = sample_checks[i].of_rejects;
        guint n, which = 0;

        if (!check_begin (c, "op", name))
            continue;
        if (i > 0 && !rejects && !op->sample) {
            check_drop (c);
            continue;
        }
        n = count_samples (op, rejects);
        while (which < n && sample_checks[i].check (op, which, &what))
            which++;
        if (n == 0)
            check_fail (c, "it has no %s(), which gives the cases to check; see dlhost/sample.h",
                        rejects ? "reject" : "sample");
        else if (what)
            check_fail (c, "case %u: %s", which, what);
        else
            check_ok (c, "%u cases", n);
    }
}

// Some rows of the library are in no table: those that only it makes nodes of.
static gboolean
is_built_in (const DlhOp *op)
{
    Dl_info row, library;

    return dladdr (op, &row) && dladdr (dlh_op_table ()[0], &library) &&
           row.dli_fbase == library.dli_fbase;
}

void
check_ops (Check *c)
{
    const DlhOp *op;

    for (const Problem *p = problems; p->name; p++) {
        g_auto (Bench) b = {0};

        if (check_accepted (c, p) && bench_init (&b, c, p, DLH_F64, NULL, NULL))
            bench_steps (&b, 1, 3, NULL);
    }
    for (guint i = 0; (op = hook_op (i)); i++)
        if (!is_built_in (op))
            check_op (c, op);
}
