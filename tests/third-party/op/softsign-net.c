/* SPDX-License-Identifier: MIT */
// softsign-net: a perceptron for classes whose activation is an op of its own, softsign (Glorot and
// Bengio 2010). Replace the op, or the model around it.
//   y = x / (1 + |x|)            dx = dy / (1 + |x|)^2
#include <math.h>
#include <dlhost/dlhost.h>

typedef struct {
    gint64 hidden;
} SoftsignNetOptions;

// The gradient as nodes, from public ops: so it can be differentiated again. dx[i] is left NULL for
// an input through which none flows.
static void
softsign_vjp (DlhNode *y, DlhNode *dy, DlhNode **dx)
{
    DlhNode *x = dlh_node_input (y, 0);

    dx[0] = dlh_div (dy, dlh_square (dlh_offset (dlh_abs (x), 1)));
}

// What is computed, for each element type, on blocks of n elements; called from several threads.
static void
softsign_f32 (void *y, const void *x0, const void *x1, const void *x2, gsize n, const double *p)
{
    const float *in = x0;
    float *out = y;

    (void) x1, (void) x2, (void) p;
    for (gsize i = 0; i < n; i++)
        out[i] = in[i] / (1 + fabsf (in[i]));
}

static void
softsign_f64 (void *y, const void *x0, const void *x1, const void *x2, gsize n, const double *p)
{
    const double *in = x0;
    double *out = y;

    (void) x1, (void) x2, (void) p;
    for (gsize i = 0; i < n; i++)
        out[i] = in[i] / (1 + fabs (in[i]));
}

static DlhNode *softsign (DlhNode *x);

// Inputs for whoever tests the op: away from 0, where |x| has a kink.
static DlhNode *
softsign_sample (DlhSample *s, guint which)
{
    const double kink = 0;

    if (which > 0)
        return NULL;
    return softsign (dlh_sample_away (s, -3, 3, dlh_sample_shape (s, 3, 4), &kink, 1));
}

// Uses that must be refused: an input that is not float.
static DlhNode *
softsign_reject (DlhSample *s, guint which)
{
    return which == 0 ? softsign (dlh_sample_bool (s, dlh_sample_shape (s, 2))) : NULL;
}

// One row says all. It is not registered: a node made with it is fused, planned and differentiated
// like any other.
static const DlhOp softsign_op = {
    .size = sizeof (DlhOp),
    .name = "softsign",
    .n_inputs = 1,
    .infer = dlh_infer_same, // the output's shape and type are the input's
    .vjp = softsign_vjp,
    .body = "x0 / (1 + fabs (x0))", // makes it an element-wise op
    .loop_f32 = softsign_f32,
    .loop_f64 = softsign_f64,
    .sample = softsign_sample,
    .reject = softsign_reject,
};

static DlhNode *
softsign (DlhNode *x)
{
    return dlh_node_new (&softsign_op, &x, 1, NULL);
}

// The model that uses it.
static gboolean
softsign_net_build (DlhBuild *b, const DlhProblem *problem, gconstpointer options, DlhNode *x,
               DlhNode *y, DlhObjective *objective, GError **error)
{
    const SoftsignNetOptions *opt = options;
    const DlhInit init = dlh_init_named ("glorot");
    DlhNode *h;

    if (problem->target_kind != DLH_TARGET_CLASS || problem->vocabulary > 0) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "softsign-net sorts numbers into classes, which the data set does not ask "
                     "for: try --dataset=fashion-mnist");
        return FALSE;
    }
    h = softsign (dlh_dense (b, "hidden", dlh_flatten (x, 1), opt->hidden, init, TRUE));
    h = dlh_dense (b, "output", h, problem->n_classes, init, TRUE);
    dlh_objective_classify (objective, h, y);
    return dlh_graph_check (b->graph, error);
}

static const DlhSupervised softsign_net_supervised = {
    .size = sizeof (DlhSupervised),
    .build = softsign_net_build,
};
static const DlhModel softsign_net_model = {
    .size = sizeof (DlhModel),
    .supervised = &softsign_net_supervised,
};

DLH_PLUGIN_DEFINE (DLH_MODEL, softsign_net_model, SoftsignNetOptions,
                   DLH_OPTIONS (DLH_INT (SoftsignNetOptions, hidden, 32, 1, 1000000,
                                         "Hidden units")),
                   .name = "softsign-net", .version = "0.1",
                   .summary = "A perceptron with softsign units, an op of its own");
