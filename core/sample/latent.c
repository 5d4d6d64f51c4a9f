/* SPDX-License-Identifier: MIT */
/* The posterior of latent variables given observations as a target. The model is built once, on a
 * placeholder of z, and its log likelihood is rewritten for each position that a sampler asks
 * about. Observations are an input with a row for each chain, so one compiled sampler serves any
 * number of batches of examples. */
#include <string.h>
#include <dlhost/dlhost.h>
#include "sample/private.h"

#define MAX_PARAMETERS 4

typedef struct {
    DlhComponent *model;
    DlhProblem problem;
    DlhLatentPosterior options;
    DlhNode *z;              /* what the model was built on */
    DlhNode *log_likelihood; /* f64 (R) */
    DlhDistribution *prior, *start;
    DlhFunction *encoder;  /* (nullable): the parameters of q (z | x) */
    guint first_parameter; /* of the inputs that hold them */
} Latent;

/* Inputs of the graph: the observations, the rows, z, and the parameters of q. */
#define INPUT_X 0
#define INPUT_ROWS 1

static void
latent_free (gpointer data)
{
    Latent *l = data;

    dlh_component_unref (l->model);
    dlh_function_unref (l->encoder);
    g_free (l);
}

static const DlhLatent *
role_of (DlhComponent *model)
{
    return ((const DlhModel *)dlh_component_interface (model))->latent;
}

static DlhNode *
latent_log_density (DlhTarget *t, DlhNode *const *positions)
{
    Latent *l = t->self;
    DlhNode *likelihood;

    dlh_graph_substitute (&l->log_likelihood, 1, &l->z, positions, 1, &likelihood);
    return dlh_add (dlh_log_prob_double (l->prior, positions[0]), likelihood);
}

static DlhNode *
latent_log_start (DlhTarget *t, DlhNode *const *positions)
{
    Latent *l = t->self;

    return dlh_log_prob_double (l->start, positions[0]);
}

static void
latent_draw_start (DlhTarget *t, DlhStream *stream, DlhNode **out)
{
    Latent *l = t->self;

    out[0] = dlh_sample_from (l->start, stream);
}

/* Examples. */

static gboolean
encode_examples (DlhTarget *t, GError **error)
{
    Latent *l = t->self;

    if (!l->encoder)
        return TRUE;
    if (!dlh_function_run (l->encoder, t->inputs, 1, error))
        return FALSE;
    for (guint i = 0; i + l->first_parameter < t->n_inputs; i++) {
        const DlhTensor *from = dlh_function_output (l->encoder, i);
        DlhTensor *to = t->inputs[l->first_parameter + i];

        memcpy (dlh_tensor_get_data (to), dlh_tensor_get_data (from), dlh_tensor_bytes (to));
    }
    return TRUE;
}

static gboolean
latent_set_examples (DlhTarget *t, DlhTensor *x, gint64 first, GError **error)
{
    Latent *l = t->self;
    gint64 n = l->options.n_examples, c = l->options.n_chains;
    DlhTensor *rows = t->inputs[INPUT_ROWS], *all = t->inputs[INPUT_X];
    DlhShape want = dlh_shape_insert (l->problem.input_shape, 0, n);
    gsize bytes = dlh_tensor_bytes (all) / (gsize)(n * c);
    g_autofree char *got = NULL, *text = NULL;

    if (first < 0 || dlh_tensor_get_dtype (x) != dlh_tensor_get_dtype (all) ||
        !dlh_shape_equal (dlh_tensor_get_shape (x), want)) {
        got = dlh_shape_to_string (dlh_tensor_get_shape (x));
        text = dlh_shape_to_string (want);
        g_set_error (error, DLH_ERROR, DLH_ERROR_SHAPE,
                     "examples from number %" G_GINT64_FORMAT
                     " on are %s %s, wanted are %s %s with numbers of 0 or more",
                     first, dlh_dtype_name (dlh_tensor_get_dtype (x)), got,
                     dlh_dtype_name (dlh_tensor_get_dtype (all)), text);
        return FALSE;
    }
    for (gint64 r = 0; r < n * c; r++) {
        ((gint64 *)dlh_tensor_get_data (rows))[r] = first * c + r;
        memcpy ((char *)dlh_tensor_get_data (all) + (gsize)r * bytes,
                (const char *)dlh_tensor_get_data (x) + (gsize)(r / c) * bytes, bytes);
    }
    return encode_examples (t, error);
}

/* Building. */

static DlhNode *
add_input (DlhTarget *t, const char *name, DlhDType dtype, DlhShape shape, GError **error)
{
    g_autoptr (DlhTensor) value = dlh_tensor_new (dtype, shape, error);

    return value ? dlh_target_add_input (t, name, dtype, shape, value) : NULL;
}

// q (z | x) of all rows: its parameters are computed once a batch and are inputs from then on.
static gboolean
build_encoder (DlhTarget *t, DlhBuild *build, GError **error)
{
    Latent *l = t->self;
    const DlhLatent *role = role_of (l->model);
    DlhDType dtype = dlh_store_get_dtype (t->store);
    DlhNode *parameters[MAX_PARAMETERS], *held[MAX_PARAMETERS];
    g_autoptr (DlhGraph) graph = dlh_graph_new ();
    DlhDistribution *q;
    DlhNode *x;
    guint n;

    if (!role->encode) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "model '%s' has no encoder: start from its prior",
                     dlh_component_name (l->model));
        return FALSE;
    }
    x = dlh_input (graph, "x", dtype, dlh_shape_insert (l->problem.input_shape, 0, t->n_chains));
    build->graph = graph;
    dlh_graph_push_scope (graph, dlh_component_name (l->model));
    q = role->encode (build, &l->problem, dlh_component_options (l->model), x);
    dlh_graph_pop_scope (graph);
    build->graph = t->graph;
    if (!dlh_graph_check (graph, error))
        return FALSE;
    n = MIN (dlh_distribution_n_parameters (q), MAX_PARAMETERS);
    l->first_parameter = t->n_inputs;
    for (guint i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf ("q%u", i);

        parameters[i] = dlh_distribution_parameter (q, i);
        held[i] = add_input (t, name, dtype, dlh_node_shape (parameters[i]), error);
        if (!held[i])
            return FALSE;
    }
    l->encoder = dlh_graph_compile (graph, parameters, n, error);
    l->start = dlh_distribution_like (q, held);
    return l->encoder != NULL;
}

static gboolean
check_draw (Latent *l, DlhNode *z, DlhNode *start, gint64 n, GError **error)
{
    DlhShape shape = dlh_node_shape (z);
    g_autofree char *got = NULL, *want = NULL;

    if (shape.rank == 2 && shape.dims[0] == n && shape.dims[1] > 0 &&
        dlh_shape_equal (shape, dlh_node_shape (start)))
        return TRUE;
    got = dlh_shape_to_string (shape);
    want = dlh_shape_to_string (dlh_node_shape (start));
    g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                 "model '%s': %" G_GINT64_FORMAT
                 " draws of its prior are %s and of the start of the path %s, not (n, latents)",
                 dlh_component_name (l->model), n, got, want);
    return FALSE;
}

static gboolean
build (DlhTarget *t, GError **error)
{
    Latent *l = t->self;
    const DlhLatent *role = role_of (l->model);
    gconstpointer options = dlh_component_options (l->model);
    DlhDType dtype = dlh_store_get_dtype (t->store);
    g_autoptr (GPtrArray) updates = g_ptr_array_new ();
    DlhBuild b = {.size = sizeof b, .graph = t->graph, .store = t->store, .updates = updates};
    DlhBlock block = {"z", dlh_shape (), {DLH_INIT_ZEROS, 0, 0}};
    DlhNode *x, *mean;

    x = add_input (t, "x", dtype, dlh_shape_insert (l->problem.input_shape, 0, t->n_chains), error);
    t->rows = x ? add_input (t, "rows", DLH_I64, dlh_shape (t->n_chains), error) : NULL;
    if (!t->rows)
        return FALSE;
    dlh_graph_push_scope (t->graph, dlh_component_name (l->model));
    l->start = l->prior = role->prior (&b, &l->problem, options, t->n_chains);
    mean = dlh_distribution_outputs (l->prior);
    if (!dlh_graph_check (t->graph, error))
        return FALSE;
    l->z = dlh_target_add_input (t, "z", dtype, dlh_node_shape (mean), NULL);
    l->log_likelihood = dlh_log_prob_double (role->decode (&b, &l->problem, options, l->z), x);
    dlh_graph_pop_scope (t->graph);
    if (!dlh_graph_check (t->graph, error) ||
        (l->options.encoder && !build_encoder (t, &b, error)) ||
        !check_draw (l, mean, dlh_distribution_outputs (l->start), t->n_chains, error))
        return FALSE;
    block.shape = dlh_shape (dlh_node_dim (mean, 1));
    return dlh_target_add_block (t, &block, error);
}

DlhTarget *
dlh_target_new_latent (DlhStore *store, DlhComponent *model, const DlhProblem *problem,
                       const DlhLatentPosterior *posterior, GError **error)
{
    gint64 n = posterior->n_examples, c = posterior->n_chains;
    gboolean fits = n > 0 && c > 0 && n <= G_MAXINT32 / c;
    g_autoptr (DlhTarget) t = dlh_target_alloc (store, fits ? n * c : 0);
    Latent *l = g_new0 (Latent, 1);

    t->self = l;
    t->n_groups = fits ? n : 1;
    t->free_self = latent_free;
    t->log_density = latent_log_density;
    t->log_prior = latent_log_start;
    t->draw_prior = latent_draw_start;
    t->set_examples = latent_set_examples;
    l->model = dlh_component_ref (model);
    l->options = *posterior;
    l->problem = *problem;
    if (!role_of (model)) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_PLUGIN,
                     "model '%s' does not offer the latent role", dlh_component_name (model));
        return NULL;
    }
    if (!fits) {
        g_set_error (error, DLH_ERROR, DLH_ERROR_OPTION,
                     "%" G_GINT64_FORMAT " chains of each of %" G_GINT64_FORMAT
                     " examples: both must be 1 or more, and their product below 2^31",
                     c, n);
        return NULL;
    }
    return build (t, error) ? g_steal_pointer (&t) : NULL;
}
