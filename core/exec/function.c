/* SPDX-License-Identifier: MIT */
/* Running a function: no allocation, no look-up by name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <dlhost/dlhost.h>
#include "cpu/parallel.h"
#include "exec/private.h"

DlhFunction *
dlh_function_ref (DlhFunction *function)
{
    g_atomic_int_inc (&function->ref_count);
    return function;
}

static void
instruction_clear (DlhInstruction *in)
{
    if (in->program)
        dlh_ew_program_free (in->program);
    if (in->call.node && in->call.node->op->release && in->call.state)
        in->call.node->op->release (in->call.state);
    g_free (in->slots);
    g_free (in->in);
    g_free (in->name);
}

void
dlh_function_unref (DlhFunction *function)
{
    if (!function || !g_atomic_int_dec_and_test (&function->ref_count))
        return;
    for (guint i = 0; i < function->n_instructions; i++)
        instruction_clear (&function->instructions[i]);
    for (guint i = 0; i < function->n_outputs; i++)
        dlh_tensor_unref (function->outputs[i]);
    g_free (function->nodes);
    g_free (function->outputs);
    g_free (function->inputs);
    g_free (function->input_used);
    g_free (function->instructions);
    g_free (function->side);
    g_free (function->failures);
    g_clear_pointer (&function->patches, g_array_unref);
    g_clear_pointer (&function->links, g_array_unref);
    g_clear_pointer (&function->commits, g_array_unref);
    g_clear_pointer (&function->counters, g_ptr_array_unref);
    g_clear_pointer (&function->constants, g_ptr_array_unref);
    free (function->arena);
    dlh_function_unref (function->diagnosis);
    dlh_graph_unref (function->graph);
    g_free (function);
}

static gboolean
check_inputs (DlhFunction *f, DlhTensor *const *inputs, guint n_inputs, GError **error)
{
    if (n_inputs > f->n_inputs) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "run: got %u inputs, the graph has %u",
                     n_inputs, f->n_inputs);
        return FALSE;
    }
    for (guint i = 0; i < f->n_inputs; i++) {
        DlhTensor *t = i < n_inputs ? inputs[i] : NULL;
        DlhNode *node = f->inputs[i];
        g_autofree char *want = NULL, *got = NULL;

        if (!f->input_used[i] || (t && dlh_tensor_get_dtype (t) == node->dtype &&
                                  dlh_shape_equal (dlh_tensor_get_shape (t), node->shape)))
            continue;
        want = dlh_shape_to_string (node->shape);
        got = t ? dlh_shape_to_string (dlh_tensor_get_shape (t)) : g_strdup ("");
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE, "run: input '%s' must be %s %s, got %s %s",
                     dlh_input_name (node), dlh_dtype_name (node->dtype), want,
                     t ? dlh_dtype_name (dlh_tensor_get_dtype (t)) : "nothing", got);
        return FALSE;
    }
    return TRUE;
}

static void
patch_inputs (DlhFunction *f, DlhTensor *const *inputs)
{
    for (guint i = 0; i < f->patches->len; i++) {
        const DlhPatch *p = &g_array_index (f->patches, DlhPatch, i);

        *p->where = (char *)dlh_tensor_get_data (inputs[p->input]) + p->offset;
    }
}

static inline gboolean
execute (DlhInstruction *in, GError **error)
{
    switch (in->kind) {
    case DLH_STEP_FUSED:
        dlh_ew_program_run (in->program, in->slots);
        return TRUE;
    case DLH_STEP_COPY:
        memcpy (in->copy_to, in->copy_from, in->copy_bytes);
        return TRUE;
    case DLH_STEP_KERNEL:
        return in->node->op->run (&in->call, error);
    }
    return TRUE;
}

/* Side by side. */

typedef struct {
    DlhFunction *f;
    guint n;      /* in f->side, the longest first */
    gint started; /* how many have been taken */
} Side;

static void
take_turns (gsize begin, gsize end, guint thread, gpointer user_data)
{
    Side *side = user_data;
    guint k;

    (void)begin, (void)end, (void)thread;
    while ((k = (guint)g_atomic_int_add (&side->started, 1)) < side->n) {
        guint i = side->f->side[k];

        execute (&side->f->instructions[i], &side->f->failures[i]);
    }
}

static void
sort_by_flops (const DlhFunction *f, guint *side, guint n)
{
    for (guint k = 1; k < n; k++)
        for (guint j = k;
             j > 0 && f->instructions[side[j - 1]].flops < f->instructions[side[j]].flops; j--) {
            guint t = side[j];

            side[j] = side[j - 1];
            side[j - 1] = t;
        }
}

// Instructions @first .. @first + @n - 1: those that are longer than a thread's share of what is
// left have all threads in turn, the others a thread each. Returns: the first that failed, or @n.
static guint
run_side_by_side (DlhFunction *f, guint first, guint n)
{
    const guint n_threads = dlh_get_threads ();
    double left = 0;
    guint alone = 0;

    for (guint k = 0; k < n; k++) {
        f->side[k] = first + k;
        f->failures[first + k] = NULL;
        left += f->instructions[first + k].flops;
    }
    sort_by_flops (f, f->side, n);
    while (alone < n && (n_threads == 1 || n - alone == 1 ||
                         f->instructions[f->side[alone]].flops * n_threads > left)) {
        left -= f->instructions[f->side[alone]].flops;
        execute (&f->instructions[f->side[alone]], &f->failures[f->side[alone]]);
        alone++;
    }
    if (alone < n) {
        Side side = {f, n, (gint)alone};

        dlh_parallel_for (n_threads, 1, take_turns, &side);
    }
    for (guint k = 0; k < n; k++)
        if (f->failures[first + k])
            return k;
    return n;
}

/* By rows. */

#define ROWS 4         /* that stay together: columns of BLAS's kernels */
#define LEAST_ROWS 8   /* of a thread: with fewer a product mostly copies its right factor */
#define PART_FLOPS 1e6 /* of a thread: with fewer, waking it costs more */

typedef struct {
    DlhFunction *f;
    guint first, n;
    gint64 n_rows;
} Rows;

static void
run_some_rows (gsize begin, gsize end, guint thread, gpointer user_data)
{
    const Rows *r = user_data;
    const gint64 first = (gint64)begin * ROWS;
    const gint64 n = ((gint64)end == r->n_rows / ROWS ? r->n_rows : (gint64)end * ROWS) - first;

    for (guint i = r->first; i < r->first + r->n; i++) {
        DlhInstruction *in = &r->f->instructions[i];

        if (in->kind == DLH_STEP_FUSED)
            dlh_ew_program_run_rows (in->program, thread, (gsize)first, (gsize)n);
        else
            in->rows->run (&in->call, first, n);
    }
}

// Instructions @first .. @first + @n - 1, each thread some of the rows through all of them, so that
// they wait for each other once. Returns: FALSE when that is not worth it, and nothing has been
// done.
static gboolean
run_by_rows (DlhFunction *f, guint first, guint n)
{
    const guint n_threads = dlh_get_threads ();
    Rows r = {f, first, n, f->instructions[first].n_rows};
    const gsize n_parts = (gsize)r.n_rows / ROWS;
    double flops = 0, share;

    for (guint i = first; i < first + n; i++)
        flops += f->instructions[i].flops;
    share = MIN (flops / PART_FLOPS, n_threads);
    if (share < 2 || r.n_rows < LEAST_ROWS * (gint64)n_threads || n_threads > f->most_threads ||
        dlh_parallel_is_nested ())
        return FALSE;
    for (guint i = first; i < first + n; i++)
        if (f->instructions[i].kind == DLH_STEP_FUSED)
            dlh_ew_program_bind (f->instructions[i].program, f->instructions[i].slots);
    dlh_parallel_for (n_parts, n_parts / (gsize)share, run_some_rows, &r);
    return TRUE;
}

static gboolean
fail_at (const DlhInstruction *in, GError **error)
{
    if (*in->node->scope)
        g_prefix_error (error, "%s: ", in->node->scope);
    return FALSE;
}

// The first failure in the order of steps counts; the others are forgotten.
static gboolean
fail_first (DlhFunction *f, guint first, guint n, guint failed, GError **error)
{
    g_propagate_error (error, g_steal_pointer (&f->failures[first + failed]));
    for (guint k = failed + 1; k < n; k++)
        g_clear_error (&f->failures[first + k]);
    return fail_at (&f->instructions[first + failed], error);
}

static void
finish (DlhFunction *f)
{
    for (guint i = 0; i < f->commits->len; i++) {
        const DlhCommit *c = &g_array_index (f->commits, DlhCommit, i);

        memcpy (c->to, c->from, c->bytes);
    }
    for (guint i = 0; i < f->counters->len; i++) {
        DlhVariable *counter = f->counters->pdata[i];

        ++*(gint64 *)dlh_tensor_get_data (counter->tensor);
    }
}

void
dlh_function_set_stop (DlhFunction *function, gboolean (*asked) (gpointer data), gpointer data)
{
    function->stop = asked;
    function->stop_data = data;
}

static gboolean
is_stopped (DlhFunction *f, guint next, GError **error)
{
    if (!f->stop || next > f->n_before_writes || !f->stop (f->stop_data))
        return FALSE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                 "stopped before step %u of %u of a function", next + 1, f->n_instructions);
    return TRUE;
}

gboolean
dlh_function_run (DlhFunction *function, DlhTensor *const *inputs, guint n_inputs, GError **error)
{
    if (!check_inputs (function, inputs, n_inputs, error))
        return FALSE;
    patch_inputs (function, inputs);
    for (guint i = 0; i < function->n_instructions;) {
        const DlhInstruction *in = &function->instructions[i];

        if (is_stopped (function, i, error))
            return FALSE;
        if (in->n_rows && in->n_beside > 1 && run_by_rows (function, i, in->n_beside)) {
            i += in->n_beside;
        } else if (!in->n_rows && in->n_beside > 1) {
            const guint failed = run_side_by_side (function, i, in->n_beside);

            if (failed < in->n_beside)
                return fail_first (function, i, in->n_beside, failed, error);
            i += in->n_beside;
        } else {
            if (!execute (&function->instructions[i], error))
                return fail_at (in, error);
            i++;
        }
    }
    finish (function);
    return TRUE;
}

const DlhTensor *
dlh_function_output (DlhFunction *function, guint i)
{
    g_return_val_if_fail (i < function->n_outputs, NULL);
    return function->outputs[i];
}

double
dlh_function_scalar (DlhFunction *function, guint i)
{
    g_return_val_if_fail (i < function->n_outputs && function->outputs[i], NAN);
    return dlh_tensor_get (function->outputs[i], 0);
}

gsize
dlh_function_memory (DlhFunction *function)
{
    return function->arena_size;
}

DlhNode *const *
dlh_function_nodes (DlhFunction *function, guint *n)
{
    *n = function->n_outputs;
    return function->nodes;
}

guint
dlh_function_n_steps (DlhFunction *function)
{
    return function->n_instructions;
}

/* Diagnosis: every float value becomes an output; assertions are taken out so as not to stop. */

static DlhNode *
drop_assertion (DlhNode *node, DlhNode *const *inputs, gpointer user_data)
{
    (void)user_data;
    return node->op == &dlh_op_assert_finite ? inputs[0] : NULL;
}

static DlhFunction *
make_diagnosis (DlhFunction *f, GError **error)
{
    g_autofree DlhNode **roots = g_new (DlhNode *, f->n_outputs + 1);
    g_autofree gboolean *marked = NULL;
    g_autoptr (GPtrArray) watched = g_ptr_array_new ();
    guint n;

    for (guint i = 0; i < f->n_outputs; i++)
        roots[i] = f->nodes[i]->op == &dlh_op_assign ? f->nodes[i]->inputs[0] : f->nodes[i];
    dlh_graph_rewrite (roots, f->n_outputs, drop_assertion, NULL, roots);
    marked = dlh_graph_ancestors (roots, f->n_outputs, &n);
    for (guint id = 0; id < n; id++) {
        DlhNode *node = dlh_graph_node (f->graph, id);

        if (marked[id] && dlh_dtype_is_float (node->dtype) && node->op != &dlh_op_stop_gradient)
            g_ptr_array_add (watched, node);
    }
    return dlh_graph_compile_full (f->graph, (DlhNode **)watched->pdata, watched->len,
                                   DLH_COMPILE_NO_FUSION, error);
}

gboolean
dlh_function_diagnose (DlhFunction *function, DlhTensor *const *inputs, guint n_inputs,
                       GError **error)
{
    DlhFunction *d;

    if (!function->diagnosis && !(function->diagnosis = make_diagnosis (function, error)))
        return FALSE;
    d = function->diagnosis;
    if (!check_inputs (d, inputs, n_inputs, error))
        return FALSE;
    patch_inputs (d, inputs);
    for (guint i = 0; i < d->n_instructions; i++)
        if (!execute (&d->instructions[i], error))
            return fail_at (&d->instructions[i], error);
    for (guint i = 0; i < d->n_outputs; i++) {
        const DlhTensor *t = d->outputs[i];

        for (gint64 k = 0; k < dlh_tensor_count (t); k++) {
            g_autofree char *what = NULL;

            if (isfinite (dlh_tensor_get (t, k)))
                continue;
            what = dlh_node_describe (d->nodes[i]);
            g_set_error (
                error, DLH_ERROR, DLH_ERROR_NUMERIC, "%s%s%s: element %" G_GINT64_FORMAT " is %g",
                what, d->nodes[i]->variable ? " of variable " : "",
                d->nodes[i]->variable ? d->nodes[i]->variable->name : "", k, dlh_tensor_get (t, k));
            return FALSE;
        }
    }
    return TRUE;
}

// Steps of small nets take less than the microsecond of GLib's clock.
static double
seconds_now (void)
{
    struct timespec now;

    clock_gettime (CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

GArray *
dlh_function_profile (DlhFunction *function, DlhTensor *const *inputs, guint n_inputs,
                      guint repeats, GError **error)
{
    g_autoptr (GArray) costs = g_array_new (FALSE, TRUE, sizeof (DlhCost));

    if (!check_inputs (function, inputs, n_inputs, error))
        return NULL;
    for (guint i = 0; i < function->n_instructions; i++) {
        const DlhInstruction *in = &function->instructions[i];
        DlhCost cost = {in->name, in->node->scope, in->node->shape, 0, in->flops, in->bytes};

        g_array_append_val (costs, cost);
    }
    for (guint r = 0; r < repeats; r++) {
        patch_inputs (function, inputs);
        for (guint i = 0; i < function->n_instructions; i++) {
            double start = seconds_now ();

            if (!execute (&function->instructions[i], error)) {
                fail_at (&function->instructions[i], error);
                return NULL;
            }
            g_array_index (costs, DlhCost, i).seconds += (seconds_now () - start) / repeats;
        }
        finish (function);
    }
    return g_steal_pointer (&costs);
}
