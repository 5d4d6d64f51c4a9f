/* SPDX-License-Identifier: MIT */
/* log p (x) without chains, block after block of draws, whose sums are added up in logarithms:
 *
 *   by the prior (a kernel density estimate)  log mean p (x | z),  z ~ p (z)
 *   by the encoder (arXiv 1509.00519, eq. 8)  log mean p (z) p (x | z) / q (z | x),  z ~ q (z | x)
 *
 * Both are lower bounds in expectation. The decoder runs once for all examples of a group. */
#include <math.h>
#include <string.h>
#include "likelihood.h"

#define BLOCK 500 /* draws */
#define GROUP 32  /* examples that share the decoder's outputs */

typedef struct {
    Likelihood *l;
    const char *name;
    gint64 group, block;
    DlhFunction *function; /* x (group, input) to log sums over a block (group) */
    DlhTensor *x;
} Marginal;

static void
marginal_clear (Marginal *m)
{
    dlh_function_unref (m->function);
    dlh_tensor_unref (m->x);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Marginal, marginal_clear)

static DlhStream *
stream_of (Marginal *m)
{
    g_autofree char *name = g_strdup_printf ("likelihood/%s", m->name);

    return dlh_store_stream (dlh_run_store (m->l->run), name);
}

static DlhNode *
log_sum (DlhNode *x, int axis)
{
    return dlh_logsumexp (x, &axis, 1, FALSE);
}

// One example (1, input) as @n rows of it.
static DlhNode *
repeated (DlhNode *x, gint64 n)
{
    return dlh_broadcast (x, dlh_shape_with (dlh_node_shape (x), 0, n));
}

static DlhNode *
by_prior (Marginal *m, DlhBuild *b, DlhNode *x)
{
    const DlhLatent *role = ((const DlhModel *)dlh_component_interface (m->l->model))->latent;
    gconstpointer options = dlh_component_options (m->l->model);
    DlhNode *z =
        dlh_sample_from (role->prior (b, &m->l->problem, options, m->block), stream_of (m));
    DlhDistribution *p = role->decode (b, &m->l->problem, options, z);
    g_autofree DlhNode **sums = g_new (DlhNode *, m->group);

    for (gint64 e = 0; e < m->group; e++)
        sums[e] = log_sum (
            dlh_log_prob_double (p, repeated (dlh_slice (x, 0, e, e + 1, 1), m->block)), 0);
    return dlh_stack (sums, (guint)m->group, 0);
}

static DlhNode *
by_encoder (Marginal *m, DlhBuild *b, DlhNode *x)
{
    const DlhLatent *role = ((const DlhModel *)dlh_component_interface (m->l->model))->latent;
    gconstpointer options = dlh_component_options (m->l->model);
    const DlhProblem *problem = &m->l->problem;
    g_autofree DlhNode **parts = g_new (DlhNode *, m->group);
    DlhDistribution *q;
    DlhNode *rows, *z, *ratio;

    for (gint64 e = 0; e < m->group; e++)
        parts[e] = repeated (dlh_slice (x, 0, e, e + 1, 1), m->block);
    rows = dlh_concat (parts, (guint)m->group, 0);
    q = role->encode (b, problem, options, rows);
    z = dlh_sample_from (q, stream_of (m));
    ratio =
        dlh_add (dlh_log_prob_double (role->prior (b, problem, options, m->group * m->block), z),
                 dlh_log_prob_double (role->decode (b, problem, options, z), rows));
    ratio = dlh_sub (ratio, dlh_log_prob_double (q, z));
    return log_sum (dlh_reshape (ratio, dlh_shape (m->group, m->block)), 1);
}

static gboolean
build (Marginal *m, gboolean prior, GError **error)
{
    DlhStore *store = dlh_run_store (m->l->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    DlhShape shape = dlh_shape_insert (m->l->problem.input_shape, 0, m->group);
    DlhNode *x = dlh_input (graph, "x", dlh_tensor_get_dtype (m->l->data), shape), *out;

    dlh_graph_push_scope (graph, dlh_component_name (m->l->model));
    out = prior ? by_prior (m, &b, x) : by_encoder (m, &b, x);
    dlh_graph_pop_scope (graph);
    if (!dlh_graph_check (graph, error))
        return FALSE;
    m->x = dlh_tensor_new (dlh_tensor_get_dtype (m->l->data), shape, error);
    m->function = m->x ? dlh_graph_compile (graph, &out, 1, error) : NULL;
    return m->function != NULL;
}

static double
log_add (double a, double b)
{
    double m = fmax (a, b);

    return isfinite (m) ? m + log (exp (a - m) + exp (b - m)) : a + b;
}

static gboolean
run_group (Marginal *m, gint64 first, gint64 n_blocks, double *sums, GError **error)
{
    gsize bytes = dlh_tensor_bytes (m->x) / (gsize)m->group;

    for (gint64 e = 0; e < m->group; e++) {
        memcpy ((char *)dlh_tensor_get_data (m->x) + (gsize)e * bytes,
                (const char *)dlh_tensor_get_data (m->l->data) +
                    (gsize)MIN (first + e, m->l->n - 1) * bytes,
                bytes);
        sums[e] = -INFINITY;
    }
    for (gint64 i = 0; i < n_blocks; i++) {
        if (!dlh_function_run (m->function, &m->x, 1, error))
            return FALSE;
        for (gint64 e = 0; e < m->group; e++)
            sums[e] = log_add (sums[e], dlh_tensor_get (dlh_function_output (m->function, 0), e));
        if (dlh_run_should_stop (m->l->run)) {
            g_set_error (error, DLH_ERROR, DLH_ERROR_CANCELLED,
                         "stopped in the estimate '%s', which begins anew when it is resumed",
                         m->name);
            return FALSE;
        }
    }
    return TRUE;
}

// Its chance is the same however often it is begun.
static void
rewind_stream (Marginal *m)
{
    g_autofree char *name = g_strdup_printf ("random/likelihood/%s", m->name);
    DlhVariable *v = dlh_store_lookup (dlh_run_store (m->l->run), name);

    if (v)
        dlh_tensor_set (dlh_variable_tensor (v), 0, 0);
}

static gboolean
estimate (Likelihood *l, const char *name, gboolean prior, gint64 draws, DlhTensor *out,
          GError **error)
{
    g_auto (Marginal) m = {.l = l, .name = name};
    double sums[GROUP];
    gint64 n_blocks;

    m.group = MIN (l->n, prior ? GROUP : MIN (l->batch, GROUP));
    m.block = MIN (draws, BLOCK);
    n_blocks = (draws + m.block - 1) / m.block;
    if (!build (&m, prior, error))
        return FALSE;
    rewind_stream (&m);
    for (gint64 first = 0; first < l->n; first += m.group) {
        if (!run_group (&m, first, n_blocks, sums, error))
            return FALSE;
        for (gint64 e = 0; e < MIN (m.group, l->n - first); e++)
            dlh_tensor_set (out, first + e, sums[e] - log ((double)(n_blocks * m.block)));
    }
    return TRUE;
}

gboolean
likelihood_estimate (Likelihood *l, GError **error)
{
    return (!l->kde || estimate (l, "kde", TRUE, l->opt->kde, l->kde, error)) &&
           (!l->importance ||
            estimate (l, "importance", FALSE, l->opt->importance, l->importance, error));
}
