/* SPDX-License-Identifier: MIT */
/* The task: both copies are trained side by side in double precision, on the same batches, with
 * stores of one seed, so that draws of one name are the same. */
#include <string.h>
#include "invariance.h"

#define SAME_FUNCTION                                                                              \
    1e-9 /* before the first step: mapping weights there and back is no better                     \
          */

static void
side_clear (Side *s)
{
    probe_clear (&s->probe);
    dlh_trainer_free (s->trainer);
    dlh_component_unref (s->component);
    dlh_store_unref (s->store);
}

static void
invariance_clear (Invariance *v)
{
    for (guint i = 0; i < 2; i++)
        side_clear (&v->sides[i]);
    g_clear_pointer (&v->layers, g_ptr_array_unref);
    dlh_tensor_unref (v->x);
    dlh_tensor_unref (v->y);
    g_free (v->order);
    compare_clear (v);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Invariance, invariance_clear)

/* Data: f64, whatever the run computes in. */

// Rows @rows of @from, or the first @n.
static DlhTensor *
take (const DlhTensor *from, const gint64 *rows, gint64 n, GError **error)
{
    DlhDType dtype = dlh_tensor_get_dtype (from);
    DlhTensor *to = dlh_tensor_new (dlh_dtype_is_float (dtype) ? DLH_F64 : dtype,
                                    dlh_shape_with (dlh_tensor_get_shape (from), 0, n), error);
    const gint64 width = to && n ? dlh_tensor_count (to) / n : 0;

    for (gint64 i = 0; i < n && to; i++)
        for (gint64 j = 0; j < width; j++)
            dlh_tensor_set (to, i * width + j,
                            dlh_tensor_get (from, (rows ? rows[i] : i) * width + j));
    return to;
}

static gboolean
next_batch (Invariance *v, gint64 step, GError **error)
{
    DlhTensor *x = dlh_data_inputs (v->data, DLH_SPLIT_TRAIN);
    DlhTensor *y = dlh_data_targets (v->data, DLH_SPLIT_TRAIN);
    const gint64 n = dlh_data_count (v->data, DLH_SPLIT_TRAIN), each = n / v->batch;
    const gint64 epoch = step / each;

    if (epoch != v->order_of) {
        if (dlh_data_is_stream (v->data))
            for (gint64 i = 0; i < n; i++)
                v->order[i] = i;
        else
            dlh_random_permutation (dlh_store_get_seed (dlh_run_store (v->run)), "invariance/order",
                                    (guint64)epoch, v->order, (gsize)n);
        v->order_of = epoch;
    }
    g_clear_pointer (&v->x, dlh_tensor_unref);
    g_clear_pointer (&v->y, dlh_tensor_unref);
    v->x = take (x, v->order + step % each * v->batch, v->batch, error);
    v->y = v->x && y ? take (y, v->order + step % each * v->batch, v->batch, error) : NULL;
    return v->x && (!y || v->y);
}

/* Before training. */

static gboolean
open_side (Invariance *v, guint i, Trace *trace, DlhTensor *x, DlhTensor *y, GError **error)
{
    const guint64 seed = dlh_store_get_seed (dlh_run_store (v->run));
    DlhTraining training = {.size = sizeof training, .schedule.kind = DLH_SCHEDULE_CONSTANT};
    Side *s = &v->sides[i];

    s->copy.model = dlh_run_component (v->run, DLH_MODEL);
    s->copy.layers = v->layers;
    s->copy.mapped = i == 1;
    s->copy.zeros = strcmp (v->opt->padding, "zeros") == 0;
    s->store = dlh_store_new (seed, DLH_F64);
    s->component = copy_component (&s->copy, error);
    if (!s->component ||
        !trace_build (trace, &s->copy, s->component, s->store, &v->problem, x, y, error) ||
        !probe_open (&s->probe, trace, x, y, error))
        return FALSE;
    v->layers = s->copy.layers;
    s->trainer = dlh_trainer_new (s->store, s->component, dlh_run_component (v->run, DLH_OPTIMIZER),
                                  &v->problem, &training, error);
    return s->trainer != NULL;
}

static gboolean
check_model (Invariance *v, GError **error)
{
    DlhComponent *model = dlh_run_component (v->run, DLH_MODEL);

    if (((const DlhModel *)dlh_component_interface (model))->supervised)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "invariance: model '%s' does not offer the supervised role: give one that is "
                 "trained, such as mlp",
                 dlh_component_name (model));
    return FALSE;
}

static gboolean
check_layers (Invariance *v, GError **error)
{
    if (v->layers->len)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                 "invariance: model '%s' has no affine layer (a weight of linear or convolution "
                 "nodes): there is nothing to reparameterise",
                 dlh_component_name (v->sides[0].copy.model));
    return FALSE;
}

static void
count_rows (Invariance *v, const Trace *trace, gint64 n)
{
    for (guint i = 0; i < trace->notes->len; i++) {
        const Note *note = &g_array_index (trace->notes, Note, i);
        Layer *l = v->layers->pdata[note->layer];
        const gint64 outputs = dlh_shape_count (dlh_node_shape (note->output));

        l->rows += (double)(outputs / (l->groups * l->n_out)) / (double)n;
    }
}

// One line a layer: which maps it gets; and one where the batch is too small for
// the theorem on K-FAC.
static void
describe (Invariance *v)
{
    DlhComponent *optimizer = dlh_run_component (v->run, DLH_OPTIMIZER);
    const gboolean kfac = strcmp (dlh_component_name (optimizer), "kfac") == 0;

    for (guint i = 0; i < v->layers->len; i++) {
        const Layer *l = v->layers->pdata[i];

        if (kfac && layer_is_short (l, v->batch))
            dlh_run_message (
                v->run,
                "%s: a step has fewer cases than the layer has inputs, so their second "
                "moment is singular and undamped K-FAC not defined: give a larger "
                "batch",
                l->label);

        dlh_run_message (
            v->run, "%s: %s%" G_GINT64_FORMAT " inputs %s%s, %" G_GINT64_FORMAT " outputs %s%s%s",
            l->label, l->groups > 1 ? "in each group, " : "", l->n_in,
            map_is_identity (&l->in)        ? "as they are"
            : !l->in.matrix && !l->in.scale ? "shifted"
                                            : "mapped",
            (l->in.matrix || l->in.scale) && l->in.shift ? " and shifted" : "", l->n_out,
            map_is_identity (&l->out)         ? "as they are"
            : !l->out.matrix && !l->out.scale ? "shifted"
                                              : "mapped",
            (l->out.matrix || l->out.scale) && l->out.shift ? " and shifted" : "",
            l->bias ? "" : "; no bias of its own, hence no shift");
    }
}

// Test examples where there are some; in the order of the data.
static gboolean
take_probe (Invariance *v, DlhTensor **x, DlhTensor **y, GError **error)
{
    const gboolean tests = dlh_data_count (v->data, DLH_SPLIT_TEST) > 0;
    const DlhSplit split = tests ? DLH_SPLIT_TEST : DLH_SPLIT_TRAIN;
    const gint64 n = dlh_data_is_stream (v->data)
                         ? v->batch
                         : MIN (v->opt->probe, dlh_data_count (v->data, split));
    DlhTensor *targets = dlh_data_targets (v->data, split);

    *x = take (dlh_data_inputs (v->data, split), NULL, n, error);
    *y = *x && targets ? take (targets, NULL, n, error) : NULL;
    return *x && (!targets || *y);
}

static gboolean
set_maps (Invariance *v, Trace *trace, DlhTensor *x, DlhTensor *y, GError **error)
{
    if (strcmp (v->opt->preset, "none") == 0)
        return maps_draw (v->layers, v->opt, dlh_store_get_seed (v->sides[0].store), error);
    return presets_set (v->layers, v->opt, trace, x, y, &v->sides[1].copy.swap, error);
}

static gboolean
prepare (Invariance *v, GError **error)
{
    g_autoptr (DlhTensor) x = NULL, y = NULL;
    g_auto (Trace) original = {0}, twin = {0};
    gint64 n;

    if (!dlh_run_require (v->run, DLH_MODEL, error) ||
        !dlh_run_require (v->run, DLH_OPTIMIZER, error) ||
        !(v->data = dlh_run_data (v->run, error)))
        return FALSE;
    v->problem = dlh_problem_of (v->data);
    n = dlh_data_count (v->data, DLH_SPLIT_TRAIN);
    v->batch = dlh_data_is_stream (v->data) ? dlh_data_lanes (v->data) : MIN (v->opt->batch, n);
    v->order = g_new (gint64, (gsize)n);
    if (!check_model (v, error) || !take_probe (v, &x, &y, error) ||
        !open_side (v, 0, &original, x, y, error) || !check_layers (v, error) ||
        !set_maps (v, &original, x, y, error) || !open_side (v, 1, &twin, x, y, error))
        return FALSE;
    count_rows (v, &original, dlh_tensor_get_shape (x).dims[0]);
    describe (v);
    compare_open (v);
    return twin_start (v->layers, v->sides[0].store, v->sides[1].store, error);
}

// What differs already is not the same function in other coordinates.
static gboolean
check_start (Invariance *v, GError **error)
{
    if (v->start <= SAME_FUNCTION)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_NUMERIC,
                 "invariance: the two do not compute the same function: they differ by %.3g before "
                 "the first step%s",
                 v->start,
                 v->sides[1].copy.zeros ? "; zeros around pictures are no shifted zeros: give "
                                          "padding=shifted, or maps without shifts"
                                        : "; give a smaller spread");
    return FALSE;
}

/* Training. */

static gboolean
train_step (Invariance *v, gint64 step, GError **error)
{
    static const char *const which[] = {"original", "reparameterised"};

    if (!next_batch (v, step, error))
        return FALSE;
    for (guint i = 0; i < 2; i++)
        if (!dlh_trainer_step (v->sides[i].trainer, v->x, v->y, error)) {
            g_prefix_error (error, "%s copy: ", which[i]);
            return FALSE;
        }
    return TRUE;
}

static gboolean
loop (Invariance *v, GError **error)
{
    for (gint64 step = 0; step < v->opt->steps; step++) {
        if (!train_step (v, step, error) || !compare (v, step + 1, error))
            return FALSE;
        dlh_run_progress (v->run, step + 1, v->opt->steps, (double)((step + 1) * v->batch));
        if (step + 1 < v->opt->steps && dlh_run_should_stop (v->run)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                         "stopped at step %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT, step + 1,
                         v->opt->steps);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
invariance_run (DlhRun *run, gconstpointer options, GError **error)
{
    g_auto (Invariance) v = {.run = run, .opt = options, .order_of = -1};

    return prepare (&v, error) && compare (&v, 0, error) && check_start (&v, error) &&
           loop (&v, error) && conclude (&v, error);
}

static const DlhTask invariance = {.size = sizeof (DlhTask), .run = invariance_run};

DLH_PLUGIN_DEFINE (
    DLH_TASK, invariance, InvarianceOptions,
    DLH_OPTIONS (
        DLH_CHOICE (
            InvarianceOptions, maps, "affine", "affine|linear|orthogonal|diagonal|shift",
            "Of activations and pre-activations; orthogonal ones shift pre-activations alone"),
        DLH_CHOICE (InvarianceOptions, preset, "none", "none|activation|centred|batchnorm",
                    "Instead of drawn maps: sigmoid for tanh or the reverse, centred inputs, "
                    "standardised pre-activations"),
        DLH_DOUBLE (InvarianceOptions, spread, 0.7, 0.0, 2.0,
                    "Standard deviation of the logarithms of the maps' stretches"),
        DLH_DOUBLE (InvarianceOptions, shift, 1, 0.0, 100.0, "Standard deviation of the shifts"),
        DLH_INT (InvarianceOptions, steps, 20, 1, 1000000, "Of training", .unit = "steps"),
        DLH_INT (InvarianceOptions, batch, 64, 1, 100000000, "Examples in a step",
                 .unit = "examples"),
        DLH_INT (InvarianceOptions, probe, 100, 1, 100000000,
                 "Examples on which the functions are compared, of the test split if there is one",
                 .unit = "examples"),
        DLH_DOUBLE (InvarianceOptions, tolerance, 1e-10, 0.0, 1.0,
                    "Largest difference of outputs, relative to the largest output"),
        DLH_CHOICE (InvarianceOptions, padding, "shifted", "shifted|zeros",
                    "Around pictures of shifted channels: shifted zeros, or zeros: then it is "
                    "another function"),
        DLH_CHOICE (InvarianceOptions, expect, "invariant", "invariant|different|theory|any",
                    "What makes the run succeed; theory: what is known of the optimizer")),
    .name = "invariance", .version = "1.0", .paper = "1808.10340",
    .summary = "Trains a model and its reparameterised twin and compares them as functions");
