/* SPDX-License-Identifier: MIT */
/* A model's loss against every parameter, and its graph on a batch of no examples. */
#include <math.h>
#include <string.h>
#include "bench.h"
#include "difference.h"
#include "training.h"

#define BATCH 3
#define SEED 21

/* A model built by hand, without a trainer. */
typedef struct {
    Check *check;
    DlhGraph *graph;
    DlhStore *store;
    DlhComponent *model;
    DlhTensor *inputs[2];
    guint n_inputs;
    GPtrArray *updates;
    DlhObjective objective;
    DlhFunction *loss;
    GPtrArray *start; /* values of the variables */
} Built;

static void
built_clear (Built *m)
{
    dlh_function_unref (m->loss);
    g_clear_pointer (&m->start, g_ptr_array_unref);
    g_clear_pointer (&m->updates, g_ptr_array_unref);
    for (guint i = 0; i < 2; i++)
        g_clear_pointer (&m->inputs[i], dlh_tensor_unref);
    dlh_component_unref (m->model);
    dlh_store_unref (m->store);
    dlh_graph_unref (m->graph);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Built, built_clear)

static DlhNode *
input (Built *m, const char *name, DlhTensor *t)
{
    return dlh_input (m->graph, name, dlh_tensor_get_dtype (t), dlh_tensor_get_shape (t));
}

static gboolean
build (Built *m, Check *c, const Problem *p, gint64 batch, GError **error)
{
    DlhProblem problem = problem_describe (p);
    const DlhModel *model;
    DlhBuild b = {.size = sizeof b, .training = TRUE};
    DlhNode *x, *y;

    m->check = c;
    m->model = check_load (c, NULL, error);
    if (!m->model)
        return FALSE;
    model = dlh_component_interface (m->model);
    m->graph = b.graph = dlh_graph_new ();
    m->store = b.store = dlh_store_new (SEED, DLH_F64);
    m->updates = b.updates = g_ptr_array_new ();
    m->objective.size = sizeof m->objective;
    problem_batch (p, DLH_F64, batch, SEED, &m->inputs[0], &m->inputs[1]);
    m->n_inputs = m->inputs[1] ? 2 : 1;
    x = input (m, "x", m->inputs[0]);
    y = m->inputs[1] ? input (m, "y", m->inputs[1]) : NULL;
    dlh_graph_push_scope (m->graph, dlh_component_name (m->model));
    if (!check_told (model->supervised->build (&b, &problem, dlh_component_options (m->model), x, y,
                                               &m->objective, error),
                     "build()", error))
        return FALSE;
    dlh_graph_pop_scope (m->graph);
    if (!dlh_graph_check (m->graph, error))
        return FALSE;
    if (m->objective.loss)
        return TRUE;
    g_set_error (error, DLH_ERROR, DLH_ERROR_GRAPH, "build() succeeded without a loss");
    return FALSE;
}

void
check_empty_build (Check *c, const Problem *p)
{
    g_auto (Built) m = {0};
    g_autoptr (GError) error = NULL;

    if (build (&m, c, p, 0, &error) &&
        (m.loss = dlh_graph_compile (m.graph, &m.objective.loss, 1, &error)))
        dlh_function_run (m.loss, m.inputs, m.n_inputs, &error);
    if (error)
        check_ok (c, "refused: %s", error->message);
    else
        check_ok (c, "builds and runs, loss %.4g", dlh_function_scalar (m.loss, 0));
}

static gboolean
is_stopped (DlhNode *node, GHashTable *seen)
{
    if (dlh_node_is (node, "stop_gradient"))
        return TRUE;
    for (guint i = 0; i < dlh_node_n_inputs (node); i++) {
        DlhNode *from = dlh_node_input (node, i);

        if (g_hash_table_add (seen, from) && is_stopped (from, seen))
            return TRUE;
    }
    return FALSE;
}

// The positions of random streams go back as well, so every call draws the same.
static void
rewind_streams (Built *m)
{
    for (guint i = 0; i < m->start->len; i++) {
        DlhVariable *v = dlh_store_get_variable (m->store, i);

        if (!dlh_variable_is_trainable (v))
            memcpy (dlh_tensor_get_data (dlh_variable_tensor (v)),
                    dlh_tensor_get_data (m->start->pdata[i]),
                    dlh_tensor_bytes (m->start->pdata[i]));
    }
}

static double
loss_value (gpointer data)
{
    Built *m = data;

    rewind_streams (m);
    return dlh_function_run (m->loss, m->inputs, m->n_inputs, NULL)
               ? dlh_function_scalar (m->loss, 0)
               : NAN;
}

static GPtrArray *
parameters (Built *m)
{
    GPtrArray *reads = g_ptr_array_new ();

    for (guint i = 0; i < dlh_store_n_variables (m->store); i++) {
        DlhVariable *v = dlh_store_get_variable (m->store, i);

        if (dlh_variable_is_trainable (v) && dlh_variable_dtype (v) == DLH_F64)
            g_ptr_array_add (reads, dlh_read (m->graph, v));
    }
    return reads;
}

// Positions to look at: the steepest one and a few spread over the parameter.
static gint64
position (const DlhTensor *gradient, guint i, guint n)
{
    gint64 count = dlh_tensor_count (gradient), best = 0;

    if (i > 0)
        return count * (gint64)i / (gint64)n;
    for (gint64 j = 1; j < count; j++)
        if (fabs (dlh_tensor_get (gradient, j)) > fabs (dlh_tensor_get (gradient, best)))
            best = j;
    return best;
}

/* Returns: FALSE with @what at the first wrong element. */
static gboolean
check_parameter (Built *m, DlhVariable *v, const DlhTensor *gradient, guint n, guint *n_checked,
                 char **what)
{
    double *values = dlh_tensor_get_data (dlh_variable_tensor (v));

    for (guint i = 0; i < n && i < dlh_tensor_count (gradient); i++) {
        gint64 at = position (gradient, i, MIN (n, (guint)dlh_tensor_count (gradient)));
        double g = dlh_tensor_get (gradient, at), slope;
        Difference d = difference_check (&values[at], g, loss_value, m, &slope);

        if (d == DIFFERENCE_WRONG || d == DIFFERENCE_FAILED) {
            *what = g_strdup_printf ("%s, element %" G_GINT64_FORMAT
                                     ": the gradient is %.9g, differences give %.9g",
                                     dlh_variable_name (v), at, g, slope);
            return FALSE;
        }
        *n_checked += d == DIFFERENCE_AGREES;
    }
    return TRUE;
}

static gboolean
compare (Built *m, GPtrArray *reads, guint n, guint *n_checked, char **what, GError **error)
{
    g_autofree DlhNode **gradients = g_new0 (DlhNode *, reads->len + 1);
    g_autoptr (DlhFunction) slopes = NULL;

    dlh_gradients (m->objective.loss, (DlhNode **)reads->pdata, reads->len, NULL, gradients);
    m->loss = dlh_graph_compile (m->graph, &m->objective.loss, 1, error);
    slopes = m->loss ? dlh_graph_compile (m->graph, gradients, reads->len, error) : NULL;
    if (!slopes)
        return FALSE;
    m->start = store_values (m->store);
    if (!dlh_function_run (slopes, m->inputs, m->n_inputs, error))
        return FALSE;
    for (guint i = 0; i < reads->len && !*what; i++)
        check_parameter (m, dlh_node_variable (reads->pdata[i]), dlh_function_output (slopes, i), n,
                         n_checked, what);
    return TRUE;
}

static void
gradient (Check *c, const Problem *p)
{
    g_auto (Built) m = {0};
    g_autoptr (GPtrArray) reads = NULL;
    g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
    g_autoptr (GError) error = NULL;
    g_autofree char *what = NULL;
    guint n_checked = 0;

    if (check_group_failed (c, "op")) {
        check_skip (c, "an op of its own has a wrong gradient, see op/");
        return;
    }
    if (!build (&m, c, p, BATCH, &error)) {
        check_fail (c, "%s in f64, f32 was accepted", error->message);
        return;
    }
    reads = parameters (&m);
    if (reads->len == 0)
        check_skip (c, "no parameters of the store's element type");
    else if (!compare (&m, reads, c->thorough ? 24 : 4, &n_checked, &what, &error))
        check_fail (c, "%s", error->message);
    else if (!what)
        check_ok (c, "%u elements of %u parameters", n_checked, reads->len);
    else if (is_stopped (m.objective.loss, seen))
        check_skip (c, "the loss has a stop_gradient, so differences say nothing: %s", what);
    else
        check_fail (c,
                    "%s, both must agree to 1e-5; look at the vjp of your ops, and at values that "
                    "go around the graph",
                    what);
}

void
check_gradients (Check *c)
{
    for (const Problem *p = problems; p->name; p++)
        if (check_accepted (c, p) && check_begin (c, "gradient", p->name))
            gradient (c, p);
}
