/* SPDX-License-Identifier: MIT */
/* log p (x) without chains, block after block of draws, whose sums are added up in logarithms:
 *
 *   by the prior (a kernel density estimate)  log mean p (x | z),  z ~ p (z)
 *   by the encoder (arXiv 1509.00519, eq. 8)  log mean p (z) p (x | z) / q (z | x),  z ~ q (z | x)
 *
 * Both are lower bounds in expectation. The decoder runs once for all examples of a group. Sums and
 * the number of blocks done are in the store: a stopped run goes on. */
#include <math.h>
#include <string.h>
#include "likelihood.h"

#define BLOCK 500 /* draws */
#define GROUP 32  /* examples that share the decoder's outputs */

typedef struct {
    Likelihood *l;
    const char *name;
    gboolean prior;
    gint64 group, block, n_groups, n_blocks; /* blocks of a group */
    gint64 *done;                            /* in the store: blocks, group after group */
    double *sums;          /* in the store (GROUP): logarithms of the present group's */
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
build (Marginal *m, GError **error)
{
    DlhStore *store = dlh_run_store (m->l->run);
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = graph, .store = store, .updates = updates};
    DlhShape shape = dlh_shape_insert (m->l->problem.input_shape, 0, m->group);
    DlhNode *x = dlh_input (graph, "x", dlh_tensor_get_dtype (m->l->data), shape), *out;

    dlh_graph_push_scope (graph, dlh_component_name (m->l->model));
    out = m->prior ? by_prior (m, &b, x) : by_encoder (m, &b, x);
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

static void
give_group (Marginal *m, gint64 first)
{
    gsize bytes = dlh_tensor_bytes (m->x) / (gsize)m->group;

    for (gint64 e = 0; e < m->group; e++)
        memcpy ((char *)dlh_tensor_get_data (m->x) + (gsize)e * bytes,
                (const char *)dlh_tensor_get_data (m->l->data) +
                    (gsize)MIN (first + e, m->l->n - 1) * bytes,
                bytes);
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

static void
marginal_plan (Marginal *m, Likelihood *l, gboolean prior)
{
    gint64 draws = prior ? l->opt->kde : l->opt->importance;

    m->l = l;
    m->prior = prior;
    m->name = prior ? "kde" : "importance";
    if (!draws || !l->n)
        return;
    m->group = MIN (l->n, prior ? GROUP : MIN (l->batch, GROUP));
    m->block = MIN (draws, BLOCK);
    m->n_blocks = (draws + m->block - 1) / m->block;
    m->n_groups = (l->n + m->group - 1) / m->group;
}

static gint64
n_blocks (const Likelihood *l, gboolean prior)
{
    Marginal m = {0};

    marginal_plan (&m, (Likelihood *)l, prior);
    return m.n_groups * m.n_blocks;
}

gint64
likelihood_marginal_draws (const Likelihood *l, gboolean prior)
{
    Marginal m = {0};

    marginal_plan (&m, (Likelihood *)l, prior);
    return m.n_blocks * m.block;
}

gint64
likelihood_blocks (const Likelihood *l)
{
    return n_blocks (l, TRUE) + n_blocks (l, FALSE);
}

static gboolean
make_state (Marginal *m, GError **error)
{
    DlhStore *store = dlh_run_store (m->l->run);
    const DlhInit zeros = {DLH_INIT_ZEROS, 0, 0};
    g_autofree char *blocks = g_strdup_printf ("likelihood/%s_blocks", m->name);
    g_autofree char *sums = g_strdup_printf ("likelihood/%s_sums", m->name);
    DlhVariable *done = dlh_store_variable (store, blocks, DLH_I64, dlh_shape (), zeros, error);
    DlhVariable *sum =
        done ? dlh_store_variable (store, sums, DLH_F64, dlh_shape (GROUP), zeros, error) : NULL;

    if (!sum)
        return FALSE;
    m->done = dlh_tensor_get_data (dlh_variable_tensor (done));
    m->sums = dlh_tensor_get_data (dlh_variable_tensor (sum));
    return TRUE;
}

static gboolean
next_block (Marginal *m, DlhTensor *out, GError **error)
{
    gint64 first = *m->done / m->n_blocks * m->group;
    gboolean begins = *m->done % m->n_blocks == 0;

    if (!dlh_function_run (m->function, &m->x, 1, error))
        return FALSE;
    for (gint64 e = 0; e < m->group; e++)
        m->sums[e] = log_add (begins ? -INFINITY : m->sums[e],
                              dlh_tensor_get (dlh_function_output (m->function, 0), e));
    if (++*m->done % m->n_blocks)
        return TRUE;
    for (gint64 e = 0; e < MIN (m->group, m->l->n - first); e++)
        dlh_tensor_set (out, first + e, m->sums[e] - log ((double)(m->n_blocks * m->block)));
    return TRUE;
}

// @before: steps of the task until its first block.
static gboolean
estimate (Likelihood *l, gboolean prior, gint64 before, DlhTensor *out, GError **error)
{
    g_auto (Marginal) m = {0};
    gint64 given = -1;

    marginal_plan (&m, l, prior);
    if (!make_state (&m, error))
        return FALSE;
    if (*m.done == m.n_groups * m.n_blocks)
        return TRUE;
    if (!build (&m, error))
        return FALSE;
    if (*m.done == 0)
        rewind_stream (&m);
    while (*m.done < m.n_groups * m.n_blocks) {
        gint64 group = *m.done / m.n_blocks;

        if (group != given)
            give_group (&m, group * m.group);
        given = group;
        if (!next_block (&m, out, error) || !likelihood_checkpoint (l, before + *m.done, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
likelihood_estimate (Likelihood *l, GError **error)
{
    gint64 before = likelihood_transitions (l);

    return (!l->kde || estimate (l, TRUE, before, l->kde, error)) &&
           (!l->importance ||
            estimate (l, FALSE, before + n_blocks (l, TRUE), l->importance, error));
}
